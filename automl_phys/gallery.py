"""What recipes there are in a folder or an archive: a table, and a page to look through.

Takes a folder of recipes and archives, or one of either; gives what each says of itself. Recipes are read as plain data
and not held against the language, so that one with a mistake is listed too. The page uses the report's style.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl_phys import archives, pages, recipe_paths, recipe_text, rundir
from automl_phys.errors import AutomlPhysError, CallError, Mistake
from automl_phys.exhibits import Table

TEXT_LENGTH = 70
"""Characters of a description in the terminal's table."""


@dataclass(frozen=True)
class Listed:
    """A recipe as it stands in the list. ``run`` is what to write behind ``automl-phys run``."""

    name: str
    task: str
    description: str
    data: str
    run: str
    expected: Table | None = None


def find(where: str) -> tuple[Listed, ...]:
    """The recipes in a folder, not in folders of it, or in an archive, or a recipe itself.

    Raises CallError where there are none, ArchiveError for an archive that is not sound.
    """
    if archives.is_one(where):
        return (_listed(where),)
    path = Path(where)
    if path.is_file():
        return (_listed(where),)
    found = tuple(_recipes(path)) if path.is_dir() else ()
    if not found:
        raise CallError(Mistake("no-recipes", f"There are no recipes in {where}.",
                                "Give a folder with recipes, or an archive of one."))
    return found


def table(found: tuple[Listed, ...]) -> Table:
    """The recipes as a table for the terminal."""
    rows = tuple((one.name, one.task, _short(one.description), one.data, _numbers(one)) for one in found)
    return Table("Recipes", ("recipe", "task", "what it is about", "data", "expected"), rows)


def write_page(found: tuple[Listed, ...], target: Path) -> None:
    """Write one HTML page that needs nothing else. Raises RunError when the disk refuses."""
    contents = [(f"recipe-{number}", one.name) for number, one in enumerate(found, start=1)]
    rundir.write_text(target, pages.render(
        "gallery.html.j2", {"title": "Recipes", "recipes": found, "contents": contents}, {}))


def _recipes(folder: Path) -> Iterator[Listed]:
    for file in sorted(folder.iterdir()):
        if not file.is_file() or not (file.suffix in (".yaml", ".yml") or archives.is_one(file.name)):
            continue
        try:
            yield _listed(str(file))
        except AutomlPhysError as error:
            yield Listed(file.name, "", f"Cannot be read: {error.mistakes[0].text}", "", shlex.quote(str(file)))


def _listed(given: str) -> Listed:
    data = recipe_text.read(archives.recipe(given)).data
    name = data.get("name") or Path(given.partition("#")[0]).name.partition(".")[0]
    return Listed(str(name), str(data.get("task") or ""), " ".join(str(data.get("description") or "").split()),
                  _data(data), shlex.quote(given), _expected(data.get("expect")))


def _data(data: Mapping[Any, Any]) -> str:
    section = data.get("data")
    if isinstance(section, Mapping):
        if isinstance(source := section.get("builtin") or section.get("url"), str):
            return source
        return ", ".join(recipe_paths.named_paths({"data": {"path": section.get("path", [])}}))
    environment = data.get("environment")
    return str(environment.get("id") or "") if isinstance(environment, Mapping) else ""


def _expected(section: Any) -> Table | None:
    if not isinstance(section, Mapping) or not section:
        return None
    rows = tuple((str(name), ", ".join(f"{key} {value}" for key, value in what.items())
                  if isinstance(what, Mapping) else str(what)) for name, what in section.items())
    return Table("Expected", ("metric", "value"), rows)


def _numbers(one: Listed) -> str:
    return "; ".join(f"{name} {value}" for name, value in one.expected.rows) if one.expected else ""


def _short(text: str) -> str:
    return text if len(text) <= TEXT_LENGTH else f"{text[:TEXT_LENGTH - 1].rstrip()}…"
