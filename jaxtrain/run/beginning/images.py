"""A config to begin with, from a folder of images.

beginning = begin_with_images(Path("birds"))
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtrain.data import ImagesInspection, inspect_images
from jaxtrain.data.memory import machine_memory
from jaxtrain.run.beginning.beginning import (
    Beginning,
    Fact,
    project_of,
    shown,
    where_from,
    written,
)
from jaxtrain.run.beginning.classes import WEIGHTS, classes_fact, uneven
from jaxtrain.run.beginning.sizes import convolutions, pace, perceptron, remaining

_LARGEST = 64  # pixels of a side: what a CPU trains on in minutes
_SHOWN = 3


def begin_with_images(root: Path) -> Beginning:
    """Look at a folder of images, and say how to begin.

    Raises:
        DataNotFoundError: there is no such folder.
        ConfigError: it is not laid out as the source "images" wants it, or Pillow is missing.
        DataError: no image can be read.
    """
    seen = inspect_images(root.expanduser())
    counts = seen.counts["train"]
    total = sum(sum(classes.values()) for classes in seen.counts.values())
    size, why_size = _size(seen, total)
    channels: int = 3 if seen.coloured else 1
    rows = remaining(
        sum(counts.values()),
        test="test" not in seen.counts,
        validation="validation" not in seen.counts,
    )
    rhythm = pace(rows)
    model = _model(size, rows)
    data: dict[str, Any] = {
        "name": "images",
        "root": written(root),
        "size": list(size),
        "channels": channels,
        "batch_size": rhythm.batch_size,
    }
    if seen.unreadable:
        data["unreadable"] = "skip"
    because = "the folders in the training folder" if len(seen.counts) > 1 else "its folders"
    facts = [
        classes_fact(counts, because),
        _sets(seen),
        Fact("size", f"{size[0]}x{size[1]}", why_size),
        _channels(seen, channels),
    ]
    if seen.unreadable:
        facts.append(Fact("unreadable", f"{len(seen.unreadable):,} left out", seen.unreadable[0]))
    facts += [
        Fact("model", f"{model['name']}", f"images of {size[0]}x{size[1]}"),
        Fact(
            "training",
            rhythm.words(),
            f"about {rows:,} training images",
        ),
    ]
    lines, is_uneven = uneven(counts)
    comments = {
        "data.root": "from the directory in which you train",
        "data.size": "height and width; larger is slower, and sees more",
        "data.channels": "1: grey, 3: colour",
        "data.unreadable": "refuse: stop at an image that can't be read",
    }
    if is_uneven:
        comments["loss"] = WEIGHTS
    return Beginning(
        config={
            "project": project_of(root, "images"),
            "data": data,
            "model": model,
            **rhythm.sections(),
        },
        facts=tuple(facts),
        lines=(*lines, *_left_out(seen), *filter(None, [where_from(root)])),
        comments=comments,
    )


def _size(seen: ImagesInspection, total: int) -> tuple[tuple[int, int], str]:
    """Height and width: those that all have, or their medians, small enough to train with."""
    heights, widths = (sorted(s[axis] for s in seen.sizes.elements()) for axis in (0, 1))
    height, width = heights[len(heights) // 2], widths[len(widths) // 2]
    if len(seen.sizes) == 1:
        because = f"all have {height}x{width}"
    else:
        because = (
            f"{len(seen.sizes):,} sizes, heights from {heights[0]} to {heights[-1]}, widths from "
            f"{widths[0]} to {widths[-1]}; all are brought to one, whatever their aspect"
        )
    side = max(height, width)
    allowed = min(side, _LARGEST)
    # As the source counts them: float32, and three channels at most.
    while allowed > 8 and 12 * total * allowed * allowed > machine_memory() // 2:
        allowed //= 2
    if allowed < side:
        because += f"; made smaller, so that a CPU trains in minutes and memory holds {total:,}"
    scale = allowed / side
    return (max(round(height * scale), 1), max(round(width * scale), 1)), because


def _channels(seen: ImagesInspection, channels: int) -> Fact:
    looked = f"{seen.decoded:,} that were looked at"
    if channels == 1:
        return Fact("channels", "1, grey", f"none of the {looked} has any colour")
    because = f"{seen.coloured:,} of the {looked} have colour"
    if seen.transparent:
        because += f"; {seen.transparent:,} have transparency, which becomes white"
    return Fact("channels", "3, colour", because)


def _sets(seen: ImagesInspection) -> Fact:
    has = seen.counts
    order = ("train", "validation", "test")
    found = [f"{name} {sum(has[name].values()):,}" for name in order if name in has]
    drawn = [] if "test" in has else ["test 20% of each class"]
    drawn += [] if "validation" in has else ["validation 10% of the rest"]
    because = "folders of these names" if len(has) > 1 else ""
    if drawn:
        because += ("; " if because else "") + "drawn where there are no folders"
    return Fact("sets", ", ".join([*found, *drawn]), because)


def _model(size: tuple[int, int], rows: int) -> Mapping[str, Any]:
    if min(size) < 4:
        return perceptron(rows)
    return {"name": "cnn", "channels": convolutions(size), "hidden": [128], "dropout": 0.25}


def _left_out(seen: ImagesInspection) -> list[str]:
    lines = [shown(line) for line in seen.left_out[:_SHOWN]]
    more = len(seen.left_out) - _SHOWN
    return [*lines, f"and {more} more lines of that kind"] if more > 0 else lines
