"""What h5py, PyTables and pandas write is read back equal, block by block; what cannot be read is named."""

from __future__ import annotations

import os
import pickle
import warnings

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tables

from automl_phys.contracts import Location
from automl_phys.errors import DataError
from automl_phys.sources import hdf5 as source

ROWS = 50
rng = np.random.default_rng(0)
X, IMAGE = rng.normal(size=ROWS), rng.normal(size=(ROWS, 4, 3)).astype(np.float32)
NAMES = [("qcd", "", "ünü", "top")[i % 4] for i in range(ROWS)]
FRAME = pd.DataFrame({
    "x": X, "y": -X, "n": np.arange(ROWS), "small": X.astype(np.float32), "flag": np.arange(ROWS) % 3 == 0,
    "when": pd.date_range("2020-01-01", periods=ROWS)})
FRAME_KINDS = {"x": "number", "y": "number", "n": "number", "small": "number", "flag": "flag", "when": "time"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.h5"


def read(path, inside="", chunk_rows=7, columns=None):
    """All rows, after a look at each chunk's size."""
    location = Location(path, inside)
    header = source.peek(location)
    chunks = list(source.read(location, columns or list(header.columns), chunk_rows))
    assert all(0 < len(chunk) <= chunk_rows for chunk in chunks)
    table = pa.concat_tables(chunks)
    assert len(table) == header.rows
    return table


def mistake(path, inside=""):
    with pytest.raises(DataError) as caught:
        read(path, inside)
    (found,) = caught.value.mistakes
    return found


def equal(table, frame):
    assert set(table.column_names) == {str(name) for name in frame.columns}
    for name in frame.columns:
        values = table[str(name)].to_pandas().to_numpy()
        assert values.dtype.kind == frame[name].to_numpy().dtype.kind
        assert np.array_equal(values, frame[name].to_numpy()), name


def write_columns(path, group="", **options):
    with h5py.File(path, "a") as file:
        place = file.require_group(group or "/")
        place.create_dataset("x", data=X, **options)
        place.create_dataset("big_endian", data=X.astype(">f4"), **options)
        place.create_dataset("half", data=X.astype(np.float16), **options)
        place.create_dataset("n", data=np.arange(ROWS, dtype=np.uint8), **options)
        place.create_dataset("flag", data=X > 0, **options)
        place.create_dataset("word", data=NAMES, dtype=h5py.string_dtype(), **options)
        place.create_dataset("fixed", data=np.array([name.encode() for name in NAMES]), **options)
        place.create_dataset("image", data=IMAGE, **options)
        place["version"] = 3


# ---------------------------------------------------------------- h5py

@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}], ids=["plain", "gzip"])
@pytest.mark.parametrize("group", ["", "a/jets"])
def test_a_group_of_columns(path, group, options, chunk_rows):
    write_columns(path, group, **options)
    header = source.peek(Location(path))
    assert header.columns == {"x": "number", "big_endian": "number", "half": "number", "n": "number", "flag": "flag",
                              "word": "text", "fixed": "text", "image": "list"}
    assert (header.rows, header.shapes) == (ROWS, {"image": (4, 3)})
    for inside in ("", group or "/", "/" + group, group.partition("/")[0]):
        table = read(path, inside, chunk_rows)
        assert np.array_equal(table["x"], X)
        assert np.array_equal(table["big_endian"], X.astype(np.float32))
        assert np.array_equal(table["half"], X.astype(np.float16).astype(np.float32))
        assert table["n"].to_pylist() == list(range(ROWS))
        assert table["flag"].to_pylist() == list(X > 0)
        assert table["word"].to_pylist() == table["fixed"].to_pylist() == NAMES
        assert np.array_equal(np.reshape(table["image"].to_pylist(), IMAGE.shape), IMAGE)


def test_only_the_columns_asked_for_are_given_in_their_order(path):
    write_columns(path)
    assert read(path, columns=["word", "x"]).column_names == ["word", "x"]


