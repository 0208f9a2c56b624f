"""Single batches, for the single form and for host engines."""

import pytest

from jaxtrain.engine.batches.door import as_loader
from jaxtrain.engine.batches.one_by_one import OneByOne


def begun(given, cursor=None, **options):
    feed = OneByOne(as_loader(given), **options)
    feed.begin(cursor, anew=True)
    return feed


def test_one_batch_whatever_the_limit(numbers):
    feed = begun(numbers(3))
    portion = feed.take(100, 100)
    assert (portion.data, portion.length, portion.get) == (0, 1, None)
    assert portion.look(0) == 0
    assert feed.take(100, 100).data == 0  # taking moves nothing
    assert feed.used(1)["batch"] == 1


def drawn(feed):
    """The next batch, used; None at the end."""
    portion = feed.take(1, None)
    if portion is None:
        return None
    feed.used(1)
    return portion.data


def test_a_loader_has_no_end_and_a_plain_iterable_has(numbers):
    feed = begun(numbers(2))
    assert [drawn(feed) for _ in range(5)] == [0, 1, 0, 1, 0]
    feed = begun([7, 8])
    assert [drawn(feed) for _ in range(2)] == [7, 8]
    assert drawn(feed) is None
    assert drawn(feed) == 7


def test_it_goes_to_a_place_unless_it_is_there(numbers):
    loader = numbers(5)
    begun_at = []
    real = loader.batches
    loader.batches = lambda cursor=None: begun_at.append(cursor["batch"]) or real(cursor)
    feed = begun(loader, loader.start())
    feed.take(1, None)
    place = feed.used(1)
    feed.begin(place, anew=False)
    assert begun_at == [0]  # it stood there
    feed.begin(loader.start(), anew=False)
    assert feed.take(1, None).data == 0
    assert begun_at == [0, 0]


def test_after_an_error_it_begins_at_the_place(numbers):
    loader = numbers(5)
    real, fail = loader.batches, [True]

    def batches(cursor=None):
        for number, place in real(cursor):
            if number == 2 and fail:
                fail.clear()
                raise OSError("gone")
            yield number, place

    loader.batches = batches
    feed = begun(loader, loader.start())
    for _ in range(2):
        feed.take(1, None)
        place = feed.used(1)
    with pytest.raises(OSError, match="gone"):
        feed.take(1, None)
    feed.begin(place, anew=False)
    assert feed.take(1, None).data == 2


def test_batches_are_adapted():
    assert begun([1, 2], adapt=lambda batch: batch * 10).take(1, None).data == 10


def test_closing_ends_an_iteration_that_can_be_found_again(numbers):
    closed = []

    class Closing(numbers):
        def _from(self, epoch, batch):
            try:
                yield from super()._from(epoch, batch)
            finally:
                closed.append(True)

    feed = begun(Closing(3), Closing(3).start())
    feed.take(1, None)
    feed.close()
    assert closed == [True]
    plain = begun(iter([1, 2, 3]))
    assert drawn(plain) == 1
    plain.close()
    assert drawn(plain) == 2
