"""Keras layers of a variational autoencoder (D. Kingma, M. Welling, arXiv:1312.6114) with a weight β of its prior
(β-VAE, I. Higgins et al., ICLR 2017) that rises while the training begins, so that the code is not given up before it
is used.

Imports Keras: import this module inside the function that builds or loads a network.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from automl_phys.coupling_layers import Residual
from automl_phys.layers import PACKAGE
from automl_phys.picture_networks import Decoder, Encoder

EVALUATED = 1234
"""Seed of the codes by which validation events are judged: always the same."""
LEAST_LOG_VARIANCE = -7.0


@keras.saving.register_keras_serializable(package=PACKAGE)
class Variational(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """From events (n, d) or (n, h, w, c) to the loss of each, (n, 1): -log p(x|z) + β KL, per number of an event.
    ``dimensions`` of the code; ``warm`` steps in which β rises from 0. The decoder's variance is learnt, by column, or
    one for all pixels."""

    def __init__(self, dimensions: int, units: int, layers: int, beta: float, warm: int, seed: int = 0, **config: Any
                 ) -> None:
        super().__init__(**config)
        self.dimensions, self.units, self.layers_ = dimensions, units, layers
        self.beta, self.warm, self.seed = beta, warm, seed
        self.random = keras.random.SeedGenerator(seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dimensions": self.dimensions, "units": self.units, "layers": self.layers_,
                "beta": self.beta, "warm": self.warm, "seed": self.seed}

    def build(self, events_shape: Any, condition_shape: Any = None) -> None:
        self.sides = tuple(int(side) for side in events_shape[1:])
        self.numbers = math.prod(self.sides)
        given = int(condition_shape[-1]) if condition_shape else 0
        if len(self.sides) == 1:
            self._encoder = _dense(self.sides[0] + given, self.units, self.layers_, 2 * self.dimensions)
            self._decoder = _dense(self.dimensions + given, self.units, self.layers_, self.sides[0])
        else:
            self._encoder = Encoder(self.units, 2 * self.dimensions, given)
            self._encoder.build((None, *self.sides))
            self._decoder = Decoder(self.units, self.sides, self.dimensions + given)
            self._decoder.build((None, self.dimensions + given))
        shape = self.sides if len(self.sides) == 1 else (1,)
        self.log_variance = self.add_weight(name="log_variance", shape=shape, initializer="zeros")
        self.step = self.add_weight(name="step", shape=(), initializer="zeros", trainable=False)
        self.built = True

    def call(self, events: Any, condition: Any = None, training: bool = False) -> Any:
        told = self._encoded(events, condition)
        mean, spread = told[:, :self.dimensions], ops.clip(told[:, self.dimensions:], -12.0, 8.0)
        noise = keras.random.normal(ops.shape(mean), seed=self.random if training else EVALUATED)
        given_back = self.decoded(mean + ops.exp(spread / 2) * noise, condition)
        variance = self._bounded
        error = 0.5 * (ops.square(given_back - events) / ops.exp(variance) + variance + math.log(2 * math.pi))
        divergence = 0.5 * ops.sum(ops.exp(spread) + ops.square(mean) - 1 - spread, axis=1)
        weight: Any = self.beta
        if training:
            self.step.assign_add(1.0)
            weight = self.beta * ops.minimum(1.0, self.step / max(1, self.warm))
        total = ops.sum(ops.reshape(error, (-1, self.numbers)), axis=1) + weight * divergence
        return total[:, None] / self.numbers

    @property
    def _bounded(self) -> Any:
        return ops.maximum(self.log_variance, LEAST_LOG_VARIANCE)

    def _encoded(self, events: Any, condition: Any) -> Any:
        if len(self.sides) > 1:
            return self._encoder(events, condition)
        return self._encoder(events if condition is None else ops.concatenate([events, condition], axis=1))

    def decoded(self, code: Any, condition: Any = None) -> Any:
        """Events of codes (n, k), without the decoder's noise."""
        return self._decoder(code if condition is None else ops.concatenate([code, condition], axis=1))

    def drawn(self, code: Any, noise: Any, condition: Any = None) -> Any:
        """Events of standard normal codes, with the decoder's noise: without it they would be too smooth."""
        return self.decoded(code, condition) + ops.exp(self._bounded / 2) * noise


def _dense(inputs: int, units: int, layers: int, outputs: int) -> Any:
    network = keras.Sequential([keras.layers.Dense(units), *(Residual(units) for _ in range(layers)),
                                keras.layers.Activation("silu"), keras.layers.Dense(outputs)])
    network.build((None, inputs))
    return network
