"""The multi-layer perceptron.

    model: {name: mlp, hidden: [256, 128], dropout: 0.2}

Axes: B batch, K classes or outputs.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import flax.linen as nn
import jax
import pydantic

from jaxtrain.models.batch_norm import BatchNorm
from jaxtrain.models.dropout import Dropout
from jaxtrain.models.linen import from_linen
from jaxtrain.models.model import Model
from jaxtrain.models.registry import MODELS

Rate: TypeAlias = Annotated[float, pydantic.Field(ge=0, lt=1)]
Width: TypeAlias = Annotated[int, pydantic.Field(ge=1)]


class MLP(nn.Module):
    """Hidden layers (dense, batch norm if wanted, relu, dropout), then a dense layer to K outputs.

    Weights before a relu are He normal (variance 2 / fan-in; He et al. 2015, arXiv:1502.01852), the
    output's LeCun normal (variance 1 / fan-in), both cut off at two standard deviations; biases
    are 0. A layer whose batch norm has a bias has none itself.
    """

    num_outputs: int
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.0
    batch_norm: bool = False

    @nn.compact
    def __call__(
        self, inputs: jax.Array, *, train: bool, row_mask: jax.Array | None = None
    ) -> jax.Array:
        """`[B, ...]` to `[B, K]`; all axes but the first are flattened."""
        hidden = inputs.reshape(inputs.shape[0], -1)
        for layer, width in enumerate(self.hidden):
            hidden = nn.Dense(
                width,
                use_bias=not self.batch_norm,
                kernel_init=nn.initializers.he_normal(),
                name=f"hidden_{layer}",
            )(hidden)
            if self.batch_norm:
                hidden = BatchNorm(name=f"norm_{layer}")(hidden, train=train, row_mask=row_mask)
            hidden = nn.relu(hidden)
            hidden = Dropout(self.dropout, deterministic=not train)(hidden)
        return nn.Dense(
            self.num_outputs, kernel_init=nn.initializers.lecun_normal(), name="output"
        )(hidden)


@MODELS.register("mlp")
def mlp(
    num_outputs: int,
    *,
    hidden: tuple[Width, ...] = (128,),
    dropout: Rate = 0.0,
    batch_norm: bool = False,
) -> Model:
    """A multi-layer perceptron on inputs `[B, ...]`, which it flattens.

    Args:
        num_outputs: K.
        hidden: the width of each hidden layer; `()` makes a linear model.
        dropout: the fraction of hidden units that are dropped in training.
        batch_norm: normalise before each relu.
    """
    return from_linen(MLP(num_outputs, hidden, dropout, batch_norm))
