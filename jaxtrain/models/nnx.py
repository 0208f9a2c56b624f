"""A Flax NNX module as a `Model`: split once, and from then on as functional as a Linen one.

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.dense = nnx.Linear(64, 10, rngs=rngs)

        def __call__(self, inputs):
            return self.dense(inputs)

    model = from_nnx(lambda rngs: Net(rngs))    # or from_nnx(Net(nnx.Rngs(0)))

The object graph is flattened here, for training and for evaluation, never in a step: `apply`
only puts the variables back into the graph, and inside `jax.jit` not even that after tracing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxtrain.models.model import Batch, Model, Rngs, Variables, call_options, entry

Path = tuple[Any, ...]


def from_nnx(
    module_or_factory: nnx.Module | Callable[[nnx.Rngs], nnx.Module], *, inputs: str = "inputs"
) -> Model:
    """Make a `Model` of an NNX module or, better, of a function that makes one.

    Variables become plain nested dicts of arrays, keyed by strings: `nnx.Param` and its
    subclasses in `params`, `nnx.BatchStat` in `batch_stats`, other types in a collection of their
    own name. The state of random streams is none of them: each call seeds the streams anew from
    `rngs`, so that a step depends on its key alone. A stream takes the key of its own name or,
    where there is none, the first key by name; every stream gets numbers of its own.

    Args:
        module_or_factory: given a factory, `init(rng, batch)` calls `factory(nnx.Rngs(rng))`; given
            a module, `init` returns the values that it holds now, whatever the key. The module is
            copied, not changed.
        inputs: the key of the batch that holds the module's input.

    The module is switched by `module.train()` and `module.eval()`, and its `__call__` gets
    `train=` and `mask=` where its signature names them (see `from_linen`).

    Raises:
        TypeError: where a module holds a bare array, of which nobody can tell if it is trained.
        ValueError: (from `apply`) in training, where the module has random streams and `rngs`
            is empty.
        DataError: (from `init` and `apply`) where the batch has no key `inputs`.
    """
    if isinstance(module_or_factory, nnx.Module):
        module = nnx.clone(module_or_factory)
        held = _variables(nnx.split(module)[1], _slots(module))

        def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
            entry(batch, inputs)
            # Copies: a caller may donate what it got without deleting the module's own arrays.
            return jax.tree.map(jnp.copy, held)
    else:
        factory = module_or_factory
        module = nnx.eval_shape(lambda: factory(nnx.Rngs(0)))

        def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
            entry(batch, inputs)
            return _variables(nnx.split(factory(nnx.Rngs(rng)))[1], slots)

    slots = _slots(module)
    module.train()
    training = nnx.split(module)[0]
    module.eval()
    evaluation = nnx.split(module)[0]
    streams = _Streams.of(nnx.state(module, nnx.RngState))

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[jax.Array, dict[str, Any]]:
        leaves = {
            path: slot.variable.replace(_walk(variables, slot)) for path, slot in slots.items()
        }
        leaves |= streams.seeded(rngs or {}, required=train)
        merged = nnx.merge(training if train else evaluation, nnx.from_flat_state(leaves))
        outputs = merged(entry(batch, inputs), **call_options(merged, batch, train=train))
        if not train:
            return outputs, {}
        changing = {path: slot for path, slot in slots.items() if slot.collection != "params"}
        updated = _variables(nnx.state(merged), changing)
        # A model without state says {}, like a Linen one.
        return outputs, {name: tree for name, tree in updated.items() if name != "params"}

    return Model(init=init, apply=apply)


@dataclass(frozen=True)
class _Slot:
    """Where one variable of the module lives among the plain dicts."""

    collection: str
    keys: tuple[str, ...]
    variable: nnx.Variable


def _slots(module: nnx.Module) -> dict[Path, _Slot]:
    """Every variable of the module except its random streams, by its path in the module."""
    slots: dict[Path, _Slot] = {}
    for path, variable in nnx.to_flat_state(nnx.state(module)):
        if isinstance(variable, nnx.RngState):
            continue
        keys = tuple(str(part) for part in path)
        if not isinstance(variable, nnx.Variable):
            raise TypeError(
                f"{type(module).__name__}.{'.'.join(keys)} is a bare array; make it an nnx.Param "
                "if it is trained, an nnx.Variable if it is not"
            )
        kind = type(variable)
        is_param = issubclass(kind, nnx.Param)
        name = "params" if is_param else nnx.variable_name_from_type(kind, allow_register=True)
        slots[path] = _Slot(name, keys, variable)
    return slots


def _variables(state: nnx.State, slots: Mapping[Path, _Slot]) -> dict[str, Any]:
    """The values of `state` at the slots, as `{"params": {...}, other collections}`."""
    found = dict(nnx.to_flat_state(state))
    variables: dict[str, Any] = {"params": {}}
    for path, slot in slots.items():
        at = variables.setdefault(slot.collection, {})
        for key in slot.keys[:-1]:
            at = at.setdefault(key, {})
        at[slot.keys[-1]] = found[path].get_value()
    return variables


def _walk(variables: Variables, slot: _Slot) -> Any:
    at: Any = variables[slot.collection]
    for key in slot.keys:
        at = at[key]
    return at


@dataclass(frozen=True)
class _Streams:
    """The random streams of a module: where their keys and counters are, and their names."""

    keys: dict[Path, nnx.RngKey]
    counts: dict[Path, nnx.RngCount]

    @classmethod
    def of(cls, state: nnx.State) -> _Streams:
        flat = dict(nnx.to_flat_state(state))
        return cls(
            keys={path: v for path, v in flat.items() if isinstance(v, nnx.RngKey)},
            counts={path: v for path, v in flat.items() if isinstance(v, nnx.RngCount)},
        )

    def seeded(self, rngs: Rngs, *, required: bool) -> dict[Path, nnx.Variable]:
        """The streams at their start, keyed from `rngs`."""
        names = sorted({variable.tag for variable in self.keys.values()})
        if names and required and not rngs:
            raise ValueError(
                f"the module has random streams ({', '.join(names)}) and rngs is empty; pass one "
                f"key for each step, as in apply(..., train=True, rngs={{{names[0]!r}: key}})"
            )
        seeded: dict[Path, nnx.Variable] = {}
        for number, (path, variable) in enumerate(self.keys.items()):
            # In evaluation nobody draws, but the graph wants a key at every stream.
            source = rngs.get(variable.tag, rngs[min(rngs)] if rngs else jax.random.key(0))
            key = jax.random.fold_in(source, number)
            shape = variable.get_value().shape
            seeded[path] = variable.replace(jax.random.split(key, shape) if shape else key)
        for path, counter in self.counts.items():
            value = counter.get_value()
            seeded[path] = counter.replace(jnp.zeros(value.shape, value.dtype))
        return seeded
