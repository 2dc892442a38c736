"""Figures of the states of an environment: those an agent visits, what it thinks of them, what it does there.

Takes episodes and a trained agent; gives ``exhibits.Figure``. States are shown by two of their coordinates: the
components of the observation, but an angle where its cosine and sine are observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from automl_phys import round_bins, scatter, zoo
from automl_phys.episode_play import Moment
from automl_phys.exhibits import Axis, Colouring, Figure

Floats = NDArray[np.floating[Any]]

SECTION = "Episodes"
MOST_POINTS = 3000
MOST_COORDINATES = 6
"""Of which there are maps: a plane shows little of a state of more."""
CELLS = 30
"""Of a map, along an axis."""
AROUND = 24
"""States, drawn of those visited, over whose other coordinates a cell of a map is averaged."""
CENTRAL = 0.01, 0.99
"""Quantiles of a coordinate, where it was visited, from which to which a map goes."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "CartPole": ("position", "velocity", "angle", "angular velocity"),
    "Acrobot": ("cos θ₁", "sin θ₁", "cos θ₂", "sin θ₂", "angular velocity 1", "angular velocity 2"),
    "Pendulum": ("cos θ", "sin θ", "angular velocity"),
    "MountainCar": ("position", "velocity"), "MountainCarContinuous": ("position", "velocity"),
    "LunarLander": ("x", "y", "velocity x", "velocity y", "angle", "angular velocity", "left leg", "right leg"),
    "LunarLanderContinuous": ("x", "y", "velocity x", "velocity y", "angle", "angular velocity", "left leg",
                              "right leg")}
"""What components of the observations of Gymnasium's own environments are."""


class Opinion(Protocol):
    """A trained agent."""

    def values(self, observations: Any) -> NDArray[np.float32] | None:
        """What it expects of states (n, …), (n,); None where it has no such estimate."""
        ...

    def best(self, observations: Any) -> NDArray[Any] | None:
        """What it does in states (n, …); None where that depends on more than the state."""
        ...


def names(environment: str, size: int) -> tuple[str, ...]:
    """What the components of an observation (``size``,) are called."""
    known = NAMES.get(zoo.stem(environment), ())
    return known if len(known) == size else tuple(f"observation {i}" for i in range(size))


@dataclass(frozen=True)
class Coordinate:
    """One number of a state: a component of the observation, or the angle of two, ``columns`` of cosine and sine."""

    name: str
    columns: tuple[int, ...]

    def of(self, seen: Floats) -> Floats:
        """Its values (n,) in observations (n, d); an angle in rad, from -π to π."""
        if len(self.columns) == 1:
            return seen[:, self.columns[0]]
        return np.arctan2(seen[:, self.columns[1]], seen[:, self.columns[0]])

    def put(self, seen: Floats, values: Floats) -> None:
        """Give observations (n, d) the values (n,), in place."""
        if len(self.columns) == 1:
            seen[:, self.columns[0]] = values
        else:
            seen[:, self.columns[0]], seen[:, self.columns[1]] = np.cos(values), np.sin(values)


def coordinates(called: Sequence[str]) -> tuple[Coordinate, ...]:
    """Of observations whose components are called so."""
    found, done = [], set()
    for i, name in enumerate(called):
        what = name.removeprefix("cos ")
        if what != name and f"sin {what}" in called:
            other = called.index(f"sin {what}")
            found.append(Coordinate(f"{what} (rad)", (i, other)))
            done |= {i, other}
        elif i not in done:
            found.append(Coordinate(name, (i,)))
            done.add(i)
    return tuple(found)


def states(episodes: Sequence[Sequence[Moment]], agent: Opinion, environment: str, discrete: bool, seed: int
           ) -> tuple[Figure, ...]:
    """States that were visited, in the two coordinates that tell most of what the agent thinks they are worth, and
    maps of that and of what it does; nothing for observations that are no vector of two or more coordinates."""
    moments = [moment for episode in episodes for moment in episode]
    if not moments or np.ndim(moments[0].observation) != 1:
        return ()
    known = coordinates(names(environment, len(moments[0].observation)))
    if len(known) < 2:
        return ()
    rng = np.random.default_rng(seed)
    if len(moments) > MOST_POINTS:
        chosen = np.sort(rng.choice(len(moments), MOST_POINTS, replace=False))
        moments = [moments[i] for i in chosen]
    seen = np.array([moment.observation for moment in moments], np.float32)
    worth = agent.values(seen)
    told = np.array([moment.reward for moment in moments]) if worth is None else np.asarray(worth, float)
    plane = _telling(known, seen, told)
    made = [_visited(moments, seen, worth, plane, discrete, len(episodes))]
    if len(known) <= MOST_COORDINATES:
        made += _maps(agent, seen, plane, len(known), discrete, rng)
    return tuple(made)


