"""Observables of images: by hand, for empty images, under moves."""

import numpy as np
import pytest

from automl_phys import image_observables


def of(image):
    values, names = image_observables.of(np.asarray(image, np.float32)[None])
    return dict(zip(names, values[0].tolist(), strict=True))


def test_two_pixels_by_hand():
    image = np.zeros((4, 6))
    image[0, 1], image[0, 5] = 3, 1
    found = of(image)
    assert found["intensity"] == 4
    assert (found["centroid_row"], found["centroid_column"]) == (-1.5, -0.5)
    assert found["width"] == pytest.approx(0.75 * 1 + 0.25 * 3)
    assert (found["moment_row"], found["moment_column"], found["moment_cross"]) == (0, 3, 0)
    assert found["lit_pixels"] == 2
    assert (found["brightest_share"], found["hardest_5_share"]) == (0.75, 1)
    assert found["dispersion"] == pytest.approx(np.sqrt(0.75**2 + 0.25**2))
    assert found["entropy"] == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))


@pytest.mark.parametrize("nothing", [0.0, -1.0, np.nan, np.inf])
def test_an_image_without_intensity_has_nothing(nothing):
    assert set(of(np.full((5, 5, 1), nothing)).values()) == {0}


def test_scale_changes_the_intensity_only_and_a_move_the_centroid_only():
    image = np.zeros((9, 9))
    image[2:5, 3:6] = np.random.default_rng(0).uniform(0.1, 1, (3, 3))
    first, brighter, moved = of(image), of(3 * image), of(np.roll(image, (2, 1), (0, 1)))
    for name, value in first.items():
        assert brighter[name] == pytest.approx(3 * value if name == "intensity" else value, rel=1e-5, abs=1e-6)
        by = {"centroid_row": 2, "centroid_column": 1}.get(name, 0)
        assert moved[name] == pytest.approx(value + by, rel=1e-5, abs=1e-6)


def test_colours_have_their_shares():
    image = np.zeros((3, 3, 3))
    image[1, 1] = (1, 2, 5)
    found = of(image)
    assert (found["channel_1_share"], found["channel_2_share"]) == (0.125, 0.25)
    assert "channel_3_share" not in found
    values, names = image_observables.of(np.zeros((0, 4, 4, 1)))
    assert values.shape == (0, len(names))