@pytest.mark.parametrize("chunk_rows", [3, 100])
def test_a_compound_dataset(path, chunk_rows):
    kind = np.dtype([("pt", "f4"), ("flag", "?"), ("name", "S8"), ("word", h5py.string_dtype()), ("image", ">f8", (2, 2)),
                     ("inner", [("a", "i4")]), ("amplitude", "c16")])
    rows = np.zeros(ROWS, kind)
    rows["pt"], rows["flag"], rows["word"], rows["name"] = X, X > 0, NAMES, [name.encode() for name in NAMES]
    rows["image"] = IMAGE[:, :2, :2]
    with h5py.File(path, "w") as file:
        file["jets"] = rows
    header = source.peek(Location(path))
    assert header.columns == {"pt": "number", "flag": "flag", "name": "text", "word": "text", "image": "list",
                              "inner": "other", "amplitude": "other"}
    assert header.shapes == {"image": (2, 2)}
    table = read(path, chunk_rows=chunk_rows)
    assert np.array_equal(table["pt"], X.astype(np.float32))
    assert table["flag"].to_pylist() == list(X > 0)
    assert table["name"].to_pylist() == table["word"].to_pylist() == NAMES
    assert np.array_equal(np.reshape(table["image"].to_pylist(), (ROWS, 2, 2)), IMAGE[:, :2, :2])
    assert table["inner"].null_count == table["amplitude"].null_count == ROWS
    assert len(read(path, columns=["inner"])) == ROWS


def test_a_compound_dataset_with_several_objects_in_a_row(path):
    rows = np.zeros((ROWS, 5), [("pt", "f4"), ("valid", "?"), ("name", "S3")])
    rows["pt"] = rng.normal(size=(ROWS, 5))
    with h5py.File(path, "w") as file:
        file["tracks"] = rows
    assert source.peek(Location(path)).shapes == {"pt": (5,), "valid": (5,)}
    assert np.array_equal(read(path, "tracks")["pt"].to_pylist(), rows["pt"])


def test_an_array_of_two_axes_is_taken_apart_when_it_is_alone_or_named(path):
    values = rng.normal(size=(ROWS, 3))
    with h5py.File(path, "w") as file:
        file["events"] = values
    names = ["events_0", "events_1", "events_2"]
    table = read(path)
    assert table.column_names == names
    assert np.array_equal(np.stack([table[name] for name in names], 1), values)
    with h5py.File(path, "a") as file:
        file["label"] = np.arange(ROWS)
    assert source.peek(Location(path)).columns == {"events": "list", "label": "number"}
    assert read(path, "events", columns=["events_2", "events_0"]).column_names == ["events_2", "events_0"]
    assert read(path, "label").column_names == ["label"]


def test_an_array_of_images_alone_is_a_list(path):
    with h5py.File(path, "w") as file:
        file["images"] = IMAGE
    assert source.peek(Location(path)).shapes == {"images": (4, 3)}
    assert np.array_equal(np.reshape(read(path)["images"].to_pylist(), IMAGE.shape), IMAGE)


def test_arrays_of_any_length_are_lists_without_a_shape(path):
    lists = [np.arange(i % 4, dtype=np.float32) for i in range(ROWS)]
    with h5py.File(path, "w") as file:
        jets = file.create_dataset("jets", ROWS, h5py.vlen_dtype(np.float32))
        for i, row in enumerate(lists):
            jets[i] = row
        file["references"] = np.array([jets.ref] * ROWS, h5py.ref_dtype)
    header = source.peek(Location(path))
    assert (header.columns, header.shapes) == ({"jets": "list", "references": "other"}, {})
    for chunk_rows in (1, 100):
        assert read(path, chunk_rows=chunk_rows)["jets"].to_pylist() == [list(row) for row in lists]


def test_text_padded_with_blanks(path):
    with h5py.File(path, "w") as file:
        padded = h5py.h5t.C_S1.copy()
        padded.set_size(6)
        padded.set_strpad(h5py.h5t.STR_SPACEPAD)
        words = h5py.h5d.create(file.id, b"words", padded, h5py.h5s.create_simple((2,)))
        words.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([b"ab    ", b"abcdef"]), mtype=padded)
    assert read(path)["words"].to_pylist() == ["ab", "abcdef"]


def test_large_rows_are_read_a_few_at_a_time_in_whole_chunks_of_the_file(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=rng.normal(size=(100, 10, 10)), chunks=(8, 10, 10))
    monkeypatch.setattr("automl_phys.hdf5_arrays.BLOCK_BYTES", 20 * 800)
    chunks = list(source.read(Location(path), ["images"], 1000))
    assert [len(chunk) for chunk in chunks] == [16] * 6 + [4]


def test_no_rows(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.empty(0))
        file.create_dataset("word", data=np.empty(0, object), dtype=h5py.string_dtype())
    header = source.peek(Location(path))
    assert (header.columns, header.rows) == ({"x": "number", "word": "text"}, 0)
    assert list(source.read(Location(path), ["x", "word"], 10)) == []


# ---------------------------------------------------------------- PyTables

