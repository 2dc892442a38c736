"""Runs side by side: nothing differs from itself, what is worse is found, paired errors are smaller, claims are honest."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from math import hypot, inf, nan
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from automl_phys import amount_scores, bootstrap, comparison, measures, metrics, overlays, pages
from automl_phys.cli import main
from automl_phys.comparison import Comparison, flat, sigmas_of
from automl_phys.errors import CallError
from automl_phys.exhibits import Axis, Estimate, Evaluation, Figure, Score, Series
from automl_phys.rundir import RunDir

RECIPE = """
recipe: 1
name: {name}
task: classify
data: {{path: {path}, target: process, signal: higgs, weight: w, spectators: [event], features: {features}}}
model: {{families: [linear], ensemble: 1}}
search: {{trials: 2}}
compute: {{executor: inline}}
report: {{formats: [], figures: []}}
seed: 5
"""
AMOUNTS = """
recipe: 1
name: {name}
task: regress
data: {{path: events.parquet, target: mass, features: {features}}}
model: {{families: [linear], ensemble: 1}}
search: {{trials: 2}}
compute: {{executor: inline}}
report: {{formats: [], figures: []}}
seed: 5
"""


def events(seed: int, rows: int = 1500) -> pa.Table:
    rng = np.random.default_rng(seed)
    higgs = rng.random(rows) < 0.4
    mass = rng.normal(np.where(higgs, 125, 110), 10)
    return pa.table({
        "mass": mass, "pt": rng.exponential(40, rows) + 15 * higgs, "m2": mass + rng.normal(0, 5, rows),
        "w": rng.uniform(0.5, 1.5, rows), "event": np.arange(rows),
        "process": np.where(higgs, "higgs", "background").astype(object)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs ``full``, ``poor`` (without the mass), ``near`` (with a blurred one), ``other`` (other events) of classify, ``sum`` and ``one`` of regress."""
    where = tmp_path_factory.mktemp("compared")
    pq.write_table(events(2), where / "events.parquet")
    pq.write_table(events(3), where / "others.parquet")
    recipes = {
        "full": RECIPE.format(name="full", path="events.parquet", features="[mass, pt]"),
        "poor": RECIPE.format(name="poor", path="events.parquet", features="[pt]"),
        "near": RECIPE.format(name="near", path="events.parquet", features="[m2, pt]"),
        "other": RECIPE.format(name="other", path="others.parquet", features="[mass, pt]"),
        "sum": AMOUNTS.format(name="sum", features="[pt, m2]"), "one": AMOUNTS.format(name="one", features="[pt]")}
    for name, text in recipes.items():
        (where / f"{name}.yaml").write_text(text)
        assert main(["run", str(where / f"{name}.yaml"), "--quiet", "--out", str(where / "runs")]) == 0
    shutil.copytree(where / "runs" / "full" / "latest", where / "runs" / "twin")
    return where


def run(folder: Path, name: str) -> RunDir:
    return RunDir(folder / "runs" / name if name == "twin" else folder / "runs" / name / "latest")


def compare(folder: Path, *names: str) -> Comparison:
    return comparison.make([run(folder, name) for name in names])


def of(found: Comparison, metric: str, letter: str = "B") -> comparison.Difference:
    return next(m for m in found.metrics if m.name == metric).differences[letter]


def half(one: Estimate) -> float:
    return (one.high - one.low) / 2


def independent(found: Comparison, metric: str) -> float:
    """Half the width of the interval of a difference, were the two independent."""
    values = next(m for m in found.metrics if m.name == metric).values
    return hypot(*((one.high - one.low) / 2 for one in values.values()))


def test_a_run_and_its_copy_differ_by_exactly_nothing(folder: Path) -> None:
    found = compare(folder, "full", "twin")
    assert found.recipe == found.decisions == found.environment == ()
    for one in found.metrics:
        difference = one.differences["B"]
        if difference.sigmas is not None:
            assert (difference.value.value, difference.sigmas, difference.word) == (0, 0, "the same"), one.name
        else:
            assert difference.word == "not known"
    assert of(found, "log_loss").value == Estimate(0, 0, 0, "paired bootstrap")
    assert found.verdicts == ("B has the same Log loss as A.",)


