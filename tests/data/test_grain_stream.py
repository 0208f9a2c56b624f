import multiprocessing
import os
import signal

import numpy as np
import pytest

from jaxtrain.data.grain_stream import Stream
from jaxtrain.errors import WorkerError


def numbers(number):
    return {"x": np.full(2, number)}, {int(number): "odd"} if number % 2 else {}


def dies(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return numbers(number)


def breaks(number):
    raise RuntimeError("terminated by a reader of one's own")


@pytest.mark.parametrize("workers", [0, 2])
def test_it_reads_from_a_number_on(workers):
    stream = Stream(numbers, 5, workers=workers, ahead=1)
    for number in range(5, 9):
        assert stream.number == number
        batch, corrupt = stream.read("a batch")
        assert batch["x"].tolist() == [number, number]
        assert corrupt == ({number: "odd"} if number % 2 else {})
        batch["x"][:] = 0  # it is the reader's
        assert not stream.busy
    stream.close()
    stream.close()
    assert not multiprocessing.active_children()


def test_a_dead_worker_is_told_with_the_batch_it_was_for():
    stream = Stream(dies, 7, workers=1, ahead=1)
    with pytest.raises(WorkerError, match=r"died before the first one: .* for its memory"):
        stream.read("the first one")
    stream.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_readers_is_not_the_workers(workers):
    stream = Stream(breaks, 0, workers=workers, ahead=1)
    with pytest.raises(RuntimeError, match="of one's own") as caught:
        stream.read("a batch")
    assert not isinstance(caught.value, WorkerError)
    assert not stream.busy
    stream.close()
