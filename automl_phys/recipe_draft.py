"""A recipe for a user's own file: the commented template of a task, filled in by looking at the columns.

Takes a task, its template and paths; gives the text of a recipe that validates and can be planned, in which every guess
stands with its reason, and alternatives are switched off. What the columns are for in its recipe the task says
(:class:`automl_phys.contracts.Drafting`), with the means of :mod:`automl_phys.drafting`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from automl_phys import column_profiles, recipe_paths, registry
from automl_phys.contracts import Drafting
from automl_phys.drafting import Drafted, word
from automl_phys.errors import CallError, Mistake


def draft(task: str, template: str, paths: Sequence[str], folder: Path, target: str | None) -> str:
    """The text of a recipe, to be written into ``folder``, for files that are named as seen from here.

    Raises DataError for files that cannot be read, CallError for what cannot be guessed.
    """
    module = registry.load("tasks", task)
    if not isinstance(module, Drafting):
        raise CallError(Mistake("wrong-option", f"A recipe for task '{task}' is not filled in from data.",
                                "Leave --data out."))
    named = [_from(path, folder) for path in paths]
    looked = column_profiles.look(named, folder)
    data = Drafted("data")
    data.put("path", word(named[0]) if len(named) == 1 else f"[{', '.join(map(word, named))}]",
             f"{looked.rows} rows were looked at{'' if looked.whole else ', not all'}; every guess below says why")
    sections = {"data": data, **module.draft(data, looked, target)}
    return _filled(template, {name: section.text for name, section in sections.items()})


def acting(template: str, environment: str) -> str:
    """The template of an agent with another environment. Raises DataError for one that Gymnasium does not have, or that
    cannot be made; a module of the user's own is taken as it is, and not imported."""
    if ":" not in environment:
        from automl_phys import environments

        environments.find(environments.Spec(environment))
    section = Drafted("environment")
    section.put("id", word(environment), "as asked for" if ":" not in environment else
                "your own, beside this file; run with --trust-environment")
    section.put("arguments", "{}", "what the environment is made with", off=True)
    section.put("time_limit", "500", "steps after which an episode is cut off; default: its own", off=True)
    section.put("frame_stack", "4", "so many of the last observations at once", off=True)
    section.put("copies", "8", "environments side by side; default: what suits the algorithm", off=True)
    section.put("normalize", "auto", "observations scaled by their running mean and width", off=True)
    return _filled(template, {"environment": section.text})


def _from(path: str, folder: Path) -> str:
    """A path as seen from the recipe's folder; an absolute one stays."""
    name, inside = recipe_paths.parted(path)
    moved = name if Path(name).expanduser().is_absolute() or name.startswith("~") else \
        Path(os.path.relpath(name, folder)).as_posix()
    return f"{moved}:{inside}" if inside else moved


def _filled(template: str, sections: Mapping[str, str]) -> str:
    """A template with other text in the place of some sections, whether these are switched on in it or off."""
    found = re.split(r"(?m)^(?=(?:# )?[a-z]+:)", template)
    made = []
    for block in found:
        name = re.match(r"(?:# )?([a-z]+):", block)
        if name and name[1] in sections:
            tail = re.search(r"\n*\Z", block)
            made.append(sections[name[1]].rstrip("\n") + (tail[0] if tail else "\n"))
        else:
            made.append(block)
    return "".join(made)
