"""The search as figures and tables: what was tried, what came of it, what mattered.

Takes the plan, the finished trials and their learning curves; gives figures and a table as data. Pure, but for
:func:`read_trials` and :func:`read_histories`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isfinite

from automl_phys import kinds
from automl_phys.decisions import Plan
from automl_phys.exhibits import Axis, Figure, Series, Table
from automl_phys.facts import Range
from automl_phys.readable import cell, metric, setting
from automl_phys.rundir import FitDir, RunDir, read_json
from automl_phys.trials import Job, Result, Trial
from automl_phys.values import Value

BEST_TRIALS = 5
STATUSES = ("done", "pruned", "failed", "timed_out")
FEWEST_TRIALS = 8
"""Fewer finished trials than these say nothing about which parameter matters."""

History = Sequence[Mapping[str, float]]


def read_trials(run_dir: RunDir) -> tuple[Trial, ...]:
    """The trials that ended, by number; one that was cut off has no result and is left out."""
    folders = [FitDir(folder) for folder in sorted(run_dir.trials.glob("[0-9]*"))]
    return tuple(Trial(read_json(f.job, Job), read_json(f.result, Result)) for f in folders if f.result.exists())


def read_histories(run_dir: RunDir, chosen: Sequence[Trial], most: int) -> dict[int, History]:
    """Learning curves by number of the first ``most`` trials that have one."""
    found: dict[int, History] = {}
    for trial in chosen:
        if len(found) == most:
            break
        if steps := read_history(FitDir(run_dir.trial(trial.job.number))):
            found[trial.job.number] = steps
    return found


def read_history(fit: FitDir) -> list[dict[str, float]]:
    """Learning curve of a fit; empty where it has none."""
    steps = json.loads(fit.history.read_text(encoding="utf-8")) if fit.history.exists() else []
    return [{key: float(value) for key, value in step.items()} for step in steps]


def figures(plan: Plan, trials: Sequence[Trial], curves: Mapping[int, History]) -> tuple[Figure, ...]:
    """All figures of the search that the trials can fill."""
    made = [search_history(plan, trials), importance(plan, trials), learning(plan, trials, curves)]
    return tuple(figure for figure in made if figure is not None)


def ranked(plan: Plan, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that were done, best first."""
    sign = -1 if plan.direction == "maximize" else 1
    return sorted((t for t in trials if _value(t) is not None), key=lambda t: sign * t.result.value
                  if t.result.value is not None else 0.0)


def search_history(plan: Plan, trials: Sequence[Trial]) -> Figure | None:
    """Objective of each trial by family, with the best so far."""
    done = [t for t in trials if _value(t) is not None]
    if not done:
        return None
    series = []
    for family in dict.fromkeys(t.job.family for t in done):
        of = [t for t in done if t.job.family == family]
        series.append(Series(family, "points", tuple(float(t.job.number) for t in of), _values(of)))
    best = accumulate(_values(done), max if plan.direction == "maximize" else min)
    unfinished = len(trials) - len(done)
    series.append(Series("best so far", "line", tuple(float(t.job.number) for t in done), tuple(best), muted=True))
    return Figure("search-history", "Search history", "xy", Axis("Trial"),
                  Axis(f"{metric(plan.objective)} (validation)"), tuple(series), section="Search",
                  caption=f"{len(done)} trials done, {unfinished} pruned, failed or out of time (not shown).")


def learning(plan: Plan, trials: Sequence[Trial], curves: Mapping[int, History]) -> Figure | None:
    """Loss against step of the best trials that have a learning curve; of agents, the return."""
    series = []
    what = kinds.of(plan.facts.kind).curve
    for trial in [t for t in ranked(plan, trials) if t.job.number in curves][:BEST_TRIALS]:
        name = f"{trial.job.family} {trial.job.number}"
        for key, kind in ((f"train_{what}", "train"), (f"valid_{what}", "validation")):
            points = [(s["step"], s[key]) for s in curves[trial.job.number] if isfinite(s.get(key, float("nan")))]
            if points:
                x, y = zip(*points, strict=True)
                series.append(Series(f"{name}, {kind}", "line", x, y, group=name))
    if not series:
        return None
    if what == "return":
        return Figure("search-learning-curves", "Learning curves of the trials", "xy", Axis("Steps in the environment"),
                      Axis("Return"), tuple(series), section="Search",
                      caption="Of the best trials. train: mean of the last 100 episodes of the training, while it "
                              "explores; validation: mean over episodes of the agent as it then was. The best of "
                              "these moments is kept.")
    return Figure("learning-curves", "Learning curves", "xy", Axis("Step (epoch, tree)", scale="log"), Axis("Loss"),
                  tuple(series), section="Search",
                  caption="Of the best trials. Validation loss that rises while train loss falls is overfitting; the "
                          "step with the best objective is kept.")


