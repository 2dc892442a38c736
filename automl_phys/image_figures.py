"""Figures of images and of what a model makes of them, as data.

Takes rows with images (n, h, w, c) and a model's answers, or a way to ask it; gives ``exhibits.Figure`` of kind
``pictures``, small enough for JSON. Pixels of one channel have shades, three channels are red, green and blue, of other
counts the mean is shown. Memory and cost are bounded by counts, not by the clock, so that the same seed gives the same
numbers. Drawing is left to :mod:`automl_phys.picture_drawing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.class_figures import slug
from automl_phys.exhibits import Axis, Figure, Picture
from automl_phys.ranking import Floats

if TYPE_CHECKING:
    from automl_phys.table_problem import Rows
    from automl_phys.values import Array

Singles = NDArray[np.float32]

SECTION = "Images"
MOST_PIXELS = 64
"""Of a shown picture's longer side."""
MOST_CLASSES = 12
"""Classes, the first ones, that get a picture each."""
MOST_FILTERS = 32
MOST_PREDICTIONS = 20_000
"""Images predicted in all for the occlusion maps, whatever their size and number."""
FEWEST_ROWS = 50
"""With fewer rows of a class, patches that do not overlap leave more of them to average over."""
PATCH = 6
"""A patch is this part of the image's height and width."""
BATCH_ROWS = 2048
BLOCK_NUMBERS = 1 << 23
"""Pixels held as numbers at a time."""

SAMPLE_ROWS = 256
DEEP = 30.0
"""Greatest pixel over the median of those not zero, beyond which shades are logarithmic."""
SPARSE = 0.6
"""Share of zeros beyond which images are sparse."""
VERY_DEEP = 100.0
"""As ``DEEP``, for means of sparse images."""
DECADES = 4
PERCENT = (1.0, 99.0)
"""Percentiles of float colours that become 0 and 1."""


# ---------------------------------------------------------------- pixels

def shrunk(images: NDArray[Any], most: int = MOST_PIXELS) -> Singles:
    """Images (n, h, w, c) with neither side longer than ``most``, float32: means over blocks of pixels, at the lower
    and right edge over what is there of them."""
    height, width = images.shape[1:3]
    values = np.asarray(images, np.float32)
    side = ceil(max(height, width, 1) / most)
    if side == 1:
        return values
    down, right = (np.arange(0, length, side) for length in (height, width))
    sums = np.add.reduceat(np.add.reduceat(values, down, axis=1), right, axis=2)
    sizes = np.outer(np.diff(down, append=height), np.diff(right, append=width)).astype(np.float32)
    return np.asarray(sums / sizes[None, :, :, None], np.float32)


def _shades(images: NDArray[Any]) -> Singles:
    """Images (n, h, w, c) as shades (n, h, w): the mean over the channels."""
    return np.asarray(images[..., 0] if images.shape[3] == 1 else images.mean(axis=3), np.float32)


def _colours(images: NDArray[Any], bytes_: bool) -> Singles:
    """Images (n, h, w, 3) as colours in 0 … 1: bytes by their range, other numbers by their own percentiles."""
    low, high = (0.0, 255.0) if bytes_ or not images.size else np.percentile(images, PERCENT)
    if low == high:
        low, high = float(images.min()), float(images.max())
    span = high - low if high > low else 1.0
    return np.clip((np.asarray(images, np.float32) - low) / span, 0.0, 1.0).astype(np.float32)


def _pictures(images: Singles, titles: Sequence[str], bytes_: bool = False) -> tuple[Picture, ...]:
    """One picture each of images (n, h, w, c), as they are to be seen; ``bytes_`` says that they were uint8."""
    seen = _colours(images, bytes_) if images.shape[3] == 3 else _shades(images)
    return tuple(_picture(values, title) for values, title in zip(seen, titles, strict=True))


