"""A decoder of jaxtrain that is trained whole, or by an adapter, for a process of its own.

training = Training(shape, "low_rank", weights, adapter)
training.first_losses(5)
training.round(10)                        # tokens a second
training.peak()                           # bytes
Training(shape, "low_rank", precision="bfloat16").flops().total       # a token
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp

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
from jaxtrain.models.decoder.remat import Remat
from jaxtrain.models.flops import Flops

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
        weights: what `write_files` wrote; None for fresh ones, which under an adapter have the
            dtype of the precision.
        adapter: likewise; None for a fresh one, float32.
        precision: a policy's name.
        remat: what a layer keeps for the backward pass.
    """

    def __init__(
        self,
        shape: Shape,
        form: Form,
        weights: Path | None = None,
        adapter: Path | None = None,
        precision: str = "float32",
        remat: Remat = "none",
    ) -> None:
        self._shape, self._precision = shape, precision
        if weights is None:
            config, dtype = shape.config(), "float32" if form == "full" else precision
            params = initial_params(jax.random.key(0), config, dtype=dtype)
        else:
            config, params = hf.load(weights)
        base, loss = decoder(config, remat=remat), jt.step.next_token()
        tx = jt.optim.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self._batches = [shape.text(number) for number in range(BATCHES)]
        model, given = base, {"params": params}
        if form != "full":
            if adapter is None:
                made = lora.init(jax.random.key(1), params, CONFIG)
            else:
                made = lora.load_lora(adapter, params, trainable=True)
            if form in ("int8", "nf4"):
                model = lora.model(base, made.config, form="low_rank", quantize=form)
                params = lora.quantize(params, form)
            else:
                model = lora.model(base, made.config, form=form)
            given = {"params": made, "frozen": params}
        self._model = model
        self._state = jt.create_train_state(
            model, tx, self._batches[0], rng=jax.random.key(0), precision=precision, **given
        )
        step = jt.make_train_step(model, loss, tx, precision=precision, norm=False, guard=False)
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

    def flops(self) -> Flops:
        """What a token takes, forward and backward."""
        assert self._model.flops is not None
        return self._model.flops(self._batches[0], self._precision)

    def trained(self) -> int:
        """How many numbers the optimizer sees."""
        return sum(int(jnp.size(leaf)) for leaf in jax.tree.leaves(self._state.params))

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
