"""The ranking of all candidates of a task: as a table, the winner on top, and in a sentence. Takes scores."""

from __future__ import annotations

from collections.abc import Sequence

from automl_phys import measures
from automl_phys.exhibits import Estimate, Score, Table
from automl_phys.readable import duration, estimate


def table(scores: Sequence[Score], objective: str, beside: Sequence[str], first: str, where: str, note: str) -> Table:
    """Every candidate, the best in the objective first but the winner on top.

    ``beside`` are metrics to stand beside the objective, ``first`` what the candidates are called, ``where`` on what
    the objective was measured.
    """
    sign = -1 if measures.find(objective)[0].direction == "maximize" else 1
    ranked = sorted(scores, key=lambda s: (s.role != "winner", sign * s.metrics[objective].value))
    rows: list[tuple[str | float | None, ...]] = []
    for score in ranked:
        over = score.better_than_baseline
        gained = (estimate(over), float(f"{sigmas(over):.2g}")) if over else (None, None)
        rows.append((score.name, score.role, estimate(score.metrics[objective]), *gained,
                     *(estimate(score.metrics[name]) for name in beside), duration(score.seconds)))
    head = (first, "Role", f"{measures.label(objective)}{where}", "Gain over baseline", "σ",
            *(measures.label(name) for name in beside), "Fit")
    return Table("Leaderboard", head, tuple(rows), note)


def sigmas(gain: Estimate) -> float:
    """A gain in units of its uncertainty; 0 when there is neither."""
    half = (gain.high - gain.low) / 2
    return gain.value / half if half > 0 else 0.0


def size(gain: Estimate) -> str:
    """A gain without its sign, and its uncertainty."""
    value, half = abs(gain.value), abs(gain.high - gain.low) / 2
    return estimate(Estimate(value, value - half, value + half))


def verdict(winner: Score, baseline: str, objective: str, judged: str = "test rows") -> str:
    """What won, by how much over the baseline, and whether that exceeds the uncertainty; one or two sentences."""
    label = measures.label(objective)
    reached = f"{winner.name}: {label[0].lower() + label[1:] if label[1:2].islower() else label} " \
              f"{estimate(winner.metrics[objective])} on the {judged}"
    gain = winner.better_than_baseline
    if gain is None or gain.value == 0 == gain.high - gain.low:
        return f"{reached}. It does just what the {baseline} does; nothing better was found."
    by = size(gain)
    strength = sigmas(gain)
    if strength >= 2:
        return f"{reached}, better than the {baseline} by {by} ({strength:.0f} σ)."
    if strength > -2:
        sense = "better" if gain.value >= 0 else "worse"
        return (f"{reached}, {sense} than the {baseline} by {by}, which is within its uncertainty "
                f"({abs(strength):.1f} σ): the {judged} cannot tell the two apart.")
    return f"{reached}. The {baseline} is better by {by} ({-strength:.0f} σ): use that one."
