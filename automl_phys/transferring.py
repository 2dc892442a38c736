"""Training a network whose first part was trained elsewhere, or the same from scratch.

Takes a prepared table with a backbone in its folder (``base.keras``), parameters, and whether the backbone's weights
are kept; gives a fitted model. Frozen layers do not change, batch normalisation among them stays as it is in
prediction. Where the whole base is frozen and nothing is augmented, its features are computed once. Imports Keras only
inside its functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Fitted
from automl_phys.facts import COLUMNS, Facts, Range, only_kind
from automl_phys.row_networks import RowNetwork
from automl_phys.trials import Job, Watch
from automl_phys.values import Array, Params

if TYPE_CHECKING:
    from automl_phys.table import Rows, TableProblem

BASE = "base.keras"

STATED = "as stated"
"""How much is frozen where the recipe says it."""
SHARES: Mapping[str, str | float] = {"all": "all", "most": 0.75, "half": 0.5, "none": "none"}
STAGES = 3
"""In which a base is unfrozen gradually, after its head was trained."""
FALLING = 0.5
"""What the learning rate is multiplied by from stage to stage."""
HEAD = 3.0
"""By how much the learning rate of a head on a base that is frozen is above that of the base."""
SEEN = 20_000
"""About how many rows are shown in a training."""


def skip(facts: Facts) -> str | None:
    return only_kind(facts, *COLUMNS)


def memory_mb(facts: Facts) -> int:
    """Keras with its framework, the base with gradients and moments, activations of a batch."""
    pixels = facts.sizes.get("height", 1) * facts.sizes.get("width", 1) * facts.sizes.get("channels", 1)
    return 1200 + 6 * facts.sizes.get("base_mb", 20) + round(pixels * 64 * 64 * 4 * 4 / 1e6)


def space(facts: Facts, kept: bool) -> dict[str, Range]:
    """Of a base that is ``kept``, also how much of it is frozen, and whether it is unfrozen gradually."""
    batch, epochs = _pace(facts)
    shares = (STATED,) if facts.sizes.get("freeze_stated", 0) else tuple(SHARES)
    freezing = {
        "frozen": Range(choices=shares, text="how much of the base is frozen, from its first layer on"),
        "gradual": Range(choices=(False, True), when={"frozen": tuple(s for s in shares if s != "all")},
                         text="the head first, then block by block at falling learning rates")}
    augmentation = {
        "flip": Range(choices=("none", "horizontal", "vertical", "both"), text="augmentation: mirrored at random"),
        "rotation": Range(low=0.0, high=180.0, text="augmentation: turned by up to so many degrees"),
        "translation": Range(low=0.0, high=0.25, text="augmentation: moved by up to this share of the sides"),
        "noise": Range(low=0.0, high=0.5, text="augmentation: Gaussian noise, in widths of the pixels"),
        "intensity": Range(low=0.0, high=0.5, text="augmentation: brighter or darker by up to this share")}
    return {
        **(freezing if kept else {}),
        "scaling": Range(choices=(True, False), text="what the base makes is standardised"),
        "units": Range(choices=(0, 32, 128), text="units of a dense layer in the head, 0 for none"),
        "dropout": Range(low=0.0, high=0.6, text="share of units dropped in the head while training"),
        "label_smoothing": Range(low=0.0, high=0.1, text="share of the target spread over all classes"),
        **(augmentation if _augmentable(facts) else {}),
        "learning_rate": Range(low=1e-4, high=1e-2, log=True,
                               text=f"peak learning rate of AdamW, {HEAD:g} times that while the base is frozen"),
        "schedule": Range(choices=("cosine", "constant"), text="learning rate over the training"),
        "weight_decay": Range(low=1e-4, high=0.3, log=True, text="decoupled weight decay"),
        "batch_size": Range(choices=tuple(sorted({max(8, batch // 2), batch, batch * 2})), text="rows per step"),
        "epochs": Range(low=max(5, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts, kept: bool) -> tuple[Params, ...]:
    batch, epochs = _pace(facts)
    plain: Params = {
        "scaling": True, "units": 0, "dropout": 0.2, "label_smoothing": 0.0,
        **({"flip": "none", "rotation": 0.0, "translation": 0.0, "noise": 0.0, "intensity": 0.0}
           if _augmentable(facts) else {}),
        "learning_rate": 3e-3, "schedule": "cosine", "weight_decay": 0.02, "batch_size": batch, "epochs": epochs}
    if not kept:
        return plain, {**plain, "learning_rate": 1e-3, "units": 32, "dropout": 0.4}
    if facts.sizes.get("freeze_stated", 0):
        return {**plain, "frozen": STATED, "gradual": False}, {**plain, "frozen": STATED, "gradual": True}
    return ({**plain, "frozen": "all"}, {**plain, "frozen": "none", "gradual": False},
            {**plain, "frozen": "none", "gradual": True}, {**plain, "frozen": "half", "gradual": False})


def _augmentable(facts: Facts) -> bool:
    """Whether places in what the base takes are those of images, which series that come as images have not."""
    return facts.kind == "images" and not facts.sizes.get("series", 0)


def _pace(facts: Facts) -> tuple[int, int]:
    """Batch size, a power of two from 8 to 64, and epochs, 10 to 80."""
    rows = max(1, facts.rows.get("train", 1))
    return max(8, min(64, 1 << (rows // 16).bit_length())), max(10, min(80, round(SEEN / rows)))


@dataclass(frozen=True)
class Transferred(RowNetwork):
    """A Keras model from raw inputs to class probabilities; ``frozen`` layers of the base were not trained."""

    frozen: int = 0
    FILE = "transferred.keras"

    def inputs(self, rows: Rows) -> tuple[Array, ...]:
        return _inputs([one.name for one in self.model.inputs], rows)


def load(folder: Path) -> Fitted:
    """Load a saved network; on any Keras framework, whichever it was trained on."""
    from automl_phys import saved_networks

    return Transferred(saved_networks.load(folder / Transferred.FILE), 0)


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch, kept: bool) -> Fitted:
    """Train the head, and what is not frozen of the base; from scratch everything, where the base is not ``kept``."""
    from automl_phys import keras_fit

    keras = keras_fit.load_keras()
    from automl_phys import backbones, saved_networks, supervised

    keras.utils.set_random_seed(job.seed % 2**32)
    values: Any = dict(params)
    aim = supervised.aim(problem, values)
    backbone = saved_networks.load(problem.folder / BASE)
    if not kept:
        backbone = backbones.untrained(backbone)
    backbones.settle(backbone)
    layers = backbones.leaves(backbone)
    frozen = 0
    if kept:
        how = problem.schema.settings["freeze"] if values["frozen"] == STATED else SHARES[values["frozen"]]
        frozen = backbones.frozen(backbone, how)
    head = _head(backbone.output_shape[-1], values, aim.outputs)
    names = [one.name for one in backbone.inputs]
    given = partial(_inputs, names)
    raw = [keras.Input(array.shape[1:], dtype=array.dtype.name, name=name)
           for name, array in zip(names, given(problem.train), strict=True)]
    plain = [keras.ops.cast(one, "float32") if one.name == "images" else one for one in raw]
    changed = _augmented(plain, names, problem, values, job.seed % 2**31)
    # what is trained is never what is saved: Keras would write into the file how it was compiled
    features = keras.Input((backbone.output_shape[-1],))
    # a base of which nothing is trained is as it is in prediction, whether its features are computed once or not
    base = backbones.Still(backbone) if frozen == len(layers) else backbone
    training = _Training(
        keras.Model(raw, head(base(changed if len(changed) > 1 else changed[0]))),
        keras.Model(features, head(features)), backbone, layers, can_be_computed_once=changed is plain)
    course = _in_stages(training, frozen, values, watch,
                        lambda network, values, watch, encode: supervised.train(
                            network, aim, problem, given, values, job, watch, encode))
    outputs = head(backbone(plain if len(plain) > 1 else plain[0]))
    model = supervised.finished(raw, outputs, aim, problem, given)
    return Transferred(model, course.best_epoch, course.history, frozen)


@dataclass(frozen=True)
class _Training:
    """The network from raw inputs to outputs, the head from features to outputs, the base and its layers in order."""

    network: Any
    head_alone: Any
    backbone: Any
    layers: list[Any]
    can_be_computed_once: bool

    def freeze(self, count: int) -> None:
        """The first layers of the base are not trained, the others are."""
        for i, layer in enumerate(self.layers):
            layer.trainable = i >= count


def _in_stages(training: _Training, frozen: int, values: dict[str, Any], watch: Watch, train: Any) -> Any:
    """Train once, or where the base is unfrozen gradually several times, keeping the best of all stages."""
    from automl_phys import keras_fit

    whole = len(training.layers)
    boundaries = [frozen]
    if values.get("gradual") and frozen < whole:
        steps = min(STAGES, whole - frozen)
        boundaries = [whole, *(whole - (whole - frozen) * (k + 1) // steps for k in range(steps))]
    best: tuple[float, Any] = (float("inf"), None)
    history: list[Mapping[str, float]] = []
    kept = 0
    for stage, boundary in enumerate(boundaries):
        training.freeze(boundary)
        rate = HEAD if boundary == whole else FALLING ** max(0, stage - 1)
        alone = boundary == whole and training.can_be_computed_once
        share = 1 if alone else len(boundaries)  # a head alone is cheap
        some = {**values, "epochs": max(3, values["epochs"] // share), "learning_rate": values["learning_rate"] * rate}
        encode = partial(_computed, training.backbone) if alone else None
        course = train(training.head_alone if alone else training.network, some, _later(watch, len(history)), encode)
        loss = min(step["valid_loss"] for step in course.history)
        if loss < best[0]:
            best, kept = (loss, training.network.get_weights()), len(history) + course.best_epoch
        history += [{**step, "step": step["step"] + len(history)} for step in course.history]
    training.network.set_weights(best[1])
    return keras_fit.Course(kept, tuple(history))


def _computed(backbone: Any, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """What a base that does not change makes of its inputs."""
    import numpy as np

    from automl_phys import keras_fit

    floats = tuple(array if array.dtype == np.int32 else array.astype(np.float32) for array in inputs)
    return (keras_fit.predict(backbone, floats),)


def _later(watch: Watch, by: int) -> Watch:
    """The watch of a stage that begins after so many epochs."""
    return lambda step, predictions: watch(step + by, predictions)


def _head(width: int, values: dict[str, Any], outputs: int) -> Any:
    import keras

    from automl_phys import backbones

    layers = keras.layers
    hidden = given = keras.Input((width,), name="features")
    if values["scaling"]:
        hidden = layers.BatchNormalization(center=False, scale=False, momentum=backbones.MOMENTUM)(hidden)
    if values["units"]:
        hidden = layers.Dense(values["units"], activation="relu", kernel_initializer="he_normal")(hidden)
    if values["dropout"] > 0:
        hidden = layers.Dropout(values["dropout"])(hidden)
    return keras.Model(given, layers.Dense(outputs, name="outputs")(hidden), name="head")


def _inputs(names: list[str], rows: Rows) -> tuple[Array, ...]:
    """What a network takes of rows, by the names of its inputs."""
    return tuple(getattr(rows, name) for name in names)


def _augmented(
    given: list[Any], names: list[str], problem: TableProblem, values: dict[str, Any], seed: int
) -> list[Any]:
    """The inputs, images among them changed at random while training; the very list where nothing is to be changed."""
    import numpy as np

    how = {name: values[name] for name in ("flip", "rotation", "translation", "noise", "intensity") if values.get(name)}
    if how.get("flip") == "none":
        del how["flip"]
    images = problem.train.images
    if not how or images is None:
        return given
    from automl_phys import image_layers

    some = np.asarray(images[:: -(-len(images) // 1000)], np.float32)
    if "noise" in how:
        how["noise"] *= float(some.std())
    return [image_layers.augmented(one, how, seed, float(some.min())) if name == "images" else one
            for name, one in zip(names, given, strict=True)]
