"""The sections of a recipe that seeks anomalies: what is normal, what is known of the truth, and how models are chosen.

As :mod:`automl_phys.sections` for other tasks. What the data and ``anomaly`` say together of the rows is in
:class:`AnomalyEvents`, which the modules of tables read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from automl_phys import expressions
from automl_phys.section import Broken, Column, Expression, Missing, Section
from automl_phys.sections import PlainTable

Method: TypeAlias = Literal["one-class", "unlabelled", "weakly-supervised"]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=0.5)]

INJECTIONS = (0.0, 0.005, 0.02, 0.05)
TRUTH_OF_NORMAL = "not ({})"
"""The truth where only the normal events are named."""


class AnomalyTable(PlainTable):
    """A table of events, of which it may be said which are normal, and which are anomalies."""

    normal: Expression | Missing = None
    """Which events are normal, such as background of a simulation or of a sideband: label == 0. Models are trained on
    them alone, unless 'anomaly.method' says otherwise."""
    truth: Expression | Missing = None
    """Which events are anomalies, where that is known: label == 1. It judges the finished models on the test events,
    and nothing is fitted or chosen by it. Default: what is not normal, if 'normal' is given."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        if self.split.folds is not None:
            yield Broken("split", "The p-values need normal events that no model was fitted on, and folds leave none.",
                         "Leave 'folds' out.")


class AnomalyEvents(AnomalyTable):
    """A table with all that a recipe says of its events, its ``anomaly`` section included; never written in a recipe.
    """

    method: Method
    signal_region: Expression | Missing = None
    mass: Column | Missing = None
    choose_by: Literal["stand-ins", "truth"] = "stand-ins"
    inject: Share | Missing = None
    background_efficiency: float = 0.01
    injections: tuple[float, ...] = ()
    truth_stated: bool = True
    """Whether the recipe names the anomalies, and not just what is normal."""
    injections_stated: bool = True
    """Whether the recipe says which shares are injected."""

    @property
    def flags(self) -> dict[str, str]:
        return {"normal": self.normal or "", "truth": self.truth or "", "signal_region": self.signal_region or ""}

    @property
    def hidden(self) -> tuple[str, ...]:
        """Columns that tell which events are normal, or anomalies: those that the expressions name, those by which
        these are defined, and those that are defined by any of them. They are never learned from."""
        named = self._made_of(self.normal, self.truth)
        return (*named, *(name for name, text in self.define.items()
                          if name not in named and not set(named).isdisjoint(self._made_of(text))))

    @property
    def apart(self) -> tuple[str, ...]:
        """The hidden columns and, unless the recipe lists them as features, the mass and those of the signal region."""
        named = dict.fromkeys([*self.hidden, *([self.mass] if self.mass else []), *self._made_of(self.signal_region)])
        asked = (*(self.features or ()), *self.categorical)
        return tuple(name for name in named if name in self.hidden or name not in asked)

    def _made_of(self, *texts: str | None) -> tuple[str, ...]:
        names: dict[str, None] = {}
        todo = [text for text in texts if text]
        while todo:
            for name in expressions.parse(todo.pop()).names:
                if name not in names and name in self.define:
                    todo.append(self.define[name])
                names[name] = None
        return tuple(names)


