"""One generator of ``generate.py`` in a process of its own: NAME TRAIN.parquet COUNT OUT.parquet.

Learns from all rows of TRAIN, which holds nothing but columns of numbers to be generated, writes COUNT new ones. One
row in five is kept to choose by where there is something to choose.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COMPONENTS = (4, 8, 16, 32)
BANDWIDTHS = np.geomspace(0.05, 1.0, 12)


def main() -> None:
    name, path, count, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    table = pq.read_table(path)
    columns = {column: table[column].to_numpy().astype(np.float64) for column in table.column_names}
    made = PEERS[name](columns, count)
    pq.write_table(pa.table({column: np.asarray(values, np.float32) for column, values in made.items()}), out)


def gaussian_mixture(columns: dict[str, Any], count: int) -> dict[str, Any]:
    """scikit-learn's, full covariances, of quantile-normal columns; as many components as the kept rows like best."""
    from sklearn.mixture import GaussianMixture

    def of(components: int) -> Any:
        return GaussianMixture(components, reg_covar=1e-5, random_state=0)

    return _chosen(columns, [of(number) for number in COMPONENTS], lambda model: model.sample(count)[0])


def kde(columns: dict[str, Any], count: int) -> dict[str, Any]:
    """scikit-learn's Gaussian kernels on quantile-normal columns, of the width that the kept rows like best."""
    from sklearn.neighbors import KernelDensity

    return _chosen(columns, [KernelDensity(bandwidth=width, rtol=1e-3) for width in BANDWIDTHS],
                   lambda model: model.sample(count, random_state=0))


def ctgan(columns: dict[str, Any], count: int) -> dict[str, Any]:
    """SDV's (version 2), as it comes."""
    return _sdv("CTGANSynthesizer", columns, count)


def tvae(columns: dict[str, Any], count: int) -> dict[str, Any]:
    """SDV's (version 2), as it comes."""
    return _sdv("TVAESynthesizer", columns, count)


def _chosen(columns: dict[str, Any], models: list[Any], draw: Callable[[Any], Any]) -> dict[str, Any]:
    """What ``draw`` makes of the model of the highest likelihood of the kept rows, fitted again on all."""
    from sklearn.preprocessing import QuantileTransformer

    values = np.column_stack(list(columns.values()))
    values = values[np.random.default_rng(0).permutation(len(values))]
    scaler = QuantileTransformer(n_quantiles=1000, output_distribution="normal", subsample=None, random_state=0)
    normal = scaler.fit_transform(values)
    kept = len(normal) // 5
    best = max(models, key=lambda model: model.fit(normal[kept:]).score(normal[:kept]))
    made = scaler.inverse_transform(draw(best.fit(normal)))
    # Counts are numbers like others here: the nearest one.
    return {name: np.round(column) if _whole(columns[name]) else column
            for name, column in zip(columns, made.T, strict=True)}


def _whole(values: Any) -> bool:
    return bool((values == np.round(values)).all())


def _sdv(synthesizer: str, columns: dict[str, Any], count: int) -> dict[str, Any]:
    import pandas as pd

    single_table, metadata_of = import_module("sdv.single_table"), import_module("sdv.metadata").Metadata
    warnings.simplefilter("ignore")
    table = pd.DataFrame({name: values.astype(np.int64) if _whole(values) else values
                          for name, values in columns.items()})
    metadata = metadata_of.load_from_dict({"tables": {"table": {"columns": {
        name: {"sdtype": "numerical"} for name in columns}}}})
    model = getattr(single_table, synthesizer)(metadata)
    model.fit({"table": table})
    made = model.sample(count)
    made = made["table"] if isinstance(made, dict) else made
    return {name: made[name].to_numpy() for name in columns}


PEERS: dict[str, Callable[[dict[str, Any], int], dict[str, Any]]] = {
    "gaussian_mixture": gaussian_mixture, "kde": kde, "ctgan": ctgan, "tvae": tvae}

if __name__ == "__main__":
    main()
