"""What leaves a dispatch is what somebody reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events, Output
from jaxtrain.engine.device.output import Layout
from jaxtrain.errors import DataError
from jaxtrain.metrics import Mean

ROWS = {"x": np.arange(24, dtype=np.float32)}
BIG = 512


def step(state, batch):
    wide = jnp.broadcast_to(batch["x"][:, None] * state, (4, BIG))
    output = {
        "loss": wide.mean(),
        "outputs": wide,
        "two": {"mean": wide.mean(), "rows": wide[0]},
        "count": jnp.int32(3),
        "half": jnp.bfloat16(0.5),
        "finite": jnp.bool_(True),
    }
    return state + 1, output


def run(step=step, form="fused", keep=()):
    engine = Engine(step, jnp.float32(1), form=form)
    if keep is None:
        engine.keep()
    elif keep:
        engine.keep(*keep)
    engine.run(ArrayLoader(ROWS, batch_size=4, shuffle=False))
    return engine


FORMS = pytest.mark.parametrize("form", ["single", "fused"])


@FORMS
def test_scalars_are_there_with_their_dtypes(form):
    output = run(form=form).state.output
    assert isinstance(output, Output)
    assert set(output) == {"loss", "count", "half", "finite"}
    assert len(output) == 4
    assert output["count"] == 3
    assert output["count"].dtype == np.int32
    assert output["half"].dtype == jnp.bfloat16
    assert output["finite"].dtype == np.bool_
    assert output["loss"] == np.float32(6 * np.mean([20, 21, 22, 23]))


@FORMS
def test_an_array_nobody_declared_is_not_there_and_says_what_to_do(form):
    output = run(form=form).state.output
    assert "outputs" not in list(output)
    assert "outputs" not in output
    assert output.get("outputs", 5) == 5
    assert "loss" in output
    with pytest.raises(DataError, match=r"call engine.keep\('outputs'\) before the run"):
        output["outputs"]
    with pytest.raises(DataError, match=r"engine.keep\('two'\)"):
        output["two"]
    with pytest.raises(KeyError):
        output["nothing"]
    assert "not kept: outputs, two" in repr(output)


@FORMS
def test_what_is_kept_is_there(form):
    output = run(form=form, keep=("outputs", "two")).state.output
    assert isinstance(output["outputs"], jax.Array)
    assert output["outputs"].shape == (4, BIG)
    assert output["two"]["rows"].shape == (BIG,)
    assert output["two"]["mean"] == output["loss"]


def test_everything_can_be_kept():
    assert len(run(keep=None).state.output) == 6


def test_an_entry_that_is_not_there_can_not_be_kept():
    with pytest.raises(DataError, match="output of the step has no 'logits'; it has only"):
        run(keep=("logits",))


def test_in_a_run_it_is_too_late():
    engine = Engine(step, jnp.float32(1))
    engine.attach_handler(Events.STARTED, lambda e: e.keep("outputs"))
    with pytest.raises(RuntimeError, match=r"keep\(\) is for before a run"):
        engine.run(ArrayLoader(ROWS, batch_size=4))


@FORMS
def test_metrics_see_what_does_not_leave(form):
    engine = Engine(step, jnp.float32(1), form=form)
    engine.add_metrics({"mean": Mean("outputs")})
    engine.run(ArrayLoader(ROWS, batch_size=4, shuffle=False))
    assert engine.state.metrics["mean"] == pytest.approx(
        np.mean([(i // 4 + 1) * i for i in range(24)])
    )


@pytest.mark.parametrize(("keep", "leaves"), [((), False), (("outputs",), True)])
def test_it_costs_no_memory_where_it_does_not_leave(keep, leaves):
    """P2: neither an output nor a temporary of the loop."""

    def logits(state, batch):
        wide = jnp.tanh(jnp.broadcast_to(batch["x"][:, None] * state, (4, 2**18)))
        return state + wide.sum(), {"loss": wide.sum(), "outputs": wide}

    engine = Engine(logits, jnp.float32(1), form="fused")
    if keep:
        engine.keep(*keep)
    memory = engine.compiled(ArrayLoader(ROWS, batch_size=4)).memory_analysis()
    size = 4 * 2**18 * 4
    total = memory.output_size_in_bytes + memory.temp_size_in_bytes
    assert (total > size) == leaves


def test_a_few_arrays_leave_whatever_the_scalars():
    def many(state, batch):
        scalars = {f"s{i}": state + i for i in range(20)}
        return state + 1, {**scalars, **{f"n{i}": jnp.int32(i) for i in range(20)}}

    engine = run(many)
    layout = Layout.of(jax.eval_shape(many, jnp.float32(0), None)[1], frozenset())
    packed = layout.pack(layout.chosen(many(jnp.float32(0), None)[1]))
    assert len(jax.tree.leaves(packed)) == 2
    assert engine.scalars()["s19"] == 6 + 19


# -- outputs of other kinds ----------------------------------------------------------------------


@FORMS
@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (lambda x: x.sum(), 86.0),
        (lambda x: (x.sum(), jnp.int32(2)), (86.0, 2)),
        (lambda x: None, None),
        (lambda x: 3, 3),
        (lambda x: {}, {}),
    ],
    ids=["scalar", "tuple", "none", "number", "empty"],
)
def test_outputs_of_any_kind(form, output, expected):
    engine = run(lambda state, batch: (state, output(batch["x"])), form=form)
    assert engine.state.output == expected


@FORMS
def test_an_array_that_is_the_output_has_to_be_kept(form):
    def rows(state, batch):
        return state, batch["x"]

    with pytest.raises(DataError, match=r"call engine\.keep\(\)"):
        _ = run(rows, form=form).state.output
    assert run(rows, form=form, keep=None).state.output.tolist() == [20, 21, 22, 23]


def test_a_host_engines_output_is_what_it_gave():
    given = {"loss": 1.5, "array": np.ones(3)}
    engine = Engine(lambda engine, batch: given)
    engine.run([0])
    assert engine.state.output is given
