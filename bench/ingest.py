"""What does it cost to make a prepared problem of more rows than memory? 28 float32 columns, a label and a weight.

    python bench/ingest.py [--millions 10] [--formats parquet root] [--repeats 3] [--folder DIR] [--train] [--limit 6]

For each format it prints the seconds in which pyarrow, or uproot, merely reads all columns of the file, once into
memory (which takes as much of it as the file) and once in chunks that it lets go of untouched, the seconds in which the
same file becomes a prepared problem, the ratios, and the process's own memory (the peak of RssAnon: mapped files are
not in it), each in a process of its own, interleaved, medians of the repeats. A tenth of the rows tells whether time
grows linearly. With ``--train`` LightGBM and a network are then searched on the whole of it by ``automl-phys run``, no
process of which may have more than ``--limit`` GB of its own (RLIMIT_DATA), and the peak of all of them together is
printed. The files are made once, in ``--folder``: about 1.3 GB each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

COLUMNS = 28
CHUNK_ROWS = 100_000

RECIPE = """
recipe: 1
name: ingest
task: classify
data: {{path: "{path}", target: label, weight: weight}}
model: {{families: [{family}], ensemble: 1, refit: false, bagging: 1,
        boosted_trees: {{learning_rate: 0.2, num_leaves: 31}}, mlp: {{epochs: 2, layers: [64, 64]}}}}
