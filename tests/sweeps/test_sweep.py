"""Whole sweeps, on real data."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxtrain.errors import CheckpointMismatchError, ConfigError, DataError
from jaxtrain.run import Experiment, make_config
from jaxtrain.sweeps import Sweep, SweepConfig
from jaxtrain.sweeps.sweep import _shown
from jaxtrain.tracking import find_runs
from tests import compiling
from tests.sweeps.small import CONFIG, ROOT, SPACE, WORDS, sweep, tree


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A sweep of four, trained; and its rows."""
    directory = tmp_path_factory.mktemp("sweep")
    return sweep(directory / "s"), sweep(directory / "s").run()


def test_every_member_has_a_row(made):
    _, rows = made
    assert [row.member for row in rows] == [0, 1, 2, 3]
    assert {row.status for row in rows} == {"finished"}
    assert {row.epochs for row in rows} == {4}
    assert len({row.value for row in rows}) == 4
    assert all(row.values.keys() == SPACE.keys() for row in rows)


def test_best_yaml_reproduces_the_figure_that_it_promises(made, tmp_path):
    made, rows = made
    path = made.directory / "best.yaml"
    best = min(rows, key=lambda row: row.value)
    assert repr(best.value) in path.read_text().splitlines()[0]
    config = make_config(path, ["tracking.mode=disabled"])
    figures = Experiment.of(config, tmp_path / "run").train()
    assert figures["best_val_loss"] == best.value
    assert figures["best_epoch"] == best.best_epoch


def test_a_second_call_trains_nothing(made, monkeypatch):
    made, rows = made
    before = (made.directory / "sweep.jsonl").read_bytes()

    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("jaxtrain.sweeps.sweep.Sweep._train", refuse)
    again = Sweep.in_directory(made.directory)
    assert again.run() == rows
    assert (made.directory / "sweep.jsonl").read_bytes() == before


def test_more_members_keep_the_first_ones(tmp_path):
    first = sweep(tmp_path / "s", members=2).run()
    lines = (tmp_path / "s" / "sweep.jsonl").read_text()
    more = sweep(tmp_path / "s", members=3).run()
    assert more[:2] == first
    assert len(more) == 3
    assert (tmp_path / "s" / "sweep.jsonl").read_text().startswith(lines)
    with pytest.raises(ConfigError, match=r"members was 3, and can't become fewer; found 2"):
        sweep(tmp_path / "s", members=2).run()


def test_more_epochs_go_on_where_they_stood(tmp_path):
    constant = ("schedule.name=constant", "schedule.warmup_fraction=0", "schedule.warmup_steps=0")
    sweep(tmp_path / "s", "train.epochs=2", *constant, members=2).run()
    longer = sweep(tmp_path / "s", "train.epochs=4", *constant, members=2).run()
    whole = sweep(tmp_path / "w", "train.epochs=4", *constant, members=2).run()
    assert [row.value for row in longer] == [row.value for row in whole]
    assert {row.epochs for row in longer} == {4}


CONSTANT = ("schedule.name=constant", "schedule.warmup_fraction=0", "schedule.warmup_steps=0")


def test_more_epochs_under_halving_are_what_they_would_have_been_at_once(tmp_path):
    """Batches that have come later do not look back."""
    more = {"members": 4, "batch": 2, "halving": {"first": 1, "factor": 2}}
    for epochs in (2, 3, 4):
        longer = sweep(tmp_path / "s", f"train.epochs={epochs}", *CONSTANT, **more).run()
    at_once = sweep(tmp_path / "w", "train.epochs=4", *CONSTANT, **more).run()
    for one, other in zip(longer, at_once, strict=True):
        assert (one.status, one.epochs, one.value) == (other.status, other.epochs, other.value)


def test_more_epochs_of_a_schedule_that_ends_with_them_are_refused(tmp_path):
    sweep(tmp_path / "s", "train.epochs=1", "schedule.name=cosine", members=2).run()
    before = (tmp_path / "s" / "sweep.json").read_bytes()
    longer = sweep(tmp_path / "s", "train.epochs=2", "schedule.name=cosine", members=2)
    with pytest.raises(ConfigError, match=r"train.epochs: was 1, is now 2; .*'cosine' of member 0"):
        longer.run()
    assert (tmp_path / "s" / "sweep.json").read_bytes() == before
    sweep(tmp_path / "s", "train.epochs=1", "schedule.name=cosine", members=3).run()


def test_early_stopping_under_another_name_is_early_stopping(tmp_path):
    patient = "hooks.patience={name: early_stopping, patience: 1, min_delta: 10}"
    made = sweep(tmp_path / "s", patient, members=2)
    rows = made.run()
    assert {(row.status, row.epochs) for row in rows} == {("stopped", 2)}


def test_data_that_were_changed_meanwhile_are_refused(tmp_path):
    def table(shift):
        lines = [f"{n % 7},{(n % 7 + shift) % 2}" for n in range(60)]
        (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(lines) + "\n")

    words = (
        "data={name: csv, train: t.csv, target: b, task: classification, batch_size: 16}",
        f"data.root={tmp_path}",
        "train.epochs=1",
    )
    table(0)
    sweep(tmp_path / "s", *words, members=2).run()
    table(1)
    with pytest.raises(CheckpointMismatchError, match=r"train.* data are not those"):
        sweep(tmp_path / "s", *words, members=3).run()


