"""The model that is measured, and the text that it reads: the same in every framework.

    shape = Shape(layers=2, length=128)
    shape.config()                          # a DecoderConfig
    shape.text(0)["inputs"].shape           # (8, 128)

Axes: B batch, L length, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from jaxtrain.models.decoder import DecoderConfig


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A Llama or a Gemma, and the batches that it is trained on.

    Attributes:
        vocabulary: V.
        width: of the hidden states.
        layers: how many.
        heads: query heads.
        kv_heads: key/value heads; if not given as many as query heads, of a Gemma one.
        head_dim: the width of a head; the width by the number of heads, if not given.
        hidden: the width of the feed-forward; if not given 8/3 of the width, of a Gemma 8 times it.
        length: L, tokens a row.
        batch: B, rows a step.
        tied: whether the head is the embedding.
        family: which of the two.
    """

    vocabulary: int = 4096
    width: int = 384
    layers: int = 6
    heads: int = 6
    kv_heads: int | None = None
    head_dim: int | None = None
    hidden: int | None = None
    length: int = 256
    batch: int = 8
    tied: bool = False
    family: Literal["llama", "gemma"] = "llama"

    @property
    def tokens(self) -> int:
        """Of a batch."""
        return self.batch * self.length

    def config(self, *, longest: int = 0) -> DecoderConfig:
        """The same, for texts of up to `longest` tokens where that is more than L."""
        # Processes of other frameworks import this file, and no JAX.
        from jaxtrain.models.decoder import DecoderConfig

        family = DecoderConfig.gemma if self.family == "gemma" else DecoderConfig.llama
        given = {} if self.kv_heads is None else {"kv_heads": self.kv_heads}
        return family(
            vocab_size=self.vocabulary,
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            head_dim=self.head_dim,
            hidden=self.hidden,
            tied=self.tied,
            max_length=max(self.length, longest),
            **given,
        )

    def text(self, number: int) -> dict[str, np.ndarray]:
        """The batch of that number: `inputs` and `labels` [B, L] int32.

        Tokens are drawn, small numbers more often: a step learns something from them, so that the
        losses of two models that do different things part soon.
        """
        drawn = np.random.default_rng(number).random((self.batch, self.length + 1))
        tokens = (self.vocabulary * drawn**3).astype(np.int32)
        return {"inputs": tokens[:, :-1].copy(), "labels": tokens[:, 1:].copy()}
