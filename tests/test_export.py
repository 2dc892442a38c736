"""Finished runs in other programs' files: each is read in a fresh process, and refused where it does not agree."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from automl_phys import cli, export, onnx_expressions, onnx_graph, pipeline, recipe, registry, rundir
from automl_phys.errors import CallError, RunError
from automl_phys.expressions import evaluate, parse
from automl_phys.rundir import RunDir
from automl_phys.trials import Ensemble, Job, Member

onnxruntime = pytest.importorskip("onnxruntime")

ROWS = 500
MLP = {"layers": [16], "epochs": 2, "batch_size": 64, "frequencies": 4, "dropout": 0.0}
TREES = {"learning_rate": 0.3, "num_leaves": 7, "min_child_samples": 5}
SMALL = {"mlp": MLP, "boosted_trees": TREES, "extra_trees": {"trees": 10}, "linear": {}, "cnn": {
    "filters": 8, "stages": 2, "units": 16, "epochs": 2, "batch_size": 64}}


def table(gaps=False, texts=True, seed=0):
    """Events of three classes with a mass, weights, a detector by name and a run number."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, 3))
    pt = np.exp(rng.normal(5, 0.5, ROWS))
    detector = rng.choice(["barrel", "endcap", "forward"], ROWS).astype(object)
    told = x[:, 0] + x[:, 1] * x[:, 2] + (detector == "endcap")
    columns = {"px": x[:, 0] * 30, "py": x[:, 1] * 30, "eta": x[:, 2], "pt": pt}
    if gaps:
        columns["eta"] = np.where(rng.random(ROWS) < 0.1, np.nan, columns["eta"])
        detector[rng.random(ROWS) < 0.05] = None
    names = {"detector": pa.array(detector, pa.string()), "run": pa.array(rng.integers(3, 7, ROWS))} if texts else {}
    return pa.table({
        **columns, **names, "label": np.array(["qcd", "w", "top"])[np.digitize(told, [-0.5, 0.7])],
        "m": told * 20 + 100, "q": x[:, 1] - pt / 100, "weight": rng.uniform(0.5, 1.5, ROWS)})


def finished(folder: Path, members, data, rows=None, task="classify", more=None, changed=None):
    """A run as ``automl-phys run`` leaves it, without the search: each member a family, its weight and its models."""
    source = {"path": "events.parquet"}
    if rows is not False:
        parquet.write_table(table() if rows is None else rows, folder / "events.parquet")
    else:
        source = {}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({
        "recipe": 1, "name": "events", "task": task, "data": {**source, **data}, **(more or {})}), encoding="utf-8")
    wanted = recipe.load(folder / "recipe.yaml")
    run = RunDir(folder / "run")
    run.path.mkdir()
    plan = pipeline.make_plan(wanted)
    rundir.write_json(run.plan, plan)
    rundir.write_text(run.recipe, recipe.dump(wanted))
    module = registry.load("tasks", task)
    problem = module.prepare(wanted.options, wanted.folder, run.problem, 1)
    fitted = []
    for i, (word, weight, count) in enumerate(members):
        family = registry.load("families", word)
        params = {**family.defaults(problem.facts())[0], **SMALL[word], **(changed or {})}
        folds = problem.resamples(count, 1) if count > 1 else [problem]
        folders = []
        for k, part in enumerate(folds):
            steps = 8 if word == "boosted_trees" else 0
            job = Job(number=i, family=word, params=params, seed=k, threads=1, device="cpu", objective=plan.objective,
                      direction=plan.direction, task=task, run_dir=str(run.path), steps=steps)
            model = family.fit(part, params, job, lambda step, predictions: None)
            folders.append(f"model/fits/{i:05d}-{k}/model")
            model.save(run.path / folders[-1])
        fitted.append(Member(word, i, weight, params, tuple(folders)))
    calibration = dict(module.calibrate(problem, problem.valid, model.predict(problem.valid)))
    rundir.write_json(run.ensemble, Ensemble(
        tuple(fitted), {one.family: one for one in fitted}, plan.objective, 0.0, (), (), calibration))
    return run


def exported(run, word, name, capsys):
    """Export through the command line; gives the file and what was said."""
    file = run.path.parent / name
    assert cli.main(["export", str(run.path), "--format", word, "-o", str(file), "--quiet"]) == 0, capsys.readouterr()
    return file, capsys.readouterr().out


def difference(said):
    return float(said.split("the largest difference is ")[1].split()[0].rstrip("."))


CLASSES = {"target": "label", "signal": "top", "weight": "weight", "exclude": ["m", "q"],
           "categorical": ["detector", "run"]}
AMOUNTS = {"target": ["m", "q"], "weight": "weight", "exclude": ["label"], "categorical": ["detector", "run"]}


