"""Laws of scores without labels: what must be rewarded, what must not, and what may not matter."""

from itertools import pairwise

import numpy as np
import pytest

from automl_phys import cluster_scores as scores
from automl_phys.assignment import NOISE, Assignment


def blobs(rng, n=400, clusters=4, dimensions=3, apart=10.0):
    centres = apart * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)[:clusters, :dimensions]
    truth = np.arange(n) % clusters
    return (rng.normal(size=(n, dimensions)) + centres[truth]).astype(np.float32), truth.astype(np.int32)


def structure(points, labels, agreement=1.0, embedding=None):
    return scores.structure(scores.components(points, points if embedding is None else embedding, labels, agreement))


def halves(points, labels, seed=0):
    """Adjusted Rand index between k-means on two random subsamples: what a chain measures as its agreement."""
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(seed)
    found = [KMeans(int(labels.max()) + 1, n_init=3, random_state=0).fit(
        points[rng.permutation(len(points))[:int(0.8 * len(points))]]).predict(points) for _ in range(3)]
    return scores.agreement(found)


def kmeans(points, clusters):
    from sklearn.cluster import KMeans

    return KMeans(clusters, n_init=3, random_state=0).fit(points).labels_


def test_perfect_separation_is_nearly_one():
    points, truth = blobs(np.random.default_rng(0), apart=60.0)
    assert structure(points, truth) > 0.85


def test_names_of_clusters_do_not_matter():
    rng = np.random.default_rng(1)
    points, truth = blobs(rng, apart=4.0)
    truth[rng.uniform(size=len(truth)) < 0.1] = NOISE
    renamed = np.where(truth == NOISE, NOISE, np.array([2, 0, 3, 1])[truth])
    for name, part in scores.components(points, points, truth, 0.9).items():
        assert scores.components(points, points, renamed, 0.9)[name] == pytest.approx(part, abs=1e-12)


def test_scale_and_place_do_not_matter():
    points, truth = blobs(np.random.default_rng(2), apart=5.0)
    assert structure(8 * points + 100, truth) == pytest.approx(structure(points, truth), abs=1e-4)


def test_more_noise_is_worse_until_nothing_is_left():
    rng = np.random.default_rng(3)
    points, truth = blobs(rng)
    order = rng.permutation(len(truth))
    values = []
    for share in (0.0, 0.1, 0.2, 0.35, 0.5):
        labels = truth.copy()
        labels[order[:int(share * len(truth))]] = NOISE
        values.append(structure(points, labels))
    assert all(more < less for less, more in pairwise(values))
    assert values[-1] == 0


def test_the_right_number_of_clusters_is_best():
    points, truth = blobs(np.random.default_rng(4), n=240, apart=9.0)
    values = {}
    for clusters in (2, 3, 4, 5, 7, 12):
        labels = kmeans(points, clusters)
        values[clusters] = structure(points, labels, halves(points, labels))
    assert max(values, key=values.__getitem__) == 4
    assert values[4] > structure(points, truth, 0.5)


def trivial(points, truth):
    """Clusterings that must not be rewarded, by what is wrong with them."""
    rng = np.random.default_rng(0)
    far = np.argmax(((points - points.mean(axis=0)) ** 2).sum(axis=1))
    return {"one cluster": np.zeros(len(truth), int), "all noise": np.full(len(truth), NOISE),
            "pairs": np.arange(len(truth)) // 2, "by chance": rng.integers(0, 4, len(truth)),
            "an outlier": (np.arange(len(truth)) == far).astype(int),
            "mostly noise": np.where(rng.uniform(size=len(truth)) < 0.6, NOISE, truth)}


def test_trivial_clusterings_are_worse_than_the_right_one():
    points, truth = blobs(np.random.default_rng(5))
    points[0] = 500  # an outlier, whose own cluster would be far from everything
    right = structure(points, truth)
    for wrong, labels in trivial(points, truth).items():
        assert structure(points, labels) < 0.5 * right, wrong


@pytest.mark.parametrize("stretch", [1, 5])
def test_a_single_gaussian_split_by_kmeans_is_little(stretch):
    points = np.random.default_rng(6).normal(size=(400, 4)).astype(np.float32)
    points[:, 0] *= stretch
    for clusters in (2, 3, 6):
        assert structure(points, kmeans(points, clusters)) < 0.5


