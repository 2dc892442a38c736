"""Task ``transfer``: draws of fewer rows, what is frozen stays, the comparison and its verdict, bases on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import keras_fit, saved_networks, transfer_exhibits, transferring
from automl_phys.contracts import Candidate, Replica
from automl_phys.errors import DataError
from automl_phys.exhibits import Estimate, Score
from automl_phys.tasks import transfer
from automl_phys.transfer_exhibits import Draws
from automl_phys.trials import Job

keras = keras_fit.load_keras()
layers = keras.layers
JOB = Job(1, "transferred", {}, 1, 1, "cpu", "log_loss", "minimize", "transfer", ".")
LITTLE = {"scaling": True, "units": 0, "dropout": 0.0, "label_smoothing": 0.0, "learning_rate": 0.01,
          "schedule": "cosine", "weight_decay": 0.01, "batch_size": 16, "epochs": 6, "frozen": "all", "flip": "none",
          "rotation": 0.0, "translation": 0.0, "noise": 0.0, "intensity": 0.0}


def options(**more: Any) -> transfer.Options:
    data = {"path": "events.npz", "images": "image", "target": "label", "spectators": ["event"], "weight": "w"}
    return transfer.Options.model_validate({"data": data, "base": {"keras": "base.keras"}, **more})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 8 × 8 pixels in which a class has its own bright place, and a network for such images."""
    made = tmp_path_factory.mktemp("transfer")
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 200)
    images = rng.normal(100, 20, (200, 8, 8))
    images[np.arange(200), 2 + 3 * target, 4] += 120
    np.savez(made / "events.npz", image=images.clip(0, 255).astype(np.uint8), label=np.array(["a", "b"])[target],
             event=np.arange(200), w=rng.uniform(0.5, 1.5, 200))
    keras.utils.set_random_seed(0)
    keras.Sequential([
        keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(3, 3, activation="relu", name="first"),
        layers.BatchNormalization(name="norm"), layers.Conv2D(3, 3, activation="relu", name="second"),
        layers.Dropout(0.3), layers.Flatten(), layers.Dense(2)]).save(made / "base.keras")
    return made


@pytest.fixture(scope="module")
def problem(folder: Path) -> Any:
    return transfer.prepare(options(), folder, folder / "problem", 0)


def fitted(problem: Any, watch: Any = lambda *_: 0.0, **params: Any) -> Any:
    return transferring.fit(problem, {**LITTLE, **params}, JOB, watch, kept=True)


def weights(model: Any) -> dict[str, list[Any]]:
    from automl_phys import backbones

    return {layer.name: layer.get_weights() for layer in backbones.leaves(model)}


# ---------------------------------------------------------------- what is frozen

@pytest.mark.parametrize(("frozen", "gradual", "kept"), [
    ("all", False, {"first", "norm", "second"}), ("half", True, {"first", "norm"}), ("none", False, set())])
def test_what_is_frozen_is_the_same_to_the_bit(problem: Any, frozen: str, gradual: bool, kept: set[str]) -> None:
    """With the averages of batch normalisation, which training would move."""
    before = weights(saved_networks.load(problem.folder / transferring.BASE))
    made = fitted(problem, frozen=frozen, gradual=gradual, rotation=10.0)
    after = weights(made.model)
    same = {name for name in before if all(np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True))}
    assert same == kept and made.frozen == len(kept)


