"""What all generators have in common: the columns they make, what they learn from, and how events come out of them.

Takes a prepared table; gives :class:`Given`, its train and validation rows as normal variates with their conditions,
and makes of what a family has learnt (:class:`Latent`) a :class:`Generator`, which the search, the report and
``automl-phys generate`` ask for events. Columns that are conditions are given, never generated. Events come in blocks,
each with a seed of its own, so that any number of them takes the same memory, and the first ones of many are the same
as of few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from automl_phys import event_space, rundir
from automl_phys.event_space import Column, Space, View
from automl_phys.exhibits import Figure
from automl_phys.table_problem import Rows, Schema, TableProblem
from automl_phys.trials import Watch
from automl_phys.values import Array, Direction

BLOCK = 1 << 13
"""Events that are drawn with one seed."""
BLOCK_PIXELS = 1 << 15
PREDICTED = 0
"""The seed of the events that the search and the report look at."""
CALIBRATED = 1
"""The seed of those by which the margins of images are matched."""
MATCHED = 4096
LATENT = "latent"
CONDITIONS = "conditions"
DESCRIPTION = "columns.json"
COURSE = "course.json"
SHOWN = "figures.json"
CHECKS = 5


@dataclass(frozen=True)
class Layout:
    """Which columns of the rows are generated and which are conditions, as their places among the numbers and the
    categories of :class:`Rows`. ``levels`` are the names of the categories' codes 1, 2, … by name."""

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    categories: tuple[int, ...]
    given_numbers: tuple[int, ...]
    given_categories: tuple[int, ...]
    given_names: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    images: bool = False

    @classmethod
    def of(cls, schema: Schema) -> Layout:
        """Of a prepared table, whose settings name the conditions."""
        given = tuple(schema.settings.get("condition", ()))
        levels = tuple(schema.levels)
        numbers, codes, given_numbers, given_codes = (
            tuple(j for j, name in enumerate(names) if (name in given) is wanted)
            for wanted in (False, True) for names in (schema.numbers, levels))
        made = [schema.numbers[j] for j in numbers] + [levels[j] for j in codes]
        conditions = [schema.numbers[j] for j in given_numbers] + [levels[j] for j in given_codes]
        return cls(tuple(made), numbers, codes, given_numbers, given_codes, tuple(conditions), dict(schema.levels),
                   schema.image is not None)

    def events(self, rows: Rows) -> Array:
        """What is generated of some rows: columns (n, d), float32, categories as codes; or images (n, h, w, c)."""
        if rows.images is not None:
            return np.asarray(rows.images, np.float32)
        return np.hstack([rows.numbers[:, self.numbers], rows.categories[:, self.categories].astype(np.float32)])

    def conditions(self, rows: Rows) -> Array:
        """The columns (n, c) that are given, float32, categories as codes."""
        codes = rows.categories[:, self.given_categories].astype(np.float32)
        return np.hstack([rows.numbers[:, self.given_numbers], codes])


@dataclass(frozen=True)
class Encoding:
    """Conditions as networks take them: classes one by one, numbers as normal variates. ``classes`` holds for each
    condition in turn the number of its classes, 0 for a number, whose map is the next of ``columns``."""

    classes: tuple[int, ...]
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, layout: Layout, rows: Rows) -> Encoding:
        """Of the training rows."""
        conditions, weight = layout.conditions(rows), rows.fit_weight
        numbers = len(layout.given_numbers)
        classes = tuple(len(layout.levels[name]) for name in layout.given_names[numbers:])
        return cls((0,) * numbers + classes, tuple(Column.of(conditions[:, j], weight) for j in range(numbers)))

    def __call__(self, conditions: Array) -> Array:
        """float32 (n, k) of conditions (n, c); a class that is not known is none of them."""
        made = [column.forward(conditions[:, j], None)[:, None] for j, column in enumerate(self.columns)]
        made += [conditions[:, [j]] == np.arange(1, count + 1) for j, count in enumerate(self.classes) if count]
        return np.hstack(made).astype(np.float32) if made else np.zeros((len(conditions), 0), np.float32)


@dataclass(frozen=True)
class Part:
    """Rows as generators learn from them: ``z`` float32 (n, d) or (n, h, w, c), ``condition`` float32 (n, k) and
    ``weight`` float32 (n,), none negative."""

    z: Array
    condition: Array
    weight: Array


