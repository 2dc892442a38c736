"""Where the data of a packed recipe are: the same files under names that say nothing of the one who packed them.

Takes a recipe as plain data and its folder; gives each path of it a place below ``data/``, keeps folders apart as they
were, and lists the files with their hashes. Globs stay globs: they match the same files, in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import file_hashes, image_files, recipe_paths
from automl_phys.rundir import RunDir

if TYPE_CHECKING:
    from automl_phys.recipe import Recipe


@dataclass(frozen=True)
class Datum:
    """A file or folder of the recipe's data; ``name`` is its place in the archive, ``source`` where it is now, None for
    one that is not there."""

    name: str
    source: Path | None
    inside: bool = False

    @property
    def bytes(self) -> int | None:
        return None if self.source is None else sum(file.stat().st_size for _, file in self.files())

    @property
    def sha256(self) -> str | None:
        """Of a folder: of its images' names and digests; None where there is nothing to hash."""
        if self.source is None or (self.source.is_dir() and not _holds_images(self.source)):
            return None
        return file_hashes.sha256(self.source)

    def files(self) -> Iterator[tuple[str, Path]]:
        """Its files, and their names in the archive."""
        if self.source is None:
            return
        if not self.source.is_dir():
            yield self.name, self.source
        elif _holds_images(self.source):
            for name in image_files.find(self.source).names:
                yield f"{self.name}/{name}", self.source / name
        else:
            for file in sorted(self.source.rglob("*.json")) + sorted(self.source.rglob("*.keras")):
                yield f"{self.name}/{file.relative_to(self.source).as_posix()}", file


def placed(data: Mapping[str, Any], folder: Path) -> tuple[list[Datum], dict[str, str]]:
    """The files that a recipe in ``folder`` names, and for each path of it the path in the archive."""
    wholes = {path: _whole(path, folder) for path in recipe_paths.named_paths(data)}
    shown = _short({_fixed(whole) for whole, _ in wholes.values()})
    moved: dict[str, str] = {}
    found: dict[str, Datum] = {}
    for path, (whole, inside) in wholes.items():
        fixed = _fixed(whole)
        moved[path] = _joined(shown[fixed], whole.relative_to(fixed)) + (f":{inside}" if inside else "")
        files: list[Path | None] = [*_matches(whole)] or [None]
        for file in files:
            name = _joined(shown[fixed], (file or whole).relative_to(fixed))
            found.setdefault(name, Datum(name, file))
    return [found[name] for name in sorted(found)], moved


def files(path: str, folder: Path) -> list[Path]:
    """The files, or folders of images, at a path that a recipe in ``folder`` names; none where there are none."""
    whole, _ = _whole(path, folder)
    return _matches(whole)


def manifest(data: Mapping[str, Any], files: Sequence[Datum]) -> dict[str, Any]:
    """What ``data.json`` says: which files with which hashes, or which data set, or which address."""
    section = data.get("data", {})
    listed = [{"path": one.name, "inside": one.inside, "bytes": one.bytes, "sha256": one.sha256} for one in files]
    return {**{key: section[key] for key in ("builtin", "url", "sha256") if key in section}, "files": listed}


def personal_folders(run: Path, wanted: Recipe) -> tuple[str, ...]:
    """Folders that a run's files may name, the longest first: where it was run, where its data are, the home folder."""
    places = {Path.home(), Path.cwd(), run.absolute(), run.resolve(), *run.resolve().parents[2:3],
              *(_fixed(_whole(path, wanted.folder)[0]) for path in recipe_paths.named_paths(wanted.data))}
    texts = {str(place) for place in places if len(place.parts) > 1}
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


def _holds_images(folder: Path) -> bool:
    """Whether a folder is one of images; that of a run has figures, and is none."""
    return not RunDir(folder).plan.exists() and image_files.any_in(folder)


def _whole(path: str, folder: Path) -> tuple[Path, str]:
    """A path of the recipe as an absolute one, and what is meant inside of the file."""
    name, inside = recipe_paths.parted(path)
    return Path(os.path.normpath(folder.absolute() / Path(name).expanduser())), inside


def _fixed(whole: Path) -> Path:
    """The folder that a path is in, of a glob the one above the first part with a sign in it."""
    if whole.exists():
        return whole.parent
    magic = next((i for i, part in enumerate(whole.parts) if any(sign in part for sign in recipe_paths.MAGIC)),
                 len(whole.parts) - 1)
    return Path(*whole.parts[:magic])


def _matches(whole: Path) -> list[Path]:
    """The files, or folders of images, as the task will find them; or the folder of a run."""
    return [whole] if whole.exists() else recipe_paths.matches(str(whole), Path())


def _short(folders: set[Path]) -> dict[Path, str]:
    """Each folder below ``data``: relative to the one that holds them all, or numbered, where that is above the home
    folder and the way from there names a person."""
    if not folders:
        return {}
    common = Path(os.path.commonpath(folders))
    if common in (*Path.home().parents, Path("/")):
        return {folder: f"data/{number}" for number, folder in enumerate(sorted(folders), start=1)} if (
            len(folders) > 1) else dict.fromkeys(folders, "data")
    return {folder: _joined("data", folder.relative_to(common)) for folder in folders}


def _joined(folder: str, path: Path) -> str:
    return folder if path == Path() else f"{folder}/{path.as_posix()}"
