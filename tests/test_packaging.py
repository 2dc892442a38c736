"""What is given away: the wheel and the sdist hold the whole package, and say of themselves what is true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

import automl_phys

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OF_PACKAGE = {str(path.relative_to(ROOT)) for path in (ROOT / "automl_phys").rglob("*")
              if path.is_file() and "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a wheel and an sdist, built of a copy by the tools that are installed."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT / "automl_phys", folder / "automl_phys", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel", "."], cwd=folder,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (file,) = built.glob("*.whl")
    assert file.name == f"automl_phys-{automl_phys.__version__}-py3-none-any.whl"
    return zipfile.ZipFile(file)


def metadata(wheel: zipfile.ZipFile) -> Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == OF_PACKAGE
    assert {"automl_phys/py.typed", "automl_phys/templates/style.css", "automl_phys/data/jets.parquet"} <= names


def test_the_sdist_holds_what_the_wheel_is_made_of(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert OF_PACKAGE | {"pyproject.toml", "README.md", "LICENSE"} <= names


def test_the_metadata(wheel: zipfile.ZipFile) -> None:
    said = metadata(wheel)
    assert said["Name"] == "automl-phys" and said["Version"] == automl_phys.__version__
    assert said["License-Expression"] == "BSD-3-Clause" and said["License-File"] == "LICENSE"
    assert said["Requires-Python"] == ">=3.11"
    assert said.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(said.get_all("Provides-Extra", ())) == set(PROJECT["optional-dependencies"])
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel.namelist())
    (points,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(points).decode().split() == ["[console_scripts]", "automl-phys", "=", "automl_phys.cli:main"]


def test_what_is_declared_fits_together() -> None:
    versions = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert f">={versions[0]}" == PROJECT["requires-python"]
    pinned = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower()
              for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    asked = {re.sub(r"[-_.]+", "-", re.split(r"[\[<>=]", text)[0]).lower()
             for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])}
    assert asked <= pinned, "an exact version for each in constraints.txt"
    told = re.sub(r"[-_.]+", "-", (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")).lower()
    assert all(name in told for name in asked - {"types-pyyaml", "types-psutil", "scipy-stubs"}), "a line for each in dependencies.md"


def test_the_citation_and_the_changes_name_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format asks for
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["version"] == automl_phys.__version__ and citation["license"] == PROJECT["license"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(citation["date-released"]))
    assert all("name" in author or {"family-names", "given-names"} & author.keys() for author in citation["authors"])
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == automl_phys.__version__  # type: ignore[index]


def test_hooks_before_a_commit_use_what_is_installed() -> None:
    """Nothing is fetched: every hook is local, of the project's own environment."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    hooks = {hook["id"]: hook for repository in config["repos"] for hook in repository["hooks"]}
    assert {"ruff", "mypy", "end-of-file", "yaml"} <= hooks.keys()
    assert all(hook["language"] == "system" for hook in hooks.values())


@pytest.mark.parametrize(("hook", "good", "bad"), [
    ("end-of-file", "a\n", "a"), ("end-of-file", "", "a \n"), ("yaml", "a: 1\n", "a: [1\n")])
def test_the_hooks_of_files_find_what_they_are_for(hook: str, good: str, bad: str, tmp_path: Path) -> None:
    for text, code in ((good, 0), (bad, 1)):
        file = tmp_path / "file.yaml"
        file.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, str(ROOT / "tools" / "file_hooks.py"), hook, str(file)], check=False,
                              capture_output=True, text=True)
        assert done.returncode == code
        assert ("file.yaml" in done.stdout) == bool(code)
