"""Steering a beam through misaligned magnets: the environment ``automl_phys/BeamSteering-v0``.

A charged beam runs once through a line of FODO cells whose quadrupoles are out of place. After each pass the monitors
are read, and all correctors may be changed. Horizontal plane, linear optics, thick lenses (Wiedemann, Particle
Accelerator Physics; Lee, Accelerator Physics, ch. 2): a state is (x, x'), in m and rad, an element is

    drift          [[1, l], [0, 1]]
    quadrupole F   [[cos φ, sin φ / √k], [-√k sin φ, cos φ]],  φ = √k l, and D with cosh, sinh and + √k sinh φ
    misaligned     u -> M (u - d) + d, with d = (offset, 0)
    corrector      x' -> x' + kick, thin

In each cell a corrector stands in front of its F quadrupole, a monitor at the end, in front of the next one, where the
beam is widest. Trajectory correction by reinforcement learning in such a line: Kain et al. (2020), Phys. Rev. Accel.
Beams 23, 124801.

- **action** (n,) in [-1, 1]: change of each corrector's kick, in units of ``STEP`` µrad; kicks end at ± ``LIMIT`` µrad.
- **observation** (2 n + 1,): the monitors' readings in mm, with their noise, cut off at ± ``RANGE``; the kicks that are
  set, in units of ``LIMIT``; and 1 / (1 + corrections made so far), what a further reading weighs in a mean of all.
- **reward**: minus the mean over monitors of the squared true trajectory there, in mm², after the change.

Drawn at ``reset``, and fixed in the episode: offsets of the quadrupoles, position and angle of injection, and the
calibration of each corrector (what it does over what it was told). Nothing of this is observed. Who answers each
reading in full turns its noise into kicks; who weighs it against those before does better. The textbook's correction,
:func:`controller`, answers a fixed share of each.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, cosh, sin, sinh, sqrt
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Policy = Callable[[NDArray[Any]], NDArray[np.float32]]

STRENGTH = 2.0
"""Focusing strength k of the quadrupoles in 1/m²."""
QUADRUPOLE = 0.2
"""Length of a quadrupole in m; 1 / (k l) = 2.5 m is its focal length."""
DRIFT = 2.3
"""Length of a drift between quadrupoles in m; a cell is 5 m long, its phase advance is some 60 degrees."""
OFFSET = 0.15
"""Standard deviation of a quadrupole's offset in mm."""
INJECTION = (0.3, 40.0)
"""Standard deviations of position in mm and angle in µrad at the beginning of the line."""
CALIBRATION = 0.15
"""Standard deviation of a corrector's calibration about 1."""
NOISE = 0.25
"""Standard deviation of a monitor's reading in mm."""
STEP = 200.0
"""Change of a kick in µrad for an action of 1."""
LIMIT = 400.0
"""Largest kick in µrad."""
RANGE = 10.0
"""Largest reading of a monitor in mm."""
GAIN, CUT = 0.7, 0.2
"""The best that :func:`controller` does with the same gain throughout, of 8 gains and 6 cuts tried in the standard
environment. In other episodes its mean return is -0.68, that of gain 1 without a cut -1.28, of averaging -0.28, of
doing nothing -16."""
MM, MICRO = 1e-3, 1e-6


def drift(length: float) -> Floats:
    """Transfer matrix (2, 2) of a drift of ``length`` m."""
    return np.array([[1.0, length], [0.0, 1.0]])


def quadrupole(strength: float, length: float) -> Floats:
    """Transfer matrix (2, 2) of a quadrupole of ``strength`` k in 1/m², positive where it focuses, ``length`` in m."""
    root = sqrt(abs(strength))
    phase = root * length
    if strength > 0:
        return np.array([[cos(phase), sin(phase) / root], [-root * sin(phase), cos(phase)]])
    return np.array([[cosh(phase), sinh(phase) / root], [root * sinh(phase), cosh(phase)]])


