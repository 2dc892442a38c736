"""A recipe for a user's own file: the commented template of a task, filled in by looking at the columns.

Takes a task, its template, paths and what was seen in them; gives the text of a recipe that validates and can be
planned, in which every guess stands with its reason, and alternatives are switched off. What is not plain is asked for:
CallError. What columns may be for is guessed in :mod:`automl_phys.role_guesses`.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from automl_phys import column_profiles, recipe_paths, role_guesses, yaml_source
from automl_phys.column_profiles import Label, Looked, Profile
from automl_phys.errors import CallError, Mistake, RecipeError
from automl_phys.readable import printable
from automl_phys.series_problem import CONTEXT, cuts

WIDTH, AT = 80, 32
"""Columns of the text, and where comments begin."""
VALID_SHARE = 0.18
"""Of normal events, what is surely in the validation part, on which thresholds are set."""
PLAIN = re.compile(r"(?:[^\W\d]|\.{0,2}/)[\w.+/-]*(?: [\w.+/-]+)*")


def word(value: Label) -> str:
    """A value as YAML reads it back: a text without quotes where it is still a text then."""
    if not isinstance(value, str):
        return json.dumps(value)
    if PLAIN.fullmatch(value):
        try:
            if yaml_source.parse(f"a: {value}", "")[0] == {"a": value} and \
                    yaml_source.parse(f"a: [{value}, b]", "")[0] == {"a": [value, "b"]}:
                return value
        except RecipeError:
            pass
    return json.dumps(value, ensure_ascii=not value.isprintable())


def column(name: str) -> str | None:
    """A column in an expression; None where it cannot stand in one."""
    if re.fullmatch(r"[^\W\d]\w*", name) and name not in ("and", "or", "not"):
        return name
    return None if "`" in name else f"`{name}`"


def literal(label: Label) -> str | None:
    """A label in an expression; None where it cannot stand in one."""
    if isinstance(label, str):
        return f"'{label}'" if "'" not in label else f'"{label}"' if '"' not in label else None
    return repr(label)


def equals(name: str, label: Label, sign: str = "==") -> str | None:
    """The expression that holds where a column has a label; of flags the flag itself."""
    left, right = column(name), literal(label)
    if left is None or right is None:
        return None
    if isinstance(label, bool):
        return left if label == (sign == "==") else f"not {left}"
    return f"{left} {sign} {right}"


@dataclass
class Section:
    """Lines of one section of a recipe."""

    name: str
    lines: list[str] = field(default_factory=list)

    def put(self, key: str, value: str, why: str = "", off: bool = False, deep: str = "  ") -> None:
        """A key with its value, and why: behind it where there is room, else above; ``off`` switches it off."""
        left = f"{deep}{'# ' * off}{key}{': ' if key else '- '}{value}"
        told = textwrap.wrap(why, WIDTH - AT - 2, break_long_words=False, break_on_hyphens=False)
        if why and len(left) < AT:
            self.lines.append(f"{left:<{AT}}# {told[0]}")
            self.lines += [f"{deep}#".ljust(AT) + f"# {line}" for line in told[1:]]
            return
        if why:
            self.note(why, deep)
        self.lines.append(left)

    def note(self, text: str, deep: str = "  ") -> None:
        """A comment on lines of its own."""
        self.lines += textwrap.wrap(text, WIDTH, initial_indent=f"{deep}# ", subsequent_indent=f"{deep}# ",
                                    break_long_words=False, break_on_hyphens=False)

    def several(self, key: str, values: Mapping[str, str], why: str = "") -> None:
        """A list, each with its reason."""
        if not values:
            return
        self.lines.append((f"  {key}:".ljust(AT) + f"# {why}") if why else f"  {key}:")
        for value, reason in values.items():
            self.put("", word(value), reason, deep="    ")

    @property
    def text(self) -> str:
        """The section, its name first."""
        return "\n".join([f"{self.name}:", *self.lines]) + "\n"


def draft(task: str, template: str, paths: Sequence[str], folder: Path, target: str | None) -> str:
    """The text of a recipe, to be written into ``folder``, for files that are named as seen from here.

    Raises DataError for files that cannot be read, CallError for what cannot be guessed.
    """
    if task not in _TASKS:
        raise CallError(Mistake("wrong-option", f"A recipe for task '{task}' is not filled in from data.",
                                "Leave --data out."))
    named = [_from(path, folder) for path in paths]
    looked = column_profiles.look(named, folder)
    data = Section("data")
    data.put("path", word(named[0]) if len(named) == 1 else f"[{', '.join(map(word, named))}]",
             f"{looked.rows} rows were looked at{'' if looked.whole else ', not all'}; every guess below says why")
    sections = {"data": data, **_TASKS[task](data, looked, target)}
    return _filled(template, {name: section.text for name, section in sections.items()})


def acting(template: str, environment: str) -> str:
    """The template of an agent with another environment. Raises DataError for one that Gymnasium does not have, or that
    cannot be made; a module of the user's own is taken as it is, and not imported."""
    if ":" not in environment:
        from automl_phys import environments

        environments.find(environments.Spec(environment))
    section = Section("environment")
    section.put("id", word(environment), "as asked for" if ":" not in environment else
                "your own, beside this file; run with --trust-environment")
    section.put("arguments", "{}", "what the environment is made with", off=True)
    section.put("time_limit", "500", "steps after which an episode is cut off; default: its own", off=True)
    section.put("frame_stack", "4", "so many of the last observations at once", off=True)
    section.put("copies", "8", "environments side by side; default: what suits the algorithm", off=True)
    section.put("normalize", "auto", "observations scaled by their running mean and width", off=True)
    return _filled(template, {"environment": section.text})


