import struct
import threading

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from jaxtrain.engine import Events
from jaxtrain.hooks import TensorBoard


def read_events(path):
    """The records of an event file: length, its checksum, data, its checksum (TFRecord)."""
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack_from("<Q", data)
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]


def scalars(path):
    return [
        (value.tag, event.step, pytest.approx(value.simple_value))
        for event in read_events(path)
        for value in event.summary.value
    ]


def test_step_and_epoch_scalars_over_the_iteration(make_engine, tmp_path):
    engine = make_engine(
        loss=lambda i: float(i), finite=True, epochs={"val/loss": [0.5, 0.25], "m": [[1, 2], None]}
    )
    engine.attach(TensorBoard(tmp_path, every=2))
    engine.run([0, 0, 0], max_epochs=2)
    (path,) = tmp_path.glob("events.out.tfevents*")
    assert scalars(path) == [
        ("step/loss", 2, 2.0),
        ("val/loss", 3, 0.5),
        ("step/loss", 4, 4.0),
        ("step/loss", 6, 6.0),
        ("val/loss", 6, 0.25),
    ]


def test_a_resumed_run_purges_what_came_after_the_checkpoint(make_engine, saved, tmp_path):
    engine = make_engine(loss=1.0)
    engine.attach(TensorBoard(tmp_path / "1"))
    engine.run([0] * 5)

    again = make_engine(loss=1.0)
    again.attach(TensorBoard(tmp_path / "2"))
    again.restore(*saved(engine))
    again.run([0] * 5, max_epochs=2)
    (path,) = (tmp_path / "2").glob("events.out.tfevents*")
    starts = [e.step for e in read_events(path) if e.session_log.status == SessionLog.START]
    assert starts == [6]


def test_an_error_leaves_a_complete_file_and_no_thread(make_engine, tmp_path):
    def fail(iteration):
        if iteration == 3:
            raise RuntimeError("no more")
        return 1.0

    before = set(threading.enumerate())
    engine = make_engine(loss=fail)
    engine.attach(TensorBoard(tmp_path, every=1))
    with pytest.raises(RuntimeError, match="no more"):
        engine.run([0] * 5)
    (path,) = tmp_path.glob("events.out.tfevents*")
    assert [step for _, step, _ in scalars(path)] == [1, 2]
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)  # the queue's own thread ends a moment after its writer
        assert not thread.is_alive()


def test_nothing_is_written_before_the_run_begins(make_engine, tmp_path):
    make_engine().attach(TensorBoard(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_that_goes_on_opens_a_file_and_purges(make_engine, tmp_path):
    engine = make_engine(loss=1.0)
    engine.attach(TensorBoard(tmp_path, every=1))
    engine.state.iteration = 5
    engine.fire(Events.RESUMED)
    engine.fire(Events.COMPLETED)
    (path,) = tmp_path.glob("events.out.tfevents*")
    starts = [e.step for e in read_events(path) if e.session_log.status == SessionLog.START]
    assert starts == [6]
