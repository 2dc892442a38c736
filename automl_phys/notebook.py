"""Runs in a notebook or a script: tables as pandas objects, figures as matplotlib's, a summary that Jupyter shows.

Takes recipes and folders of finished runs; gives a :class:`Run`. A run itself, and predictions, are made by the command
line in a process of its own: frameworks read their settings from the environment when they are imported, and a notebook
has its own.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import archives, readable, recipe, run_state, rundir
from automl_phys.decisions import Plan
from automl_phys.errors import CallError, Mistake, RunError
from automl_phys.exhibits import Estimate, Evaluation, Finding, Table
from automl_phys.rundir import RunDir
from automl_phys.search_figures import read_trials

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PROGRESS = re.compile(r"^\s+\d+/\d+\b")
"""Lines of progress that only a terminal has a use for."""


def run(
    what: str | Path, *, sets: Sequence[str] | Mapping[str, Any] = (), out: str | Path = "runs", smoke: bool = False,
    resume: bool = False, cache: bool = True, quiet: bool = False, trust_environment: bool = False,
    trust_cluster: bool = False,
) -> Run:
    """Run a recipe, an archive of one or an address, as ``automl-phys run`` does, and open what came of it.

    ``sets`` are keys of the recipe and their values, ``{"search.trials": 10}``, or texts as for ``--set``. Without
    ``quiet`` progress is printed line by line. Raises RecipeError with all mistakes of the recipe, RunError when the
    run failed; Ctrl-C, or a notebook's stop, ends the run, which ``resume`` takes up.
    """
    texts = [f"{key}={json.dumps(value)}" for key, value in sets.items()] if isinstance(sets, Mapping) else list(sets)
    wanted = recipe.given(str(what), texts, smoke, trust_environment, trust_cluster)
    flags = {"--smoke": smoke, "--resume": resume, "--no-cache": not cache, "--trust-environment": trust_environment,
             "--trust-cluster": trust_cluster}
    _command("run", str(what), "--out", str(out), *(flag for flag, on in flags.items() if on),
             *(word for text in texts for word in ("--set", text)), quiet=quiet)
    return load(Path(out) / wanted.name / "latest")


def load(what: str | Path) -> Run:
    """Open a finished run: its folder, such as ``runs/NAME/latest``, or an archive of one. Raises CallError for what is
    none."""
    folder = RunDir(archives.run(str(what)).resolve())
    if not folder.evaluation.exists():
        raise CallError(run_state.not_finished(what, how="run(RECIPE, resume=True)"))
    return Run(folder)


class Run:
    """A finished run. Tables are read once and may be changed as you like; nothing is written back."""

    def __init__(self, folder: RunDir) -> None:
        self._folder = folder
        self._plan = rundir.read_json(folder.plan, Plan)
        self._evaluation = rundir.read_json(folder.evaluation, Evaluation)

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def report(self) -> Path:
        """The report's page, or its text where no page was asked for."""
        found = [self._folder.report(suffix) for suffix in ("html", "md")]
        return next((path for path in found if path.exists()), found[0])

    @property
    def recipe(self) -> str:
        """The recipe as it ran, as YAML."""
        return self._folder.recipe.read_text(encoding="utf-8")

    @property
    def verdict(self) -> str:
        """What came of it, in a sentence."""
        return self._evaluation.verdict

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Of the winner on the test: ``value``, ``low`` and ``high`` (68 %), ``note``, by metric."""
        import pandas as pd

        rows = {name: _interval(one, note=True) for name, one in self._evaluation.metrics.items()}
        columns = ["value", "low", "high", "note"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("metric")

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """Winner, families and baseline: the objective and the gain over the baseline with their intervals."""
        import pandas as pd

        rows = [(score.name, score.role, *_interval(score.metrics.get(self._plan.objective)),
                 *_interval(score.better_than_baseline), score.seconds) for score in self._evaluation.scores]
        objective = self._plan.objective
        return pd.DataFrame(rows, columns=["model", "role", objective, f"{objective}_low", f"{objective}_high", "gain",
                                           "gain_low", "gain_high", "seconds"])

    @cached_property
    def trials(self) -> pd.DataFrame:
        """All trials by number, with their settings as columns ``family.name``."""
        import pandas as pd

        rows = [{"trial": t.job.number, "family": t.job.family, "status": t.result.status, "value": t.result.value,
                 **t.result.others, "steps": t.result.steps, "seconds": t.result.seconds, "worker": t.result.worker,
                 "device": t.result.device, "message": t.result.message,
                 **{f"{t.job.family}.{name}": value for name, value in t.job.params.items()}}
                for t in read_trials(self._folder)]
        return pd.DataFrame(rows).set_index("trial")

    @cached_property
    def findings(self) -> pd.DataFrame:
        """What the checks found: ``code``, ``outcome``, ``title``, ``text``."""
        import pandas as pd

        found = rundir.read_json(self._folder.findings, tuple[Finding, ...])
        return pd.DataFrame([(one.code, one.outcome, one.title, one.text) for one in found],
                            columns=["code", "outcome", "title", "text"])

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The task's tables of the report, by title."""
        return {table.title: _frame(table) for table in self._evaluation.tables}

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """What the winner says of the test. Raises CallError where the task writes none."""
        import pyarrow.parquet as pq

        if not self._folder.predictions.exists():
            raise CallError(Mistake("no-predictions", f"Task '{self._plan.task}' writes no predictions of the test.",
                                    "Its numbers are in .metrics and .tables."))
        return pq.read_table(self._folder.predictions).to_pandas()

    @property
    def figures(self) -> list[str]:
        """Names of the report's figures, for :meth:`figure`."""
        return [figure.name for figure in self._evaluation.figures]

    def figure(self, name: str) -> Figure:
        """A figure of the report as a matplotlib figure of your own. Raises CallError for an unknown name."""
        from automl_phys import figures

        found = next((figure for figure in self._evaluation.figures if figure.name == name), None)
        if found is None:
            raise CallError(Mistake("no-such-figure", f"There is no figure '{name}' in this run.",
                                    f"There are {', '.join(self.figures)}."))
        return figures.drawing(found)

    def predict(self, data: str | Path) -> pd.DataFrame:
        """Score new data, a file, a glob or a folder of images, as ``automl-phys predict`` does. Raises RunError with
        what is wrong with it."""
        import pyarrow.parquet as pq

        with tempfile.TemporaryDirectory() as folder:
            scores = Path(folder) / "scores.parquet"
            _command("predict", str(self.path), str(data), "-o", str(scores), quiet=True)
            return pq.read_table(scores).to_pandas()

    def __repr__(self) -> str:
        return f"<automl-phys run {self.path}: {self.verdict}>"

    def _repr_html_(self) -> str:
        """The verdict, the metrics, who won, and what to look at, for Jupyter."""
        shown = [(readable.metric(name), readable.estimate(one)) for name, one in self._evaluation.metrics.items()]
        board = [(score.name, score.role, _words(score.metrics.get(self._plan.objective)),
                  _words(score.better_than_baseline)) for score in self._evaluation.scores]
        found = rundir.read_json(self._folder.findings, tuple[Finding, ...])
        notes = "".join(f"<li><b>{escape(one.title)}</b> [{escape(one.code)}]: {escape(one.text)}</li>"
                        for one in found if one.outcome in ("issue", "tip"))
        return (f"<p><b>{escape(self.verdict)}</b></p>"
                f"{_html(('metric', 'value'), shown)}"
                f"{_html(('model', 'role', readable.metric(self._plan.objective), 'gain over the baseline'), board)}"
                f"{f'<ul>{notes}</ul>' if notes else ''}<p>{escape(str(self.report))}</p>")


def _interval(found: Estimate | None, note: bool = False) -> tuple[Any, ...]:
    values = (nan, nan, nan) if found is None else (found.value, found.low, found.high)
    return (*values, found.note if found else "") if note else values


def _words(found: Estimate | None) -> str:
    return readable.estimate(found) if found else "–"


def _frame(table: Table) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(table.rows), columns=list(table.head))


def _html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _command(*words: str, quiet: bool) -> None:
    """The command line, in a process of its own; what it says is printed as it comes. Raises RunError when it fails."""
    with subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-m", "automl_phys.cli", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace") as process:
        try:
            said = list(_followed(process, quiet))
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    if process.returncode:
        raise RunError(Mistake("run-failed", "\n".join(said[-12:]).strip() or f"It ended with {process.returncode}.",
                               "Mend that, and call it again; what was finished is kept (resume=True)."))


def _followed(process: subprocess.Popen[str], quiet: bool) -> Iterator[str]:
    for line in process.stderr or ():
        if not quiet and not PROGRESS.match(line):
            print(line, end="", flush=True)  # noqa: T201 - a notebook's user is to see it
        yield line.rstrip()