def _from(path: str, folder: Path) -> str:
    """A path as seen from the recipe's folder; an absolute one stays."""
    name, inside = recipe_paths.parted(path)
    moved = name if Path(name).expanduser().is_absolute() or name.startswith("~") else \
        Path(os.path.relpath(name, folder)).as_posix()
    return f"{moved}:{inside}" if inside else moved


def _filled(template: str, sections: Mapping[str, str]) -> str:
    """A template with other text in the place of some sections, whether these are switched on in it or off."""
    found = re.split(r"(?m)^(?=(?:# )?[a-z]+:)", template)
    made = []
    for block in found:
        name = re.match(r"(?:# )?([a-z]+):", block)
        if name and name[1] in sections:
            tail = re.search(r"\n*\Z", block)
            made.append(sections[name[1]].rstrip("\n") + (tail[0] if tail else "\n"))
        else:
            made.append(block)
    return "".join(made)


# ---------------------------------------------------------------- what several tasks write

def _labels(data: Section, looked: Looked, target: str | None) -> Profile:
    guess = role_guesses.classes(looked, target)
    found = looked.columns[guess.name]
    data.put("target", word(guess.name), f"{guess.why}: {role_guesses.shares(found.counts)}")
    for other in guess.others:
        data.put("target", word(other), "may be meant, too", off=True)
    signal = role_guesses.of_labels(found.counts, role_guesses.SIGNALS)
    if len(found.counts) == 2 and signal is not None:
        data.put("signal", word(signal), "the positive class, by its name")
    else:
        likely = next(iter(found.counts)) if signal is None else signal
        data.put("signal", word(likely), "the positive class, for metrics of a signal", off=True)
    if not any(isinstance(label, str) for label in found.counts) and len(found.counts) <= role_guesses.MOST_SHOWN:
        names = ", ".join(f"{word(label)}: name{i}" for i, label in enumerate(found.counts))
        data.put("classes", f"{{{names}}}", "names for reports", off=True)
    return found


