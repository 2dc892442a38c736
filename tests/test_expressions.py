"""Expressions: precedence as in Python, numbers as in numpy, logic as Kleene's; nothing else gets in, whatever is written."""

from __future__ import annotations

import ast
import math
import random
import re
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from pydantic import BaseModel, ValidationError

from automl_phys.cli import main
from automl_phys.expression_tree import DEEPEST, FUNCTIONS, LONGEST, MOST_WORDS, Node
from automl_phys.expressions import ExpressionError, check, evaluate, evaluate_column, parse
from automl_phys.section import Expression

KINDS = {"pt": "number", "eta": "number", "mass": "number", "jet.pt": "number", "good": "flag", "label": "text",
         "other_label": "text", "hits": "list", "when": "time", "thing": "other"}


def value(text: str, **columns: object) -> float | bool:
    """What an expression gives on one row."""
    arrays = {name: pa.array([one]) for name, one in columns.items()}
    return evaluate(parse(text), arrays, 1)[0].item()


def wrong(text: str, kinds: dict[str, str] | None = None) -> ExpressionError:
    with pytest.raises(ExpressionError) as error:
        check(parse(text), KINDS if kinds is None else kinds)
    assert 0 <= error.value.position <= len(text)
    return error.value


# ---------------------------------------------------------------- how it is read

@pytest.mark.parametrize(("text", "expected"), [
    ("-2**2", -4), ("(-2)**2", 4), ("2**-1", 0.5), ("2**3**2", 512), ("-2**-2", -0.25), ("8 / 4 / 2", 1),
    ("8 - 4 - 2", 2), ("2 + 3 * 4", 14), ("7 % 4 * 2", 6), ("-7 % 4", 1), ("2 * -3", -6), ("- - 3", 3), ("+-+3", -3),
    (".5 + 1. + 1e-3 + 2.5E+1", 26.501), ("abs(-3) + min(3, 1, 2) * max(1, 5)", 8), ("hypot(3, 4)", 5),
    ("arctan2(1, -1)", 3 * math.pi / 4), ("log10(1000) + sqrt(16) + exp(0) + log(1)", 8),
    ("sin(0) + cos(0) + tan(0)", 1), ("(1 < 2) + (2 < 3) + true", 3), ("-true", -1), ("+(2 > 1) * 2", 2),
    ("1 < 2 < 3", True), ("1 < 3 < 2", False), ("3 > 2 == 2", True), ("1 < 2 == 1", False), ("(1 < 2) == 1", True),
    ("not 1 == 2", True), ("not not 1 == 2", False), ("not not not 1 == 2", True),
    ("true or true and false", True), ("(true or true) and false", False), ("not false and false", False),
    ("not true or True and not False", True), ("'top' == \"top\"", True), ("'top' != 'top'", False),
    ("'a' == 'a' != 'b'", True), ("'it' == \"it's\"", False), ("true == (1 < 2)", True), ("1 + 1 == 2 and 3 >= 3", True),
    ("2\n+\t2 <= 4", True),
])
def test_the_precedence_is_that_of_python(text, expected):
    found = value(text)
    assert type(found) is (bool if isinstance(expected, bool) else float)
    assert found == pytest.approx(expected, rel=1e-15)


def test_names_come_in_the_order_of_the_text_each_once():
    assert parse("eta > pt and `jet.pt` < eta or min(a, b, pt) > 1").names == ("eta", "pt", "jet.pt", "a", "b")
    assert parse("1 < 2").names == ()


def test_backquotes_hold_any_name_and_never_a_word_of_the_language():
    assert parse("`and` + `true` + `2x` + `a b` + `(` + `min`").names == ("and", "true", "2x", "a b", "(", "min")
    assert value("`jet.pt` * 2", **{"jet.pt": 4.0}) == 8
    assert parse("min + sqrt > 2").names == ("min", "sqrt")  # functions only where a bracket follows
    assert "'('" in wrong("abs`(`pt)").text


def test_an_expression_is_a_value():
    one, same = parse("pt > 5"), parse("pt > 5")
    assert one == same and hash(one) == hash(same) and one.text == "pt > 5"
    assert parse("pt>5") != one


