"""What is shown to a person, as data: tables, figures, numbers with their intervals, findings.

Frozen dataclasses that round-trip through JSON; no drawing, so that no task imports matplotlib. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["issue", "tip", "passed", "not applicable"]


@dataclass(frozen=True)
class Table:
    """Rows to show to a person; cells are text or numbers."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Axis:
    """One axis of a figure; ``categories`` names the ticks of a categorical axis (positions 0, 1, …)."""

    label: str
    scale: Literal["linear", "log"] = "linear"
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """One curve, histogram or set of points.

    ``x`` has as many entries as ``y``, or one more when ``style`` is ``steps`` or ``filled``: bin edges. ``low`` and
    ``high`` are the ends of the error band or bar in ``y``, empty when there is none. ``group`` ties series that share
    a colour (train and test of one class); ``muted`` marks a reference line (chance, ideal calibration).
    """

    name: str
    style: Literal["line", "points", "steps", "filled", "bars"]
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    group: str = ""
    muted: bool = False


@dataclass(frozen=True)
class Colouring:
    """One quantity that may colour the points of a scatter, with one value for each of them.

    With ``categories`` the values are positions among these, -1 for none of them (noise). Without, they are numbers on
    a continuous scale, NaN where one is missing.
    """

    name: str
    values: tuple[float, ...]
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Points:
    """Many points in a plane and the quantities that may colour them, the first of which does at first.

    ``hover`` may hold a line of text for each point. :func:`automl_phys.scatter.points` makes these from arrays.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    colourings: tuple[Colouring, ...]
    hover: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """One image under a title. ``values`` are its pixels row by row, from the top, ``height`` times ``width`` of them;
    with ``colour`` red, green and blue of each pixel one after the other, in 0 … 1."""

    title: str
    height: int
    width: int
    values: tuple[float, ...]
    colour: bool = False


@dataclass(frozen=True)
class Panel:
    """A lower part of a figure of kind ``xy``, on the same x axis: ratios or pulls of what is above.

    Series of a name or ``group`` that series above have share their colour; there is no legend of its own.
    """

    y: Axis
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Figure:
    """A figure as data, not as a drawing. ``name`` is its file name and HTML anchor, in kebab-case.

    ``kind`` is ``xy`` (draw ``series``, and the panel ``below`` them, if there is one), ``matrix`` (draw
    ``matrix[row][column]`` with the axes' categories, row along y, on the scale ``shade``, if there is one: in two
    colours if it is as long below 0 as above, in separate ones if it has categories),
    ``scatter`` (draw ``points`` on linear axes), ``pictures`` (draw ``pictures`` side by side, ``across`` in a row;
    those without colours in shades on one scale, ``shade``) or ``animation`` (show ``animation``, a GIF in base64, and
    where nothing can move ``pictures``, moments of it). ``caption`` says how to read it, in one or two sentences.
    """

    name: str
    title: str
    kind: Literal["xy", "matrix", "scatter", "pictures", "animation"]
    x: Axis
    y: Axis
    series: tuple[Series, ...] = ()
    matrix: tuple[tuple[float, ...], ...] = ()
    points: Points | None = None
    pictures: tuple[Picture, ...] = ()
    across: int = 4
    shade: Axis | None = None
    caption: str = ""
    section: str = "Performance"
    below: Panel | None = None
    animation: str = ""


@dataclass(frozen=True)
class Estimate:
    """A number with its 68 % interval; ``low`` and ``high`` are NaN when it could not be had, ``note`` says why."""

    value: float
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True)
class Score:
    """How one candidate (the ensemble, a family's best trial, the baseline) did on the test set."""

    name: str
    role: Literal["winner", "member", "baseline"]
    metrics: Mapping[str, Estimate]
    better_than_baseline: Estimate | None = None
    """The gain in the objective over the baseline, paired on the same test events; positive is better."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Passing:
    """Of one kind of events what passes each threshold of a :class:`Sweep`: sums of weights and of their squares,
    and the same of all events of the kind."""

    name: str
    weights: tuple[float, ...]
    variances: tuple[float, ...]
    total: float
    total_variance: float


@dataclass(frozen=True)
class Measured:
    """A number at each threshold of a :class:`Sweep` with its 68 % interval: NaN where it is undefined or has none, an
    infinite upper end where the value is a lower limit. ``note`` says how the interval was had."""

    name: str
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True)
class Sweep:
    """What a threshold on the winner's output does, at many of them, on the test set.

    Events pass whose ``output`` is the threshold or more. ``thresholds`` rise. ``marks`` are the places among them, by
    name, of thresholds that are spoken of elsewhere in the report; ``start`` is the place to show first.
    """

    output: str
    thresholds: tuple[float, ...]
    signal: Passing
    background: Passing
    measured: tuple[Measured, ...]
    marks: Mapping[str, int]
    start: int
    note: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What the test set said. ``metrics`` are the winner's; ``scores`` hold winner, families and baseline. ``sweep`` is
    there where two kinds of events are told apart by a threshold."""

    verdict: str
    metrics: Mapping[str, Estimate]
    scores: tuple[Score, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    sweep: Sweep | None = None


@dataclass(frozen=True)
class Finding:
    """What a check found. ``text`` says what was seen and what to do; empty when it passed."""

    code: str
    title: str
    outcome: Outcome
    text: str = ""
