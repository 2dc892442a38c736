"""Rows of a table among which anomalies are sought: which are normal, which are anomalies, and where each may go.

Takes the flags that a recipe's expressions make and a split of the rows; gives a split in which events that are not
normal, or that are injected anomalies too many, are in no part that is fitted on: a fourth slice, ``SPARE``, holds
them. What a model is shown of the truth is :mod:`automl_phys.anomaly_problem`'s work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl_phys import table_roles
from automl_phys.anomaly_sections import AnomalyEvents
from automl_phys.errors import Mistake
from automl_phys.exhibits import Table
from automl_phys.registry import did_you_mean
from automl_phys.table_labels import among, where
from automl_phys.values import Part

if TYPE_CHECKING:
    import pyarrow as pa

TRAIN, VALID, TEST, SPARE = range(4)
SLICES = ("train", "valid", "test", "spare")

FEWEST_TO_COMPARE = 100
"""Training events that the signal region, and its sidebands, must have where they are held against each other."""
FEWEST_TO_FIT = 20
"""Test events that each must have where only the mass spectrum is looked at."""
FEWEST_NORMAL = 50
"""Training events at least."""


@dataclass(frozen=True)
class Events:
    """What a recipe says of the rows of the data: each (rows,), None for what it does not say.

    ``mass`` is NaN for rows that a cut drops.
    """

    normal: NDArray[np.bool_] | None
    truth: NDArray[np.bool_] | None
    region: NDArray[np.bool_] | None
    mass: NDArray[np.float32] | None

    @property
    def beside(self) -> Mapping[str, NDArray[Any]]:
        """What is stored beside the features, by the name of its file."""
        columns = {"mass": self.mass, "region": self.region}
        return {name: column for name, column in columns.items() if column is not None}


def wanted(data: AnomalyEvents, kinds: Mapping[str, str]) -> list[str]:
    """The columns that are read of a table for this."""
    flags = [f"({name})" for name, text in data.flags.items() if text]
    return [*flags, *([data.mass] if data.mass and kinds.get(data.mass) in table_roles.NUMERIC else [])]


def read(
    data: AnomalyEvents, columns: pa.Table, kinds: Mapping[str, str], kept: NDArray[np.bool_] | None
) -> tuple[Events, list[Mistake]]:
    """What is said of each row, and ``no-such-column``, ``wrong-type`` and ``mass-missing-values`` of the mass."""
    normal, truth, region = (columns[f"({name})"].to_numpy() if text else None for name, text in data.flags.items())
    mass, mistakes = None, list[Mistake]()
    if data.mass and data.mass not in kinds:
        mistakes.append(Mistake("no-such-column", f"There is no column '{data.mass}' to be the mass."
                                f"{did_you_mean(data.mass, kinds)}",
                                f"Columns: {table_roles.listed(kinds, table_roles.MOST_LISTED)}.", ("anomaly", "mass")))
    elif data.mass and data.mass not in columns.column_names:
        mistakes.append(Mistake("wrong-type", f"The mass '{data.mass}' holds {kinds[data.mass]}, not numbers.",
                                "Give a numeric column.", ("anomaly", "mass")))
    elif data.mass:
        mass = columns[data.mass].cast("float32", safe=False).to_numpy()
        odd = among(kept, ~np.isfinite(mass))
        if odd.any():
            mistakes.append(Mistake("mass-missing-values", f"The mass '{data.mass}' is missing or not finite in "
                                    f"{where(odd)}.", "Leave these rows out with 'cut'.", ("anomaly", "mass")))
    return Events(normal, truth, region, mass), mistakes


def strata(data: AnomalyEvents, events: Events, rows: int) -> NDArray[np.int8]:
    """Codes (rows,) of what is to be alike in all parts: 0 for normal events in the one-class setting, so that how
    these are divided does not depend on the others; else the signal region. Never the truth."""
    if data.method == "one-class" and events.normal is not None:
        return (~events.normal).astype(np.int8)
    return np.zeros(rows, np.int8) if events.region is None else events.region.astype(np.int8)


def divide(
    data: AnomalyEvents, events: Events, parts: NDArray[np.int8], free: bool, seed: int
) -> tuple[NDArray[np.int8], list[Mistake]]:
    """The slice (rows,) of each row, -1 for those that are not used, of ``parts``, train, valid and test, into which
    they were cut; ``free`` says that rows may be put anywhere one by one. And ``too-few-anomalies``.

    One-class: rows that are not normal leave train and valid. Where they may go anywhere half of them are in the test.
    With ``choose_by: truth`` half of the others, of what is an anomaly, are in valid. Else anomalies that are more than
    the share to be injected leave train and valid.
    """
    parts = parts.copy()
    if data.method == "one-class" and events.normal is not None:
        others = np.flatnonzero(~events.normal & (parts >= 0))
        if free:
            order = np.random.default_rng([seed, 1]).permutation(others)
            half, quarter = (len(order) + 1) // 2, (3 * len(order) + 3) // 4
            parts[order[:half]], parts[order[half:quarter]], parts[order[quarter:]] = TEST, VALID, SPARE
        stays = np.zeros(len(parts), np.bool_)
        if data.choose_by == "truth" and events.truth is not None:
            stays = events.truth & (parts == VALID)
        parts[others] = np.where((parts[others] == TEST) | stays[others], parts[others], SPARE)
        return parts, []
    mistakes = []
    if data.inject is not None and events.truth is not None:
        for part in (TRAIN, VALID):
            rows, anomalies = parts == part, np.flatnonzero((parts == part) & events.truth)
            count = injected(int(rows.sum()) - len(anomalies), data.inject)
            if count > len(anomalies):
                mistakes.append(Mistake(
                    "too-few-anomalies", f"{data.inject:.3g} of the {SLICES[part]} events would be {count} anomalies, "
                    f"and there are {len(anomalies)}.", "Inject less, or give more anomalies.", ("anomaly", "inject")))
            parts[np.random.default_rng([seed, 2, part]).permutation(anomalies)[count:]] = SPARE
    return parts, mistakes


def injected(others: int, fraction: float) -> int:
    """How many anomalies beside ``others`` make up a fraction of all."""
    return round(others * fraction / (1 - fraction))


def mixed_into(choose_by: str) -> tuple[Part, ...]:
    """The parts that anomalies are injected into once the winner is chosen: not into valid where it has those by which
    this was done."""
    return ("train",) if choose_by == "truth" else ("train", "valid")


def within(
    fractions: Sequence[float], choose_by: str, rows: Mapping[Part, int], sizes: Mapping[str, int]
) -> list[float]:
    """Those of the fractions to be injected that there are anomalies enough for; ``rows`` and ``sizes`` as facts have
    them."""
    mixed = mixed_into(choose_by)
    there = sum(sizes[f"{name}_anomalies"] for name in (*mixed, "spare"))
    others = sum(rows[part] - sizes[f"{part}_anomalies"] for part in mixed)
    return [fraction for fraction in fractions if injected(others, fraction) <= there]


def wrong_flags(data: AnomalyEvents, events: Events, used: NDArray[np.bool_] | None) -> list[Mistake]:
    """Expressions that hold for no event that is used, or for all: ``no-normal-events``, ``no-anomalies``,
    ``all-anomalies``, ``one-sided-region``."""
    def some(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return flags if used is None else flags[used]

    mistakes = []
    if events.normal is not None and not some(events.normal).any():
        mistakes.append(Mistake("no-normal-events", f"No event is normal: '{data.normal}' holds for none.",
                                "Say otherwise which events are normal; texts stand in quotes, as in class == 'qcd'.",
                                ("data", "normal")))
    elif events.truth is not None and data.truth_stated and not some(events.truth).any():
        mistakes.append(Mistake("no-anomalies", f"No event is an anomaly: '{data.truth}' holds for none.",
                                "Say otherwise which events are, or leave 'truth' out.", ("data", "truth")))
    if events.truth is not None and data.truth_stated and some(events.truth).all():
        mistakes.append(Mistake("all-anomalies", f"Every event is an anomaly: '{data.truth}' holds for all.",
                                "Say otherwise which events are; normal ones are needed too.", ("data", "truth")))
    if events.region is not None and some(events.region).all():
        mistakes.append(Mistake("one-sided-region", "Every event is in the signal region, so there are no sidebands.",
                                "Make it narrower, or leave fewer events out by 'cut'.", ("anomaly", "signal_region")))
    if events.region is not None and not some(events.region).any():
        mistakes.append(Mistake("one-sided-region", f"No event is in the signal region: '{data.signal_region}' holds "
                                "for none.", "Move it to where there are events.", ("anomaly", "signal_region")))
    return mistakes


def thin(data: AnomalyEvents, events: Events, parts: NDArray[np.int8], columns: int) -> list[Mistake]:
    """Too few events to learn from or to compare: ``too-few-rows``, ``too-few-in-region``, ``no-anomalies``,
    ``too-few-anomalies``."""
    train, mistakes = int((parts == TRAIN).sum()), list[Mistake]()
    what = "normal training events" if data.method == "one-class" else "training events"
    if train < FEWEST_NORMAL:
        mistakes.append(Mistake("too-few-rows", f"There are {train} {what}; {FEWEST_NORMAL} are the least.",
                                "Give more events, or a larger share to 'train'.", ("data",)))
    elif train < columns:
        mistakes.append(Mistake("too-few-rows", f"There are {train} {what}, fewer than the {columns} columns that they "
                                "have.", "Give more events, or fewer features.", ("data",)))
    held = parts == VALID
    if data.method == "weakly-supervised" and events.region is not None:
        held &= ~events.region
    if data.choose_by == "truth" and events.truth is not None:
        held &= ~events.truth
    if not mistakes and (held.sum() + 1) * data.background_efficiency < 1:
        mistakes.append(Mistake(
            "too-few-rows", f"There are {held.sum()} normal validation events, too few to tell where "
            f"{data.background_efficiency:g} of such events are flagged: that takes "
            f"{np.ceil(1 / data.background_efficiency) - 1:.0f}.", "Give more events, a larger share to 'valid', or a "
            "larger 'background_efficiency'.", ("anomaly", "background_efficiency")))
    if events.truth is not None and data.truth_stated and not (events.truth & (parts == TEST)).any():
        mistakes.append(Mistake("no-anomalies", "No event of the test part is an anomaly by the truth.",
                                "Give the test a larger share, or more anomalies.", ("data", "truth")))
    if data.injections_stated and (few := _too_large(data, events, parts)):
        mistakes.append(Mistake("too-few-anomalies", f"{few}.", "Inject less, or give more anomalies.",
                                ("anomaly", "injections")))
    if events.region is None:
        return mistakes
    weakly = data.method == "weakly-supervised"
    part, least = (TRAIN, FEWEST_TO_COMPARE) if weakly else (TEST, FEWEST_TO_FIT)
    for where_, flags in (("in the signal region", events.region), ("in its sidebands", ~events.region)):
        count = int((flags & (parts == part)).sum())
        if count < least:
            mistakes.append(Mistake(
                "too-few-in-region", f"There are {count} {SLICES[part]} events {where_}; {least} are the least to "
                f"{'compare it with its sidebands' if weakly else 'fit the mass spectrum'}.",
                "Move or widen the signal region, or give more events.", ("anomaly", "signal_region")))
    return mistakes


def _too_large(data: AnomalyEvents, events: Events, parts: NDArray[np.int8]) -> str:
    """Which injections there are too few anomalies for, empty for none."""
    found = sizes(events, parts)
    rows: dict[Part, int] = {"train": int((parts == TRAIN).sum()), "valid": int((parts == VALID).sum())}
    possible = within(data.injections, data.choose_by, rows, found)
    left_out = [f"{fraction:g}" for fraction in data.injections if fraction not in possible]
    if not left_out or not found["anomalies"]:
        return ""
    return f"Too few anomalies are left outside the test to make up {' or '.join(left_out)} of the events fitted on"


def shown(events: Events, parts: NDArray[np.int8], disjoint: str) -> Table:
    """How many events, anomalies, and events of the signal region there are in each part, for people; ``disjoint`` says
    what the parts do not share."""
    flags = {"normal": events.normal, "anomalies": events.truth, "in the signal region": events.region}
    there = {name: column for name, column in flags.items() if column is not None}
    rows: list[tuple[str | int, ...]] = [
        (name, int((parts == i).sum()), *(int((column & (parts == i)).sum()) for column in there.values()))
        for i, name in enumerate(SLICES)]
    note = " Spare events are neither fitted on nor tested: they serve comparisons once the winner is chosen."
    spare = bool(rows[SPARE][1])
    return Table("Split", ("part", "events", *there), tuple(rows if spare else rows[:SPARE]),
                 disjoint + (note if spare else ""))


def notes(data: AnomalyEvents, events: Events, parts: NDArray[np.int8]) -> list[str]:
    """What was done with the rows, and what is thereby not learned from."""
    used = parts >= 0
    said = {"one-class": "Models are trained on normal events alone",
            "unlabelled": "Models are trained on all events, be there anomalies among them or not",
            "weakly-supervised": "Models are trained to tell the events of the signal region from its sidebands"}
    found = [f"{said[data.method]} ({data.method})."]
    if events.truth is not None and not (events.truth & used).any():
        found.append("Every event is normal: without anomalies to test on, nothing is said of how well they are found.")
    elif events.truth is not None:
        how = "a part of it chooses the models" if data.choose_by == "truth" else "nothing is fitted or chosen by it"
        found.append(f"The truth, '{data.truth}', holds for {int((events.truth & used).sum())} of {int(used.sum())} "
                     f"events. It judges the finished models, and {how}.")
    if events.normal is not None and events.truth is not None:
        neither = int((~events.normal & ~events.truth & used).sum())
        if neither:
            found.append(f"{neither} events are neither normal nor anomalies: they are tested as background.")
    if few := _too_large(data, events, parts):
        found.append(f"{few}: such injections are left out.")
    return found


def sizes(events: Events, parts: NDArray[np.int8]) -> Mapping[str, int]:
    """How many events are anomalies by the truth: ``anomalies`` in all, and ``train_anomalies``, ``valid_anomalies`` …
    by slice."""
    truth = np.zeros(len(parts), np.bool_) if events.truth is None else events.truth
    return {"anomalies": int((truth & (parts >= 0)).sum()),
            **{f"{name}_anomalies": int((truth & (parts == i)).sum()) for i, name in enumerate(SLICES)}}
