"""Keras layers for networks on images: scaling that is fitted on training rows, and augmentation.

Images are (n, h, w, c), of 8 bits or float32. ``PixelScale`` is fitted once with ``adapt`` and is part of the saved
model, which therefore takes images as they come. What augments does so while training and at no other time.
Imports Keras: import this module inside the function that builds a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from automl_phys.layers import PACKAGE, Fixed
from automl_phys.values import Array

SCALES = ("channel", "pixel", "root", "log")

LEAST_WIDTH = 0.05
"""Of the widest pixel's standard deviation: pixels that hardly ever differ are not blown up."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class PixelScale(Fixed):
    """Images standardised: (x − mean) / width, over all pixels of a channel or, for ``pixel``, of each pixel by itself.

    ``root`` and ``log`` take the square root, or log(1 + x / x₀), of x − min first, x₀ being the mean of what is above
    the minimum: for images of energy, which is in few pixels.
    """

    def __init__(self, scale: str = "channel", **config: Any) -> None:
        super().__init__(**config)
        self.scale = scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}

    def build(self, shape: tuple[int | None, ...]) -> None:
        sides = [int(side or 0) for side in shape[1:]]
        pixels = sides if self.scale == "pixel" else [1, 1, sides[2]]
        for name in ("centre", "width"):
            self._reserve(name, *pixels)
        for name in ("low", "typical"):
            self._reserve(name, 1, 1, sides[2])

    def adapt(self, blocks: Iterable[tuple[Array, Array]]) -> None:
        """Fit on the training rows: blocks of images (n, h, w, c) and weights (n,), gone through twice."""
        seen = list(blocks)
        self.build(seen[0][0].shape)
        low = np.min([images.min(axis=(0, 1, 2)) for images, _ in seen], axis=0).astype(np.float64)
        above = [images.astype(np.float64) - low for images, _ in seen]
        counts = sum((block > 0).sum(axis=(0, 1, 2)) for block in above)
        typical = sum(block.sum(axis=(0, 1, 2)) for block in above) / np.maximum(counts, 1)
        typical = np.where(typical > 0, typical, 1.0)
        self._statistic("low", low[None, None])
        self._statistic("typical", typical[None, None])
        total = 0.0
        first = second = np.zeros(seen[0][0].shape[1:])
        for images, weight in seen:
            values, w = ops.convert_to_numpy(self._shaped(images)).astype(np.float64), weight.astype(np.float64)
            total = total + w.sum()
            first = first + np.tensordot(w, values, 1)
            second = second + np.tensordot(w, values**2, 1)
        mean, square = first / total, second / total
        if self.scale != "pixel":
            mean, square = (moment.mean(axis=(0, 1), keepdims=True) for moment in (mean, square))
        width = np.sqrt(np.maximum(square - mean**2, 0))
        widest = width.max() or 1.0
        self._statistic("centre", mean)
        self._statistic("width", np.maximum(width, LEAST_WIDTH * widest))
        self.built = True

    @property
    def background(self) -> float:
        """What the least of the training rows' pixels is scaled to."""
        return float(np.mean(ops.convert_to_numpy((self._shaped(self.low) - self.centre) / self.width)))

    def _shaped(self, images: Any) -> Any:
        values = ops.cast(images, "float32")
        if self.scale == "root":
            return ops.sqrt(ops.maximum(values - self.low, 0.0) / self.typical)
        if self.scale == "log":
            return ops.log1p(ops.maximum(values - self.low, 0.0) / self.typical)
        return values

    def call(self, images: Any) -> Any:
        return (self._shaped(images) - self.centre) / self.width

    def compute_output_spec(self, images: Any) -> Any:
        return keras.KerasTensor(images.shape, dtype="float32")


@keras.saving.register_keras_serializable(package=PACKAGE)
class Position(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Images (n, h, w, c) with two more channels that say where a pixel is, from −1 to 1 (Liu et al. 2018, CoordConv,
    arXiv:1807.03247): for images in which a place has a meaning of its own."""

    def call(self, images: Any) -> Any:
        height, width = images.shape[1:3]
        down, right = ops.meshgrid(ops.linspace(-1.0, 1.0, height), ops.linspace(-1.0, 1.0, width), indexing="ij")
        places = ops.cast(ops.stack([down, right], axis=-1), images.dtype)
        return ops.concatenate([images, ops.zeros_like(images[..., :1]) + places], axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return *shape[:-1], int(shape[-1] or 0) + 2


class Random(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """A layer that changes images while training, by ``spread``, with random numbers of its own."""

    def __init__(self, spread: float, seed: int | None = None, **config: Any) -> None:
        super().__init__(**config)
        self.spread, self.seed = spread, seed
        self._numbers = keras.random.SeedGenerator(seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "spread": self.spread, "seed": self.seed}

    def call(self, images: Any, training: bool = False) -> Any:
        return self.changed(images) if training else images

    def changed(self, images: Any) -> Any:
        """The images as they are trained on: here as they are."""
        return images

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class Intensity(Random):
    """Each image, while training, times a number drawn from 1 − ``spread`` … 1 + ``spread``."""

    def changed(self, images: Any) -> Any:
        shape = (ops.shape(images)[0], 1, 1, 1)
        return images * keras.random.uniform(shape, 1 - self.spread, 1 + self.spread, seed=self._numbers)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Noise(Random):
    """Gaussian noise of width ``spread`` on each pixel while training; Keras's own layer knows no width above 1."""

    def changed(self, images: Any) -> Any:
        return images + keras.random.normal(ops.shape(images), 0.0, self.spread, seed=self._numbers)


def augmented(images: Any, how: Mapping[str, Any], seed: int, fill: float = 0.0) -> Any:
    """Scaled images, changed at random while training.

    ``how`` holds ``flip`` (none, horizontal, vertical or both), ``rotation`` (degrees, either way), ``translation``
    (share of the sides), ``noise`` (standard deviations of the scaled pixels) and ``intensity`` (relative); what is 0
    or missing is not done. What comes in from outside the image is ``fill``.
    """
    outside = {"fill_mode": "constant", "fill_value": fill}
    flip = how.get("flip", "none")
    for index, mode in enumerate(("horizontal", "vertical")):  # Keras's own mode for both flips both or neither
        if flip in {mode, "both"}:
            images = keras.layers.RandomFlip(mode, seed=seed + 5 * index)(images)
    if how.get("rotation"):
        images = keras.layers.RandomRotation(how["rotation"] / 360, seed=seed + 1, **outside)(images)
    if how.get("translation"):
        share = how["translation"]
        images = keras.layers.RandomTranslation(share, share, seed=seed + 2, **outside)(images)
    if how.get("intensity"):
        images = Intensity(how["intensity"], seed=seed + 3)(images)
    if how.get("noise"):
        images = Noise(how["noise"], seed=seed + 4)(images)
    return images
