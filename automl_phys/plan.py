"""The planner: recipe, facts and machine in; a plan with a written reason for each choice out.

A pure function: it reads no file, starts nothing, and gives the same plan for the same three arguments, so that it can
be tested with made-up machines. How data are looked at is the task's work, what the machine has :mod:`machine`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from automl_phys import former, kinds, objectives, placement, readable, registry, space
from automl_phys.contracts import Costed, Deciding, Refusing, Task, device_of, direction_of
from automl_phys.decisions import Chosen, Plan
from automl_phys.errors import Mistake, RecipeError
from automl_phys.facts import Facts, Machine
from automl_phys.former import Former
from automl_phys.sites import SYSTEMS, Batch, Site
from automl_phys.trials import LOOKAHEAD
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.recipe import Recipe

SEARCH_SHARE_WITH_REFIT = 0.5
"""Of a budget in minutes, what the search may take when winners are refitted over folds afterwards."""
SEARCH_SHARE = 0.9

MEMORY_SHARE = 0.85
"""Of the machine's memory, what all workers together may take."""

CELLS_PER_THREAD = 20_000_000
"""Below this many numbers in the training rows, a core does more for a trial of its own than as a second thread."""

ROWS_TO_BAG = 2_000_000
"""Above this many rows one model sees enough; bagging over folds would cost more than it gives."""

AUTO_FOLDS = 5
MOST_THREADS = 4


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return find_spec(package) is not None


def make(
    recipe: Recipe, facts: Facts, machine: Machine, available: Callable[[str], bool] = is_installed,
    formers: Sequence[Former] = (), fingerprint: str = "",
) -> Plan:
    """Decide everything that a run needs.

    ``available`` tells whether a package can be imported; ``formers`` are runs to begin with, and ``fingerprint`` is of
    this problem, to tell whether theirs was the same. Raises RecipeError when no family can take the problem.
    """
    task = registry.load("tasks", recipe.task)
    reasons: list[str] = []
    site, machine = _where(recipe, machine, reasons)
    objective, direction = _objective(recipe, task, facts, reasons)
    memory = recipe.compute.memory_mb or int(machine.memory_mb * MEMORY_SHARE)
    families, skipped = _families(recipe, task, facts, memory, available)
    gpus = placement.gpus(recipe.compute, machine, families, reasons)
    if not gpus:
        families = tuple(replace(chosen, device="cpu") for chosen in families)
    framework = _framework(recipe, task, facts, bool(gpus), reasons)
    precision = placement.precision(recipe.compute, recipe.task, facts, machine, gpus, reasons)
    threads = _threads(recipe, task, facts, machine, bool(gpus), reasons)
    devices = placement.devices(recipe.compute, recipe.search.trials, machine, gpus, threads, memory, families, reasons)
    workers = len(devices)
    folds = facts.sizes.get("folds", 0)
    replicas = _replicas(recipe, task, facts, reasons)
    refit, bagging = (False, 1) if task.REPLICAS else _refits(recipe, facts, folds, reasons)
    others = _others(recipe, task, facts, reasons)
    pruner = _pruner(recipe, others, reasons)
    taken = former.take(formers, families, fingerprint, objective, tuple(others))
    reasons += taken.reasons
    return Plan(
        name=recipe.name, task=recipe.task, facts=facts, families=families, skipped=skipped, baseline=task.BASELINE,
        objective=objective, direction=direction,
        trials=recipe.search.trials, minutes=recipe.search.minutes,
        search_minutes=_search_minutes(recipe.search.minutes, refit or bagging > 1 or replicas > 0, reasons),
        sampler=recipe.search.sampler, pruner=pruner, others=others,
        ensemble=1 if task.REPLICAS else recipe.model.ensemble, folds=folds, refit=refit, bagging=bagging,
        replicas=replicas,
        executor=recipe.compute.executor, workers=workers, threads=threads,
        devices=devices,
        memory_mb_per_worker=memory // max(1, workers // machine.hosts),
        framework=framework, seed=recipe.seed, reasons=tuple(reasons), precision=precision,
        minutes_per_trial=recipe.search.minutes_per_trial, site=site,
        storage=recipe.search.storage or "",
        warm_start=tuple(one.path for one in formers), known=taken.known, suggested=taken.suggested,
    )


