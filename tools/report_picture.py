"""A picture of parts of a report page, for the documentation: Chromium takes it, Pillow cuts it.

``python tools/report_picture.py RUN/report.html header results -o docs/images/x.png``: the ids (or names) of elements
of the page that are shown, in the order in which they stand there; everything else is hidden. ``--across 2`` puts
figures side by side. The PNG has at most 256 colours, which pages do not miss, and must stay below 150 kB.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageChops

LARGEST = 150_000
MARGIN = 16
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def only(shown: Sequence[str], across: int) -> str:
    """The style that hides all but the elements of these selectors, their parents and what is in them."""
    these = ", ".join(shown)
    columns = (f"*:has(> :is({these})) {{display: grid !important; align-items: start; gap: 1rem;"
               f" grid-template-columns: repeat({across}, minmax(0, 1fr)) !important}}")
    hidden = f"body *:not(:is({these})):not(:has({these})):not(:is({these}) *) {{display: none !important}}"
    plain = ".page {display: block !important} body, main, .page {margin: 0 !important; padding: 0 !important}"
    return f"<style>{hidden} {plain} {columns if across > 1 else ''}</style></head>"


def take(page: Path, selectors: Sequence[str], width: int, across: int) -> Image.Image:
    """What a browser of ``width`` pixels shows of the elements, without the empty ground around them."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("No Chromium is installed to open the page with.")
    with tempfile.TemporaryDirectory() as name:
        copy, shot = Path(name, "page.html"), Path(name, "shot.png")
        text = page.read_text(encoding="utf-8").replace("</head>", only(selectors, across), 1)
        copy.write_text(text, encoding="utf-8")
        subprocess.run([browser, *FLAGS, f"--window-size={width},4000", f"--screenshot={shot}", copy.as_uri()],
                       check=True, capture_output=True, timeout=120)
        image = Image.open(shot).convert("RGB")
    last = image.crop((0, image.height - 1, 1, image.height))
    box = ImageChops.difference(image, last.resize(image.size)).getbbox()
    if box is None:
        sys.exit(f"Nothing on the page is {' or '.join(selectors)}.")
    whole = last.resize((box[2] - box[0] + 2 * MARGIN, box[3] - box[1] + 2 * MARGIN))
    whole.paste(image.crop(box), (MARGIN, MARGIN))
    return whole


def main() -> None:
    """Write the picture that the command line asks for."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("page", type=Path)
    arguments.add_argument("elements", nargs="+", help="ids, or CSS selectors such as header")
    arguments.add_argument("-o", "--output", type=Path, required=True)
    arguments.add_argument("--width", type=int, default=900)
    arguments.add_argument("--across", type=int, default=1)
    asked = arguments.parse_args()
    selectors = [one if one in {"header", "main"} or one[0] in "#.[" else f"#{one}" for one in asked.elements]
    image = take(asked.page, selectors, asked.width, asked.across)
    image.quantize(256).save(asked.output, optimize=True)
    if asked.output.stat().st_size > LARGEST:
        sys.exit(f"{asked.output} has {asked.output.stat().st_size} bytes: show less of the page.")


if __name__ == "__main__":
    main()
