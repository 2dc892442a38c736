"""The commands that run recipes and use runs, and how any command ends. Each handler is short; what is heavy is
imported inside it. Other commands are in the modules ``commands_…``, the app itself in :mod:`automl_phys.command_line`.

:func:`main` is where every error ends: it prints what the user can mend, writes a file for what only we can mend, and
gives the exit code of :mod:`automl_phys.errors`.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automl_phys import (
    __version__,
    commands_help,  # noqa: F401 - these register their commands
    commands_list,  # noqa: F401
    commands_share,  # noqa: F401
    completions,
    wrong_calls,
)
from automl_phys.command_line import (
    Json,
    PackedRun,
    Quiet,
    RecipeFile,
    RunFolder,
    Sets,
    Smoke,
    Trust,
    TrustCluster,
    app,
    command,
    fetch,
    in_lines,
    tell,
    tell_json,
)
from automl_phys.errors import (
    EXIT_BAD_INPUT,
    EXIT_BUG,
    EXIT_DONE,
    EXIT_EXPECTATION_MISSED,
    EXIT_INTERRUPTED,
    AutomlPhysError,
    CallError,
    Mistake,
    RecipeError,
)

if TYPE_CHECKING:
    from automl_phys.rundir import RunDir


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with completions.answering(os.environ):
            code = app(given, prog_name="automl-phys", standalone_mode=False)
    except SystemExit as end:
        if "--install-completion" in given:
            completions.answer_first_press()
        return end.code if isinstance(end.code, int) else EXIT_DONE
    except typer.TyperException as error:
        return _tell(wrong_calls.told(error), "--json" in given)
    except AutomlPhysError as error:
        return _tell(error, "--json" in given)
    except Exception as error:  # noqa: BLE001 - the last boundary: whatever arrives here is our bug, and is reported as one
        return _report_bug(error, given)
    if code == EXIT_INTERRUPTED:
        typer.echo("Interrupted.", err=True)
    return code if isinstance(code, int) else EXIT_DONE


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help(), err=True)
        raise SystemExit(EXIT_BAD_INPUT)


@command()
def validate(recipes: Annotated[list[str], typer.Argument(
    metavar="RECIPE...", autocompletion=completions.recipes, help="Recipes to check.")], as_json: Json = False) -> None:
    """Tell every mistake of a recipe at once; opens no data."""
    from automl_phys import archives, recipe

    mistakes: list[Mistake] = []
    sound: list[tuple[str, str]] = []
    for path in recipes:
        try:
            good = recipe.load(archives.recipe(path))
        except AutomlPhysError as error:
            mistakes.extend(error.mistakes)
        else:
            sound.append((path, good.task))
    said = [f"{path}: a sound recipe for task '{task}'." for path, task in sound]
    if not mistakes or not as_json:
        tell(said, as_json, recipes=[{"path": path, "task": task} for path, task in sound])
    if mistakes:
        raise RecipeError(list(dict.fromkeys(mistakes)))  # two recipes may extend the same broken one


@command()
def run(
    recipe: RecipeFile, sets: Sets = None, smoke: Smoke = False, quiet: Quiet = False,
    resume: Annotated[bool, typer.Option("--resume", help="Take up the last run of this recipe.")] = False,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for the runs.")] = Path("runs"),
    cache: Annotated[bool, typer.Option(
        "--cache/--no-cache", help="Take over what an earlier run prepared of the same inputs.")] = True,
    as_json: Json = False, trust_environment: Trust = False, trust_cluster: TrustCluster = False,
) -> None:
    """Do the whole thing: plan, search, refit, evaluate, report."""
    from automl_phys import lock_repeats, locks, pipeline
    from automl_phys import recipe as language
    from automl_phys.console import Terminal

    fetch([recipe], quiet)
    lock = locks.of(recipe)
    wanted = language.given(recipe, sets or (), smoke, trust_environment, trust_cluster)
    with wanted.locating(), Terminal(quiet) as show:
        try:
            if lock and not as_json:
                show.table(lock_repeats.world(lock, wanted))
            run_dir = pipeline.run(wanted, out, resume, show, cache)
            repeat = lock_repeats.repeat(lock, run_dir) if lock and not (sets or smoke) else None
            code = EXIT_DONE if repeat is None or repeat.agrees else EXIT_EXPECTATION_MISSED
            if as_json:
                tell_json({"exit": code, **pipeline.outcome(run_dir), "repeat": repeat})
            else:
                show.finished(run_dir)
            if repeat is not None and not as_json:
                show.table(repeat.table)
            if code:
                raise SystemExit(code)
        except KeyboardInterrupt:
            again = _again("--resume")
            show.error(f"Interrupted; nothing that was finished is lost. Go on with:\n  {again}")
            if as_json:
                tell_json({"exit": EXIT_INTERRUPTED, "resume": again})
            raise SystemExit(EXIT_INTERRUPTED) from None


@command()
def plan(
    recipe: RecipeFile, sets: Sets = None, smoke: Smoke = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    trust_environment: Trust = False,
) -> None:
    """Show what would run, and why, before anything runs."""
    from automl_phys import pipeline
    from automl_phys import recipe as language
    from automl_phys.console import Terminal

    fetch([recipe], as_json)
    wanted = language.given(recipe, sets or (), smoke, trust_environment, trust_cluster=True)  # nothing is sent
    with Terminal(quiet=as_json) as show, wanted.locating():
        show.stage("Plan")
        decided = pipeline.make_plan(wanted, tell=show.advance)
        script = pipeline.job_script(decided)
    if as_json:
        tell_json(decided)
        return
    Terminal().plan(decided)
    if script:
        typer.echo(f"Each batch job would be submitted with this script:\n\n{script}")


@command()
def predict(
    run: PackedRun,
    data: Annotated[str | None, typer.Argument(
        metavar="DATA",
        help="New data: a file, a glob, or a folder of images. None for an agent, which plays.")] = None,
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", metavar="FILE",
        help="Where the scores go, or an agent's steps: .parquet, .csv, .feather, .h5 or .root.")] = None,
    episodes: Annotated[int, typer.Option(
        "--episodes", metavar="N", min=1, help="Of an agent: how many episodes it plays.")] = 10,
    seed: Annotated[int, typer.Option(
        "--seed", metavar="N", min=0, help="Of an agent: the same seed begins the same episodes.")] = 0,
    render: Annotated[Path | None, typer.Option(
        "--render", metavar="FILE", help="Of an agent: where a film of the first episode goes, .gif or .mp4.")] = None,
    explore: Annotated[bool, typer.Option("--explore", help="Of an agent: act at random as while it learnt.")] = False,
    trust_environment: Trust = False, quiet: Quiet = False, as_json: Json = False,
) -> None:
    """Score new data with a finished run; an agent plays episodes instead."""
    from automl_phys import archives, pipeline, table_file
    from automl_phys.console import Terminal
    from automl_phys.rundir import RunDir

    if output is not None:
        table_file.check(output)
    fetch([run], quiet)
    run_dir = RunDir(archives.run(run))
    if pipeline.plays(run_dir):
        _play(run_dir, data, (output, render), episodes, seed, (explore, trust_environment), (quiet, as_json))
        return
    if data is None or output is None:
        raise CallError(Mistake("missing-argument", "New data are scored, and the scores go into a file.",
                                f"Give both: automl-phys predict {run} DATA -o scores.parquet"))
    if output.exists() and Path(data).exists() and output.samefile(data):
        raise CallError(Mistake("same-file", f"The scores would be written over the data, {data}.",
                                "Name another file under -o."))
    with Terminal(quiet) as show:
        rows = pipeline.predict(run_dir, Path(data), output, show)
    tell([f"Wrote the scores of {rows} to {output}."], as_json, [output])


def _play(run_dir: RunDir, data: str | None, files: tuple[Path | None, Path | None], episodes: int, seed: int,
          flags: tuple[bool, bool], shown: tuple[bool, bool]) -> None:
    """Have an agent play, and write its steps and a film, whichever is asked for."""
    from automl_phys import pipeline, play
    from automl_phys.console import Terminal

    if data is not None:
        raise CallError(Mistake("no-data-needed", "An agent takes no data: it plays.",
                                f"Leave {data} out: automl-phys predict {run_dir.path} --episodes 10 -o steps.parquet"))
    if files[1] is not None:
        play.check(files[1])
    quiet, as_json = shown
    with Terminal(quiet) as show:
        said = pipeline.play(run_dir, play.Wanted(episodes, seed, *files, *flags), show)
    written = {what: file for what, file in zip(("steps", "film of the first episode"), files, strict=True) if file}
    tell([f"{said}.", *(f"Wrote the {what} to {file}." for what, file in written.items())], as_json,
         list(written.values()))


@command()
def generate(
    run: PackedRun,
    output: Annotated[Path, typer.Option(
        "-o", "--output", metavar="FILE", help="Where the events go: .parquet, .csv or .feather.")],
    count: Annotated[int, typer.Option("-n", "--count", metavar="N", min=1, help="How many events.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="The same seed makes the same events.")] = 0,
    where: Annotated[list[str] | None, typer.Option(
        "--where", metavar="NAME=VALUE", help="Fix a condition, e.g. label=top; may be repeated.")] = None,
    quiet: Quiet = False, as_json: Json = False,
) -> None:
    """Make new events with a finished run of task 'generate'."""
    from automl_phys import archives, event_files, pipeline
    from automl_phys.console import Terminal
    from automl_phys.rundir import RunDir

    event_files.check(output)
    fetch([run], quiet)
    with Terminal(quiet) as show:
        pipeline.generate(RunDir(archives.run(run)), count, seed, where or (), output, show)
    tell([f"Wrote {count} events to {output}."], as_json, [output])


@command()
def export(
    run: RunFolder,
    format_: Annotated[str, typer.Option(
        "--format", metavar="FORMAT", autocompletion=completions.formats,
        help="onnx, keras, lightgbm, csv or hls4ml.")],
    output: Annotated[Path | None, typer.Option(
        "-o", "--output", metavar="FILE",
        help="The file to write; 'model' with the format's ending by default.")] = None,
    quiet: Quiet = False, as_json: Json = False,
) -> None:
    """Write a finished run for other programs, compared with the run before it is kept."""
    from automl_phys import export as stage
    from automl_phys import pipeline
    from automl_phys.console import Terminal
    from automl_phys.rundir import RunDir

    target = stage.check(format_, output)
    with Terminal(quiet) as show:
        written = pipeline.export(RunDir(run), format_, target, show)
    files = [target.parent / file.name for file in written.files]
    tell([f"Wrote {' and '.join(map(str, files))}.", written.agreed, *written.notes,
          *(f"Inside:  {text}." for text in written.inside), *(f"Outside: {text}." for text in written.outside),
          *(["To use it:"] if written.load else []), *(f"  {line}" for line in written.load)], as_json, files)


@command()
def report(
    run: Annotated[Path, typer.Argument(
        metavar="RUN|FOLDER", autocompletion=completions.runs,
        help="Folder of a run, e.g. runs/NAME/latest; or one with runs in it, e.g. runs.")],
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser, too.")] = False,
    as_json: Json = False, quiet: Quiet = False,
) -> None:
    """Render the report of a finished run again; of a folder with runs in it, a page that lists them."""
    from automl_phys import browsing, pipeline, run_index, run_state
    from automl_phys import recipe as language
    from automl_phys.console import Terminal
    from automl_phys.rundir import RunDir

    folder = RunDir(run)
    if run_index.is_a_run(run):
        if not folder.evaluation.exists():
            raise CallError(run_state.not_finished(run))
        wanted = language.load(folder.recipe).report
        with Terminal(quiet or as_json) as show:
            path = pipeline.render(folder, wanted.formats, wanted.figures, show)
    else:
        path = pipeline.index(run)
    said = [str(path)]
    if open_ and not browsing.open_page(path):
        said.append(f"There is no browser here to open it with. Its address is {browsing.address(path)}")
    tell(said, as_json, [path])


@command()
def dashboard(
    run: RunFolder,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65_535, help="0 takes a free one.")] = 8080,
) -> None:
    """Look at the search of a run in the browser, with optuna-dashboard; Ctrl-C ends it."""
    from automl_phys import pipeline
    from automl_phys.rundir import RunDir

    pipeline.dashboard(RunDir(run), port, typer.echo)


@command()
def compare(
    runs: Annotated[list[str], typer.Argument(
        metavar="RUN RUN...", autocompletion=completions.runs,
        help="Finished runs, folders or archives; the others are compared with the first.")],
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE.html", help="Write it as a page too.")] = None,
    as_json: Json = False,
) -> None:
    """Set runs side by side: recipes, metrics, how sure the differences are."""
    from automl_phys import archives, pipeline
    from automl_phys.console import Terminal

    fetch(runs, as_json)
    with Terminal(quiet=as_json) as show:
        found = pipeline.compare([archives.opened(one) or Path(one) for one in runs], page, show)
        if not as_json:
            show.compared(found, page)
    if as_json:
        tell_json(found)


@command()
def check(
    recipes: Annotated[list[str], typer.Argument(
        metavar="RECIPE...", autocompletion=completions.recipes, help="Recipes with a section 'expect'.")],
    sets: Sets = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A tiny budget: only see that they run.")] = False,
    cached: Annotated[bool, typer.Option(
        "--cached", help="Take earlier runs of the very same recipe, data, versions and code.")] = False,
    update: Annotated[bool, typer.Option("--update", help="Write what was measured into the recipes.")] = False,
    seeds: Annotated[int, typer.Option(
        "--seeds", metavar="N", min=1, max=1000,
        help="Run each with so many seeds, its own and those that follow.")] = 1,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE.xml", help="Write JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(
        "--markdown", metavar="FILE.md", help="Write a table for a merge request.")] = None,
    as_json: Json = False,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for the runs.")] = Path("runs"),
    trust_environment: Trust = False, trust_cluster: TrustCluster = False, quiet: Quiet = False,
) -> None:
    """Run recipes and hold what they measure against what they expect; exit code 4 on a miss."""
    from automl_phys import check_outputs, checking, rundir
    from automl_phys.console import Terminal

    wish = checking.Wish(out, tuple(sets or ()), smoke, cached, update, trust_environment, trust_cluster, seeds,
                         quiet)
    found = checking.load(recipes, wish)
    checks = checking.Checks()
    with Terminal(quiet) as show:
        checking.run(found, wish, checks, show)
        updates = checking.update(found, checks) if update and not checks.interrupted else []
        for path, content in ((junit, check_outputs.junit), (markdown, check_outputs.markdown_text)):
            if path is not None:
                rundir.write_text(path, content(checks.done))
        if not as_json:
            show.table(check_outputs.table(checks.done))
        if checks.interrupted:
            again = _again("--cached")
            show.error(f"Interrupted; runs that came to their end need not be done again. Go on with:\n  {again}")
    if as_json:
        tell_json({"exit": checks.exit_code, "checks": checks.done, "updates": updates})
    else:
        for line in updates:
            typer.echo(line)
    raise SystemExit(checks.exit_code)


def _again(option: str) -> str:
    """The line that was given, with an option that takes up what was done."""
    return shlex.join(["automl-phys", *(word for word in sys.argv[1:] if word != option), option])


def _tell(error: AutomlPhysError, as_json: bool) -> int:
    """Tell a person what is wrong on stderr; a program that asked for JSON, on stdout too."""
    from automl_phys import wording

    if as_json:
        tell_json(wording.as_data(error))
    typer.echo(in_lines(f"{wording.render(error)}\n{wording.learn_more(error)}", sys.stderr), err=True)
    return error.exit_code


def _report_bug(error: Exception, arguments: Sequence[str]) -> int:
    """Keep what we need to mend the bug in a file, so that the user can send it."""
    text = (f"automl-phys {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
            f"arguments: {shlex.join(arguments)}\n\n{''.join(traceback.format_exception(error))}")
    with tempfile.NamedTemporaryFile("wb", prefix="automl-phys-bug-", suffix=".txt", delete=False) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    typer.echo(f"This is a bug in automl-phys, not in your recipe: {type(error).__name__}: {error}\n"
               f"Please report it with the file {file.name}.", err=True)
    return EXIT_BUG


if __name__ == "__main__":
    sys.exit(main())
