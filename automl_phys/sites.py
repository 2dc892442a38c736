"""Where worker processes are when they are not this machine's: as the planner decided, plain data.

What is done with it is :mod:`automl_phys.dask_sites`'s work. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchSystem:
    """What people call a batch system, the command that submits to it, and dask-jobqueue's class for it."""

    name: str
    command: str
    cluster: str


SYSTEMS = {
    "slurm": BatchSystem("Slurm", "sbatch", "SLURMCluster"),
    "htcondor": BatchSystem("HTCondor", "condor_submit", "HTCondorCluster"),
    "pbs": BatchSystem("PBS", "qsub", "PBSCluster"),
    "lsf": BatchSystem("LSF", "bsub", "LSFCluster"),
    "sge": BatchSystem("Grid Engine", "qsub", "SGECluster"),
}
"""By the word that a recipe has for each."""


@dataclass(frozen=True)
class Batch:
    """Batch jobs, one worker process each, between ``least`` and ``most`` at a time; each with so many cores, MB and
    GPUs for so many seconds. Empty texts: the batch system's own default."""

    system: str
    least: int
    most: int
    cores: int
    memory_mb: int
    gpus: int
    walltime_s: int
    queue: str = ""
    account: str = ""
    interface: str = ""
    encrypted: bool = True
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    python: str = ""


@dataclass(frozen=True)
class Site:
    """A scheduler that runs already, by its address, or batch jobs. ``shared_disk``: workers may read the prepared
    problem from the run's folder, if they see it."""

    scheduler: str = ""
    batch: Batch | None = None
    shared_disk: bool = True
