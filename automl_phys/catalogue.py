"""What there is: tasks, families with their search spaces, metrics, built-in data, checks, formats.

Takes names or a task to narrow by, gives each kind as data (frozen dataclasses) and as tables to show. What is said of
a thing stands with the thing: in a task's ``TEXT``, a family's ``space``, :mod:`automl_phys.measures`. Nothing is run,
no data are read, and nothing heavy is imported. Recipes are listed by :mod:`automl_phys.gallery`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from automl_phys import explanations, image_files, measures, readable, registry
from automl_phys.errors import CallError, Mistake
from automl_phys.exhibits import Table
from automl_phys.facts import Range
from automl_phys.measures import Measure

LONGEST_CHOICES = 400
"""Characters of a list of choices that are shown in full."""

OF_TASKS = ("tasks", "families", "metrics")
"""What can be narrowed to a task."""

METRICS: tuple[tuple[str, Mapping[str, Measure], tuple[str, ...]], ...] = (
    ("Of classifiers", measures.OF_CLASSIFIERS, ("classify", "transfer")),
    ("Of amounts", measures.OF_AMOUNTS, ("regress",)),
    ("Of clusters", measures.OF_CLUSTERS, ("reduce+cluster",)),
    ("Of forecasts", measures.OF_SERIES, ("forecast",)),
    ("Of generated events", measures.OF_EVENTS, ("generate",)),
    ("Of detectors of anomalies", measures.OF_ANOMALIES, ("detect-anomaly",)),
    ("Of agents", measures.OF_AGENTS, ("reinforce",)),
    ("Of transfer", measures.OF_TRANSFER, ("transfer",)),
)
"""Metrics by what they are of, in the order of docs/metrics.md, and the tasks that have them."""


@dataclass(frozen=True)
class ListedTask:
    """A task. ``baseline`` is the family that stands beside every other."""

    name: str
    text: str
    objective: str
    baseline: str


@dataclass(frozen=True)
class Space:
    """What is searched of a family in some tasks, on data of a usual size: bounds may follow the data."""

    tasks: tuple[str, ...]
    parameters: Mapping[str, Range]


@dataclass(frozen=True)
class ListedFamily:
    """A family of models. ``needs`` are the packages that it imports."""

    name: str
    text: str
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
    spaces: tuple[Space, ...]


@dataclass(frozen=True)
class ListedMetric:
    """A metric; ``rejection@X`` takes a number for X. ``better`` is high, low, or the value that is best."""

    name: str
    label: str
    of: str
    better: str
    formula: str
    source: str
    objective: bool
    needs_signal: bool
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class ListedData:
    """A built-in data set."""

    name: str
    rows: int
    columns: int
    origin: str


@dataclass(frozen=True)
class ListedCheck:
    """A check that the report ends with; ``automl-phys explain CODE`` says more."""

    name: str
    title: str
    means: str


@dataclass(frozen=True)
class ListedFormat:
    """A format that data are read in, or that a run is exported to. ``name`` is what the recipe, or --format, says."""

    name: str
    use: str
    endings: tuple[str, ...]
    text: str
    needs: tuple[str, ...] = ()


class Named(Protocol):
    """Whatever is listed has a name."""

    @property
    def name(self) -> str: ...


Some = TypeVar("Some", bound=Named)


def tasks() -> tuple[ListedTask, ...]:
    """All tasks."""
    found = ((name, registry.load("tasks", name)) for name in registry.names("tasks"))
    return tuple(ListedTask(name, task.TEXT, task.DEFAULT_OBJECTIVE, task.BASELINE) for name, task in found)


def families() -> tuple[ListedFamily, ...]:
    """All families, with what is searched of them in each task that they solve."""
    return tuple(map(_family, registry.names("families")))


def _family(name: str) -> ListedFamily:
    family = registry.load("families", name)
    solved = registry.solved_by(family)
    spaces: list[Space] = []
    for task in solved:
        parameters = family.space(registry.load("tasks", task).EXAMPLE)
        alike = next((i for i, one in enumerate(spaces) if one.parameters == parameters), None)
        if alike is None:
            spaces.append(Space((task,), parameters))
        else:
            spaces[alike] = Space((*spaces[alike].tasks, task), parameters)
    return ListedFamily(name, family.TEXT, solved, family.NEEDS, tuple(spaces))


def metrics() -> tuple[ListedMetric, ...]:
    """All metrics, by what they are of."""
    return tuple(_metric(one, title, of) for title, group, of in METRICS for one in group.values())


def _metric(one: Measure, title: str, of: tuple[str, ...]) -> ListedMetric:
    name = f"{one.name}X" if one.name.endswith("@") else one.name
    return ListedMetric(name, one.label.format("X", percent="X"), title, one.better, one.formula, one.source,
                        one.objective, one.needs_signal, of)


def data() -> tuple[ListedData, ...]:
    """All built-in data sets."""
    about: Mapping[str, tuple[int, int, str]] = vars(registry.load("sources", "builtin"))["ABOUT"]
    return tuple(ListedData(name, *said) for name, said in about.items())


def checks() -> tuple[ListedCheck, ...]:
    """All checks, by their codes."""
    return tuple(ListedCheck(one.code, one.title, one.means) for one in explanations.of_checks().values())


def formats() -> tuple[ListedFormat, ...]:
    """Formats that are read, then those that runs are exported to."""
    sources = ((name, registry.load("sources", name)) for name in registry.names("sources"))
    read = [ListedFormat(name, "read", source.SUFFIXES, f"several tables in a file: FILE{source.SUFFIXES[0]}:"
                         f"{source.INSIDE}" if source.INSIDE else "a table, or arrays, in a file")
            for name, source in sources if source.SUFFIXES]
    folder = ListedFormat("image_folder", "read", tuple(image_files.ENDINGS),
                          "a folder of images, or of folders of them, which name the classes")
    exported = [ListedFormat(name, "export", (one.SUFFIX,), one.TEXT, one.NEEDS)
                for name in registry.names("formats") for one in [registry.load("formats", name)]]
    return (*read, folder, *exported)


# ---------------------------------------------------------------- what is shown

@dataclass(frozen=True)
class Listing:
    """What was asked for: as data, and as tables for a person."""

    found: Sequence[Any]
    tables: tuple[Table, ...]


def overview() -> Table:
    """What can be listed."""
    rows = tuple((f"automl-phys list {kind}", text) for kind, (text, _, _) in KINDS.items())
    return Table("What can be listed", ("command", "what it shows"),
                 (*rows, ("automl-phys list recipes FOLDER", "recipes in a folder or an archive")))


def listing(kind: str, names: Sequence[str] = (), task: str | None = None) -> Listing:
    """Things of a kind, all of them or those that are named, or that a task has.

    Raises CallError: ``unknown-word`` for a kind, a name or a task that there is not, ``wrong-option`` for a task's
    things of a kind that tasks do not have.
    """
    if kind not in KINDS:
        raise CallError(registry.unknown_word(kind, [*KINDS, "recipes"], "no kind of thing that is listed"))
    if task is not None:
        registry.check_task(task)
    if task is not None and kind not in OF_TASKS:
        raise CallError(Mistake("wrong-option", f"All tasks have the same {kind}.", "Leave --task out."))
    _, every, show = KINDS[kind]
    found = _of_task(_named(every(), names, kind), task)
    return Listing(found, tuple(show(found, bool(names or task))))


def _named(every: Sequence[Some], names: Sequence[str], kind: str) -> Sequence[Some]:
    wanted = [_plain(name) for name in names]
    known = {_plain(one.name) for one in every}
    if wrong := [name for name, plain in zip(names, wanted, strict=True) if plain not in known]:
        right = list(dict.fromkeys(one.name for one in every))
        raise CallError([registry.unknown_word(name, right, f"none of the {kind}") for name in wrong])
    return [one for one in every if _plain(one.name) in wanted] if names else every


def _plain(name: str) -> str:
    """A name as it is looked up: ``rejection@0.3`` is ``rejection@``, codes may be in small letters."""
    return name.partition("@")[0].lower() + ("@" if "@" in name else "")


def _of_task(found: Sequence[Some], task: str | None) -> Sequence[Some]:
    if task is None:
        return found
    return [one for one in found if task in (getattr(one, "tasks", None) or (one.name,))]


def _show_tasks(found: Sequence[ListedTask], _: bool) -> Iterable[Table]:
    yield Table("Tasks", ("task", "what it does", "objective", "baseline"),
                tuple((one.name, one.text, one.objective, one.baseline) for one in found))


def _show_families(found: Sequence[ListedFamily], in_full: bool) -> Iterable[Table]:
    if not in_full:
        for task in registry.names("tasks"):
            there = [one for one in found if task in one.tasks]
            rows = tuple((one.name, one.text, ", ".join(one.needs)) for one in there)
            yield Table(f"Families of {task}", ("family", "what it is", "needs"), rows)
        yield Table("", (), (), "Parameters of one: automl-phys list families NAME; of a task's: --task TASK")
        return
    for one in found:
        needs = f"; needs {', '.join(one.needs)}" if one.needs else ""
        for space in one.spaces:
            title = f"{one.name} ({', '.join(space.tasks)}): {one.text}{needs}"
            parameters = tuple(parameter_row(name, allowed) for name, allowed in space.parameters.items())
            yield Table(title, PARAMETER_HEAD, parameters, "" if parameters else f"{title}. Nothing is searched.")


PARAMETER_HEAD = ("parameter", "values", "scale", "meaning")


def parameter_row(name: str, allowed: Range) -> tuple[str, str, str, str]:
    """A hyperparameter under ``PARAMETER_HEAD``."""
    scale = readable.scale_of(allowed) + (f", if {readable.condition(allowed.when)}" if allowed.when else "")
    return name, readable.values_of(allowed, LONGEST_CHOICES), scale, allowed.text


def _show_metrics(found: Sequence[ListedMetric], _: bool) -> Iterable[Table]:
    for title in dict.fromkeys(one.of for one in found):
        yield Table(f"{title} (* may be search.objective)", METRIC_HEAD,
                    tuple(_metric_row(one) for one in found if one.of == title))


METRIC_HEAD = ("name", "better", "what is computed", "source")


def _metric_row(one: ListedMetric) -> tuple[str, str, str, str]:
    return f"{one.name}{' *' * one.objective}", one.better, one.formula, one.source


def metrics_in_markdown() -> tuple[str, ...]:
    """The tables of docs/metrics.md, one for each group of metrics, in its order."""
    head, every = [f"| {' | '.join(METRIC_HEAD)} |", "|---|---|---|---|"], metrics()
    return tuple("\n".join([*head, *(_in_markdown(one) for one in every if one.of == title)])
                 for title, _, _ in METRICS)


def _in_markdown(one: ListedMetric) -> str:
    formula, source = (text.replace("|", "\\|") for text in (one.formula, one.source))
    return f"| `{one.name}`{' *' * one.objective} | {one.better} | {formula} | {source + ' ' * bool(source)}|"


def _show_data(found: Sequence[ListedData], _: bool) -> Iterable[Table]:
    yield Table("Built-in data, for 'data: {builtin: NAME}'", ("name", "rows", "columns", "origin"),
                tuple((one.name, one.rows, one.columns, one.origin) for one in found))


def _show_checks(found: Sequence[ListedCheck], _: bool) -> Iterable[Table]:
    yield Table("Checks", ("code", "title", "what it finds"), tuple((one.name, one.title, one.means) for one in found),
                "More on one of them: automl-phys explain CODE")


def _show_formats(found: Sequence[ListedFormat], _: bool) -> Iterable[Table]:
    for use, title in (("read", "Formats of data"), ("export", "Formats of 'automl-phys export --format'")):
        rows = tuple((one.name, " ".join(one.endings), one.text, ", ".join(one.needs))
                     for one in found if one.use == use)
        if rows:
            yield Table(title, ("format", "endings", "what it is", "needs"), rows)


KINDS: Mapping[str, tuple[str, Callable[[], Sequence[Any]], Callable[[Any, bool], Iterable[Table]]]] = {
    "tasks": ("what can be done", tasks, _show_tasks),
    "families": ("kinds of model, and what is searched of them", families, _show_families),
    "metrics": ("what is measured, and by which formula", metrics, _show_metrics),
    "data": ("built-in data sets", data, _show_data),
    "checks": ("what reports warn of", checks, _show_checks),
    "formats": ("formats that data are read in, and that runs are exported to", formats, _show_formats),
}
