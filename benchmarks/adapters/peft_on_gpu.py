"""transformers' Gemma with a fresh adapter of PEFT, trained by PyTorch on a GPU.

    training = Training(shape, compiled=False, again=False)
    training.first_losses(3)
    training.round(10)                        # tokens a second

PyTorch is given its best: weights in bfloat16, which are made on the device; factors in float32
that are computed with in bfloat16, as Trainer(bf16=True) does it, and inputs that PEFT does not
make float32 before; AdamW in one kernel; attention as in `benchmarks.language.with_transformers`.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import peft
import torch
import transformers
from peft.helpers import disable_input_dtype_casting
from torch.nn import functional

from benchmarks.adapters.settings import ALPHA, LEARNING_RATE, RANK, WEIGHT_DECAY
from benchmarks.language.rates import Rate
from benchmarks.language.settings import BATCHES
from benchmarks.language.shape import Shape
from benchmarks.language.with_transformers import ATTENTION
from benchmarks.processes import Stopwatch


def device() -> str:
    """Where PyTorch computes: "cuda", or "cpu" where it finds no GPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def peak() -> int | None:
    """The highest number of bytes of the GPU in use at once, so far in this process."""
    return torch.cuda.max_memory_allocated() if device() == "cuda" else None


class Training:
    """AdamW on the factors of an adapter on all layers.

    Args:
        shape: model and batches, a Gemma's.
        compiled: whether model and loss go through torch.compile.
        again: whether layers are computed again in the backward pass, and keep their input alone.
    """

    def __init__(self, shape: Shape, compiled: bool, again: bool) -> None:
        assert shape.family == "gemma"
        self._shape, self._device = shape, device()
        sizes = shape.config()
        config = transformers.GemmaConfig(
            vocab_size=sizes.vocab_size,
            hidden_size=sizes.width,
            intermediate_size=sizes.hidden,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.kv_heads,
            head_dim=sizes.head_dim,
            max_position_embeddings=sizes.max_length,
            rms_norm_eps=sizes.norm_eps,
            tie_word_embeddings=sizes.tied,
        )
        with torch.device(self._device):
            base = transformers.AutoModelForCausalLM.from_config(
                config, dtype=torch.bfloat16, attn_implementation=ATTENTION
            )
        if again:
            base.gradient_checkpointing_enable(
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        adapter = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear")
        self._model = peft.get_peft_model(base, adapter).train()
        self._casting = ExitStack()  # off for as long as this lives
        self._casting.enter_context(disable_input_dtype_casting(self._model))
        self._factors = [each for each in self._model.parameters() if each.requires_grad]
        assert {each.dtype for each in self._factors} == {torch.float32}
        self._optimizer = torch.optim.AdamW(
            self._factors, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        texts = [shape.text(number) for number in range(BATCHES)]
        self._batches = [
            tuple(torch.from_numpy(text[name]).long() for name in ("inputs", "labels"))
            for text in texts
        ]
        self._loss: Any = torch.compile(self._loss_of) if compiled else self._loss_of
        self._done = 0

    def first_losses(self, number: int) -> list[float]:
        """The loss of each of the first steps, before its update."""
        return [float(self._step()) for _ in range(number)]

    def round(self, steps: int) -> Rate:
        """Tokens a second over so many steps."""
        watch = Stopwatch()
        for _ in range(steps):
            self._step()
        if self._device == "cuda":
            torch.cuda.synchronize()
        return watch.rates(steps * self._shape.tokens)

    def trained(self) -> int:
        """How many numbers the optimizer sees."""
        return sum(each.numel() for each in self._factors)

    def _step(self) -> torch.Tensor:
        batch = self._batches[self._done % len(self._batches)]
        self._done += 1
        inputs, labels = (each.to(self._device, non_blocking=True) for each in batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(inputs, labels)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _loss_of(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self._device, dtype=torch.bfloat16):
            logits = self._model(input_ids=inputs, use_cache=False).logits
            return functional.cross_entropy(logits.flatten(0, -2), labels.flatten())
