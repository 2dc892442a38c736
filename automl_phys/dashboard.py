"""Looking at a search in the browser, with optuna-dashboard, on this machine only.

Takes a run; serves its record (:mod:`automl_phys.study_record`), made from the trials' files where it is not there,
until Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from automl_phys import rundir, study_record, study_tables
from automl_phys.decisions import Plan
from automl_phys.errors import CallError, Mistake
from automl_phys.rundir import RunDir

HOST = "127.0.0.1"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base class has it
        """Nothing: one line for each picture of a page helps nobody."""


def serve(run: RunDir, port: int, tell: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; ``port`` 0 takes a free one. Raises CallError without the package, for a folder that is no
    run and for a port that is taken, RunError for a server that cannot be reached."""
    if find_spec("optuna_dashboard") is None:
        raise CallError(Mistake("not-installed", "optuna-dashboard is not installed.",
                                "Install it: pip install 'automl-phys[dashboard]'"))
    plan = rundir.read_json(run.plan, Plan)
    storage = study_record.to_look_at(plan, run)
    from optuna_dashboard import wsgi

    try:
        server = make_server(HOST, port, wsgi(storage), server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        study_tables.dispose(storage)
        raise CallError(Mistake("port-taken", f"Nothing can be served at {HOST}:{port}: {error.strerror}.",
                                "Give another one: --port 8081; 0 takes a free one.")) from error
    names = ", ".join(study_tables.study_name(plan, run, chosen.family) for chosen in plan.families)
    tell(f"The search is at http://{HOST}:{server.server_port}/dashboard (Ctrl-C ends this).\nStudies: {names}")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        tell("Ended.")
    finally:
        server.server_close()
        study_tables.dispose(storage)
