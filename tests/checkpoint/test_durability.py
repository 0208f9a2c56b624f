"""A power cut at any instant of a save: a good checkpoint is found, and the newest one stays."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import CheckpointStore, committer, shared, take_survey
from jaxtrain.checkpoint.saved import shared_parts
from jaxtrain.checkpoint.verifier import shared_fault
from tests.losing_disk import LosingDisk


def write_plainly(directory, arrays):
    """In the place of orbax: as deep, but fewer files, so that there are fewer states to try."""
    (directory / "deep" / "deeper").mkdir(parents=True)
    for number, array in enumerate(arrays.values()):
        (directory / "deep" / "deeper" / str(number)).write_bytes(array.tobytes())
    (directory / "_METADATA").write_text(", ".join(arrays))


@pytest.fixture
def plainly(monkeypatch):
    for module in (committer, shared):
        monkeypatch.setattr(module, "write_arrays", write_plainly)


@pytest.fixture
def tmp_path(tmp_path):
    """In memory, where there is such a place: thousands of small files are made and deleted."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as place:
        yield Path(place)


@pytest.fixture
def disk(tmp_path):
    return LosingDisk(tmp_path / "disk")


def survey(place):
    return take_survey(place / "run/checkpoints", monitor="loss", mode="min")


def check(disk, tmp_path, done):
    """Whatever is lost: no commit is half a one, and none that was done is gone.

    Args:
        done: by the name of an instant, the iteration saved by then, and the best loss by then.
    """
    newest, best, known = -1, np.inf, {}
    for instant in disk.instants:
        newest, best = done.get(instant.call, (newest, best))
        for left in instant.after_a_power_cut():
            if left.digest not in known:
                with left.built(tmp_path / "left") as place:
                    found = survey(place)
                    parts = [shared_fault(p) for p in shared_parts(place / "run/checkpoints")]
                faults = [f.fault for f in found.found if f.path.name[0] != "."]
                assert not any([*faults, *parts]), instant.call
                known[left.digest] = (
                    -1 if found.resume is None else found.resume.iteration,
                    np.inf if found.best is None else found.best.value("loss"),
                )
            resume, lowest = known[left.digest]
            assert resume >= newest, instant.call
            assert lowest <= best, instant.call
    assert len(known) > len(done)


@pytest.mark.usefixtures("plainly")
@pytest.mark.parametrize("frozen", [False, True])
def test_a_power_cut_at_any_instant_of_saving_and_pruning(disk, tmp_path, monkeypatch, frozen):
    losses = [0.3, 0.5, 0.4]
    bases = [jnp.arange(4.0), jnp.arange(4.0) + 1]
    done = {}
    saver = CheckpointStore(
        disk.root / "run/checkpoints", keep=1, monitor="loss", asynchronous=False
    )
    with disk.watched(monkeypatch):
        for iteration, loss in enumerate(losses, 1):
            tree = {"w": np.full(3, iteration), "base": bases[iteration > 1]}
            meta = {"metrics": {"loss": loss}}
            parts = ("base",) if frozen else ()
            saver.save(tree, iteration=iteration, meta=meta, shared=parts)
            disk.mark(f"saved {iteration}")
            done[f"saved {iteration}"] = (iteration, min(losses[:iteration]))
    check(disk, tmp_path, done)


@pytest.mark.usefixtures("plainly")
def test_a_base_is_gone_only_after_the_last_that_refers_to_it(disk, tmp_path, monkeypatch):
    """Every checkpoint with a base of its own, and only the newest one stays."""
    saver = CheckpointStore(
        disk.root / "run/checkpoints", keep=1, monitor="none", asynchronous=False
    )
    with disk.watched(monkeypatch):
        for iteration in (1, 2):
            tree = {"w": np.ones(1), "base": jnp.full(4, iteration)}
            meta = {"metrics": {"loss": 1.0}}
            saver.save(tree, iteration=iteration, meta=meta, shared=("base",))
            disk.mark(f"saved {iteration}")
    assert len(list((disk.root / "run/checkpoints/shared").iterdir())) == 1
    check(disk, tmp_path, {f"saved {i}": (i, 1.0) for i in (1, 2)})


def test_a_power_cut_behind_a_save_by_orbax(disk, tmp_path, monkeypatch):
    """Its files, too, are all on the disk when a save is done, and can be read."""
    state = {"w": jnp.arange(3.0), "deep": {"er": jnp.ones(2)}, "base": jnp.arange(5.0)}
    saver = CheckpointStore(disk.root / "run/checkpoints", asynchronous=False)
    with disk.watched(monkeypatch):
        saver.save(state, iteration=1, meta={}, shared=("base",))
        disk.mark("saved")
    for left in disk.instants[-1].after_a_power_cut():
        with left.built(tmp_path / "left") as place:
            again = CheckpointStore(place / "run/checkpoints", asynchronous=False)
            loaded, _ = again.load(again.latest(), state)
        np.testing.assert_array_equal(loaded["base"], np.arange(5.0))
        np.testing.assert_array_equal(loaded["w"], np.arange(3.0))


@pytest.mark.usefixtures("plainly")
def test_what_a_power_cut_leaves_can_be_saved_into(disk, tmp_path, monkeypatch):
    saver = CheckpointStore(disk.root / "run/checkpoints", keep=1, asynchronous=False)
    trees = [{"w": np.full(3, i), "base": jnp.full(4, i)} for i in range(3)]
    with disk.watched(monkeypatch):
        for iteration in (0, 1):
            saver.save(trees[iteration], iteration=iteration, meta={}, shared=("base",))
    for instant in disk.instants[::7]:
        for left in instant.after_a_power_cut(tries=2):
            with left.built(tmp_path / "left") as place:
                again = CheckpointStore(place / "run/checkpoints", keep=1, asynchronous=False)
                again.save(trees[2], iteration=2, meta={}, shared=("base",))
                found = survey(place)
                assert [f.path.name for f in found.found] == ["00000002"], instant.call
                assert found.found[0].fault == ""
                assert len(list((again.directory / "shared").iterdir())) == 1
