"""Exponential smoothing: level, trend and season of a series, updated with every value (Hyndman's ETS).

Takes a section of values; gives :class:`Smoothing`, whose components and parameters statsforecast's AutoETS has chosen
by AICc, and which filters any later values in one pass. Whether errors are additive or multiplicative decides how the
parameters are estimated; the recursions of the point forecast are the same.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from automl_phys.local_models import LONG_SEASON, NOT_FINITE, Method, Steps, raised
from automl_phys.series_problem import Floats
from automl_phys.values import Params

TINY = 1e-10
"""Levels and seasons that are divided by are not nearer to zero."""
SIMPLER = "the last value repeated"


@dataclass(frozen=True)
class Smoothing:
    """``season`` is how the seasonal factors act: none ``N``, added ``A``, multiplied ``M``. ``slope`` is 0, as are
    ``beta`` and ``phi``, without a trend; ``phi`` is 1 for one that is not damped. ``factors`` are those of the first
    cycle, in the order of time."""

    season: str
    alpha: float
    beta: float
    gamma: float
    phi: float
    level: float
    slope: float
    factors: tuple[float, ...]

    def forecasts(self, values: Floats, origins: Steps, horizon: int) -> Floats:
        levels, slopes, factors = self._filter(values[:origins.max(initial=0)])
        damping = np.cumsum(self.phi ** np.arange(1, horizon + 1)) if self.phi else np.zeros(horizon)
        made = levels[origins][:, None] + slopes[origins][:, None] * damping
        if self.season == "N":
            return made
        ahead = factors[origins[:, None] + np.arange(horizon) % len(self.factors)]
        return np.asarray(made + ahead if self.season == "A" else made * ahead)

    def _filter(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        """Level and slope before each step and after the last, (T + 1,), and the seasonal factor that each step will
        have, as last seen, (T + m,)."""
        level, slope, count = self.level, self.slope, len(values)
        alpha, beta, gamma, phi, season = self.alpha, self.beta, self.gamma, self.phi, self.season
        levels, slopes = np.empty(count + 1), np.empty(count + 1)
        levels[0], slopes[0] = level, slope
        factors = list(self.factors)
        # Floats of Python, one by one: what comes next depends on all before, and arrays of one are slower.
        for i, value in enumerate(values.tolist()):
            trend = phi * slope
            base = level + trend
            if season == "N":
                error = value - base
            elif season == "A":
                error = value - factors[i] - base
                factors.append(factors[i] + gamma * error)
            else:
                error = value / _away(factors[i]) - base
                factors.append(factors[i] + gamma * (value / _away(base) - factors[i]))
            level = base + alpha * error
            slope = trend + beta * error
            levels[i + 1], slopes[i + 1] = level, slope
        return levels, slopes, np.array(factors)

    def restarted(self, first: float, ahead: int) -> Smoothing:
        if self.season == "N":
            return replace(self, level=first)
        turned = np.roll(self.factors, ahead % len(self.factors))
        level = first - turned[0] if self.season == "A" else first / _away(float(turned[0]))
        return replace(self, level=float(level), factors=tuple(turned.tolist()))


def _away(value: float) -> float:
    """The value, or the number nearest to it that may be divided by."""
    return value if abs(value) > TINY else (TINY if value >= 0 else -TINY)


def _fit(values: Floats, season: int, params: Params) -> tuple[Smoothing, str]:
    """Components by AICc; the last value repeated, and why, where there are none. On transformed values everything adds
    up: the transform is what makes it multiply."""
    simple = Smoothing("N", 1.0, 0.0, 0.0, 0.0, float(values[0]), 0.0, ())
    if np.ptp(values) <= TINY * np.abs(values).max():
        return simple, ""
    cycle = season if 2 <= season <= LONG_SEASON and params.get("season", "auto") != "none" else 1
    from statsforecast.ets import ets_f

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = ets_f(values, cycle, model="ZZZ" if params.get("transform", "none") == "none" else "AZZ",
                          damped=True if params.get("damped") == "always" else None)
        except Exception as error:  # noqa: BLE001 - what it raises itself, for series too short for any of its models
            return simple, f"{SIMPLER} ({raised(error)})"
    made = _smoothing(found)
    usable = all(np.isfinite([made.alpha, made.beta, made.gamma, made.phi, made.level, made.slope, *made.factors]))
    return (made, "") if usable else (simple, f"{SIMPLER} ({NOT_FINITE})")


def _smoothing(found: Any) -> Smoothing:
    """From the words of statsforecast, whose latest seasonal factor comes first."""
    _, trend, season, damped = found["components"]
    alpha, beta, gamma, phi = (float(number) for number in found["par"][:4])
    state = [float(number) for number in found["par"][4:]]
    with_trend = trend != "N"
    return Smoothing(
        season, alpha, beta if with_trend else 0.0, gamma if season != "N" else 0.0,
        (phi if damped == "D" else 1.0) if with_trend else 0.0, state[0], state[1] if with_trend else 0.0,
        tuple(state[1 + with_trend:][::-1]) if season != "N" else ())


METHOD = Method(Smoothing, _fit, 4_000, 200_000)
