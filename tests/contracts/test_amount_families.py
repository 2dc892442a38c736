"""Every family that predicts amounts keeps the contract: values and uncertainties in the targets' units, the same twice,
saved and loaded, weights honoured, every loss; and rows that come in blocks are learned from like rows in memory."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import binned, keras_fit, registry, space
from automl_phys.facts import Facts
from automl_phys.table import Rows
from automl_phys.trials import Job
from automl_phys.values import Params

FACTS = Facts("table", {"train": 600, "valid": 300, "test": 100},
              {"numbers": 3, "categories": 1, "outputs": 2, "levels": 2, "targets": 2})
FAMILIES = tuple(name for name in registry.names("families") if "regress" in registry.load("families", name).SOLVES
                 and registry.load("families", name).skip(FACTS) is None)
NOISE = np.array([5.0, 0.02])
"""Of the two targets, in units that differ by much."""


def rows(count: int, rng: np.random.Generator) -> Rows:
    x = rng.normal(size=(count, 3)).astype(np.float32)
    codes = rng.integers(1, 3, (count, 1)).astype(np.int32)
    truth = np.stack([80 + 30 * x[:, 0] + 20 * (codes[:, 0] - 1), 0.1 * x[:, 1] - 0.05 * x[:, 2]], axis=1)
    noisy = (truth + NOISE * rng.normal(size=(count, 2))).astype(np.float32)
    return Rows(x, codes, noisy, np.ones(count, np.float32))


def problem(seed: int = 0, count: int = 600, variation: str = "") -> Any:
    rng = np.random.default_rng(seed)
    return SimpleNamespace(train=rows(count, rng), valid=rows(300, rng), variation=variation,
                           schema=SimpleNamespace(classes=(), levels={"region": ("x", "y")}, target=("mass", "tau")))


def job(family: str, params: Params, folder: Path | str = ".", seed: int = 1) -> Job:
    return Job(1, family, params, seed, 1, "cpu", "rmse", "minimize", "regress", str(folder))


def quick(family: str, **pinned: Any) -> Params:
    params = dict(registry.load("families", family).defaults(FACTS)[0]) | pinned
    return {**params, **{k: v for k, v in {"epochs": 40, "trees": 100, "layers": [32, 32],
                                           "learning_rate": 0.1 if family == "boosted_trees" else 0.01}.items()
                         if k in params}}


def follow(step: int, predictions: Any) -> float:
    return 0.0


def fit(name: str, given: Any, params: Params, folder: Path | str = ".") -> Any:
    return registry.load("families", name).fit(given, params, job(name, params, folder), follow)


def relative_errors(of: Rows, predictions: Any) -> Any:
    """RMSE over the standard deviation, target by target."""
    residual = np.asarray(predictions[..., 0], np.float64) - of.target
    return np.sqrt((residual**2).mean(0)) / of.target.std(0)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_space_contains_the_defaults(name: str) -> None:
    family = registry.load("families", name)
    for params in family.defaults(FACTS):
        assert space.inside(params, family.space(FACTS))
    assert all(r.text for r in family.space(FACTS).values()), "every parameter says what it is"


@pytest.mark.parametrize("name", FAMILIES)
def test_it_learns_saves_and_loads(name: str, tmp_path: Path) -> None:
    given = problem()
    fitted = fit(name, given, quick(name), tmp_path)
    predictions = fitted.predict(given.valid)
    assert predictions.shape == (300, 2, 2) and predictions.dtype == np.float32
    assert (relative_errors(given.valid, predictions) < 0.55).all()
    sigma = predictions[..., 1]
    assert (sigma > 0).all()
    actual = np.sqrt(((predictions[..., 0] - given.valid.target) ** 2).mean(0))
    assert np.allclose(sigma.mean(0), actual, rtol=0.5), "uncertainties are in the targets' units"
    fitted.save(tmp_path / "model")
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.joblib"))
    again = registry.load("families", name).load(tmp_path / "model").predict(given.valid)
    assert np.allclose(again, predictions, rtol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_gives_the_same_numbers(name: str, tmp_path: Path) -> None:
    given, params = problem(), quick(name)
    first, second = (fit(name, given, params, tmp_path).predict(given.valid) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_of_weight_zero_might_as_well_not_be_there(name: str, tmp_path: Path) -> None:
    given, params = problem(), quick(name)
    wrong = np.arange(600) < 300
    poisoned = Rows(given.train.numbers, given.train.categories,
                    np.where(wrong[:, None], -given.train.target, given.train.target),
                    np.where(wrong, 0, 2).astype(np.float32))
    ignoring = fit(name, SimpleNamespace(**{**vars(given), "train": poisoned}), params, tmp_path).predict(given.valid)
    assert (relative_errors(given.valid, ignoring) < 0.7).all()


LOSSES = [(name, loss) for name in ("boosted_trees", "mlp")
          for loss in registry.load("families", name).space(FACTS)["loss"].choices]


@pytest.mark.parametrize(("name", "loss"), LOSSES)
def test_every_loss_learns(name: str, loss: str, tmp_path: Path) -> None:
    given = problem()
    predictions = fit(name, given, quick(name, loss=loss), tmp_path).predict(given.valid)
    assert (relative_errors(given.valid, predictions) < 0.6).all()
    pulls = (predictions[..., 0] - given.valid.target) / predictions[..., 1]
    assert np.allclose(np.quantile(abs(pulls), 0.683, axis=0), 1, atol=0.35)


@pytest.mark.parametrize("loss", ["gaussian", "quantile"])
def test_a_network_tells_where_it_is_less_sure(loss: str, tmp_path: Path) -> None:
    given = problem(count=4000)
    rng = np.random.default_rng(3)
    for part in (given.train, given.valid):
        part.target[:, 0] = 30 * part.numbers[:, 0] + 10 * np.exp(part.numbers[:, 1]) * rng.normal(size=len(part))
    sigma = fit("mlp", given, quick("mlp", loss=loss), tmp_path).predict(given.valid)[:, 0, 1]
    true = 10 * np.exp(given.valid.numbers[:, 1])
    assert np.corrcoef(np.log(sigma), np.log(true))[0, 1] > 0.8


# ---------------------------------------------------------------- more rows than memory

def test_a_network_learns_from_blocks_as_from_rows_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given, params = problem(count=4000), quick("mlp")
    whole = fit("mlp", given, params, tmp_path).predict(given.valid)
    monkeypatch.setattr(keras_fit, "DEVICE_BYTES", 40_000)
    assert keras_fit.Streamed.__name__  # blocks of some hundred rows, from all over
    streamed = fit("mlp", given, params, tmp_path).predict(given.valid)
    assert not np.array_equal(whole, streamed), "the limit had an effect"
    assert np.allclose(relative_errors(given.valid, streamed), relative_errors(given.valid, whole), atol=0.05)
    assert np.array_equal(streamed, fit("mlp", given, params, tmp_path).predict(given.valid))


def test_blocks_learn_from_classes_that_lie_one_after_the_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(2), 3000).astype(np.int32)
    numbers = (rng.normal(size=(6000, 2)) + 1.5 * target[:, None]).astype(np.float32)
    sorted_rows = Rows(numbers, np.empty((6000, 0), np.int32), target, np.ones(6000, np.float32))
    given = SimpleNamespace(train=sorted_rows, valid=sorted_rows.take(slice(None, None, 7)), variation="",
                            schema=SimpleNamespace(classes=("a", "b"), levels={}, target=("label",)))
    monkeypatch.setattr(keras_fit, "DEVICE_BYTES", 20_000)
    family = registry.load("families", "mlp")
    facts = Facts("table", {"train": 6000, "valid": 800, "test": 0}, {"numbers": 2, "categories": 0, "outputs": 2})
    params = {**family.defaults(facts)[0], "epochs": 5, "layers": [16]}
    asked = Job(1, "mlp", params, 1, 1, "cpu", "log_loss", "minimize", "classify", str(tmp_path))
    predictions = family.fit(given, params, asked, follow).predict(given.valid)
    assert ((predictions[:, 1] > 0.5) == (given.valid.target == 1)).mean() > 0.83


@pytest.mark.parametrize("variation", ["", "fold"])
def test_boosted_trees_are_the_same_from_binned_files(
    variation: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given, params = problem(count=3000, variation=variation), quick("boosted_trees")
    whole = fit("boosted_trees", given, params, tmp_path).predict(given.valid)
    monkeypatch.setattr(binned, "SMALL_CELLS", 100)
    monkeypatch.setattr(binned, "BLOCK_ROWS", 64)
    made = fit("boosted_trees", given, params, tmp_path).predict(given.valid)
    files = sorted(path.name for path in (tmp_path / "binned").glob("*")) if (tmp_path / "binned").exists() else []
    assert files == ([] if variation else ["plain-train.bin", "plain-valid.bin"])
    again = fit("boosted_trees", given, params, tmp_path).predict(given.valid)
    assert np.array_equal(made, again)
    assert np.allclose(made[..., 0], whole[..., 0], atol=0.01 * given.valid.target.std(0).max())
