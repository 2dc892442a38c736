"""Family ``deep_svdd``: how far from a centre a network takes an event that takes normal events near it (Keras).

L. Ruff et al., ICML 2018 (one-class Deep SVDD): the network has no biases and decaying weights, and the centre is
fixed, the mean of what the network makes of normal events before it is trained. A network that takes everything to the
centre would be best at that, and of no use; so distances are in units of those of noise that varies as events do, but
twice as much. What is found are directions that normal events hardly vary in.
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
    from automl_phys.values import Array

SOLVES = frozenset({"detect-anomaly"})
NEEDS = ("keras", "jax")
TEXT = "how far from a centre a network takes an event that takes normal events near it"

UPDATES = 3000
BATCH = 256
LEAST = 0.1
"""Of the centre's components, in units of their root mean square: nothing is as easily had as 0 (Ruff et al.)."""
MOST_ADAPTED = 10_000
"""Events by which the centre is found."""

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """Keras on JAX, and the columns."""
    return detector_facts.memory_mb(facts, 1000)


def cost(facts: Facts) -> float:
    return 12.0


def space(facts: Facts) -> dict[str, Range]:
    epochs = training_length.epochs(facts, UPDATES, BATCH, 150)
    return {
        "outputs": Range(choices=(4, 8, 16, 32, 64), text="columns that events are taken to"),
        "widths": Range(choices=([64], [128], [128, 64], [256, 128]), text="units of the layers before these"),
        "weight_decay": Range(low=1e-6, high=1e-1, log=True, text="decoupled weight decay"),
        "scaling": detector_facts.SCALING,
        "learning_rate": Range(low=1e-4, high=5e-3, log=True, text="peak learning rate of AdamW"),
        "batch_size": Range(choices=(64, 128, BATCH, 512), text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"outputs": 16, "widths": [128, 64], "weight_decay": 1e-3, "scaling": "normal",
                     "learning_rate": 1e-3, "batch_size": BATCH,
                     "epochs": training_length.epochs(facts, UPDATES, BATCH, 150)}
    return first, {**first, "outputs": 32, "widths": [128]}


def load(folder: Path) -> Fitted:
    """Open a saved network."""
    from automl_phys import detecting, detector_networks

    return detecting.load(folder, detector_networks.load)


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Bring normal events near the centre, stopped early on held-out ones."""
    from automl_phys import detecting, detector_networks, keras_fit

    keras = keras_fit.load_keras()
    from automl_phys.detector_layers import OneClass

    keras.utils.set_random_seed(job.seed % 2**32)
    values: dict[str, Any] = dict(params)
    given = detecting.given(problem, values["scaling"])
    layer = OneClass(values["widths"], values["outputs"], job.seed % 2**31, name="one_class")
    events = keras.Input((given.train.shape[1],), name="events")
    network = keras.Model(events, layer(events))
    _centre(layer, given.drawn(MOST_ADAPTED, job.seed))
    return detector_networks.train(network, given, values, job, watch)


def _centre(layer: Any, events: Array) -> None:
    """Put the centre where the untrained network takes events (n, d) on average, but off 0."""
    import numpy as np

    places = np.asarray(layer.places(events))
    least = LEAST * float(np.sqrt((places**2).mean()))
    middle = places.mean(axis=0)
    layer.centre.assign(np.where(np.abs(middle) < least, np.where(middle < 0, -least, least), middle))
