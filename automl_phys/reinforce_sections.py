"""The sections of a recipe that trains an agent: the environment, how long is trained, how the agents are judged.

As :mod:`automl_phys.sections` for other tasks. No recipe can make this program import code of its own: whether an
environment named ``module:Class`` may be is said on the command line, see :meth:`Options.trusting`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, PrivateAttr

from automl_phys.section import Broken, Missing, Section

Argument: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any]


class Environment(Section):
    """What the agent acts in: an environment of Gymnasium."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    """Name of an environment that Gymnasium knows, such as CartPole-v1, or of automl-phys, such as
    automl_phys/BeamSteering-v0. Or module:Class, a Python module beside the recipe: needs --trust-environment."""
    arguments: dict[str, Argument] = Field(default_factory=dict)
    """What the environment is made with, such as {noise: 0.1}; its own words."""
    time_limit: Annotated[int, Field(ge=1, le=10_000_000)] | Missing = None
    """Steps after which an episode is cut off. Default: the environment's own."""
    frame_stack: Annotated[int, Field(ge=2, le=64)] | Missing = None
    """So many of the last observations are seen at once, for environments that show no velocities."""
    copies: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = "auto"
    """Environments that are trained in side by side, in one process. auto: what suits the algorithm."""
    normalize: Literal["auto"] | bool = "auto"
    """Whether observations, and for some algorithms rewards, are scaled by their running mean and width. auto: where
    it is known to help."""

    _trusted: bool = PrivateAttr(default=False)

    @property
    def trusted(self) -> bool:
        """Whether Python code beside the recipe may be imported; said on the command line alone."""
        return self._trusted

    def trusting(self) -> Self:
        """The same, with leave to import code beside the recipe."""
        made = self.model_copy()
        made._trusted = True
        return made


class Train(Section):
    """How long an agent is trained."""

    steps: Annotated[int, Field(ge=1, le=10_000_000_000)]
    """Steps in the environment, those of all copies together: the budget of each training."""


class Evaluate(Section):
    """How finished agents are judged."""

    episodes: Annotated[int, Field(ge=2, le=100_000)] = 100
    """Episodes that each agent plays at the end, begun by seeds that no training and no choice has seen."""
    seeds: Annotated[int, Field(ge=1, le=20)] = 5
    """How often the chosen configuration is trained anew, each time from another seed: the report is about these
    agents."""
    choose_by: Annotated[int, Field(ge=2, le=10_000)] = 20
    """Episodes, with seeds of their own, by which trials, and the moments of a training, are compared."""


class Options(Section):
    """The sections of a recipe that belong to this task."""

    environment: Environment
    """What the agent acts in."""
    train: Train
    """How long an agent is trained."""
    evaluate: Evaluate = Field(default_factory=Evaluate)
    """How finished agents are judged."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        copies = self.environment.copies
        if isinstance(copies, int) and copies > self.train.steps:
            yield Broken("environment", f"{copies} copies of the environment take more than the {self.train.steps} "
                         "steps of the training to move once.", "Raise 'train.steps', or lower 'copies'.")

    def trusting(self) -> Self:
        """The same, with leave to import an environment from the recipe's folder."""
        return self.model_copy(update={"environment": self.environment.trusting()})
