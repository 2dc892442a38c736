"""What is written for other programs is read back by our own sources, whatever the format."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from automl_phys import registry, table_file
from automl_phys.contracts import Location
from automl_phys.errors import CallError, RunError

SOURCES = {".parquet": "parquet", ".csv": "csv", ".csv.gz": "csv", ".feather": "feather", ".h5": "hdf5",
           ".hdf5": "hdf5", ".root": "root"}
TABLE = pa.table({
    "row": np.arange(20), "weight": np.linspace(-1, 1, 20), "score_top": np.linspace(0, 1, 20).astype(np.float32),
    "true": pa.array(["qcd", "ünü", "top", "w"] * 5), "predicted": pa.array(["qcd", "top"] * 10).dictionary_encode(),
    "flag": np.arange(20) % 3 == 0})


def read(path):
    source = registry.load("sources", next(word for end, word in SOURCES.items() if path.name.endswith(end)))
    header = source.peek(Location(path))
    return pa.concat_tables(source.read(Location(path), list(header.columns), 7)), header


def test_every_format_is_one_that_is_read():
    assert set(table_file.WRITERS) == set(SOURCES)


@pytest.mark.parametrize("ending", SOURCES)
def test_a_table_is_read_back_equal(tmp_path, ending):
    path = tmp_path / "new" / f"scores{ending}"
    table_file.write(TABLE, path)
    table, header = read(path)
    assert table.column_names == TABLE.column_names
    assert header.columns["score_top"] == header.columns["weight"] == "number"
    assert header.columns["true"] == header.columns["predicted"] == "text"
    for name in ("row", "weight", "flag"):
        assert np.array_equal(table[name].to_numpy().astype(float), TABLE[name].to_numpy().astype(float)), name
    assert np.array_equal(table["score_top"].to_numpy().astype(np.float32), TABLE["score_top"])
    for name in ("true", "predicted"):
        assert table[name].to_pylist() == TABLE[name].to_pylist()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", SOURCES)
def test_what_is_missing_and_what_is_no_number(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    table = pa.table({
        "n": pa.array([1, None, 3]), "flag": pa.array([True, None, False]), "word": pa.array(["a", None, "b"]),
        "nothing": pa.nulls(3), "image": pa.FixedSizeListArray.from_arrays(np.arange(6.0), 2),
        "jets": pa.array([[1.0], [], [2.0, 3.0]]), "day": pa.array([datetime.date(2020, 1, i) for i in (1, 2, 3)])})
    table_file.write(table, path)
    found, header = read(path)
    assert set(table.column_names) <= set(found.column_names)
    for name, expected in {"n": [1, np.nan, 3], "flag": [1, np.nan, 0]}.items():
        assert np.array_equal(found[name].cast(pa.float64() if name == "n" else found[name].type).to_pandas()
                              .astype(float), expected, equal_nan=True), name
    assert [word or None for word in found["word"].to_pylist()] == ["a", None, "b"]
    assert [str(day)[:10] for day in found["day"].to_pylist()] == ["2020-01-01", "2020-01-02", "2020-01-03"]
    if "csv" in ending:
        assert found["jets"].to_pylist() == ["[1.0]", "[]", "[2.0, 3.0]"]
    else:
        assert [list(row) for row in found["jets"].to_pylist()] == [[1.0], [], [2.0, 3.0]]
        assert (header.columns["image"], header.shapes["image"]) == ("list", (2,))
        assert found["image"].to_pylist() == table["image"].to_pylist()


@pytest.mark.parametrize("ending", [end for end in SOURCES if "csv" not in end])
def test_a_table_without_rows(tmp_path, ending):
    table_file.write(TABLE.slice(0, 0), tmp_path / f"a{ending}")
    source = registry.load("sources", SOURCES[ending])
    header = source.peek(Location(tmp_path / f"a{ending}"))
    assert (list(header.columns), header.rows) == (TABLE.column_names, 0)


@pytest.mark.parametrize(("ending", "expected"), [
    (".h5", ["score_W+jets", "score_W-jets", "a_b", "a_b_2", "ä"]),
    (".root", ["score_W_jets", "score_W_jets_2", "a_b", "a_b_2", "_"])])
def test_names_that_a_format_does_not_allow_stay_apart(tmp_path, ending, expected):
    names = ["score_W+jets", "score_W-jets", "a/b", "a_b", "ä"]
    table_file.write(pa.table({name: [float(i)] for i, name in enumerate(names)}), tmp_path / f"a{ending}")
    table, _ = read(tmp_path / f"a{ending}")
    assert table.to_pydict() == {name: [float(i)] for i, name in enumerate(expected)}


@pytest.mark.parametrize("name", ["scores.txt", "scores", "scores.gz", "scores.parqet"])
def test_an_unknown_ending_is_named_before_anything_is_written(tmp_path, name):
    for call in (lambda: table_file.check(tmp_path / name), lambda: table_file.write(TABLE, tmp_path / name)):
        with pytest.raises(CallError) as caught:
            call()
        (found,) = caught.value.mistakes
        assert found.code == "unknown-format"
        assert ("Did you mean '.parquet'?" in found.text) == (name == "scores.parqet")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", SOURCES)
def test_a_refusal_of_the_disk_is_named(tmp_path, ending):
    (tmp_path / "file").touch()
    with pytest.raises(RunError) as caught:
        table_file.write(TABLE, tmp_path / "file" / f"scores{ending}")
    assert caught.value.mistakes[0].code == "not-writable"


@pytest.mark.parametrize("ending", SOURCES)
def test_an_older_file_is_replaced_whole(tmp_path, ending):
    for table in (TABLE, TABLE.slice(0, 3)):
        table_file.write(table, tmp_path / f"a{ending}")
    assert len(read(tmp_path / f"a{ending}")[0]) == 3
