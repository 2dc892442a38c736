"""Prepared points: rows without labels as memory-mapped arrays, and variations of them.

Takes the folder that :mod:`automl_phys.points` wrote; gives all its points as reducers and clusterers take them. In the
folder:

- ``problem.json``: :class:`Stored`
- ``scaled.npy`` float32 (n, D), in which distances are measured; ``numbers.npy`` float32 (n, d), the features in their
  own units; in the order of the data
- ``truth.npy`` int32 (n,), where there is a truth; no family sees it
- ``carried.parquet``: ``row``, the position in the data as read, counting from 0, and the spectators
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import arrays, points_scale, rundir
from automl_phys.facts import Facts
from automl_phys.table_files import Used
from automl_phys.table_problem import CARRIED, DESCRIPTION
from automl_phys.table_view import View
from automl_phys.values import Part

if TYPE_CHECKING:
    import pyarrow as pa

VARIATIONS = ("bootstrap", "shuffled", "gaussian")

BOOTSTRAP_SHARE = 0.8

BOOTSTRAP_ROWS = 50_000
"""Most rows that are fitted again: all the points are placed by each such fit."""
NULL_ROWS = 20_000
"""Most rows of a null: it need only show what is found where nothing is."""


@dataclass(frozen=True)
class Schema:
    """What the columns of prepared points mean; enough to read new data the same way.

    ``numbers``, ``levels``, ``spectators``, ``missing``, ``medians``, ``indicators`` and ``view`` as
    in ``table_problem.Schema``. The columns of ``Points.scaled`` are ``columns``; they were shifted by ``centre`` and
    divided by ``width`` (D,). ``classes`` are the names of the truth's codes 0, 1, …
    """

    numbers: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    spectators: tuple[str, ...]
    missing: str
    medians: Mapping[str, float]
    indicators: tuple[str, ...]
    scale: str
    centre: tuple[float, ...]
    width: tuple[float, ...]
    truth: str | None
    classes: tuple[str, ...]
    view: View = field(default_factory=View)

    @property
    def features(self) -> tuple[str, ...]:
        """The numeric features as they stand in the file."""
        return self.numbers[: len(self.numbers) - len(self.indicators)]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of ``Points.scaled``: the numbers, then ``side=left`` for each level of each category."""
        return (*self.numbers, *(f"{name}={level}" for name, levels in self.levels.items() for level in levels))


@dataclass(frozen=True)
class Stored:
    """The description of prepared points on disk."""

    fingerprint: str
    schema: Schema
    facts: Facts
    files: tuple[Used, ...]


@dataclass(frozen=True)
class Points:
    """Points as reducers and clusterers take them, and nothing else of them.

    ``scaled`` is float32 (n, D), alike in scale; ``numbers`` float32 (n, d) are the features in their own units, in
    which clusters are described.
    """

    scaled: NDArray[np.float32]
    numbers: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scaled)


