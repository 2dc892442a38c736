"""What the measures of closure give: agreement with other implementations, degenerate samples, every key."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import linalg, stats
from sklearn.metrics import roc_auc_score

from automl_phys import closure, measures
from automl_phys import closure_classifier as classifier
from automl_phys import closure_distances as distances
from automl_phys import closure_neighbours as neighbours
from automl_phys.closure_sample import Sample, deviations, standardised, thinned
from automl_phys.exhibits import Estimate


def sample(values, weight=None, label=None, **more):
    values = np.asarray(values, np.float32)
    n, d = values.shape
    return Sample(values, np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
                  tuple(f"x{j}" for j in range(d)), (False,) * d, label=label,
                  classes=() if label is None else ("a", "b"), **more)


def gaussians(rng, n=400, d=3, **more):
    return sample(rng.normal(size=(n, d)), **more)


def classes(rng, n=400, share=0.5):
    label = (rng.uniform(size=n) < share).astype(np.int64)
    return sample(rng.normal(size=(n, 3)) + 1.5 * label[:, None], label=label)


# ---------------------------------------------------------------- samples

def test_rows_are_taken_of_everything_a_sample_holds():
    rng = np.random.default_rng(0)
    one = replace(classes(rng, 10), derived={"sum": np.arange(10.0)}, pixels=np.ones((10, 4), np.float32))
    few = one.take([3, 1])
    assert len(few) == 2
    assert few.derived["sum"].tolist() == [3, 1]
    assert few.label.tolist() == one.label[[3, 1]].tolist()
    assert few.pixels.shape == (2, 4)
    assert gaussians(rng, 5).take(slice(0, 2)).label is None


def test_thinning_draws_rows_without_repeats_the_same_for_a_seed():
    one = sample(np.arange(100)[:, None])
    few = thinned(one, 30, 1)
    assert len(np.unique(few.values)) == 30
    assert np.array_equal(few.values, thinned(one, 30, 1).values)
    assert thinned(one, 100, 1) is one


def test_columns_are_in_units_of_the_real_spread_and_never_nan():
    rng = np.random.default_rng(1)
    real = sample(np.column_stack([rng.normal(5, 3, 200), np.full(200, 7.0)]), rng.uniform(0.5, 2, 200))
    made = sample([[np.nan, 7.0], [np.inf, 9.0]])
    own, other = standardised(real, made)
    assert np.average(own[:, 0], weights=real.weight) == pytest.approx(0, abs=1e-6)
    assert np.average(own[:, 0] ** 2, weights=real.weight) == pytest.approx(1)
    assert other.tolist() == [[0, 0], [0, 2]]


def test_deviations_give_the_error_of_a_mean():
    x = np.random.default_rng(2).normal(size=500)
    added = deviations(x, np.ones(500))
    assert added @ added == pytest.approx(x.var() / 500)


# ---------------------------------------------------------------- distances

def test_wasserstein_is_scipys():
    rng = np.random.default_rng(3)
    real, made = gaussians(rng), sample(rng.normal(0.3, 1.2, (300, 3)), rng.uniform(0.5, 2, 300))
    _, parts = distances.wasserstein(real, made)
    reference = stats.wasserstein_distance(real.values[:, 1], made.values[:, 1], None, made.weight)
    assert parts["x1"].value == pytest.approx(reference / real.values[:, 1].std(), rel=1e-6)


def test_the_mean_over_columns_leaves_out_derived_quantities_and_what_is_not_finite():
    rng = np.random.default_rng(4)
    ratio = rng.normal(size=400)
    real = replace(gaussians(rng), derived={"ratio": ratio})
    broken = ratio + 0.5
    broken[:50] = np.nan
    made = replace(gaussians(rng), derived={"ratio": broken})
    mean, parts = distances.wasserstein(real, made)
    assert set(parts) == {"x0", "x1", "x2", "ratio"}
    assert mean.value == pytest.approx(np.mean([parts[f"x{j}"].value for j in range(3)]))
    assert parts["ratio"].value == pytest.approx(0.5 / ratio.std(), rel=0.2)


def test_the_error_of_a_wasserstein_distance_is_that_of_the_means_for_a_shift():
    rng = np.random.default_rng(5)
    real, made = sample(rng.normal(size=(1000, 1))), sample(rng.normal(3, 1, (1000, 1)))
    mean, _ = distances.wasserstein(real, made)
    assert mean.error == pytest.approx(math.sqrt(2 / 1000), rel=0.1)


def test_the_frechet_distance_is_that_with_the_root_of_the_product():
    rng = np.random.default_rng(6)
    a, b = (np.cov(rng.normal(size=(50, 4)), rowvar=False) for _ in range(2))
    apart = rng.normal(size=4)
    reference = apart @ apart + np.trace(a + b - 2 * linalg.sqrtm(a @ b).real)
    assert distances.frechet(apart, a, np.zeros(4), b) == pytest.approx(reference, rel=1e-6)


def test_fpd_of_few_events_is_not_extrapolated():
    rng = np.random.default_rng(7)
    assert distances.extrapolated(gaussians(rng, 30), gaussians(rng, 30)) == (1,)
    assert distances.extrapolated(gaussians(rng, 4000), gaussians(rng, 4000)) == (1, 2, 4)
    assert math.isnan(distances.fpd(gaussians(rng, 30), gaussians(rng, 30), 0).error)


def test_weighted_kernel_distance_is_the_unbiased_one_for_equal_weights():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(20, 3)), rng.normal(0.5, 1, (30, 3))

    def kernel(a, b):
        return (a @ b.T / 3 + 1) ** 4

    xx, yy = (kernel(a, a)[~np.eye(len(a), dtype=bool)].mean() for a in (x, y))
    assert distances._mmd(x, y, np.ones(20), np.full(30, 2.0)) == pytest.approx(xx + yy - 2 * kernel(x, y).mean())


def test_correlations_that_differ_are_seen():
    rng = np.random.default_rng(9)
    real, made = gaussians(rng, 4000, 2), gaussians(rng, 4000, 2)
    mixed = made.values.copy()
    mixed[:, 1] = 0.6 * mixed[:, 0] + 0.8 * mixed[:, 1]
    found = distances.correlation_difference(real, replace(made, values=mixed), 0)
    assert found.value == pytest.approx(0.6, abs=4 * found.error)
    assert found.error < 0.03
    assert math.isnan(distances.correlation_difference(gaussians(rng, 50, 1), gaussians(rng, 50, 1), 0).value)


# ---------------------------------------------------------------- classifiers

def test_the_weighted_area_is_scikit_learns():
    rng = np.random.default_rng(10)
    positive, weight = rng.uniform(size=300) < 0.4, rng.uniform(0.1, 2, 300)
    scores = np.round(rng.normal(size=300) + positive, 1)  # with ties
    value, added = classifier.area(scores, positive, weight)
    assert value == pytest.approx(roc_auc_score(positive, scores, sample_weight=weight))
    mirrored, also = classifier.area(-scores, positive, weight)
    assert mirrored == pytest.approx(1 - value)
    assert also == pytest.approx(-added)
    assert math.isnan(classifier.area(scores, np.ones(300, bool), weight)[0])


@pytest.mark.parametrize("learner", ["trees", "mlp"])
def test_what_is_far_apart_is_told_apart_by_pixels_and_derived_quantities_too(learner):
    rng = np.random.default_rng(11)
    real, made = gaussians(rng, 150), gaussians(rng, 150)
    effort = classifier.QUICK
    assert classifier.told_apart(real, made, 0, learner, effort).value < 0.65
    shifted = replace(made, values=made.values + 3)
    assert classifier.told_apart(real, shifted, 0, learner, effort).value > 0.95
    ones, others = (replace(one, pixels=rng.normal(m, 0.1, (150, 4)).astype(np.float32))
                    for one, m in ((real, 0), (made, 1)))
    assert classifier.told_apart(ones, others, 0, learner, effort).value > 0.95
    ones, others = (replace(one, derived={"m": rng.normal(m, 0.1, 150)}) for one, m in ((real, 0), (made, 1)))
    assert classifier.told_apart(ones, others, 0, learner, effort).value > 0.95


@pytest.mark.parametrize("learner", ["trees", "mlp"])
def test_events_of_the_wrong_class_are_found(learner):
    rng = np.random.default_rng(22)
    real, made = classes(rng), classes(rng)
    wrong = replace(made, label=rng.permutation(made.label))
    assert classifier.told_apart(real, wrong, 0, learner).low > 0.6
    assert classifier.told_apart(real, replace(wrong, label=None), 0, learner).value < 0.58
    many = [replace(one, classes=tuple("abcdefghijklmnopqrstuvwxyz")) for one in (real, wrong)]
    assert classifier.told_apart(*many, 0, learner).low > 0.6


def test_classes_that_are_made_too_often_are_seen_without_the_label_column():
    rng = np.random.default_rng(12)
    real, train, made = classes(rng), classes(rng), classes(rng, share=0.9)

    def labelled(one):
        return replace(one, values=np.column_stack([one.values, one.label]).astype(np.float32),
                       names=(*one.names, "kind"), discrete=(False, False, False, True))

    found = classifier.prior_shift(real, made, train, 0)
    assert found.value == pytest.approx(0.35, abs=0.12)
    assert found.low > 0.2
    assert classifier.prior_shift(*(labelled(one) for one in (real, made, train)), 0).value == found.value
    assert math.isnan(classifier.prior_shift(real, made, replace(train, label=np.zeros(400, int)), 0).value)


def test_wrong_labels_are_worth_nothing_to_learn_from():
    rng = np.random.default_rng(13)
    real, train, made = (classes(rng) for _ in range(3))
    good = classifier.train_on_synthetic(real, made, train, 0)
    assert good.value == pytest.approx(1, abs=0.03)
    bad = classifier.train_on_synthetic(real, replace(made, label=rng.permutation(made.label)), train, 0)
    assert bad.high < 0.9
    assert math.isnan(classifier.train_on_synthetic(real, replace(made, label=np.zeros(400, int)), train, 0).value)


# ---------------------------------------------------------------- neighbours

def test_density_and_coverage_are_those_of_their_definition():
    rng = np.random.default_rng(14)
    real, made = gaussians(rng, 60), sample(rng.normal(0.5, 0.5, (40, 3)))
    ones, others = standardised(real, made)
    radii = np.sort(np.linalg.norm(ones[:, None] - ones, axis=2), axis=1)[:, 5]
    inside = np.linalg.norm(ones[:, None] - others, axis=2) <= radii[:, None]
    density, coverage = neighbours.density_and_coverage(real, made, 0)
    assert density.value == pytest.approx(inside.sum() / (5 * 40))
    assert coverage.value == pytest.approx(inside.any(axis=1).mean())


def test_a_mode_that_is_missing_lowers_coverage_only():
    rng = np.random.default_rng(15)
    real, made = classes(rng, 1000), sample(rng.normal(size=(1000, 3)))
    two = replace(real, values=real.values + 10 * real.label[:, None].astype(np.float32))
    density, coverage = neighbours.density_and_coverage(two, made, 0)
    assert coverage.value == pytest.approx(0.5, abs=0.05)
    assert density.value > 0.9


def test_copies_are_found_however_many_more_rows_were_trained_on():
    rng = np.random.default_rng(16)
    real, train, fresh = gaussians(rng, 200), gaussians(rng, 1000), gaussians(rng, 1000)
    assert neighbours.memorisation(real, train, train, 0).value == 1
    none = neighbours.memorisation(real, fresh, train, 0)
    assert none.value == pytest.approx(0.5, abs=4 * (none.high - none.low) / 2)
    half = replace(train, values=np.where(np.arange(1000)[:, None] < 500, train.values, fresh.values))
    assert neighbours.memorisation(real, half, train, 0).value == pytest.approx(0.75, abs=0.06)


def test_neighbours_in_the_same_place_count_half():
    rng = np.random.default_rng(17)
    real, train, made = (sample(rng.integers(0, 2, (300, 2))) for _ in range(3))
    assert neighbours.memorisation(real, made, train, 0).value == 0.5


def test_copies_of_images_are_found_by_their_pixels():
    rng = np.random.default_rng(18)
    real, train = (replace(gaussians(rng, 100), pixels=rng.uniform(size=(100, 9)).astype(np.float32)) for _ in "ab")
    made = replace(train, values=rng.normal(size=(100, 3)).astype(np.float32))
    assert neighbours.memorisation(real, made, train, 0).value == 1


# ---------------------------------------------------------------- everything

def test_every_measure_comes_with_an_interval_and_a_note():
    rng = np.random.default_rng(19)
    real, made, train = classes(rng, 250), classes(rng, 250), classes(rng, 600)
    found = closure.estimates(real, made, train, 0)
    assert {name.partition("/")[0] for name in found} == set(measures.OF_EVENTS)
    for name, one in found.items():
        assert one.low <= one.value <= one.high, name
        assert one.note
    assert found == closure.estimates(real, made, train, 0)
    assert set(closure.floors(real, train, 0)) == set(found)
    plain = [replace(one, label=None) for one in (real, made, train)]
    assert set(found) - set(closure.estimates(*plain, 0)) == {"prior_shift", "tstr"}


def test_very_few_events_give_no_error_but_no_number_without_reason():
    rng = np.random.default_rng(20)
    found = closure.estimates(gaussians(rng, 4, 1), gaussians(rng, 4, 1), gaussians(rng, 4, 1), 0)
    assert math.isnan(found["c2st"].value)
    assert "less than" in found["c2st"].note
    assert "correlation_difference" not in found


def test_objectives_have_values_and_a_direction():
    rng = np.random.default_rng(21)
    real, near, far = gaussians(rng, 300), gaussians(rng, 300), sample(rng.normal(2, 1, (300, 3)))
    objectives = measures.Objectives(measures.OF_EVENTS)
    assert next(iter(objectives)) == "c2st"
    assert set(objectives) == {"c2st", "sliced_wasserstein", "wasserstein", "fpd", "c2st_mlp"}
    for name, direction in objectives.items():
        assert direction == "minimize"
        good = closure.value(name, real, near, 0)
        assert good < closure.value(name, real, far, 0)
        assert good == closure.value(name, real, near, 0)
    with pytest.raises(KeyError):
        closure.value("density", real, near, 0)


def test_gains_are_positive_for_the_better_whatever_the_direction():
    one = {"c2st": Estimate(0.6, 0.57, 0.64, ""), "coverage": Estimate(0.9, 0.87, 0.94, "")}
    other = {"c2st": Estimate(0.9, 0.87, 0.94, ""), "coverage": Estimate(0.6, 0.57, 0.64, "")}
    for name in one:
        gain = closure.gain(name, one, other)
        assert gain.value == pytest.approx(0.3)
        assert closure.gain(name, other, one).value == pytest.approx(-0.3)
    assert closure.gain("c2st", one, other).low == pytest.approx(0.3 - 0.05)
    assert closure.gain("coverage", one, other).low == pytest.approx(0.3 - 0.05)


def test_a_measure_of_one_column_is_labelled_so():
    assert measures.label("wasserstein/mass") == "Wasserstein distance, mass"
