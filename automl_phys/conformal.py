"""Prediction intervals whose coverage is guaranteed on rows like those that they were calibrated on.

Takes residuals of rows that a model was not fitted on, with the model's own uncertainties; gives by how much these must
be scaled. Split conformal prediction (Papadopoulos 2002; Lei et al. 2018, arXiv:1604.04173) with the normalised score
|y - μ| / σ, so that intervals are wider where the model is less sure.
"""

from __future__ import annotations

from math import inf

import numpy as np

from automl_phys.errors import Mistake, RunError
from automl_phys.ranking import Floats


def factor(residual: Floats, sigma: Floats, weight: Floats, coverage: float) -> float:
    """The half-width of the interval in units of σ: the score that the share ``coverage`` of a new row and the n rows
    (n,) does not exceed, which is the ⌈(n + 1) coverage⌉-th smallest of n without weights.

    A new row counts as one of mean weight |w|; infinite when the rows are too few for the coverage. With negative
    weights the cumulative sum is made monotonic. Raises RunError when the weights add up to 0 or less.
    """
    total = float(weight.sum())
    if total <= 0:
        raise RunError(Mistake("no-weight", f"The weights of the {len(weight)} rows to calibrate intervals on add up "
                               f"to {total:g}.", "Give a larger share of the rows to validation (data: split:)."))
    score = np.abs(residual) / sigma
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    rising = np.maximum.accumulate(np.cumsum(weight[order])[ends])
    wanted = coverage * (total + float(np.abs(weight).mean()))
    at = int(np.searchsorted(rising, wanted * (1 - 1e-12)))
    return float(ranked[ends[at]]) if at < len(ends) else inf
