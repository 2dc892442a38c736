"""Arrays that NumPy saved are read back equal, block by block; objects never are, and faults are named."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from automl_phys.contracts import Location
from automl_phys.errors import DataError
from automl_phys.sources import npz as source

ROWS = 50
rng = np.random.default_rng(0)
X, IMAGE = rng.normal(size=ROWS), rng.normal(size=(ROWS, 4, 3)).astype(np.float32)
WORDS = np.array(["qcd", "", "ünü", "top", "w"] * 10)
COLUMNS = {
    "x": X, "half": X.astype(np.float16), "big_endian": X.astype(">f4"), "n": np.arange(ROWS, dtype=np.uint8),
    "flag": X > 0, "word": WORDS, "bytes": np.char.encode(WORDS), "image": IMAGE, "fortran": np.asfortranarray(IMAGE),
    "when": np.arange(ROWS).astype("M8[us]"), "amplitude": X + 1j, "version": np.array(3)}
KINDS = {"x": "number", "half": "number", "big_endian": "number", "n": "number", "flag": "flag", "word": "text",
         "bytes": "text", "image": "list", "fortran": "list", "when": "time", "amplitude": "other"}
STRUCTURED = np.zeros(ROWS, [("pt", "f4"), ("η", "f8"), ("name", "U8"), ("image", "?", (2, 2)), ("inner", [("a", "i4")])])
STRUCTURED["pt"], STRUCTURED["η"], STRUCTURED["name"], STRUCTURED["image"][:, 0, 1] = X, X, WORDS, X > 0


class Opened:
    """Unpickling it makes a folder."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def read(path, chunk_rows=7, columns=None):
    """All rows, after a look at each chunk's size."""
    header = source.peek(Location(path))
    chunks = list(source.read(Location(path), columns or list(header.columns), chunk_rows))
    assert all(0 < len(chunk) <= chunk_rows for chunk in chunks)
    table = pa.concat_tables(chunks)
    assert len(table) == header.rows
    return table


def code(path):
    with pytest.raises(DataError) as caught:
        read(path)
    return [m.code for m in caught.value.mistakes]


@pytest.mark.parametrize("chunk_rows", [1, 7, 1000])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_side_by_side(tmp_path, save, chunk_rows):
    save(tmp_path / "a.npz", **COLUMNS)
    header = source.peek(Location(tmp_path / "a.npz"))
    assert (header.columns, header.rows) == (KINDS, ROWS)
    assert header.shapes == {"image": (4, 3), "fortran": (4, 3)}
    table = read(tmp_path / "a.npz", chunk_rows, ["word", *(name for name in KINDS if name != "word")])
    assert table.column_names[0] == "word"
    for name in ("x", "half", "big_endian", "n", "flag"):
        assert np.array_equal(table[name].to_numpy(), COLUMNS[name]), name
    assert table["word"].to_pylist() == table["bytes"].to_pylist() == list(WORDS)
    assert np.array_equal(table["when"].to_numpy(), COLUMNS["when"])
    assert table["amplitude"].null_count == ROWS
    for name in ("image", "fortran"):
        assert np.array_equal(np.reshape(table[name].to_pylist(), IMAGE.shape), IMAGE)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_two_axes_alone_are_taken_apart(tmp_path, name, order):
    values = np.asarray(rng.normal(size=(ROWS, 3)), order=order)
    if name == "a.npy":
        np.save(tmp_path / name, values)
    else:
        np.savez(tmp_path / name, features=values)
    names = {"a.npy": ["x0", "x1", "x2"], "a.npz": ["features_0", "features_1", "features_2"]}[name]
    table = read(tmp_path / name)
    assert table.column_names == names
    assert np.array_equal(np.stack([table[name] for name in names], 1), values)


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0:UserWarning")
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_structured_array_is_taken_apart(tmp_path, name):
    if name == "a.npy":
        np.save(tmp_path / name, STRUCTURED)  # its names make it a file of version 3
    else:
        np.savez_compressed(tmp_path / name, jets=STRUCTURED)
    header = source.peek(Location(tmp_path / name))
    assert header.columns == {"pt": "number", "η": "number", "name": "text", "image": "list", "inner": "other"}
    table = read(tmp_path / name)
    assert np.array_equal(table["pt"], STRUCTURED["pt"]) and np.array_equal(table["η"], X)
    assert table["name"].to_pylist() == list(WORDS)
    assert np.array_equal(np.reshape(table["image"].to_pylist(), (ROWS, 2, 2)), STRUCTURED["image"])


def test_one_axis_or_three_alone_are_one_column(tmp_path):
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "image.npy", IMAGE)
    assert np.array_equal(read(tmp_path / "a.npy")["x"], X)
    assert source.peek(Location(tmp_path / "image.npy")).shapes == {"x": (4, 3)}
    assert np.array_equal(np.reshape(read(tmp_path / "image.npy")["x"].to_pylist(), IMAGE.shape), IMAGE)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_format(tmp_path, version):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, X, version)
    assert np.array_equal(read(tmp_path / "a.npy")["x"], X)


def test_headers_alone_are_read_for_a_peek(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(100_000), n=np.zeros(100_000, np.int8))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[1000:700_000] = os.urandom(699_000)
    (tmp_path / "a.npz").write_bytes(content)
    assert source.peek(Location(tmp_path / "a.npz")).rows == 100_000
    assert code(tmp_path / "a.npz") == ["unreadable-file"]  # the sum over its bytes is wrong


def test_large_rows_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", image=np.zeros((100, 10, 10)), n=np.arange(100))
    monkeypatch.setattr("automl_phys.array_columns.BLOCK_BYTES", 20 * 808)
    chunks = list(source.read(Location(tmp_path / "a.npz"), ["image", "n"], 1000))
    assert [len(chunk) for chunk in chunks] == [20] * 5


