import os
import shutil
import subprocess

import pytest

from jaxtrain.checkpoint import manifest as module
from jaxtrain.checkpoint.manifest import (
    NAME,
    digest_files,
    verify_manifest,
    vouches_for,
    write_manifest,
)
from jaxtrain.errors import CheckpointError


def files_of(directory):
    return sorted(
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    )


def test_a_whole_checkpoint_passes(checkpoint):
    verify_manifest(checkpoint)
    names = files_of(checkpoint)
    assert {NAME, "meta.json"} < set(names)
    assert len(names) > 5


def test_one_flipped_bit_in_any_file_is_found_and_the_file_named(checkpoint, flip):
    for name in files_of(checkpoint):
        path = checkpoint / name
        bits = path.stat().st_size * 8
        for bit in {0, bits // 2, bits - 1}:
            flip(path, bit)
            with pytest.raises(CheckpointError) as error:
                verify_manifest(checkpoint)
            if name == NAME:
                assert str(error.value).startswith(f"{path}: ")
            else:
                assert str(error.value) == f"{path}: the contents do not match their digest"
            flip(path, bit)
    verify_manifest(checkpoint)


def test_any_bit_of_the_manifest_is_found(checkpoint, flip):
    path = checkpoint / NAME
    for bit in range(0, path.stat().st_size * 8, 61):
        flip(path, bit)
        with pytest.raises(CheckpointError, match="manifest"):
            verify_manifest(checkpoint)
        flip(path, bit)


def test_any_file_that_is_missing_is_found(checkpoint):
    for name in files_of(checkpoint):
        path = checkpoint / name
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(CheckpointError) as error:
            verify_manifest(checkpoint)
        reason = "can't be read" if name == NAME else "missing; the manifest lists it"
        assert str(error.value).startswith(f"{path}: {reason}")
        path.write_bytes(content)
    verify_manifest(checkpoint)


def test_any_file_that_is_cut_off_is_found(checkpoint):
    for name in files_of(checkpoint):
        path = checkpoint / name
        content = path.read_bytes()
        for length in {0, len(content) // 2, len(content) - 1}:
            path.write_bytes(content[:length])
            with pytest.raises(CheckpointError) as error:
                verify_manifest(checkpoint)
            assert str(path) in str(error.value)
        path.write_bytes(content)
    verify_manifest(checkpoint)


@pytest.mark.parametrize("name", ["extra", "arrays/extra", "new/deep/extra"])
def test_a_file_too_many_is_found(checkpoint, name):
    path = checkpoint / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(CheckpointError) as error:
        verify_manifest(checkpoint)
    assert str(error.value) == f"{path}: not in the manifest"


def test_two_files_that_changed_places_are_found(checkpoint):
    (checkpoint / "meta.json").rename(checkpoint / "aside")
    shutil.copy(checkpoint / "arrays" / "_METADATA", checkpoint / "meta.json")
    (checkpoint / "aside").rename(checkpoint / "arrays" / "_METADATA")
    with pytest.raises(CheckpointError, match="do not match their digest"):
        verify_manifest(checkpoint)


def test_a_line_taken_out_of_the_manifest_together_with_its_file_is_found(checkpoint):
    lines = (checkpoint / NAME).read_text().splitlines(keepends=True)
    (checkpoint / "meta.json").unlink()
    (checkpoint / NAME).write_text("".join(line for line in lines if "meta.json" not in line))
    with pytest.raises(CheckpointError, match="the manifest itself was changed or cut off"):
        verify_manifest(checkpoint)


def test_a_link_is_no_file(checkpoint):
    target = checkpoint / "meta.json"
    target.rename(checkpoint.parent / "elsewhere.json")
    target.symlink_to(checkpoint.parent / "elsewhere.json")
    with pytest.raises(CheckpointError, match=r"meta\.json"):
        verify_manifest(checkpoint)


def test_a_pipe_is_not_waited_for(checkpoint):
    os.mkfifo(checkpoint / "pipe")
    with pytest.raises(CheckpointError, match="pipe"):
        verify_manifest(checkpoint)


def test_the_command_of_the_field_verifies_it_too(checkpoint, flip):
    command = ["sha256sum", "--check", "--strict", NAME]
    done = subprocess.run(command, cwd=checkpoint, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": OK") == len(files_of(checkpoint)) - 1
    flip(checkpoint / "meta.json", 5)
    done = subprocess.run(command, cwd=checkpoint, capture_output=True, text=True)
    assert done.returncode != 0
    assert "meta.json: FAILED" in done.stdout


def test_a_manifest_of_any_directory(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "ü  two spaces").write_bytes(b"\x00\xff")
    (tmp_path / "empty").touch()
    write_manifest(tmp_path)
    verify_manifest(tmp_path)
    (tmp_path / "empty").write_text("x")
    with pytest.raises(CheckpointError, match="empty"):
        verify_manifest(tmp_path)


def test_one_file_can_be_asked_for_alone(checkpoint, flip):
    assert vouches_for(checkpoint, "meta.json")
    other = next(path for path in (checkpoint / "arrays").rglob("*") if path.is_file())
    flip(other, 3)
    assert vouches_for(checkpoint, "meta.json")
    assert not vouches_for(checkpoint, other.relative_to(checkpoint).as_posix())
    assert not vouches_for(checkpoint, "gone")
    flip(checkpoint / "meta.json", 3)
    assert not vouches_for(checkpoint, "meta.json")
    flip(checkpoint / "meta.json", 3)
    flip(checkpoint / NAME, 900)
    assert not vouches_for(checkpoint, "meta.json")
    (checkpoint / NAME).unlink()
    assert not vouches_for(checkpoint, "meta.json")


# -- by several processes ------------------------------------------------------------------------


@pytest.fixture
def of_two(tmp_path):
    """A directory that two processes have written into, each into a folder of its own."""
    for name in ("first/a", "second/b", "second/deep/c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_what_several_have_digested_is_as_what_one_has(of_two):
    write_manifest(of_two)
    alone = (of_two / NAME).read_text()
    digests = digest_files(of_two, of_two / "second")
    assert [*digests] == ["second/b", "second/deep/c"]
    write_manifest(of_two, digests)
    assert (of_two / NAME).read_text() == alone
    assert digest_files(of_two, of_two / "third") == {}


def test_the_digest_of_another_process_is_taken_from_it(of_two):
    digests = digest_files(of_two, of_two / "second")
    (of_two / "second/b").write_text("changed on the way")
    write_manifest(of_two, digests)
    with pytest.raises(CheckpointError, match="second/b: the contents do not match"):
        verify_manifest(of_two)


def test_a_file_of_another_process_that_is_not_seen_is_told(of_two):
    digests = digest_files(of_two, of_two / "second")
    (of_two / "second/deep/c").unlink()
    with pytest.raises(CheckpointError, match=r"second/deep/c: another process has written it"):
        write_manifest(of_two, digests)
    assert not (of_two / NAME).exists()


def test_each_brings_what_it_has_written_to_the_disk(of_two, monkeypatch):
    synced = []
    monkeypatch.setattr(module, "sync", synced.append)
    digest_files(of_two, of_two / "second")
    below = [of_two / "second" / name for name in ("b", "deep/c", "deep", "")]
    assert {*synced} == {*below}
    assert synced.index(of_two / "second/b") < synced.index(of_two / "second")


def test_of_what_is_large_each_reads_a_share(of_two, monkeypatch):
    write_manifest(of_two)
    (of_two / "first/a").write_text("changed")
    monkeypatch.setattr(module, "_SMALL", 10)  # only second/deep/c is larger
    for share in ((0, 2), (1, 2)):
        with pytest.raises(CheckpointError, match="first/a: the contents do not match"):
            verify_manifest(of_two, share=share)
    (of_two / "first/a").write_text("first/a")
    (of_two / "second/deep/c").write_text("second/deep/d")
    verify_manifest(of_two, share=(1, 2))
    for share in ((0, 2), (0, 1)):
        with pytest.raises(CheckpointError, match="second/deep/c: the contents do not match"):
            verify_manifest(of_two, share=share)
