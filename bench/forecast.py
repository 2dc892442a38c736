"""Are forecasts as good as the best of the usual models taken alone? The same windows for all, each model fitted anew.

    python bench/forecast.py                     # every set, half an hour on two cores
    python bench/forecast.py --only co2 lorenz   # some of them

Sets: the monthly sunspot numbers (horizon 24, season 132), and from statsmodels CO2 at Mauna Loa, the turnover of
electrical equipment and the sea temperature of El Niño by month (horizon 12, season 12), and a coordinate of the Lorenz
system made by this program (horizon 60). ``automl-phys run`` does what it does by default; AutoETS, AutoTheta,
AutoARIMA and the naive forecasts of statsforecast are fitted again before each window, on all that came before it, and
of the sunspots also on the last 1200 months only (AutoARIMA without season where that is longer than a year). MASE is
in units of the mean seasonal difference before each window. Of automl-phys stands beside it what its intervals held,
and how much longer its models take for 20 windows than for one; of the others by how much automl-phys is better, on the
same windows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl_phys import ensemble, lorenz, series_problem, series_scores
from automl_phys.rundir import RunDir, read_json
from automl_phys.series_problem import LEVELS, SeriesProblem
from automl_phys.trials import Ensemble

SUNSPOTS = Path(__file__).parents[1] / "recipes" / "data" / "sunspots_monthly.csv"
LAST = 1200

RECIPE = """
recipe: 1
name: NAME
task: forecast
data: {path: NAME.csv, time: time, target: value}
forecast: {horizon: HORIZON, season: SEASON, windows: WINDOWS}
report: {formats: [markdown], figures: []}
seed: SEED
"""


@dataclass(frozen=True)
class Set:
    """``read`` gives times and values."""

    read: Callable[[], tuple[list[str], Any]]
    horizon: int
    season: int
    windows: int = 5


def sunspots() -> tuple[list[str], Any]:
    rows = [line.split(",") for line in SUNSPOTS.read_text().splitlines()[1:]]
    return [month for month, _ in rows], np.array([float(number) for _, number in rows])


def by_month(name: str, make: Callable[[Any], Any]) -> Callable[[], tuple[list[str], Any]]:
    """A set of statsmodels as months and values."""
    def read() -> tuple[list[str], Any]:
        import importlib

        found = importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data
        return months_of(make(found))

    return read


def months_of(values: Any) -> tuple[list[str], Any]:
    months = np.arange(len(values)) + np.datetime64("1960-01", "M")
    return [str(month) for month in months], np.asarray(values, float)


def a_coordinate() -> tuple[list[str], Any]:
    columns = lorenz.series(lorenz.trajectory())
    return [f"{time:.2f}" for time in columns["time"]], np.array(columns["x"])


SETS: Mapping[str, Set] = {
    "sunspots": Set(sunspots, 24, 132),
    "co2": Set(by_month("co2", lambda d: d["co2"].resample("MS").mean().interpolate().to_numpy()), 12, 12),
    "equipment": Set(by_month("elec_equip", lambda d: d.iloc[:, 0].to_numpy()), 12, 12),
    "elnino": Set(by_month("elnino", lambda d: d.drop(columns="YEAR").to_numpy().ravel()[:-12]), 12, 12),
    "lorenz": Set(a_coordinate, 60, 1),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--only", nargs="*", choices=list(SETS), default=list(SETS))
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--windows", type=int, help="another number of test windows than 5: more tell more")
    arguments.add_argument("--no-peers", action="store_true", help="automl-phys alone")
    arguments.add_argument("--set", action="append", default=[], help="as of automl-phys run, such as search.trials=5")
    asked = arguments.parse_args()
    print(f"{'':10s} {'model':26s} {'MASE':>17s} {'seconds':>8s} {'68 %':>6s} {'95 %':>6s} {'20 / 1':>7s}")
    for name in asked.only:
        with tempfile.TemporaryDirectory() as scratch:
            one(name, SETS[name], Path(scratch), asked)


def one(name: str, given: Set, folder: Path, asked: argparse.Namespace) -> None:
    times, values = given.read()
    lines = [f"{when},{value!r}" for when, value in zip(times, values.tolist(), strict=True)]
    (folder / f"{name}.csv").write_text("\n".join(["time,value", *lines]) + "\n")
    season = str(given.season) if given.season > 1 else "none"
    recipe = folder / f"{name}.yaml"
    windows = asked.windows or given.windows
    words = {"NAME": name, "HORIZON": given.horizon, "SEASON": season, "WINDOWS": windows, "SEED": asked.seed}
    text = RECIPE
    for word, value in words.items():
        text = text.replace(word, str(value))
    recipe.write_text(text)
    began = time.perf_counter()
    settings = [part for one in asked.set for part in ("--set", one)]
    subprocess.run([sys.executable, "-m", "automl_phys.cli", "run", str(recipe), "--out", str(folder / "runs"),
                    "--quiet", *settings], check=True)
    seconds = time.perf_counter() - began
    run = next((folder / "runs" / name).glob("*/evaluation.json")).parent
    problem = series_problem.load(RunDir(run).problem)
    evaluation = json.loads((run / "evaluation.json").read_text())
    found = evaluation["metrics"]
    ours = [f"{100 * found[f'coverage@{c}']['value']:.1f}" for c in ("0.68", "0.95")]
    print(f"{name:10s} {'automl-phys':26s} {told(found['mase'])} {seconds:8.0f} {ours[0]:>6s} {ours[1]:>6s} "
          f"{slower(run, problem):7.2f}   {evaluation['scores'][0]['name']}", flush=True)
    for score in evaluation["scores"][1:]:
        print(f"{'':10s} {'  ' + score['name'][:24]:26s} {told(score['metrics']['mase'])}", flush=True)
    if asked.no_peers:
        return
    winner = read_json(RunDir(run).ensemble, Ensemble)
    own = series_scores.judge(problem.test, ensemble.predict(run, winner, problem.test))
    for model, forecast in peers(given.season).items():
        began = time.perf_counter()
        judged = series_scores.judge(problem.test, again(problem, values, forecast))
        seconds = time.perf_counter() - began
        mase, gain = series_scores.estimates(["mase"], judged)["mase"], series_scores.gain("mase", own, judged)
        print(f"{'':10s} {model:26s} {mase.value:8.3f} ± {mase.high - mase.value:6.3f} {seconds:8.0f}   "
              f"automl-phys better by {gain.value:.3f} ± {gain.high - gain.value:.3f}", flush=True)


def told(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['value']:8.3f} ± {float(estimate['high']) - float(estimate['value']):6.3f}"


def again(problem: SeriesProblem, values: Any, forecast: Callable[[Any, int], Any]) -> Any:
    """A model's forecasts of the test windows, each from all values before it."""
    made = np.stack([forecast(values[:origin], problem.schema.horizon) for origin in problem.test.origin])
    return np.repeat(made[:, :, None, None], len(LEVELS), axis=3)


