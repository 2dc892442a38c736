"""Format ``onnx``: the winner with its preprocessing in one file, for C++, Python and the experiments' frameworks.

Inputs are columns as they stand in the data, outputs what ``automl-phys predict`` writes. The file is compared with
that by onnxruntime in a fresh process.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys.contracts import Exportable, Exporting
from automl_phys.errors import CallError, Mistake
from automl_phys.exporting import Subject, Written
from automl_phys.telling import counted

if TYPE_CHECKING:
    from automl_phys.export_events import Events
    from automl_phys.onnx_outputs import Output
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.values import Array

SUFFIX = ".onnx"
NEEDS = ("onnx", "onnxruntime")
TEXT = "networks, trees and linear models with their preprocessing, for onnxruntime (C++, Python)"

SCRIPT = """
import sys
import numpy as np
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
with np.load(sys.argv[2], allow_pickle=False) as file:
    given = {name: file[name] for name in file.files}
given = {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in given.items()}
names = [output.name for output in session.get_outputs()]
np.savez(sys.argv[3], **dict(zip(names, session.run(names, given))))
"""


def write(subject: Subject, target: Path) -> Written:
    """Write the graph and compare it with the run. Raises CallError for what cannot be written as ONNX, RunError when
    it does not agree."""
    import onnx

    from automl_phys import agreement, onnx_graph, onnx_outputs, onnx_rows

    task, problem = subject.task, subject.problem
    assert isinstance(task, Exporting)  # noqa: S101 - the stage has asked
    graph = onnx_graph.Graph()
    rows = onnx_rows.add(graph, problem.schema)
    outputs = task.write_onnx(rows, _winner(subject, rows), subject.winner.calibration)
    onnx_outputs.finish(rows, outputs)
    about = onnx_outputs.metadata(problem.schema, rows, outputs)
    texts = {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
             for key, value in {**subject.described(), **about}.items()}
    try:
        model = graph.model(texts, "".join(c if c.isalnum() else "_" for c in subject.plan.name))
    except ValueError as error:
        raise CallError(Mistake("too-large", f"The winner would be a file of {error}; ONNX holds 2 GB.",
                                "Search for fewer or smaller trees.")) from error
    onnx.save_model(model, target)
    events = subject.events(target.parent)
    found = agreement.fresh(SCRIPT, target.parent, target, _given(rows, events))
    wanted = _wanted(subject, outputs, events, target.parent)
    agreed = agreement.agree(wanted, agreement.joined([found[one.name] for one in outputs]),
                             bool(problem.schema.classes), bool(graph.rounded))
    return Written((target,), agreed, _inside(subject, rows), _outside(subject), _load(target.name, rows, outputs))


def _winner(subject: Subject, rows: OnnxRows) -> str:
    """The weighted mean of the members, each the mean of its models, as :func:`automl_phys.ensemble.predict` has it."""
    import numpy as np

    graph, terms = rows.graph, []
    members = subject.winner.members
    whole = sum(member.weight for member in members)
    for member in counted(members, "members written", subject.tell):
        models = subject.models(member)
        for model in models:
            if not isinstance(model, Exportable):
                raise CallError(Mistake(
                    "not-exportable", f"The winner has a model of family '{member.family}', which is not written as "
                    "ONNX.", "Search without it: 'families' under 'model' in the recipe."))
            share = member.weight / whole / len(models)
            tensor = model.write_onnx(rows)
            if len(members) == len(models) == 1:
                return tensor
            terms.append(graph.add("Mul", graph.cast(tensor, np.float64), graph.constant(share, np.float64)))
    return graph.cast(graph.add("Sum", *terms), np.float32)


def _given(rows: OnnxRows, events: Events) -> dict[str, Array]:
    import numpy as np

    given: dict[str, Any] = {}
    for one in rows.inputs:
        if one.kind == "string":
            given[one.name] = events.columns[one.columns[0]].astype(str).reshape(-1, 1)
        elif one.kind == "int64":
            given[one.name] = events.columns[one.columns[0]].astype(np.int64).reshape(-1, 1)
        elif one.name.startswith("images"):
            given[one.name] = events.images
        else:
            given[one.name] = np.stack([events.columns[name] for name in one.columns], axis=1).astype(one.kind)
    return given


def _wanted(subject: Subject, outputs: tuple[Output, ...], events: Events, folder: Path) -> Array:
    """What ``predict`` writes of the events, NaN of those of which it writes nothing, (n, all columns)."""
    import numpy as np
    from pyarrow import parquet

    file = folder / "scores.parquet"
    subject.task.write_scores(subject.problem, events.rows, subject.predict(events.rows), subject.winner.calibration,
                              file)
    table = parquet.read_table(file)
    columns = [name for one in outputs for name in one.columns]
    wanted = np.full((events.count, len(columns)), np.nan, np.float32)
    at = table.column("row").to_numpy()
    for i, name in enumerate(columns):
        wanted[at, i] = table.column(name).to_numpy()
    return wanted


def _inside(subject: Subject, rows: OnnxRows) -> tuple[str, ...]:
    schema, members = subject.problem.schema, subject.winner.members
    count = sum(len(member.folders) for member in members)
    found = [f"{count} model{'s' * (count > 1)} ({', '.join(dict.fromkeys(m.family for m in members))}) and their mean"
             if count > 1 else f"the model ({members[0].family}) and all it does to its inputs"]
    if schema.view.define:
        found.append("the formulas of 'define'")
    if schema.medians:
        found.append("medians in place of gaps (NaN, infinite)" + (" and their indicators" * bool(schema.indicators)))
    if rows.gap:
        found.append("NaN as the answer where a value is missing, as 'missing: "
                     f"{schema.missing}' has no other")
    if schema.levels:
        found.append("the codes of the categories; a level not seen in training is told as such")
    if not schema.classes:
        found.append("the calibrated uncertainties and intervals")
    return tuple(found)


def _outside(subject: Subject) -> tuple[str, ...]:
    view, found = subject.problem.schema.view, []
    if view.cut:
        found.append(f"the cut of the training, '{view.cut}': events that do not pass it get an answer too")
    if view.lengths:
        found.append("taking lists apart: give their elements as columns, 0 where there is none and 'present' 0")
    return (*found, "reading files and choosing columns")


def _load(name: str, rows: OnnxRows, outputs: tuple[Output, ...]) -> tuple[str, ...]:
    def shown(columns: tuple[str, ...]) -> str:
        return ", ".join(columns[:6]) + (f", … ({len(columns)} columns)" if len(columns) > 6 else "")

    given = [f'"{one.name}": {one.name if one.name.isidentifier() else "x"}' for one in rows.inputs]
    words = [f"# {one.name} is {one.kind} (n, {', '.join(str(side) for side in one.shape)}): {shown(one.columns)}"
             for one in rows.inputs]
    names = ", ".join(one.name.replace(".", "_") for one in outputs)
    return ("import onnxruntime", f'session = onnxruntime.InferenceSession("{name}")',
            f"{names}{',' * (len(outputs) == 1)} = session.run(None, {{{', '.join(given)}}})", *words)
