"""Folders of images are tables: pixels as they were drawn, classes by folder, and what cannot be a table named."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from automl_phys import file_hashes, image_files, table, table_files, table_read
from automl_phys.contracts import Location
from automl_phys.errors import DataError
from automl_phys.sections import LabelledTable, PointsData
from automl_phys.sources import image_folder as source

rng = np.random.default_rng(0)
GREY = rng.integers(0, 256, (6, 5), dtype=np.uint8)
COLOUR = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
DEEP = rng.integers(0, 65536, (6, 5), dtype=np.uint16)


def draw(path, pixels=GREY, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)


def read(folder, columns=None, chunk_rows=4):
    """All rows, after a look at each chunk's size and type."""
    header = source.peek(Location(folder))
    chunks = list(source.read(Location(folder), columns or list(header.columns), chunk_rows))
    assert all(0 < len(chunk) <= chunk_rows for chunk in chunks)
    rows = pa.concat_tables(chunks)
    assert len(rows) == header.rows
    return rows


def images(folder):
    """Pixels in the shape that the header tells."""
    header = source.peek(Location(folder))
    column = read(folder)["image"].combine_chunks()
    return column.flatten().to_numpy().reshape(header.rows, *header.shapes["image"])


def mistakes(folder, look=source.peek):
    with pytest.raises(DataError) as caught:
        look(Location(folder))
    return caught.value.mistakes


def find(folder, path):
    return table_files.of_recipe(LabelledTable(path=path, target="class"), folder)


@pytest.fixture
def photos(tmp_path):
    """Two classes of grey images, by folder, one of them with other files beside."""
    for name, level in (("qcd", 0), ("top", 100)):
        for i in range(10):
            draw(tmp_path / "photos" / name / f"{i:02d}.png", np.full((4, 3), level + i, np.uint8))
    (tmp_path / "photos/qcd/notes.txt").write_text("hello")
    (tmp_path / "photos/readme.md").write_text("hello")
    return tmp_path / "photos"


# ---------------------------------------------------------------- pixels

@pytest.mark.parametrize("chunk_rows", [1, 3, 1000])
def test_grey_images_are_read_as_they_were_drawn(tmp_path, chunk_rows):
    drawn = rng.integers(0, 256, (7, 6, 5), dtype=np.uint8)
    for i in (3, 1, 0, 2, 4, 6, 5):
        draw(tmp_path / f"{i}.{'PNG' if i % 2 else 'png'}", drawn[i])
    header = source.peek(Location(tmp_path))
    assert header.columns == {"image": "list", "file": "text"}
    assert (header.rows, header.shapes) == (7, {"image": (6, 5)})
    rows = read(tmp_path, ["file", "image"], chunk_rows)
    assert rows["file"].to_pylist() == [f"{i}.{'PNG' if i % 2 else 'png'}" for i in range(7)]
    assert rows["image"].type == pa.list_(pa.uint8(), 30)
    assert np.array_equal(rows["image"].combine_chunks().flatten(), drawn.reshape(-1))


def test_colours_are_red_green_blue_in_the_last_axis(tmp_path):
    draw(tmp_path / "a.png", COLOUR)
    assert np.array_equal(images(tmp_path), COLOUR[None])


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "JPG"])
def test_jpeg_files_are_read(tmp_path, ending):
    smooth = np.add.outer(np.arange(16) * 8, np.arange(8) * 4).astype(np.uint8)
    draw(tmp_path / f"a.{ending}", smooth, quality=95, format="jpeg")
    assert source.peek(Location(tmp_path)).shapes == {"image": (16, 8)}
    assert np.abs(images(tmp_path)[0].astype(int) - smooth).max() < 4


def test_colours_of_print_become_red_green_blue(tmp_path):
    draw(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))
    assert source.peek(Location(tmp_path)).shapes == {"image": (8, 8, 3)}
    assert np.abs(images(tmp_path)[0].astype(int) - [254, 0, 0]).max() < 4


def test_grey_images_among_colours_become_colours(tmp_path):
    draw(tmp_path / "a.png", GREY)
    draw(tmp_path / "b.png", COLOUR)
    assert np.array_equal(images(tmp_path), [np.repeat(GREY[:, :, None], 3, 2), COLOUR])


def test_palettes_are_colours_and_bits_are_grey(tmp_path):
    palette = Image.fromarray(GREY % 4, "L")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    draw(tmp_path / "p/a.png", palette)
    with Image.open(tmp_path / "p/a.png") as drawn:
        assert drawn.mode == "P"
    colours = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    assert np.array_equal(images(tmp_path / "p")[0], colours[GREY % 4])
    draw(tmp_path / "1/a.png", Image.fromarray(GREY > 99))
    assert np.array_equal(images(tmp_path / "1")[0], (GREY > 99) * 255)


