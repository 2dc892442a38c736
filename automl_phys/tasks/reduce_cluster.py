"""Task ``reduce+cluster``: see the structure of unlabelled data, and know whether to believe it.

Takes a recipe's ``data``, ``reduce`` and ``cluster``, and finished chains; gives prepared points, scores without
labels, and what there is to see. Points are :mod:`automl_phys.points`'s work, scores
:mod:`automl_phys.cluster_scores`'s, what is shown :mod:`automl_phys.cluster_exhibits`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from automl_phys import measures, registry
from automl_phys.contracts import Candidate
from automl_phys.errors import DataError, Mistake, RecipeError
from automl_phys.exhibits import Evaluation
from automl_phys.facts import Facts
from automl_phys.section import Broken, Columns, Missing, Section
from automl_phys.sections import PointsData
from automl_phys.telling import Tell, nobody
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.column_profiles import Looked
    from automl_phys.drafting import Drafted
    from automl_phys.points import NewPoints, Points, PointsProblem
    from automl_phys.values import Array

TEXT = "find structure in data without labels, and say whether to believe it"
DEFAULT_OBJECTIVE = "structure"
BASELINE = "pca+kmeans"
EXAMPLE = Facts("table", {"train": 1000}, {"numbers": 20, "categories": 0, "outputs": 0, "folds": 0})
REPLICAS = 12
REPLICATED = "winner"
LEADERS = 0.0
FRAMEWORK = ""
OBJECTIVES: Mapping[str, Direction] = measures.Objectives(measures.OF_CLUSTERS)

COLOURS = "colours.json"
"""In the folder of the prepared points: what the recipe wants the map coloured by."""
FIRST = ("structure", "clusters", "noise", "stability", "excess", "adjusted_rand")
"""Metrics that are told first."""

Words = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
Count = Annotated[int, Field(ge=1)]


class Dimensions(Section):
    """How many dimensions are searched: between two numbers, both included, or some."""

    low: Count | Missing = None
    """Fewest dimensions."""
    high: Count | Missing = None
    """Most dimensions."""
    choices: Annotated[tuple[Count, ...], Field(strict=False, min_length=1)] | Missing = None
    """The numbers of dimensions to try."""


class Reduce(Section):
    """How the points are brought to fewer dimensions, and how the map of them is coloured."""

    families: Words = ("pca", "umap")
    """Reducers to try: words, or several that follow one another such as pca+umap."""
    dimensions: Count | Dimensions | Missing = None
    """Dimensions that clusters are looked for in: a number, {low: …, high: …} or {choices: […]}. Default: searched.
    Of no concern to reducers that leave no choice, such as tsne, which makes two, and none."""
    colour: Columns | Missing = None
    """Features or spectators that colour the map. Default: the six features that tell the clusters apart best."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        yield from _unknown(self.families, "reduce")
        for chain in self.families:
            if len(set(chain.split("+"))) < len(chain.split("+")):
                yield Broken("families", f"'{chain}' reduces twice with the same.", "Name each reducer once.")
        if isinstance(asked := self.dimensions, Dimensions):
            if (asked.choices is None) == (asked.low is None and asked.high is None):
                yield Broken("dimensions", "'dimensions' is neither a number, a range nor a choice.",
                             "Write 2, {low: 2, high: 10} or {choices: [2, 3]}.")
            elif asked.low is not None and asked.high is not None and asked.low > asked.high:
                yield Broken("dimensions", f"'low' is {asked.low} and 'high' is {asked.high}.", "Exchange the two.")


