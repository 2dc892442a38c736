"""An environment as a problem: how long agents train in it, and the episodes by which they are chosen and judged.

Takes what a recipe says, gives a folder with ``environment.json`` and :class:`EnvironmentProblem`, which satisfies
``contracts.Problem``. No data are stored: an episode is told by its seed. Three sets of seeds are kept apart, those of
trainings, of the episodes that trials and moments of a training are compared by (``valid``), and of the episodes that
are looked at once (``test``). Making environments is :mod:`automl_phys.environments`'s work, playing
:mod:`automl_phys.episode_play`'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import environments, machine, rundir
from automl_phys.environments import Seen, Spec
from automl_phys.exhibits import Table
from automl_phys.facts import Facts
from automl_phys.readable import cell
from automl_phys.values import Part, to_json

if TYPE_CHECKING:
    from automl_phys.reinforce_sections import Options

FILE = "environment.json"
OF_TRAINING, OF_VALID, OF_TEST, OF_NEW = range(4)
"""What seeds are for; each kind has a stream of its own."""
LARGEST_SEED = 2**31 - 1

NORMALIZE = {"auto": -1, False: 0, True: 1}
"""``environment.normalize`` as a number among the sizes."""


@dataclass(frozen=True)
class Training:
    """How an agent is trained: in which environment, for how many ``steps`` of all copies together, from which seed."""

    spec: Spec
    steps: int
    seed: int


@dataclass(frozen=True)
class Episodes:
    """Episodes to be played, each told by its seed."""

    spec: Spec
    seeds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.seeds)


@dataclass(frozen=True)
class Settings:
    """All that an environment problem is made of; what is seen of the environment stands beside it.

    ``seed`` is the run's; ``code`` is the hash of the module that the environment is in, where that is the user's own,
    ``versions`` names the libraries that it depends on.
    """

    spec: Spec
    steps: int
    copies: int
    """0: what suits the algorithm."""
    normalize: int
    """As ``NORMALIZE``."""
    episodes: int
    choose_by: int
    seeds: int
    seed: int
    code: str
    versions: str

    @property
    def fingerprint(self) -> str:
        """Hash of all of it."""
        return hashlib.sha256(json.dumps(to_json(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Stored:
    """What is in ``environment.json``."""

    settings: Settings
    seen: Seen


@dataclass(eq=False)
class EnvironmentProblem:
    """Satisfies ``contracts.Problem``. ``number`` is 0 for the problem itself, else which variation this is."""

    folder: Path
    stored: Stored
    number: int = 0
    variation_seed: int = 0
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = self.stored.settings

    @property
    def variation(self) -> str:
        """``training seed 3``; empty for the problem itself."""
        return f"training seed {self.number}" if self.number else ""

    @property
    def fingerprint(self) -> str:
        """Of the settings as they are stored, which a changed file does not share."""
        return self.settings.fingerprint

    @property
    def spec(self) -> Spec:
        """The environment."""
        return self.settings.spec

    @property
    def seen(self) -> Seen:
        """What was seen of the environment when it was tried."""
        return self.stored.seen

    def facts(self) -> Facts:
        return facts(self.settings, self.seen)

    @cached_property
    def train(self) -> Training:
        """Where, for how long, and from which seed is trained."""
        seed = seeds_of(self.settings.seed, OF_TRAINING, 1, self.variation_seed, self.number)[0]
        return Training(self.spec, self.settings.steps, seed)

    @cached_property
    def valid(self) -> Episodes:
        """What moments of a training, and trials, are compared by."""
        return Episodes(self.spec, seeds_of(self.settings.seed, OF_VALID, self.settings.choose_by))

    @cached_property
    def test(self) -> Episodes:
        """Episodes whose seeds no training and no choice has seen."""
        return Episodes(self.spec, seeds_of(self.settings.seed, OF_TEST, self.settings.episodes))

    def new(self, count: int, seed: int) -> Episodes:
        """Other episodes, those of :meth:`test` not among them."""
        return Episodes(self.spec, seeds_of(seed, OF_NEW, count))

    def resamples(self, count: int, seed: int) -> Sequence[EnvironmentProblem]:
        """The same environment with ``count`` fresh seeds of training; the episodes stay the same."""
        return [EnvironmentProblem(self.folder, self.stored, number, seed) for number in range(1, count + 1)]

    def whole(self) -> EnvironmentProblem:
        """The problem itself: nothing is held back from training in an environment."""
        return self

    def trusting(self, trusted: bool) -> EnvironmentProblem:
        """The same, with or without leave to import code of the user's own, whatever is stored."""
        spec = replace(self.spec, trusted=trusted)
        return EnvironmentProblem(self.folder, replace(self.stored, settings=replace(self.settings, spec=spec)),
                                  self.number, self.variation_seed)


def seeds_of(seed: int, purpose: int, count: int, *more: int) -> tuple[int, ...]:
    """``count`` different seeds below 2³¹ - 1, the same for the same arguments."""
    rng = np.random.default_rng((seed, purpose, *more))
    found: dict[int, None] = {}
    while len(found) < count:
        found.update(dict.fromkeys(rng.integers(LARGEST_SEED, size=count - len(found)).tolist()))
    return tuple(found)


