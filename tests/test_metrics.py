"""Point values against scikit-learn, guards, and errors."""

import numpy as np
import pytest
import sklearn.metrics as sk

from automl_phys import bootstrap, measures, metrics
from automl_phys.bootstrap import CELLS, clopper_pearson, draws, estimates, gain, wilson
from automl_phys.errors import DataError, RunError


def events(classes=3, n=400, seed=0, ties=False, separation=1.5):
    """Weights, true classes, probabilities of a model that knows something."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, n)
    scores = np.exp(rng.normal(size=(n, classes)) + separation * np.eye(classes)[target])
    p = scores / scores.sum(axis=1, keepdims=True)
    if ties:
        p = np.round(p, 1) + 1e-3
        p /= p.sum(axis=1, keepdims=True)
    return target, rng.uniform(0.2, 3, n), p


def scored(name, target, weight, p, signal=None):
    return metrics.value(name, metrics.sample(target, weight, p, signal))


TWO = {
    "roc_auc": lambda t, w, p: sk.roc_auc_score(t, p[:, 1], sample_weight=w),
    "average_precision": lambda t, w, p: sk.average_precision_score(t, p[:, 1], sample_weight=w),
    "log_loss": lambda t, w, p: sk.log_loss(t, p, sample_weight=w),
    "brier": lambda t, w, p: sk.brier_score_loss(t, p[:, 1], sample_weight=w),
    "accuracy": lambda t, w, p: sk.accuracy_score(t, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda t, w, p: sk.balanced_accuracy_score(t, p.argmax(1), sample_weight=w),
    "precision": lambda t, w, p: sk.precision_score(t, p.argmax(1), sample_weight=w),
    "recall": lambda t, w, p: sk.recall_score(t, p.argmax(1), sample_weight=w),
    "f1": lambda t, w, p: sk.f1_score(t, p.argmax(1), sample_weight=w),
}
MANY = TWO | {
    "roc_auc": lambda t, w, p: sk.roc_auc_score(t, p, multi_class="ovr", sample_weight=w),
    "average_precision": lambda t, w, p: sk.average_precision_score(np.eye(3)[t], p, sample_weight=w),
    "brier": lambda t, w, p: sk.brier_score_loss(t, p, sample_weight=w, scale_by_half=False),
    "precision": lambda t, w, p: sk.precision_score(t, p.argmax(1), sample_weight=w, average="macro"),
    "recall": lambda t, w, p: sk.recall_score(t, p.argmax(1), sample_weight=w, average="macro"),
    "f1": lambda t, w, p: sk.f1_score(t, p.argmax(1), sample_weight=w, average="macro"),
}


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("ties", [False, True])
def test_two_classes_agree_with_scikit_learn(name, ties):
    t, w, p = events(2, ties=ties)
    assert scored(name, t, w, p, signal=1) == pytest.approx(TWO[name](t, w, p), abs=1e-12)


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("ties", [False, True])
def test_three_classes_agree_with_scikit_learn(name, ties):
    t, w, p = events(3, ties=ties)
    assert scored(name, t, w, p) == pytest.approx(MANY[name](t, w, p), abs=1e-12)


def test_a_signal_of_class_0_is_looked_for_as_such():
    t, w, p = events(2)
    assert scored("average_precision", t, w, p, signal=0) == pytest.approx(
        sk.average_precision_score(t == 0, p[:, 0], sample_weight=w), abs=1e-12)


@pytest.mark.parametrize("efficiency", [0.2, 0.3, 0.5, 0.77])
def test_rejection_is_read_off_the_roc_curve(efficiency):
    t, w, p = events(2, n=3000)
    fpr, tpr, _ = sk.roc_curve(t, p[:, 1], sample_weight=w, drop_intermediate=False)
    reached = np.searchsorted(tpr, efficiency)
    expected = np.interp(efficiency, tpr[reached - 1:reached + 1], fpr[reached - 1:reached + 1])
    assert scored(f"fpr@{efficiency}", t, w, p, 1) == pytest.approx(expected, abs=1e-12)
    assert scored(f"rejection@{efficiency}", t, w, p, 1) == pytest.approx(1 / expected, rel=1e-9)


def test_with_more_classes_the_signal_is_told_from_all_the_rest():
    t, w, p = events(3, n=2000)
    two = metrics.sample((t == 2).astype(int), w, np.column_stack([1 - p[:, 2], p[:, 2]]), 1)
    for name in ("rejection@0.5", "max_sic", "asimov_significance", "tpr@0.1"):
        assert scored(name, t, w, p, signal=2) == pytest.approx(metrics.value(name, two), rel=1e-12)


def test_one_background_is_told_apart_by_the_likelihood_ratio():
    t, w, p = events(3, n=2000)
    pair = metrics.sample(t, w, p, 2).against(0)
    rows = t != 1
    assert metrics.value("roc_auc", pair) == pytest.approx(
        sk.roc_auc_score(t[rows] == 2, p[rows, 2] / (p[rows, 2] + p[rows, 0]), sample_weight=w[rows]), abs=1e-12)


def test_a_perfect_classifier_rejects_no_more_than_its_events_can_show():
    t = np.repeat([0, 1], 500)
    p = np.column_stack([1 - t, t]).astype(float)
    found = estimates(["rejection@0.5", "fpr@0.5"], metrics.sample(t, np.ones(1000), p, 1), 0)
    assert found["rejection@0.5"].value == pytest.approx(500 / -np.log(0.32))
    assert found["rejection@0.5"].low == found["rejection@0.5"].value
    assert found["rejection@0.5"].high == np.inf
    assert "lower limit" in found["rejection@0.5"].note
    assert (found["fpr@0.5"].value, found["fpr@0.5"].low) == (0, 0)
    assert found["fpr@0.5"].high == pytest.approx(1 - 0.16 ** (1 / 500))


def test_significances_are_not_read_off_where_hardly_any_background_passes():
    t = np.repeat([0, 1], [1000, 500])
    score = np.where(t == 1, 0.9, 0.1)
    score[:12] = 0.95  # twelve background events above all signal
    sic = scored("max_sic", t, np.ones(1500), np.column_stack([1 - score, score]), 1)
    assert sic == pytest.approx(1 / np.sqrt(0.012))
    score[:12] = np.where(np.arange(12) < 9, 0.5, 0.1)  # too few pass anything but "no cut"
    found = estimates(["max_sic"], metrics.sample(t, np.ones(1500), np.column_stack([1 - score, score]), 1), 0)
    assert found["max_sic"].value == 1
    assert "nothing cut" in found["max_sic"].note


def test_a_calibrated_model_errs_less_than_one_too_sure():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20000)
    t = (rng.uniform(size=20000) < p).astype(int)
    sure = p**3 / (p**3 + (1 - p) ** 3)
    honest, boasting = (scored("calibration_error", t, np.ones(20000), np.column_stack([1 - q, q])) for q in (p, sure))
    assert honest < 0.02
    assert boasting == pytest.approx(np.abs(sure - p).mean(), abs=0.02)


def test_bad_predictions_have_names():
    t, w, p = events(2)
    p[3, 0] = np.nan
    with pytest.raises(RunError) as nan:
        scored("roc_auc", t, w, p)
    assert nan.value.mistakes[0].code == "nan-predictions"
    with pytest.raises(RunError) as shape:
        scored("roc_auc", t, w, p[:, 1])
    assert shape.value.mistakes[0].code == "wrong-predictions"
    with pytest.raises(DataError) as signal:
        scored("rejection@0.3", *events(2))
    assert signal.value.mistakes[0].key == ("data", "signal")
    with pytest.raises(RunError) as one_class:
        scored("roc_auc", np.zeros(400, int), *events(2)[1:], signal=1)
    assert one_class.value.mistakes[0].code == "undefined-metric"
    with pytest.raises(KeyError):
        scored("no_such_metric", *events(2))


@pytest.mark.parametrize("name", ["rejection@0", "rejection@1", "rejection@x", "rejection@", "rejection", "accuracy@0.3",
                                  "precision", "fpr@0.3", "train_gap"])
def test_what_is_no_objective(name):
    assert name not in measures.Objectives()


def test_objectives_hold_any_rejection():
    objectives = measures.Objectives()
    assert objectives["rejection@0.42"] == "maximize"
    assert objectives["log_loss"] == "minimize"
    assert set(objectives) >= {"brier", "f1", "max_sic", "asimov_significance", "rejection@0.3", "rejection@0.7"}
    assert len(list(objectives)) == len(objectives)


def test_a_gain_is_paired_and_positive_when_better():
    t, w, p = events(2, n=4000)
    worse = 0.8 * p + 0.1
    a, b = (metrics.sample(t, w, q, 1) for q in (p, worse))
    paired = gain("log_loss", a, b, 0)
    assert paired.value == pytest.approx(metrics.value("log_loss", b) - metrics.value("log_loss", a))
    assert gain("log_loss", b, a, 0).value == -paired.value
    alone = estimates(["log_loss"], a, 0)["log_loss"]
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)
    assert gain("roc_auc", a, a, 0) == pytest.approx(gain("roc_auc", a, a, 0).__class__(0, 0, 0, "paired bootstrap"))


def test_the_same_seed_gives_the_same_intervals():
    s = metrics.sample(*events(3), 2)
    assert estimates(["roc_auc", "max_sic"], s, 3) == estimates(["roc_auc", "max_sic"], s, 3)
    assert estimates(["roc_auc"], s, 3) != estimates(["roc_auc"], s, 4)


def test_replicates_are_made_in_chunks_and_have_poisson_counts():
    s = metrics.sample(*events(2, n=50_000), 1)
    chunks = [rows.counts for rows in draws(s, 0, 60)]
    assert all(c.size * 2 <= CELLS for c in chunks) and len(chunks) > 1
    counts = np.concatenate(chunks)
    assert len(counts) == 60
    assert counts.mean() == pytest.approx(1, abs=3e-3)
    assert counts.var() == pytest.approx(1, abs=5e-3)


def test_binomial_intervals_agree_with_scipy():
    from scipy.stats import binomtest

    test = binomtest(13, 40)
    assert clopper_pearson(13 / 40, 40) == pytest.approx(tuple(test.proportion_ci(0.68, "exact")), abs=1e-9)
    assert wilson(13 / 40, 40) == pytest.approx(tuple(test.proportion_ci(0.6826894921370859, "wilson")), abs=1e-9)


def test_of_very_many_rows_there_are_fewer_replicates():
    few, many = (sum(len(block) for block in bootstrap.counts(rows, 0, 200, 10)) for rows in (1000, 1_000_000))
    assert (few, many) == (200, bootstrap.FEWEST)
