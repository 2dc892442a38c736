"""Events as normal variates and back: what all generators learn, so that none of them has to learn a margin.

Takes columns of events (masses, counts, codes of categories) or images, with weights; gives :class:`Space`, whose
``forward`` makes each column standard normal and whose ``back`` gives events again. A column's map is its
distributional transform (Rüschendorf, Stat. Probab. Lett. 79 (2009) 2101) followed by the normal quantile function:
values that many events share (a count, an empty pixel, a ratio that is exactly 0) are spread over their step of the
distribution function, and everything that falls on the step comes back as that very value. So a count stays a count,
and nothing leaves its bounds. What is learnt of the relations between columns is the families' work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.floating[Any]]
View = Literal["flat", "pixels"]

FILE = "space.npz"
MOST_KNOTS_OF_PIXELS = 60
MOST_LEVELS = 200
"""Different values of a column of whole numbers that are taken for counts."""
ATOM_SHARE = 2e-3
ATOM_EVENTS = 5
"""From which share, and from how many events on, one value of a continuous column is a step of its own."""
LAST = 0.75
"""How much further out than the outermost event a bound is, in standard deviations."""
MOST_COMPONENTS = 96
LEAST_POWER = 1e-4
"""Of a direction in which events hardly differ at all: a smaller one is rounding."""
EXPLAINED = 0.995
"""Share of the pixels' variance that principal components are to hold."""
MOST_SHADES = 1024
"""Different values of all pixels up to which images are taken to know no others: 8 bits, say."""
LIT = 0.67
"""Variate of the least that is lit, at most, of pixels that are mostly empty: as far above 0 as the middle of a half is
below it."""
SAME_SUM = 0.01
"""Relative spread of a sum over pixels below which images are taken to have been divided by it."""


