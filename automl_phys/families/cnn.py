"""Family ``cnn``: a convolutional network on images (Keras), with features of the same rows beside them, if any.

Stages of convolutions, each with twice the filters of the one before and half the resolution, are pooled and followed
by a dense layer; features are scaled and go through one of their own. Channels may be
added that say where a pixel is: in images that were centred and turned, places have a meaning. Images are scaled as
fitted on the training rows, and changed at random while training, if that is asked for
(:mod:`automl_phys.image_layers`). The saved ``.keras`` file takes raw images: all of this is inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range, only_kind
from automl_phys.row_networks import RowNetwork
from automl_phys.trials import Job, Watch
from automl_phys.values import Array, Params

if TYPE_CHECKING:
    from automl_phys.exhibits import Figure
    from automl_phys.table import Rows, TableProblem

SOLVES = frozenset({"classify", "regress"})
NEEDS = ("keras",)
TEXT = "a convolutional network: sees shapes in images, and where they are"

SEEN = 90_000
"""About how many images a network of the default size is shown until it has converged."""
MOST_EPOCHS = 60
SIDE = 64
"""Of images that are not known yet."""
SMALLEST = 4
"""Side from which on an image is not halved."""
FLATTENED = 8
"""Side down to which the defaults halve images, all of whose places the dense layer then sees."""
LARGE = 48
"""Side from which on the defaults begin with a step of 2: a quarter of the work."""
MOST_ADAPTED = 20_000
"""Training rows, taken evenly, that scalings are fitted on."""
ADAPTED_NUMBERS = 100_000_000
"""The same in pixels."""
MOMENTUM = 0.9
"""Of the averages in batch normalisation: Keras's 0.99 is slower than the training of few rows."""
BATCH_NUMBERS = 64 * 224 * 224 * 3


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "images")