@pytest.mark.parametrize(("text", "position", "what", "remedy"), [
    ("pt > 5 & eta < 2", 7, "'&'", "Write 'and'."),
    ("pt > 5 && eta < 2", 7, "'&&'", "Write 'and'."),
    ("good | good", 5, "'|'", "Write 'or'."),
    ("good || good", 5, "'||'", "Write 'or'."),
    ("!good", 0, "'!'", "Write 'not'."),
    ("~good", 0, "'~'", "Write 'not'."),
    ("pt = 5", 3, "'='", "To compare write '=='."),
    ("pt =< 5", 3, "'=<'", "Write '<='."),
    ("pt => 5", 3, "'=>'", "Write '>='."),
    ("pt ≥ 5", 3, "'≥'", "Write '>='."),
    ("pt <> 5", 3, "'<>'", "Write '!='."),
    ("pt^2 > 5", 2, "'^'", "For a power write '**'."),
    ("pt // 2 > 5", 3, "'//'", "Write '/'."),
    ("good AND good", 5, "'AND' stands here", "Write 'and'."),
    ("label in ('a', 'b')", 6, "'in' stands here", "Compare with each"),
    ("jet.pt > 5", 3, "'.'", "no attributes; a name with a dot stands in backquotes"),
    ("pt.__class__", 2, "'.'", "no attributes"),
    ("hits[0] > 5", 4, "'['", "Elements of lists"),
    ("sqr(pt) > 5", 0, "no function 'sqr'. Did you mean 'sqrt'?", "arctan2, hypot"),
    ("__import__('os')", 0, "no function '__import__'", "Functions: abs"),
    ("pt > ", 5, "it ends here", "Allowed: columns"),
    ("", 0, "it ends here", "Allowed"),
    ("(pt > 5", 7, "Expected ')'", "Allowed"),
    ("pt > 5)", 6, "Expected an operator or the end, but ')'", "Allowed"),
    ("()", 1, "')' stands here", "Allowed"),
    ("pt 5", 3, "'5' stands here", "Allowed"),
    ("pt > not good", 5, "'not' stands here", "Allowed"),
    ("min(pt)", 0, "'min' takes 2 or more arguments, not 1", "commas"),
    ("hypot(1, 2, 3)", 0, "'hypot' takes 2 arguments, not 3", "commas"),
    ("abs(1, 2)", 0, "'abs' takes 1 argument, not 2", "commas"),
    ("abs()", 4, "')' stands here", "Allowed"),
    ("min(1, 2,)", 9, "')' stands here", "Allowed"),
    ("min(1 2)", 6, "Expected ',' or ')'", "Allowed"),
    ("label == 'top", 9, "'", "opened and not closed"),
    ("`jet.pt > 5", 0, "'`'", "opened and not closed"),
    ("`` > 5", 0, "'`'", "not empty"),
    ("2x > 5", 0, "'2x' is no number", "backquotes"),
    ("1.2.3 > 5", 0, "'1.2.' is no number", "backquotes"),
    ("0x10", 0, "'0x'", "backquotes"),
    ("٣ > 2", 0, "'٣'", "Allowed"),
    ("pt > 5; pt", 6, "';'", "Allowed"),
    ("lambda: pt", 6, "':'", "Allowed"),
    ("f'{pt}'", 1, "stands here", "Allowed"),
    ("pt if good else eta", 3, "'if' stands here", "Allowed"),
    ("pt > \ud800", 5, "Half of a character", "Allowed"),
])
def test_what_is_not_in_the_language_is_told_with_its_character(text, position, what, remedy):
    with pytest.raises(ExpressionError) as error:
        parse(text)
    assert error.value.position == position
    assert what in error.value.text.splitlines()[0]
    assert f"At character {position + 1}:" in error.value.text
    assert remedy in error.value.remedy


def test_the_drawing_has_its_arrow_under_the_character():
    for text in ("pt > 500 & abs(eta) < 2", "a + " * 60 + "a & b", "a\n\t& b", "\x1b[31m", "x " + "\x85" * 3 + "& \x07"):
        error = wrong(text, {})
        _, drawn, arrow = error.text.split("\n")
        assert drawn[arrow.index("^")] == (text[error.position] if text[error.position].isprintable() else " ")
        assert max(len(drawn), len(arrow)) <= 80
        assert all(part.isprintable() for part in error.text.split("\n"))


def test_words_of_any_length_are_quoted_within_a_line():
    assert all(len(line) < 200 for line in wrong("x" * 1900 + " > 2").text.split("\n"))


# ---------------------------------------------------------------- bounds

