"""A recipe: what the user wrote, held against the language, with the defaults filled in.

Takes a path, gives a frozen :class:`Recipe` or a RecipeError with every mistake and its place. No data file is opened
and no heavy library imported: whether the columns are there is the task's question, asked by the planner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from automl_phys import archives, measures, objectives, recipe_paths, recipe_text, registry, space, wording, yaml_source
from automl_phys.compute_sections import Compute
from automl_phys.contracts import Task
from automl_phys.errors import ArchiveError, AutomlPhysError, Key, Mistake, Place, RecipeError
from automl_phys.expect_sections import Expected
from automl_phys.facts import Facts
from automl_phys.recipe_text import Written
from automl_phys.registry import did_you_mean
from automl_phys.section import Section
from automl_phys.sections import Choices, Common, Interval, Model, Report, Search, common_sections

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Recipe:
    """``options`` are the task's own sections; ``data`` is the whole as plain data, defaults filled in.

    Relative paths in it are relative to ``folder``.
    """

    name: str
    description: str
    task: str
    options: Any
    model: Model
    search: Search
    compute: Compute
    report: Report
    expect: Mapping[str, Expected]
    seed: int
    folder: Path
    data: Mapping[str, Any]
    written: Written = field(repr=False, compare=False)

    def place(self, key: Key) -> Place | None:
        """Where a key stands, or the nearest section around it."""
        return self.written.place(key)

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Errors that come out of the block know where in the recipe the keys stand that they are about."""
        try:
            yield
        except AutomlPhysError as error:
            raise type(error)([replace(m, place=m.place or self.place(m.key)) for m in error.mistakes]) from error


def given(
    what: str, sets: Sequence[str] = (), smoke: bool = False, trust: bool = False, trust_cluster: bool = False
) -> Recipe:
    """Read and validate what stands in place of a recipe on the command line: its path, an archive, or an address.

    Paths in ``sets`` are as in the recipe, but of an archive as seen from here; ``trust`` is leave to import code
    (:func:`trusting`), ``trust_cluster`` to have others run what the recipe says. Raises RecipeError, and ArchiveError
    also for an archive without its data (``data-not-inside``).
    """
    packed = archives.is_one(what)
    wanted = load(archives.recipe(what), sets, smoke, Path.cwd() if packed else None)
    lost = [path for path in recipe_paths.named_paths(wanted.data) if not recipe_paths.is_there(path, wanted.folder)]
    if packed and lost and set(lost) <= set(wanted.search.former_runs):
        raise ArchiveError(Mistake(
            "run-not-inside", f"The runs that this search begins with are not in {what}: {', '.join(lost)}.",
            "Begin without with --set search.warm_start=null, or name a run of yours there; or have the archive packed "
            "--with-data, which takes them along."))
    if packed and lost:
        raise ArchiveError(Mistake(
            "data-not-inside", f"The data of this recipe are not in {what}: {', '.join(lost)}.",
            f"Say where they are with --set data.path=…, or put them beside the recipe: automl-phys unpack {what}. "
            "Which ones they are, by their hashes, stands in the archive's data.json."))
    if not trust_cluster and (mistakes := _of_others(wanted)):
        raise RecipeError(mistakes)
    return trusting(wanted) if trust else wanted


def _of_others(wanted: Recipe) -> list[Mistake]:
    """What a recipe would have shells, batch systems or a scheduler do, each of which can run anything; and the server
    that would be told the trials, and asked with a password that is kept here."""
    remedy = "If it is yours, or you have read it: --trust-cluster."
    told: list[tuple[tuple[str, ...], str]] = []
    if wanted.compute.scheduler:
        told.append((("compute", "scheduler"), f"The recipe sends trials to {wanted.compute.scheduler}, and what comes "
                                               "back could run anything here."))
    if wanted.compute.cluster:
        told += [(("compute", "cluster", key), f"The recipe's {key} would be run by batch jobs.")
                 for key in wanted.compute.cluster.executed]
    if wanted.search.storage:
        told.append((("search", "storage"), f"The recipe sends its record to {wanted.search.storage}, with the "
                                            "password that is kept here for that server."))
    return [Mistake("untrusted-cluster", text, remedy, key, wanted.place(key)) for key, text in told]


def load(path: Path, sets: Sequence[str] = (), smoke: bool = False, seen_from: Path | None = None) -> Recipe:
    """Read and validate a recipe.

    ``sets`` are ``--set`` texts such as ``search.trials=10``, paths in them as in the recipe or, if that is given, as
    ``seen_from`` a folder; ``smoke`` cuts the budget as ``recipe_text.SMOKE`` says. Raises RecipeError with all
    mistakes of the recipe at once, each with its place.
    """
    layers: list[Written] = []
    mistakes: list[Mistake] = []
    written = recipe_text.read(path)
    if smoke:
        layers.append(recipe_text.smoke(written.data.get("task")))
    for text in sets:
        try:
            layer = recipe_text.from_set(text)
            layers.append(layer if seen_from is None else replace(
                layer, data=recipe_paths.moved_paths(layer.data, lambda one: str(seen_from / one))))
        except RecipeError as error:
            mistakes.extend(error.mistakes)
    for layer in layers:
        written = layer.over(written)
    recipe = _recipe(written, path, mistakes)
    if mistakes or recipe is None:
        raise RecipeError([replace(m, place=m.place or written.place(m.key) or Place(str(path))) for m in mistakes])
    return recipe


