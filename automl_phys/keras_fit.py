"""The one training loop of all Keras networks: AdamW on a schedule, stopped early, followed step by step.

Takes a built network, arrays, a :class:`Head` that says what is minimised, and :class:`Training`; leaves the network at
the weights of its best epoch and gives the learning curve. What the network looks like is the family's work.

On JAX an epoch is one compiled ``lax.scan`` over batches that stay on the device, which spares the interpreter's
overhead of every step; on TensorFlow and torch it is Keras's own ``fit``, on TensorFlow fed by ``tf.data``. Loss,
schedule and stopping are the same. Rows beyond ``DEVICE_BYTES`` stay in their mapped files: on TensorFlow batches are
read from these ahead of their use; elsewhere rows come to the device in blocks, the next one being read while one is
trained on, each of rows from everywhere in the files (:mod:`automl_phys.blocks`).
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any, TypeVar, cast

import numpy as np

from automl_phys import blocks, epoch_checkpoints, mixed_precision
from automl_phys.epoch_checkpoints import Place
from automl_phys.values import Array

T = TypeVar("T")

PREDICT_BATCH = 8192
PREDICT_NUMBERS = 1 << 18
"""Numbers of all rows of a batch at most: what networks make of large rows, such as images, needs many times more."""
DEVICE_BYTES = 1 << 28
JUDGED_ROWS = 1 << 14
"""Rows that are judged at once."""
PREFETCHED = 2
"""Batches that are read ahead of their use."""


@dataclass(frozen=True)
class Batch:
    """``inputs`` (each with n rows), ``target`` (n, …) and ``weight`` (n,) of the events to train or judge on.

    ``encode`` makes what the network takes of some rows of the inputs; None where they are that.
    """

    inputs: tuple[Array, ...]
    target: Array
    weight: Array
    encode: Callable[[tuple[Array, ...]], tuple[Array, ...]] | None = None

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def large(self) -> bool:
        """Whether the encoded inputs are too many for the device."""
        row = self.take(np.arange(1)).inputs
        return len(self) * sum(array.nbytes for array in row) > DEVICE_BYTES

    @property
    def at_once(self) -> int:
        """Rows that may be predicted at once."""
        return _at_once(self.inputs, JUDGED_ROWS)

    def take(self, rows: slice | Array) -> Batch:
        """Some of the rows, encoded."""
        inputs = tuple(array[rows] for array in self.inputs)
        return Batch(self.encode(inputs) if self.encode else inputs, self.target[rows], self.weight[rows])


class Whole:
    """All rows as one block that is encoded once."""

    blocks = 1

    def __init__(self, train: Batch) -> None:
        self.batch, self.rows = train.take(slice(None)), len(train)
        self._made: Any = None

    def skip(self, epochs: int) -> None:
        """Nothing is drawn here that an epoch would have to be left out of."""

    def epoch(self, make: Callable[[Batch], T]) -> Iterator[T]:
        """The block, as ``make`` puts it where the training is; done once."""
        if self._made is None:
            self._made = make(self.batch)
        yield self._made


class Streamed:
    """Rows in blocks of ``rows`` each, read and encoded one ahead in a thread."""

    def __init__(self, train: Batch, seed: int) -> None:
        width = sum(array.nbytes for array in train.take(np.arange(1)).inputs)
        self.train = train
        self.blocks = blocks.count(len(train), max(1, DEVICE_BYTES // (2 * width)))
        self.rows = blocks.largest(len(train), self.blocks)
        self._epochs = blocks.epochs(len(train), self.blocks, seed % 2**32)

    def skip(self, epochs: int) -> None:
        """Leave out the blocks of so many epochs."""
        for _ in range(epochs):
            next(self._epochs)

    def epoch(self, make: Callable[[Batch], T]) -> Iterator[T]:
        """The blocks of the next epoch, as ``make`` puts them where the training is."""
        with ThreadPoolExecutor(1) as pool:
            waiting: Future[T] | None = None
            for block in next(self._epochs):
                coming = pool.submit(lambda rows: make(self.train.take(rows)), block)
                if waiting is not None:
                    yield waiting.result()
                waiting = coming
            if waiting is not None:
                yield waiting.result()


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

    With ``average`` > 0 epochs are judged by, and the network is left at, the mean of the weights of all steps t so
    far, each as heavy as t to that power: the last steps count most, and what single batches did to them cancels
    (T. Karras et al., arXiv:2312.02696). On JAX only.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str = "cosine"
    warmup: float = 0.1
    weight_decay: float = 0.0
    patience: int = 10
    stop_after: int = 0
    average: float = 0.0


@dataclass(frozen=True)
class Course:
    """How the training went: the epoch that was kept, and losses by epoch."""

    best_epoch: int
    history: tuple[Mapping[str, float], ...]


Follow = Callable[[int, "Array"], object]
"""Called after each epoch with its number from 1 and the predictions for the validation rows; may raise to stop."""
Between = Callable[[int, Callable[[], None]], object]
"""Called after each epoch with its number and a function that puts the weights as they are into the network, for those
who judge it by other than its predictions; may raise to stop."""


@cache
def load_keras() -> Any:
    """Keras. On JAX and torch it is kept from importing TensorFlow, which it would do (two seconds, 300 MB) only to be
    able to recognise TensorFlow's objects; it looks for it once, and remembers that it was not there. What TensorFlow
    says of GPUs that are not there, before it can be told to be quiet, is not shown."""
    with _stderr_closed() if os.environ.get("KERAS_BACKEND") == "tensorflow" else nullcontext():
        import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")  # it warns that functions are traced again, as those of new networks are
        tf.config.experimental.enable_tensor_float_32_execution(False)

    if keras.backend.backend() != "tensorflow" and "tensorflow" not in sys.modules:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # the way to make an import fail
        try:
            keras.saving.serialize_keras_object(keras.layers.Identity())
        finally:
            del sys.modules["tensorflow"]
    return keras


@contextmanager
def _stderr_closed() -> Iterator[None]:
    """What libraries written in C print goes nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def fit(
    network: Any, head: Head, train: Batch, valid: Batch, training: Training, seed: int, follow: Follow,
    between: Between | None = None, place: Place | None = None,
) -> Course:
    """Train ``network`` in place, from the checkpoint in ``place`` if there is one; without ``between`` and averaged
    weights, and not on torch, whose shuffles cannot be taken up.

    Raises FloatingPointError when the validation loss is no longer a number, and whatever ``follow`` and ``between``
    raise.
    """
    keras = load_keras()
    from_files = keras.backend.backend() == "tensorflow" and train.encode is None
    rows = Streamed(train, seed) if train.large and not from_files else Whole(train)
    keras.utils.set_random_seed(seed % 2**32)
    steps = rows.blocks * math.ceil(rows.rows / training.batch_size)
    optimizer = _optimizer(network, training, steps)
    curve = _Curve(training.patience, training.stop_after, follow, between)
    resumable = not between and not training.average and keras.backend.backend() != "torch"
    place = place if place and resumable else Place()
    # What judges between epochs may keep what it compiled; that must be what the network is afterwards.
    with mixed_precision.training(*([] if between else [network])):
        train_it = _fit_scan if keras.backend.backend() == "jax" else _fit_keras
        best = train_it(network, optimizer, head, rows, valid, training, seed, curve, place)
    network.set_weights(best)
    return Course(curve.best_epoch, tuple(curve.history))


