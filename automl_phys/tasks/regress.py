"""Task ``regress``: predict one or more amounts on a table, with an uncertainty for each of them.

Takes a recipe's ``data`` and ``regress`` and finished models; gives a prepared table, scores, and what the test rows
say. Tables are :mod:`automl_phys.table`'s work, metrics :mod:`automl_phys.amount_scores`'s, intervals
:mod:`automl_phys.conformal`'s; what is shown is in ``amount_figures``, ``amount_tables`` and ``importance``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from automl_phys import measures
from automl_phys.contracts import Candidate, Finished
from automl_phys.errors import Mistake
from automl_phys.exhibits import Estimate, Evaluation, Figure, Score, Table
from automl_phys.facts import Facts
from automl_phys.section import Missing, Percent, Section
from automl_phys.sections import AmountsTable
from automl_phys.telling import Tell, counted, nobody, steps
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.amount_scores import Judged
    from automl_phys.column_profiles import Looked
    from automl_phys.drafting import Drafted
    from automl_phys.onnx_outputs import Output
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.table import NewRows, Rows, TableProblem
    from automl_phys.values import Array

TEXT = "predict amounts, with an uncertainty for each row and intervals that hold what they say"
DEFAULT_FAMILIES = ("linear", "boosted_trees", "extra_trees", "mlp")
FAMILIES_OF_IMAGES = ("linear", "boosted_trees", "cnn")
DEFAULT_OBJECTIVE = "rmse"
BASELINE = "linear"
EXAMPLE = Facts("table", {"train": 10_000, "valid": 3_000, "test": 3_000},
                {"numbers": 20, "categories": 5, "levels": 50, "outputs": 1, "targets": 1, "folds": 0})
REPLICAS = 0
REPLICATED = "winner"
LEADERS = 0.0
FRAMEWORK = ""
OBJECTIVES: Mapping[str, Direction] = measures.Objectives(measures.OF_AMOUNTS)

WITH_LOSS = ("boosted_trees", "cnn", "mlp")
"""Families that can minimise several losses."""
MOST_COMPARED = 20_000
"""Rows for which the winner's uncertainties are compared with those of models that had not seen them."""
MOST_SHOWN = 4
"""More targets than these get no figures each."""
MOST_FEATURES = 8


class Regress(Section):
    """What of the targets is predicted, and how sure."""

    loss: Literal["squared", "absolute", "huber", "quantile", "gaussian"] | Missing = None
    """What the fits minimise: squared predicts the mean, absolute and quantile the median, huber the mean but for
    outliers, gaussian mean and uncertainty of each row together, as quantile does by three quantiles. Default: searched
    where a family knows several. Linear models and extra trees are least squares, boosted trees know no gaussian."""
    coverage: Annotated[tuple[Percent, ...], Field(strict=False, min_length=1)] = (68.0, 95.0)
    """Percent of the truth that prediction intervals are to hold."""


class Options(Section):
    """The sections of a recipe that belong to this task."""

    data: AmountsTable
    """Where the table is, and the part that each column plays."""
    regress: Regress = Field(default_factory=Regress)
    """What of the targets is predicted, and how sure."""


def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """The families asked for, or all that can predict amounts of a table."""
    return asked or (FAMILIES_OF_IMAGES if options.data.images else DEFAULT_FAMILIES)


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """Every objective can be had of every table."""
    return None


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """The loss that is asked for, in the families that have it."""
    loss = options.regress.loss
    if loss is None:
        return {}
    return {family: {"loss": loss} for family in WITH_LOSS if loss != "gaussian" or family != "boosted_trees"}


def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """Which amount is predicted, and from what. Raises CallError for what cannot be guessed."""
    from automl_phys import drafting, role_guesses

    guess = role_guesses.amount(looked, target)
    found = looked.columns[guess.name]
    drafting.put_guess(data, "target", guess)
    taken = [found.name, *drafting.put_weight(data, looked, [found.name], None)]
    features = drafting.put_inputs(data, looked, taken, found, amounts=True, spectators=False)
    drafting.put_cut(data, looked, found, features, all_classes=False)
    drafting.put_split(data)
    return {}