def test_features_that_are_computed_once_give_the_same_model(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout within a base that is all frozen does nothing, whether it is cached or not."""
    quick = fitted(problem)
    monkeypatch.setattr(transferring, "_augmented", lambda given, *_: list(given))
    plain = fitted(problem)
    assert np.allclose(quick.predict(problem.test), plain.predict(problem.test), atol=1e-4)
    assert quick.steps == plain.steps


def test_gradually_the_head_is_trained_first_then_layers_at_falling_rates(
    problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from automl_phys import supervised

    trained: list[tuple[float, list[str]]] = []
    train = supervised.train

    def follow(network: Any, aim: Any, of: Any, given: Any, values: Any, *rest: Any) -> Any:
        names = {v.path.split("/")[-2] for v in network.trainable_variables} & {"first", "norm", "second"}
        trained.append((values["learning_rate"], sorted(names)))
        return train(network, aim, of, given, values, *rest)

    monkeypatch.setattr(supervised, "train", follow)
    steps: list[int] = []
    fitted(problem, lambda step, _: steps.append(step) or 0.0, frozen="none", gradual=True)
    assert [names for _, names in trained] == [[], ["second"], ["norm", "second"], ["first", "norm", "second"]]
    assert [rate for rate, _ in trained] == pytest.approx([0.03, 0.01, 0.005, 0.0025])
    assert steps == list(range(1, len(steps) + 1))


def test_images_are_changed_in_training_alone(problem: Any) -> None:
    seen: dict[int, Any] = {}
    made = fitted(problem, lambda step, p: seen.update({step: p}) or 0.0, flip="both", rotation=90.0, noise=0.3)
    from automl_phys import backbones

    assert not [layer for layer in backbones._all(made.model) if "Random" in type(layer).__name__
                or "Noise" in type(layer).__name__]
    assert np.allclose(seen[made.steps], made.predict(problem.valid), atol=1e-5)


def test_averages_of_batch_normalisation_follow_a_short_training(problem: Any) -> None:
    made = transferring.fit(problem, {**LITTLE, "epochs": 12}, JOB, lambda *_: 0.0, kept=False)
    layer = next(layer for layer in made.model.get_layer("backbone").layers if hasattr(layer, "layers"))
    assert layer.get_layer("norm").momentum == 0.9
    assert np.abs(layer.get_layer("norm").get_weights()[2]).max() > 1e-3


def test_it_works_on_tensorflow_and_what_it_saves_on_jax(problem: Any, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
import numpy as np
from automl_phys import saved_networks, transferring
from automl_phys.tasks import transfer
from tests.test_transfer import LITTLE, JOB, weights
problem = transfer.load(Path({str(problem.folder)!r}))
before = weights(saved_networks.load(problem.folder / transferring.BASE))
# mirrored the way that leaves a class its place, so that layers which are trained later make it better, not worse
made = transferring.fit(problem, LITTLE | dict(frozen="half", gradual=True, epochs=12, flip="horizontal"), JOB, lambda *_: 0.0, kept=True)
after = weights(made.model)
assert all(np.array_equal(a, b) for name in ("first", "norm") for a, b in zip(before[name], after[name]))
assert not np.array_equal(before["second"][0], after["second"][0])
made.save(Path({str(tmp_path)!r}))
np.save(Path({str(tmp_path / "said.npy")!r}), made.predict(problem.test))
"""
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root,
                   env={**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(root)})
    again = transferring.load(tmp_path).predict(problem.test)
    assert np.abs(again - np.load(tmp_path / "said.npy")).max() <= 1e-5


# ---------------------------------------------------------------- draws, settings, bases on disk

def test_draws_are_of_falling_sizes_and_all_have_the_same_test(problem: Any) -> None:
    draws = problem.resamples(8, 5)
    assert [draw.variation for draw in draws[:5]] == ["160 rows, draw 1", "80 rows, draw 1", "40 rows, draw 1",
                                                     "20 rows, draw 1", "160 rows, draw 2"]
    rows = [set(draw.positions("train")) | set(draw.positions("valid")) for draw in draws]
    assert rows[3] < rows[2] < rows[1] < rows[0] and rows[1] != rows[5]
    assert all(np.array_equal(draw.positions("test"), problem.positions("test")) for draw in draws)
    again = problem.resamples(8, 5)
    assert all(np.array_equal(a.positions("train"), b.positions("train")) for a, b in zip(draws, again, strict=True))


