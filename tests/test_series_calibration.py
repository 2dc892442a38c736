"""Intervals hold what they say, whatever a model's own were."""

import json

import numpy as np
import pytest
from fixtures import made_series as fake

from automl_phys import peak, series_calibration
from automl_phys.errors import RunError
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


def fitted(problem, model, coverages):
    """Calibrated by the validation of a problem; ``model`` takes windows."""
    held_out = model(problem.valid)
    rho = peak.correlation(problem.valid.target, held_out)
    return series_calibration.fit(problem.valid, held_out, None, coverages, rho)


def by_validation(made, windows):
    """Factors by the validation alone."""
    nothing = made.errors(windows.take(slice(0)), np.empty((0, windows.horizon, windows.targets, 11)), windows.horizon)
    return made.factors(windows, nothing)


@pytest.mark.parametrize("kind", ["walk", "ar1"])
@pytest.mark.parametrize("factor", [0.4, 2.0])
def test_calibrated_intervals_hold_what_they_say(tmp_path, kind, factor):
    found = []
    for seed in range(4):
        problem = fake.make(tmp_path / str(seed), simulated(kind, seed), horizon=8, windows=80, valid=0.4)
        made = fitted(problem, lambda windows: fake.walk(windows, factor), [0.68, 0.95, 0.9])
        raw = fake.walk(problem.test, factor)
        factors = made.along(problem.test, raw, 8)
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
    made = series_calibration.fit(problem.valid, fake.walk(problem.valid, 0.3), None, [0.68])
    made = made.along(problem.test, raw, 8).quantiles(raw)
    assert made[..., MEDIAN] == pytest.approx(raw[..., MEDIAN])
    assert (np.diff(made, axis=-1) >= 0).all()


def test_a_model_that_has_seen_the_windows_is_stretched_to_those_that_have_not(tmp_path):
    problem = fake.make(tmp_path, simulated("walk", 3), horizon=8, windows=10)
    valid = problem.valid
    plain = series_calibration.fit(valid, fake.walk(valid, 1.0), fake.walk(valid, 1.0), [0.68])
    again = series_calibration.fit(valid, fake.walk(valid, 1.0), fake.walk(valid, 0.5), [0.68])
    assert again.spread == pytest.approx(2.0)
    raw = [fake.walk(problem.test, width) for width in (0.5, 1.0)]
    for each in ("along", "validation"):
        ends = [(made.along(problem.test, one, 8) if each == "along" else by_validation(made, problem.test)).interval(
            one, 0.68) for made, one in zip((again, plain), raw, strict=True)]
        assert ends[0] == pytest.approx(ends[1])
    # a model that says wider than was held out is believed
    assert series_calibration.fit(valid, fake.walk(valid, 1.0), fake.walk(valid, 3.0), [0.68]).spread == pytest.approx(1.0)


def test_few_windows_make_intervals_wider_but_not_as_wide_as_the_largest_error(tmp_path):
    problem = fake.make(tmp_path, simulated("ar1", 5)[:400], horizon=60, windows=2, valid=0.4)
    held_out = fake.walk(problem.valid, 1.0)
    residual = np.abs(problem.valid.target[..., 0] - held_out[..., 0, MEDIAN])
    half = held_out[..., 0, 8] - held_out[..., 0, MEDIAN]
    for stated in (None, held_out):  # a winner that was fitted again as well
        few = series_calibration.fit(problem.valid, held_out, stated, [0.8])
        assert few.apart < 4
        factor = by_validation(few, problem.test).asked[0.8]
        assert factor == pytest.approx(np.full((2, 1), factor[0, 0]))
        share = float((residual <= factor[0, 0] * half).mean())
        assert 0.85 < share <= 0.91  # halfway to 1 at most


