"""A file against the run that it came from: the same events, in a fresh process with the consumer's library alone.

Takes arrays; gives how far apart two answers are, in words, or RunError where they are too far. The tolerances are
float32's, with room for a few hundred sums: ``docs/export.md`` says them to the user.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from automl_phys.errors import Mistake, RunError
from automl_phys.values import Array

TOLERANCE = 1e-5
"""Of probabilities; of amounts, times the largest that was predicted."""
ON_A_CUT = 0.01
"""Share of events that may be further apart where trees cut what a graph computes: a last digit may decide."""
FARTHEST = 0.05
"""How far these may be apart."""
SAME_CLASS = 0.999
"""Share of events whose most probable class must be the same."""
SECONDS = 600


def fresh(script: str, folder: Path, file: Path, given: Mapping[str, Array]) -> dict[str, Array]:
    """Run Python code in a new process, which reads arrays from ``argv[2]`` and writes some to ``argv[3]``, both npz;
    ``argv[1]`` is the exported file. Raises RunError when it fails."""
    before, after = folder / "given.npz", folder / "found.npz"
    np.savez(before, **given)  # type: ignore[arg-type]  # numpy's stubs take it for allow_pickle
    try:
        ended = subprocess.run(  # noqa: S603 - our own interpreter and our own code
            [sys.executable, "-P", "-c", script, str(file), str(before), str(after)], capture_output=True, text=True,
            timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise _refused(f"a fresh process did not finish with it in {SECONDS} seconds") from error
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise _refused(f"a fresh process could not use it: {lines[-1][:300]}")
    with np.load(after, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def _refused(why: str) -> RunError:
    return RunError(Mistake("export-refused", f"The exported file was not kept: {why}.",
                            "Nothing was written. Please report it, with the run's recipe."))


def agree(wanted: Array, found: Array, classes: bool, on_cuts: bool = False) -> str:
    """How far answers (n, k) are from those that are wanted, in words. NaN agrees with NaN.

    ``classes`` says that they are probabilities; amounts are compared in units of the largest of their column.
    ``on_cuts`` is for trees that cut what the file computes. Raises RunError where they are too far apart.
    """
    if wanted.shape != found.shape:
        raise _refused(f"it gives {found.shape} numbers instead of {wanted.shape}")
    if (np.isnan(wanted) != np.isnan(found)).any():
        raise _refused(f"{int((np.isnan(wanted) != np.isnan(found)).any(axis=1).sum())} of {len(wanted)} events are "
                       "NaN on one side only")
    with np.errstate(invalid="ignore"):
        apart = np.where(wanted == found, 0.0, np.abs(wanted.astype(np.float64) - found))
    unit = np.ones(wanted.shape[1])
    if not classes:
        finite = np.where(np.isfinite(wanted), np.abs(wanted), 0.0)
        unit = np.maximum(finite.max(axis=0, initial=0.0), np.finfo(np.float32).tiny)
    each = np.nan_to_num(apart / unit, nan=0.0, posinf=np.inf).max(axis=1, initial=0.0)
    largest, beyond = float(each.max(initial=0.0)), int((each > TOLERANCE).sum())
    if beyond and not (on_cuts and beyond <= ON_A_CUT * len(each) and largest <= FARTHEST):
        raise _refused(f"{beyond} of {len(each)} events differ by more than {TOLERANCE:g} from what the run predicts, "
                       f"the farthest by {largest:.2g}")
    if classes and len(wanted):
        there = ~np.isnan(wanted).any(axis=1)
        same = float((wanted[there].argmax(axis=1) == found[there].argmax(axis=1)).mean()) if there.any() else 1.0
        if same < SAME_CLASS:
            raise _refused(f"only {same:.2%} of the events are put into the same class")
    of = "" if classes else " of the largest value"
    rest = f"; {beyond} of them lie on a cut of a tree and differ by more than {TOLERANCE:g}" if beyond else ""
    return f"{len(each)} events compared in a fresh process: the largest difference is {largest:.1e}{of}{rest}."


def joined(arrays: Sequence[Array]) -> Array:
    """Answers side by side, (n, all columns)."""
    return np.concatenate([np.asarray(one).reshape(len(one), -1) for one in arrays], axis=1)
