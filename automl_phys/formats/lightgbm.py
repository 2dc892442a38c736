"""Format ``lightgbm``: boosted trees as LightGBM's own text, with the order of their columns as JSON.

Several boosters, of amounts with their quantiles or of a mean of models, are several files. They are compared with the
run by LightGBM alone, in a fresh process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from automl_phys.contracts import Boosted
from automl_phys.exporting import Subject, Written, beside, preprocessing

SUFFIX = ".txt"
NEEDS = ("lightgbm",)
TEXT = "boosted trees as text, for LightGBM and what reads its files"

SCRIPT = """
import sys
from pathlib import Path
import lightgbm
import numpy as np
first = Path(sys.argv[1])
with np.load(sys.argv[2], allow_pickle=False) as file:
    given = {name: file[name] for name in file.files}
found = {name: lightgbm.Booster(model_file=first.with_name(name)).predict(matrix) for name, matrix in given.items()}
np.savez(sys.argv[3], **found)
"""


def write(subject: Subject, target: Path) -> Written:
    """Write the boosters and the JSON file. Raises CallError where the run has no boosted trees, RunError when they do
    not agree with the run."""
    import numpy as np

    from automl_phys import agreement

    member, note = subject.alone(Boosted, "boosted trees")
    models: list[Any] = subject.models(member)
    count = sum(len(one.boosters) for one in models)
    names = iter([target.name] if count == 1 else [f"{target.stem}-{i}{target.suffix}" for i in range(count)])
    rows = subject.events(target.parent).rows
    files: list[list[str]] = []
    given = {}
    for model in models:
        matrix, files = model.matrix(rows), [*files, []]
        for booster, kept in zip(model.boosters, model.kept, strict=True):
            name = next(names)
            files[-1].append(name)
            booster.save_model(target.with_name(name), num_iteration=kept)
            given[name] = matrix
    found = agreement.fresh(SCRIPT, target.parent, target, given)
    schema = subject.problem.schema
    wanted, answers = (np.mean(parts, axis=0) for parts in zip(*[
        (model.predict(rows), model.finished([found[name] for name in own]))
        for model, own in zip(models, files, strict=True)], strict=True))
    agreed = agreement.agree(agreement.joined([wanted]), agreement.joined([answers]), bool(schema.classes))
    flat = [name for own in files for name in own]
    about = {**subject.described(), "family": member.family, "trial": member.trial,
             "models": [{"files": own, **model.described(schema)} for own, model in zip(files, models, strict=True)],
             "preprocessing": preprocessing(subject)}
    side = beside(target, about)
    return Written(
        (*(target.with_name(name) for name in flat), side), agreed, ("the trees",),
        (f"the columns they take, ratios among them, gaps and codes of categories: {side.name} says which",
         *(() if schema.classes else ("units: the answers are in standard deviations of the target",))),
        ("import lightgbm", f'booster = lightgbm.Booster(model_file="{flat[0]}")',
         f"answer = booster.predict(matrix)  # the columns are those of {side.name}"),
        (note,) if note else ())
