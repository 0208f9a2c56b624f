from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxtrain.errors import ConfigError
from jaxtrain.lora import LoRAConfig, find_targets
from jaxtrain.lora.targets import layer_of, with_leaves
from jaxtrain.models.decoder import DecoderConfig, initial_params

SIZES = {"vocab_size": 11, "width": 8, "layers": 3, "heads": 2, "hidden": 12}


def shapes(tree):
    return jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.float32),
        tree,
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )


@pytest.fixture
def decoder():
    return initial_params(jax.random.key(0), DecoderConfig.llama(**SIZES))


def paths(params, **options):
    return {target.path for target in find_targets(params, LoRAConfig(**options))}


def names(params, **options):
    return {
        name
        for target in find_targets(params, LoRAConfig(**options))
        for name, rank in zip(target.names, target.ranks, strict=True)
        if rank
    }


def test_all_linear_is_every_kernel_but_the_head(decoder):
    assert paths(decoder) == {
        *(f"layers/attention/{name}/kernel" for name in "qkvo"),
        *(f"layers/mlp/{name}/kernel" for name in ("gate", "up", "down")),
    }


def test_stacked_layers_are_written_out(decoder):
    (target,) = find_targets(decoder, LoRAConfig(targets=("q",)))
    assert target.names == tuple(f"layers.{i}.attention.q" for i in range(3))
    assert target.stacked
    assert target.lead == (3,)
    assert target.in_axes == 1
    assert target.sizes((3, 8, 5)) == (8, 5)


def test_a_string_is_for_the_whole_name(decoder):
    assert names(decoder, targets=r"layers\.[02]\..*\.(q|up)") == {
        "layers.0.attention.q",
        "layers.0.mlp.up",
        "layers.2.attention.q",
        "layers.2.mlp.up",
    }
    with pytest.raises(ConfigError, match=r"targets: 'q' matches no module"):
        find_targets(decoder, LoRAConfig(targets="q"))


def test_a_name_in_a_list_is_the_end_behind_a_dot():
    tree = shapes({"block": {"q": {"kernel": (2, 3)}, "seq": {"kernel": (2, 3)}}})
    assert names(tree, targets=("q",)) == {"block.q"}
    assert names(tree, exclude=("q",)) == {"block.seq"}


def test_a_head_is_one_wherever_it_stands():
    tree = shapes({"model": {"lm_head": {"kernel": (2, 3)}, "up": {"kernel": (2, 3)}}})
    assert names(tree) == {"model.up"}


def test_exclude_comes_first(decoder):
    found = names(decoder, targets=("q", "v"), exclude=("layers.1.attention.q", "v"))
    assert found == {"layers.0.attention.q", "layers.2.attention.q"}
    assert "head" in names(decoder, targets=("head", "q"))
    assert names(decoder, targets="embedding|head", exclude="head") == {"embedding"}


def test_layers_restrict(decoder):
    assert names(decoder, targets=("q",), layers=(2,)) == {"layers.2.attention.q"}
    (target,) = find_targets(decoder, LoRAConfig(targets=("q",), layers=(2,), rank=4))
    assert target.ranks == (0, 0, 4)


def test_ranks_and_alphas_layer_by_layer(decoder):
    config = LoRAConfig(
        targets=("q",), rank=4, rank_pattern={"1.attention.q": 2}, alpha_pattern={"layers.0.*": 3}
    )
    (target,) = find_targets(decoder, config)
    assert target.ranks == (4, 2, 4)
    assert target.alphas == (3.0, 16.0, 16.0)
    assert target.rank == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"targets": ("q", "queue")}, r"targets: 'queue' matches no module"),
        ({"targets": ("gatee",)}, r"did you mean 'gate'"),
        ({"exclude": ("w",)}, r"exclude: 'w' matches no module"),
        ({"rank_pattern": {"w": 2}}, r"rank_pattern: 'w' matches no module"),
        ({"targets": ("q",), "alpha_pattern": {"v": 2}}, r"alpha_pattern: 'v'"),
        ({"layers": (1, 7)}, r"layer 7; there are 0, 1, 2"),
        ({"in_axes": {"w": 1}}, r"in_axes: 'w'"),
        ({"targets": ("q",), "exclude": ("q",)}, r"nothing to adapt"),
        ({"targets": ("head",), "layers": (0,)}, r"nothing to adapt"),
    ],
)
def test_what_matches_nothing_is_refused_with_the_candidates(decoder, options, said):
    with pytest.raises(ConfigError, match=said) as caught:
        find_targets(decoder, LoRAConfig(**options))
    if "layers" not in options:
        assert "layers.*.attention.q" in str(caught.value)


