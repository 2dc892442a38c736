"""Cooling a thermal oscillator with kicks: the environment ``automl_phys/CoolOscillator-v0``.

A particle in a harmonic trap is in contact with a bath, its position is measured with noise, and it can be kicked to
either side or let alone: feedback cooling, as of levitated particles (Conangla et al. 2019, Phys. Rev. Lett. 122,
223602). Its motion is Langevin's (Wang, Uhlenbeck 1945, Rev. Mod. Phys. 17, 323):

    dx = v dt,    dv = -x dt - v/Q dt + √(2/Q) dW

Units: mass 1, angular frequency 1 (a period is 2π), and kT = 1 of the bath; so lengths are in √(kT/m)/ω, the thermal
spread. A kick adds to v at the beginning of a step; then the linear equation is solved exactly over the time ``dt``
(Gillespie 1996, Phys. Rev. E 54, 2084): the state (x, v) becomes M (x, v) plus a normal number with covariance
1 - M Mᵀ, which keeps the thermal state, covariance 1, as it is. With Ω = √(1 - 1/4Q²), c = cos Ω dt, s = sin Ω dt / Ω,

    M = exp(-dt/2Q) [[c + s/2Q, s], [-s, c - s/2Q]]

- **action** of 3: a kick of -``kick``, none, a kick of +``kick`` on the velocity.
- **observation** (2 m - 1,): the last m readings of x, oldest first, cut off at ± ``RANGE``; then the m - 1 kicks
  between them, -1, 0 or 1.
- **reward**: minus the energy (x² + v²)/2 after the step, in units of kT. In equilibrium with the bath its mean is
  -1: a mean reward per step is minus the effective temperature.

Episodes begin in equilibrium, with m - 1 steps in which nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, exp, pi, sin, sqrt
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Policy = Callable[[NDArray[Any]], int]

QUALITY = 50.0
"""Quality factor Q: the energy decays in Q / 2π periods."""
STEPS_PER_PERIOD = 16
KICK = 0.2
"""A kick's change of velocity, in units of the thermal velocity."""
NOISE = 0.3
"""Standard deviation of a reading, in units of the thermal spread."""
MEMORY = 4
"""Readings in an observation."""
RANGE = 10.0
"""Largest reading."""
THRESHOLD = 1.0
"""The best of 0.5, 1 and 1.5 in the standard environment, where :func:`controller` has a mean return of -20 (doing
nothing: -200)."""


def propagator(quality: float, time: float) -> Floats:
    """The matrix M (2, 2) that takes the mean of (x, v) over ``time``. Raises ValueError for a motion that does not
    oscillate: quality 0.5 or less."""
    if quality <= 0.5:
        raise ValueError("the quality factor has to be above 0.5")
    half = 0.5 / quality
    omega = sqrt(1 - half**2)
    c, s = cos(omega * time), sin(omega * time) / omega
    return exp(-half * time) * np.array([[c + half * s, s], [-s, c - half * s]])


