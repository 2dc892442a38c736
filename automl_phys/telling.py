"""Telling how far long work has come, without knowing who shows it.

What may take long takes a :data:`Tell` and calls it now and then; whoever asks for the work hands one in: as a rule the
``advance`` of :class:`automl_phys.contracts.Show`, or :func:`nobody`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TypeVar

T = TypeVar("T")

Tell = Callable[[int, int, str], None]
"""Hears how much is done of how much, and of what."""
MB = 1_000_000
LEAST_BYTES = 100 * MB
"""Fewer are read from a disk before anybody would look."""


def nobody(done: int, total: int, text: str) -> None:
    """Where nobody wants to know."""


def counted(items: Sequence[T], text: str, tell: Tell) -> Iterator[T]:
    """The items one by one; ``tell`` hears how many are done, where there are several."""
    for done, item in enumerate(items):
        if len(items) > 1:
            tell(done, len(items), text)
        yield item
    if len(items) > 1:
        tell(len(items), len(items), text)


def steps(total: int, text: str, tell: Tell) -> Callable[[], None]:
    """What is called whenever one of so many steps, each of another kind, is done."""
    done = count(1)
    tell(0, total, text)
    return lambda: tell(next(done), total, text)


class Bytes:
    """Counts bytes and tells of whole megabytes, where there are ``least`` in all: ``LEAST_BYTES`` if none is given."""

    def __init__(self, total: int, text: str, tell: Tell, least: int | None = None) -> None:
        self._total, self._text, self._tell = total, f"MB {text}", tell
        self._told = total >= (LEAST_BYTES if least is None else least)
        self._done = 0

    def add(self, more: int) -> None:
        before, self._done = self._done, self._done + more
        if self._told and self._done // MB > before // MB:
            self._tell(min(self._done, self._total) // MB, self._total // MB, self._text)
