"""The tensors of adapter_model.safetensors: what they are called, and how they lie.

    key_of("model.layers.0.self_attn.q_proj", "a", embedding=False)
    # "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    layout = Layout.of(shape, 1, convolution=False)
    layout.to_tensor("a", factor)                        # [R, I] of [I, R]

torch has the outputs first, and so PEFT has all factors the other way round. Of a convolution it
keeps the window's axes apart: A is [R, I, H, W], B is [O, R, 1, 1].

Axes: I inputs, O outputs, R rank, H and W of a window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

NAME = "adapter_model.safetensors"
PREFIX = "base_model.model."
"""What PEFT puts before a module's name: a PeftModel has a `base_model`, that has a `model`."""

Part = Literal["a", "b", "m"]

_SUFFIXES: dict[str, tuple[Part, bool | None]] = {
    ".lora_A.weight": ("a", False),
    ".lora_B.weight": ("b", False),
    ".lora_embedding_A": ("a", True),
    ".lora_embedding_B": ("b", True),
    ".lora_magnitude_vector": ("m", None),
    ".lora_magnitude_vector.weight": ("m", None),  # as PEFT calls it in memory, and also reads it
}
"""Which factor it is, and whether of an embedding."""


def key_of(module: str, part: Part, *, embedding: bool) -> str:
    """The name of a tensor."""
    wanted = ((part, embedding), (part, None))
    return PREFIX + module + next(suffix for suffix, own in _SUFFIXES.items() if own in wanted)


def parse_key(key: str) -> tuple[str, Part, bool | None] | None:
    """Module, factor, and whether of an embedding; None where it is no name of a factor.

    >>> parse_key("base_model.model.net.up.lora_A.weight")
    ('net.up', 'a', False)
    """
    if not key.startswith(PREFIX):
        return None
    for suffix, (part, embedding) in _SUFFIXES.items():
        if key.endswith(suffix):
            return key[len(PREFIX) : -len(suffix)], part, embedding
    return None


@dataclass(frozen=True)
class Layout:
    """How the factors of a module lie.

    Attributes:
        inputs: I, of a convolution with its window.
        outputs: O.
        window: sizes of a convolution's window; () of anything else.
    """

    inputs: int
    outputs: int
    window: tuple[int, ...] = ()

    @classmethod
    def of(cls, shape: tuple[int, ...], in_axes: int, *, convolution: bool) -> Layout:
        """Of a kernel `[..., I, O]` of one layer, whose first `in_axes` axes are inputs."""
        window = shape[:-2] if convolution else ()
        return cls(math.prod(shape[:in_axes]), math.prod(shape[in_axes:]), window)

    def shape(self, part: Part, rank: int) -> tuple[int, ...]:
        """The shape of a tensor."""
        ones = (1,) * len(self.window)
        if part == "a":
            return (rank, self.inputs // math.prod(self.window), *self.window)
        if part == "b":
            return (self.outputs, rank, *ones)
        return (1, self.outputs, *ones) if self.window else (self.outputs,)

    def to_tensor(self, part: Part, factor: np.ndarray) -> np.ndarray:
        """A factor, `[I, R]`, `[R, O]` or `[O]`, as PEFT has it; C-contiguous."""
        if part == "a" and self.window:
            own = factor.reshape(*self.window, -1, factor.shape[1])
            found = np.moveaxis(own, (-1, -2), (0, 1))
        else:
            rank = factor.shape[1 if part == "a" else 0]
            found = factor.T.reshape(self.shape(part, rank))
        return np.ascontiguousarray(found)

    def from_tensor(self, part: Part, tensor: np.ndarray) -> np.ndarray:
        """The inverse of `to_tensor`."""
        if part == "m":
            return tensor.reshape(-1)
        if part == "a" and self.window:
            return np.moveaxis(tensor, (0, 1), (-1, -2)).reshape(-1, tensor.shape[0])
        return tensor.reshape(tensor.shape[0], -1).T
