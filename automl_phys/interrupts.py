"""Ctrl-C while processes are begun. A terminal sends it to all processes of a command, also to those that are importing
still and cannot do better than print a traceback; they are to be ended by the process that began them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType


@contextmanager
def held() -> Iterator[None]:
    """Ctrl-C waits for the end of the block, and processes and threads that are begun in it never feel it, unless they
    :func:`let` it through themselves."""
    pressed: list[tuple[int, FrameType | None]] = []
    resource_tracker.ensure_running()  # it would let Ctrl-C through again where it is begun with the first process
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *call: pressed.append(call)) if main else None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes and threads inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if main:
            signal.signal(signal.SIGINT, before)
    if pressed and callable(before):
        before(*pressed[0])


def let() -> None:
    """Feel Ctrl-C from here on, also one that was pressed before: in a process that was begun while it was held."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
