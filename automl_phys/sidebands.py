"""Sidebands that stand for the background of a signal region: how much each of their events counts.

Takes rows with a mass and a signal region; gives weights. Where features drift with the mass, events of a falling
spectrum's sidebands are not what the background of the region is: most of them lie below it. Weighed so that their mean
mass is the region's, drifts that are even in the mass cancel, and no score finds the region by them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl_phys.ranking import Floats

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyRows

REACH = 3.0
"""Width of a sideband by which models are compared, in widths of the region."""
LEAST = 0.1
"""Share of the weight of both sidebands that each has, at least."""


def weights(rows: AnomalyRows, reach: float = REACH) -> Floats:
    """Weights (n,), of mean 1: the region's as much as those of both sidebands, which share their half such that their
    mean mass is the region's; 0 beyond ``reach`` widths of the region. Without a mass all that is not in the region is
    one sideband."""
    region, weight = np.asarray(rows.region), np.asarray(rows.fit_weight, np.float64)
    mass = np.where(region, 0.0, 1.0) if rows.mass is None else np.asarray(rows.mass, np.float64)
    low, high = mass[region].min(), mass[region].max()
    far = np.inf if rows.mass is None else reach * (high - low)
    # what is not in the region, but between its ends, belongs to none
    parts = [part & (weight > 0) for part in (
        region, ~region & (mass < low) & (mass >= low - far), ~region & (mass > high) & (mass <= high + far))]
    means = [np.average(mass[part], weights=weight[part]) if part.any() else np.nan for part in parts]
    upper = float(parts[2].any())
    if parts[1].any() and parts[2].any():
        upper = float(np.clip((means[0] - means[1]) / (means[2] - means[1]), LEAST, 1 - LEAST))
    made = np.zeros(len(weight))
    for part, share in zip(parts, (0.5, 0.5 * (1 - upper), 0.5 * upper), strict=True):
        if part.any():
            made[part] = weight[part] / weight[part].sum() * share
    scaled: Floats = made / made.mean()
    return scaled
