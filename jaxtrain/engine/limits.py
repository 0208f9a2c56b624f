"""Limits: how far a run is to go, and what asking for less, as much or more than is done means.

| the run is                        | asked for           | then it                             |
|-----------------------------------|---------------------|-------------------------------------|
| new, or `reset()`                 | nothing             | does one epoch                      |
| unfinished (interrupted,          | nothing             | goes on, with the limits it had     |
| terminated, failed, restored)     | at least what began | goes on, with these limits          |
| over                              | nothing             | begins anew: one epoch              |
|                                   | as much as is done  | begins anew                         |
|                                   | more                | goes on                             |
| over, and restored                | as much as is done  | does nothing                        |
| any of them                       | less than is done   | is an error                         |

As in Ignite. An epoch's length, once it is known, can only be given again as it is.
"""

from __future__ import annotations

from jaxtrain.engine.state import EngineState


def set_limits(
    state: EngineState,
    *,
    max_epochs: int | None,
    max_iters: int | None,
    epoch_length: int | None,
    length: int | None,
    restored: bool = False,
) -> bool:
    """Put the limits of a call of `run` into the state.

    Args:
        state: where the engine stands.
        max_epochs: what was asked for, or None.
        max_iters: what was asked for, or None.
        epoch_length: what was asked for, or None.
        length: the loader's own length of an epoch; None where nobody knows.
        restored: whether the state was taken up from a snapshot and has not run since.

    Returns:
        Whether the run begins anew.

    Raises:
        ValueError: they contradict each other, or what is done.
    """
    _refuse_nonsense(max_epochs, max_iters, epoch_length)
    asked = max_epochs is not None or max_iters is not None
    is_new = state.epoch == 0 and not state.started
    # One that was left at its very end has still to be completed.
    over = not is_new and state.is_over() and state.stopped not in ("interrupt", "failed")
    if not is_new:
        _refuse_less(state, max_epochs, max_iters)
    goes_on = restored or (asked and _is_more(state, max_epochs, max_iters))
    anew = is_new or (over and not goes_on)
    if anew:
        if not is_new:
            state.reset()
        state.epoch_length = epoch_length or length or None
    elif epoch_length is not None and epoch_length != state.epoch_length:
        if state.epoch_length is not None:
            raise ValueError(
                f"epoch_length: the run that goes on has epochs of {state.epoch_length} "
                f"iterations, found {epoch_length}; engine.reset() begins anew"
            )
        state.epoch_length = epoch_length
    if anew or asked:
        state.max_iters = max_iters
        state.max_epochs = 1 if not asked else max_epochs
    return anew


def _refuse_nonsense(
    max_epochs: int | None, max_iters: int | None, epoch_length: int | None
) -> None:
    if max_epochs is not None and max_iters is not None:
        raise ValueError("expected max_epochs or max_iters, found both")
    given = {"max_epochs": max_epochs, "max_iters": max_iters, "epoch_length": epoch_length}
    for name, value in given.items():
        if value is not None and value < 1:
            raise ValueError(f"{name}: expected at least 1, found {value}")


def _refuse_less(state: EngineState, max_epochs: int | None, max_iters: int | None) -> None:
    if max_epochs is not None and max_epochs < state.epoch:
        raise ValueError(
            f"max_epochs: the run is in epoch {state.epoch} already, found {max_epochs}; ask for "
            "more, or call engine.reset() to begin anew"
        )
    if max_iters is not None and max_iters < state.iteration:
        raise ValueError(
            f"max_iters: the run has done {state.iteration} iterations already, found {max_iters}; "
            "ask for more, or call engine.reset() to begin anew"
        )


def _is_more(state: EngineState, max_epochs: int | None, max_iters: int | None) -> bool:
    if max_iters is not None:
        return max_iters > state.iteration
    return max_epochs is not None and max_epochs > state.epoch
