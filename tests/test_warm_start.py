"""A search that begins with what former runs found: what is taken over, when, and that it repeats."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from automl_phys import former, locks, pipeline, recipe, rundir, space
from automl_phys.decisions import Known, Plan
from automl_phys.errors import RecipeError
from automl_phys.former import Former
from automl_phys.proposals import Proposer
from automl_phys.trials import Result


def trial(slope, family="line"):
    return Known(family, {"slope": slope}, (slope - 2) ** 2)


def former_run(*trials, **changes):
    return replace(Former("/runs/old/1", "old/1", "same", "mse", "minimize", (), trials), **changes)


TRIALS = tuple(trial(0.25 * n) for n in range(16))


def test_on_the_same_problem_values_count_and_the_best_are_tried_again(fakes):
    families = fakes.plan("line", "slow_line").families
    taken = former.take([former_run(*TRIALS, trial(2.5, "slow_line"))], families, "same", "mse", ())
    assert taken.known == (*TRIALS, trial(2.5, "slow_line"))
    assert [(one.family, one.params["slope"]) for one in taken.suggested] == [
        ("line", 2.0), ("slow_line", 2.5), ("line", 1.75), ("line", 2.25)]
    assert taken.suggested[0].origin == "old/1, best line"
    assert "the sampler knows its 17 trials" in taken.reasons[0]


@pytest.mark.parametrize("change", [{"fingerprint": "other"}, {"objective": "mae"}, {"others": ("size",)}])
def test_on_another_problem_only_the_best_configurations_are_tried(fakes, change):
    taken = former.take([former_run(*TRIALS, **change)], fakes.plan("line").families, "same", "mse", ())
    assert not taken.known
    assert [one.params["slope"] for one in taken.suggested] == [2.0, 1.75, 2.25]
    assert "count for nothing here" in taken.reasons[0]


def test_what_is_to_be_maximised_is_ranked_so(fakes):
    taken = former.take([former_run(*TRIALS, direction="maximize")], fakes.plan("line").families, "other", "mse", ())
    assert taken.suggested[0].params == {"slope": 0.0}


def test_what_lies_outside_of_the_space_is_left_out_with_a_reason(fakes):
    line = fakes.plan("line").families[0]
    narrow = replace(line, space={"slope": replace(line.space["slope"], low=3.0)})
    odd = Known("line", {"slope": 3.5, "bend": 1.0}, 0.0)
    taken = former.take([former_run(*TRIALS, odd)], [narrow], "same", "mse", ())
    assert [one.params["slope"] for one in taken.known] == [3.0, 3.25, 3.5, 3.75]
    assert all(space.inside(one.params, narrow.space) for one in (*taken.known, *taken.suggested))
    assert "13 of 17 trials of old/1 lie outside of the space of this search (line.slope, line.bend)" in taken.reasons[1]


def test_a_default_is_not_suggested_again_nor_one_configuration_twice(fakes):
    families = fakes.plan("line").families  # its default is 1.0
    found = [former_run(trial(1.0), trial(2.0), trial(2.0)), former_run(trial(2.0), name="old/2")]
    assert [one.params["slope"] for one in former.take(found, families, "", "mse", ()).suggested] == [2.0]


def test_a_run_without_a_family_in_common_is_refused(fakes):
    with pytest.raises(RecipeError, match="no family in common with this search: slow_line"):
        former.take([former_run(trial(1.0, "slow_line"))], fakes.plan("line").families, "", "mse", ())


def proposed(made, count):
    proposer, given = Proposer(made), []
    for number in range(count):
        given.append(proposer.propose(number))
        value = (given[-1].params["slope"] - 2) ** 2
        proposer.tell(Result(number, "done", value, 1.0))
    return given


def test_suggestions_follow_the_defaults_and_the_sampler_knows_what_was_found(fakes):
    families = fakes.plan("line", "slow_line").families
    taken = former.take([former_run(*TRIALS)], families, "same", "mse", ())
    made = fakes.plan("line", "slow_line", known=taken.known, suggested=taken.suggested)
    given = proposed(made, 20)
    assert [p.params["slope"] for p in given[:5]] == [1.0, 3.0, 2.0, 1.75, 2.25]
    assert given == proposed(rundir_round_trip(made), 20)
    without = proposed(replace(made, known=()), 20)
    assert given[:5] == without[:5]
    assert given[5:] != without[5:]


def test_a_family_that_did_well_before_stands_well_from_the_start(fakes):
    families = fakes.plan("line", "slow_line").families
    taken = former.take([former_run(trial(2.0, "slow_line"))], families, "same", "mse", ())
    made = fakes.plan("line", "slow_line", known=taken.known)
    assert Proposer(made)._standing() == ["slow_line", "line"]


def rundir_round_trip(made):
    from pydantic import TypeAdapter

    return TypeAdapter(Plan).validate_json(rundir.as_json(made))


# ---------------------------------------------------------------- through recipes and runs

RECIPE = """
recipe: 1
task: classify
data: {builtin: breast_cancer, target: target}
model: {families: [linear, extra_trees], refit: false, ensemble: 1, extra_trees: {trees: 20}}
search: {trials: 5, objective: roc_auc, pruner: none%s}
compute: {executor: inline, gpus: none}
report: {formats: [], figures: [png]}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warm")
    (folder / "first.yaml").write_text(RECIPE % "")
    return folder, pipeline.run(recipe.load(folder / "first.yaml"), folder / "runs", False, Quiet())


