"""Every family that detects anomalies keeps the contract: space, defaults, scores of what is far off, save and load,
each row by itself, weights, seeds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import registry, space
from automl_phys.anomaly_problem import AnomalyRows
from automl_phys.contracts import Costed
from automl_phys.facts import Facts
from automl_phys.trials import Job, Pruned

FAMILIES = tuple(name for name in registry.names("families")
                 if "detect-anomaly" in registry.load("families", name).SOLVES)
UNSUPERVISED = tuple(name for name in FAMILIES if name != "cwola")
ROWS, COLUMNS = 600, 4
TABLE = Facts("table", {"train": 12_000, "valid": 8_000, "test": 4_000},
              {"numbers": 38, "categories": 1, "columns": 0, "normal": 12_000, "region": 1, "truth": 1, "replicas": 1})
IMAGES = Facts("images", {"train": 900, "valid": 600, "test": 300},
               {"numbers": 0, "categories": 0, "columns": 64, "height": 8, "width": 8, "channels": 1, "normal": 900,
                "region": 1, "truth": 1, "replicas": 1})


@dataclass
class Problem:
    """As much of a problem as families see."""

    train: AnomalyRows
    valid: AnomalyRows
    kind: str = "table"

    @property
    def held_out(self) -> AnomalyRows:
        """All of ``valid`` up to its last normal event: what stands in for anomalies comes behind, the signal region's
        are among them."""
        return self.valid.take(slice(0, int(np.flatnonzero(self.valid.target == 0)[-1]) + 1))

    @property
    def normal(self) -> Any:
        return np.asarray(self.held_out.target) == 0

    def facts(self) -> Facts:
        images = self.train.images is not None
        return Facts(self.kind, {"train": len(self.train), "valid": len(self.valid), "test": 0},
                     {"numbers": self.train.numbers.shape[1], "categories": self.train.categories.shape[1],
                      "columns": 35 if images else 0, "region": 1, "truth": 0, "normal": len(self.train)})


def rows(numbers: Any, categories: Any = None, target: int = 0, mass: Any = None, weight: Any = None,
         images: Any = None) -> AnomalyRows:
    n = len(numbers)
    region = None if mass is None else np.abs(mass - 100) < 10
    return AnomalyRows(
        np.asarray(numbers, np.float32), np.zeros((n, 0), np.int32) if categories is None else categories,
        np.full(n, target, np.int32), np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
        images=images, mass=None if mass is None else np.asarray(mass, np.float32), region=region)


def joined(one: AnomalyRows, other: AnomalyRows) -> AnomalyRows:
    """One after the other."""
    def both(name: str) -> Any:
        first, second = getattr(one, name), getattr(other, name)
        return None if first is None else np.concatenate([first, second])

    return AnomalyRows(**{name: both(name) if name != "signal" else None for name in one.__dataclass_fields__})


def normal(n: int, seed: int) -> AnomalyRows:
    """Correlated Gaussian numbers, one of them with a long tail, a count and a category; a mass that they know nothing
    of."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 1))
    numbers = np.hstack([shared + 0.5 * rng.normal(size=(n, COLUMNS - 2)), np.exp(rng.normal(size=(n, 1))),
                         rng.poisson(5, (n, 1))])
    return rows(numbers, rng.integers(1, 3, (n, 1)).astype(np.int32), mass=rng.uniform(50, 150, n))


def cloud(n: int, seed: int) -> AnomalyRows:
    """Events far from the others, all in the region."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, COLUMNS)) * 0.3 + np.array([6.0, -6.0, 40.0, 25.0])
    return rows(numbers, np.ones((n, 1), np.int32), target=1, mass=rng.uniform(91, 109, n))


def pictures(n: int, seed: int, column: int) -> AnomalyRows:
    """Images of 5 x 7 pixels with a bright spot in a column; the corners are always empty."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0, 0.3, (n, 5, 7, 1)).astype(np.float32)
    pixels[np.arange(n), rng.integers(1, 4, n), column, 0] += 3
    pixels[:, 0, 0] = pixels[:, 4, 6] = 0
    return rows(np.zeros((n, 0)), images=pixels, mass=rng.uniform(50, 150, n))


