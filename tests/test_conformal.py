"""Calibrated intervals hold what they say, whatever the model's own uncertainty is worth."""

import numpy as np
import pytest

from automl_phys.conformal import factor
from automl_phys.errors import RunError


def rows(n, seed, noise=lambda x: 1.0):
    """Residuals of a model, and what scale each was drawn with."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, n)
    return noise(x) * rng.standard_t(4, n), x


def covered(q, residual, sigma, weight=None):
    return np.average(np.abs(residual) <= q * sigma, weights=weight)


def test_it_is_the_order_statistic():
    residual, one = np.array([5.0, -1, 3, -2, 4, 6, -7, 8, 9]), np.ones(9)
    assert factor(residual, one, one, 0.5) == 5  # ⌈10 · 0.5⌉ = 5th smallest
    assert factor(residual, one, one, 0.68) == 7
    assert factor(residual, 2 * one, one, 0.9) == 4.5
    assert factor(residual, one, one, 0.91) == np.inf


@pytest.mark.parametrize(("coverage", "fewest"), [(0.68, 3), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_too_few_rows_give_no_limit(coverage, fewest):
    residual, _ = rows(fewest, 0)
    assert np.isfinite(factor(residual, np.ones(fewest), np.ones(fewest), coverage))
    less = fewest - 1
    assert factor(residual[:less], np.ones(less), np.ones(less), coverage) == np.inf


@pytest.mark.parametrize("coverage", [0.5, 0.68, 0.95])
@pytest.mark.parametrize("n", [29, 200])
def test_coverage_is_nominal_on_average_over_calibrations(coverage, n):
    """The guarantee: between c and c + 1 / (n + 1), averaged over calibration rows and one new row."""
    fresh, _ = rows(20_000, 1000)
    found = [covered(factor(residual, np.ones(n), np.ones(n), coverage), fresh, 1.0)
             for residual, _ in (rows(n, seed) for seed in range(300))]
    chance = 4 * np.std(found) / np.sqrt(300) + 0.01
    assert coverage - chance < np.mean(found) < coverage + 1 / (n + 1) + chance


def test_intervals_follow_an_uncertainty_that_varies():
    def noise(x):
        return 0.2 + 3 * x

    residual, x = rows(5000, 1, noise)
    fresh, y = rows(20_000, 2, noise)
    own, constant = (factor(residual, sigma, np.ones(5000), 0.9) for sigma in (noise(x), np.ones(5000)))
    for low, high in ((0.0, 0.2), (0.8, 1.0)):
        some = (y >= low) & (y < high)
        assert covered(own, fresh[some], noise(y[some])) == pytest.approx(0.9, abs=0.03)
        assert abs(covered(constant, fresh[some], 1.0) - 0.9) > 0.05
    assert covered(constant, fresh, 1.0) == pytest.approx(0.9, abs=0.02)


def test_an_uncertainty_in_the_wrong_unit_gives_the_same_intervals():
    residual, x = rows(300, 1)
    weight = 1 + x
    assert 10 * factor(residual, 10 + 10 * x, weight, 0.68) == pytest.approx(factor(residual, 1 + x, weight, 0.68))


def test_weights_count():
    """Rows of wide residuals are drawn too often, and weighted down by as much."""
    rng = np.random.default_rng(3)
    wide = rng.uniform(size=8000) < 0.8
    residual = np.where(wide, 5.0, 1.0) * rng.normal(size=8000)
    weight = np.where(wide, 0.25, 4.0)
    fair = rng.uniform(size=40_000) < 0.2
    fresh = np.where(fair, 5.0, 1.0) * rng.normal(size=40_000)
    one = np.ones(8000)
    assert covered(factor(residual, one, weight, 0.68), fresh, 1.0) == pytest.approx(0.68, abs=0.02)
    assert covered(factor(residual, one, one, 0.68), fresh, 1.0) > 0.8


def test_a_common_factor_of_the_weights_changes_nothing():
    residual, x = rows(100, 0)
    assert factor(residual, 1 + x, 1 + x, 0.9) == factor(residual, 1 + x, 100 * (1 + x), 0.9)


def test_negative_weights_take_away():
    """A background of wide residuals is subtracted: the intervals are those of the rest."""
    rng = np.random.default_rng(4)
    signal, background, subtracted = (width * rng.normal(size=n) for width, n in ((1, 20_000), (4, 5000), (4, 5000)))
    residual = np.concatenate([signal, background, subtracted])
    weight = np.repeat([1.0, 1.0, -1.0], [20_000, 5000, 5000])
    assert factor(residual, np.ones(30_000), weight, 0.68) == pytest.approx(0.994, abs=0.05)
    with pytest.raises(RunError) as error:
        factor(residual, np.ones(30_000), -weight, 0.68)
    assert error.value.mistakes[0].code == "no-weight"
