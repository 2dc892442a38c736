"""A run's directory: the names of its files, and writes that are whole or not there.

Every stage reads the files that the one before it wrote, so that a killed run resumes and each hand-over can be
looked at. Nothing else in the package spells a file name of a run.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from automl_phys.errors import CallError, Mistake, RunError
from automl_phys.values import to_json

T = TypeVar("T")

NUMBERS = re.compile(r'\[\n((?:[-+.\de,\s]|"nan"|"-?inf")+)\n\s*\]')
"""A list of numbers as ``json.dumps`` indents it. No text matches: a line break in one is escaped."""


@dataclass(frozen=True)
class FitDir:
    """Where one job, a trial or the refit of one on a fold, keeps its files."""

    path: Path

    @property
    def job(self) -> Path:
        """What was asked for; written before it is sent out."""
        return self.path / "job.json"

    @property
    def result(self) -> Path:
        """How it ended; a folder without it is done again."""
        return self.path / "result.json"

    @property
    def valid(self) -> Path:
        """Predictions for the rows it was judged on, float32; fold after fold where there are several."""
        return self.path / "valid.npy"

    @property
    def history(self) -> Path:
        """The learning curve, of the first fold where there are several."""
        return self.path / "history.json"

    @property
    def traceback(self) -> Path:
        """The exception of a failed one."""
        return self.path / "traceback.txt"

    @property
    def checkpoint(self) -> Path:
        """What a fit that was cut off goes on from."""
        return self.path / "checkpoint"

    @property
    def watched(self) -> Path:
        """In a checkpoint, the objective at each step until then."""
        return self.checkpoint / "values.json"

    def model(self, fold: int | None = None) -> Path:
        """The saved model, or the one of a fold where the job fitted several."""
        return self.path / "model" if fold is None else self.path / "model" / str(fold)


@dataclass(frozen=True)
class RunDir:
    """Where a run keeps its files."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def environment(self) -> Path:
        return self.path / "environment.json"

    @property
    def problem(self) -> Path:
        return self.path / "problem"

    @property
    def inputs(self) -> Path:
        """The hash of what the problem was made from."""
        return self.path / "inputs.json"

    @property
    def embeddings(self) -> Path:
        """Reductions that trials share."""
        return self.path / "embeddings"

    @property
    def binned(self) -> Path:
        """What boosted trees make of many rows, while they are searched and refitted."""
        return self.path / "binned"

    @property
    def trials(self) -> Path:
        return self.path / "trials"

    @property
    def search(self) -> Path:
        """The search in Optuna's tables, for people to look at; made again from the trials when it is lost."""
        return self.path / "search.sqlite"

    @property
    def search_note(self) -> Path:
        """Why that record is not complete; not there when it is."""
        return self.path / "search-note.txt"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def ensemble(self) -> Path:
        return self.model / "ensemble.json"

    @property
    def verified(self) -> Path:
        return self.model / "verified.json"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def findings(self) -> Path:
        return self.path / "findings.json"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.parquet"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def stopped(self) -> Path:
        """What ended the run before it was finished; not there of one that is, or that was killed."""
        return self.path / "stopped.json"

    @property
    def log(self) -> Path:
        return self.path / "run.log"

    def trial(self, number: int) -> Path:
        """Folder of one trial: ``job.json``, ``result.json``, ``valid.npy``, ``model/``."""
        return self.trials / f"{number:05d}"

    def fit(self, trial: int, fold: int | None = None) -> Path:
        """Folder of a winner's refit, on train and validation together or on one fold, with the files of a trial."""
        return self.model / "fits" / (f"{trial:05d}" if fold is None else f"{trial:05d}-{fold}")

    def report(self, suffix: str) -> Path:
        return self.path / f"report.{suffix}"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well, and is removed when it does not.

    The file is on the disk (fsync) before it is renamed. Raises RunError when the disk is full or not writable.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        temporary.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        with suppress(OSError):  # it may be where nothing can be
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` that takes its place when the block ends well, and is removed when it does not.

    Raises RunError when the disk is full or the place not writable.
    """
    draft = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # left by a process that was killed
        draft.mkdir(parents=True)
        yield draft
        for file in draft.iterdir():
            sync(file)
        if target.exists():
            shutil.rmtree(target)
        draft.rename(target)
    except OSError as error:
        raise disk_error(error, target) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def point_to(link: Path, name: str) -> None:
    """Make ``link`` a symbolic link to its neighbour ``name``, replacing an older link at once."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}.part")
    try:
        temporary.symlink_to(name)
        temporary.replace(link)
    except OSError as error:
        raise disk_error(error, link) from error
    finally:
        with suppress(OSError):  # it may be where nothing can be
            temporary.unlink(missing_ok=True)


def disk_error(error: OSError, path: Path) -> RunError:
    """An operating system's refusal as an error with a remedy."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunError(Mistake("disk-full", f"The disk is full: {path} could not be written.",
                                "Free some space, or choose another place; --resume goes on with a run."))
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return RunError(Mistake("not-writable", f"{path} cannot be written: {error.strerror}.",
                                "Choose a folder you may write to with --out."))
    return RunError(Mistake("write-failed", f"{path} could not be written: {error}.",
                            "Check the disk and try --resume."))


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def as_json(thing: Any) -> str:
    """A dataclass, mapping or list as JSON text, a list of numbers on one line."""
    text = json.dumps(to_json(thing), indent=1, ensure_ascii=False)
    return NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text) + "\n"


def write_json(path: Path, thing: Any) -> None:
    """Write a dataclass, mapping or list as JSON, atomically."""
    write_text(path, as_json(thing))


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    """What reads a kind of JSON; made once, as that takes as long as many readings."""
    return TypeAdapter(kind)


def read_json(path: Path, kind: type[T]) -> T:
    """Read what :func:`write_json` wrote as an instance of ``kind``. Raises CallError when it is missing or damaged."""
    try:
        reader: TypeAdapter[T] = _reader(kind)  # type: ignore[arg-type]  # a type can be hashed
        return reader.validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CallError(not_there(path)) from error
    except ValueError as error:
        raise CallError(damaged(path, error)) from error


def not_there(path: Path) -> Mistake:
    """A file of a run that is missing."""
    return Mistake("not-a-run", f"{path} is not there.", "Give the folder of a finished run, e.g. runs/NAME/latest.")


def damaged(path: Path, error: Exception) -> Mistake:
    """A file of a run that is not as it was written."""
    return Mistake("damaged-run", f"{path} cannot be read: {error}",
                   "It was changed by hand or by another version; run the recipe again.")


def sha256(path: Path) -> str:
    """The hash of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_manifest(run: RunDir) -> None:
    """Size and SHA-256 of every file of the run, so that a copy can be checked; but for the record of the search, which
    changes when it is looked at."""
    files = sorted(f for f in run.path.rglob("*") if f.is_file() and f not in (run.manifest, run.search))
    write_json(run.manifest, {
        str(f.relative_to(run.path)): {"bytes": f.stat().st_size, "sha256": sha256(f)} for f in files})
