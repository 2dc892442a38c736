"""Task ``generate``: make new events, or images, that cannot be told from the real ones.

Takes a recipe's ``data`` and ``generate`` and finished generators; gives prepared events, scores, and how the best
generator's events close against those of the test. Events are :mod:`automl_phys.events`'s work, generators
:mod:`automl_phys.generating`'s; what is measured is in ``closure``, what is shown in ``closure_exhibits``. A generator
is judged by events that it made for the conditions of the validation rows; the events of several cannot be averaged, so
the best one wins alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import measures
from automl_phys.contracts import Candidate
from automl_phys.errors import DataError, Mistake
from automl_phys.exhibits import Estimate, Evaluation, Score
from automl_phys.facts import Facts
from automl_phys.generate_sections import Options
from automl_phys.registry import did_you_mean
from automl_phys.telling import Tell, counted, nobody
from automl_phys.values import Direction

if TYPE_CHECKING:
    from automl_phys.column_profiles import Looked
    from automl_phys.drafting import Drafted
    from automl_phys.events import EventRows, EventsProblem
    from automl_phys.generating import Layout
    from automl_phys.table import NewRows, Rows, Schema
    from automl_phys.values import Array

__all__ = ["Options"]

TEXT = "make new events or images, and say how well they close against real ones"
DEFAULT_FAMILIES = ("flow", "diffusion", "vae", "gan", "kde", "mixture")
FAMILIES_OF_IMAGES = ("diffusion", "flow", "vae", "gan", "mixture")
DEFAULT_OBJECTIVE = "c2st"
BASELINE = "mixture"
EXAMPLE = Facts("table", {"train": 10_000, "valid": 3_000, "test": 3_000},
                {"numbers": 20, "categories": 1, "outputs": 0, "targets": 0, "folds": 0, "condition": 1,
                 "generated": 20, "replicas": 1})
REPLICAS = 1
REPLICATED = "winner"
LEADERS = 0.0
FRAMEWORK = "jax"
OBJECTIVES: Mapping[str, Direction] = measures.Objectives(measures.OF_EVENTS)

FEWEST_PER_CLASS = 20
"""Training events of each class that is a condition."""
PER_COLUMN = 2
"""Training events for each column that is made, at least."""
MOST_SCORED = 5_000
"""Validation events by which trials are compared; enough for a classifier to see what is wrong."""


def families(options: Options, asked: Sequence[str]) -> Sequence[str]:
    """The families asked for, or all that can make such events."""
    return asked or (FAMILIES_OF_IMAGES if options.data.images else DEFAULT_FAMILIES)


def refuse(objective: str, facts: Facts) -> Mistake | None:
    """Every objective can be had of every kind of events."""
    return None


def overrides(options: Options) -> Mapping[str, Mapping[str, Any]]:
    """Nothing: the families have their own words."""
    return {}


def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """Which columns are made, and which is given. Raises CallError for what cannot be guessed."""
    from automl_phys import drafting, role_guesses

    given = role_guesses.known(looked, target) if target else role_guesses.class_like(looked)
    taken = [given.name] if given else []
    taken += drafting.put_weight(data, looked, taken, given)
    features = drafting.put_inputs(data, looked, taken, None, spectators=False, categories=False, remedy="drop")
    if given and role_guesses.may_be_classes(given):
        data.put("categorical", f"[{drafting.word(given.name)}]",
                 f"values are names: {role_guesses.shares(given.counts)}")
    drafting.put_cut(data, looked, given, features)
    drafting.put_split(data)
    made = drafting.Drafted("generate")
    if given:
        made.put("condition", drafting.word(given.name), "given, not generated; leave it out to generate all alike")
    else:
        made.put("condition", "COLUMN", "to be given; no column looks like a class", off=True)
    made.put("bounds", f"{{{drafting.word(features[0]) if features else 'COLUMN'}: [0, 1]}}",
             "hard limits; default: what the training events reach to", off=True)
    return {"generate": made}


def look(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> Facts:
    """Facts from the header and the weights. Raises DataError with all mistakes."""
    from automl_phys import events, table

    facts: Facts = _checked(options, folder, tell, lambda: table.look(options.table, folder, seed, tell))
    facts = replace(facts, sizes=events.sizes(facts, len(options.generate.conditions)))
    if few := _few(facts):
        raise DataError(few)
    return facts


def prepare(options: Options, folder: Path, target: Path, seed: int, tell: Tell = nobody) -> EventsProblem:
    """Read, check, split and write the events into ``target``. Raises DataError with all mistakes."""
    from automl_phys import events, table

    _checked(options, folder, tell, lambda: table.prepare(
        options.table, folder, target, seed, _settings(options), _sound, tell))
    return events.load(target)


def fingerprint(options: Options, folder: Path, seed: int, tell: Tell = nobody) -> str:
    """Hash of all that decides the prepared events. Raises DataError."""
    from automl_phys import table

    return table.fingerprint(options.table, folder, seed, _settings(options), tell)


def _settings(options: Options) -> Mapping[str, Any]:
    asked = options.generate
    return {"condition": list(asked.conditions), "derive": dict(asked.derive),
            "bounds": {name: list(ends) for name, ends in asked.bounds.items()}}


def load(folder: Path) -> EventsProblem:
    """Open prepared events. Raises CallError when they are not there or damaged."""
    from automl_phys import events

    return events.load(folder)


def read_new(problem: EventsProblem, source: Path, tell: Tell = nobody) -> NewRows:
    """Rows whose conditions other events are made for, with the columns of the training data. Raises DataError."""
    from automl_phys import table

    return table.read_new(problem, source, tell)


def score(objective: str, part: EventRows, predictions: Array) -> float:
    """The objective of events that were made for the conditions of rows (n,), against these.

    Raises KeyError for an unknown objective.
    """
    import numpy as np

    from automl_phys import closure, events

    layout = _of(part)
    real, made = events.sample(part, layout, part.derive), events.sample(part, layout, part.derive, predictions)
    if len(part) > MOST_SCORED:
        some = np.random.default_rng(len(part)).permutation(len(part))[:MOST_SCORED]
        real, made = real.take(some), made.take(some)
    return closure.value(objective, real, made, seed=0)


def _of(part: EventRows) -> Layout:
    if part.layout is None:
        raise ValueError("rows of events must know their layout")
    return part.layout


def calibrate(problem: EventsProblem, part: Rows, predictions: Array,
              predict: Callable[[Rows], Array] | None = None) -> Mapping[str, Any]:
    """Nothing: events have no uncertainty of their own."""
    return {}


def evaluate(problem: EventsProblem, candidates: Sequence[Candidate], objective: str, calibration: Mapping[str, Any],
             seed: int, tell: Tell = nobody) -> Evaluation:
    """How the events of the candidates, the first of which is the winner, close against the test events."""
    import numpy as np

    from automl_phys import closure, closure_exhibits, events

    test, layout = problem.test, problem.layout
    real = events.sample(test, layout, problem.derive)
    train = events.sample(problem.train, layout, problem.derive)
    floors = closure.floors(real, train, seed)
    found: dict[str, dict[str, Estimate]] = {}
    for i, one in enumerate(counted(candidates, "models judged", tell)):
        # The winner is the best of its family too, perhaps the baseline: the same events are measured once.
        same = next((other.name for other in candidates[:i]
                     if np.array_equal(other.predictions["test"], one.predictions["test"])), None)
        found[one.name] = found[same] if same else closure.estimates(
            real, events.sample(test, layout, problem.derive, one.predictions["test"]), train, seed)
    baseline = next(one for one in candidates if one.role == "baseline")
    scores = tuple(
        Score(one.name, one.role, found[one.name],
              None if one is baseline else closure.gain(objective, found[one.name], found[baseline.name]), one.seconds)
        for one in candidates)
    winner = candidates[0]
    made, metrics = events.sample(test, layout, problem.derive, winner.predictions["test"]), found[winner.name]
    images = (layout.events(test), winner.predictions["test"]) if layout.images else None
    base = next(score for score in scores if score.role == "baseline")
    return Evaluation(
        closure_exhibits.verdict(metrics, floors, base, scores[0]),
        _in_order(metrics, floors), scores,
        closure_exhibits.tables(metrics, floors, scores, objective),
        (*closure_exhibits.figures(real, made, images), *winner.figures))


def _in_order(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """What is measured of all columns, its floors, and then what is of one column."""
    whole = {name: one for name, one in metrics.items() if "/" not in name}
    return {**whole, **{f"{name}/floor": floors[name] for name in whole if name in floors}, **metrics}


def write_scores(problem: EventsProblem, rows: Rows, predictions: Array, calibration: Mapping[str, Any], target: Path
                 ) -> None:
    """Write the generated events with the names of the data's columns, the conditions that each was made for, and
    ``row``, the position of the row that these are of. Raises RunError when the disk refuses."""
    from automl_phys import events, table_file
    from automl_phys.table import NewRows

    made = events.table(problem, predictions, problem.layout.conditions(rows))
    carried = rows.carried if isinstance(rows, NewRows) else problem.carried("test")
    table_file.write(made.add_column(0, "row", carried.column("row")), target)


# ---------------------------------------------------------------- what can be wrong

def _checked(options: Options, folder: Path, tell: Tell, read: Callable[[], Any]) -> Any:
    """What ``read`` gives; its mistakes and those in the words of ``generate`` together. Raises DataError."""
    from automl_phys import table_files

    wrong = _wrong_words(options, table_files.of_recipe(options.table, folder, tell).header.columns)
    try:
        found = read()
    except DataError as error:
        named = {mistake.text for mistake in wrong}
        raise DataError([*wrong, *(one for one in error.mistakes if one.text not in named)]) from error
    if wrong:
        raise DataError(wrong)
    return found


def _wrong_words(options: Options, kinds: Mapping[str, str]) -> list[Mistake]:
    """Columns that are not there, or cannot be what the recipe wants them to be."""
    from automl_phys import expressions

    asked, mistakes = options.generate, []
    for name in asked.conditions:
        if name not in kinds:
            mistakes.append(Mistake(
                "no-such-column", f"There is no column '{name}' in the data.{did_you_mean(name, kinds)}",
                f"Columns: {', '.join(kinds)}.", ("generate", "condition")))
        elif kinds[name] == "text" and name not in options.table.categorical:
            mistakes.append(Mistake(
                "text-column", f"The condition '{name}' holds text.",
                "List it under 'data.categorical': its values are classes.", ("generate", "condition")))
    data = options.data
    for role, taken in (("exclude", data.exclude), ("spectators", data.spectators), ("weight", (data.weight,))):
        mistakes += [Mistake("two-roles", f"The condition '{name}' is also in 'data.{role}'.",
                             "A column has one role: keep one.", ("generate", "condition"))
                     for name in asked.conditions if name in taken]
    for name in asked.bounds:
        if name not in kinds:
            mistakes.append(Mistake(
                "no-such-column", f"There is no column '{name}' to be bound.{did_you_mean(name, kinds)}",
                f"Columns: {', '.join(kinds)}.", ("generate", "bounds", name)))
    unread = {*options.data.exclude, *options.data.spectators, options.data.weight}
    columns = {name: kind for name, kind in kinds.items() if name not in unread}
    for name, text in asked.derive.items():
        key = ("generate", "derive", name)
        try:
            expressions.check(expressions.parse(text), columns)
        except expressions.ExpressionError as error:
            mistakes.append(Mistake("bad-expression", f"{error.text}", error.remedy, key))
    return mistakes


def _few(facts: Facts) -> list[Mistake]:
    """Fewer training events than what is made of each allows to learn."""
    train, needed = facts.rows["train"], PER_COLUMN * facts.sizes["generated"]
    if facts.kind == "images" or train >= needed:
        return []
    return [Mistake("too-few-rows", f"There are {train} training events of {facts.sizes['generated']} columns; "
                    f"{needed} are the least to learn how these hang together.",
                    "Give more events, or fewer features.", ("data",))]


def _passed(draft: Path, schema: Schema) -> list[Mistake]:
    """Bounds that real events do not keep."""
    import numpy as np

    bounds, mistakes = schema.settings["bounds"], []
    numbers = np.load(draft / "numbers.npy", mmap_mode="r") if bounds and schema.numbers else np.empty((0, 0))
    for name, (low, high) in bounds.items():
        if name not in schema.numbers:
            continue
        column = numbers[:, schema.numbers.index(name)]
        least, most = float(column.min()), float(column.max())
        slack = 1e-6 * (most - least)  # of float32
        if least < low - slack or most > high + slack:
            mistakes.append(Mistake(
                "out-of-bounds", f"'{name}' goes from {least:g} to {most:g} in the data, beyond its bounds {low:g} and "
                f"{high:g}.", "Correct the bounds, or leave such events out with 'data.cut'.",
                ("generate", "bounds", name)))
    return mistakes


def _sound(draft: Path, schema: Schema) -> Sequence[str]:
    """Notes on what was written into ``draft``. Raises DataError for conditions that cannot be learnt."""
    import numpy as np

    from automl_phys.generating import Layout

    layout = Layout.of(schema)
    mistakes = []
    for name in schema.settings["condition"]:
        if name not in layout.given_names:
            mistakes.append(Mistake("constant-condition", f"The condition '{name}' is the same in all training events.",
                                    "A condition must vary: leave it out.", ("generate", "condition")))
    mistakes += _passed(draft, schema)
    if layout.given_categories:
        codes = np.load(draft / "categories.npy", mmap_mode="r")
        for name, j in zip(layout.given_names[len(layout.given_numbers):], layout.given_categories, strict=True):
            counts = np.bincount(codes[:, j], minlength=len(layout.levels[name]) + 1)
            few = [f"'{level}' ({n})" for level, n in zip(layout.levels[name], counts[1:], strict=True)
                   if n < FEWEST_PER_CLASS]
            if counts[0]:
                few.insert(0, f"one that the training part does not have at all ({counts[0]})")
            if few:
                mistakes.append(Mistake(
                    "too-few-rows", f"Too few events of some classes of the condition '{name}': {', '.join(few)}; each "
                    f"needs {FEWEST_PER_CLASS}.", "Cut rare classes away, or give more of their events.",
                    ("generate", "condition")))
    if mistakes:
        raise DataError(mistakes)
    return ()
