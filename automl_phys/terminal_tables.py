"""Plans and evaluations as tables for a terminal of 80 columns or more. Gives rich renderables; prints nothing.

Text of the user's files stands in cells and never as markup: the console that prints these must have markup off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from automl_phys import exhibits, terminal_plots
from automl_phys.decisions import Plan
from automl_phys.exhibits import Evaluation, Figure, Finding, Score
from automl_phys.facts import Range
from automl_phys.readable import (
    cell,
    condition,
    count,
    decisions,
    duration,
    estimate,
    memory,
    metric,
    parts,
    printable,
    scale_of,
    values_of,
)

OUTCOMES = {"issue": ("bold red", "✗ issue"), "tip": ("magenta", "! tip")}
TABLES = ("The data and null data", "Clusters")
"""Tables of an evaluation, by title, that stand in the terminal too."""
MOST_OF_CHOICES = 300
"""Characters of the choices of a parameter: all of them, on several lines."""
WIDTH = 80
LONGEST_NAME = 30
"""Characters of a word that is not broken where there is room for it: names are there to be copied."""
ROLES = {"winner": "bold green", "member": "", "baseline": "dim"}


# ---------------------------------------------------------------- before a run

def plan(decided: Plan) -> Iterator[RenderableType]:
    """What would run and why, from the facts to the reasons."""
    yield Text.assemble((f"Plan of {printable(decided.name)}", "bold"),
                        f": task {decided.task}, {parts(decided.facts)}")
    for facts in decided.facts.tables:
        yield table(facts)
    if decided.facts.notes:
        yield _bullets(decided.facts.notes)
    on_gpu = any(chosen.device == "gpu" for chosen in decided.families)
    yield table(exhibits.Table(
        "Families", ("family", "memory of a fit", *(("on",) if on_gpu else ()), "why"),
        tuple((chosen.family, memory(chosen.memory_mb), *((chosen.device.upper(),) if on_gpu else ()), chosen.reason)
              for chosen in decided.families)))
    if decided.skipped:
        yield table(exhibits.Table("Left out", ("family", "why"), tuple(decided.skipped.items())))
    yield table(search_space(decided))
    yield table(exhibits.Table("Decisions", ("what", "decided"), decisions(decided)))
    yield Group(_heading("Reasons"), _bullets(decided.reasons))


def search_space(decided: Plan) -> exhibits.Table:
    rows = tuple((chosen.family, name, values_of(allowed, MOST_OF_CHOICES), _scale(allowed))
                 for chosen in decided.families for name, allowed in chosen.space.items())
    return exhibits.Table("Search space", ("family", "parameter", "values", "scale"), rows)


def _scale(allowed: Range) -> str:
    return scale_of(allowed) + (f", if {condition(allowed.when)}" if allowed.when else "")


# ---------------------------------------------------------------- after a run

def outcome(
    decided: Plan, evaluation: Evaluation, findings: Sequence[Finding], report: Path | None
) -> Iterator[RenderableType]:
    """The verdict, then what it rests on, then where the report lies."""
    yield Text.assemble(("Verdict  ", "bold"), printable(evaluation.verdict))
    yield table(metrics(evaluation))
    yield leaderboard(evaluation.scores, decided.objective)
    confusion = _first(evaluation.figures, "confusion", "matrix")
    if confusion:
        yield terminal_plots.matrix(confusion)
    roc = _first(evaluation.figures, "roc", "xy")
    if roc:
        yield Group(_heading(printable(roc.title)), terminal_plots.plot(roc))
    yield from map(table, (shown for shown in evaluation.tables if shown.title in TABLES))
    scatter = _first(evaluation.figures, "map", "scatter")
    if scatter:
        yield Group(_heading(printable(scatter.title)), terminal_plots.scatter(scatter))
    if findings:
        yield checks(findings)
    if report:
        yield Text.assemble(("Report  ", "bold"), (printable(str(report)), "cyan"))


def metrics(evaluation: Evaluation) -> exhibits.Table:
    found = evaluation.metrics.items()
    return exhibits.Table(
        "Metrics, with 68 % intervals", ("metric", "value"),
        tuple((metric(name), estimate(one)) for name, one in found),
        note="How each interval was had stands in the report.")


def _first(figures: Sequence[Figure], beginning: str, kind: str) -> Figure | None:
    return next((f for f in figures if f.kind == kind and f.name.startswith(beginning)), None)


def leaderboard(scores: Sequence[Score], objective: str) -> Table:
    """Every candidate with its objective and its paired gain over the baseline, in the order of the evaluation."""
    made = _empty("Leaderboard", (metric(objective), "gain over baseline", "fit"), first="model", right=(0, 1, 2))
    for score in scores:
        found = score.metrics.get(objective)
        gain = score.better_than_baseline
        made.add_row(
            Text.assemble((printable(score.name), ROLES[score.role]), (f"  {score.role}", "dim")),
            estimate(found) if found else "–",
            Text(estimate(gain), _gain_style(gain)) if gain else Text("–"),
            duration(score.seconds))
    return made


def _gain_style(gain: exhibits.Estimate) -> str:
    """Green or red only where the interval leaves zero out."""
    return "green" if gain.low > 0 else "red" if gain.high < 0 else "magenta"


def checks(findings: Sequence[Finding]) -> RenderableType:
    """Issues and tips in full, the others counted."""
    lines: list[RenderableType] = [_heading("Checks")]
    for finding in sorted((f for f in findings if f.outcome in ("issue", "tip")), key=lambda f: f.outcome):
        style, word = OUTCOMES[finding.outcome]
        title, code = (printable(finding.title), "bold"), (f"  [{finding.code}]", "dim")
        lines.append(Text.assemble((f"{word}  ", style), title, code))
        lines.append(Padding(Text(printable(finding.text)), (0, 0, 0, 4)))
    counted = [(word, sum(f.outcome == word for f in findings)) for word in ("passed", "not applicable")]
    quiet = ", ".join(f"{count(number, 'check')} {word}" for word, number in counted if number)
    found = len(lines) > 1
    if quiet:
        lines.append(Text(f"{quiet}.", "dim" if found else "green"))
    if found:
        lines.append(Text("More on one of them: automl-phys explain CODE", "dim"))
    return Group(*lines)


# ---------------------------------------------------------------- pieces

def table(shown: exhibits.Table) -> Table:
    """A table of the contracts; columns of numbers only stand at the right."""
    right = tuple(index - 1 for index in range(1, len(shown.head))
                  if shown.rows and all(isinstance(row[index], (int, float, type(None))) for row in shown.rows))
    first, *others = map(printable, shown.head)
    made = _empty(printable(shown.title), tuple(others), first, right)
    made.caption = printable(shown.note) if shown.note else None
    previous = None
    for row in shown.rows:
        if previous is not None and shown.head[0] == "family" and row[0] == previous:
            made.add_row("", *map(cell, row[1:]))  # a family's name once
        else:
            made.add_row(*map(cell, row))
        previous = row[0]
    _keep_words(made, shown)
    return made


def _keep_words(made: Table, shown: exhibits.Table) -> None:
    """Have columns no narrower than their longest words where 80 columns hold all of these, else only the first."""
    words = [max((len(word) for row in shown.rows for word in cell(row[index]).split()), default=0)
             for index in range(len(shown.head))]
    least = [min(max(longest, len(head)), LONGEST_NAME) for longest, head in zip(words, shown.head, strict=True)]
    gaps = 3 * (len(least) - 1)
    for column, width in list(zip(made.columns, least, strict=True))[:None if sum(least) + gaps <= WIDTH else 1]:
        column.min_width = width


def _empty(title: str, heads: tuple[str, ...], first: str, right: tuple[int, ...]) -> Table:
    made = Table(title=Text(title, "bold"), title_justify="left", caption_justify="left", caption_style="dim",
                 box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
    made.add_column(first, overflow="fold")
    for index, head in enumerate(heads):
        made.add_column(head, justify="right" if index in right else "left", overflow="fold")
    return made


def _heading(text: str) -> Text:
    return Text(text, "bold")


def _bullets(texts: Sequence[str]) -> Table:
    rows = Table.grid(padding=(0, 1))
    for text in texts:
        rows.add_row("•", Text(printable(text)))
    return rows
