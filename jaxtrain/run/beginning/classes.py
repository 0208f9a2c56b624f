"""What there is to say of classes: how many, how uneven, which too small.

classes_fact({"crow": 120, "gull": 8}, "its folders")
uneven({"crow": 120, "gull": 8})         # lines, and the one to add to a config
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtrain.run.beginning.beginning import Fact, shown

WEIGHTS = "loss: {class_weights: balanced}"
"""The line that makes up for uneven classes."""

_UNEVEN = 3.0  # times as many rows of the largest class as of the smallest
_SHOWN = 12
_FEW = 4  # rows: one each for the test and validation sets, and two to learn from


def classes_fact(counts: Mapping[str, int], because: str) -> Fact:
    """The classes and how many rows each has."""
    listed = ", ".join(f"{shown(name)} ({n:,})" for name, n in list(counts.items())[:_SHOWN])
    more = f", and {len(counts) - _SHOWN:,} more" if len(counts) > _SHOWN else ""
    return Fact("classes", f"{len(counts):,}: {listed}{more}", because)


def uneven(counts: Mapping[str, int]) -> tuple[list[str], bool]:
    """What to say of classes that differ much, or are very small.

    Returns:
        Lines, and whether weights for the classes are worth a try.
    """
    if not counts:
        return [], False
    least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    lines = []
    is_uneven = counts[most] >= _UNEVEN * counts[least]
    if is_uneven:
        lines.append(
            f"uneven classes: {counts[most]:,} of {shown(most)}, {counts[least]:,} of "
            f"{shown(least)}; to have each count alike, add the line\n  {WEIGHTS}"
        )
    small = [name for name, count in counts.items() if count < _FEW]
    if small:
        names = ", ".join(shown(name) for name in small[:_SHOWN])
        lines.append(
            f"{len(small):,} classes have fewer than {_FEW} rows ({names}): the test or the "
            "validation set may have none of them, which `check` will say"
        )
    return lines, is_uneven
