"""What the codes of findings and mistakes mean, why they matter and what to do: for ``automl-phys explain``.

Takes a code, gives its explanation as data, or as text for a terminal. What is said of a check stands in the check's
own file (``contracts.Check``), what is said of a mistake in ``data/mistakes.toml``.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from automl_phys import registry
from automl_phys.errors import CallError, Mistake

WIDTH = 80


@dataclass(frozen=True)
class Explained:
    """One code. ``title`` is a check's; ``sources`` is where to read more, empty where there is nothing to cite."""

    code: str
    kind: Literal["check", "mistake"]
    title: str
    means: str
    why: str
    remedy: str
    sources: str = ""


@cache
def of_checks() -> Mapping[str, Explained]:
    """The checks' codes, sorted."""
    checks = sorted((registry.load("checks", name) for name in registry.names("checks")), key=lambda one: one.CODE)
    return {one.CODE: Explained(one.CODE, "check", one.TITLE, one.MEANS, one.WHY, one.REMEDY, one.SOURCES)
            for one in checks}


@cache
def of_mistakes() -> Mapping[str, Explained]:
    """The mistakes' codes, sorted."""
    text = resources.files("automl_phys").joinpath("data", "mistakes.toml").read_text(encoding="utf-8")
    return {code: Explained(code, "mistake", "", said["means"], said["why"], said["remedy"])
            for code, said in sorted(tomllib.loads(text).items())}


def find(codes: Iterable[str]) -> tuple[Explained, ...]:
    """The explanations of codes, written in capitals or not; of none given all of them.

    Raises CallError (``unknown-word``) with every code that there is not.
    """
    known = {code.lower(): one for code, one in {**of_checks(), **of_mistakes()}.items()}
    wanted = [code.strip("[]").lower() for code in codes]
    wrong = [Mistake("unknown-word", f"'{code}' is no code of a finding or a mistake.{_meant(code, known)}",
                     "'automl-phys explain' without a code lists all.") for code in wanted if code not in known]
    if wrong:
        raise CallError(wrong)
    return tuple(known[code] for code in dict.fromkeys(wanted)) or tuple(known.values())


def _meant(code: str, known: Mapping[str, Explained]) -> str:
    near = registry.closest(code, known) or registry.closest(f"c-{code}", known)
    return f" Did you mean '{known[near].code}'?" if near else ""


def in_full(one: Explained) -> str:
    """All that is said of a code."""
    parts = (("What", one.means), ("Why", one.why), ("Do", one.remedy), ("Read", one.sources))
    return "\n".join([f"{one.code}{f': {one.title}' if one.title else ''}",
                      *(_wrapped(f"  {word:5} ", text) for word, text in parts if text)])


def in_short(every: Iterable[Explained]) -> str:
    """Codes with what they mean, checks first, then mistakes."""
    listed = tuple(every)
    lines: list[str] = []
    for kind, title in (("check", "Findings of checks, in reports"), ("mistake", "Mistakes, in messages")):
        of_kind = [one for one in listed if one.kind == kind]
        said = (f"{one.title}. {one.means}" if one.title else one.means for one in of_kind)
        lines += [title, *(f"  {one.code}\n{_wrapped(' ' * 6, text)}" for one, text in zip(of_kind, said, strict=True)),
                  ""]
    return "\n".join([*lines, "All of one: automl-phys explain CODE"])


def _wrapped(beginning: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=beginning, subsequent_indent=" " * len(beginning),
                         break_long_words=False, break_on_hyphens=False)
