"""Points to be looked at: small as JSON, close to what they were, told apart by colour, and no text that ends the script."""

import json
from base64 import b64decode
from itertools import combinations
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_phys import rundir, scatter, scatter_page
from automl_phys.exhibits import Axis, Figure

NUMBERS = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30)


@given(NUMBERS, st.integers(2, 6))
def test_rounding_moves_nothing_by_more_than_its_digits(values, digits):
    rounded = np.array(scatter.rounded(np.array(values), digits))
    assert np.abs(rounded - values).max() <= (np.ptp(values) or abs(values[0])) * 10.0 ** (1 - digits) + 1e-6


def test_points_are_small_as_json():
    rng = np.random.default_rng(0)
    colours = [scatter.colouring(f"c{k}", rng.normal(size=2000) * 10.0**k) for k in range(8)]
    made = scatter.points(rng.normal(size=2000), rng.lognormal(size=2000), colours)
    assert len(rundir.as_json(made)) < 2000 * 10 * 10  # 50 000 points with eight colours: 5 MB


def test_numbers_stand_on_one_line_and_texts_stay_as_they_are():
    thing = {"x": (1, -2.5e-7, nan), "texts": ["[\n 1,\n 2\n]", "[ 1, 2 ]", "nan"], "tables": [["a", 1], [2, 3]], "empty": []}
    text = rundir.as_json(thing)
    assert '"x": [1, -2.5e-07, "nan"]' in text
    assert json.loads(text) == json.loads(json.dumps(thing).replace("NaN", '"nan"'))


def test_a_sample_is_all_or_the_most_that_are_shown():
    assert scatter.sample(5, 0).tolist() == [0, 1, 2, 3, 4]
    chosen = scatter.sample(scatter.MOST_POINTS * 3, 0)
    assert len(chosen) == scatter.MOST_POINTS
    assert (np.diff(chosen) > 0).all()
    assert chosen[-1] > 2.9 * scatter.MOST_POINTS  # from the whole, not from its beginning
    assert (chosen == scatter.sample(scatter.MOST_POINTS * 3, 0)).all()


def test_what_does_not_fit_together_is_refused():
    one = scatter.colouring("c", np.zeros(3))
    with pytest.raises(ValueError, match="equally many"):
        scatter.points(np.zeros(4), np.zeros(4), [one])
    with pytest.raises(ValueError, match="at least one"):
        scatter.points(np.zeros(3), np.zeros(3), [])
    with pytest.raises(ValueError, match="positions from -1 to 2 for 2 categories"):
        scatter.colouring("k", np.array([-1, 0, 2]), ("a", "b"))


def test_colours_of_categories_are_told_apart():
    places = [oklab(scatter.shade(k)) for k in range(-1, 20)]
    assert min(np.linalg.norm(a - b) for a, b in combinations(places, 2)) > 0.09
    assert scatter.shade(20) == scatter.shade(0)


def oklab(colour):
    """B. Ottosson's perceptual colour space; black and white are 1 apart."""
    rgb = np.array([int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(np.array([[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]) @ linear)
    return np.array([[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]) @ cones


@pytest.mark.parametrize(("names", "marks"), [
    (("cluster 1", "cluster 10"), ("1", "10")), (("QCD", "W"), ("QCD", "W")), (("a b", "a"), ("a b", "a")),
    (("alone",), ("alone",)), (("a very long name", "b"), ("a very long…", "b"))])
def test_marks_leave_out_what_all_names_begin_with(names, marks):
    assert scatter.marks(names) == marks


def test_the_ends_of_the_scale_leave_outliers_out():
    values = np.append(np.arange(1000.0), [1e9, nan])
    assert scatter.scale_ends(values) == pytest.approx((10.0, 990.0), abs=0.5)
    for low, high in map(scatter.scale_ends, ([7.0, 7.0], [nan], [], [0.0] * 999 + [1.0])):
        assert low < high


def test_marks_stand_at_medians_of_what_is_drawn():
    found = scatter.medians([0.0, 2.0, 50.0, nan, 9.0], [1.0, 1.0, 1.0, 1.0, 9.0], [0, 0, 0, 0, 2], 3)
    assert found == [(2.0, 1.0), None, (9.0, 9.0)]


def figure(**more):
    rng = np.random.default_rng(1)
    codes = np.array([0, 1, -1, 1])
    colours = [scatter.colouring("</script><b>", codes, ("<i>", "b")), scatter.colouring("mass", np.array([3.0, nan, -80.0, 125.0]))]
    return Figure("f", "<!--", "scatter", Axis("x", low=-9), Axis("y"), points=scatter.points(rng.normal(size=4), rng.normal(size=4), colours, **more))


def values(column):
    codes = np.frombuffer(b64decode(column["codes"]), "<u2").astype(float)
    return np.where(codes == 65535, nan, column["low"] + codes * (column["high"] - column["low"]) / 65534)


def test_the_page_gets_the_same_numbers():
    shown = figure()
    data = json.loads(scatter_page.embedded(shown))
    mass = shown.points.colourings[1].values
    np.testing.assert_allclose(values(data["x"]["column"]), shown.points.x, atol=np.ptp(shown.points.x) / 60000)
    np.testing.assert_allclose(values(data["colourings"][1]["column"]), mass, atol=205 / 60000)
    np.testing.assert_array_equal(values(data["colourings"][0]["column"]), [0, 1, nan, 1])
    assert [one["count"] for one in data["colourings"][0]["categories"]] == [1, 2]
    assert data["colourings"][0]["unassigned"] == 1
    assert data["x"]["from"] == -9
    assert data["y"]["from"] < min(shown.points.y) < max(shown.points.y) < data["y"]["to"]


def test_no_text_ends_the_script():
    text = scatter_page.embedded(figure(hover=["</script>", "<!--", "\u2028", "d"]))
    assert "<" not in text
    assert json.loads(text)["hover"][:2] == ["</script>", "<!--"]
    assert json.loads(text)["colourings"][0]["name"] == "</script><b>"
