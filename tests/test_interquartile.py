"""Returns over seeds and episodes: values by hand, intervals that cover, differences that profit from shared episodes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from automl_phys import interquartile
from automl_phys.interquartile import difference, estimate, improvement, interquartile_mean, learning_curve


def test_a_quarter_is_cut_off_at_each_end() -> None:
    assert interquartile.interquartile([100, 1, 2, -50]) == pytest.approx(1.5)
    assert interquartile.interquartile([[1, 2, 3, 4], [5, 6, 7, 800]]) == pytest.approx((3 + 4 + 5 + 6) / 4)


def test_of_a_value_that_the_quarter_ends_in_a_part_counts() -> None:
    # Of five values a quarter is 1.25: the second and the fourth count with 0.75, the middle one fully.
    assert interquartile.interquartile([0, 1, 2, 4, 100]) == pytest.approx((0.75 * 1 + 2 + 0.75 * 4) / 2.5)
    assert interquartile.interquartile([7.0]) == 7.0
    assert interquartile.interquartile([1.0, 2.0]) == 1.5


def test_it_is_rliables_where_a_quarter_is_a_whole_number() -> None:
    returns = np.random.default_rng(0).exponential(size=(5, 40))
    assert interquartile_mean(returns).value == pytest.approx(stats.trim_mean(returns, 0.25, axis=None))


def test_the_number_in_the_middle_does_not_depend_on_the_seed_and_the_interval_hardly() -> None:
    returns = np.random.default_rng(0).normal(size=(5, 40))
    one, other = interquartile_mean(returns, 1), interquartile_mean(returns, 2)
    assert interquartile_mean(returns, 1) == one
    assert one.value == other.value
    assert one.low < one.value < one.high
    assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.25)
    assert "5 runs and episodes" in one.note


def test_equal_returns_have_no_uncertainty() -> None:
    found = interquartile_mean(np.full((5, 20), 500.0))
    assert (found.value, found.low, found.high) == (500.0, 500.0, 500.0)


def test_intervals_stay_within_what_was_seen() -> None:
    returns = np.where(np.random.default_rng(3).random((3, 20)) < 0.7, 500.0, 20.0)
    assert interquartile_mean(returns).high <= 500


@pytest.mark.parametrize(("runs", "between", "common", "within", "shared"), [
    (5, 1.0, 0.0, 1.0, False), (3, 1.0, 0.0, 0.3, False), (5, 0.7, 1.0, 0.5, True), (1, 0.0, 0.0, 1.0, False)])
def test_intervals_cover_the_truth(runs: int, between: float, common: float, within: float, shared: bool) -> None:
    rng, hits = np.random.default_rng(7), 0
    for trial in range(200):
        returns = (rng.normal(0, between, (runs, 1)) + rng.normal(0, common, (1, 20)) * shared
                   + rng.normal(0, within, (runs, 20)))
        found = interquartile_mean(returns, trial, shared, replicates=200)
        hits += found.low <= 0 <= found.high
    assert 0.57 < hits / 200 < 0.79


def test_episodes_that_are_shared_make_a_difference_sure() -> None:
    rng = np.random.default_rng(1)
    episodes = rng.normal(0, 10, (1, 50))
    agent, textbook = episodes + rng.normal(1, 0.2, (5, 50)), episodes + rng.normal(0, 0.2, (1, 50))
    paired, apart = difference(agent, textbook), difference(agent, textbook, shared=False)
    assert paired.value == pytest.approx(interquartile.interquartile(agent) - interquartile.interquartile(textbook))
    assert 0.5 < paired.low < paired.value < paired.high < 1.5
    assert apart.high - apart.low > 2 * (paired.high - paired.low)


def test_the_difference_changes_its_sign_with_the_order() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(1, 1, (4, 30)), rng.normal(0, 1, (3, 30))
    assert difference(one, other).value == pytest.approx(-difference(other, one).value)
    assert "4 and 3 runs" in difference(one, other).note


def test_the_probability_of_improvement_counts_pairs() -> None:
    one, other = np.array([[1.0, 3.0], [2.0, 2.0]]), np.array([[2.0, 0.0]])
    # Of 8 pairs 1 > 0, 3 > 2, 3 > 0, 2 > 0 twice are won, 2 against 2 is a draw twice.
    assert improvement(one, other).value == pytest.approx((5 + 2 / 2) / 8)
    assert improvement(one, other).value + improvement(other, one).value == pytest.approx(1)
    far = improvement(np.full((3, 4), 9.0), np.zeros((3, 4)))
    assert (far.value, far.low, far.high) == (1, 1, 1)


def test_its_replicates_are_those_of_counted_pairs() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.integers(0, 4, (2, 3)).astype(float), rng.integers(0, 4, (2, 3)).astype(float)
    mine, theirs = rng.integers(0, 3, (5, 6)).astype(float) + 0.5, rng.integers(0, 3, (5, 6)).astype(float) + 0.5
    found = interquartile._above(one, other, mine, theirs)
    wins = np.sign(one.ravel()[:, None] - other.ravel()[None]) / 2 + 0.5
    assert np.allclose(found, np.einsum("ra,rb,ab->r", mine, theirs, wins) / mine.sum(1) / theirs.sum(1))


def test_weighted_means_are_those_of_repeated_values() -> None:
    rng = np.random.default_rng(5)
    values, weights = rng.normal(size=9), rng.multinomial(9, np.full(9, 1 / 9), size=20).astype(float)
    found = interquartile._middle_half(values, weights)
    assert np.allclose(found, [interquartile.interquartile(np.repeat(values, row.astype(int))) for row in weights])


def test_any_statistic_has_an_interval() -> None:
    returns = np.random.default_rng(6).normal(2, 1, (1, 400))
    found = estimate(lambda weights: weights[0] @ returns.ravel() / weights[0].sum(axis=1), [returns])
    assert found.value == pytest.approx(returns.mean())
    assert (found.high - found.low) / 2 == pytest.approx(returns.std() / 20, rel=0.15)


def test_one_episode_tells_nothing_of_its_uncertainty() -> None:
    found = interquartile_mean([[3.0]])
    assert found.value == 3
    assert np.isnan(found.low) and np.isnan(found.high)
    assert found.note


@pytest.mark.parametrize("wrong", [[1.0, 2.0], [[]], [[1.0, np.nan]]])
def test_what_is_no_table_of_returns_is_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError):
        interquartile_mean(wrong)


def test_shared_episodes_are_equally_many() -> None:
    with pytest.raises(ValueError, match="equally many"):
        difference(np.zeros((2, 3)), np.zeros((1, 4)))
    difference(np.zeros((2, 3)), np.zeros((1, 4)), shared=False)


def test_a_learning_curve_is_taken_where_all_seeds_have_been() -> None:
    band = learning_curve([[0, 10, 20], [5, 10, 30], [0, 30]], [[0, 10, 20], [5, 10, 30], [0, 30]])
    assert band.steps.tolist() == [5, 10, 20]
    for curve in (band.middle, band.low, band.high, band.lowest, band.highest):
        assert np.allclose(curve, band.steps)


def test_its_middle_and_ends_are_those_of_the_seeds() -> None:
    values = np.random.default_rng(8).normal(size=(5, 7)).cumsum(axis=1)
    band = learning_curve([range(7)] * 5, list(values), seed=1)
    assert np.allclose(band.middle, [interquartile.interquartile(values[:, i]) for i in range(7)])
    assert np.array_equal(band.lowest, values.min(axis=0)) and np.array_equal(band.highest, values.max(axis=0))
    assert (band.lowest <= band.low).all() and (band.low < band.middle).all() and (band.middle < band.high).all()


def test_long_curves_are_thinned() -> None:
    band = learning_curve([np.arange(1000)] * 2, [np.arange(1000.0)] * 2, points=11)
    assert len(band.steps) == 11
    assert np.allclose(band.middle, band.steps)


def test_one_seed_has_a_curve_without_a_band() -> None:
    band = learning_curve([[0, 1]], [[3.0, 4.0]])
    assert band.middle.tolist() == [3, 4]
    assert np.isnan(band.low).all() and np.isnan(band.high).all()


@pytest.mark.parametrize("curves", [[], [[]], [[0, 1], [2, 3]]])
def test_curves_with_nothing_in_common_are_refused(curves: list[list[float]]) -> None:
    with pytest.raises(ValueError):
        learning_curve(curves, curves)
