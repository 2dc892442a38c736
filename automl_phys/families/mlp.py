"""Family ``mlp``: a neural network on tables (Keras), with what recent work found to matter there.

Numbers are scaled robustly and embedded as learned waves (RealMLP, arXiv:2407.04491), hidden layers of one width are
residual, and one network may hold several members that share most weights (TabM, arXiv:2410.24210). The saved
``.keras`` file takes raw numbers: its preprocessing is inside, fitted on at most ``MOST_ADAPTED`` rows taken evenly.
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
    from automl_phys.table import Rows, TableProblem

SOLVES = frozenset({"classify", "regress"})
NEEDS = ("keras",)
TEXT = "a neural network with embedded numbers: best on many events and smooth features"

DEVICE_BYTES = 1 << 28
"""As in ``keras_fit``: rows beyond that are streamed."""
MOST_ADAPTED = 1_000_000
UPDATES = 1200
"""About how many steps of the optimiser a network of the default size needs to converge."""


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "table")


def memory_mb(facts: Facts) -> int:
    """Keras and its framework, the rows three times (raw, encoded, on the device) or a few blocks of them, activations
    of a large batch, targets, weights and the predictions that are followed."""
    columns = facts.sizes["numbers"] + facts.sizes.get("categories", 0)
    rows, judged = facts.rows.get("train", 0), facts.rows.get("valid", 0)
    streamed = min(rows * columns * 4 * 4, 6 * DEVICE_BYTES)
    return 1100 + round((streamed + (rows + 3 * judged) * (facts.sizes["outputs"] + 2) * 4) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    batch, epochs = _pace(facts)
    smoothing = {"label_smoothing": Range(low=0.0, high=0.1, text="share of the target spread over all classes")}
    loss = {"loss": Range(choices=("squared", "absolute", "huber", "quantile", "gaussian"), text="what is minimised")}
    return {
        **(loss if facts.sizes.get("targets", 0) else smoothing),
        "layers": Range(choices=([64], [128], [256], [128, 128], [256, 256], [64] * 3, [128] * 3, [256] * 3, [128] * 4,
                                 [192] * 4), text="units of each hidden layer"),
        "activation": Range(choices=("silu", "mish", "selu", "relu"), text="activation of the hidden layers"),
        "numbers": Range(choices=("robust", "robust+log", "robust+bins"), text="how numbers are scaled and encoded"),
        "embedding": Range(choices=("periodic", "none"), text="learned embedding of numbers"),
        "frequencies": Range(low=4, high=32, log=True, integer=True, when={"embedding": ("periodic",)},
                             text="waves for each number"),
        "sigma": Range(low=0.02, high=0.5, log=True, when={"embedding": ("periodic",)},
                       text="initial width of the waves' frequencies"),
        "normalisation": Range(choices=("none", "batch", "layer"), text="normalisation after each hidden layer"),
        "members": Range(choices=(1, 4, 8), text="networks that share their weights (TabM)"),
        "dropout": Range(low=0.0, high=0.4, text="share of units dropped while training"),
        "learning_rate": Range(low=5e-4, high=1e-2, log=True, text="peak learning rate of AdamW"),
        "schedule": Range(choices=("cosine", "constant"), text="learning rate over the training"),
        "weight_decay": Range(low=1e-3, high=0.5, log=True, text="decoupled weight decay"),
        "batch_size": Range(choices=tuple(sorted({max(16, batch // 2), batch, batch * 2})), text="events per step"),
        "epochs": Range(low=max(4, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    batch, epochs = _pace(facts)
    first: Params = {
        **({"loss": "squared"} if facts.sizes.get("targets", 0) else {"label_smoothing": 0.0}),
        "layers": [128] * 4, "activation": "silu", "numbers": "robust", "embedding": "periodic", "frequencies": 16,
        "sigma": 0.1, "normalisation": "none", "members": 1, "dropout": 0.15,
        "learning_rate": 4e-3, "schedule": "cosine", "weight_decay": 0.1, "batch_size": batch, "epochs": epochs}
    second = {**first, "layers": [192] * 4, "numbers": "robust+log", "frequencies": 8, "dropout": 0.25,
              "learning_rate": 3e-3}
    third = {**first, "layers": [256] * 3, "dropout": 0.3, "activation": "mish", "learning_rate": 3e-3}
    if facts.sizes.get("targets", 0):
        first, second, third = ({**one, "dropout": 0.0, "learning_rate": 2e-3} for one in (first, second, third))
        second = {**second, "loss": "gaussian"}
    return first, second, third


def _pace(facts: Facts) -> tuple[int, int]:
    """Batch size and epochs that make about ``UPDATES`` steps: a power of two from 16 to 512, 10 to 200 epochs; of
    hundreds of thousands of rows larger batches, of millions fewer epochs."""
    rows = max(1, facts.rows.get("train", 1))
    batch = min(max(512, min(4096, 1 << (rows // 800).bit_length())), max(16, 1 << (rows // 48).bit_length()))
    return batch, min(200, max(10 if rows < 1_000_000 else 4, round(UPDATES * batch / rows)))


@dataclass(frozen=True)
class Mlp(RowNetwork):
    """A Keras model from raw numbers (n, d) and category codes (n, c) to class probabilities, or amounts."""

    FILE = "mlp.keras"

    def inputs(self, rows: Rows) -> tuple[Array, ...]:
        return _inputs(rows)


def load(folder: Path) -> Fitted:
    """Load a saved network; on any Keras framework, whichever it was trained on."""
    from automl_phys import saved_networks

    return Mlp(saved_networks.load(folder / Mlp.FILE), 0)


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the weighted loss with AdamW, stopped early on the weighted validation loss."""
    from automl_phys import keras_fit

    keras = keras_fit.load_keras()
    from automl_phys import epoch_checkpoints, supervised

    keras.utils.set_random_seed(job.seed % 2**32)
    values: Any = dict(params)
    encoder = _encoder(str(values["numbers"]), problem.train)
    level_counts = [len(levels) for levels in problem.schema.levels.values()]
    aim = supervised.aim(problem, values)
    network = _network(values, encoder.output_shape[-1], level_counts, aim.outputs)

    def encode(inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        return (keras_fit.predict(encoder, inputs[:1]), *inputs[1:])

    course = supervised.train(network, aim, problem, _inputs, values, job, watch, encode,
                              epoch_checkpoints.place(job))
    raw = [keras.Input(shape=i.shape[1:], dtype=i.dtype, name=i.name) for i in (*encoder.inputs, *network.inputs[1:])]
    model = supervised.finished(raw, network([encoder(raw[0]), *raw[1:]]), aim, problem, _inputs)
    return Mlp(model, course.best_epoch, course.history)


def _inputs(rows: Rows) -> tuple[Array, ...]:
    return (rows.numbers, rows.categories) if rows.categories.shape[1] else (rows.numbers,)


def _encoder(kind: str, train: Rows) -> Any:
    """The fixed part: raw numbers to scaled ones, fitted on the training rows."""
    import keras

    from automl_phys import layers

    some = train.take(slice(None, None, -(-len(train) // MOST_ADAPTED)))
    made = {"robust": layers.RobustScale, "log": layers.LogScale, "bins": layers.PiecewiseLinear}
    inputs = keras.Input((train.numbers.shape[1],), name="numbers")
    encoded = []
    for word in kind.split("+"):
        layer = made[word]()
        layer.adapt(some.numbers, some.fit_weight)
        encoded.append(layer(inputs))
    return keras.Model(inputs, keras.layers.concatenate(encoded) if len(encoded) > 1 else encoded[0])


def _network(values: dict[str, Any], width: int, level_counts: list[int], outputs: int) -> Any:
    """The trained part: scaled numbers (and category codes) to outputs, with a member axis when there are members."""
    import keras

    from automl_phys import layers

    numbers = hidden = keras.Input((width,), name="scaled")
    inputs = [numbers]
    hidden = layers.FeatureScale()(hidden)
    if values["embedding"] == "periodic":
        hidden = layers.PeriodicEmbedding(values["frequencies"], sigma=values["sigma"])(hidden)
    if level_counts:
        codes = keras.Input((len(level_counts),), dtype="int32", name="categories")
        inputs.append(codes)
        # Zeros at the start, so that code 0 (a value not seen in training) stays neutral.
        embedded = [keras.layers.Embedding(count + 1, min(8, count), embeddings_initializer="zeros")(codes[:, i])
                    for i, count in enumerate(level_counts)]
        hidden = keras.layers.concatenate([hidden, *embedded])
    members = values["members"]
    for index, units in enumerate(values["layers"]):
        before = hidden
        if members > 1:
            hidden = layers.MemberScale(members, random=index == 0)(hidden)
        start = "lecun_normal" if values["activation"] == "selu" else "he_normal"
        hidden = keras.layers.Dense(units, kernel_initializer=start)(hidden)
        if values["normalisation"] == "batch":
            hidden = keras.layers.BatchNormalization()(hidden)
        elif values["normalisation"] == "layer":
            hidden = keras.layers.LayerNormalization()(hidden)
        hidden = keras.layers.Activation(values["activation"])(hidden)
        if values["dropout"] > 0:
            hidden = keras.layers.Dropout(values["dropout"])(hidden)
        if index and before.shape == hidden.shape:
            hidden = keras.layers.add([hidden, before])
    last = layers.MemberDense(outputs) if members > 1 else keras.layers.Dense(outputs)
    return keras.Model(inputs, last(hidden))