def memory_mb(facts: Facts) -> int:
    """Keras with TensorFlow, the rows that scaling is fitted on, the activations of a batch and their gradients; the
    images themselves stay in their mapped file."""
    pixels = _pixels(facts)
    adapted = min(MOST_ADAPTED, facts.rows.get("train", 0), ADAPTED_NUMBERS // pixels) * pixels * 8 * 3
    activations = 2 * _batch(facts) * (pixels / facts.sizes.get("channels", 1)) * 4 * 64 * 4
    return 1200 + round((adapted + activations) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    batch, epochs = _pace(facts)
    stages = _most_stages(facts)
    smoothing = {"label_smoothing": Range(low=0.0, high=0.1, text="share of the target spread over all classes")}
    loss = {"loss": Range(choices=("squared", "absolute", "huber", "quantile", "gaussian"), text="what is minimised")}
    return {
        **(loss if facts.sizes.get("targets", 0) else smoothing),
        "scale": Range(choices=("root", "channel", "pixel", "log"), text="how pixels are scaled"),
        "position": Range(choices=(False, True), text="channels that say where a pixel is: a place may have a meaning"),
        "stride": Range(choices=(1, 2), text="step of the first convolution: 2 halves the resolution at once"),
        "filters": Range(choices=(8, 16, 32), text="filters of the first stage; each stage has twice as many"),
        "stages": Range(low=1, high=stages, integer=True, text="stages, between which the resolution is halved"),
        "convolutions": Range(low=1, high=2, integer=True, text="convolutions of a stage"),
        "kernel": Range(choices=(3, 5), text="side of the filters"),
        "residual": Range(choices=(False, True), text="what enters a stage is added to what it makes"),
        "normalisation": Range(choices=("batch", "layer", "none"), text="normalisation after each convolution"),
        "activation": Range(choices=("relu", "silu"), text="activation"),
        "pooling": Range(choices=("average", "max", "flatten"), text="what becomes of the last stage's images"),
        "units": Range(choices=(0, 32, 64, 128, 256), text="units of the dense layer before the output, 0 for none"),
        "dropout": Range(low=0.0, high=0.5, text="share of units dropped before the output while training"),
        "flip": Range(choices=("none", "horizontal", "vertical", "both"), text="augmentation: mirrored at random"),
        "rotation": Range(low=0.0, high=180.0, text="augmentation: turned by up to so many degrees"),
        "translation": Range(low=0.0, high=0.25, text="augmentation: moved by up to this share of the sides"),
        "noise": Range(low=0.0, high=0.5, text="augmentation: Gaussian noise, in widths of the scaled pixels"),
        "intensity": Range(low=0.0, high=0.5, text="augmentation: brighter or darker by up to this share"),
        "learning_rate": Range(low=3e-4, high=1e-2, log=True, text="peak learning rate of AdamW"),
        "schedule": Range(choices=("cosine", "constant"), text="learning rate over the training"),
        "weight_decay": Range(low=1e-4, high=0.3, log=True, text="decoupled weight decay"),
        "batch_size": Range(choices=tuple(sorted({max(8, batch // 2), batch, batch * 2})), text="images per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    """First, on images in which places have a meaning, such as jets that were centred and turned, what did best: few
    convolutions, pixels as they are, no augmentation. The third looks for shapes wherever they are."""
    batch, epochs = _pace(facts)
    stride = 2 if _side(facts) >= LARGE else 1
    stages = min(_most_stages(facts), max(2, _halvings(_side(facts) // stride, FLATTENED)))
    first: Params = {
        **({"loss": "squared"} if facts.sizes.get("targets", 0) else {"label_smoothing": 0.0}),
        "scale": "channel", "position": True, "stride": stride, "filters": 16, "stages": stages, "convolutions": 1,
        "kernel": 3, "residual": False, "normalisation": "none", "activation": "silu", "pooling": "flatten",
        "units": 64, "dropout": 0.3, "flip": "none", "rotation": 0.0, "translation": 0.0,
        "noise": 0.0, "intensity": 0.0, "learning_rate": 3e-3, "schedule": "cosine", "weight_decay": 0.1,
        "batch_size": batch, "epochs": epochs}
    second = {**first, "normalisation": "batch", "activation": "relu"}
    third = {**second, "scale": "root", "position": False, "stride": 2 if _side(facts) > 16 else 1, "convolutions": 2,
             "residual": True, "pooling": "average", "translation": 0.05}
    if facts.sizes.get("targets", 0):  # amounts are blurred by dropout
        first, second, third = ({**one, "dropout": 0.0} for one in (first, second, third))
        second = {**second, "loss": "gaussian"}
    return first, second, third


def _pixels(facts: Facts) -> int:
    return facts.sizes.get("height", SIDE) * facts.sizes.get("width", SIDE) * facts.sizes.get("channels", 1)


def _side(facts: Facts) -> int:
    return min(facts.sizes.get("height", SIDE), facts.sizes.get("width", SIDE))


def _most_stages(facts: Facts) -> int:
    return _halvings(_side(facts), SMALLEST)


def _halvings(side: int, smallest: int) -> int:
    """Stages until an image is no larger than ``smallest``, from 1 to 5."""
    stages = 1
    while side > smallest and stages < 5:
        side, stages = -(-side // 2), stages + 1
    return stages


def _batch(facts: Facts) -> int:
    """Images per step: a power of two from 8 to 128, fewer of large images and of few rows."""
    rows = max(1, facts.rows.get("train", 1))
    fit = max(8, min(128, BATCH_NUMBERS // _pixels(facts)))
    return min(1 << (fit.bit_length() - 1), max(8, 1 << (rows // 24).bit_length()))


def _pace(facts: Facts) -> tuple[int, int]:
    rows = max(1, facts.rows.get("train", 1))
    return _batch(facts), max(5, min(MOST_EPOCHS, round(SEEN / rows)))


@dataclass(frozen=True)
class Cnn(RowNetwork):
    """A Keras model from raw images (n, h, w, c), and numbers (n, d) where there are any, to class probabilities or
    amounts."""

    FILE = "cnn.keras"

    def inputs(self, rows: Rows) -> tuple[Array, ...]:
        return _inputs(rows)

    def figures(self) -> tuple[Figure, ...]:
        """The filters of the first convolution, what they do with the image's own channels."""
        from automl_phys import image_figures

        kernel = self.model.get_layer("core").get_layer("first").get_weights()[0]
        return (image_figures.filters(kernel[:, :, :self.model.inputs[0].shape[-1]], "cnn"),)


def load(folder: Path) -> Fitted:
    """Load a saved network; on any Keras framework, whichever it was trained on."""
    from automl_phys import saved_networks

    return Cnn(saved_networks.load(folder / Cnn.FILE), 0)


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the weighted loss with AdamW, stopped early on the weighted validation loss."""
    from automl_phys import keras_fit

    keras = keras_fit.load_keras()
    from automl_phys import epoch_checkpoints, image_layers, supervised

    keras.utils.set_random_seed(job.seed % 2**32)
    values: Any = dict(params)
    aim = supervised.aim(problem, values)
    raw = [keras.Input(array.shape[1:], dtype=array.dtype.name, name=name)
           for name, array in zip(("images", "numbers", "categories"), _inputs(problem.train), strict=False)]
    scale = _scale(problem, values["scale"])
    scaled, beside = scale(raw[0]), _beside(raw[1:], problem)
    core = _core([scaled, *beside], values, aim.outputs)
    changed = image_layers.augmented(scaled, values, job.seed % 2**31, scale.background)
    network = keras.Model(raw, core([changed, *beside]))
    course = supervised.train(network, aim, problem, _inputs, values, job, watch,
                              place=epoch_checkpoints.place(job))
    model = supervised.finished(raw, core([scaled, *beside]), aim, problem, _inputs)
    return Cnn(model, course.best_epoch, course.history)


def _inputs(rows: Rows) -> tuple[Array, ...]:
    """Images; numbers and categories beside them where there are any."""
    if rows.images is None:
        raise ValueError("rows without images")
    beside = (rows.numbers, rows.categories) if rows.numbers.shape[1] or rows.categories.shape[1] else ()
    return (rows.images, *beside)


def _core(given: list[Any], values: dict[str, Any], outputs: int) -> Any:
    """The trained part: scaled images, and what is beside them, to outputs."""
    import keras

    from automl_phys import image_layers

    layers = keras.layers
    inputs = [keras.Input(one.shape[1:], name=f"scaled_{i}") for i, one in enumerate(given)]
    hidden = image_layers.Position()(inputs[0]) if values["position"] else inputs[0]
    for stage in range(values["stages"]):
        if stage:
            hidden = layers.MaxPooling2D(2, padding="same")(hidden)
        hidden = _stage(hidden, values, values["filters"] * 2**stage, first=not stage)
    pools = {"average": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D, "flatten": layers.Flatten}
    hidden = pools[values["pooling"]]()(hidden)
    for one in inputs[1:]:
        hidden = layers.concatenate([hidden, _dense(one, max(16, values["units"]), values)])
    if values["units"]:
        hidden = _dense(hidden, values["units"], values)
    if values["dropout"] > 0:
        hidden = layers.Dropout(values["dropout"])(hidden)
    return keras.Model(inputs, layers.Dense(outputs, name="outputs")(hidden), name="core")


def _dense(hidden: Any, units: int, values: dict[str, Any]) -> Any:
    import keras

    return keras.layers.Dense(units, activation=values["activation"], kernel_initializer="he_normal")(hidden)


def _stage(hidden: Any, values: dict[str, Any], filters: int, first: bool) -> Any:
    import keras

    layers = keras.layers
    stride = values["stride"] if first else 1
    before = layers.AveragePooling2D(stride, padding="same")(hidden) if stride > 1 else hidden
    for index in range(values["convolutions"]):
        name = {"name": "first"} if first and not index else {}
        hidden = layers.Conv2D(filters, values["kernel"], 1 if index else stride, padding="same",
                               kernel_initializer="he_normal", use_bias=values["normalisation"] == "none",
                               **name)(hidden)
        if values["normalisation"] == "batch":
            hidden = layers.BatchNormalization(momentum=MOMENTUM)(hidden)
        elif values["normalisation"] == "layer":
            hidden = layers.LayerNormalization()(hidden)
        if index < values["convolutions"] - 1 or not values["residual"]:
            hidden = layers.Activation(values["activation"])(hidden)
    if values["residual"]:
        if before.shape[-1] != filters:
            before = layers.Conv2D(filters, 1, use_bias=False)(before)
        hidden = layers.Activation(values["activation"])(layers.add([hidden, before]))
    return hidden


def _beside(inputs: list[Any], problem: TableProblem) -> list[Any]:
    """The features side by side: numbers scaled, categories one-hot (a value not seen in training is all zeros)."""
    import keras

    from automl_phys.layers import RobustScale

    if not inputs:
        return []
    numbers, codes = inputs
    parts = []
    if numbers.shape[1]:
        scale = RobustScale(name="features")
        some = problem.train.take(_some(problem))
        scale.adapt(some.numbers, some.fit_weight)
        parts.append(scale(numbers))
    for i, levels in enumerate(problem.schema.levels.values()):
        encoded = keras.layers.CategoryEncoding(len(levels) + 1, "one_hot")(codes[:, i:i + 1])
        parts.append(encoded[:, 1:])
    return [keras.layers.concatenate(parts) if len(parts) > 1 else parts[0]]


def _scale(problem: TableProblem, kind: str) -> Any:
    from automl_phys import image_layers

    layer = image_layers.PixelScale(kind, name="pixels")
    some = problem.train.take(_some(problem))
    layer.adapt((_inputs(block)[0], block.fit_weight) for block in some.blocks(1024))
    return layer


def _some(problem: TableProblem) -> slice:
    """Training rows, taken evenly, that scalings are fitted on."""
    rows, train = len(problem.train), problem.train.images
    pixels = 1 if train is None else int(train[0].size)
    most = max(1, min(MOST_ADAPTED, ADAPTED_NUMBERS // pixels))
    return slice(None, None, -(-rows // most))
