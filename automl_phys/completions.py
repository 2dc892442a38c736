"""What a shell may complete: tasks, families, codes, formats, recipes, runs, and the keys of recipes for ``--set``.

Takes the word that is begun, gives ``(word, help)`` that begin like it. A shell asks at every press of a key, so that
nothing is imported but the standard library, and the keys are read from ``data/keys.json``, which :func:`keys_of` makes
of the schema and the catalogue. Empty where the shell's own completion of files is the better one.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from automl_phys import registry

if TYPE_CHECKING:
    from automl_phys.catalogue import ListedFamily
    from automl_phys.facts import Range

Completion: TypeAlias = tuple[str, str]
Keys: TypeAlias = Mapping[str, Mapping[str, Sequence[Any]]]
"""By task, and empty for all of them, each dotted key: its help, and the values to offer."""

VARIABLE = "_AUTOML_PHYS_COMPLETE"
"""In which a shell's script asks, and says which shell it is."""
DEEPEST = 5
MOST_EXTENDED = 4
KINDS = ("tasks", "families", "metrics", "data", "recipes", "checks", "formats")
NAMED: tuple[registry.Kind, ...] = ("tasks", "families", "formats")
"""What is named as its files are."""
LONGEST_HELP = 70


# ---------------------------------------------------------------- words

def tasks(incomplete: str) -> list[Completion]:
    """Tasks."""
    return _begun(((name, "") for name in registry.names("tasks")), incomplete)


def formats(incomplete: str) -> list[Completion]:
    """Formats of exports."""
    return _begun(((name, "") for name in registry.names("formats")), incomplete)


def codes(incomplete: str) -> list[Completion]:
    """Codes of mistakes and of checks; these are read off their files, so that none is imported."""
    import tomllib

    package = resources.files("automl_phys")
    mistakes = tomllib.loads(package.joinpath("data", "mistakes.toml").read_text(encoding="utf-8"))
    checks = (re.search(r'^CODE = "(.+)"\nTITLE = "(.+)"', file.read_text(encoding="utf-8"), re.M)
              for file in (Path(__file__).parent / "checks").glob("*.py"))
    every = [*((found[1], found[2]) for found in checks if found), *((code, one["means"]) for code, one in
                                                                     mistakes.items())]
    return _begun(sorted(every), incomplete)


def listed(before: Sequence[str], incomplete: str) -> list[Completion]:
    """What ``list`` lists, or names of such; ``before`` are the words of it that stand already."""
    if not before:
        return _begun(((kind, "") for kind in KINDS), incomplete)
    if before[0] == "recipes":
        return recipes(incomplete)
    if before[0] == "checks":
        return [(code, text) for code, text in codes(incomplete) if code.startswith("C-")]
    kind = next((one for one in NAMED if one == before[0]), None)
    if kind is not None:
        return _begun(((name, "") for name in registry.names(kind)), incomplete)
    return []


def _begun(words: Iterable[Completion], incomplete: str) -> list[Completion]:
    return [(word, _short(text)) for word, text in words if word.startswith(incomplete)]


def _short(text: str) -> str:
    first = " ".join(text.split())
    return first if len(first) <= LONGEST_HELP else f"{first[:LONGEST_HELP - 1].rstrip()}…"


# ---------------------------------------------------------------- files

def recipes(incomplete: str) -> list[Completion]:
    """Recipes that begin like this; with nothing begun those here and in the folder ``recipes``."""
    folder = Path(incomplete).parent if incomplete else Path()
    begun = Path(incomplete).name if not incomplete.endswith("/") else ""
    folder = folder if begun or not incomplete else Path(incomplete)
    found = [*_yaml(folder, begun), *(_yaml(Path("recipes"), "") if not incomplete else ())]
    return [(str(file), "") for file in found]


def _yaml(folder: Path, begun: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".yml") and file.name.startswith(begun)
                  and not file.name.startswith("."))


def runs(incomplete: str) -> list[Completion]:
    """Folders of runs under ``runs``, the latest of each recipe first."""
    latest = sorted(Path().glob("runs/*/latest"))
    others = sorted(path.parent for path in Path().glob("runs/*/*/plan.json") if path.parent.name != "latest")
    return _begun(((str(path), "") for path in [*latest, *others]), incomplete)


# ---------------------------------------------------------------- keys of recipes

def sets(incomplete: str, recipe: str | None) -> list[Completion]:
    """``KEY=VALUE`` for ``--set``: keys of the recipe's task, each with its choices, or its default to be changed.

    Hyperparameters are offered once ``model.`` is begun. Without a recipe keys of all tasks are, where its task cannot
    be told those that all have.
    """
    keys = _keys()
    known = {**keys[""], **keys.get(_task(recipe) if recipe else "", {})}
    if not recipe:
        known = {key: said for task in (*keys, "") for key, said in keys[task].items()}
    key, equals, _ = incomplete.partition("=")
    offered = {key: known[key]} if equals and key in known else {
        name: said for name, said in sorted(known.items())
        if name.startswith(key) and (name.count(".") < 2 or not name.startswith("model.") or key.startswith("model."))}
    words = ((f"{name}={value}", text) for name, (text, *values) in offered.items() for value in values or [""])
    return _begun(words, incomplete)


