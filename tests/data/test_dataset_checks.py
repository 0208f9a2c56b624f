import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, Dataset, LoaderRows, check_dataset


def dataset(**change):
    arguments = {
        "inputs": np.zeros((6, 3), np.float32),
        "labels": np.array([0, 1, 2, 0, 1, 2], np.int32),
        "num_outputs": 3,
    }
    return Dataset(**arguments | change)


def failed(subject):
    return {finding.name: finding.detail for finding in check_dataset(subject) if not finding.ok}


def test_good_data_pass_every_check():
    findings = check_dataset(dataset())
    assert [finding.name for finding in findings] == [
        "shapes",
        "dtypes",
        "finite inputs",
        "label range",
        "class balance",
    ]
    assert all(finding.ok and finding.detail for finding in findings)


@pytest.mark.parametrize(
    ("change", "name", "detail"),
    [
        ({"inputs": np.zeros(6, np.float32)}, "shapes", "expected inputs [B, ...]"),
        ({"labels": np.zeros((6, 3), np.int32)}, "shapes", "expected labels [6]"),
        ({"inputs": np.zeros((6, 3))}, "dtypes", "inputs float64, labels int32; expected inputs"),
        ({"labels": np.array([0, 1, 2, 0, 1, 2])}, "dtypes", "labels int32: convert"),
        (
            {"labels": np.array([0, 1, 2, 5, 1, -1], np.int32)},
            "label range",
            "2 labels are out of range, the first in row 3: 5; allowed are 0 to 2",
        ),
        ({"labels": np.array([0, 2, 2, 0, 2, 2], np.int32)}, "class balance", "no row of class 1;"),
    ],
)
def test_one_fault_is_found(change, name, detail):
    found = failed(dataset(**change))
    assert set(found) == {name} or (name == "shapes" and name in found)
    assert detail in found[name]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    inputs = np.zeros((6, 3), np.float32)
    inputs[4, 1:] = value
    detail = failed(dataset(inputs=inputs))["finite inputs"]
    assert detail == (
        f"2 values are NaN or Inf, the first in row 4: inputs[4, 1] is {np.float32(value)}"
    )


def test_classes_are_named_and_shared_out():
    subject = dataset(
        labels=np.array([0, 0, 0, 1, 1, 2], np.int32), label_names=("cat", "dog", "owl")
    )
    balance = check_dataset(subject)[-1]
    assert balance.detail == (
        "3 classes, the rarest (2 'owl') 16.7%, the most frequent (0 'cat') 50.0% of 6 rows"
    )


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_regression_of_one_number(shape):
    labels = np.zeros(shape, np.float32)
    assert failed(dataset(labels=labels, task="regression", num_outputs=1)) == {}
    labels.reshape(-1)[2] = np.nan
    found = failed(dataset(labels=labels, task="regression", num_outputs=1))
    assert "row 2" in found["finite labels"]


def test_regression_of_several_numbers():
    options = {"task": "regression", "num_outputs": 2}
    assert failed(dataset(labels=np.zeros((6, 2), np.float32), **options)) == {}
    found = failed(dataset(labels=np.zeros(6, np.float32), **options))
    assert found == {"shapes": "inputs [6, 3], labels [6]; expected labels [6, 2]"}


def test_a_label_that_the_loss_ignores_may_be_out_of_range():
    labels = np.array([0, -100, 2, 0, 1, -100], np.int32)
    assert set(failed(dataset(labels=labels))) == {"label range"}
    findings = check_dataset(dataset(labels=labels), ignore_label=-100)
    assert all(finding.ok for finding in findings)
    detail = {finding.name: finding.detail for finding in findings}["label range"]
    assert detail == "labels from 0 to 2"
    found = check_dataset(dataset(labels=labels), ignore_label=-1)
    assert "2 labels are out of range" in {f.name: f.detail for f in found}["label range"]


def sampled(arrays, **description):
    make = lambda **options: ArrayLoader(arrays, **options)  # noqa: E731
    return LoaderRows(make, **{"num_outputs": 3, **description})


def test_of_rows_out_of_memory_the_first_are_looked_at():
    arrays = {"inputs": np.zeros((100, 2), np.float32), "labels": np.zeros(100, np.int32)}
    findings = check_dataset(sampled(arrays))
    assert [f.name for f in findings] == ["shapes", "finite inputs", "finite labels", "label range"]
    assert all(finding.ok for finding in findings)
    assert findings[0].detail == "the first 64 rows: inputs float32[64, 2], labels int32[64]"
    for row, told in ((63, True), (64, False)):
        for name, value in (("inputs", np.nan), ("labels", 3), ("labels", -1)):
            broken = arrays | {name: arrays[name].copy()}
            broken[name][row] = value
            found = failed(sampled(broken))
            assert bool(found) == told
            assert all("row 63" in detail for detail in found.values())


def test_rows_of_tokens_have_labels_where_their_mask_says_so():
    labels = np.array([[0, 1, -100], [2, -100, -100]], np.int32)
    arrays = {"tokens": np.ones((2, 3), np.int32), "labels": labels}
    assert set(failed(sampled(arrays))) == {"label range"}
    assert failed(sampled(arrays | {"mask": labels >= 0})) == {}
    assert "3 labels" in failed(sampled(arrays))["label range"]
    ignored = check_dataset(sampled(arrays), ignore_label=-100)
    assert all(finding.ok for finding in ignored)


def test_rows_without_labels_are_looked_at_all_the_same():
    arrays = {"image": np.ones((5, 2), np.float32)}
    assert failed(sampled(arrays)) == {}
    arrays["image"][4, 1] = np.inf
    assert "row 4: image[4, 1] is inf" in failed(sampled(arrays))["finite image"]
