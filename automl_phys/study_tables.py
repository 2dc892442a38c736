"""A run's search as rows of Optuna's tables, and where these are: a file of the run, or a PostgreSQL server.

Takes news of trials; writes them in one transaction. Rows go through SQLAlchemy into the tables that Optuna makes and
whose layout it keeps from version to version, since its own storage takes a transaction for each value. When news are
written, and what becomes of a storage that fails, is :mod:`automl_phys.study_record`'s. Optuna and SQLAlchemy are
imported inside.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_phys import space, study_address
from automl_phys.decisions import Plan
from automl_phys.errors import Mistake
from automl_phys.facts import Range
from automl_phys.rundir import FitDir, RunDir
from automl_phys.trials import Job, Result
from automl_phys.values import Value

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_STEPS = 100
"""Values at steps that are kept of a trial, evenly spread; its ``result.json`` has all of them."""
CONNECT_S = 10
"""How long a server may take to answer."""
CUT_OFF = "it was not finished"
PACKAGE = "automl-phys[postgres]"


def address(plan: Plan, run: RunDir) -> str:
    """Where the record of a run is, as SQLAlchemy wants it."""
    return study_address.complete(plan.storage) if plan.storage else f"sqlite:///{run.search.absolute()}"


def study_name(plan: Plan, run: RunDir, family: str) -> str:
    """The name of a family's study."""
    return f"{plan.name}/{run.path.resolve().name}/{family}"


@dataclass
class News:
    """What was not written yet: trials that began, values at steps, how trials ended."""

    since: float = field(default_factory=time.monotonic)
    jobs: dict[int, Job] = field(default_factory=dict)
    values: dict[int, dict[int, float]] = field(default_factory=dict)
    ended: dict[int, Result] = field(default_factory=dict)

    def began(self, job: Job) -> None:
        self.jobs[job.number] = job
        self.ended.pop(job.number, None)

    def __bool__(self) -> bool:
        return bool(self.jobs or self.values or self.ended)


