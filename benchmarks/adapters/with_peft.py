"""transformers' Llama with PEFT's adapter, trained by PyTorch, for a process of its own.

Attention, optimizer and number of threads are as in `benchmarks.language.with_transformers`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import torch

from benchmarks.adapters.settings import LEARNING_RATE, WEIGHT_DECAY
from benchmarks.language import with_transformers
from benchmarks.language.shape import Shape


class Training(with_transformers.Training):
    """AdamW on the factors of an adapter.

    Args:
        shape: the batches; the model is that of the weights.
        compiled: whether model and loss go through torch.compile.
        weights: a directory that `from_pretrained` reads.
        adapter: a directory of PEFT.
    """

    def __init__(self, shape: Shape, compiled: bool, weights: Path, adapter: Path) -> None:
        super().__init__(shape, False, weights)
        self._model = peft.PeftModel.from_pretrained(self._model, adapter, is_trainable=True)
        self._model.train()
        factors = [each for each in self._model.parameters() if each.requires_grad]
        self._optimizers = {
            name: torch.optim.AdamW(
                factors, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=fused
            )
            for name, fused in (("fused", True), ("default", None))
        }
        self._optimizer = self._optimizers["fused"]
        self._loss: Any = torch.compile(self._loss_of) if compiled else self._loss_of

    def peak(self) -> int:
        """Bytes of memory that this process has had at most."""
        with open("/proc/self/status") as file:
            (line,) = (line for line in file if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
