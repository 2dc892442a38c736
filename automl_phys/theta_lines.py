"""The theta method: the mean of a straight line and of exponential smoothing, as a recursion (Fiorucci et al. 2016).

Takes a section of values; gives :class:`Theta`, whose variant and parameters statsforecast's AutoTheta has chosen by
the mean square error, and which filters any later values in one pass. A season is taken out first, by the mean of each
phase around the moving average, where the values resemble those one season before; so it may be as long as a third of
the section.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter
from scipy.special import ndtri

from automl_phys.local_models import LEAST_CYCLES, NOT_FINITE, Method, Steps, raised
from automl_phys.series_problem import Floats
from automl_phys.values import Params

FEWEST = 4
LEAST_FACTOR = 0.01
"""Of a season that is divided by."""
CONFIDENCE = 0.95
SHORTEST_SEASON = 4
"""Of two or three steps little can be told from a trend's ups and downs."""
SIMPLER = "the last value and any season repeated"


@dataclass(frozen=True)
class Theta:
    """``level`` is smoothed by ``alpha``, from the value before the first step; the line of weight 1 - 1/``theta`` is
    ``intercept`` + ``slope`` x step, or with ``dynamic`` the least squares line of the values so far. ``factors`` are
    those of the season, from the section's first step on, multiplied with ``multiplied``, else added."""

    alpha: float
    theta: float
    level: float
    intercept: float
    slope: float
    dynamic: bool
    multiplied: bool
    factors: tuple[float, ...]

    def forecasts(self, values: Floats, origins: Steps, horizon: int) -> Floats:
        plain = self._plain(self._adjusted(values[:origins.max(initial=0)]), origins, horizon)
        if not self.factors:
            return plain
        season = np.array(self.factors)[(origins[:, None] + np.arange(horizon)) % len(self.factors)]
        return np.asarray(plain * season if self.multiplied else plain + season)

    def _adjusted(self, values: Floats) -> Floats:
        if not self.factors:
            return values
        season = np.array(self.factors)[np.arange(len(values)) % len(self.factors)]
        return np.asarray(values / season if self.multiplied else values - season)

    def _plain(self, values: Floats, origins: Steps, horizon: int) -> Floats:
        """Forecasts (n, horizon) without the season: the states before each origin, then the recursion with the
        forecasts in place of values."""
        rest, weight = 1 - self.alpha, 1 - 1 / self.theta
        smoothed, _ = lfilter([self.alpha], [1.0, -rest], values, zi=[rest * self.level])
        level = np.concatenate([[self.level], smoothed])[origins]
        intercept, slope, mean = (np.full(len(origins), number) for number in (self.intercept, self.slope, 0.0))
        if self.dynamic:
            mean, slope = (found[origins] for found in _lines(values, self.intercept))
            intercept = mean - slope * (origins + 1) / 2
        made = np.empty((len(origins), horizon))
        for k in range(horizon):
            i = origins + k
            value = level + weight * (intercept * rest**i + slope * (1 - rest ** (i + 1)) / self.alpha)
            level = self.alpha * value + rest * level
            if self.dynamic:
                slope = np.where(i > 0, ((i - 1) * slope + 6 * (value - mean) / (i + 1)) / (i + 2), 0.0)
                mean = (i * mean + value) / (i + 1)
                intercept = mean - slope * (i + 2) / 2
            made[:, k] = value
        return made

    def restarted(self, first: float, ahead: int) -> Theta:
        turned = np.roll(self.factors, ahead % len(self.factors)) if self.factors else np.empty(0)
        if self.factors:
            first = first / float(turned[0]) if self.multiplied else first - float(turned[0])
        return replace(self, level=first / self.theta, intercept=first, factors=tuple(turned.tolist()))


def _lines(values: Floats, first: float) -> tuple[Floats, Floats]:
    """Mean and least squares slope of the values before each step and of all, (T + 1,) each."""
    count = np.arange(len(values) + 1)
    around = values - first
    sums = np.concatenate([[0.0], np.cumsum(around)])
    moments = np.concatenate([[0.0], np.cumsum(around * count[1:])])
    mean = sums / np.maximum(count, 1)
    slope = 12 * (moments - sums * (count + 1) / 2) / np.maximum(count * (count**2 - 1.0), 1)
    return mean + first, np.where(count > 1, slope, 0.0)


def _fit(values: Floats, season: int, params: Params) -> tuple[Theta, str]:
    """The variant of least error; no line and hardly any smoothing, and why, where there is none."""
    wanted = season >= SHORTEST_SEASON and params.get("season", "auto") != "none"
    factors, multiplied = np.empty(0), False
    if wanted and len(values) >= LEAST_CYCLES * season and np.ptp(values) > 0 and _resembles(values, season):
        multiplied = params.get("transform", "none") == "none" and bool(values.min() > 0)
        factors = _factors(values, season, multiplied)
        if multiplied and factors.min() < LEAST_FACTOR:
            factors, multiplied = _factors(values, season, False), False
    simple = Theta(0.99, 1.0, float(values[0]), 0.0, 0.0, False, multiplied, tuple(factors.tolist()))
    adjusted = simple._adjusted(values)
    simple = replace(simple, level=float(adjusted[0]))
    if np.ptp(adjusted) == 0:
        return simple, ""
    if len(values) < FEWEST:
        return simple, f"{SIMPLER} (fewer than {FEWEST} values)"
    from statsforecast.theta import auto_theta

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = auto_theta(adjusted, 1)
        except Exception as error:  # noqa: BLE001 - what it raises itself, for series that none of its models takes
            return simple, f"{SIMPLER} ({raised(error)})"
    told = {name: float(number) for name, number in found["par"].items()}
    made = replace(simple, alpha=told["alpha"], theta=told["theta"], level=told["initial_smoothed"],
                   intercept=float(adjusted[0]))
    if found["modeltype"] in {"DSTM", "DOTM"}:
        made = replace(made, dynamic=True)
    else:
        mean, slope = (float(found[-1]) for found in _lines(adjusted, float(adjusted[0])))
        made = replace(made, slope=slope, intercept=mean - slope * (len(values) + 1) / 2)
    sound = all(np.isfinite([made.alpha, made.theta, made.level, made.slope]))
    return (made, "") if sound else (simple, f"{SIMPLER} ({NOT_FINITE})")


def _resembles(values: Floats, season: int) -> bool:
    """Whether the autocorrelation at one season is more than chance, given those at shorter lags."""
    around = values - values.mean()
    correlation = np.array([around[lag:] @ around[:-lag] for lag in range(1, season + 1)]) / (around @ around)
    expected = np.sqrt((1 + 2 * (correlation[:-1] ** 2).sum()) / len(values))
    return bool(abs(correlation[-1]) > ndtri(CONFIDENCE) * expected)


def _factors(values: Floats, season: int, multiplied: bool) -> Floats:
    """The mean of each phase around the moving average over one season, (season,); around 1, or around 0."""
    window = np.ones(season) if season % 2 else np.concatenate([[0.5], np.ones(season - 1), [0.5]])
    around = np.convolve(values, window / season, mode="valid")
    lost = len(window) // 2
    inner = values[lost:len(values) - lost]
    ratio = inner / around if multiplied else inner - around
    phase = (np.arange(len(ratio)) + lost) % season
    found = np.bincount(phase, ratio, season) / np.bincount(phase, minlength=season)
    return np.asarray(found / found.mean() if multiplied else found - found.mean())


METHOD = Method(Theta, _fit, 2_000, 100_000)
