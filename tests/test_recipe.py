"""Loading, extending, overriding and dumping recipes; what they import."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_phys import recipe, recipe_paths, recipe_text, registry, schema, wording
from automl_phys.cli import main
from automl_phys.errors import DataError, Mistake, RecipeError

ROOT = Path(__file__).parents[1]
SHIPPED = sorted((ROOT / "recipes").glob("*.yaml"))

MINIMAL = "recipe: 1\ntask: classify\ndata: {path: [a/*.csv, /b.csv], target: y}\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path
    return write


def problems(path, **how):
    with pytest.raises(RecipeError) as caught:
        recipe.load(path, **how)
    return caught.value.mistakes


# ---------------------------------------------------------------- load

def test_what_is_not_said_has_its_default(write):
    read = recipe.load(write(MINIMAL, "my tops.yaml"))
    assert (read.name, read.task, read.seed, read.description) == ("my-tops", "classify", 0, "")
    assert (read.search.trials, read.model.ensemble, read.model.bagging, read.compute.memory_mb) == (30, 12, "auto", None)
    assert read.options.data.paths == ("a/*.csv", "/b.csv")
    assert read.data["data"]["split"] == {"train": 0.6, "valid": 0.2, "test": 0.2, "by": "random"}


def test_null_means_as_if_not_written_but_does_not_hide_an_unknown_key(write):
    assert recipe.load(write(MINIMAL + "search: {trials: null}\nmodel:\n")).search.trials == 30
    assert [m.key for m in problems(write(MINIMAL + "search: {trails: null}\n"))] == [("search", "trails")]
    assert [m.key for m in problems(write("recipe: 1\ntask: classify\ndata: {builtin: jets, target: }\n"))] == [("data", "target")]


@pytest.mark.parametrize(("text", "megabytes"), [("8 GB", 8000), ("500MB", 500), ("1.5 TB", 1_500_000)])
def test_memory_is_an_amount(write, text, megabytes):
    assert recipe.load(write(MINIMAL + f"compute: {{memory: {text}}}\n")).compute.memory_mb == megabytes


def test_overrides_are_kept_as_written_without_nulls(write):
    text = "model: {linear: {C: {low: 1e-3, high: 1, log: null}, penalty: l2, l1_ratio: null}, mlp: {}}\n"
    assert recipe.load(write(MINIMAL + text)).model.overrides == {"linear": {"C": {"low": 0.001, "high": 1}, "penalty": "l2"}}


@pytest.mark.parametrize("objective", ["rejection@0.35", "rejection@.5", "roc_auc"])
def test_rejection_may_be_asked_for_at_any_efficiency(write, objective):
    assert recipe.load(write(MINIMAL + f"search: {{objective: {objective}}}\n")).search.objective == objective


@pytest.mark.parametrize("objective", ["rejection@0", "rejection@1", "rejection@1.5", "rejection@nan", "rejection@", "roc_auc@0.5", "@"])
def test_what_is_no_efficiency_is_refused(write, objective):
    assert [m.key for m in problems(write(MINIMAL + f"search: {{objective: '{objective}'}}\n"))] == [("search", "objective")]


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a..b", "a b", "", "x" * 81, "é"])
def test_a_name_cannot_leave_its_folder(write, name):
    assert [m.key for m in problems(write(MINIMAL + f"name: '{name}'\n"))] == [("name",)]


def test_mistakes_of_the_common_sections_and_of_the_task_are_told_together(write):
    text = "recipe: 1\ntask: classify\ndata: {builtin: jets, taget: y}\nsearch: {trials: 0}\nmodel: {families: [mpl]}\nfoo: 1\n"
    assert {m.key for m in problems(write(text))} == {
        ("data", "taget"), ("search", "trials"), ("model", "families", 0), ("foo",)}


def test_numbers_in_quotes_and_booleans_are_no_numbers(write):
    for value in ("'30'", "true", "3.5", "[3]"):
        assert problems(write(MINIMAL + f"search: {{trials: {value}}}\n"))[0].key == ("search", "trials")


def test_unreadable_files_are_named(write, tmp_path):
    write(MINIMAL, "jets.yaml")
    assert "Did you mean 'jets.yaml'?" in problems(tmp_path / "jet.yaml")[0].text
    assert problems(tmp_path)[0].code == "unreadable"
    assert problems(write(MINIMAL + "#" * recipe_text.LARGEST_BYTES))[0].code == "too-large"


def test_a_task_that_is_mistyped_does_not_hide_the_rest(write):
    found = problems(write("recipe: 1\ntask: classfy\ndata: {}\nseed: x\n"))
    assert {m.key for m in found} == {("task",), ("seed",)}


@pytest.mark.parametrize("task", registry.names("tasks"))
def test_families_of_other_tasks_are_held_against_their_own_spaces(task):
    """Recipes of several tasks may extend the same one, and ``--smoke`` names families of all tasks."""
    families = registry.names("families")
    template = Path(recipe.__file__).parent / "templates" / f"{task}.yaml"
    found = problems(template, sets=[f"model.{family}.nonsense=1" for family in families])
    assert [mistake.key for mistake in found] == [("model", family, "nonsense") for family in families]
    assert recipe.load(template, smoke=True).task == task


# ---------------------------------------------------------------- extends, --set, --smoke

def test_a_recipe_is_merged_over_the_ones_it_extends(write, tmp_path):
    write("recipe: 1\ntask: classify\ndata: {path: [x.csv, /y.csv], target: y, exclude: [a, b]}\nsearch: {trials: 5, minutes: 3}\n"
          "seed: 9\n", "far/base.yaml")
    write("extends: far/base.yaml\nsearch: {sampler: random}\n", "middle.yaml")
    top = write("recipe: 1\nextends: ../middle.yaml\ndata: {exclude: [c]}\nsearch: {minutes: null, trials: 6}\n", "near/top.yaml")
    read = recipe.load(top)
    assert read.name == "top"
    assert read.seed == 9
    assert read.options.data.exclude == ("c",)
    assert (read.search.trials, read.search.minutes, read.search.sampler) == (6, None, "random")
    assert read.options.data.paths == ("../far/x.csv", "/y.csv")
    assert (read.folder / read.options.data.paths[0]).resolve() == tmp_path / "far" / "x.csv"
    assert read.place(("data", "target")).file == str(tmp_path / "far" / "base.yaml")
    assert (read.place(("search", "trials")).file, read.place(("search", "trials")).line) == (str(top), 4)
    assert "extends" not in read.data


def test_a_mistake_in_a_base_points_into_the_base(write, tmp_path):
    write(MINIMAL + "search: {trials: 0}\n", "base.yaml")
    found = problems(write("recipe: 1\nextends: base.yaml\n", "top.yaml"))
    assert [(m.place.file, m.place.line) for m in found] == [(str(tmp_path / "base.yaml"), 4)]


def test_circles_are_noticed_through_any_spelling(write):
    write("extends: ./sub/../a.yaml\n", "b.yaml")
    write("", "sub/x")
    assert problems(write("extends: b.yaml\n"))[0].code == "extends-circle"
    assert problems(write("extends: a.yaml\n"))[0].code == "extends-circle"


def test_set_overrides_any_key_and_its_mistakes_point_to_it(write):
    path = write(MINIMAL)
    read = recipe.load(path, ["search.trials=7", "data.classes.0=qcd", "data.classes.1=top", "model.linear.C={low: 1, high: 2}"])
    assert read.search.trials == 7
    assert read.options.data.classes == {0: "qcd", 1: "top"}
    assert read.model.overrides == {"linear": {"C": {"low": 1, "high": 2}}}
    found = problems(path, sets=["search.trials=x", "seach.trials=1", "trials", "a..b=1", "seed=[1"])
    assert sorted(m.place.file for m in found) == [
        "--set a..b=1", "--set seach.trials=1", "--set search.trials=x", "--set seed=[1", "--set trials"]


def test_smoke_cuts_the_budget_and_set_wins_over_it(write):
    path = write(MINIMAL + "search: {trials: 500, sampler: random}\n")
    read = recipe.load(path, smoke=True)
    assert (read.search.trials, read.search.sampler, read.model.bagging, read.report.figures) == (3, "random", 1, ("png",))
    assert recipe.load(path, ["search.trials=4"], smoke=True).search.trials == 4
    shipped = recipe.load(next(one for one in SHIPPED if one.stem == "generate-jets"), smoke=True)
    assert (shipped.search.trials, shipped.search.objective) == (3, "sliced_wasserstein"), "one that takes no classifier"


# ---------------------------------------------------------------- dump

def same(one, other):
    names = {f.name for f in dataclasses.fields(one)} - {"folder", "written", "data", "options"}
    return all(getattr(one, name) == getattr(other, name) for name in names)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_recipes_load_and_dump(path, write):
    read = recipe.load(path)
    assert read.name == path.stem
    again = recipe.load(write(recipe.dump(read), "elsewhere/x.yaml"))
    assert same(read, again)
    assert again.data == recipe_paths.moved_paths(read.data, lambda one: str(path.parent / one))
    assert recipe.dump(again) == recipe.dump(read)


def test_a_dump_finds_its_files_from_any_folder(write, tmp_path):
    again = recipe.load(write(recipe.dump(recipe.load(write(MINIMAL))), "elsewhere/x.yaml"))
    assert again.options.data.paths == (str(tmp_path / "a/*.csv"), "/b.csv")


WORDS = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=12) | st.sampled_from(
    ["1e-3", "no", "0o7", "null", "~", "true", ".inf", "12:30", "-", "a: b", "#x", " x ", "'", "\x85", "0x1", "1_0", "=", "<<"])


@given(description=WORDS, target=WORDS, classes=st.dictionaries(st.integers() | WORDS | st.booleans(), WORDS, min_size=2, max_size=4),
       low=st.floats(1e-300, 1e300), seed=st.integers(0, 2**32 - 1))
def test_any_recipe_survives_a_dump(tmp_path_factory, description, target, classes, low, seed):
    written = recipe_text.Written({
        "recipe": 1, "task": "classify", "description": description, "seed": seed,
        "data": {"builtin": "jets", "target": target, "classes": classes}, "search": {"minutes": min(low, 1e6)},
        "model": {"linear": {"C": {"low": low, "high": 1e301}}}}, {})
    mistakes = []
    read = recipe._recipe(written, Path("x.yaml"), mistakes)
    if read is None:
        assert len(set(classes.values())) == 1
        return
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(recipe.dump(read), encoding="utf-8", newline="")
    again = recipe.load(path)
    assert again.data == {**read.data, "name": read.name}
    assert again.options == read.options


# ---------------------------------------------------------------- errors, later

def test_errors_of_later_stages_are_located_and_rendered(write):
    read = recipe.load(write(MINIMAL))
    error = DataError([Mistake("no-such-column", "There is no column 'y'.", "Columns: a, b.", ("data", "target")),
                       Mistake("disk", "Something without a key.")])
    with pytest.raises(DataError) as caught, read.locating():
        raise error
    assert wording.render(caught.value) == (
        "Something without a key.                                  (1 more problem below)\n"
        f"{read.folder}/a.yaml:3:33: There is no column 'y'.\n"
        "    2 | task: classify\n"
        "    3 | data: {path: [a/*.csv, /b.csv], target: y}\n"
        "  Columns: a, b.")


def test_remedies_and_lines_keep_within_the_width(write):
    path = write(MINIMAL + f"serach: [{', '.join(['a long list'] * 40)}]\n")
    with pytest.raises(RecipeError) as caught:
        recipe.load(path)
    lines = wording.render(caught.value, 60).splitlines()
    assert max(map(len, lines[1:])) <= 60
    assert lines[2].endswith("…")


# ---------------------------------------------------------------- schema, start-up

def test_schema_json_is_up_to_date():
    assert (ROOT / "schema.json").read_text(encoding="utf-8") == schema.text(), "run: automl-phys schema > schema.json"


def test_every_key_of_the_schema_is_described():
    whole = schema.schema()
    sections = [whole, *whole["$defs"].values(), *(branch["then"] for branch in whole["allOf"])]
    undescribed = [key for section in sections for key, value in section.get("properties", {}).items()
                   if not value.get("description") and "$ref" not in value and "properties" not in value]
    assert undescribed == []
    model = whole["$defs"]["Model"]["properties"]
    assert set(registry.names("families")) <= set(model)
    assert {key for key, value in model.items() if "properties" in value} == set(registry.names("families"))
    assert all(one["description"] for name in registry.names("families") for one in model[name]["properties"].values())
    assert "silu" in model["mlp"]["properties"]["activation"]["examples"]
    assert "0 to 0.4" in model["mlp"]["properties"]["dropout"]["description"]


HEAVY = ("numpy", "pandas", "keras", "torch", "optuna", "jax", "tensorflow", "sklearn", "pyarrow", "scipy", "matplotlib",
         "lightgbm", "dask", "distributed", "rich", "umap", "hdbscan", "openTSNE", "numba")


@pytest.mark.parametrize("arguments", [["--help"], ["validate", *map(str, SHIPPED)], ["schema"], ["init", "classify"], ["explain"],
                                       ["list", "families", "--json"], ["list", "metrics", "--json"]], ids=lambda a: " ".join(a[:2]))
def test_light_commands_import_nothing_heavy(arguments):
    program = ("import sys; from automl_phys.cli import main; code = main(sys.argv[1:]); "
               f"print('heavy:', *({HEAVY!r} & sys.modules.keys()), file=sys.stderr); sys.exit(code)").replace(
                   f"{HEAVY!r} &", f"set({HEAVY!r}) &")
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "heavy:\n")


# ---------------------------------------------------------------- the commands

@pytest.mark.parametrize("task", registry.names("tasks"))
def test_init_writes_a_recipe_that_validates_and_never_overwrites(tmp_path, capsys, task):
    target = tmp_path / "new.yaml"
    assert main(["init", task, "-o", str(target)]) == 0
    assert main(["validate", str(target)]) == 0
    assert main(["init", task, "-o", str(target)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["init", "clasify"]) == 2
    assert "Did you mean 'classify'?" in capsys.readouterr().err


def test_what_the_template_switches_off_is_sound_too(write):
    template = (ROOT / "automl_phys/templates/classify.yaml").read_text(encoding="utf-8")
    on = [line.replace("# ", "", 1) if line.startswith(("# model", "#   ", "# compute", "# report")) else line
          for line in template.splitlines()]
    read = recipe.load(write("\n".join(on)))
    assert read.model.families == ("linear", "boosted_trees", "mlp")
    assert read.compute.memory_mb == 8000


def test_a_wrong_call_exits_with_2(capsys):
    assert main(["validate"]) == 2
    assert main(["no-such-command"]) == 2
    assert main(["validate", "--no-such-option"]) == 2
    assert "no-such-option" in capsys.readouterr().err


def test_a_bug_of_ours_exits_with_3_and_leaves_a_file(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(schema, "text", lambda: 1 / 0)
    assert main(["schema"]) == 3
    report, = tmp_path.glob("automl-phys-bug-*.txt")
    assert report.name in capsys.readouterr().err
    assert "ZeroDivisionError" in report.read_text()
    assert "arguments: schema" in report.read_text()


def test_ctrl_c_exits_with_130(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt
    monkeypatch.setattr(schema, "text", interrupted)
    assert main(["schema"]) == 130
