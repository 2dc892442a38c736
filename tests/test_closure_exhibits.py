"""What is shown of generated events: shares and ratios that are right, words that say what holds, drawings that come out."""

from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest

from automl_phys import closure_exhibits, closure_figures, closure_tables, figures
from automl_phys.closure_sample import Sample
from automl_phys.exhibits import Axis, Estimate, Figure, Panel, Score, Series
from automl_phys.values import to_json


def sample(values, weight=None, discrete=None, **more):
    values = np.asarray(values, np.float32)
    n, d = values.shape
    return Sample(values, np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
                  tuple(f"x{j}" for j in range(d)), discrete or (False,) * d, **more)


def gaussians(seed, n=2000, d=3, correlation=0.0, **more):
    values = np.random.default_rng(seed).normal(size=(n, d))
    values[:, 1] = correlation * values[:, 0] + np.sqrt(1 - correlation**2) * values[:, 1]
    return sample(values, **more)


def series(figure):
    return {one.name: one for one in figure.series}


# ---------------------------------------------------------------- columns

def test_shares_and_errors_are_those_of_the_weights():
    rng = np.random.default_rng(0)
    weight, made_weight = rng.uniform(0.5, 2, 2000), rng.uniform(1, 9, 1500)
    real, made = gaussians(1, weight=weight), gaussians(2, 1500, weight=made_weight)
    figure = closure_figures.columns(real, made)[0]
    one = series(figure)["generated"]
    edges, values = np.array(one.x), made.values[:, 0].astype(np.float64)
    counts, _ = np.histogram(values, edges, weights=made_weight)
    squares, _ = np.histogram(values, edges, weights=made_weight**2)
    np.testing.assert_allclose(one.y, counts / made_weight.sum(), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(np.array(one.high) - one.y, np.sqrt(squares) / made_weight.sum(), rtol=1e-3, atol=1e-8)
    assert one.x == series(figure)["real"].x
    outside = made_weight[values > edges[-1]].sum() / made_weight.sum()
    assert f"{100 * outside:.2g} % of the generated events on the right" in figure.caption


def test_the_ratio_is_of_the_shares_with_the_errors_of_the_generated_events():
    figure = closure_figures.columns(gaussians(1), gaussians(2))[0]
    real, made = (series(figure)[name] for name in ("real", "generated"))
    band, points = figure.below.series
    seen = np.array(real.y) > 0
    np.testing.assert_allclose(points.y, np.array(made.y)[seen] / np.array(real.y)[seen], rtol=1e-4)
    np.testing.assert_allclose(np.array(points.high) - points.y, ((np.array(made.high) - made.y) / real.y)[seen], rtol=1e-2, atol=1e-5)
    assert set(band.y) == {1.0}
    np.testing.assert_allclose(np.array(band.high)[seen] - 1, ((np.array(real.high) - real.y) / real.y)[seen], rtol=1e-2)
    low, high = figure.below.y.low, figure.below.y.high
    beyond = sum(not low <= y <= high for y in points.y)
    assert ("beyond" in figure.caption) == bool(beyond)


def test_whole_numbers_have_a_bin_each_and_all_values_are_shown():
    codes = np.repeat([1, 2, 3, 7], [500, 300, 150, 50])[:, None]
    figure, = closure_figures.columns(sample(codes, discrete=(True,)), sample(codes[::-1], discrete=(True,)))
    assert figure.x.categories == tuple("1234567")
    assert series(figure)["real"].y == (0.5, 0.3, 0.15, 0, 0, 0, 0.05)
    assert series(figure)["real"].x[:2] == (-0.5, 0.5)
    counts = np.random.default_rng(0).poisson(400, 3000)[:, None]
    wide, = closure_figures.columns(sample(counts, discrete=(True,)), sample(counts, discrete=(True,)))
    steps = np.diff(series(wide)["real"].x)
    assert len(steps) <= closure_figures.MOST_BINS
    assert set(steps) == {round(steps[0])}


def test_categories_stand_under_their_bins_by_name():
    codes = np.random.default_rng(0).integers(1, 4, (300, 1))
    codes[0] = 0
    real = sample(codes, discrete=(True,), levels={"x0": ("qcd", "w", "top")})
    assert closure_figures.columns(real, real)[0].x.categories == ("other", "qcd", "w", "top")


def test_crowded_columns_are_on_a_logarithmic_axis_with_points_in_the_middle_of_bins():
    rng = np.random.default_rng(0)
    one, other = (np.exp(rng.normal(0, 2, size=(3000, 1))) for _ in range(2))
    figure, = closure_figures.columns(sample(one), sample(other))
    edges, places = np.array(series(figure)["real"].x), np.array(figure.below.series[1].x)
    assert figure.x.scale == "log"
    assert ((edges[0] < places) & (places < edges[-1])).all()
    seen = np.array(series(figure)["real"].y) > 0
    np.testing.assert_allclose(places, np.sqrt(edges[1:] * edges[:-1])[seen], rtol=1e-4)


def test_what_has_no_number_or_does_not_vary_is_shown_as_it_is():
    missing = np.full(100, nan, np.float32)
    some = np.where(np.arange(100) < 25, nan, 1.5 * np.arange(100)).astype(np.float32)
    real = sample(np.full((100, 1), 7.0), derived={"none": missing, "some": some})
    constant, none, partly = closure_figures.columns(real, real)
    assert sum(series(constant)["real"].y) == pytest.approx(1)
    assert sum(series(none)["real"].y) == 0
    assert "25 % of the real and 25 % of the generated events without a number" in partly.caption


def test_of_many_columns_those_that_differ_most_are_shown_and_what_was_derived():
    real, made = gaussians(1, 500, 30), gaussians(2, 500, 30)
    made.values[:, 28] += 2
    derived = {"sum": real.values.sum(axis=1)}
    shown = closure_figures.columns(replace(real, derived=derived), replace(made, derived=derived))
    titles = [figure.title for figure in shown]
    assert len(titles) == closure_figures.MOST_FIGURES
    assert {"x28", "sum"} <= set(titles)
    assert "One of 24 of 31" in shown[0].caption
    assert len({figure.name for figure in shown}) == len(shown)


# ---------------------------------------------------------------- correlations and pairs

def test_correlations_are_those_of_pearson_and_their_difference_is_told():
    real, made = gaussians(1, 4000, correlation=0.8), gaussians(2, 4000, correlation=0.3)
    one, other, apart = closure_figures.correlations(real, made)
    np.testing.assert_allclose(one.matrix, np.corrcoef(real.values.T), atol=1e-4)
    np.testing.assert_allclose(np.array(other.matrix) - one.matrix, apart.matrix, atol=1e-5)
    assert (one.shade.low, one.shade.high) == (-1, 1)
    assert "The largest difference is −0.5" in apart.caption
    assert "of x0 and x1" in apart.caption


def test_a_column_that_does_not_vary_has_no_correlation():
    real = gaussians(1, 200)
    real.values[:, 2] = 3
    one, *_ = closure_figures.correlations(real, real)
    assert np.isnan(np.array(one.matrix)[2]).all()
    assert closure_figures.correlations(gaussians(1, d=2).take(slice(0, 1)), gaussians(1, d=2)) == ()
    assert closure_figures.correlations(sample(np.ones((9, 1))), sample(np.ones((9, 1)))) == ()


def test_the_pair_that_hangs_together_otherwise_comes_first():
    real, made = gaussians(1, 4000, 4, correlation=0.9), gaussians(2, 4000, 4, correlation=0.0)
    made.values[:, 3] += 3  # a column that is off for itself is no matter of pairs
    *planes, difference = closure_figures.pairs(real, made)
    assert planes[0].title == "x1 against x0"
    assert [picture.title for picture in planes[0].pictures] == ["real", "generated"]
    assert len(planes) == len(difference.pictures) == 3
    assert np.abs(difference.pictures[0].values).max() > 5
    assert sum(planes[0].pictures[0].values) == pytest.approx(1, abs=0.01)


def test_high_values_are_on_the_right_and_on_top():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 1, 3000), rng.uniform(0, 1, 3000)
    y[x > 0.8] = 0.99
    one = sample(np.stack([x, y], 1))
    plane = closure_figures.pairs(one, one)[0].pictures[0]
    cells = np.reshape(plane.values, (plane.height, plane.width))
    assert cells[0, -1] > 10 * cells[-1, 0] > 0


