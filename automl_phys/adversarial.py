"""The game of a generator and a critic: Wasserstein distance with gradient penalty (I. Gulrajani et al.,
arXiv:1704.00028), trained on JAX.

Takes the two networks, variates and conditions; leaves in the generator the weights by which its events were judged
best, means over the training's last steps, and gives the course of the game. Imports Keras: import this module inside
the function that fits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from automl_phys import keras_fit
from automl_phys.generating import Part
from automl_phys.latent_networks import Best
from automl_phys.values import Array

PENALTY = 10.0
PENALISED = 0.5
"""Share of a batch on which the penalty is taken: its mean is the same, and it costs as much as all the rest."""
REMEMBERED = 0.05
"""Share of the training's steps that the mean over the generator's weights reaches back: a fixed number would hold
untrained weights in a short training."""
JUDGED = 2048
"""Validation events that the distance is estimated on."""


@dataclass(frozen=True)
class Game:
    """How the game is played: ``critic_steps`` of the critic for each of the generator. An epoch is a pass of the
    critic over the events."""

    epochs: int
    batch_size: int
    critic_steps: int
    learning_rate: float
    noise: int


@dataclass(frozen=True)
class Course:
    """The epoch whose weights were kept, and the game by epoch: losses, distance, gradient penalty and ``diversity``,
    the spread of what is generated as a share of the real one."""

    best_epoch: int
    history: tuple[Mapping[str, float], ...]


Judge = Callable[[int, Callable[[], None]], float | None]
"""Given an epoch and a function that puts the generator's weights in place; the objective, the lower the better, where
it is this epoch's turn."""


def train(generator: Any, critic: Any, train: Part, valid: Part, game: Game, seed: int, judge: Judge) -> Course:
    """Play. Raises FloatingPointError when a loss is no longer a number, and whatever ``judge`` raises."""
    keras = keras_fit.load_keras()
    size = min(game.batch_size, len(train.z))
    steps = max(1, math.ceil(len(train.z) / (size * game.critic_steps)))
    rate = keras.optimizers.schedules.CosineDecay(game.learning_rate, game.epochs * steps * game.critic_steps, 0.05)
    slow = keras.optimizers.schedules.CosineDecay(game.learning_rate, game.epochs * steps, 0.05)
    optimizers = keras.optimizers.Adam(rate, 0.5, 0.9), keras.optimizers.Adam(slow, 0.5, 0.9)
    for optimizer, network in zip(optimizers, (critic, generator), strict=True):
        optimizer.build(network.trainable_variables)
    epoch = jax.jit(_epoch(generator, critic, optimizers, game, steps, size), donate_argnums=0)
    look = jax.jit(_look(generator, critic))
    data = tuple(jnp.asarray(a) for a in (train.z, train.condition, train.weight))
    some = tuple(jnp.asarray(a[:JUDGED]) for a in (valid.z, valid.condition, valid.weight))
    state: Any = ([jnp.array(v.value, copy=True) for v in critic.trainable_variables],
                  [jnp.array(v.value, copy=True) for v in generator.trainable_variables],
                  [jnp.array(v.value, copy=True) for v in optimizers[0].variables],
                  [jnp.array(v.value, copy=True) for v in optimizers[1].variables],
                  [jnp.array(v.value, copy=True) for v in generator.trainable_variables])
    key, history = jax.random.key(seed % 2**32), list[Mapping[str, float]]()
    best, kept = Best(), list[Array]()
    for number in range(1, game.epochs + 1):
        key, one, two = jax.random.split(key, 3)
        state, told = epoch(state, one, data)
        distance, diversity = (float(v) for v in look(state[0], state[4], two, some))
        losses = [float(v) for v in told]
        if not np.isfinite([*losses, distance]).all():
            raise FloatingPointError(f"a loss of critic or generator is no number in epoch {number}; a lower learning "
                                     "rate or more critic_steps may help")
        history.append({"step": float(number), "train_loss": losses[0], "valid_loss": distance,
                        "generator_loss": losses[1], "distance": -losses[0] + PENALTY * losses[2],
                        "penalty": losses[2], "diversity": diversity})
        weights = [np.asarray(v) for v in state[4]]
        if best.beaten(number, judge(number, lambda weights=weights: _put(generator, weights))):  # type: ignore[misc]
            kept = weights
    _put(generator, kept)
    return Course(best.epoch, tuple(history))


def _put(network: Any, weights: list[Array]) -> None:
    for variable, value in zip(network.trainable_variables, weights, strict=True):
        variable.assign(value)


def _given(values: Any, condition: Any) -> Any:
    return [values, condition] if condition.shape[1] else values


