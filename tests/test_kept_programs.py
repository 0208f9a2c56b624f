"""What processes compile is kept, by those that may; workers give each other whole entries."""

import os
import subprocess
import sys

import pytest

from tests import compiling

PROGRAM = "import jax; print(jax.jit(lambda x: x * 3)(jax.numpy.float32(2)))"


@pytest.fixture
def compile_in(tmp_path):
    """compile_in(**variables): what a process says that keeps it in tmp_path."""

    def run(**variables):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            env={**os.environ, **compiling.kept_in(tmp_path), **variables},
        )
        assert done.stdout == "6.0\n", done.stderr
        return done.stderr

    return run


def test_one_writes_and_the_others_read(compile_in, tmp_path):
    assert compile_in(**compiling.READS) == ""
    assert list(tmp_path.iterdir()) == []
    assert compile_in() == ""
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept
    for path, content in kept.items():  # as a process leaves it that is killed in the middle
        path.write_bytes(content[: len(content) // 2])
    assert "Error reading persistent compilation cache" in compile_in(**compiling.READS)
    assert compile_in(**compiling.NOTHING) == ""


def test_what_is_compiled_quickly_is_not_what_is_compiled_fully(compile_in, tmp_path):
    """Neither takes the other's for its own."""
    if os.environ["XLA_FLAGS"] == compiling.FULLY["XLA_FLAGS"]:
        pytest.skip("this session compiles fully: JAXTRAIN_TEST_XLA_FLAGS is empty")
    compile_in()
    quickly = set(tmp_path.iterdir())
    compile_in(**compiling.FULLY)
    assert len(set(tmp_path.iterdir()) - quickly) == len(quickly)


def test_processes_that_tests_start_keep_theirs_with_this_one(compiled_in):
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(compiled_in)


def test_two_workers_give_each_other_what_they_have(tmp_path):
    one, other, shared = (tmp_path / name for name in ("one", "other", "shared"))
    for directory, names in ((one, "ab"), (other, "bc"), (shared, "")):
        directory.mkdir()
        for name in names:
            (directory / name).write_text(f"{name} of {directory.name}")
    for worker in (one, other, one):
        compiling.exchange(worker, shared)
    found = {path.name: {p.name: p.read_text() for p in path.iterdir()} for path in (one, other)}
    assert found == {
        "one": {"a": "a of one", "b": "b of one", "c": "c of other"},
        "other": {"a": "a of one", "b": "b of other", "c": "c of other"},
    }
