"""What this machine has: cores, memory and GPUs that may be used, and what it is, for the record.

Takes nothing, gives :class:`automl_phys.facts.Machine` and a description for ``environment.json``. What counts are
the limits that a batch system or a container sets (affinity, cgroups of either version, CUDA_VISIBLE_DEVICES), not what
the box holds. Imports no heavy library. GPUs are :mod:`automl_phys.gpus`'s.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from automl_phys import gpus
from automl_phys.facts import Machine
from automl_phys.programs import said_by

MB = 1 << 20


def look() -> Machine:
    """What trials may use here. A GPU is called ``gpu:0``, with the number or UUID that CUDA_VISIBLE_DEVICES takes."""
    seen = gpus.visible(gpus.installed(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    return Machine(cores(), memory_mb(), tuple(seen), cards=tuple(seen.values()))


def describe() -> dict[str, Any]:
    """Hardware and software that a run's numbers may depend on."""
    return {
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_mb": memory_mb(),
        "gpus": [gpus.described(gpu) for gpu in gpus.installed()],
        "python": platform.python_version(),
        "packages": packages(),
        "commit": _commit(),
    }


def cores(root: Path = Path("/")) -> int:
    """CPU cores that this process may use: its affinity, and the share of time that its cgroups give."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [allowed]
    for group in _cgroups("cpu", root):
        quota = [n for name in ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us") for n in _numbers(group / name)]
        if len(quota) == 2:  # microseconds of work, and the microseconds of time in which they may be done
            limits.append(quota[0] // quota[1])
    return max(1, min(limits))


def memory_mb(root: Path = Path("/")) -> int:
    """Memory in MB that this process may use: the machine's, or less where its cgroups say so."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for group in _cgroups("memory", root):
        limits += _numbers(group / "memory.max") + _numbers(group / "memory.limit_in_bytes")
    return min(limits) // MB


def cache_folder() -> Path:
    """Where this user's compiled code is kept. One folder for each kind of processor: a home folder may be shared by
    machines that do not understand each other's instructions."""
    kind = hashlib.sha256(f"{platform.machine()} {_cpu_model()} {_cpu_flags()}".encode()).hexdigest()[:12]
    return user_cache() / kind


def user_cache() -> Path:
    """Where this user's files are kept that can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "automl-phys"


def _cgroups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of the control groups that bind this process, of both versions, from the innermost outwards."""
    table = root / "proc/self/cgroup"
    for line in table.read_text().splitlines() if table.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        inner = top / path.lstrip("/")
        yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(top))


def _numbers(file: Path) -> list[int]:
    """The numbers in a control file; none when there is no file or it sets no limit (``max``, -1)."""
    words = file.read_text().split() if file.exists() else []
    return [int(word) for word in words] if words and all(word.isdigit() for word in words) else []


def _cpu_model() -> str:
    table = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", table.read_text()) if table.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _cpu_flags() -> str:
    table = Path("/proc/cpuinfo")
    found = re.search(r"(?:flags|Features)\s*:\s*(.+)", table.read_text()) if table.exists() else None
    return found[1] if found else ""


def packages() -> dict[str, str]:
    """Versions of automl-phys and of the packages that it names, those that are installed."""
    try:
        named = [re.match(r"[\w.-]+", line) for line in metadata.requires("automl-phys") or ()]
    except metadata.PackageNotFoundError:
        named = []
    wanted = {"automl-phys", "jaxlib", *(match[0] for match in named if match)}
    return {name: found for name in sorted(wanted) if (found := version(name)) is not None}


def version(package: str) -> str | None:
    """The version of an installed package, None of one that is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout that this package runs from, ``-dirty`` after changes; None outside of one."""
    checkout = Path(__file__).parent.parent
    if not (checkout / ".git").exists():
        return None
    answer = said_by(["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])
    return answer.strip() or None
