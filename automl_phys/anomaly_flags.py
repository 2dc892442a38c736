"""p-values and flags of scores, by what held-out normal events got.

Takes scores of normal events that no model was fitted on; gives, as plain data, what the p-values of other scores are
looked up in, and a threshold that a stated share of normal events passes. No share of anomalies is guessed. Whatever
the detector, the p-value of a normal event is at most α with a probability of at most α, if it is alike those held out
(V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random World, 2005). Pure numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_KEPT = 20_000
"""Scores that are kept: the upper half of them are the largest ones, the others spread evenly over the rest."""
BLOCK_ROWS = 1 << 17


def calibration(scores: NDArray[Any], weight: NDArray[Any], efficiency: float) -> dict[str, Any]:
    """What :func:`p_values` and :func:`flagged` need, of scores (n,) of normal events with weights (n,), none negative.

    ``scores`` rise; ``chances`` are the p-values of these, and at the end that of a score beyond all. ``threshold`` is
    the least score that is flagged, the largest number there is where n is too small for any to be; ``normal`` is n.
    Raises ValueError without scores.
    """
    if not len(scores):
        raise ValueError("there are no held-out normal events to be calibrated by")
    order = np.argsort(scores, kind="stable")
    rising, weights = np.asarray(scores, np.float32)[order], np.asarray(weight, np.float64)[order]
    own = weights.mean()  # the event itself, which is one more
    above = np.append(np.cumsum(weights[::-1])[::-1], 0.0)
    distinct, first = np.unique(rising, return_index=True)
    chances = (np.append(above[first], 0.0) + own) / (above[0] + own)
    likely = int(np.flatnonzero(chances > efficiency)[-1])  # the first at least: its p-value is 1
    beyond = np.nextafter(distinct[likely], np.float32(np.inf)) if likely < len(distinct) else np.finfo(np.float32).max
    kept = _kept(len(distinct))
    return {"scores": distinct[kept].tolist(), "chances": [*chances[:-1][kept].tolist(), float(chances[-1])],
            "threshold": float(beyond), "efficiency": efficiency,
            "normal": len(scores)}


def p_values(scores: NDArray[Any], known: Mapping[str, Any]) -> NDArray[np.float64]:
    """(1 + the normal events with such a score or a larger one) / (n + 1) of each score (m,), weighted."""
    rising, chances = np.asarray(known["scores"], np.float32), np.asarray(known["chances"])
    found = np.empty(len(scores))
    for start in range(0, len(scores), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        found[rows] = chances[np.searchsorted(rising, np.asarray(scores[rows], np.float32), side="left")]
    return found


def flagged(scores: NDArray[Any], known: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Whether each score (m,) is above the threshold, where its p-value is the stated efficiency at most."""
    return np.asarray(np.asarray(scores, np.float32) >= np.float32(known["threshold"]))


def _kept(count: int) -> NDArray[np.int64]:
    """Positions, rising, of the scores that are kept."""
    if count <= MOST_KEPT:
        return np.arange(count)
    top = MOST_KEPT // 2
    rest = np.unique(np.linspace(0, count - top - 1, MOST_KEPT - top).astype(np.int64))
    return np.concatenate([rest, np.arange(count - top, count)])
