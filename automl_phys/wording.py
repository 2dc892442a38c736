"""Pydantic's errors in the words of this project, and any error as the user sees it.

Takes a ValidationError with the model and the data that it came from, gives Mistakes: one for each key that is wrong,
with what is expected said from the model's own JSON Schema. :func:`render` puts them beside the lines they are about.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from automl_phys.errors import AutomlPhysError, Key, Mistake, Place
from automl_phys.registry import closest, did_you_mean

WIDTH = 80

_TOLD = Mistake("told", "")
"""Stands for what a broken rule tells better than the type of the value does."""


def mistakes(
    error: ValidationError, model: type[BaseModel], given: Any, at: Key = (), owner: str | None = None
) -> list[Mistake]:
    """What is wrong with ``given``, which stands at the key ``at`` of the recipe.

    ``owner`` names whose sections these are (``task 'classify'``), where their keys depend on it. An unknown key that
    looks like a missing one is told once.
    """
    schema = model.model_json_schema()
    found: dict[Key, Mistake] = {}
    missing: dict[Key, Mistake] = {}
    rules: list[Mistake] = []
    for one in error.errors(include_url=False):
        path = _path(one["loc"][:-1] if one["type"] == "missing" else one["loc"], given)
        if one["type"] == "extra_forbidden":
            whose = owner if owner and len(path) == 2 else f"'{dotted((*at, *path[:-1]))}'"
            keys = [str(key) for key in _allowed(schema, path[:-1])]
            found.setdefault(path, unknown_key(str(path[-1]), keys, whose, (*at, *path)))
        elif one["type"] == "missing":
            path = (*path, one["loc"][-1])
            text = str(_node(schema, path).get("description", ""))
            missing[path] = Mistake("missing-key", f"'{dotted((*at, *path))}' is missing.",
                                    f"Add it: {text[:1].lower()}{text[1:]}", (*at, *path))
        elif one["type"] == "rules":
            found[path] = _TOLD
            for key, text, remedy in one["ctx"]["broken"]:
                rules.append(Mistake("bad-section", text, remedy, (*at, *path, key) if key else (*at, *path)))
        elif one["type"] == "string_pattern_mismatch":
            text = f"'{dotted((*at, *path))}' cannot be {shown(_value(given, path))}."
            remedy = _node(schema, path).get("description", "")  # one kind of several has none, and is told before
            found.setdefault(path, Mistake("bad-value", text, remedy, (*at, *path)))
        else:
            expected = in_words(_node(schema, path), schema)
            found.setdefault(path, wrong_value(_value(given, path), expected, (*at, *path)))
    meant = {(*path[:-1], closest(str(path[-1]), [str(key) for key in _allowed(schema, path[:-1])]))
             for path, mistake in found.items() if mistake.code == "unknown-key"}
    inside = {path[:n] for path in found for n in range(len(path))}  # a wrong item makes its list wrong: told once
    return [*(mistake for path, mistake in found.items() if path not in inside and mistake is not _TOLD),
            *(mistake for path, mistake in missing.items() if path not in meant), *rules]


def unknown_key(word: str, allowed: Iterable[str], whose: str, key: Key, hint: str = "") -> Mistake:
    """A key that does not exist here; ``hint`` says where it does."""
    allowed = list(allowed)
    meant = hint or did_you_mean(word, allowed)
    text = f"'{word}' is not a key of {whose}.{meant}"
    return Mistake("unknown-key", text, f"Allowed here: {', '.join(allowed)}.", key)


def wrong_value(value: Any, expected: str, key: Key) -> Mistake:
    """A value of the wrong type or out of bounds."""
    words = re.findall(r"'([^']*)'", expected)
    meant = did_you_mean(value, words) if isinstance(value, str) and value not in words else ""
    remedy = ""
    if "a list of" in expected and isinstance(value, str | int | float) and not meant:
        remedy = f"Write it as a list: [{value}]."
    elif expected.startswith("an integer") and isinstance(value, float) and value.is_integer():
        remedy = f"Write {value:.0f}."
    elif expected == "text" and isinstance(value, bool | int | float):
        remedy = "Put it into quotes."
    elif isinstance(value, str) and "number" in expected and re.fullmatch(r"[-+0-9.eE_, ]+", value):
        remedy = "Leave out the quotes and anything else that is no digit."
    return Mistake("bad-value", f"'{dotted(key)}' must be {expected}, not {shown(value)}.{meant}", remedy, key)


def dotted(key: Key) -> str:
    """A key as ``--set`` takes it: ``data.target``."""
    return ".".join(str(part) for part in key)


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    if isinstance(value, Mapping):
        return "a section with keys" if value else "an empty section"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value) if str(value).isprintable() else repr(value)[1:-1]
    text = textwrap.shorten(text, 50, placeholder="…") if len(text) > 50 else text
    return f"'{text}'" if isinstance(value, str) else text


def in_words(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a part of a JSON Schema accepts: ``'auto' or an integer of at least 1``."""
    *first, last = dict.fromkeys(_alternatives(node, schema))
    return f"{', '.join(first)} or {last}" if first else last