def _task(recipe: str) -> str:
    """The task that a recipe names, or one that it extends; empty where that cannot be told."""
    path = Path(recipe)
    for _ in range(MOST_EXTENDED):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""
        if found := re.search(r"(?m)^task:\s*[\"']?([\w+-]+)", text):
            return found[1]
        base = re.search(r"(?m)^extends:\s*[\"']?([^\s\"'#]+)", text)
        if base is None:
            return ""
        path = path.parent / base[1]
    return ""


@cache
def _keys() -> Keys:
    text = resources.files("automl_phys").joinpath("data", "keys.json").read_text(encoding="utf-8")
    keys: Keys = json.loads(text)
    return keys


def keys_of(schema: Mapping[str, Any], families: Sequence[ListedFamily]) -> Keys:
    """The keys that the schema of the language holds, and by task the hyperparameters of ``families``: the schema tells
    neither their tasks nor all their values."""
    definitions = schema["$defs"]
    found: dict[str, dict[str, Sequence[Any]]] = {"": {
        key: said for key, said in _under(schema["properties"], definitions, "")
        if not key.startswith("model.") or key.count(".") == 1}}  # hyperparameters are offered where they can be set
    for branch in schema["allOf"]:
        task = branch["if"]["properties"]["task"]["const"]
        sections = {name: node for name, node in branch["then"]["properties"].items() if name != "search"}
        objectives = branch["then"]["properties"]["search"]["properties"]["objective"]["examples"]
        text = definitions["Search"]["properties"]["objective"]["description"]
        found[task] = {**dict(_under(sections, definitions, "")), "search.objective": [_short(text), *objectives],
                       **{f"model.{family.name}.{name}": [_short(allowed.text), *_ends(allowed)]
                          for family in families for space in family.spaces if task in space.tasks
                          for name, allowed in space.parameters.items()}}
    return found


def _ends(allowed: Range) -> list[Any]:
    """Of a hyperparameter's range its choices, or its ends."""
    values = allowed.choices or (allowed.low, allowed.high)
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def _under(
    properties: Mapping[str, Any], definitions: Mapping[str, Any], before: str,
) -> Iterator[tuple[str, list[Any]]]:
    for name, node in properties.items():
        key = f"{before}{name}"
        options = [_resolved(option, definitions) for option in node.get("anyOf", [node])]
        section = next((option for option in options if "properties" in option), None)
        if section is not None and key.count(".") < DEEPEST:
            yield from _under(section["properties"], definitions, f"{key}.")
        if section is None or len(options) > 1:
            text = _short(node.get("description") or _resolved(node, definitions).get("description", ""))
            yield key, [text, *_values(options, node)]


def _values(options: Sequence[Mapping[str, Any]], node: Mapping[str, Any]) -> list[Any]:
    values = [value for option in options for value in option.get("enum", ())]
    values += [option["const"] for option in options if "const" in option]
    if any(option.get("type") == "boolean" for option in options):
        values += ["true", "false"]
    if not values and isinstance(node.get("default"), str | int | float) and node["default"] != "":
        values.append(node["default"])
    return values


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    return node


# ---------------------------------------------------------------- zsh

ZSH_FIRST_PRESS = """
# At the first press of TAB zsh does no more than read this file: it is answered here.
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
  _automl_phys_completion "$@"
fi
"""


def answer_first_press() -> None:
    """Add to the script that typer has installed for zsh what it lacks; without one nothing is done."""
    script = Path.home() / ".zfunc" / "_automl-phys"
    if script.is_file() and (text := script.read_text(encoding="utf-8")) and ZSH_FIRST_PRESS not in text:
        script.write_text(f"{text.rstrip()}\n{ZSH_FIRST_PRESS}", encoding="utf-8")


# ---------------------------------------------------------------- bash

@contextmanager
def answering(environment: MutableMapping[str, str]) -> Iterator[None]:
    """While bash is answered: bash cuts words at ``=``, and takes what it is given for the last piece only. So pieces
    are put together before, and of every answer the part that stands already is cut off. Else nothing is done."""
    before = join_words(environment) if environment.get(VARIABLE) == "complete_bash" else ""
    if not before:
        yield
        return
    answers = io.StringIO()
    try:
        with redirect_stdout(answers):
            yield
    finally:
        sys.stdout.write("".join(f"{line.removeprefix(before)}\n" for line in answers.getvalue().splitlines()))


def join_words(environment: MutableMapping[str, str]) -> str:
    """Put together again what bash has cut: ``search.sampler = t`` is one word that is begun. Gives what of it stands
    before the piece that bash asks for; empty where it is whole."""
    try:
        words, at = shlex.split(environment["COMP_WORDS"]), int(environment["COMP_CWORD"])
    except (KeyError, ValueError):  # no question, or a quote that is not closed yet
        return ""
    words += [""] * (at + 1 - len(words))
    made: list[str] = []
    for i, word in enumerate(words[:at + 1]):
        if made and (word == "=" or words[i - 1] == "="):
            made[-1] += word
        else:
            made.append(word)
    environment["COMP_WORDS"], environment["COMP_CWORD"] = shlex.join(made), str(len(made) - 1)
    return made[-1].rpartition("=")[0] + "=" if "=" in words[max(0, at - 1):at + 1] else ""
