"""Drawings: the same bytes twice, ids of their own, text kept as text, legends beside the data, readable numbers."""

import re
from dataclasses import replace
from math import inf, nan
from xml.etree import ElementTree

import numpy as np
import pytest
from fixtures import jets_run

from automl_phys import figures, legend, scatter
from automl_phys.errors import RunError
from automl_phys.exhibits import Axis, Figure, Series

MADE = {figure.name: figure for figure in jets_run.figures()}


def xy(*series, x=None, y=None, **more):
    return Figure("made-up", "Made up", "xy", x or Axis("x"), y or Axis("y"), series, **more)


def axes_of(figure):
    with figures._style(figure):
        return figures._drawn(figure).axes[0]


@pytest.mark.parametrize("name", ["roc", "confusion-counts"])
def test_the_same_data_give_the_same_bytes(tmp_path, name):
    written = []
    for folder in ("a", "b"):
        figures._drawn.cache_clear()
        paths = figures.draw(MADE[name], tmp_path / folder)
        written.append([path.read_bytes() for path in paths] + [figures.svg(MADE[name])])
    assert [p.name for p in paths] == [f"{name}.png", f"{name}.pdf"]
    assert written[0] == written[1]


def test_the_order_of_formats_does_not_matter(tmp_path):
    figure = MADE["calibration"]
    first = figures.svg(figure)
    figures._drawn.cache_clear()
    figures.draw(figure, tmp_path)
    assert figures.svg(figure) == first


def test_ids_are_unique_over_figures_and_references_stay_inside():
    pages = [figures.svg(MADE["roc"]), figures.svg(MADE["calibration"])]
    ids = [re.findall(r'\bid="([^"]+)"', page) for page in pages]
    for page, own in zip(pages, ids, strict=True):
        assert len(own) == len(set(own))
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', page)) <= set(own)
    assert not set(ids[0]) & set(ids[1])


def test_text_of_the_user_stays_text():
    hostile = "<script>alert('$x_1$')</script> & \\frac \"q\""
    figure = xy(Series(hostile, "line", (0.0, 1.0), (0.0, 1.0)), Series("_hidden", "line", (0.0, 1.0), (1.0, 0.0)), x=Axis(hostile))
    drawn = ElementTree.fromstring(figures.svg(replace(figure, title=hostile)))
    texts = ["".join(element.itertext()).strip() for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count(hostile) == 3
    assert "\u200b_hidden" in texts
    assert drawn.get("aria-label") == hostile
    assert not list(drawn.iter("{http://www.w3.org/2000/svg}script"))


def test_series_of_one_group_share_a_colour_and_references_have_none():
    edges, centres = (0.0, 0.5, 1.0), (0.25, 0.75)
    axes = axes_of(xy(
        Series("qcd, train", "filled", edges, (1.0, 2.0), group="qcd"), Series("qcd, test", "points", centres, (1.0, 2.0), group="qcd"),
        Series("w", "line", centres, (1.0, 2.0)), Series("chance", "line", centres, (0.0, 1.0), muted=True)))
    lines = {line.get_label(): line for line in axes.lines}
    points = axes.containers[0].lines[0]
    assert points.get_color() == axes.patches[0].get_facecolor()[:3]
    assert lines["w"].get_color() != points.get_color()
    assert lines["chance"].get_color() == figures.MUTED
    assert lines["chance"].get_linestyle() == "--"


def test_curves_beyond_the_palette_are_told_apart_by_dashes():
    lines = axes_of(xy(*(Series(str(i), "line", (0.0, 1.0), (0.0, float(i))) for i in range(12)))).lines
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 12


@pytest.mark.parametrize("name", ["roc", "output-top", "search-history", "calibration", "feature-00"])
def test_the_legend_covers_no_data(name):
    axes = axes_of(MADE[name])
    box = axes.get_legend().get_window_extent().transformed(axes.transAxes.inverted())
    assert not legend._hits(legend._points(axes), box.x0 + 0.02, box.y0 + 0.02, box.width - 0.04, box.height - 0.04)


def test_a_long_legend_stands_outside():
    x = (0.0, 1.0)
    axes = axes_of(xy(*(Series(f"a curve of a long name {i}", "line", x, (0.0, float(i))) for i in range(12))))
    picture, (beside,) = axes.figure.bbox, axes.figure.legends
    box = beside.get_window_extent()
    assert len(beside.get_texts()) == 12
    assert box.y1 < axes.get_tightbbox().y0
    assert picture.x0 <= box.x0 < box.x1 <= picture.x1  # and inside the picture
    assert picture.y0 <= box.y0


def test_what_cannot_be_drawn_leaves_a_gap(tmp_path):
    figure = xy(Series("rejection", "line", (0.0, 0.5, 1.0), (inf, 0.0, 10.0), (nan, -1.0, 9.0), (nan, 5.0, 11.0)),
                Series("none", "points", (), (), (), ()),
                Series("errors", "points", (0.5,), (2.0,), (nan,), (inf,)), y=Axis("1/FPR", "log"))
    assert all(path.stat().st_size > 1000 for path in figures.draw(figure, tmp_path))


@pytest.mark.parametrize("values", [((1.0, 2.0), (30.0, 400.0)), ((0.0, 0.0), (0.0, 0.0)), ((-1.0, 0.2), (0.2, 1.0)), ((nan, 1.0), (0.5, 0.5))])
def test_numbers_in_a_matrix_stand_out_from_their_cells(values):
    names = Axis("", categories=("a", "b"))
    axes = axes_of(Figure("m", "M", "matrix", names, names, matrix=values))
    cells = axes.collections[0]
    cells.update_scalarmappable()
    assert len(axes.texts) == 4
    for text, color in zip(axes.texts, cells.get_facecolors(), strict=True):
        if text.get_text() != "–":
            assert contrast(color[:3], (0, 0, 0) if text.get_color() == "black" else (1, 1, 1)) > 4.5


def contrast(first, second):
    def luminance(rgb):
        return sum(w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for w, c in zip((0.2126, 0.7152, 0.0722), rgb, strict=True))

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_bars_with_many_names_lie_and_begin_at_the_top():
    axes = axes_of(MADE["importance"])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list(jets_run.FEATURES)
    assert axes.yaxis_inverted()
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, MADE["importance"].series[0].y)


