import os
import subprocess
import sys

import pytest

from jaxtrain.cli import huge_pages
from jaxtrain.cli.huge_pages import (
    VARIABLE,
    WITH_HUGE_PAGES,
    begin_anew_with_huge_pages,
    is_of_use,
)

SEES = """
import os, sys
print("begins", os.getpid(), os.environ.get("GLIBC_TUNABLES"), sys.orig_argv[1:], file=sys.stderr)
"""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """One whose library and kernel are as given."""

    def make(library="glibc 2.36", choice="always [madvise] never"):
        file = tmp_path / "enabled"
        file.unlink(missing_ok=True)
        if choice is not None:
            file.write_text(choice)
        monkeypatch.setattr(huge_pages, "_KERNELS_CHOICE", file)
        monkeypatch.setattr(os, "confstr_names", {"CS_GNU_LIBC_VERSION": 2}, raising=False)
        monkeypatch.setattr(os, "confstr", lambda name: library, raising=False)

    return make


def test_they_are_of_use_where_they_must_be_asked_for(machine):
    machine()
    assert is_of_use({})
    machine("glibc 2.35")
    assert is_of_use({"PATH": "/bin"})


@pytest.mark.parametrize(
    "other",
    [
        {"library": "glibc 2.34"},
        {"library": "glibc 1.99"},
        {"library": None},
        {"library": "musl 3.0"},
        {"choice": "[always] madvise never"},
        {"choice": "always madvise [never]"},
        {"choice": None},
    ],
)
def test_elsewhere_they_are_not(machine, other):
    machine(**other)
    assert not is_of_use({})


def test_who_has_told_glibc_something_is_obeyed(machine):
    machine()
    assert not is_of_use({VARIABLE: ""})
    assert not is_of_use({VARIABLE: "glibc.malloc.check=1"})


def test_no_library_of_another_system_is_asked(machine, monkeypatch):
    machine()
    monkeypatch.setattr(os, "confstr_names", {})
    assert not is_of_use({})


def test_a_debugger_keeps_its_process(machine, monkeypatch):
    machine()
    begun = []
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(os, "execve", lambda path, words, environment: begun.append(environment))
    monkeypatch.setattr(sys, "gettrace", lambda: print)
    begin_anew_with_huge_pages()
    assert begun == []
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    begin_anew_with_huge_pages()
    assert begun == [{**os.environ, VARIABLE: WITH_HUGE_PAGES}]


def _begins(folder, *words, **environment):
    """What each beginning of a process sees, and how it ended."""
    (folder / "sitecustomize.py").write_text(SEES)
    variables = {k: v for k, v in os.environ.items() if k != VARIABLE} | environment
    variables["PYTHONPATH"] = os.pathsep.join([str(folder), variables.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=variables, timeout=120
    )
    lines = done.stderr.splitlines()
    return [line for line in lines if line.startswith("begins")], done


@pytest.mark.skipif(not is_of_use({}), reason="huge pages are not for the asking here")
def test_a_training_begins_anew_with_them_and_other_commands_do_not(tmp_path):
    words = ["-W", "error", "-m", "jaxtrain.main", "no such file.py", "--config.train.epochs=2"]
    (first, second), done = _begins(tmp_path, *words)
    assert first.split()[1] == second.split()[1]  # the same process
    assert first.endswith(f"None {words}")
    assert second.endswith(f"{WITH_HUGE_PAGES} {words}")
    assert "no such file.py" in done.stderr
    assert done.returncode == 2

    begun, _ = _begins(tmp_path, "-m", "jaxtrain.main", "sweep", "--config", "no.py")
    assert len(begun) == 2
    for others in (["runs", "list", "--help"], ["list", "--help"], ["--help"], ["--version"]):
        begun, done = _begins(tmp_path, "-m", "jaxtrain.main", *others)
        assert len(begun) == 1
        assert done.returncode == 0
    told = {VARIABLE: "glibc.malloc.check=0"}
    begun, _ = _begins(tmp_path, *words, **told)
    assert [line.split()[2] for line in begun] == ["glibc.malloc.check=0"]


@pytest.mark.skipif(not is_of_use({}), reason="huge pages are not for the asking here")
def test_who_calls_main_stays_in_his_process(tmp_path):
    call = "import sys; from jaxtrain.main import main; sys.argv = ['x', 'no.py']; sys.exit(main())"
    begun, done = _begins(tmp_path, "-c", call)
    assert len(begun) == 1
    assert done.returncode == 2
