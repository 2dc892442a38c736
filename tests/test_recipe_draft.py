"""'init --data' looks at a file and writes a recipe that validates and can be planned, whatever the columns are called."""

import re
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, feather, parquet

from automl_phys import drafting, recipe_draft, registry, yaml_source
from automl_phys.cli import main
from automl_phys.errors import CallError

ROWS = 600
ODD = ("no", "1e3", "#x", "Masse µ [GeV]", "a: b", "- c", "null", "Δφ, rad")
"""Names that YAML, expressions or both would read as something else."""


def events(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    signal = rng.integers(0, 2, rows)
    columns = {name: rng.normal(size=rows) + 0.3 * signal * (i % 3) for i, name in enumerate(ODD)}
    return rng, signal, columns


def table(folder, columns, ending=".parquet", name="odd events"):
    path = folder / f"{name}{ending}"
    if ending == ".npz":
        np.savez(path, **{key: np.asarray(values) for key, values in columns.items()})
    elif ending == ".h5":
        with h5py.File(path, "w") as file:
            group = file.create_group("Ereignisse")
            for key, values in columns.items():
                group.create_dataset(key, data=np.asarray(values))
    elif ending == ".root":
        import uproot

        with uproot.recreate(path) as file:
            file["Events"] = {key: np.asarray(values) for key, values in columns.items()}
    else:
        write = {".parquet": parquet.write_table, ".csv": csv.write_csv, ".feather": feather.write_feather}[ending]
        write(pa.table(columns), path)
    return path


def photos(folder, by_class=True):
    rng = np.random.default_rng(1)
    for kind, light in (("no", 60), ("top quark", 160)):
        (folder / "photos" / kind).mkdir(parents=True)
        for i in range(110):
            pixels = np.clip(rng.normal(light, 30, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / kind / f"{i}.png")
    return folder / "photos"


@pytest.fixture
def drafted(tmp_path, monkeypatch, capsys):
    """Draft a recipe, see that it is sound and can be planned; gives its text and its data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def draft(task, data, *more):
        named = str(Path(data).relative_to(tmp_path)) if Path(data).is_absolute() else str(data)
        assert main(["init", task, "--data", named, *more, "-o", "draft.yaml"]) == 0, capsys.readouterr().err
        assert main(["validate", "draft.yaml"]) == 0, capsys.readouterr().err
        assert main(["plan", "draft.yaml"]) == 0, capsys.readouterr().err + Path("draft.yaml").read_text()
        text = Path("draft.yaml").read_text(encoding="utf-8")
        filled = text.partition("\ndata:\n")[2].partition("\n\n")[0]
        assert max(map(len, filled.splitlines())) <= 80
        return text, yaml_source.parse(text, "draft.yaml")[0]

    return draft


def refused(capsys, *arguments):
    assert main(["init", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


# ---------------------------------------------------------------- task by task

@pytest.mark.parametrize("ending", [".parquet", ".csv", ".feather", ".npz"])
def test_classes_are_found_with_all_that_must_not_be_learned_from(tmp_path, drafted, ending):
    rng, signal, columns = events()
    columns |= {"Event Number": np.arange(ROWS) * 3 + 7, "const: ant": np.ones(ROWS), "twin": columns["no"],
                "leak, y": signal * 2.5 + rng.uniform(size=ROWS), "mc_weight": rng.normal(1, 0.3, ROWS),
                "label": np.where(signal, "yes", "no")}
    text, data = drafted("classify", table(tmp_path, columns, ending))
    assert data["data"] == {
        "path": f"odd events{ending}", "target": "label", "signal": "yes", "weight": "mc_weight",
        "exclude": ["Event Number", "const: ant", "twin", "leak, y"], "split": {"train": 0.6, "valid": 0.2, "test": 0.2}}
    for reason in ("only numbers the rows", "is 1", "the same as 'no' in every row", "alone tells the class",
                   "by its name", f"{ROWS} rows were looked at"):
        assert reason in " ".join(text.replace("#", " ").split())


def test_a_target_that_is_asked_for_is_taken_and_rare_classes_are_cut_away(tmp_path, drafted):
    rng, _, columns = events()
    columns["Art"] = np.array(["it's", 'b "c"', "#d"])[np.minimum(rng.integers(0, 2, ROWS) + (np.arange(ROWS) < 3) * 2, 2)]
    columns["no"][5:9] = np.nan
    text, data = drafted("classify", table(tmp_path, columns), "--target", "Art")
    assert data["data"]["target"] == "Art"
    assert data["data"]["cut"] == "Art != '#d'"
    assert data["data"]["missing"] == "median"
    assert "'#d' has 3 rows only" in text


def test_rows_without_a_class_are_cut_away(tmp_path, drafted):
    _, signal, columns = events()
    columns["is signal"] = pa.array([None if i % 50 == 0 else bool(one) for i, one in enumerate(signal)])
    _, data = drafted("classify", table(tmp_path, columns))
    assert data["data"]["target"] == "is signal"
    assert data["data"]["cut"] == "`is signal` == `is signal`"


def test_amounts_are_found_and_what_follows_them_is_not_learned_from(tmp_path, drafted):
    _, _, columns = events()
    columns["target"] = columns["no"] * 2 + columns["1e3"]
    columns["copy of y"] = np.exp(columns["target"] / 3)
    columns["run"] = np.repeat(np.arange(6), ROWS // 6)
    text, data = drafted("regress", table(tmp_path, columns))
    assert (data["data"]["target"], data["data"]["exclude"]) == ("target", ["copy of y", "run"])
    assert "follows the target" in text


@pytest.mark.parametrize("dates", [True, False])
def test_a_series_gets_its_time_its_gaps_and_a_horizon(tmp_path, drafted, dates):
    at = np.arange(200) if not dates else np.arange("2013-01-01", 200, dtype="datetime64[D]").astype(str)
    values = np.sin(np.arange(200) / 5)
    rows = [i for i in range(200) if i not in (50, 51)]
    columns = {"date" if dates else "t": np.asarray(at)[rows], "#x": values[rows]}
    text, data = drafted("forecast", table(tmp_path, columns, ".csv"))
    assert data["data"] | {"path": ""} == {"path": "", "time": "date" if dates else "t", "target": "#x", "missing": "linear"}
    assert data["forecast"]["horizon"] == 9
    assert "there are gaps" in text


def test_several_series_are_told_apart(tmp_path, drafted):
    columns = {"time": np.tile(np.arange(80), 3), "Ort": np.repeat(["no", "# b", "c"], 80),
               "flux": np.random.default_rng(0).normal(size=240), "kp": np.random.default_rng(1).normal(size=240)}
    text, data = drafted("forecast", table(tmp_path, columns), "--target", "flux")
    assert (data["data"]["series"], data["data"]["target"]) == ("Ort", "flux")
    assert "# past: [kp]" in text


def test_events_are_generated_by_class_where_there_is_one(tmp_path, drafted):
    _, signal, columns = events()
    name = table(tmp_path, {**columns, "class": np.where(signal, "1e3", "null"), "id": np.arange(ROWS)})
    _, data = drafted("generate", name)
    assert (data["generate"], data["data"]["categorical"]) == ({"condition": "class"}, ["class"])
    assert data["data"]["exclude"] == ["id"]


def test_events_are_generated_where_there_are_no_classes(tmp_path, drafted):
    columns = events()[2]
    columns["no"][7] = np.nan
    _, data = drafted("generate", table(tmp_path, columns))
    assert data["data"]["missing"] == "drop"
    assert "condition" not in (data["generate"] or {})


def test_clusters_keep_the_truth_for_scoring(tmp_path, drafted):
    _, signal, columns = events()
    _, data = drafted("reduce+cluster", table(tmp_path, {**columns, "label": signal, "event_id": np.arange(ROWS)}))
    assert (data["data"]["truth"], data["data"]["exclude"]) == ("label", ["event_id"])


@pytest.mark.parametrize(("labels", "normal"), [
    (("1e3", "qcd"), "`label #1` == 'qcd'"), ((1, 0), "`label #1` == 0"), ((True, False), "not `label #1`")])
def test_anomalies_are_sought_among_what_is_not_normal(tmp_path, drafted, labels, normal):
    rng, _, columns = events(1500)
    labels = np.where(rng.uniform(size=1500) < 0.2, *labels)
    _, data = drafted("detect-anomaly", table(tmp_path, {**columns, "label #1": labels}))
    assert data["data"]["normal"] == normal


def test_anomalies_are_sought_without_any_label(tmp_path, drafted):
    text, data = drafted("detect-anomaly", table(tmp_path, events(1500)[2]))
    assert "normal" not in data["data"]
    assert "# normal:" in text


@pytest.mark.parametrize("task", ["classify", "generate", "transfer", "detect-anomaly"])
def test_a_folder_of_images_is_taken(tmp_path, drafted, task):
    _, data = drafted(task, photos(tmp_path))
    assert (data["data"]["path"], data["data"]["images"]) == ("photos", "image")
    if task in ("classify", "transfer"):
        assert data["data"]["target"] == "class"


def test_an_agent_gets_its_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "reinforce", "--environment", "Acrobot-v1", "-o", "a.yaml"]) == 0
    assert yaml_source.parse(Path("a.yaml").read_text(), "")[0]["environment"] == {"id": "Acrobot-v1"}
    assert main(["validate", "a.yaml"]) == 0
    assert main(["plan", "a.yaml"]) == 0
    capsys.readouterr()
    assert "Did you mean" in refused(capsys, "reinforce", "--environment", "Acrobat-v1")
    assert "own data" in refused(capsys, "reinforce", "--data", "x.csv")
    assert "has no environment" in refused(capsys, "classify", "--environment", "Acrobot-v1")


# ---------------------------------------------------------------- files

@pytest.mark.parametrize(("ending", "inside"), [(".h5", ":Ereignisse"), (".root", ":Events")])
def test_what_is_inside_a_file_is_named_after_a_colon(tmp_path, drafted, ending, inside):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, ROWS)
    columns = {"pt": rng.exponential(size=ROWS), "eta": rng.normal(size=ROWS) + y, "label": y}
    _, data = drafted("classify", f"{table(tmp_path, columns, ending, 'events').name}{inside}")
    assert data["data"]["path"] == f"events{ending}{inside}"
    assert data["data"]["target"] == "label"


def test_several_files_and_globs_are_looked_at_all(tmp_path, drafted, monkeypatch, capsys):
    _, signal, columns = events()
    (tmp_path / "d").mkdir()
    for value in (0, 1):
        table(tmp_path / "d", {**{k: v[signal == value] for k, v in columns.items()}, "y": signal[signal == value]},
              name=f"part {value}")
    _, data = drafted("classify", "d/*.parquet")
    assert (data["data"]["path"], data["data"]["target"]) == ("d/*.parquet", "y")
    (tmp_path / "r").mkdir()
    assert main(["init", "classify", "--data", "d/part 0.parquet", "--data", "d/part 1.parquet", "-o", "r/x.yaml"]) == 0
    assert yaml_source.parse((tmp_path / "r/x.yaml").read_text(), "")[0]["data"]["path"] == [
        "../d/part 0.parquet", "../d/part 1.parquet"]
    assert main(["plan", "r/x.yaml"]) == 0


def test_files_that_cannot_be_read_are_told_as_ever(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "There is no file" in refused(capsys, "classify", "--data", "none.csv")
    Path("x.dat").write_text("1 2")
    assert "not known by its ending" in refused(capsys, "classify", "--data", "x.dat")


# ---------------------------------------------------------------- what is not plain

def test_what_cannot_be_guessed_is_asked_for_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    columns = events()[2]
    file = table(tmp_path, columns, ".csv").name
    for task, more in (("classify", ()), ("regress", ()), ("transfer", ()), ("forecast", ())):
        said = refused(capsys, task, "--data", file, *more)
        assert "not plain" in said or "have no images" in said
        assert "--target COLUMN" in said or task in ("transfer", "forecast")
    assert "Δφ" in refused(capsys, "regress", "--data", file)
    assert "Did you mean 'no'" in refused(capsys, "classify", "--data", file, "--target", "noo")
    assert "init regress" in refused(capsys, "classify", "--data", file, "--target", "no")
    assert "none are given" in refused(capsys, "classify", "--target", "no")


@pytest.mark.parametrize("text", [
    *ODD, "yes", "~", "0x1F", "007", "1_000", "2013-09-30", "12:30", "*a", "&a", "!a", "%a", "@a", "`a`", "a#b", "a #b",
    "a:", ":a", "[a", "{a", "a]", "'a", '"a', "a\\b", "tab\there", "line\nend", "ende ", " a", "ünï", "\u2028", "true",
    ".inf", "-", "?", "? a", "a, b", "|", ">", "a b"])
def test_any_name_is_written_so_that_it_is_read_back(text):
    word = drafting.word(text)
    assert "\n" not in word
    assert yaml_source.parse(f"a: {word}", "")[0] == {"a": text}
    assert yaml_source.parse(f"a: [{word}, {word}]", "")[0] == {"a": [text, text]}
    assert yaml_source.parse(f"a:\n  - {word}", "")[0] == {"a": [text]}


def test_a_filled_in_template_keeps_what_was_not_filled_in():
    template = "# A recipe: of things\nrecipe: 1\n\ndata:\n  builtin: jets  # here: x\n  # path: y\n\n# model:\n#   a: 1\n\nseed: 7\n"
    filled = recipe_draft._filled(template, {"data": "data:\n  path: z\n"})
    assert filled == "# A recipe: of things\nrecipe: 1\n\ndata:\n  path: z\n\n# model:\n#   a: 1\n\nseed: 7\n"
    assert re.search(r"(?m)^seed: 7$", filled)


def test_a_task_that_drafts_nothing_has_a_template_only(tmp_path, monkeypatch):
    monkeypatch.delattr(registry.load("tasks", "regress"), "draft")
    with pytest.raises(CallError, match="not filled in from data"):
        recipe_draft.draft("regress", "", ["events.csv"], tmp_path, None)
