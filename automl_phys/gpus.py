"""The NVIDIA GPUs of this machine and their slices, as ``nvidia-smi`` tells of them.

Gives :class:`automl_phys.facts.Gpu`, those that CUDA would see, and words for them. A GPU in MIG mode is offered as
its slices: CUDA runs nothing on the whole of it. Imports no CUDA library, and touches no GPU.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

from automl_phys import readable
from automl_phys.facts import Gpu
from automl_phys.programs import said_by

MB = 1 << 20

FIELDS = ("index", "uuid", "name", "memory.total", "driver_version", "compute_cap", "mig.mode.current")
"""What is asked of each GPU; drivers before version 470 know the first five only, and refuse the others."""
OLD_FIELDS = FIELDS[:5]

GPU_LINE = re.compile(r"GPU (\d+): ")
SLICE_LINE = re.compile(r"\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (\S+)\)")
SLICE_MEMORY = re.compile(r"\.(\d+)gb")


def installed() -> tuple[Gpu, ...]:
    """What there is, in the order of nvidia-smi's numbers, a GPU in MIG mode as its slices; none without a driver."""
    rows = _rows(FIELDS) or _rows(OLD_FIELDS)
    slices = _slices() if rows else {}
    found: list[Gpu] = []
    for row in rows:
        whole = Gpu(int(row["index"]), row["uuid"], row["name"], _number(row["memory.total"]), row["driver_version"],
                    row.get("compute_cap", "") if _number(row.get("compute_cap", "")) else "")
        own = slices.get(whole.number, [])
        found += [Gpu(whole.number, uuid, whole.model, _slice_memory(profile) or whole.memory_mb, whole.driver,
                      whole.capability, whole.uuid, profile) for profile, uuid in own]
        if not own and row.get("mig.mode.current") != "Enabled":
            found.append(whole)
    return tuple(found)


def visible(found: Sequence[Gpu], asked: str | None) -> dict[str, Gpu]:
    """By device name, what CUDA_VISIBLE_DEVICES (``asked``) leaves of what is there, all when it is not set.

    As CUDA reads it: numbers, or UUIDs or beginnings of such that tell which, up to the first that is not valid. A
    number of a GPU in MIG mode is its first slice. Numbers are nvidia-smi's (CUDA_DEVICE_ORDER=PCI_BUS_ID).
    """
    if asked is None:
        return {name(gpu): gpu for gpu in found}
    seen: dict[str, Gpu] = {}
    for word in (w.strip() for w in asked.split(",")):
        gpu = _meant(found, word)
        if gpu is None or gpu in seen.values():
            break
        seen[name(gpu) if word.isdigit() else f"gpu:{gpu.uuid}"] = gpu
    return seen


def name(gpu: Gpu) -> str:
    """``gpu:0``, of a slice ``gpu:MIG-…``, which has no number of its own."""
    return f"gpu:{gpu.uuid if gpu.of else gpu.number}"


def described(gpu: Gpu) -> str:
    """What a run's numbers may depend on, without what tells one machine from another."""
    return ", ".join(text for text in (
        gpu.model, f"slice {gpu.profile}" if gpu.profile else "", readable.memory(round(gpu.memory_mb * MB / 1e6)),
        f"compute capability {gpu.capability}" if gpu.capability else "", f"driver {gpu.driver}") if text)


def _rows(fields: Sequence[str]) -> list[dict[str, str]]:
    answer = said_by(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"])
    split = csv.reader(answer.splitlines(), skipinitialspace=True)
    rows = [dict(zip(fields, row, strict=True)) for row in split if len(row) == len(fields)]
    return [row for row in rows if row["index"].isdigit()]


def _slices() -> dict[int, list[tuple[str, str]]]:
    """By number of the GPU, profile and UUID of its slices."""
    found: dict[int, list[tuple[str, str]]] = {}
    for number, profile, uuid in _slice_lines(said_by(["nvidia-smi", "-L"])):
        found.setdefault(number, []).append((profile, uuid))
    return found


def _slice_lines(listing: str) -> Iterator[tuple[int, str, str]]:
    number = None
    for line in listing.splitlines():
        if gpu := GPU_LINE.match(line):
            number = int(gpu[1])
        elif number is not None and (part := SLICE_LINE.match(line)):
            yield number, part[1], part[2]


def _meant(found: Sequence[Gpu], word: str) -> Gpu | None:
    """The GPU or slice of a word of CUDA_VISIBLE_DEVICES; None for one that is not valid."""
    if word.isdigit():
        return next((gpu for gpu in found if gpu.number == int(word)), None)
    if word.startswith("MIG-"):
        alike = [gpu for gpu in found if gpu.of and gpu.uuid.startswith(word)]
        return alike[0] if len(alike) == 1 else None
    if not word.startswith("GPU-"):
        return None
    of_one = {gpu.of or gpu.uuid: gpu for gpu in reversed(found) if (gpu.of or gpu.uuid).startswith(word)}
    return next(iter(of_one.values())) if len(of_one) == 1 else None


def _slice_memory(profile: str) -> int:
    """Memory of a slice in MB: ``1g.5gb`` has 5 · 2^30 bytes; 0 where the profile does not tell."""
    size = SLICE_MEMORY.search(profile)
    return int(size[1]) << 10 if size else 0


def _number(text: str) -> int:
    """The whole part of a number; 0 for ``[N/A]``."""
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else 0
