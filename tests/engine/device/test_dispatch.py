"""What is on the device: the state and its buffers, outputs, metrics, the watch for NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.engine import Engine, Events
from jaxtrain.metrics import Loss, Mean

BATCHES = [jnp.float32(x) for x in (1.0, 2.0, 3.0)]


def add(state, batch):
    """A step that sums up the batches; its loss is the sum so far."""
    state = {"sum": state["sum"] + batch, "steps": state["steps"] + 1}
    return state, {"loss": state["sum"], "finite": jnp.isfinite(state["sum"])}


def zero():
    return {"sum": jnp.float32(0), "steps": jnp.int32(0)}


def look(state, batch):
    """A step that only reads its state."""
    return state, {"loss": state["sum"] - batch}


def total(engine):
    return float(engine.state.train_state["sum"])


# -- the state -----------------------------------------------------------------------------------


def test_the_state_after_a_run_is_that_of_a_plain_loop():
    engine = Engine(add, zero())
    engine.run(BATCHES, max_epochs=3)
    assert total(engine) == 18
    assert int(engine.state.train_state["steps"]) == 9


@pytest.mark.parametrize(
    "state",
    [jnp.float32(0), (jnp.zeros(2), [jnp.int32(1)]), {"rng": jax.random.key(0), "n": jnp.int32(0)}],
    ids=["array", "nested", "key"],
)
def test_a_state_is_any_pytree(state):
    def step(state, batch):
        state = jax.tree.map(
            lambda x: x if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x + 1, state
        )
        return state, None

    engine = Engine(step, state)
    after = engine.run(BATCHES).train_state
    assert jax.tree.structure(after) == jax.tree.structure(state)
    last = jax.tree.leaves(after)[0]
    assert (
        float(np.asarray(last).flat[0]) == float(np.asarray(jax.tree.leaves(state)[0]).flat[0]) + 3
    )


def test_the_callers_state_stays_usable():
    state = zero()
    engine = Engine(add, state)
    engine.run(BATCHES, max_epochs=2)
    assert float(state["sum"]) == 0
    engine.run(BATCHES, state=state)
    assert total(engine) == 6
    assert float(state["sum"]) == 0


def test_a_state_that_a_handler_keeps_stays_readable():
    engine = Engine(add, zero())
    kept = []
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: kept.append(e.state.train_state))
    engine.run(BATCHES, max_epochs=2)
    assert [float(state["sum"]) for state in kept] == [1, 3, 6, 7, 9, 12]


def test_a_state_kept_now_and_then_stays_readable():
    engine = Engine(add, zero())
    kept = []
    engine.attach_handler(Events.EPOCH_COMPLETED, lambda e: kept.append(e.state.train_state))
    engine.run(BATCHES, max_epochs=3)
    assert [float(state["sum"]) for state in kept] == [6, 12, 18]


def test_a_state_that_a_handler_assigns_is_that_of_the_next_step():
    engine = Engine(add, zero())

    @engine.on(Events.ITERATION_COMPLETED(once=2))
    def double(engine):
        state = engine.state.train_state
        engine.state.train_state = state | {"sum": state["sum"] * 100}

    engine.run(BATCHES)
    assert total(engine) == 303


def test_an_assigned_state_stays_usable_too():
    other = zero() | {"sum": jnp.float32(50)}
    engine = Engine(add, zero())

    @engine.on(Events.EPOCH_STARTED)
    def assign(engine):
        engine.state.train_state = other

    engine.run(BATCHES, max_epochs=2)
    assert total(engine) == 56
    assert float(other["sum"]) == 50


def test_a_second_run_goes_on_from_the_state_of_the_first():
    engine = Engine(add, zero())
    engine.run(BATCHES)
    engine.run(BATCHES)
    assert total(engine) == 12


# -- steps that only read ------------------------------------------------------------------------


def test_a_step_that_only_reads_leaves_the_very_state():
    state = zero()
    engine = Engine(look, zero())
    engine.run(BATCHES, state=state)
    assert engine.state.train_state is state
    assert float(state["sum"]) == 0


def test_evaluating_changes_nothing_in_the_training():
    def train(validate):
        trainer, evaluator = Engine(add, zero()), Engine(look, zero())
        evaluator.add_metrics({"loss": Mean("loss")})
        values = []

        def evaluate(engine):
            values.append(evaluator.run(BATCHES, state=engine.state.train_state).metrics["loss"])

        if validate:
            trainer.attach_handler(Events.EPOCH_COMPLETED, evaluate)
        trainer.run(BATCHES, max_epochs=3)
        return total(trainer), values

    assert train(False) == (18, [])
    assert train(True) == (18, [4, 10, 16])


def test_a_step_that_changes_one_leaf_is_no_reader():
    def step(state, batch):
        return state | {"steps": state["steps"] + 1}, None

    engine = Engine(step, zero())
    engine.run(BATCHES)
    assert int(engine.state.train_state["steps"]) == 3


# -- outputs -------------------------------------------------------------------------------------


def test_outputs_stay_readable():
    engine = Engine(add, zero())
    outputs = []
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: outputs.append(e.state.output))
    engine.run(BATCHES)
    assert [float(output["loss"]) for output in outputs] == [1, 3, 6]


def test_scalars_are_python_numbers_of_the_scalar_entries():
    def step(state, batch):
        output = {
            "loss": batch * 2,
            "finite": jnp.bool_(True),
            "count": jnp.int32(3),
            "outputs": jnp.ones(4),
        }
        return state + 1, output

    engine = Engine(step, jnp.int32(0))
    engine.run(BATCHES)
    scalars = engine.scalars()
    assert scalars == {"loss": 6.0, "finite": True, "count": 3}
    assert [type(v) for v in (scalars["loss"], scalars["finite"], scalars["count"])] == [
        float,
        bool,
        int,
    ]


def test_scalars_are_fetched_once_an_iteration():
    engine = Engine(add, zero())
    seen = []

    @engine.on(Events.ITERATION_COMPLETED)
    def read(engine):
        first = engine.scalars()
        assert engine.scalars() is first
        seen.append(first["loss"])

    engine.run(BATCHES)
    assert seen == [1, 3, 6]


@pytest.mark.parametrize("output", [None, 5, jnp.float32(1), (1, 2)])
def test_an_output_that_is_no_dict_has_no_scalars(output):
    engine = Engine(lambda engine, batch: output)
    assert engine.scalars() == {}
    engine.run([0])
    assert engine.scalars() == {}


def test_host_outputs_have_scalars_too():
    engine = Engine(lambda engine, batch: {"loss": batch / 2, "array": np.ones(3), "n": 7})
    engine.run([5])
    assert engine.scalars() == {"loss": 2.5, "n": 7}


# -- the first step that was not finite ----------------------------------------------------------


def batches_with_nan_at(*bad, length=8):
    return [jnp.float32(np.nan if i in bad else 1) for i in range(1, length + 1)]


def check(state, batch):
    return state + 1, {"loss": batch, "finite": jnp.isfinite(batch)}


def test_the_first_bad_iteration_is_known_exactly_and_late():
    engine = Engine(check, jnp.int32(0))
    assert engine.first_nonfinite() is None
    engine.run(batches_with_nan_at(5, 7))
    assert engine.first_nonfinite() == 5


def test_it_is_none_where_all_steps_were_finite():
    engine = Engine(check, jnp.int32(0))
    engine.run(batches_with_nan_at())
    assert engine.first_nonfinite() is None


def test_it_is_told_from_its_iteration_on():
    engine = Engine(check, jnp.int32(0))
    seen = []
    engine.attach_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(e.first_nonfinite()))
    engine.run(batches_with_nan_at(3, length=4))
    assert seen == [None, None, 3, 3]


def test_it_counts_over_epochs_and_interruptions_and_looks_at_this_run_alone():
    engine = Engine(check, jnp.int32(0))
    handle = engine.attach_handler(Events.ITERATION_COMPLETED(once=2), lambda e: e.interrupt())
    batches = batches_with_nan_at(2, length=3)
    engine.run(batches, max_epochs=3)
    assert engine.first_nonfinite() == 2
    handle.remove()
    engine.run(batches, max_epochs=3)  # iterations 3 to 9, of which the second batch is 5 and 8
    assert engine.first_nonfinite() == 5
    engine.reset()
    engine.run([jnp.float32(1)])
    assert engine.first_nonfinite() is None


def test_a_snapshot_before_the_run_does_not_disturb_it():
    engine = Engine(check, jnp.int32(0))
    engine.snapshot()
    assert engine.first_nonfinite() is None


def test_a_step_that_does_not_say_is_taken_to_be_finite():
    engine = Engine(lambda state, batch: (state + 1, {"loss": batch}), jnp.int32(0))
    engine.run(batches_with_nan_at(1))
    assert engine.first_nonfinite() is None


# -- metrics -------------------------------------------------------------------------------------


def test_metrics_are_those_of_the_last_epoch():
    engine = Engine(lambda state, batch: (state + 1, {"loss": batch + state}), jnp.float32(0))
    engine.add_metrics({"train/loss": Mean("loss")})
    rows = []
    engine.attach_handler(Events.EPOCH_COMPLETED, lambda e: rows.append(dict(e.state.metrics)))
    engine.run(BATCHES, max_epochs=2)
    assert rows == [{"train/loss": 3.0}, {"train/loss": 6.0}]
    assert type(rows[0]["train/loss"]) is float
    assert engine.metric_names == ["train/loss"]


def test_a_short_last_batch_counts_by_its_weight():
    engine = Engine(lambda state, batch: (state + 1, batch), jnp.float32(0))
    engine.add_metrics({"loss": Loss()})
    engine.run(
        [
            {"loss_sum": jnp.float32(30), "loss_weight": jnp.float32(10)},
            {"loss_sum": jnp.float32(10), "loss_weight": jnp.float32(2)},
        ]
    )
    assert engine.state.metrics == {"loss": pytest.approx(40 / 12)}


def test_metrics_of_a_host_engine():
    engine = Engine(lambda engine, batch: {"loss": batch})
    engine.add_metrics({"loss": Mean("loss")})
    engine.run([1.0, 2.0, 6.0], max_epochs=2)
    assert engine.state.metrics == {"loss": 3.0}


def test_what_handlers_add_to_the_metrics_stays_until_it_is_overwritten():
    engine = Engine(lambda engine, batch: {"loss": batch})
    engine.add_metrics({"loss": Mean("loss")})

    @engine.on(Events.EPOCH_COMPLETED(once=1))
    def add(engine):
        engine.state.metrics["val/loss"] = 9.0

    engine.run([1.0], max_epochs=2)
    assert engine.state.metrics == {"loss": 1.0, "val/loss": 9.0}


def test_a_run_that_begins_anew_forgets_the_metrics():
    engine = Engine(lambda engine, batch: None)
    engine.state.metrics["val/loss"] = 9.0
    engine.run([0])
    seen = []
    engine.attach_handler(Events.STARTED, lambda e: seen.append(dict(e.state.metrics)))
    engine.run([0])
    assert seen == [{}]


def test_metrics_keep_their_order_and_may_be_added_in_several_calls():
    engine = Engine(lambda engine, batch: {"b": 1.0, "a": 2.0})
    engine.add_metrics({"z": Mean("b")})
    engine.add_metrics({"a": Mean("a")})
    engine.run([0])
    assert list(engine.state.metrics) == engine.metric_names == ["z", "a"]


def test_a_metric_of_a_taken_name_is_refused_and_none_is_added():
    engine = Engine(lambda engine, batch: {"loss": 1.0})
    engine.add_metrics({"loss": Mean("loss")})
    with pytest.raises(ValueError, match="metrics named loss are there already"):
        engine.add_metrics({"new": Mean("loss"), "loss": Mean("loss")})
    assert engine.metric_names == ["loss"]


def test_the_metrics_of_an_epoch_that_was_ended_are_those_of_its_iterations():
    engine = Engine(lambda state, batch: (state + 1, {"loss": batch}), jnp.float32(0))
    engine.add_metrics({"loss": Mean("loss")})
    engine.attach_handler(Events.ITERATION_COMPLETED(once=2), lambda e: e.terminate_epoch())
    rows = []
    engine.attach_handler(Events.EPOCH_COMPLETED, lambda e: rows.append(e.state.metrics["loss"]))
    engine.run(BATCHES, max_epochs=1)
    assert rows == [1.5]


# -- compiling -----------------------------------------------------------------------------------


def test_a_step_is_traced_a_few_times_however_long_the_run():
    traces = []

    def step(state, batch):
        traces.append(batch.shape)
        return state + batch.sum(), None

    engine = Engine(step, jnp.float32(0))
    engine.run([jnp.ones(2)] * 10, max_epochs=10)
    assert len(traces) < 10
    assert float(engine.state.train_state) == 2 * 100


def test_a_ragged_last_batch_works():
    engine = Engine(lambda state, batch: (state + batch.sum(), None), jnp.float32(0))
    engine.run([jnp.ones(2), jnp.ones(2), jnp.ones(1)], max_epochs=2)
    assert float(engine.state.train_state) == 10


def test_an_error_in_the_step_leaves_the_state(record):
    def step(state, batch):
        if batch.shape == (3,):
            raise ValueError("labels do not fit")
        return state + batch.sum(), None

    engine = Engine(step, jnp.float32(0))
    with pytest.raises(ValueError, match="labels do not fit"):
        engine.run([jnp.ones(2), jnp.ones(3)])
    assert float(engine.state.train_state) == 2


# -- batches of several kinds --------------------------------------------------------------------


def by_what_is_there(state, batch):
    """Trains what the batch has: a head only where there are labels."""
    new = state | {"body": state["body"] + batch["x"].sum()}
    if "labels" in batch:
        new["head"] = state["head"] + 1
    return new, {"rows": batch["x"], **({"labels": batch["labels"]} if "labels" in batch else {})}


@pytest.mark.parametrize("form", ["single", "fused"])
def test_a_step_may_do_other_things_with_other_batches(form):
    """What it passes through of the state and what it puts out is asked for each kind of batch."""
    x = jnp.ones(4)
    batches = [{"x": x}, {"x": x, "labels": x}, {"x": x[:2]}, {"x": x[:2], "labels": x[:2]}] * 2
    head = jnp.zeros(3)
    engine = Engine(by_what_is_there, {"body": jnp.float32(0), "head": head}, form=form)
    engine.keep()
    told = []
    engine.attach_handler(Events.RECOMPILED, lambda engine, what: told.append(what))
    shapes = []
    engine.attach_handler(
        Events.ITERATION_COMPLETED,
        lambda e: shapes.append({n: v.shape for n, v in e.state.output.items()}),
    )
    engine.run(batches)
    assert engine.state.train_state["head"].tolist() == [4, 4, 4]
    assert float(engine.state.train_state["body"]) == 24
    assert shapes[:2] == [{"rows": (4,)}, {"rows": (4,), "labels": (4,)}]
    assert shapes[3] == {"rows": (2,), "labels": (2,)}
    assert (engine.compilations, len(told)) == (4, 3)
    assert head.tolist() == [0, 0, 0]  # passed through at first, then given away: a copy of it


def test_a_leaf_of_the_owners_is_copied_before_it_is_given_away_however_late():
    state = {"body": jnp.float32(0), "head": jnp.zeros(3)}
    engine = Engine(by_what_is_there, state, form="single")
    for labelled in (False, True, True):
        more = {"labels": jnp.ones(2)} if labelled else {}
        engine.run([{"x": jnp.ones(2), **more}])
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert engine.state.train_state["head"].tolist() == [2, 2, 2]


def test_with_masks_and_without():
    from jaxtrain.data import ArrayLoader

    rows = {"x": np.ones(10, np.float32)}
    engine = Engine(
        lambda s, b: (s, {"x": b["x"].sum(), **({"m": b["row_mask"]} if "row_mask" in b else {})}),
        jnp.float32(0),
    )
    for last_batch in ("drop", "pad", "drop"):
        engine.reset()
        loader = ArrayLoader(rows, batch_size=4, last_batch=last_batch)
        assert engine.run(loader).iteration == loader.steps_per_epoch


def test_a_short_last_batch_whose_arrays_leave():
    class Rows:
        def reset(self):
            self.rows = 0

        def update(self, output):
            self.rows += len(output["x"])

        def compute(self):
            return self.rows

    engine = Engine(lambda s, b: (s, {"x": b}), jnp.float32(0), form="fused")
    engine.add_metrics({"rows": Rows()})
    assert engine.run([jnp.ones(4), jnp.ones(4), jnp.ones(2)]).metrics == {"rows": 10}


def test_a_state_that_was_lost_says_so():
    engine = Engine(add, zero())
    engine.run(BATCHES)
    lost = engine.snapshot()[0]["train_state"]["sum"]
    lost.delete()  # as a step does that fails on the device
    with pytest.raises(RuntimeError, match="the state went with a step that failed on the device"):
        _ = engine.state.train_state
    assert float(engine.run(BATCHES, state=zero()).train_state["sum"]) == 6


def test_what_nothing_was_seen_by_yet_is_not_moved(caplog):
    """Each of five small programs would be compiled for it, per hook that looks at something."""
    with jax.log_compiles(True):
        engine = Engine(add, zero())
        engine.add_metrics({"train/other": Mean("loss")})
        engine.add_metrics({"train/mean": Mean("loss")})
    assert "Finished XLA compilation" not in caplog.text
    with jax.log_compiles(True):
        engine.run(BATCHES, max_epochs=1)
        engine.add_metrics({"train/again": Mean("loss")})
    assert "Finished XLA compilation of jit(unpack)" in caplog.text
    engine.run(BATCHES, max_epochs=2)
    assert engine.state.metrics["train/mean"] == pytest.approx((7 + 9 + 12) / 3)


def test_what_was_seen_in_half_an_epoch_stays_when_another_looks_on():
    engine = Engine(add, zero())
    engine.add_metrics({"mean": Mean("loss")})

    engine.on(Events.ITERATION_COMPLETED(once=2))(Engine.interrupt)
    engine.run(BATCHES, max_epochs=1)
    engine.track("loss")
    engine.run(BATCHES, max_epochs=1)
    assert engine.state.metrics == pytest.approx({"mean": (1 + 3 + 6) / 3})
