"""The expressions of recipes (``cut``, ``define`` …): read, checked against columns, evaluated on them.

Takes text and columns, gives an array, or an :class:`ExpressionError` that points at a character. How they are written
is :mod:`automl_phys.expression_tree`'s; nothing here is Python's ``eval``, a tree is walked node by node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from operator import and_, eq, ne, or_
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from automl_phys.expression_tree import Expression, ExpressionError, Node, parse, quoted
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

    from automl_phys.values import Array

__all__ = ["Expression", "ExpressionError", "check", "evaluate", "evaluate_column", "parse"]

Kind: TypeAlias = Literal["number", "flag", "text"]


# ---------------------------------------------------------------- what it gives

def check(expression: Expression, kinds: Mapping[str, str]) -> Literal["number", "flag"]:
    """What an expression gives on columns of these kinds (as in ``contracts.Header``).

    Raises ExpressionError for a column that is not there or holds something else, and for words used as numbers.
    """
    found = _check(expression.tree, expression.text, kinds)
    if found == "text":
        raise ExpressionError(expression.text, expression.tree.position, "This gives a text, not a number.",
                              "Compare it with another text by '==' or '!='.")
    return found


def _check(node: Node, source: str, kinds: Mapping[str, str]) -> Kind:
    if node.kind == "column":
        return _column_kind(node, source, kinds)
    found = [_check(part, source, kinds) for part in node.parts]
    if node.kind in {"number", "text", "flag"}:
        return node.kind  # type: ignore[return-value]  # just told
    if node.kind == "comparison":
        for sign, pair in zip(node.signs, pairwise(found), strict=True):
            if "text" in pair and (pair != ("text", "text") or sign.text not in {"==", "!="}):
                what = "have no order" if pair == ("text", "text") else "cannot be compared with numbers or flags"
                raise ExpressionError(source, sign.position, f"Texts {what}.",
                                      "Texts can be compared with texts, by '==' and '!='.")
        return "flag"
    wanted: Kind = "flag" if node.kind in {"and", "or", "not"} else "number"
    for part, kind in zip(node.parts, found, strict=True):
        if kind == "text" or (wanted == "flag" and kind == "number"):
            what = "a text" if kind == "text" else "a number"
            sought = "yes or no" if wanted == "flag" else "a number"
            remedy = "Compare it with something, as in 'pt > 500'."
            if wanted == "number":
                remedy = "Texts can only be compared, by '==' and '!='."
            raise ExpressionError(source, part.position, f"This is {what}, where {sought} is wanted.", remedy)
    return wanted


def _column_kind(node: Node, source: str, kinds: Mapping[str, str]) -> Kind:
    name = str(node.value)
    kind = kinds.get(name)
    if kind in {"number", "flag", "text"}:
        return kind  # type: ignore[return-value]  # just told
    if kind is None:
        raise ExpressionError(source, node.position, f"There is no column {quoted(name)}.{did_you_mean(name, kinds)}",
                              "Texts stand in quotes; a column that is defined must stand above.")
    remedy = "Name its elements, which 'lengths' makes columns of." if kind == "list" else "Use another column."
    what = {"list": "lists", "time": "times"}.get(kind, "neither numbers nor texts")
    raise ExpressionError(source, node.position, f"Column {quoted(name)} holds {what}: of no use here.", remedy)


# ---------------------------------------------------------------- values

@dataclass(frozen=True)
class Flags:
    """Where something is so, and where it is not so; neither where that is not known. Bool (n,) or (); ``deny`` gives
    the latter, which few expressions ask for."""

    yes: Any
    deny: Callable[[], Any]

    @cached_property
    def no(self) -> Any:
        return self.deny()


def evaluate(expression: Expression, columns: Mapping[str, Any], rows: int) -> Array:
    """The value in each row (rows,): float64, or bool for what is yes or no, False also where that is not known.

    ``columns`` are arrow or numpy arrays, of kinds that :func:`check` found right. What is missing makes numbers NaN.
    A comparison with a missing number or text, by ``!=`` too, is neither so nor not so, and neither is its negation
    (Kleene's logic): a cut never keeps a row because a value is missing. 1/0 is infinite, as in numpy.
    """
    import numpy as np

    found = _values(expression, columns)
    return np.broadcast_to(found.yes if isinstance(found, Flags) else found, rows).copy()


def evaluate_column(expression: Expression, columns: Mapping[str, Any], rows: int) -> pa.Array:
    """The same as a column that other expressions are made of: yes or no is null where it is not known."""
    import numpy as np
    import pyarrow as pa

    found = _values(expression, columns)
    if not isinstance(found, Flags):
        return pa.array(np.broadcast_to(found, rows))
    yes, no = (np.broadcast_to(flags, rows) for flags in (found.yes, found.no))
    return pa.array(yes, mask=~(yes | no))


def _values(expression: Expression, columns: Mapping[str, Any]) -> Flags | Array:
    """Numbers or Flags, (rows,) or ()."""
    import numpy as np

    with np.errstate(all="ignore"):
        found = _value(expression.tree, {name: _column(columns[name]) for name in expression.names})
    return found if isinstance(found, Flags) else np.asarray(found, np.float64)


def _value(node: Node, columns: Mapping[str, Any]) -> Any:
    """A number or an array of them, Flags, or a text or an arrow array of them."""
    import numpy as np

    if node.kind == "column":
        return columns[str(node.value)]
    if node.kind in {"number", "text"}:
        return node.value
    if node.kind == "flag":
        return Flags(np.bool_(node.value), lambda: np.bool_(not node.value))
    values = [_value(part, columns) for part in node.parts]
    if node.kind == "not":
        return Flags(values[0].no, lambda: values[0].yes)
    if node.kind == "or":
        return _any(values)
    if node.kind == "and":
        return _all(values)
    if node.kind == "comparison":
        return _all([_compared(sign.text, *pair) for sign, pair in zip(node.signs, pairwise(values), strict=True)])
    numbers = [_number(value) for value in values]
    if node.kind == "sign":
        return -numbers[0] if node.value == "-" else numbers[0]
    functions: dict[str, Any] = {
        "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.mod, "**": np.power, "abs": np.abs,
        "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10, "sin": np.sin, "cos": np.cos, "tan": np.tan,
        "arctan2": np.arctan2, "hypot": np.hypot, "min": np.minimum, "max": np.maximum}
    function = functions[str(node.value)]
    return function(*numbers) if len(numbers) == 1 else reduce(function, numbers)  # more than two: min and max alone


def _all(flags: list[Flags]) -> Flags:
    return Flags(reduce(and_, [one.yes for one in flags]), lambda: reduce(or_, [one.no for one in flags]))


def _any(flags: list[Flags]) -> Flags:
    return Flags(reduce(or_, [one.yes for one in flags]), lambda: reduce(and_, [one.no for one in flags]))


def _column(column: Any) -> Any:
    """A column as float64, Flags, or an arrow array of texts."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(column, np.ndarray):
        if column.dtype == bool:
            return Flags(column, lambda: ~column)
        if column.dtype.kind in "iuf":
            return column.astype(np.float64)
        column = pa.array(column, from_pandas=True)
    dictionary = pa.types.is_dictionary(column.type)
    of = column.type.value_type if dictionary else column.type
    if pa.types.is_string(of) or pa.types.is_large_string(of):
        return column
    plain = column.cast(of) if dictionary else column
    if not pa.types.is_boolean(of):
        return plain.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return Flags(pc.fill_null(plain, False).to_numpy(zero_copy_only=False),
                 lambda: pc.fill_null(pc.invert(plain), False).to_numpy(zero_copy_only=False))


def _number(value: Any) -> Any:
    """Flags as 1, 0 and, where it is not known, NaN."""
    import numpy as np

    if not isinstance(value, Flags):
        return value
    return np.where(value.yes, 1.0, np.where(value.no, 0.0, np.nan))


def _compared(sign: str, a: Any, b: Any) -> Flags:
    import numpy as np

    if not all(isinstance(value, Flags | float | np.ndarray) for value in (a, b)):
        return _compared_texts(sign, a, b)
    a, b = _number(a), _number(b)
    tests: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        "<": (np.less, np.greater_equal), ">=": (np.greater_equal, np.less), "==": (np.equal, _apart),
        ">": (np.greater, np.less_equal), "<=": (np.less_equal, np.greater), "!=": (_apart, np.equal)}
    so, not_so = tests[sign]
    return Flags(so(a, b), lambda: not_so(a, b))


def _apart(a: Any, b: Any) -> Any:
    """Where two numbers differ; unlike ``a != b`` not where one is missing."""
    return (a < b) | (a > b)


def _compared_texts(sign: str, a: Any, b: Any) -> Flags:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    def where(holds: Callable[..., bool], compare: Callable[..., Any]) -> Any:
        if isinstance(a, str) and isinstance(b, str):
            return np.bool_(holds(a, b))
        found = compare(*(pa.scalar(value) if isinstance(value, str) else value for value in (a, b)))
        return pc.fill_null(found, False).to_numpy(zero_copy_only=False)

    tests = [(eq, pc.equal), (ne, pc.not_equal)]
    so, not_so = tests if sign == "==" else reversed(tests)
    return Flags(where(*so), lambda: where(*not_so))
