"""Reducers and a clusterer one after the other, as one family: ``umap+hdbscan``, ``pca+umap+kmeans``.

Takes the words of the links; gives what every family gives. Parameters carry the name of their link,
``umap.neighbours``. What a link does is its own file's work in ``families/``.

A reduction depends on its own parameters and the run's seed alone, so trials share it: it is kept in the run's
``embeddings/`` and made once. A fit also tells how stable its clusters are, by clustering subsamples of the embedding
with the same settings (C. Hennig, Comput. Stat. Data Anal. 52 (2007) 258).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, cast
from zlib import crc32

import numpy as np

from automl_phys import assignment, cluster_scores, registry, rundir
from automl_phys.assignment import NOISE, Assignment
from automl_phys.contracts import Clusterer, Clustering, Portrayed, Reducer, Reduction
from automl_phys.errors import DataError, Mistake
from automl_phys.facts import Facts, Range
from automl_phys.proposals import fit_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl_phys.contracts import Searched
    from automl_phys.exhibits import Figure
    from automl_phys.points import Points, PointsProblem
    from automl_phys.trials import Job, Watch
    from automl_phys.values import Array, Params

SUBSAMPLES = 5
SUBSAMPLE_SHARE = 0.8
MOST_SUBSAMPLED = 4000
"""Points of a subsample: what stability is measured on need not grow with the data."""
MOST_DEFAULTS = 3


class Chain:
    """Satisfies ``contracts.Family``. Raises KeyError for a word that is no family."""

    def __init__(self, name: str) -> None:
        self.words = tuple(name.split("+"))
        self._links: tuple[Searched, ...] = tuple(registry.load("families", word) for word in self.words)
        *reducers, clusterer = self._links
        sound = bool(reducers) and "cluster" in clusterer.SOLVES and all("reduce" in r.SOLVES for r in reducers)
        self.SOLVES = frozenset({"reduce+cluster"} if sound and len(set(self.words)) == len(self.words) else ())
        self.NEEDS = tuple(dict.fromkeys(package for link in self._links for package in link.NEEDS))
        self.TEXT = ", then ".join(link.TEXT for link in self._links)

    def skip(self, facts: Facts) -> str | None:
        """The first link's reason that has one."""
        reasons = (f"{word} {reason}" for word, link in zip(self.words, self._links, strict=True)
                   if (reason := link.skip(facts)))
        return next(reasons, None)

    def memory_mb(self, facts: Facts) -> int:
        return max(link.memory_mb(facts) for link in self._links)

    def space(self, facts: Facts) -> dict[str, Range]:
        """The links' spaces together."""
        return {f"{word}.{name}": replace(allowed, when={f"{word}.{on}": values for on, values in allowed.when.items()})
                for word, link in zip(self.words, self._links, strict=True)
                for name, allowed in link.space(facts).items()}

    def defaults(self, facts: Facts) -> tuple[Params, ...]:
        """Each of the clusterer's defaults after each of the reducers', the best of both first."""
        each = [[_prefixed(word, params) for params in link.defaults(facts)]
                for word, link in zip(self.words, self._links, strict=True)]
        combined = sorted(product(*map(enumerate, each)), key=lambda links: sum(rank for rank, _ in links))
        return tuple({name: value for _, params in links for name, value in params.items()}
                     for links in combined[:MOST_DEFAULTS])

    def fit(self, problem: PointsProblem, params: Params, job: Job, watch: Watch) -> FittedChain:
        """Reduce, cluster, and cluster subsamples. Raises DataError for points that a link cannot take."""
        *words, last = self.words
        *reducers, clusterer = self._links
        reductions: list[Kept] = []
        points, known = problem.train.scaled, ""
        for word, reducer in zip(words, reducers, strict=True):
            own = _of_link(word, params)
            known = json.dumps([known, word, sorted(own.items())])
            kept = _reduced(cast(Reducer, reducer), points, own, job, known)
            points = kept.reduction.embedding
            reductions.append(kept)
        found = _clustered(cast(Clusterer, clusterer), points, _of_link(last, params), problem.share, job)
        digest = _digest(problem.train.scaled)
        return FittedChain(self.words, tuple(reductions), found.clustering, found.assigned, digest)

    def load(self, folder: Path) -> FittedChain:
        """Open what :meth:`FittedChain.save` wrote."""
        *reducers, clusterer = self._links
        stored = json.loads((folder / "chain.json").read_text(encoding="utf-8"))
        kept = tuple(Kept(cast(Reducer, reducer).load(folder / word), folder / word)
                     for word, reducer in zip(self.words, reducers, strict=False))
        assigned = assignment.unpack(np.load(folder / "assigned.npy", allow_pickle=False))
        return FittedChain(self.words, kept, cast(Clusterer, clusterer).load(folder / self.words[-1]), assigned,
                           stored["points"])


@dataclass(frozen=True)
class Kept:
    """A reduction, and the folder where it is saved already; None for one that is not."""

    reduction: Reduction
    folder: Path | None


