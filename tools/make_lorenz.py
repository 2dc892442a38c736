"""Make a series of the Lorenz system, as ``builtin: lorenz`` or with other constants and starts.

    python tools/make_lorenz.py -o lorenz.csv                   # what 'builtin: lorenz' is
    python tools/make_lorenz.py -o other.parquet --samples 20000 --start 3 -2 25 --rho 35

Takes options; writes a csv or parquet file with the columns ``time``, ``x``, ``y`` and ``z``. The integrator is
:mod:`automl_phys.lorenz`, which also says how fast errors grow. The same options give the same file on every machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from automl_phys import lorenz


def main() -> None:
    """Read the command line, integrate, write."""
    told = _arguments()
    points = lorenz.trajectory(
        told.samples, tuple(told.start), interval=told.interval, substeps=told.substeps, burn_in=told.burn_in,
        sigma=told.sigma, rho=told.rho, beta=told.beta)
    table = pa.table(lorenz.series(points, told.interval))
    if told.out.suffix == ".parquet":
        parquet.write_table(table, told.out)
    else:
        csv.write_csv(table, told.out, csv.WriteOptions(quoting_style="none"))
    print(f"{len(table)} samples in {told.out}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make a series of the Lorenz system.")
    parser.add_argument("-o", "--out", type=Path, required=True, help="csv or parquet file to write")
    parser.add_argument("--samples", type=_positive, default=lorenz.SAMPLES)
    parser.add_argument("--interval", type=float, default=lorenz.INTERVAL, help="time between samples (default: 0.05)")
    parser.add_argument("--substeps", type=_positive, default=20, help="Runge-Kutta steps to a sample (default: 20)")
    parser.add_argument("--start", type=float, nargs=3, default=lorenz.START, metavar=("X", "Y", "Z"))
    parser.add_argument("--burn-in", type=float, default=lorenz.BURN_IN, help="time that is left out at the beginning")
    parser.add_argument("--sigma", type=float, default=lorenz.SIGMA)
    parser.add_argument("--rho", type=float, default=lorenz.RHO)
    parser.add_argument("--beta", type=float, default=lorenz.BETA)
    told = parser.parse_args()
    if told.out.suffix not in {".csv", ".parquet"}:
        parser.error(f"'{told.out}' must end in .csv or .parquet")
    return told


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no positive integer")
    return int(text)


if __name__ == "__main__":
    main()
