"""Parameters in pieces are put together where they are used: once in a pass, a layer at a time."""

import json

import jax
import jax.numpy as jnp
import pytest

from jaxtrain.parallel import Layout, again, gathered, make_mesh, parts_in_use, using
from tests.processes import run_together


@pytest.fixture(scope="module")
def found():
    (said,) = run_together("tests/parallel/on_eight.py", 1, devices=8)
    return json.loads(said.splitlines()[-1])


def test_each_layer_is_gathered_once_forward_and_once_back(found):
    assert found["fsdp"] == {"gathered": 4, "parts": [4], "in use": [4, 1]}


def test_tensor_pieces_stay_pieces(found):
    assert found["both"]["in use"] == [2, 2]
    assert found["both"]["gathered"] >= 4


def test_whole_parameters_are_gathered_by_nobody(found):
    assert found["data"] == {"gathered": 0, "parts": [], "in use": [1, 1]}


def test_where_no_layout_is_in_use_nothing_happens():
    params = {"kernel": jnp.ones((4, 4))}
    assert gathered(params) is params
    assert parts_in_use("fsdp") == 1
    assert again(len) is len
    with using(Layout(make_mesh(devices=jax.devices()[:1]))):
        assert gathered(params) is params
        assert again(len) is len
    assert parts_in_use("fsdp") == 1


def test_an_error_within_ends_its_use():
    mesh = jax.sharding.AbstractMesh((1, 2, 1), ("data", "fsdp", "tensor"))

    def failing():
        with using(Layout(mesh)):
            assert parts_in_use("fsdp") == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert parts_in_use("fsdp") == 1
