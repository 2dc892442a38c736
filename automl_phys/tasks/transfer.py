"""Task ``transfer``: tell classes apart with few labelled rows, by a network that learned on others.

Takes a recipe's ``data`` and ``base``; gives a prepared table with the base in its folder, scores, and what the test
rows say of the transferred network, the same from scratch and a cheap baseline, each fitted on several draws of the
labelled rows and of fewer of them. Bases are :mod:`automl_phys.pretrained`'s and ``backbones``'s work, training is
:mod:`automl_phys.transferring`'s; what is shown is in ``transfer_exhibits`` and ``class_exhibits``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from automl_phys import measures
from automl_phys.contracts import Candidate, Finished
from automl_phys.errors import CallError, DataError, Mistake
from automl_phys.exhibits import Estimate, Evaluation, Table
from automl_phys.facts import Facts
from automl_phys.registry import did_you_mean
from automl_phys.section import Broken, Missing, Section
from automl_phys.sections import Augment, Base, TextTable, Until
from automl_phys.telling import Tell, nobody
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.column_profiles import Looked
    from automl_phys.drafting import Drafted
    from automl_phys.onnx_outputs import Output
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.pretrained import Found
    from automl_phys.table import NewRows, Rows, Schema, TableProblem
    from automl_phys.values import Array

TEXT = "repurpose a network that learned elsewhere for few labelled rows, and say whether that paid"
DEFAULT_FAMILIES = ("transferred", "scratch", "linear")
DEFAULT_OBJECTIVE = "log_loss"
BASELINE = "linear"
EXAMPLE = Facts("images", {"train": 300, "valid": 100, "test": 1000},
                {"numbers": 0, "categories": 0, "levels": 0, "outputs": 2, "folds": 0, "height": 32, "width": 32,
                 "channels": 1, "columns": 1024})
REPLICAS = 20
REPLICATED = "families"
LEADERS = 0.0
FRAMEWORK = ""
OBJECTIVES: Mapping[str, Direction] = measures.Objectives()

LEAST_TRAIN = 8
"""Training rows that the smallest sample has at least."""
LEAST_PER_CLASS = 4
"""The same for each class, on average."""


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

    def broken(self) -> Iterator[Broken]:
        from automl_phys.pretrained import APPLICATIONS

        yield from super().broken()
        images, text, application = self.data.image_column, self.data.text, self.base.application
        if application and application not in APPLICATIONS:
            yield Broken("base", f"There is no application '{application}'.{did_you_mean(application, APPLICATIONS)}",
                         f"There are {', '.join(APPLICATIONS)}.")
        if self.base.embeddings and not text:
            yield Broken("base", "Word vectors are for texts, and the data name none.",
                         "Name their column under data: text.")
        if self.base.embeddings and images:
            yield Broken("base", "Word vectors take texts alone, and the data name images.",
                         "Leave out 'images' under data.")
        if text and not self.base.embeddings:
            yield Broken("data", f"The texts '{text}' are for word vectors, and the base is something else.",
                         "Give base: {embeddings: FILE}, or leave 'text' out.")
        if application and not images:
            yield Broken("base", f"{application} takes images, and the data name none.",
                         "Name their column under data: images.")
        if (application or self.base.embeddings) and self.data.features:
            yield Broken("base", "The base takes nothing beside the images or texts, and the data name features.",
                         "Leave out 'features' under data.")
        if self.augment is not None and not images:
            yield Broken("augment", "What is changed at random are images, and the data name none.",
                         "Leave 'augment' out.")
        if self.gradual and self.freeze == "all":
            yield Broken("gradual", "All of the base is frozen, so nothing is left to unfreeze gradually.",
                         "Leave out one of the two.")
        if self.data.split.folds is not None:
            yield Broken("data", "Draws of the labelled rows take the place of folds here.",
                         "Leave out 'folds' under data: split.")


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


def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """Which images and classes there are. Raises CallError for what cannot be guessed, and without images."""
    from automl_phys import drafting

    image = drafting.put_image(data, looked, always=True)
    if not image:
        raise CallError(Mistake(
            "no-base", "These data have no images, and what is transferred to other columns only you know.",
            "Begin with 'automl-phys init transfer', and name a run, a network or word vectors under 'base'."))
    found = drafting.put_labels(data, looked, target)
    drafting.put_weight(data, looked, [found.name], found)
    drafting.put_cut(data, looked, found, [])
    least = 20 * len(found.counts)
    train, valid = next(((t, v) for t, v in ((0.06, 0.02), (0.2, 0.1), (0.4, 0.2))
                         if v * looked.rows >= least), (0.6, 0.2))
    data.put("split", f"{{train: {train}, valid: {valid}, test: {round(1 - train - valid, 2)}}}",
             "few labels, many to judge by; as few as there may be")
    return {}


def look(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
    """Facts from the header, the target and the base's file. Raises DataError with all mistakes."""
    found, seen = _look(options, folder, seed, tell)
    size = round(found.file.stat().st_size / 1e6) if found.file else 100
    more = {"replicas": options.transfer.draws * _sizes(options, seen), "base_mb": max(1, size),
            "freeze_stated": int(options.freeze is not None), "series": int(found.series)}
    return replace(seen, sizes={**seen.sizes, **more}, notes=(*seen.notes, f"The base is {found.text}."))


