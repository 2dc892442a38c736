"""Tables of how generated events close: the ranking of generators, every measure beside its floor, columns, in words.

Takes estimates and scores of :mod:`automl_phys.closure`; gives ``exhibits.Table`` and the verdict. Figures of the same
are in :mod:`automl_phys.closure_figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot, inf, isfinite, isnan, nan

from automl_phys import leaderboard, measures
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.readable import estimate

BESIDE = ("c2st", "sliced_wasserstein", "memorisation")
"""Measures that stand beside the objective in the leaderboard."""
COMPATIBLE = 2.0
"""Standard deviations up to which a measure is not told from its floor."""
COPIES = 3.0
"""Standard deviations of memorisation above its floor from which the verdict tells of it."""
MOST_COLUMNS = 15
COLUMN = "wasserstein/"
TWO_SIDED = frozenset({"density"})
"""Measures that are off on either side of their floor."""


def ranked(scores: Sequence[Score], objective: str) -> Table:
    """The leaderboard of generators."""
    beside = tuple(name for name in BESIDE if name != objective and name in scores[0].metrics)
    note = ("Gains are positive when better; their intervals are those of the two scores in quadrature. A memorisation "
            "of 0.5 means no copies of training events, of 1 copies only.")
    return leaderboard.table(scores, objective, beside, "Generator", "", note)


def against_floors(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate]) -> Table:
    """Every measure of the winner beside the same of real events, and whether the two are compatible."""
    rows = tuple(
        (measures.label(name), estimate(one), estimate(floors[name]), compared(name, one, floors[name]),
         measures.find(name)[0].cited)
        for name, one in metrics.items() if not name.startswith(COLUMN) and name in floors)
    return Table("Closure", ("Measure", "Generated", "Floor", "Generated against floor", "What it is"), rows,
                 "Floor: the same measure with real training events in the place of generated ones; no generator can "
                 f"be expected to do better. Compatible: not worse by more than {COMPATIBLE:g} σ, the uncertainties of "
                 "both in quadrature.")


def columns(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate]) -> Table | None:
    """The columns and derived quantities that close worst; None where none was measured."""
    names = [name for name in metrics if name.startswith(COLUMN) and name in floors]
    if not names:
        return None
    names.sort(key=lambda name: _known(off(name, metrics[name], floors[name])), reverse=True)
    rows = tuple((name.removeprefix(COLUMN), estimate(metrics[name]), estimate(floors[name]),
                  compared(name, metrics[name], floors[name])) for name in names[:MOST_COLUMNS])
    only = f" The first {MOST_COLUMNS} of {len(names)}." if len(names) > MOST_COLUMNS else ""
    return Table("Columns that close worst", ("Column", measures.label("wasserstein"), "Floor",
                                              "Generated against floor"), rows,
                 f"Distances between the distributions of one column, in units of its real standard deviation.{only}")


def verdict(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate], winner: Score, baseline: Score) -> str:
    """Whether a classifier tells generated from real events, for the winner and for the baseline, and which of the two
    to use; two or three sentences. What decides between them is the gain in the objective."""
    found, floor = metrics["c2st"], floors["c2st"]
    if not isfinite(found.value):
        text = f"{winner.name}: whether a classifier tells generated from real events is not known, {found.note}."
    else:
        apart = off("c2st", found, floor)
        tells = "does not tell" if apart < COMPATIBLE else "tells"
        text = (f"{winner.name}: a classifier {tells} generated from real events, with AUC {estimate(found)}; the "
                f"floor, real against real, is {estimate(floor)}.")
    return text + _with_copies(metrics, floors) + _beside_baseline(winner, baseline)


def _with_copies(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate]) -> str:
    """That events look so real because they are copies, where that is so."""
    name = "memorisation"
    if name not in metrics or name not in floors or not off(name, metrics[name], floors[name]) >= COPIES:
        return ""
    return f" Some are copies of training events: memorisation {estimate(metrics[name])}, 0.5 for none."


def _beside_baseline(winner: Score, baseline: Score) -> str:
    gain = winner.better_than_baseline
    if gain is None or gain.value == 0:
        return f" It does just what the {baseline.name} does; nothing better was found."
    text = f" The {baseline.name}: {estimate(baseline.metrics['c2st'])}"
    strength = leaderboard.sigmas(gain)
    if strength >= COMPATIBLE:
        return f"{text}; it is worse in the objective by {leaderboard.size(gain)} ({strength:.0f} σ)."
    if strength > -COMPATIBLE:
        return (f"{text}; in the objective the test events cannot tell the two apart ({abs(strength):.1f} σ): the "
                "simpler one will do.")
    return f"{text}; it is better in the objective by {leaderboard.size(gain)} ({-strength:.0f} σ): use that one."


def compared(name: str, found: Estimate, floor: Estimate) -> str:
    """In words whether a measure is compatible with its floor: ``compatible``, ``worse by 0.07 ± 0.01 (7 σ)``."""
    apart = off(name, found, floor)
    if not apart >= COMPATIBLE:
        return "–" if isnan(apart) else "compatible"
    sense = "worse"
    if measures.find(name.partition("/")[0])[0].name in TWO_SIDED:
        sense = "too high" if found.value > floor.value else "too low"
    size, error = abs(found.value - floor.value), _error(found, floor)
    strength = f" ({apart:.1f} σ)" if apart < 9.95 else f" ({apart:.0f} σ)" if apart < inf else ""
    return f"{sense} by {estimate(Estimate(size, size - error, size + error))}{strength}"


def off(name: str, found: Estimate, floor: Estimate) -> float:
    """By how many standard deviations a measure is worse than its floor; negative if it is better, NaN if unknown."""
    measure = measures.find(name.partition("/")[0])[0]
    worse = found.value - floor.value
    if measure.name in TWO_SIDED:
        worse = abs(worse)
    elif measure.direction == "maximize":
        worse = -worse
    error = _error(found, floor)
    if error == 0 and isfinite(worse):
        return 0.0 if worse == 0 else inf if worse > 0 else -inf
    return worse / error if error > 0 else nan


def _error(found: Estimate, floor: Estimate) -> float:
    """Of the difference: half of the intervals in quadrature."""
    return hypot((found.high - found.low) / 2, (floor.high - floor.low) / 2)


def _known(strength: float) -> float:
    """For sorting: what is not known comes last."""
    return -inf if isnan(strength) else strength
