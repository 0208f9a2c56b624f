"""The decoder as a `Model`.

    model = decoder(DecoderConfig.llama(vocab_size=256, width=64, layers=4, heads=8))

Axes: B batch, L length, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import jax

from jaxtrain.batch import Batch, entry
from jaxtrain.errors import ConfigError
from jaxtrain.models.attention import Choice, Requested
from jaxtrain.models.decoder.config import DecoderConfig
from jaxtrain.models.decoder.flops import flops_per_token
from jaxtrain.models.decoder.initial import initial_params, param_shapes
from jaxtrain.models.decoder.remat import KEEPS, Remat
from jaxtrain.models.decoder.stack import Form
from jaxtrain.models.decoder.trunk import (
    attention_choice,
    hidden_states,
    logits,
    output_head,
)
from jaxtrain.models.flops import Flops
from jaxtrain.models.model import Model, Rngs, Variables
from jaxtrain.models.token_kl import token_kl
from jaxtrain.models.token_losses import token_losses
from jaxtrain.parallel.layout import Rule

LAYOUT: tuple[Rule, ...] = (
    ("embedding/embedding", ("tensor", "fsdp")),
    ("head/kernel", ("fsdp", "tensor")),
    ("attention/[qkv]/kernel", (None, "fsdp", "tensor")),
    ("attention/o/kernel", (None, "tensor", "fsdp")),
    ("mlp/gate/kernel", (None, "fsdp", "tensor")),
    ("mlp/up/kernel", (None, "fsdp", "tensor")),
    ("mlp/down/kernel", (None, "tensor", "fsdp")),
)
"""How the parameters lie on a mesh: heads, units of the feed-forward and tokens of the vocabulary
over `tensor`, so that a layer adds up its parts twice (Megatron-LM, arXiv 1909.08053)."""


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
        remat: what a layer keeps for the backward pass: "none" keeps all, "full" the least, "mlp"
            and "dots" are between; see `jaxtrain.models.decoder.remat`.
        attention: "auto", or a kernel by name; see `jaxtrain.models.attention`.
        param_dtype: what the parameters are made in. What is computed in is the policy's.

    Raises:
        ConfigError: from `init`, rows that are longer than `max_length`.
    """

    def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
        length = entry(batch, "inputs").shape[1]
        if length > config.max_length:
            raise ConfigError(
                f"rows of {length} tokens are longer than the model is meant for; raise "
                f"max_length={config.max_length}, or take shorter rows"
            )
        return {"params": initial_params(rng, config, dtype=param_dtype)}

    def states(params: Mapping[str, Any], batch: Batch) -> jax.Array:
        return hidden_states(
            params,
            config,
            entry(batch, "inputs"),
            segments=batch.get("segments"),
            positions=batch.get("positions"),
            form=form,
            remat=remat,
            attention=attention,
        )

    def outputs(params: Mapping[str, Any], hidden: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        if "labels" not in batch:
            return {"logits": logits(params, config, hidden)}
        head, transposed = output_head(params, config)
        found = token_losses(
            hidden.reshape(-1, config.width),
            head,
            batch["labels"].reshape(-1),
            transposed=transposed,
        )
        names = ("nll", "log_z", "correct")
        return {n: x.reshape(hidden.shape[:2]) for n, x in zip(names, found, strict=True)}

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[Any, dict[str, Any]]:
        params = variables["params"]
        return outputs(params, states(params, batch), batch), {}

    def apply_with_kl(
        variables: Variables,
        reference: Variables,
        batch: Batch,
        *,
        train: bool,
        rngs: Rngs | None = None,
    ) -> tuple[Any, dict[str, Any], jax.Array]:
        params, others = variables["params"], reference["params"]
        hidden, before = states(params, batch), states(others, batch)
        found = outputs(params, hidden, batch)
        (head, transposed), (before_head, _) = (output_head(p, config) for p in (params, others))
        kl = token_kl(hidden, head, before, before_head, transposed=transposed)
        return found, {}, kl

    def choice(batch: Mapping[str, Any], dtype: Any) -> Choice:
        """The one that `hidden_states` will make."""
        length, packed = entry(batch, "inputs").shape[1], batch.get("segments") is not None
        return attention_choice(config, attention, dtype=dtype, length=length, packed=packed)

    def facts(batch: Mapping[str, Any], dtype: Any) -> dict[str, str]:
        kernel = choice(batch, dtype)
        return {
            "attention": f"{kernel.name} ({kernel.why})",
            "remat": f"{remat} ({KEEPS[remat]})",
        }

    def flops(batch: Mapping[str, Any], dtype: Any) -> Flops:
        length = entry(batch, "inputs").shape[1]
        kernel = choice(batch, dtype).name
        return flops_per_token(config, length, remat=remat, attention=kernel)

    layers = param_shapes(config)["layers"]
    taken = {
        f"layers/{part}/{name}/kernel"
        for part, modules in layers.items()
        for name, leaves in modules.items()
        if "kernel" in leaves
    }
    return Model(
        init=init,
        apply=apply,
        facts=facts,
        flops=flops,
        low_rank=lambda variables, batch: frozenset(taken),
        apply_with_kl=apply_with_kl,
        layout=LAYOUT,
    )
