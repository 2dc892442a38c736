"""Modules of the user's own: packages, neighbours, and what is kept apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from automl_phys.environment_modules import imported, member
from automl_phys.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a package, two modules, and one that is called as an installed one."""
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").touch()
    (tmp_path / "own_package" / "inner.py").write_text("from own_neighbour import VALUE\nclass Inner: ...\n")
    (tmp_path / "own_neighbour.py").write_text("VALUE = 5\n")
    (tmp_path / "colorsys.py").write_text("raise RuntimeError('hidden')\n")
    yield tmp_path
    for name in [one for one in sys.modules if one.partition(".")[0] in ("own_package", "own_neighbour")]:
        del sys.modules[name]
    sys.path[:] = [one for one in sys.path if one != str(tmp_path)]


def test_a_package_finds_its_neighbours(folder: Path) -> None:
    assert imported("own_package.inner", str(folder)).VALUE == 5
    assert imported("own_package.inner", str(folder)) is sys.modules["own_package.inner"]


def test_the_folder_hides_nothing_that_is_installed(folder: Path) -> None:
    sys.modules.pop("colorsys", None)
    imported("own_package.inner", str(folder))
    import colorsys

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_without_a_folder_installed_modules_are_found() -> None:
    assert imported("json.decoder", "").__name__ == "json.decoder"
    with pytest.raises(DataError, match="no module own_package"):
        imported("own_package.inner", "")


def test_a_module_that_needs_another_says_which(folder: Path) -> None:
    (folder / "own_package" / "other.py").write_text("import no_such_thing\n")
    with pytest.raises(DataError, match="no_such_thing"):
        imported("own_package.other", str(folder))


def test_a_name_that_is_not_there_is_told(folder: Path) -> None:
    module = imported("own_package.inner", str(folder))
    assert member(module, "Inner") is module.Inner
    with pytest.raises(DataError, match="Did you mean 'Inner'"):
        member(module, "Iner")
    with pytest.raises(DataError, match="is no class"):
        member(module, "VALUE")