class Cluster(Section):
    """How clusters are looked for among the reduced points."""

    families: Words = ("kmeans", "gaussian_mixture", "hdbscan")
    """Clusterers to try. Each is tried after each of the reducers."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        yield from _unknown(self.families, "cluster")


class Options(Section):
    """The sections of a recipe that belong to this task."""

    data: PointsData
    """Where the points are, and the part that each column plays."""
    reduce: Reduce = Field(default_factory=Reduce)
    """How the points are brought to fewer dimensions."""
    cluster: Cluster = Field(default_factory=Cluster)
    """How clusters are looked for."""


def _wrong_colours(options: Options, folder: Path) -> list[Mistake]:
    """Columns that are to colour the map and are neither features nor spectators."""
    from automl_phys import table_files, table_roles

    data = options.data
    roles, _, _ = table_roles.assign(data, table_files.of_recipe(data, folder))
    known = (*roles.numbers, *roles.spectators)
    return [Mistake("no-such-column", f"'{name}' is neither a numeric feature nor a spectator."
                    f"{registry.did_you_mean(name, known)}", "Name it under data: spectators:, or leave it out.",
                    ("reduce", "colour", i))
            for i, name in enumerate(options.reduce.colour or ()) if name not in known]


def _unknown(words: Sequence[str], kind: Literal["reduce", "cluster"]) -> Iterator[Broken]:
    """Words that are repeated, or no family of this kind; reducers may be joined by ``+``."""
    known = [name for name in registry.names("families") if kind in registry.load("families", name).SOLVES]
    called = {"reduce": "reducer", "cluster": "clusterer"}[kind]
    for i, word in enumerate(words):
        if word in words[:i]:
            yield Broken("families", f"'{word}' is named twice.", "Keep one of the two.")
        for link in word.split("+") if kind == "reduce" else [word]:
            if link not in known:
                meant = registry.did_you_mean(link, known)
                yield Broken("families", f"'{link}' is no {called}.{meant}", f"Known: {', '.join(known)}.")


# ---------------------------------------------------------------- which chains

def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """Every clusterer after every reducer, or the chains ``asked`` for. Raises RecipeError for what is no chain."""
    if not asked:
        return [f"{reducer}+{clusterer}" for reducer, clusterer in product(
            options.reduce.families, options.cluster.families)]
    mistakes = [Mistake("no-chain", f"'{word}' is no chain of a reducer and a clusterer.",
                        "Leave out model.families and name them in reduce.families and cluster.families, or write "
                        f"chains such as {BASELINE}.", ("model", "families", i))
                for i, word in enumerate(asked) if "+" not in word]
    if options.reduce.dimensions is not None:
        mistakes.append(Mistake("two-places", "The chains are named in model.families, so 'dimensions' means none of "
                                "them.", "Give the dimensions with the family, e.g. model.umap.dimensions.",
                                ("reduce", "dimensions")))
    if mistakes:
        raise RecipeError(mistakes)
    return asked


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """Nothing: every objective can be had of every set of points."""
    return None


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """By chain, what ``reduce.dimensions`` says of its last reducer's parameter of that name."""
    asked = options.reduce.dimensions
    if asked is None:
        return {}
    value: Any = asked if isinstance(asked, int) else asked.model_dump(exclude_none=True)
    if isinstance(value, dict) and "choices" in value:
        value = {"choices": list(value["choices"])}
    last = {chain: chain.split("+")[-2] for chain in (*families(options, ()), BASELINE)}
    return {chain: {f"{reducer}.dimensions": value} for chain, reducer in last.items()
            if "dimensions" in registry.load("families", reducer).space(EXAMPLE)}


# ---------------------------------------------------------------- points

def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """Which columns points are made of, and which may tell the truth. Raises CallError for what cannot be guessed."""
    from automl_phys import drafting, role_guesses

    truth = role_guesses.known(looked, target) if target else role_guesses.class_like(looked)
    taken = [truth.name] if truth else []
    features = drafting.put_features(data, looked, taken, None, categories=False)
    if truth:
        data.put("truth", drafting.word(truth.name),
                 f"{'as asked for' if target else 'by its name'}; for scoring only, never for fitting")
    drafting.put_gaps(data, looked, features, "median")
    drafting.put_cut(data, looked, None, features)
    return {}


