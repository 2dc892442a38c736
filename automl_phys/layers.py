"""Keras layers for networks on tables, and the learning-rate schedule.

Fixed layers (``RobustScale``, ``LogScale``, ``PiecewiseLinear``) are fitted once on training rows with ``adapt`` and
are part of the saved model, which therefore takes raw features. Learned layers follow the papers that their docstrings
name.
Imports Keras: import this module inside the function that builds a network.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from automl_phys.values import Array

PACKAGE = "automl_phys"
NORMAL_IQR = 1.349
"""Distance between the quartiles of a standard normal distribution."""


def weighted_quantiles(values: Array, weight: Array, levels: Array) -> Array:
    """Quantiles of each column of ``values`` (n, d) under ``weight`` (n,); gives (levels, d)."""
    return np.stack([np.quantile(column, levels, weights=weight, method="inverted_cdf")
                     for column in np.asarray(values, dtype=np.float64).T], axis=1)


class Fixed(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """A layer whose weights are statistics of the training rows, set by ``adapt`` and never trained."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**{**config, "trainable": False})

    def _statistic(self, name: str, values: Array) -> None:
        """Keep ``values`` as a weight called ``name``."""
        getattr(self, name).assign(values)

    def _reserve(self, name: str, *shape: int) -> None:
        setattr(self, name, self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False))


@keras.saving.register_keras_serializable(package=PACKAGE)
class RobustScale(Fixed):
    """(x − median) / IQR with a smooth clip at ±3, as RealMLP does (Holzmüller et al. 2024, arXiv:2407.04491)."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self._reserve("centre", int(shape[-1] or 0))
        self._reserve("scale", int(shape[-1] or 0))

    def adapt(self, values: Array, weight: Array) -> None:
        """Fit on training rows (n, d) with weights (n,)."""
        self.build(values.shape)
        low, middle, high = weighted_quantiles(values, weight, np.array([0.25, 0.5, 0.75]))
        spread = (high - low) / NORMAL_IQR
        spread = np.where(spread > 0, spread, values.std(axis=0))
        self._statistic("centre", middle)
        self._statistic("scale", 1 / np.where(spread > 0, spread, 1))
        self.built = True

    def call(self, values: Any) -> Any:
        scaled = (values - self.centre) * self.scale
        return scaled / ops.sqrt(1 + ops.square(scaled / 3))


@keras.saving.register_keras_serializable(package=PACKAGE)
class LogScale(Fixed):
    """Standardised logarithm of non-negative features (asinh of the others), so that ratios become differences."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        for name in ("positive", "offset", "middle", "centre", "scale"):
            self._reserve(name, int(shape[-1] or 0))

    def adapt(self, values: Array, weight: Array) -> None:
        """Fit on training rows (n, d) with weights (n,)."""
        self.build(values.shape)
        values = np.asarray(values, dtype=np.float64)
        low, middle, high = weighted_quantiles(values, weight, np.array([0.25, 0.5, 0.75]))
        spread = np.where(high > low, (high - low) / NORMAL_IQR, values.std(axis=0))
        spread = np.where(spread > 0, spread, 1)
        positive = values.min(axis=0) >= 0
        offset = np.where(positive, 0.01 * np.abs(middle) + 1e-3 * spread, spread)
        logs = np.where(positive, np.log(np.maximum(values, 0) + offset), np.arcsinh((values - middle) / offset))
        centre = np.average(logs, axis=0, weights=weight)
        width = np.sqrt(np.average((logs - centre) ** 2, axis=0, weights=weight))
        for name, statistic in (("positive", positive), ("offset", offset), ("middle", middle), ("centre", centre),
                                ("scale", 1 / np.where(width > 0, width, 1))):
            self._statistic(name, statistic)
        self.built = True

    def call(self, values: Any) -> Any:
        logs = ops.where(self.positive > 0.5, ops.log(ops.maximum(values, 0.0) + self.offset),
                         ops.arcsinh((values - self.middle) / self.offset))
        scaled = (logs - self.centre) * self.scale
        return scaled / ops.sqrt(1 + ops.square(scaled / 4))


@keras.saving.register_keras_serializable(package=PACKAGE)
class PiecewiseLinear(Fixed):
    """Piecewise-linear encoding in quantile bins: each feature becomes ``bins`` numbers in −1 … 1
    (Gorishniy et al. 2022, arXiv:2203.05556)."""

    def __init__(self, bins: int = 8, **config: Any) -> None:
        super().__init__(**config)
        self.bins = bins

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins}

    def build(self, shape: tuple[int | None, ...]) -> None:
        self._reserve("low", int(shape[-1] or 0), self.bins)
        self._reserve("slope", int(shape[-1] or 0), self.bins)

    def adapt(self, values: Array, weight: Array) -> None:
        """Fit on training rows (n, d) with weights (n,)."""
        self.build(values.shape)
        edges = weighted_quantiles(values, weight, np.linspace(0, 1, self.bins + 1)).T
        widths = np.diff(edges, axis=1)
        self._statistic("low", edges[:, :-1])
        self._statistic("slope", np.where(widths > 0, 1 / np.where(widths > 0, widths, 1), 0))
        self.built = True

    def call(self, values: Any) -> Any:
        filled = ops.clip((values[..., None] - self.low) * self.slope, 0.0, 1.0)
        return ops.reshape(filled, (-1, filled.shape[1] * self.bins)) * 2 - 1

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], int(shape[-1] or 0) * self.bins


