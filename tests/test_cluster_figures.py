"""Figures and tables of clusters say what the numbers are, and can be drawn."""

from dataclasses import replace

import numpy as np
import pytest

from automl_phys import (
    cluster_figures,
    cluster_profiles,
    cluster_replicas,
    cluster_tables,
    figures,
    scatter,
    terminal_plots,
)
from automl_phys.assignment import Assignment
from automl_phys.contracts import Replica
from automl_phys.exhibits import Estimate

FEATURES = ("mass", "tau21", "constant", "noise")


@pytest.fixture(scope="module")
def values():
    """300 points: cluster 0 high in mass, cluster 1 low in tau21, 20 of noise; one constant column, one of no use."""
    rng = np.random.default_rng(0)
    made = rng.normal(size=(300, 4))
    made[:160, 0] += 8
    made[160:280, 1] -= 8
    made[:, 2] = 3
    return made.astype(np.float32)


LABELS = np.repeat([0, 1, -1], [160, 120, 20]).astype(np.int32)


def assigned(embedding, labels=LABELS, probability=None):
    sure = np.where(labels < 0, 0, 0.8).astype(np.float32) if probability is None else probability
    return Assignment(labels, sure, sure, 0.9, np.asarray(embedding, np.float32))


@pytest.fixture
def profiles(values):
    return cluster_profiles.make(FEATURES, values, LABELS)


# ---------------------------------------------------------------- profiles

def test_profiles_are_means_in_standard_deviations(values, profiles):
    z = (values[:, 0] - values[:, 0].mean()) / values[:, 0].std()
    assert profiles.offsets[0, 0] == pytest.approx(z[:160].mean(), abs=1e-4)
    assert profiles.sizes.tolist() == [160, 120]
    assert set(profiles.telling[:2]) == {0, 1}
    assert profiles.separation[2] == 0
    assert profiles.separation[0] > 0.9 > 0.1 > profiles.separation[3]


def test_profiles_do_not_depend_on_units(values, profiles):
    other = cluster_profiles.make(FEATURES, values * [1e3, 0.01, 1, 5] + [0, 7, 0, -3], LABELS)
    assert other.offsets == pytest.approx(profiles.offsets, abs=1e-3)
    assert other.telling == profiles.telling


def test_profiles_in_words(profiles):
    said = profiles.in_words(1)
    assert said.startswith("low tau21 (−")
    assert "mass" in said
    assert "noise" not in said
    dull = replace(profiles, offsets=np.zeros((2, 4)))
    assert dull.in_words(0) == "near the mean in every feature"


def test_values_that_are_missing_count_for_nothing(values, profiles):
    more = np.concatenate([values, np.full((50, 4), np.nan, np.float32)])
    found = cluster_profiles.make(FEATURES, more, np.concatenate([LABELS, np.repeat(0, 50)]))
    assert found.offsets == pytest.approx(profiles.offsets)


# ---------------------------------------------------------------- the map

@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_the_map_is_a_plane_whatever_the_embedding(values, dimensions):
    embedding = np.concatenate([values, values[:, :1] ** 2], axis=1)[:, :dimensions]
    figure = cluster_figures.embedding_map(assigned(embedding), [], 0.95, 0)
    assert len(figure.points.x) == len(figure.points.y) == 300
    assert [c.name for c in figure.points.colourings] == ["cluster", "membership probability"]
    assert (f"has {dimensions} dimension" in figure.caption) == (dimensions == 5)
    assert ("one dimension" in figure.caption) == (dimensions == 1)
    assert "mean little" not in figure.caption


def test_two_dimensions_are_shown_as_they_are(values):
    figure = cluster_figures.embedding_map(assigned(values[:, :2]), [], 0.95, 0)
    assert figure.points.x == pytest.approx(values[:, 0], abs=1e-3)


def test_a_map_that_distorts_densities_says_so(values):
    figure = cluster_figures.embedding_map(assigned(values[:, :2]), [], 0.41, 0)
    assert "mean little" in figure.caption
    assert "0.41" in figure.caption


def test_a_large_map_shows_a_sample_and_says_so(monkeypatch, values):
    monkeypatch.setattr(scatter, "MOST_POINTS", 100)
    colour = scatter.colouring("mass", values[:, 0])
    figure = cluster_figures.embedding_map(assigned(values[:, :2]), [colour], 0.9, 0)
    assert len(figure.points.x) == 100
    assert figure.points.colourings[-1].values == pytest.approx(figure.points.x, abs=1e-2)
    assert "A random 100 of the 300 points" in figure.caption
    assert figure == cluster_figures.embedding_map(assigned(values[:, :2]), [colour], 0.9, 0)


def test_the_terminal_map_marks_every_cluster(values):
    figure = cluster_figures.embedding_map(assigned(values[:, :2]), [], 0.9, 0)
    text = terminal_plots.scatter(figure)
    inside = [line.partition("│")[2] for line in text.plain.splitlines()]
    assert sum("0" in line for line in inside) >= 1
    assert sum("1" in line for line in inside) >= 1
    assert max(map(len, text.plain.splitlines())) <= 80
    with pytest.raises(ValueError, match="no points"):
        terminal_plots.scatter(replace(figure, points=None))


