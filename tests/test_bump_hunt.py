"""The bump hunt: bins, a fit that is the maximum of its likelihood, counts it expects, and p-values that mean what they say."""

import numpy as np
import pytest
from scipy import stats

from automl_phys import bump_hunt
from automl_phys.bump_hunt import Hunt, Window, chances, hunt, window


def falling(rng, n):
    """A spectrum as of two jets: (1 - x)¹⁰ / x^(5 + 0.3 ln x), x = m / 13 TeV, in GeV."""
    x = np.linspace(2500, 8000, 4001) / 13000
    density = (1 - x) ** 10 / x ** (5 + 0.3 * np.log(x))
    upto = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return np.interp(rng.random(n), upto / upto[-1], 13000 * x)


def region_of(mass):
    return (mass > 3300) & (mass < 3700)


@pytest.fixture(scope="module")
def where():
    mass = falling(np.random.default_rng(0), 50_000)
    return window(mass, region_of(mass))


# ---------------------------------------------------------------- bins

def test_bins_end_where_the_signal_region_does(where):
    assert where.ends == pytest.approx((3300, 3700), abs=1)
    assert where.inside.sum() == bump_hunt.PER_REGION
    np.testing.assert_allclose(np.diff(where.edges), 100, atol=0.5)
    assert where.edges[-1] == pytest.approx(3700 + bump_hunt.SIDEBAND * 400, abs=5)


def test_the_window_begins_above_the_turn_on():
    rng = np.random.default_rng(1)
    mass = 2000 + rng.gamma(2.5, 350, 50_000)
    found = window(mass, region_of(mass))
    assert 2500 <= found.edges[0] <= 2800, "the spectrum is highest at 2525"


@pytest.mark.parametrize(("region", "why"), [
    (lambda m: np.zeros(len(m), bool), "no events"), (lambda m: np.ones(len(m), bool), "no events"),
    (lambda m: m > 4000, "both sides"), (lambda m: (m > 3000) & (m < 6500), "both sides"),
    (lambda m: region_of(m) & (np.arange(len(m)) % 2 == 0), "no interval"),
])
def test_a_region_without_sidebands_gives_no_hunt(region, why):
    mass = falling(np.random.default_rng(2), 2000)
    assert why in window(mass, region(mass))


def test_masses_that_are_missing_do_not_matter(where):
    mass = falling(np.random.default_rng(0), 50_000)
    more = np.concatenate([mass, np.full(100, np.nan)])
    found = window(more, region_of(more))
    np.testing.assert_array_equal(found.edges, where.edges)
    assert hunt(more, np.ones(len(more)), found).found == hunt(mass, np.ones(len(mass)), where).found


# ---------------------------------------------------------------- the fit

def test_what_is_expected_is_what_there_is(where):
    """Pseudo-experiments: the expectation is unbiased, its spread the error that is given."""
    rng, pulls = np.random.default_rng(3), []
    mass = falling(rng, 2_000_000)
    truth = region_of(mass).mean() * 5000
    for _ in range(100):
        found = hunt(some := falling(rng, rng.poisson(5000)), np.ones(len(some)), where)
        pulls.append((found.background.value - truth) / ((found.background.high - found.background.low) / 2))
    assert abs(np.mean(pulls)) < 0.35
    assert 0.75 < np.std(pulls) < 1.35


def test_the_fit_is_the_maximum_of_the_likelihood_of_the_sidebands(where):
    mass = falling(np.random.default_rng(4), 20_000)
    counts = np.histogram(mass, where.edges)[0].astype(float)
    outside = ~where.inside
    expected, _, deviance = bump_hunt._of_order(2, counts, where)
    assert expected[outside].sum() == pytest.approx(counts[outside].sum(), rel=1e-6), "as of any Poisson fit with a constant"
    middle = np.log((where.edges[1:] + where.edges[:-1]) / 2)
    slope = (middle - middle.mean()) * 1e-2
    for other in (slope, -slope, slope**2, -(slope**2)):
        tried = (expected * np.exp(other))[outside]
        n = counts[outside]
        assert 2 * (tried - n + n * np.log(n / tried)).sum() > deviance


