"""A whole run, made of its parts: the same few lines that a notebook would use."""

from __future__ import annotations

import functools
import gc
import json
import time
import weakref
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import yaml

from jaxtrain import tracking
from jaxtrain.config import RESERVED_HOOKS
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    NonFiniteError,
    Preempted,
    TrackingError,
)
from jaxtrain.files.lock import NAME as LOCK
from jaxtrain.run import Experiment, RunData, Task, make_config
from jaxtrain.run.data import train_loader
from jaxtrain.run.directory import RunDirectory
from jaxtrain.tracking import RunRecord

CONFIGS = Path(__file__).parents[2] / "configs"
# Dropout, shuffling, accumulation, a ragged last batch: what could make a resumed run differ.
SMALL = [
    "model.hidden=[16]",
    "model.dropout=0.3",
    "model.batch_norm=true",
    "data.batch_size=48",
    "train.accumulate=2",
    "train.epochs=3",
    "checkpoint.every=7",
    "hooks.progress=null",
    "hooks.console=null",
    "hooks.tensorboard=null",
    "hooks.jsonl.every=5",
]
# Another number of epochs is then the same program, compiled already.
CONSTANT = "schedule.name=constant"


@functools.cache
def task_of(*overrides: str) -> Task:
    """Made once: that a Task of another process goes on is shown by tests/faults."""
    return Task.of(RunData.of(make_config(CONFIGS / "digits.py", [*SMALL, *overrides])))


def make(workdir: Path, *overrides: str) -> Experiment:
    return Experiment(task_of(*overrides), workdir)


def final_bytes(experiment: Experiment) -> list[bytes]:
    state = experiment.trainer.state.train_state
    state = state.replace(rng=jax.random.key_data(state.rng))
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]