def test_draws_of_whole_groups_are_of_the_same_sizes(folder: Path, tmp_path: Path) -> None:
    """Or no two of them could be compared."""
    with np.load(folder / "events.npz") as events:
        np.savez(tmp_path / "events.npz", **events, night=np.arange(200) // 7)
    (tmp_path / "base.keras").write_bytes((folder / "base.keras").read_bytes())
    how = options().model_copy(update={"data": type(options().data).model_validate({
        "path": "events.npz", "images": "image", "target": "label", "group": "night", "split": {"by": "group"}})})
    draws = transfer.prepare(how, tmp_path, tmp_path / "problem", 0).resamples(8, 5)
    assert [draw.variation.split(",")[0] for draw in draws[:4]] == [draw.variation.split(",")[0] for draw in draws[4:]]


def test_the_smallest_sample_has_rows_of_every_class(folder: Path) -> None:
    assert transfer.look(options(), folder, 0).sizes["replicas"] == 5 * 4
    many = transfer.look(options(transfer={"draws": 2, "sizes": 10}), folder, 0)
    assert many.sizes["replicas"] == 2 * 4, "120 training rows may be halved three times: 15 of two classes"


def test_all_that_decides_is_in_the_fingerprint(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("events.npz", "base.keras"):
        (other / name).write_bytes((folder / name).read_bytes())
    first = transfer.fingerprint(options(), folder, 0)
    assert transfer.fingerprint(options(), other, 0) == first
    (other / "base.keras").write_bytes((folder / "problem" / transferring.BASE).read_bytes())
    found = [transfer.fingerprint(options(), other, 0), transfer.fingerprint(options(freeze="all"), folder, 0),
             transfer.fingerprint(options(freeze={"until": "norm"}), folder, 0), transfer.fingerprint(options(), folder, 1),
             transfer.fingerprint(options(transfer={"draws": 7}), folder, 0)]
    assert len({first, *found}) == 6


def test_words_of_the_recipe_pin_the_space() -> None:
    pinned = transfer.overrides(options(gradual=True, augment=["flip", {"rotate": 15}]))
    assert pinned["transferred"] == {"gradual": True, "flip": "horizontal", "rotation": 15, "translation": 0.0,
                                     "noise": 0.0, "intensity": 0.0}
    assert "gradual" not in pinned["scratch"] and transfer.overrides(options()) == {}


def test_a_base_without_weights_is_the_same_for_the_same_seed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from automl_phys import backbones

    def small(*_: Any) -> Any:
        return keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()])

    monkeypatch.setattr(backbones, "application", small)
    how = options(base={"application": "MobileNetV2", "weights": "none"})
    made = [transfer.prepare(how, folder, tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    first, same, other = (saved_networks.load(one.folder / transferring.BASE).get_weights()[0] for one in made)
    assert np.array_equal(first, same) and not np.array_equal(first, other)


def test_mistakes_in_base_and_data_are_told_together(folder: Path) -> None:
    wrong = options(base={"keras": "bose.keras"}, data={"path": "events.npz", "images": "image", "target": "lable"})
    with pytest.raises(DataError) as error:
        transfer.look(wrong, folder, 0)
    assert {mistake.key[0] for mistake in error.value.mistakes} == {"base", "data"}
    assert "Did you mean 'base.keras'?" in error.value.mistakes[0].text


def test_series_are_not_augmented(folder: Path, tmp_path: Path) -> None:
    keras.Sequential([keras.Input((8, 8)), layers.Conv1D(2, 3), layers.GlobalMaxPooling1D(), layers.Dense(2)]).save(
        tmp_path / "base.keras")
    (tmp_path / "events.npz").write_bytes((folder / "events.npz").read_bytes())
    facts = transfer.look(options(), tmp_path, 0)
    assert "rotation" not in transferring.space(facts, kept=True)
    with pytest.raises(DataError) as error:
        transfer.look(options(augment=["flip"]), tmp_path, 0)
    assert error.value.mistakes[0].key == ("augment",)


# ---------------------------------------------------------------- the comparison

def draws_of(mine: float, theirs: float, baseline: float = 0.5, count: int = 5, objective: str = "log_loss") -> Draws:
    noise = np.random.default_rng(1).normal(0, 0.01, (3, count))
    values = {name: {300: {i + 1: value + noise[k, i] for i in range(count)}}
              for k, (name, value) in enumerate((("transferred", mine), ("scratch", theirs), ("linear", baseline)))}
    return Draws(objective, values)


@pytest.mark.parametrize(("mine", "theirs", "objective", "said"), [
    (0.3, 0.4, "log_loss", "Transfer paid: log loss 0.30"), (0.9, 0.8, "roc_auc", "Transfer paid: ROC AUC 0.90"),
    (0.4, 0.3, "log_loss", "Transfer did harm: "), (0.8, 0.9, "roc_auc", "Transfer did harm: "),
    (0.3, 0.302, "log_loss", "Transfer did not pay: ")])
def test_the_verdict_says_whether_transfer_paid(mine: float, theirs: float, objective: str, said: str) -> None:
    text = transfer_exhibits.verdict(draws_of(mine, theirs, objective=objective), "linear")
    assert text.startswith(said) and "with 300 labelled rows" in text and "over 5 draws" in text
    assert ("which is within the uncertainty" in text) == (said == "Transfer did not pay: ")
    assert "the linear baseline" in text


def test_sigmas_are_those_of_students_t() -> None:
    from scipy import stats

    one = draws_of(0.3, 0.315, count=4)
    mine, theirs = (list(one.values[name][300].values()) for name in ("transferred", "scratch"))
    p = stats.ttest_rel(theirs, mine).pvalue
    assert one.sigmas("transferred", "scratch", 300) == pytest.approx(stats.norm.isf(p / 2))
    assert one.sigmas("scratch", "transferred", 300) == pytest.approx(-stats.norm.isf(p / 2))


def test_draws_that_are_missing_are_shown_as_such() -> None:
    one = draws_of(0.3, 0.4)
    lost = {300: {i: v for i, v in one.values["scratch"][300].items() if i > 2}}
    fewer = Draws("log_loss", {**one.values, "scratch": lost})
    table = transfer_exhibits.table({"log_loss": fewer}, {"transferred": "transferred", "scratch": "scratch"})
    assert [row[-1] for row in table.rows] == [5, 3]
    assert "over 3 draws" in transfer_exhibits.verdict(fewer, "linear")
    alone = Draws("log_loss", {**one.values, "scratch": {300: {1: 0.4}}})
    assert transfer_exhibits.verdict(alone, "linear").startswith("Whether transfer paid is not known")
    without = Draws("log_loss", {"transferred": one.values["transferred"]})
    assert transfer_exhibits.verdict(without, "linear").startswith("Whether transfer paid is not known")
    assert transfer_exhibits.estimates(without, "linear") == {}
    assert transfer_exhibits.curve(without, {"transferred": "transferred", "scratch": "scratch"}).series


def model(skill: float) -> Any:
    def predict(rows: Any) -> Any:
        bright = np.asarray(rows.images, np.float32)[:, 5, 4, 0] - np.asarray(rows.images, np.float32)[:, 2, 4, 0]
        p = 1 / (1 + np.exp(-skill * bright / 50))
        return np.stack([1 - p, p], axis=1).astype(np.float32)
    return predict


def test_an_evaluation_holds_transfer_against_the_others_whoever_won(problem: Any) -> None:
    skills = {"scratch": 2.0, "transferred": 1.0, "linear": 0.3}
    candidates = []
    for family, skill in skills.items():
        replicas = tuple(
            Replica(draw.variation, 0.0, np.empty(0), model(skill * (1 + 0.05 * i))) for i, draw in
            enumerate(problem.resamples(6, 0)))
        role = "baseline" if family == "linear" else "winner" if family == "scratch" else "member"
        parts = {part: model(skill)(getattr(problem, part)) for part in ("train", "test")}
        candidates.append(Candidate(f"best {family}", role, parts, model(skill), family=family, replicas=replicas))
    found = transfer.evaluate(problem, [*candidates, replace(candidates[0], role="member")], "log_loss", {}, 0)
    assert found.verdict.startswith("Transfer did ") and "The search's winner, best scratch, has log loss" in found.verdict
    assert found.figures[0].name == "transfer-curve" and found.figures[0].section == "Transfer"
    assert [s.name for s in found.figures[0].series if s.name] == ["transferred", "scratch", "linear baseline"]
    assert found.tables[1].title == "Transfer, scratch and baseline" and len(found.tables[1].rows) == 4 * 3
    assert ("The base is the network in base.keras.",) in found.tables[2].rows
    assert {"gain_over_scratch", "gain_over_baseline"} <= set(found.metrics)
    # the baseline's family has a better trial, which is the one that was fitted again
    tuned = replace(candidates[2], name="tuned linear", role="member")
    again = [*candidates[:2], tuned, replace(candidates[2], replicas=())]
    assert "gain_over_baseline" in transfer.evaluate(problem, again, "log_loss", {}, 0).metrics
    assert set(transfer_exhibits.draws(again, problem.test, "log_loss")["log_loss"].values) == {"transferred", "scratch", "linear"}
    plain = transfer.evaluate(problem, [replace(one, replicas=()) for one in candidates], "log_loss", {}, 0)
    assert "gain_over_scratch" not in plain.metrics


def test_the_winners_sentence_claims_nothing_but_its_score() -> None:
    score = Score("scratch (trial 3)", "winner", {"log_loss": Estimate(0.3, 0.29, 0.31)}, None)
    assert transfer_exhibits.winner(score, "log_loss") == (
        "The search's winner, scratch (trial 3), has log loss 0.300 ± 0.010 on the test rows.")


def test_new_texts_are_read_as_those_of_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f'"{" ".join(rng.choice(["higgs", "boson"] if i % 2 else ["quark", "decay"], 4))}",{i % 2},{i}' for i in range(80)]
    (tmp_path / "notes.csv").write_text("note,label,id\n" + "\n".join(lines))
    (tmp_path / "v.txt").write_text("higgs 1 0\nboson 1 1\nquark 0 -1\n")
    given = transfer.Options.model_validate({
        "data": {"path": "notes.csv", "text": "note", "target": "label", "spectators": ["id"]},
        "base": {"embeddings": "v.txt"}})
    made = transfer.prepare(given, tmp_path, tmp_path / "problem", 0)
    assert any("most often decay" in note for note in made.facts().notes)
    params = {key: value for key, value in LITTLE.items() if key not in ("flip", "rotation", "translation", "noise", "intensity")}
    tuned = transferring.fit(made, {**params, "frozen": "none", "gradual": False}, JOB, lambda *_: 0.0, kept=True)
    (tmp_path / "new.csv").write_text('note,id\n"Higgs and boson!",7\n"",8\n"never seen",9\n')
    new = transfer.read_new(made, tmp_path / "new.csv")
    assert tuned.predict(new).shape == (3, 2)
    transfer.write_scores(made, new, tuned.predict(new), {}, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text().splitlines()[0].startswith('"row","id","score_0"')
    (tmp_path / "other.csv").write_text("nota,id\nhiggs,7\n")
    with pytest.raises(DataError) as error:
        transfer.read_new(made, tmp_path / "other.csv")
    assert "note" in error.value.mistakes[0].text
