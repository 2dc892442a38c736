"""Commands that help: ``init``, ``explain``, ``schema``, ``doctor``. Each handler is short; what is heavy is
imported inside it."""

from __future__ import annotations

import shlex
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from automl_phys import completions, registry
from automl_phys.command_line import Json, Quiet, command, tell_json
from automl_phys.errors import EXIT_DONE, EXIT_RUN_FAILED, CallError, Mistake


@command()
def init(
    task: Annotated[str, typer.Argument(
        metavar="TASK", autocompletion=completions.tasks, help="What the recipe is for, e.g. classify.")],
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", metavar="FILE", help="File to write instead of printing.")] = None,
    data: Annotated[list[str] | None, typer.Option(
        "--data", metavar="FILE", help="Your data: a file, file.root:tree, a glob or a folder of images, to fill the "
                                       "recipe in by what stands in the columns; may be repeated.")] = None,
    target: Annotated[str | None, typer.Option(
        "--target", metavar="COLUMN", help="With --data: the column to predict, where it cannot be guessed.")] = None,
    environment: Annotated[str | None, typer.Option(
        "--environment", metavar="ID", help="Of an agent: the environment that it acts in.")] = None,
) -> None:
    """Write a commented recipe to start from; with --data one that is filled in for your file."""
    registry.check_task(task)
    if output is not None and output.exists():
        raise CallError(Mistake("file-exists", f"{output} exists already.", "Choose another name, or remove it first."))
    _check_options(task, data, target, environment)
    text = resources.files("automl_phys").joinpath("templates", f"{task}.yaml").read_text(encoding="utf-8")
    if data:
        from automl_phys import recipe_draft

        text = recipe_draft.draft(task, text, data, output.parent if output else Path(), target)
    elif environment is not None:
        from automl_phys import recipe_draft

        text = recipe_draft.acting(text, environment)
    if output is None:
        typer.echo(text, nl=False)
        return
    from automl_phys import rundir

    rundir.write_text(output, text)
    typer.echo(f"Wrote {output}. Run it with: automl-phys run {shlex.quote(str(output))}")


def _check_options(task: str, data: list[str] | None, target: str | None, environment: str | None) -> None:
    """Refuse options of ``init`` that do not go with the task, or with each other."""
    if data and task == "reinforce":
        raise CallError(Mistake("no-data-needed", "An agent makes its own data: it acts in an environment.",
                                "Name that: automl-phys init reinforce --environment CartPole-v1"))
    if environment is not None and task != "reinforce":
        raise CallError(Mistake("wrong-option", f"Task '{task}' has no environment.", "Leave --environment out, or "
                                "write automl-phys init reinforce."))
    if target is not None and not data:
        raise CallError(Mistake("wrong-option", "--target names a column of the data, and none are given.",
                                "Name the file too: --data FILE."))


@command()
def explain(
    codes: Annotated[list[str] | None, typer.Argument(
        metavar="[CODE...]", autocompletion=completions.codes,
        help="Codes of findings or mistakes, e.g. C-LEAK or unknown-key; all, if none is given.")] = None,
    as_json: Json = False,
) -> None:
    """Tell what a finding or a mistake means, why it matters and what to do."""
    from automl_phys import explanations

    found = explanations.find(codes or ())
    if as_json:
        tell_json(found)
    else:
        typer.echo("\n\n".join(map(explanations.in_full, found)) if codes else explanations.in_short(found))


@command()
def schema() -> None:
    """Print the recipe language as JSON Schema, for completion in editors."""
    from automl_phys import schema as language

    typer.echo(language.text(), nl=False)


@command()
def doctor(
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether runs will work here, what sees the GPUs, and what to install; exit code 1 if something is needed."""
    from automl_phys import doctor as stage
    from automl_phys.console import Terminal

    with Terminal(quiet or as_json) as show:
        show.stage("Looking")
        found = stage.look()
        if not as_json:
            show.diagnosed(found)
    if as_json:
        tell_json(found)
    raise SystemExit(EXIT_DONE if found.works else EXIT_RUN_FAILED)
