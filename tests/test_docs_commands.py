"""Every command line and every recipe of the README and the docs: run, planned, validated, or at least parsed; none is left out.

Lines of a page are done in their order, in a folder with small recipes and finished runs under the names that pages use
(``fixtures/docs_world.py``). What needs another machine, a browser or the network is parsed as the command line would be.
Recipes in blocks that are a part of one stand under a comment that says of which task: ``<!-- recipe: classify -->``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import pytest
import typer.main
import yaml
from markdown_it import MarkdownIt

from automl_phys import machine, pipeline, recipe, registry
from automl_phys.cli import app, main
from tests.fixtures import docs_world

ROOT = Path(__file__).parents[1]
PAGES = {page.name: page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
PARSED = (
    ("dashboard", "it opens a browser's page and waits"), ("--open", "it opens a browser"),
    ("--install-completion", "it writes into the shell's own files"), ("tcp://", "there is no scheduler"),
    ("https://", "there is no network"), ("doctor", "it starts every framework; test_doctor.py has it do so"),
    (" check ", "each recipe begins a process; test_checking.py and test_ci_examples.py have them do so"),
)
"""What is said in a line that is parsed only, and why."""
SHORTER = {"1000000": "2000"}
"""What makes a line long, and what is run in its place."""
NAMES = {"NAME": "small", "FOLDER": "recipes"}
RUN = re.compile(r"runs/[\w-]+/latest(?=$)")
OF_RUNS = ("predict", "generate", "report", "dashboard", "compare", "pack", "export")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and what the comment above it says."""

    language: str
    text: str
    said: str

    @property
    def lines(self) -> list[str]:
        return [line for line in self.text.splitlines() if line.strip()]


def blocks(page: Path) -> list[Block]:
    found = []
    said = ""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            found.append(Block(token.info, token.content, said))
        said = token.content.strip().removeprefix("<!--").removesuffix("-->").strip() if token.type == "html_block" else ""
    return found


def of(language: str) -> list[tuple[str, Block]]:
    return [(name, block) for name, page in PAGES.items() for block in blocks(page) if block.language == language]


def test_every_block_has_a_language_that_is_looked_at() -> None:
    assert {block.language for page in PAGES.values() for block in blocks(page)} <= {
        "sh", "yaml", "python", "json", "cpp", ""}
    assert not [block.text for _, block in of("") if "automl-phys " in block.text]
    assert len(of("cpp")) == 1  # needs ONNX runtime's headers; that the inputs are so is held by test_export.py


# ---------------------------------------------------------------- recipes

def whole(name: str) -> list[str]:
    return [block.text for page, block in of("yaml") if page == name and re.search("^recipe: 1", block.text, re.MULTILINE)]


def parts() -> list[tuple[str, Block]]:
    return [(name, block) for name, block in of("yaml") if not re.search("^recipe: 1", block.text, re.MULTILINE)]


@pytest.mark.parametrize("name", [name for name in PAGES if whole(name)])
def test_whole_recipes_are_sound(name: str, tmp_path: Path) -> None:
    for i, text in enumerate(whole(name)):
        if name == "inside.md":  # of a family and a task that are added there: test_docs_inside.py runs them
            continue
        (tmp_path / f"{i}.yaml").write_text(text, encoding="utf-8")
        recipe.load(tmp_path / f"{i}.yaml")


@pytest.mark.parametrize("task", registry.names("tasks"))
def test_the_recipe_of_a_task_s_page_can_be_planned(task: str, tmp_path: Path) -> None:
    for file in (ROOT / "recipes" / "data").glob("*.csv"):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "recipe.yaml").write_text(whole(f"{task.replace('+', '-')}.md")[0], encoding="utf-8")
    assert pipeline.make_plan(recipe.load(tmp_path / "recipe.yaml")).families


@pytest.mark.parametrize(("name", "block"), [
    pytest.param(name, block, id=f"{name}:{block.lines[0]}") for name, block in parts()])
