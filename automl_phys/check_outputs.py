"""What checks came to, for people and for machines: tables, Markdown for a merge request, JUnit XML for a CI server.

Takes :class:`automl_phys.checking.Checked`, gives tables or text. JUnit's format, of which there is no standard, is
that which Jenkins and GitLab read: a suite for each recipe, a case for its run and one for each metric.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml

from automl_phys import readable
from automl_phys.checking import Checked
from automl_phys.exhibits import Table
from automl_phys.expectations import Held
from automl_phys.pages import markdown

HEAD = ("recipe", "metric", "expected", "measured", "σ", "outcome")
STATUSES = ("passed", "ran", "missed", "failed", "skipped")


def table(done: Sequence[Checked]) -> Table:
    """One row for each metric of each recipe; of those without, one for the recipe."""
    rows = tuple(row for one in done for row in _rows(one))
    return Table("Checks", HEAD, rows, summary(done))


def summary(done: Sequence[Checked]) -> str:
    """``3 passed, 1 missed``, and how many of them are of earlier runs."""
    counts = {status: sum(one.status == status for one in done) for status in STATUSES}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    cached = sum(one.cached for one in done)
    return f"{said}{f'; {cached} taken from earlier runs of the same recipe, data and versions' if cached else ''}."


def markdown_text(done: Sequence[Checked]) -> str:
    """The table for a merge request, and below it why runs failed."""
    lines = ["### automl-phys check", "", summary(done), "", f"| {' | '.join(HEAD)} |", "|" + " --- |" * len(HEAD)]
    for one in done:
        for *cells, outcome in _rows(one):
            word, colon, why = str(markdown(outcome)).partition(":")
            said = word if word in ("passed", "ran") else f"**{word}**"
            lines.append(f"| {' | '.join(str(markdown(cell)) for cell in cells)} | {said}{colon}{why} |")
    for one in done:
        if one.status == "failed":
            lines += ["", f"**{markdown(one.label)}** failed:", "", "```", one.error.replace("```", "'''"), "```"]
    return "\n".join(lines) + "\n"


def junit(done: Sequence[Checked]) -> str:
    """JUnit XML: a suite for each recipe and seed, a case for its run and one for each metric."""
    root = Xml.Element("testsuites")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for number, one in enumerate(done):
        cases = list(_cases(one))
        kinds = [case[0].tag if len(case) else "" for case in cases]
        suite = Xml.SubElement(
            root, "testsuite", name=one.label, package=one.task, id=str(number), timestamp=now,
            hostname=platform.node() or "localhost", tests=str(len(cases)), failures=str(kinds.count("failure")),
            errors=str(kinds.count("error")), skipped=str(kinds.count("skipped")), time=f"{one.seconds:.3f}")
        properties = Xml.SubElement(suite, "properties")
        for name, value in (("recipe", one.given), ("run", one.run or "none"), ("cached", str(one.cached).lower())):
            Xml.SubElement(properties, "property", name=name, value=_printable(value))
        suite.extend(cases)
        Xml.SubElement(suite, "system-out").text = _printable("\n".join(
            f"{held.name}: {held.found}; expected {held.expected}" for held in one.held))
        Xml.SubElement(suite, "system-err").text = _printable(one.error)
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _cases(one: Checked) -> Iterator[Xml.Element]:
    case = Xml.Element("testcase", classname=one.label, name="runs", time=f"{one.seconds:.3f}")
    if one.status == "failed":
        said = Xml.SubElement(case, "error", message=_printable(one.error.partition("\n")[0]), type="failed")
        said.text = _printable(one.error)
    elif one.status == "skipped":
        Xml.SubElement(case, "skipped", message=_printable(one.error))
    yield case
    for held in one.held:
        case = Xml.Element("testcase", classname=one.label, name=held.name, time="0.000")
        if not held.kept:
            said = Xml.SubElement(case, "failure", message=_printable(f"{held.found}; expected {held.expected}"),
                                  type="missed")
            said.text = _printable(held.why)
        yield case


def _rows(one: Checked) -> Iterator[tuple[str, str, str, str, str, str]]:
    if not one.held:
        said = f": {one.error.partition(chr(10))[0]}" if one.error else ""
        yield one.label, "–", "–", "–", "–", f"{one.status}{said}"
    for held in one.held:
        yield one.label, held.name, held.expected, held.found, _sigmas(held), _outcome(held)


def _sigmas(held: Held) -> str:
    return "–" if held.sigmas is None else f"{held.sigmas:+.1f}".replace("-", "−").replace("+0.0", "0.0")


def _outcome(held: Held) -> str:
    return f"{'passed' if held.kept else 'missed'}{f': {held.why}' if held.why else ''}"


def _printable(text: str) -> str:
    """Text without what XML cannot hold."""
    return readable.printable(text)
