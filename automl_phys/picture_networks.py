"""Keras layers that turn small images into images, or codes into images and back, whatever their sides.

Imports Keras: import this module inside the function that builds or loads a network.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from automl_phys.layers import PACKAGE

GROUPS = 8
PATCHES = {1: 12, 2: 32}
"""Side of a patch, and the largest side of images up to which it is used."""
LARGEST_PATCH = 4


@keras.saving.register_keras_serializable(package=PACKAGE)
class Pictures(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """A U-Net (O. Ronneberger et al., arXiv:1505.04597) of two resolutions: from images (n, h, w, c) and what is told
    of each, (n, ``told``), to images of the same shape. It works on patches of pixels where images are large; inside,
    sides are padded to whole ones."""

    def __init__(self, units: int, layers: int, told: int, **config: Any) -> None:
        super().__init__(**config)
        self.units, self.layers_, self.told = units, layers, told

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "layers": self.layers_, "told": self.told}

    def build(self, shape: Any) -> None:
        height, width, channels = (int(side) for side in shape[1:])
        self._sides, self._channels = (height, width), channels
        self._patch = next((patch for patch, most in PATCHES.items() if max(height, width) <= most), LARGEST_PATCH)
        self._pad = tuple(-side % (2 * self._patch) for side in self._sides)
        one, two = self.units, 2 * self.units
        patched = channels * self._patch**2
        self._first = _built(_conv(one), patched + 2)
        self._down = [_built(Told(one, self.told), one) for _ in range(self.layers_)]
        self._halved = _built(Convolution(two, 2), one)
        self._middle = [_built(Told(two, self.told), two) for _ in range(self.layers_ + 1)]
        self._doubled = keras.layers.Dense(one)
        self._doubled.build((None, two))
        self._up = [_built(Told(one, self.told), one) for _ in range(self.layers_)]
        self._last = _built(_conv(patched, "zeros"), one)
        self.built = True

    def call(self, images: Any, told: Any) -> Any:
        images = ops.pad(images, [[0, 0], [0, self._pad[0]], [0, self._pad[1]], [0, 0]])
        height, width = (int(side) // self._patch for side in images.shape[1:3])
        cells = ops.reshape(images, (-1, height, self._patch, width, self._patch, self._channels))
        patches = ops.reshape(ops.transpose(cells, (0, 1, 3, 2, 4, 5)), (-1, height, width, self._size))
        hidden = self._first(with_places(patches))
        for block in self._down:
            hidden = block(hidden, told)
        lower = self._halved(hidden)
        for block in self._middle:
            lower = block(lower, told)
        hidden = hidden + _twice(self._doubled(lower))
        for block in self._up:
            hidden = block(hidden, told)
        made = ops.reshape(self._last(ops.silu(hidden)),
                           (-1, height, width, self._patch, self._patch, self._channels))
        whole = ops.reshape(ops.transpose(made, (0, 1, 3, 2, 4, 5)), ops.shape(images))
        return whole[:, :self._sides[0], :self._sides[1]]

    @property
    def _size(self) -> int:
        return self._channels * self._patch**2

    def compute_output_shape(self, shape: Any, *_: Any) -> Any:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class Told(keras.layers.Layer):  # type: ignore[misc]
    """A residual block of two convolutions whose channels are scaled and shifted by what is told (n, ``told``)."""

    def __init__(self, units: int, told: int, **config: Any) -> None:
        super().__init__(**config)
        self.units, self.told = units, told

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "told": self.told}

    def build(self, shape: Any) -> None:  # noqa: ARG002 - Keras gives it
        self._norm = _built(keras.layers.GroupNormalization(min(GROUPS, self.units)), self.units)
        self._one, self._two = _built(_conv(self.units), self.units), _built(_conv(self.units, "zeros"), self.units)
        self._film = keras.layers.Dense(2 * self.units)
        self._film.build((None, self.told))
        self.built = True

    def call(self, images: Any, told: Any) -> Any:
        scale, shift = ops.split(self._film(told)[:, None, None, :], 2, axis=-1)
        hidden = self._one(ops.silu(self._norm(images)))
        return images + self._two(ops.silu(hidden * (1 + scale) + shift))

    def compute_output_shape(self, shape: Any, *_: Any) -> Any:
        return shape


def with_places(images: Any) -> Any:
    """Images with two channels more that say where each pixel is: of a detector it matters."""
    _, height, width, _ = images.shape
    rows = ops.broadcast_to(ops.linspace(-1.0, 1.0, height)[None, :, None, None], ops.shape(images[..., :1]))
    columns = ops.broadcast_to(ops.linspace(-1.0, 1.0, width)[None, None, :, None], ops.shape(images[..., :1]))
    return ops.concatenate([images, rows, columns], axis=-1)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Convolution(keras.layers.Layer):  # type: ignore[misc]
    """A convolution of 3 × 3 pixels as one product of matrices. Inside of a compiled loop XLA has no fast convolutions
    on a CPU: Keras's own are some fifty times slower there."""

    def __init__(self, units: int, strides: int = 1, start: str = "glorot_uniform", **config: Any) -> None:
        super().__init__(**config)
        self.units, self.strides, self.start = units, strides, start

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "strides": self.strides, "start": self.start}

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(name="kernel", shape=(9 * int(shape[-1]), self.units), initializer=self.start)
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")
        self.built = True

    def call(self, images: Any) -> Any:
        _, height, width, _ = images.shape
        padded = ops.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
        near = [padded[:, i:i + height:self.strides, j:j + width:self.strides] for i in range(3) for j in range(3)]
        return ops.matmul(ops.concatenate(near, axis=-1), self.kernel) + self.bias


