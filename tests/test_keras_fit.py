"""The training loop: it learns, stops, repeats, fails by name; a saved network is the same on every framework."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import heads, keras_fit
from automl_phys.families import mlp
from automl_phys.keras_fit import Batch, Training
from automl_phys.table import Rows
from automl_phys.trials import Job

ROWS = 600


def moons(seed: int, rows: int = ROWS) -> Batch:
    """Two interleaved half circles, which no straight line parts."""
    rng = np.random.default_rng(seed)
    side, angle = rng.integers(0, 2, rows), rng.uniform(0, np.pi, rows)
    points = np.stack([np.cos(angle) + side, np.sin(angle) * (1 - 2 * side) + 0.4 * side], axis=1)
    values = (points + rng.normal(0, 0.1, points.shape)).astype(np.float32)
    return Batch((values,), np.eye(2, dtype=np.float32)[side], np.ones(rows, np.float32))


def rows(seed: int) -> Rows:
    """The same as rows of a table."""
    made = moons(seed)
    return Rows(made.inputs[0], np.zeros((ROWS, 0), np.int32), made.target.argmax(1).astype(np.int32), made.weight)


def network(seed: int = 0) -> Any:
    keras = keras_fit.load_keras()
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((2,))
    hidden = keras.layers.Dropout(0.1)(keras.layers.Dense(32, "relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(hidden))


def accuracy(trained: Any, batch: Batch) -> float:
    return float((keras_fit.predict(trained, batch.inputs).argmax(1) == batch.target.argmax(1)).mean())


def follow(epoch: int, predictions: Any) -> None:
    assert predictions.shape == (ROWS, 2)


def test_it_learns_and_keeps_the_best_epoch() -> None:
    made = network()
    course = keras_fit.fit(made, heads.classes(0.0), moons(0), moons(1), Training(30, 64, 0.01), 3, follow)
    losses = [step["valid_loss"] for step in course.history]
    assert course.best_epoch == int(np.argmin(losses)) + 1
    scores = keras_fit.predict(made, moons(1).inputs)
    log_loss = -(moons(1).target * (scores - np.log(np.exp(scores).sum(1, keepdims=True)))).sum(1).mean()
    assert log_loss == pytest.approx(min(losses), rel=1e-4)
    assert accuracy(made, moons(2)) > 0.9


def test_it_stops_when_nothing_improves() -> None:
    noise = Batch(moons(0).inputs, moons(5).target, moons(0).weight)
    course = keras_fit.fit(network(), heads.classes(0.0), noise, moons(1), Training(200, 64, 0.02, patience=4), 3, follow)
    assert len(course.history) == course.best_epoch + 4 < 200


def test_a_fixed_number_of_epochs_keeps_the_last() -> None:
    made = network()
    course = keras_fit.fit(made, heads.classes(0.0), moons(0), moons(1), Training(20, 64, 0.01, stop_after=7), 3, follow)
    assert course.best_epoch == len(course.history) == 7


def test_weights_are_averaged_over_the_last_steps() -> None:
    """One step in an epoch: what each left is known, and so is their mean."""
    def steps(average: float) -> tuple[list[list[Any]], list[Any]]:
        made, seen = network(), []

        def between(_epoch: int, sync: Any) -> None:
            sync()
            seen.append(made.get_weights())

        training = Training(6, ROWS, 0.02, stop_after=6, average=average)
        keras_fit.fit(made, heads.classes(0.0), moons(0), moons(1), training, 3, follow, between)
        return seen, made.get_weights()

    mean, kept = steps(1.0)
    expected = None
    for number, weights in enumerate(steps(0.0)[0], start=1):
        share = min(1.0, 2 / number)
        expected = [old + share * (new - old) for old, new in zip(expected or weights, weights, strict=True)]
        for found, wanted in zip(mean[number - 1], expected, strict=True):
            assert np.allclose(found, wanted, atol=1e-6)
    assert all(np.array_equal(one, other) for one, other in zip(kept, mean[-1], strict=True))


def test_the_same_seed_gives_the_same_weights() -> None:
    weights = []
    for seed in (3, 3, 4):
        made = network()
        keras_fit.fit(made, heads.classes(0.0), moons(0), moons(1), Training(3, 64, 0.01), seed, follow)
        weights.append(np.concatenate([w.ravel() for w in made.get_weights()]))
    assert np.array_equal(weights[0], weights[1]) and not np.array_equal(weights[0], weights[2])


def test_a_loss_that_is_no_number_ends_the_fit_by_name() -> None:
    broken = Batch((moons(0).inputs[0] * np.float32(np.nan),), moons(0).target, moons(0).weight)
    with pytest.raises(FloatingPointError, match="the loss became nan in epoch 1"):
        keras_fit.fit(network(), heads.classes(0.0), broken, moons(1), Training(3, 64, 0.01), 3, follow)


def test_prediction_does_not_depend_on_how_rows_are_batched() -> None:
    made = network()
    whole = keras_fit.predict(made, moons(0).inputs)
    parts = [keras_fit.predict(made, (moons(0).inputs[0][a:b],)) for a, b in ((0, 1), (1, 40), (40, ROWS))]
    assert np.allclose(whole, np.concatenate(parts), atol=1e-6)
    assert keras_fit.predict(made, (moons(0).inputs[0][:0],)).shape == (0, 2)


ELSEWHERE = """
import sys
import numpy as np
sys.path.insert(0, "tests")
import test_keras_fit as t
from pathlib import Path
from automl_phys import heads, keras_fit
from automl_phys.families import mlp
saved, out = Path(sys.argv[1]), sys.argv[2]
np.save(out, mlp.load(saved).predict(t.rows(2)))
made = t.network()
keras_fit.fit(made, heads.classes(0.0), t.moons(0), t.moons(1), t.Training(30, 64, 0.01), 3, t.follow)
assert t.accuracy(made, t.moons(2)) > 0.9, t.accuracy(made, t.moons(2))
"""


@pytest.mark.parametrize("framework", ["tensorflow", "torch"])
def test_a_saved_network_is_the_same_on_another_framework(framework: str, tmp_path: Path) -> None:
    """A network of every layer we have, trained on JAX; the other framework also trains one of its own."""
    params = {"layers": [16, 16], "activation": "silu", "numbers": "robust+log+bins", "embedding": "periodic",
              "frequencies": 4, "sigma": 0.1, "normalisation": "layer", "members": 4, "dropout": 0.1,
              "label_smoothing": 0.05, "learning_rate": 0.01, "schedule": "cosine", "weight_decay": 0.1,
              "batch_size": 64, "epochs": 3}
    problem = SimpleNamespace(train=rows(0), valid=rows(1), schema=SimpleNamespace(classes=("a", "b"), levels={}, target=("label",)))
    job = Job(0, "mlp", params, 1, 1, "cpu", "log_loss", "minimize", "classify", ".")
    fitted = mlp.fit(problem, params, job, lambda step, predictions: 0.0)
    fitted.save(tmp_path)
    subprocess.run([sys.executable, "-W", "ignore", "-c", ELSEWHERE, str(tmp_path), str(tmp_path / "elsewhere.npy")],
                   check=True, cwd=Path(__file__).parents[1], env={**os.environ, "KERAS_BACKEND": framework})
    assert np.abs(np.load(tmp_path / "elsewhere.npy") - fitted.predict(rows(2))).max() < 1e-5


STREAMED = """
import sys
import warnings
import numpy as np
from automl_phys import heads, keras_fit
warnings.filterwarnings("error", category=UserWarning, module="keras")

