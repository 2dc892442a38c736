"""Source ``image_folder``: a folder of PNG and JPEG files, each of which is a row.

Takes a folder that holds images, or folders of images, one for each class. Gives the columns ``image`` (a list with
a shape), ``file`` (the file's name, relative to the folder) and, where there are folders in the folder, ``class`` (the
name of that which the file is in). Rows are sorted by ``file``. Shapes come from the files' headers alone.

What the numbers are:

- grey images have the shape (h, w), colours (h, w, 3), red, green, blue, in integers of 8 bits from 0 to 255; where
  some are grey and some are not, all become colours, the grey ones with three equal channels;
- images with a palette are colours, those of one bit are grey, 0 and 255; colours of print (CMYK) become red, green,
  blue;
- what is transparent is put on black, as no light is no signal;
- grey images of 16 bits, such as counts of a camera, become fractions of 65535 in float32, which keeps every step of
  them; then others in the folder become fractions of 255. Of colours with 16 bits, and of grey with transparency, which
  Pillow takes for colours, it reads the upper 8 only;
- a JPEG file lies as its EXIF orientation says, as viewers show it. Of an animation the first picture is taken.

Images have one size: nothing is scaled or cut here. Links are followed inside the folder only, so that what was read
is what the folder holds.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from automl_phys import image_files
from automl_phys.contracts import Header, Location
from automl_phys.errors import DataError, Mistake

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from PIL.Image import Image

SUFFIXES = ()
INSIDE = ""

FORMATS = ("PNG", "JPEG")

MOST_PIXELS = 1 << 25
"""Of an image. More is a poster or a bomb, and no row of a table; Pillow itself warns at about three times as many."""

THREADS = 4
"""Enough to wait for a disk, and to decode; Pillow lets other threads run meanwhile."""
BATCH = 64
"""Files that a thread opens one after the other."""

MOST_NAMED = 3

GREY = {"1", "L", "LA", "La"}
DEEP = {"I", "I;16", "I;16L", "I;16B", "I;16N"}
"""Pillow's words for grey images of 8 and of 16 bits."""

ORIENTATION = 0x0112
"""Tag of EXIF. From 5 on, height and width change places."""

_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, KeyError, AttributeError, OverflowError,
           struct.error, zlib.error)
"""What Pillow raises for files that are cut off, damaged, or no images."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Picture:
    """What a file's header says: its size in pixels, as it is shown, and whether it has colours, or 16 bits."""

    height: int
    width: int
    colour: bool
    deep: bool


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be used."""

    code: str
    why: str


def peek(location: Location) -> Header:
    """Columns and rows, from the names of files and their headers.

    Raises DataError with all of ``no-images``, ``image-beside-folders``, ``link-out-of-folder``, ``not-utf8``,
    ``unreadable-image``, ``too-many-pixels``, ``mixed-image-sizes``.
    """
    names = _names(location.path)
    kinds = {"image": "list", "file": "text"} | ({"class": "text"} if "/" in names[0] else {})
    return Header(kinds, len(names), {"image": _shape(_common(location.path, names))})


def read(location: Location, columns: Sequence[str], chunk_rows: int) -> Iterator[pa.Table]:
    """The named columns, at most ``chunk_rows`` at a time, fewer where images are large. Files are opened only for
    ``image``.

    Raises DataError as :func:`peek` does; a file that is cut off is found here, with the others of its chunk.
    """
    import pyarrow as pa

    from automl_phys.array_columns import BLOCK_BYTES

    names = _names(location.path)
    common = _common(location.path, names) if "image" in columns else None
    width = prod(_shape(common)) * (4 if common.deep else 1) if common else 1
    step = max(1, min(chunk_rows, BLOCK_BYTES // width))
    for start in range(0, len(names), step):
        some = names[start:start + step]
        made = {"file": pa.array(some, pa.string()),
                "class": pa.array([name.partition("/")[0] for name in some], pa.string())}
        if common:
            pixels = pa.array(_decoded(location.path, some, common).reshape(-1))
            made["image"] = pa.FixedSizeListArray.from_arrays(pixels, prod(_shape(common)))
        yield pa.table({name: made[name] for name in columns})


def _names(folder: Path) -> tuple[str, ...]:
    """The images' names; they are all directly in the folder, or all in folders of it."""
    found = image_files.find(folder)
    names = found.names
    if not names:
        raise DataError(Mistake("no-images", f"{folder} holds no images.",
                                f"Give a folder with files {', '.join(image_files.ENDINGS)}, or with folders of them."))
    mistakes = []
    beside = [name for name in names if "/" not in name]
    if len(beside) not in {0, len(names)}:
        folders = sorted({name.partition("/")[0] for name in names if "/" in name})
        mistakes.append(Mistake(
            "image-beside-folders", f"{folder} holds images ({_first(beside)}) beside folders of images "
            f"({_first(folders)}).", "Put them into a folder too, or name the folders one by one."))
    if found.outside:
        mistakes.append(Mistake("link-out-of-folder", f"Links lead out of {folder}: {_first(found.outside)}.",
                                "Copy the images into the folder, or name the folder that they are in."))
    odd = [name for name in names if not name.isascii() and _surrogates(name)]
    if odd:
        text = f"Names of images in {folder} are not UTF-8: {_first([ascii(name) for name in odd])}."
        mistakes.append(Mistake("not-utf8", text, "Rename them."))
    if mistakes:
        raise DataError(mistakes)
    return names


