"""Source ``builtin``: data sets that ship with automl-phys (``jets``, ``jet_images``, ``dijets``), are made here
(``blobs``, ``cloud``, ``lorenz``, ``two_moons``), or come with scikit-learn or statsmodels (``sunspots_yearly``).

Takes a data set's name where other sources take a path. Feature names have no blanks and slashes; the classes of
scikit-learn's sets stand by name in the column ``target``, of ``diabetes`` the progression of the disease.
``digit_images`` are the ``digits`` with an image of 8 × 8 ``pixels``, from 0 to 16, in place of 64 numbers. What the
jets, their images and the dijets are is told in ``automl_phys/data/README.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys import registry
from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

SUFFIXES = ()
INSIDE = ""

ABOUT: dict[str, tuple[int, int, str]] = {
    "blobs": (2000, 9, "five round Gaussian blobs and outliers in 8 dimensions, made here"),
    "breast_cancer": (569, 31, "tumours, benign and malignant, by 30 measures of their cells; from scikit-learn"),
    "cloud": (2000, 8, "one Gaussian in 8 correlated dimensions, in which there is nothing to find, made here"),
    "diabetes": (442, 11, "progression of a disease after a year, by 10 measures; from scikit-learn"),
    "digit_images": (1797, 2, "the digits as images of 8 × 8 pixels; from scikit-learn"),
    "digits": (1797, 65, "handwritten digits, a column for each of 64 pixels; from scikit-learn"),
    "dijets": (22_000, 41, "events with two jets, QCD and a resonance at 3.5 TeV, simulated with Pythia 8"),
    "iris": (150, 5, "flowers of three species; from scikit-learn"),
    "jet_images": (18_000, 4, "images of 24 × 24 pixels of QCD, W and top jets, simulated with Pythia 8"),
    "jets": (40_000, 22, "QCD, W and top jets by 20 observables, simulated with Pythia 8"),
    "lorenz": (6000, 4, "the Lorenz system, a chaotic series in three dimensions, computed here"),
    "sunspots_yearly": (309, 2, "mean sunspot number of each year from 1700 to 2008; from statsmodels"),
    "two_moons": (20_000, 3, "two half circles that reach into each other, made here"),
    "wine": (178, 14, "wines of three growers by 13 measures; from scikit-learn"),
}
"""Rows, columns and origin of each data set, so that they are listed without being read."""

NAMES = tuple(ABOUT)

SHIPPED = Path(__file__).parent.parent / "data"
TABLES = {name: SHIPPED / f"{name}.parquet" for name in ("dijets", "jets")}
JET_IMAGES = SHIPPED / "jet_images.npz"
"""Too large to be kept in memory as the tables are: read as other files of its format."""

DIMENSIONS = 8

BLOBS = ((620, 1.0), (480, 0.6), (380, 1.2), (280, 0.8), (180, 0.5))
"""Points and standard deviation of each blob."""
OUTLIERS = 60
CLOUD_POINTS = 2000
MOON_POINTS = 20_000
MOON_WIDTH = 0.1


def peek(location: Location) -> Header:
    """Columns and rows of the data set called ``location.path.name``. Raises DataError (``no-such-dataset``)."""
    from automl_phys import arrow_kinds

    if location.path.name == "jet_images":
        return registry.load("sources", "npz").peek(Location(JET_IMAGES))
    table = _table(location.path.name)
    return arrow_kinds.header(table.schema, table.num_rows)


def read(location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns, at most ``chunk_rows`` rows at a time. Raises DataError (``no-such-dataset``)."""
    from automl_phys import arrow_kinds

    if location.path.name == "jet_images":
        yield from registry.load("sources", "npz").read(Location(JET_IMAGES), columns, chunk_rows)
        return
    table = arrow_kinds.plain(_table(location.path.name).select(list(columns)))
    for start in range(0, table.num_rows, chunk_rows):
        yield table.slice(start, chunk_rows)


@cache
def _table(name: str) -> pa.Table:
    if name not in NAMES:
        text = f"There is no built-in data set '{name}'.{registry.did_you_mean(name, NAMES)}"
        raise DataError(Mistake("no-such-dataset", text, f"Choose one of {', '.join(NAMES)}."))
    if name in TABLES:
        from pyarrow.parquet import read_table

        return read_table(TABLES[name])
    made = {"blobs": _blobs, "cloud": _cloud, "digit_images": _digit_images, "lorenz": _lorenz,
            "sunspots_yearly": _sunspots_yearly, "two_moons": _two_moons}
    return made.get(name, partial(_from_sklearn, name))()


