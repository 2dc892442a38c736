"""Tables: what look says is what prepare makes; what is fitted is fitted on training rows; bad input is named."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from automl_phys import table
from automl_phys.errors import DataError, RunError
from automl_phys.sections import LabelledTable

N = 400


def columns(n=N, **changed):
    """Two classes, one number that tells them apart, weights, a group of about 4 rows, a category."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, n)
    made = {
        "x": rng.normal(size=n) + label, "y": rng.normal(size=n), "run": rng.integers(0, n // 4, n),
        "side": rng.choice(["left", "right", "up"], n), "w": rng.uniform(0.5, 2, n), "label": label}
    return {name: values for name, values in (made | changed).items() if values is not None}


def options(**changed):
    return LabelledTable.model_validate({"path": "data.parquet", "target": "label", "features": ["x", "y"], **changed})


def stored(folder, made=None):
    pq.write_table(pa.table(columns() if made is None else made), folder / "data.parquet")


def prepared(folder, seed=3, made=None, **changed):
    stored(folder, made)
    return table.prepare(options(**changed), folder, folder / "problem", seed)


def mistakes(folder, made=None, **changed):
    stored(folder, made)
    with pytest.raises(DataError) as caught:
        table.prepare(options(**changed), folder, folder / "problem", 3)
    assert not (folder / "problem").exists()
    assert not list(folder.glob(".problem*"))
    assert all(m.remedy and m.key[:1] == ("data",) for m in caught.value.mistakes)
    return caught.value.mistakes


def spoilt(values, **at):
    values = np.array(values, float)
    for row, value in at.items():
        values[int(row[1:])] = value
    return values


# ---------------------------------------------------------------- laws

@pytest.mark.parametrize("changed", [
    {}, {"weight": "w"}, {"group": "run", "split": {"by": "group"}}, {"split": {"folds": 4}},
    {"features": ["x", "y"], "categorical": ["side"], "missing": "drop"}])
def test_look_tells_what_prepare_makes(tmp_path, changed):
    made = columns(x=spoilt(columns()["x"], r5=np.nan, r70=np.inf)) if "missing" in changed else columns()
    problem = prepared(tmp_path, made=made, **changed)
    seen = table.look(options(**changed), tmp_path, 3)
    assert seen == problem.facts()
    split = {row[0]: row[1:-1] for row in seen.tables[2].rows}
    parts = {"test": problem.test} | ({} if "folds" in changed.get("split", {}) else
                                      {"train": problem.train, "valid": problem.valid})
    for name, rows in parts.items():
        assert split[name] == tuple(np.bincount(rows.target, minlength=2))
    assert seen.rows == {"train": len(problem.train), "valid": len(problem.valid), "test": len(problem.test)}


def test_each_row_is_stored_once_with_its_own_values(tmp_path):
    made = columns()
    problem = prepared(tmp_path, weight="w", spectators=["run"], categorical=["side"])
    rows = [problem.carried(part)["row"].to_numpy() for part in ("train", "valid", "test")]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(N))
    for at, part in zip(rows, ("train", "valid", "test"), strict=True):
        found = getattr(problem, part)
        assert np.array_equal(found.numbers, np.stack([made["x"], made["y"]], 1)[at].astype(np.float32))
        assert np.array_equal(found.target, made["label"][at])
        assert np.array_equal(np.array(problem.schema.levels["side"])[found.categories[:, 0] - 1], made["side"][at])
        assert np.array_equal(problem.carried(part)["run"].to_numpy(), made["run"][at])
        assert found.weight / problem.schema.weight_factor == pytest.approx(made["w"][at], rel=1e-6)


def test_weights_have_mean_one_over_the_training_rows_whatever_their_scale(tmp_path):
    weight = columns()["w"]
    problem = prepared(tmp_path, weight="w")
    scaled = prepared(tmp_path, made=columns(w=1e-9 * weight), weight="w")
    assert problem.train.weight.mean() == pytest.approx(1, rel=1e-6)
    assert scaled.test.weight == pytest.approx(problem.test.weight, rel=1e-6)


def test_effective_rows_and_sums_of_weights_are_told(tmp_path):
    made = columns()
    problem = prepared(tmp_path, made=made, weight="w")
    for code, (_, rows, total, effective) in enumerate(problem.facts().tables[1].rows):
        w = made["w"][made["label"] == code]
        assert (rows, total, effective) == (len(w), pytest.approx(w.sum()), pytest.approx(w.sum()**2 / (w**2).sum()))


