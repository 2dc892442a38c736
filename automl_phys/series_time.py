"""Times of a series as steps of a calendar: months, days, working days, hours, or a number's own step.

Takes a column of times, numbers or dates; gives the :class:`Calendar` that they follow and each time's place in it.
Nothing is put in order or thrown away here: what does not fit is a named mistake with its series and time. Gaps are
:mod:`automl_phys.series`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from automl_phys.errors import Mistake

if TYPE_CHECKING:
    import pyarrow as pa

Times = NDArray[Any]
"""float64 numbers, or datetime64[us]."""

MICROSECONDS = {"week": 604_800_000_000, "day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000,
                "second": 1_000_000}
DAYS_OF_A_YEAR = 365.2425
TOLERANCE = 0.25
"""How far a number may be from its step's place, in steps: decimal years, 1749.042, are not evenly spaced."""
DIGITS = 10
"""Of the length of a step: times such as 0.15 are not quite what they are written as."""
LAST_DAY = 31
REMEDY = "Write times as numbers, or as 2013, 2013-09, 2013-09-30 or 2013-09-30T12:00."


@dataclass(frozen=True)
class Calendar:
    """Steps of equal length. ``count`` is how many of ``unit`` make one: months, working days, microseconds, or of a
    number's unit.

    ``origin`` is the time of step 0: a number, microseconds since 1970, or months since 1970. ``day`` is the day of the
    month that months are told by, ``LAST_DAY`` for the last one. ``text`` says that times were text in the data.
    """

    unit: Literal["number", "month", "business day", "microsecond"]
    count: float
    origin: float = 0.0
    day: int = 1
    text: bool = False

    def positions(self, times: Times) -> NDArray[np.int64]:
        """The steps nearest to times (n,)."""
        if self.unit == "number":
            return np.asarray(np.round((times - self.origin) / self.count), np.int64)
        if self.unit == "month":
            return (_months(times) - int(self.origin)) // int(self.count)
        if self.unit == "business day":
            return np.asarray(np.busday_count("1970-01-01", times.astype("datetime64[D]")), np.int64)
        return np.asarray((times.astype("datetime64[us]").astype(np.int64) - int(self.origin)) // int(self.count))

    def times(self, positions: NDArray[np.int64]) -> Times:
        """The times of steps (n,): what :meth:`positions` was given, but for a number's rounding."""
        if self.unit == "number":
            return np.asarray(self.origin + self.count * positions.astype(np.float64))
        if self.unit == "month":
            months = (positions * int(self.count) + int(self.origin)).astype("datetime64[M]")
            first, last = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]") - 1
            return np.asarray(np.minimum(first + (self.day - 1), last).astype("datetime64[us]"))
        if self.unit == "business day":
            return np.asarray(np.busday_offset("1970-01-01", positions, roll="forward").astype("datetime64[us]"))
        return np.asarray((positions * int(self.count) + int(self.origin)).astype("datetime64[us]"))

    def labels(self, positions: NDArray[np.int64]) -> list[str]:
        """The times of steps as text, as short as they can be told."""
        times = self.times(positions)
        if self.unit == "number":
            digits = max(0, 2 - int(np.floor(np.log10(abs(self.count)))))
            return [f"{time:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{time:.0f}" for time in times]
        if self.unit == "month" and self.day in {1, LAST_DAY}:
            return [str(time) for time in times.astype("datetime64[M]")]
        whole_days = self.unit != "microsecond" or not (int(self.count) % MICROSECONDS["day"] or
                                                        int(self.origin) % MICROSECONDS["day"])
        return [str(time) for time in times.astype("datetime64[D]" if whole_days else "datetime64[s]")]

    def column(self, positions: NDArray[np.int64]) -> pa.Array:
        """The times of steps as a column of the kind that the data had."""
        import pyarrow as pa

        if self.text:
            return pa.array(self.labels(positions), pa.string())
        return pa.array(self.times(positions))

    def axis(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """The times of steps on a figure's axis: numbers, or years with decimals."""
        times = self.times(positions)
        if self.unit == "number":
            return np.asarray(times, np.float64)
        days = times.astype(np.int64) / MICROSECONDS["day"]
        return 1970.0 + days / DAYS_OF_A_YEAR

    @property
    def axis_label(self) -> str:
        return "time" if self.unit == "number" else "year"

    @property
    def words(self) -> str:
        """The length of a step: ``1 month``, ``6 hours``, ``0.02``."""
        return self.span(1)

    def span(self, steps: float) -> str:
        """The length of so many steps, in words."""
        if self.unit == "number":
            return f"{self.count * steps:.4g}"
        if self.unit != "microsecond":
            count, unit = self.count * steps, str(self.unit)
            if unit == "month" and count >= 24:
                count, unit = count / 12, "year"
        else:
            length = self.count * steps
            unit = next((name for name, size in MICROSECONDS.items() if length >= size and
                         (steps != 1 or length % size == 0)), "second")
            count = length / MICROSECONDS[unit]
        return f"{count:.4g} {unit}{'' if count == 1 else 's'}"

    @property
    def years(self) -> float:
        """The length of a step in years; 0 for a number's own step, which may be anything."""
        if self.unit == "number":
            return 0.0
        if self.unit == "month":
            return self.count / 12
        if self.unit == "business day":
            return 7 / 5 / DAYS_OF_A_YEAR
        return self.count / MICROSECONDS["day"] / DAYS_OF_A_YEAR

    @property
    def natural_seasons(self) -> tuple[int, ...]:
        """Steps of a day, a week and a year, where these are whole."""
        if self.unit == "business day":
            return (5,)
        if self.unit == "number":
            return ()
        if self.unit == "month":
            return (int(12 / self.count),) if self.count < 12 and 12 % self.count == 0 else ()
        spans = (MICROSECONDS["day"], MICROSECONDS["week"], round(DAYS_OF_A_YEAR * MICROSECONDS["day"]))
        found = [span / self.count for span in spans]
        return tuple(round(n) for n in found if n >= 2 and (abs(n - round(n)) < 0.25))

    def phases(self, positions: NDArray[np.int64], season: int) -> NDArray[np.float32]:
        """Where in the year, the week, the day and the season steps (n,) are, (n, C): sines and cosines, of the first
        two harmonics of the calendar's cycles and the first of the season."""
        angles = []
        if self.unit != "number":
            times = self.times(positions)
            years = times.astype("datetime64[Y]")
            begin = years.astype("datetime64[us]")
            length = (years + 1).astype("datetime64[us]") - begin
            cycles = [(1.0, (times - begin) / length), (7 / DAYS_OF_A_YEAR, _part(times, "week")),
                      (1 / DAYS_OF_A_YEAR, _part(times, "day"))]
            angles = [part * harmonic for span, part in cycles if self.years <= span / 2 for harmonic in (1, 2)]
        if season > 1:
            angles.append((positions % season) / season)
        waves = [wave(2 * np.pi * angle) for angle in angles for wave in (np.sin, np.cos)]
        return np.stack(waves, axis=1).astype(np.float32) if waves else np.zeros((len(positions), 0), np.float32)


def parse(column: pa.ChunkedArray, name: str) -> tuple[Times, list[Mistake]]:
    """A column as times (n,), and ``bad-time`` for the first value that is none, or is missing; its row counts from
    0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if column.null_count:
        return np.empty(0), [_bad(name, pc.index(pc.is_null(column), True).as_py(), "is missing")]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = [text.strip().removesuffix("Z") for text in column.cast(pa.string()).to_pylist()]
        wrong = next(((row, text) for row, text in enumerate(texts) if not _is_time(text)), None)
        if wrong:
            return np.empty(0), [_bad(name, wrong[0], f"is '{wrong[1]}', no time")]
        return np.array(texts, "datetime64[us]"), []
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]"), []
    numbers = column.cast(pa.float64()).to_numpy()
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        return np.empty(0), [_bad(name, row, f"is {numbers[row]}")]
    return numbers, []


def disorders(times: Mapping[str, Times]) -> list[Mistake]:
    """Series whose times, in the order of the data, are not in order: ``unsorted-times``, ``duplicate-times``."""
    return [mistake for name, own in times.items() if (mistake := _disorder(name, own)) is not None]


def follow(times: Mapping[str, Times], text: bool) -> tuple[Calendar | None, list[Mistake]]:
    """The calendar that the times of all series follow, each in order; ``irregular-times`` for the first that does not,
    ``too-short`` where no series has two times."""
    steps = [np.diff(own) for own in times.values() if len(own) > 1]
    if not steps:
        return None, [Mistake("too-short", "No series has more than one time.",
                              "Give more rows; is the right column under 'series'?", ("data", "time"))]
    every = np.concatenate(list(times.values()))
    if every.dtype.kind == "f":
        calendar = _of_numbers(times, np.concatenate(steps))
    else:
        calendar = _of_dates(every, np.concatenate(steps), times, text)
    wrong = misfit(calendar, times)
    return (None, [wrong]) if wrong else (calendar, [])


def misfit(calendar: Calendar, times: Mapping[str, Times]) -> Mistake | None:
    """The first of the times of all series that is at no step of a calendar: ``irregular-times``; ``other-calendar``
    for numbers where there were dates, or dates where there were numbers."""
    for name, own in times.items():
        if (own.dtype.kind == "f") != (calendar.unit == "number"):
            was, now = ("numbers", "dates") if calendar.unit == "number" else ("dates", "numbers")
            return Mistake("other-calendar", f"Times were {was}, and are {now} here.", f"Give {was}.", ("data", "time"))
        if (wrong := _off(calendar, own)) is not None:
            return _irregular(name, wrong, own, calendar)
    return None


def _of_numbers(times: Mapping[str, Times], steps: Times) -> Calendar:
    typical = float(np.median(steps))
    counted = float(np.round(steps / typical).sum())
    count = float(steps.sum()) / counted if counted else typical
    return Calendar("number", float(f"{count:.{DIGITS}g}"), float(next(iter(times.values()))[0]))


def _of_dates(every: Times, steps: Times, times: Mapping[str, Times], text: bool) -> Calendar:
    days = every.astype("datetime64[D]")
    midnight = bool((every == days).all())
    day_of_month = (days - every.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1
    last = bool(((days + 1).astype("datetime64[M]") > days.astype("datetime64[M]")).all())
    if midnight and (last or len(np.unique(day_of_month)) == 1) and steps.min() > np.timedelta64(27, "D"):
        months = np.concatenate([np.diff(_months(own)) for own in times.values()])
        return Calendar("month", float(_mode(months)), float(_months(every[:1])[0]),
                        LAST_DAY if last else int(day_of_month[0]), text)
    length = int(_mode(steps.astype(np.int64)))
    if midnight and length == MICROSECONDS["day"] and np.is_busday(days).all() and len(every) > 10:
        return Calendar("business day", 1.0, text=text)
    return Calendar("microsecond", float(length), float(every[:1].astype(np.int64)[0]), text=text)


def _off(calendar: Calendar, times: Times) -> int | None:
    """The first of the times that is at no step of the calendar."""
    at = calendar.times(calendar.positions(times))
    if calendar.unit == "number":
        wrong = np.abs(at - times) > TOLERANCE * calendar.count
        wrong[1:] |= np.diff(calendar.positions(times)) == 0
    else:
        wrong = at != times
    return int(np.flatnonzero(wrong)[0]) if wrong.any() else None


def _disorder(name: str, times: Times) -> Mistake | None:
    steps = np.diff(times)
    zero = steps.dtype.type(0)
    for wrong, code, what in ((steps < zero, "unsorted-times", "comes after"),
                              (steps == zero, "duplicate-times", "is there twice")):
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            one, other = told(times[at + 1]), told(times[at])
            text = f"{one} {what} {other}" if code == "unsorted-times" else f"the time {one} {what}"
            remedy = "Keep one row for each time." if name else \
                "Keep one row for each time; or name the column that tells series apart under 'series'."
            remedy = "Sort the rows by time." if code == "unsorted-times" else remedy
            return Mistake(code, f"{_whose(name)}{text}.", remedy, ("data", "time"))
    return None


def _irregular(name: str, at: int, times: Times, calendar: Calendar) -> Mistake:
    before = f" after {told(times[at - 1])}" if at else ""
    return Mistake("irregular-times", f"{_whose(name)}{told(times[at])}{before} is no whole number of steps of "
                   f"{calendar.words}, as most are.", "Bring the series to even steps first, by means or by "
                   "interpolation.", ("data", "time"))


def _whose(name: str) -> str:
    return f"Series '{name}': " if name else "In the series, "


def told(time: Any) -> str:
    """A time in an error's text."""
    if isinstance(time, np.datetime64):
        whole = time == time.astype("datetime64[D]")
        return str(time.astype("datetime64[D]" if whole else "datetime64[s]"))
    return f"{float(time):.10g}"


def _bad(name: str, row: int, what: str) -> Mistake:
    return Mistake("bad-time", f"The time '{name}' in row {row} (counting from 0) {what}.", REMEDY, ("data", "time"))


def _is_time(text: str) -> bool:
    try:
        np.datetime64(text, "us")
    except ValueError:
        return False
    return text not in {"", "NaT"} and text[:1].isdigit()


def _months(times: Times) -> NDArray[np.int64]:
    return times.astype("datetime64[M]").astype(np.int64)


def _mode(values: NDArray[np.int64]) -> np.int64:
    """The most frequent value, of equals the smallest."""
    found, counts = np.unique(values, return_counts=True)
    return np.int64(found[int(np.argmax(counts))])


def _part(times: Times, unit: str) -> NDArray[np.float64]:
    """The part of the week or day that has passed, in 0 … 1; weeks begin on Mondays."""
    size = MICROSECONDS[unit]
    since = times.astype(np.int64) + (3 * MICROSECONDS["day"] if unit == "week" else 0)
    return np.asarray((since % size) / size, np.float64)


def named(series: str) -> str:
    """A series at the beginning of a sentence."""
    return f"Series '{series}'" if series else "The series"


def names_of(series: Sequence[str]) -> str:
    """The first few names of series, and how many more there are."""
    more = f" and {len(series) - 3} more" if len(series) > 3 else ""
    return ", ".join(f"'{name}'" for name in series[:3]) + more
