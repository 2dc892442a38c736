"""Family ``vae``: a variational autoencoder, events as codes in a normal distribution and back (Keras).

On images encoder and decoder are convolutions. The report walks through the codes.
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
    from automl_phys.exhibits import Figure
    from automl_phys.generating import Given
    from automl_phys.latent_networks import Compiled
    from automl_phys.table_problem import TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"generate"})
NEEDS = ("keras", "jax")
TEXT = "events as codes and back: fast to draw from, a map of the events"

UPDATES = {"table": 8000, "images": 800}
BATCH = {"table": 256, "images": 64}
WARM = 0.2
"""Share of the training in which the prior's weight rises."""
WALK, WALKS = 9, 5
"""Images of a walk from one code to another, and walks."""

skip = generator_networks.skip
memory_mb = generator_networks.memory_mb


def cost(facts: Facts) -> float:
    return 25.0 if facts.kind == "table" else 15 + 0.1 * facts.sizes.get("generated", 256)


def space(facts: Facts) -> dict[str, Range]:
    epochs, images = _epochs(facts), facts.kind == "images"
    return {
        "dimensions": Range(low=2, high=48, integer=True, log=True, text="numbers of a code"),
        "units": Range(choices=(16, 24, 32, 48) if images else (96, 128, 192, 256), text="units of each layer"),
        "layers": Range(low=1, high=4, integer=True, text="residual layers of encoder and decoder (tables)"),
        "beta": Range(low=0.2, high=2.0, log=True, text="weight of the prior; 1 is the likelihood's bound"),
        "learning_rate": Range(low=3e-4, high=5e-3, log=True, text="peak learning rate of AdamW"),
        "batch_size": Range(choices=(32, 64, 128) if images else (128, 256, 512), text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    images = facts.kind == "images"
    size = max(2, min(48, facts.sizes.get("generated", 20)))
    first: Params = {"dimensions": min(16, size), "units": 24 if images else 192, "layers": 2, "beta": 1.0,
                     "learning_rate": 2e-3, "batch_size": BATCH[generator_networks.kind(facts)],
                     "epochs": _epochs(facts)}
    return first, {**first, "dimensions": size if images else min(24, size), "beta": 0.5}


def _epochs(facts: Facts) -> int:
    kind = generator_networks.kind(facts)
    return training_length.epochs(facts, UPDATES[kind], BATCH[kind], 250)


@dataclass(frozen=True)
class Vae(Networked):
    """``network`` gives the loss of variates."""

    def draw(self, condition: Array, seed: int) -> Array:
        import numpy as np

        rng, layer = np.random.default_rng(seed), self._layer
        code = rng.standard_normal((len(condition), layer.dimensions), np.float32)
        return self._drawn(code, rng.standard_normal((len(condition), *layer.sides), np.float32), condition)

    def decode(self, code: Array, condition: Array) -> Array:
        """Variates of codes (n, k), without noise."""
        return self._decoded(code, condition)

    @property
    def _layer(self) -> Any:
        return self.network.get_layer("variational")

    @cached_property
    def _drawn(self) -> Compiled:
        return self.compiled(self._layer.drawn)

    @cached_property
    def _decoded(self) -> Compiled:
        return self.compiled(self._layer.decoded)


def load(folder: Path) -> Fitted:
    """Open a saved autoencoder."""
    from automl_phys import generating, latent_networks, variational_layers  # noqa: F401 - registers layers

    return generating.load(folder, lambda inner: Vae(latent_networks.load(inner)))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Maximise the bound of the weighted likelihood."""
    import math

    from automl_phys import generating, keras_fit

    keras = keras_fit.load_keras()
    from automl_phys import latent_networks
    from automl_phys.variational_layers import Variational

    keras.utils.set_random_seed(job.seed % 2**32)
    values: Any = dict(params)
    given = generating.given(problem, job.seed, "pixels")
    inputs = latent_networks.inputs_of(given)
    steps = values["epochs"] * math.ceil(len(given.train.z) / values["batch_size"])
    layer = Variational(values["dimensions"], values["units"], values["layers"], values["beta"], round(WARM * steps),
                        job.seed % 2**31, name="variational")
    vae = Vae(keras.Model(inputs, layer(*inputs)))
    course = latent_networks.train(vae.network, vae.draw, given, values, job, watch)
    walk = _walk(vae, given, job.seed)
    return generating.Generator(given.closed(vae.draw), vae, course.best_epoch, course.history, walk)


def _walk(vae: Vae, given: Given, seed: int) -> tuple[Figure, ...]:
    """Images on the way from one code to another."""
    import numpy as np

    from automl_phys.exhibits import Axis, Figure, Picture

    if given.train.z.ndim < 4 or given.train.z.shape[3] not in {1, 3}:
        return ()
    rng = np.random.default_rng(seed)
    ends = rng.standard_normal((2, WALKS, vae.network.get_layer("variational").dimensions))
    angle = np.linspace(0, np.pi / 2, WALK)[:, None, None]
    codes = (np.cos(angle) * ends[0] + np.sin(angle) * ends[1]).transpose(1, 0, 2).reshape(WALKS * WALK, -1)
    some = rng.integers(len(given.train.z), size=WALKS)
    condition = np.repeat(given.train.condition[some], WALK, axis=0)
    images = given.space.back(vae.decode(codes.astype(np.float32), condition))
    height, width, channels = images.shape[1:]
    top = float(images.max()) or 1.0
    pictures = tuple(Picture("", height, width, tuple(float(v) for v in (image / top).ravel()), channels == 3)
                     for image in images)
    return (Figure("latent-walk", "A walk through the codes", "pictures", Axis(""), Axis(""), pictures=pictures,
                   across=WALK, shade=Axis("intensity / largest", low=0.0, high=1.0), section="Images",
                   caption="Each row goes along an arc from one code to another, under one condition. Neighbours that "
                           "are alike, and no nonsense on the way, say that the codes are a map of the images."),)
