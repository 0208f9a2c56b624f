"""A kernel in 8 or 4 bits, where a kernel alone stood.

    kernel = quantized(kernel, "nf4", axis=0)            # a Quantized, by qwix
    outputs = times(inputs, kernel)                      # inputs @ plain(kernel)

It is held fixed: an adapter beside it is what is trained (QLoRA, Dettmers et al. 2023,
arXiv:2305.14314). Blocks along the inputs have a scale each. What is multiplied with is the kernel
in floats again, of one layer at a time, and made anew in the backward pass instead of kept.

Axes: T tokens, I inputs, O outputs, S scales along the inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxtrain.errors import ConfigError

Bits = Literal["int8", "int4", "nf4"]

BLOCK = 64
"""Inputs that have a scale in common, at most: those of QLoRA."""
_FEWEST = 16


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Quantized:
    """What stands for a kernel of floats; its shape and dtype are that kernel's.

    Attributes:
        values: `[..., I, O]` in int8, int4, or uint4 that number the sixteen values of NF4.
        scale: `[..., S, O]` in the dtype of the kernel.
        bits: "int8", "int4" or "nf4".
    """

    values: jax.Array
    scale: jax.Array
    bits: Bits = field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the kernel."""
        return tuple(self.values.shape)

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many floats it stands for."""
        return int(self.values.size)

    @property
    def dtype(self) -> Any:
        """Of the floats that it stands for."""
        return self.scale.dtype


def is_quantized(leaf: Any) -> bool:
    """For walks over a tree, in which a `Quantized` is a leaf."""
    return isinstance(leaf, Quantized)


def quantized(kernel: jax.Array, bits: Bits, *, axis: int) -> Quantized:
    """`kernel` in few bits, each block along `axis` scaled by its largest magnitude.

    Blocks are of 64, or of the largest divisor of the axis below that; where that is less than 16,
    the whole axis is one.

    Raises:
        ConfigError: qwix is not installed.
    """
    qwix = _qwix()
    axis = axis % kernel.ndim
    found = qwix.quantize(
        kernel,
        {"int8": jnp.int8, "int4": jnp.int4, "nf4": "nf4"}[bits],
        channelwise_axes=tuple(other for other in range(kernel.ndim) if other != axis),
        tiled_axes={axis: block_of(kernel.shape[axis])},
    )
    return Quantized(found.qvalue, found.scale, bits)


def plain(kernel: Any) -> Any:
    """The floats that a `Quantized` stands for; anything else as it is."""
    if not isinstance(kernel, Quantized):
        return kernel
    qwix = _qwix()
    logical = "nf4" if kernel.bits == "nf4" else kernel.values.dtype
    return qwix.dequantize(qwix.QArray(kernel.values, kernel.scale, None, logical))


def times(inputs: jax.Array, kernel: jax.Array | Quantized) -> jax.Array:
    """`inputs` `[T, I]` times a kernel `[I, O]`."""
    if not isinstance(kernel, Quantized):
        return inputs @ kernel

    def product(inputs: jax.Array, kernel: Quantized) -> jax.Array:
        return inputs @ plain(jax.lax.stop_gradient(kernel))

    # Else a loop over layers would keep the floats of all of them for its backward pass.
    return jax.checkpoint(product)(inputs, kernel)


def block_of(inputs: int) -> int:
    """How many inputs have a scale in common.

    >>> block_of(384), block_of(100), block_of(62), block_of(97)
    (64, 50, 62, 97)
    """
    divisors = (size for size in range(min(BLOCK, inputs), _FEWEST - 1, -1) if inputs % size == 0)
    return next(divisors, inputs)


def _qwix() -> Any:
    try:
        import qwix
    except ImportError as error:
        raise ConfigError(
            f"a base in 8 or 4 bits needs qwix ({error}); install jaxtrain[quant]"
        ) from error
    return qwix
