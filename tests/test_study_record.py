"""The record of a search: what stands in it is what the trials' files say, and a storage that fails ends nothing."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from automl_phys import registry, rundir, search, study_address, study_record, study_tables, worker
from automl_phys.errors import CallError, RunError
from automl_phys.facts import Range
from automl_phys.rundir import RunDir
from automl_phys.search_figures import read_trials
from automl_phys.trials import Job, Progress, Result


def do(fakes, plan, folder, show=None, end=None):
    """A search of fakes in ``folder``; gives its trials, and what was shown."""
    run, show = RunDir(Path(folder)), show or fakes.Silent()
    if not run.problem.exists():
        fakes.write_problem(run)
    with closing(registry.load("executors", "inline").open_executor(
            fakes.slots(1), run.path, worker.run_trial)) as opened:
        return search.run(plan, run, opened, show, end), show


def on_record(plan, folder):
    """The trials on record, by their numbers, through Optuna's own door."""
    import optuna

    run = RunDir(Path(folder))
    storage = study_tables.opened(study_tables.address(plan, run))
    found = {}
    for chosen in plan.families:
        study = optuna.load_study(study_name=study_tables.study_name(plan, run, chosen.family), storage=storage)
        trials = study.get_trials()
        assert [trial.number for trial in trials] == list(range(len(trials)))
        for trial in trials:
            assert trial.user_attrs["trial"] not in found, "a trial is there twice"
            found[trial.user_attrs["trial"]] = (chosen.family, trial)
    study_tables.dispose(storage)
    return found


def agrees(plan, folder, trials):
    """Whether the record says of finished trials what their files say."""
    found = on_record(plan, folder)
    assert sorted(found) == [t.job.number for t in trials]
    for ended in read_trials(RunDir(Path(folder))):
        family, kept = found[ended.job.number]
        states = {"done": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "timed_out": "FAIL"}
        assert (family, kept.state.name) == (ended.job.family, states[ended.result.status])
        assert kept.params == pytest.approx(ended.job.params)
        assert kept.value == (ended.result.value if ended.result.status == "done" else None)
        assert kept.intermediate_values == ended.result.values
        assert kept.user_attrs.get("message", "") == ended.result.message
        assert kept.user_attrs["folder"] == ended.job.folder
        assert kept.duration.total_seconds() == pytest.approx(ended.result.seconds, abs=1e-5)
    return True


def test_the_record_says_what_became_of_each_trial(fakes, tmp_path):
    plan = fakes.plan("line", "raising", pruner="median", trials=50)
    trials, _ = do(fakes, plan, tmp_path)
    assert {t.result.status for t in trials} == {"done", "pruned", "failed"}
    assert agrees(plan, tmp_path, trials)
    before = RunDir(tmp_path).search.read_bytes()
    do(fakes, plan, tmp_path)
    assert RunDir(tmp_path).search.read_bytes() == before


def test_a_trial_is_on_record_while_it_runs_and_settled_when_the_parent_was_killed(fakes, tmp_path):
    plan, run = fakes.plan("line"), RunDir(tmp_path)
    tables = study_tables.Tables(plan, run)
    news = study_tables.News()
    for number in (0, 11, 12):  # 12 is one that the resumed search will not ask for
        news.began(Job(number, "line", {"slope": 1.5}, 1, 1, "cpu", "mse", "minimize", "fake", str(run.path), folder=f"f{number}"))
    news.values[11] = {1: 0.5, 2: 0.25}
    tables.write(news)
    tables.close()
    running = on_record(plan, tmp_path)
    assert {trial.state.name for _, trial in running.values()} == {"RUNNING"}
    assert running[11][1].intermediate_values == {1: 0.5, 2: 0.25}
    trials, _ = do(fakes, plan, tmp_path)
    found = on_record(plan, tmp_path)
    assert [found[t.job.number][1].value for t in trials] == [t.result.value for t in trials]
    assert (found[12][1].state.name, found[12][1].user_attrs["message"]) == ("FAIL", "it was not finished")


def test_a_trial_that_the_clock_stopped_is_done_when_it_was_done_later(fakes, tmp_path):
    plan, run = fakes.plan("line", trials=4), RunDir(tmp_path)
    trials, _ = do(fakes, plan, tmp_path)
    tables = study_tables.Tables(plan, run)
    news = study_tables.News()
    news.began(replace(trials[2].job))
    tables.write(news)  # as if it had been sent out again
    tables.settle()
    tables.close()
    assert on_record(plan, tmp_path)[2][1].state.name == "FAIL"
    do(fakes, plan, tmp_path)
    assert agrees(plan, tmp_path, trials)


