"""A part that does not change is written once, and for as long as somebody refers to it."""

import json
import logging
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.checkpoint import committer as committer_module
from jaxtrain.checkpoint import shared as module
from jaxtrain.checkpoint import take_survey
from jaxtrain.checkpoint.leaves import to_host
from jaxtrain.checkpoint.shared import SharedParts, digest_of
from jaxtrain.errors import CheckpointError, CheckpointMismatchError

FROZEN = "train_state/frozen"


def base(number=0.0):
    return {"w": jnp.full((4, 3), float(number)), "deep": {"key": jax.random.key(1), "n": 7}}


def tree(frozen, adapter=0.0):
    return {"train_state": {"params": {"a": jnp.full(2, float(adapter))}, "frozen": frozen}}


def save(store, iteration, frozen, **metrics):
    tree_ = tree(frozen, iteration)
    store.save(tree_, iteration=iteration, meta={"metrics": metrics}, shared=(FROZEN,))
    store.wait()


def bases(store):
    return sorted(path.name for path in (store.directory / "shared").iterdir())


def loaded(store, saved, like=None):
    return store.load(saved, tree(base()) if like is None else like)[0]["train_state"]


@pytest.fixture
def counted(monkeypatch):
    """How often a base was copied, digested and written."""
    counts = {"copied": 0, "digested": 0, "written": 0}

    def count(what, name):
        real = getattr(module, name)

        def counting(*args, **kwargs):
            counts[what] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, counting)

    count("copied", "to_host")
    count("digested", "digest_of")
    count("written", "write_arrays")
    return counts


@pytest.mark.parametrize("asynchronous", [False, True])
def test_it_is_written_once_and_comes_back_with_every_checkpoint(make_store, counted, asynchronous):
    store, frozen = make_store(keep=9, asynchronous=asynchronous), base(3)
    for iteration in (1, 2, 3):
        save(store, iteration, frozen)
    assert counted == {"copied": 1, "digested": 1, "written": 1}
    (digest,) = bases(store)
    for saved in store.saved():
        assert saved.meta["shared"] == {FROZEN: digest}
        state = loaded(store, saved)
        np.testing.assert_array_equal(state["frozen"]["w"], np.full((4, 3), 3))
        assert state["frozen"]["deep"]["n"] == 7
        assert (jax.random.key_data(state["frozen"]["deep"]["key"])[1] == 1).all()
        np.testing.assert_array_equal(state["params"]["a"], np.full(2, saved.iteration))


def test_a_checkpoint_takes_no_room_for_it(make_store):
    store = make_store(keep=9)
    frozen = {"w": jnp.ones(1_000_000)}
    for iteration in (1, 2):
        save(store, iteration, frozen)
    own = [p for s in store.saved() for p in s.path.rglob("*") if p.is_file()]
    assert sum(path.stat().st_size for path in own) < 20_000
    whole = sum(path.stat().st_size for path in store.directory.rglob("*") if path.is_file())
    assert 4_000_000 < whole < 4_100_000


def test_an_equal_base_of_other_arrays_is_copied_but_not_written_again(make_store, counted):
    store = make_store(keep=9)
    save(store, 1, base(3))
    save(store, 2, base(3))
    assert counted == {"copied": 2, "digested": 2, "written": 1}
    assert len(bases(store)) == 1


def test_another_process_knows_an_equal_base(make_store, counted):
    save(make_store(keep=9), 1, base(3))
    again = make_store(keep=9)
    save(again, 2, base(3))
    assert counted["written"] == 1
    assert len(bases(again)) == 1


def test_what_was_read_is_known(make_store, counted):
    save(make_store(keep=9), 1, base(3))
    again = make_store(keep=9)
    state = loaded(again, again.latest())
    counted.update(copied=0, digested=0, written=0)
    save(again, 2, state["frozen"])
    # 7, a number, comes back as an equal one; the arrays are the very ones that were read.
    assert counted == {"copied": 0, "digested": 0, "written": 0}
    save(again, 3, base(4))
    assert counted["written"] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda frozen: frozen | {"w": frozen["w"] + 0.5},
        lambda frozen: frozen | {"w": frozen["w"].reshape(3, 4)},
        lambda frozen: frozen | {"w": frozen["w"].astype(jnp.bfloat16)},
        lambda frozen: frozen | {"deep": frozen["deep"] | {"n": 8}},
        lambda frozen: frozen | {"deep": frozen["deep"] | {"n": 7.0}},
        lambda frozen: frozen | {"more": jnp.ones(1)},
        lambda frozen: {"v": frozen["w"], "deep": frozen["deep"]},
    ],
)
def test_another_base_is_another(make_store, change):
    store, frozen = make_store(keep=9), base(3)
    save(store, 1, frozen)
    save(store, 2, change(frozen))
    save(store, 3, frozen)
    assert len(bases(store)) == 2
    one, two, three = (s.meta["shared"][FROZEN] for s in store.saved())
    assert one == three != two
    assert json.dumps(loaded(store, store.saved()[0])["frozen"]["w"].tolist()) == json.dumps(
        np.full((4, 3), 3.0).tolist()
    )


