"""Families of networks that are transferred keep the contract on every kind of base: images, numbers, series, texts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import keras_fit, registry, space
from automl_phys.errors import Mistake
from automl_phys.facts import Facts
from automl_phys.tasks import transfer
from automl_phys.trials import Job, Pruned
from automl_phys.values import Params

keras = keras_fit.load_keras()
layers = keras.layers

NETWORKS = ("transferred", "scratch")
BASES = ("images", "numbers", "series", "texts", "beside")
PAIRS = [*(("transferred", base) for base in BASES), ("scratch", "numbers")]
ROWS = 160


def job(family: str, params: Params, seed: int = 1) -> Job:
    return Job(1, family, params, seed, 1, "cpu", "log_loss", "minimize", "transfer", ".")


def columns(kind: str, target: Any, rng: np.random.Generator) -> dict[str, Any]:
    rows = len(target)
    noise = rng.normal(size=(rows, 8, 8))
    if kind == "images":
        noise[np.arange(rows), 2 * target + 1, 2 * target + 1] += 6
        return {"image": (20 * noise + 100).clip(0, 255).astype(np.uint8)}
    if kind == "series":
        return {"image": noise[:, :, :2] + 2 * target[:, None, None]}
    numbers = {f"x{i}": noise[:, 0, i] + 2.5 * (target == i) for i in range(4)}
    if kind == "beside":
        return {"image": noise, **numbers}
    return numbers


def network(kind: str) -> Any:
    """A base as someone else might have made it."""
    if kind == "images":
        return keras.Sequential([
            keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.BatchNormalization(name="norm"), layers.Dropout(0.3), layers.Flatten(), layers.Dense(2)])
    if kind == "series":
        return keras.Sequential([keras.Input((8, 2)), layers.Conv1D(4, 3, activation="relu", name="first"),
                                 layers.GlobalAveragePooling1D(), layers.Dense(2)])
    if kind == "numbers":
        return keras.Sequential([keras.Input((4,)), layers.Dense(8, "relu", name="first"),
                                 layers.Dense(8, "relu", name="second"), layers.Dense(2)])
    images, numbers = keras.Input((8, 8, 1), name="images"), keras.Input((4,), name="numbers")
    seen = layers.Flatten()(layers.Conv2D(2, 3, name="first")(images))
    joined = layers.concatenate([seen, layers.Dense(8, "relu", name="second")(numbers)])
    return keras.Model([images, numbers], layers.Dense(2)(layers.Dense(8, "relu", name="third")(joined)))


def written(kind: str, folder: Path, **more: Any) -> transfer.Options:
    """Options of a recipe, with data and base beside it."""
    rng = np.random.default_rng(3)
    target = rng.integers(0, 3, ROWS)
    labels = np.array(["a", "b", "c"])[target]
    if kind == "texts":
        words = (["alpha", "beta", "gamma"], ["delta", "epsilon", "zeta"], ["eta", "theta", "iota"])
        lines = [f'"{" ".join(rng.choice([*words[t], "the"], 6))}",{label}' for t, label in zip(target, labels, strict=True)]
        (folder / "notes.csv").write_text("note,label\n" + "\n".join(lines))
        vectors = [f"{word} {' '.join(map(str, rng.normal(size=6).round(3)))}" for group in words for word in group]
        (folder / "words.vec").write_text(f"{len(vectors)} 6\n" + "\n".join(vectors))
        data, base = {"path": "notes.csv", "text": "note"}, {"embeddings": "words.vec"}
    else:
        found = columns(kind, target, rng)
        np.savez(folder / "events.npz", label=labels, **found)
        keras.utils.set_random_seed(0)
        network(kind).save(folder / "base.keras")
        data = {"path": "events.npz", **({"images": "image"} if "image" in found else {})}
        data |= {"features": [f"x{i}" for i in range(4)]} if kind == "beside" else {}
        base = {"keras": "base.keras"}
    return transfer.Options.model_validate({"data": {**data, "target": "label"}, "base": base, **more})


def prepared(kind: str, folder: Path) -> Any:
    return transfer.prepare(written(kind, folder), folder, folder / "problem", 0)


def quick(family: str, facts: Facts, **more: Any) -> Params:
    params = dict(registry.load("families", family).defaults(facts)[0])
    return {**params, "epochs": 8, "learning_rate": 0.01, "batch_size": 16, **more}


def facts(**sizes: int) -> Facts:
    return Facts("images", {"train": 300, "valid": 100, "test": 1000}, {**transfer.EXAMPLE.sizes, **sizes})


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("given", [facts(), facts(freeze_stated=1), facts(series=1),
                                   Facts("text", {"train": 50, "valid": 20, "test": 20}, {"numbers": 0, "outputs": 2})])
def test_the_space_contains_the_defaults(family: str, given: Facts) -> None:
    module = registry.load("families", family)
    for params in module.defaults(given):
        assert space.inside(params, module.space(given))
    assert ("flip" in module.space(given)) == (given.kind == "images" and not given.sizes.get("series"))
    assert ("frozen" in module.space(given)) == (family == "transferred")
    assert module.skip(Facts("environment", {}, {})) and module.memory_mb(given) > 0


@pytest.mark.parametrize(("family", "kind"), PAIRS)
def test_it_learns_saves_and_loads(family: str, kind: str, tmp_path: Path) -> None:
    problem = prepared(kind, tmp_path)
    module, params = registry.load("families", family), quick(family, problem.facts())
    steps: list[int] = []
    fitted = module.fit(problem, params, job(family, params), lambda step, p: steps.append(step) or 0.0)
    predictions = fitted.predict(problem.test)
    assert predictions.shape == (len(problem.test), 3) and predictions.dtype == np.float32
    assert np.allclose(predictions.sum(axis=1), 1, atol=1e-5)
    assert steps == list(range(1, len(steps) + 1))
    fitted.save(tmp_path / "model")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["transferred.keras"]
    assert np.abs(module.load(tmp_path / "model").predict(problem.test) - predictions).max() <= 1e-6
    again = module.fit(problem, params, job(family, params), lambda *_: 0.0)
    assert np.array_equal(again.predict(problem.test), predictions), "the same seed, other numbers"


def test_being_stopped_passes_through(tmp_path: Path) -> None:
    problem = prepared("numbers", tmp_path)

    def stop(step: int, predictions: Any) -> float:
        raise Pruned

    params = quick("transferred", problem.facts())
    with pytest.raises(Pruned):
        registry.load("families", "transferred").fit(problem, params, job("transferred", params), stop)


def test_weights_count(tmp_path: Path) -> None:
    """Events of weight zero might as well not be there: their labels, all wrong, do no harm."""
    given = prepared("numbers", tmp_path)
    rows = given.train
    wrong = np.arange(len(rows)) < len(rows) // 2
    poisoned = partial(type(rows), rows.numbers, rows.categories, np.where(wrong, (rows.target + 1) % 3, rows.target))
    scores = []
    for weight in (np.where(wrong, 0, 2), np.ones(len(rows))):
        given.train = poisoned(weight.astype(np.float32))
        params = quick("transferred", given.facts(), frozen="none", gradual=False, epochs=25)
        fitted = registry.load("families", "transferred").fit(given, params, job("transferred", params), lambda *_: 0.0)
        scores.append(transfer.score("log_loss", given.test, fitted.predict(given.test)))
    assert scores[0] < scores[1]


@pytest.mark.parametrize(("more", "code"), [({"freeze": {"until": "fist"}}, "no-such-layer"), ({"freeze": 9}, "no-such-layer")])
def test_what_cannot_be_is_told_and_nothing_is_left(tmp_path: Path, more: dict[str, Any], code: str) -> None:
    from automl_phys.errors import DataError

    options = written("numbers", tmp_path, **more)
    with pytest.raises(DataError) as error:
        transfer.prepare(options, tmp_path, tmp_path / "problem", 0)
    found: Mistake = error.value.mistakes[0]
    assert found.code == code and found.key == ("freeze",) and "first, second" in found.remedy
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.keras", "events.npz"]
