"""The text of an expression as a tree: read against a whitelist, by recursive descent.

Takes text, gives a tree of known nodes or an :class:`ExpressionError` that points at a character. There is no
attribute, no index, no call but of the functions listed. What a tree means is :mod:`automl_phys.expressions`'s.

    or_expr := and_expr ("or" and_expr)*          sum   := term (("+" | "-") term)*
    and_expr := not_expr ("and" not_expr)*        term  := sign (("*" | "/" | "%") sign)*
    not_expr := "not" not_expr | comparison       sign  := ("-" | "+") sign | power
    comparison := sum (("<" | "==" | …) sum)*     power := atom ("**" sign)?

as in Python: ``-x**2`` is ``-(x**2)``, ``not a == b`` is ``not (a == b)``, ``500 < pt < 700`` is ``500 < pt and
pt < 700``. A name that is no plain word stands in backquotes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from automl_phys.registry import did_you_mean

LONGEST = 2000
MOST_WORDS = 400
DEEPEST = 40
"""Bounds that keep the tree flat enough to be walked, whatever a stranger's recipe holds."""

FUNCTIONS: Mapping[str, int] = {
    "abs": 1, "sqrt": 1, "exp": 1, "log": 1, "log10": 1, "sin": 1, "cos": 1, "tan": 1, "arctan2": 2, "hypot": 2,
    "min": -2, "max": -2,
}
"""How many arguments each function takes; -2 for two or more."""

KEYWORDS = ("and", "or", "not")
TRUTHS = {"true": True, "True": True, "false": False, "False": False}
COMPARISONS = ("==", "!=", "<=", ">=", "<", ">")
ALLOWED = ("Allowed: columns, numbers, texts in quotes, brackets, and or not, == != < <= > >=, + - * / % **, "
           f"{' '.join(FUNCTIONS)}.")
DEFINE_PARTS = "Define parts of it as columns of their own."
MEANT = {"&": "Write 'and'.", "&&": "Write 'and'.", "|": "Write 'or'.", "||": "Write 'or'.", "!": "Write 'not'.",
         "=": "To compare write '=='.", "^": "For a power write '**'.", "~": "Write 'not'.", "//": "Write '/'.",
         "[": "Elements of lists have names of their own: see 'lengths'.",
         ".": "There are no attributes; a name with a dot stands in backquotes.",
         "<>": "Write '!='.", "=<": "Write '<='.", "=>": "Write '>='.", "≤": "Write '<='.", "≥": "Write '>='.",
         "≠": "Write '!='.", "−": "Write '-'.", "×": "Write '*'."}
"""What to write instead of signs that other languages, or paper, have."""
MEANT_WORDS = {"AND": "Write 'and'.", "OR": "Write 'or'.", "NOT": "Write 'not'.",
               "in": "Compare with each: label == 'a' or label == 'b'."}

_TOKEN = re.compile(r"""
    (?P<space>\s+) | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?) | (?P<name>[^\W\d]\w*)
    | `(?P<quoted>[^`]+)` | (?P<text>'[^']*'|"[^"]*") | (?P<sign>\*\*|==|!=|<=|>=|[-+*/%<>(),]) """, re.VERBOSE)


class ExpressionError(ValueError):
    """What is wrong with an expression: ``text`` and ``remedy``, and the ``position`` of the character (from 0)."""

    def __init__(self, source: str, position: int, text: str, remedy: str) -> None:
        super().__init__(f"{text} At character {position + 1}:\n{pointed(source, position)}")
        self.text, self.remedy, self.position = str(self), remedy, position


def pointed(source: str, position: int) -> str:
    """The part of an expression around a character, and under it an arrow to it."""
    start = max(0, position - 40)
    return f"    {_printable(source[start:start + 76])}\n    {' ' * (position - start)}^"


def _printable(text: str) -> str:
    """Without what would move the cursor of a terminal, or cannot be written to it."""
    return "".join(character if character.isprintable() else " " for character in text)


