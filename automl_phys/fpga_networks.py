"""The dense part of a network in the layers that hls4ml knows, and numbers of bits for them.

Takes a network of family ``mlp``; gives a plain Keras network from scaled numbers to outputs, and what hls4ml's
configuration says of each layer. Imports Keras: import this module inside the function that exports.
"""

from __future__ import annotations

from math import ceil, log2
from typing import Any

import keras
import numpy as np

from automl_phys import layers
from automl_phys.errors import CallError, Mistake
from automl_phys.heads import Amounts
from automl_phys.values import Array

KNOWN = (keras.layers.Dense, keras.layers.Activation, keras.layers.BatchNormalization, keras.layers.Add)
ACTIVATIONS = ("linear", "relu", "selu", "elu", "tanh", "sigmoid", "softmax")
FRACTION = 10
"""Bits behind the point."""
MOST_AT_ONCE = 4096
"""Multiplications that are unrolled at once: beyond it hls4ml's strategy is Resource."""
REMEDY = ("Train one that is made for it, with 'families: [mlp]' and 'mlp: {embedding: none, numbers: robust, "
          "activation: relu, normalisation: none, members: 1, layers: [64]}' under 'model'.")


def _refused(why: str) -> CallError:
    return CallError(Mistake("not-exportable", f"{why}, which hls4ml does not know.", REMEDY))


def dense(model: Any) -> tuple[Any, Any, Any]:
    """The network from scaled numbers to outputs, probabilities for classes; its ``RobustScale``; and the ``Amounts``
    that end it, None for classes. Raises CallError for a network that has more in it than dense layers."""
    inner = [one for one in model.layers if isinstance(one, keras.Model)]
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 2 or len(inner) != 2:
        raise _refused("The network takes images, texts or categories")
    encoder, core = inner
    scales = [one for one in encoder.layers if not isinstance(one, keras.layers.InputLayer)]
    if len(scales) != 1 or not isinstance(scales[0], layers.RobustScale):
        raise _refused("The network encodes its numbers in more than one way")
    end = model.layers[-1]
    trained = _rebuilt(core)
    if isinstance(end, Amounts):
        return trained, scales[0], end
    return (keras.Model(trained.inputs, keras.layers.Activation("softmax", name="probabilities")(trained.outputs[0])),
            scales[0], None)


def _rebuilt(core: Any) -> Any:
    """The layers again, without what acts in training only; factors of the features go into the layer behind them."""
    factor: list[Array] = []

    def call(layer: Any, *inputs: Any, **_: Any) -> Any:
        if isinstance(layer, layers.FeatureScale):
            factor.append(keras.ops.convert_to_numpy(layer.factor))
            return inputs[0]
        if isinstance(layer, keras.layers.Dropout):
            return inputs[0]
        if not isinstance(layer, KNOWN):
            raise _refused(f"The network has a layer '{type(layer).__name__}'")
        word = keras.activations.serialize(layer.activation) if hasattr(layer, "activation") else "linear"
        if word not in ACTIVATIONS:
            raise _refused(f"The network has the activation '{word}'")
        copy = type(layer).from_config(layer.get_config())
        out = copy(*inputs)
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.Dense) and factor:
            weights[0] = weights[0] * factor.pop()[:, None]
        copy.set_weights(weights)
        return out

    return keras.models.clone_model(core, clone_function=lambda layer: layer, call_function=call)


def configuration(network: Any, scaled: Array) -> dict[str, Any]:
    """Precision, reuse and strategy of each layer, for what it is given on events (n, d)."""
    found: dict[str, Any] = {network.layers[0].name: {"Precision": {"result": _fixed(scaled)}}}
    inner = network.layers[1:]
    for layer, seen in zip(inner, keras.Model(network.inputs[0], [one.output for one in inner])(scaled), strict=True):
        one: dict[str, Any] = {"Precision": {"result": _fixed(keras.ops.convert_to_numpy(seen))}}
        if isinstance(layer, keras.layers.Dense):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            one["Precision"] |= {"weight": _fixed(kernel), "bias": _fixed(keras.ops.convert_to_numpy(layer.bias))}
            reuse = next(r for r in range(1, kernel.size + 1)
                         if kernel.size % r == 0 and kernel.size // r <= MOST_AT_ONCE)
            one |= {"ReuseFactor": reuse, "Strategy": "Latency" if reuse == 1 else "Resource"}
        found[layer.name] = one
    return found


def _fixed(values: Array) -> str:
    """A signed fixed-point type that holds the values, with a bit to spare."""
    most = float(np.abs(values).max(initial=0.0))
    integer = max(1, ceil(log2(most)) + 1 if most > 0 else 1) + 1
    return f"fixed<{integer + FRACTION},{integer}>"


def scaling(scale: Any) -> dict[str, Any]:
    """What ``RobustScale`` does, as plain data."""
    centre, factor = (keras.ops.convert_to_numpy(v).astype(np.float64).tolist() for v in (scale.centre, scale.scale))
    return {"formula": "z = (x - centre) * scale; scaled = z / sqrt(1 + (z / 3)^2)", "centre": centre, "scale": factor}