def test_zero_weights_are_kept(tmp_path):
    problem = prepared(tmp_path, made=columns(w=np.where(np.arange(N) % 2, 1.0, 0.0)), weight="w")
    assert sum(problem.facts().rows.values()) == N
    assert set(np.unique(problem.test.weight > 0)) == {False, True}


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path):
    changed = {"weight": "w", "categorical": ["side"], "group": "run", "split": {"by": "group"}}
    problem = prepared(tmp_path, **changed)
    script = ("from pathlib import Path; from automl_phys import table; from automl_phys.sections import LabelledTable; "
              f"table.prepare(LabelledTable.model_validate({options(**changed).model_dump(exclude_none=True)!r}), "
              f"Path({str(tmp_path)!r}), Path({str(tmp_path)!r}) / 'again', 3)")
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | {"PYTHONHASHSEED": "5"})
    files = sorted(f.name for f in problem.folder.iterdir())
    assert files == sorted(f.name for f in (tmp_path / "again").iterdir())
    for name in files:
        assert (problem.folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_the_fingerprint_tells_data_options_and_seed(tmp_path):
    problem = prepared(tmp_path)
    assert problem.fingerprint == table.fingerprint(options(), tmp_path, 3) == table.load(problem.folder).fingerprint
    others = [table.fingerprint(options(), tmp_path, 4), table.fingerprint(options(missing="drop"), tmp_path, 3)]
    stored(tmp_path, columns(y=np.arange(N, dtype=float)))
    others.append(table.fingerprint(options(), tmp_path, 3))
    assert len({problem.fingerprint, *others}) == 4


def test_what_was_prepared_before_is_taken_up_again(tmp_path):
    """Runs on disk are resumed by this number: it changes on purpose only, together with LAYOUT_VERSION."""
    (tmp_path / "data.csv").write_text("x,y,w,label\n" + "".join(f"{i},{i * i % 7},{1 + i % 3},{i % 2}\n" for i in range(60)))
    data = options(path="data.csv", weight="w", missing="median", split={"train": 0.5, "valid": 0.25, "test": 0.25})
    assert table.fingerprint(data, tmp_path, 3) == "89ea0fa763e0053081c17c0b68cdef507f4de294e7e511fd88b21467a12cc8d7"


def test_a_problem_reads_back_as_it_was_written(tmp_path):
    problem = prepared(tmp_path, weight="w", categorical=["side"], missing="indicator")
    again = table.load(problem.folder)
    assert again.stored == problem.stored
    assert np.array_equal(again.test.numbers, problem.test.numbers)
    assert not again.train.numbers.flags.owndata  # mapped, not copied


# ---------------------------------------------------------------- missing values

def gappy(problem_of):
    """``x`` with gaps in test rows and train rows, and an enormous outlier in a test row."""
    where = {part: problem_of.carried(part)["row"].to_numpy() for part in ("train", "test")}
    x = columns()["x"].copy()
    x[where["test"][:3]] = [np.nan, 1e30, np.inf]
    x[where["train"][:2]] = np.nan
    return x, where


@pytest.mark.parametrize("missing", ["median", "indicator"])
def test_medians_come_from_the_training_rows_alone(tmp_path, missing):
    x, where = gappy(prepared(tmp_path))
    problem = prepared(tmp_path, made=columns(x=x), missing=missing)
    median = np.float32(np.nanmedian(x[where["train"]].astype(np.float32)))
    assert problem.schema.medians["x"] == median
    assert np.array_equal(problem.test.numbers[:3, 0], np.array([median, 1e30, median], np.float32))
    assert np.all(problem.train.numbers[:2, 0] == median)
    names = ("x", "y", "x_missing") if missing == "indicator" else ("x", "y")
    assert problem.schema.numbers == names
    if missing == "indicator":
        assert problem.test.numbers[:4, 2].tolist() == [1, 0, 1, 0]
        assert problem.train.numbers[:, 2].sum() == 2


def test_dropped_rows_are_counted(tmp_path):
    x, _ = gappy(prepared(tmp_path))
    side = np.array(columns()["side"], object)
    side[np.flatnonzero(np.isfinite(x))[0]] = None
    problem = prepared(tmp_path, made=columns(x=x, side=pa.array(side, pa.string())), categorical=["side"], missing="drop")
    assert sum(problem.facts().rows.values()) == N - 5
    assert any(f"5 of {N} rows are dropped" in note for note in problem.facts().notes)
    assert np.isfinite(problem.test.numbers).all() and (problem.train.categories > 0).all()


def test_gaps_are_refused_by_default_with_columns_counts_and_first_row(tmp_path):
    made = columns(x=spoilt(columns()["x"], r7=np.nan, r9=np.inf), y=spoilt(columns()["y"], r30=1e300))
    (found,) = mistakes(tmp_path, made)
    assert found.code == "not-finite"
    assert "'x' (2, the first in row 7)" in found.text and "'y' (1, the first in row 30)" in found.text


# ---------------------------------------------------------------- roles and classes

def test_features_are_by_default_the_numeric_columns_without_another_role(tmp_path):
    made = columns(flag=np.arange(N) % 3 == 0, id=np.arange(N), when=pa.array(np.arange(N), pa.timestamp("s")))
    problem = prepared(tmp_path, made=made, features=None, exclude=["id"], weight="w", group="run",
                       split={"by": "group"})
    assert problem.schema.numbers == ("x", "y", "flag")
    notes = " ".join(problem.facts().notes)
    assert "id" in notes and "being text: side" in notes and "when" in notes
    assert set(np.unique(problem.train.numbers[:, 2])) == {0, 1}


def test_constant_features_are_left_out_with_a_note(tmp_path):
    problem = prepared(tmp_path, made=columns(flat=np.ones(N), word=["a"] * N), features=["x", "flat"],
                       categorical=["word", "side"])
    assert (problem.schema.numbers, tuple(problem.schema.levels)) == (("x",), ("side",))
    assert "constant in the training rows: flat, word" in problem.facts().notes[-1]
    assert problem.facts().sizes["numbers"] == 1 and problem.train.numbers.shape[1] == 1


def test_what_only_test_rows_have_is_neither_a_level_nor_a_feature(tmp_path):
    where = prepared(tmp_path).carried("test")["row"].to_numpy()
    side, flat = np.array(columns()["side"], object), np.ones(N)
    side[where[0]], flat[where[1]] = "down", 2
    problem = prepared(tmp_path, made=columns(side=side, flat=flat), features=["x", "flat"], categorical=["side"])
    assert (problem.schema.numbers, problem.schema.levels) == (("x",), {"side": ("left", "right", "up")})
    assert problem.test.categories[0, 0] == 0 and (problem.test.categories[1:] > 0).all()


def test_a_table_of_categories_alone_works(tmp_path):
    problem = prepared(tmp_path, features=None, exclude=["x", "y", "run", "w"], categorical=["side"])
    assert problem.train.numbers.shape == (240, 0) and len(problem.train) == 240
    assert problem.schema.levels == {"side": ("left", "right", "up")}


@pytest.mark.parametrize(("values", "classes", "signal", "names", "code"), [
    ([0, 1], None, None, ("0", "1"), 1),
    ([1.0, 0.0], None, 0, ("0", "1"), 0),
    ([True, False], {0: "qcd", 1: "top"}, "qcd", ("qcd", "top"), 0),
    ([0, 1], {1: "top", 0: "qcd"}, 1, ("top", "qcd"), 0),
    (["w", "qcd"], None, None, ("qcd", "w"), 1),
    ([10, 9, 2], None, None, ("2", "9", "10"), None),
    ([10, 9, 2], None, 9, ("2", "9", "10"), 1),
])
def test_classes_are_named_and_ordered(tmp_path, values, classes, signal, names, code):
    label = pa.array([values[i % len(values)] for i in range(N)])
    problem = prepared(tmp_path, made=columns(label=label), classes=classes, signal=signal)
    assert (problem.schema.classes, problem.schema.signal, problem.test.signal) == (names, code, code)
    raw = label.take(problem.carried("test")["row"]).to_pylist()
    named = {table.table_read.label_text(key): name for key, name in (classes or {}).items()}
    for value, found in zip(raw, problem.test.target, strict=True):
        key = str(int(value)) if not isinstance(value, str) else value
        assert problem.schema.classes[found] == named.get(key, key)


def test_csv_and_parquet_give_the_same_problem(tmp_path):
    problem = prepared(tmp_path, weight="w", categorical=["side"])
    pc.write_csv(pa.table(columns()), tmp_path / "data.csv")
    again = table.prepare(options(path="data.csv", weight="w", categorical=["side"]), tmp_path, tmp_path / "csv", 3)
    assert again.schema == problem.schema
    assert np.array_equal(again.test.numbers, problem.test.numbers)
    assert np.array_equal(again.test.categories, problem.test.categories)


# ---------------------------------------------------------------- resamples

@pytest.mark.parametrize("changed", [{}, {"split": {"folds": 5}}, {"group": "run", "split": {"by": "group"}},
                                     {"group": "run", "split": {"by": "group", "folds": 5}}])
def test_resamples_cut_train_and_valid_into_folds(tmp_path, changed):
    problem = prepared(tmp_path, spectators=["run"], **changed)
    known = np.sort(np.concatenate([problem.positions("train"), problem.positions("valid")]))
    folds = problem.resamples(5, 1)
    assert np.array_equal(np.sort(np.concatenate([f.positions("valid") for f in folds])), known)
    for fold in folds:
        assert np.array_equal(np.sort(np.concatenate([fold.positions("train"), fold.positions("valid")])), known)
        assert np.array_equal(fold.positions("test"), problem.positions("test"))
        assert fold.valid.target.mean() == pytest.approx(columns()["label"].mean(), abs=0.08 if "group" in changed else 0.02)
        runs = {part: set(fold.carried(part)["run"].to_pylist()) for part in ("train", "valid", "test")}
        if "group" in changed:
            assert not (runs["train"] & runs["valid"] or runs["train"] & runs["test"] or runs["valid"] & runs["test"])
    again = table.load(problem.folder).resamples(5, 1)
    assert all(np.array_equal(a.positions("valid"), b.positions("valid")) for a, b in zip(folds, again, strict=True))


def test_a_problem_with_folds_has_its_last_fold_as_valid(tmp_path):
    problem = prepared(tmp_path, split={"folds": 4, "test": 0.25})
    folds = problem.resamples(4, 99)
    assert np.array_equal(folds[-1].valid.numbers, problem.valid.numbers)
    assert np.array_equal(folds[-1].train.numbers, problem.train.numbers)
    assert problem.facts().rows["test"] == pytest.approx(N / 4, abs=2)
    assert problem.facts().sizes["folds"] == 4


def test_a_resample_takes_two_folds_at_least(tmp_path):
    with pytest.raises(ValueError, match="at least 2"):
        prepared(tmp_path).resamples(1, 0)


# ---------------------------------------------------------------- new data

def test_the_training_data_read_as_new_give_the_same_rows(tmp_path):
    x, _ = gappy(prepared(tmp_path))
    for missing in ("median", "indicator", "drop"):
        problem = prepared(tmp_path, made=columns(x=x), missing=missing, weight="w", categorical=["side"], spectators=["run"])
        new = table.read_new(problem, tmp_path / "data.parquet")
        at = {row: i for i, row in enumerate(new.carried["row"].to_pylist())}
        rows = [at[row] for row in problem.carried("test")["row"].to_pylist()]
        assert len(new) == sum(problem.facts().rows.values())
        for name in ("numbers", "categories", "target"):
            assert np.array_equal(getattr(new, name)[rows], getattr(problem.test, name)), (missing, name)
        assert new.weight[rows] == pytest.approx(problem.test.weight, rel=1e-6)
        assert new.signal == 1


def test_new_data_need_neither_target_nor_weight_nor_spectators(tmp_path):
    problem = prepared(tmp_path, weight="w", spectators=["run"], categorical=["side"])
    pc.write_csv(pa.table({"side": ["up", "down", None], "y": [1, 2, 3], "x": [0.5, 1, 2]}).slice(0, 2), tmp_path / "new.csv")
    new = table.read_new(problem, tmp_path / "new.csv")
    assert new.numbers.tolist() == [[0.5, 1], [1, 2]]
    assert new.categories.tolist() == [[3], [0]]
    assert (len(new.target), new.weight.tolist(), new.carried.column_names) == (0, [1, 1], ["row"])
    assert "run are not in the new data" in new.notes[0]


def test_a_target_of_unknown_classes_is_not_used(tmp_path):
    problem = prepared(tmp_path)
    pq.write_table(pa.table(columns(label=np.full(N, 7))), tmp_path / "new.parquet")
    new = table.read_new(problem, tmp_path / "new.parquet")
    assert len(new.target) == 0 and f"{N} of {N}" in new.notes[0]


def test_wrong_new_data_are_named_all_at_once(tmp_path):
    problem = prepared(tmp_path, features=["x", "y", "run"])
    pq.write_table(pa.table({"xx": [1.0], "y": ["high"], "run": [3]}), tmp_path / "new.parquet")
    with pytest.raises(DataError) as caught:
        table.read_new(problem, tmp_path / "new.parquet")
    first, second = caught.value.mistakes
    assert (first.code, second.code) == ("missing-column", "wrong-type")
    assert "'x'" in first.text and "Did you mean 'xx'?" in first.text and "'high' in row 0" in second.text
    pq.write_table(pa.table({"x": [1.0, np.nan], "y": [1.0, 2.0], "run": [3, 4]}), tmp_path / "new.parquet")
    with pytest.raises(DataError, match=r"'x' \(1, the first in row 1\)"):
        table.read_new(problem, tmp_path / "new.parquet")
    with pytest.raises(DataError) as caught:
        table.read_new(problem, tmp_path / "absent.parquet")
    assert [(m.code, m.key) for m in caught.value.mistakes] == [("missing-file", ())]
    assert "relative to the current folder" in caught.value.mistakes[0].remedy


# ---------------------------------------------------------------- bad input

LABEL = columns()["label"]
WORDS = ["7", *["high"] * (N - 1)]


@pytest.mark.parametrize(("made", "changed", "code", "key", "text"), [
    ({}, {"target": "lable"}, "no-such-column", ("data", "target"), "Did you mean 'label'?"),
    ({}, {"features": ["x", "z"]}, "no-such-column", ("data", "features", 1), "'z'"),
    ({}, {"weight": "mc"}, "no-such-column", ("data", "weight"), "'mc'"),
    ({}, {"exclude": ["idd"]}, "no-such-column", ("data", "exclude", 0), "'idd'"),
    ({"label": LABEL * 0}, {}, "target-one-class", ("data", "target"), "'0'"),
    ({"label": spoilt(LABEL, r12=np.nan)}, {}, "target-missing-values", ("data", "target"), "1 of 400 rows, the first in row 12"),
    ({"label": np.linspace(0, 1, N)}, {}, "target-continuous", ("data", "target"), "400 distinct values"),
    ({"label": [f"e{i}" for i in range(1100)], **{c: np.arange(1100.0) for c in ("x", "y", "run", "w")}, "side": None}, {},
     "too-many-classes", ("data", "target"), "1100 distinct values"),
    ({"x": np.ones(N), "y": np.full(N, 3.0)}, {}, "constant-features", ("data", "features"), "x, y"),
    ({"x": WORDS}, {}, "text-column", ("data", "features"), "'high' in row 1"),
    ({"w": WORDS}, {"weight": "w"}, "text-column", ("data", "weight"), "'high'"),
    ({"w": -columns()["w"]}, {"weight": "w"}, "bad-weights", ("data", "weight"), "sum to -"),
    ({"w": spoilt(columns()["w"], r3=np.nan)}, {"weight": "w"}, "bad-weights", ("data", "weight"), "first in row 3"),
    ({"w": np.zeros(N)}, {"weight": "w"}, "bad-weights", ("data", "weight"), "0 in all rows"),
    ({"w": LABEL.astype(float)}, {"weight": "w"}, "bad-weights", ("data", "weight"), "class '0'"),
    ({}, {"signal": 2}, "no-such-class", ("data", "signal"), "'2'"),
    ({"label": np.arange(N) % 3}, {"classes": {0: "qcd", 1: "top"}}, "unnamed-class", ("data", "classes"), "'2' in 133 rows"),
    ({}, {"classes": {0: "qcd", 1: "top", 3: "w"}}, "empty-class", ("data", "classes"), "'3' of class 'w'"),
    ({"run": pa.array([None, *range(1, N)])}, {"group": "run", "split": {"by": "group"}}, "group-missing-values",
     ("data", "group"), "row 0"),
    ({"run": LABEL}, {"group": "run", "split": {"by": "group"}}, "class-missing-from-split", ("data", "split"),
     "has no row in"),
    ({"label": spoilt(LABEL * 0, r1=2, r2=2, r3=2)}, {}, "too-few-rows", ("data",), "2 (2)"),
    ({"label": np.where(np.arange(N) < 9, 5, LABEL)}, {"split": {"train": 0.9, "valid": 0.05, "test": 0.05}},
     "class-missing-from-split", ("data", "split"), "Class '5' has no row in"),
    ({"x": np.full(N, np.nan)}, {"missing": "drop"}, "no-rows-left", ("data", "missing"), "Every row"),
    ({}, {"features": None, "exclude": ["x", "y", "run", "w"]}, "no-features", ("data",), "No column is left"),
    ({"x": pa.array(np.arange(N), pa.timestamp("s"))}, {}, "wrong-type", ("data", "features"), "'x'"),
    ({"run": pa.array(np.arange(N), pa.timestamp("s"))}, {"split": {"by": {"column": "run"}}}, "wrong-type",
     ("data", "split", "by", "column"), "'run'"),
])
def test_bad_input_is_named(tmp_path, made, changed, code, key, text):
    found = mistakes(tmp_path, columns(**made), **changed)
    assert {(m.code, m.key) for m in found} == {(code, key)}
    assert text in found[0].text
    if code != "constant-features":  # which only the features tell
        with pytest.raises(DataError) as caught:
            table.look(options(**changed), tmp_path, 3)
        assert [m.code for m in caught.value.mistakes] == [m.code for m in found]


def test_three_rows_are_too_few(tmp_path):
    found = mistakes(tmp_path, {"x": [1.0, 2, 3], "y": [2.0, 1, 5], "label": [0, 1, 0]})
    assert [m.code for m in found] == ["too-few-rows"]


def test_all_mistakes_come_at_once(tmp_path):
    made = columns(x=spoilt(columns()["x"], r7=np.nan), w=spoilt(columns()["w"], r3=np.nan), label=LABEL * 0)
    found = mistakes(tmp_path, made, weight="w", exclude=["nothing"])
    assert [m.code for m in found] == ["no-such-column", "target-one-class", "bad-weights", "not-finite"]


# ---------------------------------------------------------------- the disk

def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    stored(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunError) as caught:
        table.prepare(options(), tmp_path, tmp_path / "run" / "problem", 3)
    assert [m.code for m in caught.value.mistakes] == ["disk-full"]
    assert list((tmp_path / "run").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    stored(tmp_path)
    (tmp_path / "run").write_text("a file where a folder is wanted")
    with pytest.raises(RunError) as caught:
        table.prepare(options(), tmp_path, tmp_path / "run" / "problem", 3)
    assert [m.code for m in caught.value.mistakes] == ["not-writable"]


def test_what_a_killed_process_left_is_replaced(tmp_path):
    left = tmp_path / ".problem.part"
    left.mkdir()
    (left / "numbers.npy").write_text("half")
    first = prepared(tmp_path)
    assert not left.exists()
    assert np.array_equal(prepared(tmp_path).test.numbers, first.test.numbers)


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris", "wine", "jets"])
def test_built_in_sets_prepare(tmp_path, name):
    target = {"jets": "label"}.get(name, "target")
    problem = table.prepare(LabelledTable(builtin=name, target=target), Path(), tmp_path / "problem", 0)
    assert {"digits": "0", "wine": "class_0", "jets": "qcd"}.get(name, problem.schema.classes[0]) == problem.schema.classes[0]
    assert np.isfinite(problem.train.numbers).all()


def test_a_column_may_give_the_split(tmp_path):
    fold = np.random.default_rng(4).choice(["train", "valid", "test"], N, p=[0.5, 0.3, 0.2])
    made = prepared(tmp_path, made=columns(fold=fold), split={"by": {"column": "fold"}})
    for part in ("train", "valid", "test"):
        assert set(made.carried(part)["row"].to_pylist()) == set(np.flatnonzero(fold == part).tolist())
    assert "fold" not in made.schema.numbers
    assert table.look(options(split={"by": {"column": "fold"}}), tmp_path, 3) == made.facts()


def test_a_column_that_names_no_part_or_tears_a_group_is_named(tmp_path):
    fold = np.where(np.arange(N) == 7, "holdout", np.where(np.arange(N) % 2, "train", "valid"))
    (found,) = mistakes(tmp_path, made=columns(fold=fold), split={"by": {"column": "fold"}})
    assert found.code == "unknown-part" and "holdout" in found.text and "row 7" in found.text
    thirds = np.array(["train", "valid", "test"])[np.arange(N) % 3]
    (found,) = mistakes(tmp_path, made=columns(fold=thirds), group="run", split={"by": {"column": "fold"}})
    assert found.code == "group-on-two-sides"
    (found,) = mistakes(tmp_path, split={"by": {"column": "fold"}})
    assert found.code == "no-such-column" and found.key == ("data", "split", "by", "column")
