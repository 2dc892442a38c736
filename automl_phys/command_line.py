"""The command line as a whole: the app that the commands register with, how its help groups them, options they share.

Takes nothing; gives ``app`` and the annotations of arguments that mean the same wherever they stand. The commands are
in :mod:`automl_phys.cli` and the modules ``commands_…``.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup

from automl_phys import completions, registry
from automl_phys.errors import EXIT_DONE, CallError, Mistake

GROUPS = {
    "Begin": ("init", "list", "validate", "plan"),
    "Run": ("run", "check", "dashboard"),
    "Look at what came out": ("report", "compare"),
    "Use it": ("predict", "generate", "export"),
    "Share it": ("lint", "pack", "unpack"),
    "Help": ("explain", "doctor", "schema"),
}
"""Commands in the order in which they are met; those that are named nowhere stand last, by themselves."""

EXAMPLES = ("automl-phys init classify --data events.parquet -o my.yaml", "automl-phys run my.yaml")

LONGEST_HELP = 200
"""Characters of a command's first sentence in the list of commands: all of it, on several lines."""


class Grouped(TyperGroup):
    """Commands by what they are for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer gives it
        """The commands in the order of :data:`GROUPS`."""
        named = [name for names in GROUPS.values() for name in names if name in self.commands]
        return [*named, *(name for name in self.commands if name not in named)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands group by group, one line each."""
        wide = max(map(len, self.commands))
        rest = tuple(name for name in self.list_commands(ctx) if not any(name in names for names in GROUPS.values()))
        for title, names in {**GROUPS, "Other": rest}.items():
            rows = [(name.ljust(wide), self.commands[name].get_short_help_str(LONGEST_HELP))
                    for name in names if name in self.commands and not self.commands[name].hidden]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is called. Raises CallError where there is none of that name."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            known = [one for one in self.list_commands(ctx) if not self.commands[one].hidden]
            meant = registry.did_you_mean(name, known)
            raise CallError(Mistake("unknown-command", f"'{name}' is not a command.{meant}",
                                    f"Known: {', '.join(known)}."))
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer gives it
        """Write the examples."""
        formatter.write("".join(["\nExamples:\n", *(f"  {line}\n" for line in EXAMPLES)]))


class Plain(TyperCommand):
    """A command whose help names arguments as they are written, without types: ``RUN``, ``[DATA]``, ``RECIPE...``."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the command's name on the line of its usage."""
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return ["[OPTIONS]", *(_name(one) if one.required or _name(one).startswith("[") else f"[{_name(one)}]"
                               for one in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options."""
        told = [(one, one.get_help_record(ctx)) for one in self.get_params(ctx)]
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            rows = [(_name(one) if kind == "argument" else record[0], record[1])
                    for one, record in told if record and one.param_type_name == kind]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


app = typer.Typer(
    cls=Grouped, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="AutoML for physicists: one YAML recipe in, a report with uncertainties out.")
command = partial(app.command, cls=Plain)
"""Registers a command of the app."""


def _complete_set(ctx: typer.Context, incomplete: str) -> list[completions.Completion]:
    """Keys of the recipe that is named on the line, or of the first of several."""
    named = [*(ctx.params.get("recipes") or ()), ctx.params.get("recipe"), *ctx.args]  # args: not yet told apart
    return completions.sets(incomplete, next((one for one in named if one and not one.startswith("-")), None))


RecipeFile = Annotated[str, typer.Argument(
    metavar="RECIPE", autocompletion=completions.recipes, help="The recipe, a YAML file; or an archive of one, or https://...#sha256=HEX.")]
RunFolder = Annotated[Path, typer.Argument(
    metavar="RUN", autocompletion=completions.runs, help="Folder of a run, e.g. runs/NAME/latest.")]
PackedRun = Annotated[str, typer.Argument(
    metavar="RUN", autocompletion=completions.runs,
    help="Folder of a run, e.g. runs/NAME/latest; or an archive with its model, or an address of one.")]
LimitGb = Annotated[float, typer.Option(
    "--limit-gb", metavar="GB", min=0.001, help="How much an archive may hold, unpacked.")]
Sets = Annotated[list[str] | None, typer.Option(
    "--set", metavar="KEY=VALUE", autocompletion=_complete_set,
    help="Override any key, e.g. search.trials=10; may be repeated.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="A tiny budget, to see that it runs.")]
Trust = Annotated[bool, typer.Option(
    "--trust-environment", help="Run the code of an environment of your own, module:Class, beside the recipe.")]
TrustCluster = Annotated[bool, typer.Option(
    "--trust-cluster",
    help="Use the scheduler or the database server, or have batch jobs run the lines, that the recipe names.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress, only results.")]
Json = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


def fetch(given: Sequence[str], quiet: bool) -> None:
    """Have what is given by address in the cache, downloaded and unpacked with progress: what follows finds it. Raises
    ArchiveError."""
    from automl_phys import archives
    from automl_phys.console import Terminal

    if addresses := [one for one in given if archives.is_address(one)]:
        with Terminal(quiet) as show:
            show.stage("Archive")
            for address in addresses:
                archives.opened(address, show.advance)


def tell(said: Sequence[str], as_json: bool, written: Sequence[Path] = (), **more: Any) -> None:
    """What a command did: its lines for a person; as JSON the files that it wrote, the lines, and ``more``."""
    if as_json:
        tell_json({"exit": EXIT_DONE, "written": [str(file) for file in written], "said": list(said), **more})
        return
    for line in said:
        typer.echo(in_lines(line, sys.stdout))


def in_lines(text: str, stream: TextIO) -> str:
    """A text whose lines are broken between words, where ``stream`` is a terminal, which would break them anywhere.
    Lines that begin with a blank are code or have been broken already, and are left."""
    if not stream.isatty():
        return text
    width = typer.get_terminal_size().columns
    return "\n".join("\n".join(textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False))
                     if len(line) > width and not line.startswith(" ") else line for line in text.split("\n"))


def tell_json(found: Any) -> None:
    """Plain data or dataclasses for a program, on stdout."""
    from automl_phys import rundir

    typer.echo(rundir.as_json(found), nl=False)
