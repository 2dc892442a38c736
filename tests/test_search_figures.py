"""The search as figures: what they must hold."""

import numpy as np
import pytest

from automl_phys import search_figures
from automl_phys.decisions import Chosen, Plan
from automl_phys.facts import Facts, Range
from automl_phys.rundir import RunDir, write_json
from automl_phys.trials import Job, Result, Trial

SPACE = {"matters": Range(1e-3, 1.0, log=True), "idle": Range(0, 9, integer=True), "kind": Range(choices=("a", "b")),
         "layers": Range(choices=([64], [128, 128])), "pinned": Range(0.0, 1.0), "rare": Range(0.0, 1.0, when={"kind": ("a",)})}


def plan(direction="minimize"):
    return Plan("x", "classify", Facts("table", {}, {}), (Chosen("mlp", "", 1, SPACE, ()), Chosen("linear", "", 1, {}, ())), {},
                "linear", "log_loss", direction, 40, None, None, "tpe", "none", 1, 0, False, 1, 0, "inline", 1, 1, ("cpu",), 100, "jax",
                0, ())


def trial(number, family="mlp", status="done", value=0.5, params=None):
    job = Job(number, family, params or {}, 0, 1, "cpu", "log_loss", "minimize", "classify", "")
    return Trial(job, Result(number, status, value, 2.0))


@pytest.fixture
def trials():
    rng = np.random.default_rng(0)
    found = []
    for n in range(40):
        params = {"matters": float(10 ** rng.uniform(-3, 0)), "idle": int(rng.integers(10)), "kind": str(rng.choice(["a", "b"])),
                  "layers": [[64], [128, 128]][n % 2], "pinned": 0.5}
        if params["kind"] == "a":
            params["rare"] = 0.3
        found.append(trial(n, value=abs(np.log10(params["matters"]) + 1.5), params=params))
    return (*found, trial(40, "linear", value=0.9), trial(41, "mlp", "failed", None), trial(42, "mlp", "pruned", 1.0))


def test_the_best_so_far_never_gets_worse(trials):
    figure = search_figures.search_history(plan(), trials)
    best = next(s for s in figure.series if s.name == "best so far").y
    assert (np.diff(best) <= 0).all()
    assert best[-1] == min(t.result.value for t in trials if t.result.status == "done")
    assert sum(len(s.x) for s in figure.series if s.style == "points") == 41
    assert "2 pruned, failed" in figure.caption


def test_the_parameter_that_decides_is_the_most_important(trials):
    figure = search_figures.importance(plan(), trials)
    names, weights = figure.x.categories, figure.series[0].y
    assert names[0] == "matters"
    assert set(names) == {"matters", "idle", "kind", "layers"}  # not those pinned, or that some trials lack
    assert sum(weights) == pytest.approx(1)


def test_few_trials_say_nothing_of_parameters(trials):
    assert search_figures.importance(plan(), trials[:5]) is None
    assert search_figures.figures(plan(), (), {}) == ()


def test_the_best_trials_are_ranked_by_the_direction(trials):
    values = [t.result.value for t in search_figures.ranked(plan("maximize"), trials)]
    assert values == sorted(values, reverse=True)
    assert len(values) == 41


def test_learning_curves_are_read_and_drawn_without_gaps_in_them(trials, tmp_path):
    run = RunDir(tmp_path)
    write_json(run.trial(3) / "history.json", [{"step": s, "train_loss": 1 / s, "valid_loss": float("nan") if s == 2 else 2 / s}
                                               for s in (1, 2, 3)])
    curves = search_figures.read_histories(run, trials, 5)
    assert set(curves) == {3}
    figure = search_figures.learning(plan(), trials, curves)
    assert [s.name for s in figure.series] == ["mlp 3, train", "mlp 3, validation"]
    assert figure.series[1].x == (1, 3)


def test_families_are_counted(trials):
    table = search_figures.by_family(plan(), trials)
    row = dict(zip(table.head, table.rows[0], strict=True))
    assert (row["Family"], row["Trials"], row["Done"], row["Pruned"], row["Failed"]) == ("mlp", 42, 40, 1, 1)
    assert row["Seconds"] == 84
