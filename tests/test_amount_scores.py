"""Scores of predicted amounts: against scikit-learn, and laws of weights, of several targets, of uncertainties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from automl_phys import amount_scores, measures
from automl_phys.errors import RunError

PLAIN = [name for m in measures.OF_AMOUNTS.values() for name in m.names]
FACTORS = {0.68: [1.0, 0.9], 0.95: [2.0, 1.8]}


def events(n=400, targets=1, seed=0, negative=0.0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 2, (n, targets)).astype(np.float32)
    said = np.stack([truth + rng.normal(0.2, 0.5, truth.shape), rng.uniform(0.3, 0.8, truth.shape)], axis=2)
    weight = rng.uniform(0.2, 3, n) * np.where(rng.uniform(size=n) < negative, -1, 1)
    return truth, weight.astype(np.float32), said.astype(np.float32)


def judged(truth, weight, said):
    return amount_scores.judge(truth, weight, said, {c: each[:truth.shape[1]] for c, each in FACTORS.items()})


def value(name, *rows):
    return amount_scores.value(name, judged(*rows))


SKLEARN = {
    "rmse": sk.root_mean_squared_error, "mae": sk.mean_absolute_error, "r2": sk.r2_score,
}


@pytest.mark.parametrize("name", SKLEARN)
def test_values_agree_with_scikit_learn(name):
    t, w, p = events()
    t, w, p = (x.astype(np.float64) for x in (t, w, p))
    assert value(name, t, w, p) == pytest.approx(SKLEARN[name](t[:, 0], p[:, 0, 0], sample_weight=w), rel=1e-12)


@pytest.mark.parametrize("n", [11, 400])
def test_medians_and_resolution_are_numpys_quantiles(n):
    t, _, p = events(n)
    residual = p[:, 0, 0].astype(np.float64) - t[:, 0]
    one = np.ones(n)
    assert value("median_absolute_error", t, one, p) == pytest.approx(np.median(np.abs(residual)), rel=1e-12)
    ends = np.quantile(residual, amount_scores.CENTRAL_68, method="averaged_inverted_cdf")
    assert value("resolution", t, one, p) == pytest.approx((ends[1] - ends[0]) / 2, rel=1e-12)


def test_formulas_on_three_rows():
    t, w = np.array([[0.0], [2.0], [4.0]]), np.array([1.0, 2.0, 1.0])
    p = np.array([[[1, 1.0]], [[2, 0.5]], [[2, 1.0]]])
    expected = {"rmse": np.sqrt(5 / 4), "mae": 3 / 4, "bias": -1 / 4, "r2": 1 - (5 / 4) / 2, "pull_mean": -1 / 4,
                "pull_width": np.sqrt(5 / 4 - 1 / 16), "coverage@0.68": 3 / 4, "interval_width@0.95": 3.0,
                "gaussian_nll": (2 * np.log(0.5) + 5 / 2) / 4 + np.log(2 * np.pi) / 2}
    for name, number in expected.items():
        assert value(name, t, w, p) == pytest.approx(number), name


def test_uncertainties_that_are_right_give_pulls_of_mean_0_and_width_1():
    rng = np.random.default_rng(1)
    truth, sigma = rng.normal(0, 5, 20_000), rng.uniform(0.5, 3, 20_000)
    said = np.stack([truth + sigma * rng.normal(size=20_000), sigma], axis=1)[:, None]
    found = amount_scores.estimates(PLAIN, judged(truth[:, None], np.ones(20_000), said), 0)
    for name, expected in (("pull_mean", 0), ("pull_width", 1), ("coverage@0.68", 0.6827)):
        half = (found[name].high - found[name].low) / 2
        assert abs(found[name].value - expected) < 4 * half < 0.04, name


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("name", PLAIN)
def test_a_weight_of_two_is_the_row_twice(name, targets):
    t, w, p = events(101, targets)
    w = np.where(np.arange(101) % 3, 1.0, 2.0)
    twice = np.repeat(np.arange(101), w.astype(int))
    assert value(name, t, w, p) == pytest.approx(value(name, t[twice], np.ones(len(twice)), p[twice]), rel=1e-9)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("name", PLAIN)
def test_a_row_and_its_copy_of_opposite_weight_cancel(name, targets):
    t, w, p = events(80, targets)
    more, heavier, said = events(30, targets, seed=1)
    with_pairs = (np.concatenate([t, more, more]), np.concatenate([w, heavier, -heavier]), np.concatenate([p, said, said]))
    assert value(name, *with_pairs) == pytest.approx(value(name, t, w, p), rel=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_negative_weights_estimate_what_the_remaining_events_say(name):
    """Rows of a second kind are added with weights 1 and -1 in equal numbers: on average they count for nothing."""
    t, _, p = events(20_000)
    off = 2 * p[:6000]
    sign = np.where(np.arange(6000) % 2, 1.0, -1.0)
    mixed = (np.concatenate([t, t[:6000]]), np.concatenate([np.ones(20_000), sign]), np.concatenate([p, off]))
    found = amount_scores.estimates([name], judged(*mixed), 0)[name]
    assert found.value == pytest.approx(value(name, t, np.ones(20_000), p), abs=4 * (found.high - found.low) / 2 + 1e-9)


@pytest.mark.parametrize("name", PLAIN)
def test_a_common_factor_of_the_weights_changes_nothing(name):
    t, w, p = events(60, 2, negative=0.1)
    assert value(name, t, 7 * w, p) == pytest.approx(value(name, t, w, p), rel=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_of_several_targets_the_score_does_not_depend_on_their_units(name):
    t, w, p = events(300, 2)
    unit = np.array([1.0, 1000.0], np.float32)
    assert value(name, t * unit, w, p * unit[:, None]) == pytest.approx(value(name, t, w, p), rel=1e-4)


@pytest.mark.parametrize("name", PLAIN)
def test_of_several_targets_the_score_is_the_mean_over_the_standardised(name):
    t, w, p = (x.astype(np.float64) for x in events(300, 2))
    centre = np.average(t, axis=0, weights=w)
    width = np.sqrt(np.average((t - centre) ** 2, axis=0, weights=w))
    whole = judged(t / width, w, p / width[:, None])
    each = [amount_scores.value(name, whole.only(j)) for j in (0, 1)]
    assert value(name, t, w, p) == pytest.approx(np.mean(each), rel=1e-9)


def test_large_values_keep_their_spread():
    t, w, p = (x.astype(np.float64) for x in events())
    assert value("r2", t + 1e8, w, p + np.array([1e8, 0])) == pytest.approx(value("r2", t, w, p), rel=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_every_metric_has_an_interval_that_holds_it(name):
    for targets in (1, 2):
        found = amount_scores.estimates([name], judged(*events(200, targets)), 3)[name]
        assert found.low < found.value < found.high
        assert found == amount_scores.estimates([name], judged(*events(200, targets)), 3)[name]


@pytest.mark.parametrize("name", ["rmse", "mae", "resolution", "r2", "coverage@0.68", "pull_width"])
def test_intervals_hold_the_truth_as_often_as_they_say(name):
    truth = value(name, *events(200_000, seed=99))
    inside = 0
    for seed in range(150):
        found = amount_scores.estimates([name], judged(*events(200, seed=seed)), seed, replicates=100)[name]
        inside += found.low <= truth <= found.high
    assert 0.53 < inside / 150 < 0.81


def test_the_gain_is_positive_for_the_better_and_surer_than_the_scores():
    t, w, p = events(1000)
    worse = p.copy()
    worse[..., 0] += 0.05 * np.sign(worse[..., 0] - t)
    for name in measures.Objectives(measures.OF_AMOUNTS):
        one, other = judged(t, w, p), judged(t, w, worse)
        gain, alone = amount_scores.gain(name, one, other, 0), amount_scores.estimates([name], one, 0)[name]
        assert 0 < gain.low <= gain.value <= gain.high, name
        assert gain.high - gain.low < alone.high - alone.low
    assert amount_scores.gain("rmse", one, one, 0).value == 0


def test_intervals_without_limit_are_said_to_be_so():
    t, w, p = events()
    endless = amount_scores.judge(t, w, p, {0.95: [np.inf]})
    found = amount_scores.estimates(["coverage@0.95", "interval_width@0.95"], endless, 0)
    assert found["coverage@0.95"].value == 1
    assert found["interval_width@0.95"].value == np.inf
    assert "too few rows" in found["interval_width@0.95"].note


@pytest.mark.parametrize(("change", "code"), [
    (lambda p: p[:, :, :1], "wrong-predictions"), (lambda p: p[:-1], "wrong-predictions"),
    (lambda p: np.where(np.arange(2) == 0, np.nan, p), "nan-predictions"),
    (lambda p: p * [1, 0], "nan-predictions"), (lambda p: p * [np.inf, 1], "nan-predictions"),
])
def test_predictions_that_cannot_be_judged_are_named_errors(change, code):
    t, w, p = events(20)
    with pytest.raises(RunError) as error:
        judged(t, w, change(p))
    assert error.value.mistakes[0].code == code


def test_rows_that_cannot_give_a_metric_are_named_errors():
    t, w, p = events(20)
    for name, rows in (("rmse", (t, -w, p)), ("resolution", (t, 0 * w, p)), ("r2", (t * 0, w, p))):
        with pytest.raises(RunError) as error:
            value(name, *rows)
        assert error.value.mistakes[0].code == "undefined-metric"
        found = amount_scores.estimates([name], judged(*rows), 0)[name]
        assert found.note == "undefined on these rows"
    with pytest.raises(KeyError):
        value("log_loss", t, w, p)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(-5, 5), st.floats(-1, 3)), min_size=1, max_size=30), st.floats(0.01, 0.99))
def test_weighted_quantiles_of_any_weights(rows, level):
    values, weights = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    found = amount_scores.quantiles(values, weights[None], (level, min(0.99, level + 0.2)))[0]
    if weights.sum() <= 0:
        assert np.isnan(found).all()
    else:
        assert values.min() <= found[0] <= found[1] <= values.max()
        if (weights > 0).all():
            below = weights[values < found[0]].sum()
            assert below <= level * weights.sum() * (1 + 1e-9) <= weights[values <= found[0]].sum() * (1 + 1e-6)


def test_labels_name_the_target():
    assert measures.label("rmse/mass") == "RMSE, mass"
    assert measures.label("coverage@0.68") == "Coverage of the 68 % interval"
    assert measures.label("rejection@0.3/qcd").endswith("against qcd")


def test_objectives_are_those_that_rank_models():
    assert set(measures.Objectives(measures.OF_AMOUNTS)) == {
        "rmse", "mae", "median_absolute_error", "r2", "resolution", "gaussian_nll"}
