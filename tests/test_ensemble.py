"""Weights of an ensemble: laws that greedy selection must hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_phys import ensemble
from automl_phys.trials import Ensemble, Member

TRUTH = np.random.default_rng(0).normal(size=200)


def mse(predictions):
    return float(np.mean((predictions - TRUTH) ** 2))


def noisy(seed, sigma=1.0, bias=0.0):
    return TRUTH + bias + np.random.default_rng(seed).normal(size=200) * sigma


@given(seeds=st.lists(st.integers(1, 10**6), min_size=1, max_size=6, unique=True), most=st.integers(1, 4))
def test_weights_are_normalised_bounded_and_never_worse_than_the_best_alone(seeds, most):
    predictions = [noisy(s, sigma=1 + s % 3) for s in seeds]
    weights = ensemble.choose(predictions, mse, "minimize", most)
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0
    assert 1 <= sum(w > 0 for w in weights) <= most
    assert mse(ensemble.mean(predictions, weights)) <= min(mse(p) for p in predictions) + 1e-6


def test_opposite_biases_cancel():
    weights = ensemble.choose([noisy(1, 0.1, +1.0), noisy(2, 0.1, -1.0)], mse, "minimize", 2)
    assert weights == pytest.approx((0.5, 0.5), abs=0.05)


def test_of_equals_the_first_is_taken_alone():
    same = noisy(1)
    assert ensemble.choose([same, same.copy(), same.copy()], mse, "minimize", 3) == (1.0, 0.0, 0.0)


def test_leaders_are_the_best_of_each_family_weighted_by_their_errors():
    weights = ensemble.leaders([1.0, 1.0, 1.02, 1.1, 1.19, 1.21], ["a", "b", "a", "a", "c", "d"], 0.2, 12)
    assert [weight > 0 for weight in weights] == [True, True, True, False, True, False]
    assert sum(weights) == pytest.approx(1)
    assert weights[0] / weights[4] == pytest.approx(1.19**2)
    assert sum(weight > 0 for weight in ensemble.leaders([1.0, 1.0, 1.0], ["a", "b", "c"], 0.2, 2)) == 2
    assert ensemble.leaders([0.0, 0.0, 1.0], ["a", "b", "c"], 0.2, 12) == (0.5, 0.5, 0.0)


def test_maximising_the_negative_is_the_same():
    predictions = [noisy(s) for s in range(1, 6)]
    assert ensemble.choose(predictions, mse, "minimize", 5) == ensemble.choose(
        predictions, lambda p: -mse(p), "maximize", 5)


def test_event_weights_in_the_score_steer_the_choice():
    left, right = TRUTH.copy(), TRUTH.copy()
    left[:100] += 1
    right[100:] += 1
    heavy_left = np.where(np.arange(200) < 100, 1.0, 0.0)
    weights = ensemble.choose(
        [left, right], lambda p: float(np.average((p - TRUTH) ** 2, weights=heavy_left)), "minimize", 2)
    assert weights == (0.0, 1.0)


def test_a_member_is_the_mean_of_its_models_and_the_ensemble_their_weighted_mean(fakes, tmp_path):
    for slope in (1, 2, 6):
        fakes.Line(slope, 0.0).save(tmp_path / str(slope))
    rows = fakes.Rows(np.array([1.0, 2.0]), np.zeros(2))
    bagged = Member("line", 0, 0.75, {}, ("1", "2"))
    single = Member("line", 1, 0.25, {}, ("6",))
    assert ensemble.predict_member(tmp_path, bagged, rows) == pytest.approx([1.5, 3.0])
    both = Ensemble((bagged, single), {}, "mse", 0.0)
    assert ensemble.predict(tmp_path, both, rows) == pytest.approx([1.125 + 1.5, 2.25 + 3.0])
    assert ensemble.predict(tmp_path, both, rows).dtype == np.float32
    told: list[tuple[int, int, str]] = []
    ensemble.predict(tmp_path, both, rows, lambda done, total, what: told.append((done, total, what)))
    assert told == [(1, 2, "members"), (2, 2, "members")]
