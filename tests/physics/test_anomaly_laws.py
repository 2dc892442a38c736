"""Laws that the search for anomalies obeys whatever the detector."""

import numpy as np
import pytest
from scipy import stats

from automl_phys import anomaly_scores, bump_hunt, mass_sculpting


def events(seed, n=6000, shift=1.0):
    rng = np.random.default_rng(seed)
    target = (rng.random(n) < 0.2).astype(np.int32)
    return target, rng.normal(size=n) + shift * target, rng.uniform(0.5, 2.0, n)


def test_a_shuffled_truth_is_not_found():
    pulls = []
    for seed in range(20):
        target, score, weight = events(seed)
        shuffled = np.random.default_rng(seed).permutation(target)
        found = anomaly_scores.estimates(["roc_auc", "max_sic"], anomaly_scores.judge(shuffled, score, weight), 0)
        auc = found["roc_auc"]
        pulls.append((auc.value - 0.5) / ((auc.high - auc.low) / 2))
        # the best of many thresholds, each as good as none; at 10 of 4800 background events the error is 30 %
        assert 0.99 < found["max_sic"].value < 2.0
    assert abs(np.mean(pulls)) < 0.7
    assert 0.6 < np.std(pulls) < 1.5


@pytest.mark.parametrize("name", anomaly_scores.WITH_TRUTH)
def test_weight_2_is_the_row_twice(name):
    target, score, _ = events(1)
    twice = np.random.default_rng(2).random(len(target)) < 0.3
    rows = np.concatenate([np.arange(len(target)), np.flatnonzero(twice)])
    weighted = anomaly_scores.value(name, target, score, 1.0 + twice)
    repeated = anomaly_scores.value(name, target[rows], score[rows], np.ones(len(rows)))
    # which thresholds are looked at depends on the effective number of events, which is not the same
    assert weighted == pytest.approx(repeated, rel=1e-10 if name != "max_sic" else 0.05)


@pytest.mark.parametrize("name", anomaly_scores.WITH_TRUTH)
@pytest.mark.parametrize("transform", [np.exp, np.arctan, lambda s: 5 * s**3 - 1e3])
def test_a_monotone_transformation_changes_no_metric(name, transform):
    target, score, weight = events(3)
    before = anomaly_scores.value(name, target, score, weight)
    assert anomaly_scores.value(name, target, transform(score), weight) == pytest.approx(before, rel=1e-12)


def test_a_monotone_transformation_changes_no_sculpting():
    rng = np.random.default_rng(4)
    mass, weight = rng.exponential(1.0, 5000), rng.uniform(0.5, 2, 5000)
    score = mass + rng.normal(0, 2, 5000)
    one, other = (mass_sculpting.sculpted(mass, s, weight, 0) for s in (score, np.exp(score)))
    assert one == other


def test_a_score_that_knows_nothing_of_the_mass_does_not_sculpt():
    pulls = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        mass, weight = rng.exponential(1.0, 4000), rng.uniform(0.5, 1.5, 4000)
        pulls.append([one.pull for one in mass_sculpting.sculpted(mass, rng.normal(size=4000), weight, seed)])
    assert np.all(np.abs(np.mean(pulls, axis=0)) < 0.7)
    assert np.nanmax(pulls) < 6


# ---------------------------------------------------------------- background alone

def dijets(rng, n):
    x = np.linspace(2500, 8000, 4001) / 13000
    density = (1 - x) ** 10 / x ** (5 + 0.3 * np.log(x))
    upto = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(rng.random(n), upto / upto[-1], 13000 * x)


def exponential(rng, n):
    return 2000 + rng.exponential(600, n)


def turning_on(rng, n):
    return 2000 + rng.gamma(2.5, 350, n)


def local_p_values(spectrum, events_, toys, seed=5):
    """Of pseudo-experiments without signal. Counts are discrete: p is even between that of more, and of as many or more."""
    rng = np.random.default_rng(seed)
    many = spectrum(np.random.default_rng(0), 50_000)
    where = bump_hunt.window(many, (many > 3300) & (many < 3700))
    found, middle = [], []
    for _ in range(toys):
        mass = spectrum(rng, rng.poisson(events_))
        one = bump_hunt.hunt(mass, np.ones(len(mass)), where)
        found.append(one.p_above + rng.random() * (one.p_reached - one.p_above))
        middle.append(one.p_value)
    return np.array(found), np.array(middle)


@pytest.mark.parametrize(("spectrum", "events_"), [
    (dijets, 60), (dijets, 1000), (dijets, 20_000), (exponential, 1000), (exponential, 20_000), (turning_on, 10_000)])
def test_local_p_values_of_background_alone_are_uniform(spectrum, events_):
    found, middle = local_p_values(spectrum, events_, 200)
    assert stats.kstest(found, "uniform").pvalue > 0.01
    if events_ >= 1000:  # enough events in the signal region that its count is nearly continuous
        assert stats.kstest(middle, "uniform").pvalue > 0.01
    assert (middle < stats.norm.sf(4)).sum() == 0, "nothing claims a discovery that is not there"


def test_few_events_of_a_turn_on_do_not_make_discoveries():
    """What is too little to be seen in the sidebands may shift p, but not towards a claim."""
    found, _ = local_p_values(turning_on, 150, 300)
    assert np.mean(found < 0.05) < 0.09
    assert np.mean(found < 0.00135) <= 2 / 300


def test_anomalies_in_the_signal_region_are_seen_where_there_are_enough():
    rng = np.random.default_rng(6)
    background = dijets(rng, 10_000)
    many = dijets(np.random.default_rng(0), 50_000)
    where = bump_hunt.window(many, (many > 3300) & (many < 3700))
    strengths = []
    for signal in (0, 100, 300):
        mass = np.concatenate([background, rng.normal(3500, 60, signal)])
        strengths.append(bump_hunt.hunt(mass, np.ones(len(mass)), where).significance)
    assert abs(strengths[0]) < 3
    assert strengths[0] < strengths[1] < strengths[2]
    assert strengths[2] > 5