def test_a_run_does_not_train_into_a_sweep_and_a_sweep_is_no_broken_run(made, tmp_path):
    made, _ = made
    config = make_config(tree())
    with pytest.raises(ConfigError, match=r"holds a sweep; go on with it by `sweep "):
        Experiment.of(config, made.directory).train()
    assert list(find_runs(made.directory.parent, broken=True)) == []


def test_what_can_not_be_compared_or_is_trained_twice_is_told(tmp_path, caplog):
    caplog.set_level("INFO")
    space = {"loss.label_smoothing": [0.1, 0.2], "seed": [0, 1]}
    sweep(tmp_path / "s", "train.epochs=1", space=space, members=5).run()
    assert "monitor: val/loss is each member's own loss" in caplog.text
    assert re.search(r"members \d, \d(, \d)* have the same config", caplog.text)
    assert re.search(r"epoch 1 of \d members \(0 to 4\), \d of which train: best", caplog.text)


def test_no_password_is_handed_on_with_a_report():
    said = SweepConfig(
        {
            "space": SPACE, "members": 2, "search": "optuna",
            "optuna": {"storage": "postgresql://me:s3cret@host:5432/db", "study": "a"},
        }
    ).to_json()  # fmt: skip
    shown = _shown(said)
    assert shown["optuna"]["storage"] == "postgresql://me:***@host:5432/db"
    assert "s3cret" in said["optuna"]["storage"]
    local = said | {"optuna": said["optuna"] | {"storage": "sqlite:///x.db"}}
    assert _shown(local) == local


def test_another_sweep_is_refused_and_loses_nothing(made):
    made, _ = made
    before = {p: p.read_bytes() for p in made.directory.glob("*.*")}
    other = Sweep(tree("optimizer.b1=0.8"), made.sweep, made.directory)
    with pytest.raises(ConfigError, match=r"holds another sweep.*\n  optimizer\.b1: was 0\.9"):
        other.run()
    space = {**SPACE, "model.dropout": [0.1, 0.2]}
    with pytest.raises(ConfigError, match="holds another sweep"):
        sweep(made.directory, space=space).run()
    assert {p: p.read_bytes() for p in made.directory.glob("*.*")} == before


def test_a_directory_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match=r"found other files \(thesis\.tex\)"):
        sweep(tmp_path).run()
    with pytest.raises(ConfigError, match="expected a sweep's directory"):
        Sweep.in_directory(tmp_path)


def test_halving_lets_the_better_half_go_on(tmp_path):
    made = sweep(tmp_path / "s", members=4, halving={"first": 1, "factor": 2})
    rows = made.run()
    assert sorted(len(row.rungs) for row in rows) == [1, 1, 2, 3]
    assert [e for e, _ in max((row.rungs for row in rows), key=len)] == [1, 2, 4]
    firsts = {row.member: row.rungs[0][1] for row in rows}
    cut_first = [row.member for row in rows if len(row.rungs) == 1]
    assert max(firsts.values()) in [firsts[m] for m in cut_first]
    assert sorted(row.status for row in rows) == ["cut", "cut", "cut", "finished"]
    # Who went on is what it would have been alone: at no rung is a bit lost.
    whole = sweep(tmp_path / "w", members=4).run()
    last = next(row for row in rows if row.status == "finished")
    assert last.value == whole[last.member].value


def test_a_member_that_fails_disturbs_nobody(tmp_path):
    space = {"optimizer.weight_decay": [1e-4, 10.0, 1e-3]}
    constant = ("schedule.name=constant", "schedule.warmup_steps=0", "schedule.warmup_fraction=0")
    words = ("optimizer.name=sgd", "optimizer.learning_rate=9", "train.epochs=6", *constant)
    rows = sweep(tmp_path / "s", *words, space=space, search="grid", members=None).run()
    assert rows[1].status == "failed"
    assert rows[1].failed_at == rows[1].iterations > 0
    sound = {"optimizer.weight_decay": [1e-4, 1e-3]}
    alone = sweep(tmp_path / "w", *words, space=sound, search="grid", members=None).run()
    assert [rows[0].value, rows[2].value] == [row.value for row in alone]


def test_what_is_wrong_with_a_member_is_said_before_anything_is_trained(tmp_path):
    space = {"model.dropout": [0.1, 1.5]}
    with pytest.raises(ConfigError, match=r"member 1, \{'model\.dropout': 1\.5\}: .*dropout"):
        sweep(tmp_path / "s", space=space, search="grid", members=None).run()
    assert not (tmp_path / "s" / "units").exists()
    with pytest.raises(ConfigError, match="droput"):
        sweep(tmp_path / "t", space={"model.droput": [0.1]}, search="grid", members=None).run()


