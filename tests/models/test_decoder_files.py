"""Files of either kind, by one name; what is read of them, and what they are known by."""

from __future__ import annotations

import hashlib
import json
import struct

import jax
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.models import decoder_files, hf
from jaxtrain.models.decoder import DecoderConfig, initial_params

CONFIG = DecoderConfig.llama(
    vocab_size=11, width=8, layers=2, heads=4, kv_heads=2, hidden=12, tied=True, max_length=6
)


@pytest.fixture
def binary(tmp_path):
    """A checkpoint of llama2.c of nonsense."""
    numbers = 11 * 8 + 2 * (8 + 64 + 32 + 32 + 64 + 8 + 3 * 96) + 8 + 6 * 2
    values = np.random.default_rng(0).normal(size=numbers).astype("<f4")
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<7i", 8, 12, 2, 4, 2, 11, 6) + values.tobytes())
    return path


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "model"
    params = initial_params(jax.random.key(0), CONFIG)
    hf.save(path, CONFIG, params, dtype="bfloat16", max_shard_size=2000)
    return path


def test_a_path_means_one_or_the_other(binary, directory):
    assert decoder_files.read_config(binary) == decoder_files.read_config(directory) == CONFIG
    for path, own in ((binary, "float32"), (directory, "bfloat16")):
        config, params = decoder_files.load(str(path))
        assert config == CONFIG
        assert {x.dtype.name for x in jax.tree.leaves(params)} == {own}
        _, half = decoder_files.load(path, dtype="float16")
        assert {x.dtype.name for x in jax.tree.leaves(half)} == {"float16"}


def test_a_directory_may_be_called_as_a_checkpoint_is(directory):
    renamed = directory.rename(directory.with_name("model.v2.bin"))
    assert decoder_files.read_config(renamed) == CONFIG


def test_sizes_are_read_without_the_weights(directory):
    for path in directory.glob("*.safetensors*"):
        path.unlink()
    assert decoder_files.read_config(directory) == CONFIG
    with pytest.raises(DataNotFoundError):
        decoder_files.load(directory)


def test_they_are_known_by_all_their_bytes(binary, directory):
    def sha256(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert decoder_files.digests(binary) == {"model.bin": sha256(binary)}
    (directory / "README.md").write_text("not read")
    read = [path for path in directory.iterdir() if path.name != "README.md"]
    assert len(read) > 3
    found = decoder_files.digests(directory)
    assert found == {path.name: sha256(path) for path in read}
    largest = max(directory.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[-1] ^= 1  # one bit of a weight: sizes, headers and config.json stay
    largest.write_bytes(content)
    changed = decoder_files.digests(directory)
    assert {name for name in found if found[name] != changed[name]} == {largest.name}


@pytest.mark.parametrize("act", [decoder_files.read_config, decoder_files.load])
def test_what_is_not_there_or_neither(tmp_path, act):
    with pytest.raises(DataNotFoundError, match=r"gone: there is no such directory"):
        act(tmp_path / "gone")
    with pytest.raises(DataNotFoundError, match=r"gone\.bin: there is no such file"):
        act(tmp_path / "gone.bin")
    with pytest.raises(DataNotFoundError, match=r"config\.json: there is no such file"):
        act(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"expected a directory of Hugging Face, or a file of ll"):
        act(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mistral"}))
    with pytest.raises(ConfigError, match=r"model_type: expected llama or gemma, found 'mistral'"):
        act(tmp_path)
    (tmp_path / "torn.bin").write_bytes(b"\x01")
    with pytest.raises(DataError, match=r"torn\.bin: expected a header of 28 bytes"):
        act(tmp_path / "torn.bin")
    with pytest.raises(ConfigError, match="can't be a path"):
        act("")


def test_a_home_directory_is_known(binary, monkeypatch):
    monkeypatch.setenv("HOME", str(binary.parent))
    assert decoder_files.read_config("~/model.bin") == CONFIG
