"""`python -m benchmarks elastic`: the same bits on any number of devices, and what they cost.

    python -m benchmarks elastic
    python -m benchmarks elastic --parts digests --cases mlp --steps 50   # what is there stays

Each case trains for `--steps` steps with 8 virtual shards, two micro-batches in each, dropout,
clipping and AdamW: on 1, 2, 4 and 8 simulated devices of one process, and as 1, 2 and 4 processes
of one device each, over gloo. Digests are of the bytes of parameters, optimizer state and batch
statistics, and of what the metrics came to.

The cost is that of 8 virtual shards on one device, against the ordinary step and against one of 8
micro-batches, for the MLP and the CNN of `configs`' size on MNIST-shaped data: rounds of each take
turns, in a process of their own; a figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine_facts
from benchmarks.parts import some_of
from benchmarks.processes import REST_SECONDS, OwnProcess
from jaxtrain.engine.form import Form
from jaxtrain.files import replacing

RESULTS = Path(__file__).with_name("results") / "elastic.json"
SHARDS, MICRO_BATCHES = 8, 2
PARTS = ("digests", "cost")
DEVICES, PROCESSES = (1, 2, 4, 8), (1, 2, 4)
CASES = {
    "mlp": {"name": "mlp", "hidden": (32, 32), "dropout": 0.2},
    "cnn": {"name": "cnn", "channels": (4, 8), "hidden": (16,), "dropout": 0.2, "batch_norm": True},
    "encoder": {"name": "encoder", "width": 16, "layers": 1, "heads": 2, "feed_forward": 32},
    "nnx": {"name": "nnx"},
}
COSTS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden": (256, 128), "dropout": 0.2},
    "cnn": {"name": "cnn", "dropout": 0.25},
}
WAYS: dict[str, dict[str, int]] = {
    "ordinary": {},
    "8 micro-batches": {"accumulate": SHARDS},
    "8 virtual shards": {"virtual_shards": SHARDS},
}


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks elastic", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--cases", type=some_of(CASES), default=list(CASES), help=",".join(CASES))
    parser.add_argument("--parts", type=some_of(PARTS), default=list(PARTS), help=",".join(PARTS))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9, help="of each way, for the cost")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    record = json.loads(options.out.read_text()) if options.out.exists() else {}
    found: dict[str, Any] = record.get("digests", {})
    for case in options.cases if "digests" in options.parts else ():
        found[case] = digests(case, options.steps)
        equal = "equal" if len(set(found[case].values())) == 1 else "DIFFERENT"
        print(f"{case}: {equal}: {', '.join(found[case])}", flush=True)
    costs = record.get("cost", {})
    for model in COSTS if "cost" in options.parts else ():
        costs[model] = cost(model, rounds=options.rounds)
    for model, rows in costs.items():
        for way, row in rows.items():
            print(
                f"{model:8}{way:20}{row['steps_per_second']:9.1f} steps a second, "
                f"{row['of_the_ordinary']:.2f} of the ordinary"
            )
    record |= {
        "machine": machine_facts(["jaxtrain", "jax", "jaxlib", "flax", "numpy"]),
        "virtual_shards": SHARDS,
        "micro_batches": MICRO_BATCHES,
        "steps": options.steps,
        "digests": found,
        "rounds": options.rounds,
        "cost": costs,
    }
    with replacing(options.out) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")


def digests(
    case: str,
    steps: int,
    *,
    devices: Sequence[int] = DEVICES,
    processes: Sequence[int] = PROCESSES,
    environment: dict[str, str] | None = None,
) -> dict[str, str]:
    """What a case comes to, by how it was trained.

    Args:
        case: of `CASES`.
        steps: how many.
        devices: numbers of simulated devices of one process.
        processes: numbers of processes.
        environment: variables for them.
    """
    found = {}
    if devices:
        # Devices that wait for each other each hold a thread, and what one computes wants more.
        flags = f"--xla_force_host_platform_device_count={max(devices)}"
        simulated = {"XLA_FLAGS": flags, "NPROC": str(4 * max(devices)), **(environment or {})}
        with OwnProcess("devices", environment=simulated) as process:
            for count in devices:
                found[f"{count} devices"] = process.call(trained, case, count, steps)
    for count in processes:
        with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
            own = [
                stack.enter_context(OwnProcess(f"process {i}", environment=environment or {}))
                for i in range(count)
            ]
            port = _free_port()
            answers = [
                pool.submit(own[i].call, as_process, i, count, port, case, steps)
                for i in range(count)
            ]
            each = {answer.result() for answer in answers}
        found[f"{count} processes"] = each.pop() if len(each) == 1 else f"{len(each)} different"
    return found


def as_process(index: int, count: int, port: int, case: str, steps: int) -> str:
    """The digest of a case, as one of several processes that train it together."""
    import jax

    if count > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{port}", count, index)
    try:
        return trained(case, count, steps)
    finally:
        if count > 1:
            jax.distributed.shutdown()


def trained(
    case: str, devices: int, steps: int, forms: Sequence[Form] = ("single", "fused")
) -> str:
    """Train a case over so many devices, in each form of dispatches; the digest of what it is."""
    import jax

    from jaxtrain.engine import Engine
    from jaxtrain.metrics import METRICS
    from jaxtrain.parallel import Layout, make_mesh
    from jaxtrain.step import create_train_state

    mesh = make_mesh(devices=jax.devices()[:devices]) if devices > 1 else None
    model, batches = (
        _model(CASES[case]),
        _batches(20, 32, (8, 8) if case == "encoder" else (8, 8, 1)),
    )
    step, tx = _step(
        model,
        accumulate=MICRO_BATCHES,
        clip_norm=0.5,
        ema_decay=0.99,
        virtual_shards=SHARDS,
        mesh=mesh,
    )
    make = partial(create_train_state, model, tx, batches[0], rng=jax.random.key(0), ema=True)
    results = []
    for form in forms:
        state = jax.jit(make)() if mesh is None else Layout(mesh).create(make)
        engine = Engine(step, state, form=form)
        engine.add_metrics({n: METRICS[n]() for n in ("loss", "accuracy")})
        engine.track("grad_norm")
        engine.run(batches, max_iters=steps)
        results.append(_digest(engine.state.train_state, engine.state.metrics))
    return " ".join(sorted(set(results)))


def cost(model: str, *, rounds: int) -> dict[str, Any]:
    """Steps a second of each way, and as a share of the ordinary one's."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with OwnProcess("cost") as process:
        process.make(_Ways, model)
        for number in range(rounds + 1):  # the first one compiles
            for way in WAYS:
                time.sleep(REST_SECONDS)
                took = process.ask("round", way)
                if number:
                    seconds[way].append(took)
    return {
        way: {
            "steps_per_second": 1 / statistics.median(took),
            "of_the_ordinary": statistics.median(
                a / b for a, b in zip(seconds["ordinary"], took, strict=True)
            ),
        }
        for way, took in seconds.items()
    }


