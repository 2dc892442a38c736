"""Events as normal variates: margins are learnt exactly, counts stay counts, bounds hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from automl_phys import event_space, generating
from automl_phys.event_space import Column

N = 8000


def made(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.gamma(2, 50, N), rng.poisson(3, N).astype(float),
                     np.where(rng.random(N) < 0.3, 0.0, rng.random(N)), np.full(N, 7.0)], axis=1)


def space(values: np.ndarray) -> event_space.Space:
    return event_space.of_columns(values, np.ones(len(values)), [None] * values.shape[1])


def test_every_column_is_standard_normal_and_correlated_with_no_other() -> None:
    values = made()
    values[:, 2] = values[:, 0] + 20 * values[:, 2]
    variates = space(values).forward(values, np.random.default_rng(1))
    assert np.cov(variates.T) == pytest.approx(np.eye(4), abs=0.05)
    values = made()
    variates = space(values).forward(values, np.random.default_rng(1))
    for j in range(4):
        assert kstest(variates[:, j], "norm").pvalue > 1e-4, j


def test_what_goes_there_comes_back() -> None:
    values = made()
    one = space(values)
    back = one.back(one.forward(values, np.random.default_rng(1)))
    assert np.abs(back - values).max(axis=0) == pytest.approx(np.zeros(4), abs=1e-3)
    assert np.array_equal(back[:, 1], values[:, 1]), "a count came back as another"
    assert np.array_equal(back[:, 2] == 0, values[:, 2] == 0), "a ratio of exactly 0 is lost"


def test_generated_counts_are_counts_within_the_bounds_of_the_data() -> None:
    values = made()
    events = space(values).back(np.random.default_rng(2).standard_normal((50_000, 4)).astype(np.float32))
    assert set(np.unique(events[:, 1])) <= set(np.unique(values[:, 1]))
    assert (events.min(axis=0) >= values.min(axis=0) - 1e-4).all()
    assert (events.max(axis=0) <= values.max(axis=0) + 1e-4).all()
    assert (events[:, 2] == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert (events[:, 3] == 7).all()
    # nothing gathers at the outermost event of a continuous column
    assert (events[:, 0] == events[:, 0].max()).sum() == 1


def test_bounds_that_are_asked_for_are_reached_and_not_passed() -> None:
    values = np.random.default_rng(0).uniform(0.2, 0.8, N)
    column = Column.of(values, np.ones(N), (0.0, 1.0))
    far = column.back(np.array([-50.0, 50.0]))
    assert far.min() >= 0
    assert far.max() <= 1
    assert column.back(np.random.default_rng(1).standard_normal(10**6)).min() < values.min()


def test_a_weight_of_two_is_the_event_twice() -> None:
    values = made()[:, 0]
    weight = np.where(values > np.median(values), 2.0, 1.0)
    twice = np.concatenate([values, values[weight == 2]])
    z = np.linspace(-2, 2, 50)
    one, other = Column.of(values, weight).back(z), Column.of(twice, np.ones(len(twice))).back(z)
    assert one == pytest.approx(other, rel=0.02)


def test_images_keep_their_empty_pixels_and_come_back_from_components(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    centre = rng.normal(4, 1, (400, 2))
    y, x = np.mgrid[:9, :9]
    images = np.exp(-((x - centre[:, :1, None]) ** 2 + (y - centre[:, 1:, None]) ** 2) / 2)[..., None]
    images = np.where(images < 0.05, 0, images).astype(np.float32)
    pixels = event_space.of_images(images, np.ones(400), "pixels")
    assert np.abs(pixels.back(pixels.forward(images, None)) - images).max() < 1e-5
    flat = event_space.of_images(images, np.ones(400), "flat")
    z = flat.forward(images, rng)
    assert z.shape == (400, flat.size)
    assert flat.size < 81
    assert np.abs(flat.back(z) - images).mean() < 0.02
    flat.save(tmp_path)
    assert np.array_equal(event_space.load(tmp_path).back(z), flat.back(z))


def test_what_all_images_have_in_common_is_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.gamma(0.5, 1, (500, 6, 6, 1))
    images[images < 0.1] = 0
    images = np.round(200 * images / np.sqrt((images**2).sum(axis=(1, 2, 3), keepdims=True)))
    flat = images.reshape(500, -1)
    for view in ("pixels", "flat"):
        one = event_space.of_images(images.astype(np.float32), np.ones(500), view)
        assert one.total is not None
        assert one.total == (2.0, pytest.approx(200**2, rel=0.01))
        one.save(tmp_path / view)
        again = event_space.load(tmp_path / view)
        z = rng.standard_normal(one.forward(images, rng).shape).astype(np.float32)
        new = again.back(z)
        assert np.array_equal(new, one.back(z))
        assert set(np.unique(new)) <= set(np.unique(images)), "a shade that no image has"
        assert (new.reshape(500, -1)**2).sum(axis=1) == pytest.approx(200**2, rel=0.05)
        assert (new.reshape(500, -1)**2).sum(axis=1).std() < 2 * (flat**2).sum(axis=1).std()
    free = event_space.of_images(rng.gamma(2, 1, (500, 6, 6, 1)).astype(np.float32), np.ones(500), "pixels")
    assert (free.shades, free.total) == (None, None)


def test_pixels_get_the_margins_of_real_ones_whatever_a_generator_makes() -> None:
    rng = np.random.default_rng(0)
    images = rng.gamma(2, 1, (4000, 3, 3, 1)).astype(np.float32)
    images[rng.random(images.shape) < np.linspace(0.05, 0.95, 9).reshape(3, 3, 1)] = 0
    one = event_space.of_images(images, np.ones(4000), "pixels")
    z = one.forward(images, None)
    margins = np.sort(z.reshape(len(z), -1), axis=0)
    made = 0.5 * rng.standard_normal((4000, 3, 3, 1)).astype(np.float32) + 0.3  # of the wrong width, at the wrong place
    before, after = one.back(made), one.matched(margins, made).back(made)
    for i in range(3):
        for j in range(3):
            real = images[:, i, j, 0]
            assert ks_2samp(after[:, i, j, 0], real, method="asymp").statistic < 0.03
            assert ks_2samp(before[:, i, j, 0], real, method="asymp").statistic > 0.1
            assert (after[:, i, j, 0] == 0).mean() == pytest.approx((real == 0).mean(), abs=0.01)
    assert np.abs(one.matched(margins, z).back(z) - images).mean() < 0.02, "nothing to be moved"


@pytest.mark.parametrize(("side", "events"), [(8, 512), (24, 64), (256, 64)])
def test_a_block_of_large_images_is_small(side: int, events: int) -> None:
    pixel = Column(np.zeros(1), np.zeros(1), np.zeros(1))
    assert generating.block_of(event_space.Space((pixel,) * side**2, (side, side, 1))) == events


@pytest.mark.parametrize("values", [np.zeros(50), np.arange(3.0), np.array([1.0, 1e9]), np.repeat([0.0, 1.0], 20)])
def test_few_or_odd_values_are_no_trouble(values: np.ndarray) -> None:
    column = Column.of(values, np.ones(len(values)))
    z = column.forward(values, np.random.default_rng(0))
    assert np.isfinite(z).all()
    assert column.back(z) == pytest.approx(values)
