"""What is tried next depends on the seed, the number and the results told; on nothing else."""

from collections import Counter

import pytest

from automl_phys import space
from automl_phys.facts import Range
from automl_phys.proposals import Proposer, fit_seed
from automl_phys.trials import Result


def result(number, value, status="done"):
    return Result(number, status, value if status == "done" else None, 1.0, values={1: value} if value is not None else {})


def ask_and_tell(plan, objective, count, ahead=4):
    """``count`` proposals, each result told when ``ahead`` later trials have been asked for."""
    proposer, asked = Proposer(plan), []
    for number in range(count):
        if number >= ahead:
            before = asked[number - ahead]
            proposer.tell(result(number - ahead, objective(before)))
        proposal = proposer.propose(number)
        if proposal is None:
            break
        asked.append(proposal)
    return asked


def parabola(proposal):
    return (proposal.params["slope"] - 2.7) ** 2 + (0.1 if proposal.family == "slow_line" else 0.0)


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "cmaes"])
def test_the_same_seed_gives_the_same_proposals_and_another_seed_others(fakes, sampler):
    plan = fakes.plan("line", "slow_line", sampler=sampler)
    first = ask_and_tell(plan, parabola, 12)
    assert first == ask_and_tell(plan, parabola, 12)
    assert first != ask_and_tell(fakes.plan("line", "slow_line", sampler=sampler, seed=8), parabola, 12)
    assert all(space.inside(p.params, fakes.SLOPE) for p in first)


def test_defaults_come_first_interleaved_the_baseline_leading(fakes):
    from dataclasses import replace

    plan = fakes.plan("line", "slow_line")
    line, slow = plan.families
    plan = replace(plan, baseline="slow_line",
                   families=(replace(line, defaults=({"slope": 1.0}, {"slope": 1.5})), slow))
    got = ask_and_tell(plan, parabola, 3)
    assert [(p.family, p.params["slope"]) for p in got] == [("slow_line", 3.0), ("line", 1.0), ("line", 1.5)]
    assert not any(p.rungs for p in got)


def test_the_better_family_gets_more_trials_and_the_other_some(fakes):
    plan = fakes.plan("slow_line", "line", sampler="random")
    drawn = Counter(p.family for p in ask_and_tell(plan, lambda p: float(p.family == "slow_line"), 300))
    assert drawn["line"] == pytest.approx(200, abs=30)  # two thirds, within 3.7 standard deviations


def test_where_trials_cost_more_the_time_is_shared_not_the_trials(fakes):
    """A family that is worse, but ten times as quick, gets half as much time: five times as many trials."""
    from dataclasses import replace

    plan = fakes.plan("slow_line", "line", sampler="random")
    slow, quick = plan.families
    plan = replace(plan, families=(replace(slow, cost=10.0), replace(quick, cost=1.0)))
    drawn = Counter(p.family for p in ask_and_tell(plan, lambda p: float(p.family == "line"), 300))
    assert drawn["line"] == pytest.approx(250, abs=25)
    plan = replace(plan, families=(replace(slow, cost=1e6), replace(quick, cost=1.0)))
    drawn = Counter(p.family for p in ask_and_tell(plan, lambda p: float(p.family == "line"), 300))
    assert drawn["slow_line"] >= 5, "what takes very long is not left out"


def test_tpe_beats_random_on_a_parabola(fakes):
    def best(sampler):
        return min(parabola(p) for p in ask_and_tell(fakes.plan("line", sampler=sampler), parabola, 40))
    assert best("tpe") < best("random")


def test_failed_and_pruned_trials_do_not_disturb(fakes):
    proposer = Proposer(fakes.plan("line", "raising"))
    proposals = []
    for number in range(20):
        proposal = proposer.propose(number)
        status = "failed" if proposal.family == "raising" else ("done", "pruned")[number % 2]
        proposer.tell(result(number, None if status == "failed" else 1.0, status))
        proposals.append(proposal)
    assert len({(p.family, str(p.params)) for p in proposals}) == 20
    families = [p.family for p in proposals[2:]]
    assert families.count("line") > families.count("raising") > 0  # what always fails stands last, and is not dropped


def test_a_small_space_is_exhausted_not_repeated(fakes):
    from dataclasses import replace

    plan = fakes.plan("line", "raising")
    line, pinned = plan.families
    families = (replace(line, space={"slope": Range(choices=(1.0, 2.0, 3.0))}),
                replace(pinned, space=space.pin(pinned.space, pinned.defaults[0])))
    for sampler in ("tpe", "random", "grid"):
        got = ask_and_tell(replace(plan, families=families, sampler=sampler), lambda p: 1.0, 30)
        assert sorted(str(p.params) for p in got) == sorted(
            ["{'slope': 1.0}", "{'slope': 2.0}", "{'slope': 3.0}", "{'nothing': 0.5}"])


def test_rungs_come_from_the_own_family_only(fakes):
    proposer = Proposer(fakes.plan("line", "slow_line", pruner="median", sampler="random"))
    for number in range(30):
        proposal = proposer.propose(number)
        curve = {s: s * (1.0 if proposal.family == "line" else 100.0) for s in range(1, 11)}
        if proposal.rungs:
            assert proposal.rungs[5] == curve[1]  # the least value so far, as it is minimised
        proposer.tell(Result(number, "done", 1.0 * (proposal.family == "slow_line"), 1.0, values=curve))
    assert proposal.rungs


def test_seeds_of_fits_differ_and_fit_into_31_bits():
    seeds = {fit_seed(run, number, fold) for run in range(5) for number in range(20) for fold in range(5)}
    assert len(seeds) == 500
    assert 0 <= min(seeds) <= max(seeds) < 2**31