def rows(workdir: Path) -> str:
    return (workdir / "metrics.jsonl").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Experiment, Path]:
    """A run that was never stopped."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    experiment = make(workdir)
    experiment.train()
    return experiment, workdir


def test_writes_what_the_run_directory_promises(whole):
    _, workdir = whole
    names = {path.name for path in workdir.iterdir()}
    assert names == {
        ".lock",
        "checkpoints",
        "config.yaml",
        "confusion_matrix.png",
        "learning_curves.png",
        "media",
        "media.jsonl",
        "metadata.json",
        "metrics.csv",
        "metrics.json",
        "metrics.jsonl",
        "report.html",
    }
    figures = json.loads((workdir / "metrics.json").read_text())
    for name in (
        "final_train_loss",
        "final_val_loss",
        "best_val_accuracy",
        "best_epoch",
        "total_epochs",
        "training_time_seconds",
        "test_accuracy",
    ):
        assert isinstance(figures[name], int | float), name
    assert figures["total_epochs"] == 3
    metadata = json.loads((workdir / "metadata.json").read_text())
    assert metadata["status"] == "completed"
    assert metadata["environment"]["jax"] == jax.__version__
    assert metadata["model_facts"] == {}  # a Linen module decides nothing


def test_the_saved_config_is_the_effective_one_and_loads_again(whole):
    experiment, workdir = whole
    assert make_config(workdir / "config.yaml") == experiment.config


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1, 14, 27, 28, 53, 80])
def test_a_run_stopped_anywhere_goes_on_to_the_same_bytes(whole, tmp_path, moment):
    """27 steps an epoch: 27 and 54 are epoch ends, 28 a first step, 80 the last but one."""
    workdir = tmp_path / "run"
    first = make(workdir)
    first.trainer.on(Events.ITERATION_COMPLETED(once=moment))(Engine.interrupt)
    with pytest.raises(Preempted, match=f"iteration {moment}, saved"):
        first.train()
    assert json.loads((workdir / "metadata.json").read_text())["status"] == "interrupted"

    second = make(workdir)
    figures = second.train()

    assert final_bytes(second) == final_bytes(whole[0])
    assert rows(workdir) == rows(whole[1])
    expected = json.loads((whole[1] / "metrics.json").read_text())
    for known in (figures, expected):
        del known["training_time_seconds"]
    assert figures == expected


@pytest.mark.slow
def test_stopped_again_and_again(whole, tmp_path):
    workdir = tmp_path / "run"
    for moment in (5, 6, 27, 40, 41):
        stopped = make(workdir)
        stopped.trainer.on(Events.ITERATION_COMPLETED(once=moment))(Engine.interrupt)
        with pytest.raises(Preempted):
            stopped.train()
    last = make(workdir)
    last.train()
    assert final_bytes(last) == final_bytes(whole[0])
    assert rows(workdir) == rows(whole[1])


def test_a_run_that_died_without_a_word_goes_on_from_its_last_checkpoint(whole, tmp_path):
    workdir = tmp_path / "run"
    first = make(workdir)

    @first.trainer.on(Events.ITERATION_COMPLETED(once=33))
    def die():
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        first.train()
    second = make(workdir)
    second.train()
    assert final_bytes(second) == final_bytes(whole[0])
    assert rows(workdir) == rows(whole[1])


def test_a_finished_run_is_left_as_it_is(whole):
    experiment, workdir = whole
    before = {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file() and p.name != LOCK}
    again = make(workdir)
    steps = []
    again.trainer.on(Events.ITERATION_COMPLETED)(lambda: steps.append(1))
    figures = again.train()
    assert not steps
    assert figures == json.loads((workdir / "metrics.json").read_text())
    assert final_bytes(again) == final_bytes(experiment)
    after = {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file() and p.name != LOCK}
    assert after == before


@pytest.mark.slow
def test_two_runs_of_one_seed_are_equal_and_of_two_are_not(whole, tmp_path):
    twin, other = make(tmp_path / "a"), make(tmp_path / "b", "seed=1")
    twin.train()
    other.train()
    assert final_bytes(twin) == final_bytes(whole[0])
    assert final_bytes(other) != final_bytes(whole[0])


def test_resume_must_and_never(whole, tmp_path):
    with pytest.raises(ConfigError, match="holds no run to continue"):
        make(tmp_path / "run").train(resume="must")
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="holds a run"):
        make(whole[1]).train(resume="never")


def test_another_config_does_not_continue_the_run(whole):
    before = (whole[1] / "config.yaml").read_text()
    with pytest.raises(
        ConfigError,
        match=r"model.hidden: .*16.* in checkpoints/0+81 and config\.yaml, .*17.* now",
    ):
        make(whole[1], "model.hidden=[17]").train()
    assert (whole[1] / "config.yaml").read_text() == before


def test_a_directory_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigError, match="expected an empty directory or a run's"):
        make(tmp_path).train()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_swapped_data_are_refused_with_both_fingerprints(whole, tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    first = make(workdir)
    first.trainer.on(Events.ITERATION_COMPLETED(once=10))(Engine.interrupt)
    with pytest.raises(Preempted):
        first.train()
    data = first.task.data
    inputs = data.splits.train.inputs.copy()
    inputs[7] = 0
    splits = replace(data.splits, train=replace(data.splits.train, inputs=inputs))
    other = RunData(data.config, splits, train_loader(data.config, splits))
    with pytest.raises(CheckpointMismatchError, match=r"saved: .*sha256=(?s:.*)now: .*sha256="):
        Experiment(Task.of(other), workdir).train()


def test_evaluate_a_checkpoint(whole):
    _, workdir = whole
    figures = json.loads((workdir / "metrics.json").read_text())
    best = min(
        (workdir / "checkpoints").iterdir(),
        key=lambda p: json.loads((p / "meta.json").read_text())["metrics"].get("val/loss", 9e9),
    )
    found = make(workdir).evaluate(best)
    assert found["test"]["accuracy"] == figures["test_accuracy"]
    assert set(found) == {"train", "validation", "test"}


def test_a_checkpoint_of_another_model_lists_every_leaf(whole, tmp_path):
    other = make(tmp_path, "model.hidden=[17]")
    checkpoint = sorted((whole[1] / "checkpoints").iterdir())[-1]
    with pytest.raises(CheckpointMismatchError) as raised:
        other.evaluate(checkpoint)
    text = str(raised.value)
    assert "train_state/params/hidden_0/kernel: this run has float32[64, 17]" in text
    assert "the checkpoint float32[64, 16]" in text


def test_a_monitor_nobody_provides_is_found_before_anything_is_made(tmp_path):
    experiment = make(tmp_path / "run", "checkpoint.monitor=val/acuracy")
    with pytest.raises(ConfigError, match="did you mean 'val/accuracy'"):
        experiment.train()
    assert not (tmp_path / "run").exists()


def test_early_stopping_ends_the_run_and_stays_ended(tmp_path):
    stop = ["hooks.stop.name=early_stopping", "hooks.stop.patience=1", "hooks.stop.min_delta=100"]
    experiment = make(tmp_path / "run", *stop)
    assert experiment.train()["total_epochs"] == 2
    again = make(tmp_path / "run", *stop)
    assert again.train()["total_epochs"] == 2


def test_nan_stops_the_run_and_the_checkpoint_before_it_is_good(tmp_path):
    experiment = make(tmp_path / "run", "checkpoint.every=null")

    @experiment.trainer.on(Events.ITERATION_COMPLETED(once=40))
    def poison(engine):
        state = engine.state.train_state
        bad = jax.tree.map(lambda p: p * np.float32(np.nan), state.params)
        engine.state.train_state = state.replace(params=bad)

    with pytest.raises(NonFiniteError, match=r"iteration 41 \(epoch 2\)"):
        experiment.train()
    assert [p.name for p in (tmp_path / "run/checkpoints").iterdir()] == ["00000027"]
    status = json.loads((tmp_path / "run/metadata.json").read_text())["status"]
    assert status.startswith("failed: iteration 41")


@pytest.mark.slow
def test_works_without_a_validation_set(tmp_path):
    figures = make(
        tmp_path / "run", "data.validation_fraction=0", "checkpoint.monitor=train/loss"
    ).train()
    assert figures["final_val_loss"] is None
    assert figures["test_accuracy"] > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns(tmp_path, precision):
    wider = ["model.hidden=[64]", "model.dropout=0", "train.epochs=8"]
    figures = make(tmp_path / "run", f"precision={precision}", *wider).train()
    assert figures["test_accuracy"] > 0.9


@pytest.mark.slow
def test_config_data_may_be_written_by_hand(tmp_path):
    """The README's YAML form of the digits run."""
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"train": {"epochs": 1}, "workdir": str(tmp_path / "run")}))
    assert Experiment.of(make_config(path)).train()["total_epochs"] == 1


