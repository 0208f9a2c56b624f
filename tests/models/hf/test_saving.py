"""To files and back, and what transformers makes of them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import CheckpointError, ConfigError
from jaxtrain.files import directory
from jaxtrain.models import hf
from jaxtrain.models.decoder import DecoderConfig, Llama3Scaling, initial_params
from jaxtrain.models.hf import saving

SCALING = Llama3Scaling(
    factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32
)
SIZES = {"vocab_size": 50, "width": 12, "layers": 3, "heads": 2}
CONFIGS = {
    "llama": DecoderConfig.llama(**SIZES, rope_scaling=SCALING, rope_theta=5e5),
    "llama, tied": DecoderConfig.llama(**SIZES, tied=True, kv_heads=1, norm_eps=1e-3),
    "gemma": DecoderConfig.gemma(**SIZES, head_dim=10),
    "gemma, untied": DecoderConfig.gemma(**SIZES, tied=False, kv_heads=2, max_length=100),
}
LLAMA = CONFIGS["llama"]


def params_of(config, dtype="float32"):
    params = initial_params(jax.random.key(1), config, dtype=dtype)
    return jax.tree.map(
        lambda x: (x + 0.01 * jnp.arange(x.size).reshape(x.shape)).astype(dtype), params
    )


def from_pretrained(directory):
    transformers = pytest.importorskip(
        "transformers", reason="the peers extra installs transformers"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return transformers.AutoModelForCausalLM.from_pretrained(
            directory, output_loading_info=True, dtype="auto"
        )


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("most", [10**9, 5000])
@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_saved_is_loaded_as_the_same(tmp_path, name, most):
    config, params = CONFIGS[name], params_of(CONFIGS[name])
    hf.save(tmp_path / "a/b", config, params, max_shard_size=most)
    found = sorted(path.name for path in (tmp_path / "a/b").iterdir())
    if most == 10**9:
        assert found == ["config.json", "model.safetensors"]
    else:
        assert len(found) > 4
        assert found[1] == f"model-00001-of-{len(found) - 2:05d}.safetensors"
        index = json.loads((tmp_path / "a/b/model.safetensors.index.json").read_text())
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
        assert index["metadata"] == {"total_size": size}
        large = 4 * 12 * 50  # one tensor alone, at most
        assert all((tmp_path / "a/b" / f).stat().st_size < max(most, large) + 4096 for f in found)
    loaded, again = hf.load(tmp_path / "a/b")
    assert loaded == config
    same(again, params)
    assert sorted(os.listdir(tmp_path / "a")) == ["b"]  # no temporary directory


@pytest.mark.parametrize("most", [1, 1500, 5000])
def test_files_are_as_full_as_they_can_be_and_none_is_empty(most):
    config = CONFIGS["llama"]
    dtypes = dict.fromkeys(saving.leaves(config), np.dtype(np.float32))
    shards = saving._shards(config, dtypes, most)
    sizes = [[4 * math.prod(leaf.tensor_shape(config)) for _, leaf, _ in shard] for shard in shards]
    assert all(sizes)
    assert sum(map(len, sizes)) == 9 * config.layers + 3
    for shard, following in itertools.pairwise(sizes):
        assert sum(shard) + following[0] > most
    assert all(sum(shard) <= most or len(shard) == 1 for shard in sizes)


@pytest.mark.parametrize("most", [10**9, 5000])
@pytest.mark.parametrize("name", CONFIGS)
def test_transformers_loads_what_is_saved(tmp_path, name, most):
    """Every tensor, none missing or unexpected; and what it saves is loaded here as the same."""
    config, params = CONFIGS[name], params_of(CONFIGS[name])
    hf.save(tmp_path / "ours", config, params, max_shard_size=most)
    model, said = from_pretrained(tmp_path / "ours")
    assert {key: value for key, value in said.items() if value} == {}
    assert model.dtype.is_floating_point
    model.save_pretrained(tmp_path / "theirs")
    loaded, again = hf.load(tmp_path / "theirs")
    assert loaded == config
    same(again, params)
    assert (model.config.bos_token_id, model.config.eos_token_id) == (None, None)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("llama", {}),
        ("llama", {"tie_word_embeddings": True}),
        ("llama", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}
                   | dataclasses.asdict(SCALING)}),
        ("gemma", {}),
        ("gemma", {"tie_word_embeddings": False, "num_key_value_heads": 1}),
    ],
)  # fmt: skip
def test_a_model_of_transformers_comes_back_tensor_for_tensor(
    theirs, tmp_path, family, options, dtype
):
    import torch

    model = theirs(family, dtype=dtype, **options)
    model.save_pretrained(tmp_path / "theirs")
    hf.save(tmp_path / "ours", *hf.load(tmp_path / "theirs"))
    again, said = from_pretrained(tmp_path / "ours")
    assert {key: value for key, value in said.items() if value} == {}
    assert again.dtype == model.dtype
    expected, found = model.state_dict(), again.state_dict()
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name
    passing = {"_name_or_path", "architectures", "dtype", "initializer_range"}
    passing |= {"hidden_activation"}  # which only transformers 4 reads
    mine, others = again.config.to_dict(), model.config.to_dict()
    for key in (mine.keys() | others.keys()) - passing:
        assert mine.get(key) == others.get(key), key
    assert again.config.architectures == [type(model).__name__]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_dtype_that_is_asked_for(tmp_path, dtype):
    params = params_of(LLAMA)
    hf.save(tmp_path / "narrow", LLAMA, params, dtype=dtype)
    same(hf.load(tmp_path / "narrow")[1], jax.tree.map(lambda x: x.astype(dtype), params))
    assert json.loads((tmp_path / "narrow/config.json").read_text())["torch_dtype"] == dtype
    with pytest.raises(ConfigError, match="dtype: expected one of"):
        hf.save(tmp_path / "x", LLAMA, params, dtype="float64")


@pytest.mark.parametrize("stacked", [False, True])
def test_what_is_too_large_for_the_dtype_is_refused_by_its_name(tmp_path, stacked):
    params = params_of(LLAMA)
    if stacked:
        kernel = params["layers"]["mlp"]["up"]["kernel"]
        params["layers"]["mlp"]["up"]["kernel"] = kernel.at[1, 2, 3].set(-70000.0)
        name = "model.layers.1.mlp.up_proj.weight"
    else:
        params["head"]["kernel"] = params["head"]["kernel"].at[2, 3].set(-70000.0)
        name = "lm_head.weight"
    said = f"params: {name}: holds 70000, and float16 ends at 65504; bfloat16 has room for it"
    with pytest.raises(ConfigError) as caught:
        hf.save(tmp_path / "x", LLAMA, params, dtype="float16")
    assert str(caught.value) == said
    assert os.listdir(tmp_path) == []
    hf.save(tmp_path / "x", LLAMA, params, dtype="bfloat16")


def test_what_is_infinite_already_is_not_made_so(tmp_path):
    params = params_of(LLAMA)
    params["norm"]["scale"] = params["norm"]["scale"].at[0].set(jnp.inf)
    hf.save(tmp_path / "x", LLAMA, params, dtype="float16")
    params["norm"]["scale"] = params["norm"]["scale"].at[1].set(3.4e38)
    with pytest.raises(ConfigError, match=r"model\.norm\.weight: .*; float32 has room"):
        hf.save(tmp_path / "y", LLAMA, params, dtype="bfloat16")


def test_the_file_says_pt_and_config_what_is_not_known(tmp_path):
    import safetensors

    hf.save(tmp_path / "x", LLAMA, params_of(LLAMA), extra={"eos_token_id": [2, 3]})
    with safetensors.safe_open(tmp_path / "x/model.safetensors", framework="np") as file:
        assert file.metadata() == {"format": "pt"}
    entries = json.loads((tmp_path / "x/config.json").read_text())
    assert (entries["bos_token_id"], entries["eos_token_id"]) == (None, [2, 3])


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"head_dim": 6}, "extra: head_dim is what the config says"),
        ({"sliding_window": 3}, "sliding_window"),
        ({"rope_parameters": {"rope_type": "default"}}, "contradict"),
        ({"note": {1, 2}}, "extra: .*expected what JSON holds"),
        ({"note": float("nan")}, "extra: .*expected what JSON holds"),
    ],
)
def test_more_entries_may_not_make_another_model_of_it(tmp_path, extra, message):
    with pytest.raises(ConfigError, match=message):
        hf.save(tmp_path / "x", LLAMA, params_of(LLAMA), extra=extra)
    assert os.listdir(tmp_path) == []


def test_further_files_are_there_when_the_rest_is(tmp_path):
    params, path = params_of(LLAMA), tmp_path / "x"
    hf.save(path, LLAMA, params, beside={"tokenizer.json": b"{}", "notes": b"\xff"})
    assert (path / "tokenizer.json").read_bytes() == b"{}"
    assert (path / "notes").read_bytes() == b"\xff"
    same(hf.load(path)[1], params)
    for name, message in {
        "config.json": "beside: config.json is a file of the model itself",
        "model-00001-of-00002.safetensors": "is a file of the model itself",
        "model.safetensors.index.json": "is a file of the model itself",
        "../x": "beside: '../x' can't be a name",
    }.items():
        with pytest.raises(ConfigError, match=message):
            hf.save(tmp_path / "y", LLAMA, params, beside={name: b""})
    assert os.listdir(tmp_path) == ["x"]


def test_parameters_of_another_model_are_refused_all_at_once(tmp_path):
    params = params_of(LLAMA)
    del params["layers"]["mlp"]["up"]
    params["norm"]["scale"] = jnp.ones(13)
    params["embedding"]["embedding"] = jnp.ones((50, 12), jnp.int32)
    params["head"]["bias"] = jnp.ones(50)
    with pytest.raises(ConfigError) as caught:
        hf.save(tmp_path / "x", LLAMA, params)
    assert str(caught.value).split("\n  ") == [
        "params: embedding/embedding: expected float32 or bfloat16 or float16, found int32",
        "head/bias: not one of this model",
        "layers/mlp/up/kernel: missing",
        "norm/scale: expected [12], found [13]",
    ]
    tied = dataclasses.replace(LLAMA, tied=True)
    with pytest.raises(ConfigError, match="params: head/kernel: not one of this model"):
        hf.save(tmp_path / "x", tied, params_of(LLAMA))
    with pytest.raises(ConfigError, match="max_shard_size: expected at least 1 byte, found 0"):
        hf.save(tmp_path / "x", LLAMA, params_of(LLAMA), max_shard_size=0)
    assert os.listdir(tmp_path) == []


def test_who_may_read_one_file_may_read_all(tmp_path):
    config = DecoderConfig.llama(vocab_size=8, width=8, layers=1, heads=1)
    hf.save(tmp_path / "saved", config, initial_params(jax.random.key(0), config))
    assert len({path.stat().st_mode for path in (tmp_path / "saved").iterdir()}) == 1


def test_numpy_arrays_are_saved_as_well(tmp_path):
    params = params_of(LLAMA)
    hf.save(tmp_path / "x", LLAMA, jax.tree.map(np.asarray, params))
    same(hf.load(tmp_path / "x")[1], params)


def test_nothing_that_is_there_is_replaced(tmp_path):
    params = params_of(LLAMA)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, message in {
        "full": "expected no such path, or an empty directory, found 'mine.txt' in it",
        "file": "found a file",
        "link": "found a file",
    }.items():
        with pytest.raises(ConfigError, match=message):
            hf.save(tmp_path / name, LLAMA, params)
    assert (tmp_path / "full/mine.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["file", "full", "link"]
    (tmp_path / "empty").mkdir()
    hf.save(tmp_path / "empty", LLAMA, params)
    with pytest.raises(ConfigError, match=r"found 'config\.json' in it; nothing is replaced"):
        hf.save(tmp_path / "empty", LLAMA, params)
    same(hf.load(tmp_path / "empty")[1], params)


@pytest.mark.parametrize("at", ["weights", "sync", "rename"])
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_in_the_middle_leaves_nothing(tmp_path, monkeypatch, at, fault):
    def fail(*args, **options):
        raise fault

    if at == "weights":
        written = saving.write_tensors
        calls = iter([written, fail, fail])
        monkeypatch.setattr(saving, "write_tensors", lambda *a: next(calls)(*a))
    elif at == "sync":
        monkeypatch.setattr(directory, "sync", fail)
    else:
        monkeypatch.setattr(os, "rename", fail)
    expected = CheckpointError if isinstance(fault, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        hf.save(tmp_path / "x", LLAMA, params_of(LLAMA), max_shard_size=5000)
    if isinstance(fault, OSError):
        assert f"{tmp_path}/x: could not be written: [Errno 28]" in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_what_comes_meanwhile_stays(tmp_path, monkeypatch):
    """Two that save at once: the second finds the first, and leaves it."""
    synced = directory.sync

    def come(path):
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x/theirs.txt").write_text("theirs")
        synced(path)

    monkeypatch.setattr(directory, "sync", come)
    with pytest.raises(CheckpointError, match="x: could not be written"):
        hf.save(tmp_path / "x", LLAMA, params_of(LLAMA))
    assert os.listdir(tmp_path) == ["x"]
    assert os.listdir(tmp_path / "x") == ["theirs.txt"]


def test_parameters_may_be_spread_over_devices(tmp_path):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("x",))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    params = params_of(LLAMA)
    hf.save(tmp_path / "x", LLAMA, jax.device_put(params, spread))
    same(hf.load(tmp_path / "x")[1], params)
