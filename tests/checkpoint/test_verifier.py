import shutil

import pytest

from jaxtrain.checkpoint import CheckpointStore, verify
from jaxtrain.checkpoint import verifier as module
from jaxtrain.checkpoint.verifier import Verifier, shared_fault, vouched
from jaxtrain.errors import CheckpointError


@pytest.fixture
def run(tmp_path, example):
    """A directory with two checkpoints that share a part, and that part."""
    store = CheckpointStore(tmp_path / "checkpoints", keep=9, asynchronous=False)
    for iteration in (1, 2):
        store.save(example, iteration=iteration, meta={}, shared=("params",))
    (base,) = (store.directory / "shared").iterdir()
    return store.directory, base


def test_a_whole_one_says_what_it_is(run):
    directory, base = run
    saved = verify(directory / "00000002")
    assert saved.iteration == 2
    assert saved.shared == {"params": base}


def test_every_file_of_what_it_shares_belongs_to_it(run, flip):
    directory, base = run
    files = [path for path in base.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        flip(path, 3)
        with pytest.raises(CheckpointError) as error:
            verify(directory / "00000001")
        prefix = f"{directory / '00000001'}: its 'params' can't be used: {path}: "
        assert str(error.value).startswith(prefix)
        flip(path, 3)
    verify(directory / "00000001")


def test_a_file_too_many_in_what_it_shares_is_found(run):
    directory, base = run
    (base / "extra").touch()
    with pytest.raises(CheckpointError, match="extra: not in the manifest"):
        verify(directory / "00000001")


def test_a_checkpoint_alone_says_where_its_base_should_be(run, tmp_path):
    directory, base = run
    alone = shutil.copytree(directory / "00000002", tmp_path / "alone/00000002")
    with pytest.raises(CheckpointError) as error:
        verify(alone)
    place = tmp_path / "alone/shared" / base.name
    assert str(error.value) == (
        f"{alone}: its 'params' can't be used: {place} is not there; it holds what the checkpoints "
        f"of the run have in common. Copy shared/{base.name} along with a checkpoint, into the "
        "directory it stands in"
    )
    shutil.copytree(base, place)
    assert verify(alone).iteration == 2


def test_a_base_under_another_ones_name_is_found(run):
    _, base = run
    other = base.with_name("0" * 64)
    base.rename(other)
    assert shared_fault(other) == f"{other}: holds what is called {base.name}"


@pytest.mark.parametrize("which", ["base", "shared"])
def test_a_link_is_no_base(run, tmp_path, which):
    directory, base = run
    path = base if which == "base" else base.parent
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="a symbolic link leads there"):
        verify(directory / "00000001")


def test_what_several_share_is_read_once(run, monkeypatch):
    directory, base = run
    read = []
    real = module.verify_manifest
    monkeypatch.setattr(
        module, "verify_manifest", lambda path, **how: read.append(path.name) or real(path, **how)
    )
    verifier = Verifier()
    assert [verifier.fault(directory / name) for name in ("00000001", "00000002")] == ["", ""]
    assert read == ["00000001", base.name, "00000002"]
    (base / "digest").unlink()
    assert verifier.fault(directory / "00000002") == ""  # a verifier is of one moment
    assert "digest: missing" in Verifier().fault(directory / "00000002")


def test_only_what_is_wanted_of_it_is_verified(run):
    directory, base = run
    shutil.rmtree(base)
    assert Verifier().verify(directory / "00000001", lambda part: part != "params").iteration == 1
    with pytest.raises(CheckpointError):
        Verifier().verify(directory / "00000001", lambda part: part == "params")


def test_a_commit_has_the_name_of_its_iteration_and_a_copy_any(run):
    directory, _ = run
    (directory / "00000002").rename(directory / "00000900")
    assert verify(directory / "00000900").iteration == 2
    with pytest.raises(CheckpointError, match="00000900: was renamed"):
        Verifier().verify_commit(directory / "00000900")
    assert "was renamed" in Verifier().fault(directory / "00000900")
    assert Verifier().verify_commit(directory / "00000001").iteration == 1


def test_one_is_vouched_for_by_the_digest_of_its_meta_alone(run, flip):
    directory, base = run

    def found():
        return [saved.iteration for saved in vouched(directory)]

    assert found() == [1, 2]
    flip(base / "digest", 3)
    flip(next(p for p in (directory / "00000001/arrays").rglob("*") if p.is_file()), 3)
    assert found() == [1, 2]
    (directory / "00000001").rename(directory / "00000007")
    assert found() == [2]
    flip(directory / "00000002/meta.json", 100)
    assert found() == []
    assert vouched(directory / "none") == []