@pytest.mark.parametrize("name", ["digits", "mnist_mlp", "mnist_cnn", "adult_mlp", "nsmc_gru"])
def test_the_configs_are_good(name):
    assert make_config(CONFIGS / f"{name}.py").project == name


# -- again, and beside each other ----------------------------------------------------------------


def raise_once(experiment, moment, error, event=Events.ITERATION_COMPLETED):
    """Raise `error` in the handler of an event, the first time that it comes to that."""
    left = [error]

    def fail():
        if left:
            raise left.pop()

    experiment.trainer.on(event(once=moment))(fail)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "event"),
    [
        (5, Events.ITERATION_COMPLETED),  # before anything is saved
        (33, Events.ITERATION_COMPLETED),
        (35, Events.ITERATION_STARTED),
        (2, Events.EPOCH_COMPLETED),
        (3, Events.EPOCH_STARTED),
    ],
)
def test_train_again_after_an_exception_goes_on_to_the_same_bytes(whole, tmp_path, moment, event):
    workdir = tmp_path / "run"
    experiment = make(workdir)
    raise_once(experiment, moment, RuntimeError("a loose cable"), event)
    with pytest.raises(RuntimeError, match="a loose cable"):
        experiment.train()
    figures = experiment.train()
    assert final_bytes(experiment) == final_bytes(whole[0])
    assert rows(workdir) == rows(whole[1])
    expected = json.loads((whole[1] / "metrics.json").read_text())
    assert figures["test_loss"] == expected["test_loss"]
    assert json.loads((workdir / "metadata.json").read_text())["status"] == "completed"


