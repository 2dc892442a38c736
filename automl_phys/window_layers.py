"""Keras layers for networks on windows of series: steps before one, and quantiles that do not cross.

Imports Keras: import this module inside the function that builds a network.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import keras
from keras import ops

from automl_phys.layers import PACKAGE
from automl_phys.series_problem import LEVELS, MEDIAN

SPREAD = 0.5
"""Standard deviation of a forecast before anything is learnt, in the window's units."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Taps(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Each step beside those ``dilation``, 2 × ``dilation`` … before it, ``taps`` in all, zeros before the first:
    (n, k, c) to (n, k, taps × c). A dense layer behind it makes it a causal convolution, which frameworks are slow at
    on CPUs."""

    def __init__(self, dilation: int, taps: int, **config: Any) -> None:
        super().__init__(**config)
        self.dilation, self.taps = dilation, taps

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dilation": self.dilation, "taps": self.taps}

    def call(self, values: Any) -> Any:
        steps = values.shape[1]
        shifts = [min(i * self.dilation, steps) for i in range(self.taps)]
        return ops.concatenate([ops.pad(values[:, :steps - shift], ((0, 0), (shift, 0), (0, 0))) for shift in shifts],
                               axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:-1], self.taps * int(shape[-1] or 0))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Quantiles(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Numbers (n, h, t, levels) to quantiles at ``LEVELS`` in order: the one in the middle is the median, those beside
    it make the distances from one quantile to the next, which are never negative."""

    def call(self, outputs: Any) -> Any:
        middle = outputs[..., MEDIAN:MEDIAN + 1]
        scores = [NormalDist().inv_cdf(level) for level in LEVELS]
        # Where the outputs are 0 the quantiles are those of a Gaussian.
        starts = [math.log(math.expm1(SPREAD * (b - a))) for a, b in pairwise(scores)]
        below = ops.softplus(outputs[..., :MEDIAN] + ops.convert_to_tensor(starts[:MEDIAN], outputs.dtype))
        above = ops.softplus(outputs[..., MEDIAN + 1:] + ops.convert_to_tensor(starts[MEDIAN:], outputs.dtype))
        down = ops.flip(ops.cumsum(ops.flip(below, axis=-1), axis=-1), axis=-1)
        return ops.concatenate([middle - down, middle, middle + ops.cumsum(above, axis=-1)], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape
