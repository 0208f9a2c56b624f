"""The checkpoint is the truth: nothing that somebody edits, deletes or copies in fools a run.

And what is refused is as it was: every name, byte and time below the directory.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from jaxtrain.checkpoint.arrays import read_arrays, write_arrays
from jaxtrain.checkpoint.manifest import NAME
from jaxtrain.cli.printing import error_line
from jaxtrain.engine import Engine, Events
from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    JaxtrainError,
    Preempted,
)
from jaxtrain.files.lock import NAME as LOCK
from jaxtrain.models import MODELS
from jaxtrain.run import Experiment, Task, make_config
from jaxtrain.run.directory import RunDirectory
from tests import small_run
from tests.small_run import alter, checkpoints, copied, resume, state_of, write_config


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp("config") / "config.json")


@pytest.fixture(scope="module")
def task(config):
    return small_run.task_of(config)


@pytest.fixture(scope="module")
def left_once(task, tmp_path_factory):
    """Left after iteration 5: checkpoints 2, 4 (as an iteration, and as an epoch's end) and 5."""
    run = tmp_path_factory.mktemp("left") / "run"
    small_run.train(task, run, stop_at=5)
    assert [path.name[6:] for path in checkpoints(run)] == ["02", "04", "04.1", "05"]
    return run


@pytest.fixture(scope="module")
def done_once(task, tmp_path_factory):
    run = tmp_path_factory.mktemp("done") / "run"
    small_run.train(task, run)
    return run


@pytest.fixture
def left(left_once, tmp_path):
    return copied(left_once, tmp_path / "run")


@pytest.fixture
def done(done_once, tmp_path):
    return copied(done_once, tmp_path / "run")


def refused(task: Task, run: Path, code: int = 2, **options: Any) -> str:
    """What a refusal says, which has touched nothing."""
    experiment = Experiment(task, run)
    before = state_of(run.parent)
    with pytest.raises(JaxtrainError) as raised:
        experiment.train(**options)
    assert raised.value.exit_code == code
    assert state_of(run.parent) == before
    return error_line(raised.value)


def goes_on(task: Task, run: Path, expected: Path, caplog: Any, **options: Any) -> str:
    """What a continuation logs, which ends as the whole run does."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="jaxtrain"):
        Experiment(task, run).train(**options)
    for name in ("metrics.jsonl", "metrics.csv"):
        assert (run / name).read_bytes() == (expected / name).read_bytes()
    figures = [json.loads((path / "metrics.json").read_text()) for path in (run, expected)]
    for one in figures:
        del one["training_time_seconds"]
    assert figures[0] == figures[1]
    return str(caplog.text)


# -- refused, and untouched ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("--config.data.split_seed=1", "data.split_seed: 0 in checkpoints/00000005"),
        ("--config.checkpoint.monitor=val/acuracy", "did you mean 'val/accuracy'"),
        ("--resume=never", "holds a run; choose another workdir"),
    ],
)
def test_another_command_is_refused_untouched(config, left, word, says):
    before = state_of(left.parent)
    code, said = resume(config, left, word)
    assert code == 2, said
    assert says in said
    assert "Traceback" not in said
    assert state_of(left.parent) == before


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "data.test_fraction=0.3",
        "data.validation_fraction=0.3",
        "train.epochs=1",
        "model.hidden=[5]",
        "optimizer.learning_rate=0.01",
    ],
)
def test_another_config_is_refused_untouched_and_named(config, left, override):
    before = state_of(left.parent)
    with pytest.raises(ConfigError) as raised:
        RunDirectory(left).refuse_others(make_config(config, [override]))
    key = override.partition("=")[0]
    assert f"\n  {key}: " in str(raised.value)
    assert "in checkpoints/00000005 and config.yaml" in str(raised.value)
    assert state_of(left.parent) == before


def test_without_a_lock_file_either(task, left):
    """A copy may lack it: none is made, and no time of the directory changes."""
    (left / LOCK).unlink()
    alter(checkpoints(left)[-1], lambda meta: meta["data"].update(train="x"))
    refused(task, left)


@pytest.mark.parametrize(
    "words",
    [
        ["--config.hooks.csv=null", "--config.checkpoint.keep=3"],
        ["--config.train.epochs=3"],  # config.yaml said 3 then, and 2 was refused
    ],
)
def test_other_data_and_another_option_leave_the_original_command_as_it_was(
    task, config, left, done_once, caplog, words
):
    """At 888f0db the refusal rewrote config.yaml, so that the original command was refused."""
    newest = checkpoints(left)[-1]
    good = state_of(newest)
    alter(newest, lambda meta: meta["data"].update(train="another sha256"))
    before = state_of(left)
    code, said = resume(config, left, *words)
    assert code == 2
    assert state_of(left) == before
    assert "the train data are not those that the run was begun with" in said
    assert "train: saved: another sha256" in said
    for path, (_, _, content) in good.items():
        if content is not None:
            path.write_bytes(content)
    goes_on(task, left, done_once, caplog)


def test_other_arrays_are_refused_untouched_with_every_leaf(task, left):
    """A plugin's model may be another under the same config."""
    (left / LOCK).unlink()
    newest = checkpoints(left)[-1]
    arrays = read_arrays(newest / "arrays")
    name = next(n for n in arrays if n.endswith("params/hidden_0/kernel"))
    shutil.rmtree(newest / "arrays")
    write_arrays(newest / "arrays", {**arrays, name: arrays[name][:, :3]})
    small_run.vouch(newest)
    assert f"{name}: this run has float32[64, 4], the checkpoint float32[64, 3]" in refused(
        task, left
    )


def test_all_bad_is_told_untouched(task, left):
    for path in checkpoints(left):
        (path / NAME).unlink()
    assert "every checkpoint is bad" in refused(task, left, code=4)


def test_a_new_directory_is_made_by_no_refusal(task, tmp_path):
    assert "holds no run to continue" in refused(task, tmp_path / "run", resume="must")
    assert not (tmp_path / "run").exists()


def test_a_directory_of_somebody_else_is_refused_untouched(task, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".precious.tmp").write_text("mine")
    assert "found other files (.precious.tmp)" in refused(task, run)


def test_what_is_no_checkpoint_of_ours_survives_among_them(task, left, done_once, caplog):
    """At 888f0db a save deleted `checkpoints/.tmp-mine`."""
    for name in (".tmp-mine", ".tmp-00000099x", "notes"):
        (left / "checkpoints" / name).mkdir()
        (left / "checkpoints" / name / "precious").touch()
    (left / ".precious.tmp").touch()
    goes_on(task, left, done_once, caplog)
    for name in (".tmp-mine", ".tmp-00000099x", "notes"):
        assert (left / "checkpoints" / name / "precious").exists()
    assert (left / ".precious.tmp").exists()


# -- compared ------------------------------------------------------------------------------------


def test_config_yaml_edited_to_another_value_fools_nobody(task, left):
    """At 888f0db: the banner said 0.05, and it trained with 0.002."""
    path = left / "config.yaml"
    path.write_text(path.read_text().replace("learning_rate: 0.002", "learning_rate: 0.05"))
    code, said = resume(path, left)
    assert code == 2
    assert "optimizer.learning_rate: 0.002 in checkpoints/00000005, 0.05 now" in said
    assert path.read_text().count("0.05") == 1
    assert "optimizer.learning_rate: 0.05 in config.yaml, 0.002 now" in refused(task, left)


def test_a_checkpoint_of_another_run_that_was_copied_in_is_found(task, left, tmp_path):
    """At 888f0db it went on from it, with its learning rate."""
    other = write_config(tmp_path / "other.json", optimizer={"learning_rate": 0.05})
    small_run.train(small_run.task_of(other), tmp_path / "other", stop_at=6)
    shutil.copytree(tmp_path / "other/checkpoints/00000006", left / "checkpoints/00000006")
    said = refused(task, left)
    assert "optimizer.learning_rate: 0.05 in checkpoints/00000006, 0.002 now" in said


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text(path.read_text()[:100]),
        lambda path: path.write_text(path.read_text().replace("  epochs: 2\n", "")),
        lambda path: path.unlink(),
    ],
    ids=["torn", "a key less", "gone"],
)
def test_config_yaml_that_is_lost_is_written_anew(task, left, done_once, spoil, caplog):
    """At 888f0db a key less ended in a traceback, for good."""
    spoil(left / "config.yaml")
    said = goes_on(task, left, done_once, caplog)
    assert "written anew" in said
    assert (left / "config.yaml").read_bytes() == (done_once / "config.yaml").read_bytes()


def test_one_that_was_renamed_to_a_higher_number_does_not_win(task, left, done_once, caplog):
    """At 888f0db the run went on from iteration 2, called 900."""
    (left / "checkpoints/00000002").rename(left / "checkpoints/00000900")
    said = goes_on(task, left, done_once, caplog)
    assert "00000900: was renamed: it is a checkpoint of iteration 2" in said
    assert "continuing after iteration 5" in said
    assert (left / "checkpoints/.bad/00000900/meta.json").exists()


def test_a_longer_run_goes_on_where_nothing_is_stretched(task, config, done):
    code, said = resume(config, done, "--config.train.epochs=3")
    assert code == 0, said
    assert "continuing after iteration 8" in said
    # And a shorter one not: by the checkpoints, and by config.yaml.
    assert "train.epochs: 3 in" in refused(task, done)


# -- plugins -------------------------------------------------------------------------------------

PLUGIN = """
from jaxtrain.models import MODELS, mlp

@MODELS.register("theirs")
def theirs(num_outputs, *, size: int = 4):
    return mlp(num_outputs, hidden=(size,))
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A model of somebody's own: its file, a config with it, a run with it that was left."""
    monkeypatch.setattr(MODELS, "_factories", dict(MODELS._factories))
    path = tmp_path / "theirs.py"
    path.write_text(PLUGIN)
    config = tmp_path / "plugged.json"
    config.write_text(json.dumps({**small_run.CONFIG, "model": {"name": "theirs"}}))
    before = set(sys.modules)
    task = small_run.task_of(config, plugins=[str(path)])
    small_run.train(task, tmp_path / "run", stop_at=5)
    yield path, config, task, tmp_path / "run"
    for name in set(sys.modules) - before:
        if "theirs" in name:
            del sys.modules[name]


def test_a_plugin_that_was_edited_is_refused_or_allowed(plugin):
    """At 888f0db accuracy fell from 0.58 to 0.017 without a word."""
    path, config, task, run = plugin
    noted = json.loads((run / "metadata.json").read_text())["plugins"]
    assert list(noted) == [str(path)]
    assert json.loads((checkpoints(run)[-1] / "meta.json").read_text())["plugins"] == noted
    path.write_text(PLUGIN + "# another\n")
    said = refused(task, run)
    assert f"{path}: sha256 {noted[str(path)][:12]}" in said
    assert "--allow-changed-plugins" in said
    code, said = resume(config, run, "--plugin", path, "--allow-changed-plugins")
    assert code == 0, said
    assert "WARNING: plugins are not what the run was made with" in said
    # It is another run by now: what it was before the edit is refused.
    path.write_text(PLUGIN)
    assert "plugins are not what" in refused(task, run)


def test_a_plugin_as_it_was_is_no_matter_nor_one_that_nobody_noted(plugin):
    path, config, _, run = plugin
    for checkpoint in checkpoints(run)[:-1]:
        shutil.rmtree(checkpoint)
    (newest,) = checkpoints(run)
    alter(newest, lambda meta: meta.pop("plugins") and None)
    path.write_text(PLUGIN + "# another\n")
    code, said = resume(config, run, "--plugin", path)
    assert code == 0, said
    assert "not what the run was made with" not in said


# -- taken away ----------------------------------------------------------------------------------

WAYS = {
    "deleted": shutil.rmtree,
    "renamed": lambda run: run.rename(run.with_name("elsewhere")),
    "replaced": lambda run: (run.rename(run.with_name("elsewhere")), run.mkdir()),
    "checkpoints deleted": lambda run: shutil.rmtree(run / "checkpoints"),
}


@pytest.mark.parametrize(
    ("how", "iteration"),
    [("deleted", 1), ("deleted", 7), ("renamed", 8), ("replaced", 3), ("checkpoints deleted", 7)],
)
def test_a_directory_that_is_taken_away_is_told(task, tmp_path, how, iteration):
    """At 888f0db: exit 0, a report, but no config.yaml, and the first rows were missing."""
    run = tmp_path / "run"
    experiment = Experiment(task, run)
    experiment.trainer.on(Events.ITERATION_COMPLETED(once=iteration))(lambda: WAYS[how](run))
    with pytest.raises(CheckpointError, match=r"the directory is gone") as raised:
        experiment.train()
    assert raised.value.exit_code == 4
    assert "\n" not in str(raised.value)
    left = {path.name for path in run.rglob("*")}
    if how == "checkpoints deleted":
        assert not (run / "checkpoints").exists()
    else:
        assert left == set()


def test_one_that_is_taken_away_at_the_very_end_is_told(task, tmp_path):
    """When all is saved, and the report alone is missing."""
    run = tmp_path / "run"
    experiment = Experiment(task, run)
    experiment.tester.attach_handler(Events.COMPLETED, lambda: WAYS["replaced"](run))
    with pytest.raises(CheckpointError, match="the directory is gone"):
        experiment.train()
    assert list(run.iterdir()) == []


def test_a_directory_that_was_deleted_between_two_trainings_is_a_new_one(task, tmp_path):
    run = tmp_path / "run"
    experiment = Experiment(task, run)
    experiment.trainer.on(Events.ITERATION_COMPLETED(once=3))(Engine.interrupt)
    with pytest.raises(Preempted):
        experiment.train()
    shutil.rmtree(run)
    figures = experiment.train()
    assert figures["total_epochs"] == 2
    assert (run / "config.yaml").exists()


# -- reports -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"{", b'{"monitor": 3}'],
)
def test_a_report_that_was_torn_is_written_anew(task, done, done_once, content, caplog):
    """At 888f0db a torn metrics.json of a finished run was a traceback, each time."""
    (done / "metrics.json").write_bytes(content)
    said = goes_on(task, done, done_once, caplog)
    assert "metrics.json: can't be read as a report" in said
    assert "written anew" in said


def test_a_report_that_is_whole_is_taken(task, done, done_once, caplog):
    goes_on(task, done, done_once, caplog)
    assert (done / "metrics.json").read_bytes() == (done_once / "metrics.json").read_bytes()


def test_what_is_for_people_alone_decides_nothing(task, left, done_once, caplog):
    """Junk in metadata.json, .lock and the logs of before: repaired or passed over, never fatal."""
    (left / "metadata.json").write_bytes(b"\xff{")
    (left / LOCK).write_bytes(b"\xff[" * 1000)
    (left / "metrics.csv").write_bytes((left / "metrics.csv").read_bytes() + b"\0,\xff\n")
    log = (left / "metrics.jsonl").read_bytes()
    (left / "metrics.jsonl").write_bytes(log + b'{"event": "iteration", "iteration": null}\n')
    said = goes_on(task, left, done_once, caplog)
    assert "metrics.csv: dropped 1 lines that can't be" in said
    assert "metrics.jsonl: dropped 1 lines that do not say" in said
    assert json.loads((left / "metadata.json").read_text())["status"] == "completed"


