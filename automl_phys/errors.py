"""Errors that a user sees: what is wrong, where, and what to do about it.

Takes nothing, gives the exception classes and the exit codes. How an error looks on the terminal is
:mod:`automl_phys.console`'s work; where a recipe's key stands in the file is :mod:`automl_phys.recipe`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

EXIT_DONE = 0
EXIT_RUN_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_BUG = 3
EXIT_EXPECTATION_MISSED = 4
EXIT_INTERRUPTED = 130

Key: TypeAlias = tuple[str | int, ...]
"""A path of keys into a recipe: ``("data", "target")``."""


@dataclass(frozen=True)
class Place:
    """Where something stands: ``line`` and ``column`` count from 1; line 0 is a place without lines (``--set a=b``).

    ``excerpt`` holds numbered lines of the file: the one that gives the context, and the one that is meant.
    """

    file: str
    line: int = 0
    column: int = 0
    excerpt: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong.

    ``code`` is its stable name in kebab-case (``no-such-column``), ``text`` says what was found, ``remedy`` what to do,
    ``key`` is the place in the recipe it comes from (empty where there is none). ``place`` is where that key stands,
    when whoever found the mistake knew; otherwise the recipe knows.
    """

    code: str
    text: str
    remedy: str = ""
    key: Key = ()
    place: Place | None = None


class AutomlPhysError(Exception):
    """Base of all errors that are the user's to see; carries every mistake found, not only the first."""

    exit_code: ClassVar[int] = EXIT_RUN_FAILED

    def __init__(self, mistakes: Sequence[Mistake] | Mistake) -> None:
        self.mistakes: tuple[Mistake, ...] = (mistakes,) if isinstance(mistakes, Mistake) else tuple(mistakes)
        super().__init__("\n".join(m.text for m in self.mistakes))

    def __reduce__(self) -> tuple[type, tuple[tuple[Mistake, ...]]]:
        return (type(self), (self.mistakes,))  # so that it crosses a process boundary whole


class RecipeError(AutomlPhysError):
    """The recipe itself is wrong: a key, a value, a file it extends."""

    exit_code = EXIT_BAD_INPUT


class ArchiveError(AutomlPhysError):
    """An archive is damaged, hostile or not where it should be, or what is to be packed cannot be."""

    exit_code = EXIT_BAD_INPUT


class LintError(AutomlPhysError):
    """Something was found in a text that should not be given away."""

    exit_code = EXIT_RUN_FAILED


class DataError(AutomlPhysError):
    """The recipe is sound but the data it names are not what it says."""

    exit_code = EXIT_BAD_INPUT


class CallError(AutomlPhysError):
    """The command line is wrong: an argument, a run directory that is none."""

    exit_code = EXIT_BAD_INPUT


class RunError(AutomlPhysError):
    """The run could not be finished: trials failed, the disk is full, a saved model does not reproduce its score."""

    exit_code = EXIT_RUN_FAILED
