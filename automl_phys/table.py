"""Tables with roles: what tasks on rows and columns share, from files to memory-mapped arrays.

Takes ``data`` of a recipe; :func:`look` says what is there, :func:`prepare` writes the arrays, :func:`load` opens
them, :func:`read_new` reads other data the same way. Read on, in the order in which data flow: ``table_read`` (files),
``table_roles`` (columns), ``table_labels`` (classes, weights), ``table_split``, ``table_survey`` (these together),
``table_write``, ``table_problem`` (what comes out), ``table_new``. Scaling is the families' work: each wants its own.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import rundir, table_new, table_read, table_survey, table_write
from automl_phys.contracts import Facts
from automl_phys.errors import DataError
from automl_phys.table_problem import DESCRIPTION, NewRows, Rows, Schema, Stored, TableProblem, load
from automl_phys.values import to_json

if TYPE_CHECKING:
    from automl_phys.sections import LabelledTable

__all__ = ["NewRows", "Rows", "Schema", "TableProblem", "fingerprint", "load", "look", "prepare", "read_new"]

LAYOUT_VERSION = 1
"""Raised when the same inputs would be stored otherwise than before."""


def look(data: LabelledTable, folder: Path, seed: int) -> Facts:
    """Facts from the header and the target, weight and group columns; paths are relative to ``folder``.

    Rows by part are those that :func:`prepare` makes. What only the features tell, such as constant ones, is not yet
    known. Raises DataError with all mistakes.
    """
    seen = table_survey.survey(data, folder, seed)
    if seen.layout is None or seen.mistakes:
        raise DataError(seen.mistakes)
    return table_survey.facts(seen, seen.layout, len(seen.roles.numbers), len(seen.roles.categories))


def prepare(data: LabelledTable, folder: Path, target_folder: Path, seed: int) -> TableProblem:
    """Read, check, split and write the arrays into ``target_folder``, which is replaced whole or not at all.

    Raises DataError with all mistakes, RunError when the place cannot be written.
    """
    seen = table_survey.survey(data, folder, seed)
    if seen.layout is None or seen.mistakes:
        rows = sum(seen.file_rows)
        tally = table_write.read_features(seen.files, seen.roles, np.arange(rows), rows)
        raise DataError([*seen.mistakes, *table_write.wrong_features(seen.roles, data.missing, tally)])
    used = table_read.used(seen.files, seen.file_rows)
    with table_write.whole_folder(target_folder) as draft:
        schema, notes, mistakes = table_write.write(seen, seen.layout, data.missing, draft)
        if mistakes:
            raise DataError(mistakes)
        facts = table_survey.facts(seen, seen.layout, len(schema.numbers), len(schema.levels), tuple(notes))
        folds = seen.layout.ends[:-1] if seen.folds else ()
        stored = Stored(_hash(data, [file.sha256 for file in used], seed), schema, facts, used, folds)
        rundir.write_json(draft / DESCRIPTION, stored)
    return load(target_folder)


def fingerprint(data: LabelledTable, folder: Path, seed: int) -> str:
    """Hash of all that decides a prepared table. Reads the files' bytes. Raises DataError when they cannot be found."""
    return _hash(data, table_read.digests(table_read.find(data.path, data.builtin, folder)), seed)


def read_new(problem: TableProblem, path: Path) -> NewRows:
    """New data as ``predict`` takes them; see :func:`automl_phys.table_new.read_new`. Raises DataError."""
    return table_new.read_new(problem.schema, path)


def _hash(data: LabelledTable, digests: list[str] | tuple[str, ...], seed: int) -> str:
    split = data.split
    decided = {
        "version": LAYOUT_VERSION, "seed": seed, "files": list(digests), "target": data.target, "signal": data.signal,
        "classes": [[str(label), name] for label, name in (data.classes or {}).items()],
        "features": data.features, "exclude": data.exclude, "categorical": data.categorical, "weight": data.weight,
        "spectators": data.spectators, "group": data.group, "missing": data.missing,
        "split": [split.train, split.valid, split.test, split.column or split.by, split.folds],
    }
    return hashlib.sha256(json.dumps(to_json(decided)).encode()).hexdigest()
