"""What a snapshot of an engine holds besides arrays, and how it is taken up.

arrays, record = engine.snapshot()
another.restore(arrays, record)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from jaxtrain.engine.form import Form
from jaxtrain.errors import ConfigError

logger = logging.getLogger(__name__)

RECORD = ("counters", "cursor", "fired", "form", "hooks", "user")


def refuse_no_record(record: Mapping[str, Any]) -> None:
    """Raise a `ConfigError` where something is missing that `engine.snapshot` puts there."""
    missing = [name for name in RECORD if name not in record]
    if missing:
        raise ConfigError(
            f"not the record of a run: {', '.join(missing)} missing; expected what "
            "engine.snapshot() gave, in this version"
        )


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
    """Hand each hook what it said; one that came or went is told of."""
    own = _stateful(hooks)
    for name in own.keys() & saved.keys():
        own[name].restore(saved[name])
    for name in own.keys() ^ saved.keys():
        what = "begins afresh" if name in own else "is not attached any more"
        logger.warning("hook %r was not the same when the run was saved: it %s", name, what)


def _stateful(hooks: Mapping[str, Any]) -> dict[str, Any]:
    return {name: hook for name, hook in hooks.items() if hasattr(hook, "state")}
