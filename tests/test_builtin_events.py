"""Events that come with the program: two moons, which it makes, and dijets, which were generated once."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from automl_phys import registry
from automl_phys.contracts import Location


@pytest.fixture(scope="module")
def moons():
    source = registry.load("sources", "builtin")
    header = source.peek(Location(Path("two_moons")))
    assert header.columns == {"x": "number", "y": "number", "moon": "text"}
    table, = source.read(Location(Path("two_moons")), ["x", "y", "moon"], 100_000)
    assert header.rows == len(table) == 20_000
    return {name: table[name].to_numpy() for name in table.column_names}


def test_the_moons_are_the_same_on_every_machine(moons):
    points = np.round(np.column_stack([moons["x"], moons["y"]]).astype("float64") * 1e5).astype("<i8")
    assert hashlib.sha256(points.tobytes()).hexdigest()[:16] == "cc71520e6371252a"


def test_both_moons_have_as_many_points(moons):
    assert (moons["moon"] == "upper").sum() == (moons["moon"] == "lower").sum() == 10_000


@pytest.mark.parametrize(("moon", "centre", "side"), [("upper", (0, 0), 1), ("lower", (1, 0.5), -1)])
def test_a_moon_is_half_a_smeared_circle(moons, moon, centre, side):
    own = moons["moon"] == moon
    x, y = moons["x"][own] - centre[0], moons["y"][own] - centre[1]
    radius = np.hypot(x, y)
    # Of a point at distance 1, smeared by s across and along, the mean distance is about 1 + s² / 2.
    assert radius.mean() == pytest.approx(1.005, abs=0.004)
    assert radius.std() == pytest.approx(0.1, abs=0.003)
    assert (side * y > -0.45).all() and (side * y).mean() == pytest.approx(2 / np.pi, abs=0.015)


def test_the_moons_reach_into_each_other(moons):
    upper, lower = (moons["moon"] == name for name in ("upper", "lower"))
    assert moons["y"][upper].min() < moons["y"][lower].max()
    assert moons["x"][lower].min() < 0.2 and moons["x"][upper].max() > 0.8


def test_the_moons_are_found_by_a_name_that_is_nearly_theirs():
    from automl_phys.errors import DataError

    with pytest.raises(DataError) as raised:
        registry.load("sources", "builtin").peek(Location(Path("two_moon")))
    assert "two_moons" in raised.value.mistakes[0].text


def test_dijets_are_what_their_page_says():
    source = registry.load("sources", "builtin")
    header = source.peek(Location(Path("dijets")))
    assert header.rows == 22_000
    assert {header.columns[name] for name in ("m_jj", "j1_mass", "j2_tau4", "j1_n_charged")} == {"number"}
    table, = source.read(Location(Path("dijets")), ["m_jj", "j1_mass", "j2_mass", "j2_mass_softdrop", "label"], 100_000)
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    resonance = columns["label"] == "resonance"
    assert (resonance.sum(), (columns["label"] == "qcd").sum()) == (2_000, 20_000)
    assert (columns["j1_mass"] >= columns["j2_mass"]).all()
    assert [np.median(columns[name][resonance]) for name in ("m_jj", "j1_mass", "j2_mass_softdrop")] == pytest.approx(
        [3500, 500, 100], rel=0.05)
