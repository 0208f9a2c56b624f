"""Each of the models learns, as a task that a config describes."""

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits

from jaxtrain.data import ArrayLoader, LoaderRows, Splits
from jaxtrain.models import MODELS, MobileNetV2, Model, ResNet, from_linen
from jaxtrain.run import RunData, Task, make_config

TOKENS = {"vocabulary": 17, "embedding": 8, "padding_token": 0}
ENCODER = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32}
# By the name of a test: what the digits are, the config's model, and a smaller one in its place.
CASES = {
    "resnet18": (
        "images",
        {"name": "resnet18", "small_images": True},
        ResNet(10, small_images=True, stochastic_depth=0.1, widths=(8,), blocks=(1,)),
    ),
    "mobilenet_v2": (
        "images",
        {"name": "mobilenet_v2", "width": 0.5},
        MobileNetV2(10, width=0.1, stages=((2, 8, 1, 1),)),
    ),
    "lstm of features": ("rows", {"name": "lstm", "width": 16}, None),
    "gru of tokens": ("tokens", {"name": "gru", "width": 16, **TOKENS}, None),
    "encoder of features": ("rows", {"name": "encoder", **ENCODER}, None),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The digits in three forms: images, 8 steps of 8 features, 32 tokens of which 0 is padding."""
    pixels, classes = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 8, 8).astype(np.float32) / 16
    root = tmp_path_factory.mktemp("digits")
    np.savez(root / "images.npz", x=images[:700, ..., None], y=classes[:700])
    np.savez(root / "rows.npz", x=images, y=classes)
    np.savez(root / "tokens.npz", x=pixels[:, 8:40].astype(np.int32), y=classes)
    return root


def config_of(root, form, model, **sections):
    data = {"name": "arrays", "file": f"{form}.npz", "root": str(root), "batch_size": 128}
    if form == "tokens":
        data["tokens"] = True
    if form == "images":
        data["images"] = True
    return make_config({"data": data, "model": model, **sections})


@pytest.mark.parametrize("case", CASES)
def test_a_task_learns(files, case):
    form, section, smaller = CASES[case]
    data = RunData.of(config_of(files, form, section, optimizer={"learning_rate": 0.01}))
    assert isinstance(MODELS.build(data.config.model, num_outputs=10), Model)
    task = Task.of(data, model=None if smaller is None else from_linen(smaller))
    step, state, losses = jax.jit(task.train_step), task.initial_state(), []
    for _ in range(3000 // len(data.train)):
        for batch in data.loader:
            state, output = step(state, batch)
            losses.append(float(output["loss"]))
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])


@pytest.mark.parametrize("case", CASES)
def test_a_task_fits_in_half_precision(files, case):
    form, section, smaller = CASES[case]
    data = RunData.of(config_of(files, form, section, precision="bfloat16"))
    Task.of(data, model=None if smaller is None else from_linen(smaller))


def test_lengths_come_with_the_batch(monkeypatch):
    """Of features nobody else can say which are padding: a mask [B, L] would be for labels [B, L].

    A row says its class at its last real step, and another class at all that stands behind it.
    """
    from jaxtrain.data import SOURCES

    monkeypatch.setattr(SOURCES, "_factories", dict(SOURCES._factories))

    @SOURCES.register("tests_lengths")
    def lengths_of_rows():
        draw = np.random.default_rng(0)
        lengths = draw.integers(1, 6, 512).astype(np.int32)
        labels = draw.integers(0, 2, 512).astype(np.int32)
        last = np.arange(6) == lengths[:, None] - 1
        behind = np.arange(6) >= lengths[:, None]
        inputs = np.where(last, labels[:, None], np.where(behind, 1 - labels[:, None], 0.5))
        arrays = {"inputs": inputs[..., None].astype(np.float32), "labels": labels, "n": lengths}
        rows = LoaderRows(
            lambda **options: ArrayLoader(arrays, **options), name="made", num_outputs=2
        )
        return Splits(train=rows, validation=None, test=rows)

    config = make_config(
        {
            "data": {"name": "tests_lengths", "batch_size": 128, "validation_fraction": 0},
            "model": {"name": "lstm", "width": 8, "lengths": "n"},
            "optimizer": {"learning_rate": 0.05},
        }
    )
    task = Task.of(RunData.of(config))
    step, state = jax.jit(task.train_step), task.initial_state()
    for _ in range(15):
        for batch in task.data.loader:
            state, output = step(state, batch)
    assert float(output["loss"]) < 0.1
