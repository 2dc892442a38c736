"""What all detectors of anomalies have in common: what they see of events, and scores that can be compared.

Takes a prepared problem; gives :class:`Given`, its rows as columns alike in scale, and makes of what a family has
learnt (a :class:`Scorer`, whose raw scores may have any unit) a :class:`Detector`, which search and report ask for
scores. A score is -log10 of the share of held-out normal events that are at least as anomalous, as a continuous and
strictly increasing function of the raw score, so that a cut on it is a cut on the other. All that is fitted here is
fitted on training rows; held-out normal events say only what scores are usual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from automl_phys import event_space, pixels, points_scale, principal_axes, rundir
from automl_phys.event_space import Column, Space
from automl_phys.exhibits import Figure
from automl_phys.table_problem import Rows
from automl_phys.trials import Watch
from automl_phys.values import Array

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem

Floats = NDArray[np.floating[Any]]
Scaling = Literal["normal", "standard"]

BLOCK = 1 << 16
"""Rows that are scored at once."""
BLOCK_CELLS = 1 << 24
FAR = 8.0
"""Widths from the centre from where on a value counts only by its logarithm: nothing overflows, and all are told apart.
"""
MOST_FITTED = 200_000
"""Rows by which columns are scaled."""
MOST_KNOTS = 256
BEYOND = 0.1
"""Share of the held-out events whose slope the map of scores goes on with beyond its ends."""
SCORER = "scorer"
LEVELS = "levels"
COURSE = "course.json"
SHOWN = "figures.json"
ARRAYS = "frame.npz"


# ---------------------------------------------------------------- what detectors see

@dataclass(frozen=True)
class Frame:
    """How rows become columns alike in scale.

    Numbers come first: as standard normal variates by the maps ``numbers`` (of ``scaling`` normal), or with their
    median taken off and divided by half of their central 68 %. Then a column for each level of each category, of which
    there are ``levels`` (c,), and the pixels, which share a unit and are divided by one width. ``centre`` and ``width``
    (D,) are of all of these; ``kept`` (K,) are the ones that vary among training rows. With ``axes`` (k, K), principal
    axes of the columns around ``middle`` (K,), a detector sees the places along these, and the distance from their
    plane in units of ``usual``.
    """

    scaling: str
    numbers: tuple[Column, ...]
    levels: Array
    centre: Array
    width: Array
    kept: Array
    axes: Array
    middle: Array
    usual: float

    @classmethod
    def of(cls, rows: Rows, scaling: Scaling, most: int) -> Frame:
        """Of the training rows; beyond ``most`` columns, if that is not 0, as principal components."""
        rows = rows.take(slice(None, None, -(-len(rows) // MOST_FITTED)))
        some, weight = _raw(rows, (levels := _counts(rows))), rows.fit_weight.astype(np.float64)
        numbers, flags = rows.numbers.shape[1], int(levels.sum())
        centre, wide = _location(some, weight, numbers, flags, levels)
        varies = np.ptp(some, axis=0) > 0
        maps = tuple(Column.of(some[:, j], weight) for j in range(numbers)) if scaling == "normal" else ()
        kept = np.flatnonzero(varies) if varies.any() else np.zeros(1, np.intp)
        nothing = np.empty((0, len(kept)))
        frame = cls(scaling, maps, levels, centre, wide, kept, nothing, np.zeros(len(kept)), 1.0)
        return frame._compressed(rows, weight, most) if 0 < most < len(kept) else frame

    def __call__(self, rows: Rows) -> NDArray[np.float32]:
        """What a detector sees of rows: float32 (n, K), or (n, k + 1) with axes. Each row by itself."""
        columns = self.columns(rows)
        if not len(self.axes):
            return columns
        around = columns - self.middle
        along = around @ self.axes.T
        off = np.sqrt(((around - along @ self.axes) ** 2).sum(axis=1, keepdims=True)) / self.usual
        return np.hstack([along, off]).astype(np.float32)

    def whole(self, rows: Rows) -> NDArray[np.float32]:
        """The same of many rows, block by block."""
        return np.concatenate([self(block) for block in rows.blocks(BLOCK)])

    def columns(self, rows: Rows) -> NDArray[np.float32]:
        """The columns that vary, float32 (n, K)."""
        raw = _raw(rows, self.levels)[:, self.kept]
        scaled = (raw - self.centre[self.kept]) / self.width[self.kept]
        for place, j in enumerate(self.kept):
            if j < len(self.numbers):
                scaled[:, place] = _variate(self.numbers[j], raw[:, place])
        scaled = np.nan_to_num(scaled, nan=0.0)
        far = np.abs(scaled) - FAR
        drawn_in = np.sign(scaled) * (FAR + np.log1p(np.maximum(far, 0)))
        return np.where(far > 0, drawn_in, scaled).astype(np.float32)

    def of_features(self, errors: Floats, rows: Rows) -> NDArray[np.float32]:
        """What columns say (n, K) summed by what they are of: float32 (n, f), numbers, categories, pixels."""
        numbers, categories = rows.numbers.shape[1], len(self.levels)
        owner = np.concatenate([np.arange(numbers), numbers + np.repeat(np.arange(categories), self.levels),
                                numbers + categories + np.arange(len(self.centre) - numbers - int(self.levels.sum()))])
        made = np.zeros((len(errors), len(np.unique(owner))), np.float32)
        np.add.at(made.T, owner[self.kept], np.asarray(errors, np.float32).T)
        return made

    def save(self, folder: Path) -> None:
        """Write it into ``folder``, which is made."""
        Space(self.numbers).save(folder)
        np.savez(folder / ARRAYS, **{f.name: getattr(self, f.name) for f in fields(self) if f.name != "numbers"})

    def _compressed(self, rows: Rows, weight: Floats, most: int) -> Frame:
        middle, axes, variance = principal_axes.of(self.columns(rows), weight)
        usual = float(np.sqrt(variance[most - 1:].sum())) or 1.0
        return replace(self, axes=np.ascontiguousarray(axes[:most - 1]), middle=middle, usual=usual)


def load_frame(folder: Path) -> Frame:
    """Open what :meth:`Frame.save` wrote."""
    with np.load(folder / ARRAYS, allow_pickle=False) as saved:
        arrays = {name: array if array.ndim else array.item() for name, array in saved.items()}
    return Frame(numbers=event_space.load(folder).columns, **arrays)


def _counts(rows: Rows) -> NDArray[np.int64]:
    """How many levels each category has among rows: codes start at 1."""
    return np.array([int(codes.max(initial=1)) for codes in rows.categories.T], np.int64)


def _raw(rows: Rows, levels: Array) -> NDArray[np.float64]:
    """Numbers, a column for each level of each category, pixels: float64 (n, D). A level that training rows did not
    have is none of them."""
    flags = [rows.categories[:, [j]] == np.arange(1, count + 1) for j, count in enumerate(levels)]
    images = [] if rows.images is None else [pixels.columns(rows.images)]
    return np.concatenate([rows.numbers, *flags, *images], axis=1, dtype=np.float64)


def _location(values: Floats, weight: Floats, numbers: int, flags: int, levels: Array) -> tuple[Floats, Floats]:
    """Centre and width (D,) of the columns. Each number has its own; the levels of a category have the width of all of
    them together, pixels the root of their mean variance."""
    share = weight / weight.sum()
    centre = share @ values
    variance = share @ (values - centre) ** 2
    wide = np.sqrt(variance)
    for j in range(numbers):
        order = np.argsort(values[:, j], kind="stable")
        low, middle, high = np.interp((points_scale.CENTRAL_68[0], 0.5, points_scale.CENTRAL_68[1]),
                                      np.cumsum(share[order]), values[order, j])
        if high > low:
            centre[j], wide[j] = middle, (high - low) / 2
    start = numbers
    for count in levels:
        wide[start:start + count] = np.sqrt(variance[start:start + count].sum())
        start += count
    if flags + numbers < len(wide):
        wide[numbers + flags:] = np.sqrt(variance[numbers + flags:].mean())
    return centre, np.where(wide > 0, wide, 1.0)


def _variate(column: Column, values: Floats) -> Floats:
    """Normal variates (n,) of values; beyond the outermost training event in proportion to the distance from the
    middle, so that it matters how far out an event is."""
    ends = column.x[[0, -1]]
    variates = column.forward(values, None)
    if len(column.x) == 1:
        return variates
    middle = float(column.back(np.zeros(1))[0])
    for end, beyond in ((ends[0], values < ends[0]), (ends[1], values > ends[1])):
        if beyond.any():
            slope = float(column.forward(np.array([end]), None)[0]) / (end - middle) if end != middle else 0.0
            slope = slope if slope > 0 else 1.0 / max(float(ends[1] - ends[0]), 1e-300)
            variates[beyond] += slope * (values[beyond] - end)
    return variates


@dataclass(frozen=True)
class Given:
    """What a family fits: ``train`` float32 (n, K) with weights ``weight`` (n,), none negative; ``valid`` (m, K), all
    that a trial is judged on, of which ``normal`` (m,) are held-out normal events with weights ``valid_weight`` (m,), 0
    for the others; and how rows become these."""

    train: NDArray[np.float32]
    weight: NDArray[np.float32]
    valid: NDArray[np.float32]
    valid_weight: NDArray[np.float32]
    normal: NDArray[np.bool_]
    frame: Frame

    def drawn(self, most: int, seed: int) -> NDArray[np.float32]:
        """Training rows for a method that knows no weights: at most ``most``, each as often as its weight says."""
        weight = self.weight.astype(np.float64)
        rng, equal = np.random.default_rng([seed, 2]), bool(np.ptp(weight) == 0)
        if equal and len(weight) <= most:
            return self.train
        count = min(most, len(weight))
        return self.train[np.sort(rng.choice(len(weight), count, replace=not equal, p=weight / weight.sum()))]

    def tail(self, raw: Floats) -> Tail:
        """How usual raw scores (m,) of the validation rows are among normal events."""
        return Tail.of(raw[self.normal], self.valid_weight[self.normal])


def given(problem: AnomalyProblem, scaling: Scaling = "normal", most: int = 0) -> Given:
    """Rows of a prepared problem as columns; ``most`` columns at most, if it is not 0."""
    train, valid, held_out = problem.train, problem.valid, problem.held_out
    frame = Frame.of(train, scaling, most)
    normal, weight = np.zeros(len(valid), np.bool_), np.zeros(len(valid), np.float32)
    normal[:len(held_out)] = problem.normal
    weight[normal] = held_out.fit_weight[problem.normal]
    return Given(frame.whole(train), np.asarray(train.fit_weight, np.float32), frame.whole(valid), weight, normal,
                 frame)


# ---------------------------------------------------------------- scores

@dataclass(frozen=True)
class Tail:
    """The map from raw scores to -log10 of their p-values: through ``raw`` (m,) and ``level`` (m,), both strictly
    rising, piecewise linear, and on with ``slope`` (2,) beyond the ends."""

    raw: Array
    level: Array
    slope: Array

    @classmethod
    def of(cls, raw: Floats, weight: Floats) -> Tail:
        """Of held-out normal events (n,): the p-value is the share of the weights of events that score more, and half
        of those that score as much."""
        used = weight > 0
        every, place = np.unique(np.asarray(finite(raw), np.float64)[used], return_inverse=True)
        if len(every) < 2:
            start = float(every[0]) if len(every) else 0.0
            return cls(np.array([start, start + 1]), np.array([0.0, 1.0]), np.ones(2))
        own = np.bincount(place, weight[used].astype(np.float64))
        above = own.sum() - np.cumsum(own)
        level = -np.log10((above + own / 2) / own.sum())
        ranks = np.linspace(0, len(every) - 1, MOST_KNOTS // 2)
        levels = np.searchsorted(level, np.linspace(level[0], level[-1], MOST_KNOTS // 2))
        some = np.unique(np.concatenate([ranks.astype(np.int64), levels.clip(0, len(every) - 1), [len(every) - 1]]))
        raw, level = every[some], level[some]
        low = np.searchsorted(level, -np.log10(1 - BEYOND)).clip(1, len(raw) - 1)
        high = np.searchsorted(level, -np.log10(BEYOND)).clip(0, len(raw) - 2)
        slope = np.array([(level[low] - level[0]) / (raw[low] - raw[0]),
                          (level[-1] - level[high]) / (raw[-1] - raw[high])])
        return cls(raw, level, slope)

    def cut(self, share: float) -> Tail:
        """The map of scores that are levels already, beyond the p-value ``share`` as it is there: for few events, which
        say no more of what is rarer."""
        kept = np.append(True, self.level[1:] <= -np.log10(share))
        return Tail(self.raw[kept], self.level[kept], np.array([self.slope[0], 1.0]))

    def __call__(self, raw: Floats) -> NDArray[np.float32]:
        """Scores (n,) of raw scores (n,)."""
        raw = np.asarray(finite(raw), np.float64)
        beyond = self.slope[0] * np.minimum(raw - self.raw[0], 0) + self.slope[1] * np.maximum(raw - self.raw[-1], 0)
        most = float(np.finfo(np.float32).max)
        made: NDArray[np.float32] = np.clip(np.interp(raw, self.raw, self.level) + beyond, -most, most).astype(
            np.float32)
        return made

    def save(self, folder: Path) -> None:
        """Write it into ``folder``, which is made."""
        from automl_phys import arrays

        arrays.save(self, folder)


def finite(raw: Floats) -> Floats:
    """Raw scores (n,) without what is no number: that is as anomalous as can be."""
    largest = float(np.finfo(np.float32).max)
    return np.nan_to_num(raw, nan=largest, posinf=largest, neginf=-largest)


class Scorer(Protocol):
    """What a family makes: a raw score of columns."""

    def score(self, columns: NDArray[np.float32]) -> Floats:
        """Raw scores (n,) of columns (n, K): the larger the more anomalous, each row by itself."""
        ...

    def save(self, folder: Path) -> None: ...


@runtime_checkable
class Explained(Protocol):
    """A scorer that says what each column adds to the raw score."""

    def errors(self, columns: NDArray[np.float32]) -> Floats:
        """Non-negative (n, K): the larger, the more this column is why."""
        ...


@dataclass(frozen=True)
class Detector:
    """A fitted detector. Satisfies ``contracts.Fitted``. ``shown`` are figures of its own."""

    frame: Frame
    scorer: Scorer
    tail: Tail
    steps: int = 1
    history: tuple[Mapping[str, float], ...] = ()
    shown: tuple[Figure, ...] = ()

    def predict(self, rows: Rows) -> Array:
        """Scores float32 (n,): the larger the more anomalous; where 1 in 100 normal events are beyond, it is 2."""
        return np.concatenate([self.tail(self.scorer.score(self.frame(block))) for block in self._blocks(rows)]
                              or [np.zeros(0, np.float32)])

    def errors(self, rows: Rows) -> Array | None:
        """What each feature (numbers, categories, pixels) adds to the raw scores of rows, float32 (n, f); None where
        the score is not made of features."""
        if not isinstance(self.scorer, Explained) or len(self.frame.axes):
            return None
        return np.concatenate([self.frame.of_features(self.scorer.errors(self.frame(block)), block)
                               for block in self._blocks(rows)])

    def figures(self) -> tuple[Figure, ...]:
        """What the family shows of itself."""
        return self.shown

    def save(self, folder: Path) -> None:
        self.frame.save(folder)
        self.tail.save(folder / LEVELS)
        self.scorer.save(folder / SCORER)
        rundir.write_json(folder / COURSE, {"steps": self.steps, "history": list(self.history)})
        rundir.write_json(folder / SHOWN, self.shown)

    def _blocks(self, rows: Rows) -> Iterator[Rows]:
        return rows.blocks(max(1, min(BLOCK, BLOCK_CELLS // self._cells)))

    @cached_property
    def _cells(self) -> int:
        return max(1, len(self.frame.centre))


def load(folder: Path, scorer: Callable[[Path], Scorer]) -> Detector:
    """Open a saved detector; ``scorer`` opens what the family saved of itself."""
    from automl_phys import arrays

    course = rundir.read_json(folder / COURSE, dict[str, Any])
    shown = rundir.read_json(folder / SHOWN, tuple[Figure, ...])
    return Detector(load_frame(folder), scorer(folder / SCORER), arrays.load(Tail, folder / LEVELS), course["steps"],
                    tuple(course["history"]), shown)


def finished(given: Given, scorer: Scorer, watch: Watch, steps: int = 1,
             history: tuple[Mapping[str, float], ...] = (), shown: tuple[Figure, ...] = ()) -> Detector:
    """The detector of a scorer that was fitted in one go; ``watch`` sees its scores of the validation rows."""
    raw = np.concatenate([scorer.score(given.valid[start:start + BLOCK]) for start in range(0, len(given.valid), BLOCK)]
                         ) if len(given.valid) else np.zeros(0)
    tail = given.tail(raw)
    if not history:
        watch(steps, tail(raw))
    return Detector(given.frame, scorer, tail, steps, history, shown)
