"""Runs in a notebook: the same numbers as the report's, as pandas objects and matplotlib figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import automl_phys
from automl_phys import rundir
from automl_phys.errors import CallError, RecipeError, RunError
from automl_phys.exhibits import Evaluation
from automl_phys.notebook import Run
from tests.fixtures.small_recipe import write


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("notebook")
    return automl_phys.run(write(folder), sets={"search.objective": "log_loss"}, out=folder / "runs", quiet=True)


def test_tables_are_the_report_s(found: Run) -> None:
    evaluation = rundir.read_json(found._folder.evaluation, Evaluation)
    assert found.verdict == evaluation.verdict
    assert list(found.metrics.index) == list(evaluation.metrics)
    auc = found.metrics.loc["roc_auc"]
    assert (auc["value"], auc["low"], auc["high"]) == (
        evaluation.metrics["roc_auc"].value, evaluation.metrics["roc_auc"].low, evaluation.metrics["roc_auc"].high)
    assert "log_loss" in found.leaderboard.columns, "the objective that was set"
    assert found.leaderboard["role"].iloc[0] == "winner"
    assert found.trials.loc[0, "family"] == "linear"
    assert any(name.startswith("linear.") for name in found.trials.columns)
    assert {"issue", "tip", "passed", "not applicable"} >= set(found.findings["outcome"])
    assert len(found.predictions) == 60
    assert all(isinstance(table, pd.DataFrame) for table in found.tables.values())
    assert "log_loss" in found.recipe
    assert found.report.exists()


def test_figures_are_one_s_own(found: Run) -> None:
    name = found.figures[0]
    one, other = found.figure(name), found.figure(name)
    assert one is not other
    one.axes[0].set_title("mine")
    assert other.axes[0].get_title() != "mine"
    with pytest.raises(CallError, match="no figure 'none'"):
        found.figure("none")


def test_new_data_are_scored(found: Run) -> None:
    folder = found.path.parents[2]
    scores = found.predict(folder / "events.csv")
    assert len(scores) == 300
    with pytest.raises(RunError, match=r"nothing\.csv"):
        found.predict(folder / "nothing.csv")


def test_jupyter_is_shown_a_page_that_cannot_be_broken_into(found: Run) -> None:
    page = found._repr_html_()
    assert found.verdict.split("<")[0][:20] in page
    assert "<table>" in page
    assert "<script" not in page
    assert str(found.path) in repr(found)


def test_a_wrong_recipe_tells_all_its_mistakes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as raised:
        automl_phys.run(write(tmp_path), sets=["search.trials=0", "search.sampler=best"])
    assert len(raised.value.mistakes) == 2


def test_a_run_that_fails_raises_with_what_it_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    (tmp_path / "events.csv").write_text("mass,pt\n1,2\n")
    with pytest.raises(RunError, match="label"):
        automl_phys.run(path, out=tmp_path / "runs")
    assert "Plan" in capsys.readouterr().out


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallError):
        automl_phys.load(tmp_path)


def test_importing_it_imports_nothing_heavy() -> None:
    code = ("import sys, automl_phys; automl_phys.__version__; "
            "assert not {'numpy', 'pandas', 'keras', 'matplotlib'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
