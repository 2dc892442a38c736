"""Archives are hostile until shown otherwise: each made by hand here, each refused, and nothing of it kept."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from automl_phys import archive_zip, archives
from automl_phys.cli import main
from automl_phys.errors import ArchiveError

RECIPE = b"recipe: 1\nname: x\ntask: classify\ndata: {path: data/e.csv, target: y}\n"
KEPT = Path(__file__).parent / "archives"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def manifest(members: Mapping[str, bytes], **other: object) -> bytes:
    listed = {name: {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()} for name, raw in members.items()}
    return json.dumps({"format": 1, "program": "1", "kind": "recipe", "name": "x", "task": "classify",
                       "members": listed, **other}).encode()


def packed(folder: Path, members: Mapping[str, bytes], listing: bytes | None = None, infos: Mapping[str, zipfile.ZipInfo] = {}
           ) -> Path:
    """An archive of these members and the recipe, with its own list or another; ``infos`` say how some are written."""
    members = {"recipe.yaml": RECIPE, **members}
    file = folder / "x.amlphys.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("automl-phys.json", manifest(members) if listing is None else listing)
        for name, raw in members.items():
            out.writestr(infos.get(name, name), raw)
    return file


def refused(file: Path, folder: Path, code: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        archives.unpack(file, folder / "out")
    (mistake,) = caught.value.mistakes
    assert mistake.code == code, mistake
    assert mistake.remedy and str(file) in mistake.text
    assert [path.name for path in folder.iterdir() if path.name != "cache"] == [file.name], "nothing was kept"


def test_a_sound_archive_is_unpacked_once_into_the_cache(tmp_path: Path, cache: Path) -> None:
    file = packed(tmp_path, {"data/e.csv": b"a,y\n1,0\n"})
    first = archives.opened(str(file))
    assert first == archives.opened(str(file)) and first is not None
    assert (first / "data" / "e.csv").read_bytes() == b"a,y\n1,0\n"
    assert first.parent == cache / "automl-phys" / "archives" and len(list(first.parent.iterdir())) == 1
    assert archives.recipe(str(file)) == first / "recipe.yaml"
    assert archives.opened("recipes/x.yaml") is None


@pytest.mark.parametrize("name", [
    "../evil.csv", "data/../../evil.csv", "/etc/evil.csv", "C:/evil.csv", "data\\evil.csv", "data/e\x00.csv",
    "data//e.csv", "data/.hidden.csv", "data/con.csv", "data/e\n.csv", "data/\u202ee.csv", "data/e.csv.",
    "/".join(["d"] * 40) + ".csv"])
def test_a_path_that_is_no_plain_one_is_refused(name: str, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("data/e.csv")
    info.filename = info.orig_filename = name
    refused(packed(tmp_path, {name: b"x"}, infos={name: info}), tmp_path, "unsafe-path")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_a_device_is_refused(kind: int, tmp_path: Path) -> None:
    info = zipfile.ZipInfo("data/e.csv")
    info.external_attr = (kind | 0o777) << 16
    refused(packed(tmp_path, {"data/e.csv": b"/etc/passwd"}, infos={"data/e.csv": info}), tmp_path, "link-in-archive")


@pytest.mark.parametrize("names", [("data/e.csv", "data/E.csv"), ("data/é.csv", "data/e\u0301.csv"),
                                   ("data/e.csv", "data/e.csv/f.csv")])
def test_a_repeated_name_is_refused(names: tuple[str, str], tmp_path: Path) -> None:
    refused(packed(tmp_path, dict.fromkeys(names, b"x")), tmp_path, "repeated-name")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_very_same_name_twice_is_refused(tmp_path: Path) -> None:
    file = packed(tmp_path, {"data/e.csv": b"good"})
    with zipfile.ZipFile(file, "a") as out:
        out.writestr("data/e.csv", b"evil")
    refused(file, tmp_path, "repeated-name")


def test_a_bomb_that_says_how_large_it_is_is_refused(tmp_path: Path) -> None:
    refused(packed(tmp_path, {"data/e.csv": bytes(30_000_000)}), tmp_path, "zip-bomb")


def test_more_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = packed(tmp_path, {"data/e.csv": b"x" * 100_000})
    with pytest.raises(ArchiveError) as caught:
        archives.unpack(file, tmp_path / "out", limit_gb=1e-5)
    assert caught.value.mistakes[0].code == "archive-too-large"


def lying(file: Path, name: str, size: int, crc: int) -> None:
    """Change what both headers of a member declare."""
    raw = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as known:
        info = known.getinfo(name)
    struct.pack_into("<I", raw, info.header_offset + 14, crc)
    struct.pack_into("<I", raw, info.header_offset + 22, size)
    at = raw.rindex(b"PK\1\2", 0, raw.rindex(name.encode()))
    struct.pack_into("<I", raw, at + 16, crc)
    struct.pack_into("<I", raw, at + 24, size)
    file.write_bytes(raw)


@pytest.mark.parametrize("size", [10, 5_000_001])
def test_a_bomb_that_lies_about_its_size_is_stopped(size: int, tmp_path: Path) -> None:
    """Ten bytes with the right checksum and hash, and much more behind them."""
    declared = bytes(size)
    members = {"recipe.yaml": RECIPE, "data/e.csv": declared}
    file = packed(tmp_path, {"data/e.csv": np.random.default_rng(0).bytes(50_000) + bytes(4_950_000)},
                  manifest(members))
    lying(file, "data/e.csv", size, zlib.crc32(declared))
    refused(file, tmp_path, "lying-size")


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_zip, "MOST_MEMBERS", 20)
    refused(packed(tmp_path, {f"data/{i}.csv": b"x" for i in range(30)}), tmp_path, "too-many-members")


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    """Two entries of the directory that point at the same bytes."""
    file = packed(tmp_path, {"data/a.csv": b"x" * 50, "data/b.csv": b"x" * 50})
    raw = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as known:
        first, second = known.getinfo("data/a.csv"), known.getinfo("data/b.csv")
    raw[second.header_offset - first.compress_size + 1:second.header_offset] = b"\0" * (first.compress_size - 1)
    at = raw.index(b"PK\1\2", second.header_offset)
    while raw[at + 46:at + 56] != b"data/a.csv":
        at = raw.index(b"PK\1\2", at + 4)
    struct.pack_into("<I", raw, at + 20, first.compress_size + 60)
    file.write_bytes(raw)
    refused(file, tmp_path, "overlapping-members")


def test_a_wrong_hash_is_refused(tmp_path: Path) -> None:
    listing = manifest({"recipe.yaml": RECIPE, "data/e.csv": b"good"})
    refused(packed(tmp_path, {"data/e.csv": b"evil"}, listing), tmp_path, "wrong-hash")


def test_a_member_that_is_not_listed_or_not_there_is_refused(tmp_path: Path) -> None:
    refused(packed(tmp_path, {"data/e.csv": b"x"}, manifest({"recipe.yaml": RECIPE})), tmp_path, "unlisted-member")
    more = manifest({"recipe.yaml": RECIPE, "data/e.csv": b"x"})
    refused(packed(tmp_path, {}, more), tmp_path, "missing-member")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    file = packed(tmp_path, {})
    raw = bytearray(file.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := raw.find(mark, at + 1)) >= 0:
            raw[at + place] |= 1
    file.write_bytes(raw)
    refused(file, tmp_path, "encrypted-archive")


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("data/e.csv")
    info.compress_type = zipfile.ZIP_BZIP2
    refused(packed(tmp_path, {"data/e.csv": b"x"}, infos={"data/e.csv": info}), tmp_path, "unknown-compression")


@pytest.mark.parametrize("name", ["setup.py", "data/evil.py", "model/model.pkl", "data/e.pickle", "model/x.joblib",
                                  "model/w.pt", "data/run.sh", "data/lib.so", "trials/a.exe", "data/e", "other/e.csv"])
def test_code_pickles_and_unknown_files_are_refused(name: str, tmp_path: Path) -> None:
    refused(packed(tmp_path, {name: b"x"}), tmp_path, "code-in-archive")


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    raw = io.BytesIO()
    np.save(raw, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    refused(packed(tmp_path, {"data/e.npy": raw.getvalue()}), tmp_path, "objects-in-array")
    raw = io.BytesIO()
    np.savez(raw, fine=np.arange(3), evil=np.array([None], dtype=object))
    refused(packed(tmp_path, {"model/e.npz": raw.getvalue()}), tmp_path, "objects-in-array")


def network(layer: Mapping[str, object], **files: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as out:
        out.writestr("config.json", json.dumps({"class_name": "Sequential", "module": "keras",
                                                "config": {"layers": [layer]}}))
        for name, content in files.items():
            out.writestr(name, content)
    return raw.getvalue()


@pytest.mark.parametrize("layer", [
    {"class_name": "Lambda", "module": "keras.layers", "config": {}},
    {"class_name": "__lambda__", "config": {"value": "4wEA"}},
    {"class_name": "system", "module": "os", "config": {}},
    {"class_name": "X", "module": "kerasevil", "config": {}}])
def test_a_network_with_code_in_it_is_refused(layer: Mapping[str, object], tmp_path: Path) -> None:
    refused(packed(tmp_path, {"data/base.keras": network(layer)}), tmp_path, "code-in-network")


def test_a_network_with_other_files_in_it_is_refused(tmp_path: Path) -> None:
    dense = {"class_name": "Dense", "module": "keras.layers", "config": {}}
    refused(packed(tmp_path, {"model/n.keras": network(dense, evil=b"x")}), tmp_path, "code-in-network")
    archives.unpack(packed(tmp_path, {"model/n.keras": network(dense)}), tmp_path / "fine")


@pytest.mark.parametrize("text", ["extends: ../other.yaml", "extends: https://a.org/x.amlphys.zip",
                                  "data: {path: /etc/passwd}", "data: {path: ../../secret.csv}",
                                  "data: {path: [data/a.csv, ~/b.csv]}", "base: {keras: 'C:\\x.keras'}"])
def test_a_recipe_that_reaches_out_is_refused(text: str, tmp_path: Path) -> None:
    refused(packed(tmp_path, {"recipe.yaml": f"recipe: 1\ntask: classify\n{text}\n".encode()}), tmp_path,
            "recipe-reaches-out")


def test_a_run_that_names_models_elsewhere_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"members": [{"folders": ["../../elsewhere"]}]}).encode()
    refused(packed(tmp_path, {"model/ensemble.json": text}), tmp_path, "unsafe-path")


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_truncated_archive_is_refused(keep: float, tmp_path: Path) -> None:
    file = packed(tmp_path, {"data/e.csv": bytes(range(256)) * 20})
    raw = file.read_bytes()
    file.write_bytes(raw[:int(keep * len(raw))])
    refused(file, tmp_path, "broken-archive")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.amlphys.zip"
    for raw in (b"", b"recipe: 1\n" * 9):
        file.write_bytes(raw)
        refused(file, tmp_path, "not-an-archive")
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("readme.txt", "hello")
    refused(file, tmp_path, "not-an-archive")


def test_any_damaged_byte_is_noticed_and_is_no_bug(tmp_path: Path) -> None:
    good = packed(tmp_path, {"data/e.csv": b"a,y\n1,0\n" * 30}).read_bytes()
    rng = np.random.default_rng(1)
    for number in range(300):
        raw = bytearray(good)
        raw[rng.integers(len(raw))] ^= int(rng.integers(1, 256))
        file = tmp_path / "y.amlphys.zip"
        file.write_bytes(raw)
        try:
            archives.unpack(file, tmp_path / str(number))
        except ArchiveError:
            assert not (tmp_path / str(number)).exists()
        else:  # a time stamp, or another thing that means nothing
            assert (tmp_path / str(number) / "data/e.csv").read_bytes() == b"a,y\n1,0\n" * 30


def test_a_later_format_says_so(tmp_path: Path) -> None:
    refused(packed(tmp_path, {}, manifest({"recipe.yaml": RECIPE}, format=2)), tmp_path, "newer-archive")
    refused(packed(tmp_path, {}, b'{"format": 1}'), tmp_path, "bad-manifest")
    refused(packed(tmp_path, {}, b"[" * 100_000), tmp_path, "bad-manifest")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = packed(tmp_path, {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert main(["unpack", str(file), "-o", str(tmp_path / "full")]) == 2
    assert "not empty" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["unpack", str(file), "-o", str(tmp_path / "empty")]) == 0
    assert "recipe.yaml" in capsys.readouterr().out


def test_the_hash_may_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = packed(tmp_path, {})
    assert main(["unpack", str(file), "-o", str(tmp_path / "a"), "--sha256", "0" * 64]) == 2
    assert not (tmp_path / "a").exists()
    right = hashlib.sha256(file.read_bytes()).hexdigest()
    assert main(["unpack", str(file), "-o", str(tmp_path / "a"), "--sha256", right]) == 0


@pytest.mark.parametrize(("address", "code"), [
    ("https://a.org/x.amlphys.zip", "address-without-hash"),
    ("https://a.org/x.amlphys.zip#sha256=123", "address-without-hash"),
    ("http://a.org/x.amlphys.zip#sha256=" + "0" * 64, "insecure-address"),
    ("http://localhost.a.org/x.amlphys.zip#sha256=" + "0" * 64, "insecure-address")])
def test_an_address_needs_a_hash_and_encryption(address: str, code: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        archives.opened(address)
    assert caught.value.mistakes[0].code == code and caught.value.mistakes[0].remedy


@pytest.mark.parametrize("file", sorted(KEPT.glob("*.amlphys.zip")), ids=lambda file: file.name)
def test_archives_of_earlier_versions_stay_readable(file: Path, tmp_path: Path) -> None:
    contents = archives.unpack(file, tmp_path / "out")
    assert contents.name == "small" and contents.task == "classify"
    assert main(["validate", str(file)]) == 0
