"""What a shell is offered, by the very protocol that it asks with.

After a change of the recipe language: ``python tests/test_completions.py`` writes ``automl_phys/data/keys.json``.
"""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from automl_phys import catalogue, completions, explanations, schema

KEYS = Path(completions.__file__).parent / "data" / "keys.json"
RECIPE = "recipe: 1\ntask: {}\n"


def made():
    tasks = [f"{json.dumps(task)}: {{\n" + ",\n".join(f" {json.dumps(key)}: {json.dumps(said, ensure_ascii=False)}"
                                                    for key, said in keys.items()) + "\n}"
             for task, keys in completions.keys_of(schema.schema(), catalogue.families()).items()]
    return "{" + ",\n".join(tasks) + "}\n"


def asked(shell, line, folder, words=None, at=None):
    """What a shell gets for a line that ends where the cursor is."""
    cut = line.split(" ") if words is None else words
    environment = {**os.environ, "_AUTOML_PHYS_COMPLETE": f"complete_{shell}", "COMP_WORDS": " ".join(cut),
                   "COMP_CWORD": str(len(cut) - 1 if at is None else at), "_TYPER_COMPLETE_ARGS": line,
                   "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run([sys.executable, "-c", "from automl_phys.cli import main; raise SystemExit(main())"], cwd=folder,
                          env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split() if shell == "bash" else done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "runs" / "jets" / "latest").mkdir(parents=True)
    (tmp_path / "my.yaml").write_text(RECIPE.format("classify"))
    (tmp_path / "agent.yaml").write_text(RECIPE.format("reinforce"))
    (tmp_path / "more.yaml").write_text("extends: agent.yaml\n")
    return tmp_path


def test_the_keys_are_those_of_the_language():
    assert KEYS.read_text(encoding="utf-8") == made(), "run: python tests/test_completions.py"


def test_the_kinds_are_those_that_are_listed():
    assert set(completions.KINDS) == {*catalogue.KINDS, "recipes"}


@pytest.mark.parametrize(("line", "wanted"), [
    ("automl-phys ex", ["export", "explain"]),
    ("automl-phys init ref", []),
    ("automl-phys init re", ["reduce+cluster", "regress", "reinforce"]),
    ("automl-phys run my.yaml --res", ["--resume"]),
    ("automl-phys explain C-LE", ["C-LEAK", "C-LEARNING"]),
    ("automl-phys list fam", ["families"]),
    ("automl-phys list families boo", ["boosted_trees"]),
    ("automl-phys list families --task cla", ["classify"]),
    ("automl-phys report ru", ["runs/jets/latest"]),
    ("automl-phys run ", ["agent.yaml", "more.yaml", "my.yaml"]),
    ("automl-phys export runs/jets/latest --format o", ["onnx"]),
    ("automl-phys run my.yaml --set search.samp", [f"search.sampler={one}" for one in ("tpe", "random", "grid", "cmaes")]),
    ("automl-phys run my.yaml --set search.tri", ["search.trials=30"]),
    ("automl-phys run agent.yaml --set train.st", ["train.steps="]),
    ("automl-phys run more.yaml --set train.st", ["train.steps="]),
    ("automl-phys run my.yaml --set train.st", []),
    ("automl-phys run my.yaml --set model.mlp.act", [f"model.mlp.activation={one}" for one in ("silu", "mish", "selu", "relu")]),
    ("automl-phys run agent.yaml --set model.mlp.act", []),
])
def test_words_are_completed(folder, line, wanted):
    assert sorted(asked("bash", line, folder)) == sorted(wanted)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_offered_the_help_too(folder, shell):
    said = "\n".join(asked(shell, "automl-phys run my.yaml --set search.samp", folder))
    assert "search.sampler=tpe" in said
    assert "How the next configuration is chosen" in said


@pytest.mark.parametrize(("words", "wanted"), [
    (["automl-phys", "run", "my.yaml", "--set", "search.sampler", "="], ["tpe", "random", "grid", "cmaes"]),
    (["automl-phys", "run", "my.yaml", "--set", "search.sampler", "=", "t"], ["tpe"]),
    (["automl-phys", "run", "my.yaml", "--set", "search.trials", "=", "5", "--set", "search.pruner", "=", "h"], ["hyperband"])])
def test_what_bash_cuts_at_the_sign_is_put_together(folder, words, wanted):
    assert asked("bash", "", folder, words) == wanted


def test_codes_are_all_that_can_be_explained():
    assert {code for code, _ in completions.codes("")} == {*explanations.of_checks(), *explanations.of_mistakes()}


def test_nothing_slow_is_imported_for_it(folder):
    code = ("import sys; from automl_phys import completions, cli; assert completions.sets('search', 'my.yaml')\n"
            "assert completions.codes('C-') and completions.runs('') and completions.listed(['families'], 'm')\n"
            "slow = {'pydantic', 'rich', 'yaml', 'numpy', 'psutil'} & set(sys.modules); assert not slow, slow")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_shown(shell, folder):
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run([sys.executable, "-m", "automl_phys.cli", "--show-completion", shell], env=environment, text=True,
                          capture_output=True, check=True)
    assert completions.VARIABLE in done.stdout


@pytest.fixture
def home(folder):
    """A home in which ``automl-phys`` is a program; its folder of recipes is the home itself."""
    program = folder / "bin" / "automl-phys"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom automl_phys.cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    return folder


def surroundings(home):
    package = Path(completions.__file__).parents[1]
    return {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "XDG_DATA_HOME": str(home / ".local"),
            "PATH": f"{home / 'bin'}:/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(package), "TERM": "xterm",
            "LANG": "C.UTF-8"}


def installed(shell, home):
    """Have a shell install its completion, as a user does."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    subprocess.run([program, "-c", "automl-phys --install-completion; true"], env=surroundings(home), cwd=home, check=True,
                   capture_output=True)
    return program


def test_fish_completes_the_keys_of_a_recipe(home):
    fish = installed("fish", home)
    done = subprocess.run([fish, "-c", "complete -C 'automl-phys run my.yaml --set search.samp'"], env=surroundings(home),
                          cwd=home, check=True, capture_output=True, text=True)
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == [
        f"search.sampler={one}" for one in ("cmaes", "grid", "random", "tpe")]


def test_zsh_completes_the_keys_of_a_recipe_at_the_first_press(home):
    zsh = installed("zsh", home)
    assert completions.ZSH_FIRST_PRESS in (home / ".zfunc" / "_automl-phys").read_text()
    with (home / ".zshrc").open("a") as settings:
        settings.write("PS1='ready> '\n")
    terminal, end = pty.openpty()
    shell = subprocess.Popen([zsh, "-i"], stdin=end, stdout=end, stderr=end, env=surroundings(home), cwd=home,
                             start_new_session=True)
    os.close(end)
    try:
        assert "ready> " in said_until(terminal, "ready> ")
        os.write(terminal, b"automl-phys run my.yaml --set search.samp\t")
        assert "search.sampler=" in said_until(terminal, "search.sampler=")
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)


def said_until(terminal, wanted, seconds=30):
    """What a shell has written, with what is cut by the moves of its cursor put together."""
    text, end = "", time.monotonic() + seconds
    while wanted not in text and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text + os.read(terminal, 1 << 16).decode(errors="replace"))
    return text


if __name__ == "__main__":
    KEYS.write_text(made(), encoding="utf-8")
