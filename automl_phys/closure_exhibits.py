"""What there is to see of generated events: figures, tables and the verdict put together.

Takes samples and estimates of ``closure``; gives what ``closure_figures`` and ``closure_tables`` make of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from automl_phys import closure_figures as draw
from automl_phys import closure_tables
from automl_phys.closure_sample import Sample
from automl_phys.exhibits import Estimate, Figure, Score, Table
from automl_phys.values import Array


def figures(real: Sample, made: Sample, images: tuple[Array, Array] | None) -> tuple[Figure, ...]:
    """Of ``images`` (n, h, w, c), real and made for the same conditions, some of them and their means; of columns, of
    images their observables, the distributions, pairs and correlations."""
    shown = draw.images(*images, real.weight, real.label, real.classes) if images else ()
    return (*shown, *draw.columns(real, made), *draw.correlations(real, made), *draw.pairs(real, made))


def tables(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate], scores: Sequence[Score], objective: str
           ) -> tuple[Table, ...]:
    """The leaderboard, every measure beside its floor, and the columns that close worst."""
    found = (closure_tables.ranked(scores, objective), closure_tables.against_floors(metrics, floors),
             closure_tables.columns(metrics, floors))
    return tuple(table for table in found if table is not None)


def verdict(metrics: Mapping[str, Estimate], floors: Mapping[str, Estimate], baseline: Score, winner: Score) -> str:
    """In words; see :func:`automl_phys.closure_tables.verdict`."""
    return closure_tables.verdict(metrics, floors, winner, baseline)
