"""Task ``generate`` as a user meets it: a run, more events of it, and what is wrong with a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from automl_phys import event_files
from automl_phys.cli import main
from automl_phys.errors import DataError
from automl_phys.exhibits import Estimate
from automl_phys.rundir import RunDir, read_json
from automl_phys.tasks import generate

ROWS = 900
RECIPE = """
recipe: 1
name: made
task: generate
data: {path: events.parquet, categorical: [kind], weight: w, cut: x < 50}
generate: {condition: [kind, mass], bounds: {x: [-20, 20]}, derive: {both: x + count}}
model: {families: [kde]}
search: {trials: 2, objective: sliced_wasserstein}
compute: {executor: inline}
report: {formats: [html, markdown], figures: [png]}
"""


def events(folder: Path, **more: Any) -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=ROWS)
    mass = rng.uniform(100, 200, ROWS)
    columns = {"x": rng.normal(size=ROWS) + mass / 20, "count": rng.poisson(3 + 5 * kind), "mass": mass,
               "w": rng.uniform(0.5, 1.5, ROWS), "kind": np.array(["qcd", "top"])[kind]} | more
    parquet.write_table(pa.table(columns), folder / "events.parquet")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    events(folder)
    (folder / "made.yaml").write_text(RECIPE)
    assert main(["run", str(folder / "made.yaml"), "--out", str(folder / "runs"), "--quiet"]) == 0
    return folder / "runs" / "made" / "latest"


def test_a_run_tells_how_its_events_close(run: Path) -> None:
    told = (run / "report.md").read_text()
    assert "a classifier" in told
    assert "the floor, real against real" in told
    found = read_json(RunDir(run).evaluation, dict[str, Any])
    metrics = {name: Estimate(**one) for name, one in found["metrics"].items()}
    assert {"c2st", "c2st/floor", "memorisation", "wasserstein/x", "wasserstein/both"} <= metrics.keys()
    assert metrics["c2st"].low < metrics["c2st"].value < metrics["c2st"].high
    made = parquet.read_table(run / "predictions.parquet")
    assert {"row", "x", "count", "kind", "mass", "both"} <= set(made.column_names)
    assert set(made["kind"].to_pylist()) == {"qcd", "top"}
    whole = made["count"].to_numpy()
    assert (whole == np.round(whole)).all()


def test_more_events_of_a_run_are_the_same_for_a_seed_whatever_their_number(run: Path, tmp_path: Path) -> None:
    def made(count: int, seed: int, name: str = "e.parquet") -> pa.Table:
        assert main(["generate", str(run), "-n", str(count), "--seed", str(seed), "-o", str(tmp_path / name),
                     "--quiet"]) == 0
        return parquet.read_table(tmp_path / name)

    many, few = made(20_000, 3), made(100, 3)
    assert many.num_rows == 20_000
    assert many.slice(0, 100).equals(few)
    assert not made(100, 4).equals(few)
    x = many["x"].to_numpy()
    assert x.min() >= -20
    assert x.max() <= 20
    # conditions are drawn by weight, and the events follow them
    assert np.corrcoef(x, many["mass"].to_numpy())[0, 1] > 0.5


def test_a_condition_can_be_fixed(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "tops.csv"
    assert main(["generate", str(run), "-n", "500", "--where", "kind=top", "--where", "mass=150", "-o", str(target),
                 "--quiet"]) == 0
    tops = csv.read_csv(target)
    assert set(tops["kind"].to_pylist()) == {"top"}
    assert set(tops["mass"].to_pylist()) == {150}
    assert np.mean(tops["count"].to_numpy()) == pytest.approx(8, abs=1)


@pytest.mark.parametrize(("more", "told"), [
    (["--where", "kind=tpo"], "Did you mean 'top'?"),
    (["--where", "mass=900"], "from 10"),
    (["--where", "colour=red"], "Conditions of this run: mass, kind."),
])
def test_a_condition_never_seen_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                           more: list[str], told: str) -> None:
    assert main(["generate", str(run), "-n", "10", "-o", str(tmp_path / "e.parquet"), "--quiet", *more]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "e.parquet").exists()


def test_images_are_lists_in_a_table_and_texts_in_csv(tmp_path: Path) -> None:
    pictures = pa.table({"image": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8.0)), 4), "pt": [1.0, 2.0]})
    for name in ("e.csv", "e.parquet", "e.feather"):
        event_files.write([pictures, pictures], tmp_path / name)
    assert csv.read_csv(tmp_path / "e.csv")["image"].to_pylist()[1] == "[4.0, 5.0, 6.0, 7.0]"
    assert parquet.read_table(tmp_path / "e.parquet")["image"].to_pylist()[3] == [4, 5, 6, 7]


def test_an_ending_that_is_not_written_in_blocks_is_refused(run: Path, tmp_path: Path) -> None:
    assert main(["generate", str(run), "-n", "10", "-o", str(tmp_path / "e.root")]) == 2


def test_other_events_are_made_for_the_rows_of_a_file(run: Path, tmp_path: Path) -> None:
    events(tmp_path)
    target = tmp_path / "twins.parquet"
    assert main(["predict", str(run), str(tmp_path / "events.parquet"), "-o", str(target), "--quiet"]) == 0
    twins = parquet.read_table(target)
    real = parquet.read_table(tmp_path / "events.parquet")
    assert twins["kind"].to_pylist() == real["kind"].to_pylist()
    assert not np.array_equal(twins["x"].to_numpy(), real["x"].to_numpy())


def prepared(folder: Path, asked: dict[str, Any], data: dict[str, Any] | None = None) -> list[str]:
    """Codes of the mistakes that preparing tells."""
    options = generate.Options.model_validate({
        "data": {"path": "events.parquet", "weight": "w", **(data or {})}, "generate": asked})
    with pytest.raises(DataError) as raised:
        generate.look(options, folder, 0)
        generate.prepare(options, folder, folder / "problem", 0)
    return [mistake.code for mistake in raised.value.mistakes]


def test_what_cannot_be_generated_is_told_at_once(tmp_path: Path) -> None:
    rare = np.where(np.arange(ROWS) < 12, "rare", "often")
    events(tmp_path, rare=rare, same=np.ones(ROWS))
    assert prepared(tmp_path, {"condition": "colour", "bounds": {"y": [0, 1]}, "derive": {"z": "x + nothing"}}) == [
        "no-such-column", "no-such-column", "bad-expression"]
    assert prepared(tmp_path, {"condition": "kind"}) == ["text-column"]
    assert prepared(tmp_path, {"condition": "rare"}, {"categorical": ["rare"]}) == ["too-few-rows"]
    assert prepared(tmp_path, {"condition": "same"}) == ["constant-condition"]
    assert prepared(tmp_path, {"condition": "mass"}, {"exclude": ["mass"]})[0] == "two-roles"
    assert prepared(tmp_path, {"bounds": {"x": [0, 1]}}) == ["out-of-bounds"]


def test_fewer_events_than_columns_allow_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parquet.write_table(pa.table({f"x{i}": rng.normal(size=40) for i in range(15)} | {"w": np.ones(40)}),
                        tmp_path / "events.parquet")
    assert prepared(tmp_path, {}) == ["too-few-rows"]


def test_a_constant_column_is_left_out_and_said_so(tmp_path: Path) -> None:
    events(tmp_path, same=np.ones(ROWS))
    options = generate.Options.model_validate({"data": {"path": "events.parquet", "weight": "w"}})
    problem = generate.prepare(options, tmp_path, tmp_path / "problem", 0)
    assert "same" not in problem.layout.names
    assert any("same" in note for note in problem.facts().notes)
