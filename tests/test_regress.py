"""The task's own part: scores, calibration, evaluation of candidates, written scores, what the checks make of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from pydantic import ValidationError

from automl_phys import amount_figures, amount_scores, diagnose, measures, recipe, registry, rundir
from automl_phys.contracts import Candidate, Seen
from automl_phys.decisions import Chosen, Plan
from automl_phys.errors import RunError
from automl_phys.exhibits import Evaluation
from automl_phys.tasks import regress
from automl_phys.trials import Ensemble, Member

ROOT = Path(__file__).parent.parent
NOISE = (2.0, 0.5)
"""Of each target, in its own unit."""


def model(rows):
    """What a good regression would say of these features; it does not look at the last one."""
    a, b, c = np.asarray(rows.numbers[:, :3], np.float64).T
    value = np.stack([80 + 10 * a + 5 * b * c, b - c], axis=1)
    return np.stack([value, np.broadcast_to(NOISE, value.shape)], axis=2).astype(np.float32)


def dull(rows):
    """Knows the first feature only, and that it knows little."""
    a = np.asarray(rows.numbers[:, 0], np.float64)
    value = np.stack([80 + 10 * a, 0 * a], axis=1)
    return np.stack([value, np.broadcast_to((6.0, 1.5), value.shape)], axis=2).astype(np.float32)


def only_first(predict):
    return lambda rows: predict(rows)[:, :1]


def table(folder, targets=("mass", "p/x"), rows=2000, regress_section=None, **more):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    columns = {name: x[:, i] for i, name in enumerate(("a", "b", "c", "noise"))}
    a, b, c, _ = x.T
    columns |= {"mass": 80 + 10 * a + 5 * b * c + NOISE[0] * rng.normal(size=rows),
                "p/x": b - c + NOISE[1] * rng.normal(size=rows)}
    columns |= {"w": rng.uniform(0.5, 1.5, rows), "run": np.arange(rows)}
    columns |= {name: make(columns, rng) for name, make in more.items()}
    parquet.write_table(pa.table(columns), folder / "events.parquet")
    exclude = [name for name in ("mass", "p/x") if name not in targets]
    options = regress.Options.model_validate({
        "data": {"path": str(folder / "events.parquet"), "target": list(targets), "weight": "w", "spectators": ["run"],
                 "exclude": exclude},
        **({"regress": regress_section} if regress_section else {})})
    return regress.prepare(options, folder, folder / "problem", 0)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return table(tmp_path_factory.mktemp("regress"))


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return table(tmp_path_factory.mktemp("single"), ("mass",))


def candidates(problem, predict=model, baseline=dull):
    found = [("mlp", "winner", predict), ("linear baseline", "baseline", baseline)]
    return [Candidate(name, role, {part: said(getattr(problem, part)) for part in ("train", "valid", "test")}, said)
            for name, role, said in found]


def judged(problem, predict=model, baseline=dull, objective="rmse", calibrated=None):
    calibration = regress.calibrate(problem, problem.valid, (calibrated or predict)(problem.valid))
    return regress.evaluate(problem, candidates(problem, predict, baseline), objective, calibration, 0)


@pytest.fixture(scope="module")
def evaluation(problem):
    return judged(problem)


@pytest.fixture(scope="module")
def single_evaluation(single):
    return judged(single, only_first(model), only_first(dull))


def test_the_score_is_the_weighted_metric(problem):
    rows, p = problem.test, model(problem.test)
    for objective in regress.OBJECTIVES:
        expected = amount_scores.value(objective, amount_scores.judge(rows.target, rows.weight, p))
        assert regress.score(objective, rows, p) == expected
    heavier = replace(rows, weight=np.where(rows.target[:, 0] > 80, 5 * rows.weight, rows.weight))
    assert regress.score("rmse", heavier, p) != regress.score("rmse", rows, p)


def test_every_objective_prefers_the_model_that_knows_more(problem):
    for objective, direction in regress.OBJECTIVES.items():
        good, bad = (regress.score(objective, problem.test, predict(problem.test)) for predict in (model, dull))
        assert (good > bad) if direction == "maximize" else (good < bad), objective


def test_nan_predictions_are_a_named_error(problem):
    p = model(problem.test)
    p[0] = np.nan
    with pytest.raises(RunError) as error:
        regress.score("rmse", problem.test, p)
    assert error.value.mistakes[0].code == "nan-predictions"


def test_a_calibration_is_plain_data(problem):
    found = regress.calibrate(problem, problem.valid, model(problem.valid))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(found["factors"]) == {"0.68", "0.95"}
    assert found["factors"]["0.68"] == pytest.approx([1, 1], abs=0.15)
    few = problem.valid.take(slice(10))
    assert regress.calibrate(problem, few, model(few))["factors"]["0.95"] == [-1, -1]


def test_a_winner_that_was_fitted_on_the_calibration_rows_has_intervals_as_wide_as_before(problem, tmp_path):
    """Its residuals there are small, and so is the σ that it takes from them: in pulls and intervals they are not."""
    def again(rows):
        return model(rows) * np.array([[1, 0.4], [1, 0.7]], np.float32)

    rows, said = problem.test, again(problem.test)
    found = regress.calibrate(problem, problem.valid, model(problem.valid), again)
    assert found["sigma"] == pytest.approx([1 / 0.4, 1 / 0.7], rel=1e-5)
    regress.write_scores(problem, rows, said, found, tmp_path / "again.parquet")
    regress.write_scores(problem, rows, model(rows), {**found, "sigma": [1, 1]}, tmp_path / "before.parquet")
    one, other = (parquet.read_table(tmp_path / f"{name}.parquet").to_pandas() for name in ("again", "before"))
    for name in one:
        assert np.allclose(one[name], other[name], rtol=1e-5), name
    evaluation = regress.evaluate(problem, candidates(problem, again), "gaussian_nll", found, 0)
    assert evaluation.metrics["pull_width/mass"].value == pytest.approx(1, abs=0.1)
    assert evaluation.metrics["coverage@0.68/mass"].value == pytest.approx(0.68, abs=0.06)


def test_an_evaluation_has_every_metric_with_an_interval(evaluation, single_evaluation):
    names = [name for m in measures.OF_AMOUNTS.values() for name in m.names]
    for found in (evaluation, single_evaluation):
        for name in (*names, "train_gap"):
            assert found.metrics[name].low <= found.metrics[name].value <= found.metrics[name].high, name
        assert [score.role for score in found.scores] == ["winner", "baseline"]
        assert found.scores[1].better_than_baseline is None
    assert {"rmse/mass", "coverage@0.68/p/x"} <= set(evaluation.metrics)
    assert not any("/" in name for name in single_evaluation.metrics)


def test_metrics_are_in_the_targets_unit_for_each_target(evaluation, single_evaluation):
    for name, noise in zip(("mass", "p/x"), NOISE, strict=True):
        assert evaluation.metrics[f"rmse/{name}"].value == pytest.approx(noise, rel=0.1)
        assert evaluation.metrics[f"pull_width/{name}"].value == pytest.approx(1, abs=0.1)
    assert evaluation.metrics["rmse"].value < 0.4  # of standard deviations of the targets
    assert single_evaluation.metrics["rmse"].value == pytest.approx(2, rel=0.1)
    assert single_evaluation.metrics["interval_width@0.68"].value == pytest.approx(4, rel=0.15)


def test_the_gain_over_the_baseline_is_told(single_evaluation):
    assert single_evaluation.scores[0].better_than_baseline.low > 0
    assert single_evaluation.verdict.startswith("mlp: RMSE ")
    assert "better than the linear baseline by" in single_evaluation.verdict


def test_an_evaluation_is_the_same_twice_and_survives_the_disk(evaluation, problem, tmp_path):
    assert judged(problem) == evaluation
    rundir.write_json(tmp_path / "evaluation.json", evaluation)
    assert rundir.read_json(tmp_path / "evaluation.json", Evaluation) == evaluation


@pytest.mark.parametrize("which", ["evaluation", "single_evaluation"])
def test_figures_are_whole(which, request):
    figures = request.getfixturevalue(which).figures
    names = [figure.name for figure in figures]
    assert len(set(names)) == len(names)
    kinds = ("predicted", "residual", "resolution", "bias", "pull", "coverage")
    assert {*(f"{kind}-mass" for kind in kinds), "importance", "feature-a-mass"} <= set(names)
    for figure in figures:
        for series in figure.series:
            assert len(series.x) == len(series.y) + (series.style in ("steps", "filled")), (figure.name, series.name)
            assert len(series.low) == len(series.high) in (0, len(series.y))
            assert np.isfinite([*series.x, *series.y, *series.low, *series.high]).all(), (figure.name, series.name)


def figure(evaluation, name):
    return next(f for f in evaluation.figures if f.name == name)


def test_predicted_against_true_rises_to_the_right(single_evaluation):
    shown = figure(single_evaluation, "predicted-mass")
    cells = np.array(shown.matrix)
    sums = cells.sum(axis=0)
    assert np.allclose(sums[sums > 0], 1)
    heights = np.arange(len(cells))[::-1] @ cells  # the first row is drawn on top
    assert np.corrcoef(heights[sums > 0], np.flatnonzero(sums > 0))[0, 1] > 0.9
    assert shown.x.categories == shown.y.categories[::-1]


@pytest.mark.parametrize(("low", "high", "rows", "count"), [(20, 216, 8000, 40), (-3e-7, 4e-7, 240, 8), (5, 5, 30, 11)])
def test_bins_of_predicted_against_true_are_round_and_not_too_many(low, high, rows, count):
    truth = np.linspace(low, high, rows)
    predictions = np.stack([truth, np.ones(rows)], axis=1)[:, None]
    one = amount_scores.judge(truth[:, None].astype(np.float32), np.ones(rows, np.float32), predictions)
    shown = amount_figures.predicted_against_true(one, "mass")
    assert len(shown.matrix) == len(shown.matrix[0]) == len(shown.x.categories) == count
    told = [float(text) for text in shown.x.categories if text]
    assert 2 <= len(told) <= 7 and np.allclose(np.diff(told), told[1] - told[0])
    assert np.argmax(np.array(shown.matrix)[::-1].sum(axis=1) > 0) == np.argmax(np.array(shown.matrix).sum(axis=0) > 0)


def test_a_column_whose_signed_weights_cancel_is_empty():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 10, 2000).astype(np.float32)
    weight = np.where((truth > 5) & (rng.random(2000) < 0.49), -1, 1).astype(np.float32)
    predictions = np.stack([truth + rng.normal(0, 2, 2000), np.ones(2000)], axis=1)[:, None]
    shown = amount_figures.predicted_against_true(amount_scores.judge(truth[:, None], weight, predictions), "mass")
    cells = np.array(shown.matrix)
    assert abs(cells).max() < 1 and cells[:, :len(cells) // 2 - 1].sum(axis=0) == pytest.approx(1)


def test_resolution_and_bias_in_bins_are_those_of_the_model(single_evaluation):
    points = {s.name: s for s in figure(single_evaluation, "resolution-mass").series}
    assert np.mean(points["mlp"].y) == pytest.approx(2, rel=0.15)
    assert all(a < b + 0.5 for a, b in zip(points["mlp"].y, points["linear baseline"].y, strict=True))
    assert np.mean(points["linear baseline"].y) > 3.5
    bias = {s.name: s for s in figure(single_evaluation, "bias-mass").series}
    assert bias["no bias"].muted
    assert bias["linear baseline"].y[0] > 1 > -1 > bias["linear baseline"].y[-1]  # shrinks towards the mean


def test_pulls_are_drawn_beside_the_standard_normal(single_evaluation):
    normal, pulls, _ = figure(single_evaluation, "pull-mass").series
    assert normal.muted
    expected = np.interp(pulls.x, normal.x, normal.y)
    error = np.maximum((np.array(pulls.high) - pulls.low) / 2, 0.02)
    assert np.mean(((np.array(pulls.y) - expected) / error) ** 2) < 2


def test_tables_tell_targets_bins_and_intervals(evaluation, single_evaluation):
    shown = {t.title: t for t in evaluation.tables}
    assert [row[0] for row in shown["By target"].rows] == ["mass", "p/x"]
    assert len(shown["In bins of the true mass"].rows) == 12
    assert [row[:2] for row in shown["Prediction intervals"].rows] == [
        ("68%", "mass"), ("68%", "p/x"), ("95%", "mass"), ("95%", "p/x")]
    assert [row[0] for row in shown["Leaderboard"].rows] == ["mlp", "linear baseline"]
    assert "By target" not in {t.title for t in single_evaluation.tables}, "the metrics tell it already"


def test_a_feature_that_is_not_used_is_not_important(evaluation):
    rows = next(t for t in evaluation.tables if t.title == "Permutation importance").rows
    drops = {row[0]: row[1] for row in rows}
    assert drops["noise"] == 0
    assert min(drops[name] for name in "abc") > 0.05


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_scores_are_written_with_what_the_rows_carry(problem, tmp_path, suffix):
    target, p = tmp_path / f"scores.{suffix}", model(problem.test)
    regress.write_scores(problem, problem.test, p, {"factors": {"0.68": [1.0, 2.0], "0.997": [-1.0, 3.0]}}, target)
    read = (parquet.read_table if suffix == "parquet" else csv.read_csv)(target)
    kinds = ("true", "predicted", "sigma", "low68", "high68", "low99.7", "high99.7")
    assert {"row", "run", "weight", *(f"{t}_{kind}" for t in ("mass", "p/x") for kind in kinds)} == set(read.column_names)
    column = {name: read[name].to_numpy() for name in read.column_names}
    assert np.allclose(column["mass_true"], problem.test.target[:, 0])
    assert np.allclose(column["p/x_predicted"], p[:, 1, 0])
    assert np.allclose(column["p/x_high68"] - column["p/x_predicted"], 2 * p[:, 1, 1], atol=1e-5)
    assert np.isneginf(column["mass_low99.7"]).all()
    assert np.isposinf(column["mass_high99.7"]).all()


def test_new_rows_have_no_truth(problem, tmp_path):
    parquet.write_table(pa.table({name: [0.5, 1.0] for name in ("a", "b", "c", "noise")}), tmp_path / "new.parquet")
    rows = regress.read_new(problem, tmp_path / "new.parquet")
    regress.write_scores(problem, rows, model(rows), {"factors": {"0.95": [1.0, 1.0]}}, tmp_path / "out.parquet")
    read = parquet.read_table(tmp_path / "out.parquet")
    assert {f"{t}_{kind}" for t in ("mass", "p/x") for kind in ("predicted", "sigma", "low95", "high95")} | {"row"} == set(
        read.column_names)


# ---------------------------------------------------------------- what recipes say

def test_a_loss_pins_those_families_that_know_it():
    def pinned(loss):
        options = regress.Options.model_validate({"data": {"builtin": "diabetes", "target": "target"}, "regress": loss})
        return regress.overrides(options)

    assert pinned({}) == {}
    assert pinned({"loss": "huber"}) == {family: {"loss": "huber"} for family in ("boosted_trees", "cnn", "mlp")}
    for loss in ("squared", "absolute", "huber", "quantile", "gaussian"):
        for family in pinned({"loss": loss}):
            assert loss in registry.load("families", family).space(regress.EXAMPLE)["loss"].choices


@pytest.mark.parametrize("coverage", [[0], [100], [], [99.999], ["68"]])
def test_coverages_are_percents(coverage):
    with pytest.raises(ValidationError):
        regress.Regress.model_validate({"coverage": coverage})


@pytest.mark.parametrize("percent", [1, 68.27, 95.45, 99.73, 99.99, 12.3456789])
def test_any_coverage_finds_its_way_to_the_metrics(tmp_path, percent):
    problem = table(tmp_path, ("mass",), rows=300, regress_section={"coverage": [percent]})
    calibration = regress.calibrate(problem, problem.valid, only_first(model)(problem.valid))
    found = regress.evaluate(problem, candidates(problem, only_first(model), only_first(dull)), "mae",
                             json.loads(json.dumps(calibration)), 0)
    assert sum(name.startswith("coverage@") for name in found.metrics) == 1


@pytest.mark.parametrize("switched_on", [False, True])
def test_the_template_is_sound(tmp_path, switched_on):
    lines = (ROOT / "automl_phys/templates/regress.yaml").read_text(encoding="utf-8").splitlines()
    if switched_on:
        wanted = ("regress", "loss", "objective", "minutes", "sampler", "pruner", "exclude")
        lines = [line.replace("# ", "", 1) if line.strip().startswith(tuple(f"# {key}:" for key in wanted)) else line
                 for line in lines]
    (tmp_path / "mine.yaml").write_text("\n".join(lines))
    assert recipe.load(tmp_path / "mine.yaml").task == "regress"


# ---------------------------------------------------------------- what the checks make of it

def outcome(name, problem, evaluation):
    member = Member("linear", 0, 1.0, {}, ("m",))
    plan = Plan("x", "regress", problem.facts(), (Chosen("linear", "", 1, {}, ()),), {}, "linear", "rmse", "minimize", 10,
                None, None, "tpe", "none", 1, 0, False, 1, 0, "inline", 1, 1, ("cpu",), 100, "jax", 0, ())
    seen = Seen(plan, (), Ensemble((member,), {"baseline": member}, "rmse", 0.5), evaluation, problem)
    return diagnose.finding(registry.load("checks", name), seen)


@pytest.mark.parametrize("name", ["overfit", "worse_than_baseline", "leakage", "few_test_events", "miscalibrated"])
def test_a_healthy_run_passes(name, problem, evaluation, single, single_evaluation):
    for found in (outcome(name, problem, evaluation), outcome(name, single, single_evaluation)):
        assert (found.outcome, found.text) == ("passed", "")


def test_classes_are_not_looked_for(problem, evaluation):
    assert outcome("class_imbalance", problem, evaluation).outcome == "not applicable"


@pytest.mark.parametrize("objective", ["rmse", "r2", "gaussian_nll"])
def test_a_model_that_knows_its_train_rows_by_heart_is_overtrained(single, objective):
    known = {row.tobytes(): truth for row, truth in zip(single.train.numbers, single.train.target[:, 0], strict=True)}

    def by_heart(rows):
        p = only_first(model)(rows)
        p[:, 0, 0] = [known.get(row.tobytes(), said) for row, said in zip(rows.numbers, p[:, 0, 0], strict=True)]
        return p

    found = outcome("overfit", single, judged(single, by_heart, only_first(dull), objective))
    assert found.outcome == "issue"
    assert found.text.startswith("RMSE is 2")


def test_a_model_worse_than_the_baseline_is_told(single):
    found = outcome("worse_than_baseline", single, judged(single, only_first(dull), only_first(model)))
    assert found.outcome == "issue"


def test_a_copy_of_the_target_is_leakage(tmp_path):
    leaky = table(tmp_path, ("mass",), rows=600, **{"scale": lambda columns, rng: -np.exp(columns["mass"] / 50)})
    found = outcome("leakage", leaky, judged(leaky, only_first(model), only_first(dull)))
    assert found.outcome == "issue"
    assert "scale (mass" in found.text


def test_few_test_rows_are_told(tmp_path):
    small = table(tmp_path, ("mass",), rows=120)
    found = outcome("few_test_events", small, judged(small, only_first(model), only_first(dull)))
    assert found.outcome == "tip"
    assert "rejection" not in found.text


def test_intervals_that_hold_too_little_are_told(problem):
    found = outcome("miscalibrated", problem, judged(problem, model, calibrated=lambda rows: model(rows) * [1, 3]))
    assert found.outcome == "tip"
    assert "68% intervals of mass hold" in found.text and "differ from those" in found.text
    assert "Width of the pull" not in found.text and "safe side" not in found.text


def test_intervals_that_hold_too_much_are_told_to_be_safe(problem):
    found = outcome("miscalibrated", problem, judged(problem, model, calibrated=lambda rows: model(rows) * [1, 1 / 3]))
    assert found.outcome == "tip" and "wider than they need be" in found.text and "differ from those" not in found.text


def test_uncertainties_that_are_too_small_are_told_though_the_intervals_are_right(problem):
    found = outcome("miscalibrated", problem, judged(problem, lambda rows: model(rows) * [[1, 1], [1, 0.5]]))
    assert found.text.startswith("Width of the pull, p/x is 1.9")
    assert "mass" not in found.text
    assert "intervals of" not in found.text


def test_too_few_rows_to_calibrate_on_are_told(tmp_path):
    small = table(tmp_path, ("mass",), rows=60)
    evaluation = judged(small, only_first(model), only_first(dull))
    found = outcome("miscalibrated", small, evaluation)
    assert "too few validation rows to calibrate 95% intervals" in found.text
    shown = next(t for t in evaluation.tables if t.title == "Prediction intervals")
    assert "∞" in shown.note
    assert shown.rows[1][-1] == np.inf


def test_few_rows_make_few_bins_and_few_values_a_bin_each():
    from automl_phys import amount_figures

    few = amount_figures.equal_bins(np.arange(90.0), 4)
    assert [len(rows) for rows in few] == [23, 22, 22, 23]
    assert [len(rows) for rows in amount_figures.equal_bins(np.array([0.0] * 7 + [1.0] * 3), 20)] == [7, 3]
    heavy = amount_figures.equal_bins(np.array([0.0] * 50 + list(range(1, 51))), 10)
    assert sum(map(len, heavy)) == 100 and len(heavy[0]) == 50
