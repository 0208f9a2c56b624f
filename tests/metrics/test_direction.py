import pytest

from jaxtrain.metrics import better


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val/loss", "min"),
        ("loss", "min"),
        ("accuracy", "max"),
        ("val/accuracy", "max"),
        ("val/accuracy_top5", "max"),
        ("val/inaccuracy", "min"),
        ("accuracy/loss", "min"),
        ("val/mse", "min"),
    ],
)
def test_by_the_last_part_of_the_name(name, direction):
    assert better(name) == direction


@pytest.mark.parametrize("name", ["val/loss", "val/accuracy"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_is_said_wins(name, mode):
    assert better(name, mode) == mode
