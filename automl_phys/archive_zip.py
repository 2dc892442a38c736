"""The zip file of an archive, held to be hostile until shown otherwise.

Takes the path of a file, gives its members and, piece by piece, their bytes. Everything that the file says of itself is
checked before anything is read out of it: places, names, kinds, sizes, compression. Python's ``zipfile`` reads the
directory only; bytes are inflated here and counted, so that one that lies about its size is caught at the first byte
too many. Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT. What members mean is
:mod:`automl_phys.archives`'s.
"""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

from automl_phys.errors import ArchiveError, Mistake

GB = 1 << 30
LIMIT_GB = 2.0
"""What an archive may hold, unpacked, unless the caller says otherwise."""
MOST_MEMBERS = 10_000
LARGEST_DIRECTORY = 8_000_000
LONGEST_NAME, DEEPEST = 200, 12
LARGEST_RATIO = 200
"""Bytes out of one packed byte; deflate can give 1000. What we pack is stored as it is where it would be more."""
FREE_BYTES = 1_000_000
"""Smaller members may be packed as tightly as they like."""
PIECE = 1 << 20

WINDOWS_NAMES = {"con", "prn", "aux", "nul", *(f"{word}{i}" for word in ("com", "lpt") for i in range(10))}
STRANGE = set('<>:"|?*\\')
ENCRYPTED = 0x1 | 0x40 | 0x2000
PATCHED = 0x20
DOS_FOLDER_OR_LABEL = 0x10 | 0x08
_LOCAL = struct.Struct("<4s5H3I2H")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")


@dataclass(frozen=True)
class Packed:
    """A member: its bytes begin at ``start`` of the file, ``packed`` of them, ``size`` when inflated."""

    name: str
    start: int
    packed: int
    size: int
    deflated: bool


def members(handle: BinaryIO, limit_bytes: float) -> list[Packed]:
    """The members of a zip file, in their order in the file, all of them sound as far as the directory tells.

    Raises ArchiveError with the first thing that is wrong: ``not-an-archive``, ``broken-archive``,
    ``too-many-members``, ``unsafe-path``, ``link-in-archive``, ``encrypted-archive``, ``unknown-compression``,
    ``repeated-name``, ``archive-too-large``, ``zip-bomb``, ``overlapping-members``.
    """
    _check_directory(handle)
    try:
        with zipfile.ZipFile(handle) as file:
            infos, end = sorted(file.infolist(), key=lambda info: info.header_offset), file.start_dir
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, struct.error) as error:
        raise refusal("broken-archive", f"Its directory cannot be read: {error}.") from error
    if len(infos) > MOST_MEMBERS:
        raise _too_many(len(infos))
    for info in infos:
        _check_name(info.orig_filename)
        _check_kind(info)
    _check_repeated([info.filename for info in infos])
    _check_sizes(infos, limit_bytes)
    return _placed(handle, infos, end)


def pieces(handle: BinaryIO, member: Packed) -> Iterator[bytes]:
    """The bytes of a member, inflated, never more than it has declared.

    Raises ArchiveError: ``lying-size``, ``broken-archive``.
    """
    handle.seek(member.start)
    left, given = member.packed, 0
    inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.deflated else None
    while left:
        raw = handle.read(min(PIECE, left))
        if not raw:
            raise refusal("broken-archive", f"It ends in the middle of '{member.name}'.")
        left -= len(raw)
        while raw:
            try:
                out = inflater.decompress(raw, PIECE) if inflater else raw
            except zlib.error as error:
                raise refusal("broken-archive", f"'{member.name}' cannot be inflated: {error}.") from error
            given += len(out)
            if given > member.size:
                raise refusal("lying-size", f"'{member.name}' holds more than the {member.size} bytes it declares.")
            yield out
            raw = inflater.unconsumed_tail if inflater else b""
            if inflater and inflater.eof and (inflater.unused_data or left):
                raise refusal("lying-size", f"Something is hidden behind the end of '{member.name}'.")
    if given != member.size or (inflater and not inflater.eof):
        raise refusal("lying-size", f"'{member.name}' does not hold the {member.size} bytes that it declares.")


def refusal(code: str, text: str, remedy: str = "") -> ArchiveError:
    """An error about an archive; without a ``remedy`` the usual one."""
    return ArchiveError(Mistake(code, text, remedy or "It is not used, and nothing of it was kept. Ask who made it for "
                                "another one, made by 'automl-phys pack'."))


# ---------------------------------------------------------------- what the directory says

