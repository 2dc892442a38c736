"""Did trials fail, and why?"""

from __future__ import annotations

from collections import Counter

from automl_phys.contracts import Outcome, Seen

CODE = "C-FAILED"
TITLE = "All trials ran"

MANY = 0.2


def check(seen: Seen) -> tuple[Outcome, str]:
    """Tip when trials failed or ran out of time, issue when more than a fifth did; with the commonest reason."""
    if not seen.trials:
        return "not applicable", "There were no trials."
    bad = [t for t in seen.trials if t.result.status in ("failed", "timed_out")]
    if not bad:
        return "passed", ""
    reasons = Counter((t.job.family, t.result.message.splitlines()[0] if t.result.message else t.result.status)
                      for t in bad)
    (family, reason), times = reasons.most_common(1)[0]
    said = (f"{len(bad)} of {len(seen.trials)} trials failed or ran out of time; most often ({times}) {family}: "
            f"{reason}. The tracebacks are in the folders of the trials.")
    return ("issue" if len(bad) > MANY * len(seen.trials) else "tip"), said
