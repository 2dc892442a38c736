"""Writes the two pages of the reference that are made of the code: ``docs/recipe.md`` of the JSON schema, and
``docs/families.md`` of the catalogue.

``python tools/make_reference.py`` writes both; :func:`pages` gives them, which is how a test sees that those in
``docs/`` are what the code says. Takes nothing but the package; what a key means stands in the package's docstrings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from automl_phys import catalogue, registry
from automl_phys.catalogue import ListedFamily
from automl_phys.schema import schema
from automl_phys.values import Params

DOCS = Path(__file__).parents[1] / "docs"
Node = dict[str, Any]

RECIPE_HEAD = """\
# The recipe: every key

A recipe is a YAML file. This page is made of the same models that `automl-phys validate` holds it against
(`tools/make_reference.py`), so it is complete; how to go about a task is told on the task's own page.

```yaml
recipe: 1                       # the version of this language
task: classify                  # decides which sections there are
data: {path: jets/*.parquet, target: label}
search: {trials: 40}
seed: 7
```

- **A key that is not here is an error**, with a suggestion. So is a value of another type: `trials: "40"` is a
  text.
- **What is left out has its default**; so has a key that is `null`. A run writes its recipe with all defaults
  filled in.
- `extends: other.yaml` begins with another recipe: mappings are merged, lists replaced. `--set search.trials=10` on
  the command line changes a key for once.
- YAML 1.2: `no`, `on` and `yes` are texts, `1e-3` is a number.

In the tables *needed* means that there is no default, and a dash that nothing is presumed. Where *tasks* is said,
other tasks do not know the key.

## In an editor
`automl-phys schema > schema.json` writes the language as JSON Schema, with which an editor completes keys, explains
them, and marks mistakes while you type. For all editors with a YAML language server (VS Code with the extension
*YAML* of Red Hat, Neovim, Emacs, JetBrains read it too) the first line of a recipe names it, by a path as seen from
the recipe:

```yaml
# yaml-language-server: $schema=./schema.json
recipe: 1
task: classify
data: {path: jets.parquet, target: label}
```

Or once for a folder, in `.vscode/settings.json`:

```json
{"yaml.schemas": {"./schema.json": ["recipes/*.yaml"]}}
```

