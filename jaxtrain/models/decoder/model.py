"""The decoder as a `Model`, and as a config names it.

    model = decoder(DecoderConfig.llama(vocab_size=256, width=64, layers=4, heads=8))

    model: {name: decoder, family: llama, width: 64, layers: 4, heads: 8, kv_heads: 4}

Axes: B batch, L length, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import jax
import pydantic

from jaxtrain.batch import Batch, entry
from jaxtrain.models.attention import Requested
from jaxtrain.models.decoder.config import DecoderConfig, Llama3Scaling
from jaxtrain.models.decoder.initial import initial_params
from jaxtrain.models.decoder.remat import Remat
from jaxtrain.models.decoder.stack import Form
from jaxtrain.models.decoder.trunk import hidden_states, logits, output_head
from jaxtrain.models.model import Model, Rngs, Variables
from jaxtrain.models.registry import MODELS
from jaxtrain.models.token_losses import token_losses

Size: TypeAlias = Annotated[int, pydantic.Field(ge=1)]
Positive: TypeAlias = Annotated[float, pydantic.Field(gt=0)]


def decoder(
    config: DecoderConfig,
    *,
    form: Form = "scan",
    remat: Remat = "none",
    attention: Requested = "auto",
    param_dtype: Literal["float32", "bfloat16"] = "float32",
) -> Model:
    """A decoder on tokens: pure functions over a plain tree.

    The batch has `inputs` `[B, L]` int32, and may have `segments` and `positions` `[B, L]` int32 of
    packed documents; without them each row is one document from position 0. Where it has `labels`
    `[B, L]`, the outputs are `{"nll", "log_z", "correct"}`, each `[B, L]` float32, and [B, L, V]
    never exists; where it has none, `{"logits": [B, L, V]}`, float32.

    Args:
        config: the sizes, and which family.
        form: "scan", a loop over the layers, or "unroll", all of them written out; the parameters
            have one layout for both.
        remat: what a layer keeps for the backward pass: "none" keeps all, "mlp", "dots" and "full"
            less and less; see `jaxtrain.models.decoder.remat`.
        attention: "auto", or a kernel by name; see `jaxtrain.models.attention`.
        param_dtype: what the parameters are made in. What is computed in is the policy's.
    """

    def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
        return {"params": initial_params(rng, config, dtype=param_dtype)}

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[Any, dict[str, Any]]:
        params, inputs = variables["params"], entry(batch, "inputs")
        hidden = hidden_states(
            params,
            config,
            inputs,
            segments=batch.get("segments"),
            positions=batch.get("positions"),
            form=form,
            remat=remat,
            attention=attention,
        )
        if "labels" not in batch:
            return {"logits": logits(params, config, hidden)}, {}
        head, transposed = output_head(params, config)
        found = token_losses(
            hidden.reshape(-1, config.width),
            head,
            batch["labels"].reshape(-1),
            transposed=transposed,
        )
        names = ("nll", "log_z", "correct")
        return {n: x.reshape(inputs.shape) for n, x in zip(names, found, strict=True)}, {}

    return Model(init=init, apply=apply)


@MODELS.register("decoder")
def decoder_of_family(
    num_outputs: int,
    *,
    width: Size,
    layers: Size,
    heads: Size,
    family: Literal["llama", "gemma"] = "llama",
    kv_heads: Size | None = None,
    head_dim: Size | None = None,
    hidden: Size | None = None,
    tied: bool | None = None,
    norm_eps: Positive | None = None,
    rope_theta: Positive | None = None,
    rope_scaling: Llama3Scaling | None = None,
    max_length: Size | None = None,
    form: Form = "scan",
    remat: Remat = "none",
    attention: Requested = "auto",
    param_dtype: Literal["float32", "bfloat16"] = "float32",
) -> Model:
    """A language model on tokens, of the Llama or the Gemma family.

    Args:
        num_outputs: the size of the vocabulary.
        width: of the hidden states.
        layers: how many.
        heads: query heads.
        family: whose norms, activation, embedding and defaults.
        kv_heads: key/value heads, a divisor of heads; by default all of them (llama) or 1 (gemma).
        head_dim: the size of a head; by default width / heads.
        hidden: the width of the feed-forward; by default 8/3 of the width (llama), or 8 times it
            (gemma).
        tied: whether the head is the embedding; by default not (llama), or so (gemma).
        norm_eps: what is added to the mean square; by default 1e-5 (llama) or 1e-6 (gemma).
        rope_theta: the base of the wavelengths of rotary positions; by default 10000.
        rope_scaling: how Llama 3 stretches them: factor, low_freq_factor, high_freq_factor and
            original_max_position_embeddings.
        max_length: the longest text meant; by default 2048 (llama) or 8192 (gemma).
        form: a loop over the layers (scan), or all of them written out (unroll).
        remat: what a layer keeps for the backward pass; none keeps all.
        attention: which kernel; auto is a rule that the plan shows.
        param_dtype: what the parameters are kept in.
    """
    given = {
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "hidden": hidden,
        "tied": tied,
        "norm_eps": norm_eps,
        "rope_theta": rope_theta,
        "rope_scaling": rope_scaling,
        "max_length": max_length,
    }
    constructor: Any = {"llama": DecoderConfig.llama, "gemma": DecoderConfig.gemma}[family]
    config = constructor(
        vocab_size=num_outputs,
        width=width,
        layers=layers,
        heads=heads,
        **{name: value for name, value in given.items() if value is not None},
    )
    return decoder(config, form=form, remat=remat, attention=attention, param_dtype=param_dtype)
