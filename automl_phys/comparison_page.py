"""The page of a comparison: one HTML file that needs nothing else.

Takes a :class:`automl_phys.comparison.Comparison`, writes the file. What stands in its tables is
:mod:`automl_phys.comparison_tables`'s work, how figures are drawn :mod:`automl_phys.figures`'s; the page is
``templates/compare.html.j2``.
"""

from __future__ import annotations

from pathlib import Path

from automl_phys import comparison_tables, figures, pages, rundir
from automl_phys.comparison import Comparison


def write(found: Comparison, target: Path) -> None:
    """Write the page, atomically. Raises RunError when the disk refuses."""
    drawn = {figure.name: figures.inset(figure) for figure in found.figures}
    first, *others = found.runs
    content = {
        "found": found, "first": first,
        "runs": comparison_tables.runs(found),
        "metrics": [comparison_tables.metrics(found, run.letter)[0] for run in others],
        "recipe": comparison_tables.changed("Keys of the recipe that differ", found, found.recipe),
        "decisions": comparison_tables.changed("Decisions that differ", found, found.decisions),
        "environment": comparison_tables.changed("Machine and packages that differ", found, found.environment),
        "contents": [("runs", "Runs"), ("metrics", "Metrics"), ("curves", "Curves"), ("recipe", "Recipe"),
                     ("environment", "Environment")],
    }
    rundir.write_text(target, pages.render("compare.html.j2", content, drawn))
