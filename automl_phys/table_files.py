"""The files of a table: found, checked to agree, with the columns that a recipe makes of theirs.

Takes what a recipe says under ``data``; gives the files in order and the columns they share. Reading them is
:mod:`automl_phys.table_read`'s work, what a column is for :mod:`automl_phys.table_roles`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import downloads, image_files, recipe_paths, registry
from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Key, Mistake
from automl_phys.sections import SplitTable
from automl_phys.table_view import View
from automl_phys.telling import Tell, nobody

if TYPE_CHECKING:
    from automl_phys.sections import Located


FOLDER = "image_folder"
"""The source of folders; all others are of files."""


@dataclass(frozen=True)
class Files:
    """Files that make one table, one after the other; ``sources[i]`` is the word for the format of ``locations[i]``,
    ``labels[i]`` the class it is listed under, empty for none.

    ``header`` holds the columns that they share and those that ``view`` makes of them; its ``rows`` is None when a file
    must be read to be counted. The last ``test`` files hold the test rows. ``key`` is the place in the recipe that
    names the files. ``tell`` hears how far reading them is.
    """

    locations: tuple[Location, ...]
    sources: tuple[str, ...]
    labels: tuple[str, ...]
    header: Header
    key: Key = ()
    view: View = field(default_factory=View)
    test: int = 0
    tell: Tell = field(default=nobody, compare=False)


@dataclass(frozen=True)
class Used:
    """A file that went into a prepared table."""

    name: str
    sha256: str
    rows: int


def of_recipe(data: Located, folder: Path, tell: Tell = nobody) -> Files:
    """The files that a recipe names, in ``folder`` where it says no more, with the columns that it makes.

    Raises DataError with all of ``missing-file``, ``glob-matches-nothing``, ``unknown-format``, ``empty-file``,
    ``unreadable-file``, ``mixed-schemas``, ``test-file-in-train``, what a download raises and what is wrong with made
    columns.
    """
    flags = {f"({name})": text for name, text in data.flags.items() if text}
    view = View(data.class_column, data.lengths, data.define, data.cut or "", flags)
    test = data.split.test_file if isinstance(data, SplitTable) else None
    if data.builtin is not None:
        files = _agreeing([(Location(Path(data.builtin)), "builtin", "")], ("data", "builtin"))
    elif data.url is not None and data.sha256 is not None:
        files = find(str(downloads.fetch(data.url, data.sha256, tell)), folder, ("data", "url"))
    else:
        files = find(data.path or (), folder)
    if test:
        files = _joined(files, find(test, folder, ("data", "split", "test")))
    header, mistakes = view.header(files.header)
    if mistakes:
        raise DataError(mistakes)
    return replace(files, header=header, view=view, tell=tell)


def find(path: str | Sequence[str] | Mapping[str, str | Sequence[str]], folder: Path,
         key: Key = ("data", "path")) -> Files:
    """The files behind a path, a list of paths, or such by class; paths may be globs and are relative to ``folder``.

    A folder with images counts as a file; of what a glob matches only where there is no file. ``key`` is the place in
    the recipe that its mistakes point to. Raises DataError with all mistakes in the files.
    """
    mistakes: list[Mistake] = []
    found: dict[Location, tuple[str, str]] = {}
    for label, paths in path.items() if isinstance(path, Mapping) else [("", path)]:
        for one in [paths] if isinstance(paths, str) else paths:
            name, inside = recipe_paths.parted(one)
            matches = recipe_paths.matches(name, folder)
            if not matches:
                mistakes.append(_nothing_there(name, folder, "the recipe's folder" if key else "the current folder"))
            for match in matches:
                location, source = Location(match, inside), _source(match)
                if found.get(location, ("", label))[1] != label:
                    mistakes.append(Mistake("file-in-two-classes", f"{match} is listed under two classes.",
                                            "A file has one class: name the files of each apart."))
                if source is None:
                    mistakes += [m for m in [_unknown_format(match)] if m not in mistakes]
                elif match.is_file() and match.stat().st_size == 0:
                    mistakes.append(Mistake("empty-file", f"{match} is empty.", "Give a file with rows."))
                found[location] = (source or "", label)
    folders = {location.path.resolve() for location, (source, _) in found.items() if source == FOLDER}
    mistakes += [_part_of_another(path) for path in sorted(folders) if path.parent in folders]
    if mistakes:
        raise DataError([replace(m, key=key) for m in mistakes])
    return _agreeing([(location, source, label) for location, (source, label) in found.items()], key)


def _nothing_there(path: str, folder: Path, base: str) -> Mistake:
    whole = folder / Path(path).expanduser()
    if any(sign in path for sign in recipe_paths.MAGIC):
        return Mistake("glob-matches-nothing", f"No file matches {whole}.", "Check the folder and the pattern.")
    if whole.is_dir():
        return Mistake("missing-file", f"{whole} is a folder.", f"Name its files, e.g. {path.rstrip('/')}/*.parquet.")
    if not whole.parent.is_dir():
        return Mistake("missing-file", f"There is no file {whole}: its folder is not there either.",
                       f"A path is relative to {base}.")
    near = registry.did_you_mean(whole.name, [f.name for f in whole.parent.iterdir()])
    return Mistake("missing-file", f"There is no file {whole}.{near}", f"A path is relative to {base}.")


def _part_of_another(path: Path) -> Mistake:
    return Mistake("folder-twice", f"{path} is a part of {path.parent}, which is listed too.",
                   "Name the folder, or those in it: an image is one row.")


def _unknown_format(path: Path) -> Mistake:
    if image_files.is_image(path):
        return Mistake("unknown-format", f"{path.parent} holds images, which are read together.",
                       f"Name the folder: {path.parent}.")
    known = ", ".join(s for name in registry.names("sources") for s in registry.load("sources", name).SUFFIXES)
    return Mistake("unknown-format", f"The format of {path.name} is not known by its ending.",
                   f"Known endings: {known}.")


def _source(path: Path) -> str | None:
    if path.is_dir():
        return FOLDER
    endings = {word: registry.load("sources", word).SUFFIXES for word in registry.names("sources")}
    return next((word for word, ending in endings.items() if path.name.lower().endswith(ending)), None)


def _agreeing(found: Sequence[tuple[Location, str, str]], key: Key) -> Files:
    """Files with one schema. Raises DataError (``mixed-schemas``, and what the sources raise)."""
    headers: list[Header] = []
    mistakes: list[Mistake] = []
    first = found[0][0]
    for location, source, label in found:
        try:
            header = registry.load("sources", source).peek(location)
        except DataError as error:
            mistakes += error.mistakes
            continue
        if label and source == FOLDER:  # the recipe says the classes, and not the folders in it
            header = replace(header, columns={name: kind for name, kind in header.columns.items() if name != "class"})
        if header.rows == 0:
            mistakes.append(without_rows(location.path))
        if headers and (header.columns != headers[0].columns or header.shapes != headers[0].shapes):
            mistakes.append(_mixed(first, headers[0], location, header))
        headers.append(header)
    if mistakes:
        raise DataError([replace(m, key=key) for m in mistakes])
    known = [header.rows for header in headers if header.rows is not None]
    rows = sum(known) if len(known) == len(found) else None
    locations, sources, labels = zip(*found, strict=True)
    return Files(locations, sources, labels, replace(headers[0], rows=rows), key)


def _joined(files: Files, test: Files) -> Files:
    """Files, and files of test rows behind them. Raises DataError when they don't agree, or share a file."""
    known = {location.path.resolve(): source for location, source in zip(files.locations, files.sources, strict=True)}
    around = {path.parent for path, source in known.items() if source == FOLDER}
    twice = [location for location, source in zip(test.locations, test.sources, strict=True)
             if (path := location.path.resolve()) in known
             or (source == FOLDER and (path in around or known.get(path.parent) == FOLDER))]
    if twice:
        raise DataError(Mistake("test-file-in-train", f"{twice[0].path} holds the test rows, and is among the files to "
                                "learn from.", "Name other files under 'path', or under 'test'.", test.key))
    if test.header.columns != files.header.columns or test.header.shapes != files.header.shapes:
        raise DataError(replace(_mixed(files.locations[0], files.header, test.locations[0], test.header), key=test.key))
    counts = (files.header.rows, test.header.rows)
    rows = None if None in counts else sum(n for n in counts if n is not None)
    return Files(files.locations + test.locations, files.sources + test.sources, files.labels + test.labels,
                 replace(files.header, rows=rows), files.key, test=len(test.locations))


def without_rows(path: Path) -> Mistake:
    return Mistake("empty-file", f"{path} has columns but no rows.", "Give a file with rows.")


def _mixed(first: Location, header: Header, location: Location, other: Header) -> Mistake:
    if header.columns == other.columns:
        name = next(name for name in header.columns if header.shapes.get(name) != other.shapes.get(name))
        text = f"the arrays '{name}' differ in shape"
    else:
        text = _difference(header.columns, other.columns)
    return Mistake("mixed-schemas", f"{location.path.name} does not have the columns of {first.path.name}: {text}.",
                   "Files that make one table need the same columns of the same types.")


def _difference(first: Mapping[str, str], other: Mapping[str, str]) -> str:
    """The columns in which two headers differ, the first three of them, in words."""
    words = [f"'{name}' is missing" for name in first if name not in other]
    words += [f"'{name}' is {other[name]}, not {kind}" for name, kind in first.items() if other.get(name, kind) != kind]
    words += [f"'{name}' is only there" for name in other if name not in first]
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")
