"""Plain values: what parameters may be, directions, parts of the data, and JSON.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
else:
    Array = Any

Value: TypeAlias = bool | int | float | str | None | list[Any]
"""What a hyperparameter may be: a JSON scalar or a list of them."""
Params: TypeAlias = Mapping[str, Value]
Direction: TypeAlias = Literal["maximize", "minimize"]
Part: TypeAlias = Literal["train", "valid", "test"]


def to_json(thing: Any) -> Any:
    """Dataclasses, mappings and tuples as plain JSON values; NaN and infinities as ``"nan"``, ``"inf"``, ``"-inf"``."""
    if is_dataclass(thing) and not isinstance(thing, type):
        return {f.name: to_json(getattr(thing, f.name)) for f in fields(thing)}
    if isinstance(thing, Mapping):
        return {str(k): to_json(v) for k, v in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [to_json(v) for v in thing]
    if isinstance(thing, float) and not isfinite(thing):
        return str(thing)
    return thing