class Anomaly(Section):
    """How anomalies are sought, and what a flag means."""

    background_efficiency: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Share of normal events that is flagged all the same; the threshold is set by held-out normal events."""
    method: Method | Missing = None
    """one-class: trained on the events that 'data.normal' names. unlabelled: trained on all events, be there anomalies
    among them or not. weakly-supervised: trained to tell the events of 'signal_region' from those of its sidebands.
    Default: what is given, of 'data.normal' and 'signal_region', in this order."""
    signal_region: Expression | Missing = None
    """Where a resonance is sought, by its mass: m_jj > 3300 and m_jj < 3700. What is outside are the sidebands."""
    mass: Column | Missing = None
    """The mass in which the resonance is sought. Default: the one column of 'signal_region'."""
    choose_by: Literal["stand-ins", "truth"] = "stand-ins"
    """What models are compared on. stand-ins: events that stand in for anomalies, see 'stand_ins', or the events of the
    signal region, so that no anomaly is seen. truth: a part of the true anomalies, which the report then says."""
    stand_ins: Literal["auto", "rare", "corrupted"] = "auto"
    """What stands in for anomalies, made of held-out events. rare: real events, drawn again so that they lie elsewhere
    than most do, in some direction. corrupted: copies with columns of another event or noise, or mixed of two. auto:
    rare, for images corrupted."""
    inject: Share | Missing = None
    """Share of the training and validation events that are anomalies, by the truth: others are kept out of the fit. 0
    for background alone. Not in the one-class setting."""
    injections: Annotated[tuple[Share, ...], Field(strict=False, max_length=20)] | Missing = None
    """Shares of anomalies, by the truth, with which the winner is trained again at the end, to see what it takes to
    find them, and what they spoil. []: none. Default: those of 0, 0.005, 0.02, 0.05 that there are anomalies for."""
    draws: Annotated[int, Field(ge=1, le=50)] = 2
    """How often this is done for each share, with other anomalies."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        if self.signal_region is not None and self.mass is None and len(names := _names(self.signal_region)) != 1:
            what = "no column at all" if not names else f"{len(names)} columns, {', '.join(names)}"
            yield Broken("signal_region", f"The signal region is made of {what}, and it is not said which is the mass.",
                         "Add 'mass: COLUMN'.")
        if self.method == "weakly-supervised" and self.signal_region is None:
            yield Broken("method", "The weakly supervised method compares a signal region with its sidebands, and none "
                         "is given.", "Give 'signal_region', such as \"m_jj > 3300 and m_jj < 3700\".")
        if len(set(self.shares)) < len(self.shares):
            yield Broken("injections", "A share is there twice.", "Keep one: 'draws' repeats them all.")

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares that are injected, as far as there are anomalies for them."""
        return INJECTIONS if self.injections is None else self.injections

    @property
    def mass_column(self) -> str:
        """The mass, empty where none is given."""
        return self.mass or (_names(self.signal_region)[0] if self.signal_region else "")


class Options(Section):
    """The sections of a recipe that belong to this task."""

    data: AnomalyTable
    """Where the events are, and the part that each column plays."""
    anomaly: Anomaly = Field(default_factory=Anomaly)
    """How anomalies are sought, and what a flag means."""

    def broken(self) -> Iterator[Broken]:
        yield from super().broken()
        asked, data = self.anomaly, self.data
        if self.method == "one-class" and data.normal is None:
            yield Broken("anomaly", "The one-class method is trained on normal events, and it is not said which these "
                         "are.", "Add 'normal' under data, such as \"label == 0\".")
        if not self.truth and asked.choose_by == "truth":
            yield Broken("anomaly", "Models cannot be chosen by a truth that is not given.",
                         "Give 'truth' under data, or leave 'choose_by' out.")
        if asked.inject is not None and self.method == "one-class":
            yield Broken("anomaly", "The one-class method is trained on normal events alone, so nothing is injected.",
                         "Say 'method: unlabelled', or leave 'inject' out.")
        elif asked.inject is not None and not self.truth:
            yield Broken("anomaly", "Anomalies cannot be injected where none are known.",
                         "Give 'truth' under data, or leave 'inject' out.")

        features = (*(data.features or ()), *data.categorical)
        for name in self.table.hidden:
            if name in features:
                yield Broken("data", f"'{name}' tells which events are normal, or anomalies, and is made a feature.",
                             "Leave it out of 'features' and 'categorical': models would learn nothing else.")

    @property
    def method(self) -> Method:
        """How models learn: as said, or by what is given."""
        if self.anomaly.method is not None:
            return self.anomaly.method
        if self.data.normal is not None:
            return "one-class"
        return "weakly-supervised" if self.anomaly.signal_region is not None else "unlabelled"

    @property
    def truth(self) -> str:
        """Which events are anomalies, empty where that is not known."""
        return self.data.truth or (TRUTH_OF_NORMAL.format(self.data.normal) if self.data.normal else "")

    @property
    def table(self) -> AnomalyEvents:
        """The data with what ``anomaly`` says of the events; what tells them apart is no feature."""
        given = {name: getattr(self.data, name) for name in AnomalyTable.model_fields}
        asked = self.anomaly
        return AnomalyEvents.model_construct(
            **{**given, "truth": self.truth or None}, method=self.method, signal_region=asked.signal_region,
            mass=asked.mass_column or None, choose_by=asked.choose_by, inject=asked.inject,
            background_efficiency=asked.background_efficiency, truth_stated=self.data.truth is not None,
            injections=asked.shares, injections_stated=asked.injections is not None)


def _names(text: str) -> tuple[str, ...]:
    return expressions.parse(text).names
