"""Losses, as of a plugin, that hold their number in functions that JAX traces once."""

from __future__ import annotations

from functools import partial

import jax
import optax


def _sums(nll, batch):
    mask = batch.get("row_mask", 1.0)
    return (nll * mask).sum(), (0 * nll + mask).sum()


def fresh_temper(*, temper: float = 1.0):
    """Traced anew with every step."""

    def loss(outputs, batch):
        nll = optax.softmax_cross_entropy_with_integer_labels(outputs * temper, batch["labels"])
        return _sums(nll, batch)

    return loss


def jitted_temper(*, temper: float = 1.0):
    """Jitted once by its factory."""

    @jax.jit
    def nll(outputs, labels):
        return optax.softmax_cross_entropy_with_integer_labels(outputs * temper, labels)

    def loss(outputs, batch):
        return _sums(nll(outputs, batch["labels"]), batch)

    return loss


@partial(jax.jit, static_argnames="temper")
def _nll(outputs, labels, *, temper):
    return optax.softmax_cross_entropy_with_integer_labels(outputs * temper, labels)


def static_temper(*, temper: float = 1.0):
    """A jitted function of the module, to which the number is static."""

    def loss(outputs, batch):
        return _sums(_nll(outputs, batch["labels"], temper=temper), batch)

    return loss


def remat_temper(*, temper: float = 1.0):
    """A checkpointed function that lasts."""

    @jax.checkpoint
    def nll(outputs, labels):
        return optax.softmax_cross_entropy_with_integer_labels(outputs * temper, labels)

    def loss(outputs, batch):
        return _sums(nll(outputs, batch["labels"]), batch)

    return loss


LOSSES = (fresh_temper, jitted_temper, static_temper, remat_temper)
