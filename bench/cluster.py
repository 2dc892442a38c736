"""Clusters without labels: are the right ones found, is nothing found in nothing, and what does a large table cost?

    python bench/cluster.py                       # all of it, about an hour on two cores
    python bench/cluster.py --only blobs --seeds 10

Every line is a whole ``automl-phys run``. ``digits``: the shipped recipe, with several seeds; truth only scores.
``blobs``: clouds with outliers, another sample for each seed: is the number of clusters right? ``null``: one Gaussian
cloud: the verdict must be that there is no structure. ``scale``: one configuration of UMAP and HDBSCAN on a growing
number of points in 20 dimensions, against the same two libraries called by hand, as whole processes: wall time and the
largest memory of any process.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RECIPES = Path(__file__).parents[1] / "recipes"
HANDWRITTEN = Path(__file__).parent / "handwritten_clusters.py"
SIZES = (50_000, 100_000, 200_000)

BLOBS = """
recipe: 1
name: blobs
task: reduce+cluster
data: {path: blobs.parquet, truth: truth}
search: {trials: 18}
report: {formats: [], figures: []}
seed: SEED
"""
LARGE = """
recipe: 1
name: large
task: reduce+cluster
data: {path: large.parquet, truth: truth, scale: each}
reduce: {families: [umap]}
cluster: {families: [hdbscan]}
model:
  umap: {dimensions: 2, neighbours: 15, min_distance: 0.0, metric: euclidean}
  hdbscan: {cluster_size: CLUSTER_SIZE, samples: SAMPLES, method: eom}
  bagging: 1
search: {trials: 2}
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--only", nargs="*", choices=("digits", "blobs", "null", "scale"))
    arguments.add_argument("--seeds", type=int, default=10)
    arguments.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    asked = arguments.parse_args()
    wanted = asked.only or ("digits", "blobs", "null", "scale")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if "digits" in wanted:
            for seed in range(min(3, asked.seeds)):
                told(f"digits, seed {seed}", run(RECIPES / "reduce-cluster-digits.yaml", folder, f"seed={seed}")[0])
        if "null" in wanted:
            told("null", run(RECIPES / "reduce-cluster-blobs-null.yaml", folder)[0])
        if "blobs" in wanted:
            blobs(folder, asked.seeds)
        if "scale" in wanted:
            scale(folder, asked.sizes)


def blobs(folder: Path, seeds: int) -> None:
    """Three to seven clouds in 4 to 10 dimensions, 3 % outliers."""
    right = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        clouds, dimensions = int(rng.integers(3, 8)), int(rng.integers(4, 11))
        write_blobs(folder / "blobs.parquet", 2000, clouds, dimensions, seed)
        (folder / "blobs.yaml").write_text(BLOBS.replace("SEED", str(seed)), encoding="utf-8")
        evaluation, _ = run(folder / "blobs.yaml", folder)
        found = round(evaluation["metrics"]["clusters"]["value"])
        right += found == clouds
        told(f"blobs, seed {seed}: {clouds} clouds in {dimensions} dimensions, found {found}", evaluation)
    print(f"right number of clusters: {right} of {seeds}", flush=True)


def scale(folder: Path, sizes: tuple[int, ...]) -> None:
    ours: dict[int, float] = {}
    for size in sizes:
        write_blobs(folder / "large.parquet", size, 8, 20, size)
        cluster_size, samples = size // 100, 10
        text = LARGE.replace("CLUSTER_SIZE", str(cluster_size)).replace("SAMPLES", str(samples))
        (folder / "large.yaml").write_text(text, encoding="utf-8")
        evaluation, ours[size] = run(folder / "large.yaml", folder)
        largest_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        began = time.perf_counter()
        done = subprocess.run([sys.executable, str(HANDWRITTEN), str(folder / "large.parquet"), str(cluster_size),
                               str(samples)], check=True, capture_output=True, text=True)
        by_hand_s = time.perf_counter() - began
        theirs = json.loads(done.stdout.strip().splitlines()[-1])
        told(f"{size} x 20", evaluation)
        print(f"    automl-phys {ours[size]:.0f} s, by hand {by_hand_s:.0f} s ({theirs['clusters']} clusters, adjusted "
              f"Rand {theirs['adjusted_rand']:.3f}): ratio {ours[size] / by_hand_s:.2f}; largest process "
              f"{largest_mb:.0f} MB", flush=True)
    first, last = min(sizes), max(sizes)
    growth = (last * math.log(last)) / (first * math.log(first))
    print(f"from {first} to {last} points the time grew {ours[last] / ours[first]:.2f} times; n log n: {growth:.2f}")


def write_blobs(path: Path, count: int, clouds: int, dimensions: int, seed: int) -> None:
    """``count`` points in Gaussian clouds of unlike size and width, at centres 5 widths apart or more, and 3 % outliers
    spread evenly over the box that holds them; ``truth`` numbers the clouds, -1 the outliers."""
    rng = np.random.default_rng(seed)
    centres = [rng.uniform(-10, 10, dimensions)]
    while len(centres) < clouds:
        centre = rng.uniform(-10, 10, dimensions)
        if min(float(np.linalg.norm(centre - other)) for other in centres) > 5 * math.sqrt(dimensions) / 2:
            centres.append(centre)
    shares = rng.dirichlet(np.full(clouds, 8.0))
    truth = np.where(rng.random(count) < 0.03, -1, rng.choice(clouds, count, p=shares))
    widths = rng.uniform(0.6, 1.4, clouds)
    points = np.asarray(centres)[truth] + widths[truth, None] * rng.normal(size=(count, dimensions))
    outliers = truth < 0
    points[outliers] = rng.uniform(points.min(axis=0), points.max(axis=0), (int(outliers.sum()), dimensions))
    pq.write_table(pa.table({**{f"x{i}": points[:, i].astype(np.float32) for i in range(dimensions)}, "truth": truth}),
                   path)


def run(recipe: Path, folder: Path, *sets: str) -> tuple[dict[str, Any], float]:
    """A whole run's evaluation, and its wall time."""
    command = [str(Path(sys.executable).with_name("automl-phys")), "run", str(recipe), "--quiet",
               "--out", str(folder / "runs"), *(f"--set={one}" for one in sets)]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    latest = max((folder / "runs").glob("*/latest/evaluation.json"), key=lambda path: path.stat().st_mtime)
    evaluation: dict[str, Any] = json.loads(latest.read_text(encoding="utf-8"))
    return evaluation, seconds


def told(name: str, evaluation: dict[str, Any]) -> None:
    found = {key: evaluation["metrics"][key] for key in ("clusters", "noise", "adjusted_rand", "structure")
             if key in evaluation["metrics"]}
    numbers = ", ".join(f"{key} {one['value']:.3f}" for key, one in found.items())
    print(f"{name}: {numbers}\n    {evaluation['verdict']}", flush=True)


if __name__ == "__main__":
    main()
