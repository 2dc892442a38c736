"""ONNX graphs, node by node: what exports are written with.

Takes operators, names of tensors and arrays; gives names of tensors, and in the end a model. Knows nothing of tables,
trees or networks. The operator set is an old one on purpose, so that the ONNX runtime of an experiment's software of
2022 (1.12) reads the files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
MOST_BYTES = 1_900_000_000
"""A protobuf message, which a model without files beside it is, holds 2 GB."""


class Graph:
    """A graph that grows. Tensors are known by their names; rows are the first axis of those that depend on events."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.rounded: list[str] = []
        """What is computed in the graph that trees cut, where a last digit may decide."""
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output, whose name is given back."""
        from onnx import helper

        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, values: Any, kind: Any = None) -> str:
        """An array, of the type ``kind`` where that is given; equal ones are kept once."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(values, kind).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def input(self, name: str, kind: Any, shape: Sequence[int]) -> str:
        """An input (n, *shape) of the numpy type ``kind``, ``object`` for texts."""
        from onnx import TensorProto, helper

        code = TensorProto.STRING if kind is object else helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        self.inputs.append(helper.make_tensor_value_info(name, code, ["n", *shape]))
        return name

    def output(self, name: str, tensor: str, shape: Sequence[int]) -> None:
        """An output, float32 (n, *shape)."""
        from onnx import TensorProto, helper

        self.nodes.append(helper.make_node("Identity", [tensor], [name], name=f"out_{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]))

    # ------------------------------------------------------------ what is often needed

    def cast(self, tensor: str, kind: Any) -> str:
        from onnx import helper

        return self.add("Cast", tensor, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def concatenate(self, tensors: Sequence[str], axis: int = 1) -> str:
        return tensors[0] if len(tensors) == 1 else self.add("Concat", *tensors, axis=axis)

    def columns(self, tensor: str, positions: Sequence[int]) -> str:
        """Some of the columns of (n, d)."""
        return self.add("Gather", tensor, self.constant(positions, np.int64), axis=1)

    def reshape(self, tensor: str, shape: Sequence[int]) -> str:
        return self.add("Reshape", tensor, self.constant(shape, np.int64))

    def any_true(self, flags: str) -> str:
        """Whether any of (n, d) is true, (n, 1)."""
        return self.cast(self.add("ReduceMax", self.cast(flags, np.float32), axes=[1], keepdims=1), np.bool_)

    def model(self, metadata: Mapping[str, str], name: str) -> Any:
        """The finished model, checked. Raises ``onnx.checker.ValidationError`` for a graph that is none, ValueError
        for one that is too large for a file."""
        from onnx import checker, helper

        from automl_phys import __version__

        used = {tensor for node in self.nodes for tensor in node.input}
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs,
                                  [one for one in self.constants if one.name in used])
        model = helper.make_model(
            graph, producer_name="automl-phys", producer_version=__version__, ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)])
        helper.set_model_props(model, dict(metadata))
        if model.ByteSize() > MOST_BYTES:
            raise ValueError(f"{model.ByteSize() / 1e9:.1f} GB")
        checker.check_model(model)
        return model
