"""The task's own part: sections, chains, scores that know no truth, verdicts, written scores, and its checks."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from pydantic import ValidationError

from automl_phys import assignment, cluster_scores, figures, registry, rundir, space
from automl_phys.assignment import Assignment
from automl_phys.contracts import Candidate, Replica, Seen
from automl_phys.decisions import Plan
from automl_phys.errors import DataError, RecipeError
from automl_phys.exhibits import Estimate, Evaluation
from automl_phys.facts import Facts
from automl_phys.tasks import reduce_cluster as task
from automl_phys.trials import Ensemble

COLUMNS = ("mass", "tau21", "width", "pt")
FACTS = Facts("table", {"train": 1000}, {"numbers": 20, "categories": 0, "outputs": 0, "folds": 0})


def options(**sections):
    return task.Options.model_validate({"data": {"builtin": "blobs"}, **sections})


def events(folder, truth="label", seed=0):
    """Three blobs; their truth as it is, shuffled, or left out."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(3), 60)
    points = rng.normal(size=(180, 4)) + 12 * np.eye(3, 4)[label]
    columns = {name: points[:, i] for i, name in enumerate(COLUMNS)} | {
        "run": np.arange(180) % 7, "kind": np.array(["a", "b", "c"])[label]}
    if truth:
        columns["label"] = rng.permutation(label) if truth == "shuffled" else label
    parquet.write_table(pa.table(columns), folder / "events.parquet")
    data = {"path": str(folder / "events.parquet"), "spectators": ["run", "kind"]}
    return task.Options.model_validate({"data": {**data, "truth": "label"} if truth else data})


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    return task.prepare(events(folder), folder, folder / "problem", 0)


def packed(scaled, labels, agreement=0.95):
    """A chain that keeps the first two columns and gives these labels."""
    probability = np.where(labels < 0, 0.0, 0.9)
    return assignment.pack(Assignment(labels, probability, probability, agreement, np.asarray(scaled[:, :2])))


def right(problem):
    return packed(problem.test.scaled, np.repeat(np.arange(3), 60))


def coarse(problem):
    return packed(problem.test.scaled, np.repeat([0, 0, 1], 60))


def replicas(problem, null, count=3):
    """Fits on subsamples that find the blobs again, and nulls that reach ``null``, all with some spread."""
    made = []
    for i in range(count):
        made += [Replica("bootstrap", 0.8 + 0.01 * i, right(problem), None),
                 Replica("shuffled", null + 0.01 * i, coarse(problem), None),
                 Replica("gaussian", null - 0.01 * i, coarse(problem), None)]
    return tuple(made)


def evaluated(problem, found=(), first=None):
    winner = Candidate("umap+hdbscan (trial 7)", "winner", {"test": right(problem) if first is None else first},
                       lambda _: None, 2.0, replicas=found)
    again = replace(winner, name="best umap+hdbscan", role="member", replicas=())
    baseline = Candidate("pca+kmeans baseline", "baseline", {"test": coarse(problem)}, lambda _: None)
    return task.evaluate(problem, [winner, again, baseline], "structure", {}, 0)


@pytest.fixture(scope="module")
def evaluation(problem):
    return evaluated(problem, replicas(problem, 0.1))


# ---------------------------------------------------------------- sections and chains

def rules(error):
    return [text for one in error.value.errors() for _, text, _ in one["ctx"]["broken"]]


@pytest.mark.parametrize(("sections", "said"), [
    ({"reduce": {"families": ["umpa"]}}, "'umpa' is no reducer. Did you mean 'umap'?"),
    ({"reduce": {"families": ["pca+umpa"]}}, "'umpa' is no reducer. Did you mean 'umap'?"),
    ({"reduce": {"families": ["hdbscan"]}}, "'hdbscan' is no reducer."),
    ({"reduce": {"families": ["pca", "pca"]}}, "'pca' is named twice."),
    ({"reduce": {"families": ["pca+pca"]}}, "'pca+pca' reduces twice with the same."),
    ({"cluster": {"families": ["kmean"]}}, "'kmean' is no clusterer. Did you mean 'kmeans'?"),
    ({"cluster": {"families": ["umap"]}}, "'umap' is no clusterer."),
    ({"cluster": {"families": ["pca+kmeans"]}}, "'pca+kmeans' is no clusterer."),
    ({"reduce": {"dimensions": {}}}, "'dimensions' is neither a number, a range nor a choice."),
    ({"reduce": {"dimensions": {"low": 5, "high": 2}}}, "'low' is 5 and 'high' is 2."),
])
def test_sections_that_break_a_rule(sections, said):
    with pytest.raises(ValidationError) as error:
        options(**sections)
    assert any(text.startswith(said) for text in rules(error))


