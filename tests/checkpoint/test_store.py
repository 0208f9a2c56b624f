import json
import shutil
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxtrain.checkpoint.committer as module
from jaxtrain.checkpoint.manifest import write_manifest
from jaxtrain.errors import CheckpointError, CheckpointMismatchError


def names(store):
    """What stands in the store's directory, hidden or not."""
    return sorted(path.name for path in store.directory.iterdir())


def iterations(store):
    return [saved.iteration for saved in store.saved()]


def fill(store, values, **losses):
    """fill(store, values, _1=0.5): save iteration 1 with a loss of 0.5, and so on."""
    for name, loss in losses.items():
        iteration = int(name[1:])
        metrics = {} if loss is None else {"loss": loss}
        store.save(values(iteration), iteration=iteration, meta={"metrics": metrics})
    store.wait()


def spoil(saved, name="meta.json"):
    """Flip one bit of a file of a checkpoint."""
    path = saved.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


# -- saving and loading --------------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_was_saved_comes_back(make_store, asynchronous):
    tree = {
        "params": {"w": jnp.asarray([1.5], jnp.bfloat16), "empty": jnp.zeros((0, 2))},
        "rng": jax.random.key(3),
        "step": jnp.int32(900),
    }
    store = make_store(asynchronous=asynchronous)
    store.save(tree, iteration=900, meta={"metrics": {"loss": 0.25}, "cursor": [1, 2]})
    store.wait()
    saved = store.latest()
    assert (saved.path.name, saved.iteration) == ("00000900", 900)
    loaded, meta = store.load(saved, jax.tree.map(jnp.zeros_like, tree))
    assert meta == {
        "format": 2,
        "iteration": 900,
        "metrics": {"loss": 0.25},
        "cursor": [1, 2],
        "keys": {"rng": "threefry2x32"},
        "shared": {},
    }
    assert jax.tree.structure(loaded) == jax.tree.structure(tree)
    assert loaded["params"]["w"].dtype == jnp.bfloat16
    assert float(loaded["params"]["w"][0]) == 1.5
    assert loaded["params"]["empty"].shape == (0, 2)
    assert int(loaded["step"]) == 900
    np.testing.assert_array_equal(
        jax.random.key_data(loaded["rng"]), jax.random.key_data(tree["rng"])
    )
    by_path, _ = store.load(saved.path, tree)
    assert int(by_path["step"]) == 900


def test_floats_of_the_meta_come_back_exactly(make_store, values):
    store = make_store()
    numbers = {"loss": 0.1 + 0.2, "tiny": 5e-324, "nan": float("nan"), "inf": float("inf")}
    store.save(values(1), iteration=1, meta={"metrics": numbers})
    back = store.latest().meta["metrics"]
    assert np.isnan(back.pop("nan"))
    assert back == {k: v for k, v in numbers.items() if k != "nan"}


def test_nothing_is_made_before_the_first_save(make_store):
    store = make_store()
    assert (store.saved(), store.latest(), store.best()) == ([], None, None)
    assert not store.directory.exists()


def test_another_store_finds_what_this_one_saved(make_store, values):
    fill(make_store(), values, _1=0.5, _2=0.4)
    assert iterations(make_store()) == [1, 2]


def test_a_tree_of_another_model_is_refused_with_every_difference(make_store):
    store = make_store()
    store.save({"w": jnp.ones((2, 3)), "b": jnp.ones(3)}, iteration=1, meta={})
    with pytest.raises(CheckpointMismatchError) as error:
        store.load(store.latest(), {"w": jnp.ones((2, 4)), "c": jnp.ones(3)})
    assert str(error.value).splitlines() == [
        "the checkpoint does not fit this run:",
        "  missing in the checkpoint: c",
        "  not in this run: b",
        "  w: this run has float32[2, 4], the checkpoint float32[2, 3]",
    ]


@pytest.mark.parametrize("name", ["format", "iteration", "keys", "shared"])
def test_an_entry_of_the_stores_own_is_not_overwritten_by_meta(make_store, values, name):
    store = make_store()
    with pytest.raises(ValueError, match=f"meta: {name} are the store's own"):
        store.save(values(1), iteration=1, meta={name: 7})
    assert store.latest() is None


