"""Archives of recipes and runs: read, checked, and unpacked once.

Takes a path or an address; gives a folder in the user's cache, or wherever the caller says, with what was packed:
whole, every hash verified, nothing in it but data; or an ArchiveError, and nothing is kept. An archive is a zip file
whose first member, ``automl-phys.json``, lists all others with size and SHA-256. The zip file itself is checked by
:mod:`automl_phys.archive_zip`, the files in it by :mod:`automl_phys.archive_contents`; :mod:`automl_phys.packing`
writes archives. Nobody else has to know that a path may be one: :func:`opened` is the one place.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from automl_phys import archive_contents, archive_zip, downloads, file_hashes, machine, rundir
from automl_phys.archive_zip import GB, LIMIT_GB, Packed, refusal
from automl_phys.errors import ArchiveError, DataError, Mistake
from automl_phys.exhibits import Table
from automl_phys.telling import Bytes, Tell, nobody

SUFFIX = ".amlphys.zip"
FORMAT = 1
"""Of archives that this program writes; it reads those up to this one."""
MANIFEST = "automl-phys.json"
LARGEST_MANIFEST = 8_000_000
HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts that need no encryption: this machine, and the near end of a tunnel."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Member:
    """What the manifest says of a file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What an archive says of itself. ``kind`` is ``recipe`` or ``run``, ``program`` the version that packed it."""

    kind: str
    name: str
    task: str
    program: str
    members: Mapping[str, Member]


# ---------------------------------------------------------------- a path may be an archive

def is_address(given: str) -> bool:
    """Whether what stands in place of a path is an address."""
    return given.startswith(("https://", "http://"))


def is_one(given: str) -> bool:
    """Whether what stands in place of a path is an archive or an address of one."""
    return is_address(given) or given.lower().endswith(SUFFIX)


def opened(given: str, tell: Tell = nobody) -> Path | None:
    """The folder of what is packed in an archive, given by its path or address, unpacked on its first use into the
    user's cache folder; None for other paths. ``tell`` hears how much has come, and is unpacked.

    Raises ArchiveError (:func:`unpack`, :func:`fetched`).
    """
    if not is_one(given):
        return None
    file = fetched(given, tell=tell) if is_address(given) else _there(Path(given))
    target = machine.user_cache() / "archives" / _hash(file)
    if not target.is_dir():
        unpack(file, target, tell=tell)
    return target


def recipe(given: str) -> Path:
    """The path of a recipe, be it as it is given or inside of an archive. Raises ArchiveError."""
    folder = opened(given)
    return Path(given) if folder is None else folder / archive_contents.RECIPE


def run(given: str) -> Path:
    """The folder of a run, be it as it is given or inside of an archive.

    Raises ArchiveError, also for an archive without a model (``no-model-inside``).
    """
    folder = opened(given)
    if folder is None:
        return Path(given)
    if not rundir.RunDir(folder).ensemble.exists():
        raise ArchiveError(Mistake("no-model-inside", f"There is no model in {given}.",
                                   "Ask for one packed with 'automl-phys pack RUN --with-model', or run its recipe."))
    return folder


def given(path: str, sha256: str = "", tell: Tell = nobody) -> Path:
    """The file of an archive, given by its path or address; its hash is held against ``sha256``, if that is told.

    Raises ArchiveError.
    """
    if is_address(path):
        return fetched(path, sha256, tell)
    file = _there(Path(path))
    if sha256 and _hash(file) != sha256.lower():
        raise ArchiveError(Mistake("wrong-hash", f"{file} is not what was wanted: its SHA-256 is {_hash(file)}.",
                                   "Copy or download it again, or ask who packed it."))
    return file


def fetched(address: str, sha256: str = "", tell: Tell = nobody) -> Path:
    """The archive at ``https://…/x.amlphys.zip#sha256=HEX``, from the cache if it is there; the hash may stand apart.

    Raises ArchiveError: ``address-without-hash``, ``insecure-address``, ``wrong-hash``, ``download-failed``.
    """
    url, _, fragment = address.partition("#")
    told = fragment.removeprefix("sha256=").lower() if fragment.startswith("sha256=") else ""
    if told and sha256 and told != sha256.lower():
        raise ArchiveError(Mistake("wrong-hash", "The address and --sha256 say different hashes.", "Keep one of them."))
    wanted = sha256.lower() or told
    if not _SHA256.fullmatch(wanted):
        raise ArchiveError(Mistake("address-without-hash", f"{url} is given without the SHA-256 of what is there.",
                                   f"Write {url}#sha256=HEX, so that nobody can put another file there; who packed it "
                                   "knows the 64 digits."))
    if url.startswith("http://") and urlsplit(url).hostname not in HERE:
        raise ArchiveError(Mistake("insecure-address", f"{url} is not encrypted.", "Use https."))
    try:
        return downloads.fetch(url, wanted, tell)
    except DataError as error:
        remedy = "Check address and network, or download the archive by other means and give its path."
        raise ArchiveError([replace(m, key=(), remedy=remedy if m.code == "download-failed" else m.remedy)
                            for m in error.mistakes]) from error


def table(contents: Contents) -> Table:
    """What is in an archive, for people."""
    rows = tuple((name, member.bytes, member.sha256[:12]) for name, member in contents.members.items())
    return Table(f"A {contents.kind} of task {contents.task}: {contents.name}", ("file", "bytes", "SHA-256"), rows,
                 f"Packed by automl-phys {contents.program}; all hashes are right.")


# ---------------------------------------------------------------- what is in it

def look(file: Path, limit_gb: float = LIMIT_GB) -> Contents:
    """What an archive says of itself; zip file and manifest are checked, nothing is unpacked. Raises ArchiveError."""
    with _open(file) as handle, _naming(file):
        return _contents(handle, archive_zip.members(handle, limit_gb * GB))


def unpack(file: Path, target: Path, limit_gb: float = LIMIT_GB, tell: Tell = nobody) -> Contents:
    """Write what is in an archive into the new folder ``target``, whole or not at all; ``tell`` hears how much
    is written.

    Raises ArchiveError for whatever is wrong with it, ``folder-not-empty``, RunError when the disk refuses.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ArchiveError(Mistake("folder-not-empty", f"{target} is there already, and not empty.",
                                   "Name another folder under -o."))
    draft: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        with _open(file) as handle, _naming(file):
            contents = _extract(handle, draft, limit_gb * GB, tell)
        draft.chmod(0o755)
        with suppress(FileNotFoundError):
            target.rmdir()
        draft.rename(target)
    except OSError as error:
        if target.is_dir() and (target / MANIFEST).is_file():
            return look(file, limit_gb)  # another process was first, with the very same
        raise rundir.disk_error(error, target) from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)
    return contents


