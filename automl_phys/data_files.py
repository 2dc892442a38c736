"""The files that a recipe names, with their hashes.

Takes a recipe; gives what is on record of its data: in ``inputs.json`` of a run, and from there in its lock. Files are
hashed once (:mod:`automl_phys.file_hashes`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import packed_data, recipe_paths

if TYPE_CHECKING:
    from automl_phys.recipe import Recipe


@dataclass(frozen=True)
class DataFile:
    """A file, or folder of images; ``path`` as seen from the recipe's folder. No hash where there is nothing to hash,
    as of the folder of a run."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Inputs:
    """What a prepared problem was made from: the hash of files, settings and seed, and the files."""

    fingerprint: str
    files: tuple[DataFile, ...] = ()


def of(wanted: Recipe) -> tuple[DataFile, ...]:
    """The files that a recipe names and that are there. Raises DataError for what cannot be read."""
    files: dict[str, DataFile] = {}
    for path in recipe_paths.named_paths(wanted.data):
        for file in packed_data.files(path, wanted.folder):
            shown = file if Path(path).is_absolute() else Path(os.path.relpath(file, wanted.folder.absolute()))
            one = packed_data.Datum(shown.as_posix(), file)
            files.setdefault(one.name, DataFile(one.name, one.bytes or 0, one.sha256 or ""))
    return tuple(files.values())
