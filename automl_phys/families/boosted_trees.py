"""Family ``boosted_trees``: gradient-boosted decision trees (LightGBM), stopped early on the validation loss.

Trees cut one column at a time, so ratios of columns, which physics is full of (τ2/τ1, m/pT), are offered to them as
columns of their own. The saved model is LightGBM's own text. With ``deterministic`` set, the trees do not depend on the
number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Facts, Fitted, Range, only_kind
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.table import Rows, TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"classify"})
NEEDS = ("lightgbm",)
TEXT = "boosted decision trees: strong on tables, little tuning"

MAX_TREES = 4000
PATIENCE = 40
WATCH_EVERY = 10
MORE_TREES = 1.1
"""Trees of a refit over those of the trial: more events bear a few more before they are overfitted."""
MAX_COLUMNS_FOR_RATIOS = 24


def skip(facts: Facts) -> str | None:
    return only_kind(facts, "table")


def memory_mb(facts: Facts) -> int:
    """The interpreter with LightGBM, the rows with their ratios while they are binned, the bins and the gradients."""
    rows = facts.rows.get("train", 0)
    numbers = facts.sizes["numbers"]
    ratios = numbers * (numbers - 1) // 2 if _offers_ratios(facts) else 0
    columns = numbers + facts.sizes.get("categories", 0) + ratios
    return 450 + round(rows * (columns * 9 + facts.sizes["outputs"] * 16) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    """The parameters that matter, by LightGBM's own names and tuning guide."""
    ratios = {"ratios": Range(choices=(False, True), text="logarithms of ratios of non-negative columns added")}
    return {
        "learning_rate": Range(low=0.02, high=0.2, log=True, text="shrinkage of each tree"),
        "num_leaves": Range(low=7, high=127, log=True, integer=True, text="leaves of a tree"),
        "min_child_samples": Range(low=5, high=200, log=True, integer=True, text="fewest events in a leaf"),
        "feature_fraction": Range(low=0.05, high=1.0, text="share of the columns tried for a tree"),
        "bagging_fraction": Range(low=0.4, high=1.0, text="share of the events seen by a tree"),
        "lambda_l2": Range(low=1e-2, high=30.0, log=True, text="L2 penalty on leaf values"),
        "extra_trees": Range(choices=(False, True), text="thresholds drawn at random"),
        **(ratios if _offers_ratios(facts) else {}),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    """With ratios, plain, and both again with random thresholds for diversity; milder for few events."""
    few = facts.rows.get("train", 0) < 5000
    plain: Params = {
        "learning_rate": 0.05, "num_leaves": 15 if few else 31, "min_child_samples": 10 if few else 80,
        "feature_fraction": 0.4, "bagging_fraction": 0.7, "lambda_l2": 1.0 if few else 10.0, "extra_trees": False}
    random = {**plain, "extra_trees": True, "num_leaves": 31 if few else 63, "min_child_samples": 20,
              "feature_fraction": 1.0, "bagging_fraction": 1.0, "lambda_l2": 5.0, "learning_rate": 0.1}
    if not _offers_ratios(facts):
        return plain, random
    with_ratios = {**plain, "ratios": True, "num_leaves": 15, "feature_fraction": 0.1}
    random_ratios = {**random, "ratios": True, "feature_fraction": 0.5, "learning_rate": 0.05}
    return with_ratios, {**plain, "ratios": False}, random_ratios, {**random, "ratios": False}


def _offers_ratios(facts: Facts) -> bool:
    return 2 <= facts.sizes["numbers"] <= MAX_COLUMNS_FOR_RATIOS


@dataclass(frozen=True)
class Ratios:
    """log((a + offset_a) / (b + offset_b)) for each pair of columns; the offsets keep the ratio finite at zero."""

    pairs: list[list[int]] = field(default_factory=list)
    offsets: list[float] = field(default_factory=list)

    def matrix(self, rows: Rows) -> Array:
        """Numbers, category codes and ratios side by side: float32 (n, d + c + pairs)."""
        import numpy as np

        blocks: list[Any] = [rows.numbers, rows.categories.astype(np.float32)]
        if self.pairs:
            logs = np.log(np.maximum(rows.numbers, 0) + np.asarray(self.offsets, dtype=np.float32))
            above, below = np.asarray(self.pairs).T
            blocks.append(logs[:, above] - logs[:, below])
        return np.hstack(blocks)


def _ratios(train: Rows) -> Ratios:
    """All pairs of columns that are never negative in the training rows; offsets of a hundredth of their medians."""
    import numpy as np

    columns = np.flatnonzero(train.numbers.min(axis=0) >= 0)
    middle = np.abs(np.median(train.numbers, axis=0))
    offsets = 0.01 * np.where(middle > 0, middle, 1.0)
    pairs = [[int(a), int(b)] for i, a in enumerate(columns) for b in columns[i + 1:]]
    return Ratios(pairs, [float(offset) for offset in offsets])


@dataclass(frozen=True)
class BoostedTrees:
    """A LightGBM booster kept at its best iteration."""

    booster: Any
    outputs: int
    ratios: Ratios
    steps: int
    history: tuple[Mapping[str, float], ...] = ()
    threads: int = 0
    """Threads of a prediction, which do not change it; 0 for what the process may use."""

    def predict(self, rows: Rows) -> Array:
        """Class probabilities (n, classes), float32."""
        raw = self.booster.predict(self.ratios.matrix(rows), num_iteration=self.steps, num_threads=self.threads)
        return _probabilities(raw, self.outputs)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.booster.save_model(folder / "boosted_trees.txt", num_iteration=self.steps)
        (folder / "columns.json").write_text(json.dumps({
            "outputs": self.outputs, "pairs": self.ratios.pairs, "offsets": self.ratios.offsets}), encoding="utf-8")


def load(folder: Path) -> Fitted:
    import lightgbm

    columns = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    booster = lightgbm.Booster(model_file=folder / "boosted_trees.txt")
    return BoostedTrees(booster, columns["outputs"], Ratios(columns["pairs"], columns["offsets"]),
                        booster.current_iteration())


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Add trees until the weighted validation log loss has not improved for ``PATIENCE`` of them."""
    import lightgbm

    outputs = len(problem.schema.classes)
    ratios = _ratios(problem.train) if params.get("ratios") else Ratios()
    n_numbers = problem.train.numbers.shape[1]
    categorical = list(range(n_numbers, n_numbers + len(problem.schema.levels)))
    train = _dataset(problem.train, ratios, categorical)
    valid = _dataset(problem.valid, ratios, categorical, train)
    settings = {
        **{name: value for name, value in params.items() if name != "ratios"},
        "objective": "binary" if outputs == 2 else "multiclass", "num_class": 1 if outputs == 2 else outputs,
        "metric": "binary_logloss" if outputs == 2 else "multi_logloss", "bagging_freq": 1, "verbosity": -1,
        "seed": job.seed % 2**31, "deterministic": True, "force_col_wise": True, "num_threads": job.threads,
    }

    step = 0

    def follow(predictions: Array, dataset: Any) -> list[tuple[str, float, bool]]:
        nonlocal step
        if dataset is valid:
            step += 1
            if step % WATCH_EVERY == 0:
                watch(step, _probabilities(predictions, outputs))
        return []

    curves: dict[str, dict[str, list[float]]] = {}
    recording = lightgbm.record_evaluation(curves)
    stopping = [] if job.steps else [lightgbm.early_stopping(PATIENCE, verbose=False)]
    booster = lightgbm.train(
        settings, train, round(MORE_TREES * job.steps) or MAX_TREES, valid_sets=[train, valid],
        valid_names=["train", "valid"], feval=follow, callbacks=[recording, *stopping])
    kept = booster.current_iteration() if job.steps else booster.best_iteration
    fitted = BoostedTrees(booster, outputs, ratios, kept, _history(curves), job.threads)
    watch(step + 1, fitted.predict(problem.valid))
    return fitted


def _dataset(rows: Rows, ratios: Ratios, categorical: list[int], reference: Any = None) -> Any:
    import lightgbm

    return lightgbm.Dataset(ratios.matrix(rows), rows.target, weight=rows.weight, reference=reference,
                            categorical_feature=categorical, params={"verbosity": -1})


def _probabilities(raw: Array, outputs: int) -> Array:
    import numpy as np

    raw = np.asarray(raw, dtype=np.float32)
    return np.stack([1 - raw, raw], axis=1) if outputs == 2 else raw


def _history(curves: dict[str, dict[str, list[float]]]) -> tuple[dict[str, float], ...]:
    """Every tenth tree of LightGBM's record."""
    train, valid = (next(iter(curves[name].values())) for name in ("train", "valid"))
    return tuple({"step": i + 1.0, "train_loss": train[i], "valid_loss": valid[i]}
                 for i in range(WATCH_EVERY - 1, len(valid), WATCH_EVERY))