def _telling(known: Sequence[Coordinate], seen: Floats, told: Floats) -> tuple[Coordinate, Coordinate]:
    """The two coordinates that a small regression tree tells a quantity (n,) by, in their order."""
    from sklearn.tree import DecisionTreeRegressor

    if len(known) == 2:
        return known[0], known[1]
    columns = np.column_stack([one.of(seen) for one in known])
    weights = DecisionTreeRegressor(max_depth=5, random_state=0).fit(columns, told).feature_importances_
    first, second = sorted(np.argsort(-weights, kind="stable")[:2].tolist())
    return known[first], known[second]


def _visited(moments: Sequence[Moment], seen: Floats, worth: Floats | None, plane: tuple[Coordinate, Coordinate],
             discrete: bool, episodes: int) -> Figure:
    """Coloured by what they are worth, by the action and by the step."""
    colourings = []
    if worth is not None:
        colourings.append(Colouring("expected return", tuple(np.asarray(worth, float).tolist())))
    first = np.array([np.ravel(moment.action)[0] for moment in moments], float)
    if discrete:
        kinds = tuple(f"action {i}" for i in range(int(first.max()) + 1))
        colourings.append(Colouring("action", tuple(first.tolist()), kinds))
    else:
        colourings.append(Colouring("action (its first component)", tuple(first.tolist())))
    colourings.append(Colouring("reward", tuple(moment.reward for moment in moments)))
    colourings.append(Colouring("step of the episode", tuple(float(moment.step) for moment in moments)))
    x, y = plane
    points = scatter.points(x.of(seen), y.of(seen), tuple(colourings))
    by = "expects of them (discounted, as it was scaled in training)" if worth is not None else "did there"
    return Figure("states", "States that it visits", "scatter", Axis(x.name), Axis(y.name), points=points,
                  section=SECTION,
                  caption=f"Coloured by what the agent {by}. Of {episodes} episodes; the two coordinates that tell "
                          "most of it.")


def _maps(agent: Opinion, seen: Floats, plane: tuple[Coordinate, Coordinate], size: int, discrete: bool,
          rng: np.random.Generator) -> list[Figure]:
    """What the agent expects, and what it does, over a plane of two coordinates of ``size``: means over what others
    are in states that were visited."""
    (across, below_x), (down, below_y) = (_edge(one.of(seen)) for one in plane)
    count = 1 if size == 2 else min(AROUND, len(seen))
    around = seen[rng.choice(len(seen), count, replace=False)]
    asked = np.repeat(around[None], len(across) * len(down), axis=0).reshape(-1, seen.shape[1])
    y, x = (np.repeat(one.ravel(), count) for one in np.meshgrid(down[::-1], across, indexing="ij"))
    plane[0].put(asked, x)
    plane[1].put(asked, y)
    shape = len(down), len(across), count
    axes = Axis(plane[0].name, categories=below_x), Axis(plane[1].name, categories=below_y[::-1])
    others = "" if size == 2 else f" Means over {count} visited states, of which the other coordinates are taken."
    others += " Where it has never been it can only guess."
    made = []
    if (worth := agent.values(asked)) is not None:
        cells = worth.reshape(shape).mean(axis=2)
        made.append(_map("value-map", "What it expects", axes, cells, Axis(
            "Expected return", low=float(cells.min()), high=float(cells.max())),
            f"The return that the agent expects from a state on, discounted, as it was scaled in training.{others}"))
    if (does := agent.best(asked)) is not None:
        done = does.reshape(len(asked), -1)
        if discrete:
            kinds = int(done.max()) + 1
            votes = (done[:, 0].reshape(shape)[..., None] == np.arange(kinds)).sum(axis=2)
            made.append(_map("policy-map", "What it does where", axes, votes.argmax(axis=2).astype(float), Axis(
                "Action", low=0, high=kinds - 1, categories=tuple(str(kind) for kind in range(kinds))),
                f"The best action{'' if size == 2 else ' that it most often takes'}, by its number.{others}"))
        else:
            cells = done[:, 0].reshape(shape).mean(axis=2)
            end = float(np.abs(cells).max()) or 1.0
            first = "The action" if done.shape[1] == 1 else "The first component of the action"
            made.append(_map("policy-map", "What it does where", axes, cells, Axis("Action", low=-end, high=end),
                             f"{first} that it takes.{others}"))
    return made


def _edge(values: Floats) -> tuple[Floats, tuple[str, ...]]:
    low, high = (float(one) for one in np.quantile(values, CENTRAL))
    return round_bins.of(low, high if high > low else low + 1, CELLS)


def _map(name: str, title: str, axes: tuple[Axis, Axis], cells: Floats, shade: Axis, caption: str) -> Figure:
    rows = tuple(tuple(float(f"{cell:.5g}") for cell in row) for row in cells)
    return Figure(name, title, "matrix", *axes, matrix=rows, shade=shade, section=SECTION, caption=caption)
