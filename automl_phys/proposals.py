"""Which configuration is tried next: a function of the run's seed, the trial's number and the results told so far.

Takes the plan and, in the order of their numbers, results; gives proposals in the order of their numbers. It starts
nothing and writes nothing: sending trials out is :mod:`automl_phys.search`'s work.

First every family's defaults, best first, the baseline's leading, then what former runs suggest. After that the family
of trial n is drawn: half of the trials go to the family that stands best, a quarter to the next and so on, none below 5
%; where families say what a trial costs, that is the share of the time, so that one whose trials take a minute does not
leave those of a second waiting. Each family has a study of its own, so that no sampler meets a parameter that another
family lacks. The sampler is made anew at each proposal with a seed from (run seed, trial number): it depends on the
results that are known, on nothing that happened between.

``tpe`` is Optuna's multivariate tree-structured Parzen estimator (Bergstra et al. 2011; Falkner et al. 2018), trials
under way counted as poor so that those that run side by side differ; ``cmaes`` is CMA-ES (Hansen 2016), categories
drawn at random; ``grid`` visits the points of :func:`automl_phys.space.grid` in a shuffled order.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from automl_phys import space
from automl_phys.decisions import Chosen, Plan
from automl_phys.family_study import FamilyStudy
from automl_phys.pruning import Pruner
from automl_phys.trials import Result
from automl_phys.values import Params

LEAST_SHARE = 0.05
ATTEMPTS = 20
"""How often a configuration that was tried before is drawn anew until the space counts as exhausted."""
RANDOM_TRIALS = 8
"""Trials of a family before TPE models it."""


@dataclass(frozen=True)
class Proposal:
    """A configuration to try; ``seed`` is for its fit, ``rungs`` as in ``trials.Job``."""

    family: str
    params: Params
    seed: int
    rungs: Mapping[int, float]


class Proposer:
    """Asked for trials 0, 1, 2, … and told results in the same order, some later than others are asked for."""

    def __init__(self, plan: Plan) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan = plan
        self._families = {chosen.family: chosen for chosen in plan.families}
        self._studies = {name: FamilyStudy([plan.direction, *plan.others.values()]) for name in self._families}
        self._defaults = [*_interleaved(plan), *((one.family, one.params) for one in plan.suggested)]
        self._grids = {name: _shuffled_grid(c, plan.seed) for name, c in self._families.items()} \
            if plan.sampler == "grid" else {}
        self._asked: dict[int, tuple[str, int]] = {}
        self._pruners = {name: Pruner(plan.pruner, plan.direction) for name in self._families}
        self._best = dict.fromkeys(self._families, float("inf"))
        self._seen: set[str] = set()
        for known in plan.known:
            self._studies[known.family].add(known.params, self._families[known.family].space,
                                            [known.value, *(known.others[name] for name in plan.others)])
            self._note(known.family, known.value)

    def propose(self, number: int) -> Proposal | None:
        """The configuration of trial ``number``; None when nothing new is left in the space."""
        if number < len(self._defaults):
            family, params = self._defaults[number]
            handle, params = self._ask(family, number, 0, params)
            rungs: Mapping[int, float] = {}
        else:
            drawn = self._draw(number)
            if drawn is None:
                return None
            family, handle, params = drawn
            rungs = {} if self._plan.folds else self._pruners[family].rungs(number)
        self._asked[number] = (family, handle)
        self._seen.add(_key(family, params))
        return Proposal(family, params, fit_seed(self._plan.seed, number), rungs)

    def tell(self, result: Result) -> None:
        """Let the sampler and the pruner know how a trial ended. A failed one teaches the sampler nothing."""
        family, handle = self._asked.pop(result.number)
        study = self._studies[family]
        self._pruners[family].add(result)
        if result.status == "done" and result.value is not None:
            self._note(family, result.value)
            study.tell(handle, [result.value, *(result.others[name] for name in self._plan.others)])
        elif result.status == "pruned":
            study.tell_pruned(handle, result.values)
        else:
            study.tell_failed(handle)

    def _draw(self, number: int) -> tuple[str, int, Params] | None:
        """A family and a configuration of it that was not tried before."""
        for attempt in range(ATTEMPTS):
            families = [name for name in self._standing() if self._has_more(name)]
            if not families:
                return None
            rng = np.random.default_rng((self._plan.seed, number, attempt, 1))
            shares = _shares([self._families[name].cost for name in families])
            family = families[int(rng.choice(len(families), p=shares))]
            point = self._grids[family].pop(0) if self._grids else None
            handle, params = self._ask(family, number, attempt, point)
            if _key(family, params) not in self._seen:
                return family, handle, params
            self._studies[family].tell_failed(handle)
        return None

    def _ask(self, family: str, number: int, attempt: int, fixed: Params | None) -> tuple[int, Params]:
        ranges = self._families[family].space
        sampler = _sampler(self._plan.sampler, ranges, (self._plan.seed, number, attempt, 2))
        return self._studies[family].ask(sampler, ranges, fixed)

    def _note(self, family: str, value: float) -> None:
        """Keep the best value of a family, its sign such that less is better."""
        self._best[family] = min(self._best[family], -value if self._plan.direction == "maximize" else value)

    def _standing(self) -> list[str]:
        """Families, that with the best value first; those that have none yet last."""
        return sorted(self._families, key=lambda name: self._best[name])

    def _has_more(self, family: str) -> bool:
        if self._grids:
            return bool(self._grids[family])
        return not space.is_fixed(self._families[family].space)


def fit_seed(seed: int, number: int, fold: int = 0) -> int:
    """The seed of a fit, below 2**31 as LightGBM and TensorFlow want it."""
    return int(np.random.SeedSequence((seed, number, fold)).generate_state(1)[0] >> 1)


def _interleaved(plan: Plan) -> list[tuple[str, Params]]:
    """All families' first defaults, then their second ones, …; the baseline's lead."""
    families = sorted(plan.families, key=lambda chosen: chosen.family != plan.baseline)
    most = max(len(chosen.defaults) for chosen in families)
    return [(chosen.family, chosen.defaults[k]) for k in range(most) for chosen in families if k < len(chosen.defaults)]


def _shares(costs: Sequence[float]) -> Sequence[float]:
    """Probabilities of families, the one that stands best first, so that their shares of the time are as they
    should."""
    of_time = np.maximum(0.5 ** np.arange(1, len(costs) + 1), LEAST_SHARE)
    shares = of_time * (min(costs) / np.array(costs))
    shares = np.maximum(shares, LEAST_SHARE * shares.max())
    return tuple(shares / shares.sum())


def _shuffled_grid(chosen: Chosen, seed: int) -> list[Params]:
    points = space.grid(chosen.space)
    order = np.random.default_rng((seed, crc32(chosen.family.encode()))).permutation(len(points))
    return [points[i] for i in order]


def _sampler(name: str, ranges: space.Space, entropy: tuple[int, ...]) -> Any:
    """A fresh Optuna sampler. For ``grid`` the point is fixed beforehand, whatever the sampler."""
    from optuna import samplers

    seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ``group`` is experimental by name, and years old
        if name == "tpe":
            conditional = any(allowed.when for allowed in ranges.values())
            return samplers.TPESampler(
                seed=seed, multivariate=True, group=conditional, n_startup_trials=RANDOM_TRIALS)
        if name == "cmaes":
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        return samplers.RandomSampler(seed=seed)


def _key(family: str, params: Params) -> str:
    return json.dumps((family, sorted(params.items())))
