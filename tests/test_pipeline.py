"""The whole thing, as a user runs it: from a recipe to a report, predictions, resumption and refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl_phys import archives, locks, packing
from automl_phys.archive_contents import LOCK
from automl_phys.cli import main

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))

RECIPE = """
recipe: 1
name: small
task: classify
data: {path: events.parquet, target: process, signal: higgs, weight: w, spectators: [event]}
model: {families: [boosted_trees, linear], boosted_trees: {ratios: false, num_leaves: 7, learning_rate: 0.2}}
search: {trials: 6}
report: {figures: [png]}
seed: 5
"""


def events(rows: int = 1200) -> pa.Table:
    rng = np.random.default_rng(2)
    higgs = rng.random(rows) < 0.4
    return pa.table({
        "mass": rng.normal(np.where(higgs, 125, 110), 10), "pt": rng.exponential(40, rows) + 10 * higgs,
        "w": rng.uniform(0.5, 1.5, rows), "event": np.arange(rows),
        "process": np.where(higgs, "higgs", "background").astype(object)})


def write(folder: Path, recipe: str = RECIPE, table: pa.Table | None = None) -> Path:
    pq.write_table(events() if table is None else table, folder / "events.parquet")
    (folder / "small.yaml").write_text(recipe, encoding="utf-8")
    return folder / "small.yaml"


def trials(run: Path) -> list[tuple[str, object, object]]:
    """Family, parameters and value of every trial, by number: what must repeat."""
    folders = sorted((run / "trials").iterdir())
    read = [(json.loads((f / "job.json").read_text()), json.loads((f / "result.json").read_text())) for f in folders]
    return [(job["family"], job["params"], result["value"]) for job, result in read]


def command(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "automl_phys.cli", *arguments], cwd=cwd, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the recipe was run."""
    folder = tmp_path_factory.mktemp("done")
    write(folder)
    process = command("run", "small.yaml", cwd=folder)
    out, err = process.communicate()
    assert process.returncode == 0, err
    (folder / "out.txt").write_text(out)
    (folder / "err.txt").write_text(err)
    return folder


def test_a_run_leaves_what_the_design_says(done: Path) -> None:
    run = done / "runs" / "small" / "latest"
    for name in ("recipe.yaml", "plan.json", "environment.json", "problem", "trials", "model/ensemble.json",
                 "model/verified.json", "evaluation.json", "findings.json", "figures", "predictions.parquet",
                 "report.html", "report.md", "manifest.json"):
        assert (run / name).exists(), name
    assert len(trials(run)) == 6
    assert not [f for f in run.rglob("*") if f.suffix in (".pkl", ".pickle", ".joblib")]
    assert not list(run.rglob("*.part"))
    manifest = json.loads((run / "manifest.json").read_text())
    assert {"report.html", "predictions.parquet"} <= set(manifest)


def test_the_outcome_on_the_terminal(done: Path) -> None:
    out = (done / "out.txt").read_text()
    assert "\x1b" not in out, "plain text where there is no terminal"
    for part in ("Verdict", "better than the linear baseline by", "Leaderboard", "Confusion matrix", "ROC curve",
                 "report.html"):
        assert part in out
    assert max(map(len, out.splitlines())) <= 80
    err = (done / "err.txt").read_text()
    assert all(f"\ntrial {number} " in err for number in range(6))
    assert "WARNING" not in err and "oneDNN" not in err


def test_predict_gives_the_numbers_of_the_run(done: Path, tmp_path: Path) -> None:
    run = done / "runs" / "small" / "latest"
    stored = pq.read_table(run / "predictions.parquet")
    assert main(["predict", str(run), str(done / "events.parquet"), "-o", str(tmp_path / "s.parquet"), "--quiet"]) == 0
    scores = pq.read_table(tmp_path / "s.parquet")
    assert scores["event"].to_pylist() == list(range(1200))
    again = scores["score_higgs"].to_numpy()[stored["row"].to_numpy()]
    assert np.array_equal(again, stored["score_higgs"].to_numpy())