class Line:
    """A line of FODO cells as linear maps. Positions along it are the ends of elements, P = 4 per cell.

    ``places`` (P + 1,) m along the line, the beginning first; ``of_kicks`` (P + 1, n) m/rad, ``of_offsets``
    (P + 1, 2 n) m/m and ``of_injection`` (P + 1, 2) m/m and m/rad give the trajectory there; ``monitors`` are the
    indices (n,) of the monitors among the places.
    """

    def __init__(self, cells: int) -> None:
        elements = [quadrupole(STRENGTH, QUADRUPOLE), drift(DRIFT), quadrupole(-STRENGTH, QUADRUPOLE), drift(DRIFT)]
        lengths = [QUADRUPOLE, DRIFT, QUADRUPOLE, DRIFT]
        inputs = 3 * cells + 2  # kicks, offsets, injection
        state = np.zeros((2, inputs))
        state[:, -2:] = np.eye(2)
        seen = [state[0]]
        for cell in range(cells):
            for part, matrix in enumerate(elements):
                state = state.copy()
                if part == 0:
                    state[1, cell] += 1.0
                middle = np.zeros((2, inputs))
                if part % 2 == 0:
                    middle[0, cells + 2 * cell + part // 2] = 1.0
                state = matrix @ (state - middle) + middle
                seen.append(state[0])
        response = np.stack(seen)
        self.cells = cells
        self.places = np.concatenate([[0.0], np.cumsum(lengths * cells)])
        self.of_kicks = response[:, :cells]
        self.of_offsets = response[:, cells:3 * cells]
        self.of_injection = response[:, 3 * cells:]
        self.monitors = np.arange(1, cells + 1) * len(elements)

    @property
    def response(self) -> Floats:
        """The response matrix (n, n): trajectory at the monitors per kick, in m/rad."""
        return self.of_kicks[self.monitors]


class BeamSteering(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """See the module. ``cells`` is n, the number of correctors and of monitors; ``offset`` in mm, ``noise`` in mm and
    ``calibration`` are standard deviations, and ``injection`` a factor on ``INJECTION``. Raises ValueError for less
    than 1 cell, and for standard deviations below 0."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012  # Gymnasium declares it so

    def __init__(self, cells: int = 6, offset: float = OFFSET, noise: float = NOISE, calibration: float = CALIBRATION,
                 injection: float = 1.0, render_mode: str | None = None) -> None:
        if cells < 1 or min(offset, noise, calibration, injection) < 0:
            raise ValueError("there has to be a cell, and standard deviations are not negative")
        self.line = Line(cells)
        self.offset, self.noise, self.calibration, self.injection = offset, noise, calibration, injection
        self.render_mode = render_mode
        self.action_space = spaces.Box(-1.0, 1.0, (cells,), np.float32)
        high = np.concatenate([np.full(cells, RANGE), np.ones(cells + 1)]).astype(np.float32)
        low = np.concatenate([-high[:-1], [0.0]]).astype(np.float32)
        self.observation_space = spaces.Box(low, high, dtype=np.float32)
        self.kicks = np.zeros(cells)
        self._undisturbed = np.zeros(len(self.line.places))
        self._gains = np.ones(cells)
        self._readings = np.zeros(cells)
        self._corrections = 0

    @property
    def trajectory(self) -> Floats:
        """Where the beam truly is at each place of the line (P + 1,), in mm."""
        kicked: Floats = self.line.of_kicks @ (self._gains * self.kicks) * (MICRO / MM)
        return self._undisturbed + kicked

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None,
              ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """A new machine, its correctors off."""
        super().reset(seed=seed, options=options)
        cells, rng = self.line.cells, self.np_random
        offsets = rng.normal(0.0, 1.0, 2 * cells) * self.offset
        position, angle = rng.normal(0.0, 1.0, 2) * self.injection * INJECTION
        self._gains = 1.0 + rng.normal(0.0, 1.0, cells) * self.calibration
        self._undisturbed = (self.line.of_offsets @ offsets
                             + self.line.of_injection @ np.array([position, angle * MICRO / MM]))
        self.kicks = np.zeros(cells)
        self._corrections = 0
        return self._read(), {"squared_mm2": self._squared()}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Change the kicks, let the beam through, read the monitors; never ends by itself."""
        change = np.clip(np.asarray(action, np.float64), -1.0, 1.0) * STEP
        self.kicks = np.clip(self.kicks + change, -LIMIT, LIMIT)
        self._corrections += 1
        squared = self._squared()
        return self._read(), -squared, False, False, {"squared_mm2": squared}

    def render(self) -> NDArray[np.uint8] | None:
        """The line as a picture (270, 480, 3): magnets, kicks, trajectory and readings."""
        if self.render_mode is None:
            return None
        from automl_phys.beam_picture import picture

        return picture(self.line, self.trajectory, self._readings, self.kicks / LIMIT)

    def _squared(self) -> float:
        return float(np.mean(self.trajectory[self.line.monitors] ** 2))

    def _read(self) -> NDArray[np.float32]:
        noise = self.np_random.normal(0.0, 1.0, self.line.cells) * self.noise
        self._readings = np.clip(self.trajectory[self.line.monitors] + noise, -RANGE, RANGE)
        return np.concatenate([self._readings, self.kicks / LIMIT, [1 / (1 + self._corrections)]]).astype(np.float32)


def controller(env: gymnasium.Env[Any, Any], gain: float = GAIN, cut: float | None = None,
               averaging: bool = False) -> Policy:
    """The textbook's correction: kicks are changed by minus ``gain`` times the pseudo-inverse of the response matrix
    times the readings (Chung, Decker, Evans 1993, Closed orbit correction using singular value decomposition of the
    response matrix, Proc. PAC).

    It knows the ideal machine and sees observations alone, the newest last where several are stacked. Singular values
    below ``cut`` times the largest are left out (None: ``CUT``, and none of them with ``averaging``). With
    ``averaging`` the gain is 1 / (1 + corrections made), never below 0.05: without calibration errors the kicks are
    then those for the mean of all readings, which is the best estimate.
    """
    machine = env.unwrapped
    if not isinstance(machine, BeamSteering):
        raise TypeError("this controller is for BeamSteering")
    cells = machine.line.cells
    least = (0.0 if averaging else CUT) if cut is None else cut
    inverse = np.linalg.pinv(machine.line.response, rcond=least) * (MM / MICRO)

    def act(observation: NDArray[Any]) -> NDArray[np.float32]:
        newest = np.asarray(observation, np.float64)[-(2 * cells + 1):]
        strength = max(newest[-1], 0.05) if averaging else gain
        change = -strength * inverse @ newest[:cells]
        return np.clip(change / STEP, -1.0, 1.0).astype(np.float32)

    return act
