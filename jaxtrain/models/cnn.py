"""A small convolutional network for images.

    model: {name: cnn, channels: [32, 64], hidden: [128], dropout: 0.25}

Axes: B batch, H height, W width, C channels, K classes or outputs.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from jaxtrain.errors import ConfigError
from jaxtrain.models.batch_norm import BatchNorm
from jaxtrain.models.convolution import conv_3x3
from jaxtrain.models.images import refuse_other_inputs
from jaxtrain.models.linen import from_linen
from jaxtrain.models.mlp import MLP, Rate, Width
from jaxtrain.models.model import Model
from jaxtrain.models.pooling import max_pool_2x2
from jaxtrain.models.registry import MODELS

# He's doubled variance makes up for a relu that lets half of the second moment through; of four
# independent numbers the largest, behind a relu, has 1.5 times theirs.
_INIT = nn.initializers.lecun_normal()


class CNN(nn.Module):
    """Blocks (3x3 convolution, batch norm if wanted, 2x2 max pooling, relu), then an `MLP` as head.

    Convolutions are LeCun normal (variance 1 / fan-in) with zero bias; the head is as an `MLP`.
    """

    num_outputs: int
    channels: tuple[int, ...] = (32, 64)
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.0
    batch_norm: bool = False

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, row_mask: jax.Array | None = None
    ) -> jax.Array:
        """`[B, H, W, C]` to `[B, K]`.

        Raises:
            ConfigError: where the inputs are no images, or too small for so many blocks.
        """
        refuse_other_inputs(inputs, "CNN")
        smallest = 2 ** len(self.channels)
        if min(inputs.shape[1:3]) < smallest:
            raise ConfigError(
                f"{len(self.channels)} channels make as many blocks, which halve height and width: "
                f"expected images of at least {smallest}x{smallest}, found "
                f"{inputs.shape[1]}x{inputs.shape[2]}; give fewer channels"
            )
        hidden = inputs
        for block, features in enumerate(self.channels):
            if self.batch_norm:
                hidden = nn.Conv(
                    features, (3, 3), use_bias=False, kernel_init=_INIT, name=f"conv_{block}"
                )(hidden)
                hidden = BatchNorm(name=f"norm_{block}")(hidden, train=train, row_mask=row_mask)
                hidden = max_pool_2x2(hidden)
            else:
                hidden = PooledConv(features, name=f"conv_{block}")(hidden)
            hidden = nn.relu(hidden)
        return MLP(self.num_outputs, self.hidden, self.dropout, self.batch_norm, name="head")(
            hidden, train=train, row_mask=row_mask
        )


class PooledConv(nn.Module):
    """A 3x3 convolution and 2x2 max pooling: `[B, H, W, C]` to `[B, H // 2, W // 2, features]`.

    The bias is added to the maxima, which is the same and a quarter of the work.
    """

    features: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """The maxima with the bias."""
        kernel = self.param("kernel", _INIT, (3, 3, inputs.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        inputs, kernel, bias = promote_dtype(inputs, kernel, bias)
        return max_pool_2x2(conv_3x3(inputs, kernel)) + bias


@MODELS.register("cnn")
def cnn(
    num_outputs: int,
    *,
    channels: tuple[Width, ...] = (32, 64),
    hidden: tuple[Width, ...] = (128,),
    dropout: Rate = 0.0,
    batch_norm: bool = False,
) -> Model:
    """A convolutional network on images `[B, H, W, C]`.

    Args:
        num_outputs: K.
        channels: the output channels of each convolution; each block halves height and width.
        hidden: the widths of the dense layers after the convolutions.
        dropout: the fraction of units of the dense layers that are dropped in training.
        batch_norm: normalise before each relu.
    """
    return from_linen(CNN(num_outputs, channels, hidden, dropout, batch_norm))
