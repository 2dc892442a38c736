"""Are anomalies found as well as by others, by how much less than with labels, and is nothing found where nothing is?

    python bench/anomaly.py                            # all of it, about an hour on two cores
    python bench/anomaly.py --only one-class cwola     # parts of it

``one-class`` runs the shipped recipe of dijets, with half of the QCD events as test, and reads the scores of the test
events that it wrote; PyOD's detectors, as they come, on standardised columns, learn from the other half (automl-phys
keeps a fifth of that to choose by). ``supervised`` is LightGBM with labels, by halves: the distance is what the task is
about. ``cwola`` runs the recipe with 1 % signal; beside it LightGBM with labels, trained on the events outside of the
test. Judged here, and not by automl-phys, on the same test events for all: area under the ROC curve, and the largest
significance improvement TPR / √FPR where at least ten background events pass; errors are of the bootstrap over test
events.

``null``: pseudo-experiments of background alone (masses that fall exponentially, four features that depend on the mass
a little). In each, ``cwola`` is fitted in a small configuration, the events that 1 in 10 are beyond are kept, each
scored by classifiers that have not seen it, and a bump is looked for: local p-values must be uniform
(Kolmogorov-Smirnov).

``scale``: the peak of resident memory, and the wall time, of ``automl-phys predict`` for 1e5 and 1e6 dijets.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from automl_phys import expressions, registry
from automl_phys.contracts import Location

RECIPES = Path(__file__).parents[1] / "recipes"
COMMAND = (sys.executable, "-m", "automl_phys.cli")
PARTS = ("one-class", "cwola", "null", "scale")
DETECTORS = {"IForest": "iforest", "KNN": "knn", "LOF": "lof", "PCA": "pca", "ECOD": "ecod", "COPOD": "copod",
             "HBOS": "hbos", "GMM": "gmm", "CBLOF": "cblof", "LODA": "loda"}
HALVES = ("data.split.train=0.4", "data.split.valid=0.1", "data.split.test=0.5")
FEWEST = 10
"""Background events that pass the cut of a significance improvement, at least."""
DRAWS = 200
EVENTS = 4000
SIZES = (100_000, 1_000_000)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    arguments.add_argument("--set", action="append", default=[], help="as of automl-phys run, such as search.trials=2")
    arguments.add_argument("--run", type=Path, help="a finished one-class run, instead of a new one")
    arguments.add_argument("--experiments", type=int, default=120)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, run = Path(scratch), asked.run
        if run is None and {"one-class", "scale"} & set(asked.only):
            run = ran("detect-anomaly-lhco", folder, (*HALVES, *asked.set))
        if "one-class" in asked.only:
            one_class(run)
        if "cwola" in asked.only:
            weakly(ran("detect-anomaly-lhco-cwola", folder, tuple(asked.set)))
        if "null" in asked.only:
            null(folder, asked.experiments)
        if "scale" in asked.only:
            scale(run, folder)


# ---------------------------------------------------------------- on dijets

def one_class(run: Path) -> None:
    """Print a row for each detector."""
    events, test, ours = dijets("detect-anomaly-lhco"), *scored(run)
    signal = events["label"] == "resonance"
    known = ~signal & ~np.isin(np.arange(len(signal)), test)
    columns = standardised(events["columns"], known)
    print(f"\none-class: {known.sum()} normal events learnt from, {signal[test].sum()} anomalies among {len(test)} "
          "test events")
    print(f"{'':22s} {'AUC':>15s} {'largest SIC':>15s} {'less than automl-phys, AUC':>28s} {'SIC':>14s} {'s':>7s}")
    print_row("automl-phys", signal[test], ours, ours, 0.0)
    for name, module in DETECTORS.items():
        began = time.perf_counter()
        made = pyod(name, module)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = made.fit(columns[known]).decision_function(columns[test])
        print_row(f"PyOD {name}", signal[test], found, ours, time.perf_counter() - began)
    rest = np.setdiff1d(np.arange(len(signal)), test)
    print_row("supervised", signal[test], supervised(events["columns"], signal, rest, test), ours, 0.0)


def weakly(run: Path) -> None:
    """Print the scores of the events of the test, by automl-phys and by a classifier with labels."""
    events, test, told = dijets("detect-anomaly-lhco-cwola"), *scored(run)
    signal = events["label"] == "resonance"
    rest = np.setdiff1d(np.arange(len(signal)), test)
    print(f"\ncwola: {signal[test].sum()} signal events among {len(test)} test events")
    ceiling = supervised(events["columns"], signal, rest, test)
    print_row("automl-phys", signal[test], told, ceiling, 0.0)
    print_row("supervised", signal[test], ceiling, ceiling, 0.0)
    ours, best = (largest_sic(signal[test], one) for one in (told, ceiling))
    print(f"automl-phys reaches {ours / best:.0%} of the ceiling's largest SIC")


def dijets(recipe: str) -> dict[str, Any]:
    """``label`` (n,) of all dijets and ``columns`` (n, d), those that the recipe learns from."""
    data = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text(encoding="utf-8"))["data"]
    table = whole()
    names = [name for name in table.column_names if name != "label"]
    values = {name: table[name].to_numpy().astype(np.float64) for name in names}
    for name, text in data.get("define", {}).items():
        values[name] = expressions.evaluate(expressions.parse(text), values, len(table))
    left_out = {*data.get("exclude", ()), *data.get("spectators", ())}
    kept = data.get("features") or [name for name in values if name not in left_out]
    return {"label": np.array(table["label"].to_pylist()), "columns": np.column_stack([values[name] for name in kept])}


def whole() -> pa.Table:
    source, location = registry.load("sources", "builtin"), Location(Path("dijets"))
    return pa.concat_tables(source.read(location, list(source.peek(location).columns), 1_000_000))


def ran(recipe: str, folder: Path, sets: tuple[str, ...]) -> Path:
    """Run a shipped recipe as a user would; gives the folder of the run."""
    began = time.perf_counter()
    subprocess.run([*COMMAND, "run", str(RECIPES / f"{recipe}.yaml"), "--quiet", "--out", str(folder),
                    *(f"--set={one}" for one in sets)], check=True, stdout=subprocess.DEVNULL)
    print(f"automl-phys run recipes/{recipe}.yaml: {time.perf_counter() - began:.0f} s", flush=True)
    return folder / recipe / "latest"


def scored(run: Path) -> tuple[Any, Any]:
    """Rows (n,) of the test, and their scores, as a run wrote them."""
    table = pq.read_table(run / "predictions.parquet")
    return table["row"].to_numpy(), table["score"].to_numpy()


def standardised(columns: Any, known: Any) -> Any:
    mean, width = columns[known].mean(axis=0), columns[known].std(axis=0)
    return (columns - mean) / np.where(width > 0, width, 1)


def pyod(name: str, module: str) -> Any:
    from importlib import import_module

    return getattr(import_module(f"pyod.models.{module}"), name)()


def supervised(columns: Any, signal: Any, known: Any, test: Any) -> Any:
    """Scores (m,) of test rows by LightGBM, trained with labels on rows ``known``."""
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=300, learning_rate=0.05, num_leaves=31, random_state=0, n_jobs=2,
                                    verbosity=-1)
    return model.fit(columns[known], signal[known]).predict_proba(columns[test])[:, 1]


def print_row(name: str, signal: Any, found: Any, ours: Any, seconds: float) -> None:
    """Scores with errors, and by how much less than ours they are, on the same bootstrap samples."""
    rng = np.random.default_rng(0)
    draws = [rng.integers(0, len(signal), len(signal)) for _ in range(DRAWS)]
    line = f"{name:22s}"
    differences = []
    for measure, width in ((area, 6), (largest_sic, 6)):
        value, other = measure(signal, found), measure(signal, ours)
        several = np.array([(measure(signal[draw], found[draw]), measure(signal[draw], ours[draw])) for draw in draws])
        line += f" {value:{width}.3f} ± {several[:, 0].std():.3f}"
        differences.append(f"{other - value:+.3f} ± {(several[:, 1] - several[:, 0]).std():.3f}")
    print(f"{line} {differences[0]:>28s} {differences[1]:>14s} {seconds:7.1f}", flush=True)


def area(signal: Any, score: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(signal, score))


def largest_sic(signal: Any, score: Any) -> float:
    """Largest TPR / √FPR where at least ``FEWEST`` background events pass."""
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(signal, score, drop_intermediate=False)
    enough = fpr * (~signal).sum() >= FEWEST
    return float((tpr[enough] / np.sqrt(fpr[enough])).max())


# ---------------------------------------------------------------- on background alone

def null(folder: Path, experiments: int) -> None:
    """Print how the p-values of bump hunts over background alone are distributed."""
    from scipy.stats import kstest

    found = []
    for number in range(experiments):
        p_value = experiment(folder, number)
        if p_value is not None:
            found.append(p_value)
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{experiments}", end="", file=sys.stderr)
    counts, _ = np.histogram(found, np.linspace(0, 1, 6))
    probability = float(kstest(found, "uniform").pvalue)
    print(f"\nnull: {len(found)} pseudo-experiments of {EVENTS} background events; local p-values in fifths of 0 to 1: "
          f"{', '.join(map(str, counts))}; smallest {min(found):.3f}; Kolmogorov-Smirnov p = {probability:.2f}",
          flush=True)


def experiment(folder: Path, number: int) -> float | None:
    """The p-value of one; None where too few events are left for a fit."""
    from automl_phys import bump_hunt
    from automl_phys.trials import Job

    rng = np.random.default_rng([5, number])
    mass = 2000 + rng.exponential(700, EVENTS)
    features = rng.standard_normal((EVENTS, 4)) + 0.1 * ((mass - mass.mean()) / mass.std())[:, None]
    path = folder / f"background-{number}"
    path.mkdir()
    pq.write_table(pa.table({"mass": mass, **{f"x{j}": features[:, j] for j in range(4)}}), path / "events.parquet")
    task: Any = registry.load("tasks", "detect-anomaly")
    options = task.Options.model_validate({
        "data": {"path": "events.parquet"}, "anomaly": {"signal_region": "mass > 2800 and mass < 3200"}})
    problem = task.prepare(options, path, path / "problem", number)
    family = registry.load("families", "cwola")
    params = {**family.defaults(problem.facts())[0], **SMALL}
    job = Job(0, "cwola", params, number, 1, "cpu", "stand_in_auc", "maximize", "detect-anomaly", str(path))
    detector = family.fit(problem, params, job, lambda _step, predictions: float(np.mean(predictions)))
    rows = [problem.train, problem.held_out, problem.test]
    scores = np.concatenate([detector.predict(one) for one in rows])
    masses, regions = (np.concatenate([getattr(one, name) for one in rows]) for name in ("mass", "region"))
    window = bump_hunt.window(masses, regions)
    if isinstance(window, str):
        return None
    kept = scores > np.quantile(scores, 0.9)
    hunt = bump_hunt.hunt(masses[kept], np.ones(kept.sum()), window)
    return None if isinstance(hunt, str) else hunt.p_value


SMALL: Mapping[str, Any] = {"runs": 5}
"""A small configuration of the family."""


# ---------------------------------------------------------------- many events

def scale(run: Path, folder: Path) -> None:
    """Peak resident memory and wall time of the command."""
    table = whole()
    print()
    for size in SIZES:
        rows = np.random.default_rng(0).integers(0, len(table), size)
        pq.write_table(table.take(pa.array(rows)), folder / "many.parquet")
        began = time.perf_counter()
        child = subprocess.Popen([*COMMAND, "predict", str(run), str(folder / "many.parquet"), "-o",
                                  str(folder / "scores.parquet"), "--quiet"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"automl-phys predict ended with {os.waitstatus_to_exitcode(status)}")
        seconds = time.perf_counter() - began
        count = pq.read_metadata(folder / "scores.parquet").num_rows
        print(f"scale, {count} events: {usage.ru_maxrss / 1024:.0f} MB at most, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
