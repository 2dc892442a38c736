"""What 'list' shows is what there is, in the words of the code and of docs/metrics.md, as tables and as JSON.

After a change of formulas that is meant: ``python tests/test_catalogue.py`` writes the tables of docs/metrics.md.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from automl_phys import catalogue, measures, registry
from automl_phys.cli import main
from automl_phys.contracts import Location

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"
HEAD = "| name | better | what is computed | source |"


def tables_of(text):
    """Places of the tables of metrics in a text: from line, to line."""
    lines = text.splitlines()
    begins = [number for number, line in enumerate(lines) if line == HEAD]
    return [(begin, next(end for end in range(begin, len(lines)) if not lines[end].startswith("|"))) for begin in begins]


def written(text):
    """The text with the tables that the code has."""
    lines = text.splitlines()
    places = tables_of(text)
    for (begin, end), table in reversed(list(zip(places, catalogue.metrics_in_markdown(), strict=True))):
        lines[begin:end] = table.splitlines()
    return "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def listed(capsys, *arguments):
    assert main(["list", *arguments]) == 0
    return capsys.readouterr().out


def as_data(capsys, *arguments):
    return json.loads(listed(capsys, *arguments, "--json"))


def test_the_docs_say_of_metrics_what_list_says():
    text = DOCS.read_text(encoding="utf-8")
    assert text == written(text), "run: python tests/test_catalogue.py"


def test_every_metric_is_listed_with_those_that_have_it(capsys):
    found = as_data(capsys, "metrics")
    assert {one["name"].removesuffix("X") if "@" in one["name"] else one["name"] for one in found} == set(measures.MEASURES)
    for task in registry.names("tasks"):
        objectives = {name.partition("@")[0] for name in registry.load("tasks", task).OBJECTIVES}
        shown = {one["name"].partition("@")[0] for one in found if task in one["tasks"] and one["objective"]}
        assert objectives <= shown


def test_a_metric_is_found_at_any_point(capsys):
    said = listed(capsys, "metrics", "rejection@0.35", "--task", "classify")
    assert "rejection@X *" in said and "1 / FPR where the signal efficiency" in said
    assert "Of detectors" not in said


@pytest.mark.parametrize("name", registry.names("families"))
def test_a_family_shows_every_parameter_of_every_task(name):
    found = catalogue.listing("families", [name])
    family = found.found[0]
    assert family.text and family.tasks
    assert sorted(task for space in family.spaces for task in space.tasks) == sorted(family.tasks)
    for space, table in zip(family.spaces, found.tables, strict=True):
        assert [row[0] for row in table.rows] == list(space.parameters)
        assert all(row[1] and row[2] and row[3] for row in table.rows)
        assert "…" not in "".join(str(row[1]) for row in table.rows)


def test_families_are_narrowed_by_name_and_by_task(capsys):
    assert "Families of forecast" in listed(capsys, "families")
    said = listed(capsys, "families", "mlp")
    assert "mlp (classify): a neural network" in said and "label_smoothing" in said and "share of the target" in said
    of_transfer = as_data(capsys, "families", "--task", "transfer")
    assert {one["name"] for one in of_transfer} == {"boosted_trees", "linear", "scratch", "transferred"}
    assert "sigma" in as_data(capsys, "families", "mlp")[0]["spaces"][0]["parameters"]


def test_tasks_checks_and_formats_are_all_there(capsys):
    assert [one["name"] for one in as_data(capsys, "tasks")] == list(registry.names("tasks"))
    assert len(as_data(capsys, "checks")) == len(registry.names("checks"))
    found = as_data(capsys, "formats")
    assert {one["name"] for one in found if one["use"] == "export"} == set(registry.names("formats"))
    assert {one["name"] for one in found if one["use"] == "read"} == {*registry.names("sources")} - {"builtin"}
    assert "C-LEAK" in listed(capsys, "checks", "c-leak")


@pytest.mark.parametrize("one", catalogue.data(), ids=lambda one: one.name)
def test_data_are_as_large_as_the_list_says(one):
    header = registry.load("sources", "builtin").peek(Location(Path(one.name)))
    assert (header.rows, len(header.columns)) == (one.rows, one.columns)


def test_recipes_are_listed_by_word_and_by_option_alike(capsys):
    folder = str(Path(__file__).parents[1] / "recipes")
    said = listed(capsys, "recipes", folder)
    assert "classify-jets" in said
    assert said == listed(capsys, "--recipes", folder) == listed(capsys, "recipes", "--recipes", folder)
    assert "classify-jets" in {one["name"] for one in as_data(capsys, "recipes", folder)}


def test_without_a_word_it_says_what_can_be_listed(capsys):
    said = listed(capsys)
    assert all(f"automl-phys list {kind}" in said for kind in (*catalogue.KINDS, "recipes"))


@pytest.mark.parametrize(("words", "meant"), [
    (["famlies"], "families"), (["families", "mpl"], "mlp"), (["families", "--task", "clasify"], "classify"),
    (["metrics", "roc_acu"], "roc_auc"), (["data", "jet"], "jets")])
def test_what_is_misspelt_is_guessed(words, meant, capsys):
    assert main(["list", *words]) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["data", "checks", "formats"])
def test_what_all_tasks_share_is_not_narrowed_to_one(kind, capsys):
    assert main(["list", kind, "--task", "classify"]) == 2
    assert "Leave --task out." in capsys.readouterr().err


def test_nothing_heavy_is_imported_to_list_families():
    code = ("import sys; from automl_phys.cli import main; assert main(['list', 'families', 'mlp']) == 0\n"
            "heavy = {'numpy', 'keras', 'tensorflow', 'jax', 'torch', 'pyarrow', 'sklearn', 'pandas'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text(encoding="utf-8")), encoding="utf-8")
