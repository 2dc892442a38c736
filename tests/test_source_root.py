"""ROOT files: read back as they were written, and named when they cannot be."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from automl_phys import registry
from automl_phys.contracts import Location
from automl_phys.errors import DataError

ROWS = 1000


def columns():
    rng = np.random.default_rng(0)
    counts = rng.poisson(2, ROWS)
    return {"pt": rng.exponential(size=ROWS).astype(np.float32), "n": rng.integers(0, 9, ROWS).astype(np.int32),
            "good": rng.random(ROWS) < 0.5, "image": rng.normal(size=(ROWS, 2, 3)),
            "jet_pt": ak.unflatten(rng.normal(size=counts.sum()).astype(np.float32), counts)}


def source():
    return registry.load("sources", "root")


def whole(location, names, chunk_rows):
    import pyarrow as pa

    chunks = list(source().read(location, names, chunk_rows))
    assert max(chunk.num_rows for chunk in chunks) <= chunk_rows
    return pa.concat_tables(chunks)


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "events.root"
    made = columns()
    with uproot.recreate(path) as file:
        types = {"pt": "f4", "n": "i4", "good": "?", "image": ("f8", (2, 3)), "jet_pt": "var * float32"}
        events = file.mktree("dir/events", {name: np.dtype(t) if name != "jet_pt" else t for name, t in types.items()})
        for start in range(0, ROWS, 300):
            events.extend({name: values[start:start + 300] for name, values in made.items()})
        file["counts"] = np.histogram(made["pt"])
    return path


@pytest.mark.parametrize("chunk_rows", [64, 300, 5000])
def test_what_was_written_is_read(tree, chunk_rows):
    made = columns()
    for location in (Location(tree), Location(tree, "dir/events")):
        header = source().peek(location)
        assert header.rows == ROWS
        kinds = {name: header.columns[name] for name in made}
        assert kinds == {"pt": "number", "n": "number", "good": "flag", "image": "list", "jet_pt": "list"}
        assert header.shapes == {"image": (2, 3)}
        table = whole(location, ["jet_pt", "good", "pt", "n", "image"], chunk_rows)
        for name in ("pt", "n", "good"):
            assert np.array_equal(table[name].to_numpy(), made[name])
        assert table["jet_pt"].to_pylist() == ak.to_list(made["jet_pt"])
        assert np.array_equal(np.array(table["image"].to_pylist()), made["image"].reshape(ROWS, 6))


def test_an_rntuple_is_read(tmp_path):
    made = {"pt": np.arange(7.0), "name": ["a", "bc", "", "d", "e", "f", "g"], "n": np.arange(7) % 3 == 0,
            "p4": np.arange(28, dtype=np.float32).reshape(7, 4), "image": np.arange(42.0).reshape(7, 2, 3),
            "jet_pt": ak.unflatten(np.arange(9.0), [0, 2, 1, 3, 0, 0, 3])}
    with uproot.recreate(tmp_path / "new.root") as file:
        file.mkrntuple("events", made | {"name": ak.Array(made["name"])})
    location = Location(tmp_path / "new.root")
    header = source().peek(location)
    assert header.columns == {"pt": "number", "name": "text", "n": "flag", "p4": "list", "image": "list",
                              "jet_pt": "list"}
    assert header.shapes == {"p4": (4,), "image": (2, 3)}
    table = whole(location, list(made), 3)
    assert table["pt"].to_pylist() == made["pt"].tolist() and table["name"].to_pylist() == made["name"]
    assert table["n"].to_pylist() == made["n"].tolist() and table["jet_pt"].to_pylist() == ak.to_list(made["jet_pt"])
    assert np.array_equal(table["p4"].to_pylist(), made["p4"])
    assert np.array_equal(table["image"].to_pylist(), made["image"].reshape(7, 6))


@pytest.mark.parametrize(("inside", "code"), [("event", "no-such-tree"), ("counts", "not-a-tree")])
def test_a_wrong_name_is_told(tree, inside, code):
    with pytest.raises(DataError) as caught:
        source().peek(Location(tree, inside))
    assert caught.value.mistakes[0].code == code


def test_several_trees_must_be_told_apart(tmp_path):
    with uproot.recreate(tmp_path / "two.root") as file:
        for name in ("a", "b"):
            file.mktree(name, {"x": np.dtype("f8")}).extend({"x": np.arange(3.0)})
    with pytest.raises(DataError) as caught:
        source().peek(Location(tmp_path / "two.root"))
    assert caught.value.mistakes[0].code == "which-tree"
    assert source().peek(Location(tmp_path / "two.root", "b")).rows == 3


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_named(tree, tmp_path, kept):
    content = tree.read_bytes()
    cut = tmp_path / "cut.root"
    cut.write_bytes(content[:int(kept * len(content))])
    with pytest.raises(DataError) as caught:
        whole(Location(cut), ["pt", "jet_pt"], 100)
    assert caught.value.mistakes[0].code in {"unreadable-file", "no-tree"}


def test_a_text_is_no_root_file(tmp_path):
    (tmp_path / "notes.root").write_text("hello" * 100)
    with pytest.raises(DataError) as caught:
        source().peek(Location(tmp_path / "notes.root"))
    assert caught.value.mistakes[0].code == "unreadable-file"


# ---------------------------------------------------------------- images

IMAGES = {"image": np.arange(20 * 24 * 24, dtype=np.float32).reshape(20, 24, 24),
          "grey": (np.arange(20 * 12) % 256).astype(np.uint8).reshape(20, 4, 3),
          "colour": (np.arange(20 * 60) % 251).astype(np.uint16).reshape(20, 5, 4, 3),
          "mask": (np.arange(20 * 6) % 5 == 0).reshape(20, 3, 2)}


@pytest.mark.parametrize("kind", ["mktree", "mkrntuple"])
@pytest.mark.parametrize("chunk_rows", [7, 100])
def test_images_keep_their_shape_and_their_integers(tmp_path, kind, chunk_rows):
    import pyarrow as pa

    path = tmp_path / "images.root"
    with uproot.recreate(path) as file:
        if kind == "mktree":
            file.mktree("jets", {name: (values.dtype, values.shape[1:]) for name, values in IMAGES.items()})
            file["jets"].extend(IMAGES)
        else:
            file["jets"] = IMAGES
    header = source().peek(Location(path))
    assert header.columns == dict.fromkeys(IMAGES, "list")
    assert header.shapes == {name: values.shape[1:] for name, values in IMAGES.items()}
    table = whole(Location(path), list(IMAGES), chunk_rows)
    for name, values in IMAGES.items():
        assert table[name].type == pa.list_(pa.from_numpy_dtype(values.dtype), values[0].size)
        assert np.array_equal(table[name].combine_chunks().flatten().to_numpy(zero_copy_only=False), values.reshape(-1))


@pytest.mark.parametrize(("told", "expected"), [
    ("std::array<float,24>", ("list", (24,))), ("std::array<std::array<std::uint8_t,3>,2>", ("list", (2, 3))),
    ("std::array<std::vector<float>,2>", ("other", ())), ("std::array<std::string,2>", ("other", ())),
    ("std::vector<std::array<float,2>>", ("other", ())), ("std::array<float>", ("other", ())),
    ("std::vector<float>", ("list", ())), ("float[24][24]", ("list", (24, 24)))])
def test_types_of_arrays(told, expected):
    class Branch:
        typename = told

    assert source()._kind(Branch) == expected
