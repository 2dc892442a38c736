"""Family ``flow_density``: how improbable an event is by a normalising flow (Keras).

Couplings with rational-quadratic splines or affine maps (:mod:`automl_phys.coupling_layers`), trained by maximum
likelihood; the score is -ln of the density of the columns as they are scaled: a density depends on what it is a density
of. Of many columns the principal components are taken, and the distance from these.
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
TEXT = "how improbable an event is by an exact likelihood: sees all correlations, wants many events"

UPDATES = 2500
BATCH = 256

skip = detector_facts.skip


def memory_mb(facts: Facts) -> int:
    """Keras on JAX, and the columns."""
    return detector_facts.memory_mb(facts, 1100)


def cost(facts: Facts) -> float:
    return 15 + 3e-4 * UPDATES * min(detector_facts.MOST_COMPONENTS, detector_facts.width(facts))


def space(facts: Facts) -> dict[str, Range]:
    epochs = training_length.epochs(facts, UPDATES, BATCH, 100)
    return {
        "coupling": Range(choices=("affine", "spline"), text="how a column is changed by the others"),
        "steps": Range(low=4, high=10, integer=True, text="couplings, one after the other"),
        "bins": Range(low=6, high=12, integer=True, when={"coupling": ("spline",)}, text="bins of a spline"),
        "units": Range(choices=(48, 64, 96, 128), text="units of the networks that say how"),
        "dropout": Range(low=0.0, high=0.3, text="share of units dropped while training"),
        "scaling": detector_facts.SCALING,
        "learning_rate": Range(low=5e-4, high=5e-3, log=True, text="peak learning rate of AdamW"),
        "batch_size": Range(choices=(128, BATCH, 512), text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"coupling": "affine", "steps": 8, "units": 96, "dropout": 0.1, "scaling": "normal",
                     "learning_rate": 2e-3, "batch_size": BATCH,
                     "epochs": training_length.epochs(facts, UPDATES, BATCH, 100)}
    return first, {**first, "coupling": "spline", "bins": 6, "steps": 4, "units": 48}


def load(folder: Path) -> Fitted:
    """Open a saved flow."""
    from automl_phys import detecting, detector_networks

    return detecting.load(folder, detector_networks.load)


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Maximise the weighted likelihood, stopped early on that of held-out normal events."""
    from automl_phys import detecting, detector_networks, keras_fit

    keras = keras_fit.load_keras()
    from automl_phys.coupling_layers import Couplings

    keras.utils.set_random_seed(job.seed % 2**32)
    values: dict[str, Any] = dict(params)
    given = detecting.given(problem, values["scaling"], detector_facts.MOST_COMPONENTS)
    events = keras.Input((given.train.shape[1],), name="events")
    layer = Couplings(values["steps"], values.get("bins", 0), values["units"], 1, values["dropout"], name="couplings")
    return detector_networks.train(keras.Model(events, layer(events)), given, values, job, watch)
