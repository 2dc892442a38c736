"""Scores of anomalies: against scikit-learn, guards, binomial intervals, errors."""

import numpy as np
import pytest
from sklearn import metrics as reference

from automl_phys import anomaly_scores, bootstrap, measures
from automl_phys.errors import RunError


def events(seed=0, n=4000, shift=1.0, share=0.2):
    rng = np.random.default_rng(seed)
    target = (rng.random(n) < share).astype(np.int32)
    return target, (rng.normal(size=n) + shift * target).astype(np.float32), rng.uniform(0.5, 2.0, n)


def test_values_are_those_of_scikit_learn():
    target, score, weight = events()
    assert anomaly_scores.value("roc_auc", target, score, weight) == pytest.approx(
        reference.roc_auc_score(target, score, sample_weight=weight), rel=1e-12)
    assert anomaly_scores.value("average_precision", target, score, weight) == pytest.approx(
        reference.average_precision_score(target, score, sample_weight=weight), rel=1e-12)
    assert anomaly_scores.value("stand_in_auc", target, score, weight) == anomaly_scores.value(
        "roc_auc", target, score, weight)


@pytest.mark.parametrize("point", [0.1, 0.3, 0.5])
def test_rejection_is_1_over_the_background_at_that_signal_efficiency(point):
    target, score, _ = events()
    cut = np.quantile(score[target == 1], 1 - point)
    expected = 1 / np.mean(score[target == 0] >= cut)
    assert anomaly_scores.value(f"rejection@{point}", target, score, np.ones(len(target))) == pytest.approx(expected, rel=0.03)


def test_significance_is_read_off_where_enough_background_passes():
    """A perfect score has no more than √(n / 10): with less background nothing is claimed."""
    target = np.repeat([0, 1], 2000)
    found = anomaly_scores.value("max_sic", target, target.astype(np.float32) + 1e-3 * np.arange(4000), np.ones(4000))
    assert found == pytest.approx(np.sqrt(2000 / 10))


def test_every_measure_of_anomalies_that_follows_from_scores_comes_with_an_interval():
    judged = anomaly_scores.judge(*events())
    names = [name for measure in measures.OF_ANOMALIES.values() if measure.alone for name in measure.names]
    assert {*anomaly_scores.WITH_TRUTH, *anomaly_scores.CHOSEN_BY} == {*names}
    for name, one in anomaly_scores.estimates(names, judged, 0).items():
        assert one.low <= one.value <= one.high, name
        assert one.low < one.high, name


def test_the_better_score_gains_on_the_same_events():
    target, score, weight = events()
    noise = np.random.default_rng(1).normal(size=len(score))
    one, other = (anomaly_scores.judge(target, s, weight) for s in (score, score + 2 * noise))
    for name in ("stand_in_auc", "roc_auc", "rejection@0.3"):
        assert anomaly_scores.gain(name, one, other, 0).low > 0, name
    assert anomaly_scores.gain("stand_in_auc", one, one, 0).value == 0


def test_objectives_are_what_a_search_can_be_asked_for():
    offered = set(measures.Objectives(measures.OF_ANOMALIES))
    assert offered == {*anomaly_scores.WITH_TRUTH, *anomaly_scores.CHOSEN_BY}
    assert measures.find("rejection@0.3")[0].points == ("0.3", "0.5", "0.7"), "those of classifiers are as they were"
    assert measures.label("local_significance/normal events alone").endswith("signal region, normal events alone")


# ---------------------------------------------------------------- what passes a threshold

def test_a_share_has_its_clopper_pearson_interval():
    score = np.arange(1000)
    found = anomaly_scores.passing(score, np.ones(1000), 990)
    assert found.value == 0.01
    assert (found.low, found.high) == bootstrap.clopper_pearson(0.01, 1000)
    assert "10 of 1000" in found.note


def test_intervals_of_shares_cover_what_they_should():
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(400):
        found = anomaly_scores.passing(rng.random(800), np.ones(800), 0.99)
        inside.append(found.low <= 0.01 <= found.high)
    assert 0.66 < np.mean(inside) < 0.85, "Clopper-Pearson covers at least 68 %"


def test_unequal_weights_count_as_effective_events():
    weight = np.where(np.arange(1000) % 2, 1.0, 3.0)
    wide = anomaly_scores.passing(np.arange(1000), weight, 900)
    assert wide.value == pytest.approx(0.1)
    assert (wide.low, wide.high) == pytest.approx(bootstrap.clopper_pearson(0.1, 800))
    assert "800 effective" in wide.note


def test_a_share_of_nothing_is_not_known():
    assert np.isnan(anomaly_scores.passing(np.zeros(0), np.zeros(0), 1.0).value)
    assert np.isnan(anomaly_scores.passing(np.ones(2), np.array([1.0, -1.0]), 1.0).value)


def test_a_flag_tells_of_what_is_known():
    target, score, weight = events()
    assert set(anomaly_scores.flagged(None, score, weight, 1.0)) == {"flagged"}
    known = anomaly_scores.flagged(target, score, weight, 1.0)
    assert known["signal_efficiency"].value > 2 * known["background_efficiency"].value


@pytest.mark.parametrize("efficiency", [0.003, 0.1, 0.5, 1.0])
def test_the_threshold_of_an_efficiency_lets_so_much_pass(efficiency):
    _, score, weight = events()
    cut = anomaly_scores.threshold_at(score.astype(float), weight, efficiency)
    passed = weight[score >= cut].sum() / weight.sum()
    assert efficiency <= passed < efficiency + 2 * weight.max() / weight.sum()


# ---------------------------------------------------------------- errors

@pytest.mark.parametrize("score", [np.ones((5, 2)), np.ones(4), np.array([1, 2, np.nan, 3, 4])])
def test_scores_that_are_none_are_told(score):
    with pytest.raises(RunError):
        anomaly_scores.judge(np.array([0, 1, 0, 1, 0]), score, np.ones(5))


def test_one_kind_alone_gives_no_metric():
    with pytest.raises(RunError, match="undefined"):
        anomaly_scores.value("roc_auc", np.zeros(5, int), np.arange(5.0), np.ones(5))


def test_unknown_metrics_are_key_errors():
    with pytest.raises(KeyError):
        anomaly_scores.value("no_such", *events())


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(3)
    target = (rng.random(1000) < 0.3).astype(int)
    weight = rng.uniform(0.5, 1.5, 1000)
    score = target + rng.normal(size=1000)
    one, other = (anomaly_scores.judge(target, each, weight) for each in (score, score + 0.1 * rng.normal(size=1000)))
    found = anomaly_scores.differences(["roc_auc", "flagged"], one, other, 1)
    alone = anomaly_scores.estimates(["roc_auc"], one, 1)["roc_auc"]
    assert list(found) == ["roc_auc"]
    assert 0 < found["roc_auc"].high - found["roc_auc"].low < 0.5 * (alone.high - alone.low)
    assert anomaly_scores.differences(["roc_auc"], one, one, 1)["roc_auc"].value == 0
