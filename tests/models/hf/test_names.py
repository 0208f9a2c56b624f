from __future__ import annotations

import dataclasses
import math

import jax
import pytest

from jaxtrain.models.decoder import DecoderConfig, param_shapes
from jaxtrain.models.hf.names import HEAD, is_ignored, leaves

GEMMA_2B = DecoderConfig.gemma(
    vocab_size=256_000, width=2048, layers=18, heads=8, head_dim=256, hidden=16_384
)
LLAMA_1B = DecoderConfig.llama(
    vocab_size=128_256, width=2048, layers=16, heads=32, kv_heads=8, hidden=8192, tied=True
)


@pytest.mark.parametrize("tied", [True, False])
def test_there_is_a_leaf_for_each_of_the_parameters(tied):
    config = dataclasses.replace(LLAMA_1B, tied=tied)
    shapes = jax.tree_util.tree_flatten_with_path(
        param_shapes(config), is_leaf=lambda shape: isinstance(shape, tuple)
    )[0]
    expected = {tuple(key.key for key in path): shape for path, shape in shapes}
    assert {leaf.path: leaf.shape(config) for leaf in leaves(config)} == expected


@pytest.mark.parametrize(
    ("config", "tensors", "parameters"),
    [(GEMMA_2B, 164, 2_506_172_416), (LLAMA_1B, 146, 1_235_814_400)],
)
def test_as_many_tensors_and_parameters_as_the_published_models_have(config, tensors, parameters):
    shapes = {n: leaf.tensor_shape(config) for leaf in leaves(config) for n in leaf.names(config)}
    assert len(shapes) == tensors
    assert sum(map(math.prod, shapes.values())) == parameters
    assert HEAD not in shapes


def test_shapes_are_those_of_the_published_models():
    shapes = {
        n: leaf.tensor_shape(GEMMA_2B) for leaf in leaves(GEMMA_2B) for n in leaf.names(GEMMA_2B)
    }
    layer = "model.layers.17"
    assert shapes["model.embed_tokens.weight"] == (256_000, 2048)
    assert shapes[f"{layer}.self_attn.q_proj.weight"] == (2048, 2048)
    assert shapes[f"{layer}.self_attn.v_proj.weight"] == (256, 2048)
    assert shapes[f"{layer}.mlp.up_proj.weight"] == (16_384, 2048)
    assert shapes[f"{layer}.mlp.down_proj.weight"] == (2048, 16_384)
    assert shapes[f"{layer}.post_attention_layernorm.weight"] == (2048,)
    assert shapes["model.norm.weight"] == (2048,)


def test_only_a_buffer_of_old_files_is_ignored():
    assert is_ignored("model.layers.31.self_attn.rotary_emb.inv_freq")
    for name in ("model.layers.0.self_attn.q_proj.bias", "inv_freq", "model.layers.x.self_attn.q"):
        assert not is_ignored(name)
