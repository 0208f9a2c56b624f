"""Data by process: the global batches are the same bytes, however many read them."""

import json
import sys
from unittest import mock

import jax
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader, GrainLoader, OnMesh, PrefetchLoader, on_mesh
from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError
from jaxtrain.parallel import make_mesh
from tests.data.by_process import BATCH, EPOCHS, ROWS, Noted, arrays
from tests.processes import run_together


def said_by(count):
    texts = run_together("tests/data/by_process.py", count, devices=4 // count)
    return [json.loads(text.splitlines()[-1]) for text in texts]


def test_one_two_and_four_processes_read_the_same_batches_each_its_own_rows():
    (alone,) = said_by(1)
    assert alone["arrays"] == alone["grain"]
    steps = EPOCHS * -(-ROWS // BATCH)
    assert len(alone["arrays"]) == steps * 3 * 4  # entries and pieces of each batch
    for count in (2, 4):
        each = said_by(count)
        for kind in ("arrays", "grain"):
            pieces = [piece for one in each for piece in one[kind].items()]
            assert len(pieces) == len(alone[kind])  # nobody has what another has
            assert dict(pieces) == alone[kind]
        for one in each:
            assert one["cursors"] == alone["cursors"]
            assert one["trained"] == alone["trained"]
        # Two epochs in other orders: nobody reads all rows, and together all are read.
        assert all(len(one["asked"]) < ROWS for one in each)
        assert {row for one in each for row in one["asked"]} == {*range(ROWS)}
    total = sum(range(ROWS)) * EPOCHS
    assert alone["trained"] == {"single": [total, steps], "fused": [total, steps]}


@pytest.fixture
def mesh():
    return make_mesh(devices=jax.devices()[:1])


def test_it_is_a_loader_like_the_one_underneath(mesh):
    loader = ArrayLoader(arrays(), batch_size=16)
    placed = on_mesh(loader, mesh)
    assert isinstance(placed, OnMesh)
    assert placed.batch_size == 16
    assert len(placed) == placed.steps_per_epoch == 4
    assert placed.fingerprint() == loader.fingerprint()
    assert placed.start(2) == loader.start(2)
    for batch, expected in zip(placed.epoch(2), loader.epoch(2), strict=True):
        np.testing.assert_array_equal(batch["inputs"], expected["inputs"])
    for batch, expected in zip(placed, loader, strict=True):
        assert batch.keys() == expected.keys()
        for name, array in batch.items():
            np.testing.assert_array_equal(array, expected[name])
            assert array.sharding.mesh == mesh
    example = placed.example()
    assert example["inputs"].shape == (16, 3)
    assert example["inputs"].sharding.mesh == mesh
    with pytest.raises(CheckpointMismatchError):
        placed.batches({"epoch": 0, "batch": 0, "fingerprint": "another"})


def test_what_has_no_rows_is_whole_everywhere_and_wide_numbers_are_as_jax_has_them(mesh):
    class Own:
        batch_size, steps_per_epoch = 4, 1

        def fingerprint(self):
            return "own"

        def example(self):
            return {
                "x": jax.ShapeDtypeStruct((4, 2), np.float64),
                "weights": jax.ShapeDtypeStruct((7,), np.float32),
            }

        def start(self, epoch=0):
            return {"epoch": epoch}

        def batches(self, cursor=None):
            while True:
                yield {"x": np.ones((4, 2)), "weights": np.arange(7, dtype=np.float32)}, {}

    batch, _ = next(on_mesh(Own(), mesh).batches())
    assert batch["x"].dtype == np.float32
    assert batch["weights"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert batch["weights"].sharding.spec == jax.sharding.PartitionSpec()


@pytest.mark.parametrize("kind", ["arrays", "grain"])
def test_some_places_of_each_batch_alone(kind):
    make = {
        "arrays": lambda **o: ArrayLoader(arrays(), **o),
        "grain": lambda **o: GrainLoader(Noted(), **o),
    }[kind]
    loader = make(batch_size=16, seed=1)
    part = loader.only([3, 4, 9])
    assert part.batch_size == 16
    assert part.steps_per_epoch == loader.steps_per_epoch
    assert part.fingerprint() == loader.fingerprint()
    assert part.example()["inputs"].shape == (3, 3)
    for few, all_of_them in zip(part.epoch(1), loader.epoch(1), strict=True):
        for name, array in few.items():
            np.testing.assert_array_equal(array, all_of_them[name][[3, 4, 9]])
    with pytest.raises(ConfigError, match="places: expected 0 to 15"):
        loader.only([16])


def test_records_that_may_be_left_out_cannot_be_counted_by_several():
    loader = GrainLoader(Noted(), batch_size=16, max_corrupt=1)
    with pytest.raises(ConfigError, match="max_corrupt: 1 records may be left out"):
        loader.only([0])


def test_a_short_last_batch_is_an_error_that_says_what_to_do(mesh):
    placed = on_mesh(ArrayLoader(arrays(), batch_size=16), mesh)
    short = {"inputs": np.ones((3, 3), np.float32)}
    assert placed.place(short)["inputs"].shape == (3, 3)  # of one device it can be
    with (
        mock.patch.object(sys.modules[OnMesh.__module__], "row_parts", return_value=2),
        pytest.raises(DataError, match="inputs: the loader gave a batch of 3 rows, expected 16"),
    ):
        placed.place(short)


def test_prefetched_ahead_they_still_say_where_they_lie(mesh):
    placed = on_mesh(ArrayLoader(arrays(), batch_size=16), mesh)
    found = PrefetchLoader(placed).example()["inputs"]
    assert found.sharding == placed.example()["inputs"].sharding


def test_a_mesh_of_other_axes_is_refused():
    mesh = jax.sharding.AbstractMesh((1,), ("batch",))
    with pytest.raises(ConfigError, match="found batch; missing: data, fsdp, tensor"):
        on_mesh(ArrayLoader(arrays(), batch_size=16), mesh)


def test_a_batch_that_does_not_split_is_an_error():
    loader = ArrayLoader(arrays(), batch_size=15)
    mesh = jax.sharding.AbstractMesh((2, 1, 1), ("data", "fsdp", "tensor"))
    with pytest.raises(ConfigError, match=r"data.batch_size: expected a multiple of 2.*found 15"):
        on_mesh(loader, mesh)
