"""Did a cut or the split change how much each class counts?"""

from __future__ import annotations

from math import sqrt

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-WEIGHTS"
TITLE = "Sums of weights"
MEANS = (
    "A cut, a dropped row or the split changed how much weight a class has; it is an issue where a class counts "
    "nothing, or less, in validation or test.")
WHY = (
    "Sums of weights are expected yields. Negative weights may cancel in a small part, and then its scores mean "
    "nothing.")
REMEDY = "Multiply yields by the share that is left, and give parts with too little weight more rows."
SOURCES = "Bohm, Zech, NIM A 748 (2014) 1"

UNLIKELY = 4.0
"""Standard deviations by which a part's sum of weights is off what chance would do."""
SMALL = 0.01
"""Relative changes below this are nobody's concern."""


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when a cut takes weight away, or when a part has more or less of a class than its rows would have by chance;
    issue when a class counts nothing, or less, in the rows that models are judged on."""
    table = next((t for t in seen.problem.facts().tables if t.title == "Sums of weights"), None)
    if table is None:
        return "not applicable", "There are no weights, and no cut."
    rows = [dict(zip(table.head, row, strict=True)) for row in table.rows]
    count = seen.problem.facts().rows
    shares = {part: count[part] / sum(count.values()) for part in ("train", "valid", "test")}
    kept, moved, empty = [], [], []
    for row in rows:
        name, whole, after = row["class"], float(row["in the files"] or 0), float(row["after cut"] or 0)
        if abs(after - whole) > SMALL * abs(whole):
            kept.append(f"{name} {after / whole:.1%} (from {whole:.5g} to {after:.5g})" if whole else
                        f"{name} (from 0 to {after:.5g})")
        for part, share in shares.items():
            there, meant = float(row[part] or 0), share * after
            chance = sqrt(share * (1 - share) * float(row["sum of squares"] or 0))
            if there <= 0 and part != "train":
                empty.append(f"{name} in {part} ({there:.4g})")
            elif abs(there - meant) > max(UNLIKELY * chance, SMALL * abs(meant)):
                moved.append(f"{name} in {part} {there:.5g} (by its rows {meant:.5g})")
    said = []
    if empty:
        said.append(f"The weights add up to nothing, or less, for {', '.join(empty)}: scores of them mean nothing. "
                    "Give these parts more rows.")
    if kept:
        said.append(f"Of the sum of weights, the cut and what was dropped leave {', '.join(kept)}: multiply expected "
                    "yields by that.")
    if moved:
        said.append(f"The split gives classes other sums of weights than chance would: {', '.join(moved)}. Scores on "
                    "these parts are for that mixture.")
    return "issue" if empty else "tip" if said else "passed", " ".join(said)