search: {{trials: 2}}
compute: {{memory: {limit} GB}}
seed: 3
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--millions", type=float, default=10)
    parser.add_argument("--formats", nargs="+", default=["parquet", "root"], choices=["parquet", "root"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--limit", type=float, default=6)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(CHILDREN[asked.child[0]](Path(asked.child[1]))))
        return
    rows = int(asked.millions * 1_000_000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        for form in asked.formats:
            large = compare(written(folder, form, rows), asked.repeats)
            small = compare(written(folder, form, rows // 10), asked.repeats)
            print(f"{form}: ten times the rows take {large / small:.2f} times as long", flush=True)
        if asked.train:
            path = written(folder, asked.formats[0], rows)
            for family in ("boosted_trees", "mlp"):
                train(path, family, asked.limit, Path(scratch))


# ---------------------------------------------------------------- reading against preparing

def compare(path: Path, repeats: int) -> float:
    """Print how reading and preparing compare; gives the seconds of preparing."""
    read_file(path)  # into the page cache, for both
    found: dict[str, list[dict[str, float]]] = {"read": [], "stream": [], "prepare": []}
    for _ in range(repeats):
        for what, runs in found.items():
            runs.append(child(what, path))
    seconds = {what: statistics.median(run["seconds"] for run in runs) for what, runs in found.items()}
    own = max(run["own_mb"] for run in found["prepare"])
    ratios = {what: seconds[what] / seconds["prepare"] for what in ("read", "stream")}
    print(f"{path.name}: read {seconds['read']:.2f} s, stream {seconds['stream']:.2f} s, prepare "
          f"{seconds['prepare']:.2f} s, speed {ratios['read']:.2f} of reading (aim: 0.5), {ratios['stream']:.2f} of "
          f"streaming; own memory {own:.0f} MB (aim: 1000)", flush=True)
    return seconds["prepare"]


def child(what: str, path: Path) -> dict[str, float]:
    """Run one of ``CHILDREN`` on a file in a new process that remembers nothing."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run([sys.executable, __file__, "--child", what, str(path)], check=True, capture_output=True,
                              text=True, env={**os.environ, "XDG_CACHE_HOME": cache})
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def read(path: Path) -> dict[str, float]:
    """Read every column into memory with the library alone."""
    if path.suffix == ".root":
        import uproot

        return measured(lambda: uproot.open(path)["events"].arrays(library="np"))
    from pyarrow import parquet

    return measured(lambda: parquet.read_table(path))


def stream(path: Path) -> dict[str, float]:
    """Read every column in chunks with the library alone."""
    def arrow() -> None:
        with ParquetFile(path, memory_map=True) as file:
            for _ in file.iter_batches(CHUNK_ROWS):
                pass

    def root() -> None:
        with uproot.open(path) as file:
            for _ in file["events"].iterate(step_size=CHUNK_ROWS, library="np"):
                pass

    if path.suffix == ".root":
        import uproot

        return measured(root)
    from pyarrow.parquet import ParquetFile

    return measured(arrow)


def prepare(path: Path) -> dict[str, float]:
    """Make a prepared problem of the file."""
    from automl_phys import recipe
    from automl_phys.registry import load

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(RECIPE.format(path=path.absolute(), family="linear", limit=6), encoding="utf-8")
        wanted, task = recipe.load(file), load("tasks", "classify")
        for heavy in ("pyarrow.compute", "uproot") if path.suffix == ".root" else ("pyarrow.parquet",):
            __import__(heavy)  # as for 'read': what importing costs is not asked
        return measured(lambda: task.prepare(wanted.options, wanted.folder, Path(folder) / "problem", wanted.seed))


CHILDREN: dict[str, Callable[[Path], dict[str, float]]] = {"read": read, "stream": stream, "prepare": prepare}


def measured(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds and the peak of the process's own memory in MB."""
    with peak(lambda: own_mb([psutil.Process()])) as highest:
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "own_mb": highest[0]}


@contextmanager
def peak(sample: Callable[[], float]) -> Iterator[list[float]]:
    """The highest value that ``sample`` gives while the block runs, as the one item of a list."""
    highest, done = [sample()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            highest[0] = max(highest[0], sample())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield highest
    finally:
        done.set()
        thread.join()


def own_mb(processes: list[psutil.Process]) -> float:
    """Memory of processes that is no mapped file."""
    total = 0
    for process in processes:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:  # it ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
    return total / 1024


# ---------------------------------------------------------------- training

def train(path: Path, family: str, limit: float, scratch: Path) -> None:
    """Search one family on the file through the command line, and print what it took."""
    file = scratch / f"{family}.yaml"
    file.write_text(RECIPE.format(path=path.absolute(), family=family, limit=limit), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("automl-phys")), "run", str(file), "--quiet", "--out",
               str(scratch / "runs")]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        resource.prlimit(running.pid, resource.RLIMIT_DATA, (int(limit * 1e9), int(limit * 1e9)))
        root = psutil.Process(running.pid)

        def sample() -> float:
            try:
                return own_mb([root, *root.children(recursive=True)])
            except psutil.NoSuchProcess:
                return 0.0

        with peak(sample) as highest:
            code = running.wait()
    if code:
        sys.exit(f"{family}: automl-phys run ended with {code}")
    run = scratch / "runs/ingest/latest"
    trials = [json.loads(path.read_text()) for path in sorted(run.glob("trials/*/result.json"))]
    if any(trial["status"] != "done" for trial in trials):
        sys.exit(f"{family}: {[trial['message'] for trial in trials]}")
    evaluation = json.loads((run / "evaluation.json").read_text())
    auc = evaluation["metrics"]["roc_auc"]["value"]
    print(f"{family}: {time.perf_counter() - began:.0f} s, of which {trials[-1]['seconds']:.0f} s fitting, test AUC "
          f"{auc:.4f}, at most {highest[0]:.0f} MB of their own in all processes together", flush=True)


# ---------------------------------------------------------------- the files

def read_file(path: Path) -> None:
    with path.open("rb") as handle:
        while handle.read(1 << 24):
            pass


def written(folder: Path, form: str, rows: int) -> Path:
    """The file with so many rows, made if it is not there."""
    path = folder / f"events-{rows}.{form}"
    if not path.exists():
        draft = folder / f"draft.{form}"
        {"parquet": write_parquet, "root": write_root}[form](draft, rows)
        draft.replace(path)
    return path


def events(rows: int) -> Iterator[dict[str, Any]]:
    """Two classes of Gaussian features, three of which are a little apart, in blocks of columns."""
    import numpy as np

    rng = np.random.default_rng(1)
    for start in range(0, rows, 500_000):
        size = min(500_000, rows - start)
        label = rng.integers(0, 2, size, dtype=np.int32)
        values = rng.standard_normal((COLUMNS, size), np.float32)
        values[:3] += 0.5 * label.astype(np.float32)
        yield {**{f"x{j}": values[j] for j in range(COLUMNS)}, "label": label,
               "weight": rng.uniform(0.5, 1.5, size).astype(np.float32)}


def write_parquet(path: Path, rows: int) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    blocks = (pa.table(block) for block in events(rows))
    first = next(blocks)
    with parquet.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first)
        for block in blocks:
            writer.write_table(block)


def write_root(path: Path, rows: int) -> None:
    import uproot

    with uproot.recreate(path, compression=uproot.LZ4(1)) as file:
        for i, block in enumerate(events(rows)):
            if not i:
                file.mktree("events", {name: values.dtype for name, values in block.items()})
            file["events"].extend(block)


if __name__ == "__main__":
    main()
