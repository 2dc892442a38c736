"""Pictures side by side: crisp and small in every format, on one scale, text that never covers text, in every report."""

import base64
import io
import re
from dataclasses import replace
from itertools import combinations
from math import nan

import numpy as np
import pytest
from fixtures import jets_run
from matplotlib.colors import LogNorm, SymLogNorm
from rich.console import Console

from automl_phys import figures, picture_drawing, report, rundir, terminal_tables
from automl_phys.exhibits import Axis, Evaluation, Figure, Picture

BYTES_AROUND, BYTES_PER_PICTURE = 15_000, 4_000
"""Of an SVG: frame, title, colour bar; and each picture of 24 × 24 pixels with its title."""


class Silent:
    def stage(self, title): ...
    def say(self, text): ...
    def advance(self, done, total, text=""): ...


def picture(values, title="a picture"):
    values = np.asarray(values, dtype=float)
    return Picture(title, values.shape[0], values.shape[1], tuple(values.ravel().tolist()), values.ndim == 3)


def shown(*pictures, **more):
    more = {"shade": Axis("Pixel"), "across": 4, "section": "Images", "name": "made-up", "x": Axis(""), "y": Axis("")} | more
    return Figure(title="Made up", kind="pictures", pictures=pictures, **more)


def jets(count, size=24, seed=1):
    rng = np.random.default_rng(seed)
    sparse = rng.exponential(size=(count, size, size)) ** 4 * (rng.random((count, size, size)) < 0.1)
    return [picture(values, f"qcd, taken for top (0.{k:02})") for k, values in enumerate(sparse)]


def drawing_of(figure):
    with figures._style(figure):
        drawing = figures._drawn(figure)
        drawing.canvas.draw()  # pictures take their places
        return drawing


def axes_with_pictures(figure):
    return [axes for axes in drawing_of(figure).axes if axes.images]


def scale_of(figure):
    return axes_with_pictures(figure)[0].images[0].norm


def colours_of(figure):
    return [axes.images[0].to_rgba(axes.images[0].get_array())[..., :3] for axes in axes_with_pictures(figure)]


def test_the_same_data_give_the_same_bytes(tmp_path):
    figure = shown(*jets(5), picture(np.full((4, 4, 3), 0.3)), shade=Axis("Pixel", "log"), x=Axis("η"), y=Axis("φ"))
    written = []
    for folder in ("a", "b"):
        figures._drawn.cache_clear()
        written.append([path.read_bytes() for path in figures.draw(figure, tmp_path / folder)] + [figures.svg(figure)])
    assert written[0] == written[1]


@pytest.mark.parametrize("count", [1, 12, 30])
def test_an_svg_is_small_and_its_pictures_are_pixels(count):
    element = figures.svg(shown(*jets(count), across=6, shade=Axis("Pixel", "log")))
    assert len(element) < BYTES_AROUND + count * BYTES_PER_PICTURE
    assert element.count("image-rendering:pixelated") >= count
    sizes = [width_and_height(data) for data in re.findall(r"data:image/png;base64,([^\"]+)\"", element)]
    assert sizes.count((24, 24)) == count  # each pixel once: whoever shows it makes it larger, and stays crisp


