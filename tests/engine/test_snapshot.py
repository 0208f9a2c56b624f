"""A run taken up from any of its iterations ends with the bits of the whole one."""

import json
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import CheckpointError, ConfigError
from jaxtrain.metrics import Accuracy, Loss, Mean
from jaxtrain.optim import adamw
from jaxtrain.step import create_train_state, cross_entropy, make_train_step


class Rows:
    """A hook with a state: the losses of all iterations and the metrics of all epochs."""

    def __init__(self):
        self.losses, self.epochs = [], []

    def attach(self, engine):
        engine.attach_handler(
            Events.ITERATION_COMPLETED, lambda e: self.losses.append(e.scalars()["loss"])
        )
        engine.attach_handler(
            Events.EPOCH_COMPLETED, lambda e: self.epochs.append(dict(e.state.metrics))
        )

    def state(self):
        return {"losses": self.losses, "epochs": self.epochs}

    def restore(self, state):
        self.losses, self.epochs = list(state["losses"]), list(state["epochs"])


@pytest.fixture(scope="module", params=["linen", "nnx"])
def make_trainer(request, stochastic_model):
    """make_trainer(): a trainer with dropout, shuffling, accumulation and padding; and its loader.

    20 rows in batches of 8: three iterations an epoch, the last one with padding.
    """
    model = stochastic_model(request.param)
    random = np.random.default_rng(0)
    data = {
        "inputs": random.normal(size=(20, 6)).astype(np.float32),
        "labels": random.integers(0, 3, 20).astype(np.int32),
    }
    tx = adamw(0.01)
    example = {"inputs": data["inputs"][:8], "labels": data["labels"][:8], "row_mask": np.ones(8)}
    state = create_train_state(model, tx, example, rng=jax.random.key(1))
    step = make_train_step(model, cross_entropy(), tx, accumulate=2, clip_norm=1.0)

    def make():
        trainer = Engine(step, state)
        trainer.add_metrics({"loss": Loss(), "accuracy": Accuracy()})
        trainer.attach(Rows())
        return trainer, ArrayLoader(data, batch_size=8, seed=3)

    return make


