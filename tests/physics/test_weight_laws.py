"""Laws of negative weights: sums keep their signs, what cannot be had is said, nothing is raised or NaN in silence."""

import numpy as np
import pytest

from automl_phys import class_figures, class_tables, measures, metrics
from automl_phys.bootstrap import estimates, gain
from automl_phys.curves import compare, histogram, reliability, threshold_at
from automl_phys.errors import RunError
from automl_phys.ranking import effective

EVERY = measures.names(signal=True)
EDGES = np.linspace(-3, 3, 13)
NAMES = ("a", "b", "c")


def gaussians(rng, n=2000, separation=0.5, classes=2):
    """Unit Gaussians, one per class, and the true posterior probabilities of a mixture in equal parts."""
    target = rng.integers(0, classes, n)
    x = rng.normal(size=(n, classes)) + separation * np.eye(classes)[target]
    p = np.exp(separation * x)
    return target, p / p.sum(axis=1, keepdims=True)


def split(weight, rng, share=1.0):
    """Rows (m,) and weights (m,): a share of the rows becomes two each, with weights of 1.5 and -0.5 of its own."""
    chosen = np.flatnonzero(rng.uniform(size=len(weight)) < share)
    rows = np.concatenate([np.delete(np.arange(len(weight)), chosen), chosen, chosen])
    factor = np.repeat([1.0, 1.5, -0.5], [len(weight) - len(chosen), len(chosen), len(chosen)])
    order = rng.permutation(len(rows))
    return rows[order], (weight[rows] * factor)[order]


def signed_experiment(rng, n):
    """The mixture above with weights of ±1: rows of class 0 are drawn the more often, the more of them are negative.

    Of class 0, |w| has the density f(x) / (1 - 2 P(negative | x)), so that the signed sum has the density f(x).
    """
    target, p = gaussians(rng, 5 * n)
    negative = np.where(target == 0, 0.4 * p[:, 0], 0.0)
    kept = rng.uniform(size=5 * n) < 0.2 / (1 - 2 * negative)
    return target[kept], p[kept], np.where(rng.uniform(size=kept.sum()) < negative[kept], -1.0, 1.0)


@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("classes", [2, 3])
def test_splitting_a_row_into_signed_parts_changes_no_value_but_widens_the_interval(name, classes, share):
    rng = np.random.default_rng(2)
    target, p = gaussians(rng, classes=classes)
    weight = rng.uniform(0.5, 2, len(target))
    rows, parts = split(weight, rng, share)
    whole, halved = metrics.sample(target, weight, p, 1), metrics.sample(target[rows], parts, p[rows], 1)
    before, after = (estimates([name], one, 0)[name] for one in (whole, halved))
    assert after.value == pytest.approx(before.value, rel=1e-9)
    if share == 1:
        assert 1.2 < (after.high - after.low) / (before.high - before.low) < 2.2  # √2.5 = 1.58


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "average_precision", "roc_auc", "calibration_error"])
def test_means_over_classes_too_are_not_changed_by_splitting(name):
    rng = np.random.default_rng(3)
    target, p = gaussians(rng, classes=4)
    rows, parts = split(np.ones(len(target)), rng, 0.7)
    assert metrics.value(name, metrics.sample(target[rows], parts, p[rows], None)) == pytest.approx(
        metrics.value(name, metrics.sample(target, np.ones(len(target)), p, None)), rel=1e-9)


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "roc_auc", "average_precision", "f1", "fpr@0.5", "rejection@0.5"])
def test_signed_weights_give_the_metric_of_the_density_that_they_add_up_to(name):
    rng = np.random.default_rng(4)
    truth = metrics.value(name, metrics.sample((t := gaussians(rng, 400_000))[0], np.ones(400_000), t[1], 1))
    found = []
    for seed in range(200):
        target, p, weight = signed_experiment(rng, 600)
        found.append(estimates([name], metrics.sample(target, weight, p, 1), seed, 100)[name])
    values = np.array([e.value for e in found])
    allowed = 0.02 * truth if name == "rejection@0.5" else 0.0  # one over an estimate
    assert values.mean() == pytest.approx(truth, abs=3.5 * values.std() / np.sqrt(len(values)) + allowed)
    covered = np.mean([e.low <= truth <= e.high for e in found])
    assert covered == pytest.approx(0.68, abs=3.3 * np.sqrt(0.68 * 0.32 / len(found)) + 0.02)


