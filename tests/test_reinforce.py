"""Task 'reinforce', as a user runs it: from an environment of one's own to a report, films, resumption and refusals."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from automl_phys import (
    agent_scores,
    controllers,
    dispatch,
    environment_problem,
    figures,
    reinforce_figures,
    reinforce_tables,
    rundir,
)
from automl_phys.cli import main
from automl_phys.environment_problem import Episodes
from automl_phys.environments import Spec
from automl_phys.episode_film import Film
from automl_phys.errors import DataError, RunError
from automl_phys.exhibits import Estimate
from automl_phys.reinforce_tables import Other
from automl_phys.rundir import FitDir
from tests.fixtures import made_environment
from tests.fixtures.walk import RECIPE, WALK

TRUST = "--trust-environment"


def written(folder: Path, recipe: str = RECIPE) -> Path:
    (folder / "walking.py").write_text(WALK, encoding="utf-8")
    (folder / "walk.yaml").write_text(recipe, encoding="utf-8")
    return folder / "walk.yaml"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test imports its own module of the user's."""
    import sys

    monkeypatch.delitem(sys.modules, "walking", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("walk")
    assert main(["run", str(written(folder)), TRUST, "--quiet", "--out", str(folder / "runs")]) == 0
    return (folder / "runs" / "walk" / "latest").resolve()


def test_a_run_reports_the_trainings_from_fresh_seeds(done: Path) -> None:
    found = json.loads((done / "evaluation.json").read_text())
    assert "trained 2 times for 700 steps" in found["verdict"] and "random agent" in found["verdict"]
    assert list(found["metrics"])[:3] == ["mean_return", "interquartile_return", "stochastic_return"]
    titles = {table["title"]: table for table in found["tables"]}
    assert [row[0] for row in titles["Trainings"]["rows"]] == ["training seed 1", "training seed 2"]
    assert [score["name"] for score in found["scores"]] == [
        "ppo, 2 trainings", "ppo (trial 1), which predict plays", "random agent baseline"]
    names = {figure["name"] for figure in found["figures"]}
    assert {"film", "learning", "trainings", "return-distribution", "performance-profile", "trace-observation",
            "trace-action", "states", "search-learning-curves"} <= names
    assert not [file for file in done.rglob("*") if file.suffix in (".pkl", ".zip", ".pt")]
    page = (done / "report.html").read_text()
    assert '<img alt="One episode" src="data:image/gif;base64,' in page
    assert (done / "figures" / "film.gif").read_bytes()[:6] in (b"GIF87a", b"GIF89a")
    rows = pq.read_table(done / "predictions.parquet")
    assert rows.column_names == ["episode", "seed", "return", "length", "exploring_return", "exploring_length"]


def test_predict_plays(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def play(name: str, *more: str) -> Any:
        path = tmp_path / name
        assert main(["predict", str(done), "-o", str(path), "--episodes", "3", "--quiet", TRUST, *more]) == 0
        return pq.read_table(path)

    first = play("a.parquet", "--render", str(tmp_path / "a.gif"))
    assert first.column_names == ["episode", "seed", "step", "observation_0", "observation_1", "action", "reward",
                                  "terminated", "truncated"]
    assert first.num_rows == 60 and first["truncated"].to_pylist().count(True) == 3
    assert (tmp_path / "a.gif").stat().st_size > 100
    assert "3 episodes: mean return" in capsys.readouterr().out
    assert play("b.parquet").equals(first)
    assert not play("c.parquet", "--seed", "1")["observation_0"].equals(first["observation_0"])
    assert not play("d.parquet", "--explore")["action"].equals(first["action"])


def test_predict_refuses(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ["-o", str(tmp_path / "x.parquet")]
    for arguments, said in (([*output], "--trust-environment"), (["data.csv", *output, TRUST], "takes no data: it plays"),
                            (["--render", "x.avi", TRUST], "Known endings of films")):
        assert main(["predict", str(done), *arguments]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_code_of_ones_own_is_not_imported_unless_the_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = written(tmp_path)
    (tmp_path / "walking.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\n")
    assert main(["plan", str(recipe)]) == 2
    assert "is code from outside automl-phys" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_a_run_s_files_cannot_grant_trust(done: Path) -> None:
    problem = environment_problem.load(done / "problem")
    assert problem.spec.trusted, "the run was begun with leave"
    assert not problem.trusting(False).spec.trusted
    with pytest.raises(DataError):
        environment_problem.environments.find(problem.trusting(False).spec)


def test_changed_code_is_another_problem(tmp_path: Path) -> None:
    written(tmp_path)
    options = made_environment.options("walking:Walk", environment={"time_limit": 20}).trusting()
    before = environment_problem.settings_of(options, tmp_path, 1).fingerprint
    assert environment_problem.settings_of(options, tmp_path, 1).fingerprint == before
    (tmp_path / "walking.py").write_text(WALK + "\n# changed\n")
    assert environment_problem.settings_of(options, tmp_path, 1).fingerprint != before


@pytest.mark.parametrize(("argument", "said"), [("nan_at", "the environment gave the reward nan"),
                                                ("raise_at", "raised RuntimeError: the magnet quenched")])
def test_an_environment_that_fails_is_told_with_its_place_and_the_checkpoint_stays(
    argument: str, said: str, tmp_path: Path
) -> None:
    from automl_phys.families import ppo

    written(tmp_path)
    options = made_environment.options("walking:Walk", 400, environment={
        "time_limit": 20, "arguments": {argument: 120}, "copies": 2}, choose_by=2).trusting()
    problem = environment_problem.prepare(options, tmp_path, tmp_path / "problem", 1)
    params = {**made_environment.first("ppo", problem), "rollout": 8}
    with pytest.raises(RunError) as caught:
        ppo.fit(problem, params, made_environment.job("ppo", tmp_path, params), lambda _step, said: float(said[:, 0].mean()))
    text = caught.value.mistakes[0].text
    assert said in text and "step " in text and "of the episode with seed" in text
    assert (tmp_path / "trial" / "checkpoint").is_dir()


def test_seeds_of_training_choice_and_test_are_apart(tmp_path: Path) -> None:
    problem = made_environment.problem(tmp_path)
    assert len({*problem.valid.seeds, *problem.test.seeds}) == 3 + 4
    again = environment_problem.load(tmp_path / "problem")
    assert (again.test, again.valid, again.train, again.facts()) == (problem.test, problem.valid, problem.train, problem.facts())
    assert {one.train.seed for one in problem.resamples(5, 0)} & {problem.train.seed} == set()


def test_a_job_that_was_cut_off_keeps_its_checkpoint_and_no_other(tmp_path: Path) -> None:
    fit = FitDir(tmp_path / "trial")
    job = made_environment.job("ppo", tmp_path, {"discount": 0.9})
    for same in (True, False):
        fit.checkpoint.mkdir(parents=True, exist_ok=True)
        (fit.path / "valid.npy").touch()
        rundir.write_json(fit.job, job)
        dispatch._clear(fit, job if same else replace(job, seed=6))
        assert fit.checkpoint.exists() is same
        assert not (fit.path / "valid.npy").exists()


# ---------------------------------------------------------------- numbers and words

def test_numbers_of_returns() -> None:
    played = np.zeros((3, 40, 4))
    played[..., 0] = np.arange(40.0)
    played[..., 2] = 7.0
    assert agent_scores.value("mean_return", played[0]) == 19.5
    assert agent_scores.value("low_return", played[0]) == 3.0
    assert agent_scores.value("stochastic_return", played[0]) == 7.0
    assert agent_scores.value("interquartile_return", played[0]) == pytest.approx(19.5)
    found = agent_scores.estimate("mean_return", played)
    assert found.low < 19.5 < found.high, "the episodes might have been others"
    better = agent_scores.gain("mean_return", played + 1, played)
    assert (better.value, better.low, better.high) == (1.0, 1.0, 1.0), "the same episodes, so no doubt"
    with pytest.raises(KeyError):
        agent_scores.value("roc_auc", played[0])


def test_solved_in_words() -> None:
    means = np.array([480.0, 470.0, 500.0])
    share, text = reinforce_tables.solved(means, 475.0)
    assert share is not None and share.value == pytest.approx(2 / 3) and text.startswith("Solved by 2 of 3 trainings")
    assert reinforce_tables.solved(means, 1.0)[1].startswith("Solved by all 3 trainings")
    assert reinforce_tables.solved(means, 600.0)[1].startswith("Not solved by any")
    assert reinforce_tables.solved(means, None) == (None, "What counts as solved is not defined for this environment.")


def test_the_verdict_compares() -> None:
    one, other = Estimate(10.0, 9.0, 11.0), Estimate(3.0, 2.9, 3.1)
    others = [Other("the controller", other, Estimate(7.0, 6.0, 8.0), "", "gain_over_controller"),
              Other("the zoo's", one, Estimate(0.5, -0.5, 1.5), "", "gain_over_published"),
              Other("another", one, Estimate(-4.0, -5.0, -3.0), "", "gain_over_random")]
    said = reinforce_tables.verdict("ppo", one, one, 5, 100, 1000, "Solved.", others)
    assert "trained 5 times for 1000 steps: mean return 10.0 ± 1.0 over 100 episodes each" in said
    assert "Better than the controller (3.00 ± 0.10) by 7.0 ± 1.0." in said
    assert "As good as the zoo's (10.0 ± 1.0), within the errors (0.5 σ)." in said
    assert "Worse than another (10.0 ± 1.0) by 4.0 ± 1.0." in said


def test_a_film_stands_in_the_page_and_as_files(tmp_path: Path) -> None:
    frames = tuple(np.full((30, 40, 3), 20 * i, np.uint8) for i in range(5))
    shown = reinforce_figures.film(Film(frames, 10.0, 2), b"GIF89a...", "Told.")
    assert len(shown.pictures) == 3 and shown.caption == "Told. Every 2 steps are shown."
    assert b64decode(shown.animation) == b"GIF89a..."
    assert figures.svg(shown).endswith(f'src="data:image/gif;base64,{shown.animation}">')
    figures.draw(shown, tmp_path, ("png",))
    assert (tmp_path / "film.gif").read_bytes() == b"GIF89a..." and (tmp_path / "film.png").exists()


def test_the_beam_has_controllers_that_do_better_than_nothing() -> None:
    found = {name: returns for name, _, returns in controllers.played(Episodes(Spec("automl_phys/BeamSteering-v0"), (1, 2, 3)))}
    assert set(found) == {"the textbook's controller", "the averaging controller"}
    assert all(returns.shape == (3,) and np.isfinite(returns).all() for returns in found.values())
    assert not list(controllers.played(Episodes(Spec("CartPole-v1"), (1,))))


KINDS = """
import gymnasium
import numpy as np
from gymnasium import spaces

OBSERVATIONS = {
    "image": spaces.Box(0, 255, (36, 36, 3), np.uint8), "discrete": spaces.Discrete(5),
    "dict": spaces.Dict({"a": spaces.Box(-1, 1, (2,), np.float32), "b": spaces.Discrete(3)}),
    "vector": spaces.Box(-1, 1, (2,), np.float32)}
ACTIONS = {"several": spaces.MultiDiscrete([2, 3]), "binary": spaces.MultiBinary(2), "discrete": spaces.Discrete(3),
           "continuous": spaces.Box(-2, 3, (2,), np.float32)}


class Kind(gymnasium.Env):
    def __init__(self, observation="vector", action="discrete"):
        self.observation_space, self.action_space = OBSERVATIONS[observation], ACTIONS[action]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31 - 1)))
        self.t = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.t += 1
        return self.observation_space.sample(), float(np.sum(action)), self.t >= 5, False, {}
"""


@pytest.mark.parametrize(("family", "observation", "action"), [
    ("ppo", "image", "discrete"), ("dqn", "image", "discrete"), ("ppo", "dict", "several"), ("a2c", "vector", "binary"),
    ("dqn", "discrete", "discrete"), ("sac", "dict", "continuous"), ("random_agent", "vector", "several")])
def test_kinds_of_spaces(family: str, observation: str, action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from automl_phys import play, registry, reinforce_exhibits
    from automl_phys.contracts import Candidate, Replica

    monkeypatch.delitem(sys.modules, "kinds", raising=False)
    (tmp_path / "kinds.py").write_text(KINDS)
    options = made_environment.options("kinds:Kind", 64, environment={
        "arguments": {"observation": observation, "action": action}, "time_limit": 6, "copies": 2}, choose_by=2).trusting()
    problem = environment_problem.prepare(options, tmp_path, tmp_path / "problem", 1)
    module = registry.load("families", family)
    assert module.skip(problem.facts()) is None
    params = made_environment.first(family, problem)
    agent = module.fit(problem, params, made_environment.job(family, tmp_path, params), lambda _step, said: float(said[:, 0].mean()))
    agent.save(tmp_path / "model")
    again = module.load(tmp_path / "model")
    said = again.predict(problem.test)
    assert np.array_equal(said, agent.predict(problem.test))
    replicas = tuple(Replica(f"training seed {i}", 1.0, said, again.predict, agent.history, lambda: again) for i in (1, 2))
    found = reinforce_exhibits.evaluate(
        problem, [Candidate("it", "winner", {"test": said}, again.predict, replicas=replicas, family=family, model=lambda: again),
                  Candidate("random", "baseline", {"test": said - 1}, again.predict, family="random_agent")], "mean_return", 0)
    assert found.metrics["gain_over_random"].value == pytest.approx(1.0)
    with_steps = play.table(problem, problem.test.seeds, reinforce_exhibits.episode_film.moments(again, problem.spec, problem.test.seeds))
    assert with_steps.num_rows == 20
