"""Family ``linear``: logistic and softmax regression with L1, L2 or elastic-net penalties (scikit-learn).

Numbers are standardised with weighted train statistics, categories one-hot encoded. The saved model is its
coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Facts, Fitted, Range, only_kind
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.table import Rows, TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"classify"})
NEEDS = ("sklearn",)
TEXT = "logistic or softmax regression: quick, readable, hard to overfit"

MAX_ITERATIONS = 2000
TOLERANCE = 1e-4


def skip(facts: Facts) -> str | None:
    """Linear models take any table."""
    return only_kind(facts, "table")


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the standardised copy in double precision and the solver's workspace."""
    cells = facts.rows.get("train", 0) * (facts.sizes["numbers"] + facts.sizes.get("levels", 0) + 1)
    return 400 + round(cells * 8 * 3 / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    """Penalty and inverse strength C, as scikit-learn defines it (loss summed over events, mean weight 1)."""
    return {
        "penalty": Range(choices=("none", "l2", "l1", "elasticnet"), text="kind of regularisation"),
        "C": Range(low=1e-4, high=1e3, log=True, when={"penalty": ("l2", "l1", "elasticnet")},
                   text="inverse strength of the penalty"),
        "l1_ratio": Range(low=0.05, high=0.95, when={"penalty": ("elasticnet",)}, text="share of L1 in elastic net"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    return {"penalty": "l2", "C": 1.0}, {"penalty": "l1", "C": 0.1}


@dataclass(frozen=True)
class Linear:
    """Softmax of an affine map. ``coefficients`` is (columns, classes), ``intercept`` (classes,); float64."""

    coefficients: Array
    intercept: Array
    centre: Array
    scale: Array
    level_counts: Array
    steps: int = 1
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, rows: Rows) -> Array:
        """Class probabilities (n, classes), float32."""
        import numpy as np
        from scipy.special import softmax

        logits = _columns(rows, self.centre, self.scale, self.level_counts) @ self.coefficients + self.intercept
        return np.asarray(softmax(logits, axis=1), dtype=np.float32)

    def save(self, folder: Path) -> None:
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "linear.npz", coefficients=self.coefficients, intercept=self.intercept, centre=self.centre,
                 scale=self.scale, level_counts=self.level_counts, steps=np.array(self.steps))


def load(folder: Path) -> Fitted:
    import numpy as np

    with np.load(folder / "linear.npz", allow_pickle=False) as saved:
        return Linear(saved["coefficients"], saved["intercept"], saved["centre"], saved["scale"],
                      saved["level_counts"], int(saved["steps"]))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the weighted log loss plus the penalty."""
    import numpy as np

    train = problem.train
    centre = np.average(train.numbers, axis=0, weights=train.weight).astype(np.float64)
    variance = np.average((train.numbers - centre) ** 2, axis=0, weights=train.weight)
    scale = np.where(variance > 0, np.sqrt(variance), 1.0)
    level_counts = np.array([len(levels) for levels in problem.schema.levels.values()], dtype=np.int64)
    estimator = _estimator(params, job.seed)
    estimator.fit(_columns(train, centre, scale, level_counts), train.target, sample_weight=train.weight)
    coefficients, intercept = estimator.coef_.T, estimator.intercept_
    if coefficients.shape[1] == 1:  # scikit-learn keeps one logit for two classes: write it as a softmax of two
        coefficients, intercept = np.hstack([-coefficients, coefficients]) / 2, np.hstack([-intercept, intercept]) / 2
    fitted = Linear(coefficients, intercept, centre, scale, level_counts, int(estimator.n_iter_.max()))
    watch(fitted.steps, fitted.predict(problem.valid))
    return fitted


def _estimator(params: Params, seed: int) -> Any:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    penalty = params["penalty"]
    strength = np.inf if penalty == "none" else params["C"]
    l1_ratio = {"none": 0.0, "l2": 0.0, "l1": 1.0}.get(str(penalty), params.get("l1_ratio", 0.5))
    return LogisticRegression(
        C=strength, l1_ratio=l1_ratio, solver="lbfgs" if penalty in ("none", "l2") else "saga",
        max_iter=MAX_ITERATIONS, tol=TOLERANCE, random_state=seed)


def _columns(rows: Rows, centre: Array, scale: Array, level_counts: Array) -> Array:
    """Standardised numbers beside one-hot categories (code 0, a value not seen in training, is all zeros)."""
    import numpy as np

    blocks = [(rows.numbers - centre) / scale]
    for column, count in enumerate(level_counts):
        blocks.append(rows.categories[:, [column]] == np.arange(1, count + 1))
    return np.hstack(blocks)