DEEP = {
    "brackets": lambda n: "(" * n + "x" + ")" * n,
    "calls": lambda n: "abs(" * n + "x" + ")" * n,
    "powers": lambda n: "x**" * n + "x",
    "signed powers": lambda n: "x**-" * n + "x",
    "chains": lambda n: "1 < (" * n + "x" + ") < 2" * n,
    "logic": lambda n: "a or b and not not (" * n + "a" + ")" * n,
    "sums": lambda n: "x + x*(" * n + "x" + ")" * n,
}


@pytest.mark.parametrize("shape", DEEP)
def test_deep_nesting_is_read_and_walked_or_refused_never_a_crash(shape):
    def far_down(frames: int, todo):
        return far_down(frames - 1, todo) if frames else todo()

    columns = {name: np.ones(3) for name in "x"} | {name: np.ones(3, bool) for name in "ab"}
    kinds = {"x": "number", "a": "flag", "b": "flag"}
    text = DEEP[shape](min(DEEPEST - 1, (MOST_WORDS - 2) // len(DEEP[shape](1).split())))

    def whole():
        parse.cache_clear()
        expression = parse(text)
        check(expression, kinds)
        hash(expression), repr(expression)
        return evaluate(expression, columns, 3), evaluate_column(expression, columns, 3)

    assert len(far_down(150, whole)[0]) == 3
    for n in (DEEPEST + 1, 90, 300, 2000, 100_000):
        with pytest.raises(ExpressionError):
            parse(DEEP[shape](n))


@pytest.mark.parametrize("text", ["-" * 1900 + "x", "not " * 390 + "a", "x" + " + x" * 190, "a" + " and a" * 190,
                                  "x" + " < x" * 190, "min(x" + ", x" * 190 + ")", "x" * LONGEST, "1" * LONGEST])
def test_long_but_flat_expressions_are_taken_or_refused(text):
    try:
        expression = parse(text)
    except ExpressionError as error:
        assert "More than" in error.text
    else:
        kinds = {"x": "number", "a": "flag", "x" * LONGEST: "number"}
        check(expression, kinds)
        evaluate_column(expression, {"x": np.ones(2), "a": np.ones(2, bool), "x" * LONGEST: np.ones(2)}, 2)


def test_too_long_a_text_points_at_the_first_character_too_many():
    assert wrong("x" * (LONGEST + 1), {}).position == LONGEST
    assert wrong("x " * (MOST_WORDS + 1), {}).position == 2 * MOST_WORDS


# ---------------------------------------------------------------- kinds

@pytest.mark.parametrize(("text", "kind"), [
    ("pt", "number"), ("good", "flag"), ("pt > 5", "flag"), ("good + 1", "number"), ("-good", "number"),
    ("good > 0", "flag"), ("not good", "flag"), ("label == 'a'", "flag"), ("label != other_label", "flag"),
    ("(label == 'a') + (pt > 2) >= 1", "flag"), ("min(good, pt)", "number"), ("good == (pt > 3)", "flag"),
    ("`jet.pt` / pt", "number"), ("true", "flag"),
])
def test_what_an_expression_gives(text, kind):
    assert check(parse(text), KINDS) == kind


@pytest.mark.parametrize(("text", "position", "what"), [
    ("label", 0, "gives a text"),
    ("'top'", 0, "gives a text"),
    ("pt > 5 and ptt < 3", 11, "no column 'ptt'. Did you mean 'pt'?"),
    ("label == top", 9, "no column 'top'"),
    ("label < 'b'", 6, "have no order"),
    ("label == 5", 6, "cannot be compared with numbers"),
    ("good == 'yes'", 5, "cannot be compared with numbers"),
    ("'a' == label == 5", 13, "cannot be compared with numbers"),
    ("label == other_label < 'b'", 21, "have no order"),
    ("label + 1 > 3", 0, "This is a text, where a number"),
    ("+label == 'a'", 1, "This is a text, where a number"),
    ("2 * -'a'", 5, "This is a text"),
    ("log(label)", 4, "This is a text"),
    ("good and pt", 9, "This is a number, where yes or no"),
    ("not pt", 4, "This is a number, where yes or no"),
    ("not not pt", 8, "This is a number, where yes or no"),
    ("good or label", 8, "This is a text, where yes or no"),
    ("hits > 3", 0, "'hits' holds lists"),
    ("pt > when", 5, "'when' holds times"),
    ("thing == 'a'", 0, "holds neither numbers nor texts"),
])
def test_what_makes_no_sense_is_told_with_its_character(text, position, what):
    error = wrong(text)
    assert error.position == position
    assert what in error.text
    assert error.remedy


# ---------------------------------------------------------------- values

def test_a_cut_never_keeps_a_row_because_a_value_is_missing():
    pt = pa.array([600.0, None, float("nan"), 400.0])
    for text in ("pt > 500", "not pt > 500", "pt < 500", "not pt < 500", "pt == 600", "pt != 600", "not pt == 600",
                 "not pt != 600", "pt == pt", "pt != pt", "sqrt(pt) >= 0", "300 < pt < 700", "not 300 < pt < 500",
                 "min(pt, 1e9) > 0", "(pt > 500) + 1 < 9", "(pt > 500) == true", "(pt > 500) != false",
                 "not (pt > 500 and pt > 550)", "not (pt > 500 or pt < 300)"):
        kept = evaluate(parse(text), {"pt": pt}, 4)
        assert kept.dtype == bool
        assert not kept[1:3].any(), text
    assert value("pt > 500 or good", pt=None, good=True) is True  # true whatever pt is
    assert value("not (pt > 500 and good)", pt=float("nan"), good=False) is True


def test_missing_flags_and_texts_are_not_known_either():
    good, label = pa.array([True, False, None]), pa.array(["a", "b", None])
    for text, kept in {"good": [True, False, False], "not good": [False, True, False],
                       "good == false": [False, True, False], "label == 'a'": [True, False, False],
                       "label != 'a'": [False, True, False], "not label == 'a'": [False, True, False],
                       "label == label": [True, True, False]}.items():
        assert evaluate(parse(text), {"good": good, "label": label}, 3).tolist() == kept, text
    assert np.isnan(evaluate(parse("good + 1"), {"good": good}, 3)).tolist() == [False, False, True]


def test_a_column_for_others_keeps_what_is_not_known():
    pt = {"pt": pa.array([600.0, None, 400.0])}
    high = evaluate_column(parse("pt > 500"), pt, 3)
    assert high.to_pylist() == [True, None, False]
    assert evaluate(parse("not high"), {"high": high}, 3).tolist() == [False, False, True]
    assert evaluate_column(parse("true"), {}, 2).to_pylist() == [True, True]
    assert evaluate_column(parse("2"), {}, 2).to_pylist() == [2, 2]
    assert evaluate_column(parse("pt / 2"), pt, 3).is_null(nan_is_null=True).to_pylist() == [False, True, False]


@pytest.mark.parametrize(("text", "expected"), [
    ("1 / x", math.inf), ("-1 / x", -math.inf), ("x / x", math.nan), ("1 % x", math.nan), ("log(x)", -math.inf),
    ("sqrt(x - 1)", math.nan), ("log(x - 1)", math.nan), ("(x - 8) ** 0.5", math.nan), ("exp(x + 1000)", math.inf),
    ("1 / 0", math.inf), ("0 / 0", math.nan), ("10 ** 400", math.inf), ("min(x, 0/0)", math.nan),
])
def test_what_has_no_value_is_infinite_or_nan_without_a_word(text, expected):
    assert value(text, x=0) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("array", [
    pa.array([3, -1, None], pa.int8()), pa.array([3, -1, None], pa.int64()), pa.array([3.0, -1.0, None], pa.float32()),
    pa.array([3.0, -1.0, None], pa.float16()), pa.array([3, -1, None]).cast(pa.decimal128(21, 2)),
    pa.array([3, -1, None]).dictionary_encode(), pa.chunked_array([[3], [-1, None]]),
    np.array([3.0, -1.0, np.nan]), np.array([3.0, -1.0, np.nan], np.float32)], ids=lambda a: type(a).__name__)
def test_numbers_of_all_widths_become_64_bits(array):
    found = evaluate(parse("x * 1e300"), {"x": array}, 3)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [3e300, -1e300, np.nan])


@pytest.mark.parametrize("array", [
    pa.array(["a", "b", None]), pa.array(["a", "b", None], pa.large_string()), pa.array(["a", "b", None]).dictionary_encode(),
    pa.chunked_array([["a"], ["b", None]]), pa.chunked_array([["a"], ["b", None]]).dictionary_encode(),
    pa.chunked_array([pa.array(["a"]).dictionary_encode(), pa.array(["b", None]).dictionary_encode()]),
    np.array(["a", "b", None], object)], ids=lambda a: type(a).__name__)
def test_texts_of_all_makes_are_compared(array):
    columns = {"x": array, "y": pa.array(["b", "b", "b"]), "z": pa.array(["b", "b", "b"], pa.large_string())}
    assert evaluate(parse("x == 'a'"), columns, 3).tolist() == [True, False, False]
    assert evaluate(parse("'a' != x"), columns, 3).tolist() == [False, True, False]
    for other in "yz":
        assert evaluate(parse(f"x == {other}"), columns, 3).tolist() == [False, True, False]


def test_flags_of_all_makes_are_taken():
    for array in (pa.array([True, False]), pa.chunked_array([[True], [False]]), np.array([True, False]),
                  pa.array([True, False]).dictionary_encode()):
        assert evaluate(parse("not x"), {"x": array}, 2).tolist() == [False, True]


def test_the_columns_are_left_alone_and_no_rows_are_no_trouble():
    x = np.array([1.0, 2.0])
    for text in ("x", "+x", "(x)"):
        evaluate(parse(text), {"x": x}, 2)[:] = 7
    evaluate(parse("b"), {"b": (b := np.array([True, False]))}, 2)[:] = True
    assert x.tolist() == [1, 2] and b.tolist() == [True, False]
    assert evaluate(parse("x > 2 and l == 'a'"), {"x": pa.array([], pa.float32()), "l": pa.array([], pa.string())}, 0).shape == (0,)
    assert evaluate(parse("2 > 1"), {}, 4).tolist() == [True] * 4


def test_a_constant_of_the_recipe_is_a_constant_of_each_row():
    assert evaluate(parse("2 ** 0.5"), {}, 3).tolist() == [math.sqrt(2)] * 3


# ---------------------------------------------------------------- against Python's grammar, numpy's numbers, arrow's logic

NUMBERS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.mod, "**": np.power}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.Pow: "**"}
COMPARES = {ast.Lt: pc.less, ast.LtE: pc.less_equal, ast.Gt: pc.greater, ast.GtE: pc.greater_equal, ast.Eq: pc.equal,
            ast.NotEq: pc.not_equal}


