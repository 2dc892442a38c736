"""What each column of a table is for: from a recipe's words and the files' header.

Takes ``data`` of a recipe and the files found; gives the roles, notes on columns left out, and every mistake in the
columns' names and types. Reads no rows, but for the value to show when a column holds text where numbers are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automl_phys import table_read
from automl_phys.errors import Key, Mistake
from automl_phys.exhibits import Table
from automl_phys.registry import did_you_mean
from automl_phys.table_files import Files
from automl_phys.table_view import FLAGS

if TYPE_CHECKING:
    from automl_phys.sections import TableData

NUMERIC = ("number", "flag")
UNREAD = ("other", "list", "time")
"""Kinds of columns that are neither numbers nor names."""
NAMES_SHOWN = 8
MOST_LISTED = 60


@dataclass(frozen=True)
class Roles:
    """Columns by role. Features are ``numbers`` and ``categories``; a column has one role, spectators aside.

    ``single`` maps a role that one column has to that column: ``target``, ``weight``, ``group``, ``split.by`` (the
    column that gives the split), ``time``, ``truth``; which of them there can be is the task's. ``targets`` are the
    columns to predict, be they one or several. ``images`` and ``text`` are the columns of images and of texts that are
    learned from, empty for none.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    spectators: tuple[str, ...]
    single: Mapping[str, str]
    targets: tuple[str, ...] = ()
    images: str = ""
    text: str = ""


def assign(data: TableData, files: Files) -> tuple[Roles, list[str], list[Mistake]]:
    """Roles, notes on columns left out, and mistakes.

    Mistakes: ``no-such-column``, ``text-column``, ``wrong-type``, ``no-features``. Features and spectators that are not
    there, or of a type that cannot be used, are left out of the roles. Where images or texts are learned from, numeric
    columns are features only if they are named.
    """
    kinds, single = files.header.columns, data.singles()
    mistakes = _absent(data, kinds)
    targets = data.roles().get("target", ())
    images, text = data.roles()["images"], data.roles()["text"]
    taken = {*single.values(), *targets, *data.exclude, *data.spectators, *images, *text, *FLAGS, *data.apart}
    asked = tuple(data.features or ())
    categories = tuple(c for c in data.categorical if c in kinds and kinds[c] not in UNREAD and c not in taken)
    candidates = [c for c in asked or ([] if images or text else kinds)
                  if c in kinds and c not in taken and c not in categories]
    numbers = tuple(c for c in candidates if kinds[c] in NUMERIC)
    if asked:
        mistakes += [_not_numeric(c, "features", files) for c in candidates if kinds[c] not in NUMERIC]
    mistakes += [_wrong_type(c, "categorical", kinds[c], "text, integers or flags") for c in data.categorical
                 if kinds.get(c) in UNREAD]
    if "weight" in single and kinds.get(single["weight"], "number") not in NUMERIC:
        mistakes.append(_not_numeric(single["weight"], "weight", files))
    mistakes += [_wrong_type(c, role, kinds[c], "a number or a date" if role == "time" else "text or integers")
                 for role, c in single.items() if role != "weight" and c in kinds and not is_read(role, kinds[c])]
    if "target" not in single:
        mistakes += [_not_numeric(c, "target", files) for c in targets if kinds.get(c, "number") not in NUMERIC]
    mistakes += [_wrong_type(c, "images", kinds[c], "an array in each row") for c in images
                 if kinds.get(c, "list") != "list"]
    mistakes += [_wrong_type(c, "text", kinds[c], "text") for c in text if kinds.get(c, "text") != "text"]
    if not numbers and not categories and not images and not text and not (asked and mistakes):
        mistakes.append(Mistake("no-features", "No column is left to learn from.",
                                "Numeric columns without another role are features; text columns need 'categorical'.",
                                ("data",)))
    roles = Roles(numbers, categories, tuple(c for c in data.spectators if c in kinds), single, targets,
                  *(next((c for c in columns if c in kinds), "") for columns in (images, text)))
    return roles, _left_out(data, kinds, roles), mistakes


def is_read(role: str, kind: str) -> bool:
    """Whether a column of a kind can have a role: dates are for the time alone; that and weights are no texts."""
    if role in {"time", "weight"}:
        return kind in NUMERIC or (role == "time" and kind == "time")
    return kind not in UNREAD


