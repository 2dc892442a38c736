"""Keras layers of networks that detect anomalies: their outputs for an event are what is added up to its score.

Imports Keras: import this module inside the function that builds or loads a network.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from automl_phys.layers import PACKAGE
from automl_phys.variational_layers import Variational

MOVING = 0.98
"""Share of a moving mean that stays at each step."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class SquaredErrors(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """From events (n, d) and what a network gives back of them to the squared error of each column, (n, d)."""

    def call(self, events: Any, given_back: Any) -> Any:
        return ops.square(events - given_back)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Improbability(Variational):
    """From events (n, d) to what each column adds to the negative bound of the log-likelihood, (n, d): -log p(x|z) of
    the column, and its share of β KL. While training z is drawn; else it is the most probable one, so that an event has
    the same score wherever it stands."""

    def call(self, events: Any, condition: Any = None, training: bool = False) -> Any:
        told = self._encoded(events, condition)
        mean, spread = told[:, :self.dimensions], ops.clip(told[:, self.dimensions:], -12.0, 8.0)
        code, weight = mean, self.beta
        if training:
            code = mean + ops.exp(spread / 2) * keras.random.normal(ops.shape(mean), seed=self.random)
            self.step.assign_add(1.0)
            weight = self.beta * ops.minimum(1.0, self.step / max(1, self.warm))
        variance = self._bounded
        error = ops.square(self.decoded(code, condition) - events) / ops.exp(variance)
        divergence = 0.5 * ops.sum(ops.exp(spread) + ops.square(mean) - 1 - spread, axis=1, keepdims=True)
        return 0.5 * (error + variance + math.log(2 * math.pi)) + weight * divergence / self.numbers


@keras.saving.register_keras_serializable(package=PACKAGE)
class OneClass(keras.layers.Layer):  # type: ignore[misc]
    """From events (n, d) to squared distances along each of ``outputs`` columns from a fixed centre, (n, outputs), by
    a network without biases, in units of what they are on average of noise: differences of two events times √2, which
    vary as events do but twice as much. A network that takes all of these to the centre as well gains nothing: it does
    not collapse."""

    def __init__(self, widths: list[int], outputs: int, seed: int = 0, **config: Any) -> None:
        super().__init__(**config)
        self.widths, self.outputs, self.seed = list(widths), outputs, seed
        self.random = keras.random.SeedGenerator(seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "widths": self.widths, "outputs": self.outputs, "seed": self.seed}

    def build(self, shape: Any) -> None:
        self._dense = [keras.layers.Dense(units, use_bias=False) for units in (*self.widths, self.outputs)]
        columns = int(shape[-1])
        for layer in self._dense:
            layer.build((None, columns))
            columns = layer.units
        self.centre = self.add_weight(name="centre", shape=(self.outputs,), initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=(), initializer="ones", trainable=False)
        self.built = True

    def places(self, events: Any) -> Any:
        """Where events (n, d) are taken, (n, outputs)."""
        for layer in self._dense[:-1]:
            events = ops.leaky_relu(layer(events), 0.1)
        return self._dense[-1](events)

    def call(self, events: Any, training: bool = False) -> Any:
        distances = ops.square(self.places(events) - self.centre)
        if not training:
            return distances / self.scale
        noise = math.sqrt(2) * (events - keras.random.shuffle(events, axis=0, seed=self.random))
        usual = ops.mean(ops.square(self.places(noise) - self.centre)) + 1e-12
        self.scale.assign(MOVING * self.scale + (1 - MOVING) * ops.stop_gradient(usual))
        return distances / usual
