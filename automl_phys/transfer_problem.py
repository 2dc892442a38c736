"""A prepared table for transfer: its variations are draws of fewer labelled rows.

Takes the folder that :mod:`automl_phys.table` wrote, with a base network in it; gives what ``TableProblem`` does, and
as resamples draws from the train and validation rows, of several sizes, several of each, all with the same test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from automl_phys import table, table_split
from automl_phys.table_problem import TableProblem


@dataclass(eq=False)
class TransferProblem(TableProblem):
    """Satisfies ``contracts.Problem``. ``schema.settings`` holds ``sizes``, how many sizes a sample is drawn in."""

    def resamples(self, count: int, seed: int) -> Sequence[TableProblem]:
        """``count`` draws from train and valid, in their proportions: of all rows, of half of them, a quarter, …, then
        the same again. The draw of a size and a turn depends on ``seed`` alone; small draws are parts of large ones of
        the same turn. Groups stay whole, so that with them both holds about, and a size is one but for a few rows."""
        sizes = int(self.schema.settings["sizes"])
        return [self._draw(i % sizes, i // sizes, seed) for i in range(count)]

    def _draw(self, halvings: int, turn: int, seed: int) -> TableProblem:
        rows = self.stored.facts.rows
        known = rows["train"] + rows["valid"]
        groups = self._load("groups")[:known] if (self.folder / "groups.npy").exists() else None
        part = 0.5**halvings
        shares = [part * rows["train"], part * rows["valid"], *([(1 - part) * known] if halvings else [])]
        rng = np.random.default_rng([seed, turn])
        parts = table_split.cut(self._strata[:known], shares, groups, rng)
        train, valid = (np.flatnonzero(parts == i) for i in (0, 1))
        return TransferProblem(self.folder, self.stored, {"train": train, "valid": valid, "test": self.picks["test"]},
                               f"{round(part * known)} rows, draw {turn + 1}")


def load(folder: Path) -> TransferProblem:
    """Open a prepared table. Raises CallError when it is not there or damaged."""
    made = table.load(folder)
    return TransferProblem(made.folder, made.stored, made.picks)