def test_an_array_of_numpy_that_was_written_into_is_another(make_store):
    """It is the same object, and its values are not."""
    store, frozen = make_store(keep=9), {"w": np.zeros(3, np.float32)}
    save(store, 1, frozen)
    frozen["w"][1] = 5
    save(store, 2, frozen)
    first, second = (loaded(store, s, tree(frozen)) for s in store.saved())
    assert first["frozen"]["w"].tolist() == [0, 0, 0]
    assert second["frozen"]["w"].tolist() == [0, 5, 0]


def test_a_base_that_nobody_else_holds_is_let_go(make_store):
    import gc
    import weakref

    store, frozen = make_store(), base(3)
    watched = weakref.ref(frozen["w"])
    save(store, 1, frozen)
    del frozen
    gc.collect()
    assert watched() is None
    save(store, 2, base(4))
    assert len({s.meta["shared"][FROZEN] for s in store.saved()}) == 2


def test_several_parts_may_be_shared(make_store):
    store = make_store()
    state = {"a": {"x": jnp.ones(1)}, "b": jnp.zeros(2), "ab": jnp.ones(3)}
    store.save(state, iteration=1, meta={}, shared=("a", "b"))
    saved = store.latest()
    assert sorted(saved.meta["shared"]) == ["a", "b"]
    assert len(bases(store)) == 2
    back, _ = store.load(saved, jax.tree.map(jnp.zeros_like, state))
    assert jax.tree.map(lambda x: x.tolist(), back) == jax.tree.map(lambda x: x.tolist(), state)


def test_all_of_it_may_be_shared(make_store):
    store = make_store()
    store.save({"a": jnp.ones(2)}, iteration=1, meta={}, shared=("a",))
    assert store.load(store.latest(), {"a": jnp.zeros(2)})[0]["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (("train_state/frzen",), "no leaf in a part called 'train_state/frzen'"),
        (("train_state", FROZEN), "'train_state/frozen' is within 'train_state'"),
        (FROZEN, "no leaf in a part called 't'"),
    ],
)
def test_what_can_not_be_shared_is_refused(make_store, parts, said):
    store = make_store()
    with pytest.raises(ValueError, match=said):
        store.save(tree(base()), iteration=1, meta={}, shared=parts)
    assert not store.directory.exists()


# -- read ----------------------------------------------------------------------------------------


def test_every_leaf_that_differs_is_listed_wherever_it_stands(make_store):
    store = make_store()
    save(store, 1, base())
    like = tree({"w": jnp.zeros((3, 4)), "deep": {"n": 7.0, "new": jnp.ones(1)}})
    like["train_state"]["params"]["a"] = jnp.zeros(5)
    with pytest.raises(CheckpointMismatchError) as error:
        store.load(store.latest(), like)
    assert str(error.value).splitlines()[1:] == [
        "  missing in the checkpoint: train_state/frozen/deep/new",
        "  not in this run: train_state/frozen/deep/key",
        "  train_state/frozen/deep/n: this run has float64[], the checkpoint int64[]",
        "  train_state/frozen/w: this run has float32[3, 4], the checkpoint float32[4, 3]",
        "  train_state/params/a: this run has float32[5], the checkpoint float32[2]",
    ]


@pytest.mark.parametrize("part", ["train_state", FROZEN, f"{FROZEN}/deep", f"{FROZEN}/deep/n"])
def test_any_part_of_it_can_be_read(make_store, part):
    store = make_store()
    save(store, 1, base(3))
    like = tree(base())
    for name in part.split("/"):
        like = like[name]
    back, _ = store.load(store.latest(), like, part=part)
    assert jax.tree.structure(back) == jax.tree.structure(like)
    wanted = tree(base(3), 1)
    for name in part.split("/"):
        wanted = wanted[name]
    plain = lambda t: jax.tree.map(lambda x: x if isinstance(x, int) else str(x), t)  # noqa: E731
    assert plain(back) == plain(wanted)


