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

from typing import Any

import flax.linen as nn
import jax

from jaxtrain.models.model import Batch, Model, Rngs, Variables, call_options, entry


def from_linen(module: nn.Module, *, inputs: str = "inputs") -> Model:
    """Make a `Model` of a Linen module.

    The module is called with `batch[inputs]`, and further, by keyword, with what its `__call__`
    names in its signature: `train` (bool), and `mask` (`[B]`, 1 for real rows and 0 for padding;
    None where the batch has none). A batch norm needs the mask to keep padding out of its
    statistics.

    Args:
        module: an unbound module.
        inputs: the key of the batch that holds the module's input.

    Raises:
        DataError: (from `init` and `apply`) where the batch has no such key.
    """

    def init(rng: jax.Array, batch: Batch) -> dict[str, Any]:
        options = call_options(module, batch, train=False)
        variables = module.init(rng, entry(batch, inputs), **options)
        kept = {name: values for name, values in variables.items() if not _is_sown(values)}
        return {"params": {}, **kept}

    def apply(
        variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[jax.Array, dict[str, Any]]:
        # A list, even an empty one, makes Linen return (outputs, updated): only those collections
        # that exist already, so a module that sows does not change the state's structure.
        mutable = [name for name in variables if name != "params"] if train else []
        outputs, updated = module.apply(
            variables,
            entry(batch, inputs),
            rngs=dict(rngs) if rngs else None,
            mutable=mutable,
            **call_options(module, batch, train=train),
        )
        return outputs, dict(updated)

    return Model(init=init, apply=apply)


def _is_sown(collection: Any) -> bool:
    """Whether a collection was made by `sow`, which appends to tuples: results, not variables."""
    leaves = jax.tree.leaves(collection, is_leaf=lambda value: isinstance(value, tuple))
    return bool(leaves) and all(isinstance(leaf, tuple) for leaf in leaves)