@pytest.mark.parametrize("complib", ["zlib", "blosc", "blosc:zstd", "blosc2", "blosc2:lz4", "bzip2"])
def test_a_table_of_pytables(path, complib):
    class Jet(tables.IsDescription):
        pt = tables.Float32Col(pos=0)
        flag = tables.BoolCol(pos=1)
        name = tables.StringCol(8, pos=2)
        image = tables.Float32Col(shape=(4, 3), pos=3)
        bits = tables.BoolCol(shape=(3,), pos=4)

    with tables.open_file(path, "w", filters=tables.Filters(5, complib)) as file:
        jets = file.create_table("/group", "jets", Jet, createparents=True)
        for i in range(ROWS):
            row = jets.row
            row["pt"], row["flag"], row["name"], row["image"] = X[i], X[i] > 0, NAMES[i].encode(), IMAGE[i]
            row["bits"] = [True, False, X[i] > 0]
            row.append()
        jets.flush()
        jets.cols.pt.create_index()
    for inside in ("", "group/jets", "/group"):
        header = source.peek(Location(path, inside))
        assert header.columns == {"pt": "number", "flag": "flag", "name": "text", "image": "list", "bits": "list"}
        table = read(path, inside)
        assert np.array_equal(table["pt"], X.astype(np.float32))
        assert table["flag"].to_pylist() == [bits[2] for bits in table["bits"].to_pylist()] == list(X > 0)
        assert table["name"].to_pylist() == NAMES
        assert np.array_equal(np.reshape(table["image"].to_pylist(), IMAGE.shape), IMAGE)


def test_arrays_of_pytables(path):
    with tables.open_file(path, "w") as file:
        file.create_array("/", "x", X)
        file.create_carray("/", "flag", obj=X > 0)
        file.create_earray("/", "n", obj=np.arange(ROWS))
        file.create_vlarray("/", "objects", tables.ObjectAtom()).append({"of": "no interest"})
    assert source.peek(Location(path)).columns == {"flag": "flag", "n": "number", "x": "number"}
    assert read(path)["flag"].to_pylist() == list(X > 0)


# ---------------------------------------------------------------- pandas

@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
@pytest.mark.parametrize("options", [
    {"format": "fixed"}, {"format": "fixed", "complevel": 5, "complib": "blosc"}, {"format": "table"},
    {"format": "table", "data_columns": True}, {"format": "table", "data_columns": ["n"]},
    {"format": "table", "complevel": 5, "complib": "blosc:zstd"}], ids=str)
def test_a_frame_of_pandas(path, options, chunk_rows):
    FRAME.to_hdf(path, key="df", mode="w", **options)
    header = source.peek(Location(path))
    assert header.columns == FRAME_KINDS
    assert not header.shapes
    equal(read(path, "df", chunk_rows), FRAME)
    equal(read(path, "", chunk_rows, ["y", "when"]), FRAME[["y", "when"]])


@pytest.mark.parametrize("data_columns", [True, None])
@pytest.mark.parametrize("missing", ["(none)", None])
def test_texts_and_categories_in_a_table_of_pandas(path, data_columns, missing):
    frame = pd.DataFrame({
        "word": pd.Series(["qcd", None, "ünü"]), "name": pd.Series(["a", "b", "nan"], dtype=object),
        "process": pd.Categorical(["top", None, "qcd"]), "year": pd.Categorical([2017, 2018, 2017])})
    frame.to_hdf(path, key="df", format="table", data_columns=data_columns, nan_rep=missing)
    table = read(path, chunk_rows=2)
    assert set(source.peek(Location(path)).columns.values()) == {"text"}
    assert table["word"].to_pylist() == ["qcd", None, "ünü"]
    assert table["name"].to_pylist() == ["a", "b", "nan" if missing else None]  # as pandas reads it
    assert table["process"].to_pylist() == ["top", None, "qcd"]
    assert table["year"].to_pylist() == ["2017", "2018", "2017"]


@pytest.mark.parametrize("layout", ["fixed", "table"])
def test_columns_without_names_are_called_by_their_number(path, layout):
    frame = pd.DataFrame(rng.normal(size=(ROWS, 15)))  # as the files of the LHC Olympics are
    frame.to_hdf(path, key="df", format=layout)
    assert list(source.peek(Location(path)).columns) == [str(j) for j in range(15)]
    equal(read(path), frame)


@pytest.mark.parametrize("layout", ["fixed", "table"])
def test_series_and_what_is_below_a_frame(path, layout):
    pd.Series(X).to_hdf(path, key="a", format=layout)
    FRAME.to_hdf(path, key="a/b", format=layout)
    assert "a, a/b" in mistake(path).text
    assert read(path, "a")["values"].to_pylist() == list(X)
    equal(read(path, "a/b"), FRAME)


