"""What the machine has: limits of containers and batch systems count."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from automl_phys import gpus, machine
from automl_phys.facts import Gpu


def control_groups(root, table, files):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(table)
    for name, text in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(("table", "files", "expected"), [
    ("0::/\n", {"cpu.max": "max 100000"}, 8),
    ("0::/\n", {"cpu.max": "250000 100000"}, 2),
    ("0::/\n", {"cpu.max": "50000 100000"}, 1),
    ("0::/job/step\n", {"job/cpu.max": "300000 100000", "job/step/cpu.max": "max 100000"}, 3),
    ("4:cpu,cpuacct:/job\n", {"cpu/job/cpu.cfs_quota_us": "400000", "cpu/job/cpu.cfs_period_us": "100000"}, 4),
    ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
    ("4:cpu:/gone/in/here\n", {}, 8),
])
def test_cores_are_bound_by_control_groups_of_both_versions(tmp_path, eight_cores, table, files, expected):
    control_groups(tmp_path, table, files)
    assert machine.cores(tmp_path) == expected


def test_cores_are_bound_by_affinity(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5}, raising=False)
    assert machine.cores(tmp_path) == 2


@pytest.mark.parametrize(("table", "files", "limit"), [
    ("0::/job\n", {"job/memory.max": str(300 << 20), "memory.max": "max"}, 300),
    ("0::/job\n", {"job/memory.max": "max", "memory.max": str(200 << 20)}, 200),
    ("7:memory:/job\n", {"memory/job/memory.limit_in_bytes": str(100 << 20)}, 100),
    ("7:memory:/job\n", {"memory/job/memory.limit_in_bytes": "9223372036854771712"}, None),
])
def test_memory_is_bound_by_control_groups_of_both_versions(tmp_path, table, files, limit):
    control_groups(tmp_path, table, files)
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    assert machine.memory_mb(tmp_path) == (limit or whole)


FIRST, SECOND = "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"
A_SLICE, B_SLICE = "MIG-c7384736-a75d-5afc-978f-d2f1294409fd", "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d"
WHOLE = Gpu(0, FIRST, "Tesla V100-SXM2-16GB", 16384, "550.54.15", "7.0")
SLICES = tuple(Gpu(1, uuid, "NVIDIA A100-SXM4-40GB", memory, "550.54.15", "8.0", SECOND, profile)
               for uuid, memory, profile in ((A_SLICE, 20480, "3g.20gb"), (B_SLICE, 5120, "1g.5gb")))
LISTING = f"""GPU 0: Tesla V100-SXM2-16GB (UUID: {FIRST})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {SECOND})
  MIG 3g.20gb     Device  0: (UUID: {A_SLICE})
  MIG 1g.5gb      Device  1: (UUID: {B_SLICE})
"""


@pytest.mark.parametrize(("asked", "expected"), [
    (None, ["gpu:0", f"gpu:{A_SLICE}", f"gpu:{B_SLICE}"]), ("", []), ("-1", []), ("0", ["gpu:0"]), ("7", []),
    ("0,-1,1", ["gpu:0"]), ("0,0", ["gpu:0"]), (" 0 , 1", ["gpu:0", f"gpu:{A_SLICE}"]),
    ("GPU-5d5", [f"gpu:{FIRST}"]), ("GPU-", []), (SECOND, [f"gpu:{A_SLICE}"]),
    (f"{B_SLICE},0", [f"gpu:{B_SLICE}", "gpu:0"]), ("MIG-c7", [f"gpu:{A_SLICE}"]), ("MIG-00,0", []), ("all", [])])
def test_gpus_are_those_that_cuda_would_see(asked, expected):
    assert list(gpus.visible([WHOLE, *SLICES], asked)) == expected
    assert not gpus.visible([], asked)


def nvidia_smi(folder, fields, csv, listing):
    """A driver that knows some fields, and refuses to be asked for others."""
    program = folder / "nvidia-smi"
    program.write_text(f"""#!{sys.executable}
import sys
asked = sys.argv[1].partition("=")[2].split(",")
if sys.argv[1] == "-L":
    print({listing!r}, end="")
elif set(asked) <= set({fields!r}):
    for row in {csv!r}:
        print(", ".join(dict(zip({fields!r}, row))[name] for name in asked))
else:
    sys.exit('Field "compute_cap" is not a valid field to query.')
""")
    program.chmod(0o755)


@pytest.fixture
def drivers(tmp_path, monkeypatch):
    """A folder for a driver's program, on the path."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def test_gpus_and_slices_are_asked_of_the_driver(drivers, monkeypatch):
    nvidia_smi(drivers, list(gpus.FIELDS), [
        ("0", FIRST, "Tesla V100-SXM2-16GB", "16384", "550.54.15", "7.0", "[N/A]"),
        ("1", SECOND, "NVIDIA A100-SXM4-40GB", "40960", "550.54.15", "8.0", "Enabled"),
        ("2", FIRST.replace("5", "6"), "NVIDIA A100-SXM4-40GB", "40960", "550.54.15", "8.0", "Enabled")], LISTING)
    assert gpus.installed() == (WHOLE, *SLICES)  # 2 is in MIG mode and has no slices: CUDA runs nothing there
    assert machine.look().gpus == ("gpu:0", f"gpu:{A_SLICE}", f"gpu:{B_SLICE}")
    assert machine.describe()["gpus"][1] == (
        "NVIDIA A100-SXM4-40GB, slice 3g.20gb, 21.5 GB, compute capability 8.0, driver 550.54.15")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert machine.look().cards == SLICES[:1]


def test_an_old_driver_and_a_broken_one_are_lived_with(drivers):
    nvidia_smi(drivers, list(gpus.OLD_FIELDS), [("0", FIRST, "Tesla K80", "11441", "418.226.00")], "")
    assert gpus.installed() == (Gpu(0, FIRST, "Tesla K80", 11441, "418.226.00"),)
    (drivers / "nvidia-smi").write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert machine.look().gpus == ()
    (drivers / "nvidia-smi").write_text("#!/bin/sh\necho NVIDIA-SMI has failed\n")
    assert machine.look().gpus == ()


def test_the_description_is_json_and_names_what_numbers_depend_on():
    described = json.loads(json.dumps(machine.describe()))
    assert described["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert {"keras", "lightgbm", "numpy", "scikit-learn", "automl-phys"} <= described["packages"].keys()


def test_looking_imports_nothing_heavy():
    script = "import sys; from automl_phys import machine; machine.look(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "tensorflow", "torch", "jax", "keras"} & set(loaded)
