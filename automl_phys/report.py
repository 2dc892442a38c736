"""The report: one HTML page that needs nothing else, the same in Markdown, and the figures as files.

Takes the files of a finished run (:class:`automl_phys.rundir.RunDir`), writes ``figures/``, ``report.html`` and
``report.md``. Writing it twice gives the same bytes. What was measured is the tasks' work, how figures are drawn
:mod:`automl_phys.figures`'s, how numbers are written :mod:`automl_phys.readable`'s, how a page is made of a template
:mod:`automl_phys.pages`'s.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from automl_phys import figures, interrupts, machine, objectives, pages, readable, rundir, sweep_page
from automl_phys.contracts import Show
from automl_phys.decisions import Plan
from automl_phys.exhibits import Estimate, Evaluation, Figure, Finding, Outcome, Sweep, Table
from automl_phys.frames import Inset
from automl_phys.rundir import RunDir
from automl_phys.search_figures import read_trials
from automl_phys.trials import Ensemble, Result, Trial, kind_of

SUFFIXES = {"html": "html", "markdown": "md"}
CARDS = 6
"""Key numbers on top of the page; all metrics stand in a table below."""

MOST_ROWS = 12
"""Of the table of metrics; a longer one is folded up, so that figures are not far below."""

FEWEST_ALIKE = 4
"""Metrics, before a note that they share is said only once."""

SEARCH_SECTION = "Search"
"""Figures of this section stand with the table of trials."""

MOST_PROCESSES = 4
FIGURES_PER_PROCESS = 8
"""Fewer are drawn sooner than another process has imported matplotlib."""

WORTH_READING: tuple[Outcome, ...] = ("issue", "tip")
"""Outcomes of checks that are shown in full."""

OUTCOMES = ("issue", "tip", "passed", "not applicable")


def run(run_dir: RunDir, formats: Sequence[str], figure_formats: Sequence[str], show: Show) -> Path:
    """Write the report; give the path of its first format.

    ``formats`` are of ``html`` and ``markdown``, ``figure_formats`` of ``png`` and ``pdf``; Markdown needs PNG and gets
    it. Raises CallError when a file of the run is missing or damaged, RunError when the disk refuses.
    """
    show.stage("Report")
    content = _content(run_dir)
    files = tuple(dict.fromkeys([*figure_formats, *(["png"] if "markdown" in formats else [])]))
    content["figure_formats"] = files
    shown: tuple[Figure, ...] = content["evaluation"].figures
    drawn: dict[str, Inset] = {}
    draw = partial(_draw, run_dir.figures, files, "html" in formats)
    with _several_processes(len(shown)) as each:
        for number, (figure, inset) in enumerate(zip(shown, each(draw, shown), strict=True), start=1):
            drawn[figure.name] = inset
            show.advance(number, len(shown), "figures")
    paths = [run_dir.report(SUFFIXES[name]) for name in formats]
    for path in paths:
        rundir.write_text(path, pages.render(f"report{path.suffix}.j2", content, drawn))
    show.say(f"The report is {paths[0] if paths else run_dir.figures}.")
    return paths[0] if paths else run_dir.figures


def _draw(folder: Path, files: Sequence[str], inline: bool, figure: Figure) -> Inset:
    """Write a figure's files; give its element when it is to stand ``inline`` in a page."""
    figures.draw(figure, folder, files)
    return figures.inset(figure) if inline else Inset("")


@contextmanager
def _several_processes(count: int) -> Iterator[Callable[..., Iterable[Inset]]]:
    """A ``map`` over as many processes as pay for ``count`` drawings; matplotlib draws one at a time in each."""
    processes = min(machine.cores(), MOST_PROCESSES, count // FIGURES_PER_PROCESS)
    if processes < 2:
        yield map
        return
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))

    def each(*given: Any) -> Iterable[Inset]:
        with interrupts.held():
            return pool.map(*given)

    try:
        yield each
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C nobody waits for what was not begun