def test_what_is_transparent_is_put_on_black(tmp_path):
    alpha = np.array([0, 51, 255], np.uint8)[np.arange(30).reshape(6, 5) % 3]
    draw(tmp_path / "rgba/a.png", np.dstack([COLOUR, alpha]))
    on_black = np.rint(COLOUR * (alpha / 255)[:, :, None])
    assert np.array_equal(images(tmp_path / "rgba")[0], on_black)
    draw(tmp_path / "la/a.png", Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)]))
    assert source.peek(Location(tmp_path / "la")).shapes == {"image": (6, 5)}
    assert np.array_equal(images(tmp_path / "la")[0], np.rint(GREY * (alpha / 255)))
    draw(tmp_path / "key/a.png", Image.fromarray(GREY), transparency=int(GREY[0, 0]))
    assert np.array_equal(images(tmp_path / "key")[0], np.where(GREY[0, 0] == GREY, 0, GREY))
    palette = Image.fromarray(GREY % 2)
    palette.putpalette([10, 20, 30, 255, 0, 0])
    draw(tmp_path / "p/a.png", palette, transparency=b"\x00\xff")
    assert np.array_equal(images(tmp_path / "p")[0], np.where(GREY[:, :, None] % 2, [255, 0, 0], [0, 0, 0]))


def test_grey_images_of_16_bits_are_fractions(tmp_path):
    draw(tmp_path / "a.png", DEEP)
    found = images(tmp_path)
    assert found.dtype == np.float32 and np.array_equal(np.rint(found[0] * 65535).astype(int), DEEP)
    draw(tmp_path / "b.png", COLOUR)
    found = images(tmp_path)
    assert found.dtype == np.float32 and found.shape == (2, 6, 5, 3)
    assert np.array_equal(np.rint(found[0, :, :, 2] * 65535).astype(int), DEEP)
    assert found[1] == pytest.approx(COLOUR / 255)


@pytest.mark.parametrize("orientation", range(1, 10))
def test_jpeg_files_lie_as_viewers_show_them(tmp_path, orientation):
    drawn = np.zeros((16, 32), np.uint8)
    drawn[:8, :8] = 255  # upper left
    exif = Image.Exif()
    exif[0x0112] = orientation
    draw(tmp_path / "a.jpg", drawn, exif=exif, quality=95)
    (found,) = images(tmp_path)
    assert found.shape == ((32, 16) if 5 <= orientation <= 8 else (16, 32))
    right, down = (np.argwhere(found > 128).mean(0) / found.shape)[::-1] > 0.5
    expected = {2: (1, 0), 3: (1, 1), 4: (0, 1), 6: (1, 0), 7: (1, 1), 8: (0, 1)}
    assert (right, down) == expected.get(orientation, (0, 0))


def test_large_images_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    for i in range(6):
        draw(tmp_path / f"{i}.png", np.full((10, 10), i, np.uint8))
    monkeypatch.setattr("automl_phys.array_columns.BLOCK_BYTES", 250)
    chunks = list(source.read(Location(tmp_path), ["image"], 100))
    assert [len(chunk) for chunk in chunks] == [2, 2, 2]


def test_files_are_opened_for_their_pixels_only(tmp_path, monkeypatch):
    draw(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:50] + b"?" * (len(content) - 50))
    assert source.peek(Location(tmp_path)).shapes == {"image": (6, 5)}
    monkeypatch.setattr(Image, "open", None)
    (rows,) = source.read(Location(tmp_path), ["file"], 10)
    assert rows.to_pydict() == {"file": ["a.png"]}


def test_thousands_are_looked_at_in_a_second_or_so(tmp_path):
    draw(tmp_path / "0.png")
    for i in range(1, 2000):
        os.link(tmp_path / "0.png", tmp_path / f"{i}.png")
    start = time.perf_counter()
    assert source.peek(Location(tmp_path)).rows == 2000
    assert time.perf_counter() - start < 5


# ---------------------------------------------------------------- folders

