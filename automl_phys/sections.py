"""The sections of a recipe as models: their keys, types, bounds, defaults and what each means.

Takes plain data, gives frozen instances; the docstring under a key is what editors show and what ``schema.json`` holds.
How a wrong value is told to the user is :mod:`automl_phys.wording`'s; the hyperparameters of the families are held
against their spaces in :mod:`automl_phys.hyperparameters`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, SkipValidation, create_model

from automl_phys import registry, study_address
from automl_phys.compute_sections import Compute
from automl_phys.expect_sections import Expected
from automl_phys.section import (
    Broken,
    ByClass,
    Column,
    Columns,
    Expression,
    Fraction,
    Label,
    Missing,
    Section,
    Side,
    Slug,
)


class ByColumn(Section):
    """A split that the data bring with them."""

    column: Column
    """Column that says of each row in which part it is: train, valid or test."""


class Split(Section):
    """How the rows are divided. The test rows are looked at once, at the end."""

    train: Fraction = 0.6
    """Share of the rows that models are fitted on."""
    valid: Fraction = 0.2
    """Share of the rows that trials are compared on."""
    test: Fraction | Column = 0.2
    """Share of the rows held out for the final evaluation; or the path of a file of its own, or a glob, whose rows are
    the test: then 'valid' is a share of the other rows, and 'train' what is left."""
    by: Literal["random", "group", "time", "file"] | ByColumn = "random"
    """random: rows at random, stratified by class. group: rows with the same 'data.group' stay together. time: the
    earliest rows by 'data.time' are train, the latest test. file: the rows of a file stay together. {column: NAME}: as
    the column NAME says, whose values are train, valid and test."""
    folds: Annotated[int, Field(ge=2, le=20)] | Missing = None
    """Cut what 'test' leaves into so many folds and judge each trial on all of them, instead of 'train' and 'valid'."""

    @property
    def column(self) -> str | None:
        """The column that gives the split, if one does."""
        return self.by.column if isinstance(self.by, ByColumn) else None

    @property
    def test_file(self) -> str | None:
        """The path of the test rows, if they are in files of their own."""
        return self.test if isinstance(self.test, str) else None

    @property
    def train_share(self) -> float:
        """The train part's share of the rows that are not in a test file."""
        return 1 - self.valid if isinstance(self.test, str) else self.train

    @property
    def test_share(self) -> float:
        """The test's share of the rows; 0 where it has files of its own."""
        return 0.0 if isinstance(self.test, str) else self.test

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        if self.by == "time" and self.folds is not None:
            yield Broken("folds", "Folds of rows in the order of time would be judged by models that know the future.",
                         "Leave 'folds' out: the latest rows before the test are the validation.")
        if self.column and (self.folds is not None or (self.train, self.valid, self.test) != (0.6, 0.2, 0.2)):
            yield Broken("by", f"The column '{self.column}' gives the split, so there is nothing to cut.",
                         "Leave out 'train', 'valid', 'test' and 'folds'.")
            return
        if self.test_file and self.folds is None and self.train not in {0.6, round(1 - self.valid, 6)}:
            yield Broken("train", f"The test has a file of its own, and train {self.train:g} and valid {self.valid:g} "
                         "don't add up to 1.", "Leave 'train' out: it is what 'valid' leaves.")
        total = self.train + self.valid + self.test_share
        if self.folds is None and not self.test_file and abs(total - 1) > 1e-6:
            yield Broken("", f"The fractions train {self.train:g}, valid {self.valid:g} and test {self.test_share:g} "
                         f"add up to {total:g}, not 1.", "Give all three: what is left out has its default.")
        if self.folds is not None and (self.train, self.valid) != (0.6, 0.2):
            yield Broken("folds", "'folds' takes the place of 'train' and 'valid'.",
                         "Keep 'folds' and 'test', or leave 'folds' out.")