def _picture(values: NDArray[Any], title: str) -> Picture:
    """Shades (h, w) or colours (h, w, 3) with four significant digits."""
    pixels = tuple(float(f"{v:.4g}") for v in values.ravel().tolist())
    return Picture(title, values.shape[0], values.shape[1], pixels, values.ndim == 3)


def _sample(rows: Rows) -> NDArray[Any]:
    """Some images, spread evenly over the rows."""
    images = _images(rows)
    most = max(1, min(SAMPLE_ROWS, BLOCK_NUMBERS // max(1, images[:1].size)))
    return np.asarray(images[:: max(1, ceil(len(images) / most))])


def _images(rows: Rows) -> NDArray[Any]:
    if rows.images is None:
        raise ValueError("these rows have no images")
    return rows.images


def _scale(label: str, sample: NDArray[Any], shown: NDArray[Any]) -> Axis:
    """Shades for ``shown`` pictures, logarithmic where most of the light is in few pixels of the ``sample`` of images.

    Bytes are never: they are of photographs, whose levels are even to the eye.
    """
    if sample.dtype == np.uint8:
        return Axis(label, low=0.0)
    high = float(shown.max(initial=0.0))
    sparse = float((sample == 0).mean()) > SPARSE if sample.size else False
    if sample.min(initial=0.0) < 0 or not (_depth(sample) > DEEP or (sparse and _depth(shown) > VERY_DEEP)):
        return Axis(label)
    return Axis(label, "log", low=high / 10**DECADES, high=high)


def _depth(values: NDArray[Any]) -> float:
    """Greatest value over the median of those above zero; 1 where there are none."""
    above = values[values > 0]
    return float(above.max() / np.median(above)) if len(above) else 1.0


def _either_side(label: str, values: Sequence[NDArray[Any]], scale: str = "linear") -> Axis:
    """Shades as far below 0 as above."""
    end = max((float(np.abs(v).max(initial=0.0)) for v in values), default=0.0) or 1.0
    return Axis(label, "log" if scale == "log" else "linear", low=-end, high=end)


def _figure(name: str, title: str, pictures: Sequence[Picture], shade: Axis, caption: str, across: int = 4) -> Figure:
    return Figure(name, title, "pictures", Axis(""), Axis(""), pictures=tuple(pictures), across=across, section=SECTION,
                  shade=None if all(p.colour for p in pictures) else shade, caption=caption)


def _first_of(classes: Sequence[str]) -> str:
    return f" The first {MOST_CLASSES} of {len(classes)} classes." if len(classes) > MOST_CLASSES else ""


def _across(count: int) -> int:
    """Pictures in a row, so that the rows are about equally long: up to 4, or 6 where there are many."""
    most = 4 if count <= 8 else 6
    return ceil(count / ceil(count / most)) if count else 1


# ---------------------------------------------------------------- the data

def averages(rows: Rows, classes: Sequence[str]) -> tuple[Figure, ...]:
    """The weighted mean image of each class; with two classes also their difference, signal first. Empty where no class
    has rows. Rows are read a block at a time."""
    codes = np.asarray(rows.target)
    means, names, counts = _means(rows, codes, classes[:MOST_CLASSES])
    if not names:
        return ()
    number = f"{sum(counts):,}".replace(",", "\u2009")
    made = [_averages(rows, means, names, "Average image of each class",
                      f"Weighted mean of {number} train images, pixel by pixel.{_first_of(classes)}")]
    if len(classes) == len(names) == 2:
        first = rows.signal or 0
        difference = _shades(shrunk(means[[first]] - means[[1 - first]]))
        scale = made[0].shade.scale if made[0].shade else "linear"
        title = f"{names[first]} − {names[1 - first]}"
        made.append(_figure("image-difference", "Difference of the average images", [_picture(difference[0], title)],
                            _either_side("Difference of mean pixels", [difference], scale),
                            f"Red where {names[first]} has more, blue where {names[1 - first]} has."))
    return tuple(made)


def averages_by_amount(rows: Rows, name: str, bins: int = 4) -> Figure | None:
    """The weighted mean image in ``bins`` of equal weight of the first target, called ``name``; None without rows."""
    amount = _amounts(rows.target)
    order = np.argsort(amount, kind="stable")
    known = np.cumsum(np.asarray(rows.fit_weight, np.float64)[order])
    if not len(known) or known[-1] <= 0:
        return None
    inner = amount[order[np.minimum(np.searchsorted(known, known[-1] * np.arange(1, bins) / bins), len(known) - 1)]]
    edges = np.unique([amount.min(), *inner, amount.max()])
    codes = np.clip(np.searchsorted(edges, amount, "right") - 1, 0, max(0, len(edges) - 2))
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)] or [f"{edges[0]:.3g}"]
    means, found, _ = _means(rows, codes, names)
    caption = f"Weighted mean of train images in ranges of {name} of about equal weight, pixel by pixel."
    return _averages(rows, means, found, f"Average image by {name}", caption) if found else None