def oracle(node: ast.expr, columns: dict[str, np.ndarray], n: int):
    """The value by Python's parser, numpy's arithmetic and arrow's Kleene logic: float64, or arrow flags with nulls."""
    def number(part: ast.expr) -> np.ndarray:
        found = oracle(part, columns, n)
        return found if isinstance(found, np.ndarray) else found.cast(pa.float64()).to_numpy(zero_copy_only=False)

    match node:
        case ast.Constant(value=bool() as flag):
            return pa.array([flag] * n)
        case ast.Constant(value=constant):
            return np.full(n, float(constant))
        case ast.Name(id=name):
            return columns[name]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return pc.invert(oracle(operand, columns, n))
        case ast.UnaryOp(op=op, operand=operand):
            return -number(operand) if isinstance(op, ast.USub) else number(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return NUMBERS[OPERATORS[type(op)]](number(left), number(right))
        case ast.BoolOp(op=op, values=[first, *others]):
            joined = oracle(first, columns, n)
            for other in others:
                joined = (pc.and_kleene if isinstance(op, ast.And) else pc.or_kleene)(joined, oracle(other, columns, n))
            return joined
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [pa.array(number(part), from_pandas=True) for part in (left, *comparators)]
            joined = pa.array([True] * n)
            for op, a, b in zip(ops, sides, sides[1:], strict=False):
                joined = pc.and_kleene(joined, COMPARES[type(op)](a, b))
            return joined
        case ast.Call(func=ast.Name(id=name), args=[first, *others]):
            function = getattr(np, {"min": "minimum", "max": "maximum"}.get(name, name))
            found = function(number(first)) if not others else number(first)
            for other in others:
                found = function(found, number(other))
            return found
    raise AssertionError(ast.dump(node))


def written(rng: random.Random, depth: int, flag: bool) -> str:
    """A sound expression that gives a flag or a number, with brackets only now and then."""
    def part(flag: bool) -> str:
        return written(rng, depth - 1, flag)

    def operand() -> str:  # no looser than a sum, so that a comparison beside it stays one chain
        return part(False) if rng.random() < 0.7 else f"({part(True)})"

    if depth <= 0 or rng.random() < 0.1:
        return rng.choice(["a < b", "flag", "True", "a == c", "b != c"] if flag
                          else ["a", "b", "c", "2", "0.5", "3", "0", "1e1"])
    if flag:
        return rng.choice([
            lambda: f"{operand()} {rng.choice(['<', '<=', '>', '>=', '==', '!='])} {operand()}",
            lambda: f"{operand()} {rng.choice(['<', '==', '!='])} {operand()} {rng.choice(['<=', '>', '!='])} {operand()}",
            lambda: f"{part(True)} and {part(True)}", lambda: f"{part(True)} or {part(True)}",
            lambda: f"not {part(True)}", lambda: f"({part(True)})"])()
    return rng.choice([
        lambda: f"{operand()} {rng.choice(['+', '-', '*', '/', '%', '**'])} {operand()}",
        lambda: f"{rng.choice(['-', '+'])}{operand()}", lambda: f"({part(False)})",
        lambda: f"{rng.choice([name for name, n in FUNCTIONS.items() if n == 1])}({part(rng.random() < 0.2)})",
        lambda: f"{rng.choice(['min', 'max', 'hypot', 'arctan2'])}({part(False)}, {part(False)})",
        lambda: f"{rng.choice(['min', 'max'])}({part(False)}, {part(True)}, {part(False)})"])()


def test_expressions_agree_with_pythons_grammar_numpys_numbers_and_kleenes_logic():
    rng, n = random.Random(3), 40
    draws = np.random.default_rng(3)
    numbers = {name: np.where(draws.random(n) < 0.2, np.nan, draws.integers(-3, 4, n) / 2) for name in "abc"}
    flags = pa.array([None if draw < 0.2 else draw < 0.6 for draw in draws.random(n)])
    kinds = {"a": "number", "b": "number", "c": "number", "flag": "flag"}
    ours = {**{name: pa.array(array, from_pandas=True) for name, array in numbers.items()}, "flag": flags}
    counted = {"flag": 0, "number": 0}
    for _ in range(800):
        text = written(rng, rng.randint(1, 4), rng.random() < 0.6)
        expression = parse(text)
        counted[check(expression, kinds)] += 1
        with np.errstate(all="ignore"):
            expected = oracle(ast.parse(text, mode="eval").body, {**numbers, "flag": flags}, n)
        found = evaluate(expression, ours, n)
        if isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(found, expected, text)
        else:
            assert evaluate_column(expression, ours, n).to_pylist() == expected.to_pylist(), text
            assert found.tolist() == pc.fill_null(expected, False).to_pylist(), text
    assert min(counted.values()) > 200


# ---------------------------------------------------------------- anything at all

GRAMMAR = ["pt", "eta", "`jet.pt`", "label", "good", "1", "2.5", "1e-3", "'top'", '"w"', "true", "False", "+", "-", "*",
           "/", "**", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or", "not", "(", ")", "(", ")", ",", *FUNCTIONS]
PYTHON = ["__import__('os')", "().__class__", ".__bases__[0]", "__subclasses__()", "lambda: 0", "eval(", "exec('1')",
          "open('/etc/passwd')", "[x for x in (1,)]", "f'{pt}'", "pt.__init__", "print(1)", "getattr(pt, 'x')", ":=",
          "import os", "{1: 2}", "1 if pt else 2", "*pt", "**{}", "@", "=", "&", "|", "^", "~", "!", "//", "<<", ";", "\\",
          "`", "'", '"', "#", "None", "0x1f", "1_000", "1j", "b'x'", "...", "[", "]", "yield pt", "await pt", "del pt",
          "\n", "\t", "\x00", "\x1b[2J", "²", "٣", "ａｂｓ(pt)", "é", "𝟙", "\u200b", "\ud800", "≤", "−", "abs`(`"]
KNOWN = {"number", "text", "flag", "column", "call", "sign", "arithmetic", "comparison", "and", "or", "not"}
FORBIDDEN = ("import", "exec", "compile", "open", "object.__getattr__", "os.", "subprocess.", "socket.", "ctypes.",
             "marshal.", "pickle.", "code.__new__")
_watched: list[str] | None = None


def _hook(event: str, arguments: tuple) -> None:
    if _watched is not None and event.startswith(FORBIDDEN):
        _watched.append(event)


sys.addaudithook(_hook)


def anything(rng: random.Random) -> str:
    """Pieces of the language, pieces of Python, broken expressions, random characters and bytes."""
    way = rng.random()
    if way < 0.35:
        return " ".join(rng.choice(GRAMMAR) for _ in range(rng.randint(1, 12)))
    if way < 0.6:
        return rng.choice(["", " "]).join(rng.choice(GRAMMAR if rng.random() < 0.6 else PYTHON) for _ in range(rng.randint(1, 9)))
    if way < 0.85:
        names = {"a": "pt", "b": "eta", "c": "`jet.pt`", "flag": "good"}
        text = list(re.sub(r"\b(a|b|c|flag)\b", lambda found: names[found[0]], written(rng, 3, True)))
        for _ in range(rng.randint(0, 2)):
            at = rng.randrange(len(text) + 1)
            text[at:at + rng.randint(0, 2)] = [rng.choice(GRAMMAR + PYTHON)] * rng.randint(0, 1)
        return "".join(text)
    if way < 0.95:
        return rng.randbytes(rng.randint(0, 40)).decode(rng.choice(["latin-1", "utf-16-le", "utf-8"]), "replace")
    return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(0, 20)))


