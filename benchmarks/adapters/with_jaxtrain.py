"""A decoder of jaxtrain that is trained whole, or by an adapter, for a process of its own.

training = Training(shape, "low_rank", weights, adapter)
training.first_losses(5)
training.round(10)                        # tokens a second
training.peak()                           # bytes
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import jax

import jaxtrain as jt
from benchmarks.adapters.settings import ALPHA, LEARNING_RATE, RANK, WEIGHT_DECAY
from benchmarks.language.rates import Rate
from benchmarks.language.settings import BATCHES
from benchmarks.language.shape import Shape
from benchmarks.processes import Stopwatch
from jaxtrain import lora
from jaxtrain.lora import LoRAConfig
from jaxtrain.models import hf
from jaxtrain.models.decoder import decoder, initial_params

Form = Literal["full", "low_rank", "merge", "int8", "nf4"]

CONFIG = LoRAConfig(rank=RANK, alpha=ALPHA)


def write_files(shape: Shape, weights: Path, adapter: Path) -> None:
    """Fresh weights as files of Hugging Face, and a fresh adapter as files of PEFT."""
    config = shape.config()
    params = initial_params(jax.random.key(0), config)
    hf.save(weights, config, params)
    made = lora.init(jax.random.key(1), params, CONFIG)
    lora.save_lora(adapter, made, params=params, base_model=str(weights))


class Training:
    """AdamW on next tokens by the jitted step alone, without norm or guard.

    Args:
        shape: model and batches.
        form: all parameters, or an adapter in one of its forms, or beside a base in few bits.
        weights: what `write_files` wrote.
        adapter: likewise.
    """

    def __init__(self, shape: Shape, form: Form, weights: Path, adapter: Path) -> None:
        self._shape = shape
        config, params = hf.load(weights)
        base, loss = decoder(config), jt.step.next_token()
        tx = jt.optim.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self._batches = [shape.text(number) for number in range(BATCHES)]
        model, given = base, {"params": params}
        if form != "full":
            made = lora.load_lora(adapter, params, trainable=True)
            if form in ("int8", "nf4"):
                model = lora.model(base, made.config, form="low_rank", quantize=form)
                params = lora.quantize(params, form)
            else:
                model = lora.model(base, made.config, form=form)
            given = {"params": made, "frozen": params}
        self._state = jt.create_train_state(
            model, tx, self._batches[0], rng=jax.random.key(0), **given
        )
        step = jt.make_train_step(model, loss, tx, norm=False, guard=False)
        # A base that is donated would have to be given back: the step hands it through.
        self._step = jax.jit(step, donate_argnums=0)
        self._done = 0

    def first_losses(self, number: int) -> list[float]:
        """The loss of each of the first steps, before its update."""
        return [float(self._one()) for _ in range(number)]

    def round(self, steps: int) -> Rate:
        """Tokens a second over so many steps."""
        watch = Stopwatch()
        for _ in range(steps):
            loss = self._one()
        jax.block_until_ready((loss, self._state))
        return watch.rates(steps * self._shape.tokens)

    def peak(self) -> int:
        """Bytes of memory that this process has had at most."""
        return peak()

    def _one(self) -> Any:
        batch = self._batches[self._done % len(self._batches)]
        self._done += 1
        self._state, output = self._step(self._state, batch)
        return output["loss"]


def peak() -> int:
    """Bytes of memory that this process has had at most."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
