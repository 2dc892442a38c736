"""Trials on made-up GPUs and on the CPU beside them: each where it belongs, and told so. No GPU is needed: the fakes say
with what their process was started."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from automl_phys import pipeline, refit, registry, report, search, worker
from automl_phys.dispatch import Dispatch
from automl_phys.rundir import FitDir, RunDir, read_json
from automl_phys.trials import Job, Result, Slot, kinds_by_device

SLICE = "MIG-c7384736-a75d-5afc-978f-d2f1294409fd"
DEVICES = ("gpu:1", f"gpu:{SLICE}", "cpu")


def job(number, device):
    return Job(number, "x", {}, 1, 1, device, "o", "maximize", "t", "", folder=f"trials/{number}")


class Desk:
    """An executor that keeps what it is sent, and ends it when told to."""

    def __init__(self):
        self.sent, self.over = [], []

    def submit(self, job):
        self.sent.append(job.number)

    def poll(self, timeout_s):
        done, self.over = self.over, []
        return [Result(number, "done", 1.0, 0.0) for number in done]


def test_a_job_waits_for_a_slot_of_its_kind_and_keeps_no_other_waiting(fakes, tmp_path):
    desk = Desk()
    dispatch = Dispatch(RunDir(tmp_path), desk, fakes.Silent(), ("gpu:0", "cpu", "cpu"), None)
    for number, device in enumerate(("gpu", "gpu", "cpu", "gpu", "cpu", "cpu")):
        dispatch.add(job(number, device))
    dispatch.collect()
    assert desk.sent == [0, 2, 4] and dispatch.waiting == 3
    desk.over = [4]
    assert [trial.job.number for trial in dispatch.collect()] == [4]
    dispatch.collect()
    assert desk.sent[3:] == [5]
    desk.over = [0, 2]
    dispatch.collect()
    dispatch.collect()
    assert desk.sent[4:] == [1]  # both CPU slots are not for 3


def test_where_there_is_one_kind_of_slot_it_takes_all(fakes, tmp_path):
    desk = Desk()
    dispatch = Dispatch(RunDir(tmp_path), desk, fakes.Silent(), ("gpu:0", "gpu:1"), None)
    for number, device in enumerate(("cpu", "gpu", "gpu")):
        dispatch.add(job(number, device))
    dispatch.collect()
    assert desk.sent == [0, 1]


@pytest.mark.parametrize("name", registry.names("executors"))
def test_a_result_tells_the_device_that_a_job_got(name, fakes, tmp_path):
    import fake_trials

    kinds = kinds_by_device(("gpu:0",))
    slot = Slot("gpu:0", 1, 1000, {}, kinds["gpu"])
    with closing(registry.load("executors", name).open_executor([slot], tmp_path, fake_trials.device)) as executor:
        executor.submit(job(0, "gpu"))
        executor.submit(job(1, "cpu"))
        results, end = [], time.monotonic() + 30
        while len(results) < 2:
            assert time.monotonic() < end
            results += [event for event in executor.poll(1) if isinstance(event, Result)]
    assert {result.number: result.device for result in results} == {0: "gpu:0", 1: "cpu"}


def test_a_network_that_found_no_gpu_is_not_said_to_have_been_on_one(fakes, tmp_path):
    from automl_phys import keras_fit

    keras_fit.load_keras()
    assert not keras_fit.on_gpu()
    run = RunDir(tmp_path)
    fakes.write_problem(run)
    made = replace(job(0, "gpu:0"), family="line", params={"slope": 1.0}, task="fake", objective="mse",
                   direction="minimize", run_dir=str(tmp_path))
    assert worker.run_trial(made, lambda progress: None).device == "cpu"


def told_by(run, trials):
    return {trial.job.number: json.loads((FitDir(run.path / trial.job.folder).model() / "told.json").read_text())
            for trial in trials}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search over two kinds of family on two GPUs and the CPU, its refits, and its run."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(Path(__file__).parent / "fakes")
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
        patch.setattr(registry, "load", registry.load)
        import fakes

        fakes.install()
        run = RunDir(tmp_path_factory.mktemp("run"))
        fakes.write_problem(run)
        plan = fakes.plan("probing", "probing_gpu", executor="dask", workers=3, devices=DEVICES, trials=10, refit=True,
                          precision="mixed_bfloat16")
        with closing(pipeline._open_executor(plan, run, worker.run_trial)) as executor:
            trials = search.run(plan, run, executor, fakes.Silent(), None)
            made = refit.run(plan, run, trials, executor, fakes.Silent(), None)
        yield fakes, plan, run, trials, made


def test_each_family_runs_where_it_belongs_and_sees_its_device_alone(searched):
    _, _, run, trials, _ = searched
    seen = told_by(run, trials)
    assert {trial.job.family for trial in trials} == {"probing", "probing_gpu"}
    for trial in trials:
        told, device = seen[trial.job.number], trial.result.device
        assert told["device"] == device == read_json(FitDir(run.path / trial.job.folder).result, Result).device
        assert told["CUDA_VISIBLE_DEVICES"] == {"cpu": "-1", "gpu:1": "1", f"gpu:{SLICE}": SLICE}[device]
        assert (device == "cpu") == (trial.job.family == "probing") == (told["JAX_PLATFORMS"] == "cpu")
        assert (told["OMP_NUM_THREADS"], told["AUTOML_PHYS_PRECISION"]) == ("1", "mixed_bfloat16")
        assert (told["TF_FORCE_GPU_ALLOW_GROWTH"], told["XLA_PYTHON_CLIENT_PREALLOCATE"]) == ("true", "false")
    assert len({told["pid"] for told in seen.values()}) == len({told["device"] for told in seen.values()})
    assert len({told["device"] for told in seen.values()}) >= 2


def test_refits_too_run_where_their_family_belongs(searched):
    _, _, run, _, made = searched
    folders = [run.path / folder for member in made.members for folder in member.folders]
    told = [json.loads((folder / "told.json").read_text()) for folder in folders]
    for member, one in zip(made.members, told, strict=True):
        assert (one["device"] == "cpu") == (member.family == "probing")


def test_one_worker_does_the_same_trials_to_the_last_bit(searched, tmp_path):
    fakes, plan, _, trials, _ = searched
    run = RunDir(tmp_path)
    fakes.write_problem(run)
    alone = replace(plan, workers=1, devices=("gpu:1",))
    with closing(pipeline._open_executor(alone, run, worker.run_trial)) as executor:
        again = search.run(alone, run, executor, fakes.Silent(), None)
    assert [(t.job.family, t.job.params, t.job.device, t.result.value) for t in again] == [
        (t.job.family, t.job.params, t.job.device, t.result.value) for t in trials]
    assert {t.result.device for t in again} == {"cpu", "gpu:1"}
    assert len({told["pid"] for told in told_by(run, again).values()}) == 1


def test_the_report_tells_devices_where_there_was_more_than_the_cpu(searched):
    _, plan, _, trials, _ = searched
    table = report._trial_table(trials, plan)
    where = table.head.index("device")
    assert [row[where] for row in table.rows] == [trial.result.device for trial in trials]
    on_cpu = [trial for trial in trials if trial.result.device == "cpu"]
    assert "device" not in report._trial_table(on_cpu, plan).head
