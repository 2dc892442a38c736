"""The terminal as a user sees it: live and plain, at 80 columns, with hostile names, quiet, and without colour."""

import io
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures import jets_run
from rich.console import Console

from automl_phys import terminal_plots
from automl_phys.console import Terminal
from automl_phys.exhibits import Axis, Estimate, Figure, Series, Table
from automl_phys.facts import Range
from automl_phys.terminal_search import Board
from automl_phys.trials import Progress

ESCAPE = "\x1b"


class FakeTerminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(what, stream=None):
    results = stream or io.StringIO()
    with Terminal(log=io.StringIO(), results=results) as terminal:
        what(terminal)
    return results.getvalue()


def search(terminal, clock=None):
    terminal.begin(jets_run.plan(), Path("runs/jets/1"))
    terminal.stage("Search")
    for trial in jets_run.trials():
        terminal.trial(trial.job)
        terminal.trial(Progress(trial.job.number, 5, 0.7))
        if clock:
            clock.now += 2
        terminal.trial(trial.result)


def outcome(terminal):
    terminal.outcome(jets_run.plan(), jets_run.evaluation(), jets_run.findings(), Path("runs/jets/report.html"))


# ---------------------------------------------------------------- progress

def test_without_a_terminal_there_is_one_line_for_each_finished_trial():
    log = io.StringIO()
    with Terminal(log=log) as terminal:
        search(terminal)
    lines = log.getvalue().splitlines()
    assert ESCAPE not in log.getvalue()
    assert lines[:2] == ["  24 trials of linear, boosted_trees, extra_trees, mlp on 2 workers, in runs/jets/1", "== Search"]
    assert [line.split()[1] for line in lines if line.startswith("trial ")] == [str(n) for n in range(24)]
    assert any("trial 9 extra_trees failed" in line and "FloatingPointError" in line for line in lines)
    assert lines[-1].endswith("19 done, 2 pruned, 2 failed, 1 timed out")


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_plain_output_is_asked_for_on_a_terminal_too(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    log, results = FakeTerminal(), FakeTerminal()
    with Terminal(log=log, results=results) as terminal:
        search(terminal)
        outcome(terminal)
    assert ESCAPE not in log.getvalue() + results.getvalue()
    assert log.getvalue().count("\ntrial ") == 24


def test_on_a_terminal_the_display_ends_and_leaves_failures_and_a_summary():
    log = FakeTerminal()
    with Terminal(log=log) as terminal:
        search(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", log.getvalue())
    assert log.getvalue().count("\x1b[?25l") == log.getvalue().count("\x1b[?25h") == 1  # the cursor is given back
    assert "the loss became NaN" in text
    assert "✓ Search" in text


def drawn(terminal):
    """What stands in the live display now."""
    text = io.StringIO()
    Console(file=text, width=80).print(terminal._view())
    return text.getvalue()


@pytest.mark.parametrize(("title", "what", "wanted"), [("Search", "", "7/24 trials"), ("Ensemble", "refits", "7/24 refits")])
def test_what_is_counted_has_one_bar(title, what, wanted):
    terminal = Terminal(log=FakeTerminal())
    terminal.begin(jets_run.plan(), Path("runs/jets/1"))
    with terminal:
        terminal.stage(title)
        terminal.advance(7, 24, what)
        assert drawn(terminal).count("7/24") == 1
        terminal.trial(jets_run.trials()[0].job)
        terminal.advance(7, 24, what)
        view = drawn(terminal)
        assert [line for line in view.splitlines() if "/24" in line and wanted in line]
        assert view.count("7/24") == 1


def test_long_messages_stand_below_their_beginning():
    log = FakeTerminal()
    with Terminal(log=log) as terminal:
        terminal.say("word " * 40)
    lines = [line for line in log.getvalue().splitlines() if line.strip()]
    assert len(lines) > 2
    assert all(line.startswith("  word") and len(line) <= 80 for line in lines)


def test_what_came_out_is_apart_from_the_stages():
    screen = FakeTerminal()
    with Terminal(log=screen, results=screen) as terminal:
        terminal.stage("Report")
        outcome(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"✓ Report +[0-9.]+ s\s*\n\s*\nVerdict", text)


def test_a_stage_that_raised_is_not_called_done():
    log = io.StringIO()
    with pytest.raises(ZeroDivisionError), Terminal(log=log) as terminal:
        terminal.stage("Prepare")
        1 / 0  # noqa: B018
    assert "✗ Prepare" in log.getvalue()


def test_quiet_leaves_only_results_and_errors():
    log, results = io.StringIO(), io.StringIO()
    with Terminal(quiet=True, log=log, results=results) as terminal:
        search(terminal)
        terminal.say("something")
        terminal.advance(1, 2)
        outcome(terminal)
        assert log.getvalue() == ""
        terminal.error("recipe.yaml:3:1: 'tusk' is not a key.\n  Allowed: task.")
    assert "Verdict" in results.getvalue()
    assert log.getvalue() == "recipe.yaml:3:1: 'tusk' is not a key.\n  Allowed: task.\n"


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(0.0005, 0, 0), (0.1, 10, 10), (60.0, 10, 10)])
def test_a_long_stage_is_told_in_few_lines_and_a_short_one_in_none(seconds, fewest, most):
    log, clock = io.StringIO(), itertools.count(step=seconds)
    with Terminal(log=log, clock=lambda: next(clock)) as terminal:
        terminal.stage("Evaluate")
        for done in range(1, 1001):
            terminal.advance(done, 1000, "rows")
    told = [line for line in log.getvalue().splitlines() if "/1000" in line]
    assert fewest <= len(told) <= most


