"""An adapter: the factors of all its kernels, a pytree beside the parameters and never inside them.

    adapter = init(jax.random.key(0), params, LoRAConfig(rank=8))
    adapter.factors["layers/attention/q/kernel"]["a"]        # [N, I, R]
    for module in adapter.modules():
        module.name, module.rank, module.a, module.b         # one layer's, without padding

Only the factors are leaves, so it is itself what an optimizer trains. What they mean is static.

Axes: N layers of a stack, I inputs, O outputs, R rank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.errors import ConfigError
from jaxtrain.lora.config import LoRAConfig
from jaxtrain.lora.targets import Target
from jaxtrain.varied import Varied


class Module(NamedTuple):
    """The adapter of one module: one kernel, or one layer of a stack.

    Attributes:
        name: "layers.3.attention.q".
        target: the kernel, or stack of kernels, that it belongs to.
        layer: which of the stack; None where there is none.
        rank: R.
        alpha: what the scale is made of.
        scale: what a @ b is multiplied by.
        a: `[I, R]`.
        b: `[R, O]`.
        m: `[O]` with DoRA, else None.
    """

    name: str
    target: Target
    layer: int | None
    rank: int
    alpha: float
    scale: float
    a: jax.Array
    b: jax.Array
    m: jax.Array | None


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Adapter:
    """Factors by the path of their kernel, and what they are.

    Attributes:
        factors: `{"layers/attention/q/kernel": {"a": [N, I, R], "b": [N, R, O]}}`, without N where
            layers are not stacked; with DoRA also `"m"` `[N, O]`. All axes of the inputs are one
            here, and so are those of the outputs. In a stack, R is the largest rank; layers of a
            smaller one, or of none, are filled up with zeros, which training leaves as they are.
        config: what it was made by.
        targets: the kernels, with the rank and alpha of each layer.
        trainable: whether `lora.model` trains it; merged, applied and saved it may be in any case.
        peft: the adapter_config.json that it was read from, for what of it means nothing here and
            is written again; "" where it comes from no file.
    """

    factors: dict[str, dict[str, jax.Array]]
    config: LoRAConfig = field(metadata={"static": True})
    targets: tuple[Target, ...] = field(metadata={"static": True})
    trainable: bool = field(default=True, metadata={"static": True})
    peft: str = field(default="", metadata={"static": True})

    def scales(self, target: Target) -> np.ndarray | jax.Array:
        """What a @ b of each layer is multiplied by: float32 `[N]`, or a scalar; 0 without one."""
        scales = [
            self.config.scale(rank, alpha) if rank else 0.0
            for rank, alpha in zip(target.ranks, target.alphas, strict=True)
        ]
        if any(isinstance(scale, Varied) for scale in scales):
            each = [jnp.asarray(scale, jnp.float32) for scale in scales]
            return jnp.stack(each) if target.stacked else each[0]
        return np.asarray(scales if target.stacked else scales[0], np.float32)

    def modules(self) -> Iterator[Module]:
        """The modules that have an adapter, each with factors of its own rank."""
        for target in self.targets:
            factors = self.factors[target.path]
            for layer, (name, rank, alpha) in enumerate(
                zip(target.names, target.ranks, target.alphas, strict=True)
            ):
                if not rank:
                    continue
                own = {k: v[layer] if target.stacked else v for k, v in factors.items()}
                yield Module(
                    name=name,
                    target=target,
                    layer=layer if target.stacked else None,
                    rank=rank,
                    alpha=alpha,
                    scale=self.config.scale(rank, alpha),
                    a=own["a"][:, :rank],
                    b=own["b"][:rank],
                    m=own.get("m"),
                )


def assemble(
    config: LoRAConfig,
    targets: tuple[Target, ...],
    modules: Mapping[str, Mapping[str, Any]],
) -> Adapter:
    """An adapter from the factors of each module: the inverse of `Adapter.modules`.

    Args:
        config: of the adapter.
        targets: as `find_targets` gives them.
        modules: `{"a": [I, R], "b": [R, O]}`, with DoRA also `"m"` `[O]`, by the module's name.

    Raises:
        ConfigError: a module that is missing, is not a target, or has other shapes.
    """
    expected = {
        name: (target, rank)
        for target in targets
        for name, rank in zip(target.names, target.ranks, strict=True)
        if rank
    }
    problems = [f"{name}: missing" for name in expected.keys() - modules.keys()]
    problems += [f"{name}: not a target" for name in modules.keys() - expected.keys()]
    for name in expected.keys() & modules.keys():
        problems += _misfits(name, modules[name], expected[name][1], config)
    if problems:
        raise ConfigError(
            "these factors are not the adapter's:\n  " + "\n  ".join(sorted(problems))
        )
    factors = {target.path: _stacked(target, modules) for target in targets}
    return Adapter(factors, config, targets)


def _misfits(name: str, given: Mapping[str, Any], rank: int, config: LoRAConfig) -> Iterator[str]:
    wanted = {"a", "b", "m"} if config.dora else {"a", "b"}
    if given.keys() != wanted:
        yield f"{name}: expected {', '.join(sorted(wanted))}, found {', '.join(sorted(given))}"
        return
    shapes = {key: tuple(jnp.shape(value)) for key, value in given.items()}
    if len(shapes["a"]) != 2 or shapes["a"][1] != rank:
        yield f"{name}: expected a of shape [I, {rank}], found {shapes['a']}"
    if len(shapes["b"]) != 2 or shapes["b"][0] != rank:
        yield f"{name}: expected b of shape [{rank}, O], found {shapes['b']}"
    elif "m" in shapes and shapes["m"] != shapes["b"][1:]:
        yield f"{name}: expected m of shape {shapes['b'][1:]}, found {shapes['m']}"


def _stacked(target: Target, modules: Mapping[str, Mapping[str, Any]]) -> dict[str, jax.Array]:
    """The factors of a target: padded to the largest rank, layers without an adapter zero."""
    there = next(modules[n] for n, rank in zip(target.names, target.ranks, strict=True) if rank)

    def padded(name: str, key: str) -> jax.Array:
        if name not in modules:
            like = jnp.asarray(there[key])
            shape = {"a": (like.shape[0], target.rank), "b": (target.rank, *like.shape[1:])}
            return jnp.zeros(shape.get(key, like.shape), like.dtype)
        value = jnp.asarray(modules[name][key])
        if key == "m":
            return value
        axis = 1 if key == "a" else 0
        widths = [(0, 0), (0, 0)]
        widths[axis] = (0, target.rank - value.shape[axis])
        return jnp.pad(value, widths)

    each = {key: [padded(name, key) for name in target.names] for key in there}
    return {key: jnp.stack(all_) if target.stacked else all_[0] for key, all_ in each.items()}