@pytest.mark.parametrize("meta", [{"shared": {"w": "../../x"}}, {"shared": []}, {"keys": {"w": 1}}])
def test_a_meta_that_leads_elsewhere_is_bad(make_store, values, meta):
    store = make_store()
    fill(store, values, _1=None)
    path = store.latest().path
    altered = json.loads((path / "meta.json").read_text()) | meta
    (path / "meta.json").write_text(json.dumps(altered))
    write_manifest(path)
    with pytest.raises(CheckpointError, match=r"meta\.json: is not what it must be"):
        store.load(path, values(1))


def test_a_spoilt_checkpoint_is_not_loaded(make_store, values):
    store = make_store()
    fill(store, values, _1=None)
    saved = store.latest()
    spoil(saved)
    with pytest.raises(CheckpointError, match=r"meta\.json: the contents do not match"):
        store.load(saved, values(1))


def test_a_path_that_is_no_checkpoint(make_store, values, tmp_path):
    with pytest.raises(CheckpointError, match=r"manifest\.sha256: can't be read"):
        make_store().load(tmp_path / "nothing", values(1))


# -- order, serial numbers, pruning --------------------------------------------------------------


def test_checkpoints_are_in_the_order_of_their_iterations(make_store, values):
    store = make_store(keep=9)
    big = 123_456_789  # one digit more than the names are padded to
    fill(store, values, **{"_2": None, f"_{big}": None, "_10": None, "_9": None})
    assert iterations(store) == [2, 9, 10, big]
    assert store.latest().iteration == big


def test_an_iteration_saved_again_is_the_later_one(make_store, values):
    store = make_store(keep=20)
    for serial in range(12):
        store.save(values(serial), iteration=5, meta={"serial": serial})
    assert [saved.meta["serial"] for saved in store.saved()] == list(range(12))
    assert store.latest().path.name == "00000005.11"
    tree, _ = store.load(store.latest(), values(0))
    assert float(tree["w"][0]) == 11


def test_the_newest_are_kept(make_store, values):
    store = make_store(keep=3)
    fill(store, values, _1=None, _2=None, _3=None, _4=None, _5=None)
    assert names(store) == ["00000003", "00000004", "00000005"]


@pytest.mark.parametrize(
    ("mode", "losses", "best", "kept"),
    [
        ("min", [0.5, 0.1, 0.3, 0.4, 0.2], 2, [2, 4, 5]),
        ("max", [0.5, 0.1, 0.3, 0.4, 0.2], 1, [1, 4, 5]),
        ("min", [0.5, 0.4, 0.3, 0.2, 0.1], 5, [4, 5]),
        ("min", [0.1, 0.1, 0.1, 0.1, 0.1], 1, [1, 4, 5]),  # of equals the first
        ("min", [float("nan"), 0.7, 0.8, 0.9, float("nan")], 2, [2, 4, 5]),
        ("max", [float("nan"), 0.7, 0.6, 0.5, float("nan")], 2, [2, 4, 5]),
        ("min", [None, None, 0.3, None, None], 3, [3, 4, 5]),
        ("min", [-1, float("-inf"), float("inf"), 0, 1], 2, [2, 4, 5]),
        ("max", [-1, float("-inf"), float("inf"), 0, 1], 3, [3, 4, 5]),
    ],
)
def test_the_best_is_kept_besides_the_newest(make_store, values, mode, losses, best, kept):
    store = make_store(keep=2, mode=mode)
    fill(store, values, **{f"_{i}": loss for i, loss in enumerate(losses, 1)})
    assert iterations(store) == kept
    assert store.best().iteration == best
    assert store.latest().iteration == 5


def test_several_of_the_best_are_kept(make_store, values):
    store = make_store(keep=1, keep_best=3)
    fill(store, values, _1=0.5, _2=0.1, _3=0.4, _4=0.6, _5=0.2, _6=None)
    assert iterations(store) == [2, 3, 5, 6]
    assert store.best().iteration == 2
    assert [store.improves({"loss": x}) for x in (0.3, 0.4, 0.9, float("nan"))] == [
        True, False, False, False,
    ]  # fmt: skip
    again = make_store(keep=1, keep_best=3)  # another process looks them up
    assert [again.improves({"loss": x}) for x in (0.3, 0.4)] == [True, False]
    few = make_store(keep=1, keep_best=9)  # there is room for any number
    assert few.improves({"loss": 99.0})
    assert not few.improves({})


