"""The planner is a pure function: golden plans for made-up machines, and the rules they rest on.

After a change that is meant: ``python tests/test_plan.py`` writes the golden plans anew; read the difference.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from automl_phys import plan, recipe, rundir
from automl_phys.decisions import Plan
from automl_phys.errors import RecipeError
from automl_phys.facts import Facts, Gpu, Machine

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
A100 = {"model": "NVIDIA A100-SXM4-40GB", "driver": "550.54.15", "capability": "8.0"}
WHOLE, PARENT = (f"GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a7{i}" for i in range(2))
SLICES = tuple(f"MIG-c7384736-a75d-5afc-978f-d2f1294409f{i}" for i in range(2))
MIG = Machine(cores=16, memory_mb=64_000, gpus=("gpu:0", *(f"gpu:{uuid}" for uuid in SLICES)), cards=(
    Gpu(0, WHOLE, memory_mb=40_960, **A100),
    *(Gpu(1, uuid, memory_mb=20_480, of=PARENT, profile="3g.20gb", **A100) for uuid in SLICES)))
VOLTA = Machine(cores=8, memory_mb=32_000, gpus=("gpu:0",), cards=(
    Gpu(0, WHOLE, "Tesla V100-SXM2-16GB", 16_384, "550.54.15", "7.0"),))
DIGITS = Facts("images", {"train": 3000, "valid": 1000, "test": 1000},
               {"height": 28, "width": 28, "channels": 1, "columns": 24, "numbers": 24, "categories": 0, "outputs": 10,
                "weighted": 0, "folds": 0})
CLUSTER = Machine(cores=16, memory_mb=64_000, hosts=20)
CASES = {"laptop": (JETS, LAPTOP, ""), "two_gpus": (JETS, TWO_GPUS, ""),
         "mig": (DIGITS, MIG, "compute: {trials_per_gpu: 2}\nmodel: {families: [cnn, boosted_trees]}\n"),
         "cluster": (MANY, CLUSTER, "search: {trials: 400, minutes: 120, objective: roc_auc}\n"),
         "agents": (CARTS, LAPTOP, "search: {trials: 12}\nmodel: {ppo: {discount: 0.9, rollout: {choices: [32, 64]}}}\n"),
         "slurm": (DIGITS, LAPTOP, "search: {trials: 400}\nmodel: {families: [cnn, boosted_trees]}\ncompute:\n  cluster: "
                   "{type: slurm, adapt: [0, 20], queue: gpu, walltime: '04:00:00', memory: 8 GB, gpus: 1}\n"),
         "scheduler": (JETS, LAPTOP, "compute: {scheduler: 'tcp://node1:8786', threads: 2}\n"),
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


def on(machine: Machine, compute: str = "", more: str = "", facts: Facts = JETS, **options: Any) -> Plan:
    return plan.make(wanted(f"compute: {{{compute}}}\n{more}", **options), facts, machine, lambda package: True)


NETWORKS = "model: {families: [mlp]}\n"
TREES = "model: {families: [boosted_trees]}\n"


def test_gpus_asked_for_must_be_there() -> None:
    one = on(TWO_GPUS, "gpus: [1], trials_per_gpu: 2", NETWORKS)
    assert one.devices == ("gpu:1", "gpu:1", "cpu") and one.framework == "tensorflow"  # the baseline is linear
    assert on(TWO_GPUS, "gpus: none").devices[0] == "cpu"
    for machine in (TWO_GPUS, LAPTOP):
        with pytest.raises(RecipeError) as caught:
            on(machine, "gpus: [5]")
        assert caught.value.mistakes[0].code == "no-such-gpu"


@pytest.mark.parametrize(("gpus", "used"), [
    ("[0]", ["gpu:0"]), (f"[{WHOLE}]", [f"gpu:{WHOLE}"]), ("[1]", [f"gpu:{uuid}" for uuid in SLICES]),
    (f"[{SLICES[1]}, 0]", [f"gpu:{SLICES[1]}", "gpu:0"]), (f"[{PARENT}]", [f"gpu:{uuid}" for uuid in SLICES])])
def test_a_gpu_is_asked_for_by_number_or_uuid_and_one_in_mig_mode_is_its_slices(gpus: str, used: list[str]) -> None:
    assert [device for device in on(MIG, f"gpus: {gpus}").devices if device != "cpu"] == used


def test_what_is_there_is_told_where_a_gpu_is_not() -> None:
    other = SLICES[0].replace("c7", "00")
    with pytest.raises(RecipeError) as caught:
        on(MIG, f"gpus: [0, {other}]")
    (mistake,) = caught.value.mistakes
    assert mistake.text == f"There is no GPU {other} here."
    assert mistake.remedy.startswith(f"There is 0 (NVIDIA A100-SXM4-40GB); {SLICES[0]} (NVIDIA A100-SXM4-40GB, slice 3g")
    with pytest.raises(RecipeError, match=f"GPU {SLICES[0]} is in the list already, by another name"):
        on(MIG, f"gpus: [1, {SLICES[0]}]")
    with pytest.raises(RecipeError, match="keeps off the GPUs"):
        on(MIG, "gpus: [0], executor: inline")


def test_trials_that_share_gpus_are_spread_over_them() -> None:
    assert on(TWO_GPUS, "trials_per_gpu: 2", "search: {trials: 3}\n").devices == ("gpu:0", "gpu:1", "cpu")
    assert on(TWO_GPUS, "trials_per_gpu: 2").devices[:4] == ("gpu:0", "gpu:1", "gpu:0", "gpu:1")


@pytest.mark.parametrize(("compute", "devices"), [
    ("workers: 1", ("gpu:0",)), ("workers: 2", ("gpu:0", "cpu")), ("workers: 4", ("gpu:0", "gpu:1", "cpu", "cpu")),
    ("memory: 1200 MB", ("gpu:0",)), ("memory: 2300 MB", ("gpu:0", "cpu"))])
def test_both_kinds_of_trial_have_a_place_however_few_there_are(compute: str, devices: tuple[str, ...]) -> None:
    """One worker does all: it is on a GPU. Else the numbers of no trial depend on how many there are."""
    alone = on(TWO_GPUS, compute)
    assert alone.devices == devices and alone.workers == len(devices)
    assert alone.threads == on(TWO_GPUS).threads
    assert {c.family: c.device for c in alone.families} == {
        "linear": "cpu", "boosted_trees": "cpu", "extra_trees": "cpu", "mlp": "gpu"}


def test_nothing_is_put_on_a_gpu_that_cannot_use_one() -> None:
    trees = on(TWO_GPUS, "", TREES)
    assert set(trees.devices) == {"cpu"} and trees.threads == 1
    assert any("would lie idle" in reason for reason in trees.reasons)
    inline = on(TWO_GPUS, "executor: inline")
    assert inline.devices == ("cpu",) and {chosen.device for chosen in inline.families} == {"cpu"}
    agents = on(TWO_GPUS, facts=CARTS, task=OF_AGENTS)
    assert set(agents.devices) == {"cpu"}


def test_hosts_with_cores_for_one_trial_have_no_place_beside_the_gpu() -> None:
    jobs = on(Machine(cores=2, memory_mb=16_000, gpus=("gpu:0",), hosts=5), "threads: 2")
    assert jobs.devices == ("gpu:0",) * 5 and jobs.memory_mb_per_worker == 13_600
    assert any("take turns" in reason for reason in jobs.reasons)


def test_memory_is_shared_by_all_workers_of_a_host() -> None:
    several = on(replace(TWO_GPUS, hosts=3))
    assert several.workers == 3 * on(TWO_GPUS).workers
    assert several.memory_mb_per_worker == on(TWO_GPUS).memory_mb_per_worker == int(128_000 * 0.85) // 8


@pytest.mark.parametrize(("facts", "machine", "compute", "precision"), [
    (JETS, MIG, "", "float32"), (DIGITS, MIG, "", "mixed_bfloat16"), (DIGITS, VOLTA, "", "float32"),
    (DIGITS, TWO_GPUS, "", "float32"), (DIGITS, LAPTOP, "", "float32"), (DIGITS, MIG, "gpus: none", "float32"),
    (DIGITS, MIG, "precision: float32", "float32"), (JETS, MIG, "precision: mixed", "mixed_bfloat16"),
    (JETS, LAPTOP, "precision: mixed", "mixed_bfloat16")])
def test_bfloat16_is_for_images_on_gpus_that_have_it_or_as_asked(
        facts: Facts, machine: Machine, compute: str, precision: str) -> None:
    made = on(machine, compute, "model: {families: [cnn, linear]}\n" if facts is DIGITS else "", facts)
    assert made.precision == precision
    assert any("bfloat16" in reason for reason in made.reasons) == (precision != "float32")


def test_mixed_precision_is_refused_where_it_would_be_float16_or_do_nothing() -> None:
    with pytest.raises(RecipeError, match=r"Tesla V100-SXM2-16GB \(compute capability 7.0\) has no bfloat16"):
        on(VOLTA, "precision: mixed")
    with pytest.raises(RecipeError, match="Networks of task 'reinforce' are trained in float32 only"):
        on(LAPTOP, "precision: mixed", facts=CARTS, task=OF_AGENTS)


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
