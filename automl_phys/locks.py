"""A run on record: ``recipe.lock.yaml``, from which it can be repeated anywhere.

Takes a finished run and its recipe; writes what was run, on which data, with which versions on which machine, and what
came of it. A lock may stand in place of a recipe: its section ``recipe`` is one (:mod:`automl_phys.recipe_text` unwraps
it). What differs when it is run again is told by :mod:`automl_phys.lock_repeats`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from automl_phys import __version__, archives, recipe, registry, rundir, yaml_source
from automl_phys.archive_contents import LOCK
from automl_phys.data_files import DataFile, Inputs
from automl_phys.errors import Key, Mistake, Place, RecipeError
from automl_phys.exhibits import Estimate, Evaluation
from automl_phys.recipe_text import LOCK_KEY, LOCK_VERSION, is_lock
from automl_phys.rundir import RunDir
from automl_phys.values import Part, to_json

if TYPE_CHECKING:
    from automl_phys.recipe import Recipe

HEADER = """\
# What this run was, written by automl-phys {version}. 'automl-phys run' repeats it from
# this file, tells what differs from then, and whether the numbers agree.
"""


@dataclass(frozen=True)
class Number:
    """A metric with its 68 % interval."""

    value: float
    low: float
    high: float

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.value, self.low, self.high)


@dataclass(frozen=True)
class Lock:
    """A run on record. ``folder`` is the way from the lock's first place to the recipe's folder, ``rows`` counts by
    part, ``inputs`` is the hash of the data as they were prepared, with columns, split and seed; ``environment`` is
    what :func:`automl_phys.machine.describe` said."""

    lock: int
    verdict: str
    metrics: Mapping[str, Number]
    trials: int
    seed: int
    rows: Mapping[Part, int]
    data: tuple[DataFile, ...]
    inputs: str
    environment: Mapping[str, Any]
    folder: str
    recipe: Mapping[str, Any]


def write(wanted: Recipe, run: RunDir) -> Lock:
    """Put a finished run on record in its folder. Raises RunError when the disk refuses."""
    evaluation = rundir.read_json(run.evaluation, Evaluation)
    problem = registry.load("tasks", wanted.task).load(run.problem)
    files = rundir.read_json(run.inputs, Inputs).files
    made = Lock(
        LOCK_VERSION, evaluation.verdict,
        {name: Number(one.value, one.low, one.high) for name, one in evaluation.metrics.items()},
        sum(1 for _ in run.trials.glob("*/result.json")), wanted.seed, problem.facts().rows,
        files, problem.fingerprint, rundir.read_json(run.environment, dict[str, Any]),
        os.path.relpath(wanted.folder.resolve(), run.path.resolve()), wanted.data)
    rundir.write_text(run.path / LOCK, text(made))
    return made


def text(lock: Lock) -> str:
    """A lock as YAML."""
    return HEADER.format(version=__version__) + recipe.as_yaml(to_json(lock))


def of(given: str) -> Lock | None:
    """The lock that stands in place of a recipe, or beside the recipe in an archive; None where there is none.

    Raises RecipeError for one that is damaged.
    """
    path = archives.recipe(given)
    return find(path.with_name(LOCK) if archives.is_one(given) else path)


def find(path: Path) -> Lock | None:
    """The lock at a path; None where there is none, or something else. Raises RecipeError for one that is damaged."""
    if not path.is_file():
        return None
    data, places = yaml_source.parse(path.read_text(encoding="utf-8-sig"), str(path))
    return _understood(data, places, path) if is_lock(data) else None


def read(path: Path) -> Lock:
    """Read a lock. Raises RecipeError for one that is damaged."""
    return _understood(*yaml_source.parse(path.read_text(encoding="utf-8-sig"), str(path)), path)


def _understood(data: Any, places: Mapping[Key, Place], path: Path) -> Lock:
    try:
        return TypeAdapter(Lock).validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = tuple(part for part in first["loc"] if isinstance(part, str | int))
        while key and key not in places:
            key = key[:-1]
        raise RecipeError(Mistake(
            "damaged-lock", f"This is no lock that automl-phys wrote: {first['msg'].lower()}.",
            f"Take the one that the run wrote; a recipe has no key '{LOCK_KEY}'.", key,
            places.get(key, Place(str(path))))) from error


def moved(lock: Lock, wanted: Mapping[str, Any], folder: Path, names: Mapping[Path, str]) -> Lock:
    """A lock for another place: the recipe as ``wanted`` there, and its data, which now are in ``folder``, under the
    ``names`` that they have there by where they are."""
    def name(path: str) -> str:
        return names.get(Path(os.path.normpath(folder.absolute() / path)), Path(path).name)

    return replace(lock, folder=".", recipe=wanted, data=tuple(replace(one, path=name(one.path)) for one in lock.data))
