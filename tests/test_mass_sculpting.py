"""Mass sculpting: a divergence with known values, beside what random cuts come to."""

import numpy as np
import pytest
from scipy.spatial import distance

from automl_phys import mass_sculpting
from automl_phys.mass_sculpting import divergence, sculpted


def test_the_divergence_is_that_of_scipy():
    rng = np.random.default_rng(0)
    one, other = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(12))
    assert divergence(one, other) == pytest.approx(distance.jensenshannon(one, other, 2) ** 2)
    assert divergence(one, one) == 0
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1)


def test_a_cut_on_the_mass_itself_is_found_at_every_efficiency():
    mass = np.random.default_rng(1).exponential(1.0, 4000)
    for one in sculpted(mass, mass, np.ones(4000), 0):
        assert one.pull > 5
        assert one.divergence.low > one.chance.high


def test_a_cut_that_keeps_half_of_the_bins_has_the_divergence_of_that():
    mass = np.random.default_rng(2).random(20_000)
    found, = sculpted(mass, mass, np.ones(20_000), 0, (0.5,))
    before, after = np.full(40, 1 / 40), np.repeat([0, 1 / 20], 20)
    assert found.divergence.value == pytest.approx(divergence(before, after), abs=0.003)


def test_too_few_events_are_not_looked_at():
    rng = np.random.default_rng(3)
    found = sculpted(rng.random(1000), rng.random(1000), np.ones(1000), 0)
    assert [np.isfinite(one.divergence.value) for one in found] == [True, True, True, False]
    assert "10 effective events" in found[-1].divergence.note
    assert np.isnan(found[-1].pull)
    assert np.isnan(sculpted(np.zeros(0), np.zeros(0), np.zeros(0), 0)[0].divergence.value)


def test_errors_are_those_of_pseudo_experiments():
    values, errors = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        mass = rng.random(3000)
        one, = sculpted(mass, mass + rng.normal(0, 0.5, 3000), np.ones(3000), 0, (0.1,))
        values.append(one.divergence.value)
        errors.append((one.divergence.high - one.divergence.low) / 2)
    assert 0.5 < np.mean(errors) / np.std(values) < 2


def test_weights_count():
    """Events of no weight are not there."""
    rng = np.random.default_rng(4)
    mass, score = rng.random(4000), rng.random(4000)
    weight = (rng.random(4000) < 0.5).astype(float)
    kept = weight > 0
    one, = sculpted(mass[kept], score[kept], weight[kept], 0, (0.1,))
    bins = mass_sculpting._shares(np.arange(3), np.array([1.0, -2.0, 3.0]), 3)
    np.testing.assert_allclose(bins, [0.25, 0, 0.75])
    assert one.passed == pytest.approx(0.1 * kept.sum(), abs=1)
    assert 0 < one.divergence.value < 0.1


def test_masses_that_are_missing_are_left_out():
    rng = np.random.default_rng(5)
    mass, score = rng.random(2000), rng.random(2000)
    more = np.concatenate([mass, np.full(50, np.nan)])
    assert sculpted(mass, score, np.ones(2000), 0) == sculpted(more, np.concatenate([score, np.ones(50)]), np.ones(2050), 0)
