"""The page of runs: each is a row, whatever has become of it, and there may be hundreds."""

import html
import json
import re
import shutil
import time

import pytest
from fixtures import browser, jets_run, small_recipe

from automl_phys import cli, run_index, run_state, rundir
from automl_phys.errors import CallError, Mistake, RunError
from automl_phys.rundir import RunDir


@pytest.fixture
def runs(tmp_path):
    """One of each: finished, interrupted, failed, killed, damaged, and a finished one whose report is elsewhere."""
    for number, name in enumerate(("done", "by-hand", "failed", "killed", "damaged", "bare")):
        run = jets_run.write(tmp_path / "runs" / name / f"2026112{number}-101500-abcdef12", f"jets <{name}>", ())
        if name == "done":
            rundir.write_text(run.report("html"), "the report")
        elif name == "damaged":
            run.plan.write_text('{"name": ')
        elif name != "bare":
            run.evaluation.unlink()
    (tmp_path / "runs" / "done" / "latest").symlink_to("20261120-101500-abcdef12")
    (tmp_path / "runs" / "notes").mkdir()
    for name, error in (("by-hand", KeyboardInterrupt()), ("failed", RunError(Mistake("disk-full", "The disk is full.")))):
        with pytest.raises(type(error)), run_state.recorded(RunDir(next((tmp_path / "runs" / name).iterdir()))):
            raise error
    return tmp_path / "runs"


def test_every_run_is_a_row_with_its_state(runs):
    found = {one.name: one for one in run_index.find(runs)}
    states = {name: one.state for name, one in found.items()}
    assert states == {"jets <done>": "finished", "jets <bare>": "finished", "jets <by-hand>": "interrupted", "jets <failed>": "failed",
                      "jets <killed>": "not finished", "damaged": "unreadable"}
    assert [one.date for one in run_index.find(runs)] == [f"2026-11-2{day} 10:15:00" for day in (5, 4, 3, 2, 1, 0)]
    done = found["jets <done>"]
    assert (done.task, done.metric, done.value) == ("classify", "Log loss", "0.4552 ± 0.0041")
    assert done.verdict.startswith("The ensemble of 5 trials wins") and done.report == "done/20261120-101500-abcdef12/report.html"
    assert found["jets <bare>"].report == ""
    assert found["jets <failed>"].verdict == "The disk is full." and "--resume" in found["jets <by-hand>"].verdict
    assert found["damaged"].verdict.startswith("It cannot be read: ")


def test_a_run_that_is_taken_up_again_has_no_former_end(runs):
    run = RunDir(next((runs / "failed").iterdir()))
    assert run.stopped.exists()
    with run_state.recorded(run):
        assert not run.stopped.exists()
    assert run_state.of(run).name == run_state.UNFINISHED


@pytest.mark.parametrize("text", ['{"verdict": "v", "metrics": {"log_loss": {"value": 1, "low": "nan", "high": "nan"}}}', None])
def test_an_evaluation_is_read_however_it_is_written(runs, text):
    run = RunDir(next((runs / "done").iterdir()))
    whole = json.loads(run.evaluation.read_text())
    if text is None:  # so many metrics that the beginning does not hold them
        text = json.dumps({**whole, "metrics": {**{f"m{k}": whole["metrics"]["log_loss"] for k in range(300)}, **whole["metrics"]}}, indent=1)
        assert len(text) > run_index.HEAD_CHARACTERS
    run.evaluation.write_text(text)
    found = next(one for one in run_index.find(runs) if one.name == "jets <done>")
    assert found.state == "finished" and found.value


def test_the_page_links_to_reports_and_shows_text_as_text(runs):
    page = run_index.write(runs)
    text = page.read_text()
    links = [html.unescape(link) for link in re.findall(r'<a href="([^"#]+)"', text)]
    assert links == ["done/20261120-101500-abcdef12/report.html"] and (runs / links[0]).exists()
    assert "jets &lt;done&gt;" in text and "<done>" not in text
    assert run_index.write(runs).read_text() == text  # over its own


def test_a_page_of_the_users_own_is_left_alone(runs):
    (runs / "index.html").write_text("mine")
    with pytest.raises(CallError, match="no page of automl-phys"):
        run_index.write(runs)
    run_index.refresh(runs)
    assert (runs / "index.html").read_text() == "mine"


def test_two_hundred_runs_take_a_moment(runs):
    first = next((runs / "done").iterdir())
    for number in range(200):
        folder = RunDir(runs / "many" / f"20261201-{number:06d}-abcdef12")
        folder.path.mkdir(parents=True)
        for file in (RunDir(first).plan, RunDir(first).evaluation, RunDir(first).findings):
            shutil.copy(file, folder.path)
    run_index.write(runs)  # templates are read
    began = time.process_time()
    run_index.refresh(runs)
    assert time.process_time() - began < 3  # 0.1 s here; a machine may be busy


def test_the_command_writes_it_and_a_run_keeps_it_up_to_date(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small_recipe.write(tmp_path)
    assert cli.main(["run", "small.yaml", "--quiet"]) == 0
    page = tmp_path / "runs" / "index.html"
    assert "small" in page.read_text() and "finished" in page.read_text()
    page.unlink()
    capsys.readouterr()
    assert cli.main(["report", "runs"]) == 0
    assert capsys.readouterr().out == "runs/index.html\n" and page.exists()


def test_a_folder_without_runs_is_told(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "nor one with runs in it" in capsys.readouterr().err


@pytest.mark.parametrize("there", [True, False])
def test_a_report_is_opened_where_there_is_a_browser(runs, monkeypatch, capsys, there):
    import webbrowser

    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or there)
    assert cli.main(["report", str(runs), "--open"]) == 0
    said = capsys.readouterr().out
    assert opened == [(runs / "index.html").as_uri()]
    assert (opened[0] in said) is not there


READER = """
  const rows = () => [...document.querySelectorAll("tbody tr")].filter(row => !row.hidden).map(row => [...row.cells].map(cell => cell.textContent));
  const heads = [...document.querySelectorAll("thead th")], [task, state] = document.querySelectorAll("select");
  seen.width = [innerWidth, document.documentElement.scrollWidth];
  seen.first = rows();
  heads[2].querySelector("button").click(); seen.byDate = rows().map(row => row[2]);
  heads[5].querySelector("button").click(); seen.byValue = rows().map(row => row[5]);
  state.value = "failed"; state.dispatchEvent(new Event("change")); seen.failed = rows();
  seen.count = document.querySelector("[role=status]").textContent;
""" + browser.ASK_AXE


@pytest.mark.skipif(browser.BROWSER is None, reason=browser.WHY_SKIPPED)
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_sorts_and_filters(runs, tmp_path, width):
    seen = browser.read(run_index.write(runs).read_text(), READER, tmp_path, width, dark=width == 390, libraries=browser.axe())
    assert not seen.get("violations")
    assert seen["complaints"] == [] and seen["width"][1] <= seen["width"][0] == width
    assert seen["byDate"] == sorted(row[2] for row in seen["first"])
    assert seen["byValue"][2:] == ["–"] * 4 and "–" not in seen["byValue"][:2]
    assert [row[0] for row in seen["failed"]] == ["jets <failed>"] and seen["count"] == "1 of 6 runs shown"
