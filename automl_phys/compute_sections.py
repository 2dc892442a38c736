"""The section ``compute`` of a recipe: where and with what trials run, here or in batch jobs.

What is in it that a batch system, a shell or another Python would execute is told apart from what is only looked up
(:attr:`Cluster.executed`): a recipe from a stranger must not bring it along unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from automl_phys.section import Broken, Missing, Section, Threads

Word: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@:+-]*$", max_length=80)]
Line: TypeAlias = Annotated[str, Field(min_length=1, pattern=r"^[^\n\r]+$")]
Lines: TypeAlias = Annotated[tuple[Line, ...], Field(strict=False)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=100_000)]
Address: TypeAlias = Annotated[str, Field(pattern=r"^(tcp|tls|ws|wss)://\S+$", examples=["tcp://node1:8786"])]
UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
GpuId: TypeAlias = Annotated[str, Field(
    pattern=rf"^((GPU|MIG)-{UUID}|MIG-GPU-{UUID}/[0-9]+/[0-9]+)$",
    examples=["GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"])]
"""A GPU or a slice of one by its UUID, of slices also as drivers before version 470 named them."""
DEFAULT_JOBS = 8
SECONDS = (3600, 60, 1)
MEGABYTES = {"MB": 1.0, "GB": 1e3, "TB": 1e6}


def _megabytes(amount: str) -> int:
    """``8 GB`` in MB (10^6 bytes)."""
    return round(float(amount[:-2]) * MEGABYTES[amount[-2:]])


class Cluster(Section):
    """Batch jobs that trials run in, one worker process each, by dask-jobqueue."""

    type: Literal["slurm", "htcondor", "pbs", "lsf", "sge"]
    """The batch system."""
    workers: Annotated[int, Field(ge=1, le=100_000)] | Missing = None
    """How many jobs at a time, and so how many trials. Default: 8."""
    adapt: Annotated[tuple[Count, Annotated[int, Field(ge=1, le=100_000)]], Field(strict=False)] | Missing = None
    """Instead of 'workers', the fewest and the most: jobs are asked for as there is work, and ended when idle."""
    queue: Word | Missing = None
    """Queue or partition. HTCondor has none."""
    account: Word | Missing = None
    """Account or project that the time is charged to."""
    walltime: Annotated[str, Field(pattern=r"^\d{1,3}:[0-5]\d:[0-5]\d$", examples=["02:00:00"])] = "02:00:00"
    """Longest time of a job, hours:minutes:seconds. Trials that it cuts off go on in the next job."""
    memory: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)? ?(MB|GB|TB)$", examples=["4 GB"])] = "4 GB"
    """Memory of a job."""
    gpus: Annotated[int, Field(ge=0, le=1)] = 0
    """1: each job asks for a GPU (Slurm, HTCondor; for others give the directive)."""
    interface: Word | Missing = None
    """Network interface by which jobs reach this machine, such as ib0. Default: the one with its name."""
    encrypted: bool = True
    """Whether what goes over the network is encrypted, with certificates made for this run, in its folder: that must be
    on a disk which the jobs see. false: anyone on this network could run code as you."""
    directives: Lines = ()
    """Further lines for the batch system, such as '--constraint=avx2'; for HTCondor 'key = value'."""
    prologue: Lines = ()
    """Shell lines before the worker starts, such as 'module load cuda'."""
    python: Line | Missing = None
    """Python interpreter of the jobs, with the same packages. Default: the one that runs this."""

    @property
    def executed(self) -> tuple[str, ...]:
        """Keys by which the recipe makes others run something."""
        return tuple(key for key in ("directives", "prologue", "python") if getattr(self, key))

    @property
    def jobs(self) -> tuple[int, int]:
        """The fewest and the most jobs at a time."""
        return self.adapt or (self.workers or DEFAULT_JOBS,) * 2

    @property
    def walltime_s(self) -> int:
        """The wall time in seconds."""
        return sum(int(part) * unit for part, unit in zip(self.walltime.split(":"), SECONDS, strict=True))

    @property
    def memory_mb(self) -> int:
        """Memory of a job in MB (10^6 bytes)."""
        return _megabytes(self.memory)

    def broken(self) -> Iterator[Broken]:
        if self.adapt and self.adapt[0] > self.adapt[1]:
            yield Broken("adapt", "The fewest jobs are more than the most.", "Write [fewest, most], such as [0, 20].")
        if self.adapt and self.workers:
            yield Broken("workers", "'adapt' says already how many jobs there are.", "Leave one of the two out.")
        if self.walltime_s < 600:
            yield Broken("walltime", f"{self.walltime} is too short: a job imports for a minute before it works.",
                         "Give ten minutes or more, as HH:MM:SS.")
        if self.gpus and self.type not in ("slurm", "htcondor"):
            yield Broken("gpus", f"How a GPU is asked for differs from one {self.type} to the next.",
                         "Leave it out and give your site's line under 'directives'.")
        if self.type == "htcondor" and self.queue:
            yield Broken("queue", "HTCondor has no queues.", "Leave it out; requirements are 'directives'.")
        if self.type == "htcondor" and any("=" not in line for line in self.directives):
            yield Broken("directives", "Lines for HTCondor are 'key = value'.",
                         "For example 'requirements = (OpSysMajorVer == 9)'.")


class Compute(Section):
    """Where and with what the trials run. Default: what the machine has."""

    executor: Literal["dask", "inline"] = "dask"
    """dask: worker processes. inline: one after the other in this process, for debugging."""
    scheduler: Address | Missing = None
    """Address of a Dask scheduler whose workers are used; needs --trust-cluster."""
    cluster: Cluster | Missing = None
    """Batch jobs whose workers are used."""
    shared_disk: bool = True
    """Whether workers elsewhere read the prepared problem from the run's folder, where they see it. false: it is sent
    to each in any case."""
    workers: Literal["auto"] | Threads = "auto"
    """Trials at a time; the numbers don't depend on it."""
    threads: Literal["auto"] | Threads = "auto"
    """Threads of one trial."""
    memory: Annotated[str, Field(pattern=r"^(auto|[0-9]+(\.[0-9]+)? ?(MB|GB|TB))$", examples=["8 GB", "auto"])] = "auto"
    """What all workers of a machine may take together: auto, or an amount such as 8 GB."""
    gpus: Literal["auto", "none"] | Annotated[tuple[Annotated[int, Field(ge=0, le=1023)] | GpuId, ...],
                                              Field(strict=False, min_length=1)] = "auto"
    """auto: all there are. none: the CPU only. Or a list of their numbers, as nvidia-smi shows them, or of UUIDs, which
    begin with GPU- or, those of slices (MIG), with MIG-."""
    trials_per_gpu: Annotated[int, Field(ge=1, le=64)] = 1
    """Trials that share one GPU, or one slice of it, at a time."""
    framework: Literal["auto", "tensorflow", "jax", "torch"] = "auto"
    """What Keras runs on."""
    precision: Literal["auto", "float32", "mixed"] = "auto"
    """What networks are trained in; all predict in float32. mixed: layers that multiply matrices compute in bfloat16,
    which GPUs of compute capability 8 and above do faster. auto: mixed for images on such GPUs, else float32."""

    def broken(self) -> Iterator[Broken]:
        if isinstance(self.gpus, tuple):
            twice = sorted({str(one) for one in self.gpus if self.gpus.count(one) > 1})
            if twice:
                yield Broken("gpus", f"'gpus' names {', '.join(twice)} twice.",
                             "Name each once; 'trials_per_gpu' says how many trials share one.")
        if self.scheduler and self.cluster:
            yield Broken("scheduler", "Workers are either those of a scheduler or batch jobs.",
                         "Leave 'scheduler' or 'cluster' out.")
        for key in ("scheduler", "cluster"):
            if self.executor == "inline" and getattr(self, key):
                yield Broken(key, "Executor 'inline' runs in this process only.", "Leave 'executor' out.")
        if self.cluster and self.workers != "auto":
            yield Broken("workers", "How many batch jobs there are is said by cluster.workers.", "Say it there.")

    @property
    def elsewhere(self) -> bool:
        """Whether trials run on other machines."""
        return bool(self.scheduler or self.cluster)

    @property
    def memory_mb(self) -> int | None:
        """The memory in MB (10^6 bytes); None for ``auto``."""
        return None if self.memory == "auto" else _megabytes(self.memory)
