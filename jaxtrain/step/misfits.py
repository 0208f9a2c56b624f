"""Options of a step that do not go together, and states that were made for another step.

refuse_misfits(policy(precision), clips, norm=True, guard=True, ema_decay=None)
refuse_misfit_state(state, policy(precision), ema_decay=None, freeze=())
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax

from jaxtrain.errors import ConfigError
from jaxtrain.optim import averaged_leaves, evaluates_others, held
from jaxtrain.step.precision import Policy
from jaxtrain.step.train_state import TrainState


def refuse_misfits(
    chosen: Policy,
    clips: Mapping[str, float | None],
    norm: bool,
    guard: bool,
    ema_decay: float | None,
) -> None:
    """See that the options of a step go together.

    Raises:
        ConfigError: they don't.
    """
    asked = {name: limit for name, limit in clips.items() if limit is not None}
    if len(asked) > 1:
        raise ConfigError(f"{' and '.join(asked)}: a gradient is clipped in one way; leave one out")
    if "clip_norm" in asked and not norm:
        raise ConfigError("clip_norm needs the norm of the gradient; leave out norm=False")
    for name, limit in asked.items():
        if not limit > 0:
            raise ConfigError(f"{name}: expected a number above 0, found {limit}")
    if chosen.scales_loss and not guard:
        raise ConfigError(
            f"precision {chosen.compute_dtype!r} needs the guard, which leaves out updates that "
            "overflow; leave out guard=False"
        )
    if ema_decay is not None and not 0 <= ema_decay < 1:
        raise ConfigError(f"ema_decay: expected 0 or more and less than 1, found {ema_decay}")


def refuse_misfit_state(
    state: TrainState, chosen: Policy, ema_decay: float | None, freeze: Sequence[str]
) -> None:
    """A state made for another step would train on without what it, or the step, was made for."""
    if ema_decay is not None and evaluates_others(state.opt_state):
        raise ConfigError(
            "ema_decay: the optimizer keeps an average of its own, and that is what is to be "
            "evaluated; leave out one of them"
        )
    if freeze and evaluates_others(state.opt_state):
        averaged = averaged_leaves(state.opt_state, state.params)
        both = jax.tree.map(lambda stays, own: stays and own, held(state.params, freeze), averaged)
        if any(jax.tree.leaves(both)):
            raise ConfigError(
                "freeze: the optimizer averages what is to stay as it is, and would evaluate "
                "something else; give make_train_step one that knows it, as grouped(...) with "
                "optax.set_to_zero() for what is frozen"
            )
    if (state.ema is None) != (ema_decay is None):
        raise ConfigError(
            "the state has an average that this step does not move; give make_train_step an "
            "ema_decay, or take it away with state.replace(ema=None)"
            if ema_decay is None
            else "ema_decay: the state has no average; make it with create_train_state(..., "
            "ema=True)"
        )
    if (state.loss_scale is None) == chosen.scales_loss:
        raise ConfigError(
            f"precision: the step's is {chosen.compute_dtype!r}, but the state "
            + ("has no loss scale" if chosen.scales_loss else "has a loss scale")
            + "; give create_train_state the same precision"
        )
