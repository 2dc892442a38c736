"""What there is to see of detectors of anomalies: scores of all candidates, the verdict, tables and figures.

Takes a prepared problem and candidates with scores (n,) of the test rows; puts together what ``anomaly_scores``,
``mass_sculpting``, ``bump_hunt``, ``anomaly_ceilings``, ``anomaly_injections``, ``anomaly_explained`` measure and
``anomaly_figures`` and ``anomaly_tables`` show. Truth is looked at here, after the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log10, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from automl_phys import (
    anomaly_ceilings,
    anomaly_explained,
    anomaly_figures,
    anomaly_flags,
    anomaly_injections,
    anomaly_problem,
    anomaly_scores,
    anomaly_tables,
    bump_hunt,
    curves,
    image_figures,
    mass_sculpting,
    stand_ins,
    threshold_sweep,
)
from automl_phys.anomaly_ceilings import Ceiling
from automl_phys.anomaly_scores import CHOSEN_BY, WITH_TRUTH
from automl_phys.anomaly_tables import Flag, Looked
from automl_phys.bump_hunt import Hunt, Window
from automl_phys.contracts import Candidate
from automl_phys.exhibits import Estimate, Evaluation, Figure, Score, Sweep, Table
from automl_phys.metrics import Sample
from automl_phys.telling import Tell, counted, nobody

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem, AnomalyRows
    from automl_phys.values import Array

STAND_IN_SEED = anomaly_problem.STAND_IN_SEED + 1
"""Stand-ins made of test events are drawn otherwise than those made of validation events."""
FEWEST = 2
"""Anomalies, and normal events, of the test without which there are no metrics with truth."""
EVERY = "test events"
NORMAL_ALONE = "normal events alone"
SHORT = {"auc": "roc_auc", "max_sic": "max_sic"}
"""Metrics of ceilings that are told beside the winner's."""
SHOWN_CUT = 0.1
"""Background efficiency of the second cut whose mass spectrum is shown."""
FLAG_MARK = "the flag"
SWEPT_EFFICIENCIES = (0.1, 0.3, 0.5)
"""Signal efficiencies whose thresholds have a name in the sweep: those of the rejections that are measured."""
FIRST = ("roc_auc", "max_sic", "supervised_max_sic", "signal_efficiency", "background_efficiency", "flagged")
"""Metrics that stand first in the report."""


def evaluate(problem: AnomalyProblem, candidates: Sequence[Candidate], objective: str, calibration: Mapping[str, Any],
             seed: int, tell: Tell = nobody) -> Evaluation:
    """What the test rows say of the candidates, the first of which is the winner, one the baseline."""
    test, settings, winner = problem.test, problem.schema.settings, candidates[0]
    baseline = next(one for one in candidates if one.role == "baseline")
    truth = test.target if problem.has_truth and min(np.bincount(test.target, minlength=2)) >= FEWEST else None
    names = [*WITH_TRUTH, *({objective} - {*WITH_TRUTH, *CHOSEN_BY})] if truth is not None else []
    judged = {one.name: anomaly_scores.judge(test.target, one.predictions["test"], test.weight) for one in candidates}
    chosen_by = _objective(problem, candidates, judged, objective)
    scores = _scores(candidates, baseline, judged, chosen_by, objective, names, seed, tell)
    own = np.asarray(winner.predictions["test"])
    flag = Flag(float(settings["background_efficiency"]), float(calibration["threshold"]),
                int(calibration.get("normal", 0)),
                anomaly_scores.flagged(truth, own, test.weight, float(calibration["threshold"])))
    chosen = anomaly_tables.choice(str(settings["choose_by"]), problem.method, objective,
                                   stand_ins.WORDS[problem.stand_in_kind])
    tables: list[Table] = [anomaly_tables.ranked(scores, objective, chosen)]
    figures: list[Figure] = [anomaly_figures.scores(truth, own, test.weight, flag.threshold, flag.efficiency)]
    more: dict[str, Estimate] = {}
    over = scores[0].better_than_baseline
    gains = {objective: over} if over else {}
    if truth is not None:
        above, of_ceilings = _ceilings(problem, names, seed)
        more |= {f"{one.key}_{short}": of_ceilings[one.key][name] for one in above for short, name in SHORT.items()}
        tables.append(anomaly_tables.by_model(scores, above, of_ceilings, names))
        shown = {one.name: judged[one.name] for one in (winner, baseline)} | {
            one.name: anomaly_scores.judge(truth, one.score, test.weight) for one in above}
        note = "".join(f" {one.name.capitalize()}: {one.text}." for one in above)
        figures += [anomaly_figures.roc(shown, seed), anomaly_figures.significance(shown, seed, note)]
        gains = {name: anomaly_scores.gain(name, judged[winner.name], judged[baseline.name], seed)
                 for name in SHORT.values() if gains}
    tables.append(anomaly_tables.flag(flag))
    agreed = anomaly_tables.agreement(_different({one.name: one.predictions["test"] for one in candidates}),
                                      flag.efficiency)
    tables += [agreed] if agreed else []
    mass = _mass(problem, winner, flag, truth is not None, seed)
    more |= mass.metrics
    scan = anomaly_injections.scan(problem, winner.replicas, mass.window, -log10(flag.efficiency), seed)
    if scan:
        tables.append(anomaly_tables.injections(scan))
        figures += anomaly_figures.injections(scan)
    odd, images = _oddest(problem, winner, own, calibration, truth, seed)
    metrics = _in_order({**scores[0].metrics, **flag.found, **more})
    best = Score(scores[0].name, scores[0].role, metrics, scores[0].better_than_baseline, scores[0].seconds)
    said = anomaly_tables.verdict(best, baseline.name, flag, gains, objective, chosen, mass.sentence)
    return Evaluation(said, metrics, scores, (*tables, *mass.tables, odd),
                      (*figures, *mass.figures, *images, *winner.figures),
                      _sweep(judged[winner.name], flag, seed) if truth is not None else None)


