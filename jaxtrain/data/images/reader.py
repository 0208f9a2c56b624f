"""Reads new images as the training images were read.

reader = ImageReader(Fitted(("crow", "gull"), size=(64, 64), channels=3))
rows = reader.read(Path("new"))              # a folder of images, or one of classes, or a file
rows.ids                                     # {"file": ["1.jpg", "2.jpg", ...]}
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxtrain.data.images.fitted import Fitted
from jaxtrain.data.images.listing import folders_of, list_images
from jaxtrain.data.images.reading import Unreadable, read_images
from jaxtrain.data.reader import READERS, NewRows
from jaxtrain.errors import DataError, DataNotFoundError
from jaxtrain.files.paths import is_there

logger = logging.getLogger(__name__)


class ImageReader:
    """What a model was trained to see, and how images are read for it.

    Args:
        fitted: classes, size and channels of the training.
        unreadable: "refuse" a file that can't be read, or "skip" such files and say so.
    """

    def __init__(self, fitted: Fitted, *, unreadable: Unreadable = "refuse") -> None:
        self._fitted = fitted
        self._unreadable = unreadable

    def state(self) -> Mapping[str, Any]:
        """Classes, size and channels."""
        return self._fitted.to_json()

    def read(self, path: Path) -> NewRows:
        """The images at `path`, which is one file, or a folder.

        Images right in the folder have no label; those in a folder with the name of a class have
        that one, and those in a folder of another name are told of, and have none.

        Raises:
            DataNotFoundError: there is nothing at `path`.
            ConfigError: a symbolic link leads out of the folder, or there are too many images.
            DataError: an image can't be read, or there is none.
        """
        files, names = _found(path)
        known = np.array([name in self._fitted.classes for name in names])
        strange = sorted({name for name in names if name and name not in self._fitted.classes})
        if strange:
            logger.warning(
                "%s: %d folders are none of the classes, their images have no label: %s",
                path,
                len(strange),
                ", ".join(strange[:10]),
            )
        read = read_images(
            files,
            size=self._fitted.size,
            channels=self._fitted.channels,
            unreadable=self._unreadable,
        )
        places = {name: number for number, name in enumerate(self._fitted.classes)}
        labels = np.array([places.get(name, 0) for name in names], np.int32)[read.rows]
        known = known[read.rows]
        base = path if path.is_dir() else path.parent
        return NewRows(
            read.inputs,
            labels if known.any() else None,
            None if known.all() or not known.any() else known,
            {"file": [files[row].relative_to(base).as_posix() for row in read.rows]},
        )


def _found(path: Path) -> tuple[list[Path], list[str]]:
    """The files, and the name of the folder of each; none of those right in `path`."""
    if not is_there(path):
        raise DataNotFoundError(f"{path.absolute()}: no such file or folder")
    if not path.is_dir():
        return [path], [""]
    flat, lines = list_images(path)
    files, names, left_out = [*flat], [""] * len(flat), [*lines]
    for folder in folders_of(path):
        images, lines = list_images(folder, path)
        files += images
        names += [folder.name] * len(images)
        left_out += lines
        if inner := folders_of(folder):
            left_out.append(f"{inner[0]}: left out, a folder in a folder of images")
    for line in left_out[:10]:
        logger.warning("%s", line)
    if not files:
        raise DataError(f"{path}: expected PNG or JPEG files, found none")
    return files, names


@READERS.register("images")
def image_reader(state: Mapping[str, Any], *, unreadable: Unreadable = "refuse") -> ImageReader:
    """The reader of a trained model, from what it said of itself; the option is the source's."""
    return ImageReader(Fitted.from_json(state), unreadable=unreadable)