def test_no_kernel_at_all_is_refused():
    with pytest.raises(ConfigError, match="w1, w2"):
        find_targets(shapes({"w1": (2, 3), "w2": (3, 2)}), LoRAConfig())


@pytest.mark.parametrize(
    ("tree", "in_axes"),
    [
        ({"Dense_0": {"kernel": (4, 5)}}, 1),
        ({"attn": {"query": {"kernel": (4, 2, 3)}}}, 1),
        ({"attn": {"value": {"kernel": (4, 2, 3)}}}, 1),
        ({"attn": {"out": {"kernel": (2, 3, 4)}}}, 2),
        ({"Conv_0": {"kernel": (3, 4, 5)}}, 2),
        ({"features": {"kernel": (3, 3, 4, 5)}}, 3),
        ({"Conv_0": {"kernel": (3, 3, 3, 4, 5)}}, 4),
        ({"layers": {"query": {"kernel": (6, 4, 2, 3)}, "bias": (6, 4)}}, 1),
    ],
)
def test_inputs_are_known_by_shape_and_name(tree, in_axes):
    (target,) = find_targets(shapes(tree), LoRAConfig())
    assert target.in_axes == in_axes


def test_a_kernel_that_can_be_meant_in_two_ways_is_refused():
    tree = shapes({"DenseGeneral_0": {"kernel": (4, 2, 3)}})
    with pytest.raises(ConfigError, match=r"in_axes=\{'DenseGeneral_0': 1\}"):
        find_targets(tree, LoRAConfig())
    (target,) = find_targets(tree, LoRAConfig(in_axes={"DenseGeneral_.*": 2}))
    assert target.sizes((4, 2, 3)) == (8, 3)
    with pytest.raises(ConfigError, match="fewer than 3"):
        find_targets(tree, LoRAConfig(in_axes={"DenseGeneral_0": 3}))


def test_a_subtree_called_layers_is_a_stack_only_where_it_can_be_one():
    """Of Linen, a module of that name: its kernel's first axis is its inputs."""
    plain = shapes({"layers": {"Dense_0": {"kernel": (4, 4), "bias": (4,)}}})
    assert names(plain) == {"layers.Dense_0"}
    convolution = shapes({"layers": {"Conv_0": {"kernel": (3, 4, 5), "bias": (5,)}}})
    assert names(convolution) == {"layers.Conv_0"}
    listed = shapes({"layers": {str(i): {"kernel": (4, 4)} for i in range(2)}})
    assert names(listed) == {"layers.0", "layers.1"}
    assert names(shapes({"layers": {"up": {"kernel": (2, 4, 5)}}})) == {
        "layers.0.up",
        "layers.1.up",
    }
    other = shapes({"blocks": {"up": {"kernel": (2, 4, 5)}}})
    assert names(other, stacks=("blocks",)) == {"blocks.0.up", "blocks.1.up"}
    deeper = shapes({"model": {"layers": {"up": {"kernel": (2, 4, 5)}}}})
    assert names(deeper) == {"model.layers.0.up", "model.layers.1.up"}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("layers.3.attention.q", 3),
        ("model.layers.3.experts.7.up", 3),
        ("encoderblock_12.Dense_0", 12),
        ("Dense_0", None),
        ("blocks.4", None),
    ],
)
def test_the_layer_of_a_module(name, layer):
    assert layer_of(name) == layer


class Boxed(nn.Module):
    @nn.compact
    def __call__(self, x):
        init = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
        return nn.Dense(5, kernel_init=init)(x)


def test_boxes_are_looked_into():
    linen = jax.eval_shape(Boxed().init, jax.random.key(0), jnp.ones((1, 4)))["params"]
    assert names(linen) == {"Dense_0"}
    module = nnx.Linear(4, 5, rngs=nnx.Rngs(0))
    assert names({"dense": nnx.to_pure_dict(nnx.state(module))}) == {"dense"}
    assert names({"dense": nnx.state(module)}) == {"dense"}


def test_other_leaves_stay_the_same_objects(decoder):
    new = with_leaves(decoder, {"head/kernel": 3})
    assert new["head"]["kernel"] == 3
    assert new["layers"]["mlp"]["up"]["kernel"] is decoder["layers"]["mlp"]["up"]["kernel"]
    with pytest.raises(ConfigError, match="'hea/kernel' that the parameters have not"):
        with_leaves(decoder, {"hea/kernel": 3})