What types cannot say (columns that are not in the file, fractions that don't add up) only `automl-phys validate`
and `plan` tell.
"""

FAMILIES_HEAD = """\
# Families of models, and what is searched

A page made of the code (`tools/make_reference.py`). Under `model` a family's key pins a value, `mlp: {dropout:
0.1}`, or gives what is searched, `{low: 0.001, high: 0.1, log: true}` or `{choices: [1, 2]}`; what is not named
there has the range below. Ranges are those for a usual problem of the task: some depend on the number of rows or
columns, and `automl-phys plan` shows those of yours. *First tried* is the configuration that a search begins with.
"""


# ---------------------------------------------------------------- tables

def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; bars and line ends in cells are made harmless."""
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)]) + "\n"


def code(value: Any) -> str:
    """A value as it is written in a recipe."""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def anchor(heading: str) -> str:
    """What a forge and MkDocs make of a heading of ours."""
    return "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")


# ---------------------------------------------------------------- the recipe

class Language:
    """The schema, and which sections have been named and are still to be told."""

    def __init__(self) -> None:
        self.whole = schema()
        self.definitions: Mapping[str, Node] = self.whole["$defs"]
        self.model = self.definitions["Model"]
        self.branches: dict[str, Node] = {
            branch["if"]["properties"]["task"]["const"]: branch["then"] for branch in self.whole["allOf"]}

    def keys(self) -> dict[str, list[tuple[Node, tuple[str, ...]]]]:
        """By top-level key its different forms, each with the tasks that have it so; no task for those of all."""
        found: dict[str, list[tuple[Node, tuple[str, ...]]]] = {}
        for name, node in self.whole["properties"].items():
            found[name] = [(node, ())]
        for task, branch in self.branches.items():
            for name, node in branch["properties"].items():
                if name != "search":
                    found.setdefault(name, []).append((node, (task,)))
        return found

    def needed(self, name: str) -> bool:
        return name in self.whole["required"] or any(name in branch.get("required", ())
                                                    for branch in self.branches.values())

    def kind(self, node: Node) -> str:
        """What may stand under a key, in words."""
        if "$ref" in node:
            return f"[keys]({self.link(node['$ref'])})" if self.is_section(node["$ref"]) else "mapping"
        if "anyOf" in node:
            return ", or ".join(dict.fromkeys(self.kind(one) for one in node["anyOf"]))
        if "const" in node:
            return code(node["const"])
        if "enum" in node:
            return ", ".join(map(code, node["enum"])) if len(node["enum"]) < 20 else "[a family](families.md)"
        return self._plain(node)

    def _plain(self, node: Node) -> str:
        kind = node.get("type")
        if kind in {"integer", "number"}:
            return bounded(node)
        if kind == "array":
            return f"list of {self.kind(node.get('items', {}))}" if node.get("items") else "list"
        if kind == "object":
            inner = node.get("additionalProperties")
            return f"mapping to {self.kind(inner)}" if isinstance(inner, dict) and inner else "mapping"
        if kind == "string" or "pattern" in node:
            examples = ", ".join(map(code, node.get("examples", ())))
            return f"text such as {examples}" if examples else "text"
        return {"boolean": "`true`, `false`"}.get(str(kind), "any value")

    def is_section(self, reference: str) -> bool:
        return bool(self.definitions[reference.rpartition("/")[2]].get("properties"))

    def link(self, reference: str) -> str:
        return f"#{anchor(self.title(reference.rpartition('/')[2]))}"

    @staticmethod
    def title(definition: str) -> str:
        return TITLES[definition]

    def rows(self, model: Node) -> list[list[str]]:
        """A row for each key of a model; the keys of all families are one."""
        families = registry.names("families")
        found = [[code(name), self.kind(node), self.default(node, name in model.get("required", ())),
                  node.get("description", self.meaning(node))]
                 for name, node in model.get("properties", {}).items()
                 if model is not self.model or name not in families]
        if model is self.model:
            kind = "mapping of its parameters to a value, or [choices](#choices), or an [interval](#interval)"
            found.append(["a family, such as `mlp`", kind, "–",
                          "Its hyperparameters: pinned, or what is searched. Which ones is told in "
                          "[families](families.md)."])
        return found

    def meaning(self, node: Node) -> str:
        """The description of a key: its own, or that of the section that it holds."""
        return str(self.definitions[node["$ref"].rpartition("/")[2]].get("description", "")) if "$ref" in node else ""

    @staticmethod
    def default(node: Node, needed: bool) -> str:
        if "default" in node:
            return code(node["default"]) if node["default"] not in ("", [], {}) else "–"
        return "*needed*" if needed else "–"


TITLES = {
    "Search": "search", "Model": "model", "Compute": "compute", "Report": "report", "Expected": "expect",
    "automl_phys__compute_sections__Cluster": "compute: cluster", "Split": "data: split", "ByColumn": "data: split: by",
    "ImageColumn": "data: images", "Anomaly": "anomaly", "Forecast": "forecast", "Generate": "generate",
    "Reduce": "reduce",
    "automl_phys__tasks__reduce_cluster__Cluster": "cluster", "Regress": "regress", "Environment": "environment",
    "Train": "train", "Evaluate": "evaluate", "Base": "base", "Transfer": "transfer", "Until": "freeze",
    "Augment": "augment", "Dimensions": "reduce: dimensions", "Choices": "choices", "Interval": "interval",
    "LabelledTable": "data", "AmountsTable": "data", "AnomalyTable": "data", "EventsTable": "data",
    "PointsData": "data", "SeriesData": "data", "TextTable": "data",
}
"""The heading under which each model of the schema is told; one that is not here is a KeyError, and so a red test."""


def bounded(node: Node) -> str:
    """``integer, 1 to 20``, ``number above 0`` …"""
    said = [str(node["type"])]
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    if low is not None and high is not None:
        said.append(f"{low:g} to {high:g}" if high < 1e6 else f"at least {low:g}")
    elif low is not None:
        said.append(f"at least {low:g}")
    elif above is not None:
        said.append(f"above {above:g}" + (f", below {below:g}" if below is not None else ""))
    return ", ".join(said)


def merged(language: Language, forms: Sequence[tuple[str, Node]]) -> list[list[str]]:
    """Rows of the keys of several models, each key once where tasks agree on it, with the tasks that have it."""
    by_row: dict[tuple[str, ...], list[str]] = {}
    for task, model in forms:
        for row in language.rows(model):
            by_row.setdefault(tuple(row), []).append(task)
    order = list(dict.fromkeys(row[0] for row in by_row))
    ranked = sorted(by_row.items(), key=lambda item: order.index(item[0][0]))
    everywhere = len(forms)
    return [[*row[:3], "all" if len(tasks) == everywhere else ", ".join(f"`{t}`" for t in tasks), row[3]]
            for row, tasks in ranked]


def recipe_page() -> str:
    """``docs/recipe.md``."""
    language = Language()
    top, parts = [], []
    for name, forms in language.keys().items():
        tasks = [task for _, names in forms for task in names]
        said = "all" if not tasks else ", ".join(f"[`{task}`]({task.replace('+', '-')}.md)" for task in tasks)
        node = forms[0][0]
        kind = f"[keys](#{anchor(name)})" if len(forms) > 1 else language.kind(node)
        top.append([code(name), kind, language.default(node, language.needed(name)), said,
                    node.get("description", language.meaning(node))])
    parts.append("## At the top\n\n" + table(("key", "what may stand there", "default", "tasks", "meaning"), top))
    tables = [(task, language.definitions[branch["properties"]["data"]["$ref"].rpartition("/")[2]])
              for task, branch in language.branches.items() if "data" in branch["properties"]]
    parts.append("## data\n\nOf all tasks but [`reinforce`](reinforce.md); *all* means all of these. How to use it is "
                 "told in [data](data.md).\n\n"
                 + table(("key", "what may stand there", "default", "tasks", "meaning"), merged(language, tables)))
    parts.append(objectives())
    for definition, title in TITLES.items():
        if title == "data":
            continue
        model = language.definitions[definition]
        parts.append(f"## {title}\n\n{model.get('description', '')}\n\n"
                     + table(("key", "what may stand there", "default", "meaning"), language.rows(model)))
    return RECIPE_HEAD + "\n" + "\n".join(parts)


def objectives() -> str:
    """What may stand under ``search: objective``, by task; the default first."""
    rows = []
    for word in registry.names("tasks"):
        task = registry.load("tasks", word)
        names = [name for name in task.OBJECTIVES if name != task.DEFAULT_OBJECTIVE]
        rows.append([code(word), code(task.DEFAULT_OBJECTIVE), ", ".join(map(code, names)), code(task.BASELINE)])
    return ("## Objectives\n\nWhat trials are compared by on the validation rows (`search: objective`), defined in "
            "[metrics](metrics.md), and the family that stands beside every winner as the baseline.\n\n"
            + table(("task", "default", "others", "baseline"), rows))


# ---------------------------------------------------------------- families

CHAINED = {"reduce": "`reduce+cluster`, the reducer", "cluster": "`reduce+cluster`, the clusterer"}
"""What families may solve that is no task."""


def solves() -> dict[str, list[str]]:
    """By what is solved, the families that do; tasks, and the two links of a chain."""
    found: dict[str, list[str]] = {word: [] for word in (*registry.names("tasks"), *CHAINED)}
    for word in registry.names("families"):
        for what in registry.load("families", word).SOLVES:
            found[what].append(word)
    return {what: words for what, words in found.items() if words}


def family_part(family: ListedFamily) -> str:
    """A heading, what the family is, and its space for each task; rows that tasks share stand once."""
    by_row: dict[tuple[str, ...], list[str]] = {}
    for space in family.spaces:
        for task in space.tasks:
            first: Params = next(iter(registry.load("families", family.name).defaults(
                registry.load("tasks", task).EXAMPLE)), {})
            for name, allowed in space.parameters.items():
                _, values, scale, meaning = catalogue.parameter_row(name, allowed)
                row = (code(name), values, scale, code(first[name]) if name in first else "–", meaning)
                by_row.setdefault(row, []).append(task)
    head = [f"## {family.name}\n",
            f"{family.text[0].upper()}{family.text[1:]}. For {', '.join(map(code, family.tasks))}"
            + (f"; by {', '.join(family.needs)}" if family.needs else "") + ".\n"]
    if not by_row:
        return "\n".join([*head, "There is nothing to set.\n"])
    several = len(family.tasks) > 1
    rows = [[*row[:-1], *([("all" if len(of) == len(family.tasks) else ", ".join(of))] if several else []), row[-1]]
            for row, of in by_row.items()]
    parameter, values, scale, meaning = catalogue.PARAMETER_HEAD
    columns = (parameter, values, scale, "first tried", *(("tasks",) if several else ()), meaning)
    return "\n".join([*head, table(columns, rows)])


def families_page() -> str:
    """``docs/families.md``."""
    rows = [[CHAINED.get(what, code(what)), ", ".join(f"[`{word}`](#{anchor(word)})" for word in words)]
            for what, words in solves().items()]
    return "\n".join([FAMILIES_HEAD, table(("task", "families"), rows), *map(family_part, catalogue.families())])


def pages() -> dict[str, str]:
    """The pages by the name of their file in ``docs/``."""
    return {"recipe.md": recipe_page(), "families.md": families_page()}


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
