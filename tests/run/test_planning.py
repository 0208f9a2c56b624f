"""`plan` says what a run will do before anything of it is done, and it is then what happens."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxtrain.config import load
from jaxtrain.errors import ConfigError
from jaxtrain.main import main
from jaxtrain.models.decoder import block
from jaxtrain.run import Experiment, RunData, Task, costs, make_config
from jaxtrain.run.memory import Memory
from jaxtrain.run.planning import calibrate, describe_plan, refuse_what_train_refuses

CONFIGS = Path(__file__).parents[2] / "configs"
DIGITS = str(CONFIGS / "digits.py")


def test_the_plan_of_digits(tmp_path, capsys):
    workdir = tmp_path / "run"
    words = ["--config", DIGITS, "--workdir", str(workdir), "--config.checkpoint.every=25"]
    assert main(["plan", *words, "--config.hooks.nan_guard.every=10"]) == 0
    said = capsys.readouterr().out
    assert "digits: 1,293 train, 144 validation, 360 test rows of [64], 10 outputs" in said
    assert "of 32; the last has 13 rows and is padded" in said
    assert "26,122 parameters" in said
    assert "30 epochs of 41 iterations: 1,230" in said
    assert "form       fused" in said
    assert "ITERATION_COMPLETED every 10: NaNGuard" in said
    assert "ITERATION_COMPLETED every 25: Checkpoint" in said
    assert re.search(r"dispatches in the first epoch: .*10", said)
    assert "MiB temporary" in said
    assert not workdir.exists()


def test_nothing_is_computed_for_it(tmp_path):
    task = Task.of(RunData.of(make_config(DIGITS, [f"workdir={tmp_path / 'run'}"])))
    experiment = Experiment(task, state=task.abstract_state())
    said = describe_plan(experiment)
    assert "26,122 parameters" in said
    leaves = jax.tree.leaves(experiment.trainer.state.train_state)
    assert leaves
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in leaves)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data.batch_size=50"], "of 50; the last has 43 rows and is padded\n"),
        (["data.batch_size=50", "data.last_batch=drop"], "the last has 43 rows and is dropped\n"),
        (["data.batch_size=3"], "batches    of 3\n"),
        (["data.flat=false", "model.name=cnn"], "test rows of [8, 8, 1], 10 outputs\n"),
    ],
)
def test_what_becomes_of_the_last_batch_is_said(overrides, expected):
    task = Task.of(RunData.of(make_config({"data": {"name": "digits"}}, overrides)))
    assert expected in describe_plan(Experiment(task, state=task.abstract_state()))


def test_a_rate_that_goes_with_the_batch_is_said():
    overrides = ["optimizer={learning_rate: 0.001, batch_scaling: {rule: square_root, base: 8}}"]
    task = Task.of(RunData.of(make_config(DIGITS, overrides)))
    said = describe_plan(Experiment(task, state=task.abstract_state()))
    assert "rate       0.002 at its peak: 0.001 for batches of 8, square root to 32\n" in said
    assert "rate " not in describe_plan(_planned())


def _planned():
    task = Task.of(RunData.of(make_config(DIGITS)))
    return Experiment(task, state=task.abstract_state())


def test_what_is_planned_is_what_happens(tmp_path, monkeypatch):
    from jaxtrain.engine.device import pacer

    monkeypatch.setattr(pacer.Pacer, "limit", lambda self, iteration: 10**6)
    overrides = [f"workdir={tmp_path / 'run'}", "train.epochs=2", "hooks.nan_guard.every=15"]
    experiment = Experiment.of(make_config(DIGITS, overrides))
    engine = experiment.trainer
    planned = [p.length for p in engine.plan.dispatches(0, 82, epoch_length=41)]
    launched, lengths = pacer.Pacer.launched, {}

    def note(self, token, length):
        lengths.setdefault(self, []).append(length)
        launched(self, token, length)

    monkeypatch.setattr(pacer.Pacer, "launched", note)
    experiment.train()
    assert next(iter(lengths.values())) == planned  # the trainer's comes first
    assert engine.compilations == 1


def test_calibration_times_both_forms_and_prints_the_line_to_pin(monkeypatch):
    from jaxtrain.run import planning

    monkeypatch.setattr(planning, "_SECONDS_A_ROUND", 0.02)
    said = calibrate(Task.of(RunData.of(make_config(DIGITS)))).splitlines()
    assert [line.split()[0] for line in said[:2]] == ["single", "fused"]
    assert re.fullmatch(r"to pin it: train\.form=(single|fused)", said[2])
    form = said[2].partition("=")[2]
    assert make_config(DIGITS, [f"train.form={form}"]).train.form == form


def test_the_form_can_be_pinned(tmp_path):
    overrides = [f"workdir={tmp_path / 'run'}", "train.epochs=1", "train.form=single"]
    experiment = Experiment.of(make_config(DIGITS, overrides))
    experiment.train()
    assert experiment.trainer.form == "single"
    assert experiment.evaluator.form == "single"


def plan_of(config):
    task = Task.of(RunData.of(config))
    return describe_plan(Experiment(task, state=task.abstract_state())).splitlines()


def in_bytes(words):
    """`1.5 MiB temporary` and `2.00 GiB counted …`, in bytes."""
    number, unit = words.split()[:2]
    return float(number.replace(",", "")) * {"MiB": 2**20, "GiB": 2**30}[unit]


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["model.hidden=[30000]"], "reduce the model, or take an optimizer that remembers less"),
        (["data.batch_size=20000", "model.hidden=[50]"], "reduce data.batch_size, or raise train"),
    ],
)
def test_more_than_the_machine_has_is_told(monkeypatch, overrides, remedy):
    """Finding C19: `plan` showed 11 TiB and said nothing of it."""
    config = make_config(DIGITS, [*overrides, "train.form=single"])
    monkeypatch.setattr(costs, "available_memory", lambda: Memory(5 * 2**20, "this machine"))
    lines = plan_of(config)
    (told,) = [line for line in lines if line.startswith("TOO MUCH")]
    assert "more than this machine has, 5.0 MiB" in told
    assert remedy in told
    needed = next(line for line in lines if line.startswith("needed"))
    assert in_bytes(told[11:]) == in_bytes(needed[11:])
    assert "memory     not asked of XLA: what does not fit is not compiled" in lines


def test_what_xla_finds_too_much_is_told_likewise(monkeypatch):
    config = make_config(DIGITS, ["data.batch_size=20000", "train.form=single"])
    monkeypatch.setattr(costs, "available_memory", lambda: None)
    found = {line[:8].strip(): line[11:] for line in plan_of(config)}
    parts = {part.split(" MiB ")[1]: in_bytes(part) for part in found["memory"].split(", ")}
    xla = sum(parts.values()) - 2 * parts["of those the same"]
    counted = in_bytes(found["needed"])
    assert counted < xla  # it counts the room to work in, too
    between = Memory(int((counted + xla) / 2), "this machine")
    monkeypatch.setattr(costs, "available_memory", lambda: between)
    (told,) = [line for line in plan_of(config) if line.startswith("TOO MUCH")]
    assert in_bytes(told[11:]) == pytest.approx(xla, abs=0.3 * 2**20)


@pytest.mark.parametrize("memory", [None, Memory(2**40, "this machine")])
def test_where_there_is_enough_or_nobody_knows_nothing_is_told(monkeypatch, memory):
    monkeypatch.setattr(costs, "available_memory", lambda: memory)
    assert not [line for line in plan_of(make_config(DIGITS)) if line.startswith("TOO MUCH")]


def test_a_remark_about_the_data_stands_in_the_plan(monkeypatch):
    data = RunData.of(make_config(DIGITS))
    splits = dataclasses.replace(data.splits, test=data.splits.train.select(range(50)))
    task = Task.of(dataclasses.replace(data, splits=splits))
    lines = describe_plan(Experiment(task, state=task.abstract_state())).splitlines()
    (remark,) = [line for line in lines if line.startswith("REMARK")]
    assert "test overlap with train: 50 of 50 rows" in remark


def test_what_train_refuses_is_refused(tmp_path):
    config = make_config(DIGITS, [f"workdir={tmp_path}", "checkpoint.monitor=val/los"])
    task = Task.of(RunData.of(config))
    experiment = Experiment(task, state=task.abstract_state())
    with pytest.raises(ConfigError, match="no metric is called 'val/los'"):
        refuse_what_train_refuses(experiment)
    assert list(tmp_path.iterdir()) == []


# -- language models -----------------------------------------------------------------------------

TINY = {
    "data": {"name": "text", "length": 64, "batch_size": 4},
    "model": {"name": "decoder", "width": 32, "layers": 2, "heads": 2, "vocab_size": 300},
    "loss": {"name": "next_token"},
    "optimizer": {"name": "adamw"},
}


@pytest.fixture
def kernels(monkeypatch):
    """The names of the attention kernels that were traced."""
    called = []
    attention = block.attention

    def spy(*args, implementation, **options):
        called.append(implementation)
        return attention(*args, implementation=implementation, **options)

    monkeypatch.setattr(block, "attention", spy)
    return called


@pytest.mark.parametrize("asked", ["auto", "xla", "tiled"])
def test_the_kernel_that_is_told_is_the_one_that_runs(kernels, monkeypatch, asked):
    monkeypatch.setattr(costs, "available_memory", lambda: Memory(0, "nobody"))  # compile nothing
    lines = plan_of(make_config(TINY, [f"model.attention={asked}", "precision=bfloat16"]))
    (told,) = [line for line in lines if line.startswith("attention ")]
    expected = "xla" if asked == "xla" else "tiled"
    assert set(kernels) == {expected}
    assert told.split()[1] == expected
    assert ("asked for" in told) == (asked != "auto")
    (remat,) = [line for line in lines if line.startswith("remat ")]
    assert remat == "remat      none (a layer keeps all that its backward pass reads)"


@pytest.mark.parametrize("command", ["plan", "train"])
def test_a_kernel_that_can_t_run_is_a_wrong_config(tmp_path, capsys, command):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(TINY))
    words = ["--config", str(path), "--workdir", str(tmp_path / "run")]
    assert main([command, *words, "--config.model.attention=cudnn"]) == 2
    said = capsys.readouterr().err
    assert "attention: cudnn can't run here: it needs a CUDA GPU" in said
    assert not (tmp_path / "run").exists()


def test_models_that_decide_and_count_nothing_have_no_line():
    names = {line[:11].strip() for line in plan_of(make_config(DIGITS))}
    assert {"needed", "memory"} <= names
    assert names.isdisjoint({"attention", "remat", "FLOPs", "MFU"})


@pytest.mark.parametrize("name", sorted({path.stem for path in CONFIGS.glob("*.py")} - {"base"}))
def test_a_config_s_runs_are_named_after_its_file(name):
    assert load(CONFIGS / f"{name}.py").get("project") == name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters", "flops", "fits_in"),
    [("llama_1b", 1_235_814_400, 7.82, 80e9), ("gemma_2b", 2_506_172_416, 15.5, 80e9)],
)
def test_a_billion_parameters_are_planned_without_them(name, parameters, flops, fits_in):
    """In a process of its own, so that the peak is this plan's."""
    program = (
        "import sys; from jaxtrain.main import main; from jaxtrain.run import costs\n"
        "from jaxtrain.run.memory import Memory\n"
        "costs.available_memory = lambda: Memory(2**34, 'this machine')\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(*(line for line in open('/proc/self/status') if 'VmHWM' in line))\n"
    )
    words = ["plan", "--config", str(CONFIGS / f"{name}.py"), "--workdir", "nowhere"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert f"decoder: {parameters:,} parameters" in done.stdout
    assert f"{flops} GFLOP a token" in done.stdout
    (needed,) = re.findall(r"^needed +(.*)", done.stdout, re.M)
    # The state in float32 with two moments, and a gradient; what kernels work in fits as well.
    assert 16 * parameters < in_bytes(needed) < 0.8 * fits_in
    assert "TOO MUCH" in done.stdout
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert int(peak) < 1.5 * 2**20  # of 5 GB and more of parameters
