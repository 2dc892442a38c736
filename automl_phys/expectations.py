"""Whether what a run measured is what its recipe expects.

Takes an :class:`automl_phys.expect_sections.Expected` and the estimate of a metric, gives a :class:`Held` that says in
words what was asked, what was found and why it is a miss. Being better than expected is no miss; where neither more nor
less of a metric is better, both ways are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import hypot, inf, isfinite, isnan

from automl_phys import measures
from automl_phys.exhibits import Estimate
from automl_phys.expect_sections import Expected
from automl_phys.readable import estimate, rounded

DIGITS = 4
"""Of a number without an error that says how many of its digits mean something."""
EXACT = 1e-9
"""Relative difference up to which two numbers are the same, but for the order in which a sum was taken."""
OF_EVENTS = frozenset({
    "accuracy", "balanced_accuracy", "recall", "precision", "f1", "roc_auc", "average_precision", "tpr@", "fpr@",
    "purity", "coverage@", "coverage", "flagged", "background_efficiency", "memorisation"})
"""Metrics that are fractions of events: one event more or less is a step of one over their number."""


@dataclass(frozen=True)
class Held:
    """One expectation beside what was measured. ``why`` says why it is missed, or that it was surpassed; ``sigmas`` is
    how far the metric is from the expected value in standard deviations, positive is better, or larger where neither is
    better; None where that is not known."""

    name: str
    kept: bool
    expected: str
    measured: Estimate | None
    why: str = ""
    sigmas: float | None = None

    @property
    def found(self) -> str:
        """What was measured, in words."""
        return "nothing" if self.measured is None else estimate(self.measured)


def hold_all(expected: Mapping[str, Expected], metrics: Mapping[str, Estimate]) -> tuple[Held, ...]:
    """Hold every expectation against what was measured."""
    return tuple(hold(name, wanted, metrics.get(name)) for name, wanted in expected.items())


def hold(name: str, wanted: Expected, found: Estimate | None) -> Held:
    """Hold one metric against what is expected of it."""
    said = in_words(name, wanted)
    if found is None:
        return Held(name, False, said, None, "The run has no such metric.")
    if isnan(found.value):
        return Held(name, False, said, found, f"It is undefined{f': {found.note}' if found.note else ''}.")
    off = _off(name, wanted, found)
    why = [*_bounds(wanted, found.value), *([off.miss] if off.miss else [])]
    surpassed = "Better than expected: --update takes it over." if off.surpassed else ""
    return Held(name, not why, said, found, " ".join(why) or surpassed, off.sigmas)


def in_words(name: str, wanted: Expected) -> str:
    """``0.973 ± 0.004 within 3 σ, or better; at least 0.9``."""
    parts = []
    if wanted.value is not None:
        value = _number(wanted.value)
        if wanted.error:
            value = estimate(Estimate(wanted.value, wanted.value - wanted.error, wanted.value + wanted.error))
        within = f"{wanted.deviations:g} σ" if wanted.allowed is None else (
            wanted.tolerance if isinstance(wanted.tolerance, str) else _number(wanted.allowed))
        parts.append(f"{value} within {within}" + (", or better" if measures.better_when(name) else ""))
    parts += [f"at least {_number(wanted.min)}"] if wanted.min is not None else []
    parts += [f"at most {_number(wanted.max)}"] if wanted.max is not None else []
    return "; ".join(parts)


def finest(name: str, wanted: Expected, events: int) -> float | None:
    """What one of ``events`` test events changes a metric by, if a tolerance is finer than that; else None. A fraction
    of events has steps of 1 / n; a mean over events changes by some 1 / n of itself."""
    if wanted.allowed is None or events < 1 or wanted.value is None:
        return None
    try:
        measure, _ = measures.find(name.partition("/")[0])
    except KeyError:
        return None
    step = (1.0 if measure.name in OF_EVENTS else abs(wanted.value)) / events
    return step if wanted.allowed < step and measure.name not in measures.OF_AGENTS else None


# ---------------------------------------------------------------- how far off

@dataclass(frozen=True)
class _Off:
    """How far a metric is from the expected value."""

    miss: str = ""
    surpassed: bool = False
    sigmas: float | None = None


def _bounds(wanted: Expected, value: float) -> Iterator[str]:
    if wanted.min is not None and value < wanted.min:
        yield f"It is below {_number(wanted.min)}."
    if wanted.max is not None and value > wanted.max:
        yield f"It is above {_number(wanted.max)}."


def _off(name: str, wanted: Expected, found: Estimate) -> _Off:
    if wanted.value is None:
        return _Off()
    direction = measures.better_when(name)
    more = found.value - wanted.value
    gain = -more if direction == "minimize" else more
    if abs(more) <= EXACT * max(abs(wanted.value), abs(found.value)):
        return _Off(sigmas=0.0)
    if wanted.allowed is not None:
        allowed, sigmas = wanted.allowed, None
    else:
        own = found.value - found.low if more > 0 else found.high - found.value  # the side that faces what is expected
        if not isfinite(own):
            return _Off(f"It has no uncertainty{f': {found.note}' if found.note else ''}. Give a 'tolerance', or a "
                        "bound.")
        deviation = hypot(max(own, 0.0), wanted.error or 0.0, wanted.spread or 0.0)
        sigmas = gain / deviation if deviation > 0 else inf if gain > 0 else -inf
        allowed = wanted.deviations * deviation
    if abs(more) <= allowed * (1 + EXACT):
        return _Off(sigmas=sigmas)
    if direction and gain > 0:
        return _Off(surpassed=True, sigmas=sigmas)
    way = "worse" if direction else "more" if more > 0 else "less"
    by = f"{abs(sigmas):.1f} σ" if sigmas is not None and isfinite(sigmas) else _number(abs(more))
    return _Off(f"It is {way} by {by}.", sigmas=sigmas)


def _number(value: float) -> str:
    return rounded(value, DIGITS) if isfinite(value) else str(value)
