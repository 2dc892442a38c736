"""Figures of agents: how they learnt, what their episodes came to, what one of them saw and did.

Takes returns of trainings, learning curves, moments of episodes; gives ``exhibits.Figure``. Numbers with their errors
are :mod:`automl_phys.agent_scores`'s, tables and words :mod:`automl_phys.reinforce_tables`'s.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from automl_phys import interquartile, state_figures
from automl_phys.episode_film import Film
from automl_phys.episode_play import Moment
from automl_phys.exhibits import Axis, Figure, Picture, Series
from automl_phys.readable import rounded

Floats = NDArray[np.float64]
History = Sequence[Mapping[str, float]]

LEARNING, EPISODE = "Learning", state_figures.SECTION
BINS = 30
MOST_CURVES = 6
"""Components of an observation, or of an action, that are drawn; of more those that vary most."""
MOST_STEPS = 150
"""Steps of an episode whose traces are drawn; the first ones."""
POINTS_OF_CURVE = 120
STILLS = 3
STILL_PIXELS = 160
"""Of a still's longer side."""


# ---------------------------------------------------------------- learning

def learning(histories: Sequence[History], levels: Mapping[str, float], who: str) -> Figure | None:
    """Return against steps: trainings' validation episodes as a band, that of the exploring agents in training, and
    ``levels`` to compare with. None where there are no curves."""
    known = [history for history in histories if history]
    if not known:
        return None
    series = []
    for key, name in (("valid_return", "best actions (validation episodes)"),
                      ("train_return", "while exploring (training)")):
        curves = [[(one["step"], one[key]) for one in history if isfinite(one.get(key, float("nan")))]
                  for history in known]
        curves = [curve for curve in curves if curve]
        if not curves:
            continue
        try:
            band = interquartile.learning_curve(*zip(*([*zip(*curve, strict=True)] for curve in curves), strict=True))
        except ValueError:  # curves without a step in common
            continue
        ends = ((), ()) if len(curves) == 1 else (tuple(band.low.tolist()), tuple(band.high.tolist()))
        series.append(Series(name, "line", tuple(band.steps.tolist()), tuple(band.middle.tolist()), *ends))
    if not series:
        return None
    end = max(one["step"] for history in known for one in history)
    series += _levels(levels, 0.0, float(end))
    several = "One training" if len(known) == 1 else \
        f"Interquartile mean of {len(known)} trainings and its 68 % interval"
    return Figure("learning", f"Learning of {who}", "xy", Axis("Steps in the environment"), Axis("Return"),
                  tuple(series), section=LEARNING,
                  caption=f"{several}. Of each training the moment with the best validation episodes is kept; what it "
                          "is worth is told by other episodes.")


def _levels(levels: Mapping[str, float], low: float, high: float) -> list[Series]:
    """Lines across a figure, their values in their names: they all look alike."""
    return [Series(f"{name} ({rounded(level, 4)})", "line", (low, high), (level, level), muted=True)
            for name, level in levels.items()]


# ---------------------------------------------------------------- what episodes came to

def returns(found: Mapping[str, Floats], label: str = "Return") -> Figure:
    """Histograms of the returns (S, E) of agents, by their names."""
    every = np.concatenate([one.ravel() for one in found.values()])
    edges = np.histogram_bin_edges(every, BINS)
    series = []
    for name, one in found.items():
        counts = np.histogram(one, edges)[0].astype(float)
        error = np.sqrt(counts)
        series.append(Series(name, "steps", tuple(edges.tolist()), tuple((counts / one.size).tolist()),
                             tuple(((counts - error) / one.size).tolist()),
                             tuple(((counts + error) / one.size).tolist())))
    slug = label.lower().replace(" ", "-")
    return Figure(f"{slug}-distribution", f"{label} of the test episodes", "xy", Axis(label),
                  Axis("Share of the episodes", low=0), tuple(series), section=EPISODE,
                  caption="Of all trainings together; the bands are the Poisson errors of the counts.")


def profile(found: Mapping[str, Floats]) -> Figure:
    """Share of episodes whose return is above a value, with its range over trainings."""
    every = np.concatenate([one.ravel() for one in found.values()])
    at = np.linspace(every.min(), every.max(), POINTS_OF_CURVE)
    series = []
    for name, one in found.items():
        shares = (one[:, :, None] >= at).mean(axis=1)
        low, high = (shares.min(axis=0), shares.max(axis=0)) if len(shares) > 1 else (np.array([]),) * 2
        series.append(Series(name, "line", tuple(at.tolist()), tuple(shares.mean(axis=0).tolist()),
                             tuple(low.tolist()), tuple(high.tolist())))
    return Figure("performance-profile", "Episodes that reach a return", "xy", Axis("Return"),
                  Axis("Share of the episodes that reach it", low=0, high=1.05), tuple(series), section=EPISODE,
                  caption="Mean over trainings and their range. A curve that is above another everywhere is that of "
                          "the better agent, whatever is counted (performance profile, arXiv:2108.13264).")


