"""The command ``list``: what there is, of tasks, families, metrics, built-in data, recipes, checks, formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automl_phys import completions
from automl_phys.command_line import Json, command, tell_json
from automl_phys.errors import CallError, Mistake

if TYPE_CHECKING:
    from automl_phys.exhibits import Table


def _complete(ctx: typer.Context, incomplete: str) -> list[completions.Completion]:
    words = ctx.params.get("words") or ()
    return completions.listed([*(["recipes"] if ctx.params.get("recipes") else []), *words], incomplete)


@command(name="list")
def list_(
    words: Annotated[list[str] | None, typer.Argument(
        metavar="[KIND [NAME...]]", autocompletion=_complete,
        help="tasks, families, metrics, data, recipes, checks or formats; then names of them, of recipes a folder or "
             "an archive.")] = None,
    task: Annotated[str | None, typer.Option(
        "--task", metavar="TASK", autocompletion=completions.tasks,
        help="Of families and metrics: those of a task.")] = None,
    recipes: Annotated[bool, typer.Option("--recipes", help="List recipes.")] = False,
    page: Annotated[Path | None, typer.Option(
        "--page", metavar="FILE.html", help="Of recipes: write an HTML page of them, too.")] = None,
    as_json: Json = False,
) -> None:
    """List what there is: tasks, families with their parameters, metrics, data, recipes, checks, formats."""
    kind, *names = ["recipes", *(words or ())] if recipes and (words or [""])[0] != "recipes" else words or [""]
    if kind == "recipes":
        _recipes(names, page, as_json)
        return
    if page is not None:
        raise CallError(Mistake("missing-argument", "A page is made of recipes only.",
                                "Write automl-phys list recipes --page FILE.html."))
    from automl_phys import catalogue

    if kind:
        found = catalogue.listing(kind, names, task)
        _show(found.tables, found.found, as_json)
    else:
        _show((catalogue.overview(),), [*catalogue.KINDS, "recipes"], as_json)


def _show(tables: Sequence[Table], found: Any, as_json: bool) -> None:
    if as_json:

        tell_json(found)
        return
    from automl_phys.console import Terminal

    show = Terminal()
    for table in tables:
        show.table(table)


def _recipes(names: list[str], page: Path | None, as_json: bool) -> None:
    """List the recipes in a folder or an archive, by default in 'recipes', or here."""
    from automl_phys import gallery, pages

    if len(names) > 1:
        raise CallError(Mistake("missing-argument", "Recipes are listed of one folder or archive at a time.",
                                "Give one of them."))
    if page is not None:
        pages.check(page)
    found = gallery.find(names[0] if names else "recipes" if Path("recipes").is_dir() else ".")
    _show((gallery.table(found),), found, as_json)
    if page is not None:
        gallery.write_page(found, page)
        typer.echo(f"Wrote {page}.", err=as_json)
