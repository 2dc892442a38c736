"""What networks that detect anomalies have in common: training, stopped early by held-out normal events, and scores.

A network goes from columns (n, K) to numbers (n, m) whose mean is what is minimised, and the score of an event. Imports
Keras where it is used, not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import epoch_checkpoints, keras_fit
from automl_phys.detecting import Detector, Floats, Given
from automl_phys.trials import Job, Watch
from automl_phys.values import Array

FILE = "network.keras"
SCALES = "scales.npy"
LEAST = 1e-2
"""Of what a network says of all columns, on average: one of which it says less counts as if it were so much."""


@dataclass(frozen=True)
class Network:
    """A scorer. The score is the mean of what the network says (n, m), each divided by ``usual`` (m,); ``least`` (m,)
    is as little as it says of normal events."""

    network: Any
    usual: NDArray[np.float32]
    least: NDArray[np.float32]

    def score(self, columns: NDArray[np.float32]) -> Floats:
        found: Floats = _mean(keras_fit.predict(self.network, (columns,)), self.usual)
        return found

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.network.save(folder / FILE)
        np.save(folder / SCALES, np.stack([self.usual, self.least]), allow_pickle=False)


@dataclass(frozen=True)
class ColumnNetwork(Network):
    """A scorer whose network says one number of each column."""

    def errors(self, columns: NDArray[np.float32]) -> Floats:
        """How much more than the least is said of each column (n, K), in units of what is usual."""
        said = keras_fit.predict(self.network, (columns,))
        found: Floats = np.maximum(said - self.least, 0) / self.usual
        return found


def train(network: Any, given: Given, values: Mapping[str, Any], job: Job, watch: Watch, kind: type[Network] = Network,
          weighted: bool = False) -> Detector:
    """Train a network in place and keep it as it was when it said least of held-out normal events. ``weighted`` divides
    what it says of a column by its mean over these, so that a column that always comes back well counts as much as
    others."""
    from keras import ops

    head = keras_fit.Head(lambda _, said: ops.mean(said, axis=1), lambda said: said,
                          lambda _, said: ops.mean(said, axis=1))
    held_out = given.valid_weight

    def batch(columns: Array, weight: Array) -> keras_fit.Batch:
        return keras_fit.Batch((columns,), np.zeros((len(columns), 1), np.float32), np.asarray(weight, np.float32))

    def scales(said: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        normal = said[held_out > 0]
        mean = np.average(normal, axis=0, weights=held_out[held_out > 0])
        usual = np.maximum(mean, LEAST * mean.mean()) if weighted else np.ones(said.shape[1])
        return usual.astype(np.float32), normal.min(axis=0).astype(np.float32)

    def follow(epoch: int, said: Array) -> float:
        raw = _mean(said, scales(said)[0])
        return watch(epoch, given.tail(raw)(raw))

    training = keras_fit.Training(
        values["epochs"], values["batch_size"], values["learning_rate"], weight_decay=values.get("weight_decay", 1e-5),
        patience=max(8, values["epochs"] // 5), stop_after=job.steps)
    course = keras_fit.fit(network, head, batch(given.train, given.weight), batch(given.valid, held_out), training,
                           job.seed, follow, place=epoch_checkpoints.place(job))
    said = keras_fit.predict(network, (given.valid,))
    usual, least = scales(said)
    return Detector(given.frame, kind(network, usual, least), given.tail(_mean(said, usual)), course.best_epoch,
                    course.history)


def load(folder: Path, kind: type[Network] = Network) -> Network:
    """Open a saved network, in Keras's safe mode."""
    keras = keras_fit.load_keras()
    from automl_phys import coupling_layers, detector_layers  # noqa: F401 - registers the layers of files

    return kind(keras.models.load_model(folder / FILE, compile=False, safe_mode=True),
                *np.load(folder / SCALES, allow_pickle=False))


def _mean(said: Array, usual: Array) -> Floats:
    """Scores (n,) of what a network says (n, m)."""
    found: Floats = (said / usual).mean(axis=1, dtype=np.float64)
    return found
