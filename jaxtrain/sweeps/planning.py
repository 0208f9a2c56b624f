"""What a sweep would train together, before it does.

print(describe_sweep(sweep))
"""

from __future__ import annotations

from jaxtrain.sweeps.memory import bytes_in_common, bytes_of_member
from jaxtrain.sweeps.population import mesh_of, own_order
from jaxtrain.sweeps.search import searcher_of
from jaxtrain.sweeps.sweep import Sweep
from jaxtrain.units import as_bytes


def describe_sweep(sweep: Sweep) -> str:
    """The programs of the first batch, a paragraph each; nothing is trained or written."""
    if sweep.sweep.search == "optuna":
        return "search: optuna asks for members as it goes; none is known before"
    searcher = searcher_of(sweep.sweep, sweep.directory, sweep.direction)
    asked = searcher.ask(first=0, count=sweep.sweep.batch)
    batch = sweep.batch_of(0, asked)
    units = sweep.units_of(batch)
    programs = _counted(len(batch.groups), "program")
    lines = [f"{sweep.sweep.members} members, {len(asked)} at once: {programs}"]
    for number, group in enumerate(batch.groups):
        mine = [unit for unit in units if unit.group is group]
        each, common = bytes_of_member(group), bytes_in_common(group)
        base = f", and {as_bytes(common)} that all have in common" if common else ""
        order = sweep.sweep.order or own_order()
        mesh = mesh_of(len(mine[0].members), order, sweep.sweep.mesh.data)
        over = (
            ""
            if mesh is None
            else ", over {} x {} devices (members x data)".format(*mesh.shape.values())
        )
        parts = ", ".join(str(len(unit.members)) for unit in mine)
        split_by = ", ".join(f"{key}={value}" for key, value in group.split_by.items())
        lines += [
            f"program {number}: {len(group.members)} members"
            + (f" ({split_by})" if split_by else ""),
            f"  vary within it: {', '.join(group.varied) or 'nothing but the seed'}",
            f"  in one program: {parts}; computed "
            f"{'one after the other' if order == 'in_turn' else 'together'}{over}",
            f"  memory: {as_bytes(each)} a member, {as_bytes(each * len(mine[0].members))} at once"
            + base,
        ]
    return "\n".join(lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
