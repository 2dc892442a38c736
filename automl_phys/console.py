"""The terminal: progress on stderr while a run goes on, results on stdout. The only module of the package that prints.

On a terminal the running stage is shown live. Where there is none, or ``NO_COLOR`` is set, plain lines are written: one
for each stage, message and finished trial, without escape codes. What tables and plots look like is the work of
:mod:`terminal_tables`, :mod:`terminal_comparison`, :mod:`terminal_doctor`, :mod:`terminal_plots` and
:mod:`terminal_search`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from automl_phys import exhibits, terminal_comparison, terminal_doctor, terminal_tables
from automl_phys.comparison import Comparison
from automl_phys.decisions import Plan
from automl_phys.doctor import Diagnosis
from automl_phys.exhibits import Evaluation, Finding
from automl_phys.readable import duration, printable
from automl_phys.rundir import RunDir, read_json
from automl_phys.terminal_search import BAR_WIDTH, STATUS_STYLES, Board
from automl_phys.trials import Job, Progress, Result

REFRESHES_PER_SECOND = 4
SEARCH = "Search"
"""The stage that the plan's trials and minutes are for; others that fit say themselves how often they do."""
LEAST_TO_TELL = 1.0
"""Seconds after which a pace is known well enough to tell the time left."""
PLAIN_STEPS = 10
"""Lines in which a long stage tells its progress where nothing can be redrawn."""


