"""The events of a table as an ONNX graph takes them, and all that is done to them before a model sees them.

Takes a table's schema; gives the inputs of the graph, columns as they stand in the data, and tensors that are what
:class:`automl_phys.table_problem.Rows` holds: formulas evaluated, gaps filled by medians, indicators beside them,
categories as codes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from automl_phys import expressions, onnx_expressions, pixels
from automl_phys.errors import CallError, Mistake
from automl_phys.onnx_graph import Graph
from automl_phys.table_problem import Schema

WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
"""A level that is told as an integer."""
NO_TEXTS = ("", "nan")
"""What stands for a category that is missing."""


@dataclass(frozen=True)
class Input:
    """An input of the graph: ``numbers`` (n, d) with its columns in order, ``images``, or a column of categories
    (n, 1)."""

    name: str
    kind: str
    columns: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class OnnxRows:
    """Tensors of events: ``numbers`` float32 (n, d), ``categories`` int32 (n, c), ``images`` (n, h, w, c), as in
    ``Rows``; the name of one that there is not is empty, but for that of the numbers, which may be (n, 0).

    ``gap`` bool (n, 1) says of which events ``predict`` would give nothing; empty where it gives something for all.
    """

    graph: Graph
    schema: Schema
    inputs: tuple[Input, ...]
    numbers: str
    categories: str
    images: str
    gap: str
    done: dict[str, str] = field(default_factory=dict)
    """What several models of an ensemble share, by what it is."""

    def columns(self) -> str:
        """Numbers and pixels side by side, float32, as ``Rows.columns``."""
        if not self.images:
            return self.numbers
        if "columns" not in self.done:
            blocks = [self.numbers] if self.schema.numbers else []
            self.done["columns"] = self.graph.concatenate([*blocks, self._pixels()])
        return self.done["columns"]

    def _pixels(self) -> str:
        graph, image = self.graph, self.schema.image
        assert image is not None  # noqa: S101 - there are images
        found = graph.cast(self.images, np.float32)
        side = pixels.block((image.height, image.width, image.channels))
        if side > 1:
            graph.rounded.append("means of pixels")
            after = [-image.height % side, -image.width % side]
            found = graph.add("Transpose", found, perm=(0, 3, 1, 2))
            found = graph.add("AveragePool", found, kernel_shape=[side, side], strides=[side, side],
                              pads=[0, 0, *after], count_include_pad=0)
            found = graph.add("Transpose", found, perm=(0, 2, 3, 1))
        return graph.reshape(found, [-1, pixels.count((image.height, image.width, image.channels))])


def add(graph: Graph, schema: Schema) -> OnnxRows:
    """The inputs of a graph and what is made of them. Raises CallError ``not-exportable`` for what cannot be."""
    if schema.texts is not None:
        raise CallError(Mistake(
            "not-exportable", f"The texts of '{schema.texts.column}' are cut into words, which is not written as ONNX.",
            "Export the network alone, which takes the codes of words: --format keras."))
    inputs: list[Input] = []
    taken: set[str] = set()

    def put(name: str, kind: Any, word: str, columns: tuple[str, ...], shape: tuple[int, ...]) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        inputs.append(Input(name, word, columns, shape))
        return graph.input(name, kind, shape)

    numbers, gaps = _numbers(graph, schema, put)
    images = ""
    if schema.image is not None:
        shape = (schema.image.height, schema.image.width, schema.image.channels)
        images = put("images", np.dtype(schema.image.kind), schema.image.kind, (schema.image.column,), shape)
    codes, missing = _categories(graph, schema, put)
    numbers = numbers or _none(graph, codes or images)
    refused = [*gaps, *missing] if schema.missing in {"error", "drop"} else []
    gap = graph.any_true(graph.concatenate(refused)) if refused else ""
    return OnnxRows(graph, schema, tuple(inputs), numbers, codes, images, gap)


def _numbers(graph: Graph, schema: Schema, put: Any) -> tuple[str, list[str]]:
    """The numeric features, gaps filled, with the indicators; and where there are gaps, bool (n, d)."""
    if not schema.features:
        return "", []
    view = schema.view
    formulas = view.formulas_for(schema.features)
    raw = view.bases(schema.features)
    kind = np.float64 if formulas else np.float32
    given = put("numbers", kind, np.dtype(kind).name, raw, (len(raw),))
    values = given
    if formulas:
        graph.rounded.append("formulas")
        columns = {name: graph.columns(given, [i]) for i, name in enumerate(raw)}
        for name, text in formulas.items():
            columns[name] = onnx_expressions.value(graph, expressions.parse(text), columns)
        values = graph.cast(graph.concatenate([columns[name] for name in schema.features]), np.float32)
    gaps = graph.add("Or", graph.add("IsNaN", values), graph.add("IsInf", values))
    found = values
    if schema.medians:
        medians = graph.constant([[schema.medians[name] for name in schema.features]], np.float32)
        found = graph.add("Where", gaps, medians, values)
    if schema.indicators:
        indicated = graph.columns(graph.cast(gaps, np.float32), [schema.features.index(n) for n in schema.indicators])
        found = graph.concatenate([found, indicated])
    return found, [gaps]


def whole(levels: tuple[str, ...]) -> bool:
    """Whether categories are given as integers: when all that were seen in training are."""
    return all(WHOLE.fullmatch(level) for level in levels)


def _categories(graph: Graph, schema: Schema, put: Any) -> tuple[str, list[str]]:
    """Codes of the categories, int32 (n, c), and where they are missing."""
    codes, gaps = [], []
    for name, levels in schema.levels.items():
        if name in schema.view.formulas:
            raise CallError(Mistake(
                "not-exportable", f"The category '{name}' is made by a formula, which is not written as ONNX.",
                "Make the column before the data are read."))
        if whole(levels):
            given = put(name, np.int64, "int64", (name,), (1,))
            keys: dict[str, Any] = {"keys_int64s": [int(level) for level in levels]}
            values = list(range(1, len(levels) + 1))
        else:
            given = put(name, object, "string", (name,), (1,))
            none = [text for text in NO_TEXTS if text not in levels]
            keys = {"keys_strings": [*levels, *none]}
            values = [*range(1, len(levels) + 1), *([-1] * len(none))]
        code = graph.add("LabelEncoder", given, domain="ai.onnx.ml", **keys, values_int64s=values, default_int64=0)
        gaps.append(graph.add("Less", code, graph.constant([[0]], np.int64)))
        codes.append(graph.add("Max", code, graph.constant([[0]], np.int64)))
    return (graph.cast(graph.concatenate(codes), np.int32) if codes else ""), gaps


def _none(graph: Graph, other: str) -> str:
    """No numbers of as many events as there are of something else: float32 (n, 0)."""
    shape = graph.add("Shape", other, start=0, end=1)
    sides = graph.concatenate([shape, graph.constant([0], np.int64)], axis=0)
    return graph.add("Expand", graph.constant(np.zeros((1, 1)), np.float32), sides)