def changed(values, model, tmp_path, first):
    """Intervals of all test windows, of ``values`` and of the same with nonsense from a step on."""
    other = values.copy()
    other[first:] = 1e3 * np.random.default_rng(99).normal(size=len(values) - first)
    for name, each in (("as it was", values), ("changed", other)):
        problem = fake.make(tmp_path / name, each, horizon=8, windows=30, stride=5)
        made = fitted(problem, model, [0.68, 0.95])
        raw = model(problem.test)
        factors = made.along(problem.test, raw, 5)
        yield problem.test.origin, np.stack([factors.interval(raw, one) for one in (0.68, 0.95)]), factors.quantiles(raw)


def test_intervals_of_an_origin_know_nothing_of_what_comes_at_it_or_after(tmp_path):
    values = simulated("walk", 2)[:900]
    first = 800
    (origin, ends, quantiles), (_, others, other_quantiles) = changed(
        values, lambda windows: fake.walk(windows, 0.7), tmp_path, first)
    assert (origin < first).sum() > 5
    assert (origin == first - 3).any()  # of the windows before, one is known in part when the nonsense begins
    same = origin <= first
    assert (ends[:, same] == others[:, same]).all()
    assert (quantiles[same] == other_quantiles[same]).all()
    assert not (ends[:, ~same] == others[:, ~same]).all()


def test_the_first_origin_is_calibrated_by_the_validation_and_later_ones_by_what_came(tmp_path):
    problem = fake.make(tmp_path, simulated("walk", 8), horizon=8, windows=100)
    made = fitted(problem, lambda windows: fake.walk(windows, 1.0), [0.95])
    raw = fake.walk(problem.test, 1.0)
    factors = made.along(problem.test, raw, 8)
    alone = by_validation(made, problem.test)
    assert factors.asked[0.95][0] == alone.asked[0.95][0]
    # as many errors as the validation has take its place
    steps = int(made.steps)
    gone = problem.test.origin - problem.test.origin[0] > steps
    assert gone.sum() > 20
    without = series_calibration.from_plain({**made.to_plain(), "scores": (made.scores * 0 + 1e-3).tolist()})
    assert (without.along(problem.test, raw, 8).asked[0.95][gone] == factors.asked[0.95][gone]).all()
    assert (without.along(problem.test, raw, 8).asked[0.95][1:5] < factors.asked[0.95][1:5]).all()


def test_where_errors_double_after_the_training_intervals_hold_again_in_time(tmp_path):
    early, late, stays = [], [], []
    for seed in range(6):
        steps = np.random.default_rng(seed).normal(size=2000)
        steps[1200:] *= 2
        problem = fake.make(tmp_path / str(seed), steps.cumsum(), horizon=8, windows=100)
        assert problem.test.origin[0] == 1200
        made = fitted(problem, lambda windows: fake.walk(windows, 1.0), [0.95])
        raw, target = fake.walk(problem.test, 1.0), problem.test.target
        ends = made.along(problem.test, raw, 8).interval(raw, 0.95)
        early.append(held(target[:5], ends[:5]))
        late.append(held(target[40:], ends[40:]))
        stays.append(held(target[40:], by_validation(made, problem.test).interval(raw, 0.95)[40:]))
    assert np.mean(early) < 0.9
    assert np.mean(stays) < 0.85
    assert 0.9 <= np.mean(late) <= 0.98


def test_intervals_of_a_stationary_series_hold_what_they_say(tmp_path):
    """AR(1), y = 0.7 y' + ε, forecast by its own law: the share within the intervals is the nominal one."""
    ahead = np.arange(1, 9)

    def law(windows):
        width = np.sqrt((1 - 0.7 ** (2 * ahead)) / (1 - 0.7**2))
        return fake.normal(windows.past(1) * 0.7 ** ahead[None, :, None], np.ones((len(windows), 1, 1)) * width[:, None])

    found = []
    for seed in range(8):
        problem = fake.make(tmp_path / str(seed), simulated("ar1", 100 + seed), horizon=8, windows=120, valid=0.3)
        factors = fitted(problem, law, [0.68, 0.95]).along(problem.test, law(problem.test), 8)
        found.append([held(problem.test.target, factors.interval(law(problem.test), one)) for one in (0.68, 0.95)])
    assert np.mean(found, axis=0) == pytest.approx([0.68, 0.95], abs=0.025)


