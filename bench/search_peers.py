"""Our search beside KerasTuner's Hyperband and AutoKeras: the same jets, the same split, the same minutes, two cores.

For ``search.py``. Our search is given what the peers are given: networks on standardised columns of one to four hidden
layers of equal width, their activation, normalisation, dropout, learning rate, weight decay and batch size, at most
``EPOCHS`` epochs; no trees, no embeddings, no ensemble, no fit on train and validation together. AutoKeras has a space
of its own. All minimise the log loss of the same validation rows; the best network of each is scored once on the
test. The minutes begin with the process, imports and data included; what has not ended then does not count. Peers run
with a Python that has them (``search_peer.py``).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import quality

PEER = Path(__file__).parent / "search_peer.py"
PEERS = ("keras-tuner", "autokeras")
EPOCHS = 60

RECIPE = f"""
recipe: 1
name: quality
task: classify
data:
  path: jets.parquet
  target: label
  exclude: [event_id, weight]
  split: {{by: {{column: fold}}}}
model:
  families: [mlp]
  ensemble: 1
  refit: false
  bagging: 1
  mlp: {{numbers: robust, embedding: none, members: 1, schedule: constant, label_smoothing: 0.0, epochs: {EPOCHS},
        activation: {{choices: [silu, relu]}}, normalisation: {{choices: [none, batch]}}}}
search: {{trials: 1000, minutes: MINUTES, objective: log_loss}}
compute: {{gpus: none}}
report: {{formats: [markdown], figures: []}}
seed: 1
"""


def compare(pythons: Sequence[str], scratch: Path, minutes: float) -> None:
    """Print a row for each: trials that ended (of which none was stopped early), epochs in all, log loss of the best on
    the validation rows, area under the ROC curve of its scores for the test, with the bootstrap error."""
    target = quality.write_jets(scratch)
    print(f"{'':14s} {'trials':>8s} {'in full':>8s} {'epochs':>8s} {'valid log loss':>15s} {'test AUC':>17s} "
          f"{'wall s':>8s}")
    for name in ("automl-phys", *PEERS):
        began = time.perf_counter()
        found = ours(scratch, minutes) if name == "automl-phys" else peer(pythons, name, scratch, minutes)
        if found:
            print_row(name, target, found, time.perf_counter() - began)


def ours(scratch: Path, minutes: float) -> Mapping[str, Any]:
    quality.RECIPE = RECIPE
    scores = quality.ours(scratch, minutes)
    folders = sorted((scratch / "runs" / "quality" / "latest" / "trials").iterdir())
    # The linear baseline is tried as well; it is not what the peers are compared with.
    results = [json.loads((folder / "result.json").read_text(encoding="utf-8")) for folder in folders
               if json.loads((folder / "job.json").read_text(encoding="utf-8"))["family"] == "mlp"]
    ended = [one for one in results if one["status"] in ("done", "pruned")]
    done = [one for one in ended if one["status"] == "done"]
    return {"trials": len(ended), "full": len(done), "epochs": sum(one["steps"] for one in results),
            "valid": min(one["value"] for one in done), "scores": scores}


def peer(pythons: Sequence[str], name: str, scratch: Path, minutes: float) -> Mapping[str, Any] | None:
    """What a peer says with the first Python that has it and in which it works; None where there is none."""
    out = scratch / f"{name}.npy"
    for python in pythons:
        done = subprocess.run([python, str(PEER), name, str(scratch / "jets.parquet"), str(minutes), str(EPOCHS),
                               str(out)], cwd=scratch, capture_output=True, text=True, check=False)
        if not done.returncode:
            return {**json.loads(done.stdout.strip().splitlines()[-1]), "scores": np.load(out)}
        print(f"{name:14s} not run with {python}: {' '.join(done.stderr.strip().splitlines()[-1:])}", flush=True)
    return None


def print_row(name: str, target: Any, found: Mapping[str, Any], seconds: float) -> None:
    from sklearn.metrics import roc_auc_score

    scores = found["scores"] / found["scores"].sum(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(target), len(target)) for _ in range(50)]
    error = np.std([roc_auc_score(target[rows], scores[rows], multi_class="ovr") for rows in draws])
    auc = f"{roc_auc_score(target, scores, multi_class='ovr'):.4f} ± {error:.4f}"
    print(f"{name:14s} {found['trials']:8d} {found['full']:8d} {found['epochs']:8d} {found['valid']:15.4f} {auc:>17s} "
          f"{seconds:8.1f}", flush=True)


if __name__ == "__main__":
    sys.exit("python bench/search.py --only peers --peers PYTHON")
