"""A model as a checkpoint holds it: the run's own figures, without config.yaml or optimizer."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxtrain.checkpoint import CheckpointStore
from jaxtrain.checkpoint.manifest import write_manifest
from jaxtrain.errors import (
    CheckpointError,
    CheckpointMismatchError,
    ConfigError,
    NonFiniteError,
)
from jaxtrain.models import Model
from jaxtrain.run import Experiment, RunData, Task, Trained, make_config
from jaxtrain.run.data import train_loader

CONFIG = Path(__file__).parents[2] / "configs/digits.py"
WORDS = [
    "model.hidden=[16]",
    "model.batch_norm=true",
    "train.epochs=2",
    "hooks.progress=null",
    "hooks.console=null",
    "hooks.tensorboard=null",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, and its figures."""
    workdir = tmp_path_factory.mktemp("finished") / "run"
    experiment = Experiment.of(make_config(CONFIG, [*WORDS, f"workdir={workdir}"]))
    experiment.train()
    return workdir, experiment


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


def test_its_figures_are_those_of_the_run(finished):
    workdir, experiment = finished
    trained = Trained.load(workdir)
    sets, differs = trained.sets()
    assert differs == []
    assert {name: trained.evaluate(rows) for name, rows in sets.items()} == experiment.evaluate(
        trained.path
    )


def test_neither_config_yaml_nor_an_optimizer_is_read(run, monkeypatch):
    (run / "config.yaml").unlink()
    shutil.rmtree(run / "checkpoints/shared", ignore_errors=True)
    newest = sorted((run / "checkpoints").iterdir())[-1]
    trained = Trained.load(newest)
    assert trained.state.opt_state == ()
    assert trained.config.seed == 0


def test_predictions_are_the_probabilities_of_the_model(finished):
    trained = Trained.load(finished[0])
    rows = trained.sets()[0]["test"]
    said = trained.predict(np.asarray(rows.inputs))
    assert said.shape == (360, 10)
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-5)
    accuracy = (said.argmax(axis=1) == rows.labels).mean()
    assert accuracy == pytest.approx(trained.evaluate(rows)["accuracy"])


@pytest.mark.parametrize("size", [1, 7, 64, 359, 1000])
def test_the_size_of_a_batch_changes_nothing(finished, size):
    trained = Trained.load(finished[0], [f"data.eval_batch_size={size}"])
    inputs = np.asarray(trained.sets()[0]["test"].inputs)
    every = Trained.load(finished[0]).predict(inputs)
    np.testing.assert_allclose(trained.predict(inputs), every, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((3, 63), np.float32), r"rows of \[64\] float32, found \[63\] float32"),
        (np.zeros((3, 64), np.float64), "float64"),
        (np.zeros((3, 8, 8), np.float32), r"found \[8, 8\]"),
    ],
)
def test_other_inputs_are_refused(finished, inputs, message):
    with pytest.raises(ConfigError, match=message):
        Trained.load(finished[0]).predict(inputs)


@pytest.mark.parametrize(
    "override",
    ["seed=9", "data.split_seed=3", "data.validation_fraction=0.3", "model.hidden=[8]"],
)
def test_another_split_or_model_is_refused(finished, override):
    """C3: `evaluate --seed 9` called rows of the training set "validation", without a word."""
    key = override.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"of its run; leave out\n  {key}: .* in the run"):
        Trained.load(finished[0], [override])


@pytest.mark.parametrize("override", ["device=cpu", "data.eval_batch_size=7", "metrics=[loss]"])
def test_what_has_no_part_in_the_run_is_free(finished, override):
    assert Trained.load(finished[0], [override]).config != Trained.load(finished[0]).config


def test_other_data_are_told_of(finished):
    """C2: `evaluate` after the data were edited said nothing."""
    trained = Trained.load(finished[0])
    changed = dict(trained.meta)
    changed["data"] = {**trained.meta["data"], "test": "another", "extra": "one more"}
    again = Trained(
        trained.path, changed, trained.config, trained.learnt, trained.model, trained.state
    )
    _, differs = again.sets()
    assert len(differs) == 2
    assert "the extra set is not there any more" in differs[0]
    assert "the test set is not that of the run: it was another, now" in differs[1]


@pytest.mark.slow
def test_a_run_of_ones_own_data_is_evaluated_as_what_the_config_says_and_told_of(tmp_path):
    config = make_config(CONFIG, [*WORDS, f"workdir={tmp_path / 'run'}"])
    splits = RunData.of(config).splits
    mine = type(splits)(splits.train.select(np.arange(500)), splits.validation, splits.test)
    data = RunData(config, mine, train_loader(config, mine))
    Experiment(Task.of(data), tmp_path / "run").train()
    _, differs = Trained.load(tmp_path / "run").sets()
    assert [line for line in differs if "the train set is not that of the run" in line] == differs