# ---------------------------------------------------------------- made from a recipe, and opened

def settings_of(options: Options, folder: Path, seed: int) -> Settings:
    """What a recipe in ``folder`` asks for. Raises DataError for an environment that is not there, or not trusted."""
    asked = options.environment
    ours = ":" not in asked.id
    spec = Spec(asked.id, dict(asked.arguments), asked.time_limit, asked.frame_stack or 1,
                trusted=asked.trusted and not ours, folder="" if ours else str(folder.absolute()))
    environments.find(spec)
    return Settings(spec, options.train.steps, 0 if asked.copies == "auto" else asked.copies,
                    NORMALIZE[asked.normalize], options.evaluate.episodes, options.evaluate.choose_by,
                    options.evaluate.seeds, seed, "" if ours else _code(spec), _versions())


def look(options: Options, folder: Path, seed: int) -> Facts:
    """Facts from trying the environment for an episode. Raises DataError and RunError as ``environments.look`` does."""
    settings = settings_of(options, folder, seed)
    return facts(settings, environments.look(settings.spec))


def prepare(options: Options, folder: Path, target: Path, seed: int) -> EnvironmentProblem:
    """Write the problem into ``target``. Raises DataError and RunError."""
    settings = settings_of(options, folder, seed)
    stored = Stored(settings, environments.look(settings.spec))
    with rundir.whole_folder(target) as draft:
        rundir.write_json(draft / FILE, stored)
    return load(target)


def load(folder: Path) -> EnvironmentProblem:
    """Open a prepared problem; makes no environment. Raises CallError when it is not there or damaged."""
    return EnvironmentProblem(folder, rundir.read_json(folder / FILE, Stored))


def _code(spec: Spec) -> str:
    """Hash of the file of the module that an environment of the user's own is in; ``installed`` where that is none
    beside the recipe."""
    top = spec.id.partition(":")[0].partition(".")[0]
    for path in (Path(spec.folder) / f"{top}.py", Path(spec.folder) / top / "__init__.py"):
        if path.is_file():
            return rundir.sha256(path)
    return "installed"


def _versions() -> str:
    names = ("gymnasium", "stable-baselines3", "sb3-contrib")
    return ", ".join(f"{name} {found}" for name in names if (found := machine.version(name)) is not None)


# ---------------------------------------------------------------- facts

def facts(settings: Settings, seen: Seen) -> Facts:
    """What agents are planned by.

    Sizes: ``observations`` (numbers) and ``actions`` (to choose from, or dimensions); 1 or 0 for kinds of actions,
    ``discrete``, ``continuous``, ``several`` (several discrete ones at once), and of observations, ``vector``,
    ``image``, ``mapping``, ``words`` (discrete); ``bounded`` is 1 where observations are all within ± 10; ``steps`` of
    a training, ``time_limit`` of an episode (0 for none), ``copies`` (0: as suits), ``normalize`` (-1: as suits),
    ``replicas``, the trainings that the report is about, and ``draws``, 1 where the environment draws pictures.
    """
    sizes = {
        "observations": seen.observation_size, "actions": seen.actions,
        "discrete": int(seen.action == "discrete"), "continuous": int(seen.action == "continuous"),
        "several": int(seen.action in ("multi-discrete", "multi-binary")),
        "vector": int(seen.observation == "vector"), "image": int(seen.observation == "image"),
        "mapping": int(seen.observation == "dict"), "words": int(seen.observation == "discrete"),
        "bounded": int(max(abs(seen.observation_low), abs(seen.observation_high)) <= 10),
        "steps": settings.steps, "time_limit": seen.time_limit or 0, "copies": settings.copies,
        "normalize": settings.normalize, "replicas": settings.seeds, "draws": int(seen.renders)}
    rows: dict[Part, int] = {"valid": settings.choose_by, "test": settings.episodes}
    return Facts("environment", rows, sizes, (_table(settings, seen),), seen.notes, settings.spec.id)


def _table(settings: Settings, seen: Seen) -> Table:
    action = f"{seen.action}, {seen.actions} to choose from" if seen.action == "discrete" else \
        f"{seen.action}, {seen.actions} dimension{'s' * (seen.actions > 1)}"
    if seen.action_low:
        action += f" between {cell(float(min(seen.action_low)))} and {cell(float(max(seen.action_high)))}"
    limit = f"cut off after {seen.time_limit} steps" if seen.time_limit else "without a time limit"
    rows: list[tuple[str, str]] = [
        ("Environment", settings.spec.id),
        *((f"Argument {name}", json.dumps(value)) for name, value in settings.spec.arguments.items()),
        ("Observation", f"{seen.observation}, {seen.observation_size} number{'s' * (seen.observation_size > 1)}"
         + (f" ({settings.spec.frame_stack} observations at once)" if settings.spec.frame_stack > 1 else "")),
        ("Action", action), ("Episodes", limit),
        ("Called solved from", "–" if seen.reward_threshold is None else f"a return of {cell(seen.reward_threshold)}"),
        ("Versions", seen.version)]
    return Table("The environment", ("What", "Value"), tuple(rows))
