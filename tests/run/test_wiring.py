"""Every option reaches the part that it is about: each test sets one away from its default."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxtrain.data import ArrayLoader
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import CheckpointError, CheckpointMismatchError, ConfigError, NonFiniteError
from jaxtrain.main import main
from jaxtrain.metrics import Mean
from jaxtrain.run import Experiment, RunData, Task, make_config
from jaxtrain.run.directory import RunDirectory, run_id

CONFIGS = Path(__file__).parents[2] / "configs"
QUIET = [
    "hooks.progress=null",
    "hooks.console=null",
    "hooks.tensorboard=null",
    "model.hidden=[8]",
    "train.epochs=2",
]


def make(*overrides: str) -> Experiment:
    return Experiment.of(make_config(CONFIGS / "digits.py", [*QUIET, *overrides]))


def make_task(*overrides: str) -> Task:
    return Task.of(RunData.of(make_config(CONFIGS / "digits.py", [*QUIET, *overrides])))


def one_step(*overrides: str):
    task = make_task(*overrides)
    batch = next(iter(task.data.loader))
    state, output = jax.jit(task.train_step)(task.initial_state(), batch)
    return task, state, output


@pytest.mark.slow
def test_clip_norm_shrinks_the_update():
    sgd = ["optimizer.name=sgd", "schedule.name=constant", "optimizer.learning_rate=1"]
    task, state, output = one_step(*sgd, "optimizer.clip_norm=0.1")
    moved = jax.tree.map(lambda a, b: a - b, state.params, task.initial_state().params)
    norm = np.sqrt(sum(float((x**2).sum()) for x in jax.tree.leaves(moved)))
    assert output["grad_norm"] > 0.2
    assert norm == pytest.approx(0.1, rel=1e-3)


def test_the_schedule_ends_with_the_run():
    task = make_task("train.epochs=3")
    state = Engine(task.train_step, task.initial_state()).run(task.data.loader, max_epochs=3)
    rate = float(state.output["learning_rate"])
    assert 0 <= rate < 1e-2 * task.config.optimizer.learning_rate


def test_accumulation_reaches_the_step():
    with pytest.raises(ConfigError, match=r"do not fit together: .*accumulate=3"):
        make("train.accumulate=3")


def test_a_loss_of_the_other_task_is_a_config_error_before_anything_is_made(tmp_path, capsys):
    words = ["--config", str(CONFIGS / "digits.py"), "--workdir", str(tmp_path / "run")]
    assert main([*words, "--config.loss.name=mean_squared_error"]) == 2
    assert "'mean_squared_error' is for a regression" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_command_may_be_left_out_whatever_comes_first(tmp_path, capsys):
    words = ["--seed", "1", "--workdir", str(tmp_path / "run"), "--config"]
    assert main([*words, str(CONFIGS / "digits.py"), "--config.train.epochs=0"]) == 2
    assert "train.epochs" in capsys.readouterr().err


def test_another_device_than_the_one_in_use_is_refused():
    other = "gpu" if jax.default_backend() == "cpu" else "cpu"
    with pytest.raises(ConfigError, match=f"device: .*{other}"):
        make(f"device={other}")


def poisoned(tmp_path, *overrides: str, stop=None) -> Experiment:
    experiment = make(f"workdir={tmp_path / 'run'}", "train.epochs=3", *overrides)

    @experiment.trainer.on(Events.ITERATION_COMPLETED(once=50))
    def poison(engine):
        state = engine.state.train_state
        bad = jax.tree.map(lambda p: p * np.float32(np.nan), state.params)
        engine.state.train_state = state.replace(params=bad)

    if stop is not None:
        experiment.trainer.on(Events.ITERATION_COMPLETED(once=60))(stop)
    return experiment


@pytest.mark.parametrize("stop", [None, Engine.interrupt, Engine.terminate])
def test_nan_is_an_error_however_the_run_ends_and_nothing_bad_is_saved(tmp_path, stop):
    experiment = poisoned(tmp_path, "hooks.nan_guard=null", "checkpoint.every=7", stop=stop)
    with pytest.raises(NonFiniteError, match="iteration 51"):
        experiment.train()
    saved = sorted(p.name for p in (tmp_path / "run/checkpoints").iterdir())
    assert saved[-1] == "00000049"


@pytest.mark.slow
def test_the_best_epoch_is_saved_whatever_the_period(tmp_path):
    experiment = make(
        f"workdir={tmp_path / 'run'}",
        "train.epochs=5",
        "checkpoint.every_epochs=4",
        "optimizer.learning_rate=0.05",
        "checkpoint.keep=1",
    )
    figures = experiment.train()
    assert figures["checkpoint_epoch"] == figures["best_epoch"]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["validation", "test"])
def test_swapped_held_out_data_are_refused(tmp_path, part):
    overrides = f"workdir={tmp_path / 'run'}", "train.epochs=3"
    first = make(*overrides)
    first.trainer.on(Events.ITERATION_COMPLETED(once=50))(Engine.interrupt)
    with pytest.raises(Exception, match="stopped after iteration 50"):
        first.train()
    data = first.task.data
    dataset = getattr(data.splits, part)
    swapped = dataset.select(np.roll(np.arange(len(dataset)), 1))
    other = replace(data, splits=replace(data.splits, **{part: swapped}))
    second = Experiment(Task.of(other))
    with pytest.raises(CheckpointMismatchError, match=f"the {part} data are not those"):
        second.train()


@pytest.mark.slow
def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(tmp_path):
    import shutil

    workdir = tmp_path / "run"
    make(f"workdir={workdir}").train()
    before = (workdir / "metrics.jsonl").read_bytes()
    shutil.rmtree(workdir / "checkpoints")
    for resume in ("auto", "must"):
        with pytest.raises(CheckpointError, match="not starting over from step 0"):
            make(f"workdir={workdir}").train(resume=resume)
    assert (workdir / "metrics.jsonl").read_bytes() == before


def test_an_error_nobody_foresaw_is_noted_as_the_end_of_the_run(tmp_path):
    experiment = make(f"workdir={tmp_path / 'run'}")
    experiment.trainer.on(Events.EPOCH_COMPLETED)(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        experiment.train()
    status = json.loads((tmp_path / "run/metadata.json").read_text())["status"]
    assert status == "failed: ZeroDivisionError: division by zero"


@pytest.mark.slow
def test_a_metric_added_by_hand_does_not_bind_the_checkpoint(tmp_path):
    first = make(f"workdir={tmp_path / 'run'}")
    first.trainer.add_metrics({"train/norm": Mean("grad_norm")})
    figures = first.train()
    newest = sorted((tmp_path / "run/checkpoints").iterdir())[-1]
    found = make().evaluate(newest)
    assert found["test"]["accuracy"] == pytest.approx(figures["test_accuracy"], abs=0.2)


def test_the_run_id_says_what_decides_the_figures():
    def name(*overrides: str) -> str:
        return run_id(make_config(CONFIGS / "digits.py", overrides))

    same = name()
    for free in ("checkpoint.every=3", "hooks.console=null", "data.prefetch=0", "project=other"):
        assert name(free) == same
    for deciding in ("train.epochs=5", "model.hidden=[9]", "checkpoint.monitor=train/loss"):
        assert name(deciding) != same
    assert name("seed=3").startswith("seed3-")


def test_a_key_that_came_later_does_not_refuse_an_old_run(tmp_path):
    workdir = tmp_path / "run"
    experiment = make(f"workdir={workdir}")
    experiment.train()
    path = workdir / "config.yaml"
    text = path.read_text()
    assert "  form: auto\n" in text
    path.write_text(text.replace("  form: auto\n", ""))
    with RunDirectory(workdir).held(experiment.config):
        assert "  form: auto\n" in path.read_text()


def test_the_loader_of_an_experiment_offers_its_arrays():
    """So that its data stay on the device and are gathered there."""
    assert isinstance(make_task().data.loader, ArrayLoader)


def test_a_plateau_wants_a_rate_that_no_schedule_sets(digits, tmp_path):
    """Told before the run directory is made; of a plan, too, whose state is one of shapes."""
    for schedule in ("cosine", "constant"):
        config = digits("hooks.reduce_on_plateau={patience: 3}", f"schedule.name={schedule}")
        task = Task.of(RunData.of(config))
        if schedule == "constant":
            experiment = Experiment(task, tmp_path / "run", state=task.abstract_state())
            assert experiment.trainer.hooks["reduce_on_plateau"].patience == 3
            continue
        with pytest.raises(
            ConfigError, match=r"reduce_on_plateau: the learning rate is a schedule"
        ):
            Experiment(task, tmp_path / "run", state=task.abstract_state())
