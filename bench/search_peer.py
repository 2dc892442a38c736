"""One peer of ``search_peers.py`` in a process of its own: NAME JETS.parquet MINUTES EPOCHS OUT.npy.

Searches until the minutes are over, counted from the start of the process, writes the class probabilities of the test
rows by the best network, and prints what it did as one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

BEGAN = time.monotonic()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import competitors  # noqa: E402 - the clock and the variables come first
import keras  # noqa: E402
import numpy as np  # noqa: E402


def main() -> None:
    name, path, minutes, epochs, out = sys.argv[1:]
    data = competitors.read(path)
    found, scores = PEERS[name](data, BEGAN + 60 * float(minutes), int(epochs))
    np.save(out, scores)
    print(json.dumps(found))


def keras_tuner(data: Any, end: float, epochs: int) -> tuple[dict[str, Any], Any]:
    """Hyperband, again and again until the time is over."""
    tuners = import_module("keras_tuner")
    scale = keras.layers.Normalization()
    scale.adapt(data.features["train"])

    class Space(tuners.HyperModel):  # type: ignore[misc,name-defined]  # the peer is not typed
        def build(self, hp: Any) -> Any:
            inputs = keras.Input((data.features["train"].shape[1],))
            hidden = scale(inputs)
            width, activation = hp.Choice("units", [64, 128, 192, 256]), hp.Choice("activation", ["silu", "relu"])
            normalised, dropout = hp.Boolean("batch_normalisation"), hp.Float("dropout", 0.0, 0.4)
            for _ in range(hp.Int("layers", 1, 4)):
                hidden = keras.layers.Dense(width)(hidden)
                hidden = keras.layers.BatchNormalization()(hidden) if normalised else hidden
                hidden = keras.layers.Dropout(dropout)(keras.layers.Activation(activation)(hidden))
            network = keras.Model(inputs, keras.layers.Dense(3, "softmax")(hidden))
            network.compile(keras.optimizers.AdamW(hp.Float("rate", 5e-4, 1e-2, sampling="log"),
                                                   weight_decay=hp.Float("decay", 1e-3, 0.5, sampling="log")),
                            "sparse_categorical_crossentropy")
            return network

        def fit(self, hp: Any, model: Any, *given: Any, **more: Any) -> Any:
            return model.fit(*given, batch_size=hp.Choice("batch", [128, 256, 512]), **more)

    tuner = tuners.Hyperband(Space(), objective="val_loss", max_epochs=epochs, hyperband_iterations=1000, seed=1,
                             directory="keras-tuner", project_name="jets")
    counted = _searched(tuner.search, data, end, callbacks=[keras.callbacks.EarlyStopping(patience=10)])
    # At its last rung a configuration has had all its epochs.
    ended = [one for one in tuner.oracle.trials.values() if one.status == "COMPLETED"]
    full = [one for one in ended if one.hyperparameters.values.get("tuner/epochs") == epochs]
    best = tuner.get_best_models(1)[0]
    return _said(ended, len(full), counted, best, data)


def autokeras(data: Any, end: float, epochs: int) -> tuple[dict[str, Any], Any]:
    """Its classifier of structured data with its own space and tuner."""
    classifier = import_module("autokeras").StructuredDataClassifier(
        max_trials=1000, objective="val_loss", seed=1, overwrite=True, directory="autokeras", project_name="jets")
    counted = _searched(classifier.fit, data, end, epochs=epochs)
    ended = [one for one in classifier.tuner.oracle.trials.values() if one.status == "COMPLETED"]
    return _said(ended, len(ended), counted, classifier.tuner.get_best_model(), data)


def _searched(search: Any, data: Any, end: float, callbacks: list[Any] | None = None, **more: Any) -> int:
    """Search until the end; gives the number of epochs trained."""
    errors = import_module("keras_tuner").errors

    class OutOfTime(errors.FatalError):  # type: ignore[misc,name-defined]  # what its tuners let pass
        """Ends the search."""

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        epochs = 0

        def __deepcopy__(self, _memo: Any) -> Any:
            return self  # tuners copy callbacks for each trial

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras gives it
            if time.monotonic() > end:
                raise OutOfTime

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras gives it
            self.epochs += 1

    clock = Clock()
    try:
        search(data.features["train"], data.target["train"],
               validation_data=(data.features["valid"], data.target["valid"]), verbose=0,
               callbacks=[*(callbacks or []), clock], **more)
    except OutOfTime:
        print("out of time", file=sys.stderr)
    return clock.epochs


def _said(ended: list[Any], full: int, epochs: int, best: Any, data: Any) -> tuple[dict[str, Any], Any]:
    valid = best.predict(data.features["valid"], verbose=0, batch_size=4096)
    chosen = valid[np.arange(len(valid)), data.target["valid"]]
    return ({"trials": len(ended), "full": full, "epochs": epochs,
             "valid": float(-np.log(np.clip(chosen, 1e-7, 1)).mean())},
            best.predict(data.features["test"], verbose=0, batch_size=4096))


PEERS = {"keras-tuner": keras_tuner, "autokeras": autokeras}

if __name__ == "__main__":
    main()
