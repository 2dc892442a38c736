"""What is expected of a metric, and what is a miss."""

from __future__ import annotations

from math import inf, nan

import pytest
from pydantic import ValidationError

from automl_phys import expectations
from automl_phys.exhibits import Estimate
from automl_phys.expect_sections import Expected


def found(value: float, error: float = 0.01) -> Estimate:
    return Estimate(value, value - error, value + error)


def test_bounds() -> None:
    both = Expected(min=0.8, max=0.9)
    assert expectations.hold("accuracy", both, found(0.85)).kept
    assert "below 0.8" in expectations.hold("accuracy", both, found(0.79)).why
    assert "above 0.9" in expectations.hold("accuracy", both, found(0.95)).why


@pytest.mark.parametrize(("name", "value", "kept", "sigmas"), [
    ("roc_auc", 0.87, True, -3.0), ("roc_auc", 0.869, False, -3.1), ("roc_auc", 0.99, True, 9.0),
    ("log_loss", 0.93, True, -3.0), ("log_loss", 0.931, False, -3.1), ("log_loss", 0.5, True, 40.0),
    ("bias", 0.87, True, -3.0), ("bias", 0.869, False, -3.1), ("bias", 0.931, False, 3.1)])
def test_sigmas_look_to_the_worse_side(name: str, value: float, kept: bool, sigmas: float) -> None:
    held = expectations.hold(name, Expected(value=0.9), found(value))
    assert held.kept == kept
    assert held.sigmas == pytest.approx(sigmas)


def test_what_is_better_is_no_miss_and_is_told() -> None:
    held = expectations.hold("roc_auc", Expected(value=0.9), found(0.99))
    assert held.kept
    assert "Better than expected" in held.why
    assert not expectations.hold("roc_auc", Expected(value=0.9), found(0.91)).why


def test_errors_are_added_in_quadrature() -> None:
    wanted = Expected(value=0.9, error=0.02, spread=0.02, sigmas=1)
    assert expectations.hold("roc_auc", wanted, found(0.9 - 0.03)).sigmas == pytest.approx(-1.0)
    assert expectations.hold("roc_auc", wanted, found(0.9 - 0.0299)).kept
    assert not expectations.hold("roc_auc", wanted, found(0.9 - 0.0301)).kept


def test_the_error_is_that_of_the_side_that_faces_what_is_expected() -> None:
    lopsided = Estimate(0.8, 0.79, 0.9)
    assert expectations.hold("roc_auc", Expected(value=0.9, sigmas=1), lopsided).kept
    assert not expectations.hold("roc_auc", Expected(value=0.9, sigmas=1), Estimate(0.8, 0.7, 0.81)).kept


@pytest.mark.parametrize(("tolerance", "value", "kept"), [
    (0.05, 0.85, True), (0.05, 0.84, False), ("10 %", 0.82, True), ("10%", 0.80, False)])
def test_tolerances_are_absolute_or_relative(tolerance: float | str, value: float, kept: bool) -> None:
    wanted = Expected(value=0.9, tolerance=tolerance)
    assert expectations.hold("roc_auc", wanted, found(value, nan)).kept == kept


@pytest.mark.parametrize(("measured", "why"), [
    (None, "no such metric"), (found(nan), "undefined"), (Estimate(0.8, nan, nan, "one run"), "no uncertainty: one run"),
    (Estimate(0.8, 0.8, inf, "lower limit"), "no uncertainty: lower limit")])
def test_what_cannot_be_held_is_a_miss(measured: Estimate | None, why: str) -> None:
    held = expectations.hold("roc_auc", Expected(value=0.9, sigmas=3), measured)
    assert not held.kept
    assert why in held.why


def test_without_any_error_only_the_same_number_will_do() -> None:
    assert expectations.hold("mean_return", Expected(value=500.0), found(500.0, 0.0)).kept
    held = expectations.hold("mean_return", Expected(value=500.0), found(499.0, 0.0))
    assert not held.kept
    assert held.why == "It is worse by 1."


def test_a_tolerance_finer_than_one_event() -> None:
    fine, coarse = Expected(value=0.9, tolerance=0.001), Expected(value=0.9, tolerance=0.01)
    assert expectations.finest("accuracy", fine, 500) == pytest.approx(0.002)
    assert expectations.finest("accuracy", coarse, 500) is None
    assert expectations.finest("accuracy", Expected(value=0.9, sigmas=3), 500) is None
    assert expectations.finest("rmse/mass", Expected(value=20.0, tolerance="0.1 %"), 500) == pytest.approx(0.04)
    assert expectations.finest("rmse/mass", Expected(value=20.0, tolerance="1 %"), 500) is None
    assert expectations.finest("mean_return", Expected(value=500.0, tolerance=0.5), 100) is None


def test_in_words() -> None:
    assert expectations.in_words("roc_auc", Expected(value=0.973, error=0.004, min=0.9)) == (
        "0.9730 ± 0.0040 within 3 σ, or better; at least 0.9")
    assert expectations.in_words("bias", Expected(value=0.5, tolerance="2 %")) == "0.5 within 2 %"


@pytest.mark.parametrize("wrong", [
    {}, {"min": 2.0, "max": 1.0}, {"sigmas": 3.0}, {"value": 1.0, "sigmas": 3.0, "tolerance": 0.1},
    {"value": 0.0, "tolerance": "2 %"}, {"value": 1.0, "tolerance": "much"}, {"value": 1.0, "sigmas": 0.0}])
def test_sections_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Expected.model_validate(wrong)
