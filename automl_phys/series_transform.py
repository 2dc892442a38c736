"""Values of series as models of windows learn them: as they are, or their root or logarithm where none is negative.

Takes windows; gives the same windows of transformed values, and quantiles back in the data's unit (which they stay, as
a transform that rises keeps the order). The root makes the noise of counts alike at all levels; the logarithm that of
what fluctuates by a share of itself. Local models have transforms of their own (:mod:`automl_phys.local_models`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl_phys.series_problem import Floats, Windows
from automl_phys.values import Params

SHIFT = 0.1
"""Of the mean, which is added before the logarithm: zeros have one too."""
LARGEST = 80.0
"""Of a logarithm that is undone."""


@dataclass(frozen=True)
class Transform:
    """``kind`` is none, sqrt or log; ``shift`` (t,) is added before the logarithm. Values below 0, which were not seen
    in training, count as 0."""

    kind: str = "none"
    shift: tuple[float, ...] = ()

    def windows(self, windows: Windows) -> Windows:
        """Windows of transformed values."""
        if self.kind == "none":
            return windows
        return replace(windows, panel=replace(windows.panel, target=self._forward(windows.panel.target)))

    def back(self, quantiles: Any) -> NDArray[np.float32]:
        """Quantiles (n, h, t, levels) in the data's unit, float32."""
        if self.kind == "none":
            return np.asarray(quantiles, np.float32)
        values = np.asarray(quantiles, np.float64)
        if self.kind == "sqrt":
            made = np.maximum(values, 0.0) ** 2
        else:
            made = np.maximum(np.exp(np.minimum(values, LARGEST)) - np.array(self.shift)[:, None], 0.0)
        return np.asarray(np.minimum(made, np.finfo(np.float32).max), np.float32)

    def _forward(self, values: Floats) -> Floats:
        values = np.maximum(values, 0.0)  # NaN remains
        return np.sqrt(values) if self.kind == "sqrt" else np.log(values + np.array(self.shift))

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"kind": self.kind, "shift": list(self.shift)}


def from_plain(told: Mapping[str, Any]) -> Transform:
    """What :meth:`Transform.plain` gave."""
    return Transform(told["kind"], tuple(told["shift"]))


def of(params: Params, train: Windows) -> Transform:
    """The transform that is asked for; none where a value that is fitted on is negative, or nothing is above 0."""
    kind = str(params.get("transform", "none"))
    panel = train.panel
    learned = np.concatenate([panel.values(series)[:end] for series, end in enumerate(train.until)])
    means = learned.mean(axis=0)
    if kind == "none" or learned.min() < 0 or not (means > 0).all():
        return Transform()
    return Transform(kind, tuple((SHIFT * means).tolist()))
