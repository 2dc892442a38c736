"""Classifiers of a signal region against its sidebands, each trained on all folds but one.

Takes columns, whether each event is in the region, weights and folds; gives log odds of events by the classifiers of
their own folds. Boosted trees are LightGBM's, saved as its text; networks are trained side by side as one Keras model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from automl_phys.detecting import Floats
from automl_phys.values import Array

PATIENCE = 15
MOST_TREES = 400
STOPPED_BY = 0.5
"""Share of the events by which each sequence of trees is stopped, and which it does not see."""
FILE = "network.keras"


@dataclass(frozen=True)
class Sample:
    """``columns`` float32 (n, K), ``region`` bool (n,), ``weight`` (n,), 0 for events that are not learned from, and
    ``fold`` (n,), below ``folds``."""

    columns: NDArray[np.float32]
    region: NDArray[np.bool_]
    weight: Floats
    fold: NDArray[np.int64]
    folds: int


class Classifiers(Protocol):
    """What was trained, of all folds."""

    def log_odds(self, columns: NDArray[np.float32], fold: NDArray[np.int64]) -> Floats:
        """Log odds of being in the region (n,) by the classifiers that have not seen an event's fold (n,)."""
        ...

    def save(self, folder: Path) -> None: ...


# ---------------------------------------------------------------- boosted trees

@dataclass(frozen=True)
class Trees:
    """For each fold the boosters that were trained without it."""

    boosters: tuple[tuple[Any, ...], ...]

    def log_odds(self, columns: NDArray[np.float32], fold: NDArray[np.int64]) -> Floats:
        """Means over the boosters."""
        found = np.zeros(len(columns))
        for one, boosters in enumerate(self.boosters):
            own = np.flatnonzero(fold == one)
            for booster in boosters if len(own) else ():
                found[own] += booster.predict(columns[own], raw_score=True, num_threads=1) / len(boosters)
        return found

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for one, boosters in enumerate(self.boosters):
            for run, booster in enumerate(boosters):
                booster.save_model(folder / f"fold-{one}-{run}.txt")


def trees(sample: Sample, values: Mapping[str, Any], seed: int) -> Trees:
    """Train ``runs`` sequences of trees without each fold, each on another half of the other folds' events."""
    return Trees(tuple(tuple(_booster(sample, one, values, seed + run) for run in range(values["runs"]))
                       for one in range(sample.folds)))


def _booster(sample: Sample, without: int, values: Mapping[str, Any], seed: int) -> Any:
    import lightgbm

    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "deterministic": True,
                "force_row_wise": True, "seed": seed % 2**31, "learning_rate": values["learning_rate"],
                "num_leaves": values["leaves"], "min_data_in_leaf": values["least_in_leaf"],
                "feature_fraction": values["columns"], "lambda_l2": values["lambda_l2"]}
    rng = np.random.default_rng([seed, without])
    learnt = rng.permutation(np.flatnonzero((sample.fold != without) & (sample.weight > 0)))
    judged, fitted = np.split(learnt, [round(STOPPED_BY * len(learnt))])
    data = lightgbm.Dataset(sample.columns[fitted], sample.region[fitted], weight=sample.weight[fitted],
                            params=settings)
    stopped_by = lightgbm.Dataset(sample.columns[judged], sample.region[judged], weight=sample.weight[judged],
                                  reference=data)
    made = lightgbm.train(settings, data, MOST_TREES, [stopped_by],
                          callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)])
    # as it is read back: what is kept ends at the best iteration
    return lightgbm.Booster(model_str=made.model_to_string(num_iteration=made.best_iteration))


def load_trees(folder: Path) -> Trees:
    """Open what :meth:`Trees.save` wrote."""
    import lightgbm

    files = sorted(folder.glob("fold-*.txt"), key=lambda file: [int(part) for part in file.stem.split("-")[1:]])
    folds = 1 + max(int(file.stem.split("-")[1]) for file in files)
    return Trees(tuple(tuple(lightgbm.Booster(model_file=file) for file in files
                             if int(file.stem.split("-")[1]) == one) for one in range(folds)))