@dataclass(frozen=True)
class Frame:
    """How events are learnt: the ``maps`` of their columns, which columns there are, how conditions are told."""

    maps: Space
    layout: Layout
    encoding: Encoding

    def back(self, z: Array) -> Array:
        """Events, float32 (n, d) or (n, h, w, c), of variates."""
        return self.maps.back(z)

    def save(self, folder: Path) -> None:
        """Write it into ``folder``, which is made."""
        self.maps.save(folder)
        Space(self.encoding.columns).save(folder / CONDITIONS)
        rundir.write_json(folder / DESCRIPTION, _Described(self.layout, self.encoding.classes))


@dataclass(frozen=True)
class _Described:
    """What of a frame is no array."""

    layout: Layout
    classes: tuple[int, ...]


def _frame(folder: Path) -> Frame:
    told = rundir.read_json(folder / DESCRIPTION, _Described)
    encoding = Encoding(told.classes, event_space.load(folder / CONDITIONS).columns)
    return Frame(event_space.load(folder), told.layout, encoding)


@dataclass(frozen=True)
class Given:
    """What a family fits: train and validation, and the frame that their variates are of."""

    train: Part
    valid: Part
    space: Frame

    def closed(self, draw: Callable[[Array, int], Array]) -> Frame:
        """The frame of the events that a finished ``draw`` (as of :class:`Latent`) makes, see :meth:`matched`."""
        maps = self.space.maps
        if not maps.pixels:
            return self.space
        condition = self.train.condition[self._some(MATCHED)]
        return self.matched(np.concatenate(list(blocks(draw, condition, CALIBRATED, block_of(maps)))))

    def matched(self, made: Array) -> Frame:
        """Of images as pixels, the frame in which variates ``made`` give each pixel the distribution that it has in
        training events; of others the frame as it is."""
        maps = self.space.maps
        if not maps.pixels:
            return self.space
        return replace(self.space, maps=maps.matched(self._margins, made))

    @cached_property
    def _margins(self) -> Array:
        """The variates of each pixel of training events, as often as weights say, rising: (m, pixels)."""
        some = self.train.z[self._some(max(MATCHED, len(self.train.z)))]
        return np.sort(some.reshape(len(some), -1), axis=0)

    def _some(self, count: int) -> Array:
        """Rows of training events, as often as their weights say."""
        rng = np.random.default_rng(CALIBRATED)
        return picked(np.cumsum(self.train.weight, dtype=np.float64), rng.random(count))


def given(problem: TableProblem, seed: int, view: View = "flat") -> Given:
    """Rows of a prepared table as variates; maps are of the training rows alone. Values that are shared are spread
    over their steps by ``seed``."""
    layout, rng = Layout.of(problem.schema), np.random.default_rng([seed, 1])
    train, weight = layout.events(problem.train), problem.train.fit_weight
    if layout.images:
        maps = event_space.of_images(train, weight, view)
    else:
        bounds = problem.schema.settings.get("bounds", {})
        maps = event_space.of_columns(train, weight, [
            (bounds[name][0], bounds[name][1]) if name in bounds else None for name in layout.names])
    frame = Frame(maps, layout, Encoding.of(layout, problem.train))

    def part(rows: Rows) -> Part:
        return Part(maps.forward(layout.events(rows), rng), frame.encoding(layout.conditions(rows)),
                    np.asarray(rows.fit_weight, np.float32))

    return Given(part(problem.train), part(problem.valid), frame)


