"""Whether transfer paid: scores on the same test rows of models fitted on the same draws of few rows.

Takes candidates with replicas, whose variations are called ``300 rows, draw 2``; gives the comparison as a table, the
curve of score against labelled rows, estimates, and the verdict. What a classifier shows besides is
:mod:`automl_phys.class_exhibits`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from automl_phys import class_exhibits, leaderboard, measures, metrics
from automl_phys.contracts import Candidate
from automl_phys.errors import AutomlPhysError
from automl_phys.exhibits import Axis, Estimate, Figure, Score, Series, Table
from automl_phys.readable import estimate

if TYPE_CHECKING:
    from automl_phys.table import Rows

TRANSFERRED, SCRATCH = "transferred", "scratch"
LEVEL = 0.6827
BESIDE = ("log_loss", "roc_auc", "accuracy")
MARGIN = 1.15
"""By how much the axis of labelled rows goes beyond them."""
SURE = 2.0
"""Standard deviations from which on a difference is called one."""
MOST_SIGMAS = 10.0
"""That a few draws are said to tell."""


@dataclass(frozen=True)
class Draws:
    """By family and number of labelled rows, the scores on the test rows by draw: ``{"scratch": {300: {1: 0.4}}}``."""

    objective: str
    values: Mapping[str, Mapping[int, Mapping[int, float]]]

    def sizes(self) -> list[int]:
        return sorted({size for family in self.values.values() for size in family})

    def mean(self, family: str, size: int) -> Estimate:
        """Mean over the draws with its standard error."""
        return _mean(list(self.values.get(family, {}).get(size, {}).values()))

    def gain(self, family: str, other: str, size: int) -> Estimate:
        """By how much a family is better than another on the same draws; positive is better."""
        return _mean(self._differences(family, other, size))

    def sigmas(self, family: str, other: str, size: int) -> float:
        """What the gain is worth, in standard deviations of a Gaussian: those that have the probability of Student's t
        of the differences by draw. NaN where one draw, or none, tells nothing."""
        differences = np.array(self._differences(family, other, size))
        if len(differences) < 2:
            return float("nan")
        error = differences.std(ddof=1) / np.sqrt(len(differences))
        if not error:
            return float(np.sign(differences[0])) * MOST_SIGMAS
        t = differences.mean() / error
        z = float(stats.norm.isf(stats.t.sf(abs(t), len(differences) - 1)))
        return float(np.sign(t)) * min(z, MOST_SIGMAS)

    def _differences(self, family: str, other: str, size: int) -> list[float]:
        sign = 1.0 if measures.find(self.objective)[0].direction == "maximize" else -1.0
        own, theirs = (self.values.get(name, {}).get(size, {}) for name in (family, other))
        found = (sign * (own[draw] - theirs[draw]) for draw in own if draw in theirs)
        return [difference for difference in found if np.isfinite(difference)]


def _mean(values: Sequence[float]) -> Estimate:
    """The mean of a few values; its interval is the standard error's times Student's t for 68 %."""
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2:
        value = float(known[0]) if len(known) else float("nan")
        return Estimate(value, float("nan"), float("nan"), "one draw tells no uncertainty")
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    middle = float(known.mean())
    return Estimate(middle, middle - half, middle + half, f"over {len(known)} draws of the labelled rows")


def draws(candidates: Sequence[Candidate], test: Rows, objective: str) -> dict[str, Draws]:
    """By metric, the objective first, how each family did on the test rows in each of its replicas."""
    asked = list(dict.fromkeys((objective, *BESIDE)))
    found: dict[str, dict[str, dict[int, dict[int, float]]]] = {name: {} for name in asked}
    seen: set[str] = set()
    for candidate in candidates:
        if not candidate.replicas or candidate.family in seen:  # the best of each family was fitted again, once
            continue
        seen.add(candidate.family)
        for replica in candidate.replicas:
            matched = re.match(r"(\d+) rows, draw (\d+)", replica.variation)
            if matched is None:
                continue
            size, draw = int(matched[1]), int(matched[2])
            sample = class_exhibits.judge(test, np.asarray(replica.predict(test)))
            for name in asked:
                found[name].setdefault(candidate.family, {}).setdefault(size, {})[draw] = _value(name, sample)
    return {name: Draws(name, values) for name, values in found.items()}


def _value(name: str, sample: metrics.Sample) -> float:
    try:
        return metrics.value(name, sample)
    except AutomlPhysError:  # an AUC of a class that is not there
        return float("nan")


def table(found: Mapping[str, Draws], names: Mapping[str, str]) -> Table:
    """Each family at each size: the metrics, and the gain over the network from scratch. ``names`` by family."""
    first = next(iter(found.values()))
    rows: list[tuple[str | int | float | None, ...]] = []
    for size in reversed(first.sizes()):
        for family, name in names.items():
            if size not in first.values.get(family, {}):
                continue
            gain = first.gain(family, SCRATCH, size) if family != SCRATCH else None
            known = gain is not None and np.isfinite(gain.low)
            told = (estimate(gain), round(first.sigmas(family, SCRATCH, size), 1)) if gain and known else (None, None)
            rows.append((size, name, *(estimate(one.mean(family, size)) for one in found.values()), *told,
                         len(first.values[family][size])))
    head = ("Labelled rows", "Model", *(measures.label(name) for name in found), "Gain over scratch", "σ", "Draws")
    return Table("Transfer, scratch and baseline", head, tuple(rows),
                 "Fitted on the same draws of labelled rows (train and validation), judged on the same test rows; "
                 "means and standard errors over the draws. Gains are paired by draw, positive when better; σ by "
                 "Student's t of as many draws.")


def curve(one: Draws, names: Mapping[str, str]) -> Figure:
    """Score against labelled rows."""
    series = []
    for family, name in names.items():
        sizes = sorted(one.values.get(family, {}))
        means = [one.mean(family, size) for size in sizes]
        series.append(Series(name, "points", tuple(float(size) for size in sizes), tuple(m.value for m in means),
                             tuple(m.low for m in means), tuple(m.high for m in means), group=name))
        series.append(Series("", "line", tuple(float(size) for size in sizes), tuple(m.value for m in means),
                             group=name))
    label = measures.label(one.objective)
    better = "Up" if measures.find(one.objective)[0].direction == "maximize" else "Down"
    rows = Axis("Labelled rows", scale="log", low=one.sizes()[0] / MARGIN, high=one.sizes()[-1] * MARGIN)
    return Figure("transfer-curve", f"{label} against labelled rows", "xy", rows,
                  Axis(f"{label} on the test rows"), tuple(s for s in series if s.y),
                  caption=f"{better} is better. Means over draws of the labelled rows; bars: their standard errors "
                  "(68 %).", section="Transfer")


def verdict(one: Draws, baseline: str) -> str:
    """Whether transfer paid, at the largest sample; one to three sentences. ``baseline`` is its family."""
    sizes = one.sizes()
    if not sizes or TRANSFERRED not in one.values or SCRATCH not in one.values:
        return ("Whether transfer paid is not known: it and the network from scratch were not both fitted on several "
                "draws.")
    size = sizes[-1]
    label = _spoken(one.objective)
    mine, theirs = one.mean(TRANSFERRED, size), one.mean(SCRATCH, size)
    gain = one.gain(TRANSFERRED, SCRATCH, size)
    common = set(one.values[TRANSFERRED].get(size, ())) & set(one.values[SCRATCH].get(size, ()))
    if not np.isfinite(gain.low):
        return (f"Whether transfer paid is not known: of the draws of {size} rows both were fitted on {len(common)}, "
                "which tells no uncertainty.")
    strength = one.sigmas(TRANSFERRED, SCRATCH, size)
    reached = f"{label} {estimate(mine)} against {estimate(theirs)} from scratch with {size} labelled rows"
    by = f"{leaderboard.size(gain)} ({abs(strength):.1f} σ over {len(common)} draws)"
    if strength >= SURE:
        said = f"Transfer paid: {reached}, better by {by}."
    elif strength > -SURE:
        sense = "better" if gain.value >= 0 else "worse"
        said = f"Transfer did not pay: {reached}, {sense} by {by}, which is within the uncertainty."
    else:
        said = f"Transfer did harm: {reached}, worse by {by}."
    over = one.gain(TRANSFERRED, baseline, size)
    if np.isfinite(over.low):
        strength = one.sigmas(TRANSFERRED, baseline, size)
        words = "beats" if strength >= SURE else "is no better than" if strength > -SURE else "is worse than"
        said += f" It {words} the {baseline.replace('_', ' ')} baseline ({estimate(one.mean(baseline, size))})."
    return said


def winner(score: Score, objective: str) -> str:
    """What the search's winner, fitted on all train rows, reached; one sentence."""
    reached = f"{_spoken(objective)} {estimate(score.metrics[objective])}"
    return f"The search's winner, {score.name}, has {reached} on the test rows."


def _spoken(objective: str) -> str:
    label = measures.label(objective)
    return label[0].lower() + label[1:] if label[1:2].islower() else label


def estimates(one: Draws, baseline: str) -> dict[str, Estimate]:
    """The gains of transfer at the largest sample, over scratch and over the baseline."""
    sizes = one.sizes()
    if not sizes:
        return {}
    gains = {"gain_over_scratch": one.gain(TRANSFERRED, SCRATCH, sizes[-1]),
             "gain_over_baseline": one.gain(TRANSFERRED, baseline, sizes[-1])}
    return {name: gain for name, gain in gains.items() if np.isfinite(gain.value)}