def test_an_embedding_that_tears_a_cloud_apart_is_little():
    points = np.random.default_rng(7).normal(size=(400, 4)).astype(np.float32)
    labels = (points[:, 0] > 0).astype(int)
    torn = points[:, :2] + 20 * labels[:, None]
    assert structure(points, labels, embedding=torn) < 0.5
    assert scores.components(points, torn, labels, 1.0)["silhouette_embedding"] > 0.9


def test_trustworthiness_is_one_for_the_same_points_and_half_by_chance():
    rng = np.random.default_rng(8)
    points, truth = blobs(rng)
    same = scores.components(points, points[:, ::-1], truth, 1.0)
    assert (same["trustworthiness"], same["continuity"], same["density_preserved"]) == pytest.approx((1, 1, 1))
    mixed = scores.components(points, rng.permutation(points), truth, 1.0)
    assert mixed["trustworthiness"] == pytest.approx(0.5, abs=0.05)
    assert abs(mixed["density_preserved"]) < 0.2


def test_agreement_is_one_for_the_same_and_none_by_chance():
    rng = np.random.default_rng(9)
    labels = rng.integers(-1, 4, 2000)
    assert scores.agreement([labels, 3 - labels, labels]) == pytest.approx(1)
    assert abs(scores.agreement([rng.permutation(labels) for _ in range(4)])) < 0.01


def test_bootstrap_intervals_cover():
    rng = np.random.default_rng(10)
    shares = rng.dirichlet(np.ones(9)).reshape(3, 3) + np.eye(3)
    cells = (shares / shares.sum()).ravel()

    def draw(n):
        return np.divmod(np.repeat(np.arange(9), rng.multinomial(n, cells)), 3)

    expected = {key: one.value for key, one in scores.truth_scores(*draw(2_000_000), 0, 2).items()}
    trials = [scores.truth_scores(*draw(400), seed, 100) for seed in range(150)]
    for key in ("adjusted_rand", "adjusted_mutual_information", "homogeneity", "completeness"):
        covered = np.mean([one[key].low <= expected[key] <= one[key].high for one in trials])
        assert covered == pytest.approx(0.68, abs=0.13)


def test_the_spread_over_halves_is_that_of_new_points():
    rng = np.random.default_rng(11)
    values, halfwidths = [], []
    for _ in range(12):
        points, truth = blobs(rng, 240, apart=4.0)
        whole = Assignment(truth, np.ones(240, np.float32), np.ones(240, np.float32), 1.0, points)
        found = scores.estimates(points, whole, 0, 8)["silhouette"]
        values.append(found.value)
        halfwidths.append((found.high - found.low) / 2)
    assert np.mean(halfwidths) == pytest.approx(np.std(values, ddof=1), rel=0.6)


def fits(points, seed=0):
    """Structure of k-means with four clusters on the points, on subsamples, and on both nulls."""
    rng = np.random.default_rng(seed)
    centred = points - points.mean(axis=0)

    def one(these):
        labels = kmeans(these, 4)
        return structure(these, labels, halves(these, labels))

    def gaussian():
        return rng.multivariate_normal(np.zeros(points.shape[1]), np.cov(centred.T), len(points)).astype(np.float32)

    again = [one(points[rng.permutation(len(points))[:int(0.8 * len(points))]]) for _ in range(3)]
    nulls = {"gaussian": [one(gaussian()) for _ in range(3)],
             "shuffled": [one(rng.permuted(points, axis=0)) for _ in range(3)]}
    return scores.nothing_there(one(points), again, nulls)


def test_structure_is_found_in_blobs_and_none_in_a_correlated_cloud():
    rng = np.random.default_rng(12)
    points, _ = blobs(rng, 240)
    askew = points @ np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)  # single columns show less of them
    assert fits(askew).found
    cloud = (rng.normal(size=(240, 3)) @ np.array([[3, 1, 0], [0, 1, 0.5], [0, 0, 1]])).astype(np.float32)
    assert not fits(cloud).found
