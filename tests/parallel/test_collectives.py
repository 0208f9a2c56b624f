"""Collectives of programs of which it is known what they say; on eight simulated devices."""

import json
import math
import os
import subprocess
import sys

import pytest

from jaxtrain.errors import DataError
from jaxtrain.parallel.collectives import Collective, _members, collectives_of, summed
from jaxtrain.parallel.hlo import Hlo, Instruction
from tests import compiling

PROGRAM = """
import dataclasses, json
import jax, jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec as P
import numpy as np
from jaxtrain.models.token_losses import token_losses
from jaxtrain.parallel import Layout, batch_sharding, collectives_of, make_mesh, replicated
from jaxtrain.parallel.using import using
from jaxtrain.run import RunData, Task, make_config

found = {}

def say(name, compiled, **options):
    said = collectives_of(compiled, **options)
    found[name] = [dataclasses.asdict(one) | {"sent": one.sent} for one in said]

mesh = make_mesh(data=-1, fsdp=2)          # 4 x 2
x = jax.ShapeDtypeStruct((32, 4), jnp.float32)

def on_each(function, over=("data", "fsdp"), out=P()):
    whole = jax.shard_map(function, mesh=mesh, in_specs=P(over), out_specs=out, check_vma=False)
    return jax.jit(whole).lower(x).compile()

def looped(function):
    return lambda x: lax.scan(lambda c, _: (function(c), None), x, None, length=5)[0]

say("sum", on_each(lambda x: lax.psum(x, ("data", "fsdp"))))
say("sum over fsdp", on_each(lambda x: lax.psum(x, "fsdp")))
say("gather over data", on_each(lambda x: lax.all_gather(x, "data")))
ring = [(n, (n + 1) % 4) for n in range(4)]
shift = lambda x: lax.ppermute(x, "data", ring)
say("shift", on_each(shift))
say("shift in a loop", on_each(looped(lambda x: jnp.sin(shift(x)))))
say("all to all", on_each(lambda x: lax.all_to_all(x, "fsdp", 0, 0, tiled=True)))
say("scatter", on_each(lambda x: lax.psum_scatter(x, "data", tiled=True), over="fsdp"))
say("nothing", on_each(jnp.sin))
both = lambda x: lax.cond(x.sum() > 0, lambda x: lax.psum(x, "data"), lambda x: x, x)
say("one branch", on_each(both))

def step_of(**config):
    task = Task.of(RunData.of(make_config(config)))
    state = task.abstract_state()
    where = jax.tree.map(lambda leaf: leaf.sharding, state)
    step = jax.jit(task.train_step, out_shardings=(where, None), donate_argnums=0)
    name = lambda path: jax.tree_util.keystr(path, simple=True, separator="/")
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    found["parameters"][config["model"]["name"]] = {name(path): x.shape for path, x in leaves}
    return step.lower(state, task.loader.example()).compile()

found["parameters"] = {}
mlp = {"data": {"name": "digits", "batch_size": 64}, "model": {"name": "mlp", "hidden": [64, 64]}}
say("data parallel", step_of(**mlp, mesh={"data": 8}))
say("fsdp", step_of(**mlp, mesh={"data": 1, "fsdp": 8}))
say("both", step_of(**mlp, mesh={"data": 4, "fsdp": 2}))
sizes = {"width": 64, "layers": 3, "heads": 4, "hidden": 128, "vocab_size": 264, "remat": "dots"}
decoder = {"data": {"name": "text", "length": 32, "batch_size": 8},
           "model": {"name": "decoder", **sizes}, "loss": {"name": "next_token"}}
say("decoder, fsdp", step_of(**decoder, mesh={"data": 1, "fsdp": 8}))
say("decoder, tensor", step_of(**decoder, mesh={"data": 4, "tensor": 2}))

def loss(hidden, head, labels):
    return token_losses(hidden, head, labels, tile=2).nll.sum()

def on(layout):
    def whole(*arrays):
        # The backward pass is traced when the layout is in use no more, as in a step.
        with using(layout):
            value, back = jax.vjp(loss, *arrays)
        return value, back(jnp.float32(1))[:2]
    return jax.jit(whole)

rows = batch_sharding(mesh)
random = np.random.default_rng(0)
hidden, head = (random.normal(size=size).astype(np.float32) for size in ((64, 8), (8, 40)))
labels = random.integers(0, 40, 64).astype(np.int32)
given = jax.device_put(hidden, rows), jax.device_put(head, replicated(mesh)), labels
compiled = on(Layout(mesh)).lower(*given[:2], jax.device_put(labels, rows)).compile()
say("tiles of a loss", compiled)
result = compiled(*given[:2], jax.device_put(labels, rows))
expected = on(None)(hidden, head, labels)
for one, other in zip(jax.tree.leaves(result), jax.tree.leaves(expected)):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **compiling.devices(8)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sizes_of(found, model, *, under="", layers=1):
    """Bytes of the parameters of a model, of one layer each where they are stacked."""
    return [
        4 * math.prod(shape) // layers
        for name, shape in found["parameters"][model].items()
        if name.startswith(under)
    ]


EACH = 4 * 4 * 4  # bytes of what a device has of x


@pytest.mark.parametrize(
    ("name", "kind", "count", "size", "members", "sent"),
    [
        ("sum", "all-reduce", 1, EACH, [*range(8)], 7 / 4 * EACH),
        ("sum over fsdp", "all-reduce", 1, EACH, [0, 1], EACH),
        ("gather over data", "all-gather", 1, 4 * EACH, [0, 2, 4, 6], 3 * EACH),
        ("shift", "collective-permute", 1, EACH, [0, 6], EACH),
        ("shift in a loop", "collective-permute", 5, EACH, [0, 6], 5 * EACH),
        ("all to all", "all-to-all", 1, EACH, [0, 1], EACH / 2),
        ("scatter", "reduce-scatter", 1, 4 * EACH, [0, 2, 4, 6], 3 * EACH),
        ("one branch", "all-reduce", 1, EACH, [0, 2, 4, 6], 3 / 2 * EACH),
    ],
)
def test_what_is_known_is_found(found, name, kind, count, size, members, sent):
    (one,) = found[name]
    assert (one["kind"], one["count"], one["bytes"]) == (kind, count, size)
    assert sorted(one["members"]) == members
    assert one["parts"] == len(members)
    assert one["sent"] == pytest.approx(sent)


def test_devices_that_say_nothing_have_no_collectives(found):
    assert found["nothing"] == []


def test_data_parallel_has_one_reduction_of_all_gradients_and_gathers_nothing(found):
    """What is beside the gradients is the weight of the batch, by which the loss is divided."""
    assert {one["kind"] for one in found["data parallel"]} == {"all-reduce"}
    largest = max(found["data parallel"], key=lambda one: one["bytes"])
    others = [one["bytes"] for one in found["data parallel"] if one is not largest]
    parameters = sizes_of(found, "mlp")
    assert largest["count"] == 1
    assert largest["parts"] == 8
    assert largest["bytes"] == sum(parameters) + 4, "and the sum of the losses"
    assert largest["arrays"] == len(parameters) + 1
    assert others == [4]


@pytest.mark.parametrize(("name", "parts"), [("fsdp", 8), ("both", 2)])
def test_fsdp_gathers_each_divided_kernel_once(found, name, parts):
    """Small leaves lie whole; what is gathered for the forward pass is kept for the backward."""
    divided = [size for size in sizes_of(found, "mlp") if size >= 4 * 4096]
    gathered = [one for one in found[name] if one["kind"] == "all-gather"]
    assert sorted(one["bytes"] for one in gathered) == sorted(divided)
    assert {(one["count"], one["parts"]) for one in gathered} == {(1, parts)}
    assert {one["kind"] for one in found[name]} == {"all-gather", "all-reduce"}


def test_where_rows_lie_over_both_each_gradient_is_summed_over_both(found):
    """A divided one over fsdp, its slice over data: what a ring needs to sum it over all."""
    divided = sum(size for size in sizes_of(found, "mlp") if size >= 4 * 4096)
    whole = sum(sizes_of(found, "mlp")) - divided
    by_members = {}
    for one in found["both"]:
        if one["kind"] == "all-reduce" and one["bytes"] > 100:
            members = tuple(one["members"])
            by_members[members] = by_members.get(members, 0) + one["bytes"]
    assert by_members[0, 1] == divided
    assert by_members[0, 2, 4, 6] == divided / 2
    assert by_members[tuple(range(8))] == pytest.approx(whole, abs=16)


def test_fsdp_gathers_each_layer_once_in_each_pass_and_nothing_more(found):
    """And adds up the gradients of a layer together, once."""
    kernels = [n for n in sizes_of(found, "decoder", under="layers", layers=3) if n > 1000]
    outside = [n for name in ("embedding", "head") for n in sizes_of(found, "decoder", under=name)]
    gathered = [one for one in found["decoder, fsdp"] if one["kind"] == "all-gather"]
    in_layers = sorted(one["bytes"] for one in gathered if one["count"] == 3)
    once = sorted(one["bytes"] for one in gathered if one["count"] == 1)
    assert in_layers == sorted(2 * kernels), "in the forward pass, and in the backward pass"
    assert once[-2:] == outside
    assert sum(once[:-2]) <= 8 * 32 * 4, "the tokens"
    summed = [one for one in found["decoder, fsdp"] if one["kind"] == "all-reduce"]
    layer = sum(sizes_of(found, "decoder", under="layers", layers=3))
    assert [(one["count"], one["bytes"]) for one in summed if one["count"] > 1] == [(3, layer)]
    once = sum(one["bytes"] for one in summed if one["count"] == 1)
    assert once == pytest.approx(sum(outside) / 2, abs=400), "the embedding's goes another way"
    others = [
        one for one in found["decoder, fsdp"] if one["kind"] not in ("all-gather", "all-reduce")
    ]
    assert sum(one["bytes"] for one in others) <= 8 * 32 * 64 * 4, "rows of the embedding"


def test_tensor_parts_add_up_activations_alone(found):
    """Twice in a layer forward; no parameter is sent but as its gradient, over data."""
    activations = 2 * 32 * 64 * 4  # of the rows of a device
    among = {2: [], 4: []}
    for one in found["decoder, tensor"]:
        among[one["parts"]].append(one)
    forward = [one for one in among[2] if one["count"] == 3 and "transpose" not in one["name"]]
    back = [one for one in among[2] if one["count"] == 3 and "transpose" in one["name"]]
    assert [one["bytes"] for one in forward] == [activations] * 2
    # What goes into gate and up, and into q, k and v.
    assert sorted(one["bytes"] for one in back) == [2 * activations, 3 * activations]
    gathered = [one for one in found["decoder, tensor"] if one["kind"] == "all-gather"]
    assert all(one["bytes"] <= 2 * 32 * 2 * 4 for one in gathered)
    layer = sizes_of(found, "decoder", under="layers", layers=3)
    halves = sum(n // 2 if n > 1000 else n for n in layer)
    assert [one["bytes"] for one in among[4] if one["count"] == 3] == [halves]


def test_tiles_of_a_loss_add_up_the_gradient_of_the_head_once(found):
    """With the loss. At each tile, it would be sent as often as there are tiles."""
    large = [one for one in found["tiles of a loss"] if one["bytes"] >= 8 * 40 * 4]
    assert [(one["kind"], one["count"], one["bytes"]) for one in large] == [
        ("all-reduce", 1, 8 * 40 * 4 + 4)
    ]
    assert all(one["count"] == 1 for one in found["tiles of a loss"])


# -- as text -----------------------------------------------------------------------------------


def line(groups):
    return Instruction(
        "a", "all-reduce", "f32[2]", ("x",), f", {groups}, to_apply=%sum", "main", False
    )


@pytest.mark.parametrize(
    ("groups", "members"),
    [
        ("replica_groups={{0,2},{1,3}}", (0, 2)),
        ("replica_groups={}", (0, 1, 2, 3, 4, 5, 6, 7)),
        ("replica_groups=[2,4]<=[8]", (0, 1, 2, 3)),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", (0, 4)),
        ("replica_groups=[2,4]<=[2,2,2]T(0,2,1)", (0, 2, 1, 3)),
        ("replica_groups=mesh['a'=4,'b'=2] {'a'}", (0, 2, 4, 6)),
        ("replica_groups=mesh['a'=4,'b'=2] {'a','b'}", (0, 1, 2, 3, 4, 5, 6, 7)),
        ("replica_groups=mesh['a'=2,'b'=4], device_ids=([4,2]T(1,0)) {'a'}", (0, 1)),
        ("replica_groups=mesh['a'=2,'b'=2], device_ids=(3,1,2,0) {'b'}", (3, 1)),
        ("replica_groups=mesh['a'=2,'b'=4] {'b':(2)2}", (0, 1)),
        ("replica_groups=mesh['a'=2,'b'=4] {'b':(1)2}", (0, 2)),
        ("source_target_pairs={{3,1},{1,2},{4,4},{2,6}}", (2, 6)),
        ("source_target_pairs={{3,3}}", (3,)),
    ],
)
def test_groups_of_devices_in_all_ways_of_writing(groups, members):
    assert _members(line(groups), Hlo({}, "", 8)) == members


@pytest.mark.parametrize(
    "groups", ["replica_groups=sets[3]", "replica_groups=[2,4]", "channel_id=1"]
)
def test_groups_that_nobody_knows_are_told(groups):
    with pytest.raises(DataError, match="all-reduce a: its groups of devices are written in a way"):
        _members(line(groups), Hlo({}, "", 8))


SLICED = """\
HloModule m, num_partitions=4

