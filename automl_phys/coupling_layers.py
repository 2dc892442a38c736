"""Keras layers of a normalising flow: couplings, which change some columns by what the others and the condition say.

A coupling's map is affine (L. Dinh et al., arXiv:1605.08803) or a monotonic rational-quadratic spline with linear tails
(C. Durkan et al., arXiv:1906.04032); both are inverted exactly. Imports Keras: import this module inside the function
that builds or loads a network.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from automl_phys.layers import PACKAGE

TAIL = 5.0
"""Splines are the identity beyond so many standard deviations."""
LEAST_WIDTH = 1e-3
"""Of a bin, as a share of all; and of a slope."""
MOST_SCALE = 3.0
"""Of the logarithm of an affine map's scale."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Couplings(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """A flow of ``steps`` couplings from events (n, d) to a standard normal base; which columns are changed alternates
    over random halves. ``bins`` of a spline, 0 for affine maps. A layer's call gives the negative logarithm of the
    density of each event, (n, 1)."""

    def __init__(self, steps: int, bins: int, units: int, layers: int, dropout: float = 0.0, **config: Any) -> None:
        super().__init__(**config)
        self.steps, self.bins, self.units, self.layers_, self.dropout = steps, bins, units, layers, dropout

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps, "bins": self.bins, "units": self.units,
                "layers": self.layers_, "dropout": self.dropout}

    def build(self, events_shape: Any, condition_shape: Any = None) -> None:
        self.columns = int(events_shape[-1])
        given = int(condition_shape[-1]) if condition_shape else 0
        self._halves = [_halves(self.columns, step) for step in range(self.steps)]
        each = 3 * self.bins - 1 if self.bins else 2
        self._networks = []
        for kept, changed in self._halves:
            body = [keras.layers.Dense(self.units)]
            body += [Residual(self.units, self.dropout) for _ in range(self.layers_)]
            body.append(keras.layers.Dense(len(changed) * each, kernel_initializer="zeros"))
            network = keras.Sequential(body)
            network.build((None, len(kept) + given + 1))
            self._networks.append(network)
        self.built = True

    def call(self, events: Any, condition: Any = None, training: bool = False) -> Any:
        base, volume = self.to_base(events, condition, training)
        squares = ops.sum(ops.square(base), axis=1)
        return (0.5 * squares + 0.5 * self.columns * math.log(2 * math.pi) - volume)[:, None]

    def to_base(self, events: Any, condition: Any = None, training: bool = False) -> tuple[Any, Any]:
        """The base points (n, d) of events, and the logarithm of the map's determinant (n,)."""
        volume = ops.zeros(ops.shape(events)[0])
        for (kept, changed), network in zip(self._halves, self._networks, strict=True):
            moved, gained = self._map(network, events, kept, changed, condition, training, False)
            events, volume = _joined(events, moved, kept, changed), volume + gained
        return events, volume

    def to_events(self, base: Any, condition: Any = None) -> Any:
        """The events (n, d) of base points."""
        for (kept, changed), network in zip(self._halves[::-1], self._networks[::-1], strict=True):
            moved, _ = self._map(network, base, kept, changed, condition, False, True)
            base = _joined(base, moved, kept, changed)
        return base

    def _map(self, network: Any, values: Any, kept: list[int], changed: list[int], condition: Any, training: bool,
             inverse: bool) -> tuple[Any, Any]:
        one = ops.ones((ops.shape(values)[0], 1))  # so that a single column has something to be changed by
        seen = [ops.take(values, kept, axis=1), one] if kept else [one]
        told = network(ops.concatenate([*seen, *([] if condition is None else [condition])], axis=1),
                       training=training)
        told = ops.reshape(told, (-1, len(changed), 3 * self.bins - 1 if self.bins else 2))
        some = ops.take(values, changed, axis=1)
        moved, gained = spline(some, told, self.bins, inverse) if self.bins else affine(some, told, inverse)
        return moved, ops.sum(gained, axis=1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Residual(keras.layers.Layer):  # type: ignore[misc]
    """x + W₂ φ(W₁ φ(x)), φ the SiLU; W₂ begins as ``start`` says, at zero by itself."""

    def __init__(self, units: int, dropout: float = 0.0, start: str = "zeros", **config: Any) -> None:
        super().__init__(**config)
        self.units, self.dropout, self.start = units, dropout, start

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "dropout": self.dropout, "start": self.start}

    def build(self, shape: Any) -> None:
        self._inner = keras.layers.Dense(self.units, "silu")
        self._drop = keras.layers.Dropout(self.dropout)
        self._outer = keras.layers.Dense(self.units, kernel_initializer=self.start)
        self._inner.build((None, int(shape[-1])))
        self._outer.build((None, self.units))
        self.built = True

    def call(self, values: Any, training: bool = False) -> Any:
        return values + self._outer(self._drop(self._inner(ops.silu(values)), training=training))

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def _halves(columns: int, step: int) -> tuple[list[int], list[int]]:
    """Columns that a step keeps and those that it changes: random halves, the next step the other way round."""
    order = np.random.default_rng(step // 2).permutation(columns)
    first, second = sorted(order[: columns // 2].tolist()), sorted(order[columns // 2:].tolist())
    return (first, second) if step % 2 == 0 or not first else (second, first)


def _joined(values: Any, moved: Any, kept: list[int], changed: list[int]) -> Any:
    """Columns that were kept and those that were changed, each in its place."""
    back = np.argsort([*kept, *changed])
    parts = [ops.take(values, kept, axis=1), moved] if kept else [moved]
    return ops.take(ops.concatenate(parts, axis=1), back, axis=1)


def affine(values: Any, told: Any, inverse: bool) -> tuple[Any, Any]:
    """The map x eˢ + t of values (n, m) by what a network told (n, m, 2), and the logarithm of the slope (n, m)."""
    scale = MOST_SCALE * ops.tanh(told[..., 0] / MOST_SCALE)
    if inverse:
        return (values - told[..., 1]) * ops.exp(-scale), -scale
    return values * ops.exp(scale) + told[..., 1], scale


def spline(values: Any, told: Any, bins: int, inverse: bool) -> tuple[Any, Any]:
    """The rational-quadratic spline of values (n, m) by what a network told (n, m, 3 K - 1): widths and heights of the
    bins and slopes between them; and the logarithm of the slope (n, m). Equations 4 to 8 of arXiv:1906.04032."""
    left, width = _knots(told[..., :bins])
    below, height = _knots(told[..., bins:2 * bins])
    raw = ops.pad(told[..., 2 * bins:], ((0, 0), (0, 0), (1, 1)))
    within = ops.abs(values) < TAIL
    inside = ops.clip(values, -TAIL, TAIL)
    reached = ops.cast(inside[..., None] >= (below if inverse else left)[..., 1:], values.dtype)
    which = ops.pad(reached, ((0, 0), (0, 0), (1, 0)), constant_values=1) - ops.pad(reached, ((0, 0), (0, 0), (0, 1)))

    def of(parts: Any) -> Any:
        return ops.sum(parts * which, axis=-1)

    x, w, y, h, d, e = of(left), of(width), of(below), of(height), _slope(of(raw[..., :-1])), _slope(of(raw[..., 1:]))
    s = h / w
    if inverse:
        rise = inside - y
        a = h * (s - d) + rise * (e + d - 2 * s)
        b = h * d - rise * (e + d - 2 * s)
        c = -s * rise
        part = 2 * c / (-b - ops.sqrt(ops.maximum(b * b - 4 * a * c, 0.0)))
    else:
        part = (inside - x) / w
    part = ops.clip(part, 0.0, 1.0)
    both = part * (1 - part)
    bottom = s + (e + d - 2 * s) * both
    slope = ops.log(s * s * (e * part * part + 2 * s * both + d * (1 - part) ** 2)) - 2 * ops.log(bottom)
    found = x + part * w if inverse else y + h * (s * part * part + d * both) / bottom
    return ops.where(within, found, values), ops.where(within, -slope if inverse else slope, ops.zeros_like(slope))


def _slope(told: Any) -> Any:
    """The slope at a knot; 1 of 0, so that untrained splines are the identity, and all have the slope 1 at the ends."""
    return LEAST_WIDTH + ops.softplus(told + math.log(math.expm1(1 - LEAST_WIDTH)))


def _knots(told: Any) -> tuple[Any, Any]:
    """Where bins begin and how wide they are, (n, m, K), from -TAIL to TAIL."""
    bins = told.shape[-1]
    shares = LEAST_WIDTH + (1 - LEAST_WIDTH * bins) * ops.softmax(told, axis=-1)
    widths = 2 * TAIL * shares
    return ops.cumsum(widths, axis=-1) - widths - TAIL, widths
