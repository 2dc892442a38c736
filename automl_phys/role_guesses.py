"""What columns may be for, by their names and by what stands in them; each guess with its reason.

Takes profiles of columns (:mod:`automl_phys.column_profiles`); gives names with reasons, for
:mod:`automl_phys.recipe_draft` to write down. Nothing is certain here: what is not plain is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from automl_phys import column_profiles, registry
from automl_phys.column_profiles import Label, Looked, Profile
from automl_phys.errors import CallError, Mistake
from automl_phys.readable import printable
from automl_phys.table_labels import MOST_CLASSES

CLASS_WORDS = ("label", "labels", "target", "class", "classes", "y", "issignal", "signal", "truth", "category",
               "species", "process", "type", "flavour", "flavor", "moon", "cluster")
AMOUNT_WORDS = ("target", "y", "truth", "true", "label", "value", "response", "output")
TIME_WORDS = ("time", "timestamp", "date", "datetime", "t", "year", "month", "day", "hour", "mjd", "jd", "utc")
SERIES_WORDS = ("series", "station", "channel", "sensor", "site", "detector", "name", "id", "item", "module")
WEIGHT_WORDS = ("weight", "weights", "wt", "wgt", "mcweight", "eventweight", "sampleweight", "genweight")
ID_WORDS = {"id", "idx", "index", "uuid", "eventid", "eventnumber", "evt", "entry", "runnumber", "row"}
ALONE_IDS = {"event", "run", "lumi", "lumisection", "luminosityblock", "fold"}
TRUTH_WORDS = {"truth", "true", "gen", "mc", "pdgid", "pdg", "label", "target", "issignal"}
MASS_WORDS = {"mass", "mjj", "minv", "m", "mll", "mgg"}
SIGNALS = ("signal", "sig", "true", "yes", "anomaly", "resonance", "1", "top", "higgs", "malignant")
NORMALS = ("background", "bkg", "bg", "qcd", "normal", "noise", "false", "no", "0")
FEWEST_OF_CLASS = 20
"""Rows of a class, below which a part of a split may be left without any."""
ROWS_TO_TRUST = 20
MOST_SHOWN = 12


@dataclass(frozen=True)
class Guess:
    """A column, or several, and why."""

    name: str
    why: str
    others: tuple[str, ...] = ()


def words(name: str) -> tuple[str, ...]:
    """``isSignal``, ``is_signal`` and ``IS SIGNAL`` alike as small words."""
    return tuple(word for word in re.split(r"[\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()) if word)


def rank(name: str, among: Sequence[str]) -> int | None:
    """How well a name fits a list of words, the best is 0; None where it does not."""
    parts = words(name)
    joined = "".join(parts)
    if joined in among:
        return among.index(joined)
    return next((len(among) + i for i, word in enumerate(among) if len(word) > 1 and word in parts), None)


def ranked(columns: Iterable[Profile], among: Sequence[str]) -> list[Profile]:
    """Columns whose names fit, the best first."""
    found = [(place, one) for one in columns if (place := rank(one.name, among)) is not None]
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


def known(looked: Looked, name: str) -> Profile:
    """The column that is asked for. Raises CallError (``no-such-column``)."""
    if name not in looked.columns:
        raise CallError(Mistake("no-such-column", f"There is no column '{printable(name)}' in the data."
                                f"{registry.did_you_mean(name, looked.columns)}",
                                f"Columns: {listed(looked.columns)}."))
    return looked.columns[name]


def may_be_classes(column: Profile) -> bool:
    """Whether the values can name classes: few, and no fractions."""
    if column.kind not in ("text", "flag", "number") or not 2 <= len(column.counts) <= MOST_CLASSES:
        return False
    return column.kind == "text" or column.whole


def classes(looked: Looked, asked: str | None) -> Guess:
    """The column of the class. Raises CallError: ``no-such-column``, ``target-continuous``, ``target-one-class``,
    ``too-many-classes``, ``which-target``."""
    if asked is not None:
        _check_classes(known(looked, asked))
        return Guess(asked, "as asked for")
    fit = [one for one in looked.columns.values() if may_be_classes(one)]
    named = ranked(fit, CLASS_WORDS)
    if named:
        others = tuple(one.name for one in named[1:])
        return Guess(named[0].name, f"by its name, and {len(named[0].counts)} distinct values", others)
    texts = [one for one in fit if one.kind in ("text", "flag")]
    if len(texts) == 1:
        return Guess(texts[0].name, f"the only column of names with few distinct values ({len(texts[0].counts)})")
    raise _which("which-target", "the class of a row", fit, looked, "--target COLUMN")


def _check_classes(column: Profile) -> None:
    found = f"The column '{printable(column.name)}' has {len(column.counts)} distinct values"
    if column.kind not in ("text", "flag", "number"):
        raise CallError(Mistake("wrong-type", f"The column '{printable(column.name)}' holds neither texts nor numbers.",
                                "Name another one with --target."))
    if len(column.counts) < 2:
        raise CallError(Mistake("target-one-class", f"{found}, and two classes are the least.",
                                "Is a file missing? Name all of them, or another column with --target."))
    if not may_be_classes(column):
        whole = column.kind == "text" or column.whole
        raise CallError(Mistake("too-many-classes" if whole else "target-continuous",
                                f"{found}, such as '{printable(str(next(iter(column.counts))))}': too many for "
                                "classes.", "Name another one with --target, or predict an amount: 'init regress'."))


def amount(looked: Looked, asked: str | None) -> Guess:
    """The column of the amount to predict. Raises CallError: ``no-such-column``, ``text-column``, ``which-target``."""
    if asked is not None:
        if not known(looked, asked).numeric:
            raise CallError(Mistake("text-column", f"The column '{printable(asked)}' holds no numbers.",
                                    "Name a numeric one with --target, or tell classes apart: 'init classify'."))
        return Guess(asked, "as asked for")
    fit = [one for one in looked.columns.values()
           if one.kind == "number" and len(one.counts) > 2 and not _is_id(one) and weight_like(one) is None]
    named = ranked(fit, AMOUNT_WORDS)
    if named:
        return Guess(named[0].name, "by its name", tuple(one.name for one in named[1:]))
    raise _which("which-target", "the amount to predict", fit, looked, "--target COLUMN")


def _which(code: str, what: str, fit: Sequence[Profile], looked: Looked, how: str) -> CallError:
    may = f"It may be one of {listed(one.name for one in fit)}." if fit else f"Columns: {listed(looked.columns)}."
    return CallError(Mistake(code, f"Which column holds {what} is not plain.", f"Say it with {how}. {may}"))


def class_like(looked: Looked) -> Profile | None:
    """A column that by its name says of which class a row is, if there is one."""
    return next(iter(ranked((one for one in looked.columns.values() if may_be_classes(one)), CLASS_WORDS)), None)


def weight_like(column: Profile) -> int | None:
    """How well the name fits a weight; None where it does not."""
    return 0 if column.name.lower() == "w" else rank(column.name, WEIGHT_WORDS)


def weight(looked: Looked, taken: Iterable[str], target: Profile | None) -> Guess | None:
    """The column of event weights, of those whose weights can be used."""
    named = [one for one in looked.columns.values()
             if one.name not in taken and one.numeric and weight_like(one) is not None]
    sound = [one for one in sorted(named, key=lambda one: weight_like(one) or 0)
             if not one.missing and len(one.counts) > 1 and _counts(one, target)]
    if not sound:
        return None
    negative = ", some of them negative" if bool((sound[0].values < 0).any()) else ""
    return Guess(sound[0].name, f"by its name{negative}", tuple(one.name for one in sound[1:]))


def _counts(column: Profile, target: Profile | None) -> bool:
    """Whether the weights add up to something, of each class where there are classes."""
    if target is None:
        return float(column.values.sum()) > 0
    labels = [str(value) for value in target.values]
    sums: dict[str, float] = {}
    for label, value in zip(labels, column.values, strict=True):
        sums[label] = sums.get(label, 0.0) + float(value)
    return all(total > 0 for total in sums.values())


def excluded(looked: Looked, taken: Iterable[str], target: Profile | None, amounts: bool = False) -> dict[str, str]:
    """Numeric columns that should not be learned from, and why."""
    taken = set(taken)
    found: dict[str, str] = {}
    kept: list[Profile] = []
    for one in looked.columns.values():
        if one.name in taken or not one.numeric:
            continue
        why = _useless(one) or _suspect(one, target, amounts)
        twin = next((other.name for other in kept if column_profiles.alike(one, other)), None)
        if not why and twin is not None:
            why = f"the same as '{printable(twin)}' in every row"
        if why:
            found[one.name] = why
        else:
            kept.append(one)
    return found


def _useless(one: Profile) -> str:
    if not one.counts:
        return "has no values"
    if len(one.counts) == 1:
        return f"is {next(iter(one.counts))} in every row"
    if one.counts_rows:
        return "only numbers the rows"
    if _is_id(one):
        return "by its name it tells events or runs apart"
    return "by its name a weight" if weight_like(one) is not None else ""


def _is_id(one: Profile) -> bool:
    parts = words(one.name)
    joined = "".join(parts)
    numbered = {"event", "run", "evt"} & {*parts} and {"number", "nr", "no", "num"} & {*parts}
    return bool(one.whole and (ID_WORDS & {*parts, joined} or joined in ALONE_IDS or numbered))


def _suspect(one: Profile, target: Profile | None, amounts: bool) -> str:
    if target is not None and amounts and column_profiles.follows(one, target):
        return "follows the target: is it known before?"
    if target is not None and not amounts and column_profiles.tells(one, target):
        return "alone tells the class: is it known before?"
    parts = words(one.name)
    return "by its name truth of a simulation" if TRUTH_WORDS & {*parts, "".join(parts)} else ""


def has_gaps(looked: Looked, features: Iterable[str]) -> list[str]:
    """Features with values that are missing or not finite."""
    return [name for name in features if looked.columns[name].missing]


def short_names(looked: Looked, taken: Iterable[str]) -> dict[str, int]:
    """Text columns that may be categories: few distinct values, each in several rows."""
    taken = set(taken)
    return {one.name: len(one.counts) for one in looked.columns.values()
            if one.kind == "text" and one.name not in taken and not one.missing
            and 2 <= len(one.counts) <= 20 and min(one.counts.values()) >= ROWS_TO_TRUST}


def masses(looked: Looked, features: Iterable[str]) -> list[str]:
    """Features that are masses by their names."""
    return [name for name in features if MASS_WORDS & {*words(name), "".join(words(name))}
            and len(looked.columns[name].counts) > 20]


def images(looked: Looked) -> list[str]:
    """Columns that hold an image in each row."""
    return [one.name for one in looked.columns.values() if one.is_image]


def of_labels(counts: Mapping[Label, int], known_words: Sequence[str]) -> Label | None:
    """The label that by its name is the signal, or the normal one."""
    by_word = {str(label).lower(): label for label in counts}
    return next((by_word[word] for word in known_words if word in by_word), None)


def shares(counts: Mapping[Label, int]) -> str:
    """Classes and their shares of the rows, in words."""
    total = sum(counts.values())
    told = [f"{printable(str(label))} {count / total:.1%}" for label, count in list(counts.items())[:MOST_SHOWN]]
    return ", ".join(told) + (f" and {len(counts) - MOST_SHOWN} more" if len(counts) > MOST_SHOWN else "")


def listed(names: Iterable[str]) -> str:
    """Names in a message, the first of them."""
    every = [printable(name) for name in names]
    return ", ".join(every[:MOST_SHOWN]) + (f" and {len(every) - MOST_SHOWN} more" if len(every) > MOST_SHOWN else "")


# ---------------------------------------------------------------- series

def time(looked: Looked) -> Guess:
    """The column of times. Raises CallError (``which-time``)."""
    columns = list(looked.columns.values())
    dates = [one for one in columns if one.kind == "time" or (one.kind == "text" and _are_dates(one))]
    named = [one for one in ranked(columns, TIME_WORDS) if one in dates or one.kind == "number"]
    found = [*(one for one in named if one in dates), *(one for one in dates if one not in named),
             *(one for one in named if one not in dates)]
    found = [one for one in found if not one.missing]
    if not found:
        raise _which("which-time", "the time of a row", [], looked, "'data: time:' after 'automl-phys init forecast'")
    why = "it holds dates" if found[0] in dates else "by its name"
    return Guess(found[0].name, why, tuple(one.name for one in found[1:]))


def _are_dates(column: Profile) -> bool:
    values = [value for value in column.values[:50] if value]
    return len(values) > 2 and all(re.match(r"\d{4}(-\d\d){0,2}([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?$", value)
                                   for value in values)


def times_of(column: Profile) -> np.ndarray:
    """The times as numbers, dates in microseconds."""
    if column.kind == "number":
        return np.asarray(column.values, np.float64)
    return np.asarray(column.values, "datetime64[us]").astype(np.int64).astype(np.float64)


def series(looked: Looked, timed: str) -> Guess | None:
    """The column that tells several series apart, where times come again."""
    at = times_of(looked.columns[timed])
    if len(np.unique(at)) == len(at):
        return None
    may = [one for one in looked.columns.values() if one.name != timed and not one.missing
           and (one.kind == "text" or (one.kind == "number" and one.whole)) and 2 <= len(one.counts) < len(at) // 4]
    named = ranked(may, SERIES_WORDS)
    order = [*named, *(one for one in may if one.kind == "text" and one not in named), *may]
    for one in order:
        if len(set(zip(one.values.tolist(), at.tolist(), strict=True))) == len(at):
            return Guess(one.name, f"times come again, but not within one of its {len(one.counts)} values")
    return None


def split_by_series(looked: Looked, timed: str, apart: str | None) -> list[np.ndarray]:
    """The times of each series, in the order of the rows."""
    at = times_of(looked.columns[timed])
    if apart is None:
        return [at]
    names = np.array([str(value) for value in looked.columns[apart].values])
    return [at[names == name] for name in dict.fromkeys(names.tolist())]


def holes(times: Sequence[np.ndarray]) -> bool:
    """Whether times are left out of series that are in even steps otherwise."""
    for one in times:
        steps = np.diff(one)
        if len(steps) and steps.min() > 0:
            ratio = steps / steps.min()
            if np.allclose(ratio, np.round(ratio)) and ratio.max() > 1.5 and np.median(ratio) < 1.5:
                return True
    return False


def forecast_target(looked: Looked, asked: str | None, taken: Iterable[str]) -> Guess:
    """The column to forecast. Raises CallError: ``no-such-column``, ``text-column``, ``which-target``."""
    if asked is not None:
        return amount(looked, asked)
    fit = [one for one in looked.columns.values()
           if one.name not in taken and one.kind == "number" and len(one.counts) > 1 and not one.counts_rows]
    if len(fit) == 1:
        return Guess(fit[0].name, "the only column of numbers beside the time")
    named = ranked(fit, AMOUNT_WORDS)
    if named:
        return Guess(named[0].name, "by its name", tuple(one.name for one in fit if one is not named[0]))
    raise _which("which-target", "what is to be forecast", fit, looked, "--target COLUMN")
