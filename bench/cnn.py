"""Convolutional networks: what does our path cost over Keras by hand, and is the family worth its seconds?

    python bench/cnn.py [--epochs 5] [--repeats 3]      # images per second
    python bench/cnn.py --quality [--trials 6]          # QCD jets against W, families side by side

Without options: the first default of family ``cnn`` on the 7200 training images of QCD against W (24 × 24 pixels)
trains in ``cnn.fit``, from the mapped file with weights, judging and following, and as a loop written by hand:
the same layers, ``model.fit`` on arrays in memory with validation. Same batch size, one thread, each in a process of
its own, interleaved. Prints images per second (median over epochs after the first, then over repeats), and ours over
theirs; the same per second of CPU time, which other work on the machine blurs less. With ``--quality``: one
``automl-phys run`` with linear, boosted_trees and cnn; prints AUC, log loss and accuracy of each on the test images,
with errors, and what is gained in log loss over the baseline, paired.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DATA = {"builtin": "jet_images", "images": "images", "target": "label", "cut": "label != 'top'"}
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
                         "TF_NUM_INTEROP_THREADS"), "1")

RECIPE = """
recipe: 1
name: cnn
task: classify
data: {builtin: jet_images, images: images, target: label, cut: "label != 'top'", signal: w}
model: {families: [linear, boosted_trees, cnn]}
search: {trials: TRIALS, objective: log_loss}
report: {formats: [markdown], figures: []}
seed: 1
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--epochs", type=int, default=5)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--quality", action="store_true")
    arguments.add_argument("--trials", type=int, default=6, help="of the run with --quality")
    arguments.add_argument("--train", nargs=2, metavar=("HOW", "FOLDER"), help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.train:
        how, folder = asked.train
        times = (ours if how == "ours" else by_hand)(Path(folder), asked.epochs)
        print(json.dumps([statistics.median(column) for column in zip(*times[1:], strict=True)]))
    elif asked.quality:
        with tempfile.TemporaryDirectory() as scratch:
            quality(Path(scratch), asked.trials)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            speed(Path(scratch) / "problem", asked.epochs, asked.repeats)


# ---------------------------------------------------------------- images per second

def speed(folder: Path, epochs: int, repeats: int) -> None:
    from automl_phys.tasks import classify

    problem = classify.prepare(classify.Options.model_validate({"data": DATA}), Path(), folder, 3)
    rows = len(problem.train)
    rates: dict[str, list[tuple[float, ...]]] = {"ours": [], "hand": []}
    for repeat in range(repeats):
        for how, found in rates.items():
            found.append(tuple(rows / seconds for seconds in timed(how, folder, epochs)))
        print(f"repeat {repeat}: ours {rates['ours'][-1][0]:.0f}, by hand {rates['hand'][-1][0]:.0f} images per second",
              flush=True)
    for index, unit in enumerate(("second", "second of CPU time")):
        ours_rate, hand_rate = ([rate[index] for rate in found] for found in rates.values())
        ratio = statistics.median(a / b for a, b in zip(ours_rate, hand_rate, strict=True))
        print(f"images per {unit}, median: ours {statistics.median(ours_rate):.0f}, "
              f"by hand {statistics.median(hand_rate):.0f}; ratio {ratio:.3f}  (aim: at least 0.9)")


def timed(how: str, folder: Path, epochs: int) -> list[float]:
    """Seconds of an epoch in a process of its own: of wall time, and of CPU time."""
    environment = {**os.environ, **THREADS, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3",
                   "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, __file__, "--train", how, str(folder), "--epochs", str(epochs)],
                          check=True, capture_output=True, text=True, env=environment)
    seconds: list[float] = json.loads(done.stdout.strip().splitlines()[-1])
    return seconds


class Clock:
    """Seconds between calls, of wall time and of CPU time, the first since it was made."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        self.last = time.perf_counter(), time.process_time()

    def __call__(self) -> None:
        now = time.perf_counter(), time.process_time()
        self.times.append((now[0] - self.last[0], now[1] - self.last[1]))
        self.last = now


def chosen(problem: Any, epochs: int) -> dict[str, Any]:
    from automl_phys.families import cnn

    return {**cnn.defaults(problem.facts())[0], "epochs": epochs}


def ours(folder: Path, epochs: int) -> list[tuple[float, float]]:
    from automl_phys.families import cnn
    from automl_phys.tasks import classify
    from automl_phys.trials import Job

    problem = classify.load(folder)
    params, clock = chosen(problem, epochs), Clock()

    def follow(step: int, predictions: Any) -> float:
        clock()
        return 0.0

    cnn.fit(problem, params, Job(1, "cnn", params, 1, 1, "cpu", "log_loss", "minimize", "classify", str(folder)),
            follow)
    return clock.times


def by_hand(folder: Path, epochs: int) -> list[tuple[float, float]]:
    import keras
    import numpy as np

    from automl_phys.tasks import classify

    problem = classify.load(folder)
    params = chosen(problem, epochs)

    def arrays(rows: Any) -> tuple[Any, Any]:
        return np.asarray(rows.images, np.float32) / 255, np.eye(2, dtype=np.float32)[rows.target]

    (x, y), (x_valid, y_valid) = arrays(problem.train), arrays(problem.valid)
    mean, width = x.mean(), x.std()
    x, x_valid = (x - mean) / width, (x_valid - mean) / width
    keras.utils.set_random_seed(1)
    network = build(x.shape[1:], params)
    rate = keras.optimizers.schedules.CosineDecay(params["learning_rate"], epochs * -(-len(x) // params["batch_size"]))
    network.compile(keras.optimizers.AdamW(rate, weight_decay=params["weight_decay"]),
                    keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    clock = Clock()
    network.fit(x, y, batch_size=params["batch_size"], epochs=epochs, verbose=0, validation_data=(x_valid, y_valid),
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda _epoch, _logs: clock())])
    return clock.times


def build(shape: tuple[int, ...], params: dict[str, Any]) -> Any:
    """The layers of the first default, as one would write them down."""
    other = ("residual", "rotation", "translation", "noise", "intensity")
    if any(params[name] for name in other) or params["flip"] != "none" or params["pooling"] != "flatten":
        raise SystemExit("the first default has changed: write down its layers here")
    import keras
    import numpy as np

    layers = keras.layers
    hidden = inputs = keras.Input(shape)
    if params["position"]:
        grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, side) for side in shape[:2]), indexing="ij"), -1)
        places = grid[None].astype(np.float32)
        hidden = layers.Lambda(
            lambda images: keras.ops.concatenate([images, keras.ops.repeat(places, keras.ops.shape(images)[0], 0)], -1),
            output_shape=(*shape[:2], shape[2] + 2))(hidden)
    for stage in range(params["stages"]):
        if stage:
            hidden = layers.MaxPooling2D(2, padding="same")(hidden)
        for index in range(params["convolutions"]):
            stride = params["stride"] if not stage and not index else 1
            batch = params["normalisation"] == "batch"
            hidden = layers.Conv2D(params["filters"] * 2**stage, params["kernel"], stride, padding="same",
                                   use_bias=not batch)(hidden)
            if batch:
                hidden = layers.BatchNormalization()(hidden)
            hidden = layers.Activation(params["activation"])(hidden)
    hidden = layers.Flatten()(hidden)
    hidden = layers.Dense(params["units"], params["activation"])(hidden)
    hidden = layers.Dropout(params["dropout"])(hidden)
    return keras.Model(inputs, layers.Dense(2)(hidden))


# ---------------------------------------------------------------- quality

def quality(folder: Path, trials: int) -> None:
    (folder / "cnn.yaml").write_text(RECIPE.replace("TRIALS", str(trials)), encoding="utf-8")
    began = time.perf_counter()
    subprocess.run([str(Path(sys.executable).with_name("automl-phys")), "run", str(folder / "cnn.yaml"), "--out",
                    str(folder / "runs")], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    evaluation = json.loads((folder / "runs/cnn/latest/evaluation.json").read_text(encoding="utf-8"))
    names = ("roc_auc", "log_loss", "accuracy")
    print(f"{'':52s} " + " ".join(f"{name:>17s}" for name in (*names, "gain")) + f" {'fit s':>7s}")
    for score in evaluation["scores"]:
        gain = score["better_than_baseline"]
        cells = [told(score["metrics"].get(name)) for name in names] + [told(gain)]
        print(f"{score['name']:52s} " + " ".join(f"{cell:>17s}" for cell in cells) + f" {score['seconds']:7.0f}")
    print(f"gain: in log loss over the baseline, paired on the test images; the run took {seconds:.0f} s")


def told(estimate: dict[str, float] | None) -> str:
    """A value and half the width of its interval."""
    if estimate is None:
        return ""
    return f"{estimate['value']:.4f} ± {(estimate['high'] - estimate['low']) / 2:.4f}"


if __name__ == "__main__":
    main()
