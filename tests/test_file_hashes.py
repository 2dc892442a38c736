"""Hashes of files are remembered while the file is the same, and never trusted when it may have changed."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import pytest

from automl_phys import file_hashes
from automl_phys.errors import DataError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def digests(monkeypatch):
    """The files that are really read."""
    read = []
    plain = file_hashes._digest
    monkeypatch.setattr(file_hashes, "_digest", lambda path, *more: (read.append(path.name), plain(path, *more))[1])
    return read


def old(path, content):
    path.write_bytes(content)
    os.utime(path, ns=(time.time_ns() - 10**10,) * 2)
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once(tmp_path, cache, digests):
    expected = old(tmp_path / "a", b"events")
    assert [file_hashes.sha256(tmp_path / "a") for _ in range(3)] == [expected] * 3
    assert digests == ["a"]


@pytest.mark.parametrize("content", [b"events", b"EVENTS"])
def test_a_changed_file_is_read_again(tmp_path, cache, digests, content):
    old(tmp_path / "a", b"evental")
    file_hashes.sha256(tmp_path / "a")
    assert file_hashes.sha256(tmp_path / "a") != old(tmp_path / "a", content)
    assert file_hashes.sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert len(digests) == 2


def test_a_file_just_written_is_not_trusted(tmp_path, cache, digests):
    (tmp_path / "a").write_bytes(b"first!")
    first = file_hashes.sha256(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"second")  # of the same size, within the clock's resolution
    assert file_hashes.sha256(tmp_path / "a") != first


def test_a_damaged_memory_costs_time_only(tmp_path, cache, digests):
    expected = old(tmp_path / "a", b"events")
    file_hashes.sha256(tmp_path / "a")
    for entry in cache.rglob("*.json"):
        entry.write_text("[1")
    assert file_hashes.sha256(tmp_path / "a") == expected and len(digests) == 2


def test_a_file_that_is_not_there_is_named(tmp_path, cache):
    with pytest.raises(DataError) as caught:
        file_hashes.sha256(tmp_path / "a")
    assert [m.code for m in caught.value.mistakes] == ["unreadable-file"]


def test_hashing_ahead_takes_no_second_reading(tmp_path, cache, digests):
    expected = [old(tmp_path / name, name.encode()) for name in "ab"]
    with file_hashes.ahead([tmp_path / "a", tmp_path / "b"]) as hashed:
        hashed()
        assert [file_hashes.sha256(tmp_path / name) for name in "ab"] == expected
    assert digests == ["a", "b"]


def test_a_mistake_does_not_wait_for_the_hashes(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(file_hashes, "PIECE", 4)
    old(tmp_path / "a", bytes(4_000_000))
    started = threading.Event()
    plain = file_hashes.hashlib.sha256

    class Slow:
        def __init__(self):
            self.content = plain()

        def update(self, piece):
            started.set()
            time.sleep(0.01)
            self.content.update(piece)

        def hexdigest(self):
            return self.content.hexdigest()

    monkeypatch.setattr(file_hashes, "_entry", lambda path: tmp_path / "entry.json")
    monkeypatch.setattr(file_hashes.hashlib, "sha256", lambda *given: Slow())
    with pytest.raises(DataError), file_hashes.ahead([tmp_path / "a"]):
        started.wait(10)
        raise DataError([])
    assert not (tmp_path / "entry.json").exists()
