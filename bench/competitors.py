"""One competitor of ``quality.py`` in a process of its own: NAME JETS.parquet MINUTES OUT.npy.

Reads the jets with their ``fold`` column, fits on train and valid, writes the test rows' class probabilities.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

ROLES = ("event_id", "weight", "label", "fold")


class Data(NamedTuple):
    """Features (n, 19) and class numbers (n,) by part."""

    features: dict[str, np.ndarray]
    target: dict[str, np.ndarray]


def read(path: str) -> Data:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    fold = np.array(table["fold"].to_pylist())
    names = [name for name in table.column_names if name not in ROLES]
    values = np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.float32)
    labels = np.unique(np.array(table["label"].to_pylist()), return_inverse=True)[1]
    parts = ("train", "valid", "test")
    return Data({p: values[fold == p] for p in parts}, {p: labels[fold == p] for p in parts})


def logistic(data: Data, minutes: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(data.features["train"], data.target["train"]).predict_proba(data.features["test"])


def lightgbm(data: Data, minutes: float) -> Any:
    import lightgbm as lgb

    train = lgb.Dataset(data.features["train"], data.target["train"])
    booster = lgb.train({"objective": "multiclass", "num_class": 3, "learning_rate": 0.05, "verbosity": -1}, train,
                        2000, [train.create_valid(data.features["valid"], data.target["valid"])],
                        callbacks=[lgb.early_stopping(50, verbose=False)])
    return booster.predict(data.features["test"])


def keras_mlp(data: Data, minutes: float) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    scale = keras.layers.Normalization()
    scale.adapt(data.features["train"])
    network = keras.Sequential([scale, *(keras.layers.Dense(128, "relu") for _ in range(2)),
                                keras.layers.Dense(3, "softmax")])
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(data.features["train"], data.target["train"], batch_size=256, epochs=60, verbose=0,
                validation_data=(data.features["valid"], data.target["valid"]),
                callbacks=[keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True)])
    return network.predict(data.features["test"], verbose=0)


def flaml(data: Data, minutes: float) -> Any:
    from flaml import AutoML

    model = AutoML()
    model.fit(data.features["train"], data.target["train"], X_val=data.features["valid"], y_val=data.target["valid"],
              task="classification", metric="log_loss", time_budget=60 * minutes, n_jobs=2, verbose=0)
    return model.predict_proba(data.features["test"])


def autogluon(data: Data, minutes: float) -> Any:
    import pandas as pd
    from autogluon.tabular import TabularPredictor

    def frame(part: str) -> Any:
        return pd.DataFrame(data.features[part]).assign(label=data.target[part]).rename(columns=str)

    predictor = TabularPredictor("label", eval_metric="log_loss", verbosity=0)
    predictor.fit(pd.concat([frame("train"), frame("valid")]), time_limit=60 * minutes, presets="medium_quality")
    return predictor.predict_proba(frame("test").drop(columns="label")).to_numpy()


COMPETITORS: dict[str, Callable[[Data, float], Any]] = {
    "logistic": logistic, "lightgbm": lightgbm, "keras_mlp": keras_mlp, "flaml": flaml, "autogluon": autogluon}


def main() -> None:
    name, path, minutes, out = sys.argv[1:]
    np.save(out, COMPETITORS[name](read(path), float(minutes)))


if __name__ == "__main__":
    main()
