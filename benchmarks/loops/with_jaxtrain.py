"""jaxtrain's Engine with what a run usually has: progress, metrics, a log every 100 iterations."""

from __future__ import annotations

import io

import jax

import jaxtrain as jt
from benchmarks.loops.flax_models import flax_model
from benchmarks.loops.frameworks import Run
from benchmarks.loops.tasks import LEARNING_RATE, WEIGHT_DECAY, Task
from jaxtrain.engine.form import Form


def make(task: Task, *, form: Form | None = None, lean: bool = False) -> Run:
    loader = jt.ArrayLoader(task.data(), batch_size=task.batch_size, seed=0)
    model, loss = flax_model(task), jt.step.cross_entropy()
    tx = jt.optim.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    example = {name: array[: task.batch_size] for name, array in loader.arrays.items()}
    state = jt.create_train_state(model, tx, example, rng=jax.random.key(0))

    # The other loops neither take the norm of the gradient nor look for NaN.
    parts = {"norm": False, "guard": False} if lean else {}
    engine = jt.Engine(jt.make_train_step(model, loss, tx, **parts), state, form=form)
    engine.add_metrics({"train/loss": jt.Loss(), "train/accuracy": jt.Accuracy()})
    engine.attach(jt.hooks.Progress(io.StringIO()))
    logged: list[dict[str, object]] = []

    @engine.on(jt.Events.ITERATION_COMPLETED(every=100))
    def log(engine: jt.Engine) -> None:
        logged.append(engine.scalars())

    done = 0

    def run(epochs: int) -> None:
        nonlocal done
        done += epochs  # a run goes on where more epochs are asked for than it has done
        engine.run(loader, max_epochs=done)
        jax.block_until_ready(engine.state.train_state)

    return run
