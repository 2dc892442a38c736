"""A comparison as tables for a terminal or a page. Takes :class:`automl_phys.comparison.Comparison`, gives tables as
data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from automl_phys import readable
from automl_phys.comparison import ENOUGH, Changed, Comparison, Difference, How
from automl_phys.exhibits import Table

MARKS: Mapping[How, str] = {"paired": "", "through the baseline": " †", "independent": " *", "none": ""}
"""How the error of a difference was had; a note beneath the table says what the marks mean."""


def runs(found: Comparison) -> Table:
    """What is compared."""
    rows = tuple((run.letter, run.name, run.task, run.data, run.winner, run.folder) for run in found.runs)
    return Table("Runs", ("", "run", "task", "data", "winner", "folder"), rows)


def metrics(found: Comparison, letter: str) -> tuple[Table, tuple[str, ...]]:
    """Every metric of the first run and of another, with their difference, as narrow as 80 columns; and what each row
    makes of the other run, for colours."""
    first = found.runs[0].letter
    shown = [(one, one.differences[letter]) for one in found.metrics if letter in one.differences]
    rows = tuple(
        (readable.metric(one.name), readable.estimate(one.values[first]), readable.estimate(one.values[letter]),
         readable.estimate(difference.value), _short(difference)) for one, difference in shown)
    head = ("metric", first, letter, f"{letter} − {first}", f"{letter} is")
    return (Table(f"{letter} beside {first}, with 68 % intervals", head, rows,
                  " ".join([_reading(), *_legend([difference for _, difference in shown])])),
            tuple(difference.word for _, difference in shown))


def _reading() -> str:
    return f"Within {ENOUGH:g} σ two runs are not to be told apart by their test events."


def _legend(differences: Sequence[Difference]) -> Iterator[str]:
    """What the marks mean that are there."""
    used = {difference.how for difference in differences}
    if "paired" in used:
        yield "Errors of differences: paired bootstrap on the same test events" + \
            (", but *: combined as independent." if "independent" in used else ".")
    elif "independent" in used:
        yield "*: errors combined as independent."
    if "through the baseline" in used:
        yield "†: from the gains of both over the same baseline."


def _short(difference: Difference) -> str:
    if difference.sigmas is None:
        return "–"
    if difference.word == "the same":
        return "the same"
    word = "" if difference.word == "not to be told apart" else f"{difference.word}, "
    return f"{word}{abs(difference.sigmas):.1f} σ{MARKS[difference.how]}"


def changed(title: str, found: Comparison, keys: Sequence[Changed], note: str = "") -> Table:
    """Keys that differ, the values of the runs side by side."""
    letters = [run.letter for run in found.runs]
    rows = tuple((one.key, *(written(one.values[letter]) if letter in one.values else "–" for letter in letters))
                 for one in keys)
    return Table(title, ("key", *letters), rows, note)


def written(value: Any) -> str:
    """A value of a recipe or an environment: text as it is, nothing as ``none``."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {written(each)}' for key, each in value.items())}}}"
    return "none" if value is None else readable.setting(value)
