"""The tasks' models in PyTorch, and what all PyTorch loops share.

    model, optimizer = torch_model(task), fused_adamw(model)
    run = on_the_better_threads(run)

Axes: B batch, L length, W width, H heads, V vocabulary.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from benchmarks.loops.frameworks import Run
from benchmarks.loops.tasks import (
    HEADS,
    LAYERS,
    LEARNING_RATE,
    LENGTH,
    VOCABULARY,
    WEIGHT_DECAY,
    WIDTH,
    Task,
)

# Asked for now: for a task before this one, a process may have settled on one.
_ALL_THREADS = torch.get_num_threads()
# At least, for each number of threads that is tried, in turns.
_TRIALS = 3
_TRIAL_SECONDS = 0.3


def torch_model(task: Task, *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    if task.model == "mlp":
        return nn.Sequential(*_dense(task.row[0], task))
    if task.model == "cnn":
        layers: list[nn.Module] = []
        height, width, before = task.row
        for channels in task.channels:
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            height, width, before = height // 2, width // 2, channels
        return nn.Sequential(*layers, nn.Flatten(), *_dense(before * height * width, task))
    return Decoder()


def _dense(inputs: int, task: Task) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for width in task.hidden:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return [*layers, nn.Linear(inputs, task.outputs)]


class Decoder(nn.Module):
    """The decoder of `flax_models`: tokens [B, L] to logits [B, L, V]."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.head(self.blocks(self.tokens(inputs) + self.places))


class Block(nn.Module):
    """Attention and two dense layers, each behind a norm: [B, L, W] to [B, L, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.dense = nn.Sequential(
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4 * WIDTH),
            nn.GELU(approximate="tanh"),
            nn.Linear(4 * WIDTH, WIDTH),
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """What the next block gets."""
        batch, length, _ = hidden.shape
        qkv = self.qkv(hidden).view(batch, length, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        hidden = hidden + self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        return hidden + self.dense(hidden)


def tensors(task: Task) -> tuple[torch.Tensor, torch.Tensor]:
    """The data; images as [N, C, H, W], labels and tokens as int64."""
    arrays = task.data()
    inputs, labels = torch.from_numpy(arrays["inputs"]), torch.from_numpy(arrays["labels"]).long()
    if task.model == "cnn":
        inputs = inputs.permute(0, 3, 1, 2).contiguous()
    return inputs.long() if task.model == "transformer" else inputs, labels


def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of logits [B, K] or [B, L, V]."""
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten())


def fused_adamw(model: nn.Module) -> torch.optim.Optimizer:
    """One kernel for all parameters: the fastest there is on a CPU."""
    return torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
    )


def usual_loader(task: Task) -> DataLoader:
    """As it is written everywhere: rows one by one, collated. No workers: they cost more."""
    return DataLoader(
        TensorDataset(*tensors(task)), batch_size=task.batch_size, shuffle=True, drop_last=True
    )


def lean_loader(task: Task) -> DataLoader:
    """A DataLoader at its best for data in memory: one index for all rows of a batch."""
    data = TensorDataset(*tensors(task))
    sampler = BatchSampler(RandomSampler(data), task.batch_size, drop_last=True)
    return DataLoader(data, sampler=sampler, batch_size=None)


def on_the_better_threads(run: Run) -> Run:
    """Set the number of threads, one or all, with which an epoch is faster."""
    numbers = (_ALL_THREADS, 1)
    seconds: dict[int, list[float]] = {number: [] for number in numbers}
    for number in numbers:
        torch.set_num_threads(number)
        run(1)
    while len(seconds[1]) < _TRIALS or sum(seconds[1]) < _TRIAL_SECONDS:
        for number in numbers:
            torch.set_num_threads(number)
            began = time.perf_counter()
            run(1)
            seconds[number].append(time.perf_counter() - began)
    torch.set_num_threads(min(numbers, key=lambda number: statistics.median(seconds[number])))
    return run
