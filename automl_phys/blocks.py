"""Rows beyond memory in blocks that are each a fair sample of all of them.

Rows lie in their file as they came, perhaps class after class, so a block is made of pieces from all over the file.
Takes a number of rows and a seed; gives which rows each block of an epoch holds. Every row is in one block of each
epoch.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SEGMENTS = 64
"""Equal stretches of the file, of each of which a block holds a piece."""


def count(rows: int, most: int) -> int:
    """How many blocks of at most ``most`` rows there are."""
    return max(1, -(-rows // most))


def largest(rows: int, blocks: int) -> int:
    """Rows of the largest block, which all blocks are filled up to."""
    return max(len(block) for block in plan(rows, blocks, np.random.default_rng(0)))


def plan(rows: int, blocks: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """The rows of each block, in rising order: of each segment's pieces, in an order drawn anew, one for each block."""
    edges = np.linspace(0, rows, SEGMENTS * blocks + 1).astype(np.int64)
    order = np.stack([rng.permutation(blocks) for _ in range(SEGMENTS)])
    return [np.concatenate([np.arange(edges[k], edges[k + 1])
                            for k in np.arange(SEGMENTS) * blocks + order[:, block]]) for block in range(blocks)]


def filled(block: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """A block with some of its rows again, so that all blocks have one size and are compiled once."""
    return np.resize(block, size)


def epochs(rows: int, blocks: int, seed: int) -> Iterator[list[NDArray[np.int64]]]:
    """The blocks of one epoch after the other, without end."""
    rng, size = np.random.default_rng(seed), largest(rows, blocks)
    while True:
        yield [filled(block, size) for block in plan(rows, blocks, rng)]