ENTRY %main (x: f32[8], n: s32[]) -> f32[2] {
  %x = f32[8]{0} parameter(0)
  %n = s32[] parameter(1)
  %start = f32[8]{0} all-reduce-start(%x), replica_groups={{0,1,2,3}}, to_apply=%sum
  %done = f32[8]{0} all-reduce-done(%start)
  %sum.1 = f32[8]{0} all-reduce(%done), replica_groups={{0,1,2,3}}, to_apply=%sum
  %same = f32[8,1]{1,0} reshape(%sum.1)
  %own = f32[2,1]{1,0} dynamic-slice(%same, %n, %n), dynamic_slice_sizes={2,1}
  %lone = f32[8]{0} all-reduce(%x), replica_groups={{0},{1},{2},{3}}, to_apply=%sum
  ROOT %end = f32[2]{0} reshape(%own)
}
"""


def test_a_sum_of_which_each_keeps_its_slice_is_a_scatter_elsewhere():
    kinds = [one.kind for one in collectives_of(SLICED)]
    assert kinds == ["all-reduce", "all-reduce"], "what ends is not counted twice, nor one alone"
    first, second = collectives_of(SLICED, scattered=True)
    assert (first.kind, second.kind) == ("all-reduce", "reduce-scatter")
    assert second.sent == first.sent / 2 == 3 / 4 * 32
    also_read = SLICED.replace("reshape(%own)", "slice(%sum.1), slice={[0:2]}")
    assert collectives_of(also_read, scattered=True)[1].kind == "all-reduce"


def test_summed_is_one_for_a_kind_among_as_many():
    one = Collective("all-gather", 3, 10, 2, (0, 1), 1, "a")
    other = Collective("all-gather", 1, 50, 2, (0, 1), 1, "b")
    third = Collective("all-gather", 1, 10, 4, (0, 1, 2, 3))
    first, second = summed([third, one, other])
    assert (first.kind, first.count, first.bytes, first.members) == ("all-gather", 4, 20, (0, 1))
    assert first.sent == one.sent + other.sent
    assert second == third
