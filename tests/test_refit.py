"""The winners: chosen, refitted on folds, resumed, verified in a new process."""

import json
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from automl_phys import ensemble, refit, registry, search, verify, worker
from automl_phys.errors import RunError
from automl_phys.rundir import RunDir, read_json, write_json
from automl_phys.trials import Ensemble, Result


def do(fakes, plan, folder, end=None):
    """Search and refit in ``folder``, a new run or one to resume."""
    run, show = RunDir(folder), fakes.Silent()
    if not run.problem.exists():
        fakes.write_problem(run)
    with closing(registry.load("executors", "inline").open_executor((), run.path, worker.run_trial)) as executor:
        trials = search.run(plan, run, executor, show, None)
        chosen = refit.run(plan, run, trials, executor, show, end)
    verify.run(plan, run, show)
    return chosen, trials


def test_what_is_written_is_what_predicts(fakes, tmp_path):
    chosen, trials = do(fakes, fakes.plan("line", "slow_line"), tmp_path)
    assert read_json(RunDir(tmp_path).ensemble, Ensemble) == chosen
    assert sum(m.weight for m in chosen.members) == pytest.approx(1)
    assert 1 <= len(chosen.members) <= 3
    valid = fakes.TASK.load(RunDir(tmp_path).problem).valid
    value = fakes.TASK.score("mse", valid, ensemble.predict(tmp_path, chosen, valid))
    assert value == pytest.approx(chosen.valid_value)
    assert value <= min(t.result.value for t in trials)


def test_each_family_s_best_and_the_untuned_baseline_are_kept(fakes, tmp_path):
    chosen, trials = do(fakes, fakes.plan("line", "slow_line"), tmp_path)
    assert set(chosen.singles) == {"line", "slow_line", "baseline"}
    assert chosen.singles["baseline"].trial == 0
    for family in ("line", "slow_line"):
        best = min((t for t in trials if t.job.family == family), key=lambda t: t.result.value)
        assert chosen.singles[family].trial == best.result.number


def test_where_the_task_says_so_the_best_of_each_family_are_averaged(fakes, tmp_path, monkeypatch):
    plan = fakes.plan("line", "slow_line", ensemble=12)
    monkeypatch.setattr(fakes.TASK, "LEADERS", 1e9)
    made, _ = do(fakes, plan, tmp_path)
    families = [member.family for member in made.members]
    assert families.count("line") == families.count("slow_line") == 2
    assert sum(member.weight for member in made.members) == pytest.approx(1)


def test_bagged_members_are_means_over_folds_judged_out_of_fold(fakes, tmp_path):
    chosen, _ = do(fakes, fakes.plan("line", "slow_line", bagging=4), tmp_path)
    assert all(len(m.folders) == 4 for m in chosen.members)
    assert not chosen.notes
    run, problem = RunDir(tmp_path), fakes.TASK.load(RunDir(tmp_path).problem)
    folds = problem.resamples(4, 7)
    pooled = [ensemble.mean([np.load(run.fit(m.trial, i) / "valid.npy") for m in chosen.members],
                            [m.weight for m in chosen.members]) for i in range(4)]
    truth = np.concatenate([fold.valid.y for fold in folds])
    assert chosen.valid_value == pytest.approx(np.mean((np.concatenate(pooled) - truth) ** 2))


def test_trials_on_folds_are_bagged_already(fakes, tmp_path):
    chosen, _ = do(fakes, fakes.plan("line", folds=3, trials=4), tmp_path)
    assert all(len(m.folders) == 3 for m in (*chosen.members, *chosen.singles.values()))
    rows = fakes.TASK.load(RunDir(tmp_path).problem).valid
    assert np.isfinite(ensemble.predict(tmp_path, chosen, rows)).all()


def test_without_time_members_keep_their_trials_models_and_it_is_said(fakes, tmp_path):
    chosen, _ = do(fakes, fakes.plan("line", bagging=4), tmp_path, end=time.monotonic() - 1)
    assert all(len(m.folders) == 1 for m in chosen.members)
    assert len(chosen.notes) == len(chosen.members)
    assert "no time" in chosen.notes[0]


def test_a_refit_is_resumed_where_it_stood(fakes, tmp_path):
    plan = fakes.plan("line", bagging=4)
    first, _ = do(fakes, plan, tmp_path)
    run = RunDir(tmp_path)
    run.ensemble.unlink()
    lost = run.fit(first.members[0].trial, 2) / "result.json"
    lost.unlink()
    kept = {f: f.stat().st_mtime_ns for f in tmp_path.rglob("result.json")}
    again, _ = do(fakes, plan, tmp_path)
    assert [m.weight for m in again.members] == [m.weight for m in first.members]
    assert again.valid_value == first.valid_value
    assert lost.exists()
    assert all(f.stat().st_mtime_ns == at for f, at in kept.items())


