"""YAML text to plain data, with the line and column of every key.

Takes text, gives ``(data, places)``; leaves what the keys mean to :mod:`automl_phys.recipe`. Scalars follow the YAML
1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema), not PyYAML's 1.1: ``1e-3`` is a number, ``no`` and
``12:30`` are text. Tags, repeated keys and second documents are refused, and aliases cannot blow a small file up.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from automl_phys.errors import Key, Mistake, Place, RecipeError

DEEPEST = 30
MOST_NODES = 20_000
"""More keys and values than this, aliases written out, are no recipe."""

_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None,
          "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_OCTAL = re.compile(r"0o[0-7]{1,400}")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_IN_OUR_WORDS = (
    ("'\\t'", "A tab stands where YAML allows only spaces.", "Indent with spaces."),
    ("mapping values are not allowed", "A second ':' stands where a value was expected.",
     "Put a text with ': ' in it into quotes, and indent keys of one section alike."),
    ("could not find expected ':'", "A key without ':' and a value.", "Write 'key: value', with a space between."),
    ("expected a single document", "A second document begins here.", "Remove the '---': a recipe is one document."),
    ("found undefined alias", "An alias '*name' without its anchor '&name'.", "Put text such as '*.csv' into quotes."),
    ("duplicate anchor", "An anchor is defined twice.", "Give each anchor its own name."),
    ("that cannot start any token", "A character that cannot begin a value.", "Put the text into quotes."),
    ("expected <block end>, but found", "This does not line up with what stands above it.",
     "Indent keys of one section alike, and close every bracket and quote above."),
    ("expected ',' or ']'", "The list in brackets is not closed before this.", "Add the missing ',' or ']'."),
    ("expected ',' or '}'", "The mapping in braces is not closed before this.", "Add the missing ',' or '}'."),
    ("unexpected end of stream", "A quote is opened and never closed.", "Close it."),
    ("while scanning an a", "'*' and '&' have a meaning of their own in YAML.", "Put text like '*.csv' into quotes."),
    ("tag ", "A tag ('!' or '!!type') asks for more than a plain value.", "Remove it, or quote text with a '!'."),
    ("nested too deep", f"More than {DEEPEST} levels are nested.", "Close brackets and braces where they should end."),
)


def parse(text: str, name: str) -> tuple[Any, dict[Key, Place]]:
    """Read one YAML document.

    ``name`` is what to call the text in messages. Gives its data and the place of every key and list item, by its path.
    Raises RecipeError, whose mistakes know their place, for whatever is not such a document.
    """
    reader = _Reading(name, _LINE_END.split(text))
    try:
        root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        unclosed = "end of stream" in str(error.problem) and error.context_mark
        mark = unclosed or error.problem_mark or error.context_mark
        raise RecipeError(_syntax(f"{error.context or ''}: {error.problem or ''}", reader.place(mark))) from error
    except yaml.reader.ReaderError as error:
        before = _LINE_END.split(text[:error.position])
        raise RecipeError(Mistake(
            "bad-yaml", f"Character U+{ord(text[error.position]):04X} may not stand in YAML.", "Delete it.",
            place=reader.at(len(before), len(before[-1]) + 1))) from error
    except (ValueError, OverflowError) as error:  # numbers in escapes and directives that Python cannot hold
        raise RecipeError(_syntax(str(error), Place(name))) from error
    data = None if root is None else reader.value(root, (), None)
    if reader.mistakes:
        raise RecipeError(reader.mistakes)
    return data, reader.places


def scalar(text: str) -> Any:
    """A plain (unquoted) scalar by the core schema: null, boolean, integer, float, or else text."""
    if text in _WORDS:
        return _WORDS[text]
    for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _INFINITY.fullmatch(text):
        return float(match[1] + "inf")
    return float("nan") if _NAN.fullmatch(text) else text


class _Composer(yaml.BaseLoader):
    """PyYAML's composer, with tags refused and nesting bounded before it could exhaust the stack."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.check_event()  # reads the next event into current_event, and leaves it to be composed
        event = self.current_event
        if getattr(event, "tag", None):
            raise yaml.composer.ComposerError(None, None, f"tag {event.tag}", event.start_mark)
        if self.depth >= DEEPEST:
            raise yaml.composer.ComposerError(None, None, "nested too deep", event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reading:
    """Composed nodes on their way to data; notes places and mistakes."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        self.places: dict[Key, Place] = {}
        self.mistakes: list[Mistake] = []
        self.nodes = 0

    def value(self, node: yaml.Node, path: Key, parent: Place | None) -> Any:
        """The data of a node that stands at ``path``; ``parent`` is where its key stands."""
        self.nodes += 1
        if self.nodes > MOST_NODES or len(path) > DEEPEST:
            raise RecipeError(Mistake("too-large", "Aliases ('*name') multiply this beyond the size of a recipe.",
                                      "Write the values out.", place=parent or self.place(node.start_mark)))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, parent)
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.style else scalar(node.value)
        return [self._item(item, (*path, i), parent) for i, item in enumerate(node.value)]

    def place(self, mark: yaml.Mark | None, parent: Place | None = None) -> Place:
        return Place(self.name) if mark is None else self.at(mark.line + 1, mark.column + 1, parent)

    def at(self, line: int, column: int, parent: Place | None = None) -> Place:
        """A place with its excerpt: the line itself, and before it the one of ``parent`` or else the line before."""
        if parent and parent.line == line:
            return Place(self.name, line, column, parent.excerpt)
        shown = sorted((parent.line if parent else line - 1, line))  # what an alias brings in stands above its key
        excerpt = tuple((n, self.lines[n - 1]) for n in shown if 0 < n <= len(self.lines) and self.lines[n - 1].strip())
        return Place(self.name, line, column, excerpt)

    def _item(self, node: yaml.Node, path: Key, parent: Place | None) -> Any:
        place = self.places[path] = self.place(node.start_mark, parent)
        return self.value(node, path, place)

    def _mapping(self, node: yaml.MappingNode, path: Key, parent: Place | None) -> dict[Any, Any]:
        data: dict[Any, Any] = {}
        lines: dict[Any, int] = {}
        for key_node, value_node in node.value:
            place = self.place(key_node.start_mark, parent)
            key = self.value(key_node, path, parent) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str | int):
                self.mistakes.append(Mistake("bad-key", "A key must be a word or an integer.",
                                             "Put it into quotes, or check for brackets and braces.", place=place))
            elif key in data:
                self.mistakes.append(Mistake(
                    "repeated-key", f"The key '{key}' stands here and on line {lines[key]}.", "Keep one of the two.",
                    (*path, key), place))
            else:
                self.places[(*path, key)] = place
                lines[key] = place.line
                data[key] = self.value(value_node, (*path, key), place)
        return data


def _syntax(problem: str, place: Place) -> Mistake:
    """PyYAML's complaint in words that a user can act upon."""
    for fragment, text, remedy in _IN_OUR_WORDS:
        if fragment in problem:
            return Mistake("bad-yaml", text, remedy, place=place)
    text = f"This is no YAML ({problem.strip(': ')})."
    return Mistake("bad-yaml", text, "Check brackets, quotes and indentation here.", place=place)
