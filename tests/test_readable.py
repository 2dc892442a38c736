"""Numbers as they are printed: rounding of errors, asymmetry, grouping; nothing a terminal could obey."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_phys import readable
from automl_phys.exhibits import Estimate
from automl_phys.facts import Range


@pytest.mark.parametrize(("value", "low", "high", "text"), [
    (0.93521, 0.93311, 0.93731, "0.9352 ± 0.0021"),
    (14.23, 13.1, 16.1, "14.2 +1.9 −1.1"),
    (1.0, 0.9934, 1.0, "1.0000 +0 −0.0066"),
    (0.0, 0.0, 0.00056, "0 +0.00056 −0"),
    (-0.0312, -0.0352, -0.0272, "−0.0312 ± 0.0040"),
    (123456, 122345, 124567, "123\u202f500 ± 1100"),
    (5.1, 5.1 - 0.0996, 5.1 + 0.0996, "5.10 ± 0.10"),
    (3.2e-6, 3e-6, 3.5e-6, "(3.20 +0.30 −0.20) × 10⁻⁶"),
    (0.5, nan, nan, "0.5"),
    (1.0, 1.0 - 1e-15, 1.0, "1"), (0.5, 0.5 - 1e-16, 0.6, "0.50 +0.10 −0"),
    (310.4, 205.0, inf, "> 310"),
    (nan, nan, nan, "–"),
])
def test_an_estimate_is_rounded_to_two_digits_of_its_error(value, low, high, text):
    assert readable.estimate(Estimate(value, low, high)) == text


@given(st.floats(0.01, 1e6), st.floats(1e-3, 0.5))
def test_the_printed_number_is_within_a_tenth_of_the_error(value, share):
    error = value * share
    number, _, printed = readable.estimate(Estimate(value, value - error, value + error)).partition(" ± ")
    number, printed = (float(text.replace(readable.THIN_SPACE, "")) for text in (number, printed))
    assert abs(number - value) <= 0.06 * error
    assert abs(printed - error) <= 0.06 * error


@pytest.mark.parametrize(("value", "text"), [
    (None, "–"), (60000, "60\u202f000"), (1234, "1234"), (20011.4, "20\u202f011"), (0.123456, "0.1235"),
    (3.0, "3"), (1.5e-7, "1.5 × 10⁻⁷"), (-inf, "−∞"), (True, "True"), ("pT [GeV]", "pT [GeV]")])
def test_cells(value, text):
    assert readable.cell(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.44, "0.4 s"), (9.97, "10 s"), (185, "3 min 05 s"), (3599.7, "1 h 00 min")])
def test_durations_round_into_the_next_unit(seconds, text):
    assert readable.duration(seconds) == text


def test_ranges_say_values_and_scale():
    assert readable.values_of(Range(7, 255, log=True, integer=True)) == "7 to 255"
    assert readable.scale_of(Range(7, 255, log=True, integer=True)) == "logarithmic, whole"
    assert readable.values_of(Range(choices=([64], [128, 128]))) == "[64] | [128, 128]"
    assert readable.scale_of(Range(choices=("relu",))) == "pinned"
    assert readable.condition({"penalty": ("l1", "l2")}) == "penalty is l1 or l2"


def test_control_characters_cannot_reach_a_terminal():
    assert readable.cell("\x1b[31mred\x07") == "\ufffd[31mred\ufffd"
