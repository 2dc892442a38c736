"""Family ``gru``: a recurrent network that reads a window of series step by step (Keras).

Layers of gated recurrent units (Cho et al. 2014, arXiv:1406.1078) read the past, several values folded into one
step. What they remember at its end is turned into the forecast at once, or by a recurrent decoder, which goes on over
the horizon and sees what is known of each step ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import window_space
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.series_problem import SeriesProblem
    from automl_phys.window_networks import Ports

SOLVES = frozenset({"forecast"})
NEEDS = ("keras",)
TEXT = "a recurrent network with gates: leaner than lstm, often as good"

STEP_MS = 18.0
"""Of the optimiser, for 64 windows, on one core."""

skip = window_space.skip
memory_mb = window_space.memory_mb


def cost(facts: Facts) -> float:
    return window_space.cost(facts, STEP_MS)


def space(facts: Facts) -> dict[str, Range]:
    return {**window_space.recurrent(facts), **window_space.shared(facts)}


def defaults(facts: Facts) -> tuple[Params, ...]:
    """For noise, and for a system whose state is seen in its latest values."""
    return window_space.usual_recurrent(facts)


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the pinball loss with AdamW, stopped early on the validation windows."""
    from automl_phys import window_networks

    return window_networks.fit(problem, _network, params, job, watch)


def load(folder: Path) -> Fitted:
    from automl_phys import window_networks

    return window_networks.load(folder)


def _network(ports: Ports, values: Mapping[str, Any]) -> Any:
    import keras

    from automl_phys import window_networks

    return window_networks.recurrent(ports, keras.layers.GRU, values)
