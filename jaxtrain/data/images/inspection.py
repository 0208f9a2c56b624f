"""What there is in a folder of images, for somebody who wants to begin with it.

    seen = inspect_images(Path("birds"))
    seen.counts                  # {"train": {"crow": 120, "gull": 80}}
    seen.sizes.most_common(1)    # [((480, 640), 150)]

The head of every image is read; up to 5,000 of them, spread evenly, are also decoded.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtrain.data.images.decoding import Decoded, Size, look_at, strictly
from jaxtrain.data.images.listing import list_classes, refuse_single
from jaxtrain.data.images.reading import decode_all
from jaxtrain.data.images.sets import find_sets
from jaxtrain.errors import DataError

_DECODED = 5000
_SMALL = (32, 32)  # of what is looked at: enough to see colours


@dataclass(frozen=True)
class ImagesInspection:
    """What was seen.

    Args:
        root: the folder.
        counts: the images of each class, by set; "train" alone where the folders are classes.
        sizes: how many images have which height and width.
        modes: how many have which kind of pixels, in Pillow's words ("L", "RGB", "P", ...).
        decoded: how many were decoded.
        coloured: how many of these have any colour.
        transparent: how many have transparency.
        unreadable: why an image can't be read, a line each.
        left_out: a line for each kind of thing that is there and is no image of a class.
    """

    root: Path
    counts: Mapping[str, Mapping[str, int]]
    sizes: Counter[Size]
    modes: Counter[str]
    decoded: int
    coloured: int
    transparent: int
    unreadable: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the training images."""
        return tuple(sorted(self.counts["train"]))


def inspect_images(root: Path) -> ImagesInspection:
    """Look at a folder of images, laid out as the source "images" wants it.

    Raises:
        DataNotFoundError: there is no such folder.
        ConfigError: it is not laid out so, or Pillow is missing.
        DataError: not one image can be read.
    """
    folders = find_sets(root, train=None, validation=None, test=None, fitted=False)
    listings = {name: list_classes(folder) for name, folder in folders.items()}
    refuse_single(sorted(listings["train"].files), folders["train"])
    files = [p for one in listings.values() for paths in one.files.values() for p in paths]
    sizes: Counter[Size] = Counter()
    modes: Counter[str] = Counter()
    transparent, faults = 0, {}
    with strictly():
        for path in files:
            try:
                header = look_at(path)
            except DataError as error:
                faults[path] = str(error)
                continue
            sizes[header.size] += 1
            modes[header.mode] += 1
            transparent += header.is_transparent
    sample = _spread([path for path in files if path not in faults], _DECODED)
    decoded = coloured = 0
    with contextlib.closing(decode_all(sample, size=_SMALL, channels=3)) as images:
        for place, found in images:
            if isinstance(found, Decoded):
                decoded += 1
                coloured += bool((found.pixels != found.pixels[..., :1]).any())
            else:
                faults[sample[place]] = str(found)
    if not decoded:
        raise DataError(f"none of {len(files):,} images can be read: {next(iter(faults.values()))}")
    return ImagesInspection(
        root=root,
        counts={
            name: {label: len(paths) for label, paths in listing.files.items()}
            for name, listing in listings.items()
        },
        sizes=sizes,
        modes=modes,
        decoded=decoded,
        coloured=coloured,
        transparent=transparent,
        unreadable=tuple(faults[path] for path in files if path in faults),
        left_out=tuple(line for listing in listings.values() for line in listing.left_out),
    )


def _spread(files: Sequence[Path], count: int) -> list[Path]:
    """At most `count` of the files, evenly from all of them."""
    if len(files) <= count:
        return list(files)
    return [files[place * len(files) // count] for place in range(count)]
