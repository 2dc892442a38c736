"""The formulas of recipes (``data: define``) as ONNX nodes, in double precision, as they are evaluated while reading.

Takes an expression (:mod:`automl_phys.expression_tree`) and the tensors of its columns; gives the tensor of its value.
What is yes or no is two tensors, where it is so and where it is not, as in :class:`automl_phys.expressions.Flags`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from itertools import pairwise
from math import log, nan, pi
from typing import NamedTuple

import numpy as np

from automl_phys.errors import CallError, Mistake
from automl_phys.expression_tree import Expression, Node
from automl_phys.onnx_graph import Graph


class Truth(NamedTuple):
    """Where something is so and where it is not so, bool (n, 1); neither where that is not known."""

    yes: str
    no: str


def value(graph: Graph, expression: Expression, columns: Mapping[str, str]) -> str:
    """The value of an expression, float64 (n, 1): 1 and 0 for yes and no, NaN where it is not known.

    ``columns`` are float64 (n, 1), flags among them 1 and 0. Raises CallError for an expression with texts.
    """
    return _Writer(graph, columns, expression.text).number(expression.tree)


class _Writer:
    def __init__(self, graph: Graph, columns: Mapping[str, str], text: str) -> None:
        self.graph, self.columns, self.text = graph, columns, text

    def number(self, node: Node) -> str:
        """A node as a number; flags as 1, 0 and NaN."""
        graph = self.graph
        if node.kind == "column":
            return self.columns[str(node.value)]
        if node.kind == "number":
            return self.constant(float(node.value))
        if node.kind == "text":
            raise CallError(Mistake(
                "not-exportable", f"The formula '{self.text}' compares texts, which is not written as ONNX.",
                "Make the column before the data are read, or score new data with 'automl-phys predict'."))
        if node.kind in {"sign", "arithmetic", "call"}:
            numbers = [self.number(part) for part in node.parts]
            if node.kind == "sign":
                return graph.add("Neg", numbers[0]) if node.value == "-" else numbers[0]
            return self._function(str(node.value), numbers)
        truth = self.truth(node)
        unknown = graph.add("Where", truth.no, self.constant(0.0), self.constant(nan))
        return graph.add("Where", truth.yes, self.constant(1.0), unknown)

    def constant(self, number: float) -> str:
        return self.graph.constant([[number]], np.float64)

    def truth(self, node: Node) -> Truth:
        """A node as yes or no, by Kleene's logic."""
        graph = self.graph
        if node.kind == "flag":
            return Truth(*(graph.constant([[bool(node.value) is so]], np.bool_) for so in (True, False)))
        if node.kind == "not":
            inner = self.truth(node.parts[0])
            return Truth(inner.no, inner.yes)
        if node.kind in {"and", "or"}:
            return self._joined([self.truth(part) for part in node.parts], node.kind)
        if node.kind == "comparison":
            numbers = [self.number(part) for part in node.parts]
            found = [self._compared(sign.text, *pair)
                     for sign, pair in zip(node.signs, pairwise(numbers), strict=True)]
            return self._joined(found, "and")
        number = self.number(node)  # a column of flags
        return self._compared("!=", number, self.constant(0.0))

    def _joined(self, truths: list[Truth], word: str) -> Truth:
        operators = ("And", "Or") if word == "and" else ("Or", "And")
        return Truth(*(reduce(lambda a, b, o=operator: self.graph.add(o, a, b), tensors)  # type: ignore[misc]
                       for operator, tensors in zip(operators, zip(*truths, strict=True), strict=True)))

    def _compared(self, sign: str, a: str, b: str) -> Truth:
        add = self.graph.add
        apart: Callable[[], str] = lambda: add("Or", add("Less", a, b), add("Greater", a, b))  # noqa: E731
        tests: dict[str, Callable[[], str]] = {
            "<": lambda: add("Less", a, b), ">=": lambda: add("GreaterOrEqual", a, b),
            ">": lambda: add("Greater", a, b), "<=": lambda: add("LessOrEqual", a, b),
            "==": lambda: add("Equal", a, b), "!=": apart}
        opposite = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
        return Truth(tests[sign](), tests[opposite[sign]]())

    def _function(self, word: str, numbers: list[str]) -> str:
        add = self.graph.add
        simple = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "**": "Pow", "abs": "Abs", "sqrt": "Sqrt",
                  "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos"}
        if word in simple:
            return add(simple[word], *numbers)
        if word in {"min", "max"}:
            return reduce(lambda a, b: add(word.capitalize(), a, b), numbers)
        if word == "log10":
            return add("Div", add("Log", numbers[0]), self.constant(log(10)))
        if word == "tan":
            return add("Div", add("Sin", numbers[0]), add("Cos", numbers[0]))
        if word == "hypot":
            return add("Sqrt", add("Add", *(add("Mul", one, one) for one in numbers)))
        if word == "%":
            return self._modulo(*numbers)
        return self._arctan2(*numbers)

    def _modulo(self, a: str, b: str) -> str:
        """With the sign of the divisor, as numpy has it."""
        add, zero = self.graph.add, self.constant(0.0)
        rest = add("Mod", a, b, fmod=1)
        across = add("Less", add("Mul", rest, b), zero)
        return add("Where", across, add("Add", rest, b), rest)

    def _arctan2(self, y: str, x: str) -> str:
        """The arc tangent itself in single precision: ONNX runtime has no other."""
        graph, add, zero = self.graph, self.graph.add, self.constant(0.0)
        plain = graph.cast(add("Atan", graph.cast(add("Div", y, x), np.float32)), np.float64)
        turned = add("Where", add("Less", y, zero), self.constant(-pi), self.constant(pi))
        found = add("Where", add("Less", x, zero), add("Add", plain, turned), plain)
        both = add("And", add("Equal", x, zero), add("Equal", y, zero))
        return add("Where", both, zero, found)