def trainings(best: Floats, exploring: Floats, levels: Mapping[str, float]) -> Figure:
    """The mean return (S, E) of each training, with best actions and while exploring."""
    count = len(best)
    series = []
    for name, one, shift in (("best actions", best, -0.08), ("while exploring", exploring, 0.08)):
        mean, error = one.mean(axis=1), one.std(axis=1, ddof=1) / sqrt(one.shape[1])
        series.append(Series(name, "points", tuple(i + shift for i in range(count)), tuple(mean.tolist()),
                             tuple((mean - error).tolist()), tuple((mean + error).tolist())))
    series += _levels(levels, -0.5, count - 0.5)
    axis = Axis("Training", low=-0.5, high=count - 0.5, categories=tuple(str(i + 1) for i in range(count)))
    return Figure("trainings", "Each training by itself", "xy", axis, Axis("Mean return"), tuple(series),
                  section=LEARNING,
                  caption="The same configuration, trained from different seeds. Errors are those over the episodes of "
                          "one training.")


# ---------------------------------------------------------------- one episode

def traces(episode: Sequence[Moment], environment: str, discrete: bool) -> tuple[Figure, ...]:
    """What was observed, and what was done, in one episode; nothing for observations that are no vector."""
    total = sum(moment.reward for moment in episode)
    told = (f"An episode of {len(episode)} steps with a return of {rounded(total, 4)}, the median of its "
            "training.")
    if len(episode) > MOST_STEPS:
        told += f" Its first {MOST_STEPS} steps."
        episode = episode[:MOST_STEPS]
    seen = np.array([np.ravel(moment.observation) for moment in episode if np.ndim(moment.observation) == 1])
    made = []
    steps = tuple(float(moment.step) for moment in episode)
    if len(seen) == len(episode):
        called = state_figures.names(environment, seen.shape[1])
        made.append(_curves("trace-observation", "What it observes", "Observation", steps, seen, called, told))
    done = np.array([np.ravel(moment.action) for moment in episode], float)
    words = ("action",) if done.shape[1] == 1 else tuple(f"action {i}" for i in range(done.shape[1]))
    made.append(_curves("trace-action", "What it does", "Action, by its number" if discrete else "Action", steps, done,
                        words, "In the same episode."))
    return tuple(made)


def _curves(name: str, title: str, label: str, steps: tuple[float, ...], values: Floats, called: Sequence[str],
            caption: str) -> Figure:
    shown = range(values.shape[1])
    if len(shown) > MOST_CURVES:
        widths = np.ptp(values, axis=0)
        shown = sorted(np.argsort(-widths, kind="stable")[:MOST_CURVES].tolist())  # type: ignore[assignment]
        caption += f" Of {values.shape[1]} components the {MOST_CURVES} that vary most."
    series = tuple(Series(called[i], "line", steps, tuple(values[:, i].tolist())) for i in shown)
    return Figure(name, title, "xy", Axis("Step of the episode"), Axis(label), series, section=EPISODE, caption=caption)


def film(shown: Film, gif: bytes, told: str) -> Figure:
    """A film of one episode."""
    count = len(shown.frames)
    places = sorted({round(i * (count - 1) / max(1, STILLS - 1)) for i in range(STILLS)})
    stills = tuple(_still(shown.frames[place], f"step {place * shown.every}") for place in places)
    speed = f" Every {shown.every} steps are shown." if shown.every > 1 else ""
    return Figure("film", "One episode", "animation", Axis(""), Axis(""), pictures=stills, across=STILLS,
                  section=EPISODE, caption=f"{told}{speed}", animation=b64encode(gif).decode("ascii"))


def _still(frame: NDArray[np.uint8], title: str) -> Picture:
    times = max(1, -(-max(frame.shape[:2]) // STILL_PIXELS))
    small = frame[::times, ::times, :3]
    values = np.round(small / 255, 3)
    return Picture(title, small.shape[0], small.shape[1], tuple(values.ravel().tolist()), colour=True)
