"""Family ``cwola``: a classifier of the signal region against its sidebands (classification without labels).

E. Metodiev, B. Nachman, J. Thaler, arXiv:1708.02949; for resonances J. Collins, K. Howe, B. Nachman, arXiv:1805.02664:
where features of the background do not depend on the mass, what tells an event of the signal region from one of the
sidebands is that there are signal events in the one. Classifiers never see the mass. Both sidebands together weigh as
much as the signal region and have its mean mass, so that a feature that changes evenly with the mass tells nothing. An
event belongs to one of ``FOLDS`` folds by its features, and is scored by classifiers that were trained on the other
folds only, whenever it comes. Where signal is rare it takes the mean of many classifiers, each trained on another half
of the events and stopped by the rest (T. Finke et al., arXiv:2309.13111): their noise is as large as what they find.

Raw scores, log odds, become p-values in each fold by itself, and at each mass, by the sideband events that the fold's
classifiers have not seen: so a cut on the score takes away as much of the background at each mass, and what is left of
a falling spectrum still falls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import detector_facts, training_length
from automl_phys.contracts import Fitted
from automl_phys.facts import Facts, Range
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.anomaly_problem import AnomalyProblem
    from automl_phys.detecting import Frame, Tail
    from automl_phys.region_classifiers import Classifiers
    from automl_phys.table_problem import Rows
    from automl_phys.values import Array

SOLVES = frozenset({"detect-anomaly"})
NEEDS = ("lightgbm", "keras", "jax")
TEXT = "a classifier of the signal region against its sidebands, by events it has not seen"

FOLDS = 5
UPDATES = 1000
BATCH = 512
MOST_MASSES, PER_MASS = 8, 400
"""Masses in each sideband at which p-values are known, and events for each at least."""
FEWEST_BEYOND = 40
"""Events of a mass beyond a score for them to say what its p-value is."""
KIND = "kind.json"
CLASSIFIERS = "classifiers"
LEVELS = "levels"
MASSES = "masses.npy"


def skip(facts: Facts) -> str | None:
    """It needs a signal region."""
    if reason := detector_facts.skip(facts):
        return reason
    return None if facts.sizes.get("region", 0) else "needs a 'signal_region'"


def memory_mb(facts: Facts) -> int:
    """The interpreter with LightGBM and Keras, and the columns."""
    return detector_facts.memory_mb(facts, 1100)


def cost(facts: Facts) -> float:
    return 10 + 6e-5 * facts.rows.get("train", 0) * detector_facts.width(facts)


def space(facts: Facts) -> dict[str, Range]:
    epochs = training_length.epochs(facts, UPDATES, BATCH, 100)
    trees, network = {"classifier": ("boosted_trees",)}, {"classifier": ("mlp",)}
    return {
        "classifier": Range(choices=("boosted_trees", "mlp"), text="what tells region and sidebands apart"),
        "sideband": Range(low=0.5, high=10.0, log=True, text="width of each sideband, in widths of the signal region"),
        "runs": Range(low=5, high=40, log=True, integer=True, when=trees, text="sequences of trees for each fold"),
        "leaves": Range(low=4, high=63, log=True, integer=True, when=trees, text="leaves of a tree"),
        "least_in_leaf": Range(low=5, high=100, log=True, integer=True, when=trees, text="fewest events in a leaf"),
        "columns": Range(low=0.2, high=1.0, when=trees, text="share of the columns tried for a tree"),
        "lambda_l2": Range(low=1e-2, high=30.0, log=True, when=trees, text="L2 penalty on leaf values"),
        "members": Range(choices=(2, 4), when=network, text="networks for each fold"),
        "units": Range(choices=(16, 32, 64), when=network, text="units of each hidden layer"),
        "layers": Range(low=1, high=3, integer=True, when=network, text="hidden layers"),
        "dropout": Range(low=0.0, high=0.5, when=network, text="share of units dropped while training"),
        "weight_decay": Range(low=1e-4, high=1.0, log=True, when=network, text="decoupled weight decay"),
        "batch_size": Range(choices=(128, BATCH, 1024), when=network, text="events per step"),
        "epochs": Range(low=max(2, epochs // 2), high=2 * epochs, integer=True, log=True, when=network,
                        text="passes over the data"),
        "learning_rate": Range(low=1e-3, high=0.2, log=True, text="shrinkage of trees, or of AdamW at its peak"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    trees: Params = {"classifier": "boosted_trees", "sideband": 3.0, "runs": 12, "leaves": 8, "least_in_leaf": 20,
                     "columns": 0.5, "lambda_l2": 10.0, "learning_rate": 0.05}
    network: Params = {"classifier": "mlp", "sideband": 3.0, "members": 4, "units": 32, "layers": 2, "dropout": 0.2,
                       "weight_decay": 0.1, "batch_size": BATCH,
                       "epochs": training_length.epochs(facts, UPDATES, BATCH, 100), "learning_rate": 2e-3}
    return trees, network


@dataclass(frozen=True)
class Levels:
    """Raw scores as -log10 of p-values against sideband events: by the map of each fold, ``tails``, and then, so that
    as many of the background pass at each mass, by maps ``at`` masses (m,), which are weighed by how near these are.
    None of these where events have no mass, or are few."""

    tails: tuple[Tail, ...]
    masses: Array
    at: tuple[Tail, ...]

    @classmethod
    def of(cls, odds: Array, fold: Array, weight: Array, mass: Array | None, split: float) -> Levels:
        """Of sideband events (n,) that the classifiers of their fold have not seen; those of a mass below ``split``
        are of the lower sideband."""
        import numpy as np

        from automl_phys import detecting

        tails = tuple(detecting.Tail.of(odds[fold == one], weight[fold == one]) for one in range(FOLDS))
        plain = cls(tails, np.zeros(0), ())
        if mass is None:
            return plain
        level, order, masses, at = plain(odds, fold, None), np.argsort(mass, kind="stable"), [], []
        for side in np.split(order, [int((mass < split).sum())]):
            for some in np.array_split(side, min(MOST_MASSES, len(side) // PER_MASS)) if len(side) >= PER_MASS else ():
                masses.append(float(np.median(mass[some])))
                at.append(detecting.Tail.of(level[some], weight[some]).cut(FEWEST_BEYOND / len(some)))
        return cls(tails, np.array(masses), tuple(at))

    def __call__(self, odds: Array, fold: Array, mass: Array | None) -> Array:
        """Scores float32 (n,); without a mass those of the fold alone."""
        import numpy as np

        level = np.zeros(len(odds), np.float32)
        for one, tail in enumerate(self.tails):
            level[fold == one] = tail(odds[fold == one])
        if mass is None or not self.at:
            return level
        place = np.interp(mass, self.masses, np.arange(len(self.masses)))
        made = np.zeros(len(odds))
        for i, tail in enumerate(self.at):
            share = np.maximum(0, 1 - np.abs(place - i))
            near = share > 0
            made[near] += share[near] * tail(level[near])
        return made.astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write it into ``folder``, which is made."""
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / MASSES, self.masses, allow_pickle=False)
        for name, tails in (("fold", self.tails), ("mass", self.at)):
            for i, tail in enumerate(tails):
                tail.save(folder / f"{name}-{i}")


