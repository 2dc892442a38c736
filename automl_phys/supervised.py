"""What networks that predict classes or amounts have in common, whatever they look at.

Takes a prepared table, parameters and a network that gives raw outputs; trains it with the head of its task and ends it
with the layer that makes predictions of outputs. Imports Keras: import this module inside the function that fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from automl_phys import heads, keras_fit
from automl_phys.epoch_checkpoints import Place
from automl_phys.layers import MeanProbability
from automl_phys.trials import Job, Watch
from automl_phys.values import Array

if TYPE_CHECKING:
    from automl_phys.table import Rows, TableProblem

Inputs = Callable[["Rows"], tuple[Array, ...]]
Encode = Callable[[tuple[Array, ...]], tuple[Array, ...]]


@dataclass(frozen=True)
class Aim:
    """What is predicted: ``classes`` of them, or amounts in their ``unit`` under the loss ``kind``; ``outputs`` is what
    a network gives for it. ``smoothing`` is the share of the target that is spread over all classes."""

    classes: int
    outputs: int
    smoothing: float = 0.0
    kind: str = ""
    unit: heads.Unit | None = None

    def target(self, rows: Rows) -> Array:
        """What a network is held against: one-hot classes (n, K), or amounts standardised (n, t); float32."""
        if self.unit is None:
            return cast(Array, np.eye(self.classes, dtype=np.float32)[rows.target])
        return ((rows.target - self.unit.centre) / self.unit.width).astype(np.float32)

    @property
    def head(self) -> keras_fit.Head:
        return heads.classes(self.smoothing) if self.unit is None else heads.amounts(self.kind, self.unit)


def aim(problem: TableProblem, values: Mapping[str, Any]) -> Aim:
    """The aim of a problem; ``loss`` or ``label_smoothing`` are among the parameters."""
    if problem.schema.classes:
        classes = len(problem.schema.classes)
        return Aim(classes, classes, values.get("label_smoothing", 0.0))
    kind = str(values["loss"])
    unit = heads.Unit(*_unit(problem.train))
    return Aim(0, len(problem.schema.target) * heads.OUTPUTS[kind], kind=kind, unit=unit)


def train(
    network: Any, to: Aim, problem: TableProblem, inputs: Inputs, values: Mapping[str, Any], job: Job, watch: Watch,
    encode: Encode | None = None, place: Place | None = None,
) -> keras_fit.Course:
    """Train a network in place: AdamW, stopped early on the weighted validation loss, from the checkpoint in ``place``
    if there is one."""
    def batch(rows: Rows, weight: Array) -> keras_fit.Batch:
        return keras_fit.Batch(inputs(rows), to.target(rows), weight, encode)

    training = keras_fit.Training(
        epochs=values["epochs"], batch_size=values["batch_size"], learning_rate=values["learning_rate"],
        schedule=values["schedule"], weight_decay=values["weight_decay"], patience=max(8, values["epochs"] // 3),
        stop_after=job.steps)
    return keras_fit.fit(network, to.head, batch(problem.train, problem.train.fit_weight),
                         batch(problem.valid, problem.valid.weight), training, job.seed, watch, place=place)


def finished(inputs: list[Any], outputs: Any, to: Aim, problem: TableProblem, given: Inputs) -> Any:
    """The model that is saved: from ``inputs`` to predictions, by what a trained network says of them, ``outputs``.

    Where the loss says nothing of the uncertainty, it is the root mean square of the validation rows' residuals.
    """
    keras = keras_fit.load_keras()
    if to.unit is None:
        return keras.Model(inputs, MeanProbability(name="probability")(outputs))
    last = heads.Amounts(to.kind, name="amounts")
    model = keras.Model(inputs, last(outputs))
    last.state(to.unit, to.unit.width)
    if to.kind not in {"gaussian", "quantile"}:
        predictions = keras_fit.predict(model, given(problem.valid))
        residual = (predictions[..., 0] - problem.valid.target).astype(np.float64)
        sigma = np.sqrt(np.average(residual**2, axis=0, weights=problem.valid.fit_weight))
        last.state(to.unit, np.maximum(sigma, heads.LEAST_SIGMA * to.unit.width))
    return model


def _unit(train: Rows) -> tuple[Array, Array]:
    """Weighted mean and standard deviation (t,) of the targets, float32; 1 for a constant one."""
    centre = np.average(train.target, axis=0, weights=train.fit_weight)
    width = np.sqrt(np.average((train.target - centre) ** 2, axis=0, weights=train.fit_weight))
    return centre.astype(np.float32), np.where(width > 0, width, 1.0).astype(np.float32)
