from __future__ import annotations

import functools
from pathlib import Path

import jax
import pytest

from jaxtrain.models import MODELS
from jaxtrain.run import Experiment, make_config
from jaxtrain.run.beginning import model_name, plugin_text

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("library", ["linen", "nnx"])
def test_the_model_trains_on_the_digits_as_it_is(library, tmp_path, monkeypatch):
    monkeypatch.setattr(MODELS, "_factories", dict(MODELS._factories))
    path = tmp_path / f"my_{library}.py"
    path.write_text(plugin_text(library, name=f"my_{library}", command="none"))
    assert len([line for line in path.read_text().splitlines() if line.strip()]) < 30
    quiet = ["hooks.progress=null", "hooks.console=null", "hooks.tensorboard=null"]
    config = make_config(
        ROOT / "configs/digits.py",
        [f"model.name=my_{library}", "train.epochs=12", "checkpoint.every_epochs=12", *quiet],
        plugins=[str(path)],
    )
    assert config.model.dropout == 0.2
    experiment = Experiment.of(config, tmp_path / "run")
    figures = experiment.train()
    assert figures["test_accuracy"] >= 0.95
    # Its dropout is used, and only in training.
    model, state = experiment.task.model, experiment.task.initial_state()
    batch = next(iter(experiment.task.data.loader))
    apply = functools.partial(model.apply, state.variables(), batch)
    keys = [{"dropout": jax.random.key(number)} for number in (0, 1)]
    first, second = (apply(train=True, rngs=key)[0] for key in keys)
    assert (first != second).any()
    assert (apply(train=False)[0] == apply(train=False)[0]).all()


def test_a_name_that_can_be_a_function():
    assert model_name(Path("a/vögel.py")) == "my_model"  # not in ASCII
    assert model_name(Path("two words.py")) == "my_model"
    assert model_name(Path("cnn.py")) == "my_model"  # taken
    assert model_name(Path("nn.py")) == "my_model"
    assert model_name(Path("bird_net.py")) == "bird_net"
