"""What there is to see of agents: scores of all candidates, the verdict, tables and figures.

Takes a prepared problem and candidates with predictions (E, 4) of the test episodes, see ``agents``; the winner's
replicas, trainings of the same configuration from fresh seeds, are what is reported. Puts together what
``agent_scores`` measures and ``reinforce_figures`` and ``reinforce_tables`` show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import agent_scores, controllers, episode_film, reinforce_figures, reinforce_tables, state_figures, zoo
from automl_phys.agents import EXPLORING_RETURN, LENGTH, RETURN
from automl_phys.contracts import Candidate
from automl_phys.errors import AutomlPhysError
from automl_phys.exhibits import Estimate, Evaluation, Figure, Score, Table
from automl_phys.reinforce_tables import Other
from automl_phys.telling import Tell, counted, nobody

if TYPE_CHECKING:
    from automl_phys.environment_problem import EnvironmentProblem

Floats = NDArray[np.float64]

OF_STATES = 10
"""Episodes whose states are shown."""
FIRST = ("mean_return", "interquartile_return", "stochastic_return", "solved", "gain_over_random",
         "gain_over_controller", "gain_over_published", "low_return", "episode_length")
"""Metrics in the order in which they are told."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The trainings that are reported: predictions (S, E, 4), what each is called, its learning curve, the step that
    was kept, and the way to its agent."""

    played: Floats
    names: tuple[str, ...]
    histories: tuple[tuple[Mapping[str, float], ...], ...]
    models: tuple[Callable[[], Any] | None, ...]

    @property
    def best(self) -> Floats:
        """Returns (S, E) with best actions."""
        return self.played[..., RETURN]

    @property
    def median(self) -> int:
        """The training whose mean return is the median, of an even number the lower one."""
        order = np.argsort(self.best.mean(axis=1), kind="stable")
        return int(order[(len(order) - 1) // 2])


def evaluate(problem: EnvironmentProblem, candidates: Sequence[Candidate], objective: str, seed: int,
             tell: Tell = nobody) -> Evaluation:
    """What the test episodes say of the candidates, the first of which is the winner, one the baseline."""
    winner = candidates[0]
    baseline = next(one for one in candidates if one.role == "baseline")
    trained = _trained(problem, winner, tell)
    others = _others(problem, winner, baseline, trained)
    scores = _scores(candidates, baseline, trained, objective, seed)
    share, solved = reinforce_tables.solved(trained.best.mean(axis=1), problem.seen.reward_threshold)
    metrics = dict(scores[0].metrics)
    for other in others:
        metrics.setdefault(other.metric, replace(other.difference, note=other.what))
    if share:
        metrics["solved"] = share
    metrics = {name: metrics[name] for name in FIRST if name in metrics}
    best = replace(scores[0], metrics=metrics)
    scores = (best, *scores[1:], *(Score(one.name, "member", {"mean_return": one.mean}) for one in others
                                   if one.metric == "gain_over_controller" and objective == "mean_return"))
    trainings, episodes = trained.best.shape
    steps = [int(make().steps) if make else 0 for make in trained.models]
    tables: tuple[Table, ...] = (
        reinforce_tables.ranked(scores, objective, trainings, episodes),
        reinforce_tables.by_training(trained.names, trained.best, trained.played[..., EXPLORING_RETURN],
                                     trained.played[..., LENGTH], steps),
        reinforce_tables.beside(others))
    said = reinforce_tables.NOTHING if winner.family == baseline.family else reinforce_tables.verdict(
        winner.family.replace("_", " ") or winner.name, metrics["mean_return"], metrics["interquartile_return"],
        trainings, episodes, problem.settings.steps, solved, others)
    return Evaluation(said, metrics, scores, tables, _figures(problem, winner, candidates, trained, others, seed))


def _trained(problem: EnvironmentProblem, winner: Candidate, tell: Tell) -> Trained:
    """The winner's configuration trained from fresh seeds or, where there was none of that, the trial's own agent."""
    if not winner.replicas:
        history = tuple(winner.model().history) if winner.model else ()
        return Trained(np.asarray(winner.predictions["test"], np.float64)[None], ("that of the search",), (history,),
                       (winner.model,))
    played = np.stack([np.asarray(one.predict(problem.test), np.float64)
                       for one in counted(winner.replicas, "trainings played", tell)])
    return Trained(played, tuple(one.variation for one in winner.replicas),
                   tuple(one.history for one in winner.replicas), tuple(one.model for one in winner.replicas))


# ---------------------------------------------------------------- numbers

def _scores(candidates: Sequence[Candidate], baseline: Candidate, trained: Trained, objective: str, seed: int
            ) -> tuple[Score, ...]:
    """The reported trainings, the very agents of the search, and the baseline."""
    random = np.asarray(baseline.predictions["test"], np.float64)[None]
    made = []
    for i, one in enumerate(candidates):
        if i and one.role == "member" and _same(one, candidates[0]):
            continue  # the winner itself, as the best of its family
        own = np.asarray(one.predictions["test"], np.float64)[None]
        entries = [(one.name, one.role, own)]
        if one is candidates[0] and len(trained.best) > 1:
            entries = [(f"{one.family.replace('_', ' ')}, {len(trained.best)} trainings", "winner", trained.played),
                       (f"{one.name}, which predict plays", "member", own)]
        for name, role, played in entries:
            gain = None if one is baseline else agent_scores.gain(objective, played, random, seed)
            made.append(Score(name, role, _metrics(played, seed), gain, one.seconds))
    return tuple(made)


def _same(one: Candidate, winner: Candidate) -> bool:
    return np.array_equal(one.predictions["test"], winner.predictions["test"])


def _metrics(played: Floats, seed: int) -> dict[str, Estimate]:
    return {name: agent_scores.estimate(name, played, seed) for name in agent_scores.FORMULAS}


def _others(problem: EnvironmentProblem, winner: Candidate, baseline: Candidate, trained: Trained) -> tuple[Other, ...]:
    """The random agent, the environment's own controllers, and what the zoo has published, as far as there are any."""
    name = problem.spec.id
    random = np.asarray(baseline.predictions["test"], np.float64)[None]
    own = agent_scores.mean(trained.best)
    found = [Other("the random agent", agent_scores.mean(random[..., RETURN]),
                   agent_scores.gain("mean_return", trained.played, random, 0), "the baseline, on the same episodes",
                   "gain_over_random")]
    for called, text, returns in controllers.played(problem.test):
        theirs = returns[None]
        found.append(Other(called, agent_scores.mean(theirs), agent_scores.difference(trained.best, theirs), text,
                           "gain_over_controller"))
    published = zoo.published(name, winner.family)
    if published:
        error = published.std / sqrt(published.episodes)
        half = sqrt(error**2 + ((own.high - own.low) / 2)**2) if own.high == own.high else nan
        difference = own.value - published.mean
        found.append(Other(
            f"RL Baselines3 Zoo's {winner.family}",
            Estimate(published.mean, published.mean - error, published.mean + error),
            Estimate(difference, difference - half, difference + half),
            f"published for {zoo.measured(name, winner.family)}: one training, {published.episodes} episodes, its own "
            "number of steps", "gain_over_published"))
    return tuple(found)


