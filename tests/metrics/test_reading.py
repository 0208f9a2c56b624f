import dataclasses
from typing import NamedTuple

import flax.struct
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import DataError
from jaxtrain.metrics.reading import counted, read, refuse_population

READER = "the metric M"


class Heads(NamedTuple):
    a: object
    b: object


@dataclasses.dataclass
class Plain:
    a: object
    b: object


@flax.struct.dataclass
class Struct:
    a: object
    b: object


A, B = np.array([1.0]), np.array([2.0])


@pytest.mark.parametrize(
    ("heads", "path"),
    [
        ({"a": A, "b": B}, "outputs.b"),
        ({"a": A, "b": {"c": {"d": B}}}, "outputs.b.c.d"),
        ((A, B), "outputs.1"),
        ([A, B], "outputs.1"),
        (Heads(A, B), "outputs.b"),
        (Plain(A, B), "outputs.b"),
        (Struct(A, B), "outputs.b"),
        ({0: A, 1: B}, "outputs.1"),
    ],
    ids=str,
)
def test_one_of_several_is_named_by_its_path(heads, path):
    assert read({"outputs": heads}, path, reader=READER).tolist() == [2.0]
    with pytest.raises(DataError) as error:
        read({"outputs": heads}, "outputs", reader=READER)
    first = path.split(".")[1]
    assert str(error.value).startswith(
        "the metric M reads 'outputs', which is no array but has several: name one of 'outputs."
    )
    assert f"'outputs.{first}'" in str(error.value)


def test_a_key_with_dots_is_found_as_it_is_and_goes_first():
    output = {"head.a": A, "head": {"a": B}}
    assert read(output, "head.a", reader=READER).tolist() == [1.0]
    with pytest.raises(DataError, match=r"'head' of the output of the step has 'a'"):
        read(output, "head.b", reader=READER)


def test_a_path_that_leads_nowhere_says_where_it_ends():
    output = {"outputs": {"a": {"x": A}, "b": B}}
    for path, text in {
        "output.a": "reads 'output', the output of the step has only 'outputs'",
        "outputs.c": "reads 'outputs.c', 'outputs' of the output of the step has 'a', 'b'",
        "outputs.a.y": "reads 'outputs.a.y', 'outputs.a' of the output of the step has 'x'",
        "outputs.b.0": "reads 'outputs.b.0', 'outputs.b' of the output of the step has no parts",
        "labels": "reads 'labels', the output of the step has only 'outputs'",
    }.items():
        with pytest.raises(DataError) as error:
            read(output, path, reader=READER)
        assert text in str(error.value)
        assert "the metric M" in str(error.value)


def test_an_output_that_is_a_tuple_has_its_places():
    assert read((A, B), "1", reader=READER).tolist() == [2.0]
    with pytest.raises(DataError, match=r"reads 'outputs', the output of the step has only '0',"):
        read((A, B), "outputs", reader=READER)


@pytest.mark.parametrize("output", [None, 0.5, A, ()], ids=str)
def test_an_output_without_parts_is_refused(output):
    with pytest.raises(DataError, match=r"expected the output of the step to be a dict of arrays"):
        read(output, "outputs", reader=READER)


@pytest.mark.parametrize(
    "found", ["text", object(), [[1.0], [1.0, 2.0]]], ids=["text", "object", "ragged"]
)
def test_what_is_no_array_is_refused(found):
    with pytest.raises(DataError, match="M reads 'x'; expected an array of numbers, found"):
        read({"x": found}, "x", reader=READER)


def test_numbers_and_lists_of_numbers_are_arrays():
    assert read({"x": 1.5}, "x", reader=READER).shape == ()
    assert read({"x": [[1, 2], [3, 4]]}, "x", reader=READER).shape == (2, 2)


def test_without_a_mask_everything_counts():
    values = jnp.ones((2, 3))
    for output, mask in (({}, "mask"), ({"mask": None}, "mask"), ({"mask": [0.0, 1.0]}, None)):
        found = counted(output, values, mask=mask, reader=READER)
        assert found.tolist() == [[True] * 3] * 2
    assert counted((A, B), values, mask="mask", reader=READER).all()


def test_a_mask_of_rows_and_one_of_elements():
    values = jnp.ones((2, 3))
    rows = counted({"mask": [0.0, 0.5]}, values, mask="mask", reader=READER)
    assert rows.tolist() == [[False] * 3, [True] * 3]
    elements = {"masks": {"a": jnp.array([[1, 0, 1], [0, 0, 1]])}}
    assert counted(elements, values, mask="masks.a", reader=READER).sum() == 3


def test_a_named_mask_must_be_there_and_fit():
    with pytest.raises(DataError, match="the metric M reads 'mask_a', the output of the step has"):
        counted({"mask": [1.0]}, jnp.ones(1), mask="mask_a", reader=READER)
    with pytest.raises(DataError, match=r"the metric M: the mask has shape \(3,\).*\(2,\)"):
        counted({"mask": [1.0] * 3}, jnp.ones(2), mask="mask", reader=READER)


@pytest.mark.parametrize("key", ["loss_sum", "loss_weight", "finite"])
def test_a_population_is_refused(key):
    with pytest.raises(DataError, match=rf"M: expected a scalar '{key}', found the shape \(4,\)"):
        refuse_population({key: np.ones(4)}, READER)
    refuse_population({key: np.float32(1), "loss": np.ones(4)}, READER)