def test_folders_in_the_folder_are_classes(photos):
    header = source.peek(Location(photos))
    assert header.columns == {"image": "list", "file": "text", "class": "text"}
    assert (header.rows, header.shapes) == (20, {"image": (4, 3)})
    rows = read(photos, ["class", "file", "image"])
    assert rows["class"].to_pylist() == ["qcd"] * 10 + ["top"] * 10
    assert rows["file"].to_pylist()[:2] == ["qcd/00.png", "qcd/01.png"]
    assert [row[0] for row in rows["image"].to_pylist()] == [*range(10), *range(100, 110)]


def test_hidden_files_and_deeper_folders_are_passed_over(photos):
    (photos / "qcd/._00.png").write_text("of macOS")
    draw(photos / ".cache/00.png", COLOUR)
    draw(photos / "qcd/more/00.png", COLOUR)
    assert source.peek(Location(photos)).rows == 20


def test_images_beside_folders_of_images_are_named(photos):
    draw(photos / "overview.png")
    (found,) = mistakes(photos)
    assert found.code == "image-beside-folders" and "(overview.png) beside folders of images (qcd, top)" in found.text


def test_links_are_followed_in_the_folder_only(photos, tmp_path):
    (photos / "top/10.png").symlink_to(photos / "qcd/00.png")
    assert read(photos)["image"].to_pylist()[20] == [0] * 12
    draw(tmp_path / "elsewhere/a.png")
    (photos / "top/11.png").symlink_to(tmp_path / "elsewhere/a.png")
    (photos / "w").symlink_to(tmp_path / "elsewhere")
    (found,) = mistakes(photos)
    assert found.code == "link-out-of-folder" and "top/11.png, w/a.png" in found.text
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert source.peek(Location(tmp_path / "link")).rows == 1


def test_a_broken_link_is_unreadable(photos):
    (photos / "top/10.png").symlink_to(photos / "absent.png")
    (found,) = mistakes(photos)
    assert found.code == "unreadable-image" and "top/10.png (No such file or directory)" in found.text


# ---------------------------------------------------------------- mistakes

def test_a_folder_without_images_is_named(tmp_path):
    assert [m.code for m in mistakes(tmp_path)] == ["no-images"]
    assert [m.code for m in mistakes(tmp_path / "absent")] == ["unreadable-file"]


def test_a_folder_that_may_not_be_read_is_named(photos, monkeypatch):
    def scandir(path, plain=os.scandir):  # root, who may run the tests, may read everything
        if Path(path).name == "top":
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(image_files.os, "scandir", scandir)
    (found,) = mistakes(photos)
    assert found.code == "unreadable-file" and f"{photos / 'top'} cannot be read: Permission denied" in found.text
    assert not image_files.any_in(photos / "top")


def test_a_name_that_is_not_utf8_is_named(photos):
    os.link(photos / "qcd/00.png", os.fsencode(photos) + b"/qcd/caf\xe9.png")
    draw(photos / "qcd/ünü.png", np.zeros((4, 3), np.uint8))
    (found,) = mistakes(photos)
    assert found.code == "not-utf8" and "caf" in found.text and "n" + chr(252) not in found.text
    assert len(file_hashes.sha256(photos)) == 64


def test_files_that_are_no_images_are_named(photos):
    (photos / "qcd/a.png").write_text("hello")
    (photos / "qcd/b.jpg").touch()
    Image.new("L", (3, 4)).save(photos / "top/c.png", format="gif")
    (found,) = mistakes(photos)
    assert found.code == "unreadable-image"
    assert "3 of 23 images" in found.text
    assert "qcd/a.png (no PNG or JPEG), qcd/b.jpg (empty), top/c.png (no PNG or JPEG)" in found.text


