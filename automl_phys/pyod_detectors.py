"""Detectors of PyOD, saved without a pickle: as the rows that they were fitted on and their settings.

Takes columns; gives a scorer that fits its detector when it is first asked, which takes seconds and gives the same each
time. Of what PyOD offers only detectors are here that score each row by itself, and that are fitted as fast as they
would be read. Their threshold, which PyOD sets by a guessed contamination, is never used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.detecting import Floats

ROWS = "rows.npy"
SETTINGS = "settings.json"
CLASSES = {"iforest": "IForest", "knn": "KNN", "lof": "LOF"}
"""PyOD's modules that are used, and the class in each."""


@dataclass(frozen=True)
class PyodScorer:
    """The detector of the module ``kind`` with its ``settings``, fitted on ``rows`` float32 (n, K)."""

    kind: str
    settings: Mapping[str, Any]
    rows: NDArray[np.float32]

    def score(self, columns: NDArray[np.float32]) -> Floats:
        """PyOD's scores (n,)."""
        return np.asarray(self._detector.decision_function(columns))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / ROWS, self.rows, allow_pickle=False)
        (folder / SETTINGS).write_text(json.dumps({"kind": self.kind, **self.settings}), encoding="utf-8")

    @cached_property
    def _detector(self) -> Any:
        from threadpoolctl import threadpool_limits

        made: Callable[..., Any] = getattr(import_module(f"pyod.models.{self.kind}"), CLASSES[self.kind])
        with threadpool_limits(1):
            return made(**self.settings).fit(self.rows)


def load(folder: Path) -> PyodScorer:
    """Open a saved detector."""
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    return PyodScorer(settings.pop("kind"), settings, np.load(folder / ROWS, allow_pickle=False))
