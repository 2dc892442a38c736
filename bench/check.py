"""Does 'automl-phys check' catch a recipe that was broken, and let honest repeats pass?

    python bench/check.py                              # about ten minutes on two cores
    python bench/check.py --repeats 5 --seeds 5

A small network, or the linear baseline where that is better, tells W jets from QCD and top jets by four variables.
First 'check --update --seeds 10' writes what it measures, with its error and its spread from seed to seed, into the
recipe. Then the recipe is run with other seeds, which draw other test jets and begin from other weights: each of these
repeats should pass at 3 σ. Then it is broken in three ways, one after the other, and each should be missed: labels of
some jets exchanged, a learning rate that is wrong, a feature left out (of four, since of nineteen that say much the
same, one is not missed by the network either).
Printed are the expectations, each outcome, and how many σ it was off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COMMAND = (sys.executable, "-m", "automl_phys.cli")
RECIPE = """\
recipe: 1
name: honest
task: classify
data:
  path: jets.parquet
  target: label
  signal: w
  weight: weight
  features: [mass_softdrop, d2, n_constituents, jet_charge]
model: {families: [mlp], ensemble: 1, refit: false, bagging: 1, mlp: {epochs: 15}}
search: {trials: 2, objective: roc_auc}
compute: {executor: inline}
report: {formats: [markdown], figures: []}
expect:
  roc_auc: {value: 0, sigmas: 3}
  accuracy: {value: 0, sigmas: 3}
  log_loss: {value: 0, sigmas: 3}
seed: 1
"""
FLIPPED = 0.05
"""Share of the jets that get another label."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--repeats", type=int, default=20, help="honest ones, with other seeds")
    arguments.add_argument("--seeds", type=int, default=10, help="that the expectation is written from")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        jets = pq.read_table(resources.files("automl_phys").joinpath("data/jets.parquet"))
        pq.write_table(jets, folder / "jets.parquet")
        pq.write_table(mislabelled(jets), folder / "noisy.parquet")
        (folder / "honest.yaml").write_text(RECIPE)
        checked(folder, "--update", "--seeds", str(asked.seeds))
        print((folder / "honest.yaml").read_text().partition("expect:")[2].partition("seed:")[0].rstrip())
        repeats = checked(folder, "--set", "seed=1001", "--seeds", str(asked.repeats))
        passed = sum(one["status"] == "passed" for one in repeats)
        print(f"{passed} of {len(repeats)} honest repeats pass; each one's worst metric is off by "
              f"{', '.join(f'{worst(one):+.1f}' for one in repeats)} σ")
        for how, sets in (("5 % of the labels exchanged", ["data.path=noisy.parquet"]),
                          ("learning rate 0.000001", ["model.mlp.learning_rate=0.000001"]),
                          ("without the mass", ["data.features=[d2, n_constituents, jet_charge]"])):
            broken = checked(folder, "--set", "seed=1001", *(word for one in sets for word in ("--set", one)))
            print(f"{how}: {broken[0]['status']}, worst metric {worst(broken[0]):+.1f} σ")


def mislabelled(jets: pa.Table) -> pa.Table:
    """The jets, of which some have the label of another one."""
    rng = np.random.default_rng(0)
    labels = np.asarray(jets["label"].to_pylist(), dtype=object)
    chosen = np.flatnonzero(rng.random(len(labels)) < FLIPPED)
    names = sorted(set(labels))
    others = {name: [other for other in names if other != name] for name in names}
    labels[chosen] = [rng.choice(others[labels[row]]) for row in chosen]
    return jets.set_column(jets.schema.get_field_index("label"), "label", pa.array(labels.tolist()))


def checked(folder: Path, *options: str) -> Sequence[dict[str, Any]]:
    """What 'automl-phys check' says of the recipe."""
    made = subprocess.run([*COMMAND, "check", "honest.yaml", "--json", "--quiet", *options], cwd=folder,
                          capture_output=True, text=True, check=False)
    if made.returncode not in (0, 4):
        raise SystemExit(made.stderr)
    found: Sequence[dict[str, Any]] = json.loads(made.stdout)["checks"]
    return found


def worst(one: dict[str, Any]) -> float:
    return min(float(held["sigmas"]) for held in one["held"])


if __name__ == "__main__":
    main()
