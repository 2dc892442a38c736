"""Cutting rows into parts: stratified by class or amount, never through a group, or in the order of time.

Takes class codes, the shares of the parts and, where there are groups, group codes; gives a part for each row. Pure
numpy, deterministic in the generator that is passed. Which part is for what is :mod:`automl_phys.table`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.integer]

MOST_FOR_QUANTILES = 1_000_000

ROWS_COUNT = 1e-3
"""How much all rows count beside those of a group's own classes when whole groups are dealt out."""


def cut(classes: Codes, shares: Sequence[float], groups: Codes | None, rng: np.random.Generator) -> NDArray[np.int8]:
    """The part (n,), 0 to len(shares) - 1, of each row.

    ``classes`` (n,) are stratified: without groups, each part has its share of each class to within one row. With
    ``groups`` (n,) all rows of a group go to one part, and the classes' shares are met as well as whole groups allow.
    """
    wanted = np.asarray(shares, np.float64) / np.sum(shares)
    if groups is None:
        return _deal(classes, wanted, rng)
    return _cut_groups(classes, wanted, groups, rng)


def by_time(time: NDArray[Any], shares: Sequence[float]) -> NDArray[np.int8]:
    """The part (n,) of each row: the earliest rows are the first part, the latest the last, no time in two of them.

    Rows of one time stay together, so parts meet their shares as well as that allows.
    """
    times, counts = np.unique(time, return_counts=True)
    wanted = np.cumsum(shares)[:-1] / np.sum(shares)
    middle = (np.cumsum(counts) - counts / 2) / len(time)
    return np.searchsorted(wanted, middle, side="right").astype(np.int8)[np.searchsorted(times, time)]


def ranges(amounts: NDArray[Any]) -> NDArray[np.int8]:
    """The tenth of its distribution that each amount (n,) is in, 0 to 9: what a split of amounts is stratified by."""
    every = max(1, len(amounts) // MOST_FOR_QUANTILES)
    edges = np.unique(np.quantile(amounts[::every], np.arange(1, 10) / 10))
    return np.searchsorted(edges, amounts, side="right").astype(np.int8)


def order(parts: Codes, count: int) -> NDArray[np.int64]:
    """Rows in the order in which they are stored: part by part, in each as in the files; without those of part -1."""
    return np.concatenate([np.flatnonzero(parts == part) for part in range(count)])


def torn_groups(parts: Codes, groups: Codes | None) -> int:
    """How many groups have rows in more than one part; 0 without groups."""
    if groups is None:
        return 0
    of_both = groups.astype(np.int64) * (int(parts.max()) + 1) + parts
    return len(np.unique(of_both)) - len(np.unique(groups))


def _deal(strata: Codes, shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int8]:
    """Deal each stratum's members at random to the parts: each gets its share to within one."""
    parts = np.empty(len(strata), np.int8)
    for stratum, size in enumerate(np.bincount(strata)):
        ends = np.floor(size * np.cumsum(shares) + 0.5).astype(np.int64)
        ends[-1] = size
        dealt = np.repeat(np.arange(len(shares), dtype=np.int8), np.diff(ends, prepend=0))
        parts[strata == stratum] = rng.permutation(dealt)
    return parts


def _cut_groups(
    classes: Codes, shares: NDArray[np.float64], groups: Codes, rng: np.random.Generator
) -> NDArray[np.int8]:
    """Whole groups to parts: alike groups (same rows of each class) in bulk, the rest one by one, largest first.

    The greedy rule is that of scikit-learn's StratifiedGroupKFold in spirit: a group goes where its classes are most
    wanted, measured by how full of them a part already is. Where that leaves it open, as with files that hold one range
    of the target each, it goes to the part that has fewest rows for its share.
    """
    _, of_row = np.unique(groups, return_inverse=True)
    n_groups, n_classes = int(of_row.max()) + 1, int(classes.max()) + 1
    content = np.bincount(of_row * n_classes + classes, minlength=n_groups * n_classes).reshape(n_groups, n_classes)
    kinds, kind = np.unique(content, axis=0, return_inverse=True)
    shuffled = rng.permutation(n_groups)
    by_kind = shuffled[np.argsort(kind.ravel()[shuffled], kind="stable")]
    sizes = np.bincount(kind.ravel())
    rank = np.arange(n_groups) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    bulk = np.floor(np.outer(sizes, shares) + 1e-9).astype(np.int64)
    ends = np.cumsum(bulk, axis=1)[np.repeat(np.arange(len(kinds)), sizes)]
    part = np.empty(n_groups, np.int8)
    part[by_kind] = (rank[:, None] >= ends).sum(1)

    rest = np.flatnonzero(part == len(shares))
    held = bulk.T @ kinds.astype(np.float64)
    totals = np.maximum(content.sum(0), 1)
    by_share = np.argsort(-shares, kind="stable")
    shuffled = rng.permutation(rest)
    for group in shuffled[np.argsort(-content[shuffled].sum(1), kind="stable")]:
        wanted = (held / totals) @ (content[group] / totals) + ROWS_COUNT * held.sum(1) / content.sum()
        fullness = wanted / np.maximum(shares, 1e-12)
        best = by_share[np.argmin(fullness[by_share])]
        part[group] = best
        held[best] += content[group]
    return part[of_row]
