"""What is known of a running search, and how it looks on a terminal: trials now running, best so far, time left.

Takes the events that :class:`automl_phys.contracts.Show` is told and a clock; gives rich renderables and lines of text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from automl_phys.decisions import Plan
from automl_phys.readable import duration, metric, printable
from automl_phys.trials import Job, Progress, Result
from automl_phys.values import Direction

STATUS_STYLES = {"done": "green", "pruned": "dim", "failed": "red", "timed_out": "magenta"}
BAR_WIDTH = 30
MAX_ROWS = 12
"""Running trials shown; on a cluster there are more."""


@dataclass
class Running:
    """One trial on its way."""

    job: Job
    since: float
    step: int | None = None
    value: float | None = None


class Board:
    """The search as it stands. ``now`` is always a reading of one monotonic clock, in seconds."""

    def __init__(self, now: float, plan: Plan | None = None) -> None:
        self.began = now
        self.objective = plan.objective if plan else "objective"
        self.direction: Direction = plan.direction if plan else "maximize"
        self.total = plan.trials if plan else 0
        self.done = 0
        """Of the total, those that are told to be done: a former run's are among them."""
        self.what = "trials"
        minutes = plan.search_minutes if plan else None
        self.limit_s = None if minutes is None else 60 * minutes
        self.running: dict[int, Running] = {}
        self.families: dict[int, str] = {}
        self.statuses: Counter[str] = Counter()
        self.best: dict[str, tuple[float, int]] = {}

    def update(self, event: Job | Progress | Result, now: float) -> None:
        if isinstance(event, Job):
            self.objective, self.direction = event.objective, event.direction
            self.families[event.number] = event.family
            self.running[event.number] = Running(event, now)
        elif isinstance(event, Progress):
            trial = self.running.get(event.number)
            if trial:
                trial.step, trial.value = event.step, event.value
        else:
            self.running.pop(event.number, None)
            self.statuses[event.status] += 1
            family = self.families.get(event.number, "?")
            if event.status == "done" and event.value is not None and (
                    family not in self.best or self._better(event.value, self.best[family][0])):
                self.best[family] = (event.value, event.number)

    def _better(self, value: float, than: float) -> bool:
        return value > than if self.direction == "maximize" else value < than

    def ranking(self) -> list[tuple[str, float, int]]:
        """Families with their best value and its trial, the best first."""
        rows = [(family, value, number) for family, (value, number) in self.best.items()]
        return sorted(rows, key=lambda row: row[1], reverse=self.direction == "maximize")

    @property
    def finished(self) -> int:
        return self.statuses.total()

    def seconds_left(self, now: float) -> float | None:
        """From the rate of trials so far, but not beyond the budget; None while neither is known."""
        spent = now - self.began
        of_budget = None if self.limit_s is None else max(0.0, self.limit_s - spent)
        if not self.finished or not self.total:
            return of_budget
        of_rate = spent / self.finished * max(0, self.total - max(self.done, self.finished))
        return of_rate if of_budget is None else min(of_rate, of_budget)

    def counts(self) -> str:
        counted = ((self.statuses[status], status.replace("_", " ")) for status in STATUS_STYLES)
        return ", ".join(f"{number} {word}" for number, word in counted if number) or "none finished yet"

    # -------------------------------------------------------- how it looks

    def line(self, result: Result) -> str:
        """One finished trial as one line, for logs."""
        family = self.families.get(result.number, "?")
        value = "–" if result.value is None else f"{result.value:.5g}"
        best = self.ranking()
        told = f"trial {result.number} {family} {result.status.replace('_', ' ')}"
        told += f" {self.objective} {value} in {duration(result.seconds)}"
        told += f", best {best[0][1]:.5g} ({best[0][0]})" if best else ""
        told += f", {self.finished}/{self.total}" if self.total else ""
        return told + (f": {printable(result.message.splitlines()[-1])}" if result.message.strip() else "")

    def view(self, now: float) -> RenderableType:
        return Group(self._summary(now), self._running(now), self._best())

    def _summary(self, now: float) -> RenderableType:
        left = self.seconds_left(now)
        row, done = Table.grid(padding=(0, 1)), max(self.done, self.finished)
        row.add_row(
            ProgressBar(total=self.total or None, completed=done, width=BAR_WIDTH, complete_style="cyan",
                        finished_style="green", pulse=not self.total, animation_time=now),
            f"{done}/{self.total or '?'} {self.what}",
            Text("" if left is None else f"about {duration(left)} left", "dim"))
        return Group(row, Text(self.counts(), "dim"))

    def _running(self, now: float) -> RenderableType:
        table = _columns("running", ("trial", "step", "value", "elapsed"))
        shown = list(self.running.values())[:MAX_ROWS]
        for trial in shown:
            table.add_row(
                Text(trial.job.family, "cyan"), str(trial.job.number), "–" if trial.step is None else str(trial.step),
                "–" if trial.value is None else f"{trial.value:.5g}", duration(now - trial.since))
        if len(self.running) > len(shown):
            table.add_row(Text(f"and {len(self.running) - len(shown)} more", "dim"))
        return table

    def _best(self) -> RenderableType:
        ranking = self.ranking()
        if not ranking:
            return Text("")
        table = _columns("best so far", ("trial", metric(self.objective)))
        for index, (family, value, number) in enumerate(ranking):
            table.add_row(Text(family + (" ★" if index == 0 else ""), "bold green" if index == 0 else ""),
                          str(number), Text(f"{value:.5g}", "bold green" if index == 0 else ""))
        return table


def _columns(first: str, others: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, show_edge=False)
    table.add_column(first, min_width=18)
    for name in others:
        table.add_column(name, justify="right", min_width=8)
    return table
