"""The series that come with the program or with its recipes: the Lorenz system, sunspots, muon counters."""

import csv
import hashlib
import math
import runpy
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from automl_phys import lorenz, registry
from automl_phys.contracts import Location

ROOT = Path(__file__).parents[1]
DATA = ROOT / "recipes" / "data"
LORENZ = "1890874b09499f0084146d1d3e1bc67f34c0dadc7b261e26f37bed314961b41a"
"""SHA-256 of the built-in series, written with 6 decimals."""


def builtin(name):
    source = registry.load("sources", "builtin")
    header = source.peek(Location(Path(name)))
    table, = source.read(Location(Path(name)), list(header.columns), 100_000)
    assert header.rows == len(table)
    return {column: table[column].to_numpy() for column in table.column_names}


def made(tool, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [tool, *map(str, arguments)])
    runpy.run_path(str(ROOT / "tools" / tool), run_name="__main__")


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---------------------------------------------------------------- the Lorenz system

def test_the_lorenz_series_is_the_same_to_the_last_digit_on_every_machine():
    series = lorenz.series(lorenz.trajectory())
    text = "\n".join(",".join(map(repr, row)) for row in zip(*series.values(), strict=True))
    assert (series["time"][:3], series["time"][-1]) == ([0.0, 0.05, 0.1], 299.95)
    assert [series[name][0] for name in "xyz"] == [14.970202, 16.23662, 34.516637]
    assert hashlib.sha256(text.encode()).hexdigest() == LORENZ


def test_the_builtin_is_that_series():
    found, series = builtin("lorenz"), lorenz.series(lorenz.trajectory())
    assert {name: list(values) for name, values in found.items()} == series
    assert len(series["x"]) == 6000


def test_lorenz_stays_on_its_attractor():
    found = builtin("lorenz")
    x, y, z = (found[name] for name in "xyz")
    assert (np.abs(x) < 20).all() and (np.abs(y) < 28).all() and ((z > 0) & (z < 49)).all()
    # Averages over the attractor: <x> = <y> = 0 by symmetry, <xy> = beta <z> as z is bounded, <z> about 23.55.
    assert x.mean() == pytest.approx(0, abs=1.5) and y.mean() == pytest.approx(0, abs=1.5)
    assert (x * y).mean() == pytest.approx(lorenz.BETA * z.mean(), rel=0.01)
    assert z.mean() == pytest.approx(23.55, abs=0.3)
    assert 50 < (np.diff(np.sign(x)) != 0).sum() < 400  # it changes wings


def test_the_integrator_is_of_fourth_order():
    start = lorenz.trajectory(1)[0]
    exact, coarse, fine = (np.array(lorenz.trajectory(5, start, burn_in=0, substeps=n)[-1]) for n in (320, 20, 40))
    assert math.log2(np.linalg.norm(coarse - exact) / np.linalg.norm(fine - exact)) == pytest.approx(4, abs=0.3)


def test_a_trajectory_can_be_taken_up_again():
    whole = lorenz.trajectory(30, burn_in=5)
    assert lorenz.trajectory(20, whole[10], burn_in=0) == whole[10:]


def test_near_starts_part_with_the_known_exponent():
    small, rates = 1e-8, []
    points = lorenz.trajectory(150, interval=5.0, substeps=1000)
    for here, there in pairwise(points):
        beside = lorenz.trajectory(2, (here[0] + small, here[1], here[2]), interval=5.0, substeps=1000, burn_in=0)[1]
        rates.append(math.log(math.dist(there, beside) / small) / 5.0)
    error = np.std(rates) / math.sqrt(len(rates))
    # The difference needs a moment to turn into the direction that grows: 0.1 of 5.0, by estimate.
    assert np.mean(rates) == pytest.approx(lorenz.LYAPUNOV_EXPONENT, abs=3 * error + 0.1)
    assert error < 0.05


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_tool_writes_what_is_built_in_and_other_series(kind, tmp_path, monkeypatch, capsys):
    source = registry.load("sources", kind)
    made("make_lorenz.py", monkeypatch, "-o", tmp_path / f"a.{kind}")
    table, = source.read(Location(tmp_path / f"a.{kind}"), ["time", "x", "y", "z"], 100_000)
    assert {name: table[name].to_pylist() for name in table.column_names} == {
        name: list(values) for name, values in builtin("lorenz").items()}
    made("make_lorenz.py", monkeypatch, "-o", tmp_path / f"b.{kind}", "--samples", 40, "--rho", 14, "--interval", 1)
    table, = source.read(Location(tmp_path / f"b.{kind}"), ["z"], 100_000)
    assert len(table) == 40
    assert table["z"].to_pylist() == pytest.approx([13.0] * 40, abs=1e-3)  # a fixed point, z = rho - 1
    assert "6000 samples" in capsys.readouterr().out


