"""Which files of a folder are its images.

Takes a folder; gives the names of the PNG and JPEG files in it and, one level down, in its folders. Hidden files and
folders are passed over. Opening images is the source's work (``sources/image_folder.py``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from automl_phys.errors import DataError, Mistake

ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Images:
    """Names relative to a folder, ``/`` between a folder and its file, sorted; those of ``outside`` are links, or in a
    linked folder, that lead out of it."""

    names: tuple[str, ...]
    outside: tuple[str, ...]


def find(folder: Path) -> Images:
    """The images of a folder. Raises DataError (``unreadable-file``) when it, or one in it, cannot be listed."""
    try:
        every = dict(_listed(folder, folder.resolve()))
    except OSError as error:
        raise DataError(Mistake("unreadable-file", f"{error.filename or folder} cannot be read: {error.strerror}.",
                                "Check that the folder is there and may be read.")) from error
    names = sorted(every)
    return Images(tuple(names), tuple(name for name in names if every[name]))


def any_in(path: Path) -> bool:
    """Whether this is a folder with images."""
    try:
        return path.is_dir() and next(_listed(path, path.resolve()), None) is not None
    except OSError:
        return False


def is_image(path: Path) -> bool:
    """Whether a file is an image by its name."""
    return path.name.lower().endswith(ENDINGS)


def _listed(folder: Path, root: Path, prefix: str = "", outside: bool = False) -> Iterator[tuple[str, bool]]:
    """Each image's name, and whether a link leads to it that leaves ``root``."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):  # of editors, notebooks and macOS; no data
                continue
            path = Path(entry.path)
            leaves = outside or (entry.is_symlink() and not path.resolve().is_relative_to(root))
            if entry.is_dir():
                if not prefix:
                    yield from _listed(path, root, f"{entry.name}/", leaves)
            elif is_image(path):
                yield prefix + entry.name, leaves
