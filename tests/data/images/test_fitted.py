import json

import pytest

from jaxtrain.data.images.fitted import Fitted
from jaxtrain.errors import ConfigError, DataError

FITTED = Fitted(("crow", "gull"), (4, 6), 3)


def test_there_and_back():
    assert Fitted.from_json(json.loads(json.dumps(FITTED.to_json()))) == FITTED


@pytest.mark.parametrize(
    "change",
    [
        {"classes": ["crow"]},
        {"classes": ["crow", "crow"]},
        {"classes": ["crow", 3]},
        {"classes": "ab"},
        {"size": [4]},
        {"size": [4, 0]},
        {"size": [4, 2**20]},
        {"size": [4, True]},
        {"size": 3},
        {"channels": 2},
        {"channels": True},
        {"channels": None},
    ],
)
def test_what_is_something_else(change):
    with pytest.raises(DataError, match="the reader of images: expected classes"):
        Fitted.from_json({**FITTED.to_json(), **change})
    for record in (None, [], {"classes": ["a", "b"]}):
        with pytest.raises(DataError, match="the reader of images"):
            Fitted.from_json(record)


def test_another_form_than_that_of_the_training():
    FITTED.refuse_others((4, 6), 3)
    for size, channels in (((6, 4), 3), ((4, 6), 1)):
        with pytest.raises(ConfigError, match="trained on images of 4x6x3, found "):
            FITTED.refuse_others(size, channels)
