"""Hooks and metrics around a loop by hand: what an engine would do, event for event."""

import jax
import numpy as np
import pytest

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events, OwnLoop
from jaxtrain.errors import NonFiniteError
from jaxtrain.hooks import Checkpoint, Console, EarlyStopping, NaNGuard, resume
from jaxtrain.metrics import Loss

RANDOM = np.random.default_rng(0)
DATA = {
    "inputs": RANDOM.normal(size=(20, 3)).astype(np.float32),
    "labels": RANDOM.normal(size=20).astype(np.float32),
}
METRICS = {"loss": Loss()}


def squares(state, batch):
    """Least squares by hand; a state is `{"w": [3]}`."""

    def loss(w):
        return ((batch["inputs"] @ w - batch["labels"]) ** 2).sum()

    total, grad = jax.value_and_grad(loss)(state["w"])
    output = {"loss": total / 4, "loss_sum": total, "loss_weight": np.float32(4), "finite": True}
    return {"w": state["w"] - 0.01 * grad}, output


step = jax.jit(squares)
START = {"w": np.zeros(3, np.float32)}


def loader():
    return ArrayLoader(DATA, batch_size=4, seed=3)


def drive(loop, epochs, *, data=None, take=step, each=lambda loop: None):
    data = data or loader()
    for _ in loop.epochs(epochs):
        for state, batch in loop.batches(data):
            loop.done(*take(state, batch))
            each(loop)
    return loop.state.train_state


def test_events_counts_and_figures_are_those_of_an_engine(record):
    engine = Engine(squares, START, form="single")
    engine.add_metrics(METRICS)
    expected = record(engine, with_counts=True)
    engine.run(loader(), max_epochs=3)
    loop = OwnLoop(START, metrics=METRICS)
    seen = record(loop, with_counts=True)
    state = drive(loop, 3)
    assert seen == [event for event in expected if event[0] != "RECOMPILED"]
    assert loop.state.metrics == pytest.approx(engine.state.metrics, rel=1e-6)
    np.testing.assert_allclose(state["w"], engine.state.train_state["w"], rtol=1e-6)
    assert loop.state.train_state is state
    assert loop.state.times["EPOCH_COMPLETED"] > 0


def test_hooks_do_what_they_do(capsys):
    stop = EarlyStopping(monitor="loss", patience=1, min_delta=10.0)
    loop = OwnLoop(START, hooks=[Console(), NaNGuard(every=1), stop], metrics=METRICS)
    drive(loop, 9)
    assert loop.state.epoch == 2
    assert loop.state.stopped == "terminate"
    assert capsys.readouterr().out.count("epoch ") == 2


@pytest.mark.parametrize("metrics", [METRICS, {}])
def test_a_step_that_was_not_finite_is_named_exactly(metrics):
    def broken(state, batch):
        state, output = step(state, batch)
        return state, {**output, "finite": np.bool_(loop.state.iteration != 3)}

    loop = OwnLoop(START, hooks=[NaNGuard(every=5)], metrics=metrics)
    with pytest.raises(NonFiniteError, match="iteration 3 "):
        drive(loop, 2, take=broken)


def test_it_is_named_exactly_behind_a_break_too():
    loop = OwnLoop(START, hooks=[NaNGuard(every=5)])
    for _ in loop.epochs(2):
        for state, batch in loop.batches(loader()):
            loop.done(*step(state, batch))
            if loop.state.iteration == 4:
                break
        break

    def broken(state, batch):
        state, output = step(state, batch)
        return state, {**output, "finite": np.bool_(loop.state.iteration != 8)}

    with pytest.raises(NonFiniteError, match="iteration 8 "):
        drive(loop, 4, take=broken)


def test_what_a_hook_makes_of_the_state_is_what_the_next_step_gets():
    loop = OwnLoop(START)

    @loop.on(Events.EPOCH_COMPLETED(once=1))
    def begin_anew(engine):
        engine.state.train_state = {"w": np.full(3, 7.0, np.float32)}

    got = []
    for _ in loop.epochs(2):
        for state, batch in loop.batches(loader()):
            got.append(np.asarray(state["w"]).tolist())
            loop.done(*step(state, batch))
    assert got[0] == [0.0, 0.0, 0.0]
    assert got[5] == [7.0, 7.0, 7.0]


