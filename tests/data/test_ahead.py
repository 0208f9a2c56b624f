import itertools
import threading
import time

import pytest

from jaxtrain.data import Ahead


def eventually(condition):
    until = time.monotonic() + 30
    while not condition() and time.monotonic() < until:
        time.sleep(0.001)
    assert condition()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "jaxtrain-ahead"]


class Source:
    """Numbers, made and closed in some thread."""

    def __init__(self, stop=None):
        self.made, self.closed_in, self.stop = [], [], stop

    def __iter__(self):
        try:
            for number in itertools.count():
                if number == self.stop:
                    return
                self.made.append(number)
                yield number
        finally:
            self.closed_in.append(threading.current_thread().name)


@pytest.mark.parametrize("size", [1, 3])
def test_as_many_ahead_as_told(size):
    source = Source()
    ahead = Ahead(source, size)
    eventually(lambda: len(source.made) == size)
    assert [next(ahead) for _ in range(4)] == [0, 1, 2, 3]
    eventually(lambda: len(source.made) == size + 4)
    time.sleep(0.01)
    assert len(source.made) == size + 4
    ahead.close()


def test_the_end_stays_the_end():
    ahead = Ahead(Source(stop=3), 2)
    assert list(ahead) == [0, 1, 2]
    assert list(ahead) == []
    ahead.close()
    assert list(ahead) == []


def test_an_error_comes_in_its_turn_and_once():
    def broken():
        yield 1
        raise OSError("no more")

    ahead = Ahead(broken(), 5)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="no more"):
        next(ahead)
    assert list(ahead) == []


def test_closing_ends_the_thread_which_closes_its_source():
    source = Source()
    ahead = Ahead(source, 2)
    assert next(ahead) == 0
    ahead.close()
    assert threads() == []
    assert source.closed_in == ["jaxtrain-ahead"]
    eventually(lambda: True)
    list(itertools.islice(ahead, 3))  # what was ready may still come, and then the end
    assert list(ahead) == []


def test_a_thread_that_is_stuck_is_given_up_and_cleans_up_when_it_wakes():
    wake, closed = threading.Event(), threading.Event()

    def stuck():
        try:
            yield 1
            wake.wait(30)
            yield 2
        finally:
            closed.set()

    ahead = Ahead(stuck(), 2)
    assert next(ahead) == 1
    began = time.monotonic()
    ahead.close(patience=0.01)
    assert time.monotonic() - began < 10
    assert not closed.is_set()
    assert list(ahead) == []
    wake.set()
    assert closed.wait(30)
    eventually(lambda: threads() == [])


def test_it_can_be_closed_from_its_own_thread():
    # As where the garbage collector runs there, and drops the consumer.
    held = []

    def source():
        yield 1
        held[0].close()
        yield 2
        yield 3

    ahead = Ahead(source(), 1)
    held.append(ahead)
    assert next(ahead) == 1
    eventually(lambda: threads() == [])
    assert 3 not in list(ahead)


def test_it_says_when_it_is_waited_for():
    go_on = threading.Event()

    def slow():
        go_on.wait(30)
        yield 1

    ahead = Ahead(slow(), 1)
    assert not ahead.awaited
    reader = threading.Thread(target=lambda: next(ahead))
    reader.start()
    eventually(lambda: ahead.awaited)
    go_on.set()
    reader.join()
    assert not ahead.awaited
    ahead.close()