def test_a_run_without_the_best_feature_is_worse_and_pairing_sharpens_it(folder: Path) -> None:
    found = compare(folder, "full", "poor")
    loss, auc = of(found, "log_loss"), of(found, "roc_auc")
    assert loss.word == auc.word == "worse" and loss.value.value > 0 > auc.value.value
    assert loss.how == auc.how == "paired" and abs(auc.sigmas or 0) > 4
    near = compare(folder, "full", "near")
    assert of(near, "roc_auc").how == "paired"
    assert half(of(near, "roc_auc").value) < 0.8 * independent(near, "roc_auc")
    assert [one.key for one in found.recipe] == ["name", "data.features"]
    assert found.recipe[1].values == {"A": ["mass", "pt"], "B": ["pt"]}
    assert "A and B have different inputs, but the same test events." in found.notes
    back = of(compare(folder, "poor", "full"), "roc_auc")
    assert back.word == "better" and back.value.value == -auc.value.value


def test_other_events_are_combined_as_independent_and_it_says_so(folder: Path) -> None:
    found = compare(folder, "full", "other")
    assert {m.differences["B"].how for m in found.metrics} <= {"independent", "none"}
    loss = of(found, "log_loss")
    assert (loss.value.high - loss.value.low) / 2 == pytest.approx(independent(found, "log_loss"), rel=0.1)
    assert any("not tested on the same events" in note for note in found.notes)


def test_amounts_are_paired_too(folder: Path) -> None:
    found = compare(folder, "sum", "one")
    rmse = of(found, "rmse")
    assert rmse.how == "paired" and rmse.word == "worse" and (rmse.sigmas or 0) > 4
    assert of(found, "bias").word in ("larger", "smaller", "not to be told apart")
    assert of(found, "coverage@0.68").how == "paired"


def test_different_tasks_are_called_so(folder: Path) -> None:
    found = compare(folder, "full", "sum")
    assert found.notes[0].startswith("These are different tasks: A is classify, B is regress.")
    assert {m.name for m in found.metrics} == {"train_gap"}
    assert found.verdicts == ("B does not have the objective of A, Log loss.",)


def test_a_run_without_its_problem_is_compared_still(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "runs" / "twin", tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "problem")
    found = comparison.make([run(folder, "poor"), RunDir(tmp_path / "bare")])
    assert of(found, "roc_auc").how == "independent"
    assert any("cannot be paired" in note for note in found.notes)


def test_scores_that_are_not_those_measured_are_not_paired(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "runs" / "twin", tmp_path / "odd")
    path = tmp_path / "odd" / "predictions.parquet"
    table = pq.read_table(path)
    names = ["score_higgs", "score_background"]
    swapped = [names[1 - names.index(c)] if c in names else c for c in table.column_names]
    pq.write_table(table.rename_columns(swapped), path)
    assert of(comparison.make([run(folder, "full"), RunDir(tmp_path / "odd")]), "roc_auc").how == "independent"


def test_curves_lie_over_each_other(folder: Path) -> None:
    found = compare(folder, "full", "poor", "other")
    assert len(found.figures) <= overlays.MOST
    roc = next(f for f in found.figures if f.name == "roc")
    assert [s.name for s in roc.series] == ["chance", "A full", "B poor", "C other"]
    assert roc.caption == "The winner of each run."


