from jaxtrain.engine import EngineState
from jaxtrain.hooks.rows import completed_epochs, epoch_row, iteration_row


def test_the_loss_comes_first_and_parts_of_other_figures_not_at_all(make_engine):
    engine = make_engine(accuracy=0.5, grad_norm=2.0, loss=0.25, loss_sum=8.0, finite=True)
    engine.run([0, 0])
    assert list(iteration_row(engine).items()) == [
        ("epoch", 1),
        ("iteration", 2),
        ("loss", 0.25),
        ("accuracy", 0.5),
        ("grad_norm", 2.0),
    ]
    engine.state.metrics = {"a": 1, "val/accuracy": 0.5, "val/loss": 0.25, "val/matrix": [[1]]}
    assert list(epoch_row(engine)) == ["epoch", "iteration", "val/loss", "a", "val/accuracy"]


def test_the_open_epoch_is_not_completed():
    assert completed_epochs(EngineState(epoch=3, epoch_open=True)) == 2
    assert completed_epochs(EngineState(epoch=3, epoch_open=False)) == 3