@dataclass(frozen=True)
class Column:
    """The map of one column: at the value ``x`` (m,), rising, the normal variate goes from ``low`` to ``high`` (m,);
    where these are the same the distribution has no step. One value alone is a constant."""

    x: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, values: Floats, weight: Floats, bounds: tuple[float, float] | None = None,
           most_knots: int | None = None) -> Column:
        """Of the values (n,) of events with weights (n,), none negative; ``bounds`` that events may reach up to.

        The distribution function goes straight, in standard deviations, between knots, as many as intervals of a
        histogram that tells most: 2 n^(2/5) (H. B. Mann, A. Wald, Ann. Math. Stat. 13 (1942) 306). With more of them
        it would follow the accidents of these events, and a classifier would see the difference."""
        every, place, count = np.unique(values.astype(np.float64), return_inverse=True, return_counts=True)
        share = np.bincount(place, weight, len(every))
        share = share / share.sum()
        if len(every) == 1:
            return cls(every, np.zeros(1), np.zeros(1))
        counts = len(every) <= MOST_LEVELS and bool((every == np.round(every)).all())
        atom = np.ones(len(every), np.bool_) if counts else (share >= ATOM_SHARE) & (count >= ATOM_EVENTS)
        top = np.cumsum(share)
        knots = max(2, round(2 * len(values)**0.4))
        knots = min(knots, most_knots or knots)
        least = 0.5 / max(2, len(values))
        spread = np.linspace(ndtri(least), ndtri(1 - least), knots)
        chosen = np.searchsorted(top, ndtr(spread)).clip(0, len(every) - 1)
        kept = np.union1d(np.flatnonzero(atom), np.concatenate([chosen if not counts else [], [0, len(every) - 1]]))
        kept = kept.astype(np.int64)
        middle = top - share / 2
        low = np.where(atom, top - share, middle)[kept]
        high = np.where(atom, top, middle)[kept]
        x, low, high = every[kept], ndtri(low.clip(least, 1 - least)), ndtri(high.clip(least, 1 - least))
        if bounds and bounds[0] < x[0]:
            x, low, high = np.append(bounds[0], x), np.append(low[0] - LAST, low), np.append(low[0] - LAST, high)
        if bounds and bounds[1] > x[-1]:
            x, low, high = np.append(x, bounds[1]), np.append(low, high[-1] + LAST), np.append(high, high[-1] + LAST)
        return cls(x, low, np.maximum(low, high))

    def forward(self, values: Floats, rng: np.random.Generator | None) -> Floats:
        """Normal variates (n,) of values (n,); on a step drawn by ``rng``, or the middle of it without."""
        if len(self.x) == 1:
            return np.zeros(len(values)) if rng is None else rng.standard_normal(len(values))
        values = np.clip(values.astype(np.float64), self.x[0], self.x[-1])
        left = np.searchsorted(self.x, values, side="right").clip(1, len(self.x)) - 1
        right = np.minimum(left + 1, len(self.x) - 1)
        width = np.where(right > left, self.x[right] - self.x[left], 1.0)
        part = (values - self.x[left]) / width
        between = self.high[left] + part * (self.low[right] - self.high[left])
        low, high = ndtr(self.low[left]), ndtr(self.high[left])
        on = values == self.x[left]
        # The outermost steps go on to infinity, as the normal distribution does.
        low = np.where((left == 0) & (high > low), 0.0, low)
        high = np.where((left == len(self.x) - 1) & (high > low), 1.0, high)
        drawn = np.full(len(values), 0.5) if rng is None else rng.uniform(1e-9, 1 - 1e-9, len(values))
        stepped = ndtri((low + drawn * (high - low)).clip(1e-12, 1 - 1e-12))
        return np.asarray(np.where(on & (high > low), stepped, np.where(on, self.low[left], between)))

    def back(self, variates: Floats) -> Floats:
        """Values (n,) of normal variates (n,)."""
        if len(self.x) == 1:
            return np.full(len(variates), self.x[0])
        return np.interp(self._inside(variates.astype(np.float64)), *self._stairs)

    def moved(self, real: Floats, made: Floats) -> Column:
        """The map that gives variates ``made`` (n,) the values that ``real`` (m,) have, as often; both rise."""
        if len(self.x) == 1:
            return self
        low = np.quantile(made, np.searchsorted(real, self.low, "left") / len(real))
        high = np.quantile(made, np.searchsorted(real, self.high, "right") / len(real))
        return Column(self.x, low, np.where(self.high > self.low, np.maximum(low, high), low))

    def _inside(self, z: Floats) -> Floats:
        """Beyond the outermost event of a continuous column mirrored at it, so that none gathers there."""
        if self.low[0] == self.high[0]:
            z = np.where(z < self.low[0], 2 * self.low[0] - z, z)
        if self.low[-1] == self.high[-1]:
            z = np.where(z > self.high[-1], 2 * self.high[-1] - z, z)
        return z

    @cached_property
    def _stairs(self) -> tuple[Floats, Floats]:
        return np.stack([self.low, self.high], axis=1).ravel(), np.repeat(self.x, 2)

    @property
    def discrete(self) -> bool:
        """Whether all values are steps."""
        return len(self.x) > 1 and bool((self.high > self.low).all())