def test_where_models_are_not_averaged_the_best_trial_wins_and_is_tried_on_variations(fakes, tmp_path, monkeypatch):
    monkeypatch.setattr(fakes.TASK, "REPLICAS", 3)
    plan = fakes.plan("line", "slow_line", replicas=3, ensemble=1)
    chosen, trials = do(fakes, plan, tmp_path)
    best = min(trials, key=lambda t: (t.result.value, t.job.number))
    assert [m.trial for m in chosen.members] == [best.job.number]
    assert chosen.members[0].folders == (f"trials/{best.job.number:05d}/model",)
    assert chosen.valid_value == best.result.value
    jobs = [json.loads((tmp_path / folder / "job.json").read_text()) for folder in chosen.replicas]
    assert [job["fold"] for job in jobs] == [0, 1, 2]
    assert all(job["params"] == dict(best.job.params) for job in jobs)
    assert len({job["seed"] for job in jobs}) == 3


def test_the_best_trial_is_calibrated_by_its_own_predictions(fakes, tmp_path, monkeypatch):
    monkeypatch.setattr(fakes.TASK, "REPLICAS", 3)
    monkeypatch.setattr(fakes.TASK, "calibrate", lambda problem, part, said: {"mean": float(np.mean(said)), "rows": len(said)})
    chosen, _ = do(fakes, fakes.plan("line", "slow_line", replicas=0, ensemble=1), tmp_path)
    said = np.load(tmp_path / chosen.members[0].folders[0].replace("model", "valid.npy"))
    assert chosen.calibration == {"mean": pytest.approx(said.mean()), "rows": len(said)}


def test_variations_that_there_was_no_time_for_are_told(fakes, tmp_path, monkeypatch):
    monkeypatch.setattr(fakes.TASK, "REPLICAS", 3)
    chosen, _ = do(fakes, fakes.plan("line", replicas=3, ensemble=1), tmp_path, end=time.monotonic() - 1)
    assert chosen.replicas == ()
    assert "0 of 3 fits on variations" in chosen.notes[0]


def test_a_model_that_predicts_otherwise_in_a_new_process_fails_the_run(fakes, tmp_path):
    with pytest.raises(RunError, match="predict otherwise in a new process") as caught:
        do(fakes, fakes.plan("drifting", trials=2), tmp_path)
    assert caught.value.mistakes[0].code == "not-reproduced"
    with pytest.raises(RunError, match="predict otherwise"):  # and does so again on resume
        do(fakes, fakes.plan("drifting", trials=2), tmp_path)
    largest = max(np.abs(np.load(file)).max() for file in tmp_path.glob("trials/*/valid.npy"))
    off = max(json.loads(RunDir(tmp_path).verified.read_text()).values())
    assert off == pytest.approx(1e-3 / max(1, largest), rel=1e-2)


@pytest.mark.parametrize(("device", "off", "passes"), [
    ("cpu", 5e-5, False), ("gpu:0", 5e-5, True), ("gpu:0", 5e-4, False), ("gpu:0", float("nan"), False)])
def test_a_fit_on_a_gpu_is_held_to_four_digits(fakes, tmp_path, device, off, passes):
    """The process that verifies is on the CPU."""
    plan = fakes.plan("line", trials=2)
    do(fakes, plan, tmp_path)
    run = RunDir(tmp_path)
    for file in tmp_path.glob("trials/*/result.json"):
        write_json(file, replace(read_json(file, Result), device=device))
    write_json(run.verified, dict.fromkeys(json.loads(run.verified.read_text()), off))
    if passes:
        verify.run(plan, run, fakes.Silent())
    else:
        with pytest.raises(RunError, match="predict otherwise"):
            verify.run(plan, run, fakes.Silent())


def test_a_model_that_cannot_be_loaded_fails_the_run(fakes, tmp_path):
    plan = fakes.plan("line", trials=2)
    do(fakes, plan, tmp_path)
    RunDir(tmp_path).verified.unlink()
    for file in tmp_path.rglob("line.json"):
        file.unlink()
    with pytest.raises(RunError, match="cannot be loaded in a new process: FileNotFoundError"):
        do(fakes, plan, tmp_path)


def test_a_baseline_that_failed_is_an_error_with_its_reason(fakes, tmp_path):
    with pytest.raises(RunError, match="raising, has no finished trial: ValueError: the matrix is singular"):
        do(fakes, fakes.plan("raising", "line", trials=4), tmp_path)


def test_winners_are_fitted_again_on_train_and_validation_for_the_steps_of_their_trials(fakes, tmp_path):
    chosen, _ = do(fakes, fakes.plan("line", "slow_line", refit=True), tmp_path)
    for member in chosen.members:
        assert member.folders == (f"model/fits/{member.trial:05d}/model",)
        job = json.loads((tmp_path / "model" / "fits" / f"{member.trial:05d}" / "job.json").read_text())
        result = json.loads((RunDir(tmp_path).trial(member.trial) / "result.json").read_text())
        assert job["steps"] == result["steps"] > 0
        assert len(np.load(tmp_path / "model" / "fits" / f"{member.trial:05d}" / "valid.npy")) == 80


def test_a_bag_stands_beside_the_refit(fakes, tmp_path):
    chosen, _ = do(fakes, fakes.plan("line", refit=True, bagging=4), tmp_path)
    assert all(len(member.folders) == 5 for member in chosen.members)
