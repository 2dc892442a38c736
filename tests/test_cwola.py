"""CWoLa: no event is scored by a classifier that has seen it, and a cut on the score leaves the spectrum as it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import event_folds, sidebands
from automl_phys.anomaly_problem import AnomalyRows
from automl_phys.facts import Facts
from automl_phys.families import cwola
from automl_phys.trials import Job

FACTS = Facts("table", {"train": 4000}, {"numbers": 3, "region": 1})
TREES: dict[str, Any] = {**cwola.defaults(FACTS)[0], "runs": 5}
NETWORKS: dict[str, Any] = {**cwola.defaults(FACTS)[1], "members": 2, "units": 32, "epochs": 10}


def events(n: int, seed: int, signal: int = 0, slope: float = 0.0) -> AnomalyRows:
    """A falling spectrum with a region from 90 to 110; ``signal`` events of it have two features far off. The third
    feature depends on the mass by ``slope``."""
    rng = np.random.default_rng(seed)
    mass = 50 + rng.exponential(40, n)
    numbers = rng.normal(size=(n, 3))
    numbers[:, 2] += slope * (mass - 100) / 40
    mass[:signal] = rng.normal(100, 3, signal)
    numbers[:signal, :2] = rng.normal([2.5, -2.5], 0.3, (signal, 2))
    return AnomalyRows(numbers.astype(np.float32), np.zeros((n, 0), np.int32), np.zeros(n, np.int32),
                       np.ones(n, np.float32), mass=mass.astype(np.float32), region=np.abs(mass - 100) < 10)


def fitted(train: AnomalyRows, params: dict[str, Any], seed: int = 1) -> Any:
    valid = events(1000, 99)
    region = np.asarray(valid.region)
    problem: Any = SimpleNamespace(train=train, valid=valid.labelled(region.astype(np.int32)), held_out=valid,
                                   normal=~region)
    job = Job(1, "cwola", params, seed, 1, "cpu", "stand_in_auc", "maximize", "detect-anomaly", ".")
    return cwola.fit(problem, params, job, lambda _step, _scores: 0.5)


@pytest.mark.parametrize("params", [TREES, NETWORKS], ids=["trees", "networks"])
def test_rare_signal_is_found(params: dict[str, Any]) -> None:
    model = fitted(events(6000, 1, signal=150), params)
    found, background = model.predict(events(300, 5, signal=300)), model.predict(events(4000, 6))
    assert (found > np.quantile(background, 0.95)).mean() > 0.5


@pytest.mark.parametrize("params", [TREES, NETWORKS], ids=["trees", "networks"])
def test_no_event_is_scored_by_what_has_seen_it(params: dict[str, Any]) -> None:
    train = events(3000, 1, signal=100)
    model = fitted(train, params)
    fold = event_folds.of(train, cwola.FOLDS)
    # other features and regions of one fold's events change nothing that this fold is scored by
    rng = np.random.default_rng(0)
    own = np.flatnonzero(fold == 2)
    region = np.array(train.region)
    region[own] = rng.permutation(region[own])
    weights = sidebands.weights(train, params["sideband"])
    from automl_phys import detecting, region_classifiers

    problem: Any = SimpleNamespace(train=train, valid=train, held_out=train, normal=~np.asarray(train.region))
    columns = detecting.given(problem).train
    job_seed = 1
    make: Any = region_classifiers.networks if params["classifier"] == "mlp" else region_classifiers.trees
    made = [make(region_classifiers.Sample(columns, labels, weights, fold, cwola.FOLDS), params, job_seed)
            for labels in (np.asarray(train.region), region)]
    odds = [one.log_odds(columns, fold) for one in made]
    np.testing.assert_allclose(odds[1][own], odds[0][own], rtol=1e-4, atol=1e-4)
    assert not np.allclose(np.delete(odds[1], own), np.delete(odds[0], own), atol=1e-2)
    assert np.array_equal(model.predict(train.take(own)), model.predict(train)[own])


def test_background_passes_as_often_at_each_mass() -> None:
    model = fitted(events(12_000, 1, slope=1.0), {**TREES, "sideband": 5.0})
    others = events(20_000, 7, slope=1.0)
    score, mass = model.predict(others), np.asarray(others.mass)
    share = [(score[(mass >= low) & (mass < low + 20)] > 1).mean() for low in (50, 70, 90, 110, 130)]
    assert share == pytest.approx([0.1] * 5, abs=0.04)
    blind = model.predict(AnomalyRows(others.numbers, others.categories, others.target, others.weight))
    assert blind.shape == score.shape


def test_sidebands_weigh_as_much_as_the_region_and_have_its_mean_mass() -> None:
    train = events(5000, 1)
    weight, region, mass = sidebands.weights(train, 2.0), np.asarray(train.region), np.asarray(train.mass)
    assert weight[region].sum() == pytest.approx(weight[~region].sum())
    assert np.average(mass[~region], weights=weight[~region]) == pytest.approx(
        np.average(mass[region], weights=weight[region]), abs=0.1)
    assert not weight[mass > 155].any()
    assert weight.mean() == pytest.approx(1)


def test_without_a_region_there_is_nothing_to_tell_apart() -> None:
    train = events(200, 1)
    nowhere = AnomalyRows(train.numbers, train.categories, train.target, train.weight)
    with pytest.raises(ValueError, match="signal region"):
        fitted(nowhere, TREES)
