import functools

import numpy as np
import pydantic
import pytest

from jaxtrain.data import SOURCES, Dataset, GrainLoader, LoaderRows, Splits, check_dataset, digits
from jaxtrain.errors import ConfigError


class Section(pydantic.BaseModel):
    name: str
    workers: int = 0


@pytest.fixture
def register(monkeypatch):
    """Registers sources for the time of a test."""
    monkeypatch.setattr(SOURCES, "_factories", dict(SOURCES._factories))
    return SOURCES.register


def build(name):
    return SOURCES.build(Section(name=name), validation_fraction=0.1, seed=0)


def test_the_sources_that_there_are():
    assert [n for n in SOURCES.names() if not n.startswith("tests_")] == [
        "adult",
        "arrays",
        "csv",
        "digits",
        "facts",
        "fashion_mnist",
        "images",
        "instructions",
        "labelled_text",
        "mixture",
        "mnist",
        "multiple_choice",
        "text",
    ]
    assert SOURCES["digits"] is digits


def test_h6_a_plugin_reads_records_with_a_loader_of_its_own(register):
    @register("birds")
    def birds(validation_fraction: float, seed: int, *, workers: int = 0) -> Splits:
        def rows(numbers):
            records = [{"inputs": np.float32([i]), "labels": np.int32(i % 3)} for i in numbers]
            make = functools.partial(
                GrainLoader, records, workers=workers, fingerprint=f"birds {len(numbers)}"
            )
            return LoaderRows(make, name="birds", num_outputs=3)

        return Splits(train=rows(range(20)), validation=rows(range(20, 23)), test=rows(range(9)))

    splits = build("birds")
    loader = splits.train.loader(batch_size=8, shuffle=True, seed=1, last_batch="pad")
    seen = [b["labels"][b["row_mask"] > 0] for b in loader]
    assert np.bincount(np.concatenate(seen)).tolist() == [7, 7, 6]
    assert all(f.ok for rows in splits.sets.values() for f in check_dataset(rows))


@pytest.mark.parametrize("returned", [None, (1, 2), Dataset(np.ones((2, 1)), np.ones(2))])
def test_h6_a_source_that_returns_something_else_is_told(register, returned):
    @register("odd")
    def odd():
        return returned

    with pytest.raises(ConfigError, match=r"'odd': expected .*odd in .* to return a Splits"):
        build("odd")
