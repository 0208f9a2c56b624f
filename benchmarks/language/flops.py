"""How many floating-point operations a token of training takes, and how many a device could do.

share = tokens_per_second * flops_per_token(config, 2048) / peak_flops("NVIDIA H100 80GB HBM3")
"""

from __future__ import annotations

import math

import jax

from jaxtrain.models.decoder import DecoderConfig, param_shapes

FORMULA = "6 (parameters of the layers + D V of the head) + 6 layers H E L of causal attention"

# Dense products in bfloat16, summed in float32, operations a second, from the makers' data sheets.
# What a device calls itself begins with the key; the first one that fits counts.
_PEAKS = {
    "NVIDIA B200": 2.25e15,
    "NVIDIA H100 PCIe": 7.56e14,
    "NVIDIA H100 NVL": 8.35e14,
    "NVIDIA H100": 9.89e14,
    "NVIDIA H200": 9.89e14,
    "NVIDIA GH200": 9.89e14,
    "NVIDIA A100": 3.12e14,
    "NVIDIA L40S": 3.62e14,
    "NVIDIA L4": 1.21e14,
    "NVIDIA A10": 1.25e14,
    "NVIDIA GeForce RTX 4090": 1.652e14,
    "NVIDIA GeForce RTX 3090": 7.1e13,
}


def flops_per_token(config: DecoderConfig, length: int) -> float:
    """Of a forward and a backward pass over texts of `length`, by `FORMULA`.

    What is computed again in the backward pass does not count, nor does what lies above the
    diagonal of attention.
    """
    shapes = param_shapes(config)["layers"]
    sizes = jax.tree.leaves(shapes, is_leaf=lambda shape: isinstance(shape, tuple))
    weights = sum(math.prod(shape) for shape in sizes) + config.width * config.vocab_size
    scores = config.layers * config.heads * config.head_dim * length
    return 6.0 * weights + 6.0 * scores


def peak_flops(device_kind: str) -> float | None:
    """What the device could do in a second; None where that is not known here."""
    found = (peak for name, peak in _PEAKS.items() if device_kind.startswith(name))
    return next(found, None)