@pytest.mark.parametrize("ending", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.3, 0.7, 0.95])
def test_an_image_cut_off_anywhere_is_named(tmp_path, ending, kept):
    for i in range(3):
        draw(tmp_path / f"{i}.{ending}", rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    content = (tmp_path / f"1.{ending}").read_bytes()
    (tmp_path / f"1.{ending}").write_bytes(content[:int(kept * len(content))])
    (found,) = mistakes(tmp_path, lambda at: list(source.read(at, ["image"], 10)))
    assert found.code == "unreadable-image" and f"1 of 3 images in {tmp_path} cannot be read: 1.{ending} (" in found.text


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_damaged_image_is_named_or_read(tmp_path, ending):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(tmp_path / f"a.{ending}", rng.integers(0, 256, (20, 20, 3), dtype=np.uint8), exif=exif)
    content = np.frombuffer((tmp_path / f"a.{ending}").read_bytes(), np.uint8)
    damage, codes = np.random.default_rng(1), set()
    for _ in range(300):
        damaged = content.copy()
        damaged[damage.integers(0, min(len(content), 700), 3)] = damage.integers(0, 256, 3)
        (tmp_path / f"a.{ending}").write_bytes(damaged.tobytes())
        try:
            list(source.read(Location(tmp_path), ["image"], 10))
        except DataError as error:
            codes |= {m.code for m in error.mistakes}
    assert "unreadable-image" in codes <= {"unreadable-image", "too-many-pixels"}


def test_images_of_several_sizes_are_named(photos):
    draw(photos / "qcd/a.png", GREY)
    draw(photos / "top/b.png", COLOUR[:, :4])
    (photos / "top/c.png").write_text("hello")
    unreadable, found = mistakes(photos)
    assert (unreadable.code, found.code) == ("unreadable-image", "mixed-image-sizes")
    assert "qcd/00.png has 4 × 3, qcd/a.png has 6 × 5, top/b.png has 6 × 4 pixels (height × width)" in found.text


@pytest.mark.parametrize("side", [6000, 10_000, 20_000])
def test_bombs_are_named(tmp_path, side):
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png", Image.new("1", (side, side)))
    found = mistakes(tmp_path)
    assert [m.code for m in found] == ["too-many-pixels"] + ["mixed-image-sizes"] * (len(found) - 1)
    assert "b.png" in found[0].text and "a.png" not in found[0].text
    assert Image.MAX_IMAGE_PIXELS == 89478485


# ---------------------------------------------------------------- as files of a table

def test_a_folder_of_images_is_found_as_a_file_is(photos):
    for path in ("photos", "photos/", str(photos)):
        files = find(photos.parent, path)
        assert (files.locations, files.sources) == ((Location(photos),), ("image_folder",))
        assert files.header.rows == 20
    rows, count = table_read.whole(files, ["class", "image"])
    assert count == (20,) and rows["image"].type == pa.list_(pa.uint8(), 12)
    (used,) = table_read.used(files, count)
    assert (used.name, used.rows) == ("photos", 20)
    assert table_read.on_disk(files) == [Location(photos)]


def test_a_glob_means_files_and_else_folders_with_images(photos):
    (photos / "empty").mkdir()
    (photos / "readme.md").rename(photos.parent / "readme.md")
    files = find(photos.parent, "photos/*")
    assert [at.path.name for at in files.locations] == ["qcd", "top"] and "class" not in files.header.columns
    (photos / "jets.csv").write_text("class,x\na,1\n")
    assert [at.path.name for at in find(photos.parent, "photos/*").locations] == ["jets.csv"]


def test_classes_may_be_listed(photos):
    files = find(photos.parent, {"quark": "photos/qcd", "top": "photos/top"})
    assert files.labels == ("quark", "top") and files.header.columns == {"image": "list", "file": "text", "class": "text"}
    rows, _ = table_read.whole(files, ["class", "file"])
    assert rows["class"].to_pylist() == ["quark"] * 10 + ["top"] * 10
    assert rows["file"].to_pylist()[9:11] == ["09.png", "00.png"]


def test_folders_below_a_listed_class_are_no_classes(photos):
    draw(photos.parent / "more/run1/a.png", np.zeros((4, 3), np.uint8))
    files = find(photos.parent, {"all": "photos", "more": "more"})
    rows, _ = table_read.whole(files, ["class", "file"])
    assert rows["class"].to_pylist() == ["all"] * 20 + ["more"]
    assert rows["file"].to_pylist()[19:] == ["top/09.png", "run1/a.png"]


def test_an_image_is_in_one_listed_folder_only(photos):
    with pytest.raises(DataError) as caught:
        find(photos.parent, {"all": "photos", "top": "photos/top"})
    assert [m.code for m in caught.value.mistakes] == ["folder-twice"]
    for path, test in (("photos", "photos/top"), ("photos/top", "photos"), ("photos", "photos")):
        options = LabelledTable.model_validate({"path": path, "target": "file", "split": {"test": test, "valid": 0.2}})
        with pytest.raises(DataError) as caught:
            table_files.of_recipe(options, photos.parent)
        assert [m.code for m in caught.value.mistakes] == ["test-file-in-train"]


def test_a_test_folder_lies_beside(photos):
    options = LabelledTable.model_validate({"path": "photos/qcd", "target": "file",
                                            "split": {"test": "photos/top", "valid": 0.2}})
    assert table_files.of_recipe(options, photos.parent).test == 1


def test_what_is_no_folder_of_images_keeps_its_mistakes(photos):
    (photos.parent / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        find(photos.parent, ["empty", "photos/qcd/*.png", "photos/top/01.png"])
    first, *others = caught.value.mistakes
    assert first.code == "missing-file" and "is a folder" in first.text
    assert [m.code for m in others] == ["unknown-format"] * 2  # once for each folder, not for each image
    assert f"Name the folder: {photos / 'qcd'}" in others[0].remedy


def test_folders_of_other_sizes_are_mixed_schemas(photos):
    draw(photos.parent / "w/a.png", GREY)
    with pytest.raises(DataError) as caught:
        find(photos.parent, ["photos/qcd", "w"])
    (found,) = caught.value.mistakes
    assert found.code == "mixed-schemas" and "'image' differ in shape" in found.text


def test_mistakes_point_to_the_recipe(photos):
    (photos / "qcd/a.png").write_text("hello")
    with pytest.raises(DataError) as caught:
        find(photos.parent, "photos")
    assert [(m.code, m.key) for m in caught.value.mistakes] == [("unreadable-image", ("data", "path"))]


# ---------------------------------------------------------------- hashes

def aged(folder):
    """Last changed long enough ago that its hash is remembered."""
    for name in image_files.find(folder).names:
        os.utime(folder / name, ns=(time.time_ns() - 10**10,) * 2)


@pytest.fixture
def digests(tmp_path, monkeypatch):
    """What is really read to be hashed; memory is in a folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done, plain = [], file_hashes._digest
    monkeypatch.setattr(file_hashes, "_digest", lambda path, *more: (done.append(path.name), plain(path, *more))[1])
    return done


def test_the_hash_of_a_folder_is_that_of_its_images(photos, digests):
    aged(photos)
    first = file_hashes.sha256(photos)
    assert file_hashes.sha256(photos) == first and digests == ["photos"]
    (photos / "qcd/notes.txt").write_text("changed")
    assert file_hashes.sha256(photos) == first and digests == ["photos"]
    photos.rename(photos.with_name("moved"))
    assert file_hashes.sha256(photos.with_name("moved")) == first


@pytest.mark.parametrize("change", [
    lambda photos: draw(photos / "top/03.png", np.eye(4, 3, dtype=np.uint8)),
    lambda photos: (photos / "top/03.png").unlink(),
    lambda photos: (photos / "top/03.png").rename(photos / "qcd/03.1.png"),
    lambda photos: draw(photos / "top/99.png", np.eye(4, 3, dtype=np.uint8)),
])
def test_the_hash_changes_with_an_image_and_its_name(photos, digests, change):
    aged(photos)
    first = file_hashes.sha256(photos)
    change(photos)
    aged(photos)
    assert file_hashes.sha256(photos) != first


def test_hashing_ahead_takes_folders_too(photos, digests):
    aged(photos)
    with file_hashes.ahead([photos]) as hashed:
        hashed()
        file_hashes.sha256(photos)
    assert digests == ["photos"]


def test_a_folder_just_written_is_not_trusted(photos, digests):
    aged(photos)
    os.utime(photos / "top/03.png")
    assert file_hashes.sha256(photos) == file_hashes.sha256(photos) and digests == ["photos"] * 2


# ---------------------------------------------------------------- as a table

def test_a_table_is_looked_at_and_prepared(photos, digests):
    options = LabelledTable.model_validate({"path": "photos", "target": "class", "lengths": {"image": 2},
                                            "spectators": ["file"]})
    facts = table.look(options, photos.parent, 3)
    problem = table.prepare(options, photos.parent, photos.parent / "problem", 3)
    assert facts.rows == problem.facts().rows == {"train": 12, "valid": 4, "test": 4}
    assert problem.schema.classes == ("qcd", "top")
    first = table.fingerprint(options, photos.parent, 3)
    assert problem.fingerprint == first
    new = table.read_new(problem, photos / "top")
    assert new.numbers[:, 0].tolist() == list(range(100, 110)) and not len(new.target)
    assert new.carried["file"].to_pylist()[0] == "00.png"
    draw(photos / "top/03.png", np.eye(4, 3, dtype=np.uint8))
    assert table.fingerprint(options, photos.parent, 3) != first


def test_unlabelled_images_are_rows_too(photos):
    files = table_files.of_recipe(PointsData(path="photos/qcd", lengths={"image": 12}), photos.parent)
    rows, _ = table_read.whole(files, ["image_0", "image_11"])
    assert rows.to_pydict() == {"image_0": list(range(10)), "image_11": list(range(10))}


def test_the_folder_of_a_recipe_may_be_the_images(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert find(Path(), ".").header.rows == 20
