"""Bad checkpoints: which one is used instead, and what becomes of them."""

import json
import logging
import shutil

import pytest

from jaxtrain.checkpoint.fallback import first_sound, set_all_aside, soundest
from jaxtrain.checkpoint.manifest import write_manifest
from jaxtrain.checkpoint.saved import committed
from jaxtrain.errors import CheckpointError


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


def test_of_no_candidates_none_is_sound(tmp_path):
    assert soundest(tmp_path, []) is None


def test_bad_ones_are_not_moved_through_a_link(make_store, values, tmp_path):
    store = make_store()
    fill(store, values, _1=None, _2=None)
    spoil(store.latest())
    (tmp_path / "outside").mkdir()
    (store.directory / ".bad").symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match=r"\.bad: is a symbolic link; expected a directory"):
        store.latest()
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_bad_checkpoint_is_set_aside_and_the_one_before_it_is_used(make_store, values, caplog):
    store = make_store(keep=5)
    fill(store, values, _1=0.3, _2=0.2, _3=0.1)
    spoil(store.latest())
    with caplog.at_level(logging.WARNING):
        assert store.latest().iteration == 2
    assert names(store) == [".bad", "00000001", "00000002"]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == (
        f"{store.directory / '00000003' / 'meta.json'}: the contents do not match their digest; "
        f"set aside as {store.directory / '.bad' / '00000003'}"
    )
    # And later saves still happen, of the same iteration, too, and are what is found next.
    fill(store, values, _3=0.05, _4=0.01)
    assert iterations(store) == [1, 2, 3, 4]
    assert store.best().iteration == 4
    tree, _ = store.load(store.saved()[2], values(0))
    assert float(tree["w"][0]) == 3


@pytest.mark.parametrize("how", ["deleted", "cut off", "extra", "flipped"])
@pytest.mark.parametrize("name", ["manifest.sha256", "meta.json", "arrays/_METADATA"])
def test_whatever_is_wrong_with_a_checkpoint_the_one_before_it_is_used(
    make_store, values, caplog, how, name
):
    store = make_store()
    fill(store, values, _1=None, _2=None)
    path = store.latest().path / name
    if how == "deleted":
        path.unlink()
    elif how == "cut off":
        path.write_bytes(path.read_bytes()[:-1])
    elif how == "extra":
        path.with_name("extra").touch()
    else:
        spoil(store.latest(), name)
    assert store.latest().iteration == 1
    assert "set aside" in caplog.text


def test_several_bad_ones_are_set_aside(make_store, values, caplog):
    store = make_store(keep=5)
    fill(store, values, _1=None, _2=None, _3=None)
    for saved in store.saved()[1:]:
        spoil(saved)
    assert store.latest().iteration == 1
    assert len(caplog.records) == 2
    assert sorted(p.name for p in (store.directory / ".bad").iterdir()) == ["00000002", "00000003"]


def test_one_that_was_bad_twice_is_kept_twice(make_store, values, caplog):
    store = make_store(keep=5)
    fill(store, values, _1=None)
    for _ in range(3):
        fill(store, values, _2=None)
        spoil(store.latest())
        assert store.latest().iteration == 1
    assert sorted(p.name for p in (store.directory / ".bad").iterdir()) == [
        "00000002",
        "00000002.1",
        "00000002.2",
    ]


def test_a_good_one_older_than_the_newest_is_not_looked_at(make_store, values, caplog):
    store = make_store(keep=5)
    fill(store, values, _1=None, _2=None)
    spoil(store.saved()[0])
    assert store.latest().iteration == 2
    assert caplog.records == []


def test_a_bad_best_gives_way_to_the_next_best(make_store, values, caplog):
    store = make_store(keep=5)
    fill(store, values, _1=0.3, _2=0.1, _3=0.2, _4=None)
    spoil(store.saved()[1], "arrays/_METADATA")
    assert store.best().iteration == 3
    assert iterations(store) == [1, 3, 4]


def test_where_all_ranked_are_bad_the_best_is_the_newest_good_one(make_store, values, caplog):
    store = make_store(keep=5)
    fill(store, values, _1=None, _2=0.1, _3=None)
    spoil(store.saved()[1], "arrays/_METADATA")
    assert store.best().iteration == 3


def test_all_bad_is_an_error_however_often_one_asks(make_store, values):
    store = make_store(keep=5)
    fill(store, values, _1=0.5, _2=0.4)
    for saved in store.saved():
        spoil(saved)
    for ask in (store.latest, store.best, store.latest, make_store().latest):
        with pytest.raises(CheckpointError, match="every checkpoint is bad") as error:
            ask()
        for name in ("00000001", "00000002"):
            assert str(store.directory / name / "meta.json") in str(error.value)
        assert "not starting over from step 0" in str(error.value)


def test_a_good_digest_of_a_meta_that_is_none_is_bad_all_the_same(make_store, values, caplog):
    store = make_store()
    fill(store, values, _1=None, _2=None)
    path = store.latest().path
    for content in ("[]", "{}", json.dumps({"iteration": "2"}), "{"):
        (path / "meta.json").write_text(content)
        (path / "manifest.sha256").unlink()
        write_manifest(path)
        with pytest.raises(CheckpointError, match=r"meta\.json: is not what it must be"):
            store.load(path, values(2))
    assert store.latest().iteration == 1


def test_looking_moves_nothing(make_store, values, caplog):
    store = make_store(keep=5)
    fill(store, values, _1=None, _2=None)
    bad = store.saved()[-1].path
    spoil(store.saved()[-1])
    saved, faults = store.look()
    assert saved.iteration == 1
    assert list(faults) == [bad]
    assert names(store) == ["00000001", "00000002"]
    assert caplog.records == []
    assert first_sound(store.directory, committed(store.directory)[::-1]) == (saved, faults)
    store.set_aside(faults)
    assert names(store) == [".bad", "00000001"]
    assert "set aside as" in caplog.text
    set_all_aside(store.directory, {})


def test_one_that_was_renamed_to_a_higher_number_is_set_aside(make_store, values, caplog):
    """At 888f0db it was the newest: the run went on from iteration 1, called 900."""
    store = make_store(keep=5)
    fill(store, values, _1=0.1, _2=0.2)
    (store.directory / "00000001").rename(store.directory / "00000900")
    assert store.best().iteration == 2
    assert [saved.iteration for saved in store.saved()] == [2]
    assert store.latest().iteration == 2
    assert names(store) == [".bad", "00000002"]
    assert "00000900: was renamed: it is a checkpoint of iteration 1" in caplog.text


def test_one_that_was_renamed_is_neither_counted_nor_deleted_by_a_save(make_store, values):
    store = make_store(keep=1)
    fill(store, values, _1=None)
    (store.directory / "00000001").rename(store.directory / "00000900")
    fill(store, values, _2=None, _3=None)
    assert names(store) == ["00000003", "00000900"]


def test_a_copy_elsewhere_under_a_name_of_ones_own_still_loads(make_store, values, tmp_path):
    store = make_store()
    fill(store, values, _1=None)
    for name in ("best", "20240101"):
        copy = shutil.copytree(store.directory / "00000001", tmp_path / name)
        tree, meta = store.load(copy, values(0))
        assert (float(tree["w"][0]), meta["iteration"]) == (1, 1)
