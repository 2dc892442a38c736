"""The keys of a recipe that hold paths of files, and the files behind them.

Takes a recipe as plain data; gives the paths in it, or a copy with them moved, and what is there at one. Paths are
relative to the folder of the recipe that they are written in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from automl_phys import image_files, registry

PATH_KEYS: tuple[tuple[str, ...], ...] = (
    ("data", "path"), ("data", "split", "test"), ("base", "run"), ("base", "keras"), ("base", "embeddings"),
    ("base", "weights"), ("search", "warm_start"))
"""Keys that hold paths of files, relative to the folder of the recipe that they are written in."""

NO_PATHS = ("imagenet", "none")
"""Words that may stand in place of a path."""

MAGIC = "*?["
"""Signs that make a glob of a path."""


def parted(path: str) -> tuple[str, str]:
    """``file.root:tree`` as the path of a file and what is meant inside it; empty where the whole file is meant."""
    for word in registry.names("sources"):
        source = registry.load("sources", word)
        for ending in source.SUFFIXES if source.INSIDE else ():
            at = path.lower().rfind(f"{ending}:")
            if at >= 0:
                return path[:at + len(ending)], path[at + len(ending) + 1:]
    return path, ""


def matches(path: str, folder: Path) -> list[Path]:
    """The files at a path, or glob, as seen from ``folder``; folders of images only where there is no file."""
    whole = folder / Path(path).expanduser()
    if whole.is_file() or image_files.any_in(whole):
        return [whole]
    parts = whole.parts
    magic = next((i for i, part in enumerate(parts) if any(sign in part for sign in MAGIC)), None)
    if magic is None:
        return []
    found = sorted(Path(*parts[:magic]).glob(str(Path(*parts[magic:]))))
    return [file for file in found if file.is_file()] or [file for file in found if image_files.any_in(file)]


def is_there(path: str, folder: Path) -> bool:
    """Whether there is anything at a path, or glob, that a recipe in ``folder`` names."""
    name, _ = parted(path)
    return (folder / Path(name).expanduser()).exists() or bool(matches(name, folder))


def moved_paths(data: Mapping[Any, Any], move: Callable[[str], str], absolute: bool = False) -> dict[Any, Any]:
    """A copy of ``data`` with every relative path of :data:`PATH_KEYS`, or every ``absolute`` one too, put through
    ``move``."""
    moved = dict(data)
    for keys in PATH_KEYS:
        moved = _moved_at(moved, keys, move, absolute)
    return moved


def named_paths(data: Mapping[Any, Any]) -> tuple[str, ...]:
    """Every path that a recipe names, relative or absolute, once."""
    found: dict[str, None] = {}

    def keep(path: str) -> str:
        found[path] = None
        return path

    moved_paths(data, keep, absolute=True)
    return tuple(found)


def _moved_at(
    data: Mapping[Any, Any], keys: tuple[str, ...], move: Callable[[str], str], absolute: bool
) -> dict[Any, Any]:
    first, *rest = keys
    if first not in data:
        return dict(data)
    inner = data[first]
    if not rest:
        return {**data, first: _moved(inner, move, absolute)}
    if not isinstance(inner, dict):
        return dict(data)
    return {**data, first: _moved_at(inner, tuple(rest), move, absolute)}


def _moved(value: Any, move: Callable[[str], str], absolute: bool) -> Any:
    if isinstance(value, list):
        return [_moved(item, move, absolute) for item in value]
    if isinstance(value, dict):
        return {key: _moved(item, move, absolute) for key, item in value.items()}
    if not isinstance(value, str) or value in NO_PATHS or (Path(value).is_absolute() and not absolute):
        return value
    return move(value)
