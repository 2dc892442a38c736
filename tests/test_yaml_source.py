"""YAML 1.2, places, and nothing but data or a RecipeError."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_phys import yaml_source
from automl_phys.errors import RecipeError


def data(text):
    return yaml_source.parse(text, "x.yaml")[0]


@pytest.mark.parametrize(("text", "value"), [
    ("1e-3", 0.001), ("1e6", 1e6), ("1E+2", 100.0), (".5", 0.5), ("-2.", -2.0), ("0o17", 15), ("0x1F", 31), ("007", 7), ("+3", 3),
    ("-.inf", -math.inf), ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
    ("no", "no"), ("on", "on"), ("yes", "yes"), ("12:30", "12:30"), ("1_000", "1_000"), ("0b11", "0b11"), ("tRue", "tRue"),
    ("2024-01-01", "2024-01-01"), ("1e", "1e"), ("٣", "٣"), ("=", "="), ("<<", "<<"),
    ("'1e-3'", "1e-3"), ('"true"', "true"), ("|\n    1\n", "1\n"),
])
def test_scalars_follow_the_core_schema_of_yaml_1_2(text, value):
    read = data(f"a: {text}\n")["a"]
    assert read == value
    assert type(read) is type(value)


def test_nan_is_a_number():
    assert math.isnan(data("a: .nan")["a"])


def test_a_number_too_large_for_python_is_infinite_like_any_other_overflow():
    assert data(f"a: {'9' * 5000}")["a"] == data("a: 1e999")["a"] == math.inf


def test_keys_may_be_integers_and_their_places_are_known():
    text = "data:\n  classes: {0: qcd,\n            1: top}\n  path:\n    - a.csv\n    - b.csv\n"
    read, places = yaml_source.parse(text, "x.yaml")
    assert read == {"data": {"classes": {0: "qcd", 1: "top"}, "path": ["a.csv", "b.csv"]}}
    where = {key: (place.line, place.column) for key, place in places.items()}
    assert where == {
        ("data",): (1, 1), ("data", "classes"): (2, 3), ("data", "classes", 0): (2, 13), ("data", "classes", 1): (3, 13),
        ("data", "path"): (4, 3), ("data", "path", 0): (5, 7), ("data", "path", 1): (6, 7)}
    assert places[("data", "path", 1)].excerpt == ((4, "  path:"), (6, "    - b.csv"))


def test_aliases_are_written_out_with_their_places():
    read, places = yaml_source.parse("a: &x {k: 1}\nb: *x\n", "x.yaml")
    assert read == {"a": {"k": 1}, "b": {"k": 1}}
    assert places[("b", "k")].line == 1


def mistakes(text):
    with pytest.raises(RecipeError) as caught:
        yaml_source.parse(text, "x.yaml")
    return caught.value.mistakes


def test_all_repeated_keys_are_told_with_both_lines():
    found = mistakes("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert [(m.code, m.place.line) for m in found] == [("repeated-key", 2), ("repeated-key", 3)]
    assert "on line 1" in found[1].text


@pytest.mark.parametrize("text", [
    "a: !!python/object/apply:os.system [ls]", "a: !!int 3", "a: !mine x", "a: ! x", "--- !!map {a: 1}",
])
def test_tags_are_refused(text):
    assert "tag" in mistakes(text)[0].text


@pytest.mark.parametrize("text", [
    "a: 1\n---\nb: 2\n", "a:\n\tb: 1\n", "a: [1\nb: 2\n", "a: 'x", "a: *x", "{a: 1}: 2", "~: 1", "1.5: 1", "a: b: c", "a: @x",
    "a: \x01", "\ud800: 1", "%YAML 3.0\n---\na: 1", f"%YAML 1.{'1' * 5000}\n---\na: 1", 'a: "\\UFFFFFFFF"', 'a: "\\q"',
    "&a [*a]", "[" * 5000, "- " * 5000, "{a: " * 5000,
])
def test_what_is_no_plain_document_is_refused_with_its_place(text):
    assert all(m.place and m.place.file == "x.yaml" and m.text and m.remedy for m in mistakes(text))


def test_aliases_cannot_multiply_without_bound():
    levels = "\n".join(f"k{i}: &k{i} [{', '.join([f'*k{i - 1}'] * 10)}]" for i in range(1, 9))
    assert mistakes("k0: &k0 [x]\n" + levels)[0].code == "too-large"


YAML_LIKE = st.text(st.sampled_from(list("ab01.:-?[]{}&*!|>'\"%@#,\\~ \n\t\r\x85\u2028é\U0001f600xuU<=e+_")), max_size=60)


@given(st.one_of(st.text(max_size=80), YAML_LIKE, st.lists(st.sampled_from(
    ["a: ", "- ", "&x ", "*x ", "{", "}", "[", "]", "\n", "\n  ", "!!str ", "? ", "|\n", ">-\n", "'", '"', "---\n", "...\n", "1e3", ",", ": "]),
    max_size=25).map("".join)))
def test_any_text_gives_data_or_a_recipe_error(text):
    try:
        read, places = yaml_source.parse(text, "x.yaml")
    except RecipeError as error:
        assert error.mistakes
        return
    lines = len(text) + 1
    assert all(1 <= place.line <= lines for place in places.values())
    assert read is None or isinstance(read, (str, bool, int, float, list, dict))
