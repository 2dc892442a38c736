"""The game of generator and critic learns what is there, honours weights and conditions, and keeps what was best."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from automl_phys import adversarial, keras_fit
from automl_phys.families import gan
from automl_phys.generating import Part

SIZES = {"units": 32, "layers": 1, "noise": 4}
SMALLEST = {**SIZES, "layers": 0}
"""Where nothing has to be learnt: it is compiled in half the time."""
EPOCHS = 200


def part(rows: int, seed: int = 0, condition: bool = False, weight: bool = False) -> Part:
    """Two correlated normal variates; with a condition, two classes that lie two apart; with weights, the events of
    which the first variate is positive are as good as alone."""
    rng = np.random.default_rng(seed)
    z = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], rows)
    kind = np.eye(2, dtype=np.float32)[np.arange(rows) % 2] if condition else np.zeros((rows, 0), np.float32)
    if condition:
        z += 2 * kind[:, :1] - 1
    weights = np.where(z[:, 0] > 0, 1.98, 0.02) if weight else np.ones(rows)
    return Part(z.astype(np.float32), kind, weights.astype(np.float32))


def played(train: Part, epochs: int, judge: Any = lambda _epoch, _sync: None, sizes: dict[str, int] = SIZES
           ) -> tuple[gan.Gan, adversarial.Course]:
    keras_fit.load_keras().utils.set_random_seed(3)
    generator, critic = gan._networks(sizes, SimpleNamespace(train=train))  # type: ignore[arg-type]
    game = adversarial.Game(epochs, 128, 2, 2e-3, sizes["noise"])
    course = adversarial.train(generator, critic, train, train, game, 3, judge)
    return gan.Gan(generator), course


def none(rows: int) -> Any:
    return np.zeros((rows, 0), np.float32)


def test_it_learns_what_is_there_under_each_condition_and_the_history_tells_how() -> None:
    model, course = played(part(2048, condition=True), EPOCHS)
    made = [model.draw(np.tile(np.eye(2, dtype=np.float32)[kind], (2000, 1)), 1) for kind in (0, 1)]
    assert made[0].dtype == np.float32
    assert made[0].mean() - made[1].mean() == pytest.approx(2, abs=0.4)
    for events in made:
        assert np.corrcoef(events.T)[0, 1] == pytest.approx(0.9, abs=0.1)
    assert course.best_epoch == EPOCHS, "without any look the last is kept"
    assert [step["step"] for step in course.history] == list(range(1, EPOCHS + 1))
    assert set(course.history[0]) == {
        "step", "train_loss", "valid_loss", "generator_loss", "distance", "penalty", "diversity"}
    last = course.history[-1]
    assert last["diversity"] == pytest.approx(1, abs=0.25)
    assert last["train_loss"] == pytest.approx(adversarial.PENALTY * last["penalty"] - last["distance"], abs=1e-4)


def test_events_are_as_frequent_as_their_weights() -> None:
    model, _ = played(part(2048, weight=True), EPOCHS // 2)
    assert (model.draw(none(2000), 1)[:, 0] > 0).mean() > 0.75, "half without weights"


def test_rows_are_drawn_by_weight_each_in_turn() -> None:
    import jax

    key = jax.random.key(1)
    counts = np.bincount(np.asarray(adversarial._drawn(key, np.array([1, 0, 2, 1], np.float32), 400)), minlength=4)
    assert np.abs(counts - [100, 0, 200, 100]).max() <= 1
    once = np.asarray(adversarial._drawn(key, np.ones(500, np.float32), 500))
    assert len(np.unique(once)) > 495, "all of them, but for rounding"
    assert not np.array_equal(once, np.asarray(adversarial._drawn(jax.random.key(2), np.ones(500, np.float32), 500)))


def test_the_best_look_is_kept_and_a_seed_makes_it_the_same() -> None:
    kept: list[Any] = []
    values = {2: 0.9, 3: 0.6, 5: 0.7}

    def judge(epoch: int, sync: Callable[[], None]) -> float | None:
        sync()
        kept.append(epoch)
        return values.get(epoch)

    model, course = played(part(300), 5, judge, SMALLEST)
    assert kept == [1, 2, 3, 4, 5]
    assert course.best_epoch == 3
    assert np.array_equal(played(part(300), 5, judge, SMALLEST)[0].draw(none(64), 1), model.draw(none(64), 1))


def test_a_loss_that_is_no_number_is_told_with_its_epoch() -> None:
    rows = part(300)
    rows.z[7] = np.nan
    with pytest.raises(FloatingPointError, match=r"no number in epoch 1; a lower learning rate or more critic_steps"):
        played(rows, 3, sizes=SMALLEST)


def test_the_figure_tells_which_epoch_was_kept() -> None:
    keys = ("train_loss", "valid_loss", "generator_loss", "distance", "penalty", "diversity")
    course = adversarial.Course(2, tuple({"step": float(n), **dict.fromkeys(keys, 1.0 / n)} for n in (1, 2, 3)))
    figure = gan._played(course)
    assert "epoch 2" in figure.caption
    assert {"loss of the critic", "loss of the generator"} <= {series.name for series in figure.series}
    assert all(series.x == (1.0, 2.0, 3.0) for series in figure.series)
