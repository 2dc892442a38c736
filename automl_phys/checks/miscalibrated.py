"""Do the probabilities, or the intervals, mean what they say?"""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot, inf, sqrt
from typing import TYPE_CHECKING

from automl_phys import measures
from automl_phys.contracts import Seen
from automl_phys.exhibits import Estimate, Outcome

if TYPE_CHECKING:
    from automl_phys.table import TableProblem

CODE = "C-CALIBRATION"
TITLE = "Miscalibrated probabilities or intervals"
MEANS = (
    "Predicted probabilities are not the fractions that are found, or intervals hold another share of the truth "
    "than they promise, beyond chance.")
WHY = (
    "A cut on a score does not mind. But a probability in a likelihood, or an uncertainty in a fit, is then wrong "
    "by that much.")
REMEDY = (
    "Search for log_loss (or gaussian_nll), which rewards calibration; give the validation more rows; multiply "
    "uncertainties by the width of the pull.")
SOURCES = "Guo et al., ICML 2017, arXiv:1706.04599; Lei et al., JASA 113 (2018) 1094"

SMALL_P = 0.003
SIGMAS = 3.0
WIDE = 0.2
"""Difference of the width of a pull from 1 that matters."""
LARGE = 0.02
"""Calibration error that matters; smaller ones are told by large samples though nobody is misled by them."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when the reliability curve, or the coverage of intervals, is off beyond chance and by more than 2 %, or the
    width of pulls by more than 20 %."""
    from automl_phys.table import TableProblem

    metrics = seen.evaluation.metrics
    if any(name.startswith("coverage@") for name in metrics) and isinstance(seen.problem, TableProblem):
        return _intervals(metrics, seen.problem)
    if "calibration_p" not in metrics:
        return "not applicable", "The task gives neither probabilities nor intervals."
    error, p = metrics["calibration_error"].value, metrics["calibration_p"].value
    if error > LARGE and p < SMALL_P:
        return "tip", (f"Predicted probabilities are off by {error:.3f} on average (χ² probability {p:.1g}). Rankings, "
                       "ROC curves and cuts are not touched; where the output is used as a probability, search for "
                       "log_loss, which rewards calibration.")
    return "passed", ""


def _intervals(metrics: Mapping[str, Estimate], problem: TableProblem) -> tuple[Outcome, str]:
    """By chance, coverage varies with the test rows and with the rows that intervals were calibrated on, which are the
    validation rows at least."""
    weight = problem.valid.weight.astype("float64")
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    narrow: list[str] = []
    wide: list[str] = []
    endless: list[str] = []
    pulls: list[str] = []
    several = any(name.startswith("coverage@") and "/" in name for name in metrics)
    for name, found in metrics.items():
        if several != ("/" in name):  # of several targets, not the mean over them
            continue
        kind, _, point = name.partition("@")
        half = (found.high - found.low) / 2
        if kind == "coverage":
            text, _, target = point.partition("/")
            nominal = float(text)
            said = f"{100 * nominal:g}% intervals{f' of {target}' if target else ''}"
            chance = hypot(half, sqrt(nominal * (1 - nominal) / effective))
            if metrics[f"interval_width@{text}"].value == inf:
                endless.append(said)
            elif abs(found.value - nominal) > max(LARGE, SIGMAS * chance):
                (narrow if found.value < nominal else wide).append(f"{said} hold {found.value:.1%} ± {half:.1%}")
        elif kind.partition("/")[0] == "pull_width" and abs(found.value - 1) > max(WIDE, SIGMAS * half):
            pulls.append(f"{measures.label(name)} is {found.value:.2f} ± {half:.2f}")
    texts = []
    if endless:
        texts.append(f"There are too few validation rows to calibrate {', '.join(endless)}: they have no limits. A "
                     "larger share for validation (data: split:) helps.")
    if narrow:
        texts.append(f"On test rows {', '.join(narrow)}. They differ from those that the intervals were calibrated on: "
                     "is the split by time or group, or are weights uneven?")
    if wide:
        texts.append(f"On test rows {', '.join(wide)}: they are wider than they need be, which is the safe side. A "
                     "winner that is fitted again on train and validation rows is often better than the models that "
                     "its intervals were calibrated with; 'model: {refit: false}' keeps these.")
    if pulls:
        texts.append(f"{', '.join(pulls)} where 1 is right: multiply the stated uncertainties by it. The intervals are "
                     "scaled for that already.")
    return ("tip", " ".join(texts)) if texts else ("passed", "")
