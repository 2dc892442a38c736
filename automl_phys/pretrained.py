"""What a network is transferred from, found without Keras: a run, a ``.keras`` file, an application, word vectors.

Takes ``base`` of a recipe; gives the files it is made of and a hash of them, or what is wrong with it. Building the
network is :mod:`automl_phys.backbones`'s work.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import archive_contents, file_hashes, rundir
from automl_phys.decisions import Plan
from automl_phys.errors import ArchiveError, AutomlPhysError, DataError, Key, Mistake
from automl_phys.registry import did_you_mean
from automl_phys.rundir import RunDir
from automl_phys.trials import Ensemble

if TYPE_CHECKING:
    from automl_phys.sections import Base

KINDS = ("application", "run", "keras", "embeddings")

CAFFE, TENSORFLOW, TORCH, INSIDE = "caffe", "tf", "torch", "none"
"""How pixels of 0 … 255 are put to an application: blue, green and red, centred; -1 … 1; standardised; as they are."""

APPLICATIONS = {
    **{f"ConvNeXt{size}": (INSIDE, 32) for size in ("Tiny", "Small", "Base", "Large", "XLarge")},
    **{f"DenseNet{size}": (TORCH, 32) for size in (121, 169, 201)},
    **{f"EfficientNetB{size}": (INSIDE, 32) for size in range(8)},
    **{f"EfficientNetV2{size}": (INSIDE, 32) for size in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    "InceptionResNetV2": (TENSORFLOW, 75), "InceptionV3": (TENSORFLOW, 75),
    "MobileNet": (TENSORFLOW, 32), "MobileNetV2": (TENSORFLOW, 32),
    "MobileNetV3Large": (INSIDE, 32), "MobileNetV3Small": (INSIDE, 32),
    "NASNetLarge": (TENSORFLOW, 32), "NASNetMobile": (TENSORFLOW, 32),
    **{f"ResNet{size}": (CAFFE, 32) for size in (50, 101, 152)},
    **{f"ResNet{size}V2": (TENSORFLOW, 32) for size in (50, 101, 152)},
    "VGG16": (CAFFE, 32), "VGG19": (CAFFE, 32), "Xception": (TENSORFLOW, 71),
}
"""The classifiers of ``keras.applications``: how pixels are put to each, and its least side."""

KEY: Key = ("base",)


@dataclass(frozen=True)
class Found:
    """A base: its ``kind`` of ``KINDS``, and what is needed to build it.

    ``file`` is the network of a run or the ``.keras`` file, the weights of an application where they are a file, or the
    vectors; None for an application with weights from Keras or without any. ``features`` are the columns that a run's
    network takes, in order; ``text`` says what it is, for people. ``series`` says that what it takes as images are
    series (t, f), in which places have another meaning than in images.
    """

    kind: str
    name: str
    file: Path | None
    text: str
    features: tuple[str, ...] = ()
    size: int | None = None
    series: bool = False

    @property
    def digest(self) -> str:
        """Hash of all that decides the base."""
        content = file_hashes.sha256(self.file) if self.file else ""
        return hashlib.sha256(json.dumps([self.kind, self.name, content, list(self.features), self.size]).encode()
                              ).hexdigest()


def find(base: Base, folder: Path) -> Found:
    """The base that a recipe in ``folder`` names. Raises DataError: ``missing-file``,
    ``no-such-run``, ``base-is-no-network``, ``unreadable-file``, ``code-in-network``."""
    if base.application is not None:
        named = base.weights in {"imagenet", "none"}
        file = None if named else _file(folder / base.weights, (*KEY, "weights"))
        with_weights = {"none": "without weights", "imagenet": "trained on ImageNet"}.get(
            base.weights, f"with the weights in {base.weights}")
        return Found("application", f"{base.application}:{base.weights if named else 'file'}", file,
                     f"{base.application} {with_weights}", size=base.size)
    if base.run is not None:
        return _of_run(folder / base.run)
    if base.keras is not None:
        key = (*KEY, "keras")
        file = _file(folder / base.keras, key)
        _refuse_code(file, key)
        return Found("keras", "keras", file, f"the network in {base.keras}", series=_takes_series(file, key))
    return Found("embeddings", "embeddings", _file(folder / str(base.embeddings), (*KEY, "embeddings")),
                 f"the word vectors in {base.embeddings}")


def _file(path: Path, key: Key) -> Path:
    if path.is_file():
        return path
    near = did_you_mean(path.name, [f.name for f in path.parent.iterdir()]) if path.parent.is_dir() else ""
    raise DataError(Mistake("missing-file", f"There is no file {path}.{near}", "A path is relative to the recipe's "
                            "folder.", key))


def _of_run(path: Path) -> Found:
    """The network that counts most in a run's winner; where that has none, the best one of any family."""
    key = (*KEY, "run")
    run_dir = RunDir(path)
    try:
        plan, winner = rundir.read_json(run_dir.plan, Plan), rundir.read_json(run_dir.ensemble, Ensemble)
    except AutomlPhysError as error:
        raise DataError(Mistake("no-such-run", f"{path} is no finished run: {error.mistakes[0].text}",
                                "Give the folder of a run, such as runs/qcd-vs-w/latest.", key)) from error
    members = (*sorted(winner.members, key=lambda m: -m.weight), *winner.singles.values())
    networks = [(member, file) for member in members
                for folder in member.folders[:1] for file in sorted((path / folder).glob("*.keras"))]
    if not networks:
        families = ", ".join(dict.fromkeys(member.family for member in members))
        raise DataError(Mistake("base-is-no-network", f"The run {path} has no network in it: {families}.",
                                "Run that recipe with families: [cnn], or [mlp].", key))
    member, file = networks[0]
    text = f"{member.family.replace('_', ' ')} of the run {plan.name}"
    return Found("run", plan.task, file, text, _features(run_dir), series=_takes_series(file, key))


