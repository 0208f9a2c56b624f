"""`python -m benchmarks updates`: an update of AdamW, beside PyTorch's and plain optax's.

    python -m benchmarks updates
    python -m benchmarks updates --millions 10 --clips none --rounds 9
    python -m benchmarks updates --out benchmarks/results/updates.json

Kernels of 1024 x 1024 and a vector for each, as many as there are parameters wanted, float32. The
gradient is there already: what is measured is the update alone, its state given away and got back,
without and with clipping by the global norm. "jaxtrain" is what a step of `make_train_step` does
with a gradient; "optax" is `optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(...))`;
PyTorch's are `torch.optim.AdamW` behind `clip_grad_norm_`.

Each framework has a process of its own, and they take turns; a figure is the median of the rounds,
a ratio the median of the ratios within the rounds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.language.rates import Rate, summary
from benchmarks.machine import machine_facts
from benchmarks.parts import some_of
from benchmarks.processes import REST_SECONDS, OwnProcess, Stopwatch
from jaxtrain.files import replacing

PACKAGES = ["jaxtrain", "jax", "jaxlib", "optax", "torch"]
WIDTH = 1024
RATE, DECAY, LIMIT = 1e-3, 1e-4, 1.0
CLIPS = {"none": False, "global norm": True}
LARGEST_DIFFERENCE = 2e-6
"""Of the parameters after three updates: all must have done the same before a clock runs."""


class OnJax:
    """An update in JAX.

    Args:
        update: `(params, opt_state, grads) -> (params, opt_state)`.
        init: makes the state of parameters.
        kernels: how many.
    """

    def __init__(self, update: Callable[..., Any], init: Callable[..., Any], kernels: int) -> None:
        import jax

        self._update = jax.jit(update, donate_argnums=(0, 1))
        self._params = jax.jit(lambda: _arrays(kernels, jax.numpy, 1.0))()
        self._grads = jax.jit(lambda: _arrays(kernels, jax.numpy, 0.01))()
        self._state = init(self._params)

    def step(self, count: int) -> None:
        """So many updates, waited for."""
        import jax

        for _ in range(count):
            self._params, self._state = self._update(self._params, self._state, self._grads)
        jax.block_until_ready((self._params, self._state))

    def some(self) -> list[float]:
        """A few of the parameters."""
        return [float(x) for x in self._params[0][0, :5]] + [float(x) for x in self._params[1][:5]]

    def round(self, count: int) -> Rate:
        """Updates a second over so many."""
        watch = Stopwatch()
        self.step(count)
        return watch.rates(count)


class OnTorch:
    """An update of PyTorch."""

    def __init__(self, options: dict[str, bool], clips: bool, kernels: int) -> None:
        import torch

        self._clips = clips
        self._params = [torch.nn.Parameter(x) for x in _arrays(kernels, torch, 1.0)]
        self._grads = _arrays(kernels, torch, 0.01)
        self._optimizer = torch.optim.AdamW(self._params, RATE, weight_decay=DECAY, **options)
        for param, grad in zip(self._params, self._grads, strict=True):
            param.grad = grad.clone()

    def step(self, count: int) -> None:
        """So many updates."""
        import torch

        for _ in range(count):
            if self._clips:
                torch.nn.utils.clip_grad_norm_(self._params, LIMIT)
            self._optimizer.step()

    def some(self) -> list[float]:
        """A few of the parameters."""
        kernel, vector = self._params[0].detach(), self._params[1].detach()
        return [float(x) for x in kernel[0, :5]] + [float(x) for x in vector[:5]]

    def round(self, count: int) -> Rate:
        """Updates a second over so many."""
        watch = Stopwatch()
        self.step(count)
        return watch.rates(count)


def jaxtrain_update(clips: bool, kernels: int) -> OnJax:
    from jaxtrain.optim import adamw
    from jaxtrain.step import clip_factor, global_norm, scaled, update

    tx = adamw(RATE, weight_decay=DECAY)
    apply = update(tx)

    def whole(params: Any, state: Any, grads: Any) -> Any:
        factor = clip_factor(global_norm(grads), LIMIT) if clips else None
        return apply(scaled(grads, factor, params), state, params)

    return OnJax(whole, tx.init, kernels)


def optax_update(clips: bool, kernels: int) -> OnJax:
    import optax

    tx = optax.adamw(RATE, weight_decay=DECAY)
    if clips:
        tx = optax.chain(optax.clip_by_global_norm(LIMIT), tx)

    def whole(params: Any, state: Any, grads: Any) -> Any:
        changes, state = tx.update(grads, state, params)
        return optax.apply_updates(params, changes), state

    return OnJax(whole, tx.init, kernels)


def torch_fused(clips: bool, kernels: int) -> OnTorch:
    return OnTorch({"fused": True}, clips, kernels)


def torch_foreach(clips: bool, kernels: int) -> OnTorch:
    return OnTorch({"foreach": True}, clips, kernels)


FRAMEWORKS: dict[str, Callable[[bool, int], Any]] = {
    "jaxtrain": jaxtrain_update,
    "optax": optax_update,
    "PyTorch, fused": torch_fused,
    "PyTorch, foreach": torch_foreach,
}


def main(argv: Sequence[str]) -> None:
    options = _parser().parse_args(argv)
    record: dict[str, Any] = {}
    if options.out is not None and options.out.exists():
        record = json.loads(options.out.read_text())
    record |= {"machine": machine_facts(PACKAGES), "rounds": options.rounds, "width": WIDTH}
    for millions in options.millions:
        for clip in options.clips:
            found = measure(millions, CLIPS[clip], rounds=options.rounds, seconds=options.seconds)
            record.setdefault(f"{millions:g} million", {})[clip] = found
            print("\n".join(table(millions, clip, found)), flush=True)
            if options.out is not None:
                options.out.parent.mkdir(parents=True, exist_ok=True)
                with replacing(options.out) as temporary:
                    temporary.write_text(json.dumps(record, indent=1) + "\n")
    if options.out is not None:
        print(f"written: {options.out}")


def measure(millions: float, clips: bool, *, rounds: int, seconds: float) -> dict[str, Any]:
    """The rates of all frameworks that are there.

    Raises:
        SystemExit: they do not come to the same parameters.
    """
    kernels = max(1, round(millions * 1e6 / (WIDTH * WIDTH + WIDTH)))
    left_out = [n for n in FRAMEWORKS if n.startswith("PyTorch") and find_spec("torch") is None]
    measured: dict[str, list[Rate]] = {}
    with ExitStack() as stack:
        processes: dict[str, OwnProcess] = {}
        results: dict[str, list[float]] = {}
        for name, make in FRAMEWORKS.items():
            if name not in left_out:
                processes[name] = stack.enter_context(OwnProcess(name))
                processes[name].make(make, clips, kernels)
                processes[name].ask("step", 3)
                results[name] = processes[name].ask("some")
        _refuse_different(results)
        steps = max(1, round(seconds * processes["optax"].ask("round", 3)["clock"]))
        for number in range(rounds + 1):  # the first one warms up
            for name, process in processes.items():
                time.sleep(REST_SECONDS)
                rate = process.ask("round", steps)
                print(f"  {number}: {name} {1e3 / rate['clock']:.2f} ms", file=sys.stderr)
                if number:
                    measured.setdefault(name, []).append(rate)
    return {
        "parameters": kernels * (WIDTH * WIDTH + WIDTH),
        "updates_a_round": steps,
        "left_out": left_out,
        **summary(measured),
        "against_optax": _against_optax(measured),
    }


def table(millions: float, clip: str, found: dict[str, Any]) -> list[str]:
    """Milliseconds of an update; of ours how many times as fast it is."""
    lines = [f"{millions:g} million parameters, clipping by: {clip}"]
    ratios = found["times_as_fast"]["jaxtrain"] | {"optax": found["against_optax"]}
    for name, figures in found["per_second"].items():
        behind = f"   jaxtrain is {ratios[name]['clock']:.2f}×" if name in ratios else ""
        lines.append(f"  {name:20}{1e3 / figures['clock']:9.2f} ms{behind}")
    return lines


def _against_optax(measured: dict[str, list[Rate]]) -> dict[str, float]:
    import statistics

    pairs = list(zip(measured["jaxtrain"], measured["optax"], strict=True))
    return {
        kind: statistics.median(ours[kind] / theirs[kind] for ours, theirs in pairs)
        for kind in ("clock", "processor")
    }


def _refuse_different(results: dict[str, list[float]]) -> None:
    expected = results["optax"]
    for name, found in results.items():
        apart = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        if not apart <= LARGEST_DIFFERENCE:
            raise SystemExit(f"{name} comes to other parameters than optax, by {apart:.2g}")


def _arrays(kernels: int, numpy: Any, scale: float) -> list[Any]:
    """Kernels and vectors in turn, of numbers of either sign; `numpy` is that of a framework."""
    found = []
    for number in range(kernels):
        row = numpy.linspace(-1.0, 1.0, WIDTH, dtype=numpy.float32)
        found.append(scale * (row[:, None] * row[None, :] + 0.001 * (number + 1)))
        found.append(scale * row)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks updates", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--millions",
        type=lambda text: [float(word) for word in text.split(",")],
        default=[10.0, 100.0],
        help="of parameters",
    )
    parser.add_argument("--clips", type=some_of(CLIPS), default=list(CLIPS), help=",".join(CLIPS))
    parser.add_argument("--rounds", type=int, default=7, help="turns of each framework")
    parser.add_argument("--seconds", type=float, default=1.0, help="about how long a turn is")
    parser.add_argument("--out", type=Path, help="a file for the record")
    return parser