def test_predict_refuses_other_columns_and_formats(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = done / "runs" / "small" / "latest"
    pq.write_table(events().drop_columns(["pt"]), tmp_path / "new.parquet")
    assert main(["predict", str(run), str(tmp_path / "new.parquet"), "-o", str(tmp_path / "s.parquet")]) == 2
    assert "pt" in capsys.readouterr().err
    assert main(["predict", str(run), str(done / "events.parquet"), "-o", str(tmp_path / "s.xlsx")]) == 2
    assert main(["predict", str(tmp_path), str(done / "events.parquet"), "-o", str(tmp_path / "s.csv")]) == 2
    assert not list(tmp_path.glob("s.*"))


def test_report_renders_the_same_bytes_again(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = done / "runs" / "small" / "latest"
    before = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    assert main(["report", str(run), "--quiet"]) == 0
    assert (run / "report.html").read_bytes() == before
    assert main(["report", str(done)]) == 2
    assert "not the folder of a finished run" in capsys.readouterr().err


def test_another_run_repeats_the_numbers_with_another_number_of_workers(done: Path, tmp_path: Path) -> None:
    write(tmp_path)
    process = command("run", "small.yaml", "--quiet", "--set", "compute.workers=1", cwd=tmp_path)
    process.communicate()
    assert process.returncode == 0
    first, second = (folder / "runs" / "small" / "latest" for folder in (done, tmp_path))
    assert trials(first) == trials(second)
    assert pq.read_table(first / "predictions.parquet").equals(pq.read_table(second / "predictions.parquet"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_is_taken_up_again(done: Path, tmp_path: Path, how: signal.Signals) -> None:
    write(tmp_path)
    process = command("run", "small.yaml", cwd=tmp_path)
    while process.poll() is None and not list(tmp_path.glob("runs/small/2*/trials/*/result.json")):
        time.sleep(0.05)
    os.kill(process.pid, how)
    _, err = process.communicate()
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "automl-phys run small.yaml --resume" in err
    again = command("run", "small.yaml", "--resume", "--quiet", cwd=tmp_path)
    _, err = again.communicate()
    assert again.returncode == 0, err
    assert len(list(tmp_path.glob("runs/small/2*"))) == 1
    assert trials(tmp_path / "runs/small/latest") == trials(done / "runs/small/latest")


def test_nothing_to_resume_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(write(tmp_path)), "--resume", "--out", str(tmp_path / "runs")]) == 2
    assert "no run of this recipe" in capsys.readouterr().err


def column(name: str, values: object) -> pa.Table:
    table = events()
    return table.set_column(table.column_names.index(name), name, pa.array(values))


BAD_DATA = {
    "one-class": (RECIPE, lambda: column("process", ["higgs"] * 1200), "one class"),
    "weights-with-nan": (RECIPE, lambda: column("w", [float("nan")] + [1.0] * 1199), "weight 'w'"),
    "three-rows": (RECIPE, lambda: events(1200).slice(0, 3), "Too few"),
    "no-such-target": (RECIPE.replace("target: process", "target: proces"), events, "Did you mean 'process'?"),
    "constant": (RECIPE, lambda: events().set_column(0, "mass", pa.array([1.0] * 1200)).set_column(
        1, "pt", pa.array([2.0] * 1200)), "one value"),
    "infinity": (RECIPE, lambda: column("pt", [float("inf")] + [1.0] * 1199), "pt"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_are_refused_with_the_place_in_the_recipe(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, table, said = BAD_DATA[case]
    path = write(tmp_path, recipe, table())
    assert main(["run", str(path), "--quiet", "--out", str(tmp_path / "runs")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "small.yaml:5:" in err
    assert "bug" not in err


def test_a_place_that_cannot_be_written_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    (tmp_path / "taken").write_text("a file")
    assert main(["run", str(path), "--out", str(tmp_path / "taken")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_run_of_which_most_trials_fail_ends_and_says_why(tmp_path: Path) -> None:
    recipe = RECIPE[:RECIPE.index("model:")] + """
model: {families: [mlp], mlp: {layers: {choices: [[8]]}, embedding: none, members: 1, epochs: 4, learning_rate: 1e30}}
search: {trials: 8}
"""
    write(tmp_path, recipe)
    process = command("run", "small.yaml", cwd=tmp_path)
    _, err = process.communicate()
    assert process.returncode == 1
    assert "trials failed" in err and "the loss became" in err
    assert list(tmp_path.glob("runs/small/latest/trials/*/traceback.txt"))


ELSEWHERE = ("classify-jets", "transfer-imagenet")
"""Run by 'make test' itself; needs a download, which tests/test_backbones.py does without."""
FEWER = {"generate-jet-images": ["--set", "data.cut=label != 'top' and event_id < 3000"]}
"""What takes long although the budget is small, with a part of its events."""


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_shipped_recipe_plans(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] in (
        "classify", "detect-anomaly", "forecast", "generate", "reduce+cluster", "regress", "reinforce", "transfer")


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in RECIPES if p.stem not in ELSEWHERE], ids=lambda p: p.stem)
def test_every_shipped_recipe_runs_on_a_small_budget(path: Path, tmp_path: Path) -> None:
    process = command("run", str(path), "--smoke", "--quiet", "--set", "report.figures=[]", *FEWER.get(path.stem, ()),
                      cwd=tmp_path)
    _, err = process.communicate()
    assert process.returncode == 0, err
    run = next(tmp_path.glob("runs/*/latest"))
    assert (run / "report.html").exists()
    packing.pack(run, tmp_path / "run.amlphys.zip", with_model=True)
    archives.unpack(tmp_path / "run.amlphys.zip", tmp_path / "unpacked")
    assert str(locks.read(tmp_path / "unpacked" / LOCK).metrics) == str(locks.read(run / LOCK).metrics)


CLUSTERS = """
recipe: 1
name: clusters
task: reduce+cluster
data: {path: points.parquet, truth: cloud}
reduce: {families: [pca, none]}
cluster: {families: [kmeans, hdbscan]}
model: {bagging: 6}
search: {trials: 8}
report: {figures: [png]}
seed: 5
"""


def clustered(folder: Path, truth: bool = True, *sets: str) -> Path:
    """A finished run on four clouds in three dimensions."""
    rng = np.random.default_rng(4)
    cloud = rng.integers(0, 4, 400)
    points = rng.normal(0, 8, (4, 3))[cloud] + rng.normal(size=(400, 3))
    columns = {f"x{i}": points[:, i] for i in range(3)} | ({"cloud": cloud} if truth else {})
    pq.write_table(pa.table(columns), folder / "points.parquet")
    recipe = CLUSTERS if truth else CLUSTERS.replace(", truth: cloud", "")
    (folder / "clusters.yaml").write_text(recipe, encoding="utf-8")
    process = command("run", "clusters.yaml", "--quiet", *sets, cwd=folder)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert "there is structure" in " ".join(out.split())
    return (folder / "runs" / "clusters" / "latest").resolve()


@pytest.mark.slow
def test_clusters_are_the_same_with_one_worker_or_two_and_with_or_without_a_truth(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("two", "one", "untold")]
    for folder in folders:
        folder.mkdir()
    two = clustered(folders[0])
    one = clustered(folders[1], True, "--set", "compute.workers=1")
    untold = clustered(folders[2], False)
    assert trials(two) == trials(one) == trials(untold)
    said = [pq.read_table(run / "predictions.parquet") for run in (two, one, untold)]
    assert said[0].equals(said[1])
    assert said[0].drop_columns(["true"]).equals(said[2])
    found = json.loads((two / "evaluation.json").read_text())["metrics"]
    assert found["clusters"]["value"] == 4 and found["adjusted_rand"]["value"] > 0.95
    assert "adjusted_rand" not in json.loads((untold / "evaluation.json").read_text())["metrics"]


@pytest.mark.slow
def test_new_points_are_placed_into_the_clusters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = clustered(tmp_path)
    scores = tmp_path / "scores.parquet"
    assert main(["predict", str(run), str(tmp_path / "points.parquet"), "-o", str(scores)]) == 0
    assert pq.read_table(scores)["cluster"].equals(pq.read_table(run / "predictions.parquet")["cluster"])
    some = pq.read_table(tmp_path / "points.parquet").slice(100, 50)
    pq.write_table(some, tmp_path / "some.parquet")
    assert main(["predict", str(run), str(tmp_path / "some.parquet"), "-o", str(scores)]) == 0
    before = pq.read_table(run / "predictions.parquet")["cluster"].to_numpy()[100:150]
    assert np.mean(pq.read_table(scores)["cluster"].to_numpy() == before) >= 0.96
    pq.write_table(some.drop_columns(["x1"]), tmp_path / "less.parquet")
    assert main(["predict", str(run), str(tmp_path / "less.parquet"), "-o", str(tmp_path / "no.parquet")]) == 2
    assert "x1" in capsys.readouterr().err
    assert not (tmp_path / "no.parquet").exists()
