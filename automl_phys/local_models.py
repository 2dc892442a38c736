"""Models of one series each: parameters of the fitted section, a filter over what came since, quantiles of errors.

Takes a :class:`Method`, which estimates a :class:`Model` from the values of one column of one series; gives
:class:`Local`, the fitted whole of a family. A model runs over a series once and forecasts from any of its steps, so
many windows of a series cost hardly more than one. The forecast is the median; its quantiles are those of the errors
that the model made at the same distance in the section that it was fitted on. All of it happens in units that suit the
values: :class:`Transform`.

Where parameters cannot be estimated a simpler model takes their place; that it did, and why, is kept with the model.

The rules of causality: parameters are of values before ``Windows.until``, everything else of values before the origin.
A series that was not fitted on gets parameters when it is forecast, from the values before ``until``, or before its
earliest window where there are too few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from automl_phys import rundir
from automl_phys.series_problem import CONTEXT, LEVELS, MEDIAN, Floats, SeriesProblem, Windows
from automl_phys.trials import Watch
from automl_phys.values import Params

Steps = NDArray[np.int64]

DESCRIPTION = "models.json"
OFFSETS = "offsets.npy"
TRANSFORMS = ("none", "sqrt", "log")
HISTORIES = (1.0, 0.5, 0.25)
LONG_SEASON = 24
"""States of a longer season cannot be estimated one by one."""

EMPIRICAL = 200
"""Errors of one step ahead from which their own quantiles are taken; fewer are described by their spread."""
MOST_ORIGINS = 4_000
MOST_ERRORS = 2_000_000
"""Of one series, taken evenly: more would not change the quantiles."""
BURN_IN = 8
LEAST_SECTION = 60
"""Steps to estimate on, and cycles of a season, whatever share of the history is asked for."""
LEAST_CYCLES = 3
ZERO_SHARE = 0.01
"""Of the mean: added before the logarithm where there are zeros."""
LARGEST = float(np.finfo(np.float32).max) / 4
LONGEST_REASON = 160
NOT_FINITE = "the numbers found are not finite"


class Model(Protocol):
    """Parameters of one column of one series, and the state before its first value. A dataclass of numbers, texts and
    tuples of numbers."""

    def forecasts(self, values: Floats, origins: Steps, horizon: int) -> Floats:
        """Forecasts (n, horizon) from ``origins`` (n,), each from ``values`` (T,) before it; 0 is before all of
        them."""
        ...

    def restarted(self, first: float, ahead: int) -> Model:
        """The same parameters for values that begin with ``first``, ``ahead`` steps before the section that this was
        estimated on."""
        ...


@dataclass(frozen=True)
class Method:
    """How models of one kind are made.

    ``fit`` takes the values of a section (n,), n > 0, all finite, the season and the parameters; it gives the model,
    and what this is and why in a line where it is a simpler one than was asked for, else nothing. ``most`` is how many
    values it is given at most, ``budget`` how many of all series together.
    """

    kind: type
    fit: Callable[[Floats, int, Params], tuple[Model, str]]
    most: int
    budget: int


@dataclass(frozen=True)
class Transform:
    """Values over ``unit``, as they are or their root or logarithm; values below ``least``, in these units, are lifted
    to it. ``shift`` is added before the logarithm."""

    kind: str = "none"
    unit: float = 1.0
    least: float = 0.0
    shift: float = 0.0

    @classmethod
    def of(cls, kind: str, values: Floats) -> Transform:
        """The transform asked for, none where the values have signs."""
        unit = float(np.abs(values).mean()) or 1.0
        if kind == "none" or values.min() < 0 or not values.max() > 0:
            return cls("none", unit)
        zeros = values.min() <= 0
        return cls(kind, unit, 0.0 if zeros or kind == "sqrt" else float(values.min()) / unit / 2,
                   ZERO_SHARE if zeros and kind == "log" else 0.0)

    def forward(self, values: Floats) -> Floats:
        scaled = values / self.unit
        if self.kind == "none":
            return scaled
        scaled = np.maximum(scaled, self.least)
        return np.sqrt(scaled) if self.kind == "sqrt" else np.log(scaled + self.shift)

    def back(self, values: Floats) -> Floats:
        if self.kind == "sqrt":
            values = np.maximum(values, 0.0) ** 2
        elif self.kind == "log":
            values = np.maximum(np.exp(np.minimum(values, 300.0)) - self.shift, 0.0)
        return values * self.unit


@dataclass(frozen=True)
class Kept:
    """A model, where in the calendar its section begins, and the quantiles of its errors (horizon, levels);
    ``simpler`` is what it is and why where a simpler one took its place."""

    position: int
    transform: Transform
    model: Model
    offsets: Floats
    simpler: str = ""

    def quantiles(self, values: Floats, position: int, origins: Steps, horizon: int) -> Floats:
        """Forecasts (n, horizon, levels) from ``origins`` for a series (T,) that begins at ``position``; T is at least
        the latest origin."""
        first = _first(values)
        known = self.transform.forward(_filled(values[first:]))
        origins = np.maximum(origins - first, 0)
        ahead = self.position - position - first
        points = np.empty((len(origins), horizon))
        late = origins >= ahead if ahead >= 0 else np.zeros(len(origins), bool)
        blind = ~late & (origins == 0)  # nothing has come yet, not even what a restart begins with
        early = ~late & ~blind
        if late.any():
            points[late] = self.model.forecasts(known[ahead:], origins[late] - ahead, horizon)
        if early.any():
            restarted = self.model.restarted(float(known[0]), ahead)
            points[early] = restarted.forecasts(known, origins[early], horizon)
        if blind.any():
            points[blind] = self.model.forecasts(known[:0], origins[blind], horizon)
        made = self.transform.back(points[:, :, None] + self.offsets[:horizon])
        return np.clip(np.sort(made, axis=2), -LARGEST, LARGEST)


@dataclass(frozen=True)
class Local:
    """A model for each (code of a series, target), and how to make those that are missing."""

    method: Method
    params: Params
    season: int
    models: Mapping[tuple[int, int], Kept]
    steps: int = 1
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, windows: Windows) -> NDArray[np.float32]:
        """Quantiles (n, horizon, t, levels), float32."""
        panel, horizon, targets = windows.panel, windows.horizon, windows.targets
        made = np.empty((len(windows), horizon, targets, len(LEVELS)), np.float32)
        for which in _together(windows):
            series, origins = int(windows.series[which[0]]), windows.origin[which]
            values = panel.known_at(series, int(origins.max()))
            position = int(panel.position[panel.start[series]])
            until = int(windows.until[series]) if windows.until[series] > CONTEXT else int(origins.min())
            for j in range(targets):
                kept = self.models.get((int(panel.codes[series]), j))
                if kept is None:
                    kept = _fit(self.method, panel.values(series)[:until, j], position, self.season, horizon,
                                self.params, targets)
                made[which, :, j] = kept.quantiles(values[:, j], position, origins, horizon)
        return made

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        rundir.write_json(folder / DESCRIPTION, {
            "params": dict(self.params), "season": self.season,
            "models": [{"code": code, "target": target, "position": kept.position,
                        "transform": asdict(kept.transform), "model": _plain(kept.model), "simpler": kept.simpler}
                       for (code, target), kept in self.models.items()]})
        np.save(folder / OFFSETS, np.array([kept.offsets for kept in self.models.values()]))


def _together(windows: Windows) -> Iterator[Steps]:
    """Windows of one series, that see the same past: all of them but those behind a gap, which was filled with what
    came after it."""
    order = np.argsort(windows.series, kind="stable")
    after_gap = windows.after_gap
    for which in np.split(order, np.flatnonzero(np.diff(windows.series[order])) + 1) if len(order) else ():
        behind = after_gap[which]
        yield from (which[~behind],) if not behind.all() else ()
        yield from which[behind][:, None]


def load(method: Method, folder: Path) -> Local:
    """Read what :meth:`Local.save` wrote of a method."""
    saved = rundir.read_json(folder / DESCRIPTION, dict[str, Any])
    every = np.load(folder / OFFSETS, allow_pickle=False)
    models = {}
    for one, offsets in zip(saved["models"], every, strict=True):
        told = {name: tuple(value) if isinstance(value, list) else value for name, value in one["model"].items()}
        models[one["code"], one["target"]] = Kept(one["position"], Transform(**one["transform"]), method.kind(**told),
                                                  offsets, one.get("simpler", ""))
    return Local(method, saved["params"], saved["season"], models)


def simpler(folder: Path) -> dict[tuple[int, int], str]:
    """Of what :meth:`Local.save` wrote, each (code of a series, target) whose place a simpler model took, what that is
    and why. Nothing where a model of another kind is saved."""
    if not (folder / DESCRIPTION).exists():
        return {}
    saved = rundir.read_json(folder / DESCRIPTION, dict[str, Any])
    return {(one["code"], one["target"]): why for one in saved["models"] if (why := one.get("simpler", ""))}


def raised(error: Exception) -> str:
    """What a library raised, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:LONGEST_REASON].removesuffix(": ")