def _cut(data: Section, looked: Looked, found: Profile | None, features: Sequence[str],
         all_classes: bool = True) -> None:
    """Rows that cannot be used, cut away: without a target, and of classes that are too rare; else a hint."""
    conditions: dict[str, str] = {}
    if found is not None and found.missing and (left := column(found.name)):
        what = f"{left} != ''" if found.kind == "text" else f"{left} == {left}"
        conditions[what] = f"{found.missing} of the rows looked at have no '{printable(found.name)}'"
    if found is not None and all_classes and looked.whole:
        rare = [label for label, count in found.counts.items() if count < role_guesses.FEWEST_OF_CLASS]
        for label in rare if len(found.counts) - len(rare) >= 2 else ():
            if other := equals(found.name, label, "!="):
                conditions[other] = f"'{printable(str(label))}' has {found.counts[label]} rows only"
    if conditions:
        data.put("cut", word(" and ".join(conditions)), "; ".join(conditions.values()))
        return
    hint = next(((name, left) for name in features if looked.columns[name].kind == "number"
                 and len(looked.columns[name].counts) > 20 and (left := column(name))), None)
    if hint:
        profile = looked.columns[hint[0]]
        least = float(np.quantile(profile.values[profile.known], 0.05))
        data.put("cut", word(f"{hint[1]} > {least:.4g}"), "which rows are used; this would keep 95 %", off=True)


def _features(data: Section, looked: Looked, taken: Iterable[str], found: Profile | None, amounts: bool = False,
              spectators: bool = True, categories: bool = True) -> list[str]:
    """What is left out, and what may be; gives the names of the features."""
    taken = {*taken}
    out = role_guesses.excluded(looked, taken, found, amounts)
    data.several("exclude", out, "not to be learned from")
    features = [one.name for one in looked.columns.values()
                if one.numeric and one.name not in taken and one.name not in out]
    names = role_guesses.short_names(looked, taken)
    if categories and names:
        data.several("categorical", {name: f"texts with {count} distinct values" for name, count in names.items()},
                     "values are names, not amounts")
    if not features and not (categories and names):
        raise CallError(Mistake("no-features", "No column is left to learn from.",
                                f"Columns that may not be: {role_guesses.listed(out)}." if out else
                                "Numeric columns without another role are features."))
    masses = role_guesses.masses(looked, features)[:3]
    if spectators and masses and len(features) > len(masses):
        data.put("spectators", f"[{', '.join(map(word, masses))}]", "a mass: carried along and not trained on, where "
                 "the score must not depend on it", off=True)
    for one in looked.columns.values():
        if one.kind == "list" and one.name not in taken:
            data.put("images" if one.is_image else "lengths", word(one.name) if one.is_image else
                     f"{{{word(one.name)}: 3}}", "an array in each row", off=True)
    return features


def _gaps(data: Section, looked: Looked, features: Sequence[str], remedy: str) -> None:
    if gaps := role_guesses.has_gaps(looked, features):
        data.put("missing", remedy, f"values are missing or not finite in {role_guesses.listed(gaps)}")
    else:
        data.put("missing", "error", "no value was missing", off=True)


def _weight(data: Section, looked: Looked, taken: Iterable[str], found: Profile | None) -> list[str]:
    guess = role_guesses.weight(looked, taken, found)
    if guess is None:
        data.put("weight", "COLUMN", "event weights; no column looks like them", off=True)
        return []
    data.put("weight", word(guess.name), guess.why)
    for other in guess.others:
        data.put("weight", word(other), "may be meant, too", off=True)
    return [guess.name]


def _split(data: Section) -> None:
    data.put("split", "{train: 0.6, valid: 0.2, test: 0.2}")


def _image(data: Section, looked: Looked, always: bool) -> str:
    """The column of images, if these are to be learned from: where there are no other features, or ``always``."""
    found = role_guesses.images(looked)
    others = [one for one in looked.columns.values() if one.kind == "number"]
    if not found or (others and len(others) > 2 and not always):
        return ""
    profile = looked.columns[found[0]]
    data.put("images", word(found[0]), f"an image of {' × '.join(map(str, profile.shape))} in each row")
    for other in found[1:]:
        data.put("images", word(other), "may be meant, too", off=True)
    return found[0]


def _inputs(data: Section, looked: Looked, taken: Sequence[str], found: Profile | None, amounts: bool = False,
            spectators: bool = True, categories: bool = True, remedy: str = "median") -> list[str]:
    """What is learned from: images, or the columns whose names are given back, with what becomes of their gaps."""
    if _image(data, looked, always=False):
        return []
    features = _features(data, looked, taken, found, amounts, spectators, categories)
    _gaps(data, looked, features, remedy)
    return features


