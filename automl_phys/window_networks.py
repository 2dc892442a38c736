"""What networks that forecast windows of series have in common: their inputs, their end, how they are trained and kept.

Takes a prepared series problem, parameters and a function that builds the middle of a network; gives
:class:`Forecaster`. One network serves all series and all targets. It works in each window's own units
(:mod:`automl_phys.window_units`) and minimises the pinball loss over all levels and steps, weighted so that it is in
units of MASE. Imports Keras: import this module inside the function that fits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from automl_phys import epoch_checkpoints, keras_fit, series_transform, window_space, window_units
from automl_phys.series_problem import LEVELS, MEDIAN, Windows
from automl_phys.series_transform import Transform
from automl_phys.trials import Job, Watch
from automl_phys.values import Array, Params
from automl_phys.window_layers import Quantiles, Taps
from automl_phys.window_units import Known, Units

if TYPE_CHECKING:
    from automl_phys.series_problem import SeriesProblem

__all__ = ["Forecaster", "Ports", "Quantiles", "Taps", "ending", "fit", "load"]

CHUNK = 4096
"""Windows that are predicted at once."""
MEDIAN_WEIGHT = 3.0
"""Of the median beside the other levels: it is the forecast."""
FARTHEST = 30.0
"""Where inputs are cut, in their units."""
STEP_UNITS = 24
"""Numbers that the dense end makes of the context for each step ahead."""


@dataclass(frozen=True)
class Shape:
    """What of a window a network is shown. ``known`` and ``past`` are covariates of theirs, ``phases`` columns of the
    calendar, ``codes`` series that are told apart."""

    length: int
    level: str
    place: bool
    horizon: int
    targets: int
    known: int
    past: int
    phases: int
    codes: int

    @property
    def width(self) -> int:
        """Numbers of a step of the past."""
        return self.targets + self.past + self.ahead

    @property
    def ahead(self) -> int:
        """Numbers that are known of a step of the horizon."""
        return self.known + self.phases

    def inputs(self, windows: Windows, units: Units) -> tuple[Array, ...]:
        """What a network takes: the past (n, length, width), steps ahead (n, h, ahead), the place (n, 2t), the code
        (n, 1); only those that there are."""
        ahead = [part[:, :, :count] for part, count in
                 ((windows.ahead(self.length), self.known), (windows.phases(self.length), self.phases)) if count]
        steps = [np.clip(units.forward(windows.past(self.length)), -FARTHEST, FARTHEST)]
        steps += [windows.past_covariates(self.length)] if self.past else []
        steps += [part[:, :self.length] for part in ahead]
        made = [np.concatenate(steps, axis=2)]
        made += [np.concatenate([part[:, self.length:] for part in ahead], axis=2)] if ahead else []
        made += [units.place] if self.place else []
        made = [np.nan_to_num(array.astype(np.float32, copy=False), posinf=0.0, neginf=0.0) for array in made]
        codes = windows.codes[:, None].astype(np.int32)
        return (*made, np.where(codes <= self.codes, codes, 0)) if self.codes > 1 else tuple(made)


class Ports:
    """The inputs of a network that is being built, by name: ``steps`` (length, width), ``past``, its first t columns,
    ``ahead`` (h, a) or None, and ``fixed`` (s,), what is the same for all steps, or None. ``noise`` is added to the
    past while training."""

    def __init__(self, shape: Shape, noise: float = 0.0) -> None:
        self.shape = shape
        steps = keras.Input((shape.length, shape.width), name="steps")
        self.inputs = [steps]
        self.steps = keras.layers.GaussianNoise(noise)(steps) if noise > 0 else steps
        self.past = self.steps[:, :, :shape.targets]
        self.ahead: Any = None
        fixed = []
        if shape.ahead:
            self.ahead = keras.Input((shape.horizon, shape.ahead), name="ahead")
            self.inputs.append(self.ahead)
        if shape.place:
            place = keras.Input((2 * shape.targets,), name="place")
            self.inputs.append(place)
            fixed.append(place)
        if shape.codes > 1:
            code = keras.Input((1,), dtype="int32", name="code")
            self.inputs.append(code)
            # Zeros at the start, so that code 0 (a series not seen in training) stays neutral.
            embedding = keras.layers.Embedding(shape.codes + 1, min(8, shape.codes), embeddings_initializer="zeros")
            fixed.append(keras.layers.Flatten()(embedding(code)))
        self.fixed = joined(fixed) if fixed else None

    def folded(self, patch: int) -> Any:
        """The past with ``patch`` steps in one and what is fixed beside each, (length / patch, …)."""
        steps = self.shape.length // patch
        made = keras.layers.Reshape((steps, patch * self.shape.width))(self.steps)
        return made if self.fixed is None else joined([made, keras.layers.RepeatVector(steps)(self.fixed)])


def joined(parts: list[Any]) -> Any:
    """Tensors side by side."""
    return keras.layers.concatenate(parts) if len(parts) > 1 else parts[0]


def ending(ports: Ports, context: Any, values: Mapping[str, Any]) -> Any:
    """The network from its inputs to quantiles (n, h, t, levels). ``context`` is what it made of the past: (c,), or
    (h, c) for each step ahead."""
    shape = ports.shape
    numbers = shape.targets * len(LEVELS)
    if len(context.shape) == 2:
        context = keras.layers.Dense(shape.horizon * STEP_UNITS)(context)
        context = keras.layers.Reshape((shape.horizon, STEP_UNITS))(context)
    each = joined([context, *([ports.ahead] if ports.ahead is not None else [])])
    hidden = keras.layers.Dense(64, activation="silu")(each)
    outputs = keras.layers.add([keras.layers.Dense(numbers)(hidden), keras.layers.Dense(numbers)(each)])
    outputs = keras.layers.Reshape((shape.horizon, shape.targets, len(LEVELS)))(outputs)
    if values["shortcut"] == "linear":
        line = keras.layers.Dense(shape.horizon * shape.targets, kernel_initializer="zeros")(
            keras.layers.Flatten()(ports.past))
        line = keras.layers.Reshape((shape.horizon, shape.targets, 1))(line)
        outputs = keras.layers.add([outputs, ops.pad(line, ((0, 0), (0, 0), (0, 0), (MEDIAN, MEDIAN)))])
    return keras.Model(ports.inputs, Quantiles(name="quantiles")(outputs))


def recurrent(ports: Ports, cell: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """A network of recurrent layers; ``cell`` makes one of them, as ``keras.layers.GRU`` does."""
    shape, layers, units, drop = ports.shape, values["layers"], values["units"], values["dropout"]
    hidden, states = ports.folded(values["patch"]), []
    for i in range(layers):
        hidden, *state = cell(units, return_sequences=i + 1 < layers, return_state=True)(hidden)
        hidden = keras.layers.Dropout(drop)(hidden) if drop > 0 else hidden
        states.append(state)
    if values["decoder"] == "dense":
        return ending(ports, hidden, values)
    patch = max(p for p in range(1, values["patch"] + 1) if shape.horizon % p == 0)
    steps = shape.horizon // patch
    each = keras.layers.RepeatVector(steps)(hidden)
    if ports.ahead is not None:
        each = joined([each, keras.layers.Reshape((steps, patch * shape.ahead))(ports.ahead)])
    for state in states:
        each = cell(units, return_sequences=True)(each, initial_state=state)
        each = keras.layers.Dropout(drop)(each) if drop > 0 else each
    each = keras.layers.Reshape((shape.horizon, STEP_UNITS))(keras.layers.Dense(patch * STEP_UNITS)(each))
    return ending(ports, each, values)


Build = Callable[[Ports, Mapping[str, Any]], Any]
"""From the ports of a network and parameters to the network, by way of :func:`ending`."""


@dataclass(frozen=True)
class Forecaster:
    """A network and what its windows are measured in."""

    model: Any
    shape: Shape
    known: Known
    transform: Transform
    steps: int = 1
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: Windows) -> NDArray[np.float32]:
        """Quantiles (n, h, t, levels), float32."""
        made = [np.empty((0, self.shape.horizon, self.shape.targets, len(LEVELS)), np.float32)]
        windows = self.transform.windows(windows)
        for start in range(0, len(windows), CHUNK):
            some = windows.take(slice(start, start + CHUNK))
            units = self._units(some)
            made.append(units.back(keras_fit.predict(self.model, self.shape.inputs(some, units))))
        return np.sort(self.transform.back(np.concatenate(made)), axis=-1)

    def _units(self, windows: Windows) -> Units:
        return window_units.units(windows, self.shape.length, self.shape.level, self.known)

    def batch(self, windows: Windows) -> tuple[keras_fit.Batch, Units]:
        """Windows of transformed values to train or judge on; what came, in their units, has their weights in one more
        row."""
        units = self._units(windows)
        target = np.concatenate([units.forward(windows.target), units.weight[:, None]], axis=1)

        def encode(rows: tuple[Array, ...]) -> tuple[Array, ...]:
            return self.shape.inputs(windows.take(rows[0]), units.take(rows[0]))

        rows = np.arange(len(windows), dtype=np.int32)
        return keras_fit.Batch((rows,), target, np.ones(len(windows), np.float32), encode), units

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / "network.keras")
        (folder / "windows.json").write_text(
            json.dumps({"shape": self.shape.__dict__, "known": self.known.plain(),
                        "transform": self.transform.plain()}), encoding="utf-8")


def load(folder: Path) -> Forecaster:
    """Read what :meth:`Forecaster.save` wrote; on any Keras framework, whichever it was trained on."""
    from automl_phys import saved_networks

    saved = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
    return Forecaster(saved_networks.load(folder / "network.keras"), Shape(**saved["shape"]),
                      Known.from_plain(saved["known"]), series_transform.from_plain(saved["transform"]))


def fit(problem: SeriesProblem, build: Build, params: Params, job: Job, watch: Watch) -> Forecaster:
    """Build a network and train it, stopped early on the validation windows, or after ``job.steps`` epochs."""
    values: Any = dict(params)
    keras.utils.set_random_seed(job.seed % 2**32)
    shape = shape_of(problem, values)
    values["patch"] = patch_of(values)
    transform = series_transform.of(params, problem.train)
    train = transform.windows(problem.train)
    untrained = Forecaster(build(Ports(shape, values["noise"]), values), shape, window_units.known(train), transform)
    fitted_on, _ = untrained.batch(train.every(window_space.most_windows(shape.horizon * shape.targets)))
    judged, units = untrained.batch(transform.windows(problem.valid))
    training = keras_fit.Training(
        epochs=values["epochs"], batch_size=values["batch_size"], learning_rate=values["learning_rate"],
        schedule=values["schedule"], weight_decay=values["weight_decay"], patience=max(8, values["epochs"] // 3),
        stop_after=job.steps)
    course = keras_fit.fit(untrained.model, HEAD, fitted_on, judged, training, job.seed,
                           lambda step, said: watch(step, transform.back(units.back(said))),
                           place=epoch_checkpoints.place(job))
    return Forecaster(untrained.model, shape, untrained.known, transform, course.best_epoch, course.history)


def shape_of(problem: SeriesProblem, values: Mapping[str, Any]) -> Shape:
    """What the parameters say is shown of a window, its length in whole patches."""
    panel, train = problem.train.panel, problem.train
    patch = patch_of(values)
    length = -(-int(values["length"]) // patch) * patch
    return Shape(length, values["level"], values["level"] != "series" and bool(values["place"]), train.horizon,
                 train.targets, panel.known.shape[1], panel.past.shape[1],
                 panel.phases.shape[1] if values.get("calendar") else 0, len(panel.start))


def patch_of(values: Mapping[str, Any]) -> int:
    """Steps of the past that are folded into one: as asked for, or as many as make it few enough steps."""
    return max(int(values.get("patch", 1)), -(-int(values["length"]) // window_space.MOST_PATCHED))


def _loss(target: Any, quantiles: Any) -> Any:
    """The pinball loss of each window (n,), over levels, steps and targets; what was not observed counts nothing."""
    came, weight = target[:, :-1], target[:, -1:]
    seen = ops.logical_not(ops.isnan(came))
    residual = ops.expand_dims(ops.where(seen, came, 0.0), -1) - quantiles
    shares = np.ones(len(LEVELS))
    shares[MEDIAN] = MEDIAN_WEIGHT
    shares = (shares / shares.sum()).astype(np.float32)
    levels = np.array(LEVELS, np.float32)
    each = ops.sum(shares * ops.maximum(levels * residual, (levels - 1) * residual), axis=-1)
    return ops.mean(ops.where(seen, weight * each, 0.0), axis=(1, 2))


HEAD = keras_fit.Head(_loss, lambda outputs: outputs, _loss)
