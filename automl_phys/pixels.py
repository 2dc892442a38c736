"""Images as columns of numbers: for families that know columns only.

Takes images of rows (n, h, w, c); gives their pixels side by side, averaged over blocks where there are many of them,
so that a linear model and trees of large images stay cheap.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_COLUMNS = 1024
"""Pixels of an image, over all channels, up to which each is a column."""


BLOCK_CELLS = 1 << 24
"""Pixels that are averaged at once."""


def block(shape: tuple[int, int, int]) -> int:
    """The side of the blocks of pixels that are averaged, 1 where all pixels are kept, of images (h, w, c)."""
    height, width, channels = shape
    side = 1
    while -(-height // side) * -(-width // side) * channels > MOST_COLUMNS and side < max(height, width):
        side += 1
    return side


def count(shape: tuple[int, int, int]) -> int:
    """How many columns an image (h, w, c) makes."""
    side = block(shape)
    return -(-shape[0] // side) * -(-shape[1] // side) * shape[2]


def columns(images: NDArray[Any]) -> NDArray[np.float32]:
    """The pixels of images (n, h, w, c), row after row, float32 (n, :func:`count`): each, or the mean of each block of
    them, at the lower and right edge of what is there of it."""
    rows, height, width, channels = images.shape
    side = block((height, width, channels))
    if side == 1:
        return images.astype(np.float32).reshape(rows, prod(images.shape[1:]))
    down, right = (np.arange(0, length, side) for length in (height, width))
    sizes = np.outer(np.diff(down, append=height), np.diff(right, append=width)).astype(np.float32)
    means = np.empty((rows, len(down), len(right), channels), np.float32)
    step = max(1, BLOCK_CELLS // (height * width * channels))
    for start in range(0, rows, step):
        some = images[start:start + step].astype(np.float32)
        sums = np.add.reduceat(np.add.reduceat(some, down, axis=1), right, axis=2)
        means[start:start + step] = sums / sizes[:, :, None]
    return means.reshape(rows, -1)
