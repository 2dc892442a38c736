"""Tables made of several files, of new columns and of rows that a cut keeps; every split; signed weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from automl_phys import table
from automl_phys.errors import DataError
from automl_phys.sections import AmountsTable, LabelledTable

N = 600


def events(seed=0, n=N, **changed):
    rng = np.random.default_rng(seed)
    made = {"pt": rng.uniform(200, 800, n), "eta": rng.normal(size=n), "run": np.arange(n) // 10,
            "w": rng.uniform(0.5, 1.5, n)}
    return made | changed


def write(folder, name, made):
    parquet.write_table(pa.table(made), folder / name)


def prepare(folder, options, seed=3):
    return table.prepare(LabelledTable.model_validate(options), folder, folder / "problem", seed)


def mistakes(folder, options):
    with pytest.raises(DataError) as caught:
        prepare(folder, options)
    assert not (folder / "problem").exists()
    return [(m.code, m.key) for m in caught.value.mistakes], caught.value.mistakes[0].text


def mistakes_of(folder, options):
    with pytest.raises(DataError) as caught:
        table.prepare(LabelledTable.model_validate(options), folder, folder / "refused", 3)
    return [m.code for m in caught.value.mistakes]


def table_of(data, folder):
    return table.prepare(data, folder, folder / "problem", 3)


def of(problem, part, name):
    return problem.carried(part)[name].to_numpy()


@pytest.fixture
def processes(tmp_path):
    """One file for each process, as physicists keep them; two of tops."""
    for name, seed in (("qcd.parquet", 0), ("top-a.parquet", 1), ("top-b.parquet", 2)):
        write(tmp_path, name, events(seed, pt=events(seed)["pt"] + 100 * seed))
    return tmp_path


BY_CLASS = {"path": {"qcd": "qcd.parquet", "top": "top-*.parquet"}, "features": ["pt", "eta"], "spectators": ["run"]}


# ---------------------------------------------------------------- classes by file

def test_the_class_of_a_row_is_that_of_its_file(processes):
    problem = prepare(processes, BY_CLASS | {"target": "process"})
    assert problem.schema.classes == ("qcd", "top") and problem.schema.target == ("process",)
    rows = np.concatenate([of(problem, part, "row") for part in ("train", "valid", "test")])
    target = np.concatenate([getattr(problem, part).target for part in ("train", "valid", "test")])
    assert np.array_equal(target, rows >= N), "the first file is the background, the two after it the signal"


def test_each_part_has_its_share_of_each_file_class(processes):
    problem = prepare(processes, BY_CLASS)
    assert [int((getattr(problem, part).target == 0).sum()) for part in ("train", "valid", "test")] == [360, 120, 120]
    assert [int((getattr(problem, part).target == 1).sum()) for part in ("train", "valid", "test")] == [720, 240, 240]


def test_new_data_need_no_class(processes):
    problem = prepare(processes, BY_CLASS)
    new = table.read_new(problem, processes / "top-a.parquet")
    assert len(new) == N and not len(new.target)


def test_a_file_in_two_classes_is_named(processes):
    found, text = mistakes(processes, BY_CLASS | {"path": {"qcd": "*.parquet", "top": "top-a.parquet"}})
    assert found == [("file-in-two-classes", ("data", "path"))] and "top-a.parquet" in text


# ---------------------------------------------------------------- cuts and new columns

def test_a_cut_keeps_rows_and_says_how_many(processes):
    problem = prepare(processes, BY_CLASS | {"cut": "pt > 500 and abs(eta) < 2"})
    kept = sum(problem.facts().rows.values())
    assert all((rows.numbers[:, 0] > 500).all() and (abs(rows.numbers[:, 1]) < 2).all()
               for rows in (problem.train, problem.valid, problem.test))
    every = [events(seed) for seed in range(3)]
    expected = sum(int(((made["pt"] + 100 * seed > 500) & (abs(made["eta"]) < 2)).sum())
                   for seed, made in enumerate(every))
    assert kept == expected
    assert f"The cut leaves {expected} of {3 * N} rows." in problem.facts().notes


def test_what_a_cut_drops_is_not_held_against_the_data(processes):
    """A row without a weight, a class or a group can be left out by a cut, and so can a class."""
    rng = np.random.default_rng(0)
    made = events(label=pa.array([None if i == 3 else ["qcd", "top", "w"][i % 3] for i in range(N)]),
                  mass=rng.normal(100, 10, N), fold=[["train", "valid", "test"][i // 3 % 3] for i in range(N)],
                  good=np.arange(N) % 50 > 4)
    for j, name in enumerate(("w", "mass")):
        made[name][j] = np.nan
    made["run"], made["fold"][4] = pa.array([None if i == 2 else i // 10 for i in range(N)]), "nowhere"
    write(processes, "a.parquet", made)
    options = {"path": "a.parquet", "target": "label", "weight": "w", "features": ["pt", "eta"],
               "cut": "good and label != 'w'"}
    for changed in ({"group": "run", "split": {"by": "group"}}, {"split": {"by": {"column": "fold"}}}):
        problem = prepare(processes, options | changed)
        assert problem.schema.classes == ("qcd", "top") and set(problem.schema.labels) == {"qcd", "top"}
        assert sum(problem.facts().rows.values()) == sum(i % 50 > 4 and i % 3 < 2 for i in range(N))
        assert np.isfinite(problem.train.weight).all() and set(problem.train.target) == {0, 1}
        sums = next(table for table in problem.facts().tables if table.title == "Sums of weights")
        whole = [sum(made["w"][i] for i in range(N) if i % 3 == k and i not in {0, 3}) for k in (0, 1)]
        assert [row[:2] for row in sums.rows] == [("qcd", pytest.approx(whole[0], rel=1e-5)),
                                                  ("top", pytest.approx(whole[1], rel=1e-5))]
    assert mistakes_of(processes, options | {"cut": None}) == ["target-missing-values", "bad-weights"]

    amounts = AmountsTable.model_validate(
        {"path": "a.parquet", "target": "mass", "weight": "w", "features": ["pt", "eta"], "cut": "good"})
    (targets, *_) = [table for table in table_of(amounts, processes).facts().tables if table.title == "Targets"]
    row = dict(zip(targets.head, targets.rows[0], strict=True))
    assert row["mean"] == pytest.approx(np.average(made["mass"][made["good"]], weights=made["w"][made["good"]]), rel=1e-5)


def test_a_flag_that_is_not_known_stays_so_in_what_is_made_of_it(processes):
    """'not high' does not keep a row whose 'pt' is missing: neither is known."""
    made = events(label=np.arange(N) % 2)
    made["pt"][:30] = np.nan
    write(processes, "a.parquet", made)
    problem = prepare(processes, {"path": "a.parquet", "target": "label", "features": ["eta"],
                                  "define": {"high": "pt > 500"}, "cut": "not high"})
    assert sum(problem.facts().rows.values()) == (made["pt"][30:] <= 500).sum()
    options = {"path": "a.parquet", "target": "label", "features": ["high", "eta"], "define": {"high": "pt > 500"}}
    assert mistakes_of(processes, options) == ["not-finite"]


def test_definitions_may_use_each_other_and_are_kept_for_new_data(processes):
    options = BY_CLASS | {"define": {"px": "pt * cos(eta)", "ratio": "px / pt"}, "features": ["px", "ratio"]}
    problem = prepare(processes, options)
    made = pa.concat_tables([parquet.read_table(processes / f) for f in ("qcd.parquet", "top-a.parquet",
                                                                         "top-b.parquet")]).to_pydict()
    rows = of(problem, "test", "row")
    pt, eta = (np.array(made[name])[rows] for name in ("pt", "eta"))
    assert np.allclose(problem.test.numbers, np.stack([pt * np.cos(eta), np.cos(eta)], axis=1), rtol=1e-6)
    new = table.read_new(problem, processes / "qcd.parquet")
    assert np.allclose(new.numbers[:, 1], np.cos(events(0)["eta"]), rtol=1e-6)


@pytest.mark.parametrize(("changed", "code", "key", "text"), [
    ({"cut": "pt >"}, "bad-expression", ("data", "cut"), "pt >"),
    ({"cut": "ptt > 3"}, "bad-expression", ("data", "cut"), "ptt"),
    ({"cut": "pt + 3"}, "bad-expression", ("data", "cut"), "gives a number"),
    ({"cut": "pt > 1e9"}, "no-rows-left", ("data", "cut"), "No row passes"),
    ({"define": {"pt": "eta * 2"}}, "defined-twice", ("data", "define", "pt"), "'pt' already"),
    ({"define": {"z": "__import__('os')"}}, "bad-expression", ("data", "define", "z"), "__import__"),
    ({"lengths": {"pt": 2}}, "wrong-type", ("data", "lengths", "pt"), "not lists"),
    ({"lengths": {"hits": 2}}, "no-such-column", ("data", "lengths", "hits"), "'hits'"),
])
def test_a_wrong_column_is_told_where_it_stands(processes, changed, code, key, text):
    try:
        options = LabelledTable.model_validate(BY_CLASS | changed)
    except ValueError as error:  # the text alone tells that it is wrong: the recipe is not accepted
        assert code == "bad-expression" and text in str(error)
        return
    with pytest.raises(DataError) as caught:
        table.prepare(options, processes, processes / "problem", 3)
    assert [(m.code, m.key) for m in caught.value.mistakes] == [(code, key)]
    assert text in caught.value.mistakes[0].text


def test_lists_are_padded_and_cut_with_a_flag_for_what_is_there(tmp_path):
    lists = [[1.0, 2.0, 3.0], [4.0], [], [5.0, 6.0]] * 100
    write(tmp_path, "jets.parquet", {"hits": pa.array(lists), "label": [0, 1] * 200, "x": np.arange(400.0)})
    problem = prepare(tmp_path, {"path": "jets.parquet", "target": "label", "lengths": {"hits": 2}, "missing": "median"})
    assert problem.schema.numbers == ("x", "hits_0", "hits_1", "hits_0_present", "hits_1_present")
    rows = of(problem, "train", "row") % 4
    expected = np.array([[1, 2, 1, 1], [4, 0, 1, 0], [0, 0, 0, 0], [5, 6, 1, 1]], float)[rows]
    assert np.array_equal(problem.train.numbers[:, 1:], expected)


# ---------------------------------------------------------------- files that don't go together

def test_files_of_one_glob_must_have_the_same_columns(processes):
    write(processes, "top-c.parquet", events(3, eta=["high"] * N))
    found, text = mistakes(processes, BY_CLASS)
    assert found == [("mixed-schemas", ("data", "path"))] and "'eta' is text, not number" in text


def test_a_glob_without_files_is_named_beside_other_mistakes(tmp_path):
    (tmp_path / "empty.parquet").touch()
    found, text = mistakes(tmp_path, BY_CLASS | {"path": {"qcd": "*.root", "top": "empty.parquet"}})
    assert found == [("glob-matches-nothing", ("data", "path")), ("empty-file", ("data", "path"))]
    assert "*.root" in text


def test_every_format_gives_the_same_problem(tmp_path):
    uproot, h5py = pytest.importorskip("uproot"), pytest.importorskip("h5py")
    made = {name: values.astype(np.float32 if values.dtype == np.float64 else np.int32)
            for name, values in events(label=np.arange(N) % 2).items()}
    whole = pa.table(made)
    parquet.write_table(whole, tmp_path / "a.parquet")
    csv.write_csv(whole, tmp_path / "a.csv")
    feather.write_feather(whole, str(tmp_path / "a.feather"))
    np.savez(tmp_path / "a.npz", **made)
    with uproot.recreate(tmp_path / "a.root") as file:
        file.mktree("events", {name: values.dtype for name, values in made.items()})
        file["events"].extend(made)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in made.items():
            file[f"events/{name}"] = values
    numbers = []
    for name in ("a.parquet", "a.csv", "a.feather", "a.npz", "a.root:events", "a.h5:events"):
        problem = prepare(tmp_path, {"path": name, "target": "label", "weight": "w",
                                     "features": ["pt", "eta"]})
        numbers.append([problem.train.numbers, problem.test.target, problem.valid.weight])
    for other in numbers[1:]:
        assert all(np.allclose(a, b, rtol=1e-6) for a, b in zip(numbers[0], other, strict=True))
        assert np.array_equal(numbers[0][1], other[1])


# ---------------------------------------------------------------- splits

def parts_of(problem, name):
    return {part: set(of(problem, part, name).tolist()) for part in ("train", "valid", "test")}


def test_no_time_of_the_future_is_trained_on(tmp_path):
    write(tmp_path, "a.parquet", events(label=np.arange(N) % 2, run=np.random.default_rng(5).permutation(N) // 7))
    problem = prepare(tmp_path, {"path": "a.parquet", "target": "label", "time": "run", "spectators": ["run"],
                                 "split": {"by": "time"}})
    times = parts_of(problem, "run")
    assert max(times["train"]) < min(times["valid"]) and max(times["valid"]) < min(times["test"])
    assert abs(len(problem.test) - 0.2 * N) <= 7
    assert any("'run' rises" in table.note for table in problem.facts().tables if table.title == "Split")


def test_files_stay_whole(tmp_path):
    for i in range(10):
        write(tmp_path, f"run{i}.parquet", events(i, n=60, label=np.arange(60) % 2, run=np.full(60, i)))
    problem = prepare(tmp_path, {"path": "run*.parquet", "target": "label", "spectators": ["run"],
                                 "split": {"by": "file"}})
    files = parts_of(problem, "run")
    assert not files["train"] & files["valid"] and not files["test"] & (files["train"] | files["valid"])
    assert [len(files[part]) for part in ("train", "valid", "test")] == [6, 2, 2]
    assert any("no file is on two sides" in table.note for table in problem.facts().tables if table.title == "Split")


def test_too_few_files_are_named(processes):
    write(processes, "only.parquet", events(label=np.arange(N) % 2))
    found, _ = mistakes(processes, {"path": "only.parquet", "target": "label", "split": {"by": "file"}})
    assert found == [("too-few-files", ("data", "split", "by"))]


def test_a_test_file_is_the_whole_test_part(tmp_path):
    write(tmp_path, "a.parquet", events(label=np.arange(N) % 2))
    write(tmp_path, "b.parquet", events(9, n=90, label=np.arange(90) % 2))
    problem = prepare(tmp_path, {"path": "a.parquet", "target": "label", "features": ["pt", "eta"],
                                 "split": {"test": "b.parquet", "valid": 0.25}})
    assert problem.facts().rows == {"train": 450, "valid": 150, "test": 90}
    assert np.allclose(problem.test.numbers[:, 0], events(9, n=90)["pt"], rtol=1e-6)
    assert set(of(problem, "test", "row")) == set(range(N, N + 90))


def test_a_test_file_may_not_be_learned_from(tmp_path):
    write(tmp_path, "a.parquet", events(label=np.arange(N) % 2))
    found, text = mistakes(tmp_path, {"path": "*.parquet", "target": "label", "split": {"test": "a.parquet"}})
    assert found == [("test-file-in-train", ("data", "split", "test"))] and "a.parquet" in text


# ---------------------------------------------------------------- weights

def test_what_a_cut_does_to_the_sums_of_weights_is_told(processes):
    problem = prepare(processes, BY_CLASS | {"weight": "w", "cut": "pt > 500"})
    sums = next(table for table in problem.facts().tables if table.title == "Sums of weights")
    for label, (whole, kept) in zip(("qcd", "top"), [(0, 0), (1, 2)], strict=True):
        row = dict(zip(sums.head, next(row for row in sums.rows if row[0] == label), strict=True))
        made = [events(seed) for seed in range(whole, kept + 1)]
        shift = range(whole, kept + 1)
        assert row["in the files"] == pytest.approx(sum(m["w"].sum() for m in made), rel=1e-5)
        after = sum(m["w"][m["pt"] + 100 * s > 500].sum() for m, s in zip(made, shift, strict=True))
        assert row["after cut"] == pytest.approx(after, rel=1e-5)
        assert row["train"] + row["valid"] + row["test"] == pytest.approx(after, rel=1e-5)


def test_signed_weights_are_kept_for_scores_and_made_positive_for_fits(processes):
    rng = np.random.default_rng(0)
    for i, name in enumerate(("qcd.parquet", "top-a.parquet", "top-b.parquet")):
        write(processes, name, events(i, w=np.where(rng.random(N) < 0.2, -1.0, 1.0)))
    problem = prepare(processes, BY_CLASS | {"weight": "w"})
    train = problem.train
    assert (train.weight < 0).mean() == pytest.approx(0.2, abs=0.03)
    assert (train.fit_weight >= 0).all()
    for code in (0, 1):
        chosen = train.target == code
        assert train.fit_weight[chosen].sum() == pytest.approx(train.weight[chosen].sum(), rel=1e-4)
    assert any(note.startswith("Negative weights:") for note in problem.facts().notes)


def test_weights_without_signs_are_the_ones_fitted_with(processes):
    problem = prepare(processes, BY_CLASS | {"weight": "w"})
    assert problem.train.unsigned is None and problem.train.fit_weight is problem.train.weight


# ---------------------------------------------------------------- amounts, and reading in pieces

def test_amounts_may_be_several_and_split_by_tenths(tmp_path):
    write(tmp_path, "a.parquet", events())
    data = AmountsTable.model_validate({"path": "a.parquet", "target": ["pt", "eta"]})
    problem = table.prepare(data, tmp_path, tmp_path / "problem", 3)
    assert problem.train.target.shape == (360, 2) and problem.schema.classes == ()
    low, high = (np.quantile(problem.test.target[:, 0], q) for q in (0.1, 0.9))
    assert low == pytest.approx(260, abs=25) and high == pytest.approx(740, abs=25)


def test_the_size_of_chunks_changes_nothing(processes, monkeypatch):
    first = prepare(processes, BY_CLASS | {"weight": "w", "cut": "eta > -1"})
    kept = [np.array(array) for array in (first.train.numbers, first.test.target, first.valid.weight)]
    monkeypatch.setattr(table.table_read, "CHUNK_CELLS", 100)
    monkeypatch.setattr(table.table_read, "CACHED_ROWS", 7)
    again = prepare(processes, BY_CLASS | {"weight": "w", "cut": "eta > -1"})
    for one, other in zip(kept, (again.train.numbers, again.test.target, again.valid.weight), strict=True):
        assert np.array_equal(one, other)
    assert first.facts() == again.facts()


def test_the_problem_is_no_larger_than_its_rows(processes):
    prepare(processes, BY_CLASS)
    assert sorted(p.name for p in Path(processes / "problem").iterdir()) == [
        "carried.parquet", "numbers.npy", "problem.json", "target.npy", "weight.npy"]


def test_which_file_is_listed_under_which_class_is_part_of_the_fingerprint(tmp_path):
    for i, name in enumerate("abc"):
        write(tmp_path, f"{name}.parquet", events(i))
    first = LabelledTable.model_validate({"path": {"q": ["a.parquet", "b.parquet"], "t": "c.parquet"}})
    other = LabelledTable.model_validate({"path": {"q": "a.parquet", "t": ["b.parquet", "c.parquet"]}})
    assert table.fingerprint(first, tmp_path, 3) != table.fingerprint(other, tmp_path, 3)


def test_a_class_that_a_cut_takes_out_is_no_class(tmp_path):
    write(tmp_path, "a.parquet", events(label=np.array(["x", "y", "z"])[np.arange(N) % 3]))
    problem = prepare(tmp_path, {"path": "a.parquet", "target": "label", "cut": "label != 'y'", "features": ["pt", "eta"]})
    assert problem.schema.classes == ("x", "z") and sum(problem.facts().rows.values()) == pytest.approx(2 * N / 3, abs=1)
