"""``docs/inside.md`` followed to the letter: its family, check and task are put where it says, and its recipes are run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures import small_recipe

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "inside.md").read_text(encoding="utf-8")
FILES = re.findall(r"Write `(automl_phys/\S+\.py)`:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
RECIPES = dict(re.findall(r"```yaml\n(recipe: 1\nname: (?:\w+)\n.*?)```()", PAGE, re.DOTALL))
CHANGED = re.search(r"in `(\w+\.py)` the line becomes\n\n```python\n(SOLVES = .*?)\n```", PAGE)


def ours(folder: Path) -> dict[str, str]:
    """The environment of a process that imports the package from ``folder``."""
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package, the files of the page in it, and events for its recipes."""
    folder = tmp_path_factory.mktemp("inside")
    shutil.copytree(ROOT / "automl_phys", folder / "automl_phys", ignore=shutil.ignore_patterns("__pycache__"))
    assert [path for path, _ in FILES] == [f"automl_phys/{path}.py" for path in (
        "families/nearest_centroid", "checks/many_columns", "tasks/trigger")]
    for path, text in FILES:
        assert not (folder / path).exists()
        (folder / path).write_text(text, encoding="utf-8")
    assert CHANGED
    family = folder / "automl_phys" / "families" / CHANGED[1]
    text, count = re.subn(r"^SOLVES = .*$", CHANGED[2], family.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1
    family.write_text(text, encoding="utf-8")
    small_recipe.write(folder)
    return folder


def run(copy: Path, recipe: str) -> Path:
    name = re.search(r"^name: (\w+)$", recipe, re.MULTILINE)
    assert name
    (copy / f"{name[1]}.yaml").write_text(recipe, encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "automl_phys.cli", "run", f"{name[1]}.yaml", "--quiet"], cwd=copy,
                          env=ours(copy), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "runs" / name[1] / "latest"


def test_the_family_wins_and_the_check_speaks(copy: Path) -> None:
    report = (run(copy, next(text for text in RECIPES if "name: centroids" in text)) / "report.md").read_text(encoding="utf-8")
    assert "nearest centroid" in report
    assert "- **tip**: Many columns for few rows (C-MANY-COLUMNS). There are 180 train rows for 2 columns." in report


def test_the_task_runs_and_has_its_own_verdict(copy: Path) -> None:
    report = (run(copy, next(text for text in RECIPES if "name: trigger" in text)) / "report.md").read_text(encoding="utf-8")
    assert re.search(r"keeps \d+\.\d% \(68 %: \d+\.\d% to \d+\.\d%\) of sig where 1 % of the background passes\.", report)


def test_a_recipe_of_the_task_is_filled_in_from_data(copy: Path) -> None:
    templates = copy / "automl_phys" / "templates"
    text = (templates / "classify.yaml").read_text(encoding="utf-8").replace("\ntask: classify", "\ntask: trigger")
    (templates / "trigger.yaml").write_text(text, encoding="utf-8")
    for arguments in (["init", "trigger", "--data", "events.csv", "-o", "drafted.yaml"], ["validate", "drafted.yaml"]):
        done = subprocess.run([sys.executable, "-m", "automl_phys.cli", *arguments], cwd=copy, env=ours(copy),
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "drafted.yaml: a sound recipe for task 'trigger'." in done.stdout
    assert "target: label" in (copy / "drafted.yaml").read_text(encoding="utf-8")


def test_all_of_it_is_clean(copy: Path) -> None:
    """By the style of the package."""
    style = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"),
                            *(path for path, _ in FILES)], cwd=copy, capture_output=True, text=True, check=False)
    assert style.returncode == 0, style.stdout


def test_the_page_has_no_example_that_is_not_followed() -> None:
    assert len(re.findall(r"^```python$", PAGE, re.MULTILINE)) == len(FILES) + 1  # and the line that changes
    assert len(re.findall(r"^```yaml$", PAGE, re.MULTILINE)) == len(RECIPES) == 2
