"""Every reducer keeps its contract: the same numbers again, save and load, places of new points, named errors."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import placing, registry, space
from automl_phys.contracts import Portrayed, Reducer, Reduction
from automl_phys.errors import DataError
from automl_phys.facts import Facts
from automl_phys.tasks.classify import EXAMPLE as MADE_UP
from automl_phys.trials import Job

REDUCERS = ("pca", "tsne", "umap", "autoencoder")
ROWS, COLUMNS = 200, 6
CUT = 150
"""Points before this row are fitted, the others are new."""


def facts(rows: int, columns: int) -> Facts:
    return Facts("points", {"train": rows}, {"numbers": columns})


def module(name: str) -> Any:
    return registry.load("families", name)


def job(seed: int = 3) -> Job:
    return Job(0, "", {}, seed, 1, "cpu", "validity", "maximize", "reduce+cluster", ".")


def blobs() -> tuple[Any, Any]:
    """Two clouds (200, 6), ten widths apart, and which of them a point is of."""
    rng = np.random.default_rng(0)
    side = rng.integers(0, 2, ROWS)
    points = rng.normal(size=(ROWS, COLUMNS))
    points[:, 0] += 10 * side
    return points.astype(np.float32), side


def params(name: str) -> dict[str, Any]:
    return {**module(name).defaults(facts(CUT, COLUMNS))[0], **({"epochs": 30} if name == "autoencoder" else {})}


@dataclass(frozen=True)
class Case:
    name: str
    reducer: Reducer
    fitted: Reduction
    points: Any
    side: Any


@cache
def case_of(name: str) -> Case:
    points, side = blobs()
    return Case(name, module(name), module(name).fit(points[:CUT], params(name), job()), points, side)


@pytest.fixture(params=REDUCERS)
def case(request: pytest.FixtureRequest) -> Case:
    """A reducer and its fit of the first points, made once for all tests."""
    return case_of(request.param)


def spread(places: Any) -> float:
    return float(np.linalg.norm(places - places.mean(axis=0), axis=1).mean())


# ---------------------------------------------------------------- before a fit

@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize("seen", [facts(40, 2), facts(150, 6), facts(1797, 64), facts(200_000, 20), facts(60_000, 784)],
                         ids=lambda seen: f"{seen.rows['train']}x{seen.sizes['numbers']}")
def test_the_space_contains_the_defaults(name: str, seen: Facts) -> None:
    reducer = module(name)
    assert reducer.skip(seen) is None
    assert 1 <= len(reducer.defaults(seen)) <= 3
    for values in reducer.defaults(seen):
        assert space.inside(values, reducer.space(seen))
    assert all(allowed.text for allowed in reducer.space(seen).values()), "every parameter says what it is"
    assert reducer.space(seen).keys() == reducer.space(MADE_UP).keys()


@pytest.mark.parametrize("name", ["pca", "tsne", "umap"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_no_corner_of_the_space_asks_a_half_of_the_points_for_more_than_there_is(name: str, end: str) -> None:
    """Subsamples are fitted with the same parameters: down to a half there must be neighbours enough."""
    points, _ = blobs()
    corner = {key: allowed.choices[0] if allowed.choices else int(getattr(allowed, end)) if allowed.integer
              else getattr(allowed, end) for key, allowed in module(name).space(facts(80, COLUMNS)).items()}
    embedding = module(name).fit(points[:40], corner, job()).embedding
    assert embedding.shape == (40, corner.get("dimensions", 2))


def test_umap_starts_where_it_is_known_to_be_good() -> None:
    first, second = module("umap").defaults(facts(1797, 64))
    assert first == {"dimensions": 2, "neighbours": 15, "min_distance": 0.0, "metric": "euclidean"}
    assert (second["neighbours"], second["dimensions"]) == (10, 5)


@pytest.mark.parametrize("name", REDUCERS)
def test_what_it_cannot_take_gets_a_reason(name: str) -> None:
    reducer = module(name)
    assert "reduce" in reducer.SOLVES
    assert "environment" in (reducer.skip(Facts("environment", {}, {})) or "")
    one_column = reducer.skip(facts(1000, 1))
    if name == "pca":
        assert one_column is None and reducer.defaults(facts(1000, 1))[0]["dimensions"] == 1
    else:
        assert "two columns" in one_column and "10" in reducer.skip(facts(10, 5))


@pytest.mark.parametrize("name", REDUCERS)
def test_memory_grows_with_the_points(name: str) -> None:
    assert 100 < module(name).memory_mb(facts(100, 5)) < module(name).memory_mb(facts(200_000, 20)) < 8000


# ---------------------------------------------------------------- a fit

def test_the_embedding_keeps_separate_blobs_apart(case: Case) -> None:
    embedding, side = case.fitted.embedding, case.side[:CUT]
    assert embedding.dtype == np.float32 and embedding.shape == (CUT, params(case.name).get("dimensions", 2))
    squares = ((embedding[:, None] - embedding[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    assert (side[squares.argmin(axis=1)] == side).all(), "the nearest point is of the same blob"
    ours = np.linalg.norm(embedding - np.stack([embedding[side == s].mean(axis=0) for s in (0, 1)])[side], axis=1)
    theirs = np.linalg.norm(embedding - np.stack([embedding[side == s].mean(axis=0) for s in (1, 0)])[side], axis=1)
    assert (ours < theirs).all()


def test_new_points_land_among_their_like(case: Case) -> None:
    places, side = case.fitted.place(case.points[CUT:]), case.side[:CUT]
    assert places.dtype == np.float32 and places.shape == (ROWS - CUT, case.fitted.embedding.shape[1])
    centres = np.stack([case.fitted.embedding[side == s].mean(axis=0) for s in (0, 1)])
    nearest = np.linalg.norm(places[:, None] - centres[None], axis=2).argmin(axis=1)
    assert (nearest == case.side[CUT:]).all()
    assert case.fitted.place(case.points[:0]).shape == (0, places.shape[1])


def test_points_of_the_fit_are_placed_near_where_they_are(case: Case) -> None:
    places, embedding = case.fitted.place(case.points[:CUT]), case.fitted.embedding
    assert np.median(np.linalg.norm(places - embedding, axis=1)) < 0.1 * spread(embedding)
    assert all(np.corrcoef(places[:, k], embedding[:, k])[0, 1] > 0.95 for k in range(embedding.shape[1]))


def test_a_point_is_placed_the_same_whatever_comes_with_it(case: Case) -> None:
    together = case.fitted.place(case.points[CUT:])
    alone = np.concatenate([case.fitted.place(case.points[row:row + 1]) for row in range(CUT, CUT + 3)])
    assert np.allclose(alone, together[:3], atol=1e-4 * spread(case.fitted.embedding))


ELSEWHERE = """
import sys
import numpy as np
from pathlib import Path
sys.path.insert(0, "tests/contracts")
import test_reducers as t
name, folder = sys.argv[1], Path(sys.argv[2])
points, _ = t.blobs()
loaded = t.module(name).load(folder)
assert not {"umap", "openTSNE", "keras", "sklearn"} & set(sys.modules), "opening what is saved is quick"
again = t.module(name).fit(points[:t.CUT], t.params(name), t.job())
np.savez(folder / "elsewhere.npz", loaded=loaded.embedding, loaded_places=loaded.place(points[t.CUT:]),
         again=again.embedding, again_places=again.place(points[t.CUT:]))
