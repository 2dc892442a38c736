"""Events among which anomalies are sought: who goes where, what a search may see, what is injected, and what is wrong
with a table."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys import anomaly_problem, detecting, recipe
from automl_phys.anomaly_problem import AnomalyProblem, Injection
from automl_phys.errors import DataError
from automl_phys.tasks import detect_anomaly

ROWS, ANOMALIES = 2000, 400
REGION = "m > 3 and m < 4"
PARTS = ("train", "valid", "test")


def events(folder: Path, seed: int = 0, odd: float = 0.0, **more: Any) -> None:
    """Background, and anomalies in the last rows, whose features are shifted by ``odd``."""
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], [ROWS - ANOMALIES, ANOMALIES])
    columns: dict[str, Any] = {
        "m": np.where(label, rng.normal(3.5, 0.1, ROWS), rng.uniform(2, 5, ROWS)),
        "x": rng.normal(size=ROWS) + label, "y": rng.normal(size=ROWS), "kind": rng.choice(["a", "b", "c"], ROWS),
        "w": rng.uniform(0.5, 1.5, ROWS), "part": np.array(PARTS)[np.arange(ROWS) % 3], "run": np.arange(ROWS) // 10,
        "label": label} | more
    columns["x"] = columns["x"] + odd * label
    parquet.write_table(pa.table(columns), folder / "events.parquet")


def options(data: dict[str, Any], anomaly: dict[str, Any] | None = None) -> detect_anomaly.Options:
    return detect_anomaly.Options.model_validate({
        "data": {"path": "events.parquet", "features": ["x", "y"], **data}, "anomaly": anomaly or {}})


def prepared(folder: Path, data: dict[str, Any], anomaly: dict[str, Any] | None = None, seed: int = 3) -> AnomalyProblem:
    asked = options(data, anomaly)
    seen = detect_anomaly.look(asked, folder, seed)
    made = detect_anomaly.prepare(asked, folder, folder / "problem", seed)
    assert made.facts().rows == seen.rows
    assert made.facts().sizes["replicas"] == seen.sizes["replicas"]
    assert made.fingerprint == detect_anomaly.fingerprint(asked, folder, seed)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    events(tmp_path)
    return tmp_path


def rows(problem: AnomalyProblem, part: str) -> set[int]:
    return set(problem.carried(part)["row"].to_pylist())  # type: ignore[arg-type]


# ---------------------------------------------------------------- who goes where

def test_one_class_fits_on_normal_events_alone(folder: Path) -> None:
    made = prepared(folder, {"normal": "label == 0"}, {"signal_region": REGION})
    assert (len(made.train), made.facts().rows["valid"], len(made.test), len(made.spare)) == (960, 320, 520, 200)
    assert not made.truth("train").any()
    assert not made.truth("valid").any()
    assert made.test.target.sum() == 200
    assert made.spare.target.all()
    assert made.has_truth
    parts = [rows(made, part) for part in PARTS]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 1800
    assert max(parts[0] | parts[1]) < ROWS - ANOMALIES
    assert made.facts().sizes["replicas"] == 8


def test_mass_and_region_belong_to_the_rows(folder: Path) -> None:
    made = prepared(folder, {"normal": "label == 0"}, {"signal_region": REGION})
    mass = parquet.read_table(folder / "events.parquet")["m"].to_numpy()
    for part in PARTS:
        found = made._rows(part)  # without stand-ins
        assert found.mass is not None
        assert found.region is not None
        assert np.allclose(found.mass, mass[made.carried(part)["row"].to_numpy()])
        assert np.array_equal(found.region, (found.mass > 3) & (found.mass < 4))
    some = made.test.take(np.array([3, 1]))
    assert some.mass is not None
    assert np.array_equal(some.mass, made.test.mass[[3, 1]])  # type: ignore[index]
    assert len(anomaly_problem.joined(made.test, made.spare).mass) == len(made.test) + len(made.spare)  # type: ignore[arg-type]


def test_what_tells_events_apart_is_no_feature(folder: Path) -> None:
    asked = {"normal": "good", "define": {"good": "label == 0", "twice": "2 * label"}, "features": None}
    made = prepared(folder, asked, {"signal_region": REGION})
    assert made.schema.numbers == ("x", "y", "w", "run")
    assert prepared(folder, {"normal": "label == 0", "features": ["m", "x"]}, {"signal_region": REGION}
                    ).schema.numbers == ("m", "x")


def test_without_normal_events_all_are_divided_and_the_truth_does_not_matter(folder: Path) -> None:
    without = prepared(folder, {}, {"signal_region": REGION, "method": "unlabelled"})
    trains = [np.array(without.train.numbers)]
    assert not without.has_truth
    assert not without.test.target.any()
    assert without.facts().sizes["replicas"] == 1
    known = prepared(folder, {"truth": "label == 1"}, {"signal_region": REGION, "method": "unlabelled"})
    trains.append(np.array(known.train.numbers))
    assert np.array_equal(*trains)
    assert (len(known.train), len(known.test), len(known.spare)) == (1200, 400, 0)
    assert known.truth("train").mean() == pytest.approx(0.2, abs=0.05)
    assert not known.train.target.any()


def test_injected_anomalies_are_the_stated_share_and_the_others_are_spare(folder: Path) -> None:
    for share in (0.0, 0.05):
        made = prepared(folder, {"truth": "label == 1"}, {"method": "unlabelled", "inject": share})
        assert made.truth("train").mean() == pytest.approx(share, abs=1e-3)
        assert made.truth("valid").mean() == pytest.approx(share, abs=2e-3)
        assert made.spare.target.all()
        total = len(made.train) + made.facts().rows["valid"] + len(made.test) + len(made.spare)
        assert total == ROWS


def test_stand_ins_are_what_trials_are_judged_on(folder: Path) -> None:
    made = prepared(folder, {"normal": "label == 0"})
    assert len(made.valid) == 640
    assert made.valid.target.tolist() == [0] * 320 + [1] * 320
    assert made.stand_in_kind == "rare"
    corrupted = prepared(folder, {"normal": "label == 0"}, {"stand_ins": "corrupted"})
    assert corrupted.stand_in_kind == "corrupted"
    assert not np.array_equal(corrupted.valid.numbers, made.valid.numbers)
    assert len(made.whole().train) == len(made.train) + 320
    assert isinstance(made.whole(), AnomalyProblem)


def test_region_and_sidebands_compare_models_and_held_out_sidebands_calibrate(folder: Path) -> None:
    made = prepared(folder, {"truth": "label == 1"}, {"signal_region": REGION})
    assert made.method == "weakly-supervised"
    judged, held_out = made.valid, made.held_out
    assert judged.region is not None
    assert held_out.region is not None
    # training rows are judges too
    assert len(judged) == len(held_out) + len(made.train)
    assert np.array_equal(judged.target == 1, judged.region)
    assert np.array_equal(judged.numbers[:len(held_out)], held_out.numbers)
    # the comparison has weights of its own, here 0 far from the region; the calibration has those of the data
    assert np.ptp(judged.weight[~judged.region]) > 0
    given = detecting.given(made)
    assert np.array_equal(made.normal, ~held_out.region)
    assert np.array_equal(np.flatnonzero(given.normal), np.flatnonzero(~held_out.region))
    assert set(given.valid_weight[given.normal]) == {1.0}
    assert not given.valid_weight[~given.normal].any()
    known = detect_anomaly.calibrate(made, judged, np.arange(len(judged), dtype=np.float32))
    assert known["normal"] == (~held_out.region).sum()
    assert known["scores"] == np.flatnonzero(~held_out.region).tolist()


def test_true_anomalies_choose_only_if_the_recipe_says_so(folder: Path) -> None:
    made = prepared(folder, {"normal": "label == 0"}, {"choose_by": "truth"})
    assert made.valid.target.sum() == 100
    assert np.array_equal(made.valid.target, made.truth("valid"))
    assert made.test.target.sum() == 200
    assert len(made.spare) == 100
    assert detect_anomaly.refuse("roc_auc", made.facts()) is None
    plain = prepared(folder, {"normal": "label == 0"}).facts()
    assert detect_anomaly.refuse("stand_in_auc", plain) is None
    for objective in ("roc_auc", "average_precision", "max_sic", "rejection@0.3"):
        refused = detect_anomaly.refuse(objective, plain)
        assert refused is not None
        assert refused.code == "objective-sees-truth"


@pytest.mark.parametrize(("split", "grouped"), [
    ({"by": {"column": "part"}}, {}), ({"by": "group"}, {"group": "run"}), ({"by": "time"}, {"time": "run"})])
def test_rows_that_cannot_go_anywhere_stay_where_they_are_or_are_spare(
        folder: Path, split: dict[str, Any], grouped: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    mixed = rng.permutation(np.repeat([0, 1], [ROWS - ANOMALIES, ANOMALIES]))
    events(folder, label=mixed)
    made = prepared(folder, {"normal": "label == 0", "split": split, **grouped})
    assert not made.truth("train").any()
    assert not made.truth("valid").any()
    assert made.test.target.sum() + len(made.spare) == ANOMALIES
    assert 0 < made.test.target.mean() < 0.4


def test_normal_events_may_come_in_files_of_their_own(tmp_path: Path) -> None:
    events(tmp_path)
    table = parquet.read_table(tmp_path / "events.parquet").drop_columns(["label"])
    parquet.write_table(table.slice(0, ROWS - ANOMALIES), tmp_path / "qcd.parquet")
    parquet.write_table(table.slice(ROWS - ANOMALIES), tmp_path / "new.parquet")
    made = prepared(tmp_path, {"path": {"qcd": "qcd.parquet", "new": "new.parquet"}, "normal": "class == 'qcd'"})
    assert (len(made.train), len(made.test)) == (960, 520)


def test_weights_of_normal_training_events_are_one_on_average(folder: Path) -> None:
    made = prepared(folder, {"normal": "label == 0", "weight": "w"})
    assert made.train.weight.mean() == pytest.approx(1, abs=1e-5)
    assert made.valid.weight.shape == made.valid.target.shape


# ---------------------------------------------------------------- nothing leaks

@pytest.mark.parametrize("missing", ["median", "indicator"])
def test_nothing_that_a_search_sees_depends_on_the_anomalies(tmp_path: Path, missing: str) -> None:
    """Their features, mass and gaps are changed at will: train and valid are the same to the last bit."""
    found = []
    for turn in (0, 1):
        rng = np.random.default_rng(0)
        label = np.repeat([0, 1], [ROWS - ANOMALIES, ANOMALIES])
        gaps = np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(size=ROWS))
        flat = np.where(label == 1, rng.normal(size=ROWS), 1.0)
        changed = label * turn
        events(tmp_path, odd=1e3 * turn, gaps=np.where(changed, np.where(rng.random(ROWS) < 0.9, np.nan, 1e6), gaps),
               flat=np.where(changed, 77.0, flat), kind=np.where(changed, "new", rng.choice(["a", "b"], ROWS)),
               m=np.where(changed, 1e4, rng.uniform(2, 5, ROWS)))
        made = prepared(tmp_path, {"normal": "label == 0", "features": ["x", "y", "gaps", "flat"], "missing": missing,
                                   "categorical": ["kind"], "weight": "w"}, {"signal_region": REGION})
        found.append((made.schema.numbers, dict(made.schema.levels), dict(made.schema.medians),
                      *(np.array(getattr(part, name)) for part in (made.train, made.valid)
                        for name in ("numbers", "categories", "target", "weight", "mass", "region"))))
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    assert "flat" not in found[0][0]
    assert found[0][1] == {"kind": ("a", "b")}


# ---------------------------------------------------------------- injections

@pytest.mark.parametrize(("data", "anomaly"), [
    ({"normal": "label == 0"}, {}), ({"truth": "label == 1"}, {"method": "unlabelled"}),
    ({"truth": "label == 1"}, {"signal_region": REGION, "inject": 0.02}),
    ({"normal": "label == 0"}, {"choose_by": "truth"})])
def test_variations_hold_the_stated_share_of_anomalies(folder: Path, data: dict[str, Any], anomaly: dict[str, Any]) -> None:
    made = prepared(folder, data, anomaly | {"injections": [0, 0.02, 0.06], "draws": 2})
    variations = made.resamples(made.facts().sizes["replicas"], 5)
    assert [Injection.of(one.variation) for one in variations] == [
        Injection(share, draw) for draw in (1, 2) for share in (0, 0.02, 0.06)]
    clean = made.positions("train")[made.truth("train") == 0]
    for one in variations:
        assert one.truth("train").mean() == pytest.approx(Injection.of(one.variation).fraction, abs=2e-3)
        assert not one.train.target.any()
        assert np.isin(clean, one.positions("train")).all()
        assert np.array_equal(one.positions("test"), made.positions("test"))
        known = [*one.positions("train"), *one.positions("valid")]
        assert len(set(known)) == len(known)
        assert one.fingerprint == made.fingerprint
        assert set(one.valid.target.tolist()) == {0, 1}
    mixed = [set(one.positions("train")) - set(clean) for one in variations]
    assert mixed[1] < mixed[2]
    assert mixed[2] != mixed[5]
    again = made.resamples(6, 5)
    assert np.array_equal(again[4].positions("train"), variations[4].positions("train"))


def test_too_large_injections_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    events(tmp_path, label=np.repeat([0, 1], [ROWS - 60, 60]))
    made = prepared(tmp_path, {"normal": "label == 0"})
    assert made.injections == [0, 0.005]
    assert made.facts().sizes["replicas"] == 4
    notes = detect_anomaly.look(options({"normal": "label == 0"}), tmp_path, 3).notes
    assert "Too few anomalies are left outside the test to make up 0.02 or 0.05" in notes[-1]
    shutil.rmtree(tmp_path / "problem")
    assert codes(tmp_path, {"normal": "label == 0"}, {"injections": [0.05]}) == ["too-few-anomalies"]


def test_options_that_were_written_out_leave_too_large_injections_out_as_well() -> None:
    """A run's own recipe and a lock state every default."""
    asked = options({"normal": "label == 0"})
    assert detect_anomaly.Options.model_validate(asked.model_dump(mode="json")).table == asked.table
    assert not asked.table.injections_stated


