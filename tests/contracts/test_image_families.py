"""Every family that takes images keeps the contract: it learns where a blob sits, saves, loads and repeats itself, heeds
weights, takes images of 8 bits and of floats and features beside them; networks change images in training only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import keras_fit, registry, space
from automl_phys.facts import Facts
from automl_phys.table import Rows
from automl_phys.table_problem import Image
from automl_phys.trials import Job, Pruned
from automl_phys.values import Params

SIDE = 8
SIZES = {"numbers": 0, "categories": 0, "levels": 0, "height": SIDE, "width": SIDE, "channels": 1, "columns": SIDE**2}
CLASSIFY = Facts("images", {"train": 400, "valid": 200, "test": 100}, {**SIZES, "outputs": 3})
REGRESS = Facts("images", {"train": 400, "valid": 200, "test": 100}, {**SIZES, "outputs": 2, "targets": 2})
NAMES = tuple(name for name in registry.names("families")
              if registry.load("families", name).skip(CLASSIFY) is None
              and registry.load("families", name).SOLVES & {"classify", "regress"})
CLASSIFIERS = tuple(name for name in NAMES if "classify" in registry.load("families", name).SOLVES)
REGRESSORS = tuple(name for name in NAMES if "regress" in registry.load("families", name).SOLVES)
NETWORKS = tuple(name for name in NAMES if "rotation" in registry.load("families", name).space(CLASSIFY))
PLACES = np.array([[1.5, 1.5], [1.5, 5.5], [5.5, 3.5]])
"""Where the blobs of the classes sit."""
LITTLE = {"epochs": 8, "trees": 60, "filters": 4, "stages": 2, "convolutions": 1, "units": 16, "dropout": 0.0,
          "batch_size": 32, "learning_rate": 0.02, "normalisation": "none"}


def blobs(at: Any, rng: np.random.Generator, kind: type = np.uint8) -> Any:
    """Images with a blob at each of the points (n, 2), on noise."""
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), axis=-1)
    distance = ((grid - at[:, None, None, :]) ** 2).sum(-1)
    pixels = 200 * np.exp(-distance / 2) + rng.exponential(8, distance.shape)
    return pixels.clip(0, 255)[..., None].astype(kind)


def rows(count: int, rng: np.random.Generator, kind: type = np.uint8) -> Rows:
    target = rng.integers(0, 3, count).astype(np.int32)
    images = blobs(PLACES[target] + rng.normal(0, 0.7, (count, 2)), rng, kind)
    return Rows(np.empty((count, 0), np.float32), np.empty((count, 0), np.int32), target, np.ones(count, np.float32),
                images=images)


def amounts(count: int, rng: np.random.Generator) -> Rows:
    """What is to be found is where the blob sits, in two units."""
    at = rng.uniform(1, SIDE - 2, (count, 2))
    target = (np.array([100.0, 0.1]) * at).astype(np.float32)
    return Rows(np.empty((count, 0), np.float32), np.empty((count, 0), np.int32), target, np.ones(count, np.float32),
                images=blobs(at, rng))


def problem(make: Callable[..., Rows] = rows, count: int = 400, levels: Any = None, **how: Any) -> Any:
    rng = np.random.default_rng(0)
    train, valid = make(count, rng, **how), make(200, rng, **how)
    assert train.images is not None
    kind = train.images.dtype.name
    target = ("label",) if train.target.ndim == 1 else ("x", "y")
    schema = SimpleNamespace(classes=("a", "b", "c") if train.target.ndim == 1 else (), levels=levels or {},
                             target=target, image=Image("jet", SIDE, SIDE, 1, kind), texts=None, numbers=())
    return SimpleNamespace(train=train, valid=valid, variation="", schema=schema)


def changed(given: Any, **parts: Any) -> Any:
    return SimpleNamespace(**{**vars(given), **parts})


def quick(family: str, facts: Facts = CLASSIFY, **pinned: Any) -> Params:
    """The family's first default, with little to do."""
    params = dict(registry.load("families", family).defaults(facts)[0])
    if family not in NETWORKS:
        return params | {"trees": 60} | pinned if "trees" in params else params | pinned
    return {**params, **{k: v for k, v in LITTLE.items() if k in params}, **pinned}


def fit(name: str, given: Any, params: Params, folder: Path, watch: Any = lambda step, predictions: 0.0) -> Any:
    task, objective = ("classify", "log_loss") if given.schema.classes else ("regress", "rmse")
    asked = Job(1, name, params, 1, 1, "cpu", objective, "minimize", task, str(folder))
    return registry.load("families", name).fit(given, params, asked, watch)


def accuracy(of: Rows, predictions: Any) -> float:
    return float((predictions.argmax(axis=1) == of.target).mean())


def relative_errors(of: Rows, predictions: Any) -> Any:
    """RMSE over the standard deviation, target by target."""
    residual = np.asarray(predictions[..., 0], np.float64) - of.target
    return np.sqrt((residual**2).mean(0)) / of.target.std(0)


def test_there_are_families_of_images() -> None:
    assert {"linear", "boosted_trees", "cnn"} <= set(CLASSIFIERS) and "cnn" in set(REGRESSORS) & set(NETWORKS)


