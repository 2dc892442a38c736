"""What an export is of, and what it made: shared by the formats and the stage.

Takes a finished run; gives its models, the whole winner or one kind of model alone. Writing files is the formats' work.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import ensemble
from automl_phys.contracts import Fitted, Task
from automl_phys.decisions import Plan
from automl_phys.errors import CallError, Mistake
from automl_phys.rundir import RunDir
from automl_phys.telling import Tell, nobody
from automl_phys.trials import Ensemble, Member

if TYPE_CHECKING:
    from automl_phys.export_events import Events
    from automl_phys.table_problem import TableProblem
    from automl_phys.values import Array

EVENTS = 1000
"""Events that a file is compared on."""
KERAS_SCRIPT = """
import os
import sys
if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
    sys.modules["tensorflow"] = None  # Keras would import it only to know its objects when it sees them
import keras
import numpy as np
network = keras.models.load_model(sys.argv[1], compile=False)
with np.load(sys.argv[2], allow_pickle=False) as file:
    given = [file[name] for name in file.files]
np.savez(sys.argv[3], predicted=network.predict(given if len(given) > 1 else given[0], verbose=0))
"""
"""How Keras alone, in a fresh process, answers for the arrays that it is given."""


@dataclass(frozen=True)
class Subject:
    """A finished run of a table, images or texts. ``events`` makes the events to compare on, in a folder;
    ``tell`` hears how far writing them is."""

    run: RunDir
    plan: Plan
    task: Task
    problem: TableProblem
    winner: Ensemble
    events: Callable[[Path], Events]
    tell: Tell = nobody

    def predict(self, rows: Any) -> Array:
        """What ``predict`` says of rows, before the task's calibration."""
        return ensemble.predict(self.run.path, self.winner, rows, self.tell)

    def models(self, member: Member) -> list[Fitted]:
        """The saved models of a member, whose mean it is."""
        return [ensemble.model(member.family, self.run.path / folder) for folder in member.folders]

    def alone(self, kind: type, what: str) -> tuple[Member, str]:
        """The heaviest member of the winner whose models are of a kind (a Protocol), or else a family's best trial,
        and a note where it is not all of the winner. Raises CallError where there is none."""
        members = sorted(self.winner.members, key=lambda member: -member.weight)
        found = [one for one in (*members, *self.winner.singles.values()) if isinstance(self.models(one)[0], kind)]
        if not found:
            families = sorted({one.family for one in (*members, *self.winner.singles.values())})
            raise CallError(Mistake(
                "no-such-model", f"The run has no {what}: its models are {', '.join(families)}.",
                "Export all of the winner, whatever it is made of: --format onnx."))
        member = found[0]
        if len(members) == 1 and member is members[0]:
            return member, ""
        return member, (f"This is '{member.family}' (trial {member.trial}) alone, not the winner of {len(members)} "
                        f"model{'s' * (len(members) > 1)}: its scores are not those of 'automl-phys predict'.")

    def described(self) -> dict[str, Any]:
        """What every export says of where it comes from."""
        from automl_phys import __version__

        schema = self.problem.schema
        return {"recipe": self.plan.name, "run": self.run.path.resolve().name, "task": self.plan.task,
                "objective": self.plan.objective, "fingerprint": self.problem.fingerprint,
                "automl-phys": __version__, "target": list(schema.target), "classes": list(schema.classes)}


def preprocessing(subject: Subject) -> dict[str, Any]:
    """What is done to columns before a model alone sees them, and the order of what it sees."""
    schema = subject.problem.schema
    return {
        "formulas": dict(schema.view.define), "numbers": list(schema.numbers), "missing": schema.missing,
        "medians": dict(schema.medians), "indicators": list(schema.indicators),
        "categories": {name: list(levels) for name, levels in schema.levels.items()},
        "category_codes": "position in the list of levels counting from 1; 0 for what is missing or not in it"}


def beside(target: Path, content: Mapping[str, Any]) -> Path:
    """Write the JSON file that goes with a file; gives its path."""
    path = target.with_name(f"{target.name}.json")
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True)
class Written:
    """What a format wrote: ``files``, the first of them the one that was asked for. ``agreed`` says how it was compared
    with what the run predicts; ``inside`` and ``outside`` what the file does by itself and what it does not; ``load``
    are lines of Python that use it."""

    files: tuple[Path, ...]
    agreed: str
    inside: tuple[str, ...]
    outside: tuple[str, ...]
    load: tuple[str, ...]
    notes: tuple[str, ...] = ()
