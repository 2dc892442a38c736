"""Trial functions for tests of executors, importable by worker processes."""

import json
import os
import random
import signal
import time
from pathlib import Path

from automl_phys.trials import Progress, Result


def quick(job, report):
    report(Progress(job.number, 1, 0.5))
    return Result(job.number, "done", float(job.number), 0.0, worker=str(os.getpid()))


def process_id(job, report):
    """The process, in ``message``; odd jobs claim to have left much memory behind."""
    return Result(job.number, "done", 1.0, 0.0, message=str(os.getpid()), memory_mb=10_000 * (job.number % 2))


def environment(job, report):
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((4, 4)) @ np.ones((4, 4))
    return Result(job.number, "done", float(max(pool["num_threads"] for pool in threadpool_info())), 0.0,
                  message=os.environ["COLOUR"])


def dies_once(job, report):
    mark = Path(job.run_dir) / f"died-{job.number}"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return quick(job, report)


def dies_if_odd(job, report):
    if job.number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return quick(job, report)


def sleeps(job, report):
    report(Progress(job.number, 1, 0.5))
    time.sleep(60)


def device(job, report):
    return Result(job.number, "done", 1.0, 0.0, device=job.device)


def breaks(job, report):
    raise OSError("disk full")


def noisy(job, report):
    os.write(1, b"to standard output\n")
    os.write(2, b"to standard error\n")
    return quick(job, report)


def seeds_and_waits(job, report):
    """1 when the state of ``random`` is after a while what it was."""
    random.seed(job.seed)
    before = random.getstate()
    time.sleep(1.5)  # three heartbeats
    return Result(job.number, "done", float(random.getstate() == before), 0.0)


def reads_and_writes(job, report):
    """The problem's files with their sizes in ``message``; leaves a model."""
    report(Progress(job.number, 1, 0.5))
    problem = Path(job.run_dir) / "problem"
    found = {path.name: path.stat().st_size for path in problem.iterdir() if not path.name.startswith(".")}
    model = Path(job.run_dir) / job.folder / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(bytes([job.number]) * 1000)
    time.sleep(0.3)  # what is said of progress comes in before the result
    return Result(job.number, "done", 1.0, 0.0, message=json.dumps({**found, "linked": problem.is_symlink()}))


def variables(job, report):
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((4, 4)) @ np.ones((4, 4))
    found = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "KERAS_BACKEND", "CUDA_VISIBLE_DEVICES")}
    blas = max(pool["num_threads"] for pool in threadpool_info())
    return Result(job.number, "done", 1.0, 0.0, message=json.dumps({**found, "blas": blas}))


def waits_for_a_file(job, report):
    """For ``go`` beside the problem, which is linked to."""
    report(Progress(job.number, 1, 0.5))
    run = (Path(job.run_dir) / "problem").resolve().parent
    while not (run / "go").exists():
        time.sleep(0.05)
    return quick(job, report)


def is_cut_off(job, report):
    """As many times as a variable says; how often it was is kept in the checkpoint."""
    mark = Path(job.run_dir) / job.folder / "checkpoint" / "cuts.txt"
    cuts = int(mark.read_text()) if mark.exists() else 0
    if cuts == int(os.environ["FAKE_CUTS"]):
        return Result(job.number, "done", float(cuts), 0.0)
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(str(cuts + 1))
    return Result(job.number, "interrupted", None, 0.0)


def sleeps_if_even(job, report):
    return quick(job, report) if job.number % 2 else sleeps(job, report)


def takes_much_memory(job, report):
    held = [bytearray(os.urandom(2**20)) * 20 for _ in range(20)]
    time.sleep(60)
    return Result(job.number, "done", float(len(held)), 0.0)


def needs_two_attempts(job, report):
    """The first writes a checkpoint and never ends."""
    mark = Path(job.run_dir) / job.folder / "checkpoint" / "half.txt"
    if mark.exists():
        return Result(job.number, "done", 1.0, 0.0, message=mark.read_text())
    mark.parent.mkdir()
    mark.write_text("half of it")
    return sleeps(job, report)
