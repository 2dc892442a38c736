"""What does the tool cost over a loop written by hand? One fixed MLP on the jets, whole processes, same framework.

    python bench/overhead.py [--epochs 200] [--repeats 3]

Prints (1) the wall time of ``automl-phys run`` with that one network (its search, its verification, its report
included) over that of a hand-written Keras script doing the same epochs of the same schedule, median over interleaved
repeats, and both test AUCs with their bootstrap errors; (2) for a network of half the width, seconds per epoch of our
loop on JAX against Keras's ``fit`` on TensorFlow and on JAX.
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

HANDWRITTEN = Path(__file__).parent / "handwritten_mlp.py"

RECIPE = """
recipe: 1
name: overhead
task: classify
data: {{builtin: jets, target: label, exclude: [event_id, weight]}}
model:
  families: [mlp]
  ensemble: 1
  refit: false
  bagging: 1
  mlp: {{layers: [256, 256, 256], activation: silu, numbers: robust, embedding: none, normalisation: none,
        members: 1, dropout: 0.4, label_smoothing: 0.0, learning_rate: 1e-3, schedule: cosine, weight_decay: 0.05,
        batch_size: 256, epochs: {epochs}}}
search: {{trials: 2, objective: log_loss, pruner: none}}
seed: 3
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--epochs", type=int, default=200)
    arguments.add_argument("--repeats", type=int, default=3)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "overhead.yaml").write_text(RECIPE.format(epochs=asked.epochs), encoding="utf-8")
        ratios = []
        for repeat in range(asked.repeats):
            ours_s, ours = timed_run(folder)
            epochs = epochs_run(folder)
            theirs_s, theirs = timed_handwritten("jax", epochs, asked.epochs, 256)
            ratios.append(ours_s / theirs_s)
            print(f"repeat {repeat}: {epochs} epochs  automl-phys {ours_s:.1f} s, AUC {ours}   "
                  f"by hand {theirs_s:.1f} s, AUC {theirs['auc']:.4f} ± {theirs['auc_error']:.4f}   "
                  f"ratio {ratios[-1]:.3f}", flush=True)
        print(f"wall-time ratio, median: {statistics.median(ratios):.3f}  (aim: at most 1.15)")
    loops = {"our loop on jax": ("jax", "ours"), "Keras fit on jax": ("jax", "keras"),
             "Keras fit on tensorflow": ("tensorflow", "keras")}
    per_epoch = {name: timed_handwritten(framework, 20, 20, 128, loop)[1]["epoch_s"]
                 for name, (framework, loop) in loops.items()}
    slowest = per_epoch["Keras fit on tensorflow"]
    for name, seconds in per_epoch.items():
        print(f"{name:24s} {seconds:.3f} s per epoch, {slowest / seconds:.2f} x as fast as TensorFlow's")


def timed_run(folder: Path) -> tuple[float, str]:
    command = [str(Path(sys.executable).with_name("automl-phys")), "run", str(folder / "overhead.yaml"),
               "--out", str(folder / "runs")]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    evaluation = json.loads((folder / "runs/overhead/latest/evaluation.json").read_text())
    auc = evaluation["metrics"]["roc_auc"]
    return seconds, f"{auc['value']:.4f} ± {(auc['high'] - auc['low']) / 2:.4f}"


def epochs_run(folder: Path) -> int:
    """Epochs the network really trained for, from its learning curve."""
    curves = sorted((folder / "runs/overhead/latest/trials").glob("*/history.json"))
    return max(len(json.loads(curve.read_text())) for curve in curves)


def timed_handwritten(
    framework: str, epochs: int, schedule: int, width: int, loop: str = "keras"
) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    command = [sys.executable, str(HANDWRITTEN), str(epochs), str(schedule), str(width), loop]
    done = subprocess.run(command, check=True, capture_output=True, text=True,
                          env={**os.environ, "KERAS_BACKEND": framework, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return time.perf_counter() - began, json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
