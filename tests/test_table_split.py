"""Splitting: shares to within a row, groups never cut, the same in the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_phys.table_split import by_time, cut, order, ranges, torn_groups

SHARES = [0.6, 0.2, 0.2]


@settings(max_examples=200)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=300), st.integers(0, 2**32 - 1))
def test_each_part_has_its_share_of_each_class_to_within_one_row(classes, seed):
    codes = np.array(classes)
    parts = cut(codes, SHARES, None, np.random.default_rng(seed))
    for code in np.unique(codes):
        counts = np.bincount(parts[codes == code], minlength=3)
        assert np.all(np.abs(counts - np.array(SHARES) * (codes == code).sum()) <= 1)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), min_size=1, max_size=300), st.integers(2, 6),
       st.integers(0, 2**32 - 1))
def test_a_group_is_never_on_two_sides(rows, n_parts, seed):
    classes, groups = (np.array(column) for column in zip(*rows, strict=True))
    parts = cut(classes, [1.0] * n_parts, groups, np.random.default_rng(seed))
    assert parts.min() >= 0 and parts.max() < n_parts
    for group in np.unique(groups):
        assert len(np.unique(parts[groups == group])) == 1


@pytest.mark.parametrize("largest", [1, 3, 40])
def test_groups_meet_the_shares_of_each_class_when_there_are_many(largest):
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(600), rng.integers(1, largest + 1, 600))
    classes = (rng.random(len(groups)) < 0.3 * rng.random(600)[groups]).astype(int)
    parts = cut(classes, SHARES, groups, rng)
    for code in (0, 1):
        found = np.bincount(parts[classes == code], minlength=3) / (classes == code).sum()
        assert found == pytest.approx(SHARES, abs=0.02)


def test_as_many_groups_as_parts_fill_every_part():
    groups = np.repeat([0, 1, 2], 20)
    parts = cut(np.tile([0, 1], 30), SHARES, groups, np.random.default_rng(0))
    assert sorted(np.bincount(parts)) == [20, 20, 20]


@pytest.mark.parametrize("files", [6, 100])
def test_groups_of_one_class_each_fill_every_part(files):
    """As files that hold one range of the target each: no part is wanted more than another by their classes."""
    groups = np.repeat(np.arange(files), 50)
    parts = cut(groups * 10 // files, SHARES, groups, np.random.default_rng(0))
    assert np.bincount(parts, minlength=3) / len(parts) == pytest.approx(SHARES, abs=0.08)


def test_the_split_follows_from_the_seed():
    classes = np.arange(400) % 3
    first, again, other = (cut(classes, SHARES, None, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_are_stored_part_by_part_as_they_stand_in_the_files():
    parts = np.array([2, 0, 1, -1, 0, 2])
    assert np.array_equal(order(parts, 3), [1, 4, 2, 0, 5])


def test_groups_in_two_parts_are_counted():
    parts = np.array([0, 0, 1, 1])
    assert torn_groups(parts, np.array([7, 7, 8, 8])) == torn_groups(parts, None) == 0
    assert torn_groups(parts, np.array([7, 8, 7, 8])) == 2


@settings(max_examples=100)
@given(st.lists(st.integers(0, 50), min_size=5, max_size=200))
def test_no_time_is_in_two_parts_and_none_goes_back(times):
    time = np.array(times, float)
    parts = by_time(time, SHARES)
    for part in (0, 1):
        before, after = time[parts == part], time[parts > part]
        assert not len(before) or not len(after) or before.max() < after.min()


def test_a_split_by_time_meets_its_shares():
    assert np.bincount(by_time(np.random.default_rng(0).permutation(1000) * 1.0, SHARES)).tolist() == [600, 200, 200]


def test_amounts_are_stratified_by_tenths():
    amounts = np.random.default_rng(0).exponential(size=5000)
    assert np.bincount(ranges(amounts)) == pytest.approx(500, abs=2)
    assert len(set(ranges(np.array([1.0, 1, 1, 2])))) == 2