def _where(recipe: Recipe, here: Machine, reasons: list[str]) -> tuple[Site | None, Machine]:
    """Where the workers are, None for here, and what one that trials run on has: as many alike as are used at a
    time."""
    compute = recipe.compute
    cluster, threads = compute.cluster, 1 if compute.threads == "auto" else compute.threads
    if compute.scheduler:
        # How many workers there are is not known yet.
        count = LOOKAHEAD if compute.workers == "auto" else compute.workers
        reasons.append(f"Trials go to the workers of {compute.scheduler}, {count} at a time"
                       f"{'; say compute.workers for more' if compute.workers == 'auto' else ''}.")
        gpus = ("gpu:0",) if isinstance(compute.gpus, tuple) else ()
        return Site(scheduler=compute.scheduler, shared_disk=compute.shared_disk), Machine(
            threads, here.memory_mb, gpus, count)
    if cluster is None:
        return None, here
    least, most = cluster.jobs
    many = f"{least} to {most}" if cluster.adapt else f"{most}"
    reasons.append(f"Trials run in {many} batch jobs of {SYSTEMS[cluster.type].name} at a time, each with {threads} "
                   f"core{'s' * (threads > 1)}{' and a GPU' * cluster.gpus}, {cluster.memory}, for {cluster.walltime}.")
    batch = Batch(cluster.type, least, most, threads, cluster.memory_mb, cluster.gpus, cluster.walltime_s,
                  cluster.queue or "", cluster.account or "", cluster.interface or "", cluster.encrypted,
                  cluster.directives, cluster.prologue, cluster.python or "")
    return Site(batch=batch, shared_disk=compute.shared_disk), Machine(
        threads, cluster.memory_mb, ("gpu:0",) * cluster.gpus, most)


def _objective(recipe: Recipe, task: Task, facts: Facts, reasons: list[str]) -> tuple[str, Direction]:
    """The objective that decides."""
    name = next(iter(recipe.search.objectives), None)
    if name is None:
        name = task.objective_for(facts) if isinstance(task, Deciding) else task.DEFAULT_OBJECTIVE
        reasons.append(f"The objective is {name}, the default of task '{recipe.task}'.")
    if mistake := task.refuse(name, facts):
        raise RecipeError(mistake)
    return name, direction_of(task.OBJECTIVES, name)


def _others(recipe: Recipe, task: Task, facts: Facts, reasons: list[str]) -> dict[str, Direction]:
    """Further objectives, and their directions."""
    first, *names = recipe.search.objectives or ("",)
    for name in names:
        if name not in objectives.OWN and (mistake := task.refuse(name, facts)):
            raise RecipeError(mistake)
    if names:
        reasons.append(f"{first} decides which trials win; {', '.join(names)} shape{'s' * (len(names) == 1)} the "
                       "search besides, and the report shows which trials no other one beats in all of them.")
    return {name: objectives.direction(task.OBJECTIVES, name) for name in names}


def _pruner(recipe: Recipe, others: Mapping[str, Direction], reasons: list[str]) -> str:
    """Pruning looks at one objective only: a trial that falls behind in it may be the best in another."""
    if others and recipe.search.pruner != "none":
        reasons.append("No trial is pruned: one that falls behind in the first objective may be the best in another.")
        return "none"
    return recipe.search.pruner


def _families(
    recipe: Recipe, task: Task, facts: Facts, memory_mb: int, available: Callable[[str], bool]
) -> tuple[tuple[Chosen, ...], Mapping[str, str]]:
    asked = recipe.model.families or ()
    names = task.families(recipe.options, asked)
    overrides = space.merged(task.overrides(recipe.options), recipe.model.overrides)
    chosen: list[Chosen] = []
    skipped: dict[str, str] = {}
    baseline_only = task.BASELINE not in names
    for name in (*names, task.BASELINE) if baseline_only else names:
        family = registry.load("families", name)
        missing = [package for package in family.NEEDS if not available(package)]
        need = family.memory_mb(facts)
        why_not = family.skip(facts)
        if missing:
            skipped[name] = f"needs {', '.join(missing)}, not installed here"
        elif why_not:
            skipped[name] = why_not
        elif need > memory_mb:
            skipped[name] = f"one fit needs about {readable.memory(need)}, {readable.memory(memory_mb)} may be used"
        else:
            reason = "asked for in the recipe" if asked else family.TEXT
            if name == task.BASELINE:
                reason = "the baseline, tried once" if baseline_only else f"{reason}; its first trial is the baseline"
            ranges, defaults = space.override(
                family.space(facts), family.defaults(facts), space.of_family(name, overrides))
            if isinstance(family, Refusing) and (mistake := family.refuse(facts, ranges)):
                raise RecipeError(mistake)
            if name == task.BASELINE and baseline_only:
                ranges, defaults = space.pin(ranges, defaults[0]), defaults[:1]
            cost = round(family.cost(facts), 3) if isinstance(family, Costed) else 1.0
            chosen.append(Chosen(name, reason, need, ranges, defaults, cost, device_of(family)))
    if not any(c.family != task.BASELINE or not baseline_only for c in chosen):
        why = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise RecipeError(Mistake(
            "no-family", f"No family can take this problem: {why}.",
            "Name other families under model.families, or install what is missing.", ("model", "families")))
    return tuple(chosen), skipped


