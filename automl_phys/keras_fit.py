"""The one training loop of all Keras networks: AdamW on a schedule, stopped early, followed step by step.

Takes a built network, arrays, a :class:`Head` that says what is minimised, and :class:`Training`; leaves the network at
the weights of its best epoch and gives the learning curve. What the network looks like is the family's work.

On JAX an epoch is one compiled ``lax.scan`` over batches that stay on the device, which spares the interpreter's
overhead of every step; on TensorFlow and torch it is Keras's own ``fit``. Loss, schedule and stopping are the same.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

import numpy as np

from automl_phys.values import Array

PREDICT_BATCH = 8192


@dataclass(frozen=True)
class Batch:
    """``inputs`` (each with n rows), ``target`` (n, …) and ``weight`` (n,) of the events to train or judge on."""

    inputs: tuple[Array, ...]
    target: Array
    weight: Array


@dataclass(frozen=True)
class Head:
    """What is minimised and what is predicted; functions of Keras tensors.

    ``loss(target, outputs)`` is the training loss of each row, ``finish(outputs)`` turns a network's outputs into
    predictions, ``judge(target, predictions)`` is the loss of each row by which epochs are compared.
    """

    loss: Callable[[Any, Any], Any]
    finish: Callable[[Any], Any]
    judge: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Training:
    """How to train. ``warmup`` is the share of all steps in which the learning rate rises; it then falls as a cosine.

    ``weight_decay`` is decoupled (AdamW) and spares biases, scales and embeddings of numbers. Training stops when the
    validation loss has not improved for ``patience`` epochs; ``stop_after`` > 0 instead ends it after so many and keeps
    the last, on the schedule of all ``epochs``.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str = "cosine"
    warmup: float = 0.1
    weight_decay: float = 0.0
    patience: int = 10
    stop_after: int = 0


@dataclass(frozen=True)
class Course:
    """How the training went: the epoch that was kept, and losses by epoch."""

    best_epoch: int
    history: tuple[Mapping[str, float], ...]


Follow = Callable[[int, "Array"], object]
"""Called after each epoch with its number from 1 and the predictions for the validation rows; may raise to stop."""


@cache
def load_keras() -> Any:
    """Keras. On JAX and torch it is kept from importing TensorFlow, which it would do (two seconds, 300 MB) only to be
    able to recognise TensorFlow's objects; it looks for it once, and remembers that it was not there."""
    import keras

    if keras.backend.backend() != "tensorflow" and "tensorflow" not in sys.modules:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # the way to make an import fail
        try:
            keras.saving.serialize_keras_object(keras.layers.Identity())
        finally:
            del sys.modules["tensorflow"]
    return keras


def fit(
    network: Any, head: Head, train: Batch, valid: Batch, training: Training, seed: int, follow: Follow
) -> Course:
    """Train ``network`` in place.

    Raises FloatingPointError when the validation loss is no longer a number, and whatever ``follow`` raises.
    """
    keras = load_keras()
    keras.utils.set_random_seed(seed % 2**32)
    steps = math.ceil(len(train.weight) / training.batch_size)
    optimizer = _optimizer(network, training, steps)
    curve = _Curve(training.patience, training.stop_after, follow)
    if keras.backend.backend() == "jax":
        best = _fit_scan(network, optimizer, head, train, valid, training, seed, curve)
    else:
        best = _fit_keras(network, optimizer, head, train, valid, training, curve)
    network.set_weights(best)
    return Course(curve.best_epoch, tuple(curve.history))


