"""Files of language models that are broken or hostile: an error of ours, or all of the parameters.

500 examples, always the same ones: damaged safetensors files, headers of nonsense with tensors that
are there, configs, indices, llama2.c checkpoints. Whatever a file claims, memory stays bounded.
"""

from __future__ import annotations

import copy
import json
import shutil
import struct
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models import hf, llama2c
from jaxtrain.models.decoder import DecoderConfig, param_shapes
from jaxtrain.models.hf import loading
from jaxtrain.models.hf.config import config_json
from jaxtrain.models.hf.names import leaves

MOST = 2**23  # bytes that files of a few kilobytes may take
CONFIG = DecoderConfig.llama(
    vocab_size=11, width=8, layers=2, heads=2, kv_heads=1, hidden=12, max_length=64
)


def fixed(examples):
    ignored = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(
        max_examples=examples, derandomize=True, database=None, suppress_health_check=ignored
    )


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A directory of one file, and one of several."""
    root = tmp_path_factory.mktemp("good")
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.normal(size=leaf.tensor_shape(CONFIG)).astype(np.float32)
        for leaf in leaves(CONFIG)
        for name in leaf.names(CONFIG)
    }
    names = list(tensors)
    shards = {f"model-{n}.safetensors": names[n::3] for n in range(3)}
    for directory, files in {"single": {"model.safetensors": names}, "sharded": shards}.items():
        (root / directory).mkdir()
        for file, held in files.items():
            save_file({name: tensors[name] for name in held}, root / directory / file)
        entries = json.dumps(config_json(CONFIG, dtype="float32"))
        (root / directory / "config.json").write_text(entries)
    listed = {name: file for file, held in shards.items() for name in held}
    index = json.dumps({"metadata": {}, "weight_map": listed})
    (root / "sharded/model.safetensors.index.json").write_text(index)
    return root


@pytest.fixture(scope="module", autouse=True)
def _no_compiler():
    """What is put on a device stays as numpy has it: nothing of it is of the files."""
    with pytest.MonkeyPatch.context() as patched:

        def written(stacked, tensor, layer, transposed):
            return stacked.at[layer].set(tensor.T if transposed else tensor)

        patched.setattr(loading.jax, "block_until_ready", lambda parts: parts)
        patched.setattr(loading, "_written", written)
        yield


@pytest.fixture
def loaded(good, tmp_path):
    """loaded("single", {file: content}): whether it is; the config is that of the parameters."""

    def loaded(name, contents, load=hf.load):
        directory = tmp_path / "model"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(good / name, directory)
        for file, content in contents.items():
            (directory / file).write_bytes(content)
        return bounded(load, directory)

    return loaded


def bounded(load, path):
    tracemalloc.start()
    try:
        config, params = load(path)
    except (ConfigError, DataError) as error:
        said = str(error)
        said.encode()
        assert str(path) in said
        assert len(said) < 2000
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MOST, peak
    assert jax.tree.map(jnp.shape, params) == param_shapes(config)
    return config, params


@st.composite
def damages(draw):
    """How a file is damaged: places are shares of its length."""
    kinds = ["flip", "set", "cut", "double", "drop", "number"]
    return [
        (
            draw(st.sampled_from(kinds)),
            # Most of it is numbers, of which each is as good as another.
            draw(st.one_of(st.floats(0, 0.3), st.floats(0, 1), st.floats(0, 0.005))),
            draw(st.integers(0, 63)),
            draw(st.binary(min_size=1, max_size=4)),
            draw(st.sampled_from([0, 1, 2**16 - 1, 2**31 - 1, 2**32 - 1])),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]


def damaged(content, damages):
    content = bytearray(content)
    for kind, share, length, some, number in damages:
        place = min(int(share * len(content)), max(len(content) - 1, 0))
        if kind == "flip" and content:
            content[place] ^= 1 << length % 8
        elif kind == "set":
            content[place : place + len(some)] = some
        elif kind == "cut":
            del content[place:]
        elif kind == "double":
            content[place:place] = content[place : place + length]
        elif kind == "drop":
            del content[place : place + length]
        else:
            content[place : place + 4] = struct.pack("<I", number)
    return bytes(content)


@fixed(100)
@given(how=damages())
def test_a_damaged_safetensors_file(loaded, good, how):
    content = (good / "single/model.safetensors").read_bytes()
    loaded("single", {"model.safetensors": damaged(content, how)})


@fixed(50)
@given(how=damages(), which=st.integers(0, 100))
def test_a_damaged_file_of_several(loaded, good, how, which):
    files = sorted(path.name for path in (good / "sharded").iterdir())
    file = files[which % len(files)]
    loaded("sharded", {file: damaged((good / "sharded" / file).read_bytes(), how)})


NUMBERS = st.sampled_from([0, 1, 2, 8, 11, 12, -1, 2**31, 2**53, 2**63, 2**64, 10**30, 1.0, 1e308])
VALUES = st.one_of(
    NUMBERS,
    st.none(),
    st.booleans(),
    st.sampled_from(
        ["F32", "BF16", "F16", "F64", "I8", "", "x" * 5000, "\ud800", "../../etc", "\0"]
    ),
    st.lists(NUMBERS, max_size=10),
    st.just({}),
    st.just([[[[]]]]),
    st.just({"rope_type": "llama3", "factor": 2.0}),
    st.just({"rope_type": "default", "rope_theta": 1e-300}),
)


@fixed(100)
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, 1000), st.sampled_from(["dtype", "shape", "data_offsets", "?"]), VALUES
        ),
        min_size=1,
        max_size=3,
    ),
    rename=st.none() | st.text(max_size=20),
)
def test_a_header_that_says_something_else(loaded, good, changes, rename):
    content = (good / "single/model.safetensors").read_bytes()
    length = struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8 : 8 + length])
    names = list(header)
    for number, key, value in changes:
        name = names[number % len(names)]
        if key == "?":
            header[name] = value
        elif isinstance(header[name], dict):
            header[name] = {**header[name], key: value}
    if rename is not None:
        header[rename] = header.pop(names[-1])
    raw = json.dumps(header).encode()
    whole = struct.pack("<Q", len(raw)) + raw + content[8 + length :]
    loaded("single", {"model.safetensors": whole})


KEYS = [
    *("architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size", "head_dim"),
    *(
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "hidden_act",
        "rope_theta",
    ),
    *("rope_scaling", "rope_parameters", "tie_word_embeddings", "rms_norm_eps", "torch_dtype"),
    *("max_position_embeddings", "attention_bias", "sliding_window", "quantization_config", "more"),
]


@fixed(100)
@given(changes=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=3))
def test_a_config_that_says_something_else(loaded, good, changes):
    entries = json.loads((good / "single/config.json").read_text()) | changes
    loaded("single", {"config.json": json.dumps(entries).encode()})


FILES = ["../single/model.safetensors", "/etc/passwd", "model-1.safetensors", "", "\0"]


@fixed(50)
@given(
    changes=st.lists(st.tuples(st.integers(0, 1000), VALUES | st.sampled_from(FILES)), max_size=3),
    whole=st.none() | VALUES,
)
def test_an_index_that_says_something_else(loaded, good, changes, whole):
    index = json.loads((good / "sharded/model.safetensors.index.json").read_text())
    listed = copy.copy(index["weight_map"])
    names = list(listed)
    for number, value in changes:
        listed[names[number % len(names)]] = value
    index["weight_map"] = listed if whole is None else whole
    content = json.dumps(index).encode()
    assert loaded("sharded", {"model.safetensors.index.json": content}) is None or not changes


@fixed(100)
@given(how=damages())
def test_a_damaged_checkpoint_of_llama2c(loaded, how):
    rope, layer = 64 * 4, 8 * (2 + 2 * 8 + 2 * 4) + 3 * 96
    numbers = 11 * 8 + 2 * layer + 8 + rope
    content = struct.pack("<7i", 8, 12, 2, 2, 1, 11, 64) + np.ones(numbers, "<f4").tobytes()
    whole = damaged(content, how)
    loaded("single", {"model.bin": whole}, lambda path: llama2c.load(path / "model.bin"))
