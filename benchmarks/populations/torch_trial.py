"""A trial in PyTorch as a good user writes it: tensors in memory, one index a batch, no library.

    for loss, accuracy in trial(arrays, setting, values):
        ...                                          # of the validation, behind each epoch

Axes: B batch, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.populations.cases import Setting

Arrays = Mapping[str, np.ndarray]


def read(place: Path) -> dict[str, np.ndarray]:
    """The arrays: `inputs`, `labels`, `val_inputs` and `val_labels`."""
    with np.load(place / "data.npz") as found:
        return dict(found)


def trial(
    arrays: Arrays, setting: Setting, values: Mapping[str, float]
) -> Iterator[tuple[float, float]]:
    """Train, and validate behind each epoch: (loss, accuracy).

    Args:
        arrays: of `read`.
        setting: what is trained.
        values: by keys of the space.
    """
    torch.manual_seed(setting.seed)
    inputs, val_inputs = (torch.from_numpy(arrays[name]) for name in ("inputs", "val_inputs"))
    labels, val_labels = (
        torch.from_numpy(arrays[name]).long() for name in ("labels", "val_labels")
    )
    model = mlp(inputs.shape[1], setting, dropout=values["model.dropout"])
    rate, smoothing = values["optimizer.learning_rate"], values["loss.label_smoothing"]
    decay = values["optimizer.weight_decay"]
    # Fused is the fastest that there is on a CPU; the rate is set, which no scheduler does faster.
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay, fused=True)
    steps, step = setting.epochs * math.ceil(len(inputs) / setting.batch_size), 0
    for _ in range(setting.epochs):
        model.train()
        for rows in torch.randperm(len(inputs)).split(setting.batch_size):
            optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2
            optimizer.zero_grad(set_to_none=True)
            logits = model(inputs[rows])
            functional.cross_entropy(logits, labels[rows], label_smoothing=smoothing).backward()
            optimizer.step()
            step += 1
        yield validated(model, val_inputs, val_labels)


def mlp(inputs: int, setting: Setting, *, dropout: float) -> nn.Sequential:
    """Dense, relu, dropout, as often as there are widths, and a dense layer to K classes."""
    layers: list[nn.Module] = []
    for width in setting.hidden:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, setting.outputs))


@torch.no_grad()
def validated(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    """Loss and accuracy of all rows, at once."""
    model.eval()
    logits = model(inputs)
    right = (logits.argmax(-1) == labels).float().mean()
    return functional.cross_entropy(logits, labels).item(), right.item()
