"""Workers elsewhere: of a scheduler that runs already and of batch jobs, with what goes wrong there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from automl_phys import dask_sites, dask_worker, worker
from automl_phys.errors import RunError
from automl_phys.executors import dask as executor_module
from automl_phys.rundir import FitDir, RunDir
from automl_phys.sites import Batch, Site
from automl_phys.trials import Job, Notice, Progress, Result, Slot

BATCH = Batch("slurm", 1, 1, 1, 2000, 0, 1800, encrypted=False)


@pytest.fixture
def trials(fakes):
    import fake_trials

    return fake_trials


@pytest.fixture
def run(tmp_path):
    """A run's folder with a plan and a problem."""
    found = RunDir(tmp_path / "run")
    found.problem.mkdir(parents=True)
    found.plan.write_text("{}")
    (found.problem / "numbers.npy").write_bytes(bytes(range(256)) * 40)
    (found.problem / "empty.txt").touch()
    return found


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, {}
        self.port = 0
        self.start_scheduler()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        place = self.folder / "scheduler.json"
        place.unlink(missing_ok=True)
        self._start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard",
                    "--scheduler-file", str(place))
        end = time.monotonic() + 30
        while not place.exists() or not place.read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        self.port = int(json.loads(place.read_text())["address"].rpartition(":")[2])

    def start_worker(self, name: str = "a", *more: str, **environment: str) -> None:
        self._start(name, "worker", self.address, "--nthreads", "1", "--name", name, "--no-dashboard",
                    "--local-directory", str(self.folder / name), *more, **environment)

    def _start(self, name: str, *words: str, **environment: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-c", "from distributed.cli import dask_spec; from dask.__main__ import main; main()",
                 *words], stdout=log, stderr=log, env={**os.environ, **environment})

    def end(self, name: str) -> None:
        """The process and its children, at once."""
        process = self.processes.pop(name)
        try:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        for one in family:
            with pytest.MonkeyPatch.context():
                try:
                    one.kill()
                except psutil.NoSuchProcess:
                    continue
        process.wait(10)


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Cluster(folder)
    yield made
    for name in list(made.processes):
        made.end(name)


def open_at(site: Site, trial, run: RunDir, workers: int = 1):
    slots = [Slot("cpu", 1, 2000, worker.environment(1, "cpu", "jax")) for _ in range(workers)]
    return closing(executor_module.open_executor(slots, run.path, trial, site))


def job(number: int, run: RunDir, **more) -> Job:
    folder = run.trial(number)
    folder.mkdir(parents=True, exist_ok=True)
    return Job(number, "x", {}, 1, 1, "cpu", "o", "maximize", "t", str(run.path),
               folder=str(folder.relative_to(run.path)), **more)


def drain(executor, count: int, seconds: float = 60, until=None):
    """Events until ``count`` results are in, or until one is what is waited for."""
    events, end = [], time.monotonic() + seconds
    while sum(isinstance(e, Result) for e in events) < count and not (until and any(map(until, events))):
        assert time.monotonic() < end, events
        events += executor.poll(0.2)
    return events


def results(events):
    return {e.number: e for e in events if isinstance(e, Result)}


def said(events):
    return [e.text for e in events if isinstance(e, Notice)]


# ---------------------------------------------------------------- a scheduler that runs already

@pytest.mark.parametrize("shared", [True, False])
def test_a_trial_elsewhere_reads_the_problem_and_gives_its_files_back(trials, run, cluster, shared):
    cluster.start_worker()
    with open_at(Site(cluster.address, shared_disk=shared), trials.reads_and_writes, run) as executor:
        for number in range(2):
            executor.submit(job(number, run))
        events = drain(executor, 2)
    found = results(events)
    assert {one.status for one in found.values()} == {"done"}
    assert all(json.loads(one.message) == {"empty.txt": 0, "numbers.npy": 10240, "linked": shared}
               for one in found.values())
    for number in range(2):
        assert (run.trial(number) / "model" / "weights.bin").read_bytes() == bytes([number]) * 1000
    assert {e.number for e in events if isinstance(e, Progress)} == {0, 1}
    assert found[0].worker.startswith("a@")


