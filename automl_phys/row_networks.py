"""What fitted Keras networks on rows of tables and images have in common: how they predict, are saved and exported.

Takes a model and, from each of those that build upon it, what the model takes of rows. Imports Keras only where it is
used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from automl_phys.onnx_rows import OnnxRows
    from automl_phys.table import Rows
    from automl_phys.values import Array


@dataclass(frozen=True)
class RowNetwork(ABC):
    """A Keras model from raw columns to class probabilities, or amounts; ``FILE`` is what it is saved as."""

    model: Any
    steps: int
    history: tuple[Mapping[str, float], ...] = ()
    FILE: ClassVar[str]

    @abstractmethod
    def inputs(self, rows: Rows) -> tuple[Array, ...]:
        """What the network takes of rows."""

    def predict(self, rows: Rows) -> Array:
        """Class probabilities (n, classes), or value and uncertainty (n, t, 2); float32."""
        from automl_phys import keras_fit

        return keras_fit.predict(self.model, self.inputs(rows))

    def write_onnx(self, rows: OnnxRows) -> str:
        """The nodes of the network."""
        from automl_phys import onnx_networks

        return onnx_networks.add(rows.graph, self.model, [getattr(rows, one.name) for one in self.model.inputs])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save(folder / self.FILE)
