"""What the files of an archive may be: data, never code.

Takes the name of a member and its bytes on disk; refuses kinds of files that are not known to be data, arrays of Python
objects, networks with code in them, and recipes that reach out of the archive. Whether zip file and hashes are sound is
told before, in :mod:`automl_phys.archive_zip` and :mod:`automl_phys.archives`. How a model is loaded is its family's:
none unpickles, Keras loads in its safe mode.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from automl_phys import yaml_source
from automl_phys.archive_zip import refusal, sound_name
from automl_phys.errors import ArchiveError, RecipeError
from automl_phys.recipe_paths import named_paths

RECIPE, LOCK, DATA, README = "recipe.yaml", "recipe.lock.yaml", "data.json", "README.md"
ENSEMBLE = "model/ensemble.json"
OF_RUN = ("plan.json", "environment.json", "evaluation.json", "findings.json", "inputs.json", "manifest.json")
OF_MODEL = ("problem", "model", "trials")

MODEL_ENDINGS = (".json", ".npy", ".npz", ".parquet", ".keras", ".txt")
"""Files that prepared problems and saved models consist of."""
DATA_ENDINGS = (*MODEL_ENDINGS, ".pq", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt.gz", ".feather", ".arrow", ".ipc",
                ".h5", ".hdf5", ".hdf", ".root", ".png", ".jpg", ".jpeg", ".vec", ".vec.gz", ".yaml", ".md")

NETWORK_FILES = re.compile(r"config\.json|metadata\.json|model\.weights\.h5|assets/.*")
CODE_CLASSES = ("Lambda", "__lambda__", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer")
"""Classes of Keras that carry a program, or load one, in their settings."""
OWN_MODULES = re.compile(r"(keras|automl_phys)(\.|$)")
LARGEST_CONFIG = 50_000_000


def check_name(name: str) -> None:
    """Raise ArchiveError for a member that is in no place of ours, or of no kind that is known to be data
    (``code-in-archive``)."""
    path = PurePosixPath(name)
    lower = name.lower()
    if name in (RECIPE, LOCK, DATA, README, *OF_RUN):
        return
    if len(path.parts) > 1 and path.parts[0] in OF_MODEL and lower.endswith(MODEL_ENDINGS):
        return
    if len(path.parts) > 1 and path.parts[0] == "data" and lower.endswith(DATA_ENDINGS):
        return
    raise refusal("code-in-archive", f"'{name}' is none of the files that an archive is made of: recipe, data, models "
                  "as data. Programs, pickles and what is not known are not taken.")


def check_file(name: str, file: Path, limit_bytes: float) -> None:
    """Raise ArchiveError for a file whose contents are more than data: ``objects-in-array``, ``code-in-network``,
    ``recipe-reaches-out``, ``broken-archive``."""
    lower = name.lower()
    try:
        if lower.endswith(".npy"):
            with file.open("rb") as handle:
                _check_array(name, handle)
        elif lower.endswith(".npz"):
            _check_arrays(name, file, limit_bytes)
        elif lower.endswith(".keras"):
            _check_network(name, file, limit_bytes)
        elif name in (RECIPE, LOCK):
            _check_recipe(file, name)
        elif name == ENSEMBLE:
            _check_ensemble(file)
    except (OSError, ValueError, EOFError, RecursionError, NotImplementedError, RuntimeError, zipfile.BadZipFile,
            RecipeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise refusal("broken-archive", f"'{name}' cannot be read: {said[:200]}") from error


def check_network(file: Path) -> None:
    """Raise ArchiveError for a ``.keras`` file with code in it (``code-in-network``)."""
    _check_network(file.name, file, float("inf"))


def _check_array(name: str, handle: IO[bytes]) -> None:
    from numpy.lib import format as npy

    version = npy.read_magic(handle)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    if read(handle)[2].hasobject:
        raise refusal("objects-in-array", f"'{name}' holds Python objects, which only unpickling could read.")


def _check_arrays(name: str, file: Path, limit_bytes: float) -> None:
    with zipfile.ZipFile(file) as arrays:
        infos = arrays.infolist()
        _check_inner(name, infos, limit_bytes)
        for info in infos:
            with arrays.open(info) as handle:
                _check_array(f"{name}: {info.filename}", handle)


def _check_network(name: str, file: Path, limit_bytes: float) -> None:
    with zipfile.ZipFile(file) as network:
        infos = network.infolist()
        _check_inner(name, infos, limit_bytes)
        config = next((info for info in infos if info.filename == "config.json"), None)
        strange = next((info.filename for info in infos if not NETWORK_FILES.fullmatch(info.filename)), None)
        if strange is not None or config is None or config.file_size > LARGEST_CONFIG:
            raise _code_in_network(name, f"with '{strange}' in it" if strange else "without a plain description")
        layers = json.loads(network.read(config))
    for layer in _described(layers):
        kind, module = layer["class_name"], layer.get("module")
        if kind in CODE_CLASSES or not (module in (None, "builtins") or OWN_MODULES.match(str(module))):
            raise _code_in_network(name, f"with a {kind!r} of {module!r}")


def _code_in_network(name: str, what: str) -> ArchiveError:
    return refusal("code-in-network", f"'{name}' is a network {what}. Networks may have layers of Keras and of this "
                   "program, and no code of their own.", "Ask for a network without Lambda or custom layers.")


def _described(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in a network's description that names a class."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _described(value)
    elif isinstance(config, list):
        for value in config:
            yield from _described(value)


def _check_inner(name: str, infos: list[zipfile.ZipInfo], limit_bytes: float) -> None:
    """A file that is itself a zip file may not grow beyond what the whole archive may."""
    if sum(info.file_size for info in infos) > limit_bytes:
        raise refusal("zip-bomb", f"'{name}' would grow beyond the limit when it is read.")


def _check_recipe(file: Path, name: str) -> None:
    data, _ = yaml_source.parse(file.read_text(encoding="utf-8"), name)
    if name == LOCK and isinstance(data, dict):
        data = data.get("recipe")
    if not isinstance(data, dict):
        raise refusal("broken-archive", "Its recipe is none: it has no keys.")
    if "extends" in data:
        raise refusal("recipe-reaches-out", "Its recipe extends another one, which is not in the archive.",
                      "'automl-phys pack' merges what a recipe extends: have it packed again.")
    for path in named_paths(data):
        if PurePosixPath(path).is_absolute() or path.startswith(("~", "\\")) or ".." in re.split(r"[/\\]", path) or (
                re.match(r"[A-Za-z]:[/\\]", path)):
            raise refusal("recipe-reaches-out", f"Its recipe names {path!r}, which is outside the archive.",
                          "'automl-phys pack' makes such paths relative: have it packed again.")


def _check_ensemble(file: Path) -> None:
    """The folders of models that a run names are inside the run."""
    for text in _folders(json.loads(file.read_text(encoding="utf-8"))):
        if not sound_name(text) or PurePosixPath(text).parts[0] not in OF_MODEL:
            raise refusal("unsafe-path", f"It names a model at {text[:200]!r}, which is no place in a run.")


def _folders(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "folders":
                yield from map(str, value)
            else:
                yield from _folders(value)
    elif isinstance(data, list):
        for value in data:
            yield from _folders(value)
