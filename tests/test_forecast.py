"""Task ``forecast``: what is evaluated and written, with intervals that hold, for windows of the problem and new data."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest

from automl_phys import registry, series_calibration, series_exhibits
from automl_phys.contracts import Candidate
from automl_phys.exhibits import Evaluation
from automl_phys.series_problem import MEDIAN, SeriesProblem
from automl_phys.tasks import forecast
from automl_phys.trials import Job

HORIZON = 6


def options(**ahead: Any) -> forecast.Options:
    return forecast.Options.model_validate({
        "data": {"path": "s.csv", "time": "t", "target": ["x", "y"], "series": "name", "missing": "linear"},
        "forecast": {"horizon": HORIZON, "season": 12, "windows": 4, "coverage": [50, 95], **ahead}})


def write(path: Path, count: int = 180, first: int = 0, seed: int = 0) -> Path:
    """Two series of two targets: random walks with a season, one value missing."""
    lines = ["t,name,x,y"]
    for name in ("a", "b"):
        rng = np.random.default_rng((seed, ord(name)))
        season = 3 * np.sin(2 * np.pi * np.arange(count) / 12)
        x, y = 100 + np.cumsum(rng.normal(0, 0.3, count)) + season, 5 + np.cumsum(rng.normal(0, 0.3, count))
        rows = [f"{first + t},{name},{x[t]:.4f},{y[t]:.4f}" for t in range(count)]
        if count > 60:
            rows[60] = f"{first + 60},{name},,{y[60]:.4f}"
        lines += rows
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> SeriesProblem:
    folder = tmp_path_factory.mktemp("forecast")
    write(folder / "s.csv")
    return forecast.prepare(options(), folder, folder / "problem", 0)


def model(name: str, problem: SeriesProblem) -> Any:
    family = registry.load("families", name)
    job = Job(1, name, {}, 1, 1, "cpu", "mase", "minimize", "forecast", ".")
    return family.fit(problem, family.defaults(problem.facts())[0], job, lambda step, p: 0.0)


@pytest.fixture(scope="module")
def evaluated(problem: SeriesProblem) -> tuple[Evaluation, dict[str, Any], Any]:
    best, naive = model("ets", problem), model("naive", problem)
    calibration = forecast.calibrate(problem, problem.valid, best.predict(problem.valid), best.predict)
    candidates = [Candidate("ets (trial 1)", "winner", {part: best.predict(getattr(problem, part)) for part in ("train", "test")},
                            lambda rows: best.predict(rows) + 1e6, family="ets", predict_with_all=best.predict),
                  Candidate("naive baseline", "baseline", {"test": naive.predict(problem.test)}, naive.predict)]
    return forecast.evaluate(problem, candidates, "mase", calibration, 0), dict(calibration), best


def test_metrics_have_uncertainties_and_the_baseline_stands_beside(evaluated: Any) -> None:
    said, _, _ = evaluated
    for name in ("mase", "rmsse", "smape", "mae", "rmse", "crps", "wql", "skill_persistence", "skill_seasonal",
                 "coverage@0.5", "coverage@0.95", "interval_width@0.95"):
        found = said.metrics[name]
        assert found.low <= found.value <= found.high, name
        assert "4 windows" in found.note
    assert [score.role for score in said.scores] == ["winner", "baseline"]
    gain = said.scores[0].better_than_baseline
    assert gain is not None and gain.value > 0
    assert said.scores[1].metrics["skill_persistence"].value == pytest.approx(0, abs=1e-6)
    assert said.metrics["skill_persistence"].value > 0.3, "the season is worth something"
    assert "test windows" in said.verdict and "95 % intervals held" in said.verdict
    assert "valid_time" not in said.metrics


def test_intervals_hold_about_what_they_say(evaluated: Any) -> None:
    said, _, _ = evaluated
    assert 0.8 <= said.metrics["coverage@0.95"].value <= 1
    assert 0.3 <= said.metrics["coverage@0.5"].value <= 0.75


def test_the_report_shows_what_was_asked_for(evaluated: Any) -> None:
    said, _, _ = evaluated
    titles = " ".join(figure.title.lower() for figure in said.figures)
    for word in ("forecast", "windows", "ahead", "coverage", "one step ahead"):
        assert word in titles, titles
    assert {figure.section for figure in said.figures} >= {"Forecast", "Decomposition"}
    names = [figure.name for figure in said.figures]
    assert len(names) == len(set(names))
    tables = {table.title: table for table in said.tables}
    assert "Leaderboard" in tables and "Prediction intervals" in tables
    medians = [row[1] for title, table in tables.items() if title.startswith("Forecast of x") for row in table.rows]
    assert len(medians) == 2 * HORIZON and max(medians) < 1000, "by all models, not by the few that stand in for them"


def test_windows_of_the_problem_are_written_with_what_came(problem: SeriesProblem, evaluated: Any, tmp_path: Path) -> None:
    _, calibration, best = evaluated
    forecast.write_scores(problem, problem.test, best.predict(problem.test), calibration, tmp_path / "p.csv")
    table = pyarrow.csv.read_csv(tmp_path / "p.csv")
    assert table.num_rows == 2 * 4 * HORIZON
    assert table.column_names[:4] == ["name", "origin", "t", "step"]
    row = table.slice(0, 1).to_pylist()[0]
    assert (row["name"], row["origin"], row["t"], row["step"]) == ("a", 155, 156, 1)
    for target in ("x", "y"):
        ends = [table[f"{target}_{end}"].to_numpy() for end in ("low95", "low50", "predicted", "high50", "high95")]
        assert all((one <= other).all() for one, other in pairwise(ends))
        assert np.isfinite(table[f"{target}_true"].to_numpy()).all()


def test_new_data_are_gone_on_from(problem: SeriesProblem, evaluated: Any, tmp_path: Path) -> None:
    _, calibration, best = evaluated
    rows = forecast.read_new(problem, write(tmp_path / "new.csv", 30, 180, seed=1))
    assert rows.asked == 2
    forecast.write_scores(problem, rows, best.predict(rows), calibration, tmp_path / "p.csv")
    table = pyarrow.csv.read_csv(tmp_path / "p.csv")
    assert table["t"].to_pylist() == [*range(210, 216)] * 2
    assert table["origin"].to_pylist() == [209] * 12
    assert "x_true" not in table.column_names and "x_low95" in table.column_names


def written(problem: SeriesProblem, best: Any, calibration: Any, rows: Any, path: Path) -> dict[str, Any]:
    """What is written for windows, by column."""
    forecast.write_scores(problem, rows, best.predict(rows), calibration, path)
    table = pyarrow.csv.read_csv(path)
    return {name: table[name].to_numpy() for name in table.column_names if name not in ("name", "origin", "t", "step")}


def test_new_data_that_end_with_the_training_get_the_intervals_that_the_report_shows(
        problem: SeriesProblem, evaluated: Any, tmp_path: Path) -> None:
    _, calibration, best = evaluated
    lines = write(tmp_path / "s.csv").read_text().splitlines()  # as the training's
    (tmp_path / "new.csv").write_text("\n".join([lines[0], *(one for one in lines[1:] if int(one.split(",")[0]) > 175)]))
    found = written(problem, best, calibration, forecast.read_new(problem, tmp_path / "new.csv"), tmp_path / "p.csv")
    made = series_calibration.from_plain(calibration)
    known = made.errors(problem.test, best.predict(problem.test), HORIZON)
    winner = Candidate("ets", "winner", {}, best.predict, predict_with_all=best.predict)
    future = series_exhibits.outlook(winner, problem.future, made, known)
    for j, name in enumerate(("x", "y")):
        assert found[f"{name}_predicted"] == pytest.approx(future.quantiles[..., j, MEDIAN].reshape(-1))
        assert found[f"{name}_low95"] == pytest.approx(future.intervals[0.95][..., j, 0].reshape(-1))
        assert found[f"{name}_high50"] == pytest.approx(future.intervals[0.5][..., j, 1].reshape(-1))


def test_intervals_learn_from_new_data_in_which_errors_are_larger(problem: SeriesProblem, evaluated: Any, tmp_path: Path
                                                                  ) -> None:
    _, calibration, best = evaluated
    rng = np.random.default_rng(1)
    wild = [f"{180 + t},{name},{100 + rng.normal(0, 30):.3f},{5 + rng.normal(0, 0.2):.3f}"
            for name in ("a", "b") for t in range(60)]
    (tmp_path / "new.csv").write_text("\n".join(["t,name,x,y", *wild]))
    rows = forecast.read_new(problem, tmp_path / "new.csv")
    found = written(problem, best, calibration, rows, tmp_path / "p.csv")
    blind = written(problem, best, calibration, rows.take(slice(2)), tmp_path / "p.csv")
    assert len(found["x_predicted"]) == len(blind["x_predicted"]) == 2 * HORIZON
    assert (found["x_predicted"] == blind["x_predicted"]).all()
    wider = (found["x_high95"] - found["x_low95"]) / (blind["x_high95"] - blind["x_low95"])
    assert (wider > 3).all()
    wide = (found["y_high95"] - found["y_low95"]) / (blind["y_high95"] - blind["y_low95"])
    assert (wide < 3).all()  # the other target's errors are its own
    assert (np.maximum(found["x_predicted"], 0) <= found["x_high95"]).all()


def test_a_chaotic_system_gets_a_valid_time(tmp_path: Path) -> None:
    write(tmp_path / "s.csv")
    problem = forecast.prepare(options(lyapunov_time=3.0), tmp_path, tmp_path / "problem", 0)
    naive = model("naive", problem)
    calibration = forecast.calibrate(problem, problem.valid, naive.predict(problem.valid))
    candidate = Candidate("naive baseline", "baseline", {part: naive.predict(getattr(problem, part)) for part in ("train", "test")},
                          naive.predict, predict_with_all=naive.predict)
    said = forecast.evaluate(problem, [candidate], "mase", calibration, 0)
    assert 0 <= said.metrics["valid_time"].value <= HORIZON / 3
    assert "Lyapunov" in said.verdict


def test_the_seasonal_naive_forecast_is_always_there() -> None:
    assert forecast.families(options(), ("ets",)) == ("seasonal_naive", "ets")
    assert forecast.families(options(), ("ets", "seasonal_naive")) == ("seasonal_naive", "ets")
    assert set(forecast.DEFAULT_FAMILIES) <= {name for name in registry.names("families")
                                              if "forecast" in registry.load("families", name).SOLVES}


def test_the_score_is_that_of_the_median(problem: SeriesProblem) -> None:
    naive = model("naive", problem).predict(problem.test)
    wider = naive.copy()
    wider[..., 0] -= 100
    assert forecast.score("mase", problem.test, naive) == forecast.score("mase", problem.test, wider)
    assert forecast.score("crps", problem.test, naive) < forecast.score("crps", problem.test, wider)
