"""Times: calendars are recognised, steps counted, and what does not fit is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from automl_phys import series_time
from automl_phys.series_time import Calendar


def days(first: str, last: str, step: Any = 1) -> Any:
    return np.arange(np.datetime64(first, "D"), np.datetime64(last, "D"), step).astype("datetime64[us]")


def months(first: str, count: int, step: int = 1) -> Any:
    return (np.datetime64(first, "M") + step * np.arange(count)).astype("datetime64[us]")


WEEKDAYS = days("2024-01-01", "2024-03-01")[np.is_busday(days("2024-01-01", "2024-03-01").astype("datetime64[D]"))]
MONTH_ENDS = (months("2020-02", 30).astype("datetime64[M]") + 1).astype("datetime64[D]").astype("datetime64[us]") \
    - np.timedelta64(1, "D")


@pytest.mark.parametrize(("times", "unit", "words", "last"), [
    (np.arange(1700.0, 1750), "number", "1", "1749"),
    (np.arange(100) * 0.05, "number", "0.05", "4.95"),
    (np.round(1749 + (np.arange(200) + 0.5) / 12, 3), "number", "0.08333", None),
    (months("1749-01", 40), "month", "1 month", "1752-04"),
    (months("2000-01", 40, 3), "month", "3 months", "2009-10"),
    (months("1900-01", 40, 12), "month", "12 months", "1939-01"),
    (MONTH_ENDS, "month", "1 month", "2022-07"),
    (days("2024-01-01", "2024-03-01"), "microsecond", "1 day", "2024-02-29"),
    (days("2024-01-01", "2025-03-01", 7), "microsecond", "1 week", "2025-02-24"),
    (WEEKDAYS, "business day", "1 business day", "2024-02-29"),
    (np.datetime64("2024-01-01T00:30", "us") + np.arange(50) * np.timedelta64(6, "h"), "microsecond", "6 hours",
     "2024-01-13T06:30:00"),
    (np.datetime64("2024-01-01", "us") + np.arange(50) * np.timedelta64(10, "s"), "microsecond", "10 seconds",
     "2024-01-01T00:08:10"),
])
def test_even_steps_are_recognised_and_told(times: Any, unit: str, words: str, last: str | None) -> None:
    calendar, mistakes = series_time.follow({"": times}, text=True)
    assert mistakes == [] and calendar is not None
    assert (calendar.unit, calendar.words) == (unit, words)
    positions = calendar.positions(times)
    assert (np.diff(positions) == 1).all()
    if last is not None:
        assert calendar.labels(positions[-1:]) == [last]
        assert (calendar.times(positions) == times).all() if unit != "number" else np.allclose(calendar.times(positions), times)


def test_left_out_times_leave_gaps_in_the_positions() -> None:
    times = np.delete(months("2000-01", 40), [5, 6, 20])
    calendar, _ = series_time.follow({"a": times}, text=False)
    assert calendar is not None
    assert np.diff(calendar.positions(times)).tolist() == [1] * 4 + [3] + [1] * 12 + [2] + [1] * 18


def test_series_may_begin_and_end_when_they_like() -> None:
    early, late = months("1990-01", 30), months("2001-06", 20)
    calendar, mistakes = series_time.follow({"a": late, "b": early}, text=False)
    assert calendar is not None and not mistakes
    assert calendar.positions(early)[0] - calendar.positions(late)[0] == -137


def test_disorder_is_named_with_series_and_times() -> None:
    times = months("2000-01", 5)
    unsorted, twice = times[[0, 2, 1, 3, 4]], times[[0, 1, 1, 2]]
    found = series_time.disorders({"good": times, "oslo": unsorted, "": twice})
    assert [m.code for m in found] == ["unsorted-times", "duplicate-times"]
    assert found[0].text == "Series 'oslo': 2000-02-01 comes after 2000-03-01."
    assert "the time 2000-02-01 is there twice" in found[1].text
    assert "'series'" in found[1].remedy


def test_uneven_steps_are_refused_at_the_first_that_does_not_fit() -> None:
    numbers = np.array([0.0, 1, 2, 3, 4.4, 5, 6])
    _, (mistake,) = series_time.follow({"a": numbers}, text=False)
    assert mistake.code == "irregular-times"
    assert "4.4 after 3" in mistake.text
    dates = months("2000-01", 10)
    dates[6] += np.timedelta64(3, "D")
    _, (mistake,) = series_time.follow({"a": dates}, text=False)
    assert mistake.code == "irregular-times"


def test_dates_where_there_were_numbers_are_no_times_of_the_calendar() -> None:
    mistake = series_time.misfit(Calendar("number", 1.0), {"a": months("2000-01", 5)})
    assert mistake is not None and mistake.code == "other-calendar"


@pytest.mark.parametrize(("column", "expected"), [
    (["1749-01", "1749-02"], ["1749-01-01", "1749-02-01"]),
    (["2024-01-01T12:00Z", "2024-01-02T12:00Z"], ["2024-01-01T12:00", "2024-01-02T12:00"]),
    ([" 2024-01-01 ", "2024-01-02"], ["2024-01-01", "2024-01-02"]),
])
def test_texts_are_read_as_iso_dates(column: list[str], expected: list[str]) -> None:
    times, mistakes = series_time.parse(pa.chunked_array([column]), "t")
    assert not mistakes
    assert (times == np.array(expected, "datetime64[us]")).all()


@pytest.mark.parametrize(("column", "row", "text"), [
    (["2024-01-01", "01.02.2024"], 1, "01.02.2024"), (["2024-01", None], 1, "is missing"),
    ([1.0, float("nan")], 1, "nan"), (["soon"], 0, "soon"), (["NaT"], 0, "NaT"), ([""], 0, "''"),
])
def test_what_is_no_time_is_named_with_its_row(column: list[Any], row: int, text: str) -> None:
    _, (mistake,) = series_time.parse(pa.chunked_array([column]), "t")
    assert mistake.code == "bad-time"
    assert f"row {row}" in mistake.text and text in mistake.text


def test_phases_are_alike_a_year_a_week_and_a_season_later() -> None:
    daily, _ = series_time.follow({"": days("2021-01-01", "2025-01-01")}, text=False)
    assert daily is not None
    positions = daily.positions(days("2022-01-03", "2022-01-04"))  # a Monday of a year like the one before it
    now = daily.phases(positions, 30)
    assert now.shape == (1, 4 + 4 + 2)
    week_later, season_later = daily.phases(positions + 7, 30), daily.phases(positions + 30, 30)
    np.testing.assert_allclose(now[:, 4:8], week_later[:, 4:8], atol=1e-6)
    np.testing.assert_allclose(now[:, 8:], season_later[:, 8:], atol=1e-6)
    assert Calendar("number", 0.1).phases(np.arange(5), 1).shape == (5, 0)


def test_natural_seasons_are_those_of_the_calendar() -> None:
    assert Calendar("month", 1.0).natural_seasons == (12,)
    assert Calendar("month", 3.0).natural_seasons == (4,)
    assert Calendar("month", 12.0).natural_seasons == ()
    assert Calendar("business day", 1.0).natural_seasons == (5,)
    assert Calendar("microsecond", 3.6e9).natural_seasons == (24, 168, 8766)
    assert Calendar("microsecond", 86.4e9).natural_seasons == (7, 365)
    assert Calendar("number", 1.0).natural_seasons == ()
