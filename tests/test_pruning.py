"""Pruning: thresholds are quantiles of what is known, and never touch what they should not."""

import pytest

from automl_phys import pruning
from automl_phys.trials import Result


def curve(number: int, final: float, steps: int = 27, status: str = "done") -> Result:
    """A maximised curve that rises to its final value."""
    return Result(number, status, final, 1.0, steps=steps, values={s: final * s / 27 for s in range(1, steps + 1)})


KNOWN = [curve(i, 0.1 * (i + 1)) for i in range(9)]


def test_hyperband_asks_for_the_best_third_at_powers_of_eta() -> None:
    rungs = pruning.rungs("hyperband", 0, KNOWN, "maximize")
    assert set(rungs) == {1, 3, 9}
    assert rungs[9] == pytest.approx(0.7 * 9 / 27)  # of 0.1 … 0.9 the three best are 0.7, 0.8, 0.9


def test_each_bracket_skips_one_rung_more_and_the_last_prunes_nothing() -> None:
    assert [len(pruning.rungs("hyperband", n, KNOWN, "maximize")) for n in range(5)] == [3, 2, 1, 0, 3]


def test_median_asks_for_the_median_at_tenths() -> None:
    rungs = pruning.rungs("median", 3, KNOWN, "maximize")
    assert len(rungs) == 9
    assert rungs[14] == pytest.approx(0.5 * 14 / 27)


def test_when_small_is_good_the_threshold_is_from_above() -> None:
    falling = [Result(i, "done", 0.0, 1.0, values={s: (i + 1) / s for s in range(1, 28)}) for i in range(9)]
    assert pruning.rungs("hyperband", 0, falling, "minimize")[9] == pytest.approx(3 / 9)


def test_few_trials_failed_ones_and_single_steps_prune_nothing() -> None:
    assert pruning.rungs("hyperband", 0, KNOWN[:5], "maximize") == {}
    assert pruning.rungs("hyperband", 0, [curve(i, 1.0, status="failed") for i in range(9)], "maximize") == {}
    assert pruning.rungs("hyperband", 0, [curve(i, 1.0, steps=1) for i in range(9)], "maximize") == {}
    assert pruning.rungs("none", 0, KNOWN, "maximize") == {}


def test_a_pruned_trial_counts_at_the_rungs_it_came_to() -> None:
    pruned = curve(9, 0.05, steps=3, status="pruned")
    assert pruning.reached(pruned, 3, "maximize") == pytest.approx(0.05 * 3 / 27)
    assert pruning.reached(pruned, 9, "maximize") is None


def test_steps_that_are_not_reported_count_with_the_next_one() -> None:
    assert pruning.best_until({10: 0.3, 20: 0.5, 30: 0.9}, 15, "maximize") == 0.5
    assert pruning.best_until({10: 0.6, 20: 0.5, 30: 0.9}, 15, "maximize") == 0.6
    assert pruning.best_until({10: 0.3, 20: 0.5}, 99, "maximize") == 0.5
