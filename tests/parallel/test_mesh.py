"""The mesh: how many parts each axis has, and what can't be."""

import jax
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxtrain.errors import ConfigError
from jaxtrain.parallel import batch_sharding, make_mesh, replicated, row_parts
from jaxtrain.parallel.mesh import mesh_sizes, refuse_other_mesh, refuse_unsplit


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [
        (8, {"data": -1, "fsdp": 1, "tensor": 1}, (8, 1, 1)),
        (8, {"data": -1, "fsdp": 2, "tensor": 2}, (2, 2, 2)),
        (8, {"data": 2, "fsdp": -1, "tensor": 1}, (2, 4, 1)),
        (8, {"data": 1, "fsdp": 1, "tensor": -1}, (1, 1, 8)),
        (1, {"data": -1, "fsdp": 1, "tensor": 1}, (1, 1, 1)),
        (6, {"data": 3, "fsdp": 2, "tensor": 1}, (3, 2, 1)),
    ],
)
def test_what_is_left_goes_where_it_is_wanted(count, sizes, expected):
    assert mesh_sizes(count, **sizes) == expected


@pytest.mark.parametrize(
    ("count", "sizes", "said"),
    [
        (8, {"data": -1, "fsdp": -1, "tensor": 1}, "data and fsdp are -1"),
        (
            8,
            {"data": -1, "fsdp": 3, "tensor": 1},
            "wants a multiple of 3 devices, and there are 8; a mesh",
        ),
        (8, {"data": 2, "fsdp": 2, "tensor": 1}, "wants 4 devices, and there are 8; a mesh"),
        (8, {"data": 16, "fsdp": 1, "tensor": 1}, "wants 16 devices, and there are 8; a mesh"),
        (2, {"data": -1, "fsdp": 4, "tensor": 1}, "wants a multiple of 4 devices, and there are 2"),
        (8, {"data": 0, "fsdp": 1, "tensor": 1}, "mesh.data: expected 1 or more, or -1, found 0"),
        (8, {"data": -1, "fsdp": -2, "tensor": 1}, "mesh.fsdp: expected 1 or more"),
    ],
)
def test_sizes_that_the_devices_do_not_make_up_are_refused(count, sizes, said):
    with pytest.raises(ConfigError, match=said):
        mesh_sizes(count, **sizes)


def test_a_mesh_has_all_axes_and_xla_lays_out_what_lies_between():
    mesh = make_mesh(devices=jax.devices()[:1])
    assert dict(mesh.shape) == {"data": 1, "fsdp": 1, "tensor": 1}
    assert set(mesh.axis_types) == {AxisType.Auto}
    assert batch_sharding(mesh).spec == PartitionSpec(("data", "fsdp"))
    assert replicated(mesh).spec == PartitionSpec()
    assert row_parts(mesh) == 1


def test_rows_that_do_not_divide_are_refused():
    mesh = jax.sharding.AbstractMesh((2, 3, 4), ("data", "fsdp", "tensor"))
    assert row_parts(mesh) == 6
    refuse_unsplit(12, mesh)
    with pytest.raises(ConfigError, match=r"data.batch_size: expected a multiple of 6.*found 8"):
        refuse_unsplit(8, mesh)
    with pytest.raises(ConfigError, match="mine: expected a multiple of 6"):
        refuse_unsplit(8, mesh, key="mine")


def test_a_mesh_of_ones_own_is_told_which_axes_it_lacks():
    refuse_other_mesh(make_mesh(devices=jax.devices()[:1]))
    with pytest.raises(ConfigError, match="found batch, fsdp; missing: data, tensor"):
        refuse_other_mesh(jax.sharding.AbstractMesh((1, 1), ("batch", "fsdp")))


def test_data_takes_what_is_left_unless_another_axis_is_to():
    one = jax.devices()[:1]
    assert dict(make_mesh(fsdp=-1, devices=one).shape) == {"data": 1, "fsdp": 1, "tensor": 1}
    with pytest.raises(ConfigError, match="data and fsdp are -1"):
        make_mesh(data=-1, fsdp=-1, devices=one)