def test_every_clusterer_follows_every_reducer():
    some = options(reduce={"families": ["pca", "pca+umap"]}, cluster={"families": ["kmeans", "hdbscan"]})
    assert list(task.families(some, ())) == ["pca+kmeans", "pca+hdbscan", "pca+umap+kmeans", "pca+umap+hdbscan"]


def test_the_default_chains_solve_the_task():
    for chain in (*task.families(options(), ()), task.BASELINE):
        assert "reduce+cluster" in registry.load("families", chain).SOLVES


def test_families_of_the_model_section_are_chains():
    assert list(task.families(options(), ["umap+dbscan"])) == ["umap+dbscan"]
    with pytest.raises(RecipeError) as error:
        task.families(options(reduce={"dimensions": 2}), ["umap+dbscan", "kmeans"])
    assert [(m.code, m.key) for m in error.value.mistakes] == [
        ("no-chain", ("model", "families", 1)), ("two-places", ("reduce", "dimensions"))]


@pytest.mark.parametrize("dimensions", [3, {"low": 2, "high": 4}, {"choices": [2, 3]}])
def test_dimensions_are_those_of_the_last_reducer(dimensions):
    some = options(reduce={"families": ["pca", "pca+umap", "tsne", "none"], "dimensions": dimensions})
    said = task.overrides(some)
    assert said["pca+umap+hdbscan"].keys() == {"umap.dimensions"}
    assert said["pca+hdbscan"].keys() == said[task.BASELINE].keys() == {"pca.dimensions"}
    assert not any(chain.startswith(("tsne", "none")) for chain in said)
    for chain, block in said.items():
        family = registry.load("families", chain)
        assert space.mistakes(chain, family.space(FACTS), block) == ()
        changed, _ = space.override(family.space(FACTS), family.defaults(FACTS), block)
        (name,) = block
        assert changed[name] != family.space(FACTS)[name]


def test_colours_are_features_or_spectators(tmp_path):
    given = events(tmp_path)
    wrong = given.model_copy(update={"reduce": task.Reduce(colour=("mass", "kind", "tau2", "label"))})
    with pytest.raises(DataError) as error:
        task.look(wrong, tmp_path, 0)
    assert [m.key for m in error.value.mistakes] == [("reduce", "colour", 2), ("reduce", "colour", 3)]
    assert "Did you mean 'tau21'?" in error.value.mistakes[0].text


def test_the_map_is_coloured_as_asked(tmp_path):
    given = events(tmp_path).model_copy(update={"reduce": task.Reduce(colour=("pt", "run", "kind"))})
    evaluation = evaluated(task.prepare(given, tmp_path, tmp_path / "problem", 0))
    names = [c.name for c in evaluation.figures[0].points.colourings]
    assert names == ["cluster", "membership probability", "label (truth)", "pt", "run", "kind"]
    assert evaluation.figures[0].points.colourings[-1].categories == ("a", "b", "c")


# ---------------------------------------------------------------- scores know no truth

def test_objectives_are_what_the_scores_can_compute():
    assert set(task.OBJECTIVES) <= set(cluster_scores.DIRECTIONS)
    assert all(cluster_scores.DIRECTIONS[name] == direction for name, direction in task.OBJECTIVES.items())
    assert task.DEFAULT_OBJECTIVE in task.OBJECTIVES
    assert not {"noise", "clusters", "adjusted_rand"} & set(task.OBJECTIVES)