class Located(Section):
    """Where rows and columns are, and which columns are made of them."""

    path: Column | Annotated[Columns, Field(min_length=1)] | ByClass | Missing = None
    """One file, a list of files, or globs (jets/*.parquet), relative to the recipe's folder: csv, parquet, root, hdf5,
    npz, npy or feather. A table inside a file stands after a colon: file.root:tree. {qcd: qcd*.root, top: top*.root}
    gives a row the class that its file is listed under."""
    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | Missing = None
    """Address of the data, with 'sha256'; downloaded once and kept."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | Missing = None
    """SHA-256 of the file at 'url', in hexadecimal: nothing else is taken."""
    builtin: Annotated[str, Field(min_length=1)] | Missing = None
    """A data set that comes with an installed package: jets, jet_images, dijets, digits, digit_images, breast_cancer,
    wine, iris, diabetes, blobs, cloud, two_moons, lorenz, sunspots_yearly."""
    define: dict[Column, Expression] = Field({})
    """New columns by formula: {tau21: tau2 / tau1}. A formula may use the new columns above it."""
    cut: Expression | Missing = None
    """Which rows are used: pt > 500 and abs(eta) < 2."""
    lengths: dict[Column, Annotated[int, Field(ge=1, le=10_000)]] = Field({})
    """How many elements of a column of lists are used: {jet_pt: 3} gives jet_pt_0, jet_pt_1 and jet_pt_2. Where a row
    has fewer, 0 stands there, and jet_pt_2_present is 0."""
    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, one or several; empty when the data are built in."""
        if isinstance(self.path, dict):
            return tuple(one for paths in self.path.values() for one in ((paths,) if isinstance(paths, str) else paths))
        return (self.path,) if isinstance(self.path, str) else self.path or ()

    @property
    def class_column(self) -> str:
        """The column, not of the files, with the class that a row's file is listed under; empty without such."""
        return ""

    @property
    def flags(self) -> dict[str, str]:
        """Expressions beside the cut by which rows are told apart, by their names, which ``table_view.FLAGS`` knows."""
        return {}

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        given = [key for key in ("path", "url", "builtin") if getattr(self, key) is not None]
        if not given:
            yield Broken("", "It is not said where the data are.",
                         "Give 'path: FILE', or 'builtin: NAME' for a data set that comes with the program.")
        if len(given) > 1:
            yield Broken(given[-1], f"'{given[0]}' and '{given[1]}' are both given.", "Keep one of the two.")
        if self.url is not None and self.sha256 is None:
            yield Broken("url", "An address is given without the 'sha256' of what is there.",
                         "Add it, so that all who run the recipe have the same data: 'sha256sum FILE' tells it.")
        if self.sha256 is not None and self.url is None:
            yield Broken("sha256", "'sha256' belongs to 'url', which is not given.", "Leave it out.")
        if isinstance(self.path, dict) and not self.class_column:
            yield Broken("path", "Files are listed by class, and this task knows no classes.",
                         "Give a path, or a list of paths.")

class TableData(Located):
    """Rows and columns, and the part that each column plays."""

    features: Columns | Missing = None
    """Columns to learn from. Default: every numeric column that has no other role; none where there are images."""
    exclude: Columns = ()
    """Columns to leave out of the features, e.g. event numbers."""
    categorical: Columns = ()
    """Text or integer columns whose values are names, not amounts."""
    spectators: Columns = ()
    """Columns carried along to the predictions, never trained on."""
    missing: Literal["error", "median", "drop", "indicator"] = "error"
    """Empty, NaN and infinite values: refuse them, put the median of the training rows there, drop the row, or put the
    median and add a column that says so."""

    @property
    def image_column(self) -> ImageColumn | None:
        """The column of images, None without such."""
        return None

    @property
    def text_column(self) -> str:
        """The column of texts that are learned from, empty without such."""
        return ""

    @property
    def apart(self) -> tuple[str, ...]:
        """Columns that are no features, although no role of theirs says so."""
        return ()

    def singles(self) -> dict[str, str]:
        """The one column of each role that takes one; roles that no column has are left out."""
        return {}

    def roles(self) -> dict[str, tuple[str, ...]]:
        """The columns of each role that excludes the others."""
        image = (self.image_column.column,) if self.image_column else ()
        text = (self.text_column,) if self.text_column else ()
        return {**{role: (column,) for role, column in self.singles().items()}, "images": image, "text": text,
                "features": self.features or (), "exclude": self.exclude, "spectators": self.spectators}

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        yield from self._columns_of_two_roles()

    def _columns_of_two_roles(self) -> Iterator[Broken]:
        taken: dict[str, str] = {}
        for role, columns in self.roles().items():
            for column in columns:
                before = taken.setdefault(column, role)
                if columns.count(column) > 1:
                    yield Broken(role, f"The column '{column}' is twice in '{role}'.", "Keep one of the two.")
                elif (before, role) not in {(role, role), ("group", "spectators"), ("time", "spectators")}:
                    yield Broken(role, f"The column '{column}' is both in '{before}' and in '{role}'.",
                                 "A column has one role: keep one.")
        for column in self.categorical:
            if taken.get(column, "features") != "features":
                yield Broken("categorical", f"The column '{column}' is categorical, but no feature: it is in "
                             f"'{taken[column]}'.", "A column has one role: keep one.")


