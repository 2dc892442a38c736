"""Keras networks as ONNX nodes.

Takes a model in Keras's own layers and operations (:mod:`automl_phys.plain_networks`) and names of tensors; adds the
nodes that compute what it predicts. Layers with weights are here, operations without in
:mod:`automl_phys.onnx_operations`. Imports Keras: import this module inside the function that exports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from automl_phys import plain_networks
from automl_phys.errors import CallError, Mistake
from automl_phys.onnx_graph import Graph
from automl_phys.onnx_operations import OPERATIONS, Operands, activated

TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def add(graph: Graph, model: Any, inputs: Sequence[str]) -> str:
    """The nodes of a Keras model with one output; gives its name. Raises CallError ``not-exportable`` for layers that
    have no counterpart here."""
    return _walk(graph, plain_networks.of(model), inputs)


def _walk(graph: Graph, model: Any, inputs: Sequence[str]) -> str:
    """The nodes of the graph of a Functional model, in the order in which they can be computed."""
    names = {id(tensor): name for tensor, name in zip(model.inputs, inputs, strict=True)}
    for depth in sorted(model._nodes_by_depth, reverse=True):  # as Functional itself goes through them
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            names[id(node.outputs[0])] = _node(Operands(graph, names, node))
    return names[id(model.outputs[0])]


def _node(given: Operands) -> str:
    operation = given.operation
    if isinstance(operation, keras.Model):
        return _walk(given.graph, operation, given.tensors)
    word = type(operation).__name__
    convert = LAYERS.get(word) if isinstance(operation, keras.layers.Layer) else OPERATIONS.get(word)
    if convert is None:
        raise CallError(Mistake(
            "not-exportable", f"The network has a layer '{word}', which is not written as ONNX.",
            "Export it as Keras's own file: --format keras."))
    return convert(given)


def _weight(variable: Any) -> np.ndarray[Any, Any]:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float32)


# ---------------------------------------------------------------- layers

def _dense(given: Operands) -> str:
    layer = given.operation
    graph = given.graph
    found = graph.add("MatMul", given.tensors[0], graph.constant(_weight(layer.kernel)))
    if layer.use_bias:
        found = graph.add("Add", found, graph.constant(_weight(layer.bias)))
    return activated(graph, found, layer.activation)


def _embedding(given: Operands) -> str:
    layer = given.operation
    return given.graph.add("Gather", given.graph.constant(_weight(layer.embeddings)), given.tensors[0])


def _batch_normalisation(given: Operands) -> str:
    """A factor and a shift: the averages of the training are constants by now."""
    layer = given.operation
    factor = 1 / np.sqrt(_weight(layer.moving_variance).astype(np.float64) + layer.epsilon)
    factor = factor * _weight(layer.gamma) if layer.scale else factor
    shift = (_weight(layer.beta) if layer.center else 0.0) - _weight(layer.moving_mean) * factor
    graph = given.graph
    scaled = graph.add("Mul", given.tensors[0], graph.constant(factor, np.float32))
    return graph.add("Add", scaled, graph.constant(shift, np.float32))


def _layer_normalisation(given: Operands) -> str:
    layer = given.operation
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    width = int(given.shape(0)[-1] or 0)
    if [axis % len(given.shape(0)) for axis in axes] != [len(given.shape(0)) - 1]:
        raise CallError(Mistake("not-exportable", "A layer normalisation is not over the last axis.",
                                "Export it as Keras's own file: --format keras."))
    gamma = _weight(layer.gamma) if layer.scale else np.ones(width, np.float32)
    beta = [given.graph.constant(_weight(layer.beta))] if layer.center else []
    return given.graph.add("LayerNormalization", given.tensors[0], given.graph.constant(gamma), *beta, axis=-1,
                           epsilon=float(layer.epsilon))


def _activation(given: Operands) -> str:
    layer = given.operation
    return activated(given.graph, given.tensors[0], layer.activation)


def _relu(given: Operands) -> str:
    layer = given.operation
    if layer.negative_slope or layer.threshold:
        raise CallError(Mistake("not-exportable", "A ReLU with a slope or a threshold is not written as ONNX.",
                                "Export it as Keras's own file: --format keras."))
    found = given.graph.add("Relu", given.tensors[0])
    return found if layer.max_value is None else given.graph.add(
        "Min", found, given.graph.constant(layer.max_value, np.float32))


def _rescaling(given: Operands) -> str:
    layer = given.operation
    graph = given.graph
    scaled = graph.add("Mul", given.tensors[0], graph.constant(layer.scale, np.float32))
    return graph.add("Add", scaled, graph.constant(layer.offset, np.float32))


def _normalisation(given: Operands) -> str:
    layer = given.operation
    graph = given.graph
    spread = np.maximum(np.sqrt(_weight(layer.variance)), keras.config.epsilon())
    shifted = graph.add("Sub", given.tensors[0], graph.constant(_weight(layer.mean)))
    return graph.add("Div", shifted, graph.constant(spread, np.float32))


def _identity(given: Operands) -> str:
    return given.tensors[0]


def _joined(operator: str) -> Callable[[Operands], str]:
    def convert(given: Operands) -> str:
        found = given.tensors[0]
        for other in given.tensors[1:]:
            found = given.graph.add(operator, found, other)
        return found

    return convert


def _concatenate(given: Operands) -> str:
    layer = given.operation
    return given.graph.concatenate(given.tensors, layer.axis)


def _reshape(given: Operands) -> str:
    return given.graph.reshape(given.tensors[0], [-1, *given.output.shape[1:]])


def _one_hot(given: Operands) -> str:
    """Codes (n, 1) as (n, levels)."""
    layer = given.operation
    graph = given.graph
    levels = graph.constant(np.arange(layer.num_tokens), np.int32)
    return graph.cast(graph.add("Equal", graph.cast(given.tensors[0], np.int32), levels), np.float32)


# ---------------------------------------------------------------- layers of images, whose channels ONNX has first

def _on_channels_first(given: Operands, operator: str, *weights: str, **settings: Any) -> str:
    graph = given.graph
    turned = graph.add("Transpose", given.tensors[0], perm=TO_CHANNELS_FIRST)
    return graph.add("Transpose", graph.add(operator, turned, *weights, **settings), perm=TO_CHANNELS_LAST)


def _window(given: Operands, size: Sequence[int], layer: Any, dilation: Sequence[int] = (1, 1)) -> dict[str, Any]:
    """Strides and what is put around the image: as much as is needed for every stride, the odd pixel at the end."""
    strides = [layer.strides] * 2 if isinstance(layer.strides, int) else list(layer.strides)
    before, after = [0, 0], [0, 0]
    if layer.padding == "same":
        for i, side in enumerate(given.shape(0)[1:3]):
            reach = (size[i] - 1) * dilation[i] + 1
            missing = max((-(-int(side or 0) // strides[i]) - 1) * strides[i] + reach - int(side or 0), 0)
            before[i], after[i] = missing // 2, missing - missing // 2
    return {"strides": strides, "pads": [*before, *after], "kernel_shape": list(size)}


def _convolution(given: Operands) -> str:
    layer = given.operation
    kernel = _weight(layer.kernel).transpose(3, 2, 0, 1)
    return _convolved(given, layer, kernel, layer.groups)


def _depthwise(given: Operands) -> str:
    layer = given.operation
    kernel = _weight(layer.kernel)  # (h, w, channels, multiplier)
    height, width, channels, each = kernel.shape
    return _convolved(given, layer, kernel.reshape(height, width, 1, channels * each).transpose(3, 2, 0, 1), channels)


def _convolved(given: Operands, layer: Any, kernel: Any, groups: int) -> str:
    graph = given.graph
    weights = [graph.constant(kernel)] + ([graph.constant(_weight(layer.bias))] if layer.use_bias else [])
    found = _on_channels_first(given, "Conv", *weights, group=groups, dilations=list(layer.dilation_rate),
                               **_window(given, kernel.shape[2:], layer, layer.dilation_rate))
    return activated(graph, found, layer.activation)


def _pooled(operator: str) -> Callable[[Operands], str]:
    return lambda given: _on_channels_first(
        given, operator, **_window(given, given.operation.pool_size, given.operation))


def _over_image(operator: str) -> Callable[[Operands], str]:
    def convert(given: Operands) -> str:
        layer = given.operation
        return given.graph.add(operator, given.tensors[0], axes=[1, 2], keepdims=int(layer.keepdims))

    return convert


def _padded(given: Operands) -> str:
    layer = given.operation
    (top, bottom), (left, right) = layer.padding
    return given.graph.add("Pad", given.tensors[0],
                           given.graph.constant([0, top, left, 0, 0, bottom, right, 0], np.int64))


LAYERS: Mapping[str, Callable[[Operands], str]] = {
    "Dense": _dense, "Embedding": _embedding, "BatchNormalization": _batch_normalisation,
    "LayerNormalization": _layer_normalisation, "Activation": _activation, "ReLU": _relu, "Rescaling": _rescaling,
    "Normalization": _normalisation, "Identity": _identity, "Dropout": _identity, "SpatialDropout2D": _identity,
    "Add": _joined("Add"), "Multiply": _joined("Mul"), "Concatenate": _concatenate, "Reshape": _reshape,
    "Flatten": _reshape, "CategoryEncoding": _one_hot, "Conv2D": _convolution, "DepthwiseConv2D": _depthwise,
    "MaxPooling2D": _pooled("MaxPool"), "AveragePooling2D": _pooled("AveragePool"), "ZeroPadding2D": _padded,
    "GlobalAveragePooling2D": _over_image("ReduceMean"), "GlobalMaxPooling2D": _over_image("ReduceMax"),
}
