"""Models of one series each: filters like statsforecast's, no look ahead, quantiles that hold, short series, saving."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import arima_filter, exponential_smoothing, local_models, registry, space, theta_lines
from automl_phys.facts import Facts
from automl_phys.series_problem import LEVELS, MEDIAN, Panel, Windows, cuts
from automl_phys.trials import Job

FAMILIES = ("naive", "seasonal_naive", "ets", "theta", "arima")
ESTIMATED = FAMILIES[2:]


def facts(**sizes: int) -> Facts:
    return Facts("series", {}, {"numbers": 1, "targets": 1, "series": 1, "horizon": 6, "season": 12, "known": 0,
                                "past": 0, "phases": 0, "steps": 240, "longest": 240, "outputs": 6} | sizes)


def panel(columns: list[Any], horizon: int) -> Panel:
    columns = [np.asarray(column, float).reshape(len(column), -1) for column in columns]
    targets = columns[0].shape[1]
    length = np.array([len(column) for column in columns], np.int64)
    target = np.concatenate([np.vstack([column, np.full((horizon, targets), np.nan)]) for column in columns])
    empty = np.zeros((len(target), 0), np.float32)
    position = np.concatenate([np.arange(n + horizon) for n in length])
    return Panel(target, np.isfinite(target), empty, empty, empty, position, np.cumsum(length + horizon) - length - horizon,
                 length, np.arange(1, len(columns) + 1, dtype=np.int32))


def problem(columns: list[Any], horizon: int = 6, season: int = 12, windows: int = 2) -> Any:
    made = panel(columns, horizon)
    first, end = np.array([cuts(n, horizon, windows, horizon, 0.2) for n in made.length], np.int64).T
    none = np.empty(0, np.int64)
    part = Windows(made, none.astype(np.int32), none, first, horizon, season)
    return SimpleNamespace(train=part.every(50), valid=part._between(first, end, 50), test=replace(
        part, series=np.arange(len(columns), dtype=np.int32), origin=end))


def fit(family: str, given: Any, which: int = 0, **pinned: Any) -> Any:
    module = registry.load("families", family)
    params = {**module.defaults(facts(season=given.train.season))[which], **pinned}
    told: list[Any] = []
    job = Job(1, family, params, 0, 1, "cpu", "mase", "minimize", "forecast", ".")

    def watch(step: int, predictions: Any) -> float:
        told.append((step, predictions))
        return 0.0

    fitted = module.fit(given, params, job, watch)
    assert len(told) == 1 and told[0][0] == fitted.steps == 1 and fitted.history == ()
    assert np.array_equal(told[0][1], fitted.predict(given.valid))
    return fitted


def seasonal(count: int = 240, seed: int = 0) -> Any:
    """Positive, with a trend and a season of 12."""
    rng = np.random.default_rng(seed)
    step = np.arange(count)
    return 50 + 0.1 * step + 10 * np.sin(step * 2 * np.pi / 12) + np.cumsum(rng.normal(0, 0.3, count)) + rng.normal(0, 1, count)


def autoregression(count: int, seed: int = 0, phi: float = 0.8) -> Any:
    rng = np.random.default_rng(seed)
    values = np.zeros(count)
    for i in range(1, count):
        values[i] = phi * values[i - 1] + rng.normal()
    return values


def last(model: Any, values: Any, horizon: int = 14) -> Any:
    return model.forecasts(values, np.array([len(values)]), horizon)[0]


# ---------------------------------------------------------------- the filters

@pytest.mark.parametrize(("kind", "damped"), [
    ("ANN", False), ("AAN", False), ("AAN", True), ("AAA", False), ("AAA", True), ("ANA", False), ("MNM", False),
    ("MAM", True), ("MNA", False), ("MNN", False)])
def test_smoothing_filters_as_statsforecast_does(kind: str, damped: bool) -> None:
    from statsforecast.ets import ets_f, forecast_ets

    values = seasonal(120)
    found = ets_f(values[:100], 12, model=kind, damped=damped)
    model = exponential_smoothing._smoothing(found)
    one = model.forecasts(values, np.arange(100), 1)[:, 0]
    assert np.allclose(one, found["fitted"], rtol=1e-6)
    later = ets_f(values, 12, model=found)
    assert np.allclose(model.forecasts(values, np.arange(120), 1)[:, 0], later["fitted"], rtol=1e-6), "the state goes on"
    # Beyond the first step statsforecast 2.1 adds phi + phi + phi² + … of a damped trend, where phi + phi² + … is meant.
    steps = 1 if damped else 14
    assert np.allclose(last(model, values[:100], steps), forecast_ets(found, steps)["mean"], rtol=1e-6)
    assert np.allclose(last(model, values, steps), forecast_ets(later, steps)["mean"], rtol=1e-6)
    ahead = values.copy()
    for _ in range(14):  # a forecast is what comes if every next value is as it was forecast
        ahead = np.append(ahead, last(model, ahead, 1))
    assert np.allclose(last(model, values), ahead[120:], rtol=1e-9)


@pytest.mark.parametrize("kind", ["STM", "OTM", "DSTM", "DOTM"])
def test_theta_filters_as_statsforecast_does(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import statsforecast.theta as theirs

    values = seasonal(100)
    found = theirs.auto_theta(values, 1, model=kind)
    monkeypatch.setattr(theirs, "auto_theta", lambda y, m: found)
    model, simpler = theta_lines._fit(values, 1, {})
    assert model.dynamic == kind.startswith("D") and not simpler
    one = model.forecasts(values, np.arange(100), 1)[:, 0]
    assert np.allclose(one[1:], (values - found["residuals"])[1:], rtol=1e-6)
    assert np.allclose(last(model, values), theirs.forecast_theta(found, 14)["mean"], rtol=1e-6)


def test_theta_takes_out_a_season_as_statsforecast_does() -> None:
    from statsforecast.theta import auto_theta, forecast_theta

    values = seasonal(120)
    assert np.allclose(last(theta_lines._fit(values, 12, {})[0], values), forecast_theta(auto_theta(values, 12), 14)["mean"],
                       rtol=1e-3)


@pytest.mark.parametrize(("order", "season_order", "extra"), [
    ((2, 0, 1), (0, 0, 0), {"include_mean": True}), ((1, 1, 1), (0, 0, 0), {"include_drift": True}),
    ((0, 2, 1), (0, 0, 0), {}), ((1, 0, 0), (0, 1, 1), {"include_drift": True}), ((1, 1, 1), (0, 0, 1), {}),
    ((0, 1, 1), (0, 1, 1), {}), ((1, 0, 1), (1, 0, 0), {"include_mean": True})])
def test_arima_forecasts_as_statsforecast_does(order: Any, season_order: Any, extra: Any) -> None:
    from statsforecast.arima import Arima, forecast_arima

    values = seasonal(400)
    centre, width = values.mean(), values.std()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence; what it has converged to will do
        found = Arima((values - centre) / width, order=order, seasonal={"order": season_order, "period": 12}, method="CSS-ML",
                      **extra)
    model = arima_filter._arima(found, centre, width, values[0])
    assert np.allclose(last(model, values), forecast_arima(found, 14)["mean"] * width + centre, rtol=1e-3)


def test_a_moving_average_is_inverted_to_one_with_the_same_autocorrelation() -> None:
    found = arima_filter._inverted([2.5, 1.0])
    assert np.abs(np.roots([1, *found])).max() <= 1
    given, made = np.array([1, 2.5, 1.0]), np.array([1, *found])
    assert np.allclose(np.correlate(given, given, "full") / (given @ given),
                       np.correlate(made, made, "full") / (made @ made))


def test_a_long_autoregression_finds_the_coefficients_and_follows_a_period() -> None:
    short, _ = arima_filter._fit(autoregression(3000), 1, {"orders": "long", "difference": "none"})
    assert np.allclose(short.ar[1], -0.8, atol=0.05) and len(short.ar) < 10
    wave = np.sin(np.arange(900) * 2 * np.pi / 66) + np.random.default_rng(0).normal(0, 0.1, 900)
    long, _ = arima_filter._fit(wave[:800], 66, {"orders": "full", "difference": "none"})
    assert len(long.ar) == 1 + round(1.25 * 66)
    assert np.abs(last(long, wave[:800], 60) - wave[800:860]).mean() < 0.15


# ---------------------------------------------------------------- where a simpler model takes the place

METHODS = {"ets": (exponential_smoothing, "statsforecast.ets.ets_f"), "theta": (theta_lines, "statsforecast.theta.auto_theta"),
           "arima": (arima_filter, "statsforecast.arima.auto_arima_f")}


@pytest.mark.parametrize("family", ESTIMATED)
def test_a_simpler_model_is_told_of_where_the_estimate_fails(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function = METHODS[family]

    def fails(*_: Any, **__: Any) -> Any:
        raise ValueError("no\nmodel" + 300 * "!")

    monkeypatch.setattr(function, fails)
    values = seasonal(60)
    model, simpler = module._fit(values, 1, {})
    assert simpler.startswith(f"{module.SIMPLER} (ValueError: no model!") and len(simpler) < 240
    assert np.allclose(last(model, values), values[-1], rtol=1e-2), "it is what it is said to be"


@pytest.mark.parametrize("family", ESTIMATED)
@pytest.mark.parametrize(("values", "why"), [
    ([1.0, 2.0, 4.0], {"ets": "tiny datasets", "theta": "fewer than 4 values", "arima": "fewer than 10 values"}),
    (np.full(30, 3.0), {}), (np.full(5, 0.0), {}), (seasonal(60), {})])
def test_only_of_what_could_be_had_no_better(family: str, values: Any, why: dict[str, str]) -> None:
    """Of a constant nothing else can be had."""
    _, simpler = METHODS[family][0]._fit(np.asarray(values), 1, {})
    assert why[family] in simpler if why else simpler == ""


@pytest.mark.parametrize("family", ["ets", "theta"])
def test_values_too_large_to_be_squared_are_told_of(family: str) -> None:
    assert "no model able to be fitted" in METHODS[family][0]._fit(np.append(np.zeros(30), 1e300), 1, {})[1]


def test_numbers_that_cannot_be_used_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    ets = {"components": "ANNN", "par": [np.nan, np.nan, np.nan, np.nan, 1.0]}
    theta = {"par": {"alpha": 0.5, "theta": 2.0, "initial_smoothed": np.inf}, "modeltype": "DOTM"}
    arima = {"arma": (1, 0, 0, 0, 1, 0, 0), "coef": {"ar1": 1.5}}
    for family, found, why in (("ets", ets, "not finite"), ("theta", theta, "not finite"), ("arima", arima, "without bounds")):
        module, function = METHODS[family]
        monkeypatch.setattr(function, lambda *_, found=found, **__: found)
        assert why in module._fit(seasonal(60), 1, {})[1]


def test_a_simpler_model_is_saved_with_its_reason(tmp_path: Path) -> None:
    given = problem([seasonal(60), seasonal(15), np.full(15, 2.0)], horizon=5, season=1, windows=1)
    fitted = fit("ets", given)
    why = {place: kept.simpler for place, kept in fitted.models.items() if kept.simpler}
    assert list(why) == [(2, 0)] and "tiny datasets" in why[2, 0]
    fitted.save(tmp_path)
    assert local_models.simpler(tmp_path) == why and local_models.simpler(tmp_path / "none") == {}
    loaded = local_models.load(exponential_smoothing.METHOD, tmp_path)
    assert {place: kept.simpler for place, kept in loaded.models.items() if kept.simpler} == why
    saved = json.loads((tmp_path / local_models.DESCRIPTION).read_text())
    for one in saved["models"]:
        del one["simpler"]  # as a run before there was such a thing
    (tmp_path / local_models.DESCRIPTION).write_text(json.dumps(saved))
    assert local_models.simpler(tmp_path) == {}
    assert np.array_equal(local_models.load(exponential_smoothing.METHOD, tmp_path).predict(given.valid),
                          fitted.predict(given.valid))


# ---------------------------------------------------------------- the families

@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sizes", [{}, {"season": 1}, {"season": 132}, {"season": 2}, {"series": 150}])
def test_the_space_contains_the_defaults(family: str, sizes: dict[str, int]) -> None:
    module, given = registry.load("families", family), facts(**sizes)
    assert "forecast" in module.SOLVES and module.TEXT and module.memory_mb(given) > 0 and module.cost(given) > 0
    ranges = module.space(given)
    assert all(space.inside(params, ranges) for params in module.defaults(given)) and module.defaults(given)
    assert all(r.text for r in ranges.values())


def test_families_say_what_they_cannot_take() -> None:
    module = registry.load("families", "seasonal_naive")
    assert module.skip(facts()) is None and "no season" in module.skip(facts(season=1))
    for family in FAMILIES:
        assert registry.load("families", family).skip(Facts("table", {}, {})) is not None
    for family in ESTIMATED:
        assert registry.load("families", family).skip(facts()) is None
        assert "too long" in registry.load("families", family).skip(facts(series=300, targets=2))


CASES = [("naive", 0, {}), ("seasonal_naive", 0, {}), ("ets", 0, {}), ("ets", 1, {"history": 0.5}), ("theta", 0, {}),
         ("theta", 1, {"history": 0.25, "transform": "log"}), ("arima", 0, {"transform": "log"}),
         ("arima", 1, {"history": 0.5})]


@pytest.mark.parametrize(("family", "which", "pinned"), CASES)
def test_no_forecast_knows_what_comes_after_its_origin(family: str, which: int, pinned: Any) -> None:
    given = problem([seasonal()])
    fitted = fit(family, given, which, **pinned)
    origins = np.array([0, 1, 3, 40, 130, 180, 200, 215], np.int64)
    asked = replace(given.valid, series=np.zeros(len(origins), np.int32), origin=origins)
    made = fitted.predict(asked)
    assert made.shape == (8, 6, 1, len(LEVELS)) and made.dtype == np.float32
    assert np.isfinite(made).all() and (np.diff(made, axis=3) >= 0).all()
    for poison in (np.nan, 1e6, -1e6):
        for upto in (1, 4, 6, 8):
            target = given.valid.panel.target.copy()
            target[origins[upto - 1]:] = poison
            changed = replace(asked.take(slice(upto)), panel=replace(asked.panel, target=target))
            assert np.array_equal(fitted.predict(changed), made[:upto]), "the same numbers, one pass or another"


@pytest.mark.parametrize(("family", "which", "pinned"), CASES)
def test_a_fit_looks_at_nothing_from_until_on(family: str, which: int, pinned: Any) -> None:
    given = problem([seasonal()])
    target = given.train.panel.target.copy()
    target[given.train.until[0]:] = 1e6
    poisoned = SimpleNamespace(**{name: replace(getattr(given, name), panel=replace(given.train.panel, target=target))
                                  for name in ("train", "valid")})
    asked = given.valid.take(slice(0, 1))
    assert np.array_equal(fit(family, given, which, **pinned).predict(asked),
                          fit(family, poisoned, which, **pinned).predict(asked))


@pytest.mark.parametrize("family", FAMILIES)
def test_two_series_of_two_targets_saved_and_loaded(family: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    first = np.stack([seasonal(100), 1e-3 * autoregression(100)], axis=1)
    second = np.stack([seasonal(70, 1) * 1e4, np.full(70, 3.0)], axis=1)
    first[:5, 1] = np.nan  # nothing is known yet
    given = problem([first, second])
    fitted = fit(family, given)
    made = fitted.predict(given.valid)
    assert np.isfinite(made).all()
    for series in (0, 1):
        alone = fitted.predict(given.valid.take(given.valid.series == series))
        assert np.array_equal(alone, made[given.valid.series == series])
    order = rng.permutation(len(given.valid))
    assert np.array_equal(fitted.predict(given.valid.take(order)), made[order])
    assert np.allclose(made[given.valid.series == 1][:, :, 1, MEDIAN], 3.0, rtol=1e-5), "a constant stays"
    fitted.save(tmp_path / "model")
    json.loads((tmp_path / "model" / local_models.DESCRIPTION).read_text())
    loaded = registry.load("families", family).load(tmp_path / "model")
    assert np.array_equal(loaded.predict(given.valid), made)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_series_and_a_new_start_of_a_known_one(family: str) -> None:
    """A series that was not there gets its own model; a known one may begin later or earlier in the calendar."""
    given = problem([seasonal(150)])
    fitted = fit(family, given)
    new = problem([seasonal(150), seasonal(80, 3)]).test
    new = replace(new, panel=replace(new.panel, codes=np.array([1, 0], np.int32)))
    made = fitted.predict(new)
    assert np.isfinite(made).all() and np.array_equal(made[:1], fitted.predict(given.test))
    assert np.abs(made[1, :, 0, MEDIAN] - new.target[1, :, 0]).max() < 30
    cut = problem([seasonal(150)[31:]]).test
    later = replace(cut, panel=replace(cut.panel, position=cut.panel.position + 31))
    assert np.abs(fitted.predict(later)[..., MEDIAN] - made[:1, ..., MEDIAN]).max() < 4


@pytest.mark.parametrize("count", [15, 20, 27])
@pytest.mark.parametrize("family", FAMILIES)
def test_short_series(family: str, count: int) -> None:
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=count), np.zeros(count), np.arange(count) * 1e9, rng.poisson(0.3, count)):
        given = problem([values], horizon=5, season=7 if family == "seasonal_naive" else 1, windows=1)
        for which in range(2 if family in ESTIMATED else 1):
            made = fit(family, given, which).predict(given.test)
            assert np.isfinite(made).all() and (np.diff(made, axis=3) >= 0).all()


@pytest.mark.parametrize("family", ["naive", "ets", "arima"])
def test_intervals_cover_what_they_say(family: str) -> None:
    given = problem([autoregression(900, seed=4)], season=1)
    made = fit(family, given).predict(given.valid)
    inside = (given.valid.target >= made[..., 3]) & (given.valid.target <= made[..., 7])
    assert 0.55 < inside.mean() < 0.82
    if family == "arima":
        spread = (made[..., 7] - made[..., 3]).mean((0, 2)) / 2
        assert np.allclose(spread[[0, 5]], [1.0, np.sqrt((1 - 0.8**12) / (1 - 0.8**2))], rtol=0.2)


def test_intervals_grow_with_the_level_where_a_transform_says_so() -> None:
    values = np.exp(seasonal(240) / 20)
    given = problem([values])
    made = fit("ets", given, transform="log").predict(given.valid)
    width = made[..., 9] - made[..., 1]
    assert np.corrcoef(width[:, 0, 0], made[:, 0, 0, MEDIAN])[0, 1] > 0.95
    assert local_models.Transform.of("log", np.array([-1.0, 2.0])).kind == "none", "signs have no logarithm"
    zeros = local_models.Transform.of("log", np.array([0.0, 2.0, 4.0]))
    assert np.allclose(zeros.back(zeros.forward(np.array([0.0, 3.0, -1.0]))), [0, 3, 0], atol=1e-12)


def test_no_more_is_known_of_a_seasonal_repetition_than_the_season() -> None:
    model = local_models.Repeated(3, -1.0)
    values = np.array([1.0, 2.0, 3.0, 4.0])
    made = model.forecasts(values, np.array([0, 2, 3, 4]), 4)
    assert np.array_equal(made, [[-1] * 4, [2] * 4, [1, 2, 3, 1], [2, 3, 4, 2]])
