"""The Optuna study of one family, in memory, that stays small however many trials there are.

Takes configurations and how they ended; gives what the sampler proposes. A sampler looks at every trial of its study
each time it is asked, so that a search of n trials takes a time that grows as n². Once ``MOST`` trials ended, the study
goes on with the best and the latest of them: TPE takes at most 25 trials for good ones anyway, and of the others it
only learns where trials are dense. Up to ``MOST`` trials of a family nothing is left out. What is left out depends on
the trials and their order alone.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from automl_phys import space
from automl_phys.facts import Range
from automl_phys.values import Direction, Params

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MOST = 600
"""Trials that ended, from which on a study is thinned."""
BEST, LATEST = 100, 300
"""What is kept then: the best in each objective share ``BEST``."""


class FamilyStudy:
    """Asked for a configuration, told of its end by the handle that was given with it."""

    def __init__(self, directions: Sequence[Direction]) -> None:
        import optuna

        self._directions = tuple(directions)
        self._study = optuna.create_study(directions=self._directions)
        self._numbers: dict[int, int] = {}
        self._asked = self._ended = 0

    def ask(self, sampler: Any, ranges: space.Space, fixed: Params | None = None) -> tuple[int, Params]:
        """A handle, and the configuration that ``sampler`` proposes, or the ``fixed`` one."""
        self._study.sampler = sampler
        if fixed is not None:
            self._study.enqueue_trial(space.for_optuna(fixed, ranges))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # optuna calls some of its stable parts experimental
            trial = self._study.ask()
            params = space.suggest(trial, ranges)
        self._asked += 1
        self._numbers[self._asked] = trial.number
        return self._asked, params

    def tell(self, handle: int, values: Sequence[float]) -> None:
        """A trial was done, with these values of the objectives."""
        self._study.tell(self._numbers.pop(handle), list(values))
        self._count()

    def tell_pruned(self, handle: int, values: Mapping[int, float]) -> None:
        """A trial was ended early, with these values at its steps, of which only the last one counts."""
        import optuna

        number = self._numbers.pop(handle)
        for step in sorted(values)[-1:]:
            trials = self._study.get_trials(deepcopy=False)
            self._study._storage.set_trial_intermediate_value(trials[number]._trial_id, step, values[step])
        self._study.tell(number, state=optuna.trial.TrialState.PRUNED)
        self._count()

    def tell_failed(self, handle: int) -> None:
        """A trial came to nothing, or was not tried."""
        import optuna

        self._study.tell(self._numbers.pop(handle), state=optuna.trial.TrialState.FAIL)

    def add(self, params: Params, ranges: space.Space, values: Sequence[float]) -> None:
        """Make a trial known that was done elsewhere."""
        from optuna.trial import create_trial

        distributions = {name: _distribution(ranges[name]) for name in params if not space.is_pinned(ranges[name])}
        self._study.add_trial(create_trial(
            values=list(values), params=space.for_optuna(params, ranges), distributions=distributions))
        self._count()

    def _count(self) -> None:
        self._ended += 1
        if self._ended > MOST:
            self._thin()

    def _thin(self) -> None:
        """Go on with a study of the trials that count, and of those under way."""
        import optuna

        trials = self._study.get_trials(deepcopy=False)
        ended = [t for t in trials if t.state in (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)]
        kept = {t.number for t in (*ended[-LATEST:], *self._best(ended))}
        self._ended = len(kept)
        kept |= set(self._numbers.values())
        self._study = optuna.create_study(directions=self._directions)
        moved: dict[int, int] = {}
        for trial in trials:
            if trial.number in kept:
                moved[trial.number] = len(moved)
                self._study.add_trial(trial)
        self._numbers = {handle: moved[number] for handle, number in self._numbers.items()}

    def _best(self, ended: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        done = [trial for trial in ended if trial.values and len(trial.values) == len(self._directions)
                and trial.state.name == "COMPLETE"]
        found: list[FrozenTrial] = []
        for index, direction in enumerate(self._directions):
            sign = -1 if direction == "maximize" else 1
            ranked = sorted(done, key=lambda t, i=index, s=sign: (s * t.values[i], t.number))  # type: ignore[misc]
            found += ranked[:BEST // len(self._directions)]
        return found


def _distribution(allowed: Range) -> Any:
    """A range as :func:`automl_phys.space.suggest` asks Optuna for it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if allowed.choices:
        return CategoricalDistribution([json.dumps(choice) for choice in allowed.choices])
    low, high = allowed.low or 0.0, allowed.high or 0.0
    if allowed.integer:
        return IntDistribution(int(low), int(high), log=allowed.log)
    return FloatDistribution(low, high, log=allowed.log)
