"""Keras layers of a diffusion model as T. Karras et al. have it (EDM, arXiv:2206.00364): a network that takes noise
away, preconditioned so that it is asked for something of unit size at every noise level.

Imports Keras: import this module inside the function that builds or loads a network.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from automl_phys.coupling_layers import Residual
from automl_phys.layers import PACKAGE
from automl_phys.picture_networks import Pictures

MEAN, SPREAD = {"table": -1.2, "images": -0.5}, 1.4
"""Of the logarithm of the noise levels that are trained on."""
LOWEST = {"table": 0.004, "images": 0.05}
HIGHEST = {"table": 10.0, "images": 25.0}
"""Noise levels of the sampler, in standard deviations of the events. Columns are not correlated, as pixels are: less
noise hides all that is known of them, and a pixel is empty or lit where a number has digits."""
BEND = 7.0
"""How noise levels are spaced (ρ)."""
WAVES = 16
"""Pairs of waves by which the noise level is told."""
FIRST = 0.1
"""Variance of what the network says before it has learnt anything, about."""
EVALUATED = 1234
"""Seed of the noise with which validation events are judged: always the same."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Denoiser(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """From events (n, d) or (n, h, w, c), each about N(0, 1), to the loss of each, (n, 1): the squared error with which
    noise drawn anew is taken away. ``units`` and ``layers`` are of the network."""

    def __init__(self, units: int, layers: int, dropout: float = 0.0, seed: int = 0, **config: Any) -> None:
        super().__init__(**config)
        self.units, self.layers_, self.dropout, self.seed = units, layers, dropout, seed
        self.random = keras.random.SeedGenerator(seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "layers": self.layers_, "dropout": self.dropout,
                "seed": self.seed}

    def build(self, events_shape: Any, condition_shape: Any = None) -> None:
        self.sides = tuple(int(side) for side in events_shape[1:])
        given = int(condition_shape[-1]) if condition_shape else 0
        told = 2 * WAVES + given
        self.kind = "table" if len(self.sides) == 1 else "images"
        if len(self.sides) == 1:
            self._first = keras.layers.Dense(self.units)
            # all zeros here and at the end would be a saddle point, which takes thousands of steps to leave where
            # columns are not correlated
            self._blocks = [Residual(self.units, self.dropout, "glorot_uniform") for _ in range(self.layers_)]
            self._told = [keras.layers.Dense(self.units) for _ in range(self.layers_)]
            self._last = keras.layers.Dense(self.sides[0], kernel_initializer=keras.initializers.VarianceScaling(FIRST))
            self._first.build((None, self.sides[0]))
            self._last.build((None, self.units))
            for block, layer in zip(self._blocks, self._told, strict=True):
                block.build((None, self.units))
                layer.build((None, told))
        else:
            self._pictures = Pictures(self.units, self.layers_, told)
            self._pictures.build((None, *self.sides))
        self.built = True

    def call(self, events: Any, condition: Any = None, training: bool = False) -> Any:
        shape = ops.shape(events)
        seeds = (self.random, self.random) if training else (EVALUATED, EVALUATED + 1)
        level = ops.exp(MEAN[self.kind] + SPREAD * keras.random.normal((shape[0],), seed=seeds[0]))
        noise = keras.random.normal(shape, seed=seeds[1])
        level_ = ops.reshape(level, (-1, *(1 for _ in self.sides)))
        found = self.denoised(events + level_ * noise, level, condition, training)
        error = ops.mean(ops.square(found - events), axis=tuple(range(1, 1 + len(self.sides))))
        return (error * (level**2 + 1) / level**2)[:, None]

    def denoised(self, noisy: Any, level: Any, condition: Any = None, training: bool = False) -> Any:
        """Events without the noise of a ``level`` (n,), as the network sees them."""
        level_ = ops.reshape(level, (-1, *(1 for _ in self.sides)))
        within = ops.rsqrt(1 + level_**2)
        waves = ops.exp(ops.cast(np.linspace(math.log(0.3), math.log(20), WAVES), noisy.dtype))
        phase = 0.25 * ops.log(level)[:, None] * waves
        told = ops.concatenate([ops.sin(phase), ops.cos(phase), *([] if condition is None else [condition])], axis=1)
        return noisy * within**2 + level_ * within * self._network(noisy * within, told, training)

    def _network(self, values: Any, told: Any, training: bool) -> Any:
        if len(self.sides) > 1:
            return self._pictures(values, told)
        hidden = self._first(values)
        for block, layer in zip(self._blocks, self._told, strict=True):
            hidden = block(hidden + layer(told), training=training)
        return self._last(ops.silu(hidden))

    def drawn(self, start: Any, condition: Any, steps: int) -> Any:
        """Events from standard normal ``start`` in ``steps`` noise levels, by the multistep solver of C. Lu et al.
        (DPM-Solver++(2M), arXiv:2211.01095). It is of the second order as Heun's method is, which asks the network
        twice at each level."""
        highest, lowest = HIGHEST[self.kind], LOWEST[self.kind]
        levels = np.linspace(highest ** (1 / BEND), lowest ** (1 / BEND), steps) ** BEND
        fall = np.log(levels[:-1] / levels[1:])
        further = np.append(0.0, fall[1:] / (2 * fall[:-1]))  # the first step has nothing behind it
        ones = ops.ones((ops.shape(start)[0],))

        def step(state: Any, told: Any) -> Any:
            (events, before), (now, kept, extra) = state, (told[0], told[1], told[2])
            found = self.denoised(events, ones * now, condition)
            return (kept * events + (1 - kept) * (found + extra * (found - before)), found), None

        each = ops.convert_to_tensor(np.stack([levels[:-1], np.exp(-fall), further], axis=1), dtype=start.dtype)
        # A loop that is compiled once, whatever the number of steps.
        first = start * math.sqrt(highest**2 + 1)
        (events, _), _ = ops.scan(step, (first, ops.zeros_like(first)), each)
        return self.denoised(events, ones * lowest, condition)  # the last step, to no noise at all
