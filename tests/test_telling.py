"""How far reading, hashing, downloading, packing and unpacking have come, as whoever shows it hears."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys import archives, downloads, file_hashes, packing, registry, table_read, telling
from automl_phys.telling import MB, Bytes

ROWS = 1000
CHUNK = 250
TABLE = {"path": "events.parquet", "missing": "drop"}
RECIPES = {
    "classify": {"data": {**TABLE, "target": "label"}},
    "regress": {"data": {**TABLE, "target": "y"}},
    "detect-anomaly": {"data": {**TABLE, "normal": "label == 0"}},
    "generate": {"data": TABLE},
    "reduce+cluster": {"data": TABLE},
}
"""By task the sections of a recipe on one file."""


class Heard(list[tuple[int, int, str]]):
    """All that was told; of one text alone ``about`` it, as pairs."""

    def __call__(self, done: int, total: int, text: str) -> None:
        self.append((done, total, text))

    def about(self, text: str) -> list[tuple[int, int]]:
        return [(done, total) for done, total, told in self if told == text]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(folder: Path) -> None:
    rng = np.random.default_rng(1)
    label = np.arange(ROWS) % 2
    parquet.write_table(pa.table({"x": rng.normal(label), "y": rng.normal(size=ROWS), "label": label}),
                        folder / "events.parquet")


@pytest.mark.parametrize("task", RECIPES)
def test_looking_and_preparing_tell_the_rows_of_each_pass(
    task: str, heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_read, "MOST_CHUNK_ROWS", CHUNK)
    write(tmp_path)
    module = registry.load("tasks", task)
    options = module.Options.model_validate(RECIPES[task])
    one_pass = [(done, ROWS) for done in range(CHUNK, ROWS + 1, CHUNK)]
    module.look(options, tmp_path, 1, heard)
    assert heard.about("rows read")[:4] == one_pass
    heard.clear()
    problem = module.prepare(options, tmp_path, tmp_path / "problem", 1, heard)
    passes = heard.about("rows read")
    assert len(passes) >= 2 * len(one_pass)
    assert passes == one_pass * (len(passes) // len(one_pass))
    heard.clear()
    module.read_new(problem, tmp_path / "events.parquet", heard)
    assert heard.about("rows read")[:4] == one_pass


def test_nothing_is_told_of_a_table_that_is_read_at_once(heard: Heard, tmp_path: Path) -> None:
    write(tmp_path)
    module = registry.load("tasks", "classify")
    options = module.Options.model_validate(RECIPES["classify"])
    module.prepare(options, tmp_path, tmp_path / "problem", 1, heard)
    assert heard == []


def test_files_that_must_be_counted_tell_of_all_passes_but_the_first(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_read, "MOST_CHUNK_ROWS", CHUNK)
    (tmp_path / "events.csv").write_text("x,label\n" + "".join(f"{i % 7},{i % 2}\n" for i in range(ROWS)))
    module = registry.load("tasks", "classify")
    options = module.Options.model_validate({"data": {"path": "events.csv", "target": "label"}})
    module.prepare(options, tmp_path, tmp_path / "problem", 1, heard)
    assert heard.about("rows read")[-1] == (ROWS, ROWS)
    assert {total for _, total, _ in heard} == {ROWS}


def test_hashing_tells_megabytes_of_large_files_alone(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.bin"
    file.write_bytes(bytes(20 * MB))
    file_hashes.sha256(file, tell=heard)
    assert heard == []
    monkeypatch.setattr(telling, "LEAST_BYTES", 10 * MB)
    file_hashes.sha256(file, tell=heard)
    assert heard.about("MB of events.bin hashed") == [(8, 20), (16, 20), (20, 20)]


def test_a_download_tells_what_has_come(heard: Heard, tmp_path: Path) -> None:
    content = bytes(3 * MB)
    (tmp_path / "events.h5").write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/events.h5"
        fetched = downloads.fetch(address, hashlib.sha256(content).hexdigest(), heard)
        server.shutdown()
    assert fetched.stat().st_size == 3 * MB
    assert heard.about("MB of events.h5 downloaded")[:3] == [(1, 3), (2, 3), (3, 3)]
    heard.clear()
    downloads.fetch(address, hashlib.sha256(content).hexdigest(), heard)
    assert heard == []


def test_packing_and_unpacking_tell_megabytes(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "LEAST_BYTES", MB)
    table = pa.table({"x": np.random.default_rng(1).normal(size=300_000), "label": np.arange(300_000) % 2})
    parquet.write_table(table, tmp_path / "events.parquet")
    recipe = tmp_path / "large.yaml"
    recipe.write_text("recipe: 1\nname: large\ntask: classify\ndata: {path: events.parquet, target: label}\n")
    packing.pack(recipe, tmp_path / "large.amlphys.zip", with_data=True, tell=heard)
    read = heard.about("MB read")
    assert read[-1][0] == read[-1][1] >= 4
    assert [done for done, _ in read] == sorted(done for done, _ in read)
    archives.unpack(tmp_path / "large.amlphys.zip", tmp_path / "there", tell=heard)
    assert heard.about("MB unpacked")[-1][0] == read[-1][1] // 2


def test_steps_are_told_one_by_one(heard: Heard) -> None:
    done = telling.steps(2, "parts", heard)
    done()
    done()
    assert heard == [(0, 2, "parts"), (1, 2, "parts"), (2, 2, "parts")]


def test_items_are_counted_where_there_are_several(heard: Heard) -> None:
    assert [*telling.counted("ab", "letters", heard), *telling.counted("c", "letters", heard)] == ["a", "b", "c"]
    assert heard == [(0, 2, "letters"), (1, 2, "letters"), (2, 2, "letters")]


def test_bytes_are_told_once_per_megabyte_and_never_more_than_there_are(heard: Heard) -> None:
    count = Bytes(2 * MB, "of a file", heard, least=MB)
    for _ in range(25):
        count.add(100_000)
    assert heard == [(1, 2, "MB of a file"), (2, 2, "MB of a file")]
