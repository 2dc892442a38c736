"""What another program says: of the driver of the GPUs, of git. Takes a command, gives text."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

PATIENCE_S = 20
"""How long a program may take to answer; a GPU driver that sleeps takes some seconds to wake."""


def said_by(command: Sequence[str], patience_s: float = PATIENCE_S) -> str:
    """What a program writes; empty when it is not there, fails or takes too long."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        answer = subprocess.run(  # noqa: S603 - the commands are written in this package
            [program, *command[1:]], capture_output=True, text=True, timeout=patience_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""