# ---------------------------------------------------------------- what is wrong

def codes(folder: Path, data: dict[str, Any], anomaly: dict[str, Any] | None = None) -> list[str]:
    found = []
    for read in (lambda asked: detect_anomaly.look(asked, folder, 3),
                 lambda asked: detect_anomaly.prepare(asked, folder, folder / "problem", 3)):
        with pytest.raises(DataError) as raised:
            read(options(data, anomaly))
        assert all(mistake.key for mistake in raised.value.mistakes)
        found.append([mistake.code for mistake in raised.value.mistakes])
    assert found[0] == found[1]
    assert not (folder / "problem").exists()
    return found[0]


def test_mistakes_are_named(tmp_path: Path) -> None:
    events(tmp_path, hole=np.where(np.arange(ROWS) == 7, np.nan, 1.0), name=np.repeat("text", ROWS))
    normal = {"normal": "label == 0"}
    assert codes(tmp_path, {"normal": "label == 5"}) == ["no-normal-events"]
    assert codes(tmp_path, {"normal": "lable == 0", "truth": "label"}) == ["bad-expression", "bad-expression"]
    assert codes(tmp_path, {"truth": "name"}) == ["bad-expression"]
    assert codes(tmp_path, {"truth": "label == 3"}) == ["no-anomalies"]
    assert codes(tmp_path, {"truth": "label >= 0"}) == ["all-anomalies"]
    assert codes(tmp_path, normal, {"signal_region": REGION, "mass": "mm"}) == ["no-such-column"]
    assert codes(tmp_path, normal, {"signal_region": REGION, "mass": "name"}) == ["wrong-type"]
    assert codes(tmp_path, normal, {"signal_region": REGION, "mass": "hole"}) == ["mass-missing-values"]
    assert codes(tmp_path, {}, {"signal_region": "m > 1"}) == ["one-sided-region"]
    assert codes(tmp_path, {}, {"signal_region": "m > 9"}) == ["one-sided-region"]
    assert codes(tmp_path, {}, {"signal_region": "m > 4.97"}) == ["too-few-in-region"]
    assert codes(tmp_path, {}, {"signal_region": "m > 2.15", "background_efficiency": 0.1}) == ["too-few-in-region"]
    assert codes(tmp_path, normal, {"background_efficiency": 0.001}) == ["too-few-rows"]
    assert codes(tmp_path, {**normal, "cut": "run < 5"}) == ["too-few-rows"]
    assert codes(tmp_path, {"truth": "label == 1"}, {"method": "unlabelled", "inject": 0.3}) == [
        "too-few-anomalies", "too-few-anomalies"]
    assert codes(tmp_path, {**normal, "features": ["x", "z"]}) == ["no-such-column"]