def _look(options: Options, folder: Path, seed: int, tell: Tell) -> tuple[Found, Facts]:
    """The base and what the table's header and target tell. Raises DataError with the mistakes of both."""
    from automl_phys import pretrained, table

    mistakes: list[Mistake] = []
    found = seen = None
    try:
        found = pretrained.find(options.base, folder)
    except DataError as error:
        mistakes += error.mistakes
    try:
        seen = table.look(options.data, folder, seed, tell)
    except DataError as error:
        mistakes += error.mistakes
    if found and found.series and options.augment is not None:
        mistakes.append(Mistake("base-does-not-fit", "The base takes series, which are not changed at random as images "
                                "are.", "Leave 'augment' out.", ("augment",)))
    if mistakes or not found or not seen:
        raise DataError(mistakes)
    return found, seen


def _sizes(options: Options, seen: Facts) -> int:
    """Sizes that a sample is drawn in, as many as leave enough rows to train on."""
    sizes, least = 1, max(LEAST_TRAIN, LEAST_PER_CLASS * seen.sizes.get("outputs", 0))
    while sizes < options.transfer.sizes and seen.rows["train"] / 2**sizes >= least:
        sizes += 1
    return sizes


def prepare(options: Options, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> TableProblem:
    """Read, check, split and write the table, and the base beside it. Raises DataError with all mistakes."""
    from automl_phys import table, transfer_problem

    found, seen = _look(options, folder, seed, tell)

    def beside(draft: Path, schema: Schema) -> Sequence[str]:
        return _write_base(options, found, schema, draft, seen.rows["train"], seed)

    table.prepare(options.data, folder, target, seed, _settings(options, found, seen), beside, tell)
    return transfer_problem.load(target)


def _write_base(
    options: Options, found: Found, schema: Schema, draft: Path, train: int, seed: int
) -> Sequence[str]:
    """Write the base as a network for these inputs; gives notes on how it was adapted, and on words without vectors."""
    import numpy as np

    from automl_phys import keras_fit

    keras = keras_fit.load_keras()
    from automl_phys import backbones, transferring

    images, tokens = (np.load(file, mmap_mode="r")[:train] if (file := draft / f"{name}.npy").exists() else None
                      for name in ("images", "tokens"))
    keras.utils.set_random_seed(seed % 2**32)  # of a base without weights
    backbone, notes = backbones.build(found, schema, images, tokens)
    if options.freeze is not None:
        names = [layer.name for layer in backbones.leaves(backbone)]
        count = backbones.frozen(backbone, _stated(options))
        notes = (*notes, f"{count} of the base's {len(names)} layers with weights are frozen: "
                 f"{', '.join(names[:count][:6]) or 'none'}{', …' if count > 6 else ''}.")
    backbone.save(draft / transferring.BASE)
    return f"The base is {found.text}.", *notes


def _stated(options: Options) -> Any:
    return {"until": options.freeze.until} if isinstance(options.freeze, Until) else options.freeze


def _settings(options: Options, found: Found, seen: Facts) -> Mapping[str, Any]:
    """``sizes`` and ``freeze`` are what models are fitted by; with the rest, all that facts depend on."""
    return {"base": found.digest, "freeze": _stated(options), "sizes": _sizes(options, seen),
            "draws": options.transfer.draws}


def fingerprint(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> str:
    """Hash of all that decides the prepared table and its base. Raises DataError."""
    from automl_phys import table

    found, seen = _look(options, folder, seed, tell)
    return table.fingerprint(options.data, folder, seed, _settings(options, found, seen), tell)


def load(folder: Path) -> TableProblem:
    """Open a prepared table. Raises CallError when it is not there or damaged."""
    from automl_phys import transfer_problem

    return transfer_problem.load(folder)


def read_new(problem: TableProblem, source: Path, tell: Tell = nobody) -> NewRows:
    """New data with the columns of the training data. Raises DataError."""
    from automl_phys import table

    return table.read_new(problem, source, tell)


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
             calibration: Mapping[str, Any], seed: int, tell: Tell = nobody) -> Evaluation:
    """What the test rows say: whether transfer paid, and all there is to see of the winner."""
    from automl_phys import class_exhibits, transfer_exhibits

    winner = candidates[0].family  # its best trial is the winner: no need to list it twice
    candidates = [c for c in candidates if c.role != "member" or c.family != winner]
    plain = class_exhibits.evaluation(problem, candidates, objective, seed, tell)
    found = transfer_exhibits.draws(candidates, problem.test, objective)
    first = found[objective]
    families = sorted(first.values, key=lambda family: (*DEFAULT_FAMILIES, family).index(family))
    names = {family: family.replace("_", " ") + " baseline" * (family == BASELINE) for family in families}
    if not first.sizes():
        return plain
    said = f"{transfer_exhibits.verdict(first, BASELINE)} {transfer_exhibits.winner(plain.scores[0], objective)}"
    compared = transfer_exhibits.table(found, names)
    notes = Table("Data and base", ("What was found",), tuple((note,) for note in problem.facts().notes))
    return replace(
        plain, verdict=said, metrics={**plain.metrics, **transfer_exhibits.estimates(first, BASELINE)},
        tables=(plain.tables[0], compared, notes, *plain.tables[1:]),
        figures=(transfer_exhibits.curve(first, names), *plain.figures))


def same_events(one: TableProblem, other: TableProblem) -> bool:
    """Whether the test rows are the same events, as :mod:`automl_phys.table_events` tells."""
    from automl_phys import table_events

    return table_events.same(one, other)


def differences(names: Sequence[str], first: Finished, other: Finished, seed: int) -> Mapping[str, Estimate]:
    """Differences of metrics, paired on the same test rows; see :func:`automl_phys.class_exhibits.differences`."""
    from automl_phys import class_exhibits

    return class_exhibits.differences(names, first, other, seed)


def write_scores(
    problem: TableProblem, rows: Rows, predictions: Array, calibration: Mapping[str, Any], target: Path
) -> None:
    """Write ``score_<class>`` for each class, ``predicted`` and what the rows carry; see
    :func:`automl_phys.class_exhibits.write_scores`. Raises RunError when the disk refuses."""
    from automl_phys import class_exhibits

    class_exhibits.write_scores(problem, rows, predictions, target)


def write_onnx(rows: OnnxRows, predicted: str, calibration: Mapping[str, Any]) -> tuple[Output, ...]:
    """The probabilities, as :func:`write_scores` writes them."""
    from automl_phys import onnx_outputs

    return onnx_outputs.classes(rows, predicted)
