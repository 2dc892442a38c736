"""Physics observables of images, by which generated ones are compared with real ones.

Takes images, gives numbers with names. Pixels count as intensities: what is negative or not finite counts as 0.
Positions are in units of pixels from the middle of the image. An image without intensity has 0 for everything.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LIT = 0.01
"""Share of the brightest pixel above which a pixel is lit."""
HARDEST = 5
NAMES = ("intensity", "centroid_row", "centroid_column", "width", "moment_row", "moment_column", "moment_cross",
         "lit_pixels", "brightest_share", f"hardest_{HARDEST}_share", "dispersion", "entropy")
DISCRETE = frozenset({"lit_pixels"})
"""Observables that are counts."""


def of(images: NDArray[Any]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Observables (n, m) of images (n, h, w, c) or (n, h, w), and their names.

    With I the intensity of a pixel summed over channels, x = I / Σ I and r its place:

    - ``intensity`` Σ I; ``centroid_row``, ``centroid_column`` Σ x r
    - ``width`` Σ x |r - centroid|, as the girth of a jet; ``moment_row``, ``moment_column``, ``moment_cross``
      Σ x (r - centroid)(r - centroid)ᵀ
    - ``lit_pixels``, how many pixels exceed ``LIT`` of the brightest; ``brightest_share`` and ``hardest_5_share`` of x
    - ``dispersion`` √Σ x², as the pT dispersion of a jet; ``entropy`` -Σ x ln x
    - of several channels ``channel_K_share``, the share of each but the last in the intensity
    """
    light = np.asarray(images, np.float32)
    light = light[..., None] if light.ndim == 3 else light
    light = np.where(np.isfinite(light) & (light > 0), light, np.float32(0))
    count, height, width, channels = light.shape
    pixels = light.sum(axis=3, dtype=np.float64).reshape(count, height * width)
    total = pixels.sum(axis=1)
    lit = total > 0
    share = pixels / np.where(lit, total, 1.0)[:, None]
    row, column = (axis.ravel() for axis in np.meshgrid(
        np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij"))
    centre = share @ np.column_stack([row, column])
    away_row, away_column = ((place - centre[:, [k]]) for k, place in enumerate((row, column)))
    hardest = np.sort(share, axis=1)[:, -HARDEST:]
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("np,np->n", share, values))

    columns = [
        total, centre[:, 0], centre[:, 1], mean(np.hypot(away_row, away_column)), mean(away_row**2),
        mean(away_column**2), mean(away_row * away_column),
        (share > LIT * hardest[:, -1:]).sum(axis=1) * lit, hardest[:, -1], hardest.sum(axis=1),
        np.sqrt(mean(share)), -mean(logs)]
    names: tuple[str, ...] = NAMES
    if channels > 1:
        of_channels = light.sum(axis=(1, 2), dtype=np.float64) / np.where(lit, total, 1.0)[:, None]
        columns += list(of_channels.T[:-1])
        names += tuple(f"channel_{k + 1}_share" for k in range(channels - 1))
    return np.column_stack(columns).astype(np.float32), names
