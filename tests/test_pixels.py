"""Pixels as columns: each by itself in small images, means of blocks in large ones, whatever the sides are."""

from __future__ import annotations

import numpy as np
import pytest

from automl_phys import pixels
from automl_phys.table import Rows


@pytest.mark.parametrize(("shape", "side", "count"), [
    ((8, 8, 1), 1, 64), ((32, 32, 1), 1, 1024), ((33, 32, 1), 2, 17 * 16), ((24, 24, 3), 2, 12 * 12 * 3),
    ((224, 224, 3), 13, 18 * 18 * 3), ((1, 5000, 1), 5, 1000), ((2, 3, 2000), 3, 2000)])
def test_blocks_grow_until_the_columns_are_few(shape: tuple[int, int, int], side: int, count: int) -> None:
    assert (pixels.block(shape), pixels.count(shape)) == (side, count)
    assert pixels.columns(np.zeros((2, *shape), np.uint8)).shape == (2, count)


def test_small_images_are_their_pixels_row_after_row() -> None:
    images = np.arange(2 * 3 * 4 * 2, dtype=np.uint8).reshape(2, 3, 4, 2)
    columns = pixels.columns(images)
    assert columns.dtype == np.float32
    assert np.array_equal(columns, images.reshape(2, -1))


@pytest.mark.parametrize("shape", [(40, 40, 1), (41, 70, 2), (7, 300, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_large_images_are_means_of_blocks(shape: tuple[int, int, int], kind: type) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape)).astype(kind)
    side = pixels.block(shape)
    assert side > 1
    expected = [images[:, i:i + side, j:j + side].astype(np.float64).mean((1, 2))
                for i in range(0, shape[0], side) for j in range(0, shape[1], side)]
    assert pixels.columns(images) == pytest.approx(np.concatenate(expected, axis=1), rel=1e-5)


def test_averaging_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).normal(size=(9, 40, 36, 1)).astype(np.float32)
    whole = pixels.columns(images)
    monkeypatch.setattr(pixels, "BLOCK_CELLS", 2 * 40 * 36)
    assert np.array_equal(pixels.columns(images), whole)


def test_columns_of_rows_are_the_numbers_then_the_pixels() -> None:
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1)
    rows = Rows(np.ones((3, 2), np.float32), np.empty((3, 0), np.int32), np.zeros(3, np.int32),
                np.ones(3, np.float32), images=images)
    assert np.array_equal(rows.columns, np.hstack([np.ones((3, 2)), images.reshape(3, 4)]))
    assert np.array_equal(rows.take(np.array([2, 0])).columns, rows.columns[[2, 0]])
