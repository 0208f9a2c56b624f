"""The section `mesh`: one axis takes what is left, which is `data` where nothing is said."""

import pydantic
import pytest

from jaxtrain.config.schema import MeshSection


@pytest.mark.parametrize(
    ("said", "sizes"),
    [
        ({}, (-1, 1, 1)),
        ({"fsdp": 2}, (-1, 2, 1)),
        ({"fsdp": -1}, (1, -1, 1)),
        ({"tensor": -1}, (1, 1, -1)),
        ({"data": -1, "fsdp": -1}, (-1, -1, 1)),  # refused where the devices are known
    ],
)
def test_who_takes_what_is_left(said, sizes):
    section = MeshSection.model_validate(said)
    assert (section.data, section.fsdp, section.tensor) == sizes


@pytest.mark.parametrize("axis", ["data", "fsdp", "tensor"])
@pytest.mark.parametrize("parts", [0, -2, 1.5])
def test_parts_are_a_number_of_them(axis, parts):
    with pytest.raises(pydantic.ValidationError):
        MeshSection.model_validate({axis: parts})