def dump(recipe: Recipe) -> str:
    """The recipe as YAML, complete: what it extends merged, defaults filled in, paths absolute.

    Loads again, from any folder, to the same recipe.
    """
    folder = recipe.folder.absolute()
    return as_yaml(recipe_paths.moved_paths(recipe.data, lambda path: str(folder / path)))


def as_yaml(data: Mapping[str, Any]) -> str:
    """A recipe's plain data as YAML that reads back the same."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)


def trusting(recipe: Recipe) -> Recipe:
    """The same recipe with leave to import code beside it, where its task has a use for that. Not to be had from the
    recipe itself."""
    options = recipe.options
    return replace(recipe, options=options.trusting()) if hasattr(options, "trusting") else recipe


class _Dumper(yaml.SafeDumper):
    """PyYAML quotes what YAML 1.1 would misread; this quotes also what YAML 1.2 reads as a number (``1e-3``), and
    escapes what is no plain line, which PyYAML's other styles fold."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = '"' if not text.isprintable() else None if isinstance(yaml_source.scalar(text), str) else "'"
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def ignore_aliases(self, _data: Any) -> bool:
        """Write equal lists out, each at its place."""
        return True


_Dumper.add_representer(str, _Dumper.represent_text)


# ---------------------------------------------------------------- from plain data to a recipe

def _recipe(written: Written, path: Path, mistakes: list[Mistake]) -> Recipe | None:
    """The recipe, or None when there are mistakes, which go to ``mistakes``."""
    data = written.data
    version = data.get("recipe")
    if isinstance(version, int | float) and version != 1:
        mistakes.append(Mistake(
            "other-version", f"This recipe is in version {version} of the language; this program reads version 1.",
            "Update automl-phys; or write 'recipe: 1', if that is what it is.", ("recipe",)))
        return None
    common = _section(common_sections(), {key: data[key] for key in data if key in Common.model_fields}, mistakes)
    task = _task(data.get("task"), mistakes)
    if task is None:
        return None
    _check_top_level(data, task, mistakes)
    options = _section(task.Options, {key: data[key] for key in data if key in task.Options.model_fields}, mistakes,
                       owner=f"task '{data['task']}'")
    _check_objective(_at(data, "search", "objective"), data["task"], task, mistakes)
    _check_families(_at(data, "model", "families"), data["task"], mistakes)
    _check_averaging(_at(data, "model"), data["task"], task, mistakes)
    _check_expected(_at(data, "expect"), data["task"], task, mistakes)
    for family in registry.names("families"):
        _check_overrides(family, _at(data, "model", family), data["task"], mistakes)
    if options is not None:
        _check_task_overrides(task, options, mistakes)
    if mistakes or common is None or options is None:
        return None
    name = common.name or _slug(path.stem)
    filled = {"recipe": 1, "name": name, "description": "", "task": common.task, **plain(options), **plain(common)}
    filled.pop("extends", None)
    return Recipe(name, common.description, common.task, options, common.model, common.search, common.compute,
                  common.report, common.expect, common.seed, written.folder or path.parent, filled, written)


def plain(thing: Any) -> Any:
    """A section as plain data, without what is absent."""
    if isinstance(thing, BaseModel):
        return {key: plain(value) for key in type(thing).model_fields if (value := getattr(thing, key)) is not None}
    if isinstance(thing, Mapping):
        return {key: plain(value) for key, value in thing.items()}
    return [plain(item) for item in thing] if isinstance(thing, list | tuple) else thing


def _section(model: type[M], given: Any, mistakes: list[Mistake], at: Key = (), owner: str | None = None) -> M | None:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        mistakes.extend(wording.mistakes(error, model, given, at, owner))
        return None


