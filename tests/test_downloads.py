"""Data from an address, from a server of this test: whole and right, or an error and nothing kept."""

from __future__ import annotations

import errno
import gc
import hashlib
import threading
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys import downloads, table
from automl_phys.errors import DataError
from automl_phys.sections import LabelledTable

EVENTS = b"pt,label\n" + b"".join(b"%d,%d\n" % (i, i % 2) for i in range(2000))
SHA256 = hashlib.sha256(EVENTS).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(downloads, "TIMEOUT_S", 2)
    return tmp_path / "cache"


@contextmanager
def server(content=EVENTS, promised=None, status=200):
    """A server of one file that says it has ``promised`` bytes; gives its address and the requests it had."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content) if promised is None else promised))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/files/events.csv?download=1", asked
        running.shutdown()
        thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pooch leaves the connection of a failed download to this
        gc.collect()


def refused(url, sha256=SHA256):
    with pytest.raises(DataError) as caught:
        downloads.fetch(url, sha256)
    (mistake,) = caught.value.mistakes
    assert mistake.key == ("data", "url") and mistake.remedy
    return mistake


def kept(cache):
    return [path for path in cache.rglob("*") if path.is_file() and "downloads" in path.parts]


def test_a_file_is_downloaded_once(cache):
    with server() as (url, asked):
        first, second = downloads.fetch(url, SHA256), downloads.fetch(url, SHA256)
    assert first == second and first.name == "events.csv" and first.read_bytes() == EVENTS
    assert asked == ["/files/events.csv?download=1"]
    assert downloads.fetch(url, SHA256) == first, "no network is needed any more"


def test_a_file_that_was_tampered_with_in_the_cache_is_fetched_again():
    with server() as (url, asked):
        downloads.fetch(url, SHA256).write_bytes(b"something else")
        assert downloads.fetch(url, SHA256).read_bytes() == EVENTS
    assert len(asked) == 2


def test_a_wrong_hash_is_named_with_the_one_found(cache):
    with server(b"other") as (url, _):
        mistake = refused(url)
    assert mistake.code == "wrong-hash" and hashlib.sha256(b"other").hexdigest() in mistake.text
    assert not kept(cache)


def test_a_cut_connection_leaves_no_half_file(cache):
    with server(EVENTS[:500], promised=len(EVENTS)) as (url, _):
        mistake = refused(url)
    assert mistake.code == "download-failed"
    assert mistake.text == (f"{url} could not be downloaded: the connection broke off after 500 of {len(EVENTS)} "
                            "bytes.")
    assert not kept(cache)


def test_what_a_server_refuses_and_one_that_is_not_there_are_named(cache):
    with server(status=404) as (url, _):
        assert "404" in refused(url).text
    gone = refused(url)
    assert gone.code == "download-failed", "the server is gone"
    assert gone.text.startswith(f"{url} could not be downloaded: Failed to establish a new connection:")
    assert not kept(cache)


def test_a_full_disk_is_named(cache, monkeypatch):
    import pooch

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", full)
    assert refused("http://127.0.0.1:9/events.csv").code == "disk-full"


@pytest.mark.parametrize(("url", "name"), [
    ("https://zenodo.org/records/1/files/events%20v2.h5?download=1", "events_v2.h5"),
    ("https://a.org/..%2f..%2fetc/passwd", "passwd"), ("https://a.org/", "data"), ("https://a.org/.bashrc", "bashrc"),
])
def test_a_name_never_leaves_the_cache(url, name):
    assert downloads._file_name(url) == name


def test_a_recipe_may_name_an_address(tmp_path):
    rng = np.random.default_rng(0)
    parquet.write_table(pa.table({"x": rng.normal(size=300), "label": np.arange(300) % 2}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    with server(content) as (url, _):
        data = LabelledTable.model_validate({
            "url": url.replace("events.csv", "events.parquet"), "sha256": hashlib.sha256(content).hexdigest(),
            "target": "label"})
        problem = table.prepare(data, tmp_path, tmp_path / "problem", 0)
    assert sum(problem.facts().rows.values()) == 300