def test_axes_keep_the_limits_they_were_given():
    axes = axes_of(MADE["roc"])
    assert axes.get_xlim() == (0, 1)
    assert axes.get_ylim() == (0, 1)


def test_a_place_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    (tmp_path / "calibration.png").mkdir()
    with pytest.raises(RunError):
        figures.draw(MADE["calibration"], tmp_path, ("png",))
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.png"]  # no half file is left


def scattered(codes, colours=None, name="embedding"):
    rng = np.random.default_rng(2)
    codes = np.asarray(codes)
    place = np.stack([20.0 * codes, 5.0 * codes], axis=1) + rng.normal(size=(len(codes), 2))
    own = scatter.colouring("cluster", codes, tuple(f"cluster {k}" for k in range(codes.max() + 1)))
    return Figure(name, "Embedding", "scatter", Axis("UMAP 1"), Axis("UMAP 2"), points=scatter.points(*place.T, [colours or own]))


def test_a_scatter_is_one_picture_with_text_around_it():
    figure = scattered(np.arange(6000) % 4 - 1)
    element = figures.svg(figure)
    drawn = ElementTree.fromstring(element)
    texts = {"".join(text.itertext()).strip() for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Embedding", "UMAP 1", "UMAP 2", "cluster 0", "cluster 2", "0", "1", "2", "noise"} <= texts
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}image"))) == 1
    assert len(element) < 400_000
    figures._drawn.cache_clear()
    assert figures.svg(figure) == element


def test_noise_is_grey_small_and_beneath():
    noise, clusters = axes_of(scattered(np.arange(300) % 3 - 1)).collections
    assert len(noise.get_offsets()) == 100
    assert noise.get_sizes()[0] < clusters.get_sizes()[0]
    assert noise.get_zorder() <= clusters.get_zorder()
    assert np.ptp(noise.get_facecolors()[0, :3]) < 0.03
    assert len(np.unique(clusters.get_facecolors(), axis=0)) == 2


def test_many_clusters_have_a_colour_and_a_number_each_and_a_legend_outside():
    axes = axes_of(scattered(np.arange(400) % 20))
    assert [text.get_text() for text in axes.texts] == [str(k) for k in range(20)]
    assert len(np.unique(axes.collections[-1].get_facecolors(), axis=0)) == 20
    assert len(axes.figure.legends[0].get_texts()) == 20
    median = np.median(np.ma.getdata(axes.collections[-1].get_offsets())[3::20], axis=0)
    np.testing.assert_allclose(axes.texts[3].get_position(), median)


def test_the_legend_of_a_scatter_covers_no_points():
    axes = axes_of(scattered(np.arange(300) % 3))  # along the diagonal: the other corners are free
    box = axes.get_legend().get_window_extent().transformed(axes.transAxes.inverted())
    assert len(legend._points(axes)) >= 300
    assert not legend._hits(legend._points(axes), box.x0 + 0.02, box.y0 + 0.02, box.width - 0.04, box.height - 0.04)


@pytest.mark.parametrize(("values", "ends"), [(np.linspace(0, 1, 50), (0.01, 0.99)), ([nan] * 50, (0, 1)), ([3.0] * 50, (2.5, 3.5))])
def test_a_quantity_has_a_colour_bar_from_percentile_to_percentile(values, ends):
    figure = scattered(np.zeros(50, int), scatter.colouring("mass [GeV]", np.array(values)))
    bar = axes_of(figure).figure.axes[1]
    assert bar.get_ylabel() == "mass [GeV]"
    assert bar.get_ylim() == pytest.approx(ends, abs=0.002)
