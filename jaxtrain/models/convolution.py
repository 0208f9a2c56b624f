"""A 3x3 convolution that is fast on CPU for images of one channel, too.

    maps = conv_3x3(images, kernel)     # [B, H, W, C] to [B, H, W, F]

Axes: B batch, H height, W width, C channels, F features.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def conv_3x3(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    """The convolution of `[B, H, W, C]` with `[3, 3, C, F]`, zeros around the border.

    Where there are few channels, a CPU is faster with one product of patches: forward and back,
    1.0 ms against 1.4 for 64 images of 28x28 and 32 features. It is done where the patches
    [B, H, W, 9 C] take no more memory than the result.
    """
    if 9 * inputs.shape[-1] > kernel.shape[-1]:
        return _convolve(inputs, kernel)
    return jax.lax.platform_dependent(inputs, kernel, cpu=_multiply_patches, default=_convolve)


def _convolve(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    return jax.lax.conv_general_dilated(
        inputs, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _multiply_patches(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
    batch, height, width, _ = inputs.shape
    padded = jnp.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    patches = jnp.concatenate(shifted, axis=-1).reshape(batch * height * width, -1)
    maps = patches @ kernel.reshape(patches.shape[1], -1)
    return maps.reshape(batch, height, width, -1)