def _epoch(generator: Any, critic: Any, optimizers: Any, game: Game, steps: int, size: int) -> Callable[..., Any]:
    fixed = tuple([v.value for v in network.non_trainable_variables] for network in (critic, generator))

    def judged(weights: Any, events: Any, condition: Any) -> Any:
        return critic.stateless_call(weights, fixed[0], _given(events, condition), training=True)[0][:, 0]

    def made(weights: Any, key: Any, condition: Any) -> Any:
        noise = jax.random.normal(key, (condition.shape[0], game.noise))
        return generator.stateless_call(weights, fixed[1], _given(noise, condition), training=True)[0]

    penalised = max(1, round(PENALISED * size))
    renewed = 1 / max(1.0, REMEMBERED * game.epochs * steps)

    def critic_loss(weights: Any, real: Any, fake: Any, condition: Any, key: Any) -> Any:
        part = jax.random.uniform(key, (penalised, *(1 for _ in real.shape[1:])))
        between = real[:penalised] + part * (fake - real)[:penalised]
        slopes = jax.grad(lambda events: judged(weights, events, condition[:penalised]).sum())(between)
        length = jnp.sqrt((slopes.reshape(len(slopes), -1) ** 2).sum(axis=1) + 1e-12)
        penalty = ((length - 1) ** 2).mean()
        apart = (judged(weights, fake, condition) - judged(weights, real, condition)).mean()
        return apart + PENALTY * penalty, penalty

    def generator_loss(weights: Any, critic_weights: Any, key: Any, condition: Any) -> Any:
        return -judged(critic_weights, made(weights, key, condition), condition).mean()

    def step(state: Any, drawn: Any, data: Any) -> Any:
        rows, key = drawn
        critic_weights, weights, critic_state, own_state, mean = state
        z, conditions = data

        def turn(critic: Any, drawn: Any) -> Any:
            chosen, keys = drawn
            real, condition = z[chosen], conditions[chosen]
            fake = made(weights, keys[0], condition)
            told, slopes = jax.value_and_grad(critic_loss, has_aux=True)(
                critic[0], real, fake, condition, keys[1])
            return optimizers[0].stateless_apply(critic[1], slopes, critic[0]), told

        key, own_key = jax.random.split(key)
        keys = jax.random.split(key, (game.critic_steps, 2))
        (critic_weights, critic_state), told = jax.lax.scan(turn, (critic_weights, critic_state), (rows, keys))
        loss, penalty = (one.mean() for one in told)
        own, slopes = jax.value_and_grad(generator_loss)(weights, critic_weights, own_key, conditions[rows[0]])
        weights, own_state = optimizers[1].stateless_apply(own_state, slopes, weights)
        mean = [m + renewed * (w - m) for m, w in zip(mean, weights, strict=True)]
        return (critic_weights, weights, critic_state, own_state, mean), (loss, own, penalty)

    def epoch(state: Any, key: Any, data: Any) -> Any:
        choose, keys = jax.random.split(key)
        *events, weight = data
        order = _drawn(choose, weight, steps * game.critic_steps * size).reshape(steps, game.critic_steps, size)
        state, told = jax.lax.scan(lambda s, t: step(s, t, events), state, (order, jax.random.split(keys, steps)))
        return state, tuple(one.mean() for one in told)

    return epoch


def _drawn(key: Any, weight: Any, count: int) -> Any:
    """Rows (count,), shuffled, each as often as its weight (n,) says, to the next whole number: by systematic sampling.
    Weights in the loss would leave the penalty where hardly any event is, and make the critic err there."""
    shuffle, start, mix = jax.random.split(key, 3)
    rows = jax.random.permutation(shuffle, len(weight))
    reached = jnp.cumsum(weight[rows])
    at = (jnp.arange(count) + jax.random.uniform(start)) * (reached[-1] / count)
    return jax.random.permutation(mix, rows[jnp.minimum(jnp.searchsorted(reached, at), len(weight) - 1)])


def _look(generator: Any, critic: Any) -> Callable[..., Any]:
    """How far the critic holds generated validation events to be from real ones, and how diverse they are."""
    fixed = tuple([v.value for v in network.non_trainable_variables] for network in (critic, generator))
    width = generator.inputs[0].shape[1]

    def look(critic_weights: Any, weights: Any, key: Any, data: Any) -> Any:
        real, condition, weight = data
        noise = jax.random.normal(key, (len(real), width))
        fake = generator.stateless_call(weights, fixed[1], _given(noise, condition), training=False)[0]
        said = [critic.stateless_call(critic_weights, fixed[0], _given(events, condition), training=False)[0][:, 0]
                for events in (real, fake)]
        share = weight / weight.sum()
        spread = [_spread(events.reshape(len(events), -1), share) for events in (fake, real)]
        return share @ (said[0] - said[1]), spread[0] / jnp.maximum(spread[1], 1e-12)

    return look


def _spread(events: Any, share: Any) -> Any:
    """Root mean square distance of events (n, d) from their mean."""
    return jnp.sqrt(share @ ((events - share @ events) ** 2).sum(axis=1))