class Watched(np.ndarray):
    taken = 0  # rows copied at once

    def __getitem__(self, key):
        found = super().__getitem__(key)
        if self.ndim == 4 and isinstance(key, np.ndarray):
            Watched.taken = max(Watched.taken, len(key))
        return found

def trained(images, seed):
    keras = keras_fit.load_keras()
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 255)(inputs)
    hidden = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.RandomTranslation(0.1, 0.1, seed=3)(scaled))
    outputs = keras.layers.Dense(2)(keras.layers.Dropout(0.1, seed=4)(keras.layers.Flatten()(hidden)))
    network = keras.Model(inputs, outputs)
    target = np.eye(2, dtype=np.float32)[np.arange(500) % 2]
    train = keras_fit.Batch((images,), target, np.ones(500, np.float32))
    assert train.large, "more than what may lie on the device"
    valid = train.take(slice(200))
    course = keras_fit.fit(network, heads.classes(0.0), train, valid, keras_fit.Training(4, 64, 0.03), seed,
                           lambda epoch, predictions: None)
    said = keras_fit.predict(network, valid.inputs)
    assert np.abs(said - np.asarray(network(valid.inputs[0], training=False))).max() < 1e-5
    return np.concatenate([weight.ravel() for weight in network.get_weights()]), course.history[-1]["valid_loss"]

keras_fit.DEVICE_BYTES = 10_000
mapped = np.load(sys.argv[1], mmap_mode="r")
first, loss = trained(mapped.view(Watched), 3)
assert Watched.taken == 64, Watched.taken
assert loss < 0.4, loss
assert np.array_equal(first, trained(mapped, 3)[0])
assert np.array_equal(first, trained(np.array(mapped), 3)[0])
assert not np.array_equal(first, trained(mapped, 4)[0])
"""


def test_tensorflow_reads_batches_from_a_mapped_file_and_repeats_itself(tmp_path: Path) -> None:
    """The file is never copied as a whole; how it is read is not seen in the weights."""
    images = np.random.default_rng(0).integers(0, 100, (500, 8, 8, 1)).astype(np.uint8)
    images[1::2, 3:5, 3:5] += 100
    np.save(tmp_path / "images.npy", images)
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    subprocess.run([sys.executable, "-c", STREAMED, str(tmp_path / "images.npy")],
                   check=True, cwd=Path(__file__).parents[1], env={**os.environ, **threads, "KERAS_BACKEND": "tensorflow"})