def test_parts_of_recipes_fit_into_one_of_their_task(name: str, block: Block, tmp_path: Path) -> None:
    kind, _, task = block.said.partition(": ")
    if kind == "for a CI service":  # test_ci_examples.py runs them
        assert name == "check.md"
        return
    if kind == "for an archive":  # there is no network, and no such archive
        assert yaml.safe_load(block.text).keys() == {"extends"}
        return
    assert kind == "recipe", "say of which task it is a part: <!-- recipe: classify -->"
    base = yaml.safe_load((ROOT / "automl_phys" / "templates" / f"{task}.yaml").read_text(encoding="utf-8"))
    if "path" in (yaml.safe_load(block.text).get("data") or {}):
        base["data"] = {"split": base["data"]["split"]} if "split" in base["data"] else {}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base), encoding="utf-8")
    (tmp_path / "part.yaml").write_text(f"extends: base.yaml\n{block.text}", encoding="utf-8")
    recipe.load(tmp_path / "part.yaml")


def test_the_tutorial_s_recipe_is_what_init_writes() -> None:
    template = yaml.safe_load((ROOT / "automl_phys" / "templates" / "classify.yaml").read_text(encoding="utf-8"))
    template.pop("description")
    assert yaml.safe_load(whole("start.md")[0]) == template


# ---------------------------------------------------------------- command lines

def commands(line: str) -> Iterator[list[str]]:
    """The commands of a line, as a shell would split it; comments are none."""
    words = shlex.shlex(line, posix=True, punctuation_chars="&>")
    words.whitespace_split = True
    one: list[str] = []
    for word in words:
        if word == "&&":
            yield one
            one = []
        else:
            one.append(word)
    if one:
        yield one


def parse(arguments: list[str]) -> None:
    """Hold a command's arguments against its options, as the command line would; nothing is run."""
    group = typer.main.get_command(app)
    if arguments[0].startswith("-"):  # an option of the program itself
        assert arguments[0] in {name for option in group.params for name in option.opts}, arguments[0]
        return
    command = group.commands[arguments[0]]  # type: ignore[attr-defined]
    command.make_context(arguments[0], list(arguments[1:]))


