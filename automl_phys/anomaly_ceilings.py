"""How well anomalies could be found at best: by a classifier that is shown them, and by an idealised detector.

Takes a problem whose truth is known, after the choice is made; gives scores of the test rows, which neither is trained
on. Both are boosted trees on the same features.

- *supervised*: normal events of train and validation against true anomalies, those kept aside and any among train and
  validation. What no detector that is not shown them can be expected to exceed.
- *idealised*: data, a share of which are anomalies, against a perfect sample of the background: other normal events.
  What weak supervision comes to if its background is modelled without fault (Hallin et al., Phys. Rev. D 106 (2022)
  055006, arXiv:2109.00546). Of the weakly supervised setting in the signal region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import anomaly_problem, closure_classifier, table_anomalies
from automl_phys.ranking import Floats

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem, AnomalyRows

EFFORT = closure_classifier.Effort(trees=400, rate=0.05)
HALVINGS = 8
"""Ways to cut the normal events into data and background; the scores are their mean."""
DATA_SHARE = 0.01
"""Of anomalies in the idealised detector's data, where the problem's training rows hold none."""
FEWEST = 20
"""Anomalies, and normal events, without which nothing is learnt."""
MOST_ROWS = 100_000
"""Normal events that are learnt from at most."""


@dataclass(frozen=True)
class Ceiling:
    """``name`` of it, ``key`` of its metrics, ``score`` (n,) of the test rows and what it was trained on, in words."""

    name: str
    key: str
    score: Floats
    text: str


def ceilings(problem: AnomalyProblem, seed: int) -> tuple[Ceiling, ...]:
    """Those that there are events for."""
    normal, anomalies = _known(problem, seed)
    found = []
    if min(len(normal), len(anomalies)) >= FEWEST:
        score = _told(anomalies, normal, problem.test, seed)
        found.append(Ceiling("supervised ceiling", "supervised", score,
                             f"{len(normal)} normal events against {len(anomalies)} true anomalies"))
    share = float(np.mean(problem.truth("train"))) or DATA_SHARE
    where = ""
    if problem.method == "weakly-supervised" and normal.region is not None and anomalies.region is not None:
        normal, anomalies = normal.take(np.flatnonzero(normal.region)), anomalies.take(np.flatnonzero(anomalies.region))
        share, where = _share_in_region(problem) or share, " in the signal region"
    half = len(normal) // 2
    mixed = min(table_anomalies.injected(half, share), len(anomalies))
    if half >= FEWEST and mixed >= FEWEST:
        rng = np.random.default_rng([seed, len(normal)])
        scores = []
        for turn in range(HALVINGS):
            order, some = rng.permutation(len(normal)), rng.permutation(len(anomalies))[:mixed]
            data = anomaly_problem.joined(normal.take(order[:half]), anomalies.take(some))
            scores.append(_told(data, normal.take(order[half:]), problem.test, seed + turn))
        found.append(Ceiling("idealised detector", "idealised", np.mean(scores, axis=0),
                             f"data of {half} normal events and {mixed} anomalies{where} against {len(normal) - half} "
                             f"other normal events{where}, mean of {HALVINGS}"))
    return tuple(found)


def _known(problem: AnomalyProblem, seed: int) -> tuple[AnomalyRows, AnomalyRows]:
    """Normal events of train and validation, and all anomalies that are not in the test."""
    train: Any = problem.train
    valid = problem.truth("valid")
    rows = anomaly_problem.joined(train, problem.held_out, problem.spare)
    truth = np.concatenate([problem.truth("train"), valid, problem.spare.target])
    normal = np.flatnonzero(truth == 0)
    if len(normal) > MOST_ROWS:
        normal = np.sort(np.random.default_rng(seed).choice(normal, MOST_ROWS, replace=False))
    return rows.take(normal), rows.take(np.flatnonzero(truth == 1))


def _share_in_region(problem: AnomalyProblem) -> float:
    """The share of anomalies among training events of the signal region."""
    train: Any = problem.train
    truth, region = problem.truth("train"), train.region
    return float(truth[region].mean()) if region is not None and region.any() else 0.0


def _told(ones: AnomalyRows, others: AnomalyRows, asked: AnomalyRows, seed: int) -> Floats:
    """The log-odds (n,) that rows ``asked`` are like the ``ones`` and not the ``others``, both weighing the same."""
    parts = (ones, others, asked)
    columns = np.concatenate([_columns(rows) for rows in parts])
    target = np.repeat([1, 0, 0], [len(rows) for rows in parts])
    learnt = np.arange(len(ones) + len(others))
    shares = [np.asarray(rows.fit_weight, np.float64) / max(float(rows.fit_weight.sum()), 1e-300) for rows in parts[:2]]
    weight = np.concatenate([*(len(learnt) / 2 * share for share in shares), np.ones(len(asked))])
    told = closure_classifier.trees(columns, target, weight, learnt, len(learnt) + np.arange(len(asked)), 1, EFFORT,
                                    seed)[:, 1]
    return np.asarray(np.log(np.maximum(told, 1e-300)) - np.log(np.maximum(1 - told, 1e-16)), np.float64)


def _columns(rows: AnomalyRows) -> NDArray[np.float32]:
    return np.hstack([rows.columns, rows.categories.astype(np.float32)])