def _framework(recipe: Recipe, task: Task, facts: Facts, gpu: bool, reasons: list[str]) -> str:
    if task.FRAMEWORK:
        if recipe.compute.framework not in {"auto", task.FRAMEWORK}:
            raise RecipeError(Mistake(
                "wrong-framework", f"Task '{recipe.task}' runs on {task.FRAMEWORK}, which its training is written for.",
                f"Leave 'framework' out, or say {task.FRAMEWORK}.", ("compute", "framework")))
        reasons.append(f"Networks run on {task.FRAMEWORK}, which the training of this task is written for.")
        return task.FRAMEWORK
    if recipe.compute.framework != "auto":
        return recipe.compute.framework
    if gpu:
        reasons.append("Keras runs on TensorFlow, which suits a GPU.")
        return "tensorflow"
    if facts.kind in ("table", "points", "text", "series"):
        reasons.append("Keras runs on JAX, two to four times as fast as TensorFlow for networks of this size on a CPU.")
        return "jax"
    reasons.append(f"Keras runs on TensorFlow, whose data pipeline suits {facts.kind}.")
    return "tensorflow"


def _threads(recipe: Recipe, task: Task, facts: Facts, machine: Machine, gpu: bool, reasons: list[str]) -> int:
    """Threads of one trial. They never depend on the number of workers, or the numbers would."""
    if recipe.compute.threads != "auto":
        return recipe.compute.threads
    if gpu:
        return max(1, min(4, machine.cores // max(1, len(machine.gpus))))
    if facts.kind == "environment" and not facts.sizes.get("image"):
        reasons.append("One thread per training: networks of agents are small, and the environment has one.")
        return 1
    alone = recipe.search.trials - (task.BASELINE not in task.families(recipe.options, recipe.model.families or ()))
    if alone <= 1 < machine.cores:
        threads = min(machine.cores, MOST_THREADS)
        reasons.append(f"{threads} threads per trial: there is only one to search.")
        return threads
    width = sum(facts.sizes.get(name, 0) for name in ("numbers", "categories", "columns"))
    cells = facts.rows.get("train", 0) * width
    if cells <= CELLS_PER_THREAD:
        reasons.append("One thread per trial: the data are small, so trials side by side use the cores better.")
        return 1
    threads = min(machine.cores, MOST_THREADS)
    reasons.append(f"{threads} threads per trial: {cells:.1e} numbers to train on keep them busy.")
    return threads


def _refits(recipe: Recipe, facts: Facts, folds: int, reasons: list[str]) -> tuple[bool, int]:
    """Whether the winners are fitted again on train and validation, and on how many folds besides (1: none)."""
    if folds:
        reasons.append(f"Each trial is fitted on {folds} folds; their mean is the model, so nothing is refitted.")
        return False, 1
    rows = facts.rows.get("train", 0) + facts.rows.get("valid", 0)
    refit, bagging = recipe.model.refit, recipe.model.bagging
    if refit:
        reasons.append("The winners are fitted again on train and validation together: more events, same settings.")
    if facts.kind == "series":
        reasons.append("They are not bagged: folds of a series would know its future.")
        return refit, 1
    if bagging != "auto":
        return refit, bagging
    if recipe.search.minutes is None or not refit:
        return refit, 1
    if rows > ROWS_TO_BAG:
        reasons.append(f"They are not bagged over folds: {rows} rows are plenty for one model.")
        return refit, 1
    reasons.append(f"While the budget lasts they are also fitted on {AUTO_FOLDS} folds, and all of it is averaged.")
    return refit, AUTO_FOLDS


def _replicas(recipe: Recipe, task: Task, facts: Facts, reasons: list[str]) -> int:
    """On how many variations of the problem the winner is fitted again; 0 where models are averaged instead."""
    if not task.REPLICAS:
        return 0
    reasons.append("The best trial wins alone: models of this task cannot be averaged.")
    count = facts.sizes.get("replicas", task.REPLICAS) if recipe.model.bagging == "auto" else recipe.model.bagging
    if count == 1:
        return 0
    what = "It is" if task.REPLICATED == "winner" else "It and the best of each other family are each"
    words = kinds.of(facts.kind)
    reasons.append(f"{what} {words.again.format(count)}, {words.purpose}.")
    return count


def _search_minutes(minutes: float | None, refits: bool, reasons: list[str]) -> float | None:
    if minutes is None:
        return None
    share = SEARCH_SHARE_WITH_REFIT if refits else SEARCH_SHARE
    reasons.append(f"Of {minutes:g} minutes the search takes at most {minutes * share:.2g}; "
                   "the rest is for the winners.")
    return minutes * share