def _levels(folder: Path) -> Levels:
    import numpy as np

    from automl_phys import arrays, detecting

    masses = np.load(folder / MASSES, allow_pickle=False)
    tails, at = (tuple(arrays.load(detecting.Tail, folder / f"{name}-{i}") for i in range(count))
                 for name, count in (("fold", FOLDS), ("mass", len(masses))))
    return Levels(tails, masses, at)


@dataclass(frozen=True)
class CrossFitted:
    """A fitted detector. Satisfies ``contracts.Fitted``."""

    frame: Frame
    classifiers: Classifiers
    levels: Levels
    kind: str
    steps: int = 1
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, rows: Rows) -> Array:
        """Scores float32 (n,), -log10 of p-values against events of the sidebands; each event by its own fold, and at
        its own mass where the rows know it."""
        import numpy as np

        from automl_phys import detecting, event_folds

        made = [np.zeros(0, np.float32)]
        for block in rows.blocks(detecting.BLOCK):
            fold = event_folds.of(block, FOLDS)
            odds = self.classifiers.log_odds(self.frame(block), fold)
            made.append(self.levels(odds, fold, getattr(block, "mass", None)))
        return np.concatenate(made)

    def save(self, folder: Path) -> None:
        self.frame.save(folder)
        self.classifiers.save(folder / CLASSIFIERS)
        self.levels.save(folder / LEVELS)
        (folder / KIND).write_text(json.dumps({"kind": self.kind}), encoding="utf-8")


def load(folder: Path) -> Fitted:
    """Open saved classifiers."""
    from automl_phys import detecting, region_classifiers

    kind, inner = json.loads((folder / KIND).read_text(encoding="utf-8"))["kind"], folder / CLASSIFIERS
    classifiers: Classifiers = (region_classifiers.load_networks(inner, FOLDS) if kind == "mlp"
                                else region_classifiers.load_trees(inner))
    return CrossFitted(detecting.load_frame(folder), classifiers, _levels(folder / LEVELS), kind)


def fit(problem: AnomalyProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Train without each fold in turn. Raises ValueError where no row says whether it is in the signal region."""
    import numpy as np

    from automl_phys import anomaly_problem, detecting, event_folds, region_classifiers, sidebands

    values: dict[str, Any] = dict(params)
    if problem.train.region is None or not problem.train.region.any():
        raise ValueError("no training row is in a signal region")
    # where no event is scored by what has seen it, held-out events can be learned from as well
    rows = anomaly_problem.joined(problem.train, problem.held_out)
    frame = detecting.Frame.of(problem.train, "normal", 0)
    columns = frame.whole(rows)
    region, fold = np.asarray(rows.region), event_folds.of(rows, FOLDS)
    sample = region_classifiers.Sample(columns, region, sidebands.weights(rows, values["sideband"]), fold, FOLDS)
    trained: Classifiers = (region_classifiers.networks(sample, values, job.seed) if values["classifier"] == "mlp"
                            else region_classifiers.trees(sample, values, job.seed))
    aside = ~region
    levels = Levels.of(trained.log_odds(columns[aside], fold[aside]), fold[aside], rows.fit_weight[aside],
                       None if rows.mass is None else rows.mass[aside],
                       0.0 if rows.mass is None else float(rows.mass[region].mean()))
    fitted = CrossFitted(frame, trained, levels, str(values["classifier"]))
    watch(1, fitted.predict(problem.valid))
    return fitted
