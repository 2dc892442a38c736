"""Networks by themselves, for ``search.py``: what our loop adds to an epoch, and whether many small networks train
quicker at once than one after the other.

Rows are drawn at random: 20 numbers, two classes. Each measurement runs in a process of its own, which calls this file
with what is to be measured, as one line of JSON, and prints one; it starts with the variables of a worker with one
thread or two.

``epoch``: seconds of one epoch, the median of several after the first, of ``keras_fit.fit`` on JAX, and of a bare
``jax.lax.scan`` over shuffled batches with the same network and the same optimiser (Keras's stateless calls, weights of
the rows in the loss, nothing judged). Ours cannot but judge and keep the best weights: the first
ratio is with two batches of rows to judge, the second with a pass over a validation part a third as large as the
training part.

``together``: networks of one shape that differ in learning rate, weight decay and seed, K of them by ``jax.vmap``
over a scan of 40 steps, each on batches of its own, against one after the other in that scan;
compiled before the clock runs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS, CLASSES = 20, 2
EPOCHS_OF = ({"rows": 20_000, "batch": 256, "epochs": 12}, {"rows": 200_000, "batch": 1024, "epochs": 5})
UNITS = (128, 128, 128)
SHAPES: tuple[tuple[int, ...], ...] = ((32, 32), (128, 128, 128))
BATCHES = (128, 512)
NUMBERS = (8, 32)
TOGETHER_STEPS = 40
ROWS = 10_000


def epoch(turns: int) -> None:
    """Print the ratios of an epoch."""
    for size in EPOCHS_OF:
        found: dict[str, list[float]] = {"ours": [], "ours, judging": [], "bare": []}
        for _ in range(turns):
            for name, took in measured({"what": "epoch", **size}, 1).items():
                found[name].append(took)
        ours, judging, bare = (min(values) for values in found.values())
        print(f"{size['rows']} rows, batch {size['batch']}: bare scan {bare:.3f} s, ours {ours:.3f} s, with validation "
              f"{judging:.3f} s; ratios {ours / bare:.2f} and {judging / bare:.2f}", flush=True)


def together(turns: int) -> None:
    """Print how many networks a minute are trained at once, over one by one."""
    for threads in (1, 2):
        for shape in SHAPES:
            for batch in BATCHES:
                wanted = {"what": "together", "units": shape, "batch": batch, "turns": turns}
                found = measured(wanted, threads)
                alone = found["alone"]
                print(f"{threads} thread{'s' * (threads > 1)}, {len(shape)} layers of {shape[0]}, batch {batch}: "
                      f"{1e6 * alone:.0f} µs a step alone; networks a minute at once over one by one: "
                      + ", ".join(f"{number} of them {alone / found[str(number)]:.2f}" for number in NUMBERS),
                      flush=True)


def measured(wanted: Mapping[str, Any], threads: int) -> dict[str, float]:
    """What a process of its own finds."""
    from automl_phys import worker

    done = subprocess.run([sys.executable, str(Path(__file__)), json.dumps(wanted)], check=True, capture_output=True,
                          text=True, env={**os.environ, **worker.environment(threads, "cpu", "jax")})
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def network(units: tuple[int, ...]) -> Any:
    import keras

    hidden = inputs = keras.Input((COLUMNS,))
    for number in units:
        hidden = keras.layers.Dense(number, "silu")(hidden)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(hidden))


def drawn(rows: int) -> tuple[Any, Any, Any]:
    """Numbers (n, 20), one-hot classes (n, 2) that follow from two of them, weights (n,)."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, COLUMNS)).astype(np.float32)
    labels = (values[:, 0] * values[:, 1] + rng.normal(size=rows) > 0).astype(int)
    return values, np.eye(CLASSES, dtype=np.float32)[labels], np.ones(rows, np.float32)


def scan_epoch(model: Any, apply: Callable[[Any, Any, Any], tuple[Any, Any]], batch: int, steps: int) -> Any:
    """An epoch of ``steps`` batches: (state, key, data) to (state, loss). ``apply`` takes the optimiser's state, the
    gradients, the weights."""
    import jax
    import jax.numpy as jnp

    def loss_of(trainable: Any, fixed: Any, values: Any, target: Any, weight: Any) -> Any:
        logits, fixed = model.stateless_call(trainable, fixed, values, training=True)
        return (weight * -jnp.sum(target * jax.nn.log_softmax(logits), axis=-1)).mean(), fixed

    def run(state: Any, key: Any, data: Any) -> Any:
        def step(state: Any, chosen: Any) -> Any:
            trainable, fixed, optimizing = state
            (loss, fixed), gradients = jax.value_and_grad(loss_of, has_aux=True)(
                trainable, fixed, *(array[chosen] for array in data))
            optimizing, trainable = apply(optimizing, gradients, trainable)
            return (trainable, fixed, optimizing), loss

        rows = len(data[0])
        order = jnp.resize(jax.random.permutation(key, rows), (steps, batch))
        state, losses = jax.lax.scan(step, state, order)
        return state, losses.mean()

    return run


