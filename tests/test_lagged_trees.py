"""Boosted trees on series: order of quantiles, no look ahead, covariates, a season, steps, seeds, saving."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import lagged_trees, registry
from automl_phys.series_problem import LEVELS, MEDIAN, Panel, Windows, cuts
from automl_phys.trials import Job

PARAMS: dict[str, Any] = {
    "length": 12, "level": "last", "loss": "absolute", "calendar": True, "learning_rate": 0.1, "num_leaves": 7,
    "min_child_samples": 20, "feature_fraction": 0.6, "bagging_fraction": 0.8, "lambda_l2": 1.0}


def panel(columns: list[Any], horizon: int = 4, known: Any = None) -> Panel:
    columns = [np.asarray(column, float).reshape(len(column), -1) for column in columns]
    length = np.array([len(column) for column in columns], np.int64)
    target = np.concatenate([np.vstack([c, np.full((horizon, c.shape[1]), np.nan)]) for c in columns])
    position = np.concatenate([np.arange(n + horizon) for n in length])
    none = np.zeros((len(target), 0), np.float32)
    angle = 2 * np.pi * position / 12
    return Panel(target, np.isfinite(target), none if known is None else np.asarray(known, np.float32), none,
                 np.stack([np.sin(angle), np.cos(angle)], 1).astype(np.float32), position,
                 np.cumsum(length + horizon) - length - horizon, length, np.arange(1, len(columns) + 1, dtype=np.int32))


def problem(given: Panel, horizon: int = 4, season: int = 12, most: int = 100) -> Any:
    first, end = np.array([cuts(n, horizon, 2, horizon, 0.2) for n in given.length], np.int64).T
    none = np.empty(0, np.int64)
    part = Windows(given, none.astype(np.int32), none, first, horizon, season)
    return SimpleNamespace(train=part.every(most), valid=part._between(first, end, most), test=replace(
        part, series=np.arange(len(given.length), dtype=np.int32), origin=end))


def waves(count: int = 200, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return 20 + 5 * np.sin(np.arange(count) * 2 * np.pi / 12 + seed) + rng.normal(0, 0.5, count)


def fit(given: Any, steps: int = 0, told: list[Any] | None = None, **pinned: Any) -> Any:
    params = {**PARAMS, **pinned}

    def watch(step: int, predictions: Any) -> float:
        if told is not None:
            told.append((step, predictions))
        return 0.0

    job = Job(1, "boosted_trees", params, 3, 1, "cpu", "mase", "minimize", "forecast", ".", steps=steps)
    return registry.load("families", "boosted_trees").fit(given, params, job, watch)


@pytest.mark.parametrize("level", ["last", "mean", "series", "season"])
def test_quantiles_rise_seeds_hold_and_so_does_what_was_saved(level: str, tmp_path: Path) -> None:
    one, told = problem(panel([waves(), 100 * waves(160, 1)])), []
    fitted = fit(one, level=level, told=told)
    made = fitted.predict(one.test)
    assert made.shape == (2, 4, 1, len(LEVELS)) and made.dtype == np.float32
    assert (np.diff(made, axis=-1) >= 0).all() and (made[..., -1] > made[..., 0]).all()
    assert np.array_equal(told[-1][1], fitted.predict(one.valid)) and len(told) > 1
    steps = [step for step, _ in told]
    assert steps == sorted(set(steps)) and fitted.history
    assert np.array_equal(made, fit(one, level=level).predict(one.test))
    fitted.save(tmp_path)
    loaded = registry.load("families", "boosted_trees").load(tmp_path)
    np.testing.assert_allclose(loaded.predict(one.test), made, rtol=1e-6)
    assert np.abs(made[0, ..., MEDIAN] - one.test.target[0]).mean() < 2.5


def test_nothing_is_known_of_what_comes() -> None:
    plain = waves()
    one = problem(panel([plain]))
    first, origin = int(one.train.until[0]), int(one.test.origin[0])
    fitted = fit(one, steps=20)
    assert fitted.steps == 20 and set(fitted.kept) == {20}
    changed = plain.copy()
    changed[origin:] = 1e6
    assert np.array_equal(fitted.predict(one.test), fitted.predict(problem(panel([changed])).test))
    changed = plain.copy()
    changed[first:] = -1e3
    assert np.array_equal(fitted.predict(one.test), fit(problem(panel([changed])), steps=20).predict(one.test))


def test_what_is_known_ahead_is_used() -> None:
    known = np.random.default_rng(0).normal(size=(604, 1))
    one = problem(panel([7 + 3 * known[:600]], known=known), season=1, most=500)
    fitted = fit(one, level="series", feature_fraction=1.0, num_leaves=15)
    assert np.abs(fitted.predict(one.test)[..., MEDIAN] - one.test.target).mean() < 0.1 * 3


def test_several_targets_gaps_and_a_drift() -> None:
    step = np.arange(300)
    column = np.stack([1e6 + 1e4 * step + 1e3 * waves(300), waves(300, 2)], axis=1)
    given = panel([column])
    one = problem(replace(given, observed=given.observed & (np.arange(len(given.target)) % 3 > 0)[:, None]))
    made = fit(one).predict(one.test)
    assert made.shape == (1, 4, 2, len(LEVELS)) and np.isfinite(made).all()
    naive = np.nanmean(np.abs(one.test.past(1) - one.test.target), axis=(0, 1))
    assert (np.nanmean(np.abs(made[..., MEDIAN] - one.test.target), axis=(0, 1)) < naive)[0]


def test_what_was_a_season_before_moves_with_the_trend() -> None:
    form = lagged_trees.Form(24, "season", 6, 4, 1, 0, 0, 0, 1)
    past = (np.arange(24) + 10 * (np.arange(24) % 4))[None].repeat(6, axis=0).astype(np.float32)
    ahead = 24 + np.arange(6)
    np.testing.assert_allclose(form.base(past, np.arange(6)), ahead + 10 * (ahead % 4))


def test_quantiles_between_are_a_gaussians() -> None:
    one = np.ones(1)
    made = lagged_trees.spread(-1.2815515655 * one, 0 * one, 2 * 1.2815515655 * one, 5 * one)
    np.testing.assert_allclose(made[0, [0, MEDIAN, -1]], [5 - 1.959964, 5, 5 + 2 * 1.959964], rtol=1e-5)
