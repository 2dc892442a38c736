"""Figures of images: the averages are numpy's, mistakes are mistakes, occlusion finds where a model looks."""

import json
from dataclasses import replace

import numpy as np
import pytest

from automl_phys import figures, image_figures
from automl_phys.exhibits import Figure
from automl_phys.table_problem import Rows
from automl_phys.values import to_json

CLASSES = ("qcd", "top", "w")
rng = np.random.default_rng(3)
BYTES = rng.integers(0, 256, (90, 10, 8, 1)).astype(np.uint8)
CODES = np.arange(90, dtype=np.int32) % 3
WEIGHT = rng.uniform(0.2, 2.0, 90).astype(np.float32)


def rows(images=BYTES, target=CODES, weight=WEIGHT, **more):
    n = len(images)
    return Rows(np.zeros((n, 0), np.float32), np.zeros((n, 0), np.int32), target[:n], weight[:n], images=images, **more)


def jets(n=400, seed=5):
    """Sparse, non-negative, over many decades; a class is where most of the light is."""
    made = np.random.default_rng(seed)
    images = made.exponential(size=(n, 12, 12, 1)) ** 6 * (made.random((n, 12, 12, 1)) < 0.1) * 1e-3
    codes = (np.arange(n) % 2).astype(np.int32)
    images[np.arange(n), 3 + 5 * codes, 6] += 1.0
    return rows(images.astype(np.float32), codes, np.ones(n, np.float32))


def pixels(picture):
    return np.array(picture.values).reshape(picture.height, picture.width, *([3] if picture.colour else []))


def check(figure):
    """Drawable, finite, small, and the same after JSON."""
    assert isinstance(figure, Figure)
    assert (figure.kind, figure.section) == ("pictures", "Images")
    assert figure.caption
    assert json.dumps(to_json(figure), allow_nan=False)
    for picture in figure.pictures:
        assert np.isfinite(picture.values).all()
        assert len(picture.values) == picture.height * picture.width * (3 if picture.colour else 1)
        assert all(float(f"{value:.4g}") == value for value in picture.values)
    assert figures.svg(figure).startswith("<svg")
    return figure


# ---------------------------------------------------------------- pixels

