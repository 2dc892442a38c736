"""Keras layers that fit a pre-trained network to the inputs of another problem.

What images, numbers and texts need before a base takes them. None has weights. Imports Keras: import this module inside
the function that builds a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from automl_phys import pretrained
from automl_phys.layers import PACKAGE

CAFFE_MEAN = (103.939, 116.779, 123.68)
TORCH_MEAN, TORCH_WIDTH = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Shades(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Pixels of ``black`` … ``white`` as an application wants them: what its ``preprocess_input`` does to pixels of
    0 … 255. ``how`` is one of ``pretrained``'s words."""

    def __init__(self, how: str, black: float = 0.0, white: float = 255.0, **config: Any) -> None:
        super().__init__(**config)
        self.how, self.black, self.white = how, black, white

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "how": self.how, "black": self.black, "white": self.white}

    def call(self, images: Any) -> Any:
        images = (images - self.black) * (255.0 / (self.white - self.black))
        if self.how == pretrained.CAFFE:
            return ops.flip(images, axis=-1) - ops.convert_to_tensor(CAFFE_MEAN, images.dtype)
        if self.how == pretrained.TENSORFLOW:
            return images / 127.5 - 1.0
        if self.how == pretrained.TORCH:
            mean, width = (ops.convert_to_tensor(values, images.dtype) for values in (TORCH_MEAN, TORCH_WIDTH))
            return (images / 255.0 - mean) / width
        return images

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class Channels(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Images with another number of channels: the mean of those that there are, in each."""

    def __init__(self, count: int, **config: Any) -> None:
        super().__init__(**config)
        self.count = count

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count}

    def call(self, images: Any) -> Any:
        return ops.repeat(ops.mean(images, axis=-1, keepdims=True), self.count, axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return *shape[:-1], self.count


@keras.saving.register_keras_serializable(package=PACKAGE)
class Columns(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Some of the numbers (n, d), by their positions."""

    def __init__(self, positions: Sequence[int], **config: Any) -> None:
        super().__init__(**config)
        self.positions = list(positions)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "positions": self.positions}

    def call(self, numbers: Any) -> Any:
        return ops.take(numbers, np.array(self.positions, np.int32), axis=1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], len(self.positions)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Pooled(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Vectors (n, L, d) of the words of a text as one (n, 2 d): their mean and their maximum, without what fills up."""

    def call(self, given: Any) -> Any:
        vectors, tokens = given
        there = ops.cast(tokens > 0, vectors.dtype)[..., None]
        count = ops.maximum(ops.sum(there, axis=1), 1.0)
        mean = ops.sum(vectors * there, axis=1) / count
        largest = ops.max(vectors * there - 1e6 * (1 - there), axis=1)
        largest = ops.where(ops.sum(there, axis=1) > 0, largest, 0.0)
        return ops.concatenate([mean, largest], axis=-1)

    def compute_output_shape(self, shapes: Any) -> tuple[int | None, ...]:
        return shapes[0][0], 2 * shapes[0][2]