def test_the_rest_can_be_read_without_it(make_store, tmp_path):
    """An adapter is of use to who has the base already."""
    store = make_store()
    save(store, 1, base(3))
    alone = shutil.copytree(store.latest().path, tmp_path / "alone/00000001")
    params, _ = store.load(alone, {"a": jnp.zeros(2)}, part="train_state/params")
    assert params["a"].tolist() == [1, 1]
    for part, like in ((FROZEN, base()), ("train_state", tree(base())["train_state"])):
        with pytest.raises(CheckpointError, match=r"alone/shared/.* is not there; .* Copy shared/"):
            store.load(alone, like, part=part)


# -- damaged, moved, deleted ---------------------------------------------------------------------


def test_a_run_directory_can_be_moved_and_copied(make_store, tmp_path):
    store = make_store("one/checkpoints")
    save(store, 1, base(3))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "one").rename(tmp_path / "three")
    for name in ("two", "three"):
        moved = make_store(f"{name}/checkpoints")
        assert loaded(moved, moved.latest())["frozen"]["w"].tolist() == base(3)["w"].tolist()
        save(moved, 2, base(3))
        assert len(bases(moved)) == 1


def fail(*args):
    raise OSError("full")


def spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage(store, digest, how):
    place = store.directory / "shared" / digest
    if how == "flipped":
        spoil(next(path for path in (place / "arrays").rglob("d/*") if path.is_file()))
    elif how == "missing":
        shutil.rmtree(place)
    else:
        (place / "extra").touch()


@pytest.mark.parametrize("how", ["flipped", "missing", "extra"])
def test_a_checkpoint_whose_base_is_damaged_is_bad(make_store, caplog, how):
    store = make_store(keep=9)
    save(store, 1, base(1), loss=0.5)
    save(store, 2, base(2), loss=0.1)
    save(store, 3, base(2), loss=0.2)
    newest = store.saved()[-1]
    damage(store, newest.meta["shared"][FROZEN], how)
    survey = take_survey(store.directory, monitor="loss", mode="min")
    assert [bool(found.fault) for found in survey.found] == [False, True, True]
    assert survey.resume.iteration == survey.best.iteration == 1
    again = make_store(keep=9)
    with pytest.raises(CheckpointError, match="its 'train_state/frozen' can't be used"):
        again.load(newest, tree(base()))
    assert again.best().iteration == 1
    assert again.latest().iteration == 1
    assert sorted(p.name for p in (store.directory / ".bad").iterdir()) == ["00000002", "00000003"]
    assert "its 'train_state/frozen' can't be used" in caplog.text


def test_where_the_only_base_is_damaged_all_are_bad(make_store):
    store = make_store()
    save(store, 1, base())
    save(store, 2, base())
    damage(store, bases(store)[0], "flipped")
    with pytest.raises(CheckpointError, match="every checkpoint is bad"):
        make_store().latest()
    assert [s.iteration for s in store.saved()] == [1, 2]


def test_a_base_that_is_gone_is_written_again_and_heals_what_refers_to_it(make_store):
    store, frozen = make_store(keep=9), base(3)
    save(store, 1, frozen)
    damage(store, bases(store)[0], "missing")
    save(store, 2, frozen)
    assert [loaded(store, s)["frozen"]["w"][0, 0] for s in store.saved()] == [3, 3]


def test_a_damaged_base_is_not_referred_to_by_another_process(make_store, caplog):
    save(make_store(keep=9), 1, base(3))
    store = make_store(keep=9)
    (digest,) = bases(store)
    damage(store, digest, "flipped")
    with caplog.at_level(logging.WARNING):
        save(store, 2, base(3))
    assert f"set aside as {store.directory / '.bad' / f'shared-{digest}'}" in caplog.text
    assert store.latest().iteration == 2
    assert [loaded(store, s)["frozen"]["w"][0, 0] for s in store.saved()] == [3, 3]


@pytest.mark.parametrize("module_", [module, committer_module])
def test_a_save_that_fails_leaves_nothing_behind_and_the_next_one_is_whole(
    make_store, monkeypatch, module_
):
    store, frozen = make_store(keep=9), base(2)
    save(store, 1, base(1))
    with monkeypatch.context() as patch:
        patch.setattr(module_, "write_manifest", fail)
        with pytest.raises(CheckpointError, match="saving iteration 2 failed: full"):
            save(store, 2, frozen)
    assert not list(store.directory.glob(".tmp-*"))
    assert store.latest().iteration == 1
    save(store, 3, frozen)
    assert loaded(store, store.latest())["frozen"]["w"][0, 0] == 2


