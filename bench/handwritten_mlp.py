"""What a physicist would write by hand for the jets: read, split, scale, train, score.

    handwritten_mlp.py EPOCHS SCHEDULE WIDTH keras|ours

Trains for EPOCHS epochs of a cosine schedule that is made for SCHEDULE of them.

With ``ours`` the same network is trained by the project's loop instead of ``model.fit``, to compare seconds per epoch.
Prints one line of JSON: test AUC (one-vs-rest), its bootstrap error, median seconds per epoch after the first.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import automl_phys

BATCH, RATE, DECAY = 256, 1e-3, 0.05


def main() -> None:
    epochs, schedule, units, loop = *map(int, sys.argv[1:4]), sys.argv[4]
    table = pq.read_table(Path(automl_phys.__file__).parent / "data" / "jets.parquet")
    names = [name for name in table.column_names if name not in ("event_id", "weight", "label")]
    features = np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.float32)
    target = np.unique(np.array(table["label"].to_pylist()), return_inverse=True)[1]
    x_rest, x_test, y_rest, y_test = train_test_split(features, target, test_size=0.2, stratify=target, random_state=0)
    x, x_valid, y, y_valid = train_test_split(x_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=0)
    mean, width = x.mean(axis=0), x.std(axis=0)
    x, x_valid, x_test = ((part - mean) / width for part in (x, x_valid, x_test))
    keras.utils.set_random_seed(0)
    times: list[float] = []
    network = build(len(names), units)
    (train_ours if loop == "ours" else train_keras)(network, x, y, x_valid, y_valid, epochs, schedule, times)
    scores = np.exp(network.predict(x_test, batch_size=8192, verbose=0).astype(np.float64))
    scores /= scores.sum(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(y_test), len(y_test)) for _ in range(50)]
    error = np.std([roc_auc_score(y_test[rows], scores[rows], multi_class="ovr") for rows in draws])
    print(json.dumps({"auc": roc_auc_score(y_test, scores, multi_class="ovr"), "auc_error": float(error),
                      "epoch_s": statistics.median(times[1:])}))


def build(features: int, width: int) -> Any:
    inputs = hidden = keras.Input((features,))
    for index in range(3):
        before = hidden
        hidden = keras.layers.Dense(width, "silu", kernel_initializer="he_normal")(hidden)
        hidden = keras.layers.Dropout(0.4)(hidden)
        hidden = keras.layers.add([hidden, before]) if index else hidden
    return keras.Model(inputs, keras.layers.Dense(3)(hidden))


class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # keras is not typed
    """Seconds of each epoch, validation included."""

    def __init__(self, times: list[float]) -> None:
        super().__init__()
        self.times, self.last = times, time.perf_counter()

    def on_epoch_end(self, _epoch: int, _logs: Any = None) -> None:
        now = time.perf_counter()
        self.times.append(now - self.last)
        self.last = now


def train_keras(
    network: Any, x: Any, y: Any, x_valid: Any, y_valid: Any, epochs: int, schedule: int, times: list[float]
) -> None:
    rate = keras.optimizers.schedules.CosineDecay(RATE, schedule * (len(x) // BATCH))
    network.compile(keras.optimizers.AdamW(rate, weight_decay=DECAY),
                    keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, validation_data=(x_valid, y_valid),
                validation_batch_size=8192,
                callbacks=[keras.callbacks.EarlyStopping(patience=epochs, restore_best_weights=True), Clock(times)])


def train_ours(
    network: Any, x: Any, y: Any, x_valid: Any, y_valid: Any, epochs: int, schedule: int, times: list[float]
) -> None:
    from automl_phys import heads, keras_fit

    def batch(values: Any, labels: Any) -> keras_fit.Batch:
        return keras_fit.Batch((values,), np.eye(3, dtype=np.float32)[labels], np.ones(len(values), np.float32))

    clock = Clock(times)
    training = keras_fit.Training(schedule, BATCH, RATE, weight_decay=DECAY, stop_after=epochs)
    keras_fit.fit(network, heads.classes(0.0), batch(x, y), batch(x_valid, y_valid), training, 0,
                  lambda epoch, _: clock.on_epoch_end(epoch))


if __name__ == "__main__":
    main()
