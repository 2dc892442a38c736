"""What the families of networks on windows of series ask of a problem, and the parameters that they share.

Takes facts; gives ranges, defaults, memory, a nominal time. Standard library only, as plans are made of it.
"""

from __future__ import annotations

from automl_phys.facts import Facts, Range, only_kind
from automl_phys.values import Params

SHORTEST = 250
"""Steps to fit on, of all series together, below which models of single series are better than any network: of 160
months of turnover networks made errors twice as large."""
LONGEST_LENGTH = 400
MOST_WINDOWS = 60_000
"""Windows taken evenly to fit on; neighbours are nearly the same."""
MOST_TARGETS = 20_000_000
"""Numbers of what came in these windows."""
UPDATES = 1500
"""About how many steps of the optimiser a network needs."""
LEVELS_OFF = ("last", "mean", "series")
"""What may be taken off: the last value of a window's past, its mean, or the mean of the whole series."""
PATCHES = (1, 2, 4, 6, 12, 24)
STATE = 24
"""Steps that tell the state of a system."""
CYCLES = 25
"""Seasons from which on the calendar tells more than can be learnt by heart."""
MOST_PATCHED = 96
"""Steps of a recurrent network at most; fit folds as many values into one as it takes."""


def skip(facts: Facts) -> str | None:
    """Why a network cannot take the problem; None when it can."""
    steps = facts.sizes.get("steps", SHORTEST)
    if facts.kind == "series" and steps < SHORTEST:
        return f"has {steps} steps to learn from, {SHORTEST} are needed"
    if facts.kind == "series" and windows(facts) < 16:
        return "the series are hardly longer than the horizon: no windows to learn from"
    return only_kind(facts, "series")


def windows(facts: Facts) -> int:
    """Windows that are fitted on."""
    sizes = facts.sizes
    made = sizes.get("steps", 1000) - sizes.get("series", 1) * (sizes.get("horizon", 1) + 3)
    return max(1, min(made, most_windows(sizes.get("outputs", 1))))


