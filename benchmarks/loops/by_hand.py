"""What one writes without a library: a jitted step, and a loop that feeds it from numpy."""

from __future__ import annotations

from functools import partial
from itertools import count

import jax
import optax

from benchmarks.loops.flax_models import flax_model
from benchmarks.loops.frameworks import Run
from benchmarks.loops.tasks import LEARNING_RATE, WEIGHT_DECAY, Task
from jaxtrain.data import ArrayLoader


def make(task: Task) -> Run:
    arrays = task.data()
    # Only its order of rows is used, so that both loops draw the same batches.
    order = ArrayLoader(arrays, batch_size=task.batch_size, seed=0)
    model = flax_model(task)
    tx = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def objective(params, batch):
        logits, _ = model.apply({"params": params}, batch, train=True)
        each = optax.losses.softmax_cross_entropy_with_integer_labels(logits, batch["labels"])
        return each.mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state, batch):
        loss, grads = jax.value_and_grad(objective)(params, batch)
        changes, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, changes), opt_state, loss

    example = {name: array[: task.batch_size] for name, array in arrays.items()}
    params = jax.jit(model.init)(jax.random.key(0), example)["params"]
    state = params, jax.jit(tx.init)(params)
    epoch = count()

    def run(epochs: int) -> None:
        nonlocal state
        params, opt_state = state
        for _ in range(epochs):
            indices, _mask = order.indices(next(epoch))
            for rows in indices:
                batch = {name: array.take(rows, axis=0) for name, array in arrays.items()}
                params, opt_state, loss = step(params, opt_state, batch)
        loss.block_until_ready()
        state = params, opt_state

    return run