def quoted(word: str) -> str:
    """A word as messages quote it."""
    return f"'{_printable(word if len(word) <= 50 else word[:49] + '…')}'"


class Token(NamedTuple):
    """A word of an expression."""

    kind: Literal["number", "name", "column", "text", "sign", "end"]
    text: str
    position: int


@dataclass(frozen=True)
class Node:
    """A node of the tree. ``kind`` is ``number``, ``text``, ``flag`` or ``column`` (with ``value``), ``call``,
    ``sign``, ``arithmetic`` (``value`` says which), ``comparison`` (``signs`` stand between its ``parts``), ``and``,
    ``or``, ``not``."""

    kind: str
    position: int
    value: str | float | bool = ""
    parts: tuple[Node, ...] = ()
    signs: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Expression:
    """An expression that was read."""

    text: str
    tree: Node

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it uses, in their order, each once."""
        return tuple(dict.fromkeys(str(node.value) for node in _nodes(self.tree) if node.kind == "column"))


def _nodes(tree: Node) -> Iterator[Node]:
    """All nodes, as they stand in the text."""
    todo = [tree]
    while todo:
        yield (node := todo.pop())
        todo += reversed(node.parts)


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Read an expression. Raises ExpressionError."""
    if len(text) > LONGEST:
        raise ExpressionError(text, LONGEST, f"The expression has {len(text)} characters; {LONGEST} are the most.",
                              DEFINE_PARTS)
    if half := re.search(r"[\ud800-\udfff]", text):
        raise ExpressionError(text, half.start(), "Half of a character stands here.", ALLOWED)
    reader = _Reader(text)
    tree = reader.disjunction()
    if reader.now.kind != "end":
        raise reader.unexpected("an operator or the end")
    return Expression(text, tree)


