"""Thresholds on an output: what passes is counted, the report's working points are among them, signs of weights are kept."""

from math import inf, isfinite, isnan

import numpy as np
import pytest

from automl_phys import anomaly_scores, bootstrap, class_tables, curves, metrics, readable, sweep_page, threshold_sweep
from automl_phys.exhibits import Estimate

EVEN = "even"


def sample(rows=2000, seed=1, weights=None, signal=1):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    p = 1 / (1 + np.exp(-rng.normal(3 * truth - 1.5, 1)))
    probabilities = np.column_stack([1 - p, p])
    if signal == 0:
        truth = 1 - truth
        probabilities = probabilities[:, ::-1]
    weight = np.ones(rows) if weights is None else weights(rng, rows)
    return metrics.sample(truth, weight, probabilities, signal)


def swept(judged, **asked):
    points = {point: curves.threshold_at(judged, judged.positive, float(point)) for point in class_tables.WORKING_POINTS}
    return threshold_sweep.make(judged, ("sig", "bkg"), "p(sig)", {EVEN: 0.5, **points, **asked}, EVEN, 3)


def of(sweep, name):
    return next(one for one in sweep.measured if one.name == name)


def mixed(rng, rows):
    return np.where(rng.random(rows) < 0.15, -1.0, rng.uniform(0.5, 2.0, rows))


WEIGHTS = {"equal": None, "positive": lambda rng, rows: rng.exponential(1.0, rows), "of both signs": mixed}


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("signal", [0, 1])
def test_what_passes_is_what_is_counted(weights, signal):
    judged = sample(weights=weights, signal=signal)
    sweep = swept(judged)
    score = judged.probabilities[:, signal]
    assert list(sweep.thresholds) == sorted(set(sweep.thresholds))
    assert 100 < len(sweep.thresholds) <= 210
    for place in range(0, len(sweep.thresholds), 7):
        passes = score >= sweep.thresholds[place]
        for kind, own in ((sweep.signal, judged.target == signal), (sweep.background, judged.target != signal)):
            kept = judged.weight[passes & own]
            assert kind.weights[place] == pytest.approx(kept.sum(), abs=1e-9)
            assert kind.variances[place] == pytest.approx((kept**2).sum())
            assert kind.total == pytest.approx(judged.weight[own].sum())
        s, b = sweep.signal.weights[place], sweep.background.weights[place]
        if s + b > 0:
            assert of(sweep, "Purity").values[place] == pytest.approx(s / (s + b))
        assert of(sweep, "Signal efficiency").values[place] == pytest.approx(s / sweep.signal.total)
        right = (s + sweep.background.total - b) / (sweep.signal.total + sweep.background.total)
        assert of(sweep, "Accuracy").values[place] == pytest.approx(right)


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_the_working_points_of_the_report_are_reproduced(weights):
    judged = sample(weights=weights)
    sweep, largest = swept(judged), np.abs(judged.weight).max()
    rows = class_tables.working_points(judged, "sig", "bkg", 3).rows
    told = bootstrap.estimates([f"fpr@{p}" for p in class_tables.WORKING_POINTS], judged, 3)
    for point, (_, threshold, *_) in zip(class_tables.WORKING_POINTS, rows, strict=True):
        place = sweep.marks[point]
        assert sweep.thresholds[place] == threshold
        # The report's curve goes through between two events what the threshold has to one side of them.
        assert of(sweep, "Signal efficiency").values[place] == pytest.approx(float(point), abs=largest / sweep.signal.total)
        assert of(sweep, "Background efficiency").values[place] == pytest.approx(told[f"fpr@{point}"].value, abs=2 * largest / sweep.background.total)


def test_at_one_half_it_is_the_classifier_itself():
    judged = sample()
    sweep, found = swept(judged), bootstrap.estimates(["accuracy", "precision", "recall"], judged, 3)
    place = sweep.marks[EVEN]
    assert sweep.start == place and sweep.thresholds[place] == 0.5
    for name, metric in (("Accuracy", "accuracy"), ("Purity", "precision"), ("Signal efficiency", "recall")):
        assert of(sweep, name).values[place] == pytest.approx(found[metric].value)
    accuracy, purity = (of(sweep, name) for name in ("Accuracy", "Purity"))
    assert (accuracy.low[place], accuracy.high[place]) == pytest.approx((found["accuracy"].low, found["accuracy"].high))
    assert (purity.low[place], purity.high[place]) == pytest.approx((found["precision"].low, found["precision"].high))


def test_the_flag_is_reproduced_with_its_interval():
    rng = np.random.default_rng(2)
    truth = (rng.random(3000) < 0.1).astype(int)
    score, weight = rng.normal(2 * truth, 1).astype(np.float32), np.ones(3000)
    judged, threshold = anomaly_scores.judge(truth, score, weight), 2.326
    sweep = threshold_sweep.make(judged, ("anomalies", "normal"), "score", {"the flag": threshold}, "the flag", 3)
    told = anomaly_scores.flagged(truth, score, weight, threshold)
    for name, metric in (("Signal efficiency", "signal_efficiency"), ("Background efficiency", "background_efficiency")):
        one, place = of(sweep, name), sweep.marks["the flag"]
        assert (one.values[place], one.low[place], one.high[place]) == pytest.approx((told[metric].value, told[metric].low, told[metric].high))


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_intervals_hold_their_values(weights):
    sweep = swept(sample(weights=weights))
    for one in sweep.measured:
        told = [(low, value, high) for low, value, high in zip(one.low, one.values, one.high, strict=True) if isfinite(value)]
        assert len(told) > 50
        inside = [low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9) for low, value, high in told]
        assert np.mean(inside) > 0.95, one.name


def test_where_nothing_passes_limits_are_told():
    judged = sample()
    sweep = swept(judged, beyond=2.0)
    place = sweep.marks["beyond"]
    assert sweep.signal.weights[place] == sweep.background.weights[place] == 0
    rejection = of(sweep, "Rejection (1/background efficiency)")
    assert rejection.high[place] == inf and isfinite(rejection.values[place])
    assert readable.estimate(Estimate(rejection.values[place], rejection.low[place], rejection.high[place])).startswith("> ")
    assert isnan(of(sweep, "Purity").values[place]) and isnan(of(sweep, "Significance improvement").values[place])
    assert of(sweep, "Background efficiency").high[place] > 0


def test_a_significance_is_told_of_ten_background_events_and_more():
    judged = sample()
    sweep = swept(judged)
    told = [isfinite(v) for v in of(sweep, "Significance improvement").values]
    assert told == [b >= 10 for b in sweep.background.weights]


@pytest.mark.parametrize("kind", [0, 1])
def test_without_one_of_the_kinds_there_is_none(kind):
    judged = sample(weights=lambda rng, rows: np.ones(rows))
    gone = metrics.sample(judged.target, np.where(judged.target == kind, 0.0, 1.0), judged.probabilities, 1)
    assert threshold_sweep.make(gone, ("sig", "bkg"), "p", {EVEN: 0.5}, EVEN, 3) is None


def test_the_page_has_a_text_for_every_threshold_and_a_row_for_every_mark():
    import json

    sweep = swept(sample())
    data, table = json.loads(sweep_page.embedded(sweep)), sweep_page.table(sweep)
    assert len(sweep_page.embedded(sweep)) < 80_000
    assert [row[0] for row in table.rows] == list(sweep.marks)
    assert {len(one["texts"]) for one in data["measured"]} == {len(kind["passes"]) for kind in data["kinds"]} == {len(sweep.thresholds)}
    place = sweep.marks[EVEN]
    assert data["measured"][0]["texts"][place] == table.rows[0][2]
