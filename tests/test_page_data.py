"""What travels to a page's scripts: numbers as short as they may be, text that ends no element, cells by what they say."""

import json
from math import inf, nan

import pytest
from fixtures import jets_run

from automl_phys import curve_page, figures, page_data, readable, table_order
from automl_phys.exhibits import Axis, Estimate, Figure, Series


@pytest.mark.parametrize(("values", "short"), [
    ((0.123456, 1e-4, 0.0), [0.1235, 1e-4, 0]),
    ((1957.0416, 1957.125, 1958.0), [1957.042, 1957.125, 1958]),  # of a small range more digits are kept
    ((nan, inf, 3.0), [None, None, 3]),
    ((), []), ((7.0,), [7]), ((123456789.0, 1.0), [123456789, 1])])
def test_a_column_keeps_what_a_reader_tells_apart(values, short):
    assert page_data.column(values) == short


def test_no_text_ends_the_element():
    text = page_data.script({"a": "</script><!--"})
    assert "<" not in text
    assert json.loads(text) == {"a": "</script><!--"}
    with pytest.raises(ValueError, match="JSON"):
        page_data.script([nan])


@pytest.mark.parametrize(("cell", "number"), [
    ("0.9352 ± 0.0021", 0.9352), ("14.2 +1.9 −1.1", 14.2), ("−0.5", -0.5), ("> 310", 310), ("12 345 ± 12".replace(" ", "\u202f", 1), 12345),
    ("(1.20 ± 0.10) × 10⁻⁵", 1.2e-5), ("1.5 × 10¹²", 1.5e12), ("0.4 s", 0.4), ("3 min 05 s", 185), ("2 h 10 min", 7800),
    (3, 3), (0.25, 0.25), (nan, None), (None, None), ("", None), ("–", None), ("2 models", None), ("2026-11-27 10:15:00", None),
    ("layers [64, 64]", None), ("s", None)])
def test_a_cell_is_sorted_by_the_number_in_it(cell, number):
    assert table_order.of(cell) == (None if number is None else pytest.approx(number))


@pytest.mark.parametrize("value", [0.0, 3e-7, 0.123, 12.0, 98765.4, 3.2e9])
def test_every_number_that_is_written_is_read(value):
    assert table_order.of(readable.cell(value)) == pytest.approx(value, rel=1e-3)
    assert table_order.of(readable.estimate(Estimate(value, value - 0.1 * value, value + 0.1 * value))) == pytest.approx(value, rel=0.05)
    assert table_order.of(readable.duration(value)) == pytest.approx(value, rel=0.5, abs=60)


def of(figure):
    drawn = figures.inset(figure)
    text = curve_page.embedded(figure, drawn.frames)
    return drawn, json.loads(text) if text else None


def test_a_frame_is_where_the_axes_are():
    figure = Figure("f", "F", "xy", Axis("x", "log", low=1, high=100), Axis("y", low=0, high=2), (Series("a", "line", (1.0, 100.0), (0.0, 2.0)),))
    (frame,), data = of(figure)[0].frames, of(figure)[1]
    assert (frame.x.low, frame.x.high, frame.x.log) == pytest.approx((1, 100, True))
    assert (frame.y.low, frame.y.high, frame.y.log) == pytest.approx((0, 2, False))
    assert 0 < frame.left < 0.3 < 0.8 < frame.right < 1
    assert 0 < frame.top < 0.2 < 0.7 < frame.bottom < 1
    assert data["parts"][0]["box"] == [frame.left, frame.top, frame.right, frame.bottom]


def test_columns_that_series_share_are_written_once():
    x = (1.0, 2.0, 3.0)
    figure = Figure("f", "F", "xy", Axis("x"), Axis("y"), (Series("a", "line", x, (1.0, 4.0, 9.0), x, x), Series("b", "points", x, x)))
    data = of(figure)[1]
    assert data["columns"] == [[1, 2, 3], [1, 4, 9]]
    one, other = data["parts"][0]["series"]
    assert (one["x"], one["y"], one["low"], one["high"]) == (0, 1, 0, 0)
    assert (other["x"], other["y"]) == (0, 0) and "low" not in other
    assert one["colour"] != other["colour"]


def test_what_is_written_out_or_cannot_be_read_has_no_data():
    small = next(figure for figure in jets_run.figures() if figure.name == "confusion-counts")
    assert of(small)[1] is None
    assert of(Figure("none", "None", "xy", Axis("x"), Axis("y")))[1] is None
