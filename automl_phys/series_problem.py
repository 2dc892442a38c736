"""Prepared series: values over time as memory-mapped arrays, and the windows that forecasts are made and judged on.

Takes the folder that :mod:`automl_phys.series` wrote; gives the parts that families fit on and are judged by. A
:class:`Windows` is a set of origins, each the first step of a forecast over the horizon. Families see of a window what
:meth:`Windows.past`, :meth:`Windows.past_covariates`, :meth:`Windows.ahead` and :meth:`Windows.phases` give, which is
known when the forecast is made; ``target`` is what came, for fitting and judging.

Of each series the last origins, ``windows`` of them and ``stride`` apart, are the test. The origins before, whose
horizons end before the first test origin, are divided in the order of time: validation, and before it, ending before
the first validation origin, train.

In the folder, for N steps of all series one after the other, each followed by room for one horizon:

- ``problem.json``: :class:`Stored`
- ``target.npy`` float64 (N, t), gaps filled, NaN where nothing is known yet; ``observed.npy`` bool (N, t)
- ``known.npy`` and ``past.npy`` float32 (N, K) and (N, P): covariates that are known ahead, and that are not, both
  standardised by the training steps; ``phases.npy`` float32 (N, C): where in the year, the week, the day, the season
- ``position.npy`` int64 (N,): steps of the calendar
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import arrays, rundir
from automl_phys.facts import Facts
from automl_phys.series_time import Calendar
from automl_phys.table_files import Used
from automl_phys.table_problem import DESCRIPTION
from automl_phys.table_view import View

Floats = NDArray[np.float64]

LEVELS = (0.025, 0.05, 0.1, 0.16, 0.25, 0.5, 0.75, 0.84, 0.9, 0.95, 0.975)
"""Quantiles that every forecast consists of; symmetric, the median in the middle."""
MEDIAN = len(LEVELS) // 2

JUDGED_NUMBERS = 1_000_000
JUDGED_WINDOWS = 2_000
"""Numbers and windows of a part that is predicted as a whole: more would not tell more, as windows overlap."""
CONTEXT = 4
"""Fewest steps before an origin for a family to fit on that window."""
FEWEST_DIFFERENCES = 8
"""Seasonal differences that a scale is the mean of, at least."""


@dataclass(frozen=True)
class Schema:
    """What the columns of prepared series mean; enough to read new data the same way.

    ``series`` is the column that tells series apart, empty for one series; ``names`` are its values, in order.
    ``centre`` and ``width`` standardise the covariates (known ahead, then past). ``missing`` is how gaps are filled.
    """

    time: str
    target: tuple[str, ...]
    series: str
    names: tuple[str, ...]
    known: tuple[str, ...]
    past: tuple[str, ...]
    centre: tuple[float, ...]
    width: tuple[float, ...]
    missing: str
    calendar: Calendar
    season: int
    horizon: int
    windows: int
    stride: int
    valid: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    view: View = field(default_factory=View)


@dataclass(frozen=True)
class Stored:
    """The description of prepared series on disk."""

    fingerprint: str
    schema: Schema
    facts: Facts
    files: tuple[Used, ...]
    lengths: tuple[int, ...]


@dataclass(frozen=True)
class Panel:
    """Series of any length one after the other, as the arrays in the folder; the module says what they are.

    ``start`` (S,) is where a series begins, ``length`` (S,) how many of its steps have come, ``codes`` (S,) the place
    of its name in ``Schema.names`` counted from 1, 0 for a name that is not there.
    """

    target: Floats
    observed: NDArray[np.bool_]
    known: NDArray[np.float32]
    past: NDArray[np.float32]
    phases: NDArray[np.float32]
    position: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    codes: NDArray[np.int32]

    def values(self, series: int) -> Floats:
        """All that has come of one series, (T, t)."""
        begin = self.start[series]
        return self.target[begin:begin + self.length[series]]

    def seen(self, series: int) -> NDArray[np.bool_]:
        """Where the values of one series were observed, not filled in, (T, t)."""
        begin = self.start[series]
        return self.observed[begin:begin + self.length[series]]

    @cached_property
    def latest(self) -> NDArray[np.int64]:
        """The place of the last value of its series that was observed at each step or before, (N, t); of steps before
        any, their own."""
        places = np.arange(len(self.observed))[:, None]
        begins = np.repeat(self.start, np.diff([*self.start, len(self.observed)]))[:, None]
        last = np.maximum.accumulate(np.where(self.observed, places, -1), axis=0)
        return np.where(last >= begins, last, places)

    def known_at(self, series: int, origin: int) -> Floats:
        """The values of a series before an origin as they were known then, (origin, t): a gap that ends there is filled
        with its last value, as nothing is known of what comes after it."""
        begin = self.start[series]
        values = self.target[begin:begin + origin]
        if origin and not self.observed[begin + origin - 1].all():
            steps = np.minimum(np.arange(begin, begin + origin)[:, None], self.latest[begin + origin - 1])
            values = np.take_along_axis(self.target, steps, axis=0)
        return values


@dataclass(frozen=True)
class Windows:
    """Forecasts to make: n windows with their origins.

    ``series`` (n,) and ``origin`` (n,), the first step that is forecast, counted in its series. ``until`` (S,) is the
    end of the steps of each series that a family may fit on. ``season`` is the one by which errors are scaled, 1 for
    none.
    """

    panel: Panel
    series: NDArray[np.int32]
    origin: NDArray[np.int64]
    until: NDArray[np.int64]
    horizon: int
    season: int

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def targets(self) -> int:
        return int(self.panel.target.shape[1])

    @cached_property
    def target(self) -> Floats:
        """What came, (n, h, t); NaN where nothing was observed."""
        at = self._steps(0)
        return np.where(self.panel.observed[at], self.panel.target[at], np.nan)

    @cached_property
    def scale(self) -> Floats:
        """The mean absolute seasonal difference of each series before the window, (n, t): what MASE is in units of."""
        return self._scales(1)

    @cached_property
    def square_scale(self) -> Floats:
        """The mean square seasonal difference before the window, (n, t): RMSSE's unit, squared."""
        return self._scales(2)

    def past(self, length: int) -> Floats:
        """The last ``length`` values before each origin as they were known then, (n, length, t); the first value is
        repeated where a series is shorter."""
        steps, panel = self._steps(length, ahead=0), self.panel
        before = panel.start[self.series] + self.origin - 1
        if panel.observed[before].all():
            return panel.target[steps]
        places = np.minimum(steps[:, :, None], panel.latest[before][:, None])
        return np.asarray(panel.target[places, np.arange(self.targets)])

    @property
    def after_gap(self) -> NDArray[np.bool_]:
        """Whether the step before the origin was not observed, of any target, (n,): the values before it were filled in
        by what came after (``Panel.known_at`` gives what was known)."""
        before = self.panel.start[self.series] + self.origin - 1
        return np.asarray(~self.panel.observed[before].all(axis=1))

    def past_covariates(self, length: int) -> NDArray[np.float32]:
        """The same of the covariates that are not known ahead, (n, length, P)."""
        return self.panel.past[self._steps(length, ahead=0)]

    def ahead(self, length: int) -> NDArray[np.float32]:
        """Covariates that are known ahead, from ``length`` steps before the origin to the horizon's end,
        (n, length + h, K)."""
        return self.panel.known[self._steps(length)]

    def phases(self, length: int) -> NDArray[np.float32]:
        """The calendar over the same steps, (n, length + h, C)."""
        return self.panel.phases[self._steps(length)]

    @property
    def codes(self) -> NDArray[np.int32]:
        """Which series each window belongs to, as ``Panel.codes``, (n,)."""
        return self.panel.codes[self.series]

    def take(self, which: Any) -> Windows:
        """Some of the windows, by indices, flags or a slice."""
        return replace(self, series=self.series[which], origin=self.origin[which])

    def every(self, most: int) -> Windows:
        """Windows to fit on, whose horizons end before ``until``: all of them, or ``most`` taken evenly."""
        first = np.minimum(CONTEXT, np.maximum(1, self.until - self.horizon))
        return self._between(first, self.until, most)

    def _between(self, first: NDArray[np.int64], end: NDArray[np.int64], most: int) -> Windows:
        """Windows from origin ``first`` (S,) on whose horizons end before ``end`` (S,), at most ``most``."""
        counts = np.maximum(0, end - self.horizon - first + 1)
        total = int(counts.sum())
        pick = np.arange(total) if total <= most else np.round(np.linspace(0, total - 1, most)).astype(np.int64)
        ends = np.cumsum(counts)
        series = np.searchsorted(ends, pick, side="right")
        origin = first[series] + pick - (ends - counts)[series]
        return replace(self, series=series.astype(np.int32), origin=origin)

    def _steps(self, length: int, ahead: int | None = None) -> NDArray[np.int64]:
        """Places in the panel's arrays from ``length`` steps before each origin to ``ahead`` after (the horizon),
        (n, length + ahead)."""
        ahead = self.horizon if ahead is None else ahead
        steps = self.origin[:, None] + np.arange(-length, ahead)
        places: NDArray[np.int64] = self.panel.start[self.series][:, None] + np.maximum(steps, 0)
        return places

    def _scales(self, power: int) -> Floats:
        made = np.empty((len(self), self.targets))
        for series in np.unique(self.series):
            which = self.series == series
            values, seen = self.panel.values(series), self.panel.seen(series)
            season = self.season if len(values) > self.season + FEWEST_DIFFERENCES else 1
            both = seen[season:] & seen[:-season]
            sums = np.cumsum(np.where(both, np.abs(values[season:] - values[:-season]) ** power, 0.0), axis=0)
            counts = np.cumsum(both, axis=0)
            # Early windows, which are only fitted on, have little before them.
            upto = np.clip(np.maximum(self.origin[which], self.until[series]) - season - 1, 0, len(sums) - 1)
            made[which] = sums[upto] / np.maximum(1, counts[upto])
        return made


