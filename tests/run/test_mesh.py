"""`mesh:` in a config: the same run, laid out over eight devices."""

import json

import pytest

from tests.processes import run_together


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    directory = tmp_path_factory.mktemp("meshes")
    (said,) = run_together("tests/run/on_meshes.py", 1, directory, devices=8, seconds=300)
    return json.loads(said.splitlines()[-1])


@pytest.mark.parametrize("name", ["mlp data", "mlp fsdp", "decoder data", "decoder fsdp"])
def test_a_run_on_a_mesh_is_the_run_on_one_device(found, name):
    alone = found["tasks"][f"{name.split()[0]} alone"]
    for form, loss in found["tasks"][name].items():
        assert loss == pytest.approx(alone[form], rel=2e-6), form


def test_heads_and_units_lie_over_the_tensor_axis(found):
    alone, spread = found["tasks"]["decoder alone"], found["tasks"]["decoder tensor"]
    for form, loss in spread.items():
        assert loss == pytest.approx(alone[form], rel=2e-6), form
    places = found["tasks"]["decoder tensor places"]
    assert "(None, 'fsdp', 'tensor')" in places
    assert "(None, 'tensor', 'fsdp')" in places


def test_fsdp_gathers_each_kernel_once_a_pass(found):
    # Seven kernels in each of two layers, forward and back, of two micro-batches; and embedding
    # and head, which XLA may keep from one pass to the other.
    layers = 2 * 7 * 2 * 2
    assert layers < found["tasks"]["gathered"] <= layers + 2 * 2 * 2


def test_all_of_the_state_is_whole_on_a_mesh_for_data(found):
    assert found["tasks"]["decoder data places"] == ["whole"]


def test_a_run_goes_on_with_another_mesh(found):
    *_, last, straight = found["runs"]
    assert last["total_epochs"] == straight["total_epochs"] == 2
    assert last["test_loss"] == pytest.approx(straight["test_loss"], rel=1e-4)


def test_parameters_from_files_are_read_in_pieces(found):
    assert found["files"] == [[16, 512]]  # of 64 inputs, over four parts


def test_what_another_run_has_learnt_is_read_in_pieces(found):
    assert found["starts"] == {"data": 2, "fsdp": 4, "tensor": 1}


def test_with_virtual_shards_a_run_that_goes_on_elsewhere_has_the_same_bits(found):
    assert found["shards"] == [True, 2]


def test_what_can_t_be_divided_is_refused_with_its_key(found):
    assert found["refused"] == [
        "mesh: {data: 3, fsdp: 1, tensor: 1} wants 3 devices, and there are 8; a mesh is made "
        "of all, and -1 is what is left",
        "mesh.tensor: model 'mlp' has no rule that lays anything over it, so that all 2 parts "
        "would compute the same; take data or fsdp",
        "data.batch_size: expected a multiple of 8, over which the mesh splits the rows of a "
        "batch, found 36",
        "data.batch_size / train.accumulate (32 / 8): expected a multiple of 8, over which the "
        "mesh splits the rows of a batch, found 4",
        "data.eval_batch_size: expected a multiple of 8, over which the mesh splits the rows of a "
        "batch, found 30",
    ]
