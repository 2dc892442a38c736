"""SHA-256 of files, remembered, so that an unchanged file of many gigabytes is read for it once.

Takes paths, gives hexadecimal digests. What is known of a file is kept in the user's cache folder by its absolute path,
and holds while size, time of change and inode are the same. Like git, it does not trust a file that changed within the
clock's resolution before it was hashed.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from automl_phys import machine, rundir
from automl_phys.errors import DataError, Mistake, RunError

RACY_NS = 2_000_000_000
"""A file changed this shortly before it was hashed might change again without a new time stamp."""


@dataclass(frozen=True)
class Hashes:
    """Hashes on their way."""

    futures: tuple[Future[str], ...]

    def result(self) -> tuple[str, ...]:
        """The digests, in the order of the paths; waits for them. Raises DataError as :func:`sha256` does."""
        return tuple(future.result() for future in self.futures)


def start(paths: Sequence[Path]) -> Hashes:
    """Hash files one after the other in a thread, which takes no time from Python while it reads and computes."""
    pool = ThreadPoolExecutor(1)
    futures = tuple(pool.submit(sha256, path) for path in paths)
    pool.shutdown(wait=False)
    return Hashes(futures)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes. Raises DataError (``unreadable-file``)."""
    try:
        before = _state(path)
        known = _remembered(path)
        if known.get("state") == before:
            return str(known["sha256"])
        now = time.time_ns()
        digest = rundir.sha256(path)
        if _state(path) == before and now - path.stat().st_mtime_ns > RACY_NS:
            with suppress(RunError):  # a cache folder that cannot be written costs time only
                rundir.write_json(_entry(path), {"state": before, "sha256": digest})
    except OSError as error:
        raise DataError(Mistake("unreadable-file", f"{path} cannot be read: {error.strerror}.",
                                "Check that the file is there and may be read.")) from error
    return digest


def _state(path: Path) -> list[int]:
    """What changes when a file does."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _entry(path: Path) -> Path:
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:32]
    return machine.user_cache() / "hashes" / f"{name}.json"


def _remembered(path: Path) -> dict[str, object]:
    try:
        known = json.loads(_entry(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
