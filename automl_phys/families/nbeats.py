"""Family ``nbeats``: feed-forward blocks on a window of series; each explains a part and leaves the rest (Keras).

Doubly residual stacking as in N-BEATS (Oreshkin et al. 2020, arXiv:1905.10437), blocks that see the past at several
resolutions as in N-HiTS (Challu et al. 2023, arXiv:2201.12886), and what is known of each step ahead beside what the
blocks say of it, as in TiDE (Das et al. 2023, arXiv:2304.08424).
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
TEXT = "feed-forward blocks that share a forecast among them: fast, and strong on many series"

STEP_MS = 6.0
"""Of the optimiser, for 64 windows, on one core."""
REDUCED = 4
"""Numbers that are made of what is known of a step."""

skip = window_space.skip
memory_mb = window_space.memory_mb


def cost(facts: Facts) -> float:
    return window_space.cost(facts, STEP_MS)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "blocks": Range(low=1, high=5, integer=True, text="blocks, one after the other"),
        "layers": Range(low=1, high=3, integer=True, text="hidden layers of a block"),
        "units": Range(choices=(64, 128, 256, 384), text="units of a hidden layer"),
        "pooling": Range(choices=("rates", "none"), text="whether the first blocks see means over several steps"),
        **window_space.shared(facts),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    """For noise, and for a system whose state is seen in its latest values."""
    noisy: Params = {"blocks": 3, "layers": 2, "units": 128, "pooling": "rates", **window_space.noisy(facts)}
    clean: Params = {"blocks": 2, "layers": 3, "units": 256, "pooling": "none", **window_space.clean(facts)}
    return noisy, clean


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the pinball loss with AdamW, stopped early on the validation windows."""
    from automl_phys import window_networks

    return window_networks.fit(problem, _network, params, job, watch)


def load(folder: Path) -> Fitted:
    from automl_phys import window_networks

    return window_networks.load(folder)


def _network(ports: Ports, values: Mapping[str, Any]) -> Any:
    import keras
    from keras import layers

    from automl_phys import window_networks

    shape = ports.shape
    rest = ports.past
    beside = [] if ports.fixed is None else [ports.fixed]
    if shape.width > shape.targets:
        covariates = layers.Dense(REDUCED)(ports.steps[:, :, shape.targets:])
        beside.append(layers.Flatten()(covariates))
    if ports.ahead is not None:
        beside.append(layers.Flatten()(layers.Dense(REDUCED)(ports.ahead)))
    said = []
    for block in range(values["blocks"]):
        rate = _rate(shape.length, values["blocks"] - 1 - block) if values["pooling"] == "rates" else 1
        seen = layers.AveragePooling1D(rate)(rest) if rate > 1 else rest
        hidden = window_networks.joined([layers.Flatten()(seen), *beside])
        for _ in range(values["layers"]):
            hidden = layers.Dense(values["units"], activation="silu", kernel_initializer="he_normal")(hidden)
            hidden = layers.Dropout(values["dropout"])(hidden) if values["dropout"] > 0 else hidden
        said.append(layers.Dense(shape.horizon * window_networks.STEP_UNITS)(hidden))
        if block < values["blocks"] - 1:
            explained = layers.Dense(shape.length * shape.targets)(hidden)
            rest = keras.layers.subtract([rest, layers.Reshape((shape.length, shape.targets))(explained)])
    context = layers.add(said) if len(said) > 1 else said[0]
    context = layers.Reshape((shape.horizon, window_networks.STEP_UNITS))(context)
    return window_networks.ending(ports, context, values)


def _rate(length: int, doublings: int) -> int:
    """Steps over which the mean is taken: about 4 to the power of ``doublings``, and at least 8 means remain."""
    return int(max(1, min(4**doublings, length // 8)))
