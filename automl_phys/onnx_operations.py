"""Keras's operations without weights as ONNX nodes: arithmetic, shapes, activations.

Takes an operation and its operands; gives the name of the tensor that it makes. Imports Keras: import this module
inside the function that exports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from automl_phys.errors import CallError, Mistake
from automl_phys.onnx_graph import Graph


class Operands:
    """What a node of a Keras graph does, takes and makes: an ``operation``, or a layer.

    Tensors are those that come from the inputs, by their names in ``graph``; what else a node takes are numbers and
    arrays.
    """

    def __init__(self, graph: Graph, names: Mapping[int, str], node: Any) -> None:
        self.graph, self._names = graph, names
        self.operation: Any = node.operation
        self.arguments: tuple[Any, ...] = node.arguments.args
        self.settings: Mapping[str, Any] = node.arguments.kwargs
        self._inputs = node.input_tensors
        self.output = node.outputs[0]

    @property
    def tensors(self) -> list[str]:
        """The names of all tensors, in order, those in lists too."""
        return [self._names[id(tensor)] for tensor in self._inputs]

    def shape(self, i: int) -> tuple[int | None, ...]:
        """The shape of the i-th tensor; None for the number of events."""
        return tuple(self._inputs[i].shape)

    def name(self, value: Any, kind: Any = None) -> str:
        """The name of an argument; of a number or an array, that of a constant of the type ``kind``."""
        if isinstance(value, keras.KerasTensor):
            return self._names[id(value)]
        array = np.asarray(keras.ops.convert_to_numpy(value))
        return self.graph.constant(array, array.dtype if kind is None else kind)

    @property
    def kind(self) -> Any:
        """The type of the numbers among the operands."""
        return next((np.dtype(t.dtype) for t in self._inputs if t.dtype != "bool"), np.dtype(np.float32))


Convert = Callable[[Operands], str]


def activated(graph: Graph, tensor: str, activation: Any) -> str:
    """A tensor after one of Keras's activations."""
    name = keras.activations.serialize(activation)
    name = name if isinstance(name, str) else ""
    if name == "linear":
        return tensor
    if name in {"silu", "swish"}:
        return graph.add("Mul", tensor, graph.add("Sigmoid", tensor))
    if name == "mish":
        return graph.add("Mul", tensor, graph.add("Tanh", graph.add("Softplus", tensor)))
    if name == "softmax":
        return graph.add("Softmax", tensor, axis=-1)
    if name == "selu":
        return graph.add("Selu", tensor)
    plain = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus", "elu": "Elu"}
    if name in {"hard_silu", "hard_swish"}:
        return graph.add("HardSwish", tensor)
    if name == "relu6":
        return graph.add("Min", graph.add("Relu", tensor), graph.constant(6, np.float32))
    if name not in plain:
        raise CallError(Mistake("not-exportable", f"The activation '{name or activation}' is not written as ONNX.",
                                "Export it as Keras's own file: --format keras."))
    return graph.add(plain[name], tensor)


def _elementwise(operator: str) -> Convert:
    return lambda given: given.graph.add(
        operator, *(given.name(one, given.kind) for one in given.arguments))


def _where(given: Operands) -> str:
    condition, yes, no = given.arguments
    return given.graph.add("Where", given.name(condition, np.bool_), given.name(yes, np.dtype(given.output.dtype)),
                           given.name(no, np.dtype(given.output.dtype)))


def _square(given: Operands) -> str:
    return given.graph.add("Mul", given.tensors[0], given.tensors[0])


def _log1p(given: Operands) -> str:
    """In double precision, as small values would be lost beside 1."""
    graph = given.graph
    shifted = graph.add("Add", graph.cast(given.tensors[0], np.float64), graph.constant(1.0, np.float64))
    return graph.cast(graph.add("Log", shifted), np.float32)


def _clip(given: Operands) -> str:
    return given.graph.add("Clip", given.tensors[0], given.name(given.operation.x_min, given.kind),
                           given.name(given.operation.x_max, given.kind))


def _cast(given: Operands) -> str:
    return given.graph.cast(given.tensors[0], np.dtype(given.output.dtype))


def _constant_like(value: float) -> Convert:
    def convert(given: Operands) -> str:
        graph, kind = given.graph, np.dtype(given.output.dtype)
        shape = graph.add("Shape", given.tensors[0])
        return graph.add("Expand", graph.constant(value, kind), shape)

    return convert


def _reduced(operator: str, axes_are_input: bool = False) -> Convert:
    def convert(given: Operands) -> str:
        axes = list(range(len(given.shape(0)))) if given.operation.axis is None else (
            [given.operation.axis] if isinstance(given.operation.axis, int) else list(given.operation.axis))
        keep = int(given.operation.keepdims)
        if axes_are_input:
            return given.graph.add(operator, given.tensors[0], given.graph.constant(axes, np.int64), keepdims=keep)
        return given.graph.add(operator, given.tensors[0], axes=axes, keepdims=keep)

    return convert