# ---------------------------------------------------------------- task by task

def _classify(data: Section, looked: Looked, target: str | None) -> dict[str, Section]:
    found = _labels(data, looked, target)
    taken = [found.name, *_weight(data, looked, [found.name], found)]
    features = _inputs(data, looked, taken, found)
    _cut(data, looked, found, features)
    _split(data)
    return {}


def _regress(data: Section, looked: Looked, target: str | None) -> dict[str, Section]:
    guess = role_guesses.amount(looked, target)
    found = looked.columns[guess.name]
    data.put("target", word(guess.name), guess.why)
    for other in guess.others:
        data.put("target", word(other), "may be meant, too", off=True)
    taken = [found.name, *_weight(data, looked, [found.name], None)]
    features = _inputs(data, looked, taken, found, amounts=True, spectators=False)
    _cut(data, looked, found, features, all_classes=False)
    _split(data)
    return {}


def _forecast(data: Section, looked: Looked, target: str | None) -> dict[str, Section]:
    timed = role_guesses.time(looked)
    data.put("time", word(timed.name), timed.why)
    for other in timed.others:
        data.put("time", word(other), "may be meant, too", off=True)
    apart = role_guesses.series(looked, timed.name)
    if apart is not None:
        data.put("series", word(apart.name), apart.why)
    taken = [timed.name, *([apart.name] if apart else [])]
    guess = role_guesses.forecast_target(looked, target, taken)
    data.put("target", word(guess.name), guess.why)
    rest = [one.name for one in looked.columns.values() if one.kind == "number" and len(one.counts) > 1
            and one.name not in (*taken, guess.name)]
    for other in rest[:role_guesses.MOST_SHOWN]:
        data.put("past", f"[{word(other)}]", "may help; known up to now only. Known ahead: known_future", off=True)
    times = role_guesses.split_by_series(looked, timed.name, apart.name if apart else None)
    gaps = bool(looked.columns[guess.name].missing) or role_guesses.holes(times)
    data.put("missing", "linear" if gaps else "error",
             "there are gaps: filled in, and never judged by" if gaps else "there are no gaps", off=not gaps)
    horizon, windows = _ahead(min(map(len, times)))
    ahead = Section("forecast")
    ahead.put("horizon", str(horizon), f"steps ahead; the shortest series has {min(map(len, times))}")
    ahead.put("season", "auto", "auto | none | steps after which it tends to repeat", off=True)
    ahead.put("windows", str(windows), "forecasts that are judged, at the end of the series")
    ahead.put("coverage", "[68, 95]", "percent of what comes that intervals are to hold")
    return {"forecast": ahead}


