"""Networks that were saved, of our own layers and Keras's: loaded on any framework, whichever they were trained on.

Nothing in a file is run: Keras loads in its safe mode.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from automl_phys.keras_fit import load_keras


def load(file: Path) -> Any:
    """The Keras model in a ``.keras`` file. Raises what Keras does for one that it cannot load safely."""
    keras = load_keras()
    from automl_phys import base_layers, heads, image_layers, layers  # noqa: F401 - registers the layers of files

    return keras.models.load_model(file, compile=False, safe_mode=True)