@pytest.mark.slow
def test_train_again_after_an_interruption_goes_on_where_it_stands(whole, tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    experiment = make(workdir)
    for moment in (14, 27, 60):
        experiment.trainer.on(Events.ITERATION_COMPLETED(once=moment))(Engine.interrupt)
    for moment in (14, 27, 60):
        with pytest.raises(Preempted, match=f"iteration {moment}, saved .*run it again to go on"):
            experiment.train()
        with monkeypatch.context() as patched:  # it stands there: nothing is read
            patched.setattr(experiment.store, "load", None)
            assert experiment.trainer.state.iteration == moment
    experiment.train()
    assert final_bytes(experiment) == final_bytes(whole[0])
    assert rows(workdir) == rows(whole[1])


@pytest.mark.slow
def test_train_again_at_the_end_does_nothing(tmp_path):
    experiment = make(tmp_path / "run", CONSTANT, "train.epochs=1")
    steps = []
    experiment.trainer.on(Events.ITERATION_COMPLETED)(lambda: steps.append(1))
    figures = experiment.train()
    done = len(steps)
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert experiment.train() == figures
    assert len(steps) == done == 27
    after = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert {p: b for p, b in after.items() if p.name != LOCK} == {
        p: b for p, b in before.items() if p.name != LOCK
    }
    (tmp_path / "run/metrics.json").unlink()  # only the report is missing: it alone is made
    assert experiment.train() == {
        **figures,
        "training_time_seconds": pytest.approx(figures["training_time_seconds"]),
    }
    assert len(steps) == done


@pytest.mark.slow
def test_another_process_may_have_gone_on_in_the_meantime(whole, tmp_path):
    workdir = tmp_path / "run"
    here, there = make(workdir), make(workdir)
    here.trainer.on(Events.ITERATION_COMPLETED(once=14))(Engine.interrupt)
    there.trainer.on(Events.ITERATION_COMPLETED(once=40))(Engine.interrupt)
    with pytest.raises(Preempted):
        here.train()
    with pytest.raises(Preempted):
        there.train()
    seen = []
    here.trainer.on(Events.ITERATION_COMPLETED)(lambda e: seen.append(e.state.iteration))
    here.train()
    assert seen[0] == 41
    assert final_bytes(here) == final_bytes(whole[0])
    assert rows(workdir) == rows(whole[1])


@pytest.mark.slow
def test_an_early_stopped_run_is_not_gone_on_with(tmp_path):
    stop = ["hooks.stop.name=early_stopping", "hooks.stop.patience=1", "hooks.stop.min_delta=100"]
    experiment = make(tmp_path / "run", *stop)
    figures = experiment.train()
    assert experiment.train() == figures
    (tmp_path / "run/metrics.json").unlink()
    for again in (experiment, make(tmp_path / "run", *stop)):
        assert again.train()["total_epochs"] == 2
        assert again.trainer.state.iteration == 54


@pytest.mark.slow
def test_two_experiments_of_one_task(whole, tmp_path):
    task = whole[0].task
    first, second = Experiment(task, tmp_path / "a"), Experiment(task, str(tmp_path / "b"))
    first.trainer.on(Events.ITERATION_COMPLETED(once=14))(Engine.interrupt)
    with pytest.raises(Preempted):
        first.train()
    second.train()
    first.train()
    assert final_bytes(first) == final_bytes(second) == final_bytes(whole[0])
    assert rows(tmp_path / "a") == rows(tmp_path / "b") == rows(whole[1])


@pytest.mark.slow
def test_looking_at_the_loader_of_the_data_moves_no_run(whole, tmp_path):
    """The way of a notebook: a batch is looked at, then the run begins."""
    data = RunData.of(whole[0].config)
    next(iter(data.loader))
    task = Task.of(data)
    next(iter(data.loader))
    experiment = Experiment(task, tmp_path / "run")
    next(iter(data.loader))
    experiment.train()
    assert final_bytes(experiment) == final_bytes(whole[0])


def test_a_state_of_ones_own_to_begin_with(tmp_path):
    task = make(tmp_path).task
    begun = jax.tree.map(lambda p: p * 0, task.initial_state().params)
    state = task.initial_state().replace(params=begun)
    experiment = Experiment(task, tmp_path / "run", state=state)
    raise_once(experiment, 3, RuntimeError("cut"))
    seen = []

    @experiment.trainer.on(Events.STARTED)
    def look(engine):
        leaves = jax.tree.leaves(engine.state.train_state.params)
        seen.append(all(not np.asarray(p).any() for p in leaves))

    with pytest.raises(RuntimeError, match="cut"):
        experiment.train()
    experiment.train()
    assert seen == [True, True]


@pytest.mark.slow
def test_the_trainer_does_not_write_into_a_directory_that_nobody_holds(tmp_path):
    experiment = make(tmp_path / "run")
    with pytest.raises(
        ConfigError, match=r"writes into .*run: call train\(\), or for a run by hand"
    ):
        experiment.trainer.run(experiment.loader, max_epochs=1)
    assert not (tmp_path / "run").exists()
    assert experiment.train()["total_epochs"] == 3


def test_a_checkpoint_can_be_evaluated_with_a_state_of_shapes_alone(whole):
    experiment, workdir = whole
    task = experiment.task
    newest = sorted((workdir / "checkpoints").iterdir())[-1]
    found = Experiment(task, workdir, state=task.abstract_state()).evaluate(newest)
    assert found == experiment.evaluate()


def test_no_write_is_under_way_when_another_may_have_the_directory(tmp_path, monkeypatch):
    """An exception while a checkpoint is being written: its writer is waited for."""
    experiment = make(tmp_path / "run")
    done = []
    commit = experiment.store._commit

    def slow(*arguments):
        time.sleep(0.5)
        commit(*arguments)
        done.append(sorted(path.name for path in experiment.store.directory.glob("[0-9]*"))[-1])

    monkeypatch.setattr(experiment.store, "_commit", slow)
    raise_once(experiment, 8, RuntimeError("cut"))
    with pytest.raises(RuntimeError, match="cut"):
        experiment.train()
    assert done == ["00000007"]


def test_a_save_that_fails_beside_the_error_is_told_and_the_error_stays(
    tmp_path, monkeypatch, caplog
):
    experiment = make(tmp_path / "run")

    def fail(*arguments):
        time.sleep(0.2)
        raise CheckpointError("no room")

    monkeypatch.setattr(experiment.store, "_commit", fail)
    raise_once(experiment, 8, RuntimeError("cut"))
    with pytest.raises(RuntimeError, match="cut"):
        experiment.train()
    assert "no room" in caplog.text


def test_an_experiment_is_freed_when_it_is_dropped(whole, tmp_path):
    experiment = Experiment(whole[0].task, tmp_path)
    gone = weakref.ref(experiment)
    gc.disable()
    try:
        del experiment
        assert gone() is None
    finally:
        gc.enable()


def test_the_reserved_hooks_are_those_that_the_program_attaches(whole):
    experiment, _ = whole
    own = experiment.trainer.hooks.keys() - experiment.config.hooks.keys()
    assert own == set(RESERVED_HOOKS)


def test_what_is_no_task_and_no_config_is_told_what_makes_one(whole):
    with pytest.raises(TypeError, match=r"expected a Task, found a .*Experiment\.of\(make_config"):
        Experiment(whole[0].config)
    with pytest.raises(TypeError, match=r"expected a checked config, found a str; make_config"):
        Experiment.of("configs/digits.py")


def test_what_a_person_should_know_of_the_data_is_told_and_training_goes_on(
    tmp_path, monkeypatch, caplog
):
    """Finding C11: train file = test file; no word."""
    data = RunData.of(make_config(CONFIGS / "digits.py", SMALL))
    splits = replace(data.splits, test=data.splits.train.select(np.arange(50)))
    experiment = Experiment(Task.of(replace(data, splits=splits)), tmp_path / "run")
    monkeypatch.setattr(Experiment, "_train", lambda self, resume: {"went": "on"})
    assert experiment.train() == {"went": "on"}
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "test overlap with train: 50 of 50 rows" in warning.getMessage()


@pytest.mark.slow
def test_a_run_made_longer_and_stopped_in_its_report_is_not_finished(tmp_path, monkeypatch):
    """It had the report of its shorter self, and said that there was nothing to do."""
    assert make(tmp_path / "run", CONSTANT, "train.epochs=1").train()["total_epochs"] == 1

    def stop(self):
        raise Preempted("stopped in the report")

    with monkeypatch.context() as patched:
        patched.setattr(Experiment, "_report", stop)
        with pytest.raises(Preempted):
            make(tmp_path / "run", CONSTANT, "train.epochs=2").train()
    figures = make(tmp_path / "run", CONSTANT, "train.epochs=2").train()
    assert figures["total_epochs"] == 2


@pytest.mark.slow
def test_whether_a_run_is_wanted_is_asked_again_under_the_lock(tmp_path, monkeypatch):
    words = [CONSTANT, "train.epochs=1"]
    late = make(tmp_path / "run", *words)
    held = RunDirectory.held

    def somebody_comes_in_between(self, *arguments):
        monkeypatch.setattr(RunDirectory, "held", held)
        make(tmp_path / "run", *words).train()
        return held(self, *arguments)

    monkeypatch.setattr(RunDirectory, "held", somebody_comes_in_between)
    with pytest.raises(ConfigError, match="resume 'never'"):
        late.train(resume="never")


def test_a_change_of_directory_moves_no_run(tmp_path, monkeypatch):
    """One that a plugin made split a run in two, outside of the lock."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    experiment = make(Path("run"), CONSTANT, "train.epochs=2")
    leave = lambda: monkeypatch.chdir(tmp_path / "elsewhere")  # noqa: E731
    experiment.trainer.attach_handler(Events.ITERATION_COMPLETED(once=3), leave)
    experiment.train()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "run/metrics.json").exists()


def test_a_run_is_a_tracked_run(tmp_path):
    """What a handler logs is the run's, goes on with it, and is found again by its tags."""

    def logging(workdir: Path, *overrides: str) -> Experiment:
        experiment = make(workdir, 'tracking.tags=["wide", "second try"]', *overrides)

        @experiment.trainer.on(Events.EPOCH_COMPLETED)
        def tell(engine):
            tracking.log({"twice": 2 * engine.state.epoch})
            tracking.log_image("filters", np.full((2, 2), engine.state.epoch, np.uint8))

        return experiment

    logging(tmp_path / "whole").train()
    expected = RunRecord.read(tmp_path / "whole")
    assert expected.series("twice") == ([27, 54, 81], [2.0, 4.0, 6.0])
    assert (expected.status, expected.tags) == ("completed", ("wide", "second try"))
    assert expected.config["seed"] == 0
    with pytest.raises(TrackingError, match="no run"):
        tracking.log({"a": 1})

    stopped = logging(tmp_path / "stopped")
    # Beyond the last checkpoint, that of iteration 56.
    stopped.trainer.on(Events.ITERATION_COMPLETED(once=60))(_fail)
    with pytest.raises(ZeroDivisionError):
        stopped.train()
    assert RunRecord.read(tmp_path / "stopped").status.startswith("failed")
    logging(tmp_path / "stopped").train()
    found = RunRecord.read(tmp_path / "stopped")
    assert (found.rows, found.media) == (expected.rows, expected.media)

    logging(tmp_path / "silent", "tracking.mode=disabled", "train.epochs=1").train()
    silent = RunRecord.read(tmp_path / "silent")
    assert (silent.series("twice"), silent.media) == (([], []), [])
    assert silent.names


def _fail(engine: Engine) -> None:
    raise ZeroDivisionError


def test_a_metric_of_any_name_and_mode_is_the_runs_own(tmp_path):
    for mode in ("offline", "disabled"):
        named = "metrics={loss: {}, mistakes: {name: accuracy}}"
        experiment = make(tmp_path / mode, named, f"tracking.mode={mode}", "train.epochs=1")
        experiment.trainer.on(Events.EPOCH_COMPLETED)(
            lambda: tracking.log_text("mistakes/hard", "mine")
        )
        assert 0 <= experiment.train()["test_mistakes"] <= 1
    names = [medium["name"] for medium in RunRecord.read(tmp_path / "offline").media]
    assert names[:2] == ["mistakes/hard", "mistakes/table"]
    assert RunRecord.read(tmp_path / "disabled").media == []


def test_a_kill_behind_the_report_is_made_good_by_the_same_command(tmp_path, caplog):
    workdir = tmp_path / "run"
    make(workdir, "train.epochs=1").train()
    record = json.loads((workdir / "metadata.json").read_text())
    (workdir / "metadata.json").write_text(json.dumps({**record, "status": "running"}))
    (workdir / "report.html").unlink()
    assert RunRecord.read(workdir).status == "killed"
    make(workdir, "train.epochs=1").train()
    assert RunRecord.read(workdir).status == "completed"
    assert (workdir / "report.html").exists()
    record = json.loads((workdir / "metadata.json").read_text())
    (workdir / "metadata.json").write_text(json.dumps({**record, "status": "running"}))
    make(workdir, "train.epochs=1").train()  # the page is there this time
    assert RunRecord.read(workdir).status == "completed"
    before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    make(workdir, "train.epochs=1").train()
    assert {p: p.read_bytes() for p in workdir.rglob("*") if p.is_file()} == before
    # Other tags are the run's from now on; another hook has no part in what is over.
    make(workdir, "train.epochs=1", "tracking.tags=[late]", "hooks.jsonl.every=9").train()
    assert RunRecord.read(workdir).tags == ("late",)
    assert "the run is over, and was with others: hooks.jsonl.every" in caplog.text


def test_ctrl_c_in_a_script_is_an_interruption(tmp_path):
    experiment = make(tmp_path / "run", "train.epochs=1")

    @experiment.trainer.on(Events.ITERATION_COMPLETED(once=3))
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.train()
    assert RunRecord.read(tmp_path / "run").status == "interrupted"
