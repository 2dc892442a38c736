"""Task ``detect-anomaly``: shown only what is known, find the events that do not belong.

Takes a recipe's ``data`` and ``anomaly`` and finished detectors; gives prepared events, scores, a threshold from
held-out normal events, and how well the best detector finds anomalies where these are known. Events are
:mod:`automl_phys.anomaly_problem`'s work, detectors :mod:`automl_phys.detecting`'s; what is measured is in
``anomaly_scores``, what is shown in ``anomaly_exhibits``. Scores of several detectors are not averaged: the best one
wins alone, fitted on the train part, so that the validation events stay unseen by it and give p-values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import measures
from automl_phys.anomaly_sections import Options
from automl_phys.contracts import Candidate, Finished
from automl_phys.errors import Mistake
from automl_phys.exhibits import Estimate, Evaluation
from automl_phys.facts import Facts
from automl_phys.telling import Tell, nobody
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem, AnomalyRows, NewAnomalyRows
    from automl_phys.column_profiles import Looked
    from automl_phys.drafting import Drafted
    from automl_phys.table import Rows
    from automl_phys.values import Array

__all__ = ["Options"]

TEXT = "shown only what is known, find the events that do not belong"
DEFAULT_FAMILIES = ("mixture_density", "flow_density", "autoencoder_error", "vae_error", "deep_svdd",
                    "isolation_forest", "knn", "lof", "ecod", "pca_error")
WEAKLY_SUPERVISED_FAMILIES = ("cwola",)
DEFAULT_OBJECTIVE = "stand_in_auc"
OF_REGIONS = "region_excess"
"""The default where the method is weakly supervised."""
BASELINE = "isolation_forest"
EXAMPLE = Facts("table", {"train": 10_000, "valid": 3_000, "test": 4_000},
                {"numbers": 20, "categories": 0, "outputs": 0, "targets": 0, "folds": 0, "normal": 10_000, "region": 1,
                 "truth": 1, "weakly": 1, "by_truth": 0, "replicas": 1})
REPLICAS = 1
REPLICATED = "winner"
LEADERS = 0.0
FRAMEWORK = "jax"
OBJECTIVES: Mapping[str, Direction] = measures.Objectives(measures.OF_ANOMALIES)


def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """The families asked for, or all that learn as the method says."""
    return asked or (WEAKLY_SUPERVISED_FAMILIES if options.method == "weakly-supervised" else DEFAULT_FAMILIES)


def objective_for(facts: Facts) -> str:
    """What models are compared by unless the recipe says otherwise."""
    return OF_REGIONS if facts.sizes["weakly"] and not facts.sizes["by_truth"] else DEFAULT_OBJECTIVE


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """What is told by true anomalies is no objective unless the recipe says that these choose the models, nor what is
    told of a signal region where nothing is trained on one."""
    if objective == OF_REGIONS and objective_for(facts) != OF_REGIONS:
        return Mistake("objective-of-regions", f"The objective {objective} compares a signal region with its "
                       "sidebands, and models are not chosen by these.", "Leave 'objective' out, or say 'method: "
                       "weakly-supervised' under anomaly.", ("search", "objective"))
    if objective in {DEFAULT_OBJECTIVE, OF_REGIONS} or facts.sizes["by_truth"]:
        return None
    return Mistake("objective-sees-truth", f"The objective {objective} needs true anomalies, and models are chosen "
                   "without them.", f"Leave 'objective' out for {objective_for(facts)}, or say 'choose_by: truth' "
                   "under anomaly: the report then says so.", ("search", "objective"))


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """Nothing: the families have their own words."""
    return {}


def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """Which events are normal, and how many of these may be flagged. Raises CallError for what cannot be guessed."""
    from automl_phys import anomaly_draft

    return anomaly_draft.draft(data, looked, target)


def look(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
    """Facts from the header and the columns that tell events apart. Raises DataError with all mistakes."""
    from automl_phys import anomaly_problem, table

    seen = table.look(options.table, folder, seed, tell)
    return replace(seen, sizes=anomaly_problem.sizes(seen, _settings(options)))


def prepare(options: Options, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> AnomalyProblem:
    """Read, check, split and write the events into ``target``. Raises DataError with all mistakes."""
    from automl_phys import anomaly_problem, table

    table.prepare(options.table, folder, target, seed, _settings(options), tell=tell)
    return anomaly_problem.load(target)


def fingerprint(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> str:
    """Hash of all that decides the prepared events. Raises DataError."""
    from automl_phys import table

    return table.fingerprint(options.table, folder, seed, _settings(options), tell)


def _settings(options: Options) -> Mapping[str, Any]:
    asked, data = options.anomaly, options.table
    return {"method": options.method, "mass": asked.mass_column, "normal": data.normal or "", "truth": options.truth,
            "signal_region": asked.signal_region or "", "background_efficiency": asked.background_efficiency,
            "choose_by": asked.choose_by, "stand_ins": asked.stand_ins, "inject": asked.inject,
            "injections": list(asked.shares), "draws": asked.draws, "hidden": list(data.hidden)}


def load(folder: Path) -> AnomalyProblem:
    """Open prepared events. Raises CallError when they are not there or damaged."""
    from automl_phys import anomaly_problem

    return anomaly_problem.load(folder)


def read_new(problem: AnomalyProblem, source: Path, tell: Tell = nobody) -> NewAnomalyRows:
    """New events with the features of the training data and, where it is there, the mass; what tells which are normal,
    or anomalies, is not needed. Raises DataError."""
    from dataclasses import fields

    from automl_phys import anomaly_problem, table_new, table_read, table_roles

    schema, mass = problem.schema, problem.schema.settings["mass"]
    told = {*schema.settings["hidden"]} - {*schema.spectators}
    view = replace(schema.view, define={name: text for name, text in schema.view.define.items() if name not in told})
    there = table_new.find(view, source, tell).header.columns.get(mass) in table_roles.NUMERIC
    carried = (*schema.spectators, mass) if there and mass not in schema.spectators else schema.spectators
    rows = table_new.read_new(replace(schema, view=view, spectators=carried), source, tell)
    found = anomaly_problem.NewAnomalyRows(**{f.name: getattr(rows, f.name) for f in fields(rows)})
    if there:
        found = replace(found, mass=table_read.floats(rows.carried, [mass])[:, 0],
                        carried=rows.carried.select([c for c in rows.carried.column_names
                                                     if c not in carried or c in schema.spectators]))
    elif problem.method == "weakly-supervised":
        found = replace(found, notes=(
            *rows.notes, f"The mass '{mass}' is not in the new data: scores are not made independent of it."))
    return found


def score(objective: str, part: AnomalyRows, predictions: Array) -> float:
    """The objective of scores (n,) on rows (n,) with target 1 for anomalies, or what stands in for them; weighted.

    Raises KeyError for an unknown objective.
    """
    from automl_phys import anomaly_scores

    return anomaly_scores.value(objective, part.target, predictions, part.weight)


def calibrate(problem: AnomalyProblem, part: AnomalyRows, predictions: Array,
              predict: Callable[[Rows], Array] | None = None) -> Mapping[str, Any]:
    """Of the scores (n,) of what the winner was judged on, those of held-out normal events with their own weights, what
    p-values and flags are told by."""
    from automl_phys import anomaly_flags

    normal, rows = problem.normal, problem.held_out
    return anomaly_flags.calibration(predictions[:len(rows)][normal], rows.fit_weight[normal],
                                     problem.schema.settings["background_efficiency"])


def evaluate(problem: AnomalyProblem, candidates: Sequence[Candidate], objective: str, calibration: Mapping[str, Any],
             seed: int, tell: Tell = nobody) -> Evaluation:
    """What the test rows say of the candidates, the first of which is the winner, one the baseline."""
    from automl_phys import anomaly_exhibits

    return anomaly_exhibits.evaluate(problem, candidates, objective, calibration, seed, tell)


def same_events(one: AnomalyProblem, other: AnomalyProblem) -> bool:
    """Whether the test rows are the same events, as :mod:`automl_phys.table_events` tells."""
    from automl_phys import table_events

    return table_events.same(one, other)


def differences(names: Sequence[str], first: Finished, other: Finished, seed: int) -> Mapping[str, Estimate]:
    """By how much metrics of one run's winner are larger than those of the first's, paired on the same test events;
    nothing where the truth is not known. Raises as ``contracts.Paired`` says."""
    from automl_phys import anomaly_scores, table_file

    if not first.problem.has_truth:
        return {}
    one, two = (anomaly_scores.judge(run.problem.test.target, table_file.numbers(run.scores, ["score"])[0],
                                     run.problem.test.weight) for run in (first, other))
    return anomaly_scores.differences(names, one, two, seed)


def write_scores(problem: AnomalyProblem, rows: Rows, predictions: Array, calibration: Mapping[str, Any], target: Path
                 ) -> None:
    """Write what the rows carry, ``score``, ``p_value`` and ``flag``, in the format of the file's ending; for rows of
    the problem itself also the weight and, where it is known, ``anomaly``. Raises RunError when the disk refuses."""
    import pyarrow as pa

    from automl_phys import anomaly_flags, table_file
    from automl_phys.table import NewRows

    carried = rows.carried if isinstance(rows, NewRows) else problem.carried("test")
    columns = {name: carried.column(name) for name in carried.column_names}
    if not isinstance(rows, NewRows):
        columns["weight"] = pa.array(rows.weight)
        if problem.has_truth:
            columns["anomaly"] = pa.array(rows.target == 1)
    columns["score"] = pa.array(predictions)
    columns["p_value"] = pa.array(anomaly_flags.p_values(predictions, calibration))
    columns["flag"] = pa.array(anomaly_flags.flagged(predictions, calibration))
    table_file.write(pa.table(columns), target)