@pytest.mark.parametrize("options", [{"keep": 0}, {"keep_best": 0}])
def test_it_keeps_at_least_one(make_store, options):
    with pytest.raises(ValueError, match="expected at least 1, found 0"):
        make_store(**options)


def test_best_and_latest(make_store, values):
    store = make_store(keep=5)
    fill(store, values, _1=0.5, _2=0.1, _3=None, _4=0.3)
    assert store.best().iteration == 2
    assert store.latest().iteration == 4


def test_without_the_metric_the_newest_is_the_best(make_store, values):
    store = make_store(monitor="val/accuracy")
    fill(store, values, _1=0.5, _2=0.1, _3=0.7)
    assert store.best().iteration == 3


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("mode", "before", "value", "better"),
    [
        ("min", [], 0.5, True),
        ("min", [0.5], 0.4, True),
        ("min", [0.5], 0.5, False),  # of equals the first stays
        ("min", [0.5], 0.6, False),
        ("max", [0.5], 0.6, True),
        ("max", [0.5], 0.5, False),
        ("min", [0.3, 0.5], 0.4, False),  # against the best, not the newest
        ("min", [], NAN, False),
        ("min", [NAN], 9.0, True),
        ("min", [NAN], NAN, False),
        ("min", [NAN, 0.5], 0.6, False),
        ("min", [0.5], -INF, True),
        ("max", [NAN], -INF, True),
        ("min", [0.5], None, False),
        ("min", [None], 0.5, True),
        ("min", [True], 0.5, True),  # no number
        ("min", ["0.1"], 0.5, True),
        ("min", [10**400], 0.5, True),
        ("min", [0.5], [0.1], False),
        ("min", [0.5], 0, True),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_what_improves(make_store, values, mode, before, value, better, again):
    store = make_store(mode=mode, keep=9)
    for iteration, old in enumerate(before, 1):
        meta = {"metrics": {} if old is None else {"loss": old}}
        store.save(values(iteration), iteration=iteration, meta=meta)
    store = make_store(mode=mode, keep=9) if again else store
    assert store.improves({} if value is None else {"loss": value}) is better
    if better:
        store.save(values(99), iteration=99, meta={"metrics": {"loss": value}})
        assert store.best().iteration == 99


def test_nan_is_never_the_best(make_store, values):
    store = make_store(keep=1)
    fill(store, values, _1=NAN, _2=NAN, _3=None)
    assert iterations(store) == [3]
    fill(store, values, _4=0.9, _5=NAN)
    assert iterations(store) == [4, 5]
    assert store.best().iteration == 4


# -- a commit is whole or not there --------------------------------------------------------------


def test_what_is_half_written_is_never_listed_and_swept_by_the_next_save(make_store, values):
    store = make_store()
    fill(store, values, _1=None)
    whole = store.latest().path
    shutil.copytree(whole, store.directory / ".tmp-00000002")
    shutil.copytree(whole, store.directory / ".tmp-old-00000000.3")
    (store.directory / ".tmp-00000007").symlink_to(whole)
    assert iterations(store) == [1]
    assert store.latest().iteration == 1
    fill(store, values, _3=None)
    assert names(store) == ["00000001", "00000003"]


def test_names_that_are_no_checkpoints_are_left_alone(make_store, values, tmp_path):
    store = make_store(keep=1)
    fill(store, values, _1=None)
    (store.directory / "lost+found").mkdir()
    (store.directory / "best").mkdir()
    (store.directory / "00000009").write_text("a file, no directory")
    (store.directory / "00000008").symlink_to(tmp_path)
    (store.directory / ".tmp-mine").mkdir()
    (store.directory / ".tmp-mine/precious").touch()
    (store.directory / ".tmp-old-notes").write_text("mine, too")
    (store.directory / "shared").mkdir()
    (store.directory / "shared/notes").write_text("mine as well")
    fill(store, values, _2=None)
    assert iterations(store) == [2]
    assert store.latest().iteration == 2
    assert {"lost+found", "best", "00000008", "00000009"} < set(names(store))
    assert (store.directory / ".tmp-mine/precious").exists()
    assert {".tmp-old-notes", "shared"} < set(names(store))
    assert (store.directory / "shared/notes").exists()


@pytest.mark.parametrize("phase", ["write_arrays", "write_manifest", "os.rename", "sync"])
def test_a_save_that_fails_at_any_phase_leaves_the_others(make_store, values, monkeypatch, phase):
    store = make_store()
    fill(store, values, _1=None)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"jaxtrain.checkpoint.committer.{phase}", full)
        with pytest.raises(CheckpointError) as error:
            store.save(values(2), iteration=2, meta={})
    # One line: the place, the cause, and where the writer is known to be, the file.
    said = str(error.value)
    assert said.startswith(
        f"{store.directory}: saving iteration 2 failed: [Errno 28] No space left on device"
    )
    assert said.endswith(". Earlier checkpoints are untouched.")
    assert "\n" not in said
    # Once it is renamed it is a commit, whatever becomes of the rest.
    done = [1, 2] if phase == "sync" else [1]
    assert iterations(store) == done
    assert not [name for name in names(store) if name.startswith(".")]
    fill(store, values, _3=None)
    assert store.latest().iteration == 3


