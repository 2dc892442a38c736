"""Layers on images: scales are NumPy's weighted statistics and are saved; augmentation happens in training only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import keras_fit

keras = keras_fit.load_keras()
from automl_phys import image_layers  # noqa: E402 - imports Keras

RNG = np.random.default_rng(0)
IMAGES = (RNG.exponential(20, (50, 4, 5, 2)) * (RNG.random((50, 4, 5, 2)) < 0.5)).clip(0, 255).astype(np.uint8)
WEIGHT = RNG.uniform(0, 2, 50).astype(np.float32)


def scale(kind: str, images: Any = IMAGES, weight: Any = WEIGHT, pieces: int = 2) -> Any:
    layer = image_layers.PixelScale(kind)
    layer.adapt(zip(np.array_split(images, pieces), np.array_split(weight, pieces), strict=True))
    return layer


def shaped(kind: str, images: Any) -> Any:
    """The scale's transformation by NumPy, float64."""
    low = images.min((0, 1, 2)).astype(np.float64)
    above = images - low
    typical = np.array([above[..., c][above[..., c] > 0].mean() for c in range(images.shape[3])])
    return {"root": np.sqrt(above / typical), "log": np.log1p(above / typical)}.get(kind, images.astype(np.float64))


def call(layer: Any, images: Any, **how: Any) -> Any:
    return keras.ops.convert_to_numpy(layer(images, **how))


# ---------------------------------------------------------------- scales

@pytest.mark.parametrize("kind", image_layers.SCALES)
def test_scaled_pixels_have_mean_zero_and_width_one_under_the_weights(kind: str) -> None:
    axes = 0 if kind == "pixel" else (0, 1, 2)
    values = shaped(kind, IMAGES)
    weights = np.broadcast_to(WEIGHT[:, None, None, None], values.shape)
    mean = np.average(values, axis=axes, weights=weights)
    width = np.sqrt(np.average((values - mean) ** 2, axis=axes, weights=weights))
    assert width.min() > image_layers.LEAST_WIDTH * width.max()
    assert call(scale(kind), IMAGES) == pytest.approx((values - mean) / width, abs=2e-5)


@pytest.mark.parametrize("kind", image_layers.SCALES)
def test_in_how_many_pieces_it_is_fitted_does_not_matter(kind: str) -> None:
    assert call(scale(kind), IMAGES) == pytest.approx(call(scale(kind, pieces=7), IMAGES), abs=1e-5)


@pytest.mark.parametrize("kind", image_layers.SCALES)
def test_images_of_weight_zero_do_not_move_the_mean(kind: str) -> None:
    twice = np.concatenate([IMAGES, IMAGES[:25][::-1]])
    weight = np.concatenate([WEIGHT, np.zeros(25, np.float32)])
    if kind in {"channel", "pixel"}:
        assert call(scale(kind, twice, weight), IMAGES) == pytest.approx(call(scale(kind), IMAGES), abs=1e-5)
    weighted = call(scale(kind, twice, weight), IMAGES) * WEIGHT[:, None, None, None]
    assert weighted.mean((0, 1, 2)) == pytest.approx(np.zeros(2), abs=1e-5)


@pytest.mark.parametrize("kind", image_layers.SCALES)
def test_the_background_is_what_the_least_pixel_becomes(kind: str) -> None:
    layer = scale(kind, IMAGES[..., :1])
    darkest = np.full((1, 4, 5, 1), IMAGES[..., :1].min(), np.uint8)
    assert layer.background == pytest.approx(call(layer, darkest).mean(), abs=1e-5)


def test_a_pixel_that_never_differs_is_not_blown_up() -> None:
    images = IMAGES.copy()
    images[:, 0, 0] = 7
    images[0, 0, 0] = 8
    assert np.abs(call(scale("pixel", images), images)[:, 0, 0]).max() < 1


def test_images_all_alike_are_scaled_to_numbers() -> None:
    alike = np.full((6, 4, 5, 2), 3, np.uint8)
    for kind in image_layers.SCALES:
        assert np.isfinite(call(scale(kind, alike, np.ones(6, np.float32)), alike)).all()


def test_pixels_below_any_seen_in_training_stay_numbers() -> None:
    for kind in image_layers.SCALES:
        layer = scale(kind, IMAGES.astype(np.float32) + 5)
        assert np.isfinite(call(layer, np.full((1, 4, 5, 2), -100, np.float32))).all()


