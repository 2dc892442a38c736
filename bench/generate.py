"""Can generated events be told from real ones, how fast are they made, and in how much memory?

    python bench/generate.py                               # all of it, about half an hour on two cores
    python bench/generate.py --only jets moons             # quality alone
    python bench/generate.py --peers ~/peers/bin/python    # a Python that has sdv: CTGAN and TVAE, with their defaults

``jets`` and ``moons`` run the shipped recipes on a split that is fixed beforehand (NumPy's ``default_rng(0)``: 60 %
train, 20 % validation, 20 % test), and write as many events as the test has with ``automl-phys generate``. A Gaussian
mixture and a kernel density estimate of scikit-learn's, and CTGAN and TVAE where ``sdv`` is importable, learn the same
columns from train and validation together (automl-phys learns from train alone); what follows from the columns by
formula is computed of all alike. One judge, LightGBM written here and not that of automl-phys, tells each one's events
from the test events: area under the ROC curve over 5 folds, with the bootstrap error over events; of jets it sees the
19 features. ``real`` are training events in the place of generated ones: the floor. ``copies`` is the share of
events whose nearest test or training event, out of as many of each, is one of training: 0.5 if none is remembered.
Of the moons the truth is known, so that events are also told from twenty fresh samples of it, each as large as the
test, and each from other events of the generator.

``speed``: events per second of the winner's generator in this process, and of its network alone on the same blocks
(noise in, variates out), one thread, interleaved, medians. ``memory``: the peak of resident memory and the wall time of
``automl-phys generate`` for 1e5, 1e6 and 1e7 jets.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from automl_phys import expressions, registry
from automl_phys.contracts import Location
from automl_phys.sources import builtin

RECIPES = Path(__file__).parents[1] / "recipes"
PEER = Path(__file__).parent / "generate_peer.py"
OURS = str(Path(sys.executable).with_name("automl-phys"))
PEERS = ("gaussian_mixture", "kde", "ctgan", "tvae")
FEATURES = ("pt", "eta", "phi", "mass", "mass_softdrop", "n_constituents", "n_charged", "width", "pt_dispersion",
            "tau1", "tau2", "tau3", "tau4", "ecf2", "c2", "d2", "z_g", "r_g", "jet_charge")
SIZES = (100_000, 1_000_000, 10_000_000)
PARTS = ("train", "valid", "test")
FOLDS = 5
DRAWS = 50
BLOCKS = 8


@dataclass(frozen=True)
class Set:
    """A shipped recipe, the columns by which its events are judged, and where more such events come from, by their
    number and a seed."""

    recipe: str
    judged: tuple[str, ...]
    truth: Callable[[int, int], pa.Table] | None = None


SETS = {"jets": Set("generate-jets", FEATURES), "moons": Set("generate-two-moons", ("x", "y"), builtin.two_moons)}
FRESH = range(100, 120)
"""Seeds of samples of the truth."""


def main() -> None:
    wanted = ("jets", "moons", "speed", "memory")
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--only", nargs="*", choices=wanted, default=wanted)
    arguments.add_argument("--peers", default=sys.executable, help="a Python that has sdv; default: this one")
    arguments.add_argument("--generators", nargs="*", choices=("automl-phys", *PEERS), default=("automl-phys", *PEERS))
    arguments.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    arguments.add_argument("--run", type=Path, help="a finished run for speed and memory, instead of that on jets")
    arguments.add_argument("--set", action="append", default=[], help="as of automl-phys run, such as search.trials=2")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, run = Path(scratch), asked.run
        for name, given in SETS.items():
            if name in asked.only or (name == "jets" and run is None and {"speed", "memory"} & set(asked.only)):
                found = quality(name, given, folder, asked) if name in asked.only else ours(
                    given, folder, tables(given, folder), asked.set)
                run = run if run is not None or name != "jets" else found
        if "speed" in asked.only:
            speed(run)
        if "memory" in asked.only:
            memory(run, folder, asked.sizes)


# ---------------------------------------------------------------- quality

def quality(name: str, given: Set, folder: Path, asked: argparse.Namespace) -> Path | None:
    """Print a row for each generator; gives the folder of the run, if automl-phys is one of them."""
    parts = tables(given, folder)
    recipe = read_recipe(given)
    made_of = generated_columns(recipe, parts["train"])
    rest = pa.concat_tables([parts["train"], parts["valid"]]).select(made_of)
    pq.write_table(rest, folder / "rest.parquet")
    real = judged(parts["test"], recipe, given)
    train = judged(parts["train"], recipe, given)
    print(f"\n{name}: {len(real)} test events, {len(made_of)} columns generated, {real.shape[1]} judged")
    fresh = [judged(given.truth(len(real), seed), recipe, given) for seed in FRESH] if given.truth else []
    print(f"{'':18s} {'AUC of the judge':>17s} {'copies':>8s} {'wall s':>8s}{'  from fresh samples' if fresh else ''}")
    order = np.random.default_rng(1).permutation(len(train))
    print_row("real", real, train[order[:len(real)]], train[order[len(real):]], 0.0, fresh)
    run, many = None, (1 + len(fresh)) * len(real)
    if "automl-phys" in asked.generators:
        began = time.perf_counter()
        run = ours(given, folder, parts, asked.set)
        new = folder / "ours.parquet"
        subprocess.run([OURS, "generate", str(run), "-n", str(many), "--seed", "1", "-o", str(new), "--quiet"],
                       check=True, stdout=subprocess.DEVNULL)
        made = judged(pq.read_table(new), recipe, given)
        print_row("automl-phys", real, made, train, time.perf_counter() - began, fresh)
    for peer in [one for one in PEERS if one in asked.generators]:
        began = time.perf_counter()
        python = asked.peers if peer in {"ctgan", "tvae"} else sys.executable
        out = folder / f"{peer}.parquet"
        done = subprocess.run([python, str(PEER), peer, str(folder / "rest.parquet"), str(many), str(out)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{peer:18s} not run: {''.join(done.stderr.strip().splitlines()[-1:])}", flush=True)
            continue
        print_row(peer, real, judged(pq.read_table(out), recipe, given), train, time.perf_counter() - began, fresh)
    return run


def read_recipe(given: Set) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((RECIPES / f"{given.recipe}.yaml").read_text(encoding="utf-8"))
    return found


def tables(given: Set, folder: Path) -> dict[str, pa.Table]:
    """The events of a recipe by part, after its cut and with its new columns; all of them with a column ``fold`` in
    ``folder``, for the run."""
    data = read_recipe(given)["data"]
    source, location = registry.load("sources", "builtin"), Location(Path(data["builtin"]))
    whole = pa.concat_tables(source.read(location, list(source.peek(location).columns), 1_000_000))
    if "cut" in data:
        passed = expressions.evaluate(expressions.parse(data["cut"]), columns_of(whole), len(whole))
        whole = whole.filter(pa.array(np.asarray(passed, bool)))
    order = np.random.default_rng(0).permutation(len(whole))
    fold = np.empty(len(whole), object)
    for part, rows in zip(PARTS, np.split(order, [int(0.6 * len(whole)), int(0.8 * len(whole))]), strict=True):
        fold[rows] = part
    pq.write_table(whole.append_column("fold", pa.array(fold, pa.string())), folder / f"{given.recipe}.parquet")
    for column, text in data.get("define", {}).items():
        whole = with_column(whole, column, text)
    return {part: whole.filter(pa.array(fold == part)) for part in PARTS}


def generated_columns(recipe: Mapping[str, Any], table: pa.Table) -> list[str]:
    """The columns that the recipe generates: all numbers that it does not exclude."""
    excluded = recipe["data"].get("exclude", ())
    return [name for name in table.column_names
            if name not in excluded and not pa.types.is_large_string(table[name].type)]


def judged(table: pa.Table, recipe: Mapping[str, Any], given: Set) -> Any:
    """What the judge sees (n, d) of events: columns, and what the recipe derives of them."""
    for column, text in recipe["generate"].get("derive", {}).items():
        if column in given.judged:
            table = with_column(table, column, text)
    return np.column_stack([table[name].to_numpy() for name in given.judged]).astype(np.float32)


def with_column(table: pa.Table, name: str, text: str) -> pa.Table:
    values = expressions.evaluate(expressions.parse(text), columns_of(table), len(table))
    kept = table.drop_columns([name]) if name in table.column_names else table
    return kept.append_column(name, pa.array(np.asarray(values, np.float32)))


def columns_of(table: pa.Table) -> dict[str, Any]:
    """Columns as expressions take them: numbers as arrays, texts as they are."""
    return {name: table[name].to_numpy() if pa.types.is_floating(table[name].type) or pa.types.is_integer(
        table[name].type) else table[name].combine_chunks() for name in table.column_names}


def ours(given: Set, folder: Path, parts: Mapping[str, pa.Table], sets: list[str]) -> Path:
    """Run the shipped recipe on the fixed split, as a user would; gives the folder of the run."""
    recipe = read_recipe(given)
    recipe["data"] |= {"builtin": None, "path": f"{given.recipe}.parquet", "split": {"by": {"column": "fold"}}}
    path = folder / f"{given.recipe}.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    subprocess.run([OURS, "run", str(path), "--quiet", "--out", str(folder / "runs"),
                    *(f"--set={one}" for one in sets)], check=True, stdout=subprocess.DEVNULL)
    return folder / "runs" / given.recipe / "latest"


def print_row(name: str, real: Any, made: Any, train: Any, seconds: float, fresh: list[Any]) -> None:
    """``made`` are as many events as the real ones, or besides as many more for each fresh sample."""
    made = made[np.random.default_rng(3).permutation(len(made))]  # a mixture gives one Gaussian after the other
    made, *others = [made[start:start + len(real)] for start in range(0, len(made), len(real))]
    value, error = told_apart(real, made)
    areas = [told_apart(sample, other)[0] for sample, other in zip(fresh, others or [made] * len(fresh), strict=True)]
    of_fresh = f"  {np.mean(areas):.4f} ± {np.std(areas, ddof=1) / len(areas)**0.5:.4f}" if areas else ""
    print(f"{name:18s} {value:9.4f} ± {error:.4f}  {copies(real, made, train):7.3f} {seconds:8.1f}{of_fresh}",
          flush=True)


def told_apart(real: Any, made: Any) -> tuple[float, float]:
    """Area under the ROC curve of LightGBM, mean over folds that it has not seen, and its bootstrap error."""
    import lightgbm
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    rows, target = np.concatenate([real, made]), np.repeat([0, 1], [len(real), len(made)])
    areas, spreads, rng = [], [], np.random.default_rng(0)
    for learnt, own in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(rows, target):
        model = lightgbm.LGBMClassifier(n_estimators=200, learning_rate=0.05, num_leaves=31, subsample=0.8,
                                        subsample_freq=1, colsample_bytree=0.8, random_state=0, n_jobs=1, verbosity=-1)
        told = model.fit(rows[learnt], target[learnt]).predict_proba(rows[own])[:, 1]
        areas.append(roc_auc_score(target[own], told))
        draws = (rng.integers(0, len(own), len(own)) for _ in range(DRAWS))
        spreads.append(np.std([roc_auc_score(target[own][draw], told[draw]) for draw in draws]))
    return float(np.mean(areas)), float(np.sqrt(np.mean(np.square(spreads)) / FOLDS))


def copies(real: Any, made: Any, train: Any) -> float:
    """Share of events nearer to one of training than to any of as many test events, columns of equal width."""
    from sklearn.neighbors import NearestNeighbors

    number = min(len(real), len(train))
    mean, width = real.mean(axis=0), real.std(axis=0)
    seen = train[np.random.default_rng(2).permutation(len(train))[:number]]
    near = [NearestNeighbors(n_neighbors=1).fit((one - mean) / width).kneighbors((made - mean) / width)[0][:, 0]
            for one in (seen, real[:number])]
    return float(np.mean(near[0] < near[1]) + 0.5 * np.mean(near[0] == near[1]))


# ---------------------------------------------------------------- speed and memory

def speed(run: Path) -> None:
    """Events per second of the generator, and of its network alone; in a process of its own with one thread."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    code = (f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import generate; "
            f"generate.measured({str(run)!r})")
    subprocess.run([sys.executable, "-c", code], check=True, env={
        **os.environ, **one_thread, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"})


def measured(run: str) -> None:
    """What :func:`speed` prints."""
    from automl_phys import ensemble, rundir
    from automl_phys.rundir import RunDir
    from automl_phys.trials import Ensemble

    where = RunDir(Path(run))
    winner = rundir.read_json(where.ensemble, Ensemble).members[0]
    generator: Any = ensemble.model(winner.family, where.path / winner.folders[0])
    problem: Any = registry.load("tasks", "generate").load(where.problem)
    known = generator.space.layout.conditions(problem.train)
    condition = known[np.arange(generator.block) % len(known)]
    encoded = generator.space.encoding(condition)
    generator.events(condition, 0, 0)  # compiles
    whole, bare = [], []
    for number in range(1, BLOCKS + 1):
        began = time.perf_counter()
        generator.events(condition, 0, number)
        whole.append(generator.block / (time.perf_counter() - began))
        began = time.perf_counter()
        generator.latent.draw(encoded, number)
        bare.append(generator.block / (time.perf_counter() - began))
    ours_, theirs = statistics.median(whole), statistics.median(bare)
    print(f"\nspeed, {winner.family}: {ours_:.0f} events per second, the network alone {theirs:.0f}: "
          f"ratio {ours_ / theirs:.2f}", flush=True)


def memory(run: Path, folder: Path, sizes: tuple[int, ...]) -> None:
    """Peak resident memory and wall time of the command."""
    print()
    for size in sizes:
        out = folder / "many.parquet"
        began = time.perf_counter()
        child = subprocess.Popen([OURS, "generate", str(run), "-n", str(size), "-o", str(out), "--quiet"],
                                 stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"automl-phys generate ended with {os.waitstatus_to_exitcode(status)}")
        seconds = time.perf_counter() - began
        rows = pq.read_metadata(out).num_rows
        print(f"memory, {rows} events: {usage.ru_maxrss / 1024:.0f} MB at most, {seconds:.1f} s, "
              f"{out.stat().st_size / 1e6:.0f} MB of parquet", flush=True)
        out.unlink()


if __name__ == "__main__":
    main()