class Terminal:
    """Satisfies :class:`automl_phys.contracts.Show`; a context manager, so that the live display always ends.

    ``quiet`` leaves out all progress; results and errors are printed still. The streams and the clock (seconds,
    monotonic) are there for tests.
    """

    def __init__(
        self, quiet: bool = False, log: TextIO | None = None, results: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.quiet = quiet
        self._log = _console(log, stderr=True)
        self._results = _console(results, stderr=False)
        self._clock = clock
        self._plan: Plan | None = None
        self._live: Live | None = None
        self._title = ""
        self._told = False
        """Whether the end of a stage is the last that was printed."""
        self._stage_began = clock()
        self._board: Board | None = None
        self._progress: tuple[int, int, str] | None = None
        self._counts_from: tuple[float, int] = (clock(), 0)
        """When the running count began, and at what."""
        self._last_told = 0
        """Of the running count, the tenth that was printed last."""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_stage(completed=kind is None)

    def begin(self, plan: Plan, folder: Path) -> None:
        """Tell the plan of the run, so that its search can show trials to go and time left."""
        self._plan = plan
        names = ", ".join(chosen.family for chosen in plan.families)
        self.say(f"{plan.trials} trials of {names} on {plan.workers} worker{'s' * (plan.workers > 1)}, in {folder}")

    # -------------------------------------------------------- what stages tell

    def stage(self, title: str) -> None:
        self._end_stage(completed=True)
        self._title, self._stage_began = printable(title), self._clock()
        if self.quiet:
            return
        if not self._log.is_terminal:
            self._log.print(f"== {self._title}", soft_wrap=True)
            return
        self._live = Live(
            get_renderable=self._view, console=self._log, refresh_per_second=REFRESHES_PER_SECOND, transient=True)
        self._live.start()

    def say(self, text: str) -> None:
        if not self.quiet:
            self._line(Text(printable(text)))

    def advance(self, done: int, total: int, text: str = "") -> None:
        if not total:
            return
        before, self._progress = self._progress, (done, total, printable(text))
        self._count_trials()
        now = self._clock()
        if before is None or before[1] != total or done < before[0]:
            slow = before is None and now - self._stage_began >= LEAST_TO_TELL  # else it was there from a former run
            self._counts_from, self._last_told = ((self._stage_began, 0) if slow else (now, done)), 0
        if self.quiet or self._live is not None or self._board is not None:
            return  # lines of trials count by themselves
        step = PLAIN_STEPS * done // total
        if now - self._counts_from[0] >= LEAST_TO_TELL and step > self._last_told:
            self._last_told = step
            self._log.print(f"  {done}/{total} {printable(text)}".rstrip(), soft_wrap=True)

    def trial(self, event: Job | Progress | Result) -> None:
        now = self._clock()
        if self._board is None:
            self._board = Board(now, self._plan if self._title == SEARCH else None)
            self._count_trials()
        self._board.update(event, now)
        if self.quiet or not isinstance(event, Result):
            return
        if self._live is None:
            self._log.print(self._board.line(event), soft_wrap=True)
        elif event.status in ("failed", "timed_out"):
            self._line(Text(self._board.line(event), STATUS_STYLES[event.status]))

    def _line(self, text: Text) -> None:
        """A message within a stage; what does not fit on one line of a terminal stands below its beginning."""
        if self._log.is_terminal:
            self._log.print(Padding(text, (0, 0, 0, 2), expand=False))
        else:
            self._log.print(Text("  ").append_text(text), soft_wrap=True)

    def _count_trials(self) -> None:
        """Have the board of trials count as the stage does: of how many, what they are called."""
        if self._board is not None and self._progress is not None:
            self._board.done, self._board.total, text = self._progress
            self._board.what = text or self._board.what

    # -------------------------------------------------------- results

    def plan(self, decided: Plan) -> None:
        """What ``automl-phys plan`` shows."""
        self._show(terminal_tables.plan(decided))

    def table(self, shown: exhibits.Table) -> None:
        """A table by itself; of one without rows what it has to say."""
        self._end_stage(completed=True)
        self._show([terminal_tables.table(shown) if shown.rows else Text(printable(shown.note))])

    def outcome(
        self, decided: Plan, evaluation: Evaluation, findings: Sequence[Finding], report: Path | None = None
    ) -> None:
        """How a run ended: verdict, metrics, leaderboard, confusion matrix, ROC curve, checks, the report's place."""
        self._end_stage(completed=True)
        self._show(terminal_tables.outcome(decided, evaluation, findings, report))

    def finished(self, run_dir: RunDir) -> None:
        """The outcome of the finished run in a folder."""
        reports = [path for path in (run_dir.report("html"), run_dir.report("md")) if path.exists()]
        self.outcome(read_json(run_dir.plan, Plan), read_json(run_dir.evaluation, Evaluation),
                     read_json(run_dir.findings, tuple[Finding, ...]), reports[0] if reports else None)

    def compared(self, found: Comparison, page: Path | None) -> None:
        """What ``automl-phys compare`` shows."""
        self._end_stage(completed=True)
        self._show(terminal_comparison.comparison(found, page))

    def diagnosed(self, found: Diagnosis) -> None:
        """What ``automl-phys doctor`` shows."""
        self._end_stage(completed=True)
        for part in terminal_doctor.diagnosis(found):
            self._results.print(part)

    def error(self, text: str) -> None:
        """An error's text as it is, the first line marked."""
        self._end_stage(completed=False)
        first, newline, rest = printable(text).partition("\n")
        self._log.print(Text.assemble((first, "bold red"), newline, rest), soft_wrap=True)

    def _show(self, parts: Iterable[RenderableType]) -> None:
        if self._told and self._log.is_terminal and self._results.is_terminal:
            self._log.print()  # between the last stage and what it came to
        self._told = False
        for part in parts:
            self._results.print(part)
            self._results.print()

    # -------------------------------------------------------- the live display

    def _view(self) -> RenderableType:
        spent = duration(self._clock() - self._stage_began)
        heading = Text.assemble(("● ", "cyan"), (self._title, "bold"), (f"  {spent}", "dim"))
        grid = Table.grid()
        grid.add_row(heading)
        if self._progress and not self._board:
            done, total, text = self._progress
            bar = Table.grid(padding=(0, 1))
            bar.add_row(ProgressBar(total=total, completed=done, width=BAR_WIDTH, complete_style="cyan"),
                        f"{done}/{total}", text, self._left())
            grid.add_row(bar)
        if self._board:
            grid.add_row(self._board.view(self._clock()))
        return grid

    def _left(self) -> str:
        """The time that the running count will take still, at the pace of what is done; empty where that is not known,
        or where the search's board tells it."""
        now = self._clock()
        if self._progress is None or (self._board is not None and self._board.seconds_left(now) is not None):
            return ""
        (began, first), (done, total, _) = self._counts_from, self._progress
        spent = now - began
        if done <= first or done >= total or spent < LEAST_TO_TELL:
            return ""
        return f"{duration(spent * (total - done) / (done - first))} left"

    def _end_stage(self, completed: bool) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._title and not self.quiet:
            self._told = True
            took = duration(self._clock() - self._stage_began)
            counts = f", {self._board.counts()}" if self._board else ""
            mark, style = ("✓", "green") if completed else ("✗", "red")
            if self._log.is_terminal:
                self._log.print(Text.assemble((f"{mark} ", style), self._title, (f"  {took}{counts}", "dim")))
            else:
                self._log.print(f"{mark} {self._title}: {took}{counts}", soft_wrap=True)
        self._title, self._board, self._progress = "", None, None


def _console(stream: TextIO | None, stderr: bool) -> Console:
    """Markup, emoji codes and highlighting off: text of a user's files is shown as it is."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Console(file=stream, stderr=stderr, markup=False, emoji=False, highlight=False,
                   force_terminal=False if plain else None, no_color=plain or None)
