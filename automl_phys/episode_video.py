"""A moving picture of an episode: an animated GIF of bounded size, or an MP4.

Takes frames (n, H, W, 3) uint8 as environments draw them; gives bytes, or writes a file. GIF is written with Pillow;
MP4 needs ffmpeg, which the package imageio-ffmpeg brings (the extra ``video``).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.errors import Mistake, RunError

if TYPE_CHECKING:
    from PIL.Image import Image

Frames = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]

MOST_BYTES = 1_000_000
MOST_FRAMES = 150
WIDEST = 320
COLOURS = 64
FASTEST = 50.0
"""Frames per second of a GIF: browsers show faster ones slowly."""
COARSER = ((1.0, 1), (0.75, 1), (0.75, 2), (0.5, 2), (0.5, 4), (0.35, 6))
"""Scales and strides to try, one after the other, until a GIF is small enough."""


def gif(frames: Frames, fps: float, most_bytes: int = MOST_BYTES) -> bytes:
    """An animated GIF that repeats itself and takes as long as the frames do at ``fps`` per second.

    It is at most ``WIDEST`` pixels wide and has at most ``MOST_FRAMES`` frames and ``COLOURS`` colours; where it is
    larger than ``most_bytes`` it becomes smaller and jerkier, and the last try stands. Raises ValueError for no frames,
    frames that are not (n, H, W, 3) uint8, and ``fps`` that is not above 0.
    """
    stack = _checked(frames, fps)
    stride = max(ceil(len(stack) / MOST_FRAMES), ceil(fps / FASTEST))
    made = b""
    for scale, more in COARSER:
        made = _gif(stack[::stride * more], scale * min(1.0, WIDEST / stack.shape[2]), 1000 * stride * more / fps)
        if len(made) <= most_bytes:
            break
    return made


def check_mp4() -> None:
    """Raise RunError where imageio-ffmpeg is not installed."""
    if find_spec("imageio_ffmpeg") is None:
        raise RunError(Mistake("missing-package", "Writing an MP4 needs the package imageio-ffmpeg, "
                               "which is not installed.", "Install it with: pip install 'automl-phys[video]'"))


def mp4(frames: Frames, fps: float, path: Path) -> None:
    """Write an MP4 (H.264) with all the frames. Raises RunError where imageio-ffmpeg is not installed or ffmpeg fails,
    ValueError as :func:`gif`."""
    stack = _checked(frames, fps)
    check_mp4()
    from importlib import import_module

    height, width = stack.shape[1:3]
    stack = np.ascontiguousarray(stack[:, :height - height % 2, :width - width % 2])  # H.264 wants even sizes
    try:
        writer: Any = import_module("imageio_ffmpeg").write_frames(
            str(path), (stack.shape[2], stack.shape[1]), fps=fps, macro_block_size=2, ffmpeg_log_level="error")
        writer.send(None)
        for frame in stack:
            writer.send(frame)
        writer.close()
    except OSError as error:
        raise RunError(Mistake("video", f"ffmpeg could not write {path}: {error}",
                               "The report's GIF does without it.")) from error


def _checked(frames: Frames, fps: float) -> NDArray[np.uint8]:
    stack = np.asarray(frames)
    if stack.ndim != 4 or stack.shape[3] != 3 or not stack.size or stack.dtype != np.uint8:
        raise ValueError("frames have to be (n, H, W, 3) uint8")
    if not fps > 0:
        raise ValueError("the frames per second have to be above 0")
    return stack


def _gif(stack: NDArray[np.uint8], scale: float, milliseconds: float) -> bytes:
    from PIL import Image as Pillow

    height, width = (max(1, round(side * scale)) for side in stack.shape[1:3])
    small = [Pillow.fromarray(frame).resize((width, height), Pillow.Resampling.BILINEAR)
             if (height, width) != frame.shape[:2] else Pillow.fromarray(frame) for frame in stack]
    # One palette for all, of frames throughout the episode: no flicker, and what stands still takes no bytes.
    sample = small[::ceil(len(small) / 8)]
    sheet = Pillow.new("RGB", (width, height * len(sample)))
    for i, frame in enumerate(sample):
        sheet.paste(frame, (0, height * i))
    palette = sheet.quantize(COLOURS)
    flat: list[Image] = [frame.quantize(palette=palette, dither=Pillow.Dither.NONE) for frame in small]
    file = BytesIO()
    flat[0].save(file, format="GIF", save_all=True, append_images=flat[1:], loop=0,
                 duration=max(20, round(milliseconds / 10) * 10), optimize=False)
    return file.getvalue()
