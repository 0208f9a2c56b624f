"""The parameters that a decoder begins with.

    params = initial_params(jax.random.key(0), config)

Axes: V vocabulary, D width, N layers, H query heads, G key/value heads, E head size, F width of the
feed-forward.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxtrain.models.decoder.config import DecoderConfig

_DEVIATION = 0.02


def initial_params(
    rng: jax.Array, config: DecoderConfig, *, dtype: Any = "float32"
) -> dict[str, Any]:
    """Fresh parameters, a function of the key, the sizes and the dtype alone.

    Embedding and kernels are normal with a standard deviation of 0.02 and mean 0, whatever their
    shape: `initializer_range` of `LlamaConfig` and `GemmaConfig` in transformers, whose
    `PreTrainedModel._init_weights` draws all of them so. Norms begin as the identity: scales are 1
    for Llama, 0 for Gemma, which multiplies by 1 + scale.

    Returns:
        One layout whether layers are scanned or unrolled, layers along the first axis; kernels are
        [in, out]::

            {"embedding": {"embedding": [V, D]},
             "layers": {"attention": {"norm": {"scale": [N, D]},
                                      "q": {"kernel": [N, D, H * E]},
                                      "k": {"kernel": [N, D, G * E]},
                                      "v": {"kernel": [N, D, G * E]},
                                      "o": {"kernel": [N, H * E, D]}},
                        "mlp": {"norm": {"scale": [N, D]},
                                "gate": {"kernel": [N, D, F]},
                                "up": {"kernel": [N, D, F]},
                                "down": {"kernel": [N, F, D]}}},
             "norm": {"scale": [D]},
             "head": {"kernel": [D, V]}}          # only where it is not tied
    """
    shapes = param_shapes(config)
    leaves, treedef = jax.tree_util.tree_flatten_with_path(
        shapes, is_leaf=lambda shape: isinstance(shape, tuple)
    )
    start = 0.0 if config.norm == "gemma" else 1.0

    def draw(number: int, path: Any, shape: tuple[int, ...]) -> jax.Array:
        if path[-1].key == "scale":
            return jnp.full(shape, start, dtype)
        key = jax.random.fold_in(rng, number)
        # Drawn in float32, so that narrower parameters are the rounded ones of the wider model.
        return (_DEVIATION * jax.random.normal(key, shape, jnp.float32)).astype(dtype)

    drawn = [draw(number, path, shape) for number, (path, shape) in enumerate(leaves)]
    params: dict[str, Any] = jax.tree_util.tree_unflatten(treedef, drawn)
    return params


def param_shapes(config: DecoderConfig) -> dict[str, Any]:
    """The tree of `initial_params`, with shapes in the place of arrays."""
    many, width, hidden = config.layers, config.width, config.hidden
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim

    def kernel(inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        return {"kernel": (many, inputs, outputs)}

    shapes: dict[str, Any] = {
        "embedding": {"embedding": (config.vocab_size, width)},
        "layers": {
            "attention": {
                "norm": {"scale": (many, width)},
                "q": kernel(width, queries),
                "k": kernel(width, keys),
                "v": kernel(width, keys),
                "o": kernel(queries, width),
            },
            "mlp": {
                "norm": {"scale": (many, width)},
                "gate": kernel(width, hidden),
                "up": kernel(width, hidden),
                "down": kernel(hidden, width),
            },
        },
        "norm": {"scale": (width,)},
    }
    if not config.tied:
        shapes["head"] = {"kernel": (width, config.vocab_size)}
    return shapes
