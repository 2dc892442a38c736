"""The doctor finds what is missing, says how to get it, and ends with 1 only for what runs need."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from automl_phys import doctor, doctor_questions, machine
from automl_phys.cli import main
from automl_phys.console import Terminal
from automl_phys.doctor import Diagnosis, Found, Section
from automl_phys.doctor_questions import Answer

SEEING = tuple(Answer(word, True, "1.0", ()) for word in doctor.FRAMEWORKS)


@pytest.fixture
def quick(monkeypatch):
    """Frameworks that answer at once, on a machine without GPUs and batch systems."""
    monkeypatch.setattr(doctor_questions, "ask", lambda frameworks, patience_s: SEEING)
    monkeypatch.setenv("PATH", "")


def states(found):
    return {one.what: one.state for section in found.sections for one in section.found}


def test_here_runs_work(quick, capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "Runs will work here" in shown and "\x1b" not in shown
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["works"] is True
    assert [section["title"] for section in told["sections"]] == [
        "Python", "Machine", "Folders", "GPUs", "Frameworks", "Batch systems", "Extras"]
    (cores,) = [one for one in told["sections"][1]["found"] if one["what"] == "cores"]
    assert cores["found"].startswith(str(machine.cores())) and cores["state"] == "ok"


def test_a_package_that_is_missing_or_too_old_ends_with_1_and_its_command(quick, monkeypatch, capsys):
    version = machine.version
    old = {"keras": "3.2.1", "optuna": None}
    monkeypatch.setattr(machine, "version", lambda name: old[name] if name in old else version(name))
    assert main(["doctor"]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "keras 3.2.1 is too old → pip install -U \"keras>=3.15\"" in shown
    assert "optuna not installed → pip install -U \"optuna>=5.0\"" in shown
    assert "pip install -U \"keras>=3.15\" \"optuna>=5.0\"" in shown
    assert "Runs will not work here: 3 things missing." in shown


@pytest.mark.parametrize(("version", "requirement", "enough"), [
    ("3.15.1", "keras>=3.15", True), ("3.9", "keras>=3.15", False), ("2.13.0+cpu", "torch>=2.13", True),
    ("5.0", "optuna>=5.0.0", True), ("2026.8.0", "dask>=2026.10", False), ("1.0", "anything", True)])
def test_versions_are_compared_as_numbers(version, requirement, enough):
    assert doctor.at_least(version, requirement) == enough


def test_folders_that_cannot_be_written_are_told(tmp_path, monkeypatch):
    assert doctor.folder("cache", tmp_path / "not/yet/made", True, "").state in ("ok", "note")
    assert not list(tmp_path.iterdir())

    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    assert doctor.folder("cache", tmp_path, True, "move") == Found(
        "cache", f"{tmp_path}: Permission denied", "missing", "move")
    assert doctor.folder("runs", tmp_path, False, "move").state == "note"
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "LITTLE_DISK_GB", 1e9)
    assert doctor.folder("runs", tmp_path, True, "move").state == "note"


def test_what_sees_the_gpus_and_what_to_install_for_those_that_do_not():
    answers = [Answer("tensorflow", True, "2.21.0"), Answer("jax", True, "0.10.2", ("gpu:0 NVIDIA A100",)),
               Answer("torch", True, "2.13.0+cpu")]
    found = list(doctor.frameworks(answers, ["gpu:0"], lambda package: None))
    assert [(one.state, one.remedy) for one in found] == [
        ("note", 'pip install "tensorflow[and-cuda]"'), ("ok", ""), ("note", "pip install --force-reinstall torch")]
    assert {one.state for one in doctor.frameworks(answers, [], lambda package: None)} == {"ok"}
    (driver,) = doctor.frameworks(answers[:1], ["gpu:0"], lambda package: "9.1")
    assert "driver" in driver.remedy and "pip" not in driver.remedy
    broken = doctor.frameworks([Answer("jax", False, error="ImportError: no"), Answer("torch", False)], [])
    assert [one.state for one in broken] == ["missing", "note"]


def test_gpus_slices_and_batch_systems_are_listed(tmp_path, monkeypatch):
    from test_machine import A_SLICE, FIRST, LISTING, SECOND, gpus, nvidia_smi

    nvidia_smi(tmp_path, list(gpus.FIELDS), [
        ("0", FIRST, "Tesla V100-SXM2-16GB", "16384", "550.54.15", "7.0", "[N/A]"),
        ("1", SECOND, "NVIDIA A100-SXM4-40GB", "40960", "550.54.15", "8.0", "Enabled")], LISTING)
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setattr(doctor_questions, "ask", lambda frameworks, patience_s: SEEING)
    monkeypatch.setattr(machine, "version", lambda name: None if name == "dask-jobqueue" else "9999")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found = doctor.look()
    told = {one.what: one for section in found.sections for one in section.found}
    assert told["gpu:0"].found.endswith("capability 7.0, driver 550.54.15, hidden by CUDA_VISIBLE_DEVICES")
    assert told[f"gpu:{A_SLICE}"].found.startswith("NVIDIA A100-SXM4-40GB, slice 3g.20gb, 21.5 GB")
    assert told["Slurm"].found == "sbatch is there"
    assert (told["dask-jobqueue"].state, told["dask-jobqueue"].remedy) == ("note", "pip install dask-jobqueue")
    assert told["TensorFlow"].state == "note" and found.works
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert states(doctor.look())["CUDA_VISIBLE_DEVICES"] == "note"


def test_frameworks_are_asked_in_processes_of_their_own(tmp_path, monkeypatch):
    """Made-up ones, on the path of the processes: one works, one cannot be imported, one never ends."""
    for name, code in {"tensorflow": "raise ImportError('libcudart.so.12: cannot open')",
                       "jax": "__version__ = '0.10.2'\nprint('chatter')\n"
                              "class d: platform, id, device_kind = 'gpu', 0, 'NVIDIA A100'\ndevices = lambda: [d]",
                       "torch": "import time; time.sleep(60)"}.items():
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = set(sys.modules)
    tensorflow, jax, torch = doctor_questions.ask(("tensorflow", "jax", "torch"), 8.0)
    assert not {"tensorflow", "jax", "torch"} & (set(sys.modules) - before)
    assert jax == Answer("jax", True, "0.10.2", ("gpu:0 NVIDIA A100",))
    assert (tensorflow.works, tensorflow.error) == (False, "ImportError: libcudart.so.12: cannot open")
    assert (torch.works, torch.error) == (False, "it did not answer within 8 s")


def test_the_command_imports_nothing_heavy():
    code = ("import sys; from automl_phys import doctor, doctor_questions\n"
            "doctor_questions.ask = lambda *_: ()\nassert doctor.look().works\n"
            "heavy = {'tensorflow', 'keras', 'jax', 'torch', 'numpy', 'dask'} & set(sys.modules)\nassert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_a_terminal_gets_colours_and_marks(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    found = Diagnosis(False, (Section("Python", (Found("keras", "not installed", "missing", "pip install keras"),)),))

    class Screen(io.StringIO):
        def isatty(self):
            return True

    screen = Screen()
    Terminal(quiet=True, results=screen).diagnosed(found)
    assert "\x1b[1;31m✗\x1b[0m" in screen.getvalue()