def shown(roles: Roles, kinds: Mapping[str, str]) -> Table:
    """Which columns play which role, for people."""
    rows = [("feature", "number", roles.numbers), ("feature", "category", roles.categories),
            ("images", "list", (roles.images,) if roles.images else ()),
            ("text", "text", (roles.text,) if roles.text else ()),
            *([] if "target" in roles.single else [("target", "number", roles.targets)]),
            *((role.partition(".")[0], kinds.get(column, ""), (column,)) for role, column in roles.single.items()),
            *(("spectator", kinds[column], (column,)) for column in roles.spectators)]
    return Table("Columns", ("role", "type", "columns", "names"),
                 tuple((role, kind, len(names), listed(names)) for role, kind, names in rows if names))


def listed(names: Iterable[str], most: int = NAMES_SHOWN) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def place(role: str) -> Key:
    """Where a recipe says which column has a role: ``split.by`` is in ``data.split.by.column``."""
    return ("data", "split", "by", "column") if role == "split.by" else ("data", role)


def _absent(data: TableData, kinds: Mapping[str, str]) -> list[Mistake]:
    several: dict[str, Sequence[str]] = {"features": data.features or (), "exclude": data.exclude,
                                         "categorical": data.categorical, "spectators": data.spectators}
    alone = {role: data.roles()[role] for role in ("images", "text")}
    places: list[tuple[str, Key]] = [(column, place(role)) for role, column in data.singles().items()]
    places += [(column, ("data", role, i)) for role, columns in several.items() for i, column in enumerate(columns)]
    places += [(column, ("data", role)) for role, columns in alone.items() for column in columns]
    if "target" not in data.singles():
        places += [(column, ("data", "target")) for column in data.roles().get("target", ())]
    return [Mistake("no-such-column", f"There is no column '{column}' in the data.{did_you_mean(column, kinds)}",
                    f"Columns: {listed(kinds, MOST_LISTED)}.", key) for column, key in places if column not in kinds]


def _not_numeric(column: str, role: str, files: Files) -> Mistake:
    if files.header.columns[column] in UNREAD:
        return _wrong_type(column, role, files.header.columns[column], "numbers")
    found = table_read.first_text(files, column)
    place = f", such as '{found[0]}' in row {found[1]} (counting from 0)" if found else ""
    remedy = "List it under 'categorical', or leave it out." if role == "features" else "Give a numeric column."
    return Mistake("text-column", f"Column '{column}' holds text{place}.", remedy, ("data", role))


def _wrong_type(column: str, role: str, kind: str, wanted: str) -> Mistake:
    found = {"other": "a type that is not read", "list": "lists", "time": "dates"}.get(kind, kind)
    remedy = "Say under 'lengths' how many elements are used." if kind == "list" else \
        "Give another column, or convert this one."
    return Mistake("wrong-type", f"Column '{column}' under '{role}' holds {found}, not {wanted}.", remedy, place(role))


def _left_out(data: TableData, kinds: Mapping[str, str], roles: Roles) -> list[str]:
    """Columns without any role, and why."""
    used = {*roles.numbers, *roles.categories, *roles.spectators, *roles.single.values(), *roles.targets,
            roles.images, roles.text, *data.exclude, *FLAGS, *data.apart, *data.lengths}
    rest = [c for c in kinds if c not in used]
    notes = []
    if data.apart:
        notes.append(f"Set aside, and not learned from: {listed(data.apart)}.")
    if data.exclude:
        notes.append(f"Left out as the recipe says: {listed(data.exclude)}.")
    if data.features:
        return notes + ([f"Not listed under 'features': {listed(rest)}."] if rest else [])
    if roles.images or roles.text:
        return notes + ([f"Not learned from beside the {'images' if roles.images else 'texts'}: {listed(rest)}; "
                         "'features' takes them in."] if rest else [])
    text = [c for c in rest if kinds[c] == "text"]
    lists = [c for c in rest if kinds[c] == "list"]
    other = [c for c in rest if kinds[c] in UNREAD and c not in lists]
    if text:
        notes.append(f"Left out, being text: {listed(text)}; 'categorical' takes them in.")
    if lists:
        notes.append(f"Left out, being lists: {listed(lists)}; 'lengths' takes them in.")
    if other:
        notes.append(f"Left out, being dates or another type that is not read: {listed(other)}.")
    return notes
