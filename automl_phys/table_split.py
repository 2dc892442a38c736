"""Cutting rows into parts: stratified by class, and never through a group.

Takes class codes, the shares of the parts and, where there are groups, group codes; gives a part for each row. Pure
numpy, deterministic in the generator that is passed. Which part is for what is :mod:`automl_phys.table`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.integer]


def cut(classes: Codes, shares: Sequence[float], groups: Codes | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """The part (n,), 0 to len(shares) - 1, of each row.

    ``classes`` (n,) are stratified: without groups, each part has its share of each class to within one row. With
    ``groups`` (n,) all rows of a group go to one part, and the classes' shares are met as well as whole groups allow.
    """
    wanted = np.asarray(shares, np.float64) / np.sum(shares)
    if groups is None:
        return _deal(classes, wanted, rng)
    return _cut_groups(classes, wanted, groups, rng)


def arrange(parts: Codes, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows in the order in which they are stored (n,): part by part, shuffled inside each."""
    shuffled = rng.permutation(len(parts))
    return shuffled[np.argsort(parts[shuffled], kind="stable")]


def torn_groups(parts: Codes, groups: Codes | None) -> int:
    """How many groups have rows in more than one part; 0 without groups."""
    if groups is None:
        return 0
    return len(np.unique(np.stack([groups, parts]), axis=1).T) - len(np.unique(groups))


def check_disjoint(order: NDArray[np.int64], parts: Codes, groups: Codes | None) -> None:
    """Raise ValueError when a row is stored twice or never, or a group has rows in two parts: a bug of ours."""
    if not np.array_equal(np.sort(order), np.arange(len(parts))):
        raise ValueError("the split does not hold each row exactly once")
    if torn_groups(parts, groups):
        raise ValueError("the split has a group on two sides")


def _deal(strata: Codes, shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Deal each stratum's members, in random order, to the parts: each gets its share to within one."""
    order = arrange(strata, rng)
    sizes = np.bincount(strata)
    starts = np.cumsum(sizes) - sizes
    of_sorted = strata[order]
    rank = np.arange(len(strata)) - starts[of_sorted]
    ends = np.floor(np.outer(sizes, np.cumsum(shares)) + 0.5)
    parts = np.empty(len(strata), np.int64)
    parts[order] = (rank[:, None] >= ends[of_sorted][:, :-1]).sum(1)
    return parts


def _cut_groups(
    classes: Codes, shares: NDArray[np.float64], groups: Codes, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Whole groups to parts: alike groups (same rows of each class) in bulk, the rest one by one, largest first.

    The greedy rule is that of scikit-learn's StratifiedGroupKFold in spirit: a group goes where its classes are most
    wanted, measured by how full of them a part already is.
    """
    _, of_row = np.unique(groups, return_inverse=True)
    n_groups, n_classes = int(of_row.max()) + 1, int(classes.max()) + 1
    content = np.bincount(of_row * n_classes + classes, minlength=n_groups * n_classes).reshape(n_groups, n_classes)
    kinds, kind = np.unique(content, axis=0, return_inverse=True)
    order = arrange(kind.ravel(), rng)
    sizes = np.bincount(kind.ravel())
    rank = np.arange(n_groups) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    bulk = np.floor(np.outer(sizes, shares) + 1e-9).astype(np.int64)
    ends = np.cumsum(bulk, axis=1)[np.repeat(np.arange(len(kinds)), sizes)]
    part = np.empty(n_groups, np.int64)
    part[order] = (rank[:, None] >= ends).sum(1)

    rest = np.flatnonzero(part == len(shares))
    held = bulk.T @ kinds.astype(np.float64)
    totals = np.maximum(content.sum(0), 1)
    by_share = np.argsort(-shares, kind="stable")
    shuffled = rng.permutation(rest)
    for group in shuffled[np.argsort(-content[shuffled].sum(1), kind="stable")]:
        fullness = (held / totals) @ (content[group] / totals) / np.maximum(shares, 1e-12)
        best = by_share[np.argmin(fullness[by_share])]
        part[group] = best
        held[best] += content[group]
    return part[of_row]