def test_reliability_of_a_calibrated_model_is_chance_whatever_the_signs():
    rng = np.random.default_rng(5)
    chances = []
    for _ in range(200):
        target, p, weight = signed_experiment(rng, 3000)
        curve = reliability(metrics.sample(target, weight, p, 1))
        assert (curve.low <= curve.found).all() and (curve.found <= curve.high).all()
        chances.append(curve.p_value)
    spread = np.abs(np.sort(chances) - (np.arange(200) + 0.5) / 200).max()
    assert spread < 1.8 / np.sqrt(200)


def test_reliability_stays_sound_where_fractions_leave_0_to_1():
    rng = np.random.default_rng(6)
    target, p = gaussians(rng, 300)
    curve = reliability(metrics.sample(target, np.where(rng.uniform(size=300) < 0.4, -1.0, 1.0), p, 1))
    assert curve.found.max() > 1 or curve.found.min() < 0
    assert (curve.low <= curve.found).all() and (curve.found <= curve.high).all()


def test_histograms_are_signed_sums_with_errors_of_the_squares():
    rng = np.random.default_rng(7)
    x, w = rng.normal(size=500), rng.uniform(0.5, 2, 500)
    rows, parts = split(w, rng)
    before, after = histogram(x, w, EDGES), histogram(x[rows], parts, EDGES)
    assert after.density == pytest.approx(before.density)
    assert after.error == pytest.approx(np.sqrt(1.5**2 + 0.5**2) * before.error)


def test_halves_of_a_signed_sample_are_alike_with_uniform_probabilities():
    rng = np.random.default_rng(8)
    found = []
    for _ in range(300):
        x, w = rng.normal(size=1000), np.where(rng.uniform(size=1000) < 0.15, -1.0, 1.0)
        found.append(compare(x[:500], w[:500], x[500:], w[500:], EDGES))
    p = np.sort([f.p_value for f in found])
    assert np.abs(p - (np.arange(300) + 0.5) / 300).max() < 1.8 / np.sqrt(300)
    assert np.mean([f.chi2 / f.ndf for f in found]) == pytest.approx(1, abs=0.15)


# ---------------------------------------------------------------- what cannot be had

def weightless(classes=2):
    """Class 0 has rows whose weights add up to -20."""
    target = np.repeat(np.arange(classes), 200)
    p = np.full((len(target), classes), 0.5 / (classes - 1))
    p[np.arange(len(target)), target] = 0.5
    p += np.random.default_rng(0).uniform(0, 0.4, p.shape)
    weight = np.ones(len(target))
    weight[:110] = -1.0
    return metrics.sample(target, weight, p / p.sum(axis=1, keepdims=True), 1)


