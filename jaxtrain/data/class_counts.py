"""How many rows each class has.

    class_counts(splits.train)                               # (900, 100)

Axis letters: K classes.
"""

from __future__ import annotations

import numpy as np

from jaxtrain.data.dataset import Dataset
from jaxtrain.data.mixture_source import MixedRows


def class_counts(dataset: Dataset | MixedRows) -> tuple[int, ...]:
    """The rows of each class, K numbers. A label that is none of the K classes is not counted.

    >>> class_counts(Dataset(np.zeros((4, 1)), np.array([0, 2, 2, -1]), num_outputs=3))
    (1, 0, 2)
    """
    labels = dataset.labels.reshape(-1)
    known = labels[(labels >= 0) & (labels < dataset.num_outputs)].astype(np.int64)
    return tuple(np.bincount(known, minlength=dataset.num_outputs).tolist())
