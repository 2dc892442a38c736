"""Moving pictures: what a GIF shows, for how long, and how large it is."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from automl_phys import episode_video
from automl_phys.errors import RunError


def moving(count: int, height: int = 40, width: int = 60) -> np.ndarray:
    """A red square that moves over white, frame by frame."""
    frames = np.full((count, height, width, 3), 255, np.uint8)
    for i, frame in enumerate(frames):
        frame[10:20, (i * 3) % (width - 10):(i * 3) % (width - 10) + 10] = (200, 0, 0)
    return frames


def opened(made: bytes) -> tuple[list[np.ndarray], int]:
    """Frames, and how long they take in all, in ms."""
    image: Any = Image.open(BytesIO(made))
    assert image.format == "GIF"
    frames, time = [], 0
    for i in range(image.n_frames):
        image.seek(i)
        time += image.info["duration"]
        frames.append(np.asarray(image.convert("RGB")))
    return frames, time


def test_a_gif_shows_the_frames_one_after_the_other() -> None:
    frames, time = opened(episode_video.gif(moving(12), 10.0))
    assert len(frames) == 12
    assert time == 1200
    for shown, given in zip(frames, moving(12), strict=True):
        assert np.abs(shown.astype(int) - given).max() < 12


def test_frames_may_be_a_list() -> None:
    assert episode_video.gif(list(moving(3)), 10.0) == episode_video.gif(moving(3), 10.0)


def test_a_long_episode_is_thinned_but_takes_as_long() -> None:
    frames, time = opened(episode_video.gif(moving(1000), 30.0))
    assert len(frames) <= episode_video.MOST_FRAMES
    assert time == pytest.approx(1000 / 30 * 1000, rel=0.06)


def test_wide_frames_become_smaller() -> None:
    frames, _ = opened(episode_video.gif(moving(2, 400, 640), 10.0))
    assert frames[0].shape == (200, 320, 3)


def test_even_noise_is_kept_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 120, 160, 3), dtype=np.uint8)
    free, bound = episode_video.gif(noise, 10.0, most_bytes=10**9), episode_video.gif(noise, 10.0, most_bytes=100_000)
    assert len(bound) <= 100_000 < len(free)
    assert opened(bound)[1] == pytest.approx(3000, rel=0.35)


@pytest.mark.parametrize("wrong", [np.zeros((0, 4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8),
                                   np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 4, 4, 4), np.uint8)])
def test_what_are_no_frames_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        episode_video.gif(wrong, 10.0)


def test_a_rate_has_to_be_above_0() -> None:
    with pytest.raises(ValueError, match="above 0"):
        episode_video.gif(moving(2), 0.0)


def test_without_ffmpeg_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episode_video, "find_spec", lambda _: None)
    with pytest.raises(RunError) as caught:
        episode_video.mp4(moving(2), 10.0, tmp_path / "film.mp4")
    assert "automl-phys[video]" in caught.value.mistakes[0].remedy
    assert not (tmp_path / "film.mp4").exists()


def test_an_mp4_gets_every_frame_in_an_even_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def write_frames(path: str, size: tuple[int, int], **how: Any) -> Any:
        sent.append((path, size, how["fps"]))
        while True:
            sent.append((yield))

    fake = ModuleType("imageio_ffmpeg")
    fake.write_frames = write_frames
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", fake)
    monkeypatch.setattr(episode_video, "find_spec", lambda _: object())
    episode_video.mp4(moving(5, 41, 61), 25.0, tmp_path / "film.mp4")
    assert sent[0] == (str(tmp_path / "film.mp4"), (60, 40), 25.0)
    assert len(sent) == 1 + 5
    assert np.array_equal(sent[3], moving(5, 41, 61)[2, :40, :60])
