"""Family ``autoencoder_error``: how badly an event comes back through the bottleneck of an autoencoder (Keras).

What is learned from normal events is how to give these back (T. Heimel et al., arXiv:1808.08979; M. Farina et al.,
arXiv:1808.08992); the score is the mean squared error over the columns, with ``weighted`` each in units of its usual
one. Noise on the input makes it a denoising autoencoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import detector_facts, training_length
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem

SOLVES = frozenset({"detect-anomaly"})
NEEDS = ("keras", "jax")
TEXT = "how badly an event comes back through a bottleneck; shows which features are why"

UPDATES = 4000
"""About how many steps of the optimiser are enough."""
BATCH = 256

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """Keras on JAX, and the columns."""
    return detector_facts.memory_mb(facts, 1000)


def cost(facts: Facts) -> float:
    return 15.0


def space(facts: Facts) -> dict[str, Range]:
    epochs = training_length.epochs(facts, UPDATES, BATCH, 150)
    return {
        "dimensions": Range(low=1, high=_most(facts), integer=True, log=True, text="units of the bottleneck"),
        "widths": Range(choices=([64], [128], [128, 64], [256, 128], [256, 128, 64]),
                        text="units of the layers before the bottleneck, in reverse after it"),
        "activation": Range(choices=("silu", "relu", "tanh"), text="activation of these layers"),
        "noise": Range(low=0.0, high=0.5, text="width of the Gaussian noise on the inputs while training"),
        "weighted": Range(choices=(True, False), text="errors of columns in units of their usual ones"),
        "scaling": detector_facts.SCALING,
        "learning_rate": Range(low=3e-4, high=1e-2, log=True, text="peak learning rate of AdamW"),
        "batch_size": Range(choices=(64, 128, BATCH, 512), text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, log=True, integer=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"dimensions": min(3, _most(facts)), "widths": [128, 64], "activation": "silu", "noise": 0.1,
                     "weighted": False, "scaling": "normal", "learning_rate": 3e-3, "batch_size": BATCH,
                     "epochs": training_length.epochs(facts, UPDATES, BATCH, 150)}
    return first, {**first, "dimensions": min(6, _most(facts)), "weighted": True}


def _most(facts: Facts) -> int:
    """A bottleneck as wide as the input need not learn anything."""
    return max(1, min(48, detector_facts.width(facts) // 2))


def load(folder: Path) -> Fitted:
    """Open a saved autoencoder."""
    from automl_phys import detecting, detector_networks

    return detecting.load(folder, lambda inner: detector_networks.load(inner, detector_networks.ColumnNetwork))


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the squared error of events that come back, stopped early on held-out normal events."""
    from automl_phys import detecting, detector_networks, keras_fit

    keras = keras_fit.load_keras()
    keras.utils.set_random_seed(job.seed % 2**32)
    values: dict[str, Any] = dict(params)
    given = detecting.given(problem, values["scaling"])
    network = _network(values, given.train.shape[1])
    return detector_networks.train(network, given, values, job, watch, detector_networks.ColumnNetwork,
                                   values["weighted"])


def _network(values: dict[str, Any], columns: int) -> Any:
    import keras

    from automl_phys.detector_layers import SquaredErrors

    def layered(hidden: Any, widths: list[int]) -> Any:
        for units in widths:
            hidden = keras.layers.Dense(units, values["activation"])(hidden)
        return hidden

    events = keras.Input((columns,), name="events")
    hidden = keras.layers.GaussianNoise(values["noise"])(events) if values["noise"] > 0 else events
    code = keras.layers.Dense(values["dimensions"], name="code")(layered(hidden, values["widths"]))
    back = keras.layers.Dense(columns)(layered(code, values["widths"][::-1]))
    return keras.Model(events, SquaredErrors()(events, back))
