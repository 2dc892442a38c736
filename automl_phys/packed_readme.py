"""The README of an archive, generated from what is in it.

Takes a recipe, its data and the run, if it is of one; gives Markdown: what it is, how to use it, what it needs, and the
numbers that it gave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from automl_phys import __version__, readable, rundir
from automl_phys.archives import SUFFIX
from automl_phys.exhibits import Evaluation

if TYPE_CHECKING:
    from automl_phys.packed_data import Datum
    from automl_phys.recipe import Recipe
    from automl_phys.rundir import RunDir


def text(wanted: Recipe, data: Sequence[Datum], run: RunDir | None, with_model: bool) -> str:
    """The README as Markdown. Raises CallError for a run whose evaluation is damaged."""
    return "\n".join(_lines(wanted, data, run, with_model)) + "\n"


def _lines(wanted: Recipe, data: Sequence[Datum], run: RunDir | None, with_model: bool) -> Iterator[str]:
    file = f"{wanted.name}{SUFFIX}"
    yield from (f"# {_line(wanted.name)}", "")
    if wanted.description:
        yield from (_line(wanted.description), "")
    yield from (f"A {'run' if run else 'recipe'} of task `{wanted.task}`, packed by automl-phys {__version__}.", "",
                "```", f"automl-phys run {file}")
    if with_model:
        yield f"automl-phys predict {file} NEW_DATA -o scores.parquet"
    yield from (f"automl-phys unpack {file}", "```", "", "## Data", "")
    section = wanted.data.get("data", {})
    if "builtin" in section:
        yield f"`{section['builtin']}`, which comes with the program."
    elif "url" in section:
        yield from (f"{section['url']}", "", f"SHA-256 `{section['sha256']}`; downloaded when it is run.")
    elif data:
        yield from _data(data)
    else:
        yield "None."
    if expected := wanted.data.get("expect"):
        yield from ("", "## Expected", "", *(f"- {_line(str(name))}: {_line(str(what))}"
                                            for name, what in expected.items()))
    if run is not None and run.evaluation.is_file():
        yield from ("", "## Numbers of the run", "", "| metric | value |", "|---|---|")
        for name, one in rundir.read_json(run.evaluation, Evaluation).metrics.items():
            yield f"| {_line(readable.metric(name))} | {_line(readable.estimate(one))} |"


def _data(data: Sequence[Datum]) -> Iterator[str]:
    if not all(one.inside for one in data):
        yield from ("Not inside. Unpack the archive and put these files into it, or name your own with "
                    "`--set data.path=FILE`.", "")
    yield from ("| file | bytes | SHA-256 |", "|---|---|---|")
    for one in data:
        yield f"| `{one.name}` | {one.bytes or 'not known'} | `{one.sha256 or 'not known'}` |"


def _line(words: str) -> str:
    """A text on one line, in which no sign means anything to a table."""
    return " ".join(words.split()).replace("|", "\\|").replace("<", "&lt;")
