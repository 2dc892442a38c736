"""Source ``root``: TTrees and RNTuples of ROOT files, read with uproot.

Takes a file and, after a colon, the name of a tree; gives its branches' kinds and its number of entries from the
header, and the named branches in chunks. Fixed-size arrays come in C order. Objects, and vectors of vectors, are not
read.
"""

from __future__ import annotations

import lzma
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Mistake
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".root",)
INSIDE = "tree"

TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")


def peek(location: Location) -> Header:
    """Columns and rows from the header of the tree.

    Raises DataError (``unreadable-file``, ``no-tree``, ``which-tree``, ``no-such-tree``, ``not-a-tree``).
    """
    with _tree(location) as tree:
        columns: dict[str, str] = {}
        shapes: dict[str, tuple[int, ...]] = {}
        for name in tree.keys(recursive=True, full_paths=False):
            kind, shape = _kind(tree[name])
            columns.setdefault(name, kind)
            if kind == "list" and shape:
                shapes[name] = shape
        return Header(columns, int(tree.num_entries), shapes)


def read(location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns in the tree's order of entries, at most ``chunk_rows`` at a time.

    Raises DataError as :func:`peek` does.
    """
    import pyarrow as pa

    with _tree(location) as tree:
        plain = [name for name in columns if _kind(tree[name])[0] in {"number", "flag"}]
        others = [name for name in columns if name not in plain]
        nothing: Iterator[dict[str, Any]] = repeat({})
        numbers = tree.iterate(plain, step_size=chunk_rows, library="np") if plain else nothing
        lists = tree.iterate(others, step_size=chunk_rows, library="ak") if others else nothing
        for values, arrays in zip(numbers, lists, strict=False):
            found = {name: pa.array(values[name]) for name in plain} | {name: _arrow(arrays[name]) for name in others}
            yield pa.table({name: found[name] for name in columns})


def _arrow(values: Any) -> Any:
    """Strings, lists, and fixed-size arrays, whose elements are put in one row."""
    import awkward
    import numpy as np
    import pyarrow as pa

    if values.ndim > 1 and "var" not in str(values.type) and "string" not in str(values.type):
        block = np.asarray(awkward.to_numpy(values))
        return pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), prod(block.shape[1:]))
    made = awkward.to_arrow(values, extensionarray=False)
    text = pa.types.is_large_string(made.type)
    if text or pa.types.is_string(made.type):
        return made.cast(pa.string())
    return made.cast(pa.large_list(made.type.value_type))


def _kind(branch: Any) -> tuple[str, tuple[int, ...]]:
    """The word for a branch's type, and the shape of an array that all entries share."""
    told = _plain(str(getattr(branch, "typename", "")))
    word, _, rest = told.partition("[")
    word = word.removeprefix("const ").strip()
    if told in {"std::string", "string", "char*", "TString"}:
        return "text", ()
    if not rest:
        inner, shape = _array(told)
        if shape:
            return ("list", shape) if inner in NUMBERS or inner == "bool" else ("other", ())
        if _element(told):
            return "list", ()
        return "flag" if word == "bool" else "number" if word in NUMBERS else "other", ()
    if word not in NUMBERS and word != "bool":
        return "other", ()
    sizes = told[len(word):].strip().strip("[]").split("][")
    if sizes == [""]:
        return "list", ()
    return ("list", tuple(int(size) for size in sizes)) if all(size.isdigit() for size in sizes) else ("other", ())


_ARRAY = re.compile(r"std::array<(.+), *(\d+)>")


def _plain(told: str) -> str:
    """The type ``std::array<std::array<float,3>,2>`` of an RNTuple's field as a TTree has it: ``float[2][3]``."""
    sizes = ""
    while found := _ARRAY.fullmatch(told):
        told, sizes = found[1], f"{sizes}[{found[2]}]"
    return told + sizes


NUMBERS = frozenset(
    {"float", "double", "Float16_t", "Double32_t", "char", "unsigned char", "short", "unsigned short", "int",
     "unsigned int", "long", "unsigned long", "long long", "unsigned long long"}
    | {f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    | {f"std::{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)})


def _array(told: str) -> tuple[str, tuple[int, ...]]:
    """What an array of an RNTuple holds, and its shape: 2 × 3 numbers are ``std::array<std::array<float,3>,2>``."""
    start, shape = "std::array<", []
    while told.startswith(start) and told.endswith(">"):
        told, _, size = told.removeprefix(start).removesuffix(">").rpartition(",")
        if not size.strip().isdigit():
            return "", ()
        shape.append(int(size))
        told = told.strip()
    return told, tuple(shape)


def _element(told: str) -> str:
    """What a vector holds, if it is one of numbers or flags."""
    for start in ("std::vector<", "vector<", "ROOT::VecOps::RVec<"):
        inner = told.removeprefix(start).removesuffix(">").strip()
        if told.startswith(start) and (inner in NUMBERS or inner == "bool"):
            return inner
    return ""


@contextmanager
def _tree(location: Location) -> Iterator[Any]:
    """The tree that is meant."""
    import uproot
    from uproot.deserialization import DeserializationError

    try:
        with uproot.open(location.path) as file:
            there, written = location.path.stat().st_size, int(file.file.fEND)
            if there < written:
                raise OSError(f"it has {there} of the {written} bytes that it should have")
            yield _found(file, location)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AssertionError, NotImplementedError, struct.error,
            zlib.error, lzma.LZMAError, RuntimeError, DeserializationError) as error:
        raise DataError(Mistake("unreadable-file", f"{location.path} cannot be read as a ROOT file: "
                                f"{' '.join(str(error).split())[:200]}",
                                "It may be truncated or of another format: copy or write it again.")) from error


def _found(file: Any, location: Location) -> Any:
    classes = {name.partition(";")[0]: kind for name, kind in file.classnames(recursive=True).items()}
    trees = [name for name, kind in classes.items() if kind in TREES]
    name = location.inside
    if not name:
        if len(trees) == 1:
            return file[trees[0]]
        if not trees:
            raise DataError(Mistake("no-tree", f"{location.path} holds no TTree and no RNTuple.",
                                    "Give a file with one, or histograms' events as a table."))
        raise DataError(Mistake("which-tree", f"{location.path} holds several trees: {', '.join(trees)}.",
                                f"Name one after a colon: {Path(location.path).name}:{trees[0]}."))
    plain = name.partition(";")[0]
    if plain not in classes:
        raise DataError(Mistake("no-such-tree", f"There is no '{name}' in {location.path}."
                                f"{did_you_mean(plain, trees)}", f"Trees: {', '.join(trees) or 'none'}."))
    if classes[plain] not in TREES:
        raise DataError(Mistake("not-a-tree", f"'{name}' in {location.path} is a {classes[plain]}, not a tree.",
                                f"Trees: {', '.join(trees) or 'none'}."))
    return file[name]
