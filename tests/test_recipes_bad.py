"""Broken recipes and exactly what is said of them at 80 columns.

After a change that is meant: ``for f in tests/recipes_bad/*.yaml; do automl-phys validate $f 2> ${f%.yaml}.txt; done``,
and read the difference as a user would.
"""

from pathlib import Path

import pytest

from automl_phys.cli import main

ROOT = Path(__file__).parents[1]
BAD = sorted((ROOT / "tests" / "recipes_bad").glob("*.yaml"))


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_a_broken_recipe_is_explained(path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["validate", str(path.relative_to(ROOT))]) == 2
    said = capsys.readouterr()
    assert said.err == path.with_suffix(".txt").read_text(encoding="utf-8")
    assert said.out == ""


def test_every_output_has_its_recipe():
    assert {p.stem for p in BAD} == {p.stem for p in (ROOT / "tests" / "recipes_bad").glob("*.txt")}


def test_several_recipes_are_told_together_good_ones_too(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    bad = ["tests/recipes_bad/unknown-task.yaml", "tests/recipes_bad/empty.yaml"]
    assert main(["validate", bad[0], "recipes/classify-jets.yaml", bad[1]]) == 2
    said = capsys.readouterr()
    assert said.out == "recipes/classify-jets.yaml: a sound recipe for task 'classify'.\n"
    assert all(name in said.err for name in bad)
    assert "(1 more problem below)" in said.err
