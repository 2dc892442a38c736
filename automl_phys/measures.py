"""What can be measured of a classifier, of predicted amounts, clusters, generated events, anomalies or agents: names,
directions, labels, formulas.

How is the work of :mod:`automl_phys.metrics`, :mod:`automl_phys.cluster_scores`, :mod:`automl_phys.closure`,
:mod:`automl_phys.anomaly_scores`, :mod:`automl_phys.agent_scores` and the like.
Standard library only, so that a recipe's objective is checked, and metrics are listed, without importing numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from automl_phys.errors import Mistake
from automl_phys.values import Direction


@dataclass(frozen=True)
class Measure:
    """One metric. ``label`` is what figures and tables print, ``formula`` says what is computed, in a line.

    A name ending in ``@`` takes a number between 0 and 1 after it (``rejection@0.3``); ``points`` are the usual ones.
    ``source`` is where the formula comes from, empty for common knowledge; ``best`` is where it is at its best if that
    is neither high nor low. ``needs_signal`` marks metrics that mean nothing before one class is named the signal,
    ``alone`` those that follow from one sample of rows; the others compare train with test, or are probabilities of a
    hypothesis.
    """

    name: str
    label: str
    direction: Direction
    formula: str
    objective: bool = True
    needs_signal: bool = False
    points: tuple[str, ...] = ()
    alone: bool = True
    source: str = ""
    best: str = ""

    @property
    def cited(self) -> str:
        """The formula, with its source."""
        return f"{self.formula} ({self.source})" if self.source else self.formula

    @property
    def better(self) -> str:
        """Which values are better: ``high``, ``low``, or the one that is best."""
        return self.best or {"maximize": "high", "minimize": "low"}[self.direction]

    @property
    def names(self) -> tuple[str, ...]:
        """The metric at its usual points."""
        return tuple(self.name + point for point in self.points or ("",))


OF_CLASSIFIERS: dict[str, Measure] = {m.name: m for m in (
    Measure("log_loss", "Log loss", "minimize", "-Σ w ln p(true class) / Σ w, p cut off at the precision of its type"),
    Measure("roc_auc", "ROC AUC", "maximize",
            "area under TPR(FPR), ties count half; with more than two classes the mean over classes, one against the "
            "rest",
            source="Fawcett 2006"),
    Measure("accuracy", "Accuracy", "maximize", "weight of rows whose most probable class is the true one / Σ w"),
    Measure("balanced_accuracy", "Balanced accuracy", "maximize", "mean over classes of the recall"),
    Measure("average_precision", "Average precision", "maximize",
            "Σ (Rₙ - Rₙ₋₁) Pₙ over thresholds, for the signal; without one the mean over classes"),
    Measure("brier", "Brier score", "minimize",
            "Σ w Σₖ (pₖ - yₖ)² / Σ w; for two classes of one of them only (half of that sum)",
            source="Brier 1950"),
    Measure("f1", "F1", "maximize", "2 P R / (P + R) of the signal; without one the mean over classes"),
    Measure("precision", "Precision", "maximize", "TP / (TP + FP) of the signal; without one the mean over classes",
            objective=False),
    Measure("recall", "Recall", "maximize", "TP / (TP + FN) of the signal; without one the mean over classes",
            objective=False),
    Measure("calibration_error", "Calibration error (ECE)", "minimize",
            "Σ over 15 bins of equal weight: |Σ w (p - y)| / Σ w; p of the signal (two classes) or of the class "
            "predicted, y whether it is true",
            objective=False,
            source="Naeini et al. 2015"),
    Measure("tpr@", "TPR at FPR = {}", "maximize",
            "signal efficiency where the background efficiency is the given one, linear between thresholds",
            objective=False, needs_signal=True, points=("0.01", "0.1")),
    Measure("fpr@", "FPR at TPR = {}", "minimize", "background efficiency where the signal efficiency is the given one",
            objective=False, needs_signal=True, points=("0.3", "0.5", "0.7")),
    Measure("rejection@", "Background rejection at TPR = {}", "maximize",
            "1 / FPR where the signal efficiency is the given one; FPR not below its 68 % limit for no event, "
            "1.14 / n_eff of the background",
            needs_signal=True, points=("0.3", "0.5", "0.7")),
    Measure("max_sic", "Max. significance improvement", "maximize",
            "max of TPR / √FPR over thresholds that at least 10 effective background events pass", needs_signal=True,
            source="Gallicchio et al., JHEP 04 (2011) 069"),
    Measure("asimov_significance", "Asimov significance", "maximize",
            "max of √(2 ((s + b) ln(1 + s/b) - s)) over thresholds that at least 10 effective background events pass; "
            "s, b: sums of the sample's weights", needs_signal=True,
            source="Cowan, Cranmer, Gross, Vitells, EPJC 71 (2011) 1554, eq. 97"),
    Measure("train_gap", "Loss, test - train", "minimize",
            "log loss, or the RMSE of a regression, on the test rows less that on the train rows",
            objective=False, alone=False),
    Measure("overtraining_p", "KS probability, train as test", "maximize",
            "smallest Kolmogorov-Smirnov probability that train and test outputs of a class are alike, times the "
            "number of comparisons",
            objective=False, alone=False,
            source="Stephens 1970"),
    Measure("calibration_p", "χ² probability of the calibration", "maximize",
            "χ² probability of gaps as large as those of the reliability curve, were the model calibrated",
            objective=False, alone=False),
)}

OF_CLUSTERS: dict[str, Measure] = {m.name: m for m in (
    Measure("structure", "Structure", "maximize",
            "validity and silhouettes, modularity, border, agreement and faithfulness put together, less for noise: 0 "
            "where there are no clusters, towards 1 for clusters that are apart, in the data too, and found again"),
    Measure("validity", "Density-based validity", "maximize",
            "DBCV in the embedding: how much denser clusters are than the gaps between them, "
            "-1 to 1; noise counts as 0",
            source="Moulavi et al. 2014"),
    Measure("silhouette", "Silhouette", "maximize",
            "mean of (b - a) / max(a, b), a and b the mean distances to the own and to the nearest other cluster, in "
            "the scaled data",
            source="Rousseeuw 1987"),
    Measure("silhouette_embedding", "Silhouette in the embedding", "maximize",
            "the silhouette with distances in the embedding",
            source="Rousseeuw 1987"),
    Measure("calinski_harabasz", "Calinski-Harabasz", "maximize",
            "(B / (k - 1)) / (W / (n - k)), B and W the squared distances between and within k clusters, in the "
            "scaled data",
            source="Caliński, Harabasz 1974"),
    Measure("calinski_harabasz_embedding", "Calinski-Harabasz in the embedding", "maximize",
            "the Calinski-Harabasz index in the embedding",
            source="Caliński, Harabasz 1974"),
    Measure("modularity", "Modularity", "maximize",
            "share of the edges to the nearest neighbours in the scaled data that stay in a cluster, less that "
            "expected by chance",
            source="Newman, Girvan 2004"),
    Measure("border", "Sparse borders", "maximize",
            "how much sparser clusters are where they touch others, in the scaled data: at most 1, 0 for no sparser",
            source="after Hennig 2019"),
    Measure("trustworthiness", "Trustworthiness", "maximize",
            "1 if neighbours in the embedding are neighbours in the data",
            source="Venna, Kaski 2001"),
    Measure("continuity", "Continuity", "maximize", "1 if neighbours in the data are neighbours in the embedding",
            source="Venna, Kaski 2001"),
    Measure("density_preserved", "Density preserved", "maximize",
            "rank correlation of the local radii in the data and in the embedding",
            source="Narayan et al. 2021"),
    Measure("agreement", "Agreement of subsamples", "maximize",
            "mean adjusted Rand index between the clusters and those of subsamples of the same embedding",
            source="Hubert, Arabie 1985"),
    Measure("stability", "Stability of the whole chain", "maximize",
            "mean adjusted Rand index between pairs of fits, reduction included, on subsamples of the points",
            objective=False, alone=False,
            source="Hennig 2007"),
    Measure("noise", "Noise fraction", "minimize", "share of the points that are in no cluster", objective=False,
            best="–"),
    Measure("clusters", "Clusters", "maximize", "how many there are", objective=False,
            best="–"),
    Measure("excess", "Excess over null data", "maximize",
            "the objective on subsamples of the data less that on the null data that come closest",
            objective=False, alone=False),
    Measure("adjusted_rand", "Adjusted Rand index", "maximize",
            "pairs of points that clusters and truth agree on, 0 by chance, 1 at best; noise counts as one cluster",
            objective=False, alone=False),
    Measure("adjusted_mutual_information", "Adjusted mutual information", "maximize",
            "what clusters tell of the truth, 0 by chance, 1 at best", objective=False, alone=False),
    Measure("homogeneity", "Homogeneity", "maximize", "1 if each cluster holds one true class only",
            objective=False, alone=False),
    Measure("completeness", "Completeness", "maximize", "1 if each true class is in one cluster only",
            objective=False, alone=False),
)}

OF_AMOUNTS: dict[str, Measure] = {m.name: m for m in (
    Measure("rmse", "RMSE", "minimize",
            "√(Σ w r² / Σ w), r = predicted - true; of several targets the mean over them, each divided by the "
            "standard deviation of the truth in the rows judged, as for the other metrics that have a unit"),
    Measure("mae", "Mean absolute error", "minimize", "Σ w |r| / Σ w"),
    Measure("median_absolute_error", "Median absolute error", "minimize", "weighted median of |r|"),
    Measure("r2", "R²", "maximize", "1 - Σ w r² / Σ w (y - ȳ)²"),
    Measure("resolution", "Resolution", "minimize", "half of the width of the central 68 % of r: (q84 - q16) / 2"),
    Measure("gaussian_nll", "Gaussian negative log-likelihood", "minimize",
            "Σ w (ln σ + r² / 2σ² + ln √2π) / Σ w, σ the model's own uncertainty of each row",
            source="Nix, Weigend 1994"),
    Measure("bias", "Bias", "minimize", "Σ w r / Σ w", objective=False,
            best="0"),
    Measure("pull_mean", "Mean of the pull", "minimize", "weighted mean of r / σ; 0 at best", objective=False,
            best="0"),
    Measure("pull_width", "Width of the pull", "minimize", "weighted standard deviation of r / σ; 1 at best",
            objective=False,
            best="1"),
    Measure("coverage@", "Coverage of the {percent} interval", "maximize",
            "weight of rows whose truth is inside their interval of that nominal coverage / Σ w",
            objective=False, points=("0.68", "0.95"), source="Lei et al. 2018", best="X"),
    Measure("interval_width@", "Mean width of the {percent} interval", "minimize", "Σ w (high - low) / Σ w",
            objective=False, points=("0.68", "0.95"),
            source="Lei et al. 2018"),
)}

OF_TRANSFER: dict[str, Measure] = {m.name: m for m in (
    Measure("gain_over_scratch", "Gain over scratch", "maximize",
            "by how much the objective of the transferred network is better than that of the same network from random "
            "weights, on the same draws of labelled rows: mean over the draws", objective=False, alone=False),
    Measure("gain_over_baseline", "Gain over the baseline", "maximize", "the same over the baseline", objective=False,
            alone=False),
)}

OF_SERIES: dict[str, Measure] = {m.name: m for m in (
    Measure("mase", "MASE", "minimize",
            "mean over windows and series of mean |y - f| over the horizon / mean |yₜ - yₜ₋ₘ| before the window, f the "
            "median, m the season; below 1 is better than a seasonal naive forecast is on "
            "average",
            source="Hyndman, Koehler 2006"),
    Measure("rmsse", "RMSSE", "minimize",
            "the same of squares: mean of √(mean (y - f)² / mean (yₜ - yₜ₋ₘ)²)",
            source="Makridakis et al. 2022"),
    Measure("smape", "sMAPE", "minimize", "mean of 2 |y - f| / (|y| + |f|), between 0 and 2; 0 where both are 0",
            source="Makridakis 1993"),
    OF_AMOUNTS["mae"], OF_AMOUNTS["rmse"],
    Measure("skill_persistence", "Skill against persistence", "maximize",
            "1 - MASE / MASE of repeating the last value; 1 at best, 0 for no better", objective=False),
    Measure("skill_seasonal", "Skill against the seasonal naive", "maximize",
            "1 - MASE / MASE of repeating the last season", objective=False),
    Measure("crps", "CRPS", "minimize",
            "mean of 2 ∫ pinball loss dτ over 11 quantiles, by trapezoids: the mean absolute error of a "
            "forecast that is a distribution",
            source="Gneiting, Ranjan 2011"),
    Measure("wql", "Weighted quantile loss", "minimize", "2 Σ mean pinball loss over the quantiles / Σ |y|",
            source="Salinas et al. 2020"),
    Measure("valid_time", "Valid time in Lyapunov times", "maximize",
            "mean time until √(mean over targets of (y - f)² / σ²) exceeds 0.4; the horizon where it never does",
            objective=False, source="Pathak et al. 2018"),
    OF_AMOUNTS["coverage@"], OF_AMOUNTS["interval_width@"],
)}

OF_EVENTS: dict[str, Measure] = {m.name: m for m in (
    Measure("c2st", "Classifier two-sample test (trees)", "minimize",
            "ROC AUC of boosted trees that tell generated from real events, each judged by trees that have not seen "
            "it: 0.5 if they cannot, 1 if they always can",
            source="Lopez-Paz, Oquab 2017", best="0.5"),
    Measure("sliced_wasserstein", "Sliced Wasserstein distance", "minimize",
            "mean of W1 over 64 fixed directions in the space of the columns, each in units of its real standard "
            "deviation",
            source="Rabin et al. 2011"),
    Measure("wasserstein", "Wasserstein distance", "minimize",
            "W1 = ∫ |F - G|, F and G the cumulative distributions, in units of the real standard deviation; mean over "
            "columns, 'wasserstein/NAME' of one"),
    Measure("fpd", "Fréchet physics distance", "minimize",
            "|μ - ν|² + Tr(C + D - 2 √(C D)), means and covariances of the columns in units of the real standard "
            "deviation, extrapolated to infinitely many events",
            source="Kansal et al. 2023; Chong, Forsyth 2020", best="0"),
    Measure("c2st_mlp", "Classifier two-sample test (network)", "minimize",
            "as c2st, of a network with two hidden layers on standardised columns",
            best="0.5"),
    Measure("kpd", "Kernel physics distance", "minimize",
            "median over 10 batches of the unbiased MMD² with the kernel (x·y / d + 1)⁴; about 0 for "
            "samples that are alike, of either sign", objective=False,
            source="Kansal et al. 2023; Gretton et al. 2012", best="0"),
    Measure("correlation_difference", "Difference of correlations", "minimize",
            "mean over pairs of columns of |ρ - ρ'|, linear correlations of real and of generated events",
            objective=False),
    Measure("coverage", "Coverage", "maximize",
            "share of real events that have a generated one nearer than their 5th real neighbour; "
            "0.97 at best", objective=False,
            source="Naeem et al. 2020"),
    Measure("density", "Density", "maximize",
            "mean number of real events whose 5th real neighbour is further than a generated event is, over 5; about "
            "1 at best, above it for events that crowd in the middle",
            objective=False, source="Naeem et al. 2020", best="1"),
    Measure("memorisation", "Memorisation", "minimize",
            "share of generated events that are nearer to a training event than to any of as many held-out ones: 0.5 "
            "for no copies, 1 for copies only", objective=False, alone=False,
            source="after Meehan et al. 2020", best="0.5"),
    Measure("prior_shift", "Shift of class shares", "minimize",
            "½ Σₖ |pₖ - qₖ|, mean probabilities of the classes among real and generated events, by a classifier "
            "trained on training events", objective=False, alone=False,
            best="0"),
    Measure("tstr", "Train on synthetic, test on real", "maximize",
            "mean ROC AUC of a classifier trained on generated events over that of one trained on as many training "
            "events, both on real test events", objective=False, alone=False,
            source="Esteban et al. 2017", best="1"),
)}

OF_ANOMALIES: dict[str, Measure] = {m.name: m for m in (
    Measure("stand_in_auc", "ROC AUC against stand-ins", "maximize",
            "area under TPR(FPR), stand-ins for anomalies against held-out normal events: rare populations or "
            "corrupted copies of these, or, weakly supervised, events of the signal region against those of the "
            "sidebands"),
    Measure("region_excess", "Region beyond 98 % of the sidebands", "maximize",
            "TPR at FPR = 0.02, events of the signal region against those of the sidebands, which weigh such that "
            "their mean mass is the region's: 0.02 if nothing is found"),
    OF_CLASSIFIERS["roc_auc"], OF_CLASSIFIERS["average_precision"], OF_CLASSIFIERS["max_sic"],
    replace(OF_CLASSIFIERS["rejection@"], points=("0.1", "0.3", "0.5")),
    Measure("background_efficiency", "Background efficiency of the flag", "minimize",
            "weight of normal events that are flagged / that of all of them", objective=False, alone=False,
            best="as asked"),
    Measure("signal_efficiency", "Signal efficiency of the flag", "maximize",
            "weight of anomalies that are flagged / that of all of them", objective=False, alone=False),
    Measure("flagged", "Flagged", "minimize", "weight of events that are flagged / that of all of them",
            objective=False, alone=False,
            best="–"),
    Measure("supervised_auc", "ROC AUC of the supervised ceiling", "maximize",
            "that of boosted trees that were shown which events are anomalies", objective=False, alone=False,
            best="–"),
    Measure("supervised_max_sic", "Max. significance improvement of the supervised ceiling", "maximize",
            "that of boosted trees that were shown which events are anomalies", objective=False, alone=False,
            best="–"),
    Measure("idealised_auc", "ROC AUC of the idealised detector", "maximize",
            "that of boosted trees that tell data with anomalies from a perfect sample of background",
            objective=False, alone=False,
            source="Hallin et al., PRD 106 (2022) 055006", best="–"),
    Measure("idealised_max_sic", "Max. significance improvement of the idealised detector", "maximize",
            "that of boosted trees that tell data with anomalies from a perfect background",
            objective=False, alone=False,
            source="Hallin et al., PRD 106 (2022) 055006", best="–"),
    Measure("mass_sculpting@", "Mass sculpting at a background efficiency of {}", "minimize",
            "Jensen-Shannon divergence, in bits, between the mass of the background before and after the cut: 0 if "
            "they are alike, 1 if they do not overlap; '…/random cuts' is what cuts that know nothing come to",
            objective=False, alone=False, points=("0.5", "0.1", "0.05", "0.01"),
            source="Lin 1991", best="0"),
    Measure("local_significance", "Local significance in the signal region", "maximize",
            "Φ⁻¹(1 - p), p the probability of as many events or more over a fit to the sidebands, by chance; "
            "'…/normal events alone' is of these, where nothing is to be found",
            objective=False, alone=False, source="Cousins, Linnemann, Tucker, NIM A 595 (2008) 480", best="–"),
)}

OF_AGENTS: dict[str, Measure] = {m.name: m for m in (
    Measure("mean_return", "Mean return", "maximize",
            "mean over trainings and episodes of Σ rewards, undiscounted, the agent taking its best action"),
    Measure("interquartile_return", "Interquartile mean of the return", "maximize",
            "mean of the middle half of the returns of all trainings and episodes",
            source="Agarwal et al., NeurIPS 2021"),
    Measure("low_return", "Return exceeded in 90 % of the episodes", "maximize",
            "10 % quantile of the returns: what nine of ten episodes exceed"),
    Measure("stochastic_return", "Mean return while exploring", "maximize",
            "mean over trainings and episodes of Σ rewards, the agent acting at random as it did while it learnt: by "
            "its own distribution, by random actions, by noise"),
    Measure("solved", "Trainings that solve the environment", "maximize",
            "share of the trainings whose mean return reaches what the environment's authors call solved",
            objective=False),
    Measure("episode_length", "Mean length of an episode", "maximize", "steps until an episode ends, or is cut off",
            objective=False,
            best="–"),
    Measure("gain_over_random", "Gain over the random agent", "maximize",
            "mean return less that of an agent that acts at random, on the same episodes",
            objective=False, alone=False),
    Measure("gain_over_published", "Difference to the published return", "maximize",
            "mean return less that which RL Baselines3 Zoo publishes of the same algorithm", objective=False,
            alone=False),
    Measure("gain_over_controller", "Gain over the controller", "maximize",
            "mean return less that of the environment's own controller, on the same episodes", objective=False,
            alone=False),
)}

AIMED = frozenset({
    "background_efficiency", "bias", "clusters", "coverage@", "density", "episode_length", "flagged", "kpd", "noise",
    "pull_mean", "pull_width", "train_gap"})
"""Metrics that are best at a value between, or mean nothing alone: neither more nor less of them is better."""

MEASURES: dict[str, Measure] = (
    OF_AGENTS | OF_ANOMALIES | OF_CLASSIFIERS | OF_CLUSTERS | OF_AMOUNTS | OF_SERIES | OF_TRANSFER | OF_EVENTS)


def find(name: str) -> tuple[Measure, float | None]:
    """The measure behind a name and the number after its ``@``. Raises KeyError when it is none."""
    head, at, number = name.partition("@")
    measure = MEASURES[head + at]
    if not at:
        return measure, None
    try:
        point = float(number)
    except ValueError:
        raise KeyError(name) from None
    if not 0 < point < 1:
        raise KeyError(name)
    return measure, point


def by_part(names: Iterable[str]) -> dict[str, list[str]]:
    """Metrics by what they are of: of ``rmse/mass`` and ``rejection@0.3/qcd`` the part behind the stroke, empty for
    those of everything."""
    parts: dict[str, list[str]] = {}
    for name in names:
        plain, _, part = name.partition("/")
        parts.setdefault(part, []).append(plain)
    return parts


def better_when(name: str) -> Direction | None:
    """Which way a metric gets better; None where neither is better in itself, or the name is none that is known. Names
    as in :func:`label`."""
    try:
        measure, _ = find(name.partition("/")[0])
    except KeyError:
        return None
    return None if measure.name in AIMED else measure.direction


def label(name: str) -> str:
    """What a figure or table prints for a metric; ``rejection@0.3/qcd`` is against the one background class,
    ``rmse/mass`` of the one target, ``wasserstein/mass`` of the one column, ``local_significance/normal`` of those
    events."""
    plain, _, against = name.partition("/")
    measure, _ = find(plain)
    text = measure.label.format(point := plain.partition("@")[2], percent=f"{100 * float(point or 0):g} %")
    if not against:
        return text
    return f"{text}, against {against}" if measure.name in OF_CLASSIFIERS else f"{text}, {against}"


def names(signal: bool) -> tuple[str, ...]:
    """Every metric of a classifier at its usual points, of those that need no signal or, with one, of all."""
    fitting = (m for m in OF_CLASSIFIERS.values() if m.alone and (signal or not m.needs_signal))
    return tuple(name for measure in fitting for name in measure.names)


def refused(objective: str, signal: bool) -> Mistake | None:
    """Why a metric of classifiers cannot be the objective: it needs a signal, and none is named."""
    if signal or not find(objective)[0].needs_signal:
        return None
    return Mistake("no-signal-class", f"The objective '{objective}' needs to know which class is the signal.",
                   "Name it under data: signal:, or choose an objective of all classes, such as log_loss.",
                   ("search", "objective"))


class Objectives(Mapping[str, Direction]):
    """Metrics that a search may optimise and their directions; holds any ``rejection@X``, lists the usual ones."""

    def __init__(self, measures: Mapping[str, Measure] = OF_CLASSIFIERS) -> None:
        self._usable = {m.name: m for m in measures.values() if m.objective}

    def __getitem__(self, name: str) -> Direction:
        return self._usable[find(name)[0].name].direction

    def __iter__(self) -> Iterator[str]:
        return (name for measure in self._usable.values() for name in measure.names)

    def __len__(self) -> int:
        return sum(1 for _ in self)
