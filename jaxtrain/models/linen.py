"""A Flax Linen module as a `Model`.

    class Net(nn.Module):
        @nn.compact
        def __call__(self, inputs, *, train):
            hidden = nn.relu(nn.Dense(64)(inputs))
            return nn.Dense(10)(nn.Dropout(0.1)(hidden, deterministic=not train))

    model = from_linen(Net())

Linen keeps parameters outside the module, so there is nothing to split: this only settles which
arguments the module wants and which collections it may write.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import flax.errors
import flax.linen as nn
import jax

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.models.calling import call_options, has_switch, inputs_of, refuse_deaf, switches
from jaxtrain.models.linen_layers import low_rank_layers, readable, without_low_rank
from jaxtrain.models.model import SOWN_LOSSES, Model, Rngs, Variables


def from_linen(
    module: nn.Module, *, inputs: str | Sequence[str] = "inputs", sown: Sequence[str] = ()
) -> Model:
    """Make a `Model` of a Linen module.

    The module is called with `batch[inputs]`, and further, by keyword, with what its `__call__`
    names in its signature: whether it is in training, as `train`, `training` or `is_training`, or
    the other way round as `deterministic` or `use_running_average`; `mask`, what counts of the
    batch (`[B]`, or `[B, ...]` where the user has a mask; None where the batch has none); and
    `row_mask` (`[B]`), which rows count. A batch norm needs the latter to keep padding out of its
    statistics. A switch may also be a field of the module.

    What it sows into the collection `losses` joins the loss.

    Where a kernel of its Dense, DenseGeneral, Conv and Embed layers stood, `apply` takes a
    `LowRank` as well.

    Args:
        module: an unbound module.
        inputs: the key of the batch that holds the module's input; several keys make as many
            arguments.
        sown: further collections that it sows into (`intermediates`), to come out of a step as
            `output["sown"]`.

    Raises:
        DataError: (from `init` and `apply`) where the batch has no such key.
        ConfigError: (from `init` and `apply`) where the module has dropout or batch norm and no
            switch, or draws random numbers where no keys are given.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"from_linen: expected a Linen module, found {module!r}; a class is called first, and "
            "for a module of NNX there is from_nnx"
        )
    results = (SOWN_LOSSES, *sown)
    fields = {field.name for field in dataclasses.fields(module)} & switches(train=True).keys()
    fields = set() if has_switch(module) else fields
    told = bool(fields) or has_switch(module)

    def in_mode(train: bool) -> nn.Module:
        now: Any = {name: value for name, value in switches(train=train).items() if name in fields}
        return module.clone(**now) if now else module

    def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
        options = call_options(module, batch, train=False)
        with _listening(module, told):
            variables = in_mode(False).init(rng, *inputs_of(batch, inputs), **options)
        kept = {
            name: values
            for name, values in variables.items()
            if name not in (*results, "intermediates") and not _is_sown(values)
        }
        return {"params": {}, **kept}

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[Any, dict[str, Any]]:
        # A list, even an empty one, makes Linen return (outputs, updated): only those collections
        # that exist already and the results asked for, so the state's structure stays.
        changing = [name for name in variables if name not in ("params", "frozen")]
        params, found = without_low_rank(variables.get("params", {}))
        with _listening(module, told), _keys_named(train), low_rank_layers(found):
            outputs, updated = in_mode(train).apply(
                {**variables, "params": params},
                *inputs_of(batch, inputs),
                rngs=dict(rngs) if rngs else None,
                mutable=[*(changing if train else ()), *results],
                **call_options(module, batch, train=train),
            )
        return outputs, dict(updated)

    def low_rank(variables: Variables, batch: Batch) -> frozenset[str]:
        return readable(partial(apply, train=False), variables, batch)

    return Model(init=init, apply=apply, low_rank=low_rank)


@contextlib.contextmanager
def _listening(module: nn.Module, told: bool) -> Iterator[None]:
    """Refuse what `module` calls and what a switch would be for, where it has none."""
    if told:
        yield
        return

    def intercept(
        call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
    ) -> Any:
        if context.method_name == "__call__" and _is_two_faced(context.module):
            refuse_deaf(module, [type(context.module).__name__])
        return call(*args, **kwargs)

    with nn.intercept_methods(intercept):
        yield


def _is_two_faced(module: nn.Module) -> bool:
    """Whether a layer does one thing in training and another in evaluation."""
    if isinstance(module, nn.Dropout):
        return bool(module.rate)
    return isinstance(module, nn.BatchNorm) or bool(getattr(module, "dropout_rate", 0))


@contextlib.contextmanager
def _keys_named(train: bool) -> Iterator[None]:
    """Where an evaluating module wants keys, say who gives them."""
    try:
        yield
    except flax.errors.InvalidRngError as error:
        if train:
            raise
        raise ConfigError(
            f"the model draws random numbers in evaluation, and was given no keys; "
            f"make_eval_step(..., rngs=True) gives them ({error})"
        ) from error


def _is_sown(collection: Any) -> bool:
    """Whether a collection was made by `sow`, which appends to tuples: results, not variables."""
    leaves = jax.tree.leaves(collection, is_leaf=lambda value: isinstance(value, tuple))
    return bool(leaves) and all(isinstance(leaf, tuple) for leaf in leaves)
