"""Returns of agents over seeds and episodes: interquartile means, differences, learning curves, with 68 % intervals.

Takes returns (n, m): m episodes of each of n agents that differ by their seed in training alone; (1, m) for a
controller that was not trained. The measures are those of rliable (Agarwal et al. 2021, Deep Reinforcement Learning at
the Edge of the Statistical Precipice, arXiv:2108.13264): the interquartile mean of all runs and episodes, and the
probability of improvement, with the percentile bootstrap over runs.

What is drawn again are the rows, and with ``shared`` the columns too, all rows alike (Owen 2007, Ann. Appl. Stat. 1,
386, the pigeonhole bootstrap): there a column is the same episode for every row, so that another choice of episodes
would move all of them together. Of one row alone it is the episodes. Agents that are compared draw their columns
together where these are shared. As there are few seeds, the quantiles are those at which the percentile interval is as
wide as Student's (the expanded percentile interval, Hesterberg 2015, Am. Stat. 69, 371), with the degrees of freedom of
a sum of variances, those of rows and of columns (Satterthwaite 1946).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from automl_phys.bootstrap import TAIL
from automl_phys.exhibits import Estimate

Floats = NDArray[np.float64]

REPLICATES = 1000
PART = 200
"""Replicates by which one sees how much rows and columns each contribute."""
CELLS = 2_000_000
"""Replicates times returns held at once."""
SHARED = -1
ONE_EPISODE = "one episode tells nothing of its uncertainty"


@dataclass(frozen=True)
class Band:
    """A learning curve over seeds at common ``steps`` (P,): the interquartile mean ``middle``, the ends ``low`` and
    ``high`` of its interval (NaN for one seed), and the ``lowest`` and ``highest`` of the seeds, all (P,)."""

    steps: Floats
    middle: Floats
    low: Floats
    high: Floats
    lowest: Floats
    highest: Floats


# ---------------------------------------------------------------- of one agent

def interquartile(values: ArrayLike) -> float:
    """The mean of the middle half of values (…): a quarter of them is cut off at each end, a value only in part where
    a quarter is not a whole number. Raises ValueError for no values."""
    flat = np.ravel(np.asarray(values, np.float64))
    if not flat.size:
        raise ValueError("no values")
    return float(_middle_half(flat, np.ones((1, flat.size)))[0])


def interquartile_mean(returns: ArrayLike, seed: int = 0, shared: bool = True,
                       replicates: int = REPLICATES) -> Estimate:
    """The interquartile mean of returns (n, m) with its interval. With ``shared`` column j is the same episode, reset
    by the same seed, in every row. Raises ValueError for returns that are not (n, m), none, or not finite."""
    table = _table(returns)
    return estimate(lambda weights: _middle_half(table.ravel(), weights[0]), [table], seed, shared, replicates)


# ---------------------------------------------------------------- of two

def difference(one: ArrayLike, other: ArrayLike, seed: int = 0, shared: bool = True,
               replicates: int = REPLICATES) -> Estimate:
    """By how much the interquartile mean of ``one`` (n, m) is above that of ``other`` (k, l). With ``shared`` column j
    is the same episode for both, which have equally many. Raises ValueError as :func:`interquartile_mean`, and where
    shared episodes are not equally many."""
    first, second = _pair(one, other, shared)
    return estimate(lambda weights: _middle_half(first.ravel(), weights[0]) - _middle_half(second.ravel(), weights[1]),
                    [first, second], seed, shared, replicates)


def improvement(one: ArrayLike, other: ArrayLike, seed: int = 0, shared: bool = True,
                replicates: int = REPLICATES) -> Estimate:
    """The probability that a run of ``one`` (n, m) is better than one of ``other`` (k, l): the share of pairs of
    returns in which it is above, equal ones counted half (Mann, Whitney 1947). Raises as :func:`difference`."""
    first, second = _pair(one, other, shared)
    return estimate(lambda weights: _above(first, second, *weights), [first, second], seed, shared, replicates)


# ---------------------------------------------------------------- of any statistic

def estimate(statistic: Callable[[list[Floats]], Floats], tables: Sequence[ArrayLike], seed: int = 0,
             shared: bool = True, replicates: int = REPLICATES) -> Estimate:
    """Any number of returns with its interval, drawn as the module says. ``statistic`` gives it (R,) for a list of
    weights, (R, n m) for each of the ``tables`` (n, m): how often each return counts, rows one after the other. Raises
    ValueError as :func:`interquartile_mean`."""
    returns = [_table(one) for one in tables]
    middle = float(statistic([np.ones((1, table.size)) for table in returns])[0])
    parts = _parts(returns, shared)
    if not parts:
        return Estimate(middle, nan, nan, ONE_EPISODE)
    freedom = _freedom([(float(np.var(statistic(_weights(returns, [part], seed, PART)))), many - 1)
                        for part, many in parts.items()])
    drawn = statistic(_weights(returns, list(parts), seed, replicates))
    low, high = np.quantile(drawn, (_tail(freedom), 1 - _tail(freedom)))
    runs = dict.fromkeys(len(table) for table in returns if len(table) > 1)
    what = [f"{' and '.join(map(str, runs))} runs"] * bool(runs) + ["episodes"] * (shared or not runs)
    return Estimate(middle, float(low), float(high), f"bootstrap over {' and '.join(what)}")


# ---------------------------------------------------------------- while learning

def learning_curve(steps: Sequence[ArrayLike], returns: Sequence[ArrayLike], points: int = 50, seed: int = 0,
                   replicates: int = REPLICATES) -> Band:
    """The curves of n seeds as one band. ``steps`` and ``returns`` hold an array (p_i,) for each seed, steps rising; at
    most ``points`` common steps are where all seeds have been, between them curves are straight. Raises ValueError for
    no curves, and for curves that have no step in common."""
    curves = [(np.asarray(at, np.float64), np.asarray(got, np.float64))
              for at, got in zip(steps, returns, strict=True)]
    if not curves or any(not len(at) for at, _ in curves):
        raise ValueError("a learning curve needs values of every seed")
    first, last = max(at[0] for at, _ in curves), min(at[-1] for at, _ in curves)
    if first > last:
        raise ValueError("these curves have no steps in common")
    every = np.unique(np.concatenate([at for at, _ in curves]))
    common = every[(every >= first) & (every <= last)]
    if len(common) > points:
        common = np.linspace(first, last, points)
    table = np.stack([np.interp(common, at, got) for at, got in curves])  # (n, P)
    rows = len(table)
    middle = _middle_half(table.T, np.ones((1, rows)))[0]
    low, high = np.full_like(middle, nan), np.full_like(middle, nan)
    if rows > 1:
        weights = _counts(np.random.default_rng(seed), rows, replicates)
        tail = _tail(rows - 1)
        low, high = np.quantile(_middle_half(table.T, weights), (tail, 1 - tail), axis=0)
    return Band(common, middle, low, high, table.min(axis=0), table.max(axis=0))


# ---------------------------------------------------------------- how

def _table(returns: ArrayLike) -> Floats:
    table = np.asarray(returns, np.float64)
    if table.ndim != 2 or not table.size:
        raise ValueError("returns are a table of runs and episodes")
    if not np.isfinite(table).all():
        raise ValueError("returns have to be finite")
    return table


def _pair(one: ArrayLike, other: ArrayLike, shared: bool) -> tuple[Floats, Floats]:
    first, second = _table(one), _table(other)
    if shared and first.shape[1] != second.shape[1]:
        raise ValueError("shared episodes are equally many for both")
    return first, second


def _counts(rng: np.random.Generator, many: int, replicates: int) -> Floats:
    """How often each of ``many`` is drawn, (R, many)."""
    return rng.multinomial(many, np.full(many, 1 / many), size=replicates).astype(np.float64)


def _weights(tables: Sequence[Floats], parts: Sequence[int], seed: int, replicates: int) -> list[Floats]:
    """How often each return of each table counts in each replicate, (R, n m). Of table i the rows are drawn where i is
    in ``parts``, and the columns where -2 - i is; with ``SHARED`` those of all, alike."""
    rows = [_counts(np.random.default_rng([seed, 1 + i]), len(table), replicates) if i in parts
            else np.ones((replicates, len(table))) for i, table in enumerate(tables)]
    columns = [_counts(np.random.default_rng([seed, 0 if SHARED in parts else 11 + i]), table.shape[1], replicates)
               if SHARED in parts or -2 - i in parts else np.ones((replicates, table.shape[1]))
               for i, table in enumerate(tables)]
    return [(row[:, :, None] * column[:, None, :]).reshape(replicates, -1)
            for row, column in zip(rows, columns, strict=True)]


def _parts(tables: Sequence[Floats], shared: bool) -> dict[int, int]:
    """What is drawn again, as in :func:`_weights`, and how many there are of it."""
    parts = {i: len(table) for i, table in enumerate(tables) if len(table) > 1}
    if shared:
        parts[SHARED] = tables[0].shape[1]
    else:
        parts |= {-2 - i: table.shape[1] for i, table in enumerate(tables) if len(table) == 1}
    return {part: many for part, many in parts.items() if many > 1}


def _freedom(parts: Sequence[tuple[float, int]]) -> float:
    """Degrees of freedom of a sum of independent variances with theirs."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return float(max(freedom for _, freedom in parts))
    return total**2 / sum(variance**2 / freedom for variance, freedom in parts)


