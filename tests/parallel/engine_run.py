"""A run of an engine over all processes, for tests that start and stop several.

    python -m tests.parallel.engine_run OUTPUT EPOCHS [SECONDS]

Writes OUTPUT.PROCESS.json: where it stands, and what its parameters are. With SECONDS, process 1
asks for a stop so long after its first iteration. JAXTRAIN_PHASE says where the run spends its
time: in "steps", in a "validation", or in "handlers" between epochs.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.cli.signals import StopOnSignals
from jaxtrain.engine import Engine, Events
from jaxtrain.hooks import Validation
from jaxtrain.parallel import batch_sharding, finish, make_mesh, replicated, start

ROWS = 8  # a batch, of all processes together


def step(state, batch):
    def loss_of(w):
        return jnp.mean((batch["x"] @ w) ** 2)

    loss, gradient = jax.value_and_grad(loss_of)(state["w"])
    output = {"loss": loss, "loss_sum": loss * ROWS, "loss_weight": jnp.float32(ROWS)}
    return {"w": state["w"] - 0.01 * gradient}, output


def evaluate(state, batch):
    return state, step(state, batch)[1]


def batches(mesh, count):
    own, all_of_them = jax.process_index(), jax.process_count()
    part = ROWS // all_of_them
    where = batch_sharding(mesh)
    for number in range(count):
        rows = np.random.default_rng(number).normal(size=(ROWS, 4)).astype(np.float32)
        mine = rows[own * part : (own + 1) * part]
        yield {"x": jax.make_array_from_process_local_data(where, mine, rows.shape)}


def main(output: str, epochs: str, seconds: str = "0") -> int:
    phase = os.environ.get("JAXTRAIN_PHASE", "steps")
    with StopOnSignals() as signals:
        start()
        mesh = make_mesh()
        initial = {"w": np.linspace(1, 2, 8, dtype=np.float32).reshape(4, 2)}
        state = jax.device_put(initial, replicated(mesh))
        trainer = Engine(step, state, form="single", dispatch_seconds=0.05)
        data = list(batches(mesh, 2 if phase != "steps" else 40))
        stages = []
        if phase == "validation":
            evaluator = Engine(evaluate, state, form="single")
            trainer.attach(Validation(evaluator, list(batches(mesh, 400))))
        if phase == "handlers":
            trainer.on(Events.EPOCH_COMPLETED)(lambda: time.sleep(0.05))

        @trainer.on(Events.ITERATION_COMPLETED(once=1))
        def begin():
            stages.append("begun")
            Path(f"{output}.{jax.process_index()}.begun").touch()
            if jax.process_index() == 1 and float(seconds):
                threading.Timer(float(seconds), trainer.interrupt).start()

        with signals.guard(trainer):
            now = trainer.run(data, max_epochs=int(epochs))
    told = {
        "iteration": now.iteration,
        "epoch": now.epoch,
        "epoch_open": now.epoch_open,
        "stopped": now.stopped,
        "w": np.asarray(now.train_state["w"]).tolist(),
    }
    Path(f"{output}.{jax.process_index()}.json").write_text(json.dumps(told))
    return finish(75 if now.stopped else 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
