"""What there is to see of clusters: scores of all chains, the verdict, tables and figures.

Takes prepared points, candidates and the winner's replicas; puts together what :mod:`automl_phys.cluster_scores`,
``cluster_profiles``, ``cluster_tables`` and ``cluster_figures`` make of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot
from typing import TYPE_CHECKING

import numpy as np

from automl_phys import assignment, cluster_figures, cluster_scores, cluster_tables, leaderboard, measures, scatter
from automl_phys.cluster_profiles import Profiles
from automl_phys.cluster_replicas import AGAIN, Replicas
from automl_phys.contracts import Candidate
from automl_phys.exhibits import Colouring, Estimate, Figure, Score, Table
from automl_phys.readable import count, estimate
from automl_phys.telling import Tell, counted, nobody
from automl_phys.values import Array

if TYPE_CHECKING:
    from automl_phys.points import Points, PointsProblem

REPEATS, FEWER_REPEATS = 20, 8
"""Samples behind an interval: of the winner and the baseline, and of the other chains."""
MOST_COLOURS = 6
FEW_NAMES = 20
"""Values of a text column up to which it can colour the map."""


def scores(
    points: Points, truth: Array | None, candidates: Sequence[Candidate], objective: str, seed: int,
    tell: Tell = nobody,
) -> tuple[Score, ...]:
    """Every part of every candidate's score, gains over the baseline, and the truth's word where there is a truth.

    A candidate that is the winner over again is left out.
    """
    winner = candidates[0].predictions["test"]
    shown = [c for i, c in enumerate(candidates)
             if i == 0 or c.role == "baseline" or not np.array_equal(c.predictions["test"], winner)]
    found: dict[str, dict[str, Estimate]] = {}
    for candidate in counted(shown, "models judged", tell):
        assigned = assignment.unpack(candidate.predictions["test"])
        own = cluster_scores.estimates(points.scaled, assigned, seed,
                                       FEWER_REPEATS if candidate.role == "member" else REPEATS)
        if truth is not None and (known := truth >= 0).any():
            told = cluster_scores.truth_scores(truth[known], assigned.labels[known], seed)
            own |= {name: value for name, value in told.items() if name not in own}
        found[candidate.name] = own
    baseline = next(c.name for c in shown if c.role == "baseline")
    return tuple(Score(c.name, c.role, found[c.name], None if c.name == baseline else
                       _gain(found[c.name][objective], found[baseline][objective]), c.seconds) for c in shown)


def _gain(one: Estimate, other: Estimate) -> Estimate:
    """By how much one is better: the two uncertainties in quadrature. Every objective of this task is maximised."""
    difference = one.value - other.value
    half = hypot(one.high - one.low, other.high - other.low) / 2 if difference else 0.0
    return Estimate(difference, difference - half, difference + half, "uncertainties in quadrature")


def verdict(scores: Sequence[Score], replicas: Replicas, objective: str, truth: str | None) -> str:
    """What was found, whether as much is found where nothing is, and what a truth says of it; a few sentences."""
    winner, baseline = scores[0], next(score for score in scores if score.role == "baseline")
    label, compared = measures.label(objective).lower(), replicas.objectives()
    clusters, noise = int(winner.metrics["clusters"].value), winner.metrics["noise"].value
    said = f"{winner.name}: {count(clusters, 'cluster')}, {noise:.1%} noise, {label} {estimate(replicas.value)}"
    if AGAIN in compared:
        said += f" ({estimate(compared[AGAIN])} when fitted on subsamples)"
    if replicas.verdict is None:
        said += ". It was not compared with data without structure: set model.bagging to 3 or more for that."
    else:
        nulls = " and ".join(f"{estimate(compared[name])} on {name}" for name in replicas.nulls)
        said += f", against {nulls}: " + (
            "there is structure." if replicas.verdict.found else
            "there is no structure. Data without any give clusters that are as good; do not interpret these.")
    gain = winner.better_than_baseline
    if gain is None or gain.value == 0:
        said += f" It does just what the {baseline.name} does."
    else:
        sure = gain.low > 0 or gain.high < 0
        sense = "better" if gain.value > 0 else "worse"
        said += (f" It is {sense} than the {baseline.name} by {leaderboard.size(gain)}"
                 + ("." if sure else ", which is within the uncertainty."))
    if truth is not None and "adjusted_rand" in winner.metrics:
        agreed = estimate(winner.metrics["adjusted_rand"])
        said += (f" The clusters agree with '{truth}' at an adjusted Rand index of {agreed}; it was used neither in "
                 "fitting nor in choosing.")
    return said


def tables(
    problem: PointsProblem, scores: Sequence[Score], replicas: Replicas, profiles: Profiles, objective: str
) -> tuple[Table, ...]:
    """All tables, what matters most first."""
    made = [cluster_tables.ranked(scores, objective),
            cluster_tables.clusters(replicas.own, profiles, replicas.stability, replicas.found_again_in)]
    if replicas.values:
        made.append(cluster_tables.compared(
            replicas.objectives(), replicas.assignments(), measures.label(objective)))
    made.append(cluster_tables.parts(scores))
    if problem.truth is not None:
        counts = cluster_tables.contingency(problem.truth, replicas.own, len(problem.schema.classes))
        made.append(cluster_tables.against_truth(counts, problem.schema.classes, str(problem.schema.truth)))
    return tuple(made)


def figures(
    problem: PointsProblem, winner: Score, replicas: Replicas, profiles: Profiles, objective: str,
    colours: Sequence[str], seed: int,
) -> tuple[Figure, ...]:
    """All figures of the winner; ``colours`` are columns for the map, by default those that tell clusters apart."""
    own, points = replicas.own, problem.test
    made = [cluster_figures.embedding_map(
        own, _colours(problem, profiles, colours), winner.metrics["density_preserved"].value, seed)]
    if own.clusters:
        made.append(cluster_figures.sizes(profiles, replicas.stability, replicas.found_again_in))
        made += cluster_figures.probabilities(own)
    if problem.truth is not None:
        counts = cluster_tables.contingency(problem.truth, own, len(problem.schema.classes))
        made.append(cluster_figures.against_truth(counts, problem.schema.classes, str(problem.schema.truth)))
    if replicas.values:
        made.append(cluster_figures.compared(replicas.objectives(), measures.label(objective)))
    if replicas.bootstraps:
        made.append(cluster_figures.agreement([own.labels, *replicas.bootstraps]))
    if own.clusters:
        made.append(cluster_figures.profile(profiles))
        made += cluster_figures.distributions(profiles, points.numbers, own.labels, problem.schema.numbers)
    return (*made, *cluster_figures.components(points.scaled, problem.schema.columns, seed))


def _colours(problem: PointsProblem, profiles: Profiles, chosen: Sequence[str]) -> list[Colouring]:
    """The truth and the columns chosen, or else the features that tell clusters apart best."""
    schema = problem.schema
    telling = [profiles.features[i] for i in profiles.telling if profiles.features[i] in schema.numbers]
    colours = [] if problem.truth is None else [
        scatter.colouring(f"{schema.truth} (truth)", problem.truth, schema.classes)]
    carried = problem.carried("test")
    for name in chosen or telling[:MOST_COLOURS]:
        if name in schema.numbers:
            colours.append(scatter.colouring(name, problem.test.numbers[:, schema.numbers.index(name)]))
        elif name in carried.column_names:
            values = carried.column(name).to_numpy()
            if values.dtype.kind in "biuf":
                colours.append(scatter.colouring(name, values))
            else:
                names, codes = np.unique(values.astype(str), return_inverse=True)
                colours += [scatter.colouring(name, codes, tuple(map(str, names)))] if len(names) <= FEW_NAMES else []
    return colours
