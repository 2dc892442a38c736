"""Family ``boosted_trees``: gradient-boosted decision trees (LightGBM), stopped early on the validation loss.

Trees cut one column at a time, so ratios of columns, which physics is full of (τ2/τ1, m/pT), are offered to them as
columns of their own. Classes are one sequence of trees; each amount is one, or three where its quantiles at -σ, 0 and
+σ are predicted. Series are forecast from what came before (:mod:`automl_phys.lagged_trees`). The saved model is
LightGBM's own text. With ``deterministic`` set, the trees do not depend on the
number of threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from automl_phys import binned, lagged_space
from automl_phys.contracts import Fitted
from automl_phys.facts import COLUMNS, Facts, Range, only_kind
from automl_phys.rundir import RunDir
from automl_phys.trials import Job, Watch
from automl_phys.values import Params, to_json

if TYPE_CHECKING:
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.table import Rows, TableProblem
    from automl_phys.table_problem import Schema
    from automl_phys.values import Array

SOLVES = frozenset({"classify", "regress", "transfer", "forecast"})
NEEDS = ("lightgbm",)
TEXT = "boosted decision trees: strong on tables, little tuning"

MAX_TREES = 4000
PATIENCE = 40
WATCH_EVERY = 10
MORE_TREES = 1.1
"""Trees of a refit over those of the trial: more events bear a few more before they are overfitted."""
MAX_COLUMNS_FOR_RATIOS = 24
MOST_FOR_MEDIANS = 1_000_000

OBJECTIVES = {"squared": "regression", "absolute": "regression_l1", "huber": "huber", "quantile": "quantile"}
"""LightGBM's names of the losses of amounts."""
LEVELS = (0.158655, 0.5, 0.841345)
"""Quantiles of a Gaussian at -σ, 0 and +σ."""
HUBER = 1.35
"""Where the loss turns from squared to absolute, in standard deviations of the target (Huber 1964)."""
LEAST_SIGMA = 1e-4
"""Of the target's standard deviation: an uncertainty is never 0."""
CROSSING = 0.1
"""Of the median uncertainty: as little as quantiles may tell, which where they cross come too close."""


def skip(facts: Facts) -> str | None:
    return lagged_space.skip(facts) if facts.kind == "series" else only_kind(facts, *COLUMNS)


def _of_series() -> Any:
    """What takes over where the problem is series; it imports numpy, so it is not imported before."""
    from automl_phys import lagged_trees

    return lagged_trees


def cost(facts: Facts) -> float:
    """Seconds of a trial on one core, roughly; of tables it is as that of any family."""
    return lagged_space.cost(facts) if facts.kind == "series" else 1.0


def memory_mb(facts: Facts) -> int:
    """The interpreter with LightGBM, the rows with their ratios while they are binned (all, or a block of them), the
    bins, a byte for each number, and for each output of a row gradients, scores and labels."""
    if facts.kind == "series":
        return lagged_space.memory_mb(facts)
    rows, judged = facts.rows.get("train", 0), facts.rows.get("valid", 0)
    numbers = facts.sizes["numbers"]
    ratios = numbers * (numbers - 1) // 2 if _offers_ratios(facts) else 0
    columns = numbers + facts.sizes.get("categories", 0) + facts.sizes.get("columns", 0) + ratios
    outputs = 1 if facts.sizes.get("targets", 0) else facts.sizes["outputs"]
    floats = min(rows * columns, binned.SMALL_CELLS) * 8
    return 450 + round((floats + (rows + judged) * (columns + 16 + outputs * 40)) / 1e6)


