"""Checkpoints of llama2.c: the real one writes what it is known to write."""

from __future__ import annotations

import re
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.models import llama2c
from jaxtrain.models.decoder import DecoderConfig, hidden_states, initial_params, logits

BEGINNING = [1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315]
# What llama2.c itself writes in 200 steps, by its test_all.py.
TEXT = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. "
    'She said, "I want to play with your ball, but I can\'t find it."\n'
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to "
    "do.\"\nLily didn't want to help her mom, so she"
)
STEPS = 200


def pieces(path) -> list[str]:
    """What each token stands for, by the file of the tokenizer."""
    content, found, place = path.read_bytes(), [], 4
    while place < len(content):
        _, length = struct.unpack_from("<fi", content, place)
        piece = content[place + 8 : place + 8 + length].decode()
        found.append(re.sub(r"^<0x(..)>$", lambda byte: chr(int(byte[1], 16)), piece))
        place += 8 + length
    return found


def written(params, config, steps):
    """Greedy tokens from BOS on: a forward pass over all of them for each."""

    @jax.jit
    def following(tokens, place):
        hidden = hidden_states(params, config, tokens[None])
        return logits(params, config, hidden)[0, place].argmax().astype(jnp.int32)

    tokens = jnp.zeros(steps + 1, jnp.int32).at[0].set(1)
    for place in range(steps):
        tokens = tokens.at[place + 1].set(following(tokens, place))
    return tokens.tolist()


def test_stories260k_writes_greedily_what_llama2c_writes(shared_data):
    folder = shared_data / "stories260k"
    config, params = llama2c.load(folder / "stories260K.bin")
    assert (config.width, config.hidden, config.layers, config.heads) == (64, 172, 5, 8)
    assert (config.kv_heads, config.vocab_size, config.max_length) == (4, 512, 512)
    assert config.tied
    tokens = written(params, config, STEPS)
    assert tokens[: len(BEGINNING)] == BEGINNING
    of = pieces(folder / "tok512.bin")
    assert "".join(of[token] for token in tokens[1:]).lstrip(" ") == TEXT


def content(*, tied=True, seed=0, **changed) -> bytes:
    """A checkpoint of nonsense: D 8, F 12, N 2, H 4, G 2, V 11, length 6."""
    sizes = {"dim": 8, "hidden": 12, "layers": 2, "heads": 4, "kv": 2, "vocab": 11, "length": 6}
    header = sizes | ({} if tied else {"vocab": -11}) | changed
    rope = 6 * 8 // header["heads"]
    numbers = 11 * 8 + 2 * (8 + 64 + 32 + 32 + 64 + 8 + 3 * 96) + 8 + rope + (0 if tied else 88)
    values = np.random.default_rng(seed).normal(size=numbers).astype("<f4")
    return struct.pack("<7i", *header.values()) + values.tobytes()


@pytest.fixture
def load(tmp_path):
    def load(content, **options):
        path = tmp_path / "model.bin"
        path.write_bytes(content)
        return llama2c.load(path, **options)

    return load


@pytest.mark.parametrize("tied", [True, False])
def test_every_array_is_at_its_place(load, tied):
    raw = content(tied=tied)
    config, params = load(raw)
    expected = DecoderConfig.llama(
        vocab_size=11, width=8, layers=2, heads=4, kv_heads=2, hidden=12, tied=tied, max_length=6
    )
    assert config == expected
    like = initial_params(jax.random.key(0), config)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, like)
    values = np.frombuffer(raw[28:], "<f4")
    np.testing.assert_array_equal(params["embedding"]["embedding"], values[:88].reshape(11, 8))
    up = params["layers"]["mlp"]["up"]["kernel"]  # the last of the layers' arrays: w3
    end = len(values) - 8 - 12 - (0 if tied else 88)
    np.testing.assert_array_equal(up[1].T, values[end - 96 : end].reshape(12, 8))
    np.testing.assert_array_equal(params["norm"]["scale"], values[end : end + 8])
    if not tied:
        np.testing.assert_array_equal(params["head"]["kernel"].T, values[-88:].reshape(11, 8))


def test_neighbouring_features_become_the_halves_of_a_head(load):
    raw = content(heads=2, kv=1)  # E = 4
    _, params = load(raw)
    values = np.frombuffer(raw[28:], "<f4")[88 + 16 :]
    layers = params["layers"]["attention"]
    q = values[:128].reshape(2, 8, 8)[:, [0, 2, 1, 3, 4, 6, 5, 7]]
    k = values[128:192].reshape(2, 4, 8)[:, [0, 2, 1, 3]]
    v = values[192:256].reshape(2, 4, 8)
    for name, rows in {"q": q, "k": k, "v": v}.items():
        np.testing.assert_array_equal(layers[name]["kernel"].swapaxes(1, 2), rows)


def test_it_comes_in_the_dtype_and_to_the_place_that_is_asked_for(load):
    device = jax.devices()[0]
    sharding = jax.sharding.SingleDeviceSharding(device)
    _, params = load(content(), dtype="bfloat16", sharding=sharding)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"bfloat16"}
    assert {leaf.sharding for leaf in jax.tree.leaves(params)} == {sharding}
    with pytest.raises(ConfigError, match="dtype: expected one of float32, bfloat16"):
        load(content(), dtype="int8")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "expected a header of 28 bytes, found 0"),
        (content()[:-1], "truncated"),
        (content() + b"\0", "too long"),
        (content(layers=0), "layers: expected more than 0"),
        (content(heads=3), "heads: expected a divisor of width=8"),
        (content(kv=3), "kv_heads: expected a divisor"),
        (content(vocab=0), "vocab_size"),
        (content(layers=2**31 - 1, hidden=2**31 - 1), "its header means"),
        (content(dim=0x616B3432), "a later format of llama2.c"),
        (b"PK\x03\x04" + bytes(100), "is no checkpoint of llama2.c"),
    ],
)
def test_what_is_no_checkpoint_is_refused(load, raw, message):
    with pytest.raises(DataError, match=message) as caught:
        load(raw)
    assert "model.bin" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"none\.bin"):
        llama2c.load(tmp_path / "none.bin")
    with pytest.raises(DataNotFoundError, match=r"none\.bin"):
        llama2c.read_config(tmp_path / "none.bin")


@pytest.mark.parametrize("tied", [True, False])
def test_the_header_alone_says_the_sizes(load, tmp_path, tied, monkeypatch):
    config, _ = load(content(tied=tied))
    monkeypatch.setattr(np, "fromfile", None)  # no weight is read
    assert llama2c.read_config(tmp_path / "model.bin") == config
    (tmp_path / "model.bin").write_bytes(content(tied=tied)[:-4])
    with pytest.raises(DataError, match="truncated, or no checkpoint"):
        llama2c.read_config(tmp_path / "model.bin")