# ---------------------------------------------------------------- what stands in the report

def _content(run_dir: RunDir) -> dict[str, Any]:
    """Everything that the templates name, but for the drawings."""
    plan = rundir.read_json(run_dir.plan, Plan)
    evaluation = rundir.read_json(run_dir.evaluation, Evaluation)
    findings = sorted(rundir.read_json(run_dir.findings, tuple[Finding, ...]), key=lambda f: OUTCOMES.index(f.outcome))
    trials = read_trials(run_dir)
    by_section: dict[str, list[Figure]] = {}
    for figure in evaluation.figures:
        by_section.setdefault(figure.section, []).append(figure)
    search_figures = by_section.pop(SEARCH_SECTION, [])
    leaderboard, metrics, *numbers = _results(plan, evaluation)
    outcomes = Counter(finding.outcome for finding in findings)
    shown = [(pages.anchor(section), section) for section in by_section]
    return {
        "plan": plan, "evaluation": evaluation, "trials": trials, "findings": findings,
        "headline": _headline(plan, evaluation),
        "counted": [(outcome, outcomes[outcome]) for outcome in WORTH_READING if outcomes[outcome]],
        "leaderboard": leaderboard, "metrics": metrics, "most_rows": MOST_ROWS, "numbers": numbers,
        "quiet": [f for f in findings if f.outcome not in WORTH_READING],
        "figures": by_section, "search_figures": search_figures,
        "ensemble": _ensemble(rundir.read_json(run_dir.ensemble, Ensemble)),
        "trial_table": _trial_table(trials, plan),
        "statuses": _statuses(trials),
        "search_note": run_dir.search_note.read_text(encoding="utf-8") if run_dir.search_note.exists() else "",
        "planned": tuple(_planned(plan)), "space": _space(plan),
        "recipe": run_dir.recipe.read_text(encoding="utf-8"),
        "provenance": tuple(_provenance(rundir.read_json(run_dir.environment, dict[str, Any]))),
        "contents": [("metrics", "Metrics"), *shown[:1], *([("threshold", "Threshold")] if evaluation.sweep else []),
                     *shown[1:], ("checks", "Checks"), ("leaderboard", "Leaderboard"),
                     *([("numbers", "Numbers")] if numbers else []), ("search", "Search"), ("plan", "Plan"),
                     ("recipe", "Recipe"), ("provenance", "Provenance")],
    } | _thresholds(evaluation.sweep)


def _thresholds(sweep: Sweep | None) -> dict[str, Any]:
    """What stands in the section of thresholds."""
    from markupsafe import Markup

    if sweep is None:
        return {}
    return {"named_thresholds": sweep_page.table(sweep), "thresholds": Markup(sweep_page.embedded(sweep))}  # noqa: S704 - JSON without "<"


def _headline(plan: Plan, evaluation: Evaluation) -> list[tuple[str, Estimate]]:
    """The objective first, then the task's metrics in its order."""
    ordered = sorted(evaluation.metrics.items(), key=lambda item: item[0] != plan.objective)
    return ordered[:CARDS]


def _results(plan: Plan, evaluation: Evaluation) -> tuple[Table, ...]:
    """Leaderboard and metrics, then the task's tables; one of the task takes the place of ours of the same title."""
    leaderboard = Table(
        "Leaderboard", ("model", "role", readable.metric(plan.objective), "gain over baseline", "fit"),
        tuple((score.name, score.role, _estimate(score.metrics.get(plan.objective)),
               _estimate(score.better_than_baseline), readable.duration(score.seconds)) for score in evaluation.scores),
        "On the test set. The gain is paired on the same test events; positive is better.")
    title = "Metrics on the test set" if "test" in plan.facts.rows else "Metrics"
    return tuple({table.title: table for table in (
        leaderboard, _metrics(title, evaluation.metrics), *evaluation.tables)}.values())