# ---------------------------------------------------------------- images

def pictures(seed, count=60, scale=1.0):
    return (scale * np.random.default_rng(seed).random((count, 6, 5, 1))).astype(np.float32)


def test_each_row_of_real_images_stands_above_one_of_the_same_conditions():
    real, made, label = pictures(1), pictures(2), np.arange(60) % 2
    figure, means, apart = closure_figures.images(real, made, np.ones(60), label, ("w", "qcd"))
    assert figure.across == 8
    assert [p.title for p in figure.pictures[::8]] == ["real, w", "generated, w", "real, qcd", "generated, qcd"]
    np.testing.assert_allclose(figure.pictures[9].values, made[label == 0][1].ravel(), rtol=1e-3)
    np.testing.assert_allclose(means.pictures[1].values, real[label == 1].mean(axis=0).ravel(), rtol=1e-3)
    np.testing.assert_allclose(apart.pictures[0].values, (made - real)[label == 0].mean(axis=0).ravel(), rtol=1e-2, atol=1e-4)
    assert apart.shade.low == -apart.shade.high


def test_many_classes_have_a_column_each():
    figure, means, _ = closure_figures.images(pictures(1), pictures(2), np.ones(60), np.arange(60) % 12, tuple("abcdefghijkl"))
    assert figure.across == means.across == 10
    assert len(figure.pictures) == 40
    assert [p.title for p in figure.pictures[8:12]] == ["real, i", "real, j", "generated, a", "generated, b"]
    assert "The first 10 of 12 classes" in figure.caption


