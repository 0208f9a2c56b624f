"""What is saved when; and a run taken up in new objects ends with the bits of the whole one."""

import dataclasses
import time

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
from jaxtrain.step import TrainState, create_train_state, cross_entropy, make_train_step
from tests.processes import run_together

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

    monkeypatch.setattr("jaxtrain.checkpoint.committer.write_manifest", full)
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

    monkeypatch.setattr("jaxtrain.checkpoint.committer.write_manifest", full)
    trainer, loader, _ = prepare(asynchronous=True)
    with pytest.raises(CheckpointError, match="saving iteration 3 failed"):
        trainer.run(loader, max_epochs=3)
    assert trainer.state.iteration == 6


@pytest.mark.parametrize("how", ["over", "interrupted", "failed"])
def test_when_a_run_is_left_its_saves_are_on_the_disk(prepare, monkeypatch, how):
    """A script that ends right after `run` would end its background threads, too."""
    trainer, loader, store = prepare(asynchronous=True)
    commit = store._commit

    def slow(*arguments):
        time.sleep(0.2)
        commit(*arguments)

    monkeypatch.setattr(store, "_commit", slow)
    if how == "interrupted":
        trainer.attach_handler(Events.ITERATION_COMPLETED(once=4), lambda e: e.interrupt())
    if how == "failed":
        trainer.attach_handler(Events.ITERATION_COMPLETED(once=4), lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trainer.run(loader, max_epochs=2)
    else:
        trainer.run(loader, max_epochs=2)
    names = sorted(path.name for path in store.directory.glob("[0-9]*"))
    last = {"over": "00000006", "interrupted": "00000004", "failed": "00000003"}[how]
    assert names[-1] == last


def test_a_monitor_nobody_provides_is_told_of_once(prepare, caplog):
    trainer, loader, _ = prepare(monitor="train/valeu")
    trainer.run(loader, max_epochs=3)
    (said,) = [r.getMessage() for r in caplog.records if "no metric is called" in r.getMessage()]
    assert "'train/valeu'; did you mean 'train/value'?" in said


# -- what ----------------------------------------------------------------------------------------


def test_what_stands_in_the_meta(prepare):
    trainer, loader, store = prepare(every=2, describe={"config": {"seed": 1}})
    trainer.run(loader)
    middle, end = store.saved()
    assert (middle.iteration, end.iteration) == (2, 3)
    for saved in (middle, end):
        assert saved.meta["config"] == {"seed": 1}
        assert saved.meta["fingerprint"] == loader.fingerprint()
        assert saved.meta["engine"]["cursor"]["fingerprint"] == loader.fingerprint()
        assert set(saved.meta["engine"]["hooks"]) == {"history"}
    assert middle.meta["engine"]["cursor"]["batch"] == 2
    assert end.meta["metrics"]["train/value"] == trainer.state.metrics["train/value"]
    assert middle.meta["metrics"] == {}


def test_what_is_known_later_is_said_from_then_on(prepare):
    trainer, loader, store = prepare(describe={"config": {"seed": 1}, "data": {}})
    trainer.run(loader)
    trainer.hooks["checkpoint"].describe(weights={"a.bin": "f"}, data={"train": "x"})
    trainer.run(loader, max_epochs=2)
    before, after = (saved.meta for saved in store.saved())
    assert before["data"] == {}
    assert "weights" not in before
    assert (after["weights"], after["data"]) == ({"a.bin": "f"}, {"train": "x"})
    assert after["config"] == before["config"]


def test_figures_of_an_epoch_say_nothing_about_the_middle_of_the_next(prepare):
    """They are still in `state.metrics` there, and must not pass for the best."""
    trainer, loader, store = prepare(every=1, keep=99)
    seen = {}

    @trainer.on(Events.ITERATION_COMPLETED)
    def look(engine):
        seen[engine.state.iteration] = dict(engine.state.metrics)

    trainer.run(loader, max_epochs=3)
    assert "train/value" in seen[5]  # of epoch 1, in the middle of epoch 2
    figures = {
        (s.meta["epoch"], s.iteration, s.path.name): s.meta["metrics"] for s in store.saved()
    }
    ends = {3, 6, 9}
    assert len(figures) == 9 + 3
    for (epoch, iteration, name), metrics in figures.items():
        # The end of an epoch is saved twice: as its last iteration, and as an epoch that is over.
        is_end = iteration in ends and name.endswith(".1")
        assert bool(metrics) == is_end, (epoch, iteration, name)
    assert store.best().path.name.endswith(".1")
    assert store.best().iteration in ends


def test_the_place_is_that_of_the_steps_and_not_of_who_reads_ahead(prepare):
    """Batches are put together ahead of the steps; what counts is which of them were used."""
    trainer, loader, store = prepare(every=2, monitor="no/metric")
    expected = Engine(add, {"value": jnp.float32(0)})
    expected.run(ArrayLoader({"x": ROWS}, batch_size=4, seed=1), max_epochs=3)
    streamed = Streamed(loader)
    trainer = Engine(add, {"value": jnp.float32(0)}, form="fused")
    trainer.attach(Checkpoint(store, streamed, every=2), "checkpoint")
    trainer.run(streamed, max_epochs=3)
    assert streamed.handed_out > 0
    for saved in store.saved():
        again = Engine(add, {"value": jnp.float32(99)}, form="fused")
        fresh = Streamed(ArrayLoader({"x": ROWS}, batch_size=4, seed=1))
        resume(again, saved, store)
        again.run(fresh, max_epochs=3)
        value = float(again.state.train_state["value"])
        assert value == float(expected.state.train_state["value"]), saved.iteration


class Streamed:
    """A loader that does not offer its arrays, so that an engine reads ahead of its steps."""

    def __init__(self, loader):
        self._loader = loader
        self.handed_out = 0

    batch_size = property(lambda self: self._loader.batch_size)
    steps_per_epoch = property(lambda self: self._loader.steps_per_epoch)

    def fingerprint(self):
        return self._loader.fingerprint()

    def example(self):
        return self._loader.example()

    def start(self, epoch=0):
        return self._loader.start(epoch)

    def batches(self, cursor=None):
        return map(self._count, self._loader.batches(cursor))

    def _count(self, item):
        self.handed_out += 1
        return item

    def __iter__(self):
        return iter(self._loader)


# -- without a place -----------------------------------------------------------------------------


class NoPlace:
    """A loader of one's own that can only be iterated over."""

    def __iter__(self):
        return iter([{"x": ROWS[:4]}] * 3)


@pytest.mark.parametrize(
    ("loader", "called"),
    [
        ([{"x": ROWS[:4]}], "a list"),
        ((batch for batch in [{"x": ROWS[:4]}]), "a generator"),
        (NoPlace(), "a NoPlace"),
    ],
)
def test_what_has_no_place_is_refused_before_anything_has_run(prepare, loader, called):
    trainer, _, store = prepare()
    with pytest.raises(ConfigError) as error:
        trainer.attach(Checkpoint(store, loader), "second")
    assert str(error.value) == (
        f"Checkpoint: expected a loader, found {called}, which does not say where in the data a "
        "run stands. Take an ArrayLoader or a GrainLoader, or give yours what jaxtrain.data.Loader "
        "lists; loader=None saves without a place in the data"
    )
    assert "second" not in trainer.hooks


def test_a_run_over_something_else_than_the_hooks_loader_is_refused(prepare):
    trainer, _, _ = prepare()
    with pytest.raises(ConfigError, match="does not go over the loader that this hook was given"):
        trainer.run([{"x": ROWS[:4]}])


def test_who_says_so_saves_without_a_place_and_is_warned_when_going_on(prepare, caplog):
    _, _, store = prepare()
    batches = [{"x": ROWS[i : i + 4]} for i in (0, 4, 8)]

    def make():
        trainer = Engine(add, {"value": jnp.float32(0)})
        trainer.attach(Checkpoint(store, None), "checkpoint")
        return trainer

    trainer = make()
    trainer.run(batches, max_epochs=2)
    saved = store.latest()
    assert saved.meta["engine"]["cursor"] is None
    assert caplog.records == []
    again = make()
    resume(again, saved, store)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert warning == (
        f"{saved.path}: it was saved without a place in the data; the run goes on with whatever "
        "batches come first: not bit-exact"
    )
    assert again.state.iteration == 6
    again.run(batches, max_epochs=3)
    assert again.state.iteration == 9


def test_what_no_hook_has_saved_is_no_run(prepare):
    trainer, _, store = prepare()
    store.save({"train_state": 1}, iteration=1, meta={})
    with pytest.raises(CheckpointError, match=r"hooks\.Checkpoint has not saved it; store\.load"):
        resume(trainer, store.latest(), store)


# -- a frozen base -------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [{"base": jnp.arange(4096.0)}, {}])
def test_a_frozen_base_is_written_once(tmp_path, frozen):
    """An adapter over a base: the base stands on the disk once, and comes back with each."""

    def step(state, batch):
        base = state.frozen["base"].sum() * 0 if state.frozen else 0.0
        value = state.params["a"] * 0.5 + batch["x"][0] + base
        return state.replace(params={"a": value}, step=state.step + 1), {"value": value}

    def prepare():
        state = TrainState(
            step=jnp.int32(0),
            params={"a": jnp.float32(0)},
            frozen=jax.tree.map(jnp.copy, frozen),
            model_state={},
            opt_state=(),
            rng=jax.random.key(0),
        )
        trainer = Engine(step, state)
        loader = ArrayLoader({"x": ROWS}, batch_size=4, seed=1)
        store = CheckpointStore(tmp_path / "checkpoints", keep=9, asynchronous=False)
        trainer.attach(Checkpoint(store, loader), "checkpoint")
        return trainer, loader, store

    trainer, loader, store = prepare()
    trainer.run(loader, max_epochs=3)
    parts = {"train_state/frozen"} if frozen else set()
    assert [set(saved.meta["shared"]) for saved in store.saved()] == [parts] * 3
    bases = list(store.directory.glob("shared/*"))
    assert len(bases) == len(parts)
    sizes = [sum(f.stat().st_size for f in s.path.rglob("*") if f.is_file()) for s in store.saved()]
    assert max(sizes) < 4096 * 4
    again, fresh, _ = prepare()
    resume(again, store.saved()[0], store)
    again.run(fresh, max_epochs=3)
    assert raw(again.state.train_state) == raw(trainer.state.train_state)
    assert list(store.directory.glob("shared/*")) == bases


def test_a_state_that_calls_something_else_frozen_is_saved_whole(tmp_path):
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class State:
        value: jax.Array
        frozen: bool = dataclasses.field(default=True, metadata={"static": True})

    def step(state, batch):
        return State(state.value + batch["x"][0]), {"value": state.value}

    trainer = Engine(step, State(jnp.float32(0)))
    loader = ArrayLoader({"x": ROWS}, batch_size=4)
    store = CheckpointStore(tmp_path / "checkpoints", asynchronous=False)
    trainer.attach(Checkpoint(store, loader), "checkpoint")
    trainer.run(loader)
    assert store.latest().meta["shared"] == {}


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
        resume(again, saved, store)
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
    resume(again, interrupted[0], store)
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
        resume(again, store.latest(), store)
        assert again.run(fresh, max_epochs=2).iteration == 6
    assert places(store) == before
    again.run(fresh, max_epochs=3)
    assert places(store) == [*before, (3, 9)]


def test_a_terminated_run_that_is_taken_up_goes_on_from_there(prepare):
    """L2."""
    trainer, loader, store = prepare()
    trainer.attach_handler(Events.EPOCH_COMPLETED(once=2), lambda e: e.terminate())
    trainer.run(loader, max_epochs=9)
    again, fresh, _ = prepare()
    resume(again, store.latest(), store)
    state = again.run(fresh, max_epochs=9)
    assert (state.iteration, state.stopped) == (27, "")


@pytest.mark.parametrize("change", [{"seed": 2}, {"data": ROWS[::-1].copy()}, {"data": ROWS[:11]}])
def test_other_data_are_refused_and_nothing_is_taken_up(prepare, change):
    trainer, loader, store = prepare()
    trainer.run(loader)
    again, fresh, _ = prepare(start=5.0, **change)
    with pytest.raises(CheckpointMismatchError) as error:
        resume(again, store.latest(), store)
    assert loader.fingerprint() in str(error.value)
    assert fresh.fingerprint() in str(error.value)
    assert again.state.iteration == 0
    assert float(again.state.train_state["value"]) == 5


def test_another_model_is_refused_and_nothing_is_taken_up(prepare):
    trainer, loader, store = prepare()
    trainer.run(loader)
    again, _, _ = prepare()
    again.state.train_state = {"value": jnp.zeros(2), "more": jnp.int32(0)}
    with pytest.raises(CheckpointMismatchError) as error:
        resume(again, store.latest(), store)
    text = str(error.value)
    assert "train_state/value: this run has float32[2], the checkpoint float32[]" in text
    assert "missing in the checkpoint: train_state/more" in text
    assert again.state.iteration == 0
    assert again.cursor() is None


# -- with models ---------------------------------------------------------------------------------


def raw(tree):
    def words(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): words(leaf) for path, leaf in leaves}


@pytest.mark.slow
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
    resume(again, saved, store)
    again.run(fresh, max_epochs=3)
    other.close()
    assert raw(again.state.train_state) == expected
    assert again.hooks["history"].epochs == trainer.hooks["history"].epochs


def test_a_run_on_eight_devices_keeps_its_sharding_and_its_keys(tmp_path):
    """From snapshot to file to another engine, in single and in scanned dispatches."""
    (said,) = run_together("tests/hooks/resume_on_mesh.py", 1, tmp_path, devices=8)
    assert said.splitlines()[-1] == "as the whole one"
