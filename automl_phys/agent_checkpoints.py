"""What a training that was cut off goes on from: networks, optimisers, replay buffer, scales, counters.

Takes an algorithm of Stable-Baselines3 at a look; leaves ``course.json``, ``tensors.pt`` and, where there is a replay
buffer, ``replay.npz`` in a folder, which is replaced as a whole: a process killed while it writes leaves the one
before.
Tensors are read with ``weights_only``, arrays without pickle, so that nothing in the files is run. A replay buffer of
more than ``MOST_BYTES`` is not written, and the training with it would begin anew.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from automl_phys import rundir
from automl_phys.environments import Normalizer

if TYPE_CHECKING:
    from torch import Tensor

MOST_BYTES = 2 * 2**30
COURSE, TENSORS, REPLAY, BEST_SCALE = "course.json", "tensors.pt", "replay.npz", "best-scale.npz"
COUNTERS = ("num_timesteps", "_n_updates", "_n_calls", "_episode_num")
NUMBERS = ("_current_progress_remaining", "exploration_rate")
BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""Arrays of a replay buffer; rows are steps of all copies."""


@dataclass(frozen=True, eq=False)
class Best:
    """The weights of the best look, and the scale of observations then."""

    step: int
    value: float
    weights: Mapping[str, Tensor]
    scale: Normalizer | None


@dataclass(frozen=True, eq=False)
class Course:
    """How far a training has come: its learning curve, its best look, and how many looks there were."""

    history: tuple[dict[str, float], ...]
    best: Best | None
    looks: int


@dataclass(frozen=True)
class _Written:
    """``course.json``."""

    history: tuple[dict[str, float], ...]
    looks: int
    best_step: int
    best_value: float
    counters: dict[str, int]
    numbers: dict[str, float]
    returns: tuple[float, ...]
    replay: tuple[int, bool] | None


class Place:
    """Where the checkpoint of one training is; None for nowhere."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def write(self, model: Any, course: Course) -> None:
        """Put the training's state in place of the one before. Raises RunError when the disk refuses."""
        best, buffer = course.best, getattr(model, "replay_buffer", None)
        if self._folder is None or best is None or (buffer is not None and _bytes(buffer) > MOST_BYTES):
            return
        with rundir.whole_folder(self._folder) as draft:
            torch.save(_tensors(model, best), draft / TENSORS)
            if buffer is not None:
                filled = buffer.buffer_size if buffer.full else buffer.pos
                with (draft / REPLAY).open("wb") as file:
                    np.savez(file, allow_pickle=False, **{name: one[:filled] for name, one in _arrays(buffer).items()})
            if best.scale:
                best.scale.save(draft / BEST_SCALE)
            rundir.write_json(draft / COURSE, _Written(
                course.history, course.looks, best.step, best.value,
                {name: int(getattr(model, name)) for name in COUNTERS if hasattr(model, name)},
                {name: float(getattr(model, name)) for name in NUMBERS if hasattr(model, name)},
                tuple(float(one["r"]) for one in model.ep_info_buffer or ()),
                None if buffer is None else (int(buffer.pos), bool(buffer.full))))

    def read(self, model: Any) -> Course | None:
        """Put the state that is there into a model built alike; None where there is none. Raises CallError for a
        damaged one."""
        if self._folder is None or not (self._folder / COURSE).exists():
            return None
        found = rundir.read_json(self._folder / COURSE, _Written)
        tensors = torch.load(self._folder / TENSORS, weights_only=True)
        model.set_parameters(tensors["parameters"], exact_match=True, device="cpu")
        for name, value in tensors["variables"].items():
            getattr(model, name).data.copy_(value)
        for name, one in _scales(model.get_vec_normalize_env()).items():
            kept = tensors["scale"][name]
            one.mean, one.var, one.count = kept["mean"].numpy(), kept["var"].numpy(), kept["count"]
        for name, value in {**found.counters, **found.numbers}.items():
            setattr(model, name, value)
        many = model._stats_window_size
        model.ep_info_buffer = deque(({"r": one, "l": nan, "t": nan} for one in found.returns), maxlen=many)
        model.ep_success_buffer = deque(maxlen=many)
        if found.replay is not None:
            buffer = model.replay_buffer
            with np.load(self._folder / REPLAY, allow_pickle=False) as stored:
                for name, one in _arrays(buffer).items():
                    one[:len(stored[name])] = stored[name]
            buffer.pos, buffer.full = found.replay
        scale = Normalizer.load(self._folder / BEST_SCALE) if (self._folder / BEST_SCALE).exists() else None
        return Course(found.history, Best(found.best_step, found.best_value, tensors["best"], scale), found.looks)

    def remove(self) -> None:
        """The training is over."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _tensors(model: Any, best: Best) -> dict[str, Any]:
    _, variables = model._get_torch_save_params()
    kept = {name: getattr(model, name).detach() for name in variables}
    if isinstance(weights := getattr(model, "weights", None), torch.Tensor):
        kept["weights"] = weights
    scale = {name: {"mean": torch.as_tensor(one.mean), "var": torch.as_tensor(one.var), "count": float(one.count)}
             for name, one in _scales(model.get_vec_normalize_env()).items()}
    return {"parameters": model.get_parameters(), "variables": kept, "scale": scale, "best": dict(best.weights)}


def _scales(learnt: Any) -> dict[str, Any]:
    """The running means of a ``VecNormalize``, of None none."""
    if learnt is None:
        return {}
    of: Any = getattr(learnt, "obs_rms", None) if learnt.norm_obs else None
    by_key = of if isinstance(of, dict) else {} if of is None else {"": of}
    return {**{f"observation {key}": one for key, one in by_key.items()}, "return": learnt.ret_rms}


def _arrays(buffer: Any) -> dict[str, Any]:
    """The arrays of a replay buffer, those of observations that are mappings by key too."""
    found: dict[str, Any] = {}
    for name in BUFFER:
        one = getattr(buffer, name)
        found |= {f"{name}/{key}": part for key, part in one.items()} if isinstance(one, dict) else {name: one}
    return found


def _bytes(buffer: Any) -> int:
    return sum(one.nbytes for one in _arrays(buffer).values())