def predict(network: Any, inputs: Sequence[Array]) -> Array:
    """A network's outputs for rows of any number, in batches of one size, float32.

    On JAX the compiled function is shared by all networks of the same configuration, so that the members of an
    ensemble are compiled once.
    """
    keras = load_keras()
    rows = len(inputs[0])
    size = min(_at_once(inputs, PREDICT_BATCH), 1 << max(5, (rows - 1).bit_length()))
    if _slowed_by_xla():
        network.jit_compile = False
    call: Callable[[Any], Any] = network.predict_on_batch
    if keras.backend.backend() == "jax":
        forward = _forward(json.dumps(network.get_config(), sort_keys=True, default=str))
        state = [v.value for v in network.trainable_variables], [v.value for v in network.non_trainable_variables]
        call = partial(forward, *state)
    found = []
    for start in range(0, rows, size):
        block = [_padded(array[start:start + size], size) for array in inputs]
        found.append(np.asarray(call(_given(block)), dtype=np.float32)[: rows - start])
    return np.concatenate(found) if found else np.zeros((0, *network.output_shape[1:]), dtype=np.float32)


def _given(inputs: Sequence[T]) -> T | list[T]:
    """Inputs as Keras takes them: one by itself, several in a list."""
    return list(inputs) if len(inputs) > 1 else inputs[0]


