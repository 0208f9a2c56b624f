import dataclasses

import pytest

from jaxtrain.models import Flops


def test_what_is_done_again_is_not_counted():
    found = Flops(weights=6, attention=4, again=100)
    assert found.total == 10
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.again = 0
