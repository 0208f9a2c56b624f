"""transformers' Llama that trains and writes by PyTorch, for a process of its own.

    training = Training(shape, compiled=True, weights=path)
    training.first_losses(5)                  # a loss a step
    training.settle()                         # {"threads": 2, "optimizer": "fused"}
    training.round(10)                        # tokens a second

PyTorch is given its best: its own attention kernel, told that it is causal; AdamW in one kernel or
by its default, and the number of threads, whichever is faster; no metrics, no norm of the gradient;
the loss without transformers' shifting and copying of labels.

Axes: B prompts, L their length, T new tokens.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

# Theirs, of imports and of compiling; nobody here can mend them.
warnings.simplefilter("ignore")

import torch  # noqa: E402
import transformers  # noqa: E402
from torch.nn import functional  # noqa: E402
from transformers.integrations.sdpa_attention import sdpa_attention_forward  # noqa: E402

from benchmarks.language.rates import Rate  # noqa: E402
from benchmarks.language.settings import (  # noqa: E402
    BATCHES,
    LEARNING_RATE,
    TOP_P,
    WEIGHT_DECAY,
)
from benchmarks.language.shape import Shape  # noqa: E402
from benchmarks.processes import Stopwatch  # noqa: E402

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
# "sdpa" by another name. Of a name that it knows transformers makes a mask [B, 1, L, L] under
# torch.compile (with torch below 2.14), and the kernel then computes what lies above the diagonal.
ATTENTION = "causal_sdpa"
transformers.AttentionInterface.register(ATTENTION, sdpa_attention_forward)

_ALL_THREADS = torch.get_num_threads()
_TRIALS = 3

Option = TypeVar("Option")


class Training:
    """AdamW on next tokens.

    Args:
        shape: the batches; the model is that of the weights.
        compiled: whether model and loss go through torch.compile.
        weights: a directory that `from_pretrained` reads.
    """

    def __init__(self, shape: Shape, compiled: bool, weights: Path) -> None:
        self._shape = shape
        model = transformers.LlamaForCausalLM.from_pretrained(
            weights, dtype=torch.float32, attn_implementation=ATTENTION
        )
        self._model = model.train()
        self._optimizers = {
            name: torch.optim.AdamW(
                model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=fused
            )
            for name, fused in (("fused", True), ("default", None))
        }
        self._optimizer = self._optimizers["fused"]
        texts = [shape.text(number) for number in range(BATCHES)]
        self._batches = [
            tuple(torch.from_numpy(text[name]).long() for name in ("inputs", "labels"))
            for text in texts
        ]
        self._loss = torch.compile(self._loss_of) if compiled else self._loss_of
        self._done = 0

    def first_losses(self, number: int) -> list[float]:
        """The loss of each of the first steps, before its update."""
        return [float(self._step()) for _ in range(number)]

    def settle(self) -> dict[str, Any]:
        """Take the number of threads, and then the optimizer, with which a step is faster."""
        threads = _faster(_numbers_of_threads(), torch.set_num_threads, self._step)
        torch.set_num_threads(threads)
        optimizer = _faster(list(self._optimizers), self._take, lambda: self._optimizer.step())
        self._take(optimizer)
        return {"threads": threads, "optimizer": optimizer}

    def round(self, steps: int) -> Rate:
        """Tokens a second over so many steps."""
        watch = Stopwatch()
        for _ in range(steps):
            self._step()
        return watch.rates(steps * self._shape.tokens)

    def _step(self) -> torch.Tensor:
        inputs, labels = self._batches[self._done % len(self._batches)]
        self._done += 1
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(inputs, labels)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _loss_of(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = self._model(input_ids=inputs, use_cache=False).logits
        return functional.cross_entropy(logits.flatten(0, -2), labels.flatten())

    def _take(self, optimizer: str) -> None:
        self._optimizer = self._optimizers[optimizer]


def _numbers_of_threads() -> list[int]:
    """All, half of them, and so on, down to one."""
    numbers = [_ALL_THREADS]
    while numbers[-1] > 1:
        numbers.append(numbers[-1] // 2)
    return numbers


def _faster(
    options: Sequence[Option], take: Callable[[Option], Any], run: Callable[[], Any]
) -> Option:
    """The option with which `run` takes the least time; they take turns."""
    seconds: dict[Option, list[float]] = {option: [] for option in options}
    for number in range(_TRIALS + 1):  # the first one warms up, and compiles
        for option in options:
            take(option)
            began = time.perf_counter()
            run()
            if number:
                seconds[option].append(time.perf_counter() - began)
    return min(options, key=lambda option: statistics.median(seconds[option]))


class Writing:
    """Goes on behind prompts."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval()

    @classmethod
    def of(cls, weights: Path) -> Writing:
        """By a directory that `from_pretrained` reads."""
        return cls(transformers.LlamaForCausalLM.from_pretrained(weights, dtype=torch.float32))

    def write(self, prompts: np.ndarray, new: int, mode: str) -> np.ndarray:
        """From prompts [B, L] to new tokens [B, T]."""
        drawn = {"do_sample": True, "temperature": 1.0, "top_p": TOP_P, "top_k": 0}
        how: dict[str, Any] = {"do_sample": False} if mode == "greedy" else drawn
        tokens = torch.tensor(prompts)
        with torch.inference_mode():
            found = self._model.generate(
                tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=new, **how
            )
        return found[:, tokens.shape[1] :].numpy()
