"""Spaces: what a recipe's overrides do, conditions, the grid, and the way to Optuna and back."""

import itertools
import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_phys import space
from automl_phys.errors import RecipeError
from automl_phys.facts import Range

SPACE = {
    "strength": Range(low=1e-4, high=1e2, log=True, when={"penalty": ("l1", "l2")}),
    "penalty": Range(choices=("none", "l1", "l2")),
    "layers": Range(choices=([64], [128, 128])),
    "trees": Range(low=10, high=1000, log=True, integer=True),
    "bagging": Range(choices=(True, False)),
}
DEFAULT = {"penalty": "l2", "strength": 1.0, "layers": [64], "trees": 100, "bagging": True}


@given(seed=st.integers(0, 2**31))
def test_what_is_suggested_lies_inside_and_is_only_what_exists(seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    params = space.suggest(study.ask(), SPACE)
    assert space.inside(params, SPACE)
    assert ("strength" in params) == (params["penalty"] != "none")
    assert params["layers"] in ([64], [128, 128])


def test_a_default_handed_to_optuna_comes_back_as_it_was() -> None:
    study = optuna.create_study()
    study.enqueue_trial(space.for_optuna(DEFAULT, SPACE))
    assert space.suggest(study.ask(), SPACE) == DEFAULT


@pytest.mark.parametrize("change", [
    {"strength": 1e3}, {"layers": [32]}, {"trees": 10.5}, {"trees": True}, {"bagging": 1}, {"penalty": "none"},
    {"unknown": 1},
])
def test_outside_is_seen(change: dict[str, object]) -> None:
    assert space.inside(DEFAULT, SPACE)
    assert not space.inside({**DEFAULT, **change}, SPACE)


def test_a_pinned_value_is_never_searched_and_every_default_takes_it() -> None:
    changed, defaults = space.override(SPACE, [DEFAULT, {**DEFAULT, "trees": 50}], {"trees": 7})
    assert defaults == ({**DEFAULT, "trees": 7},)  # the two became one
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    assert space.suggest(trial, changed)["trees"] == 7
    assert "trees" not in trial.params


def test_defaults_move_to_the_nearest_value_of_a_narrower_range() -> None:
    changed, (default,) = space.override(SPACE, [DEFAULT], {
        "strength": {"high": 0.1}, "trees": {"choices": [20, 90, 300]}, "layers": {"choices": [[8, 8], [16]]}})
    assert default == {**DEFAULT, "strength": 0.1, "trees": 90, "layers": [8, 8]}
    assert changed["strength"] == Range(low=1e-4, high=0.1, log=True, when={"penalty": ("l1", "l2")})
    assert space.inside(default, changed)


def test_a_default_gains_and_loses_conditional_parameters_with_what_they_hang_on() -> None:
    _, (without,) = space.override(SPACE, [DEFAULT], {"penalty": "none"})
    assert "strength" not in without
    changed, (with_it,) = space.override(SPACE, [without], {"penalty": "l1"})
    assert with_it["strength"] == pytest.approx(0.1)  # the middle of its range, in the logarithm
    assert space.inside(with_it, changed)


@pytest.mark.parametrize(("overrides", "text"), [
    ({"tree": 7}, "Did you mean 'trees'"),
    ({"trees": "many"}, "not a number"),
    ({"trees": 7.5}, "not a whole number"),
    ({"trees": {"low": 50, "high": 20}}, "above"),
    ({"strength": {"low": 0.0}}, "no logarithm"),
    ({"penalty": "l3"}, "not one of"),
    ({"penalty": {"low": 0.0, "high": 1.0}}, "no range"),
    ({"layers": 64}, "not of the kind"),
])
def test_bad_overrides_are_told_with_their_place(overrides: dict[str, object], text: str) -> None:
    (mistake,) = space.mistakes("mlp", SPACE, overrides)
    assert text in mistake.text
    assert mistake.key == ("model", "mlp", next(iter(overrides)))
    assert mistake.remedy


def test_good_overrides_are_no_mistakes() -> None:
    assert space.mistakes("mlp", SPACE, {
        "trees": 7, "strength": {"low": 0.1, "high": 1, "log": False}, "layers": {"choices": [[8]]}, "bagging": False}) == ()


def test_the_grid_has_every_combination_that_exists_once() -> None:
    small = {name: SPACE[name] for name in ("penalty", "strength", "bagging")}
    points = space.grid(small)
    assert len(points) == (1 + 2 * space.GRID_LEVELS) * 2
    assert all(space.inside(point, small) for point in points)
    strengths = sorted({p["strength"] for p in points if "strength" in p})
    ratios = [b / a for a, b in itertools.pairwise(strengths)]
    assert strengths[0] == pytest.approx(1e-4)
    assert strengths[-1] == pytest.approx(1e2)
    assert all(math.isclose(r, ratios[0]) for r in ratios)


def test_a_grid_gets_coarser_before_it_is_refused() -> None:
    eight = {f"x{i}": Range(low=0, high=1) for i in range(8)}
    assert len(space.grid(eight)) == 3**8
    with pytest.raises(RecipeError, match="more than"):
        space.grid({f"x{i}": Range(low=0, high=1) for i in range(20)})


def test_a_pinned_space_holds_one_point() -> None:
    assert space.grid(space.pin(SPACE, DEFAULT)) == (DEFAULT,)


def test_a_whole_number_with_one_value_left_is_still_whole_after_storage():
    from pydantic import TypeAdapter

    stored = TypeAdapter(Range).validate_json(TypeAdapter(Range).dump_json(Range(low=2, high=2, integer=True)))
    params = space.suggest(None, {"dimensions": stored})
    assert params == {"dimensions": 2} and isinstance(params["dimensions"], int)