def _surrogates(name: str) -> bool:
    """Whether a name has bytes that Python could not read as UTF-8."""
    return any("\ud800" <= letter <= "\udfff" for letter in name)


def _common(folder: Path, names: Sequence[str]) -> Picture:
    """What all images are alike in. Raises DataError."""
    seen = _each(_header, folder, names)
    pictures = {name: one for name, one in zip(names, seen, strict=True) if isinstance(one, Picture)}
    mistakes = _mistakes(folder, names, seen)
    first: dict[tuple[int, int], str] = {}
    for name, one in pictures.items():
        first.setdefault((one.height, one.width), name)
    if len(first) > 1:
        told = [f"{name} has {height} × {width}" for (height, width), name in first.items()]
        text = f"The images in {folder} are not of one size: {_first(told)} pixels (height × width)."
        mistakes.append(Mistake("mixed-image-sizes", text, "Bring them to one size, by scaling or by cutting."))
    if mistakes:
        raise DataError(mistakes)
    (height, width), = first
    return Picture(height, width, any(one.colour for one in pictures.values()),
                   any(one.deep for one in pictures.values()))


def _shape(common: Picture) -> tuple[int, ...]:
    return (common.height, common.width, *((3,) if common.colour else ()))


def _header(path: Path) -> Picture | Fault:
    """What a file says of itself; its pixels are not read."""

    def look(image: Image) -> Picture | Fault:
        width, height = image.size
        if width * height > MOST_PIXELS:
            return Fault("too-many-pixels", f"{height} × {width}")
        if _orientation(image) >= 5:
            width, height = height, width
        return Picture(height, width, image.mode not in GREY | DEEP, image.mode in DEEP)

    return _opened(path, look)


def _decoded(folder: Path, names: Sequence[str], common: Picture) -> NDArray[Any]:
    """The pixels of some images (n, h, w) or (n, h, w, 3). Raises DataError."""
    import numpy as np

    def pixels(path: Path) -> NDArray[Any] | Fault:
        return _opened(path, lambda image: _pixels(image, common))

    found = _each(pixels, folder, names)
    mistakes = _mistakes(folder, names, found)
    if mistakes:
        raise DataError(mistakes)
    return np.stack([one for one in found if not isinstance(one, Fault)])


