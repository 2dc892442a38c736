"""The ribs: every file of a rib folder is one word that a user may write.

Lists the words without importing anything, imports one module when it is asked for, and refuses a mistyped word with
what it may have meant. A word is its file's name, but for ``+`` and ``-``, which no file name of a module can hold:
``reduce+cluster`` is ``reduce_cluster.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, overload

from automl_phys.errors import CallError, Key, Mistake

if TYPE_CHECKING:
    from automl_phys.contracts import Check, ExecutorModule, Family, Format, Searched, Source, Task

Kind = Literal["sources", "tasks", "families", "executors", "checks", "formats"]

_SPELLINGS = {"reduce_cluster": "reduce+cluster", "detect_anomaly": "detect-anomaly"}


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """The words of a kind, sorted, as the user writes them."""
    folder = Path(__file__).parent / kind
    stems = sorted(f.stem for f in folder.glob("*.py") if not f.stem.startswith("_"))
    return tuple(_SPELLINGS.get(stem, stem) for stem in stems)


@overload
def load(kind: Literal["sources"], name: str) -> Source: ...
@overload
def load(kind: Literal["tasks"], name: str) -> Task: ...
@overload
def load(kind: Literal["families"], name: str) -> Family: ...
@overload
def load(kind: Literal["checks"], name: str) -> Check: ...
@overload
def load(kind: Literal["executors"], name: str) -> ExecutorModule: ...
@overload
def load(kind: Literal["formats"], name: str) -> Format: ...
def load(kind: Kind, name: str) -> object:
    """Import the module behind a word; families joined by ``+`` are a chain. Raises KeyError when there is no such
    word."""
    if kind == "families" and "+" in name:
        return _chain(name)
    if name not in names(kind):
        raise KeyError(name)
    stem = next((s for s, word in _SPELLINGS.items() if word == name), name)
    return cast(object, import_module(f"automl_phys.{kind}.{stem}"))


@cache
def _chain(name: str) -> object:
    return cast(object, import_module("automl_phys.chain").Chain(name))


def closest(word: str, among: Iterable[str]) -> str | None:
    """The word most like a mistyped one, None when nothing is near."""
    matches = get_close_matches(str(word).lower(), list(among), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(word: str, among: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` with its leading blank, or nothing."""
    match = closest(word, among)
    return f" Did you mean '{match}'?" if match else ""


def unknown_word(word: str, known: Iterable[str], what: str, key: Key = ()) -> Mistake:
    """A word that should be one of a list; ``what`` it is instead: ``not a family``, ``none of the checks``."""
    known = list(known)
    text = f"'{word}' is {what}.{did_you_mean(word, known)}"
    return Mistake("unknown-word", text, f"Known: {', '.join(known)}.", key)


def solved_by(family: Searched) -> tuple[str, ...]:
    """The tasks that a family has a part in: alone, or as a link of a chain."""
    return tuple(task for task in names("tasks") if family.SOLVES & {task, *task.split("+")})


def unknown_task(word: str, key: Key = ()) -> Mistake | None:
    """What is wrong with a word that is to be a task; None where it is one."""
    return None if word in names("tasks") else unknown_word(word, names("tasks"), "not a task", key)


def check_task(word: str) -> None:
    """Raise CallError for a word that is not a task."""
    if mistake := unknown_task(word):
        raise CallError(mistake)
