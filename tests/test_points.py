"""Points: what look says is what prepare makes; scales keep their laws; nulls destroy what they should, and only that."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from automl_phys import points, points_problem, points_scale
from automl_phys.errors import DataError
from automl_phys.sections import PointsData

N = 500


def columns(n=N, **changed):
    """Three correlated numbers of very different size, a category, a truth with gaps, a run number."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=n)
    truth = [None if i % 50 == 0 else ("near" if x[i] < 0 else "far") for i in range(n)]
    made = {
        "x": x, "y": 1e4 + 300 * (x + 0.3 * rng.normal(size=n)), "z": 1e-3 * rng.standard_t(2, n),
        "side": rng.choice(["left", "right", "up"], n, p=[0.2, 0.7, 0.1]), "run": np.arange(n) // 7,
        "truth": pa.array(truth, pa.string())}
    return {name: values for name, values in (made | changed).items() if values is not None}


def options(**changed):
    return PointsData.model_validate({"path": "data.parquet", "features": ["x", "y", "z"], **changed})


def stored(folder, made=None):
    pq.write_table(pa.table(columns() if made is None else made), folder / "data.parquet")


def prepared(folder, made=None, **changed):
    stored(folder, made)
    return points.prepare(options(**changed), folder, folder / "problem", 3)


def mistakes(folder, made=None, **changed):
    stored(folder, made)
    found = []
    for attempt in (lambda: points.look(options(**changed), folder, 3),
                    lambda: points.prepare(options(**changed), folder, folder / "problem", 3)):
        with pytest.raises(DataError) as caught:
            attempt()
        found.append(caught.value.mistakes)
    assert found[0] == found[1]
    assert not list(folder.glob("*problem*"))
    assert all(m.remedy and m.key[:1] == ("data",) for m in found[0])
    return found[0]


def spoilt(values, **at):
    values = np.array(values, float)
    for row, value in at.items():
        values[int(row[1:])] = value
    return values


GAPPY = {"x": spoilt(columns()["x"], r5=np.nan, r70=np.inf),
         "side": pa.array([None if i == 9 else word for i, word in enumerate(columns()["side"])])}


# ---------------------------------------------------------------- the problem

@pytest.mark.parametrize("changed", [
    {}, {"truth": "truth", "spectators": ["run"]}, {"scale": "robust"}, {"features": None, "categorical": ["side"]},
    *({"missing": missing, "categorical": ["side"]} for missing in ("drop", "median", "indicator"))])
def test_look_tells_what_prepare_makes(tmp_path, changed):
    made = columns(flat=np.ones(N), **(GAPPY if "missing" in changed else {}))
    problem = prepared(tmp_path, made, **changed)
    assert points.look(options(**changed), tmp_path, 3) == problem.facts()
    assert problem.facts().rows == {"train": len(problem.train)}
    assert problem.facts().sizes == {"numbers": problem.train.scaled.shape[1], "categories": 0, "outputs": 0, "folds": 0}
    assert len(problem.schema.columns) == len(problem.schema.centre) == problem.train.scaled.shape[1]
    assert problem.train.numbers.shape == (len(problem.train), len(problem.schema.numbers))


def test_train_valid_and_test_are_all_the_points_in_the_order_of_the_data(tmp_path):
    problem = prepared(tmp_path, spectators=["run"])
    assert problem.train is problem.valid is problem.test
    assert problem.whole() is problem and problem.variation == "" and problem.share == 1
    made = columns()
    assert np.array_equal(problem.train.numbers, np.stack([made["x"], made["y"], made["z"]], 1).astype(np.float32))
    assert problem.carried("test")["row"].to_pylist() == list(range(N))
    assert problem.carried("train")["run"].to_pylist() == made["run"].tolist()


def test_a_problem_reads_back_as_it_was_written(tmp_path):
    problem = prepared(tmp_path, truth="truth", categorical=["side"])
    again = points.load(problem.folder)
    assert again.stored == problem.stored
    assert np.array_equal(again.test.scaled, problem.test.scaled)
    assert not again.train.scaled.flags.owndata and not again.train.numbers.flags.owndata  # mapped, not copied


def test_truth_is_with_the_problem_and_nowhere_in_the_points(tmp_path):
    (tmp_path / "without").mkdir()
    problem, without = prepared(tmp_path, truth="truth"), prepared(tmp_path / "without")
    assert problem.schema.classes == ("far", "near")
    named = np.array([*problem.schema.classes, None], object)[problem.truth]
    assert named.tolist() == columns()["truth"].to_pylist() and (problem.truth < 0).sum() == 10
    assert problem.truth.dtype == np.int32 and without.truth is None
    assert [f.name for f in fields(points.Points)] == ["scaled", "numbers"] and is_dataclass(problem.train)
    assert "truth" not in problem.schema.columns
    assert problem.facts().sizes == without.facts().sizes