def test_a_meta_that_json_does_not_know_is_an_error(make_store, values):
    store = make_store()
    with pytest.raises(CheckpointError, match="not JSON serializable"):
        store.save(values(1), iteration=1, meta={"metrics": {"loss": np.float32(1)}})
    assert store.latest() is None


# -- asynchronously ------------------------------------------------------------------------------


@pytest.fixture
def failing(make_store, values, monkeypatch):
    """An asynchronous store whose last save, of iteration 2, has failed unseen."""
    store = make_store(asynchronous=True)
    fill(store, values, _1=None)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_arrays", full)
    store.save(values(2), iteration=2, meta={})
    return store


@pytest.mark.parametrize("how", ["save", "wait", "close"])
def test_the_error_of_a_background_save_comes_up_once(failing, values, how):
    action = {
        "save": lambda: failing.save(values(3), iteration=3, meta={}),
        "wait": failing.wait,
        "close": failing.close,
    }[how]
    with pytest.raises(CheckpointError, match=r"saving iteration 2 failed: .*No space left"):
        action()
    failing.wait()
    failing.close()
    assert iterations(failing) == [1]


def test_after_a_failed_background_save_later_ones_happen(failing, values, monkeypatch):
    with pytest.raises(CheckpointError):
        failing.wait()
    monkeypatch.undo()
    fill(failing, values, _3=None)
    assert iterations(failing) == [1, 3]


@pytest.fixture
def held_back(monkeypatch):
    """An event that all writing waits for."""
    go_on = threading.Event()
    write = module.write_arrays

    def slow(*args):
        assert go_on.wait(30)
        write(*args)

    monkeypatch.setattr(module, "write_arrays", slow)
    yield go_on
    go_on.set()


def test_a_background_save_does_not_wait_and_does_not_see_what_happens_next(make_store, held_back):
    store = make_store(asynchronous=True)
    array = np.zeros(3, np.float32)
    meta = {"note": "first", "rows": [1]}
    store.save({"w": array}, iteration=1, meta=meta)
    assert not list(store.directory.glob("0*"))
    array[:] = 9
    meta["rows"].append(2)
    meta["note"] = "second"
    held_back.set()
    store.close()
    loaded, meta = store.load(store.latest(), {"w": array})
    np.testing.assert_array_equal(loaded["w"], np.zeros(3))
    assert (meta["note"], meta["rows"]) == ("first", [1])


@pytest.mark.parametrize("ask", ["latest", "best", "saved", "load"])
def test_who_asks_for_a_checkpoint_waits_for_the_one_that_is_being_written(
    make_store, values, held_back, ask
):
    store = make_store(asynchronous=True, keep=5)
    held_back.set()
    fill(store, values, _1=0.5)
    held_back.clear()
    store.save(values(2), iteration=2, meta={"metrics": {"loss": 0.4}})
    threading.Timer(0.2, held_back.set).start()
    found = {
        "latest": lambda: store.latest().iteration,
        "best": lambda: store.best().iteration,
        "saved": lambda: store.saved()[-1].iteration,
        "load": lambda: int(store.load(store.directory / "00000002", values(0))[0]["w"][0]),
    }
    assert found[ask]() == 2


