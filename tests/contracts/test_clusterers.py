"""Every clusterer keeps the contract: it finds what is plain to see, places points where they are, and says the same
again, here or in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from automl_phys import registry, space
from automl_phys.assignment import NOISE, by_size
from automl_phys.contracts import Portrayed
from automl_phys.errors import DataError
from automl_phys.facts import Facts
from automl_phys.tasks.reduce_cluster import EXAMPLE
from automl_phys.trials import Job
from automl_phys.values import Params

RIGHT: dict[str, Params] = {
    "kmeans": {"clusters": 4},
    "gaussian_mixture": {"clusters": 4, "covariance": "full"},
    "hdbscan": {"cluster_size": 20, "samples": 5, "method": "eom"},
    "dbscan": {"radius": 0.95, "samples": 5},
    "agglomerative": {"clusters": 4, "linkage": "ward"},
    "spectral": {"clusters": 4, "neighbours": 8},
    "mean_shift": {"bandwidth": 0.2},
    "birch": {"clusters": 4, "threshold": 0.1, "branching": 50},
}
"""Settings with which the four blobs of :func:`blobs` are found."""
CENTRES = np.array([[0, 0, 0], [9, 0, 3], [0, 9, -3], [9, 9, 0]])
EVERY = pytest.mark.parametrize("name", RIGHT)
BY_NUMBER = pytest.mark.parametrize("name", [name for name, params in RIGHT.items() if "clusters" in params])


def family(name: str) -> Any:
    return registry.load("families", name)


def job(seed: int = 1) -> Job:
    return Job(1, "", {}, seed, 1, "cpu", "", "maximize", "reduce+cluster", ".")


def blobs(count: int = 400, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, count, p=(0.4, 0.3, 0.2, 0.1))
    return (CENTRES[truth] + rng.normal(size=(count, 3))).astype(np.float32), truth


def rings(count: int = 400) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    truth, angle = np.arange(count) % 2, np.arange(count) / count * 2 * np.pi
    points = (1 + 2 * truth)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return (points + rng.normal(0, 0.05, points.shape)).astype(np.float32), truth


def facts(count: int) -> Facts:
    return Facts("points", {"train": count}, {"numbers": 3})


# ---------------------------------------------------------------- settings

@EVERY
@pytest.mark.parametrize("about", [facts(40), facts(1797), facts(200_000), EXAMPLE], ids=str)
def test_the_space_contains_the_defaults(name: str, about: Facts) -> None:
    for params in family(name).defaults(about):
        assert space.inside(params, family(name).space(about))
    assert len(family(name).defaults(about)) >= 2
    assert all(r.text for r in family(name).space(about).values()), "every parameter says what it is"


@EVERY
def test_the_parameters_do_not_depend_on_the_data(name: str) -> None:
    assert family(name).space(EXAMPLE).keys() == family(name).space(facts(50)).keys() == RIGHT[name].keys()


@EVERY
def test_a_kind_of_problem_it_cannot_take_gets_a_reason(name: str) -> None:
    assert "environment" in family(name).skip(Facts("environment", {}, {}))
    assert family(name).skip(facts(5000)) is None


def test_many_points_are_for_clusterers_whose_time_allows_it() -> None:
    taking = {name for name in RIGHT if family(name).skip(facts(200_000)) is None}
    assert taking == {"kmeans", "gaussian_mixture", "hdbscan", "dbscan", "birch"}
    assert all(family(name).memory_mb(facts(200_000)) < 4000 for name in taking)


@EVERY
def test_settings_for_a_part_of_the_points_find_the_same(name: str) -> None:
    points, truth = blobs(800)
    fewer = family(name).fit(points[::4], family(name).thinned(RIGHT[name], 0.25), job())
    assert adjusted_rand_score(truth[::4], fewer.labels) >= 0.9
    assert family(name).thinned(RIGHT[name], 1.0) == RIGHT[name]


# ---------------------------------------------------------------- what is found

@EVERY
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_blobs_are_found_whatever_the_unit(name: str, scale: float) -> None:
    points, truth = blobs()
    found = family(name).fit((points * scale).astype(np.float32), RIGHT[name], job())
    assert adjusted_rand_score(truth, found.labels) >= 0.95
    assert found.labels.max() + 1 == 4


@EVERY
def test_labels_and_probabilities_are_as_the_contract_says(name: str) -> None:
    points, _ = blobs()
    found = family(name).fit(points, RIGHT[name], job())
    assert found.labels.dtype == np.int32 and found.probabilities.dtype == np.float32
    assert found.labels.shape == found.probabilities.shape == (len(points),)
    assert np.array_equal(by_size(found.labels), found.labels), "the largest cluster is the first"
    assert found.probabilities.min() >= 0 and found.probabilities.max() <= 1
    assert (found.probabilities[found.labels == NOISE] == 0).all()
    assert (found.probabilities[found.labels != NOISE] > 0).all()


@EVERY
def test_a_point_is_surer_inside_a_cluster_than_between_two(name: str) -> None:
    points, _ = blobs()
    found = family(name).fit(points, RIGHT[name], job())
    labels, sure = found.place(np.concatenate([CENTRES, [(CENTRES[0] + CENTRES[1]) / 2]]).astype(np.float32))
    assert sorted(labels[:4]) == [0, 1, 2, 3]
    assert sure[4] <= sure[:4].min()


@pytest.mark.parametrize(("name", "params"), [
    ("hdbscan", {"cluster_size": 30, "samples": 3, "method": "eom"}), ("dbscan", {"radius": 0.99, "samples": 4}),
    ("spectral", {"clusters": 2, "neighbours": 8})])
def test_rings_within_each_other_are_told_apart(name: str, params: Params) -> None:
    points, truth = rings()
    assert adjusted_rand_score(truth, family(name).fit(points, params, job()).labels) >= 0.95


@pytest.mark.parametrize("name", ["hdbscan", "dbscan"])
def test_what_lies_alone_is_noise(name: str) -> None:
    points, _ = blobs()
    far = np.array([[40, -40, 40], [-50, 60, 0]], np.float32)
    found = family(name).fit(np.concatenate([points, far]), RIGHT[name], job())
    assert found.labels[-2:].tolist() == [NOISE, NOISE]
    labels, sure = found.place(far + 1)
    assert labels.tolist() == [NOISE, NOISE] and not sure.any()


# ---------------------------------------------------------------- the same again

@EVERY
def test_the_points_of_the_fit_are_placed_where_they_are(name: str) -> None:
    points, _ = blobs()
    found = family(name).fit(points, RIGHT[name], job())
    labels, sure = found.place(points)
    assert np.array_equal(labels, found.labels)
    assert np.allclose(sure, found.probabilities, atol=1e-6)


IN_ANOTHER_PROCESS = """
import json, sys, warnings
from pathlib import Path
warnings.simplefilter("error")
import numpy as np
from automl_phys import registry
from automl_phys.tasks.reduce_cluster import EXAMPLE
from automl_phys.trials import Job
folder, given = Path(sys.argv[1]), json.loads(sys.argv[2])
points, new = np.load(folder / "points.npy"), np.load(folder / "new.npy")
for name, params in given.items():
    family = registry.load("families", name)
    fitted = family.fit(points, params, Job(1, "", {}, 1, 1, "cpu", "", "maximize", "", "."))
    loaded = family.load(folder / name)
    labels, sure = loaded.place(new)
    np.savez(folder / f"{name}.npz", refitted=fitted.labels, refitted_sure=fitted.probabilities, loaded=loaded.labels,
             loaded_sure=loaded.probabilities, placed=labels, placed_sure=sure)
