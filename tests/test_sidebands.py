"""Sidebands stand for the background of the region: what only follows the mass does not find it."""

import numpy as np
import pytest

from automl_phys import anomaly_problem, anomaly_scores, sidebands
from automl_phys.anomaly_problem import AnomalyRows


def rows(mass, weight=None):
    n = len(mass)
    return AnomalyRows(np.zeros((n, 1), np.float32), np.zeros((n, 0), np.int32), np.zeros(n, np.int32),
                       np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
                       mass=np.asarray(mass, np.float32), region=(mass > 3300) & (mass < 3700))


@pytest.fixture(scope="module")
def falling():
    return 2000 + np.random.default_rng(0).exponential(700, 20_000)


def test_the_weighted_sidebands_lie_where_the_region_does(falling):
    one = rows(falling)
    weight = sidebands.weights(one)
    assert weight.mean() == pytest.approx(1)
    assert weight[one.region].sum() == pytest.approx(weight[~one.region].sum())
    assert np.average(falling[~one.region], weights=weight[~one.region]) == pytest.approx(
        falling[one.region].mean(), rel=1e-3)
    assert (weight[(falling > 3700 + 1201) | (falling < 3300 - 1201)] == 0).all()


def test_a_score_that_follows_the_mass_does_not_tell_the_region_from_its_sidebands(falling):
    plain = rows(falling)
    told = anomaly_problem.region_against_sidebands(plain)
    assert (told.target == plain.region).all()
    follows = falling + np.random.default_rng(1).normal(0, 1000, len(falling))
    assert anomaly_scores.value("stand_in_auc", told.target, follows, told.weight) == pytest.approx(0.5, abs=0.02)
    assert anomaly_scores.value("stand_in_auc", told.target, follows, plain.weight) > 0.6
    found = np.where(plain.region & (np.arange(len(falling)) % 10 == 0), 9.0, follows / 1e4)
    assert anomaly_scores.value("stand_in_auc", told.target, found, told.weight) > 0.53


def test_weights_of_events_count():
    mass = np.repeat([3000.0, 3400.0, 3600.0, 4000.0], 4)
    weight = np.tile([1.0, 2.0, 0.0, 1.0], 4)
    found = sidebands.weights(rows(mass, weight))
    assert (found[weight == 0] == 0).all()
    assert found[1] == pytest.approx(2 * found[0])
    assert found[4:12].sum() == pytest.approx(found[:4].sum() + found[12:].sum())
