"""How long from ``git clone`` to the first report on a machine with empty caches, and how much is downloaded for it?

    python bench/first_run.py                  # what is committed here, about ten minutes
    python bench/first_run.py --python python3.13

Clones this repository's HEAD into a temporary folder, and does there what the README says, ``make demo``, with a home
and caches of its own that are empty: packages are fetched again, nothing was compiled before, and networks neither.
Seconds are wall time. How much is downloaded is seen afterwards, and takes no part in them: pip fetches the same
packages once more into a folder. The environment is what they unpack to.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
MB = 1e6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--python", default=sys.executable, help="what the environment is made with")
    arguments.add_argument("--keep", type=Path, help="a new folder to work in, which stays")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (asked.keep or Path(scratch) / "first").resolve()
        folder.mkdir(parents=True)
        home, clone = folder / "home", folder / "clone"
        home.mkdir()
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "PIP_CACHE_DIR": str(home / "pip")}
        python = f"PYTHON={asked.python}"
        steps = {
            "clone": timed(("git", "clone", "--quiet", str(REPOSITORY), str(clone)), folder, environment),
            "install": timed(("make", "--silent", ".venv/.installed", python), clone, environment),
            "run": timed(("make", "--silent", "demo", python), clone, environment)}
        wheels = folder / "wheels"
        timed((str(clone / ".venv" / "bin" / "python"), "-m", "pip", "download", "--quiet",
               "--disable-pip-version-check", "-c", "constraints.txt", "-d", str(wheels), "."), clone, environment)
        report = clone / "runs" / "classify-jets" / "latest" / "report.html"
        if not report.is_file():
            raise SystemExit(f"there is no report at {report}")
        for step, seconds in steps.items():
            print(f"{step:8} {seconds:6.0f} s")
        print(f"{'together':8} {sum(steps.values()):6.0f} s to a report of {report.stat().st_size / MB:.1f} MB")
        print(f"downloaded {bytes_in(wheels) / MB:.0f} MB of packages; the environment takes "
              f"{bytes_in(clone / '.venv') / MB:.0f} MB, the clone {bytes_in(clone / '.git') / MB:.0f} MB")


def timed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> float:
    """Seconds of a command, whose output goes to the terminal. Raises CalledProcessError when it fails."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return time.perf_counter() - began


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    main()
