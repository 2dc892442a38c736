"""Whether runs will work here, and what is there for them: Python, packages, cores, disks, GPUs, batch systems.

Gives a :class:`Diagnosis`: sections of findings, each with a remedy where something is missing. Imports nothing heavy
and writes nothing but an empty file in each folder that must be writable, which is removed again. What frameworks see
of the GPUs is asked by :mod:`automl_phys.doctor_questions`. How it looks is the terminal's work.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from automl_phys import doctor_questions, gpus, machine, readable
from automl_phys.doctor_questions import Answer
from automl_phys.sites import SYSTEMS

State: TypeAlias = Literal["ok", "absent", "note", "missing"]
"""``missing``: runs need it. ``note``: it is worth knowing, and runs work without. ``absent``: it is for some only."""

PACKAGE = "automl-phys"
LITTLE_DISK_GB, LITTLE_MEMORY_MB = 2.0, 2000
FRAMEWORKS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}
WITH_CUDA = {
    "tensorflow": 'pip install "tensorflow[and-cuda]"',
    "jax": 'pip install "jax[cuda12]"',  # CUDA 13 has an extra of its own; TensorFlow's is 12, and one is enough
    "torch": "pip install --force-reinstall torch",  # the wheels of PyPI have CUDA, those that end in +cpu have none
}
CUDA_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "tensorflow": ("nvidia-cudnn-cu12",), "jax": ("jax-cuda12-plugin", "jax-cuda13-plugin"), "torch": ()}
EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "box2d": (("Box2D",), "environments of Box2D"),
    "cluster": (("dask_jobqueue", "cryptography"), "workers that a batch system starts"),
    "dashboard": (("optuna_dashboard",), "the search in the browser"),
    "export": (("onnx", "onnxruntime"), "export as ONNX"),
    "mujoco": (("mujoco",), "environments of MuJoCo"),
    "postgres": (("psycopg",), "the record of searches on a server"),
    "torch": (("torch",), "agents, and Keras on torch"),
    "video": (("imageio_ffmpeg",), "films of agents as mp4"),
}


@dataclass(frozen=True)
class Found:
    """One thing: what it is, what was found of it, whether that will do, and what to do if not."""

    what: str
    found: str
    state: State = "ok"
    remedy: str = ""


@dataclass(frozen=True)
class Section:
    """What belongs together."""

    title: str
    found: tuple[Found, ...]


@dataclass(frozen=True)
class Diagnosis:
    """All of it; ``works`` when nothing is missing that runs need."""

    works: bool
    sections: tuple[Section, ...]


def look(patience_s: float = doctor_questions.PATIENCE_S) -> Diagnosis:
    """Look at everything; takes as long as the slowest framework takes to be imported."""
    answers = doctor_questions.ask(tuple(FRAMEWORKS), patience_s)
    sections = (
        Section("Python", tuple(_python())),
        Section("Machine", tuple(_machine())),
        Section("Folders", tuple(_folders())),
        Section("GPUs", tuple(_gpus())),
        Section("Frameworks", tuple(frameworks(answers, _there()))),
        Section("Batch systems", tuple(_batch())),
        Section("Extras", tuple(_extras())),
    )
    missing = any(found.state == "missing" for section in sections for found in section.found)
    return Diagnosis(not missing, sections)


# ---------------------------------------------------------------- Python and its packages

def _python() -> Iterator[Found]:
    try:
        wanted = str(metadata.metadata(PACKAGE)["Requires-Python"])
        needed = [line for line in metadata.requires(PACKAGE) or () if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        yield Found("Python", platform.python_version())
        yield Found(PACKAGE, "not installed by pip, so what it needs is not known", "note", "pip install .")
        return
    fits = at_least(platform.python_version(), wanted)
    yield Found("Python", platform.python_version(), "ok" if fits else "missing",
                "" if fits else f"Python {wanted} is needed")
    yield from packages(needed, {name: machine.version(name) for name in map(_name, needed)})


def packages(needed: Iterable[str], installed: Mapping[str, str | None]) -> Iterator[Found]:
    """Requirements such as ``keras>=3.15`` that are not met, or one line that all are."""
    unmet = []
    for line in needed:
        have = installed[_name(line)]
        if have is None or not at_least(have, line):
            unmet.append(line.partition(";")[0].strip())
            yield Found(_name(line), "not installed" if have is None else f"{have} is too old", "missing",
                        f'pip install -U "{unmet[-1]}"')
    if len(unmet) > 1:
        yield Found("all of them", f"{len(unmet)} packages", "missing",
                    "pip install -U " + " ".join(f'"{line}"' for line in unmet))
    if not unmet:
        yield Found("packages", f"all {len(installed)} that are needed")


def at_least(version: str, requirement: str) -> bool:
    """Whether a version meets the ``>=`` of a requirement, if it has one."""
    least = re.search(r">=\s*([\w.]+)", requirement)
    return least is None or _release(version) >= _release(least[1])


def _release(version: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` as (2, 13), so that 2.13 and 2.13.0 are equal."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    found = [int(part) for part in numbers[0].split(".")] if numbers else []
    while found and found[-1] == 0:
        found.pop()
    return tuple(found)


def _name(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    return name[0] if name else requirement


# ---------------------------------------------------------------- the machine and its disks

def _machine() -> Iterator[Found]:
    cores, box = machine.cores(), os.cpu_count() or 1
    yield Found("cores", f"{cores}" if cores == box else f"{cores} of {box}, by affinity or control groups")
    memory = machine.memory_mb()
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // machine.MB
    text = _memory(memory) if memory >= whole else f"{_memory(memory)} of {_memory(whole)}, by control groups"
    little = memory < LITTLE_MEMORY_MB
    yield Found("memory", text, "note" if little else "ok", "a network's trial takes 1 GB and more" if little else "")


def _memory(megabytes: int) -> str:
    return readable.memory(round(megabytes * machine.MB / 1e6))


def _folders() -> Iterator[Found]:
    yield folder("runs, in this folder", Path.cwd(), needed=False, remedy="say another with --out")
    yield folder("scratch", Path(tempfile.gettempdir()), needed=True, remedy="set TMPDIR to a folder on a local disk")
    yield folder("cache", machine.user_cache(), needed=True, remedy="set XDG_CACHE_HOME to a folder of yours")


def folder(what: str, path: Path, needed: bool, remedy: str) -> Found:
    """Whether files can be written there, or in what there is of its parents, and how much room there is."""
    there = next(parent for parent in (path, *path.parents) if parent.is_dir())
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".automl-phys-doctor-"):
            pass
    except OSError as error:
        return Found(what, f"{path}: {error.strerror or error}", "missing" if needed else "note", remedy)
    free = shutil.disk_usage(there).free / 1e9
    little = free < LITTLE_DISK_GB
    return Found(what, f"{path}, {free:.3g} GB free", "note" if little else "ok",
                 f"that is little; {remedy}" if little else "")


# ---------------------------------------------------------------- GPUs and what sees them

def _there() -> Sequence[str]:
    """Names of the GPUs that may be used."""
    return list(gpus.visible(gpus.installed(), os.environ.get("CUDA_VISIBLE_DEVICES")))


def _gpus() -> Iterator[Found]:
    installed, asked = gpus.installed(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if not installed:
        there = shutil.which("nvidia-smi") is not None
        yield Found("NVIDIA GPUs", "nvidia-smi is there and tells of none" if there else "none; runs go on the CPU",
                    "note" if there else "absent", "run nvidia-smi: it says what is wrong" if there else "")
        return
    seen = gpus.visible(installed, asked)
    names = {gpu.uuid: name for name, gpu in seen.items()}
    for gpu in installed:
        name = names.get(gpu.uuid, gpus.name(gpu))
        hidden = "" if gpu.uuid in names else ", hidden by CUDA_VISIBLE_DEVICES"
        yield Found(name, gpus.described(gpu) + hidden)
    if asked is not None and not seen:
        yield Found("CUDA_VISIBLE_DEVICES", f"'{asked}' leaves none of them", "note", "unset it, or name one of these")


def frameworks(
    answers: Iterable[Answer], there: Sequence[str], version: Callable[[str], str | None] = machine.version
) -> Iterator[Found]:
    """What the frameworks see of the GPUs that are there. ``version`` gives that of an installed package."""
    for answer in answers:
        name = FRAMEWORKS[answer.framework]
        needed = answer.framework != "torch"
        if not answer.works:
            yield Found(name, answer.error, "missing" if needed else "note",
                        f"pip install -U {answer.framework}" if answer.error == "not installed" else
                        f"see what 'python -c \"import {answer.framework}\"' says")
        elif answer.gpus:
            yield Found(name, f"{answer.version} sees {', '.join(answer.gpus)}")
        elif there:
            yield Found(name, f"{answer.version} sees no GPU", "note", _with_cuda(answer, version))
        else:
            yield Found(name, f"{answer.version}, on the CPU")


def _with_cuda(answer: Answer, version: Callable[[str], str | None]) -> str:
    """What to install, unless it is there and something else is wrong."""
    has = answer.framework == "torch" and "+cpu" not in answer.version
    if has or any(version(package) for package in CUDA_PACKAGES[answer.framework]):
        return "CUDA is installed for it: is the driver new enough? 'nvidia-smi' tells for which CUDA"
    return WITH_CUDA[answer.framework]


# ---------------------------------------------------------------- what is asked for only

def _batch() -> Iterator[Found]:
    names: dict[str, list[str]] = {}
    for system in SYSTEMS.values():
        names.setdefault(system.command, []).append(system.name)
    commands = [command for command in names if shutil.which(command)]
    for command in commands:
        yield Found(" or ".join(names[command]), f"{command} is there")
    if not commands:
        yield Found("none", f"there is no {', '.join(names)}", "absent")
    version = machine.version("dask-jobqueue")
    if version:
        yield Found("dask-jobqueue", version)
    else:
        yield Found("dask-jobqueue", "not installed: no batch system can start workers",
                    "note" if commands else "absent", "pip install dask-jobqueue")


def _extras() -> Iterator[Found]:
    for extra, (modules, use) in EXTRAS.items():
        absent = [module for module in modules if find_spec(module) is None]
        yield Found(extra, f"{use}: {'not installed' if absent else 'installed'}", "absent" if absent else "ok",
                    f'pip install "{PACKAGE}[{extra}]"' if absent else "")
