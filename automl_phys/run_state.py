"""Whether a run is finished, why it is not, and what is said to whoever takes it for one.

Takes a run's directory. :func:`recorded` is around the stages of a run and keeps what ended them early in
``stopped.json``; a run that was killed could not write that, and one that goes on has not yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from automl_phys import rundir
from automl_phys.errors import AutomlPhysError, Mistake
from automl_phys.rundir import RunDir

FINISHED, INTERRUPTED, FAILED, UNFINISHED = "finished", "interrupted", "failed", "not finished"


@dataclass(frozen=True)
class State:
    """``name`` is one of the four above; ``text`` says more of a run that is not finished."""

    name: str
    text: str = ""


def of(run_dir: RunDir) -> State:
    """The state of a run, by which of its files are there. Raises nothing: what cannot be read says nothing."""
    if run_dir.evaluation.exists() and run_dir.findings.exists():
        return State(FINISHED)
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(run_dir.stopped.read_bytes())
        if told["name"] in (INTERRUPTED, FAILED):
            return State(told["name"], str(told["text"]))
    return State(UNFINISHED, "It goes on still, or was killed: take it up with 'run RECIPE --resume'.")


def not_finished(given: str | Path, nor: str = "", how: str = "'run RECIPE --resume'") -> Mistake:
    """What is wrong with a folder that was given as that of a finished run; ``nor`` is what it might have been instead,
    ``how`` what finishes a run."""
    return Mistake("not-a-run", f"{given} is not the folder of a finished run{nor}.",
                   f"Give one such as runs/NAME/latest, or finish it with {how}.")


@contextmanager
def recorded(run_dir: RunDir) -> Iterator[None]:
    """Keep in the run's directory what ends the block early, be it an error or Ctrl-C; it is raised on."""
    with suppress(OSError):
        run_dir.stopped.unlink(missing_ok=True)
    try:
        yield
    except KeyboardInterrupt:
        _keep(run_dir, State(INTERRUPTED, "By Ctrl-C: take it up with 'run RECIPE --resume'."))
        raise
    except AutomlPhysError as error:
        _keep(run_dir, State(FAILED, error.mistakes[0].text))
        raise
    except Exception as error:
        _keep(run_dir, State(FAILED, f"By a bug in automl-phys: {type(error).__name__}: {error}"))
        raise


def _keep(run_dir: RunDir, state: State) -> None:
    with suppress(AutomlPhysError):  # what ended the run matters more
        rundir.write_json(run_dir.stopped, state)
