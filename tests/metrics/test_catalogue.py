"""What holds for every metric that a config can name: masks, merges, members, devices.

All of them read one output, so that one program updates all.
"""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.metrics import METRICS, MonoidMetric
from tests import compiling

ROWS, CHUNK, CLASSES = 24, 8, 3


def head(name, **options):
    return {"outputs": f"outputs.{name}", "labels": f"labels.{name}", **options}


# By the name in the registry, what the factory is given: several, where options change the state.
CASES = {
    "accuracy": [head("many"), head("many", top_k=2, ignore_label=1)],
    "average_precision": [head("two"), head("many", bins=50), head("yes", bins=9, multilabel=True)],
    "confusion_matrix": [head("many"), head("many", normalize="true", ignore_label=2)],
    "f1": [head("two"), head("many", average="macro")],
    "fbeta": [head("many", beta=2.0, average="weighted", zero_division="nan")],
    "loss": [{}],
    "mean": [{"key": "outputs.value"}],
    "mean_absolute_error": [head("value")],
    "mean_squared_error": [head("value")],
    "perplexity": [head("tokens")],
    "precision": [head("two"), head("many", average="micro", ignore_label=0)],
    "r2_score": [head("value")],
    "recall": [head("two"), head("many", average="macro")],
    "roc_auc": [head("two", bins=64), head("many", average="weighted"), head("one")],
    "root_mean_squared_error": [head("value")],
    "token_accuracy": [head("tokens")],
    "tokens": [{"labels": "labels.tokens"}],
}
# Those whose state is sums of floats; that of all others is counts, which are exact.
OF_FLOATS = {name for name in CASES if name in ("loss", "mean", "perplexity", "r2_score")}
OF_FLOATS |= {name for name in CASES if name.endswith("error")}
OUTPUTS = {"value": 1, "two": 2, "one": 2}  # by head; of the others 3


def _made():
    found = {}
    for name, all_options in CASES.items():
        factory = METRICS[name]
        for number, options in enumerate(all_options):
            of = options.get("outputs", "").removeprefix("outputs.")
            context = {"num_outputs": OUTPUTS.get(of, CLASSES)} if _asks(factory) else {}
            found[f"{name}/{number}"] = factory(**context, **options)
    return found


def _asks(factory):
    return not isinstance(factory, type) and "num_outputs" in factory.__code__.co_varnames


ALL = _made()
every = pytest.mark.parametrize("name", ALL)


def output_of(rows, real, seed, *, garbage=np.nan):
    """An output of a step, of which `real` (bools `[rows]`) says which rows are any."""
    draw = np.random.default_rng(seed)
    shapes = {
        "many": ((rows, CLASSES), (rows,), CLASSES),
        "two": ((rows, 2), (rows,), 2),
        "one": ((rows,), (rows,), 2),
        "yes": ((rows, CLASSES), (rows, CLASSES), 2),
        "value": ((rows,), None, None),
        "tokens": ((rows, 2, CLASSES), (rows, 2), CLASSES),
    }
    outputs, labels = {}, {}
    for name, (of_outputs, of_labels, classes) in shapes.items():
        outputs[name] = (4 * draw.normal(size=of_outputs)).astype(np.float32)
        if classes is None:
            labels[name] = (outputs[name] + draw.normal(size=rows)).astype(np.float32)
        else:
            labels[name] = draw.integers(0, classes, of_labels).astype(np.int32)
    losses = draw.gamma(1.0, size=rows).astype(np.float32)
    return spoilt({"outputs": outputs, "labels": labels, "losses": losses}, real, garbage)


def spoilt(output, real, garbage):
    """The output with something else in the rows that don't count, and its sums."""
    for array in (*output["outputs"].values(), *output["labels"].values()):
        array[~real] = garbage if array.dtype == np.float32 else 77
    losses = output["losses"]
    return {
        "outputs": output["outputs"],
        "labels": output["labels"],
        "losses": losses,
        "mask": real.astype(np.float32),
        "loss_sum": np.float32(losses[real].sum()),
        "loss_weight": np.float32(real.sum()),
    }


def part(output, rows, size=CHUNK):
    """Some rows of an output, filled up to `size` with garbage."""
    at = np.resize(rows if len(rows) else [0], size)
    taken = {
        "outputs": {name: array[at] for name, array in output["outputs"].items()},
        "labels": {name: array[at] for name, array in output["labels"].items()},
        "losses": output["losses"][at],
    }
    return spoilt(taken, np.arange(size) < len(rows), np.nan)


def update_all(states, output):
    return {name: metric.update(states[name], output) for name, metric in ALL.items()}


def empty_all():
    return {name: metric.empty() for name, metric in ALL.items()}


def compute_all(states):
    return {name: metric.compute(states[name]) for name, metric in ALL.items()}


