"""The scale of observations: their running mean and variance, as plain arrays.

Takes batches of observations, or what ``VecNormalize`` of Stable-Baselines3 learnt in training; gives observations of
mean 0 and variance 1, clipped. Saved as arrays, so that loading runs no code. Once trained it is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecNormalize

Floats = NDArray[np.float64]

PLAIN = ""
"""The key of observations that are one array."""


@dataclass(frozen=True)
class Normalizer:
    """``mean`` and ``variance`` of observations, by the key of a mapping or under ``PLAIN``, each of an observation's
    shape; ``count`` of those seen. Values are clipped at ``clip`` standard deviations; ``epsilon`` is added to the
    variance."""

    mean: Mapping[str, Floats]
    variance: Mapping[str, Floats]
    count: float
    clip: float = 10.0
    epsilon: float = 1e-8

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Normalizer:
        """Nothing seen yet: observations (``shape``) stay as they are."""
        return cls({PLAIN: np.zeros(shape)}, {PLAIN: np.ones(shape)}, 0.0)

    @classmethod
    def of_vec(cls, learnt: VecNormalize) -> Normalizer:
        """What a ``VecNormalize`` with ``norm_obs`` knows of observations. Raises ValueError where it has none."""
        if not learnt.norm_obs:
            raise ValueError("these observations were not normalised")
        by_key: Mapping[str, Any] = learnt.obs_rms if isinstance(learnt.obs_rms, dict) else {PLAIN: learnt.obs_rms}
        return cls({key: np.array(one.mean, np.float64) for key, one in by_key.items()},
                   {key: np.array(one.var, np.float64) for key, one in by_key.items()},
                   float(next(iter(by_key.values())).count), float(learnt.clip_obs), float(learnt.epsilon))

    def after(self, batch: Floats) -> Normalizer:
        """With one more batch (n, …) of observations that are one array, by the parallel formula of Chan, Golub,
        LeVeque (1983), Am. Stat. 37, 242."""
        rows, mean, variance = len(batch), self.mean[PLAIN], self.variance[PLAIN]
        if not rows:
            return self
        count = self.count + rows
        delta = batch.mean(axis=0) - mean
        squares = variance * self.count + batch.var(axis=0) * rows + delta**2 * self.count * rows / count
        return replace(self, mean={PLAIN: mean + delta * rows / count}, variance={PLAIN: squares / count}, count=count)

    def __call__(self, observation: Any) -> Any:
        """An observation or a batch (n, …) of them, float32; what was not learnt of a mapping stays as it is."""
        if isinstance(observation, Mapping):
            return {key: self._scaled(key, part) if key in self.mean else part for key, part in observation.items()}
        return self._scaled(PLAIN, observation)

    def _scaled(self, key: str, part: Any) -> NDArray[np.float32]:
        scaled = (np.asarray(part) - self.mean[key]) / np.sqrt(self.variance[key] + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write arrays as ``.npz``."""
        arrays = {f"{name}:{key}": part for name, by_key in (("mean", self.mean), ("variance", self.variance))
                  for key, part in by_key.items()}
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, settings=np.array([self.count, self.clip, self.epsilon]), **arrays)

    @classmethod
    def load(cls, path: Path) -> Normalizer:
        """What ``save`` wrote; nothing in the file is run."""
        with np.load(path, allow_pickle=False) as stored:
            count, clip, epsilon = (float(one) for one in stored["settings"])
            keys = [name.removeprefix("mean:") for name in stored.files if name.startswith("mean:")]
            return cls({key: stored[f"mean:{key}"] for key in keys}, {key: stored[f"variance:{key}"] for key in keys},
                       count, clip, epsilon)
