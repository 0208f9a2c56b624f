"""The members of a sweep, the best first.

print_table(rows, "auto", top=10)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtrain.cli.columns import Column, print_columns
from jaxtrain.cli.printing import printable

if TYPE_CHECKING:
    from jaxtrain.direction import Mode
    from jaxtrain.sweeps.ledger import Row


def print_table(rows: Sequence[Row], mode: Mode, *, top: int) -> None:
    """Print the best members, and how many there are in all.

    Args:
        rows: of all members.
        mode: which way the monitored figure gets better.
        top: how many.
    """
    from jaxtrain.cli.runs_facts import number
    from jaxtrain.sweeps.ranking import importance, ranked

    shown = ranked(rows, mode)[:top]
    keys = list(dict.fromkeys(key for row in shown for key in row.values))
    short = len({key.rpartition(".")[2] for key in keys}) == len(keys)
    print_columns(
        [
            Column("member", [str(row.member) for row in shown], right=True),
            *(
                Column(
                    printable(key.rpartition(".")[2] if short else key),
                    [_short(row.values[key]) for row in shown],
                    worth=6,
                    right=True,
                )
                for key in keys
            ),
            Column(
                f"best {printable(rows[0].monitor)}",
                ["" if row.value is None else number(row.value) for row in shown],
                worth=10,
                right=True,
            ),
            Column("epoch", [str(row.best_epoch or "") for row in shown], worth=5, right=True),
            Column("status", [row.status for row in shown], worth=7),
        ]
    )
    states = [row.status for row in rows]
    counts = ", ".join(f"{states.count(s)} {s}" for s in dict.fromkeys(states))
    print(f"{len(rows)} members: {counts}")
    found = importance(rows)
    if found.shares:
        shares = ", ".join(f"{printable(k)} {share:.2f}" for k, share in found.shares.items())
        print(f"what it hung on: {shares}")


def _short(value: object) -> str:
    """A value of the space as the other tables show one."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return printable(str(value))
