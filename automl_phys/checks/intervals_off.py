"""Did the intervals of forecasts hold what they were to hold?"""

from __future__ import annotations

from math import isnan

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-INTERVALS"
TITLE = "Intervals of forecasts that hold too little or too much"
MEANS = "In the test windows, intervals of the forecast held clearly more or less of what came than they promise."
WHY = (
    "The width was learnt from how wrong forecasts were on the validation. A later time may be calmer or wilder "
    "than that.")
REMEDY = (
    "If they hold too little, trust them less and let 'forecast: valid:' take in more of the past; if too much, "
    "you are on the safe side.")
SOURCES = "Gneiting, Balabdaoui, Raftery, J. R. Statist. Soc. B 69 (2007) 243"

SIGMAS = 2.0
FAR = 0.05
"""Difference of a coverage from the nominal one that matters."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when the share of what came that was inside differs from the nominal one by more than 5 % and more than two
    standard deviations over windows."""
    if seen.plan.facts.kind != "series":
        return "not applicable", "Nothing is forecast."
    narrow: list[str] = []
    wide: list[str] = []
    for name, found in seen.evaluation.metrics.items():
        kind, _, point = name.partition("@")
        if kind != "coverage":
            continue
        nominal, half = float(point), (found.high - found.low) / 2
        if abs(found.value - nominal) > max(FAR, SIGMAS * (0.0 if isnan(half) else half)):
            said = f"{100 * nominal:g} % intervals hold {found.value:.1%} ± {half:.1%}"
            (narrow if found.value < nominal else wide).append(said)
    texts = []
    if narrow:
        texts.append(f"In the test windows {', '.join(narrow)} of what came. That time was not like the validation: "
                     "trust the intervals less, or let forecast.valid take in more of the past.")
    if wide:
        texts.append(f"In the test windows {', '.join(wide)} of what came: wider than they need be, which is the safe "
                     "side. The validation was the harder time.")
    return ("tip", " ".join(texts)) if texts else ("passed", "")