@keras.saving.register_keras_serializable(package=PACKAGE)
class FeatureScale(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """A learned factor for each feature (RealMLP, arXiv:2407.04491)."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="ones")

    def call(self, values: Any) -> Any:
        return values * self.factor


@keras.saving.register_keras_serializable(package=PACKAGE)
class PeriodicEmbedding(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Each feature x becomes [x, W cos(2π(f x + b)) + c] with learned f, b, W, c
    (Gorishniy et al. 2022, arXiv:2203.05556; in the densely connected form of RealMLP, arXiv:2407.04491)."""

    def __init__(self, frequencies: int = 16, size: int = 3, sigma: float = 0.1, **config: Any) -> None:
        super().__init__(**config)
        self.frequencies, self.size, self.sigma = frequencies, size, sigma

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frequencies": self.frequencies, "size": self.size, "sigma": self.sigma}

    def build(self, shape: tuple[int | None, ...]) -> None:
        features, count = shape[-1], self.frequencies
        bound = count**-0.5
        normal, uniform = keras.initializers.RandomNormal, keras.initializers.RandomUniform
        self.frequency = self.add_weight(name="frequency", shape=(features, count), initializer=normal(0, self.sigma))
        self.phase = self.add_weight(name="phase", shape=(features, count), initializer=uniform(-0.5, 0.5))
        self.mixing = self.add_weight(
            name="mixing", shape=(features, count, self.size), initializer=uniform(-bound, bound))
        self.bias = self.add_weight(name="bias", shape=(features, self.size), initializer="zeros")

    def call(self, values: Any) -> Any:
        waves = ops.cos(2 * math.pi * (values[..., None] * self.frequency + self.phase))
        mixed = ops.einsum("bdn,dnk->bdk", waves, self.mixing) + self.bias
        return ops.concatenate([values, ops.reshape(mixed, (-1, values.shape[-1] * self.size))], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], int(shape[-1] or 0) * (1 + self.size)


@keras.saving.register_keras_serializable(package=PACKAGE)
class MemberScale(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """A learned scaling of the features for each of ``members`` networks that share their other weights
    (TabM, Gorishniy et al. 2024, arXiv:2410.24210). Takes (n, d) or (n, members, d), gives (n, members, d)."""

    def __init__(self, members: int = 8, random: bool = False, **config: Any) -> None:
        super().__init__(**config)
        self.members, self.random = members, random

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "members": self.members, "random": self.random}

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.factor = self.add_weight(
            name="factor", shape=(self.members, shape[-1]), initializer=_random_signs if self.random else "ones")

    def call(self, values: Any) -> Any:
        return (values[:, None, :] if len(values.shape) == 2 else values) * self.factor

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], self.members, shape[-1]


@keras.saving.register_keras_serializable(package=PACKAGE)
class MemberDense(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """A dense layer of its own for each member: (n, members, d) to (n, members, units)."""

    def __init__(self, units: int, **config: Any) -> None:
        super().__init__(**config)
        self.units = units

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}

    def build(self, shape: tuple[int | None, ...]) -> None:
        _, members, features = shape
        bound = int(features or 1) ** -0.5
        self.kernel = self.add_weight(name="kernel", shape=(members, features, self.units),
                                      initializer=keras.initializers.RandomUniform(-bound, bound))
        self.bias = self.add_weight(name="bias", shape=(members, self.units), initializer="zeros")

    def call(self, values: Any) -> Any:
        return ops.einsum("bkd,kdo->bko", values, self.kernel) + self.bias

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return *shape[:-1], self.units


@keras.saving.register_keras_serializable(package=PACKAGE)
class MeanProbability(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Softmax of logits (n, classes); of logits (n, members, classes) the mean of the members' probabilities."""

    def call(self, logits: Any) -> Any:
        return mean_probability(logits)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], shape[-1]


@keras.saving.register_keras_serializable(package=PACKAGE)
class WarmCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]  # keras is not typed
    """Learning rate that rises linearly over the first ``warmup`` share of ``steps``, then falls to 0 as a cosine."""

    def __init__(self, peak: float, steps: int, warmup: float) -> None:
        self.peak, self.steps, self.warmup = peak, steps, warmup

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps, "warmup": self.warmup}

    def __call__(self, step: Any) -> Any:
        done = (ops.cast(step, "float32") + 0.5) / self.steps
        rise = ops.minimum(1.0, done / max(self.warmup, 1e-9))
        fall = ops.clip((done - self.warmup) / (1 - self.warmup), 0.0, 1.0)
        return self.peak * rise * 0.5 * (1 + ops.cos(math.pi * fall))


def mean_probability(logits: Any) -> Any:
    """Class probabilities (n, classes) of logits (n, classes) or (n, members, classes)."""
    probabilities = ops.softmax(logits, axis=-1)
    return ops.mean(probabilities, axis=1) if len(logits.shape) == 3 else probabilities


def _random_signs(shape: tuple[int, ...], dtype: Any = None) -> Any:
    return ops.sign(keras.random.uniform(shape, -1, 1, dtype=dtype))
