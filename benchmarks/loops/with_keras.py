"""Keras on JAX: `fit` on arrays, silent, with the metrics jaxtrain has.

Axes: B batch, L length, W width, V vocabulary.
"""

from __future__ import annotations

import os

# Read when Keras is imported, and never again.
os.environ["KERAS_BACKEND"] = "jax"

import keras
from keras import layers

from benchmarks.loops.frameworks import Run
from benchmarks.loops.tasks import (
    HEADS,
    LAYERS,
    LEARNING_RATE,
    LENGTH,
    VOCABULARY,
    WEIGHT_DECAY,
    WIDTH,
    Task,
)


def make(task: Task, *, steps_per_execution: int) -> Run:
    keras.utils.set_random_seed(0)
    arrays = task.data()
    model = keras_model(task)
    model.compile(
        optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
    )

    def run(epochs: int) -> None:
        # Its figures of the last epoch are Python numbers: nothing is under way when it returns.
        model.fit(
            arrays["inputs"],
            arrays["labels"],
            batch_size=task.batch_size,
            epochs=epochs,
            shuffle=True,
            verbose=0,
        )

    return run


def keras_model(task: Task) -> keras.Model:
    if task.model == "transformer":
        return _decoder()
    stack: list[layers.Layer] = []
    for channels in task.channels:
        stack += [
            layers.Conv2D(channels, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
        ]
    if task.channels:
        stack.append(layers.Flatten())
    stack += [layers.Dense(width, activation="relu") for width in task.hidden]
    return keras.Sequential([keras.Input(task.row), *stack, layers.Dense(task.outputs)])


def _decoder() -> keras.Model:
    """The decoder of `flax_models`: tokens [B, L] to logits [B, L, V]."""
    tokens = keras.Input((LENGTH,), dtype="int32")
    hidden = _Places()(layers.Embedding(VOCABULARY, WIDTH)(tokens))
    for _ in range(LAYERS):
        normed = layers.LayerNormalization()(hidden)
        attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
        hidden = hidden + attention(normed, normed, use_causal_mask=True)
        normed = layers.LayerNormalization()(hidden)
        wide = keras.ops.gelu(layers.Dense(4 * WIDTH)(normed))
        hidden = hidden + layers.Dense(WIDTH)(wide)
    logits = layers.Dense(VOCABULARY)(layers.LayerNormalization()(hidden))
    return keras.Model(tokens, logits)


class _Places(layers.Layer):
    """Adds a learned vector for each place: [B, L, W] to [B, L, W]."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.places = self.add_weight(shape=shape[1:], initializer="random_normal")

    def call(self, hidden: keras.KerasTensor) -> keras.KerasTensor:
        return hidden + self.places
