"""What a snapshot of an engine holds besides arrays, and how it is taken up.

arrays, record = engine.snapshot()
refuse_no_record(record)                    # ConfigError: which entry, and what is wrong with it
another.restore(arrays, record)
"""

from __future__ import annotations

import logging
import operator
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
from pydantic import AfterValidator, BeforeValidator, Field

from jaxtrain.engine.form import Form
from jaxtrain.errors import CheckpointError, ConfigError

logger = logging.getLogger(__name__)


def _plain(value: Any) -> Any:
    return operator.index(value) if isinstance(value, np.integer) else value


def _figure(value: Any) -> Any:
    """A metric: an array as nested lists, a number, or whatever else a metric of the host gave."""
    if isinstance(value, list):
        try:
            made = np.asarray(value)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"expected nested lists of equal lengths: {error}") from None
        if made.dtype == object:
            raise ValueError("expected nested lists of numbers")
    elif isinstance(value, int) and not -_BOUND < value < _BOUND:
        raise ValueError("expected a number that a computer has room for")
    return value


# Above any count that a run can come to, below what arithmetic on a device has no room for.
_BOUND = 2**63
Count = Annotated[int, BeforeValidator(_plain), Field(ge=0, lt=10**18)]
Limit = Annotated[int, BeforeValidator(_plain), Field(ge=1, lt=10**18)]
Figure = Annotated[Any, AfterValidator(_figure)]


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="ignore", protected_namespaces=())


class Counters(_Strict):
    """`EngineState.counters()`, checked."""

    epoch: Count
    iteration: Count
    epoch_iteration: Count
    max_epochs: Limit | None
    max_iters: Limit | None
    epoch_length: Limit | None
    epoch_open: bool
    epoch_cut: bool
    started: bool
    stopped: Literal["", "terminate", "interrupt", "failed"]
    metrics: dict[str, Figure]

    @pydantic.model_validator(mode="after")
    def _refuse_contradictions(self) -> Counters:
        if self.epoch_iteration > self.iteration:
            raise ValueError("more iterations in an epoch (epoch_iteration) than in all of them")
        if self.epoch == 0 and (self.epoch_open or self.iteration):
            raise ValueError("an epoch was begun, or iterations of one, and yet epoch is 0")
        if self.epoch_length is not None and self.epoch_iteration > self.epoch_length:
            raise ValueError("more iterations in the epoch (epoch_iteration) than its length")
        return self


class Record(_Strict):
    """What `engine.snapshot()` gives besides arrays, checked."""

    counters: Counters
    cursor: dict[str, Any] | None
    fired: dict[str, Count]
    form: Literal["single", "fused"] | None
    hooks: dict[str, Any]
    user: dict[str, Any]


def refuse_no_record(record: Any) -> None:
    """See that `record` is what `engine.snapshot` puts there.

    Raises:
        ConfigError: naming the first entry that is missing or not what it must be.
    """
    try:
        Record.model_validate(record)
    except pydantic.ValidationError as error:
        raise ConfigError(
            f"not the record of a run: {first_problem(error)}; expected what engine.snapshot() "
            "gave, in this version"
        ) from None


def first_problem(error: pydantic.ValidationError) -> str:
    """The first thing that a validation has found: where, what is expected, what was found."""
    detail = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, detail["loc"]))
    what = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        return f"{place} is missing"
    shown = "" if isinstance(detail["input"], dict) else f", found {reprlib.repr(detail['input'])}"
    return f"{place}: {what[0].lower()}{what[1:]}{shown}" if place else f"{what}{shown}"


def form_to_go_on_with(saved: Form | None, own: Form | None, *, pinned: bool) -> Form | None:
    """The form of a run that goes on: the one that it had, unless this engine's is pinned."""
    if not pinned:
        return saved
    if saved not in (None, own):
        logger.warning(
            "the run was saved in the form %r and goes on as %r: the continuation is not bit-exact",
            saved,
            own,
        )
    return own


def hook_states(hooks: Mapping[str, Any]) -> dict[str, Any]:
    """What the hooks say that must survive, by their names."""
    return {name: hook.state() for name, hook in _stateful(hooks).items()}


def restore_hooks(hooks: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Hand each hook what it said; one that came or went is told of.

    Raises:
        CheckpointError: naming the hook that can't take it up.
    """
    own = _stateful(hooks)
    for name in own.keys() & saved.keys():
        try:
            own[name].restore(saved[name])
        # A hook may be anybody's, and raise anything; all of it means that this is none of its.
        except Exception as error:
            raise CheckpointError(
                f"hooks.{name}: the hook can't take up what was saved of it: "
                f"{type(error).__name__}: {error}"
            ) from error
    for name in own.keys() ^ saved.keys():
        what = "begins afresh" if name in own else "is not attached any more"
        logger.warning("hook %r was not the same when the run was saved: it %s", name, what)


def _stateful(hooks: Mapping[str, Any]) -> dict[str, Any]:
    return {name: hook for name, hook in hooks.items() if hasattr(hook, "state")}