def _pixels(image: Image, common: Picture) -> NDArray[Any]:
    """An image's pixels in the shape and type that all images of the folder share."""
    import numpy as np
    from PIL.Image import Transpose

    turns = (None, None, Transpose.FLIP_LEFT_RIGHT, Transpose.ROTATE_180, Transpose.FLIP_TOP_BOTTOM,
             Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
    turn = turns[_orientation(image)]
    shown = image if turn is None else image.transpose(turn)
    values: NDArray[Any]
    if image.mode in DEEP:
        values = np.asarray(shown).astype(np.float32) / np.float32(65535)
    else:
        values = _bytes(shown)
        if common.deep:
            values = values.astype(np.float32) / np.float32(255)
    if common.colour and values.ndim == 2:
        values = np.repeat(values[:, :, None], 3, axis=2)
    if values.shape != _shape(common):
        raise ValueError("it changes while it is read")
    return values


def _bytes(image: Image) -> NDArray[np.uint8]:
    """Grey values (h, w) or colours (h, w, 3), what is transparent on black."""
    import numpy as np

    grey = image.mode in GREY
    if not image.has_transparency_data:
        return np.asarray(image.convert("L" if grey else "RGB"))
    values = np.asarray(image.convert("LA" if grey else "RGBA")).astype(np.uint16)
    on_black = ((values[..., :-1] * values[..., -1:] + 127) // 255).astype(np.uint8)
    return on_black[..., 0] if grey else on_black


def _orientation(image: Image) -> int:
    """How a JPEG file is to be turned, from 1 (not at all) to 8. A PNG file would have to be read whole to say it."""
    if image.format == "PNG":
        return 1
    with suppress(*_DAMAGE):  # of the note, not of the image
        told = image.getexif().get(ORIENTATION, 1)
        return told if told in range(1, 9) else 1
    return 1


def _opened(path: Path, what: Callable[[Image], _T | Fault]) -> _T | Fault:
    """Something of an image, or why it cannot be had."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as image:
            return what(image)
    except UnidentifiedImageError:
        return Fault("unreadable-image", "empty" if not path.stat().st_size else "no PNG or JPEG")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Fault("too-many-pixels", f"more than {MOST_PIXELS}")
    except _DAMAGE as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Fault("unreadable-image", " ".join(said.split())[:80] or type(error).__name__)


def _each(what: Callable[[Path], _T | Fault], folder: Path, names: Sequence[str]) -> list[_T | Fault]:
    """What there is for each file, in their order, by a few threads."""
    batches = [names[start:start + BATCH] for start in range(0, len(names), BATCH)]
    threads = min(THREADS, len(names))
    if len(batches) < threads:  # few, which may be large: each by itself
        batches = [[name] for name in names]
    with _quiet(), ThreadPoolExecutor(threads) as pool:
        return _gathered(pool, lambda batch: [what(folder / name) for name in batch], batches)


def _gathered(pool: Executor, what: Callable[[Sequence[str]], list[_T]], batches: Sequence[Sequence[str]]) -> list[_T]:
    return [one for some in pool.map(what, batches) for one in some]


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow's remarks on odd files are not for the user; its warning of too many pixels is an error.

    Filters are those of all threads, so they are set around the threads' work, and not in it.
    """
    from PIL.Image import DecompressionBombWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", DecompressionBombWarning)
        yield


def _mistakes(folder: Path, names: Sequence[str], found: Sequence[object]) -> list[Mistake]:
    """What is wrong with files, one mistake for each kind of fault."""
    faults = {name: one for name, one in zip(names, found, strict=True) if isinstance(one, Fault)}
    unreadable = [f"{name} ({fault.why})" for name, fault in faults.items() if fault.code == "unreadable-image"]
    large = [f"{name} ({fault.why})" for name, fault in faults.items() if fault.code == "too-many-pixels"]
    mistakes = []
    if unreadable:
        mistakes.append(Mistake(
            "unreadable-image", f"{len(unreadable)} of {len(names)} images in {folder} cannot be read: "
            f"{_first(unreadable)}.", "They may be cut off or of another format: replace them, or take them out."))
    if large:
        mistakes.append(Mistake(
            "too-many-pixels", f"Images in {folder} have more than {MOST_PIXELS} pixels: {_first(large)}.",
            "Scale them down, or cut them into parts."))
    return mistakes


def _first(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
