"""Family ``flow``: a normalising flow, an invertible map of events to a standard normal distribution (Keras).

Couplings with rational-quadratic splines or affine maps, trained by maximum likelihood; so the density of an event is
known too. On images it learns their principal components.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import generator_networks, training_length
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.generator_networks import Networked
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.latent_networks import Compiled
    from automl_phys.table_problem import TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"generate"})
NEEDS = ("keras", "jax")
TEXT = "an invertible map to a normal distribution: exact likelihood, fast to draw from"

UPDATES = 6000
"""About how many steps of the optimiser are enough."""
BATCH = 256

skip = generator_networks.skip
memory_mb = generator_networks.memory_mb


def cost(facts: Facts) -> float:
    return 20 + 2e-3 * UPDATES * max(1.0, facts.sizes.get("generated", 20) / 5)


def space(facts: Facts) -> dict[str, Range]:
    epochs = _epochs(facts)
    return {
        "coupling": Range(choices=("spline", "affine"), text="how a column is changed by the others"),
        "steps": Range(low=4, high=12, integer=True, text="couplings, one after the other"),
        "bins": Range(low=6, high=16, integer=True, when={"coupling": ("spline",)}, text="bins of a spline"),
        "units": Range(choices=(64, 96, 128, 192), text="units of the networks that say how"),
        "layers": Range(low=1, high=3, integer=True, text="residual layers of these networks"),
        "dropout": Range(low=0.0, high=0.2, text="share of units dropped while training"),
        "learning_rate": Range(low=5e-4, high=5e-3, log=True, text="peak learning rate of AdamW"),
        "batch_size": Range(choices=(128, BATCH, 512), text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    first: Params = {"coupling": "spline", "steps": 8, "bins": 8, "units": 96, "layers": 1, "dropout": 0.0,
                     "learning_rate": 2e-3, "batch_size": BATCH, "epochs": _epochs(facts)}
    return first, {**first, "units": 128, "layers": 2, "dropout": 0.1, "learning_rate": 1e-3}


def _epochs(facts: Facts) -> int:
    """About ``UPDATES`` steps, but 5 to 150 epochs."""
    return training_length.epochs(facts, UPDATES, BATCH, 150)


@dataclass(frozen=True)
class Flow(Networked):
    """``network`` gives the negative logarithm of the density of variates."""

    def draw(self, condition: Array, seed: int) -> Array:
        import numpy as np

        base = np.random.default_rng(seed).standard_normal((len(condition), self._couplings.columns), np.float32)
        return self._back(base, condition)

    def log_density(self, z: Array, condition: Array) -> Array:
        """Of variates (n, d) under conditions (n, k), natural logarithm (n,)."""
        from automl_phys import keras_fit, latent_networks

        return -keras_fit.predict(self.network, latent_networks.inputs(z, condition))[:, 0]

    @property
    def _couplings(self) -> Any:
        return self.network.get_layer("couplings")

    @cached_property
    def _back(self) -> Compiled:
        return self.compiled(self._couplings.to_events)


def load(folder: Path) -> Fitted:
    """Open a saved flow."""
    from automl_phys import coupling_layers, generating, latent_networks  # noqa: F401 - registers the layers of files

    return generating.load(folder, lambda inner: Flow(latent_networks.load(inner)))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Maximise the weighted likelihood of the variates."""
    from automl_phys import generating, keras_fit

    keras = keras_fit.load_keras()
    from automl_phys import latent_networks
    from automl_phys.coupling_layers import Couplings

    keras.utils.set_random_seed(job.seed % 2**32)
    values: Any = dict(params)
    given = generating.given(problem, job.seed)
    inputs = latent_networks.inputs_of(given)
    bins = values["bins"] if values["coupling"] == "spline" else 0
    layer = Couplings(values["steps"], bins, values["units"], values["layers"], values["dropout"], name="couplings")
    flow = Flow(keras.Model(inputs, layer(*inputs)))
    course = latent_networks.train(flow.network, flow.draw, given, values, job, watch)
    return generating.Generator(given.space, flow, course.best_epoch, course.history)
