"""The mixture of Gaussians draws from its exact conditional distributions, heeds weights, and fits few events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys.families import mixture
from automl_phys.tasks import generate
from automl_phys.trials import Job


def fitted(folder: Path, columns: dict[str, Any], recipe: dict[str, Any], condition: list[str], **changed: Any) -> Any:
    parquet.write_table(pa.table(columns), folder / "events.parquet")
    options = {"data": {"path": "events.parquet", **recipe}, "generate": {"condition": condition} if condition else {}}
    problem = generate.prepare(generate.Options.model_validate(options), folder, folder / "problem", 0)
    params = {**mixture.defaults(problem.facts())[0], **changed}
    job = Job(1, "mixture", params, 1, 1, "cpu", "sliced_wasserstein", "minimize", "generate", ".")
    return mixture.fit(problem, params, job, lambda _step, _made: 0.5)


def test_draws_under_a_number_are_of_the_conditional_gaussian() -> None:
    """Of two variates and a number that is given: by the formula for one Gaussian."""
    covariance = np.array([[1.0, 0.5, 0.8], [0.5, 1.0, 0.3], [0.8, 0.3, 1.0]])
    one = mixture.Gaussians(np.zeros(1), np.ones(1), np.array([[0.0, 1.0, 2.0]]), covariance[None],
                            np.empty((1, 0)), 2)
    made = one.draw(np.full((50_000, 1), 3.0, np.float32), 0)
    assert made.mean(axis=0) == pytest.approx([0.8, 1.3], abs=0.02)
    across = covariance[:2, 2:]
    assert np.cov(made.T) == pytest.approx(covariance[:2, :2] - across @ across.T, abs=0.02)


def test_components_are_chosen_by_how_well_they_explain_the_number() -> None:
    """Shares 0.2 and 0.8, the given number at -1 and 1 with width 1: Bayes' rule at 0.5."""
    two = mixture.Gaussians(np.zeros(2), np.array([0.2, 0.8]), np.array([[-5.0, -1.0], [5.0, 1.0]]),
                            np.tile(np.eye(2), (2, 1, 1)), np.empty((1, 0)), 1)
    made = two.draw(np.full((50_000, 1), 0.5, np.float32), 0)
    odds = 0.2 * np.exp(-0.5 * 1.5**2), 0.8 * np.exp(-0.5 * 0.5**2)
    assert (made < 0).mean() == pytest.approx(odds[0] / sum(odds), abs=0.01)


@pytest.mark.parametrize("covariance", ["full", "diag"])
@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_few_events_of_many_columns_are_fitted(rows: int, covariance: str) -> None:
    values = np.random.default_rng(0).normal(size=(rows, 20))
    shares, means, covariances = mixture._fitted(values, {"components": 12, "covariance": covariance}, 0)
    assert len(shares) < 12
    assert shares.sum() == pytest.approx(1)
    assert np.isfinite(means).all()
    assert (np.linalg.eigvalsh(covariances) >= 0.9 * mixture.FLOOR).all()


def test_events_that_are_all_the_same_are_fitted() -> None:
    shares, means, _ = mixture._fitted(np.ones((50, 3)), {"components": 12, "covariance": "full"}, 0)
    assert shares == pytest.approx([1])
    assert means == pytest.approx(np.ones((1, 3)))


def test_weights_shift_what_is_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    side = rng.integers(2, size=2000)
    model = fitted(tmp_path, {"x": rng.normal(size=2000) + 8 * side, "y": rng.normal(size=2000),
                              "w": np.where(side == 1, 3.0, 1.0)}, {"weight": "w"}, [])
    made = model.events(np.empty((8000, 0), np.float32), 0, 0)
    assert (made[:, 0] > 4).mean() == pytest.approx(0.75, abs=0.04)


def test_classes_that_meet_once_and_ones_that_never_do_can_be_asked_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    place = np.arange(400)
    kind, sign = np.array(["a", "b"])[place % 2], np.array(["+", "-"])[((place % 4 == 0) | (place == 11)).astype(int)]
    model = fitted(tmp_path, {"x": rng.normal(size=400), "y": rng.normal(size=400), "kind": kind, "sign": sign},
                   {"categorical": ["kind", "sign"]}, ["kind", "sign"])
    assert np.bincount(model.latent.code).min() == 1
    for codes in [(1, 1), (2, 2), (0, 1), (0, 0)]:
        made = model.events(np.tile(np.array(codes, np.float32), (100, 1)), 0, 0)
        assert np.isfinite(made).all()


def test_numbers_and_classes_are_given_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kind, mass = rng.integers(2, size=4000), rng.uniform(0, 10, 4000)
    model = fitted(tmp_path, {"x": np.where(kind == 1, 1.0, -1.0) * mass + rng.normal(0, 0.5, 4000), "mass": mass,
                              "kind": np.array(["down", "up"])[kind]}, {"categorical": ["kind"]}, ["kind", "mass"])
    for code, sign in ((1.0, -1), (2.0, 1)):
        made = model.events(np.tile(np.array([8.0, code], np.float32), (2000, 1)), 0, 0)
        assert made.mean() == pytest.approx(sign * 8, abs=0.4)
