"""Where data comes from, by name.

    @SOURCES.register("my_data")
    def my_data(validation_fraction: float, seed: int, *, root: str) -> Splits: ...

    splits = SOURCES["digits"](validation_fraction=0.1, seed=0)

The members of `Splits` are `Dataset`s, or `LoaderRows` over data that are not in memory. A source
takes the validation rows off the training data itself, because what it fits on the data (means,
categories) may come from the training rows only. It hands that over as `Splits.reader`, and asks
for it (`fitted: Mapping[str, Any] | None = None`, before the `*`), since an evaluation must not fit
anew.
"""

from __future__ import annotations

from jaxtrain.data.splits import Splits
from jaxtrain.registry import Registry

SOURCES = Registry(
    "data source",
    returns=Splits,
    hint="Splits(train=Dataset(inputs, labels), validation=None, test=...) is one",
)