def _metrics(title: str, measured: Mapping[str, Estimate]) -> Table:
    """A row for each metric; a note that most of them have is said once, below."""
    usual, count = Counter(one.note for one in measured.values()).most_common(1)[0] if measured else ("", 0)
    if 2 * count <= len(measured) or len(measured) < FEWEST_ALIKE:
        usual = ""
    rows = tuple((readable.metric(name), readable.estimate(one), "" if one.note == usual else one.note)
                 for name, one in measured.items())
    if not any(note for _, _, note in rows):
        return Table(title, ("metric", "value"), tuple(row[:2] for row in rows),
                     "Intervals cover 68 %" + (f": {usual}." if usual else "."))
    return Table(title, ("metric", "value", "note"), rows,
                 "Intervals cover 68 %" + (f"; where there is no note: {usual}." if usual else "."))


def _estimate(found: Estimate | None) -> str:
    return readable.estimate(found) if found else "–"


def _ensemble(made: Ensemble) -> Table:
    rows = tuple((f"{m.family}, trial {m.trial}", f"{m.weight:.3g}", len(m.folders), readable.settings(m.params))
                 for m in made.members)
    head = ("member", "weight", "models", "settings")
    return Table("The winner: a weighted mean of" if len(rows) > 1 else "The winner", head, rows, " ".join(made.notes))


def _trial_table(trials: Sequence[Trial], plan: Plan) -> Table:
    on_gpus = any(kind_of(t.job.device) == "gpu" for t in trials)
    rows = tuple(
        (t.job.number, t.job.family, t.result.status.replace("_", " "), t.result.value,
         *(t.result.others.get(name) for name in plan.others), t.result.steps,
         readable.duration(t.result.seconds), t.result.worker, *((t.result.device,) if on_gpus else ()),
         readable.settings(t.job.params) + _reason(t.result))
        for t in trials)
    head = ("trial", "family", "status", f"{readable.metric(plan.objective)} (validation)",
            *(objectives.label(name) for name in plan.others), "steps", "time", "worker",
            *(("device",) if on_gpus else ()), "settings, and why it failed")
    return Table("Trials", head, rows)


def _statuses(trials: Sequence[Trial]) -> str:
    counted = Counter(t.result.status for t in trials)
    return ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in counted.items()) or "none"


def _reason(result: Result) -> str:
    """The last line of a traceback says what happened; the rest is in the trial's folder."""
    return f" – {result.message.strip().splitlines()[-1]}" if result.message.strip() else ""


def _planned(plan: Plan) -> Iterator[Table]:
    yield Table("Decisions", ("what", "decided"), readable.decisions(plan))
    yield Table("Families", ("family", "memory of a fit", "why"),
                tuple((c.family, readable.memory(c.memory_mb), c.reason) for c in plan.families))
    if plan.skipped:
        yield Table("Families left out", ("family", "why"), tuple(plan.skipped.items()))
    yield from plan.facts.tables


def _space(plan: Plan) -> Table:
    rows = tuple((c.family, name, readable.values_of(r), readable.scale_of(r), readable.condition(r.when), r.text)
                 for c in plan.families for name, r in c.space.items())
    return Table("Search space", ("family", "parameter", "values", "scale", "only if", "meaning"), rows)


def _provenance(environment: Mapping[str, Any]) -> Iterator[Table]:
    """Plain values in one table, each group of values in a table of its own."""
    groups = {name: value for name, value in environment.items() if isinstance(value, Mapping)}
    plain = tuple((name, _written(value)) for name, value in environment.items() if name not in groups)
    yield Table("Where it ran", ("what", "value"), plain)
    for name, group in groups.items():
        rows = tuple((what, _written(value)) for what, value in group.items())
        yield Table(name.replace("_", " ").capitalize(), ("what", "value"), rows)


def _written(value: Any) -> str | int | float | None:
    if value is None or isinstance(value, (str, int, float)):
        return str(value) if isinstance(value, float) else value
    return json.dumps(value, ensure_ascii=False).strip("[]{}").replace('"', "") or "none"