@pytest.mark.parametrize("kind", image_layers.SCALES)
def test_a_scale_is_saved_with_its_network(kind: str, tmp_path: Path) -> None:
    inputs = keras.Input((4, 5, 2), dtype="uint8")
    network = keras.Model(inputs, scale(kind)(inputs))
    network.save(tmp_path / "scale.keras")
    again = keras.models.load_model(tmp_path / "scale.keras", compile=False, safe_mode=True)
    assert again.input.dtype == "uint8" and not again.trainable_variables
    assert np.array_equal(call(again, IMAGES), call(network, IMAGES))


# ---------------------------------------------------------------- places, brightness

def test_places_run_from_minus_one_to_one() -> None:
    placed = call(image_layers.Position(), np.ones((3, 4, 5, 2), np.float32))
    assert placed.shape == (3, 4, 5, 4) and np.array_equal(placed[..., :2], np.ones((3, 4, 5, 2)))
    assert placed[2, :, 3, 2] == pytest.approx(np.linspace(-1, 1, 4))
    assert placed[0, 1, :, 3] == pytest.approx(np.linspace(-1, 1, 5))


def test_each_image_is_brighter_or_darker_as_a_whole_while_training_only() -> None:
    layer, images = image_layers.Intensity(0.3, seed=1), np.ones((200, 2, 2, 1), np.float32)
    assert np.array_equal(call(layer, images), images)
    factor = call(layer, images, training=True)
    assert (factor == factor[:, :1, :1]).all()
    assert 0.7 <= factor.min() < 0.75 and 1.25 < factor.max() <= 1.3
    same = call(image_layers.Intensity.from_config(layer.get_config()), images, training=True)
    assert np.array_equal(same, factor)


# ---------------------------------------------------------------- augmentation

HOW = {"flip": "both", "rotation": 180.0, "translation": 0.25, "intensity": 0.2, "noise": 0.3}


def changed(how: dict[str, Any], images: Any, fill: float = 0.0, training: bool = True, seed: int = 1) -> Any:
    inputs = keras.Input(images.shape[1:])
    network = keras.Model(inputs, image_layers.augmented(inputs, how, seed, fill))
    return call(network, images, training=training)


@pytest.mark.parametrize("one", [*HOW, "all"])
def test_images_are_changed_while_training_and_only_then(one: str) -> None:
    how = HOW if one == "all" else {one: HOW[one]}
    images = RNG.normal(size=(20, 8, 8, 1)).astype(np.float32)
    assert np.array_equal(changed(how, images, training=False), images)
    first = changed(how, images)
    assert first.shape == images.shape and not np.array_equal(first, images)
    assert np.array_equal(first, changed(how, images))
    assert not np.array_equal(first, changed(how, images, seed=2))


def test_nothing_asked_for_is_nothing_done() -> None:
    inputs = keras.Input((8, 8, 1))
    nothing = {"flip": "none", "rotation": 0.0, "translation": 0.0, "intensity": 0.0, "noise": 0.0}
    assert image_layers.augmented(inputs, nothing, 1) is inputs
    assert image_layers.augmented(inputs, {}, 1) is inputs


@pytest.mark.parametrize("how", [{"rotation": 180.0}, {"translation": 0.25}])
def test_the_background_comes_in_from_outside(how: dict[str, Any]) -> None:
    made = changed(how, np.ones((40, 8, 8, 1), np.float32), fill=-3.0)
    assert made.min() == pytest.approx(-3, abs=1e-4) and made.max() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("word", "axes"), [("horizontal", (2,)), ("vertical", (1,)), ("both", (1, 2))])
def test_images_are_mirrored_as_said(word: str, axes: tuple[int, ...]) -> None:
    images = RNG.normal(size=(40, 4, 4, 1)).astype(np.float32)
    allowed = [images, *(np.flip(images, axis) for axis in axes), *([np.flip(images, axes)] if len(axes) > 1 else [])]
    made = changed({"flip": word}, images)
    alike = np.array([[np.array_equal(one, other[i]) for other in allowed] for i, one in enumerate(made)])
    assert alike.any(axis=1).all() and alike.any(axis=0).all()
