"""What a framework sees of the GPUs, asked in a process of its own: ``python -m automl_phys.doctor_questions jax``.

Takes the word of a framework; prints one line of JSON, an :class:`Answer`. Its import takes seconds and may take a GPU,
neither of which is for the process that asks. :func:`ask` starts such processes side by side, and gives up on what
takes too long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

PATIENCE_S = 90.0
"""How long a framework may take to be imported and to look for GPUs; from a network disk it takes a minute."""

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
         "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "JAX_PLATFORMS": ""}


@dataclass(frozen=True)
class Answer:
    """Whether the framework can be imported, its version, the GPUs that it sees, and why not where it fails."""

    framework: str
    works: bool
    version: str = ""
    gpus: tuple[str, ...] = ()
    error: str = ""


def ask(frameworks: Sequence[str], patience_s: float = PATIENCE_S) -> tuple[Answer, ...]:
    """The answers of all, in their order."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **QUIET, "PYTHONPATH": paths}
    running = {}
    for word in frameworks:
        if find_spec(word) is not None:
            running[word] = subprocess.Popen(  # noqa: S603 - this very module
                [sys.executable, "-W", "ignore", "-m", __name__, word], env=environment, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + patience_s
    return tuple(_answer(word, running.get(word), end, patience_s) for word in frameworks)


def _answer(word: str, process: subprocess.Popen[str] | None, end: float, patience_s: float) -> Answer:
    if process is None:
        return Answer(word, False, error="not installed")
    try:
        said, complaint = process.communicate(timeout=max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Answer(word, False, error=f"it did not answer within {patience_s:.0f} s")
    lines = said.strip().splitlines()
    if process.returncode == 0 and lines:
        told = json.loads(lines[-1])
        return Answer(**{**told, "gpus": tuple(told["gpus"])})
    last = complaint.strip().splitlines()[-1:] or [f"it ended with code {process.returncode}"]
    return Answer(word, False, error=last[0])


def answer(framework: str) -> Answer:
    """In a process of its own: import the framework and have it look."""
    if framework == "tensorflow":
        import tensorflow as tf

        return Answer(framework, True, tf.__version__,
                      tuple(one.name.rpartition("physical_device:")[2]
                            for one in tf.config.list_physical_devices("GPU")))
    if framework == "jax":
        import jax

        return Answer(framework, True, jax.__version__,
                      tuple(f"{one.platform}:{one.id} {one.device_kind}" for one in jax.devices()
                            if one.platform not in ("cpu", "tpu")))
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return Answer(framework, True, torch.__version__, tuple(f"cuda:{i} {torch.cuda.get_device_name(i)}"
                                                            for i in range(count)))


if __name__ == "__main__":
    print(json.dumps(asdict(answer(sys.argv[1]))))  # noqa: T201 - this process's answer