# ---------------------------------------------------------------- sunspots

def test_the_yearly_sunspots_are_those_of_statsmodels():
    found = builtin("sunspots_yearly")
    assert list(found) == ["year", "sunspots"]
    assert found["year"].dtype.kind == "i" and found["year"].tolist() == list(range(1700, 2009))
    assert found["sunspots"][:3].tolist() == [5, 11, 16]
    assert found["sunspots"].max() == 190.2 and found["year"][found["sunspots"].argmax()] == 1957


def test_the_monthly_sunspots_are_all_there():
    rows = read(DATA / "sunspots_monthly.csv")
    months = [row["month"] for row in rows]
    assert months == np.arange("1749-01", "2013-10", dtype="datetime64[M]").astype(str).tolist()
    assert len(rows) == 3177
    numbers = np.array([float(row["sunspot_number"]) for row in rows])
    assert ((numbers >= 0) & (numbers < 260)).all()
    assert "CC BY-NC 4.0" in (DATA / "README.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------- muon counters

def test_the_muon_counters_are_what_the_tool_makes(tmp_path, monkeypatch):
    made("make_muon_counters.py", monkeypatch, "-o", tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_bytes() == (DATA / "muon_counters.csv").read_bytes()


def test_the_muon_counters_have_gaps_and_a_future():
    rows = read(DATA / "muon_counters.csv")
    every = np.arange("2021-01-01", "2025-01-15", dtype="datetime64[D]").astype(str).tolist()
    dates = {}
    for row in rows:
        dates.setdefault(row["station"], []).append(row["date"])
    assert len(dates) == 6
    assert all(own == sorted(set(own)) and set(own) <= set(every) for own in dates.values())
    assert {name: len(every) - len(own) for name, own in dates.items() if len(own) < len(every)} == {"desert": 7}
    empty = Counter(row["station"] for row in rows if row["date"] < "2025" and not row["rate"])
    assert empty == {"island": 10}
    assert all(row["pressure"] for row in rows)
    assert all(bool(row["kp"]) == (row["date"] < "2025") for row in rows)
    assert not any(row["rate"] for row in rows if row["date"] >= "2025")


@pytest.mark.parametrize(("station", "barometric"), [("coast", -0.122), ("boreal", -0.131), ("desert", -0.105)])
def test_a_muon_counter_feels_the_pressure(station, barometric):
    rows = [row for row in read(DATA / "muon_counters.csv") if row["station"] == station and row["rate"]]
    rate, pressure = (np.array([float(row[key]) for row in rows]) for key in ("rate", "pressure"))
    # From day to day little else changes.
    slope = np.polyfit(np.diff(pressure), 100 * np.diff(rate) / rate.mean(), 1)[0]
    assert slope == pytest.approx(barometric, abs=0.012)


def test_kp_announces_a_forbush_decrease():
    rows = [row for row in read(DATA / "muon_counters.csv") if row["station"] == "alpine" and row["rate"]]
    rate, pressure, kp = (np.array([float(row[key]) for row in rows]) for key in ("rate", "pressure", "kp"))
    corrected = rate * (1 + 0.00134 * (pressure - pressure.mean()))
    change = 100 * np.diff(corrected) / corrected.mean()
    assert change[kp[:-1] > 5.5].mean() < -0.5  # on the day after
    assert abs(change[kp[:-1] < 2].mean()) < 0.1