@pytest.fixture(scope="module")
def problems() -> dict[str, Problem]:
    inside = cloud(150, 5)
    spots = pictures(40, 3, 5)
    weakly = joined(normal(ROWS, 1), inside)
    held_out = normal(ROWS // 2, 2)
    return {
        "table": Problem(normal(ROWS, 1), joined(held_out, cloud(40, 3))),
        "images": Problem(pictures(ROWS // 2, 1, 1), joined(pictures(150, 2, 1), spots.labelled(np.ones(40, np.int32))),
                          "images"),
        "region": Problem(weakly.labelled(np.zeros(len(weakly), np.int32)),
                          held_out.labelled(held_out.region.astype(np.int32)))}  # type: ignore[union-attr]


def job(name: str, params: Any, seed: int = 1) -> Job:
    return Job(1, name, params, seed, 1, "cpu", "stand_in_auc", "maximize", "detect-anomaly", ".")


def quick(name: str, facts: Facts, which: int = 0) -> Any:
    """One of the family's defaults, with less to do."""
    params = dict(registry.load("families", name).defaults(facts)[which])
    small: dict[str, Any] = {"epochs": 6, "units": 32, "trees": 60, "steps": 4, "batch_size": 64, "runs": 5,
                             "members": 2}
    if name == "flow_density":
        small["units"] = 48
    return {**params, **{key: value for key, value in small.items() if key in params}}


@pytest.fixture(scope="module")
def fitted(problems: dict[str, Problem]) -> Any:
    @cache
    def of(name: str, kind: str, seed: int = 1) -> tuple[Any, list[tuple[int, Any]]]:
        problem = problems[kind]
        seen: list[tuple[int, Any]] = []

        def watch(step: int, predictions: Any) -> float:
            seen.append((step, predictions))
            return 0.5

        params = quick(name, problem.facts())
        return registry.load("families", name).fit(problem, params, job(name, params, seed), watch), seen

    return of


def polluted(problem: Problem) -> Problem:
    """With events far off among the training rows, that have no weight."""
    far = cloud(200, 11)
    both = joined(problem.train, far)
    weight = np.repeat([1.0, 0.0], [len(problem.train), len(far)]).astype(np.float32)
    return Problem(AnomalyRows(both.numbers, both.categories, np.zeros(len(both), np.int32), weight), problem.valid)


def kind_of(name: str) -> str:
    return "region" if name == "cwola" else "table"


@pytest.mark.parametrize("facts", [TABLE, IMAGES, Facts("table", {"train": 25}, {"numbers": 2, "region": 1})],
                         ids=["table", "images", "few"])
@pytest.mark.parametrize("name", FAMILIES)
def test_defaults_are_in_the_space(name: str, facts: Facts) -> None:
    family = registry.load("families", name)
    assert family.skip(facts) is None
    assert family.memory_mb(facts) > 0
    assert isinstance(family, Costed)
    assert family.cost(facts) > 0
    assert family.TEXT
    for params in family.defaults(facts):
        assert space.inside(params, family.space(facts)), (name, params)


@pytest.mark.parametrize("name", FAMILIES)
def test_problems_that_a_family_cannot_take_are_skipped_with_a_reason(name: str) -> None:
    family = registry.load("families", name)
    assert "takes table or images" in family.skip(Facts("series", {"train": 1000}, {}))
    assert "needs 20" in family.skip(Facts("table", {"train": 5}, {"numbers": 3, "region": 1}))
    without = family.skip(Facts("table", {"train": 1000}, {"numbers": 3, "region": 0}))
    assert without == ("needs a 'signal_region'" if name == "cwola" else None)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_far_off_scores_more_and_a_watch_sees_it(name: str, fitted: Any) -> None:
    model, seen = fitted(name, kind_of(name))
    others, far = normal(400, 7), cloud(100, 8)
    usual, unusual = model.predict(others), model.predict(far)
    assert usual.dtype == np.float32
    assert usual.shape == (400,)
    assert np.isfinite(unusual).all()
    assert np.median(unusual) > np.quantile(usual, 0.9)
    # a score of 1 is what one in ten normal events has
    inside = others.region if name == "cwola" else np.zeros(400, np.bool_)
    assert 0.03 < (usual[~inside] > 1).mean() < 0.25
    assert seen
    assert len(seen[-1][1]) == len(seen[0][1])


@pytest.mark.parametrize("name", FAMILIES)
def test_saved_models_score_the_same_and_each_row_by_itself(name: str, fitted: Any, tmp_path: Path) -> None:
    model, _ = fitted(name, kind_of(name))
    some = joined(normal(300, 7), cloud(20, 8))
    scores = model.predict(some)
    model.save(tmp_path / "model")
    again = registry.load("families", name).load(tmp_path / "model")
    np.testing.assert_allclose(again.predict(some), scores, rtol=1e-6, atol=1e-6)
    assert not [file for file in tmp_path.rglob("*") if file.suffix in {".pkl", ".pickle", ".joblib"}]
    pick = np.array([310, 5, 299, 17])
    np.testing.assert_allclose(again.predict(some.take(pick)), scores[pick], rtol=1e-4, atol=1e-4)
    assert again.predict(some.take(slice(0, 0))).shape == (0,)


@pytest.mark.parametrize("name", ["ecod", "isolation_forest", "knn", "lof"])
def test_training_events_score_the_same_in_any_company(name: str) -> None:
    """Where scores go by steps, as at the very values of training events, the last digits of a sum must not decide."""
    rng = np.random.default_rng(4)
    shared = rng.normal(size=(ROWS, 1))
    parts = np.round(shared + rng.normal(size=(ROWS, 12)), 1)
    seen = rows(np.hstack([parts, parts.sum(axis=1, keepdims=True)]))  # which has an axis without spread
    problem = Problem(seen, seen.take(slice(0, 200)))
    model = registry.load("families", name).fit(problem, quick(name, problem.facts()), job(name, {}), lambda *_: 0.5)
    few = np.concatenate([model.predict(seen.take(slice(start, start + 7))) for start in range(0, ROWS, 7)])
    np.testing.assert_allclose(few, model.predict(seen), rtol=1e-5)


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_images_are_looked_at(name: str, fitted: Any) -> None:
    model, _ = fitted(name, "images")
    usual, unusual = model.predict(pictures(100, 9, 1)), model.predict(pictures(100, 10, 5))
    assert np.median(unusual) > np.median(usual)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_default_can_be_fitted_heeds_weights_and_a_watch_may_end_it(name: str, problems: dict[str, Problem]) -> None:
    problem, family = problems[kind_of(name)], registry.load("families", name)
    used = problem if name == "cwola" else polluted(problem)
    for which in range(1, len(family.defaults(problem.facts()))):
        params = quick(name, problem.facts(), which)
        model = family.fit(used, params, job(name, params), lambda _step, _scores: 0.5)
        assert np.median(model.predict(cloud(50, 8))) > np.quantile(model.predict(normal(200, 7)), 0.9)
    params = quick(name, problem.facts())

    def enough(_step: int, _scores: Any) -> float:
        raise Pruned("enough")

    with pytest.raises(Pruned):
        family.fit(problem, params, job(name, params), enough)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_gives_the_same_detector(name: str, fitted: Any, problems: dict[str, Problem]) -> None:
    model, _ = fitted(name, kind_of(name))
    problem = problems[kind_of(name)]
    params = quick(name, problem.facts())
    again = registry.load("families", name).fit(problem, params, job(name, params), lambda _step, _scores: 0.5)
    same = np.isclose(again.predict(problem.valid), model.predict(problem.valid), rtol=1e-3, atol=1e-3)
    assert same.mean() > 0.98
