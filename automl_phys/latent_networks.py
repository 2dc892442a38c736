"""What networks that generate have in common: they say their own loss, are trained on variates, and draw compiled.

Takes a network from variates and conditions to the loss of each event, (n, 1) or with more columns behind it; trains it
by :mod:`automl_phys.keras_fit`. Imports Keras: import this module inside the function that fits or loads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from automl_phys import keras_fit
from automl_phys.generating import Given, Looks, Part
from automl_phys.trials import Job, Watch
from automl_phys.values import Array

FILE = "network.keras"
AVERAGE = 7.0
"""The power of steps by which weights are averaged: the mean is over about the last tenth of the training so far."""


def inputs(z: Array, condition: Array) -> tuple[Array, ...]:
    """What a network is given of some events: their variates and, where there are any, their conditions (n, k)."""
    return (z, condition) if condition.shape[1] else (z,)


def inputs_of(given: Given) -> list[Any]:
    """Keras's inputs for the same."""
    keras = keras_fit.load_keras()
    made = [keras.Input(given.train.z.shape[1:], name="events")]
    if width := given.train.condition.shape[1]:
        made.append(keras.Input((width,), name="condition"))
    return made


def head() -> keras_fit.Head:
    """A network's first output is the loss of each event."""
    return keras_fit.Head(lambda _, said: said[:, 0], lambda said: said, lambda _, said: said[:, 0])


def train(
    network: Any, draw: Callable[[Array, int], Array], given: Given, values: Mapping[str, Any], job: Job, watch: Watch,
) -> keras_fit.Course:
    """Train a network in place, judged now and then by events that ``draw`` makes with the weights as they are: those
    of the look that was best are kept. The likelihood of validation events is at its best long before events are."""
    def batch(part: Part) -> keras_fit.Batch:
        return keras_fit.Batch(inputs(part.z, part.condition), np.zeros((len(part.weight), 1), np.float32), part.weight)

    looks = Looks(given, watch, values["epochs"], job.direction)
    best, kept = Best(), list[Array]()

    def between(epoch: int, sync: Callable[[], None]) -> None:
        if best.beaten(epoch, looks(epoch, draw, sync)):
            kept[:] = network.get_weights()

    training = keras_fit.Training(
        values["epochs"], values["batch_size"], values["learning_rate"], weight_decay=1e-5,
        patience=values["epochs"], stop_after=job.steps, average=AVERAGE)
    course = keras_fit.fit(network, head(), batch(given.train), batch(given.valid), training, job.seed,
                           lambda _epoch, _predictions: None, between)
    network.set_weights(kept)
    return keras_fit.Course(best.epoch, course.history)


class Best:
    """The look that was best so far; until there was one, the last epoch."""

    def __init__(self) -> None:
        self.epoch, self._value = 0, math.inf

    def beaten(self, epoch: int, value: float | None) -> bool:
        """Take a value, the lower the better, or None of an epoch without a look; whether it is the best."""
        if self._value < math.inf if value is None else value >= self._value:
            return False
        self.epoch, self._value = epoch, math.inf if value is None else value
        return True


class Compiled:
    """A function of arrays that uses a network's weights, as they are when it is called, compiled once. Its last
    argument are conditions; it gets None for such of no columns."""

    def __init__(self, network: Any, function: Callable[..., Any]) -> None:
        self._network, self._function = network, function

    def __call__(self, *arguments: Array) -> Array:
        *others, condition = arguments
        given = condition if condition.shape[1] else None
        found: Array = np.asarray(self._run([v.value for v in self._network.variables], *others, given), np.float32)
        return found

    @cached_property
    def _run(self) -> Callable[..., Any]:
        import jax

        keras = keras_fit.load_keras()

        def run(values: Any, *arguments: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(self._network.variables, values, strict=True))):
                return self._function(*arguments)

        compiled: Callable[..., Any] = jax.jit(run)
        return compiled


def save(network: Any, folder: Path) -> None:
    """Write a network into ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    network.save(folder / FILE)


def load(folder: Path) -> Any:
    """Open what :func:`save` wrote, in Keras's safe mode; the module of its layers must have been imported."""
    return keras_fit.load_keras().models.load_model(folder / FILE, compile=False, safe_mode=True)
