"""Data from an address: downloaded once, kept in the user's cache folder, held against their SHA-256.

Takes an address and a digest, gives a path. A file is there whole and right, or not at all.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from automl_phys import file_hashes, machine
from automl_phys.errors import DataError, Key, Mistake
from automl_phys.telling import MB, Bytes, Tell, nobody

KEY: Key = ("data", "url")
_BROKEN = re.compile(r"IncompleteRead\((\d+) bytes read, (\d+) more expected\)")
_WHERE = re.compile(r"^HTTPS?Connection\(.*?\): ")

TIMEOUT_S = 60
"""How long a server may be silent."""


def fetch(url: str, sha256: str, tell: Tell = nobody) -> Path:
    """The file at ``url`` (http or https), from the cache if it is there; ``tell`` hears how much has come.

    Raises DataError: ``wrong-hash``, ``download-failed``, ``disk-full``.
    """
    target = machine.user_cache() / "downloads" / sha256 / _file_name(url)
    if target.is_file() and file_hashes.sha256(target, tell=tell) == sha256:
        return target
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")  # the only file that prints is the console
    downloader = pooch.HTTPDownloader(progressbar=_Bar(target.name, tell), timeout=TIMEOUT_S,
                                      headers={"Accept-Encoding": "identity"})
    try:
        pooch.retrieve(url, f"sha256:{sha256}", target.name, target.parent,
                       downloader=downloader)
    except RequestException as error:
        raise DataError(_failed(url, _why(error))) from error
    except ValueError as error:  # pooch's word for a wrong hash; the file is gone
        found = re.search(r"[0-9a-f]{64}", str(error).replace(sha256, ""))
        raise DataError(Mistake("wrong-hash", f"What is at {url} is not what the recipe wants: its SHA-256 is "
                                f"{found[0] if found else 'another one'}.",
                                "It changed, or the download was tampered with. Ask who wrote the recipe.",
                                KEY)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(Mistake("disk-full", f"The disk is full: {url} could not be kept in {target.parent}.",
                                    "Free some space, or set XDG_CACHE_HOME to a folder with more.", KEY)) from error
        raise DataError(_failed(url, str(error))) from error
    return target


class _Bar:
    """What pooch takes for a progress bar: tells of the bytes that have come."""

    def __init__(self, name: str, tell: Tell) -> None:
        self.total = 0
        self._text, self._tell = f"of {name} downloaded", tell
        self.reset()

    def reset(self) -> None:
        self._come: Bytes | None = None

    def update(self, count: int) -> None:
        self._come = self._come or Bytes(self.total, self._text, self._tell, least=MB)
        self._come.add(count)

    def close(self) -> None:
        """Nothing is open."""


def _why(error: BaseException) -> str:
    """What a failed request says at heart: requests and urllib3 wrap the cause in their own words, several times."""
    causes = (getattr(error, "reason", None), *error.args)
    inner = next((cause for cause in causes if isinstance(cause, BaseException)), None)
    if inner is not None:
        return _why(inner)
    if broken := _BROKEN.match(text := str(error)):
        return f"the connection broke off after {broken[1]} of {int(broken[1]) + int(broken[2])} bytes"
    return _WHERE.sub("", text).rstrip(".")


def _failed(url: str, why: str) -> Mistake:
    return Mistake("download-failed", f"{url} could not be downloaded: {why}.",
                   "Check the network, or fetch the file another way and name it under 'path'.", KEY)


def _file_name(url: str) -> str:
    """The last part of an address as a plain file name, which keeps its ending."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[-100:] or "data"