def test_a_wrong_value_is_said_of_the_sweeps_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("members: 2\nspace: {model.dropout: {uniform: [1.5, 2.0]}}\n")
    made = Sweep(tree(), SweepConfig.of(path), tmp_path / "s")
    with pytest.raises(ConfigError, match=rf"^member 0, .*: {path}: model\.dropout: expected"):
        made.run()


def test_what_a_later_batch_could_ask_for_is_checked_before_anything_is_trained(tmp_path):
    space = {"model.dropout": {"uniform": [0.0, 1.0]}, "optimizer.b1": {"uniform": [0.5, 1.5]}}
    made = sweep(tmp_path / "s", space=space, batch=1)
    with pytest.raises(ConfigError, match=r"a member of the space, .*\n?.*optimizer\.b1: expected"):
        made.run()
    assert not (tmp_path / "s").exists()


def test_a_member_whose_program_can_not_be_made_is_named_and_nothing_is_written(tmp_path):
    space = {"model.name": ["mlp", "cnn"]}
    made = sweep(tmp_path / "s", "model={name: mlp}", space=space, search="grid", members=None)
    with pytest.raises(ConfigError, match=r"^member 1, \{'model\.name': 'cnn'\}: .*image"):
        made.run()
    assert {path.name for path in (tmp_path / "s").iterdir()} <= {".lock"}
    # Another sweep can so be made there.
    sound = sweep(tmp_path / "s", "train.epochs=1", members=2)
    assert len(sound.run()) == 2


@pytest.mark.parametrize("first", [4, 9])
def test_a_rung_behind_the_end_is_refused(tmp_path, first):
    with pytest.raises(ConfigError, match=rf"halving.first {first}: .* than train.epochs 4"):
        sweep(tmp_path / "s", halving={"first": first})


def test_a_hook_that_changes_one_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"hooks\.reduce_on_plateau"):
        sweep(tmp_path / "s", "hooks.reduce_on_plateau.patience=2").run()


def test_early_stopping_stops_each_by_itself(tmp_path):
    words = ("hooks.early_stopping.patience=1", "train.epochs=12")
    rows = sweep(tmp_path / "s", *words, members=3).run()
    for row in rows:
        config = make_config(
            tree(*words, *(f"{k}={v}" for k, v in row.values.items()), "tracking.mode=disabled")
        )
        figures = Experiment.of(config, tmp_path / str(row.member)).train()
        assert figures["best_val_loss"] == row.value
        assert figures["total_epochs"] == row.epochs
        assert row.status == ("stopped" if row.epochs < 12 else "finished")


def test_an_edited_file_is_an_error_with_its_line(made, tmp_path):
    made, _ = made
    path = tmp_path / "s"
    path.mkdir()
    for name in ("sweep.json", "sweep.jsonl", "asked.jsonl"):
        (path / name).write_bytes((made.directory / name).read_bytes())
    lines = (path / "sweep.jsonl").read_text().splitlines()
    lines[1] = lines[1].replace('"epochs": 4', '"epochs": "four"')
    (path / "sweep.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"sweep\.jsonl:2: epochs"):
        Sweep.in_directory(path).run()


@pytest.mark.slow
def test_killed_at_any_instant_it_comes_to_the_same_bytes(tmp_path):
    """SIGKILL after longer and longer, until it comes to its end; halving, in two batches."""
    said = {"members": 4, "batch": 2, "space": SPACE, "halving": {"first": 1, "factor": 2}}
    (tmp_path / "sweep.json").write_text(json.dumps(said))
    whole = Sweep(tree(), SweepConfig.of(tmp_path / "sweep.json"), tmp_path / "whole")
    whole.run()
    words = [*(f"--config.{word}" for word in WORDS), "--workdir", str(tmp_path / "s")]
    command = [sys.executable, "-m", "jaxtrain.main", "sweep", "--config", str(CONFIG)]
    command += ["--sweep", str(tmp_path / "sweep.json"), *words]
    kills, patience = 0, 2.0
    while True:
        with (tmp_path / "said.txt").open("w") as said_to:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **compiling.READS},
                stdout=said_to,
                stderr=said_to,
            )
        end = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if process.poll() is not None:
            assert process.returncode == 0, (tmp_path / "said.txt").read_text()
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills, patience = kills + 1, patience * 1.35
    assert kills >= 2
    for name in ("sweep.jsonl", "asked.jsonl"):
        assert (tmp_path / "s" / name).read_bytes() == (whole.directory / name).read_bytes()
    for path in sorted(whole.directory.glob("units/*/history.jsonl")):
        again = tmp_path / "s" / path.relative_to(whole.directory)
        assert again.read_bytes() == path.read_bytes()


def test_together_comes_near(tmp_path):
    """Products of all members at once are summed in another order."""
    words = ("optimizer.name=sgd", "model.dropout=0.1", "train.epochs=2")
    space = {"optimizer.learning_rate": [0.01, 0.05]}
    more = {"space": space, "search": "grid", "members": None}
    turn = sweep(tmp_path / "a", *words, **more, order="in_turn").run()
    both = sweep(tmp_path / "b", *words, **more, order="together").run()
    np.testing.assert_allclose([r.value for r in turn], [r.value for r in both], rtol=1e-5)
