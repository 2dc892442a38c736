"""What a task writes the draft of its recipe with: words and expressions that are read back as they are meant, sections
line by line, and the parts of ``data`` that several tasks have alike.

Takes what was seen in the columns (:mod:`automl_phys.column_profiles`) and guessed of them
(:mod:`automl_phys.role_guesses`); writes every guess with its reason, and alternatives switched off. What is not plain
is asked for: CallError.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from automl_phys import role_guesses, yaml_source
from automl_phys.column_profiles import Label, Looked, Profile
from automl_phys.errors import CallError, Mistake, RecipeError
from automl_phys.readable import printable
from automl_phys.role_guesses import Guess

WIDTH, AT = 80, 32
"""Columns of the text, and where comments begin."""
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
class Drafted:
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


# ---------------------------------------------------------------- what several tasks write

def put_guess(data: Drafted, key: str, guess: Guess) -> None:
    """A column for a key, with the reason, and others that may be meant."""
    data.put(key, word(guess.name), guess.why)
    for other in guess.others:
        data.put(key, word(other), "may be meant, too", off=True)


def put_labels(data: Drafted, looked: Looked, target: str | None) -> Profile:
    """The column of classes, which is given back, and which of them is the signal."""
    guess = role_guesses.classes(looked, target)
    found = looked.columns[guess.name]
    put_guess(data, "target", replace(guess, why=f"{guess.why}: {role_guesses.shares(found.counts)}"))
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


def put_cut(data: Drafted, looked: Looked, found: Profile | None, features: Sequence[str],
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


def put_features(data: Drafted, looked: Looked, taken: Iterable[str], found: Profile | None, amounts: bool = False,
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


def put_gaps(data: Drafted, looked: Looked, features: Sequence[str], remedy: str) -> None:
    """What becomes of missing values: ``remedy``, if there are any."""
    if gaps := role_guesses.has_gaps(looked, features):
        data.put("missing", remedy, f"values are missing or not finite in {role_guesses.listed(gaps)}")
    else:
        data.put("missing", "error", "no value was missing", off=True)


def put_weight(data: Drafted, looked: Looked, taken: Iterable[str], found: Profile | None) -> list[str]:
    """The column of event weights; gives its name, if there is one."""
    guess = role_guesses.weight(looked, taken, found)
    if guess is None:
        data.put("weight", "COLUMN", "event weights; no column looks like them", off=True)
        return []
    put_guess(data, "weight", guess)
    return [guess.name]


def put_split(data: Drafted) -> None:
    """How the rows are split, as by default."""
    data.put("split", "{train: 0.6, valid: 0.2, test: 0.2}")


def put_image(data: Drafted, looked: Looked, always: bool) -> str:
    """The column of images, if these are to be learned from: where there are no other features, or ``always``."""
    found = role_guesses.images(looked)
    others = [one for one in looked.columns.values() if one.kind == "number"]
    if not found or (others and len(others) > 2 and not always):
        return ""
    name, *rest = found
    shape = " × ".join(map(str, looked.columns[name].shape))
    put_guess(data, "images", Guess(name, f"an image of {shape} in each row", tuple(rest)))
    return name


def put_inputs(data: Drafted, looked: Looked, taken: Sequence[str], found: Profile | None, amounts: bool = False,
               spectators: bool = True, categories: bool = True, remedy: str = "median") -> list[str]:
    """What is learned from: images, or the columns whose names are given back, with what becomes of their gaps."""
    if put_image(data, looked, always=False):
        return []
    features = put_features(data, looked, taken, found, amounts, spectators, categories)
    put_gaps(data, looked, features, remedy)
    return features