def width_and_height(data):
    header = base64.b64decode(re.sub(r"\s", "", data))[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


def test_pixels_have_edges_in_a_png(tmp_path):
    from matplotlib.image import imread

    (path,) = figures.draw(shown(picture([[0.0, 1.0], [1.0, 0.0]])), tmp_path, ("png",))
    drawing = drawing_of(shown(picture([[0.0, 1.0], [1.0, 0.0]])))
    box = drawing.axes[0].get_window_extent()
    seen = imread(path)[::-1][int(box.y0) + 3:int(box.y1) - 3, int(box.x0) + 3:int(box.x1) - 3, 0]
    assert set(np.unique(seen)) == {0.0, 1.0}


@pytest.mark.parametrize("across", [1, 2, 4, 6])
@pytest.mark.parametrize("title", ["w, taken for qcd (0.98)", "of_one_word_that_is_much_longer_than_a_picture_is_wide", "many words " * 12, ""])
def test_no_text_covers_another_or_leaves_the_drawing(across, title):
    pictures = [replace(p, title=title and f"{title} {k}") for k, p in enumerate(jets(2 * across + 1))]
    figure = shown(*pictures, across=across, x=Axis("pseudorapidity of the cell, η"), y=Axis("azimuth of the cell, φ [rad]"),
                   shade=Axis("Energy of the cell over that of the jet, and more words", "log"))
    drawing = drawing_of(replace(figure, title="A title of the figure that is longer than any drawing is wide " * 3))
    texts = [*drawing.texts, *(text for axes in drawing.axes for text in (axes.title, axes.xaxis.label, axes.yaxis.label))]
    texts += [label for label in drawing.axes[-1].get_yticklabels() if drawing.axes[-1].bbox.y0 <= label.get_window_extent().y1]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    frames = [axes.get_window_extent() for axes in drawing.axes]
    assert len(boxes) > (2 * across if title else across)
    for one, other in combinations(boxes, 2):
        assert overlap(one, other) < 2
    for box in boxes:
        assert all(overlap(box, frame) < 2 for frame in frames)
        assert -1 <= box.x0 < box.x1 <= drawing.bbox.x1 + 1
        assert -1 <= box.y0 < box.y1 <= drawing.bbox.y1 + 1
    for one, other in combinations(frames, 2):
        assert not overlap(one, other)


def overlap(one, other):
    """Dots that two boxes share, along the shorter side of what they share."""
    return max(0.0, min(min(one.x1, other.x1) - max(one.x0, other.x0), min(one.y1, other.y1) - max(one.y0, other.y0)))


def test_a_long_title_keeps_both_its_ends():
    figure = shown(*(replace(p, title=f"{'a_very_long_name_of_a_class' * 4}, taken for {'another' * 9} (0.98)") for p in jets(6)), across=6)
    for axes in axes_with_pictures(figure):
        title = axes.get_title()
        assert title.startswith("a_very")
        assert title.endswith("(0.98)")
        assert "…" in title
        assert title.count("\n") <= 2


def test_a_drawing_grows_with_its_rows_and_is_wide_with_many_in_a_row():
    sizes = {(across, count): drawing_of(shown(*jets(count), across=across)).get_size_inches() for across, count in ((3, 3), (3, 6), (3, 9), (6, 6), (6, 2))}
    first, second = (sizes[3, more][1] - sizes[3, fewer][1] for fewer, more in ((3, 6), (6, 9)))
    assert first == pytest.approx(second)
    assert first > 1
    assert sizes[3, 3][0] == sizes[6, 2][0] == 6.4
    assert sizes[6, 6][0] == 9.6


def test_labels_stand_at_the_outer_pictures_only():
    axes = axes_with_pictures(shown(*jets(5), across=3, x=Axis("η"), y=Axis("φ")))
    assert [one.get_ylabel() for one in axes] == ["φ", "", "", "φ", ""]
    assert [one.get_xlabel() for one in axes] == ["", "", "η", "η", "η"]
    assert not any(len(one.get_xticks()) or len(one.get_yticks()) for one in axes)


def test_all_shades_are_on_one_scale_with_one_bar():
    dark, bright = np.zeros((3, 3)), np.ones((3, 3))
    bright[0, 0] = 5.0
    figure = shown(picture(dark), picture(bright), picture(np.full((3, 3, 3), 0.2)))
    drawing = drawing_of(figure)
    assert len(drawing.axes) == 4
    first, second, colour = (axes.images[0] for axes in drawing.axes[:3])
    assert first.norm is second.norm
    assert (first.norm.vmin, first.norm.vmax) == (0, 5)
    assert drawing.axes[3].get_ylabel() == "Pixel"
    np.testing.assert_allclose(colour.get_array(), 0.2)
    assert not [axes for axes in drawing_of(shown(picture(np.zeros((2, 2, 3))))).axes if not axes.images]  # no bar for colours


def test_zeros_of_a_sparse_image_are_background_and_what_is_no_number_is_not():
    values = np.array([[0.0, -0.0, 1e-9], [1e-3, 1.0, nan]])
    (colours,) = colours_of(shown(picture(values), shade=Axis("Pixel", "log", low=1e-4, high=1.0)))
    lowest = colours[0, 0]
    np.testing.assert_allclose(colours[0, 1:], [lowest, lowest])
    assert np.abs(colours[1, :2] - lowest).max(axis=1).min() > 0.1
    assert np.ptp(colours[1, 2]) < 0.06  # grey
    assert np.abs(colours[1, 2] - lowest).max() > 0.3


@pytest.mark.parametrize(("scale", "kind"), [("log", SymLogNorm), ("linear", object)])
def test_signed_values_have_white_at_zero(scale, kind):
    figure = shown(picture([[-0.5, 0.0, 2.0]]), shade=Axis("Difference", scale))
    norm, (((blue, white, red),),) = scale_of(figure), colours_of(figure)
    assert isinstance(norm, kind)
    assert (norm.vmin, norm.vmax) == (-2, 2)
    assert white.min() > 0.95
    assert blue[2] > blue[0]
    assert red[0] > red[2]


def test_a_logarithmic_bar_tells_powers_of_ten():
    labels = [text.get_text() for text in drawing_of(shown(*jets(2), shade=Axis("Pixel", "log", low=1e-5, high=1.0))).axes[-1].get_yticklabels()]
    assert {"10⁻⁵", "10⁻⁴", "0.001", "0.1", "1"} <= set(labels)
    signed = [text.get_text() for text in drawing_of(shown(picture([[-3.0, 1.0]]), shade=Axis("d", "log"))).axes[-1].get_yticklabels()]
    assert signed == ["−1", "−0.1", "−0.01", "0", "1", "0.1", "0.01"]


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("values", [0.0, 2.5, -2.5, 1e-30, 1e30, nan])
def test_a_constant_picture_is_drawn(values, scale, tmp_path):
    figure = shown(picture(np.full((1, 5), values)), picture(np.full((7, 1), values)), shade=Axis("Pixel", scale))
    assert all(path.stat().st_size > 1000 for path in figures.draw(figure, tmp_path))
    norm = scale_of(figure)
    assert np.isfinite([norm.vmin, norm.vmax]).all()
    assert norm.vmin < norm.vmax


@pytest.mark.parametrize("shade", [None, Axis("Pixel", low=3.0), Axis("Pixel", high=-3.0), Axis("Pixel", "log", low=5.0), Axis("Pixel", "log", low=0.0, high=1.0)])
def test_a_scale_may_be_given_in_part(shade):
    figure = shown(picture([[0.0, 0.5], [1.0, 2.0]]), shade=shade)
    norm = scale_of(figure)
    assert norm.vmin < norm.vmax
    assert isinstance(norm, LogNorm) is bool(shade and shade.scale == "log")
    assert all(np.isfinite(colours).all() for colours in colours_of(figure))


def test_the_bar_says_when_there_is_more():
    def ends(high, scale="linear", low=0.0):
        figure = shown(picture([[0.0, 1.0004]]), shade=Axis("Pixel", scale, low=low, high=high))
        (bar,) = [axes for axes in drawing_of(figure).axes if not axes.images]
        return len(bar.patches)

    assert ends(1.0) == 0  # rounding
    assert ends(0.5) == 1
    assert ends(1.0, "log", 1e-4) == 1  # zeros


def test_a_figure_without_pictures_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="has no pictures"):
        drawing_of(shown())