def look_up(words: list[str], line: str) -> None:
    """Whether a command of another program can work: what it names of ours is there."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    program, *rest = words
    if program == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE), line
    elif program == "pip":
        named = [extra for word in rest for extra in re.findall(r"automl-phys\[(\w+)\]", word)]
        assert set(named) <= extras.keys(), line
        assert named or "automl-phys" in rest or (rest[-1] == "." and (ROOT / rest[rest.index("-c") + 1]).is_file()), line
    elif program == "docker":
        inner = next(word for word in rest if "automl-phys run" in word)
        for one in commands(inner):
            parse(one[1:]) if one[0] == "automl-phys" else look_up(one, inner)
    elif program == "dask":
        told = subprocess.run([sys.executable, "-m", "dask", rest[0], "--help"], capture_output=True, text=True, check=True)
        assert all(word in told.stdout for word in rest if word.startswith("--")), line
    else:
        assert program in {"python3", "."}, f"nobody looks at this line: {line}"


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> docs_world.Runs:
    return docs_world.Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = dict(os.environ)
    docs_world.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "user_cache", lambda: tmp_path / "cache")
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


def do(words: list[str], runs: docs_world.Runs, world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command of ours in the world, its output into a file if the line says so."""
    if "--data" not in words:  # which takes a pattern in quotes
        words = [one for word in words for one in (sorted(glob(word)) if "*" in word else [word])]  # noqa: PTH207 - as a shell
    if ">" in words:
        words, target = words[:words.index(">")], Path(words[-1])
    else:
        target = None
    if words[0] in OF_RUNS:
        kind = "generate" if words[0] == "generate" else "reinforce" if "--episodes" in words else "classify"
        for word in filter(RUN.fullmatch, words):
            if not (words[0] == "predict" and (world / word).exists() and kind == "classify"):
                docs_world.place(runs[kind], world / word)
    if words[0] == "init" and "-o" in words:  # pages show several ways to the same file
        Path(words[words.index("-o") + 1]).unlink(missing_ok=True)
    if words[0] == "run" and words[1].endswith("recipe.lock.yaml") and not Path(words[1]).exists():
        docs_world.place(runs["classify"], Path(words[1]).parent)
    code = main(words)
    said = capsys.readouterr()
    assert code == 0 or (words[0] == "doctor" and code == 1), f"{words}: {said.out}{said.err}"
    if target:
        target.write_text(said.out, encoding="utf-8")
    if words[0] == "init":  # and then the reader makes it small
        file = Path(words[words.index("-o") + 1])
        file.write_text(docs_world.named(docs_world.CLASSIFY, file.stem), encoding="utf-8")


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if any(b.language == "sh" for b in blocks(page))])
def test_command_lines(name: str, world: Path, runs: docs_world.Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of a page in its order: done, parsed for a reason, or looked up; and the count is right."""
    done: Counter[str] = Counter()
    lines = [line for block in blocks(PAGES[name]) if block.language == "sh" for line in block.lines]
    for line in lines:
        short = line
        for long, instead in {**SHORTER, **NAMES}.items():
            short = short.replace(long, instead)
        for words in commands(short):
            if words[0] == "python":
                subprocess.run([sys.executable, *words[1:]], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
                done["done"] += 1
            elif words[0] != "automl-phys":
                look_up(words, line)
                done["looked up"] += 1
            elif any(sign in short for sign, _ in PARSED) and "--smoke" not in words:
                parse(words[1:])
                done["parsed"] += 1
            elif "walk.yaml" in words:
                take_the_walk(words, world)
                done["planned"] += 1
            else:
                do(words[1:], runs, world, capsys)
                done["done"] += 1
    assert done.total() == sum(len(list(commands(line))) for line in lines)
    assert done["done"] or done["planned"] or name in {"search.md", "security.md"}


def take_the_walk(words: list[str], world: Path) -> None:
    """The environment of ``environments.md``: its module and its recipe as they stand there, tried as a run would."""
    module = next(block.text for page, block in of("python") if page == "environments.md")
    part = next(block.text for page, block in of("yaml") if page == "environments.md")
    (world / "walk.py").write_text(module, encoding="utf-8")
    (world / "base.yaml").write_text(docs_world.REINFORCE, encoding="utf-8")
    (world / "walk.yaml").write_text(f"extends: base.yaml\n{part}", encoding="utf-8")
    parse(words[1:])
    assert main(["plan", *words[2:]]) == 0


def test_a_line_with_a_mistake_is_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["run", "my.yaml", "--resumee"])
    with pytest.raises(KeyError):
        parse(["runn", "my.yaml"])
    with pytest.raises(AssertionError):
        look_up(["make", "coffee"], "make coffee")
    with pytest.raises(AssertionError):
        look_up(["pip", "install", "automl-phys[moon]"], "")
    assert list(commands("a 'b#c' > d   # e && f")) == [["a", "b#c", ">", "d"]]
    assert list(commands("a && b c")) == [["a"], ["b", "c"]]


# ---------------------------------------------------------------- Python

def test_python_blocks_compile() -> None:
    assert len(of("python")) >= 5
    for name, block in of("python"):
        compile(block.text, name, "exec")


def test_the_notebook_s_lines_run(world: Path, runs: docs_world.Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    text = next(block.text for page, block in of("python") if page == "notebook.md").replace("search.trials\": 40", "search.trials\": 1")
    names: dict[str, object] = {}
    exec(compile(text, "notebook.md", "exec"), names)  # our own page
    assert names["figure"]
