"""Series from files: what is read, how gaps are filled, what is refused and how that is told, what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import series
from automl_phys.errors import DataError, Mistake
from automl_phys.series_problem import SeriesProblem, cuts
from automl_phys.series_sections import Forecast, SeriesData

HORIZON = 4


def months(count: int, first: str = "2000-01") -> list[str]:
    return [str(m) for m in np.datetime64(first, "M") + np.arange(count)]


def write(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join("" if v is None else str(v) for v in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def wave(count: int, seed: int = 0) -> list[float]:
    return np.round(np.sin(np.arange(count) / 3) + np.random.default_rng(seed).normal(0, 0.1, count), 4).tolist()


def data(**given: Any) -> SeriesData:
    return SeriesData(**{"path": "s.csv", "time": "month", "target": "y", **given})


def forecast(**given: Any) -> Forecast:
    return Forecast(**{"horizon": HORIZON, "windows": 2, **given})


def prepare(folder: Path, sections: SeriesData | None = None, ahead: Forecast | None = None) -> SeriesProblem:
    return series.prepare(sections or data(), ahead or forecast(), folder, folder / "problem", 0, {"coverage": [0.68]})


def refused(folder: Path, sections: SeriesData | None = None, ahead: Forecast | None = None) -> tuple[Mistake, ...]:
    with pytest.raises(DataError) as raised:
        series.look(sections or data(), ahead or forecast(), folder)
    return raised.value.mistakes


def one_series(folder: Path, count: int = 60, **more: Sequence[Any]) -> Path:
    return write(folder / "s.csv", {"month": months(count), "y": wave(count), **more})


# ---------------------------------------------------------------- windows

def test_parts_follow_each_other_in_time_and_do_not_overlap(tmp_path: Path) -> None:
    one_series(tmp_path)
    problem = prepare(tmp_path)
    ends = {part: getattr(problem, part).origin.max() + HORIZON for part in ("train", "valid", "test")}
    first = {part: getattr(problem, part).origin.min() for part in ("train", "valid", "test")}
    assert ends["train"] <= first["valid"] < ends["valid"] <= first["test"]
    assert ends["test"] == 60
    assert problem.test.origin.tolist() == [52, 56]
    assert problem.train.until.tolist() == [first["valid"]]
    assert problem.whole().train.until.tolist() == [first["test"]]
    assert problem.future.origin.tolist() == [60]


def test_a_window_holds_what_was_known_and_what_came(tmp_path: Path) -> None:
    one_series(tmp_path)
    problem = prepare(tmp_path)
    values = np.array(wave(60))
    np.testing.assert_array_equal(problem.test.target[0, :, 0], values[52:56])
    np.testing.assert_array_equal(problem.test.past(3)[1, :, 0], values[53:56])
    padded = problem.test.take([0]).past(55)[0, :, 0]
    np.testing.assert_array_equal(padded[3:], values[:52])
    assert (padded[:3] == values[0]).all()
    assert np.isnan(problem.future.target).all()


def test_the_scale_is_the_mean_seasonal_difference_before_the_window(tmp_path: Path) -> None:
    one_series(tmp_path)
    problem = prepare(tmp_path, ahead=forecast(season=12))
    values = np.array(wave(60))
    for i, origin in enumerate(problem.test.origin):
        known = values[:origin]
        assert problem.test.scale[i, 0] == pytest.approx(np.abs(known[12:] - known[:-12]).mean())
        assert problem.test.square_scale[i, 0] == pytest.approx(((known[12:] - known[:-12]) ** 2).mean())


def test_many_series_of_several_lengths_lie_side_by_side(tmp_path: Path) -> None:
    write(tmp_path / "s.csv", {
        "month": [*months(60), *months(45, "2003-05"), *months(80, "1990-01")],
        "name": ["b"] * 60 + ["a"] * 45 + ["c"] * 80, "y": [*wave(60), *wave(45, 1), *wave(80, 2)]})
    problem = prepare(tmp_path, data(series="name"))
    assert problem.schema.names == ("b", "a", "c")
    assert problem.stored.lengths == (60, 45, 80)
    test = problem.test
    assert test.series.tolist() == [0, 1, 2] * 2
    np.testing.assert_array_equal(test.target[4, :, 0], wave(45, 1)[41:])
    labels = problem.schema.calendar.labels(problem.panel.position[problem.panel.start])
    assert labels == ["2000-01", "2003-05", "1990-01"]


def test_rows_of_series_may_be_mixed_as_long_as_each_is_in_order(tmp_path: Path) -> None:
    one, other = wave(60), wave(60, 1)
    write(tmp_path / "s.csv", {"month": [m for month in months(60) for m in (month, month)],
                               "name": ["a", "b"] * 60, "y": [v for pair in zip(one, other, strict=True) for v in pair]})
    problem = prepare(tmp_path, data(series="name"))
    np.testing.assert_array_equal(problem.panel.values(1)[:, 0], other)


def test_several_targets_and_covariates(tmp_path: Path) -> None:
    known = list(range(66))
    write(tmp_path / "s.csv", {"month": months(66), "y": [*wave(60), *[None] * 6], "z": [*wave(60, 1), *[None] * 6],
                               "planned": known, "seen": [*wave(60, 2), *[None] * 6]})
    problem = prepare(tmp_path, data(target=["y", "z"], known_future=["planned"], past=["seen"]))
    test = problem.test
    assert test.target.shape == (2, HORIZON, 2)
    ahead = test.ahead(2)[0, :, 0] * problem.schema.width[0] + problem.schema.centre[0]
    np.testing.assert_allclose(ahead, np.arange(50, 56), atol=1e-4)
    first, _ = cuts(60, HORIZON, 2, HORIZON, 0.2)
    assert problem.schema.centre[0] == pytest.approx(np.arange(first).mean())
    assert test.past_covariates(5).shape == (2, 5, 1)
    assert len(problem.future) == 1
    assert "Not used" not in " ".join(problem.facts().notes)


def test_a_covariate_that_is_not_known_ahead_leaves_no_future_window(tmp_path: Path) -> None:
    one_series(tmp_path, planned=list(range(60)))
    problem = prepare(tmp_path, data(known_future=["planned"]))
    assert len(problem.future) == 0
    assert any("not forecast beyond the end" in note for note in problem.facts().notes)


def test_columns_without_a_role_are_not_used_and_that_is_said(tmp_path: Path) -> None:
    one_series(tmp_path, other=list(range(60)))
    assert any("Not used: other" in note for note in series.look(data(), forecast(), tmp_path).notes)


# ---------------------------------------------------------------- gaps

def test_gaps_are_filled_on_a_line_and_never_judged_by(tmp_path: Path) -> None:
    values: list[Any] = wave(60)
    times = months(60)
    values[30] = None
    values[54] = None
    del times[40], values[40]
    write(tmp_path / "s.csv", {"month": times, "y": values})
    (mistake,) = refused(tmp_path)
    assert mistake.code == "gap"
    assert "no value of 'y' at 2002-07, and at 2 other times" in mistake.text
    problem = prepare(tmp_path, data(missing="linear"))
    known = wave(60)
    assert problem.panel.values(0)[30, 0] == pytest.approx((known[29] + known[31]) / 2)
    assert np.isnan(problem.test.target[0, 2, 0])
    assert problem.panel.values(0)[54, 0] == pytest.approx((known[53] + known[55]) / 2)
    held = prepare(tmp_path, data(missing="previous"))
    assert held.panel.values(0)[40, 0] == known[39]


def test_a_gap_at_an_origin_is_not_filled_by_what_comes_after(tmp_path: Path) -> None:
    values: list[Any] = wave(60)
    values[50] = values[51] = None  # the first test origin is 52
    write(tmp_path / "s.csv", {"month": months(60), "y": values})
    problem = prepare(tmp_path, data(missing="linear"))
    assert problem.panel.values(0)[51, 0] != values[49]
    assert problem.test.past(4)[0, :, 0].tolist() == [values[48], values[49], values[49], values[49]]
    assert problem.test.after_gap.tolist() == [True, False]
    assert problem.panel.known_at(0, 52)[-3:, 0].tolist() == [values[49]] * 3
    np.testing.assert_array_equal(problem.panel.known_at(0, 56), problem.panel.values(0)[:56])


# ---------------------------------------------------------------- what is refused

def test_unsorted_and_duplicate_times_name_the_series_and_the_time(tmp_path: Path) -> None:
    times = months(60)
    mixed = [*times[:20], times[21], times[20], *times[22:]]
    twice = [*times[:30], times[29], *times[31:]]
    write(tmp_path / "s.csv", {"month": [*mixed, *twice], "name": ["a"] * 60 + ["b"] * 60, "y": wave(120)})
    found = {m.code: m.text for m in refused(tmp_path, data(series="name"))}
    assert found["unsorted-times"] == "Series 'a': 2001-09-01 comes after 2001-10-01."
    assert found["duplicate-times"] == "Series 'b': the time 2002-06-01 is there twice."


def test_a_series_shorter_than_the_horizon_takes_says_how_long_it_must_be(tmp_path: Path) -> None:
    write(tmp_path / "s.csv", {"month": [*months(60), *months(10)], "name": ["long"] * 60 + ["short"] * 10,
                               "y": wave(70)})
    (mistake,) = refused(tmp_path, data(series="name"))
    assert mistake.code == "too-short"
    assert "'short' has 10 steps" in mistake.text
    least = next(int(word) for word in mistake.text.split() if word.isdigit() and int(word) > 10)
    write(tmp_path / "s.csv", {"month": months(least), "y": wave(least)})
    series.look(data(), forecast(), tmp_path)
    write(tmp_path / "s.csv", {"month": months(least - 1), "y": wave(least - 1)})
    assert refused(tmp_path)[0].code == "too-short"


def test_a_constant_series_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "s.csv", {"month": [*months(60), *months(60)], "name": ["a"] * 60 + ["b"] * 60,
                               "y": [*wave(60), *[7.0] * 60]})
    (mistake,) = refused(tmp_path, data(series="name"))
    assert mistake.code == "constant-series"
    assert "Series 'b': 'y' is 7 at every step" in mistake.text


def test_a_covariate_that_ends_too_early_says_when(tmp_path: Path) -> None:
    one_series(tmp_path, planned=[*range(50), *[None] * 10], seen=[*range(58), None, None])
    found = refused(tmp_path, data(known_future=["planned"], past=["seen"], missing="linear"))
    assert [m.code for m in found] == ["covariate-ends"] * 2
    assert "'planned' ends too early: it has no value from 2004-03 on, and is needed up to 2004-12" in found[0].text
    assert "'seen'" in found[1].text


def test_a_season_must_be_seen_twice(tmp_path: Path) -> None:
    one_series(tmp_path)
    (mistake,) = refused(tmp_path, ahead=forecast(season=30))
    assert mistake.code == "season-too-long"


@pytest.mark.parametrize(("given", "code"), [
    ({"target": "x"}, "no-such-column"), ({"target": "name"}, "text-column"), ({"time": "when"}, "no-such-column"),
    ({"series": "serie"}, "no-such-column"), ({"past": ["name"]}, "text-column"), ({"time": "name"}, "bad-time"),
    ({"cut": "y > 100"}, "empty-file"), ({"time": "number"}, "duplicate-times"), ({"target": "empty"}, "no-values"),
])
def test_wrong_columns_are_named(tmp_path: Path, given: Mapping[str, Any], code: str) -> None:
    one_series(tmp_path, name=["a", "b"] * 30, number=[1] * 60, empty=[None] * 60)
    assert code in {mistake.code for mistake in refused(tmp_path, data(**given))}


def test_a_mistyped_year_is_no_gap_of_a_million_days(tmp_path: Path) -> None:
    days = [str(d) for d in np.datetime64("2024-01-01") + np.arange(60)]
    write(tmp_path / "s.csv", {"month": [*days[:-1], "9024-01-01"], "y": wave(60)})
    (mistake,) = refused(tmp_path, data(missing="linear"))
    assert mistake.code == "irregular-times" and "9024" in mistake.text


def test_of_many_wrong_series_a_few_are_told(tmp_path: Path) -> None:
    names = [f"s{i}" for i in range(30)]
    write(tmp_path / "s.csv", {"month": months(60) * 30, "name": [n for n in names for _ in range(60)],
                               "y": [1.0] * 1800})
    found = refused(tmp_path, data(series="name"))
    assert len(found) <= 5
    assert "25 more" in found[-1].text


# ---------------------------------------------------------------- hashes and new data

def test_the_fingerprint_follows_all_that_decides(tmp_path: Path) -> None:
    one_series(tmp_path)

    def digest(sections: SeriesData, ahead: Forecast) -> str:
        return series.fingerprint(sections, ahead, tmp_path, 0, {})

    first = digest(data(), forecast())
    assert prepare(tmp_path).fingerprint == series.fingerprint(data(), forecast(), tmp_path, 0, {"coverage": [0.68]})
    assert digest(data(), forecast(windows=3)) != first != digest(data(missing="linear"), forecast())
    one_series(tmp_path, 61)
    assert digest(data(), forecast()) != first


def test_new_data_go_on_from_the_history_that_is_known(tmp_path: Path) -> None:
    one_series(tmp_path)
    problem = prepare(tmp_path)
    new = series.read_new(problem, write(tmp_path / "new.csv", {"month": months(3, "2005-01"), "y": [5.0, 6.0, 7.0]}))
    np.testing.assert_array_equal(new.past(5)[0, :, 0], [*wave(60)[-2:], 5.0, 6.0, 7.0])
    assert new.origin.tolist() == [63, 55, 59]  # asked for, and since the training's end, whose outcomes are known
    assert new.asked == 1
    np.testing.assert_array_equal(new.target[2, :, 0], [wave(60)[-1], 5.0, 6.0, 7.0])
    assert "goes on from the training's history" in new.notes[0] and "2004-12" in new.notes[0]
    again = series.read_new(problem, write(tmp_path / "new.csv", {"month": months(3, "2004-12"), "y": [5.0, 6.0, 7.0]}))
    np.testing.assert_array_equal(again.past(4)[0, :, 0], [wave(60)[-2], 5.0, 6.0, 7.0])


def test_a_gap_between_history_and_new_data_is_a_gap(tmp_path: Path) -> None:
    one_series(tmp_path)
    new = write(tmp_path / "new.csv", {"month": months(3, "2005-03"), "y": [5.0, 6.0, 7.0]})
    with pytest.raises(DataError) as raised:
        series.read_new(prepare(tmp_path), new)
    assert [m.code for m in raised.value.mistakes] == ["gap"]
    assert "2005-01" in raised.value.mistakes[0].text
    filled = series.read_new(prepare(tmp_path, data(missing="linear")), new)
    assert filled.origin[:filled.asked].tolist() == [65]
    np.testing.assert_array_equal(filled.target[-1, :, 0], [np.nan, 5.0, 6.0, 7.0])  # a gap is no error


def test_new_series_are_taken_as_they_come(tmp_path: Path) -> None:
    write(tmp_path / "s.csv", {"month": months(60) * 2, "name": ["a"] * 60 + ["b"] * 60, "y": [*wave(60), *wave(60, 1)]})
    problem = prepare(tmp_path, data(series="name"))
    new = series.read_new(problem, write(tmp_path / "new.csv", {
        "month": [*months(20), *months(2, "2005-01")], "name": ["c"] * 20 + ["b"] * 2, "y": [*wave(20, 5), 1.0, 2.0]}))
    assert new.names == ("c", "b")
    assert new.codes.tolist() == [0, 2, 2, 2]
    assert new.asked == 2 and new.series.tolist() == [0, 1, 1, 1]  # what is not in the training has no end of it
    assert any("Not in the training" in note and "'c'" in note for note in new.notes)


def test_new_data_must_say_what_is_known_ahead(tmp_path: Path) -> None:
    one_series(tmp_path, planned=list(range(60)))
    problem = prepare(tmp_path, data(known_future=["planned"]))
    columns = {"month": months(5, "2005-01"), "y": [1.0, 2.0, None, None, None], "planned": [60, 61, 62, 63, 64]}
    with pytest.raises(DataError) as raised:
        series.read_new(problem, write(tmp_path / "new.csv", columns))
    (mistake,) = raised.value.mistakes
    assert mistake.code == "covariate-ends"
    assert "from 2005-06 on" in mistake.text and "up to 2005-06" in mistake.text
    longer = {"month": months(6, "2005-01"), "y": [*columns["y"], None], "planned": [*columns["planned"], 65]}
    new = series.read_new(problem, write(tmp_path / "new.csv", longer))
    ahead = new.ahead(0)[0, :, 0] * problem.schema.width[0] + problem.schema.centre[0]
    np.testing.assert_allclose(ahead, [62, 63, 64, 65], atol=1e-4)


@pytest.mark.parametrize(("columns", "code"), [
    ({"month": ["2005-01", "2005-01"], "y": [1.0, 2.0]}, "duplicate-times"),
    ({"month": ["2005-01-15", "2005-02-15"], "y": [1.0, 2.0]}, "irregular-times"),
    ({"month": [1.0, 2.0], "y": [1.0, 2.0]}, "other-calendar"),
    ({"when": ["2005-01"], "y": [1.0]}, "no-such-column"),
])
def test_new_data_that_do_not_fit_are_refused(tmp_path: Path, columns: Mapping[str, Sequence[Any]], code: str) -> None:
    one_series(tmp_path)
    with pytest.raises(DataError) as raised:
        series.read_new(prepare(tmp_path), write(tmp_path / "new.csv", columns))
    assert code in {m.code for m in raised.value.mistakes}
    assert all(m.key == () for m in raised.value.mistakes)


def test_what_is_prepared_is_what_is_loaded(tmp_path: Path) -> None:
    one_series(tmp_path)
    made = prepare(tmp_path)
    again = series.load(made.folder)
    assert replace(again.stored) == made.stored
    np.testing.assert_array_equal(again.test.target, made.test.target)


@pytest.mark.parametrize("kind", ["date32", "timestamp[ms]", "timestamp[ns, tz=UTC]", "int64"])
def test_times_of_parquet_files_are_read_in_their_own_types(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    days = (np.datetime64("2024-01-01") + np.arange(60)).astype("datetime64[us]")
    types = {"date32": pa.date32(), "timestamp[ms]": pa.timestamp("ms"), "timestamp[ns, tz=UTC]": pa.timestamp("ns", "UTC"),
             "int64": pa.int64()}
    times = pa.array(np.arange(60)) if kind == "int64" else pa.array(days).cast(types[kind])
    parquet.write_table(pa.table({"month": times, "y": wave(60)}), tmp_path / "s.parquet")
    problem = prepare(tmp_path, data(path="s.parquet"))
    assert problem.stored.lengths == (60,)
    assert problem.schema.calendar.words == ("1" if kind == "int64" else "1 day")
    last = problem.schema.calendar.labels(problem.panel.position[59:60])
    assert last == ["59" if kind == "int64" else "2024-02-29"]


def test_a_cut_of_the_training_is_not_made_in_new_data_and_that_is_said(tmp_path: Path) -> None:
    one_series(tmp_path, quality=[0] * 6 + [1] * 54)
    problem = prepare(tmp_path, data(cut="quality == 1"))
    assert problem.stored.lengths == (54,)
    new = series.read_new(problem, write(tmp_path / "new.csv", {"month": months(2, "2005-01"), "y": [1.0, 2.0]}))
    assert any("quality == 1" in note for note in new.notes)
