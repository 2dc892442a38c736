"""Does the model see what it should not?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

if TYPE_CHECKING:
    from automl_phys.table import Rows, Schema
    from automl_phys.values import Array

CODE = "C-LEAK"
TITLE = "Leakage"
MEANS = (
    "One feature alone tells the class, or follows the target; or test rows are copies of training rows; or a "
    "name suggests generator truth or bookkeeping.")
WHY = "A model that sees the answer is perfect here and useless on data, where the answer is not in the file."
REMEDY = (
    "Exclude what is not measured in data (data: exclude:). Keep rows that belong together on one side of the "
    "split (data: group:), and drop copies. A feature that is honestly that good may stay.")
SOURCES = "Kaufman et al., ACM TKDD 6 (2012) 15; Kapoor, Narayanan, Patterns 4 (2023) 100804"

TELLTALE_AUC = 0.99
TELLTALE_CORRELATION = 0.999
DUPLICATES = 0.01
"""Share of test rows found again in the train rows from which it is more than the chance of coarse features."""
MOST_ROWS = 50_000
SUSPECT = re.compile(r"truth|pdg_?id|(^|_)(mc|gen|true|label|target|is_?signal|(event|run)_?(id|number))(_|$)", re.I)


def check(seen: Seen) -> tuple[Outcome, str]:
    """Issue when one feature alone tells a class from the rest with AUC > 0.99, or the rank of a target, or more than
    1 % of test rows are train rows; tip when names suggest generator truth or bookkeeping."""
    from automl_phys.table import TableProblem

    if not isinstance(seen.problem, TableProblem):
        return "not applicable", "The data are not a table with something to predict."
    schema = seen.problem.schema
    single = telltales(seen.problem.train, schema) if schema.classes else copies(seen.problem.train, schema)
    twice = duplicates(seen.problem.train, seen.problem.test)
    asked = schema.settings.get("condition", ())  # what events are generated for on purpose
    names = [name for name in (*schema.numbers, *schema.levels) if SUSPECT.search(name) and name not in asked]
    said = []
    if single:
        what = "separates classes" if schema.classes else "tells the target"
        said.append(f"One feature alone {what}: {', '.join(single)}. If it is not known at the time of use, exclude it "
                    "(data: exclude:).")
    if twice:
        said.append(f"{twice:.2%} of the test rows are also train rows, by all features; drop copies, or tie them "
                    "together (data: group:).")
    if names:
        said.append(f"Names that suggest truth or bookkeeping: {', '.join(names)}. Exclude them unless measured.")
    outcome: Outcome = "issue" if single or twice > DUPLICATES else "tip" if said else "passed"
    return outcome, " ".join(said)


def telltales(rows: Rows, schema: Schema) -> list[str]:
    """Features whose AUC, for one class against the rest, exceeds 0.99 either way; on at most 50 000 rows.

    Against the rest: with many classes some pair is told apart by one honest feature, as 0 and 1 are by their middle.
    """
    import numpy as np

    some = rows.take(slice(None, None, max(1, len(rows) // MOST_ROWS)))
    found = []
    columns = [(name, some.numbers[:, i]) for i, name in enumerate(schema.numbers)]
    columns += [(name, purity(some.categories[:, i], some.target, k)) for i, name in enumerate(schema.levels)
                for k in range(1, len(schema.classes))]
    for name, values in columns:
        known = np.isfinite(values)
        for k, class_name in enumerate(schema.classes[1:] if len(schema.classes) == 2 else schema.classes):
            positive = some.target[known] == (k + 1 if len(schema.classes) == 2 else k)
            auc = separation(values[known], positive, some.weight[known])
            if max(auc, 1 - auc) > TELLTALE_AUC:
                found.append(f"{name} ({class_name}: AUC {max(auc, 1 - auc):.4f})")
    return list(dict.fromkeys(found))


def copies(rows: Rows, schema: Schema) -> list[str]:
    """Features whose ranks follow those of a target, either way, with a correlation above 0.999; on at most 50 000
    rows."""
    import numpy as np
    from scipy.stats import rankdata

    some = rows.take(slice(None, None, max(1, len(rows) // MOST_ROWS)))
    found = []
    for j, target in enumerate(schema.target):
        truth = rankdata(some.target[:, j])
        for i, name in enumerate(schema.numbers):
            values = np.asarray(some.numbers[:, i], np.float64)
            known = np.isfinite(values)
            ranks = rankdata(values[known])
            if known.sum() > 2 and np.ptp(ranks) > 0 and np.ptp(truth[known]) > 0:
                correlation = float(np.corrcoef(ranks, truth[known])[0, 1])
                if abs(correlation) > TELLTALE_CORRELATION:
                    found.append(f"{name} ({target}: rank correlation {correlation:.4f})")
    return found


def separation(values: Array, positive: Array, weight: Array) -> float:
    """Area under the ROC curve of a feature taken as a score; 0.5 where one of the classes is missing."""
    import numpy as np

    from automl_phys.ranking import area, rank

    if not positive.any() or positive.all():
        return 0.5
    ranking = rank(np.asarray(values, np.float64), positive, np.asarray(weight, np.float64))
    signal, background = (np.cumsum(w)[ranking.ends][None] for w in (ranking.signal, ranking.background))
    return float(area(signal, background)[0])


def purity(codes: Array, target: Array, k: int) -> Array:
    """A category as a number: the share of class ``k`` in every other row of it; NaN for those rows themselves,
    so that a category of one row each is not taken for one that knows the class."""
    import numpy as np

    size = int(codes.max(initial=0)) + 1
    known = np.bincount(codes[::2], target[::2] == k, size) + 0.5
    share = (known / (np.bincount(codes[::2], minlength=size) + 1))[codes]
    share[::2] = np.nan
    return share


def duplicates(train: Rows, test: Rows) -> float:
    """Share of test rows whose features are those of a train row, to the last bit."""
    import numpy as np

    return float(np.isin(hashes(test), hashes(train)).mean()) if len(test) else 0.0


def hashes(rows: Rows) -> Array:
    """A 64-bit number for each row: multiply-add over the bits of its features, pixels and counts of words among them,
    with odd random factors."""
    import numpy as np

    found = [np.empty(0, np.uint64)]
    for block in rows.blocks():
        bits = np.concatenate([np.ascontiguousarray(block.columns).view(np.uint32),
                               np.ascontiguousarray(block.categories).view(np.uint32)], axis=1)
        mixed = np.zeros(len(bits), np.uint64)
        factors = np.random.default_rng(0).integers(0, 2**63, bits.shape[1], np.uint64)
        for column, factor in zip(bits.T, factors, strict=True):
            mixed = (mixed ^ column) * (2 * factor + np.uint64(1))
            mixed ^= mixed >> np.uint64(29)
        found.append(mixed)
    return np.concatenate(found)