def test_fewer_events_than_columns_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = {f"c{i}": rng.normal(size=ROWS) for i in range(120)}
    events(tmp_path, **wide)
    assert codes(tmp_path, {"normal": "label == 0", "features": [*wide], "cut": "run < 15"},
                 {"background_efficiency": 0.1}) == ["too-few-rows"]


def test_normal_events_alone_are_no_mistake_and_no_truth(folder: Path) -> None:
    made = prepared(folder, {"normal": "label >= 0"})
    assert not made.has_truth
    assert len(made.spare) == 0
    assert made.facts().sizes["replicas"] == 1
    assert any("Every event is normal" in note for note in made.facts().notes)


def test_a_recipe_is_held_against_its_own_rules(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "recipe: 1\ntask: detect-anomaly\ndata: {path: events.parquet, normal: label == 0}\n"
        "anomaly: {signal_region: 3 < m < 4}\n")
    read = recipe.load(tmp_path / "a.yaml").options
    assert isinstance(read, detect_anomaly.Options)
    assert (read.method, read.truth, read.anomaly.mass_column) == ("one-class", "not (label == 0)", "m")
    assert detect_anomaly.families(read, ()) == detect_anomaly.DEFAULT_FAMILIES


def test_a_search_of_a_signal_region_is_about_its_tail():
    from dataclasses import replace as with_

    example = detect_anomaly.EXAMPLE
    weak = with_(example, sizes={**example.sizes, "weakly": 1, "by_truth": 0})
    plain = with_(example, sizes={**example.sizes, "weakly": 0, "by_truth": 0})
    assert detect_anomaly.objective_for(weak) == "region_excess"
    assert detect_anomaly.objective_for(plain) == "stand_in_auc"
    assert detect_anomaly.refuse("region_excess", weak) is None
    assert "signal region" in detect_anomaly.refuse("region_excess", plain).text
