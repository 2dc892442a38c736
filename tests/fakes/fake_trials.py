"""Trial functions for tests of executors, importable by worker processes."""

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
