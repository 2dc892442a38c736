"""Tables of predicted amounts on test rows.

Takes what models say of rows (:mod:`automl_phys.amount_scores`), scores and names; gives ``exhibits.Table``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from automl_phys import amount_figures, amount_scores, leaderboard, measures
from automl_phys.amount_scores import Judged
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.readable import cell, estimate

SHOWN = ("rmse", "mae", "median_absolute_error", "r2", "resolution", "bias", "pull_mean", "pull_width")


def ranked(scores: Sequence[Score], objective: str) -> Table:
    """The leaderboard of regressions."""
    beside = [name for name in ("rmse", "mae", "r2") if name != objective]
    return leaderboard.table(scores, objective, beside, "Model", " (test)",
                             "Gains are positive when better, paired on the same test rows.")


def by_target(one: Judged, names: Sequence[str], seed: int) -> Table:
    """The winner's scores of each target, in the target's own unit."""
    rows: list[tuple[str | float, ...]] = []
    for j, name in enumerate(names):
        single = one.only(j)
        found = amount_scores.estimates(SHOWN, single, seed)
        rows.append((name, *(estimate(found[metric]) for metric in SHOWN), round(single.effective)))
    head = ("Target", *(measures.label(metric) for metric in SHOWN), "Effective rows")
    return Table("By target", head, tuple(rows), "Residuals are predicted less true; pulls are residuals over the "
                 "model's own uncertainty.")


def in_bins(one: Judged, name: str, seed: int) -> Table:
    """Bias, resolution and RMSE in bins of the true value."""
    shown = ("bias", "resolution", "rmse", "pull_width")
    rows: list[tuple[str | float, ...]] = []
    for which in amount_figures.groups(one):
        if len(which) < amount_figures.FEWEST:
            continue
        part = one.rows(which)
        found = amount_scores.estimates(shown, part, seed, amount_figures.REPLICATES)
        low, high = (float(f"{end:.4g}") for end in (part.target.min(), part.target.max()))
        rows.append((f"{cell(low)} to {cell(high)}", len(which), *(estimate(found[metric]) for metric in shown)))
    return Table(f"In bins of the true {name}", (f"True {name}", "Rows", *(measures.label(metric) for metric in shown)),
                 tuple(rows), "Bins of equal numbers of test rows.")


def intervals(found: Mapping[float, Sequence[tuple[str, Estimate, Estimate, float]]]) -> Table:
    """For each coverage and target: observed coverage, mean width and the factor on the model's own uncertainty."""
    rows = tuple((f"{100 * coverage:g}%", name, estimate(observed), estimate(width), factor)
                 for coverage, each in found.items() for name, observed, width, factor in each)
    note = ("Calibrated on rows that the models predicting them were not fitted on (split conformal), tried on test "
            "rows.")
    if any(factor == inf for each in found.values() for *_, factor in each):
        note += " ∞: too few rows to calibrate on; a larger share for validation (data: split:) helps."
    return Table("Prediction intervals", ("Nominal", "Target", "Observed", "Mean width", "Half-width in σ"), rows, note)
