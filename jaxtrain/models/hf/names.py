"""Which tensor of a Hugging Face file goes to which place of a decoder's parameters.

    leaf = leaves(config)[0]
    leaf.path                       # ("embedding", "embedding")
    leaf.name                       # "model.embed_tokens.weight"

torch stores a matrix as [out, in], a kernel here is [in, out]. Layers lie along the first axis
here, and in tensors of their own there. RoPE is half-split in both, so no row is permuted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jaxtrain.models.decoder import DecoderConfig, param_shapes

HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"

# A buffer that transformers wrote until 4.31: what rope_theta says, in numbers.
_BUFFER = re.compile(r"model\.layers\.[0-9]+\.self_attn\.rotary_emb\.inv_freq")


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A leaf of the parameters.

    Attributes:
        path: where it is in the tree.
        name: of its tensor; with `{}` for the number of the layer, where it is stacked.
        transposed: whether the tensor's axes are the other way round.
    """

    path: tuple[str, ...]
    name: str
    transposed: bool = False

    @property
    def stacked(self) -> bool:
        """Whether there is a tensor a layer."""
        return self.path[0] == "layers"

    def names(self, config: DecoderConfig) -> Iterator[str]:
        """The names of its tensors, in the order of layers."""
        return map(self.name.format, range(config.layers if self.stacked else 1))

    def shape(self, config: DecoderConfig) -> tuple[int, ...]:
        """Of the leaf."""
        shape: Any = param_shapes(config)
        for key in self.path:
            shape = shape[key]
        return tuple(shape)

    def tensor_shape(self, config: DecoderConfig) -> tuple[int, ...]:
        """Of each of its tensors."""
        shape = self.shape(config)[1 if self.stacked else 0 :]
        return shape[::-1] if self.transposed else shape


def _kernels(part: str, module: str, **names: str) -> list[Leaf]:
    return [
        Leaf(
            path=("layers", part, name, "kernel"),
            name=f"model.layers.{{}}.{module}.{of}.weight",
            transposed=True,
        )
        for name, of in names.items()
    ]


def _norm(part: str, of: str) -> Leaf:
    return Leaf(path=("layers", part, "norm", "scale"), name=f"model.layers.{{}}.{of}.weight")


LEAVES = (
    # The largest first: while they are read, little else is in memory yet.
    Leaf(path=("embedding", "embedding"), name=EMBEDDING),
    Leaf(path=("head", "kernel"), name=HEAD, transposed=True),
    _norm("attention", "input_layernorm"),
    *_kernels("attention", "self_attn", q="q_proj", k="k_proj", v="v_proj", o="o_proj"),
    _norm("mlp", "post_attention_layernorm"),
    *_kernels("mlp", "mlp", gate="gate_proj", up="up_proj", down="down_proj"),
    Leaf(path=("norm", "scale"), name="model.norm.weight"),
)
"""All leaves that a decoder may have; without the head where that is tied to the embedding."""


def leaves(config: DecoderConfig) -> tuple[Leaf, ...]:
    """All leaves of a decoder."""
    return tuple(leaf for leaf in LEAVES if leaf.name != HEAD or not config.tied)


def is_ignored(name: str) -> bool:
    """Whether a tensor may be there and says nothing.

    >>> is_ignored("model.layers.0.self_attn.rotary_emb.inv_freq"), is_ignored("model.bias")
    (True, False)
    """
    return _BUFFER.fullmatch(name) is not None