class ImageColumn(Section):
    """A column of images, where its name alone does not say how their numbers lie."""

    column: Column
    """The column, or the array in the file."""
    shape: Annotated[tuple[Side, ...], Field(strict=False, min_length=2, max_length=3)] | Missing = None
    """What the numbers of a row are laid out as, [height, width] or three sides, where the file does not say it."""
    channels: Literal["auto", "first", "last"] = "auto"
    """Which of three sides counts colours, or layers of the detector. auto: the one that is at most 4."""


class SplitTable(TableData):
    """A table whose rows are divided into those to learn from and those to judge by, and may count differently."""

    images: Column | ImageColumn | Missing = None
    """Column, or array in the file, with an image in each row, instead of features or beside those that are named; of
    a folder of PNG or JPEG files 'image'. {column: jet, shape: [40, 40], channels: first} says how its numbers lie."""
    weight: Column | Missing = None
    """Column with the event weights, honoured in loss, search, early stopping, metrics and figures."""
    group: Column | Missing = None
    """Column whose equal values stay on one side of a split, e.g. a run number; goes with 'split.by: group'."""
    time: Column | Missing = None
    """Column with the time of each row, a number; goes with 'split.by: time'."""
    split: Split = Split()
    """How the rows are divided into train, validation and test."""

    @property
    def image_column(self) -> ImageColumn | None:
        return ImageColumn(column=self.images) if isinstance(self.images, str) else self.images

    def singles(self) -> dict[str, str]:
        columns = {"weight": self.weight, "group": self.group, "time": self.time, "split.by": self.split.column}
        return {**super().singles(), **{role: column for role, column in columns.items() if column is not None}}

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        if self.split.by == "group" and self.group is None:
            yield Broken("split", "The split goes by group, and no column is named as the group.",
                         "Add 'group: COLUMN' to the data.")
        if self.split.by == "time" and self.time is None:
            yield Broken("split", "The split goes by time, and no column is named as the time.",
                         "Add 'time: COLUMN' to the data.")
        if self.split.test_file and (self.class_column or self.split.column):
            told = ("whose rows get no class by its place.", "Give the class of each row in a column 'target'.")
            other = ("and a column gives the split.", "Keep one of the two.")
            text, remedy = told if self.class_column else other
            yield Broken("split", f"The test has a file of its own, {text}", remedy)
        if self.split.by in {"time", "file"} and self.group is not None:
            yield Broken("group", f"The split goes by {self.split.by}, so groups may be torn.",
                         "Leave 'group' out, or split by group.")