@pytest.mark.parametrize("count", [1, 5, 8, 9, 40])
def test_images_without_classes_fill_whole_rows(count):
    figure, means, _ = closure_figures.images(pictures(1, count), pictures(2, count), np.ones(count), None, ())
    assert len(figure.pictures) % (2 * figure.across) == 0
    assert [p.title for p in means.pictures] == ["real", "generated"]


def test_scales_are_of_the_real_images_and_logarithmic_where_light_is_in_few_pixels():
    bright = pictures(2)
    bright[0] = 50
    assert closure_figures.images(pictures(1), bright, np.ones(60), None, ())[0].shade.high <= 1
    deep = pictures(1) ** 8 * (pictures(3) > 0.5)
    assert closure_figures.images(deep, -deep, np.ones(60), None, ())[0].shade.scale == "log"
    coloured = np.repeat(pictures(1, scale=255), 3, axis=3)
    figure, *_ = closure_figures.images(coloured, coloured, np.ones(60), None, ())
    assert figure.shade is None
    assert figure.pictures[0].colour
    assert 0 <= min(figure.pictures[0].values) <= max(figure.pictures[0].values) <= 1


# ---------------------------------------------------------------- tables and the verdict

def about(value, error=0.01):
    return Estimate(value, value - error, value + error)


METRICS = {"c2st": about(0.57), "density": about(1.2), "memorisation": about(0.51), "kpd": about(-0.1),
           "coverage": about(0.80), "wasserstein": about(0.1), "wasserstein/mass": about(0.02), "wasserstein/tau21": about(0.2),
           "wasserstein/lost": Estimate(nan, nan, nan)}
FLOORS = {"c2st": about(0.50), "density": about(1.0), "memorisation": about(0.5), "kpd": about(0.0), "coverage": about(0.97),
          "wasserstein": about(0.01), "wasserstein/mass": about(0.01), "wasserstein/tau21": about(0.01),
          "wasserstein/lost": about(0.01)}


def scores(gain, c2st=0.71):
    return (Score("flow (trial 3)", "winner", METRICS, about(gain), 60.0),
            Score("mixture baseline", "baseline", METRICS | {"c2st": about(c2st)}, None, 2.0))


def test_measures_stand_beside_their_floors_with_words_for_what_holds():
    _, closure, columns = closure_exhibits.tables(METRICS, FLOORS, scores(0.14), "c2st")
    said = {row[0]: row[3] for row in closure.rows}
    assert said["Classifier two-sample test (trees)"] == "worse by 0.070 ± 0.014 (4.9 σ)"
    assert said["Density"] == "too high by 0.200 ± 0.014 (14 σ)"
    assert said["Coverage"] == "worse by 0.170 ± 0.014 (12 σ)"
    assert said["Memorisation"] == said["Kernel physics distance"] == "compatible"  # better than the floor is no fault
    assert "Wasserstein distance, mass" not in said
    assert [row[0] for row in columns.rows] == ["tau21", "mass", "lost"]
    assert columns.rows[2][3] == "–"


def test_without_columns_or_errors_tables_still_say_something():
    plain = {"c2st": about(0.5, 0)}
    tables = closure_exhibits.tables(plain, plain, [replace(s, metrics=plain) for s in scores(0.1)], "c2st")
    assert [table.title for table in tables] == ["Leaderboard", "Closure"]
    assert tables[1].rows[0][3] == "compatible"
    assert closure_tables.off("c2st", about(0.6, 0), about(0.5, 0)) == inf
    assert closure_tables.compared("c2st", about(0.6, 0), about(0.5, 0)).startswith("worse by 0.1")