def look(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
    """Facts from the header and the targets. Raises DataError with all mistakes."""
    from automl_phys import table

    return table.look(options.data, folder, seed, tell)


def prepare(options: Options, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> TableProblem:
    """Read, check, split and write the table into ``target``. Raises DataError with all mistakes."""
    from automl_phys import table

    return table.prepare(options.data, folder, target, seed, _settings(options), tell=tell)


def fingerprint(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> str:
    """Hash of all that decides the prepared table. Raises DataError."""
    from automl_phys import table

    return table.fingerprint(options.data, folder, seed, _settings(options), tell)


def _settings(options: Options) -> Mapping[str, Any]:
    return {"coverage": [percent / 100 for percent in options.regress.coverage]}


def load(folder: Path) -> TableProblem:
    """Open a prepared table. Raises CallError when it is not there or damaged."""
    from automl_phys import table

    return table.load(folder)


def read_new(problem: TableProblem, source: Path, tell: Tell = nobody) -> NewRows:
    """New data with the columns of the training data. Raises DataError."""
    from automl_phys import table

    return table.read_new(problem, source, tell)


def score(objective: str, part: Rows, predictions: Array) -> float:
    """The objective of predictions (n, t, 2), value and uncertainty, on rows (n,), weighted.

    Raises RunError for predictions that are not finite or of the wrong shape, KeyError for an unknown objective.
    """
    from automl_phys import amount_scores

    return amount_scores.value(objective, amount_scores.judge(part.target, part.weight, predictions))


def calibrate(problem: TableProblem, part: Rows, predictions: Array, predict: Callable[[Rows], Array] | None = None
              ) -> Mapping[str, Any]:
    """By coverage, the half-widths of intervals in units of σ, one for each target; -1 for no limit.

    ``predict`` is the winner as it will be used. What was fitted again on these very rows states too small a σ where it
    takes it from their residuals; ``sigma`` is, for each target, by how much, so that intervals are not too narrow.
    """
    import numpy as np

    from automl_phys import amount_scores, conformal

    scale = [1.0] * len(problem.schema.target)
    if predict is not None:
        some = slice(None, None, -(-len(part) // MOST_COMPARED))
        held_out, stated = (np.asarray(p, np.float64)[..., 1].mean(axis=0)
                            for p in (predictions[some], predict(part.take(some))))
        scale = (held_out / stated).tolist()
    judged = amount_scores.judge(part.target, part.weight, predictions)
    factors = {}
    for coverage in problem.schema.settings["coverage"]:
        each = [conformal.factor(judged.residual[:, j], judged.sigma[:, j], judged.weight, coverage)
                for j in range(judged.targets)]
        factors[repr(coverage)] = [-1.0 if factor == inf else factor for factor in each]
    return {"factors": factors, "sigma": scale, "rows": len(judged.weight)}


def _factors(calibration: Mapping[str, Any]) -> dict[float, list[float]]:
    return {round(float(coverage), 6): [inf if factor < 0 else factor for factor in each]
            for coverage, each in calibration.get("factors", {}).items()}


def _scaled(predictions: Array, calibration: Mapping[str, Any]) -> Array:
    """The winner's predictions with their σ as they would be for rows that it was not fitted on."""
    import numpy as np

    scale = np.asarray(calibration.get("sigma", 1.0), np.float32)
    return np.stack([predictions[..., 0], predictions[..., 1] * scale], axis=-1)


def _calibrated(winner: Candidate, calibration: Mapping[str, Any]) -> Candidate:
    return replace(winner, predict=lambda rows: _scaled(winner.predict(rows), calibration),
                   predictions={part: _scaled(said, calibration) for part, said in winner.predictions.items()})


def evaluate(problem: TableProblem, candidates: Sequence[Candidate], objective: str, calibration: Mapping[str, Any],
             seed: int, tell: Tell = nobody) -> Evaluation:
    """What the test rows say of the candidates, the first of which is the winner, one the baseline."""
    from automl_phys import amount_scores, amount_tables, leaderboard

    winner = _calibrated(candidates[0], calibration)
    candidates = (winner, *candidates[1:])
    names, factors = problem.schema.target, _factors(calibration)
    rows = problem.test
    test = {c.name: amount_scores.judge(rows.target, rows.weight, c.predictions["test"], factors) for c in candidates}
    baseline = next(c for c in candidates if c.role == "baseline")
    plain = [name for measure in measures.OF_AMOUNTS.values() if not measure.points for name in measure.names]
    scores = tuple(
        Score(c.name, c.role, amount_scores.estimates(plain, test[c.name], seed),
              None if c is baseline else amount_scores.gain(objective, test[c.name], test[baseline.name], seed),
              c.seconds)
        for c in counted(candidates, "models judged", tell))
    train = amount_scores.judge(problem.train.target, problem.train.weight, winner.predictions["train"], factors)
    importances, tables = _features(problem, winner, objective, seed, tell)
    done = steps(4, "parts of the report", tell)
    more, intervals = _intervals(test[winner.name], names, factors, seed)
    more["train_gap"] = _gap(train, scores[0], seed)
    for j, name in enumerate(names if len(names) > 1 else ()):
        found = amount_scores.estimates(plain, test[winner.name].only(j), seed)
        more |= {f"{metric}/{name}": estimate for metric, estimate in found.items()}
        more |= {f"coverage@{coverage:g}/{name}": each[j][1] for coverage, each in intervals.items()}
    by_target = (amount_tables.by_target(test[winner.name], names, seed),) if len(names) > 1 else ()
    done()
    figures = _figures(problem, {c.name: test[c.name] for c in (winner, baseline)}, train, winner, intervals, seed)
    done()
    binned = [amount_tables.in_bins(test[winner.name].only(j), name, seed)
              for j, name in enumerate(names[:MOST_SHOWN])]
    done()
    images = _images(problem, winner, seed)
    done()
    return Evaluation(
        leaderboard.verdict(scores[0], baseline.name, objective), {**scores[0].metrics, **more}, scores,
        (amount_tables.ranked(scores, objective), *by_target, amount_tables.intervals(intervals), *binned, *tables),
        (*figures, *images, *winner.figures, *importances))


def same_events(one: TableProblem, other: TableProblem) -> bool:
    """Whether the test rows are the same events, as :mod:`automl_phys.table_events` tells."""
    from automl_phys import table_events

    return table_events.same(one, other)


def differences(names: Sequence[str], first: Finished, other: Finished, seed: int) -> Mapping[str, Estimate]:
    """By how much metrics of one run's winner are larger than those of the first's, paired on the same test rows;
    ``rmse/mass`` is of that target. Raises as ``contracts.Paired`` says."""
    from automl_phys import amount_scores

    one, two = (_read_scores(run) for run in (first, other))
    targets = first.problem.schema.target
    found: dict[str, Estimate] = {}
    for target, told in measures.by_part(name for name in names if _of_amounts(name)).items():
        if target and target not in targets:
            continue
        a, b = (each.only(targets.index(target)) if target else each for each in (one, two))
        made = amount_scores.differences(told, a, b, seed)
        found |= {f"{name}/{target}" if target else name: estimate for name, estimate in made.items()}
    return found


def _of_amounts(name: str) -> bool:
    head, at, _ = name.partition("/")[0].partition("@")
    return head + at in measures.OF_AMOUNTS


def _read_scores(run: Finished) -> Judged:
    """The test rows of a run with what :func:`write_scores` wrote of them, sigma and all."""
    import numpy as np

    from automl_phys import amount_scores, table_file

    rows, names = run.problem.test, run.problem.schema.target
    value, sigma = (np.stack(table_file.numbers(run.scores, [f"{name}_{kind}" for name in names]), axis=1)
                    for kind in ("predicted", "sigma"))
    return amount_scores.judge(rows.target, rows.weight, np.stack([value, sigma], axis=-1), _factors(run.calibration))


def write_scores(
    problem: TableProblem, rows: Rows, predictions: Array, calibration: Mapping[str, Any], target: Path
) -> None:
    """Write ``<target>_predicted``, ``_sigma``, and ``_low68``, ``_high68`` … for each coverage, and what the rows
    carry, in the format of the file's ending.

    ``row`` is the position in the file that was read, counting from 0; ``<target>_true`` and the weight stand beside
    them for rows of the problem itself. Raises RunError when the disk refuses.
    """
    import numpy as np
    import pyarrow as pa

    from automl_phys import table_file
    from automl_phys.table import NewRows

    predictions = _scaled(predictions, calibration)
    carried = rows.carried if isinstance(rows, NewRows) else problem.carried("test")
    columns = {name: carried.column(name) for name in carried.column_names}
    if not isinstance(rows, NewRows):
        columns["weight"] = pa.array(rows.weight)
    for j, name in enumerate(problem.schema.target):
        value, sigma = (np.ascontiguousarray(predictions[:, j, k]) for k in (0, 1))
        if not isinstance(rows, NewRows):
            columns[f"{name}_true"] = pa.array(np.ascontiguousarray(rows.target[:, j]))
        columns |= {f"{name}_predicted": pa.array(value), f"{name}_sigma": pa.array(sigma)}
        for coverage, factors in _factors(calibration).items():
            half = (factors[j] * sigma).astype(np.float32)
            percent = f"{100 * coverage:g}"
            columns |= {f"{name}_low{percent}": pa.array(value - half), f"{name}_high{percent}": pa.array(value + half)}
    table_file.write(pa.table(columns), target)


def write_onnx(rows: OnnxRows, predicted: str, calibration: Mapping[str, Any]) -> tuple[Output, ...]:
    """Values, uncertainties and intervals, as :func:`write_scores` writes them."""
    from automl_phys import onnx_outputs

    return onnx_outputs.amounts(rows, predicted, calibration, _factors(calibration))


# ---------------------------------------------------------------- what is shown

Intervals = dict[float, list[tuple[str, Estimate, Estimate, float]]]


def _intervals(one: Judged, names: Sequence[str], factors: Mapping[float, Sequence[float]], seed: int
               ) -> tuple[dict[str, Estimate], Intervals]:
    """Metrics of the intervals over all targets, and by coverage each target's coverage, width and factor."""
    from automl_phys import amount_scores

    asked = [f"{kind}@{coverage:g}" for coverage in factors for kind in ("coverage", "interval_width")]
    by_coverage: Intervals = {coverage: [] for coverage in factors}
    for j, name in enumerate(names):
        found = amount_scores.estimates(asked, one.only(j), seed)
        for coverage, each in factors.items():
            by_coverage[coverage].append((name, found[f"coverage@{coverage:g}"],
                                          found[f"interval_width@{coverage:g}"], each[j]))
    return amount_scores.estimates(asked, one, seed), by_coverage


def _gap(train: Judged, winner: Score, seed: int) -> Estimate:
    """By how much the winner's RMSE is larger on test than on train rows; whatever the objective, as a share of it can
    be told."""
    from math import hypot

    from automl_phys import amount_scores

    fitted, fresh = amount_scores.estimates(["rmse"], train, seed)["rmse"], winner.metrics["rmse"]
    gap, half = fresh.value - fitted.value, hypot(fresh.high - fresh.low, fitted.high - fitted.low) / 2
    return Estimate(gap, gap - half, gap + half, "bootstraps of train and test, independent")


def _figures(problem: TableProblem, two: Mapping[str, Judged], train: Judged, winner: Candidate, intervals: Intervals,
             seed: int) -> tuple[Figure, ...]:
    from automl_phys import amount_figures as draw

    figures: list[Figure] = []
    for j, name in enumerate(problem.schema.target[:MOST_SHOWN]):
        each = {model: one.only(j) for model, one in two.items()}
        figures += [draw.predicted_against_true(each[winner.name], name),
                    draw.residuals(each, train.only(j), name, winner.note), draw.resolution(each, name, seed),
                    draw.bias(each, name, seed), draw.pulls(each, name)]
        covered = [(coverage, found[j][1].value, found[j][1].low, found[j][1].high)
                   for coverage, found in intervals.items()]
        figures.append(draw.coverage(covered, name))
    return tuple(figures)


def _images(problem: TableProblem, winner: Candidate, seed: int) -> tuple[Figure, ...]:
    """What images of small and large amounts look like, those that are furthest off, and what the winner looks at."""
    from automl_phys import image_figures as draw

    if problem.schema.image is None:
        return ()
    name, test = problem.schema.target[0], problem.test
    found = (draw.averages_by_amount(problem.train, name),
             draw.largest_residuals(test, winner.predictions["test"], name),
             draw.occlusion(test, winner.predict, (), draw.mean_image(problem.train), seed=seed, name=name))
    return tuple(figure for figure in found if figure is not None)


def _features(problem: TableProblem, winner: Candidate, objective: str, seed: int, tell: Tell
              ) -> tuple[tuple[Figure, ...], tuple[Table, ...]]:
    import numpy as np

    from automl_phys import amount_figures, importance

    schema, train = problem.schema, problem.train
    if not schema.numbers and not schema.levels:
        return (), ()
    found = importance.permutation(problem.test, schema, winner.predict, objective, seed, score, tell)
    best = [i.feature for i in found if i.feature in schema.features][:MOST_FEATURES]
    some = train.take(slice(None, None, max(1, len(train) // importance.MOST_DRAWN)))
    target = np.asarray(some.target, np.float64)
    profiles = [amount_figures.profile(
        np.asarray(some.numbers[:, schema.numbers.index(feature)], np.float64), target[:, 0],
        np.asarray(some.weight, np.float64), feature, schema.target[0]) for feature in best]
    if not found:
        return tuple(profiles), ()
    return (importance.figure(found, objective), *profiles), (importance.table(found, objective),)
