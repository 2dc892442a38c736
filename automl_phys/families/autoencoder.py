"""Family ``autoencoder``: a neural network that learns to give back its input through a bottleneck (Keras).

The bottleneck's values are the places of the points: a smooth map, so new points cost nothing. Noise on the input,
where there is any, makes it a denoising autoencoder (P. Vincent et al., JMLR 11 (2010) 3371).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import reducer_facts
from automl_phys.contracts import Reduction
from automl_phys.exhibits import Axis, Figure, Series
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.values import Array

SOLVES = frozenset({"reduce"})
NEEDS = ("keras",)
TEXT = "a smooth curved surface through the points, learnt by a network"

FEWEST_ROWS = 20
MOST_DIMENSIONS = 16
HELD_OUT = 0.1
"""Share of the points that the network is not fitted on, to see when to stop."""
UPDATES = 4000
"""About how many steps of the optimiser are enough."""


def skip(facts: Facts) -> str | None:
    return reducer_facts.skip(facts, FEWEST_ROWS)


def memory_mb(facts: Facts) -> int:
    """Keras and its framework, and the points four times: to learn from, as a target, held out, given back."""
    return 1100 + round(facts.rows.get("train", 0) * facts.sizes["numbers"] * 4 * 4 / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    epochs = _epochs(facts)
    return {
        "dimensions": Range(low=2, high=_most(facts), integer=True, log=True, text="units of the bottleneck"),
        "widths": Range(choices=([64], [128], [128, 64], [256, 128], [256, 128, 64], [512, 256, 128]),
                        text="units of the layers before the bottleneck, in reverse after it"),
        "activation": Range(choices=("silu", "relu", "tanh", "selu"), text="activation of these layers"),
        "noise": Range(low=0.0, high=0.5, text="width of the Gaussian noise on the inputs while training"),
        "learning_rate": Range(low=3e-4, high=1e-2, log=True, text="peak learning rate of AdamW"),
        "epochs": Range(low=max(5, epochs // 2), high=2 * epochs, log=True, integer=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"dimensions": min(4, _most(facts)), "widths": [128, 64], "activation": "silu", "noise": 0.1,
                     "learning_rate": 3e-3, "epochs": _epochs(facts)}
    return first, {**first, "dimensions": min(8, _most(facts)), "widths": [256, 128, 64], "learning_rate": 2e-3}


def _most(facts: Facts) -> int:
    """Never as many as columns, where there is a choice: a bottleneck as wide as the input need not learn anything."""
    return max(2, min(MOST_DIMENSIONS, facts.sizes.get("numbers", 1) - 1))


def _batch(rows: int) -> int:
    """A power of two from 16 to 512, near a fiftieth of the rows."""
    return min(512, max(16, 1 << (rows // 48).bit_length()))


def _epochs(facts: Facts) -> int:
    """About ``UPDATES`` steps, but 10 to 100 epochs."""
    rows = max(1, facts.rows.get("train", 1))
    return min(100, max(10, round(UPDATES * _batch(rows) / rows)))


@dataclass(frozen=True)
class Autoencoder:
    """``network`` is the encoder, from points (n, d) to places (n, k), as its file holds it or as it was trained."""

    network: Any
    embedding: Array
    history: tuple[Mapping[str, float], ...]

    def place(self, points: Array) -> Array:
        from automl_phys import keras_fit

        return keras_fit.predict(self._encoder, (points,))

    @cached_property
    def _encoder(self) -> Any:
        """Opened when points are to be placed: for the embedding alone Keras need not be imported."""
        if not isinstance(self.network, Path):
            return self.network
        from automl_phys.keras_fit import load_keras

        return load_keras().models.load_model(self.network, compile=False, safe_mode=True)

    def save(self, folder: Path) -> None:
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        self._encoder.save(folder / "encoder.keras")
        np.save(folder / "embedding.npy", self.embedding, allow_pickle=False)
        (folder / "history.json").write_text(json.dumps(self.history), encoding="utf-8")

    def figures(self) -> tuple[Figure, ...]:
        """The learning curve."""
        at = tuple(step["step"] for step in self.history)
        series = tuple(Series(name, "line", at, tuple(step[key] for step in self.history))
                       for key, name in (("train_loss", "fitted on"), ("valid_loss", "held out")))
        return (Figure(
            "autoencoder-learning", "Learning curve of the autoencoder", "xy", Axis("Epoch"),
            Axis("Mean squared error", scale="log"), series, section="Features",
            caption="The error per scaled feature with which points come back through the bottleneck: 1 would be their "
                    "mean. The epoch of the lowest error of points held out is kept."),)


def load(folder: Path) -> Reduction:
    """Open a saved encoder; on any Keras framework, whichever it was trained on."""
    import numpy as np

    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    return Autoencoder(folder / "encoder.keras", np.load(folder / "embedding.npy", allow_pickle=False), tuple(history))


def fit(points: Array, params: Params, job: Job) -> Reduction:
    """Minimise the squared error with AdamW, stopped early on a tenth of the points, drawn by the job's seed.

    Raises DataError for points that are not finite, all the same or very few, and for a loss that is no number.
    """
    import numpy as np

    from automl_phys import keras_fit, placing
    from automl_phys.errors import DataError, Mistake

    placing.check_points(points, FEWEST_ROWS // 2)
    keras = keras_fit.load_keras()
    keras.utils.set_random_seed(job.seed % 2**32)
    values: Any = dict(params)
    encoder, network = _networks(values, points.shape[1])
    order = np.random.default_rng(job.seed).permutation(len(points))
    held_out, fitted_on = np.split(points[order], [max(1, round(HELD_OUT * len(points)))])
    training = keras_fit.Training(values["epochs"], _batch(len(fitted_on)), values["learning_rate"],
                                  weight_decay=1e-4, patience=max(8, values["epochs"] // 5))
    try:
        course = keras_fit.fit(network, _head(), _batch_of(fitted_on), _batch_of(held_out), training, job.seed,
                               lambda _epoch, _predictions: None)
    except FloatingPointError as found:
        raise DataError(Mistake("no-convergence", f"The autoencoder did not converge: {found}.",
                                "Lower 'learning_rate', or look for outliers.")) from found
    return Autoencoder(encoder, placing.checked(keras_fit.predict(encoder, (points,))), course.history)


def _batch_of(points: Array) -> Any:
    """Points that are to come back as they are."""
    import numpy as np

    from automl_phys.keras_fit import Batch

    return Batch((points,), points, np.ones(len(points), np.float32))


def _head() -> Any:
    from keras import ops

    from automl_phys.keras_fit import Head

    def squared_error(target: Any, given_back: Any) -> Any:
        return ops.mean(ops.square(target - given_back), axis=-1)

    return Head(squared_error, lambda outputs: outputs, squared_error)


def _networks(values: dict[str, Any], columns: int) -> tuple[Any, Any]:
    """The encoder, and the whole network that shares its weights."""
    import keras

    start = "lecun_normal" if values["activation"] == "selu" else "glorot_uniform"

    def layered(hidden: Any, widths: list[int]) -> Any:
        for units in widths:
            hidden = keras.layers.Dense(units, values["activation"], kernel_initializer=start)(hidden)
        return hidden

    inputs = keras.Input((columns,), name="points")
    hidden = keras.layers.GaussianNoise(values["noise"])(inputs) if values["noise"] > 0 else inputs
    code = keras.layers.Dense(values["dimensions"], name="places")(layered(hidden, values["widths"]))
    outputs = keras.layers.Dense(columns)(layered(code, values["widths"][::-1]))
    return keras.Model(inputs, code), keras.Model(inputs, outputs)
