"""best.yaml: the config of the best member, for an ordinary run.

write_best(root / "best.yaml", base, best_row(rows), sweep=root, members=len(rows))
# jaxtrain --config runs/digits/sweep-1a2b/best.yaml
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtrain.config import ConfigDict, dumps, merge
from jaxtrain.config.schema import ExperimentConfig
from jaxtrain.errors import ConfigError
from jaxtrain.files import replacing
from jaxtrain.run import make_config
from jaxtrain.sweeps.ledger import Row
from jaxtrain.sweeps.tree import nested


def member_config(
    base: Mapping[str, Any] | ConfigDict, row: Row, *, plugins: Sequence[str] = ()
) -> ExperimentConfig:
    """The config that a member was trained with, as one of a run by itself.

    Its `workdir` is none: the base's is the directory of the sweep, or of another run.

    Args:
        base: of the sweep, as it was written: a default that is written out would pass for an
            option that was asked for, and stay where a value names another component.
        row: of the member.
        plugins: modules or .py files that register components.

    Raises:
        ConfigError: the values do not go with the base.
    """
    tree = merge(base)
    # A name first: options beside it are those of the component that it names.
    for key in sorted(row.values, key=lambda key: not key.endswith(".name")):
        tree = merge(tree, nested({key: row.values[key]}))
    try:
        return make_config(merge(tree, {"workdir": None}), plugins=plugins)
    except ConfigError as error:
        raise ConfigError(f"member {row.member}: {error}") from None


def write_best(
    path: Path,
    base: Mapping[str, Any] | ConfigDict,
    row: Row,
    *,
    sweep: Path,
    members: int,
    plugins: Sequence[str] = (),
) -> None:
    """Write best.yaml, whole or not at all; on top of it, what it promises.

    Args:
        path: of the file.
        base: the config of the sweep, as it was written.
        row: of its best member.
        sweep: its directory, for the comment.
        members: how many there are, likewise.
        plugins: of the sweep, which the config records.

    Raises:
        ConfigError: the member has no value, or its values do not go with the base.
    """
    if row.value is None:
        raise ConfigError(f"best.yaml: member {row.member} has no value of {row.monitor}")
    text = f"{_comment(row, sweep, members)}\n{dumps(member_config(base, row, plugins=plugins))}"
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _comment(row: Row, sweep: Path, members: int) -> str:
    said = (
        f"sweep {sweep}: member {row.member}, the best of {members}; it promises "
        f"{row.monitor} = {row.value!r}, of epoch {row.best_epoch} ({row.status} after "
        f"{row.epochs})"
    )
    return f"# {said if said.isprintable() else ascii(said)}"  # a path may hold a line end
