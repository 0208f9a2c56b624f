"""best.yaml: the config of the best member, which `--config` takes like any other.

write_best(directory, tree, rows, "val/loss", "min")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtrain.config import ConfigDict, dumps, merge
from jaxtrain.direction import Direction
from jaxtrain.files import replacing
from jaxtrain.sweeps.tree import nested

NAME = "best.yaml"


def best_row(rows: Sequence[Mapping[str, Any]], direction: Direction) -> Mapping[str, Any] | None:
    """The best of all members; None where none has a figure. Of two equals the first."""
    known = [row for row in rows if row["value"] is not None]
    sign = 1 if direction == "min" else -1
    return min(known, key=lambda row: (sign * row["value"], row["member"]), default=None)


def write_best(
    directory: Path,
    tree: Mapping[str, Any] | ConfigDict,
    rows: Sequence[Mapping[str, Any]],
    monitor: str,
    direction: Direction,
) -> None:
    """Write it, where there is a best member.

    Args:
        directory: of the sweep.
        tree: the config that all members have in common.
        rows: what has become of them.
        monitor: the figure that counts.
        direction: which way it gets better.
    """
    best = best_row(rows, direction)
    if best is None:
        return
    told = merge(tree, nested(best["values"]))
    text = (
        f"# Member {best['member']} of {len(rows)}: {monitor} {best['value']!r} behind epoch "
        f"{best['best_epoch']}.\n" + dumps(merge(told, {"workdir": None}))
    )
    with replacing(directory / NAME) as temporary:
        temporary.write_text(text, encoding="utf-8")
