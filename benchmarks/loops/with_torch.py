"""PyTorch without a library around it: batches by one index, nothing but the step."""

from __future__ import annotations

import torch

from benchmarks.loops.frameworks import Run
from benchmarks.loops.tasks import Task
from benchmarks.loops.torch_models import (
    fused_adamw,
    loss_of,
    on_the_better_threads,
    tensors,
    torch_model,
)


def make(task: Task) -> Run:
    inputs, labels = tensors(task)
    model = torch_model(task)
    optimizer = fused_adamw(model)

    def run(epochs: int) -> None:
        for _ in range(epochs):
            for rows in torch.randperm(len(inputs)).split(task.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss_of(model(inputs[rows]), labels[rows]).backward()
                optimizer.step()

    return on_the_better_threads(run)
