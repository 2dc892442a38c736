"""Command lines that typer refuses: told like every other mistake, as JSON where that is asked for."""

import io
import json

import pytest

from automl_phys import explanations
from automl_phys.cli import main
from automl_phys.command_line import in_lines

WRONG = [
    (["rnu", "x"], "unknown-command", "'rnu' is not a command. Did you mean 'run'?", "Known: init, list"),
    (["run", "x.yaml", "--resme"], "unknown-option", "'automl-phys run' has no option --resme. Did you mean '--resume'?",
     "Known: --set"),
    (["--frob"], "unknown-option", "'automl-phys' has no option --frob.", "Known: --version"),
    (["run"], "missing-argument", "'automl-phys run' needs RECIPE.", "RECIPE: The recipe, a YAML file"),
    (["export", "r"], "missing-argument", "'automl-phys export' needs --format.", "--format: onnx"),
    (["run", "x.yaml", "--set"], "missing-argument", "Nothing stands behind --set.", "Write its value there"),
    (["run", "x.yaml", "y.yaml"], "bad-argument", "'automl-phys run' takes fewer arguments; too much is: y.yaml.",
     "Usage: automl-phys run [OPTIONS] RECIPE"),
    (["check", "x.yaml", "--seeds", "0"], "bad-argument",
     "--seeds cannot have this value: input should be greater than or equal to 1.", "--seeds: Run each"),
    (["predict", "r", "--episodes", "no"], "bad-argument",
     "--episodes cannot have this value: input should be a valid integer.", "--episodes: Of an agent"),
]


@pytest.mark.parametrize(("arguments", "code", "text", "remedy"), WRONG)
def test_a_wrong_call_is_told_like_any_mistake(arguments, code, text, remedy, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == text
    assert lines[1].startswith(f"  {remedy}")
    assert lines[-1] == f"More on this: automl-phys explain {code}"
    assert explanations.find([code])


@pytest.mark.parametrize(("arguments", "code", "text", "remedy"), WRONG)
def test_a_wrong_call_is_told_as_json(arguments, code, text, remedy, capsys):
    assert main([arguments[0], "--json", *arguments[1:]]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["exit"] == 2
    assert [one["code"] for one in said["mistakes"]] == ["unknown-option" if arguments == ["--frob"] else code]


def test_without_a_command_all_are_told_on_stderr(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Look at what came out:" in err
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == err


def test_a_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.count(".") == 2


@pytest.mark.parametrize(("command", "usage"), [
    ("validate", "RECIPE..."), ("predict", "RUN [DATA]"), ("list", "[KIND [NAME...]]"), ("init", "TASK"), ("doctor", "")])
def test_help_names_arguments_as_they_are_written(command, usage, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"Usage: automl-phys {command} [OPTIONS] {usage}".rstrip()
    assert "<" not in out.replace("<=x", "")
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["export {} --format onnx", "dashboard {}", "predict {} x.csv -o s.csv", "report {}"])
def test_a_file_is_no_folder_of_a_run(command, tmp_path, capsys):
    file = tmp_path / "x.yaml"
    file.write_text("recipe: 1\n")
    assert main([*command.format(file).split(), *([] if command.startswith("dashboard") else ["--json"])]) == 2
    assert "explain not-a-run" in capsys.readouterr().err


def test_lines_are_broken_between_words_on_a_terminal_only(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "40")
    text = "A sentence that is longer than the forty columns of it.\n  code = that(is, left, as_it_is, wherever_it_ends)"
    assert in_lines(text, io.StringIO()) == text
    first, second, code = in_lines(text, Screen()).split("\n")
    assert f"{first} {second}\n{code}" == text
    assert max(len(first), len(second)) <= 40