class LabelledTable(SplitTable):
    """A table with a column that names the class of each row."""

    target: Column | Missing = None
    """The column to predict. Where 'path' lists files by class, a name for that column (default: class)."""
    signal: Label | Missing = None
    """The positive class of binary metrics: a value of the target, or its name in 'classes'. With two classes, the
    default is the second."""
    classes: Annotated[dict[Label, Annotated[str, Field(min_length=1)]], Field(min_length=2)] | Missing = None
    """Names for reports, in their order: {0: qcd, 1: top}. Labels that are given one name become one class."""

    def singles(self) -> dict[str, str]:
        return {"target": self.target_column, **super().singles()}

    @property
    def target_column(self) -> str:
        """The column with the labels, be it of the files or made of their places in the list."""
        return self.target or self.class_column

    @property
    def class_column(self) -> str:
        return (self.target or "class") if isinstance(self.path, dict) else ""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        if self.target is None and not self.class_column:
            yield Broken("target", "It is not said which column is to be predicted.", "Add 'target: COLUMN'.")
        if self.classes is not None and self.class_column:
            yield Broken("classes", "The classes have their names from 'path'.", "Leave 'classes' out.")
        elif self.classes is not None:
            yield from self._wrong_classes(self.classes)

    def _wrong_classes(self, classes: dict[Label, str]) -> Iterator[Broken]:
        names = list(dict.fromkeys(classes.values()))
        if len(names) < 2:
            yield Broken("classes", f"All classes have the name '{names[0]}'.", "Name two classes at least.")
        if self.signal is not None and str(self.signal) not in {*map(str, classes), *names}:
            meant = registry.did_you_mean(str(self.signal), names)
            yield Broken("signal", f"'{self.signal}' is none of the classes.{meant}", f"Known: {', '.join(names)}.")


class TextTable(LabelledTable):
    """A table with a column that names the class of each row, which may be a text."""

    text: Column | Missing = None
    """Column of texts to learn from, such as abstracts or log entries; for word vectors."""

    @property
    def text_column(self) -> str:
        return self.text or ""


class AmountsTable(SplitTable):
    """A table with one or more columns of numbers to predict."""

    target: Column | Annotated[Columns, Field(min_length=1)]
    """The column to predict, or a list of them."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict."""
        return (self.target,) if isinstance(self.target, str) else self.target

    def roles(self) -> dict[str, tuple[str, ...]]:
        return {"target": self.targets, **super().roles()}


class PlainTable(SplitTable):
    """A table none of whose columns is predicted."""

    @property
    def class_column(self) -> str:
        return "class" if isinstance(self.path, dict) else ""


class EventsTable(PlainTable):
    """A table of events of which nothing is predicted: more of them are made."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        if self.split.folds is not None:
            yield Broken("split", "Generators of several folds cannot be averaged.", "Leave 'folds' out.")
        if self.missing in {"median", "indicator"}:
            yield Broken("missing", "Gaps that are filled with the median would be learnt as events there.",
                         "Use 'missing: drop', or leave the columns with gaps out.")


Divided: TypeAlias = LabelledTable | AmountsTable | PlainTable
"""Tables whose rows are divided into train, validation and test."""


class PointsData(TableData):
    """A table without labels: every row is a point, and all of them are looked at."""

    truth: Column | Missing = None
    """Column with the true label of each row, for scoring at the end only, never for fitting or choosing."""
    scale: Literal["auto", "each", "common", "robust", "none"] = "auto"
    """What makes columns alike in scale. each: every column to mean 0 and width 1. common: all columns by one factor,
    for columns that share a unit, such as pixels. robust: median and central 68 % instead of mean and width, for
    columns with tails. auto: common where most columns have one range and none goes beyond it, else each."""

    @property
    def class_column(self) -> str:
        return (self.truth or "class") if isinstance(self.path, dict) else ""

    def singles(self) -> dict[str, str]:
        truth = self.truth or self.class_column
        return {"truth": truth} if truth else {}


class Base(Section):
    """The network that is repurposed: one of the four."""

    application: Annotated[str, Field(min_length=1)] | Missing = None
    """A classifier of keras.applications, such as VGG16, ResNet50, MobileNetV2 or EfficientNetB0."""
    weights: Annotated[str, Field(min_length=1)] = "imagenet"
    """Weights of the application: imagenet, which Keras downloads once; none; or a file of the application without its
    head."""
    size: Annotated[int, Field(ge=32, le=1024)] | Missing = None
    """Side in pixels that images are brought to for the application. Default: their own, from its least to 224."""
    run: Annotated[str, Field(min_length=1)] | Missing = None
    """Folder of a finished run, such as runs/qcd-vs-w/latest, whose best network is taken."""
    keras: Annotated[str, Field(min_length=1)] | Missing = None
    """A network saved by Keras (.keras)."""
    embeddings: Annotated[str, Field(min_length=1)] | Missing = None
    """Word vectors: word2vec as text or binary, GloVe, or fastText's .vec; may be gzipped."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        given = [key for key in ("application", "run", "keras", "embeddings") if getattr(self, key) is not None]
        if not given:
            yield Broken("", "It is not said what is transferred.", "Give 'application', 'run', 'keras' or "
                         "'embeddings'.")
        if len(given) > 1:
            yield Broken(given[-1], f"'{given[0]}' and '{given[1]}' are both given.", "Keep one of the two.")
        for key in ("weights", "size"):
            if getattr(self, key) != type(self).model_fields[key].default and self.application is None and given:
                yield Broken(key, f"'{key}' belongs to 'application', which is not given.", "Leave it out.")