def test_the_terminal_the_page_and_json(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(run(folder, name).path) for name in ("full", "poor")]
    page = tmp_path / "compare.html"
    assert main(["compare", *runs]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80 and "\x1b" not in out
    for part in ("B is worse than A in Log loss", "data.features", "[mass, pt]", "--page", "ROC curve", "paired bootstrap"):
        assert part in out, part
    assert re.search(r"^Log loss +\d\S+ ± \S+ +\d.*worse, \d+\.\d σ *$", out, re.MULTILINE), out
    assert main(["compare", *runs, "--page", str(page)]) == 0
    assert str(page) in capsys.readouterr().out.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!\#|data:)[^"']*""", text), "nothing is fetched"
    assert not re.findall(r"""url\((?!\#)""", text)
    for part in ("B is worse than A in Log loss", "paired bootstrap", "data.features", pages.GENERATOR):
        assert part in text, part
    assert text.count("<svg") == len(compare(folder, "full", "poor").figures) > 2
    assert main(["compare", *runs, "--page", str(page)]) == 0, "our own page is written over"
    capsys.readouterr()
    assert main(["compare", *runs, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["letter"] for one in said["runs"]] == ["A", "B"]
    assert said["metrics"][0]["name"] == "log_loss" and said["metrics"][0]["differences"]["B"]["word"] == "worse"


def test_what_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full, poor = (str(run(folder, name).path) for name in ("full", "poor"))
    same = str(run(folder, "full").path.resolve())
    note, report = tmp_path / "notes.html", tmp_path / "notes.txt"
    note.write_text("mine")
    for arguments, code, part in (
            ([full], 2, "two runs or more"), ([full, str(tmp_path)], 2, f"{tmp_path} is not the folder"),
            ([full, same], 2, "is given twice"), ([full, poor, "--page", str(note)], 2, "exists already"),
            ([full, poor, "--page", str(report)], 2, "no name of a page")):
        assert main(["compare", *arguments]) == code, arguments
        assert part in capsys.readouterr().err.replace("\n", " "), arguments
    assert note.read_text() == "mine" and not report.exists()
    with pytest.raises(CallError) as caught:
        comparison.make([RunDir(tmp_path / "a"), RunDir(tmp_path / "b")])
    assert len(caught.value.mistakes) == 2, "all at once"


# ---------------------------------------------------------------- pieces

@pytest.mark.parametrize(("value", "expected"), [
    (Estimate(2.0, 1.0, 3.0), 2.0), (Estimate(-2.0, -3.0, -1.0), -2.0), (Estimate(0.0, 0.0, 0.0), 0.0),
    (Estimate(2.0, nan, nan), None), (Estimate(2.0, 2.0, 2.0), None), (Estimate(nan, 0.0, 1.0), None),
    (Estimate(2.0, 1.0, inf), None)])
def test_sigmas_only_where_there_is_an_error(value: Estimate, expected: float | None) -> None:
    assert sigmas_of(value) == expected


def test_no_metric_is_better_where_neither_side_is() -> None:
    assert measures.better_when("roc_auc") == "maximize" and measures.better_when("rmse/mass") == "minimize"
    assert measures.better_when("coverage@0.68") is None and measures.better_when("bias/mass") is None
    assert measures.better_when("no_such_metric") is None
    known = {m.name for m in measures.MEASURES.values()}
    assert known >= measures.AIMED


def test_nested_keys_are_dotted() -> None:
    assert flat({"a": 1, "b": {"c": [1], "d": {}}}) == {"a": 1, "b.c": [1], "b.d": {}}


def test_few_background_events_are_not_paired() -> None:
    rng = np.random.default_rng(1)
    target = rng.integers(0, 2, 400)
    p = 1 / (1 + np.exp(-rng.normal(4 * (2 * target - 1), 2)))
    one = metrics.sample(target, np.ones(400), np.stack([1 - p, p], 1), 1)
    found = bootstrap.differences(["roc_auc", "rejection@0.3", "fpr@0.3"], one, one, 0)
    assert set(found) == {"roc_auc"}


def test_pairs_of_amounts_that_go_wrong_together_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    truth, error = rng.normal(size=(500, 1)), rng.normal(size=(500, 1))
    one, other = (amount_scores.judge(truth, np.ones(500), np.stack([truth + scale * error, np.ones_like(truth)], -1))
                  for scale in (1.0, 1.05))
    found = amount_scores.differences(["rmse", "coverage@0.68"], one, other, 0)
    assert set(found) == {"rmse"}, "no intervals, no coverage"
    apart = hypot(*(half(amount_scores.estimates(["rmse"], each, 0)["rmse"]) for each in (one, other)))
    assert half(found["rmse"]) < 0.1 * apart and (sigmas_of(found["rmse"]) or 0) > 5


def test_overlays_need_axes_that_mean_the_same() -> None:
    line = Series("w", "line", (0.0, 1.0), (0.0, 1.0))
    figure = Figure("loss", "Loss", "xy", Axis("Step", low=0, high=2), Axis("Loss"), (line,), caption="")
    other = replace(figure, x=Axis("Step", low=-1, high=1), y=Axis("Return"))
    winner = (Score("w", "winner", {}),)

    def both(a: Figure, b: Figure) -> tuple[Figure, ...]:
        return overlays.overlay({"A a": Evaluation("", {}, winner, (), (a,)), "B b": Evaluation("", {}, winner, (), (b,))})

    assert both(figure, other) == ()
    (found,) = both(figure, replace(other, y=figure.y))
    assert (found.x.low, found.x.high) == (-1, 2) and [s.name for s in found.series] == ["A a", "B b"]
    assert both(replace(figure, section="Features"), figure) == ()
