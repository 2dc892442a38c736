"""Arrow files are read back equal, batch by batch, and named when they cannot be read."""

from __future__ import annotations

import datetime
import importlib

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, ipc, parquet

from automl_phys.contracts import Location
from automl_phys.errors import DataError
from automl_phys.sources import feather as source

TABLE = pa.table({
    "x": np.arange(10) / 4,
    "n": pa.array([None, *range(1, 10)]),
    "flag": np.arange(10) % 2 == 0,
    "name": [None, "", "ü", *"defghij"],
    "process": pa.array(["qcd", "top"] * 5).dictionary_encode(),
    "day": [datetime.date(2020, 1, i + 1) for i in range(10)],
    "jets": pa.array([[1.0] * i for i in range(10)]),
    "image": pa.FixedSizeListArray.from_arrays(np.arange(40.0), 4)})
KINDS = {"x": "number", "n": "number", "flag": "flag", "name": "text", "process": "text", "day": "time",
         "jets": "list", "image": "list"}


def write(path, table=TABLE, **options):
    feather.write_feather(table, path, **options)
    return Location(path)


def mistakes(location):
    with pytest.raises(DataError) as caught:
        list(source.read(location, list(source.peek(location).columns), 100))
    return [m.code for m in caught.value.mistakes]


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_a_file_is_read_back_equal(tmp_path, compression, chunk_rows):
    location = write(tmp_path / "a.feather", compression=compression, chunksize=4)
    header = source.peek(location)
    assert (header.columns, header.rows, header.shapes) == (KINDS, 10, {"image": (4,)})
    wanted = ["name", *(name for name in KINDS if name != "name")]
    chunks = list(source.read(location, wanted, chunk_rows))
    assert max(len(chunk) for chunk in chunks) <= min(chunk_rows, 4)
    assert pa.concat_tables(chunks).equals(TABLE.select(wanted))


def test_columns_are_in_the_order_asked_for(tmp_path):
    (chunk,) = source.read(write(tmp_path / "a.arrow"), ["day", "x"], 100)
    assert chunk.equals(TABLE.select(["day", "x"]))


def test_views_of_texts_are_texts(tmp_path):
    with ipc.new_file(tmp_path / "polars.ipc", schema := pa.schema([("name", pa.string_view())])) as file:
        file.write(pa.record_batch([pa.array(["a", None, "a long word that is not kept inside"], pa.string_view())], schema))
    location = Location(tmp_path / "polars.ipc")
    assert source.peek(location).columns == {"name": "text"}
    (chunk,) = source.read(location, ["name"], 100)
    assert chunk["name"].type == pa.string()
    assert chunk["name"].to_pylist() == ["a", None, "a long word that is not kept inside"]


def test_a_file_without_rows_has_columns(tmp_path):
    location = write(tmp_path / "a.feather", TABLE.slice(0, 0))
    assert (source.peek(location).columns, source.peek(location).rows) == (KINDS, 0)
    assert list(source.read(location, ["x"], 10)) == []


def test_a_file_cut_off_anywhere_is_unreadable(tmp_path):
    content = write(tmp_path / "a.feather").path.read_bytes()
    for size in range(0, len(content), 61):
        (tmp_path / "cut.feather").write_bytes(content[:size])
        assert mistakes(Location(tmp_path / "cut.feather")) == ["unreadable-file"], size


def test_a_damaged_file_is_named_or_read(tmp_path):
    content = write(tmp_path / "a.feather").path.read_bytes()
    rng = np.random.default_rng(1)
    unreadable = 0
    for _ in range(300):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 5)] = rng.integers(0, 256, 5)
        (tmp_path / "odd.feather").write_bytes(damaged.tobytes())
        try:
            location = Location(tmp_path / "odd.feather")
            list(source.read(location, list(source.peek(location).columns), 100))
        except DataError:
            unreadable += 1
    assert unreadable > 30


