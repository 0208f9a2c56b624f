"""One of two processes that save together, where one of them fails, sees another disk, or is odd.

python two_processes.py PORT NUMBER COUNT DIRECTORY
"""

import ctypes
import gc
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxtrain.checkpoint import CheckpointStore, committer, manifest, shared
from jaxtrain.errors import CheckpointError, CheckpointMismatchError
from jaxtrain.parallel import exchange, make_mesh, meet

ROWS, COLUMNS = P("fsdp"), P(None, "fsdp")


def main(port, number, count, directory):
    jax.distributed.initialize(f"127.0.0.1:{port}", int(count), int(number))
    place, mine = Path(directory), int(number)
    test_one_that_fails_is_named_by_all_and_the_next_save_happens(place / "failing", mine)
    test_what_is_damaged_is_damaged_for_all(place / "damaged", mine)
    test_what_does_not_fit_is_listed_by_all(place / "mismatch", mine)
    test_what_only_one_holds_for_the_same_is_told(place / "marks", mine)
    test_each_writes_to_the_disk_of_the_other(place, mine)
    test_what_each_has_for_itself_is_that_of_process_0(place / "local", mine)
    test_the_best_and_the_newest_stay(place / "kept", mine)
    test_no_process_has_all_of_it_in_memory(place / "memory")
    print("all well")
    jax.distributed.shutdown()


def laid(value, spec=ROWS):
    sharding = NamedSharding(make_mesh(data=1, fsdp=4), spec)
    return jax.make_array_from_callback(value.shape, sharding, value.__getitem__)


def tree(value, base=0):
    """Something that lies over both, something that each has, and something in common."""
    one = np.full((8, 4), value, np.float32)
    return {"w": laid(one), "n": np.int32(value), "base": laid(one * 0 + base, COLUMNS)}


def value_of(loaded):
    return {float(v) for s in loaded["w"].addressable_shards for v in np.unique(s.data)}


def names(directory):
    meet("still")
    found = sorted(path.name for path in directory.iterdir())
    meet("looked")
    return found


def raised(kind, action):
    with pytest.raises(kind) as found:
        action()
    assert type(found.value) is kind
    return str(found.value)


class Failing:
    """In the place of a function, in one process alone."""

    def __init__(self, module, name, here, error):
        self.module, self.name, self.here, self.error = module, name, here, error

    def __enter__(self):
        self.real = getattr(self.module, self.name)
        if self.here:
            setattr(self.module, self.name, self.fail)

    def fail(self, *args, **kwargs):
        raise self.error

    def __exit__(self, *_):
        setattr(self.module, self.name, self.real)


def test_one_that_fails_is_named_by_all_and_the_next_save_happens(directory, mine):
    store = CheckpointStore(directory, keep=9)
    full = OSError(28, "No space left on device")
    store.save(tree(1), iteration=1, meta={}, shared=("base",))
    done = 1
    for module, name, culprit, error in (
        (committer, "free_name", 0, full),
        (shared, "write_share", 0, full),
        (shared, "write_share", 1, RuntimeError("of orbax")),
        (shared, "digest_files", 1, full),
        (committer, "merge_shares", 0, full),
        (committer, "_encode", 0, ValueError("no JSON")),
        (committer, "write_manifest", 0, full),
        (committer.os, "rename", 0, full),
    ):
        # With a base that is new, so that its save fails first, and with the known one.
        for state in (tree(2, base=done), tree(2)):
            store.wait()
            with Failing(module, name, mine == culprit, error):
                store.save(state, iteration=2, meta={}, shared=("base",))
                said = raised(CheckpointError, store.wait)
            assert said == (
                f"{directory}: saving iteration 2 failed: process {culprit}: {error}. "
                "Earlier checkpoints are untouched."
            ), said
            assert not [n for n in names(directory) if n.startswith(".")], names(directory)
            store.wait()  # told once
        done += 2
        store.save(tree(done), iteration=done, meta={}, shared=("base",))
        store.wait()
        assert not [n for n in names(directory) if n.startswith(".")], names(directory)
        assert store.latest().iteration == done
    assert value_of(store.load(store.latest(), tree(0))[0]) == {done}
    assert len(list((directory / "shared").iterdir())) == 1, "a base that nobody refers to"
    store.close()