def test_a_worker_serves_one_run_after_the_other(trials, run, cluster, tmp_path):
    cluster.start_worker()
    other = RunDir(tmp_path / "other")
    other.problem.mkdir(parents=True)
    other.plan.write_text("{}")
    (other.problem / "else.txt").write_text("another problem")
    seen = []
    for one in (run, other, run):
        with open_at(Site(cluster.address, shared_disk=False), trials.reads_and_writes, one) as executor:
            executor.submit(job(0, one))
            (found,) = results(drain(executor, 1)).values()
        seen.append(sorted(json.loads(found.message)))
    assert seen == [["empty.txt", "linked", "numbers.npy"], ["else.txt", "linked"],
                    ["empty.txt", "linked", "numbers.npy"]]


def test_a_worker_gets_the_environment_of_a_trial_before_anything_heavy(trials, run, cluster):
    cluster.start_worker(OMP_NUM_THREADS="7", KERAS_BACKEND="torch")
    with open_at(Site(cluster.address), trials.variables, run) as executor:
        executor.submit(job(0, run))
        (found,) = results(drain(executor, 1)).values()
    assert json.loads(found.message) == {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "-1",
                                         "blas": 1}


def test_a_worker_that_has_imported_too_much_is_started_anew(trials, run, cluster, monkeypatch):
    monkeypatch.setattr(executor_module, "UNFIT_S", 1.0)
    (cluster.folder / "greedy.py").write_text("import os, numba\nos.environ['KERAS_BACKEND'] = 'torch'\n")
    cluster.start_worker("a", "--preload", str(cluster.folder / "greedy.py"))
    with open_at(Site(cluster.address), trials.quick, run) as executor:
        executor.submit(job(0, run))
        with pytest.raises(RunError) as raised:
            drain(executor, 1, 90)
    (mistake,) = raised.value.mistakes
    assert mistake.code == "no-worker-fits" and "imported numba" in mistake.text


def test_a_worker_with_other_versions_is_refused_with_the_difference(trials, run, cluster, monkeypatch):
    cluster.start_worker()
    mine = {**dask_worker.versions(), "keras": "3.99.0"}
    monkeypatch.setattr(dask_worker, "versions", lambda: mine)
    monkeypatch.setattr(executor_module, "UNFIT_S", 1.0)
    with open_at(Site(cluster.address), trials.quick, run) as executor:
        executor.submit(job(0, run))
        events = []
        with pytest.raises(RunError) as raised:
            while True:
                events += executor.poll(0.2)
    assert "instead of 3.99.0" in said(events)[0] and "keras" in said(events)[0]
    assert raised.value.mistakes[0].code == "no-worker-fits"
    assert "keras" in raised.value.mistakes[0].text


def test_a_worker_killed_mid_trial_loses_nothing(trials, run, cluster):
    cluster.start_worker("a")
    with open_at(Site(cluster.address), trials.waits_for_a_file, run) as executor:
        executor.submit(job(0, run))
        drain(executor, 1, until=lambda e: isinstance(e, Progress))
        cluster.end("a")
        (run.path / "go").touch()
        cluster.start_worker("b")
        (found,) = results(drain(executor, 1)).values()
    assert found.status == "done" and found.worker.startswith("b@")


def test_a_checkpoint_is_fetched_on_the_way_and_goes_to_the_next_worker(trials, run, cluster, monkeypatch):
    monkeypatch.setattr(executor_module, "CHECKPOINT_EVERY_S", 0.3)
    cluster.start_worker("a")
    with open_at(Site(cluster.address), trials.needs_two_attempts, run) as executor:
        executor.submit(job(0, run))
        end = time.monotonic() + 30
        while not (FitDir(run.trial(0)).checkpoint / "half.txt").exists():
            assert time.monotonic() < end
            executor.poll(0.2)
        cluster.end("a")
        cluster.start_worker("b")
        (found,) = results(drain(executor, 1)).values()
    assert (found.status, found.message) == ("done", "half of it")


def test_the_scheduler_is_restarted_and_the_trial_is_done_once(trials, run, cluster):
    cluster.start_worker("a")
    with open_at(Site(cluster.address), trials.waits_for_a_file, run) as executor:
        executor.submit(job(0, run))
        executor.submit(job(1, run))
        events = drain(executor, 1, until=lambda e: isinstance(e, Progress))
        cluster.end("a")
        cluster.end("scheduler")
        events += drain(executor, 1, until=lambda e: isinstance(e, Notice) and "away" in e.text)
        (run.path / "go").touch()
        cluster.start_scheduler()
        cluster.start_worker("b")
        events += drain(executor, 2)
    assert [e.number for e in events if isinstance(e, Result)] in ([0, 1], [1, 0])
    assert {one.status for one in results(events).values()} == {"done"}
    assert any("is back" in text for text in said(events))


