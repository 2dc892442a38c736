"""Stage: hold the finished run against every check and write down what they find.

Takes the files of a run, gives findings and writes ``findings.json``. What is looked for is in ``checks/``.
"""

from __future__ import annotations

from automl_phys import registry, rundir, search_figures
from automl_phys.contracts import Check, Seen, Show
from automl_phys.decisions import Plan
from automl_phys.errors import AutomlPhysError
from automl_phys.exhibits import Evaluation, Finding
from automl_phys.rundir import RunDir
from automl_phys.telling import counted
from automl_phys.trials import Ensemble


def run(plan: Plan, run_dir: RunDir, show: Show) -> tuple[Finding, ...]:
    """Run all checks, the worst findings first. Raises CallError when the run is not finished."""
    show.stage("Checks")
    seen = Seen(plan, search_figures.read_trials(run_dir), rundir.read_json(run_dir.ensemble, Ensemble),
                rundir.read_json(run_dir.evaluation, Evaluation),
                registry.load("tasks", plan.task).load(run_dir.problem))
    found = [finding(registry.load("checks", name), seen)
             for name in counted(registry.names("checks"), "checks", show.advance)]
    order = ("issue", "tip", "passed", "not applicable")
    found.sort(key=lambda f: order.index(f.outcome))
    rundir.write_json(run_dir.findings, found)
    for one in found:
        if one.outcome in ("issue", "tip"):
            show.say(f"{one.outcome}: {one.title}. {one.text}")
    return tuple(found)


def finding(check: Check, seen: Seen) -> Finding:
    """What one check says. One that cannot read the run, or fails on its numbers, is told of and stops no other."""
    try:
        outcome, text = check.check(seen)
    except (AutomlPhysError, OSError, ArithmeticError, LookupError) as error:
        return Finding(check.CODE, check.TITLE, "not applicable",
                       f"The check could not be run: {type(error).__name__}: {error}")
    return Finding(check.CODE, check.TITLE, outcome, text)
