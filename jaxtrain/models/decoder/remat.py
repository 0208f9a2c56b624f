"""What a layer keeps for the backward pass, by name.

    layer = remat_layer(layer, "dots")

"none" keeps most and does nothing twice, "full" keeps least and does nearly all of the forward pass
twice. Which of the other two keeps more depends on the sizes: "dots" keeps two arrays [B, L, F] a
layer, "mlp" none of them but all of attention. Where F is four times D, as in Llama 3.2 1B, "mlp"
keeps less; "dots" does less again.

    none    all that the backward pass reads
    mlp     all but the inside of the feed-forward, three or four arrays [B, L, F] a layer
    dots    the products with weights; norms, RoPE, attention and the gate are computed again
    full    the input of each layer

Results are the same, but for rounding where XLA fuses the two passes differently.

Axes: B batch, L length, F width of the feed-forward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import jax

from jaxtrain.parallel import again

Remat = Literal["none", "mlp", "dots", "full"]

KEEPS: dict[Remat, str] = {
    "none": "a layer keeps all that its backward pass reads",
    "mlp": "a layer keeps all but the inside of its feed-forward",
    "dots": "a layer keeps its products with weights",
    "full": "a layer keeps its input",
}
"""What each means, for a plan."""


def remat_layer(layer: Callable[..., Any], name: Remat) -> Callable[..., Any]:
    """`layer`, computed again in the backward pass as far as `name` says."""
    if name == "dots":
        # The products of attention have batch axes, those with weights have none.
        policy = jax.checkpoint_policies.dots_with_no_batch_dims_saveable
        return jax.checkpoint(layer, policy=policy)
    return jax.checkpoint(layer) if name == "full" else again(layer)


def remat_mlp(mlp: Callable[..., Any], name: Remat) -> Callable[..., Any]:
    """The feed-forward alone, computed again where `name` is "mlp"."""
    return jax.checkpoint(mlp) if name == "mlp" else mlp
