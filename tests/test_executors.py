"""Executors: results come back once each, deaths are told apart, no process stays behind."""

import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from automl_phys import registry
from automl_phys.trials import Job, Progress, Result, Slot


@pytest.fixture
def trials(fakes):
    import fake_trials

    return fake_trials


def open_one(name, trial, folder, workers=2, memory_mb=1000):
    slots = [Slot("cpu", 1, memory_mb, {"COLOUR": f"colour {i}"}) for i in range(workers)]
    return closing(registry.load("executors", name).open_executor(slots, folder, trial))


def job(number, folder="."):
    return Job(number, "x", {}, 1, 1, "cpu", "o", "maximize", "t", str(folder))


def drain(executor, count, seconds=20):
    """Events until ``count`` results are in."""
    events, end = [], time.monotonic() + seconds
    while sum(isinstance(e, Result) for e in events) < count:
        assert time.monotonic() < end, events
        events += executor.poll(0.5)
    return [e for e in events if isinstance(e, Result)], [e for e in events if isinstance(e, Progress)]


def processes():
    """Children of this process, but for multiprocessing's own resource tracker."""
    return [p for p in psutil.Process().children(recursive=True) if "resource_tracker" not in " ".join(p.cmdline())]


@pytest.mark.parametrize("name", registry.names("executors"))
def test_every_job_comes_back_once_with_its_progress(name, trials, tmp_path):
    with open_one(name, trials.quick, tmp_path) as executor:
        for number in range(6):
            executor.submit(job(number))
        results, progress = drain(executor, 6)
    assert sorted(r.number for r in results) == list(range(6))
    assert {p.number for p in progress} == set(range(6))
    assert all(r.value == r.number for r in results)
    assert not processes()


@pytest.mark.parametrize("name", registry.names("executors"))
def test_a_cancelled_job_that_waits_never_comes(name, trials, tmp_path):
    with open_one(name, trials.quick, tmp_path, workers=1) as executor:
        for number in range(3):
            executor.submit(job(number))
        executor.cancel(2)
        results, _ = drain(executor, 2)
        assert executor.poll(0.1) == [] or executor.poll(0.1) == ()
    assert sorted(r.number for r in results) == [0, 1]


def test_each_process_has_its_own_environment_and_threads(trials, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # the parent's must not leak
    with open_one("dask", trials.environment, tmp_path) as executor:
        executor.submit(job(0))
        executor.submit(job(1))
        results, _ = drain(executor, 2)
    assert {r.message for r in results} == {"colour 0", "colour 1"}
    assert {r.value for r in results} == {1.0}


def test_nothing_else_in_a_worker_draws_from_the_random_numbers_of_a_trial(trials, tmp_path):
    with open_one("dask", trials.seeds_and_waits, tmp_path, workers=1) as executor:
        executor.submit(job(0))
        (result,), _ = drain(executor, 1)
    assert result.value == 1.0


def test_a_process_that_dies_once_is_unlucky_twice_it_is_the_trial_s_fault(trials, tmp_path):
    with open_one("dask", trials.dies_once, tmp_path, workers=1) as executor:
        executor.submit(job(0, tmp_path))
        (once,), _ = drain(executor, 1)
    assert once.status == "done"
    with open_one("dask", trials.dies_if_odd, tmp_path) as executor:
        for number in range(4):
            executor.submit(job(number))
        results, _ = drain(executor, 4)
    assert {r.number: r.status for r in results} == {0: "done", 1: "failed", 2: "done", 3: "failed"}
    assert all("process died" in r.message for r in results if r.status == "failed")


def test_a_running_job_can_be_cancelled_and_its_place_taken(trials, tmp_path):
    with open_one("dask", trials.sleeps, tmp_path, workers=1) as executor:
        executor.submit(job(0))
        while not executor.poll(0.5):
            pass
        executor.cancel(0)
        executor.submit(job(1))
        end = time.monotonic() + 20
        while not (events := executor.poll(0.5)):
            assert time.monotonic() < end
        assert events[0].number == 1
        began = time.monotonic()
    assert time.monotonic() - began < 10, "closing waited for the job"
    assert not processes()


def test_a_process_lives_for_many_trials_until_it_has_grown(trials, tmp_path):
    with open_one("dask", trials.process_id, tmp_path, workers=1) as executor:
        for number in (0, 2, 1, 4):
            executor.submit(job(number))
        results, _ = drain(executor, 4)
    process = {r.number: r.message for r in results}
    assert process[0] == process[2] == process[1] != process[4]


def test_an_error_of_the_trial_function_itself_is_a_failed_trial(trials, tmp_path):
    with open_one("dask", trials.breaks, tmp_path, workers=1) as executor:
        executor.submit(job(0))
        (result,), _ = drain(executor, 1)
    assert (result.status, result.message) == ("failed", "OSError: disk full")


def test_what_workers_and_dask_say_goes_to_the_log_and_not_to_the_terminal(trials, tmp_path, capfd):
    with open_one("dask", trials.noisy, tmp_path, workers=1) as executor:
        executor.submit(job(0))
        drain(executor, 1)
    with open_one("dask", trials.dies_if_odd, tmp_path, workers=1) as executor:
        executor.submit(job(1))
        drain(executor, 1)
    assert capfd.readouterr() == ("", "")
    log = (Path(tmp_path) / "run.log").read_text()
    assert "to standard output" in log
    assert "to standard error" in log
    assert "distributed" in log


def test_an_error_in_the_parent_leaves_no_process(trials, tmp_path):
    def fall() -> None:
        with open_one("dask", trials.sleeps, tmp_path) as executor:
            executor.submit(job(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fall()
    assert not processes()


def test_a_cluster_that_is_slow_to_close_loses_nothing_that_was_done(trials, tmp_path, monkeypatch):
    from distributed import SpecCluster

    close = SpecCluster.close

    def slow(self, timeout=None):
        close(self, timeout=60)
        raise TimeoutError(f"timed out after {timeout} s.")

    monkeypatch.setattr(SpecCluster, "close", slow)
    with open_one("dask", trials.quick, tmp_path, workers=1) as executor:
        executor.submit(job(0))
        results, _ = drain(executor, 1)
    assert [result.status for result in results] == ["done"]
    assert not processes()
