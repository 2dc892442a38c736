"""Tables of how generated events close: every measure beside its floor, columns, the ranking of generators.

Takes estimates; gives tables and the verdict in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from automl_phys import leaderboard, measures
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.readable import estimate

BESIDE = ("sliced_wasserstein", "memorisation")
COMPATIBLE = 2.0
"""Standard deviations up to which a measure is not told from its floor."""
MOST_COLUMNS = 15
COLUMN = "wasserstein/"


def ranked(scores: Sequence[Score], objective: str) -> Table:
    """The leaderboard of generators."""
    beside = tuple(name for name in BESIDE if name != objective and name in scores[0].metrics)
    note = ("Gains are positive when better; their intervals are those of the two scores in quadrature. Memorisation "
            "of 0.5 is none.")
    return leaderboard.table(scores, objective, beside, "Generator", "", note)


def against_floors(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate]) -> Table:
    """Every measure of the winner beside the same of as many real training events."""
    rows = tuple(
        (measures.label(name), estimate(one), estimate(floors[name]), _held(name, one, floors[name]),
         measures.find(name)[0].formula)
        for name, one in metrics.items() if not name.startswith(COLUMN) and name in floors)
    return Table("Closure", ("Measure", "Generated", "Real (floor)", "Apart", "What it is"), rows,
                 "The floor is the same measure of real training events in the place of generated ones: no generator "
                 "can be expected to be better. Apart: the difference in units of its uncertainty, positive is worse.")


def columns(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate]) -> Table | None:
    """The columns that close worst."""
    names = [name for name in metrics if name.startswith(COLUMN) and name in floors]
    if not names:
        return None
    names.sort(key=lambda name: _apart(name, metrics[name], floors[name]), reverse=True)
    rows = tuple((name.removeprefix(COLUMN), estimate(metrics[name]), estimate(floors[name]),
                  _held(name, metrics[name], floors[name])) for name in names[:MOST_COLUMNS])
    return Table("Columns, the worst first", ("Column", "Wasserstein distance", "Real (floor)", "Apart"), rows,
                 "In units of the real standard deviation.")


def verdict(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate], winner: Score, baseline: Score) -> str:
    """Whether a classifier tells generated from real events, and what the baseline does."""
    one, floor = metrics["c2st"], floors["c2st"]
    told = "hardly tells" if _apart("c2st", one, floor) < COMPATIBLE else "tells"
    text = (f"{winner.name}: a classifier {told} generated from real events, with AUC {estimate(one)}; the floor is "
            f"{estimate(floor)}.")
    gain = winner.better_than_baseline
    if gain is None or gain.value == 0:
        return f"{text} It is the baseline: nothing better was found."
    other = estimate(baseline.metrics["c2st"])
    strength = leaderboard.sigmas(gain)
    if strength >= COMPATIBLE:
        return f"{text} Of the {baseline.name} it is {other}."
    if strength > -COMPATIBLE:
        return f"{text} The {baseline.name} ({other}) is not to be told from it: the simpler one will do."
    return f"{text} The {baseline.name} is better ({other}): use that one."


def _held(name: str, one: Estimate, floor: Estimate) -> str:
    apart = _apart(name, one, floor)
    return "–" if apart != apart else f"{apart:.1f} σ".replace("-", "−")  # noqa: PLR0124 - NaN alone differs from itself


def _apart(name: str, one: Estimate, floor: Estimate) -> float:
    """How much worse than its floor, in units of the uncertainty of both; of a share that has an ideal in the middle
    how much further from it."""
    sign = -1.0 if measures.find(name.partition("/")[0])[0].direction == "maximize" else 1.0
    error = (((one.high - one.low) / 2) ** 2 + ((floor.high - floor.low) / 2) ** 2) ** 0.5
    return sign * (one.value - floor.value) / error if error > 0 else float("nan")
