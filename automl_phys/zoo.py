"""What RL Baselines3 Zoo has published: hyperparameters tuned for an environment, and the returns that agents got.

Takes an environment's id and an algorithm; gives plain data out of ``data/zoo.yaml``, which names the source and its
licence (https://github.com/DLR-RM/rl-baselines3-zoo, MIT). Environments get new versions more often than the zoo:
where it has not the very one, that of the same name and the newest version is taken, and :func:`measured` says which.
Turning settings into arguments of an algorithm is left to the families.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

SOURCE = "RL Baselines3 Zoo (https://github.com/DLR-RM/rl-baselines3-zoo, MIT licence)"


class Published(NamedTuple):
    """``mean`` and standard deviation ``std`` of the return over ``episodes`` of one trained agent, which acts
    deterministically: the spread of other seeds is not in it."""

    mean: float
    std: float
    episodes: int


def lookup(name: str, algorithm: str) -> Mapping[str, Any] | None:
    """Hyperparameters of an algorithm (``ppo``, ``recurrent_ppo`` …) for an environment, None where there are none.

    Keys are the arguments of Stable-Baselines3's algorithm, and ``n_timesteps``, ``n_envs``, ``policy``, ``normalize``
    (true, or which of ``norm_obs`` and ``norm_reward``), ``noise_type`` and ``noise_std``. A schedule is an object,
    ``{schedule: linear, start: 0.001}``: from ``start`` to 0 over the training.
    """
    found: Mapping[str, Any] | None = _of("settings", name, algorithm)[1]
    return found


def published(name: str, algorithm: str) -> Published | None:
    """The return that an agent of the zoo got in an environment, None where none is told."""
    score = _of("scores", name, algorithm)[1]
    return None if score is None else Published(float(score[0]), float(score[1]), int(score[2]))


def measured(name: str, algorithm: str) -> str | None:
    """The id of the environment that :func:`published` tells of: the version may be another one."""
    return _of("scores", name, algorithm)[0]


def tuned(name: str, algorithm: str) -> str | None:
    """The id of the environment that :func:`lookup` tells of: the version may be another one."""
    return _of("settings", name, algorithm)[0]


def _of(part: str, name: str, algorithm: str) -> tuple[str | None, Any]:
    known: Mapping[str, Any] = _stored()[part].get(algorithm, {})
    if name in known:
        return name, known[name]
    same = [one for one in known if stem(one) == stem(name)]
    if not same:
        return None, None
    newest = max(same, key=lambda one: int(one.rpartition("-v")[2]))
    return newest, known[newest]


def stem(name: str) -> str:
    """An environment's id without its version."""
    return re.sub(r"-v\d+$", "", name)


@cache
def _stored() -> Mapping[str, Any]:
    text = files("automl_phys").joinpath("data", "zoo.yaml").read_text(encoding="utf-8")
    stored: Mapping[str, Any] = yaml.safe_load(text)
    return stored
