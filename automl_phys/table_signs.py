"""Weights to fit with where event weights are negative, as those of generators at next-to-leading order are.

A loss has no lower bound where a region of the features has negative weight, and trees refuse such weights. So each
event is fitted with w' = |w| g(x), where g(x) = E[w|x] / E[|w||x] is how much of the absolute weight around it is left
over: the expected loss is the same, and no weight is negative (Nachman, Thaler 2020, arXiv:2007.11586; Andersen et al.
2020, arXiv:2005.09375). g is learned, for each class, by a small boosted classifier of signs, g = 1 - 2 P(w < 0 | x).
Scores and histograms go on using the signed weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from automl_phys.ranking import effective
from automl_phys.table_roles import listed

FEWEST = 400
"""Rows of either sign of a class from which g is learned; with fewer it is one number, Σw / Σ|w|."""
MOST_ROWS = 500_000
BLOCK_ROWS = 1 << 17
MOST_ROUNDS, PATIENCE = 300, 15
LEAST = 1e-3
"""g where learning finds as much negative weight as positive, or more."""
SETTINGS = {"objective": "binary", "learning_rate": 0.1, "num_leaves": 15, "min_child_samples": 200, "lambda_l2": 10.0,
            "verbosity": -1, "deterministic": True, "force_col_wise": True, "num_threads": 1}


def fit_weights(
    numbers: NDArray[np.float32], categories: NDArray[np.int32], strata: NDArray[np.integer], names: Sequence[str],
    weight: NDArray[np.float32], n_train: int, seed: int,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Non-negative weights (n,) for all rows, and notes that say how they were made; ``weight`` itself and none when no
    weight is negative.

    ``numbers`` (n, d) and ``categories`` (n, c) may be mapped files; ``strata`` (n,) are class codes, ``names`` theirs,
    none where all rows are one stratum. g is learned on the first ``n_train`` rows, in two halves, each row's by the
    half that it is not in. In each stratum Σ w' = Σ w over the training rows, which must be positive: the survey of a
    table sees to that.
    """
    if not (weight < 0).any():
        return weight, ()
    unsigned = np.abs(weight)
    shares, learned, scaled = [], [], []
    for stratum, name in enumerate(names or ("all rows",)):
        rows = np.flatnonzero(strata == stratum)
        if not (weight[rows] < 0).any():
            continue
        train = rows[:np.searchsorted(rows, n_train)]
        signed = weight[train].astype(np.float64)
        negative = int((signed < 0).sum())
        if min(negative, len(train) - negative) >= FEWEST:
            learned.append(name)
            unsigned[rows] *= _kept(numbers, categories, rows, len(train), weight, seed)
        else:
            scaled.append(name)
        fitted = unsigned[train].astype(np.float64)
        unsigned[rows] *= signed.sum() / fitted.sum()
        counts = effective(np.array([signed.sum(), fitted.sum()]), np.array([signed @ signed, fitted @ fitted]))
        shares.append(f"{name} {negative / len(train):.1%} of {len(train)} training rows, which count as "
                      f"{counts[0]:.0f} (as {counts[1]:.0f} in fits)")
    ways = [f"in {listed(learned)} by what signs the features go with" if learned else "",
            f"in {listed(scaled)} by one factor, as there are too few rows of one sign to learn from" if scaled else ""]
    return unsigned, (
        f"Negative weights: {'; '.join(shares)}. Scores and histograms use the signed weights. Models are fitted with "
        f"weights made non-negative, of the same sum by class: {'; '.join(filter(None, ways))}.",)


def _kept(
    numbers: NDArray[np.float32], categories: NDArray[np.int32], rows: NDArray[np.int64], n_train: int,
    weight: NDArray[np.float32], seed: int,
) -> NDArray[np.float32]:
    """g, in ``LEAST`` … 1, of ``rows``, learned on the first ``n_train`` of them."""
    import lightgbm

    half = np.random.default_rng(seed).integers(0, 2, len(rows), dtype=np.int8)
    kept = np.empty(len(rows), np.float32)

    def matrix(which: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.hstack([numbers[which], categories[which].astype(np.float32)])

    def signs(which: NDArray[np.int64], **more: lightgbm.Dataset) -> lightgbm.Dataset:
        return lightgbm.Dataset(matrix(which), weight[which] < 0, weight=np.abs(weight[which]), **more)

    for side in (0, 1):
        learnt = rows[:n_train][half[:n_train] != side]
        learnt = learnt[:: -(-len(learnt) // MOST_ROWS)]
        judge = np.arange(len(learnt)) % 4 == 0
        data = signs(learnt[~judge])
        booster = lightgbm.train({**SETTINGS, "seed": seed % 2**31}, data, MOST_ROUNDS,
                                 [signs(learnt[judge], reference=data)],
                                 callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)])
        own = np.flatnonzero(half == side)
        for start in range(0, len(own), BLOCK_ROWS):
            some = own[start:start + BLOCK_ROWS]
            kept[some] = np.clip(1 - 2 * booster.predict(matrix(rows[some])), LEAST, 1)
    return kept