# -- deleted -------------------------------------------------------------------------------------


def test_a_base_goes_with_the_last_that_refers_to_it(make_store):
    store = make_store(keep=1)
    save(store, 1, base(1), loss=0.1)
    save(store, 2, base(2), loss=0.5)
    assert len(bases(store)) == 2  # 1 is the best
    save(store, 3, base(3), loss=0.4)
    assert {s.meta["shared"][FROZEN] for s in store.saved()} == set(bases(store))
    assert [s.iteration for s in store.saved()] == [1, 3]
    save(store, 4, base(3), loss=0.05)
    assert {s.meta["shared"][FROZEN] for s in store.saved()} == set(bases(store))
    assert len(bases(store)) == 1


def test_a_base_that_was_deleted_and_comes_again_is_written_again(make_store, counted):
    store, one, two = make_store(keep=1), base(1), base(2)
    for iteration, frozen in enumerate([one, two, one], 1):
        save(store, iteration, frozen)
    assert counted["written"] == 3
    assert loaded(store, store.latest())["frozen"]["w"][0, 0] == 1


def test_what_a_bad_checkpoint_refers_to_is_kept(make_store, caplog):
    store = make_store(keep=1)
    save(store, 1, base(1))
    save(store, 2, base(2))
    again = make_store(keep=2)
    save(again, 3, base(3))
    spoil(again.latest().path / "arrays/_METADATA")
    assert again.latest().iteration == 2
    for iteration in (4, 5, 6):
        save(again, iteration, base(9))
    assert len(bases(again)) == 2  # that of 3, which is set aside, and of 9
    shutil.rmtree(again.directory / ".bad")
    save(again, 7, base(9))
    assert len(bases(again)) == 1


@pytest.mark.parametrize("name", ["00000009", ".bad/00000009"])
def test_while_one_does_not_say_what_it_refers_to_nothing_is_deleted(make_store, name):
    store = make_store(keep=1)
    save(store, 1, base(1))
    (store.directory / name).mkdir(parents=True)
    save(store, 2, base(2))
    save(store, 3, base(3))
    assert len(bases(store)) == 3
    shutil.rmtree(store.directory / name)
    save(store, 4, base(3))
    assert len(bases(store)) == 1


def test_what_is_not_a_base_is_left_alone(make_store, tmp_path):
    store = make_store(keep=1)
    save(store, 1, base(1))
    folder = store.directory / "shared"
    (folder / "notes").mkdir()
    (folder / ("0" * 64)).symlink_to(tmp_path)
    save(store, 2, base(2))
    assert {"notes", "0" * 64} < set(bases(store))


def test_a_link_in_the_place_of_the_folder_is_refused(make_store, tmp_path):
    store = make_store()
    store.save({"w": jnp.ones(1)}, iteration=1, meta={})
    (tmp_path / "outside").mkdir()
    (store.directory / "shared").symlink_to(tmp_path / "outside")
    with pytest.raises(CheckpointError, match="shared: is a symbolic link; expected a directory"):
        save(store, 2, base())
    assert list((tmp_path / "outside").iterdir()) == []


# -- the digest ----------------------------------------------------------------------------------


def test_a_digest_is_of_the_values_and_of_what_they_are():
    one = {"a": np.arange(6.0).reshape(2, 3), "b": np.float32(1).reshape(1)}
    assert digest_of(one) == digest_of(dict(reversed(one.items())))
    assert digest_of(one) == digest_of(one | {"a": np.asfortranarray(one["a"])})
    others = [
        one | {"a": one["a"].reshape(3, 2)},
        one | {"a": one["a"].T},
        one | {"a": one["a"].view(np.int64)},
        {"a": one["a"], "c": one["b"]},
        {"a": one["a"]},
        one | {"c": np.empty(0)},
    ]
    digests = [digest_of(other) for other in (one, *others)]
    assert len(set(digests)) == len(digests)
    assert digest_of({"z": np.zeros(1)}) != digest_of({"z": -np.zeros(1)})


def test_odd_arrays_have_digests(tmp_path):
    arrays = to_host({"h": jnp.ones(2, jnp.bfloat16), "s": jnp.int32(1), "e": jnp.zeros((0, 2))})
    digest = digest_of(arrays)
    parts = SharedParts(tmp_path)
    assert parts.commit(parts.take("x", {"h": jnp.ones(2, jnp.bfloat16)})) != digest
    assert len(digest) == 64