# ---------------------------------------------------------------- figures

def _figures(problem: EnvironmentProblem, winner: Candidate, candidates: Sequence[Candidate], trained: Trained,
             others: Sequence[Other], seed: int) -> tuple[Figure, ...]:
    levels = {one.name: one.mean.value for one in others}
    threshold = problem.seen.reward_threshold
    if threshold is not None:
        levels = {"called solved": threshold, **levels}
    who = winner.family.replace("_", " ") or winner.name
    returns = {who: trained.best, **{one.name: np.asarray(one.predictions["test"], np.float64)[None, :, RETURN]
                                     for one in candidates[1:] if not _same(one, winner)}}
    lengths = {who: trained.played[..., LENGTH],
               candidates[-1].name: np.asarray(candidates[-1].predictions["test"], np.float64)[None, :, LENGTH]}
    made: list[Figure] = []
    if learning := reinforce_figures.learning(trained.histories, levels, who):
        made.append(learning)
    if len(trained.best) > 1:
        made.append(reinforce_figures.trainings(trained.best, trained.played[..., EXPLORING_RETURN], levels))
    made += [reinforce_figures.returns(returns), reinforce_figures.profile(returns)]
    if np.ptp(np.concatenate([one.ravel() for one in lengths.values()])) > 0:
        made.append(reinforce_figures.returns(lengths, "Length"))
    return (*made, *_closely(problem, trained, seed))


def _closely(problem: EnvironmentProblem, trained: Trained, seed: int) -> tuple[Figure, ...]:
    """One episode of the median training, its states and a film of it; without what the environment does not give."""
    which = trained.median
    make = trained.models[which]
    if make is None:
        return ()
    agent, discrete = make(), problem.seen.action == "discrete"
    order = np.argsort(trained.best[which], kind="stable")
    middle = int(order[(len(order) - 1) // 2])
    seeds = problem.test.seeds
    shown = [seeds[middle], *(one for one in seeds if one != seeds[middle])][:OF_STATES]
    episodes = episode_film.moments(agent, problem.spec, shown)
    made = [*reinforce_figures.traces(episodes[0], problem.spec.id, discrete)]
    made += state_figures.states(episodes, agent, problem.spec.id, discrete, seed)
    if problem.seen.renders:
        try:
            film = episode_film.film(agent, problem.spec, shown[0], len(episodes[0]))
            gif = episode_film.gif(film)
        except (AutomlPhysError, ImportError, OSError):  # no display, or a package for pictures is not there
            return tuple(made)
        total = sum(moment.reward for moment in episodes[0])
        text = f"The episode of {trained.names[which]} with the median return, {total:.4g}."
        made.insert(0, reinforce_figures.film(film, gif, text))
    return tuple(made)
