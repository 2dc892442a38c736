"""Each check finds what it is for, passes what is well, and says when it does not apply."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from fixtures import made_series
from pyarrow import parquet

from automl_phys import diagnose, local_models, registry
from automl_phys.contracts import Seen
from automl_phys.decisions import Chosen, Plan
from automl_phys.errors import RunError
from automl_phys.exhibits import Axis, Estimate, Evaluation, Figure, Score, Series
from automl_phys.facts import Range
from automl_phys.tasks import classify, detect_anomaly
from automl_phys.trials import Ensemble, Job, Member, Result, Trial

METRICS = {
    "log_loss": Estimate(0.5, 0.49, 0.51), "train_gap": Estimate(0.001, -0.009, 0.011),
    "overtraining_p": Estimate(0.4, np.nan, np.nan), "calibration_error": Estimate(0.01, 0.005, 0.015),
    "calibration_p": Estimate(0.3, np.nan, np.nan),
}
NOT_OF_PLAIN_TABLES = ("adversarial_divergence", "contaminated", "density_not_preserved", "discovery_claimed", "intervals_off",
                       "mass_sculpted", "memorisation", "mode_collapse", "much_noise", "no_structure", "season_does_better",
                       "seeds_disagree", "simpler_models", "still_learning", "unstable_clusters", "weight_sums")
SPACE = {"C": Range(1e-3, 1e3, log=True), "dropout": Range(0.0, 0.5), "kind": Range(choices=("a", "b"))}


def table(folder, share=0.5, rows=1200, seed=0, **more):
    rng = np.random.default_rng(seed)
    label = (rng.uniform(size=rows) < share).astype(int)
    columns = {"mass": rng.normal(size=rows) + label, "pt": rng.normal(size=rows), "label": np.array(["b", "s"])[label]}
    columns |= {name: make(label, rng) for name, make in more.items()}
    texts = [name for name in more if columns[name].dtype.kind == "U"]
    parquet.write_table(pa.table(columns), folder / "events.parquet")
    options = classify.Options.model_validate({"data": {
        "path": str(folder / "events.parquet"), "target": "label", "categorical": texts}})
    return classify.prepare(options, folder, folder / "problem", 0)


def trial(number, status="done", message=""):
    job = Job(number, "linear", {"C": 1.0}, 0, 1, "cpu", "log_loss", "minimize", "classify", "")
    return Trial(job, Result(number, status, 0.5 if status == "done" else None, 1.0, message))


@pytest.fixture
def seen(tmp_path):
    problem = table(tmp_path)
    plan = Plan("x", "classify", problem.facts(), (Chosen("linear", "", 1, SPACE, ()),), {}, "linear", "log_loss", "minimize",
                10, None, None, "tpe", "none", 1, 0, False, 1, 0, "inline", 1, 1, ("cpu",), 100, "jax", 0, ())
    member = Member("linear", 3, 1.0, {"C": 1.0, "dropout": 0.2, "kind": "a"}, ("m",))
    winner = Score("w", "winner", METRICS, Estimate(0.1, 0.09, 0.11))
    return Seen(plan, tuple(trial(n) for n in range(10)), Ensemble((member,), {"baseline": member}, "log_loss", 0.5),
                Evaluation("", METRICS, (winner,)), problem)


def outcome(name, seen):
    return diagnose.finding(registry.load("checks", name), seen)


def with_metrics(seen, **changed):
    return replace(seen, evaluation=replace(seen.evaluation, metrics=METRICS | changed))


def with_gain(seen, *gain):
    score = replace(seen.evaluation.scores[0], better_than_baseline=Estimate(*gain))
    return replace(seen, evaluation=replace(seen.evaluation, scores=(score,)))


def with_params(seen, **params):
    member = seen.ensemble.members[0]
    return replace(seen, ensemble=replace(seen.ensemble, members=(replace(member, params={**member.params, **params}),)))


@pytest.mark.parametrize("name", registry.names("checks"))
def test_a_healthy_run_passes(name, seen):
    found = outcome(name, seen)
    if name in NOT_OF_PLAIN_TABLES:
        assert found.outcome == "not applicable"
        assert found.text
    else:
        assert (found.outcome, found.text) == ("passed", "")


def test_codes_are_unique():
    codes = [registry.load("checks", name).CODE for name in registry.names("checks")]
    assert len(set(codes)) == len(codes)
    assert all(code.startswith("C-") for code in codes)


def test_overfit(seen):
    assert outcome("overfit", with_metrics(seen, train_gap=Estimate(0.4, 0.39, 0.41))).outcome == "issue"
    assert outcome("overfit", with_metrics(seen, train_gap=Estimate(0.05, 0.04, 0.06))).outcome == "tip"
    assert outcome("overfit", with_metrics(seen, overtraining_p=Estimate(1e-4, np.nan, np.nan))).outcome == "tip"
    none = replace(seen, evaluation=replace(seen.evaluation, metrics={}))
    assert outcome("overfit", none).outcome == "not applicable"


def test_worse_than_baseline(seen):
    assert outcome("worse_than_baseline", with_gain(seen, -0.1, -0.11, -0.09)).outcome == "issue"
    assert outcome("worse_than_baseline", with_gain(seen, 0.01, -0.01, 0.03)).outcome == "tip"
    assert outcome("worse_than_baseline", with_gain(seen, -0.03, -0.05, -0.01)).outcome == "tip", "1.5 σ"
    assert outcome("worse_than_baseline", with_gain(seen, 0.0, 0.0, 0.0)).outcome == "tip", "the baseline itself"
    assert outcome("worse_than_baseline", with_gain(seen, 0.05, 0.03, 0.07)).outcome == "passed"
    alone = replace(seen, evaluation=replace(seen.evaluation, scores=()))
    assert outcome("worse_than_baseline", alone).outcome == "not applicable"


def test_season_does_better(seen):
    def found(*skill):
        return outcome("season_does_better", with_metrics(seen, skill_seasonal=Estimate(*skill))).outcome

    assert (found(-0.1, -0.2, 0.0), found(0.1, -0.1, 0.3), found(0.5, 0.4, 0.6)) == ("issue", "tip", "passed")


def test_intervals_off(seen):
    series = replace(seen, plan=replace(seen.plan, facts=replace(seen.plan.facts, kind="series")))

    def found(*coverage):
        return outcome("intervals_off", with_metrics(series, **{"coverage@0.95": Estimate(*coverage)}))

    assert found(0.93, 0.9, 0.96).outcome == "passed"
    assert found(0.8, 0.7, 0.9).outcome == "passed", "within two standard deviations"
    assert "hold 80.0% ± 2.0%" in found(0.8, 0.78, 0.82).text and "trust the intervals less" in found(0.8, 0.78, 0.82).text
    assert "safe side" in outcome("intervals_off", with_metrics(
        series, **{"coverage@0.68": Estimate(0.9, 0.89, 0.91)})).text
    assert found(0.5, np.nan, np.nan).outcome == "tip"


def test_simpler_models(seen, tmp_path):
    def saved(name, simpler):
        model = local_models.Repeated(1, 0.0)
        kept = {(code, 0): local_models.Kept(0, local_models.Transform(), model, np.zeros((2, 11)), simpler.get(code, ""))
                for code in range(1, 7)}
        local_models.Local(local_models.NAIVE, {}, 1, kept).save(tmp_path / name)
        return Member("ets", 1, 1.0, {}, (name,))

    def found(*members, baseline):
        return outcome("simpler_models", replace(seen, problem=problem, ensemble=replace(
            seen.ensemble, members=members, singles={"baseline": baseline})))

    problem = made_series.make(tmp_path / "problem", np.random.default_rng(0).normal(size=(6, 60, 1)), horizon=2)
    sound = saved("trials/1/model", {})
    walk = "a random walk (ValueError: no)"
    whole, few = saved("model/2/0", dict.fromkeys((1, 2, 3, 5), walk)), saved("model/2/1", {2: walk, 6: "another (why)"})
    network = Member("lstm", 3, 1.0, {}, ("trials/3/model",))
    assert found(sound, network, baseline=sound).outcome == "passed"
    said = found(sound, network, replace(whole, folders=whole.folders + few.folders), baseline=sound)
    assert said.outcome == "tip"
    assert f"ets is {walk} for y0 of s0, y0 of s1, y0 of s2, 1 more: 4 of 6; ets is another (why) for y0 of s5: 1 of 6." in said.text
    assert found(sound, baseline=replace(few, family="arima")).outcome == "tip", "told of what the winner is held against"


@pytest.mark.parametrize(("params", "said"), [({"C": 1e-3}, "lower"), ({"C": 950.0}, "upper"), ({"dropout": 0.5}, "upper"),
                                              ({"dropout": 0.0}, ""), ({"C": 1.0}, ""), ({"kind": "b"}, "")])
def test_edge_of_space(seen, params, said):
    found = outcome("edge_of_space", with_params(seen, **params))
    assert (found.outcome == "tip") == bool(said)
    assert said in found.text


def test_class_imbalance(seen, tmp_path):
    rare = replace(seen, problem=table(tmp_path, share=0.03))
    assert outcome("class_imbalance", rare).outcome == "tip"
    blind = outcome("class_imbalance", replace(rare, plan=replace(seen.plan, objective="accuracy")))
    assert blind.outcome == "issue"
    assert "balanced_accuracy" in blind.text


@pytest.mark.parametrize(("name", "make", "expected"), [
    ("answer", lambda y, rng: y + 0.01 * rng.normal(size=len(y)), "issue"),
    ("inverse", lambda y, rng: -y + 0.01 * rng.normal(size=len(y)), "issue"),
    ("process", lambda y, rng: np.array(["ttbar", "qcd"])[y], "issue"),
    ("own_name", lambda y, rng: np.array([f"event {i % 150}" for i in range(len(y))]), "passed"),
    ("truth_pt", lambda y, rng: rng.normal(size=len(y)), "tip"),
    ("pdgId", lambda y, rng: rng.normal(size=len(y)), "tip"),
    ("mc_pt", lambda y, rng: rng.normal(size=len(y)), "tip"),
    ("generosity", lambda y, rng: rng.normal(size=len(y)), "passed"),
])
def test_leakage_by_a_feature(seen, tmp_path, name, make, expected):
    found = outcome("leakage", replace(seen, problem=table(tmp_path, **{name: make})))
    assert found.outcome == expected
    assert (name in found.text) == (expected != "passed")


def test_a_condition_that_events_are_generated_for_is_no_leak(seen, tmp_path):
    problem = table(tmp_path, truth_pt=lambda y, rng: rng.normal(size=len(y)))
    schema = replace(problem.schema, settings={"condition": ["truth_pt"]})
    given = replace(problem, stored=replace(problem.stored, schema=schema))
    assert outcome("leakage", replace(seen, problem=given)).outcome == "passed"


def test_leakage_by_copies_across_the_split(seen, tmp_path):
    problem = table(tmp_path)
    test = problem.test
    numbers = test.numbers.copy()
    numbers[:30] = problem.train.numbers[:30]
    problem.__dict__["test"] = replace(test, numbers=numbers)
    found = outcome("leakage", replace(seen, problem=problem))
    assert found.outcome == "issue"
    assert f"{30 / len(test):.2%}" in found.text


def test_failed_trials(seen):
    one = replace(seen, trials=(*seen.trials, trial(10, "failed", "ValueError: too deep")))
    assert outcome("failed_trials", one).outcome == "tip"
    assert "too deep" in outcome("failed_trials", one).text
    assert outcome("failed_trials", replace(seen, trials=one.trials[-2:])).outcome == "issue"
    assert outcome("failed_trials", replace(seen, trials=())).outcome == "not applicable"


def test_miscalibrated(seen):
    off = with_metrics(seen, calibration_error=Estimate(0.1, 0.09, 0.11), calibration_p=Estimate(1e-9, np.nan, np.nan))
    assert outcome("miscalibrated", off).outcome == "tip"
    slight = with_metrics(seen, calibration_p=Estimate(1e-9, np.nan, np.nan))
    assert outcome("miscalibrated", slight).outcome == "passed"


def test_few_test_events(seen, tmp_path):
    assert outcome("few_test_events", replace(seen, problem=table(tmp_path, share=0.1))).outcome == "tip"
    assert outcome("few_test_events", replace(seen, problem=table(tmp_path, share=0.02))).outcome == "issue"


def test_a_check_that_cannot_be_run_is_told_of(seen):
    class Broken:
        CODE, TITLE = "C-X", "x"

        def __init__(self, error):
            self.error = error

        def check(self, seen):
            raise self.error

    found = diagnose.finding(Broken(KeyError("gone")), seen)
    assert found.outcome == "not applicable"
    assert "could not be run" in found.text and "gone" in found.text
    with pytest.raises(TypeError):  # a bug of ours is not hidden
        diagnose.finding(Broken(TypeError("bug")), seen)
    assert RunError([]).exit_code == 1


# ---------------------------------------------------------------- sums of weights

def weighted(folder, weight, **data):
    """A table of two classes; ``weight`` makes the weights of the labels (n,)."""
    rng = np.random.default_rng(0)
    label = np.arange(2000) % 2
    columns = {"mass": rng.normal(size=2000) + label, "pt": rng.uniform(0, 100, 2000), "run": np.arange(2000) // 20,
               "day": np.arange(2000), "w": weight(label, rng), "label": np.array(["b", "s"])[label]}
    parquet.write_table(pa.table(columns), folder / "events.parquet")
    options = classify.Options.model_validate({"data": {
        "path": str(folder / "events.parquet"), "target": "label", "weight": "w", "features": ["mass", "pt"], **data}})
    return classify.prepare(options, folder, folder / "weighted", 0)


def test_random_weights_split_at_random_pass(tmp_path, seen):
    problem = weighted(tmp_path, lambda label, rng: rng.uniform(0.5, 1.5, len(label)))
    found = outcome("weight_sums", replace(seen, problem=problem))
    assert (found.outcome, found.text) == ("passed", "")


def test_without_weights_there_is_nothing_to_say(seen):
    assert outcome("weight_sums", seen).outcome == "not applicable"


def test_a_cut_that_takes_weight_away_is_told_by_class(tmp_path, seen):
    problem = weighted(tmp_path, lambda label, rng: np.ones(len(label)), cut="pt < 50 or label == 's'")
    found = outcome("weight_sums", replace(seen, problem=problem))
    assert found.outcome == "tip" and "s (" not in found.text and "s 1" not in found.text
    low, high = float(found.text.partition("b ")[2].partition("%")[0]), 50
    assert low == pytest.approx(high, abs=4)


def test_a_split_by_time_of_weights_that_drift_is_told(tmp_path, seen):
    problem = weighted(tmp_path, lambda label, rng: np.linspace(0.5, 1.5, len(label)), time="day", split={"by": "time"})
    found = outcome("weight_sums", replace(seen, problem=problem))
    assert found.outcome == "tip" and "b in train" in found.text and "s in test" in found.text


def test_a_class_without_weight_in_the_test_is_an_issue(tmp_path, seen):
    def weight(label, rng):
        return np.where((np.arange(len(label)) >= 1600) & (label == 1), -0.1, 1.0)

    problem = weighted(tmp_path, weight, time="day", split={"by": "time"})
    found = outcome("weight_sums", replace(seen, problem=problem))
    assert found.outcome == "issue" and "s in test" in found.text


# ---------------------------------------------------------------- anomalies

def sought(folder, label, anomaly, **more):
    """A run that seeks anomalies among events of four columns."""
    rng = np.random.default_rng(0)
    rows = len(label)
    columns = {name: rng.normal(size=rows) for name in "abcd"} | {"m": rng.uniform(2, 5, rows), "label": label} | more
    parquet.write_table(pa.table(columns), folder / "odd.parquet")
    data = {"path": "odd.parquet", "features": list("abcd"), **anomaly.pop("data")}
    options = detect_anomaly.Options.model_validate({"data": data, "anomaly": anomaly})
    return detect_anomaly.prepare(options, folder, folder / "odd", 0)


@pytest.mark.parametrize(("anomaly", "told"), [
    ({"data": {"truth": "label == 1"}, "method": "unlabelled"}, ("issue", "are anomalies by the truth")),
    ({"data": {"truth": "label == 1"}, "method": "unlabelled", "inject": 0.0}, ("passed", "")),
    ({"data": {"normal": "label == 0"}}, ("passed", "")),
    ({"data": {"normal": "m < 4", "truth": "label == 1"}}, ("issue", "are anomalies by the truth")),
    ({"data": {"truth": "label == 1"}, "signal_region": "m > 3 and m < 4"}, ("not applicable", "weakly supervised")),
    ({"data": {}}, ("passed", "")),
])
def test_anomalies_in_the_training_sample_are_found(seen, tmp_path, anomaly, told):
    label = (np.arange(2000) % 10 == 0).astype(int)
    found = outcome("contaminated", replace(seen, problem=sought(tmp_path, label, anomaly)))
    assert found.outcome == told[0]
    assert told[1] in found.text


def test_training_events_unlike_all_others_are_found_without_a_truth(seen, tmp_path):
    rng = np.random.default_rng(1)
    label = (np.arange(2000) % 100 == 0).astype(int)
    far = {name: rng.normal(size=2000) + 30 * label for name in "ab"}
    found = outcome("contaminated", replace(seen, problem=sought(tmp_path, label, {"data": {}}, **far)))
    assert (found.outcome, found.text[:5]) == ("tip", "1.00%")


def with_series(seen, name, *values):
    """With a figure of agents."""
    metrics = {"mean_return": Estimate(400.0, 390, 410), "gain_over_random": Estimate(380.0, 370, 390)}
    figure = Figure(name, "", "xy", Axis(""), Axis(""), (Series("best actions", "line", *values),))
    return replace(seen, evaluation=Evaluation("", metrics, (), (), (figure,)))


def test_seeds_disagree(seen):
    def of(means, error):
        low, high = (tuple(mean + sign * error for mean in means) for sign in (-1, 1))
        return outcome("seeds_disagree", with_series(seen, "trainings", tuple(range(len(means))), means, low, high))

    found = of((500.0, 495.0, 120.0), 8.0)
    assert found.outcome == "tip"
    assert "came to 120 ± 8 in training 3 and to 500 ± 8 in training 1" in found.text
    assert of((500.0, 480.0, 460.0), 8.0).outcome == "passed"  # a tenth of what was gained
    assert of((500.0, 495.0, 120.0), 150.0).outcome == "passed"  # the luck of the episodes
    assert outcome("seeds_disagree", seen).outcome == "not applicable"


def test_still_learning(seen):
    def of(*means, band=1.0):
        steps = tuple(float(i) for i in range(1, len(means) + 1))
        return outcome("still_learning", with_series(seen, "learning", steps, means, tuple(m - band for m in means),
                                                     tuple(m + band for m in means)))

    found = of(10.0, 100.0, 200.0, 300.0, 350.0, 400.0)
    assert found.outcome == "tip"
    assert "still rose by 100 of 390" in found.text
    assert of(10.0, 100.0, 400.0, 490.0, 500.0, 500.0).outcome == "passed"
    assert of(10.0, 100.0, 200.0, 300.0, 350.0, 400.0, band=120.0).outcome == "passed"
    assert of(-100.0, 500.0, 500.0, 500.0, 400.0, 300.0).outcome == "passed"
    assert outcome("still_learning", seen).outcome == "not applicable"
