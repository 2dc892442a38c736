"""The flow is a density: invertible, normalised, with the right Jacobian; and it learns moons and conditions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys import keras_fit
from automl_phys.families import flow
from automl_phys.tasks import generate
from automl_phys.trials import Job

BINS = pytest.mark.parametrize("bins", [8, 0], ids=["spline", "affine"])


def couplings(columns: int, given: int, bins: int) -> flow.Flow:
    """Two couplings with random weights, so that the map is far from the identity."""
    keras = keras_fit.load_keras()
    from automl_phys.coupling_layers import Couplings

    inputs = [keras.Input((columns,)), *([keras.Input((given,))] if given else [])]
    network = keras.Model(inputs, Couplings(2, bins, 8, 1, name="couplings")(*inputs))
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(0, 0.2, w.shape).astype(np.float32) for w in network.get_weights()])
    return flow.Flow(network)


def events(rows: int, columns: int, given: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return (1.5 * rng.standard_normal((rows, columns), np.float32), rng.standard_normal((rows, given), np.float32))


@BINS
@pytest.mark.parametrize(("columns", "given"), [(1, 2), (5, 3)])
def test_the_map_is_inverted_exactly(columns: int, given: int, bins: int) -> None:
    model, (z, condition) = couplings(columns, given, bins), events(500, columns, given)
    z[0] = 7  # where splines are the identity
    base = to_base(model, z, condition)
    assert np.abs(base - z).max() > 0.1
    assert np.abs(model._back(base, condition) - z).max() < 1e-4


def to_base(model: flow.Flow, z: Any, condition: Any) -> Any:
    import jax

    forward = jax.jit(lambda *given: model._couplings.to_base(*given)[0])
    return np.asarray(forward(z, *([condition] if condition.shape[1] else [])))


@BINS
def test_the_volume_is_the_determinant_of_the_jacobian(bins: int) -> None:
    import jax

    layer, (z, condition) = couplings(3, 2, bins)._couplings, events(40, 3, 2)
    _, volume = jax.jit(layer.to_base)(z, condition)
    jacobians = jax.jit(jax.vmap(jax.jacfwd(lambda x, c: layer.to_base(x[None], c[None])[0][0])))(z, condition)
    signs, logs = np.linalg.slogdet(np.asarray(jacobians, np.float64))
    assert (signs > 0).all()
    assert np.asarray(volume) == pytest.approx(logs, abs=2e-3)


@BINS
@pytest.mark.parametrize("given", [0, 1])
def test_densities_integrate_to_one(bins: int, given: int) -> None:
    model = couplings(2, given, bins)
    assert mass(model, np.full(given, 0.7, np.float32)) == pytest.approx(1, abs=0.01)


def mass(model: flow.Flow, condition: Any) -> float:
    axis, step = np.linspace(-12, 12, 601, dtype=np.float32, retstep=True)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    density = np.exp(model.log_density(grid, np.tile(condition, (len(grid), 1))).astype(np.float64))
    return float(density.sum() * step**2)


def test_a_density_of_one_column_integrates_to_one() -> None:
    axis, step = np.linspace(-12, 12, 4001, dtype=np.float32, retstep=True)
    found = couplings(1, 0, 8).log_density(axis[:, None], np.empty((len(axis), 0), np.float32))
    assert found.shape == (4001,)
    assert np.exp(found.astype(np.float64)).sum() * step == pytest.approx(1, abs=0.01)


@BINS
def test_an_untrained_flow_is_the_standard_normal(bins: int) -> None:
    keras = keras_fit.load_keras()
    from automl_phys.coupling_layers import Couplings

    inputs, (z, nothing) = keras.Input((3,)), events(50, 3, 0)
    model = flow.Flow(keras.Model(inputs, Couplings(2, bins, 8, 1, name="couplings")(inputs)))
    expected = -0.5 * (z**2).sum(axis=1) - 1.5 * np.log(2 * np.pi)
    assert model.log_density(z, nothing) == pytest.approx(expected, abs=1e-4)


def test_a_weight_of_two_is_the_event_twice() -> None:
    from automl_phys import latent_networks

    z, condition = events(20, 2, 1)
    twice = np.concatenate([np.arange(20), np.arange(5)])
    said = couplings(2, 1, 0).network([z[twice], condition[twice]])
    losses = np.asarray(latent_networks.head().loss(None, said))
    weight = np.where(np.arange(20) < 5, 2.0, 1.0)
    assert (weight * losses[:20]).sum() == pytest.approx(losses.sum(), rel=1e-5)


def fitted(folder: Path, columns: dict[str, Any], condition: list[str], seed: int = 1, **changed: Any) -> Any:
    """A flow of few couplings, and the prepared table of these columns that it has learnt."""
    parquet.write_table(pa.table(columns), folder / "events.parquet")
    options = {"data": {"path": "events.parquet"}, "generate": {"condition": condition} if condition else {}}
    problem = generate.prepare(generate.Options.model_validate(options), folder, folder / "problem", 0)
    params = {**flow.defaults(problem.facts())[0], "steps": 4, "units": 32, "epochs": 12, "learning_rate": 1e-2,
              **changed}
    job = Job(1, "flow", params, seed, 1, "cpu", "sliced_wasserstein", "minimize", "generate", ".")
    return problem, flow.fit(problem, params, job, lambda step, _made: 1.0 / step)


@pytest.fixture(scope="module")
def moons(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from sklearn.datasets import make_moons

    points, _ = make_moons(5000, noise=0.1, random_state=0)
    return fitted(tmp_path_factory.mktemp("moons"), {"x": points[:, 0], "y": points[:, 1]}, [])


def test_moons_are_learnt(moons: Any) -> None:
    from lightgbm import LGBMClassifier
    from sklearn.metrics import roc_auc_score

    problem, model = moons
    real = problem.layout.events(problem.test)
    made = model.events(np.empty((len(real), 0), np.float32), 5, 0)
    points, label = np.concatenate([real, made]), np.repeat([0, 1], len(real))
    train = np.random.default_rng(0).random(len(points)) < 0.5
    judge = LGBMClassifier(n_estimators=60, num_leaves=15, verbose=-1, n_jobs=1)
    judge.fit(points[train], label[train])
    assert roc_auc_score(label[~train], judge.predict_proba(points[~train])[:, 1]) < 0.6
    assert mass(model.latent, np.empty(0, np.float32)) == pytest.approx(1, abs=0.01)


def test_a_trained_map_is_inverted_too(moons: Any) -> None:
    """What is drawn of a base leads back to it."""
    latent, nothing = moons[1].latent, np.empty((2000, 0), np.float32)
    base = np.random.default_rng(4).standard_normal((2000, 2), np.float32)
    assert np.quantile(np.abs(to_base(latent, latent._back(base, nothing), nothing) - base), 0.999) < 1e-3


def test_draws_have_the_density_that_is_told(moons: Any) -> None:
    """The mean of -log p over draws is the entropy, which the grid gives too."""
    latent = moons[1].latent
    nothing = np.empty((20_000, 0), np.float32)
    logs = latent.log_density(latent.draw(nothing, 3), nothing).astype(np.float64)
    axis, step = np.linspace(-6, 6, 601, dtype=np.float32, retstep=True)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    told = latent.log_density(grid, np.empty((len(grid), 0), np.float32)).astype(np.float64)
    assert -logs.mean() == pytest.approx(-(np.exp(told) * told).sum() * step**2, abs=5 * logs.std() / 20_000**0.5)


def test_the_same_seed_draws_the_same_and_another_seed_others(moons: Any) -> None:
    model, nothing = moons[1], np.empty((100, 0), np.float32)
    first = model.latent.draw(nothing, 7)
    assert first.dtype == np.float32
    assert np.array_equal(first, model.latent.draw(nothing, 7))
    assert not np.array_equal(first, model.latent.draw(nothing, 8))


def test_events_follow_their_condition(tmp_path: Path) -> None:
    """One column that is generated, one that is given."""
    rng = np.random.default_rng(0)
    mass = rng.uniform(0, 10, 3000)
    _, model = fitted(tmp_path, {"mass": mass, "x": rng.normal(size=3000) + 2 * mass}, ["mass"],
                      coupling="affine")
    for given in (2.0, 8.0):
        made = model.events(np.full((4000, 1), given, np.float32), 1, 0)
        assert made.mean() == pytest.approx(2 * given, abs=0.5)
        assert made.std() == pytest.approx(1, abs=0.4)