def fit(method: Method, problem: SeriesProblem, params: Params, watch: Watch) -> Local:
    """Estimate a model of every target of every series, from its steps before ``until``."""
    train = problem.train
    panel, targets = train.panel, train.targets
    models = {}
    for series in range(len(panel.start)):
        values, position = panel.values(series)[:train.until[series]], int(panel.position[panel.start[series]])
        for j in range(targets):
            if np.isfinite(values[:, j]).any():
                models[int(panel.codes[series]), j] = _fit(
                    method, values[:, j], position, train.season, train.horizon, params, targets * len(panel.start))
    fitted = Local(method, dict(params), train.season, models)
    watch(1, fitted.predict(problem.valid))
    return fitted


def _fit(method: Method, column: Floats, position: int, season: int, horizon: int, params: Params, count: int) -> Kept:
    """One model, one of ``count``, from all the values (n,) that may be looked at."""
    first = _first(column)
    values = _filled(column[first:])
    if not len(values):  # nothing is known of it at all: any number is as good as 0
        first, values = 0, np.zeros(1)
    transform = Transform.of(str(params.get("transform", "none")), values)
    values = transform.forward(values)
    most = min(method.most, max(method.budget // count, LEAST_SECTION, LEAST_CYCLES * season))
    share = round(float(str(params.get("history", 1.0))) * len(values))
    section = values[-min(most, max(share, LEAST_SECTION, LEAST_CYCLES * season)):]
    model, why_simpler = method.fit(section, season, params)
    return Kept(position + first + len(values) - len(section), transform, model,
                _offsets(model, section, season, horizon), why_simpler)


def _offsets(model: Model, values: Floats, season: int, horizon: int) -> Floats:
    """Quantiles (horizon, levels) of the errors at each distance, from origins all over ``values``; 0 for the median,
    which is the forecast itself."""
    count = len(values)
    burn = max(1, min(count // 4, max(season, BURN_IN)))
    most = max(1, min(MOST_ORIGINS, MOST_ERRORS // horizon, count - burn))
    origins = np.unique(np.round(np.linspace(burn, max(burn, count - 1), most)).astype(np.int64))
    origins = origins[origins < count]
    ahead = origins[:, None] + np.arange(horizon)
    errors = np.where(ahead < count, values[np.minimum(ahead, count - 1)], np.nan)
    errors -= model.forecasts(values, origins, horizon)
    counts = (ahead < count).sum(axis=0)
    squares = np.nansum(errors**2, axis=0)
    spread, made = 0.0, np.empty((horizon, len(LEVELS)))
    for step in range(horizon):
        if counts[step] >= EMPIRICAL:
            made[step] = np.nanquantile(errors[:, step], LEVELS)
            spread = float(np.sqrt(squares[step] / counts[step]))
        else:
            # Few errors far ahead, none where the section is shorter: never less than nearer ones, and growing as a
            # random walk's where nothing is known.
            grown = spread * np.sqrt((step + 1) / step) if step else float(np.abs(values).max())
            spread = max(spread, float(np.sqrt(squares[step] / counts[step]))) if counts[step] else float(grown)
            made[step] = spread * ndtri(LEVELS)
    made[:, :MEDIAN] = np.minimum(made[:, :MEDIAN], 0.0)
    made[:, MEDIAN + 1:] = np.maximum(made[:, MEDIAN + 1:], 0.0)
    made[:, MEDIAN] = 0.0
    return made


def _first(values: Floats) -> int:
    """The first step whose value is known; their number where none is."""
    known = np.isfinite(values)
    return int(known.argmax()) if known.any() else len(values)


def _filled(values: Floats) -> Floats:
    """Values that begin with a known one; a gap is filled with what came before it."""
    known = np.isfinite(values)
    if known.all():
        return np.asarray(values, np.float64)
    return values[np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))]


def _plain(model: Any) -> dict[str, Any]:
    return {f.name: getattr(model, f.name) for f in fields(model)}


# ---------------------------------------------------------------- the simplest model: what was, again

@dataclass(frozen=True)
class Repeated:
    """The last ``season`` values over and over; the last one where fewer are known, ``level`` where none is."""

    season: int
    level: float

    def forecasts(self, values: Floats, origins: Steps, horizon: int) -> Floats:
        step = np.arange(horizon) % self.season - self.season
        place = np.where(origins[:, None] >= self.season, origins[:, None] + step, origins[:, None] - 1)
        return np.append(values, self.level)[np.where(place >= 0, place, len(values))]

    def restarted(self, first: float, ahead: int) -> Repeated:  # noqa: ARG002 - it has no phase
        return replace(self, level=first)


def _repeated(values: Floats, season: int, _: Params) -> tuple[Repeated, str]:
    return Repeated(season, float(values[0])), ""


NAIVE = Method(Repeated, lambda values, _, params: _repeated(values, 1, params), 10**9, 10**12)
SEASONAL_NAIVE = Method(Repeated, _repeated, 10**9, 10**12)
