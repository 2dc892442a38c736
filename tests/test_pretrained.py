"""Bases are found, and what is wrong with them is told, without Keras; the table of applications is Keras's own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from automl_phys import pretrained
from automl_phys.errors import DataError
from automl_phys.sections import Base


def found(folder: Path, **base: Any) -> pretrained.Found:
    return pretrained.find(Base.model_validate(base), folder)


def mistake(folder: Path, **base: Any) -> Any:
    with pytest.raises(DataError) as error:
        found(folder, **base)
    return error.value.mistakes[0]


def network_file(path: Path, *shapes: list[int | None], more: Sequence[Mapping[str, object]] = ()) -> Path:
    """What of a ``.keras`` file is looked at: inputs of these shapes, and ``more`` layers."""
    layers = [*({"class_name": "InputLayer", "config": {"batch_shape": shape}} for shape in shapes), *more]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Functional", "config": {"layers": layers}}))
    return path


def test_every_application_of_keras_is_known() -> None:
    import keras

    there = {name for name in dir(keras.applications) if name[0].isupper()}
    assert set(pretrained.APPLICATIONS) == there


def test_the_least_side_of_each_application_is_keras_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from keras import applications
    from keras.src.applications import imagenet_utils

    class SeenError(Exception):
        pass

    def stop(*_: Any, min_size: int, **__: Any) -> None:
        raise SeenError(min_size)

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", stop)
    least = {}
    for name in pretrained.APPLICATIONS:
        if name.startswith("MobileNetV3"):  # says it in code of its own
            with pytest.raises(ValueError, match="at least 32x32"):
                getattr(applications, name)(weights=None, include_top=False, input_shape=(31, 31, 3))
            least[name] = 32
            continue
        with pytest.raises(SeenError) as seen:
            getattr(applications, name)(weights=None, include_top=False, input_shape=(224, 224, 3))
        least[name] = seen.value.args[0]
    assert {name: side for name, (_, side) in pretrained.APPLICATIONS.items()} == least


@pytest.mark.parametrize(("base", "key"), [({"keras": "gone.keras"}, "keras"), ({"embeddings": "gone.vec"}, "embeddings"),
                                          ({"application": "VGG16", "weights": "gone.h5"}, "weights")])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, base: dict[str, str], key: str) -> None:
    (tmp_path / "gome.keras").touch()
    said = mistake(tmp_path, **base)
    assert said.code == "missing-file" and str(tmp_path) in said.text and said.key == ("base", key)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 but cut off", b"\x89HDF\r\n\x1a\n"])
def test_a_file_that_is_no_network_of_keras_is_told_before_anything_is_prepared(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some.keras").write_bytes(content)
    said = mistake(tmp_path, keras="some.keras")
    assert said.code == "unreadable-file" and said.key == ("base", "keras") and "some.keras" in said.text


@pytest.mark.parametrize("layer", [
    {"class_name": "Lambda", "module": "keras.layers", "config": {}}, {"class_name": "Run", "module": "os", "config": {}}])
def test_a_network_with_code_of_its_own_is_refused(tmp_path: Path, layer: dict[str, object]) -> None:
    network_file(tmp_path / "some.keras", [None, 4], more=[layer])
    said = mistake(tmp_path, keras="some.keras")
    assert said.code == "code-in-network" and said.key == ("base", "keras") and "some.keras" in said.text


def test_a_network_of_series_is_told_from_one_of_images(tmp_path: Path) -> None:
    network_file(tmp_path / "series.keras", [None, 50, 3])
    network_file(tmp_path / "images.keras", [None, 8, 8, 1], [None, 4])
    assert found(tmp_path, keras="series.keras").series
    assert not found(tmp_path, keras="images.keras").series


def test_the_hash_tells_bases_apart_by_what_is_in_them(tmp_path: Path) -> None:
    network_file(tmp_path / "one.keras", [None, 4])
    first = found(tmp_path, keras="one.keras").digest
    (tmp_path / "same.keras").write_bytes((tmp_path / "one.keras").read_bytes())
    assert found(tmp_path, keras="same.keras").digest == first
    network_file(tmp_path / "one.keras", [None, 5])
    assert found(tmp_path, keras="one.keras").digest != first
    plain, sized = found(tmp_path, application="VGG16"), found(tmp_path, application="VGG16", size=64)
    assert plain.digest != sized.digest != found(tmp_path, application="VGG19", size=64).digest


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    said = mistake(tmp_path, run="runs")
    assert said.code == "no-such-run" and said.key == ("base", "run")


def test_finding_a_base_imports_nothing_heavy(tmp_path: Path) -> None:
    network_file(tmp_path / "one.keras", [None, 4])
    code = ("import sys; from pathlib import Path; from automl_phys import pretrained; from automl_phys.sections import "
            f"Base; pretrained.find(Base(keras='one.keras'), Path({str(tmp_path)!r}))\n"
            "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)
