"""What a config can name, room by room; and a config read, checked against it.

config = make_config("configs/digits.py", ["train.epochs=5"])
REGISTRIES["model"].names()                       # ["cnn", "mlp", ...]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxtrain.config import (
    ConfigDict,
    ExperimentConfig,
    check,
    from_cli_dotlist,
    import_plugin,
    load,
    merge,
)
from jaxtrain.data import SOURCES
from jaxtrain.errors import ConfigError
from jaxtrain.hooks import HOOKS
from jaxtrain.metrics.registry import METRICS
from jaxtrain.models import MODELS
from jaxtrain.optim import OPTIMIZERS, SCHEDULES
from jaxtrain.run.start import filled
from jaxtrain.run.writers import refuse_two_writers
from jaxtrain.step import LOSSES

REGISTRIES = {
    "data": SOURCES,
    "model": MODELS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "metrics": METRICS,
    "hooks": HOOKS,
}


def make_config(
    source: str | Path | Mapping[str, Any] | ConfigDict,
    overrides: Iterable[str] = (),
    *,
    plugins: Iterable[str] = (),
) -> ExperimentConfig:
    """Read and check a config. No device is initialised and nothing is written.

    Args:
        source: a config file, or the tree itself.
        overrides: `dotted.key=value` each.
        plugins: modules or .py files to import, because they register components.

    Raises:
        ConfigError: everything that is wrong with it, each with its key and where it was set.
    """
    tree = load(source) if isinstance(source, str | Path) else source
    tree = merge(tree, from_cli_dotlist(overrides))
    given = list(plugins)
    for plugin in given:
        import_plugin(plugin)
    tree = filled(tree)
    # A config that is data must not execute anything, so what it lists is only remembered.
    listed = tree.get("plugins")
    listed = [] if listed is None else listed
    if isinstance(listed, (list, tuple)) and all(isinstance(one, str) for one in listed):
        tree = merge(tree, {"plugins": list(dict.fromkeys([*listed, *given]))})
    else:
        listed = []  # the schema says what is wrong with it
    try:
        config = check(tree, REGISTRIES)
        refuse_two_writers({name: HOOKS[hook.name] for name, hook in config.hooks.items()})
        return config
    except ConfigError as error:
        missing = [plugin for plugin in listed if plugin not in given]
        if not missing:
            raise
        raise ConfigError(
            f"{error}\n(the config was used with the plugins {', '.join(missing)}, which a config "
            "can't import by itself; name them again)"
        ) from None
