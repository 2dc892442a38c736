"""A picture of an oscillator in the plane of position and velocity: its trail, the last reading, the last kick.

Takes states in thermal units; gives pixels, drawn with Pillow, without a screen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZE = 240
SHOWN = 4.0
"""Distance from the centre at the edge of the picture."""
BLUE, ORANGE, GREY, BLACK = (0, 114, 178), (213, 94, 0), (190, 190, 190), (40, 40, 40)


def picture(trail: NDArray[np.float64], reading: float, kick: float) -> NDArray[np.uint8]:
    """Pixels (240, 240, 3). ``trail`` (n, 2) of position and velocity, the newest last; ``kick`` is -1, 0 or 1."""
    image = Image.new("RGB", (SIZE, SIZE), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    half, scale = SIZE / 2, SIZE / 2 / SHOWN
    where = [(half + scale * float(np.clip(x, -SHOWN, SHOWN)), half - scale * float(np.clip(v, -SHOWN, SHOWN)))
             for x, v in trail]
    thermal = scale * 2**0.5
    draw.ellipse((half - thermal, half - thermal, half + thermal, half + thermal), outline=GREY)
    draw.line((0, half, SIZE, half), fill=GREY)
    draw.line((half, 0, half, SIZE), fill=GREY)
    read = half + scale * float(np.clip(reading, -SHOWN, SHOWN))
    draw.line((read, half - 8, read, half + 8), fill=ORANGE, width=2)
    if len(where) > 1:
        draw.line(where, fill=BLUE, width=1)
    x, y = where[-1]
    draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=BLUE)
    if kick:
        draw.line((x, y, x, y - 20 * kick), fill=BLACK, width=3)
    draw.text((4, SIZE - 14), "circle: energy kT", fill=BLACK)
    return np.asarray(image, np.uint8).copy()
