"""The digits data set that comes inside scikit-learn: 1,797 images of 8x8 pixels, no download.

    splits = digits(validation_fraction=0.1, seed=0)
    splits.train.inputs.shape                                # (1293, 64)

Axis letters: B rows.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pydantic

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.shuffle import split_indices
from jaxtrain.data.sources import SOURCES
from jaxtrain.data.splits import Splits

_BRIGHTEST = 16.0  # the scikit-learn images count to 16


@SOURCES.register("digits")
def digits(
    validation_fraction: float,
    seed: int,
    *,
    flat: bool = True,
    test_fraction: Annotated[float, pydantic.Field(gt=0, lt=1)] = 0.2,
    split_seed: Annotated[int, pydantic.Field(ge=0, lt=2**31)] = 0,
) -> Splits:
    """Handwritten digits, pixels scaled to [0, 1].

    Args:
        validation_fraction: the share of the training rows to hold out for validation.
        seed: draws the validation rows.
        flat: inputs `[B, 64]` if true, `[B, 8, 8, 1]` if not.
        test_fraction: the share of all rows that makes the test set, each class alike.
        split_seed: draws the test rows; not `seed`, so that runs with other seeds are measured on
            the same rows.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, classes = load_digits(return_X_y=True)
    inputs = (pixels / _BRIGHTEST).astype(np.float32)
    if not flat:
        inputs = inputs.reshape(-1, 8, 8, 1)
    labels = classes.astype(np.int32)
    rows, test_rows = train_test_split(
        np.arange(len(labels)), test_size=test_fraction, random_state=split_seed, stratify=labels
    )
    kept, held_out = split_indices(len(rows), validation_fraction, seed)
    everything = Dataset(
        inputs,
        labels,
        name="digits",
        num_outputs=10,
        label_names=tuple("0123456789"),
        image_shape=(8, 8),
    )
    return Splits(
        train=everything.select(rows[kept]),
        validation=everything.select(rows[held_out]) if len(held_out) else None,
        test=everything.select(test_rows),
    )