def _check_directory(handle: BinaryIO) -> None:
    """Look at the end of the file, before a directory of any size is read into memory."""
    size = handle.seek(0, 2)
    handle.seek(max(0, size - _END.size))
    end = handle.read()
    if len(end) < _END.size or end[:4] != b"PK\5\6":
        handle.seek(0)
        begins = handle.read(4) == b"PK\3\4"
        if begins:
            raise refusal("broken-archive", "It is cut off, or something was put behind its end.",
                          "Copy or download it again; 'sha256sum FILE' tells whether two copies are the same.")
        raise refusal("not-an-archive", "It is no zip file.", "Give a file that 'automl-phys pack' made.")
    _, _, _, _, count, length, offset, _ = _END.unpack(end)
    if count == 0xFFFF or 0xFFFFFFFF in (length, offset):
        handle.seek(max(0, size - _END.size - 20 - _END64.size))
        far = handle.read(_END64.size)
        if len(far) < _END64.size or far[:4] != b"PK\6\6":
            raise refusal("broken-archive", "The end of its directory is not where it should be.")
        count, length = _END64.unpack(far)[7:9]
    if count > MOST_MEMBERS or length > LARGEST_DIRECTORY:
        raise _too_many(count)


def _too_many(count: int) -> ArchiveError:
    return refusal("too-many-members", f"It has {count} members, more than {MOST_MEMBERS}, or its directory is larger "
                   "than any of ours.", "Data in so many files are better put into one, such as a parquet file.")


def sound_name(name: str) -> bool:
    """Whether a name is that of a file below a folder, on every system: printable, relative, nothing hidden, nothing
    reserved."""
    parts = name.split("/")
    return (len(name) <= LONGEST_NAME and len(parts) <= DEEPEST and name.isprintable() and not STRANGE & set(name)
            and all(part and part[0] not in ". " and part[-1] not in ". " and len(part.encode()) <= LONGEST_NAME
                    and part.partition(".")[0].lower() not in WINDOWS_NAMES for part in parts))


def _check_name(name: str) -> None:
    if not sound_name(name):
        raise refusal("unsafe-path", f"It has a member named {name[:LONGEST_NAME]!r}, which is no plain relative path.")


def _check_kind(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or info.external_attr & DOS_FOLDER_OR_LABEL:
        raise refusal("link-in-archive", f"'{info.filename}' is a link, a device or a folder; only files are taken.")
    if info.flag_bits & ENCRYPTED:
        raise refusal("encrypted-archive", f"'{info.filename}' is encrypted.",
                      "Ask for an archive that is not: what cannot be looked at is not taken.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & PATCHED:
        raise refusal("unknown-compression", f"'{info.filename}' is compressed by method {info.compress_type}; stored "
                      "and deflated members are taken.")


def _check_repeated(names: Sequence[str]) -> None:
    """Names that are the same on some system: in other case, or composed otherwise; and files that are folders too."""
    known: dict[str, str] = {}
    for name in names:
        plain = unicodedata.normalize("NFKC", name).casefold()
        if plain in known:
            raise refusal("repeated-name", f"'{name}' and '{known[plain]}' are the same name on some systems.")
        known[plain] = name
    for plain, name in known.items():
        above = next((known[str(folder)] for folder in PurePosixPath(plain).parents if str(folder) in known), None)
        if above:
            raise refusal("repeated-name", f"'{above}' is a file and, for '{name}', a folder.")


def _check_sizes(infos: Sequence[zipfile.ZipInfo], limit_bytes: float) -> None:
    total = sum(info.file_size for info in infos)
    if total > limit_bytes:
        raise refusal("archive-too-large", f"It holds {total / GB:.3g} GB, more than the {limit_bytes / GB:.3g} GB "
                      "that are taken.", "If you trust it: automl-phys unpack FILE --limit-gb N, and use the folder.")
    for info in infos:
        if info.file_size > max(FREE_BYTES, LARGEST_RATIO * info.compress_size):
            raise refusal("zip-bomb", f"'{info.filename}' would grow from {info.compress_size} to {info.file_size} "
                          f"bytes, more than {LARGEST_RATIO}-fold.")


def _placed(handle: BinaryIO, infos: Sequence[zipfile.ZipInfo], end: int) -> list[Packed]:
    """Where the bytes of each member are, by its own header, which has to agree with the directory."""
    placed: list[Packed] = []
    behind = 0
    for info in infos:
        handle.seek(max(0, info.header_offset))
        raw = handle.read(_LOCAL.size)
        if info.header_offset < 0 or len(raw) < _LOCAL.size or raw[:4] != b"PK\3\4":
            raise refusal("broken-archive", f"'{info.filename}' is not where the directory says.")
        _, _, flags, method, _, _, _, _, _, name_length, extra_length = _LOCAL.unpack(raw)
        name = handle.read(name_length).decode("utf-8" if flags & 0x800 else "cp437", "replace")
        if name != info.orig_filename or method != info.compress_type:
            raise refusal("broken-archive", f"'{info.filename}' is called {name[:LONGEST_NAME]!r} elsewhere in it.")
        start = info.header_offset + _LOCAL.size + name_length + extra_length
        if info.header_offset < behind or start + info.compress_size > end:
            raise refusal("overlapping-members", f"'{info.filename}' shares bytes with another member.")
        behind = start + info.compress_size
        placed.append(Packed(info.filename, start, info.compress_size, info.file_size,
                             info.compress_type == zipfile.ZIP_DEFLATED))
    return placed
