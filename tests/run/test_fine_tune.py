"""From files of others to a run that needs them no more, whatever becomes of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.config import load
from jaxtrain.engine import Events
from jaxtrain.errors import ConfigError, Preempted
from jaxtrain.main import main
from jaxtrain.models import hf
from jaxtrain.models.decoder import DecoderConfig, initial_params
from jaxtrain.run import Experiment, RunData, Task, Trained, make_config
from jaxtrain.run.checks import run_checks
from jaxtrain.run.directory import RunDirectory
from tests.run.conftest import CONFIGS

BOTTLES = "".join(f"{number} bottles of beer on the wall.\n" for number in range(60))
SIZES = DecoderConfig.llama(
    vocab_size=300, width=8, layers=1, heads=2, kv_heads=1, max_length=64, tied=True
)
CONFIG = {
    "data": {"name": "text", "path": "text.txt", "length": 16},
    "model": {"name": "decoder", "weights": "files"},
    "loss": {"name": "next_token"},
    "optimizer": {"learning_rate": 0.005},
    "train": {"epochs": 2},
    "checkpoint": {"keep": 9, "asynchronous": False},
    "hooks": {"progress": None, "console": None, "jsonl": None, "csv": None},
    "workdir": "run",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A text, weights in bfloat16, a config; a run from beginning to end, one left in its middle.

    All paths in it are relative.
    """
    place = tmp_path_factory.mktemp("template")
    (place / "text.txt").write_text(BOTTLES)
    params = jax.tree.map(lambda x: x * 20, initial_params(jax.random.key(5), SIZES))
    hf.save(place / "files", SIZES, params, dtype="bfloat16")
    (place / "lm.json").write_text(json.dumps(CONFIG))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        assert main(["lm.json", "--workdir", "whole"]) == 0
        experiment = experiment_of("workdir=left")
        experiment.trainer.on(Events.EPOCH_COMPLETED(once=1))(lambda engine: engine.interrupt())
        with pytest.raises(Preempted):
            experiment.train()
    return place


@pytest.fixture
def place(template, tmp_path, monkeypatch):
    """A copy, which is the working directory."""
    shutil.copytree(template, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


@pytest.fixture
def count(monkeypatch):
    """How often the tensors of files are read."""
    reads, real = [], hf.load
    monkeypatch.setattr(hf, "load", lambda *at, **words: reads.append(at) or real(*at, **words))
    return reads


def task_of(*overrides):
    return Task.of(RunData.of(make_config("lm.json", overrides)))


def experiment_of(*overrides):
    return Experiment(task_of(*overrides))


def newest(run):
    return max((run / "checkpoints").glob("0*"))


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def test_it_begins_with_the_weights_whatever_the_seed(place):
    expected = hf.load("files", dtype="float32")[1]
    begun = [experiment_of(f"seed={seed}") for seed in (0, 1)]
    losses = [experiment.evaluate()["test"]["loss"] for experiment in begun]
    first, second = (experiment.trainer.state.train_state for experiment in begun)
    assert bits(first.params) == bits(second.params) == bits(expected)
    assert {x.dtype.name for x in jax.tree.leaves(first.params)} == {"float32"}
    assert bits(jax.random.key_data(first.rng)) != bits(jax.random.key_data(second.rng))
    assert losses[0] == losses[1]
    other = Experiment(begun[0].task, "x", state=begun[0].task.fresh_state()).evaluate()
    assert abs(losses[0] - other["test"]["loss"]) > 0.01


def test_a_run_says_all_sizes_and_which_files_it_began_with(place):
    model = load("whole/config.yaml").to_dict()["model"]
    assert (model["width"], model["layers"], model["heads"], model["kv_heads"]) == (8, 1, 2, 1)
    assert (model["vocab_size"], model["max_length"], model["tied"]) == (300, 64, True)
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (place / "files").iterdir()
    }
    assert len(digests) == 2
    assert json.loads((place / "whole/metadata.json").read_text())["weights"] == digests
    for checkpoint in (place / "whole/checkpoints").glob("0*"):
        meta = json.loads((checkpoint / "meta.json").read_text())
        assert meta["config"]["model"]["width"] == 8
        assert meta["weights"] == digests


