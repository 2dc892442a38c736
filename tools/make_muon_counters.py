"""Simulate the daily rates of six cosmic-ray muon counters: ``recipes/data/muon_counters.csv``.

    python tools/make_muon_counters.py -o recipes/data/muon_counters.csv

Takes options; writes a row for each station and day: ``date``, ``station``, ``rate`` (Hz, mean of the day),
``pressure`` (hPa) and ``kp`` (geomagnetic index, mean of the day, 0 to 9). All of it is simulated; no such stations
exist. The same options give the same file.

A station's rate is R₀ · (1 + β (P − P₀)) · (1 + α ΔT) · (1 + m) · (1 − f) and noise:

- barometric effect: more air absorbs more muons, β ≈ −0.12 %/hPa, weaker where the geomagnetic cutoff is high
  (R. R. S. Mendonça et al., arXiv:1910.06187). The pressure P varies with the weather of each station, and a little
  with the season; weather fades within days.
- temperature effect: a warm atmosphere is higher, so that more muons decay before they arrive: α ≈ −0.28 %/K of the
  effective temperature (arXiv:2002.04277), some 5 K from the mean in summer and winter, which makes 1 to 2 %, most
  muons in winter. In the south the seasons are half a year apart.
- solar modulation m, the same for all stations but for its size: a slow process (AR(1) of 250 days, 1 %), and 0.3 %
  with the Sun's rotation as seen from Earth, 27 days.
- Forbush decreases f: a coronal mass ejection sweeps cosmic rays away. Two or three large ones a year, at all stations
  at once: 3 to 6 %, reached within two days, with exponential recovery in 3 to 9 days (S. E. Forbush, Phys. Rev. 51
  (1937) 1108; H. V. Cane, Space Sci. Rev. 93 (2000) 55). Muon counters see less of them where the cutoff is high.
- noise: Poisson's of the day's muons, 0.03 to 0.05 %, and 0.1 % of the instrument.

What is not from these papers (rates, weather, sizes of processes, Kp) is set by hand to look like data.

``kp`` rises with the shock in front of the ejection: on the day of the onset, when most of the decrease is still to
come, and the two days after. Fast solar wind makes it rise, too, every 27 days for a while, with no Forbush decrease.

Some days are missing, as in life: of ``desert`` rows are left out, of ``island`` the rate is empty. For 14 days after
the last rate only the pressure is there, as a weather forecast would give it, though without its errors.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FIRST_DAY = np.datetime64("2021-01-01")
DAYS = 1461
AHEAD = 14
SECONDS = 86_400
YEAR = 365.25
ROTATION = 27
INSTRUMENT = 0.001
SLOW_DAYS = 250
FORBUSH_A_YEAR = 3.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Station:
    """A counter: its mean rate in Hz, the mean and spread of the pressure in hPa, the barometric coefficient in 1/hPa,
    the seasonal amplitude, negative in the south, and how much of the Sun's doings it sees."""

    rate: float
    pressure: float
    weather: float
    barometric: float
    season: float
    solar: float


STATIONS = {
    "alpine": Station(152.0, 846.0, 6.0, -0.00134, 0.017, 1.00),
    "boreal": Station(61.0, 1004.0, 10.5, -0.00131, 0.020, 0.98),
    "coast": Station(94.0, 1014.0, 8.5, -0.00122, 0.015, 0.90),
    "desert": Station(118.0, 948.0, 3.2, -0.00105, 0.012, 0.72),
    "island": Station(48.0, 1013.0, 3.8, -0.00110, 0.010, 0.78),
    "southern": Station(83.0, 1009.0, 9.0, -0.00126, -0.013, 0.94),
}
LEFT_OUT = {"desert": ((212, 4), (777, 2), (1103, 1))}
EMPTY = {"island": ((95, 3), (640, 5), (1268, 2))}
"""Gaps: the first day and how many."""


def main() -> None:
    """Read the command line, simulate, write."""
    told = _arguments()
    rows = simulate(told.days, told.seed)
    with told.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["date", "station", "rate", "pressure", "kp"])
        writer.writerows(rows)
    print(f"{len(rows)} rows in {told.out}")