@dataclass(frozen=True)
class Space:
    """``columns`` are the maps of the columns, or of the pixels of images of ``shape`` (h, w, c). With ``components``
    (k, p) of the pixels' variates, which vary around ``centre`` (p,), images are as ``scores`` (maps of k columns) of
    these. ``whitening`` (d, d), symmetric, takes the correlations out of the columns: what two of them tell together, a
    difference that is nearly always 0, would else be lost beside what each tells alone.

    What all images have in common is kept: ``shades`` are the only values of pixels, and with a ``total`` (p, s) the
    sum of the p-th powers of an image's pixels is s."""

    columns: tuple[Column, ...]
    shape: tuple[int, ...] = ()
    components: Floats | None = None
    centre: Floats | None = None
    scores: tuple[Column, ...] = ()
    whitening: Floats | None = None
    shades: Floats | None = None
    total: tuple[float, float] | None = None

    @property
    def size(self) -> int:
        """Numbers of one event as it is learnt."""
        return len(self.scores) or len(self.columns)

    @property
    def pixels(self) -> bool:
        """Whether images are learnt as they are, and not as components."""
        return bool(self.shape) and self.components is None

    def forward(self, values: Floats, rng: np.random.Generator | None) -> NDArray[np.float32]:
        """Events (n, d) as normal variates (n, d); images (n, h, w, c) as (n, k) or (n, h, w, c). float32."""
        flat = values.reshape(len(values), -1)
        if not self.shape:
            return self._white(_forward(self.columns, flat, rng))
        variates = _forward(self.columns, flat, None)
        if self.components is None or self.centre is None:
            return variates.reshape(len(values), *self.shape)
        return self._white(_forward(self.scores, (variates - self.centre) @ self.components.T, rng))

    def _white(self, variates: NDArray[np.float32]) -> NDArray[np.float32]:
        return variates if self.whitening is None else (variates @ self.whitening).astype(np.float32)

    def back(self, variates: Floats) -> NDArray[np.float32]:
        """Events of normal variates, float32."""
        flat = variates.reshape(len(variates), -1)
        if self.whitening is not None:
            flat = flat @ self._colouring
        if self.components is not None and self.centre is not None:
            flat = _back(self.scores, flat) @ self.components + self.centre
        made = _back(self.columns, flat)
        if self.total is not None:
            power, value = self.total
            found = (made.astype(np.float64)**power).sum(axis=1, keepdims=True)
            made *= np.where(found > 0, value / np.where(found > 0, found, 1), 1)**(1 / power)
        if self.shades is not None:
            between = (self.shades[1:] + self.shades[:-1]) / 2
            made = self.shades[np.searchsorted(between, made)].astype(np.float32)
        return made.reshape(len(variates), *self.shape) if self.shape else made

    @cached_property
    def _colouring(self) -> Floats:
        return np.linalg.inv(np.eye(self.size) if self.whitening is None else self.whitening)

    def matched(self, real: Floats, made: Floats) -> Space:
        """Of images as pixels, the space in which a generator's variates ``made`` (n, h, w, c) give each pixel the
        distribution that it has in ``real`` (m, pixels), each column rising: no network learns quite how often a pixel
        is empty."""
        found = np.sort(made.reshape(len(made), -1), axis=0)
        return replace(self, columns=tuple(
            column.moved(real[:, j].astype(np.float64), found[:, j].astype(np.float64))
            for j, column in enumerate(self.columns)))

    def save(self, folder: Path) -> None:
        """Write it into a file of ``folder``, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        nothing = np.empty((0, 0))
        np.savez(folder / FILE, shape=np.array(self.shape, np.int64),
                 components=nothing if self.components is None else self.components,
                 centre=nothing if self.centre is None else self.centre,
                 whitening=nothing if self.whitening is None else self.whitening,
                 shades=nothing if self.shades is None else self.shades,
                 total=nothing if self.total is None else np.array(self.total),
                 **_packed("columns", self.columns), **_packed("scores", self.scores))


def load(folder: Path) -> Space:
    """Read what :meth:`Space.save` wrote."""
    with np.load(folder / FILE, allow_pickle=False) as saved:
        components, centre, whitening, shades, total = (
            saved[name] if saved[name].size else None
            for name in ("components", "centre", "whitening", "shades", "total"))
        return Space(_unpacked("columns", saved), tuple(int(side) for side in saved["shape"]), components, centre,
                     _unpacked("scores", saved), whitening, shades,
                     None if total is None else (float(total[0]), float(total[1])))


def of_columns(values: Floats, weight: Floats, bounds: Sequence[tuple[float, float] | None]) -> Space:
    """The space of events (n, d) with weights (n,), and the bounds of each column."""
    columns = tuple(Column.of(values[:, j], weight, bounds[j]) for j in range(values.shape[1]))
    return _whitened(Space(columns), columns, values, weight)


def of_images(images: Floats, weight: Floats, view: View) -> Space:
    """The space of images (n, h, w, c); ``flat`` by principal components of the pixels' variates."""
    shape, flat = images.shape[1:], images.reshape(len(images), -1)
    columns = tuple(_drawn_in(Column.of(flat[:, j], weight, None, MOST_KNOTS_OF_PIXELS))
                    for j in range(flat.shape[1]))
    pixels = Space(columns, shape, shades=_shades(flat), total=_total(flat, weight))
    if view == "pixels":
        return pixels
    variates = _forward(columns, flat, None).astype(np.float64)
    centre = np.average(variates, axis=0, weights=weight)
    around = variates - centre
    power, axes = np.linalg.eigh((around * (weight / weight.sum())[:, None]).T @ around)
    power, axes = power[::-1].clip(0), axes[:, ::-1]
    enough = int(np.searchsorted(np.cumsum(power), EXPLAINED * power.sum())) + 1
    components = np.ascontiguousarray(axes[:, :max(1, min(enough, MOST_COMPONENTS))].T)
    scores = around @ components.T
    maps = tuple(Column.of(scores[:, j], weight) for j in range(scores.shape[1]))
    return _whitened(replace(pixels, components=components, centre=centre, scores=maps), maps, scores, weight)