def test_figures_of_pictures_stand_in_every_report(tmp_path):
    run = jets_run.write(tmp_path, figure_names=("roc",))
    known = rundir.read_json(run.evaluation, Evaluation)
    made = (*known.figures, shown(*jets(4), name="many"), shown(*jets(3), name="few"), shown(*jets(8), name="roc-of-images", across=2))
    rundir.write_json(run.evaluation, replace(known, figures=made))
    assert rundir.read_json(run.evaluation, Evaluation).figures == made
    html = report.run(run, ("html", "markdown"), (), Silent()).read_text()
    assert re.findall(r'<figure id="([^"]+)" class="wide">', html) == ["many"]
    assert all(f'<figure id="{name}">' in html for name in ("few", "roc-of-images"))
    markdown = run.report("md").read_text()
    assert all(f"(figures/{figure.name}.png)" in markdown and (run.figures / f"{figure.name}.png").exists() for figure in made)


def test_the_terminal_leaves_pictures_out():
    evaluation = replace(jets_run.evaluation(), figures=(shown(*jets(3), name="confusion"), shown(*jets(3), name="roc"), shown(*jets(3), name="map")))
    said = io.StringIO()
    console = Console(file=said, width=80, markup=False)
    for part in terminal_tables.outcome(jets_run.plan(), evaluation, jets_run.findings(), None):
        console.print(part)
    assert "Leaderboard" in said.getvalue()
    assert "Made up" not in said.getvalue()


def test_room_is_kept_for_the_widest_numbers():
    figure = shown(picture([[-0.00012345, 0.00012345]]), shade=Axis("Weight"))
    drawing = drawing_of(figure)
    assert drawing.axes[-1].get_tightbbox().x1 <= drawing.bbox.x1
    assert drawing.axes[-1].get_tightbbox().y1 <= drawing.bbox.y1
    assert picture_drawing.FEW_ACROSS == 3  # the page's template counts too
