"""A PostgreSQL server of its own in a temporary folder, reached by a socket in there and by no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PORT = 54329
"""Names the socket's file; nothing listens on a network."""


def programs() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``: Debian keeps them off the path. None without them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    here = shutil.which("initdb")
    return found[-1].parent if found else Path(here).parent if here else None


def why_not() -> str:
    """Why no server can be started here; empty when one can."""
    if programs() is None:
        return "PostgreSQL is not installed here (apt-get install postgresql)"
    if os.geteuid() == 0 and not (shutil.which("setpriv") and _user_exists()):
        return "PostgreSQL does not run as root, and there is no user 'postgres' to run it as"
    return ""


class Server:
    def __init__(self, folder: Path) -> None:
        self._folder, self._programs = folder, programs()
        self.address = f"postgresql://postgres@/postgres?host={folder}&port={PORT}"
        self._run("initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8")

    def start(self) -> None:
        options = f"-c listen_addresses= -c fsync=off -p {PORT} -k {self._folder}"
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-l", self._folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """At once, as if it had crashed."""
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        as_other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        command: Sequence[str] = [*as_other, str(self._programs / program), *map(str, arguments)]
        subprocess.run(command, check=True, cwd=self._folder, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                       env={"PATH": os.environ["PATH"], "LC_ALL": "C"})


@contextmanager
def running() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        server = Server(Path(folder))
        server.start()
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):  # a test stopped it
                server.stop()


def _user_exists() -> bool:
    import pwd

    return any(user.pw_name == "postgres" for user in pwd.getpwall())