def _ahead(steps: int) -> tuple[int, int]:
    """A horizon and windows to judge it by that a series of so many steps has room for."""
    for windows in (5, 3, 2, 1):
        for horizon in sorted({max(1, min(24, steps // 20)), 6, 3, 1}, reverse=True):
            if cuts(steps, horizon, windows, horizon, 0.2)[0] >= horizon + CONTEXT:
                return horizon, windows
    return 1, 1


def _generate(data: Section, looked: Looked, target: str | None) -> dict[str, Section]:
    given = role_guesses.known(looked, target) if target else role_guesses.class_like(looked)
    taken = [given.name] if given else []
    taken += _weight(data, looked, taken, given)
    features = _inputs(data, looked, taken, None, spectators=False, categories=False, remedy="drop")
    if given and role_guesses.may_be_classes(given):
        data.put("categorical", f"[{word(given.name)}]", f"values are names: {role_guesses.shares(given.counts)}")
    _cut(data, looked, given, features)
    _split(data)
    made = Section("generate")
    if given:
        made.put("condition", word(given.name), "given, not generated; leave it out to generate all alike")
    else:
        made.put("condition", "COLUMN", "to be given; no column looks like a class", off=True)
    made.put("bounds", f"{{{word(features[0]) if features else 'COLUMN'}: [0, 1]}}",
             "hard limits; default: what the training events reach to", off=True)
    return {"generate": made}


def _clusters(data: Section, looked: Looked, target: str | None) -> dict[str, Section]:
    truth = role_guesses.known(looked, target) if target else role_guesses.class_like(looked)
    taken = [truth.name] if truth else []
    features = _features(data, looked, taken, None, categories=False)
    if truth:
        data.put("truth", word(truth.name), f"{'as asked for' if target else 'by its name'}; for scoring only, never "
                 "for fitting")
    _gaps(data, looked, features, "median")
    _cut(data, looked, None, features)
    return {}


def _anomalies(data: Section, looked: Looked, target: str | None) -> dict[str, Section]:
    label = looked.columns[role_guesses.classes(looked, target).name] if target else role_guesses.class_like(looked)
    taken = [label.name] if label else []
    normal_rows = looked.rows
    expression = None
    if label:
        usual = role_guesses.of_labels(label.counts, role_guesses.NORMALS)
        normal = usual if usual is not None else next(iter(label.counts))
        why = "normal by its name" if usual is not None else "the most frequent one: is it normal?"
        expression = equals(label.name, normal)
        if expression:
            data.put("normal", word(expression), f"{why}; {role_guesses.shares(label.counts)}")
            normal_rows = label.counts[normal]
    if expression is None:
        data.put("normal", word("label == 0"), "which events are normal; no column looks as if it told: all are "
                 "trained on", off=True)
    data.put("truth", word("label == 1"), "which are anomalies, for judging only; default: what is not normal",
             off=True)
    taken += _weight(data, looked, taken, None)
    features = _inputs(data, looked, taken, label)
    _cut(data, looked, label if label and label.missing else None, features, all_classes=False)
    _split(data)
    return {"anomaly": _anomaly(normal_rows, role_guesses.masses(looked, features))}


def _anomaly(normal_rows: int, masses: Sequence[str]) -> Section:
    """What a flag means, at an efficiency that so many normal events can tell."""
    section = Section("anomaly")
    told = VALID_SHARE * normal_rows
    share = next((one for one in (0.01, 0.02, 0.05, 0.1, 0.2) if 1 / one <= told), 0.2)
    section.put("background_efficiency", str(share), "share of normal events that is flagged all the same"
                if share == 0.01 else f"share of normal events that is flagged all the same; {normal_rows} normal "
                "events tell no smaller one")
    mass = masses[0] if masses else "m_jj"
    section.put("signal_region", word(f"{column(mass) or 'm_jj'} > 3300 and {column(mass) or 'm_jj'} < 3700"),
                "where a resonance is sought, by its mass", off=True)
    section.put("method", "one-class", "one-class | unlabelled | weakly-supervised; default: by what is given",
                off=True)
    section.put("choose_by", "stand-ins", "or truth: then true anomalies choose the models", off=True)
    section.put("inject", "0.01", "with a truth and no 'normal': so many anomalies are fitted on", off=True)
    return section


def _transfer(data: Section, looked: Looked, target: str | None) -> dict[str, Section]:
    image = _image(data, looked, always=True)
    if not image:
        raise CallError(Mistake(
            "no-base", "These data have no images, and what is transferred to other columns only you know.",
            "Begin with 'automl-phys init transfer', and name a run, a network or word vectors under 'base'."))
    found = _labels(data, looked, target)
    _weight(data, looked, [found.name], found)
    _cut(data, looked, found, [])
    least = 20 * len(found.counts)
    train, valid = next(((t, v) for t, v in ((0.06, 0.02), (0.2, 0.1), (0.4, 0.2))
                         if v * looked.rows >= least), (0.6, 0.2))
    data.put("split", f"{{train: {train}, valid: {valid}, test: {round(1 - train - valid, 2)}}}",
             "few labels, many to judge by; as few as there may be")
    return {}


_TASKS: Mapping[str, Callable[[Section, Looked, str | None], dict[str, Any]]] = {
    "classify": _classify, "regress": _regress, "forecast": _forecast, "generate": _generate,
    "reduce+cluster": _clusters, "detect-anomaly": _anomalies, "transfer": _transfer,
}