def raw(tree):
    """All leaves as bytes, by path."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)

    def words(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf)

    return {jax.tree_util.keystr(p): (words(x).dtype, words(x).tobytes()) for p, x in leaves}


def taken(trainer):
    """A snapshot as a file would hold it: copies of the arrays, the rest as JSON."""
    arrays, record = trainer.snapshot()
    return jax.tree.map(jnp.copy, arrays), json.dumps(record)


EPOCHS = 3


@pytest.fixture(scope="module")
def whole(make_trainer):
    """The result of an uninterrupted run, and a snapshot after each of its events."""
    trainer, loader = make_trainer()
    snapshots = {}

    def take(engine, name):
        key = name, engine.state.epoch, engine.state.iteration
        engine.when_at_rest(lambda: snapshots.update({key: taken(engine)}))

    for event in (
        Events.EPOCH_STARTED,
        Events.ITERATION_COMPLETED,
        Events.EPOCH_COMPLETED,
        Events.COMPLETED,
    ):
        trainer.attach_handler(event, take, event.name)
    trainer.run(loader, max_epochs=EPOCHS)
    return raw(trainer.state.train_state), trainer.hooks["Rows"], snapshots


@pytest.fixture(scope="module")
def another(make_trainer):
    """A second trainer and loader, for tests that restore them first."""
    return make_trainer()


def test_resumed_from_every_event_it_ends_with_the_same_bits(another, whole):
    expected, rows, snapshots = whole
    assert len(snapshots) == 3 + 9 + 3 + 1
    trainer, loader = another
    for key, (arrays, record) in snapshots.items():
        trainer.restore(jax.tree.map(jnp.copy, arrays), json.loads(record))
        assert (trainer.state.epoch, trainer.state.iteration) == key[1:]
        state = trainer.run(loader, max_epochs=EPOCHS)
        assert raw(state.train_state) == expected, key
        assert trainer.hooks["Rows"].losses == rows.losses, key
        assert trainer.hooks["Rows"].epochs == rows.epochs, key
        assert (state.epoch, state.iteration) == (3, 9)


def test_the_snapshots_differ_so_the_comparison_can_fail(whole):
    expected, rows, snapshots = whole
    states = [raw(arrays["train_state"]) for arrays, _ in snapshots.values()]
    assert states[0] != states[-1] == expected
    assert len(set(rows.losses)) == 9
    assert len({json.dumps(epoch) for epoch in rows.epochs}) == EPOCHS


def test_an_interrupted_run_has_the_same_bits(make_trainer, whole):
    trainer, loader = make_trainer()
    trainer.attach_handler(Events.ITERATION_COMPLETED(every=2), lambda e: e.interrupt())
    runs = 1
    while trainer.run(loader, max_epochs=EPOCHS).stopped == "interrupt":
        runs += 1
    assert runs == 5
    assert raw(trainer.state.train_state) == whole[0]
    assert trainer.hooks["Rows"].losses == whole[1].losses


def test_a_finished_run_that_is_restored_is_not_done_again(another, whole):
    trainer, loader = another
    arrays, record = whole[2]["COMPLETED", 3, 9]
    trainer.restore(jax.tree.map(jnp.copy, arrays), json.loads(record))
    seen = []
    handle = trainer.attach_handler(Events.ITERATION_STARTED, lambda: seen.append(1))
    state = trainer.run(loader, max_epochs=EPOCHS)
    assert (seen, state.epoch, state.iteration) == ([], 3, 9)
    state = trainer.run(loader, max_epochs=EPOCHS + 1)
    assert (len(seen), state.epoch) == (3, 4)
    handle.remove()


# -- the parts, on an engine of the simplest kind ------------------------------------------------


def simple(*hooks):
    engine = Engine(lambda state, batch: (state + batch, {"x": batch}), jnp.float32(0))
    engine.add_metrics({"x": Mean("x")})
    for name, hook in hooks:
        engine.attach(hook, name)
    return engine


def test_what_a_snapshot_holds():
    engine = simple(("rows", Rows()))
    engine.hooks["rows"].losses = [1.5]
    arrays, record = engine.snapshot()
    assert set(arrays) >= {"train_state", "metrics"}
    assert set(arrays["metrics"]) == {"x"}
    assert record["hooks"] == {"rows": {"losses": [1.5], "epochs": []}}
    assert json.loads(json.dumps(record)) == record


def test_metrics_and_counters_are_taken_up():
    engine = simple()
    engine.attach_handler(Events.ITERATION_COMPLETED(once=3), lambda e: e.interrupt())
    engine.run([jnp.float32(x) for x in (1, 2, 3, 10)], max_epochs=2)
    arrays, record = jax.tree.map(jnp.copy, engine.snapshot()[0]), engine.snapshot()[1]
    again = simple()
    again.restore(arrays, record)
    assert again.state.counters() == engine.state.counters()
    assert again.state.iteration == 3
    # A list has no cursor: what is left of the epoch is its first batch.
    rows = []
    again.attach_handler(Events.EPOCH_COMPLETED, lambda e: rows.append(e.state.metrics["x"]))
    again.run([jnp.float32(x) for x in (6, 0, 0, 0)], max_epochs=1)
    assert rows == [3.0]  # of 1, 2, 3 and 6


class Stateless:
    def attach(self, engine):
        pass


def test_hooks_that_came_or_went_are_told_of(caplog):
    _, record = simple(("gone", Rows()), ("kept", Rows()), ("silent", Stateless())).snapshot()
    record["hooks"]["kept"]["losses"] = [7.0]
    engine = simple(("kept", Rows()), ("new", Rows()))
    with caplog.at_level(logging.WARNING):
        engine.restore(engine.snapshot()[0], record)
    assert engine.hooks["kept"].losses == [7.0]
    assert engine.hooks["new"].losses == []
    assert sorted(r.getMessage() for r in caplog.records) == [
        "hook 'gone' was not the same when the run was saved: it is not attached any more",
        "hook 'new' was not the same when the run was saved: it begins afresh",
    ]


def test_the_callers_arrays_stay_usable_after_a_restore():
    engine = simple()
    arrays, record = engine.snapshot()
    arrays = jax.tree.map(jnp.copy, arrays)
    for _ in range(2):
        engine.restore(arrays, record)
        engine.run([jnp.float32(1)] * 3)
    assert float(engine.state.train_state) == 3
    assert float(arrays["train_state"]) == 0
    jax.block_until_ready(arrays)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(arrays))


def test_the_form_of_a_saved_run_is_that_of_the_one_that_goes_on(caplog):
    step, batches = (lambda s, b: (s + b, {})), [jnp.float32(1)] * 3
    saved = Engine(step, jnp.float32(0), form="single")
    saved.run(batches)
    arrays, record = saved.snapshot()
    again = Engine(step, jnp.float32(0))
    again.restore(arrays, record)
    assert again.form == "single"
    pinned = Engine(step, jnp.float32(0), form="fused")
    pinned.restore(arrays, record)
    assert pinned.form == "fused"
    assert "saved in the form 'single' and goes on as 'fused'" in caplog.text


def counted(**limits):
    engine = Engine(lambda engine, batch: {"loss": 1.0})
    engine.run([0, 0], **limits)
    return engine


def test_limits_that_numpy_counted_are_a_record_like_any_other():
    engine = counted(max_epochs=np.int64(2))
    arrays, record = engine.snapshot()
    again = Engine(lambda engine, batch: {"loss": 1.0})
    again.restore(arrays, record)
    assert again.state.epoch == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record.pop("fired"), "fired is missing"),
        (lambda record: record["counters"].pop("epoch"), "counters.epoch is missing"),
        (
            lambda record: record["counters"].update(iteration="4"),
            "counters.iteration: .*'4'",
        ),
        (lambda record: record["counters"].update(epoch_iteration=5), "counters: more iterations"),
        (lambda record: record["counters"].update(stopped=None), "counters.stopped"),
        (lambda record: record.update(cursor=[3]), r"cursor: .*found \[3\]"),
        (lambda record: record.update(form="loose"), "form"),
        (lambda record: record["fired"].update(STARTED=-1), "fired.STARTED"),
        (lambda record: record.update(hooks=None), "hooks"),
        (lambda record: record.update(user=3), "user"),
    ],
)
def test_what_is_no_record_is_named_and_takes_nothing_up(change, says):
    arrays, record = counted(max_epochs=2).snapshot()
    change(record)
    again = counted(max_epochs=1)
    with pytest.raises(ConfigError, match=f"not the record of a run: {says}"):
        again.restore(arrays, record)
    assert again.state.epoch == 1


def test_a_hook_that_can_not_take_up_its_state_is_named():
    class Theirs:
        def attach(self, engine):
            pass

        def state(self):
            return {}

        def restore(self, state):
            raise ZeroDivisionError("no")

    engine = counted(max_epochs=1)
    engine.attach(Theirs(), "theirs")
    with pytest.raises(CheckpointError, match=r"hooks\.theirs: .*ZeroDivisionError: no"):
        engine.restore(*engine.snapshot())
