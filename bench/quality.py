"""How good is the answer after two minutes on two cores? Three classes of jets, a fixed split, peers beside it.

    python bench/quality.py                                  # ours, logistic regression, LightGBM, a plain Keras MLP
    python bench/quality.py --peers ~/peers/bin/python       # and FLAML and AutoGluon, where that Python has them

The split is NumPy's ``default_rng(0).permutation``: 60 % train, 20 % validation, 20 % test, weights unused. Every
competitor may use train and validation as it likes; all are scored on the same test events with scikit-learn. Prints
one row each: one-vs-rest AUC, log loss, accuracy, each with its bootstrap error, and seconds of wall time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import automl_phys

JETS = Path(automl_phys.__file__).parent / "data" / "jets.parquet"
COMPETITORS = Path(__file__).parent / "competitors.py"
CLASSES = ("qcd", "top", "w")

RECIPE = """
recipe: 1
name: quality
task: classify
data:
  path: jets.parquet
  target: label
  exclude: [event_id, weight]
  split: {by: {column: fold}}
search: {trials: 1000, minutes: MINUTES, objective: log_loss}
report: {formats: [markdown], figures: []}
seed: 1
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=2.0, help="budget of every competitor that takes one")
    arguments.add_argument("--peers", type=Path, help="a Python interpreter that has flaml and/or autogluon")
    arguments.add_argument("--only", nargs="*", help="names of competitors to run")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        target = write_jets(folder)
        print(f"{'':22s} {'AUC (ovr)':>17s} {'log loss':>17s} {'accuracy':>17s} {'wall s':>8s}")
        pythons = {"automl-phys": sys.executable, "logistic": sys.executable, "lightgbm": sys.executable,
                   "keras_mlp": sys.executable}
        if asked.peers:
            pythons |= {"flaml": str(asked.peers), "autogluon": str(asked.peers)}
        for name, python in pythons.items():
            if asked.only and name not in asked.only:
                continue
            began = time.perf_counter()
            probabilities = (ours(folder, asked.minutes) if name == "automl-phys"
                             else competitor(python, name, folder, asked.minutes))
            print_row(name, target, probabilities, time.perf_counter() - began)


def write_jets(folder: Path) -> Any:
    """The jets with a column ``fold`` that fixes the split; gives the test rows' class numbers."""
    table = pq.read_table(JETS)
    order = np.random.default_rng(0).permutation(len(table))
    fold = np.empty(len(table), dtype=object)
    cuts = int(0.6 * len(table)), int(0.8 * len(table))
    for name, rows in zip(("train", "valid", "test"), np.split(order, cuts), strict=True):
        fold[rows] = name
    pq.write_table(table.append_column("fold", pa.array(fold, pa.string())), folder / "jets.parquet")
    labels = np.array(table["label"].to_pylist())[fold == "test"]
    return np.searchsorted(CLASSES, labels)


def ours(folder: Path, minutes: float) -> Any:
    """Run the command as a user would; the test rows' scores are in the run's predictions."""
    (folder / "quality.yaml").write_text(RECIPE.replace("MINUTES", str(minutes)), encoding="utf-8")
    subprocess.run([str(Path(sys.executable).with_name("automl-phys")), "run", str(folder / "quality.yaml"),
                    "--out", str(folder / "runs")], check=True, stdout=subprocess.DEVNULL)
    run = folder / "runs" / "quality" / "latest"
    with tempfile.TemporaryDirectory() as scratch:
        test = pq.read_table(folder / "jets.parquet", filters=[("fold", "=", "test")])
        pq.write_table(test, Path(scratch) / "test.parquet")
        scores = Path(scratch) / "scores.parquet"
        subprocess.run([str(Path(sys.executable).with_name("automl-phys")), "predict", str(run),
                        str(Path(scratch) / "test.parquet"), "-o", str(scores)], check=True, stdout=subprocess.DEVNULL)
        table = pq.read_table(scores)
    return np.stack([table[f"score_{name}"].to_numpy() for name in CLASSES], axis=1)


def competitor(python: str, name: str, folder: Path, minutes: float) -> Any:
    """Run one peer in its own process; None where it is not installed."""
    out = folder / f"{name}.npy"
    done = subprocess.run([python, str(COMPETITORS), name, str(folder / "jets.parquet"), str(minutes), str(out)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name:22s} not run: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return np.load(out)


def print_row(name: str, target: Any, probabilities: Any, seconds: float) -> None:
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    if probabilities is None:
        return
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    scores: dict[str, Callable[[Any], float]] = {
        "auc": lambda rows: roc_auc_score(target[rows], probabilities[rows], multi_class="ovr"),
        "log_loss": lambda rows: log_loss(target[rows], probabilities[rows], labels=[0, 1, 2]),
        "accuracy": lambda rows: accuracy_score(target[rows], probabilities[rows].argmax(axis=1)),
    }
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(target), len(target)) for _ in range(50)]
    cells = [f"{score(np.arange(len(target))):.4f} ± {np.std([score(rows) for rows in draws]):.4f}"
             for score in scores.values()]
    print(f"{name:22s} " + " ".join(f"{cell:>17s}" for cell in cells) + f" {seconds:8.1f}", flush=True)
    print(json.dumps({"name": name, "log_loss": float(scores["log_loss"](np.arange(len(target)))),
                      "seconds": round(seconds, 1)}), file=sys.stderr)


if __name__ == "__main__":
    main()
