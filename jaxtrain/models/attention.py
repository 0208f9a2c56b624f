"""Causal attention, and the rule that says which kernel computes it.

    choice = choose("auto", platform="cpu", dtype="float32", head_dim=64, length=256)
    choice.name, choice.why                  # ("tiled", "no [L, L] scores are kept; ...")
    out = attention(q, k, v, segments=segments, implementation=choice.name)

Where the kernel is chosen inside the call, a run that falls back to a slower one is two or three
times slower without a word (marin #7013), or ignores packing (maxtext #4476). Here it is chosen by
`choose`, a function of facts that are known before anything is traced, so that a plan can say it
and a run's metadata record it. What is asked for by name and can't be had is an error.

    xla      `jax.nn.dot_product_attention`; the scores [B, H, L, L] are kept for the backward pass
    tiled    `jaxtrain.models.tiled_attention`: scores of a tile of queries at a time, computed
             again in the backward pass, and none of the keys behind a tile
    cudnn    `jax.nn.dot_product_attention` on cuDNN's flash attention

Axes: B batch, L queries, S keys, H query heads, G key/value heads, E head size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError, UnknownNameError, did_you_mean
from jaxtrain.models.tiled_attention import tiled_attention

Implementation = Literal["xla", "tiled", "cudnn"]
Requested = Literal["auto", "xla", "tiled", "cudnn"]

IMPLEMENTATIONS: tuple[Implementation, ...] = ("xla", "tiled", "cudnn")


@dataclass(frozen=True)
class Choice:
    """Which kernel runs.

    Attributes:
        name: "xla", "tiled" or "cudnn".
        why: in words, for a plan and for a run's metadata.
    """

    name: Implementation
    why: str


def choose(
    requested: Requested,
    *,
    platform: str,
    dtype: Any,
    head_dim: int,
    length: int,
    packed: bool = False,
    cached: bool = False,
    compute_capability: str | None = None,
) -> Choice:
    """Which kernel runs, from facts alone: nothing is tried, and nothing falls back.

    Args:
        requested: a kernel by name, or "auto".
        platform: "cpu", "gpu" (CUDA), "rocm" or "tpu"; see `device_facts`.
        dtype: of queries, keys and values.
        head_dim: E.
        length: L.
        packed: whether rows hold several documents (a batch with `segments`).
        cached: whether keys and values are those of a cache.
        compute_capability: of a CUDA device, as "9.0"; None where that is not known.

    Returns:
        The choice with its reason. "auto" is cuDNN where that can run, the plain form against a
        cache, and else the tiled form: on a CPU it was faster at every length, forward and back
        (2 busy cores of an AMD EPYC, float32, H = G = 6, E = 64; milliseconds of processor time):

            L        128    256    512   1024   2048
            B          8      8      8      8      2
            xla       15     89    485   2007   1800
            tiled     12     64    332   1240    941

        On a GPU or a TPU it is there for the memory; its speed there has not been measured.

    Raises:
        UnknownNameError: there is no such kernel.
        ConfigError: it can't run here; the message says why.
    """
    if requested not in ("auto", *IMPLEMENTATIONS):
        known = ("auto", *IMPLEMENTATIONS)
        raise UnknownNameError(
            f"unknown attention {requested!r}{did_you_mean(requested, known)} "
            f"(known: {', '.join(known)})"
        )
    obstacles = _cudnn_obstacles(
        platform, jnp.dtype(dtype), head_dim, packed, cached, compute_capability
    )
    if requested == "cudnn":
        if obstacles:
            raise ConfigError(
                f"attention: cudnn can't run here: {'; '.join(obstacles)}. Set attention: auto, "
                "which takes what can run and says which it is"
            )
        return Choice("cudnn", "asked for")
    if requested == "tiled" and cached:
        raise ConfigError(
            "attention: tiled is for whole texts and does not read a cache; set attention: auto "
            "or xla"
        )
    if requested != "auto":
        return Choice(requested, "asked for")
    if cached:
        return Choice("xla", "a few queries at places of their own against the keys of a cache")
    if not obstacles:
        return Choice("cudnn", f"{jnp.dtype(dtype)}, heads of {head_dim}, one document a row")
    why = f"no scores [{length}, {length}] are kept, and keys behind a tile of queries are left out"
    if platform == "gpu":
        why += f"; cuDNN can't: {'; '.join(obstacles)}"
    return Choice("tiled", why)


def device_facts() -> dict[str, Any]:
    """`platform` and `compute_capability` for `choose`, of the device that JAX computes on."""
    chosen = getattr(jax.config, "jax_default_device", None)  # a device, a platform's name or None
    device = jax.devices(chosen)[0] if isinstance(chosen, str) else chosen or jax.devices()[0]
    if device.platform != "gpu":
        return {"platform": device.platform, "compute_capability": None}
    if "cuda" not in device.client.platform_version.lower():
        return {"platform": "rocm", "compute_capability": None}
    return {"platform": "gpu", "compute_capability": getattr(device, "compute_capability", None)}


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    *,
    segments: jax.Array | None = None,
    positions: jax.Array | None = None,
    implementation: Implementation,
) -> jax.Array:
    """`softmax(q k^T / sqrt(E)) v` over the keys at or before each query, in its own document.

    The softmax is float32. Each key/value head serves H / G query heads that stand together.

    Args:
        q: `[B, L, H, E]`.
        k: `[B, S, G, E]`.
        v: `[B, S, G, E]`.
        segments: `[B, L]` int32, the document of each token; S is then L. Padding is a document of
            its own, 0, which nobody else reads.
        positions: `[B, L]` int32, the place of each query among the S keys, for keys out of a
            cache; where they are not given S is L, and queries stand where their keys do.
        implementation: what `choose` has chosen.

    Returns:
        `[B, L, H, E]` in the dtype of `v`.
    """
    if implementation == "tiled":
        if positions is not None:
            raise ValueError("the tiled form reads no cache; choose(..., cached=True) says so")
        return tiled_attention(q, k, v, segments)
    if implementation == "cudnn":
        if positions is not None or segments is not None:
            raise ValueError("cuDNN gets neither packing nor a cache; choose(...) says so")
        return jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation="cudnn")
    mask = None
    if positions is not None:
        places = jnp.arange(k.shape[1], dtype=positions.dtype)
        mask = positions[:, None, :, None] >= places[None, None, None, :]
    if segments is not None:
        together = segments[:, None, :, None] == segments[:, None, None, :]
        mask = together if mask is None else mask & together
    # JAX's own form promotes narrow inputs to float32 implicitly, also where the user forbids that.
    with jax.numpy_dtype_promotion("standard"):
        return jax.nn.dot_product_attention(
            q, k, v, mask=mask, is_causal=positions is None, implementation="xla"
        )


def _cudnn_obstacles(
    platform: str,
    dtype: np.dtype[Any],
    head_dim: int,
    packed: bool,
    cached: bool,
    compute_capability: str | None,
) -> list[str]:
    """Why cuDNN's flash attention, as JAX offers it, can't run; empty where it can."""
    obstacles = []
    if platform != "gpu":
        obstacles.append(f"it needs a CUDA GPU, and JAX computes on {platform!r}")
    if dtype not in (jnp.bfloat16, jnp.float16):
        obstacles.append(
            f"it computes in bfloat16 or float16, and the model in {dtype} (precision: bfloat16)"
        )
    capability = _version(compute_capability)
    if platform == "gpu" and capability is not None and capability < (8, 0):
        obstacles.append(f"it needs compute capability 8.0, found {compute_capability}")
    # JAX asks for 9.0 before it lets heads of more than 128 through.
    largest = 256 if capability is not None and capability >= (9, 0) else 128
    if head_dim > largest or head_dim % 8:
        obstacles.append(
            f"it needs a head size of at most {largest} and a multiple of 8, found {head_dim}"
        )
    if packed:
        obstacles.append(
            "rows hold several documents (segments): JAX has no public packed form of it, and a "
            "mask would become a bias of [B, H, L, L]"
        )
    if cached:
        obstacles.append("keys come out of a cache, with queries at places of their own")
    return obstacles


def _version(compute_capability: str | None) -> tuple[int, ...] | None:
    if compute_capability is None:
        return None
    return tuple(int(part) for part in str(compute_capability).split("."))
