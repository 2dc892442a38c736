"""Chains: a reducer and a clusterer as one family, embeddings shared by trials, new points placed."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl_phys import assignment, points, registry, space
from automl_phys.errors import DataError
from automl_phys.rundir import RunDir
from automl_phys.sections import PointsData
from automl_phys.trials import Job

PARAMS = {"pca.dimensions": 2, "pca.solver": "exact", "pca.whiten": False, "kmeans.clusters": 3}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run whose prepared problem is three clouds in five dimensions."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 10, (3, 5))
    values = centres[rng.integers(0, 3, 300)] + rng.normal(size=(300, 5))
    pq.write_table(pa.table({f"x{i}": values[:, i] for i in range(5)}), folder / "points.parquet")
    points.prepare(PointsData(path="points.parquet"), folder, RunDir(folder).problem, 0)
    return RunDir(folder)


def job(run: RunDir, **more: object) -> Job:
    plain = Job(0, "pca+kmeans", PARAMS, 11, 1, "cpu", "structure", "maximize", "reduce+cluster", str(run.path), fold_seed=5)
    return replace(plain, **more)


def fitted(run: RunDir, name: str = "pca+kmeans", params: dict[str, object] = PARAMS, **more: object):
    problem = points.load(run.problem)
    if more.get("fold") is not None:
        problem = problem.resamples(3, 5)[more["fold"]]
    return registry.load("families", name).fit(problem, params, job(run, **more), None), problem


def test_the_space_is_the_links_and_holds_the_defaults():
    chain = registry.load("families", "pca+umap+hdbscan")
    facts = replace(points_facts(), sizes={"numbers": 12})
    ranges = chain.space(facts)
    assert {name.partition(".")[0] for name in ranges} == {"pca", "umap", "hdbscan"}
    assert all(space.inside(params, ranges) for params in chain.defaults(facts))
    assert len({json.dumps(params) for params in chain.defaults(facts)}) == len(chain.defaults(facts)) > 1
    assert chain.defaults(facts)[0]["umap.neighbours"] == registry.load("families", "umap").defaults(facts)[0]["neighbours"]


def points_facts():
    from automl_phys.facts import Facts

    return Facts("points", {"train": 1000}, {"numbers": 12, "categories": 0, "outputs": 0, "folds": 0})


@pytest.mark.parametrize("name", ["kmeans+pca", "pca+pca+kmeans", "pca+linear", "pca+umap", "linear+kmeans"])
def test_what_is_no_chain_solves_nothing(name):
    assert not registry.load("families", name).SOLVES


def test_an_unknown_link_is_no_family():
    with pytest.raises(KeyError):
        registry.load("families", "pca+nosuch")


def test_a_link_that_cannot_is_named():
    facts = replace(points_facts(), rows={"train": 10**6})
    assert registry.load("families", "pca+spectral").skip(facts).startswith("spectral ")


def test_clouds_are_found_and_the_points_of_the_fit_keep_their_assignment(run):
    model, problem = fitted(run)
    found = assignment.unpack(model.predict(problem.valid))
    assert found.clusters == 3 and found.noise == 0
    assert found.agreement > 0.99
    assert (found.stability > 0.99).all()
    assert np.bincount(found.labels).tolist() == sorted(np.bincount(found.labels), reverse=True)
    elsewhere = assignment.unpack(model.predict(replace(problem.valid, scaled=problem.valid.scaled[:50] + np.float32(1e-4))))
    assert (elsewhere.labels == found.labels[:50]).all()
    assert np.allclose(elsewhere.embedding, found.embedding[:50], atol=1e-2)


def test_trials_share_an_embedding_and_variations_make_their_own(run):
    fitted(run)
    before = sorted(run.embeddings.iterdir())
    stamps = [file.stat().st_mtime_ns for folder in before for file in folder.iterdir()]
    fitted(run, params={**PARAMS, "kmeans.clusters": 4}, seed=99)
    fitted(run, fold=1, folds=3)
    assert sorted(run.embeddings.iterdir()) == before
    assert [file.stat().st_mtime_ns for folder in before for file in folder.iterdir()] == stamps
    fitted(run, params={**PARAMS, "pca.dimensions": 3})
    assert len(list(run.embeddings.iterdir())) == len(before) + 1


def test_a_saved_chain_predicts_the_same_in_a_new_process(run, tmp_path):
    model, problem = fitted(run)
    new = np.random.default_rng(1).normal(0, 10, (40, 5)).astype(np.float32)
    model.save(tmp_path / "model")
    np.save(tmp_path / "new.npy", new)
    code = ("import sys, numpy as np; from pathlib import Path; from types import SimpleNamespace;"
            "from automl_phys import registry; folder = Path(sys.argv[1]);"
            "rows = SimpleNamespace(scaled=np.load(folder / 'new.npy'));"
            "model = registry.load('families', 'pca+kmeans').load(folder / 'model');"
            "np.save(folder / 'said.npy', model.predict(rows))")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=os.environ)
    assert np.array_equal(np.load(tmp_path / "said.npy"), model.predict(replace(problem.valid, scaled=new)))
    again = registry.load("families", "pca+kmeans").load(tmp_path / "model")
    assert np.array_equal(again.predict(problem.valid), model.predict(problem.valid))


def test_no_file_of_a_saved_chain_is_a_pickle(run, tmp_path):
    fitted(run)[0].save(tmp_path / "model")
    files = [file for file in Path(tmp_path).rglob("*") if file.is_file()]
    assert {file.suffix for file in files} <= {".npy", ".npz", ".json"}


def test_no_reduction_is_the_points_themselves(run):
    model, problem = fitted(run, "none+kmeans", {"kmeans.clusters": 3})
    assert np.array_equal(assignment.unpack(model.predict(problem.valid)).embedding, problem.valid.scaled)


def test_more_clusters_than_points_is_an_error_with_its_cause(run):
    with pytest.raises(DataError, match="clusters"):
        fitted(run, params={**PARAMS, "kmeans.clusters": 1000})


def test_packing_is_undone_and_clusters_are_numbered_by_size():
    rng = np.random.default_rng(2)
    made = assignment.Assignment(rng.integers(-1, 3, 20).astype(np.int32), rng.random(20, np.float32),
                                 rng.random(20, np.float32), 0.5, rng.random((20, 3), np.float32))
    back = assignment.unpack(assignment.pack(made))
    assert np.array_equal(back.labels, made.labels) and np.array_equal(back.embedding, made.embedding)
    assert back.agreement == 0.5
    labels = np.array([7, 7, 2, 2, 2, -1, 4])
    assert assignment.by_size(labels).tolist() == [1, 1, 0, 0, 0, -1, 2]
    with pytest.raises(ValueError, match="five columns"):
        assignment.unpack(np.zeros((3, 2), np.float32))
