"""What a threshold on an output does, at many of them: what passes, efficiencies, purity, with their uncertainties.

Takes a judged sample (:class:`automl_phys.metrics.Sample`), of which the output for the positive class is cut; gives an
``exhibits.Sweep``. Thresholds are dense where either the signal or the background is cut into; those that the report
speaks of are among them. Weights are summed with their signs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from automl_phys import bootstrap
from automl_phys.exhibits import Measured, Passing, Sweep
from automl_phys.metrics import Sample, Weighted
from automl_phys.ranking import MIN_BACKGROUND, Floats, Ints, Ranking, divide, effective, smallest_fpr

STEPS = 100
"""Thresholds at so many evenly spaced signal efficiencies, and at as many background efficiencies, evenly on a
logarithmic scale."""

BOOTSTRAP, BINOMIAL = "bootstrap", "binomial (Clopper-Pearson)"


def make(judged: Sample, kinds: tuple[str, str], output: str, asked: Mapping[str, float], start: str, seed: int
         ) -> Sweep | None:
    """The sweep of a sample; None where the weights of the signal or of the rest add up to 0 or less.

    ``kinds`` names signal and background, ``asked`` has thresholds that must be there, by name, ``start`` is the name
    of the one to begin with.
    """
    ranking = judged.ranking(judged.positive)
    if min(ranking.signal.sum(), ranking.background.sum()) <= 0:
        return None
    thresholds, groups = _thresholds(ranking, asked.values())
    kept = _kept(judged, groups)
    signal, background = (one[0] for one in kept(Weighted(judged, np.ones((1, len(judged.target))))))
    replicates = [kept(rows) for rows in bootstrap.draws(judged, seed, bootstrap.REPLICATES)]
    drawn = [np.concatenate([pair[kind] for pair in replicates]) for kind in (0, 1)]
    squares = [_sums(weight**2, ranking, groups) for weight in (ranking.signal, ranking.background)]
    passing = [Passing(name, _row(sums[:-1]), _row(square[:-1]), float(sums[-1]), float(square[-1]))
               for name, sums, square in zip(kinds, (signal, background), squares, strict=True)]
    middle = _measures(signal[None], background[None])
    ends = {name: bootstrap.percentiles(values) for name, values in _measures(*drawn).items()}
    marks = {name: int(np.searchsorted(thresholds, value)) for name, value in asked.items()}
    return Sweep(output, _row(thresholds), passing[0], passing[1],
                 tuple(_measured(judged, middle, ends, squares, background)), marks, marks[start],
                 "Of the test events, with their weights. Purity and accuracy are those of the mixture of "
                 f"{kinds[0]} and {kinds[1]} in the test set.")


def _thresholds(ranking: Ranking, asked: Iterable[float]) -> tuple[Floats, Ints]:
    """Rising thresholds (P,), and how many groups of equal scores pass each of them."""
    chosen: set[float] = set(asked)
    for weights, goals in ((ranking.signal, np.linspace(1 / STEPS, 1.0, STEPS)),
                           (ranking.background, np.geomspace(smallest_fpr(ranking.effective), 1.0, STEPS))):
        sums = np.cumsum(weights)[ranking.ends]
        reached = np.searchsorted(np.maximum.accumulate(sums), goals * sums[-1] * (1 - 1e-12))
        chosen |= set(ranking.scores[reached].tolist())
    thresholds = np.array(sorted(chosen), np.float64)
    return thresholds, np.searchsorted(-ranking.scores, -thresholds, side="right")


def _kept(judged: Sample, groups: Ints) -> Callable[[Weighted], tuple[Floats, Floats]]:
    """What gives signal and background weight that passes each threshold and, last, all of it: (R, P + 1) both."""
    def passed(rows: Weighted) -> tuple[Floats, Floats]:
        signal, background = rows.passed(judged.positive)
        return _at(signal, groups), _at(background, groups)

    return passed


def _at(sums: Floats, groups: Ints) -> Floats:
    """Running sums (R, groups) where so many groups pass, 0 for none, and the last of them."""
    none = np.zeros((len(sums), 1))
    return np.asarray(np.concatenate([none, sums], axis=1)[:, [*groups, -1]])


def _sums(weights: Floats, ranking: Ranking, groups: Ints) -> Floats:
    one: Floats = _at(np.cumsum(weights)[ranking.ends][None], groups)[0]
    return one


def _measures(signal: Floats, background: Floats) -> dict[str, Floats]:
    """Each number from passing weights (R, P + 1), all in the last column; (R, P), NaN where it is undefined."""
    s, b, all_s, all_b = signal[:, :-1], background[:, :-1], signal[:, -1:], background[:, -1:]
    tpr, fpr = divide(s, all_s), divide(b, all_b)
    return {"Signal efficiency": tpr, "Background efficiency": fpr, "Purity": divide(s, s + b),
            "Accuracy": divide(s + all_b - b, all_s + all_b),
            "Significance improvement": divide(tpr, np.sqrt(np.maximum(fpr, 0.0)))}


def _measured(judged: Sample, middle: Mapping[str, Floats], ends: Mapping[str, tuple[Floats, Floats]],
              squares: Sequence[Floats], background: Floats) -> list[Measured]:
    """The numbers in the order in which they are read, each with its interval."""
    found: dict[str, Measured] = {}
    for name, (values,) in middle.items():
        found[name] = Measured(name, _row(values), _row(ends[name][0]), _row(ends[name][1]), BOOTSTRAP)
    ranking = judged.ranking(judged.positive)
    if not judged.signed:
        for name, weights in (("Signal efficiency", ranking.signal), ("Background efficiency", ranking.background)):
            found[name] = _binomial(found[name], float(weights.sum()) ** 2 / float((weights**2).sum()))
    if judged.equal_weights:
        wilson = [bootstrap.wilson(value, len(judged.target)) for value in found["Accuracy"].values]
        found["Accuracy"] = Measured("Accuracy", found["Accuracy"].values, tuple(low for low, _ in wilson),
                                     tuple(high for _, high in wilson), "binomial (Wilson)")
    fpr = found["Background efficiency"]
    least = np.full(len(fpr.values), smallest_fpr(ranking.effective))
    if judged.signed:
        least = np.maximum(least, np.minimum(1.0, np.sqrt(squares[1][:-1]) / background[-1]))
    enough = effective(background[:-1], squares[1][:-1]) >= MIN_BACKGROUND
    gain = found["Significance improvement"]
    told, low, high = (_row(np.where(enough, one, np.nan)) for one in (gain.values, gain.low, gain.high))
    found[gain.name] = Measured(gain.name, told, low, high, f"{BOOTSTRAP}, where at least {MIN_BACKGROUND:g} effective "
                                "background events pass")
    return [found["Signal efficiency"], fpr, _rejection(fpr, least), found["Purity"], found["Accuracy"],
            found[gain.name]]


def _binomial(one: Measured, events: float) -> Measured:
    """An efficiency with its interval by the effective number of events of the kind."""
    ends = [bootstrap.clopper_pearson(min(max(value, 0.0), 1.0), events) for value in one.values]
    return Measured(one.name, one.values, tuple(min(low, v) for (low, _), v in zip(ends, one.values, strict=True)),
                    tuple(max(high, v) for (_, high), v in zip(ends, one.values, strict=True)), BINOMIAL)


def _rejection(fpr: Measured, least: Floats) -> Measured:
    """1 / background efficiency; a lower limit where the background that passes cannot be told from none."""
    values, low, high = [], [], []
    for value, down, up, floor in zip(fpr.values, fpr.low, fpr.high, least.tolist(), strict=True):
        limit = value <= floor * (1 + 1e-9)
        values.append(1 / floor if limit else 1 / value)
        low.append(1 / floor if limit else 1 / up)
        high.append(np.inf if limit or down <= 0 else 1 / down)
    return Measured("Rejection (1/background efficiency)", _row(values), _row(low), _row(high),
                    f"from the background efficiency, {fpr.note}")


def _row(values: Sequence[float] | Floats) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
