"""What each column of a table is for: from a recipe's words and the files' header.

Takes ``data`` of a recipe and the files found; gives the roles, notes on columns left out, and every mistake in the
columns' names and types. Reads no rows, but for the value to show when a column holds text where numbers are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automl_phys import table_read
from automl_phys.contracts import Table
from automl_phys.errors import Key, Mistake
from automl_phys.registry import did_you_mean
from automl_phys.table_read import Files

if TYPE_CHECKING:
    from automl_phys.sections import LabelledTable

NUMERIC = ("number", "flag")
NAMES_SHOWN = 8


@dataclass(frozen=True)
class Roles:
    """Columns by role. Features are ``numbers`` and ``categories``; a column has one role, spectators aside."""

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    target: str
    weight: str | None
    group: str | None
    part: str | None
    spectators: tuple[str, ...]


def assign(data: LabelledTable, files: Files) -> tuple[Roles, list[str], list[Mistake]]:
    """Roles, notes on columns left out, and mistakes.

    Mistakes: ``no-such-column``, ``duplicate-role``, ``text-column``, ``wrong-type``, ``no-features``. Features and
    spectators that are not there, or of a type that cannot be used, are left out of the roles.
    """
    kinds = files.header.columns
    mistakes = _absent(data, kinds) + _twice(data)
    taken = {data.target, data.weight, data.group, data.split.column, *data.exclude, *data.spectators}
    asked = tuple(data.features or ())
    categories = tuple(c for c in data.categorical if c in kinds and kinds[c] != "other" and c not in taken)
    candidates = [c for c in asked or kinds if c in kinds and c not in taken and c not in categories]
    numbers = tuple(c for c in candidates if kinds[c] in NUMERIC)
    if asked:
        mistakes += [_not_numeric(c, "features", files) for c in candidates if kinds[c] not in NUMERIC]
    mistakes += [_wrong_type(c, "categorical", kinds[c], "text, integers or flags") for c in data.categorical
                 if kinds.get(c) == "other"]
    if data.weight is not None and kinds.get(data.weight, "number") not in NUMERIC:
        mistakes.append(_not_numeric(data.weight, "weight", files))
    mistakes += [_wrong_type(c, role, kinds[c], "text or integers") for role, c in
                 (("target", data.target), ("group", data.group)) if c is not None and kinds.get(c) == "other"]
    if not numbers and not categories and not (asked and mistakes):
        mistakes.append(Mistake("no-features", "No column is left to learn from.",
                                "Numeric columns without another role are features; text columns need 'categorical'.",
                                ("data",)))
    spectators = tuple(c for c in data.spectators if c in kinds)
    roles = Roles(numbers, categories, data.target, data.weight, data.group, data.split.column, spectators)
    return roles, _left_out(data, kinds, roles), mistakes


def shown(roles: Roles, kinds: Mapping[str, str]) -> Table:
    """Which columns play which role, for people."""
    rows = [("feature", "number", roles.numbers), ("feature", "category", roles.categories),
            *((role, kinds.get(column, ""), (column,)) for role, column in
              (("target", roles.target), ("weight", roles.weight), ("group", roles.group), ("split", roles.part))
              if column),
            *(("spectator", kinds[column], (column,)) for column in roles.spectators)]
    return Table("Columns", ("role", "type", "columns", "names"),
                 tuple((role, kind, len(names), listed(names)) for role, kind, names in rows if names))


def listed(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - NAMES_SHOWN} more" if len(every) > NAMES_SHOWN else ""
    return ", ".join(every[:NAMES_SHOWN]) + more


def _absent(data: LabelledTable, kinds: Mapping[str, str]) -> list[Mistake]:
    single = {"target": data.target, "weight": data.weight, "group": data.group}
    several: dict[str, Sequence[str]] = {"features": data.features or (), "exclude": data.exclude,
                                         "categorical": data.categorical, "spectators": data.spectators}
    places: list[tuple[str, Key]] = [(column, ("data", role)) for role, column in single.items() if column is not None]
    places += [(column, ("data", role, i)) for role, columns in several.items() for i, column in enumerate(columns)]
    if data.split.column is not None:
        places.append((data.split.column, ("data", "split", "by", "column")))
    return [Mistake("no-such-column", f"There is no column '{column}' in the data.{did_you_mean(column, kinds)}",
                    f"Columns: {', '.join(kinds)}.", key) for column, key in places if column not in kinds]


def _twice(data: LabelledTable) -> list[Mistake]:
    """Columns to learn from that have a role which forbids it."""
    forbidding: dict[str | None, str] = {
        **dict.fromkeys(data.exclude, "under 'exclude'"), **dict.fromkeys(data.spectators, "a spectator"),
        data.group: "the group", data.split.column: "the split", data.weight: "the weight", data.target: "the target"}
    mistakes = [Mistake("duplicate-role", f"Column '{column}' is a feature and also {forbidding[column]}.",
                        "A column that is learnt from has no other role: keep one of the two.", ("data", role, i))
                for role, columns in (("features", data.features or ()), ("categorical", data.categorical))
                for i, column in enumerate(columns) if column in forbidding]
    others = {"weight": data.weight, "group": data.group}
    return mistakes + [
        Mistake("duplicate-role", f"Column '{column}' is the target and also the {role}.", "Keep one of the two.",
                ("data", role)) for role, column in others.items() if column == data.target]


def _not_numeric(column: str, role: str, files: Files) -> Mistake:
    if files.header.columns[column] == "other":
        return _wrong_type(column, role, "other", "numbers")
    found = table_read.first_text(files, column)
    place = f", such as '{found[0]}' in row {found[1]} (counting from 0)" if found else ""
    remedy = "List it under 'categorical', or leave it out." if role == "features" else "Give a numeric column."
    return Mistake("text-column", f"Column '{column}' holds text{place}.", remedy, ("data", role))


def _wrong_type(column: str, role: str, kind: str, wanted: str) -> Mistake:
    found = "lists, dates or another type that is not read" if kind == "other" else kind
    return Mistake("wrong-type", f"Column '{column}' under '{role}' holds {found}, not {wanted}.",
                   "Give another column, or convert this one.", ("data", role))


def _left_out(data: LabelledTable, kinds: Mapping[str, str], roles: Roles) -> list[str]:
    """Columns without any role, and why."""
    single = (roles.target, roles.weight, roles.group, roles.part)
    rest = [c for c in kinds if c not in {*roles.numbers, *roles.categories, *roles.spectators, *single, *data.exclude}]
    notes = []
    if data.exclude:
        notes.append(f"Left out as the recipe says: {listed(data.exclude)}.")
    if data.features:
        return notes + ([f"Not listed under 'features': {listed(rest)}."] if rest else [])
    text = [c for c in rest if kinds[c] == "text"]
    other = [c for c in rest if kinds[c] == "other"]
    if text:
        notes.append(f"Left out, being text: {listed(text)}; 'categorical' takes them in.")
    if other:
        notes.append(f"Left out, being lists, dates or another type that is not read: {listed(other)}.")
    return notes
