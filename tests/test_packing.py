"""Packing and what comes of it elsewhere: the same numbers, the same scores, the same bytes, and nothing personal."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from automl_phys import archives, gallery, locks, recipe, recipe_lint
from automl_phys.cli import main

KEPT = Path(__file__).parent / "archives"
BASE = """
recipe: 1
task: classify
data: {path: events/*.csv, target: label, signal: sig}
model: {families: [linear], ensemble: 1}
search: {trials: 2}
compute: {executor: inline}
report: {formats: [markdown], figures: [png]}
seed: 3
"""
SMALL = "recipe: 1\nname: small\ndescription: A tiny one.\nextends: base/base.yaml\ntask: classify\n"


def write(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    (folder / "base" / "events").mkdir(parents=True)
    for part in range(2):
        signal = rng.integers(0, 2, 150)
        rows = [f"{m:.4f},{p:.4f},{('bkg', 'sig')[s]}" for m, p, s in zip(
            rng.normal(110 + 15 * signal, 10), rng.exponential(40, 150), signal, strict=True)]
        (folder / "base" / "events" / f"{part}.csv").write_text("\n".join(["mass,pt,label", *rows]) + "\n")
    (folder / "base" / "base.yaml").write_text(BASE)
    (folder / "small.yaml").write_text(SMALL)
    return folder / "small.yaml"


def command(*arguments: str, cwd: Path, home: Path | None = None) -> str:
    user = {} if home is None else {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "USER": "somebody"}
    done = subprocess.run([sys.executable, "-m", "automl_phys.cli", *arguments], cwd=cwd, text=True, capture_output=True,
                          env={**os.environ, **user}, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(folder: Path) -> object:
    run = folder / "runs" / "small" / "latest"
    return json.loads((run / "evaluation.json").read_text())["metrics"], (run / "predictions.parquet").read_bytes()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the recipe was run, and packed with its data; and the run, with its model."""
    folder = tmp_path_factory.mktemp("done")
    write(folder)
    command("run", "small.yaml", "--quiet", cwd=folder)
    command("pack", "small.yaml", "--with-data", cwd=folder)
    command("pack", "runs/small/latest", "--with-model", "-o", "run.amlphys.zip", cwd=folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(done: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(done))) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_packed_recipe_gives_another_user_the_same_numbers(done: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command("run", str(done / "small.amlphys.zip"), "--quiet", cwd=tmp_path, home=home)
    assert numbers(tmp_path) == numbers(done)


def test_an_unpacked_recipe_is_whole_and_says_nothing_of_its_maker(done: Path, tmp_path: Path) -> None:
    said = command("unpack", str(done / "small.amlphys.zip"), "-o", "here", cwd=tmp_path)
    assert "data/0.csv" in said
    wanted = recipe.load(tmp_path / "here" / "recipe.yaml")
    assert wanted.data["data"]["path"] == "data/*.csv"
    assert "extends" not in (tmp_path / "here" / "recipe.yaml").read_text()
    listed = json.loads((tmp_path / "here" / "data.json").read_text())["files"]
    assert [one["path"] for one in listed] == ["data/0.csv", "data/1.csv"] and all(one["inside"] for one in listed)
    for file in (done / "small.amlphys.zip", done / "run.amlphys.zip"):
        folder = tmp_path / file.name.partition(".")[0]
        archives.unpack(file, folder)
        for text in (f.read_bytes() for f in folder.rglob("*") if f.is_file()):
            assert str(done).encode() not in text and str(Path.home()).encode() + b"/" not in text


def test_a_packed_run_predicts_the_same(done: Path, tmp_path: Path, cache: Path) -> None:
    new = str(done / "base" / "events" / "0.csv")
    for run, out in (("run.amlphys.zip", "a.csv"), ("runs/small/latest", "b.csv")):
        assert main(["predict", str(done / run), new, "-o", str(tmp_path / out), "--quiet"]) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_without_a_model_there_is_nothing_to_predict_with(
    done: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(done / "small.amlphys.zip"), "x.csv", "-o", str(tmp_path / "s.csv")]) == 2
    assert "--with-model" in capsys.readouterr().err
    assert main(["pack", str(done / "small.yaml"), "--with-model", "-o", str(tmp_path / "x.amlphys.zip")]) == 2


def test_the_same_content_gives_the_same_bytes(done: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.amlphys.zip"
    assert main(["pack", str(done / "small.yaml"), "--with-data", "-o", str(again)]) == 0
    assert again.read_bytes() == (done / "small.amlphys.zip").read_bytes()


def test_what_is_downloaded_is_told(
    done: Path, tmp_path: Path, cache: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = {name: f"{server}/{name}#sha256={hashlib.sha256((done / name).read_bytes()).hexdigest()}"
              for name in ("small.amlphys.zip", "run.amlphys.zip")}
    score = ["predict", packed["run.amlphys.zip"], str(done / "base" / "events" / "0.csv"), "-o", str(tmp_path / "s.csv")]
    for call in (["plan", packed["small.amlphys.zip"]], score):
        assert main(call) == 0
        assert "✓ Archive" in capsys.readouterr().err
    assert main([*score, "--quiet"]) == 0
    assert "Archive" not in capsys.readouterr().err


def test_a_recipe_runs_from_an_address(done: Path, tmp_path: Path, cache: Path, server: str) -> None:
    address = f"{server}/small.amlphys.zip#sha256={hashlib.sha256((done / 'small.amlphys.zip').read_bytes()).hexdigest()}"
    assert main(["validate", address]) == 0
    assert main(["plan", address, "--json"]) == 0
    (tmp_path / "mine.yaml").write_text(f"recipe: 1\ntask: classify\nextends: {address}\nseed: 4\n")
    wanted = recipe.load(tmp_path / "mine.yaml")
    assert wanted.seed == 4 and wanted.name == "small"
    assert (tmp_path / wanted.data["data"]["path"]).parent.is_dir(), "the data are those of the archive"


def test_another_file_at_the_address_is_refused(
    tmp_path: Path, cache: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{server}/small.amlphys.zip#sha256={'0' * 64}"
    (tmp_path / "mine.yaml").write_text(f"recipe: 1\ntask: classify\nextends: {address}\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        assert main(["run", address, "--out", str(tmp_path / "runs")]) == 2
        assert main(["validate", str(tmp_path / "mine.yaml")]) == 2
    err = capsys.readouterr().err
    assert "SHA-256" in err and "mine.yaml:3:" in err
    assert not (tmp_path / "runs").exists()


def test_a_recipe_extends_an_archive_beside_it(done: Path, cache: Path) -> None:
    (done / "mine.yaml").write_text("recipe: 1\ntask: classify\nextends: small.amlphys.zip\nname: mine\n")
    assert recipe.load(done / "mine.yaml").search.trials == 2


def test_without_data_their_hashes_are_told(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "x.amlphys.zip"
    assert main(["pack", str(done / "small.yaml"), "-o", str(target)]) == 0
    assert "not inside" in capsys.readouterr().out
    archives.unpack(target, tmp_path / "x")
    first = json.loads((tmp_path / "x" / "data.json").read_text())["files"][0]
    raw = (done / "base" / "events" / "0.csv").read_bytes()
    assert first == {"path": "data/0.csv", "inside": False, "bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    assert first["sha256"] in (tmp_path / "x" / "README.md").read_text()


def test_data_beyond_the_limit_and_targets_that_are_wrong_are_refused(done: Path, tmp_path: Path) -> None:
    small = str(done / "small.yaml")
    assert main(["pack", small, "--with-data", "--limit-gb", "0.001", "-o", str(tmp_path / "a.amlphys.zip")]) == 0
    assert main(["pack", small, "-o", str(tmp_path / "a.amlphys.zip")]) == 2, "it is there"
    assert main(["pack", small, "-o", str(tmp_path / "a.zip")]) == 2
    assert main(["pack", str(tmp_path), "-o", str(tmp_path / "b.amlphys.zip")]) == 2
    (done / "base" / "big.csv").write_text("mass,label\n" + "1.234567,sig\n" * 100_000)
    (done / "big.yaml").write_text(SMALL + "data: {path: base/big.csv}\n")
    assert main(["pack", str(done / "big.yaml"), "--with-data", "--limit-gb", "0.001",
                 "-o", str(tmp_path / "c.amlphys.zip")]) == 2
    assert not (tmp_path / "c.amlphys.zip").exists()
    assert main(["pack", str(done / "big.yaml"), "--with-data", "-o", str(tmp_path / "c.amlphys.zip")]) == 0
    archives.look(tmp_path / "c.amlphys.zip")


def test_absolute_paths_become_relative_and_secrets_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    text = BASE.replace("events/*.csv", str(tmp_path / "base" / "events" / "*.csv"))
    (tmp_path / "abs.yaml").write_text(text)
    target = str(tmp_path / "abs.amlphys.zip")
    assert main(["pack", str(tmp_path / "abs.yaml"), "-o", target]) == 0
    (tmp_path / "told.yaml").write_text(text + "description: 'token: glpat-abcdefghij0123456789'\n")
    target = str(tmp_path / "told.amlphys.zip")
    assert main(["pack", str(tmp_path / "told.yaml"), "-o", target]) == 1
    err = capsys.readouterr().err
    assert "GitLab" in err and "--force" in err and not Path(target).exists()
    assert main(["pack", str(tmp_path / "told.yaml"), "-o", target, "--force"]) == 0


@pytest.mark.parametrize(("line", "code"), [
    ("key: AKIAIOSFODNN7EXAMPLE", "secret"), ("t: ghp_abcdefghijklmnopqrstuvwxyz0123", "secret"),
    ("password: hunter22", "secret"), ("api_key = 'x1y2z3'", "secret"), ("-----BEGIN RSA PRIVATE KEY-----", "secret"),
    ("url: https://max:geheim@host/x.csv", "secret"), ("x: q8Zr3LkP0vXw7NtB5yHs2JdFm6GcQa9E", "secret"),
    ("path: /data/atlas/events.root", "absolute-path"), ("path: [a.csv, /scratch/b.csv]", "absolute-path"),
    ("path: /home/max/events.root", "home-folder"), ("path: ~/events.root", "home-folder"),
    ("path: C:\\Users\\max\\events.root", "home-folder"), ("# ask max.muster@cern.ch", "email"),
])
def test_lint_finds(line: str, code: str) -> None:
    (found, *_) = recipe_lint.look(f"recipe: 1\n{line}\n", "x.yaml")
    assert found.code == code and found.place is not None and found.place.line == 2 and found.remedy


@pytest.mark.parametrize("line", [
    "define: {tau21: tau2 / tau1}", "objective: rejection@0.3", "url: https://zenodo.org/records/1/files/x.h5",
    f"sha256: {'0123456789abcdef' * 4}", "path: data/jets/*.parquet", "tokens: 400", "token: null",
    "learning_rate: {low: 1e-4, high: 1e-2, log: true}", "description: anti-kT, R = 0.8, 500 < pT < 700 GeV/c"])
def test_lint_leaves_alone(line: str) -> None:
    assert recipe_lint.look(line, "x.yaml") == []


def test_shipped_recipes_are_clean(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["lint", str(Path(__file__).parents[1] / "recipes")]) == 0
    (tmp_path / "a.yaml").write_text("path: /scratch/x/y.csv\n")
    assert main(["lint", str(tmp_path)]) == 1
    assert "a.yaml:1:7" in capsys.readouterr().err


def test_the_gallery_lists_recipes_and_archives(done: Path, tmp_path: Path, cache: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("recipe: [1\n")
    (tmp_path / "wild.yaml").write_text("recipe: 1\nname: <script>\ntask: regress\nexpect: {r2: {min: 0.5}}\n")
    (tmp_path / "small.amlphys.zip").write_bytes((done / "small.amlphys.zip").read_bytes())
    page = tmp_path / "page.html"
    assert main(["list", "--recipes", str(tmp_path), "--page", str(page)]) == 0
    out = capsys.readouterr().out
    assert "A tiny one." in out and "Cannot be read" in " ".join(out.split()) and "min 0.5" in out
    text = page.read_text()
    assert "&lt;script&gt;" in text and "<script" not in text and "A tiny one." in text
    assert [one.name for one in gallery.find(str(done / "small.amlphys.zip"))] == ["small"]
    assert main(["list", "metrics", "--page", str(page)]) == 2
    assert main(["list", "--recipes", str(tmp_path / "none")]) == 2


def test_the_kept_model_still_predicts(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "new.csv").write_text("mass,pt\n125.0,40.0\n105.0,30.0\n")
    out = tmp_path / "s.csv"
    assert main(["predict", str(KEPT / "run-1.amlphys.zip"), str(tmp_path / "new.csv"), "-o", str(out), "--quiet"]) == 0
    assert len(out.read_text().splitlines()) == 3


def test_pictures_in_base64_are_no_keys() -> None:
    word = "aB3dE5gH7jK9mN1pQ2sT4vW6xY8zA0cD"
    assert recipe_lint.look(f'"key_of": "{word}"', "x")
    assert not recipe_lint.look(f'"animation": "{word * 40}"', "x")


def test_the_kept_archive_with_a_lock_stays_readable(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = str(KEPT / "locked-run-1.amlphys.zip")
    lock = locks.of(kept)
    assert lock is not None
    assert (lock.lock, lock.seed, [one.path for one in lock.data]) == (1, 3, ["data/events.csv"])
    assert lock.metrics["roc_auc"].value == pytest.approx(0.86, abs=0.1)
    assert main(["plan", kept]) == 0
    (tmp_path / "new.csv").write_text("mass,pt\n125.0,40.0\n105.0,30.0\n")
    assert main(["predict", kept, "new.csv", "-o", "s.csv", "--quiet"]) == 0
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 3