class CoolOscillator(gymnasium.Env[NDArray[np.float32], np.int64]):
    """See the module. ``kick`` and ``noise`` in thermal units, ``memory`` is m, the readings in an observation. Raises
    ValueError for quality 0.5 or less, less than 2 readings, and for a kick or noise below 0."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 16}  # noqa: RUF012  # Gymnasium declares it so

    def __init__(self, quality: float = QUALITY, kick: float = KICK, noise: float = NOISE, memory: int = MEMORY,
                 render_mode: str | None = None) -> None:
        if memory < 2 or min(kick, noise) < 0:
            raise ValueError("it takes 2 readings to tell a velocity, and kicks and noise are not negative")
        self.kick, self.noise, self.memory = kick, noise, memory
        self.mean = propagator(quality, 2 * pi / STEPS_PER_PERIOD)
        self.spread = np.linalg.cholesky(np.eye(2) - self.mean @ self.mean.T)
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(3)
        high = np.concatenate([np.full(memory, RANGE), np.ones(memory - 1)]).astype(np.float32)
        self.observation_space = spaces.Box(-high, high, dtype=np.float32)
        self.state = np.zeros(2)
        self._readings: list[float] = []
        self._kicks: list[float] = []
        self._trail: list[Floats] = []

    @property
    def energy(self) -> float:
        """The true energy in units of kT."""
        return float(self.state @ self.state) / 2

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None,
              ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A particle of the bath's temperature."""
        super().reset(seed=seed, options=options)
        self.state = self.np_random.normal(0.0, 1.0, 2)
        self._readings, self._kicks, self._trail = [], [], []
        self._read()
        for _ in range(self.memory - 1):
            self._advance(0.0)
        return self._observation(), {"energy": self.energy}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Kick, move on, read the position; never ends by itself."""
        self._advance(float(action) - 1.0)
        energy = self.energy
        return self._observation(), -energy, False, False, {"energy": energy}

    def render(self) -> NDArray[np.uint8] | None:
        """The plane of position and velocity as a picture (240, 240, 3): where the particle is and was."""
        if self.render_mode is None:
            return None
        from automl_phys.oscillator_picture import picture

        return picture(np.array(self._trail), self._readings[-1], self._kicks[-1])

    def _advance(self, kick: float) -> None:
        kicked = self.state + np.array([0.0, kick * self.kick])
        self.state = self.mean @ kicked + self.spread @ self.np_random.normal(0.0, 1.0, 2)
        self._kicks = [*self._kicks, kick][-(self.memory - 1):]
        self._read()

    def _read(self) -> None:
        reading = float(np.clip(self.state[0] + self.noise * self.np_random.normal(), -RANGE, RANGE))
        self._readings = [*self._readings, reading][-self.memory:]
        self._trail = [*self._trail, self.state][-2 * STEPS_PER_PERIOD:]

    def _observation(self) -> NDArray[np.float32]:
        return np.array([*self._readings, *self._kicks], np.float32)


def estimator(env: CoolOscillator) -> Floats:
    """The matrix (2, 2 m - 1) that makes of an observation the best estimate of (x, v) now: the mean of the normal
    distribution given readings and kicks, for a particle that was in equilibrium at the first of them (Anderson, Moore
    1979, Optimal Filtering)."""
    m, mean = env.memory, env.mean
    powers = [np.linalg.matrix_power(mean, k) for k in range(m)]
    driven = np.zeros((m, 2, m - 1))  # what each kick has done to the state by each reading
    for later in range(1, m):
        for kick in range(later):
            driven[later, :, kick] = powers[later - kick] @ np.array([0.0, env.kick])
    # In equilibrium, states a time k apart have the covariance M^k.
    at_readings = np.array([[powers[abs(i - j)][0, 0] for j in range(m)] for i in range(m)])
    with_now = np.stack([powers[m - 1 - j][:, 0] for j in range(m)], axis=1)
    weights = np.linalg.solve(at_readings + env.noise**2 * np.eye(m), with_now.T).T
    return np.concatenate([weights, driven[-1] - weights @ driven[:, 0]], axis=1)


def controller(env: gymnasium.Env[Any, Any], threshold: float = THRESHOLD) -> Policy:
    """The textbook's cooling: estimate (x, v) from the observation, and kick against the velocity where that is above
    ``threshold`` kicks (cold damping, by kicks of one size). From half a kick on it takes energy.

    It knows the oscillator and sees observations alone, the newest last where several are stacked.
    """
    machine = env.unwrapped
    if not isinstance(machine, CoolOscillator):
        raise TypeError("this controller is for CoolOscillator")
    estimate, size, least = estimator(machine)[1], 2 * machine.memory - 1, threshold * machine.kick

    def act(observation: NDArray[Any]) -> int:
        velocity = float(estimate @ np.asarray(observation, np.float64)[-size:])
        return 1 - int(velocity > least) + int(velocity < -least)

    return act
