"""How many floating-point operations a token of a decoder takes.

    found = flops_per_token(config, 2048, remat="dots", attention="tiled")
    found.weights + found.attention                      # what MFU counts

After PaLM (Chowdhery et al. 2022, arXiv:2204.02311, appendix B), who count 6 N + 12 N_layers H E L
a token: each of N weights is multiplied with and added once forward, and twice backward, for the
gradients of its input and of itself; likewise the two products of attention, over L keys. Here

    - N is kernels and head: looking up an embedding multiplies nothing, and norms are not counted;
    - a query reads the keys up to its own place, L / 2 in the mean, which halves attention.

Rows of packed documents are counted as if each were one document: a little too much.

Axes: D width, E head size, F width of the feed-forward, G key/value heads, H query heads, L length,
N layers, V vocabulary.
"""

from __future__ import annotations

from jaxtrain.models.attention import Implementation
from jaxtrain.models.decoder.config import DecoderConfig
from jaxtrain.models.decoder.remat import Remat
from jaxtrain.models.flops import Flops


def flops_per_token(
    config: DecoderConfig,
    length: int,
    *,
    remat: Remat = "none",
    attention: Implementation = "xla",
) -> Flops:
    """Forward and backward, and what of it is done again.

    Args:
        config: the sizes.
        length: L.
        remat: what a layer keeps.
        attention: the kernel. All but "xla" compute the scores again in the backward pass.
    """
    inside = config.heads * config.head_dim
    keys = config.kv_heads * config.head_dim
    around = 2 * config.width * (inside + 2 * keys + inside)  # q, k, v; o
    gates = 2 * config.width * 2 * config.hidden
    down = 2 * config.hidden * config.width
    head = 2 * config.width * config.vocab_size
    scores = inside * length  # 2 H E for each of L / 2 keys; as many for the values
    # The loss computes its logits twice in any case. A layer's last product is not done again: what
    # comes of it is added to the hidden states, and the backward pass does not ask for it.
    again = {
        "none": 0,
        "mlp": gates,
        "dots": 2 * scores,
        "full": around + gates + 2 * scores,
    }[remat] + (0 if attention == "xla" else scores)
    return Flops(
        weights=3 * (config.layers * (around + gates + down) + head),
        attention=3 * config.layers * 2 * scores,
        again=config.layers * again + head,
    )