@pytest.mark.parametrize("word", ["linear", "boosted_trees", "extra_trees", "mlp"])
def test_each_family_of_classes_is_as_predict_has_it_with_gaps_and_new_categories(word, tmp_path, capsys):
    run = finished(tmp_path, [(word, 1.0, 1)], {**CLASSES, "missing": "indicator"}, table(gaps=True))
    file, said = exported(run, "onnx", "model.onnx", capsys)
    assert difference(said) < 1e-6
    assert "1 classes" not in said
    session = onnxruntime.InferenceSession(file)
    assert [one.name for one in session.get_inputs()] == ["numbers", "detector", "run"]
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["inputs"])["numbers"]["columns"] == ["px", "py", "eta", "pt"]
    assert json.loads(about["classes"]) == ["qcd", "top", "w"]
    assert about["recipe"] == "events"
    given = {"numbers": np.array([[1, 2, np.nan, 3], [np.inf, 0, 0, 1]], np.float32),
             "detector": np.array([["barrel"], ["a new one"]], object), "run": np.array([[4], [99]], np.int64)}
    (scores,) = session.run(None, given)
    assert scores.shape == (2, 3)
    assert scores.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("word", "changed"), [
    ("linear", {}), ("boosted_trees", {"loss": "quantile"}), ("boosted_trees", {"loss": "huber"}), ("extra_trees", {}),
    ("mlp", {"loss": "gaussian"})])
def test_each_family_of_amounts_has_values_uncertainties_and_intervals(word, changed, tmp_path, capsys):
    run = finished(tmp_path, [(word, 1.0, 1)], AMOUNTS, task="regress", changed=changed)
    file, said = exported(run, "onnx", "model.onnx", capsys)
    assert difference(said) < 2e-6
    names = [one.name for one in onnxruntime.InferenceSession(file).get_outputs()]
    assert names == ["predicted", "sigma", "low68", "high68", "low95", "high95"]


