"""The reference pages are what the code says, whole."""

from __future__ import annotations

import re

import pytest

from automl_phys import readable, registry, sections
from tools import make_reference

PAGES = make_reference.pages()


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_up_to_date(name: str) -> None:
    assert (make_reference.DOCS / name).read_text(encoding="utf-8") == PAGES[name], "run python tools/make_reference.py"


def test_every_key_of_every_section_is_told() -> None:
    told = set(re.findall(r"^\| `([^`]+)` \|", PAGES["recipe.md"], re.MULTILINE))
    language = make_reference.Language()
    keys = {key for model in language.definitions.values() for key in model.get("properties", {})} | set(language.keys())
    assert keys - set(registry.names("families")) <= told
    assert {"trials", "trials_per_gpu", "spectators", "signal_region", "until"} <= keys
    assert set(sections.common_sections().model_fields) <= told


def test_every_family_is_told_with_its_parameters() -> None:
    for word in registry.names("families"):
        part = re.search(rf"^## {word}\n(.*?)(?=^## |\Z)", PAGES["families.md"], re.MULTILINE | re.DOTALL)
        assert part, word
        for what in registry.load("families", word).SOLVES:
            task = next(task for task in registry.names("tasks") if what in {task, *task.split("+")})
            for name, allowed in registry.load("families", word).space(registry.load("tasks", task).EXAMPLE).items():
                values = readable.values_of(allowed, most=10_000).replace("|", "\\|")
                assert f"| `{name}` | {values} | {readable.scale_of(allowed)}" in part[1]


def test_words_for_types() -> None:
    language = make_reference.Language()
    assert language.kind({"type": "integer", "minimum": 1, "maximum": 20}) == "integer, 1 to 20"
    assert language.kind({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}) == "number, above 0, below 1"
    assert language.kind({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 10**6}]}) == (
        "`auto`, or integer, at least 1")
    assert language.kind({"type": "array", "items": {"enum": ["png", "pdf"]}}) == "list of `png`, `pdf`"
    assert make_reference.table(("a", "b"), [["x | y", "two\nlines"]]) == "| a | b |\n|---|---|\n| x \\| y | two lines |\n"
