"""Boosted trees (LightGBM) that forecast series: each step ahead is a row, what came before it are the columns.

Takes a prepared series problem and parameters; gives :class:`LaggedTrees`. One sequence of trees for all steps ahead
and all series, as the step and the series are columns. Values are in each window's own units
(:mod:`automl_phys.window_units`), as trees cannot go beyond what they have seen. Of each target three quantiles are
learnt, those between and beyond are a Gaussian's. The saved models are LightGBM's own text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from automl_phys import binned, lagged_space, series_transform, window_units
from automl_phys.series_problem import LEVELS, Floats, Windows
from automl_phys.series_transform import Transform
from automl_phys.trials import Job, Watch
from automl_phys.values import Array, Params
from automl_phys.window_units import Known, Units

if TYPE_CHECKING:
    from automl_phys.series_problem import SeriesProblem

Matrix = NDArray[np.float32]

MAX_TREES = 1500
PATIENCE = 40
WATCH_EVERY = 25
MOST_JUDGED = 40_000
"""Rows that steps are judged on."""
CHUNK_ROWS = 1 << 16
DENSE_LAGS = 8
SPAN = 1.35
"""From one lag to the next, where they are far back."""
OUTER = (0.1, 0.9)
"""Quantiles that are learnt, beside the middle."""


@dataclass(frozen=True)
class Form:
    """What of a window becomes columns. ``off`` is the level that is taken off: one of ``window_space.LEVELS_OFF``, or
    ``season``, what was a season before."""

    length: int
    off: str
    horizon: int
    season: int
    targets: int
    known: int
    past: int
    phases: int
    codes: int

    @property
    def lags(self) -> NDArray[np.int64]:
        """Steps before the origin whose values are columns, 1 for the last value: all of the latest, fewer beyond."""
        made = list(range(1, min(DENSE_LAGS, self.length) + 1))
        while round(made[-1] * SPAN) <= self.length:
            made.append(round(made[-1] * SPAN))
        return np.array(made)

    @property
    def windows(self) -> tuple[int, ...]:
        """Lengths over which means and deviations are taken."""
        return tuple(sorted({min(n, self.length) for n in (3, 6, 12, 36, self.season, self.length) if n > 1}))

    def base(self, past: Matrix, steps: NDArray[np.int64]) -> Matrix:
        """What is added to a forecast of each row (n,): nothing, or what was a season before the step, moved by what
        the last season is above the one before it; of one target's ``past`` (n, length) in its units."""
        if self.off != "season":
            return np.zeros(len(past), np.float32)
        back = self.season - steps % self.season
        drift = past[:, -self.season:].mean(axis=1) - past[:, -2 * self.season:-self.season].mean(axis=1)
        return np.asarray(past[np.arange(len(past)), -back] + drift * (1 + steps // self.season), np.float32)

    def matrix(self, windows: Windows, units: Units, steps: NDArray[np.int64], target: int) -> Matrix:
        """The columns (n, c) of the forecast of one target ``steps`` (n,) after the origins."""
        rows = np.arange(len(windows))
        every = np.nan_to_num(units.forward(windows.past(self.length)))
        past = every[:, :, target]
        made = [steps.astype(np.float32), self.base(past, steps)]
        for j in [target, *(j for j in range(self.targets) if j != target)]:
            lags = self.lags if j == target else self.lags[:DENSE_LAGS]
            made += list(every[:, :, j][:, -lags].T)
        made += [past[:, -n:].mean(axis=1) for n in self.windows]
        made += [past[:, -n:].std(axis=1) for n in self.windows]
        made += [past[:, -1] - past[:, -1 - n] for n in self.windows if n < self.length]
        for cycles in (1, 2):  # what was a season, or two, before the step
            for beside in (-1, 0, 1):
                back = cycles * self.season - steps % self.season + beside
                if self.season > 1 and cycles * self.season + 1 <= self.length:
                    made.append(past[rows, -np.clip(back, 1, self.length)])
        mirrored = np.minimum(steps + 1, self.length)  # as far back as the step is ahead
        made += [past[rows, -mirrored], *units.place[:, [target, self.targets + target]].T]
        if self.phases:
            made += list(windows.phases(0)[rows, steps].T)
        if self.known:
            made += list(windows.ahead(0)[rows, steps].T)
        if self.past:
            made += list(windows.past_covariates(1)[:, 0].T)
        if self.codes > 1:
            made.append(np.where(windows.codes <= self.codes, windows.codes, 0))
        return np.stack([np.asarray(column, np.float32) for column in made], axis=1)


@dataclass(frozen=True)
class LaggedTrees:
    """Three boosters for each target, for ``OUTER`` and the middle between them, each of ``kept`` trees."""

    boosters: tuple[Any, ...]
    kept: tuple[int, ...]
    form: Form
    known: Known
    transform: Transform
    history: tuple[Mapping[str, float], ...] = ()
    threads: int = 0

    @property
    def steps(self) -> int:
        """Trees of a booster, on average."""
        return max(1, round(sum(self.kept) / len(self.kept)))

    def predict(self, windows: Windows) -> NDArray[np.float32]:
        """Quantiles (n, h, t, levels), float32."""
        form, windows = self.form, self.transform.windows(windows)
        made = np.empty((len(windows), form.horizon, form.targets, len(LEVELS)), np.float32)
        size = max(1, CHUNK_ROWS // form.horizon)
        for start in range(0, len(windows), size):
            some = windows.take(slice(start, start + size))
            units = _units(some, form, self.known)
            which, steps = _grid(len(some), form.horizon)
            quantiles = np.empty((len(some), form.horizon, form.targets, len(LEVELS)))
            for j in range(form.targets):
                matrix = form.matrix(some.take(which), units.take(which), steps, j)
                low, middle, high = (
                    booster.predict(matrix, num_iteration=kept, num_threads=self.threads)
                    for booster, kept in zip(self.boosters[3 * j:3 * j + 3], self.kept[3 * j:3 * j + 3], strict=True))
                quantiles[:, :, j] = spread(low, middle, high, matrix[:, 1]).reshape(len(some), form.horizon, -1)
            made[start:start + size] = units.back(quantiles)
        return self.transform.back(made)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for i, (booster, kept) in enumerate(zip(self.boosters, self.kept, strict=True)):
            booster.save_model(folder / f"boosted_trees-{i}.txt", num_iteration=kept)
        (folder / "series.json").write_text(json.dumps({
            "boosters": len(self.boosters), "form": asdict(self.form), "known": self.known.plain(),
            "transform": self.transform.plain()}), encoding="utf-8")


def is_saved(folder: Path) -> bool:
    """Whether what was saved in a folder are trees that forecast."""
    return (folder / "series.json").exists()


def load(folder: Path) -> LaggedTrees:
    import lightgbm

    saved = json.loads((folder / "series.json").read_text(encoding="utf-8"))
    boosters = tuple(lightgbm.Booster(model_file=folder / f"boosted_trees-{i}.txt") for i in range(saved["boosters"]))
    return LaggedTrees(boosters, tuple(booster.current_iteration() for booster in boosters), Form(**saved["form"]),
                       Known.from_plain(saved["known"]), series_transform.from_plain(saved["transform"]))


def spread(low: Floats, middle: Floats, high: Floats, base: Array) -> Floats:
    """Quantiles (n, levels) that rise, of those at ``OUTER`` and the middle (n,) above ``base``: a Gaussian's on either
    side of the middle."""
    scores = ndtri(LEVELS) / ndtri(OUTER[1])
    down, up = np.maximum(middle - low, 0.0)[:, None], np.maximum(high - middle, 0.0)[:, None]
    made: Floats = (middle + base)[:, None] + np.where(scores < 0, down, up) * scores
    return made


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> LaggedTrees:
    """Add trees until the validation windows have not gained for ``PATIENCE`` of them; the outer quantiles get as many
    trees as the middle. The trial is followed while it has one sequence of trees only."""
    import lightgbm

    values: Any = dict(params)
    transform = series_transform.of(params, problem.train)
    train, valid = transform.windows(problem.train), transform.windows(problem.valid)
    panel, horizon = train.panel, train.horizon
    off = str(values["level"])
    length = max(int(values["length"]), 2 * train.season) if off == "season" else int(values["length"])
    form = Form(length, off, horizon, train.season, train.targets, panel.known.shape[1], panel.past.shape[1],
                panel.phases.shape[1] if values.get("calendar") else 0, len(panel.start))
    known = window_units.known(train)
    rng = np.random.default_rng(job.seed % 2**32)
    fitted_on, judged = (
        _Rows(windows, form, known, most, rng) for windows, most in
        ((train.every(10**9 if len(panel.start) == 1 else lagged_space.MOST_ROWS), lagged_space.MOST_ROWS),
         (valid, MOST_JUDGED)))
    settings = {**{name: value for name, value in values.items() if name not in OWN}, **binned.ALWAYS,
                "bagging_freq": 1, "seed": job.seed % 2**31, "deterministic": True, "force_col_wise": True,
                "num_threads": job.threads}
    follow = _Follow(valid, form, known, lambda step, said: watch(step, transform.back(said))) \
        if form.targets == 1 else None
    boosters, kept, steps = [], [], 0
    history: tuple[Mapping[str, float], ...] = ()
    for j in range(form.targets):
        sets = _datasets(fitted_on, judged, j)
        middle = {**settings, "objective": lagged_space.OBJECTIVES[values["loss"]], "metric": "l1"}
        booster, count, told = _boost(middle, sets, job, follow)
        history = history or told
        outer = [lightgbm.train({**settings, "objective": "quantile", "alpha": level}, sets[0], count)
                 for level in OUTER]
        boosters += [outer[0], booster, outer[1]]
        kept += [count] * 3
        steps = max(steps, len(told) * WATCH_EVERY, count)
    fitted = LaggedTrees(tuple(boosters), tuple(kept), form, known, transform, history, job.threads)
    watch(steps + 1, fitted.predict(problem.valid))
    return fitted


OWN = frozenset({"length", "level", "loss", "calendar", "transform"})
"""Parameters that are not LightGBM's."""


class _Rows:
    """Windows times steps ahead, ``most`` of them drawn where there are more."""

    def __init__(self, windows: Windows, form: Form, known: Known, most: int, rng: np.random.Generator) -> None:
        which, steps = _grid(len(windows), form.horizon)
        if len(which) > most:
            some = np.sort(rng.choice(len(which), most, replace=False))
            which, steps = which[some], steps[some]
        used, which = np.unique(which, return_inverse=True)
        windows = windows.take(used)
        self.form, self.steps, self.which = form, steps, which
        self.windows, self.units = windows, _units(windows, form, known)
        self.came = self.units.forward(windows.target)[which, steps]

    def columns(self, target: int) -> tuple[Matrix, Array, Array]:
        """Columns, what came above the base, and weights of the rows that were observed."""
        seen = np.flatnonzero(np.isfinite(self.came[:, target]))
        blocks = []
        for part in np.array_split(seen, -(-len(seen) // CHUNK_ROWS) or 1):
            which = self.which[part]
            blocks.append(self.form.matrix(self.windows.take(which), self.units.take(which), self.steps[part], target))
        matrix = np.concatenate(blocks)
        return matrix, self.came[seen, target] - matrix[:, 1], self.units.weight[self.which[seen], target]


class _Follow:
    """What the search is told of a trial while the middle is learnt: it, and a spread that is guessed."""

    def __init__(self, windows: Windows, form: Form, known: Known, watch: Watch) -> None:
        self.shape, self.watch = (len(windows), form.horizon), watch
        self.units = _units(windows, form, known)
        which, steps = _grid(len(windows), form.horizon)
        self.matrix = np.concatenate([
            form.matrix(windows.take(which[part]), self.units.take(which[part]), steps[part], 0)
            for part in np.array_split(np.arange(len(which)), -(-len(which) // CHUNK_ROWS) or 1)])
        self.sum = np.zeros(len(which))
        self.taken = 0

    def __call__(self, step: int, booster: Any) -> None:
        self.sum += booster.predict(self.matrix, start_iteration=self.taken, num_iteration=step - self.taken,
                                    num_threads=booster.params.get("num_threads", 1))
        self.taken = step
        width = np.full(len(self.sum), 0.5)
        made = spread(self.sum - width, self.sum, self.sum + width, self.matrix[:, 1])
        self.watch(step, self.units.back(made.reshape(*self.shape, 1, -1)))


def _grid(windows: int, horizon: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each window with each step ahead."""
    return np.repeat(np.arange(windows), horizon), np.tile(np.arange(horizon), windows)


def _units(windows: Windows, form: Form, known: Known) -> Units:
    return window_units.units(windows, form.length, "mean" if form.off == "season" else form.off, known)


def _datasets(fitted_on: _Rows, judged: _Rows, target: int) -> tuple[Any, Any]:
    import lightgbm

    made: list[Any] = []
    for rows in (fitted_on, judged):
        matrix, label, weight = rows.columns(target)
        categorical = [matrix.shape[1] - 1] if rows.form.codes > 1 else []
        made.append(lightgbm.Dataset(matrix, label, weight=weight, reference=made[0] if made else None,
                                     categorical_feature=categorical, params=binned.ALWAYS).construct())
    return made[0], made[1]


def _boost(
    settings: Mapping[str, Any], sets: tuple[Any, Any], job: Job, follow: _Follow | None
) -> tuple[Any, int, tuple[Mapping[str, float], ...]]:
    """A booster, how many of its trees are kept, and its history at every tenth of them."""
    import lightgbm

    def heard(state: Any) -> None:
        step = state.iteration + 1
        if follow is not None and step % WATCH_EVERY == 0:
            follow(step, state.model)

    curves: dict[str, dict[str, list[float]]] = {}
    stopping = [] if job.steps else [lightgbm.early_stopping(PATIENCE, verbose=False)]
    booster = lightgbm.train(
        dict(settings), sets[0], job.steps or MAX_TREES, valid_sets=[sets[1]], valid_names=["valid"],
        callbacks=[lightgbm.record_evaluation(curves), heard, *stopping])
    count = booster.current_iteration() if job.steps else max(1, booster.best_iteration)
    losses = curves["valid"]["l1"]
    history = tuple({"step": i + 1.0, "train_loss": float("nan"), "valid_loss": losses[i]}
                    for i in range(WATCH_EVERY - 1, len(losses), WATCH_EVERY))
    return booster, count, history
