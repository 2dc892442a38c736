"""What a search takes over from former runs: trials that the sampler is told of, configurations to begin with.

Takes former runs as :mod:`automl_phys.warm_start` read them, and the families of the plan; a pure function. Values of a
former run count only where its data, as they were prepared, and its objectives are the same; otherwise its best
configurations are tried, and that is all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from automl_phys import space
from automl_phys.decisions import Chosen, Known, Suggested
from automl_phys.errors import Mistake, RecipeError
from automl_phys.values import Direction, Params

ORDER = ("best", "second best", "third best")
"""So many configurations of a former run are tried again, of each family."""
KEY = ("search", "warm_start")


@dataclass(frozen=True)
class Former:
    """A finished run. ``trials`` are those that were done, ``fingerprint`` is of its prepared data."""

    path: str
    name: str
    fingerprint: str
    objective: str
    direction: Direction
    others: tuple[str, ...]
    trials: tuple[Known, ...]


@dataclass(frozen=True)
class Taken:
    """What is taken over, and sentences that say it."""

    known: tuple[Known, ...] = ()
    suggested: tuple[Suggested, ...] = ()
    reasons: tuple[str, ...] = ()


def take(
    formers: Sequence[Former], families: Sequence[Chosen], fingerprint: str, objective: str, others: Sequence[str]
) -> Taken:
    """What to take over for a search of ``families``. Raises RecipeError (``no-common-family``)."""
    spaces = {chosen.family: chosen.space for chosen in families if not space.is_fixed(chosen.space)}
    tried = [(chosen.family, default) for chosen in families for default in chosen.defaults]
    known: list[Known] = []
    suggested: list[Suggested] = []
    reasons: list[str] = []
    for former in formers:
        own = [trial for trial in former.trials if trial.family in spaces]
        if not own:
            theirs = ", ".join(sorted({trial.family for trial in former.trials})) or "none with a trial that was done"
            raise RecipeError(Mistake(
                "no-common-family", f"The run {former.name} has no family in common with this search: {theirs}.",
                "Name another run under search.warm_start, or such a family under model.families.", KEY))
        inside = [trial for trial in own if space.inside(trial.params, spaces[trial.family])]
        same = (former.fingerprint, former.objective, *former.others) == (fingerprint, objective, *others)
        known += [trial for trial in inside if trial.others.keys() >= set(others)] if same else []
        best: list[Suggested] = []
        for trial, rank in _best(former, inside):
            if (trial.family, trial.params) not in tried:
                tried.append((trial.family, trial.params))
                best.append(Suggested(trial.family, trial.params, f"{former.name}, {ORDER[rank]} {trial.family}"))
        suggested += best
        reasons += _told(former, inside, best, same)
        reasons += _outside(former, own, spaces)
    return Taken(tuple(known), tuple(suggested), tuple(reasons))


def _best(former: Former, trials: Sequence[Known]) -> Iterator[tuple[Known, int]]:
    """The best different configurations of each family and their ranks: all families' best, their second best, …"""
    sign = -1 if former.direction == "maximize" else 1
    ranked: dict[str, list[Known]] = {}
    for trial in sorted(trials, key=lambda trial: sign * trial.value):
        of = ranked.setdefault(trial.family, [])
        if len(of) < len(ORDER) and all(trial.params != other.params for other in of):
            of.append(trial)
    for rank in range(len(ORDER)):
        for family in sorted(ranked):
            if rank < len(ranked[family]):
                yield ranked[family][rank], rank


def _told(former: Former, inside: Sequence[Known], best: Sequence[Suggested], same: bool) -> Iterator[str]:
    counted = Counter(one.family for one in best)
    tried = ", ".join(f"{count} of {family}" for family, count in counted.items()) or "none that is no default"
    if same:
        yield (f"The search begins with what the run {former.name} found on the same data with the same objective: the "
               f"sampler knows its {len(inside)} trials, and its best configurations ({tried}) are tried after the "
               "defaults.")
    else:
        yield (f"After the defaults the best configurations of the run {former.name} are tried ({tried}). Its data, "
               "seed or objective were others, so its values count for nothing here.")


def _outside(former: Former, own: Sequence[Known], spaces: Mapping[str, space.Space]) -> Iterator[str]:
    """What was left out, and which parameters are to blame."""
    counts: Counter[str] = Counter()
    left = 0
    for trial in own:
        if not space.inside(trial.params, spaces[trial.family]):
            left += 1
            counts.update(f"{trial.family}.{name}" for name in _to_blame(trial.params, spaces[trial.family]))
    if left:
        names = ", ".join(name for name, _ in counts.most_common(4))
        yield (f"{left} of {len(own)} trials of {former.name} lie outside of the space of this search ({names}), and "
               "are left out.")


def _to_blame(params: Params, ranges: space.Space) -> list[str]:
    missing = [name for name in ranges if name not in params and not ranges[name].when]
    odd = [name for name, value in params.items() if name not in ranges or not space.allows(ranges[name], value)]
    return [*odd, *missing] or ["conditions between parameters"]
