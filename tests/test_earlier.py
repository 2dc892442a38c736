"""A prepared problem is taken over from an earlier run with the same inputs, and from no other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys import earlier, pipeline, prepare, recipe, rundir
from automl_phys.rundir import RunDir

RECIPE = """
recipe: 1
name: {name}
task: classify
data: {{path: events.parquet, target: label{more}}}
seed: {seed}
"""


class Show:
    def __init__(self):
        self.said = []

    def stage(self, name):
        pass

    def say(self, text):
        self.said.append(text)

    def advance(self, done, total, text):
        """Tables of this size are read at once."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    parquet.write_table(pa.table({"x": rng.normal(size=300), "y": rng.normal(size=300), "label": np.arange(300) % 2}),
                        tmp_path / "events.parquet")
    return tmp_path


def wanted(folder, name="first", seed=1, more=""):
    path = folder / f"{name}.yaml"
    path.write_text(RECIPE.format(name=name, seed=seed, more=more), encoding="utf-8")
    return recipe.load(path)


def run(folder, number=0, known=None, **changed):
    """The stages until the problem is there."""
    one, show = wanted(folder, **changed), Show()
    place = RunDir(folder / "runs" / one.name / f"2026010{number}-000000-abc")
    plan = pipeline.make_plan(one, known.facts if known else None)
    rundir.write_json(place.plan, plan)
    problem = prepare.run(one, plan, place, show, known)
    return place, problem, show.said


def test_another_run_with_the_same_inputs_takes_the_files_over(folder):
    first, problem, _ = run(folder)
    known = earlier.find(wanted(folder, "second"), folder / "runs")
    assert known is not None and known.run.path == first.path
    second, again, said = run(folder, 1, known, name="second")
    assert any(str(first.path) in text for text in said)
    assert again.fingerprint == problem.fingerprint and again.facts() == problem.facts()
    assert (first.problem / "numbers.npy").samefile(second.problem / "numbers.npy")
    kept = np.array(again.train.numbers)
    shutil.rmtree(first.path)
    assert np.array_equal(np.load(second.problem / "numbers.npy")[: len(kept)], kept)


def test_the_plan_is_the_same_with_and_without(folder):
    run(folder)
    one = wanted(folder)
    known = earlier.find(one, folder / "runs")
    assert pipeline.make_plan(one, known.facts) == pipeline.make_plan(one)


@pytest.mark.parametrize("changed", [{"seed": 2}, {"more": ", features: [x]"}, {"more": ", cut: x > 0"}])
def test_other_inputs_are_not_taken_over(folder, changed):
    run(folder)
    assert earlier.find(wanted(folder, **changed), folder / "runs") is None


def test_changed_data_are_not_taken_over(folder):
    run(folder)
    table = parquet.read_table(folder / "events.parquet")
    parquet.write_table(table.slice(0, 299), folder / "events.parquet")
    assert earlier.find(wanted(folder), folder / "runs") is None


def test_a_damaged_or_half_made_run_is_passed_over(folder):
    first, _, _ = run(folder)
    second, _, _ = run(folder, 1)
    third, _, _ = run(folder, 2)
    second.inputs.write_text("{")
    shutil.rmtree(third.problem)
    (first.path.parent / "latest").symlink_to(third.path.name)
    assert earlier.find(wanted(folder), folder / "runs").run.path == first.path


def test_where_files_cannot_be_linked_they_are_copied(folder, monkeypatch):
    first, _, _ = run(folder)

    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    second, problem, _ = run(folder, 1, earlier.find(wanted(folder), folder / "runs"))
    assert not (first.problem / "numbers.npy").samefile(second.problem / "numbers.npy")
    assert np.array_equal(np.load(first.problem / "numbers.npy"), np.load(second.problem / "numbers.npy"))
    assert len(problem.train)


def test_without_an_earlier_run_nothing_is_hashed(folder, monkeypatch):
    monkeypatch.setattr(Path, "open", None)
    assert earlier.find(SimpleNamespace(task="classify"), folder / "runs") is None
