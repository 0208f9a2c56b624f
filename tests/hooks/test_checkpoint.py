"""What is saved when; and a run taken up in new objects ends with the bits of the whole one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import CheckpointError, CheckpointMismatchError, ConfigError
from jaxtrain.hooks import Checkpoint, History, resume
from jaxtrain.metrics import Accuracy, Loss, Mean
from jaxtrain.optim import adamw
from jaxtrain.step import create_train_state, cross_entropy, make_train_step

ROWS = np.arange(12, dtype=np.float32)


def add(state, batch):
    """A step whose result depends on the order of the batches."""
    value = state["value"] * 0.5 + batch["x"][0]
    return {"value": value}, {"value": value, "finite": jnp.isfinite(value)}


@pytest.fixture
def prepare(tmp_path):
    """prepare(): a trainer on three batches an epoch, its loader and its store, all new."""
    stores = []

    def make(
        *,
        data=ROWS,
        start=0.0,
        seed=1,
        keep=99,
        asynchronous=False,
        monitor="train/value",
        **options,
    ):
        trainer = Engine(add, {"value": jnp.float32(start)})
        trainer.add_metrics({"train/value": Mean("value")})
        trainer.attach(History(), "history")
        loader = ArrayLoader({"x": data}, batch_size=4, seed=seed)
        store = CheckpointStore(
            tmp_path / "checkpoints", keep=keep, monitor=monitor, asynchronous=asynchronous
        )
        stores.append(store)
        trainer.attach(Checkpoint(store, loader, **options), "checkpoint")
        return trainer, loader, store

    yield make
    for store in stores:
        store.close()


def places(store):
    """Where the checkpoints were taken: (epoch, iteration)."""
    return [(saved.meta["epoch"], saved.iteration) for saved in store.saved()]


# -- when ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(1, 3), (2, 6), (3, 9)]),
        ({"every_epochs": 2}, [(2, 6), (3, 9)]),  # the last one when the run is over
        ({"every_epochs": 9}, [(3, 9)]),
        ({"every": 2}, [(1, 2), (1, 3), (2, 4), (2, 6), (2, 6), (3, 8), (3, 9)]),
        ({"every": 5, "every_epochs": 9}, [(2, 5), (3, 9)]),
    ],
)
def test_when_it_saves(prepare, options, expected):
    trainer, loader, store = prepare(**options, monitor="no/metric")
    trainer.run(loader, max_epochs=3)
    assert places(store) == expected


def test_an_epoch_better_than_all_before_is_saved_whatever_the_period(prepare):
    """Smaller is better: of the epochs, those are saved that set a record, and the last."""
    trainer, loader, store = prepare(every_epochs=99)
    values = []
    trainer.attach_handler(
        Events.EPOCH_COMPLETED, lambda e: values.append(e.state.metrics["train/value"])
    )
    trainer.run(loader, max_epochs=6)
    records = [n for n, value in enumerate(values, 1) if value < min([*values[: n - 1], np.inf])]
    assert [epoch for epoch, _ in places(store)] == sorted({*records, 6})
    assert len(places(store)) < 6


def test_it_saves_on_interruption_and_before_the_end(prepare):
    trainer, loader, store = prepare()
    trainer.attach_handler(Events.ITERATION_COMPLETED(once=2), lambda e: e.interrupt())
    trainer.attach_handler(Events.ITERATION_COMPLETED(once=5), lambda e: e.terminate())
    trainer.run(loader, max_epochs=3)
    assert places(store) == [(1, 2)]
    trainer.run(loader, max_epochs=3)
    assert places(store) == [(1, 2), (1, 3), (2, 5)]


def test_each_save_is_an_event(prepare):
    trainer, loader, _ = prepare()
    seen = []
    trainer.attach_handler(Events.CHECKPOINT_SAVED, lambda e: seen.append(e.state.iteration))
    trainer.attach_handler(Events.CHECKPOINT_SAVED(once=2), lambda: seen.append("second"))
    trainer.run(loader, max_epochs=3)
    assert seen == [3, 6, "second", 9]


def test_it_may_be_told_to_save(prepare):
    trainer, loader, store = prepare()
    hook = trainer.hooks["checkpoint"]
    hook.save(trainer)
    hook.save(trainer)  # nothing has happened since
    assert places(store) == [(0, 0)]
    trainer.run(loader)
    assert places(store) == [(0, 0), (1, 3)]


def test_nothing_is_saved_from_the_first_bad_step_on(prepare):
    bad = ROWS.copy()
    bad[ArrayLoader({"x": bad}, batch_size=4, seed=1).order(1)[4]] = np.nan
    trainer, loader, store = prepare(data=bad, every=1)
    trainer.run(loader, max_epochs=3)
    first = trainer.first_nonfinite()
    assert 1 <= first <= 5
    assert {iteration for _, iteration in places(store)} == set(range(1, first))


def test_a_save_that_fails_ends_the_run(prepare, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxtrain.checkpoint.store.write_manifest", full)
    trainer, loader, store = prepare()
    raised = []
    trainer.attach_handler(Events.EXCEPTION_RAISED, lambda error: raised.append(type(error)))
    with pytest.raises(CheckpointError, match=r"saving iteration 3 failed: .*No space left"):
        trainer.run(loader, max_epochs=3)
    assert raised == [CheckpointError]
    assert trainer.state.iteration == 3
    assert places(store) == []


def test_a_background_save_that_fails_ends_the_run_at_the_next_save(prepare, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxtrain.checkpoint.store.write_manifest", full)
    trainer, loader, _ = prepare(asynchronous=True)
    with pytest.raises(CheckpointError, match="saving iteration 3 failed"):
        trainer.run(loader, max_epochs=3)
    assert trainer.state.iteration == 6


# -- what ----------------------------------------------------------------------------------------


def test_what_stands_in_the_meta(prepare):
    trainer, loader, store = prepare(every=2, describe={"config": {"seed": 1}})
    trainer.run(loader)
    middle, end = store.saved()
    for saved in (middle, end):
        assert saved.meta["config"] == {"seed": 1}
        assert saved.meta["fingerprint"] == loader.fingerprint()
        assert saved.meta["cursor"]["fingerprint"] == loader.fingerprint()
        assert set(saved.meta["engine"]["hooks"]) == {"history"}
    assert middle.meta["cursor"]["batch"] == 2
    assert end.meta["metrics"]["train/value"] == trainer.state.metrics["train/value"]
    # Figures of an epoch before say nothing about a state in the middle of the next.
    assert "train/value" not in middle.meta["metrics"]


def test_a_save_holds_what_all_handlers_of_its_event_made_of_it(prepare):
    trainer, loader, store = prepare()

    @trainer.on(Events.EPOCH_COMPLETED, priority=-1000)
    def late(engine):
        engine.state.metrics["late"] = 7.0
        state = engine.state.train_state
        engine.state.train_state = {"value": state["value"] * 0 + 42}

    trainer.run(loader)
    (saved,) = store.saved()
    assert saved.meta["metrics"]["late"] == 7.0
    assert [row["epoch"] for row in saved.meta["engine"]["hooks"]["history"]["epochs"]] == [1]
    arrays, _ = store.load(saved, trainer.snapshot()[0])
    assert float(arrays["train_state"]["value"]) == 42


# -- going on ------------------------------------------------------------------------------------


def test_a_run_resumed_from_any_checkpoint_ends_as_the_whole_one(prepare):
    trainer, loader, store = prepare(every=1)
    trainer.run(loader, max_epochs=3)
    expected = float(trainer.state.train_state["value"])
    rows = trainer.hooks["history"].epochs
    assert len(store.saved()) == 9 + 3
    for saved in store.saved()[::3]:
        again, fresh, _ = prepare(start=99.0)
        resume(again, fresh, saved, store)
        assert (again.state.epoch, again.state.iteration) == (saved.meta["epoch"], saved.iteration)
        again.run(fresh, max_epochs=3)
        assert float(again.state.train_state["value"]) == expected
        assert again.hooks["history"].epochs == rows


def test_an_interrupted_run_goes_on_in_new_objects(prepare):
    whole, loader, _ = prepare()
    whole.run(loader, max_epochs=3)
    for path in whole.hooks["checkpoint"].store.saved():
        (path.path / "manifest.sha256").unlink()  # none of them may be used below

    trainer, loader, store = prepare()
    trainer.attach_handler(Events.ITERATION_COMPLETED(once=4), lambda e: e.interrupt())
    trainer.run(loader, max_epochs=3)
    interrupted = [s for s in store.saved() if s.iteration == 4]
    again, fresh, _ = prepare(start=99.0)
    resume(again, fresh, interrupted[0], store)
    state = again.run(fresh, max_epochs=3)
    assert (state.iteration, state.stopped) == (9, "")
    assert float(state.train_state["value"]) == float(whole.state.train_state["value"])
    assert again.hooks["history"].epochs == whole.hooks["history"].epochs


def test_a_finished_run_that_is_taken_up_does_and_saves_nothing(prepare):
    trainer, loader, store = prepare()
    trainer.run(loader, max_epochs=2)
    before = places(store)
    for _ in range(2):
        again, fresh, _ = prepare()
        resume(again, fresh, store.latest(), store)
        assert again.run(fresh, max_epochs=2).iteration == 6
    assert places(store) == before
    again.run(fresh, max_epochs=3)
    assert places(store) == [*before, (3, 9)]


def test_a_terminated_run_that_is_taken_up_stays_terminated(prepare):
    trainer, loader, store = prepare()
    trainer.attach_handler(Events.EPOCH_COMPLETED(once=2), lambda e: e.terminate())
    trainer.run(loader, max_epochs=9)
    again, fresh, _ = prepare()
    resume(again, fresh, store.latest(), store)
    state = again.run(fresh, max_epochs=9)
    assert (state.iteration, state.stopped) == (6, "terminate")


@pytest.mark.parametrize("change", [{"seed": 2}, {"data": ROWS[::-1].copy()}, {"data": ROWS[:11]}])
def test_other_data_are_refused_and_nothing_is_taken_up(prepare, change):
    trainer, loader, store = prepare()
    trainer.run(loader)
    again, fresh, _ = prepare(start=5.0, **change)
    with pytest.raises((CheckpointMismatchError, ConfigError)) as error:
        resume(again, fresh, store.latest(), store)
    assert loader.fingerprint() in str(error.value)
    assert fresh.fingerprint() in str(error.value)
    assert again.state.iteration == 0
    assert float(again.state.train_state["value"]) == 5


def test_another_model_is_refused_and_nothing_is_taken_up(prepare):
    trainer, loader, store = prepare()
    trainer.run(loader)
    again, fresh, _ = prepare()
    again.state.train_state = {"value": jnp.zeros(2), "more": jnp.int32(0)}
    with pytest.raises(CheckpointMismatchError) as error:
        resume(again, fresh, store.latest(), store)
    text = str(error.value)
    assert "train_state/value: this run has float32[2], the checkpoint float32[]" in text
    assert "missing in the checkpoint: train_state/more" in text
    assert again.state.iteration == 0
    assert fresh.cursor()["batch"] == 0


# -- with models ---------------------------------------------------------------------------------


def raw(tree):
    def words(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): words(leaf) for path, leaf in leaves}


@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_a_model_taken_up_in_the_middle_of_an_epoch_ends_with_the_same_bits(
    tmp_path, library, stochastic_model
):
    """With dropout, batch norm, shuffling, padding and a float16 loss scale."""
    model = stochastic_model(library)
    random = np.random.default_rng(0)
    data = {
        "inputs": random.normal(size=(20, 6)).astype(np.float32),
        "labels": random.integers(0, 3, 20).astype(np.int32),
    }
    tx = adamw(0.01)
    step = make_train_step(model, cross_entropy(), tx, precision="float16")

    example = {k: v[:8] for k, v in data.items()} | {"mask": np.ones(8, np.float32)}
    start = create_train_state(model, tx, example, rng=jax.random.key(1), precision="float16")

    def prepare(state, name):
        trainer = Engine(step, state)
        trainer.add_metrics({"loss": Loss(), "accuracy": Accuracy()})
        trainer.attach(History(), "history")
        loader = ArrayLoader(data, batch_size=8, seed=3)
        store = CheckpointStore(tmp_path / name, keep=9)
        trainer.attach(Checkpoint(store, loader, every=4), "checkpoint")
        return trainer, loader, store

    trainer, loader, store = prepare(start, "whole")
    trainer.run(loader, max_epochs=3)
    store.close()
    expected = raw(trainer.state.train_state)
    saved = next(s for s in store.saved() if s.iteration == 4)
    assert saved.meta["engine"]["counters"]["epoch_iteration"] == 1

    # From another start, so that everything must come from the file.
    nothing = jax.tree.map(jnp.zeros_like, start).replace(rng=jax.random.key(9))
    again, fresh, other = prepare(nothing, "resumed")
    resume(again, fresh, saved, store)
    again.run(fresh, max_epochs=3)
    other.close()
    assert raw(again.state.train_state) == expected
    assert again.hooks["history"].epochs == trainer.hooks["history"].epochs
