"""One trial: every way it can end, with its reason."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl_phys import worker
from automl_phys.rundir import FitDir, RunDir
from automl_phys.trials import Job


@pytest.fixture
def job(fakes, tmp_path):
    run = RunDir(tmp_path / "run")
    fakes.write_problem(run)
    (run.path / "trials/00003").mkdir(parents=True)
    return Job(3, "line", {"slope": 1.5}, 11, 1, "cpu", "mse", "minimize", "fake", str(run.path), folder="trials/00003")


def folder_of(job):
    return FitDir(Path(job.run_dir) / job.folder)


def ignore(progress):
    pass


def test_a_trial_leaves_its_model_predictions_and_curve(job, fakes):
    result = worker.run_trial(job, ignore)
    problem = fakes.TASK.load(RunDir(folder_of(job).path.parents[1]).problem)
    saved = np.load(folder_of(job).valid)
    assert result.status == "done"
    assert result.value == pytest.approx(fakes.TASK.score("mse", problem.valid, saved))
    assert (saved == fakes.FAMILIES["line"].load(folder_of(job).model()).predict(problem.valid)).all()
    assert [row["step"] for row in json.loads(folder_of(job).history.read_text())] == [1, 2, 3, 4]
    assert list(result.values) == [1, 2, 3, 4]
    assert result.steps == 4
    assert result.memory_mb > 0


def test_the_seed_decides_and_nothing_else(job):
    first = worker.run_trial(job, ignore).value
    assert worker_again(job) == first
    assert worker_again(replace(job, seed=12)) != first


def worker_again(job):
    shutil.rmtree(folder_of(job).path)
    folder_of(job).path.mkdir()
    return worker.run_trial(job, ignore).value


@pytest.mark.parametrize(("family", "reason"), [
    ("raising", "ValueError: the matrix is singular"),
    ("diverging", "FloatingPointError: NaN or infinity in the predictions at step 1"),
    ("no-such-family", "KeyError: 'no-such-family'"),
])
def test_an_exception_is_failed_never_pruned_with_its_traceback(job, family, reason):
    result = worker.run_trial(replace(job, family=family), ignore)
    assert (result.status, result.value, result.message) == ("failed", None, reason)
    assert reason.partition(":")[0] in folder_of(job).traceback.read_text()


def test_below_a_rung_a_trial_is_pruned_above_it_goes_on(job):
    reached = worker.run_trial(job, ignore).values[2]
    behind = worker.run_trial(replace(job, rungs={2: reached * 0.99}, folder="trials/a"), ignore)
    assert (behind.status, behind.value, list(behind.values)) == ("pruned", None, [1, 2])
    assert "at step 2" in behind.message
    level = worker.run_trial(replace(job, rungs={2: reached}, folder="trials/b"), ignore)
    assert level.status == "done"


def test_past_its_limit_a_trial_is_timed_out(job):
    result = worker.run_trial(replace(job, family="crawling", limit_s=0.1), ignore)
    assert result.status == "timed_out"
    assert "time was over at step" in result.message


def test_folds_are_judged_together_and_one_fold_alone(job, fakes):
    whole = worker.run_trial(replace(job, folds=4, fold_seed=5, folder="trials/all"), ignore)
    root = folder_of(job).path.parents[1]
    problem = fakes.TASK.load(RunDir(root).problem)
    folds = problem.resamples(4, 5)
    predictions = np.load(root / "trials/all/valid.npy")
    assert len(predictions) == 80  # each row of train and valid once
    truth = np.concatenate([fold.valid.y for fold in folds])
    assert whole.value == pytest.approx(np.mean((predictions - truth) ** 2))
    assert sorted(p.name for p in (root / "trials/all/model").iterdir()) == ["0", "1", "2", "3"]
    one = worker.run_trial(replace(job, folds=4, fold=2, fold_seed=5, folder="trials/one"), ignore)
    assert one.value == pytest.approx(fakes.TASK.score("mse", folds[2].valid, np.load(root / "trials/one/valid.npy")))
    assert (root / "trials/one/model/line.json").exists()


def test_progress_is_reported(job):
    seen = []
    worker.run_trial(job, seen.append)
    assert (seen[0].number, seen[0].step) == (3, 1)


def test_environments_of_all_devices_set_the_same_variables():
    cpu, gpu = worker.environment(1, "cpu", "jax"), worker.environment(4, "gpu:1", "tensorflow")
    assert cpu.keys() == gpu.keys()
    assert (cpu["CUDA_VISIBLE_DEVICES"], gpu["CUDA_VISIBLE_DEVICES"]) == ("-1", "1")
    assert (cpu["OMP_NUM_THREADS"], gpu["OMP_NUM_THREADS"]) == ("1", "4")
    assert (cpu["KERAS_BACKEND"], gpu["KERAS_BACKEND"]) == ("jax", "tensorflow")


def test_what_was_compiled_is_let_go_of_when_the_process_has_grown(monkeypatch):
    """By its own growth: a process that holds a large table does not compile anew after each trial."""
    memory = iter([2000, 2200, 2251, 2100, 2300, 2340, 2351, 2351, 2400])
    monkeypatch.setattr(worker, "_memory_mb", lambda: next(memory))
    growth = worker._Growth()
    assert [growth.mb() for _ in range(3)] == [0, 200, 251]
    growth.begin()  # at 2100
    assert [growth.mb() for _ in range(3)] == [200, 240, 251]
    growth.begin()  # nothing came of it: what is held is something else
    assert growth.mb() == 49
