"""Family ``diffusion``: noise is taken away step by step until events are left (EDM, in Keras).

On tables the network is a stack of residual layers, on images a small U-Net.
"""

from __future__ import annotations

import json
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
TEXT = "noise taken away step by step: the best of images, slower to draw from"

UPDATES = {"table": 8000, "images": 1500}
BATCH = {"table": 256, "images": 64}
STEPS_FILE = "steps.json"

skip = generator_networks.skip


def memory_mb(facts: Facts) -> int:
    """As of other networks, and what a block of events takes while it is drawn."""
    return generator_networks.memory_mb(facts, 1000)


def cost(facts: Facts) -> float:
    return 60.0 if facts.kind == "table" else 20 + 0.2 * facts.sizes.get("generated", 256)


def space(facts: Facts) -> dict[str, Range]:
    epochs, images = _epochs(facts), facts.kind == "images"
    return {
        "units": Range(choices=(24, 32, 48) if images else (128, 192, 256, 384), text="units of each layer"),
        "layers": Range(low=1, high=2 if images else 6, integer=True, text="residual blocks"),
        "dropout": Range(low=0.0, high=0.2, text="share of units dropped while training"),
        "steps": Range(low=8, high=32, integer=True, text="noise levels when events are drawn"),
        "learning_rate": Range(low=3e-4, high=5e-3, log=True, text="peak learning rate of AdamW"),
        "batch_size": Range(choices=(32, 64, 128) if images else (128, 256, 512), text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    images = facts.kind == "images"
    first: Params = {"units": 24 if images else 192, "layers": 1 if images else 4, "dropout": 0.0,
                     "steps": 20 if images else 14, "learning_rate": 2e-3,
                     "batch_size": BATCH[generator_networks.kind(facts)], "epochs": _epochs(facts)}
    return first, {**first, "units": 32 if images else 256, "dropout": 0.1, "learning_rate": 1e-3}


def _epochs(facts: Facts) -> int:
    kind = generator_networks.kind(facts)
    return training_length.epochs(facts, UPDATES[kind], BATCH[kind], 250)


@dataclass(frozen=True)
class Diffusion(Networked):
    """``network`` gives the loss of variates; ``steps`` are the noise levels of a draw."""

    steps: int

    def draw(self, condition: Array, seed: int) -> Array:
        import numpy as np

        start = np.random.default_rng(seed).standard_normal((len(condition), *self._denoiser.sides), np.float32)
        return self._drawn(start, condition)

    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / STEPS_FILE).write_text(json.dumps(self.steps), encoding="utf-8")

    @property
    def _denoiser(self) -> Any:
        return self.network.get_layer("denoiser")

    @cached_property
    def _drawn(self) -> Compiled:
        layer, steps = self._denoiser, self.steps
        return self.compiled(lambda start, condition: layer.drawn(start, condition, steps))


def load(folder: Path) -> Fitted:
    """Open a saved model."""
    from automl_phys import denoising_layers, generating, latent_networks  # noqa: F401 - registers the layers of files

    def latent(inner: Path) -> Diffusion:
        return Diffusion(latent_networks.load(inner), json.loads((inner / STEPS_FILE).read_text(encoding="utf-8")))

    return generating.load(folder, latent)


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the weighted error of taking away noise of all levels."""
    from automl_phys import generating, keras_fit

    keras = keras_fit.load_keras()
    from automl_phys import latent_networks
    from automl_phys.denoising_layers import Denoiser

    keras.utils.set_random_seed(job.seed % 2**32)
    values: Any = dict(params)
    given = generating.given(problem, job.seed, "pixels")
    inputs = latent_networks.inputs_of(given)
    layer = Denoiser(values["units"], values["layers"], values["dropout"], job.seed % 2**31, name="denoiser")
    diffusion = Diffusion(keras.Model(inputs, layer(*inputs)), values["steps"])
    course = latent_networks.train(diffusion.network, diffusion.draw, given, values, job, watch)
    return generating.Generator(given.closed(diffusion.draw), diffusion, course.best_epoch, course.history)
