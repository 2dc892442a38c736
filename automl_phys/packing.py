"""Packing a recipe or a run into one archive, for others to run, to predict with, or to build on.

Takes the path of a recipe, or of a run's folder; writes an archive as :mod:`automl_phys.archives` reads them: with
everything that the recipe extends merged into it, a list of the data with their hashes, a README, and if asked the data
and the model. Nothing in it says where it was made: paths are relative, times fixed, so that the same content gives the
same bytes. What should not be given away is told by :mod:`automl_phys.recipe_lint` before anything is written.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from automl_phys import (
    __version__,
    archive_contents,
    archive_zip,
    archives,
    locks,
    packed_data,
    packed_readme,
    recipe,
    recipe_lint,
    recipe_paths,
    rundir,
)
from automl_phys.archive_contents import DATA, LOCK, README, RECIPE
from automl_phys.archive_zip import GB
from automl_phys.errors import ArchiveError, CallError, LintError, Mistake, RunError
from automl_phys.packed_data import Datum
from automl_phys.recipe import Recipe
from automl_phys.rundir import RunDir
from automl_phys.telling import Bytes, Tell, nobody
from automl_phys.trials import Ensemble

LOOKED_AT = (".json", ".yaml", ".md", ".txt")
"""Endings of members that people can read, and that are searched for what should not be given away."""
SQUEEZED = (".npy", ".csv", ".tsv", *LOOKED_AT)
"""Endings of members that get smaller; others are compressed already."""
WHOLE_PROBLEM = ("forecast", "generate")
"""Tasks whose models start from the prepared data: the history of a series, the conditions of events."""


@dataclass(frozen=True)
class Made:
    """The archive that was written; ``notes`` are sentences about what is not in it."""

    path: Path
    sha256: str
    bytes: int
    members: int
    notes: tuple[str, ...]


def pack(given: Path, target: Path | None = None, with_model: bool = False, with_data: bool = False,
         limit_gb: float = archive_zip.LIMIT_GB, force: bool = False, tell: Tell = nobody) -> Made:
    """Write the archive ``target``, by default ``<name>.amlphys.zip`` in the current folder; ``tell`` hears how much
    of it is read.

    Raises RecipeError for a recipe that is not sound, LintError for what should not be given away, unless ``force``d,
    ArchiveError and CallError for what cannot be packed, RunError when the disk refuses.
    """
    run = RunDir(given) if given.is_dir() else None
    if run is not None and not run.recipe.is_file():
        raise CallError(Mistake("not-a-run", f"{given} is a folder, but not of a run.",
                                "Give a recipe, or the folder of a run such as runs/NAME/latest."))
    if with_model and (run is None or not run.ensemble.is_file()):
        raise CallError(Mistake("no-model-inside", f"There is no trained model in {given}.",
                                "Give the folder of a finished run, or leave --with-model out."))
    wanted = recipe.load(run.recipe if run else given)
    target = target or Path(f"{wanted.name}{archives.SUFFIX}")
    _check_target(target)
    data, moved = packed_data.placed(wanted.data, wanted.folder)
    members = _members(wanted, moved, data, run, given, with_model, with_data)
    _check(members, limit_gb, force)
    read = Bytes(2 * sum(map(_size, members.values())), "read", tell)  # once for the hashes, once to be written
    digest = _write(target, _manifest(wanted, "run" if run else "recipe", members, read), members, read)
    archives.look(target, limit_gb)  # what cannot be read again would have been a mistake of ours
    return Made(target, digest, target.stat().st_size, len(members), tuple(_notes(wanted, data, with_data)))


def _members(wanted: Recipe, moved: Mapping[str, str], data: list[Datum], run: RunDir | None, given: Path,
             with_model: bool, with_data: bool) -> dict[str, bytes | Path]:
    """The members by their names, but for the manifest: texts, or files as they are. ``given`` is the recipe, which may
    be a lock, or the folder of the run, in which there may be one."""
    plain = recipe_paths.moved_paths(wanted.data, lambda path: moved[path], absolute=True)
    inside = tuple(replace(one, inside=with_data) for one in data)
    if with_data and (lost := [one.name for one in data if one.source is None]):
        raise ArchiveError(Mistake("missing-file", f"There are no data to pack at {', '.join(lost)}.",
                                   "Check the paths in the recipe, or leave --with-data out."))
    members: dict[str, bytes | Path] = {
        RECIPE: recipe.as_yaml(plain).encode(),
        DATA: rundir.as_json(packed_data.manifest(wanted.data, inside)).encode(),
    }
    places = packed_data.personal_folders(run.path if run else given.parent, wanted)
    if run is not None:
        members.update(_of_run(run, wanted, with_model, places))
    if lock := locks.find(run.path / LOCK if run else given):
        names = {one.source: one.name for one in data if one.source}
        moved_lock = locks.moved(lock, plain, run.path / lock.folder if run else wanted.folder, names)
        members[LOCK] = _told(locks.text(moved_lock), places)
    if with_data:
        members.update({file: source for one in data for file, source in one.files()})
    members[README] = packed_readme.text(wanted, inside, run, with_model).encode()
    return members


def _of_run(run: RunDir, wanted: Recipe, with_model: bool, places: tuple[str, ...]
            ) -> Iterator[tuple[str, bytes | Path]]:
    """What a run was and came to; with its model, all that predicting takes. ``places`` are folders not to be told."""
    files = [run.environment, run.evaluation, run.findings]
    if with_model:
        members = rundir.read_json(run.ensemble, Ensemble).members
        whole = wanted.task in WHOLE_PROBLEM
        files += [run.plan, run.ensemble, run.verified,
                  *(file for file in run.problem.rglob("*") if whole or file.suffix == ".json"),
                  *(file for member in members for folder in member.folders for file in (run.path / folder).rglob("*"))]
    for file in files:
        if file.is_file():
            name = file.relative_to(run.path).as_posix()
            yield name, _told(file.read_text(encoding="utf-8"), places) if file.suffix == ".json" else file


def _told(text: str, places: tuple[str, ...]) -> bytes:
    """The text of a JSON or YAML file without the folders that it was made in."""
    for place in places:
        text = re.sub(rf"{re.escape(place)}(?:(/)|(?![\w.-]))", lambda found: "" if found[1] else ".", text)
    return text.encode()


def _notes(wanted: Recipe, data: list[Datum], with_data: bool) -> Iterator[str]:
    if data and not with_data:
        yield ("The data are not inside, only their names and hashes: who unpacks it puts them there "
               "(or pack --with-data).")
    if isinstance(url := wanted.data.get("data", {}).get("url"), str):
        yield f"The data are not inside: whoever runs it downloads them from {url}."
    module = str(wanted.data.get("environment", {}).get("id", ""))
    if ":" in module:
        yield f"The code of {module} is not inside: archives hold no programs. Give it to others by other means."


# ---------------------------------------------------------------- checks

def _check_target(target: Path) -> None:
    if not target.name.lower().endswith(archives.SUFFIX):
        raise CallError(Mistake("unknown-format", f"{target.name} does not end in {archives.SUFFIX}.",
                                f"Name it {target.name.partition('.')[0]}{archives.SUFFIX}: an archive is known by its "
                                "ending."))
    if target.exists():
        raise CallError(Mistake("file-exists", f"{target} exists already.", "Name another file under -o."))


def _check(members: Mapping[str, bytes | Path], limit_gb: float, force: bool) -> None:
    total = sum(_size(source) for source in members.values())
    if total > limit_gb * GB:
        raise ArchiveError(Mistake("archive-too-large", f"The archive would hold {total / GB:.3g} GB, more than "
                                   f"{limit_gb:.3g}.", "Allow it with --limit-gb, which who unpacks it needs too; or "
                                   "put the data elsewhere, and name them by 'url' and 'sha256'."))
    found: list[Mistake] = []
    for name, source in members.items():
        try:
            if not archive_zip.sound_name(name):
                raise archive_zip.refusal("unsafe-path", f"'{name}' is no name that every system can have.")
            archive_contents.check_name(name)
            if isinstance(source, Path):
                archive_contents.check_file(name, source, limit_gb * GB)
        except ArchiveError as error:
            remedy = "Rename or convert it, to parquet for example: archives with such a file are refused."
            raise ArchiveError([replace(m, remedy=remedy) for m in error.mistakes]) from error
        if name.endswith(LOOKED_AT) and not name.startswith("data/") and not force:
            found += recipe_lint.look(_bytes(source).decode("utf-8", "replace"), name)
    if found:
        raise LintError([*found, Mistake("not-packed", "Nothing was packed, for the reasons above.",
                                         "Mend the recipe; or, if all of this may be known, pack with --force.")])


# ---------------------------------------------------------------- writing

def _manifest(wanted: Recipe, kind: str, members: Mapping[str, bytes | Path], read: Bytes) -> bytes:
    listed = {name: {"bytes": _size(source), "sha256": _sha256(source, read)}
              for name, source in sorted(members.items())}
    return json.dumps({"format": archives.FORMAT, "program": __version__, "kind": kind, "name": wanted.name,
                       "task": wanted.task, "members": listed}, indent=1, ensure_ascii=False).encode() + b"\n"


def _write(target: Path, manifest: bytes, members: Mapping[str, bytes | Path], read: Bytes) -> str:
    """Write the zip file, whole or not at all; gives its SHA-256."""
    with rundir.atomic(target) as draft:
        with zipfile.ZipFile(draft, "w") as file:
            for name, source in [(archives.MANIFEST, manifest), *sorted(members.items())]:
                _add(file, name, source, json.loads(manifest)["members"].get(name, {}).get("sha256"), read)
        digest = rundir.sha256(draft)
    return digest


def _add(file: zipfile.ZipFile, name: str, source: bytes | Path, expected: str | None, read: Bytes) -> None:
    info = zipfile.ZipInfo(name)  # its time is the earliest that a zip file knows, 1980
    info.create_system = 3  # Unix, also where it is not: the bytes are to be the same
    info.external_attr = 0o100644 << 16
    info.file_size = _size(source)
    info.compress_type = zipfile.ZIP_DEFLATED if _worth_squeezing(name, source) else zipfile.ZIP_STORED
    digest = hashlib.sha256()
    with file.open(info, "w") as out:
        for piece in _pieces(source):
            digest.update(piece)
            out.write(piece)
            read.add(len(piece))
    if expected not in (None, digest.hexdigest()):
        raise RunError(Mistake("data-changed", f"'{name}' changed while it was packed.", "Pack again."))


def _worth_squeezing(name: str, source: bytes | Path) -> bool:
    """Whether a member gets smaller, and not so small that it would be taken for a bomb."""
    if PurePosixPath(name).suffix.lower() not in SQUEEZED:
        return False
    if (size := _size(source)) <= archive_zip.FREE_BYTES:
        return True
    squeezer = zlib.compressobj()
    small = sum(len(squeezer.compress(piece)) for piece in _pieces(source)) + len(squeezer.flush())
    return size < archive_zip.LARGEST_RATIO * small / 2


def _pieces(source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as handle:
        while piece := handle.read(archive_zip.PIECE):
            yield piece


def _bytes(source: bytes | Path) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


def _size(source: bytes | Path) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _sha256(source: bytes | Path, read: Bytes) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(source):
        digest.update(piece)
        read.add(len(piece))
    return digest.hexdigest()