class Tables:
    """Optuna's tables with the studies of one run. ``write`` and ``settle`` are one transaction each; after one that
    failed, this is to be closed and made anew."""

    def __init__(self, plan: Plan, run: RunDir) -> None:
        from optuna.storages._rdb import models

        self._plan, self._run, self._models = plan, run, models
        self._storage = opened(address(plan, run))
        self._studies = {chosen.family: self._study(chosen.family) for chosen in plan.families}
        self._known: dict[int, tuple[int, str]] = {}
        self._counts = dict.fromkeys(self._studies, 0)
        self._steps: dict[int, set[int]] = {}
        self._stale: set[int] = set()
        """Trials that run on record, and not in truth: their parent was killed."""
        with self._storage.engine.begin() as connection:
            self._look(connection)

    def _study(self, family: str) -> int:
        """The id of a family's study, made if it is not there."""
        import optuna

        name = study_name(self._plan, self._run, family)
        directions = [self._plan.direction, *self._plan.others.values()]
        study = optuna.create_study(storage=self._storage, study_name=name, directions=directions, load_if_exists=True)
        if not study.user_attrs:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is called experimental, and years old
                study.set_metric_names([self._plan.objective, *self._plan.others])
            for key, value in (("recipe", self._plan.name), ("task", self._plan.task), ("family", family),
                               ("seed", self._plan.seed)):
                study.set_user_attr(key, value)
        return int(study._study_id)

    def _look(self, connection: Connection) -> None:
        """Which trials are there already, and how they stand."""
        from sqlalchemy import select

        trials, attributes = self._table("TrialModel"), self._table("TrialUserAttributeModel")
        families = {study: family for family, study in self._studies.items()}
        found = connection.execute(
            select(trials.c.trial_id, trials.c.study_id, trials.c.state, attributes.c.value_json)
            .join(attributes, attributes.c.trial_id == trials.c.trial_id)
            .where(attributes.c.key == "trial", trials.c.study_id.in_(families)))
        for row, study, state, number in found:
            self._known[int(json.loads(number))] = (row, state.name)
            self._counts[families[study]] += 1
        self._stale = {number for number, (_, state) in self._known.items() if state == "RUNNING"}

    def write(self, news: News) -> None:
        """Put down what is new."""
        with self._storage.engine.begin() as connection:
            self._begin(connection, [job for number, job in news.jobs.items() if number not in self._known])
            self._take_up(connection, [n for n in news.jobs if n in self._stale or self._known[n][1] not in (
                "RUNNING", _state(news.ended.get(n)))])
            self._step(connection, {n: values for n, values in news.values.items() if n not in news.ended})
            self._end(connection, [r for n, r in news.ended.items() if self._known[n][1] != _state(r)])

    def settle(self) -> None:
        """Trials that are still on record as running, and are not, have failed."""
        left = [Result(n, "failed", None, 0.0, CUT_OFF) for n, (_, state) in self._known.items() if state == "RUNNING"]
        if left:
            with self._storage.engine.begin() as connection:
                self._end(connection, left)

    def close(self) -> None:
        dispose(self._storage)

    def _begin(self, connection: Connection, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        from optuna.trial import TrialState

        trials = self._table("TrialModel")
        rows = []
        for job in jobs:
            rows.append({"study_id": self._studies[job.family], "number": self._counts[job.family],
                         "state": TrialState.RUNNING, "datetime_start": _now()})
            self._counts[job.family] += 1
        made = connection.execute(
            trials.insert().returning(trials.c.trial_id, sort_by_parameter_order=True), rows).scalars().all()
        params: list[dict[str, Any]] = []
        attributes: list[dict[str, Any]] = []
        for row, job in zip(made, jobs, strict=True):
            self._known[job.number] = (row, "RUNNING")
            params += self._params(row, job)
            attributes += _attributes(row, {"trial": job.number, "folder": job.folder, **self._pinned(job)})
        self._insert(connection, "TrialParamModel", params)
        self._insert(connection, "TrialUserAttributeModel", attributes)

    def _take_up(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Trials that run again: they ended, as far as is on record, in a run that was stopped by the clock; or they
        were running when their parent was killed."""
        from optuna.trial import TrialState

        self._stale.difference_update(numbers)
        self._forget(connection, [self._known[n][0] for n in numbers], ("trial", "folder"))
        for number in numbers:
            row = self._known[number][0]
            trials = self._table("TrialModel")
            connection.execute(trials.update().where(trials.c.trial_id == row).values(
                state=TrialState.RUNNING, datetime_start=_now(), datetime_complete=None))
            self._known[number] = (row, "RUNNING")

    def _step(self, connection: Connection, news: Mapping[int, Mapping[int, float]]) -> None:
        rows: list[dict[str, Any]] = []
        for number, values in news.items():
            row, state = self._known[number]
            done = self._steps.setdefault(number, set())
            fresh = {step: value for step, value in values.items() if step not in done} if state == "RUNNING" else {}
            if len(done) < MOST_STEPS:
                rows += self._intermediate(row, fresh)
                done |= fresh.keys()
        self._insert(connection, "TrialIntermediateValueModel", rows)

    def _end(self, connection: Connection, results: Sequence[Result]) -> None:
        if not results:
            return
        from sqlalchemy import bindparam

        trials = self._table("TrialModel")
        ends: list[dict[str, Any]] = []
        values: list[dict[str, Any]] = []
        steps: list[dict[str, Any]] = []
        attributes: list[dict[str, Any]] = []
        self._forget_steps(connection, [self._known[r.number][0] for r in results if r.number in self._steps])
        for result in results:
            row = self._known[result.number][0]
            ended = self._ended_at(result.number)
            ends.append({"row": row, "ending": _trial_state(result), "start": ended - result.seconds, "end": ended})
            self._known[result.number] = (row, _state(result))
            self._steps.pop(result.number, None)
            values += self._values(row, result)
            steps += self._intermediate(row, _thinned(result.values))
            attributes += _attributes(row, _told_of(result))
        connection.execute(
            trials.update().where(trials.c.trial_id == bindparam("row")).values(
                state=bindparam("ending"), datetime_start=bindparam("start"), datetime_complete=bindparam("end")),
            [{**end, "start": _utc(end["start"]), "end": _utc(end["end"])} for end in ends])
        self._insert(connection, "TrialValueModel", values)
        self._insert(connection, "TrialIntermediateValueModel", steps)
        self._insert(connection, "TrialUserAttributeModel", attributes)

    def _ended_at(self, number: int) -> float:
        """When a trial ended, in seconds since 1970: what its file says, so that it is the same when made again."""
        try:
            return FitDir(self._run.trial(number)).result.stat().st_mtime
        except OSError:
            return time.time()

    def _params(self, row: int, job: Job) -> Iterator[dict[str, Any]]:
        from optuna.distributions import distribution_to_json

        ranges = next(chosen.space for chosen in self._plan.families if chosen.family == job.family)
        for name, value in job.params.items():
            if name not in ranges or space.is_pinned(ranges[name]):
                continue
            distribution = distribution_of(ranges[name], value)
            yield {"trial_id": row, "param_name": name, "distribution_json": distribution_to_json(distribution),
                   "param_value": distribution.to_internal_repr(_shown(value) if ranges[name].choices else value)}

    def _pinned(self, job: Job) -> dict[str, Value]:
        """What the trial was given besides what was searched."""
        ranges = next(chosen.space for chosen in self._plan.families if chosen.family == job.family)
        return {f"pinned {name}": value for name, value in job.params.items()
                if name not in ranges or space.is_pinned(ranges[name])}

    def _values(self, row: int, result: Result) -> Iterator[dict[str, Any]]:
        if result.status != "done" or result.value is None:
            return
        finite = self._models.TrialValueModel.TrialValueType.FINITE
        for index, value in enumerate([result.value, *(result.others[name] for name in self._plan.others)]):
            yield {"trial_id": row, "objective": index, "value": value, "value_type": finite}

    def _intermediate(self, row: int, values: Mapping[int, float]) -> Iterator[dict[str, Any]]:
        model = self._models.TrialIntermediateValueModel
        for step, value in values.items():
            stored, kind = model.intermediate_value_to_stored_repr(value)
            yield {"trial_id": row, "step": step, "intermediate_value": stored, "intermediate_value_type": kind}

    def _forget_steps(self, connection: Connection, rows: Sequence[int]) -> None:
        if rows:
            table = self._table("TrialIntermediateValueModel")
            connection.execute(table.delete().where(table.c.trial_id.in_(rows)))

    def _forget(self, connection: Connection, rows: Sequence[int], but: Sequence[str]) -> None:
        """Take out how trials ended."""
        if not rows:
            return
        self._forget_steps(connection, rows)
        values, attributes = self._table("TrialValueModel"), self._table("TrialUserAttributeModel")
        connection.execute(values.delete().where(values.c.trial_id.in_(rows)))
        connection.execute(attributes.delete().where(
            attributes.c.trial_id.in_(rows), attributes.c.key.not_in(but), attributes.c.key.not_like("pinned %")))

    def _insert(self, connection: Connection, model: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            connection.execute(self._table(model).insert(), [dict(row) for row in rows])

    def _table(self, model: str) -> Any:
        return getattr(self._models, model).__table__


def distribution_of(allowed: Range, value: Value) -> Any:
    """A range as Optuna knows it; wide enough for ``value``, should that be outside."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if allowed.choices:
        choices = [_shown(choice) for choice in allowed.choices]
        return CategoricalDistribution(choices if _shown(value) in choices else [*choices, _shown(value)])
    low, high = allowed.low or 0.0, allowed.high or 0.0
    if isinstance(value, (int, float)):
        low, high = min(low, value), max(high, value)
    if allowed.integer:
        return IntDistribution(int(low), int(high), log=allowed.log)
    return FloatDistribution(float(low), float(high), log=allowed.log)


def _shown(value: Value) -> str | None:
    """A choice as a text, by which Optuna tells them apart (to it True is 1), and that people can read."""
    return value if isinstance(value, str) or value is None else json.dumps(value)


def _attributes(row: int, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key, value in values.items():
        yield {"trial_id": row, "key": key, "value_json": json.dumps(value)}


def _told_of(result: Result) -> dict[str, Any]:
    """How a trial ended, for people."""
    told = {"status": result.status, "seconds": round(result.seconds, 3), "steps": result.steps,
            "device": result.device, "worker": result.worker, "memory_mb": result.memory_mb, "message": result.message}
    return {key: value for key, value in told.items() if value not in ("", 0, 0.0) or key == "seconds"}


def _thinned(values: Mapping[int, float]) -> dict[int, float]:
    steps = sorted(values)
    if len(steps) > MOST_STEPS:
        steps = [steps[round(i * (len(steps) - 1) / (MOST_STEPS - 1))] for i in range(MOST_STEPS)]
    return {step: values[step] for step in steps}


def _state(result: Result | None) -> str:
    """The name of Optuna's state for how a trial ended."""
    if result is None:
        return ""
    if result.status == "done" and result.value is not None:
        return "COMPLETE"
    return "PRUNED" if result.status == "pruned" else "FAIL"


def _trial_state(result: Result) -> Any:
    from optuna.trial import TrialState

    return TrialState[_state(result)]


def _now() -> datetime:
    return _utc(time.time())


def _utc(seconds: float) -> datetime:
    """As Optuna's tables keep times: in UTC, without saying so."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


# ---------------------------------------------------------------- opening

def opened(where: str) -> Any:
    """Optuna's storage at an address, its tables made. Raises what SQLAlchemy and its drivers raise."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    where = study_address.complete(where)
    if where.startswith("sqlite:"):
        return _opened_file(where)
    options = f"-c synchronous_commit=off -c statement_timeout={1000 * CONNECT_S} -c lock_timeout={1000 * CONNECT_S}"
    arguments = {"connect_timeout": CONNECT_S, "tcp_user_timeout": 1000 * CONNECT_S, "options": options,
                 "application_name": "automl-phys"}
    for attempt in range(3):
        try:
            return optuna.storages.RDBStorage(where, {"connect_args": arguments, "pool_size": 1})
        except Exception as error:
            if attempt == 2 or not _made_by_another(error):
                raise
            time.sleep(0.5)
    raise AssertionError("not reached")


def _opened_file(where: str) -> Any:
    """A file needs no waiting for the disk: should the machine fail, it is made again from the trials' files."""
    import optuna
    from sqlalchemy import event
    from sqlalchemy.exc import DatabaseError, OperationalError

    path = Path(where.removeprefix("sqlite:///"))
    for fresh in (False, True):
        if fresh:
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            storage = optuna.storages.RDBStorage(where, {"connect_args": {"timeout": CONNECT_S}})
            event.listen(storage.engine, "connect", _do_not_wait)
            storage.engine.dispose()
            return storage
        except OperationalError:
            raise  # locked, or no place for it
        except DatabaseError:  # damaged
            if fresh:
                raise
    raise AssertionError("not reached")


def _do_not_wait(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")


def dispose(storage: Any) -> None:
    """Close the connections of a storage."""
    with suppress(Exception):  # a connection that is gone may complain of that
        storage.scoped_session.remove()
        storage.engine.dispose()


def _made_by_another(error: Exception) -> bool:
    """Two runs that make the tables of an empty database at the same time get in each other's way."""
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    return isinstance(error, (IntegrityError, ProgrammingError)) and "exist" in str(error)


def is_refusal(error: Exception) -> bool:
    """Whether an exception is a storage's: not reached, not allowed, gone, damaged, made by another version."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, (SQLAlchemyError, OptunaError, OSError, ImportError, RuntimeError))


def reason(error: Exception) -> str:
    """The first line of what a storage says, without the statement that SQLAlchemy adds."""
    said = str(getattr(error, "orig", None) or error.__cause__ or error).strip()
    return (said.splitlines() or [type(error).__name__])[0].strip().removesuffix(".")


def refusal(where: str, error: Exception) -> Mistake:
    """What a storage says, with a remedy."""
    key = ("search", "storage")
    if isinstance(error, ImportError):
        return Mistake("no-driver", "The driver of PostgreSQL, psycopg, is not installed.",
                       f"Install it: pip install '{PACKAGE}'", key)
    return Mistake("no-storage", f"The storage {where} cannot be used: {reason(error)}.",
                   "Check the address, that the server runs and that you may make tables there; the password belongs "
                   "into ~/.pgpass or PGPASSWORD. Or leave 'storage' out: then it is a file of the run.", key)
