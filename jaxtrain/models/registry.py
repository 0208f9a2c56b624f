"""The models a config can name.

    @MODELS.register("linear")
    def linear(num_outputs: int) -> Model:
        return from_linen(nn.Dense(num_outputs))

The program gives `num_outputs`, the config what stands after a `*` in the signature.
"""

from __future__ import annotations

from jaxtrain.models.model import Model
from jaxtrain.registry import Registry

MODELS = Registry(
    "model", returns=Model, hint="from_linen(...) or from_nnx(...) makes one of a module"
)
