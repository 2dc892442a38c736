"""Pages out of templates: HTML that needs nothing else, and Markdown. What a template names is text, never markup.

Takes the name of a template of ``templates/``, what it names, and drawings as elements; gives the page's text. What
stands on a page is the work of :mod:`automl_phys.report` and :mod:`automl_phys.comparison_page`, what its scripts read
that of :mod:`automl_phys.scatter_page` and :mod:`automl_phys.curve_page`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from automl_phys import __version__, curve_page, readable, scatter_page, table_order
from automl_phys.errors import CallError, Mistake
from automl_phys.exhibits import Figure, Table
from automl_phys.frames import Inset

if TYPE_CHECKING:
    from jinja2 import Environment

LONG_CELL = 28
"""Characters beyond which a cell's text may be broken into lines."""

ERROR = re.compile(r"\d (?:±|\+\d)")
"""In a number with its error, as :func:`automl_phys.readable.estimate` writes it."""

MARKDOWN_SIGNS = re.compile(r"[\\`*\[\]#|~]|(?<!\w)_|_(?!\w)")


GENERATOR = '<meta name="generator" content="automl-phys">'
"""Stands in the head of a page that the user gives a name to: such a file may be written over."""
HEAD_BYTES = 4096


def check(target: Path) -> None:
    """Raise CallError when a page cannot stand at ``target``: no name of a page, or something else is there."""
    if target.suffix.lower() not in (".html", ".htm"):
        raise CallError(Mistake("unknown-format", f"The page would be {target}, which is no name of a page.",
                                "Let it end in .html."))
    if target.exists() and not _is_ours(target):
        raise CallError(Mistake("file-exists", f"{target} exists already, and is no page of automl-phys.",
                                "Choose another name, or remove it first."))


def _is_ours(path: Path) -> bool:
    """Whether the beginning of a file says that it is such a page."""
    try:
        with path.open("rb") as handle:
            return GENERATOR.encode() in handle.read(HEAD_BYTES)
    except OSError:  # a folder, or what may not be read
        return False


def render(name: str, content: Mapping[str, Any], drawn: Mapping[str, Inset]) -> str:
    """The page of the template ``name``, such as ``report.html.j2``; ``drawn`` holds the figures' elements by name."""
    from markupsafe import Markup

    environment = _environment(PurePath(name.removesuffix(".j2")).suffix)
    # What matplotlib drew and data as JSON have their text escaped, style and scripts are this package's: markup.
    environment.filters["svg"] = lambda figure: Markup(drawn[figure.name].element)  # noqa: S704
    environment.filters["embedded"] = lambda figure: Markup(_data(figure, drawn[figure.name]))  # noqa: S704
    environment.filters["scripts"] = lambda figures: _scripts(figures, drawn)
    environment.globals["packaged"] = lambda file: Markup(template(file))  # noqa: S704
    text = environment.get_template(name).render(
        content, generator=Markup(GENERATOR), version=__version__)  # noqa: S704
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _data(figure: Figure, drawn: Inset) -> str:
    """What the page's scripts are to know of a figure, as JSON; empty where they have nothing to do."""
    return scatter_page.embedded(figure) if figure.kind == "scatter" else curve_page.embedded(figure, drawn.frames)


def _scripts(figures: Iterable[Figure], drawn: Mapping[str, Inset]) -> list[str]:
    """The files of the scripts that these figures need."""
    kinds = {"scatter.js" if figure.kind == "scatter" else "curves.js" for figure in figures
             if figure.kind == "scatter" or curve_page.readable(figure, drawn[figure.name].frames)}
    return sorted(kinds)


def _environment(suffix: str) -> Environment:
    """HTML is escaped by jinja, Markdown by :func:`markdown` before: what a template names is text, never markup."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FunctionLoader(template), autoescape=True, finalize=markdown if suffix == ".md" else None,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters.update(
        cell=readable.cell, parts=readable.parts, whole=whole, estimate=readable.estimate, metric=readable.metric,
        anchor=anchor, order=table_order.of,
        fenced=lambda text, language: Markup(fenced(text, language)))  # noqa: S704 - a code block shows text as it is
    environment.tests.update(numeric=is_numeric, long=lambda value: isinstance(value, str) and len(value) > LONG_CELL,
                             estimated=lambda value: isinstance(value, str) and bool(ERROR.search(value)))
    return environment


def template(name: str) -> str:
    return resources.files("automl_phys").joinpath("templates", name).read_text(encoding="utf-8")


def whole(text: str) -> str:
    """An estimate that breaks into lines, if it must, between the value and its errors only."""
    return text.replace("± ", "±\u00a0").replace(" −", "\u00a0−") if ERROR.search(text) else text


def is_numeric(table: Table, column: int) -> bool:
    """Whether a column holds numbers only, and stands at the right."""
    values = [row[column] for row in table.rows]
    return bool(values) and all(isinstance(v, (int, float, type(None))) for v in values)


def anchor(section: str) -> str:
    """An id that none of the page's own sections has."""
    return "figures-" + re.sub(r"[^a-z0-9]+", "-", section.lower()).strip("-")


def markdown(value: Any) -> Any:
    """Text in which no sign means anything to Markdown or HTML; on one line, so that a table's row stays one."""
    from markupsafe import Markup

    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markup(MARKDOWN_SIGNS.sub(r"\\\g<0>", " ".join(text.split())))  # noqa: S704 - escaped on this very line


def fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