def mean_image(rows: Rows) -> Floats:
    """The weighted mean image (h, w, c) of all rows, in full size; zeros without rows."""
    means, _, _ = _means(rows, np.zeros(len(rows), np.int64), [""])
    return means[0] if len(means) else np.zeros(_images(rows).shape[1:])


def _amounts(values: NDArray[Any]) -> Floats:
    """The first amount of each row (n, …)."""
    exact = np.asarray(values, np.float64)
    return exact.reshape(len(exact), -1)[:, 0] if exact.size else np.empty(0)


def _averages(rows: Rows, means: Floats, names: Sequence[str], title: str, caption: str) -> Figure:
    sample, small = _sample(rows), shrunk(means)
    scale = _scale("Mean pixel", sample, _shades(small))
    if scale.scale == "log":
        caption += f" Logarithmic shades over {DECADES} decades."
    return _figure("image-averages", title, _pictures(small, names, sample.dtype == np.uint8), scale, caption,
                   _across(len(names)))


def _means(rows: Rows, codes: NDArray[Any], names: Sequence[str]) -> tuple[Floats, list[str], list[int]]:
    """Weighted means (k, h, w, c) of the images of each code, names and counts of those that have rows.

    Where the weights of one add up to 0 or less, those to fit with count.
    """
    shape = _images(rows).shape[1:]
    size = max(1, int(np.prod(shape)))
    sums, totals = np.zeros((2, len(names), size)), np.zeros((2, len(names)))
    start = 0
    for block in rows.blocks(max(1, BLOCK_NUMBERS // size)):
        pixels = np.asarray(block.images, np.float64).reshape(len(block), size)
        is_in = codes[start:start + len(block)] == np.arange(len(names))[:, None]
        for kind, weight in enumerate((block.weight, block.fit_weight)):
            if kind == 0 or block.unsigned is not None:
                each = is_in * np.asarray(weight, np.float64)
                sums[kind] += each @ pixels
                totals[kind] += each.sum(axis=1)
        start += len(block)
    if rows.unsigned is None:
        sums[1], totals[1] = sums[0], totals[0]
    kind_of = np.where(totals[0] > 0, 0, 1)
    found = [k for k in range(len(names)) if totals[kind_of[k], k] > 0]
    means = [sums[kind_of[k], k] / totals[kind_of[k], k] for k in found]
    counts = [int((codes == k).sum()) for k in found]
    return np.reshape(means, (len(found), *shape)), [names[k] for k in found], counts


# ---------------------------------------------------------------- wrong predictions

def mistakes(rows: Rows, probabilities: Array, classes: Sequence[str], count: int = 12) -> Figure | None:
    """The images that the model, which gave ``probabilities`` (n, K), is surest of and wrong; None if it never is."""
    taken = np.argmax(probabilities, axis=1)
    sure = np.asarray(probabilities, np.float64)[np.arange(len(taken)), taken]
    wrong = np.flatnonzero(taken != np.asarray(rows.target))
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    titles = [f"{classes[int(rows.target[i])]}, taken for {classes[taken[i]]} ({sure[i]:.2f})" for i in worst]
    return _examples(rows, worst, "image-mistakes", "The surest mistakes", titles,
                     "Test images whose predicted class is wrong, those of the highest probability of it first.")


def largest_residuals(rows: Rows, predictions: Array, name: str, count: int = 12) -> Figure | None:
    """The images for which predictions (n, t, 2), value and uncertainty, of the first target, called ``name``, are
    farthest off; None without rows."""
    found, true = _amounts(predictions), _amounts(rows.target)
    worst = np.argsort(-np.abs(found - true), kind="stable")[:count]
    titles = [f"true {true[i]:.3g}, predicted {found[i]:.3g}" for i in worst]
    return _examples(rows, worst, f"image-residuals-{slug(name)}", f"The largest residuals of {name}", titles,
                     f"Test images whose predicted {name} is farthest from the true one, the farthest first.")


def oddest(rows: Rows, which: NDArray[np.int64], titles: Sequence[str]) -> Figure | None:
    """The images at places ``which``, called most anomalous; None for none."""
    return _examples(rows, which, "image-oddest", "The most anomalous images", titles,
                     "Test images of the highest scores, the highest first.")


def _examples(rows: Rows, which: NDArray[np.int64], name: str, title: str, titles: Sequence[str], caption: str
              ) -> Figure | None:
    if not len(which):
        return None
    some = _images(rows)[which]
    small = shrunk(some)
    scale = _scale("Pixel", _sample(rows), _shades(small))
    if some.dtype == np.uint8:
        scale = replace(scale, high=float(max(1, some.max())))
    return _figure(name, title, _pictures(small, titles, some.dtype == np.uint8), scale, caption)


# ---------------------------------------------------------------- what the model looks at

def occlusion(rows: Rows, predict: Callable[[Rows], Array], classes: Sequence[str], fill: NDArray[Any],
              most_rows: int = 100, seed: int = 0, name: str = "the prediction") -> Figure | None:
    """Occlusion sensitivity (Zeiler, Fergus 2014, arXiv:1311.2901): how much the probability of the true class drops
    when a patch of the image is replaced by that of ``fill`` (h, w, c), the mean training image; a pixel has the mean
    over the patches that cover it.

    Averaged, with weights, over up to ``most_rows`` rows of each class; fewer rows, and then fewer patches, where else
    more than :data:`MOST_PREDICTIONS` images would be predicted. Without ``classes`` the mean absolute change of the
    first target, called ``name``. None without rows.
    """
    names = list(classes[:MOST_CLASSES]) or [name]
    codes = np.asarray(rows.target) if len(classes) else np.zeros(len(rows), np.int64)
    height, width = _images(rows).shape[1:3]
    windows = _windows(height, width, overlapping=True)
    if _rows_each(windows, names) < min(FEWEST_ROWS, most_rows):
        windows = _windows(height, width, overlapping=False)
    most = min(most_rows, _rows_each(windows, names))
    rng = np.random.default_rng(seed)
    picks = [np.sort(rng.permutation(np.flatnonzero(codes == k))[:most]) for k in range(len(names))]
    some = rows.take(np.concatenate(picks))
    if not len(some):
        return None

    def answer(asked: Rows) -> Floats:
        found = np.asarray(predict(asked), np.float64)
        return found[np.arange(len(asked)), asked.target] if len(classes) else _amounts(found)

    change = answer(some) - _answers(some, answer, windows, fill)
    change = change if len(classes) else np.abs(change)
    found = {names[k]: _map(change[:, is_in], some.take(is_in), windows, (height, width))
             for k in range(len(names)) if len(is_in := np.flatnonzero(codes[np.concatenate(picks)] == k))}
    patch = f"{windows[0][0].stop} × {windows[0][1].stop}"
    how = f"when a patch of {patch} pixels is replaced by the mean training image (occlusion, arXiv:1311.2901)"
    maps = [_picture(values, title if len(classes) else "") for title, values in found.items()]
    if len(classes):
        return _figure("image-occlusion", "Where the model looks, by true class", maps,
                       _either_side("Drop of p(true class)", list(found.values())),
                       f"How much the probability of the true class drops {how}; mean over up to {most} test images of "
                       f"each class. Red pixels help, blue ones mislead.{_first_of(classes)}", _across(len(maps)))
    return _figure(f"image-occlusion-{slug(name)}", f"Where the model looks for {name}", maps,
                   Axis(f"Mean |change| of {name}", low=0.0),
                   f"How much {name} changes {how}; mean over {len(some)} test images.")


def _rows_each(windows: Sequence[Any], names: Sequence[str]) -> int:
    return max(1, MOST_PREDICTIONS // ((len(windows) + 1) * len(names)))


def _windows(height: int, width: int, overlapping: bool) -> list[tuple[slice, slice]]:
    """Patches of the image, half a patch apart or side by side, the last ones at its edge, so that all is covered."""
    sides, starts = [], []
    for length in (height, width):
        side = min(length, max(2, round(length / PATCH)))
        step = (side + 1) // 2 if overlapping else side
        sides.append(side)
        starts.append([*range(0, length - side, step), length - side])
    return [(slice(top, top + sides[0]), slice(left, left + sides[1])) for top in starts[0] for left in starts[1]]


def _answers(rows: Rows, answer: Callable[[Rows], Floats], windows: Sequence[tuple[slice, slice]], fill: NDArray[Any]
             ) -> Floats:
    """Answers (windows, n) for the rows with each window filled."""
    images, others = _images(rows), replace(rows, images=None)
    filling = (np.rint(fill) if images.dtype == np.uint8 else np.asarray(fill)).astype(images.dtype)
    answers = np.empty(len(windows) * len(rows))
    batch = max(1, min(BATCH_ROWS, BLOCK_NUMBERS // max(1, images[0].size)))
    for start in range(0, len(answers), batch):
        at, row = np.divmod(np.arange(start, min(start + batch, len(answers))), len(rows))
        changed = images[row]
        for k in np.unique(at):
            changed[(at == k, *windows[k])] = filling[windows[k]]
        answers[start:start + batch] = answer(replace(others.take(row), images=changed))
    return answers.reshape(len(windows), len(rows))


def _map(change: Floats, rows: Rows, windows: Sequence[tuple[slice, slice]], shape: tuple[int, ...]) -> Singles:
    """The weighted mean over rows of changes (windows, n), as a picture (h, w)."""
    weight = next((w for w in (rows.weight, rows.fit_weight) if w.sum() > 0), np.ones(len(rows)))
    total, covered = np.zeros(shape), np.zeros(shape)
    for window, value in zip(windows, np.average(change, axis=1, weights=weight), strict=True):
        total[window] += value
        covered[window] += 1
    return shrunk((total / covered)[None, :, :, None])[0, :, :, 0]


def filters(kernels: NDArray[Any], name: str) -> Figure:
    """Learned filters (kh, kw, cin, cout) of the first layer of ``name``, as means over the channels ``cin``; of many
    the strongest :data:`MOST_FILTERS`, by their norm, in the layer's order."""
    count = kernels.shape[3]
    strongest = np.argsort(-np.linalg.norm(kernels.reshape(-1, count), axis=0), kind="stable")[:MOST_FILTERS]
    chosen = np.sort(strongest)
    shown = np.asarray(kernels, np.float64).mean(axis=2).transpose(2, 0, 1)[chosen]
    which = f"The strongest {len(chosen)} of {count} filters" if count > len(chosen) else "The filters"
    return _figure(f"image-filters-{slug(name)}", f"First filters of {name}",
                   [_picture(values, str(k + 1)) for k, values in zip(chosen.tolist(), shown, strict=True)],
                   _either_side("Weight", [shown]),
                   f"{which} that the first layer multiplies the image with, mean over the channels.", across=8)