def _drawn_in(column: Column) -> Column:
    """A pixel that is mostly empty, with what is lit nearer to the empty step. In the tail of a normal distribution it
    would be so far from it that whatever a network leaves in between counts as empty."""
    lit = float(column.high[0])
    if len(column.x) == 1 or lit <= max(0.0, float(column.low[0])):
        return column
    excess = max(0.0, lit - LIT)
    low, high = column.low - excess, column.high - excess
    low[0], high[0] = -1.0, 0.0
    return Column(column.x, low, np.maximum(low, high))


def _shades(pixels: Floats) -> Floats | None:
    """The values of all pixels (n, p), rising, if they are few."""
    found: Floats = np.empty(0)
    for some in np.array_split(pixels, max(1, len(pixels) // 1000)):
        found = np.union1d(found, some)
        if len(found) > MOST_SHADES:
            return None
    return found if len(found) > 1 else None


def _total(pixels: Floats, weight: Floats) -> tuple[float, float] | None:
    """A power and the sum of these powers of an image's pixels (n, p), if it is the same for all."""
    if pixels.min() < 0:
        return None
    for power in (1.0, 2.0):
        sums = (pixels.astype(np.float64)**power).sum(axis=1)
        mean = float(np.average(sums, weights=weight))
        if mean > 0 and np.average((sums - mean)**2, weights=weight) < (SAME_SUM * mean)**2:
            return power, mean
    return None


def _whitened(space: Space, maps: Sequence[Column], values: Floats, weight: Floats) -> Space:
    """The space without correlations of what its last ``maps`` make of values (n, d), each column about as it was
    (Mahalanobis' whitening)."""
    if space.size < 2:
        return space
    variates = _forward(maps, values, np.random.default_rng(0)).astype(np.float64)
    power, axes = np.linalg.eigh((variates * (weight / weight.sum())[:, None]).T @ variates)
    scale = np.sqrt(np.maximum(power, LEAST_POWER))
    return replace(space, whitening=(axes / scale) @ axes.T)


def _forward(columns: Sequence[Column], values: Floats, rng: np.random.Generator | None) -> NDArray[np.float32]:
    made = np.empty(values.shape, np.float32)
    for j, column in enumerate(columns):
        made[:, j] = column.forward(values[:, j], rng)
    return made


def _back(columns: Sequence[Column], variates: Floats) -> NDArray[np.float32]:
    made = np.empty(variates.shape, np.float32)
    for j, column in enumerate(columns):
        made[:, j] = column.back(variates[:, j])
    return made


def _packed(name: str, columns: Sequence[Column]) -> dict[str, Any]:
    """Arrays of columns of any length, one behind the other."""
    nothing = [np.empty(0)]
    return {f"{name}_ends": np.cumsum([len(column.x) for column in columns], dtype=np.int64),
            **{f"{name}_{part}": np.concatenate([getattr(column, part) for column in columns] or nothing)
               for part in ("x", "low", "high")}}


def _unpacked(name: str, saved: Mapping[str, Any]) -> tuple[Column, ...]:
    ends = saved[f"{name}_ends"][:-1]
    if not len(saved[f"{name}_ends"]):
        return ()
    parts = (np.split(saved[f"{name}_{part}"], ends) for part in ("x", "low", "high"))
    return tuple(Column(*arrays) for arrays in zip(*parts, strict=True))
