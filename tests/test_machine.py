"""What the machine has: limits of containers and batch systems count."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from automl_phys import machine


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


@pytest.mark.parametrize(("asked", "expected"), [
    (None, ("gpu:0", "gpu:1")), ("", ()), ("-1", ()), ("1", ("gpu:1",)), ("1,0", ("gpu:1", "gpu:0")), ("0,-1,1", ("gpu:0",)),
    ("7", ()), ("GPU-8932f937", ("gpu:GPU-8932f937",))])
def test_gpus_are_those_that_cuda_would_see(asked, expected):
    assert machine.visible(["A100", "A100"], asked) == expected
    assert machine.visible([], asked) == ()


def test_gpus_are_asked_of_the_driver(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA A100'\necho 'NVIDIA H100'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.gpu_models() == ("NVIDIA A100", "NVIDIA H100")
    assert machine.look().gpus == ("gpu:0", "gpu:1")
    program.write_text("#!/bin/sh\necho broken driver\nexit 9\n")
    assert machine.look().gpus == ()


def test_the_description_is_json_and_names_what_numbers_depend_on():
    described = json.loads(json.dumps(machine.describe()))
    assert described["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert {"keras", "lightgbm", "numpy", "scikit-learn", "automl-phys"} <= described["packages"].keys()


def test_looking_imports_nothing_heavy():
    script = "import sys; from automl_phys import machine; machine.look(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "tensorflow", "torch", "jax", "keras"} & set(loaded)