def test_who_asks_learns_that_the_save_has_failed(failing):
    with pytest.raises(CheckpointError, match="saving iteration 2 failed"):
        failing.latest()
    assert failing.latest().iteration == 1


def test_whether_an_epoch_is_better_is_known_without_waiting(make_store, values, held_back):
    store = make_store(asynchronous=True)
    store.save(values(1), iteration=1, meta={"metrics": {"loss": 0.5}})
    assert not store.improves({"loss": 0.5})
    assert store.improves({"loss": 0.4})
    held_back.set()


def test_a_best_that_could_not_be_saved_is_none(make_store, values, monkeypatch):
    store = make_store(asynchronous=True)
    fill(store, values, _1=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_arrays", lambda *args: (_ for _ in ()).throw(OSError("full")))
        store.save(values(2), iteration=2, meta={"metrics": {"loss": 0.1}})
        with pytest.raises(CheckpointError):
            store.wait()
    assert store.improves({"loss": 0.4})


def test_saves_are_committed_one_after_the_other(make_store, values, monkeypatch):
    active, most = [], []
    write = module.write_arrays

    def watched(*args):
        active.append(1)
        most.append(len(active))
        time.sleep(0.01)
        write(*args)
        active.pop()

    monkeypatch.setattr(module, "write_arrays", watched)
    store = make_store(asynchronous=True, keep=9)
    fill(store, values, _1=None, _2=None, _3=None)
    assert iterations(store) == [1, 2, 3]
    assert max(most) == 1


def test_closing_twice_does_no_harm_and_leaves_no_thread(make_store, values):
    store = make_store(asynchronous=True)
    fill(store, values, _1=None)
    store.close()
    store.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("checkpoint")]


def test_comparing_reads_no_array_and_finds_what_loading_would(make_store, monkeypatch):
    store = make_store()
    store.save({"w": np.ones(3, np.float32)}, iteration=1, meta={})
    saved = store.latest()
    monkeypatch.setattr("jaxtrain.checkpoint.loading.read_arrays", None)
    store.compare(saved, {"w": np.zeros(3, np.float32)})
    with pytest.raises(CheckpointMismatchError, match=r"w: this run has float32\[4\], the"):
        store.compare(saved, {"w": np.zeros(4, np.float32)})
    with pytest.raises(CheckpointMismatchError, match="missing in the checkpoint: v"):
        store.compare(saved, {"w": np.zeros(3, np.float32), "v": 1.0})


def test_a_directory_that_is_deleted_between_two_saves_is_told(make_store, values):
    """At 888f0db the next save made it anew, with one checkpoint in it."""
    store = make_store()
    store.save(values(1), iteration=1, meta={})
    shutil.rmtree(store.directory)
    with pytest.raises(CheckpointError, match="the directory is gone, and the checkpoints in it"):
        store.save(values(2), iteration=2, meta={})
    assert not store.directory.exists()
    assert store.latest() is None  # whoever looks knows
    store.save(values(2), iteration=2, meta={})
    assert store.latest().iteration == 2


def test_one_that_goes_while_it_is_written_is_told_so(make_store, values, monkeypatch):
    store = make_store()
    store.save(values(1), iteration=1, meta={})
    write = module.write_manifest

    def lose(directory, known):
        write(directory, known)
        shutil.rmtree(store.directory)

    monkeypatch.setattr(module, "write_manifest", lose)
    with pytest.raises(CheckpointError) as raised:
        store.save(values(2), iteration=2, meta={})
    assert "the directory is gone" in str(raised.value)
    assert "untouched" not in str(raised.value)


def test_meta_comes_back_in_the_order_in_which_it_was_given(make_store, values):
    """A log is written in the order of the metrics, also when a run goes on."""
    store = make_store()
    store.save(values(1), iteration=1, meta={"z": {"b": 1, "a": 2}, "a": 3})
    _, meta = store.load(store.latest(), values(1))
    assert list(meta["z"]) == ["b", "a"]