def test_an_ensemble_of_families_and_folds_is_one_file(tmp_path, capsys):
    run = finished(tmp_path, [("mlp", 0.5, 2), ("boosted_trees", 0.3, 1), ("linear", 0.2, 1)], CLASSES)
    _, said = exported(run, "onnx", "model.onnx", capsys)
    assert difference(said) < 1e-6
    assert "4 models (mlp, boosted_trees, linear) and their mean" in said
    file, said = exported(run, "keras", "network.keras", capsys)
    assert difference(said) < 1e-6
    assert "'mlp' (trial 0) alone, not the winner of 3 models" in said
    about = json.loads(file.with_name("network.keras.json").read_text(encoding="utf-8"))
    assert about["preprocessing"]["categories"]["run"] == ["3", "4", "5", "6"]
    file, said = exported(run, "lightgbm", "trees.txt", capsys)
    assert file.read_text(encoding="utf-8").startswith("tree")
    columns = json.loads(file.with_name("trees.txt.json").read_text(encoding="utf-8"))["models"][0]["columns"]
    assert columns[:6] == ["px", "py", "eta", "pt", "detector", "run"]
    assert cli.main(["export", str(run.path), "--format", "hls4ml", "-o", str(tmp_path / "n.yml"), "--quiet"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the mean of 2, which an FPGA has no room for" in said
    assert not list(tmp_path.glob("*n.yml*"))


def test_networks_of_many_parts_are_written(tmp_path, capsys):
    changed = {"numbers": "robust+log", "members": 4, "normalisation": "batch", "activation": "mish"}
    run = finished(tmp_path, [("mlp", 1.0, 1)], CLASSES, changed=changed)
    assert difference(exported(run, "onnx", "model.onnx", capsys)[1]) < 1e-6
    with pytest.raises(CallError, match="takes images, texts or categories, which hls4ml does not know") as told:
        pipeline.export(run, "hls4ml", tmp_path / "n.yml", Silent())
    assert "embedding: none" in told.value.mistakes[0].remedy


def test_boosters_of_several_amounts_are_several_files(tmp_path, capsys):
    run = finished(tmp_path, [("boosted_trees", 1.0, 1)], AMOUNTS, task="regress", changed={"loss": "quantile"})
    _, said = exported(run, "lightgbm", "trees.txt", capsys)
    assert difference(said) < 1e-6
    assert sorted(file.name for file in tmp_path.glob("trees*")) == [*(f"trees-{i}.txt" for i in range(6)),
                                                                    "trees.txt.json"]


def test_formulas_are_inside(tmp_path, capsys):
    define = {"pt2": "hypot(px, py)", "far": "abs(eta) > 1.5 and pt > 100", "phi": "arctan2(py, px)"}
    data = {**CLASSES, "define": define, "features": ["pt2", "far", "phi", "pt"], "categorical": [],
            "exclude": [], "missing": "median"}
    run = finished(tmp_path, [("boosted_trees", 0.5, 1), ("linear", 0.5, 1)], data, table(gaps=True))
    file, said = exported(run, "onnx", "model.onnx", capsys)
    assert difference(said) < 1e-5
    (given,) = onnxruntime.InferenceSession(file).get_inputs()
    assert given.type == "tensor(double)"
    assert "pt, eta, py, px" in said


@pytest.mark.parametrize("text", [
    "a + b * -2", "a / b", "a % b", "a ** 2", "sqrt(abs(a))", "exp(a) - log(abs(b))", "log10(abs(a)) + tan(b)",
    "hypot(a, b)", "arctan2(a, b)", "min(a, b, 0.3)", "max(a, b)", "a < b", "0 < a <= 1", "not a == b",
    "a > 0 and b > 0 or not b != a", "(a > 0) + 2 * (b > 1)", "true", "sin(a) * cos(b)"])
def test_a_formula_is_what_numpy_makes_of_it(text):
    rng = np.random.default_rng(1)
    columns = {name: np.where(rng.random(200) < 0.1, np.nan, rng.normal(size=200)) for name in "ab"}
    columns["b"][:20] = columns["a"][:20]
    columns["a"][20:30] = 0.0
    graph = onnx_graph.Graph()
    named = {name: graph.input(name, np.float64, (1,)) for name in "ab"}
    found = onnx_expressions.value(graph, parse(text), named)
    rows = graph.add("Add", found, graph.add("Mul", named["a"], graph.constant([[0.0]], np.float64)))  # true is one row
    graph.output("found", graph.cast(rows, np.float32), (1,))
    session = onnxruntime.InferenceSession(graph.model({}, "formula").SerializeToString())
    (answer,) = session.run(None, {name: values[:, None] for name, values in columns.items()})
    expected = evaluate(parse(text), columns, 200).astype(np.float64)
    there = ~(np.isnan(columns["a"]) | np.isnan(columns["b"]))
    np.testing.assert_allclose(answer[there, 0], expected[there], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("missing", ["drop", "error"])
def test_where_predict_gives_nothing_the_answer_is_nan(missing, tmp_path, capsys):
    run = finished(tmp_path, [("linear", 1.0, 1)], {**CLASSES, "missing": missing}, table(gaps=missing == "drop"))
    file, said = exported(run, "onnx", "model.onnx", capsys)
    assert difference(said) < 1e-6
    given = {"numbers": np.array([[1, 2, np.nan, 3], [1, 2, 3, 4], [1, 2, 3, 4]], np.float32),
             "detector": np.array([["barrel"], ["barrel"], [""]], object), "run": np.full((3, 1), 4, np.int64)}
    (scores,) = onnxruntime.InferenceSession(file).run(None, given)
    assert np.isnan(scores).all(axis=1).tolist() == [True, False, True]


def test_images_are_inputs_as_they_are(tmp_path, capsys):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, ROWS)
    images = rng.random((ROWS, 12, 12, 1)).astype(np.float32) ** 4
    images[:, 3:6, 3:6] += 0.3 * label[:, None, None, None]
    np.savez(tmp_path / "images.npz", image=images, label=label)
    data = {"path": "images.npz", "target": "label", "images": "image"}
    run = finished(tmp_path, [("cnn", 0.6, 1), ("linear", 0.4, 1)], data, False)
    file, said = exported(run, "onnx", "model.onnx", capsys)
    assert difference(said) < 1e-5
    (given,) = onnxruntime.InferenceSession(file).get_inputs()
    assert (given.name, given.shape[1:]) == ("images", [12, 12, 1])


def test_working_points_are_those_of_the_test_events(tmp_path, capsys):
    run = finished(tmp_path, [("linear", 1.0, 1)], CLASSES)
    file, said = exported(run, "csv", "points.csv", capsys)
    with file.open(encoding="utf-8") as lines:
        points = list(csv.DictReader(lines))
    assert len(points) == (3 + 2) * 11
    assert "55 working points" in said
    problem = registry.load("tasks", "classify").load(run.problem)
    test = problem.test
    model = registry.load("families", "linear").load(run.path / "model/fits/00000-0/model")
    score, weight = model.predict(test)[:, problem.schema.signal], test.weight
    signal = test.target == problem.schema.signal
    for point in points:
        if (point["class"], point["against"]) == ("top", "rest"):
            passed = score >= float(point["threshold"])
            share = weight[passed & signal].sum() / weight[signal].sum()
            assert share == pytest.approx(float(point["signal_efficiency"]), abs=1e-6)
            assert float(point["signal_efficiency_low"]) < share <= float(point["signal_efficiency_high"])
            other = weight[passed & ~signal].sum() / weight[~signal].sum()
            assert other == pytest.approx(float(point["background_efficiency"]), abs=0.05)


def test_a_dense_network_comes_with_a_configuration_for_hls4ml(tmp_path, capsys):
    plain = {"embedding": "none", "numbers": "robust", "activation": "relu", "layers": [16, 16], "members": 1,
             "normalisation": "batch"}
    data = {**CLASSES, "categorical": [], "exclude": ["m", "q", "detector", "run"]}
    run = finished(tmp_path, [("mlp", 1.0, 1)], data, changed=plain)
    file, said = exported(run, "hls4ml", "network.yml", capsys)
    assert difference(said) < 1e-6
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    layers = config["HLSConfig"]["LayerName"]
    dense = [one for one in layers.values() if "ReuseFactor" in one]
    assert len(dense) == 3
    assert all(one["Precision"]["weight"].startswith("fixed<") for one in dense)
    assert (tmp_path / config["KerasModel"]).exists()
    about = json.loads((tmp_path / "network.yml.json").read_text(encoding="utf-8"))
    assert len(about["preprocessing"]["scaling"]["centre"]) == 4


def test_a_file_that_does_not_agree_is_refused_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    run = finished(tmp_path, [("linear", 1.0, 1)], CLASSES)
    kept = tmp_path / "model.onnx"
    kept.write_bytes(b"an older one")
    constant = onnx_graph.Graph.constant

    def wrong(self, values, kind=None):
        array = np.asarray(values, kind)
        return constant(self, array * 1.001 if array.dtype == np.float64 and array.size > 6 else values, kind)

    monkeypatch.setattr(onnx_graph.Graph, "constant", wrong)
    assert cli.main(["export", str(run.path), "--format", "onnx", "-o", str(kept), "--quiet"]) == 1
    assert "differ by more than 1e-05 from what the run predicts" in capsys.readouterr().err
    assert kept.read_bytes() == b"an older one"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["events.parquet", "model.onnx", "recipe.yaml", "run"]


def test_a_file_that_cannot_be_read_is_refused(tmp_path, monkeypatch):
    run = finished(tmp_path, [("linear", 1.0, 1)], CLASSES)
    import onnx

    monkeypatch.setattr(onnx, "save_model", lambda model, path: Path(path).write_bytes(b"no model"))
    with pytest.raises(RunError, match="a fresh process could not use it"):
        pipeline.export(run, "onnx", tmp_path / "model.onnx", Silent())
    assert not list(tmp_path.glob("*model.onnx*"))


class Silent:
    """A ``Show`` that shows nothing."""

    def __getattr__(self, name):
        return lambda *arguments: None


def test_missing_packages_are_told_with_the_line_that_installs_them(monkeypatch):
    find = export.find_spec
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxruntime" else find(name))
    with pytest.raises(CallError, match="needs onnxruntime, not installed") as told:
        export.check("onnx", None)
    assert "pip install 'automl-phys[export]'" in told.value.mistakes[0].remedy


def test_calls_that_cannot_be(tmp_path):
    with pytest.raises(CallError, match="Did you mean 'onnx'"):
        export.check("onx", None)
    with pytest.raises(CallError, match=r"does not end in \.onnx"):
        export.check("onnx", Path("model.pb"))
    assert export.check("csv", None) == Path("model.csv")
    with pytest.raises(CallError, match="is not there"):
        pipeline.export(RunDir(tmp_path), "onnx", tmp_path / "model.onnx", Silent())


def test_formats_that_a_run_has_nothing_for(tmp_path):
    run = finished(tmp_path, [("linear", 1.0, 1)], AMOUNTS, task="regress")
    for word, file, told in (("keras", "m.keras", "has no network"), ("lightgbm", "m.txt", "has no boosted trees"),
                             ("csv", "m.csv", "has amounts, no classes")):
        with pytest.raises(CallError, match=told):
            pipeline.export(run, word, tmp_path / file, Silent())


def test_a_task_that_is_not_exported(tmp_path, monkeypatch):
    run = finished(tmp_path, [("linear", 1.0, 1)], CLASSES)
    monkeypatch.delattr(registry.load("tasks", "classify"), "write_onnx")
    with pytest.raises(CallError, match="task 'classify' is not exported"):
        pipeline.export(run, "onnx", tmp_path / "m.onnx", Silent())


def test_consumers_need_none_of_this_package():
    from automl_phys import exporting
    from automl_phys.formats import lightgbm, onnx

    for script in (exporting.KERAS_SCRIPT, onnx.SCRIPT, lightgbm.SCRIPT):
        assert "automl" not in script
    code = "import automl_phys.export, sys; print([m for m in ('onnx', 'pyarrow', 'keras') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
