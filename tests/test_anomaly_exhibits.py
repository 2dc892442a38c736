"""What is shown of detectors of anomalies: every setting comes out whole, with words that say what holds, and is drawn."""

import json
from dataclasses import replace
from math import inf, isfinite, nan
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from automl_phys import (
    anomaly_ceilings,
    anomaly_exhibits,
    anomaly_explained,
    anomaly_figures,
    anomaly_injections,
    anomaly_tables,
    figures,
)
from automl_phys.anomaly_tables import Flag, Looked
from automl_phys.bump_hunt import Hunt
from automl_phys.checks import discovery_claimed, mass_sculpted
from automl_phys.contracts import Candidate, Replica
from automl_phys.exhibits import Estimate, Evaluation, Score
from automl_phys.tasks import detect_anomaly
from automl_phys.values import to_json

ROWS, ANOMALIES = 6000, 600
REGION = "m > 3 and m < 3.5"


def events(folder, sculpt=0.0):
    """Background of falling mass, anomalies at 3.25 with a shift in x; x depends on the mass by ``sculpt``."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [ROWS - ANOMALIES, ANOMALIES])
    mass = np.where(label, rng.normal(3.25, 0.08, ROWS), 2 + rng.exponential(0.8, ROWS))
    x = rng.normal(size=ROWS) + 3 * label + sculpt * (mass - 2)
    parquet.write_table(pa.table({
        "m": mass, "x": x, "y": rng.normal(size=ROWS), "kind": rng.choice(["a", "b"], ROWS), "label": label}),
        folder / "events.parquet")


def problem(folder, data=None, anomaly=None, sculpt=0.0):
    events(folder, sculpt)
    asked = detect_anomaly.Options.model_validate({
        "data": {"path": "events.parquet", "features": ["x", "y", "kind"], "categorical": ["kind"], **(data or {})},
        "anomaly": {"signal_region": REGION, "background_efficiency": 0.05, "injections": [0, 0.05], "draws": 2,
                    **(anomaly or {})}})
    return detect_anomaly.prepare(asked, folder, folder / "problem", 3)


def by_x(rows):
    """A detector that looks at the one feature that tells anomalies apart."""
    return rows.numbers[:, 0].astype(np.float32)


def by_y(rows):
    return np.abs(rows.numbers[:, 1]).astype(np.float32)


def candidates(made, winner=by_x, baseline=by_y, replicas=()):
    return (Candidate("mixture density (trial 2)", "winner", {"train": winner(made.train), "test": winner(made.test)},
                      winner, 2.0, replicas=replicas),
            Candidate("best pca error", "member", {"test": baseline(made.test) + winner(made.test)},
                      lambda rows: baseline(rows) + winner(rows)),
            Candidate("isolation forest baseline", "baseline", {"test": baseline(made.test)}, baseline))


def evaluated(made, objective="stand_in_auc", **more):
    valid = made.valid
    found = candidates(made, **more)
    calibration = detect_anomaly.calibrate(made, valid, found[0].predict(valid))
    return detect_anomaly.evaluate(made, found, objective, calibration, 0)


def tables(evaluation):
    return {table.title: table for table in evaluation.tables}


@pytest.fixture(scope="module")
def one_class(tmp_path_factory):
    made = problem(tmp_path_factory.mktemp("one"), {"normal": "label == 0"})
    replicas = tuple(Replica(one.variation, 0.7, None, by_x) for one in made.resamples(4, 0))
    return made, evaluated(made, replicas=replicas)


# ---------------------------------------------------------------- the settings

def test_all_that_is_measured_with_truth_is_there(one_class):
    _, found = one_class
    assert list(found.metrics)[:2] == ["roc_auc", "max_sic"]
    wanted = {"stand_in_auc", "roc_auc", "average_precision", "max_sic", "rejection@0.1", "rejection@0.3", "rejection@0.5",
              "background_efficiency", "signal_efficiency", "supervised_auc", "supervised_max_sic", "idealised_auc",
              "idealised_max_sic", "mass_sculpting@0.1", "mass_sculpting@0.05", "local_significance",
              "local_significance/normal events alone"}
    assert wanted <= set(found.metrics)
    assert set(tables(found)) == {"Leaderboard", "Detectors on true anomalies", "The flag", "Agreement of detectors",
                                  "Injection scan", "Mass sculpting", "Bump hunt", "Most anomalous events"}
    assert {figure.name for figure in found.figures} == {
        "score", "roc", "sic", "injections", "injections-significance", "mass-cut", "mass-sculpting", "bump", "bump-before",
        "bump-normal"}
    assert "inf" not in json.dumps(to_json(replace(found, metrics={}, scores=(), sweep=None)))


def test_a_flag_lets_the_stated_share_of_normal_events_pass(one_class):
    _, found = one_class
    efficiency = found.metrics["background_efficiency"]
    assert 0.03 < efficiency.low < efficiency.value < efficiency.high < 0.07
    assert found.metrics["signal_efficiency"].value > 0.8


def test_the_flag_is_a_threshold_that_can_be_moved(one_class):
    _, found = one_class
    sweep = found.sweep
    for one, name in zip(sweep.measured, ("signal_efficiency", "background_efficiency"), strict=False):
        told, place = found.metrics[name], sweep.marks["the flag"]
        assert (one.values[place], one.low[place], one.high[place]) == pytest.approx((told.value, told.low, told.high))
        assert sweep.start == place


def test_the_verdict_says_what_was_seen_and_by_what_it_was_chosen(one_class):
    _, found = one_class
    for said in ("at a background efficiency of 5 % (measured ", "of the anomalies are flagged", "supervised ceiling",
                 "Beside the isolation forest baseline: ROC AUC better by", "local significance of", "% of them anomalies",
                 "The normal events alone:", "no true anomaly was seen by the search"):
        assert said in found.verdict, found.verdict


def test_every_figure_is_drawn(one_class):
    for figure in one_class[1].figures:
        assert figures.svg(figure).startswith("<svg"), figure.name
        assert figure.caption


def test_ceilings_are_above_and_never_trained_on_test_events(one_class):
    made, found = one_class
    assert found.metrics["supervised_auc"].value > 0.97
    assert found.metrics["idealised_auc"].value > 0.8
    one, other = anomaly_ceilings.ceilings(made, 0)
    assert one.text == f"{3240 + 1080} normal events against {len(made.spare)} true anomalies"
    assert "other normal events" in other.text
    shuffled = made.test.labelled(np.random.default_rng(0).permutation(made.test.target))
    again = SimpleNamespace(truth=made.truth, train=made.train, valid=made.valid, held_out=made.held_out, spare=made.spare, test=shuffled,
                            method=made.method)
    np.testing.assert_array_equal(anomaly_ceilings.ceilings(again, 0)[0].score, one.score)


def test_the_injection_scan_shows_every_fit(one_class):
    made, found = one_class
    shown = tables(found)["Injection scan"]
    assert [row[:2] for row in shown.rows] == [("0 %", 2), ("5 %", 2)]
    assert 0.7 < float(str(shown.rows[0][2]).split()[0]) <= 1
    scan = anomaly_injections.scan(made, (), None, 1.0, 0)
    assert scan == ()
    assert anomaly_figures.injections(scan) == ()


def test_events_are_thinned_to_the_fraction_asked_for():
    target = np.repeat([0, 1], [900, 400])
    some = anomaly_injections.thinned(target, 0.1, 0)
    assert target[some].mean() == pytest.approx(0.1)
    assert (target[some] == 0).sum() == 900
    assert np.array_equal(anomaly_injections.thinned(target, 0.9, 0), np.arange(1300)), "no more than there are"


def test_without_truth_nothing_is_said_of_it(tmp_path):
    made = problem(tmp_path, anomaly={"method": "unlabelled", "background_efficiency": 0.2})
    found = evaluated(made)
    assert not {"roc_auc", "max_sic", "supervised_auc", "background_efficiency"} & set(found.metrics)
    assert {"flagged", "stand_in_auc", "local_significance"} <= set(found.metrics)
    assert "is not known" in found.verdict
    assert "Detectors on true anomalies" not in tables(found)
    assert not {"roc", "sic"} & {figure.name for figure in found.figures}
    assert found.sweep is None
    assert "Truth" not in tables(found)["Most anomalous events"].head
    assert discovery_claimed.check(SimpleNamespace(evaluation=found))[0] == "tip", "600 anomalies of 6000 are a bump"


def test_weak_supervision_looks_for_the_bump_in_all_events(tmp_path):
    made = problem(tmp_path, {"truth": "label == 1"}, {"inject": 0.05})
    assert made.method == "weakly-supervised"
    found = evaluated(made)
    assert tables(found)["Bump hunt"].rows[0][0].startswith("all events")
    hunted = anomaly_injections.hunted(made)
    assert len(hunted) == len(made.train) + len(made.truth("valid")) + len(made.test)
    assert (hunted.weight == 1).all(), "weights by which models are compared are not those of the data"
    assert hunted.target.sum() == sum(made.truth(part).sum() for part in ("train", "valid", "test"))
    assert "told from the sidebands" in found.verdict
    assert "in the signal region" in tables(found)["Detectors on true anomalies"].note


def test_what_is_chosen_by_truth_says_so(tmp_path):
    made = problem(tmp_path, {"normal": "label == 0"}, {"choose_by": "truth", "injections": []})
    found = evaluated(made, "max_sic")
    assert "as the recipe asks: the search has seen those" in found.verdict
    assert "stand_in_auc" not in found.metrics
    assert found.scores[0].better_than_baseline.value > 0


def test_without_a_mass_there_is_no_bump(tmp_path):
    made = problem(tmp_path, {"normal": "label == 0"}, {"signal_region": None})
    found = evaluated(made)
    assert "Bump hunt" not in tables(found)
    assert not [name for name in found.metrics if name.startswith(("mass", "local"))]
    for check in (mass_sculpted, discovery_claimed):
        assert check.check(SimpleNamespace(evaluation=found))[0] == "not applicable"


def test_a_winner_that_is_the_baseline_is_told_so(tmp_path):
    made = problem(tmp_path, {"normal": "label == 0"})
    found = evaluated(made, winner=by_x, baseline=by_x)
    assert "It does just what the isolation forest baseline does" in found.verdict


def test_a_worse_winner_is_told_so(tmp_path):
    made = problem(tmp_path, {"normal": "label == 0"})
    found = evaluated(made, winner=by_y, baseline=by_x)
    assert "use that one" in found.verdict
    assert "ROC AUC worse by" in found.verdict


# ---------------------------------------------------------------- checks

def test_a_score_of_the_mass_is_found_to_sculpt(tmp_path):
    made = problem(tmp_path, {"normal": "label == 0"}, sculpt=2.0)
    found = evaluated(made)
    outcome, text = mass_sculpted.check(SimpleNamespace(evaluation=found))
    assert outcome == "issue"
    assert "random cuts come to" in text


def test_a_score_that_knows_nothing_of_the_mass_passes(one_class):
    seen = SimpleNamespace(evaluation=one_class[1])
    assert mass_sculpted.check(seen) == ("passed", "")
    assert discovery_claimed.check(seen) == ("passed", "")


@pytest.mark.parametrize(("alone", "outcome"), [(0.3, "passed"), (-4.0, "passed"), (2.4, "tip"), (3.5, "issue"), (nan, "passed")])
def test_a_bump_of_normal_events_alone_is_no_discovery(alone, outcome):
    metrics = {"local_significance": Estimate(6.0, nan, nan), "local_significance/normal events alone": Estimate(alone, nan, nan)}
    assert discovery_claimed.check(SimpleNamespace(evaluation=Evaluation("", metrics)))[0] == outcome


def test_a_hunt_that_could_not_be_made_says_why():
    metrics = {"local_significance": Estimate(nan, nan, nan, "too few events")}
    assert discovery_claimed.check(SimpleNamespace(evaluation=Evaluation("", metrics))) == (
        "not applicable", "No bump was looked for: too few events.")


# ---------------------------------------------------------------- explanations

def test_the_feature_that_makes_an_event_odd_is_named(one_class):
    made, found = one_class
    for one in anomaly_explained.most_anomalous(made, by_x(made.test), by_x, 0):
        assert one.causes[0].feature == "x"
        assert one.causes[0].drop > 2
        assert len(one.causes) == 1, "no other feature is looked at"
    shown = tables(found)["Most anomalous events"]
    assert len(shown.rows) == anomaly_explained.EVENTS
    assert [row[1] for row in shown.rows] == sorted((row[1] for row in shown.rows), reverse=True)
    labels = parquet.read_table(made.folder.parent / "events.parquet")["label"].to_numpy()
    assert all(("anomaly" if labels[row[0]] else "normal") == row[3] for row in shown.rows)


def test_a_category_can_be_the_reason(one_class):
    made, _ = one_class

    def by_kind(rows):
        return rows.categories[:, 0].astype(np.float32)

    odd = anomaly_explained.most_anomalous(made, by_kind(made.test), by_kind, 0, count=3)
    assert all(one.causes[0].feature == "kind" and one.causes[0].value == "b" for one in odd)
    assert " in 5" in odd[0].causes[0].usual


def test_images_are_shown(tmp_path):
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [500, 60])
    images = rng.random((560, 6, 6)).astype(np.float32) + label[:, None, None]
    np.savez(tmp_path / "images.npz", images=images, label=label)
    asked = detect_anomaly.Options.model_validate({"data": {"path": "images.npz", "images": "images", "normal": "label == 0"},
                                                   "anomaly": {"background_efficiency": 0.05, "injections": []}})
    made = detect_anomaly.prepare(asked, tmp_path, tmp_path / "problem", 3)

    def bright(rows):
        return rows.images.mean(axis=(1, 2, 3)).astype(np.float32)

    found = evaluated(made, winner=bright, baseline=bright)
    pictures = next(figure for figure in found.figures if figure.kind == "pictures")
    assert len(pictures.pictures) == anomaly_explained.EVENTS
    assert "anomaly" in pictures.pictures[0].title
    assert tables(found)["Most anomalous events"].rows[0][-1] == "no single feature"


# ---------------------------------------------------------------- words

def score(auc, sic):
    return Score("vae error (trial 1)", "winner", {"roc_auc": auc, "max_sic": sic})


FLAG = Flag(0.01, 2.0, 4000, {"background_efficiency": Estimate(0.0105, 0.0091, 0.012),
                              "signal_efficiency": Estimate(0.041, 0.035, 0.047)})


def test_a_cut_that_improves_nothing_is_called_so():
    poor, good = (score(Estimate(0.5, 0.48, 0.52), sic) for sic in (Estimate(1.02, 0.98, 1.1), Estimate(1.31, 1.26, 1.36)))
    gains = {"roc_auc": Estimate(0.0, -0.01, 0.01)}
    said, other = (anomaly_tables.verdict(one, "baseline", FLAG, gains, "roc_auc", "") for one in (poor, good))
    assert "No cut on the score surely improves the significance" in said
    assert "No cut" not in other
    assert "(measured 1.05 ± 0.14 %) 4.10 ± 0.60 % of the anomalies are flagged" in other
    assert "cannot tell the two apart" in other


def test_gains_of_either_sign_are_both_told():
    gains = {"roc_auc": Estimate(0.05, 0.04, 0.06), "max_sic": Estimate(-0.4, -0.5, -0.3)}
    said = anomaly_tables.verdict(score(Estimate(0.7, 0.69, 0.71), Estimate(1.3, 1.2, 1.4)), "baseline", FLAG, gains,
                                  "roc_auc", "")
    assert "Beside the baseline: ROC AUC better by 0.050 ± 0.010 (5.0 σ), max. significance improvement worse by " in said
    assert "use that one" not in said


def hunted(significance=1.0, chi2=5.0):
    from scipy.stats import norm

    from automl_phys.bump_hunt import Window

    p = norm.sf(significance)
    edges = np.arange(13.0)
    bins = np.ones(12)
    return Hunt(Window(edges, (edges[:-1] >= 4) & (edges[:-1] < 8)), bins, bins, bins, bins, bins, 2, chi2, 5, 4.0,
                Estimate(4.0, 3.0, 5.0), p, p)


def test_a_fit_that_fails_is_not_to_be_believed():
    assert "do not believe that" in anomaly_tables.in_words(hunted(5.0, chi2=60.0))
    assert "do not believe" not in anomaly_tables.in_words(hunted(5.0))
    assert "−1.0 σ" in anomaly_tables.in_words(hunted(-1.0))


def test_a_bump_of_normal_events_is_named_in_the_verdict():
    looked = [Looked("test events", "no cut", hunted(3)), Looked("test events", "flagged", hunted(6)),
              Looked("normal events alone", "no cut", hunted(0)), Looked("normal events alone", "flagged", hunted(4))]
    said = anomaly_tables.bump_verdict(looked)
    assert "6.0 σ" in said
    assert said.endswith("The normal events alone: 4.0 σ, a bump where there is nothing.")
    assert "local" in anomaly_tables.bumps(looked).note
    none = anomaly_tables.bump_verdict([Looked("test events", "flagged", "too few are left")])
    assert none == "Bump hunt after the cut, test events: too few are left."
    assert anomaly_tables.bumps([Looked("test events", "flagged", "too few are left")]).rows[0][-1] == "too few are left"


def test_significances_of_any_size_are_finite():
    assert isfinite(hunted(200.0).significance)
    assert hunted(-200.0).significance > -inf


def test_a_score_that_is_the_same_for_all_is_shown_too():
    figure = anomaly_figures.scores(None, np.ones(50), np.ones(50), 1.0, 0.01)
    assert figures.svg(figure).startswith("<svg")
    assert anomaly_tables.agreement({"a": np.ones(5), "b": np.arange(5.0)}, 0.2).rows[0][1] != 0
    assert anomaly_tables.agreement({"a": np.ones(5)}, 0.2) is None
    assert anomaly_exhibits.NORMAL_ALONE in "normal events alone"
