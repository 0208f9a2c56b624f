"""A folder of images as data: a sub-folder a class.

    splits = image_folder(0.1, seed=0, root="data/birds", size=(64, 64))
    splits.train.inputs.shape                                # (4500, 64, 64, 3), from 0 to 1
    splits.train.label_names                                 # ("crow", "gull", ...)

Axis letters: B images, H rows of pixels, W columns of pixels, C channels.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.images.decoding import Channels
from jaxtrain.data.images.fitted import Fitted
from jaxtrain.data.images.listing import list_classes, refuse_single
from jaxtrain.data.images.reader import ImageReader
from jaxtrain.data.images.reading import Unreadable, read_images, refuse_too_many
from jaxtrain.data.images.sets import find_sets
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.data.stratified import TEST_STREAM, VALIDATION_STREAM, split_by_class
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.files.paths import typed_path

logger = logging.getLogger(__name__)

Side = Annotated[int, pydantic.Field(ge=1, le=4096)]
_TOLD = 10


@dataclass(frozen=True, eq=False)
class _Files:
    """Image files and the class of each, `[B]` int32."""

    files: Sequence[Path]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def select(self, rows: np.ndarray) -> _Files:
        return _Files([self.files[row] for row in rows], self.labels[rows])


@SOURCES.register("images")
def image_folder(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    root: str,
    size: tuple[Side, Side],
    channels: Channels = 3,
    train: str | None = None,
    validation: str | None = None,
    test: str | None = None,
    test_fraction: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.2,
    split_seed: Annotated[int, pydantic.Field(ge=0, lt=2**31)] = 0,
    unreadable: Unreadable = "refuse",
) -> Splits:
    """PNG and JPEG files, in a folder for each class; `pip install 'jaxtrain[images]'`.

    Where `root` has the folders train and test (and validation), they are the sets. Else the test
    images are drawn, each class alike. Images stay in memory, as float32 from 0 to 1.

    Args:
        validation_fraction: the share of each class's training images to hold out for validation;
            of no account where there is a folder for them.
        seed: draws the validation images.
        fitted: what the reader of a trained model says of itself; the training images may be gone.
        root: the folder; relative to the working directory.
        size: height and width; images of another size are stretched or shrunk to it.
        channels: 1 for grey, 3 for colour.
        train: the folder of the training images below `root`, where it is called otherwise. Where
            it is named and `test` is not, the test images are drawn from it.
        validation: the folder of the validation images, likewise.
        test: the folder of the test images, likewise.
        test_fraction: the share of each class that makes the test set, where it has no folder.
        split_seed: draws the test images; not `seed`, so that runs with other seeds are measured
            on the same images.
        unreadable: "refuse" a file that can't be read, or "skip" such files and say so.

    Raises:
        DataNotFoundError: a folder is missing.
        ConfigError: it is not laid out so, its images need more than half of the memory, or Pillow
            is missing.
        DataError: an image can't be read; names the file.
    """
    learnt = None if fitted is None else Fitted.from_json(fitted)
    if learnt is not None:
        learnt.refuse_others(size, channels)
    base = typed_path(root, what="data.root")
    folders = find_sets(
        base, train=train, validation=validation, test=test, fitted=learnt is not None
    )
    listings = {name: list_classes(folder) for name, folder in folders.items()}
    _tell([line for listing in listings.values() for line in listing.left_out])
    if learnt is None:
        classes = tuple(sorted(listings["train"].files))
        refuse_single(classes, folders["train"])
        learnt = Fitted(classes, size, channels)
    sets = {
        name: _labelled(listing.files, learnt.classes, folders[name])
        for name, listing in listings.items()
    }
    refuse_too_many(sum(map(len, sets.values())), size=size, channels=channels)
    if "test" not in sets:
        kept, held_out = split_by_class(
            sets["train"].labels, test_fraction, split_seed, stream=TEST_STREAM
        )
        sets |= {"train": sets["train"].select(kept), "test": sets["train"].select(held_out)}
    if "validation" in sets:
        if validation_fraction:
            logger.info("validation: the images in %s, no share of others", folders["validation"])
    elif validation_fraction and "train" in sets:
        kept, held_out = split_by_class(
            sets["train"].labels, validation_fraction, seed, stream=VALIDATION_STREAM
        )
        sets |= {"train": sets["train"].select(kept), "validation": sets["train"].select(held_out)}

    def dataset(name: str) -> Dataset | None:
        if name not in sets:
            return None
        read = read_images(sets[name].files, size=size, channels=channels, unreadable=unreadable)
        labels = sets[name].labels[read.rows]
        if name == "train" and fitted is None:
            _refuse_unseen(learnt.classes, labels)
        return Dataset(
            read.inputs,
            labels,
            name=base.resolve().name or "images",
            num_outputs=len(learnt.classes),
            label_names=learnt.classes,
        )

    return Splits(
        train=dataset("train"),
        validation=dataset("validation"),
        test=dataset("test"),
        reader=ImageReader(learnt, unreadable=unreadable),
    )


def _labelled(
    files: Mapping[str, Sequence[Path]], classes: tuple[str, ...], folder: Path
) -> _Files:
    unknown = sorted(files.keys() - set(classes))
    if unknown:
        raise ConfigError(
            f"{folder / unknown[0]}: {unknown[0]!r} is none of the {len(classes)} classes of the "
            f"training images ({', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''})"
        )
    places = [np.full(len(paths), classes.index(name), np.int32) for name, paths in files.items()]
    return _Files([path for paths in files.values() for path in paths], np.concatenate(places))


def _refuse_unseen(classes: tuple[str, ...], labels: np.ndarray) -> None:
    """Raises where of a class no training image was left."""
    counts = np.bincount(labels, minlength=len(classes))
    if not counts.all():
        name = classes[int(counts.argmin())]
        raise DataError(
            f"no training image of the class {name!r} can be read; add some, or remove its folder"
        )


def _tell(lines: Sequence[str]) -> None:
    for line in lines[:_TOLD]:
        logger.warning("%s", line)
    if len(lines) > _TOLD:
        logger.warning("and %d more lines of that kind", len(lines) - _TOLD)
