"""A run that is repeated from its lock: where the world differs from then, and whether the numbers agree.

Takes a :class:`automl_phys.locks.Lock` and the recipe as it is now, or the run that was made of it; gives tables. Two
numbers agree when they differ by less than 3 of their standard deviations: of the same events and seed they should be
the very same, and the table says which are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from automl_phys import comparison, data_files, expectations, machine, readable, rundir
from automl_phys.exhibits import Estimate, Evaluation, Table
from automl_phys.expect_sections import Expected
from automl_phys.locks import Lock
from automl_phys.rundir import RunDir

if TYPE_CHECKING:
    from automl_phys.recipe import Recipe

UNTOLD = frozenset({"memory_mb"})
"""Keys of the environment that no number depends on."""
SAME = "the same"


@dataclass(frozen=True)
class Repeat:
    """How the numbers compare: those that are not the same, then and now. ``agrees`` is false when one of them is off
    by more than its uncertainty lets expect; those without an uncertainty are not judged."""

    agrees: bool
    verdict: str
    table: Table


def world(lock: Lock, wanted: Recipe) -> Table:
    """What differs between now and then in data, versions and machine. Raises DataError for data that are not
    there."""
    rows = (*_data(lock, wanted), *_environment(lock.environment, machine.describe()))
    if rows:
        note = "Numbers may differ for any of these." + _clock(wanted)
    else:
        note = "The same data, versions and machine as then." + _clock(wanted)
    return Table("What differs from the lock", ("what", "then", "now"), rows, note)


def repeat(lock: Lock, run: RunDir) -> Repeat:
    """Hold what a run measured against its lock."""
    found = rundir.read_json(run.evaluation, Evaluation).metrics
    rows: list[tuple[str, str, str, str]] = []
    differ = 0
    names = list(dict.fromkeys((*lock.metrics, *found)))
    for name in names:
        then, now = lock.metrics[name].estimate if name in lock.metrics else None, found.get(name)
        said, agrees = _held(name, then, now)
        if said != SAME:
            rows.append((readable.metric(name), _shown(then), _shown(now), said))
        differ += not agrees
    if not rows:
        verdict = f"All {len(names)} numbers are the same as in the lock."
    elif differ:
        verdict = f"{differ} of {len(names)} numbers do not agree with those of the lock."
    else:
        verdict = (f"No number disagrees with the lock beyond its uncertainty; {len(names) - len(rows)} of "
                   f"{len(names)} are the very same.")
    return Repeat(not differ, verdict, Table("Numbers that are not the same", ("metric", "then", "now", "apart"),
                                             tuple(rows), verdict))


def _shown(found: Estimate | None) -> str:
    return readable.estimate(found) if found else "–"


def _held(name: str, then: Estimate | None, now: Estimate | None) -> tuple[str, bool]:
    """What to say of two numbers, and whether they agree."""
    if then is None or now is None:
        return "only now" if then is None else "no longer measured", then is None
    if then.value == now.value or (isnan(then.value) and isnan(now.value)):
        return SAME, True
    if not isfinite(then.value):
        return "undefined then", True
    error = (then.high - then.low) / 2
    wanted = Expected(value=then.value, error=max(error, 0.0) if isfinite(error) else None)
    held = expectations.hold(name, wanted, now)
    if held.sigmas == 0:
        return SAME, True
    if held.sigmas is None:
        return "not judged: no uncertainty", True
    if not isfinite(held.sigmas):
        return "exact then and now", False
    return f"{abs(held.sigmas):.1f} σ", abs(held.sigmas) <= wanted.deviations


def _data(lock: Lock, wanted: Recipe) -> Iterator[tuple[str, str, str]]:
    then = {one.path: one for one in lock.data}
    now = {one.path: one for one in data_files.of(wanted)}
    if len(then) == len(now) == 1:  # one file is that file, wherever it is now
        then = dict(zip(now, then.values(), strict=True))
    for path in dict.fromkeys((*then, *now)):
        was, is_ = (files[path].sha256[:12] if path in files else "not there" for files in (then, now))
        if was != is_:
            yield f"data {path}", was, is_


def _environment(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    was, is_ = comparison.flat(then), comparison.flat(now)
    for key in dict.fromkeys((*was, *is_)):
        if key not in UNTOLD and was.get(key) != is_.get(key):
            yield key.removeprefix("packages."), _word(was.get(key)), _word(is_.get(key))


def _word(value: Any) -> str:
    if value in (None, [], {}):
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _clock(wanted: Recipe) -> str:
    limited = wanted.search.minutes is not None
    return " The search is limited by time: a slower machine makes fewer trials." if limited else ""
