"""Networks rewritten in Keras's own layers and operations, so that they are read where this package is not installed.

Takes a Keras model with layers of this package; gives one that computes the same, with what these layers learned as
constants. For prediction: layers that act only while training have gone. Imports Keras: import this module inside the
function that exports.
"""

from __future__ import annotations

import inspect
from types import MethodType
from typing import Any

import keras
import numpy as np

from automl_phys.layers import PACKAGE


class Constant(np.ndarray):
    """An array that leaves arithmetic with a symbolic tensor to the tensor, which numpy would take for an object."""

    __module__ = np.__name__  # Keras writes arrays of numpy's into files, and tells them by this


def _deferring(name: str) -> Any:
    def operate(self: Any, other: Any) -> Any:
        if isinstance(other, keras.KerasTensor):
            return NotImplemented
        return getattr(np.asarray(self), name)(other)

    return operate


for _name in ("__add__", "__sub__", "__mul__", "__truediv__", "__pow__"):
    setattr(Constant, _name, _deferring(_name))


class _Unrolled:
    """A layer as its own ``call`` sees it, with arrays in place of its variables."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._layer, name)
        if isinstance(value, keras.Variable):
            return keras.ops.convert_to_numpy(value.value).view(Constant)
        return MethodType(value.__func__, self) if inspect.ismethod(value) else value


def of(model: Any) -> Any:
    """The same network without layers of this package."""
    _count_names(model)
    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=_call)


def _count_names(model: Any) -> None:
    """Have Keras count on from the names in a network that was loaded, so that operations that are added get others."""
    for operation in model.operations:
        stem, _, number = operation.name.rpartition("_")
        stem, least = (stem, int(number) + 1) if number.isdigit() else (operation.name, 1)
        while keras.backend.get_uid(stem) < least:
            pass
        if isinstance(operation, keras.Model):
            _count_names(operation)


def _call(layer: Any, *inputs: Any, **settings: Any) -> Any:
    settings.pop("training", None)
    if isinstance(layer, keras.layers.Dropout):
        return inputs[0]
    if isinstance(layer, keras.Model):
        return of(layer)(*inputs, **settings)
    if isinstance(layer, keras.layers.Layer) and _is_ours(layer):
        return type(layer).call(_Unrolled(layer), *inputs, **settings)
    return layer(*inputs, **settings)


def _is_ours(layer: Any) -> bool:
    return str(keras.saving.get_registered_name(type(layer))).startswith(f"{PACKAGE}>")
