"""What a decoder is: its sizes, and in which of the details that families differ it goes which way.

    DecoderConfig.llama(vocab_size=4096, width=384, layers=6, heads=6)
    DecoderConfig.gemma(vocab_size=256_000, width=2048, layers=18, heads=8, head_dim=256)

A family is a constructor, not a branch: the code that runs asks for `norm` or `activation`, never
for the family's name, so that the next one is other values here.

Axes: D width, E head size, F width of the feed-forward, H query heads, G key/value heads, N layers,
V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from jaxtrain.errors import ConfigError

Activation = Literal["silu", "gelu_tanh"]
NormKind = Literal["llama", "gemma"]


@dataclass(frozen=True, kw_only=True)
class Llama3Scaling:
    """How Llama 3 stretches RoPE to longer texts; the names are those of config.json.

    Attributes:
        factor: by what wavelengths above `low_freq_wavelen` are stretched.
        low_freq_factor: `original_max_position_embeddings` over that wavelength.
        high_freq_factor: the same for the wavelength below which nothing is stretched.
        original_max_position_embeddings: the length that the model was first trained on.
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int

    # A misspelt key in a config file is an error, as everywhere in it.
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 0 < self.low_freq_factor < self.high_freq_factor:
            raise ConfigError(
                f"rope_scaling: expected 0 < low_freq_factor < high_freq_factor, found "
                f"{self.low_freq_factor} and {self.high_freq_factor}"
            )
        for name in ("factor", "original_max_position_embeddings"):
            if getattr(self, name) <= 0:
                raise ConfigError(
                    f"rope_scaling.{name}: expected more than 0, found {getattr(self, name)}"
                )


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """A decoder of the Llama and Gemma kind: pre-norm, RoPE, gated feed-forward, no biases.

    Attributes:
        vocab_size: V.
        width: D.
        layers: N.
        heads: H.
        kv_heads: G, which divides H; 1 is multi-query attention.
        head_dim: E, even; H * E need not be D.
        hidden: F.
        activation: of the gate: "silu", or "gelu_tanh", GELU by its approximation with tanh.
        norm: "llama" normalises in float32, casts and multiplies by w, which begins at 1; "gemma"
            multiplies by 1 + w in float32, then casts; w begins at 0.
        embedding_scale: embeddings times sqrt(D), a factor rounded to the parameters' dtype first.
        tied: the head is the embedding.
        norm_eps: what is added to the mean square.
        rope_theta: the base of RoPE's wavelengths.
        rope_scaling: how they are stretched; None leaves them.
        max_length: the longest text that the model is meant for.

    Raises:
        ConfigError: where the sizes do not go together.
    """

    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    activation: Activation
    norm: NormKind
    embedding_scale: bool
    tied: bool
    norm_eps: float
    rope_theta: float
    rope_scaling: Llama3Scaling | None
    max_length: int

    def __post_init__(self) -> None:
        sizes = ("vocab_size", "width", "layers", "heads", "kv_heads", "head_dim", "hidden")
        for name in (*sizes, "max_length", "norm_eps", "rope_theta"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}: expected more than 0, found {getattr(self, name)}")
        if self.heads % self.kv_heads:
            raise ConfigError(
                f"kv_heads: expected a divisor of heads={self.heads}, found {self.kv_heads}"
            )
        if self.head_dim % 2:
            raise ConfigError(
                f"head_dim: expected an even number, since RoPE turns pairs, found {self.head_dim}"
            )

    @classmethod
    def llama(
        cls,
        *,
        vocab_size: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        hidden: int | None = None,
        tied: bool = False,
        norm_eps: float = 1e-5,
        rope_theta: float = 10_000.0,
        rope_scaling: Llama3Scaling | None = None,
        max_length: int = 2048,
    ) -> DecoderConfig:
        """A Llama (Touvron et al. 2023, arXiv:2302.13971).

        Args:
            vocab_size: V.
            width: D.
            layers: N.
            heads: H.
            kv_heads: G; H if not given.
            head_dim: E; D / H if not given.
            hidden: F; if not given 8/3 D, as that paper has it, rounded up to a multiple of 32.
            tied: the head is the embedding.
            norm_eps: what is added to the mean square.
            rope_theta: the base of RoPE's wavelengths.
            rope_scaling: how they are stretched.
            max_length: the longest text that the model is meant for.
        """
        return cls(
            vocab_size=vocab_size,
            width=width,
            layers=layers,
            heads=heads,
            kv_heads=heads if kv_heads is None else kv_heads,
            head_dim=_head_dim(width, heads) if head_dim is None else head_dim,
            hidden=-(-8 * width // (3 * 32)) * 32 if hidden is None else hidden,
            activation="silu",
            norm="llama",
            embedding_scale=False,
            tied=tied,
            norm_eps=norm_eps,
            rope_theta=rope_theta,
            rope_scaling=rope_scaling,
            max_length=max_length,
        )

    @classmethod
    def gemma(
        cls,
        *,
        vocab_size: int,
        width: int,
        layers: int,
        heads: int,
        kv_heads: int = 1,
        head_dim: int | None = None,
        hidden: int | None = None,
        tied: bool = True,
        norm_eps: float = 1e-6,
        rope_theta: float = 10_000.0,
        rope_scaling: Llama3Scaling | None = None,
        max_length: int = 8192,
    ) -> DecoderConfig:
        """A Gemma 1 (Gemma Team 2024, arXiv:2403.08295).

        Args:
            vocab_size: V.
            width: D.
            layers: N.
            heads: H.
            kv_heads: G; 1, as in the 2B, if not given.
            head_dim: E; D / H if not given.
            hidden: F; 8 D, as in the 2B and the 7B, if not given.
            tied: the head is the embedding.
            norm_eps: what is added to the mean square.
            rope_theta: the base of RoPE's wavelengths.
            rope_scaling: how they are stretched.
            max_length: the longest text that the model is meant for.
        """
        return cls(
            vocab_size=vocab_size,
            width=width,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=_head_dim(width, heads) if head_dim is None else head_dim,
            hidden=8 * width if hidden is None else hidden,
            activation="gelu_tanh",
            norm="gemma",
            embedding_scale=True,
            tied=tied,
            norm_eps=norm_eps,
            rope_theta=rope_theta,
            rope_scaling=rope_scaling,
            max_length=max_length,
        )


def _head_dim(width: int, heads: int) -> int:
    if heads <= 0 or width % heads:
        raise ConfigError(
            f"heads: expected a divisor of width={width}, found {heads}; or set head_dim"
        )
    return width // heads
