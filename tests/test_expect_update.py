"""Measured numbers in a recipe's file: the right ones, and nothing else changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import chi2, norm

from automl_phys import expect_update, recipe, yaml_source
from automl_phys.errors import CallError
from automl_phys.exhibits import Estimate
from automl_phys.expect_sections import Expected

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))
TEXT = """\
# A recipe     with odd   spacing.
recipe: 1
task:   classify          # kept
data: {builtin: breast_cancer,   target: target}
expect:                   # held in CI
  # the area
  roc_auc: {value: 0.9, sigmas: 3}    # since May
  accuracy:
    min: 0.9              # a bound
    value: 0.95           # a value

# how it is searched
search: { trials: 3 }     # end
"""


def test_only_the_numbers_change() -> None:
    new = expect_update.rewritten(TEXT, {"roc_auc": {"value": 0.9912, "error": 0.0021, "spread": 0.001},
                                         "accuracy": {"value": 0.97, "error": 0.01}})
    before, after = TEXT.partition("expect:"), new.partition("expect:")
    assert after[0] == before[0]
    assert after[2].partition("# how")[2] == before[2].partition("# how")[2]
    for kept in ("# held in CI", "# the area", "# since May", "# a bound", "# a value", "sigmas: 3", "min: 0.9"):
        assert kept in new
    data = yaml_source.parse(new, "new")[0]["expect"]
    assert data == {"roc_auc": {"value": 0.9912, "error": 0.0021, "spread": 0.001, "sigmas": 3},
                    "accuracy": {"min": 0.9, "value": 0.97, "error": 0.01}}


def test_writing_the_same_again_changes_nothing() -> None:
    numbers = {"roc_auc": {"value": 0.9912, "error": 0.0021}}
    once = expect_update.rewritten(TEXT, numbers)
    assert expect_update.rewritten(once, numbers) == once


def test_a_spread_that_is_no_longer_known_goes() -> None:
    text = TEXT.replace("sigmas: 3", "spread: 0.01, sigmas: 3")
    assert "spread" not in expect_update.rewritten(text, {"roc_auc": {"value": 0.99, "error": 0.002}})


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_get_their_section_and_stay_as_they_are(path: Path) -> None:
    text = path.read_text()
    new = expect_update.rewritten(text, {"roc_auc": {"value": 0.5, "error": 0.1}})
    if "expect" not in yaml_source.parse(text, "old")[0]:
        assert new.startswith(text.rstrip())
    assert yaml_source.parse(new, "new")[0]["expect"]["roc_auc"]["value"] == 0.5


def test_line_ends_of_windows_stay(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert expect_update.update(path, {"roc_auc": {"value": 0.98, "error": 0.01}})
    raw = path.read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n") > 5
    assert recipe.load(path).expect["roc_auc"].value == 0.98
    assert not expect_update.update(path, {"roc_auc": {"value": 0.98, "error": 0.01}})


def estimates(*values: float, error: float = 0.01) -> list[dict[str, Estimate]]:
    return [{"roc_auc": Estimate(value, value - error, value + error)} for value in values]


def test_one_seed_gives_value_and_error() -> None:
    wanted = {"roc_auc": Expected(value=0.5), "accuracy": Expected(min=0.5)}
    assert expect_update.measured(wanted, "log_loss", estimates(0.912345)) == {
        "roc_auc": {"value": 0.9123, "error": 0.01}}


def test_several_seeds_give_the_spread_beyond_the_error() -> None:
    numbers = expect_update.measured({"roc_auc": Expected(value=0.5)}, "", estimates(0.86, 0.90, 0.94))["roc_auc"]
    assert numbers["value"] == pytest.approx(0.9)
    assert numbers["spread"] == pytest.approx((expect_update.upper_limit(0.04**2, 3) - 0.01**2) ** 0.5, rel=0.05)
    assert numbers["error"] == pytest.approx(0.04 / 3**0.5, rel=0.05)
    assert "spread" not in expect_update.measured(
        {"roc_auc": Expected(value=0.5)}, "", estimates(0.899, 0.900, 0.901))["roc_auc"]


@pytest.mark.parametrize(("count", "rel"), [(3, 0.05), (5, 0.02), (20, 0.01), (200, 0.001)])
def test_few_seeds_tell_little_of_the_spread(count: int, rel: float) -> None:
    exact = (count - 1) / chi2.ppf(norm.cdf(-1), count - 1)
    assert expect_update.upper_limit(1.0, count) == pytest.approx(exact, rel=rel)


def test_where_nothing_is_expected_the_objective_is() -> None:
    assert list(expect_update.measured({}, "roc_auc", estimates(0.9))) == ["roc_auc"]


def test_archives_and_locks_are_not_written_into(tmp_path: Path) -> None:
    lock = tmp_path / "recipe.lock.yaml"
    lock.write_text("lock: 1\nrecipe: {recipe: 1}\n")
    for given in (str(lock), "x.amlphys.zip"):
        with pytest.raises(CallError, match=r"no recipe that could be changed|stays what it is"):
            expect_update.check(given)
