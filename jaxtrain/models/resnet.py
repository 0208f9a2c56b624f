"""ResNet-18 for images.

    model: {name: resnet18, small_images: true, stochastic_depth: 0.1}

He et al. 2015 (arXiv:1512.03385), as torchvision defines it: 11,689,512 parameters for 1,000
classes of images with 3 channels.

Axes: B batch, H height, W width, C channels, K classes or outputs.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxtrain.models.conv_norm import ConvNorm
from jaxtrain.models.images import refuse_other_inputs
from jaxtrain.models.linen import from_linen
from jaxtrain.models.mlp import Rate
from jaxtrain.models.model import Model
from jaxtrain.models.registry import MODELS
from jaxtrain.models.stochastic_depth import StochasticDepth, linear_decay


class ResNet(nn.Module):
    """A stem, stages of `Block`s, the mean over all places, and a dense layer to K outputs.

    Each stage but the first begins with a block that halves height and width. The kernel of the
    dense layer is LeCun normal and its bias 0, as in the other models here.
    """

    num_outputs: int
    small_images: bool = False
    zero_init: bool = False
    stochastic_depth: float = 0.0
    widths: tuple[int, ...] = (64, 128, 256, 512)
    blocks: tuple[int, ...] = (2, 2, 2, 2)

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, row_mask: jax.Array | None = None
    ) -> jax.Array:
        """`[B, H, W, C]` to `[B, K]`, for images of any size.

        Raises:
            ConfigError: where the inputs are no images.
        """
        refuse_other_inputs(inputs, "ResNet")
        size, stride = (3, 1) if self.small_images else (7, 2)
        stem = ConvNorm(self.widths[0], size, stride, name="stem")
        hidden = nn.relu(stem(inputs, train=train, row_mask=row_mask))
        if not self.small_images:
            hidden = nn.max_pool(hidden, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        rates = iter(linear_decay(self.stochastic_depth, sum(self.blocks)))
        for stage, (width, blocks) in enumerate(zip(self.widths, self.blocks, strict=True)):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                hidden = Block(
                    width, stride, next(rates), self.zero_init, name=f"block_{stage}_{block}"
                )(hidden, train=train, row_mask=row_mask)
        return nn.Dense(
            self.num_outputs, kernel_init=nn.initializers.lecun_normal(), name="output"
        )(jnp.mean(hidden, axis=(1, 2)))


class Block(nn.Module):
    """Two 3x3 convolutions beside a residual, which a 1x1 convolution fits where it must.

    `relu(norm(conv(relu(norm(conv(x))))) + x)`. With `zero_init` the last norm's scale begins at 0,
    and so the block as the identity (Goyal et al. 2017, arXiv:1706.02677).
    """

    width: int
    stride: int
    stochastic_depth: float
    zero_init: bool

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, row_mask: jax.Array | None = None
    ) -> jax.Array:
        """`[B, H, W, C]` to `[B, ceil(H / stride), ceil(W / stride), width]`."""
        first = ConvNorm(self.width, 3, self.stride, name="conv_0")
        second = ConvNorm(self.width, 3, zero_scale=self.zero_init, name="conv_1")
        branch = nn.relu(first(inputs, train=train, row_mask=row_mask))
        branch = second(branch, train=train, row_mask=row_mask)
        branch = StochasticDepth(self.stochastic_depth, name="depth")(branch, train=train)
        residual = inputs
        if self.stride != 1 or inputs.shape[-1] != self.width:
            shortcut = ConvNorm(self.width, 1, self.stride, name="shortcut")
            residual = shortcut(inputs, train=train, row_mask=row_mask)
        return nn.relu(branch + residual)


@MODELS.register("resnet18")
def resnet18(
    num_outputs: int,
    *,
    small_images: bool = False,
    zero_init: bool = False,
    stochastic_depth: Rate = 0.0,
) -> Model:
    """ResNet-18 on images `[B, H, W, C]`.

    Args:
        num_outputs: K.
        small_images: begin with a 3x3 convolution of stride 1, as is done for images of 28x28 or
            32x32; not with one of 7x7, stride 2, and 3x3 max pooling, stride 2.
        zero_init: begin each block as the identity: the scale of its last norm is 0.
        stochastic_depth: the probability that the last block is left out of a row in training;
            that of earlier ones grows evenly towards it.
    """
    return from_linen(ResNet(num_outputs, small_images, zero_init, stochastic_depth))
