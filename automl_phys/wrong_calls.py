"""What typer finds wrong with a command line, in the words of this project.

Takes the exception that typer raises, gives a CallError: a mistake with its code, its place and a remedy, told in the
same way, and as the same JSON, as all others.
"""

from __future__ import annotations

import re
from typing import Any

import typer

from automl_phys import registry
from automl_phys.errors import CallError, Mistake


def told(error: typer.TyperException) -> CallError:
    """The mistake that an exception of typer's tells.

    What kind of exception it is shows in what it carries: typer's classes are not all public.
    """
    ctx, param = getattr(error, "ctx", None), getattr(error, "param", None)
    command = ctx.command_path if ctx else "automl-phys"
    if param is not None and hasattr(error, "param_type"):
        return CallError(Mistake("missing-argument", f"'{command}' needs {_name(param)}.", _meaning(param)))
    if param is not None:
        reason = error.message.partition(", unable to")[0].rstrip(".")
        return CallError(Mistake("bad-argument", f"{_name(param)} cannot have this value: "
                                 f"{reason[:1].lower()}{reason[1:]}.", _meaning(param)))
    option = getattr(error, "option_name", None)
    if option and ctx:
        known = [name for one in ctx.command.get_params(ctx) for name in (*one.opts, *one.secondary_opts)
                 if name.startswith("--")]
        return CallError(Mistake("unknown-option", f"'{command}' has no option {option}."
                                 f"{registry.did_you_mean(option, known)}", f"Known: {', '.join(known)}."))
    if option:
        return CallError(Mistake("missing-argument", f"Nothing stands behind {option}.",
                                 f"Write its value there; 'automl-phys COMMAND --help' tells what {option} takes."))
    usage = ctx.get_usage() if ctx else f"See '{command} --help'."
    surplus = re.search(r"extra argument\S* \((.+)\)", error.message, re.S)
    text = f"'{command}' takes fewer arguments; too much is: {surplus[1]}." if surplus else error.message
    return CallError(Mistake("bad-argument", text, usage))


def _name(param: Any) -> str:
    if param.param_type_name == "option":
        return str(param.opts[-1])
    return str(param.metavar or param.name.upper())


def _meaning(param: Any) -> str:
    return f"{_name(param)}: {param.help}"