def nodes(tree: Node):
    yield tree
    for part in tree.parts:
        yield from nodes(part)


def test_nothing_but_the_language_gets_in_whatever_is_written(monkeypatch):
    rng = random.Random(11)
    columns = {"pt": pa.array([600.0, None, 3.0]), "eta": pa.array([1.0, -2.0, 0.0]), "jet.pt": pa.array([1, 2, None]),
               "good": pa.array([True, None, False]), "label": pa.array(["top", None, "w"])}
    kinds = {"pt": "number", "eta": "number", "jet.pt": "number", "good": "flag", "label": "text"}
    for warm in ("pt ** 2 > 5 and label == 'top' or not good", "jet.pt", "sqr(pt)", "lable"):
        attempt(warm, kinds, columns)
    texts = [anything(rng) for _ in range(10_000)]
    outcomes = {"refused": 0, "senseless": 0, "evaluated": 0}
    monkeypatch.setattr(sys.modules[__name__], "_watched", [])
    for text in texts:
        outcomes[attempt(text, kinds, columns)] += 1
    events, _ = list(_watched or ()), monkeypatch.undo()
    assert events == []
    assert min(outcomes.values()) > 300, outcomes


def attempt(text: str, kinds: dict[str, str], columns: dict[str, pa.Array]) -> str:
    """Read, check and evaluate; every way that ends is one of three."""
    try:
        expression = parse(text)
    except ExpressionError as error:
        assert 0 <= error.position <= len(text)
        return "refused"
    for node in nodes(expression.tree):
        assert node.kind in KNOWN
        assert node.kind != "call" or node.value in FUNCTIONS
        assert 0 <= node.position < len(text)
    try:
        kind = check(expression, kinds)
    except ExpressionError as error:
        assert 0 <= error.position < len(text)
        return "senseless"
    found = evaluate(expression, columns, 3)
    assert found.shape == (3,) and found.dtype == (bool if kind == "flag" else np.float64)
    assert evaluate_column(expression, columns, 3).type == (pa.bool_() if kind == "flag" else pa.float64())
    return "evaluated"


