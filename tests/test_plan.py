"""The planner is a pure function: golden plans for made-up machines, and the rules they rest on.

After a change that is meant: ``python tests/test_plan.py`` writes the golden plans anew; read the difference.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from automl_phys import plan, recipe, rundir
from automl_phys.contracts import Facts, Machine, Plan
from automl_phys.errors import RecipeError

GOLDEN = Path(__file__).parent / "plans"
JETS = Facts("table", {"train": 24_000, "valid": 8000, "test": 8000},
             {"numbers": 19, "categories": 0, "outputs": 3, "weighted": 1, "folds": 0})
MANY = Facts("table", {"train": 6_000_000, "valid": 2_000_000, "test": 2_000_000},
             {"numbers": 28, "categories": 0, "outputs": 2, "weighted": 0, "folds": 0})
CARTS = Facts("environment", {"valid": 20, "test": 100},
              {"observations": 4, "actions": 2, "discrete": 1, "continuous": 0, "several": 0, "vector": 1, "image": 0,
               "mapping": 0, "words": 0, "bounded": 0, "steps": 50_000, "time_limit": 500, "copies": 0, "normalize": -1,
               "replicas": 5, "draws": 1}, name="CartPole-v1")
DIJETS = Facts("table", {"train": 12_000, "valid": 4000, "test": 4000},
               {"numbers": 18, "categories": 0, "outputs": 0, "targets": 0, "folds": 0, "normal": 12_000, "region": 1,
                "truth": 1, "weakly": 1, "by_truth": 0, "replicas": 12})
LAPTOP = Machine(cores=8, memory_mb=16_000)
TWO_GPUS = Machine(cores=32, memory_mb=128_000, gpus=("gpu:0", "gpu:1"))
CLUSTER = Machine(cores=16, memory_mb=64_000, hosts=20)
CASES = {"laptop": (JETS, LAPTOP, ""), "two_gpus": (JETS, TWO_GPUS, ""),
         "cluster": (MANY, CLUSTER, "search: {trials: 400, minutes: 120, objective: roc_auc}\n"),
         "agents": (CARTS, LAPTOP, "search: {trials: 12}\nmodel: {ppo: {discount: 0.9, rollout: {choices: [32, 64]}}}\n"),
         "bumps": (DIJETS, LAPTOP, "search: {trials: 6}\n")}
OF_AGENTS = "task: reinforce\nenvironment: {id: CartPole-v1}\ntrain: {steps: 50000}\n"
OF_DIJETS = ("task: detect-anomaly\ndata: {builtin: dijets, truth: label == 'resonance', spectators: [m_jj]}\n"
             "anomaly: {signal_region: m_jj > 3300 and m_jj < 3700}\n")
OF_JETS = "task: classify\ndata: {builtin: jets, target: label}\n"


def wanted(more: str = "", task: str = OF_JETS) -> recipe.Recipe:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "higgs.yaml"
        path.write_text(f"recipe: 1\n{task}seed: 7\n{more}")
        return recipe.load(path)


def made(case: str) -> Plan:
    facts, machine, more = CASES[case]
    tasks = {"agents": OF_AGENTS, "bumps": OF_DIJETS}
    return plan.make(wanted(more, tasks.get(case, OF_JETS)), facts, machine, lambda package: True)


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    assert rundir.as_json(made(case)) == (GOLDEN / f"{case}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_a_plan_round_trips(case: str, tmp_path: Path) -> None:
    rundir.write_json(tmp_path / "plan.json", made(case))
    assert rundir.read_json(tmp_path / "plan.json", Plan) == made(case)


def test_threads_do_not_depend_on_workers() -> None:
    """Or the numbers would, by the order in which floating-point sums are taken."""
    threads = {plan.make(wanted(f"compute: {{workers: {n}}}\n"), facts, LAPTOP).threads
               for n in (1, 2, 8) for facts in (JETS,)}
    assert threads == {1}


def test_a_family_that_does_not_fit_or_is_not_installed_is_left_out_with_its_reason() -> None:
    small = plan.make(wanted("compute: {memory: 900 MB}\n"), JETS, LAPTOP)
    assert "mlp" in small.skipped and "900 MB" in small.skipped["mlp"]
    bare = plan.make(wanted(), JETS, LAPTOP, lambda package: package != "lightgbm")
    assert bare.skipped == {"boosted_trees": "needs lightgbm, not installed here"}
    with pytest.raises(RecipeError, match="No family can take this problem"):
        plan.make(wanted("model: {families: [mlp]}\n"), JETS, LAPTOP, lambda package: package != "keras")


def test_the_baseline_stands_beside_a_recipe_that_does_not_name_it() -> None:
    alone = plan.make(wanted("model: {families: [mlp]}\n"), JETS, LAPTOP)
    baseline = next(chosen for chosen in alone.families if chosen.family == "linear")
    assert baseline.reason == "the baseline, tried once" and len(baseline.defaults) == 1


def test_agents_that_cannot_take_the_actions_are_left_out_with_those_that_can() -> None:
    made = plan.make(wanted("", OF_AGENTS), CARTS, LAPTOP)
    assert [chosen.family for chosen in made.families] == ["ppo", "dqn", "qrdqn", "random_agent"]
    assert made.skipped["sac"] == "takes continuous actions, not discrete actions (ppo and dqn do)"
    with pytest.raises(RecipeError, match="No family can take this problem: sac: takes continuous"):
        plan.make(wanted("model: {families: [sac]}\n", OF_AGENTS), CARTS, LAPTOP)


@pytest.mark.parametrize(("more", "said"), [
    ("model: {families: [ppo], ppo: {rollout: 10000}}\n", "A rollout of ppo takes 80000 steps (8 copies of 10000), and a training has 50000"),
    ("model: {families: [dqn], dqn: {warm_up: 50000}}\n", "dqn acts at random for 50000 steps before it learns")])
def test_a_training_too_short_to_learn_anything_is_refused(more: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        plan.make(wanted(more, OF_AGENTS), CARTS, LAPTOP)
    assert caught.value.mistakes[0].text.startswith(said)


def test_gpus_asked_for_must_be_there() -> None:
    one = plan.make(wanted("compute: {gpus: [1], trials_per_gpu: 2}\n"), JETS, TWO_GPUS)
    assert one.devices == ("gpu:1", "gpu:1") and one.framework == "tensorflow"
    assert plan.make(wanted("compute: {gpus: none}\n"), JETS, TWO_GPUS).devices[0] == "cpu"
    for machine in (TWO_GPUS, LAPTOP):
        with pytest.raises(RecipeError) as caught:
            plan.make(wanted("compute: {gpus: [5]}\n"), JETS, machine)
        assert caught.value.mistakes[0].code == "no-such-gpu"


def test_fewer_workers_where_memory_is_short() -> None:
    short = plan.make(wanted("compute: {memory: 3 GB}\n"), JETS, LAPTOP)
    assert short.workers == 2 and any("2 of 8 slots" in reason for reason in short.reasons)


def test_winners_are_bagged_only_while_a_budget_lasts() -> None:
    assert (plan.make(wanted(), JETS, LAPTOP).refit, plan.make(wanted(), JETS, LAPTOP).bagging) == (True, 1)
    timed = plan.make(wanted("search: {minutes: 10}\n"), JETS, LAPTOP)
    assert timed.bagging == plan.AUTO_FOLDS and timed.search_minutes == 5
    folds = plan.make(wanted(), Facts("table", JETS.rows, {**JETS.sizes, "folds": 4}), LAPTOP)
    assert (folds.refit, folds.bagging, folds.folds) == (False, 1, 4)


def test_planning_on_parquet_needs_no_tensorflow() -> None:
    code = ("import sys; from automl_phys.cli import main; assert main(['plan', 'recipes/classify-jets.yaml']) == 0\n"
            "heavy = {'tensorflow', 'keras', 'jax', 'torch', 'sklearn', 'lightgbm', 'optuna'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL)


def test_an_objective_of_a_signal_is_refused_where_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    from automl_phys.cli import main

    sets = ["--set", "search.objective=rejection@0.5", "--set", "data.signal=null"]
    assert main(["plan", "recipes/classify-jets.yaml", *sets]) == 2
    assert "'rejection@0.5' needs to know which class is the signal" in capsys.readouterr().err


if __name__ == "__main__":
    for name in CASES:
        (GOLDEN / f"{name}.json").write_text(rundir.as_json(made(name)), encoding="utf-8")
