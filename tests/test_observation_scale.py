"""The scale of observations: the formula, what Stable-Baselines3 learnt, and files without code in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from automl_phys.observation_scale import PLAIN, Normalizer


def test_batches_give_the_moments_of_all_together() -> None:
    rows = np.random.default_rng(0).normal(3.0, 2.0, (100, 4))
    scale = Normalizer.empty((4,))
    for part in (rows[:1], rows[1:30], rows[30:30], rows[30:]):
        scale = scale.after(part)
    assert np.allclose(scale.mean[PLAIN], rows.mean(axis=0))
    assert np.allclose(scale.variance[PLAIN], rows.var(axis=0))
    assert scale.count == 100
    scaled = scale(rows)
    assert scaled.dtype == np.float32
    assert np.allclose(scaled.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(scaled.std(axis=0), 1, atol=1e-6)


def test_what_is_far_off_is_clipped() -> None:
    scale = Normalizer({PLAIN: np.zeros(2)}, {PLAIN: np.array([1.0, 4.0])}, 10.0, clip=3.0)
    assert np.allclose(scale(np.array([100.0, 2.0])), [3.0, 1.0])


def test_a_file_gives_it_back_and_holds_no_code(tmp_path: Path) -> None:
    scale = Normalizer({"a": np.ones(2), "b": np.zeros((2, 2))}, {"a": np.full(2, 3.0), "b": np.ones((2, 2))}, 7.0, 5.0)
    scale.save(tmp_path / "scale.npz")
    again = Normalizer.load(tmp_path / "scale.npz")
    assert (again.count, again.clip, again.epsilon) == (7.0, 5.0, 1e-8)
    assert all(np.array_equal(again.mean[key], scale.mean[key]) for key in ("a", "b"))
    assert all(np.array_equal(again.variance[key], scale.variance[key]) for key in ("a", "b"))
    np.savez(tmp_path / "bad.npz", settings=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        Normalizer.load(tmp_path / "bad.npz")


def test_parts_of_a_mapping_that_were_not_learnt_stay() -> None:
    scale = Normalizer({"a": np.ones(1)}, {"a": np.ones(1)}, 7.0)
    seen = scale({"a": np.array([2.0]), "b": np.array([2.0])})
    assert seen["a"] == pytest.approx(1.0)
    assert seen["b"] == 2.0


def test_it_scales_as_stable_baselines_does() -> None:
    pytest.importorskip("gymnasium")
    vec_env = pytest.importorskip("stable_baselines3.common.vec_env")
    from automl_phys import environments

    learnt = vec_env.VecNormalize(vec_env.DummyVecEnv([lambda: environments.make(environments.Spec("Pendulum-v1"))]),
                                  clip_obs=2.0)
    learnt.seed(0)
    learnt.reset()
    for _ in range(50):
        learnt.step(np.array([[1.0]]))
    scale = Normalizer.of_vec(learnt)
    raw = learnt.unnormalize_obs(np.array([[0.3, -0.5, 1.5]]))
    raw[0, 2] = 1e3
    assert np.allclose(scale(raw), learnt.normalize_obs(raw), atol=1e-6)
    assert scale(raw)[0, 2] == 2.0
    with pytest.raises(ValueError, match="not normalised"):
        Normalizer.of_vec(vec_env.VecNormalize(learnt.venv, norm_obs=False))
