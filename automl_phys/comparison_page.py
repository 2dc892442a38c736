"""The page of a comparison: one HTML file that needs nothing else.

Takes a :class:`automl_phys.comparison.Comparison`, writes the file. What stands in its tables is
:mod:`automl_phys.comparison_tables`'s work, how figures are drawn :mod:`automl_phys.figures`'s; the page is
``templates/compare.html.j2``.
"""

from __future__ import annotations

from pathlib import Path

from automl_phys import __version__, comparison_tables, figures, pages, rundir
from automl_phys.comparison import Comparison
from automl_phys.errors import CallError, Mistake

GENERATOR = '<meta name="generator" content="automl-phys compare">'
"""Stands in the page's head: such a file may be written over."""
HEAD_BYTES = 4096


def check(target: Path) -> None:
    """Raise CallError when the page cannot stand at ``target``: no name of a page, or something else is there."""
    if target.suffix.lower() not in (".html", ".htm"):
        raise CallError(Mistake("unknown-format", f"The page would be {target}, which is no name of a page.",
                                "Let it end in .html."))
    if target.exists() and not _is_ours(target):
        raise CallError(Mistake("file-exists", f"{target} exists already, and is no page of a comparison.",
                                "Choose another name, or remove it first."))


def write(found: Comparison, target: Path) -> None:
    """Write the page, atomically. Raises RunError when the disk refuses."""
    drawn = {figure.name: figures.svg(figure) for figure in found.figures}
    first, *others = found.runs
    content = {
        "found": found, "first": first, "generator": GENERATOR, "version": __version__,
        "runs": comparison_tables.runs(found),
        "metrics": [comparison_tables.metrics(found, run.letter)[0] for run in others],
        "recipe": comparison_tables.changed("Keys of the recipe that differ", found, found.recipe),
        "decisions": comparison_tables.changed("Decisions that differ", found, found.decisions),
        "environment": comparison_tables.changed("Machine and packages that differ", found, found.environment),
        "contents": [("runs", "Runs"), ("metrics", "Metrics"), ("curves", "Curves"), ("recipe", "Recipe"),
                     ("environment", "Environment")],
    }
    rundir.write_text(target, pages.render("compare.html.j2", content, drawn))


def _is_ours(path: Path) -> bool:
    """Whether the beginning of a file says that it is such a page."""
    try:
        with path.open("rb") as handle:
            return GENERATOR.encode() in handle.read(HEAD_BYTES)
    except OSError:  # a folder, or what may not be read
        return False
