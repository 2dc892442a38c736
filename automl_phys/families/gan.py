"""Family ``gan``: a generator against a critic that tells its events from real ones (Wasserstein, in Keras on JAX).

On images both are convolutions. The game is watched: where the generator makes less and less different events, or the
distance grows again, the report says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import generator_networks, training_length
from automl_phys.contracts import Fitted
from automl_phys.exhibits import Axis, Figure, Series
from automl_phys.facts import Facts, Range
from automl_phys.generator_networks import Networked
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.adversarial import Course
    from automl_phys.generating import Given
    from automl_phys.latent_networks import Compiled
    from automl_phys.table_problem import TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"generate"})
NEEDS = ("keras", "jax")
TEXT = "a generator against a critic: sharp, fast to draw from, hard to train"

UPDATES = {"table": 3200, "images": 300}
"""Steps of the generator that are about enough."""
BATCH = {"table": 256, "images": 64}

skip = generator_networks.skip
memory_mb = generator_networks.memory_mb


def cost(facts: Facts) -> float:
    return 60.0 if facts.kind == "table" else 30 + 0.2 * facts.sizes.get("generated", 256)


def space(facts: Facts) -> dict[str, Range]:
    epochs, images = _epochs(facts, 3), facts.kind == "images"
    return {
        "units": Range(choices=(16, 24, 32, 48) if images else (96, 128, 192, 256), text="units of each layer"),
        "layers": Range(low=1, high=4, integer=True, text="residual layers of both networks (tables)"),
        "noise": Range(low=8, high=64, integer=True, log=True, text="random numbers that an event is made of"),
        "critic_steps": Range(low=2, high=5, integer=True, text="steps of the critic for each of the generator"),
        "learning_rate": Range(low=1e-4, high=2e-3, log=True, text="learning rate of Adam, falling as a cosine"),
        "batch_size": Range(choices=(32, 64, 128) if images else (128, 256, 512), text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, text="passes over the data"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    images = facts.kind == "images"
    first: Params = {"units": 24 if images else 128, "layers": 2, "noise": 32, "critic_steps": 3,
                     "learning_rate": 5e-4, "batch_size": BATCH[generator_networks.kind(facts)],
                     "epochs": _epochs(facts, 3)}
    return first, {**first, "units": 32 if images else 192, "learning_rate": 2e-4}


def _epochs(facts: Facts, critic_steps: int) -> int:
    kind = generator_networks.kind(facts)
    return training_length.epochs(facts, UPDATES[kind], BATCH[kind] * critic_steps, 600)


@dataclass(frozen=True)
class Gan(Networked):
    """``network`` is the generator, from noise (n, m) and conditions to variates."""

    def draw(self, condition: Array, seed: int) -> Array:
        import numpy as np

        noise = np.random.default_rng(seed).standard_normal((len(condition), self.network.inputs[0].shape[1]),
                                                            np.float32)
        return self._drawn(noise, condition)

    @cached_property
    def _drawn(self) -> Compiled:
        network = self.network
        return self.compiled(lambda noise, condition: network(
            noise if condition is None else [noise, condition], training=False))


def load(folder: Path) -> Fitted:
    """Open a saved generator."""
    from automl_phys import coupling_layers, generating, latent_networks, picture_networks  # noqa: F401 - layers

    return generating.load(folder, lambda inner: Gan(latent_networks.load(inner)))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Play the game, and keep the generator whose events were judged best."""
    from automl_phys import generating, keras_fit

    keras = keras_fit.load_keras()
    from automl_phys import adversarial

    keras.utils.set_random_seed(job.seed % 2**32)
    values: Any = dict(params)
    given = generating.given(problem, job.seed, "pixels")
    generator, critic = _networks(values, given)
    gan = Gan(generator)
    looks = generating.Looks(given, watch, values["epochs"], job.direction)
    game = adversarial.Game(values["epochs"], values["batch_size"], values["critic_steps"], values["learning_rate"],
                            values["noise"])

    course = adversarial.train(generator, critic, given.train, given.valid, game, job.seed,
                               lambda epoch, sync: looks(epoch, gan.draw, sync))
    return generating.Generator(given.closed(gan.draw), gan, course.best_epoch, course.history, (_played(course),))


def _networks(values: dict[str, Any], given: Given) -> tuple[Any, Any]:
    """Generator and critic."""
    import keras

    from automl_phys.coupling_layers import Residual
    from automl_phys.picture_networks import Decoder, Encoder

    units, sides, width = values["units"], given.train.z.shape[1:], given.train.condition.shape[1]
    noise, events = keras.Input((values["noise"],), name="noise"), keras.Input(sides, name="events")
    condition = [keras.Input((width,), name=f"condition_{i}") for i in range(2)] if width else []

    def beside(tensor: Any, place: int) -> Any:
        return keras.layers.Concatenate()([tensor, condition[place]]) if condition else tensor

    if len(sides) > 1:
        made = Decoder(units, sides, values["noise"] + width)(beside(noise, 0))
        judge = Encoder(units, 1, width, normalised=False)
        said = judge(events, condition[1]) if condition else judge(events)
        return keras.Model([noise, *condition[:1]], made), keras.Model([events, *condition[1:]], said)

    def layered(tensor: Any, outputs: int) -> Any:
        hidden = keras.layers.Dense(units)(tensor)
        for _ in range(values["layers"]):
            hidden = Residual(units)(hidden)
        return keras.layers.Dense(outputs)(keras.layers.Activation("silu")(hidden))

    return (keras.Model([noise, *condition[:1]], layered(beside(noise, 0), sides[0])),
            keras.Model([events, *condition[1:]], layered(beside(events, 1), 1)))


def _played(course: Course) -> Figure:
    """Losses and distance by epoch."""
    at = tuple(step["step"] for step in course.history)
    shown = {"distance": "distance that the critic sees (train)", "valid_loss": "the same, validation",
             "train_loss": "loss of the critic", "generator_loss": "loss of the generator",
             "diversity": "spread of the generated, share of the real"}
    series = tuple(Series(name, "line", at, tuple(step[key] for step in course.history)) for key, name in shown.items())
    kept = f"Events of epoch {course.best_epoch} were judged best and are kept. "
    return Figure("adversarial-game", "The game of generator and critic", "xy", Axis("Epoch"), Axis("Value"), series,
                  section="Training",
                  caption=kept + "The distance should fall and stay low; where it grows again the game diverges. A "
                          "spread far below 1 is a generator that makes the same events again and again.")
