"""'automl-phys check' from the command line: exit codes, what it writes, what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import xmlschema

from automl_phys import check_outputs, checking, locks, machine, recipe
from automl_phys.archive_contents import LOCK
from automl_phys.checking import Checked, Checks, Wish
from automl_phys.cli import main
from automl_phys.console import Terminal
from automl_phys.exhibits import Estimate
from automl_phys.expectations import Held
from tests.fixtures import small_recipe

SCHEMA = Path(__file__).with_name("junit.xsd")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe that was checked, and written into, once."""
    folder = tmp_path_factory.mktemp("ran")
    small_recipe.write(folder, "roc_auc: {value: 0.5, sigmas: 3}   # to be measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["check", "small.yaml", "--quiet", "--update", "--seeds", "2", "--junit", "out.xml"]) == 0
    return folder


@pytest.fixture
def inside(ran: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(ran)
    yield ran


def test_update_writes_what_was_measured(inside: Path) -> None:
    text = (inside / "small.yaml").read_text()
    assert "# to be measured" in text
    assert text.startswith(small_recipe.RECIPE)
    written = recipe.load(inside / "small.yaml").expect["roc_auc"]
    runs = [locks.read(path) for path in sorted(inside.glob(f"runs/small/2*/{LOCK}"))]
    assert len(runs) == 2
    assert sorted(lock.seed for lock in runs) == [3, 4]
    assert written.value == pytest.approx(sum(lock.metrics["roc_auc"].value for lock in runs) / 2, abs=1e-3)
    assert written.error is not None
    assert written.error > 0


def test_junit_is_what_ci_servers_read(inside: Path) -> None:
    xmlschema.validate("out.xml", SCHEMA)
    suites = Xml.parse(inside / "out.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["small (seed 3)", "small (seed 4)"]
    assert [case.get("name") for case in suites.iter("testcase")] == ["runs", "roc_auc"] * 2


def test_the_same_again_passes_and_its_breaking_is_missed(
    inside: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sets = ["--set", "data.exclude=[mass]", "--set", "expect.roc_auc.spread=0.0"]  # two seeds know none
    report = tmp_path / "table.md"
    assert main(["check", "small.yaml", "--quiet", "--json", *sets, "--markdown", str(report)]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["exit"] == 4
    assert told["checks"][0]["status"] == "missed"
    assert "| **missed**: It is worse by " in report.read_text()


def test_runs_are_taken_from_cache_only_when_nothing_changed(
    inside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = {"commit": "a" * 40}
    real = machine.describe()
    monkeypatch.setattr(machine, "describe", lambda: {**real, **commit})
    for path in inside.glob(f"runs/small/2*/{LOCK}"):
        path.write_text(re.sub("commit: .*", f"commit: {'a' * 40}", path.read_text()))
    wanted = recipe.load(Path("small.yaml"))
    found = checking._earlier(wanted, Path("runs"))
    assert found is not None
    assert locks.read(found / LOCK).seed == 3
    assert main(["check", "small.yaml", "--cached", "--quiet"]) == 0
    assert "1 taken from earlier runs" in capsys.readouterr().out
    assert checking._earlier(recipe.load(Path("small.yaml"), ["search.trials=2"]), Path("runs")) is None
    assert checking._earlier(recipe.load(Path("small.yaml"), ["seed=9"]), Path("runs")) is None
    damaged = next(inside.glob(f"runs/small/2*/{LOCK}")).parent.parent / "29990101-000000-damaged" / LOCK
    damaged.parent.mkdir()
    damaged.write_text("lock: 1\nrecipe: {}\n")
    assert checking._earlier(wanted, Path("runs")) == found
    shutil.rmtree(damaged.parent)
    commit["commit"] = "b" * 40
    assert checking._earlier(wanted, Path("runs")) is None
    commit["commit"] = "a" * 40 + "-dirty"
    assert checking._earlier(wanted, Path("runs")) is None
    commit["commit"] = "a" * 40
    events = Path("events.csv").read_bytes()
    try:
        Path("events.csv").write_bytes(events + b"1.0,2.0,sig\n")
        assert checking._earlier(wanted, Path("runs")) is None
    finally:
        Path("events.csv").write_bytes(events)


def test_smoke_only_sees_that_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    small_recipe.write(tmp_path)
    assert main(["check", "small.yaml", "--smoke", "--quiet"]) == 0
    assert "1 ran." in capsys.readouterr().out


def test_all_mistakes_are_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small_recipe.write(tmp_path, "", "nothing")
    small_recipe.write(tmp_path, "accuracy: {value: 0.9, tolerance: 0.001}", "fine")
    small_recipe.write(tmp_path, "roc_auk: {min: 0.9}", "unknown")
    assert main(["check", "nothing.yaml", "fine.yaml", "unknown.yaml", "--quiet"]) == 2
    told = capsys.readouterr().err
    assert "expects nothing" in told
    assert "finer than one event: with 60" in told
    assert "fine.yaml:11:" in told
    assert "Did you mean 'roc_auc'?" in told
    assert not (tmp_path / "runs").exists()


def test_a_run_that_fails_is_a_failure_and_the_next_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Path
) -> None:
    good = next(iter(sorted(inside.glob("runs/small/2*"))))
    answers = iter([(None, "It failed.\nBecause."), (good, "")])
    monkeypatch.setattr(checking, "_in_own_process", lambda *_: next(answers))
    wish = Wish(tmp_path, quiet=True)
    checks = Checks()
    checking.run(checking.load(["small.yaml"], wish) * 2, wish, checks, Terminal(True))
    assert [one.status for one in checks.done] == ["failed", "passed"]
    assert checks.exit_code == 1
    assert checking.update(checking.load(["small.yaml"], wish), checks) == [
        "small.yaml is left as it is: not all of its runs came to their end."]


def test_a_process_that_dies_is_a_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Path) -> None:
    monkeypatch.setattr(checking, "_run", _die)
    assert checking._in_own_process("small.yaml", 3, Wish(tmp_path)) == (
        None, "The process died; the system may have run out of memory.")


def _die(*_: object) -> None:
    import os
    os._exit(9)


def test_what_was_not_come_to_is_skipped_and_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: Path
) -> None:
    def stopped(*_: object) -> tuple[Path | None, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "_in_own_process", stopped)
    wish = Wish(tmp_path, quiet=True)
    checks = Checks()
    checking.run(checking.load(["small.yaml"], wish) * 2, wish, checks, Terminal(True))
    assert [one.status for one in checks.done] == ["skipped", "skipped"]
    assert checks.exit_code == 130
    assert Checks(checks.done).exit_code == 1


def test_whatever_a_check_came_to_can_be_written() -> None:
    missed = Held("roc_auc", False, "0.9 within 3 σ", Estimate(0.5, 0.4, 0.6), "It is <worse> & \x1b[31m", -4.0)
    done = [Checked("a.yaml", "a", "classify", 1, "missed", (missed,), "runs/a/1", 2.5),
            Checked("b.yaml", "b", "classify", 1, "failed", error="b.yaml:1:1: Broken | ```\nTwice."),
            Checked("c.yaml", "c", "reduce+cluster", 1, "skipped", error="Stopped."),
            Checked("d.yaml", "d", "forecast", 1, "ran", cached=True, run="runs/d/1")]
    text = check_outputs.junit(done)
    xmlschema.validate(text, SCHEMA)
    root = Xml.fromstring(text)
    assert [(suite.get("failures"), suite.get("errors"), suite.get("skipped")) for suite in root] == [
        ("1", "0", "0"), ("0", "1", "0"), ("0", "0", "1"), ("0", "0", "0")]
    written = check_outputs.markdown_text(done)
    assert all(line.count("|") - line.count("\\|") == 7 for line in written.splitlines() if line.startswith("|"))
    assert check_outputs.summary(done).startswith("1 ran, 1 missed, 1 failed, 1 skipped; 1 taken")
    assert len(check_outputs.table(done).rows) == 4