@dataclass(eq=False)
class SeriesProblem:
    """Prepared series on disk. Satisfies ``contracts.Problem``.

    With ``joined`` what was train and validation is fitted on together.
    """

    folder: Path
    stored: Stored
    joined: bool = False

    @property
    def schema(self) -> Schema:
        return self.stored.schema

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the arrays: the files' contents, the recipe's words, the seed."""
        return self.stored.fingerprint

    @property
    def variation(self) -> str:
        return ""

    def facts(self) -> Facts:
        return self.stored.facts

    @cached_property
    def train(self) -> Windows:
        """Windows that were fitted on, taken evenly; a fit takes :meth:`Windows.every` of them, and no value from
        ``until`` on."""
        until = self._cuts[1] if self.joined else self._cuts[0]
        part = self._windows(until)
        return part.every(self.most)

    @cached_property
    def valid(self) -> Windows:
        if self.joined:
            return self.train
        first, end = self._cuts
        return self._windows(first)._between(first, end, self.most)

    @cached_property
    def test(self) -> Windows:
        """The last origins of each series, ``windows`` of them, those of all series at the same distance from its end
        side by side."""
        schema, (_, end) = self.schema, self._cuts
        series = np.tile(np.arange(len(end), dtype=np.int32), schema.windows)
        number = np.repeat(np.arange(schema.windows), len(end))
        return replace(self._windows(end), series=series, origin=end[series] + number * schema.stride)

    @cached_property
    def test_steps(self) -> Windows:
        """A window at every step from the first test origin on: forecasts one step apart."""
        end = self._cuts[1]
        return self._windows(end)._between(end, self._panel.length, self.most)

    @cached_property
    def future(self) -> Windows:
        """A window behind the end of each series; without those whose covariates are not known over the horizon."""
        part = self._windows(self._cuts[1])
        part = replace(part, series=np.arange(len(self._panel.start), dtype=np.int32), origin=self._panel.length.copy())
        return part.take(np.isfinite(part.ahead(0)).all(axis=(1, 2)))

    @property
    def panel(self) -> Panel:
        return self._panel

    def resamples(self, count: int, seed: int) -> Sequence[SeriesProblem]:  # noqa: ARG002
        """Itself, ``count`` times: folds of a series would know its future."""
        return [self] * count

    def whole(self) -> SeriesProblem:
        """Train and validation as train; what is judged is a sample of the same windows."""
        return SeriesProblem(self.folder, self.stored, joined=True)

    @cached_property
    def _panel(self) -> Panel:
        load = {name: arrays.mapped(self.folder / f"{name}.npy")
                for name in ("target", "observed", "known", "past", "phases", "position")}
        length = np.array(self.stored.lengths, np.int64)
        rooms = length + self.schema.horizon
        codes = np.arange(1, len(length) + 1, dtype=np.int32)
        return Panel(**load, start=np.cumsum(rooms) - rooms, length=length, codes=codes)

    @cached_property
    def _cuts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The first validation and the first test origin of each series, (S,) each."""
        schema = self.schema
        found = [cuts(n, schema.horizon, schema.windows, schema.stride, schema.valid) for n in self.stored.lengths]
        first, end = np.array(found, np.int64).T
        return first, end

    @property
    def most(self) -> int:
        """Windows that are predicted at once, at most."""
        numbers = self.schema.horizon * len(self.schema.target) * len(LEVELS)
        return max(1, min(JUDGED_WINDOWS, JUDGED_NUMBERS // numbers))

    def _windows(self, until: NDArray[np.int64]) -> Windows:
        empty = np.empty(0, np.int64)
        return Windows(self._panel, empty.astype(np.int32), empty, until, self.schema.horizon, self.schema.season)


def cuts(steps: int, horizon: int, windows: int, stride: int, valid: float) -> tuple[int, int]:
    """The first validation and the first test origin of a series of so many steps; the first is below the horizon where
    the series is too short."""
    end = steps - horizon - (windows - 1) * stride
    judged = max(round(valid * end), min(2 * horizon, end // 2))
    return end - judged, end


def load(folder: Path) -> SeriesProblem:
    """Open prepared series; maps the files, reads none of them. Raises CallError when not there or damaged."""
    return SeriesProblem(folder, rundir.read_json(folder / DESCRIPTION, Stored))
