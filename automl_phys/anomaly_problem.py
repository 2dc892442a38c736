"""Events among which anomalies are sought: a prepared table that shows a search none of its truth.

Takes the folder that :mod:`automl_phys.table` wrote; gives rows of its parts with their mass and whether they are in
the signal region, stand-ins for anomalies among the validation rows (:mod:`automl_phys.stand_ins`), and variations of
the problem into whose training rows a share of true anomalies is mixed. Beside what a table has, in the folder:

- ``target.npy`` int32 (n,): 1 for an anomaly by the truth, 0 else. ``train`` and ``valid`` hide it (see ``valid``)
- ``mass.npy`` float32 (n,) and ``region.npy`` bool (n,): the mass, and whether the event is in the signal region, where
  the recipe says so
- the rows of ``spare``, stored behind those of the test: anomalies that are kept out of the fit, for what comes after
  the choice
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl_phys import resampling, sidebands, stand_ins, table_anomalies, table_problem
from automl_phys.facts import Facts
from automl_phys.table_problem import NewRows, Pick, Rows, TableProblem
from automl_phys.values import Part

STAND_IN_SEED = 8
"""Stand-ins are the same for all trials, whatever the seed of the run."""


@dataclass(frozen=True)
class AnomalyRows(Rows):
    """Rows that know, where the recipe says what these are, their ``mass`` float32 (n,) and whether they are in the
    signal ``region``, bool (n,)."""

    mass: NDArray[np.float32] | None = None
    region: NDArray[np.bool_] | None = None

    def take(self, which: slice | NDArray[np.int64]) -> AnomalyRows:
        """Some of the rows: a slice is a view, positions are copied."""
        return of_rows(super().take(which), None if self.mass is None else self.mass[which],
                       None if self.region is None else self.region[which])

    def labelled(self, target: NDArray[np.int32]) -> AnomalyRows:
        """The same rows with another target (n,)."""
        return replace(self, target=target)


@dataclass(frozen=True)
class NewAnomalyRows(NewRows, AnomalyRows):
    """Rows of new data, with the mass where it is there."""


def of_rows(rows: Rows, mass: NDArray[np.float32] | None, region: NDArray[np.bool_] | None) -> AnomalyRows:
    """Rows of a table with the mass and the flag of the signal region."""
    return AnomalyRows(**{f.name: getattr(rows, f.name) for f in fields(Rows)}, mass=mass, region=region)


def joined(*parts: AnomalyRows) -> AnomalyRows:
    """Parts one after the other."""
    made: AnomalyRows = resampling.stacked(parts)
    return made


class Injection(NamedTuple):
    """A variation of a problem: anomalies are this ``fraction`` of its train rows and, where no anomalies choose the
    models, of its valid rows; the ``draw``-th choice of them, from 1."""

    fraction: float
    draw: int

    def __str__(self) -> str:
        return f"{self.fraction:g} of the events fitted on are anomalies, draw {self.draw}"

    @classmethod
    def of(cls, variation: str) -> Injection:
        """The injection that a variation is called by."""
        return cls(float(variation.split(maxsplit=1)[0]), int(variation.rsplit(maxsplit=1)[1]))


def sizes(found: Facts, settings: Mapping[str, Any]) -> Mapping[str, int]:
    """The sizes of a problem with what families and the planner ask of one with anomalies.

    ``normal`` are the training rows; ``region``, ``truth``, ``weakly`` and ``by_truth`` are 1 where there is a signal
    region, are known anomalies, is the method weakly supervised, and are models chosen by the truth; ``replicas`` are
    the variations that the winner is fitted on.
    """
    truth = bool(settings["truth"]) and found.sizes["anomalies"] > 0
    return {**found.sizes, "normal": found.rows["train"], "region": int(bool(settings["signal_region"])),
            "truth": int(truth), "weakly": int(settings["method"] == "weakly-supervised"),
            "by_truth": int(settings["choose_by"] == "truth"),
            "replicas": max(1, len(within(found, settings)) * settings["draws"] * truth)}


def within(found: Facts, settings: Mapping[str, Any]) -> list[float]:
    """Those of the fractions to be injected that there are anomalies enough for."""
    return table_anomalies.within(settings["injections"], settings["choose_by"], found.rows, found.sizes)


@dataclass(eq=False)
class AnomalyProblem(TableProblem):
    """Satisfies ``contracts.Problem``. ``schema.settings`` holds ``method`` (one-class, unlabelled or
    weakly-supervised), ``mass`` (the column, empty for none), ``normal``, ``truth`` and ``signal_region`` (the
    expressions, empty for none), ``background_efficiency``, ``choose_by`` (stand-ins or truth), ``stand_ins`` (auto,
    rare or corrupted), ``injections`` and ``draws`` (see :meth:`resamples`). ``left`` are the rows of ``spare``."""

    left: Pick = field(default_factory=lambda: slice(0, 0))

    @property
    def method(self) -> str:
        """one-class, unlabelled or weakly-supervised."""
        return str(self.schema.settings["method"])

    @property
    def has_truth(self) -> bool:
        """Whether it is known which events are anomalies."""
        return bool(self.facts().sizes["truth"])

    @property
    def injections(self) -> list[float]:
        """Fractions of anomalies that the winner is trained with at the end."""
        return within(self.stored.facts, self.schema.settings)

    def facts(self) -> Facts:
        found = super().facts()
        return replace(found, sizes=sizes(found, self.schema.settings))

    @cached_property
    def train(self) -> AnomalyRows:
        """What is learnt from; truth hidden."""
        return self._rows("train")

    @cached_property
    def valid(self) -> AnomalyRows:
        """What trials are judged on: the held-out events first (target 0), and as anomalies (target 1) what the search
        may see.

        These are stand-ins made of the held-out events, which come behind them; with ``choose_by: truth`` the true
        anomalies among them. In the weakly supervised setting events of the signal region (1) stand against those of
        the sidebands (0), the training rows being judges too: no detector there has both seen an event and been told
        where it belongs, and few of the region's are signal. Weights are those of the comparison.
        """
        rows = self.held_out
        if self.schema.settings["choose_by"] == "truth":
            return rows.labelled(self.truth("valid"))
        if self.method == "weakly-supervised" and rows.region is not None:
            return region_against_sidebands(joined(rows, self.train))
        return joined(rows, self.stand_ins(rows, STAND_IN_SEED))

    @cached_property
    def held_out(self) -> AnomalyRows:
        """The validation rows as they are, without stand-ins and with the weights that the data have; truth hidden."""
        return self._rows("valid")

    @cached_property
    def normal(self) -> NDArray[np.bool_]:
        """Which of the held-out rows (m,) say what scores are usual: those that ``valid`` does not call anomalies."""
        return np.asarray(self.valid.target[:len(self.held_out)] == 0)

    @cached_property
    def test(self) -> AnomalyRows:
        """Rows with the truth as target: 1 for an anomaly; zeros where there is no truth."""
        return self._rows("test").labelled(self.truth("test"))

    @cached_property
    def spare(self) -> AnomalyRows:
        """Rows that are neither fitted on nor tested, with the truth as target: for what comes after the choice."""
        return self._at(self.left).labelled(self._target[self.left])

    @property
    def stand_in_kind(self) -> stand_ins.Kind:
        """What stands in for anomalies: as the recipe says, else rare populations, for images corrupted copies."""
        said: Any = self.schema.settings["stand_ins"]
        kind: stand_ins.Kind = said if said != "auto" else "corrupted" if self.schema.image else "rare"
        return kind

    def stand_ins(self, rows: AnomalyRows, seed: int) -> AnomalyRows:
        """Stand-ins for anomalies made of rows of normal events, with target 1."""
        return stand_ins.of(self.stand_in_kind, rows, seed)

    def whole(self) -> AnomalyProblem:
        """The rows of train and valid together, as train and again as valid; the same test."""
        known = super().whole()
        return AnomalyProblem(known.folder, known.stored, known.picks, known.variation, self.left)

    def truth(self, part: Part) -> NDArray[np.int32]:
        """1 for each anomaly of a part's rows (n,), 0 else. Of no business to a search."""
        found: NDArray[np.int32] = self._target[self.picks[part]]
        return found

    def resamples(self, count: int, seed: int) -> Sequence[AnomalyProblem]:
        """``count`` injections: each of ``injections`` in turn, then all of them again with other anomalies.

        Train and valid hold that share of true anomalies, which are those of train, valid and spare, and all of their
        other rows; the test is the same. Valid stays as it is where its anomalies choose the models. In one draw small
        injections are parts of the larger ones.
        """
        fractions = self.injections or [0.0]
        return [self._injected(Injection(fractions[i % len(fractions)], i // len(fractions) + 1), seed)
                for i in range(count)]

    def _injected(self, asked: Injection, seed: int) -> AnomalyProblem:
        every: NDArray[np.int64] = np.arange(len(self._target))
        mixed = table_anomalies.mixed_into(self.schema.settings["choose_by"])
        parts = {part: every[self.picks[part]] for part in mixed}
        known = np.concatenate([*parts.values(), every[self.left]])
        anomalies = np.random.default_rng([seed, asked.draw]).permutation(np.sort(known[self._target[known] == 1]))
        clean = {part: rows[self._target[rows] == 0] for part, rows in parts.items()}
        ends = np.cumsum([0, *dealt(len(anomalies), [len(rows) for rows in clean.values()])])
        picks: dict[Part, Pick] = dict(self.picks)
        taken = []
        for (part, rows), low, high in zip(clean.items(), ends, ends[1:], strict=False):
            mixed_in = anomalies[low:high][:table_anomalies.injected(len(rows), asked.fraction)]
            taken.append(np.sort(np.concatenate([rows, mixed_in])))
            picks[part] = taken[-1]
        left = np.setdiff1d(known, np.concatenate(taken))
        return AnomalyProblem(self.folder, self.stored, picks, str(asked), left)

    def _rows(self, part: Part) -> AnomalyRows:
        """Rows of a part, the truth hidden."""
        return self._at(self.picks[part])

    def _at(self, pick: Pick) -> AnomalyRows:
        # a table's rows are found by the name of a part
        rows = TableProblem(self.folder, self.stored, {"train": pick}).train
        mass, region = (self._load(name)[pick] if (self.folder / f"{name}.npy").exists() else None
                        for name in ("mass", "region"))
        hidden: Any = np.zeros(len(rows), np.int32)
        return of_rows(replace(rows, target=hidden), mass, region)


def region_against_sidebands(rows: AnomalyRows) -> AnomalyRows:
    """Rows with the signal region as target 1, and with weights that make the sidebands stand for its background."""
    if rows.region is None or not rows.region.any() or rows.region.all():
        return rows if rows.region is None else rows.labelled(rows.region.astype(np.int32))
    weight = sidebands.weights(rows).astype(np.float32)
    return replace(rows.labelled(rows.region.astype(np.int32)), weight=weight, unsigned=None)


def dealt(count: int, sizes: Sequence[int]) -> list[int]:
    """How many of ``count`` go to parts of these sizes, in proportion; what rounding leaves goes to the last."""
    shares = [count * size // max(1, sum(sizes)) for size in sizes[:-1]]
    return [*shares, count - sum(shares)]


def load(folder: Path) -> AnomalyProblem:
    """Open prepared events. Raises CallError when they are not there or damaged."""
    table = table_problem.load(folder)
    behind = slice(sum(table.stored.facts.rows.values()), None)
    return AnomalyProblem(table.folder, table.stored, table.picks, left=behind)
