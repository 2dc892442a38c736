"""What is measured of agents: numbers of the returns of their episodes, and how sure they are.

Takes what episodes came to, as :mod:`automl_phys.agents` predicts it: (E, 4) of one training, or (S, E, 4) of S
trainings that played the same E episodes; gives numbers with their 68 % intervals, which are over trainings and over
episodes: the episodes of a training share its luck. How is :mod:`automl_phys.interquartile`'s work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from automl_phys import interquartile
from automl_phys.agents import EXPLORING_RETURN, LENGTH, RETURN
from automl_phys.exhibits import Estimate
from automl_phys.values import Array

Floats = NDArray[np.float64]
Formula: TypeAlias = Callable[[Floats, Floats], Floats]
"""Numbers (R,) of values (N,) with weights (R, N)."""

LOW = 0.1
"""Share of the episodes whose returns are below ``low_return``."""


def _mean(values: Floats, weights: Floats) -> Floats:
    means: Floats = weights @ values / weights.sum(axis=1)
    return means


def _low(values: Floats, weights: Floats) -> Floats:
    """The value that a share of ``LOW`` of the weight is below."""
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weights[:, order], axis=1)
    lowest: Floats = values[order][(upto >= LOW * upto[:, -1:] * (1 - 1e-12)).argmax(axis=1)]
    return lowest


FORMULAS: Mapping[str, tuple[int, Formula | None]] = {
    "mean_return": (RETURN, _mean), "interquartile_return": (RETURN, None), "low_return": (RETURN, _low),
    "stochastic_return": (EXPLORING_RETURN, _mean), "episode_length": (LENGTH, _mean)}
"""Column of the predictions, and what is made of it; None for the interquartile mean."""


def value(objective: str, predictions: Array) -> float:
    """The objective of episodes (E, 4). Raises KeyError for an unknown one."""
    column, formula = FORMULAS[objective]
    values = np.asarray(predictions, np.float64)[:, column]
    if formula is None:
        return interquartile.interquartile(values)
    return float(formula(values, np.ones((1, len(values))))[0])


def estimate(name: str, predictions: Array, seed: int = 0) -> Estimate:
    """A metric of trainings (S, E, 4) with its interval. Raises KeyError for an unknown one."""
    column, formula = FORMULAS[name]
    return of(formula, np.asarray(predictions, np.float64)[..., column], seed)


def mean(returns: Floats, seed: int = 0) -> Estimate:
    """The mean of returns (S, E) with its interval."""
    return of(_mean, returns, seed)


def of(formula: Formula | None, returns: Floats, seed: int) -> Estimate:
    """A number of returns (S, E) with its interval."""
    if formula is None:
        return interquartile.interquartile_mean(returns, seed)
    return interquartile.estimate(lambda weights: formula(returns.ravel(), weights[0]), [returns], seed)


def gain(name: str, better: Array, other: Array, seed: int = 0) -> Estimate:
    """By how much a metric of ``better`` (S, E, 4) is above that of ``other`` (T, E, 4), which played the same
    episodes."""
    column, formula = FORMULAS[name]
    first, second = (np.asarray(one, np.float64)[..., column] for one in (better, other))
    return difference(first, second, seed, formula)


def difference(first: Floats, second: Floats, seed: int = 0, formula: Formula | None = _mean) -> Estimate:
    """By how much the mean, or another number, of returns (S, E) is above that of others (T, E)."""
    if formula is None:
        return interquartile.difference(first, second, seed)
    return interquartile.estimate(
        lambda weights: formula(first.ravel(), weights[0]) - formula(second.ravel(), weights[1]), [first, second], seed)
