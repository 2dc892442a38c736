"""The runs in a folder at a glance: a page with a row for each, which links to their reports.

Takes a folder with runs in it or in folders of it, ``runs/NAME/ID``; reads of each a few small files and the beginning
of the evaluation, so that hundreds take a fraction of a second. A run that cannot be read is a row that says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from automl_phys import pages, readable, run_state, rundir
from automl_phys.errors import AutomlPhysError, CallError
from automl_phys.exhibits import Estimate
from automl_phys.rundir import RunDir

PAGE = "index.html"
HEAD_CHARACTERS = 1 << 14
"""Of an evaluation, in which verdict and metrics stand before all else, unless they are many."""
STAMP = "%Y%m%d-%H%M%S"
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Entry:
    """A run as it stands in the page. ``report`` is its address from there; ``verdict`` says of a run without one why
    it has none."""

    name: str
    date: str
    state: str
    task: str = ""
    metric: str = ""
    value: str = ""
    verdict: str = ""
    report: str = ""


def is_a_run(folder: Path) -> bool:
    """Whether a folder is one of a run, whatever became of it."""
    return any(file.exists() for file in (RunDir(folder).plan, RunDir(folder).evaluation))


def find(folder: Path) -> tuple[Entry, ...]:
    """The runs in a folder, and in folders of it, the newest first; links such as ``latest`` are left out."""
    found = sorted(_runs(folder), key=lambda run: (_begun(run), str(run)), reverse=True)
    return tuple(_entry(run, folder) for run in found)


def write(folder: Path) -> Path:
    """Write the page of the runs in a folder; gives its path.

    Raises CallError where there are no runs, or a page of the user's own in its place; RunError when the disk refuses.
    """
    entries = find(folder)
    if not entries:
        raise CallError(run_state.not_finished(folder, nor=", nor one with runs in it"))
    target = folder / PAGE
    pages.check(target)
    rundir.write_text(target, pages.render(
        "runs.html.j2", {"runs": entries, "folder": folder.resolve().name, "contents": ()}, {}))
    return target


def refresh(folder: Path) -> None:
    """Write the page anew if that can be done: a run does not fail for want of it."""
    with suppress(AutomlPhysError, OSError):
        write(folder)


def _runs(folder: Path) -> Iterator[Path]:
    for child in _folders(folder):
        if is_a_run(child):
            yield child
        else:
            yield from filter(is_a_run, _folders(child))


def _folders(folder: Path) -> list[Path]:
    """Folders in a folder that may be looked into; none are followed by a link, none are hidden."""
    with suppress(OSError):
        return [one for one in folder.iterdir()
                if not one.name.startswith(".") and one.is_dir() and not one.is_symlink()]
    return []


def _begun(run: Path) -> str:
    """When a run began, as text that sorts: its folder is named so; else the time of what was written first."""
    with suppress(ValueError):
        return f"{datetime.strptime(run.name[:15], STAMP):%Y-%m-%d %H:%M:%S}"
    with suppress(OSError):
        return f"{datetime.fromtimestamp(run.stat().st_mtime):%Y-%m-%d %H:%M:%S}"
    return ""


def _entry(run: Path, folder: Path) -> Entry:
    run_dir, name = RunDir(run), str(run.relative_to(folder).parent) if run.parent != folder else run.name
    state = run_state.of(run_dir)
    try:
        plan = json.loads(run_dir.plan.read_bytes())
        about = {"name": str(plan["name"]), "date": _begun(run), "task": str(plan["task"])}
        if state.name != run_state.FINISHED:
            return Entry(**about, state=state.name, verdict=state.text)
        evaluation = _head(run_dir.evaluation)
        metric, value = _metric(evaluation["metrics"], str(plan["objective"]))
        report = next((path for path in (run_dir.report("html"), run_dir.report("md")) if path.exists()), None)
        return Entry(**about, state=state.name, metric=metric, value=value, verdict=str(evaluation["verdict"]),
                     report=quote(report.relative_to(folder).as_posix()) if report else "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Entry(name, _begun(run), UNREADABLE, verdict=f"It cannot be read: {type(error).__name__}: {error}")


def _metric(metrics: dict[str, Any], objective: str) -> tuple[str, str]:
    """The label of what was optimised and its value with its interval; of the first metric where that was not measured
    in the end."""
    if not metrics:
        return "", ""
    name = objective if objective in metrics else next(iter(metrics))
    value, low, high = (float(metrics[name][end]) for end in ("value", "low", "high"))
    found = Estimate(value, low, high)
    return readable.metric(name), readable.estimate(found)


def _head(path: Path) -> dict[str, Any]:
    """Verdict and metrics of an evaluation, without the figures, which are most of it, if that can be done. Raises
    ValueError when it is damaged, OSError when it is not there."""
    with path.open(encoding="utf-8") as handle:
        text = handle.read(HEAD_CHARACTERS)
        found, decoder = {}, json.JSONDecoder()
        with suppress(ValueError):  # not as it is written today, or too long
            for key in ("verdict", "metrics"):
                mark = f'\n "{key}": '
                found[key], _ = decoder.raw_decode(text, text.index(mark) + len(mark))
            return found
        whole: dict[str, Any] = json.loads(text + handle.read())
    return whole
