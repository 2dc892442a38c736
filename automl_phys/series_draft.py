"""The draft of a recipe for series: their times, what tells them apart, and how far ahead there is room to look.

Takes what was seen in the columns; gives the sections ``data`` and ``forecast``, every guess with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from automl_phys import role_guesses
from automl_phys.column_profiles import Looked
from automl_phys.drafting import Drafted, put_guess, word
from automl_phys.series_problem import CONTEXT, cuts


def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """Fill in ``data``, and give ``forecast``. Raises CallError for what cannot be guessed."""
    timed = role_guesses.time(looked)
    put_guess(data, "time", timed)
    apart = role_guesses.series(looked, timed.name)
    if apart is not None:
        data.put("series", word(apart.name), apart.why)
    taken = [timed.name, *([apart.name] if apart else [])]
    guess = role_guesses.forecast_target(looked, target, taken)
    data.put("target", word(guess.name), guess.why)
    rest = [one.name for one in looked.columns.values() if one.kind == "number" and len(one.counts) > 1
            and one.name not in (*taken, guess.name)]
    for other in rest[:role_guesses.MOST_SHOWN]:
        data.put("past", f"[{word(other)}]", "may help; known up to now only. Known ahead: known_future", off=True)
    times = role_guesses.split_by_series(looked, timed.name, apart.name if apart else None)
    gaps = bool(looked.columns[guess.name].missing) or role_guesses.holes(times)
    data.put("missing", "linear" if gaps else "error",
             "there are gaps: filled in, and never judged by" if gaps else "there are no gaps", off=not gaps)
    horizon, windows = _ahead(min(map(len, times)))
    ahead = Drafted("forecast")
    ahead.put("horizon", str(horizon), f"steps ahead; the shortest series has {min(map(len, times))}")
    ahead.put("season", "auto", "auto | none | steps after which it tends to repeat", off=True)
    ahead.put("windows", str(windows), "forecasts that are judged, at the end of the series")
    ahead.put("coverage", "[68, 95]", "percent of what comes that intervals are to hold")
    return {"forecast": ahead}


def _ahead(steps: int) -> tuple[int, int]:
    """A horizon and windows to judge it by that a series of so many steps has room for."""
    for windows in (5, 3, 2, 1):
        for horizon in sorted({max(1, min(24, steps // 20)), 6, 3, 1}, reverse=True):
            if cuts(steps, horizon, windows, horizon, 0.2)[0] >= horizon + CONTEXT:
                return horizon, windows
    return 1, 1
