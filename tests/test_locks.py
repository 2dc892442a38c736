"""Runs on record: what a lock holds, and what comes of running it again, here and elsewhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from automl_phys import lock_repeats, locks, recipe, rundir
from automl_phys.archive_contents import LOCK
from automl_phys.cli import main
from automl_phys.errors import RecipeError
from automl_phys.exhibits import Estimate, Evaluation
from automl_phys.rundir import RunDir
from tests.fixtures import small_recipe


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("locked")
    (folder / "recipes").mkdir()
    small_recipe.write(folder / "recipes")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "recipes/small.yaml", "--quiet"]) == 0
    return folder


@pytest.fixture
def inside(ran: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(ran)
    yield ran


def lock_of(folder: Path) -> Path:
    return next(path for path in folder.glob(f"runs/small/2*/{LOCK}"))


def test_a_lock_says_what_was_run_and_what_came_of_it(inside: Path) -> None:
    lock = locks.read(lock_of(inside))
    measured = rundir.read_json(RunDir(lock_of(inside).parent).evaluation, Evaluation)
    assert lock.verdict == measured.verdict
    assert {name: one.value for name, one in lock.metrics.items()} == pytest.approx(
        {name: one.value for name, one in measured.metrics.items()}, nan_ok=True)
    assert [one.path for one in lock.data] == ["events.csv"]
    assert lock.data[0].sha256 == rundir.sha256(inside / "recipes" / "events.csv")
    assert lock.rows == {"train": 180, "valid": 60, "test": 60}
    assert (lock.seed, lock.trials) == (3, 1)
    assert {"python", "packages", "cpu", "commit"} <= set(lock.environment)
    assert lock.folder == "../../../recipes"


def test_run_again_from_the_lock_all_numbers_are_the_same(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(lock_of(inside)), "--quiet", "--out", "again", "--no-cache"]) == 0
    told = capsys.readouterr().out
    assert "The same data, versions and machine as then." in told
    assert "numbers are the same as in the lock." in told
    again = next((inside / "again").glob(f"small/2*/{LOCK}"))
    assert str(locks.read(again).metrics) == str(locks.read(lock_of(inside)).metrics)  # NaN is not itself
    assert locks.read(again).recipe == locks.read(lock_of(inside)).recipe


def test_beside_its_data_a_lock_takes_those(inside: Path, tmp_path: Path) -> None:
    shutil.copy(lock_of(inside), tmp_path / LOCK)
    shutil.copy(inside / "recipes" / "events.csv", tmp_path / "events.csv")
    assert recipe.load(tmp_path / LOCK).folder == tmp_path
    assert recipe.load(lock_of(inside)).folder.resolve() == inside / "recipes"


def test_other_numbers_are_told_and_end_with_4(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = inside / "recipes" / "told.yaml"
    text = re.sub(r"roc_auc: \{value: [\d.]+, low: [\d.]+, high: [\d.]+\}",
                  "roc_auc: {value: 0.5, low: 0.49, high: 0.51}", lock_of(inside).read_text())
    path.write_text(re.sub("numpy: [0-9.]+", "numpy: 1.0.0", text).replace("cores: ", "cores: 10"))
    assert main(["run", str(path), "--quiet", "--out", "told"]) == 4
    told = " ".join(capsys.readouterr().out.split())
    assert re.search(r"numpy +1\.0\.0 +\d", told)
    assert re.search(r"cores +10\d", told)
    assert "1 of " in told
    assert "do not agree with those of the lock" in told


def test_numbers_without_an_error_that_differ_do_not_agree(inside: Path, tmp_path: Path) -> None:
    lock = locks.read(lock_of(inside))

    def repeated(then: float, now: float, error: float) -> lock_repeats.Repeat:
        run = RunDir(tmp_path / f"{now}-{error}")
        metric = Estimate(now, now - error, now + error)
        rundir.write_json(run.evaluation, Evaluation("", {"mean_return": metric}))
        number = locks.Number(then, then - error, then + error)
        return lock_repeats.repeat(replace(lock, metrics={"mean_return": number}), run)

    assert repeated(500.0, 500.0, 0.0).agrees
    assert not repeated(500.0, 499.0, 0.0).agrees
    assert repeated(500.0, 499.0, 1.0).agrees
    assert repeated(500.0, 499.0, float("nan")).agrees, "without an uncertainty it is not judged"


def test_other_data_are_told(inside: Path, tmp_path: Path) -> None:
    shutil.copy(lock_of(inside), tmp_path / LOCK)
    shutil.copy(inside / "recipes" / "events.csv", tmp_path / "events.csv")
    with (tmp_path / "events.csv").open("a") as more:
        more.write("1.0,2.0,sig\n")
    lock = locks.read(tmp_path / LOCK)
    rows = lock_repeats.world(lock, recipe.load(tmp_path / LOCK)).rows
    assert [row[0] for row in rows] == ["data events.csv"]
    (tmp_path / "events.csv").unlink()
    rows = lock_repeats.world(lock, recipe.load(tmp_path / LOCK, ["data.path=gone.csv"])).rows
    assert ("data events.csv", lock.data[0].sha256[:12], "not there") in rows


@pytest.mark.parametrize(("old", "new", "code"), [
    ("lock: 1", "lock: 2", "other-version"), ("trials: 1\nseed", "trials: many\nseed", "damaged-lock"),
    ("task: classify", "task: clasify", "unknown-word")])
def test_damaged_locks_are_refused_with_the_place(
    inside: Path, tmp_path: Path, old: str, new: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.lock.yaml"
    text = lock_of(inside).read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(RecipeError) as error:
        recipe.load(path)
        locks.read(path)
    assert error.value.mistakes[0].code == code
    assert error.value.mistakes[0].place is not None
    assert main(["run", str(path), "--out", str(tmp_path / "runs")]) == 2
    assert not (tmp_path / "runs").exists()


def test_a_packed_run_is_held_against_its_lock_elsewhere(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "small.amlphys.zip"
    assert main(["pack", str(lock_of(inside).parent), "--with-data", "-o", str(archive)]) == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    capsys.readouterr()
    assert main(["run", str(archive), "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "The same data, versions and machine as then." in told
    assert "numbers are the same as in the lock." in told
    packed = locks.of(str(archive))
    assert packed is not None
    assert [one.path for one in packed.data] == ["data/events.csv"]
    assert packed.recipe["data"]["path"] == "data/events.csv"
    assert str(inside) not in locks.text(packed)


def test_an_archive_without_its_data_says_which(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "small.amlphys.zip"
    assert main(["pack", str(lock_of(inside).parent), "-o", str(archive)]) == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["plan", "small.amlphys.zip"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "are not in small.amlphys.zip: data/events.csv" in told
    assert "--set data.path=" in told
    shutil.copy(inside / "recipes" / "events.csv", tmp_path / "here.csv")
    assert main(["plan", "small.amlphys.zip", "--set", "data.path=here.csv"]) == 0