def most_windows(outputs: int) -> int:
    return min(MOST_WINDOWS, MOST_TARGETS // max(1, outputs))


def memory_mb(facts: Facts) -> int:
    """Keras and its framework, windows with their inputs and targets (twice: as arrays and on the device), predictions
    of those that are judged."""
    sizes = facts.sizes
    inputs = max(lengths(facts)) * (sizes.get("numbers", 1) + sizes.get("phases", 0))
    targets = sizes.get("outputs", 1) + sizes.get("horizon", 1) * (sizes.get("known", 0) + sizes.get("phases", 0))
    made = min(windows(facts) * 4 * 2 * (inputs + targets), 6 << 28)
    judged = 3 * 4 * 11 * facts.rows.get("valid", 0) * sizes.get("outputs", 1)
    return 1100 + round((made + min(judged, 3 * 4 * 1_000_000)) / 1e6)


def lengths(facts: Facts) -> tuple[int, ...]:
    """Lengths of the past to choose from: of horizons and seasons, at most half of the longest section."""
    horizon, season = facts.sizes.get("horizon", 1), facts.sizes.get("season", 1)
    asked = {horizon, 2 * horizon, 4 * horizon, 24}
    if season > 1:
        asked |= {season, round(1.5 * season), 2 * season, 3 * season}
    most = max(4, min(LONGEST_LENGTH, facts.sizes.get("longest", 1000) // 2))
    return tuple(sorted({min(max(8, length), most) for length in asked}))


def usual_length(facts: Facts) -> int:
    """The one to begin with: a season and a half, or two horizons where there is no season, or but a short one."""
    horizon, season = facts.sizes.get("horizon", 1), facts.sizes.get("season", 1)
    wanted = max(24, 2 * horizon if season <= horizon else round(1.5 * season))
    return min(lengths(facts), key=lambda length: abs(length - wanted))


def patches(facts: Facts) -> tuple[int, ...]:
    """Values that may be folded into one step."""
    return tuple(p for p in PATCHES if p * 4 <= max(lengths(facts)))


def usual_patch(facts: Facts, values: Params) -> int:
    """One for other values to begin with: some dozen steps remain of a long past, half of a short one."""
    length = int(str(values["length"]))
    fitting = [p for p in patches(facts) if p * 12 <= length and (p <= 2 or length > 2 * STATE)]
    return max(fitting, default=1)


def transforms(facts: Facts) -> dict[str, Range]:
    """The transform of the values, where none is negative."""
    text = "what is learned: values, their root or their logarithm"
    return {"transform": Range(choices=("none", "sqrt", "log"), text=text)} if facts.sizes.get("positive", 0) else {}


def usual_transform(facts: Facts) -> Params:
    """The root: it makes the noise of counts alike at all levels, and changes little where levels are alike."""
    return {"transform": "sqrt"} if facts.sizes.get("positive", 0) else {}


def shared(facts: Facts) -> dict[str, Range]:
    """The ranges that all of these networks have."""
    batch, epochs = pace(facts)
    calendar = {"calendar": Range(choices=(True, False), text="whether the network sees the calendar and the season")}
    return {
        "length": Range(choices=lengths(facts), text="steps of the past that are seen"),
        **transforms(facts),
        "level": Range(choices=("last", "mean", "series"),
                       text="taken off a window's values: its last, its mean, or the whole series' mean"),
        "place": Range(choices=(True, False), when={"level": ("last", "mean")},
                       text="whether the network sees where the window is among the series' values"),
        "shortcut": Range(choices=("linear", "none"), text="a linear forecast that the network corrects"),
        **(calendar if facts.sizes.get("phases", 0) else {}),
        "dropout": Range(low=0.0, high=0.4, text="share of units dropped while training"),
        "noise": Range(low=0.0, high=0.5, text="noise added to the past while training, in the window's units"),
        "learning_rate": Range(low=3e-4, high=1e-2, log=True, text="peak learning rate of AdamW"),
        "schedule": Range(choices=("cosine", "constant"), text="learning rate over the training"),
        "weight_decay": Range(low=1e-3, high=1.0, log=True, text="decoupled weight decay"),
        "batch_size": Range(choices=tuple(sorted({max(8, batch // 2), batch, batch * 2})), text="windows per step"),
        "epochs": Range(low=max(4, epochs // 2), high=2 * epochs, integer=True, log=True,
                        text="passes over the windows"),
    }


def noisy(facts: Facts) -> Params:
    """A value of each of them to begin with where noise is a part of the values: a long past, in the window's own unit,
    and much against learning it by heart."""
    batch, epochs = pace(facts)
    season = facts.sizes.get("season", 1)
    calendar = CYCLES * season <= facts.sizes.get("longest", 1000)
    return {"length": usual_length(facts), **usual_transform(facts), "level": "last", "place": True, "shortcut": "none",
            **({"calendar": calendar} if facts.sizes.get("phases", 0) else {}), "dropout": 0.3, "noise": 0.2,
            "learning_rate": 7e-4, "schedule": "cosine", "weight_decay": 0.05, "batch_size": batch, "epochs": epochs}


def clean(facts: Facts) -> Params:
    """A value of each for values that are what they are because of those shortly before, as those of a dynamical system
    are: places in the whole series matter, and nothing blurs them. What has a long season is noisy nevertheless."""
    plain: Params = {"transform": "none"} if transforms(facts) else {}
    if facts.sizes.get("season", 1) > STATE:
        return {**noisy(facts), **plain, "dropout": 0.4, "noise": 0.3}
    shortest = min(lengths(facts), key=lambda length: abs(length - STATE))
    made = {**noisy(facts), **plain, "level": "series", "dropout": 0.0, "noise": 0.0, "learning_rate": 3e-3}
    del made["place"]
    return {**made, "length": shortest}


def pace(facts: Facts) -> tuple[int, int]:
    """Batch size, a power of two from 16 to 256, and epochs, 6 to 150, that make about ``UPDATES`` steps."""
    rows = windows(facts)
    batch = min(256, max(16, 1 << max(1, rows // 40).bit_length() - 1))
    return batch, min(150, max(6, round(UPDATES * batch / rows)))


def cost(facts: Facts, each: float) -> float:
    """Seconds of a trial on one core: ``each`` is the milliseconds of a step of the optimiser, for 64 windows."""
    batch, epochs = pace(facts)
    updates = epochs * -(-windows(facts) // batch)
    width = 1 + facts.sizes.get("outputs", 1) / 100
    return float(6 + updates * each * 1e-3 * (batch / 64) ** 0.7 * width)


def recurrent(facts: Facts) -> dict[str, Range]:
    """The ranges of recurrent networks."""
    return {
        "layers": Range(low=1, high=2, integer=True, text="recurrent layers"),
        "units": Range(choices=(32, 48, 64, 96, 128), text="units of each"),
        "patch": Range(choices=patches(facts), text="values folded into one step"),
        "decoder": Range(choices=("dense", "recurrent"), text="how steps ahead are made of what is remembered"),
    }


def usual_recurrent(facts: Facts) -> tuple[Params, ...]:
    """Two configurations of a recurrent network to begin with: for noise, and for a dynamical system."""
    first, second = noisy(facts), clean(facts)
    return ({"layers": 1, "units": 64, "patch": usual_patch(facts, first), "decoder": "dense", **first},
            {"layers": 1, "units": 96, "patch": usual_patch(facts, second), "decoder": "recurrent", **second})