def _softmax(given: Operands) -> str:
    return given.graph.add("Softmax", given.tensors[0], axis=given.operation.axis)


def _reshaped(given: Operands) -> str:
    return given.graph.reshape(given.tensors[0], [-1, *(int(side or 0) for side in given.output.shape[1:])])


def _concatenated(given: Operands) -> str:
    return given.graph.concatenate([given.name(one) for one in given.arguments[0]], given.operation.axis)


def _stacked(given: Operands) -> str:
    graph, axis = given.graph, given.operation.axis
    at = graph.constant([axis], np.int64)
    return graph.concatenate([graph.add("Unsqueeze", given.name(one), at) for one in given.arguments[0]], axis)


def _einsum(given: Operands) -> str:
    named = [given.name(one, np.float32) for one in given.arguments if not isinstance(one, str)]
    return given.graph.add("Einsum", *named, equation=given.operation.subscripts)


def _item(given: Operands) -> str:
    """Slices, single positions, new axes and an ellipsis."""
    graph, found = given.graph, given.tensors[0]
    key = given.arguments[1] if len(given.arguments) > 1 else given.settings["key"]
    key = tuple(key) if isinstance(key, list | tuple) else (key,)  # of a file it is a list
    axis, at = 0, 0  # of what is taken, of what is made
    rank = len(given.shape(0))
    used = sum(one is not None and one is not Ellipsis for one in key)
    single, new = [], []
    for one in key:
        if one is Ellipsis:
            axis, at = axis + rank - used, at + rank - used
        elif one is None:
            new.append(at)
            at += 1
        elif isinstance(one, slice):
            if one != slice(None):
                found = _sliced(graph, found, one, axis)
            axis, at = axis + 1, at + 1
        else:
            found = _sliced(graph, found, slice(int(one), int(one) + 1 or None), axis)
            single.append(axis)
            axis += 1
    if single:
        found = graph.add("Squeeze", found, graph.constant(single, np.int64))
    return graph.add("Unsqueeze", found, graph.constant(new, np.int64)) if new else found


def _sliced(graph: Graph, tensor: str, part: slice, axis: int) -> str:
    start, stop, step = part.start or 0, part.stop, part.step or 1
    ends = np.iinfo(np.int64).max if stop is None else stop
    return graph.add("Slice", tensor, *(graph.constant([value], np.int64) for value in (start, ends, axis, step)))


def _flipped(given: Operands) -> str:
    least = np.iinfo(np.int64).min
    return given.graph.add("Slice", given.tensors[0], *(
        given.graph.constant([value], np.int64) for value in (-1, least, given.operation.axis, -1)))


def _repeated(given: Operands) -> str:
    axis = given.operation.axis
    positions = np.repeat(np.arange(int(given.shape(0)[axis] or 0)), int(given.operation.repeats))
    return given.graph.add("Gather", given.tensors[0], given.graph.constant(positions, np.int64), axis=axis)


def _taken(given: Operands) -> str:
    tensor, positions = given.arguments[:2]
    return given.graph.add("Gather", given.name(tensor), given.name(positions, np.int64), axis=given.operation.axis)


def _applied(given: Operands) -> str:
    return activated(given.graph, given.tensors[0], getattr(keras.activations, type(given.operation).__name__.lower()))


OPERATIONS: Mapping[str, Convert] = {
    **{word: _elementwise(operator) for word, operator in {
        "Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "TrueDivide": "Div", "Power": "Pow",
        "Sqrt": "Sqrt", "Log": "Log", "Exp": "Exp", "Cos": "Cos", "Sin": "Sin", "Tanh": "Tanh", "Arcsinh": "Asinh",
        "Absolute": "Abs", "Negative": "Neg", "Maximum": "Max", "Minimum": "Min", "Greater": "Greater",
        "Less": "Less", "GreaterEqual": "GreaterOrEqual", "LessEqual": "LessOrEqual", "Equal": "Equal",
    }.items()},
    "Where": _where, "Square": _square, "Log1p": _log1p, "Clip": _clip, "Cast": _cast,
    "OnesLike": _constant_like(1.0), "ZerosLike": _constant_like(0.0), "Mean": _reduced("ReduceMean"),
    "Max": _reduced("ReduceMax"), "Sum": _reduced("ReduceSum", axes_are_input=True), "Softmax": _softmax,
    "Reshape": _reshaped, "Concatenate": _concatenated, "Stack": _stacked, "Einsum": _einsum, "GetItem": _item,
    "Flip": _flipped, "Repeat": _repeated, "Take": _taken,
    **dict.fromkeys(("Softplus", "Relu", "Silu", "Sigmoid", "Elu", "Selu"), _applied),
}
