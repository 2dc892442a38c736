"""automl-phys: declarative AutoML for physicists. Importing it imports nothing heavy.

    import automl_phys

    found = automl_phys.run("recipe.yaml")           # or automl_phys.load("runs/recipe/latest")
    found.metrics, found.figure("roc-curve")

See :mod:`automl_phys.notebook`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load", "run"]

if TYPE_CHECKING:
    from automl_phys.notebook import load, run


def __getattr__(name: str) -> Any:
    if name in ("load", "run"):
        from automl_phys import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module 'automl_phys' has no attribute '{name}'")
