"""The unit of each window of a series: a level that is taken off its values, and a scale that they are divided by.

Takes windows; gives :class:`Units`, found from what lies before each origin, in float64, so that a drift of any size is
gone before numbers become float32. Models that see many series, or one that drifts, work in these units. What is known
of whole series, :class:`Known`, is of values before ``Windows.until`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.series_problem import Floats, Windows

FLOOR = 0.1
"""Of the unit of MASE: a window that happens to be calm is not blown up beyond that."""
TINY = 1e-9
"""Of the level, or by itself: scale of values that never change."""
WEIGHTS = (0.05, 20.0)
"""Weights of windows are kept in between, over their mean."""
FARTHEST = 4.0
"""Where a window's place among the values fitted on is cut: beyond, nothing was learnt."""
LATEST, DRIFT = 0.2, 1.2
"""A series is not steady when the mean of this share of its values, the latest, is so many standard deviations of those
before away from their mean."""
CHUNK_NUMBERS = 1 << 22
LOOKED_BACK = 1000
"""Steps before a window that tell of a series that was not fitted on."""


@dataclass(frozen=True)
class Known:
    """Mean and standard deviation of the series fitted on, (codes, t), and whether they are ``steady``, 1 or 0, so that
    these tell of values to come; code 0, an unknown series, is NaN, and not steady."""

    centre: Floats
    width: Floats
    steady: Floats

    def of(self, windows: Windows) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Those of each window (n, t); of the values shortly before it where its series was not fitted on."""
        codes = np.where(windows.codes < len(self.centre), windows.codes, 0)
        centre, width = self.centre[codes], self.width[codes]
        unknown = np.flatnonzero(np.isnan(centre).any(axis=1))
        for part in _chunks(unknown, LOOKED_BACK * windows.targets):
            values = windows.take(part).past(LOOKED_BACK)
            centre[part], width[part] = _mean(values), _deviation(values)
        return centre, _positive(width, centre, windows.scale), self.steady[codes] > 0

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"centre": self.centre[1:].tolist(), "width": self.width[1:].tolist(),
                "steady": self.steady[1:].tolist()}

    @classmethod
    def from_plain(cls, saved: Mapping[str, Any]) -> Known:
        return cls(*(_headed(np.array(saved[name], np.float64)) for name in ("centre", "width", "steady")))


def known(windows: Windows) -> Known:
    """What the values before ``until`` tell of each series."""
    panel = windows.panel
    centre, width, steady = np.full((3, int(panel.codes.max()), windows.targets), np.nan)
    for series, code in enumerate(panel.codes):
        values = panel.values(series)[:windows.until[series]]
        if code and np.isfinite(values).any(axis=0).all():
            centre[code - 1], width[code - 1] = _mean(values[None])[0], _deviation(values[None])[0]
            before, latest = np.split(values[None], [round((1 - LATEST) * len(values))], axis=1)
            moved = np.abs(_mean(latest) - _mean(before))[0]
            steady[code - 1] = moved < DRIFT * _deviation(before)[0]  # False where not known
    return Known(_headed(centre), _headed(width), _headed(steady))


@dataclass(frozen=True)
class Units:
    """``level`` and ``scale`` (n, t) of n windows, and their ``weight`` (n, t) in a loss that is to be in units of
    MASE. ``place`` (n, 2t) says where a window is among all values of its series, float32; 0 where these are not
    steady."""

    level: Floats
    scale: Floats
    weight: NDArray[np.float32]
    place: NDArray[np.float32]

    def forward(self, values: Floats) -> NDArray[np.float32]:
        """Values (n, k, t) in these units; NaN remains."""
        return np.asarray((values - self.level[:, None]) / self.scale[:, None], np.float32)

    def back(self, quantiles: Any) -> NDArray[np.float32]:
        """Quantiles (n, k, t, levels) in the data's unit."""
        made = self.level[:, None, :, None] + self.scale[:, None, :, None] * np.asarray(quantiles, np.float64)
        return np.asarray(made, np.float32)

    def take(self, which: Any) -> Units:
        return Units(self.level[which], self.scale[which], self.weight[which], self.place[which])


def units(windows: Windows, length: int, off: str, series: Known) -> Units:
    """The units of windows by their last ``length`` values; ``off`` is one of ``window_space.LEVELS_OFF``. The last
    value is taken off a series that is not steady, if its mean is asked for."""
    centre, width, steady = series.of(windows)
    level, scale = centre.copy(), width.copy()
    if off != "series" or not steady.all():
        for part in _chunks(np.arange(len(windows)), length * windows.targets):
            past = windows.take(part).past(length)
            level[part] = _mean(past) if off == "mean" else past[:, -1]
            scale[part] = _deviation(past)
        level = np.where(np.isfinite(level), level, centre)
        scale = _positive(np.fmax(scale, FLOOR * windows.scale), level, width)
    if off == "series":
        level, scale = np.where(steady, centre, level), np.where(steady, width, scale)
    weight = scale / _positive(windows.scale, level, width)
    weight = np.clip(weight / max(float(weight.mean()) if len(weight) else 1.0, 1e-300), *WEIGHTS)
    place = np.concatenate([(level - centre) / width, np.log(scale / width)], axis=1)
    place = np.where(np.tile(steady, 2), place, 0.0)
    return Units(level, scale, weight.astype(np.float32),
                 np.clip(np.nan_to_num(place), -FARTHEST, FARTHEST).astype(np.float32))


def _chunks(rows: NDArray[np.int64], width: int) -> list[NDArray[np.int64]]:
    size = max(1, CHUNK_NUMBERS // width)
    return [rows[start:start + size] for start in range(0, len(rows), size)]


def _headed(values: Floats) -> Floats:
    """With a row for code 0."""
    return np.concatenate([np.full((1, values.shape[1]), np.nan), values])


def _mean(values: Floats) -> Floats:
    """The mean over steps (n, k, t) that are known; NaN where none is."""
    there = np.isfinite(values)
    sums = np.where(there, values, 0.0).sum(axis=1)
    counts = there.sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(1, counts), np.nan)


def _deviation(values: Floats) -> Floats:
    return np.sqrt(_mean((values - _mean(values)[:, None]) ** 2))


def _positive(scale: Floats, level: Floats, other: Floats) -> Floats:
    """A scale that can be divided by: ``other`` where it is 0 or not known, else a little of the level, else 1."""
    least = TINY * np.where(np.isfinite(level), np.abs(level), 0.0)
    for candidate in (other, np.where(least > 0, least, 1.0)):
        scale = np.where(np.isfinite(scale) & (scale > least), scale, candidate)
    return np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
