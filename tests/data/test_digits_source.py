import numpy as np
import pytest

from jaxtrain.data import SOURCES, check_dataset, digits


def test_shapes_scale_and_checks():
    splits = digits(0.1, seed=0)
    sizes = len(splits.train), len(splits.validation), len(splits.test)
    assert sizes == (1293, 144, 360)
    for part in (splits.train, splits.validation, splits.test):
        assert all(finding.ok for finding in check_dataset(part))
    assert (splits.train.inputs.min(), splits.train.inputs.max()) == (0, 1)
    assert splits.train.inputs.shape[1:] == (64,)


def test_images():
    flat, images = digits(0.1, seed=0).test, digits(0.1, seed=0, flat=False).test
    assert images.inputs.shape == (360, 8, 8, 1)
    assert (images.inputs.reshape(360, 64) == flat.inputs).all()


def test_test_rows_do_not_depend_on_the_seed_of_the_run():
    one, two = digits(0.1, seed=0), digits(0.1, seed=1)
    assert one.test.fingerprint() == two.test.fingerprint()
    assert one.validation.fingerprint() != two.validation.fingerprint()
    assert digits(0.1, seed=0, split_seed=1).test.fingerprint() != one.test.fingerprint()


def test_test_rows_are_stratified():
    counts = np.bincount(digits(0.0, seed=0).test.labels)
    assert counts.min() >= 34
    assert counts.max() <= 37


def test_parts_do_not_overlap():
    splits = digits(0.2, seed=0)
    rows = [
        {row.tobytes() for row in part.inputs}
        for part in (splits.train, splits.validation, splits.test)
    ]
    assert sum(map(len, rows)) == len(set().union(*rows)) == 1797


def test_no_validation():
    splits = SOURCES["digits"](0.0, 0, test_fraction=0.5)
    assert splits.validation is None
    assert len(splits.train) == 898


@pytest.mark.parametrize("name", ["adult", "csv", "digits", "fashion_mnist", "mnist"])
def test_sources_are_known_by_name(name):
    assert callable(SOURCES[name])
