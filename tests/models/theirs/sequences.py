"""Classifiers of sequences made of PyTorch's own layers, and one batch through both.

compare(model, theirs, params_of_lstm, inputs, lengths)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch import nn

from tests.models.theirs.close import all_close, close

Params = dict[str, Any]


class RecurrentNet(nn.Module):
    """`torch.nn.LSTM` or `torch.nn.GRU` over packed sequences; the last layer's last states."""

    def __init__(self, kind, inputs, width, layers, outputs, *, bidirectional, vocabulary=None):
        super().__init__()
        self.embedding = None if vocabulary is None else nn.Embedding(vocabulary, inputs)
        options = {"batch_first": True, "bidirectional": bidirectional}
        self.layers = getattr(nn, kind.upper())(inputs, width, layers, **options)
        self.directions = 2 if bidirectional else 1
        self.output = nn.Linear(self.directions * width, outputs)

    def forward(self, x, lengths):
        x = x if self.embedding is None else self.embedding(x)
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        _, states = self.layers(packed)
        states = states[0] if isinstance(states, tuple) else states
        return self.output(torch.cat(list(states[-self.directions :]), dim=-1))


class EncoderNet(nn.Module):
    """`torch.nn.TransformerEncoder` behind an embedding with positions."""

    def __init__(
        self, width, layers, heads, feed_forward, outputs, *, positions, norm, activation,
        pooling, vocabulary=None, features=None,
    ):  # fmt: skip
        super().__init__()
        self.embedding = nn.Linear(features, width) if features else nn.Embedding(vocabulary, width)
        if isinstance(positions, int):
            self.positions = nn.Parameter(torch.randn(positions, width))
        else:
            self.register_buffer("positions", torch.from_numpy(positions))
        self.class_token = nn.Parameter(torch.randn(1, 1, width)) if pooling != "mean" else None
        layer = nn.TransformerEncoderLayer(
            width, heads, feed_forward, 0.0, activation, batch_first=True, norm_first=norm == "pre"
        )
        final = nn.LayerNorm(width) if norm == "pre" else None
        self.encoder = nn.TransformerEncoder(layer, layers, final, enable_nested_tensor=False)
        self.output = nn.Linear(width, outputs)

    def forward(self, x, lengths):
        real = torch.arange(x.shape[1]) < torch.as_tensor(lengths)[:, None]
        x = self.embedding(x) + self.positions[: x.shape[1]]
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)
            real = torch.cat([torch.ones_like(real[:, :1]), real], dim=1)
        x = self.encoder(x, src_key_padding_mask=~real)
        if self.class_token is not None:
            return self.output(x[:, 0])
        return self.output((x * real[..., None]).sum(1) / real.sum(1, keepdim=True))


def compare(
    model, theirs, params_of: Callable[..., Params], inputs: np.ndarray, lengths: np.ndarray
) -> None:
    """In evaluation, and the gradient of the mean loss."""
    torch.manual_seed(0)
    with torch.no_grad():  # biases and norms as they are after training, not at their start
        for name, weight in theirs.named_parameters():
            if "norm" in name or "bias" in name:
                weight.add_(0.3 * torch.randn(weight.shape))
    labels = np.arange(len(inputs)) % theirs.output.out_features
    real = np.arange(inputs.shape[1]) < lengths[:, None]
    batch = {"inputs": jnp.asarray(inputs), "mask": jnp.asarray(real, jnp.float32)}
    params = params_of({n: p.detach().numpy() for n, p in theirs.named_parameters()})
    shapes = jax.eval_shape(model.init, jax.random.key(0), batch)["params"]
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, shapes)

    @jax.jit
    def both(params):
        def loss(params):
            logits, _ = model.apply({"params": params}, batch, train=False)
            each = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
            return each.mean(), logits

        return jax.value_and_grad(loss, has_aux=True)(params)

    (loss, logits), gradient = both(params)
    given = torch.from_numpy(inputs)
    given = given.long() if np.issubdtype(inputs.dtype, np.integer) else given
    # Not in evaluation: there PyTorch takes another path, with nested tensors.
    found = theirs(given, lengths.tolist())
    value = torch.nn.functional.cross_entropy(found, torch.from_numpy(labels))
    value.backward()
    close(logits, found, 1e-5)
    close(loss, value, 1e-5)
    gradients = {n: p.grad.numpy() for n, p in theirs.named_parameters()}
    all_close(gradient, params_of(gradients, gradients=True), 1e-4)


def params_of_recurrent(given, *, gradients: bool = False) -> Params:
    """Where they have two biases that are added up we have the sum, and either's gradient."""
    given = dict(given)
    width = given["layers.weight_hh_l0"].shape[1]
    is_gru = given["layers.weight_hh_l0"].shape[0] == 3 * width
    tree: Params = {"output": linear(given, "output")}
    if "embedding.weight" in given:
        tree["embedding"] = {"tokens": {"embedding": given.pop("embedding.weight")}}
    for name in [name for name in given if name.startswith("layers.weight_ih")]:
        place = name.removeprefix("layers.weight_ih_l")
        number, direction = place.removesuffix("_reverse"), "forward"
        if place.endswith("_reverse"):
            direction = "backward"
        first, second = (given.pop(f"layers.bias_{of}_l{place}") for of in ("ih", "hh"))
        both = first if gradients else first + second
        layer = {
            "inputs": {"kernel": given.pop(name).T, "bias": both},
            "kernel": given.pop(f"layers.weight_hh_l{place}").T,
        }
        if is_gru:
            folded = 2 * width
            layer["inputs"]["bias"] = np.concatenate([both[:folded], first[folded:]])
            layer["bias"] = second[folded:]
        tree[f"{direction}_{number}"] = layer
    assert not given, given.keys()
    return tree


def params_of_encoder(given, *, gradients: bool = False) -> Params:
    """Ours, which are one for one theirs."""
    given = dict(given)
    tree: Params = {"output": linear(given, "output")}
    if "embedding.bias" in given:
        tree["features"] = linear(given, "embedding")
    else:
        tree["embedding"] = {"tokens": {"embedding": given.pop("embedding.weight")}}
    for name in ("positions", "class_token"):
        if name in given:
            tree[name] = given.pop(name)
    number = 0
    while f"encoder.layers.{number}.linear1.weight" in given:
        layer = f"encoder.layers.{number}"
        tree[f"layer_{number}"] = {
            "attention": {
                "qkv": {
                    "kernel": given.pop(f"{layer}.self_attn.in_proj_weight").T,
                    "bias": given.pop(f"{layer}.self_attn.in_proj_bias"),
                },
                "out": linear(given, f"{layer}.self_attn.out_proj"),
            },
            "expand": linear(given, f"{layer}.linear1"),
            "project": linear(given, f"{layer}.linear2"),
            "attention_norm": norm(given, f"{layer}.norm1"),
            "feed_forward_norm": norm(given, f"{layer}.norm2"),
        }
        number += 1
    if "encoder.norm.weight" in given:
        tree["norm"] = norm(given, "encoder.norm")
    assert not given, given.keys()
    return tree


def linear(given, name: str) -> Params:
    return {"kernel": given.pop(f"{name}.weight").T, "bias": given.pop(f"{name}.bias")}


def norm(given, name: str) -> Params:
    return {"scale": given.pop(f"{name}.weight"), "bias": given.pop(f"{name}.bias")}