def test_an_iteration_can_end_the_epoch_and_the_run():
    loop, seen = OwnLoop(), []
    loop.on(Events.ITERATION_COMPLETED(once=2))(Engine.terminate_epoch)
    loop.on(Events.ITERATION_COMPLETED(once=4))(Engine.terminate)
    for epoch in loop.epochs(5):
        for _, batch in loop.batches([10, 20, 30]):
            seen.append((epoch, batch))
            loop.done(None, {"x": batch})
    assert seen == [(1, 10), (1, 20), (2, 10), (2, 20)]


def test_a_loop_that_is_left_goes_on_with_the_next_batch():
    whole, parts = [], []
    loop = OwnLoop(START)
    drive(loop, 2, each=lambda loop: whole.append(loop.state.batch["inputs"].tolist()))
    loop, data = OwnLoop(START), loader()

    def some(wanted):
        for _ in loop.epochs(2):
            for state, batch in loop.batches(data):
                if len(parts) == wanted:
                    return
                loop.done(*step(state, batch))
                parts.append(batch["inputs"].tolist())

    for wanted in (3, 7, 10):  # in an epoch, in the next one, to the end
        some(wanted)
        assert loop.state.iteration == wanted
    assert parts == whole
    expected = drive(OwnLoop(START), 2)["w"]
    np.testing.assert_array_equal(loop.state.train_state["w"], expected)


def test_an_iteration_is_over_when_its_step_is_done():
    """A loop that is left behind `done` has left neither its event nor a host metric out."""

    class Seen:
        def reset(self):
            self.losses = []

        def update(self, output):
            self.losses.append(float(output["loss"]))

        def compute(self):
            return float(len(self.losses))

    loop, data = OwnLoop(START, metrics={"seen": Seen()}), loader()
    fired = []
    loop.on(Events.ITERATION_COMPLETED)(lambda engine: fired.append(engine.state.iteration))
    for wanted in (3, 10):
        for _ in loop.epochs(2):
            for state, batch in loop.batches(data):
                loop.done(*step(state, batch))
                if loop.state.iteration == wanted:
                    break
            if loop.state.iteration == wanted:
                break
    list(loop.epochs(2))
    assert fired == list(range(1, 11))
    assert loop.state.metrics["seen"] == 5.0


def test_a_checkpoint_goes_on_in_another_process(tmp_path):
    store = CheckpointStore(tmp_path, keep=9, monitor="loss", asynchronous=False)
    data = loader()
    loop = OwnLoop(START, hooks=[Checkpoint(store, data, every=3)], metrics=METRICS)
    end = drive(loop, 2, data=data)
    figures = dict(loop.state.metrics)
    again = OwnLoop(START, hooks=[Checkpoint(store, data, every=3)], metrics=METRICS)
    first = next(saved for saved in store.saved() if saved.iteration == 6)
    resume(again, first, store)
    assert again.state.iteration == 6
    state = drive(again, 2, data=data)
    np.testing.assert_array_equal(state["w"], end["w"])
    assert again.state.metrics == figures


def calling(loop, times):
    """A loop over two batches that says so many times that it has taken its step."""
    for _ in loop.epochs(1):
        for _ in loop.batches([1, 2]):
            for _ in range(times):
                loop.done(None, {})


def nested(loop):
    for _ in loop.epochs(1):
        next(loop.epochs(1))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda loop: loop.run([1]), r"write `for epoch in loop\.epochs"),
        (lambda loop: next(loop.batches([1])), "within `for epoch"),
        (lambda loop: loop.done(None, {}), "once for each batch"),
        (lambda loop: calling(loop, 0), r"iteration 1: expected loop\.done"),
        (lambda loop: calling(loop, 2), "once for each batch"),
        (nested, "the engine runs"),
    ],
)
def test_it_says_what_was_forgotten(use, message):
    with pytest.raises(RuntimeError, match=message):
        use(OwnLoop())
