"""README.md and CONTRIBUTING.md are true: their code runs, CI runs their commands."""

from __future__ import annotations

import csv
import operator
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import compiling, penguins

ROOT = Path(__file__).parents[1]
PAGES = {name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}
PYTHON = re.findall(r"```python\n(.*?)```", PAGES["README.md"], re.S)
BEGINS = re.compile(r"^(import|from) jaxtrain\b", re.M)
"""Marks a block that stands alone; one that imports nothing of ours goes on from those before."""
CI = (ROOT / ".ci/run").read_text()
HERE = ".venv/bin/python -m "
"""How the pages call Python; the tests call the one that runs them."""


def commands(page: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", PAGES[page], re.S)
    return [line for block in blocks for line in block.splitlines()]


def sets_up(line: str) -> bool:
    """Whether a command makes, or is about, an environment of its own: then CI runs it."""
    return "-m venv" in line or ".venv-newest" in line or line.startswith("PYTHON=")


def run_here(line: str, place: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """A command of a page with this Python, and the checkout's package.

    The first one is compiled as a user's is, and what trains a real decoder for minutes. Of the
    others most of the time would be XLA's.
    """
    fully = line.startswith("python3") or "stories260k_finetune.py" in line
    assert line.startswith((HERE, "python3 -m venv")), line
    words = shlex.split(line.partition(HERE)[2])
    return subprocess.run(
        [sys.executable, "-m", *words],
        capture_output=True,
        text=True,
        cwd=place,
        env={
            **os.environ,
            **(compiling.FULLY if fully else {}),
            "PYTHONPATH": str(ROOT),
        },
        timeout=timeout,
    )


@pytest.mark.parametrize("page", PAGES)
def test_ci_runs_the_commands_that_set_up(page):
    found = [line for line in commands(page) if sets_up(line)]
    assert len(found) >= 3
    for line in found:
        if line.startswith("PYTHON="):
            assert f"if {line}; then" in CI
        elif "jaxtrain.main" not in line:
            assert f"\n{line}\n" in CI


def test_ci_calls_all_that_it_defines():
    for name in re.findall(r"^(\w+)\(\) \{$", CI, re.M):
        assert re.findall(rf"^ *{name}$", CI, re.M), f"{name} is never called"


@pytest.mark.parametrize("script", [".ci/run", ".ci/newest-python"])
def test_the_scripts_are_sound(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def programs() -> list[str]:
    """The README's code: each a block that stands alone, with all those that go on from it."""
    found: list[str] = []
    for block in PYTHON:
        if BEGINS.search(block):
            found.append(block)
        else:
            found[-1] += block
    return found


PROGRAMS = programs()


def run_python(program: str, place: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=place,
        env={**os.environ, **compiling.FULLY, "PYTHONPATH": str(ROOT)},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_python_runs(number, tmp_path):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    run_python(PROGRAMS[number], tmp_path)


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_the_page_says(tmp_path):
    (program,) = [p for p in PROGRAMS if "somebody_presses_stop" in p]
    said = run_python(program, tmp_path).splitlines()
    at = said.index("110 110")
    assert said[at + 1] == "200"


@pytest.mark.slow
def test_the_lines_that_save_go_on_in_another_process(tmp_path):
    """As often as they are run: the second time with more epochs."""
    (program,) = [p for p in PROGRAMS if "hooks.resume" in p]
    saving = program[: program.index("@trainer.on(jt.Events.ITERATION_COMPLETED")]
    told = "print('from', trainer.state.iteration)\ntrainer.run("
    first, _, last = saving.rpartition("trainer.run(")
    assert "from 0\n" in run_python(first + told + last, tmp_path)
    assert "from 100\n" in run_python(first + told + last.replace("5", "6"), tmp_path)
    assert "from 120\n" in run_python(first + told + last.replace("5", "7"), tmp_path)


def test_the_data_source_trains_from_the_command_line(tmp_path):
    plugin = next(p for p in PROGRAMS if "def linear" in p) + next(
        p for p in PROGRAMS if "def rings" in p
    )
    (tmp_path / "mine.py").write_text(plugin)
    (words,) = re.findall(r"`(--plugin mine.py [^`]*)`", PAGES["README.md"])
    (tmp_path / "small.yaml").write_text("train: {epochs: 2}\nhooks: {progress: null}\n")
    done = run_here(f"{HERE}jaxtrain.main --config small.yaml {words}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "linear" in done.stdout


@pytest.mark.parametrize(
    "section",
    ["Optimizers and schedules", "Metrics", "Techniques", "Several devices, several hosts"],
)
def test_the_configs_of_the_sections_are_some(section, tmp_path):
    from jaxtrain.run import Experiment, make_config

    text = PAGES["README.md"].partition(f"## {section}\n")[2]
    (tmp_path / "config.yaml").write_text(re.findall(r"```yaml\n(.*?)```", text, re.S)[0])
    config = make_config(tmp_path / "config.yaml", [f"workdir={tmp_path / 'run'}"])
    experiment = Experiment.of(config)
    if section == "Techniques":
        assert "profiler" in experiment.trainer.hooks
        assert experiment.trainer.state.train_state.ema is not None


@pytest.mark.slow
def test_commands_of_the_readme_run(tmp_path):
    """As printed, but for the set-up, the interpreter and the digest, which is looked up.

    The phases, which take minutes, have two epochs each here.
    """
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    penguins.write(tmp_path / "penguins.csv")
    penguins.write(tmp_path / "new.csv", penguins.penguins(seed=1), without=("species",))
    found = [line for line in commands("README.md") if "jaxtrain.main" in line]
    found = [line for line in found if line not in on_files()]
    assert len(found) >= 8
    short = [f"{line} --config.train.epochs=2" if "korean" in line else line for line in found]
    assert short != found
    run_all(short, tmp_path)
    with (tmp_path / "predictions.csv").open() as file:
        predicted = [row["prediction"] for row in csv.DictReader(file)]
    true = [row[1] for row in penguins.penguins(seed=1)]
    assert sum(map(operator.eq, predicted, true)) > 0.93 * len(true)


def on_files() -> list[str]:
    """The commands of the block that fine-tunes: what it reads has to be fetched."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGES["README.md"], re.S)
    (block,) = [block for block in blocks if "stories260k" in block]
    return block.splitlines()


@pytest.mark.slow
def test_commands_on_files_run(shared_data, tmp_path):
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "data").mkdir()  # where tokens are kept
    for name in ("stories260k", "tiny_shakespeare"):
        (tmp_path / "data" / name).symlink_to(shared_data / name)
    trained, exported, of_run, of_files = run_all(on_files(), tmp_path, timeout=900)
    assert "test: loss " in trained
    assert exported.startswith("tuned: config.json and 260,032 parameters of a llama in float32")
    assert of_run == of_files
    assert len(of_run) > 20


def run_all(lines: list[str], tmp_path: Path, timeout: float = 300) -> list[str]:
    """What each of the commands prints, the digests of runs looked up."""
    said = []
    for line in lines:
        for project in re.findall(r"runs/(\w+)/seed0-<digest>", line):
            runs = (tmp_path / "runs" / project).iterdir()
            newest = max(runs, key=lambda path: path.stat().st_mtime)
            line = line.replace("seed0-<digest>", newest.name)
        done = run_here(line, tmp_path, timeout)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        said.append(done.stdout)
        if line.startswith("python3"):
            accuracy = float(re.findall(r"accuracy (0\.\d+)", done.stdout.splitlines()[-2])[0])
            assert accuracy >= 0.97
    return said


@pytest.mark.slow
@pytest.mark.parametrize("line", [x for x in commands("CONTRIBUTING.md") if not sets_up(x)])
def test_commands_of_contributing_run(line):
    done = run_here(line, ROOT)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_every_command_is_run_by_somebody():
    for page in PAGES:
        for line in commands(page):
            assert sets_up(line) or line.startswith(HERE), f"{page}: who runs {line!r}?"


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        *(f"docs/{n}" for n in os.listdir(ROOT / "docs")),
    ],
)
def test_links_lead_somewhere(path):
    page = ROOT / path
    for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_tests_that_the_list_of_faults_names_are_there():
    page = (ROOT / "docs/faults.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py|test_\w+\.py)(?:::(\w+))?", page)
    assert len(named) > 20
    for name, test in named:
        found = list((ROOT / "tests").rglob(Path(name).name))
        if name.startswith("tests/"):
            assert (ROOT / name).exists(), name
        assert found, name
        assert any(f"def {test}" in path.read_text() for path in found), f"{name}::{test}"


# -- the second pair of libraries ----------------------------------------------------------------


@pytest.fixture
def newest(tmp_path):
    """newest(on_path, pyenv): what `.ci/newest-python` finds among these; None where nothing.

    Each says the version that it is, and "" is a shim that fails.
    """

    def make(path: Path, version: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {version}\n" if version else "#!/bin/sh\nexit 127\n")
        path.chmod(0o755)

    def find(on_path: dict[str, str], pyenv: dict[str, str]) -> str | None:
        for name, version in on_path.items():
            make(tmp_path / "path" / name, version)
        for name, version in pyenv.items():
            make(tmp_path / "home/.pyenv/versions" / name / "bin/python", version)
        clean = {"HOME": str(tmp_path / "home"), "PATH": f"{tmp_path / 'path'}:/usr/bin:/bin"}
        if subprocess.run(
            ["bash", "-c", "type -ap python3.12 python3.13 pyenv"],
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
        ).stdout:
            pytest.skip("this system's own directory has one of them")
        done = subprocess.run(
            [ROOT / ".ci/newest-python"], env=clean, capture_output=True, text=True
        )
        assert done.returncode == (0 if done.stdout else 1)
        return done.stdout.strip().removeprefix(f"{tmp_path}/") or None

    return find


def test_there_may_be_no_second_python(newest):
    assert newest({}, {}) is None
    assert newest({"python3.13": "", "python3.12": ""}, {"3.11.7": "3.11"}) is None


def test_the_newest_of_them_is_found(newest):
    assert newest({"python3.12": "3.12"}, {}) == "path/python3.12"
    assert newest({"python3.13": "3.13"}, {}) == "path/python3.13"
    assert newest({}, {"3.12.1": "3.12"}) == "path/python3.13"


def test_a_shim_that_fails_does_not_count(newest):
    found = newest({"python3.13": "", "python3.12": ""}, {"3.12.9": "3.12", "3.12.10": "3.12"})
    assert found == "home/.pyenv/versions/3.12.10/bin/python"


def test_one_that_is_another_than_it_says_does_not_count(newest):
    assert newest({"python3.13": "3.9"}, {"3.12.1": "3.12"}).endswith("3.12.1/bin/python")
