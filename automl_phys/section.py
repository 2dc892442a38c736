"""What every section of a recipe is made of: its base class, the types that keys share, rules between keys.

Standard for all modules of sections; which sections and keys there are is said by :mod:`automl_phys.sections` and by
the tasks' own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from automl_phys import expressions

Label: TypeAlias = str | int | bool
"""A value of the target as it stands in the data."""
Fraction: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Percent: TypeAlias = Annotated[float, Field(ge=1, le=99.99)]
Column: TypeAlias = Annotated[str, Field(min_length=1)]
Columns: TypeAlias = Annotated[tuple[Column, ...], Field(strict=False)]
ByClass: TypeAlias = Annotated[dict[Column, Column | Annotated[Columns, Field(min_length=1)]],
                               Field(min_length=2)]
"""Files by the class of their rows."""
Side: TypeAlias = Annotated[int, Field(ge=1, le=65_536)]
Threads: TypeAlias = Annotated[int, Field(ge=1, le=4096)]
Slug: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$", max_length=80)]
"""Fit to name a folder: no slashes, no '..', not hidden."""
Missing: TypeAlias = SkipJsonSchema[None]
"""What an absent key holds; not a value that a recipe writes."""


class Broken(NamedTuple):
    """A broken rule; ``key`` is the one of the section to point at, empty for the section itself."""

    key: str
    text: str
    remedy: str


def _readable(text: str) -> str:
    try:
        expressions.parse(text)
    except expressions.ExpressionError as error:
        raise PydanticCustomError("rules", "{broken}", {"broken": (Broken("", error.text, error.remedy),)}) from error
    return text


Expression: TypeAlias = Annotated[str, Field(min_length=1), AfterValidator(_readable)]
"""An expression of columns, held against the language when the recipe is read."""


class Section(BaseModel):
    """A section: unknown keys are errors, nothing is converted, and ``null`` means as if not written."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_default(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}

    @model_validator(mode="after")
    def _keeps_the_rules(self) -> Self:
        if broken := tuple(self.broken()):
            raise PydanticCustomError("rules", "{broken}", {"broken": broken})
        return self

    def broken(self) -> Iterator[Broken]:
        """The rules between keys that this section breaks: what the type of one key cannot say."""
        yield from ()