@dataclass(frozen=True)
class FittedChain:
    """Satisfies ``contracts.Fitted`` and ``contracts.Portrayed``. By ``digest`` the points of the fit are known again.
    """

    words: tuple[str, ...]
    reductions: tuple[Kept, ...]
    clustering: Clustering
    assigned: Assignment
    digest: str
    steps: int = 1
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, rows: Points) -> Array:
        """Packed :class:`~automl_phys.assignment.Assignment` of points; the points of the fit are as the fit left them,
        others are placed into it."""
        if len(rows.scaled) == len(self.assigned.labels) and _digest(rows.scaled) == self.digest:
            return assignment.pack(self.assigned)
        places = rows.scaled
        for kept in self.reductions:
            places = kept.reduction.place(places)
        labels, probability = self.clustering.place(places)
        stability = np.append(_by_cluster(self.assigned), 0.0)[labels]
        return assignment.pack(Assignment(labels, probability, stability, self.assigned.agreement, places))

    def save(self, folder: Path) -> None:
        """Write each link into a folder of its name, and the assignment of the points of the fit."""
        folder.mkdir(parents=True, exist_ok=True)
        for word, kept in zip(self.words, self.reductions, strict=False):
            if kept.folder is None:
                kept.reduction.save(folder / word)
            else:
                _share(kept.folder, folder / word)
        self.clustering.save(folder / self.words[-1])
        np.save(folder / "assigned.npy", assignment.pack(self.assigned), allow_pickle=False)
        rundir.write_json(folder / "chain.json", {"links": self.words, "points": self.digest})

    def figures(self) -> tuple[Figure, ...]:
        """What the links have to show of themselves."""
        links = (*(kept.reduction for kept in self.reductions), self.clustering)
        return tuple(figure for link in links if isinstance(link, Portrayed) for figure in link.figures())


@dataclass(frozen=True)
class _Found:
    clustering: Clustering
    assigned: Assignment


def _reduced(reducer: Reducer, points: Array, params: Params, job: Job, known: str) -> Kept:
    """A reduction of the prepared points, made now or by an earlier trial; one of a variation is made anew."""
    seed = fit_seed(job.fold_seed if job.fold is None else job.seed, crc32(known.encode()))
    if job.fold is not None:
        return Kept(reducer.fit(points, params, replace(job, seed=seed)), None)
    folder = rundir.RunDir(Path(job.run_dir)).embeddings / sha256(known.encode()).hexdigest()[:16]
    if not folder.exists():
        draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        shutil.rmtree(draft, ignore_errors=True)
        reducer.fit(points, params, replace(job, seed=seed)).save(draft)
        with suppress(OSError):  # another worker was first, with the same numbers
            draft.rename(folder)
        shutil.rmtree(draft, ignore_errors=True)
    return Kept(reducer.load(folder), folder)


def _clustered(clusterer: Clusterer, points: Array, params: Params, share: float, job: Job) -> _Found:
    """Cluster, then cluster subsamples for the stability. ``share`` is of all points, what settings are meant for."""
    if not np.isfinite(points).all():
        raise DataError(Mistake("not-finite", "The reduced points are not finite.", "Try another reducer, or fewer "
                                "dimensions."))
    clustering = clusterer.fit(points, clusterer.thinned(params, share), job)
    rng = np.random.default_rng(job.seed)
    size = min(int(SUBSAMPLE_SHARE * len(points)), MOST_SUBSAMPLED)
    again = []
    for _ in range(SUBSAMPLES):
        rows = np.sort(rng.choice(len(points), size, replace=False))
        fewer = clusterer.thinned(params, share * size / len(points))
        again.append((rows, clusterer.fit(points[rows], fewer, job).labels))
    stability = np.append(cluster_scores.cluster_stability(clustering.labels, again), 0.0).astype(np.float32)
    agreement = float(np.mean([cluster_scores.agreement([clustering.labels[rows], labels]) for rows, labels in again]))
    return _Found(clustering, Assignment(clustering.labels, clustering.probabilities, stability[clustering.labels],
                                         agreement, points))


def _by_cluster(assigned: Assignment) -> NDArray[np.float32]:
    """The stability of each cluster (clusters,)."""
    stability = np.zeros(assigned.clusters, np.float32)
    stability[assigned.labels[assigned.labels != NOISE]] = assigned.stability[assigned.labels != NOISE]
    return stability


def _prefixed(word: str, params: Params) -> Params:
    return {f"{word}.{name}": value for name, value in params.items()}


def _of_link(word: str, params: Params) -> Params:
    return {name.removeprefix(f"{word}."): value for name, value in params.items() if name.startswith(f"{word}.")}


def _digest(points: Array) -> str:
    return sha256(np.ascontiguousarray(points).data).hexdigest()


def _share(source: Path, target: Path) -> None:
    """The same files in another folder: linked where the disk can, else copied."""

    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=link, dirs_exist_ok=True)