def test_lines_of_trials_are_not_counted_a_second_time_nor_is_nothing():
    log, clock = io.StringIO(), itertools.count(step=10.0)
    with Terminal(log=log, clock=lambda: next(clock)) as terminal:
        terminal.begin(jets_run.plan(), Path("runs/jets/1"))
        terminal.stage("Search")
        terminal.trial(jets_run.trials()[0].result)
        terminal.advance(1, 24)
        terminal.stage("Winner")
        terminal.advance(0, 0, "fits")
    assert "\n  1/24" not in log.getvalue()
    assert "0/0" not in log.getvalue()


def test_a_live_stage_tells_the_time_left_at_its_pace():
    clock = Clock()
    terminal = Terminal(log=FakeTerminal(), clock=clock)
    terminal.stage("Draw")
    terminal.advance(0, 100, "events")
    assert terminal._left() == ""
    clock.now += 0.5
    terminal.advance(1, 100, "events")
    assert terminal._left() == "", "too early to know"
    clock.now += 9.5
    terminal.advance(20, 100, "events")
    assert terminal._left() == "40 s left"
    clock.now += 10
    terminal.advance(4, 10, "figures")  # another count begins here
    assert terminal._left() == ""
    clock.now += 30
    terminal.advance(7, 10, "figures")
    assert terminal._left() == "30 s left"
    terminal.advance(10, 10, "figures")
    assert terminal._left() == ""
    terminal.stage("Refit")
    terminal.advance(5, 9, "fits")  # done by a former run
    clock.now += 8
    terminal.advance(7, 9, "fits")
    assert terminal._left() == "8.0 s left"
    terminal.stage("Report")
    assert terminal._left() == ""


def test_fits_after_the_search_are_counted_by_themselves():
    log, trials = io.StringIO(), jets_run.trials()
    with Terminal(log=log) as terminal:
        search(terminal)
        terminal.stage("Ensemble")
        terminal.trial(trials[0].job)
        terminal.advance(0, 3, "refits")
        terminal.trial(trials[0].result)
    told = [line for line in log.getvalue().splitlines() if line.startswith("trial 0 ")]
    assert [line.rpartition(", ")[2] for line in told] == ["1/24", "1/3"]


# ---------------------------------------------------------------- the search

def test_the_board_knows_running_trials_and_the_best_of_each_family():
    board = Board(0.0, jets_run.plan())
    trials = jets_run.trials()
    for trial in trials[:6]:
        board.update(trial.job, 1.0)
    for trial in trials[:4]:
        board.update(trial.result, 5.0)
    board.update(Progress(4, 7, 0.61), 6.0)
    assert list(board.running) == [4, 5]
    assert (board.running[4].step, board.running[4].value) == (7, 0.61)
    values = [value for _, value, _ in board.ranking()]
    assert values == sorted(values)  # log loss: the smallest first
    assert board.ranking()[0][0] == "mlp"


def test_the_best_is_the_largest_where_the_objective_is_to_grow():
    board = Board(0.0)
    first, second = jets_run.trials()[1], jets_run.trials()[3]
    for trial, value in ((first, 0.8), (second, 0.9)):
        board.update(replace(trial.job, objective="roc_auc", direction="maximize"), 0.0)
        board.update(replace(trial.result, value=value), 1.0)
    assert [family for family, _, _ in board.ranking()] == ["mlp", "boosted_trees"]


def test_failed_trials_are_never_the_best():
    board = Board(0.0, jets_run.plan())
    for trial in jets_run.trials():
        board.update(trial.job, 0.0)
        board.update(replace(trial.result, status="pruned", value=0.0), 1.0)
    assert board.ranking() == []


def test_time_left_comes_from_the_rate_and_never_exceeds_the_budget():
    board = Board(0.0, jets_run.plan())  # 24 trials, two minutes for the search
    assert board.seconds_left(10.0) == pytest.approx(110.0)
    for trial in jets_run.trials()[:12]:
        board.update(trial.job, 0.0)
        board.update(trial.result, 0.0)
    assert board.seconds_left(24.0) == pytest.approx(24.0)
    assert board.seconds_left(90.0) == pytest.approx(30.0)
    assert board.seconds_left(500.0) == 0.0


# ---------------------------------------------------------------- plans and outcomes