@pytest.mark.parametrize("name", ["roc_auc", "balanced_accuracy", "rejection@0.5", "tpr@0.1", "max_sic"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_class_without_weight_has_a_named_error_and_no_number(name, classes):
    judged = weightless(classes)
    if classes == 3 and name in ("rejection@0.5", "tpr@0.1", "max_sic"):  # there the background is classes 0 and 2
        assert metrics.value(name, judged) > 0
        return
    with pytest.raises(RunError) as error:
        metrics.value(name, judged)
    assert error.value.mistakes[0].code == "undefined-metric"
    assert "0 or less" in error.value.mistakes[0].remedy
    found = estimates([name], judged, 0, 20)[name]
    assert np.isnan([found.value, found.low, found.high]).all()
    assert "the weights of a class add up to 0 or less" in found.note
    assert np.isnan(gain(name, judged, judged, 0, 20).value)


def test_a_class_without_weight_has_dashes_in_the_tables_and_the_others_have_numbers():
    judged = weightless(3)
    by_class = class_tables.by_class(judged, NAMES, 0).rows
    assert by_class[0][2] == by_class[0][4] == "–"
    assert "–" not in (by_class[1][2], by_class[1][4])
    assert class_tables.confusion(judged, NAMES, 0).rows[0][1] == "–"
    assert np.isnan(threshold_at(judged, 0, 0.5))
    assert np.isfinite(threshold_at(judged, 1, 0.5))


def test_a_mean_over_classes_does_not_leave_out_one_that_is_there():
    judged = weightless(3)
    assert np.isnan(metrics.evaluate("balanced_accuracy", metrics.Weighted(judged, np.ones((1, 600))))[0])
    absent = metrics.sample(judged.target[200:], judged.weight[200:], judged.probabilities[200:], 1)
    assert metrics.value("balanced_accuracy", absent) > 0


def cancelled(top=100, excess=2):
    """1000 background events below all signal, and ``top`` more above it whose weights of ±1 add up to ``excess``."""
    score = np.concatenate([np.linspace(0.1, 0.2, 1000), np.linspace(0.9, 0.95, top), np.linspace(0.5, 0.6, 500)])
    weight = np.ones(len(score))
    weight[1000:1000 + top] = np.resize([1.0, -1.0], top)
    weight[1000:1000 + excess] = 1.0
    target = np.repeat([0, 1], [1000 + top, 500])
    return metrics.sample(target, weight, np.column_stack([1 - score, score]), 1)


def test_background_that_has_cancelled_is_not_taken_for_none():
    judged = cancelled()
    found = estimates(["rejection@0.5", "fpr@0.5", "max_sic"], judged, 0)
    total = judged.weight[:1100].sum()
    assert found["rejection@0.5"].value == pytest.approx(total / 10)  # √Σw² = 10 of the 100 rows that pass
    assert found["rejection@0.5"].high == np.inf
    assert "cancelling" in found["rejection@0.5"].note
    assert found["fpr@0.5"].value == pytest.approx((judged.weight[1000:1100].sum()) / total)
    assert found["fpr@0.5"].low < 0 < found["fpr@0.5"].high
    assert 1 < found["max_sic"].value < np.sqrt(total / np.sqrt(10 * 100))  # Σw > √(10 Σw²) passes
    assert not class_figures.rejection({"m": judged}, "b", class_figures.background_bands({"m": judged}, 0)).series[0].x[:-1]


def test_a_negative_background_is_no_working_point():
    judged = cancelled(excess=0)
    judged.weight[1000:1100] -= 0.3
    found = estimates(["fpr@0.5", "rejection@0.5", "max_sic"], judged, 0)
    assert found["fpr@0.5"].value < 0 and found["fpr@0.5"].low < found["fpr@0.5"].value < found["fpr@0.5"].high
    assert found["rejection@0.5"].value > 0 and found["rejection@0.5"].high == np.inf
    assert found["max_sic"].value < np.sqrt(judged.weight[:1100].sum() / np.sqrt(10 * 100))
    assert effective(np.array([-5.0, 0.0, 5.0]), np.ones(3)).tolist() == [0, 0, 25]


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_raised_whatever_the_weights(seed):
    rng = np.random.default_rng(seed)
    classes, n = 2 + seed % 2, (4, 30, 300)[seed % 3]
    target, p = gaussians(rng, n, classes=classes)
    target[:classes] = range(classes)
    weight = rng.normal((seed % 4) * 0.1, 1, n)
    judged, other = (metrics.sample(target, w, p, 1) for w in (weight, rng.permutation(weight)))
    for name, found in estimates(EVERY, judged, 0, 20).items():
        assert np.isfinite(found.value) or found.note, name
    assert gain("log_loss", judged, other, 0, 20).note
    class_tables.by_class(judged, NAMES[:classes], 0)
    class_tables.confusion(judged, NAMES[:classes], 0)
    class_tables.working_points(judged, "b", "a", 0)
    class_tables.likeness(judged, other, NAMES[:classes])
    class_figures.roc({"m": judged}, 1, "b", 0)
    class_figures.rejection({"m": judged}, "b", class_figures.background_bands({"m": judged}, 0))
    class_figures.significance({"m": judged}, "b", class_figures.background_bands({"m": judged}, 0))
    class_figures.calibration({"m": judged})
    class_figures.outputs(judged, other, NAMES[:classes], "")
