"""What Keras networks minimise and predict: classes, and amounts under several losses.

Takes the words of a recipe; gives a ``keras_fit.Head`` and the layer that ends the saved model. Targets are one-hot
rows (n, classes), or amounts (n, t) standardised; networks give (n, outputs), or (n, members, outputs) when several
share their weights. Imports Keras: import this module inside the function that builds a network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from automl_phys.keras_fit import Head
from automl_phys.layers import PACKAGE, Fixed, mean_probability
from automl_phys.values import Array

OUTPUTS = {"squared": 1, "absolute": 1, "huber": 1, "quantile": 3, "gaussian": 2}
"""Numbers that a network gives for each amount: value; median and the distances to the quantiles at -σ and +σ; mean and
logarithm of the variance."""
LEVELS = (0.158655, 0.5, 0.841345)
HUBER = 1.35
"""Where the loss turns from squared to absolute, in standard deviations of the target (Huber 1964)."""
BETA = 0.5
"""Exponent of the variance by which the Gaussian loss of a row is weighted, so that rows that fit badly are not given
up (Seitzer et al. 2022, arXiv:2203.09168)."""
LOG_VARIANCE = (-14.0, 10.0)
LEAST_SIGMA = 1e-3


def classes(smoothing: float) -> Head:
    """Cross-entropy with smoothed labels, class probabilities, log loss."""
    def loss(target: Any, logits: Any) -> Any:
        """Cross-entropy of each row; members are trained each on its own, so theirs are averaged."""
        target = target * (1 - smoothing) + smoothing / target.shape[-1]
        if len(logits.shape) == 3:
            return -ops.mean(ops.sum(target[:, None, :] * ops.log_softmax(logits, axis=-1), axis=-1), axis=1)
        return -ops.sum(target * ops.log_softmax(logits, axis=-1), axis=-1)

    def log_loss(target: Any, probabilities: Any) -> Any:
        return -ops.log(ops.clip(ops.sum(target * probabilities, axis=-1), 1e-7, 1.0))

    return Head(loss, mean_probability, log_loss)


@dataclass(frozen=True)
class Unit:
    """The unit of each target (t,): ``centre`` was taken off the amounts, which were divided by ``width``."""

    centre: Array
    width: Array


def amounts(kind: str, unit: Unit) -> Head:
    """The head of amounts under the loss ``kind``; predictions are value and uncertainty (n, t, 2) in the targets'
    unit, the uncertainty 1 standard deviation of the target where the loss knows none."""
    def finish(outputs: Any) -> Any:
        value, sigma = combined(outputs, kind)
        return ops.stack([unit.centre + unit.width * value, unit.width * sigma], axis=-1)

    def judge(target: Any, predictions: Any) -> Any:
        value, sigma = (predictions[..., 0] - unit.centre) / unit.width, predictions[..., 1] / unit.width
        return ops.sum(_judged(target - value, sigma, kind), axis=-1)

    return Head(lambda target, outputs: _loss(target, outputs, kind), finish, judge)


def _apart(outputs: Any, kind: str) -> Any:
    """Outputs as (n, members, t, numbers of each amount)."""
    each = OUTPUTS[kind]
    members = 1 if len(outputs.shape) == 2 else outputs.shape[1]
    return ops.reshape(outputs, (-1, members, outputs.shape[-1] // each, each))


def combined(outputs: Any, kind: str) -> tuple[Any, Any]:
    """Value and uncertainty (n, t), standardised: means over the members; their spread is part of a Gaussian's variance
    (law of total variance)."""
    apart = _apart(outputs, kind)
    value = ops.mean(apart[..., 0], axis=1)
    if kind == "gaussian":
        variance = ops.exp(ops.clip(apart[..., 1], *LOG_VARIANCE))
        spread = ops.mean(variance + apart[..., 0] ** 2, axis=1) - value**2
        return value, ops.sqrt(ops.maximum(spread, math.exp(LOG_VARIANCE[0])))
    if kind == "quantile":
        return value, ops.mean((ops.softplus(apart[..., 1]) + ops.softplus(apart[..., 2])) / 2, axis=1) + LEAST_SIGMA
    return value, ops.ones_like(value)


def _loss(target: Any, outputs: Any, kind: str) -> Any:
    """The loss of each row (n,), summed over amounts; members are trained each on its own, so theirs are averaged."""
    apart, target = _apart(outputs, kind), target[:, None, :]
    if kind == "gaussian":
        logarithm = ops.clip(apart[..., 1], *LOG_VARIANCE)
        variance = ops.exp(logarithm)
        each = (logarithm + (target - apart[..., 0]) ** 2 / variance) / 2 * ops.stop_gradient(variance) ** BETA
    elif kind == "quantile":
        low = apart[..., 0] - ops.softplus(apart[..., 1])
        high = apart[..., 0] + ops.softplus(apart[..., 2])
        each = sum(_pinball(target - q, level) for q, level in zip((low, apart[..., 0], high), LEVELS, strict=True))
    else:
        each = _simple(target - apart[..., 0], kind)
    return ops.mean(ops.sum(each, axis=-1), axis=1)


def _judged(residual: Any, sigma: Any, kind: str) -> Any:
    if kind == "gaussian":
        return ops.log(sigma) + residual**2 / (2 * sigma**2)
    if kind == "quantile":
        shifts = (-sigma, 0.0, sigma)
        return sum(_pinball(residual - shift, level) for shift, level in zip(shifts, LEVELS, strict=True))
    return _simple(residual, kind)


def _simple(residual: Any, kind: str) -> Any:
    size = ops.abs(residual)
    if kind == "squared":
        return residual**2
    if kind == "absolute":
        return size
    return ops.where(size <= HUBER, residual**2 / 2, HUBER * (size - HUBER / 2))


def _pinball(residual: Any, level: float) -> Any:
    """The loss whose minimum is the quantile ``level`` (Koenker, Bassett 1978)."""
    return ops.maximum(level * residual, (level - 1) * residual)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Amounts(Fixed):
    """The end of a saved network: its outputs as value and uncertainty (n, t, 2) in the targets' unit. ``sigma`` (t,)
    is the uncertainty where the loss knows none."""

    def __init__(self, kind: str, **config: Any) -> None:
        super().__init__(**config)
        self.kind = kind

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind}

    def build(self, shape: tuple[int | None, ...]) -> None:
        targets = int(shape[-1] or 0) // OUTPUTS[self.kind]
        for name in ("centre", "width", "sigma"):
            self._reserve(name, targets)

    def state(self, unit: Unit, sigma: Array) -> None:
        """Set what was found in training."""
        for name, values in (("centre", unit.centre), ("width", unit.width), ("sigma", sigma)):
            getattr(self, name).assign(values)

    def call(self, outputs: Any) -> Any:
        value, sigma = combined(outputs, self.kind)
        known = self.width * sigma if self.kind in {"gaussian", "quantile"} else ops.ones_like(value) * self.sigma
        return ops.stack([self.centre + self.width * value, known], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], int(shape[-1] or 0) // OUTPUTS[self.kind], 2
