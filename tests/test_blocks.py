"""Blocks of rows: each row once an epoch, each block from all over the file, the same blocks for the same seed."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from automl_phys import blocks


@given(rows=st.integers(1, 5000), most=st.integers(20, 5000), seed=st.integers(0, 100))
def test_each_row_is_in_one_block(rows, most, seed):
    n = blocks.count(rows, most)
    plan = blocks.plan(rows, n, np.random.default_rng(seed))
    assert len(plan) == n
    assert np.array_equal(np.sort(np.concatenate(plan)), np.arange(rows))
    assert all((np.diff(block) > 0).all() for block in plan), "rising, as files are read"
    assert max(len(block) for block in plan) <= blocks.largest(rows, n) + blocks.SEGMENTS


@given(rows=st.integers(2000, 20_000), n=st.integers(2, 10), seed=st.integers(0, 100))
def test_each_block_is_a_fair_sample_of_rows_that_lie_class_after_class(rows, n, seed):
    classes = np.arange(rows) >= rows // 3
    for block in blocks.plan(rows, n, np.random.default_rng(seed)):
        assert abs(classes[block].mean() - classes.mean()) < 3 / blocks.SEGMENTS


def test_all_blocks_of_all_epochs_have_one_size_and_follow_from_the_seed():
    made, again = (blocks.epochs(10_007, 3, seed=5) for _ in range(2))
    first, second = next(made), next(made)
    assert {len(block) for block in first + second} == {blocks.largest(10_007, 3)}
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)), "each epoch is cut anew"
    assert all(np.array_equal(a, b) for a, b in zip(first, next(again), strict=True))