def peers(season: int) -> dict[str, Callable[[Any, int], Any]]:
    from statsforecast.models import AutoARIMA, AutoETS, AutoTheta, Naive, SeasonalNaive

    within = season if season <= 24 else 1
    models: dict[str, Any] = {"naive": Naive, "AutoETS": lambda: AutoETS(season_length=season),
                              "AutoTheta": lambda: AutoTheta(season_length=season),
                              "AutoARIMA": lambda: AutoARIMA(season_length=within)}
    if season > 1:
        models["seasonal naive"] = lambda: SeasonalNaive(season_length=season)

    def of(make: Callable[[], Any], last: int) -> Callable[[Any, int], Any]:
        return lambda values, horizon: make().forecast(values[-last:], horizon)["mean"]

    made = {name: of(make, 10**9) for name, make in models.items()}
    if season > 24:
        made |= {f"{name}, last {LAST}": of(make, LAST) for name, make in models.items() if name.startswith("Auto")}
    return made


def slower(run: Path, problem: SeriesProblem) -> float:
    """How much longer 20 windows take to predict than one, with models that are loaded; medians of 5."""
    winner = read_json(RunDir(run).ensemble, Ensemble)
    steps = problem.test_steps
    many, few = steps.take(np.linspace(0, len(steps) - 1, 20).astype(int)), steps.take(slice(0, 1))

    def seconds(windows: Any) -> float:
        ensemble.predict(run, winner, windows)
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            ensemble.predict(run, winner, windows)
            taken.append(time.perf_counter() - began)
        return float(np.median(taken))

    return seconds(many) / seconds(few)


if __name__ == "__main__":
    main()
