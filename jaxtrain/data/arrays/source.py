"""Arrays of a `.npz` file as data.

    splits = array_file(0.1, seed=0, file="mnist.npz", root="data")
    splits.train.inputs.shape                                # (54000, 28, 28, 1)

Axis letters: B rows, D columns of a target, H rows of pixels, W columns of pixels, C channels.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
import pydantic

from jaxtrain.data.arrays.archive import ArrayFile
from jaxtrain.data.arrays.inputs import InputForm
from jaxtrain.data.arrays.labels import LabelForm
from jaxtrain.data.arrays.parts import Pair, divide, find_pairs, read_pairs
from jaxtrain.data.arrays.reader import ArraysReader, forms_of
from jaxtrain.data.dataset import Dataset
from jaxtrain.data.rows import LabelTask
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits
from jaxtrain.errors import ConfigError
from jaxtrain.files.paths import typed_path

logger = logging.getLogger(__name__)


@SOURCES.register("arrays")
def array_file(
    validation_fraction: float,
    seed: int,
    fitted: Mapping[str, Any] | None = None,
    *,
    file: str,
    root: str = ".",
    inputs: str | None = None,
    labels: str | None = None,
    validation_inputs: str | None = None,
    validation_labels: str | None = None,
    test_inputs: str | None = None,
    test_labels: str | None = None,
    test_fraction: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.2,
    split_seed: Annotated[int, pydantic.Field(ge=0, lt=2**31)] = 0,
    task: LabelTask | None = None,
    images: bool | None = None,
    tokens: bool = False,
    standardise: bool = False,
    standardise_target: bool = True,
) -> Splits:
    """A `.npz` file as `np.savez` writes it, with inputs and labels of training and test rows.

    Nothing is ever unpickled. Arrays called as they mostly are (x_train, y_train, x_test, y_test;
    X, y; inputs, labels; train_images, train_labels; ...) need not be named. Where there is no test
    set, one is drawn.

    Args:
        validation_fraction: the share of the training rows to hold out for validation, of each
            class alike; of no account where the file has validation rows.
        seed: draws the validation rows.
        fitted: what the reader of a trained model says of itself; the training rows may be gone.
        file: the file's name.
        root: its directory; relative to the working directory.
        inputs: the name of the training inputs, where it is another.
        labels: the name of the training labels, likewise.
        validation_inputs: of the validation inputs.
        validation_labels: of the validation labels.
        test_inputs: of the test inputs.
        test_labels: of the test labels.
        test_fraction: the share of the rows that makes the test set, where the file has none.
        split_seed: draws the test rows; not `seed`, so that runs with other seeds are measured on
            the same rows.
        task: what there is to learn; null: a regression of labels with a point, else classes.
        images: whether inputs are images `[B, H, W]` or `[B, H, W, C]`; null: bytes of three or
            four axes are. Bytes are then divided by 255; the axis of one channel is added.
        tokens: whether inputs are whole numbers that stay what they are (int32).
        standardise: bring each column of the inputs, of images each channel, to mean 0 and
            deviation 1, by the training rows.
        standardise_target: the same for the targets of a regression; metrics and predictions are
            in the unit of the data all the same.

    Raises:
        DataNotFoundError: the file is missing.
        ConfigError: its arrays are not to be told apart, don't fit the options, or need more than
            half of the memory.
        DataError: it is broken, or holds something that is neither input nor label; names the
            array and the place.
    """
    if tokens and standardise:
        raise ConfigError("data.standardise: tokens are not standardised; set one of the two")
    path = typed_path(root, what="data.root") / typed_path(file, what="data.file")
    archive = ArrayFile(path)
    pairs = find_pairs(
        archive,
        {
            "inputs": inputs,
            "labels": labels,
            "validation_inputs": validation_inputs,
            "validation_labels": validation_labels,
            "test_inputs": test_inputs,
            "test_labels": test_labels,
        },
        fitted=fitted is not None,
    )
    raw = read_pairs(archive, pairs.values())
    names = {name: f"{path}: {name}" for name in raw}
    if fitted is not None:
        input_form, label_form = forms_of(fitted)
    else:
        x, y = pairs["train"].inputs, pairs["train"].labels
        input_form = InputForm.of(raw[x], name=names[x], images=images, tokens=tokens)
        label_form = LabelForm.fit(raw[y], name=names[y], task=task)
    # Whole arrays before their rows are parted: what is wrong is told by its place in the file.
    values = {}
    for x in {pair.inputs: None for pair in pairs.values()}:
        input_form.refuse_others(raw[x], name=names[x])
        values[x] = input_form.plain(raw.pop(x), name=names[x])
    parts = divide(
        pairs,
        _classes(label_form, pairs, raw, names),
        validation_fraction=validation_fraction,
        seed=seed,
        test_fraction=test_fraction,
        split_seed=split_seed,
    )
    if fitted is None:
        train = parts["train"]
        if standardise:
            input_form = input_form.fitted(train.of(values[train.pair.inputs]))
        if standardise_target:
            y = train.pair.labels
            label_form = label_form.scaled(train.of(raw[y]), name=names[y])
    for line in (input_form.words(), label_form.words(raw[next(iter(pairs.values())).labels])):
        if line:
            logger.info("%s: %s", path, line)
    targets = {y: label_form.apply(raw[y], name=names[y]) for y in raw}

    def dataset(name: str) -> Dataset | None:
        if name not in parts:
            return None
        part = parts[name]
        return Dataset(
            input_form.standardised(part.of(values[part.pair.inputs])),
            part.of(targets[part.pair.labels]),
            name=path.stem,
            task=label_form.task,
            num_outputs=label_form.num_outputs,
            label_names=label_form.classes,
        )

    return Splits(
        train=dataset("train"),
        validation=dataset("validation"),
        test=dataset("test"),
        reader=ArraysReader(input_form, label_form, inputs=inputs, labels=labels),
        target_scale=label_form.scale,
    )


def _classes(
    form: LabelForm,
    pairs: Mapping[str, Pair],
    raw: Mapping[str, np.ndarray],
    names: Mapping[str, str],
) -> np.ndarray:
    """The class of each training row; all the same of a regression, or where there are none."""
    if "train" not in pairs:
        return np.empty(0, np.int32)
    y = pairs["train"].labels
    if form.task == "regression":
        return np.zeros(len(raw[y]), np.int32)
    return form.apply(raw[y], name=names[y])