def test_the_truth_changes_no_number_that_is_fitted(tmp_path):
    scaled = prepared(tmp_path, truth="truth").train.scaled.copy()
    other = pa.array(["a", "b"] * (N // 2))
    assert np.array_equal(prepared(tmp_path, columns(truth=other), truth="truth").train.scaled, scaled)


def test_the_same_inputs_give_the_same_bytes_in_another_process(tmp_path):
    changed = {"truth": "truth", "categorical": ["side"], "spectators": ["run"]}
    problem = prepared(tmp_path, **changed)
    script = ("from pathlib import Path; from automl_phys import points; from automl_phys.sections import PointsData; "
              f"points.prepare(PointsData.model_validate({options(**changed).model_dump(exclude_none=True)!r}), "
              f"Path({str(tmp_path)!r}), Path({str(tmp_path)!r}) / 'again', 3)")
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | {"PYTHONHASHSEED": "5"})
    files = sorted(f.name for f in problem.folder.iterdir())
    assert files == ["carried.parquet", "numbers.npy", "problem.json", "scaled.npy", "truth.npy"]
    for name in files:
        assert (problem.folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_fingerprint_tells_data_options_and_seed(tmp_path):
    problem = prepared(tmp_path)
    assert problem.fingerprint == points.fingerprint(options(), tmp_path, 3) == points.load(problem.folder).fingerprint
    others = [points.fingerprint(options(), tmp_path, 4)]
    others += [points.fingerprint(options(**c), tmp_path, 3) for c in ({"scale": "each"}, {"truth": "truth"})]
    stored(tmp_path, columns(x=np.arange(N, dtype=float)))
    others.append(points.fingerprint(options(), tmp_path, 3))
    assert len({problem.fingerprint, *others}) == 5


# ---------------------------------------------------------------- scales

def test_each_brings_every_column_to_mean_0_and_width_1(tmp_path):
    scaled = prepared(tmp_path, scale="each").train.scaled.astype(float)
    assert scaled.mean(0) == pytest.approx(0, abs=1e-5)
    assert scaled.std(0) == pytest.approx(1, rel=1e-5)


def test_common_keeps_the_ratios_of_distances(tmp_path):
    problem = prepared(tmp_path, scale="common")
    scaled, numbers = (array.astype(float) for array in (problem.train.scaled, problem.train.numbers))
    apart, raw = (np.linalg.norm(array[1:] - array[:-1], axis=1) for array in (scaled, numbers))
    assert apart / raw == pytest.approx(apart[0] / raw[0], rel=1e-3)
    assert scaled.var(0).mean() == pytest.approx(1, rel=1e-5)


def test_robust_is_not_moved_by_tails(tmp_path):
    scaled = prepared(tmp_path, scale="robust").train.scaled.astype(float)
    assert np.median(scaled, axis=0) == pytest.approx(0, abs=1e-4)
    low, high = np.quantile(scaled, points_scale.CENTRAL_68, axis=0)
    assert (high - low) / 2 == pytest.approx(1, rel=1e-4)
    before = prepared(tmp_path, scale="robust").schema
    after = prepared(tmp_path, columns(z=spoilt(columns()["z"], r7=1e6)), scale="robust").schema
    assert after.width == pytest.approx(before.width, rel=0.02)


def test_none_leaves_the_numbers_as_they_are(tmp_path):
    problem = prepared(tmp_path, scale="none", categorical=["side"])
    assert np.array_equal(problem.train.scaled[:, :3], problem.train.numbers)
    typical = problem.train.numbers.astype(float).var(0).mean()
    assert problem.train.scaled[:, 3:].astype(float).var(0).sum() == pytest.approx(typical, rel=1e-5)


@pytest.mark.parametrize("scale", ["each", "common", "robust"])
def test_a_category_weighs_as_one_column_does(tmp_path, scale):
    problem = prepared(tmp_path, scale=scale, categorical=["side"])
    assert problem.schema.columns == ("x", "y", "z", "side=left", "side=right", "side=up")
    flags = problem.train.scaled[:, 3:].astype(float)
    assert flags.var(0).sum() == pytest.approx(1, rel=1e-5)
    assert np.array_equal(flags.argmax(1), np.unique(columns()["side"], return_inverse=True)[1])
    assert np.ptp(flags, axis=0) == pytest.approx(np.ptp(flags, axis=0)[0], rel=1e-5)  # all levels alike


@pytest.mark.parametrize(("low", "high", "scale"), [
    ([0, 0, 0, 0], [16, 16, 9, 3], "common"),
    ([0, 0, 0, 0], [16, 9, 4, 3], "each"),
    ([0, 0, -1], [16, 16, 3], "each"),
    ([0, 0], [1, 1], "common"),
    ([0, 0], [1, 2], "each"),
    ([0], [1], "each"),
])
def test_auto_is_common_where_most_columns_share_a_range(low, high, scale):
    chosen, note = points_scale.choose("auto", np.array(low, float), np.array(high, float))
    assert chosen == scale and f"'{scale}'" in note
    assert points_scale.choose("robust", np.array(low, float), np.array(high, float))[0] == "robust"


@pytest.mark.parametrize(("changed", "scale", "width"), [
    ({"builtin": "digits", "truth": "target"}, "common", 61),
    ({"builtin": "jets", "truth": "label", "exclude": ["event_id", "weight"]}, "each", 19),
    ({"builtin": "blobs", "truth": "cluster"}, "each", 8),
    ({"builtin": "cloud"}, "each", 8),
])
def test_built_in_sets_prepare(tmp_path, changed, scale, width):
    problem = points.prepare(PointsData.model_validate(changed), tmp_path, tmp_path / "problem", 0)
    assert (problem.schema.scale, problem.train.scaled.shape[1]) == (scale, width)
    assert np.isfinite(problem.train.scaled).all()
    assert any(f"Scale '{scale}'" in note for note in problem.facts().notes)
    assert not any("repeat" in note for note in problem.facts().notes)


def test_blobs_are_five_far_apart_and_three_per_cent_outliers(tmp_path):
    problem = points.prepare(PointsData(builtin="blobs", truth="cluster"), tmp_path, tmp_path / "problem", 0)
    assert len(problem.schema.classes) == 5 and len(problem.train) == 2000
    assert (problem.truth == -1).mean() == pytest.approx(0.03)
    numbers = problem.train.numbers.astype(float)
    blobs = [numbers[problem.truth == code] for code in range(5)]
    apart = min(np.linalg.norm(a.mean(0) - b.mean(0)) for a in blobs for b in blobs if a is not b)
    assert apart > 8 * max(blob.std(0).mean() for blob in blobs)


# ---------------------------------------------------------------- variations

def test_variations_take_turns_and_depend_on_seed_and_place_alone(tmp_path):
    problem = prepared(tmp_path)
    some, more = problem.resamples(4, 8), points.load(problem.folder).resamples(7, 8)
    assert [p.variation for p in more] == ["bootstrap", "shuffled", "gaussian"] * 2 + ["bootstrap"]
    for one, other in zip(some, more, strict=False):
        assert np.array_equal(one.train.scaled, other.train.scaled)
    assert not np.array_equal(more[0].train.scaled, more[3].train.scaled)
    assert not np.array_equal(more[1].train.scaled, problem.resamples(2, 9)[1].train.scaled)
    assert all(p.fingerprint == problem.fingerprint and p.facts().rows["train"] == len(p.train) for p in more)


def test_a_bootstrap_is_a_subset_judged_on_all(tmp_path):
    problem = prepared(tmp_path)
    made = problem.resamples(1, 0)[0]
    whole = {row.tobytes() for row in problem.train.scaled}
    part = {row.tobytes() for row in made.train.scaled}
    assert len(part) == len(made.train) == 0.8 * N and part < whole and made.share == 0.8
    assert np.array_equal(made.valid.scaled, problem.valid.scaled)


def test_shuffled_keeps_each_column_and_destroys_what_ties_them(tmp_path):
    problem = prepared(tmp_path, categorical=["side"])
    before, after = problem.train, problem.resamples(2, 0)[1].train
    assert np.array_equal(np.sort(after.scaled, axis=0), np.sort(before.scaled, axis=0))
    assert after.numbers == pytest.approx(after.scaled[:, :3] * problem.schema.width[:3] + problem.schema.centre[:3], rel=1e-4)
    assert abs(np.corrcoef(before.scaled[:, :2].T)[0, 1]) > 0.9
    assert abs(np.corrcoef(after.scaled[:, :2].T)[0, 1]) < 0.2
    levels = {row.tobytes() for row in before.scaled[:, 3:]}
    assert {row.tobytes() for row in after.scaled[:, 3:]} == levels  # a point still has one value of a category


def test_gaussian_keeps_mean_and_covariance_and_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    two = rng.choice([-1.0, 1.0], 20_000)
    made = {"a": two + 0.1 * rng.normal(size=20_000), "b": two + 0.5 * rng.normal(size=20_000), "c": two}
    problem = prepared(tmp_path, made, features=None)
    null = problem.resamples(3, 0)[2]
    assert null.valid is null.train and len(null.train) == 20_000
    before, after = (array.astype(float) for array in (problem.train.scaled, null.train.scaled))
    assert after.mean(0) == pytest.approx(before.mean(0), abs=0.03)
    assert np.cov(after.T) == pytest.approx(np.cov(before.T), abs=0.04)
    kurtosis = ((after - after.mean(0)) ** 4).mean(0) / after.var(0) ** 2
    assert kurtosis == pytest.approx(3, abs=0.2)


def test_nulls_of_many_rows_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(points_problem, "NULL_ROWS", 100)
    problem = prepared(tmp_path)
    sizes = [(len(p.train), len(p.valid), p.share) for p in problem.resamples(3, 0)]
    assert sizes == [(400, 500, 0.8), (100, 100, 0.2), (100, 100, 0.2)]


def test_statistics_do_not_depend_on_blocks(tmp_path, monkeypatch):
    problem = prepared(tmp_path, categorical=["side"])
    mean, covariance = points_scale.covariance(problem.train.scaled)
    monkeypatch.setattr(points_scale, "BLOCK_ROWS", 64)
    assert prepared(tmp_path, categorical=["side"]).schema.width == pytest.approx(problem.schema.width, rel=1e-12)
    again = points_scale.covariance(problem.train.scaled)
    assert again[0] == pytest.approx(mean, abs=1e-12) and again[1] == pytest.approx(covariance, abs=1e-12)
    assert covariance == pytest.approx(np.cov(problem.train.scaled.T.astype(float), bias=True), abs=1e-9)


# ---------------------------------------------------------------- new data

@pytest.mark.parametrize("missing", ["median", "indicator", "drop"])
@pytest.mark.parametrize("scale", ["each", "common", "robust", "none"])
def test_the_same_data_read_as_new_are_scaled_alike(tmp_path, missing, scale):
    problem = prepared(tmp_path, columns(**GAPPY), missing=missing, scale=scale, categorical=["side"], truth="truth",
                       spectators=["run"])
    new = points.read_new(problem, tmp_path / "data.parquet")
    assert np.array_equal(new.scaled, problem.train.scaled) and np.array_equal(new.numbers, problem.train.numbers)
    assert new.carried.equals(problem.carried("test")) and len(new) == len(problem.train)
    assert bool(new.notes) == (missing == "drop")


def test_new_data_need_features_alone_and_may_have_unknown_levels(tmp_path):
    problem = prepared(tmp_path, categorical=["side"], truth="truth", spectators=["run"])
    pc.write_csv(pa.table({"side": ["up", "down"], "z": [1, 2], "y": [1, 2], "x": [0.5, 1]}), tmp_path / "new.csv")
    new = points.read_new(problem, tmp_path / "new.csv")
    flags = new.scaled[:, 3:] * problem.schema.width[3:] + problem.schema.centre[3:]
    assert flags == pytest.approx(np.array([[0, 0, 1], [0, 0, 0]]), abs=1e-6)
    assert new.carried.column_names == ["row"] and "run" in new.notes[0]


def test_wrong_new_data_are_named(tmp_path):
    problem = prepared(tmp_path)
    pq.write_table(pa.table({"x": [1.0], "y": ["high"]}), tmp_path / "new.parquet")
    with pytest.raises(DataError) as caught:
        points.read_new(problem, tmp_path / "new.parquet")
    assert [m.code for m in caught.value.mistakes] == ["wrong-type", "missing-column"]
    pq.write_table(pa.table({"x": [1.0, np.nan], "y": [1.0, 2.0], "z": [1.0, 2.0]}), tmp_path / "new.parquet")
    with pytest.raises(DataError, match=r"'x' \(1, the first in row 1\)"):
        points.read_new(problem, tmp_path / "new.parquet")


# ---------------------------------------------------------------- bad input, and odd

@pytest.mark.parametrize(("made", "changed", "code", "key", "text"), [
    ({}, {"truth": "trooth"}, "no-such-column", ("data", "truth"), "Did you mean 'truth'?"),
    ({}, {"features": ["x", "side"]}, "text-column", ("data", "features"), "'side'"),
    ({}, {"features": ["x", "w"]}, "no-such-column", ("data", "features", 1), "'w'"),
    (GAPPY, {}, "not-finite", ("data", "missing"), "'x' (2, the first in row 5)"),
    ({c: np.ones(N) for c in "xyz"}, {}, "constant-features", ("data", "features"), "x, y, z"),
    ({c: np.ones(N) for c in "xyz"}, {"categorical": ["side"]}, "no-numeric-features", ("data", "features"), "x, y, z"),
    ({}, {"features": None, "exclude": ["x", "y", "z", "run"]}, "no-features", ("data",), "No column is left"),
    ({}, {"features": None, "exclude": ["x", "y", "z", "run"], "categorical": ["side"]}, "no-numeric-features",
     ("data", "features"), "all are categorical"),
    ({"x": np.full(N, np.nan)}, {"missing": "drop"}, "too-few-rows", ("data",), "0 rows left of 500"),
    ({}, {"categorical": ["run"], "features": ["x"]}, None, None, None),
    ({"run": np.arange(N)}, {"categorical": ["run"]}, "too-many-levels", ("data", "categorical"), "500 values"),
    ({"truth": pa.array(np.arange(N), pa.timestamp("s"))}, {"truth": "truth"}, "wrong-type", ("data", "truth"), "dates"),
])
def test_bad_input_is_named(tmp_path, made, changed, code, key, text):
    if code is None:  # as many levels as are allowed
        assert len(prepared(tmp_path, columns(**made), **changed).schema.levels["run"]) == 72
        return
    found = mistakes(tmp_path, columns(**made), **changed)
    assert code in {m.code for m in found}
    mistake = next(m for m in found if m.code == code)
    assert mistake.key == key and text in mistake.text
    assert len(found) == 1 or code == "too-few-rows"


def test_nine_rows_are_too_few(tmp_path):
    assert [m.code for m in mistakes(tmp_path, columns(9))] == ["too-few-rows"]


def test_a_truth_of_too_many_values_is_named(tmp_path):
    made = columns(1200, truth=np.linspace(0, 1, 1200))
    assert [m.code for m in mistakes(tmp_path, made, truth="truth")] == ["too-many-classes"]


@pytest.mark.parametrize("changed", [
    {"features": ["x", "truth"]}, {"categorical": ["truth"]}, {"spectators": ["truth"]}, {"exclude": ["truth"]}])
def test_the_truth_has_no_other_role(changed):
    with pytest.raises(ValidationError, match="truth"):
        options(truth="truth", **changed)


@pytest.mark.parametrize("key", ["target", "weight", "split", "group"])
def test_points_have_no_target_and_no_split(key):
    with pytest.raises(ValidationError):
        options(**{key: "x"})


def test_odd_but_usable_data_are_noted(tmp_path):
    made = columns(flat=np.ones(N))
    again = {name: pa.concat_arrays([pa.array(v), pa.array(v)[:20]]) for name, v in made.items()}
    problem = prepared(tmp_path, again, features=["x", "flat"], truth="truth")
    said = " ".join(problem.facts().notes)
    assert problem.train.scaled.shape == (N + 20, 1)
    for words in ("20 rows repeat", "constant: flat", "one feature only", "'truth' (2 classes) is set aside"):
        assert words in said


def test_rows_that_differ_are_not_repeated(tmp_path):
    grid = np.stack(np.meshgrid(np.arange(60.0), 2.0 ** np.arange(-30, 30)), -1).reshape(-1, 2)
    assert not points._repeated(grid.astype(np.float32))
    assert "3 rows" in points._repeated(np.concatenate([grid, grid[:3]]).astype(np.float32))[0]


def test_memory_is_mapped_and_nothing_of_the_writing_is_left(tmp_path):
    problem = prepared(tmp_path, columns(**GAPPY), missing="median", categorical=["side"])
    assert sorted(f.name for f in problem.folder.iterdir()) == ["carried.parquet", "numbers.npy", "problem.json", "scaled.npy"]
    assert isinstance(np.load(problem.folder / "scaled.npy", mmap_mode="r"), np.memmap)
    assert Path(problem.folder / "scaled.npy").stat().st_size == pytest.approx(4 * problem.train.scaled.size, abs=300)


def test_a_single_column_is_not_shuffled(tmp_path):
    pq.write_table(pa.table({"x": np.random.default_rng(0).normal(size=50)}), tmp_path / "one.parquet")
    made = points.prepare(PointsData(path="one.parquet"), tmp_path, tmp_path / "problem", 0)
    assert [one.variation for one in made.resamples(4, 0)] == ["bootstrap", "gaussian"] * 2