@dataclass(frozen=True)
class NewPoints(Points):
    """Points of new data. ``carried`` has ``row``, the position in the data as read counting from 0, and the
    spectators; ``notes`` say what was not as in training."""

    carried: pa.Table = None
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class PointsProblem:
    """Prepared points on disk, or a variation of them. Satisfies ``contracts.Problem``.

    Clusters describe these data, so there is nothing to hold out: train, valid and test are all the points. A
    ``bootstrap`` is fitted on a part of them and judged on all; the nulls, ``shuffled`` and ``gaussian``, are points of
    their own. ``seed`` decides a variation, which is made when it is first looked at, in memory.
    """

    folder: Path
    stored: Stored
    variation: str = ""
    seed: tuple[int, ...] = ()

    @property
    def schema(self) -> Schema:
        return self.stored.schema

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the arrays: the files' contents, the recipe's ``data``, the seed."""
        return self.stored.fingerprint

    def facts(self) -> Facts:
        return replace(self.stored.facts, rows={"train": len(self.train)})

    @cached_property
    def train(self) -> Points:
        rng = np.random.default_rng(self.seed)
        if self.variation == "bootstrap":
            return _subsample(self._points, rng)
        if self.variation == "shuffled":
            blocks = [1] * len(self.schema.numbers) + [len(levels) for levels in self.schema.levels.values()]
            return self._null(_shuffled(self._points.scaled, blocks, rng))
        if self.variation == "gaussian":
            return self._null(_gaussian(self._points.scaled, rng))
        return self._points

    @property
    def valid(self) -> Points:
        return self._points if self.variation in {"", "bootstrap"} else self.train

    @property
    def test(self) -> Points:
        return self.valid

    @property
    def share(self) -> float:
        """How many points are fitted, over all that there are: what settings that count points are scaled by."""
        return len(self.train) / len(self._points)

    @property
    def truth(self) -> NDArray[np.int32] | None:
        """True class codes (n,) of the points, -1 where there is none; None when the data have no truth.

        For scoring what was found, once it is chosen.
        """
        return None if self.schema.truth is None else self._load("truth")

    def carried(self, _part: Part) -> pa.Table:
        """``row`` and the spectators of the points, which are those of every part."""
        from pyarrow import parquet

        return parquet.read_table(self.folder / CARRIED)

    def resamples(self, count: int, seed: int) -> Sequence[PointsProblem]:
        """``count`` variations, of each of ``VARIATIONS`` in turn; the i-th depends on ``seed`` and i alone.

        ``bootstrap``: fitted on 80 % of the points, without replacement, judged on all. ``shuffled``: each column of
        the data permuted by itself, which leaves its distribution and takes away what ties it to others. ``gaussian``:
        normal, with the points' mean and covariance. Bootstraps have at most ``BOOTSTRAP_ROWS`` rows, nulls at most
        ``NULL_ROWS``. A single column that is permuted is what it was, so that is left out.
        """
        single = len(self.schema.numbers) + len(self.schema.levels) == 1
        kinds = [kind for kind in VARIATIONS if not (single and kind == "shuffled")]
        return [PointsProblem(self.folder, self.stored, kinds[i % len(kinds)], (seed, i)) for i in range(count)]

    def whole(self) -> PointsProblem:
        """All the points: itself."""
        return self

    @cached_property
    def _points(self) -> Points:
        return Points(self._load("scaled"), self._load("numbers"))

    def _null(self, scaled: NDArray[np.float32]) -> Points:
        d = len(self.schema.numbers)
        centre, width = np.array(self.schema.centre[:d]), np.array(self.schema.width[:d])
        return Points(scaled, (scaled[:, :d] * width + centre).astype(np.float32))

    def _load(self, name: str) -> NDArray[Any]:
        return arrays.mapped(self.folder / f"{name}.npy")


def load(folder: Path) -> PointsProblem:
    """Open prepared points; maps the files, reads none of them. Raises CallError when not there or damaged."""
    return PointsProblem(folder, rundir.read_json(folder / DESCRIPTION, Stored))


def _subsample(points: Points, rng: np.random.Generator) -> Points:
    rows = min(round(BOOTSTRAP_SHARE * len(points)), BOOTSTRAP_ROWS)
    pick = np.sort(rng.choice(len(points), rows, replace=False))
    return Points(points.scaled[pick], points.numbers[pick])


def _shuffled(scaled: NDArray[np.float32], blocks: Sequence[int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Columns (n, D) permuted independently, the levels of one category together: ``blocks`` are adjacent columns."""
    rows = min(len(scaled), NULL_ROWS)
    made = np.empty((rows, scaled.shape[1]), np.float32)
    start = 0
    for count in blocks:
        made[:, start:start + count] = scaled[rng.permutation(len(scaled))[:rows], start:start + count]
        start += count
    return made


def _gaussian(scaled: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Normal points with mean and covariance of (n, D).

    Standard normal numbers times the covariance's symmetric root, which unlike other roots is unique.
    """
    mean, covariance = points_scale.covariance(scaled)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    normal = rng.standard_normal((min(len(scaled), NULL_ROWS), len(mean)))
    made: NDArray[np.float32] = (normal @ root + mean).astype(np.float32)
    return made