def _tail(freedom: float) -> float:
    """Probability left out on each side, so that the interval is as wide as Student's."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr(sqrt((freedom + 1) / freedom) * stdtrit(freedom, TAIL)))


def _middle_half(values: Floats, weights: Floats) -> Floats:
    """Interquartile means (R,) of values (N,), or (R, P) of values (P, N), with weights (R, N) of the same sum."""
    if values.ndim == 2:
        return np.stack([_middle_half(one, weights) for one in values], axis=1)
    order = np.argsort(values, kind="stable")
    ordered, results = values[order], np.empty(len(weights))
    chunk = max(1, CELLS // len(values))
    for start in range(0, len(weights), chunk):
        part = weights[start:start + chunk, order]
        upto = np.cumsum(part, axis=1)
        whole = upto[:, -1:]
        kept = np.clip(np.minimum(upto, 0.75 * whole) - np.maximum(upto - part, 0.25 * whole), 0.0, None)
        results[start:start + chunk] = kept @ ordered / (0.5 * whole[:, 0])
    return results


def _above(first: Floats, second: Floats, of_first: Floats, of_second: Floats) -> Floats:
    """Shares (R,) of pairs in which the first is above the second, with weights (R, n m) and (R, k l)."""
    mine, others = first.ravel(), second.ravel()
    order = np.argsort(others, kind="stable")
    below = np.searchsorted(others[order], mine, side="left")
    upto = np.searchsorted(others[order], mine, side="right")
    results = np.empty(len(of_first))
    chunk = max(1, CELLS // (len(mine) + len(others)))
    for start in range(0, len(of_first), chunk):
        part = slice(start, start + chunk)
        summed = np.cumsum(np.pad(of_second[part][:, order], ((0, 0), (1, 0))), axis=1)
        less = (summed[:, below] + summed[:, upto]) / 2
        results[part] = (of_first[part] * less).sum(axis=1) / (of_first[part].sum(axis=1) * summed[:, -1])
    return results
