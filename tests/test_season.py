"""The season of series: found where there is one, and not where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from automl_phys import season


@pytest.mark.parametrize("period", [6, 11, 24, 50])
def test_a_cycle_under_noise_is_found(period: int) -> None:
    rng = np.random.default_rng(period)
    values = np.sin(2 * np.pi * np.arange(400) / period) + 0.7 * rng.normal(size=400)
    assert abs(season.find([values], ()).steps - period) <= max(1, period // 20)


def test_a_cycle_that_wanders_is_found_too() -> None:
    """As the solar cycle does: its length varies by a tenth, and slow changes lie below it."""
    rng = np.random.default_rng(1)
    phase = np.cumsum(1 / rng.normal(132, 13, 25).repeat(120))
    values = np.sin(2 * np.pi * phase) ** 2 * 100 + np.cumsum(rng.normal(size=len(phase))) + 10 * rng.normal(size=len(phase))
    assert 55 <= season.find([values], (12,)).steps <= 75  # the square has half the period


@pytest.mark.parametrize("memory", [0.0, 0.9, 1.0])
def test_red_noise_has_no_season(memory: float) -> None:
    from scipy.signal import lfilter

    rng = np.random.default_rng(3)
    found = [season.find([lfilter([1.0], [1.0, -memory], rng.normal(size=600))], (12,)).steps for _ in range(60)]
    assert sum(steps > 1 for steps in found) <= 2


def test_the_calendars_season_is_taken_when_it_tells_something() -> None:
    rng = np.random.default_rng(4)
    months = np.arange(180)
    values = 0.1 * months + np.tile(rng.normal(size=12), 15) + 0.3 * rng.normal(size=180)
    found = season.find([values], (12,))
    assert found.steps == 12
    assert "calendar" in found.reason
    assert season.find([rng.normal(size=180)], (12,)).steps == 1


def test_most_of_the_series_decide() -> None:
    rng = np.random.default_rng(5)
    cycle = np.sin(2 * np.pi * np.arange(300) / 20)
    having = [cycle + 0.3 * rng.normal(size=300) for _ in range(3)]
    without = [rng.normal(size=300) for _ in range(3)]
    assert season.find([*having, without[0]], ()).steps == 20
    assert season.find([having[0], *without], ()).steps == 1


@pytest.mark.parametrize("values", [np.zeros(50), np.arange(50.0), np.ones(3), np.array([1.0, 2.0])])
def test_what_has_no_shape_has_no_season(values: np.ndarray) -> None:
    assert season.find([values], (12,)).steps == 1
