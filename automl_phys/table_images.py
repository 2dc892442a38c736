"""The images of a table: from a column of arrays to one mapped array, in the order in which rows are stored.

Takes files, what a recipe says of the column, and the place of each row; gives ``images.npy`` (n, h, w, c), the
channels last, and what it holds. Images of 8 bits stay so, all others become float32. Scaling is the families' work.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import table_features, table_read
from automl_phys.contracts import Header
from automl_phys.errors import DataError, Key, Mistake
from automl_phys.table_features import Places
from automl_phys.table_files import Files
from automl_phys.table_problem import Image

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.sections import ImageColumn

MOST_CHANNELS = 4
"""Sides of an array up to which they count channels where nothing is said."""

KEY: Key = ("data", "images")


def layout(asked: ImageColumn, header: Header) -> tuple[Image | None, list[Mistake]]:
    """How the images of a column lie, as far as the header tells (``kind`` is known when they are read), and mistakes:
    ``image-shape``."""
    inside = header.shapes.get(asked.column, ())
    shape = tuple(asked.shape or ()) or inside
    if asked.shape and inside and prod(inside) != prod(shape):
        return None, [_wrong(f"'{asked.column}' holds arrays of {_told(inside)}, which cannot be laid out as "
                             f"{_told(shape)}.", "Give the shape that they have.")]
    if len(shape) not in {2, 3}:
        text = f"'{asked.column}' holds arrays of {_told(shape)}" if shape else \
            f"How the numbers of '{asked.column}' make an image is not known"
        return None, [_wrong(f"{text}; an image has a height and a width, and may have channels.",
                             "Say it: images: {column: " + asked.column + ", shape: [HEIGHT, WIDTH]}.")]
    if len(shape) == 2:
        return Image(asked.column, *shape, 1, ""), []
    first = asked.channels == "first"
    if asked.channels == "auto":
        ends = [side <= MOST_CHANNELS for side in (shape[0], shape[2])]
        if ends[0] == ends[1]:
            return None, [_wrong(f"Which side of {_told(shape)} counts the channels of '{asked.column}' is not plain.",
                                 "Say it: images: {column: " + asked.column + ", channels: last}.")]
        first = ends[0]
    height, width, channels = (shape[1], shape[2], shape[0]) if first else shape
    return Image(asked.column, height, width, channels, "", first), []


def write(files: Files, image: Image, places: Places, folder: Path) -> tuple[Image, list[Mistake]]:
    """Write ``images.npy`` into ``folder``; gives what it holds, and mistakes: ``image-shape``, ``not-finite``,
    ``constant-features``."""
    target: NDArray[Any] | None = None
    varies, first = False, None
    bad: list[int] = []
    for chunk in table_features.placed(files, [image.column], places):
        try:
            values = arrays_of(chunk.table[image.column], image, chunk.start)
        except DataError as error:
            return image, [replace(m, key=KEY) for m in error.mistakes]
        if target is None:
            image = replace(image, kind=values.dtype.name)
            target = table_features.allocate(folder / "images.npy", (places.rows, *image.shape), values.dtype.type)
        if values.dtype != target.dtype:
            return image, [_wrong(f"'{image.column}' holds 8-bit images in one file and others in another.",
                                  "Write them alike.")]
        used = np.concatenate(chunk.picks)
        odd = np.zeros(len(values), np.bool_) if target.dtype == np.uint8 else ~np.isfinite(values).all(axis=(1, 2, 3))
        bad += [chunk.start + int(row) for row in np.sort(used[odd[used]])]
        for pick, place in zip(chunk.picks, chunk.targets, strict=True):
            target[place] = values[pick]
        if len(chunk.picks[0]) and not varies:
            first = values[chunk.picks[0][0]] if first is None else first
            varies = bool((values[chunk.picks[0]] != first).any())
    if bad:
        return image, [Mistake("not-finite", f"'{image.column}' has pixels that are NaN or infinite in {len(bad)} "
                               f"rows, the first of them row {min(bad)}.",
                               "Correct them, or leave these rows out with 'cut'.", KEY)]
    if not varies:
        return image, [Mistake("constant-features", f"The images '{image.column}' are all alike.",
                               "There is nothing to learn from them: give other images.", KEY)]
    return image, []


def read_new(files: Files, image: Image) -> NDArray[Any]:
    """The images (m, h, w, c) of new data, as the training's were read. Raises DataError: ``missing-column``,
    ``wrong-type``, ``image-shape``, ``not-finite``."""
    header = files.header
    if header.columns.get(image.column) != "list":
        found = header.columns.get(image.column)
        text = f"holds {found}, not images" if found else f"is not there; columns: {', '.join(header.columns)}"
        raise DataError(Mistake("wrong-type" if found else "missing-column", f"The images '{image.column}': it {text}.",
                                "Give the images as they were in training."))
    inside = header.shapes.get(image.column, ())
    if inside and prod(inside) != prod(image.shape):
        raise DataError(replace(_wrong(f"The images '{image.column}' are of {_told(inside)}; the model was trained on "
                                       f"{_told(image.shape)}.", "Bring them to that size."), key=()))
    found_images, start = [], 0
    for _, chunk in table_read.chunks(files, [image.column]):
        try:
            values = arrays_of(chunk[image.column], image, start)
        except DataError as error:
            raise DataError([replace(m, key=()) for m in error.mistakes]) from error
        found_images.append(values)
        start += len(values)
    images = np.concatenate(found_images)
    if images.dtype != np.uint8 and not np.isfinite(images).all():
        row = int(np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))[0])
        raise DataError(Mistake("not-finite", f"'{image.column}' has pixels that are NaN or infinite, in row {row} and "
                                "perhaps others.", "Correct them."))
    return images.astype(image.kind, copy=False)


def arrays_of(column: pa.ChunkedArray, image: Image, start: int) -> NDArray[Any]:
    """Images (rows, h, w, c), uint8 or float32, of a column of lists, whose first row is row ``start`` of the data.

    Raises DataError (``image-shape``) for a row without an image, or with another number of pixels.
    """
    import pyarrow.compute as pc

    lists, size = column.combine_chunks(), prod(image.shape)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    other = np.flatnonzero(lengths != size)
    if len(other):
        raise DataError(_wrong(f"'{image.column}' has {lengths[other[0]]} pixels in row {start + other[0]}, where "
                               f"{size} make an image of {_told(image.shape)}.", "All images need one size."))
    flat = pc.list_flatten(lists)
    eight = str(flat.type) in {"uint8", "bool"}
    values: NDArray[Any] = flat.to_numpy(zero_copy_only=False).astype(np.uint8 if eight else np.float32, copy=False)
    if image.channels_first:
        stacked = values.reshape(-1, image.channels, image.height, image.width)
        return np.ascontiguousarray(np.moveaxis(stacked, 1, 3))
    return values.reshape(-1, *image.shape)


def _wrong(text: str, remedy: str) -> Mistake:
    return Mistake("image-shape", text, remedy, KEY)


def _told(shape: tuple[int, ...]) -> str:
    return " × ".join(str(side) for side in shape) if len(shape) > 1 else f"{shape[0]} numbers"
