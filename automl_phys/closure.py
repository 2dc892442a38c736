"""How well generated events close against real ones: every measure, its uncertainty, and its floor.

Takes :class:`~automl_phys.closure_sample.Sample` of real events that the generator has not seen, of generated ones and
of those it was trained on; gives numbers. Names and formulas are in :data:`automl_phys.measures.OF_EVENTS`, how each is
computed in ``closure_classifier``, ``closure_distances`` and ``closure_neighbours``. Everything is the same for a seed.

Most measures are not 0, or 0.5, for finite samples that are alike, but a little worse: :func:`floors` says what real
events reach, against as many other real events. Errors are over events, for the generator as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import hypot

import numpy as np

from automl_phys import closure_classifier as classifier
from automl_phys import closure_distances as distances
from automl_phys import closure_neighbours as neighbours
from automl_phys import measures
from automl_phys.closure_sample import Sample, estimate, thinned
from automl_phys.exhibits import Estimate

ROWS = 20_000
"""Most events of each kind for distances."""
QUICK_ROWS = 10_000
"""The same in a search."""
JACKKNIFE = f"jackknife over {distances.BLOCKS} parts of both samples"
POTENTIAL = "standard error of the mean Kantorovich potential"


def value(objective: str, real: Sample, made: Sample, seed: int) -> float:
    """One measure as a search takes it: quick, from fewer events and simpler classifiers than :func:`estimates`. NaN
    where there are too few events. Raises KeyError for what is no objective."""
    return _VALUES[objective](thinned(real, QUICK_ROWS, seed), thinned(made, QUICK_ROWS, seed + 1), seed)


def estimates(real: Sample, made: Sample, train: Sample, seed: int) -> dict[str, Estimate]:
    """Every measure with its 68 % interval; ``real`` are test events, ``train`` those that were learned from.

    ``wasserstein/NAME`` is of one column or derived quantity. Left out: ``correlation_difference`` of one column,
    ``prior_shift`` and ``tstr`` where there is no label. A measure takes some of the events where there are very many;
    its note says how many.
    """
    found = {"c2st": classifier.told_apart(real, made, seed),
             "c2st_mlp": classifier.told_apart(real, made, seed, "mlp")}
    few, other = thinned(real, ROWS, seed), thinned(made, ROWS, seed + 1)
    of = f"; {len(few)} real, {len(other)} generated events"
    mean, parts = distances.wasserstein(few, other)
    found["wasserstein"] = estimate(mean.value, mean.error, POTENTIAL + of)
    found |= {f"wasserstein/{name}": estimate(one.value, one.error, POTENTIAL + of) for name, one in parts.items()}
    sliced = distances.sliced_wasserstein(few, other)
    found["sliced_wasserstein"] = estimate(
        sliced.value, sliced.error, f"{POTENTIAL}; {distances.DIRECTIONS} directions{of}")
    frechet, limits = distances.fpd(few, other, seed), distances.extrapolated(few, other)
    how = (f"extrapolated from parts of 1/{' and 1/'.join(str(n) for n in limits[1:])}" if len(limits) > 1
           else "not extrapolated: too few events")
    found["fpd"] = estimate(frechet.value, frechet.error, f"{JACKKNIFE}; {how}{of}")
    kernel = distances.kpd(few, other, seed)
    found["kpd"] = estimate(kernel.value, kernel.error, f"spread of {distances.BATCHES} batches{of}")
    if len(real.names) > 1:
        correlation = distances.correlation_difference(few, other, seed)
        found["correlation_difference"] = estimate(correlation.value, correlation.error, JACKKNIFE + of)
    found["density"], found["coverage"] = neighbours.density_and_coverage(real, made, seed)
    found["memorisation"] = neighbours.memorisation(real, made, train, seed)
    if train.label is not None:
        found["prior_shift"] = classifier.prior_shift(real, made, train, seed)
        if made.label is not None and real.label is not None:
            found["tstr"] = classifier.train_on_synthetic(real, made, train, seed)
    return found


def floors(real: Sample, train: Sample, seed: int) -> dict[str, Estimate]:
    """What :func:`estimates` gives for real events: some of ``train``, as many as ``real`` or half of them, in the
    place of generated ones, the rest as training events. A generator does not get beyond that, but by chance."""
    order = np.random.default_rng(seed).permutation(len(train))
    number = min(len(real), len(train) // 2)
    return estimates(real, train.take(np.sort(order[:number])), train.take(np.sort(order[number:])), seed)


def gain(objective: str, one: dict[str, Estimate], baseline: dict[str, Estimate]) -> Estimate:
    """By how much ``one`` is better than ``baseline`` in a measure; positive is better.

    Errors are added in quadrature. Both are judged on the same real events, whose fluctuations partly cancel: the
    interval is rather too wide.
    """
    better, worse = one[objective], baseline[objective]
    if measures.find(objective.partition("/")[0])[0].direction == "minimize":
        better, worse = worse, better
    difference = better.value - worse.value
    return Estimate(difference, difference - hypot(better.value - better.low, worse.high - worse.value),
                    difference + hypot(better.high - better.value, worse.value - worse.low),
                    "errors of both in quadrature")


def _quick(learner: classifier.Learner) -> Callable[[Sample, Sample, int], float]:
    return lambda real, made, seed: classifier.told_apart(real, made, seed, learner, classifier.QUICK).value


_VALUES: Mapping[str, Callable[[Sample, Sample, int], float]] = {
    "c2st": _quick("trees"),
    "sliced_wasserstein": lambda real, made, _: distances.sliced_wasserstein(real, made).value,
    "wasserstein": lambda real, made, _: distances.wasserstein(real, made)[0].value,
    "fpd": distances.fpd_value,
    "c2st_mlp": _quick("mlp"),
}
