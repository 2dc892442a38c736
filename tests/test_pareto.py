"""Several objectives: the search's shape, the front, what the report says, and that it repeats."""

import math
from dataclasses import replace

import pytest
from test_search import do, numbers

from automl_phys import objectives, pareto
from automl_phys.proposals import Proposer
from automl_phys.rundir import FitDir
from automl_phys.trials import Job, Result, Trial

OTHERS = {"size": "minimize", "bend": "maximize"}


def trial(number, value, size=1.0, status="done", bend=0.0, **job):
    made = Job(number, "line", {"slope": float(number)}, 1, 1, "cpu", "mse", "minimize", "fake", "run")
    return Trial(replace(made, **job), Result(number, status, value, 1.0, others={"size": size, "bend": bend}))


TRIALS = (trial(0, 5.0, 10), trial(1, 3.0, 40), trial(2, 4.0, 40), trial(3, 1.0, 400), trial(4, 5.0, 10),
          trial(5, None, 1, "failed"), trial(6, 0.5, 1000), trial(7, math.nan, 1))


def two(fakes, **changes):
    return fakes.plan("line", "slow_line", others={"size": "minimize"}, **changes)


def test_the_front_holds_what_no_other_trial_beats(fakes):
    assert [t.job.number for t in pareto.front(two(fakes), TRIALS)] == [6, 3, 1, 0]
    assert pareto.sentence(two(fakes), TRIALS) == "4 of 6 trials are on the Pareto front of mse and size."
    three = fakes.plan("line", others=OTHERS)
    assert [t.job.number for t in pareto.front(three, (*TRIALS, trial(8, 4.0, 40, bend=1.0)))] == [6, 3, 1, 8, 0]


def test_the_figure_draws_the_front_as_steps_and_marks_winner_and_baseline(fakes):
    figure, = pareto.figures(two(fakes), TRIALS, {6}, 0)
    series = {one.name: one for one in figure.series}
    assert series["front"].x == (10, 40, 40, 400, 400, 1000, 1000)
    assert series["front"].y == (5.0, 5.0, 3.0, 3.0, 1.0, 1.0, 0.5)
    assert (series["winner"].x, series["baseline"].y) == ((1000,), (5.0,))
    assert len(series["line"].x) == 6
    assert (figure.x.scale, figure.x.label) == ("log", "Size of the model (bytes)")
    _, up = pareto.figures(fakes.plan("line", others=OTHERS), TRIALS, {6}, 0)
    assert up.name == "pareto-bend"
    assert next(one for one in up.series if one.name == "front").x == (0.0,)  # all bend alike
    assert not pareto.figures(fakes.plan("line"), TRIALS, {6}, 0)


def test_the_table_says_how_to_take_a_trial(fakes):
    table, = pareto.tables(two(fakes), TRIALS)
    assert [row[0] for row in table.rows] == [6, 3, 1, 0]
    assert "--set model.line.slope=0.0" in table.note
    assert "--set search.trials=1 " in table.note  # it is the baseline's family
    chained = pareto.pinning(two(fakes), trial(1, 1.0, family="pca+kmeans", params={"pca.whiten": False, "kmeans.names": ["a", "b"]}))
    assert "--set search.trials=2 --set model.pca.whiten=false" in chained
    assert """--set 'model.kmeans.names=["a", "b"]'""" in chained


def test_the_size_is_that_of_the_saved_model_and_needs_no_more(fakes, tmp_path):
    trials, show = do(fakes, two(fakes, trials=6), tmp_path)
    for one in trials:
        folder = FitDir(tmp_path / one.job.folder).model()
        assert one.result.others == {"size": float((folder / "line.json").stat().st_size)}
        assert objectives.size(folder) == one.result.others["size"]
    assert any("on the Pareto front of mse and size" in text for text in show.said)


def test_one_worker_or_two_give_the_same_trials(fakes, tmp_path):
    plan = two(fakes, trials=24)
    alone, _ = do(fakes, plan, tmp_path / "alone")
    beside, _ = do(fakes, replace(plan, workers=2), tmp_path / "beside", "dask")
    resumed, _ = do(fakes, plan, tmp_path / "alone")
    assert numbers(beside) == numbers(alone) == numbers(resumed)
    assert [t.result.others for t in beside] == [t.result.others for t in alone]


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_every_sampler_takes_several_objectives(fakes, sampler):
    def proposed(plan):
        proposer, given = Proposer(plan), []
        for number in range(30):
            proposal = proposer.propose(number)
            if proposal is None:  # the grid is at its end
                break
            given.append(proposal)
            slope = given[-1].params["slope"]
            proposer.tell(Result(number, "failed" if number == 5 else "done", (slope - 3) ** 2, 1.0, values={1: 2.0, 2: 1.0},
                                 others={"size": slope}))
        return [one.params["slope"] for one in given]

    plan = replace(two(fakes, sampler=sampler), families=fakes.plan("line").families, baseline="line")
    given = proposed(plan)
    assert given == proposed(plan)
    if sampler == "tpe":  # between 0, where it is small, and 3, where it is good, is the front
        assert sum(slope > 3.3 for slope in given[15:]) < sum(slope <= 3.3 for slope in given[15:]) / 3


def test_the_record_has_all_objectives(fakes, tmp_path):
    from test_study_record import on_record

    plan = two(fakes, trials=6)
    trials, _ = do(fakes, plan, tmp_path)
    found = on_record(plan, tmp_path)
    assert [found[t.job.number][1].values for t in trials] == [[t.result.value, t.result.others["size"]] for t in trials]


RECIPE = """
recipe: 1
task: classify
data: {builtin: breast_cancer, target: target}
search: {objective: %s}
"""


@pytest.mark.parametrize(("given", "others", "pruner"), [
    ("roc_auc", {}, "hyperband"), ("[roc_auc]", {}, "hyperband"),
    ("[roc_auc, size, brier]", {"size": "minimize", "brier": "minimize"}, "none"),
    ("[log_loss, rejection@0.4]", {"rejection@0.4": "maximize"}, "none")])
def test_what_a_recipe_may_say(tmp_path, given, others, pruner):
    from automl_phys import pipeline, recipe

    (tmp_path / "r.yaml").write_text(RECIPE % given)
    plan = pipeline.make_plan(recipe.load(tmp_path / "r.yaml"))
    assert (plan.others, plan.pruner) == (others, pruner)
    assert any("No trial is pruned" in reason for reason in plan.reasons) == bool(others)


@pytest.mark.parametrize(("given", "said"), [
    ("[size, roc_auc]", "By size alone"), ("size", "By size alone"), ("[roc_auc, roc_auc]", "named twice"),
    ("[roc_auc, seconds_per_event]", "'seconds_per_event' is not an objective"), ("[]", "objective"),
    ("[roc_auc, size]\n  sampler: cmaes", "CMA-ES takes one objective")])
def test_what_it_may_not(tmp_path, given, said):
    from automl_phys import recipe
    from automl_phys.errors import RecipeError

    (tmp_path / "r.yaml").write_text((RECIPE % given).replace("search: {", "search:\n  ").replace("}\n", "\n").replace("target: target\n", "target: target}\n"))
    with pytest.raises(RecipeError, match=said):
        recipe.load(tmp_path / "r.yaml")