def _blobs() -> pa.Table:
    """2000 points in 8 dimensions: five round Gaussian blobs of different sizes and widths, and 3 % uniform outliers.

    ``cluster`` names a point's blob, and is empty for an outlier. Blobs are at least eight of their widths apart.
    """
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(5)
    centres = rng.uniform(-6, 6, (len(BLOBS), DIMENSIONS))
    blobs = [centre + width * rng.standard_normal((count, DIMENSIONS))
             for centre, (count, width) in zip(centres, BLOBS, strict=True)]
    points = np.concatenate([*blobs, rng.uniform(-9, 9, (OUTLIERS, DIMENSIONS))])
    names = [name for name, (count, _) in zip("abcde", BLOBS, strict=True) for _ in range(count)] + [None] * OUTLIERS
    order = rng.permutation(len(points))
    return _points(points[order]).append_column("cluster", pa.array(names, pa.string()).take(pa.array(order)))


def _cloud() -> pa.Table:
    """2000 points of one Gaussian in 8 correlated dimensions: nothing to find."""
    import numpy as np

    rng = np.random.default_rng(6)
    mixing = rng.standard_normal((DIMENSIONS, DIMENSIONS))
    return _points(rng.standard_normal((CLOUD_POINTS, DIMENSIONS)) @ mixing)


def _two_moons() -> pa.Table:
    return two_moons(MOON_POINTS, 8)


def two_moons(points: int, seed: int) -> pa.Table:
    """Points ``x``, ``y``: half circles of radius 1 around (0, 0), ``upper``, and (1, 0.5), ``lower``, which reach into
    each other; ``moon`` names a point's own. Both are smeared by a Gaussian of width 0.1."""
    import numpy as np
    import pyarrow as pa

    rng = np.random.default_rng(seed)
    lower = rng.permutation(points) % 2 == 1
    angle = rng.uniform(0, np.pi, points)
    x, y = np.where(lower, 1 - np.cos(angle), np.cos(angle)), np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    smeared = np.column_stack([x, y]) + MOON_WIDTH * rng.standard_normal((points, 2))
    columns = {name: column.astype("float32") for name, column in zip("xy", smeared.T, strict=True)}
    return pa.table({**columns, "moon": pa.array(np.where(lower, "lower", "upper"), pa.string())})


def _points(points: NDArray[np.float64]) -> pa.Table:
    """Columns ``x1``, ``x2``, … in 32 bits, in which they are alike on every machine."""
    import pyarrow as pa

    return pa.table({f"x{j + 1}": column.astype("float32") for j, column in enumerate(points.T)})


def _digit_images() -> pa.Table:
    """1797 digits in rows of pixels; ``pixels`` lists rows of lists, as arrow knows no shapes."""
    import pyarrow as pa
    from sklearn import datasets

    bunch = datasets.load_digits()
    rows = pa.FixedSizeListArray.from_arrays(pa.array(bunch.images.astype("uint8").reshape(-1)), bunch.images.shape[2])
    pixels = pa.FixedSizeListArray.from_arrays(rows, bunch.images.shape[1])
    return pa.table({"pixels": pixels, "target": _from_sklearn("digits")["target"]})


def _lorenz() -> pa.Table:
    """6000 samples of the Lorenz system, 0.05 apart: ``time``, ``x``, ``y``, ``z``. Errors grow by e in 1.104."""
    import pyarrow as pa

    from automl_phys import lorenz

    return pa.table(lorenz.series(lorenz.trajectory()))


def _sunspots_yearly() -> pa.Table:
    """Mean sunspot number ``sunspots`` of each ``year`` from 1700 to 2008, as it comes with statsmodels."""
    import pyarrow as pa
    from statsmodels.datasets import sunspots

    found = sunspots.load_pandas().data
    return pa.table({"year": found["YEAR"].to_numpy("int64"), "sunspots": found["SUNACTIVITY"].to_numpy("float64")})


def _from_sklearn(name: str) -> pa.Table:
    import pyarrow as pa
    from sklearn import datasets

    load = {"breast_cancer": datasets.load_breast_cancer, "digits": datasets.load_digits,
            "iris": datasets.load_iris, "wine": datasets.load_wine,
            "diabetes": partial(datasets.load_diabetes, scaled=False)}[name]
    bunch = load()
    columns = {_clean(str(feature)): bunch.data[:, i] for i, feature in enumerate(bunch.feature_names)}
    if "target_names" not in bunch:
        return pa.table({**columns, "target": bunch.target})
    target = [str(bunch.target_names[code]) for code in bunch.target]
    return pa.table({**columns, "target": pa.array(target, pa.string())})


def _clean(feature: str) -> str:
    """``od280/od315_of_diluted_wines`` and ``sepal length (cm)`` as names without blanks, slashes and brackets."""
    for mark in "()":
        feature = feature.replace(mark, "")
    return feature.strip().replace(" ", "_").replace("/", "_")