# -- what a meta.json may say --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (lambda m: m["engine"]["counters"].update(epoch="x"), 4, "engine: not the record"),
        (lambda m: m["engine"]["counters"].pop("started") and None, 4, "started is missing"),
        (lambda m: m["engine"].update(hooks=3), 4, "hooks"),
        (lambda m: m["engine"]["hooks"].update(history=3), 4, "meta.json: engine.hooks.history"),
        (lambda m: m["engine"]["hooks"]["history"].update(seconds="x"), 4, "hooks.history"),
        (lambda m: m["engine"]["hooks"]["stop"].update(waited=[]), 4, "engine.hooks.stop"),
        (lambda m: m["engine"]["hooks"]["rate"].update(learning_rate={}), 4, "hooks.rate"),
        (lambda m: m["engine"]["cursor"].update(epoch="x"), 2, "not a place in these data"),
        (lambda m: m["engine"]["cursor"].update(batch=10**9), 2, "not a place in these data"),
        (lambda m: m["engine"]["cursor"].update(epoch=10**17), 2, "which is none of 5 batches"),
        (lambda m: m["engine"]["cursor"].update(batch=2), 2, "which is none of 5 batches"),
        (lambda m: m["engine"]["cursor"].update(fingerprint=3), 2, "belongs to other data"),
        (lambda m: m["engine"]["counters"].update(epoch_length=10**6), 2, "epochs of 1000000"),
        (lambda m: m.update(epoch="x"), 4, "epoch"),
        (lambda m: m.update(environment=[]), 4, "environment"),
        (lambda m: m.update(data=[]), 4, "data"),
        (lambda m: m.update(data={}), 2, "data are not those"),
        (lambda m: m.update(plugins=[]), 4, "plugins"),
        (lambda m: m.update(metrics="x"), 4, "metrics"),
        (lambda m: m.update(config="x"), 4, "config"),
        (lambda m: m["config"].update({"a.b": 1}), 4, "config"),
        (lambda m: m["config"].update(optimizer=[1]), 2, "optimizer: "),
        (lambda m: m.update(keys={"train_state/rng": "abacus"}), 2, "train_state/rng"),
        (lambda m: m.update(format=9), 4, "format 9; this version reads"),
        (lambda m: m.pop("engine") and None, 4, "does not say where a run stood"),
    ],
)
def test_an_entry_of_meta_that_is_not_what_it_must_be_is_named(task, left, change, code, says):
    """At 888f0db 38 of 111 such alterations were a traceback."""
    alter(checkpoints(left)[-1], change)
    if "hooks." in says:  # found when the hooks take up their states: nothing was refused
        with pytest.raises(JaxtrainError) as raised:
            Experiment(task, left).train()
        assert raised.value.exit_code == code
        said = str(raised.value)
    else:
        said = refused(task, left, code)
    assert says in said
    assert "meta.json" in said or code == 2


def test_a_run_that_stands_beyond_its_end_is_refused(task, left):
    def change(meta):
        meta["epoch"] = meta["engine"]["counters"]["epoch"] = 1000

    alter(checkpoints(left)[-1], change)
    assert "stands in epoch 1000" in refused(task, left)


def test_a_hook_of_somebody_that_can_not_take_up_its_state_is_named(task, tmp_path):
    class Theirs:
        def attach(self, engine):
            pass

        def state(self):
            return {"x": 1}

        def restore(self, state):
            raise LookupError(state["y"])

    first, second = Experiment(task, tmp_path / "run"), Experiment(task, tmp_path / "run")
    for experiment in (first, second):
        experiment.trainer.attach(Theirs(), "theirs")
    first.trainer.on(Events.ITERATION_COMPLETED(once=3))(Engine.interrupt)
    with pytest.raises(Preempted):
        first.train()
    with pytest.raises(CheckpointError, match=r"meta\.json: engine\.hooks\.theirs: the hook can't"):
        second.train()


def test_a_loader_of_somebody_that_can_not_read_its_place_is_named(task, left):
    second = Experiment(task, left)

    class Theirs:
        def batches(self, cursor):
            return cursor["row"]

    second.trainer.hooks["checkpoint"]._loader = Theirs()
    with pytest.raises(CheckpointMismatchError, match=r"none of a Theirs: KeyError: 'row'"):
        second.train()


def test_a_checkpoint_from_before_plugins_and_threads_were_noted_goes_on(
    task, left, done_once, caplog
):
    def change(meta):
        del meta["plugins"], meta["environment"]["cpu_threads"], meta["learnt"]

    for checkpoint in checkpoints(left):
        alter(checkpoint, change)
    assert "WARNING" not in goes_on(task, left, done_once, caplog)
