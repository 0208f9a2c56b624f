import numpy as np
import pytest

from jaxtrain.data.arrays.keys import find_keys, listed
from jaxtrain.data.arrays.npy import Head
from jaxtrain.errors import ConfigError


def heads(*names, rows=5, **shapes):
    wide = {name: Head((rows, 3), np.dtype(np.float32), False, 0) for name in names}
    others = {n: Head(shape, np.dtype(np.float32), False, 0) for n, shape in shapes.items()}
    return wide | others


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("x y", {"train": ("x", "y")}),
        ("X y", {"train": ("X", "y")}),
        ("inputs labels", {"train": ("inputs", "labels")}),
        ("data target extra", {"train": ("data", "target")}),
        ("x", {"train": ("x", None)}),
        (
            "x_train y_train x_test y_test",
            {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")},
        ),
        (
            "X_train Y_train X_val Y_val",
            {"train": ("X_train", "Y_train"), "validation": ("X_val", "Y_val")},
        ),
        (
            "train_images train_labels val_images val_labels test_images test_labels",
            {
                "train": ("train_images", "train_labels"),
                "validation": ("val_images", "val_labels"),
                "test": ("test_images", "test_labels"),
            },
        ),
        ("x y xtest ytest", {"train": ("x", "y"), "test": ("xtest", "ytest")}),
        ("x x_train y_train", {"train": ("x_train", "y_train")}),
        ("x_train y_train x_test", {"train": ("x_train", "y_train"), "test": ("x_test", None)}),
        ("x_test y_test", {"test": ("x_test", "y_test")}),
        ("a b c", {}),
    ],
)  # fmt: skip
def test_names_that_are_recognised(names, found):
    assert find_keys(heads(*names.split()), {}) == found


def test_names_that_are_told():
    told = {"inputs": "a", "labels": "b", "test_inputs": None}
    assert find_keys(heads("a", "b", "x", "y"), told) == {"train": ("a", "b")}
    assert find_keys(heads("a", "y"), {"inputs": "a"}) == {"train": ("a", "y")}
    with pytest.raises(ConfigError) as caught:
        find_keys(heads("x", "y"), {"test_labels": "yy"})
    assert "data.test_labels: no array 'yy' in the file; did you mean 'y'?" in str(caught.value)
    assert "x float32[5, 3], y float32[5, 3]" in str(caught.value)


def test_two_for_one_role():
    with pytest.raises(ConfigError, match="both x and inputs could be the inputs of the train set"):
        find_keys(heads("x", "inputs", "y"), {})
    assert find_keys(heads("x", "inputs", "y"), {"inputs": "x"}) == {"train": ("x", "y")}


def test_of_two_of_odd_names_the_thin_one_are_the_labels():
    pair = {"train": ("arr_0", "arr_1")}
    assert find_keys(heads("arr_0", arr_1=(5,)), {}) == pair
    assert find_keys(heads("arr_0", arr_1=(5, 1)), {}) == pair
    for odd in (heads("a", "b"), heads("a", b=(4,)), heads(a=(5,), b=(5,)), heads("a", b=())):
        assert find_keys(odd, {}) == {}
    assert listed({}) == "no array"