class Until(Section):
    """The first layer that is trained."""

    until: Annotated[str, Field(min_length=1)]
    """Name of a layer, or how the names of a block's layers begin: all before it are frozen."""


class Augment(Section):
    """How images are changed at random while training."""

    flip: Literal["horizontal", "vertical", "both"] | Missing = None
    """Mirrored."""
    rotate: Annotated[float, Field(gt=0, le=180)] | Missing = None
    """Turned by up to so many degrees either way."""
    translate: Annotated[float, Field(gt=0, le=1)] | Missing = None
    """Moved by up to this share of the sides."""
    noise: Annotated[float, Field(gt=0, le=10)] | Missing = None
    """Gaussian noise, in standard deviations of the pixels."""
    intensity: Annotated[float, Field(gt=0, le=1)] | Missing = None
    """Brighter or darker by up to this share."""


class Choices(Section):
    """A hyperparameter that takes one of several values."""

    choices: Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]
    """The values to try."""


class Interval(Section):
    """A hyperparameter searched between two numbers, both included. What is left out stays as the family has it."""

    low: float | Missing = None
    """Smallest value."""
    high: float | Missing = None
    """Largest value."""
    log: bool | Missing = None
    """Search evenly in the logarithm."""


Pinned: TypeAlias = bool | int | float | str | list[Any]


class Model(Section):
    """Which families are tried and how the winners are put together. The key of a family (mlp, …) holds its
    hyperparameters: a value pins one, {choices: […]} or {low: …, high: …} gives what is searched."""

    families: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | Missing = None
    """Kinds of model to try. Default: what the planner finds fit for the data."""
    ensemble: Annotated[int, Field(ge=1, le=1000)] = 12
    """Most members of the weighted average of the best trials; 1 keeps the single best."""
    refit: bool = True
    """Fit the winners again on train and validation rows together, for as many steps as were best in the search."""
    bagging: Literal["auto"] | Annotated[int, Field(ge=1, le=20)] = "auto"
    """Folds of train and validation rows on which winners are fitted besides, all of it averaged; 1: none.
    auto: 5 where a budget in minutes leaves time. Where models cannot be averaged: variations of the problem that the
    winner is fitted on again, to see how well it holds."""

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        """By family, what the recipe says of its hyperparameters, as it is written there but for what is null."""
        return {name: _without_nulls(block)
                for name in registry.names("families") if (block := getattr(self, name, None))}


def _without_nulls(block: dict[str, Any]) -> dict[str, Any]:
    return {key: _without_nulls(value) if isinstance(value, dict) else value
            for key, value in block.items() if value is not None}


