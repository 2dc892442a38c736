"""What detectors see of events, and how raw scores become p-values."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from automl_phys import detecting, event_folds, principal_axes
from automl_phys.detecting import Detector, Frame, Tail
from automl_phys.table_problem import Rows


def rows(numbers: Any, categories: Any = None, images: Any = None, weight: Any = None) -> Rows:
    numbers = np.asarray(numbers, np.float32)
    n = len(numbers)
    return Rows(numbers, np.zeros((n, 0), np.int32) if categories is None else np.asarray(categories, np.int32),
                np.zeros(n, np.int32), np.ones(n, np.float32) if weight is None else np.asarray(weight, np.float32),
                images=images)


def saved(frame: Frame, folder: Path) -> Frame:
    frame.save(folder)
    return detecting.load_frame(folder)


def test_numbers_become_normal_variates_and_go_on_beyond_the_outermost_event() -> None:
    rng = np.random.default_rng(0)
    frame = Frame.of(rows(np.exp(rng.normal(size=(4000, 1)))), "normal", 0)
    columns = frame(rows(np.exp(rng.normal(size=(4000, 1)))))
    assert columns.dtype == np.float32
    assert columns.mean() == pytest.approx(0, abs=0.08)
    assert columns.std() == pytest.approx(1, abs=0.08)
    far = frame(rows([[-1.0], [-0.5], [60.0], [1e3], [1e6], [1e30]]))[:, 0]
    assert (np.diff(far) > 0).all(), "how far out an event is must be seen"
    assert np.isfinite(far).all()


def test_standard_columns_have_robust_widths() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(3, 2, (4000, 1))
    numbers[:100] = 1e6
    columns = Frame.of(rows(numbers), "standard", 0)(rows(numbers))
    assert np.median(columns) == pytest.approx(0, abs=0.05)
    assert np.diff(np.quantile(columns, (0.16, 0.84)))[0] == pytest.approx(2, rel=0.1)
    assert columns.max() < 50


@pytest.mark.parametrize("scaling", ["normal", "standard"])
def test_what_does_not_vary_is_left_out_and_new_levels_are_none(scaling: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = np.hstack([rng.normal(size=(500, 2)), np.ones((500, 1))])
    some = rows(numbers, rng.integers(1, 4, (500, 1)))
    frame = saved(Frame.of(some, scaling, 0), tmp_path)
    assert frame(some).shape == (500, 5)
    new = frame(rows(numbers[:2], [[0], [2]]))
    assert (new[0, 2:] < 0).all()
    assert (new[1, 2:] > 0).tolist() == [False, True, False]
    assert np.array_equal(frame(some)[7:9], frame(some.take(slice(7, 9))))


def test_pixels_share_a_width_and_many_columns_become_components(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (300, 6, 6, 1)).astype(np.float32)
    images[:, 0] = 0
    images[:, 1] *= 0.1
    some = rows(np.zeros((300, 0)), images=images)
    columns = Frame.of(some, "normal", 0)(some)
    assert columns.shape == (300, 30)
    assert columns[:, :6].std() == pytest.approx(0.1 * columns[:, 6:].std(), rel=0.2)
    frame = saved(Frame.of(some, "normal", 5), tmp_path)
    found = frame(some)
    assert found.shape == (300, 5)
    other = np.where(np.arange(6) % 2, 3.0, -3.0).astype(np.float32)[None, None, :, None] + images
    assert frame(rows(np.zeros((300, 0)), images=other))[:, -1].min() > found[:, -1].max(), "off the axes"


def test_principal_axes_heed_weights_and_point_one_way() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2000, 3)) * [3, 1, 0.1]
    far = np.full((50, 3), 100.0)
    found = principal_axes.of(np.vstack([values, far]), np.repeat([1.0, 0.0], [2000, 50]))
    assert np.sqrt(found.variance) == pytest.approx([3, 1, 0.1], rel=0.1)
    assert np.allclose(found.axes, np.eye(3), atol=0.05)


def test_training_events_are_drawn_as_their_weights_say() -> None:
    train = rows(np.arange(1000.0)[:, None], weight=np.repeat([0.0, 1.0, 3.0], [500, 250, 250]))
    problem: Any = SimpleNamespace(train=train, valid=train, held_out=train, normal=np.ones(1000, np.bool_))
    given = detecting.given(problem)
    drawn = given.drawn(10_000, 1)
    assert len(drawn) == 1000
    assert (drawn >= given.train[500]).all()
    assert (drawn >= given.train[750]).mean() == pytest.approx(0.75, abs=0.05)
    assert np.array_equal(given.drawn(10, 1), given.drawn(10, 1))


def test_scores_are_p_values_of_normal_events() -> None:
    rng = np.random.default_rng(0)
    tail = Tail.of(rng.normal(size=20_000), np.ones(20_000))
    for level, raw in ((0.30103, 0.0), (1.0, 1.2816), (2.0, 2.3263), (3.0, 3.0902)):
        assert tail(np.array([raw]))[0] == pytest.approx(level, abs=0.06)
    halves = Tail.of(np.array([0.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0]))
    assert 10.0 ** -halves(np.array([0.0, 1.0, 2.0])) == pytest.approx([0.75, 0.375, 0.125])


@generated(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=300), st.integers(0, 2**31))
def test_scores_rise_with_raw_scores(raw: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tail = Tail.of(np.array(raw), rng.integers(0, 3, len(raw)).astype(np.float32))
    assert (np.diff(tail.raw) > 0).all()
    assert (np.diff(tail.level) > 0).all()
    assert (tail.slope > 0).all()
    spread = max(1.0, float(np.ptp(raw)))
    asked = np.sort(np.concatenate([raw, [min(raw) - spread, max(raw) + spread, np.inf, np.nan]]))
    assert (np.diff(tail(asked).astype(np.float64)) >= 0).all()


def test_few_events_say_nothing_of_what_is_rarer_than_they() -> None:
    tail = Tail.of(np.random.default_rng(0).exponential(size=500) / np.log(10), np.ones(500)).cut(0.02)
    assert tail.level[-1] <= -np.log10(0.02)
    assert np.diff(tail(np.array([3.0, 4.0])))[0] == pytest.approx(1)


def test_errors_are_of_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    some = rows(rng.normal(size=(300, 2)), rng.integers(1, 4, (300, 1)))

    class Sum:
        def score(self, columns: Any) -> Any:
            return columns.sum(axis=1)

        def errors(self, columns: Any) -> Any:
            return np.tile([1.0, 2.0, 10.0, 20.0, 30.0], (len(columns), 1))

        def save(self, folder: Path) -> None:
            folder.mkdir()

    detector = Detector(Frame.of(some, "normal", 0), Sum(), Tail.of(rng.normal(size=50), np.ones(50)))
    found = detector.errors(some)
    assert found is not None
    assert found[0].tolist() == [1, 2, 60]
    detector.save(tmp_path / "model")
    again = detecting.load(tmp_path / "model", lambda _: Sum())
    assert np.array_equal(again.predict(some), detector.predict(some))


def test_folds_are_by_what_events_are() -> None:
    rng = np.random.default_rng(0)
    some = rows(rng.normal(size=(5000, 3)), rng.integers(0, 3, (5000, 1)))
    fold = event_folds.of(some, 5)
    assert np.bincount(fold, minlength=5) == pytest.approx(np.full(5, 1000), abs=120)
    order = rng.permutation(5000)
    assert np.array_equal(event_folds.of(some.take(order), 5), fold[order])
    zeros = event_folds.of(rows([[0.0], [-0.0], [np.nan], [np.nan]]), 1000)
    assert zeros[0] == zeros[1]
    assert zeros[2] == zeros[3]
    images = rng.integers(0, 255, (200, 4, 4, 1)).astype(np.uint8)
    assert len(np.unique(event_folds.of(rows(np.zeros((200, 0)), images=images), 5))) == 5