def test_no_scheduler_is_told_at_once(trials, run, monkeypatch):
    monkeypatch.setattr(dask_sites, "START_TIMEOUT_S", 1)
    with pytest.raises(RunError) as raised, open_at(Site("tcp://127.0.0.1:9"), trials.quick, run):
        raise AssertionError
    assert raised.value.mistakes[0].code == "no-scheduler"


# ---------------------------------------------------------------- batch jobs

@pytest.mark.parametrize(("system", "lines"), [
    ("slurm", ["#SBATCH -p short", "#SBATCH -A cms", "#SBATCH -t 02:00:00", "#SBATCH --mem=4G", "#SBATCH --gpus=1",
               "#SBATCH --constraint=avx2"]),
    ("htcondor", ["request_gpus = 1", '+AccountingGroup = "cms"', "+MaxRuntime = 7200", "requirements = (Arch)"]),
    ("pbs", ["#PBS -q short", "#PBS -A cms", "#PBS -l walltime=02:00:00", "#PBS -l select=1:ncpus=1:mem="]),
    ("lsf", ["#BSUB -q short", '#BSUB -P "cms"', "#BSUB -W 02:00", "#BSUB -M 4"]),
    ("sge", ["#$ -q short", "#$ -P cms", "#$ -l h_rt=02:00:00"]),
])
def test_the_script_of_each_batch_system(system, lines):
    directives = {"slurm": ("--constraint=avx2",), "htcondor": ("requirements = (Arch)",)}.get(system, ())
    wanted = Batch(system, 1, 20, 1, 4000, int(system in ("slurm", "htcondor")), 7200, "" if system == "htcondor" else "short",
                   "cms", directives=directives, prologue=("module load cuda",))
    script = dask_sites.job_script(wanted, 1)
    for line in (*lines, "module load cuda", "AUTOML_PHYS_LIFETIME_S=7200", "--preload automl_phys.dask_worker"):
        assert line in script
    assert "$(" not in script.replace("$(LogDirectory)", "").replace('"$(ClusterId).$(ProcId)"', "")