# ---------------------------------------------------------------- scores

def _in_order(metrics: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """The metrics, the most telling ones first."""
    return {**{name: metrics[name] for name in FIRST if name in metrics}, **metrics}


def _objective(problem: AnomalyProblem, candidates: Sequence[Candidate], judged: Mapping[str, Sample], objective: str
               ) -> dict[str, Sample]:
    """Each candidate's scores of what the objective is about: stand-ins among test events, or the truth."""
    if objective not in CHOSEN_BY:
        return dict(judged)
    test = problem.test
    if problem.method == "weakly-supervised" and test.region is not None:
        rows = anomaly_problem.region_against_sidebands(test)
        return {one.name: anomaly_scores.judge(rows.target, one.predictions["test"], rows.weight)
                for one in candidates}
    places = np.flatnonzero(test.target == 0)
    normal = test.take(places)
    copies = problem.stand_ins(normal, STAND_IN_SEED)
    target = np.repeat([0, 1], [len(normal), len(copies)])
    weight = np.concatenate([normal.weight, copies.weight])
    told = {one.name: np.concatenate([np.asarray(one.predictions["test"])[places], _predict(one, copies)])
            for one in candidates}
    return {name: anomaly_scores.judge(target, score, weight) for name, score in told.items()}


def _scores(candidates: Sequence[Candidate], baseline: Candidate, judged: Mapping[str, Sample],
            chosen_by: Mapping[str, Sample], objective: str, names: Sequence[str], seed: int, tell: Tell
            ) -> tuple[Score, ...]:
    """Of every candidate the objective and, with truth, all metrics. The same scores are measured once."""
    found: dict[str, dict[str, Estimate]] = {}
    for i, one in enumerate(counted(candidates, "models judged", tell)):
        same = next((other.name for other in candidates[:i]
                     if np.array_equal(other.predictions["test"], one.predictions["test"])), None)
        found[one.name] = found[same] if same else {
            **anomaly_scores.estimates((objective,), chosen_by[one.name], seed),
            **anomaly_scores.estimates([name for name in names if name != objective], judged[one.name], seed)}
    return tuple(
        Score(one.name, one.role, found[one.name], None if one is baseline else anomaly_scores.gain(
            objective, chosen_by[one.name], chosen_by[baseline.name], seed), one.seconds)
        for one in candidates)


def _sweep(judged: Sample, flag: Flag, seed: int) -> Sweep | None:
    """What a threshold on the winner's score does: that of the flag, and those of a few signal efficiencies."""
    points = {f"{share:.0%} signal efficiency": curves.threshold_at(judged, judged.positive, share)
              for share in SWEPT_EFFICIENCIES}
    return threshold_sweep.make(judged, (anomaly_figures.ANOMALIES, anomaly_figures.NORMAL), "score",
                                {FLAG_MARK: flag.threshold, **points}, FLAG_MARK, seed, counted=True)


def _ceilings(problem: AnomalyProblem, names: Sequence[str], seed: int
              ) -> tuple[tuple[Ceiling, ...], dict[str, dict[str, Estimate]]]:
    test = problem.test
    found = anomaly_ceilings.ceilings(problem, seed)
    return found, {one.key: anomaly_scores.estimates(
        names, anomaly_scores.judge(test.target, one.score, test.weight), seed) for one in found}


def _different(scores: Mapping[str, Array]) -> dict[str, Array]:
    """Scores by candidate, those left out that are the winner's own."""
    (winner, own), *others = scores.items()
    return {winner: own, **{name: one for name, one in others if not np.array_equal(one, own)}}


def _predict(one: Candidate, rows: AnomalyRows) -> Array:
    return np.asarray((one.predict_with_all or one.predict)(rows))


# ---------------------------------------------------------------- mass

@dataclass(frozen=True)
class _Mass:
    """What there is to say of the mass; nothing without one."""

    window: Window | None = None
    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    sentence: str = ""


def _mass(problem: AnomalyProblem, winner: Candidate, flag: Flag, with_truth: bool, seed: int) -> _Mass:
    """How the cut shapes the background's mass, and whether there is a bump in the signal region."""
    test, name = problem.test, str(problem.schema.settings["mass"])
    if test.mass is None:
        return _Mass()
    own = np.asarray(winner.predictions["test"])
    background = test.target == 0 if with_truth else np.ones(len(test), bool)
    of = anomaly_figures.NORMAL if with_truth else EVERY
    values, score, weight = (np.asarray(one[background], np.float64) for one in (test.mass, own, test.weight))
    sculpted = mass_sculpting.sculpted(values, score, weight, seed, tuple(dict.fromkeys(
        (*mass_sculpting.EFFICIENCIES, flag.efficiency))))
    metrics = {f"mass_sculpting@{one.efficiency:g}{kind}": found for one in sculpted
               for kind, found in (("", one.divergence), (f"/{anomaly_tables.BY_CHANCE}", one.chance))
               if one.efficiency in (SHOWN_CUT, flag.efficiency)}
    cuts = {f"{share:.2g} of {of}": anomaly_scores.threshold_at(score, weight, share)
            for share in dict.fromkeys((SHOWN_CUT, flag.efficiency))}
    figures = [anomaly_figures.spectra(values, score, weight, cuts, name, of)] if len(values) else []
    drawn = anomaly_figures.sculpting(sculpted, of)
    figures += [drawn] if drawn else []
    tables = [anomaly_tables.sculpting(sculpted, of)]
    if test.region is None:
        return _Mass(None, metrics, tuple(tables), tuple(figures))
    every = anomaly_injections.hunted(problem)
    found = own if every is test else np.asarray(_predict(winner, every))
    window = bump_hunt.window(every.mass, every.region) if every.mass is not None and every.region is not None else ""
    if isinstance(window, str):
        return _Mass(None, metrics, tuple(tables), tuple(figures), f"No bump was looked for: {window}.")
    looked = _looked(every, found, flag, window, with_truth, "test events" if every is test else "all events")
    tables.append(anomaly_tables.bumps(looked))
    whole = looked[0].events
    for events, cut, hunt in ((one.events, one.cut, one.hunt) for one in looked):
        after = cut != anomaly_tables.NO_CUT
        if isinstance(hunt, Hunt) and (events == whole or after):
            key = "bump" + ("" if events == whole else "-normal") + ("" if after else "-before")
            figures.append(anomaly_figures.bump(hunt, name, key, f"Bump hunt: {events}, {cut}"))
        if after:
            metric = "local_significance" + ("" if events == whole else f"/{NORMAL_ALONE}")
            metrics[metric] = _significance(hunt)
    return _Mass(window, metrics, tuple(tables), tuple(figures), anomaly_tables.bump_verdict(looked))


def _looked(every: AnomalyRows, score: Array, flag: Flag, window: Window, with_truth: bool, whole: str
            ) -> tuple[Looked, ...]:
    """Hunts in all events and in the normal ones alone, before and after the cut."""
    assert every.mass is not None  # noqa: S101  # there is a window
    kinds = {whole: np.ones(len(every), bool)}
    if with_truth:
        share = float(np.mean(every.target == 1))
        kinds = {f"{whole}, {100 * share:.2g} % of them anomalies": kinds[whole], NORMAL_ALONE: every.target == 0}
    passes = anomaly_flags.flagged(score, {"threshold": flag.threshold})
    return tuple(
        Looked(events, cut, bump_hunt.hunt(every.mass[rows & kept], every.weight[rows & kept], window))
        for events, rows in kinds.items()
        for cut, kept in ((anomaly_tables.NO_CUT, np.ones(len(every), bool)), (anomaly_tables.FLAGGED, passes)))


def _significance(hunt: Hunt | str) -> Estimate:
    if isinstance(hunt, str):
        return Estimate(nan, nan, nan, hunt)
    return Estimate(hunt.significance, nan, nan, f"local; p = {hunt.p_value:.2g}. A significance has no interval")


# ---------------------------------------------------------------- events

def _oddest(problem: AnomalyProblem, winner: Candidate, own: Array, calibration: Mapping[str, Any], truth: Array | None,
            seed: int) -> tuple[Table, tuple[Figure, ...]]:
    """The most anomalous test events, and of images what they look like."""
    odd = anomaly_explained.most_anomalous(problem, own, winner.predict, seed)
    places = np.array([one.place for one in odd], np.int64)
    rows = problem.carried("test").column("row").to_numpy()[places].tolist()
    p_values = anomaly_flags.p_values(own[places], calibration).tolist()
    table = anomaly_tables.oddest(odd, rows, p_values, truth)
    if problem.test.images is None:
        return table, ()
    titles = [f"row {row}, score {one.score:.2f}" + (
        "" if truth is None else ", anomaly" if truth[one.place] == 1 else ", normal")
        for one, row in zip(odd, rows, strict=True)]
    drawn = image_figures.oddest(problem.test, places, titles)
    return table, (drawn,) if drawn else ()
