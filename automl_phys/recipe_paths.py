"""The keys of a recipe that hold paths of files.

Takes a recipe as plain data; gives the paths in it, or a copy with them moved. Paths are relative to the folder of the
recipe that they are written in.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PATH_KEYS: tuple[tuple[str, ...], ...] = (
    ("data", "path"), ("data", "split", "test"), ("base", "run"), ("base", "keras"), ("base", "embeddings"),
    ("base", "weights"))
"""Keys that hold paths of files, relative to the folder of the recipe that they are written in."""

NO_PATHS = ("imagenet", "none")
"""Words that may stand in place of a path."""

INSIDE = re.compile(r"(?i)(.*\.(?:root|h5|hdf5|hdf)):(.*)", re.DOTALL)
"""``file.root:tree``: a file, and the table in it."""


def parted(path: str) -> tuple[str, str]:
    """A path without what is meant inside of the file, and that; empty where the whole file is meant."""
    found = INSIDE.fullmatch(path)
    return (found[1], found[2]) if found else (path, "")


def is_there(path: str, folder: Path) -> bool:
    """Whether there is anything at a path, or glob, that a recipe in ``folder`` names."""
    whole = folder / Path(parted(path)[0]).expanduser()
    return whole.exists() or bool(glob.glob(str(whole)))  # noqa: PTH207 - of pathlib's, '..' cannot be part


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
