import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, Dataset, LoaderRows, Splits
from jaxtrain.errors import ConfigError

DATASET = Dataset(np.ones((4, 2), np.float32), np.zeros(4, np.int32))


def test_members_are_rows_of_either_kind():
    others = LoaderRows(lambda **options: ArrayLoader(DATASET, **options))
    splits = Splits(train=others, validation=None, test=DATASET)
    for rows in (splits.train, splits.test):
        assert len(rows) == 4
        assert rows.loader(batch_size=2, shuffle=True, seed=0, last_batch="pad").batch_size == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": None}, "test: expected a Dataset or LoaderRows, found a NoneType"),
        ({"train": None, "validation": None, "test": None}, "at least one set of rows"),
        ({"validation": np.ones(3)}, "validation: .* found a ndarray"),
        ({"test": (1, 2)}, "test: .* found a tuple"),
    ],
)
def test_nothing_else_is_rows(change, message):
    with pytest.raises(ConfigError, match=message):
        Splits(**{"train": DATASET, "validation": DATASET, "test": DATASET} | change)