def _at(data: Any, *key: str) -> Any:
    """The value at a key, None where there is none."""
    for part in key:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _slug(stem: str) -> str:
    """A file's name as the name of a recipe."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:80] or "recipe"


# ---------------------------------------------------------------- rules that need the registry

def _task(word: Any, mistakes: list[Mistake]) -> Task | None:
    if not isinstance(word, str):
        return None  # missing, or no text: that is told already
    if mistake := registry.unknown_task(word, ("task",)):
        mistakes.append(mistake)
        return None
    return registry.load("tasks", word)


def _check_top_level(data: Mapping[Any, Any], task: Task, mistakes: list[Mistake]) -> None:
    of_all = {**Common.model_fields, **task.Options.model_fields}
    home = {key: section for section, info in of_all.items()
            if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
            for key in info.annotation.model_fields}
    for key in data:
        if key not in of_all:
            hint = f" It is a key of '{home[key]}'." if key in home else ""
            mistakes.append(wording.unknown_key(str(key), of_all, "a recipe", (key,), hint))


def _check_objective(objective: Any, name: str, task: Task, mistakes: list[Mistake]) -> None:
    """One objective, or a list of them; ``rejection@0.35`` is as good as the ``rejection@0.5`` that the task lists, for
    any efficiency."""
    key: Key = ("search", "objective")
    if isinstance(objective, list):
        for i, one in enumerate(objective):
            _check_one_objective(one, name, task, mistakes, (*key, i))
    else:
        _check_one_objective(objective, name, task, mistakes, key)


def _check_one_objective(objective: Any, name: str, task: Task, mistakes: list[Mistake], key: Key) -> None:
    if not isinstance(objective, str) or objective in objectives.OWN:
        return
    try:
        objectives.direction(task.OBJECTIVES, objective)
    except KeyError:
        known = [*task.OBJECTIVES, *(objectives.OWN if key[-1] not in ("objective", 0) else ())]  # not to decide alone
        mistakes.append(registry.unknown_word(objective, known, f"not an objective of task '{name}'", key))
        return
    stem, at, efficiency = objective.partition("@")
    if at and not re.fullmatch(r"0?\.[0-9]*[1-9][0-9]*", efficiency):
        mistakes.append(Mistake("bad-value", f"'{efficiency}' is no efficiency between 0 and 1.",
                                f"Write it like {stem}@0.3.", key))


def _check_expected(expected: Any, name: str, task: Task, mistakes: list[Mistake]) -> None:
    """Names of metrics; whether a run measures them, only a run tells."""
    for metric in expected if isinstance(expected, dict) else ():
        try:
            measures.find(str(metric).partition("/")[0])
        except KeyError:
            meant = did_you_mean(str(metric), (*task.OBJECTIVES, *measures.MEASURES))
            mistakes.append(Mistake("unknown-word", f"'{metric}' is no metric.{meant}",
                                    f"Of task '{name}' for instance: {', '.join(task.OBJECTIVES)}; a run's report "
                                    "names all of its own.", ("expect", metric)))


def _check_families(families: Any, task: str, mistakes: list[Mistake]) -> None:
    known = [name for name in registry.names("families")
             if task in registry.solved_by(registry.load("families", name))]
    for i, word in enumerate(families if isinstance(families, list) else ()):
        key = ("model", "families", i)
        if not isinstance(word, str):
            continue
        unknown = [link for link in word.split("+") if link not in registry.names("families")]
        if unknown:
            mistakes.append(registry.unknown_word(unknown[0], known, "not a family", key))
        elif task not in registry.load("families", word).SOLVES:
            baseline = registry.load("tasks", task).BASELINE
            remedy = f"Name a reducer and then a clusterer, such as {baseline}." if "+" in baseline else "Leave it out."
            mistakes.append(Mistake("wrong-family", f"Family '{word}' is not for task '{task}'.", remedy, key))
        elif word in families[:i]:
            mistakes.append(Mistake("repeated-family", f"Family '{word}' is named twice.", "Keep one of the two.", key))


def _check_averaging(model: Any, name: str, task: Task, mistakes: list[Mistake]) -> None:
    """Keys that average models, in a task whose models cannot be."""
    for key in ("ensemble", "refit") if task.REPLICAS and isinstance(model, dict) else ():
        if model.get(key) not in (None, 1, False, Model.model_fields[key].default):
            mistakes.append(Mistake("not-averaged", f"Models of task '{name}' cannot be averaged: the best wins alone.",
                                    f"Leave '{key}' out.", ("model", key)))


def _check_task_overrides(task: Task, options: BaseModel, mistakes: list[Mistake]) -> None:
    """What the task's own sections say of families' hyperparameters, held against their spaces."""
    home = {key: (section, key) for section in type(options).model_fields
            for key in getattr(type(getattr(options, section)), "model_fields", ())}
    for family, block in task.overrides(options).items():
        for mistake in space.mistakes(family, registry.load("families", family).space(task.EXAMPLE), block):
            parameter = str(mistake.key[-1]).rpartition(".")[2]
            mistakes.append(replace(mistake, key=home.get(parameter, ())))


def _check_overrides(family: str, block: Any, task: str, mistakes: list[Mistake]) -> None:
    """What a recipe says of a family's hyperparameters, held against the family's space: in the recipe's task or, where
    the family has no part in it (recipes of several tasks may extend the same one), in one of its own."""
    sound: dict[str, Any] = {}
    for name, value in block.items() if isinstance(block, dict) else ():
        before = len(mistakes)
        if isinstance(value, dict):
            _section(Choices if "choices" in value else Interval, value, mistakes, ("model", family, name))
        if len(mistakes) == before and value is not None:
            sound[name] = {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
    if sound:
        module = registry.load("families", family)
        own = registry.solved_by(module)
        example: Facts = registry.load("tasks", task if task in own else own[0]).EXAMPLE
        mistakes.extend(space.mistakes(family, module.space(example), sound))
