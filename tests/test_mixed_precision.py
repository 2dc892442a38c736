"""Networks train in bfloat16 where that is asked for, and are float32 networks before and after, on every framework."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import heads, keras_fit, mixed_precision, saved_networks
from automl_phys.keras_fit import Batch, Training

ROWS = 256
TRAINING = Training(4, 32, 0.01)


def halves(seed: int) -> Batch:
    """Images of 8 × 8 pixels that are bright on the left or on the right."""
    rng = np.random.default_rng(seed)
    side = rng.integers(0, 2, ROWS)
    images = rng.normal(0, 1, (ROWS, 8, 8, 1))
    images[np.arange(ROWS), :, :4, 0] += (1 - 2 * side)[:, None, None]
    return Batch((images.astype(np.float32),), np.eye(2, dtype=np.float32)[side], np.ones(ROWS, np.float32))


def network() -> Any:
    keras = keras_fit.load_keras()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs))
    pooled = keras.layers.Flatten()(hidden)
    features = keras.Input((144,))
    core = keras.Model(features, keras.layers.Dense(2, name="last")(keras.layers.Dense(16, "relu", name="inner")(features)))
    return keras.Model(inputs, keras.layers.Reshape((2,))(core(pooled)))


def fitted(monkeypatch: pytest.MonkeyPatch, precision: str) -> tuple[Any, Any, dict[str, str]]:
    """A network, the course of its training, and in what its layers computed meanwhile."""
    monkeypatch.setenv(mixed_precision.VARIABLE, precision)
    made, used = network(), dict[str, str]()

    def follow(epoch: int, predictions: Any) -> None:
        assert predictions.dtype == np.float32
        used.update({layer.name: layer.compute_dtype for layer in made._flatten_layers()})

    return made, keras_fit.fit(made, heads.classes(0.0), halves(0), halves(1), TRAINING, 3, follow), used


def check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, course, used = fitted(monkeypatch, "mixed_bfloat16")
    assert (used["conv"], used["inner"], used["last"]) == ("bfloat16", "bfloat16", "float32")
    assert {layer.compute_dtype for layer in made._flatten_layers()} == {"float32"}
    assert {str(v.dtype) for v in made.variables if "seed" not in v.path} == {"float32"}
    said = keras_fit.predict(made, halves(2).inputs)
    assert said.dtype == np.float32
    assert (said.argmax(1) == halves(2).target.argmax(1)).mean() > 0.9
    assert course.history[-1]["train_loss"] < course.history[0]["train_loss"]
    _, exact, _ = fitted(monkeypatch, "float32")
    assert exact.history[0] != course.history[0], "bfloat16 was not used"
    assert exact.history[0]["train_loss"] == pytest.approx(course.history[0]["train_loss"], rel=0.05)
    monkeypatch.delenv(mixed_precision.VARIABLE)
    made.save(folder / "network.keras")
    again = saved_networks.load(folder / "network.keras")
    assert np.abs(keras_fit.predict(again, halves(2).inputs) - said).max() < 1e-5
    assert "bfloat16" not in str(again.get_config())


def test_a_network_trains_in_bfloat16_and_is_saved_as_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(tmp_path, monkeypatch)


def test_so_it_does_on_tensorflow(tmp_path: Path) -> None:
    code = ("import sys, pathlib, pytest; sys.path.insert(0, 'tests'); import test_mixed_precision as test\n"
            "with pytest.MonkeyPatch.context() as patch:\n    test.check(pathlib.Path(sys.argv[1]), patch)")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=Path(__file__).parents[1],
                   env={**os.environ, "KERAS_BACKEND": "tensorflow"})


def test_what_goes_wrong_on_the_way_leaves_a_float32_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mixed_precision.VARIABLE, "mixed_bfloat16")
    made = network()

    def stop(epoch: int, predictions: Any) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        keras_fit.fit(made, heads.classes(0.0), halves(0), halves(1), TRAINING, 3, stop)
    assert {layer.compute_dtype for layer in made.layers} == {"float32"}
