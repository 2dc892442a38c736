"""Every code that a user can meet is explained, and no other; 'explain' tells it in the terminal and as JSON."""

import ast
import json
import re
from pathlib import Path

import pytest

from automl_phys import explanations
from automl_phys.cli import main
from automl_phys.errors import CallError, Mistake, RecipeError
from automl_phys.wording import learn_more

PACKAGE = Path(__file__).parents[1] / "automl_phys"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
CHOSEN = {"recipe_lint.py": {"secret", "home-folder", "absolute-path", "email", "user-name"},
          "series_time.py": {"unsorted-times", "duplicate-times"}}
"""Codes that a module chooses among in a way that cannot be read off a call."""
NEVER_SHOWN = {"told"}


def called(call):
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def constants(node):
    """The texts that an expression may be; empty where that cannot be read."""
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def of_call(call, place):
    """The argument for ``code``, by keyword or at its place."""
    named = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
    return named or (call.args[place] if len(call.args) > place else None)


def makers():
    """Functions that hand one of their arguments on as a Mistake's code: name, and the argument's place."""
    found = {}
    for tree in TREES.values():
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            names = [one.arg for one in function.args.args if one.arg != "self"]
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call) and called(node) == "Mistake"):
                code = of_call(call, 0)
                if isinstance(code, ast.Name) and code.id in names:
                    found[function.name] = names.index(code.id)
    return found


def used():
    """Codes by file, and the files with a code that could not be read."""
    places = {"Mistake": 0, **makers()}
    found, unread = {}, set()
    for path, tree in TREES.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if called(call) == "replace":
                code = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
            elif called(call) in places:
                code = of_call(call, places[called(call)])
            else:
                continue
            found.setdefault(path.name, set()).update(constants(code))
            if called(call) == "Mistake" and isinstance(code, ast.Name) and not constants(code):
                unread.add((path.name, code.id))
    return found, unread


def test_codes_that_are_chosen_in_other_ways_are_known_here():
    _, unread = used()
    handed_on = {"archive_zip.py", "environment_wrappers.py", "role_guesses.py", "word_vectors.py"}
    assert {name for name, _ in unread} == handed_on | set(CHOSEN)
    for name, codes in CHOSEN.items():
        texts = {node.value for node in ast.walk(TREES[PACKAGE / name]) if isinstance(node, ast.Constant)}
        assert codes <= texts


def test_every_code_is_explained_and_nothing_else_is():
    found, _ = used()
    codes = set().union(*found.values(), *CHOSEN.values()) - NEVER_SHOWN
    codes = {code for code in codes if re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)}
    assert len(codes) > 200
    assert codes == set(explanations.of_mistakes())


@pytest.mark.parametrize("one", explanations.find(()), ids=lambda one: one.code)
def test_an_explanation_is_short_and_whole(one):
    for text in (one.means, one.why, one.remedy):
        assert text.endswith(".")
        assert len(text) < 300, "one or two sentences"


def test_codes_are_found_however_they_are_written(capsys):
    assert main(["explain", "c-leak", "[unknown-key]"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("C-LEAK: Leakage\n  What  One feature alone")
    assert "\nunknown-key\n  What  A section has a key" in said
    assert "Kaufman" in said
    assert max(map(len, said.splitlines())) <= explanations.WIDTH


def test_without_a_code_all_are_listed_and_as_data_too(capsys):
    assert main(["explain"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {code}\n" in said for code in (*explanations.of_checks(), *explanations.of_mistakes()))
    assert main(["explain", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in told] == [*explanations.of_checks(), *explanations.of_mistakes()]
    assert {tuple(one) for one in told} == {("code", "kind", "title", "means", "why", "remedy", "sources")}


@pytest.mark.parametrize(("typed", "meant"), [("unknwon-key", "unknown-key"), ("leak", "C-LEAK"), ("c-leek", "C-LEAK")])
def test_a_misspelt_code_is_guessed(typed, meant, capsys):
    assert main(["explain", typed]) == CallError.exit_code
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


def test_a_message_ends_with_how_to_learn_more_once_and_in_one_line():
    one = Mistake("unknown-key", "a")
    assert learn_more(RecipeError([one, one, Mistake("bad-value", "b")])) == \
        "More on this: automl-phys explain unknown-key bad-value"
    many = RecipeError([Mistake(code, "x") for code in explanations.of_mistakes()])
    assert 60 < len(learn_more(many)) <= 80


def test_who_asks_for_json_gets_mistakes_as_json_too(capsys):
    assert main(["plan", str(PACKAGE.parent / "tests/recipes_bad/empty.yaml"), "--json"]) == 2
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["exit"] == 2
    assert set(told["mistakes"][0]) == {"code", "place", "text", "remedy"}
    assert told["mistakes"][0]["code"] in said.err