class _Reader:
    """Recursive descent over the tokens of an expression."""

    def __init__(self, text: str) -> None:
        self.text, self.depth = text, 0
        self.tokens = list(_tokens(text))
        self.place = 0
        if len(self.tokens) > MOST_WORDS:
            raise ExpressionError(text, self.tokens[MOST_WORDS].position, f"More than {MOST_WORDS} words and signs.",
                                  DEFINE_PARTS)

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    def take(self, *texts: str) -> Token | None:
        """The token at hand, if it is one of these signs or words; goes on to the next."""
        token = self.now
        if token.kind not in {"sign", "name"} or token.text not in texts:
            return None
        self.place += 1
        return token

    def unexpected(self, wanted: str) -> ExpressionError:
        token = self.now
        found = "it ends here" if token.kind == "end" else f"{quoted(token.text)} stands here"
        remedy = MEANT_WORDS.get(token.text, ALLOWED)
        if token.kind == "end" and "(" in self.text:  # YAML took the comma for the end of the entry
            remedy = f"Inside {{ }} a formula with a comma needs quotes. {remedy}"
        return ExpressionError(self.text, token.position, f"Expected {wanted}, but {found}.", remedy)

    def disjunction(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ExpressionError(self.text, self.now.position, f"More than {DEEPEST} levels of brackets.",
                                  DEFINE_PARTS)
        node = self._joined("or", self._conjunction)
        self.depth -= 1
        return node

    def _conjunction(self) -> Node:
        return self._joined("and", self._negation)

    def _joined(self, word: str, inner: Callable[[], Node]) -> Node:
        parts = [inner()]
        while self.take(word):
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Node(word, parts[0].position, "", tuple(parts))

    def _negation(self) -> Node:
        words = []
        while token := self.take("not"):
            words.append(token)
        node = self._comparison()
        for token in words[:2 - len(words) % 2]:  # a third is as one
            node = Node("not", token.position, "", (node,))
        return node

    def _comparison(self) -> Node:
        parts, signs = [self._sum()], []
        while token := self.take(*COMPARISONS):
            signs.append(token)
            parts.append(self._sum())
        return Node("comparison", signs[0].position, "", tuple(parts), tuple(signs)) if signs else parts[0]

    def _sum(self) -> Node:
        return self._binary(("+", "-"), self._term)

    def _term(self) -> Node:
        return self._binary(("*", "/", "%"), self._sign)

    def _binary(self, signs: tuple[str, ...], inner: Callable[[], Node]) -> Node:
        node = inner()
        while token := self.take(*signs):
            node = Node("arithmetic", token.position, token.text, (node, inner()))
        return node

    def _sign(self) -> Node:
        signs = []
        while token := self.take("-", "+"):
            signs.append(token)
        node = self._power()
        value = "-" if sum(token.text == "-" for token in signs) % 2 else "+"
        return Node("sign", signs[0].position, value, (node,)) if signs else node

    def _power(self) -> Node:
        base = self._atom()
        token = self.take("**")
        if not token:
            return base
        self.depth += 1
        if self.depth > DEEPEST:
            raise ExpressionError(self.text, token.position, f"More than {DEEPEST} powers of powers.", "Use brackets.")
        node = Node("arithmetic", token.position, "**", (base, self._sign()))
        self.depth -= 1
        return node

    def _atom(self) -> Node:
        token = self.now
        if (token.kind in {"sign", "end"} and token.text != "(") or (token.kind == "name" and token.text in KEYWORDS):
            raise self.unexpected("a column, a number or a bracket")
        self.place += 1
        if token.kind == "sign":
            node = self.disjunction()
            if not self.take(")"):
                raise self.unexpected("')'")
            return node
        if token.kind == "number":
            return Node("number", token.position, float(token.text))
        if token.kind == "text":
            return Node("text", token.position, token.text[1:-1])
        if token.kind == "name" and token.text in TRUTHS:
            return Node("flag", token.position, TRUTHS[token.text])
        if token.kind == "name" and self.now.kind == "sign" and self.now.text == "(":
            return self._call(token)
        return Node("column", token.position, token.text)

    def _call(self, name: Token) -> Node:
        if name.text not in FUNCTIONS:
            raise ExpressionError(self.text, name.position, f"There is no function {quoted(name.text)}."
                                  f"{did_you_mean(name.text, FUNCTIONS)}", f"Functions: {', '.join(FUNCTIONS)}.")
        self.place += 1
        parts = [self.disjunction()]
        while self.take(","):
            parts.append(self.disjunction())
        if not self.take(")"):
            raise self.unexpected("',' or ')'")
        wanted = FUNCTIONS[name.text]
        if len(parts) != wanted and (wanted > 0 or len(parts) < -wanted):
            count = f"{-wanted} or more arguments" if wanted < 0 else f"{wanted} argument{'s' * (wanted > 1)}"
            raise ExpressionError(self.text, name.position, f"'{name.text}' takes {count}, not {len(parts)}.",
                                  "Separate arguments by commas.")
        return Node("call", name.position, name.text, tuple(parts))


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        pair = text[at:at + 2]
        found = None if pair in MEANT else _TOKEN.match(text, at)
        if not found:
            wrong = pair if pair in MEANT else text[at]
            remedy = MEANT.get(wrong, ALLOWED)
            if wrong in "'\"`":
                remedy = "A name in backquotes is not empty." if pair == "``" else "It is opened and not closed."
            raise ExpressionError(text, at, f"{quoted(wrong)} is no part of the language.", remedy)
        kind, word = str(found.lastgroup), found[found.lastgroup or 0]
        if kind == "number" and found.end() < len(text) and (text[found.end()].isalnum() or text[found.end()] in "_."):
            raise ExpressionError(text, at, f"'{word}{text[found.end()]}' is no number.",
                                  "A column whose name begins with a digit stands in backquotes.")
        if kind != "space":
            yield Token("column" if kind == "quoted" else kind, word, at)  # type: ignore[arg-type]  # the groups' names
        at = found.end()
    yield Token("end", "", len(text))
