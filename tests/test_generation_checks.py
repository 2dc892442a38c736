"""What the report's checks say of generators: collapse, divergence, copies."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automl_phys import rundir
from automl_phys.checks import adversarial_divergence, memorisation, mode_collapse
from automl_phys.exhibits import Estimate, Score
from automl_phys.trials import Job, Result, Trial


def trial(number: int, values: dict[int, float], status: Any = "done", message: str = "", steps: int = 2) -> Trial:
    job = Job(number, "gan", {}, 0, 1, "cpu", "c2st", "minimize", "generate", "")
    best = min(values.values()) if values else None
    return Trial(job, Result(number, status, best, 1.0, message, steps=steps, values=values))


def seen(metrics: dict[str, Estimate], other: float = 0.95, trials: tuple[Trial, ...] = (), folder: Path = Path(),
         direction: str = "minimize") -> Any:
    own = {name: one for name, one in metrics.items() if "/" not in name}
    scores = (Score("flow", "winner", own), Score("gan", "member", {"coverage": near(other)}))
    return SimpleNamespace(
        plan=SimpleNamespace(direction=direction), evaluation=SimpleNamespace(metrics=metrics, scores=scores),
        trials=trials, problem=SimpleNamespace(folder=folder / "problem"))


def near(value: float, half: float = 0.01) -> Estimate:
    return Estimate(value, value - half, value + half)


def test_what_is_never_generated_is_told() -> None:
    def found(value: float, other: float = 0.95, half: float = 0.01) -> tuple[str, str]:
        return mode_collapse.check(seen({"coverage": near(value, half), "coverage/floor": near(0.96)}, other))

    assert found(0.95) == ("passed", "")
    assert found(0.87) == ("passed", ""), "too little to matter"
    assert found(0.8, half=0.06) == ("passed", ""), "not sure"
    outcome, text = found(0.6, 0.5)
    assert outcome == "issue"
    assert "flow makes events near 60%" in text
    assert "gan makes events near 50%" in text
    outcome, text = found(0.95, 0.5)
    assert (outcome, "flow" in text) == ("tip", False)
    assert found(0.6, 0.6)[1].count(" makes events near") == 1, "the winner is the best of its family"


def test_a_gan_that_repeats_itself_is_told(tmp_path: Path) -> None:
    whole = {"coverage": near(0.95), "coverage/floor": near(0.96)}
    games = trial(4, {1: 0.9, 2: 0.6}), trial(5, {1: 0.99, 2: 0.95})
    assert mode_collapse.check(seen(whole, trials=games, folder=tmp_path)) == ("passed", ""), "no history was kept"
    for spread, outcome in ((0.5, "tip"), (0.9, "passed")):
        history = rundir.FitDir(rundir.RunDir(tmp_path).trial(4)).history
        history.parent.mkdir(parents=True, exist_ok=True)
        rundir.write_json(history, [{"step": 1.0, "diversity": 0.1}, {"step": 2.0, "diversity": spread}])
        found = mode_collapse.check(seen(whole, trials=games, folder=tmp_path))
        assert found[0] == outcome
        assert ("trial 4) spread 50%" in found[1]) == (outcome == "tip")


def test_games_that_diverged_are_told() -> None:
    def found(*trials: Trial, direction: str = "minimize") -> tuple[str, str]:
        return adversarial_divergence.check(seen({}, trials=trials, direction=direction))

    assert found()[0] == "not applicable"
    steady, astray = trial(1, {1: 0.99, 2: 0.7, 3: 0.71}), trial(2, {1: 0.9, 2: 0.6, 3: 0.8})
    assert found(steady) == ("passed", "")
    outcome, text = found(steady, astray)
    assert outcome == "tip"
    assert "1 of 2 games were worse at their end than before (trials 2)" in text
    assert found(trial(3, {1: 5.0, 2: 0.01, 3: 0.02}))[0] == "passed", "near 0 a multiple is nothing"
    assert found(trial(3, {1: 0.2, 2: 0.9, 3: 0.91}), direction="maximize")[0] == "passed"
    broken = trial(4, {}, "failed", "FloatingPointError: a loss is no number in epoch 3; a lower learning rate may help")
    assert "(trial 4: a loss is no number in epoch 3" in found(steady, broken)[1]
    assert found(trial(5, {}, "failed", "ValueError: too deep"))[0] == "passed", "not of the game"


@pytest.mark.parametrize(("value", "half", "outcome"), [
    (0.5, 0.01, "passed"), (0.54, 0.005, "passed"), (0.6, 0.05, "passed"), (0.6, 0.02, "issue"), (1.0, 0.0, "issue"),
    (math.nan, math.nan, "passed")])
def test_copies_of_training_events_are_told(value: float, half: float, outcome: str) -> None:
    found = memorisation.check(seen({"memorisation": Estimate(value, value - half, value + half)}))
    assert found[0] == outcome
    assert bool(found[1]) == (outcome == "issue")


def test_without_generated_events_there_is_nothing_to_say() -> None:
    for check in (memorisation, mode_collapse, adversarial_divergence):
        assert check.check(seen({}))[0] == "not applicable"