def test_a_record_that_is_lost_or_damaged_is_made_again_from_the_trials(fakes, tmp_path):
    plan, run = fakes.plan("line", "raising"), RunDir(tmp_path)
    trials, _ = do(fakes, plan, tmp_path)
    run.search.write_bytes(b"no database at all" * 100)
    do(fakes, plan, tmp_path)
    assert agrees(plan, tmp_path, trials)
    run.search.unlink()
    study_tables.dispose(study_record.to_look_at(plan, run))
    assert agrees(plan, tmp_path, trials)


def test_a_place_that_takes_no_record_ends_no_search_and_is_told_once(fakes, tmp_path):
    plan, run = fakes.plan("line"), RunDir(tmp_path)
    run.search.mkdir(parents=True)
    trials, show = do(fakes, plan, tmp_path)
    assert len(trials) == 12
    assert sum("record of the search is not kept" in text for text in show.said) == 1
    assert "dashboard RUN" in run.search_note.read_text()
    run.search.rmdir()
    study_record.mend(plan, run, show)
    assert agrees(plan, tmp_path, trials)
    assert not run.search_note.exists()


def test_curves_are_thinned_and_choices_are_kept_as_texts(fakes, tmp_path):
    line = fakes.plan("line").families[0]
    space = {"slope": line.space["slope"], "flag": Range(choices=(True, False)), "sizes": Range(choices=([8], [8, 8])),
             "count": Range(low=1, high=100, integer=True, log=True), "fixed": Range(choices=(3,))}
    plan, run = replace(fakes.plan("line"), families=(replace(line, space=space),)), RunDir(tmp_path)
    params = {"slope": 9.0, "flag": True, "sizes": [8, 8], "count": 7, "fixed": 3}  # 9 is outside of the range
    job = Job(0, "line", params, 1, 1, "cpu", "mse", "minimize", "fake", str(run.path), folder="f")
    result = Result(0, "done", 1.0, 1.0, values={step: 1 / step for step in range(1, 2001)})
    study_record.complete(plan, run, [study_record.Trial(job, result)])
    kept = on_record(plan, tmp_path)[0][1]
    assert kept.params == {"slope": 9.0, "flag": "true", "sizes": "[8, 8]", "count": 7}
    assert kept.user_attrs["pinned fixed"] == 3
    assert len(kept.intermediate_values) == study_tables.MOST_STEPS
    assert {1, 2000} <= kept.intermediate_values.keys()


def test_a_trial_costs_a_few_milliseconds(fakes, tmp_path):
    plan, run = fakes.plan("line"), RunDir(tmp_path)
    record = study_record.Record(plan, run, fakes.Silent())
    jobs = [Job(n, "line", {"slope": n / 500}, 1, 1, "cpu", "mse", "minimize", "fake", str(run.path), folder=f"{n}") for n in range(300)]
    record.trial(jobs[0])
    record._write()  # the tables are made once
    began = time.process_time()
    for job in jobs:
        record.trial(job)
        record.trial(Progress(job.number, 1, 0.5))
        record.trial(Result(job.number, "done", 1.0, 1.0, values={1: 0.5, 2: 0.4}))
        if job.number % 10 == 9:
            record._write()
    record.close()
    assert (time.process_time() - began) / len(jobs) < 0.01


@pytest.mark.parametrize(("address", "said"), [
    ("mysql://host/db", "'mysql' is no kind of storage"), ("host/db", "'no scheme' is no kind"),
    ("sqlite:///here.db", "no kind of storage"), ("postgresql://me:secret@host/db", "holds a password"),
    ("postgresql://host/db?password=secret", "holds a password"), ("postgresql://host", "names no database"),
    ("postgresql+psycopg://me@host:5432/db?sslmode=require", ""), ("postgresql:///db?host=/run/postgresql", "")])
def test_what_an_address_may_be(address, said):
    found = list(study_address.broken(address))
    assert (said in found[0][0]) if said else not found
    assert "secret" not in str(found)


def test_the_driver_is_psycopg_where_none_is_named():
    assert study_address.complete("postgresql://host/db") == "postgresql+psycopg://host/db"
    assert study_address.complete("sqlite:///x") == "sqlite:///x"


# ---------------------------------------------------------------- a real server

