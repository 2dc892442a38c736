"""Did trials fail, and why?"""

from __future__ import annotations

from collections import Counter

from automl_phys.contracts import Seen
from automl_phys.exhibits import Outcome

CODE = "C-FAILED"
TITLE = "Failed trials"
MEANS = "Trials ended with an error: an issue when it was more than a fifth of them."
WHY = "They cost time, and the search knows less: if all models of one family failed, the comparison was not one."
REMEDY = (
    "Read the commonest reason in the message; tracebacks are in the run's folder 'trials'. Memory and diverging "
    "learning rates are the usual causes.")
SOURCES = ""

MANY = 0.2


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when trials failed, issue when more than a fifth did; with the commonest reason. One that the end of the
    budget stopped did not fail."""
    if not seen.trials:
        return "not applicable", "There were no trials."
    bad = [t for t in seen.trials if t.result.status == "failed"]
    if not bad:
        return "passed", ""
    reasons = Counter((t.job.family, t.result.message.splitlines()[0] if t.result.message else t.result.status)
                      for t in bad)
    (family, reason), times = reasons.most_common(1)[0]
    said = (f"{len(bad)} of {len(seen.trials)} trials failed; most often ({times}) {family}: "
            f"{reason}. The tracebacks are in the folders of the trials.")
    return ("issue" if len(bad) > MANY * len(seen.trials) else "tip"), said