def epoch_seconds(wanted: Mapping[str, Any]) -> dict[str, float]:
    """Both sides in one process, in turns."""
    rows = int(wanted["rows"])
    data, valid = drawn(rows), drawn(rows // 3)
    few = tuple(array[:2 * int(wanted["batch"])] for array in valid)
    sides: dict[str, Callable[[], list[float]]] = {
        "ours": lambda: _ours(data, few, wanted), "ours, judging": lambda: _ours(data, valid, wanted),
        "bare": lambda: _bare(data, wanted)}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(2):
        for name, side in sides.items():
            found[name].append(statistics.median(side()))
    return {name: min(values) for name, values in found.items()}


def _ours(data: Any, valid: Any, wanted: Mapping[str, Any]) -> list[float]:
    from automl_phys import heads, keras_fit

    def batch(arrays: Any) -> keras_fit.Batch:
        return keras_fit.Batch((arrays[0],), arrays[1], arrays[2])

    marks: list[float] = []
    training = keras_fit.Training(wanted["epochs"], wanted["batch"], 1e-3, weight_decay=0.01, patience=1000)
    keras_fit.fit(network(UNITS), heads.classes(0.0), batch(data), batch(valid), training, 0,
                  lambda _epoch, _predictions: marks.append(time.perf_counter()))
    return list(np.diff(marks))


def _bare(data: Any, wanted: Mapping[str, Any]) -> list[float]:
    import jax
    import jax.numpy as jnp

    from automl_phys import keras_fit

    model = network(UNITS)
    steps = -(-len(data[0]) // wanted["batch"])
    training = keras_fit.Training(wanted["epochs"], wanted["batch"], 1e-3, weight_decay=0.01)
    optimizer = keras_fit._optimizer(model, training, steps)

    def apply(optimizing: Any, gradients: Any, trainable: Any) -> Any:
        trainable, optimizing = optimizer.stateless_apply(optimizing, gradients, trainable)
        return optimizing, trainable

    run = jax.jit(scan_epoch(model, apply, wanted["batch"], steps), donate_argnums=0)
    state: Any = tuple([jnp.array(v.value, copy=True) for v in group] for group in (
        model.trainable_variables, model.non_trainable_variables, optimizer.variables))
    placed, key, marks = [jnp.asarray(array) for array in data], jax.random.key(0), []
    for _ in range(wanted["epochs"]):
        key, shuffle = jax.random.split(key)
        state, loss = run(state, shuffle, placed)
        float(loss)
        marks.append(time.perf_counter())
    return list(np.diff(marks))


def step_seconds(wanted: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of a step of one network, alone and as one of K: best of the turns."""
    import jax
    import jax.numpy as jnp

    model, data = network(tuple(wanted["units"])), [jnp.asarray(array) for array in drawn(ROWS)]

    def apply(optimizing: Any, gradients: Any, trainable: Any) -> Any:
        """AdamW with a rate and a decay that are numbers of the state: one compiled step for all of them."""
        first, second, count, rate, decay = optimizing
        count = count + 1
        first = [0.9 * old + 0.1 * new for old, new in zip(first, gradients, strict=True)]
        second = [0.99 * old + 0.01 * new**2 for old, new in zip(second, gradients, strict=True)]
        corrected = rate * jnp.sqrt(1 - 0.99**count) / (1 - 0.9**count)
        trainable = [one * (1 - rate * decay * (one.ndim > 1)) - corrected * mean / (jnp.sqrt(square) + 1e-7)
                     for one, mean, square in zip(trainable, first, second, strict=True)]
        return (first, second, count, rate, decay), trainable

    def state(number: int) -> Any:
        """That of ``number`` networks, each with settings and initial weights of its own."""
        rng = np.random.default_rng(number)
        weights = [jnp.asarray(rng.normal(size=(number, *v.shape)) / np.sqrt(v.shape[0]), jnp.float32)
                   for v in model.trainable_variables]
        zeros = [jnp.zeros_like(one) for one in weights]
        settings = (jnp.zeros(number), jnp.asarray(10 ** rng.uniform(-4, -2, number), jnp.float32),
                    jnp.asarray(10 ** rng.uniform(-3, -1, number), jnp.float32))
        return weights, [], (zeros, zeros, *settings)

    run = scan_epoch(model, apply, wanted["batch"], TOGETHER_STEPS)
    alone = jax.jit(run)
    at_once = jax.jit(jax.vmap(run, in_axes=(0, 0, None)))

    def timed(call: Callable[[], Any]) -> float:
        began = time.perf_counter()
        jax.block_until_ready(call())
        return time.perf_counter() - began

    single = jax.tree.map(lambda a: a[0], state(1))
    many = {number: (state(number), jax.random.split(jax.random.key(0), number)) for number in NUMBERS}
    key = jax.random.key(0)
    sides: dict[str, tuple[int, Callable[[], Any]]] = {
        "alone": (NUMBERS[0], lambda: [alone(single, key, data) for _ in range(NUMBERS[0])])}
    for number in NUMBERS:
        sides[str(number)] = number, lambda number=number: at_once(*many[number], data)  # type: ignore[misc]
    for _, call in sides.values():
        timed(call)
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(3 * wanted["turns"]):
        for name, (number, call) in sides.items():
            found[name].append(timed(call) / number / TOGETHER_STEPS)
    return {name: min(values) for name, values in found.items()}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    print(json.dumps((epoch_seconds if asked["what"] == "epoch" else step_seconds)(asked)))
