"""Figures of how anomalies are found, as data: scores, ROC, significance improvement, mass spectra, bump, injections.

Takes scores with the truth (:mod:`automl_phys.anomaly_scores`), hunts, divergences and injections; gives
``exhibits.Figure``. Tables of the same are in :mod:`automl_phys.anomaly_tables`, drawing is left to others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import anomaly_scores, bootstrap, class_figures
from automl_phys.anomaly_injections import Injected
from automl_phys.anomaly_tables import LOOK_ELSEWHERE, in_words
from automl_phys.bump_hunt import Hunt
from automl_phys.curves import MISTAGS, histogram, tpr_along
from automl_phys.exhibits import Axis, Figure, Panel, Series
from automl_phys.mass_sculpting import Sculpted
from automl_phys.metrics import Sample
from automl_phys.ranking import Floats

NORMAL, ANOMALIES = "normal events", "anomalies"
SCORE = "Score, −log₁₀ p"
MASS = "Mass"
BINS = 40
FEWEST_BINS, MASS_BINS, PER_BIN = 12, 30, 5.0
REACH = (0.001, 0.999)
RATIO_HIGH = 3.0


def scores(target: NDArray[Any] | None, score: NDArray[Any], weight: NDArray[Any], threshold: float, efficiency: float
           ) -> Figure:
    """Distributions of the score, of normal events and anomalies where it is known which these are."""
    exact, weights = np.asarray(score, np.float64), np.asarray(weight, np.float64)
    kinds: Mapping[str, Any] = {"test events": slice(None)} if target is None else {
        NORMAL: target == 0, ANOMALIES: target == 1}
    ends = float(exact.min()), max(float(np.quantile(exact, REACH[1])), 1.2 * threshold)
    edges = np.linspace(ends[0], ends[1] if ends[1] > ends[0] else ends[0] + 1.0, BINS + 1)
    held = np.clip(exact, edges[0], edges[-1])
    series, tops = [], []
    for name, which in kinds.items():
        found = histogram(held[which], weights[which], edges)
        tops += found.density[found.density > 0].tolist()
        series.append(Series(name, "steps" if name == ANOMALIES else "filled", _row(edges), _row(found.density),
                             _row(np.maximum(found.density - found.error, 0.0)), _row(found.density + found.error)))
    low, high = (0.5 * min(tops), 3.0 * max(tops)) if tops else (0.1, 1.0)
    cut = Series(f"flagged above, {efficiency:.2g} of normal events", "line", (threshold, threshold), (low, high),
                 muted=True)
    return Figure("score", "Scores of the test events", "xy", Axis(SCORE, low=float(edges[0]), high=float(edges[-1])),
                  Axis("Density", "log", low=low, high=high), (*series, cut),
                  caption="Unit area each, errors √Σw²; scores beyond the axis are in the last bin. p is the share of "
                          "held-out normal events that are at least as anomalous: each unit to the right is ten times "
                          "as rare.")


def roc(judged: Mapping[str, Sample], seed: int, note: str = "") -> Figure:
    """Signal against background efficiency of each model, the latter on a logarithmic axis, as far as it is told from
    none."""
    chance = MISTAGS[MISTAGS > 0]
    least = max(min(_least(one) for one in judged.values()), float(chance[0]))
    series = [Series("chance", "line", _row(chance), _row(chance), muted=True)]
    for name, one in judged.items():
        shown = np.maximum(_least(one), least) <= MISTAGS
        ends = bootstrap.band(partial(tpr_along, positive=1), one, seed)
        series.append(_line(name, MISTAGS[shown], [end[shown] for end in ends]))
    return Figure("roc", "ROC curve, anomalies against normal events", "xy",
                  Axis("Background efficiency (FPR)", "log", low=least, high=1.0),
                  Axis("Signal efficiency (TPR)", low=0.0, high=1.0), tuple(series),
                  caption=f"Up and to the left is better. {class_figures.BAND}{note}")


def _least(one: Sample) -> float:
    """The background efficiency of one effective event."""
    return 1 / max(one.ranking(1).effective, 1.0)


def significance(judged: Mapping[str, Sample], seed: int, note: str = "") -> Figure:
    """TPR / √FPR against TPR, on a logarithmic axis: ceilings are far above."""
    made = class_figures.significance(judged, ANOMALIES, class_figures.background_bands(judged, seed))
    return replace(made, y=Axis("TPR / √FPR", "log"), caption=made.caption + note)


# ---------------------------------------------------------------- mass

def spectra(mass: NDArray[Any], score: NDArray[Any], weight: NDArray[Any], cuts: Mapping[str, float], name: str,
            of: str) -> Figure:
    """The mass ``name`` of events before and after ``cuts``, thresholds by what they are called; below, the ratio."""
    known = np.isfinite(mass)
    values, scores_, weights = (np.asarray(one, np.float64)[known] for one in (mass, score, weight))
    low, high = np.quantile(values, REACH)
    fewest = min((anomaly_scores.events(weights[scores_ >= cut]) for cut in cuts.values()), default=0.0)
    bins = int(np.clip(fewest / PER_BIN, FEWEST_BINS, MASS_BINS))
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    before, error = _shares(values, weights, edges)
    middle = (edges[1:] + edges[:-1]) / 2
    series = [Series("before the cut", "filled", _row(edges), _row(before), _row(before - error), _row(before + error))]
    ratios = [Series("1", "line", (float(edges[0]), float(edges[-1])), (1.0, 1.0), muted=True)]
    for label, cut in cuts.items():
        passes = scores_ >= cut
        after, spread = _shares(values[passes], weights[passes], edges)
        seen = (before > 0) & (after > 0)
        series.append(Series(label, "points", _row(middle[seen]), _row(after[seen]), _row((after - spread)[seen]),
                             _row((after + spread)[seen])))
        ratio, off = (one[seen] / before[seen] for one in (after, spread))
        ratios.append(Series(label, "points", _row(middle[seen]), _row(ratio), _row(ratio - off), _row(ratio + off)))
    return Figure("mass-cut", f"Mass of {of} before and after the cut", "xy",
                  Axis(name, low=float(edges[0]), high=float(edges[-1])), Axis("Share per bin", low=0.0),
                  tuple(series), section=MASS,
                  caption="Shares of the sum of weights, errors √Σw²; below, after over before. A score that knows "
                          "nothing of the mass leaves its shape as it is.",
                  below=Panel(Axis("After / before", low=0.0, high=RATIO_HIGH), tuple(ratios)))


def _shares(values: Floats, weight: Floats, edges: Floats) -> tuple[Floats, Floats]:
    total = float(weight.sum())
    total = total if total > 0 else 1.0
    sums = np.histogram(values, edges, weights=weight)[0]
    squares = np.histogram(values, edges, weights=weight**2)[0]
    return np.asarray(sums / total, np.float64), np.sqrt(squares) / total


def sculpting(found: Sequence[Sculpted], of: str) -> Figure | None:
    """Divergences against the background efficiency, beside what random cuts come to; None where too few pass."""
    known = [one for one in found if np.isfinite(one.divergence.value)]
    if not known:
        return None
    known.sort(key=lambda one: one.efficiency)
    x = tuple(one.efficiency for one in known)
    chance = [one.chance for one in known]
    cut = [one.divergence for one in known]
    return Figure(
        "mass-sculpting", "Mass sculpting", "xy",
        Axis("Background efficiency", "log", low=x[0] / 1.5, high=min(1.0, 1.5 * x[-1])),
        Axis("Jensen-Shannon divergence / bits", "log"),
        (Series("cut on the score", "points", x, tuple(d.value for d in cut), tuple(d.low for d in cut),
                tuple(d.high for d in cut)),
         Series("random cuts", "line", x, tuple(c.value for c in chance), tuple(c.low for c in chance),
                tuple(c.high for c in chance))), section=MASS,
        caption=f"Of the mass of {of} before and after the cut. Points above the band: the cut shapes the mass. Fewer "
                "events are more unlike by chance; the band holds 68 % of random cuts that keep as many.")


def bump(hunt: Hunt, mass: str, name: str, title: str, note: str = "") -> Figure:
    """The mass spectrum in the window of a hunt, with the fit to the sidebands and pulls below."""
    edges, middle = hunt.window.edges, (hunt.window.edges[1:] + hunt.window.edges[:-1]) / 2
    top = 1.1 * float(max(hunt.high.max(), (hunt.expected + hunt.spread).max()))
    left, right = hunt.window.ends
    reach = max(3.0, 1.1 * float(np.abs(hunt.pulls).max()))
    ends = Axis(mass, low=float(edges[0]), high=float(edges[-1]))
    fit = Series("fit to the sidebands", "line", _row(middle), _row(hunt.expected), _row(hunt.expected - hunt.spread),
                 _row(hunt.expected + hunt.spread))
    region = Series("signal region", "line", (left, left, right, right), (0.0, top, top, 0.0), muted=True)
    data = Series("events", "points", _row(middle), _row(hunt.content), _row(hunt.low), _row(hunt.high))
    zero = Series("0", "line", (float(edges[0]), float(edges[-1])), (0.0, 0.0), muted=True)
    pulls = Series("events", "points", _row(middle), _row(hunt.pulls))
    return Figure(name, title, "xy", ends, Axis(f"Events / {_width(edges)}", low=0.0, high=top),
                  (fit, region, data), section=MASS, caption=f"{in_words(hunt)} {LOOK_ELSEWHERE}{note}",
                  below=Panel(Axis("Pull", low=-reach, high=reach), (zero, pulls)))


def _width(edges: Floats) -> str:
    return f"{float(edges[1] - edges[0]):.3g}"


# ---------------------------------------------------------------- injections

def injections(found: Sequence[Injected]) -> tuple[Figure, ...]:
    """What the winner's settings come to where a share of the training events are anomalies: one point for each draw
    of these, and the mean."""
    if not found:
        return ()
    upper, lower = _of_injections(found, "max_sic"), _of_injections(found, "roc_auc")
    x = Axis("Anomalies among training events / %")
    figures = [Figure("injections", "Injection scan", "xy", x, Axis("Max. significance improvement"), upper,
                      caption="Each point is a fit of the winner's settings with other anomalies among the training "
                              "events; all are judged on the same test events.",
                      below=Panel(Axis("ROC AUC"), lower))]
    before = [(one.fraction, one.before) for one in found if np.isfinite(one.before)]
    after = [(one.fraction, one.after) for one in found if np.isfinite(one.after)]
    if after:
        series = (*_draws("before the cut", before), *_draws("after the cut", after))
        figures.append(Figure(
            "injections-significance", "Local significance against injected anomalies", "xy", x,
            Axis("Local significance / σ"), series, section=MASS,
            caption="Of test events of which that share are anomalies, before and after the cut, by a fit to the "
                    f"sidebands. {LOOK_ELSEWHERE}"))
    return tuple(figures)


def _of_injections(found: Sequence[Injected], name: str) -> tuple[Series, ...]:
    return _draws("fits", [(one.fraction, one.metrics[name]) for one in found if name in one.metrics])


def _draws(name: str, points: Sequence[tuple[float, float]]) -> tuple[Series, ...]:
    """Points of a fraction and a value, and their means, of one colour; nothing of none."""
    if not points:
        return ()
    fractions = sorted({x for x, _ in points})
    means = tuple(float(np.mean([y for x, y in points if x == fraction])) for fraction in fractions)
    return (Series(name, "points", tuple(100 * x for x, _ in points), tuple(y for _, y in points), group=name),
            Series(f"{name}, mean", "line", tuple(100 * x for x in fractions), means, group=name))


def _line(name: str, x: Floats, ends: Sequence[Floats]) -> Series:
    middle, low, high = (_row(end) for end in ends)
    return Series(name, "line", _row(x), middle, low, high)


def _row(values: Floats) -> tuple[float, ...]:
    """Six significant digits: a figure is stored as text."""
    return tuple(float(f"{value:.6g}") for value in values.tolist())