def look(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
    """Facts from reading every column once. Raises DataError with all mistakes."""
    from automl_phys import points

    facts = points.look(options.data, folder, seed, tell)
    if wrong := _wrong_colours(options, folder):
        raise DataError(wrong)
    return facts


def prepare(options: Options, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> PointsProblem:
    """Read, check, scale and write the points into ``target``. Raises DataError with all mistakes."""
    from automl_phys import points, rundir

    problem = points.prepare(options.data, folder, target, seed, tell)
    if options.reduce.colour is not None:
        rundir.write_json(target / COLOURS, options.reduce.colour)
    return problem


def fingerprint(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> str:
    """Hash of all that decides the prepared points. Raises DataError."""
    from automl_phys import points

    return points.fingerprint(options.data, folder, seed, tell)


def load(folder: Path) -> PointsProblem:
    """Open prepared points. Raises CallError when they are not there or damaged."""
    from automl_phys import points

    return points.load(folder)


def read_new(problem: PointsProblem, source: Path, tell: Tell = nobody) -> NewPoints:
    """New points with the columns of the prepared ones. Raises DataError."""
    from automl_phys import points

    return points.read_new(problem, source, tell)


def score(objective: str, part: Points, predictions: Array) -> float:
    """The objective of a chain's packed predictions for points (n,); no truth is within reach here.

    Raises KeyError for an unknown objective.
    """
    from automl_phys import assignment, cluster_scores

    return cluster_scores.value(objective, part.scaled, assignment.unpack(predictions))


def write_scores(
    problem: PointsProblem, rows: Points, predictions: Array, calibration: Mapping[str, Any], target: Path
) -> None:
    """Write ``cluster`` (-1: noise), ``probability``, the embedding as ``map_1`` … and what the points carry, as
    parquet or, by suffix, csv.

    ``row`` is the position in the file that was read, counting from 0; the truth, if there is one, stands as ``true``
    beside the problem's own points. Raises RunError when the disk refuses.
    """
    import numpy as np
    import pyarrow as pa

    from automl_phys import assignment, table_file
    from automl_phys.points import NewPoints

    assigned = assignment.unpack(predictions)
    new = isinstance(rows, NewPoints)
    carried = rows.carried if isinstance(rows, NewPoints) else problem.carried("test")
    columns = {name: carried.column(name) for name in carried.column_names}
    if not new and problem.truth is not None:
        names = np.array([*problem.schema.classes, None], dtype=object)
        columns["true"] = pa.array(names[problem.truth], pa.string())
    found = {"cluster": assigned.labels, "probability": assigned.probability,
             **{f"map_{i + 1}": axis for i, axis in enumerate(assigned.embedding.T)}}
    columns |= {name: pa.array(np.ascontiguousarray(values)) for name, values in found.items()}
    table_file.write(pa.table(columns), target)


# ---------------------------------------------------------------- what there is to see

def calibrate(
    problem: PointsProblem, part: Points, predictions: Array, predict: Callable[[Points], Array] | None = None
) -> Mapping[str, Any]:
    """Nothing: clusters come without a calibration."""
    return {}


def evaluate(problem: PointsProblem, candidates: Sequence[Candidate], objective: str,
             calibration: Mapping[str, Any], seed: int, tell: Tell = nobody) -> Evaluation:
    """What the candidates found in the points, the first of which is the winner, one the baseline."""
    from automl_phys import assignment, cluster_exhibits, cluster_profiles, cluster_replicas, rundir

    winner, points = candidates[0], problem.test
    scores = cluster_exhibits.scores(points, problem.truth, candidates, objective, seed, tell)
    own = assignment.unpack(winner.predictions["test"])
    replicas = cluster_replicas.read(own, scores[0].metrics[objective], winner.replicas)
    found = {**scores[0].metrics, **replicas.metrics()}
    profiles = cluster_profiles.make(problem.schema.columns, points.scaled, own.labels)
    chosen = problem.folder / COLOURS
    colours = rundir.read_json(chosen, tuple[str, ...]) if chosen.exists() else ()
    return Evaluation(
        cluster_exhibits.verdict(scores, replicas, objective, problem.schema.truth),
        {name: found[name] for name in (*(name for name in FIRST if name in found), *found)}, scores,
        cluster_exhibits.tables(problem, scores, replicas, profiles, objective),
        (*cluster_exhibits.figures(problem, scores[0], replicas, profiles, objective, colours, seed), *winner.figures))
