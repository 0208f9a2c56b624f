"""Which file of a run directory is whose: no two may write the same one.

    refuse_two_writers({"jsonl": JSONL, "again": JSONL})        # ConfigError: metrics.jsonl
    refuse_two_writers(experiment.trainer.hooks)

A hook names its files in `writes` (see `jaxtrain/hooks/hook.py`): its class, which is asked before
anything is made, or the hook itself, where an option decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtrain.errors import ConfigError

OWN_FILES = (
    ".lock",
    "artifacts",
    "checkpoints",
    "config.yaml",
    "confusion_matrix.png",
    "learning_curves.png",
    "media",
    "media.jsonl",
    "metadata.json",
    "metrics.json",
    "report.html",
)
"""What the run itself writes into its directory."""


def refuse_two_writers(hooks: Mapping[str, Any]) -> None:
    """See that no file is written by two.

    Args:
        hooks: by the name under which a run has it, a hook or what makes one.

    Raises:
        ConfigError: names the file, and both.
    """
    writers = dict.fromkeys(OWN_FILES, "the run itself")
    for name, hook in hooks.items():
        for file in _files(hook):
            if file in writers:
                raise ConfigError(
                    f"hooks.{name}: writes {file}, which {writers[file]} writes as well; each row "
                    "would stand there twice. Take one away"
                )
            writers[file] = f"hooks.{name}"


def _files(hook: Any) -> tuple[str, ...]:
    declared = getattr(hook, "writes", ())
    if isinstance(declared, str):
        return (declared,)
    # Of a class it may be a property: then the hook itself will tell.
    return tuple(declared) if isinstance(declared, (tuple, list, set, frozenset)) else ()
