"""A convolution and its batch norm, as ResNets and MobileNets are made of.

    hidden = nn.relu(ConvNorm(64, 3, stride=2, name="conv_0")(hidden, train=train))

Axes: B batch, H height, W width, C channels, F features.
"""

from __future__ import annotations

import flax.linen as nn
import jax

from jaxtrain.models.batch_norm import BatchNorm
from jaxtrain.models.depthwise import DepthwiseConv

_INIT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class ConvNorm(nn.Module):
    """A convolution of `size` x `size` without bias, then batch norm.

    The border is `size // 2` zeros on every side, as in PyTorch; "SAME" would put those of a stride
    behind. Kernels are He normal by their fan-out (variance 2 / fan-out, He et al. 2015,
    arXiv:1502.01852), not cut off, as torchvision's are: for a depthwise kernel that is
    `size**2 * features`, too.

    Attributes:
        features: F.
        size: of the window.
        stride: of the window.
        depthwise: each channel has a window of its own; F is then C.
        zero_scale: the norm's scale begins at 0.
    """

    features: int
    size: int
    stride: int = 1
    depthwise: bool = False
    zero_scale: bool = False

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, row_mask: jax.Array | None = None
    ) -> jax.Array:
        """`[B, H, W, C]` to `[B, ceil(H / stride), ceil(W / stride), F]`, for an odd `size`."""
        if self.depthwise:
            maps = DepthwiseConv(self.size, self.stride, _INIT, name="conv")(inputs)
        else:
            border = self.size // 2
            maps = nn.Conv(
                self.features,
                (self.size, self.size),
                strides=self.stride,
                padding=((border, border), (border, border)),
                use_bias=False,
                kernel_init=_INIT,
                name="conv",
            )(inputs)
        norm = BatchNorm(zero_scale=self.zero_scale, name="norm")
        normalised: jax.Array = norm(maps, train=train, row_mask=row_mask)
        return normalised