def _at_once(inputs: Sequence[Array], most: int) -> int:
    """Rows of a batch that is only looked at: a power of two, fewer where rows are large."""
    width = sum(math.prod(array.shape[1:]) for array in inputs)
    return min(most, 1 << max(5, (PREDICT_NUMBERS // max(1, width)).bit_length() - 1))


@lru_cache(maxsize=64)
def _forward(configuration: str) -> Callable[..., Any]:
    """The forward pass of the network of this configuration, to be compiled once for all sets of weights."""
    import jax

    network = load_keras().Model.from_config(json.loads(configuration))

    def call(trainable: Any, fixed: Any, inputs: Any) -> Any:
        return network.stateless_call(trainable, fixed, inputs, training=False)[0]

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

    def __init__(self, patience: int, stop_after: int, follow: Follow, between: Between | None) -> None:
        self.patience, self.stop_after, self.follow, self.between = patience, stop_after, follow, between
        self.best_epoch, self.best_loss = 0, math.inf
        self.history: list[dict[str, float]] = []
        self.values: list[float] = []

    @property
    def course(self) -> epoch_checkpoints.Course:
        """What a checkpoint holds of it."""
        return epoch_checkpoints.Course(tuple(self.history), self.best_epoch, self.best_loss, tuple(self.values))

    def restore(self, course: epoch_checkpoints.Course) -> None:
        """Go on from there."""
        self.history, self.values = list(course.history), list(course.values)
        self.best_epoch, self.best_loss = course.best_epoch, course.best_loss

    def add(self, train_loss: float, valid_loss: float, predictions: Array, sync: Callable[[], None]) -> bool:
        """Take one epoch; True when it is to be kept: the best so far, or the latest where none is judged. ``sync``
        puts the weights into the network."""
        epoch = len(self.history) + 1
        if not (math.isfinite(train_loss) and math.isfinite(valid_loss)):
            raise FloatingPointError(f"the loss became {valid_loss if math.isfinite(train_loss) else train_loss} "
                                     f"in epoch {epoch}; a lower learning rate may help")
        self.history.append({"step": float(epoch), "train_loss": train_loss, "valid_loss": valid_loss})
        value = self.follow(epoch, predictions)
        if isinstance(value, float):
            self.values.append(value)
        if self.between:
            self.between(epoch, sync)
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
    network: Any, optimizer: Any, head: Head, train: Whole | Streamed, valid: Batch, training: Training, seed: int,
    curve: _Curve, place: Place,
) -> list[Array]:
    """Epochs as compiled scans over blocks on JAX; gives the weights of the best one."""
    import jax
    import jax.numpy as jnp

    def on_device(batch: Batch) -> Any:
        return [jnp.asarray(a) for a in batch.inputs], jnp.asarray(batch.target), jnp.asarray(batch.weight)

    run_epoch, run_judge = _compiled(network, optimizer, head, training, train.rows)
    judged, total = _judged_in(valid, on_device), valid.weight.sum(dtype=np.float64)
    groups = network.trainable_variables, network.non_trainable_variables, optimizer.variables
    state: Any = tuple([jnp.array(v.value, copy=True) for v in group] for group in groups)
    if training.average:
        state = (*state, [jnp.array(v, copy=True) for v in state[0]], jnp.zeros(()))

    def weights() -> Any:
        return (state[3] if training.average else state[0]), state[1]

    def placed(values: Any) -> list[Array]:
        by_path = {v.path: value for group, part in zip(groups[:2], values, strict=True)
                   for v, value in zip(group, part, strict=True)}
        return [np.asarray(by_path[v.path]) for v in network.weights]

    def groups_now() -> dict[str, list[Array]]:
        """All that the next epoch depends on, as arrays in memory of their own."""
        return {"state": [np.array(one) for one in jax.tree.leaves(state)],
                "best": [np.array(one) for one in jax.tree.leaves(best)], "key": [np.array(jax.random.key_data(key))]}

    key, best = jax.random.key(seed % 2**32), weights()
    if before := place.read(groups_now):
        found, course = before
        curve.restore(course)
        train.skip(len(course.history))
        state = jax.tree.unflatten(jax.tree.structure(state), [jnp.asarray(one) for one in found["state"]])
        best = jax.tree.unflatten(jax.tree.structure(best), found["best"])
        key = jax.random.wrap_key_data(jnp.asarray(found["key"][0]))
    for _ in range(len(curve.history), training.epochs):
        train_losses, valid_loss, predictions = [], 0.0, []
        for block in train.epoch(on_device):
            key, shuffle = jax.random.split(key)
            state, loss = run_epoch(state, shuffle, block)
            train_losses.append(loss)
        for data in judged():
            loss, said = run_judge(*weights(), data)
            valid_loss += float(loss)
            predictions.append(np.asarray(said))
        now = weights()
        if curve.add(float(np.mean(train_losses)), float(valid_loss / total), np.concatenate(predictions),
                     partial(_put, network, placed, now)):
            best = jax.tree.map(np.array, now)
        if curve.ended:
            break
        if place.due:
            place.write(groups_now(), curve.course)
    return placed(best)


def _compiled(
    network: Any, optimizer: Any, head: Head, training: Training, rows: int
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The scan over the batches of a block of ``rows``, and what judges a block: functions of all that they change."""
    import jax
    import jax.numpy as jnp

    size = min(training.batch_size, rows)
    steps = math.ceil(rows / size)

    def call(trainable: Any, fixed: Any, inputs: Any, training: bool) -> Any:
        return network.stateless_call(trainable, fixed, _given(inputs), training=training)

    def batch_loss(trainable: Any, fixed: Any, inputs: Any, target: Any, weight: Any) -> Any:
        outputs, fixed = call(trainable, fixed, inputs, True)
        return (weight * head.loss(target, outputs)).mean(), fixed

    def step(state: Any, chosen: Any, data: Any) -> Any:
        trainable, fixed, optimizing, *rest = state
        batch = jax.tree.map(lambda a: a[chosen], data)
        (loss, fixed), gradients = jax.value_and_grad(batch_loss, has_aux=True)(trainable, fixed, *batch)
        trainable, optimizing = optimizer.stateless_apply(optimizing, gradients, trainable)
        if rest:
            mean, taken = rest[0], rest[1] + 1
            share = jnp.minimum(1.0, (training.average + 1) / taken)
            rest = [jax.tree.map(lambda old, new: old + share * (new - old), mean, trainable), taken]
        return (trainable, fixed, optimizing, *rest), loss

    def epoch(state: Any, key: Any, data: Any) -> Any:
        # The last batch is filled up with events from the start of the shuffle, so that all have one compiled shape.
        order = jnp.resize(jax.random.permutation(key, rows), (steps, size))
        state, losses = jax.lax.scan(lambda s, chosen: step(s, chosen, data), state, order)
        return state, losses.mean()

    def judge(trainable: Any, fixed: Any, data: Any) -> Any:
        inputs, target, weight = data
        predictions = head.finish(call(trainable, fixed, inputs, False)[0])
        return (weight * head.judge(target, predictions)).sum(), predictions

    return jax.jit(epoch, donate_argnums=0), jax.jit(judge)


def _put(network: Any, placed: Callable[[Any], list[Array]], state: Any) -> None:
    network.set_weights(placed(state))


def _judged_in(valid: Batch, make: Callable[[Batch], T]) -> Callable[[], Iterable[T]]:
    """The validation rows in pieces, whose activations fit anywhere: made once and kept, or anew each time if they are
    many."""
    def pieces() -> Iterator[T]:
        for start in range(0, len(valid), valid.at_once):
            yield make(valid.take(slice(start, start + valid.at_once)))

    if valid.large:
        return pieces
    kept = list(pieces())
    return lambda: kept


def _fit_keras(
    network: Any, optimizer: Any, head: Head, train: Whole | Streamed, valid: Batch, training: Training, seed: int,
    curve: _Curve, place: Place,
) -> list[Array]:
    """Keras's own ``fit`` on TensorFlow and torch; gives the weights of the best epoch."""
    keras = load_keras()
    best: list[Array] = network.get_weights()
    steps = math.ceil(train.rows / training.batch_size)
    judged, total = _judged_in(valid, lambda batch: batch), valid.weight.sum(dtype=np.float64)

    def judge() -> tuple[float, Array]:
        loss, predictions = 0.0, []
        for block in judged():
            said = head.finish(keras.ops.convert_to_tensor(predict(network, block.inputs)))
            losses = keras.ops.convert_to_numpy(head.judge(keras.ops.convert_to_tensor(block.target), said))
            loss += float((block.weight * losses).sum())
            predictions.append(keras.ops.convert_to_numpy(said))
        return loss / float(total), np.concatenate(predictions)

    def as_it_is() -> None:
        """Keras trains the network itself: its weights are in place."""

    def variables() -> list[Any]:
        return [*network.trainable_variables, *network.non_trainable_variables, *optimizer.variables]

    def groups_now() -> dict[str, list[Array]]:
        return {"state": [keras.ops.convert_to_numpy(one.value) for one in variables()], "best": best}

    on_tensorflow = keras.backend.backend() == "tensorflow"
    # torch takes one step at a time
    network.compile(optimizer=optimizer, loss=head.loss, steps_per_execution=min(32, steps) if on_tensorflow else 1,
                    jit_compile=False if _slowed_by_xla() else "auto")
    if before := place.read(groups_now):
        found, course = before
        curve.restore(course)
        train.skip(len(course.history))
        best = list(found["best"])
        for variable, value in zip(variables(), found["state"], strict=True):
            variable.assign(value)

    def keep(loss: float) -> None:
        nonlocal best
        if curve.add(loss, *judge(), as_it_is):
            best = network.get_weights()
        if place.due and not curve.ended:
            place.write(groups_now(), curve.course)

    if on_tensorflow and isinstance(train, Whole):
        order = _Order(seed, len(train.batch))

        class EachEpoch(keras.callbacks.Callback):  # type: ignore[misc,name-defined]  # keras is not typed
            def on_epoch_begin(self, epoch: int, _logs: Mapping[str, float] | None = None) -> None:
                order.epoch = epoch

            def on_epoch_end(self, _epoch: int, logs: Mapping[str, float] | None = None) -> None:
                keep(float((logs or {})["loss"]))
                self.model.stop_training = curve.ended

        network.fit(_pipeline(train.batch, training.batch_size, order), initial_epoch=len(curve.history),
                    epochs=training.epochs, callbacks=[EachEpoch()], shuffle=False, verbose=0)
        return best
    fit: Any = partial(network.fit, batch_size=training.batch_size, shuffle=True, epochs=1, verbose=0)
    while len(curve.history) < training.epochs and not curve.ended:
        losses = [fit(_given(block.inputs), block.target, sample_weight=block.weight).history["loss"][0]
                  for block in train.epoch(lambda batch: batch)]
        keep(float(np.mean(losses)))
    return best


@cache
def on_gpu() -> bool:
    """Whether networks of this process are on a GPU."""
    backend = load_keras().backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return bool(jax.default_backend() != "cpu")
    import torch

    return torch.cuda.is_available()


def _slowed_by_xla() -> bool:
    """Whether this is TensorFlow on a CPU, where XLA makes convolutions three times as slow."""
    return load_keras().backend.backend() == "tensorflow" and not on_gpu()


class _Order:
    """In which order rows are trained on, anew in each epoch, and the same whenever that epoch comes."""

    def __init__(self, seed: int, rows: int) -> None:
        self.epoch, self.rows, self._seed = 0, rows, seed % 2**32

    def draw(self) -> Array:
        return np.random.default_rng((self._seed, self.epoch)).permutation(self.rows)


def _pipeline(batch: Batch, size: int, order: _Order) -> Any:
    """A ``tf.data.Dataset`` of batches in an order that is drawn anew each epoch, read from where the rows lie (which
    may be a mapped file) while the last one is trained on."""
    import tensorflow as tf

    arrays = (*batch.inputs, batch.target, batch.weight)

    def gather(rows: Array) -> list[Array]:
        return [array[rows] for array in arrays]

    def shaped(rows: Any) -> Any:
        made = tf.numpy_function(gather, [rows], [array.dtype for array in arrays], stateful=False)
        for tensor, array in zip(made, arrays, strict=True):
            tensor.set_shape((None, *array.shape[1:]))
        *inputs, target, weight = made
        return tuple(inputs) if len(inputs) > 1 else inputs[0], target, weight  # a list would be one tensor

    def rows(_: Any) -> Any:
        drawn = tf.numpy_function(order.draw, [], tf.int64)
        drawn.set_shape((order.rows,))
        return tf.data.Dataset.from_tensor_slices(drawn)

    every = tf.data.Dataset.range(1).flat_map(rows).apply(tf.data.experimental.assert_cardinality(order.rows))
    return every.batch(size).map(shaped).prefetch(PREFETCHED)
