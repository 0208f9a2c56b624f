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


def test_the_open_epoch_is_not_completed(make_engine):
    state = make_engine().state
    state.epoch, state.epoch_open = 3, True
    assert completed_epochs(state) == 2
    state.epoch_open = False
    assert completed_epochs(state) == 3


def test_rows_say_what_a_step_and_an_epoch_have_to_tell_and_no_time(make_engine):
    engine = make_engine(loss=0.5, n=3, text="x", nothing=None, epochs={"val/loss": [0.25]})
    engine.run([0])
    assert iteration_row(engine) == {"epoch": 1, "iteration": 1, "loss": 0.5, "n": 3.0}
    assert epoch_row(engine) == {"epoch": 1, "iteration": 1, "val/loss": 0.25}
