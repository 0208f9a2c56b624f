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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.models.calling import TRAINING, call_options, has_switch, inputs_of, refuse_deaf
from jaxtrain.models.model import SOWN_LOSSES, Model, Rngs, Variables

Path = tuple[Any, ...]


def from_nnx(
    module_or_factory: nnx.Module | Callable[[nnx.Rngs], nnx.Module],
    *,
    inputs: str | Sequence[str] = "inputs",
    sown: Sequence[str] = (),
) -> Model:
    """Make a `Model` of an NNX module or, better, of a function that makes one.

    Variables become plain nested dicts of arrays, keyed by strings: `nnx.Param` and its
    subclasses in `params`, `nnx.BatchStat` in `batch_stats`, other types in a collection of their
    own name. The state of random streams is none of them: each call seeds the streams anew from
    `rngs`, so that a step depends on its key alone. A stream takes the key of its own name or,
    where there is none, the first key by name; every stream gets numbers of its own.

    The module is switched by `module.train()` and `module.eval()`, its attributes `training` and
    `is_training` are set where it has them, and its `__call__` gets a switch, `mask=` and
    `row_mask=` where its signature names them (see `from_linen`).

    What it sows by `self.sow("losses", name, value)` joins the loss.

    Args:
        module_or_factory: given a factory, `init(rng, batch)` calls `factory(nnx.Rngs(rng))`; given
            a module, `init` returns the values that it holds now, whatever the key. The module is
            copied, not changed.
        inputs: the key of the batch that holds the module's input; several keys make as many
            arguments.
        sown: further collections that it sows into (`intermediates`), to come out of a step as
            `output["sown"]`.

    Raises:
        TypeError: where a module holds a bare array, of which nobody can tell if it is trained.
        ValueError: (from `apply`) where the module has random streams and `rngs` is empty, in
            training always, in evaluation where it draws from them.
        ConfigError: (from `apply`) where dropout or batch norm can't be switched, because the
            module says by argument how they are to behave and has no switch itself.
        DataError: (from `init` and `apply`) where the batch has no key `inputs`.
    """
    if isinstance(module_or_factory, linen.Module):
        raise TypeError("from_nnx: found a Linen module; for these there is from_linen")
    if isinstance(module_or_factory, nnx.Module):
        module = nnx.clone(module_or_factory)
        held = _variables(nnx.split(module)[1], _slots(module))

        def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
            inputs_of(batch, inputs)
            # Copies: a caller may donate what it got without deleting the module's own arrays.
            return jax.tree.map(jnp.copy, held)
    else:
        factory = module_or_factory
        module = nnx.eval_shape(lambda: factory(nnx.Rngs(0)))

        def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
            inputs_of(batch, inputs)
            return _variables(nnx.split(factory(nnx.Rngs(rng)))[1], slots)

    slots = _slots(module)
    training, evaluation = (_switched(module, train=train) for train in (True, False))
    streams = _Streams.of(nnx.state(module, nnx.RngState))
    told = has_switch(module)

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[Any, dict[str, Any]]:
        leaves = {
            path: slot.variable.replace(_walk(variables, slot)) for path, slot in slots.items()
        }
        leaves |= streams.seeded(rngs or {}, required=train)
        given = {path: variable.get_value() for path, variable in leaves.items()}
        merged = nnx.merge(training if train else evaluation, nnx.from_flat_state(leaves))
        names = (SOWN_LOSSES, *sown)
        kinds = {name: nnx.variable_type_from_name(name, allow_register=True) for name in names}
        # With one kind more than is wanted, `capture` gives a tuple whatever their number.
        outputs, *found = nnx.capture(merged, *kinds.values(), _Nothing)(
            *inputs_of(batch, inputs), **call_options(merged, batch, train=train)
        )
        after = dict(nnx.to_flat_state(nnx.state(merged)))
        new = {path for path, old in given.items() if after[path].get_value() is not old}
        if train and not told:
            _refuse_unswitched(merged, after, new)
        # A lifted transformation (nnx.remat) renews key and count; a draw, the count alone.
        if not rngs and any(path in new and _key_of(path) not in new for path in streams.counts):
            raise ConfigError(
                "the model draws random numbers in evaluation, and was given no keys; "
                "make_eval_step(..., rngs=True) gives them"
            )
        results = {
            name: _plain(state) for name, state in zip(kinds, found, strict=False) if len(state)
        }
        if not train:
            return outputs, results
        changing = {path: slot for path, slot in slots.items() if slot.collection != "params"}
        updated = _variables(nnx.from_flat_state(after), changing)
        # A model without state says {}, like a Linen one.
        return outputs, {n: tree for n, tree in updated.items() if n != "params"} | results

    return Model(init=init, apply=apply)


def _key_of(count: Path) -> Path:
    """The path of the key of a random stream, from that of its counter."""
    return (*count[:-1], "key")


class _Nothing(nnx.Intermediate):
    """A kind that nobody sows."""


def _switched(module: nnx.Module, *, train: bool) -> Any:
    """The graph of a module in training or in evaluation."""
    module.train() if train else module.eval()
    module.set_attributes(**dict.fromkeys(TRAINING[1:], train), raise_if_not_found=False)
    return nnx.split(module)[0]


def _refuse_unswitched(module: nnx.Module, after: Mapping[Path, Any], new: set[Path]) -> None:
    """Refuse a module with dropout or batch statistics where training has used neither.

    Args:
        module: after its call.
        after: its variables.
        new: the paths of those that the call has changed.
    """
    layers = [layer for _, layer in nnx.iter_modules(module)]
    changed = tuple(type(after[path]) for path in new)
    dropout = any(isinstance(layer, nnx.Dropout) and layer.rate for layer in layers)
    norm = any(isinstance(layer, nnx.BatchNorm) for layer in layers)
    refuse_deaf(
        module,
        ["Dropout"] * (dropout and not any(issubclass(kind, nnx.RngState) for kind in changed))
        + ["BatchNorm"] * (norm and not any(issubclass(kind, nnx.BatchStat) for kind in changed)),
    )


def _plain(state: nnx.State) -> dict[str, Any]:
    """The values of a state as nested dicts."""
    plain: dict[str, Any] = {}
    for path, variable in nnx.to_flat_state(state):
        *outer, last = (str(part) for part in path)
        at = plain
        for key in outer:
            at = at.setdefault(key, {})
        at[last] = variable.get_value()
    return plain


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
            # Where nobody draws, the graph wants a key at every stream all the same.
            source = rngs.get(variable.tag, rngs[min(rngs)] if rngs else jax.random.key(0))
            key = jax.random.fold_in(source, number)
            shape = variable.get_value().shape
            seeded[path] = variable.replace(jax.random.split(key, shape) if shape else key)
        for path, counter in self.counts.items():
            value = counter.get_value()
            seeded[path] = counter.replace(jnp.zeros(value.shape, value.dtype))
        return seeded
