"""Do agents learn what they should, do they cost no more than Stable-Baselines3 by itself, and do they beat a textbook?

    python bench/reinforce.py                          # all of it, about half an hour on two cores
    python bench/reinforce.py --only speed             # parts of it

``cartpole``, ``acrobot``, ``pendulum`` and ``beam`` run the shipped recipes and read their evaluations: the mean return
of each training (CartPole: 500 in at least 4 of 5), of all (Acrobot at least -85, Pendulum at least -170), and for the
beam that of the textbook's controller on the same episodes. Nothing is chosen by these numbers.

``speed`` trains PPO in CartPole with the zoo's settings, in this process on one thread, by automl-phys (looks at the
agent and checkpoints included) and by Stable-Baselines3 alone, in turns; wall time, ratio, and steps per second while
nobody looks. ``parallel`` trains two agents by each of two algorithms, side by side with one thread of torch
each, as the planner has it, and one after the other with two.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RECIPES = Path(__file__).parents[1] / "recipes"
COMMAND = (sys.executable, "-m", "automl_phys.cli")
WANTED: Mapping[str, float] = {"cartpole": 500.0, "acrobot": -85.0, "pendulum": -170.0}
PARTS = ("cartpole", "acrobot", "pendulum", "beam", "speed", "parallel")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--only", nargs="*", choices=PARTS, default=PARTS)
    arguments.add_argument("--set", action="append", default=[], help="as of automl-phys run, such as search.trials=2")
    arguments.add_argument("--steps", type=int, default=100_000, help="of a training whose time is taken")
    arguments.add_argument("--turns", type=int, default=3)
    asked = arguments.parse_args()
    for part in asked.only:
        if part == "speed":
            speed(asked.steps, asked.turns)
        elif part == "parallel":
            parallel()
        else:
            ran(part, asked.set)


def ran(part: str, sets: Sequence[str]) -> None:
    """Run the shipped recipe, and print what its evaluation says."""
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        options = [word for one in sets for word in ("--set", one)]
        subprocess.run([*COMMAND, "run", str(RECIPES / f"reinforce-{part}.yaml"), "--quiet", *options], cwd=scratch,
                       check=True, stdout=subprocess.DEVNULL)
        took = time.perf_counter() - began
        run = next(Path(scratch).glob("runs/*/latest"))
        found = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    print(f"\n{part}, {took:.0f} s: {found['verdict']}")
    for table in found["tables"]:
        if table["title"] in ("Trainings", "Beside others"):
            print_table(table)
    if part in WANTED:
        mean = found["metrics"]["mean_return"]["value"]
        print(f"{'reached' if mean >= WANTED[part] else 'NOT reached'}: {mean:.1f}, wanted: {WANTED[part]:g}")


def print_table(table: Mapping[str, Any]) -> None:
    print(" | ".join(table["head"][:-1]))
    for row in table["rows"]:
        print(" | ".join(str(cell) for cell in row[:-1]))


def speed(steps: int, turns: int) -> None:
    """Time of a training, ours and bare, in turns; the quickest of each counts, for others use the machine too."""
    import torch

    torch.set_num_threads(1)
    ours, bare, rates = [], [], {"ours": [0.0], "bare": [0.0]}
    for turn in range(turns):
        took, rate = _ours(steps, turn)
        ours.append(took)
        rates["ours"].append(rate)
        took, rate = _bare(steps, turn)
        bare.append(took)
        rates["bare"].append(rate)
        print(f"turn {turn}: automl-phys {ours[-1]:.1f} s, Stable-Baselines3 {bare[-1]:.1f} s", flush=True)
    first, second = min(ours), min(bare)
    print(f"PPO, CartPole, {steps} steps: automl-phys {first:.1f} s, Stable-Baselines3 {second:.1f} s, ratio "
          f"{first / second:.2f}")
    print(f"steps per second of processor time while nobody looks: {max(rates['ours']):.0f} and "
          f"{max(rates['bare']):.0f}, ratio {max(rates['ours']) / max(rates['bare']):.3f}")


def parallel() -> None:
    """Wall time of two trainings, side by side on one thread each over one after the other on two."""
    for name, steps in (("PPO", 30_000), ("SAC", 600)):
        beside, behind = [], []
        for turn in range(2):
            began = time.perf_counter()
            for running in [_training(name, steps, 1, 2 * turn + one) for one in range(2)]:
                running.wait()
            beside.append(time.perf_counter() - began)
            began = time.perf_counter()
            for one in range(2):
                _training(name, steps, 2, 2 * turn + one).wait()
            behind.append(time.perf_counter() - began)
        print(f"two trainings by {name}, {steps} steps: {min(beside):.1f} s side by side on one thread each, "
              f"{min(behind):.1f} s one after the other on two, ratio {min(beside) / min(behind):.2f}", flush=True)


def _training(name: str, steps: int, threads: int, seed: int) -> subprocess.Popen[bytes]:
    """A training by Stable-Baselines3 with its defaults in a process of its own."""
    environment = {"PPO": "CartPole-v1", "SAC": "Pendulum-v1"}[name]
    code = (f"import torch; torch.set_num_threads({threads}); import stable_baselines3 as s; "
            f"s.{name}('MlpPolicy', '{environment}', device='cpu', seed={seed}).learn({steps})")
    return subprocess.Popen([sys.executable, "-c", code])


def _settings() -> tuple[Any, Any, dict[str, Any]]:
    from automl_phys import registry
    from automl_phys.facts import Facts

    family: Any = registry.load("families", "ppo")
    example = registry.load("tasks", "reinforce").EXAMPLE
    facts = Facts("environment", example.rows, {**example.sizes, "continuous": 0}, name="CartPole-v1")
    return family, facts, dict(family.defaults(facts)[0])


def _ours(steps: int, seed: int) -> tuple[float, float]:
    """Seconds in all, and steps per second of processor time outside of looks and checkpoints."""
    from automl_phys import agent_checkpoints, agent_training, environment_problem
    from automl_phys.families import ppo
    from automl_phys.reinforce_sections import Options
    from automl_phys.trials import Job

    _, _, params = _settings()
    looking = [0.0]
    look, write = agent_training._Course.look, agent_checkpoints.Place.write

    def timed(call: Any) -> Any:
        def one(*given: Any) -> Any:
            began = time.process_time()
            try:
                return call(*given)
            finally:
                looking[0] += time.process_time() - began
        return one

    agent_training._Course.look = timed(look)  # type: ignore[method-assign]
    agent_checkpoints.Place.write = timed(write)  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            options = Options.model_validate({"environment": {"id": "CartPole-v1"}, "train": {"steps": steps}})
            problem = environment_problem.prepare(options, Path(scratch), Path(scratch) / "problem", seed)
            job = Job(0, "ppo", params, seed, 1, "cpu", "mean_return", "maximize", "reinforce", scratch, folder="trial")
            began, used = time.perf_counter(), time.process_time()
            ppo.fit(problem, params, job, lambda _step, said: float(np.mean(said[:, 0])))
            took, used = time.perf_counter() - began, time.process_time() - used
    finally:
        agent_training._Course.look = look  # type: ignore[method-assign]
        agent_checkpoints.Place.write = write  # type: ignore[method-assign]
    return took, steps / (used - looking[0])


def _bare(steps: int, seed: int) -> tuple[float, float]:
    """The same settings, by Stable-Baselines3 as its documentation has it."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    def falling(start: float) -> Any:
        return lambda remaining: remaining * start

    began, used = time.perf_counter(), time.process_time()
    model = PPO("MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=seed), n_steps=32, batch_size=256,
                gae_lambda=0.8, gamma=0.98, n_epochs=20, ent_coef=0.0, learning_rate=falling(0.001),
                clip_range=falling(0.2), device="cpu", seed=seed)
    model.learn(steps)
    return time.perf_counter() - began, steps / (time.process_time() - used)


if __name__ == "__main__":
    main()
