"""Family ``linear``: logistic and softmax regression of classes, least squares of amounts; L1, L2 or elastic net.

Columns are standardised with weighted train statistics, categories one-hot encoded. Classes are fitted with
scikit-learn, on at most ``MOST_ROWS`` rows taken evenly: a linear model has learned by then what it can. Amounts are
fitted on all rows, whose sums of products are taken in one pass. The saved model is its coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Fitted
from automl_phys.facts import COLUMNS, Facts, Range, only_kind
from automl_phys.trials import Job, Watch
from automl_phys.values import Params

if TYPE_CHECKING:
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.table import Rows, TableProblem
    from automl_phys.values import Array

SOLVES = frozenset({"classify", "regress", "transfer"})
NEEDS = ("sklearn",)
TEXT = "logistic regression or least squares: quick, readable, hard to overfit"

MAX_ITERATIONS = 2000
TOLERANCE = 1e-4
MOST_ROWS = 1_000_000
BLOCK_ROWS = 1 << 16
LEAST_SIGMA = 1e-4
"""Of the target's standard deviation: an uncertainty is never 0."""


def skip(facts: Facts) -> str | None:
    """Linear models take any table, the pixels of images and the counts of words as columns."""
    return only_kind(facts, *COLUMNS)


def memory_mb(facts: Facts) -> int:
    """The interpreter with scikit-learn, the standardised copy in double precision and the solver's workspace."""
    rows = BLOCK_ROWS if facts.sizes.get("targets", 0) else MOST_ROWS
    columns = facts.sizes["numbers"] + facts.sizes.get("levels", 0) + facts.sizes.get("columns", 0) + 1
    cells = min(rows, facts.rows.get("train", 0)) * columns
    return 400 + round(cells * 8 * 3 / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    """Penalty and its strength as scikit-learn defines them: for classes the inverse strength C (loss summed over
    events, mean weight 1), for amounts alpha (mean of half the squared errors, in standard deviations of the
    target)."""
    if facts.sizes.get("targets", 0):
        strength = {"alpha": Range(low=1e-6, high=1.0, log=True, when={"penalty": ("l2", "l1", "elasticnet")},
                                   text="strength of the penalty")}
    else:
        strength = {"C": Range(low=1e-4, high=1e3, log=True, when={"penalty": ("l2", "l1", "elasticnet")},
                               text="inverse strength of the penalty")}
    return {
        "penalty": Range(choices=("none", "l2", "l1", "elasticnet"), text="kind of regularisation"),
        **strength,
        "l1_ratio": Range(low=0.05, high=0.95, when={"penalty": ("elasticnet",)}, text="share of L1 in elastic net"),
    }


def defaults(facts: Facts) -> tuple[Params, ...]:
    columns = facts.sizes.get("columns", 0)  # of pixels, say, many tell the same, or nothing: a stronger penalty
    if facts.sizes.get("targets", 0):
        ridge, lasso = (0.1, 0.03) if columns else (1e-4, 1e-3)
        return {"penalty": "l2", "alpha": ridge}, {"penalty": "l1", "alpha": lasso}
    return {"penalty": "l2", "C": 1.0 if not columns else max(1e-3, 10 / (10 + columns))}, {"penalty": "l1", "C": 0.1}


@dataclass(frozen=True)
class Linear:
    """An affine map, and its softmax for classes: ``coefficients`` (columns, outputs), ``intercept`` (outputs,),
    float64.

    ``sigma`` (outputs,) are the uncertainties of amounts: the RMS of the training rows' residuals. Empty for classes.
    """

    coefficients: Array
    intercept: Array
    centre: Array
    scale: Array
    level_counts: Array
    sigma: Array
    steps: int = 1
    history: tuple[Mapping[str, float], ...] = ()

    def predict(self, rows: Rows) -> Array:
        """Class probabilities (n, classes), or value and uncertainty (n, t, 2); float32."""
        import numpy as np
        from scipy.special import softmax

        blocks = [_columns(block, self.centre, self.scale, self.level_counts) @ self.coefficients + self.intercept
                  for block in rows.blocks()]
        found = np.concatenate(blocks)
        if not self.sigma.size:
            return np.asarray(softmax(found, axis=1), dtype=np.float32)
        return np.stack([found, np.broadcast_to(self.sigma, found.shape)], axis=2).astype(np.float32)

    def write_onnx(self, rows: OnnxRows) -> str:
        """The nodes of :meth:`predict`, in double precision as it is."""
        import numpy as np

        graph = rows.graph
        wide = graph.cast(rows.columns(), np.float64)
        standard = graph.add("Div", graph.add("Sub", wide, graph.constant(self.centre, np.float64)),
                             graph.constant(self.scale, np.float64))
        blocks = [standard]
        for i, count in enumerate(self.level_counts):
            levels = graph.constant([np.arange(1, count + 1)], np.int32)
            blocks.append(graph.cast(graph.add("Equal", graph.columns(rows.categories, [i]), levels), np.float64))
        found = graph.add("MatMul", graph.concatenate(blocks), graph.constant(self.coefficients, np.float64))
        found = graph.add("Add", found, graph.constant(self.intercept, np.float64))
        if not self.sigma.size:
            return graph.cast(graph.add("Softmax", found, axis=1), np.float32)
        ones = graph.add("Expand", graph.constant([self.sigma], np.float64), graph.add("Shape", found))
        axis = graph.constant([2], np.int64)
        return graph.cast(graph.concatenate([graph.add("Unsqueeze", one, axis) for one in (found, ones)], 2),
                          np.float32)

    def save(self, folder: Path) -> None:
        import numpy as np

        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "linear.npz", coefficients=self.coefficients, intercept=self.intercept, centre=self.centre,
                 scale=self.scale, level_counts=self.level_counts, sigma=self.sigma, steps=np.array(self.steps))


