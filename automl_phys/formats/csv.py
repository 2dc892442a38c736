"""Format ``csv``: the working points of a classifier on its test events, as a table.

For each class against the rest, and for the signal against each background: the cut on the class's score that keeps a
share of it, and what passes of the others, with 68% intervals and the event weights. Against one background the score
is the ratio that the report uses too, which ranks events as the likelihood ratio of the two classes does.
"""

from __future__ import annotations

import csv
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from automl_phys.errors import CallError, Mistake
from automl_phys.exporting import Subject, Written

if TYPE_CHECKING:
    from automl_phys.metrics import Sample

SUFFIX = ".csv"
NEEDS = ()
TEXT = "working points of a classifier: cuts, efficiencies, rejections"

POINTS = ("0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "0.95", "0.99")
"""Signal efficiencies."""
HEAD = ("class", "against", "score", "threshold",
        "signal_efficiency", "signal_efficiency_low", "signal_efficiency_high",
        "background_efficiency", "background_efficiency_low", "background_efficiency_high", "rejection",
        "rejection_low", "rejection_high", "note")


def write(subject: Subject, target: Path) -> Written:
    """Write the table. Raises CallError for a run without classes."""
    from automl_phys import class_exhibits

    schema, test = subject.problem.schema, subject.problem.test
    if not schema.classes:
        raise CallError(Mistake(
            "not-exportable", f"A run of task '{subject.plan.task}' has amounts, no classes: there is no cut to work "
            "at.", "Export the model (--format onnx); its resolution by bins is in the report."))
    judged = class_exhibits.judge(test, subject.predict(test))
    rows = [(name, "rest", f"score_{name}", *line) for k, name in enumerate(schema.classes)
            for line in _points(_looking_for(judged, k), subject.plan.seed)]
    if schema.signal is not None and len(schema.classes) > 2:
        for k, name in enumerate(schema.classes):
            if k != schema.signal and (test.target == k).any():
                signal = schema.classes[schema.signal]
                rows += [(signal, name, f"score_{signal} / (score_{signal} + score_{name})", *line)
                         for line in _points(judged.against(k), subject.plan.seed)]
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEAD, *rows])
    return Written(
        (target,), f"{len(rows)} working points of {len(test)} test events.",
        ("event weights; 68% intervals, binomial of the signal, bootstraps or binomial of the background",),
        ("whatever is not in the test events: a threshold is as good as they are like your data",),
        ("import pandas", f'points = pandas.read_csv("{target.name}")',
         f'cut = points.query("`class` == \'{schema.classes[judged.positive]}\' and against == \'rest\'")'))


def _looking_for(judged: Sample, k: int) -> Sample:
    from dataclasses import replace

    return replace(judged, signal=k)


def _points(judged: Sample, seed: int) -> list[tuple[str | float, ...]]:
    """A line for each efficiency: threshold, efficiencies and rejection with the ends of their intervals, a note."""
    from automl_phys import bootstrap, curves
    from automl_phys.ranking import effective

    positive = judged.positive
    names = [f"{kind}@{point}" for point in POINTS for kind in ("fpr", "rejection")]
    found = bootstrap.estimates(names, judged, seed)
    of_signal = judged.target == positive
    weight = judged.weight[of_signal]
    trials = float(effective(weight.sum(), (weight**2).sum()))
    lines: list[tuple[str | float, ...]] = []
    for point in POINTS:
        threshold = curves.threshold_at(judged, positive, float(point))
        passed = weight[judged.probabilities[of_signal, positive] >= threshold].sum()
        share = float(passed / weight.sum()) if weight.sum() > 0 else nan
        low, high = bootstrap.wilson(min(max(share, 0.0), 1.0), trials) if trials > 0 else (nan, nan)
        fpr, rejection = found[f"fpr@{point}"], found[f"rejection@{point}"]
        lines.append((threshold, share, low, high, fpr.value, fpr.low, fpr.high, rejection.value, rejection.low,
                      rejection.high, rejection.note))
    return lines