def test_another_format_is_unreadable(tmp_path):
    (tmp_path / "text.feather").write_text("x,y\n1,2\n")
    assert mistakes(Location(tmp_path / "text.feather")) == ["unreadable-file"]
    assert mistakes(Location(tmp_path / "absent.feather")) == ["unreadable-file"]


def test_version_1_is_named(tmp_path):
    (tmp_path / "old.feather").write_bytes(b"FEA1" + bytes(100) + b"FEA1")
    assert mistakes(Location(tmp_path / "old.feather")) == ["old-feather"]


def test_columns_of_one_name_are_named(tmp_path):
    schema = pa.schema([("x", pa.int8()), ("x", pa.int8())])
    with ipc.new_file(tmp_path / "twice.arrow", schema) as file:
        file.write(pa.record_batch([pa.array([1], pa.int8())] * 2, schema))
    assert mistakes(Location(tmp_path / "twice.arrow")) == ["duplicate-columns"]


# ---------------------------------------------------------------- arrays of several axes, in Arrow files and in Parquet

PIXELS = np.arange(10 * 24, dtype=np.uint8).reshape(10, 4, 3, 2)


def nested(values):
    """Lists of lists of fixed lengths, as Polars writes arrays."""
    made = pa.array(values.reshape(-1))
    for size in reversed(values.shape[1:]):
        made = pa.FixedSizeListArray.from_arrays(made, size)
    return made


def tensors(values):
    storage = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values[0].size)
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(storage.type.value_type, values.shape[1:]), storage)


@pytest.fixture(params=["feather", "parquet"])
def written(request, tmp_path):
    """Writes a table, gives its header and the rows that were read, a few at a time."""
    module = importlib.import_module(f"automl_phys.sources.{request.param}")

    def write_and_read(table):
        path = tmp_path / f"a.{request.param}"
        if request.param == "feather":
            feather.write_feather(table, path, chunksize=4)
        else:
            parquet.write_table(table, path, row_group_size=4)
        header = module.peek(Location(path))
        return header, pa.concat_tables(module.read(Location(path), list(header.columns), 3))

    return write_and_read


@pytest.mark.parametrize("made", [nested, tensors])
def test_arrays_of_several_axes_are_one_list_with_a_shape(written, made):
    header, rows = written(pa.table({"n": range(10), "image": made(PIXELS), "grey": made(PIXELS[..., 0].copy())}))
    assert header.columns == {"n": "number", "image": "list", "grey": "list"}
    assert header.shapes == {"image": (4, 3, 2), "grey": (4, 3)}
    assert rows["image"].type == pa.list_(pa.uint8(), 24)
    assert np.array_equal(rows["image"].combine_chunks().flatten(), PIXELS.reshape(-1))
    assert np.array_equal(rows["grey"].combine_chunks().flatten(), PIXELS[..., 0].reshape(-1))


def test_lists_of_any_length_have_no_shape(written):
    table = pa.table({"alike": pa.array([[1.0, 2.0]] * 3), "deep": pa.array([[[1.0], [2.0]]] * 3),
                      "flags": nested(np.ones((3, 2, 2), bool)),
                      "words": pa.array([["a", "b"]] * 3, pa.list_(pa.string(), 2)),
                      "inner": pa.array([[[1.0], [2.0, 3.0]]] * 3, pa.list_(pa.list_(pa.float64()), 2))})
    header, rows = written(table)
    assert header.columns == {"alike": "list", "deep": "other", "flags": "list", "words": "other", "inner": "other"}
    assert header.shapes == {"flags": (2, 2)}
    assert rows["alike"].to_pylist() == [[1.0, 2.0]] * 3 and rows["flags"].to_pylist() == [[True] * 4] * 3


def test_a_row_is_missing_when_one_of_its_lists_is(written):
    image = pa.array([[[1, 2], [3, 4]], None, [[5, 6], None], [[7, None], [9, 8]]], pa.list_(pa.list_(pa.int8(), 2), 2))
    header, rows = written(pa.table({"image": image}))
    assert header.shapes == {"image": (2, 2)}
    assert rows["image"].to_pylist() == [[1, 2, 3, 4], None, None, [7, None, 9, 8]]
