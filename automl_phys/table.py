"""Tables with roles: what tasks on rows and columns share, from files to memory-mapped arrays.

Takes ``data`` of a recipe; :func:`look` says what is there, :func:`prepare` writes the arrays, :func:`load` opens
them, :func:`read_new` reads other data the same way. Read on, in the order in which data flow: ``table_files``,
``table_view`` (columns made of others), ``table_read``, ``table_roles`` (what columns are for), ``table_labels`` and
``table_amounts`` (what is predicted), ``table_split``, ``table_survey`` (these together), ``table_features``,
``table_images``, ``table_texts``, ``table_write``, ``table_problem`` (what comes out), ``table_new``. Scaling is the
families' work: each wants its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import (
    file_hashes,
    rundir,
    table_features,
    table_files,
    table_new,
    table_read,
    table_survey,
    table_write,
)
from automl_phys.errors import DataError
from automl_phys.facts import Facts
from automl_phys.table_files import Files
from automl_phys.table_problem import DESCRIPTION, NewRows, Rows, Schema, Stored, TableProblem, load
from automl_phys.telling import Tell, nobody
from automl_phys.values import to_json

if TYPE_CHECKING:
    from automl_phys.sections import Divided

__all__ = ["NewRows", "Rows", "Schema", "TableProblem", "fingerprint", "load", "look", "prepare", "read_new"]

LAYOUT_VERSION = 4
"""Raised when the same inputs would be stored otherwise than before."""


def look(data: Divided, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
    """Facts from the header and the target, weight and group columns; paths are relative to ``folder``.

    Rows by part are those that :func:`prepare` makes. What only the features tell, such as constant ones, is not yet
    known. Raises DataError with all mistakes.
    """
    seen = table_survey.survey(data, table_files.of_recipe(data, folder, tell), seed)
    if seen.layout is None or seen.mistakes:
        raise DataError(seen.mistakes)
    return table_survey.facts(seen, seen.layout, len(seen.roles.numbers), len(seen.roles.categories))


def prepare(
    data: Divided, folder: Path, target_folder: Path, seed: int, settings: Mapping[str, Any] = {},
    beside: Callable[[Path, Schema], Sequence[str]] | None = None, tell: Tell = nobody,
) -> TableProblem:
    """Read, check, split and write the arrays into ``target_folder``, which is replaced whole or not at all.

    ``settings`` are the task's own, kept in the schema; ``beside`` writes what else the task wants in the folder, once
    the arrays are there, and gives notes on it; ``tell`` hears how many rows are read. Raises DataError with all
    mistakes, RunError when the place cannot be written.
    """
    files = table_files.of_recipe(data, folder, tell)
    with file_hashes.ahead([location.path for location in table_read.on_disk(files)]) as hashed:
        seen = table_survey.survey(data, files, seed)
        if seen.layout is None or seen.mistakes:
            rows = sum(seen.file_rows)
            everywhere = table_features.Places(np.zeros(rows, np.int8), (rows,), 1)
            tally = table_features.read_features(files, seen.roles, everywhere)
            raise DataError([*seen.mistakes, *table_features.wrong_features(seen.roles, data.missing, tally)])
        with rundir.whole_folder(target_folder) as draft:
            schema, notes, mistakes = table_write.write(seen, seen.layout, data.missing, settings, draft, seed)
            if mistakes:
                raise DataError(mistakes)
            if beside:
                notes += beside(draft, schema)
            facts = table_survey.facts(seen, seen.layout, len(schema.numbers), len(schema.levels), tuple(notes))
            folds = seen.layout.ends[:-1] if seen.folds else ()
            hashed()
            used = table_read.used(files, seen.file_rows)
            fingerprint = _hash(data, files, [file.sha256 for file in used], seed, settings)
            stored = Stored(fingerprint, schema, facts, used, folds)
            rundir.write_json(draft / DESCRIPTION, stored)
    return load(target_folder)


def fingerprint(
    data: Divided, folder: Path, seed: int, settings: Mapping[str, Any] = {}, tell: Tell = nobody
) -> str:
    """Hash of all that decides a prepared table. Reads the files' bytes. Raises DataError when they cannot be found."""
    files = table_files.of_recipe(data, folder, tell)
    return _hash(data, files, table_read.digests(files), seed, settings)


def read_new(problem: TableProblem, path: Path, tell: Tell = nobody) -> NewRows:
    """New data as ``predict`` takes them; see :func:`automl_phys.table_new.read_new`. Raises DataError."""
    return table_new.read_new(problem.schema, path, tell)


def _hash(
    data: Divided, files: Files, digests: Sequence[str], seed: int, settings: Mapping[str, Any]
) -> str:
    """Where the files are does not matter, what is in them and all else that the section says does: the class that
    each is listed under, and the order of the classes."""
    told = data.model_dump(exclude={"path", "url", "sha256", "builtin"})
    labels = [list(data.path), list(files.labels)] if isinstance(data.path, dict) else []
    decided = {"version": LAYOUT_VERSION, "kind": type(data).__name__, "seed": seed, "files": list(digests),
               "labels": labels, "settings": settings, **told}
    return hashlib.sha256(json.dumps(to_json(decided), default=str).encode()).hexdigest()
