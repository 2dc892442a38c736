"""The outputs of an exported graph: what ``predict`` writes of classes and of amounts, as tensors.

Takes the tensor of what a model predicts and the run's calibration; gives outputs with the names of the columns that
``predict`` has them under.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from automl_phys.onnx_rows import OnnxRows
from automl_phys.table_problem import Schema


@dataclass(frozen=True)
class Output:
    """An output (n, k) of the graph: ``columns`` are what ``predict`` calls its k columns; ``text`` says what it is."""

    name: str
    tensor: str
    columns: tuple[str, ...]
    text: str


def classes(rows: OnnxRows, predicted: str) -> tuple[Output, ...]:
    """``scores`` (n, K): the probability of each class."""
    names = rows.schema.classes
    return (Output("scores", predicted, tuple(f"score_{name}" for name in names),
                   f"probability of {', '.join(names)}"),)


def amounts(rows: OnnxRows, predicted: str, calibration: Mapping[str, Any],
            factors: Mapping[float, Sequence[float]]) -> tuple[Output, ...]:
    """``predicted``, ``sigma``, and the ends of the intervals, (n, t) each, of a tensor (n, t, 2).

    ``factors`` are by coverage the half-widths of the intervals in σ, one for each target.
    """
    graph, targets = rows.graph, rows.schema.target
    value, stated = (graph.add("Gather", predicted, graph.constant(k, np.int64), axis=2) for k in (0, 1))
    sigma = graph.add("Mul", stated, graph.constant([calibration.get("sigma", [1.0] * len(targets))], np.float32))
    unit = "in the unit of the target"
    found = [Output("predicted", value, tuple(f"{name}_predicted" for name in targets), f"the value, {unit}"),
             Output("sigma", sigma, tuple(f"{name}_sigma" for name in targets), f"its uncertainty, {unit}")]
    for coverage, each in factors.items():
        half = graph.add("Mul", graph.constant([[min(factor, inf) for factor in each]], np.float32), sigma)
        for word, operator in (("low", "Sub"), ("high", "Add")):
            name = f"{word}{100 * coverage:g}"
            found.append(Output(name, graph.add(operator, value, half), tuple(f"{t}_{name}" for t in targets),
                                f"{'lower' if word == 'low' else 'upper'} end of the interval that holds the truth in "
                                f"{100 * coverage:g}% of the events, {unit}"))
    return tuple(found)


def finish(rows: OnnxRows, outputs: Sequence[Output]) -> None:
    """Make them outputs of the graph; NaN for events of which ``predict`` would give nothing."""
    graph, nothing = rows.graph, rows.graph.constant(np.nan, np.float32)
    for one in outputs:
        tensor = graph.add("Where", rows.gap, nothing, one.tensor) if rows.gap else one.tensor
        graph.output(one.name.replace(".", "_"), tensor, (len(one.columns),))


def metadata(schema: Schema, rows: OnnxRows, outputs: Sequence[Output]) -> dict[str, Any]:
    """What a reader of the file needs to know of inputs and outputs."""
    return {
        "inputs": {one.name: {"columns": list(one.columns), "type": one.kind} for one in rows.inputs},
        "outputs": {one.name: {"columns": list(one.columns), "meaning": one.text} for one in outputs},
        "classes": list(schema.classes), "missing": schema.missing, "formulas": dict(schema.view.define)}
