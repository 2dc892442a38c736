"""Family ``tcn``: causal convolutions over a window of series, each looking twice as far back as the last (Keras).

Residual blocks of dilated convolutions (Bai et al. 2018, arXiv:1803.01271) over the past, several steps folded into
one; what they say of the last step is what the forecast is made of.
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
TEXT = "causal convolutions: sees patterns at many distances, quick to train"

STEP_MS = 12.0
"""Of the optimiser, for 64 windows, on one core."""
MOST_BLOCKS = 6

skip = window_space.skip
memory_mb = window_space.memory_mb


def cost(facts: Facts) -> float:
    return window_space.cost(facts, STEP_MS)


def space(facts: Facts) -> dict[str, Range]:
    return {
        "units": Range(choices=(24, 32, 48, 64, 96), text="channels"),
        "kernel": Range(choices=(2, 3, 5), text="steps that a convolution sees"),
        "patch": Range(choices=window_space.patches(facts), text="values folded into one step"),
        **window_space.shared(facts),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    """For noise, and for a system whose state is seen in its latest values."""
    noisy, clean = window_space.noisy(facts), window_space.clean(facts)
    return ({"units": 48, "kernel": 3, "patch": window_space.usual_patch(facts, noisy), **noisy},
            {"units": 64, "kernel": 3, "patch": window_space.usual_patch(facts, clean), **clean})


def fit(problem: SeriesProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the pinball loss with AdamW, stopped early on the validation windows."""
    from automl_phys import window_networks

    return window_networks.fit(problem, _network, params, job, watch)


def load(folder: Path) -> Fitted:
    from automl_phys import window_networks

    return window_networks.load(folder)


def _network(ports: Ports, values: Mapping[str, Any]) -> Any:
    from keras import layers

    from automl_phys import window_networks

    folded = ports.folded(values["patch"])
    steps, kernel, units = folded.shape[1], values["kernel"], values["units"]
    hidden = layers.Dense(units)(folded)
    dilation, blocks = 1, 0
    while blocks == 0 or ((kernel - 1) * dilation < 2 * steps and blocks < MOST_BLOCKS):
        before = hidden
        hidden = layers.LayerNormalization()(hidden)
        hidden = layers.Dense(units, activation="silu")(window_networks.Taps(dilation, kernel)(hidden))
        hidden = layers.Dropout(values["dropout"])(hidden) if values["dropout"] > 0 else hidden
        hidden = layers.add([before, layers.Dense(units)(hidden)])
        dilation, blocks = 2 * dilation, blocks + 1
    return window_networks.ending(ports, layers.LayerNormalization()(hidden[:, -1]), values)
