"""Family ``vae_error``: how improbable an event is by a variational autoencoder (Keras).

The score is the negative bound of the log-likelihood: how badly the event comes back from its code, each column in
units of a width that is learnt, and β times how improbable the code is (J. An, S. Cho, 2015; for physics O. Cerri et
al., arXiv:1811.10276).
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
TEXT = "how improbable an event is, and its code, by a variational autoencoder; shows which features are why"

UPDATES = 5000
BATCH = 256
WARM = 0.2
"""Share of the training in which the prior's weight rises."""

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """Keras on JAX, and the columns."""
    return detector_facts.memory_mb(facts, 1000)


def cost(facts: Facts) -> float:
    return 25.0


def space(facts: Facts) -> dict[str, Range]:
    epochs = training_length.epochs(facts, UPDATES, BATCH, 150)
    return {
        "dimensions": Range(low=1, high=_most(facts), integer=True, log=True, text="numbers of a code"),
        "units": Range(choices=(64, 96, 128, 192), text="units of each layer"),
        "layers": Range(low=1, high=3, integer=True, text="residual layers of encoder and decoder"),
        "beta": Range(low=0.05, high=4.0, log=True, text="weight of the code's improbability; 1 is the bound"),
        "scaling": detector_facts.SCALING,
        "learning_rate": Range(low=3e-4, high=5e-3, log=True, text="peak learning rate of AdamW"),
        "batch_size": Range(choices=(64, 128, BATCH, 512), text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"dimensions": min(12, _most(facts)), "units": 128, "layers": 1, "beta": 1.0, "scaling": "normal",
                     "learning_rate": 2e-3, "batch_size": BATCH,
                     "epochs": training_length.epochs(facts, UPDATES, BATCH, 150)}
    return first, {**first, "dimensions": min(6, _most(facts)), "beta": 0.5}


def _most(facts: Facts) -> int:
    return max(1, min(48, detector_facts.width(facts)))


def load(folder: Path) -> Fitted:
    """Open a saved autoencoder."""
    from automl_phys import detecting, detector_networks

    return detecting.load(folder, lambda inner: detector_networks.load(inner, detector_networks.ColumnNetwork))


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Maximise the bound of the weighted likelihood, stopped early on held-out normal events."""
    import math

    from automl_phys import detecting, detector_networks, keras_fit

    keras = keras_fit.load_keras()
    from automl_phys.detector_layers import Improbability

    keras.utils.set_random_seed(job.seed % 2**32)
    values: dict[str, Any] = dict(params)
    given = detecting.given(problem, values["scaling"])
    steps = values["epochs"] * math.ceil(len(given.train) / values["batch_size"])
    layer = Improbability(values["dimensions"], values["units"], values["layers"], values["beta"], round(WARM * steps),
                          job.seed % 2**31, name="improbability")
    events = keras.Input((given.train.shape[1],), name="events")
    return detector_networks.train(keras.Model(events, layer(events)), given, values, job, watch,
                                   detector_networks.ColumnNetwork)
