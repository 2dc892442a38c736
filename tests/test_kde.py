"""The kernel density estimate gives training events with noise, by weight, and near the condition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from automl_phys.families import kde


def kernels(z: Any, condition: Any = None, weight: Any = None, width: float = 0.0, widths: Any = ()) -> kde.Kernels:
    weight = np.ones(len(z)) if weight is None else np.asarray(weight, np.float64)
    condition = np.empty((len(z), 0), np.float32) if condition is None else np.asarray(condition, np.float32)
    return kde.Kernels(np.asarray(z, np.float32), condition, np.cumsum(weight), width, np.asarray(widths))


def test_without_noise_it_gives_training_events_by_their_weight() -> None:
    made = kernels([[0.0], [1.0], [2.0]], weight=[1, 0, 3]).draw(np.empty((20_000, 0), np.float32), 0)
    assert set(made.ravel()) == {0.0, 2.0}
    assert (made == 2).mean() == pytest.approx(0.75, abs=0.02)


def test_noise_leaves_the_spread_of_each_column_as_it_is() -> None:
    z = np.random.default_rng(0).normal(size=(5000, 2))
    made = kernels(z, width=0.8).draw(np.empty((20_000, 0), np.float32), 0)
    assert made.std(axis=0) == pytest.approx([1, 1], abs=0.03)
    assert made.dtype == np.float32


def test_the_same_seed_draws_the_same() -> None:
    estimate, nothing = kernels(np.arange(50.0)[:, None], width=0.1), np.empty((100, 0), np.float32)
    assert np.array_equal(estimate.draw(nothing, 1), estimate.draw(nothing, 1))
    assert not np.array_equal(estimate.draw(nothing, 1), estimate.draw(nothing, 2))


def test_classes_are_never_mixed_and_an_unknown_one_is_drawn_of_all() -> None:
    """A class of one event among ten thousand, far from the number that is asked for."""
    code = np.arange(10_001) == 10_000
    condition = np.stack([np.where(code, -4.0, 4.0), ~code, code], axis=1)
    estimate = kernels(code[:, None], condition, widths=[0.1, 1 / kde.APART, 1 / kde.APART])
    asked = np.array([[4.0, 0, 1], [-4.0, 1, 0]], np.float32)
    assert estimate.draw(np.repeat(asked, 500, axis=0), 0).ravel().tolist() == [1.0] * 500 + [0.0] * 500
    assert set(estimate.draw(np.tile(np.zeros(3, np.float32), (9, 1)), 0).ravel()) <= {0.0, 1.0}


def test_numbers_are_drawn_by_the_kernel_however_many_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    at = np.linspace(-3, 3, 3001, dtype=np.float32)[:, None]
    estimate = kernels(at, at, widths=[0.2])
    made = estimate.draw(np.zeros((20_000, 1), np.float32), 0)
    assert made.mean() == pytest.approx(0, abs=0.01)
    assert made.std() == pytest.approx(0.2, abs=0.01)
    asked = np.repeat(np.linspace(-1, 1, 40, dtype=np.float32), 2)[::-1, None]
    whole = estimate.draw(asked, 1)
    assert np.abs(whole - asked).mean() < 0.3
    monkeypatch.setattr(kde, "AT_ONCE", 7 * len(at))
    assert np.array_equal(estimate.draw(asked, 1), whole)