UPDATE, COMPUTE, EMPTY = jax.jit(update_all), jax.jit(compute_all), empty_all()
MERGE = jax.jit(lambda a, b: {name: metric.merge(a[name], b[name]) for name, metric in ALL.items()})


def same_bits(a, b, names=ALL):
    for name in names:
        for found, expected in zip(*map(jax.tree.leaves, (a[name], b[name])), strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=name)


def same(a, b):
    """Counts to the last bit; sums of floats, by what they come to, to 2e-6."""
    same_bits(a, b, [name for name in ALL if name.partition("/")[0] not in OF_FLOATS])
    values = COMPUTE(a), COMPUTE(b)
    for name in ALL:
        np.testing.assert_allclose(*(v[name] for v in values), rtol=2e-6, atol=1e-6, err_msg=name)


def test_every_metric_that_has_a_name_is_here():
    own = {name for name in METRICS.names() if METRICS[name].__module__.startswith("jaxtrain.")}
    assert set(CASES) == own


@every
def test_it_is_a_value_whose_state_keeps_its_form(name):
    metric = ALL[name]
    assert isinstance(metric, MonoidMetric)
    assert hash(metric) == hash(metric)
    before, after = metric.empty(), UPDATE(EMPTY, output_of(CHUNK, np.arange(CHUNK) < 5, 0))[name]
    assert jax.tree.map(jnp.shape, before) == jax.tree.map(jnp.shape, after)
    assert [x.dtype for x in jax.tree.leaves(before)] == [x.dtype for x in jax.tree.leaves(after)]
    assert metric.compute(before).dtype == jnp.float32
    assert metric.compute(after).shape == ((3, 3) if name.startswith("confusion") else ())


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    real=st.integers(0, ROWS),
    order=st.permutations(range(ROWS)),
    sizes=st.lists(st.integers(0, CHUNK), min_size=3, max_size=9),
)
def test_chunks_of_any_size_in_any_order_are_the_whole(seed, real, order, sizes):
    output = output_of(ROWS, np.arange(ROWS) < real, seed)
    rows = [row for row in order if row < real]
    parts = []
    while rows or len(parts) < 3:
        size = sizes[len(parts) % len(sizes)] or (len(parts) >= len(sizes))
        parts.append(UPDATE(EMPTY, part(output, rows[:size])))
        rows = rows[size:]
    whole = UPDATE(EMPTY, output)
    same(functools.reduce(MERGE, parts), whole)
    same(functools.reduce(MERGE, reversed(parts)), whole)
    a, b, c = parts[:3]
    same(MERGE(MERGE(a, b), c), MERGE(a, MERGE(b, c)))
    for state in (a, whole):
        same_bits(MERGE(EMPTY, state), state)
        same_bits(MERGE(state, EMPTY), state)


def test_one_pass_over_batches_is_one_over_all():
    real = np.arange(ROWS) < 21
    output = output_of(ROWS, real, 3)
    state = EMPTY
    for first in range(0, ROWS, CHUNK):
        rows = [row for row in range(first, first + CHUNK) if real[row]]
        state = UPDATE(state, part(output, rows))
    same(state, UPDATE(EMPTY, output))


def test_what_stands_in_rows_that_do_not_count_changes_no_bit():
    real = np.arange(CHUNK) % 3 > 0
    states = [
        UPDATE(EMPTY, output_of(CHUNK, real, 1, garbage=garbage))
        for garbage in (0.0, np.nan, np.inf, -1e30)
    ]
    for state in states[1:]:
        same_bits(state, states[0])
    values = COMPUTE(states[0])
    for name in ALL:
        assert np.isfinite(values[name]).all(), name


def test_the_members_of_a_population_are_those_one_by_one():
    members = [output_of(CHUNK, np.arange(CHUNK) < 4 + seed, seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), EMPTY)
    states = jax.jit(jax.vmap(update_all))(states, stacked)
    for number, output in enumerate(members):
        member = jax.tree.map(lambda leaf, number=number: leaf[number], states)
        same(member, UPDATE(EMPTY, output))


PROGRAM = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from tests.metrics.test_catalogue import COMPUTE, EMPTY, UPDATE, output_of, same, update_all

output = output_of(24, np.arange(24) < 21, 0)
alone = UPDATE(EMPTY, output)
assert len(jax.devices()) == 8
for kind in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(kind,))
    spread = jax.tree.map(
        lambda x: jax.device_put(x, NamedSharding(mesh, P("data") if np.ndim(x) else P())), output
    )
    with jax.set_mesh(mesh):
        state = jax.jit(update_all)(EMPTY, spread)
    same(jax.device_get(state), jax.device_get(alone))
print("equal")
"""


def test_eight_devices_come_to_what_one_does():
    environment = {**os.environ, **compiling.devices(8)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.strip() == "equal", done.stderr[-3000:]
