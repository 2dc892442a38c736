"""The recipe language as JSON Schema (draft 2020-12), for completion and checking in editors.

Takes the models and the registry, gives plain data. It says what types can say; rules between keys, columns and
hyperparameters are :mod:`automl_phys.recipe`'s alone.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from automl_phys import catalogue, readable, registry
from automl_phys.catalogue import ListedFamily
from automl_phys.facts import Range
from automl_phys.sections import common_sections

HYPERPARAMETER = "Hyperparameter"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The whole language: the common sections, and those of the task that the recipe names."""
    common = common_sections()
    tasks = {word: registry.load("tasks", word) for word in registry.names("tasks")}
    models: list[type[BaseModel]] = [common, *(task.Options for task in tasks.values())]
    references, generated = models_json_schema([(model, "validation") for model in models])
    definitions = _tidy(generated["$defs"])

    def take(model: type[BaseModel]) -> dict[str, Any]:
        """A model's definition, open to keys of others: the whole closes the recipe."""
        definition: dict[str, Any] = definitions.pop(references[model, "validation"]["$ref"].rpartition("/")[2])
        return {key: value for key, value in definition.items() if key != "additionalProperties"}

    whole = take(common)
    whole["properties"]["task"]["enum"] = list(tasks)
    word = "|".join(registry.names("families"))
    value = definitions["Model"]["properties"][registry.names("families")[0]]["additionalProperties"]
    definitions["Model"]["properties"].update(
        {family.name: _hyperparameters(family) for family in catalogue.families()})
    definitions[HYPERPARAMETER] = {"description": "A value pins it; choices or a range say what is searched.", **value}
    definitions["Model"]["properties"]["families"]["items"] = {
        "anyOf": [{"enum": list(registry.names("families"))}, {"pattern": f"^({word})(\\+({word}))+$"}]}
    branches = []
    for word, task in tasks.items():
        sections = take(task.Options)
        sections["properties"]["search"] = {"properties": {"objective": {"examples": list(task.OBJECTIVES)}}}
        branches.append({"if": {"properties": {"task": {"const": word}}, "required": ["task"]}, "then": sections})
    return {"$schema": DIALECT, "title": "automl-phys recipe", **whole, "allOf": branches,
            "unevaluatedProperties": False, "$defs": definitions}


def text() -> str:
    """The schema as it is kept in ``schema.json``."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _hyperparameters(family: ListedFamily) -> dict[str, Any]:
    """The section of a family. What data of an unusual kind add to its space may stand there too."""
    spaces = {name: allowed for space in reversed(family.spaces) for name, allowed in space.parameters.items()}
    return {"type": "object", "description": f"For {', '.join(family.tasks)}: {family.text}.",
            "properties": {name: _hyperparameter(allowed) for name, allowed in spaces.items()},
            "additionalProperties": {"$ref": f"#/$defs/{HYPERPARAMETER}"}}


def _hyperparameter(allowed: Range) -> dict[str, Any]:
    values, scale = readable.values_of(allowed), readable.scale_of(allowed)
    said = [allowed.text, f"{values} unless it is set" if scale == "pinned" else f"searched: {values}, {scale}",
            f"only if {readable.condition(allowed.when)}" if allowed.when else ""]
    plain = [choice for choice in allowed.choices if not isinstance(choice, (list, tuple))]
    return {"$ref": f"#/$defs/{HYPERPARAMETER}", "description": "; ".join(filter(None, said)),
            **({"examples": plain} if plain else {})}


def _tidy(node: Any) -> Any:
    """Without the titles that pydantic makes of names, and without defaults that say nothing."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _tidy(value) for key, value in node.items()
            if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
            and not (key == "default" and isinstance(value, dict))}
