"""A model of the catalogue that trains, for a process of its own.

training = Training(CASES["lstm"], compiled=True)
training.first_losses(3)
training.round(10)                        # rows a second
"""

from __future__ import annotations

import jax

import jaxtrain as jt
from benchmarks.catalogue.cases import LEARNING_RATE, WEIGHT_DECAY, Case
from benchmarks.language.rates import Rate
from benchmarks.processes import Stopwatch
from jaxtrain.models import Model, ResNet, cnn, encoder, from_linen, lstm


def model_of(case: Case) -> Model:
    """Nothing is dropped: PyTorch's dropout would draw other numbers in another way."""
    if case.model == "cnn":
        return cnn(case.classes, channels=case.widths)
    if case.model == "resnet18":
        blocks = (case.layers,) * len(case.widths)
        return from_linen(
            ResNet(case.classes, small_images=True, widths=case.widths, blocks=blocks)
        )
    if case.model == "lstm":
        return lstm(case.classes, width=case.widths[0], layers=case.layers)
    return encoder(
        case.classes,
        width=case.widths[0],
        layers=case.layers,
        heads=case.heads,
        feed_forward=4 * case.widths[0],
        positions="sinusoidal",
        dropout=0.0,
        vocabulary=case.vocabulary,
    )


class Training:
    """AdamW by the jitted step alone, without norm or guard, as the loops written by hand."""

    def __init__(self, case: Case, compiled: bool) -> None:
        if not compiled:
            raise ValueError("jaxtrain's step is compiled")
        inputs, labels = case.data()
        self._batch = {"inputs": inputs, "labels": labels}
        model, tx = model_of(case), jt.optim.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self._state = jt.create_train_state(model, tx, self._batch, rng=jax.random.key(0))
        step = jt.make_train_step(model, jt.step.cross_entropy(), tx, norm=False, guard=False)
        self._step = jt.jit(step, donate_argnums=0)
        self._rows = case.batch

    def parameters(self) -> int:
        """How many numbers are trained."""
        return sum(leaf.size for leaf in jax.tree.leaves(self._state.params))

    def first_losses(self, number: int) -> list[float]:
        """The loss of each of the first steps, before its update."""
        return [float(self._take()) for _ in range(number)]

    def round(self, steps: int) -> Rate:
        """Rows a second over so many steps."""
        watch = Stopwatch()
        for _ in range(steps):
            loss = self._take()
        jax.block_until_ready((loss, self._state))
        return watch.rates(steps * self._rows)

    def _take(self) -> jax.Array:
        self._state, output = self._step(self._state, self._batch)
        loss: jax.Array = output["loss"]
        return loss
