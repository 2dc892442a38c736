"""Modules of the user's own that hold environments: importing them, from the recipe's folder or installed.

Takes the name of a module and a folder; gives the module. Whether its code may run is not decided here: nothing calls
this before the user has said so (:mod:`automl_phys.environments`).
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module, util
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from automl_phys.errors import DataError, Key, Mistake

ID: Key = ("environment", "id")


def imported(name: str, folder: str) -> ModuleType:
    """The module ``name`` (``package.module``), from ``folder`` if it lies there; its neighbours there can be imported
    too, but hide no others. Raises DataError where there is none, where there is another one of that name, and where
    its code raises."""
    where = str(Path(folder).resolve()) if folder else ""
    try:
        if where:
            _from_folder(name.partition(".")[0], where)
        return import_module(name)
    except DataError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            text = f"There is no module {name}" + (f" in {folder}, and none installed." if folder else ".")
            raise DataError(Mistake("environment-module", text, "Put it beside the recipe.", ID)) from error
        raise DataError(_raised(name, error)) from error
    except Exception as error:  # whatever the user's own code raises
        raise DataError(_raised(name, error)) from error


def member(module: ModuleType, name: str) -> Any:
    """What the module calls ``name``. Raises DataError where it has no such name, or it cannot be called."""
    if not hasattr(module, name):
        near = get_close_matches(name, [key for key, one in vars(module).items() if isinstance(one, type)], n=1)
        raise DataError(Mistake("unknown-environment", f"Module {module.__name__} has no class '{name}'."
                                + (f" Did you mean '{near[0]}'?" if near else ""), "", ID))
    found = getattr(module, name)
    if not callable(found):
        raise DataError(Mistake("not-an-environment", f"'{name}' of module {module.__name__} is no class.",
                                "Name a class derived from gymnasium.Env.", ID))
    return found


def _from_folder(top: str, where: str) -> None:
    """Load the module or package ``top`` if it is in the folder."""
    found = PathFinder.find_spec(top, [where])
    if found is None or found.loader is None:
        return
    loaded = sys.modules.get(top)
    if loaded is not None and getattr(loaded, "__file__", None) != found.origin:
        raise DataError(Mistake("environment-module", f"There is another module named {top} already.",
                                "Give your module a name of its own.", ID))
    if where not in sys.path:
        sys.path.append(where)
    if loaded is None:
        _load(top, found, found.loader)


def _load(top: str, found: ModuleSpec, loader: Loader) -> None:
    made = util.module_from_spec(found)
    sys.modules[top] = made
    try:
        loader.exec_module(made)
    except BaseException:
        del sys.modules[top]
        raise


def _raised(name: str, error: Exception) -> Mistake:
    return Mistake("environment-module", f"Importing module {name} raised {type(error).__name__}: {error}", "", ID)
