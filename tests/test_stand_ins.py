"""Stand-ins for anomalies: rare populations of real events, and copies corrupted in three ways; alike for a seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from automl_phys import stand_ins
from automl_phys.anomaly_problem import AnomalyRows


def rows(count: int = 3000, images: bool = False) -> AnomalyRows:
    rng = np.random.default_rng(0)
    x = rng.normal(size=count)
    numbers = np.stack([x, x + 0.01 * rng.normal(size=count), 100 + rng.exponential(50, count), rng.poisson(4, count),
                        np.zeros(count)], axis=1).astype(np.float32)
    pictures = rng.integers(0, 256, (count, 8, 6, 1)).astype(np.uint8) if images else None
    return AnomalyRows(numbers, rng.integers(1, 4, (count, 1)).astype(np.int32), np.zeros(count, np.int32),
                       rng.uniform(0.5, 1.5, count).astype(np.float32), images=pictures,
                       mass=rng.uniform(0, 1, count).astype(np.float32), region=x > 1)


KINDS: tuple[stand_ins.Kind, ...] = ("rare", "corrupted")


@pytest.mark.parametrize("kind", KINDS)
def test_they_depend_on_rows_and_seed_alone(kind: stand_ins.Kind) -> None:
    first, again, other = (stand_ins.of(kind, rows(), seed) for seed in (1, 1, 2))
    assert (first.target == 1).all()
    assert first.mass is not None
    assert len(first) == len(first.mass) == 3000
    assert np.array_equal(first.numbers, again.numbers)
    assert np.array_equal(first.categories, again.categories)
    assert not np.array_equal(first.numbers, other.numbers)


def test_every_copy_is_changed_and_says_so() -> None:
    real = rows()
    before = real.numbers.copy()
    made = stand_ins.corrupted(real, 0)
    assert len(made) == len(real)
    assert (made.target == 1).all()
    assert np.array_equal(real.numbers, before)
    changed = (made.numbers != real.numbers).any(1) | (made.categories != real.categories).any(1)
    assert changed.mean() > 0.95  # a category, or a count, may be the same in the other event
    assert np.isfinite(made.numbers).all()


def test_correlations_break_and_counts_stay_whole() -> None:
    real = rows()
    made = stand_ins.corrupted(real, 0)
    apart = np.abs(made.numbers[:, 0] - made.numbers[:, 1]) > 0.1
    assert 0.2 < apart.mean() < 0.7  # but not those that lie between two events
    assert np.array_equal(made.numbers[:, 3], np.round(made.numbers[:, 3]))
    assert (made.numbers[:, 4] == 0).all()
    assert set(np.unique(made.categories)) == {1, 2, 3}
    assert np.array_equal(made.weight, real.weight)
    assert np.array_equal(made.mass, real.mass)
    assert np.array_equal(made.region, real.region)


def test_the_three_kinds_come_in_equal_shares() -> None:
    """A column with one value per event tells: another's value, or something else."""
    count = 999
    real = rows(count)
    values = np.random.default_rng(1).normal(size=(count, 1)).astype(np.float32)
    alone = AnomalyRows(values, np.empty((count, 0), np.int32), real.target, real.weight)
    made = stand_ins.corrupted(alone, 0).numbers[:, 0]
    swapped = np.isin(made, values)
    assert swapped.mean() == pytest.approx(1 / 3, abs=0.01)


def test_images_are_corrupted_in_squares_and_keep_their_type() -> None:
    real = rows(300, images=True)
    assert real.images is not None
    made = stand_ins.corrupted(real, 0).images
    assert made is not None
    assert made.dtype == np.uint8
    share = (made != real.images).mean((1, 2, 3))
    assert (share > 0).all()
    assert (share < 0.5).mean() == pytest.approx(2 / 3, abs=0.02)


def test_copies_are_no_less_wide_than_real_events() -> None:
    """Or they would be less odd than these."""
    real = rows(6000)
    made = stand_ins.corrupted(real, 0)
    assert (made.numbers.std(0) > 0.95 * real.numbers.std(0))[:4].all()


def test_rare_populations_are_real_events_away_from_the_middle() -> None:
    real = rows()
    made = stand_ins.rare(real, 0)
    known = {tuple(row) for row in real.numbers}
    assert all(tuple(row) in known for row in made.numbers)
    spread = [np.abs(numbers[:, 0] - np.median(real.numbers[:, 0])).mean() for numbers in (real.numbers, made.numbers)]
    assert spread[1] > 1.2 * spread[0]
    assert np.abs(made.numbers[:, 0] - made.numbers[:, 1]).max() < 0.1  # what correlates still does
    assert len(np.unique(made.weight)) == 1


def test_rare_populations_are_drawn_by_weight() -> None:
    real = rows()
    counted = np.where(real.numbers[:, 0] > 0, 1.0, 0.0).astype(np.float32)
    made = stand_ins.rare(dataclasses.replace(real, weight=counted), 0)
    assert (made.numbers[:, 0] > 0).mean() > 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_so_many_at_most(monkeypatch: pytest.MonkeyPatch, kind: stand_ins.Kind) -> None:
    monkeypatch.setattr(stand_ins, "MOST_ROWS", 1000)
    assert len(stand_ins.of(kind, rows(3000), 0)) == 1000
    assert len(stand_ins.of(kind, rows(2500), 0)) == 834


@pytest.mark.parametrize("kind", KINDS)
def test_one_event_has_no_stand_ins(kind: stand_ins.Kind) -> None:
    with pytest.raises(ValueError, match="two rows"):
        stand_ins.of(kind, rows(1), 0)