class Quiet:
    def begin(self, *_): ...
    def stage(self, title): ...
    def say(self, text): ...
    def advance(self, *_): ...
    def trial(self, event): ...


def test_a_run_begins_with_another_and_repeats_from_its_lock(ran):
    folder, first = ran
    (folder / "second.yaml").write_text(RECIPE % ", warm_start: runs/first/latest")
    second = pipeline.run(recipe.load(folder / "second.yaml", ["search.trials=8"]), folder / "runs", False, Quiet())
    decided = rundir.read_json(second.plan, Plan)
    assert decided.warm_start == (str(first.path.resolve()),)
    ended = [json.loads(file.read_text())["status"] for file in first.trials.glob("*/result.json")]
    assert len(decided.known) == ended.count("done") > 2
    assert any(f"first/{first.path.name}" in reason for reason in decided.reasons)
    jobs = [json.loads(file.read_text()) for file in sorted(second.trials.glob("*/job.json"))]
    tried = [(one.family, dict(one.params)) for one in decided.suggested]
    defaults = sum(len(chosen.defaults) for chosen in decided.families)
    assert tried == [(job["family"], job["params"]) for job in jobs[defaults:defaults + len(tried)]]
    rundir.point_to(first.path.parent / "latest", str(second.path.resolve()))  # as a newer run does
    lock = second.path / "recipe.lock.yaml"
    assert locks.find(lock).recipe["search"]["warm_start"] == [f"runs/first/{first.path.name}"]
    again = pipeline.make_plan(recipe.load(lock))
    rundir.point_to(first.path.parent / "latest", first.path.name)
    assert again == replace(decided, name=again.name)


def test_runs_that_are_not_there_or_not_finished_are_told_all_at_once(ran):
    folder, first = ran
    (folder / "half").mkdir(exist_ok=True)
    (folder / "half" / "plan.json").write_bytes(first.plan.read_bytes())
    (folder / "third.yaml").write_text(RECIPE % ", warm_start: [nowhere, half]")
    with pytest.raises(RecipeError) as caught:
        pipeline.make_plan(recipe.load(folder / "third.yaml"))
    assert [m.code for m in caught.value.mistakes] == ["no-such-run", "run-not-finished"]
    (folder / "fourth.yaml").write_text((RECIPE % ", warm_start: runs/first/latest").replace("[linear, extra_trees]", "[boosted_trees]"))
    with pytest.raises(RecipeError, match="no family in common"):
        pipeline.make_plan(recipe.load(folder / "fourth.yaml"))


def test_another_seed_is_another_problem(ran):
    folder, _ = ran
    (folder / "fifth.yaml").write_text(RECIPE % ", warm_start: runs/first/latest" + "seed: 3\n")
    decided = pipeline.make_plan(recipe.load(folder / "fifth.yaml"))
    assert decided.suggested and not decided.known


def test_an_archive_takes_the_run_along_or_says_what_is_missing(ran, tmp_path, monkeypatch):
    from automl_phys import packing
    from automl_phys.errors import ArchiveError

    folder, first = ran
    (folder / "sixth.yaml").write_text(RECIPE % f", warm_start: runs/first/{first.path.name}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    packing.pack(folder / "sixth.yaml", tmp_path / "with.amlphys.zip", with_data=True)
    inside = recipe.given(str(tmp_path / "with.amlphys.zip"))
    assert not Path(inside.search.former_runs[0]).is_absolute()
    assert len(pipeline.make_plan(inside).known) > 2
    packing.pack(folder / "sixth.yaml", tmp_path / "without.amlphys.zip")
    with pytest.raises(ArchiveError) as caught:
        recipe.given(str(tmp_path / "without.amlphys.zip"))
    assert "search.warm_start=null" in caught.value.mistakes[0].remedy
    assert not recipe.given(str(tmp_path / "without.amlphys.zip"), ["search.warm_start=null"]).search.former_runs
