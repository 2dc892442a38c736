"""Task ``transfer``: tell classes apart with few labelled rows, by a network that learned on others.

Takes a recipe's ``data`` and ``base``; gives a prepared table with the base in its folder, scores, and what the test
rows say of the transferred network, the same from scratch and a cheap baseline, each fitted on several draws of the
labelled rows and of fewer of them. Bases are :mod:`automl_phys.pretrained`'s and ``backbones``'s work, training is
:mod:`automl_phys.transferring`'s; what is shown is in ``transfer_exhibits`` and ``class_exhibits``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from automl_phys import measures
from automl_phys.contracts import Candidate, Facts
from automl_phys.errors import Mistake
from automl_phys.exhibits import Evaluation
from automl_phys.sections import Augment, Base, Missing, Section, TextTable, Until
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.table import NewRows, Rows, Schema, TableProblem
    from automl_phys.values import Array

DEFAULT_FAMILIES = ("transferred", "scratch", "linear")
DEFAULT_OBJECTIVE = "log_loss"
BASELINE = "linear"
EXAMPLE = Facts("images", {"train": 300, "valid": 100, "test": 1000},
                {"numbers": 0, "categories": 0, "levels": 0, "outputs": 2, "folds": 0, "height": 32, "width": 32,
                 "channels": 1, "columns": 1024})
REPLICAS = 20
REPLICATED = "families"
OBJECTIVES: Mapping[str, Direction] = measures.Objectives()

LEAST_TRAIN = 8
"""Training rows that the smallest sample has."""


class Transfer(Section):
    """How transfer is held against the same network from scratch."""

    draws: Annotated[int, Field(ge=2, le=50)] = 5
    """How often each model is fitted, on other draws of the labelled rows and from other random numbers."""
    sizes: Annotated[int, Field(ge=1, le=10)] = 4
    """Sizes of the sample on which this is done: all train and validation rows, half of them, a quarter, …"""


class Options(Section):
    """The sections of a recipe that belong to this task."""

    data: TextTable
    """Where the table is, and the part that each column plays."""
    base: Base
    """The network that is repurposed."""
    freeze: Literal["all", "none"] | Annotated[int, Field(ge=0, le=10_000)] | Annotated[float, Field(gt=0, lt=1)] \
        | Until | Missing = None
    """What of the base is not trained: all, none, its first so many layers with weights, a share of them, or {until:
    LAYER}, those before a layer or block. Default: searched."""
    gradual: bool | Missing = None
    """Train the head first, then unfreeze block by block with falling learning rates. Default: searched."""
    augment: Annotated[tuple[Literal["flip"] | Augment, ...], Field(strict=False)] | Missing = None
    """Change images at random while training: [flip, rotate: 15, translate: 0.1, noise: 0.02]. Default: searched."""
    transfer: Transfer = Field(default_factory=Transfer)
    """How transfer is held against the same network from scratch."""


def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """The families asked for; the transferred network, the same from scratch, and the baseline."""
    return asked or DEFAULT_FAMILIES


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """Metrics of a signal need one named, where there are more than two classes."""
    return measures.refused(objective, bool(facts.sizes.get("signal", 1)))


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """What the recipe's own words pin: how gradually, and how images are augmented."""
    pinned: dict[str, dict[str, Any]] = {"transferred": {}, "scratch": {}}
    if options.gradual is not None:
        pinned["transferred"]["gradual"] = options.gradual
    if options.augment is not None:
        how: dict[str, Any] = {"flip": "none", "rotation": 0.0, "translation": 0.0, "noise": 0.0, "intensity": 0.0}
        names = {"flip": "flip", "rotate": "rotation", "translate": "translation", "noise": "noise",
                 "intensity": "intensity"}
        for item in options.augment:
            if isinstance(item, str):
                how["flip"] = "horizontal"
                continue
            how |= {names[key]: value for key in names if (value := getattr(item, key)) is not None}
        for family in pinned:
            pinned[family] |= how
    return {family: block for family, block in pinned.items() if block}


def look(options: Options, folder: Path, seed: int) -> Facts:
    """Facts from the header, the target and the base's file. Raises DataError with all mistakes."""
    from automl_phys import pretrained, table

    found = pretrained.find(options.base, folder)
    return _facts(options, found, table.look(options.data, folder, seed))


def _facts(options: Options, found: Any, seen: Facts) -> Facts:
    """Facts with what families and the planner want to know of the base and of the draws."""
    size = round(found.file.stat().st_size / 1e6) if found.file else 100
    more = {"replicas": options.transfer.draws * _sizes(options, seen), "base_mb": max(1, size),
            "freeze_stated": int(options.freeze is not None)}
    return replace(seen, sizes={**seen.sizes, **more}, notes=(*seen.notes, f"The base is {found.text}."))


def _sizes(options: Options, seen: Facts) -> int:
    """Sizes that a sample is drawn in, as many as leave ``LEAST_TRAIN`` rows to train on."""
    sizes = 1
    while sizes < options.transfer.sizes and seen.rows["train"] / 2**sizes >= LEAST_TRAIN:
        sizes += 1
    return sizes


