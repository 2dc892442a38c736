"""Laws that comparisons of events obey whatever generated them."""

from dataclasses import replace

import numpy as np
import pytest

from automl_phys import closure
from automl_phys import closure_distances as distances
from automl_phys.closure_classifier import area, told_apart
from automl_phys.closure_neighbours import memorisation
from automl_phys.closure_sample import Sample


def events(rng, n=1500, d=4, weight=None):
    mixing = np.eye(d) + 0.4 * np.eye(d, k=1)
    values = (rng.normal(size=(n, d)) @ mixing).astype(np.float32)
    values[:, -1] = np.exp(values[:, -1])
    return Sample(values, np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
                  tuple(f"x{j}" for j in range(d)), (False,) * d)


@pytest.mark.parametrize(("learner", "samples"), [("trees", 40), ("mlp", 12)])
def test_truth_is_not_told_from_truth(learner, samples):
    """The mean area over many samples is 0.5, its spread the error that is given."""
    pulls = []
    for seed in range(samples):
        rng = np.random.default_rng(seed)
        found = told_apart(events(rng, 300), events(rng, 300), seed, learner)
        pulls.append((found.value - 0.5) / ((found.high - found.low) / 2))
    assert abs(np.mean(pulls)) < 3 / np.sqrt(samples)
    assert 0.5 < np.std(pulls) < 1.5


@pytest.mark.parametrize("distance", [distances.fpd, distances.kpd])
def test_unbiased_distances_are_0_for_events_that_are_alike(distance):
    pulls = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        found = distance(events(rng), events(rng), seed)
        pulls.append(found.value / found.error)
    assert abs(np.mean(pulls)) < 1.0
    assert 0.5 < np.std(pulls) < 2.0


def test_a_shifted_gaussian_is_found_by_every_objective():
    rng = np.random.default_rng(1)
    real, train, made = events(rng), events(rng, 4000), events(rng)
    shifted = replace(made, values=made.values + np.float32(0.3))
    floor, found = closure.floors(real, train, 0), closure.estimates(real, shifted, train, 0)
    for name in ("c2st", "c2st_mlp", "wasserstein", "sliced_wasserstein", "fpd", "kpd"):
        assert closure.gain(name, floor, found).low > 0, name


def test_a_shift_by_d_is_d_squared_to_the_frechet_distance_and_d_to_the_wasserstein_distance():
    rng = np.random.default_rng(2)
    real, made = events(rng, 20_000, 2), events(rng, 20_000, 2)
    spread = real.values.std(axis=0)
    moved = replace(made, values=made.values + np.float32(0.5) * spread)
    frechet = distances.fpd(real, moved, 0)
    assert frechet.value == pytest.approx(2 * 0.5**2, abs=4 * frechet.error)
    mean, _ = distances.wasserstein(real, moved)
    assert mean.value == pytest.approx(0.5, abs=4 * mean.error)


def test_copies_of_training_events_are_called_so():
    rng = np.random.default_rng(3)
    real, train = events(rng), events(rng, 3000)
    assert memorisation(real, train.take(np.arange(1000)), train, 0).value == 1


def test_weight_2_is_the_row_twice():
    rng = np.random.default_rng(4)
    twice = rng.uniform(size=1000) < 0.3
    weighted = events(rng, 1000, weight=1.0 + twice)
    rows = np.concatenate([np.arange(1000), np.flatnonzero(twice)])
    repeated = replace(weighted.take(rows), weight=np.ones(len(rows), np.float32))
    other = events(rng, 800)
    for real, made, real2, made2 in ((weighted, other, repeated, other), (other, weighted, other, repeated)):
        for of in (lambda a, b: distances.wasserstein(a, b)[0].value,
                   lambda a, b: distances.sliced_wasserstein(a, b).value,
                   lambda a, b: distances.correlation_difference(a, b, 0).value):
            assert of(real, made) == pytest.approx(of(real2, made2), rel=1e-4)
    scores, kind = rng.normal(size=1000), rng.uniform(size=1000) < 0.5
    assert area(scores, kind, 1.0 + twice)[0] == pytest.approx(area(scores[rows], kind[rows], np.ones(len(rows)))[0])


def test_weights_that_undo_a_bias_are_honoured():
    """Events drawn twice as often on one side and weighted down there are those drawn evenly."""
    rng = np.random.default_rng(5)
    real, drawn = events(rng), events(rng, 3000)
    right = drawn.values[:, 0] > 0
    kept = np.flatnonzero(right | (rng.uniform(size=3000) < 0.5))
    weighted = replace(drawn.take(kept), weight=np.where(right, 1, 2)[kept].astype(np.float32))
    plain = replace(weighted, weight=np.ones(len(kept), np.float32))
    seen = closure.estimates(real, weighted, real, 0), closure.estimates(real, plain, real, 0)
    for name in ("c2st", "c2st_mlp", "wasserstein/x0", "sliced_wasserstein"):
        assert closure.gain(name, *seen).low > 0, name
    assert seen[0]["c2st"].value == pytest.approx(0.5, abs=3 * (seen[0]["c2st"].high - seen[0]["c2st"].value))


def test_a_common_factor_of_the_weights_and_of_a_column_mean_nothing():
    rng = np.random.default_rng(6)
    real, made = (events(rng, 600, weight=rng.uniform(0.5, 2, 600)) for _ in "ab")
    bent = [replace(one, weight=4 * one.weight, values=one.values * np.float32([8, 1, 1, 1])) for one in (real, made)]
    for name in ("c2st", "c2st_mlp", "wasserstein", "sliced_wasserstein", "fpd"):
        assert closure.value(name, *bent, 0) == pytest.approx(closure.value(name, real, made, 0), rel=1e-3, abs=1e-4)