@pytest.fixture(scope="module")
def postgres():
    sys.path.insert(0, str(Path(__file__).parent / "fakes"))
    try:
        import postgres as module
    finally:
        sys.path.pop(0)
    if reason := module.why_not():
        pytest.skip(reason)
    pytest.importorskip("psycopg", reason="psycopg is not installed here (pip install 'automl-phys[postgres]')")
    with module.running() as server:
        yield server


def test_the_same_record_on_postgresql(fakes, tmp_path, postgres):
    plan = fakes.plan("line", "slow_line", "raising", pruner="median", trials=30, storage=postgres.address)
    study_record.check(plan)
    trials, _ = do(fakes, plan, tmp_path)
    assert agrees(plan, tmp_path, trials)
    assert not RunDir(tmp_path).search.exists()
    do(fakes, plan, tmp_path)
    assert agrees(plan, tmp_path, trials)
    in_file, _ = do(fakes, replace(plan, storage=""), tmp_path / "file")
    assert [(t.job.params, t.result.value) for t in in_file] == [(t.job.params, t.result.value) for t in trials]


class Stopping:
    """A ``Show`` in whose course a server stops, and comes back if that is wanted."""

    def __init__(self, silent, server, back):
        self._silent, self._server, self._back, self._ended = silent, server, back, 0

    def __getattr__(self, name):
        return getattr(self._silent, name)

    def trial(self, event):
        self._silent.trial(event)
        self._ended += isinstance(event, Result)
        if self._ended == 4 and isinstance(event, Result):
            self._server.stop()
        if self._ended == 9 and isinstance(event, Result) and self._back:
            self._server.start()


@pytest.mark.parametrize("back", [True, False])
def test_a_server_that_goes_away_ends_no_search(fakes, tmp_path, postgres, monkeypatch, back):
    monkeypatch.setattr(study_record, "EVERY_S", 0.0)
    plan, run = fakes.plan("line", storage=postgres.address), RunDir(tmp_path)
    trials, show = do(fakes, plan, tmp_path, Stopping(fakes.Silent(), postgres, back))
    assert len(trials) == 12
    assert sum("record of the search is not kept" in text for text in show.said) == 1
    if not back:
        assert run.search_note.exists()
        postgres.start()
        do(fakes, plan, tmp_path)  # resumed
    assert agrees(plan, tmp_path, trials)
    assert not run.search_note.exists()


def test_a_server_that_is_not_there_is_told_before_anything_runs(fakes, tmp_path):
    pytest.importorskip("psycopg")
    plan = fakes.plan("line", storage=f"postgresql://nobody@/nothing?host={tmp_path}")
    with pytest.raises(RunError, match="cannot be used") as caught:
        study_record.check(plan)
    mistake = caught.value.mistakes[0]
    assert (mistake.code, mistake.key) == ("no-storage", ("search", "storage"))
    assert "PGPASSWORD" in mistake.remedy


# ---------------------------------------------------------------- in the browser

HEEDING_CTRL_C = """
import signal, sys
from automl_phys.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(sys.argv[1:]))
"""
"""The program; tests that were started in the background of a script ignore Ctrl-C, and so would what they start."""


def test_the_dashboard_shows_the_studies_of_a_run(fakes, tmp_path):
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed here")
    plan, run = fakes.plan("line", "raising"), RunDir(tmp_path / "20261127-120000-abcdef00")
    do(fakes, plan, run.path)
    rundir.write_json(run.plan, plan)
    run.search.unlink()  # as of a run that is older than records are
    with subprocess.Popen([sys.executable, "-u", "-c", HEEDING_CTRL_C, "dashboard", str(run.path), "--port", "0"],
                          stdout=subprocess.PIPE, text=True) as server:
        address = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())[0]
        with urllib.request.urlopen(f"{address}/dashboard", timeout=20) as page:
            assert b"<html" in page.read().lower()
        with urllib.request.urlopen(f"{address}/api/studies", timeout=20) as answer:
            names = [study["study_name"] for study in json.load(answer)["study_summaries"]]
        server.send_signal(signal.SIGINT)
        rest = server.stdout.read()
    assert names == [f"fake/{run.path.name}/line", f"fake/{run.path.name}/raising"]
    assert (server.returncode, "Ended." in rest) == (0, True)


def test_without_its_package_the_dashboard_says_how_to_get_it(tmp_path, monkeypatch):
    from automl_phys import dashboard

    monkeypatch.setattr(dashboard, "find_spec", lambda name: None)
    with pytest.raises(CallError) as caught:
        dashboard.serve(RunDir(tmp_path), 0, print)
    assert "pip install 'automl-phys[dashboard]'" in caught.value.mistakes[0].remedy