# ---------------------------------------------------------------- networks

@dataclass(frozen=True)
class Networks:
    """One Keras model with a log odds for each member, (n, members); member i has not seen fold i modulo ``folds``."""

    network: Any
    folds: int

    def log_odds(self, columns: NDArray[np.float32], fold: NDArray[np.int64]) -> Floats:
        """Means over the members."""
        from automl_phys import keras_fit

        said = keras_fit.predict(self.network, (columns,)).astype(np.float64)
        by_fold = said.reshape(len(said), -1, self.folds).mean(axis=1)
        found: Floats = by_fold[np.arange(len(said)), fold]
        return found

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.network.save(folder / FILE)


def networks(sample: Sample, values: Mapping[str, Any], seed: int) -> Networks:
    """Train ``members`` networks without each fold, all at once. Each is judged by one fold more that it does not learn
    from, and kept as it was at the epoch that was best for it, whatever was best for others: some of these have seen
    its own fold."""
    from automl_phys import keras_fit

    keras = keras_fit.load_keras()
    from keras import ops

    keras.utils.set_random_seed(seed % 2**32)
    network = _network(sample.columns.shape[1], sample.folds * values["members"], values)
    member = np.arange(sample.folds * values["members"])
    without = member % sample.folds
    # which fold judges differs among the members of one fold
    judge = (without + 1 + (member // sample.folds) % (sample.folds - 1)) % sample.folds
    fold = sample.fold[:, None]
    learns = ((fold != without) & (fold != judge)).astype(np.float32)
    judges = (fold == judge).astype(np.float32)

    def batch(used: NDArray[np.float32]) -> keras_fit.Batch:
        target = np.stack([np.broadcast_to(sample.region[:, None], used.shape), used], axis=2).astype(np.float32)
        return keras_fit.Batch((sample.columns,), target, np.asarray(sample.weight, np.float32))

    def loss(target: Any, odds: Any) -> Any:
        region, used = target[:, :, 0], target[:, :, 1]
        return ops.mean(used * (ops.softplus(odds) - region * odds), axis=1)

    kept = [np.array(one) for one in network.get_weights()]  # each with an axis of members, the first one
    best, losses = np.full(len(member), np.inf), np.zeros(len(member))

    def follow(_epoch: int, odds: Array) -> None:
        each = np.logaddexp(0, odds) - sample.region[:, None] * odds
        losses[:] = sample.weight @ (judges * each)

    def between(_epoch: int, sync: Callable[[], None]) -> None:
        better = losses < best
        if better.any():
            sync()
            best[better] = losses[better]
            for one, now in zip(kept, network.get_weights(), strict=True):
                one[better] = now[better]

    training = keras_fit.Training(values["epochs"], values["batch_size"], values["learning_rate"],
                                  weight_decay=values["weight_decay"], patience=values["epochs"])
    keras_fit.fit(network, keras_fit.Head(loss, lambda odds: odds, loss), batch(learns), batch(judges), training, seed,
                  follow, between)
    network.set_weights(kept)
    return Networks(network, sample.folds)


def _network(columns: int, members: int, values: Mapping[str, Any]) -> Any:
    import keras

    from automl_phys import layers

    inputs = keras.Input((columns,), name="columns")
    hidden = keras.layers.RepeatVector(members)(inputs)
    for _ in range(values["layers"]):
        hidden = keras.layers.Activation("silu")(layers.MemberDense(values["units"])(hidden))
        if values["dropout"] > 0:
            hidden = keras.layers.Dropout(values["dropout"])(hidden)
    return keras.Model(inputs, keras.layers.Reshape((members,))(layers.MemberDense(1)(hidden)))


def load_networks(folder: Path, folds: int) -> Networks:
    """Open what :meth:`Networks.save` wrote."""
    from automl_phys import saved_networks

    return Networks(saved_networks.load(folder / FILE), folds)
