"""Arrays on disk: a dataclass of them as one file and back, and one of them mapped into memory. Nothing is a pickle."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from automl_phys.values import Array

C = TypeVar("C")

FILE = "arrays.npz"


def save(thing: Any, folder: Path) -> None:
    """Write the fields of a dataclass, arrays, numbers and texts, into a file of ``folder``, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / FILE, **{f.name: getattr(thing, f.name) for f in fields(thing)})


def load(kind: type[C], folder: Path) -> C:
    """Read what :func:`save` wrote of a dataclass ``kind``."""
    with np.load(folder / FILE, allow_pickle=False) as saved:
        return kind(**{name: array if array.ndim else array.item() for name, array in saved.items()})


def mapped(path: Path) -> Array:
    """The array of an ``.npy`` file, read where it is looked at."""
    # a plain array that looks at the mapped file: subclasses of ndarray confuse some of the libraries downstream
    return np.asarray(np.load(path, mmap_mode="r"))
