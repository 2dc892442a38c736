"""What the cells of a table are sorted by in a page: the number that stands in one, however it is written.

Takes cells of ``exhibits.Table``, numbers or text as :mod:`automl_phys.readable` writes it; gives numbers. Standard
library only; sorting is the work of ``templates/tables.js``.
"""

from __future__ import annotations

import re
from math import isnan

NUMBER = re.compile(r"[(>]? ?([−-]?\d[\d\u202f]*(?:\.\d+)?)(?: ± [\d\u202f.]+| \+[\d\u202f.]+ −[\d\u202f.]+)?\)?"
                    r"(?: × 10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?")
DURATION = re.compile(r"(?=.)(?:(\d+) h)? ?(?:(\d+) min)? ?(?:(\d+(?:\.\d+)?) s)?")
PLAIN = str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789", "\u202f")


def of(value: str | float | None) -> float | None:
    """The number in a cell, of a duration seconds; None for other text and for none."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return None if isnan(value) else value
    if found := NUMBER.fullmatch(value):
        return float(found[1].translate(PLAIN)) * 10.0 ** int((found[2] or "0").translate(PLAIN))
    if found := DURATION.fullmatch(value):
        hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return 3600 * hours + 60 * minutes + seconds
    return None
