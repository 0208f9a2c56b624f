from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from jaxtrain.config.yaml_form import read
from jaxtrain.data import memory
from jaxtrain.run import Experiment, RunData, Task, make_config
from jaxtrain.run.beginning import begin_with_images, config_text, images
from jaxtrain.run.checks import run_checks


def paint(root, counts, *, size=(12, 8), mode="L", ending="png"):
    draw = np.random.default_rng(0)
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for image in range(count):
            level = draw.normal(60 + 120 * number, 20, size).clip(0, 255).astype(np.uint8)
            Image.fromarray(level).convert(mode).save(root / name / f"{image}.{ending}")
    return root


def facts(beginning):
    return {fact.what: fact for fact in beginning.facts}


@pytest.mark.slow
def test_digits_in_folders_train_at_once_and_pass_the_checks(tmp_path):
    """Scikit-learn's digits, as PNG and JPEG files."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number in range(800):
        folder = tmp_path / "my digits" / f"n{digits.target[number]}"
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray((digits.images[number] * 15.9).astype(np.uint8))
        ending = "png" if number % 2 else "jpg"
        image.save(folder / f"{number}.{ending}", **({} if number % 2 else {"quality": 95}))
    beginning = begin_with_images(tmp_path / "my digits")
    tree = read(config_text(beginning.config, beginning.comments), "x")[0]
    quiet = {"progress": None, "console": None}
    # The first epochs alone: all of them are a matter of half a minute.
    short = {"checkpoint": {"every_epochs": 6}, "train": {"epochs": 6}}
    config = make_config({**tree, "hooks": quiet, **short})
    assert config.model.name == "cnn"
    assert (config.data.size, config.data.channels, config.project) == ((8, 8), 1, "my_digits")
    data = RunData.of(config)
    for finding in run_checks(data):
        assert finding.ok, finding
        if finding.name.startswith("gradient"):
            break  # the two that follow train
    task = Task.of(data)
    assert Experiment(task, tmp_path / "run").train()["test_accuracy"] > 0.8


def test_what_is_said_of_them(tmp_path):
    root = paint(tmp_path / "birds", {"crow": 40, "gull": 10})
    (root / "gull" / "notes.txt").write_text("")
    (root / "gull" / "odd.png").write_text("")
    beginning = begin_with_images(root)
    found = facts(beginning)
    assert found["classes"].taken_for == "2: crow (40), gull (11)"
    assert found["sets"].taken_for == "train 51, test 20% of each class, validation 10% of the rest"
    assert (found["size"].taken_for, found["size"].because) == ("12x8", "all have 12x8")
    assert found["channels"].taken_for == "1, grey"
    assert found["unreadable"].taken_for == "1 left out"
    assert "odd.png" in found["unreadable"].because
    assert beginning.config["data"]["unreadable"] == "skip"
    said = "\n".join(beginning.lines)
    assert "loss: {class_weights: balanced}" in said
    assert "notes.txt" in said
    assert "data.root" not in said  # an absolute path
    assert "# loss: {class_weights: balanced}" in config_text(beginning.config, beginning.comments)
    assert len(RunData.of(make_config(beginning.config)).train) == 36


def test_colours_sizes_and_sets(tmp_path, monkeypatch):
    root = tmp_path / "birds"
    paint(root / "train", {"crow": 5, "gull": 6}, size=(300, 200), mode="RGB")
    paint(root / "test", {"crow": 1}, size=(30, 400))
    Image.new("RGBA", (200, 300), (255, 0, 0, 9)).save(root / "train" / "crow" / "red.png")
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    beginning = begin_with_images(Path("birds"))
    found = facts(beginning)
    assert beginning.config["data"]["root"] == "birds"
    assert beginning.config["data"]["size"] == [64, 43]  # of 300x200
    assert "2 sizes, heights from 30 to 300, widths from 200 to 400" in found["size"].because
    assert found["channels"].taken_for == "3, colour"
    assert "1 have transparency" in found["channels"].because
    assert found["sets"].taken_for == "train 12, test 1, validation 10% of the rest"
    assert any("from the directory in which you train" in line for line in beginning.lines)
    data = RunData.of(make_config(beginning.config))
    assert data.train.inputs.shape[1:] == (64, 43, 3)


def test_images_that_memory_can_not_hold_are_made_smaller(tmp_path, monkeypatch):
    root = paint(tmp_path / "birds", {"crow": 5, "gull": 5}, size=(64, 64))
    monkeypatch.setattr(memory, "machine_memory", lambda: 2**18)
    monkeypatch.setattr(images, "machine_memory", lambda: 2**18)
    beginning = begin_with_images(root)
    assert beginning.config["data"]["size"] == [32, 32]
    RunData.of(make_config(beginning.config))


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (3, 3), (4, 4)])
def test_tiny_images_get_a_model_that_takes_them(tmp_path, size):
    root = paint(tmp_path / "birds", {"crow": 5, "gull": 5}, size=size)
    config = make_config(begin_with_images(root).config)
    assert config.model.name == ("cnn" if min(size) >= 4 else "mlp")
    Task.of(RunData.of(config))
