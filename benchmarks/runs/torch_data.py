"""Batches for the loops on PyTorch: one index for all rows of a batch.

train, held_out = loaders(words)
"""

from __future__ import annotations

import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    TensorDataset,
)

from benchmarks.loops.torch_models import tensors
from benchmarks.runs.settings import EVALUATION_BATCH, Words


def loaders(words: Words) -> tuple[DataLoader, DataLoader]:
    """Shuffled training batches, and those of the test images. No workers: they cost more."""
    setting = words.setting
    train = TensorDataset(*tensors(setting.task(words.data)))
    held_out = TensorDataset(*tensors(setting.held_out(words.data)))
    sampler = BatchSampler(RandomSampler(train), setting.batch_size, drop_last=False)
    in_order = BatchSampler(SequentialSampler(held_out), EVALUATION_BATCH, drop_last=False)
    return (
        DataLoader(train, sampler=sampler, batch_size=None),
        DataLoader(held_out, sampler=in_order, batch_size=None),
    )


def correct(logits: torch.Tensor, labels: torch.Tensor) -> int:
    """How many rows are right."""
    return int((logits.argmax(-1) == labels).sum())
