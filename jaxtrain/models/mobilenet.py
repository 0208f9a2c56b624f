"""MobileNetV2 for images.

    model: {name: mobilenet_v2, width: 0.5, dropout: 0.2}

Sandler et al. 2018 (arXiv:1801.04381), as torchvision defines it: 3,504,872 parameters for 1,000
classes of images with 3 channels.

Axes: B batch, H height, W width, C channels, K classes or outputs.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import pydantic

from jaxtrain.models.conv_norm import ConvNorm
from jaxtrain.models.dropout import Dropout
from jaxtrain.models.images import refuse_other_inputs
from jaxtrain.models.linen import from_linen
from jaxtrain.models.mlp import Rate
from jaxtrain.models.model import Model
from jaxtrain.models.registry import MODELS

Stage: TypeAlias = tuple[int, int, int, int]
"""Expansion, output channels, blocks, and the stride of the first of them."""

STAGES: tuple[Stage, ...] = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM = 32
_LAST = 1280


class MobileNetV2(nn.Module):
    """A stem, stages of `InvertedBlock`s, a 1x1 convolution, the mean over all places, dropout,
    and a dense layer to K outputs, whose kernel is normal of deviation 0.01 and whose bias is 0.

    Height and width are halved five times, each time rounded up.
    """

    num_outputs: int
    width: float = 1.0
    dropout: float = 0.2
    stages: tuple[Stage, ...] = STAGES

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, row_mask: jax.Array | None = None
    ) -> jax.Array:
        """`[B, H, W, C]` to `[B, K]`, for images of any size.

        Raises:
            ConfigError: where the inputs are no images.
        """
        refuse_other_inputs(inputs, "MobileNetV2")
        stem = ConvNorm(channels(_STEM * self.width), 3, 2, name="stem")
        hidden = nn.relu6(stem(inputs, train=train, row_mask=row_mask))
        for stage, (expansion, features, blocks, stride) in enumerate(self.stages):
            for block in range(blocks):
                hidden = InvertedBlock(
                    channels(features * self.width),
                    expansion,
                    1 if block else stride,
                    name=f"block_{stage}_{block}",
                )(hidden, train=train, row_mask=row_mask)
        last = ConvNorm(channels(_LAST * max(1.0, self.width)), 1, name="last")
        hidden = nn.relu6(last(hidden, train=train, row_mask=row_mask))
        hidden = jnp.mean(hidden, axis=(1, 2))
        hidden = Dropout(self.dropout, deterministic=not train)(hidden)
        return nn.Dense(self.num_outputs, kernel_init=nn.initializers.normal(0.01), name="output")(
            hidden
        )


class InvertedBlock(nn.Module):
    """A 1x1 convolution to `expansion` times the channels, a depthwise 3x3 one, and a 1x1 one.

    The first two have a ReLU6 behind their norm, the last one has none (a linear bottleneck). With
    an expansion of 1 there is no first one. Where size and channels stay, the
    input is added.
    """

    features: int
    expansion: int
    stride: int

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, row_mask: jax.Array | None = None
    ) -> jax.Array:
        """`[B, H, W, C]` to `[B, ceil(H / stride), ceil(W / stride), features]`."""
        inner = inputs.shape[-1] * self.expansion
        hidden = inputs
        if self.expansion != 1:
            expand = ConvNorm(inner, 1, name="expand")
            hidden = nn.relu6(expand(hidden, train=train, row_mask=row_mask))
        depthwise = ConvNorm(inner, 3, self.stride, depthwise=True, name="depthwise")
        hidden = nn.relu6(depthwise(hidden, train=train, row_mask=row_mask))
        project = ConvNorm(self.features, 1, name="project")
        outputs: jax.Array = project(hidden, train=train, row_mask=row_mask)
        if self.stride == 1 and inputs.shape[-1] == self.features:
            return inputs + outputs
        return outputs


def channels(wanted: float) -> int:
    """The multiple of 8 nearest to `wanted`, at least 8; the next one where that were 10% less.

    >>> channels(32 * 0.75), channels(11.9), channels(8.8), channels(0.5)
    (24, 16, 8, 8)
    """
    nearest = max(8, int(wanted + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * wanted else nearest


@MODELS.register("mobilenet_v2")
def mobilenet_v2(
    num_outputs: int,
    *,
    width: Annotated[float, pydantic.Field(gt=0)] = 1.0,
    dropout: Rate = 0.2,
) -> Model:
    """MobileNetV2 on images `[B, H, W, C]`.

    Args:
        num_outputs: K.
        width: what the channels of all convolutions are multiplied by, rounded to multiples of 8;
            those of the last one are never fewer than 1,280.
        dropout: the fraction of the last layer's inputs that are dropped in training.
    """
    return from_linen(MobileNetV2(num_outputs, width, dropout))