class Latent(Protocol):
    """What a family makes: a sampler of normal variates."""

    def draw(self, condition: Array, seed: int) -> Array:
        """Variates, float32 (n, d) or (n, h, w, c), one for each condition (n, k); the same for the same arguments."""
        ...

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Generator:
    """A fitted generator. Satisfies ``contracts.Fitted``: what it predicts of rows are other events under the same
    conditions. ``shown`` are figures of its own."""

    space: Frame
    latent: Latent
    steps: int
    history: tuple[Mapping[str, float], ...]
    shown: tuple[Figure, ...] = ()

    def predict(self, rows: Rows) -> Array:
        """Generated events for the conditions of ``rows`` (n), float32 (n, d) or (n, h, w, c)."""
        return np.concatenate(list(self.stream(self.space.layout.conditions(rows), PREDICTED)))

    def stream(self, conditions: Array, seed: int) -> Iterator[Array]:
        """Events for conditions (n, c), n > 0, block by block. The first ones of many are the same as of few, if their
        conditions are."""
        for z in blocks(self.latent.draw, self.space.encoding(conditions), seed, self.block):
            yield self.space.back(z)

    def events(self, conditions: Array, seed: int, number: int) -> Array:
        """The events of the block of this ``number`` for conditions (n, c), at most ``block`` of them."""
        return self.space.back(drawn(self.latent.draw, self.space.encoding(conditions), seed, number, self.block))

    @property
    def block(self) -> int:
        """Events in a block."""
        return block_of(self.space.maps)

    def figures(self) -> tuple[Figure, ...]:
        """What the family shows of itself."""
        return self.shown

    def save(self, folder: Path) -> None:
        self.space.save(folder)
        self.latent.save(folder / LATENT)
        rundir.write_json(folder / COURSE, {"steps": self.steps, "history": list(self.history)})
        rundir.write_json(folder / SHOWN, self.shown)


def load(folder: Path, latent: Callable[[Path], Latent]) -> Generator:
    """Open a saved generator; ``latent`` opens what the family saved of itself."""
    course = rundir.read_json(folder / COURSE, dict[str, Any])
    shown = rundir.read_json(folder / SHOWN, tuple[Figure, ...])
    return Generator(_frame(folder), latent(folder / LATENT), course["steps"], tuple(course["history"]), shown)


def drawn(draw: Callable[[Array, int], Array], condition: Array, seed: int, number: int, size: int) -> Array:
    """Variates for encoded conditions (n, k), n at most ``size``: block ``number``, with a seed of its own. A block is
    always drawn whole: what is compiled for one size, and a generator of random numbers, give other events for
    another."""
    filled = np.concatenate([condition, np.repeat(condition[-1:], size - len(condition), axis=0)])
    one = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return draw(filled, one)[:len(condition)]


def blocks(draw: Callable[[Array, int], Array], condition: Array, seed: int, size: int) -> Iterator[Array]:
    """Variates for encoded conditions (n, k), ``size`` at a time."""
    for number, start in enumerate(range(0, len(condition), size)):
        yield drawn(draw, condition[start:start + size], seed, number, size)


def picked(top: Array, die: Array) -> Array:
    """Places (n,) of rows with the sums of weights up to each ``top`` (m,), as often as their weights say, by uniform
    random numbers ``die`` (n,)."""
    found: Array = np.searchsorted(top, die * top[-1], side="right").clip(0, len(top) - 1)
    return found


def block_of(maps: Space) -> int:
    """Events in a block: a power of two, fewer of images, whose networks work much for each pixel."""
    if not maps.shape:
        return BLOCK
    return min(BLOCK, 1 << max(6, (BLOCK_PIXELS // len(maps.columns)).bit_length() - 1))


class Looks:
    """Judges a generator while it is trained, by events: ``CHECKS`` times in so many ``epochs``, at most every epoch,
    and in the last one."""

    def __init__(self, given: Given, watch: Watch, epochs: int, direction: Direction = "minimize") -> None:
        self._given, self._watch, self._sign = given, watch, -1.0 if direction == "maximize" else 1.0
        self._at = {round(epochs * (i + 1) / CHECKS) for i in range(CHECKS)} | {epochs}

    def __call__(self, epoch: int, draw: Callable[[Array, int], Array], sync: Callable[[], None] | None = None
                 ) -> float | None:
        """The objective, turned so that lower is better, of what ``draw`` (as of :class:`Latent`) makes for the
        validation rows, after ``sync`` has put the weights in place; None where it is not this epoch's turn. Raises
        what ``trials.Watch`` does to end the fit."""
        if epoch not in self._at:
            return None
        if sync:
            sync()
        size = block_of(self._given.space.maps)
        made = np.concatenate(list(blocks(draw, self._given.valid.condition, PREDICTED, size)))
        return self._sign * self._watch(epoch, self._given.matched(made).back(made))
