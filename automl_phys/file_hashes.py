"""SHA-256 of files, remembered, so that an unchanged file of many gigabytes is read for it once.

Takes paths of files and of folders of images, gives hexadecimal digests. What is known of one is kept in the user's
cache folder by its absolute path, and holds while size, time of change and inode are the same, of a folder those of all
its images. Like git, it does not trust a file that changed within the clock's resolution before it was hashed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from automl_phys import image_files, machine, rundir
from automl_phys.errors import DataError, Mistake, RunError
from automl_phys.telling import Bytes, Tell, nobody

RACY_NS = 2_000_000_000
"""A file changed this shortly before it was hashed might change again without a new time stamp."""
PIECE = 1 << 23
"""Bytes read at once: so many that other threads, which hold Python's lock in between, don't slow it down."""


@contextmanager
def ahead(paths: Sequence[Path]) -> Iterator[Callable[[], None]]:
    """Hash files in a thread while the block runs; gives a function that waits until :func:`sha256` remembers them.

    When the block fails, what is not yet hashed is left so.
    """
    stop = Event()

    def hash_all() -> None:
        with suppress(DataError):  # told to whoever asks for the hash
            for path in paths:
                sha256(path, stop)

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(hash_all)
        try:
            yield future.result
        except BaseException:
            stop.set()
            raise


def sha256(path: Path, stop: Event | None = None, tell: Tell = nobody) -> str:
    """The SHA-256 of a file's bytes; of a folder, of its images' names and digests, whatever else is in it. Empty if
    ``stop`` is set meanwhile; ``tell`` hears how much of it is read. Raises DataError (``unreadable-file``)."""
    try:
        before = _state(path)
        known = _remembered(path)
        if known.get("state") == before:
            return str(known["sha256"])
        now = time.time_ns()
        digest = _digest(path, stop, Bytes(before[0], f"of {path.name} hashed", tell))
        if digest and _state(path) == before and now - before[1] > RACY_NS:
            with suppress(RunError):  # a cache folder that cannot be written costs time only
                rundir.write_json(_entry(path), {"state": before, "sha256": digest})
    except OSError as error:
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read: {error.strerror}.",
                                "Check that the file is there and may be read.")) from error
    return digest


def _digest(path: Path, stop: Event | None, read: Bytes) -> str:
    buffer = memoryview(bytearray(PIECE))
    if not path.is_dir():
        return _of_file(path, buffer, stop, read)
    content = hashlib.sha256()
    for name in image_files.find(path).names:
        digest = _of_file(path / name, buffer, stop, read)
        if not digest:
            return ""
        content.update(f"{name}\0{digest}\0".encode(errors="surrogateescape"))
    return content.hexdigest()


def _of_file(path: Path, buffer: memoryview, stop: Event | None, read: Bytes) -> str:
    content = hashlib.sha256()
    with path.open("rb", buffering=0) as handle:
        while count := handle.readinto(buffer):
            if stop and stop.is_set():
                return ""
            content.update(buffer[:count])
            read.add(count)
    return content.hexdigest()


def _state(path: Path) -> list[int]:
    """What changes when a file does, or an image of a folder: its size, when it changed last, and which one it is."""
    if not path.is_dir():
        stat = path.stat()
        return [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    names = image_files.find(path).names
    states = [_state(path / name) for name in names]
    each = hashlib.sha256(json.dumps([names, states]).encode()).hexdigest()
    size, changed, _ = zip(*states, strict=True) if states else ((), (), ())
    return [sum(size), max(changed, default=0), int(each, 16)]


def _entry(path: Path) -> Path:
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]
    return machine.user_cache() / "hashes" / f"{name}.json"


def _remembered(path: Path) -> dict[str, object]:
    try:
        known = json.loads(_entry(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
