"""Task ``detect-anomaly`` as a user meets it: runs, scores of new events, p-values, and that no anomaly is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys import anomaly_flags, search_figures
from automl_phys.cli import main
from automl_phys.rundir import RunDir, read_json
from automl_phys.tasks import detect_anomaly
from automl_phys.trials import Ensemble

ROWS, ANOMALIES = 1500, 300
RECIPE = """
recipe: 1
name: odd
task: detect-anomaly
data:
  path: events.parquet
  normal: standard
  define: {standard: label == 0}
  features: [x, y, z]
  spectators: [run]
anomaly: {background_efficiency: 0.05, stand_ins: corrupted, injections: [0, 0.05], draws: 1}
model: {families: [isolation_forest, pca_error]}
search: {trials: 3}
compute: {executor: inline}
report: {formats: [markdown], figures: [png]}
"""


def events(path: Path, **more: Any) -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [ROWS - ANOMALIES, ANOMALIES])
    x = rng.normal(size=ROWS)
    columns: dict[str, Any] = {"x": x + 4 * label, "y": x + 0.1 * rng.normal(size=ROWS), "z": rng.normal(size=ROWS),
                               "run": np.arange(ROWS), "label": label}
    parquet.write_table(pa.table({name: values for name, values in (columns | more).items() if values is not None}), path)


def ran(folder: Path, text: str = RECIPE) -> Path:
    (folder / "odd.yaml").write_text(text)
    assert main(["run", str(folder / "odd.yaml"), "--out", str(folder / "runs"), "--quiet"]) == 0
    return folder / "runs" / "odd" / "latest"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anomaly")
    events(folder / "events.parquet")
    return ran(folder)


def test_a_run_scores_the_test_events_and_tells_normal_ones_apart(run: Path) -> None:
    scored = parquet.read_table(run / "predictions.parquet")
    assert scored.column_names == ["row", "run", "weight", "anomaly", "score", "p_value", "flag"]
    truth, p = scored["anomaly"].to_numpy(), scored["p_value"].to_numpy()
    assert (truth.sum(), len(truth)) == (150, 390)
    assert p.min() >= 1 / 241
    assert p.max() <= 1
    flags = scored["flag"].to_numpy()
    assert np.array_equal(flags, p <= 0.05)
    assert flags[~truth].mean() < 0.12
    assert flags[truth].mean() > 0.5


def test_the_winner_is_fitted_again_with_anomalies_mixed_in(run: Path) -> None:
    chosen = read_json(RunDir(run).ensemble, Ensemble)
    assert len(chosen.replicas) == 2
    assert len(chosen.members) == 1
    assert set(chosen.calibration) == {"scores", "chances", "threshold", "efficiency", "normal"}
    assert chosen.calibration["normal"] == 240


def test_new_events_need_nothing_that_tells_them_apart(run: Path, tmp_path: Path) -> None:
    events(tmp_path / "new.parquet", label=None, run=None)
    assert main(["predict", str(run), str(tmp_path / "new.parquet"), "-o", str(tmp_path / "scored.csv"), "--quiet"]) == 0
    events(tmp_path / "all.parquet")
    assert main(["predict", str(run), str(tmp_path / "all.parquet"), "-o", str(tmp_path / "all.scored.parquet"),
                 "--quiet"]) == 0
    whole = parquet.read_table(tmp_path / "all.scored.parquet")
    assert whole.column_names == ["row", "run", "score", "p_value", "flag"]
    assert whole.num_rows == ROWS
    header = (tmp_path / "scored.csv").read_text().splitlines()[0]
    assert header.replace('"', "") == "row,score,p_value,flag"
    first = parquet.read_table(run / "predictions.parquet")
    assert np.allclose(whole["score"].to_numpy()[first["row"].to_numpy()], first["score"].to_numpy(), atol=1e-5)


def test_the_mass_is_read_of_new_events_where_it_is_there(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    events(tmp_path / "events.parquet", m=rng.uniform(2, 5, ROWS))
    data = {"path": "events.parquet", "features": ["x", "y"], "spectators": ["run"]}
    options = detect_anomaly.Options.model_validate({"data": data, "anomaly": {"signal_region": "3 < m and m < 4"}})
    problem = detect_anomaly.prepare(options, tmp_path, tmp_path / "problem", 0)
    found = detect_anomaly.read_new(problem, tmp_path / "events.parquet")
    assert found.mass is not None
    assert np.allclose(found.mass, parquet.read_table(tmp_path / "events.parquet")["m"].to_numpy())
    assert found.carried.column_names == ["row", "run"]
    assert found.notes == ()
    assert next(found.blocks(10)).mass.tolist() == found.mass[:10].tolist()  # type: ignore[attr-defined]
    events(tmp_path / "new.parquet")
    without = detect_anomaly.read_new(problem, tmp_path / "new.parquet")
    assert without.mass is None
    assert "'m' is not in the new data" in without.notes[-1]


def test_a_missing_feature_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events(tmp_path / "new.parquet", y=None)
    assert main(["predict", str(run), str(tmp_path / "new.parquet"), "-o", str(tmp_path / "s.csv")]) == 2
    assert "no column 'y'" in capsys.readouterr().err


def test_no_anomaly_is_seen_before_the_choice(run: Path, tmp_path: Path) -> None:
    """The anomalies are replaced by others: every trial has the same value to the last bit, and the threshold too."""
    rng = np.random.default_rng(5)
    changed = np.arange(ROWS) >= ROWS - ANOMALIES
    events(tmp_path / "events.parquet", x=np.where(changed, rng.normal(100, 30, ROWS), parquet.read_table(
        run.parent.parent.parent / "events.parquet")["x"].to_numpy()))
    other = ran(tmp_path)
    values = [[trial.result.value for trial in search_figures.read_trials(RunDir(one))] for one in (run, other)]
    assert values[0] == values[1]
    assert len(values[0]) >= 3
    assert None not in values[0]
    chosen = [read_json(RunDir(one).ensemble, Ensemble) for one in (run, other)]
    assert chosen[0].calibration == chosen[1].calibration
    assert chosen[0].members[0].params == chosen[1].members[0].params


def test_an_objective_that_sees_the_truth_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events(tmp_path / "events.parquet")
    text = RECIPE.replace("{trials: 3}", "{trials: 3, objective: roc_auc}")
    (tmp_path / "odd.yaml").write_text(text)
    assert main(["plan", str(tmp_path / "odd.yaml")]) == 2
    assert "needs true anomalies" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "odd.yaml").write_text(text.replace("anomaly: {", "anomaly: {choose_by: truth, "))
    assert main(["plan", str(tmp_path / "odd.yaml")]) == 0


# ---------------------------------------------------------------- p-values

def test_p_values_count_normal_events_with_such_a_score() -> None:
    known = anomaly_flags.calibration(np.array([3.0, 1.0, 2.0, 2.0]), np.ones(4), 0.5)
    assert anomaly_flags.p_values(np.array([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 9.0]), known).tolist() == [
        1.0, 1.0, 0.8, 0.8, 0.4, 0.4, 0.2]
    assert anomaly_flags.flagged(np.array([2.0, 2.1, 9.0]), known).tolist() == [False, True, True]


def test_p_values_of_normal_events_are_uniform_and_flags_keep_their_share() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        known = anomaly_flags.calibration(rng.normal(size=199), np.ones(199), 0.1)
        fresh = rng.normal(size=500)
        shares.append(anomaly_flags.flagged(fresh, known).mean())
        assert np.array_equal(anomaly_flags.flagged(fresh, known), anomaly_flags.p_values(fresh, known) <= 0.1)
    assert np.mean(shares) == pytest.approx(0.1, abs=0.004)


def test_weights_count_as_so_many_events() -> None:
    scores, weight = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    plain = anomaly_flags.calibration(np.repeat(scores, [1, 2, 3]), np.ones(6), 0.5)
    weighted = anomaly_flags.calibration(scores, weight, 0.5)
    asked = np.array([0.5, 1.5, 2.5, 3.5])
    own = weight.mean()
    assert anomaly_flags.p_values(asked, weighted) == pytest.approx((np.array([6, 5, 3, 0]) + own) / (6 + own))
    assert anomaly_flags.p_values(asked, plain) == pytest.approx((np.array([6, 5, 3, 0]) + 1) / 7)


def test_many_scores_are_thinned_where_it_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=100_000).astype(np.float32)
    known = anomaly_flags.calibration(scores, np.ones(100_000), 0.01)
    assert len(known["scores"]) <= anomaly_flags.MOST_KEPT
    assert len(known["chances"]) == len(known["scores"]) + 1
    asked = np.linspace(-4, 4, 1001)
    exact = (1 + (scores[None, :1] >= 9).sum() + np.array([(scores >= np.float32(one)).sum() for one in asked])) / 100_001
    found = anomaly_flags.p_values(asked, known)
    assert np.abs(found - exact).max() < 1e-4
    assert np.array_equal(found[exact < 0.05], exact[exact < 0.05])
    assert anomaly_flags.flagged(scores, known).mean() == pytest.approx(0.01, abs=1e-4)


def test_nothing_is_flagged_where_too_few_events_could_tell() -> None:
    known = anomaly_flags.calibration(np.arange(5.0), np.ones(5), 0.01)
    assert anomaly_flags.p_values(np.array([100.0]), known)[0] == pytest.approx(1 / 6)
    assert not anomaly_flags.flagged(np.array([100.0]), known).any()
    with pytest.raises(ValueError, match="no held-out"):
        anomaly_flags.calibration(np.empty(0), np.empty(0), 0.01)
