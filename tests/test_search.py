"""The search as a whole, on fakes: the same trials however they are run, killed or not, and every fault with its reason."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl_phys import registry, search, worker
from automl_phys.errors import RunError
from automl_phys.rundir import RunDir


def do(fakes, plan, folder, executor="inline", end=None, memory_mb=1000):
    """Run ``plan`` in ``folder``, a new run or one to resume. Gives the trials and what was shown."""
    run, show = RunDir(Path(folder)), fakes.Silent()
    if not run.problem.exists():
        fakes.write_problem(run)
    with closing(registry.load("executors", executor).open_executor(
            fakes.slots(plan.workers, memory_mb), run.path, worker.run_trial)) as opened:
        return search.run(plan, run, opened, show, end), show


def numbers(trials):
    """What must not depend on how a run went."""
    return [(t.result.number, t.job.family, t.job.params, t.job.seed, t.job.rungs, t.result.status, t.result.value,
             json.loads(Path(t.job.run_dir, t.job.folder, "result.json").read_text())["values"]) for t in trials]


def test_a_search_finds_the_minimum_and_tells_what_it_does(fakes, tmp_path):
    trials, show = do(fakes, fakes.plan("line", trials=30), tmp_path)
    assert [t.result.number for t in trials] == list(range(30))
    best = min(trials, key=lambda t: t.result.value)
    assert best.job.params["slope"] == pytest.approx(2, abs=0.2)
    assert best.result.value < 0.05 < trials[0].result.value
    assert sum(isinstance(event, type(trials[0].result)) for event in show.events) == 30


def test_one_worker_or_two_give_the_same_trials_and_numbers(fakes, tmp_path):
    plan = fakes.plan("line", "slow_line", pruner="hyperband", trials=24)
    alone, _ = do(fakes, plan, tmp_path / "alone")
    beside, _ = do(fakes, replace(plan, workers=2, devices=("cpu", "cpu")), tmp_path / "beside", "dask")
    assert numbers(beside) == numbers(alone)
    assert {t.result.worker for t in beside} == {"0", "1"}


def test_resuming_a_finished_search_does_nothing_again(fakes, tmp_path):
    plan = fakes.plan("line", "slow_line", "raising")
    first, _ = do(fakes, plan, tmp_path)
    written = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*") if f.is_file()}
    again, _ = do(fakes, plan, tmp_path)
    assert numbers(again) == numbers(first)
    assert {f: f.stat().st_mtime_ns for f in tmp_path.rglob("*") if f.is_file()} == written


def test_a_trial_left_without_a_result_is_cleared_and_done_again(fakes, tmp_path):
    plan = fakes.plan("line", "slow_line")
    first, _ = do(fakes, plan, tmp_path)
    for number in (2, 11):
        folder = RunDir(tmp_path).trial(number)
        (folder / "result.json").unlink()
        (folder / "half-written").touch()
    again, _ = do(fakes, plan, tmp_path)
    assert numbers(again) == numbers(first)
    assert not list(tmp_path.rglob("half-written"))


def test_a_result_of_another_job_is_not_taken(fakes, tmp_path):
    do(fakes, fakes.plan("line"), tmp_path)
    other, _ = do(fakes, fakes.plan("line", seed=8), tmp_path)
    fresh, _ = do(fakes, fakes.plan("line", seed=8), tmp_path / "fresh")
    assert numbers(other) == numbers(fresh)


KILLED = """
import sys
from pathlib import Path
import fakes
import test_search
if __name__ == "__main__":
    plan = fakes.plan("line", "slow_line", trials=24, workers=2)
    test_search.do(fakes, plan, sys.argv[1], "dask")