"""


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Any, Any]]:
    """Of a family: its fit here, and what another process has to say of it; with the new points that were placed."""
    folder = tmp_path_factory.mktemp("fits")
    points, new = blobs()[0], blobs(seed=1)[0] + np.float32(0.5)
    np.save(folder / "points.npy", points)
    np.save(folder / "new.npy", new)
    here = {name: family(name).fit(points, RIGHT[name], job()) for name in RIGHT}
    for name, found in here.items():
        found.save(folder / name)
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, str(folder), json.dumps(RIGHT)], check=True)
    return lambda name: (here[name], np.load(folder / f"{name}.npz", allow_pickle=False), new)


@EVERY
def test_another_process_finds_and_places_the_same(name: str, fits: Callable[[str], tuple[Any, Any, Any]]) -> None:
    here, there, new = fits(name)
    labels, sure = here.place(new)
    for of_this, of_that in ((here.labels, "refitted"), (here.labels, "loaded"), (labels, "placed"),
                             (here.probabilities, "refitted_sure"), (here.probabilities, "loaded_sure"),
                             (sure, "placed_sure")):
        assert np.array_equal(of_this, there[of_that]), of_that


@EVERY
def test_what_is_saved_is_data(name: str, tmp_path: Path) -> None:
    family(name).fit(blobs()[0], RIGHT[name], job()).save(tmp_path / "model")
    written = list((tmp_path / "model").iterdir())
    assert written and {path.suffix for path in written} <= {".npz", ".npy", ".json"}


# ---------------------------------------------------------------- awkward points

@EVERY
def test_repeated_points_share_their_cluster(name: str) -> None:
    points, _ = blobs(200)
    found = family(name).fit(np.repeat(points, 7, axis=0), RIGHT[name], job())
    together = found.labels.reshape(-1, 7)
    assert (together == together[:, :1]).mean() >= 0.97
    assert np.isfinite(found.probabilities).all()
    assert np.isfinite(found.place(points)[1]).all()


@EVERY
def test_values_from_a_grid_are_no_error(name: str) -> None:
    points, _ = blobs()
    found = family(name).fit(np.round(points / 2).astype(np.float32), RIGHT[name], job())
    assert found.labels.max() >= 0 and np.isfinite(found.probabilities).all()


@EVERY
@pytest.mark.parametrize("points", [np.zeros((1, 2)), np.ones((50, 2)), np.zeros((0, 2))], ids=["one", "equal", "none"])
def test_points_that_are_all_one_are_refused_by_name(name: str, points: Any) -> None:
    with pytest.raises(DataError) as refused:
        family(name).fit(points.astype(np.float32), RIGHT[name], job())
    assert refused.value.mistakes[0].code == "too-few-points" and refused.value.mistakes[0].remedy


@BY_NUMBER
def test_fewer_different_points_than_clusters_are_refused_by_name(name: str) -> None:
    points = np.repeat(blobs(3)[0], 20, axis=0)
    with pytest.raises(DataError, match="4 clusters were asked for of 60 points, of which 3 are different"):
        family(name).fit(points, RIGHT[name], job())


@EVERY
@pytest.mark.parametrize("dimensions", [1, 12])
def test_any_number_of_dimensions_will_do(name: str, dimensions: int) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2
    points = rng.normal(size=(200, dimensions)) + 20 * truth[:, None]
    two: Params = {"clusters": 2, "bandwidth": 0.4, "samples": 10}
    params = {key: two.get(key, value) for key, value in RIGHT[name].items()}
    found = family(name).fit(points.astype(np.float32), params, job())
    assert adjusted_rand_score(truth, found.labels) >= 0.9


@EVERY
def test_a_cloud_without_structure_is_taken(name: str) -> None:
    points = np.random.default_rng(0).normal(size=(150, 2)).astype(np.float32)
    found = family(name).fit(points, family(name).defaults(facts(150))[0], job())
    assert len(found.labels) == 150


# ---------------------------------------------------------------- of single families

def test_hdbscan_agrees_with_its_library_on_labels_probabilities_and_new_points() -> None:
    import hdbscan

    points, new = blobs()[0], blobs(seed=2)[0]
    ours = family("hdbscan").fit(points, RIGHT["hdbscan"], job())
    theirs = hdbscan.HDBSCAN(min_cluster_size=20, min_samples=5, prediction_data=True, core_dist_n_jobs=1).fit(points)
    assert np.array_equal(ours.labels, by_size(theirs.labels_))
    assert np.allclose(ours.probabilities, theirs.probabilities_, atol=1e-6)
    labels, _ = hdbscan.approximate_predict(theirs, new)
    numbered = dict(zip(theirs.labels_.tolist(), ours.labels.tolist(), strict=True))
    assert np.mean(ours.place(new)[0] == [numbered[label] for label in labels.tolist()]) >= 0.98


def test_the_condensed_tree_is_a_figure_with_every_chosen_cluster_in_it() -> None:
    found = family("hdbscan").fit(blobs()[0], RIGHT["hdbscan"], job())
    assert isinstance(found, Portrayed)
    (figure,) = found.figures()
    *chosen, trunk = figure.series
    assert [series.name for series in chosen] == [f"cluster {label}" for label in range(4)] and trunk.muted
    for series in chosen:
        assert all(low <= y for low, y in zip(series.low, series.y, strict=True)), "a cluster stands on the trunk"
        assert list(series.x) == sorted(series.x)
        assert series.x[-1] - series.x[0] >= 0.9 * (found.labels == int(series.name[-1])).sum()
    assert sum(len(series.x) for series in figure.series) < 2000


def test_a_cloud_has_no_tree_to_show_when_it_never_splits() -> None:
    points = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    found = family("hdbscan").fit(points, {"cluster_size": 45, "samples": 20, "method": "eom"}, job())
    assert found.figures() == () and (found.labels == NOISE).all()


def test_posteriors_of_a_mixture_are_those_of_scikit_learn() -> None:
    from sklearn.mixture import GaussianMixture

    points = blobs()[0].astype(np.float64)
    for covariance in ("full", "tied", "diag"):
        params = {"clusters": 3, "covariance": covariance}
        found = family("gaussian_mixture").fit(points.astype(np.float32), params, job())
        model = GaussianMixture(3, covariance_type=covariance, n_init=2, max_iter=300, random_state=1,
                                reg_covar=1e-4 * points.var(axis=0).mean()).fit(points)
        assert np.allclose(found.probabilities, model.predict_proba(points).max(axis=1), atol=1e-5)


def test_more_gaussians_than_are_needed_leave_no_empty_cluster() -> None:
    points = np.repeat(blobs(12)[0], 10, axis=0)
    found = family("gaussian_mixture").fit(points, {"clusters": 12, "covariance": "full"}, job())
    assert (np.bincount(found.labels) > 0).all() and len(found.weights) == found.labels.max() + 1


def test_a_graph_in_parts_is_cut_along_them() -> None:
    """Four blobs far apart, and as many neighbours as leave no edge between them."""
    points, truth = blobs()
    points = (points + 100 * CENTRES[truth]).astype(np.float32)
    found = family("spectral").fit(points, {"clusters": 4, "neighbours": 5}, job())
    assert adjusted_rand_score(truth, found.labels) == 1


def test_dbscan_refuses_a_reach_that_memory_could_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family("dbscan"), "MOST_PAIRS", 1000)
    with pytest.raises(DataError) as refused:
        family("dbscan").fit(blobs()[0], RIGHT["dbscan"], job())
    assert refused.value.mistakes[0].code == "too-many-neighbours"


def test_birch_widens_its_subclusters_until_they_can_be_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family("birch"), "MOST_SUBCLUSTERS", 10)
    points, truth = blobs()
    found = family("birch").fit(points, {**RIGHT["birch"], "threshold": 0.03}, job())
    assert len(found.centres) <= 10 and adjusted_rand_score(truth, found.labels) >= 0.95


def test_listing_clusterers_imports_nothing_heavy() -> None:
    code = ("import sys; from automl_phys import registry; from automl_phys.tasks.reduce_cluster import EXAMPLE\n"
            f"for name in {list(RIGHT)}: registry.load('families', name).defaults(EXAMPLE)\n"
            "heavy = {'numpy', 'scipy', 'sklearn', 'hdbscan', 'threadpoolctl'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], check=True)
