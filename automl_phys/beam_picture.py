"""A picture of a beam line: magnets along the axis, the trajectory through them, what monitors read, correctors' kicks.

Takes a :class:`automl_phys.beam_environment.Line` and numbers of one moment; gives pixels, drawn with Pillow, without a
screen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from automl_phys.beam_environment import Floats, Line

WIDTH, HEIGHT = 480, 270
SHOWN = 5.0
"""Displacement in mm at the edge of the picture."""
LEFT, BOTTOM = 20, 240
BLUE, ORANGE, GREY, LIGHT, BLACK = (0, 114, 178), (213, 94, 0), (150, 150, 150), (225, 232, 240), (40, 40, 40)


def picture(line: Line, trajectory: Floats, readings: Floats, kicks: Floats) -> NDArray[np.uint8]:
    """Pixels (270, 480, 3). ``trajectory`` (P + 1,) and ``readings`` (n,) are in mm, ``kicks`` (n,) in -1 … 1."""
    image = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    middle = (BOTTOM + 10) // 2

    def across(place: float) -> float:
        return float(LEFT + place / line.places[-1] * (WIDTH - 2 * LEFT))

    def up(shift: float) -> float:
        return float(middle - np.clip(shift / SHOWN, -1, 1) * (middle - 10))

    for start in range(0, len(line.places) - 1, 2):  # quadrupoles: F above the axis, D below, both across the pipe
        left, right = across(line.places[start]) - 2, across(line.places[start + 1]) + 2
        draw.rectangle((left, 10, right, BOTTOM), fill=LIGHT)
        ends = (12, 22) if start % 4 == 0 else (BOTTOM - 10, BOTTOM)
        draw.rectangle((left, ends[0], right, ends[1]), fill=GREY)
    draw.line((LEFT, middle, WIDTH - LEFT, middle), fill=GREY)
    for mark in (-SHOWN + 1, SHOWN - 1):
        draw.text((2, up(mark) - 6), f"{mark:+.0f}", fill=BLACK)
    draw.line([(across(place), up(shift)) for place, shift in zip(line.places, trajectory, strict=True)],
              fill=BLUE, width=2)
    for monitor, reading in zip(line.monitors, readings, strict=True):
        x, y = across(line.places[monitor]), up(reading)
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), outline=ORANGE, width=2)
    for cell, kick in enumerate(kicks):
        x = across(line.places[4 * cell])
        draw.rectangle((x - 3, BOTTOM + 15 + min(0.0, -12 * kick), x + 3, BOTTOM + 15 + max(0.0, -12 * kick)),
                       fill=BLACK)
    draw.text((WIDTH - 150, HEIGHT - 12), "trajectory in mm, kicks", fill=BLACK)
    return np.asarray(image, np.uint8).copy()
