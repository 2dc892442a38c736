"""What the user wrote, before it is understood: a file, the files it extends, ``--smoke`` and ``--set``, merged.

Takes paths and ``--set`` texts, gives plain data with the place of every key; leaves what the keys mean to
:mod:`automl_phys.recipe`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from automl_phys import archives, yaml_source
from automl_phys.errors import AutomlPhysError, Key, Mistake, Place, RecipeError
from automl_phys.recipe_paths import is_there, moved_paths, named_paths
from automl_phys.registry import did_you_mean

LARGEST_BYTES = 1_000_000

LOCK_KEY, LOCK_VERSION = "lock", 1
"""The first key of a file that holds a run on record, and the version of such files that this program writes."""

SMOKE: Mapping[str, Mapping[str, Any]] = {
    "search": {"trials": 3},
    "model": {"refit": False, "bagging": 1, "boosted_trees": {"learning_rate": 0.15}, "cnn": {"epochs": 2},
              "transferred": {"epochs": 3}, "scratch": {"epochs": 3},
              **{name: {"epochs": 4} for name in ("nbeats", "tcn", "gru", "lstm")},
              **{name: {"epochs": 2} for name in ("diffusion", "flow", "gan", "vae")},
              **{name: {"epochs": 2} for name in ("flow_density", "autoencoder_error", "vae_error", "deep_svdd")},
              "cwola": {"runs": 5, "epochs": 2}},
    "report": {"figures": ["png"]},
}
"""What ``--smoke`` sets, to see in a minute whether everything works; ``--set`` still wins over it."""

SMOKE_OF_TASK: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "generate": {"search": {"objective": "sliced_wasserstein"},
                 "model": {name: {"epochs": 1} for name in ("diffusion", "flow", "gan", "vae")}},
    "reinforce": {"model": {"bagging": 2}, "train": {"steps": 500}, "evaluate": {"episodes": 5, "choose_by": 3}},
}
"""What it sets besides, or otherwise, for some tasks."""


@dataclass(frozen=True)
class Written:
    """Plain data and the place of each key in it; ``folder`` is where its paths are seen from, None for the folder of
    its file."""

    data: dict[Any, Any]
    places: dict[Key, Place]
    folder: Path | None = None

    def place(self, key: Key) -> Place | None:
        """Where a key stands, or the nearest section around it."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key)

    def over(self, base: Written) -> Written:
        """``base`` with the keys of this one put over it: mappings merged, all else replaced."""
        return Written(_merged(base.data, self.data), {**base.places, **self.places}, self.folder or base.folder)


def read(path: Path) -> Written:
    """A recipe and all that it extends, merged. Raises RecipeError."""
    return _read_chain(path, ())


def smoke(task: Any) -> Written:
    """What ``--smoke`` puts over a recipe for a task."""
    sections = _merged(SMOKE, SMOKE_OF_TASK.get(task, {}) if isinstance(task, str) else {})
    keys = [(section, key) for section, keys in sections.items() for key in keys]
    return Written({name: dict(keys) for name, keys in sections.items()}, dict.fromkeys(keys, Place("--smoke")))


def from_set(text: str) -> Written:
    """One ``--set a.b=value``, its value read as YAML. Raises RecipeError."""
    name = f"--set {text}"
    dotted, equals, value = text.partition("=")
    path = tuple(int(part) if part.isdecimal() else part for part in dotted.strip().split("."))
    if not equals or "" in path:
        raise RecipeError(Mistake("bad-set", "This sets no key.", "Write it as --set section.key=value, "
                                  "for example --set search.trials=10.", place=Place(name)))
    try:
        data, _ = yaml_source.parse(value, name)
    except RecipeError as error:
        raise RecipeError([Mistake(m.code, m.text, m.remedy, place=Place(name)) for m in error.mistakes]) from error
    for part in reversed(path):
        data = {part: data}
    return Written(data, {path[:n]: Place(name) for n in range(1, len(path) + 1)})


