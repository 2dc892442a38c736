"""A family's study stays small, and what it is told of more trials than it keeps still counts."""

import numpy as np
import pytest

from automl_phys import family_study, pruning
from automl_phys.facts import Range
from automl_phys.family_study import FamilyStudy
from automl_phys.trials import Result

SPACE = {"x": Range(low=0.0, high=1.0), "kind": Range(choices=("a", "b"))}


def sampler(seed):
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=5)


def asked(count, monkeypatch=None, directions=("minimize",), most=None):
    """What a study proposes, each trial told when eight later ones have been asked for; and how many trials it holds."""
    if most:
        monkeypatch.setattr(family_study, "MOST", most)
        monkeypatch.setattr(family_study, "BEST", most // 6)
        monkeypatch.setattr(family_study, "LATEST", most // 2)
    study, handles, given, sizes = FamilyStudy(directions), [], [], []
    for number in range(count):
        if number >= 8:
            done = number - 8
            value = (given[done]["x"] - 0.3) ** 2
            if done % 10 == 3:
                study.tell_failed(handles[done])
            elif done % 10 == 7 and len(directions) == 1:
                study.tell_pruned(handles[done], {1: 2.0, 3: 1.0})
            else:
                study.tell(handles[done], [value, given[done]["x"]][:len(directions)])
        handle, params = study.ask(sampler(number), SPACE)
        handles.append(handle)
        given.append(params)
        sizes.append(len(study._study.get_trials(deepcopy=False)))
    return given, max(sizes)


def test_few_trials_are_all_kept(monkeypatch):
    given, size = asked(100)
    thinned, _ = asked(100, monkeypatch, most=150)
    assert (given, size) == (thinned, 100)


@pytest.mark.parametrize("directions", [("minimize",), ("minimize", "maximize")])
def test_many_are_thinned_and_the_good_ones_stay(monkeypatch, directions):
    given, size = asked(400, monkeypatch, directions, most=60)
    again, _ = asked(400, monkeypatch, directions, most=60)
    assert given == again
    assert size <= 60 + 60 // 6 + 8 + 1
    if len(directions) == 1:
        late = [abs(params["x"] - 0.3) for params in given[200:]]
        assert np.median(late) < 0.15  # at random it is 0.25


def test_trials_under_way_survive_the_thinning(monkeypatch):
    monkeypatch.setattr(family_study, "MOST", 10)
    monkeypatch.setattr(family_study, "LATEST", 4)
    monkeypatch.setattr(family_study, "BEST", 2)
    study = FamilyStudy(["minimize"])
    first, params = study.ask(sampler(0), SPACE)
    for number in range(1, 30):
        handle, _ = study.ask(sampler(number), SPACE)
        study.tell(handle, [float(number)])
    running = [t for t in study._study.trials if t.state.name == "RUNNING"]
    assert len(running) == 1 and running[0].params["x"] == params["x"]
    study.tell(first, [-1.0])
    assert study._study.best_value == -1.0


def test_the_pruner_is_as_one_that_looks_at_everything_anew_each_time():
    """Held against the definition, on curves of any steps, some pruned."""
    for direction in ("minimize", "maximize"):
        for kind in ("hyperband", "median"):
            rng = np.random.default_rng(3)
            pruner, known = pruning.Pruner(kind, direction), []
            for number in range(80):
                steps = np.cumsum(rng.integers(1, 1 + int(rng.integers(1, 4)), size=int(rng.integers(5, 60))))
                values = {int(step): float(value) for step, value in zip(steps, rng.normal(size=len(steps)), strict=True)}
                status = ("done", "done", "pruned", "failed")[int(rng.integers(4))]
                known.append(Result(number, status, 0.0, 1.0, values=values if number % 9 else {}))
                pruner.add(known[-1])
                assert pruner.rungs(number) == by_definition(kind, number, known, direction)


def by_definition(kind, number, known, direction):
    lengths = [max(r.values) for r in known if r.status == "done" and r.values]
    if not lengths:
        return {}
    full = float(np.median(lengths))
    steps = [round(full / 3**k) for k in (3, 2, 1)][number % 4:] if kind == "hyperband" else [
        round(full * tenth / 10) for tenth in range(1, 10)]
    needed = {}
    for step in steps:
        came = [pruning.reached(r, step, direction) for r in known]
        came = sorted((best for best in came if best is not None), reverse=direction == "maximize")
        if 1 <= step < full and len(came) >= 6:
            needed[step] = came[len(came) // 3 - 1] if kind == "hyperband" else float(np.median(came))
    return needed
