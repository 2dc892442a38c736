"""Tables of how anomalies are found: the ranking of detectors, metrics beside ceilings, the flag, mass, bumps, the most
anomalous events, and all of it in words.

Takes estimates, scores, hunts, divergences; gives ``exhibits.Table`` and sentences. Figures of the same are in
:mod:`automl_phys.anomaly_figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np

from automl_phys import leaderboard, measures
from automl_phys.anomaly_ceilings import Ceiling
from automl_phys.anomaly_explained import Odd
from automl_phys.anomaly_injections import Injected
from automl_phys.bump_hunt import Hunt
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.mass_sculpting import Sculpted
from automl_phys.readable import cell, estimate, percent, rounded

SURE = 2.0
"""Standard deviations from which on one detector is called better than another."""
POOR_FIT = 0.01
"""χ² probability of the sidebands below which a significance means nothing."""
LOOK_ELSEWHERE = ("The significance is local: the signal region and the cut were given by the recipe, no search over "
                  "masses was made. Whoever chose them after a look at these events, or looks at several, must count "
                  "that in.")
NO_CUT, FLAGGED = "no cut", "flagged"
BY_CHANCE = "random cuts"
CLAIM = 3.0
"""Local standard deviations from which on one speaks of a hint."""


# ---------------------------------------------------------------- what was chosen, and by what

def choice(choose_by: str, method: str, objective: str, stand_ins: str) -> str:
    """What detectors were compared by in the search; one sentence. ``stand_ins`` is what stood in for anomalies."""
    if choose_by == "truth":
        return (f"Chosen by {_lower(measures.label(objective))} on true anomalies among the validation events, as the "
                "recipe asks: the search has seen those.")
    if method == "weakly-supervised":
        return ("Chosen by how well the signal region is told from the sidebands; which events are anomalies was not "
                "seen by the search.")
    seen = "no true anomaly was seen by the search" if method == "one-class" else \
        "which events are anomalies was not seen by the search"
    return f"Chosen by {stand_ins}, which stand in for anomalies; {seen}."


def ranked(scores: Sequence[Score], objective: str, chosen: str) -> Table:
    """The leaderboard of detectors."""
    beside = [name for name in ("roc_auc", "max_sic", "rejection@0.3") if name != objective and all(
        name in score.metrics for score in scores)]
    return leaderboard.table(scores, objective, beside, "Detector", " (test)",
                             f"{chosen} Gains are in the objective, positive when better, paired on the same events.")


def by_model(scores: Sequence[Score], ceilings: Sequence[Ceiling], of_ceilings: Mapping[str, Mapping[str, Estimate]],
             names: Sequence[str]) -> Table:
    """All metrics of all detectors, and of ceilings, on the test events."""
    rows = [(score.name, *(estimate(score.metrics[name]) for name in names)) for score in scores]
    rows += [(one.name, *(estimate(of_ceilings[one.key][name]) for name in names)) for one in ceilings]
    note = " ".join(f"{one.name.capitalize()}: boosted trees, {one.text}." for one in ceilings)
    return Table("Detectors on true anomalies", ("Detector", *(measures.label(name) for name in names)), tuple(rows),
                 note)


@dataclass(frozen=True)
class Flag:
    """What the threshold was set for and what it does."""

    efficiency: float
    threshold: float
    normal: int
    found: Mapping[str, Estimate]


def flag(flag_: Flag) -> Table:
    """The threshold and what passes it."""
    rows: list[tuple[str, str, str]] = [
        ("Background efficiency asked for", f"{flag_.efficiency:.2g}", ""),
        ("Threshold on the score", rounded(flag_.threshold, 4),
         f"by {flag_.normal} held-out normal events" if flag_.normal else "by held-out normal events")]
    rows += [(f"{measures.label(name)}, test events", estimate(one), one.note) for name, one in flag_.found.items()]
    return Table("The flag", ("What", "Value", "How"), tuple(rows),
                 "The threshold is that which the stated share of held-out normal events passes. No share of anomalies "
                 "is guessed.")


def agreement(scores: Mapping[str, Any], share: float) -> Table | None:
    """How far other detectors agree with the first, by rank and in what they flag; None for one alone."""
    from scipy.stats import spearmanr

    (winner, own), *others = scores.items()
    if not others:
        return None
    count = max(1, round(share * len(own)))
    top = set(np.argsort(-np.asarray(own), kind="stable")[:count].tolist())
    rows: list[tuple[str, float | None, str]] = []
    for name, score in others:
        theirs = set(np.argsort(-np.asarray(score), kind="stable")[:count].tolist())
        varied = np.ptp(own) > 0 and np.ptp(score) > 0
        correlation = float(spearmanr(own, score).statistic) if varied else nan
        rows.append((name, round(correlation, 3), f"{len(top & theirs) / count:.0%}"))
    return Table("Agreement of detectors", ("Detector", "Rank correlation", f"Shared of the {count} most anomalous"),
                 tuple(rows), f"Of the scores of test events, with those of {winner}; chance would share "
                 f"{_percent_exact(share)}. Agreement is no proof: detectors may agree on what is odd "
                 "and no anomaly.")


# ---------------------------------------------------------------- mass

def sculpting(found: Sequence[Sculpted], of: str) -> Table:
    """Divergences beside those of random cuts."""
    rows = tuple((f"{one.efficiency:g}", cell(round(one.passed)), estimate(one.divergence), estimate(one.chance),
                  _pull(one)) for one in found)
    return Table("Mass sculpting", ("Background efficiency", "Events left", "Jensen-Shannon divergence",
                                    "Expected of random cuts", "Cut against random cuts"), rows,
                 f"Of the mass of {of} before and after the cut, in bits: 0 if the spectra are alike, 1 if they do not "
                 "overlap.")


def _pull(one: Sculpted) -> str:
    if not isfinite(one.pull):
        return one.divergence.note
    return "compatible" if one.pull < SURE else f"more by {one.pull:.1f} σ" if one.pull < 9.95 else \
        f"more by {one.pull:.0f} σ"


@dataclass(frozen=True)
class Looked:
    """A hunt, or why there is none, in which events and after which cut."""

    events: str
    cut: str
    hunt: Hunt | str


def bumps(looked: Sequence[Looked]) -> Table:
    """What was found in the signal region and what was expected."""
    rows = []
    for one in looked:
        hunt = one.hunt
        if isinstance(hunt, str):
            rows.append((one.events, one.cut, "–", "–", "–", "–", hunt))
            continue
        chi2 = f"{hunt.chi2:.1f} / {hunt.ndf}" + (f" (p = {hunt.fit_p_value:.2g})" if hunt.ndf else "")
        rows.append((one.events, one.cut, _count(hunt.found), estimate(hunt.background), f"{hunt.p_value:.2g}",
                     f"{hunt.significance:.1f}".replace("-", "−"), f"order {hunt.order}, χ²/ndf {chi2}"))
    return Table("Bump hunt", ("Events", "Cut", "Found in the signal region", "Expected", "Local p-value", "Local σ",
                               "Fit to the sidebands"), tuple(rows),
                 f"Expected by a smooth fit to the sidebands alone, exp(polynomial in ln m). {LOOK_ELSEWHERE}")


def in_words(hunt: Hunt) -> str:
    """What was found, what was expected, how significant that is, and whether the fit can be trusted."""
    strength = f"{hunt.significance:.1f}".replace("-", "−")
    text = (f"{_count(hunt.found)} events in the signal region, {estimate(hunt.background)} expected of the sidebands: "
            f"a local significance of {strength} σ")
    if hunt.fit_p_value < POOR_FIT:
        return (f"{text}. But the fit does not describe the sidebands (χ²/ndf = {hunt.chi2:.0f}/{hunt.ndf}): do not "
                "believe that.")
    return f"{text} (sidebands: χ²/ndf = {hunt.chi2:.1f}/{hunt.ndf})."


def bump_verdict(looked: Sequence[Looked]) -> str:
    """The hunt in all flagged events, and a warning where the normal ones alone make a bump; empty for no hunt."""
    flagged = [one for one in looked if one.cut == FLAGGED]
    said = f"Bump hunt after the cut, {flagged[0].events}: "
    said += flagged[0].hunt + "." if isinstance(flagged[0].hunt, str) else in_words(flagged[0].hunt)
    for one in flagged[1:]:
        if isinstance(one.hunt, Hunt):
            strength = f"{one.hunt.significance:.1f} σ".replace("-", "−")
            said += f" The {one.events}: {strength}" + (
                ", a bump where there is nothing." if one.hunt.significance >= CLAIM else ".")
    return said


def _count(events: float) -> str:
    return rounded(events, 4)


# ---------------------------------------------------------------- events

def oddest(found: Sequence[Odd], rows: Sequence[int], p_values: Sequence[float], target: Any) -> Table:
    """The most anomalous test events; ``rows`` are their positions in the data, ``target`` (n,) the truth of the test,
    None where there is none."""
    lines = []
    for one, row, p in zip(found, rows, p_values, strict=True):
        truth = () if target is None else ("anomaly" if target[one.place] == 1 else "normal",)
        why = "; ".join(f"{c.feature} = {c.value} ({c.usual}): −{c.drop:.2g}" for c in one.causes)
        lines.append((row, round(one.score, 3), f"{p:.2g}", *truth, why or "no single feature"))
    head = ("Row", "Score", "p-value", *(() if target is None else ("Truth",)),
            "Features that make it so (68 % of normal events): change of the score")
    return Table("Most anomalous events", head, tuple(lines),
                 "Change: the mean by which the score drops when the feature has the value of a random normal event "
                 "instead, the three largest. Features that stand for one another drop little each. p is no smaller "
                 "than one over the number of held-out normal events, plus one.")


def injections(found: Sequence[Injected]) -> Table:
    """Metrics and local significances by the share of anomalies, mean and range over the draws."""
    rows: list[tuple[str | int, ...]] = []
    for fraction in sorted({one.fraction for one in found}):
        same = [one for one in found if one.fraction == fraction]
        columns = [[one.metrics.get(name, nan) for one in same] for name in ("roc_auc", "max_sic")]
        columns += [[one.before for one in same], [one.after for one in same]]
        rows.append((f"{100 * fraction:g} %", len(same), *map(_spread, columns)))
    head = ("Anomalies", "Fits", measures.label("roc_auc"), "Max. SIC", "Local σ before the cut", "Local σ after it")
    return Table("Injection scan", head, tuple(rows),
                 "The winner's settings, fitted with other anomalies among the training events each time and judged on "
                 "the same test events: mean over the fits, and their range. Significances are of test events of "
                 "which that share are anomalies.")


def _spread(values: Sequence[float]) -> str:
    known = [value for value in values if isfinite(value)]
    if not known:
        return "–"
    mean, *ends = (f"{end:.3g}".replace("-", "−") for end in (np.mean(known), min(known), max(known)))
    return mean if len(known) == 1 else f"{mean} ({' to '.join(ends)})"


# ---------------------------------------------------------------- in words

def verdict(winner: Score, baseline: str, flag_: Flag, gains: Mapping[str, Estimate], objective: str, chosen: str,
            bump: str = "") -> str:
    """What is flagged, how much better than chance and than the baseline that is, and what it was chosen by. ``gains``
    over the baseline are by metric, those with the truth where it is known; empty for the baseline itself."""
    found, metrics = flag_.found, winner.metrics
    at = f"at a background efficiency of {_percent_exact(flag_.efficiency)}"
    if "signal_efficiency" in found:
        text = (f"{winner.name}: {at} (measured {percent(found['background_efficiency'])}) "
                f"{percent(found['signal_efficiency'])} of the anomalies are flagged; ROC AUC "
                f"{estimate(metrics['roc_auc'])}, max. significance improvement {estimate(metrics['max_sic'])}"
                f"{_ceiling(metrics)}.")
        if not metrics["max_sic"].low > 1:
            text += " No cut on the score surely improves the significance: it finds none of these anomalies."
    else:
        text = (f"{winner.name}: {at} {percent(found['flagged'])} of the test events are flagged. Which events are "
                "anomalies is not known, so nothing is said of how many are found; "
                f"{_lower(measures.label(objective))} {estimate(metrics[objective])}.")
    return " ".join(filter(None, (text, _beside(gains, baseline), bump, chosen)))


def _ceiling(metrics: Mapping[str, Estimate]) -> str:
    """What ceilings come to in the same metric."""
    known = [f"{name} {estimate(metrics[key])}" for name, key in (
        ("supervised ceiling", "supervised_max_sic"), ("idealised detector", "idealised_max_sic")) if key in metrics]
    return f" ({', '.join(known)})" if known else ""


def _beside(gains: Mapping[str, Estimate], baseline: str) -> str:
    """Whether the baseline would have done, by each metric."""
    if all(gain.value == 0 == gain.high - gain.low for gain in gains.values()):
        return f"It does just what the {baseline} does; nothing better was found."
    said, strengths = [], []
    for name, gain in gains.items():
        strengths.append(leaderboard.sigmas(gain))
        sense = "better" if gain.value >= 0 else "worse"
        said.append(f"{_lower(measures.label(name))} {sense} by {leaderboard.size(gain)} ({abs(strengths[-1]):.1f} σ)")
    text = f"Beside the {baseline}: {', '.join(said)}"
    if max(strengths) <= -SURE:
        return f"{text}: use that one."
    if max(map(abs, strengths)) < SURE:
        return f"{text}: the test events cannot tell the two apart."
    return f"{text}."


def _percent_exact(share: float) -> str:
    return f"{100 * share:.3g} %"


def _lower(label: str) -> str:
    """A label inside of a sentence: abbreviations stay."""
    return label[0].lower() + label[1:] if label[1:2].islower() else label
