"""Engines over all processes of a run, for tests that start and stop several.

    main(port, number, count, output, rounds, way)      # as `tests/processes.py` has it called

Trains, is stopped, goes on, `rounds` times. Who is asked to stop, and when, is another each time,
and falls into steps, a validation, or handlers between two epochs. OUTPUT.NUMBER.json then says
where each stop was, and what the parameters were there. `way` is what happens then:

    missing     process 1 comes to no meeting
    alone       process 1 fails by itself, while the others train until somebody ends them
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.cli.signals import StopOnSignals
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import PeerError
from jaxtrain.hooks import Validation
from jaxtrain.parallel import (
    batch_sharding,
    finish,
    hosts,
    make_mesh,
    meet,
    replicated,
    start,
    together,
)

ROWS = 8  # of a batch, of all processes together
LONG = 10**6


def step(state, batch):
    def loss_of(w):
        return jnp.mean((batch["x"] @ w) ** 2)

    loss, gradient = jax.value_and_grad(loss_of)(state["w"])
    output = {"loss": loss, "loss_sum": loss * ROWS, "loss_weight": jnp.float32(ROWS)}
    return {"w": state["w"] - 0.01 * gradient}, output


def evaluate(state, batch):
    return state, step(state, batch)[1]


def batches(mesh, count):
    own, part = jax.process_index(), ROWS // jax.process_count()
    for number in range(count):
        rows = np.random.default_rng(number).normal(size=(ROWS, 4)).astype(np.float32)
        mine = rows[own * part : (own + 1) * part]
        where = batch_sharding(mesh)
        yield {"x": jax.make_array_from_process_local_data(where, mine, rows.shape)}


def main(port: str, number: str, count: str, output: str, rounds: str, way: str = "") -> int:
    output = f"{output}.{{}}.json"
    together.LEFT_SECONDS, hosts.ALONE_SECONDS = 0.5, 6.0  # as where nothing else ends a process
    with StopOnSignals() as signals:
        said = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}"}
        start(None, environ={**said, "JAX_NUM_PROCESSES": count, "JAX_PROCESS_ID": number})
        own, mesh = jax.process_index(), make_mesh()
        initial = {"w": np.linspace(1, 2, 8, dtype=np.float32).reshape(4, 2)}
        state = jax.device_put(initial, replicated(mesh))
        trainer = Engine(step, state, form="single", dispatch_seconds=0.05)
        evaluator = Engine(evaluate, state, form="single", dispatch_seconds=0.05)
        data, more = list(batches(mesh, 8)), list(batches(mesh, 40))
        trainer.attach(Validation(evaluator, more))
        trainer.on(Events.EPOCH_COMPLETED)(lambda: time.sleep(0.02))
        stops = []
        for turn in range(int(rounds)):
            chance = random.Random(turn)
            if chance.randrange(jax.process_count()) == own:
                threading.Timer(chance.uniform(0, 0.3), trainer.interrupt).start()
            if chance.random() < 0.2:  # all are asked, as by a scheduler
                threading.Timer(random.uniform(0, 0.3), trainer.interrupt).start()
            now = trainer.run(data, max_epochs=LONG)
            place = now.iteration, now.epoch, now.epoch_open, evaluator.state.iteration
            stops.append([now.stopped, *place, np.asarray(now.train_state["w"]).tolist()])
            time.sleep(0.35)  # what was asked for late is asked for now
            Path(output.format(own)).write_text(json.dumps(stops))
        if way == "alone" and own == 1:
            return finish(3)
        if way == "missing":
            try:
                if own == 0:
                    meet("nowhere", seconds=0.5)
            except PeerError as error:
                print(error, flush=True)
        if way == "alone":
            with signals.guard(trainer):
                trainer.run(data, max_epochs=LONG)
    return finish(75 if way else 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
