import pickle
import threading

import numpy as np
import pytest

from jaxtrain.batch import ROW_MASK
from jaxtrain.data.epoch_order import EpochOrder
from jaxtrain.data.records import RecordReader, corrupt_record, first_good
from jaxtrain.errors import DataError

GOOD = {"x": np.float32(0)}


class Rows(list):
    """Raises where an error stands in the place of a record."""

    def __getitem__(self, index):
        record = super().__getitem__(index)
        if isinstance(record, Exception):
            raise record
        return record


def reader(records, **options):
    order = {"batch_size": 2, "shuffle": False, "seed": 0, "last_batch": "pad"} | options
    return RecordReader(records, EpochOrder(len(records), **order), first_good(records, 1))


def test_batches_are_numbered_over_epochs():
    subject = reader([{"x": float(i)} for i in range(5)])
    found = [subject(number)[0] for number in range(6)]
    assert [b["x"].tolist() for b in found] == 2 * [[0, 1], [2, 3], [4, 0]]
    assert [b[ROW_MASK].tolist() for b in found] == 2 * [[1, 1], [1, 1], [1, 0]]


def test_each_epoch_has_its_order():
    subject = reader([{"x": i} for i in range(20)], shuffle=True)
    order = EpochOrder(20, batch_size=2, shuffle=True, seed=0, last_batch="pad")
    for epoch in (1, 0, 2):
        found = [subject(epoch * 10 + step)[0]["x"].tolist() for step in range(10)]
        assert found == order.indices(epoch)[0].tolist()


def test_what_cannot_be_used_is_told_and_masked():
    records = Rows([GOOD, OSError("gone"), {"x": np.ones(2)}, {"y": np.float32(1)}, {"x": 1}])
    subject = reader(records, batch_size=5)
    batch, corrupt = subject(0)
    assert batch["x"].tolist() == [0] * 5
    assert batch[ROW_MASK].tolist() == [1, 0, 0, 0, 0]
    assert corrupt[1] == "OSError: gone"
    assert corrupt[2] == "expected x float32[] as in the first record, found x float64[2]"
    assert corrupt[3].endswith("found y float32[]")
    assert corrupt[4].endswith("found x int64[]")


def test_a_mask_is_the_readers_own():
    subject = reader([GOOD, GOOD])
    subject(0)[0][ROW_MASK][:] = 7
    assert subject(0)[0][ROW_MASK].tolist() == [1, 1]


def test_two_threads_at_two_epochs_get_their_own_rows():
    class Switching:
        """The rows of epoch 0; just when they are looked at, another thread reads epoch 1."""

        def __getitem__(self, step):
            thread = threading.Thread(target=subject, args=(1,))
            thread.start()
            thread.join()
            return np.array([0, 1])

    class Order:
        steps_per_epoch = 1

        def indices(self, epoch):
            return [(Switching(), np.ones((1, 2))), (np.array([[2, 2]]), np.zeros((1, 2)))][epoch]

    subject = RecordReader([{"x": i} for i in range(3)], Order(), {"x": np.asarray(0)})
    batch, _ = subject(0)
    assert batch["x"].tolist() == [0, 1]
    assert batch[ROW_MASK].tolist() == [1, 1]


def test_a_reader_can_be_sent_to_a_worker():
    subject = pickle.loads(pickle.dumps(reader([GOOD, GOOD])))
    assert subject(0)[0]["x"].tolist() == [0, 0]


def test_the_first_good_record_says_what_all_must_be():
    assert first_good(Rows([OSError("x"), GOOD]), 1) == GOOD
    with pytest.raises(DataError, match=r"record 1 .* OSError: y"):
        first_good(Rows([OSError("x"), OSError("y"), GOOD]), 1)
    with pytest.raises(DataError, match=r"record 0 .* OSError: x"):
        first_good(Rows([OSError("x")]), 5)


@pytest.mark.parametrize("record", [{}, {ROW_MASK: 1.0, "x": 1.0}])
def test_records_of_nothing_and_of_the_loaders_own_name(record):
    with pytest.raises(DataError, match="'row_mask' not among them"):
        first_good([record], 0)


def test_a_record_may_have_a_mask_of_its_own():
    assert set(first_good([{"mask": np.ones(3)}], 0)) == {"mask"}


def test_an_error_tells_what_was_left_out_before():
    assert str(corrupt_record(3, "torn", {9: "a", 1: "b"})) == (
        "record 3 (counted from 0) is corrupt: torn; left out before: records 1, 9"
    )
    assert str(corrupt_record(3, "torn", {})).endswith("torn")