def _takes_series(file: Path, key: Key) -> bool:
    """Whether a ``.keras`` file's network takes arrays of two sides, by the description in it. Nothing in the file is
    run, so this is safe to do with any."""
    try:
        with zipfile.ZipFile(file) as archive:
            described = json.loads(archive.read("config.json"))
        return any(len(shape) == 3 for shape in _input_shapes(described["config"]))
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise _unreadable(file, error, key) from error


def _refuse_code(file: Path, key: Key) -> None:
    """Raise DataError for a ``.keras`` file whose network brings code of its own, or that is none."""
    try:
        archive_contents.check_network(file)
    except ArchiveError as error:
        raise DataError([replace(one, key=key) for one in error.mistakes]) from error
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise _unreadable(file, error, key) from error


def _unreadable(file: Path, error: Exception, key: Key) -> DataError:
    return DataError(Mistake("unreadable-file", f"{file} is no network saved by Keras, or damaged: "
                             f"{' '.join(str(error).split())[:200]}", "Save it with model.save('….keras').", key))


def _input_shapes(config: dict[str, Any]) -> list[list[int | None]]:
    """The shapes of a network's inputs, the rows' side first; empty where its layers are not listed."""
    layers = config.get("layers", ())
    return [layer["config"]["batch_shape"] for layer in layers if layer["class_name"] == "InputLayer"]


def _features(run_dir: RunDir) -> tuple[str, ...]:
    """The numeric columns that a run's networks take, read off its prepared problem."""
    from automl_phys import table_problem

    try:
        schema = table_problem.load(run_dir.problem).schema
    except AutomlPhysError as error:
        raise DataError(Mistake("no-such-run", f"What {run_dir.path} was trained on is not a table: "
                                f"{error.mistakes[0].text}", "Give a run of classify, regress or transfer.",
                                (*KEY, "run"))) from error
    if schema.levels:
        raise DataError(Mistake("base-does-not-fit", f"The network of {run_dir.path} takes categories: "
                                f"{', '.join(schema.levels)}.", "Networks with categories are not transferred: train "
                                "one on numbers or images alone.", (*KEY, "run")))
    return schema.numbers
