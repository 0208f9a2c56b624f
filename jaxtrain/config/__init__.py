"""Read, merge, override, freeze and check what a run is made of.

    tree = merge(load("configs/digits.py"), from_cli_dotlist(["optimizer.learning_rate=3e-4"]))
    config = check(tree, registries)          # typed, in range, frozen; or one ConfigError
    dump(config, "config.yaml")               # loadable again, and then equal

A `ConfigDict` is what a user writes and may still change; an `ExperimentConfig` is what the
program reads.
"""

from jaxtrain.config.checking import check
from jaxtrain.config.differences import MISSING, diff, non_defaults
from jaxtrain.config.output import dump, dumps, to_dict
from jaxtrain.config.overrides import from_cli_dotlist
from jaxtrain.config.plugins import import_plugin, imported_digests, plugin_digest
from jaxtrain.config.reading import SUFFIXES, load, load_plain
from jaxtrain.config.schema import (
    DEFAULT_HOOKS,
    RESERVED_HOOKS,
    CheckpointSection,
    DataSection,
    ExperimentConfig,
    HookSection,
    LossSection,
    MetricSection,
    ModelSection,
    OptimizerSection,
    ScheduleSection,
    Section,
    TrainSection,
)
from jaxtrain.config.tree import ConfigDict, Origin, freeze, from_dict, merge

__all__ = [
    "DEFAULT_HOOKS",
    "MISSING",
    "RESERVED_HOOKS",
    "SUFFIXES",
    "CheckpointSection",
    "ConfigDict",
    "DataSection",
    "ExperimentConfig",
    "HookSection",
    "LossSection",
    "MetricSection",
    "ModelSection",
    "OptimizerSection",
    "Origin",
    "ScheduleSection",
    "Section",
    "TrainSection",
    "check",
    "diff",
    "dump",
    "dumps",
    "freeze",
    "from_cli_dotlist",
    "from_dict",
    "import_plugin",
    "imported_digests",
    "load",
    "load_plain",
    "merge",
    "non_defaults",
    "plugin_digest",
    "to_dict",
]
