"""The stage prepare: prepared once, taken up again, never mixed with other data. The task is one made for the test."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from automl_phys import prepare, registry
from automl_phys.errors import RunError
from automl_phys.facts import Facts
from automl_phys.rundir import RunDir
from automl_phys.telling import nobody


@dataclass
class Note:
    """A problem that is a word in a file."""

    fingerprint: str

    def facts(self):
        return Facts("note", {"train": 2, "valid": 1, "test": 1}, {}, notes=("seen", "new"))


class NoteTask:
    """Prepares the word of its options; counts how often."""

    def __init__(self):
        self.prepared = 0

    def fingerprint(self, options, folder, seed, tell):
        return f"{options}-{seed}"

    def load(self, folder):
        return Note((folder / "word").read_text())

    def prepare(self, options, folder, target, seed, tell):
        self.prepared += 1
        target.mkdir(parents=True, exist_ok=True)
        (target / "word").write_text(f"{options}-{seed}")
        return self.load(target)


@pytest.fixture
def task(monkeypatch):
    made = NoteTask()
    monkeypatch.setattr(registry, "load", lambda kind, name: {("tasks", "note"): made}[kind, name])
    return made


def run(folder, options="a", seed=1):
    said = []
    show = SimpleNamespace(stage=said.append, say=said.append, advance=nobody)
    plan = SimpleNamespace(task="note", facts=Facts("note", {}, {}, notes=("seen",)))
    recipe = SimpleNamespace(data={}, options=options, folder=folder, seed=seed)
    return prepare.run(recipe, plan, RunDir(folder / "run"), show), said


def test_a_problem_is_prepared_once(tmp_path, task):
    first, said = run(tmp_path)
    assert said == ["Prepare", "2 train, 1 valid, 1 test rows.", "new"]
    again, _ = run(tmp_path)
    assert again == first == Note("a-1")
    assert task.prepared == 1


def test_changed_inputs_are_prepared_again_before_the_first_trial(tmp_path, task):
    run(tmp_path)
    problem, said = run(tmp_path, options="b")
    assert problem == Note("b-1")
    assert "changed" in said[1]


def test_changed_inputs_are_refused_after_trials(tmp_path, task):
    run(tmp_path)
    RunDir(tmp_path / "run").trials.mkdir()
    with pytest.raises(RunError) as caught:
        run(tmp_path, seed=2)
    assert [m.code for m in caught.value.mistakes] == ["data-changed"]
    assert run(tmp_path)[0] == Note("a-1")
