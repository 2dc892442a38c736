"""Executor ``inline``: trials run one after the other in this process, for debugging.

A trial that kills its process kills the run, and none can be stopped from outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from automl_phys.contracts import Executor
from automl_phys.sites import Site
from automl_phys.trials import Job, Progress, Result, Slot


def open_executor(
    slots: Sequence[Slot], run_dir: Path, trial: Callable[[Job, Callable[[Progress], None]], Result],
    site: Site | None = None,
) -> Executor:
    """One place, whatever slots and site; their environment is that of this process already, or too late to be set."""
    return _Inline(slots, trial)


class _Inline:
    def __init__(
        self, slots: Sequence[Slot], trial: Callable[[Job, Callable[[Progress], None]], Result]
    ) -> None:
        self._slots, self._trial = slots, trial
        self._waiting: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self._waiting.append(job)

    def poll(self, timeout_s: float) -> Sequence[Progress | Result]:  # noqa: ARG002 - the contract's
        """Runs the oldest job to its end, however long that takes."""
        if not self._waiting:
            return ()
        events: list[Progress | Result] = []
        job = self._waiting.popleft()
        slot = next((slot for slot in self._slots if slot.takes(job)), None)
        events.append(self._trial(slot.given(job) if slot else job, events.append))
        return events

    def cancel(self, number: int) -> None:
        self._waiting = deque(job for job in self._waiting if job.number != number)

    def close(self) -> None:
        self._waiting.clear()