def prepare(options: Options, folder: Path, target: Path, seed: int) -> TableProblem:
    """Read, check, split and write the table, and the base beside it. Raises DataError with all mistakes."""
    from automl_phys import pretrained, table, transfer_problem

    found = pretrained.find(options.base, folder)
    seen = table.look(options.data, folder, seed)

    def beside(draft: Path, schema: Schema) -> Sequence[str]:
        return _write_base(options, found, schema, draft, seen.rows["train"])

    table.prepare(options.data, folder, target, seed, _settings(options, found, seen), beside)
    return transfer_problem.load(target)


def _write_base(options: Options, found: Any, schema: Schema, draft: Path, train: int) -> Sequence[str]:
    """Write the base as a network for these inputs; gives notes on how it was adapted, and on words without vectors."""
    import numpy as np

    from automl_phys import keras_fit

    keras_fit.load_keras()
    from automl_phys import backbones, transferring, word_vectors
    from automl_phys.text_tokens import Vocabulary

    largest = 255.0
    if schema.image is not None and schema.image.kind != "uint8":
        images = np.load(draft / "images.npy", mmap_mode="r")[:train]
        largest = float(max(block.max() for block in np.array_split(images, -(-len(images) // 1024)))) or 1.0
    backbone, notes = backbones.build(found, schema, largest)
    names = [layer.name for layer in backbones.leaves(backbone)]
    if options.freeze is not None:
        count = backbones.frozen_until(names, _stated(options))
        notes = (*notes, f"{count} of the base's {len(names)} layers are frozen: "
                 f"{', '.join(names[:count][:6]) or 'none'}{', …' if count > 6 else ''}.")
    backbone.save(draft / transferring.BASE)
    if schema.texts is not None and found.file is not None:
        tokens = np.load(draft / "tokens.npy", mmap_mode="r")[:train]
        vectors = word_vectors.read(found.file, schema.texts.words)
        running, _, most = word_vectors.out_of_vocabulary(np.asarray(tokens), Vocabulary(schema.texts.words),
                                                          vectors.found)
        listed = ", ".join(word for word, _ in most[:10])
        notes = (*notes, f"Of the running words of the training texts {running:.1%} have no vector"
                 + (f", most often {listed}." if listed else "."))
    return notes


def _stated(options: Options) -> Any:
    return {"until": options.freeze.until} if isinstance(options.freeze, Until) else options.freeze


def _settings(options: Options, found: Any, seen: Facts) -> Mapping[str, Any]:
    return {"base": found.digest, "freeze": _stated(options), "sizes": _sizes(options, seen)}


def fingerprint(options: Options, folder: Path, seed: int) -> str:
    """Hash of all that decides the prepared table and its base. Raises DataError."""
    from automl_phys import pretrained, table

    found, seen = pretrained.find(options.base, folder), table.look(options.data, folder, seed)
    return table.fingerprint(options.data, folder, seed, _settings(options, found, seen))


def load(folder: Path) -> TableProblem:
    """Open a prepared table. Raises CallError when it is not there or damaged."""
    from automl_phys import transfer_problem

    return transfer_problem.load(folder)


def read_new(problem: TableProblem, source: Path) -> NewRows:
    """New data with the columns of the training data. Raises DataError."""
    from automl_phys import table

    return table.read_new(problem, source)


def score(objective: str, part: Rows, predictions: Array) -> float:
    """The objective of predicted probabilities (n, K) on rows (n,), weighted; raises as
    :func:`automl_phys.class_exhibits.score` does."""
    from automl_phys import class_exhibits

    return class_exhibits.score(objective, part, predictions)


def calibrate(
    problem: TableProblem, part: Rows, predictions: Array, predict: Callable[[Rows], Array] | None = None
) -> Mapping[str, Any]:
    """Nothing: probabilities are used as they come."""
    return {}


def evaluate(problem: TableProblem, candidates: Sequence[Candidate], objective: str,
             calibration: Mapping[str, Any], seed: int) -> Evaluation:
    """What the test rows say: whether transfer paid, and all there is to see of the winner."""
    from automl_phys import class_exhibits, transfer_exhibits

    plain = class_exhibits.evaluation(problem, candidates, objective, seed)
    found = transfer_exhibits.draws(candidates, problem.test, objective)
    names = {c.family: c.name for c in candidates if c.replicas}
    names = {family: family.replace("_", " ") for family in (*DEFAULT_FAMILIES, *names) if family in names}
    first = found[objective]
    if not first.sizes():
        return plain
    said = f"{transfer_exhibits.verdict(first, BASELINE)} {plain.verdict}"
    compared = transfer_exhibits.table(found, names)
    return replace(
        plain, verdict=said, metrics={**plain.metrics, **transfer_exhibits.estimates(first, BASELINE)},
        tables=(plain.tables[0], compared, *plain.tables[1:]),
        figures=(transfer_exhibits.curve(first, names), *plain.figures))


def write_scores(
    problem: TableProblem, rows: Rows, predictions: Array, calibration: Mapping[str, Any], target: Path
) -> None:
    """Write ``score_<class>`` for each class, ``predicted`` and what the rows carry; see
    :func:`automl_phys.class_exhibits.write_scores`. Raises RunError when the disk refuses."""
    from automl_phys import class_exhibits

    class_exhibits.write_scores(problem, rows, predictions, target)
