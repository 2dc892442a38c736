"""ARIMA: a series' differences as a linear function of those before and of the errors before.

Takes a section of values; gives :class:`Arima`. Its orders are those that statsforecast's AutoARIMA chooses by AICc,
with coefficients of maximum likelihood; or it is a long autoregression by Burg's method, which is stable whatever its
order: of over one season, or as much of it as AICc finds worth its while. Only that can follow a season, or a period
that is no season, of more than a few steps; far ahead all of it is often better than AICc, which judges one step ahead,
would have it. Autoregression and differencing multiplied out are one recursion, which forecasts from
all origins at once; the errors come from one linear filter, which begins with errors of zero where the Kalman filter of
the estimate has their distribution: the difference dies out as the moving average does.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.signal import lfilter

from automl_phys.local_models import LONG_SEASON, NOT_FINITE, Method, Steps, raised
from automl_phys.series_problem import Floats
from automl_phys.values import Params

FEWEST = 10
MOST = 4_000
SEASONAL_MOST = 1_500
"""Values that orders are chosen on, the latest ones; of a seasonal model, whose likelihood is slow, fewer."""
MODELS = 40
"""Models that are tried at most."""
LONG = 40
"""Lags of a long autoregression, or ``SEASONS``, or what the number of values allows, ``VALUES_PER_LAG`` for each."""
SEASONS = 1.25
VALUES_PER_LAG = 8
MOST_LAGS = 1_500
DIFFERENCES = {"auto": None, "none": 0, "once": 1}
SIMPLER = "a random walk"


@dataclass(frozen=True)
class Arima:
    """Polynomials of the lag, from lag 0 on: ``ar`` and ``difference`` of the values, ``ma`` of the errors. ``mean`` is
    that of the differenced values; ``first`` is what stands for values before the first one."""

    ar: tuple[float, ...]
    difference: tuple[float, ...]
    ma: tuple[float, ...]
    mean: float
    first: float

    def forecasts(self, values: Floats, origins: Steps, horizon: int) -> Floats:
        values = values[:origins.max(initial=0)]
        both = np.convolve(self.ar, self.difference)
        lags, echoes = len(both) - 1, len(self.ma) - 1
        before = np.concatenate([np.full(lags, values[0] if len(values) else self.first), values])
        errors = np.concatenate([np.zeros(echoes), self._errors(values)])
        # Room for the forecasts behind what came before each origin; errors to come are zero.
        known = np.empty((len(origins), lags + horizon))
        known[:, :lags] = before[origins[:, None] + np.arange(lags)]
        shocks = np.zeros((len(origins), echoes + horizon))
        shocks[:, :echoes] = errors[origins[:, None] + np.arange(echoes)]
        recall, echo = -both[:0:-1], np.array(self.ma[:0:-1])
        constant = self.mean * sum(self.ar)
        for k in range(horizon):
            # einsum, as what a product of BLAS rounds to may depend on how many windows are asked for
            known[:, lags + k] = (constant + np.einsum("ij,j->i", known[:, k:k + lags], recall)
                                  + np.einsum("ij,j->i", shocks[:, k:k + echoes], echo))
        return known[:, lags:]

    def _errors(self, values: Floats) -> Floats:
        """One step ahead, (T,); 0 where differences do not reach back far enough."""
        if not len(values):
            return values
        lost = len(self.difference) - 1
        differences = lfilter(self.difference, [1.0], values) - self.mean
        differences[:lost] = 0.0
        return np.asarray(lfilter(self.ar, self.ma, differences))

    def restarted(self, first: float, ahead: int) -> Arima:  # noqa: ARG002 - it has no phase
        return replace(self, first=first)


def _fit(values: Floats, season: int, params: Params) -> tuple[Arima, str]:
    """Orders and coefficients, found for values of mean 0 and width 1; a random walk, and why, where there are
    none."""
    level = float(values[0])
    walk = Arima((1.0,), (1.0, -1.0), (1.0,), 0.0, level)
    width = float(values.std())
    if width <= 1e-10 * np.abs(values).max():
        return walk, ""
    if len(values) < FEWEST:
        return walk, f"{SIMPLER} (fewer than {FEWEST} values)"
    if params.get("orders", "auto") != "auto":
        return _long(values, season, str(params["difference"]), params["orders"] == "full"), ""
    cycle = season if 2 <= season <= LONG_SEASON and params.get("season", "auto") != "none" else 1
    recent = values[-(SEASONAL_MOST if cycle > 1 else MOST):]
    centre = float(recent.mean())
    from statsforecast.arima import auto_arima_f

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = auto_arima_f((recent - centre) / width, d=DIFFERENCES[str(params.get("difference", "auto"))],
                                 period=cycle, seasonal=cycle > 1, nmodels=MODELS)
        except Exception as error:  # noqa: BLE001 - what it raises itself, and what its numerics do
            return walk, f"{SIMPLER} ({raised(error)})"
    made = _arima(found, centre, width, level)
    if not all(np.isfinite([*made.ar, *made.ma, made.mean])):
        return walk, f"{SIMPLER} ({NOT_FINITE})"
    return (made, "") if _stable(made.ar) else (walk, f"{SIMPLER} (what was found grows without bounds)")


def _arima(found: Any, centre: float, width: float, first: float) -> Arima:
    """From the words of statsforecast, in the units of the values."""
    p, q, seasonal_p, seasonal_q, cycle, d, seasonal_d = (int(number) for number in found["arma"])
    told = {str(name): float(number) for name, number in found["coef"].items()}
    ar = np.convolve(_polynomial([-told[f"ar{i + 1}"] for i in range(p)], 1),
                    _polynomial([-told[f"sar{i + 1}"] for i in range(seasonal_p)], cycle))
    ma = np.convolve(_polynomial(_inverted([told[f"ma{i + 1}"] for i in range(q)]), 1),
                    _polynomial(_inverted([told[f"sma{i + 1}"] for i in range(seasonal_q)]), cycle))
    difference = np.ones(1)
    for lag, times in ((1, d), (cycle, seasonal_d)):
        for _ in range(times):
            difference = np.convolve(difference, _polynomial([-1.0], lag))
    drift = told.get("drift", 0.0) * (1 if d else cycle) if d + seasonal_d == 1 else told.get("intercept", 0.0)
    mean = width * drift + (0.0 if d + seasonal_d else centre)
    return Arima(tuple(ar.tolist()), tuple(difference.tolist()), tuple(ma.tolist()), mean, first)


def _long(values: Floats, season: int, difference: str, full: bool) -> Arima:
    """Burg's method, and of its orders the one of least AICc, or the last one."""
    times = DIFFERENCES[difference]
    if times is None:
        from statsforecast.arima import ndiffs

        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            times = min(1, int(ndiffs(values)))
    differences = np.diff(values, n=times)
    mean, count = float(differences.mean()), len(differences)
    forward = backward = differences - mean
    variance = float(forward @ forward) / count
    ar = chosen = np.ones(1)
    least = np.inf
    for order in range(min(max(LONG, round(SEASONS * season)), count // VALUES_PER_LAG, MOST_LAGS) + 1):
        criterion = count * np.log(max(variance, 1e-300)) + 2 * (order + 2) * count / (count - order - 3)
        if full or criterion < least:
            least, chosen = criterion, ar
        ahead, behind = forward[1:], backward[:-1]
        power = float(ahead @ ahead + behind @ behind)
        if not power > 0:
            break
        reflection = -2 * float(ahead @ behind) / power
        ar = np.append(ar, 0.0) + reflection * np.append(0.0, ar[::-1])
        forward, backward = ahead + reflection * behind, behind + reflection * ahead
        variance *= 1 - reflection**2
    return Arima(tuple(chosen.tolist()), (1.0, -1.0) if times else (1.0,), (1.0,), mean, float(values[0]))


def _polynomial(coefficients: list[float], lag: int) -> Floats:
    """1 + c₁Bˡ + c₂B²ˡ + …"""
    made = np.zeros(len(coefficients) * lag + 1)
    made[0] = 1.0
    made[lag::lag] = coefficients
    return made


def _inverted(coefficients: list[float]) -> list[float]:
    """The moving average with the same autocorrelations that errors can be computed by: no root inside the circle."""
    roots = np.roots([1.0, *coefficients])
    if not len(roots) or np.abs(roots).max() <= 1:
        return coefficients
    roots = np.where(np.abs(roots) > 1, 1 / np.conj(roots), roots)
    # A pole on the circle itself never forgets.
    return [float(number) for number in np.real(np.poly(roots))[1:]]


def _stable(ar: tuple[float, ...]) -> bool:
    return len(ar) == 1 or float(np.abs(np.roots(ar)).max(initial=0.0)) <= 1


METHOD = Method(Arima, _fit, 40_000, 200_000)