def test_what_is_damaged_is_damaged_for_all(directory, mine):
    """Each compares what is small, and of what is large a half."""
    store = CheckpointStore(directory, asynchronous=False)
    for value in (1, 2):
        large = {str(n): laid(np.full((64, 64), n, np.float32)) for n in range(4)}
        store.save(tree(value) | large, iteration=value, meta={}, shared=("base",))
    read, digest, manifest._SMALL = [], manifest._digest, 4096
    manifest._digest = lambda path: read.append(path) or digest(path)
    newest = store.latest().path
    every = exchange("read", json.dumps([str(path) for path in read]))
    every = [path for of_one in every for path in json.loads(of_one)]
    for path in newest.rglob("?*"):
        if path.is_file() and path.name != "manifest.sha256":
            assert every.count(str(path)) == (1 if path.stat().st_size > 4096 else 2), path
    manifest._digest = digest
    files = sorted(path for path in newest.rglob("*") if path.is_file())
    assert len(files) > 10
    for file in files:
        content = file.read_bytes()
        meet("read")
        if mine == 0:
            spoilt = bytearray(content)
            spoilt[len(spoilt) // 2] ^= 1
            file.write_bytes(bytes(spoilt))
        meet("spoilt")
        saved, faults = store.look()
        assert saved.iteration == 1, file
        assert [*faults] == [newest], file
        assert file.name in faults[newest], faults
        said = raised(CheckpointError, lambda: store.load(newest, tree(0)))
        assert file.name in said, (file, said)
        if file is files[-1]:
            break
        meet("seen")
        if mine == 0:
            file.write_bytes(content)
        meet("mended")
    assert store.latest().iteration == 1
    assert names(directory) == [".bad", "00000001", "shared"]
    assert names(directory / ".bad") == ["00000002"]
    store.save(tree(3), iteration=3, meta={}, shared=("base",))
    assert store.latest().iteration == 3
    manifest._SMALL = 1 << 20
    (base,) = (directory / "shared").iterdir()
    meet("all looked")
    if mine == 1:
        (base / "digest").unlink()
    meet("gone")
    assert "every checkpoint is bad" in raised(CheckpointError, store.look)
    store.close()


def test_what_does_not_fit_is_listed_by_all(directory, mine):
    store = CheckpointStore(directory, asynchronous=False)
    store.save(tree(1), iteration=1, meta={})
    other = tree(1) | {"w": laid(np.zeros((4, 4), np.float32)), "more": 1}
    saved = store.latest()
    for ask in (store.compare, store.load):
        said = raised(CheckpointMismatchError, lambda ask=ask: ask(saved, other))
        assert "w: this run has float32[4, 4], the checkpoint float32[8, 4]" in said
        assert "missing in the checkpoint: more" in said
    store.close()


def test_what_only_one_holds_for_the_same_is_told(directory, mine):
    store = CheckpointStore(directory, asynchronous=False)
    one = tree(1)
    store.save(one, iteration=1, meta={}, shared=("base",))
    one |= tree(1) if mine == 1 else {}
    said = raised(CheckpointError, lambda: store.save(one, iteration=2, meta={}, shared=("base",)))
    assert "'base': process 1 has other values than those that were saved before" in said
    store.save(one, iteration=3, meta={}, shared=("base",))
    assert store.latest().iteration == 3
    store.close()


def test_each_writes_to_the_disk_of_the_other(place, mine):
    """Where there are two disks, nothing is taken for saved."""
    store = CheckpointStore(place / f"host{mine}" / "run" / "checkpoints", asynchronous=False)
    said = raised(CheckpointError, lambda: store.save(tree(1), iteration=1, meta={}))
    assert "process 1:" in said
    assert "all processes of a run must write to one disk" in said
    store.close()


def test_what_each_has_for_itself_is_that_of_process_0(directory, mine):
    store = CheckpointStore(directory, asynchronous=False)
    own = {"host": np.float32(mine), "device": jnp.float32(mine), "words": jax.random.key(mine)}
    store.save(own | tree(1), iteration=1, meta={"mine": mine})
    copies = {name: isinstance(store._copy[name], np.ndarray) for name in own}
    assert copies == dict.fromkeys(own, mine == 0), "who does not write it needs no copy"
    loaded, meta = store.load(store.latest(), own | tree(0))
    assert meta["mine"] == 0
    assert float(loaded["host"]) == float(loaded["device"]) == 0
    assert loaded["device"].devices() == {jax.local_devices()[0]}
    assert not loaded["device"].committed
    assert int(jax.random.key_data(loaded["words"])[1]) == 0
    store.close()


def test_the_best_and_the_newest_stay(directory, mine):
    store = CheckpointStore(directory, keep=1, monitor="loss")
    for iteration, loss in enumerate((0.5, 0.2, 0.4, 0.3), 1):
        assert store.improves({"loss": loss}) == (iteration < 3)
        store.save(tree(iteration), iteration=iteration, meta={"metrics": {"loss": loss}})
        store.wait()
        meet("saved")
        kept = [n for n in names(directory) if n[0] != "."]
        assert kept == sorted({f"{min(iteration, 2):08d}", f"{iteration:08d}"}), kept
    assert store.best().iteration == 2
    store.close()


def test_no_process_has_all_of_it_in_memory(directory):
    """Of 128 MB each holds a half, and while it saves or loads another one, not two."""
    store = CheckpointStore(directory)
    zeros = np.zeros((1024, 1024), np.float32)
    small = {"w": laid(zeros, COLUMNS)}
    store.save(small, iteration=1, meta={})
    store.load(store.latest(), small)
    state = {str(i): laid(zeros + i, ROWS if i % 2 else COLUMNS) for i in range(32)}
    half = sum(leaf.nbytes for leaf in state.values()) // 2
    store._copy = {}
    saving = taken_by(lambda: (store.save(state, iteration=2, meta={}), store.wait()))
    store._copy = {}
    kept = []
    loading = taken_by(lambda: kept.append(store.load(store.latest(), state)[0]))
    assert all(
        np.all(np.asarray(shard.data) == int(name))
        for name, leaf in kept[0].items()
        for shard in leaf.addressable_shards
    )
    print(json.dumps({"half": half, "saving": saving, "loading": loading}))
    assert 0.9 * half < saving < 1.4 * half, (saving, half)
    assert 0.9 * half < loading < 1.6 * half, (loading, half)
    store.close()


def taken_by(action):
    """Bytes of memory that are taken meanwhile, at most."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    action()
    return resident("VmHWM") - before


def resident(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