@pytest.mark.parametrize(("shape", "most", "small"), [((64, 64), 64, (64, 64)), ((65, 64), 64, (33, 32)), ((300, 20), 64, (60, 4)), ((1, 1), 64, (1, 1)), ((7, 5), 3, (3, 2))])
def test_large_images_shrink_to_block_means(shape, most, small):
    images = np.random.default_rng(1).random((3, *shape, 2)).astype(np.float32)
    found = image_figures.shrunk(images, most)
    assert found.shape == (3, *small, 2)
    assert found.dtype == np.float32
    side = -(-max(shape) // most)
    np.testing.assert_allclose(found[1, 0, 0], images[1, :side, :side].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found[2, -1, -1], images[2, (small[0] - 1) * side:, (small[1] - 1) * side:].mean(axis=(0, 1)), rtol=1e-5)


def test_three_channels_are_colours_and_others_their_mean():
    coloured = check(image_figures.averages(rows(np.repeat(BYTES, 3, axis=3)), CLASSES)[0])
    assert coloured.shade is None
    mean = np.average(BYTES[CODES == 0, ..., 0], axis=0, weights=WEIGHT[CODES == 0]) / 255
    np.testing.assert_allclose(pixels(coloured.pictures[0]), np.repeat(mean[..., None], 3, axis=2), rtol=1e-3)
    floats = np.random.default_rng(2).normal(100, 50, (90, 10, 8, 3)).astype(np.float32)
    found = np.stack([pixels(p) for p in check(image_figures.averages(rows(floats), CLASSES)[0]).pictures])
    assert (found.min(), found.max()) == (0, 1)
    assert 0.005 < (found == 0).mean() < 0.015
    two = check(image_figures.averages(rows(floats[..., :2]), CLASSES)[0])
    np.testing.assert_allclose(pixels(two.pictures[1]), np.average(floats[CODES == 1, ..., :2].mean(axis=3), axis=0, weights=WEIGHT[CODES == 1]), rtol=1e-3)


# ---------------------------------------------------------------- the data

def test_averages_are_the_weighted_means_of_train_rows_whatever_the_blocks(monkeypatch):
    (figure,) = image_figures.averages(rows(), CLASSES)
    assert [picture.title for picture in check(figure).pictures] == list(CLASSES)
    for code, picture in enumerate(figure.pictures):
        own = np.flatnonzero(code == CODES)
        expected = np.average(BYTES[own, ..., 0], axis=0, weights=WEIGHT[own])
        np.testing.assert_allclose(pixels(picture), expected, rtol=1e-3)
    monkeypatch.setattr(image_figures, "BLOCK_NUMBERS", 7 * 80)
    assert image_figures.averages(rows(), CLASSES) == (figure,)
    np.testing.assert_allclose(image_figures.mean_image(rows()), np.average(BYTES, axis=0, weights=WEIGHT))


def test_a_weight_of_two_is_the_row_twice():
    twice = np.concatenate([np.arange(90), [4]])
    heavy = np.ones(90, np.float32)
    heavy[4] = 2
    one = image_figures.averages(rows(weight=heavy), CLASSES)[0]
    other = image_figures.averages(rows(BYTES[twice], CODES[twice], np.ones(91, np.float32)), CLASSES)[0]
    assert one.pictures == other.pictures


def test_of_two_classes_the_difference_is_shown_signal_first():
    both = replace(jets(), signal=1)
    average, difference = map(check, image_figures.averages(both, ("qcd", "top")))
    mean = [both.images[both.target == k, ..., 0].mean(axis=0) for k in (0, 1)]
    assert difference.pictures[0].title == "top − qcd"
    np.testing.assert_allclose(pixels(difference.pictures[0]), mean[1] - mean[0], rtol=1e-3, atol=1e-9)
    assert difference.shade.low == -difference.shade.high < 0
    assert average.shade.scale == difference.shade.scale == "log"
    assert average.shade.low == pytest.approx(average.shade.high * 1e-4)


def test_shades_are_logarithmic_only_for_what_is_sparse_or_deep():
    def scale(images):
        return image_figures.averages(rows(np.asarray(images, np.float32)), CLASSES)[0].shade.scale

    made = np.random.default_rng(4)
    assert scale(made.random((90, 10, 8, 1))) == "linear"
    assert scale(made.random((90, 10, 8, 1)) ** 12) == "log"
    assert scale(made.normal(size=(90, 10, 8, 1)) ** 9) == "linear"  # negative pixels have no logarithm
    strokes = np.zeros((90, 10, 8, 1))
    strokes[:, 4:6, 1:3] = made.random((90, 2, 2, 1))
    assert scale(strokes) == "linear"
    hits = np.zeros((900, 10, 8, 1))  # of 0 and 1, with a beam spot: their means are deep, though no image is
    hits[np.arange(900), made.integers(0, 10, 900), made.integers(0, 8, 900)] = 1
    hits[:, 5, 5] = 1
    many = rows(hits.astype(np.float32), np.zeros(900, np.int32), np.ones(900, np.float32))
    assert image_figures.averages(many, ("hit",))[0].shade.scale == "linear"
    hits[made.random(900) < 0.5, :, :5] = 0
    hits[100:, :, 6:] = 0
    assert image_figures.averages(replace(many, images=hits.astype(np.float32)), ("hit",))[0].shade.scale == "log"
    assert image_figures.averages(rows((BYTES > 250).astype(np.uint8) * BYTES), CLASSES)[0].shade.scale == "linear"


@pytest.mark.parametrize("value", [0.0, 0.7])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_constant_images(value, channels):
    same = rows(np.full((90, 5, 4, channels), value, np.float32))
    for figure in image_figures.averages(same, CLASSES):
        check(figure)
        assert len({v for p in figure.pictures for v in p.values}) == 1
    check(image_figures.mistakes(same, np.full((90, 3), 1 / 3), CLASSES))
    check(image_figures.occlusion(same, lambda asked: np.full((len(asked), 3), 1 / 3), CLASSES, np.zeros((5, 4, channels))))


def test_a_class_without_rows_is_left_out_and_so_is_all_without_any():
    no_top = CODES != 1
    figure = check(image_figures.averages(rows(BYTES[no_top], CODES[no_top], WEIGHT[no_top]), CLASSES)[0])
    assert [p.title for p in figure.pictures] == ["qcd", "w"]
    assert image_figures.averages(rows(BYTES[:0]), CLASSES) == ()
    assert image_figures.averages_by_amount(rows(BYTES[:0], np.zeros((0, 1))), "pt") is None
    assert not image_figures.mean_image(rows(BYTES[:0])).any()


def test_weights_that_add_up_to_nothing_give_way_to_those_to_fit_with():
    signed = np.full(90, 0.5, np.float32)
    signed[CODES == 1] = np.where(np.arange(30) % 2, 1, -1)
    figure = image_figures.averages(rows(weight=signed, unsigned=np.abs(signed)), CLASSES)[0]
    np.testing.assert_allclose(pixels(check(figure).pictures[1]), BYTES[CODES == 1, ..., 0].mean(axis=0), rtol=1e-3)


def test_many_classes_show_the_first_ones():
    figure = check(image_figures.averages(rows(target=np.arange(90, dtype=np.int32) % 30), [str(k) for k in range(30)])[0])
    assert [p.title for p in figure.pictures] == [str(k) for k in range(12)]
    assert "12 of 30" in figure.caption


def test_averages_in_ranges_of_equal_weight():
    amount = np.random.default_rng(8).exponential(100, (90, 2)).astype(np.float32)
    figure = check(image_figures.averages_by_amount(rows(target=amount, weight=np.ones(90, np.float32)), "pt"))
    order = np.argsort(amount[:, 0])
    assert len(figure.pictures) == 4
    for quarter, picture in zip(np.array_split(order, 4), figure.pictures, strict=True):
        assert pixels(picture).mean() == pytest.approx(BYTES[quarter].mean(), rel=0.02)
        low, high = map(float, picture.title.split(" to "))
        assert (amount[quarter, 0] > low * 0.98).all()
        assert (amount[quarter[:-1], 0] < high * 1.02).all()
    same = check(image_figures.averages_by_amount(rows(target=np.full((90, 1), 7.0)), "pt"))
    assert [p.title for p in same.pictures] == ["7"]


# ---------------------------------------------------------------- wrong predictions

def test_mistakes_are_wrong_and_the_surest_first():
    probabilities = np.random.default_rng(6).dirichlet(np.ones(3), 90)
    figure = check(image_figures.mistakes(rows(), probabilities, CLASSES))
    taken, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = sorted((i for i in range(90) if taken[i] != CODES[i]), key=lambda i: -sure[i])[:12]
    assert [p.title for p in figure.pictures] == [f"{CLASSES[CODES[i]]}, taken for {CLASSES[taken[i]]} ({sure[i]:.2f})" for i in wrong]
    for i, picture in zip(wrong, figure.pictures, strict=True):
        np.testing.assert_array_equal(pixels(picture), BYTES[i, ..., 0])
    assert (figure.shade.low, figure.shade.high) == (0, max(max(p.values) for p in figure.pictures))


def test_nothing_wrong_gives_no_figure_and_one_mistake_one_picture():
    probabilities = np.eye(3)[CODES]
    assert image_figures.mistakes(rows(), probabilities, CLASSES) is None
    probabilities[5] = np.roll(probabilities[5], 1)
    (picture,) = check(image_figures.mistakes(rows(), probabilities, CLASSES)).pictures
    assert picture.title == "w, taken for qcd (1.00)"


def test_the_largest_residuals_come_first():
    true = np.random.default_rng(7).normal(size=(90, 2))
    found = np.stack([true + np.random.default_rng(9).normal(size=(90, 2)), np.ones((90, 2))], axis=2)
    figure = check(image_figures.largest_residuals(rows(target=true), found, "pT [GeV]", count=5))
    worst = np.argsort(-np.abs(found[:, 0, 0] - true[:, 0]))[:5]
    assert [p.title for p in figure.pictures] == [f"true {true[i, 0]:.3g}, predicted {found[i, 0, 0]:.3g}" for i in worst]
    np.testing.assert_array_equal(pixels(figure.pictures[0]), BYTES[worst[0], ..., 0])
    assert figure.name == "image-residuals-pt-gev"


# ---------------------------------------------------------------- what the model looks at

def corner(asked):
    """p(top) is large where the lower left corner is bright; nothing else matters."""
    score = asked.images[:, -3:, :3].astype(float).mean(axis=(1, 2, 3))
    top = 1 / (1 + np.exp(-20 * (score - 0.5)))
    return np.stack([1 - top, top], axis=1)


def bright(seed=1, n=200, shape=(24, 20)):
    made = np.random.default_rng(seed)
    images = made.random((n, *shape, 1)).astype(np.float32)
    codes = (np.arange(n) % 2).astype(np.int32)
    images[:, -3:, :3] = (codes * 0.9 + 0.05)[:, None, None, None]
    return rows(images, codes, np.ones(n, np.float32))


def test_occlusion_finds_the_corner_that_a_model_looks_at():
    some = bright()
    figure = check(image_figures.occlusion(some, corner, ("qcd", "top"), image_figures.mean_image(some)))
    assert [p.title for p in figure.pictures] == ["qcd", "top"]
    assert figure.shade.low == -figure.shade.high
    for picture in figure.pictures:
        values = pixels(picture)
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert row >= 21
        assert column <= 2
        assert values.max() > 0.2
        assert np.abs(values[:18]).max() < 1e-6
        assert np.abs(values[:, 6:]).max() < 1e-6


def test_occlusion_of_bytes_of_amounts_and_of_a_single_pixel():
    some = bright()
    as_bytes = replace(some, images=(some.images * 255).astype(np.uint8))
    figure = check(image_figures.occlusion(as_bytes, lambda asked: corner(replace(asked, images=asked.images / 255)), ("qcd", "top"), image_figures.mean_image(as_bytes)))
    assert pixels(figure.pictures[1]).argmax() // 20 >= 21
    amounts = replace(some, target=some.target[:, None].astype(np.float32))

    def amount(asked):
        return np.stack([-corner(asked)[:, 1:], np.ones((len(asked), 1))], axis=2)

    (picture,) = check(image_figures.occlusion(amounts, amount, (), image_figures.mean_image(some), name="pT [GeV]")).pictures
    assert pixels(picture).min() == 0
    assert pixels(picture).argmax() // 20 >= 21
    tiny = rows(np.ones((90, 1, 1, 1), np.float32))
    check(image_figures.occlusion(tiny, lambda asked: np.repeat(asked.images.reshape(-1, 1), 3, axis=1), CLASSES, np.zeros((1, 1, 1))))
    assert image_figures.occlusion(rows(BYTES[:0]), amount, CLASSES, np.zeros((10, 8, 1))) is None


@pytest.mark.parametrize(("classes", "side"), [(2, 24), (3, 18), (10, 24), (40, 40), (2, 8)])
def test_occlusion_asks_for_a_bounded_number_of_images(classes, side, monkeypatch):
    asked_for, n = [], 120 * classes
    some = rows(np.zeros((n, side, side, 1), np.float32), (np.arange(n) % classes).astype(np.int32), np.ones(n, np.float32))

    def predict(asked):
        assert len(asked.images) == len(asked.target) == len(asked) <= 2048
        asked_for.append(len(asked))
        return np.full((len(asked), classes), 1 / classes)

    check(image_figures.occlusion(some, predict, [str(k) for k in range(classes)], np.zeros((side, side, 1))))
    assert 10_000 < sum(asked_for) <= 20_000 or side == 8
    assert asked_for[0] >= min(classes, 12) * 40
    asked_for.clear()
    monkeypatch.setattr(image_figures, "BLOCK_NUMBERS", 100 * side * side)
    image_figures.occlusion(some, predict, [str(k) for k in range(classes)], np.zeros((side, side, 1)), most_rows=3)
    assert max(asked_for) <= 100
    assert asked_for[0] == min(classes, 12) * 3


def test_occlusion_depends_on_its_seed_only_and_leaves_the_rows_alone():
    some = bright()
    some.images[:] = np.random.default_rng(2).random(some.images.shape)
    before, fill = some.images.copy(), image_figures.mean_image(some)
    made = [image_figures.occlusion(some, corner, ("qcd", "top"), fill, most_rows=7, seed=seed) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    np.testing.assert_array_equal(some.images, before)


def test_patches_cover_every_pixel():
    for height, width in ((1, 1), (2, 9), (24, 24), (65, 31)):
        for overlapping in (True, False):
            covered = np.zeros((height, width), int)
            for window in image_figures._windows(height, width, overlapping):
                covered[window] += 1
            assert covered.min() >= 1


def test_filters_are_shown_about_zero_the_strongest_of_many():
    kernels = np.random.default_rng(10).normal(size=(5, 3, 2, 40))
    kernels[..., 7] *= 1e-3
    figure = check(image_figures.filters(kernels, "cnn, trial 3"))
    assert len(figure.pictures) == 32
    assert "8" not in {p.title for p in figure.pictures}
    assert figure.shade.low == -figure.shade.high
    first = figure.pictures[0]
    np.testing.assert_allclose(pixels(first), kernels[..., int(first.title) - 1].mean(axis=2), rtol=1e-3)
    assert figure.name == "image-filters-cnn-trial-3"
    check(image_figures.filters(np.zeros((1, 1, 3, 1)), "cnn"))


def test_rows_without_images_are_a_mistake_of_ours():
    with pytest.raises(ValueError, match="no images"):
        image_figures.averages(replace(rows(), images=None), CLASSES)