def simulate(days: int, seed: int) -> list[list[str]]:
    """The rows of the file, station by station, each in the order of time."""
    rng = np.random.default_rng(seed)
    day = np.arange(days + AHEAD)
    dates = [str(date) for date in FIRST_DAY + day]
    solar, decrease, kp = _sun(rng, len(day))
    rows = []
    for name, station in STATIONS.items():
        pressure, rate = _measured(rng, station, day, solar, decrease)
        skipped, empty = _days(LEFT_OUT.get(name, ())), _days(EMPTY.get(name, ()))
        for i in (i for i in range(len(day)) if i not in skipped):
            told = i < days
            rows.append([dates[i], name, f"{rate[i]:.3f}" if told and i not in empty else "", f"{pressure[i]:.1f}",
                         f"{kp[i]:.2f}" if told else ""])
    return rows


def _measured(rng: np.random.Generator, station: Station, day: NDArray[np.int64], solar: Floats,
              decrease: Floats) -> tuple[Floats, Floats]:
    """Pressure and rate of each day at a station."""
    from_january = 2 * np.pi * (day - 15) / YEAR
    weather = station.weather * _fading(rng, len(day), 0.72)
    pressure = station.pressure + weather + 1.5 * np.sign(station.season) * np.cos(from_january)
    temperature = station.season * np.cos(from_january) + 0.002 * _fading(rng, len(day), 0.8)
    expected = (station.rate * (1 + station.barometric * (pressure - station.pressure)) * (1 + temperature) *
                (1 + station.solar * solar) * (1 - station.solar * decrease))
    counted = expected + np.sqrt(expected / SECONDS) * rng.standard_normal(len(day))
    return pressure, counted * (1 + INSTRUMENT * rng.standard_normal(len(day)))


def _sun(rng: np.random.Generator, days: int) -> tuple[Floats, Floats, Floats]:
    """What all stations share: the slow modulation, the Forbush decreases, and Kp."""
    rotation = 2 * np.pi * np.arange(days) / ROTATION
    streams = _fading(rng, days, np.exp(-1 / 80))
    slow = 0.01 * _fading(rng, days, np.exp(-1 / SLOW_DAYS)) + 0.003 * streams * np.sin(rotation)
    activity = 1.9 + 0.8 * _fading(rng, days, 0.55) + 0.9 * np.abs(streams) * np.maximum(0, np.cos(rotation)) ** 4
    decrease = np.zeros(days)
    onset = 20 + int(rng.exponential(YEAR / FORBUSH_A_YEAR))
    while onset < days:
        size, recovery, begun = rng.uniform(0.03, 0.06), rng.uniform(3, 9), rng.uniform(0.2, 0.5)
        since = np.arange(days - onset)
        decrease[onset:] += size * np.where(since == 0, begun, np.exp(-(since - 1) / recovery))
        storm = 1.5 + 70 * size * rng.uniform(0.8, 1.2)
        for later, share in enumerate((1.0, 0.75, 0.3)[:days - onset]):
            activity[onset + later] += share * storm
        onset += 12 + int(rng.exponential(YEAR / FORBUSH_A_YEAR))
    return slow, decrease, np.clip(activity, 0, 9)


def _fading(rng: np.random.Generator, days: int, memory: float) -> Floats:
    """A process of mean 0 and standard deviation 1 that keeps the share ``memory`` of itself each day."""
    shocks = rng.standard_normal(days)
    values = np.empty(days)
    values[0] = shocks[0]
    for i in range(1, days):
        values[i] = memory * values[i - 1] + np.sqrt(1 - memory**2) * shocks[i]
    return values


def _days(gaps: tuple[tuple[int, int], ...]) -> set[int]:
    return {day for first, count in gaps for day in range(first, first + count)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Simulate the daily rates of six muon counters.")
    parser.add_argument("-o", "--out", type=Path, required=True, help="csv file to write")
    parser.add_argument("--days", type=int, default=DAYS, help="days with rates (default: 1461, four years)")
    parser.add_argument("--seed", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