def _read_chain(path: Path, below: tuple[Path, ...]) -> Written:
    """``below`` are the files that led here, so that a circle is noticed."""
    written = _read_one(path)
    extends = written.data.get("extends")
    if not isinstance(extends, str) or not extends:
        return written
    key = ("extends",)
    base_path, up = _base(extends, path.parent, written.place(key))
    seen = (*below, path)
    if any(base_path.resolve() == one.resolve() for one in seen):
        raise RecipeError(Mistake("extends-circle", f"'{base_path}' extends itself, over {len(seen)} "
                                  f"file{'s' * (len(seen) > 1)}.", "Remove one 'extends'.", key, written.place(key)))
    if not base_path.is_file():
        raise RecipeError(Mistake("no-such-file", f"There is no file '{base_path}' to extend.{_alike(base_path)}",
                                  "Give the path as seen from this recipe's folder.", key, written.place(key)))
    base = _read_chain(base_path, seen)
    if base.folder is not None:
        up = Path(os.path.relpath(base.folder, path.parent))
    return written.over(Written(moved_paths(base.data, lambda p: os.path.normpath(up / p)), base.places))


def _base(extends: str, folder: Path, place: Place | None) -> tuple[Path, Path]:
    """The file that a recipe in ``folder`` extends, be it in an archive or at an address, and the way from ``folder``
    to that file's own."""
    if not archives.is_one(extends):
        base = Path(os.path.normpath(folder / extends))
        return base, Path(os.path.relpath(base.parent, folder))
    try:
        base = archives.recipe(extends if archives.is_address(extends) else str(folder / extends))
    except AutomlPhysError as error:
        raise RecipeError([replace(m, key=("extends",), place=place) for m in error.mistakes]) from error
    return base, base.parent.absolute()


def _read_one(path: Path) -> Written:
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= LARGEST_BYTES else b""
    except OSError as error:
        if path.parent.is_dir() and not path.exists():
            raise RecipeError(Mistake("no-such-file", f"There is no such file.{_alike(path)}",
                                      "Give the path of a recipe, or write one with 'automl-phys init'.",
                                      place=Place(str(path)))) from error
        raise RecipeError(Mistake("unreadable", f"This cannot be read: {error.strerror}.", "Check the path.",
                                  place=Place(str(path)))) from error
    if size > LARGEST_BYTES:
        raise RecipeError(Mistake("too-large", f"With {size / 1e6:.0f} MB this is no recipe.", "Check the path.",
                                  place=Place(str(path))))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(Mistake("not-text", f"Byte {error.start + 1} is not UTF-8 text.", "Save the file as UTF-8.",
                                  place=Place(str(path)))) from error
    data, places = yaml_source.parse(text, str(path))
    if data is None:
        raise RecipeError(Mistake("empty-recipe", "The recipe is empty.", "Write one with 'automl-phys init classify'.",
                                  place=Place(str(path))))
    if not isinstance(data, dict):
        raise RecipeError(Mistake("not-a-recipe", "A recipe is made of keys and their values; this is none.",
                                  "Begin with 'recipe: 1' and 'task: classify'.", place=Place(str(path))))
    return _unlocked(Written(data, places), path) if is_lock(data) else Written(data, places)


def is_lock(data: Any) -> bool:
    """Whether plain data are those of a run on record (:mod:`automl_phys.locks`)."""
    return isinstance(data, dict) and LOCK_KEY in data and isinstance(data.get("recipe"), dict)


def _unlocked(written: Written, path: Path) -> Written:
    """The recipe in a lock. Its paths are seen from where the lock is now; or, where the data are not there, from where
    the recipe was when it was run."""
    data, folder = written.data["recipe"], written.data.get("folder")
    if written.data[LOCK_KEY] != LOCK_VERSION:
        raise RecipeError(Mistake(
            "other-version", f"This lock is in version {written.data[LOCK_KEY]}; this program reads version "
            f"{LOCK_VERSION}.", "Update automl-phys.", (LOCK_KEY,), written.place((LOCK_KEY,))))
    places = {key[1:]: place for key, place in written.places.items() if key[0] == "recipe" and len(key) > 1}
    beside = not isinstance(folder, str) or all(is_there(one, path.parent) for one in named_paths(data))
    return Written(data, places, None if beside else path.parent / str(folder))


def _alike(path: Path) -> str:
    folder = path.parent
    return did_you_mean(path.name, [f.name for f in folder.glob("*.y*ml")]) if folder.is_dir() else ""


def _merged(base: Mapping[Any, Any], over: Mapping[Any, Any]) -> dict[Any, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
