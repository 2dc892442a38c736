"""Networks on windows of series: units, order of quantiles, no look ahead, covariates, gaps, seeds, saving."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import registry, space, window_space, window_units
from automl_phys.contracts import Costed
from automl_phys.facts import Facts
from automl_phys.series_problem import LEVELS, MEDIAN, Panel, Windows, cuts
from automl_phys.trials import Job

FAMILIES = ("lstm", "gru", "tcn", "nbeats")
TINY: dict[str, dict[str, Any]] = {
    "lstm": {"layers": 1, "units": 8, "patch": 4, "decoder": "dense"},
    "gru": {"layers": 2, "units": 8, "patch": 4, "decoder": "recurrent"},
    "tcn": {"units": 8, "kernel": 3, "patch": 4},
    "nbeats": {"blocks": 2, "layers": 1, "units": 16, "pooling": "rates"}}
USUAL: dict[str, Any] = {
    "length": 12, "level": "last", "place": True, "shortcut": "none", "calendar": True, "dropout": 0.0, "noise": 0.0,
    "learning_rate": 5e-3, "schedule": "cosine", "weight_decay": 0.01, "batch_size": 32, "epochs": 2}


def panel(columns: list[Any], horizon: int, known: Any = None, past: Any = None) -> Panel:
    """Series (T, t) one after the other; ``known`` (N, K) and ``past`` (N, P) are over all steps."""
    columns = [np.asarray(column, float).reshape(len(column), -1) for column in columns]
    length = np.array([len(column) for column in columns], np.int64)
    target = np.concatenate([np.vstack([c, np.full((horizon, c.shape[1]), np.nan)]) for c in columns])
    position = np.concatenate([np.arange(n + horizon) for n in length])
    angle = 2 * np.pi * position / 12
    none = np.zeros((len(target), 0), np.float32)
    return Panel(target, np.isfinite(target), none if known is None else np.asarray(known, np.float32),
                 none if past is None else np.asarray(past, np.float32),
                 np.stack([np.sin(angle), np.cos(angle)], 1).astype(np.float32), position,
                 np.cumsum(length + horizon) - length - horizon, length, np.arange(1, len(columns) + 1, dtype=np.int32))


def problem(given: Panel, horizon: int = 4, season: int = 12, most: int = 100) -> Any:
    first, end = np.array([cuts(n, horizon, 2, horizon, 0.2) for n in given.length], np.int64).T
    none = np.empty(0, np.int64)
    part = Windows(given, none.astype(np.int32), none, first, horizon, season)
    series = np.arange(len(given.length), dtype=np.int32)
    return SimpleNamespace(train=part.every(most), valid=part._between(first, end, most),
                           test=replace(part, series=series, origin=end))


def waves(count: int = 160, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return 20 + 5 * np.sin(np.arange(count) * 2 * np.pi / 12 + seed) + rng.normal(0, 0.5, count)


def fit(family: str, given: Any, steps: int = 0, seed: int = 3, told: list[Any] | None = None, **pinned: Any) -> Any:
    params = {**TINY[family], **USUAL, **pinned}
    if params["level"] == "series":
        del params["place"]

    def watch(step: int, predictions: Any) -> float:
        if told is not None:
            told.append((step, predictions))
        return 0.0

    job = Job(1, family, params, seed, 1, "cpu", "mase", "minimize", "forecast", ".", steps=steps)
    return registry.load("families", family).fit(given, params, job, watch)


def facts(**sizes: int) -> Facts:
    return Facts("series", {"train": 200, "valid": 100}, {
        "numbers": 1, "categories": 0, "targets": 1, "series": 1, "horizon": 24, "season": 12, "known": 0, "past": 0,
        "phases": 2, "steps": 2400, "longest": 2400, "shortest": 2400, "outputs": 24} | sizes)


@pytest.mark.parametrize("family", [*FAMILIES, "boosted_trees"])
def test_defaults_lie_in_the_space(family: str) -> None:
    module = registry.load("families", family)
    assert isinstance(module, Costed)
    for sizes in ({}, {"season": 132}, {"season": 1, "phases": 0, "targets": 3, "numbers": 3, "outputs": 180, "horizon": 60},
                  {"steps": 260, "longest": 70, "shortest": 70, "series": 4, "horizon": 6, "outputs": 6}, {"horizon": 1, "outputs": 1}):
        given = facts(**sizes)
        assert module.skip(given) is None
        ranges = module.space(given)
        for params in module.defaults(given):
            assert space.inside(params, ranges), (params, sizes)
        assert 1 < module.cost(given) < 300 and module.memory_mb(given) < 4000
    assert "learn from" in str(module.skip(facts(steps=150)))


@pytest.fixture(scope="module")
def two() -> Any:
    """Two series of very different size, with covariates of both kinds."""
    rng = np.random.default_rng(1)
    return problem(panel([waves(), 100 * waves(130, 1)], 4, rng.normal(size=(298, 1)), rng.normal(size=(298, 1))))


@pytest.fixture(scope="module")
def fitted_on_two(two: Any) -> tuple[Any, list[Any]]:
    told: list[Any] = []
    return fit("nbeats", two, told=told, dropout=0.1, noise=0.1), told


@pytest.mark.parametrize("family", ["lstm", "gru", "tcn"])
def test_quantiles_rise_and_what_was_saved_says_the_same(family: str, two: Any, tmp_path: Path) -> None:
    fitted = fit(family, two, steps=1)
    made = fitted.predict(two.test)
    assert made.shape == (2, 4, 1, len(LEVELS)) and made.dtype == np.float32
    assert (np.diff(made, axis=-1) >= 0).all() and np.isfinite(made).all()
    fitted.save(tmp_path)
    np.testing.assert_allclose(registry.load("families", family).load(tmp_path).predict(two.test), made, rtol=1e-5)


def test_a_fit_is_followed_in_the_datas_unit(two: Any, fitted_on_two: Any) -> None:
    fitted, told = fitted_on_two
    assert [step for step, _ in told] == [1, 2] and len(fitted.history) == 2
    np.testing.assert_allclose(told[fitted.steps - 1][1], fitted.predict(two.valid), rtol=1e-4)


def test_the_same_seed_gives_the_same(two: Any, fitted_on_two: Any) -> None:
    again = fit("nbeats", two, dropout=0.1, noise=0.1)
    assert np.array_equal(fitted_on_two[0].predict(two.test), again.predict(two.test))


def test_a_network_is_loaded_in_a_process_that_fitted_nothing(two: Any, fitted_on_two: Any, tmp_path: Path) -> None:
    fitted_on_two[0].save(tmp_path)
    program = ("import sys\nfrom pathlib import Path\nfrom automl_phys import registry\n"
               "print(type(registry.load('families', 'nbeats').load(Path(sys.argv[1])).model).__name__)")
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Functional"
    loaded = registry.load("families", "nbeats").load(tmp_path)
    np.testing.assert_allclose(loaded.predict(two.test), fitted_on_two[0].predict(two.test), rtol=1e-5)


def test_nothing_is_known_of_what_comes_and_so_many_epochs_are_trained() -> None:
    plain = waves()
    one = problem(panel([plain], 4))
    first, origin = int(one.train.until[0]), int(one.test.origin[0])
    fitted = fit("nbeats", one, steps=2, epochs=4)
    assert fitted.steps == 2
    changed = plain.copy()
    changed[origin:] = 1e6
    assert np.array_equal(fitted.predict(one.test), fitted.predict(problem(panel([changed], 4)).test))
    changed = plain.copy()
    changed[first:] = -1e3
    other = fit("nbeats", problem(panel([changed], 4)), steps=2, epochs=4)
    assert np.array_equal(fitted.predict(one.test), other.predict(one.test))


def test_gaps_are_no_targets() -> None:
    column = waves()
    given = panel([column], 4)
    hidden = np.arange(len(given.target)) % 3 == 0
    given.target[:20] = np.nan  # nothing is known at the beginning
    one = problem(replace(given, observed=np.isfinite(given.target) & ~hidden[:, None]))
    assert np.isnan(one.train.target).any()
    fitted = fit("nbeats", one, steps=1)
    assert np.isfinite(fitted.history[0]["train_loss"]) and np.isfinite(fitted.predict(one.test)).all()


def test_what_is_known_ahead_is_used() -> None:
    rng = np.random.default_rng(0)
    known = rng.normal(size=(404, 1))
    one = problem(panel([7 + 3 * known[:400]], 4, known), season=1, most=300)
    fitted = fit("nbeats", one, level="series", learning_rate=1e-2, epochs=25, batch_size=16)
    assert np.abs(fitted.predict(one.test)[..., MEDIAN] - one.test.target).mean() < 0.15 * 3


def test_a_drift_far_beyond_what_was_seen_is_followed() -> None:
    drift = 1e7 + 1e4 * np.arange(300) + 3e3 * waves(300)
    one = problem(panel([drift], 4), most=200)
    fitted = fit("nbeats", one, epochs=12)
    naive = np.abs(one.test.past(1) - one.test.target).mean()
    assert np.abs(fitted.predict(one.test)[..., MEDIAN] - one.test.target).mean() < 0.6 * naive


def test_a_series_that_was_not_fitted_on_is_forecast(fitted_on_two: Any) -> None:
    given = panel([1000 * waves(60, 5)], 4, np.zeros((64, 1)), np.zeros((64, 1)))
    made = fitted_on_two[0].predict(problem(replace(given, codes=np.zeros(1, np.int32))).test)
    assert np.isfinite(made).all() and 5_000 < np.median(made) < 40_000


def test_units_undo_themselves_and_divide_by_no_zero() -> None:
    given = panel([np.full(100, 5.0), waves(100)], 4)
    windows = problem(given).train
    known = window_units.known(windows)
    for off in window_space.LEVELS_OFF:
        units = window_units.units(windows, 12, off, known)
        assert (units.scale > 0).all() and np.isfinite(units.place).all() and (units.weight > 0).all()
        there = units.forward(windows.target)[..., None]
        np.testing.assert_allclose(units.back(there)[..., 0], windows.target, rtol=1e-5)
    saved = window_units.Known.from_plain(known.plain())
    assert np.array_equal(saved.centre, known.centre, equal_nan=True)