# ---------------------------------------------------------------- principal components

def test_principal_components_are_those_of_the_covariance(values):
    shares, directions = cluster_figures.principal(values)
    centred = values - values.mean(axis=0)
    variances = ((centred @ directions) ** 2).sum(axis=0)
    assert shares == pytest.approx(variances / (centred**2).sum(), rel=1e-4, abs=1e-6)
    assert directions.T @ directions == pytest.approx(np.eye(directions.shape[1]), abs=1e-9)
    assert (np.diff(shares) <= 1e-12).all()


def test_scree_and_loadings_name_the_features(values):
    scree, loadings = cluster_figures.components(values, FEATURES, 0)
    assert scree.series[1].y[-1] == pytest.approx(1)
    assert loadings.y.categories == FEATURES
    assert np.abs(np.array(loadings.matrix)[:, 0]).argmax() == 0
    assert "holds 90 %" in scree.caption or "hold 90 %" in scree.caption


# ---------------------------------------------------------------- truth

def test_the_contingency_counts_every_point_with_a_truth(values):
    truth = np.repeat([0, 1, -1], [150, 140, 10])
    counts = cluster_tables.contingency(truth, assigned(values[:, :2]), 2)
    assert counts.tolist() == [[0, 150, 0], [10, 10, 120]]
    figure = cluster_figures.against_truth(counts, ("a", "b"), "label")
    assert [sum(row) for row in figure.matrix] == pytest.approx([1, 1])
    assert figure.x.categories == ("noise", "0", "1")
    table = cluster_tables.against_truth(counts, ("a", "b"), "label")
    assert table.rows == (("a", 0, 150, 0), ("b", 10, 10, 120))


# ---------------------------------------------------------------- replicas

def test_replicas_give_stability_and_excess(values):
    own = assigned(values[:, :2])
    packed = np.column_stack([LABELS, own.probability, own.stability, np.full(300, 0.9), own.embedding]).astype(np.float32)
    half = packed.copy()
    half[:80, 0] = 2  # cluster 0 falls apart
    found = [Replica("bootstrap", 0.7, packed, None), Replica("bootstrap", 0.6, half, None), Replica("shuffled", 0.1, packed, None),
             Replica("shuffled", 0.2, packed, None), Replica("gaussian", 0.0, packed, None), Replica("gaussian", float("nan"), packed, None)]
    replicas = cluster_replicas.read(own, Estimate(0.8, 0.78, 0.82), found)
    assert replicas.stability == pytest.approx([0.75, 1.0])
    assert set(replicas.nulls) == {"shuffled columns", "a Gaussian of the same covariance"}
    assert replicas.metrics()["excess"].value == pytest.approx(0.65 - 0.15)
    assert "shuffled columns" in replicas.metrics()["excess"].note
    assert replicas.objectives()["subsamples of them"].value == pytest.approx(0.65)
    table = cluster_tables.compared(replicas.objectives(), replicas.assignments(), "Structure")
    assert [row[1] for row in table.rows] == [1, 2, 2, 1]


def test_without_replicas_the_stability_is_that_of_the_embedding(values):
    own = assigned(values[:, :2])
    replicas = cluster_replicas.read(own, Estimate(0.8, 0.78, 0.82), [])
    assert replicas.stability == pytest.approx([0.8, 0.8])
    assert replicas.verdict is None
    assert replicas.metrics() == {}
    assert "same embedding" in replicas.found_again_in


# ---------------------------------------------------------------- drawing

def test_values_that_are_whole_get_a_bin_each():
    rng = np.random.default_rng(0)
    value = rng.integers(0, 5, (300, 1)).astype(np.float32)
    profiles = cluster_profiles.make(("count",), value, LABELS)
    (figure,) = cluster_figures.distributions(profiles, value, LABELS, ("count",))
    assert figure.series[0].x == pytest.approx([-0.5, 0.5, 1.5, 2.5, 3.5, 4.5])
    assert [s.name for s in figure.series] == ["cluster 0", "cluster 1", "noise"]


def test_a_sure_clusterer_has_no_histogram_of_probabilities(values):
    assert cluster_figures.probabilities(assigned(values[:, :2], probability=np.ones(300))) == ()
    assert len(cluster_figures.probabilities(assigned(values[:, :2]))) == 1


def test_every_figure_can_be_drawn(values, profiles, tmp_path):
    own = assigned(values)
    made = [cluster_figures.embedding_map(own, [], 0.5, 0), cluster_figures.profile(profiles),
            cluster_figures.sizes(profiles, np.array([0.9, 0.4]), "3 fits"), *cluster_figures.probabilities(own),
            cluster_figures.compared({"these data": Estimate(0.5, np.nan, np.nan), "shuffled columns": Estimate(0.1, 0, 0.2)},
                                     "Structure"),
            cluster_figures.agreement([LABELS, np.roll(LABELS, 20)])]
    for figure in made:
        (path,) = figures.draw(figure, tmp_path, ("png",))
        assert path.stat().st_size > 5000
