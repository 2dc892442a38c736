"""Intervals hold what they say, whatever a model's own were."""

import json

import numpy as np
import pytest
from fixtures import made_series as fake

from automl_phys import series_calibration
from automl_phys.series_problem import MEDIAN


def simulated(kind: str, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=2500)
    if kind == "walk":
        return noise.cumsum()
    made = np.zeros(len(noise))
    for i in range(1, len(noise)):
        made[i] = 0.7 * made[i - 1] + noise[i]
    return made


def held(target, ends) -> float:
    return float(((target >= ends[..., 0]) & (target <= ends[..., 1])).mean())


@pytest.mark.parametrize("kind", ["walk", "ar1"])
@pytest.mark.parametrize("factor", [0.4, 2.0])
def test_calibrated_intervals_hold_what_they_say(tmp_path, kind, factor):
    found = []
    for seed in range(4):
        problem = fake.make(tmp_path / str(seed), simulated(kind, seed), horizon=8, windows=80, valid=0.4)
        factors = series_calibration.fit(problem.valid, fake.walk(problem.valid, factor), None, [0.68, 0.95, 0.9])
        raw = fake.walk(problem.test, factor)
        calibrated = factors.quantiles(raw)
        target = problem.test.target
        found.append([held(target, factors.interval(raw, coverage)) for coverage in (0.68, 0.95)]
                     + [held(target, calibrated[..., [low, high]]) for low, high in series_calibration.PAIRS])
        assert factors.interval(raw, 0.9) == pytest.approx(calibrated[..., [1, -2]])
    expected = np.array([0.68, 0.95, *series_calibration.COVERAGES])
    assert np.mean(found, axis=0) == pytest.approx(expected, abs=0.04)


def test_a_median_stays_and_intervals_stay_in_order(tmp_path):
    problem = fake.make(tmp_path, simulated("walk", 9), horizon=8, windows=10)
    raw = fake.walk(problem.test, 0.3)
    made = series_calibration.fit(problem.valid, fake.walk(problem.valid, 0.3), None, [0.68]).quantiles(raw)
    assert made[..., MEDIAN] == pytest.approx(raw[..., MEDIAN])
    assert (np.diff(made, axis=-1) >= 0).all()


def test_a_model_that_has_seen_the_windows_is_stretched_to_those_that_have_not(tmp_path):
    problem = fake.make(tmp_path, simulated("walk", 3), horizon=8, windows=10)
    valid = problem.valid
    plain = series_calibration.fit(valid, fake.walk(valid, 1.0), fake.walk(valid, 1.0), [0.68])
    again = series_calibration.fit(valid, fake.walk(valid, 1.0), fake.walk(valid, 0.5), [0.68])
    assert again.spread == pytest.approx(2.0)
    assert again.interval(fake.walk(problem.test, 0.5), 0.68) == pytest.approx(
        plain.interval(fake.walk(problem.test, 1.0), 0.68))
    # a model that says wider than was held out is believed
    assert series_calibration.fit(valid, fake.walk(valid, 1.0), fake.walk(valid, 3.0), [0.68]).spread == pytest.approx(1.0)


def test_a_winner_fitted_again_needs_no_allowance_for_few_windows(tmp_path):
    problem = fake.make(tmp_path, simulated("walk", 3), horizon=8, windows=10)
    held_out = fake.walk(problem.valid, 1.0)
    plain, again = (series_calibration.fit(problem.valid, held_out, stated, [0.9]) for stated in (None, held_out))
    assert again.asked[0.9] < plain.asked[0.9]


def test_few_windows_make_intervals_wider_but_not_as_wide_as_the_largest_error(tmp_path):
    problem = fake.make(tmp_path, simulated("ar1", 5)[:400], horizon=60, windows=2, valid=0.4)
    held_out = fake.walk(problem.valid, 1.0)
    few = series_calibration.fit(problem.valid, held_out, None, [0.8, 0.9])
    assert series_calibration._apart(problem.valid, 1.0) < 4
    residual = np.abs(problem.valid.target[..., 0] - held_out[..., 0, MEDIAN])
    half = held_out[..., 0, 8] - held_out[..., 0, MEDIAN]
    shares = [float((residual <= few.asked[coverage][0] * half).mean()) for coverage in (0.8,)]
    assert 0.8 < shares[0] <= 0.91


def test_what_was_not_observed_does_not_count(tmp_path):
    values = simulated("walk", 4)
    values[2000:2010] = np.nan
    problem = fake.make(tmp_path, values, horizon=8, windows=10)
    factors = series_calibration.fit(problem.valid, fake.walk(problem.valid, 1.0), None, [0.95])
    assert np.isfinite(factors.pairs).all()
    assert factors.asked[0.95] == pytest.approx(1.0, abs=0.3)


def test_factors_come_back_from_plain_data(tmp_path):
    problem = fake.make(tmp_path, simulated("walk", 6), horizon=8, windows=10)
    made = series_calibration.fit(problem.valid, fake.walk(problem.valid, 0.5), None, [0.68, 0.955])
    again = series_calibration.from_plain(json.loads(json.dumps(made.to_plain())))
    raw = fake.walk(problem.test, 0.5)
    assert (again.quantiles(raw) == made.quantiles(raw)).all()
    assert (again.interval(raw, 0.955) == made.interval(raw, 0.955)).all()
