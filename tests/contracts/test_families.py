"""Every family keeps the contract: space, defaults, the same numbers twice, save and load, weights, categories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import registry, space
from automl_phys.facts import Facts
from automl_phys.table import Rows
from automl_phys.trials import Job, Pruned
from automl_phys.values import Params

FACTS = Facts("table", {"train": 300, "valid": 200, "test": 100},
              {"numbers": 4, "categories": 1, "outputs": 3, "levels": 3})
FAMILIES = tuple(name for name in registry.names("families") if "classify" in registry.load("families", name).SOLVES
                 and registry.load("families", name).skip(FACTS) is None)
CLASSES = ("a", "b", "c")


def rows(count: int, rng: np.random.Generator, categories: bool = True) -> Rows:
    target = rng.integers(0, 3, count).astype(np.int32)
    numbers = (rng.normal(size=(count, 4)) + 1.5 * np.eye(3, 4)[target]).astype(np.float32)
    codes = np.where(rng.random(count) < 0.8, target + 1, rng.integers(1, 4, count)).astype(np.int32)[:, None]
    return Rows(numbers, codes if categories else codes[:, :0], target, np.ones(count, np.float32))


def problem(seed: int = 0, categories: bool = True) -> Any:
    rng = np.random.default_rng(seed)
    levels = {"region": ("x", "y", "z")} if categories else {}
    return SimpleNamespace(train=rows(300, rng, categories), valid=rows(200, rng, categories),
                           schema=SimpleNamespace(classes=CLASSES, levels=levels, target=("label",)), variation="")


def job(family: str, params: Params, seed: int = 1) -> Job:
    return Job(1, family, params, seed, 1, "cpu", "log_loss", "minimize", "classify", ".")


def quick(family: str) -> Params:
    """The family's first default, with little to do."""
    params = dict(registry.load("families", family).defaults(FACTS)[0])
    return {**params, **{k: v for k, v in {"epochs": 6, "trees": 100, "layers": [16, 16]}.items() if k in params}}


def follow(step: int, predictions: Any) -> float:
    return 0.0


def log_loss(of: Rows, predictions: Any) -> float:
    return float(-np.log(np.clip(predictions[np.arange(len(of)), of.target], 1e-9, 1)).mean())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_space_contains_the_defaults(name: str) -> None:
    family = registry.load("families", name)
    for params in family.defaults(FACTS):
        assert space.inside(params, family.space(FACTS))
    assert all(r.text for r in family.space(FACTS).values()), "every parameter says what it is"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_kind_of_problem_it_cannot_take_gets_a_reason(name: str) -> None:
    why = registry.load("families", name).skip(Facts("environment", {}, {}))
    assert why and "environment" in why


@pytest.mark.parametrize("name", FAMILIES)
def test_it_learns_saves_and_loads(name: str, tmp_path: Path) -> None:
    family, given = registry.load("families", name), problem()
    steps: list[int] = []
    fitted = family.fit(given, quick(name), job(name, quick(name)), lambda step, p: steps.append(step) or 0.0)
    predictions = fitted.predict(given.valid)
    assert predictions.shape == (200, 3) and predictions.dtype == np.float32
    assert np.allclose(predictions.sum(axis=1), 1, atol=1e-5)
    assert log_loss(given.valid, predictions) < 0.8 < np.log(3)
    assert steps == sorted(steps) and steps[-1] >= 1
    fitted.save(tmp_path / "model")
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.joblib"))
    assert np.abs(family.load(tmp_path / "model").predict(given.valid) - predictions).max() <= 1e-6


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_gives_the_same_numbers(name: str) -> None:
    family, given, params = registry.load("families", name), problem(), quick(name)
    first, second = (family.fit(given, params, job(name, params), follow).predict(given.valid) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_count(name: str) -> None:
    """Events of weight zero might as well not be there: their labels, all wrong, do no harm."""
    family, given, params = registry.load("families", name), problem(categories=False), quick(name)
    wrong = np.arange(300) < 150
    target = np.where(wrong, (given.train.target + 1) % 3, given.train.target).astype(np.int32)
    poisoned = Rows(given.train.numbers, given.train.categories, target, np.where(wrong, 0, 2).astype(np.float32))
    given = SimpleNamespace(train=poisoned, valid=given.valid, schema=given.schema, variation="")
    ignoring = family.fit(given, params, job(name, params), follow).predict(given.valid)
    unweighted = Rows(poisoned.numbers, poisoned.categories, target, np.ones(300, np.float32))
    believing = family.fit(SimpleNamespace(train=unweighted, valid=given.valid, schema=given.schema, variation=""), params,
                           job(name, params), follow).predict(given.valid)
    assert log_loss(given.valid, ignoring) < 0.85 < log_loss(given.valid, believing) + 0.05


@pytest.mark.parametrize("name", FAMILIES)
def test_a_category_never_seen_is_no_error(name: str) -> None:
    family, given, params = registry.load("families", name), problem(), quick(name)
    fitted = family.fit(given, params, job(name, params), follow)
    unseen = Rows(given.valid.numbers, np.zeros_like(given.valid.categories), given.valid.target, given.valid.weight)
    assert np.isfinite(fitted.predict(unseen)).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_being_stopped_passes_through(name: str) -> None:
    family, params = registry.load("families", name), quick(name)

    def stop(step: int, predictions: Any) -> float:
        raise Pruned

    with pytest.raises(Pruned):
        family.fit(problem(), params, job(name, params), stop)


def test_listing_families_imports_nothing_heavy() -> None:
    code = ("import sys; from automl_phys import registry\n"
            "for name in registry.names('families'): registry.load('families', name)\n"
            "heavy = {'numpy', 'keras', 'lightgbm', 'sklearn', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_extra_trees_predict_as_scikit_learn_does() -> None:
    from sklearn.ensemble import ExtraTreesClassifier

    from automl_phys.families import extra_trees

    given = problem()
    matrix = np.hstack([given.train.numbers, given.train.categories.astype(np.float32)])
    forest = ExtraTreesClassifier(20, random_state=0).fit(matrix, given.train.target)
    valid = np.hstack([given.valid.numbers, given.valid.categories.astype(np.float32)])
    assert np.allclose(extra_trees._from_forest(forest, np.empty(0), np.empty(0)).predict(given.valid), forest.predict_proba(valid), atol=1e-6)