def test_files_may_go_once_it_has_begun(place, count, capsys):
    """Left after the first epoch, and gone on with: to the same bits as in one go."""
    noted = json.loads((place / "left/metadata.json").read_text())["weights"]
    shutil.rmtree("files")
    for command in ("plan", "train", "evaluate"):
        assert main([command, "left"]) == 0
    capsys.readouterr()
    assert main(["generate", "left", "--prompt", "1", "--max-new-tokens", "3"]) == 0
    assert len(capsys.readouterr().out) > 1
    assert count == []
    assert json.loads((place / "left/metadata.json").read_text())["weights"] == noted
    last = json.loads((newest(place / "left") / "meta.json").read_text())
    assert (last["weights"], last["epoch"]) == (noted, 2)
    left, whole = (Trained.load(newest(place / run)).state for run in ("left", "whole"))
    assert bits(left.params) == bits(whole.params)


def test_files_may_change_once_it_has_begun(place, capsys):
    shutil.rmtree("files")
    other = DecoderConfig.llama(vocab_size=400, width=16, layers=2, heads=2)
    hf.save("files", other, initial_params(jax.random.key(0), other))
    assert main(["plan", "left"]) == 0
    # The config that leaves sizes out means another run now, and is told so.
    assert main(["plan", "lm.json", "--workdir", "left"]) == 2
    assert "model.width: 8 in" in capsys.readouterr().err
    # One that says all of them is compared where it begins with the files.
    assert main(["left/config.yaml", "--workdir", "new"]) == 2
    assert "model.width: expected 16, as files says, found 8" in capsys.readouterr().err
    assert main(["plan", "left/config.yaml", "--workdir", "new"]) == 2
    assert "model.width: expected 16, as files says, found 8" in capsys.readouterr().err
    assert not (place / "new").exists()


def test_a_run_that_goes_on_reads_no_files(place, count):
    experiment = experiment_of("workdir=left")
    shapes = jax.tree.leaves(experiment.trainer.state.train_state)
    assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in shapes)
    experiment.train()
    experiment.train()
    assert count == []


def test_what_is_evaluated_before_it_goes_on_is_read(place, count):
    before = experiment_of().evaluate()
    assert len(count) == 1
    again = experiment_of("workdir=left")
    assert len(count) == 1
    assert again.evaluate() == before  # the first state, as of any other model
    assert again.evaluate() == before
    assert len(count) == 2


def test_a_plan_reads_sizes_alone(place, count, capsys):
    (place / "files/model.safetensors").unlink()
    for words in ([], ["--calibrate"]):
        assert main(["plan", "lm.json", *words]) == 0
    assert "model      decoder: " in capsys.readouterr().out
    assert count == []
    assert not (place / "run").exists()


def test_a_check_begins_with_the_weights(place, count):
    findings = run_checks(RunData.of(make_config("lm.json")))
    assert next(f for f in findings if f.name == "every parameter gets a gradient").ok
    assert len(count) == 1