def test_an_index_of_several_levels_leaves_its_levels_as_columns(path):
    FRAME.set_index(["n", "x"]).to_hdf(path, key="df", format="table")
    equal(read(path), FRAME)


@pytest.mark.parametrize("layout", ["fixed", "table"])
def test_pickled_text_in_blocks_is_of_a_type_that_is_not_read(path, layout):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        pd.DataFrame({"x": X, "word": pd.Series(NAMES, dtype=object)}).to_hdf(path, key="df", format=layout)
    kind = {"fixed": "other", "table": "text"}[layout]
    assert source.peek(Location(path)).columns == {"x": "number", "word": kind}
    assert read(path)["word"].to_pylist() == ([None] * ROWS if kind == "other" else NAMES)


def test_an_empty_frame_has_columns(path):
    FRAME[:0].to_hdf(path, key="df")
    header = source.peek(Location(path))
    assert (set(header.columns), header.rows) == (set(FRAME.columns), 0)


@pytest.mark.parametrize("frame", [
    pd.DataFrame(np.ones((2, 2)), columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])),
    pd.DataFrame(np.ones((2, 2)), columns=["a", 1])], ids=["levels", "pickled names"])
def test_frames_that_are_not_read_are_named(path, frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        frame.to_hdf(path, key="df", format="fixed")
    assert mistake(path).code == "unsupported-layout"


def test_columns_of_one_name_are_named(path):
    FRAME.to_hdf(path, key="df")
    with h5py.File(path, "a") as file:
        del file["df/block0_items"]
        file["df/block0_items"] = [b"n", b"n"]
    assert mistake(path).code == "duplicate-columns"


class Malicious:
    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pickle_is_never_executed(path, tmp_path, protocol, wrapped):
    FRAME.to_hdf(path, key="df", format="table")
    bomb = Malicious(tmp_path / "executed")
    with h5py.File(path, "a") as file:
        attributes = file["df/table"].attrs
        del attributes["values_block_0_kind"]
        attributes["values_block_0_kind"] = np.void(pickle.dumps(["x", "y", bomb] if wrapped else bomb, protocol))
    assert mistake(path).code == "unsupported-layout"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_lists_of_names_are_read_off_every_protocol(path, protocol):
    FRAME.to_hdf(path, key="df", format="table")
    with h5py.File(path, "a") as file:
        file["df/table"].attrs["values_block_0_kind"] = np.void(pickle.dumps(["ä", 12], protocol))
    assert {"ä", "12"} <= set(source.peek(Location(path)).columns)


@pytest.mark.parametrize("names", [b"", b"(lp0\nVx", b"no pickle", pickle.dumps([["x"], "y"]), pickle.dumps("x"),
                                   pickle.dumps(["x"]), pickle.dumps({"x": 1})])
def test_other_pickles_are_named(path, names):
    FRAME.to_hdf(path, key="df", format="table")
    with h5py.File(path, "a") as file:
        file["df/table"].attrs["values_block_0_kind"] = np.void(names or b" ")
    assert mistake(path).code == "unsupported-layout"


# ---------------------------------------------------------------- mistakes

def test_several_tables_are_listed(path):
    FRAME.to_hdf(path, key="df")
    write_columns(path, "jets")
    with h5py.File(path, "a") as file:
        file["raw/hits"] = np.zeros(3, [("t", "f4")])
        file["time"] = np.arange(5)
    found = mistake(path)
    assert found.code == "which-table"
    assert "df, jets, raw/hits, /" in found.text
    assert "events.h5:df" in found.remedy
    assert read(path, "/").column_names == ["time"]
    assert len(read(path, "jets")) == ROWS
    assert len(read(path, "raw")) == 3
    equal(read(path, "/df/"), FRAME)


@pytest.mark.parametrize("inside", ["jet", "jets/pt/", "jets/version", "jets/missing", "empty"])
def test_a_table_that_is_not_there_is_named(path, inside):
    write_columns(path, "jets")
    with h5py.File(path, "a") as file:
        file.create_group("empty")
        file["jets/missing"] = h5py.SoftLink("/nowhere")
    found = mistake(path, inside)
    assert found.code == "no-such-table"
    assert ("Did you mean 'jets'?" in found.text) == (inside in {"jet", "jets/pt/"})
    assert found.remedy == "Tables: jets."


def test_a_file_without_a_table_is_named(path):
    with h5py.File(path, "w") as file:
        file["settings/version"] = 1
    assert mistake(path).code == "no-table"
    assert mistake(path, "settings").code == "no-such-table"


def test_columns_of_different_lengths_are_named(path):
    write_columns(path)
    with h5py.File(path, "a") as file:
        file["edges"] = np.arange(5)
    found = mistake(path)
    assert found.code == mistake(path, "/").code == "mixed-lengths"
    assert "'edges' has 5" in found.text and f"has {ROWS}," in found.text
    assert len(read(path, "x")) == ROWS


def test_values_in_other_files_are_not_followed(path, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(range(80)))
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10,), "f8", external=[(str(tmp_path / "secret"), 0, 80)])
    assert mistake(path).code == "data-elsewhere"
    write_columns(tmp_path / "other.h5", "jets")
    with h5py.File(path, "w") as file:
        virtual = h5py.VirtualLayout((ROWS,), "f8")
        virtual[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "jets/x", (ROWS,))
        file.create_virtual_dataset("x", virtual)
    assert mistake(path).code == "data-elsewhere"
    with h5py.File(path, "w") as file:
        file["jets"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "jets")
    assert mistake(path).code == "no-table"
    assert mistake(path, "jets").code == mistake(path, "jets/x").code == "data-elsewhere"


