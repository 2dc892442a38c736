"""Make ``automl_phys/data/dijets.parquet`` of dijet events as they come from the generator.

    python tools/pack_dijets.py generated.h5 automl_phys/data/dijets.parquet

Takes an HDF5 file with the compound data set ``events``, of floats and a ``label`` (0 QCD, 1 resonance). Writes the
same events as a table, ``label`` in words, whole numbers as such and other numbers with 13 bits, 1 part in 16 000,
which takes half the room. What the events are is told in ``automl_phys/data/README.md``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

LABELS = np.array(["qcd", "resonance"])
BITS = 13
"""Of the mantissa of a float32, which has 24, the leading 1 among them."""


def main() -> None:
    """Read the command line, convert, write."""
    parser = argparse.ArgumentParser(description="Pack dijet events into a parquet file.")
    parser.add_argument("generated", type=Path, help="HDF5 file with the data set events")
    parser.add_argument("out", type=Path, help="parquet file to write")
    arguments = parser.parse_args()
    with h5py.File(arguments.generated) as file:
        events = file["events"][:]
    columns = {name: packed(events[name]) for name in events.dtype.names if name != "label"}
    table = pa.table({**columns, "label": LABELS[events["label"]]})
    parquet.write_table(table, arguments.out, compression="zstd", compression_level=19, use_dictionary=["label"],
                        use_byte_stream_split=[name for name, one in columns.items() if one.dtype == np.float32])
    print(f"{len(table)} events in {arguments.out}, {arguments.out.stat().st_size / 1e6:.1f} MB")


def packed(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as uint16, others as float32 rounded to ``BITS`` bits."""
    if (values == np.round(values)).all() and values.min() >= 0:
        return values.astype(np.uint16)
    mantissa, exponent = np.frexp(values.astype(np.float64))
    rounded: NDArray[Any] = np.ldexp(np.round(mantissa * 2**BITS) / 2**BITS, exponent).astype(np.float32)
    return rounded


if __name__ == "__main__":
    main()
