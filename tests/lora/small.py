"""A small decoder, and adapters that are no longer fresh, for the tests of this room."""

from __future__ import annotations

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain import lora
from jaxtrain.models.decoder import DecoderConfig, decoder, initial_params

CONFIG = DecoderConfig.llama(vocab_size=31, width=16, layers=3, heads=4, kv_heads=2, hidden=24)
MODEL = decoder(CONFIG)
UNEQUAL = {
    "rank": 4,
    "alpha": 6.0,
    "targets": r"layers\.[02]\..*",
    "rank_pattern": {"2.attention.q": 2, "down": 3},
    "alpha_pattern": {"0.mlp.up": 3.0},
}
"""Another rank and alpha here and there, and no adapter in layer 1."""


@functools.cache
def _params():
    return initial_params(jax.random.key(0), CONFIG)


def params(dtype="float32"):
    made = _params()
    # Larger than at the beginning, so that what is wrong shows in the logits.
    return jax.tree.map(lambda x: (x if x.ndim < 2 else 10 * x).astype(dtype), made)


def batch(rows=2, length=6):
    tokens = np.random.default_rng(0).integers(0, 31, (rows, length + 1)).astype(np.int32)
    return {"inputs": jnp.asarray(tokens[:, :-1]), "labels": jnp.asarray(tokens[:, 1:])}


@jax.jit
def logits(params, inputs):
    return MODEL.apply({"params": params}, {"inputs": inputs}, train=False)[0]["logits"]


def trained(adapter, seed=0, size=0.3):
    """With other factors, as after training: what is padding stays 0."""

    def moved(name, target, factors):
        made = {}
        for key, value in factors.items():
            own = np.random.default_rng(zlib.crc32(f"{seed} {name} {key}".encode()))
            ranks = np.asarray(target.ranks).reshape(*target.lead, 1)
            mask = (np.arange(target.rank) < ranks).astype(np.float32)
            mask = {"a": mask[..., None, :], "b": mask[..., None], "m": (ranks > 0) * 1.0}[key]
            noise = size * own.normal(size=value.shape) * mask
            new = np.asarray(value) + (0.5 * noise * np.asarray(value) if key == "m" else noise)
            made[key] = jnp.asarray(new, value.dtype)
        return made

    factors = {t.path: moved(t.path, t, adapter.factors[t.path]) for t in adapter.targets}
    return lora.Adapter(factors, adapter.config, adapter.targets)


def adapter(seed=0, **options):
    """One that has been trained, for `params()`."""
    config = lora.LoRAConfig(**(UNEQUAL | options))
    return trained(lora.init(jax.random.key(seed), params(), config), seed)


def same_bits(one, other):
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in leaves)
