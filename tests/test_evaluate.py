"""The test rows are looked at once, by the winner, the families' best and the baseline."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys import diagnose, ensemble, evaluate
from automl_phys.decisions import Plan
from automl_phys.exhibits import Finding
from automl_phys.rundir import RunDir, read_json, write_json
from automl_phys.tasks import classify
from automl_phys.trials import Ensemble, Member


class Silent:
    def __init__(self):
        self.said = []

    def stage(self, title): ...
    def advance(self, done, total, text=""): ...
    def trial(self, event): ...

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run whose members' models are as steep as their trial's number."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 600)
    table = pa.table({"x": rng.normal(size=600) + 1.5 * label, "y": rng.normal(size=600), "label": label})
    parquet.write_table(table, tmp_path / "events.parquet")
    options = classify.Options.model_validate({"data": {"path": str(tmp_path / "events.parquet"), "target": "label"}})
    run_dir = RunDir(tmp_path / "run")
    problem = classify.prepare(options, tmp_path, run_dir.problem, 0)

    def predict(run_path, member, rows):
        p = 1 / (1 + np.exp(-member.trial * (rows.numbers[:, 0] - 0.75)))
        return np.column_stack([1 - p, p])

    monkeypatch.setattr(ensemble, "predict_member", predict)
    monkeypatch.setattr(ensemble, "figures", lambda *_: ())
    mlp, trees, linear = (Member(f, n, w, {}, (f,), 1.5) for f, n, w in (("mlp", 2, 0.7), ("boosted_trees", 1, 0.3),
                                                                           ("linear", 0, 1.0)))
    write_json(run_dir.ensemble, Ensemble((mlp, trees), {"mlp": mlp, "linear": linear, "baseline": linear}, "log_loss", 0.5))
    plan = Plan("x", "classify", problem.facts(), (), {}, "linear", "log_loss", "minimize", 10, None, None, "tpe", "none", 1, 0,
                False, 1, 0, "inline", 1, 1, ("cpu",), 100, "jax", 0, ())
    return plan, run_dir


def test_the_winner_is_the_weighted_mean_of_its_members(run):
    plan, run_dir = run
    evaluation = evaluate.run(plan, run_dir, Silent())
    assert [s.name for s in evaluation.scores] == ["mlp + boosted trees ensemble (2 members)", "best mlp",
                                                   "linear baseline"]
    assert evaluation.scores[0].seconds == 3
    assert evaluation.scores[-1].metrics["log_loss"].value == pytest.approx(np.log(2))
    x = classify.load(run_dir.problem).test.numbers[:, 0]
    written = parquet.read_table(run_dir.predictions)["score_1"].to_numpy()
    expected = 0.7 / (1 + np.exp(-2 * (x - 0.75))) + 0.3 / (1 + np.exp(-(x - 0.75)))
    assert written == pytest.approx(expected, abs=1e-6)


def test_test_rows_are_looked_at_once(run, monkeypatch):
    plan, run_dir = run
    first = evaluate.run(plan, run_dir, Silent())
    monkeypatch.setattr(ensemble, "predict_member", lambda *_: pytest.fail("predicted again"))
    again = evaluate.run(plan, run_dir, Silent())
    assert again.verdict == first.verdict
    assert again.scores[0].better_than_baseline == first.scores[0].better_than_baseline
    assert again.figures == first.figures


def test_findings_are_written_the_worst_first(run):
    plan, run_dir = run
    evaluate.run(plan, run_dir, Silent())
    show = Silent()
    found = diagnose.run(plan, run_dir, show)
    order = [("issue", "tip", "passed", "not applicable").index(f.outcome) for f in found]
    assert order == sorted(order)
    assert read_json(run_dir.findings, tuple[Finding, ...]) == found
    assert len(show.said) == sum(f.outcome in ("issue", "tip") for f in found) > 0