"""


def test_killed_at_any_moment_and_resumed_a_search_ends_as_if_nothing_had_been(fakes, tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    here = Path(__file__).parent
    path = os.pathsep.join([str(here / "fakes"), str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    plan = fakes.plan("line", "slow_line", trials=24, workers=2)
    run = tmp_path / "run"
    for kills in (3, 12):
        with subprocess.Popen([sys.executable, script, run], env={**os.environ, "PYTHONPATH": path}) as process:
            wait_for(lambda kills=kills: len(list(run.glob("trials/*/result.json"))) >= kills, 20)
            workers = children(process.pid)
            os.kill(process.pid, signal.SIGKILL)
        assert len(workers) >= 2
        wait_for(lambda workers=workers: not any(Path(f"/proc/{pid}").exists() for pid in workers), 5)
    interrupted = len(list(run.glob("trials/*/result.json")))
    before = {f: f.stat().st_mtime_ns for f in run.glob("trials/*/result.json")}
    resumed, _ = do(fakes, plan, run, "dask")
    whole, _ = do(fakes, plan, tmp_path / "whole")
    from test_study_record import agrees

    assert agrees(plan, run, resumed), "the record has a trial twice, or one that still runs"
    assert interrupted < 24
    assert numbers(resumed) == numbers(whole)
    assert all(f.stat().st_mtime_ns == at for f, at in before.items()), "a finished trial was done twice"
    values = [[json.loads(f.read_text())["value"] for f in sorted(d.glob("trials/*/result.json"))]
              for d in (run, tmp_path / "whole")]
    assert values[0] == values[1]


def children(pid):
    import psutil

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def test_each_fault_is_recorded_with_its_reason_and_the_search_goes_on(fakes, tmp_path):
    plan = fakes.plan("line", "raising", "diverging", "dying", "hoarding", workers=2, trials=5)
    trials, _ = do(fakes, plan, tmp_path, "dask", memory_mb=300)
    ended = {t.job.family: t.result for t in trials}
    assert ended["line"].status == "done"
    assert all(r.status == "failed" for family, r in ended.items() if family != "line")
    assert "singular" in ended["raising"].message
    assert "NaN" in ended["diverging"].message
    assert "process died" in ended["dying"].message
    assert "out of memory" in ended["hoarding"].message
    assert "300 MB" in ended["hoarding"].message


def test_a_disk_full_in_a_trial_is_that_trial_s_failure(fakes, tmp_path, monkeypatch):
    from automl_phys import worker

    save, calls = np.save, []

    def full(*given, **named):
        calls.append(given)
        if len(calls) == 3:  # the model of the second trial; each saves that, and its predictions
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(*given, **named)

    monkeypatch.setattr(worker.np, "save", full)
    trials, _ = do(fakes, fakes.plan("line", trials=9), tmp_path)
    assert [t.result.status for t in trials] == ["done", "failed"] + ["done"] * 7
    assert "No space left" in trials[1].result.message


def test_a_disk_full_in_the_search_is_told_and_the_run_resumes(fakes, tmp_path, monkeypatch):
    from automl_phys import rundir

    plan = fakes.plan("line", "slow_line", trials=12)
    whole, _ = do(fakes, plan, tmp_path / "whole")
    sync = rundir.sync

    def full(path):
        if "00005" in str(path) and "result.json" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(path)

    with monkeypatch.context() as disk, pytest.raises(RunError, match="The disk is full"):
        disk.setattr(rundir, "sync", full)
        do(fakes, plan, tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.part"))
    assert not (RunDir(tmp_path / "run").trial(5) / "result.json").exists()
    resumed, _ = do(fakes, plan, tmp_path / "run")
    assert numbers(resumed) == numbers(whole)


def test_a_trial_that_hangs_is_ended_by_its_own_limit(fakes, tmp_path, monkeypatch):
    from automl_phys.executors import dask

    monkeypatch.setattr(dask, "GRACE_S", 0.3)
    plan = replace(fakes.plan("line", "hanging", workers=2, trials=3), minutes_per_trial=0.02)
    trials, show = do(fakes, plan, tmp_path, "dask")
    assert [text for text in show.said if "took longer than search.minutes_per_trial, 0.02" in text]
    assert not [text for text in show.said if "time limit ended the search" in text]
    assert [(t.job.family, t.result.status) for t in trials[:2]] == [("line", "done"), ("hanging", "timed_out")]
    assert "its process was ended" in trials[1].result.message


def test_when_most_trials_fail_the_search_stops_and_says_why(fakes, tmp_path):
    with pytest.raises(RunError, match="of the first") as caught:
        do(fakes, fakes.plan("raising", "diverging", trials=400), tmp_path)
    assert "singular" in str(caught.value)
    assert len(list(tmp_path.glob("trials/*"))) < 20


def test_when_no_trial_succeeds_the_reasons_are_told(fakes, tmp_path):
    with pytest.raises(RunError, match="No trial succeeded: 1 × raising: ValueError: the matrix is singular"):
        do(fakes, fakes.plan("raising", trials=1), tmp_path)


def test_a_baseline_that_is_only_there_to_compare_with_is_no_success(fakes, tmp_path):
    plan = fakes.plan("line", "raising", trials=3)
    first, *others = plan.families
    pinned = {name: replace(one, low=None, high=None, log=False, integer=False, choices=(first.defaults[0][name],))
              for name, one in first.space.items()}
    plan = replace(plan, families=(replace(first, space=pinned, defaults=first.defaults[:1]), *others))
    with pytest.raises(RunError, match="Nothing but the baseline, line, succeeded: 2 × raising: ValueError"):
        do(fakes, plan, tmp_path)


def test_the_hard_stop_ends_what_watches_and_what_does_not(fakes, tmp_path, monkeypatch):
    from automl_phys import dispatch

    monkeypatch.setattr(dispatch, "GRACE_S", 0.3)
    plan = fakes.plan("line", "crawling", "hanging", workers=2, trials=9)
    trials, show = do(fakes, plan, tmp_path, "dask", end=time.monotonic() + 8)
    ended = {t.job.family: t.result for t in trials[:3]}
    assert ended["line"].status == "done"
    assert (ended["crawling"].status, ended["hanging"].status) == ("timed_out", "timed_out")
    assert any("time limit ended the search" in text for text in show.said)


def test_no_time_at_all_is_an_error_with_a_remedy(fakes, tmp_path):
    with pytest.raises(RunError, match="No trial was finished in the time"):
        do(fakes, fakes.plan("line"), tmp_path, end=time.monotonic() - 1)


def test_an_interrupt_that_was_swallowed_is_raised_again(fakes, tmp_path):
    from automl_phys.dispatch import Dispatch, interruptible

    with interruptible():
        dispatch = Dispatch(RunDir(tmp_path), None, fakes.Silent(), ("cpu",), None)
        assert dispatch.collect() == []
        with suppress(KeyboardInterrupt):  # as Python does with what a destructor raises
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            dispatch.collect()
    assert dispatch.collect() == []