@pytest.mark.parametrize("what", ["directory", "safetensors", "complete"])
def test_without_its_files_nothing_begins_and_nothing_is_touched(place, what, capsys):
    """Where the config leaves sizes out, where it does not, and where config.json alone is left."""
    if what == "safetensors":
        (place / "files/model.safetensors").unlink()
    else:
        shutil.rmtree("files")
    before = {path.name for path in place.iterdir()}
    config = "left/config.yaml" if what == "complete" else "lm.json"
    assert main([config, "--workdir", "run"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("config error: ")
    assert "files: there is no such directory" in said or "files: neither model.safe" in said
    assert ("lm.json:1: model.weights: " in said) == (what == "directory")
    assert {path.name for path in place.iterdir()} == before


def test_a_directory_without_checkpoints_begins_with_the_files(place, count):
    """As a kill before the first save leaves it."""
    shutil.rmtree("left/checkpoints")
    experiment_of("workdir=left").train()
    assert len(count) == 1
    assert bits(Trained.load("left").state.params) == bits(Trained.load("whole").state.params)


def test_checkpoints_that_go_meanwhile_are_not_gone_on_from(place, count):
    experiment = experiment_of("workdir=left")
    assert count == []
    shutil.rmtree("left/checkpoints")
    experiment.train()
    assert len(count) == 1
    assert bits(Trained.load("left").state.params) == bits(Trained.load("whole").state.params)


def test_a_run_that_failed_before_its_first_save_begins_anew_with_the_weights(place, count):
    experiment = experiment_of()

    def fail():
        raise ValueError("once")

    handle = experiment.trainer.attach_handler(Events.ITERATION_COMPLETED(once=2), fail)
    with pytest.raises(ValueError, match="once"):
        experiment.train()
    handle.remove()
    experiment.train()
    assert len(count) == 2
    assert bits(Trained.load("run").state.params) == bits(Trained.load("whole").state.params)


def others(seed=6):
    """Of the same sizes, at the same place."""
    shutil.rmtree("files")
    params = jax.tree.map(lambda x: x * 20, initial_params(jax.random.key(seed), SIZES))
    hf.save("files", SIZES, params, dtype="bfloat16")


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_digests_are_those_of_what_was_read(place):
    """Whatever becomes of the files between their reading and the first byte that is written."""
    experiment, expected = experiment_of(), digest_of(place / "files/model.safetensors")
    before = experiment.evaluate()
    others()
    assert digest_of(place / "files/model.safetensors") != expected
    assert experiment.evaluate() == before
    experiment.train()
    noted = json.loads((place / "run/metadata.json").read_text())["weights"]
    assert noted["model.safetensors"] == expected
    assert json.loads((newest(place / "run") / "meta.json").read_text())["weights"] == noted
    assert bits(Trained.load("run").state.params) == bits(Trained.load("whole").state.params)


def test_what_was_read_may_go(place):
    experiment = experiment_of("train.epochs=1")
    experiment.evaluate()
    shutil.rmtree("files")
    assert experiment.train()["total_epochs"] == 1


def test_files_that_change_before_it_begins_are_those_that_it_begins_with(place):
    """A notebook that stood still between `Experiment.of` and `train`."""
    experiment = experiment_of("train.epochs=1")
    others()
    expected = hf.load("files", dtype="float32")[1]
    seen = []
    experiment.trainer.on(Events.STARTED)(
        lambda engine: seen.append(bits(engine.state.train_state.params))
    )
    experiment.train()
    assert seen == [bits(expected)]
    noted = json.loads((place / "run/metadata.json").read_text())["weights"]
    assert noted["model.safetensors"] == digest_of(place / "files/model.safetensors")


def test_what_is_wrong_without_the_files_is_told_before_they_are_read(place, count):
    before = {path.name for path in place.iterdir()}
    with pytest.raises(ConfigError, match="holds no run to continue"):
        experiment_of().train(resume="must")
    with pytest.raises(ConfigError, match="no metric is called 'nothing'"):
        experiment_of("checkpoint.monitor=nothing").train()
    assert {path.name for path in place.iterdir()} == before
    (place / "taken").mkdir()
    experiment = experiment_of("workdir=taken")
    with (
        RunDirectory("taken").locked(),
        pytest.raises(ConfigError, match="in use by another process"),
    ):
        experiment.train()
    assert count == []


def test_files_that_go_before_it_begins_leave_no_trace(place):
    (place / "empty").mkdir()
    experiments = experiment_of(), experiment_of("workdir=empty")
    shutil.rmtree("files")
    before = {path.name for path in place.iterdir()}
    for experiment in experiments:
        with pytest.raises(ConfigError, match="files: there is no such directory"):
            experiment.train()
    assert {path.name for path in place.iterdir()} == before
    assert list((place / "empty").iterdir()) == []


@pytest.mark.parametrize("run", ["left", "whole"])
def test_other_files_are_told_to_who_goes_on_or_has_nothing_to_do(place, caplog, run):
    assert main(["train", run]) == 0
    said = "goes on with what it began with; the files of model.weights are others now"
    assert said not in caplog.text
    others()
    assert main(["train", run]) == 0
    assert said in caplog.text
    assert "model.safetensors: sha256 " in caplog.text
    assert "config.json: " not in caplog.text
    caplog.clear()
    (place / "files/model.safetensors").write_bytes(b"torn")
    assert main(["train", run]) == 0
    assert said in caplog.text
    caplog.clear()
    (place / "files/model.safetensors").unlink()
    assert main(["train", run]) == 0
    assert said not in caplog.text


def test_a_slash_at_the_end_of_a_path_makes_no_other_run(place, capsys):
    assert main(["plan", "lm.json", "--config.model.weights=files/", "--workdir", "left"]) == 0
    # Any other way of writing it is another run, as `weights` says.
    absolute = f"--config.model.weights={place}/files"
    assert main(["plan", "lm.json", absolute, "--workdir", "left"]) == 2
    assert "model.weights: 'files' in" in capsys.readouterr().err


def test_a_state_in_ones_own_hands_takes_the_place_of_the_weights(place, count):
    task = task_of("train.epochs=1")
    Experiment(task, state=task.fresh_state()).train()
    assert count == []
    assert "weights" not in json.loads((place / "run/metadata.json").read_text())


def test_a_tokenizer_with_more_tokens_than_the_weights(place, capsys):
    small = DecoderConfig.llama(vocab_size=200, width=16, layers=1, heads=2)
    hf.save("small", small, initial_params(jax.random.key(0), small))
    assert main(["lm.json", "--config.model.weights=small"]) == 2
    said = capsys.readouterr().err
    assert "model.vocab_size: expected at least 258" in said
    assert "found 200" in said
    assert not (place / "run").exists()


@pytest.mark.slow
def test_weights_that_are_kept_in_bfloat16(place):
    experiment_of("model.param_dtype=bfloat16", "train.epochs=1").train()
    params = jax.tree.leaves(Trained.load("run").state.params)
    assert {x.dtype.name for x in params} == {"bfloat16"}


# -- models of one's own that load ---------------------------------------------------------------


def test_what_a_model_loads_must_be_what_it_makes(place):
    task = task_of()
    model = task.model

    def other():
        params = dict(model.load())
        params["norm"] = {"scale": params["norm"]["scale"].astype(jnp.bfloat16)}
        del params["embedding"]
        return params

    wrong = Task.of(task.data, model=dataclasses.replace(model, load=other))
    with pytest.raises(ConfigError) as caught:
        wrong.initial_state()
    said = str(caught.value)
    assert "norm/scale: expected float32[8], found bfloat16[8]" in said
    assert "embedding/embedding: expected float32[300, 8], found none" in said
    assert said.count("\n") == 2


# -- the real ones -------------------------------------------------------------------------------


@pytest.mark.slow
def test_stories260k_is_fine_tuned_by_its_config(shared_data, tmp_path):
    words = [
        f"data.root={shared_data}",
        f"model.weights={shared_data / 'stories260k/stories260K.bin'}",
        f"data.cache={tmp_path / 'cache'}",
        f"workdir={tmp_path / 'run'}",
        "data.length=64",
        "hooks.progress=null",
        "hooks.tensorboard=null",
        "schedule.warmup_steps=2",
    ]
    config = make_config(CONFIGS / "stories260k_finetune.py", words)
    assert (config.model.width, config.model.vocab_size) == (64, 512)
    task = Task.of(RunData.of(config))
    experiment = Experiment(task)
    state = task.initial_state()
    loader = task.data.eval_loader("validation")
    before = experiment.evaluator.run(loader, state=state).metrics["loss"]
    assert before < math.log(512) - 1
    experiment.evaluator.reset()
    trainer = type(experiment.trainer)(task.train_step, state)
    trainer.run(task.data.loader, max_iters=30)
    after = experiment.evaluator.run(loader, state=trainer.state.train_state).metrics["loss"]
    assert after < before - 0.5