def predict(network: Any, inputs: Sequence[Array]) -> Array:
    """A network's outputs for rows of any number, in batches of one size, float32.

    On JAX the compiled function is shared by all networks of the same configuration, so that the members of an
    ensemble are compiled once.
    """
    keras = load_keras()
    rows = len(inputs[0])
    size = min(PREDICT_BATCH, 1 << max(5, (rows - 1).bit_length()))
    if keras.backend.backend() != "jax":
        return np.asarray(network.predict(list(inputs), batch_size=size, verbose=0), dtype=np.float32)
    call = _forward(json.dumps(network.get_config(), sort_keys=True, default=str))
    state = [v.value for v in network.trainable_variables], [v.value for v in network.non_trainable_variables]
    blocks = []
    for start in range(0, rows, size):
        block = [_padded(array[start:start + size], size) for array in inputs]
        blocks.append(np.asarray(call(*state, block))[: rows - start])
    return np.concatenate(blocks) if blocks else np.zeros((0, *network.output_shape[1:]), dtype=np.float32)


@lru_cache(maxsize=64)
def _forward(configuration: str) -> Callable[..., Any]:
    """The forward pass of the network of this configuration, to be compiled once for all sets of weights."""
    import jax

    network = load_keras().Model.from_config(json.loads(configuration))

    def call(trainable: Any, fixed: Any, inputs: Any) -> Any:
        return network.stateless_call(trainable, fixed, inputs if len(inputs) > 1 else inputs[0], training=False)[0]

    return cast(Callable[..., Any], jax.jit(call))


def forget() -> None:
    """Let go of all that was compiled. A search seldom meets a network again, but compiles half a second's worth of
    small functions anew after this."""
    _forward.cache_clear()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


def _padded(block: Array, size: int) -> Array:
    missing = size - len(block)
    return np.concatenate([block, np.repeat(block[-1:], missing, axis=0)]) if missing else block


class _Curve:
    """The learning curve, and the rule that stops: best weighted validation loss, patience, not a number."""

    def __init__(self, patience: int, stop_after: int, follow: Follow) -> None:
        self.patience, self.stop_after, self.follow = patience, stop_after, follow
        self.best_epoch, self.best_loss = 0, math.inf
        self.history: list[dict[str, float]] = []

    def add(self, train_loss: float, valid_loss: float, predictions: Array) -> bool:
        """Take one epoch; True when it is to be kept: the best so far, or the latest where none is judged."""
        epoch = len(self.history) + 1
        if not (math.isfinite(train_loss) and math.isfinite(valid_loss)):
            raise FloatingPointError(f"the loss became {valid_loss if math.isfinite(train_loss) else train_loss} "
                                     f"in epoch {epoch}; a lower learning rate may help")
        self.history.append({"step": float(epoch), "train_loss": train_loss, "valid_loss": valid_loss})
        self.follow(epoch, predictions)
        if valid_loss >= self.best_loss and not self.stop_after:
            return False
        self.best_epoch, self.best_loss = epoch, valid_loss
        return True

    @property
    def ended(self) -> bool:
        if self.stop_after:
            return len(self.history) >= self.stop_after
        return len(self.history) - self.best_epoch >= self.patience


def _optimizer(network: Any, training: Training, steps_per_epoch: int) -> Any:
    from automl_phys.layers import WarmCosine

    rate: Any = training.learning_rate
    if training.schedule == "cosine":
        rate = WarmCosine(training.learning_rate, training.epochs * steps_per_epoch, training.warmup)
    optimizer = load_keras().optimizers.AdamW(rate, weight_decay=training.weight_decay, beta_2=0.99)
    optimizer.exclude_from_weight_decay([v for v in network.trainable_variables if not v.path.endswith("kernel")])
    optimizer.build(network.trainable_variables)
    return optimizer


