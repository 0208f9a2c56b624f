"""TrainState: everything that a step changes, as one immutable pytree.

state = create_train_state(model, tx, batch, rng=jax.random.key(0))
state = create_train_state(model, tx, batch, rng=key, frozen=base)      # base is not copied
state.params, state.replace(step=0)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxtrain.batch import Batch
from jaxtrain.errors import ConfigError
from jaxtrain.models import Model
from jaxtrain.optim import evaluation_params
from jaxtrain.step.once import once
from jaxtrain.step.precision import LossScale, Policy, policy
from jaxtrain.step.update import average_of


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """What a step takes and gives. A pytree; `replace` makes a changed copy.

    Attributes:
        step: steps taken, int32 scalar. It counts steps whose update was not applied, too, so
            that it says which batch comes next.
        params: what is trained, the only part that the optimizer sees.
        frozen: what the model needs but is not trained (the base under an adapter).
        model_state: the model's other collections, such as `batch_stats`.
        opt_state: the optimizer's state.
        rng: a key that never changes; step i uses `fold_in(rng, i)`.
        loss_scale: a `LossScale` under float16, else None.
        ema: a moving average of `params`, at least float32, or None.
    """

    step: jax.Array
    params: Any
    frozen: Any
    model_state: dict[str, Any]
    opt_state: Any
    rng: jax.Array
    loss_scale: LossScale | None = None
    ema: Any = None

    def replace(self, **changes: Any) -> TrainState:
        """A copy with other values in the named fields."""
        return dataclasses.replace(self, **changes)

    def variables(self, params: Any = None) -> dict[str, Any]:
        """What `model.apply` takes: params and frozen under those names, and the collections.

        Args:
            params: in the place of the state's own, as where a gradient is taken.
        """
        variables = {"params": self.params if params is None else params, **self.model_state}
        return variables | {"frozen": self.frozen} if self.frozen else variables

    def evaluated(self) -> Any:
        """The parameters that are to be evaluated, kept and handed on.

        The moving average, where there is one; else that of an optimizer that trains others than
        these (`jaxtrain.optim.evaluation_params`); else `params`.
        """
        return evaluation_params(self.opt_state, self.params) if self.ema is None else self.ema


TrainStep: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, dict[str, Any]]]


def create_train_state(
    model: Model,
    tx: optax.GradientTransformation,
    batch: Mapping[str, Any],
    *,
    rng: jax.Array,
    precision: str | Policy = "float32",
    params: Any = None,
    frozen: Any = None,
    ema: bool = False,
) -> TrainState:
    """Initialise model and optimizer in one compiled call.

    Arrays that are given (`params`, `frozen`) stand in the state as they are: the same buffers,
    laid out over the same devices. The optimizer's moments are laid out like their parameters.

    Args:
        model: its `init` gives `params`, may give `frozen`, and any further collections.
        tx: the optimizer; it sees `params` alone.
        batch: a batch, for its shapes and dtypes alone.
        rng: a key made by `jax.random.key`; half of it initialises, half goes into the state.
        precision: a policy or its name; float16 adds a loss scale.
        params: begin with these in the place of those that `init` makes.
        frozen: use these in the place of those that `init` makes; "init" says that those are
            meant, where a model wants to be given some, as one of `lora.model` does.
        ema: keep a moving average of the parameters; it begins as a copy of them. The step moves
            it with `make_train_step(..., ema_decay=0.999)`.

    Raises:
        ConfigError: `params` or `frozen` have other shapes than those that `init` makes; or what is
            to be frozen is among the parameters of the model, which would train its own; or the
            model wants to be given a base, and is not.
    """
    if frozen is None and model.wants_frozen:
        raise ConfigError(
            "frozen: this model trains an adapter beside a base, and is given none: it would learn "
            'beside random numbers. Give frozen=params, those of the base; or frozen="init", where '
            "random ones are meant"
        )
    if isinstance(frozen, str):
        if frozen != "init":
            raise ConfigError(f'frozen: expected parameters, or "init", found {frozen!r}')
        frozen = None
    chosen = policy(precision)
    given = {"params": params, "frozen": frozen}
    given = {name: tree for name, tree in given.items() if tree is not None}

    def create(rng: jax.Array, batch: Any, params: Any) -> TrainState:
        init_rng, step_rng = jax.random.split(rng)
        variables = dict(model.init(init_rng, batch))
        for name, tree in given.items():
            _refuse_other_shapes(name, tree, variables.pop(name, None))
        own = variables.pop("params", {})
        _refuse_trained(given.get("frozen"), own)
        params = own if params is None else params
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=own,  # given ones do not pass through here
            frozen=variables.pop("frozen", {}),
            model_state=variables,
            opt_state=tx.init(params),
            rng=step_rng,
            loss_scale=LossScale.create() if chosen.scales_loss else None,
            ema=average_of(params) if ema else None,
        )

    made = once(create, rng, dict(batch), params)
    if params is not None:
        made = _laid_out(made, tx, params)
    return _all_committed(made.replace(**given))


def _refuse_trained(frozen: Any, params: Any) -> None:
    """A base among the parameters that the model makes would be trained, the given one unread."""
    if frozen is None:
        return
    if not isinstance(frozen, Mapping):
        raise ConfigError(f"frozen: expected a tree of arrays by name, found {frozen!r}")
    both = sorted(frozen.keys() & params.keys()) if isinstance(params, Mapping) else []
    if both:
        raise ConfigError(
            f"frozen: {', '.join(map(repr, both))} is among the model's own parameters, which are "
            "trained; a model with a frozen part reads variables['frozen'] and leaves it out of "
            "the params that its init makes"
        )


def _refuse_other_shapes(name: str, given: Any, made: Any) -> None:
    """Given arrays must be those that the model would make; it may leave making them to others."""
    if made is None:
        return
    found, expected = (
        {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in leaves}
        for leaves in map(jax.tree_util.tree_leaves_with_path, (given, made))
    )
    wrong = [
        f"{name}{path}: expected {expected.get(path, 'none')}, found {found.get(path, 'none')}"
        for path in {**expected, **found}
        if expected.get(path) != found.get(path)
    ]
    if wrong:
        raise ConfigError(
            f"create_train_state: {name} is not of the form that the model makes:\n  "
            + "\n  ".join(wrong)
        )


def _laid_out(state: TrainState, tx: optax.GradientTransformation, params: Any) -> TrainState:
    """What has the form of the parameters, on the devices of the given ones.

    Zeros depend on no parameter, so that XLA would put them all on one device. What lies there
    already is not put there: that would commit it.
    """

    def like(leaf: Any, param: Any) -> Any:
        if _is_masked(leaf):  # by optax.masked: there the parameter has no moments
            return leaf
        sharding = getattr(param, "sharding", None)
        fits = sharding is not None and jnp.shape(leaf) == jnp.shape(param)
        there = not _is_traced(leaf) and leaf.sharding == sharding
        return jax.device_put(leaf, sharding) if fits and not there else leaf

    ema = None if state.ema is None else jax.tree.map(like, state.ema, params)
    opt_state = optax.tree.map_params(tx, like, state.opt_state, params, is_leaf=_is_masked)
    return state.replace(opt_state=opt_state, ema=ema)


def _all_committed(state: TrainState) -> TrainState:
    """Where given arrays are committed to one device, the rest of the state is so, too.

    A step that takes leaves of both kinds is compiled for them, and once more for its own results,
    all of which are committed.
    """
    leaves = [leaf for leaf in jax.tree.leaves(state) if isinstance(leaf, jax.Array)]
    if any(map(_is_traced, leaves)):
        return state
    places = {leaf.sharding for leaf in leaves if leaf.committed}
    if len(places) != 1 or not isinstance(place := places.pop(), jax.sharding.SingleDeviceSharding):
        return state
    free = {id(leaf) for leaf in leaves if not leaf.committed}
    (device,) = place.device_set  # not the kind of its memory: a base may lie beside the device
    return jax.tree.map(lambda x: jax.device_put(x, device) if id(x) in free else x, state)


def _is_masked(leaf: Any) -> bool:
    return isinstance(leaf, optax.MaskedNode)


def _is_traced(leaf: Any) -> bool:
    return isinstance(leaf, jax.core.Tracer)