def test_a_missing_filter_is_named(path, monkeypatch):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=X, chunks=True, compression="lzf")
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: code != h5py.h5z.FILTER_LZF)
    found = mistake(path)
    assert found.code == "missing-filter"
    assert "32000" in found.text and "lzf" in found.text and "h5repack" in found.remedy


def test_text_that_is_not_utf8_is_named(path):
    with h5py.File(path, "w") as file:
        file["word"] = np.array([b"caf\xe9"])
    assert mistake(path).code == "not-utf8"


def made_files(folder):
    write_columns(folder / "columns.h5", "jets", chunks=True, compression="gzip")
    FRAME.to_hdf(folder / "fixed.h5", key="df")
    FRAME.to_hdf(folder / "table.h5", key="df", format="table", data_columns=["n"])
    with h5py.File(folder / "new.h5", "w", libver="latest") as file:
        file["jets"] = np.zeros(100, [("x", "f4"), ("name", h5py.string_dtype())][:1])
    return [folder / name for name in ("columns.h5", "fixed.h5", "table.h5", "new.h5")]


def test_a_file_cut_off_anywhere_is_unreadable(tmp_path, path):
    for file in made_files(tmp_path):
        content = file.read_bytes()
        for size in np.linspace(0, len(content) - 1, 60).astype(int):
            path.write_bytes(content[:size])
            assert mistake(path).code == "unreadable-file", (file.name, size)


def test_a_damaged_file_is_named_or_read(tmp_path, path):
    damage = np.random.default_rng(1)
    unreadable = 0
    for file in made_files(tmp_path):
        content = np.frombuffer(file.read_bytes(), np.uint8)
        for _ in range(50):
            damaged = content.copy()
            damaged[damage.integers(0, min(len(content), 8000), 8)] = damage.integers(0, 256, 8)
            path.write_bytes(damaged.tobytes())
            try:
                location = Location(path)
                if source.peek(location).rows < 1000:
                    list(source.read(location, list(source.peek(location).columns), 100))
            except DataError:
                unreadable += 1
    assert unreadable > 50


def test_another_format_is_unreadable(path):
    path.write_text("x,y\n1,2\n")
    assert mistake(path).code == "unreadable-file"
    assert mistake(path.with_name("absent.h5")).code == "unreadable-file"


# ---------------------------------------------------------------- images

@pytest.mark.parametrize("options", [{}, {"chunks": (5, 12, 20), "compression": "gzip"}], ids=["plain", "gzip"])
def test_images_keep_their_shape_and_their_integers(path, options):
    grey = rng.integers(0, 256, (ROWS, 24, 20), dtype=np.uint8)
    colour = rng.integers(0, 256, (ROWS, 5, 4, 3), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("jets/grey", data=grey, **options)
        file["jets/colour"], file["jets/label"] = colour, np.arange(ROWS) % 2
        file["alone/colour"] = colour
    for inside, shapes in (("jets", {"grey": (24, 20), "colour": (5, 4, 3)}), ("jets/grey", {"grey": (24, 20)}),
                           ("alone", {"colour": (5, 4, 3)}), ("alone/colour", {"colour": (5, 4, 3)})):
        assert source.peek(Location(path, inside)).shapes == shapes
        table = read(path, inside)
        for name, values in (("grey", grey), ("colour", colour)):
            if name in shapes:
                assert table[name].type == pa.list_(pa.uint8(), np.prod(shapes[name]))
                assert np.array_equal(table[name].combine_chunks().flatten(), values.reshape(-1))