def _fit_scan(
    network: Any, optimizer: Any, head: Head, train: Batch, valid: Batch, training: Training, seed: int, curve: _Curve
) -> list[Array]:
    """Epochs as compiled scans on JAX; gives the weights of the best one."""
    import jax
    import jax.numpy as jnp

    rows = len(train.weight)
    size = min(training.batch_size, rows)
    steps = math.ceil(rows / size)

    def on_device(batch: Batch) -> Any:
        return [jnp.asarray(a) for a in batch.inputs], jnp.asarray(batch.target), jnp.asarray(batch.weight)

    def call(trainable: Any, fixed: Any, inputs: Any, training: bool) -> Any:
        return network.stateless_call(trainable, fixed, inputs if len(inputs) > 1 else inputs[0], training=training)

    def batch_loss(trainable: Any, fixed: Any, inputs: Any, target: Any, weight: Any) -> Any:
        outputs, fixed = call(trainable, fixed, inputs, True)
        return (weight * head.loss(target, outputs)).mean(), fixed

    def step(state: Any, chosen: Any, data: Any) -> Any:
        trainable, fixed, optimizing = state
        batch = jax.tree.map(lambda a: a[chosen], data)
        (loss, fixed), gradients = jax.value_and_grad(batch_loss, has_aux=True)(trainable, fixed, *batch)
        trainable, optimizing = optimizer.stateless_apply(optimizing, gradients, trainable)
        return (trainable, fixed, optimizing), loss

    def epoch(state: Any, key: Any, data: Any) -> Any:
        # The last batch is filled up with events from the start of the shuffle, so that all have one compiled shape.
        order = jnp.resize(jax.random.permutation(key, rows), (steps, size))
        state, losses = jax.lax.scan(lambda s, chosen: step(s, chosen, data), state, order)
        return state, losses.mean()

    def judge(trainable: Any, fixed: Any, data: Any) -> Any:
        inputs, target, weight = data
        predictions = head.finish(call(trainable, fixed, inputs, False)[0])
        return (weight * head.judge(target, predictions)).sum() / weight.sum(), predictions

    run_epoch, run_judge = jax.jit(epoch, donate_argnums=0), jax.jit(judge)
    train_data, valid_data = on_device(train), on_device(valid)
    groups = network.trainable_variables, network.non_trainable_variables, optimizer.variables
    state: Any = tuple([jnp.array(v.value, copy=True) for v in group] for group in groups)
    key, best = jax.random.key(seed % 2**32), state[:2]
    for _ in range(training.epochs):
        key, shuffle = jax.random.split(key)
        state, train_loss = run_epoch(state, shuffle, train_data)
        valid_loss, predictions = run_judge(*state[:2], valid_data)
        if curve.add(float(train_loss), float(valid_loss), np.asarray(predictions)):
            best = jax.tree.map(np.array, state[:2])
        if curve.ended:
            break
    by_path = {v.path: value for group, values in zip(groups[:2], best, strict=True)
               for v, value in zip(group, values, strict=True)}
    return [np.asarray(by_path[v.path]) for v in network.weights]


def _fit_keras(
    network: Any, optimizer: Any, head: Head, train: Batch, valid: Batch, training: Training, curve: _Curve
) -> list[Array]:
    """Keras's own ``fit`` on TensorFlow and torch; gives the weights of the best epoch."""
    keras = load_keras()
    valid_target = keras.ops.convert_to_tensor(valid.target)
    best: list[Array] = network.get_weights()
    steps = math.ceil(len(train.weight) / training.batch_size)

    class AfterEpoch(keras.callbacks.Callback):  # type: ignore[misc,name-defined]  # keras is not typed
        def on_epoch_end(self, _epoch: int, logs: Mapping[str, float] | None = None) -> None:
            nonlocal best
            outputs = keras.ops.convert_to_tensor(predict(network, valid.inputs))
            predictions = head.finish(outputs)
            losses = keras.ops.convert_to_numpy(head.judge(valid_target, predictions))
            loss = float((valid.weight * losses).sum() / valid.weight.sum())
            if curve.add(float((logs or {})["loss"]), loss, keras.ops.convert_to_numpy(predictions)):
                best = network.get_weights()
            self.model.stop_training = curve.ended

    many = min(32, steps) if keras.backend.backend() == "tensorflow" else 1  # torch takes one step at a time
    network.compile(optimizer=optimizer, loss=head.loss, steps_per_execution=many)
    network.fit(list(train.inputs), train.target, sample_weight=train.weight, batch_size=training.batch_size,
                epochs=training.epochs, shuffle=True, verbose=0, callbacks=[AfterEpoch()])
    return best
