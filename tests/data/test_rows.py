import functools

import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, Dataset, GrainLoader, Loader, LoaderRows, Rows
from jaxtrain.errors import ConfigError, DataError

RECORDS = [{"inputs": np.full(3, i, np.float32), "labels": np.int32(i % 2)} for i in range(10)]


def rows(**options):
    make = functools.partial(GrainLoader, RECORDS, fingerprint="ten")
    return LoaderRows(make, **{"num_outputs": 2, **options})


def test_they_are_asked_as_a_dataset_is():
    subject = rows(name="birds", label_names=("owl", "jay"))
    assert isinstance(subject, Rows)
    assert (subject.name, subject.task, subject.num_outputs) == ("birds", "classification", 2)
    assert len(subject) == 10
    options = {"batch_size": 4, "shuffle": True, "seed": 3, "last_batch": "drop"}
    loader = subject.loader(**options)
    assert isinstance(loader, Loader)
    assert loader.fingerprint() == GrainLoader(RECORDS, fingerprint="ten", **options).fingerprint()
    assert (loader.batch_size, loader.steps_per_epoch) == (4, 2)


def test_their_fingerprint_is_that_of_the_data():
    assert rows().fingerprint() == rows(name="other").fingerprint()
    other = LoaderRows(functools.partial(GrainLoader, RECORDS, fingerprint="eleven"), num_outputs=2)
    assert other.fingerprint() != rows().fingerprint()
    assert "data=ten" in rows().fingerprint()


def test_the_defaults_are_those_of_every_loader():
    loader = rows().loader(batch_size=4)
    assert "shuffle=True seed=0 last_batch=pad" in loader.fingerprint()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda **options: [1, 2], "birds: expected `make` to return a Loader, found a list"),
        (lambda **options: None, "found a NoneType"),
        (
            lambda **options: ArrayLoader({"x": np.ones(9)}, batch_size=3),
            "asked for batches of 4 rows, found a loader whose batches have 3",
        ),
    ],
)
def test_what_is_made_must_be_what_was_asked_for(make, message):
    with pytest.raises(ConfigError, match=message):
        LoaderRows(make, name="birds").loader(batch_size=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_outputs": 0}, "num_outputs must be 1 or more, found 0"),
        ({"task": "guessing"}, "'classification' or 'regression' or 'language', found 'guessing'"),
        ({"label_names": ("a",)}, "expected 2 label names, found 1"),
    ],
)
def test_impossible_rows(change, message):
    with pytest.raises(DataError, match=message):
        rows(**change)


def test_what_there_is_to_learn_may_be_language():
    assert rows(task="language", num_outputs=32_000).task == "language"


def test_two_classes_of_one_name_are_refused():
    """Nobody could tell them apart in a table of predictions."""
    with pytest.raises(DataError, match="two classes have one name: a, a"):
        Dataset(np.zeros((2, 1), np.float32), np.arange(2), num_outputs=2, label_names=("a", "a"))