@pytest.mark.parametrize("stride", [1, 4, 20])
def test_windows_that_overlap_or_lie_far_apart_count_by_the_time_they_tell_of(tmp_path, stride):
    steps = np.random.default_rng(1).normal(size=2500)
    problem = fake.make(tmp_path, steps.cumsum(), horizon=8, windows=1000 // stride, stride=stride)
    made = fitted(problem, lambda windows: fake.walk(windows, 1.0), [0.95])
    raw = fake.walk(problem.test, 1.0)
    without = series_calibration.from_plain({**made.to_plain(), "scores": (made.scores * 0 + 1e-3).tolist()})
    level = [one.along(problem.test, raw, stride).asked[0.95] for one in (made, without)]
    since = problem.test.origin - problem.test.origin[0]
    reach = made.steps * max(1, stride / 8)
    assert (level[0][since > reach + 8] == level[1][since > reach + 8]).mean() > 0.9  # but for the last, partial windows
    assert (level[0][(since > 0) & (since < reach / 2)] > level[1][(since > 0) & (since < reach / 2)]).any()


def test_of_several_series_each_is_calibrated_by_all_that_came_before(tmp_path):
    steps = np.random.default_rng(3).normal(size=(4, 600, 2))
    problem = fake.make(tmp_path, steps.cumsum(axis=1), horizon=6, windows=12)
    made = fitted(problem, lambda windows: fake.walk(windows, 1.0), [0.95])
    raw = fake.walk(problem.test, 1.0)
    factors = made.along(problem.test, raw, 6)
    assert made.series == 4 and factors.asked[0.95].shape == (48, 2)
    by_origin = factors.asked[0.95].reshape(12, 4, 2)
    assert (by_origin == by_origin[:, :1]).all()
    assert held(problem.test.target, factors.interval(raw, 0.95)) == pytest.approx(0.95, abs=0.04)


def test_what_was_not_observed_does_not_count(tmp_path):
    values = simulated("walk", 4)
    values[2000:2010] = np.nan
    problem = fake.make(tmp_path, values, horizon=8, windows=10)
    factors = by_validation(fitted(problem, lambda windows: fake.walk(windows, 1.0), [0.95]), problem.test)
    assert np.isfinite(factors.pairs).all()
    assert factors.asked[0.95] == pytest.approx(1.0, abs=0.3)
    values[2450:2480] = np.nan
    problem = fake.make(tmp_path / "later", values, horizon=8, windows=10)
    raw = fake.walk(problem.test, 1.0)
    assert np.isfinite(fitted(problem, lambda windows: fake.walk(windows, 1.0), [0.95]).along(
        problem.test, raw, 8).pairs).all()


def test_factors_come_back_from_plain_data(tmp_path):
    problem = fake.make(tmp_path, simulated("walk", 6), horizon=8, windows=10)
    made = series_calibration.fit(problem.valid, fake.walk(problem.valid, 0.5), None, [0.68, 0.955])
    again = series_calibration.from_plain(json.loads(json.dumps(made.to_plain())))
    raw = fake.walk(problem.test, 0.5)
    one, other = (calibration.along(problem.test, raw, 8) for calibration in (made, again))
    assert (one.quantiles(raw) == other.quantiles(raw)).all()
    assert (one.interval(raw, 0.955) == other.interval(raw, 0.955)).all()


def test_a_calibration_of_an_earlier_version_is_told():
    with pytest.raises(RunError, match="earlier version"):
        series_calibration.from_plain({"spread": [[1.0]], "pairs": [[1.0]], "positive": [False], "asked": {}})