def test_the_watch_would_see_an_import_and_an_eval(monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "_watched", [])
    eval("1 + 1")
    assert {"compile", "exec"} <= set(_watched or ())


# ---------------------------------------------------------------- in a recipe

class Cut(BaseModel):
    cut: Expression


def test_a_section_takes_the_text_of_an_expression_as_it_is():
    assert Cut(cut="pt > 500").cut == "pt > 500"
    for bad in ("pt > ", "", 5, None):
        with pytest.raises(ValidationError):
            Cut(cut=bad)


def test_a_wrong_expression_is_told_at_its_key_with_the_character(tmp_path, capsys):
    recipe = tmp_path / "recipe.yaml"
    data = {"builtin": "jets", "target": "label", "define": {"double": "mas ** 2", "next": "2 ^ 3"}, "cut": "mass > 5 \x07& x"}
    recipe.write_text(yaml.safe_dump({"recipe": 1, "task": "classify", "data": data}, sort_keys=False))
    assert main(["validate", str(recipe)]) == 2
    said = capsys.readouterr().err
    assert "recipe.yaml:8:5: '^' is no part of the language. At character 3:\n    2 ^ 3\n      ^\n" in said
    assert "'\\x07'" not in said and "\x07" not in said
    assert "' ' is no part of the language. At character 10:\n    mass > 5  & x\n             ^\n" in said