class Search(Section):
    """How good hyperparameters are looked for."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    """How many configurations are tried: the budget that reproduces."""
    minutes: Annotated[float, Field(gt=0, le=1e6)] | Missing = None
    """A hard stop for the whole run, reported when it bites. Default: none."""
    objective: str | Annotated[tuple[str, ...], Field(strict=False, min_length=1)] | Missing = None
    """What is optimised on the validation rows. Default: the task's own. Of a list the first decides who wins, and the
    others, among them 'size', the bytes of the saved model, shape the search: the report shows their Pareto front."""
    sampler: Literal["tpe", "random", "grid", "cmaes"] = "tpe"
    """How the next configuration is chosen: tree of Parzen estimators, at random, a grid, or CMA-ES."""
    pruner: Literal["hyperband", "median", "none"] = "hyperband"
    """How trials that fall behind are ended early."""
    minutes_per_trial: Annotated[float, Field(gt=0, le=1e6)] | Missing = None
    """How long one trial may take; one that hangs is ended then. Default: no limit."""
    storage: Annotated[str, Field(min_length=1)] | Missing = None
    """PostgreSQL server that the search is recorded on, postgresql+psycopg://HOST/DATABASE, without a password.
    Needs --trust-cluster. Default: search.sqlite in the run's folder."""

    warm_start: Annotated[str, Field(min_length=1)] | Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, min_length=1)] | Missing = None
    """Folder of a finished run, such as ../runs/NAME/latest, or a list of them, whose best configurations are tried
    after the defaults; where data and objective are the same, the sampler also learns from its trials."""

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives, the one that decides first; none for the task's own."""
        return (self.objective,) if isinstance(self.objective, str) else self.objective or ()

    @property
    def former_runs(self) -> tuple[str, ...]:
        """The runs to begin with."""
        return (self.warm_start,) if isinstance(self.warm_start, str) else self.warm_start or ()

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        if len(set(self.objectives)) < len(self.objectives):
            yield Broken("objective", "An objective is named twice.", "Keep one of the two.")
        if len(self.objectives) > 1 and self.sampler == "cmaes":
            yield Broken("sampler", "CMA-ES takes one objective, and there are several.", "Use 'sampler: tpe'.")
        if self.objectives[:1] == ("size",):
            yield Broken("objective", "By size alone the smallest model wins, whatever it predicts.",
                         "Put an objective of the task before it: [log_loss, size].")
        if len(set(self.former_runs)) < len(self.former_runs):
            yield Broken("warm_start", "A run is named twice.", "Keep one of the two.")
        for text, remedy in study_address.broken(self.storage) if self.storage else ():
            yield Broken("storage", text, remedy)




class Report(Section):
    """What the report consists of."""

    formats: Annotated[tuple[Literal["html", "markdown"], ...], Field(strict=False)] = ("html", "markdown")
    """Files to write: one self-contained page, a text, or both."""
    figures: Annotated[tuple[Literal["png", "pdf"], ...], Field(strict=False)] = ("png", "pdf")
    """Formats of the figures beside the report."""


class Common(Section):
    """What every recipe may say, whatever its task."""

    recipe: Literal[1]
    """Version of the recipe language that the file is written in, 1."""
    name: Slug | Missing = None
    """Names the folder of the runs: letters, digits, '-', '_'. Default: the file's name."""
    description: str = ""
    """What the recipe is for, in a sentence or two; the report shows it."""
    extends: Annotated[str, Field(min_length=1)] | Missing = None
    """Path of a recipe that this one changes. Mappings are merged, lists replaced, null resets a key to its default."""
    task: str
    """What is to be done:"""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Starts every random number generator; the same seed gives the same numbers."""
    model: Model = Model()
    """What kinds of model are tried."""
    search: Search = Search()
    """How good hyperparameters are looked for."""
    compute: Compute = Compute()
    """Where and with what the trials run."""
    report: Report = Report()
    """What the report consists of."""
    expect: dict[Column, Expected] = Field({})
    """What the winner's metrics on the test rows must come to, for 'automl-phys check'."""


@cache
def common_sections() -> type[Common]:
    """:class:`Common` with the words of the registry: the tasks, and a key in ``model`` for every family."""
    block = dict[str, SkipValidation[Pinned | Choices | Interval]]
    keys: dict[str, Any] = {
        name: (block | Missing, Field(None, description=f"Hyperparameters of '{name}': pinned, or what is searched."))
        for name in registry.names("families")
    }
    model = create_model("Model", __base__=Model, __doc__=Model.__doc__, **keys)
    described = {key: Common.model_fields[key].description for key in ("task", "model")}
    tasks = f"{described['task']} {', '.join(registry.names('tasks'))}."
    return create_model("Common", __base__=Common, task=(str, Field(description=tasks)),
                        model=(model, Field(default_factory=model, description=described["model"])))
