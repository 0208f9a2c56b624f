from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxtrain.errors import ConfigError, DataError, DataNotFoundError
from jaxtrain.models.hf.weights import Weights

A, B = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(2, np.float16)
FILES = {"model-00001-of-00002.safetensors": {"a": A}, "model-00002-of-00002.safetensors": {"b": B}}
LISTED = {name: file for file, tensors in FILES.items() for name in tensors}
FIRST, SECOND = FILES


@pytest.fixture
def sharded(tmp_path):
    """sharded(index=..., files=...): what is not given is as it should be."""

    def make(*, weight_map=LISTED, files=FILES):
        for file, tensors in files.items():
            save_file(tensors, tmp_path / file)
        index = {"metadata": {"total_size": 28}, "weight_map": weight_map}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        return tmp_path

    return make


def test_a_single_file(tmp_path):
    save_file({"a": A, "b": B}, tmp_path / "model.safetensors")
    weights = Weights(tmp_path)
    assert weights.heads.keys() == {"a", "b"}
    np.testing.assert_array_equal(weights.read("a"), A)
    assert weights.read("b").dtype == np.float16
    assert weights.place("a") == f"{tmp_path}/model.safetensors: tensor 'a'"
    assert weights.files == [tmp_path / "model.safetensors"]


def test_several_with_an_index(sharded):
    weights = Weights(sharded())
    np.testing.assert_array_equal(weights.read("a"), A)
    np.testing.assert_array_equal(weights.read("b"), B)
    assert SECOND in weights.place("b")
    assert {path.name for path in weights.files} == {"model.safetensors.index.json", *FILES}
    assert len(weights.files) == 3


def test_links_are_followed_as_in_the_cache_of_hugging_face(sharded, tmp_path):
    directory = sharded()
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in list(directory.iterdir()):
        if file.is_file():
            (snapshot / file.name).symlink_to(f"../{file.name}")
    np.testing.assert_array_equal(Weights(snapshot).read("a"), A)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        (LISTED | {"c": FIRST}, "tensor 'c' is not in"),
        (LISTED | {"a": SECOND}, "tensor 'a' is not in"),
        ({"a": SECOND, "b": FIRST}, "tensor 'a' is not in"),
        ({"a": FIRST}, None),  # a shard that nobody asks for is nobody's
        ({"a": FIRST, "c": SECOND}, "tensor 'c' is not in"),
        (LISTED | {"c": "model-00003-of-00003.safetensors"}, "is not there; was all of it"),
        (LISTED | {"c": "../model-00001-of-00002.safetensors"}, "can't be a name"),
        (LISTED | {"c": "/etc/passwd"}, "can't be a name"),
        (LISTED | {"c": ".."}, "can't be a name"),
        (LISTED | {"c": "a\0b"}, "can't be a name"),
        (LISTED | {"c": ""}, "can't be a name"),
        (LISTED | {"c": 3}, "weight_map: expected names"),
        (["a"], "weight_map: expected names"),
        (None, "weight_map: expected names"),
    ],
)
def test_an_index_that_is_not_true(sharded, weight_map, message):
    directory = sharded(weight_map=weight_map)
    if message is None:
        assert Weights(directory).heads.keys() == {"a"}
        return
    with pytest.raises(DataError, match=message) as caught:
        Weights(directory)
    assert "model.safetensors.index.json" in str(caught.value)


def test_a_tensor_that_is_in_two_files_or_in_no_index(sharded):
    with pytest.raises(DataError, match=f"tensor 'a' is in {FIRST}, too"):
        Weights(sharded(files={FIRST: {"a": A}, SECOND: {"b": B, "a": A}}))
    with pytest.raises(DataError, match=r"tensor 'c' is not in model.safetensors.index.json"):
        Weights(sharded(files={FIRST: {"a": A}, SECOND: {"b": B, "c": A}}))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
def test_files_that_could_execute_code_are_left_alone(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ConfigError, match=f"found {name}, and no model.safetensors.*convert it"):
        Weights(tmp_path)


def test_no_weights_at_all(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataNotFoundError, match=r"neither model.safetensors nor"):
        Weights(tmp_path)


@pytest.mark.parametrize("then", ["shorter", "other", "gone"])
def test_a_file_that_changes_while_it_is_read(tmp_path, then):
    path = tmp_path / "model.safetensors"
    save_file({"a": A}, path)
    weights = Weights(tmp_path)
    if then == "shorter":
        path.write_bytes(path.read_bytes()[:-4])
    elif then == "other":
        save_file({"a": A.T.copy()}, path)
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"model\.safetensors: tensor 'a'"):
        weights.read("a")
