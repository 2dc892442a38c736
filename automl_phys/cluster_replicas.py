"""The winner's configuration on variations of the data: are its clusters found again, is as much found in nothing?

Takes the winner's assignment and its replicas; gives stabilities, the objective on data and nulls, metrics. When data
stand out from nulls is decided in :mod:`automl_phys.cluster_scores`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import isfinite, nan

import numpy as np

from automl_phys import assignment, cluster_scores
from automl_phys.assignment import NOISE, Assignment
from automl_phys.cluster_scores import Verdict
from automl_phys.contracts import Replica
from automl_phys.exhibits import Estimate
from automl_phys.ranking import Floats
from automl_phys.values import Array

DATA, AGAIN = "these data", "subsamples of them"
CALLED = {"bootstrap": AGAIN, "shuffled": "shuffled columns", "gaussian": "a Gaussian of the same covariance"}
"""Variations of the points, as they are called."""


@dataclass(frozen=True)
class Replicas:
    """What became of the winner's configuration on variations of the points.

    ``own`` is its assignment of the points, ``value`` its objective; ``values`` and ``assigned`` hold those of its fits
    on variations, by what these are called.
    """

    own: Assignment
    value: Estimate
    values: Mapping[str, tuple[float, ...]]
    assigned: Mapping[str, tuple[Assignment, ...]]

    @property
    def bootstraps(self) -> tuple[Array, ...]:
        """Labels of all points by chains that were fitted on parts of them."""
        return tuple(one.labels for one in self.assigned.get(AGAIN, ()))

    @property
    def nulls(self) -> Mapping[str, tuple[float, ...]]:
        """Objectives by null."""
        return {name: values for name, values in self.values.items() if name != AGAIN}

    @property
    def found_again_in(self) -> str:
        """What :attr:`stability` was measured on."""
        fits = len(self.bootstraps)
        if not fits:
            return "subsamples of the same embedding"
        return f"{fits} fits of the whole chain on 80 % of the points, 50 000 at most"

    @cached_property
    def stability(self) -> Floats:
        """How well each cluster is found again (K,): mean Jaccard similarity."""
        if self.bootstraps:
            every = np.arange(len(self.own.labels))
            return cluster_scores.cluster_stability(self.own.labels, [(every, labels) for labels in self.bootstraps])
        found = np.zeros(self.own.clusters)
        clustered = self.own.labels != NOISE
        found[self.own.labels[clustered]] = self.own.stability[clustered]
        return found

    @cached_property
    def verdict(self) -> Verdict | None:
        """How the data compare with the nulls; None when no null was fitted."""
        if not self.nulls:
            return None
        return cluster_scores.nothing_there(self.value, self.values.get(AGAIN, ()), self.nulls)

    def objectives(self) -> dict[str, Estimate]:
        """The objective on the data, and its mean and standard deviation over subsamples and over each null."""
        return {DATA: self.value, **{name: _spread(values) for name, values in self.values.items()}}

    def assignments(self) -> dict[str, tuple[Assignment, ...]]:
        """Of the same."""
        return {DATA: (self.own,), **self.assigned}

    def metrics(self) -> dict[str, Estimate]:
        """``stability`` and ``excess`` over the null that comes closest, as far as there are replicas for them."""
        made: dict[str, Estimate] = {}
        if self.bootstraps:
            pairs = [cluster_scores.agreement(pair) for pair in combinations((self.own.labels, *self.bootstraps), 2)]
            made["stability"] = _spread(pairs, "pairs of fits")
        if self.verdict:
            closest = min(self.verdict.contrasts, key=lambda c: (c.beaten, c.sigma))
            made["excess"] = Estimate(closest.difference, closest.difference - closest.uncertainty,
                                      closest.difference + closest.uncertainty, f"over {closest.null}")
        return made


def read(own: Assignment, value: Estimate, replicas: Sequence[Replica]) -> Replicas:
    """The winner's replicas by what they are; those whose objective is not finite are left out."""
    used = [replica for replica in replicas if isfinite(replica.value)]
    kinds = {CALLED[kind]: [r for r in used if r.variation == kind] for kind in CALLED}
    present = {name: found for name, found in kinds.items() if found}
    return Replicas(own, value, {name: tuple(r.value for r in found) for name, found in present.items()},
                    {name: tuple(assignment.unpack(r.predictions) for r in found) for name, found in present.items()})


def _spread(values: Sequence[float], of: str = "fits") -> Estimate:
    """Mean and standard deviation of a few values."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(mean, nan, nan, f"one of the {of}")
    half = float(np.std(values, ddof=1))
    return Estimate(mean, mean - half, mean + half, f"standard deviation of {len(values)} {of}")
