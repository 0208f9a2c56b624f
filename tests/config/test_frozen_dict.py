"""A dict that can't be written to."""

import copy
import pickle

import pytest

from jaxtrain.config.frozen_dict import FrozenDict
from jaxtrain.errors import FrozenConfigError


@pytest.mark.parametrize(
    "write",
    [
        lambda d: d.__setitem__("a", 2),
        lambda d: d.__delitem__("a"),
        lambda d: d.__ior__({"a": 2}),
        lambda d: d.update(a=2),
        lambda d: d.setdefault("b", 2),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.clear(),
    ],
    ids=["set", "delete", "|=", "update", "setdefault", "pop", "popitem", "clear"],
)
def test_no_way_of_writing_is_left(write):
    frozen = FrozenDict({"a": 1})
    with pytest.raises(FrozenConfigError, match="a checked config is frozen; change the ConfigD"):
        write(frozen)
    assert frozen == {"a": 1}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_a_copy_of_it_is_as_frozen(copied):
    other = copied(FrozenDict({"a": [1]}))
    assert other == {"a": [1]}
    with pytest.raises(FrozenConfigError):
        other["a"] = 2


def test_what_is_made_of_it_is_an_ordinary_dict():
    made = FrozenDict({"a": 1}) | {"b": 2}
    made["c"] = 3
    assert made == {"a": 1, "b": 2, "c": 3}