def test_the_signal_region_takes_no_part_in_the_fit(where):
    mass = falling(np.random.default_rng(5), 5000)
    more = np.concatenate([mass, np.full(400, 3500.0)])
    one, other = (hunt(m, np.ones(len(m)), where) for m in (mass, more))
    np.testing.assert_allclose(one.expected, other.expected)
    assert other.found - one.found == 400
    assert other.significance > one.significance + 5


def test_a_line_takes_one_parameter_more_than_can_be_seen():
    rng = np.random.default_rng(6)
    mass = 2000 + rng.exponential(600, 100_000)
    found = window(mass, region_of(mass))
    assert hunt(mass, np.ones(len(mass)), found).order >= 2
    assert hunt(mass, np.ones(len(mass)), found).fit_p_value > 0.001


def test_few_events_are_not_fitted(where):
    assert "too few" in hunt(falling(np.random.default_rng(7), 8), np.ones(8), where)
    assert "no events" in hunt(np.zeros(0), np.zeros(0), where)
    assert "no events" in hunt(np.full(10, 100.0), np.ones(10), where)


def test_an_empty_sideband_is_fitted_all_the_same(where):
    """Zeros say as much as counts: the background falls so fast."""
    mass = np.random.default_rng(8).uniform(where.edges[0], 3200, 60)
    found = hunt(mass, np.ones(60), where)
    assert isinstance(found, Hunt)
    assert found.background.value < 10


def test_weights_scale_counts_and_a_common_factor_means_nothing_to_the_significance(where):
    mass = falling(np.random.default_rng(9), 5000)
    one, four = (hunt(mass, np.full(5000, factor), where) for factor in (1.0, 4.0))
    assert four.significance == pytest.approx(one.significance)
    assert four.found == 4 * one.found
    assert four.background.value == pytest.approx(4 * one.background.value)
    np.testing.assert_allclose(four.pulls, one.pulls)


def test_unequal_weights_make_less_sure(where):
    rng = np.random.default_rng(10)
    mass = np.concatenate([falling(rng, 5000), np.full(150, 3500.0)])
    equal = hunt(mass, np.ones(len(mass)), where)
    unequal = hunt(mass, rng.exponential(1.0, len(mass)), where)
    assert unequal.scale == pytest.approx(2, rel=0.1)
    assert 1 < unequal.significance < equal.significance


# ---------------------------------------------------------------- the p-value

def test_a_known_background_gives_poisson_probabilities():
    more, reached = chances(12, 5.0, 1e-3)
    assert more == pytest.approx(stats.poisson.sf(12, 5), rel=1e-3)
    assert reached == pytest.approx(stats.poisson.sf(11, 5), rel=1e-3)


def test_an_uncertain_background_is_one_counted_in_the_sidebands():
    """Cousins, Linnemann, Tucker (2008): n_on = 140, n_off = 100, τ = 1.2 is 3.93 σ."""
    b, sigma = 100 / 1.2, np.sqrt(100) / 1.2
    assert stats.norm.isf(chances(140, b, sigma)[1]) == pytest.approx(3.93, abs=0.01)


def test_many_events_give_the_gaussian_significance():
    more, reached = chances(10_300, 10_000, 150)
    assert stats.norm.isf((more + reached) / 2) == pytest.approx(300 / np.hypot(100, 150), abs=0.03)


def test_no_events_are_no_excess():
    more, reached = chances(0, 3.0, 1.0)
    assert reached == 1
    assert 0 < more < 1


def test_garwood_intervals_cover():
    low, high = bump_hunt.garwood(np.arange(60.0))
    for mean in (0.5, 3.0, 20.0):
        counts = np.random.default_rng(11).poisson(mean, 4000)
        assert np.mean((low[counts] <= mean) & (mean <= high[counts])) > 0.67
    assert low[0] == 0


def test_the_window_knows_its_ends():
    found = Window(np.arange(6.0), np.array([False, True, True, False, False]))
    assert found.ends == (1.0, 3.0)