def _conv(units: int, start: str = "glorot_uniform") -> Any:
    return Convolution(units, 1, start)


def _twice(images: Any) -> Any:
    """Each pixel four times."""
    return ops.repeat(ops.repeat(images, 2, axis=1), 2, axis=2)


def _built(layer: Any, channels: int) -> Any:
    layer.build((None, 8, 8, channels))
    return layer


@keras.saving.register_keras_serializable(package=PACKAGE)
class Encoder(keras.layers.Layer):  # type: ignore[misc]
    """From images (n, h, w, c) and a condition (n, ``told``) to ``outputs`` numbers, by convolutions that halve the
    sides twice."""

    def __init__(self, units: int, outputs: int, told: int, normalised: bool = True, **config: Any) -> None:
        super().__init__(**config)
        self.units, self.outputs, self.told, self.normalised = units, outputs, told, normalised

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "outputs": self.outputs, "told": self.told,
                "normalised": self.normalised}

    def build(self, images_shape: Any, condition_shape: Any = None) -> None:  # noqa: ARG002 - Keras gives it
        height, width, channels = (int(side) for side in images_shape[1:])
        one, two = self.units, 2 * self.units
        self._convolutions = [
            _built(_conv(one), channels + 2 + self.told),
            _built(Convolution(two, 2), one), _built(Convolution(two, 2), two)]
        self._norms = [_built(keras.layers.GroupNormalization(min(GROUPS, two)), two) for _ in range(2)]
        left = math.ceil(math.ceil(height / 2) / 2) * math.ceil(math.ceil(width / 2) / 2) * two
        self._last = keras.layers.Dense(self.outputs)
        self._last.build((None, left))
        self.built = True

    def call(self, images: Any, condition: Any = None) -> Any:
        seen = with_places(images)
        if condition is not None:
            _, height, width, _ = images.shape
            spread = ops.tile(condition[:, None, None, :], (1, height, width, 1))
            seen = ops.concatenate([seen, spread], axis=-1)
        hidden = ops.silu(self._convolutions[0](seen))
        for convolution, norm in zip(self._convolutions[1:], self._norms, strict=True):
            hidden = convolution(hidden)
            hidden = ops.silu(norm(hidden) if self.normalised else hidden)
        return self._last(ops.reshape(hidden, (ops.shape(hidden)[0], -1)))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Decoder(keras.layers.Layer):  # type: ignore[misc]
    """From codes (n, k) to images (n, h, w, c) by convolutions that double the sides twice, as a DCGAN's generator
    (A. Radford et al., arXiv:1511.06434)."""

    def __init__(self, units: int, sides: tuple[int, ...], inputs: int, **config: Any) -> None:
        super().__init__(**config)
        self.units, self.sides, self.inputs = units, tuple(sides), inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "sides": list(self.sides), "inputs": self.inputs}

    def build(self, shape: Any) -> None:  # noqa: ARG002 - Keras gives it
        height, width, channels = self.sides
        one, two = self.units, 2 * self.units
        self._start = (-(-height // 4), -(-width // 4), two)
        self._first = keras.layers.Dense(self._start[0] * self._start[1] * two)
        self._first.build((None, self.inputs))
        self._doubled = [_built(_conv(two), two), _built(_conv(one), two)]
        self._norms = [_built(keras.layers.GroupNormalization(min(GROUPS, two)), two),
                       _built(keras.layers.GroupNormalization(min(GROUPS, two)), two)]
        self._middle, self._last = _built(_conv(one), one + 2), _built(_conv(channels), one)
        self.built = True

    def call(self, codes: Any) -> Any:
        hidden = ops.reshape(self._first(codes), (-1, *self._start))
        for layer, norm in zip(self._doubled, self._norms, strict=True):
            hidden = layer(_twice(ops.silu(norm(hidden))))
        hidden = self._middle(with_places(ops.silu(hidden)))
        return self._last(ops.silu(hidden))[:, :self.sides[0], :self.sides[1]]

    def compute_output_shape(self, shape: Any) -> Any:
        return shape[0], *self.sides
