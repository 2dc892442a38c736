"""Every family that forecasts keeps the contract: space, defaults, the same numbers twice, save and load; and none of
them can know the future."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import registry, series, space
from automl_phys.contracts import Costed
from automl_phys.facts import Facts
from automl_phys.series_problem import LEVELS, SeriesProblem, Windows
from automl_phys.series_sections import Forecast, SeriesData
from automl_phys.tasks import forecast
from automl_phys.trials import Job, Pruned
from automl_phys.values import Params

FAMILIES = tuple(name for name in registry.names("families") if "forecast" in registry.load("families", name).SOLVES)
HORIZON, SEASON, COUNT = 6, 12, 150
SEVERAL = Facts("series", {"train": 900}, {**forecast.EXAMPLE.sizes, "targets": 2, "series": 5, "known": 1, "past": 2,
                                           "numbers": 5, "outputs": 48})
SHORT = Facts("series", {"train": 20}, {**forecast.EXAMPLE.sizes, "season": 1, "horizon": 4, "steps": 24, "longest": 24,
                                        "shortest": 24, "outputs": 4, "phases": 0})
LONG = Facts("series", {"train": 2000}, {**forecast.EXAMPLE.sizes, "season": 132, "horizon": 132, "outputs": 132,
                                         "steps": 2500, "longest": 2500, "shortest": 2500})


def values(count: int = COUNT, seed: int = 0) -> Any:
    steps = np.arange(count)
    noise = np.random.default_rng(seed).normal(0, 0.3, count)
    return np.round(50 + 0.02 * steps + 4 * np.sin(2 * np.pi * steps / SEASON) + noise, 4)


def prepared(folder: Path, series_of: Any, season: int = SEASON) -> SeriesProblem:
    """Series (S, T) as a file, read as a recipe's would be."""
    folder.mkdir(parents=True, exist_ok=True)
    months = [str(month) for month in np.datetime64("2000-01", "M") + np.arange(series_of.shape[1])]
    lines = [f"{month},s{i},{'' if value != value else repr(value)}" for i, one in enumerate(series_of.tolist())
             for month, value in zip(months, one, strict=True)]  # NaN is what is missing
    (folder / "s.csv").write_text("\n".join(["month,name,y", *lines]) + "\n")
    data = SeriesData(path="s.csv", time="month", target="y", series="name", missing="linear")
    ahead = Forecast(horizon=HORIZON, season=season, windows=3)
    return series.prepare(data, ahead, folder, folder / "problem", 0, {"coverage": [0.68, 0.95], "lyapunov_time": 0.0})


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> SeriesProblem:
    return prepared(tmp_path_factory.mktemp("series"), np.stack([values(), 3 * values(seed=1)]))


def quick(name: str, given: SeriesProblem) -> Params:
    """The family's first default, with little to do."""
    params = dict(registry.load("families", name).defaults(given.facts())[0])
    small = {"epochs": 2, "trees": 20, "rounds": 20, "units": 8, "layers": 1, "blocks": 1, "filters": 8, "length": 24}
    return {**params, **{key: value for key, value in small.items() if key in params}}


def job(name: str, params: Params, steps: int = 0) -> Job:
    return Job(1, name, params, 1, 1, "cpu", "mase", "minimize", "forecast", ".", steps=steps)


def fitted(name: str, given: SeriesProblem, steps: int = 0) -> Any:
    params = quick(name, given)
    return registry.load("families", name).fit(given, params, job(name, params, steps), lambda step, p: 0.0)


@pytest.mark.parametrize("facts", [forecast.EXAMPLE, SEVERAL, SHORT, LONG], ids=["example", "several", "short", "long"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_space_contains_the_defaults(name: str, facts: Facts) -> None:
    family = registry.load("families", name)
    ranges = family.space(facts)
    for params in family.defaults(facts):
        assert space.inside(params, ranges), params
    assert all(allowed.text for allowed in ranges.values()), "every parameter says what it is"
    assert family.memory_mb(facts) > 0
    assert isinstance(family, Costed) and math.isfinite(family.cost(facts)) and family.cost(facts) > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_a_kind_of_problem_it_cannot_take_gets_a_reason(name: str) -> None:
    why = registry.load("families", name).skip(Facts("environment", {}, {}))
    assert why and "environment" in why


@pytest.fixture(scope="module")
def models(problem: SeriesProblem) -> Callable[[str], Any]:
    """Each family fitted once."""
    return cache(lambda name: fitted(name, problem))


@pytest.mark.parametrize("name", FAMILIES)
def test_it_saves_and_loads(name: str, models: Callable[[str], Any], problem: SeriesProblem, tmp_path: Path) -> None:
    one = models(name)
    said = one.predict(problem.valid)
    assert said.shape == (len(problem.valid), HORIZON, 1, len(LEVELS)) and said.dtype == np.float32
    assert np.isfinite(said).all()
    assert (np.diff(said, axis=-1) >= 0).all(), "quantiles do not cross"
    one.save(tmp_path / "model")
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.joblib"))
    np.testing.assert_allclose(registry.load("families", name).load(tmp_path / "model").predict(problem.valid), said,
                               rtol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_signal_planted_in_the_future_is_not_found(name: str, tmp_path: Path) -> None:
    """From the first test origin on the values are another world's: nothing that is fitted, scaled or stopped by what
    came before may change in a bit, nor the forecast from that origin. And so the same seed gives the same numbers."""
    usual = np.stack([values(), values(seed=1)])
    other = usual.copy()
    problems = [prepared(tmp_path / "usual", usual)]
    first = int(problems[0].test.origin.min())
    other[:, first:] = 1e4 * (1 + np.arange(COUNT - first))
    problems.append(prepared(tmp_path / "other", other))
    assert problems[0].schema == problems[1].schema
    said = []
    for given in problems:
        one = fitted(name, given)
        windows: Windows = given.test.take(given.test.origin == first)
        said.append((one.predict(given.valid), one.predict(windows)))
    np.testing.assert_array_equal(said[0][0], said[1][0])
    np.testing.assert_array_equal(said[0][1], said[1][1])


@pytest.mark.parametrize("name", ["arima", "boosted_trees", "ets", "naive", "seasonal_naive", "theta"])
def test_a_gap_that_ends_at_an_origin_tells_nothing_of_what_comes(name: str, tmp_path: Path) -> None:
    """It is filled on a line to the first value after it, which a forecast from there must not know."""
    usual = np.stack([values(), values(seed=1)])
    first = COUNT - 3 * HORIZON
    usual[:, first - 3:first] = np.nan
    other = usual.copy()
    other[:, first:] += 1e3
    said = []
    for given in (prepared(tmp_path / "usual", usual), prepared(tmp_path / "other", other)):
        windows = given.test.take(given.test.origin == first)
        assert windows.after_gap.all()
        said.append(fitted(name, given).predict(windows))
    np.testing.assert_array_equal(*said)


@pytest.mark.parametrize("name", FAMILIES)
def test_windows_are_forecast_alike_alone_and_together(name: str, models: Callable[[str], Any], problem: SeriesProblem
                                                        ) -> None:
    one = models(name)
    together = one.predict(problem.test)
    np.testing.assert_allclose(one.predict(problem.test.take([3]))[0], together[3], rtol=1e-4)


@pytest.mark.parametrize("name", ["arima", "boosted_trees", "gru"])
def test_being_stopped_passes_through(name: str, problem: SeriesProblem) -> None:
    def stop(step: int, predictions: Any) -> float:
        raise Pruned

    params = quick(name, problem)
    with pytest.raises(Pruned):
        registry.load("families", name).fit(problem, params, job(name, params), stop)