def test_scores_are_the_same_with_truth_without_it_and_with_a_wrong_one(tmp_path):
    found = []
    for truth in ("label", "shuffled", ""):
        folder = tmp_path / (truth or "none")
        folder.mkdir()
        made = task.prepare(events(folder, truth), folder, folder / "problem", 0)
        assert (made.truth is None) == (not truth)
        found.append([task.score(name, made.valid, coarse(made)) for name in task.OBJECTIVES])
        assert set(vars(made.valid)) == {"scaled", "numbers"}
        assert made.valid.scaled.shape == (180, 4)
    assert found[0] == found[1] == found[2]


def test_the_verdict_on_structure_does_not_depend_on_the_truth(tmp_path, evaluation):
    made = task.prepare(events(tmp_path, "shuffled"), tmp_path, tmp_path / "problem", 0)
    other = evaluated(made, replicas(made, 0.1))
    for name in ("structure", "clusters", "noise", "stability", "excess"):
        assert other.metrics[name] == evaluation.metrics[name]
    assert abs(other.metrics["adjusted_rand"].value) < 0.1


# ---------------------------------------------------------------- evaluation

def test_what_is_there_is_called_structure(evaluation):
    assert "there is structure" in evaluation.verdict
    assert evaluation.verdict.startswith("umap+hdbscan (trial 7): 3 clusters, 0.0% noise, structure ")
    assert "better than the pca+kmeans baseline" in evaluation.verdict
    assert "agree with 'label' at an adjusted Rand index of 1" in evaluation.verdict
    assert evaluation.metrics["excess"].value > 0.5
    assert evaluation.metrics["stability"].value == 1


def test_what_nulls_have_too_is_no_structure(problem):
    nothing = evaluated(problem, replicas(problem, 0.75))
    assert "no structure" in nothing.verdict
    assert "there is structure" not in nothing.verdict


def test_without_nulls_nothing_is_said_of_structure(problem):
    alone = evaluated(problem)
    assert "not compared" in alone.verdict
    assert "structure." not in alone.verdict.split(".")[0]
    assert not {"stability", "excess"} & alone.metrics.keys()


def test_the_winner_stands_once_and_the_baseline_has_no_gain(evaluation):
    assert [s.role for s in evaluation.scores] == ["winner", "baseline"]
    assert evaluation.scores[0].better_than_baseline.low > 0
    assert evaluation.scores[1].better_than_baseline is None
    assert {"adjusted_rand", "noise", "clusters"} <= evaluation.scores[1].metrics.keys()


def test_clusters_are_told_in_words_with_their_stability(evaluation):
    table = next(t for t in evaluation.tables if t.title == "Clusters")
    assert [row[1] for row in table.rows] == [60, 60, 60, 0]
    assert [row[-1].split(" (")[0] for row in table.rows[:3]] == ["high mass", "high tau21", "high width"]
    assert all(row[3] == "1.00" for row in table.rows[:3])


def test_an_evaluation_survives_json(evaluation, tmp_path):
    rundir.write_json(tmp_path / "evaluation.json", evaluation)
    read = rundir.read_json(tmp_path / "evaluation.json", Evaluation)
    assert [f.name for f in read.figures] == [f.name for f in evaluation.figures]
    assert len({f.name for f in read.figures}) == len(read.figures)


@pytest.mark.parametrize("labels", [np.full(180, -1), np.zeros(180, int)])
def test_nothing_but_noise_and_one_cluster_are_evaluated_too(problem, labels, tmp_path):
    found = evaluated(problem, replicas(problem, 0.0), packed(problem.test.scaled, labels))
    assert "no structure" in found.verdict
    assert found.metrics["clusters"].value < 2
    for figure in found.figures:
        assert figures.draw(figure, tmp_path, ("png",))[0].stat().st_size > 0


def test_one_feature_is_enough(tmp_path):
    rng = np.random.default_rng(0)
    parquet.write_table(pa.table({"mass": np.r_[rng.normal(91, 2, 90), rng.normal(173, 2, 90)]}), tmp_path / "events.parquet")
    given = task.Options.model_validate({"data": {"path": str(tmp_path / "events.parquet")}})
    problem = task.prepare(given, tmp_path, tmp_path / "problem", 0)
    predictions = assignment.pack(Assignment(np.repeat([0, 1], 90), np.ones(180), np.ones(180), 1.0, problem.test.scaled))
    found = [Candidate(role, role, {"test": predictions}, lambda _: None) for role in ("winner", "baseline")]
    evaluation = task.evaluate(problem, found, "structure", {}, 0)
    assert "It does just what the baseline does." in evaluation.verdict
    for figure in evaluation.figures:
        assert figures.draw(figure, tmp_path, ("png",))[0].stat().st_size > 0


