"""The next maximum: paths are what they are asked to be, and maxima are found where they are."""

import numpy as np
import pytest
from fixtures import made_series as fake
from scipy import stats

from automl_phys import peak
from automl_phys.series_figures import Outlook
from automl_phys.series_problem import LEVELS

SEASON = 60


def test_paths_have_the_margins_and_the_correlation_asked_for():
    quantiles = fake.normal(np.linspace(0, 5, 12), np.linspace(1, 2, 12))
    drawn = peak.paths(quantiles, 0.8, 20_000, 3)
    found = np.quantile(drawn, LEVELS, axis=0).T
    assert found == pytest.approx(quantiles, abs=0.1)
    scores = (drawn - np.linspace(0, 5, 12)) / np.linspace(1, 2, 12)
    for lag in (1, 3):
        assert np.mean(scores[:, lag:] * scores[:, :-lag]) == pytest.approx(0.8**lag, abs=0.05)


def test_paths_are_the_same_for_the_same_seed():
    quantiles = fake.normal(np.zeros(5), np.ones(5))
    assert (peak.paths(quantiles, 0.5, 10, (1, 2)) == peak.paths(quantiles, 0.5, 10, (1, 2))).all()
    assert (peak.paths(quantiles, 0.5, 10, (1, 2)) != peak.paths(quantiles, 0.5, 10, (1, 3))).all()


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.95])
def test_the_correlation_is_found_again_whatever_the_scale_and_the_gaps(rho):
    quantiles = np.broadcast_to(fake.normal(np.zeros((40, 1)), np.full((40, 1), 3.0)), (400, 40, 1, len(LEVELS)))
    came = 2 * peak.paths(quantiles[0, :, 0], rho, 400, 5)[..., None]
    came[::7, 3] = np.nan
    assert peak.correlation(came, quantiles) == pytest.approx(rho, abs=0.05)


def test_correlation_of_nothing_is_none():
    quantiles = fake.normal(np.zeros((3, 1, 1)), np.ones((3, 1, 1)))
    assert peak.correlation(np.ones((3, 1, 1)), quantiles) == 0
    assert peak.correlation(np.full((3, 4, 1), np.nan), np.zeros((3, 4, 1, len(LEVELS)))) == 0
    assert 0 <= peak.correlation(np.ones((3, 4, 1)), np.zeros((3, 4, 1, len(LEVELS)))) < 1  # all quantiles equal


@pytest.mark.parametrize(("season", "expected"), [(132, 13), (60, 5), (24, 3), (12, 1), (1, 1)])
def test_a_tenth_of_a_season_is_averaged(season, expected):
    assert peak.width(season) == expected


def test_the_mean_is_that_of_silso():
    values = np.random.default_rng(0).normal(size=264)
    smooth = peak._smoothed(values[:138], values[None, 138:], 132)[0]
    weights = np.array([0.5] + 11 * [1.0] + [0.5]) / 12
    assert len(smooth) == 132 + 126
    assert smooth[0] == pytest.approx(weights @ values[0:13])  # centred on the seventh, 132 before the origin
    assert smooth[132] == pytest.approx(weights @ values[132:145])
    assert np.isnan(smooth[-6:]).all()
    assert np.isfinite(smooth[:-6]).all()


def cycles(seed: int, length: int, noise: float = 4.0, phase: float = 0.0) -> np.ndarray:
    steps = np.arange(length)
    return 50 + 40 * np.sin(2 * np.pi * (steps - phase) / SEASON) + np.random.default_rng(seed).normal(0, noise, length)


def told(problem, windows, noise: float = 4.0, phase: float = 0.0) -> Outlook:
    steps = windows.origin[:, None] + np.arange(windows.horizon)
    middle = 50 + 40 * np.sin(2 * np.pi * (steps - phase) / SEASON)
    quantiles = fake.normal(middle[..., None], np.full((*middle.shape, 1), noise))
    return Outlook(windows, quantiles, {})


def test_the_maximum_of_a_noisy_cycle_is_found_within_its_intervals(tmp_path):
    inside = []
    for seed in range(8):
        problem = fake.make(tmp_path / str(seed), cycles(seed, 600 + 7 * seed), horizon=SEASON, season=SEASON)
        found = peak.find(problem, told(problem, problem.future), 0, 0, 0.0, seed)
        ahead = (15 - (600 + 7 * seed)) % SEASON
        if ahead < 2 or ahead > 56:  # at the edges it may be either of two
            continue
        inside.append(found.step[0] <= ahead <= found.step[-1])
        assert found.height[2] == pytest.approx(90, abs=5)
        assert found.rising + found.falling < 0.2
        assert found == peak.find(problem, told(problem, problem.future), 0, 0, 0.0, seed)
    assert np.mean(inside) > 0.8


def test_behind_a_maximum_the_next_one_is_found_not_the_first_step(tmp_path):
    problem = fake.make(tmp_path, cycles(1, 600 + 19), horizon=80, season=SEASON)
    found = peak.find(problem, told(problem, problem.future), 0, 0, 0.0, 1)
    assert found.step[2] == pytest.approx(56, abs=3)


@pytest.mark.parametrize(("begin", "way"), [(48, "rising"), (20, "falling")])
def test_paths_without_a_maximum_have_none(tmp_path, begin, way):
    problem = fake.make(tmp_path, cycles(1, 600 + begin, 0.0), horizon=24, season=SEASON)
    smooth = peak._smoothed(peak._before(problem.future, 0, 0, SEASON),
                            told(problem, problem.future).quantiles[:, :20, 0, 5], SEASON)[0]
    assert peak._next(smooth, SEASON)[0] == (peak.RISING if way == "rising" else peak.FALLING)


@pytest.mark.parametrize(("horizon", "season"), [(29, 60), (60, 1)])
def test_there_is_none_to_find_in_a_short_horizon_or_without_a_season(tmp_path, horizon, season):
    problem = fake.make(tmp_path, cycles(1, 600), horizon=horizon, season=season)
    assert peak.find(problem, told(problem, problem.future), 0, 0, 0.5, 1) is None
    assert peak.backtest(problem, told(problem, problem.test), 0, 0, 0.5, 1) == ()


def test_maxima_that_came_are_held_against_those_forecast(tmp_path):
    problem = fake.make(tmp_path, cycles(1, 900), horizon=SEASON, season=SEASON, windows=8, stride=11)
    tried = peak.backtest(problem, told(problem, problem.test), 0, 0, 0.0, 1)
    assert len(tried) >= 6
    assert np.median([abs(one.came[0] - one.peak.step[2]) for one in tried]) <= 3
    table = peak.trial_table(problem, tried)
    assert len(table.rows) == len(tried)
    assert all(len(row) == len(table.head) for row in table.rows)
    future = peak.find(problem, told(problem, problem.future), 0, 0, 0.0, 1)
    rows = peak.table(problem, [future])
    assert len(rows.rows[0]) == len(rows.head)
    assert "next maximum is expected in 20" in peak.sentence(problem, future)


def test_an_extrapolated_tail_goes_on_as_the_outermost_quantiles_do():
    drawn = peak.paths(fake.normal(np.zeros(1), np.ones(1)), 0.0, 50_000, 1)[:, 0]
    assert stats.kstest(drawn, "norm").statistic < 0.02
