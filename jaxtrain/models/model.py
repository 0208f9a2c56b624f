"""A model as two pure functions, whatever library its layers come from.

    model = from_linen(nn.Dense(10))
    variables = model.init(jax.random.key(0), batch)
    outputs, updated = model.apply(variables, batch, train=True, rngs={"dropout": key})

`variables` is a plain nested dict of arrays, one entry a collection: `params` is what is trained,
everything else (`batch_stats`, ...) is state that a forward pass in training may change.

Axes: B batch, K classes or outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import jax

from jaxtrain.batch import Batch
from jaxtrain.models.flops import Flops
from jaxtrain.parallel.layout import Rule

SOWN_LOSSES = "losses"
"""The collection whose sown values join the loss."""

Variables: TypeAlias = Mapping[str, Any]
Rngs: TypeAlias = Mapping[str, jax.Array]


class Init(Protocol):
    """Makes the variables of a model."""

    def __call__(self, rng: jax.Array, batch: Batch) -> dict[str, Any]:
        """From a key and a batch (of which only shapes and dtypes matter) to all variables."""


class Apply(Protocol):
    """Runs a model forward."""

    def __call__(
        self, variables: Variables, batch: Batch, *, train: bool, rngs: Rngs | None = None
    ) -> tuple[jax.Array, dict[str, Any]]:
        """From variables and a batch to `(outputs, updated_collections)`."""


class ApplyWithKL(Protocol):
    """Runs a model forward, beside another that it is not to leave."""

    def __call__(
        self,
        variables: Variables,
        reference: Variables,
        batch: Batch,
        *,
        train: bool,
        rngs: Rngs | None = None,
    ) -> tuple[Any, dict[str, Any], jax.Array]:
        """What `apply` gives, and how far its predictions are from those of `reference`."""


@dataclass(frozen=True)
class Model:
    """Two pure functions; both may be traced, and neither holds an array of its own.

    What else there is to know of a model stands beside them, and may be left out.

    Attributes:
        init: `init(rng, batch) -> variables`, a dict `{"params": ..., other collections}`; `params`
            is always there, if only as `{}`.
        apply: `apply(variables, batch, *, train, rngs=None) -> (outputs, updated_collections)`.
            `outputs` are `[B, K]` in the dtype the parameters were given in, or a tree.
            `updated_collections` holds the collections of the variables that training changes,
            and what the model sows: what stands under `losses` is added to the loss, in
            evaluation, too; other names that the variables do not have come out as
            `output["sown"]`. `rngs` are keys by stream name (`{"dropout": key}`), needed by
            models that draw random numbers.
        load: reads the parameters to begin with from files, in the place of those that `init`
            makes; None where there are no files. It is not traced, and called once, when a run
            begins: one that goes on has its own.
        load_on: likewise, on a mesh: from a tree of shardings like the parameters, each array put
            where it is to lie, and nowhere else; None where what `load` gives is to be moved there.
        facts: what is decided before anything is traced, in words, for a plan and for a run's
            metadata: `facts(batch, dtype)`, of the shapes of a batch and what is computed in.
        flops: floating-point operations a token of the batch, likewise; None where nobody has
            counted them.
        digests: the sha256 of the files that `load` reads, by name, for a run's metadata.
        refuse_others: raises where the files that `load` reads are there and another model's, by
            what they say of themselves: no parameter is read. None where `load` alone can tell.
        low_rank: `low_rank(variables, batch)`, the kernels among the parameters, by path
            ("Dense_0/kernel"), in whose place `apply` takes a `LowRank`; None where it takes none.
        apply_with_kl: `apply_with_kl(variables, reference, batch, *, train, rngs=None)`: what
            `apply` gives for `variables`, and the Kullback-Leibler divergence of each prediction
            from that of other variables, float32 `[B]` or `[B, L]`. Those are evaluated and held
            fixed. For a model whose outputs are not its logits; None where they are.
        layout: how its parameters lie on a mesh: rules over their paths, as those of
            `jaxtrain.parallel.Layout`; empty where their shapes are to decide.
        wants_frozen: whether what `init` makes as `frozen` stands there for its shapes, as a base
            that has learnt nothing: `create_train_state` is then to be given another.
    """

    init: Init
    apply: Apply
    load: Callable[[], Any] | None = None
    load_on: Callable[[Any], Any] | None = None
    facts: Callable[[Mapping[str, Any], Any], Mapping[str, str]] | None = None
    flops: Callable[[Mapping[str, Any], Any], Flops] | None = None
    digests: Callable[[], Mapping[str, str]] | None = None
    refuse_others: Callable[[], None] | None = None
    low_rank: Callable[[Variables, Batch], frozenset[str]] | None = None
    apply_with_kl: ApplyWithKL | None = None
    wants_frozen: bool = False
    layout: tuple[Rule, ...] = ()
