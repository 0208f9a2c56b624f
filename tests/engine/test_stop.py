"""What was asked of a run."""

from jaxtrain.engine.stop import Stop


def test_to_end_goes_before_to_leave():
    stop = Stop()
    assert not stop
    stop.interrupt()
    assert (bool(stop), stop.run) == (True, "interrupt")
    stop.terminate()
    stop.interrupt()
    assert stop.run == "terminate"


def test_an_epoch_may_be_asked_to_end():
    assert Stop(epoch=True)
    assert Stop(epoch=True).run == ""
