"""Every test's process is set up as a worker's is: one thread, no GPU, Keras on JAX, before anything heavy is imported."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("untimed")

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")

from automl_phys import worker  # noqa: E402 - imports numpy, which reads the variables above

# Compiled networks are kept for all of them, too: tests meet the same small ones over and over.
for name, value in worker.environment(1, "cpu", "jax").items():
    os.environ.setdefault(name, value)


@pytest.fixture(autouse=True, scope="module")
def _old_objects_are_not_looked_at_again() -> Iterator[None]:
    """Each trial collects garbage. In a process of thousands of tests that would take a second each time, and an hour
    in all: what lives on after a module's tests is left out of it."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The task and the families of ``tests/fakes``, known to this process and to those it starts."""
    from automl_phys import registry

    folder = str(Path(__file__).parent / "fakes")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder, prepend=os.pathsep)
    monkeypatch.setattr(registry, "load", registry.load)  # so that it is put back
    import fakes as module

    module.install()
    return module
