"""A training that was cut off goes on as if it had not been; on TensorFlow in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import epoch_checkpoints, heads, keras_fit
from automl_phys.epoch_checkpoints import Place
from automl_phys.keras_fit import Batch, Training
from automl_phys.trials import Job

ROWS = 300


class CutOffError(Exception):
    """The process ends here."""


def events(seed: int) -> Batch:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(ROWS, 3)).astype(np.float32)
    return Batch((points,), np.eye(2, dtype=np.float32)[(points.sum(1) > 0).astype(int)], np.ones(ROWS, np.float32))


def network() -> Any:
    keras = keras_fit.load_keras()
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dropout(0.2)(keras.layers.BatchNormalization()(keras.layers.Dense(16, "relu")(inputs)))
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


def trained(place: Place | None, cut_at: int | None = None) -> tuple[Any, keras_fit.Course, list[int]]:
    made, seen = network(), list[int]()

    def follow(epoch: int, predictions: Any) -> float:
        if epoch == cut_at:
            raise CutOffError
        seen.append(epoch)
        return float(predictions.mean())

    course = keras_fit.fit(made, heads.classes(0.0), events(0), events(1), Training(8, 64, 0.01, patience=8), 3, follow,
                           place=place)
    return made, course, seen


def goes_on(folder: Path) -> None:
    """As at once, when cut off in the fifth epoch."""
    epoch_checkpoints.EVERY_S = 0.0
    whole, course, _ = trained(None)
    place = Place(folder / "checkpoint")
    try:
        trained(place, 5)
    except CutOffError:
        pass
    else:
        raise AssertionError("it was not cut off")
    values = json.loads((folder / "checkpoint" / "values.json").read_text())
    assert sorted(values, key=int) == ["1", "2", "3", "4"]
    again, same, seen = trained(place)
    assert seen == [5, 6, 7, 8]
    assert same == course
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_on_jax_it_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_checkpoints, "EVERY_S", 0.0)
    goes_on(tmp_path)


def test_on_tensorflow_it_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    code = f"from pathlib import Path; import test_epoch_checkpoints as t; t.goes_on(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent, env={
        **os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONPATH": str(Path(__file__).parents[1])})


def test_a_short_training_writes_nothing(tmp_path: Path) -> None:
    trained(Place(tmp_path / "checkpoint"))
    assert not (tmp_path / "checkpoint").exists()


def test_one_of_another_network_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_checkpoints, "EVERY_S", 0.0)
    place = Place(tmp_path / "checkpoint")
    place.write({"state": [np.zeros(3)], "best": [], "key": [np.zeros(2, np.uint32)]},
                epoch_checkpoints.Course(({"step": 1.0},), 1, 0.5))
    assert trained(place)[2] == list(range(1, 9))


def test_a_job_on_folds_has_no_place() -> None:
    job = Job(0, "mlp", {}, 1, 1, "cpu", "o", "maximize", "t", "run", "trials/00000")
    assert epoch_checkpoints.place(job)._folder == Path("run/trials/00000/checkpoint")
    assert epoch_checkpoints.place(Job(**{**vars(job), "folds": 3}))._folder is None
    assert epoch_checkpoints.place(Job(**{**vars(job), "folds": 3, "fold": 1}))._folder is not None
