"""One episode of an agent, looked at closely: what it saw and did, and a film of it.

Takes an agent, a spec and the seed of an episode; gives the moments of the episode and, where the environment draws
pictures, a GIF. Playing is :mod:`automl_phys.episode_play`'s work, encoding :mod:`automl_phys.episode_video`'s.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from automl_phys import environments, episode_play
from automl_phys.episode_play import Act, Moment

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from automl_phys.environments import Spec

FRAMES = 120
"""Pictures of a film in a report; of longer episodes every second step is shown, or every third …"""
WIDTH = 320
"""Pixels in width, about, of such a film."""


class Player(Protocol):
    """What acts: see ``agents.Agent.acting``."""

    def acting(self, slots: int, best: bool, seed: int = 0) -> AbstractContextManager[Act]: ...


@dataclass(frozen=True, eq=False)
class Film:
    """Pictures (height, width, 3) of 8-bit colours, one for every ``every`` steps, and those a second."""

    frames: tuple[NDArray[np.uint8], ...]
    rate: float
    every: int


def moments(agent: Player, spec: Spec, seeds: Sequence[int], best: bool = True) -> list[list[Moment]]:
    """All steps of each episode. Raises RunError where the environment does."""
    found: list[list[Moment]] = [[] for _ in seeds]
    with episode_play.stage(spec, len(seeds)) as on, agent.acting(min(len(on.environments), len(seeds)), best,
                                                                  seeds[0]) as act:
        episode_play.play(on, seeds, act, lambda moment: found[moment.episode].append(moment))
    return found


def film(agent: Player, spec: Spec, seed: int, steps: int, most: int = FRAMES, width: int | None = WIDTH,
         best: bool = True) -> Film:
    """A film of an episode of so many ``steps``, every n-th of them such that there are no more than ``most`` pictures,
    brought to about ``width``, None for as they are. Raises RunError where the environment draws none."""
    every = max(1, -(-steps // most))
    frames: list[NDArray[np.uint8]] = []
    with _one(spec) as on, agent.acting(1, best, seed) as act:
        made: Any = on.environments[0]
        rate = float(made.metadata.get("render_fps") or 30)

        def keep(moment: Moment) -> None:
            if moment.step % every == 0 or moment.terminated or moment.truncated:
                frames.append(_smaller(np.asarray(made.render(), np.uint8), width))

        episode_play.play(on, [seed], act, keep)
    return Film(tuple(frames), min(25.0, max(rate / every, 5.0)), every)


def gif(shown: Film) -> bytes:
    """A film as a GIF."""
    from automl_phys import episode_video

    return episode_video.gif(list(shown.frames), shown.rate)


def write(shown: Film, path: Path) -> None:
    """A film as ``.gif`` or ``.mp4``, by the path's ending. Raises RunError where mp4 cannot be made here."""
    from automl_phys import episode_video, rundir

    if path.suffix == ".mp4":
        episode_video.mp4(list(shown.frames), shown.rate, path)
        return
    with rundir.atomic(path) as temporary:
        temporary.write_bytes(gif(shown))


@contextmanager
def _one(spec: Spec) -> Iterator[episode_play.Stage]:
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame needs no screen, and would complain that there is none
    made = episode_play.Stage(spec, 0)
    made.environments.append(environments.make(spec, render=True))
    try:
        yield made
    finally:
        made.close()


def _smaller(frame: NDArray[np.uint8], width: int | None) -> NDArray[np.uint8]:
    """A frame shrunk by averaging over squares of pixels."""
    times = 1 if width is None else max(1, round(frame.shape[1] / width))
    if times == 1:
        return frame
    high, wide = (size // times * times for size in frame.shape[:2])
    blocks = frame[:high, :wide].reshape(high // times, times, wide // times, times, -1)
    small: NDArray[np.uint8] = blocks.mean(axis=(1, 3)).astype(np.uint8)
    return small
