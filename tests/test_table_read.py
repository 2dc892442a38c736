"""Files of a table: found, named when they cannot be used, and read alike whatever their format."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl_phys import registry, table_files, table_read
from automl_phys.contracts import Location
from automl_phys.errors import DataError
from automl_phys.sections import PointsData

TABLE = pa.table({"x": [1.5, None, -2.0], "n": [1, 2, 3], "flag": [True, False, True], "name": ["a", None, "ü"]})
CSV = "x,n,flag,name\n1.5,1,true,a\n,2,false,\n-2.0,3,true,ü\n"


def find(path, builtin, folder):
    return table_files.of_recipe(PointsData(path=path, builtin=builtin), folder)


def mistakes(folder, path=None, builtin=None):
    with pytest.raises(DataError) as caught:
        files = find(path, builtin, folder)
        table_read.whole(files, list(files.header.columns))
    return caught.value.mistakes


def code(*arguments, **keywords):
    return [m.code for m in mistakes(*arguments, **keywords)]


@pytest.fixture
def folder(tmp_path):
    pq.write_table(TABLE, tmp_path / "jets.parquet")
    (tmp_path / "jets.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "jets.tsv").write_text(CSV.replace(",", "\t"), encoding="utf-8")
    for name in ("jets.csv", "jets.tsv"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    return tmp_path


@pytest.mark.parametrize("name", ["jets.parquet", "jets.csv", "jets.csv.gz", "jets.tsv", "jets.tsv.gz"])
def test_every_format_gives_the_same_table(folder, name):
    files = find(name, None, folder)
    assert files.header.columns == {"x": "number", "n": "number", "flag": "flag", "name": "text"}
    table, rows = table_read.whole(files, ["name", "x", "n", "flag"])
    assert rows == (3,)
    assert np.array_equal(table_read.floats(table, ["x", "n", "flag"]), [[1.5, 1, 1], [np.nan, 2, 0], [-2, 3, 1]],
                          equal_nan=True)
    codes, names = table_read.texts(table["name"])
    assert [names[c] if c >= 0 else None for c in codes] == ["a", None, "ü"]
    codes, names = table_read.texts(table["n"])
    assert [names[c] for c in codes] == ["1", "2", "3"]


@pytest.mark.parametrize(("name", "number"), [("breast_cancer", 30), ("digits", 64), ("iris", 4), ("wine", 13)])
def test_built_in_sets_have_clean_names_and_a_text_target(name, number, tmp_path):
    columns = find(None, name, tmp_path).header.columns
    assert sum(kind == "number" for kind in columns.values()) == number
    assert columns["target"] == "text"
    assert not any(mark in column for column in columns for mark in " /()")


def test_the_jets_are_as_described(tmp_path):
    files = find(None, "jets", tmp_path)
    assert files.header.rows == 40_000
    table, _ = table_read.whole(files, ["label", "weight", "pt"])
    codes, names = table_read.texts(table["label"])
    assert dict(zip(names, np.bincount(codes), strict=True)) == {"qcd": 20_000, "w": 10_000, "top": 10_000}
    weight, pt = table["weight"].to_numpy(), table["pt"].to_numpy()
    for c in range(3):
        assert weight[codes == c].mean() == pytest.approx(1, rel=1e-6)
        flat = np.histogram(pt[codes == c], bins=20, range=(500, 700), weights=weight[codes == c])[0]
        assert flat / flat.mean() == pytest.approx(np.ones(20), rel=1e-3)


def test_globs_and_lists_are_read_in_order(folder):
    for i in (2, 1):
        pq.write_table(pa.table({"x": [float(i)] * i}), folder / f"part{i}.parquet")
    for path in ("part*.parquet", ["part1.parquet", "part2.parquet"], [str(folder / "part?.parquet"), "part1.parquet"]):
        table, rows = table_read.whole(find(path, None, folder), ["x"])
        assert (table["x"].to_pylist(), rows) == ([1.0, 2.0, 2.0], (1, 2))


def test_a_missing_file_is_named_with_what_may_be_meant(folder):
    (found,) = mistakes(folder, "jet.parquet")
    assert (found.code, found.key) == ("missing-file", ("data", "path"))
    assert "Did you mean 'jets.parquet'?" in found.text
    assert code(folder, "nowhere/jets.parquet") == ["missing-file"]
    assert "is a folder" in mistakes(folder.parent, folder.name)[0].text


def test_files_that_cannot_be_used_are_all_named_at_once(folder):
    (folder / "empty.csv").touch()
    (folder / "notes.txt").write_text("hello")
    assert code(folder, ["empty.csv", "notes.txt", "absent.csv", "*.root"]) == [
        "empty-file", "unknown-format", "missing-file", "glob-matches-nothing"]


@pytest.mark.parametrize("name", ["jets.parquet", "jets.csv.gz"])
def test_a_truncated_file_is_unreadable(folder, name):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) * 2 // 3])
    assert code(folder, name) == ["unreadable-file"]


def test_a_parquet_file_damaged_in_the_middle_is_unreadable(folder):
    path = folder / "noise.parquet"
    pq.write_table(pa.table({"x": np.random.default_rng(0).normal(size=10_000)}), path)
    damaged = bytearray(path.read_bytes())
    damaged[4:30_000] = b"x" * 29_996
    path.write_bytes(damaged)
    assert code(folder, "noise.parquet") == ["unreadable-file"]


def test_a_parquet_file_with_a_damaged_name_is_unreadable(folder):
    path = folder / "named.parquet"
    pq.write_table(pa.table({"a name": np.arange(9.0)}), path)
    path.write_bytes(path.read_bytes().replace(b"a name", b"a nam\xd1"))
    assert code(folder, "named.parquet") == ["unreadable-file"]


@pytest.mark.parametrize(("text", "expected"), [
    ("a,b\n", "empty-file"), ("a,b\n1,2\n3\n", "unreadable-file"), ("a,a\n1,2\n", "duplicate-columns")])
def test_text_files_with_a_fault_are_named(folder, text, expected):
    (folder / "odd.csv").write_text(text)
    assert code(folder, "odd.csv") == [expected]


def test_a_parquet_file_without_rows_is_empty(folder):
    pq.write_table(TABLE.slice(0, 0), folder / "none.parquet")
    assert code(folder, "none.parquet") == ["empty-file"]


def test_a_word_far_down_a_numeric_column_is_told_with_its_line(folder, monkeypatch):
    monkeypatch.setattr(registry.load("sources", "csv"), "BLOCK_BYTES", 200)
    (folder / "late.csv").write_text("a,b\n" + "1,2\n" * 100 + "1,oops\n")
    (found,) = mistakes(folder, "late.csv")
    assert found.code == "text-column"
    assert "Column 'b' of late.csv is numeric but holds 'oops' in line 102" in found.text


def test_mixed_schemas_name_the_file_and_the_column(folder):
    pq.write_table(TABLE.rename_columns(["x", "n", "flag", "title"]), folder / "other.parquet")
    pq.write_table(TABLE.set_column(0, "x", pa.array(["1", "2", "3"])), folder / "text.parquet")
    first, second = mistakes(folder, ["jets.parquet", "other.parquet", "text.parquet"])
    assert first.code == second.code == "mixed-schemas"
    assert "other.parquet" in first.text and "'name' is missing, 'title' is only there" in first.text
    assert "text.parquet" in second.text and "'x' is text, not number" in second.text


def test_an_unknown_built_in_set_is_named(tmp_path):
    (found,) = mistakes(tmp_path, builtin="digit")
    assert (found.code, found.key) == ("no-such-dataset", ("data", "builtin"))
    assert "'digits'" in found.text


def test_peek_at_parquet_reads_the_footer_only(folder):
    path = folder / "large.parquet"
    pq.write_table(pa.table({"x": np.random.default_rng(0).normal(size=100_000)}), path)
    content = bytearray(path.read_bytes())
    content[4:-2000] = os.urandom(len(content) - 2004)
    path.write_bytes(content)
    assert registry.load("sources", "parquet").peek(Location(path)).rows == 100_000


# ---------------------------------------------------------------- built-in images

def test_the_images_of_jets_are_those_of_the_jets(tmp_path):
    files, jets = find(None, "jet_images", tmp_path), find(None, "jets", tmp_path)
    assert files.header.columns == {"images": "list", "label": "text", "pt": "number", "event_id": "number"}
    assert (files.header.rows, files.header.shapes) == (18_000, {"images": (24, 24)})
    table, rows = table_read.whole(files, ["images", "label", "pt", "event_id"])
    assert rows == (18_000,) and table["images"].type == pa.list_(pa.uint8(), 576)
    codes, names = table_read.texts(table["label"])
    assert dict(zip(names, np.bincount(codes), strict=True)) == dict.fromkeys(("qcd", "w", "top"), 6000)
    at = table["event_id"].to_numpy()
    whole, _ = table_read.whole(jets, ["pt", "label", "event_id"])
    same = whole.take(pa.array(at))
    assert len(set(at)) == 18_000 and same["event_id"].to_numpy().tolist() == at.tolist()
    assert np.array_equal(same["pt"], table["pt"]) and same["label"].to_pylist() == table["label"].to_pylist()
    images = (table["images"].combine_chunks().flatten().to_numpy().reshape(-1, 24, 24) / 255) ** 2
    assert images.sum((1, 2)) == pytest.approx(np.ones(18_000), abs=0.02)
    assert (images[:, :, 12:].sum((1, 2)) > 0.45).all()  # flipped so that the right half has more
    assert images.mean(0)[11:13, 11:13].sum() > 0.4  # centred on the hardest subjet
    assert images[:, :12].sum() > 2 * images[:, 12:].sum()  # turned so that the second one is above


def test_images_of_jets_are_read_in_pieces():
    source = registry.load("sources", "builtin")
    location = Location(Path("jet_images"))
    assert [len(chunk) for chunk in source.read(location, ["label"], 7000)] == [7000, 7000, 4000]
    first = next(source.read(location, ["images"], 10))
    assert first.column_names == ["images"] and len(first) == 10


def test_the_images_of_digits_are_those_of_the_digits(tmp_path):
    files = find(None, "digit_images", tmp_path)
    assert files.header.columns == {"pixels": "list", "target": "text"}
    assert (files.header.rows, files.header.shapes) == (1797, {"pixels": (8, 8)})
    images, _ = table_read.whole(files, ["pixels", "target"])
    digits = find(None, "digits", tmp_path)
    numbers, _ = table_read.whole(digits, list(digits.header.columns))
    assert images["pixels"].type == pa.list_(pa.uint8(), 64)
    expected = table_read.floats(numbers, [name for name in numbers.column_names if name != "target"])
    assert np.array_equal(images["pixels"].combine_chunks().flatten(), expected.reshape(-1))
    assert images["target"].to_pylist() == numbers["target"].to_pylist()


@pytest.mark.parametrize(("name", "digest"), [
    ("digit_images", "ed7f6e79ed2223fe"), ("jet_images", "7b5488d0399cdfbc")])
def test_built_in_images_have_one_hash_everywhere(tmp_path, name, digest):
    assert table_read.digests(find(None, name, tmp_path))[0][:16] == digest