def test_ctrl_c_is_left_as_it_was():
    code = ("import signal; from automl_phys import dask_sites; from automl_phys.sites import Batch; "
            "before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM); "
            "dask_sites.job_script(Batch('slurm', 1, 1, 1, 2000, 0, 1800), 1); "
            "assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


@pytest.fixture
def batch_system(tmp_path, monkeypatch):
    """A batch system of one machine: commands that run a job's script in the background, and kill it."""
    folder = tmp_path / "batch-system"
    folder.mkdir()
    (folder / "sbatch").write_text(f"""#!/bin/bash
[ -e {folder}/closed ] && {{ echo "sbatch: error: invalid partition" >&2; exit 1; }}
n=$(( $(ls {folder}/*.pid 2>/dev/null | wc -l) + 1 ))
cp "${{@: -1}}" {folder}/$n.sh
setsid bash {folder}/$n.sh > {folder}/$n.out 2>&1 &
echo $! > {folder}/$n.pid
echo "Submitted batch job $n"
""")
    (folder / "scancel").write_text(f"""#!/bin/bash
for n in "$@"; do kill -- -$(cat {folder}/$n.pid) 2>/dev/null; done; true
""")
    for name in ("sbatch", "scancel"):
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    yield folder
    for file in folder.glob("*.pid"):
        try:
            os.killpg(int(file.read_text()), signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_trials_run_in_batch_jobs_which_are_gone_afterwards(trials, run, batch_system):
    with open_at(Site(batch=BATCH, shared_disk=False), trials.reads_and_writes, run) as executor:
        executor.submit(job(0, run))
        (found,) = results(drain(executor, 1)).values()
    assert found.status == "done"
    pid = int((batch_system / "1.pid").read_text())
    end = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_trial_that_its_batch_job_cuts_off_goes_on_from_its_checkpoint(trials, run, batch_system, monkeypatch):
    monkeypatch.setenv("FAKE_CUTS", "2")
    with open_at(Site(batch=BATCH, shared_disk=False), trials.is_cut_off, run) as executor:
        executor.submit(job(0, run))
        (found,) = results(drain(executor, 1)).values()
    assert (found.status, found.value) == ("done", 2.0)
    assert not FitDir(run.trial(0)).result.exists(), "the dispatch writes that"


def test_a_job_script_that_is_refused_ends_the_run_with_the_reason(trials, run, batch_system):
    (batch_system / "closed").touch()
    with open_at(Site(batch=BATCH), trials.quick, run) as executor:
        executor.submit(job(0, run))
        with pytest.raises(RunError) as raised:
            drain(executor, 1)
    assert raised.value.mistakes[0].code == "job-refused"
    assert "invalid partition" in raised.value.mistakes[0].text


def test_without_the_batch_system_s_commands_it_is_told_at_once(trials, run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError) as raised, open_at(Site(batch=BATCH), trials.quick, run):
        raise AssertionError
    assert raised.value.mistakes[0].code == "no-batch-system"


# ---------------------------------------------------------------- on this machine

def test_a_trial_that_hangs_is_ended_when_its_time_is_over(trials, run, monkeypatch):
    monkeypatch.setattr(executor_module, "GRACE_S", 0.5)
    slots = [Slot("cpu", 1, 1000, {})]
    with closing(executor_module.open_executor(slots, run.path, trials.sleeps_if_even)) as executor:
        executor.submit(job(0, run, limit_s=1.0))
        executor.submit(job(1, run))
        found = results(drain(executor, 2))
    assert found[0].status == "timed_out" and "did not stop" in found[0].message
    assert found[1].status == "done"


def test_a_trial_beyond_its_memory_is_tried_twice_and_has_failed(trials, run):
    slots = [Slot("cpu", 1, 300, {})]
    with closing(executor_module.open_executor(slots, run.path, trials.takes_much_memory)) as executor:
        executor.submit(job(0, run))
        (found,) = results(drain(executor, 1)).values()
    assert found.status == "failed"
    assert "its limit is 300 MB" in found.message


@pytest.mark.parametrize("cluster", ["{type: slurm, adapt: [0, 20]}", "{type: slurm, workers: 3}", "{type: pbs}"])
def test_a_recipe_that_was_written_out_says_the_same(tmp_path, cluster):
    """As it stands in a run's folder and in its lock, with defaults filled in."""
    from automl_phys import recipe

    path = tmp_path / "mine.yaml"
    path.write_text(f"recipe: 1\ntask: classify\ndata: {{builtin: jets, target: label}}\ncompute: {{cluster: {cluster}}}\n")
    first = recipe.load(path)
    path.write_text(recipe.dump(first))
    assert recipe.load(path).compute == first.compute


# ---------------------------------------------------------------- what a stranger's recipe may not do unseen

def test_what_others_would_run_needs_leave_on_the_command_line(tmp_path):
    from automl_phys import recipe
    from automl_phys.errors import RecipeError

    path = tmp_path / "mine.yaml"
    path.write_text("recipe: 1\ntask: classify\ndata: {builtin: jets, target: label}\ncompute:\n  cluster:\n"
                    "    type: slurm\n    prologue: [module load python]\n    python: /opt/python\n")
    with pytest.raises(RecipeError) as raised:
        recipe.given(str(path))
    assert [(m.code, m.key, m.place.line) for m in raised.value.mistakes] == [
        ("untrusted-cluster", ("compute", "cluster", "prologue"), 7),
        ("untrusted-cluster", ("compute", "cluster", "python"), 8)]
    assert recipe.given(str(path), trust_cluster=True).compute.cluster.python == "/opt/python"
    path.write_text("recipe: 1\ntask: classify\ndata: {builtin: jets, target: label}\ncompute:\n  cluster: {type: slurm}\n")
    assert recipe.given(str(path)).compute.cluster.type == "slurm"
    with pytest.raises(RecipeError):
        recipe.given(str(path), ["compute.cluster=null", "compute.scheduler=tcp://node1:8786"])
    with pytest.raises(RecipeError, match="sends its record to postgresql://db/optuna") as raised:
        recipe.given(str(path), ["search.storage=postgresql://db/optuna"])
    assert [(m.code, m.key) for m in raised.value.mistakes] == [("untrusted-cluster", ("search", "storage"))]
