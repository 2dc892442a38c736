"""What cluster_scores gives: agreement with other implementations, degenerate clusterings, the verdict on nulls."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.manifold import trustworthiness

from automl_phys import cluster_scores as scores
from automl_phys.assignment import NOISE, Assignment
from automl_phys.cluster_measures import Cloud, border, modularity, validity
from automl_phys.exhibits import Estimate


def blobs(rng, n=300, clusters=3, dimensions=4, apart=8.0):
    """Unit Gaussians on the corners of a simplex, float32, and which each point is of."""
    truth = rng.integers(0, clusters, n)
    points = rng.normal(size=(n, dimensions)) + apart * np.eye(clusters, dimensions)[truth]
    return points.astype(np.float32), truth.astype(np.int32)


def assigned(points, labels, agreement=1.0):
    ones = np.ones(len(labels), np.float32)
    return Assignment(labels, ones, ones, agreement, points)


def test_parts_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    points, labels = blobs(rng, apart=3.0)
    labels[:20] = NOISE
    embedding = points[:, :2]
    parts = scores.components(points, embedding, labels, 0.9)
    kept = labels != NOISE
    assert parts["silhouette"] == pytest.approx(reference.silhouette_score(points[kept], labels[kept]), abs=1e-5)
    assert parts["silhouette_embedding"] == pytest.approx(reference.silhouette_score(embedding[kept], labels[kept]),
                                                          abs=1e-5)
    assert parts["calinski_harabasz"] == pytest.approx(
        reference.calinski_harabasz_score(points[kept], labels[kept]), rel=1e-4)
    assert parts["trustworthiness"] == pytest.approx(trustworthiness(points, embedding, n_neighbors=15), abs=1e-6)
    assert parts["continuity"] == pytest.approx(trustworthiness(embedding, points, n_neighbors=15), abs=1e-6)
    assert (parts["noise"], parts["clusters"], parts["agreement"]) == (20 / 300, 3, 0.9)


def test_validity_by_hand():
    # Two rows of equally spaced points: inside a gap is the core distance, between them it is the distance of the rows.
    row = np.column_stack([np.arange(5.0), np.zeros(5)])
    found = validity(Cloud(np.concatenate([row, row + np.array([0, 100])])), np.repeat([0, 1], 5))
    cores = [((sum(1 / (i - j) ** 2 for j in range(5) if j != i)) / 4) ** -0.5 for i in range(5)]
    assert found == pytest.approx((100 - max(cores[1:4])) / 100)


def test_modularity_of_separate_equal_clusters_is_one_less_their_share():
    truth = np.repeat(np.arange(4), 75)
    points = np.random.default_rng(2).normal(size=(300, 4)) + 50 * np.eye(4)[truth]
    assert modularity(Cloud(points), truth) == pytest.approx(1 - 1 / 4)


def test_the_border_of_a_split_cloud_is_as_dense_as_the_cloud():
    points = np.random.default_rng(3).normal(size=(400, 3))
    assert abs(border(Cloud(points), (points[:, 0] > 0).astype(int))) < 0.25
    apart = points + 8 * (points[:, :1] > 0)
    assert border(Cloud(apart), (points[:, 0] > 0).astype(int)) > 0.9


@pytest.mark.parametrize("labels", [
    np.zeros(60, int), np.full(60, NOISE), np.arange(60), np.arange(60) // 2, np.repeat([0, NOISE], [1, 59]),
    np.repeat([0, 1], [59, 1]), np.repeat([0, 1, NOISE], [1, 1, 58])])
@pytest.mark.parametrize("space", ["normal", "constant", "one feature", "duplicates"])
def test_degenerate_clusterings_are_defined_and_worthless(labels, space):
    points = np.random.default_rng(4).normal(size=(60, 3)).astype(np.float32)
    points = {"normal": points, "constant": points * 0, "one feature": points[:, :1],
              "duplicates": np.repeat(points[:6], 10, axis=0)}[space]
    embedding = np.zeros((60, 2), np.float32) if space == "constant" else points[:, :2]
    parts = scores.components(points, embedding, labels, 1.0)
    assert all(math.isfinite(part) for part in parts.values())
    if space != "duplicates":
        assert scores.structure(parts) < 0.3


@pytest.mark.parametrize("rows", [1, 2, 3, 16])
def test_few_points_are_no_trouble(rows):
    points = np.arange(2.0 * rows, dtype=np.float32).reshape(rows, 2)
    parts = scores.components(points, points, np.arange(rows) % 2, 1.0)
    assert all(math.isfinite(part) for part in parts.values())
    found = scores.estimates(points, assigned(points, (np.arange(rows) % 2).astype(np.int32)), 0, 3)
    assert math.isfinite(found["structure"].value)


def test_many_points_score_as_their_sample_does():
    points, truth = blobs(np.random.default_rng(5), 6000)
    few = scores.components(points[:1500], points[:1500], truth[:1500], 1.0)
    many = scores.components(points, points, truth, 1.0, seed=3)
    for name in ("silhouette", "modularity", "border", "validity", "trustworthiness"):
        assert many[name] == pytest.approx(few[name], abs=0.05)
    assert many["calinski_harabasz"] / 6000 == pytest.approx(few["calinski_harabasz"] / 1500, rel=0.1)


def test_value_is_the_component_and_unknown_names_raise():
    points, truth = blobs(np.random.default_rng(6))
    whole = assigned(points, truth, 0.8)
    parts = scores.components(points, points, truth, 0.8)
    for name in scores.DIRECTIONS:
        expected = scores.structure(parts) if name == "structure" else parts[name]
        assert scores.value(name, points, whole) == expected
    with pytest.raises(KeyError):
        scores.value("adjusted_rand", points, whole)


def test_truth_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(7)
    truth = rng.integers(0, 5, 500)
    labels = np.where(rng.uniform(size=500) < 0.3, rng.integers(-1, 4, 500), truth)
    found = scores.truth_scores(truth, labels, 0)
    for key, judge in {"adjusted_rand": reference.adjusted_rand_score,
                       "adjusted_mutual_information": reference.adjusted_mutual_info_score,
                       "homogeneity": reference.homogeneity_score,
                       "completeness": reference.completeness_score}.items():
        assert found[key].value == pytest.approx(judge(truth, labels), abs=1e-9)
        assert found[key].low < found[key].high
    assert found["noise"].value == np.mean(labels == NOISE)
    assert found["clusters"].value == 5


@pytest.mark.parametrize("trivial", [np.zeros(50, int), np.full(50, NOISE)])
def test_truth_scores_of_one_cluster_tell_nothing(trivial):
    found = scores.truth_scores(np.arange(50) % 3, trivial, 0)
    assert found["adjusted_rand"].value == 0
    assert found["homogeneity"].value == pytest.approx(0, abs=1e-9)
    assert found["completeness"].value == 1


def test_truth_may_be_text():
    truth = np.array(["w", "qcd", "top"])[np.arange(60) % 3]
    assert scores.truth_scores(truth, np.arange(60) % 3, 0)["adjusted_rand"] == Estimate(1.0, 1.0, 1.0, "bootstrap")


def test_stability_is_the_best_jaccard_similarity_among_common_rows():
    labels = np.repeat([0, 1, NOISE], [6, 4, 2])
    same = (np.arange(12), np.where(labels == NOISE, NOISE, 1 - labels))
    rows = np.array([0, 1, 2, 3, 6, 7])
    other = (rows, np.array([0, 0, 0, NOISE, 0, 1]))
    assert scores.cluster_stability(labels, [same]) == pytest.approx([1.0, 1.0])
    assert scores.cluster_stability(labels, [other]) == pytest.approx([3 / 5, 1 / 2])
    assert scores.cluster_stability(labels, [same, other]) == pytest.approx([4 / 5, 3 / 4])
    assert scores.cluster_stability(labels, []) == pytest.approx([0, 0])
    assert scores.cluster_stability(labels, [(np.array([0, 1]), np.array([0, 0]))]) == pytest.approx([1 / 1, 0])


def test_agreement_needs_two_labelings():
    with pytest.raises(ValueError, match="two"):
        scores.agreement([np.zeros(3, int)])


def test_every_null_must_be_beaten_by_enough():
    real, again = Estimate(0.8, 0.79, 0.81), [0.78, 0.8, 0.79]
    assert scores.nothing_there(real, again, {"gaussian": [0.2, 0.25, 0.22], "shuffled": [0.1, 0.1]}).found
    one_as_good = scores.nothing_there(real, again, {"gaussian": [0.2, 0.25, 0.22], "shuffled": [0.78, 0.81]})
    assert [c.beaten for c in one_as_good.contrasts] == [True, False]
    assert not one_as_good.found
    assert not scores.nothing_there(0.8, again, {"gaussian": [0.76, 0.76, 0.76]}).found, "by less than the margin"
    assert not scores.nothing_there(0.8, again, {"gaussian": [0.3, 0.6, 0.9]}).found, "by less than two sigma"
    assert not scores.nothing_there(0.8, [0.2, 0.1, 0.9], {"gaussian": [0.3, 0.3]}).found, "not held on subsamples"
    assert not scores.nothing_there(0.8, again, {}).found
    with pytest.raises(ValueError, match="no values"):
        scores.nothing_there(0.8, again, {"gaussian": []})
