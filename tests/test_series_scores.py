"""Scores of forecasts: what is printed is what was defined, and their errors are those of means."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from fixtures import made_series as fake
from scipy import stats

from automl_phys import series_scores
from automl_phys.errors import RunError
from automl_phys.series_problem import LEVELS, MEDIAN


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    values = 10 + np.random.default_rng(1).normal(size=300).cumsum()
    return fake.make(tmp_path_factory.mktemp("walk"), values, horizon=6, season=4, windows=8)


@pytest.fixture(scope="module")
def judged(problem):
    return series_scores.judge(problem.test, fake.walk(problem.test, 1.0) + 0.3)


def test_scaled_errors_by_hand(problem, judged):
    values = np.asarray(problem.panel.values(0)[:, 0])
    mase, rmsse, smape = [], [], []
    for i, origin in enumerate(problem.test.origin):
        came, point = values[origin:origin + 6], judged.point[i, :, 0]
        differences = values[4:origin] - values[:origin - 4]
        mase.append(np.abs(came - point).mean() / np.abs(differences).mean())
        rmsse.append(sqrt(((came - point) ** 2).mean() / (differences**2).mean()))
        smape.append(2 * np.abs(came - point) / (np.abs(came) + np.abs(point)))
    for name, expected in (("mase", mase), ("rmsse", rmsse), ("smape", smape)):
        assert series_scores.value(name, judged) == pytest.approx(np.mean(expected), rel=1e-9)
    residual = judged.point - problem.test.target
    assert series_scores.value("mae", judged) == pytest.approx(np.abs(residual).mean())
    assert series_scores.value("rmse", judged) == pytest.approx(sqrt((residual**2).mean()))


def test_scales_do_not_know_what_comes(tmp_path, problem):
    values = np.array(problem.panel.values(0)[:, 0])
    later = values.copy()
    later[problem.test.origin[0]:] += 100
    other = fake.make(tmp_path, later, horizon=6, season=4, windows=8)
    assert problem.test.scale[0] == other.test.scale[0]
    assert problem.test.square_scale[0] == other.test.square_scale[0]


def test_crps_of_a_normal_forecast_is_the_closed_form(problem, judged):
    z = np.linspace(-2, 2, 9)
    closed = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / sqrt(np.pi)
    quantiles = np.broadcast_to(fake.normal(np.zeros(1), np.ones(1)), (9, 1, 1, len(LEVELS)))
    one = replace(judged, target=z[:, None, None], quantiles=quantiles)
    assert series_scores.crps(one)[:, 0, 0] == pytest.approx(closed, abs=0.035)


def test_crps_of_one_number_is_its_absolute_error(judged):
    certain = replace(judged, quantiles=np.repeat(judged.point[..., None], len(LEVELS), axis=-1))
    assert series_scores.crps(certain) == pytest.approx(np.abs(judged.residual))


def test_what_was_not_observed_is_not_judged(tmp_path):
    values = np.random.default_rng(2).normal(size=(1, 200, 1)).cumsum(axis=1)
    holes = values.copy()
    holes[0, -3] = np.nan
    problem = fake.make(tmp_path, holes, horizon=6, windows=3)
    predictions = fake.walk(problem.test, 1.0)
    one = series_scores.judge(problem.test, predictions)
    assert np.isnan(one.target).sum() == 1
    wild = predictions.copy()
    wild[-1, 3] = 1e6
    other = series_scores.judge(problem.test, wild)
    for name in ("mase", "rmsse", "smape", "mae", "rmse", "crps", "wql", "skill_persistence"):
        assert series_scores.value(name, one) == series_scores.value(name, other), name


def test_the_jackknife_of_a_mean_is_its_standard_error(judged):
    by_window = np.abs(judged.residual).mean(axis=(1, 2)) / judged.scale[:, 0]
    count = len(by_window)
    assert len(np.unique(judged.group)) == count == 8
    half = stats.t.ppf(0.84, count - 1) * by_window.std(ddof=1) / sqrt(count)
    found = series_scores.estimates(["mase"], judged)["mase"]
    assert (found.high - found.low) / 2 == pytest.approx(half)
    assert found.value == pytest.approx(by_window.mean())


def test_windows_that_overlap_count_as_one(problem):
    steps = problem.test_steps
    assert np.diff(steps.origin).max() == 1
    group = series_scores.judge(steps, fake.walk(steps, 1.0)).group
    assert len(np.unique(group)) == -(-len(steps) // 6)


def test_persistence_is_no_better_than_itself(problem, judged):
    same = series_scores.judge(problem.test, fake.walk(problem.test, 1.0))
    assert series_scores.value("skill_persistence", same) == 0
    seasonal = replace(judged, quantiles=np.repeat(judged.seasonal[..., None], len(LEVELS), axis=-1))
    assert series_scores.value("skill_seasonal", seasonal) == 0
    perfect = replace(judged, quantiles=np.repeat(judged.target[..., None], len(LEVELS), axis=-1))
    assert series_scores.value("skill_persistence", perfect) == 1


def test_gains_are_positive_when_better(problem, judged):
    perfect = replace(judged, quantiles=np.repeat(judged.target[..., None], len(LEVELS), axis=-1))
    assert series_scores.gain("mase", perfect, judged).value == pytest.approx(series_scores.value("mase", judged))
    assert series_scores.gain("mase", judged, judged).value == 0


def test_parts_of_the_horizon_add_up(judged):
    parts = series_scores.curve(lambda one: float(np.abs(one.residual).mean()), judged, [(0, 2), (2, 6)])
    assert (2 * parts[0].value + 4 * parts[1].value) / 6 == pytest.approx(float(np.abs(judged.residual).mean()))


def test_valid_time_is_that_of_the_first_error_too_large(judged):
    target = np.zeros((2, 6, 1))
    quantiles = np.zeros((2, 6, 1, len(LEVELS)))
    quantiles[0, 3:] = 1.0  # lost at the fourth step
    one = replace(judged, target=target, quantiles=quantiles, spread=np.ones((2, 1)), lyapunov_steps=2.0)
    assert series_scores.value("valid_time", one) == pytest.approx((3 + 6) / 2 / 2)


def test_of_several_targets_each_counts_in_its_own_unit(tmp_path):
    values = np.random.default_rng(3).normal(size=(1, 200, 2)).cumsum(axis=1)
    mase, mae = [], []
    for k, unit in enumerate((1.0, 1000.0)):
        problem = fake.make(tmp_path / str(k), values * np.array([1.0, unit]), horizon=6, windows=4)
        one = series_scores.judge(problem.test, fake.walk(problem.test, 1.0))
        mase.append(series_scores.value("mase", one))
        mae.append(series_scores.value("mae", one))
    assert mase[0] == pytest.approx(mase[1])
    assert mae[0] == pytest.approx(mae[1])


@pytest.mark.parametrize("wrong", ["shape", "nan"])
def test_forecasts_of_a_wrong_shape_or_not_finite_are_refused(problem, wrong):
    predictions = fake.walk(problem.test, 1.0)
    predictions[0, 0, 0, MEDIAN] = np.nan
    with pytest.raises(RunError, match=r"Forecasts (have|are)"):
        series_scores.judge(problem.test, predictions if wrong == "nan" else predictions[:, 1:])
