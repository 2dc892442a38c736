"""Every command that reports does so as JSON, too: on stdout, alone, in one form; mistakes as well."""

import json
from pathlib import Path

import pytest
from fixtures import jets_run

from automl_phys import pipeline, rundir
from automl_phys.cli import main
from automl_phys.exporting import Written
from automl_phys.rundir import RunDir

ROOT = Path(__file__).parents[1]
JETS = str(ROOT / "recipes" / "classify-jets.yaml")


@pytest.fixture
def run(tmp_path):
    """The folder of a run, as far as it is told of."""
    folder = RunDir(tmp_path / "runs" / "jets" / "1")
    folder.path.mkdir(parents=True)
    for path, thing in ((folder.plan, jets_run.plan()), (folder.evaluation, jets_run.evaluation()),
                        (folder.findings, jets_run.findings())):
        rundir.write_json(path, thing)
    return folder


def told(capsys, *arguments, code=0):
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_run_tells_its_place_its_metrics_and_its_findings(run, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(pipeline, "run", lambda *_: run)
    said = told(capsys, "run", JETS, "--out", tmp_path)
    assert list(said) == ["exit", "run", "task", "objective", "verdict", "metrics", "findings", "reports", "repeat"]
    assert (said["exit"], said["run"], said["repeat"]) == (0, str(run.path), None)
    evaluation = jets_run.evaluation()
    assert said["verdict"] == evaluation.verdict
    name, estimate = next(iter(evaluation.metrics.items()))
    assert said["metrics"][name]["value"] == pytest.approx(estimate.value)
    assert {one["code"] for one in said["findings"]} == {one.code for one in jets_run.findings()}


def test_sound_recipes_are_told_with_their_tasks(capsys):
    said = told(capsys, "validate", JETS)
    assert said["recipes"] == [{"path": JETS, "task": "classify"}]
    assert (said["exit"], said["written"]) == (0, [])
    bad = told(capsys, "validate", JETS, ROOT / "tests/recipes_bad/empty.yaml", code=2)
    assert bad["exit"] == 2
    assert [one["code"] for one in bad["mistakes"]] == ["empty-recipe"]


def test_what_was_written_is_told(run, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(pipeline, "predict", lambda *_: "12 rows")
    scores = tmp_path / "s.parquet"
    assert told(capsys, "predict", run.path, "new.csv", "-o", scores) == {
        "exit": 0, "written": [str(scores)], "said": [f"Wrote the scores of 12 rows to {scores}."]}
    monkeypatch.setattr(pipeline, "generate", lambda *_: None)
    assert told(capsys, "generate", run.path, "-o", scores)["written"] == [str(scores)]
    made = Written((Path("m.onnx"),), "They agree.", ("scaling",), (), ("import x",))
    monkeypatch.setattr(pipeline, "export", lambda *_: made)
    said = told(capsys, "export", run.path, "--format", "lightgbm", "-o", tmp_path / "m.txt")
    assert said["written"] == [str(tmp_path / "m.onnx")]
    assert said["said"][1:] == ["They agree.", "Inside:  scaling.", "To use it:", "  import x"]


def test_archives_are_told_with_their_hash_and_contents(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packed = told(capsys, "pack", JETS, "-o", "a.amlphys.zip")
    assert len(packed["sha256"]) == 64
    assert packed["written"] == ["a.amlphys.zip"]
    opened = told(capsys, "unpack", "a.amlphys.zip", "-o", "there")
    assert (opened["written"], opened["contents"]["task"]) == (["there"], "classify")
    assert told(capsys, "lint", "there")["written"] == []
    Path("bad.yaml").write_text("password: hunter22\n")
    found = told(capsys, "lint", "bad.yaml", code=1)
    assert found["mistakes"][0]["code"] == "secret"
    assert found["mistakes"][0]["place"] == {"file": "bad.yaml", "line": 1, "column": 1}
