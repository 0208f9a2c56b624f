"""Hooks by name: what the `hooks` section of a config may ask for.

    hooks:
      early_stopping: {monitor: val/loss, patience: 5}
      time_limit: {limit: 2h}

See `hook.py` for what a hook is.
"""

from __future__ import annotations

from jaxtrain.hooks.hook import Hook
from jaxtrain.registry import Registry

HOOKS = Registry("hook", returns=Hook, hint="a hook is an object with attach(engine)")

EPOCH_METRICS = "metrics"
"""What a handler of EPOCH_COMPLETED `provides` if it adds to `engine.state.metrics`, beside the
names that it adds, and `needs` if it reads them."""