def edit(checkpoint: Path, change) -> None:
    meta = json.loads((checkpoint / "meta.json").read_text())
    change(meta)
    (checkpoint / "meta.json").write_text(json.dumps(meta))
    write_manifest(checkpoint)


def test_what_a_checkpoint_does_not_say_is_not_guessed(run):
    newest = sorted((run / "checkpoints").iterdir())[-1]
    edit(newest, lambda meta: meta.pop("learnt"))
    with pytest.raises(CheckpointError, match="saved by hand, or by an earlier version"):
        Trained.load(newest)


def test_another_model_than_the_arrays_is_refused(run):
    newest = sorted((run / "checkpoints").iterdir())[-1]
    edit(newest, lambda meta: meta["config"]["model"].update(hidden=[8]))
    with pytest.raises(CheckpointMismatchError, match="hidden_0/kernel"):
        Trained.load(newest)


def test_parameters_that_are_not_finite_are_told_of(tmp_path, finished):
    """C12: `evaluate` on NaN parameters returned 0, and printed NaN, which is no JSON."""
    _, experiment = finished
    trained = Trained.load(finished[0])
    task = experiment.task
    state = task.initial_state()
    bad = jax.tree.map(lambda p: p.at[(0,) * p.ndim].set(np.nan), state.params)
    CheckpointStore(tmp_path / "checkpoints", asynchronous=False).save(
        {"train_state": state.replace(params=bad)}, iteration=1, meta=_own(trained.meta)
    )
    with pytest.raises(NonFiniteError, match="NaN or Inf"):
        Trained.load(tmp_path / "checkpoints/00000001")


def _own(meta) -> dict:
    return {k: v for k, v in meta.items() if k not in ("format", "iteration", "keys", "shared")}


def test_a_plugin_that_was_edited_is_told_of(finished, tmp_path):
    plugin = tmp_path / "mine.py"
    plugin.write_text("x = 1\n")
    trained = Trained.load(finished[0], plugins=[str(plugin)])
    assert trained.changed_plugins() == []  # the run knows nothing of it
    meta = {**trained.meta, "plugins": {str(plugin): "0" * 64}}
    again = Trained(
        trained.path, meta, trained.config, trained.learnt, trained.model, trained.state
    )
    assert again.changed_plugins() == [f"the plugin {plugin} was changed since"]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (lambda x: {"logits": x}, "puts out a dict, of which loss.outputs names none"),
        (lambda x: (x, x), "puts out a tuple"),
        (lambda x: x[:, None, :], r"puts out \[360, 1, 10\]; prediction knows rows of 10"),
    ],
)
def test_a_model_of_other_outputs_does_not_predict_nonsense(finished, outputs, message):
    """The softmax went over time and classes together."""
    trained = Trained.load(finished[0])

    def apply(variables, batch, **options):
        said, changes = trained.model.apply(variables, batch, **options)
        return outputs(said), changes

    other = replace(trained, model=Model(trained.model.init, apply))
    with pytest.raises(ConfigError, match=message):
        other.predict(np.asarray(trained.sets()[0]["test"].inputs))


def test_of_several_outputs_the_one_that_the_loss_reads_predicts(finished):
    trained = Trained.load(finished[0])

    def apply(variables, batch, **options):
        said, changes = trained.model.apply(variables, batch, **options)
        return {"logits": said, "embedding": said * 0}, changes

    section = trained.config.loss.model_copy(update={"outputs": "logits"})
    config = trained.config.model_copy(update={"loss": section})
    several = replace(trained, config=config, model=Model(trained.model.init, apply))
    inputs = np.asarray(trained.sets()[0]["test"].inputs)
    np.testing.assert_array_equal(several.predict(inputs), trained.predict(inputs))


def test_statistics_that_are_not_finite_are_told_of_too(tmp_path, finished):
    trained, task = Trained.load(finished[0]), finished[1].task
    state = task.initial_state()
    bad = jax.tree.map(lambda x: x * np.nan, state.model_state)
    CheckpointStore(tmp_path / "checkpoints", asynchronous=False).save(
        {"train_state": state.replace(model_state=bad)}, iteration=1, meta=_own(trained.meta)
    )
    with pytest.raises(NonFiniteError, match="batch_stats"):
        Trained.load(tmp_path / "checkpoints/00000001")