@pytest.mark.parametrize("what", [outcome, lambda terminal: terminal.plan(jets_run.plan())])
def test_everything_fits_into_eighty_columns(what):
    assert max(map(len, shown(what).splitlines())) <= 80


def test_a_plan_shows_families_reasons_and_what_is_left_out():
    text = " ".join(shown(lambda terminal: terminal.plan(jets_run.plan())).split())
    for said in ("36 000 train", "tabpfn needs tabpfn, not installed here", "strong on tables of any size", "0.01 to 0.3",
                 "logarithmic", "2 workers (dask), 1 thread each, 3.4 GB each", "Keras runs on JAX", "24 trials, at most 4 min"):
        assert said in text.replace("\u202f", " ")


def test_names_are_whole_and_can_be_copied():
    names = ("calinski_harabasz_embedding *", "reduce-cluster-blobs-null")
    rows = tuple((name, "high", "what it is, in many words " * 4, "data/muon_counters.csv") for name in names)
    text = shown(lambda terminal: terminal.table(Table("Things", ("name", "better", "what", "data"), rows)))
    assert max(map(len, text.splitlines())) <= 80
    assert "calinski_harabasz_embedding" in text
    assert "reduce-cluster-blobs-null" in text


def test_choices_of_a_plan_are_whole():
    plan = jets_run.plan()
    family = plan.families[0]
    choices = Range(choices=tuple([128] * n for n in range(1, 8)))
    wide = replace(plan, families=(replace(family, space={**family.space, "layers": choices}),))
    text = shown(lambda terminal: terminal.plan(wide))
    assert "…" not in text[text.index("Search space"):text.index("Decisions")]
    assert text.count("128") >= 28


def test_an_outcome_begins_with_the_verdict_and_ends_with_the_report():
    text = shown(outcome)
    assert text.startswith("Verdict  The ensemble of 5 trials wins")
    assert text.rstrip().endswith("runs/jets/report.html")
    for said in ("0.4552 ± 0.0041", "0.1383 ± 0.0032", "✗ issue  Leakage", "2 checks passed", "▸3215   80%"):
        assert said in text


def test_no_style_assumes_a_dark_or_a_light_background():
    stream = FakeTerminal()
    shown(outcome, stream)
    codes = {code for group in re.findall(r"\x1b\[([0-9;]*)m", stream.getvalue()) for code in group.split(";")}
    assert "32" in codes  # green: there is colour at all
    assert "35" in codes  # that of a tip
    assert not codes & {"30", "37", "90", "97", "40", "47", "100", "107", "38", "48"}
    assert not codes & {"33", "34", "93", "94"}  # yellow is not seen on white, blue not on black


def test_names_from_files_are_neither_markup_nor_escape_codes():
    name = "[red]top[/red] :smile: \x1b[2J[/]"
    plan = replace(jets_run.plan(), name=name, reasons=(name,))
    stream = FakeTerminal()
    shown(lambda terminal: terminal.plan(plan), stream)
    assert "\x1b[2J" not in stream.getvalue()
    assert stream.getvalue().count("[red]top[/red] :smile: \ufffd[2J[/]") == 2


# ---------------------------------------------------------------- plots

def curve(figure, **size):
    return terminal_plots.plot(figure, **size).plain.splitlines()


def test_a_plot_is_as_large_as_asked_and_tells_curves_apart_by_letters():
    roc = next(f for f in jets_run.figures() if f.name == "roc")
    lines = curve(roc, width=50, height=12)
    inside = [line.partition("│")[2] or line.partition("┤")[2] for line in lines if "│" in line or "┤" in line]
    assert len(inside) == 12
    assert {len(line) for line in inside} == {50}
    assert all(letter in "".join(inside) for letter in "ABC")
    assert any(line.strip().startswith("C top") for line in lines)


def test_a_rising_line_goes_from_lower_left_to_upper_right():
    line = Series("", "line", (0.0, 1.0), (0.0, 1.0))
    inside = [row.partition("│")[2] or row.partition("┤")[2] for row in curve(Figure("f", "", "xy", Axis("x"), Axis("y"), (line,)), width=20, height=10)]
    first = [next(i for i, c in enumerate(row) if c != " ") for row in inside[1:11]]
    assert first == sorted(first, reverse=True)
    assert (first[0], first[-1]) == (18, 0)


def test_a_plot_leaves_out_what_no_axis_holds():
    points = Series("odd", "line", (0.0, 0.5, 1.0), (0.0, float("inf"), 100.0))
    assert curve(Figure("f", "", "xy", Axis("x"), Axis("y", "log"), (points,)))
    assert curve(Figure("f", "", "xy", Axis("x"), Axis("y"), ()))


def test_gains_are_green_or_red_only_beyond_their_interval():
    from automl_phys.terminal_tables import _gain_style
    assert [_gain_style(Estimate(v, v - 1, v + 1)) for v in (2, 0.5, -2)] == ["green", "magenta", "red"]
