"""Laws that metrics and intervals obey whatever the model."""

import numpy as np
import pytest

from automl_phys import measures, metrics
from automl_phys.bootstrap import estimates
from automl_phys.curves import compare
from automl_phys.ranking import asimov

EVERY = measures.names(signal=True)
EDGES = np.linspace(-3, 3, 21)


def gaussians(rng, n=2000, separation=1.0, classes=2):
    """Unit Gaussians, one per class, and the true posterior probabilities of a mixture in equal parts."""
    target = rng.integers(0, classes, n)
    x = rng.normal(size=(n, classes)) + separation * np.eye(classes)[target]
    p = np.exp(separation * x)
    return target, p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3])
def test_shuffled_labels_give_auc_one_half(classes):
    rng = np.random.default_rng(1)
    target, p = gaussians(rng, 4000, classes=classes)
    found = estimates(["roc_auc"], metrics.sample(rng.permutation(target), np.ones(4000), p, None), 0)["roc_auc"]
    assert abs(found.value - 0.5) < 3 * (found.high - found.low) / 2


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("classes", [2, 3])
def test_weight_2_is_the_row_twice(name, classes):
    rng = np.random.default_rng(2)
    target, p = gaussians(rng, separation=0.5, classes=classes)  # optima far from the guard, which counts events
    twice = rng.uniform(size=len(target)) < 0.3
    rows = np.concatenate([np.arange(len(target)), np.flatnonzero(twice)])
    weighted = metrics.value(name, metrics.sample(target, 1.0 + twice, p, 1))
    repeated = metrics.value(name, metrics.sample(target[rows], np.ones(len(rows)), p[rows], 1))
    assert weighted == pytest.approx(repeated, rel=1e-10)


@pytest.mark.parametrize("name", EVERY)
def test_a_common_factor_of_the_weights_means_nothing_but_to_the_significance(name):
    rng = np.random.default_rng(3)
    target, p = gaussians(rng, classes=3)
    w = rng.uniform(0.5, 2, len(target))
    one, four = (metrics.value(name, metrics.sample(target, f * w, p, 1)) for f in (1, 4))
    assert four == pytest.approx(2 * one if name == "asimov_significance" else one, rel=1e-10)


@pytest.mark.parametrize("name", measures.names(signal=False))
def test_the_order_of_classes_means_nothing_to_means_over_them(name):
    rng = np.random.default_rng(4)
    target, p = gaussians(rng, classes=4)
    w = rng.uniform(0.5, 2, len(target))
    order = np.array([2, 0, 3, 1])
    renamed = np.argsort(order)[target]
    assert metrics.value(name, metrics.sample(renamed, w, p[:, order], None)) == pytest.approx(
        metrics.value(name, metrics.sample(target, w, p, None)), rel=1e-10)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "rejection@0.5", "max_sic", "asimov_significance"])
def test_rankings_do_not_care_for_a_monotonous_change_of_the_output(name):
    rng = np.random.default_rng(5)
    target, p = gaussians(rng)
    bent = np.column_stack([1 - p[:, 1] ** 2, p[:, 1] ** 2])
    assert metrics.value(name, metrics.sample(target, np.ones(len(p)), bent, 1)) == pytest.approx(
        metrics.value(name, metrics.sample(target, np.ones(len(p)), p, 1)), rel=1e-10)


def test_the_asimov_significance_is_s_over_root_b_for_little_signal():
    s, b = np.array([[1e-3, 1.0, 50.0]]), np.array([[1.0, 1e4, 100.0]])
    limit = s / np.sqrt(b)
    z = asimov(s, b)
    assert z[0, :2] == pytest.approx(limit[0, :2], rel=1e-3)
    assert z[0, 2] < limit[0, 2]
    assert z[0, 2] == pytest.approx(np.sqrt(2 * (150 * np.log(1.5) - 50)))


@pytest.mark.parametrize(("name", "weighted"), [
    ("accuracy", False), ("accuracy", True), ("log_loss", True), ("roc_auc", True), ("roc_auc", False),
    ("average_precision", False), ("fpr@0.5", False), ("rejection@0.3", True), ("f1", True), ("brier", False)])
def test_intervals_cover_the_truth_in_68_percent_of_pseudo_experiments(name, weighted):
    rng = np.random.default_rng(6)

    def experiment(n):
        target, p = gaussians(rng, n)
        return metrics.sample(target, rng.exponential(size=n) if weighted else np.ones(n), p, 1)

    truth = metrics.value(name, experiment(400_000))
    tries = 250
    found = [estimates([name], experiment(400), seed, 100)[name] for seed in range(tries)]
    covered = np.mean([e.low <= truth <= e.high for e in found])
    assert covered == pytest.approx(0.68, abs=3.3 * np.sqrt(0.68 * 0.32 / tries) + 0.02)


@pytest.mark.parametrize("weighted", [False, True])
def test_halves_of_a_sample_are_alike_with_uniform_probabilities(weighted):
    rng = np.random.default_rng(7)
    found = []
    for _ in range(300):
        x, w = rng.normal(size=400), rng.exponential(size=400) + 0.5 if weighted else np.ones(400)
        found.append(compare(x[:200], w[:200], x[200:], w[200:], EDGES))
    p = np.sort([f.p_value for f in found])
    assert np.abs(p - (np.arange(300) + 0.5) / 300).max() < 1.6 / np.sqrt(300)
    assert np.mean([f.distance for f in found]) < 0.15
    assert np.mean([f.chi2 / f.ndf for f in found]) == pytest.approx(1, abs=0.15)


def test_samples_that_differ_are_told_apart():
    rng = np.random.default_rng(8)
    like = compare(rng.normal(size=2000), np.ones(2000), rng.normal(0.3, size=2000), np.ones(2000), EDGES)
    assert like.p_value < 1e-6
    assert like.chi2 / like.ndf > 2


def test_the_ks_distance_agrees_with_scipy():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(9)
    a, b = rng.integers(0, 30, 300).astype(float), rng.integers(0, 33, 200).astype(float)  # with ties
    assert compare(a, np.ones(300), b, np.ones(200), EDGES * 11).distance == pytest.approx(ks_2samp(a, b).statistic)