def load(folder: Path) -> Fitted:
    import numpy as np

    with np.load(folder / "linear.npz", allow_pickle=False) as saved:
        return Linear(saved["coefficients"], saved["intercept"], saved["centre"], saved["scale"],
                      saved["level_counts"], saved["sigma"], int(saved["steps"]))


def fit(problem: TableProblem, params: Params, job: Job, watch: Watch) -> Fitted:
    """Minimise the weighted loss plus the penalty."""
    fitted = (_fit_classes if problem.schema.classes else _fit_amounts)(problem, params, job)
    watch(fitted.steps, fitted.predict(problem.valid))
    return fitted


def _fit_classes(problem: TableProblem, params: Params, job: Job) -> Linear:
    import numpy as np

    train = problem.train.take(slice(None, None, -(-len(problem.train) // MOST_ROWS)))
    centre, scale = _standard(train)
    level_counts = np.array([len(levels) for levels in problem.schema.levels.values()], dtype=np.int64)
    estimator = _estimator(params, job.seed)
    estimator.fit(_columns(train, centre, scale, level_counts), train.target, sample_weight=train.fit_weight)
    coefficients, intercept = estimator.coef_.T, estimator.intercept_
    if coefficients.shape[1] == 1:  # scikit-learn keeps one logit for two classes: write it as a softmax of two
        coefficients, intercept = np.hstack([-coefficients, coefficients]) / 2, np.hstack([-intercept, intercept]) / 2
    return Linear(coefficients, intercept, centre, scale, level_counts, np.empty(0), int(estimator.n_iter_.max()))


def _fit_amounts(problem: TableProblem, params: Params, job: Job) -> Linear:
    """From the sums of products of columns and targets, in which least squares and its penalties can be written."""
    import numpy as np

    train = problem.train
    centre, scale = _standard(train)
    level_counts = np.array([len(levels) for levels in problem.schema.levels.values()], dtype=np.int64)
    middle, spread = _moments(train, lambda rows: rows.target)
    spread = np.where(spread > 0, spread, 1.0)
    width, targets = len(centre) + int(level_counts.sum()) + 1, train.target.shape[1]
    products, sums, squares, total = np.zeros((width, width)), np.zeros((width, targets)), np.zeros(targets), 0.0
    for block in train.blocks(BLOCK_ROWS):
        columns = np.hstack([_columns(block, centre, scale, level_counts), np.ones((len(block), 1))])
        weight, amounts = block.fit_weight.astype(np.float64), (block.target - middle) / spread
        products += (columns * weight[:, None]).T @ columns
        sums += (columns * weight[:, None]).T @ amounts
        squares += weight @ amounts**2
        total += weight.sum()
    products, sums, squares = products / total, sums / total, squares / total
    coefficients, steps = _solve(products, sums, params, job.seed)
    explained = 2 * (coefficients * sums).sum(axis=0) - (coefficients * (products @ coefficients)).sum(axis=0)
    error = np.maximum(squares - explained, LEAST_SIGMA**2)
    freedom = max(1.0, len(train) - width) / len(train)
    return Linear(coefficients[:-1] * spread, coefficients[-1] * spread + middle, centre, scale, level_counts,
                  np.sqrt(error / freedom) * spread, steps)


def _solve(products: Array, sums: Array, params: Params, seed: int) -> tuple[Array, int]:
    """Coefficients (columns + 1, t), the intercept last and not penalised, and the iterations that it took.

    Least squares on rows R is least squares on the Cholesky factor of RᵀR, which has as many rows as columns.
    """
    import numpy as np
    from sklearn.linear_model import ElasticNet

    penalty, size = str(params["penalty"]), len(products)
    free = np.eye(size)
    free[-1, -1] = 0
    if penalty in {"none", "l2"}:
        alpha = float(str(params.get("alpha", 0.0))) if penalty == "l2" else 0.0
        return np.linalg.lstsq(products + alpha * free, sums, rcond=1e-10)[0], 1
    # The intercept is the mean of what is left: take it out of the products, where it cannot be penalised.
    mean, level = products[:-1, -1] / products[-1, -1], sums[-1] / products[-1, -1]
    inner = products[:-1, :-1] - products[-1, -1] * np.outer(mean, mean)
    outer = sums[:-1] - products[-1, -1] * np.outer(mean, level)
    values, vectors = np.linalg.eigh(inner)
    kept = values > 1e-10 * values.max()
    factor = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
    rows = len(factor)
    ratio = 1.0 if penalty == "l1" else float(str(params["l1_ratio"]))
    estimator = ElasticNet(alpha=params["alpha"], l1_ratio=ratio, fit_intercept=False, max_iter=10 * MAX_ITERATIONS,
                           tol=TOLERANCE, random_state=seed % 2**32)
    found = []
    for j in range(sums.shape[1]):
        answer = (vectors[:, kept].T @ outer[:, j]) / np.sqrt(values[kept])
        estimator.fit(np.sqrt(rows) * factor, np.sqrt(rows) * answer)
        found.append(np.append(estimator.coef_, level[j] - estimator.coef_ @ mean))
    return np.stack(found, axis=1), int(np.max(estimator.n_iter_))


def _standard(train: Rows) -> tuple[Array, Array]:
    """Weighted mean and standard deviation (d,) of the columns; 1 for a constant one."""
    import numpy as np

    centre, scale = _moments(train, lambda rows: rows.columns)
    return centre, np.where(scale > 0, scale, 1.0)


def _moments(train: Rows, values: Callable[[Rows], Array]) -> tuple[Array, Array]:
    """Weighted mean and standard deviation of each column of ``values`` (n, d), in two passes of blocks."""
    import numpy as np

    weighed = [(rows.fit_weight.astype(np.float64), rows) for rows in train.blocks(BLOCK_ROWS)]
    total = sum(weight.sum() for weight, _ in weighed)
    mean = sum(weight @ values(rows) for weight, rows in weighed) / total
    variance = sum(weight @ (values(rows) - mean) ** 2 for weight, rows in weighed) / total
    return mean, np.sqrt(variance)


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
    """Standardised columns beside one-hot categories (code 0, a value not seen in training, is all zeros)."""
    import numpy as np

    blocks = [(rows.columns - centre) / scale]
    for column, count in enumerate(level_counts):
        blocks.append(rows.categories[:, [column]] == np.arange(1, count + 1))
    return np.hstack(blocks)