@pytest.mark.parametrize(("gain", "words"), [
    (0.14, "The mixture baseline: 0.710 ± 0.010; it is worse in the objective by 0.140 ± 0.010 (14 σ)."),
    (0.005, "cannot tell the two apart (0.5 σ): the simpler one will do."),
    (-0.1, "it is better in the objective by 0.100 ± 0.010 (10 σ): use that one."),
    (0.0, "It does just what the mixture baseline does; nothing better was found.")])
def test_the_verdict_says_what_a_classifier_tells_and_who_wins(gain, words):
    winner, baseline = scores(gain)
    said = closure_exhibits.verdict(METRICS, FLOORS, baseline, winner)
    assert said.startswith("flow (trial 3): a classifier tells generated from real events, with AUC 0.570 ± 0.010; the floor, "
                           "real against real, is 0.500 ± 0.010.")
    assert said.endswith(words)


def test_the_verdict_tells_of_copies_and_of_what_is_not_known():
    winner, baseline = scores(0.1)
    said = closure_exhibits.verdict(METRICS | {"memorisation": about(0.9), "c2st": about(0.505)}, FLOORS, baseline, winner)
    assert "does not tell" in said
    assert "Some are copies of training events: memorisation 0.900 ± 0.010" in said
    lost = Estimate(nan, nan, nan, "less than 40 events of a kind")
    assert "is not known, less than 40 events of a kind." in closure_exhibits.verdict(METRICS | {"c2st": lost}, FLOORS, baseline, winner)


# ---------------------------------------------------------------- drawings

def test_all_figures_have_names_of_their_own_and_can_be_drawn_and_stored(tmp_path):
    label = np.arange(300) % 2
    real, made = gaussians(1, 300, label=label, classes=("w", "qcd")), gaussians(2, 300, label=label, classes=("w", "qcd"))
    named = ("a + b", "a b", "<x> $")
    found = closure_exhibits.figures(replace(real, names=named), replace(made, names=named), (pictures(1, 300), pictures(2, 300)))
    assert len({figure.name for figure in found}) == len(found)
    assert [*dict.fromkeys(figure.section for figure in found)] == ["Images", "Columns", "Correlations", "Pairs"]
    assert to_json(found[3])["below"]["y"]["label"] == "Gen. / real"
    for figure in {figure.section: figure for figure in found}.values():
        path, = figures.draw(figure, tmp_path, ("png",))
        assert path.stat().st_size > 1000


def panels():
    edges = (0.0, 1.0, 2.0)
    above = (Series("truth", "filled", edges, (1.0, 3.0)), Series("model", "steps", edges, (2.0, 3.0)))
    below = Panel(Axis("Ratio", low=0.0, high=2.0), (Series("model", "points", (0.5, 1.5), (2.0, 1.0), (1.5, 0.9), (2.5, 1.1)),))
    return Figure("two", "Two", "xy", Axis("mass", low=0.0, high=2.0), Axis("Share"), above, below=below)


def test_a_panel_shares_the_axis_and_the_colours_of_what_is_above():
    with figures._style(panels()):
        figures._drawn.cache_clear()
        upper, lower = figures._drawn(panels()).axes
    assert upper.get_xlim() == lower.get_xlim() == (0, 2)
    assert lower.get_ylim() == (0, 2)
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("", "mass")
    assert not any(tick.label1.get_visible() for tick in upper.xaxis.get_major_ticks())
    assert lower.containers[0].lines[0].get_color() == upper.patches[2].get_edgecolor()[:3]
    assert [text.get_text() for text in upper.get_legend().get_texts()] == ["truth", "model"]
    assert lower.get_legend() is None
    assert lower.bbox.y1 <= upper.bbox.y0
    assert 2 < upper.bbox.height / lower.bbox.height < 4


def test_a_figure_with_a_panel_is_the_same_text_twice():
    figures._drawn.cache_clear()
    first = figures.svg(panels())
    figures._drawn.cache_clear()
    assert figures.svg(panels()) == first
    assert ">Ratio<" in first


def test_a_matrix_keeps_the_scale_it_is_given():
    names = Axis("", categories=("a", "b"))
    figure = Figure("m", "M", "matrix", names, names, matrix=((0.1, 0.2), (0.3, 0.1)), shade=Axis("", low=-1.0, high=1.0))
    with figures._style(figure):
        mesh = figures._drawn(figure).axes[0].collections[0]
    assert mesh.get_clim() == (-1, 1)
