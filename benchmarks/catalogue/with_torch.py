"""The same models of PyTorch's layers, for a process of its own; see `with_jaxtrain.py`.

PyTorch is given its best: AdamW in one kernel, images with channels last where that is faster, and
as many threads as make a step fastest; cuts no corner and takes no norm, as ours here.

Axes: B rows, L steps, D width.
"""

from __future__ import annotations

import statistics
import time
import warnings
from typing import Any

# Theirs, of imports and of compiling; nobody here can mend them.
warnings.simplefilter("ignore")

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from benchmarks.catalogue.cases import LEARNING_RATE, WEIGHT_DECAY, Case  # noqa: E402
from benchmarks.language.rates import Rate  # noqa: E402
from benchmarks.processes import Stopwatch  # noqa: E402

_ALL_THREADS = torch.get_num_threads()
_TRIALS = 3


def model_of(case: Case) -> nn.Module:
    """Its modules are those that the tests of `jaxtrain.models` compare with."""
    torch.manual_seed(0)
    if case.model == "cnn":
        return _cnn(case)
    if case.model == "resnet18":
        from tests.models.theirs.resnet import ResNet

        blocks = (case.layers,) * len(case.widths)
        return ResNet(case.classes, case.row[-1], case.widths, blocks, small=True)
    if case.model == "lstm":
        return LSTM(case)
    return Encoder(case)


def _cnn(case: Case) -> nn.Module:
    layers: list[nn.Module] = []
    height, width, before = case.row
    for channels in case.widths:
        layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        height, width, before = height // 2, width // 2, channels
    dense = [nn.Linear(before * height * width, 128), nn.ReLU(), nn.Linear(128, case.classes)]
    return nn.Sequential(*layers, nn.Flatten(), *dense)


class LSTM(nn.Module):
    """All steps are real, so nothing is packed."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.layers = nn.LSTM(case.row[-1], case.widths[0], case.layers, batch_first=True)
        self.output = nn.Linear(case.widths[0], case.classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[B, L, D] to logits."""
        _, (state, _) = self.layers(inputs)
        return self.output(state[-1])


class Encoder(nn.Module):
    """Pre-norm, with fixed positions and the mean over all steps."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        width = case.widths[0]
        self.tokens = nn.Embedding(case.vocabulary, width)
        self.register_buffer("positions", torch.randn(case.row[0], width))
        layer = nn.TransformerEncoderLayer(
            width, case.heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(width)
        self.layers = nn.TransformerEncoder(layer, case.layers, norm, enable_nested_tensor=False)
        self.output = nn.Linear(width, case.classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Tokens [B, L] to logits."""
        return self.output(self.layers(self.tokens(inputs) + self.positions).mean(1))


class Training:
    """AdamW on the cross-entropy of one batch.

    Args:
        case: model and batch.
        compiled: whether the model goes through torch.compile.
    """

    def __init__(self, case: Case, compiled: bool) -> None:
        inputs, labels = case.data()
        self._rows = case.batch
        self._labels = torch.from_numpy(labels).long()
        self._model = model_of(case).train()
        self._inputs = torch.from_numpy(inputs)
        if case.vocabulary:
            self._inputs = self._inputs.long()
        if len(case.row) == 3:
            self._inputs = self._inputs.permute(0, 3, 1, 2)
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
        )
        self._forward: Any = torch.compile(self._model) if compiled else self._model

    def parameters(self) -> int:
        """How many numbers are trained; of the LSTM's two biases, which are added up, one."""
        twice = sum(p.numel() for name, p in self._model.named_parameters() if "bias_hh" in name)
        return sum(p.numel() for p in self._model.parameters()) - twice

    def first_losses(self, number: int) -> list[float]:
        """The loss of each of the first steps, before its update."""
        return [float(self._step()) for _ in range(number)]

    def settle(self) -> dict[str, Any]:
        """Take the order of an image's axes and the number of threads that make a step fastest."""
        orders = [torch.contiguous_format]
        orders += [torch.channels_last] if self._inputs.ndim == 4 else []
        threads = sorted({_ALL_THREADS, 1})
        found = {
            (order, number): self._seconds(order, number) for order in orders for number in threads
        }
        order, number = min(found, key=lambda each: found[each])
        self._take(order, number)
        return {"threads": number, "channels_last": order is torch.channels_last}

    def round(self, steps: int) -> Rate:
        """Rows a second over so many steps."""
        watch = Stopwatch()
        for _ in range(steps):
            self._step()
        return watch.rates(steps * self._rows)

    def _seconds(self, order: torch.memory_format, threads: int) -> float:
        self._take(order, threads)
        self._step()
        seconds = []
        for _ in range(_TRIALS):
            began = time.perf_counter()
            self._step()
            seconds.append(time.perf_counter() - began)
        return statistics.median(seconds)

    def _take(self, order: torch.memory_format, threads: int) -> None:
        torch.set_num_threads(threads)
        if self._inputs.ndim == 4:
            self._inputs = self._inputs.contiguous(memory_format=order)
            self._model.to(memory_format=order)

    def _step(self) -> torch.Tensor:
        self._optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self._forward(self._inputs), self._labels)
        loss.backward()
        self._optimizer.step()
        return loss.detach()
