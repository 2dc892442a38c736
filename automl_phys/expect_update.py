"""Measured numbers written into a recipe's ``expect``, and nothing else of the file changed.

Takes what a recipe measured, with one seed or several; gives the text of the file with the new numbers. Comments, order
and style stay: lines outside of ``expect`` are kept as they are, byte by byte, those within are written by ruamel.yaml,
which keeps comments. Bounds (``min``, ``max``), ``sigmas`` and ``tolerance`` are people's, and stay too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from math import hypot, isfinite, sqrt
from pathlib import Path
from typing import Any

from automl_phys import archives, measures, recipe, recipe_text, rundir, yaml_source
from automl_phys.errors import CallError, Mistake
from automl_phys.exhibits import Estimate
from automl_phys.expect_sections import Expected

SECTION = "expect"
DIGITS = 2
"""Significant digits of an error."""
PLAIN_DIGITS = 6
"""Of a value without one."""


def check(given: str) -> None:
    """Raise CallError for what cannot be written into: an archive, an address, a lock."""
    if archives.is_one(given):
        raise CallError(Mistake("not-updated", f"{given} is no recipe that could be changed.",
                                "Unpack it, and give the recipe in it."))
    path = Path(given)
    if path.is_file() and recipe_text.is_lock(yaml_source.parse(path.read_text(encoding="utf-8-sig"), given)[0]):
        raise CallError(Mistake("not-updated", f"{given} is the lock of a run, and stays what it is.",
                                "Give the recipe."))


def measured(
    expected: Mapping[str, Expected], objective: str, runs: Sequence[Mapping[str, Estimate]]
) -> dict[str, dict[str, float]]:
    """``value``, ``error`` and, of several runs, ``spread`` of the metrics that a value is expected of; of the
    objective, where nothing is expected yet.

    With the n runs' values v of mean m and variance s², and their own errors e: spread² = S² - mean(e²), or 0 where
    that is negative, S² being the upper limit at 84 % of the variance that s² estimates (:func:`upper_limit`), for a
    few seeds tell little of it; error² = max(s², mean(e²)) / n.
    """
    names = [name for name, one in expected.items() if one.value is not None] or ([] if expected else [objective])
    found = {}
    for name in names:
        estimates = [metrics[name] for metrics in runs if name in metrics]
        if len(estimates) == len(runs) and all(isfinite(one.value) for one in estimates):
            found[name] = _numbers(estimates)
    return found


def rewritten(text: str, numbers: Mapping[str, Mapping[str, float]]) -> str:
    """The text of a recipe with ``numbers`` under ``expect``, by metric and key."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    data = yaml.load(text)
    if not isinstance(data.get(SECTION), CommentedMap):
        lines = [f"  {name}: {{{', '.join(f'{key}: {value!r}' for key, value in found.items())}}}"
                 for name, found in numbers.items()]
        kept = _without_empty(text)
        return f"{kept.rstrip()}\n\n{SECTION}:\n" + "\n".join(lines) + "\n"
    for name, found in numbers.items():
        section = data[SECTION].get(name)
        if not isinstance(section, CommentedMap):
            section = CommentedMap()
            section.fa.set_flow_style()
            data[SECTION].insert(0, name, section)
        # Not at the end: what stands below a section, ruamel takes for a comment on its last key.
        where = list(section).index("value") + bool(section.fa.flow_style()) if "value" in section else 0
        for key in reversed([key for key in found if key not in section]):
            section.insert(where, key, found[key])
        for key, value in found.items():
            section[key] = value
        if "spread" in section and "spread" not in found:
            del section["spread"]
    written = io.StringIO()
    yaml.dump(data, written)
    return _spliced(text, written.getvalue())


def update(path: Path, numbers: Mapping[str, Mapping[str, float]]) -> bool:
    """Write ``numbers`` into a recipe; gives whether that changed it. Raises RunError when the disk refuses."""
    raw = path.read_bytes().decode("utf-8")
    text = raw.replace("\r\n", "\n")
    new = rewritten(text, numbers)
    if new == text:
        return False
    data = yaml_source.parse(new, str(path))[0]
    for name, found in numbers.items():  # what is written reads back as the numbers that were meant
        assert all(data[SECTION][name][key] == value for key, value in found.items()), name  # noqa: S101
    rundir.write_text(path, new.replace("\n", "\r\n") if "\r\n" in raw else new)
    recipe.load(path)
    return True


def _numbers(estimates: Sequence[Estimate]) -> dict[str, float]:
    mean = sum(one.value for one in estimates) / len(estimates)
    errors = [(one.high - one.low) / 2 for one in estimates]
    own = sum(error**2 for error in errors) / len(errors) if all(map(isfinite, errors)) else 0.0
    if len(estimates) == 1:
        return _rounded({"value": mean, "error": sqrt(own)})
    variance = sum((one.value - mean) ** 2 for one in estimates) / (len(estimates) - 1)
    return _rounded({"value": mean, "error": sqrt(max(variance, own) / len(estimates)),
                     "spread": sqrt(max(upper_limit(variance, len(estimates)) - own, 0.0))})


def upper_limit(variance: float, count: int) -> float:
    """The upper limit at 84 % CL of the variance of a normal distribution, of which ``count`` values have the given
    one: (n - 1) s² / χ², the 16 % quantile of χ² as Wilson and Hilferty (1931) have it."""
    free = count - 1
    return variance / (1 - 2 / (9 * free) - sqrt(2 / (9 * free))) ** 3


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    """To so many digits as mean something; without an error that is 0."""
    error = hypot(numbers["error"], numbers.get("spread", 0.0))
    told = {key: float(f"{value:.{DIGITS}g}") for key, value in numbers.items() if key != "value" and value > 0}
    if error > 0:
        decimals = DIGITS - int(f"{error:.1e}".partition("e")[2])  # one more than the error has
        return {"value": round(numbers["value"], decimals), **told}
    return {"value": float(f"{numbers['value']:.{PLAIN_DIGITS}g}"), **told}


def _without_empty(text: str) -> str:
    """The text without a section ``expect`` that is empty."""
    lines = text.splitlines(keepends=True)
    begin, end = _block(text)
    return "".join((*lines[:begin], *lines[end:]))


def _spliced(text: str, written: str) -> str:
    """``text`` with the section ``expect`` of ``written`` in place of its own."""
    lines, new = text.splitlines(keepends=True), written.splitlines(keepends=True)
    (begin, end), (first, last) = _block(text), _block(written)
    return "".join((*lines[:begin], *new[first:last], *lines[end:]))


def _block(text: str) -> tuple[int, int]:
    """First line of the section ``expect``, and the line behind its last; twice the number of lines without one."""
    from ruamel.yaml import YAML

    lines, data = text.splitlines(), YAML().load(text)
    if SECTION not in data:
        return len(lines), len(lines)
    begin = data.lc.key(SECTION)[0]
    following: list[Any] = [data.lc.key(key)[0] for key in data if data.lc.key(key)[0] > begin]
    return begin, min(following, default=len(lines))


def label(numbers: Mapping[str, Mapping[str, float]]) -> str:
    """The numbers in words: ``ROC AUC 0.9731, error 0.0042``."""
    return "; ".join(f"{measures.label(name)} " + ", ".join(
        f"{'' if key == 'value' else f'{key} '}{value:g}" for key, value in found.items())
        for name, found in numbers.items())