def importance(plan: Plan, trials: Sequence[Trial]) -> Figure | None:
    """Share of each hyperparameter in what makes good trials of the best family good.

    PED-ANOVA (Watanabe et al. 2023) as in Optuna, over the parameters that all of the family's trials have.
    """
    best = ranked(plan, trials)
    if not best:
        return None
    family = best[0].job.family
    done = [t for t in best if t.job.family == family]
    space = next((chosen.space for chosen in plan.families if chosen.family == family), {})
    weights = importances(plan, done, space) if len(done) >= FEWEST_TRIALS else {}
    if not weights:
        return None
    names = sorted(weights, key=lambda n: -weights[n])
    series = Series(family, "bars", tuple(float(i) for i in range(len(names))), tuple(weights[n] for n in names))
    return Figure("parameter-importance", f"Hyperparameters of {family}", "xy",
                  Axis("Hyperparameter", categories=tuple(names)), Axis("Importance (PED-ANOVA)", low=0), (series,),
                  section="Search",
                  caption=f"From {len(done)} trials: how far the values of the good ones are from those of all. Only "
                          "parameters that every trial has and that were varied.")


def importances(plan: Plan, done: Sequence[Trial], space: Mapping[str, Range]) -> dict[str, float]:
    """Importance by parameter, adding up to 1; empty where no parameter was varied."""
    import optuna

    shared = {name: text for name, text in space.items() if all(name in t.job.params for t in done)}
    varied = {name: span for name, span in shared.items() if len({setting(t.job.params[name]) for t in done}) > 1}
    if not varied:
        return {}
    distributions = {name: _distribution(span, [t.job.params[name] for t in done]) for name, span in varied.items()}
    study = optuna.create_study(direction=plan.direction, storage=optuna.storages.InMemoryStorage())
    study.add_trials([
        optuna.trial.create_trial(params={name: _cell(t.job.params[name], distributions[name]) for name in varied},
                                  distributions=distributions, value=t.result.value) for t in done])
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(varied))
    return {name: float(weight) for name, weight in found.items()}


def _distribution(span: Range, values: Sequence[Value]) -> object:
    """The distribution of a parameter as Optuna knows it, wide enough for pinned values outside of the space."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if span.choices or len(numbers) < len(values) or span.low is None or span.high is None:
        return CategoricalDistribution(tuple(dict.fromkeys([*map(setting, span.choices), *map(setting, values)])))
    low, high = min(span.low, *numbers), max(span.high, *numbers)
    if span.integer:
        return IntDistribution(int(low), int(high), log=span.log)
    return FloatDistribution(float(low), float(high), log=span.log)


def _cell(value: Value, distribution: object) -> object:
    from optuna.distributions import CategoricalDistribution

    return setting(value) if isinstance(distribution, CategoricalDistribution) else value


def by_family(plan: Plan, trials: Sequence[Trial]) -> Table:
    """What each family took and gave."""
    rows: list[tuple[str | float, ...]] = []
    for family in dict.fromkeys(t.job.family for t in trials):
        of = [t for t in trials if t.job.family == family]
        best = ranked(plan, of)
        seconds = sum(t.result.seconds for t in of)
        counts = [sum(t.result.status == status for t in of) for status in STATUSES]
        rows.append((family, len(of), *counts, cell(best[0].result.value if best else None),
                     round(seconds, 1), round(seconds / len(of), 2)))
    head = ("Family", "Trials", "Done", "Pruned", "Failed", "Timed out", f"Best {metric(plan.objective)} (validation)",
            "Seconds", "Seconds per trial")
    return Table("Families in the search", head, tuple(rows))


def _value(trial: Trial) -> float | None:
    """The objective of a trial that was done."""
    value = trial.result.value
    return value if trial.result.status == "done" and value is not None and isfinite(value) else None


def _values(trials: Sequence[Trial]) -> tuple[float, ...]:
    return tuple(v for v in map(_value, trials) if v is not None)