@pytest.mark.parametrize(("height", "width", "channels"), [(8, 8, 1), (24, 24, 1), (64, 64, 3), (3, 200, 2), (1, 1, 1)])
@pytest.mark.parametrize("facts", [CLASSIFY, REGRESS], ids=["classify", "regress"])
@pytest.mark.parametrize("name", NAMES)
def test_the_space_contains_the_defaults(name: str, facts: Facts, height: int, width: int, channels: int) -> None:
    family = registry.load("families", name)
    facts = Facts("images", facts.rows, {**facts.sizes, "height": height, "width": width, "channels": channels})
    for params in family.defaults(facts):
        assert space.inside(params, family.space(facts))
    assert all(r.text for r in family.space(facts).values()), "every parameter says what it is"
    assert family.memory_mb(facts) > 0


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_it_learns_saves_loads_and_repeats_itself(name: str, kind: type, tmp_path: Path) -> None:
    given, params, steps = problem(kind=kind), quick(name), []
    fitted = fit(name, given, params, tmp_path, lambda step, p: steps.append(step) or 0.0)
    predictions = fitted.predict(given.valid)
    assert predictions.shape == (200, 3) and predictions.dtype == np.float32
    assert np.allclose(predictions.sum(axis=1), 1, atol=1e-5)
    assert accuracy(given.valid, predictions) > 0.9
    assert steps == sorted(steps) and steps[-1] >= 1
    fitted.save(tmp_path / "model")
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.joblib"))
    again = registry.load("families", name).load(tmp_path / "model").predict(given.valid)
    assert np.abs(again - predictions).max() <= 1e-6
    if kind is np.uint8:
        assert np.array_equal(fit(name, given, params, tmp_path).predict(given.valid), predictions)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_weights_count(name: str, tmp_path: Path) -> None:
    """Images of weight zero, their labels all wrong, do no harm."""
    given = problem()
    wrong = np.arange(400) < 200
    target = np.where(wrong, (given.train.target + 1) % 3, given.train.target).astype(np.int32)
    poisoned = Rows(given.train.numbers, given.train.categories, target, np.where(wrong, 0, 2).astype(np.float32),
                    images=given.train.images)
    assert accuracy(given.valid, fit(name, changed(given, train=poisoned), quick(name), tmp_path).predict(given.valid)) > 0.85


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_features_beside_images_are_used(name: str, tmp_path: Path) -> None:
    """The images are noise; a number and a category tell the classes."""
    def beside(count: int, rng: np.random.Generator) -> Rows:
        target = rng.integers(0, 3, count).astype(np.int32)
        numbers = np.where(target == 2, 3.0, 0.0)[:, None] + rng.normal(0, 0.5, (count, 2))
        codes = np.where(target == 2, rng.integers(1, 3, count), target + 1)[:, None].astype(np.int32)
        images = rng.integers(0, 256, (count, SIDE, SIDE, 1)).astype(np.uint8)
        return Rows(numbers.astype(np.float32), codes, target, np.ones(count, np.float32), images=images)

    given = problem(beside, levels={"side": ("left", "right")})
    facts = Facts("images", CLASSIFY.rows, {**CLASSIFY.sizes, "numbers": 2, "categories": 1, "levels": 2})
    fitted = fit(name, given, quick(name, facts), tmp_path)
    predictions = fitted.predict(given.valid)
    assert accuracy(given.valid, predictions) > 0.85
    unseen = Rows(given.valid.numbers, np.zeros_like(given.valid.categories), given.valid.target, given.valid.weight,
                  images=given.valid.images)
    assert np.isfinite(fitted.predict(unseen)).all()
    fitted.save(tmp_path / "model")
    again = registry.load("families", name).load(tmp_path / "model").predict(given.valid)
    assert np.abs(again - predictions).max() <= 1e-6


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_being_stopped_passes_through(name: str, tmp_path: Path) -> None:
    def stop(step: int, predictions: Any) -> float:
        raise Pruned

    with pytest.raises(Pruned):
        fit(name, problem(), quick(name), tmp_path, stop)


LOSSES = [(name, loss) for name in REGRESSORS
          for loss in (("squared", "gaussian") if name in NETWORKS else (None,))]


@pytest.mark.parametrize(("name", "loss"), LOSSES)
def test_amounts_are_learned_from_images(name: str, loss: str | None, tmp_path: Path) -> None:
    given = problem(amounts)
    params = quick(name, REGRESS, **({"loss": loss, "epochs": 12} if loss else {}))
    fitted = fit(name, given, params, tmp_path)
    predictions = fitted.predict(given.valid)
    assert predictions.shape == (200, 2, 2) and predictions.dtype == np.float32
    assert (relative_errors(given.valid, predictions) < 0.45).all()
    actual = np.sqrt(((predictions[..., 0] - given.valid.target) ** 2).mean(0))
    assert np.allclose(predictions[..., 1].mean(0), actual, rtol=0.6), "uncertainties are in the targets' units"
    fitted.save(tmp_path / "model")
    again = registry.load("families", name).load(tmp_path / "model").predict(given.valid)
    assert np.allclose(again, predictions, rtol=1e-5)


AUGMENTED = {"flip": "both", "rotation": 20.0, "translation": 0.1, "noise": 0.3, "intensity": 0.3}


@pytest.mark.parametrize("name", NETWORKS)
def test_images_are_not_changed_at_random_when_predicted(name: str, tmp_path: Path) -> None:
    given = problem(count=60)
    fitted = fit(name, given, quick(name, epochs=1, dropout=0.5, **AUGMENTED), tmp_path)
    first = fitted.predict(given.valid)
    assert np.array_equal(fitted.predict(given.valid), first)
    fitted.save(tmp_path / "model")
    again = registry.load("families", name).load(tmp_path / "model")
    assert np.abs(again.predict(given.valid) - first).max() <= 1e-6
    ops = keras_fit.load_keras().ops
    said = ops.convert_to_numpy(again.model(ops.convert_to_tensor(given.valid.images)))
    assert np.abs(said - first).max() <= 1e-5, "called without a word on training"
