import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.errors import ConfigError


def loader(**options):
    return ArrayLoader({"x": np.arange(10)}, **{"batch_size": 4, **options})


@pytest.mark.parametrize(
    ("place", "normal"),
    [((0, 0), (0, 0)), ((2, 1), (2, 1)), ((2, 3), (3, 0)), ((1, 7), (3, 1)), ((0, 12), (4, 0))],
)
def test_a_place_is_written_in_one_way(place, normal):
    subject = loader()
    cursor = subject.cursor_at(*place)
    assert (cursor["epoch"], cursor["batch"]) == normal
    assert subject.position(cursor) == normal
    assert cursor["fingerprint"] == subject.fingerprint()


def test_a_place_has_the_plain_numbers_of_json():
    cursor = loader().cursor_at(np.int64(1), np.int32(2))
    assert [type(cursor[name]) for name in ("epoch", "batch")] == [int, int]
    with pytest.raises(TypeError):
        loader().cursor_at(1.5, 0)


@pytest.mark.parametrize("place", [(-1, 0), (0, -1)])
def test_there_is_no_place_before_the_first(place):
    with pytest.raises(ConfigError, match="from 0 on"):
        loader().cursor_at(*place)


def test_the_end_of_an_epoch_is_the_beginning_of_the_next():
    subject = loader()
    assert subject.position(subject.start() | {"batch": 3}) == (1, 0)
    assert subject.cursor_at(0, 3) == subject.start(1)


def test_a_cursor_is_its_owners():
    subject = loader()
    cursor = subject.start()
    cursor["epoch"] = 99
    assert subject.start()["epoch"] == 0


@pytest.mark.parametrize("name", ["batch_size", "steps_per_epoch", "masked"])
def test_nothing_of_it_can_be_changed_behind_its_fingerprint(name):
    with pytest.raises(AttributeError):
        setattr(loader(), name, 3)
