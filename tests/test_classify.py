"""The task's own part: scores, evaluation of candidates, verdicts, written scores."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from automl_phys import class_exhibits, leaderboard, measures, metrics
from automl_phys.contracts import Candidate
from automl_phys.errors import RunError
from automl_phys.exhibits import Estimate, Score
from automl_phys.tasks import classify

CLASSES = ("qcd", "top", "w")


def model(rows):
    """What a good classifier would say of these features; it does not look at the last one."""
    scores = np.exp(1.3 * np.asarray(rows.numbers[:, :3], np.float64))
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def dull(rows):
    return 0.3 * model(rows) + 0.7 / 3


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classify")
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 1500)
    x = rng.normal(size=(1500, 4)) + 1.3 * np.eye(3, 4)[label]
    columns = {name: x[:, i] for i, name in enumerate(("a", "b", "c", "noise"))}
    table = pa.table({**columns, "w": rng.uniform(0.5, 1.5, 1500), "mass": rng.uniform(size=1500),
                      "label": np.array(CLASSES)[label]})
    parquet.write_table(table, folder / "events.parquet")
    options = classify.Options.model_validate({"data": {
        "path": str(folder / "events.parquet"), "target": "label", "signal": "top", "weight": "w", "spectators": ["mass"]}})
    return classify.prepare(options, folder, folder / "problem", 0)


def candidate(problem, name, role, predict):
    parts = {part: predict(getattr(problem, part)) for part in ("train", "valid", "test")}
    return Candidate(name, role, parts, predict)


@pytest.fixture(scope="module")
def evaluation(problem):
    found = [candidate(problem, "mlp", "winner", model), candidate(problem, "linear baseline", "baseline", dull)]
    return classify.evaluate(problem, found, "log_loss", {}, 0)


def test_the_score_is_the_weighted_metric_with_the_problems_signal(problem):
    rows, p = problem.test, model(problem.test)
    judged = metrics.sample(rows.target, rows.weight, p, CLASSES.index("top"))
    for objective in classify.OBJECTIVES:
        assert classify.score(objective, rows, p) == metrics.value(objective, judged)
    heavier = replace(rows, weight=np.where(rows.target == 0, 5 * rows.weight, rows.weight))
    assert classify.score("log_loss", heavier, p) != classify.score("log_loss", rows, p)


def test_every_objective_prefers_the_model_that_knows_more(problem):
    rng = np.random.default_rng(0)
    guess = rng.dirichlet(np.ones(3), len(problem.test))
    for objective, direction in classify.OBJECTIVES.items():
        good, bad = (classify.score(objective, problem.test, p) for p in (model(problem.test), guess))
        assert (good > bad) if direction == "maximize" else (good < bad), objective


def test_nan_predictions_are_a_named_error(problem):
    p = model(problem.test)
    p[0] = np.nan
    with pytest.raises(RunError) as error:
        classify.score("log_loss", problem.test, p)
    assert error.value.mistakes[0].code == "nan-predictions"


def test_an_evaluation_has_every_metric_with_an_interval(evaluation):
    for name in measures.names(signal=True):
        found = evaluation.metrics[name]
        assert found.low <= found.value <= found.high, name
    assert {"rejection@0.5/qcd", "rejection@0.5/w", "train_gap", "overtraining_p"} <= set(evaluation.metrics)
    assert [score.role for score in evaluation.scores] == ["winner", "baseline"]


def test_the_gain_over_the_baseline_is_told(evaluation):
    winner = evaluation.scores[0]
    assert winner.better_than_baseline.low > 0
    assert evaluation.verdict.startswith("mlp: log loss")
    assert "better than the linear baseline by" in evaluation.verdict


def test_a_threshold_tells_the_signal_from_the_rest(evaluation, problem):
    sweep, weight, signal = evaluation.sweep, problem.test.weight, problem.test.target == problem.schema.signal
    assert (sweep.signal.name, sweep.background.name, sweep.output) == ("top", "the rest", "p(top)")
    assert (sweep.signal.total, sweep.background.total) == pytest.approx((weight[signal].sum(), weight[~signal].sum()), rel=1e-6)
    efficiency, place = sweep.measured[0], sweep.marks["50% signal efficiency"]
    assert efficiency.values[place] == pytest.approx(0.5, abs=0.02)


def test_without_a_signal_no_threshold_tells_three_classes_apart(problem):
    judged = metrics.sample(problem.test.target, problem.test.weight, model(problem.test), None)
    assert class_exhibits._sweep(judged, problem.schema.classes, 3) is None


def test_figures_are_whole(evaluation):
    names = [figure.name for figure in evaluation.figures]
    assert len(set(names)) == len(names)
    assert {"roc", "rejection", "sic", "rejection-qcd", "roc-by-class", "confusion-counts", "confusion-rates", "output-top",
            "calibration", "importance", "feature-noise"} <= set(names)
    for figure in evaluation.figures:
        for series in figure.series:
            assert len(series.x) == len(series.y) + (series.style in ("steps", "filled")), (figure.name, series.name)
            assert len(series.low) == len(series.high) in (0, len(series.y))
            assert np.isfinite([*series.x, *series.y]).all(), (figure.name, series.name)


def test_the_confusion_matrix_holds_the_test_weight(evaluation, problem):
    counts, rates = (next(f for f in evaluation.figures if f.name == f"confusion-{kind}") for kind in ("counts", "rates"))
    assert np.sum(counts.matrix) == pytest.approx(problem.test.weight.sum(), rel=1e-6)
    assert np.sum(rates.matrix, axis=1) == pytest.approx(1)


def test_a_feature_that_is_not_used_is_not_important(evaluation):
    rows = next(t for t in evaluation.tables if t.title == "Permutation importance").rows
    drops = {row[0]: row[1] for row in rows}
    assert drops["noise"] == 0
    assert min(drops[name] for name in "abc") > 0.05


@pytest.mark.parametrize(("gain", "said"), [
    (Estimate(0.14, 0.135, 0.145), "better than the linear baseline by 0.1400 ± 0.0050 (28 σ)."),
    (Estimate(0.004, -0.001, 0.009), "cannot tell the two apart"),
    (Estimate(-0.004, -0.009, 0.001), "worse than the linear baseline by 0.0040 ± 0.0050, which is within"),
    (Estimate(-0.14, -0.145, -0.135), "The linear baseline is better by 0.1400 ± 0.0050 (28 σ): use that one."),
    (Estimate(0.0, 0.0, 0.0), "just what the linear baseline does"),
])
def test_the_verdict_says_plainly_what_the_gain_is_worth(gain, said):
    winner = Score("mlp", "winner", {"log_loss": Estimate(0.452, 0.446, 0.458)}, gain)
    text = leaderboard.verdict(winner, "linear baseline", "log_loss")
    assert text.startswith("mlp: log loss 0.4520 ± 0.0060 on the test rows")
    assert said in text


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_scores_are_written_with_what_the_rows_carry(problem, tmp_path, suffix):
    target = tmp_path / f"scores.{suffix}"
    p = model(problem.test)
    classify.write_scores(problem, problem.test, p, {}, target)
    read = (parquet.read_table if suffix == "parquet" else csv.read_csv)(target)
    assert {"row", "mass", "true", "weight", "predicted", *(f"score_{c}" for c in CLASSES)} == set(read.column_names)
    assert np.allclose(read["score_top"].to_numpy(), p[:, 1])
    assert read["predicted"].to_pylist() == [CLASSES[k] for k in p.argmax(axis=1)]
    assert read["true"].to_pylist() == [CLASSES[k] for k in problem.test.target]