def test_scores_are_written_with_what_the_points_carry(problem, tmp_path):
    predictions = right(problem)
    task.write_scores(problem, problem.test, predictions, {}, tmp_path / "own.parquet")
    table = parquet.read_table(tmp_path / "own.parquet")
    assert table.column_names == ["row", "run", "kind", "true", "cluster", "probability", "map_1", "map_2"]
    assert table["cluster"].to_pylist() == np.repeat(np.arange(3), 60).tolist()
    assert table["true"].to_pylist()[::60] == ["0", "1", "2"]
    new = task.read_new(problem, problem.folder.parent / "events.parquet")
    task.write_scores(problem, new, predictions, {}, tmp_path / "new.csv")
    assert csv.read_csv(tmp_path / "new.csv").column_names == ["row", "run", "kind", "cluster", "probability", "map_1", "map_2"]


# ---------------------------------------------------------------- checks

def seen(problem, **metrics):
    plan = Plan("x", "reduce+cluster", problem.facts(), (), {}, "pca+kmeans", "structure", "maximize", 10, None, None, "tpe",
                "none", 1, 0, False, 1, 9, "inline", 1, 1, ("cpu",), 100, "jax", 0, ())
    well = {"structure": Estimate(0.6, 0.58, 0.62), "clusters": Estimate(5, np.nan, np.nan),
            "noise": Estimate(0.02, 0.01, 0.03), "density_preserved": Estimate(0.9, 0.88, 0.92),
            "stability": Estimate(0.9, 0.85, 0.95), "excess": Estimate(0.5, 0.45, 0.55, "over shuffled columns")}
    given = {name: value for name, value in (well | metrics).items() if value is not None}
    return Seen(plan, (), Ensemble((), {}, "structure", 0.6), Evaluation("", given), problem)


OWN = ("density_not_preserved", "much_noise", "no_structure", "unstable_clusters")


def check(name, given):
    return registry.load("checks", name).check(given)


@pytest.mark.parametrize("name", OWN)
def test_a_healthy_clustering_passes(problem, name):
    assert check(name, seen(problem)) == ("passed", "")


@pytest.mark.parametrize("name", ["class_imbalance", "few_test_events", "leakage", "miscalibrated", "overfit"])
def test_checks_of_classifiers_do_not_apply(problem, name):
    outcome, text = check(name, seen(problem))
    assert outcome == "not applicable"
    assert text


@pytest.mark.parametrize(("name", "metrics", "outcome"), [
    ("no_structure", {"excess": Estimate(0.05, 0.04, 0.06)}, "issue"),
    ("no_structure", {"excess": Estimate(0.3, 0.1, 0.5)}, "issue"),
    ("no_structure", {"excess": None}, "tip"),
    ("no_structure", {"clusters": Estimate(1, np.nan, np.nan)}, "issue"),
    ("density_not_preserved", {"density_preserved": Estimate(0.4, 0.3, 0.5)}, "tip"),
    ("much_noise", {"noise": Estimate(0.2, 0.19, 0.21)}, "tip"),
    ("much_noise", {"noise": Estimate(0.4, 0.39, 0.41)}, "issue"),
    ("unstable_clusters", {"stability": Estimate(0.7, 0.6, 0.8)}, "tip"),
    ("unstable_clusters", {"stability": Estimate(0.3, 0.2, 0.4)}, "issue"),
    ("unstable_clusters", {"stability": None}, "not applicable"),
])
def test_checks_find_what_they_are_for(problem, name, metrics, outcome):
    found, text = check(name, seen(problem, **metrics))
    assert found == outcome
    assert text


@pytest.mark.parametrize("null", [0.1, 0.5, 0.65, 0.75, 0.79])
def test_the_check_and_the_verdict_agree(problem, null):
    found = evaluated(problem, replicas(problem, null))
    outcome, _ = check("no_structure", replace(seen(problem), evaluation=found))
    assert (outcome == "issue") == ("no structure" in found.verdict)