def _alternatives(node: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    node = _resolved(node, schema)
    if "anyOf" in node:
        return [word for option in node["anyOf"] for word in _alternatives(option, schema)]
    if "enum" in node or "const" in node:
        return [shown(value) for value in node.get("enum", [node.get("const")])]
    kind = node.get("type")
    if kind in ("integer", "number"):
        return [("an integer" if kind == "integer" else "a number") + _bounds(node)]
    if kind == "array":
        items = in_words(node.get("items", {}), schema).replace("an integer", "integers").replace("text", "names")
        return [f"a list of {items}"]
    if kind == "string":
        return ["text" + "".join(f" such as {shown(example)}" for example in node.get("examples", ())[:1])]
    return [{"object": "a section with keys", "boolean": "true or false"}.get(str(kind), "values")]


def render(error: AutomlPhysError, width: int = WIDTH) -> str:
    """An error as the user sees it, without markup: every mistake, in the order of places, with the lines that it is
    about and the remedy. Remedies and lines are kept within ``width``; a first line is whole, as editors want it."""
    blocks = [_block(mistake, width) for mistake in sorted(error.mistakes, key=_order)]
    if len(blocks) > 1:
        more = f"({len(blocks) - 1} more problem{'s' * (len(blocks) > 2)} below)"
        last = blocks[0][-1]
        if not last.lstrip()[:1].isdigit() and len(last) + 2 + len(more) <= width:
            blocks[0][-1] = last + more.rjust(width - len(last))
        else:
            blocks[0].append(more.rjust(width))
    return "\n".join(line for block in blocks for line in block)


def learn_more(error: AutomlPhysError, width: int = WIDTH) -> str:
    """One line for the end of a message: the command that explains its codes, as many of them as there is room for."""
    line = "More on this: automl-phys explain"
    for code in dict.fromkeys(mistake.code for mistake in sorted(error.mistakes, key=_order)):
        if len(line) + 1 + len(code) > width:
            break
        line = f"{line} {code}"
    return line


def as_data(error: AutomlPhysError) -> dict[str, Any]:
    """An error for a program: the exit code and every mistake, in the order of places."""
    return {"exit": error.exit_code, "mistakes": [
        {"code": one.code, "place": one.place and {"file": one.place.file, "line": one.place.line,
                                                   "column": one.place.column},
         "text": one.text, "remedy": one.remedy} for one in sorted(error.mistakes, key=_order)]}


def _order(mistake: Mistake) -> tuple[str, int, int]:
    place = mistake.place or Place("")
    return place.file, place.line, place.column


def _block(mistake: Mistake, width: int) -> list[str]:
    place = mistake.place
    where = "" if place is None else f"{place.file}:{place.line}:{place.column}: " if place.line else f"{place.file}: "
    lines = [where + mistake.text]
    for number, text in place.excerpt if place else ():
        line = f"{number:5d} | {text}".rstrip()
        lines.append(line if len(line) <= width else line[:width - 1] + "…")
    if mistake.remedy:
        lines += textwrap.wrap(mistake.remedy, width, initial_indent="  ", subsequent_indent="  ",
                               break_long_words=False, break_on_hyphens=False)
    return lines


def _path(location: tuple[str | int, ...], given: Any) -> Key:
    """Pydantic's location without the names of union members that it puts between the keys."""
    path: list[str | int] = []
    for part in location:
        keys = given if isinstance(given, dict) else range(len(given)) if isinstance(given, list) else ()
        if part in keys:
            given = given[part]
            path.append(part)
    return tuple(path)


def _value(given: Any, path: Key) -> Any:
    for part in path:
        given = given[part]
    return given


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return node


def _node(schema: Mapping[str, Any], path: Key) -> Mapping[str, Any]:
    """The part of a JSON Schema that a path of keys leads to; empty when it says nothing of it."""
    node: Mapping[str, Any] = schema
    for part in path:
        options = [_resolved(option, schema) for option in _resolved(node, schema).get("anyOf", [node])]
        steps = [_step(_resolved(option, schema), part) for option in options]
        node = next((step for step in steps if step), {})
    return node if "description" in node else _resolved(node, schema)


def _step(node: Mapping[str, Any], part: str | int) -> Mapping[str, Any]:
    if part in node.get("properties", {}):
        return dict(node["properties"][part])
    inner = node.get("items" if isinstance(part, int) and node.get("type") == "array" else "additionalProperties")
    return inner if isinstance(inner, dict) else {}


def _allowed(schema: Mapping[str, Any], path: Key) -> list[str]:
    """The keys of a section, those that must be there first."""
    node = _resolved(_node(schema, path), schema)
    options = [_resolved(option, schema) for option in node.get("anyOf", ())]
    node = next((option for option in options if "properties" in option), node)
    required = list(node.get("required", ()))
    return required + [key for key in node.get("properties", ()) if key not in required]


def _bounds(node: Mapping[str, Any]) -> str:
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    high, below = node.get("maximum"), node.get("exclusiveMaximum")
    if above is not None:
        return f" above {above}" + (f" and below {below}" if below else f" and at most {_plain(high)}" if high else "")
    if low is None:
        return ""
    return f" of at least {low}" if high is None else f" from {low} to {high}"


def _plain(number: float) -> str:
    """A bound without an exponent if it is whole."""
    return f"{number:.0f}" if float(number).is_integer() else f"{number:g}"
