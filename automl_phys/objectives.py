"""Objectives beside those of a task: what any trial can be measured by.

Takes a name; gives its direction and label, and of a saved model its size. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from automl_phys import readable
from automl_phys.contracts import direction_of
from automl_phys.values import Direction

SIZE = "size"
"""Bytes of the saved model: the same for the same trial on any machine, which seconds for an event are not."""
OWN: Mapping[str, Direction] = {SIZE: "minimize"}
LABELS = {SIZE: "Size of the model (bytes)"}


def direction(of_task: Mapping[str, Direction], name: str) -> Direction:
    """Whether an objective is to be maximised. Raises KeyError for an unknown one."""
    return OWN[name] if name in OWN else direction_of(of_task, name)


def label(name: str) -> str:
    """What figures and tables call an objective."""
    return LABELS.get(name) or readable.metric(name)


def size(folder: Path) -> float:
    """Bytes of all files in a folder, 0 where there is none."""
    return float(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
