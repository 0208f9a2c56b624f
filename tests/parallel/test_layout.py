"""Which leaf lies where: by rules over paths, or by shapes; on a mesh that need not be there."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec as P

from jaxtrain.errors import ConfigError
from jaxtrain.models.decoder import DecoderConfig, decoder
from jaxtrain.models.decoder.initial import param_shapes
from jaxtrain.parallel import Layout

MESH = jax.sharding.AbstractMesh((2, 4, 2), ("data", "fsdp", "tensor"))
RULES = (("dense/*/kernel", ("fsdp", "tensor")), ("*/kernel", (None, "fsdp")))


@pytest.mark.parametrize(
    ("path", "shape", "spec"),
    [
        ("dense/a/kernel", (8, 4), P("fsdp", "tensor")),
        ("opt_state/0/mu/dense/a/kernel", (8, 4), P("fsdp", "tensor")),  # as its parameter
        ("sparse/kernel", (8, 4), P(None, "fsdp")),  # the first rule that matches
        ("densely/a/kernel", (8, 8), P(None, "fsdp")),  # a pattern is of whole parts
        ("dense/a/kernel", (8, 4, 64, 64), P(None, None, "fsdp")),  # of other axes: by its shape
        ("dense/a/kernel", (6, 4), P(None, "tensor")),  # 6 does not divide into 4
        ("bias", (4096,), P("fsdp")),
        ("bias", (4095,), P()),  # small, and would not divide
        ("bias", (4092,), P()),  # small
        ("table", (64, 128), P(None, "fsdp")),  # the largest
        ("table", (128, 64), P("fsdp")),
        ("table", (8192, 129), P("fsdp")),
        ("table", (8194, 128), P(None, "fsdp")),  # the largest that divides
        ("table", (8193, 129), P()),  # none divides
        ("step", (), P()),
    ],
)
def test_rules_first_then_shapes(path, shape, spec):
    assert Layout(MESH, RULES).spec(path, shape) == spec


def test_axes_that_no_mesh_has_are_refused():
    with pytest.raises(ConfigError, match=r"mesh: expected the axes data.*found model; missing"):
        Layout(jax.sharding.AbstractMesh((8,), ("model",)))
    with pytest.raises(ConfigError, match=r"rule '\*/kernel': expected axes among.*found 'tenosr'"):
        Layout(MESH, (("*/kernel", (None, "tenosr")),))


def test_one_part_of_fsdp_leaves_everything_whole():
    mesh = jax.sharding.AbstractMesh((8, 1, 1), ("data", "fsdp", "tensor"))
    assert Layout(mesh).spec("table", (512, 512)) == P()


def test_what_a_rule_cannot_divide_is_told():
    tree = {"dense": {"a": {"kernel": jnp.zeros((6, 4))}}, "bias": jnp.zeros(7)}
    assert Layout(MESH, RULES).left_whole(tree) == [
        "dense/a/kernel: an axis of 6 does not divide into the 4 parts of fsdp, and stays whole"
    ]
    assert Layout(MESH, RULES).left_whole({"bias": jnp.zeros(7)}) == []


def test_bytes_of_a_device_are_those_of_its_pieces():
    tree = {
        "dense": {"a": {"kernel": jnp.zeros((8, 4))}},  # 32 numbers over 8 parts
        "table": jax.ShapeDtypeStruct((64, 128), jnp.bfloat16),  # 8192 over 4
        "key": jax.eval_shape(lambda: jax.random.key(0)),
    }
    assert Layout(MESH, RULES).bytes_per_device(tree) == 4 * 4 + 2048 * 2 + 8


def test_every_kernel_of_the_decoder_has_a_rule_of_its_own():
    config = DecoderConfig.llama(vocab_size=64, width=32, layers=2, heads=4, kv_heads=2)
    model = decoder(config)
    layout = Layout(MESH, model.layout)
    shapes = jax.tree_util.tree_leaves_with_path(
        param_shapes(config), is_leaf=lambda x: isinstance(x, tuple)
    )
    found = {
        jax.tree_util.keystr(p, simple=True, separator="/"): layout.spec(
            jax.tree_util.keystr(p, simple=True, separator="/"), shape
        )
        for p, shape in shapes
    }
    assert {name: spec for name, spec in found.items() if "scale" not in name} == {
        "embedding/embedding": P("tensor", "fsdp"),
        "head/kernel": P("fsdp", "tensor"),
        "layers/attention/q/kernel": P(None, "fsdp", "tensor"),
        "layers/attention/k/kernel": P(None, "fsdp", "tensor"),
        "layers/attention/v/kernel": P(None, "fsdp", "tensor"),
        "layers/attention/o/kernel": P(None, "tensor", "fsdp"),
        "layers/mlp/gate/kernel": P(None, "fsdp", "tensor"),
        "layers/mlp/up/kernel": P(None, "fsdp", "tensor"),
        "layers/mlp/down/kernel": P(None, "tensor", "fsdp"),
    }
    assert all(spec == P() for name, spec in found.items() if "scale" in name)