"""


def test_it_is_the_same_again_here_and_in_another_process(case: Case, tmp_path: Path) -> None:
    """Saved and loaded, or fitted again with the same seed, the numbers are the same to the last bit."""
    places = case.fitted.place(case.points[CUT:])
    case.fitted.save(tmp_path)
    assert {f.suffix for f in tmp_path.iterdir()} <= {".npy", ".npz", ".json", ".keras"}
    here = case.reducer.fit(case.points[:CUT], params(case.name), job())
    assert np.array_equal(here.embedding, case.fitted.embedding)
    subprocess.run([sys.executable, "-c", ELSEWHERE, case.name, str(tmp_path)], check=True,
                   cwd=Path(__file__).parents[2], env=os.environ.copy())
    with np.load(tmp_path / "elsewhere.npz") as other:
        assert np.array_equal(other["loaded"], case.fitted.embedding)
        assert np.array_equal(other["again"], case.fitted.embedding)
        assert np.array_equal(other["loaded_places"], places) and np.array_equal(other["again_places"], places)


def test_another_seed_is_another_fit() -> None:
    points, _ = blobs()
    for name in ("tsne", "umap", "autoencoder"):
        other = module(name).fit(points[:CUT], params(name), job(seed=4)).embedding
        assert not np.allclose(other, case_of(name).fitted.embedding, atol=1e-3)


@pytest.mark.parametrize("name", REDUCERS)
def test_repeated_rows_and_constant_columns_do_no_harm(name: str) -> None:
    points, side = blobs()
    points = np.repeat(points[:20], 6, axis=0)
    points[:, 3] = 0
    embedding = module(name).fit(points, params(name), job()).embedding
    centres = np.stack([embedding[np.repeat(side[:20], 6) == s].mean(axis=0) for s in (0, 1)])
    assert np.isfinite(embedding).all() and np.linalg.norm(centres[0] - centres[1]) > 0.5 * spread(embedding)


@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize(("spoil", "code"), [
    (lambda points: points[:5], "too-few-points"),
    (lambda points: np.where(points == points[7, 2], np.nan, points), "not-finite"),
    (lambda points: np.where(points == points[7, 2], np.inf, points), "not-finite"),
    (np.ones_like, "identical-points"),
], ids=["few", "nan", "infinite", "identical"])
def test_bad_points_are_refused_by_name(name: str, spoil: Any, code: str) -> None:
    points, _ = blobs()
    with pytest.raises(DataError) as found:
        module(name).fit(spoil(points).astype(np.float32), params(name), job())
    assert [mistake.code for mistake in found.value.mistakes] == [code]
    assert all(mistake.text and mistake.remedy for mistake in found.value.mistakes)


def test_an_embedding_worth_nothing_is_refused_by_name() -> None:
    for places, code in ((np.ones((5, 2)), "constant-embedding"), (np.full((5, 2), np.nan), "not-finite")):
        with pytest.raises(DataError) as found:
            placing.checked(places)
        assert found.value.mistakes[0].code == code


def test_fewer_rows_than_neighbours_is_said() -> None:
    points, _ = blobs()
    with pytest.raises(DataError, match="fewer rows than neighbours: 15 points"):
        module("umap").fit(points[:15], params("umap"), job())
    with pytest.raises(DataError, match="fewer rows than neighbours: 60 points"):
        module("tsne").fit(points[:60], {"perplexity": 20.0, "exaggeration": 1.0}, job())


# ---------------------------------------------------------------- each for itself

def test_a_new_point_between_two_clusters_goes_to_one_of_them() -> None:
    fitted = np.concatenate([np.zeros((8, 2)), np.ones((7, 2))]) + np.linspace(0, 0.01, 15)[:, None]
    embedding = np.concatenate([np.full((8, 2), -5.0), np.full((7, 2), 5.0)])
    assert np.array_equal(placing.median_place(np.full((1, 2), 0.4), fitted, embedding), [[-5, -5]])


def pca(points: Any, **given: Any) -> Any:
    return module("pca").fit(points, {"dimensions": 3, "solver": "exact", "whiten": False, **given}, job())


def test_pca_gives_what_linear_algebra_says() -> None:
    points, _ = blobs()
    fitted, centred = pca(points), points - points.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(centred.T))
    assert np.allclose(fitted.shares, (values / values.sum())[::-1][:3], atol=1e-9)
    assert np.allclose(np.abs(fitted.axes @ vectors[:, ::-1][:, :3]), np.eye(3), atol=1e-6)
    strongest = np.abs(fitted.axes).argmax(axis=1)
    assert (fitted.axes[np.arange(3), strongest] > 0).all()
    assert np.allclose(np.cov(fitted.embedding.T), np.diag(values[::-1][:3]), atol=1e-4)


def test_randomised_pca_agrees_with_the_exact() -> None:
    points, _ = blobs()
    assert np.allclose(pca(points).embedding, pca(points, solver="randomised").embedding, atol=1e-3)


def test_whitened_components_have_unit_variance_or_none() -> None:
    points, _ = blobs()
    flat = np.column_stack([points[:, :2], points[:, :2].sum(axis=1)])  # two dimensions' worth of three columns
    assert np.allclose(pca(points, whiten=True).embedding.std(axis=0, ddof=1), 1, atol=1e-4)
    assert np.allclose(pca(flat, whiten=True).embedding.std(axis=0, ddof=1), [1, 1, 0], atol=1e-4)


def test_pca_of_one_column_is_the_column() -> None:
    points, _ = blobs()
    fitted = pca(points[:, :1], dimensions=1)
    assert np.allclose(fitted.embedding[:, 0], points[:, 0] - points[:, 0].mean(), atol=1e-5)


def test_what_has_a_portrait_shows_it_also_when_loaded(tmp_path: Path) -> None:
    for name in ("autoencoder",):
        fitted = case_of(name).fitted
        assert isinstance(fitted, Portrayed)
        fitted.save(tmp_path / name)
        loaded = module(name).load(tmp_path / name)
        assert isinstance(loaded, Portrayed) and loaded.figures() == fitted.figures()
        assert all(len(series.x) == len(series.y) > 1 for figure in loaded.figures() for series in figure.series)


def test_an_autoencoder_learns() -> None:
    held_out = next(s for s in case_of("autoencoder").fitted.figures()[0].series if s.name == "held out")
    assert min(held_out.y) < 0.5 * held_out.y[0]


def test_an_autoencoder_that_does_not_converge_says_so() -> None:
    with pytest.raises(DataError, match="did not converge") as found:
        module("autoencoder").fit(blobs()[0] * np.float32(1e25), params("autoencoder"), job())
    assert "learning_rate" in found.value.mistakes[0].remedy


def test_many_separate_clusters_are_nothing_to_warn_of() -> None:
    rng = np.random.default_rng(2)
    cluster = np.arange(160) % 8
    points = (rng.normal(size=(160, 3)) + 100 * rng.normal(size=(8, 3))[cluster]).astype(np.float32)
    embedding = module("umap").fit(points, params("umap"), job()).embedding
    widths = [spread(embedding[cluster == c]) for c in range(8)]
    assert max(widths) < 0.5 * spread(embedding)


def test_cosine_neighbours_do_not_look_at_lengths() -> None:
    rng = np.random.default_rng(1)
    side = rng.integers(0, 2, 120)
    lengths = rng.uniform(0.2, 20, 240)[:, None]
    points = (lengths[:120] * (np.eye(4)[side] + 0.05 * rng.normal(size=(120, 4)))).astype(np.float32)
    fitted = module("umap").fit(points, {**params("umap"), "metric": "cosine"}, job())
    places = fitted.place((points / lengths[:120] * lengths[120:]).astype(np.float32))
    centres = np.stack([fitted.embedding[side == s].mean(axis=0) for s in (0, 1)])
    assert (np.linalg.norm(places[:, None] - centres[None], axis=2).argmin(axis=1) == side).all()


def test_reducers_are_listed_without_numpy_and_umap_runs_without_tensorflow() -> None:
    code = ("import sys; from automl_phys import registry\n"
            f"modules = [registry.load('families', name) for name in {REDUCERS!r}]\n"
            "heavy = {'numpy', 'keras', 'sklearn', 'umap', 'numba', 'openTSNE', 'tensorflow', 'jax'} & set(sys.modules)\n"
            "assert not heavy, heavy\n"
            "modules[2]._umap().UMAP()\n"
            "heavy = {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
