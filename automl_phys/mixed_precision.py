"""Networks that are trained in bfloat16 where they multiply matrices, and are float32 before and after.

Takes built networks of Keras; what they are trained in is said by an environment variable, so that it holds for all
trials and refits of a run. Weights, their updates, norms and what a network makes of its inputs stay float32; bfloat16
has the range of float32, so losses need no scaling. A network that is saved knows nothing of this: it predicts in
float32 on any device, and can be exported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

VARIABLE = "AUTOML_PHYS_PRECISION"
"""Holds ``float32`` or the name of a policy of Keras, ``mixed_bfloat16``."""

MULTIPLYING = ("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv1DTranspose", "Conv2DTranspose", "DepthwiseConv1D",
               "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
"""Layers of Keras that gain, by their names; those inside of others, such as an attention's, count too."""


@contextmanager
def training(*networks: Any) -> Iterator[None]:
    """While the block lasts, layers of the networks compute in what the variable says, but for the
    last before an output. Compiled functions of before and after are not to be mixed."""
    policy = os.environ.get(VARIABLE, "float32")
    changed = [] if policy == "float32" else [layer for network in networks for layer in _gaining(network)]
    before = [layer.dtype_policy for layer in changed]
    for layer in changed:
        layer.dtype_policy = policy
    try:
        yield
    finally:
        for layer, policy_before in zip(changed, before, strict=True):
            layer.dtype_policy = policy_before
        for network in networks if changed else ():
            network.train_function = network.test_function = network.predict_function = None


def _gaining(network: Any) -> list[Any]:
    last = {id(layer) for layer in _last(network)}
    return [layer for layer in network._flatten_layers(include_self=False)
            if _multiplies(layer) and layer.compute_dtype == "float32" and id(layer) not in last]


def _multiplies(layer: Any) -> bool:
    return type(layer).__name__ in MULTIPLYING and type(layer).__module__.startswith("keras.")


def _last(network: Any) -> list[Any]:
    """The layers that multiply matrices last on the way to an output: what they give is not to be rounded."""
    found, seen, ways = [], set[int](), list(getattr(network, "outputs", None) or ())
    while ways:
        operation = ways.pop()._keras_history.operation
        if id(operation) in seen:
            continue
        seen.add(id(operation))
        if _multiplies(operation):
            found.append(operation)
        elif getattr(operation, "outputs", None) and hasattr(operation, "layers"):  # a network within
            ways += operation.outputs
        else:
            ways += [tensor for node in operation._inbound_nodes for tensor in node.input_tensors]
    return found