class _Ways:
    """The trainings whose cost is measured, compiled."""

    STEPS = 10

    def __init__(self, model: str) -> None:
        import jax

        from jaxtrain.engine import Engine
        from jaxtrain.step import create_train_state

        self._batches, self._engines = _batches(self.STEPS, 64, (28, 28, 1)), {}
        built = _model(COSTS[model])
        for way, options in WAYS.items():
            step, tx = _step(built, clip_norm=1.0, **options)
            state = create_train_state(built, tx, self._batches[0], rng=jax.random.key(0))
            self._engines[way] = Engine(step, state)

    def round(self, way: str) -> float:
        """Seconds of a step."""
        import jax

        engine = self._engines[way]
        engine.reset()
        began = time.perf_counter()
        engine.run(self._batches, max_epochs=1)
        jax.block_until_ready(engine.state.train_state)
        return (time.perf_counter() - began) / self.STEPS


def _step(model: Any, **options: Any) -> tuple[Callable[..., Any], Any]:
    from jaxtrain.optim import adamw
    from jaxtrain.step import cross_entropy, make_train_step

    tx = adamw(1e-2, weight_decay=1e-2)
    return make_train_step(model, cross_entropy(), tx, **options), tx


def _model(config: dict[str, Any]) -> Any:
    from flax import nnx

    from jaxtrain.models import MODELS, from_nnx

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.first = nnx.Linear(64, 32, rngs=rngs)
            self.norm = nnx.BatchNorm(32, rngs=rngs)
            self.dropout = nnx.Dropout(0.2, rngs=rngs)
            self.second = nnx.Linear(32, 10, rngs=rngs)

        def __call__(self, inputs: Any) -> Any:
            hidden = nnx.relu(self.norm(self.first(inputs.reshape(len(inputs), -1))))
            # A softmax, since XLA has a rule for such quotients that depends on what is around.
            return self.second(self.dropout(hidden * nnx.softmax(hidden)))

    options = dict(config)
    name = options.pop("name")
    return from_nnx(Net) if name == "nnx" else MODELS[name](10, **options)


def _batches(count: int, rows: int, shape: tuple[int, ...]) -> list[dict[str, np.ndarray]]:
    """Images of noise, a sixth of them padding, and not as much in each shard."""
    random = np.random.default_rng(0)
    make: Callable[[], dict[str, np.ndarray]] = lambda: {  # noqa: E731
        "inputs": random.normal(size=(rows, *shape)).astype(np.float32),
        "labels": random.integers(0, 10, rows).astype(np.int32),
        "row_mask": (random.random(rows) > 1 / 6).astype(np.float32),
    }
    return [make() for _ in range(count)]


def _digest(state: Any, metrics: dict[str, Any]) -> str:
    import jax

    plain = partial(jax.tree.map, lambda leaf: np.asarray(leaf.addressable_data(0)))
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(
        plain((state.params, state.opt_state, state.model_state, state.ema))
    ):
        found.update(leaf.tobytes())
    found.update(json.dumps(metrics, sort_keys=True).encode())
    return found.hexdigest()[:16]


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port
