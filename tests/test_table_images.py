"""Images of a table: how they lie is found or said, they are stored as they are, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl_phys import table
from automl_phys.errors import DataError
from automl_phys.sections import AmountsTable, LabelledTable

N = 180
GREY = (5, 6)
RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 2, N)


def pixels(*shape: int, kind: type = np.uint8, n: int = N) -> Any:
    return np.random.default_rng(1).integers(0, 256, (n, *shape)).astype(kind)


def store(folder: Path, images: Any, name: str = "data.npz", **others: Any) -> Path:
    np.savez(folder / name, jet=images, **({"label": LABEL} | others))
    return folder / name


def options(**changed: Any) -> LabelledTable:
    given = {"path": "data.npz", "target": "label", "images": "jet"} | changed
    return LabelledTable.model_validate({key: value for key, value in given.items() if value is not None})


def prepared(folder: Path, pictures: Any, others: dict[str, Any] | None = None, **changed: Any) -> Any:
    store(folder, pictures, **(others or {}))
    return table.prepare(options(**changed), folder, folder / "problem", 3)


def mistakes(folder: Path, pictures: Any, others: dict[str, Any] | None = None, **changed: Any) -> Any:
    with pytest.raises(DataError) as caught:
        prepared(folder, pictures, others, **changed)
    assert not (folder / "problem").exists()
    assert all(m.remedy and m.key[:1] == ("data",) for m in caught.value.mistakes)
    return caught.value.mistakes


def same(problem: Any, expected: Any) -> None:
    """Each part holds the images of its own rows."""
    seen = 0
    for part in ("train", "valid", "test"):
        rows, at = getattr(problem, part), problem.carried(part)["row"].to_numpy()
        assert rows.images.dtype == expected.dtype
        assert np.array_equal(rows.images, expected[at])
        assert np.array_equal(rows.target, LABEL[at])
        seen += len(at)
    assert seen == sum(problem.facts().rows.values())


# ---------------------------------------------------------------- how they lie

@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_grey_images_are_stored_as_they_are(tmp_path: Path, kind: type) -> None:
    images = pixels(*GREY, kind=kind)
    problem = prepared(tmp_path, images)
    same(problem, images[..., None])
    sizes = problem.facts().sizes
    assert (problem.facts().kind, sizes["height"], sizes["width"], sizes["channels"]) == ("images", 5, 6, 1)
    assert (sizes["columns"], sizes["numbers"]) == (30, 0)
    assert not problem.train.images.flags.owndata, "a view of the mapped file"


def test_what_look_tells_is_what_prepare_makes(tmp_path: Path) -> None:
    problem = prepared(tmp_path, pixels(7, 6, 3))
    assert table.look(options(), tmp_path, 3) == problem.facts()


@pytest.mark.parametrize(("inside", "channels"), [
    ((5, 6, 3), "auto"), ((3, 5, 6), "auto"), ((3, 5, 6), "first"), ((5, 6, 3), "last"), ((3, 4, 4), "first"),
    ((3, 4, 4), "last")])
def test_channels_are_found_or_said_and_stored_last(tmp_path: Path, inside: tuple[int, ...], channels: str) -> None:
    images = pixels(*inside)
    first = channels == "first" or (channels == "auto" and inside[0] == 3)
    problem = prepared(tmp_path, images, images={"column": "jet", "channels": channels})
    same(problem, np.moveaxis(images, 1, 3) if first else images)


@pytest.mark.parametrize("inside", [(3, 6, 4), (5, 6, 7), (3, 4, 4)])
def test_which_side_counts_the_channels_may_not_be_plain(tmp_path: Path, inside: tuple[int, ...]) -> None:
    (found,) = mistakes(tmp_path, pixels(*inside))
    assert found.code == "image-shape"
    assert "counts the channels of 'jet' is not plain" in found.text and "channels: last" in found.remedy


@pytest.mark.parametrize(("shape", "channels"), [((5, 6), "auto"), ((3, 5, 2), "first"), ((5, 2, 3), "auto")])
def test_flat_lists_are_laid_out_as_said(tmp_path: Path, shape: tuple[int, ...], channels: str) -> None:
    flat = pixels(30)
    problem = prepared(tmp_path, flat, images={"column": "jet", "shape": list(shape), "channels": channels})
    images = flat.reshape(N, *shape)
    same(problem, images[..., None] if len(shape) == 2 else np.moveaxis(images, 1, 3) if channels == "first" else images)


@pytest.mark.parametrize("kind", [np.float64, np.int16, np.uint16])
def test_other_numbers_become_floats(tmp_path: Path, kind: type) -> None:
    images = pixels(*GREY, kind=kind)
    same(prepared(tmp_path, images), images[..., None].astype(np.float32))


def test_lists_of_a_parquet_file_are_images(tmp_path: Path) -> None:
    images = pixels(*GREY)
    column = pa.array([list(image.ravel()) for image in images], pa.list_(pa.uint8()))
    pq.write_table(pa.table({"jet": column, "label": LABEL}), tmp_path / "data.parquet")
    asked = options(path="data.parquet", images={"column": "jet", "shape": [5, 6]})
    same(table.prepare(asked, tmp_path, tmp_path / "problem", 3), images[..., None])


# ---------------------------------------------------------------- beside other columns

def test_a_cut_and_a_split_take_the_images_with_them(tmp_path: Path) -> None:
    images, pt = pixels(*GREY), np.arange(N, dtype=np.float32)
    fold = np.where(np.arange(N) % 3 == 0, "test", np.where(np.arange(N) % 3 == 1, "train", "valid"))
    problem = prepared(tmp_path, images, {"pt": pt, "fold": fold}, cut="pt >= 30", split={"by": {"column": "fold"}})
    same(problem, images[..., None])
    for part, remainder in (("test", 0), ("train", 1), ("valid", 2)):
        at = problem.carried(part)["row"].to_numpy()
        assert (at >= 30).all() and (at % 3 == remainder).all() and len(at) == 50


def test_features_stand_beside_images_where_they_are_named(tmp_path: Path) -> None:
    x = RNG.normal(size=N).astype(np.float32)
    problem = prepared(tmp_path, pixels(*GREY), {"x": x, "y": x}, features=["x"])
    assert problem.schema.numbers == ("x",)
    assert np.array_equal(problem.train.numbers[:, 0], x[problem.carried("train")["row"].to_numpy()])
    assert problem.train.columns.shape == (len(problem.train), 31)
    assert problem.facts().sizes["numbers"] == 1 and problem.train.images is not None


def test_columns_beside_images_that_are_not_named_are_left_out_and_told(tmp_path: Path) -> None:
    problem = prepared(tmp_path, pixels(*GREY), {"x": RNG.normal(size=N)})
    assert problem.schema.numbers == ()
    assert any("Not learned from beside the images: x" in note.replace("'", "") for note in problem.facts().notes)


def test_amounts_are_learned_from_images(tmp_path: Path) -> None:
    images, mass = pixels(*GREY), RNG.normal(80, 10, N).astype(np.float32)
    store(tmp_path, images, mass=mass)
    asked = AmountsTable.model_validate({"path": "data.npz", "target": "mass", "images": "jet"})
    problem = table.prepare(asked, tmp_path, tmp_path / "problem", 3)
    at = problem.carried("train")["row"].to_numpy()
    assert np.array_equal(problem.train.target[:, 0], mass[at])
    assert np.array_equal(problem.train.images, images[at][..., None])
    assert (problem.facts().kind, problem.facts().sizes["targets"]) == ("images", 1)


# ---------------------------------------------------------------- what is wrong

def test_a_shape_that_the_numbers_do_not_fill_is_named(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, pixels(30), images={"column": "jet", "shape": [5, 7]})
    assert (found.code, found.key) == ("image-shape", ("data", "images"))
    assert "30 numbers" in found.text and "5 × 7" in found.text


def test_flat_lists_need_a_shape(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, pixels(30))
    assert found.code == "image-shape" and "shape: [HEIGHT, WIDTH]" in found.remedy


def test_a_row_with_another_number_of_pixels_is_named(tmp_path: Path) -> None:
    lists = [list(image.ravel()) for image in pixels(*GREY)]
    lists[7] = lists[7][:29]
    pq.write_table(pa.table({"jet": pa.array(lists, pa.list_(pa.uint8())), "label": LABEL}), tmp_path / "data.parquet")
    with pytest.raises(DataError) as caught:
        table.prepare(options(path="data.parquet", images={"column": "jet", "shape": [5, 6]}), tmp_path,
                      tmp_path / "problem", 3)
    (found,) = caught.value.mistakes
    assert found.code == "image-shape" and "29 pixels in row 7" in found.text


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_named(tmp_path: Path, bad: float) -> None:
    images = pixels(*GREY, kind=np.float32)
    images[[11, 40], 2, 3] = bad
    (found,) = mistakes(tmp_path, images)
    assert found.code == "not-finite" and "in 2 rows, the first of them row 11" in found.text
    pt = np.arange(N, dtype=np.float32)
    assert prepared(tmp_path, images, {"pt": pt}, cut="pt != 11 and pt != 40").facts().rows["train"] > 20


def test_images_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, np.full((N, *GREY), 9, np.uint8))
    assert found.code == "constant-features" and "all alike" in found.text


def test_files_of_different_types_are_named(tmp_path: Path) -> None:
    store(tmp_path, pixels(*GREY), "a.npz")
    store(tmp_path, pixels(*GREY, kind=np.float32), "b.npz")
    with pytest.raises(DataError) as caught:
        table.prepare(options(path=["a.npz", "b.npz"]), tmp_path, tmp_path / "problem", 3)
    (found,) = caught.value.mistakes
    assert found.code == "image-shape" and "8-bit images in one file and others in another" in found.text


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    (found, *_) = mistakes(tmp_path, pixels(*GREY), images="jets")
    assert (found.code, found.key) == ("no-such-column", ("data", "images")) and "'jet'" in found.text


def test_a_column_of_numbers_is_no_column_of_images(tmp_path: Path) -> None:
    (found, *_) = mistakes(tmp_path, pixels(*GREY), {"pt": np.arange(N)}, images="pt")
    assert found.code == "wrong-type" and found.key == ("data", "images")


# ---------------------------------------------------------------- new data

def test_new_data_are_read_as_the_training_data_were(tmp_path: Path) -> None:
    images = pixels(3, 5, 6)
    problem = prepared(tmp_path, images)
    new = table.read_new(problem, store(tmp_path, images[:10], "new.npz", label=LABEL[:10]))
    assert new.images.dtype == np.uint8 and np.array_equal(new.images, np.moveaxis(images[:10], 1, 3))
    assert np.array_equal(new.target, LABEL[:10]) and new.numbers.shape == (10, 0)


def test_new_data_take_the_type_of_the_training_data(tmp_path: Path) -> None:
    images = pixels(*GREY, kind=np.float32)
    problem = prepared(tmp_path, images)
    new = table.read_new(problem, store(tmp_path, images.astype(np.uint8), "new.npz"))
    assert new.images.dtype == np.float32 and np.array_equal(new.images[..., 0], images)


def new_mistake(folder: Path, name: str = "jet", images: Any = None, **changed: Any) -> Any:
    problem = prepared(folder, pixels(*GREY, kind=np.float32))
    np.savez(folder / "new.npz", **{name: images, "label": LABEL})
    with pytest.raises(DataError) as caught:
        table.read_new(problem, folder / "new.npz")
    (found,) = caught.value.mistakes
    assert found.remedy and not found.key
    return found


def test_new_images_of_another_size_are_named(tmp_path: Path) -> None:
    found = new_mistake(tmp_path, images=pixels(6, 6))
    assert found.code == "image-shape" and "6 × 6" in found.text and "5 × 6 × 1" in found.text


def test_new_data_without_images_are_named(tmp_path: Path) -> None:
    found = new_mistake(tmp_path, "photo", pixels(*GREY))
    assert found.code == "missing-column" and "photo" in found.text


def test_new_data_with_a_number_where_images_were_are_named(tmp_path: Path) -> None:
    found = new_mistake(tmp_path, images=np.arange(N, dtype=np.float32))
    assert found.code == "wrong-type" and "number" in found.text


def test_new_pixels_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    images = pixels(*GREY, kind=np.float32)
    images[13, 0, 0] = np.nan
    found = new_mistake(tmp_path, images=images)
    assert found.code == "not-finite" and "row 13" in found.text