def space(facts: Facts) -> dict[str, Range]:
    """The parameters that matter, by LightGBM's own names and tuning guide."""
    if facts.kind == "series":
        return lagged_space.space(facts)
    ratios = {"ratios": Range(choices=(False, True), text="logarithms of ratios of non-negative columns added")}
    loss = {"loss": Range(choices=tuple(OBJECTIVES), text="what is minimised")}
    return {
        **(loss if facts.sizes.get("targets", 0) else {}),
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
    if facts.kind == "series":
        return lagged_space.defaults(facts)
    few = facts.rows.get("train", 0) < 5000
    plain: Params = {
        "learning_rate": 0.05, "num_leaves": 15 if few else 31, "min_child_samples": 10 if few else 80,
        "feature_fraction": 0.4, "bagging_fraction": 0.7, "lambda_l2": 1.0 if few else 10.0, "extra_trees": False}
    random = {**plain, "extra_trees": True, "num_leaves": 31 if few else 63, "min_child_samples": 20,
              "feature_fraction": 1.0, "bagging_fraction": 1.0, "lambda_l2": 5.0, "learning_rate": 0.1}
    if facts.sizes.get("targets", 0):
        plain, random = ({"loss": "squared", **one} for one in (plain, random))
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
        """Columns, category codes and ratios side by side: float32 (n, d + c + pairs).

        Logarithms are rounded from double precision: numpy's own in single precision are not the same on every
        machine, and trees cut between two that differ in the last digit.
        """
        import numpy as np

        blocks: list[Any] = [rows.columns, rows.categories.astype(np.float32)]
        if self.pairs:
            shifted = np.maximum(rows.numbers, 0) + np.asarray(self.offsets, dtype=np.float32)
            logs = np.log(shifted, dtype=np.float64).astype(np.float32)
            above, below = np.asarray(self.pairs).T
            blocks.append(logs[:, above] - logs[:, below])
        return np.hstack(blocks)

    def write_onnx(self, rows: OnnxRows) -> tuple[str, int]:
        """The nodes of :meth:`matrix`, and how many of its columns come before the categories."""
        import numpy as np

        from automl_phys import pixels

        graph, schema = rows.graph, rows.schema
        image = schema.image
        count = len(schema.numbers) + (pixels.count((image.height, image.width, image.channels)) if image else 0)
        blocks = [rows.columns()]
        if rows.categories:
            blocks.append(graph.cast(rows.categories, np.float32))
        if self.pairs:
            shifted = graph.add("Add", graph.add("Max", rows.numbers, graph.constant(0.0, np.float32)),
                                graph.constant([self.offsets], np.float32))
            logs = graph.cast(graph.add("Log", graph.cast(shifted, np.float64)), np.float32)
            above, below = (graph.columns(logs, side) for side in zip(*self.pairs, strict=True))
            blocks.append(graph.add("Sub", above, below))
        return graph.concatenate(blocks), count


def _ratios(train: Rows) -> Ratios:
    """All pairs of columns that are never negative in the training rows; offsets of a hundredth of their medians."""
    import numpy as np

    columns = np.flatnonzero(np.min([block.numbers.min(axis=0) for block in train.blocks()], axis=0) >= 0)
    middle = np.abs(np.median(train.numbers[::max(1, len(train) // MOST_FOR_MEDIANS)], axis=0))
    offsets = 0.01 * np.where(middle > 0, middle, 1.0)
    pairs = [[int(a), int(b)] for i, a in enumerate(columns) for b in columns[i + 1:]]
    return Ratios(pairs, [float(offset) for offset in offsets])


@dataclass(frozen=True)
class Scale:
    """What amounts (t,) were divided by after ``centre`` was taken off, and the uncertainty ``sigma`` (t,) of models
    that state none, or the least that quantiles may tell, whose half distances are multiplied by ``stretch`` (t,); all
    in the targets' units. ``loss`` is what was minimised; empty for classes."""

    loss: str = ""
    centre: tuple[float, ...] = ()
    width: tuple[float, ...] = ()
    sigma: tuple[float, ...] = ()
    stretch: tuple[float, ...] = ()

    def write_onnx(self, rows: OnnxRows, raw: Sequence[str]) -> str:
        """The nodes of :meth:`amounts`; ``raw`` are (n, 1)."""
        import numpy as np

        graph, each = rows.graph, len(raw) // len(self.centre)
        pairs = []
        for j, (centre, width) in enumerate(zip(self.centre, self.width, strict=True)):
            own = [graph.cast(one, np.float64) for one in raw[j * each:(j + 1) * each]]
            unit, zero, least = (graph.constant([[x]], np.float64) for x in (width, centre, self.sigma[j]))
            value = graph.add("Add", graph.add("Mul", own[each // 2], unit), zero)
            if each == 1:
                sigma = graph.add("Expand", least, graph.add("Shape", value))
            else:
                half = graph.constant([[self.stretch[j] * width / 2]], np.float64)
                apart = graph.add("Abs", graph.add("Sub", own[2], own[0]))
                sigma = graph.add("Max", graph.add("Mul", apart, half), least)
            pairs.append(graph.reshape(graph.concatenate([value, sigma]), [-1, 1, 2]))
        return graph.cast(graph.concatenate(pairs), np.float32)

    def amounts(self, raw: Sequence[Array]) -> Array:
        """Value and uncertainty, float32 (n, t, 2), of the boosters' outputs (n,), one or three for each target."""
        import numpy as np

        out = np.empty((len(raw[0]), len(self.centre), 2), dtype=np.float32)
        each = len(raw) // len(self.centre)
        for j, (centre, width) in enumerate(zip(self.centre, self.width, strict=True)):
            own = raw[j * each:(j + 1) * each]
            out[:, j, 0] = centre + width * own[each // 2]
            if each == 1:
                out[:, j, 1] = self.sigma[j]
            else:  # quantiles, each fitted alone, may cross: then their order is not believed, their distance is
                out[:, j, 1] = np.maximum(self.stretch[j] * width * abs(own[2] - own[0]) / 2, self.sigma[j])
        return out


@dataclass(frozen=True)
class BoostedTrees:
    """LightGBM boosters, each kept at its best iteration: one for classes, one or three for each amount."""

    boosters: tuple[Any, ...]
    kept: tuple[int, ...]
    outputs: int
    ratios: Ratios
    scale: Scale
    history: tuple[Mapping[str, float], ...] = ()
    threads: int = 0
    """Threads of a prediction, which do not change it; 0 for what the process may use."""

    @property
    def steps(self) -> int:
        """Trees of a booster, on average."""
        return max(1, round(sum(self.kept) / len(self.kept)))

    def predict(self, rows: Rows) -> Array:
        """Class probabilities (n, classes), or value and uncertainty (n, t, 2); float32."""
        import numpy as np

        return np.concatenate([self._block(block) for block in rows.blocks()])

    def _block(self, rows: Rows) -> Array:
        matrix = self.matrix(rows)
        return self.finished([booster.predict(matrix, num_iteration=kept, num_threads=self.threads)
                              for booster, kept in zip(self.boosters, self.kept, strict=True)])

    def matrix(self, rows: Rows) -> Array:
        """What the boosters take of rows, float32 (n, columns)."""
        return self.ratios.matrix(rows)

    def finished(self, raw: Sequence[Array]) -> Array:
        """Probabilities or amounts, of what the boosters say."""
        return self.scale.amounts(raw) if self.scale.loss else _probabilities(raw[0], self.outputs)

    def described(self, schema: Schema) -> Mapping[str, Any]:
        """The columns of the matrix, and how answers become predictions, as plain data."""
        names = list(schema.numbers)
        pixels = self.boosters[0].num_feature() - len(names) - len(schema.levels) - len(self.ratios.pairs)
        ratios = [f"log((max({names[a]}, 0) + {self.ratios.offsets[a]:.9g}) / "
                  f"(max({names[b]}, 0) + {self.ratios.offsets[b]:.9g}))" for a, b in self.ratios.pairs]
        answers = "in standard deviations: value = centre + width * answer; of three answers the second is the value " \
            "and stretch * width * |third - first| / 2 the uncertainty, sigma at least; else sigma is the uncertainty"
        return {"columns": [*names, *(f"pixel_{i}" for i in range(pixels)), *schema.levels, *ratios],
                "answers": answers if self.scale.loss else "the probability of the last of two classes, or of each",
                "scale": to_json(self.scale)}

    def write_onnx(self, rows: OnnxRows) -> str:
        """The nodes of :meth:`predict`."""
        import numpy as np

        from automl_phys import onnx_trees

        graph = rows.graph
        matrix, count = self.ratios.write_onnx(rows)
        width = count + len(rows.schema.levels) + len(self.ratios.pairs)
        raw = [onnx_trees.booster(rows, matrix, width, booster, kept, count)
               for booster, kept in zip(self.boosters, self.kept, strict=True)]
        if self.scale.loss:
            return self.scale.write_onnx(rows, raw)
        if self.outputs > 2:
            return graph.add("Softmax", raw[0], axis=1)
        signal = graph.add("Sigmoid", raw[0])
        return graph.concatenate([graph.add("Sub", graph.constant([[1.0]], np.float32), signal), signal])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for i, (booster, kept) in enumerate(zip(self.boosters, self.kept, strict=True)):
            booster.save_model(folder / f"boosted_trees-{i}.txt", num_iteration=kept)
        (folder / "columns.json").write_text(json.dumps({
            "outputs": self.outputs, "pairs": self.ratios.pairs, "offsets": self.ratios.offsets,
            "boosters": len(self.boosters), "scale": to_json(self.scale)}), encoding="utf-8")


def load(folder: Path) -> Fitted:
    import lightgbm

    if _of_series().is_saved(folder):
        return cast(Fitted, _of_series().load(folder))
    saved = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    boosters = tuple(lightgbm.Booster(model_file=folder / f"boosted_trees-{i}.txt") for i in range(saved["boosters"]))
    amounts = (tuple(saved["scale"][key]) for key in ("centre", "width", "sigma", "stretch"))
    scale = Scale(saved["scale"]["loss"], *amounts)
    return BoostedTrees(boosters, tuple(booster.current_iteration() for booster in boosters), saved["outputs"],
                        Ratios(saved["pairs"], saved["offsets"]), scale)


def fit(problem: Any, params: Params, job: Job, watch: Watch) -> Fitted:
    """Add trees until the weighted validation loss has not improved for ``PATIENCE`` of them."""
    from automl_phys.series_problem import Windows

    if isinstance(problem.train, Windows):
        return cast(Fitted, _of_series().fit(problem, params, job, watch))
    ratios = _ratios(problem.train) if params.get("ratios") else Ratios()
    if problem.schema.classes:
        return _fit_classes(problem, params, job, watch, ratios)
    return _fit_amounts(problem, params, job, watch, ratios)


def _fit_classes(problem: TableProblem, params: Params, job: Job, watch: Watch, ratios: Ratios) -> Fitted:
    outputs = len(problem.schema.classes)
    train, valid = _datasets(problem, ratios, job)
    settings = {**_settings(params, job), "objective": "binary" if outputs == 2 else "multiclass",
                "num_class": 1 if outputs == 2 else outputs}
    booster, kept, steps, history = _boost(settings, train, valid, problem.train.target, problem.valid.target, job,
                                           lambda step, raw: watch(step, _probabilities(raw, outputs)))
    fitted = BoostedTrees((booster,), (kept,), outputs, ratios, Scale(), history, job.threads)
    watch(steps + 1, fitted.predict(problem.valid))
    return fitted


def _fit_amounts(problem: TableProblem, params: Params, job: Job, watch: Watch, ratios: Ratios) -> Fitted:
    """One target after the other, standardised. The trial is followed while it has one sequence of trees only."""
    import numpy as np

    train, valid = _datasets(problem, ratios, job)
    target, loss = problem.train.target.astype(np.float64), str(params["loss"])
    centre = np.average(target, axis=0, weights=problem.train.fit_weight)
    width = np.sqrt(np.average((target - centre) ** 2, axis=0, weights=problem.train.fit_weight))
    width = np.where(width > 0, width, 1.0)
    least = LEAST_SIGMA * width
    scale = Scale(loss, tuple(centre.tolist()), tuple(width.tolist()), tuple(least.tolist()),
                  (1.0,) * len(centre))
    levels = LEVELS if loss == "quantile" else (None,)
    alone = len(centre) == len(levels) == 1
    boosters: list[Any] = []
    kept: list[int] = []
    most = 0
    history: tuple[Mapping[str, float], ...] = ()
    for j in range(len(centre)):
        labels = [((rows.target[:, j] - centre[j]) / width[j]).astype(np.float32)
                  for rows in (problem.train, problem.valid)]
        for level in levels:
            settings = {**_settings(params, job), "objective": OBJECTIVES[loss], "alpha": level or HUBER}
            booster, best, steps, history = _boost(
                settings, train, valid, labels[0], labels[1], job,
                lambda step, raw: watch(step, scale.amounts([raw])) if alone else None)
            boosters.append(booster)
            kept.append(best)
            most = max(most, steps)
    fitted = BoostedTrees(tuple(boosters), tuple(kept), len(centre), ratios, scale, history, job.threads)
    fitted = replace(fitted, scale=_judged(fitted, problem.valid, least))
    watch(most + 1, fitted.predict(problem.valid))
    return fitted


def _judged(fitted: BoostedTrees, valid: Rows, least: Array) -> Scale:
    """The scale with uncertainties of the size that validation rows tell: where nothing is said of them, the root mean
    square of what is left over; quantiles are stretched so that as many rows as should be are within them."""
    import numpy as np

    from automl_phys import conformal

    value, sigma = np.moveaxis(fitted.predict(valid).astype(np.float64), 2, 0)
    residual, weight = value - valid.target, valid.fit_weight.astype(np.float64)
    if fitted.scale.loss != "quantile":
        typical = np.sqrt(np.average(residual**2, axis=0, weights=weight))
        return replace(fitted.scale, sigma=tuple(np.maximum(typical, least).tolist()))
    typical = np.median(sigma, axis=0)
    sigma = np.maximum(sigma, CROSSING * typical)
    stretch = [conformal.factor(residual[:, j], sigma[:, j], weight, LEVELS[2] - LEVELS[0])
               for j in range(len(typical))]
    stretch = [one if np.isfinite(one) else 1.0 for one in stretch]
    return replace(fitted.scale, sigma=tuple(np.maximum(CROSSING * typical * stretch, least).tolist()),
                   stretch=tuple(stretch))


def _datasets(problem: TableProblem, ratios: Ratios, job: Job) -> tuple[Any, Any]:
    """The bins of train and validation rows; of a whole problem's many rows they are shared by the trials of a run."""
    n_columns = problem.train.take(slice(0, 1)).columns.shape[1]
    categorical = range(n_columns, n_columns + len(problem.schema.levels))
    kind = "ratios" if ratios.pairs else "plain"
    files = [None if problem.variation else RunDir(Path(job.run_dir)).binned / f"{kind}-{part}.bin"
             for part in ("train", "valid")]
    train = binned.dataset(problem.train, ratios.matrix, _flat(problem.train), categorical, None, files[0])
    return train, binned.dataset(problem.valid, ratios.matrix, _flat(problem.valid), categorical, train, files[1])


def _flat(rows: Rows) -> Array:
    return rows.target if rows.target.ndim == 1 else rows.target[:, 0]


def _settings(params: Params, job: Job) -> dict[str, Any]:
    own = {name: value for name, value in params.items() if name not in {"ratios", "loss"}}
    return {**own, **binned.ALWAYS, "bagging_freq": 1, "seed": job.seed % 2**31, "deterministic": True,
            "force_col_wise": True, "num_threads": job.threads}


def _boost(
    settings: Mapping[str, Any], train: Any, valid: Any, labels: Array, judged: Array, job: Job,
    follow: Callable[[int, Array], object],
) -> tuple[Any, int, int, tuple[Mapping[str, float], ...]]:
    """A booster, the iteration that is kept, how many there were, and their history.

    ``follow`` hears of every tenth tree's predictions.
    """
    import lightgbm

    for data, label in ((train, labels), (valid, judged)):
        data.construct().set_label(label)
    step = 0

    def heard(predictions: Array, data: Any) -> list[tuple[str, float, bool]]:
        nonlocal step
        if data is valid:
            step += 1
            if step % WATCH_EVERY == 0:
                follow(step, predictions)
        return []

    curves: dict[str, dict[str, list[float]]] = {}
    stopping = [] if job.steps else [lightgbm.early_stopping(PATIENCE, verbose=False)]
    booster = lightgbm.train(
        dict(settings), train, round(MORE_TREES * job.steps) or MAX_TREES, valid_sets=[train, valid],
        valid_names=["train", "valid"], feval=heard, callbacks=[lightgbm.record_evaluation(curves), *stopping])
    kept = booster.current_iteration() if job.steps else booster.best_iteration
    return booster, kept, step, _history(curves)


def _probabilities(raw: Array, outputs: int) -> Array:
    import numpy as np

    raw = np.asarray(raw, dtype=np.float32)
    return np.stack([1 - raw, raw], axis=1) if outputs == 2 else raw


def _history(curves: dict[str, dict[str, list[float]]]) -> tuple[dict[str, float], ...]:
    """Every tenth tree of LightGBM's record."""
    train, valid = (next(iter(curves[name].values())) for name in ("train", "valid"))
    return tuple({"step": i + 1.0, "train_loss": train[i], "valid_loss": valid[i]}
                 for i in range(WATCH_EVERY - 1, len(valid), WATCH_EVERY))