def _extract(handle: BinaryIO, folder: Path, limit: float, tell: Tell) -> Contents:
    packed = archive_zip.members(handle, limit)
    contents = _contents(handle, packed)
    written = Bytes(sum(member.size for member in packed), "unpacked", tell)
    for member in packed:
        file = folder / member.name
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with file.open("xb") as out:
            for piece in archive_zip.pieces(handle, member):
                digest.update(piece)
                out.write(piece)
                written.add(len(piece))
            out.flush()
            os.fsync(out.fileno())
        if member.name != MANIFEST:
            if digest.hexdigest() != contents.members[member.name].sha256:
                raise refusal("wrong-hash", f"'{member.name}' is not what was packed: its SHA-256 is another one.",
                              "It is damaged, or was tampered with. Copy or download it again.")
            archive_contents.check_file(member.name, file, limit)
    return contents


def _contents(handle: BinaryIO, packed: list[Packed]) -> Contents:
    """Read the manifest and hold it against the members, their sizes and kinds."""
    if not packed or packed[0].name != MANIFEST:
        raise refusal("not-an-archive", f"It is a zip file, but does not begin with {MANIFEST}.",
                      "Give a file that 'automl-phys pack' made.")
    if packed[0].size > LARGEST_MANIFEST:
        raise refusal("bad-manifest", f"Its {MANIFEST} is larger than any of ours.")
    contents = _understood(b"".join(archive_zip.pieces(handle, packed[0])))
    names = {member.name: member.size for member in packed[1:]}
    for name in names:
        if name not in contents.members:
            raise refusal("unlisted-member", f"'{name}' is in it, but not in its list.")
        archive_contents.check_name(name)
    for name, member in contents.members.items():
        if name not in names:
            raise refusal("missing-member", f"'{name}' is in its list, but not in it.")
        if member.bytes != names[name]:
            raise refusal("lying-size", f"'{name}' has {names[name]} bytes, not the {member.bytes} of the list.")
    if archive_contents.RECIPE not in names:
        raise refusal("missing-member", "There is no recipe in it.")
    return contents


def _understood(text: bytes) -> Contents:
    wrong = refusal("bad-manifest", f"Its {MANIFEST} does not say what it should.")
    try:
        data: Any = json.loads(text)
        version = data["format"]
        if isinstance(version, int) and version > FORMAT:
            raise ArchiveError(Mistake("newer-archive", f"It is in format {version}; this program reads up to format "
                                       f"{FORMAT}.", "Update automl-phys."))
        members = {str(name): Member(int(one["bytes"]), str(one["sha256"])) for name, one in data["members"].items()}
        said: list[Any] = [data[key] for key in ("kind", "name", "task", "program")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise wrong from error
    sound = (version == FORMAT and all(isinstance(text, str) and text.isprintable() for text in said)
             and said[0] in ("recipe", "run") and all(_SHA256.fullmatch(one.sha256) for one in members.values()))
    if not sound:
        raise wrong
    return Contents(said[0], said[1], said[2], said[3], members)


# ---------------------------------------------------------------- files

def _there(file: Path) -> Path:
    if not file.is_file():
        raise ArchiveError(Mistake("no-such-file", f"There is no archive {file}.", "Check the path."))
    return file


def _hash(file: Path) -> str:
    try:
        return file_hashes.sha256(file)
    except DataError as error:
        raise ArchiveError([replace(m, key=()) for m in error.mistakes]) from error


def _open(file: Path) -> BinaryIO:
    try:
        return _there(file).open("rb")
    except OSError as error:
        raise ArchiveError(Mistake("unreadable", f"{file} cannot be read: {error.strerror}.",
                                   "Check the path.")) from error


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Errors that come out of the block say which archive they are about."""
    try:
        yield
    except ArchiveError as error:
        raise ArchiveError([replace(m, text=f"{file}: {m.text}") for m in error.mistakes]) from error