def test_an_array_without_rows(tmp_path):
    np.save(tmp_path / "a.npy", np.empty((0, 2)))
    np.savez(tmp_path / "a.npz", x=np.empty(0), word=np.empty(0, "U3"))
    for name, columns in (("a.npy", ["x0", "x1"]), ("a.npz", ["x", "word"])):
        header = source.peek(Location(tmp_path / name))
        assert (list(header.columns), header.rows) == (columns, 0)
        assert list(source.read(Location(tmp_path / name), columns, 10)) == []


def test_objects_are_never_read(tmp_path):
    bombs = np.array([Opened(tmp_path / "executed")] * 3, dtype=object)
    mixed = np.array([(1.0, Opened(tmp_path / "executed"))] * 3, dtype=[("a", "f4"), ("b", object)])
    np.savez(tmp_path / "a.npz", x=np.arange(3), bombs=bombs, mixed=mixed, allow_pickle=True)
    assert source.peek(Location(tmp_path / "a.npz")).columns == {"x": "number", "bombs": "other", "mixed": "other"}
    table = read(tmp_path / "a.npz", 2)
    assert (table["x"].to_pylist(), table["bombs"].null_count, table["mixed"].null_count) == ([0, 1, 2], 3, 3)
    np.save(tmp_path / "a.npy", bombs, allow_pickle=True)
    assert source.peek(Location(tmp_path / "a.npy")).columns == {"x": "other"}
    assert read(tmp_path / "a.npy")["x"].null_count == 3
    assert not (tmp_path / "executed").exists()


def test_arrays_of_different_lengths_are_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(5), y=np.zeros((5, 2)), edges=np.zeros(9))
    with pytest.raises(DataError) as caught:
        source.peek(Location(tmp_path / "a.npz"))
    (found,) = caught.value.mistakes
    assert found.code == "mixed-lengths"
    assert "'edges' has 9" in found.text and "has 5 rows" in found.text


def test_nothing_with_rows_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", version=3)
    np.savez(tmp_path / "none.npz")
    np.save(tmp_path / "a.npy", 3)
    assert [code(tmp_path / name) for name in ("a.npz", "none.npz", "a.npy")] == [["no-table"]] * 3


def test_text_that_is_not_utf8_is_named(tmp_path):
    np.save(tmp_path / "a.npy", np.array([b"caf\xe9"]))
    assert code(tmp_path / "a.npy") == ["not-utf8"]


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_file_cut_off_anywhere_is_unreadable(tmp_path, name):
    if name == "a.npy":
        np.save(tmp_path / name, X)
    else:
        np.savez_compressed(tmp_path / name, **COLUMNS)
    content = (tmp_path / name).read_bytes()
    for size in np.linspace(0, len(content) - 1, 60).astype(int):
        (tmp_path / f"cut_{name}").write_bytes(content[:size])
        assert code(tmp_path / f"cut_{name}") == ["unreadable-file"], size


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_damaged_file_is_named_or_read(tmp_path, name):
    if name == "a.npy":
        np.save(tmp_path / name, STRUCTURED[["pt", "name"]][:3])
    else:
        np.savez_compressed(tmp_path / name, **{word: COLUMNS[word][:3] for word in ("x", "word", "fortran")})
    content = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
    damage = np.random.default_rng(1)
    unreadable = 0
    for _ in range(300):
        damaged = content.copy()
        damaged[damage.integers(0, len(content), 3)] = damage.integers(0, 256, 3)
        (tmp_path / name).write_bytes(damaged.tobytes())
        try:
            header = source.peek(Location(tmp_path / name))
            if header.rows < 1000:
                list(source.read(Location(tmp_path / name), list(header.columns), 100))
        except DataError:
            unreadable += 1
    assert unreadable > 100


def test_another_format_is_unreadable(tmp_path):
    for name in ("a.npy", "a.npz"):
        (tmp_path / name).write_text("x,y\n1,2\n")
        assert code(tmp_path / name) == ["unreadable-file"]
    assert code(tmp_path / "absent.npz") == ["unreadable-file"]
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("notes.txt", "hello")
        archive.writestr("x.npy", "hello")
    assert code(tmp_path / "other.npz") == ["unreadable-file"]


# ---------------------------------------------------------------- images

PIXELS = rng.integers(0, 256, (ROWS, 24, 20), dtype=np.uint8)
COLOURS = rng.integers(0, 256, (ROWS, 5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_keep_their_shape_and_their_integers(tmp_path, save, order):
    save(tmp_path / "a.npz", grey=np.asarray(PIXELS, order=order), colour=np.asarray(COLOURS, order=order))
    assert source.peek(Location(tmp_path / "a.npz")).shapes == {"grey": (24, 20), "colour": (5, 4, 3)}
    table = read(tmp_path / "a.npz")
    assert table["grey"].type == pa.list_(pa.uint8(), 480) and table["colour"].type == pa.list_(pa.uint8(), 60)
    assert np.array_equal(table["grey"].combine_chunks().flatten(), PIXELS.reshape(-1))
    assert np.array_equal(table["colour"].combine_chunks().flatten(), COLOURS.reshape(-1))


@pytest.mark.parametrize("order", ["C", "F"])
def test_images_alone_in_an_npy_file(tmp_path, order):
    np.save(tmp_path / "a.npy", np.asarray(COLOURS, order=order))
    assert source.peek(Location(tmp_path / "a.npy")).shapes == {"x": (5, 4, 3)}
    table = read(tmp_path / "a.npy")
    assert table["x"].type == pa.list_(pa.uint8(), 60)
    assert np.array_equal(table["x"].combine_chunks().flatten(), COLOURS.reshape(-1))
